//! The control and its cloud half together, through the engine, against an IAM that remembers.

use crate::{ExposedAccessKey, Keys};
use remediation::event::Unread;
use remediation::testing::{self, Answer, Fake, Sent, answer, ok, requests};
use remediation::{Control, Mode, Outcome, Record};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const KEY: &str = "AKIAEXAMPLEEXAMPLE03";
const OTHER: &str = "AKIAEXAMPLEEXAMPLE04";

type Active = Arc<Mutex<BTreeMap<String, bool>>>;

fn result(call: &str, inner: &str) -> Answer {
    ok(format!("<{call}Response><{call}Result>{inner}</{call}Result></{call}Response>"))
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"))
}

fn iam(sent: &Sent, active: &Active) -> Answer {
    let call = sent.operation().unwrap();
    let named = sent.field("AccessKeyId");
    let mut active = active.lock().unwrap();
    match call.as_str() {
        "GetAccessKeyLastUsed" if !active.contains_key(named.as_deref().unwrap()) => error(404, "NoSuchEntity"),
        "GetAccessKeyLastUsed" => result(
            &call,
            "<UserName>bob</UserName><AccessKeyLastUsed><LastUsedDate>2026-11-22T11:45:00Z</LastUsedDate>\
             <ServiceName>s3</ServiceName><Region>us-east-1</Region></AccessKeyLastUsed>",
        ),
        "ListAccessKeys" => {
            let members: Vec<String> = active
                .iter()
                .map(|(id, active)| {
                    format!(
                        "<member><AccessKeyId>{id}</AccessKeyId><Status>{}</Status>\
                         <CreateDate>2026-01-02T03:04:05Z</CreateDate></member>",
                        if *active { "Active" } else { "Inactive" }
                    )
                })
                .collect();
            result(&call, &format!("<AccessKeyMetadata>{}</AccessKeyMetadata>", members.concat()))
        }
        "UpdateAccessKey" => {
            assert_eq!(sent.field("UserName").as_deref(), Some("bob"));
            if !active.contains_key(named.as_deref().unwrap()) {
                return error(404, "NoSuchEntity");
            }
            active.insert(named.unwrap(), sent.field("Status").as_deref() == Some("Active"));
            ok("<UpdateAccessKeyResponse/>")
        }
        "ListAttachedUserPolicies" => result(&call, "<AttachedPolicies/>"),
        "GetLoginProfile" => error(404, "NoSuchEntity"),
        other => panic!("asked for {other}"),
    }
}

struct Account {
    keys: Keys,
    active: Active,
}

fn account(active: &[(&str, bool)]) -> Account {
    let active: Active = Arc::new(Mutex::new(active.iter().map(|(id, on)| ((*id).to_owned(), *on)).collect()));
    let there = Arc::clone(&active);
    let fake = Fake::new(move |sent| iam(sent, &there));
    Account { keys: Keys::new(&fake.sdk()), active }
}

impl Account {
    async fn run(&self, mode: Mode, event: &Value) -> Record {
        let [request] = requests::<ExposedAccessKey>(event).unwrap().try_into().unwrap();
        testing::run(&self.keys, &request, mode).await
    }

    fn is_active(&self, key: &str) -> bool {
        self.active.lock().unwrap()[key]
    }
}

/// What AWS Health says of a key that it found.
fn health(key: &str) -> Value {
    json!({
        "version": "0",
        "id": "6e3a8f52-1d2c-4b7e-8a11-000000000601",
        "detail-type": "AWS Health Event",
        "source": "aws.health",
        "account": "111122223333",
        "time": "2026-11-22T11:58:36Z",
        "region": "us-east-1",
        "resources": [key],
        "detail": {
            "eventArn": "arn:aws:health:us-east-1::event/RISK/AWS_RISK_CREDENTIALS_EXPOSED/AWS_RISK_CREDENTIALS_EXPOSED-x",
            "service": "RISK",
            "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED",
            "eventTypeCategory": "issue",
            "eventScopeCode": "ACCOUNT_SPECIFIC",
            "startTime": "Sun, 22 Nov 2026 11:57:54 GMT",
            "statusCode": "open",
            "affectedEntities": [{"entityValue": key}],
            "affectedAccount": "111122223333",
            "page": "1",
            "totalPages": "1",
        },
    })
}

#[tokio::test(start_paused = true)]
async fn in_mode_enforce_it_runs_unattended_whatever_the_keys_use() {
    let account = account(&[(KEY, true), (OTHER, true)]);
    let plan = account.run(Mode::Plan, &health(KEY)).await;
    assert_eq!((plan.outcome, account.is_active(KEY)), (Outcome::Planned, true));
    let fix = account.run(Mode::Enforce, &health(KEY)).await;
    assert_eq!(fix.outcome, Outcome::Fixed, "{}", fix.why);
    assert!(!account.is_active(KEY));
    assert!(account.is_active(OTHER), "the other key is told of and left alone");
    assert!(fix.notes.iter().any(|note| note.contains(OTHER)), "{:?}", fix.notes);
    assert_eq!(fix.breaks.len(), 1);
    // Health says it twice, from two regions.
    assert_eq!(account.run(Mode::Enforce, &health(KEY)).await.outcome, Outcome::Compliant);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_deactivated_is_refused_with_what_to_do_instead() {
    let account = account(&[(KEY, true)]);
    for (key, by) in [("ASIAEXAMPLEEXAMPLE05", "session-key"), ("AKIAEXAMPLEEXAMPLE06", "not-a-users-key")] {
        let record = account.run(Mode::Enforce, &json!({"resource": key, "mode": "enforce"})).await;
        assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some(by)));
        assert!(record.outcome.needs_a_person());
    }
    assert!(account.is_active(KEY));
}

#[tokio::test(start_paused = true)]
async fn an_undo_gives_the_key_back_and_says_what_that_means() {
    let account = account(&[(KEY, true)]);
    let fix = serde_json::to_value(account.run(Mode::Enforce, &health(KEY)).await).unwrap();
    let undo = account.run(Mode::Plan, &json!({"mode": "undo", "record": fix})).await;
    assert_eq!((undo.outcome, account.is_active(KEY)), (Outcome::Undone, true), "{}", undo.why);
    assert!(undo.notes.iter().any(|note| note.contains("hands it back")), "{:?}", undo.notes);
}

#[tokio::test(start_paused = true)]
async fn an_undo_claims_no_key_that_was_deleted_since() {
    let account = account(&[(KEY, true)]);
    let fix = serde_json::to_value(account.run(Mode::Enforce, &health(KEY)).await).unwrap();
    account.active.lock().unwrap().remove(KEY);
    let undo = account.run(Mode::Plan, &json!({"mode": "undo", "record": fix})).await;
    assert_eq!((undo.outcome, undo.retry, undo.undo.len()), (Outcome::Gone, false, 0), "{}", undo.why);
}

#[tokio::test(start_paused = true)]
async fn the_example_of_an_undo_is_a_record_of_ours() {
    let event = include_str!("../../../events/iam-exposed-access-key/manual-undo.json");
    let account = account(&[(KEY, false)]);
    let undo = account.run(Mode::Plan, &serde_json::from_str(event).unwrap()).await;
    assert_eq!((undo.outcome, account.is_active(KEY)), (Outcome::Undone, true), "{}", undo.why);
}

#[test]
fn every_incident_starts_it_and_no_other_does() {
    for code in <ExposedAccessKey as Control>::ABOUT.incidents {
        let mut event = health(KEY);
        if code.starts_with("AWS_") {
            event["detail"]["eventTypeCode"] = json!(code);
            assert_eq!(requests::<ExposedAccessKey>(&event).unwrap().len(), 1, "{code}");
        }
    }
    let mut other = health(KEY);
    other["detail"]["eventTypeCode"] = json!("AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED");
    assert!(matches!(requests::<ExposedAccessKey>(&other), Err(Unread::Ignored(_))));
    let call = json!({
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam",
        "account": "111122223333",
        "region": "us-east-1",
        "detail": {
            "eventSource": "iam.amazonaws.com",
            "eventName": "UpdateAccessKey",
            "recipientAccountId": "111122223333",
            "requestParameters": {"userName": "bob", "accessKeyId": KEY, "status": "Active"},
        },
    });
    assert!(requests::<ExposedAccessKey>(&call).is_err());
}
