//! Tags against recorded answers of S3.

use super::*;
use remediation::fault::DeniedBy;
use remediation::testing::{ACCOUNT, Answer, Fake, REGION, SECRET, account, answer, ok, region};

const TAGS: &str = "<Tagging><TagSet><Tag><Key>team</Key><Value>x</Value></Tag>\
    <Tag><Key>data-classification</Key><Value>phi</Value></Tag><Tag><Key>empty</Key><Value></Value></Tag></TagSet></Tagging>";

fn place() -> Place<BucketName> {
    Place { account: account(), region: region(), target: BucketName::parse("clinic-scans").unwrap() }
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"))
}

async fn tags(answer: Answer) -> Result<Vec<(String, String)>, Fault> {
    Clients::new(&Fake::new(move |_| answer.clone()).sdk()).tags(&place()).await
}

#[tokio::test]
async fn one_call_that_names_the_owner() {
    let fake = Fake::new(|_| ok(TAGS));
    let tags = Clients::new(&fake.sdk()).tags(&place()).await.unwrap();
    let tags: Vec<_> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("team", "x"), ("data-classification", "phi"), ("empty", "")]);
    let [sent] = fake.sent().try_into().unwrap();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("GET", "/clinic-scans/"));
    assert!(sent.query.contains("tagging"), "{}", sent.query);
    assert_eq!(sent.host, format!("s3.{REGION}.amazonaws.com"), "the bucket's region, not our own");
    assert_eq!(sent.header("x-amz-expected-bucket-owner"), Some(ACCOUNT));
}

#[tokio::test]
async fn no_tags_and_no_bucket_are_none() {
    assert_eq!(tags(error(404, "NoSuchTagSet")).await, Ok(vec![]));
    assert_eq!(tags(error(404, "NoSuchBucket")).await, Ok(vec![]));
    assert_eq!(tags(ok("<Tagging><TagSet/></Tagging>")).await, Ok(vec![]));
}

/// Whoever takes an unread answer for no tags takes a bucket of health data for another.
#[tokio::test]
async fn what_could_not_be_read_is_not_none() {
    let denied = tags(error(403, "AccessDenied")).await.unwrap_err();
    let Fault::Denied { action, resource, by } = &denied else { panic!("{denied:?}") };
    assert_eq!((*action, resource.as_str(), *by), ("s3:GetBucketTagging", "bucket clinic-scans", DeniedBy::Unsaid));
    assert!(matches!(tags(error(503, "SlowDown")).await, Err(Fault::Retry(_))));
    let mut elsewhere = error(301, "PermanentRedirect");
    elsewhere.headers.push(("x-amz-bucket-region", "eu-west-1".to_owned()));
    assert!(matches!(tags(elsewhere).await, Err(Fault::Elsewhere(region)) if region.as_str() == "eu-west-1"));
}

#[tokio::test]
async fn a_tag_is_its_key_and_its_value() {
    let fake = Fake::new(|_| ok(TAGS));
    let client = Clients::new(&fake.sdk()).at(&region());
    for (tag, is) in [
        ("data-classification=phi", true),
        ("data-classification=", false),
        ("data-classification=PHI", false),
        ("team=phi", false),
        ("empty=", true),
        ("empty", true),
        ("team", false),
    ] {
        assert_eq!(is_tagged(&client, &place(), tag).await, Ok(is), "{tag}");
    }
    let gone = Clients::new(&Fake::new(|_| error(404, "NoSuchBucket")).sdk()).at(&region());
    assert_eq!(is_tagged(&gone, &place(), "a=b").await, Err(Fault::Gone));
}
