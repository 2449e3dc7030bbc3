use super::*;
use ledger::{Act, Faulty, Item, Key, Memory, Store, Write};
use serde_json::json;
use std::rc::Rc;

fn record(before: &Value) -> Value {
    json!({
        "schema": "suture.record/1", "id": "7c1f-1", "control": "s3-public-bucket", "began": "2026-01-15T10:45:31.204Z",
        "resource": {"type": "AWS::S3::Bucket", "id": "clinic-scans", "account": "111122223333", "region": "us-east-1"},
        "parameters": {"public_websites": "close"}, "before": before, "outcome": "fixed", "why": "read back and seen",
    })
}

async fn keeping(record: Value) -> Memory {
    let store = Memory::default();
    let key = Key::new(
        "resource#111122223333#us-east-1#AWS::S3::Bucket#clinic-scans",
        "record#2026-01-15T10:45:31.204Z#7c1f-1",
    );
    let id = record.get("id").and_then(Value::as_str).map(str::to_owned);
    store.write(&[Write::Put(Item { key, version: 1, body: record, id, day: None, expires: None })]).await.unwrap();
    store
}

async fn asked(store: impl Store + 'static, request: Value) -> Result<Task, Unable> {
    task(request, Some(&Ledger::new(Rc::new(store)))).await
}

async fn rejected(store: impl Store + 'static, request: Value) -> String {
    match asked(store, request).await {
        Err(Unable::Rejected(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_id_is_looked_up() {
    let kept = record(&json!({"block": null}));
    let task =
        asked(keeping(kept.clone()).await, json!({"mode": "undo", "record": "7c1f-1", "reason": "T-1"})).await.unwrap();
    assert_eq!(task.control.about.id, "s3-public-bucket");
    assert_eq!(task.request, json!({"mode": "undo", "record": kept, "reason": "T-1"}));
    assert_eq!(task.parameters, Some(json!({"public_websites": "close"})));
}

#[tokio::test]
async fn of_a_record_that_was_passed_the_ledgers_own_is_taken() {
    let mut passed = record(&json!({"block": null}));
    passed["why"] = "about to write".into();
    passed["parameters"] = json!({"public_websites": "refuse"});
    let task =
        asked(keeping(record(&json!({"block": null}))).await, json!({"mode": "undo", "record": passed})).await.unwrap();
    assert_eq!(task.request["record"]["why"], "read back and seen");
    assert_eq!(task.parameters, Some(json!({"public_websites": "close"})));
}

#[tokio::test]
async fn a_record_that_was_changed_on_the_way_is_rejected() {
    for (name, value) in [
        ("before", json!({"block": {"block_public_acls": false}})),
        ("control", "s3-public-policy".into()),
        ("resource", json!({"type": "AWS::S3::Bucket", "id": "clinic-intake"})),
    ] {
        let mut passed = record(&json!({"block": null}));
        passed[name] = value;
        let why =
            rejected(keeping(record(&json!({"block": null}))).await, json!({"mode": "undo", "record": passed})).await;
        assert!(why.contains(&format!("has another {name} in the ledger")), "{why}");
    }
}

#[tokio::test]
async fn a_record_that_no_ledger_has_counts_as_it_is() {
    let mut passed = record(&json!({"block": null}));
    passed.as_object_mut().unwrap().remove("parameters");
    let task = asked(Memory::default(), json!({"mode": "undo", "record": passed})).await.unwrap();
    assert_eq!(task.request["record"], passed);
    assert_eq!(task.parameters, None);
}

#[tokio::test]
async fn while_the_ledger_is_away_a_record_can_be_passed_and_an_id_waits() {
    let away = |retry: bool| {
        Faulty::new(Memory::default(), move |_, _| {
            Act::Fail(Trouble::Away { why: "the table suture throttles".to_owned(), retry, perhaps: false })
        })
    };
    let passed = record(&json!({"block": null}));
    assert!(asked(away(true), json!({"mode": "undo", "record": passed})).await.is_ok());
    let by_id = json!({"mode": "undo", "record": "7c1f-1"});
    let later = asked(away(true), by_id.clone()).await.unwrap_err();
    assert_eq!(later, Unable::Later("the table suture throttles".to_owned()));
    assert_eq!(rejected(away(false), by_id).await, "the table suture throttles");
}

#[tokio::test]
async fn without_a_ledger_only_a_record_that_is_passed_can_be_undone() {
    let passed = record(&json!({"block": null}));
    assert!(task(json!({"mode": "undo", "record": passed}), None).await.is_ok());
    let Err(Unable::Rejected(why)) = task(json!({"mode": "undo", "record": "7c1f-1"}), None).await else { panic!() };
    assert!(why.contains("pass the record itself"), "{why}");
}

#[tokio::test]
async fn everything_else_is_rejected_with_what_to_do() {
    for (request, says) in [
        (json!({"resource": "clinic-scans"}), "the control's own function"),
        (json!({"mode": "enforce", "record": {}}), "takes fixes back and does nothing else"),
        (json!({"source": "aws.events", "detail-type": "Scheduled Event"}), "takes fixes back"),
        (json!([]), "takes fixes back"),
        (json!({"mode": "undo"}), "pass the record, or its id"),
        (json!({"mode": "undo", "record": 7}), "pass the record, or its id"),
        (json!({"mode": "undo", "record": "no-such-id"}), "has no record \"no-such-id\""),
        (json!({"mode": "undo", "record": {}}), "which this version of Suture does not have"),
        (json!({"mode": "undo", "record": {"control": "s3-no-such-control"}}), "the control \"s3-no-such-control\""),
    ] {
        let why = rejected(Memory::default(), request.clone()).await;
        assert!(why.contains(says), "{request}: {why}");
    }
    // Names from outside are cut short and cannot break a line of the log.
    let long = format!("x\n{}", "y".repeat(5000));
    let why = rejected(Memory::default(), json!({"mode": "undo", "record": long})).await;
    assert!(why.len() < 500 && !why.contains('\n'), "{why}");
}

#[tokio::test]
async fn the_examples_are_what_their_names_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/undo");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut kept = record(&json!({"block": null}));
        // A record that is passed whole is one that this ledger does not have.
        kept["id"] =
            if event["record"].is_string() { "8c9e1f6a-1ab0-4000-8000-000000000007-1" } else { "another" }.into();
        let sound = asked(keeping(kept).await, event).await.is_ok();
        assert_eq!(sound, name.starts_with("manual-"), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}
