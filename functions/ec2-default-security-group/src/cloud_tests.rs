//! `cloud.rs` against recorded answers of EC2: which requests it makes, and what it makes of the answers.

use super::*;
use crate::tests::{GROUP, itself, rule};
use ec2::{Direction, Peer, SecurityGroupId};
use remediation::Control;
use remediation::testing::{self, Answer, Fake, SECRET, Sent, answer, occasion, ok};

const VPC: &str = "vpc-0123456789abcdef0";

fn place(name: &str) -> Place<Target> {
    testing::place::<DefaultSecurityGroup>(name)
}

fn error(status: u16, code: &str) -> Answer {
    answer(
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></Errors><RequestID>r</RequestID></Response>"
        ),
    )
}

fn xml(operation: &str, body: &str) -> Answer {
    ok(format!(
        r#"<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>{body}</{operation}Response>"#
    ))
}

fn group(name: &str, owner: &str) -> String {
    format!(
        "<securityGroupInfo><item><ownerId>{owner}</ownerId><groupId>{GROUP}</groupId><groupName>{name}</groupName>\
         <vpcId>{VPC}</vpcId></item></securityGroupInfo>"
    )
}

const RULES: &str = "<securityGroupRuleSet>\
    <item><securityGroupRuleId>sgr-1</securityGroupRuleId><isEgress>false</isEgress><ipProtocol>-1</ipProtocol>\
    <fromPort>-1</fromPort><toPort>-1</toPort><referencedGroupInfo><groupId>sg-0123456789abcdef0</groupId>\
    <userId>111122223333</userId></referencedGroupInfo></item>\
    <item><securityGroupRuleId>sgr-2</securityGroupRuleId><isEgress>true</isEgress><ipProtocol>-1</ipProtocol>\
    <fromPort>-1</fromPort><toPort>-1</toPort><cidrIpv4>0.0.0.0/0</cidrIpv4></item></securityGroupRuleSet>";

/// Interfaces as services leave them in a default group.
const INTERFACES: &str = "<networkInterfaceSet>\
    <item><networkInterfaceId>eni-00000000000000001</networkInterfaceId><interfaceType>interface</interfaceType>\
    <description>RDSNetworkInterface</description><requesterId>amazon-rds</requesterId><requesterManaged>true</requesterManaged></item>\
    <item><networkInterfaceId>eni-00000000000000002</networkInterfaceId><interfaceType>interface</interfaceType>\
    <description>EFS mount target for fs-1 (fsmt-1)</description><requesterManaged>true</requesterManaged></item>\
    <item><networkInterfaceId>eni-00000000000000003</networkInterfaceId><interfaceType>lambda</interfaceType></item>\
    <item><networkInterfaceId>eni-00000000000000004</networkInterfaceId><interfaceType>interface</interfaceType>\
    <description>Amazon EKS prod</description></item>\
    <item><networkInterfaceId>eni-00000000000000005</networkInterfaceId><interfaceType>interface</interfaceType>\
    <attachment><instanceId>i-0123456789abcdef0</instanceId></attachment></item></networkInterfaceSet>";

fn aws(
    name: &'static str,
    owner: &'static str,
    rules: &'static str,
) -> impl Fn(&Sent) -> Answer + Send + Sync + 'static {
    move |sent| {
        let operation = sent.operation().unwrap();
        let body = match operation.as_str() {
            "DescribeSecurityGroups" => group(name, owner),
            "DescribeSecurityGroupRules" => rules.to_owned(),
            "DescribeNetworkInterfaces" => INTERFACES.to_owned(),
            _ => "<return>true</return>".to_owned(),
        };
        xml(&operation, &body)
    }
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().filter_map(Sent::operation).collect()
}

async fn observe(fake: &Fake, name: &str) -> Result<Option<State>, Fault> {
    Ec2::new(&fake.sdk(), ()).observe(&place(name), &occasion()).await
}

#[tokio::test]
async fn an_empty_group_costs_two_reads() {
    let fake = Fake::new(aws("default", testing::ACCOUNT, "<securityGroupRuleSet/>"));
    let state = observe(&fake, GROUP).await.unwrap().unwrap();
    assert_eq!(asked(&fake), ["DescribeSecurityGroups", "DescribeSecurityGroupRules"]);
    assert_eq!((state.rules, state.users), (vec![], None));
    assert!(
        fake.sent().iter().all(|sent| sent.host == "ec2.us-west-2.amazonaws.com"),
        "the group's region, not our own"
    );
}

#[tokio::test]
async fn a_group_with_rules_costs_one_more() {
    let fake = Fake::new(aws("default", testing::ACCOUNT, RULES));
    let state = observe(&fake, GROUP).await.unwrap().unwrap();
    assert_eq!(asked(&fake), ["DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeNetworkInterfaces"]);
    let traffic: Vec<String> = state.rules.iter().map(|rule| rule.traffic.to_string()).collect();
    assert_eq!(traffic, ["all traffic from sg-0123456789abcdef0", "all traffic to 0.0.0.0/0"]);
    let users = state.users.unwrap().to_string();
    assert_eq!(users, "5 interfaces (instances 1, databases 1, file systems 1, Lambda functions 1, Kubernetes 1)");
}

#[tokio::test]
async fn a_vpc_names_its_default_group() {
    let fake = Fake::new(aws("default", testing::ACCOUNT, RULES));
    let state = observe(&fake, VPC).await.unwrap().unwrap();
    assert_eq!(state.group.id.as_str(), GROUP);
    let sent = fake.sent();
    assert_eq!(sent[0].field("Filter.1.Name").as_deref(), Some("vpc-id"));
    assert_eq!(sent[0].field("Filter.1.Value.1").as_deref(), Some(VPC));
    assert_eq!(sent[0].field("Filter.2.Name").as_deref(), Some("group-name"));
    assert_eq!(sent[0].field("Filter.2.Value.1").as_deref(), Some("default"));
    assert_eq!(sent[1].field("Filter.1.Value.1").as_deref(), Some(GROUP));
    assert_eq!(sent[2].field("Filter.1.Value.1").as_deref(), Some(GROUP));
}

#[tokio::test]
async fn what_is_not_ours_is_not_looked_into() {
    for (name, owner) in [("web", testing::ACCOUNT), ("default", "444455556666")] {
        let fake = Fake::new(aws(name, owner, RULES));
        let state = observe(&fake, GROUP).await.unwrap().unwrap();
        assert_eq!(asked(&fake).len(), 2, "{name} {owner}");
        assert_eq!(state.foreign.is_some(), owner != testing::ACCOUNT);
        assert_eq!(state.rules.is_empty(), name == "web", "the rules of other groups do not matter");
    }
}

#[tokio::test]
async fn a_group_or_vpc_that_is_not_there_is_gone() {
    let others = aws("default", testing::ACCOUNT, RULES);
    let fake = Fake::new(move |sent| match sent.operation().as_deref() {
        Some("DescribeSecurityGroups") => error(400, "InvalidGroup.NotFound"),
        _ => others(sent),
    });
    assert_eq!(observe(&fake, GROUP).await, Ok(None));
    let fake = Fake::new(|sent| xml(&sent.operation().unwrap(), "<securityGroupInfo/>"));
    assert_eq!(observe(&fake, VPC).await, Ok(None));
    assert_eq!(asked(&fake), ["DescribeSecurityGroups"]);
}

fn batch(direction: Direction, rules: Vec<Rule>) -> Batch {
    Batch { group: SecurityGroupId::parse(GROUP).unwrap(), direction, rules }
}

#[tokio::test]
async fn the_writes_say_exactly_what_was_decided() {
    let own = || vec![rule(1, Direction::Ingress, "-1", itself())];
    let world = || vec![rule(2, Direction::Egress, "-1", Peer::CidrIpv4("0.0.0.0/0".to_owned()))];
    let group = ("GroupId", GROUP);
    let all =
        [("IpPermissions.1.FromPort", "-1"), ("IpPermissions.1.IpProtocol", "-1"), ("IpPermissions.1.ToPort", "-1")];
    for (change, operation, more) in [
        (
            Change::Revoke(batch(Direction::Ingress, own())),
            "RevokeSecurityGroupIngress",
            vec![("SecurityGroupRuleId.1", "sgr-1")],
        ),
        (
            Change::Revoke(batch(Direction::Egress, world())),
            "RevokeSecurityGroupEgress",
            vec![("SecurityGroupRuleId.1", "sgr-2")],
        ),
        (
            Change::Authorize(batch(Direction::Ingress, own())),
            "AuthorizeSecurityGroupIngress",
            [
                &all[..],
                &[("IpPermissions.1.Groups.1.GroupId", GROUP), ("IpPermissions.1.Groups.1.UserId", testing::ACCOUNT)],
            ]
            .concat(),
        ),
        (
            Change::Authorize(batch(Direction::Egress, world())),
            "AuthorizeSecurityGroupEgress",
            [&all[..], &[("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0")]].concat(),
        ),
    ] {
        for dry in [false, true] {
            let done = aws("default", testing::ACCOUNT, RULES);
            let fake = Fake::new(move |sent| if dry { error(412, "DryRunOperation") } else { done(sent) });
            let ec2 = Ec2::new(&fake.sdk(), ());
            if dry {
                assert_eq!(ec2.rehearse(&place(VPC), &change).await, Ok(true));
            } else {
                assert_eq!(ec2.apply(&place(VPC), &change).await, Ok(()));
            }
            assert_eq!(asked(&fake), [operation], "the group is known by now");
            let sent = &fake.sent()[0];
            let mut expected = [&[group][..], &more, if dry { &[("DryRun", "true")] } else { &[] }].concat();
            expected.sort_unstable();
            let parts = sent.body.split('&').filter_map(|pair| pair.split('=').next());
            let mut fields: Vec<(&str, String)> = parts
                .filter(|name| !matches!(*name, "Action" | "Version"))
                .map(|name| (name, sent.field(name).unwrap()))
                .collect();
            fields.sort();
            assert_eq!(fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), expected);
        }
    }
}

#[tokio::test]
async fn what_errors_mean() {
    let own = || batch(Direction::Ingress, vec![rule(1, Direction::Ingress, "-1", itself())]);
    for (change, status, code, meaning) in [
        (Change::Revoke(own()), 400, "InvalidPermission.NotFound", "Moved"),
        (Change::Revoke(own()), 400, "InvalidSecurityGroupRuleId.NotFound", "Moved"),
        (Change::Revoke(own()), 400, "InvalidGroup.NotFound", "Gone"),
        (Change::Authorize(own()), 400, "InvalidPermission.Duplicate", "Moved"),
        // The group that the rule names, not the group that has it.
        (Change::Authorize(own()), 400, "InvalidGroup.NotFound", "GiveUp"),
        (Change::Revoke(own()), 503, "RequestLimitExceeded", "Retry"),
        (Change::Revoke(own()), 403, "UnauthorizedOperation", "Denied"),
    ] {
        let fake = Fake::new(move |_| error(status, code));
        let fault = Ec2::new(&fake.sdk(), ()).apply(&place(GROUP), &change).await.unwrap_err();
        assert_eq!(format!("{fault:?}").split(['(', ' ']).next(), Some(meaning), "{code}: {fault:?}");
        assert!(!format!("{fault:?} {fault}").contains(SECRET), "{fault:?}");
    }
}

#[tokio::test]
async fn a_rule_without_an_id_is_not_revoked_by_anything_else() {
    let fake = Fake::new(aws("default", testing::ACCOUNT, RULES));
    let unmade = Rule { id: None, ..rule(1, Direction::Ingress, "-1", itself()) };
    let change = Change::Revoke(batch(Direction::Ingress, vec![unmade]));
    let applied = Ec2::new(&fake.sdk(), ()).apply(&place(GROUP), &change).await;
    assert!(matches!(applied, Err(Fault::Moved(_))));
    assert_eq!(asked(&fake), Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_looks_at_default_groups_with_rules() {
    let item =
        |id: &str, rules: &str| format!("<item><groupId>{id}</groupId><groupName>default</groupName>{rules}</item>");
    let permissions = |set: &str| format!("<{set}><item><ipProtocol>-1</ipProtocol></item></{set}>");
    let groups = [
        item("sg-00000001", ""),
        item("sg-00000002", &permissions("ipPermissions")),
        item("sg-00000003", &permissions("ipPermissionsEgress")),
    ];
    let body = format!("<securityGroupInfo>{}</securityGroupInfo><nextToken>more</nextToken>", groups.concat());
    let fake = Fake::new(move |_| xml("DescribeSecurityGroups", &body));
    let ec2 = Ec2::new(&fake.sdk(), ());
    let page = ec2.list(&testing::account(), &testing::region(), &occasion(), Some("token")).await.unwrap();
    let ids: Vec<String> = page.targets.iter().map(Target::to_string).collect();
    assert_eq!((ids, page.next.as_deref()), (vec!["sg-00000002".to_owned(), "sg-00000003".to_owned()], Some("more")));
    let sent = &fake.sent()[0];
    assert_eq!(sent.field("NextToken").as_deref(), Some("token"));
    assert_eq!(sent.field("Filter.1.Name").as_deref(), Some("owner-id"));
    assert_eq!(sent.field("Filter.2.Name").as_deref(), Some("group-name"));
    assert_eq!(sent.field("Filter.2.Value.1").as_deref(), Some("default"));
}

#[tokio::test]
async fn tags_are_the_groups_own_however_it_is_named() {
    let body = format!(
        "<securityGroupInfo><item><groupId>{GROUP}</groupId><groupName>default</groupName>\
         <tagSet><item><key>team</key><value>x</value></item></tagSet></item></securityGroupInfo>"
    );
    let fake = Fake::new(move |_| xml("DescribeSecurityGroups", &body));
    let ec2 = Ec2::new(&fake.sdk(), ());
    for name in [GROUP, VPC] {
        assert_eq!(ec2.tags(&place(name)).await, Ok(vec![("team".to_owned(), "x".to_owned())]), "{name}");
    }
    assert_eq!(asked(&fake), ["DescribeSecurityGroups", "DescribeSecurityGroups"]);
    assert_eq!(fake.sent()[0].field("GroupId.1").as_deref(), Some(GROUP));
    assert_eq!(fake.sent()[1].field("Filter.1.Value.1").as_deref(), Some(VPC));
    let denied = Fake::new(|_| error(403, "UnauthorizedOperation"));
    let Err(Fault::Denied { action, .. }) = Ec2::new(&denied.sdk(), ()).tags(&place(GROUP)).await else { panic!() };
    assert_eq!(DefaultSecurityGroup::ABOUT.tags_with, [action]);
}
