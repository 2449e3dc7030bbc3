//! Whole runs of the engine over a bucket that keeps what is put into it.

use crate::{Parameters, PublicAcl, S3, State};
use remediation::event::{Order, Past};
use remediation::testing::{self, Answer, answer, ok, requests};
use remediation::{Control, Mode, Outcome, Record};
use serde_json::Value;
use std::sync::{Arc, Mutex};

const OWNER: &str = "<Owner><ID>79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be</ID></Owner>";
const OWN: &str = r#"<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>"#;
const LOGS: &str = r#"<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee><Permission>WRITE</Permission></Grant>"#;
const EVERYBODY: &str = r#"<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>"#;
const PARTNER: &str = r#"<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef</ID></Grantee><Permission>READ</Permission></Grant>"#;

/// A bucket: its grants, its block's settings that are on, whether it is a website, and the grants that somebody else makes
/// right after our first look.
#[derive(Clone, Default)]
struct Bucket {
    grants: Vec<&'static str>,
    block: &'static [&'static str],
    website: bool,
    disabled: bool,
    meanwhile: Option<Vec<&'static str>>,
    writes: usize,
}

impl Bucket {
    fn answer(&mut self, sent: &testing::Sent) -> Answer {
        let missing = |code: &str| answer(404, format!("<Error><Code>{code}</Code></Error>"));
        let about = sent.query.split(['&', '=']).next().unwrap_or_default();
        match (sent.method.as_str(), about) {
            ("GET", "acl") => {
                let own = [OWN];
                let grants = if self.disabled { &own[..] } else { &self.grants };
                ok(format!(
                    "<AccessControlPolicy>{OWNER}<AccessControlList>{}</AccessControlList></AccessControlPolicy>",
                    grants.concat()
                ))
            }
            ("GET", "ownershipControls") => {
                if let Some(meanwhile) = self.meanwhile.take() {
                    self.grants = meanwhile;
                }
                missing("OwnershipControlsNotFoundError")
            }
            ("GET", "publicAccessBlock") => {
                let on: Vec<String> = self.block.iter().map(|name| format!("<{name}>true</{name}>")).collect();
                let on = on.concat();
                ok(format!("<PublicAccessBlockConfiguration>{on}</PublicAccessBlockConfiguration>"))
            }
            ("GET", "website") if self.website => ok("<WebsiteConfiguration/>"),
            ("GET", "website") => missing("NoSuchWebsiteConfiguration"),
            ("GET", "tagging") => missing("NoSuchTagSet"),
            ("PUT", "acl") if self.disabled => answer(400, "<Error><Code>AccessControlListNotSupported</Code></Error>"),
            ("PUT", "acl") => {
                self.writes += 1;
                let known = [OWN, LOGS, EVERYBODY, PARTNER];
                let whole = sent.body.split_inclusive("</Grant>").filter(|part| part.ends_with("</Grant>"));
                let grants = whole.map(|part| part.get(part.find("<Grant>").unwrap()..).unwrap());
                let same = |given: &str, grant: &&&'static str| {
                    let content = |text: &str| text.split("xsi:type").nth(1).unwrap().to_owned();
                    content(given) == content(grant)
                };
                self.grants = grants.map(|given| *known.iter().find(|grant| same(given, grant)).unwrap()).collect();
                ok("")
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

    fn of(grants: &[&'static str]) -> Self {
        Self::with(Bucket { grants: grants.to_vec(), ..Bucket::default() })
    }

    async fn run(&self, order: Order, overrides: &[&str]) -> Record {
        let request = testing::asks::<PublicAcl>(testing::place::<PublicAcl>("clinic-scans"), order, overrides);
        testing::run(&self.s3, &request, Mode::Enforce).await
    }

    async fn fix(&self) -> Record {
        self.run(Order::Fix(None), &[]).await
    }

    async fn undo(&self, record: &Record) -> Record {
        let past: Past = serde_json::from_value(serde_json::to_value(record).unwrap()).unwrap();
        self.run(Order::Undo(Box::new(past)), &[]).await
    }

    fn grants(&self) -> Vec<&'static str> {
        self.bucket.lock().unwrap().grants.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Bucket)) {
        change(&mut self.bucket.lock().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_fix_keeps_log_delivery_and_its_undo_puts_the_very_grants_back() {
    let before = [OWN, EVERYBODY, LOGS, PARTNER];
    let account = Account::of(&before);
    let record = account.fix().await;
    assert_eq!((record.outcome, account.grants()), (Outcome::Fixed, vec![OWN, LOGS, PARTNER]), "{}", record.why);
    assert_eq!(account.fix().await.outcome, Outcome::Compliant);
    let undone = account.undo(&record).await;
    assert_eq!((undone.outcome, account.grants()), (Outcome::Undone, before.to_vec()), "{}", undone.why);
    let again = account.undo(&undone).await;
    assert_eq!((again.outcome, account.grants()), (Outcome::Undone, vec![OWN, LOGS, PARTNER]));
}

#[tokio::test(start_paused = true)]
async fn an_undo_while_the_block_is_on_changes_nothing_and_says_the_order() {
    let account = Account::of(&[OWN, EVERYBODY]);
    let record = account.fix().await;
    account.change(|bucket| bucket.block = &["IgnorePublicAcls"]);
    let undone = account.undo(&record).await;
    assert_eq!((undone.outcome, account.grants(), undone.retry), (Outcome::Failed, vec![OWN], false));
    assert!(undone.why.contains("s3-public-bucket"), "{}", undone.why);
}

#[tokio::test(start_paused = true)]
async fn an_acl_that_somebody_rewrites_while_we_plan_is_planned_for_afresh() {
    let account = Account::of(&[OWN, EVERYBODY]);
    account.change(|bucket| bucket.meanwhile = Some(vec![OWN, EVERYBODY, PARTNER]));
    let record = account.fix().await;
    assert_eq!((record.outcome, account.grants()), (Outcome::Fixed, vec![OWN, PARTNER]), "{}", record.why);
    assert_eq!(account.bucket.lock().unwrap().writes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_listed_website_is_closed_only_by_somebody_who_says_so() {
    let account = Account::of(&[OWN, EVERYBODY]);
    account.change(|bucket| bucket.website = true);
    let record = account.fix().await;
    assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("public-website")));
    let record = account.run(Order::Fix(None), &["public-website"]).await;
    assert_eq!((record.outcome, account.grants()), (Outcome::Fixed, vec![OWN]));
}

#[tokio::test(start_paused = true)]
async fn an_undo_where_acls_were_switched_off_says_why_not() {
    let account = Account::of(&[OWN, EVERYBODY]);
    let record = account.fix().await;
    account.change(|bucket| bucket.disabled = true);
    let undone = account.undo(&record).await;
    assert_eq!((undone.outcome, undone.retry), (Outcome::Failed, false));
    assert!(undone.why.contains("BucketOwnerEnforced"), "{}", undone.why);
}

#[tokio::test(start_paused = true)]
async fn one_buckets_grants_never_get_into_anothers() {
    // Both in one process, as in a warm sandbox.
    let (one, other) = (Account::of(&[OWN, EVERYBODY, PARTNER]), Account::of(&[OWN, EVERYBODY]));
    one.fix().await;
    other.fix().await;
    assert_eq!((one.grants(), other.grants()), (vec![OWN, PARTNER], vec![OWN]));
}

#[test]
fn the_example_of_an_undo_is_a_record_of_ours() {
    let event: Value = serde_json::from_str(include_str!("../../../events/s3-public-acl/manual-undo.json")).unwrap();
    let Order::Undo(past) = requests::<PublicAcl>(&event).unwrap().remove(0).order else { panic!() };
    let before: State = serde_json::from_value(past.before.clone()).unwrap();
    let after = PublicAcl::desired(&before);
    assert_eq!(serde_json::to_value(&after).unwrap()["acl"], past.after["acl"]);
    let changes = |from: &State, to: &State| serde_json::to_value(PublicAcl::changes(from, to)).unwrap();
    assert_eq!(changes(&before, &after), event["record"]["changes"]);
    assert_eq!(changes(&after, &before), event["record"]["undo"]);
    let breaks = serde_json::to_value(PublicAcl::risks(&before, &after)).unwrap();
    assert_eq!(breaks, event["record"]["breaks"]);
}
