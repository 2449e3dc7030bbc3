use super::*;
use crate::shelf::{Listed, MemoryShelf};
use crate::{Folder, audit};
use futures_util::future::join_all;
use ledger::{Act, Answer, Faulty, Memory, Turn};
use std::rc::Rc;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_348_800).unwrap()
}

fn place(id: &str) -> Key {
    Key::new(
        "resource#111122223333#us-east-1#AWS::S3::Bucket#clinic-scans",
        format!("record#2026-11-22T11:59:00Z#{id}"),
    )
}

fn body(id: &str, outcome: &str, why: &str) -> Value {
    json!({"schema": "suture.record/1", "id": id, "began": "2026-11-22T11:59:00Z", "outcome": outcome, "why": why})
}

async fn put(store: &dyn Store, id: &str, version: u64, body: Value) {
    let item = Item {
        key: place(id),
        version,
        body,
        id: Some(id.to_owned()),
        day: Some("111122223333#2026-11-22".to_owned()),
        expires: None,
    };
    store.write(&[Write::Put(item)]).await.unwrap();
}

async fn open(chain: Chain<'_>, id: &str) -> Slot {
    match chain.claim(&place(id), now()).await.unwrap() {
        Claim::Open(slot) => *slot,
        other => panic!("{other:?}"),
    }
}

async fn archive(chain: Chain<'_>, id: &str) -> Archived {
    let slot = open(chain, id).await;
    chain.keep(&slot).await.unwrap();
    assert!(chain.close(&slot, &[], now()).await.unwrap());
    slot.archived()
}

async fn stored(store: &dyn Store, id: &str) -> Item {
    store.get(&place(id)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_record_becomes_an_object_and_is_marked() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    put(&store, "r-1", 1, body("r-1", "fixed", "read back and seen")).await;
    let archived = archive(chain, "r-1").await;
    assert_eq!((archived.seq, archived.key.as_str()), (1, "records/2026/11/22/000000000001-r-1.json"));
    let bytes = shelf.get(&archived.key).await.unwrap().unwrap();
    assert_eq!(hash(&bytes), archived.hash);
    let piece: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(piece["record"], body("r-1", "fixed", "read back and seen"));
    let item = stored(&store, "r-1").await;
    assert_eq!(item.body["archived"]["hash"], json!(archived.hash));
    assert!(item.body.get("archiving").is_none());
    assert_eq!(item.expires, Some(now().unix_timestamp() + 400 * 24 * 3600));
    assert_eq!(item.day.as_deref(), Some("111122223333#2026-11-22"), "the indexes still find it");
    assert_eq!(record_of(&item.body), body("r-1", "fixed", "read back and seen"));
    assert_eq!(chain.claim(&place("r-1"), now()).await, Ok(Claim::Archived(archived)));
    assert!(chain.open(9).await.unwrap().is_empty());
    assert!(audit(&store, &shelf).await.unwrap().is_sound());
}

#[tokio::test]
async fn another_result_is_another_piece() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    put(&store, "r-1", 1, body("r-1", "unverified", "not seen")).await;
    archive(chain, "r-1").await;
    let item = stored(&store, "r-1").await;
    // Also if whoever wrote it took the marks along.
    let mut later = item.body.clone();
    later["outcome"] = json!("fixed");
    put(&store, "r-1", item.version + 1, later).await;
    assert_eq!(archive(chain, "r-1").await.seq, 2);
    assert!(matches!(chain.claim(&place("r-1"), now()).await, Ok(Claim::Archived(Archived { seq: 2, .. }))));
    assert!(audit(&store, &shelf).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_result_that_comes_while_the_first_is_archived_is_not_marked() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    put(&store, "r-1", 1, body("r-1", "unverified", "not seen")).await;
    let first = open(chain, "r-1").await;
    put(&store, "r-1", 3, body("r-1", "fixed", "read back and seen")).await;
    chain.keep(&first).await.unwrap();
    assert!(chain.close(&first, &[], now()).await.unwrap());
    let item = stored(&store, "r-1").await;
    assert!(is_due(&item.body, now()) && item.expires.is_none());
    assert_eq!(archive(chain, "r-1").await.seq, 2);
}

#[tokio::test]
async fn an_intent_waits_for_its_result_and_not_for_ever() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    put(&store, "r-1", 1, body("r-1", "unverified", "about to write")).await;
    assert_eq!(chain.claim(&place("r-1"), now()).await, Ok(Claim::TooEarly));
    assert_eq!(chain.claim(&place("r-9"), now()).await, Ok(Claim::Gone));
    let later = now() + time::Duration::minutes(20);
    assert!(matches!(chain.claim(&place("r-1"), later).await, Ok(Claim::Open(_))));
}

#[tokio::test]
async fn every_step_can_be_made_again() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    put(&store, "r-1", 1, body("r-1", "fixed", "")).await;
    let slot = open(chain, "r-1").await;
    assert_eq!(open(chain, "r-1").await, slot, "the same slot, the same bytes");
    assert_eq!(chain.open(9).await.unwrap(), std::slice::from_ref(&slot));
    chain.keep(&slot).await.unwrap();
    chain.keep(&slot).await.unwrap();
    assert!(chain.close(&slot, &[], now()).await.unwrap());
    assert!(!chain.close(&slot, &[], now()).await.unwrap());
    assert_eq!(shelf.versions(&slot.key).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_that_is_taken_by_something_else_is_said() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    put(&store, "r-1", 1, body("r-1", "fixed", "")).await;
    let mut slot = open(chain, "r-1").await;
    shelf.overwrite(&slot.key, Some(b"{}"));
    let Err(Trouble::Away { why, retry: false, .. }) = chain.keep(&slot).await else { panic!() };
    assert!(why.contains(&slot.key) && why.contains("says something else"), "{why}");
    slot.record["outcome"] = json!("compliant");
    let Err(Trouble::Away { why, .. }) = chain.keep(&slot).await else { panic!() };
    assert!(why.contains("who changed it"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_taken_away_leaves_a_gap_that_shows_and_the_record_gets_another() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    put(&store, "r-1", 1, body("r-1", "fixed", "")).await;
    let slot = open(chain, "r-1").await;
    store.write(&[Write::Delete(slot.place(), 1)]).await.unwrap();
    assert_eq!(archive(chain, "r-1").await.seq, 2);
    let report = audit(&store, &shelf).await.unwrap();
    assert_eq!((report.problems[0].kind, report.problems[0].seq), (crate::Kind::Missing, Some(1)));
}

#[tokio::test]
async fn a_chain_whose_end_is_gone_from_the_ledger_goes_on_behind_the_shelf() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    for id in ["r-1", "r-2"] {
        put(&store, id, 1, body(id, "fixed", "")).await;
        archive(chain, id).await;
    }
    store.write(&[Write::Delete(Key::new(PARTITION, HEAD), 2)]).await.unwrap();
    put(&store, "r-3", 1, body("r-3", "fixed", "")).await;
    assert_eq!(archive(chain, "r-3").await.seq, 3);
    assert!(audit(&store, &shelf).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_record_that_was_taken_away_gets_one_piece() {
    let (store, shelf) = (Memory::default(), MemoryShelf::default());
    let chain = Chain::new(&store, &shelf);
    let body = body("r-1", "fixed", "");
    let Claim::Open(slot) = chain.claim_lost(&body, now()).await.unwrap() else { panic!() };
    assert_eq!(chain.claim_lost(&body, now()).await, Ok(Claim::Open(slot.clone())));
    chain.keep(&slot).await.unwrap();
    assert!(chain.close(&slot, &[], now()).await.unwrap());
    assert_eq!(chain.claim_lost(&body, now()).await, Ok(Claim::Archived(slot.archived())));
    assert!(audit(&store, &shelf).await.unwrap().is_sound());
}

#[tokio::test(start_paused = true)]
async fn many_at_once_make_one_chain_without_gaps() {
    let store = Rc::new(Memory::default());
    let shelf = MemoryShelf::default();
    for number in 0..12 {
        let id = format!("r-{number}");
        put(&store, &id, 1, body(&id, "fixed", "")).await;
    }
    // Everybody gets in everybody's way at every call, and one write in nine loses its answer.
    let several: Vec<_> = (0..4_usize)
        .map(|who| {
            Faulty::new(Rc::clone(&store), move |number, call| {
                let act = match call {
                    ledger::Call::Write(_) if number % 9 == who => Act::Lose,
                    _ => Act::Go,
                };
                Turn { yields: (number * 7 + who) % 3, act }
            })
        })
        .collect();
    let shelf = &shelf;
    let work = several.iter().map(|store| async move {
        let chain = Chain::new(store, shelf);
        for number in 0..12 {
            let id = format!("r-{number}");
            loop {
                match chain.claim(&place(&id), now()).await {
                    Ok(Claim::Open(slot)) => {
                        chain.keep(&slot).await.unwrap();
                        let _ = chain.close(&slot, &[], now()).await;
                    }
                    Ok(Claim::Archived(_)) => break,
                    Ok(other) => panic!("{other:?}"),
                    Err(trouble) => assert!(trouble.is_worth_a_retry(), "{trouble}"),
                }
            }
        }
    });
    join_all(work).await;
    let report = audit(&store, shelf).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.objects, report.waiting), (12, 0));
}

/// A shelf to which somebody writes while it is listed.
struct Busy<'a> {
    shelf: &'a MemoryShelf,
    store: &'a Memory,
}

impl Shelf for Busy<'_> {
    fn put_new<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, Put> {
        self.shelf.put_new(key, text)
    }
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Shelf::get(self.shelf, key)
    }
    fn list<'a>(&'a self, begins: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            put(self.store, "r-2", 1, body("r-2", "fixed", "")).await;
            archive(Chain::new(self.store, self.shelf), "r-2").await;
            self.shelf.list(begins).await
        })
    }
    fn versions<'a>(&'a self, key: &'a str) -> Answer<'a, Vec<String>> {
        self.shelf.versions(key)
    }
    fn version<'a>(&'a self, key: &'a str, id: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        self.shelf.version(key, id)
    }
}

#[tokio::test]
async fn what_is_written_during_an_audit_is_no_forgery_and_a_forgery_is() {
    for forged in [false, true] {
        let (store, shelf) = (Memory::default(), MemoryShelf::default());
        put(&store, "r-1", 1, body("r-1", "fixed", "")).await;
        let first = archive(Chain::new(&store, &shelf), "r-1").await;
        if forged {
            let text = document::text(3, &first.hash, &body("r-9", "fixed", ""));
            shelf.overwrite("records/2026/11/22/000000000003-r-9.json", Some(text.as_bytes()));
        }
        let report = audit(&store, &Busy { shelf: &shelf, store: &store }).await.unwrap();
        assert_eq!(report.is_sound(), !forged, "{report:?}");
        let beyond = report.problems.iter().filter(|problem| problem.kind == crate::Kind::Beyond);
        assert_eq!(beyond.map(|problem| problem.seq).collect::<Vec<_>>(), if forged { vec![Some(3)] } else { vec![] });
        assert_eq!(report.head.map(|head| head.seq), Some(2));
    }
}

#[tokio::test]
async fn a_file_and_a_folder_do_as_well() {
    let root = std::env::temp_dir().join(format!("suture-chain-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let store = ledger::File::open(root.join("ledger")).unwrap();
    let shelf = Folder::new(root.join("evidence"));
    for id in ["r-1", "r-2", "r-3"] {
        put(&store, id, 1, body(id, "fixed", "")).await;
        archive(Chain::new(&store, &shelf), id).await;
    }
    let report = audit(&store, &shelf).await.unwrap();
    assert!(report.is_sound() && report.objects == 3, "{report:?}");
    std::fs::remove_dir_all(&root).unwrap();
}
