//! `cloud.rs` against recorded answers of S3: which requests it makes, and what it makes of the answers.

use super::*;
use remediation::fault::DeniedBy;
use remediation::testing::{self, Answer, SECRET, answer, occasion, ok};
use remediation::{Control, Region};
use s3::{PublicWebsites, Website};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
const PARTNER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const WEBSITE: &str =
    "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";

fn place() -> Place<BucketName> {
    testing::place::<PublicAcl>("clinic-scans")
}

fn error(status: u16, code: &str) -> Answer {
    denied(status, code, SECRET)
}

fn denied(status: u16, code: &str, message: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

fn block(name: &str) -> Answer {
    ok(format!("<PublicAccessBlockConfiguration><{name}>true</{name}></PublicAccessBlockConfiguration>"))
}

fn grant_xml(kind: &str, content: &str, permission: &str) -> String {
    format!(
        r#"<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="{kind}">{content}</Grantee><Permission>{permission}</Permission></Grant>"#
    )
}

fn acl_xml(grants: &[String]) -> String {
    format!(
        "<AccessControlPolicy><Owner><ID>{OWNER}</ID><DisplayName>{SECRET}</DisplayName></Owner><AccessControlList>{}</AccessControlList></AccessControlPolicy>",
        grants.concat()
    )
}

fn account(id: &str, permission: &str) -> Grant {
    Grant { to: Grantee::Account(id.to_owned()), permission: permission.to_owned() }
}

fn group(uri: &str, permission: &str) -> Grant {
    Grant { to: Grantee::Group(uri.to_owned()), permission: permission.to_owned() }
}

fn acl(grants: &[Grant]) -> Acl {
    Acl { owner: Some(OWNER.to_owned()), grants: grants.to_vec() }
}

/// As S3 answers.
fn xml(acl: &Acl) -> String {
    let grants = acl.grants.iter().map(|grant| match &grant.to {
        Grantee::Account(id) => {
            grant_xml("CanonicalUser", &format!("<ID>{id}</ID><DisplayName>{SECRET}</DisplayName>"), &grant.permission)
        }
        Grantee::Group(uri) => grant_xml("Group", &format!("<URI>{uri}</URI>"), &grant.permission),
        Grantee::Other(kind) => grant_xml(kind, "<EmailAddress>a@clinic.example</EmailAddress>", &grant.permission),
    });
    acl_xml(&grants.collect::<Vec<_>>())
}

fn private() -> Acl {
    acl(&[account(OWNER, "FULL_CONTROL"), account(PARTNER, "READ"), group(LOG_DELIVERY, "WRITE")])
}

fn public() -> Acl {
    let mut acl = private();
    acl.grants.insert(1, group(ALL_USERS, "READ"));
    acl
}

/// `GET acl`, …
fn asks(sent: &testing::Sent) -> String {
    let about: String = sent.query.split('&').filter(|pair| !pair.starts_with("x-id=")).collect();
    format!("{} {}", sent.method, about.trim_end_matches('='))
}

/// S3 with this ACL; a website without tags, without a block, from before ownership controls.
fn bucket(acl: &Acl) -> impl Fn(&str) -> Answer + Send + Sync + Clone + use<> {
    let acl = xml(acl);
    move |asked| match asked {
        "GET acl" => ok(acl.clone()),
        "GET publicAccessBlock" => error(404, "NoSuchPublicAccessBlockConfiguration"),
        "GET ownershipControls" => error(404, "OwnershipControlsNotFoundError"),
        "GET website" => ok(WEBSITE),
        "GET tagging" => error(404, "NoSuchTagSet"),
        "PUT acl" => ok(""),
        other => panic!("asked for {other:?}"),
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

    async fn apply(&self, was: Acl, acl: Acl) -> Result<(), Fault> {
        self.s3.apply(&place(), &Change::PutBucketAcl { was, acl }).await
    }

    fn asked(&self) -> Vec<String> {
        self.aws.sent().iter().map(asks).collect()
    }
}

#[tokio::test]
async fn a_compliant_bucket_costs_one_request() {
    for acl in [acl(&[account(OWNER, "FULL_CONTROL")]), private(), acl(&[])] {
        let fake = Fake::new(bucket(&acl));
        assert_eq!(fake.observe().await, Ok(Some(State { acl, look: None })));
        assert_eq!(fake.asked(), ["GET acl"]);
        assert_eq!(fake.aws.sent()[0].host, "s3.us-west-2.amazonaws.com", "the bucket's region");
    }
}

#[tokio::test]
async fn public_grants_cost_three_more_and_a_website_its_tags() {
    let website = Some(Website { phi: false, public_websites: PublicWebsites::Refuse });
    let look = Look { disabled: false, ignored: false, website };
    let fake = Fake::new(bucket(&public()));
    assert_eq!(fake.observe().await, Ok(Some(State { acl: public(), look: Some(look) })));
    let expected = ["GET acl", "GET publicAccessBlock", "GET ownershipControls", "GET website", "GET tagging"];
    assert_eq!(fake.asked(), expected);
    let others = bucket(&public());
    let fake = Fake::new(move |asked| match asked {
        "GET website" => error(404, "NoSuchWebsiteConfiguration"),
        "GET publicAccessBlock" => block("IgnorePublicAcls"),
        asked => others(asked),
    });
    let expected_look = Look { ignored: true, website: None, ..look };
    assert_eq!(fake.observe().await.unwrap().unwrap().look, Some(expected_look));
    assert_eq!(fake.asked(), expected[..4]);
    let unknown = acl(&[group("http://acs.amazonaws.com/groups/x", "READ")]);
    let fake = Fake::new(bucket(&unknown));
    assert!(fake.observe().await.unwrap().unwrap().look.is_some());
}

#[tokio::test]
async fn what_object_ownership_says() {
    for (rule, disabled) in [("BucketOwnerEnforced", true), ("BucketOwnerPreferred", false), ("ObjectWriter", false)] {
        let others = bucket(&public());
        let controls =
            format!("<OwnershipControls><Rule><ObjectOwnership>{rule}</ObjectOwnership></Rule></OwnershipControls>");
        let fake =
            Fake::new(move |asked| if asked == "GET ownershipControls" { ok(controls.clone()) } else { others(asked) });
        assert_eq!(fake.observe().await.unwrap().unwrap().look.unwrap().disabled, disabled, "{rule}");
    }
}

#[tokio::test]
async fn grantees_as_s3_shows_them() {
    let uri = format!("<URI>{ALL_USERS}</URI>");
    let cases = [
        (grant_xml("Group", &uri, "READ"), Grantee::Group(ALL_USERS.to_owned())),
        // What it holds counts, not what it calls itself: a public grant must not slip through.
        (grant_xml("Nonsense", &uri, "READ"), Grantee::Group(ALL_USERS.to_owned())),
        (
            format!("<Grant><Grantee>{uri}</Grantee><Permission>READ</Permission></Grant>"),
            Grantee::Group(ALL_USERS.to_owned()),
        ),
        (
            grant_xml("CanonicalUser", "<ID>1</ID><EmailAddress>a@b</EmailAddress>", "READ"),
            Grantee::Account("1".to_owned()),
        ),
        (
            grant_xml("AmazonCustomerByEmail", "<EmailAddress>a@b</EmailAddress>", "READ"),
            Grantee::Other("AmazonCustomerByEmail".to_owned()),
        ),
        (grant_xml("CanonicalUser", "<ID></ID>", "READ"), Grantee::Other("CanonicalUser".to_owned())),
        ("<Grant><Permission>READ</Permission></Grant>".to_owned(), Grantee::Other(String::new())),
    ];
    for (xml, to) in cases {
        let body = acl_xml(std::slice::from_ref(&xml));
        let others = bucket(&private());
        let fake = Fake::new(move |asked| if asked == "GET acl" { ok(body.clone()) } else { others(asked) });
        let expected = acl(&[Grant { to, permission: "READ".to_owned() }]);
        assert_eq!(fake.observe().await.unwrap().unwrap().acl, expected, "{xml}");
    }
}

#[tokio::test]
async fn an_acl_without_an_owner_is_not_written() {
    let fake = Fake::new(|_| ok("<AccessControlPolicy><AccessControlList/></AccessControlPolicy>"));
    assert_eq!(fake.observe().await.unwrap().unwrap().acl, Acl { owner: None, grants: vec![] });
    let fake = Fake::new(bucket(&public()));
    let ownerless = Acl { owner: None, ..private() };
    assert!(matches!(fake.apply(public(), ownerless).await, Err(Fault::GiveUp(_))));
    assert_eq!(fake.asked(), ["GET acl"]);
}

#[tokio::test]
async fn the_write_has_the_owner_and_every_grant_that_stays() {
    let fake = Fake::new(bucket(&public()));
    fake.apply(public(), private()).await.unwrap();
    assert_eq!(fake.asked(), ["GET acl", "PUT acl"]);
    let sent = fake.aws.sent().pop().unwrap();
    for text in [
        format!("<Owner><ID>{OWNER}</ID></Owner>"),
        format!("xsi:type=\"CanonicalUser\"><ID>{OWNER}</ID></Grantee><Permission>FULL_CONTROL</Permission>"),
        format!("xsi:type=\"CanonicalUser\"><ID>{PARTNER}</ID></Grantee><Permission>READ</Permission>"),
        format!("xsi:type=\"Group\"><URI>{LOG_DELIVERY}</URI></Grantee><Permission>WRITE</Permission>"),
    ] {
        assert!(sent.body.contains(&text), "{text} in {}", sent.body);
    }
    assert_eq!(sent.body.matches("<Grant>").count(), 3, "{}", sent.body);
    assert!(!sent.body.contains(ALL_USERS));
    assert!(!sent.headers.iter().any(|(name, _)| name.starts_with("x-amz-acl") || name.starts_with("x-amz-grant")));
    let fake = Fake::new(bucket(&acl(&[group(ALL_USERS, "READ")])));
    fake.apply(acl(&[group(ALL_USERS, "READ")]), acl(&[])).await.unwrap();
    let body = fake.aws.sent().pop().unwrap().body;
    assert!(body.contains("AccessControlList") && !body.contains("<Grant>"), "{body}");
}

#[tokio::test]
async fn an_acl_that_somebody_changed_meanwhile_is_not_written_over() {
    let mut changed = public();
    changed.grants.push(account(PARTNER, "WRITE"));
    let fake = Fake::new(bucket(&changed));
    assert!(matches!(fake.apply(public(), private()).await, Err(Fault::Moved(_))));
    assert_eq!(fake.asked(), ["GET acl"], "nothing was written");
    // Another order is the same; what is already so is done.
    let mut turned = public();
    turned.grants.reverse();
    let fake = Fake::new(bucket(&turned));
    fake.apply(public(), private()).await.unwrap();
    assert_eq!(fake.asked(), ["GET acl", "PUT acl"]);
    let fake = Fake::new(bucket(&private()));
    assert_eq!(fake.apply(public(), private()).await, Ok(()));
    assert_eq!(fake.asked(), ["GET acl"]);
}

#[tokio::test]
async fn acls_that_are_switched_off_meanwhile() {
    let off = |acl: &Acl| {
        let others = bucket(acl);
        Fake::new(
            move |asked| {
                if asked == "PUT acl" { error(400, "AccessControlListNotSupported") } else { others(asked) }
            },
        )
    };
    // A fix looks again and finds nothing to do; an undo cannot be made.
    assert!(matches!(off(&public()).apply(public(), private()).await, Err(Fault::Moved(_))));
    let Err(Fault::GiveUp(why)) = off(&private()).apply(private(), public()).await else { panic!() };
    assert!(why.contains("BucketOwnerEnforced"), "{why}");
}

#[tokio::test]
async fn an_undo_that_a_block_refuses_says_what_to_undo_first() {
    for setting in ["BlockPublicAcls", "IgnorePublicAcls"] {
        let others = bucket(&private());
        let fake =
            Fake::new(move |asked| if asked == "GET publicAccessBlock" { block(setting) } else { others(asked) });
        let Err(Fault::GiveUp(why)) = fake.apply(private(), public()).await else { panic!() };
        assert!(why.contains("s3-public-bucket") && why.contains("first"), "{why}");
        assert_eq!(fake.asked(), ["GET acl", "GET publicAccessBlock"], "it was not tried");
    }
    let others = bucket(&private());
    let message =
        format!("{SECRET} because public ACLs are blocked by the BlockPublicAcls block public access setting.");
    let fake =
        Fake::new(move |asked| if asked == "PUT acl" { denied(403, "AccessDenied", &message) } else { others(asked) });
    let Err(Fault::GiveUp(why)) = fake.apply(private(), public()).await else { panic!() };
    assert!(why.contains("s3-public-account") && !why.contains(SECRET), "{why}");
    let fake = Fake::new(bucket(&private()));
    fake.apply(private(), public()).await.unwrap();
    assert!(fake.aws.sent().pop().unwrap().body.contains(ALL_USERS));
}

#[tokio::test]
async fn every_request_names_the_owner_that_it_expects() {
    let fake = Fake::new(bucket(&public()));
    fake.observe().await.unwrap();
    fake.apply(public(), private()).await.unwrap();
    let sent = fake.aws.sent();
    assert_eq!(sent.len(), 7);
    for sent in sent {
        assert_eq!(sent.header("x-amz-expected-bucket-owner"), Some(testing::ACCOUNT), "{sent:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_or_elsewhere() {
    for gone in ["GET acl", "GET publicAccessBlock", "GET ownershipControls", "GET website", "GET tagging"] {
        let others = bucket(&public());
        let fake = Fake::new(move |asked| if asked == gone { error(404, "NoSuchBucket") } else { others(asked) });
        assert_eq!(fake.observe().await, Ok(None), "{gone}");
    }
    let fake = Fake::new(|_| error(404, "NoSuchBucket"));
    assert_eq!(fake.apply(public(), private()).await, Err(Fault::Gone));
    let fake = Fake::new(|_| {
        let mut answer = error(301, "PermanentRedirect");
        answer.headers.push(("x-amz-bucket-region", "eu-central-1".to_owned()));
        answer
    });
    assert_eq!(fake.observe().await, Err(Fault::Elsewhere(Region::parse("eu-central-1").unwrap())));
}

#[tokio::test]
async fn a_denied_request_names_the_action_that_is_missing() {
    for (request, action) in [
        ("GET acl", "s3:GetBucketAcl"),
        ("GET publicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("GET ownershipControls", "s3:GetBucketOwnershipControls"),
        ("GET website", "s3:GetBucketWebsite"),
        ("GET tagging", "s3:GetBucketTagging"),
    ] {
        let others = bucket(&public());
        let fake = Fake::new(move |asked| if asked == request { error(403, "AccessDenied") } else { others(asked) });
        let denied = Fault::Denied { action, resource: "bucket clinic-scans".to_owned(), by: DeniedBy::Unsaid };
        assert_eq!(fake.observe().await, Err(denied), "{request}");
        assert!(PublicAcl::ABOUT.observes_with.contains(&action), "{action}");
    }
    let others = bucket(&public());
    let fake = Fake::new(move |asked| if asked == "PUT acl" { error(403, "AccessDenied") } else { others(asked) });
    let Err(Fault::Denied { action, .. }) = fake.apply(public(), private()).await else { panic!() };
    assert_eq!((PublicAcl::ABOUT.fixes_with, PublicAcl::ABOUT.undoes_with), (&[action][..], &[action][..]));
}

#[tokio::test]
async fn no_fault_repeats_what_aws_said() {
    for (code, status) in [("AccessDenied", 403), ("SlowDown", 503), ("InternalError", 500), ("MethodNotAllowed", 405)]
    {
        for request in ["GET acl", "GET ownershipControls", "PUT acl"] {
            let others = bucket(&public());
            let fake = Fake::new(move |asked| if asked == request { error(status, code) } else { others(asked) });
            let faults = [fake.observe().await.err(), fake.apply(public(), private()).await.err()];
            assert!(faults.iter().any(Option::is_some), "{request}");
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
    assert_eq!(PublicAcl::ABOUT.tags_with, [action]);
}
