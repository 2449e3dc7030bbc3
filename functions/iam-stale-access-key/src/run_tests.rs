//! The control and its cloud half together, through the engine, against an IAM that remembers.

use crate::{Parameters, StaleAccessKey, Users};
use remediation::testing::{self, Answer, Fake, Sent, answer, occasion, ok, requests};
use remediation::{Mode, Outcome, Record};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use time::Duration;
use time::format_description::well_known::Rfc3339;

const OLD: &str = "AKIAEXAMPLEEXAMPLE01";
const NEW: &str = "AKIAEXAMPLEEXAMPLE02";

/// A key: whether it is active, how many days ago it was made, and how many ago it was used.
type Keys = BTreeMap<&'static str, (bool, i64, i64)>;

/// What a call does to the keys before it is answered; an answer, where IAM does not answer as it would.
type Quirk = fn(&Sent, &mut Keys) -> Option<Answer>;

struct Account {
    users: Users,
    fake: Fake,
    keys: Arc<Mutex<Keys>>,
}

fn account(keys: &[(&'static str, (bool, i64, i64))], quirk: Quirk) -> Account {
    let keys: Arc<Mutex<Keys>> = Arc::new(Mutex::new(keys.iter().copied().collect()));
    let there = Arc::clone(&keys);
    let fake = Fake::new(move |sent| {
        let mut keys = there.lock().unwrap();
        quirk(sent, &mut keys).unwrap_or_else(|| iam(sent, &mut keys))
    });
    Account { users: Users::new(&fake.sdk(), Parameters { max_age_days: 0, ..Parameters::default() }), fake, keys }
}

fn usual(_: &Sent, _: &mut Keys) -> Option<Answer> {
    None
}

fn date(days: i64) -> String {
    (occasion().now - Duration::days(days)).format(&Rfc3339).unwrap()
}

fn result(call: &str, inner: &str) -> Answer {
    ok(format!("<{call}Response><{call}Result>{inner}</{call}Result></{call}Response>"))
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"))
}

fn iam(sent: &Sent, keys: &mut Keys) -> Answer {
    let call = sent.operation().unwrap();
    let named = sent.field("AccessKeyId");
    match call.as_str() {
        "ListAccessKeys" => {
            let members: Vec<String> = keys
                .iter()
                .map(|(id, (active, made, _))| {
                    let status = if *active { "Active" } else { "Inactive" };
                    format!(
                        "<member><UserName>bob</UserName><AccessKeyId>{id}</AccessKeyId><Status>{status}</Status>\
                         <CreateDate>{}</CreateDate></member>",
                        date(*made)
                    )
                })
                .collect();
            result(&call, &format!("<AccessKeyMetadata>{}</AccessKeyMetadata>", members.concat()))
        }
        "GetUser" => result(
            &call,
            &format!(
                "<User><Path>/</Path><UserName>bob</UserName><UserId>AIDAEXAMPLEEXAMPLE111</UserId>\
                 <Arn>arn:aws:iam::111122223333:user/bob</Arn><CreateDate>{}</CreateDate></User>",
                date(500)
            ),
        ),
        "GetAccessKeyLastUsed" => {
            let (_, _, used) = keys[named.as_deref().unwrap()];
            result(
                &call,
                &format!(
                    "<UserName>bob</UserName><AccessKeyLastUsed><LastUsedDate>{}</LastUsedDate>\
                     <ServiceName>s3</ServiceName><Region>us-east-1</Region></AccessKeyLastUsed>",
                    date(used)
                ),
            )
        }
        "UpdateAccessKey" => {
            assert_eq!(sent.field("UserName").as_deref(), Some("bob"));
            let Some(key) = keys.get_mut(named.as_deref().unwrap()) else { return error(404, "NoSuchEntity") };
            key.0 = sent.field("Status").as_deref() == Some("Active");
            ok("<UpdateAccessKeyResponse/>")
        }
        other => panic!("asked for {other}"),
    }
}

impl Account {
    async fn run(&self, mode: Mode, event: Value) -> Record {
        let [request] = requests::<StaleAccessKey>(&event).unwrap().try_into().unwrap();
        testing::run(&self.users, &request, mode).await
    }

    async fn enforce(&self) -> Record {
        self.run(Mode::Enforce, json!({"resource": "bob", "mode": "enforce"})).await
    }

    fn active(&self) -> Vec<&'static str> {
        self.keys.lock().unwrap().iter().filter(|(_, (active, ..))| *active).map(|(id, _)| *id).collect()
    }

    fn writes(&self) -> usize {
        self.fake.sent().iter().filter(|sent| sent.operation().as_deref() == Some("UpdateAccessKey")).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_writes_nothing_and_a_fix_only_what_it_said() {
    let account = account(&[(OLD, (true, 400, 200)), (NEW, (true, 30, 0))], usual);
    let plan = account.run(Mode::Enforce, json!({"resource": "bob"})).await;
    assert_eq!((plan.outcome, account.writes()), (Outcome::Planned, 0));
    let fix = account.enforce().await;
    assert_eq!(fix.outcome, Outcome::Fixed, "{}", fix.why);
    assert_eq!((account.active(), account.writes()), (vec![NEW], 1));
    assert_eq!(fix.changes, plan.changes);
    assert_eq!(account.enforce().await.outcome, Outcome::Compliant, "a duplicate finds nothing to do");
    assert_eq!(account.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_wakes_up_between_plan_and_write_is_left_alone() {
    let account = account(&[(OLD, (true, 400, 200))], |sent, keys| {
        // The look asks once, the write once more; by then the key was used.
        if sent.operation().as_deref() == Some("GetAccessKeyLastUsed") {
            let answer = iam(sent, keys);
            keys.insert(OLD, (true, 400, 0));
            return Some(answer);
        }
        None
    });
    let record = account.enforce().await;
    assert_eq!((record.outcome, account.writes()), (Outcome::Compliant, 0), "{}", record.why);
    assert_eq!(account.active(), [OLD]);
}

#[tokio::test(start_paused = true)]
async fn one_of_two_keys_is_partly_fixed_and_says_which() {
    let account = account(&[(OLD, (true, 400, 200)), (NEW, (true, 300, 200))], |sent, _| {
        let second =
            sent.operation().as_deref() == Some("UpdateAccessKey") && sent.field("AccessKeyId").as_deref() == Some(NEW);
        second.then(|| error(400, "Throttling"))
    });
    let record = account.enforce().await;
    assert_eq!(record.outcome, Outcome::PartlyFixed, "{}", record.why);
    assert!(record.retry);
    assert_eq!(account.active(), [NEW]);
    assert!(serde_json::to_string(&record.remaining).unwrap().contains(NEW));
    assert!(!serde_json::to_string(&record.remaining).unwrap().contains(OLD));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_deleted_before_its_write_does_not_keep_the_other() {
    let account = account(&[(OLD, (true, 400, 200)), (NEW, (true, 300, 200))], |sent, keys| {
        let first =
            sent.operation().as_deref() == Some("UpdateAccessKey") && sent.field("AccessKeyId").as_deref() == Some(OLD);
        first.then(|| {
            keys.remove(OLD);
            error(404, "NoSuchEntity")
        })
    });
    let record = account.enforce().await;
    assert_eq!(record.outcome, Outcome::Fixed, "{}", record.why);
    assert_eq!(account.active(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_undo_gives_back_the_very_keys() {
    let account = account(&[(OLD, (true, 400, 200)), (NEW, (true, 30, 0))], usual);
    let fix = serde_json::to_value(account.enforce().await).unwrap();
    let undo = account.run(Mode::Plan, json!({"mode": "undo", "record": fix})).await;
    assert_eq!(undo.outcome, Outcome::Undone, "{}", undo.why);
    assert_eq!((account.active(), account.writes()), (vec![OLD, NEW], 2));
    let again = account.run(Mode::Plan, json!({"mode": "undo", "record": serde_json::to_value(undo).unwrap()})).await;
    assert_eq!((again.outcome, account.active()), (Outcome::Undone, vec![NEW]), "{}", again.why);
}

#[tokio::test(start_paused = true)]
async fn an_undo_does_not_bring_back_what_somebody_else_switched_off() {
    let account = account(&[(OLD, (true, 400, 200)), (NEW, (true, 30, 0))], usual);
    let fix = serde_json::to_value(account.enforce().await).unwrap();
    account.keys.lock().unwrap().get_mut(NEW).unwrap().0 = false;
    let refused = account.run(Mode::Plan, json!({"mode": "undo", "record": fix})).await;
    assert_eq!(refused.refused_by.as_deref(), Some("moved-on"));
    let forced = account.run(Mode::Plan, json!({"mode": "undo", "record": fix, "override": ["moved-on"]})).await;
    assert_eq!((forced.outcome, account.active()), (Outcome::Undone, vec![OLD]), "{}", forced.why);
}

#[tokio::test(start_paused = true)]
async fn an_undo_claims_no_key_that_was_deleted_since() {
    let account = account(&[(OLD, (true, 400, 200)), (NEW, (true, 300, 200))], usual);
    let fix = serde_json::to_value(account.enforce().await).unwrap();
    account.keys.lock().unwrap().remove(OLD);
    let some = account.run(Mode::Plan, json!({"mode": "undo", "record": fix})).await;
    assert_eq!((some.outcome, account.active()), (Outcome::PartlyFixed, vec![NEW]), "{}", some.why);
    assert!(!some.retry && serde_json::to_string(&some.remaining).unwrap().contains(OLD));
    account.keys.lock().unwrap().remove(NEW);
    let none = account.run(Mode::Plan, json!({"mode": "undo", "record": fix})).await;
    assert_eq!((none.outcome, none.retry), (Outcome::Gone, false), "{}", none.why);
    assert!(none.undo.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_example_of_an_undo_is_a_record_of_ours() {
    let event = include_str!("../../../events/iam-stale-access-key/manual-undo.json");
    let account = account(&[(OLD, (false, 400, 200)), (NEW, (true, 30, 0))], usual);
    let undo = account.run(Mode::Plan, serde_json::from_str(event).unwrap()).await;
    assert_eq!((undo.outcome, account.active()), (Outcome::Undone, vec![OLD, NEW]), "{}", undo.why);
}
