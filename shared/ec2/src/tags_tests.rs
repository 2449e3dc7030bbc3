//! Tags against recorded answers of EC2.

use super::*;
use crate::Clients;
use remediation::testing::{Answer, Fake, SECRET, Sent, answer, ok, region};

const GROUP: &str = "sg-0123456789abcdef0";
const OTHER: &str = "sg-1123456789abcdef0";
const VPC: &str = "vpc-0123456789abcdef0";
const MACHINE: &str = "i-0123456789abcdef0";

fn client(fake: &Fake) -> Client {
    Clients::new(&fake.sdk()).at(&region())
}

fn xml(sent: &Sent, body: &str) -> Answer {
    let operation = sent.operation().unwrap();
    ok(format!(r#"<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{body}</{operation}Response>"#))
}

fn error(code: &str) -> Answer {
    answer(
        400,
        format!("<Response><Errors><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></Errors></Response>"),
    )
}

fn tags(tags: &[(&str, &str)]) -> String {
    let tags = tags.iter().map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>"));
    format!("<tagSet>{}</tagSet>", tags.collect::<String>())
}

fn group(id: &str, name: &str, of: &[(&str, &str)]) -> String {
    format!("<item><groupId>{id}</groupId><groupName>{name}</groupName>{}</item>", tags(of))
}

fn read(tags: &[(String, String)]) -> Vec<(&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn id() -> SecurityGroupId {
    SecurityGroupId::parse(GROUP).unwrap()
}

fn vpc() -> VpcId {
    VpcId::parse(VPC).unwrap()
}

fn machine() -> InstanceId {
    InstanceId::parse(MACHINE).unwrap()
}

/// The group that was asked for, behind one that was not.
fn groups(sent: &Sent) -> Answer {
    let groups =
        [group(OTHER, "web", &[("team", "theirs")]), group(GROUP, "default", &[("team", "ours"), ("empty", "")])];
    xml(sent, &format!("<securityGroupInfo>{}</securityGroupInfo>", groups.concat()))
}

#[tokio::test]
async fn a_group_by_its_id() {
    let fake = Fake::new(groups);
    let found = group_tags(&client(&fake), &id()).await.unwrap();
    assert_eq!(read(&found), [("team", "ours"), ("empty", "")]);
    let [sent] = fake.sent().try_into().unwrap();
    assert_eq!(sent.field("GroupId.1").as_deref(), Some(GROUP));
    assert_eq!(sent.host, "ec2.us-west-2.amazonaws.com", "the group's region, not our own");
}

#[tokio::test]
async fn a_default_group_by_its_vpc() {
    let fake = Fake::new(groups);
    let found = default_group_tags(&client(&fake), &vpc()).await.unwrap();
    assert_eq!(read(&found), [("team", "ours"), ("empty", "")]);
    let [sent] = fake.sent().try_into().unwrap();
    let asked = ["Filter.1.Name", "Filter.1.Value.1", "Filter.2.Name", "Filter.2.Value.1"];
    assert_eq!(asked.map(|name| sent.field(name).unwrap()), ["vpc-id", VPC, "group-name", "default"]);
}

#[tokio::test]
async fn an_instance_on_whichever_page_it_is() {
    let fake = Fake::new(|sent| match sent.field("NextToken").as_deref() {
        None => xml(sent, "<reservationSet/><nextToken>more</nextToken>"),
        Some("more") => {
            let item =
                |id: &str, of: &[(&str, &str)]| format!("<item><instanceId>{id}</instanceId>{}</item>", tags(of));
            let items = [item("i-1123456789abcdef0", &[("team", "theirs")]), item(MACHINE, &[("team", "ours")])];
            let set = format!("<item><instancesSet>{}</instancesSet></item>", items.concat());
            xml(sent, &format!("<reservationSet>{set}</reservationSet>"))
        }
        other => panic!("{other:?}"),
    });
    let found = instance_tags(&client(&fake), &machine()).await.unwrap();
    assert_eq!(read(&found), [("team", "ours")]);
    let sent = fake.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].field("Filter.1.Name").as_deref(), Some("instance-id"));
    assert_eq!(sent[0].field("Filter.1.Value.1").as_deref(), Some(MACHINE));
}

#[tokio::test]
async fn what_is_gone_has_none_and_what_has_none_has_none() {
    for code in ["InvalidGroup.NotFound", "InvalidVpcID.NotFound"] {
        let fake = Fake::new(move |_| error(code));
        assert_eq!(group_tags(&client(&fake), &id()).await, Ok(vec![]));
        assert_eq!(default_group_tags(&client(&fake), &vpc()).await, Ok(vec![]));
    }
    let fake = Fake::new(|sent| xml(sent, "<securityGroupInfo/><reservationSet/>"));
    assert_eq!(group_tags(&client(&fake), &id()).await, Ok(vec![]));
    assert_eq!(default_group_tags(&client(&fake), &vpc()).await, Ok(vec![]));
    assert_eq!(instance_tags(&client(&fake), &machine()).await, Ok(vec![]));
    let untagged = format!("<securityGroupInfo>{}</securityGroupInfo>", group(GROUP, "default", &[]));
    let fake = Fake::new(move |sent| xml(sent, &untagged));
    assert_eq!(group_tags(&client(&fake), &id()).await, Ok(vec![]));
}

#[tokio::test]
async fn what_could_not_be_read_is_not_none() {
    let fake = Fake::new(|_| error("UnauthorizedOperation"));
    let denied = |fault: Fault, action: &str, resource: &str| {
        let Fault::Denied { action: a, resource: r, .. } = fault else { panic!("{fault:?}") };
        assert_eq!((a, r.as_str()), (action, resource));
    };
    let groups = "ec2:DescribeSecurityGroups";
    denied(group_tags(&client(&fake), &id()).await.unwrap_err(), groups, &format!("security group {GROUP}"));
    denied(default_group_tags(&client(&fake), &vpc()).await.unwrap_err(), groups, &format!("vpc {VPC}"));
    let instance = format!("instance {MACHINE}");
    denied(instance_tags(&client(&fake), &machine()).await.unwrap_err(), "ec2:DescribeInstances", &instance);
    let fake = Fake::new(|sent| xml(sent, "<reservationSet/><nextToken>again</nextToken>"));
    let endless = instance_tags(&client(&fake), &machine()).await.unwrap_err();
    assert!(matches!(&endless, Fault::GiveUp(why) if why.contains("did not end")), "{endless:?}");
}
