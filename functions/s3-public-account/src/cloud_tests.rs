//! `cloud.rs` against recorded answers of S3 and S3 Control: which requests it makes, and what it makes of the answers.

use super::*;
use remediation::Control as _;
use remediation::testing::{self, Answer, Fake, SECRET, Sent, answer, occasion, ok};
use s3::PublicWebsites;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const CONTROL: &str = "111122223333.s3-control.us-west-2.amazonaws.com";

/// `GET account`, `GET buckets`, `GET acl`, …
fn about(sent: &Sent) -> String {
    let about = match sent.path.as_str() {
        "/v20180820/configuration/publicAccessBlock" => "account",
        _ if bucket(sent).is_none() => "buckets",
        _ => {
            sent.query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).find(|n| *n != "x-id").unwrap()
        }
    };
    format!("{} {about}", sent.method)
}

fn bucket(sent: &Sent) -> Option<&str> {
    let name = sent.path.trim_matches('/');
    (sent.host.starts_with("s3.") && !name.is_empty()).then_some(name)
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"))
}

/// S3 Control wraps its errors once more.
fn control_error(status: u16, code: &str, message: &str) -> Answer {
    answer(
        status,
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"),
    )
}

fn block_xml(settings: &[(&str, bool)]) -> Answer {
    let settings: Vec<String> = settings.iter().map(|(name, on)| format!("<{name}>{on}</{name}>")).collect();
    ok(format!("<PublicAccessBlockConfiguration>{}</PublicAccessBlockConfiguration>", settings.concat()))
}

const NAMES: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

fn full() -> Answer {
    block_xml(&NAMES.map(|name| (name, true)))
}

fn listing(buckets: &[(&str, &str)], next: &str) -> Answer {
    let bucket = |(name, region): &(&str, &str)| {
        let region = if region.is_empty() { String::new() } else { format!("<BucketRegion>{region}</BucketRegion>") };
        format!("<Bucket><Name>{name}</Name>{region}</Bucket>")
    };
    let all: String = buckets.iter().map(bucket).collect();
    let next = if next.is_empty() { String::new() } else { format!("<ContinuationToken>{next}</ContinuationToken>") };
    ok(format!("<ListAllMyBucketsResult><Buckets>{all}</Buckets>{next}</ListAllMyBucketsResult>"))
}

const ALL_USERS: &str = "<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
    xsi:type=\"Group\"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>\
    </AccessControlList></AccessControlPolicy>";
const WEBSITE: &str =
    "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
const PHI: &str = "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag></TagSet></Tagging>";

fn ownership(rule: &str) -> Answer {
    ok(format!("<OwnershipControls><Rule><ObjectOwnership>{rule}</ObjectOwnership></Rule></OwnershipControls>"))
}

/// An account without a block, whose buckets say by their names what they are.
fn open(buckets: &'static [(&'static str, &'static str)]) -> impl Fn(&Sent) -> Answer + Send + Sync + 'static {
    move |sent| {
        let name = bucket(sent).unwrap_or_default();
        let is = |word: &str| name.contains(word);
        match about(sent).as_str() {
            "GET account" => control_error(404, "NoSuchPublicAccessBlockConfiguration", SECRET),
            "GET buckets" => listing(buckets, ""),
            _ if is("denied") => error(403, "AccessDenied"),
            _ if is("gone") => error(404, "NoSuchBucket"),
            "GET publicAccessBlock" if is("closed") => full(),
            "GET publicAccessBlock" if is("restricted") => block_xml(&[("RestrictPublicBuckets", true)]),
            "GET publicAccessBlock" if is("ignoring") => block_xml(&[("IgnorePublicAcls", true)]),
            "GET publicAccessBlock" => error(404, "NoSuchPublicAccessBlockConfiguration"),
            "GET policyStatus" if is("policy") => ok("<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>"),
            "GET policyStatus" => error(404, "NoSuchBucketPolicy"),
            "GET acl" if is("acl") => ok(ALL_USERS),
            "GET acl" => ok("<AccessControlPolicy><AccessControlList/></AccessControlPolicy>"),
            "GET website" if is("site") => ok(WEBSITE),
            "GET website" => error(404, "NoSuchWebsiteConfiguration"),
            "GET tagging" if is("phi") => ok(PHI),
            "GET tagging" => error(404, "NoSuchTagSet"),
            "GET ownershipControls" if is("writers") => ownership("ObjectWriter"),
            "GET ownershipControls" => ownership("BucketOwnerEnforced"),
            other => panic!("asked for {other:?}"),
        }
    }
}

fn place() -> Place<Account> {
    testing::place::<PublicAccount>("111122223333")
}

fn cloud(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Fake, S3) {
    let fake = Fake::new(answer);
    let cloud = S3::new(&fake.sdk(), WebsiteParameters::default());
    (fake, cloud)
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().map(about).collect()
}

async fn survey(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> Survey {
    let (_, cloud) = cloud(answer);
    cloud.observe(&place(), &occasion()).await.unwrap().unwrap().survey.unwrap()
}

#[tokio::test]
async fn a_compliant_account_costs_one_request() {
    let (fake, cloud) = cloud(|_| full());
    let state = State { block: Some(Block::FULL), survey: None };
    assert_eq!(cloud.observe(&place(), &occasion()).await, Ok(Some(state)));
    assert_eq!(asked(&fake), ["GET account"]);
    assert_eq!(fake.sent()[0].host, CONTROL, "the account before the host, and the place's region");
    assert_eq!(fake.sent()[0].header("x-amz-account-id"), Some(testing::ACCOUNT));
}

#[tokio::test]
async fn a_setting_that_is_not_in_the_answer_is_off() {
    for off in NAMES {
        let settings: Vec<(&str, bool)> =
            NAMES.into_iter().filter(|name| *name != off).map(|name| (name, true)).collect();
        let (_, cloud) =
            cloud(move |sent| if about(sent) == "GET account" { block_xml(&settings) } else { listing(&[], "") });
        let state = cloud.observe(&place(), &occasion()).await.unwrap().unwrap();
        assert!(state.block != Some(Block::FULL) && state.survey.is_some(), "{off}");
    }
}

#[tokio::test]
async fn every_bucket_is_looked_at_in_its_own_region() {
    let (fake, cloud) = cloud(open(&[
        ("closed-one", "eu-central-1"),
        ("policy-one", "us-east-1"),
        ("acl-one", "ap-south-1"),
        ("policy-site", "us-west-2"),
        ("policy-phi-site", "us-west-2"),
        ("writers-site", "us-west-2"),
        ("quiet-site", "us-west-2"),
        ("restricted-policy-acl", "us-west-2"),
        ("ignoring-policy-acl", "us-west-2"),
        ("gone-one", "us-west-2"),
        ("denied-one", "us-west-2"),
        ("quiet-one", "us-west-2"),
    ]));
    let state = cloud.observe(&place(), &occasion()).await.unwrap().unwrap();
    let survey = state.survey.unwrap();
    assert_eq!(state.block, None);
    assert_eq!(survey.buckets, 11, "one is gone");
    assert_eq!(survey.public_policies.first, ["ignoring-policy-acl", "policy-one", "policy-phi-site", "policy-site"]);
    assert_eq!(survey.public_acls.first, ["acl-one", "restricted-policy-acl"]);
    // A website whose objects may be public by their own ACLs counts: which are, no look at the bucket shows.
    assert_eq!(survey.websites.first, ["policy-site", "writers-site"]);
    assert_eq!(survey.phi_websites.first, ["policy-phi-site"]);
    assert_eq!(
        survey.unknown.first,
        ["denied-one: s3:GetBucketPublicAccessBlock denied"],
        "it stops nobody else's look"
    );
    let at = |name: &str| fake.sent().iter().filter(|sent| bucket(sent) == Some(name)).cloned().collect::<Vec<_>>();
    assert_eq!(at("closed-one").len(), 1, "its own block closes it");
    assert_eq!(at("closed-one")[0].host, "s3.eu-central-1.amazonaws.com");
    let hosts: BTreeSet<String> = fake.sent().into_iter().map(|sent| sent.host).collect();
    assert_eq!(hosts.len(), 1 + 4, "a connection for each region, not for each bucket: {hosts:?}");
    assert_eq!(at("quiet-one").len(), 4);
    for sent in fake.sent() {
        let owned = sent.header("x-amz-expected-bucket-owner") == Some(testing::ACCOUNT);
        assert!(owned || bucket(&sent).is_none(), "{sent:?}");
    }
}

#[tokio::test]
async fn what_the_account_closes_already_is_not_public_now() {
    let with = |settings: &'static [(&'static str, bool)]| {
        let open = open(&[("policy-acl-site", "us-west-2")]);
        move |sent: &Sent| if about(sent) == "GET account" { block_xml(settings) } else { open(sent) }
    };
    let restricts = survey(with(&[("RestrictPublicBuckets", true)])).await;
    assert_eq!((restricts.public_policies.count, restricts.public_acls.count, restricts.websites.count), (0, 1, 1));
    let ignores = survey(with(&[("IgnorePublicAcls", true)])).await;
    assert_eq!((ignores.public_policies.count, ignores.public_acls.count, ignores.websites.count), (1, 0, 1));
    let both = survey(with(&[("IgnorePublicAcls", true), ("RestrictPublicBuckets", true)])).await;
    assert_eq!((both.public_policies.count, both.public_acls.count, both.websites.count), (0, 0, 0));
}

#[tokio::test]
async fn any_aws_account_is_the_public_and_log_delivery_is_not() {
    for (group, public) in [("global/AllUsers", 1), ("global/AuthenticatedUsers", 1), ("s3/LogDelivery", 0)] {
        let open = open(&[("acl-one", "us-west-2")]);
        let acl = ALL_USERS.replace("global/AllUsers", group);
        let found = survey(move |sent| if about(sent) == "GET acl" { ok(acl.clone()) } else { open(sent) }).await;
        assert_eq!(found.public_acls.count, public, "{group}");
    }
}

#[tokio::test]
async fn a_listing_without_regions_leads_there_all_the_same() {
    let open = open(&[("policy-one", "")]);
    let found = survey(move |sent| {
        if bucket(sent).is_some() && !sent.host.contains("eu-central-1") {
            let headers = vec![("x-amz-bucket-region", "eu-central-1".to_owned())];
            return Answer { headers, ..error(301, "PermanentRedirect") };
        }
        open(sent)
    });
    assert_eq!(found.await.public_policies.first, ["policy-one"]);
}

#[tokio::test]
async fn the_listing_is_followed_page_by_page() {
    let kind = |n| if n % 4 == 0 { "policy" } else { "closed" };
    let buckets: Vec<String> = (0..80).map(|n| format!("{}-{n}", kind(n))).collect();
    let pages = AtomicUsize::new(0);
    let base = open(&[]);
    let (fake, cloud) = cloud(move |sent| {
        if about(sent) != "GET buckets" {
            return base(sent);
        }
        let page = pages.fetch_add(1, Ordering::Relaxed);
        assert_eq!(sent.query.contains(&format!("continuation-token=t{page}")), page > 0, "{}", sent.query);
        let names: Vec<String> = buckets.iter().map(|name| format!("{name}-{page}")).collect();
        let names: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "us-west-2")).collect();
        listing(&names, &if page == 9 { String::new() } else { format!("t{}", page + 1) })
    });
    let found = cloud.observe(&place(), &occasion()).await.unwrap().unwrap().survey.unwrap();
    assert_eq!((found.buckets, found.public_policies.count, found.public_policies.first.len()), (800, 200, 50));
    let looked: BTreeSet<String> = fake.sent().iter().filter_map(bucket).map(str::to_owned).collect();
    assert_eq!(looked.len(), 800);
}

#[tokio::test]
async fn one_occasion_has_one_survey_of_the_same_block() {
    let (fake, cloud) = cloud(open(&[("policy-one", "us-west-2")]));
    let first = cloud.observe(&place(), &occasion()).await.unwrap();
    let once = fake.sent().len();
    // A reading-back that still shows the old block.
    assert_eq!(cloud.observe(&place(), &occasion()).await.unwrap(), first);
    assert_eq!(fake.sent().len(), once + 1);
    let mut later = occasion();
    later.now += Duration::from_secs(1);
    cloud.observe(&place(), &later).await.unwrap();
    assert_eq!(fake.sent().len(), 2 * once + 1, "another occasion looks again");
}

#[tokio::test]
async fn a_bucket_that_failed_in_passing_is_looked_at_again_and_then_fails_the_look() {
    for (failures, sound) in [(1, true), (2, false)] {
        let left = AtomicUsize::new(failures);
        let base = open(&[("policy-one", "us-west-2"), ("policy-two", "us-west-2")]);
        let (_, cloud) = cloud(move |sent| {
            let fail = bucket(sent) == Some("policy-one")
                && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
            if fail { error(503, "SlowDown") } else { base(sent) }
        });
        match cloud.observe(&place(), &occasion()).await {
            Ok(state) => assert!(sound && state.unwrap().survey.unwrap().public_policies.count == 2),
            Err(fault) => assert!(!sound && fault.is_worth_a_retry(), "{fault:?}"),
        }
    }
}

#[tokio::test]
async fn a_role_that_was_given_too_little_is_named_and_not_every_bucket_unknown() {
    let base = open(&[("policy-one", "us-west-2")]);
    let message = "User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: s3:GetBucketAcl on resource: \
                   \"arn:aws:s3:::policy-one\" because no identity-based policy allows the s3:GetBucketAcl action";
    let (_, cloud) = cloud(move |sent| {
        if about(sent) == "GET acl" {
            return answer(403, format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"));
        }
        base(sent)
    });
    let Err(Fault::Denied { action, by: DeniedBy::OurRole, .. }) = cloud.observe(&place(), &occasion()).await else {
        panic!()
    };
    assert_eq!(action, "s3:GetBucketAcl");
    assert!(PublicAccount::ABOUT.observes_with.contains(&action));
}

#[tokio::test]
async fn without_a_listing_there_is_no_survey() {
    let base = open(&[]);
    let (_, cloud) = cloud(move |s| if about(s) == "GET buckets" { error(403, "AccessDenied") } else { base(s) });
    let Err(Fault::Denied { action, .. }) = cloud.observe(&place(), &occasion()).await else { panic!() };
    assert_eq!(action, "s3:ListAllMyBuckets");
}

#[tokio::test]
async fn the_writes() {
    let (fake, cloud) = cloud(|_| ok(""));
    cloud.apply(&place(), &Change::PutPublicAccessBlock(Block::FULL)).await.unwrap();
    cloud.apply(&place(), &Change::DeletePublicAccessBlock).await.unwrap();
    assert_eq!(asked(&fake), ["PUT account", "DELETE account"]);
    let sent = fake.sent();
    for name in NAMES {
        assert!(sent[0].body.contains(&format!("<{name}>true</{name}>")), "{}", sent[0].body);
    }
    assert!(sent.iter().all(|sent| sent.host == CONTROL), "{sent:?}");
}

#[tokio::test]
async fn what_denied_a_write_is_told_from_the_message() {
    for (message, by) in [
        ("This account is managed by an organization-level Block Public Access policy.", DeniedBy::Organization),
        ("The account's settings are managed by an AWS Organizations policy", DeniedBy::Organization),
        ("... with an explicit deny in a service control policy: arn:aws:organizations::...", DeniedBy::Organization),
        ("... because no identity-based policy allows the s3:PutAccountPublicAccessBlock action", DeniedBy::OurRole),
        ("Access Denied", DeniedBy::Unsaid),
    ] {
        for change in [Change::PutPublicAccessBlock(Block::FULL), Change::DeletePublicAccessBlock] {
            let (_, cloud) = cloud(move |_| control_error(403, "AccessDenied", &format!("{message} {SECRET}")));
            let fault = cloud.apply(&place(), &change).await.unwrap_err();
            let resource = "account 111122223333".to_owned();
            let [action] = PublicAccount::ABOUT.fixes_with else { panic!() };
            assert_eq!(fault, Fault::Denied { action, resource, by }, "{message}");
            assert!(!format!("{fault} {fault:?}").contains(SECRET));
        }
    }
}

#[tokio::test]
async fn another_account_is_never_asked_about_or_written() {
    let (fake, cloud) = cloud(|_| full());
    let theirs = Place { target: Account::parse("444455556666").unwrap(), ..place() };
    assert!(matches!(cloud.observe(&theirs, &occasion()).await, Err(Fault::GiveUp(_))));
    let write = cloud.apply(&theirs, &Change::PutPublicAccessBlock(Block::FULL)).await;
    assert!(matches!(write, Err(Fault::GiveUp(why)) if why.contains("444455556666")));
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test]
async fn a_sweep_has_one_account() {
    let (fake, cloud) = cloud(|_| full());
    let page = cloud.list(&testing::account(), &testing::region(), &occasion(), None).await.unwrap();
    assert_eq!(page, Page { targets: vec![place().target], next: None });
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test]
async fn the_operators_choice_is_in_the_survey() {
    let fake = Fake::new(open(&[]));
    let close = WebsiteParameters { public_websites: PublicWebsites::Close, ..WebsiteParameters::default() };
    let state = S3::new(&fake.sdk(), close).observe(&place(), &occasion()).await.unwrap().unwrap();
    assert_eq!(state.survey.unwrap().public_websites, PublicWebsites::Close);
}

#[tokio::test]
async fn an_accounts_settings_have_no_tags() {
    let (fake, cloud) = cloud(|_| full());
    assert_eq!(cloud.tags(&place()).await, Ok(vec![]));
    assert_eq!((fake.sent().len(), PublicAccount::ABOUT.tags_with.len()), (0, 0));
}
