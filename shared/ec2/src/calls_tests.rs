//! Reading page by page.

use super::*;
use remediation::testing::{Answer, Fake, SECRET, Sent, answer, ok, region};

fn xml(sent: &Sent, body: &str) -> Answer {
    let operation = sent.operation().unwrap();
    ok(format!(r#"<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{body}</{operation}Response>"#))
}

fn client(fake: &Fake) -> Client {
    Clients::new(&fake.sdk()).at(&region())
}

fn group_id() -> SecurityGroupId {
    SecurityGroupId::parse("sg-903004f8").unwrap()
}

/// Two pages of one interface each, whatever is asked for.
fn two_pages(sent: &Sent) -> Answer {
    let (id, next) = match sent.field("NextToken").as_deref() {
        None => ("eni-00000001", "<nextToken>more</nextToken>"),
        Some("more") => ("eni-00000002", "<nextToken/>"),
        other => panic!("{other:?}"),
    };
    let body = format!(
        "<networkInterfaceSet><item><networkInterfaceId>{id}</networkInterfaceId></item></networkInterfaceSet>{next}"
    );
    xml(sent, &body)
}

#[tokio::test]
async fn interfaces_are_read_until_there_are_enough() {
    for (enough, read, more) in [(1, 1, true), (2, 2, false), (1000, 2, false)] {
        let fake = Fake::new(two_pages);
        let listing = interfaces(&client(&fake), Filter::Group(&group_id()), enough).await.unwrap();
        assert_eq!((listing.items.len(), listing.more, fake.sent().len()), (read, more, read), "{enough}");
        assert_eq!(fake.sent()[0].field("MaxResults").as_deref(), Some("1000"));
        assert_eq!(fake.sent()[0].field("IncludeManagedResources").as_deref(), Some("true"), "hidden ones too");
    }
    let fake = Fake::new(two_pages);
    let instance = InstanceId::parse("i-903004f8").unwrap();
    interfaces(&client(&fake), Filter::Instance(&instance), 1).await.unwrap();
    assert_eq!(fake.sent()[0].field("Filter.1.Name").as_deref(), Some("attachment.instance-id"));
    assert_eq!(fake.sent()[0].field("Filter.1.Value.1").as_deref(), Some("i-903004f8"));
}

#[tokio::test]
async fn a_prefix_list_is_read_to_its_end() {
    let fake = Fake::new(|sent| {
        let (cidr, next) = match sent.field("NextToken") {
            None => ("10.0.0.0/8", "<nextToken>more</nextToken>"),
            Some(_) => ("0.0.0.0/0", ""),
        };
        xml(sent, &format!("<entrySet><item><cidr>{cidr}</cidr></item></entrySet>{next}"))
    });
    let list = prefix_list(&client(&fake), "pl-1").await.unwrap();
    assert_eq!(list, Some(vec!["10.0.0.0/8".to_owned(), "0.0.0.0/0".to_owned()]));
    assert_eq!(fake.sent()[0].field("PrefixListId").as_deref(), Some("pl-1"));
}

#[tokio::test]
async fn a_listing_that_never_ends_is_given_up() {
    let fake = Fake::new(|sent| xml(sent, "<nextToken>again</nextToken>"));
    let client = client(&fake);
    let group = group_id();
    for fault in [
        rules(&client, &group).await.map(drop),
        prefix_list(&client, "pl-1").await.map(drop),
        interfaces(&client, Filter::Group(&group), 1).await.map(drop),
    ] {
        assert!(matches!(fault, Err(Fault::GiveUp(why)) if why.contains("did not end")));
    }
    assert_eq!(fake.sent().len(), 3 * PAGES);
}

#[tokio::test]
async fn what_is_not_there_is_no_error_and_nothing_of_an_answer_gets_out() {
    let error = |status, code: &'static str| {
        Fake::new(move |_| {
            let error = format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>");
            answer(status, format!("<Response><Errors>{error}</Errors></Response>"))
        })
    };
    let missing = error(400, "InvalidGroup.NotFound");
    assert_eq!(group(&client(&missing), &group_id()).await, Ok(None));
    assert_eq!(rules(&client(&missing), &group_id()).await, Ok(vec![]));
    let vpc = VpcId::parse("vpc-903004f8").unwrap();
    assert_eq!(default_group(&client(&error(400, "InvalidVpcID.NotFound")), &vpc).await, Ok(None));
    for (status, code) in
        [(503, "RequestLimitExceeded"), (403, "UnauthorizedOperation"), (500, "InternalError"), (400, "X")]
    {
        let fault = group(&client(&error(status, code)), &group_id()).await.unwrap_err();
        assert!(!format!("{fault:?} {fault}").contains(SECRET), "{fault:?}");
    }
}

#[tokio::test]
async fn another_group_than_the_one_asked_for_is_not_it() {
    let fake = Fake::new(|sent| {
        xml(
            sent,
            "<securityGroupInfo><item><groupId>sg-903004f9</groupId><groupName>web</groupName></item></securityGroupInfo>",
        )
    });
    assert_eq!(group(&client(&fake), &group_id()).await, Ok(None));
    let vpc = VpcId::parse("vpc-903004f8").unwrap();
    assert_eq!(default_group(&client(&fake), &vpc).await, Ok(None));
}
