use super::*;
use crate::recorder::tests::{World, now, voice};
use evidence::{Shelf, audit};
use ledger::{Item, Memory, Store, Write};
use serde_json::json;
use std::path::Path;

fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/recorder").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

async fn answered(world: &World, event: &Value, deadline: Instant) -> Result<Response, Retry> {
    let voice = voice();
    let accounts = [voice.account.clone()];
    let recorder = Recorder::new(world, world, world, &voice);
    answer(&recorder, event, &accounts, now(), deadline).await
}

fn in_time() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

const DONE: Result<Response, Retry> = Ok(Response::Batch { batch_item_failures: Vec::new() });

/// Puts what the stream shows into the table, as it is after the last change.
async fn put_in(store: &Memory, event: &Value) {
    let Event::Stream(records) = Event::read(event) else { return };
    for changed in records.into_iter().filter_map(|record| record.changed) {
        let version = store.get(&changed.key).await.unwrap().map_or(0, |item| item.version);
        if let Some(after) = changed.after {
            store.write(&[Write::Put(Item { version: version + 1, ..after })]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_batch_of_records_becomes_evidence() {
    let world = World::default();
    let event = event("stream-records.json");
    put_in(&world.store, &event).await;
    assert_eq!(answered(&world, &event, in_time()).await, DONE);
    let report = audit(&world.store, &world.shelf).await.unwrap();
    assert!(report.is_sound() && report.objects == 4, "{report:?}");
    // Fixed, failed, refused; a plan is evidence, and no news.
    assert_eq!((world.heard.borrow().len(), world.findings.borrow().len()), (3, 2), "{:?}", world.heard);
    assert_eq!(answered(&world, &event, in_time()).await, DONE);
    assert_eq!(world.shelf.list("").await.unwrap().len(), 4);
    assert_eq!(world.heard.borrow().len(), 3);
}

#[tokio::test]
async fn what_is_told_of_a_deployment_is_told_once_each() {
    let world = World::default();
    assert_eq!(answered(&world, &event("stream-deployment.json"), in_time()).await, DONE);
    // Stopped, resumed; exempted, over, no longer exempt; the budget; the plan that somebody said no to.
    assert_eq!(world.heard.borrow().len(), 7, "{:?}", world.heard);
    assert!(world.shelf.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_deleted_too_early_is_evidence_and_our_own_marks_are_no_news() {
    let world = World::default();
    for name in ["removed-before-evidence.json", "own-chain.json"] {
        assert_eq!(answered(&world, &event(name), in_time()).await, DONE);
    }
    assert_eq!(world.shelf.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_passed_over() {
    let world = World::default();
    assert_eq!(answered(&world, &event("hostile-changes.json"), in_time()).await, DONE);
    assert_eq!((world.heard.borrow().len(), world.store.items().len()), (0, 0));
    for event in [json!(null), json!("x"), json!({"Records": {}}), json!({"Records": [null, 7]})] {
        assert_eq!(answered(&world, &event, in_time()).await, DONE, "{event}");
    }
}

#[tokio::test]
async fn the_schedule_sweeps() {
    let world = World::default();
    let answer = answered(&world, &event("schedule.json"), in_time()).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), json!({"closed": 0, "archived": 0, "ended": 0, "untold": 0}));
}

#[tokio::test]
async fn a_batch_goes_on_where_it_ended() {
    let world = World::default();
    let event = event("stream-records.json");
    put_in(&world.store, &event).await;
    let first = event["Records"][0]["dynamodb"]["SequenceNumber"].as_str().unwrap();
    let late = answered(&world, &event, Instant::now()).await.unwrap();
    assert_eq!(serde_json::to_value(late).unwrap(), json!({"batchItemFailures": [{"itemIdentifier": first}]}));

    // The shelf cannot be reached from the second record on.
    world.shelf_away.set(Some((1, true)));
    let third = event["Records"][2]["dynamodb"]["SequenceNumber"].as_str().unwrap();
    let answer = answered(&world, &event, in_time()).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), json!({"batchItemFailures": [{"itemIdentifier": third}]}));
    world.shelf_away.set(None);
    assert_eq!(answered(&world, &event, in_time()).await, DONE);
    assert!(audit(&world.store, &world.shelf).await.unwrap().is_sound());
    assert_eq!(world.heard.borrow().len(), 3);
}

#[tokio::test]
async fn what_no_retry_mends_keeps_nothing_else_waiting_and_the_alarm_goes_off() {
    let world = World::default();
    let event = event("stream-records.json");
    put_in(&world.store, &event).await;
    world.shelf_away.set(Some((0, false)));
    assert_eq!(answered(&world, &event, in_time()).await, DONE);
    assert!(world.shelf.list("").await.unwrap().is_empty());
    let later = async || {
        let voice = voice();
        let recorder = Recorder::new(&world, &world, &world, &voice);
        let now = now() + time::Duration::hours(1);
        answer(&recorder, &self::event("schedule.json"), std::slice::from_ref(&voice.account), now, in_time()).await
    };
    let Err(Retry(why)) = later().await else { panic!() };
    assert!(why.starts_with("4 of this hour's work failed; the first: evidence 1: "), "{why}");
    world.shelf_away.set(None);
    assert!(later().await.is_ok());
    let report = audit(&world.store, &world.shelf).await.unwrap();
    assert!(report.is_sound() && report.objects == 4, "{report:?}");
    assert_eq!(world.heard.borrow().len(), 3);
}

#[test]
fn what_the_function_says_of_itself_is_json() {
    let about = serde_json::to_value(ABOUT).unwrap();
    assert_eq!(about["id"], "recorder");
    assert_eq!(about["permissions"]["topic"], json!(["sns:Publish"]));
}
