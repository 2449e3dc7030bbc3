//! Records as JSON, and their undo.

use super::*;
use crate::toy::{kept, settings};
use serde_json::json;
use std::rc::Rc;

async fn a_fix() -> (House, Record) {
    let house = scripted([]);
    let record = enforce(&house).await;
    assert_eq!(record.outcome, Outcome::Fixed);
    (house, record)
}

#[tokio::test(start_paused = true)]
async fn a_fix_is_taken_back_from_its_own_json_whatever_the_mode() {
    for mode in [Mode::Plan, Mode::Enforce] {
        let (house, record) = a_fix().await;
        let undone = run(&house, &manual(undo_of(&record), &[]), mode).await;
        assert_eq!((undone.outcome, undone.undoes.as_deref()), (Outcome::Undone, Some("r-1")));
        assert_eq!((house.door(), undone.after.as_ref()), (Some(OPEN), Some(&json!(OPEN))));
        assert!(undone.breaks.is_empty() && undone.remaining.is_empty());
        // And the undo is taken back in turn.
        let again = run(&house, &manual(undo_of(&undone), &[]), mode).await;
        assert_eq!((again.outcome, house.door()), (Outcome::Undone, Some(SHUT)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_asked_for_twice_writes_once() {
    let (house, record) = a_fix().await;
    run(&house, &manual(undo_of(&record), &[]), Mode::Enforce).await;
    let writes = house.writes().len();
    let twice = run(&house, &manual(undo_of(&record), &[]), Mode::Enforce).await;
    // Not `compliant`: the door stands open.
    assert_eq!((twice.outcome, house.writes().len()), (Outcome::Undone, writes));
    assert!(twice.why.contains("nothing was written"), "{}", twice.why);
}

#[tokio::test(start_paused = true)]
async fn what_moved_on_is_left_alone_unless_told_otherwise() {
    let (_, record) = a_fix().await;
    let theirs = Door { bolts: 7, ..SHUT };
    let house = House::new(theirs.clone(), []);
    let refused = run(&house, &manual(undo_of(&record), &["mode"]), Mode::Enforce).await;
    assert_eq!((refused.outcome, refused.refused_by.as_deref()), (Outcome::Refused, Some("moved-on")));
    assert_eq!((house.door(), house.writes().len()), (Some(theirs), 0));
    let undone = run(&house, &manual(undo_of(&record), &["moved-on"]), Mode::Enforce).await;
    assert_eq!((undone.outcome, house.door()), (Outcome::Undone, Some(OPEN)));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_was_done_nothing_is_undone() {
    let (_, mut record) = a_fix().await;
    for outcome in [
        Outcome::Compliant,
        Outcome::Planned,
        Outcome::Refused,
        Outcome::BlockedByOrganization,
        Outcome::Gone,
        Outcome::Failed,
    ] {
        record.outcome = outcome;
        let house = House::new(SHUT, []);
        let refused = run(&house, &manual(undo_of(&record), &["moved-on"]), Mode::Enforce).await;
        assert_eq!((refused.outcome, refused.refused_by.as_deref()), (Outcome::Refused, Some("nothing-done")));
        assert!(house.calls().is_empty() && refused.why.contains(outcome.name()), "{}", refused.why);
    }
}

#[tokio::test(start_paused = true)]
async fn states_that_are_none_are_named() {
    let garbage = [json!(null), json!("SHUT"), json!({"shut": "yes\u{1b}[31m"}), json!([1, 2]), json!({"bolts": 1e99})];
    for bad in garbage {
        for field in ["before", "after"] {
            let (house, mut record) = a_fix().await;
            *(if field == "before" { &mut record.before } else { &mut record.after }) = Some(bad.clone());
            let writes = house.writes().len();
            let refused = run(&house, &manual(undo_of(&record), &["moved-on", "record"]), Mode::Enforce).await;
            assert_eq!((refused.outcome, refused.refused_by.as_deref()), (Outcome::Refused, Some("record")));
            assert!(refused.why.contains(&format!("the record's {field} ")), "{}", refused.why);
            assert!(!refused.why.contains(char::is_control) && refused.why.len() < 300, "{}", refused.why);
            assert_eq!(house.writes().len(), writes);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_passes_the_gates_and_meets_the_same_troubles() {
    let (_, record) = a_fix().await;
    let mut request = manual(undo_of(&record), &[]);
    request.place.account = account(THEIRS);
    let house = House::new(SHUT, []);
    assert_eq!(run(&house, &request, Mode::Enforce).await.refused_by.as_deref(), Some("account"));
    assert!(house.calls().is_empty());

    let house = House::with(None, []);
    assert_eq!(run(&house, &manual(undo_of(&record), &[]), Mode::Enforce).await.outcome, Outcome::Gone);

    let house = House::new(SHUT, [Step::Fine, Step::Fine, Step::Fails(denied(DeniedBy::OurRole))]);
    let partly = run(&house, &manual(undo_of(&record), &[]), Mode::Enforce).await;
    assert_eq!((partly.outcome, partly.remaining), (Outcome::PartlyFixed, vec![json!({"bolts": 0})]));
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_in_a_write_leaves_an_intent_that_can_be_undone() {
    let store = Rc::new(ledger::Memory::default());
    let ledger = Ledger::new(Rc::clone(&store) as Rc<dyn ledger::Store>);
    let house = House::new(OPEN, [Step::Fine, Step::Fine, Step::Hangs]);
    let settings = settings(Mode::Enforce);
    let (request, time) = (request(), Duration::from_mins(1));
    let dies = kept(&house, &request, &settings, &ledger, time);
    assert!(tokio::time::timeout(Duration::from_secs(5), dies).await.is_err());
    assert_eq!(house.writes().len(), 2, "one was made, and one was under way");

    let record = store.items().into_iter().find(|item| item.key.sk.starts_with("record#")).unwrap().body;
    // Should the function end in the middle of its writes, this is all there is. It must not say that nothing was done.
    assert_eq!((&record["outcome"], &record["why"]), (&json!("unverified"), &json!("about to write")));
    assert_eq!((&record["before"], &record["after"]), (&json!(OPEN), &json!(SHUT)));
    let undo = Order::Undo(Box::new(serde_json::from_value(record).unwrap()));
    let overrides = ["moved-on"]; // half of it was written
    let undone = run(&house, &manual(undo, &overrides), Mode::Enforce).await;
    assert_eq!((undone.outcome, house.door()), (Outcome::Undone, Some(OPEN)));
}

#[tokio::test(start_paused = true)]
async fn the_form_of_a_record() {
    let (_, record) = a_fix().await;
    let json = serde_json::to_value(&record).unwrap();
    let mut names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "after",
            "before",
            "began",
            "breaks",
            "cause",
            "changes",
            "citations",
            "control",
            "id",
            "mode",
            "outcome",
            "reason",
            "resource",
            "schema",
            "took_ms",
            "trigger",
            "undo",
            "why"
        ]
    );
    let expected = json!({
        "schema": "suture.record/1",
        "id": "r-1",
        "control": "toy-open-door",
        "resource": {"type": "Toy::House::Door", "id": "front", "account": "111122223333", "region": "us-east-1"},
        "trigger": "cloud-trail",
        "cause": {
            "call": "PaintDoor", "event_id": null, "at": "2023-11-14T22:13:20Z", "actor": null, "role": null,
            "source_ip": null,
        },
        "reason": null,
        "mode": "enforce",
        "outcome": "fixed",
        "why": "read back and seen",
        "before": {"shut": false, "bolts": 0, "blocked": false, "holed": false},
        "changes": [{"shut": true}, {"bolts": 2}],
        "after": {"shut": true, "bolts": 2, "blocked": false, "holed": false},
        "breaks": [{"id": "no-draught", "says": "the door has a reason: no-draught", "refuses": false}],
        "undo": [{"shut": false}, {"bolts": 0}],
        "citations": ["45 CFR 164.310(a)(1)"],
        "began": "2023-11-14T22:13:20Z",
        "took_ms": 20,
    });
    assert_eq!(json, expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_record_says_only_sometimes() {
    let house = House::new(Door { blocked: true, ..OPEN }, []);
    let refused = run(&house, &manual(Order::Fix(Some(Mode::Enforce)), &["mode"]), Mode::Enforce).await;
    let json = serde_json::to_value(&refused).unwrap();
    assert_eq!(
        (&json["refused_by"], &json["override"], &json["trigger"]),
        (&json!("blocked"), &json!(["mode"]), &json!("manual"))
    );
    assert!(json.get("undoes").is_none() && json.get("remaining").is_none() && json.get("retry").is_none());
}

#[test]
fn an_outcome_has_one_name() {
    let all = [
        (Outcome::Compliant, "compliant", false),
        (Outcome::Planned, "planned", false),
        (Outcome::Fixed, "fixed", false),
        (Outcome::Undone, "undone", false),
        (Outcome::PartlyFixed, "partly-fixed", true),
        (Outcome::Refused, "refused", true),
        (Outcome::BlockedByOrganization, "blocked-by-organization", true),
        (Outcome::Gone, "gone", false),
        (Outcome::Unverified, "unverified", true),
        (Outcome::Failed, "failed", true),
    ];
    for (outcome, name, person) in all {
        assert_eq!((outcome.name(), outcome.needs_a_person()), (name, person));
        assert_eq!(serde_json::to_value(outcome).unwrap(), json!(name));
        assert_eq!(serde_json::from_value::<Outcome>(json!(name)).unwrap(), outcome);
    }
}
