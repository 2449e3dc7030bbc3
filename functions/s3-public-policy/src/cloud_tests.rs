//! `cloud.rs` against recorded answers of S3: which requests it makes, and what it makes of the answers.

use super::*;
use remediation::fault::DeniedBy;
use remediation::testing::{self, Answer, SECRET, answer, occasion, ok};
use remediation::{Control, Region};
use s3::{PublicWebsites, Website};

const PUBLIC: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Viewer","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::clinic-scans/*"}]}"#;
const TIED: &str = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}}]}"#;
const NAMED: &str = "{\n \"Statement\": {\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"444455556666\"},\"Action\":\"s3:GetObject\",\"Resource\":\"\\u002a\"} }\n";
const WEBSITE: &str =
    "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";

fn place() -> Place<BucketName> {
    testing::place::<PublicPolicy>("clinic-scans")
}

fn error(status: u16, code: &str) -> Answer {
    denied(status, code, SECRET)
}

fn denied(status: u16, code: &str, message: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

fn status(public: bool) -> Answer {
    ok(format!("<PolicyStatus><IsPublic>{public}</IsPublic></PolicyStatus>"))
}

fn block(name: &str) -> Answer {
    ok(format!("<PublicAccessBlockConfiguration><{name}>true</{name}></PublicAccessBlockConfiguration>"))
}

/// `GET policy`, …
fn asks(sent: &testing::Sent) -> String {
    let about: String = sent.query.split('&').filter(|pair| !pair.starts_with("x-id=")).collect();
    format!("{} {}", sent.method, about.trim_end_matches('='))
}

/// S3 with this policy, judged public or not; a website without tags, without a block.
fn bucket(policy: Option<&'static str>, public: bool) -> impl Fn(&str) -> Answer + Send + Sync + Clone {
    move |asked| match (asked, policy) {
        ("GET policy", Some(policy)) => ok(policy),
        ("GET policy" | "GET policyStatus", None) => error(404, "NoSuchBucketPolicy"),
        ("GET policyStatus", Some(_)) => status(public),
        ("GET publicAccessBlock", _) => error(404, "NoSuchPublicAccessBlockConfiguration"),
        ("GET website", _) => ok(WEBSITE),
        ("GET tagging", _) => error(404, "NoSuchTagSet"),
        ("PUT policy" | "DELETE policy", _) => answer(204, ""),
        (other, _) => panic!("asked for {other:?}"),
    }
}

struct Fake {
    s3: S3,
    aws: testing::Fake,
}

impl Fake {
    fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let aws = testing::Fake::new(move |sent| answer(&asks(sent)));
        Self { s3: S3::new(&aws.sdk(), Parameters::default()), aws }
    }

    async fn observe(&self) -> Result<Option<State>, Fault> {
        self.s3.observe(&place(), &occasion()).await
    }

    async fn apply(&self, change: &Change) -> Result<(), Fault> {
        self.s3.apply(&place(), change).await
    }

    fn asked(&self) -> Vec<String> {
        self.aws.sent().iter().map(asks).collect()
    }
}

fn put(was: Option<&str>, policy: &str) -> Change {
    Change::PutBucketPolicy { was: was.map(str::to_owned), policy: policy.to_owned() }
}

fn delete(was: &str) -> Change {
    Change::DeleteBucketPolicy { was: Some(was.to_owned()) }
}

#[tokio::test]
async fn a_compliant_bucket_costs_one_request() {
    for policy in [None, Some(NAMED)] {
        let fake = Fake::new(bucket(policy, false));
        let expected = State { policy: policy.map(str::to_owned), look: None };
        assert_eq!(fake.observe().await, Ok(Some(expected)), "letter by letter");
        assert_eq!(fake.asked(), ["GET policy"]);
        assert_eq!(fake.aws.sent()[0].host, "s3.us-west-2.amazonaws.com", "the bucket's region");
    }
}

#[tokio::test]
async fn where_conditions_hold_the_public_off_s3_is_asked_once() {
    let fake = Fake::new(bucket(Some(TIED), false));
    assert_eq!(fake.observe().await.unwrap().unwrap().look, None);
    assert_eq!(fake.asked(), ["GET policy", "GET policyStatus"]);
    let unclear = "{}";
    let fake = Fake::new(bucket(Some(unclear), false));
    assert_eq!(fake.observe().await.unwrap().unwrap().look, None);
    assert_eq!(fake.asked(), ["GET policy", "GET policyStatus"]);
    let fake = Fake::new(bucket(Some(TIED), true));
    assert!(fake.observe().await.unwrap().unwrap().look.unwrap().public);
    let asked = fake.asked();
    assert_eq!(asked.iter().filter(|asked| *asked == "GET policyStatus").count(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_public_policy_costs_three_more_and_a_website_its_tags() {
    let fake = Fake::new(bucket(Some(PUBLIC), true));
    let website = Some(Website { phi: false, public_websites: PublicWebsites::Refuse });
    let look = Look { public: true, refuses_public: false, restricted: false, website };
    assert_eq!(fake.observe().await, Ok(Some(State { policy: Some(PUBLIC.to_owned()), look: Some(look) })));
    let expected = ["GET policy", "GET policyStatus", "GET publicAccessBlock", "GET website", "GET tagging"];
    assert_eq!(fake.asked(), expected);
    let plain = bucket(Some(PUBLIC), false);
    let fake = Fake::new(move |asked| match asked {
        "GET website" => error(404, "NoSuchWebsiteConfiguration"),
        asked => plain(asked),
    });
    assert_eq!(fake.observe().await.unwrap().unwrap().look, Some(Look { public: false, website: None, ..look }));
    assert_eq!(fake.asked(), expected[..4]);
}

#[tokio::test]
async fn what_the_block_and_the_tags_say() {
    for (setting, refuses, restricted) in [
        ("BlockPublicPolicy", true, false),
        ("RestrictPublicBuckets", false, true),
        ("BlockPublicAcls", false, false),
        ("IgnorePublicAcls", false, false),
    ] {
        let others = bucket(Some(PUBLIC), true);
        let fake =
            Fake::new(move |asked| if asked == "GET publicAccessBlock" { block(setting) } else { others(asked) });
        let look = fake.observe().await.unwrap().unwrap().look.unwrap();
        assert_eq!((look.refuses_public, look.restricted), (refuses, restricted), "{setting}");
    }
    for (value, phi) in [("phi", true), ("PHI", false), ("", false)] {
        let others = bucket(Some(PUBLIC), true);
        let tags = format!(
            "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>{value}</Value></Tag></TagSet></Tagging>"
        );
        let fake = Fake::new(move |asked| if asked == "GET tagging" { ok(tags.clone()) } else { others(asked) });
        assert_eq!(fake.observe().await.unwrap().unwrap().look.unwrap().website.unwrap().phi, phi, "{value:?}");
    }
}

#[tokio::test]
async fn the_write_is_the_very_text_after_a_look_at_what_is_there() {
    let fake = Fake::new(bucket(Some(PUBLIC), true));
    fake.apply(&put(Some(PUBLIC), NAMED)).await.unwrap();
    assert_eq!(fake.asked(), ["GET policy", "PUT policy"]);
    let sent = fake.aws.sent().pop().unwrap();
    assert_eq!(sent.body, NAMED, "letter by letter");
    let checked = |name: &str| name == "content-md5" || name.starts_with("x-amz-checksum-");
    assert!(sent.headers.iter().any(|(name, _)| checked(name)), "S3 wants a checksum: {:?}", sent.headers);
    let fake = Fake::new(bucket(Some(PUBLIC), true));
    fake.apply(&delete(PUBLIC)).await.unwrap();
    assert_eq!(fake.asked(), ["GET policy", "DELETE policy"]);
}

#[tokio::test]
async fn a_policy_that_somebody_changed_meanwhile_is_not_written_over() {
    for (now, change) in [
        (Some(TIED), put(Some(PUBLIC), NAMED)),
        (None, put(Some(PUBLIC), NAMED)),
        (Some(TIED), delete(PUBLIC)),
        (Some(TIED), put(None, PUBLIC)),
    ] {
        let fake = Fake::new(bucket(now, true));
        assert!(matches!(fake.apply(&change).await, Err(Fault::Moved(_))), "{now:?} {change:?}");
        assert_eq!(fake.asked(), ["GET policy"], "nothing was written");
    }
}

#[tokio::test]
async fn what_is_already_so_counts_as_done() {
    for (now, change) in [(Some(NAMED), put(Some(PUBLIC), NAMED)), (None, delete(PUBLIC))] {
        let fake = Fake::new(bucket(now, false));
        assert_eq!(fake.apply(&change).await, Ok(()));
        assert_eq!(fake.asked(), ["GET policy"]);
    }
    // S3's own spelling of the policy that was read is the same policy.
    let fake = Fake::new(bucket(Some(PUBLIC), true));
    let spelled = PUBLIC.replace("\"s3:GetObject\"", " [ \"s3:GetObject\" ] ");
    fake.apply(&put(Some(&spelled), NAMED)).await.unwrap();
    assert_eq!(fake.asked(), ["GET policy", "PUT policy"]);
}

#[tokio::test]
async fn an_undo_that_a_block_refuses_says_what_to_undo_first() {
    let others = bucket(None, false);
    let fake = Fake::new(
        move |asked| if asked == "GET publicAccessBlock" { block("BlockPublicPolicy") } else { others(asked) },
    );
    let Err(Fault::GiveUp(why)) = fake.apply(&put(None, PUBLIC)).await else { panic!() };
    assert!(why.contains("s3-public-bucket") && why.contains("first"), "{why}");
    assert_eq!(fake.asked(), ["GET policy", "GET publicAccessBlock"], "it was not tried");
    // The account's block: only S3's refusal tells.
    let others = bucket(None, false);
    let message = format!(
        "User: {SECRET} is not authorized to perform: s3:PutBucketPolicy on resource: x because public policies are blocked \
         by the BlockPublicPolicy block public access setting."
    );
    let fake = Fake::new(
        move |asked| if asked == "PUT policy" { denied(403, "AccessDenied", &message) } else { others(asked) },
    );
    let Err(Fault::GiveUp(why)) = fake.apply(&put(None, PUBLIC)).await else { panic!() };
    assert!(why.contains("s3-public-account") && !why.contains(SECRET), "{why}");
    // A fix that is refused so is no undo, and is told so.
    let others = bucket(Some(PUBLIC), true);
    let message = "because public policies are blocked by the BlockPublicPolicy block public access setting";
    let fake = Fake::new(
        move |asked| if asked == "PUT policy" { denied(403, "AccessDenied", message) } else { others(asked) },
    );
    let Err(Fault::GiveUp(why)) = fake.apply(&put(Some(PUBLIC), NAMED)).await else { panic!() };
    assert!(why.contains("by hand") && !why.contains("undo"), "{why}");
    // Where nothing blocks it, an undo is the text and nothing else.
    let fake = Fake::new(bucket(None, false));
    fake.apply(&put(None, PUBLIC)).await.unwrap();
    assert_eq!(fake.aws.sent().pop().unwrap().body, PUBLIC);
}

#[tokio::test]
async fn a_principal_that_was_deleted_since_is_no_riddle() {
    let others = bucket(None, false);
    let fake =
        Fake::new(move |asked| if asked == "PUT policy" { error(400, "MalformedPolicy") } else { others(asked) });
    let Err(Fault::GiveUp(why)) = fake.apply(&put(None, NAMED)).await else { panic!() };
    assert!(why.contains("principal") && !why.contains(SECRET), "{why}");
}

#[tokio::test]
async fn every_request_names_the_owner_that_it_expects() {
    let fake = Fake::new(bucket(Some(PUBLIC), true));
    fake.observe().await.unwrap();
    fake.apply(&put(Some(PUBLIC), NAMED)).await.unwrap();
    fake.apply(&delete(PUBLIC)).await.unwrap();
    let sent = fake.aws.sent();
    assert_eq!(sent.len(), 9);
    for sent in sent {
        assert_eq!(sent.header("x-amz-expected-bucket-owner"), Some(testing::ACCOUNT), "{sent:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_or_elsewhere() {
    for gone in ["GET policy", "GET policyStatus", "GET publicAccessBlock", "GET website", "GET tagging"] {
        let others = bucket(Some(PUBLIC), true);
        let fake = Fake::new(move |asked| if asked == gone { error(404, "NoSuchBucket") } else { others(asked) });
        assert_eq!(fake.observe().await, Ok(None), "{gone}");
    }
    let fake = Fake::new(|_| error(404, "NoSuchBucket"));
    assert_eq!(fake.apply(&put(Some(PUBLIC), NAMED)).await, Err(Fault::Gone));
    assert_eq!(fake.apply(&delete(PUBLIC)).await, Err(Fault::Gone));
    let fake = Fake::new(|_| {
        let mut answer = error(301, "PermanentRedirect");
        answer.headers.push(("x-amz-bucket-region", "eu-central-1".to_owned()));
        answer
    });
    let elsewhere = Fault::Elsewhere(Region::parse("eu-central-1").unwrap());
    assert_eq!(fake.observe().await, Err(elsewhere.clone()));
    assert_eq!(fake.apply(&delete(PUBLIC)).await, Err(elsewhere));
}

#[tokio::test]
async fn a_denied_request_names_the_action_that_is_missing() {
    for (request, action) in [
        ("GET policy", "s3:GetBucketPolicy"),
        ("GET policyStatus", "s3:GetBucketPolicyStatus"),
        ("GET publicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("GET website", "s3:GetBucketWebsite"),
        ("GET tagging", "s3:GetBucketTagging"),
    ] {
        let others = bucket(Some(PUBLIC), true);
        let fake = Fake::new(move |asked| if asked == request { error(403, "AccessDenied") } else { others(asked) });
        let denied = Fault::Denied { action, resource: "bucket clinic-scans".to_owned(), by: DeniedBy::Unsaid };
        assert_eq!(fake.observe().await, Err(denied), "{request}");
        assert!(PublicPolicy::ABOUT.observes_with.contains(&action), "{action}");
    }
    for (request, change) in [("PUT policy", put(Some(PUBLIC), NAMED)), ("DELETE policy", delete(PUBLIC))] {
        let others = bucket(Some(PUBLIC), true);
        let fake = Fake::new(move |asked| if asked == request { error(403, "AccessDenied") } else { others(asked) });
        let Err(Fault::Denied { action, .. }) = fake.apply(&change).await else { panic!("{change:?}") };
        assert!(PublicPolicy::ABOUT.fixes_with.contains(&action), "{action}");
        // To take a fix back is to put a policy, since there was one; to take that back in its turn may be to delete it.
        assert!(PublicPolicy::ABOUT.undoes_with.contains(&action), "{action}");
    }
}

#[tokio::test]
async fn no_fault_repeats_what_aws_said() {
    for (code, status) in [("AccessDenied", 403), ("SlowDown", 503), ("InternalError", 500), ("OperationAborted", 409)]
    {
        for request in ["GET policy", "GET policyStatus", "PUT policy", "DELETE policy"] {
            let others = bucket(Some(PUBLIC), true);
            let fake = Fake::new(move |asked| if asked == request { error(status, code) } else { others(asked) });
            let faults = [
                fake.observe().await.err(),
                fake.apply(&put(Some(PUBLIC), NAMED)).await.err(),
                fake.apply(&delete(PUBLIC)).await.err(),
            ];
            assert!(faults.iter().any(Option::is_some));
            for fault in faults.into_iter().flatten() {
                let text = format!("{fault} {fault:?}");
                assert!(!text.contains(SECRET) && !text.contains('<') && text.len() < 600, "{text}");
            }
        }
    }
}

#[tokio::test]
async fn tags_are_the_buckets_own() {
    let fake = Fake::new(|_| ok("<Tagging><TagSet><Tag><Key>team</Key><Value>x</Value></Tag></TagSet></Tagging>"));
    assert_eq!(fake.s3.tags(&place()).await, Ok(vec![("team".to_owned(), "x".to_owned())]));
    assert_eq!(fake.asked(), ["GET tagging"]);
    assert_eq!(fake.aws.sent()[0].header("x-amz-expected-bucket-owner"), Some(testing::ACCOUNT));
    let Err(Fault::Denied { action, .. }) = Fake::new(|_| error(403, "AccessDenied")).s3.tags(&place()).await else {
        panic!()
    };
    assert_eq!(PublicPolicy::ABOUT.tags_with, [action]);
}
