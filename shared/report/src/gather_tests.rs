//! Records from a ledger and a shelf, and what is said where they are not whole, or not one.

use super::*;
use evidence::{Chain, Claim, MemoryShelf};
use ledger::{Answer, Index, Item, Key as Place, Memory, Store, Trouble, Write};
use serde_json::json;
use std::cell::RefCell;

fn at(text: &str) -> OffsetDateTime {
    moment(text).unwrap()
}

fn record(id: &str, began: &str, outcome: &str) -> Value {
    json!({
        "schema": "suture.record/1", "id": id, "control": "s3-public-bucket", "outcome": outcome, "why": outcome, "took_ms": 31,
        "resource": {"type": "AWS::S3::Bucket", "id": "scans", "account": "111122223333", "region": "us-east-1"},
        "trigger": "schedule", "cause": null, "before": {"block": null}, "changes": ["write"], "began": began,
    })
}

fn wanted() -> Wanted {
    Wanted {
        from: at("2026-10-01T00:00:00Z"),
        to: at("2026-11-01T00:00:00Z"),
        look_back: Duration::days(90),
        accounts: BTreeSet::new(),
        likely: BTreeSet::from(["111122223333".to_owned()]),
        check: true,
        now: at("2026-11-02T00:00:00Z"),
    }
}

/// A ledger in memory that can be told not to answer for a day.
#[derive(Default)]
struct Table {
    held: Memory,
    broken: RefCell<Option<(String, Trouble)>>,
}

impl Store for Table {
    fn get<'a>(&'a self, key: &'a Place) -> Answer<'a, Option<Item>> {
        self.held.get(key)
    }
    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest_first: bool, limit: usize) -> Answer<'a, Vec<Item>> {
        self.held.query(pk, begins, newest_first, limit)
    }
    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
        match &*self.broken.borrow() {
            Some((of, trouble)) if value.contains(of.as_str()) => {
                let trouble = trouble.clone();
                Box::pin(async move { Err(trouble) })
            }
            _ => self.held.find(index, value),
        }
    }
    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
        self.held.write(writes)
    }
}

struct World {
    table: Rc<Table>,
    ledger: Ledger,
    shelf: MemoryShelf,
}

impl World {
    fn new() -> Self {
        let table = Rc::new(Table::default());
        Self { ledger: Ledger::new(Rc::clone(&table) as Rc<dyn Store>), table, shelf: MemoryShelf::default() }
    }

    fn place(record: &Value) -> Place {
        let text = |pointer: &str| record.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let pk = format!("resource#{}#us-east-1#AWS::S3::Bucket#{}", text("/resource/account"), text("/resource/id"));
        Place::new(pk, format!("record#{}#{}", text("/began"), text("/id")))
    }

    /// Puts a record in, or what it says now.
    async fn keep(&self, record: &Value) {
        let key = Self::place(record);
        let before = self.table.get(&key).await.unwrap();
        let account = record.pointer("/resource/account").unwrap().as_str().unwrap();
        let day = format!("{account}#{}", &record["began"].as_str().unwrap()[..10]);
        let version = before.map_or(1, |item| item.version + 1);
        let item = Item { key, version, body: record.clone(), id: None, day: Some(day), expires: None };
        self.table.write(&[Write::Put(item)]).await.unwrap();
    }

    /// Makes evidence of a record.
    async fn archive(&self, record: &Value) {
        let (chain, now) = (Chain::new(&*self.table, &self.shelf), at("2026-11-01T12:00:00Z"));
        let Claim::Open(slot) = chain.claim(&Self::place(record), now).await.unwrap() else { panic!("no slot") };
        chain.keep(&slot).await.unwrap();
        assert!(chain.close(&slot, &[], now).await.unwrap());
    }

    async fn kept(&self, records: &[Value]) {
        for record in records {
            self.keep(record).await;
            self.archive(record).await;
        }
    }

    async fn forget(&self, record: &Value) {
        let item = self.table.get(&Self::place(record)).await.unwrap().unwrap();
        self.table.write(&[Write::Delete(item.key, item.version)]).await.unwrap();
    }

    /// Puts something else in the record's place, without its marks.
    async fn change(&self, record: &Value, field: &str, to: &str) {
        let mut item = self.table.get(&Self::place(record)).await.unwrap().unwrap();
        item.version += 1;
        item.body[field] = to.into();
        self.table.write(&[Write::Put(item)]).await.unwrap();
    }

    fn key(&self, id: &str) -> String {
        let found = pollable(self.shelf.list("records/")).into_iter().find(|listed| listed.key.contains(id));
        found.unwrap().key
    }

    async fn both(&self) -> Gathered {
        let sources =
            Sources { ledger: Some((&self.ledger, "the table t")), shelf: Some((&self.shelf, "the bucket b")) };
        gather(sources, &wanted(), &|_| ()).await.unwrap()
    }
}

/// What is ready at once.
fn pollable<T>(answer: Answer<'_, T>) -> T {
    futures_util::FutureExt::now_or_never(answer).unwrap().unwrap()
}

fn ids(gathered: &Gathered) -> Vec<&str> {
    gathered.records.keys().map(|key| key.id.as_str()).collect()
}

fn three() -> [Value; 3] {
    [
        record("before", "2026-09-20T10:00:00Z", "planned"),
        record("one", "2026-10-02T10:00:00.5Z", "planned"),
        record("two", "2026-10-31T23:59:59.9Z", "fixed"),
    ]
}

#[tokio::test]
async fn ledger_and_evidence_alone_and_together_say_the_same() {
    let world = World::new();
    world.kept(&three()).await;
    world.keep(&record("after", "2026-11-01T00:00:00Z", "planned")).await;
    world.keep(&record("long-ago", "2026-07-01T00:00:00Z", "planned")).await;
    let both = world.both().await;
    assert_eq!(ids(&both), ["one", "two"]);
    assert_eq!(both.facts.iter().map(|fact| fact.key.id.as_str()).collect::<Vec<_>>(), ["before", "one", "two"]);
    assert_eq!(both.gaps, Vec::<String>::new());
    assert_eq!((both.integrity.verdict, both.integrity.pieces, both.integrity.intact), (Verdict::Sound, 3, 3));
    assert!(both.integrity.head.as_deref().unwrap().starts_with("piece 3, sha256:"));
    assert_eq!((both.integrity.without_evidence, both.integrity.differ.len()), (0, 0));
    let piece = both.records.values().next().unwrap().evidence.clone().unwrap();
    assert_eq!((piece.seq, piece.key), (2, "records/2026/10/02/000000000002-one.json".to_owned()));

    let ledger = Sources { ledger: Some((&world.ledger, "the table t")), shelf: None };
    let alone = gather(ledger, &wanted(), &|_| ()).await.unwrap();
    assert_eq!((&alone.records, &alone.facts), (&both.records, &both.facts));
    assert_eq!((alone.integrity.verdict, alone.gaps.len()), (Verdict::NotChecked, 0));
    let shelf = Sources { ledger: None, shelf: Some((&world.shelf, "the folder f")) };
    let alone = gather(shelf, &wanted(), &|_| ()).await.unwrap();
    assert_eq!((&alone.records, &alone.facts), (&both.records, &both.facts));
    assert_eq!((alone.integrity.verdict, alone.integrity.from_evidence_alone), (Verdict::Sound, 0));
    let nothing = gather(Sources::default(), &wanted(), &|_| ()).await.unwrap_err();
    assert!(nothing.contains("name a ledger"), "{nothing}");
}

#[tokio::test]
async fn what_only_one_of_them_has() {
    let world = World::new();
    let [before, one, two] = three();
    world.kept(&[before.clone(), one.clone(), two]).await;
    world.keep(&record("new", "2026-10-31T23:59:59.99Z", "fixed")).await;
    world.forget(&one).await;
    world.forget(&before).await;
    let both = world.both().await;
    assert_eq!(ids(&both), ["one", "two", "new"]);
    assert_eq!((both.integrity.without_evidence, both.integrity.from_evidence_alone), (1, 1));
    assert_eq!(both.facts.len(), 4, "also what was before");
    assert_eq!(both.records.values().last().unwrap().evidence, None);
}

#[tokio::test]
async fn another_account_is_found_by_its_evidence_and_left_out_if_not_asked_for() {
    let world = World::new();
    let mut theirs = record("theirs", "2026-10-05T00:00:00Z", "planned");
    theirs["resource"]["account"] = "444455556666".into();
    let mut new = record("new", "2026-10-06T00:00:00Z", "planned");
    new["resource"]["account"] = "444455556666".into();
    world.kept(&[theirs, three()[1].clone()]).await;
    world.keep(&new).await;
    assert_eq!(ids(&world.both().await), ["one", "theirs", "new"]);
    let sources = Sources { ledger: Some((&world.ledger, "t")), shelf: Some((&world.shelf, "b")) };
    let ours = Wanted { accounts: BTreeSet::from(["111122223333".to_owned()]), ..wanted() };
    assert_eq!(ids(&gather(sources, &ours, &|_| ()).await.unwrap()), ["one"]);
}

#[tokio::test]
async fn a_result_that_came_later_is_the_latest_of_both() {
    let world = World::new();
    let mut record = record("one", "2026-10-02T10:00:00Z", "unverified");
    world.kept(std::slice::from_ref(&record)).await;
    record["outcome"] = "fixed".into();
    world.change(&record, "outcome", "fixed").await;
    let both = world.both().await;
    let found = both.records.values().next().unwrap();
    assert_eq!((&found.record["outcome"], &found.evidence), (&json!("fixed"), &None));
    assert_eq!((both.integrity.without_evidence, both.integrity.differ.len()), (1, 0));
    world.archive(&record).await;
    let both = world.both().await;
    let found = both.records.values().next().unwrap();
    assert_eq!((&found.record["outcome"], found.evidence.as_ref().unwrap().seq), (&json!("fixed"), 2));
    assert_eq!((both.integrity.without_evidence, both.integrity.differ.len(), both.integrity.pieces), (0, 0, 2));
}

#[tokio::test]
async fn a_ledger_that_was_changed_does_not_outweigh_sound_evidence() {
    let world = World::new();
    world.kept(&three()).await;
    world.change(&three()[1], "outcome", "fixed").await;
    let both = world.both().await;
    assert_eq!((both.integrity.verdict, &both.integrity.differ[..]), (Verdict::Sound, &["one".to_owned()][..]));
    assert_eq!(both.records.values().next().unwrap().record["outcome"], "planned");
}

#[tokio::test]
async fn evidence_that_was_changed_is_told_and_its_intact_version_read() {
    let world = World::new();
    world.kept(&three()).await;
    let key = world.key("one");
    let text = String::from_utf8(pollable(world.shelf.get(&key)).unwrap()).unwrap();
    world.shelf.overwrite(&key, Some(text.replace("\"outcome\":\"planned\"", "\"outcome\":\"exempt\"").as_bytes()));
    let both = world.both().await;
    assert_eq!((both.integrity.verdict, both.integrity.intact), (Verdict::NotSound, 2));
    assert_eq!(
        (both.records.values().next().unwrap().record["outcome"].as_str(), both.gaps.len()),
        (Some("planned"), 0)
    );
    assert!(both.integrity.lines.iter().any(|line| line.contains(&key) && line.contains("intact")));
    // A deleted one, too; and one of which no version is left is named, and still in the ledger.
    world.shelf.overwrite(&key, None);
    assert_eq!(ids(&world.both().await), ["one", "two"]);
    world.shelf.purge(&key);
    world.shelf.overwrite(&key, Some(b"{}"));
    let both = world.both().await;
    assert_eq!(ids(&both), ["one", "two"]);
    assert!(both.gaps[0].contains(&key) && both.gaps[0].contains("no version of it is intact"), "{:?}", both.gaps);
    // A piece behind the end is nothing to believe.
    let forged = record("forged", "2026-10-15T00:00:00Z", "fixed");
    world.shelf.overwrite(
        "records/2026/10/15/000000000009-forged.json",
        Some(evidence::text(9, "sha256:0", &forged).as_bytes()),
    );
    let both = world.both().await;
    assert!(
        !ids(&both).contains(&"forged") && both.gaps.iter().any(|gap| gap.contains("behind the end")),
        "{:?}",
        both.gaps
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    let world = World::new();
    world.kept(&three()).await;
    let throttled = Trouble::passing("throttled");
    *world.table.broken.borrow_mut() = Some(("2026-10-02".to_owned(), throttled));
    let both = world.both().await;
    assert_eq!(ids(&both), ["one", "two"], "the evidence has it");
    let [gap] = &both.gaps[..] else { panic!("{:?}", both.gaps) };
    assert!(gap.contains("account 111122223333") && gap.contains("2026-10-02") && gap.contains("throttled"), "{gap}");
    assert_eq!(both.integrity.from_evidence_alone, 0, "nobody knows");

    *world.table.broken.borrow_mut() = Some((String::new(), Trouble::lasting("dynamodb:Query is not allowed")));
    let both = world.both().await;
    assert_eq!((ids(&both), both.gaps.len()), (vec!["one", "two"], 1));
    let ledger = Sources { ledger: Some((&world.ledger, "t")), shelf: None };
    let why = gather(ledger, &wanted(), &|_| ()).await.unwrap_err();
    assert!(why.contains("dynamodb:Query is not allowed"), "{why}");
    *world.table.broken.borrow_mut() = None;

    // Records of a version to come, and what is none.
    world.keep(&record("newer", "2026-10-03T00:00:00Z", "mended-by-magic")).await;
    let mut nameless = record("nameless", "2026-10-03T00:00:00Z", "fixed");
    world.keep(&nameless).await;
    nameless.as_object_mut().unwrap().remove("id");
    let mut item =
        world.table.get(&World::place(&record("nameless", "2026-10-03T00:00:00Z", "fixed"))).await.unwrap().unwrap();
    (item.version, item.body) = (item.version + 1, nameless);
    world.table.write(&[Write::Put(item)]).await.unwrap();
    let both = world.both().await;
    let said = both.gaps.join("\n");
    assert!(said.contains("newer") && said.contains("nameless") && both.gaps.len() == 2, "{said}");
    assert!(ids(&both).contains(&"newer"), "it is listed all the same");

    let nobody = Wanted { likely: BTreeSet::new(), ..wanted() };
    let why = gather(ledger, &nobody, &|_| ()).await.unwrap_err();
    assert!(why.contains("--account"), "{why}");
}

#[tokio::test]
async fn many_gaps_of_a_kind_are_counted() {
    let mut gaps = Gaps::default();
    (0..30).for_each(|number| gaps.tell("things", number.to_string()));
    let all = gaps.all();
    assert_eq!((all.len(), all[20].as_str()), (21, "things: 10 more like these"));
}

/// Prints what it takes, too: `SUTURE_REPORT_RECORDS=50000 cargo test -p report many_records -- --nocapture`.
#[tokio::test]
async fn many_records_are_all_in_it() {
    let many = std::env::var("SUTURE_REPORT_RECORDS").ok().and_then(|many| many.parse().ok()).unwrap_or(2_000_u32);
    let world = World::new();
    let mut head = evidence::Head::default();
    for number in 0..many {
        let (day, resource) = (number % 30 + 1, number % 2_000);
        let id = format!("r{number}");
        let outcome = ["fixed", "planned", "refused", "compliant"][(number % 4) as usize];
        let mut record = record(&id, &format!("2026-10-{day:02}T{:02}:{:02}:00Z", number % 24, number % 60), outcome);
        record["resource"]["id"] = format!("bucket-{resource}").into();
        record["undo"] = json!(["delete-public-access-block"]);
        record["breaks"] =
            json!([{"id": "public-acl-uploads", "says": "uploads would fail with AccessDenied", "refuses": false}]);
        let seq = head.seq + 1;
        let text = evidence::text(seq, &head.hash, &record);
        let key = evidence::key(seq, &record, at("2026-11-01T00:00:00Z"));
        head = evidence::Head { seq, hash: evidence::hash(text.as_bytes()) };
        let of = evidence::hash(evidence::canonical(&record).as_bytes());
        world.shelf.overwrite(&key, Some(text.as_bytes()));
        record["archived"] = json!({"seq": seq, "key": key, "hash": head.hash, "of": of});
        world.keep(&record).await;
    }
    let item = Item {
        key: Place::new("chain", "head"),
        version: 1,
        body: json!({"seq": head.seq, "hash": head.hash}),
        id: None,
        day: None,
        expires: None,
    };
    world.table.write(&[Write::Put(item)]).await.unwrap();
    let began = std::time::Instant::now();
    let sources = Sources { ledger: Some((&world.ledger, "t")), shelf: Some((&world.shelf, "b")) };
    let report = crate::make(sources, &wanted(), "test".to_owned(), &|what| println!("{:?} {what}", began.elapsed()))
        .await
        .unwrap();
    println!("{:?}: {} records, {} episodes", began.elapsed(), report.records.len(), report.episodes.len());
    assert_eq!((report.records.len(), report.integrity.verdict), (usize::try_from(many).unwrap(), Verdict::Sound));
    let json = serde_json::to_string(&report).unwrap();
    println!("{:?}: {} MB of JSON", began.elapsed(), json.len() / 1_000_000);
    let page = crate::html::page(&report);
    println!("{:?}: {} MB of HTML", began.elapsed(), page.len() / 1_000_000);
    let memory = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", memory.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}
