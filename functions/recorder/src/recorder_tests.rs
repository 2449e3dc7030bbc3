use super::*;
use crate::people::Told;
use crate::stream::Changed;
use announce::Message;
use aws_sdk_securityhub::types::AwsSecurityFinding;
use evidence::{Listed, MemoryShelf, Put, audit};
use futures_util::FutureExt;
use ledger::{Answer, Exemption, Index, Item, Memory, Posture};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future;
use tokio::time::Instant;

/// A ledger, a shelf and people that hear; every call can be the last thing that somebody does.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) store: Memory,
    pub(crate) shelf: MemoryShelf,
    pub(crate) heard: RefCell<Vec<String>>,
    pub(crate) findings: RefCell<Vec<String>>,
    pub(crate) hub_away: Cell<bool>,
    pub(crate) deaf: Cell<Option<bool>>,
    /// From which put on the shelf cannot be reached, and whether that passes.
    pub(crate) shelf_away: Cell<Option<(usize, bool)>>,
    puts: Cell<usize>,
    calls: Cell<usize>,
    crash: Cell<Option<(usize, bool)>>,
}

impl World {
    async fn turn<T>(&self, made: Answer<'_, T>) -> Result<T, Trouble> {
        let number = self.calls.replace(self.calls.get() + 1);
        match self.crash.get() {
            Some((at, false)) if at == number => future::pending().await,
            Some((at, true)) if at == number => {
                let _ = made.await;
                future::pending().await
            }
            _ => made.await,
        }
    }

    fn hear<'a>(&'a self, list: &'a RefCell<Vec<String>>, text: String) -> Answer<'a, Told> {
        Box::pin(async move {
            match self.deaf.get() {
                Some(true) => return Err(Trouble::passing("nobody hears")),
                Some(false) => return Err(Trouble::lasting("nobody will ever hear")),
                None => {}
            }
            list.borrow_mut().push(text);
            Ok(Told::Yes)
        })
    }

    /// What a stream would say of everything that was put in, in order.
    pub(crate) fn put(&self, item: Item) -> Changed {
        let before = self.store.items().into_iter().find(|there| there.key == item.key);
        let item = Item { version: before.as_ref().map_or(1, |before| before.version + 1), ..item };
        self.store.write(&[Write::Put(item.clone())]).now_or_never().unwrap().unwrap();
        Changed { id: format!("e-{}", item.key.sk), key: item.key.clone(), before, after: Some(item) }
    }

    fn crash_at(&self, call: Option<(usize, bool)>) {
        self.calls.set(0);
        self.crash.set(call);
    }
}

impl Store for World {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>> {
        Box::pin(self.turn(self.store.get(key)))
    }
    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest: bool, limit: usize) -> Answer<'a, Vec<Item>> {
        Box::pin(self.turn(self.store.query(pk, begins, newest, limit)))
    }
    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
        Box::pin(self.turn(self.store.find(index, value)))
    }
    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
        Box::pin(self.turn(self.store.write(writes)))
    }
}

impl Shelf for World {
    fn put_new<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, Put> {
        let number = self.puts.replace(self.puts.get() + 1);
        let put: Answer<'a, Put> = match self.shelf_away.get() {
            Some((from, passes)) if number >= from => {
                let perhaps = false;
                let why = "the shelf is away".to_owned();
                Box::pin(future::ready(Err(Trouble::Away { why, retry: passes, perhaps })))
            }
            _ => self.shelf.put_new(key, text),
        };
        Box::pin(self.turn(put))
    }
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(self.turn(Shelf::get(&self.shelf, key)))
    }
    fn list<'a>(&'a self, begins: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(self.turn(self.shelf.list(begins)))
    }
    fn versions<'a>(&'a self, key: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(self.turn(self.shelf.versions(key)))
    }
    fn version<'a>(&'a self, key: &'a str, id: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(self.turn(self.shelf.version(key, id)))
    }
}

impl People for World {
    fn message<'a>(&'a self, message: &'a Message) -> Answer<'a, Told> {
        Box::pin(self.turn(self.hear(&self.heard, message.subject.clone())))
    }
    fn finding<'a>(&'a self, finding: &'a AwsSecurityFinding) -> Answer<'a, Told> {
        if self.hub_away.get() {
            return Box::pin(future::ready(Err(Trouble::passing("Security Hub is away"))));
        }
        let state = finding.record_state().map_or("", |state| state.as_str());
        Box::pin(self.turn(self.hear(&self.findings, format!("{state} {}", finding.id().unwrap_or_default()))))
    }
}

pub(crate) fn voice() -> Voice {
    Voice {
        account: AccountId::parse("111122223333").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        partition: "aws".to_owned(),
        stack: None,
        ledger: None,
        evidence: None,
    }
}

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_348_800).unwrap()
}

fn hour_later() -> OffsetDateTime {
    now() + time::Duration::hours(1)
}

fn record(id: &str, outcome: &str, why: &str) -> Item {
    let body = json!({
        "schema": "suture.record/1", "id": id, "control": "s3-public-bucket", "outcome": outcome, "why": why,
        "resource": {"type": "AWS::S3::Bucket", "id": "clinic-scans", "account": "111122223333", "region": "us-east-1"},
        "trigger": "cloud-trail", "cause": null, "reason": null, "mode": "enforce", "before": null, "changes": [],
        "after": null, "breaks": [], "undo": [], "citations": ["45 CFR 164.312(a)(1)"],
        "began": "2026-11-22T11:59:00Z", "took_ms": 31
    });
    Item {
        key: Key::new(
            "resource#111122223333#us-east-1#AWS::S3::Bucket#clinic-scans",
            format!("record#2026-11-22T11:59:00Z#{id}"),
        ),
        version: 1,
        body,
        id: Some(id.to_owned()),
        day: Some("111122223333#2026-11-22".to_owned()),
        expires: None,
    }
}

fn plain(pk: &str, sk: &str, body: serde_json::Value) -> Item {
    Item { key: Key::new(pk, sk), version: 1, body, id: None, day: None, expires: None }
}

fn exemption(expires: OffsetDateTime) -> Exemption {
    Exemption {
        id: "x-1".to_owned(),
        control: Some("s3-public-bucket".to_owned()),
        account: None,
        resource: Some("clinic-open-data".to_owned()),
        tag: None,
        owner: "alice@clinic.example".to_owned(),
        reason: "the open data page".to_owned(),
        expires,
        made_at: now() - time::Duration::days(9),
        made_by: None,
        undo: None,
        ended: false,
    }
}

async fn hourly(world: &World, at: OffsetDateTime) -> crate::Swept {
    let voice = voice();
    let accounts = [voice.account.clone()];
    let deadline = Instant::now() + std::time::Duration::from_mins(1);
    Recorder::new(world, world, world, &voice).hourly(&accounts, at, deadline).await
}

async fn change(world: &World, changed: &Changed) -> Result<(), Trouble> {
    let voice = voice();
    Recorder::new(world, world, world, &voice).change(changed, now()).await
}

/// Nothing is missing, nothing is there twice, and nothing waits.
async fn assert_all_archived(world: &World, records: u64) {
    let report = audit(&world.store, &world.shelf).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.objects, report.waiting), (records, 0));
    for item in world.store.items().iter().filter(|item| item.key.pk.starts_with("resource#")) {
        assert!(!is_due(&item.body, hour_later()), "{item:?}");
        assert!(item.expires.is_some());
    }
}

#[tokio::test]
async fn a_record_is_archived_told_of_and_marked() {
    let world = World::default();
    let changed = world.put(record("r-1", "failed", "s3:PutBucketPublicAccessBlock was denied"));
    change(&world, &changed).await.unwrap();
    assert_eq!((world.heard.borrow().len(), world.findings.borrow().len()), (1, 1));
    assert!(world.findings.borrow()[0].starts_with("ACTIVE"));
    // The same again, as a batch that is delivered twice has it.
    change(&world, &changed).await.unwrap();
    assert_eq!((world.heard.borrow().len(), world.findings.borrow().len()), (1, 1));
    assert_all_archived(&world, 1).await;
}

#[tokio::test]
async fn a_finding_is_closed_by_the_fix_and_only_if_there_is_one() {
    let world = World::default();
    change(&world, &world.put(record("r-0", "fixed", ""))).await.unwrap();
    assert!(world.findings.borrow().is_empty());
    change(&world, &world.put(record("r-1", "failed", ""))).await.unwrap();
    change(&world, &world.put(record("r-2", "fixed", ""))).await.unwrap();
    change(&world, &world.put(record("r-3", "fixed", ""))).await.unwrap();
    let findings = world.findings.borrow();
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[1].starts_with("ARCHIVED"), "{findings:?}");
}

#[tokio::test]
async fn an_intent_is_left_alone_until_it_is_clear_that_nobody_comes_back() {
    let world = World::default();
    change(&world, &world.put(record("r-1", "unverified", "about to write"))).await.unwrap();
    assert_eq!(hourly(&world, now()).await, crate::Swept::default());
    assert!(world.shelf.list("").await.unwrap().is_empty());
    let swept = hourly(&world, now() + time::Duration::minutes(25)).await;
    assert_eq!(swept.archived, 1);
    assert_all_archived(&world, 1).await;
    assert_eq!(world.heard.borrow().len(), 1);
}

#[tokio::test]
async fn what_the_stream_lost_is_found_within_the_hour_and_not_taken_from_it_before() {
    let world = World::default();
    world.put(record("r-1", "fixed", ""));
    assert_eq!(hourly(&world, now()).await.archived, 0, "the stream has its time");
    assert_eq!(hourly(&world, hour_later()).await.archived, 1);
    assert_eq!(hourly(&world, hour_later()).await, crate::Swept::default());
    assert_all_archived(&world, 1).await;
    assert_eq!(world.heard.borrow().len(), 1);
}

#[tokio::test]
async fn a_record_that_was_deleted_before_it_was_archived_is_evidence_all_the_same() {
    let world = World::default();
    let put = world.put(record("r-1", "fixed", ""));
    world.store.write(&[Write::Delete(put.key.clone(), 1)]).await.unwrap();
    change(&world, &put).await.unwrap();
    let removed = Changed { before: put.after.clone(), after: None, ..put.clone() };
    change(&world, &removed).await.unwrap();
    change(&world, &removed).await.unwrap();
    assert_all_archived(&world, 1).await;
    assert_eq!(world.heard.borrow().len(), 1);
}

#[tokio::test]
async fn a_record_whose_time_is_over_is_no_news() {
    let world = World::default();
    let put = world.put(record("r-1", "fixed", ""));
    change(&world, &put).await.unwrap();
    let archived = world.store.get(&put.key).await.unwrap();
    change(&world, &Changed { before: archived, after: None, ..put }).await.unwrap();
    assert_all_archived(&world, 1).await;
}

#[tokio::test]
async fn evidence_never_waits_for_an_announcement() {
    for lasting in [false, true] {
        let world = World::default();
        world.deaf.set(Some(!lasting));
        let failed = world.put(record("r-1", "failed", ""));
        change(&world, &failed).await.unwrap();
        let settings = plain("deployment", "settings", stopped());
        change(&world, &world.put(settings)).await.unwrap();
        assert_all_archived(&world, 1).await;
        assert_eq!(world.store.query("untold", "", false, 9).await.unwrap().len(), 2);
        assert_eq!(hourly(&world, hour_later()).await.untold, 2);
        world.deaf.set(None);
        assert_eq!(hourly(&world, hour_later()).await.untold, 0);
        assert_eq!((world.heard.borrow().len(), world.findings.borrow().len()), (2, 1));
        assert!(world.store.query("untold", "", false, 9).await.unwrap().is_empty());
        // Delivered again, they are no news.
        change(&world, &failed).await.unwrap();
        assert_eq!(world.heard.borrow().len(), 2);
    }
}

#[tokio::test]
async fn what_was_told_is_not_told_again_with_what_was_not() {
    let world = World::default();
    world.hub_away.set(true);
    change(&world, &world.put(record("r-1", "failed", ""))).await.unwrap();
    assert_eq!(hourly(&world, hour_later()).await.untold, 1);
    world.hub_away.set(false);
    assert_eq!(hourly(&world, hour_later()).await.untold, 0);
    assert_eq!((world.heard.borrow().len(), world.findings.borrow().len()), (1, 1));
}

#[tokio::test]
async fn what_another_recorder_has_begun_is_left_to_it() {
    let world = World::default();
    let put = world.put(record("r-1", "fixed", ""));
    let claimed = Chain::new(&world.store, &world.shelf).claim(&put.key, now()).await.unwrap();
    assert!(matches!(claimed, Claim::Open(_)));
    // The stream says that it was claimed; the hourly run, too, has no business with it for a while.
    let after = world.store.get(&put.key).await.unwrap();
    change(&world, &Changed { before: put.after.clone(), after, ..put.clone() }).await.unwrap();
    hourly(&world, now()).await;
    assert!(world.heard.borrow().is_empty() && world.shelf.list("").await.unwrap().is_empty());
    assert_eq!(hourly(&world, hour_later()).await.closed, 1);
    assert_all_archived(&world, 1).await;
}

fn stopped() -> serde_json::Value {
    let stop =
        ledger::Stop { by: "arn:aws:iam::111122223333:user/alice".to_owned(), reason: "drill".to_owned(), at: now() };
    serde_json::to_value(Posture { stop: Some(stop), ..Posture::default() }).unwrap()
}

#[tokio::test]
async fn an_exemption_ends_once() {
    let world = World::default();
    let over = serde_json::to_value(exemption(now() - time::Duration::MINUTE)).unwrap();
    let item = plain("deployment", "exemption#x-1", over);
    let made = world.put(item);
    assert_eq!(hourly(&world, now()).await.ended, 1);
    assert_eq!(hourly(&world, now()).await.ended, 0);
    let after = world.store.get(&made.key).await.unwrap();
    change(&world, &Changed { before: made.after.clone(), after, ..made.clone() }).await.unwrap();
    assert_eq!(world.heard.borrow().len(), 1, "{:?}", world.heard);
}

#[tokio::test]
async fn what_is_no_record_is_told_of_and_nothing_else_is() {
    let world = World::default();
    let said = [
        plain("deployment", "settings", stopped()),
        plain("deployment", "exemption#x-1", serde_json::to_value(exemption(hour_later())).unwrap()),
        plain(
            "budget#s3-public-bucket",
            "reached#2026-11-22T12",
            json!({"control": "s3-public-bucket", "hour": "2026-11-22T12"}),
        ),
    ];
    for (number, item) in said.into_iter().enumerate() {
        change(&world, &world.put(item)).await.unwrap();
        assert_eq!(world.heard.borrow().len(), number + 1);
    }
    let unsaid = [
        plain("deployment", "settings", json!({"unheard-of": 1})),
        plain("budget#s3-public-bucket", "hour#2026-11-22T12", json!(null)),
        plain("resource#111122223333#us-east-1#AWS::S3::Bucket#b", "standing#s3-public-bucket", json!({})),
        plain("chain", "head", json!({"seq": 9})),
        plain("untold", "change#1", json!(null)),
        plain("untold", "record#1", record("r-1", "fixed", "").body),
        plain("elsewhere", "other", json!(["text"])),
    ];
    for item in unsaid {
        let changed = Changed { id: "e".to_owned(), key: item.key.clone(), before: None, after: Some(item) };
        change(&world, &changed).await.unwrap();
        let removed = Changed { before: changed.after.clone(), after: None, ..changed };
        if removed.key.sk != "settings" {
            change(&world, &removed).await.unwrap();
        }
    }
    assert_eq!(world.heard.borrow().len(), 3);
    assert!(world.shelf.list("").await.unwrap().is_empty());
}

/// One history, with a crash at one call; then the batch again, as the stream hands it over, or only the hourly run.
async fn crashed(at: Option<(usize, bool)>, stream_again: bool) -> (World, usize) {
    let world = World::default();
    let history = [
        world.put(record("r-1", "failed", "")),
        world.put(record("r-2", "fixed", "")),
        world.put(plain("deployment", "settings", stopped())),
        world.put(record("r-3", "refused", "")),
    ];
    world.crash_at(at);
    let batch = async {
        for changed in &history {
            change(&world, changed).await.unwrap();
        }
        hourly(&world, now()).await;
    };
    let finished = batch.now_or_never().is_some();
    let calls = world.calls.get();
    assert_eq!(finished, at.is_none_or(|(at, _)| at >= calls), "{at:?}");
    world.crash_at(None);
    if stream_again {
        for changed in &history {
            change(&world, changed).await.unwrap();
        }
    }
    let swept = hourly(&world, hour_later()).await;
    assert_eq!(swept.troubles, Vec::<String>::new(), "{at:?}");
    (world, calls)
}

#[tokio::test]
async fn a_crash_at_any_call_loses_nothing() {
    let (world, calls) = crashed(None, false).await;
    let (said, found) = (world.heard.borrow().clone(), world.findings.borrow().clone());
    assert_eq!((said.len(), found.len()), (4, 3), "{said:?} {found:?}");
    assert!(calls > 40, "{calls}");
    for call in 0..calls {
        for after in [false, true] {
            for stream_again in [false, true] {
                let (world, _) = crashed(Some((call, after)), stream_again).await;
                assert_all_archived(&world, 3).await;
                let is = |list: &RefCell<Vec<String>>| list.borrow().iter().cloned().collect::<BTreeSet<_>>();
                let of = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
                let case = format!("call {call}, after: {after}, again: {stream_again}");
                // What is no record comes by the stream alone, which hands it over until it is done.
                if stream_again {
                    assert_eq!(is(&world.heard), of(&said), "{case}");
                }
                for subject in said.iter().filter(|subject| !subject.to_lowercase().contains("stop")) {
                    assert!(is(&world.heard).contains(subject), "{case}: {subject}");
                }
                assert!(is(&world.findings).is_superset(&of(&found[..1])), "{case}");
                // At most what was under way at the crash is said twice; and what is no record, if it is handed over again.
                assert!(
                    world.heard.borrow().len() <= said.len() + 1 + usize::from(stream_again),
                    "{case}: {:?}",
                    world.heard
                );
            }
        }
    }
}
