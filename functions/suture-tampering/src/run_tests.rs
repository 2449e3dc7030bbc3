//! The control and its cloud half together, through the engine, on the events of `events/suture-tampering`.

use crate::{Deployment, Parts, Tampering};
use remediation::event::{Unread, Work};
use remediation::testing::{self, Answer, Fake, Sent, answer, ok, requests, work};
use remediation::{Control, Mode, Outcome, Record};
use serde_json::{Value, json};

fn event(name: &str) -> Value {
    let file = format!("{}/../../events/suture-tampering/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The names in `events/suture-tampering`.
fn deployment() -> Deployment {
    Deployment {
        stack: "suture".to_owned(),
        ledger: "suture-LedgerTable".to_owned(),
        evidence: "suture-evidencebucket".to_owned(),
        topic: "arn:aws:sns:us-east-1:111122223333:suture-Announcements".to_owned(),
    }
}

/// An AWS in which the ledger has the key of the events and a rule is disabled; everything else is gone or denied.
fn aws(sent: &Sent) -> Answer {
    match sent.operation().as_deref() {
        Some("DescribeTable") => ok(json!({"Table": {"SSEDescription": {
            "KMSMasterKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        }}})
        .to_string()),
        Some("DescribeRule") => ok(json!({"State": "DISABLED"}).to_string()),
        Some("ListTargetsByRule") => ok(json!({"Targets": [{"Id": "1", "Arn": "arn:aws:lambda:x"}]}).to_string()),
        _ => answer(403, "{}"),
    }
}

async fn records(name: &str, mode: Mode, aws: fn(&Sent) -> Answer) -> Vec<Record> {
    let fake = Fake::new(aws);
    let parts = Parts::new(&fake.sdk(), deployment());
    let mut records = Vec::new();
    for mut request in requests::<Tampering>(&event(name)).unwrap() {
        // The tests' deployment is in another region than the events.
        request.place.region = testing::region();
        records.push(testing::run(&parts, &request, mode).await);
    }
    records
}

fn calls() -> impl Iterator<Item = &'static str> {
    Tampering::ABOUT.watches.iter().flat_map(|watch| watch.events.iter().copied())
}

/// `UpdateFunctionCode20150331v2` as its file is called: `update-function-code`.
fn file(call: &str) -> String {
    // What begins with `schedule` is a schedule's own event.
    let mut file = if call.starts_with("Schedule") { "kms".to_owned() } else { String::new() };
    for c in call.split("20").next().unwrap().chars() {
        if c.is_ascii_uppercase() && !file.is_empty() {
            file.push('-');
        }
        file.push(c.to_ascii_lowercase());
    }
    file
}

#[tokio::test]
async fn every_call_that_is_watched_is_told_at_once_in_every_mode() {
    for mode in [Mode::Plan, Mode::Approve, Mode::Enforce] {
        for call in calls() {
            let made = records(&file(call), mode, aws).await;
            let [record] = made.as_slice() else { panic!("{call}: {made:?}") };
            assert_eq!(record.outcome, Outcome::Refused, "{call}: {record:?}");
            assert_eq!(record.refused_by.as_deref(), Some("tampering"), "{call}");
            let plain = call.split("20").next().unwrap();
            let begins = format!("arn:aws:iam::111122223333:user/dana called {plain} on Suture's own ");
            assert!(record.why.starts_with(&begins) && record.why.contains("198.51.100.24 (cli)"), "{}", record.why);
            assert!(record.changes.is_empty() && !record.retry, "{call}");
        }
    }
}

#[tokio::test]
async fn what_is_not_ours_is_compliant_and_costs_nobody_sleep() {
    for name in ["other-function", "other-key"] {
        let made = records(name, Mode::Plan, aws).await;
        let [record] = made.as_slice() else { panic!("{name}: {made:?}") };
        assert_eq!(record.outcome, Outcome::Compliant, "{name}: {record:?}");
    }
}

#[tokio::test]
async fn a_deployment_by_cloudformation_is_quiet_where_only_our_stack_can_do_it() {
    let made = records("deployed-update-function-code", Mode::Plan, |sent| {
        if sent.path.ends_with("/concurrency") { ok("{\"ReservedConcurrentExecutions\":5}") } else { ok("{}") }
    });
    let made = made.await;
    let [record] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(record.outcome, Outcome::Compliant, "{record:?}");
    assert!(record.notes.concat().contains("a deployment"), "{record:?}");
    let made = records("deployed-put-role-policy", Mode::Plan, aws).await;
    assert_eq!(made[0].refused_by.as_deref(), Some("tampering"), "{made:?}");
}

#[test]
fn what_failed_was_never_a_change_and_what_makes_no_sense_is_rejected() {
    assert!(matches!(requests::<Tampering>(&event("denied-call")), Err(Unread::Ignored(_))));
    for name in ["hostile-rule-name", "unrendered-template"] {
        let (work, unread) = work::<Tampering>(&event(name));
        assert!(work.is_empty() && matches!(unread.as_slice(), [Unread::Rejected(_)]), "{name}: {unread:?}");
    }
    let (all, _) = work::<Tampering>(&event("schedule"));
    assert!(matches!(all.as_slice(), [Work::All(_)]));
}
