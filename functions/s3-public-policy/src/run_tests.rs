//! Whole runs of the engine over a bucket that keeps what is put into it.

use crate::{Parameters, PublicPolicy, S3};
use remediation::event::{Order, Past};
use remediation::testing::{self, Answer, answer, ok, requests};
use remediation::{Mode, Outcome, Record};
use serde_json::Value;
use std::sync::{Arc, Mutex};

const PUBLIC: &str = "{\n  \"Statement\": [ {\"Sid\":\"Viewer\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::clinic-scans/*\"},\n    {\"Sid\":\"TLS\",\"Effect\":\"Deny\",\"Principal\":\"\\u002a\",\"Action\":\"s3:*\",\"Resource\":\"*\",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}}} ],\n  \"Version\":\"2012-10-17\" }";
const CLOSED: &str = "{\n  \"Statement\": [ {\"Sid\":\"TLS\",\"Effect\":\"Deny\",\"Principal\":\"\\u002a\",\"Action\":\"s3:*\",\"Resource\":\"*\",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}}} ],\n  \"Version\":\"2012-10-17\" }";
const LONE: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}}"#;
const ODD: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"x"}}}"#;

/// A bucket: its policy, its block's settings that are on, whether it is a website, and what somebody else makes of the
/// policy (one, or none) right after our first look.
#[derive(Clone, Default)]
struct Bucket {
    policy: Option<String>,
    block: &'static [&'static str],
    website: bool,
    meanwhile: Option<Vec<String>>,
    writes: usize,
}

impl Bucket {
    fn answer(&mut self, sent: &testing::Sent) -> Answer {
        let missing = |code: &str| answer(404, format!("<Error><Code>{code}</Code></Error>"));
        let about = sent.query.split(['&', '=']).next().unwrap_or_default();
        match (sent.method.as_str(), about) {
            ("GET", "policy") => self.policy.clone().map_or_else(|| missing("NoSuchBucketPolicy"), ok),
            ("GET", "policyStatus") => {
                if let Some(meanwhile) = self.meanwhile.take() {
                    self.policy = meanwhile.into_iter().next();
                    return ok("<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>");
                }
                // S3's own judgement: here, whether a statement for everybody is in it.
                let public = self.policy.as_deref().is_some_and(|text| text.contains("\"Principal\":\"*\""));
                ok(format!("<PolicyStatus><IsPublic>{public}</IsPublic></PolicyStatus>"))
            }
            ("GET", "publicAccessBlock") => {
                let on: Vec<String> = self.block.iter().map(|name| format!("<{name}>true</{name}>")).collect();
                let on = on.concat();
                ok(format!("<PublicAccessBlockConfiguration>{on}</PublicAccessBlockConfiguration>"))
            }
            ("GET", "website") if self.website => ok("<WebsiteConfiguration/>"),
            ("GET", "website") => missing("NoSuchWebsiteConfiguration"),
            ("GET", "tagging") => missing("NoSuchTagSet"),
            ("PUT", "policy") => {
                self.writes += 1;
                self.policy = Some(sent.body.clone());
                answer(204, "")
            }
            ("DELETE", "policy") => {
                self.writes += 1;
                self.policy = None;
                answer(204, "")
            }
            other => panic!("asked for {other:?}"),
        }
    }
}

struct Account {
    bucket: Arc<Mutex<Bucket>>,
    s3: S3,
}

impl Account {
    fn with(bucket: Bucket) -> Self {
        let bucket = Arc::new(Mutex::new(bucket));
        let ours = Arc::clone(&bucket);
        let aws = testing::Fake::new(move |sent| ours.lock().unwrap().answer(sent));
        Self { bucket, s3: S3::new(&aws.sdk(), Parameters::default()) }
    }

    fn of(policy: &str) -> Self {
        Self::with(Bucket { policy: Some(policy.to_owned()), ..Bucket::default() })
    }

    async fn run(&self, order: Order, overrides: &[&str]) -> Record {
        let request = testing::asks::<PublicPolicy>(testing::place::<PublicPolicy>("clinic-scans"), order, overrides);
        testing::run(&self.s3, &request, Mode::Enforce).await
    }

    async fn fix(&self) -> Record {
        self.run(Order::Fix(None), &[]).await
    }

    async fn undo(&self, record: &Record) -> Record {
        let past: Past = serde_json::from_value(serde_json::to_value(record).unwrap()).unwrap();
        self.run(Order::Undo(Box::new(past)), &[]).await
    }

    fn policy(&self) -> Option<String> {
        self.bucket.lock().unwrap().policy.clone()
    }

    fn writes(&self) -> usize {
        self.bucket.lock().unwrap().writes
    }
}

#[tokio::test(start_paused = true)]
async fn a_fix_and_its_undo_are_exact_to_the_byte() {
    for (before, after) in [(PUBLIC, Some(CLOSED)), (LONE, None)] {
        let account = Account::of(before);
        let record = account.fix().await;
        assert_eq!((record.outcome, account.policy().as_deref(), account.writes()), (Outcome::Fixed, after, 1));
        assert_eq!(account.fix().await.outcome, Outcome::Compliant);
        let undone = account.undo(&record).await;
        assert_eq!((undone.outcome, account.policy().as_deref()), (Outcome::Undone, Some(before)));
        let again = account.undo(&undone).await;
        assert_eq!((again.outcome, account.policy().as_deref()), (Outcome::Undone, after), "an undo can be undone");
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_while_the_block_is_on_changes_nothing_and_says_the_order() {
    let account = Account::of(PUBLIC);
    let record = account.fix().await;
    account.bucket.lock().unwrap().block = &["BlockPublicPolicy"];
    let undone = account.undo(&record).await;
    assert_eq!((undone.outcome, account.policy().as_deref(), undone.retry), (Outcome::Failed, Some(CLOSED), false));
    assert!(undone.why.contains("s3-public-bucket"), "{}", undone.why);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_somebody_rewrites_while_we_plan_is_planned_for_afresh() {
    for (meanwhile, outcome, writes) in
        [(Some(LONE), Outcome::Fixed, 1), (Some(CLOSED), Outcome::Fixed, 0), (None, Outcome::Compliant, 0)]
    {
        let account = Account::of(PUBLIC);
        account.bucket.lock().unwrap().meanwhile = Some(meanwhile.into_iter().map(str::to_owned).collect());
        let record = account.fix().await;
        assert_eq!(account.writes(), writes, "{meanwhile:?}: {}", record.why);
        assert_eq!(record.outcome, outcome, "{meanwhile:?}: {}", record.why);
        let left = if meanwhile == Some(CLOSED) { Some(CLOSED) } else { None };
        assert_eq!(account.policy().as_deref(), left, "{meanwhile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_website_is_darkened_only_by_somebody_who_says_so() {
    let account = Account::of(PUBLIC);
    account.bucket.lock().unwrap().website = true;
    let record = account.fix().await;
    assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("public-website")));
    assert_eq!(account.writes(), 0);
    let record = account.run(Order::Fix(None), &["public-website"]).await;
    assert_eq!((record.outcome, account.policy().as_deref()), (Outcome::Fixed, Some(CLOSED)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_stays_and_the_outcome_says_so() {
    let viewer = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}"#;
    let both = format!(r#"{{"Statement":[{viewer},{ODD}]}}"#);
    let odd = format!(r#"{{"Statement":[{ODD}]}}"#);
    let account = Account::of(&both);
    let record = account.fix().await;
    assert_eq!((record.outcome, account.policy()), (Outcome::PartlyFixed, Some(odd.clone())), "{}", record.why);
    let record = account.fix().await;
    assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("not-understood")));
    // All or nothing under the block, and nothing is tried that S3 would refuse.
    let account = Account::of(&both);
    account.bucket.lock().unwrap().block = &["BlockPublicPolicy"];
    let record = account.fix().await;
    assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("block-public-policy")));
    assert_eq!(account.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_buckets_policy_never_gets_into_anothers() {
    // Both in one process, as in a warm sandbox.
    let (one, other) = (Account::of(PUBLIC), Account::of(LONE));
    one.fix().await;
    other.fix().await;
    assert_eq!((one.policy().as_deref(), other.policy()), (Some(CLOSED), None));
}

#[tokio::test(start_paused = true)]
async fn the_example_of_an_undo_puts_the_policy_back() {
    let event: Value = serde_json::from_str(include_str!("../../../events/s3-public-policy/manual-undo.json")).unwrap();
    let text = |state: &str| event.pointer(&format!("/record/{state}/policy")).unwrap().as_str().unwrap();
    let account = Account::of(text("after"));
    let order = requests::<PublicPolicy>(&event).unwrap().remove(0).order;
    let record = account.run(order, &[]).await;
    assert_eq!(
        (record.outcome, account.policy().as_deref()),
        (Outcome::Undone, Some(text("before"))),
        "{}",
        record.why
    );
    // And it is a record of ours: a fix from there leads to where it says.
    let again = account.fix().await;
    assert_eq!((again.outcome, account.policy().as_deref()), (Outcome::Fixed, Some(text("after"))));
    for field in ["before", "changes", "undo", "breaks"] {
        assert_eq!(serde_json::to_value(&again).unwrap()[field], event["record"][field], "{field}");
    }
}
