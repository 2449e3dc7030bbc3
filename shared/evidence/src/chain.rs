//! From a record in the ledger to a piece of evidence on the shelf, in steps of which each can be the last one for a while.
//!
//! 1. [`Chain::claim`]: one transaction gives the record the chain's next number, puts the whole piece into a slot, and
//!    marks the record with the number. From here on the piece's bytes are decided.
//! 2. [`Chain::keep`]: the object is put on the shelf, if it is not there.
//! 3. [`Chain::close`]: one transaction takes the slot away and marks the record as archived.
//!
//! Who finds an open slot goes on at step 2. So no crash loses a piece, makes a gap, or writes a piece twice.

use crate::document::{self, Head, hash, record_of};
use crate::shelf::{Put, Shelf};
use ledger::{Item, Key, Store, Trouble, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The partition of the chain in the ledger's table.
pub const PARTITION: &str = "chain";
const HEAD: &str = "head";
/// How the sort keys of slots begin.
pub const SLOT: &str = "slot#";
/// How the sort keys of records begin.
pub const RECORD: &str = "record#";
/// How old an intent without a result must be before it is archived as it stands: longer than any function can run.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const ABANDONED: time::Duration = time::Duration::minutes(20);
/// For how long an archived record stays in the ledger.
pub const KEPT: time::Duration = time::Duration::days(400);
/// How often a step is tried while others get in between.
const TRIES: u32 = 16;

/// A piece of evidence that has its number, and may not be on the shelf yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Its number.
    pub seq: u64,
    /// The hash of the piece before it.
    pub previous: String,
    /// The hash of its own bytes.
    pub hash: String,
    /// The name of its object.
    pub key: String,
    /// The hash of the record alone.
    of: String,
    /// Where the record is, if it is in the ledger.
    pk: Option<String>,
    sk: Option<String>,
    /// When it was claimed.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The record.
    pub record: Value,
}

/// What the ledger says of a record's evidence, under `archived` in the record's item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// The number of the piece.
    pub seq: u64,
    /// The name of its object.
    pub key: String,
    /// The hash of its bytes.
    pub hash: String,
    /// The hash of the record alone: if the record has another by now, it got another result since.
    pub of: String,
}

/// What is to be done about a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Its piece has a slot, which is to be kept and closed.
    Open(Box<Slot>),
    /// Its piece is on the shelf.
    Archived(Archived),
    /// It is an intent, and its result may still come.
    TooEarly,
    /// It is not in the ledger.
    Gone,
}

impl Slot {
    /// The bytes of its object.
    pub fn text(&self) -> String {
        document::text(self.seq, &self.previous, &self.record)
    }

    fn place(&self) -> Key {
        Key::new(PARTITION, format!("{SLOT}{:012}", self.seq))
    }

    /// Where its record is in the ledger; none if somebody took it away before it was archived.
    pub fn place_of_record(&self) -> Option<Key> {
        Some(Key::new(self.pk.clone()?, self.sk.clone()?))
    }

    /// What the ledger will say of it.
    pub fn archived(&self) -> Archived {
        Archived { seq: self.seq, key: self.key.clone(), hash: self.hash.clone(), of: self.of.clone() }
    }
}

/// The chain: the ledger that counts it, and the shelf that holds it.
#[derive(Clone, Copy)]
pub struct Chain<'a> {
    store: &'a dyn Store,
    shelf: &'a dyn Shelf,
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

/// Whether this is an intent: a record that was put in before the writes, and has no result.
pub fn is_intent(body: &Value) -> bool {
    let says = |name: &str, text: &str| body.get(name).and_then(Value::as_str) == Some(text);
    says("outcome", "unverified") && says("why", "about to write")
}

/// Whether this is a record that has to be archived: it has a result, or whoever opened it is long dead; and the evidence
/// that there may be is not of this result.
pub fn is_due(body: &Value, now: OffsetDateTime) -> bool {
    is_settled(body, now) && mark(body, "archived").is_none_or(|of| of != hash_of(body))
}

/// The number of the record's slot, if it says that its evidence is being made: whoever claimed it goes on with it.
pub fn under_way(body: &Value) -> Option<u64> {
    let of = mark(body, "archiving")?;
    body.pointer("/archiving/seq").and_then(Value::as_u64).filter(|_| of == hash_of(body))
}

fn is_settled(body: &Value, now: OffsetDateTime) -> bool {
    let began =
        || body.get("began").and_then(Value::as_str).and_then(|began| OffsetDateTime::parse(began, &Rfc3339).ok());
    !is_intent(body) || began().is_none_or(|began| began + ABANDONED < now)
}

fn hash_of(body: &Value) -> String {
    hash(crate::canonical(&record_of(body)).as_bytes())
}

fn mark(body: &Value, name: &str) -> Option<String> {
    body.get(name)?.get("of")?.as_str().map(str::to_owned)
}

fn marked(body: &Value, name: &str, mark: Value) -> Value {
    let mut body = body.clone();
    if let Value::Object(members) = &mut body {
        members.retain(|member, _| !document::MARKS.contains(&member.as_str()));
        members.insert(name.to_owned(), mark);
    }
    body
}

impl<'a> Chain<'a> {
    /// The chain that this ledger counts and this shelf holds.
    pub fn new(store: &'a dyn Store, shelf: &'a dyn Shelf) -> Self {
        Self { store, shelf }
    }

    /// The end of the chain, and the version of its item; the beginning, and 0, if there is no piece yet.
    ///
    /// If the ledger has none but the shelf has evidence, somebody took the ledger's away; then it goes on behind the last
    /// piece on the shelf, as far as that can be seen, and [`crate::verify()`] shows what is missing.
    async fn head(&self) -> Result<(Head, u64), Trouble> {
        if let Some(item) = self.store.get(&Key::new(PARTITION, HEAD)).await? {
            return Ok((form(&item)?, item.version));
        }
        let listed = self.shelf.list(document::FOLDER).await?;
        let last = listed
            .into_iter()
            .filter_map(|listed| Some((document::seq_of(&listed.key)?, listed)))
            .max_by_key(|(seq, _)| *seq);
        let Some((seq, listed)) = last else { return Ok((Head::default(), 0)) };
        tracing::error!("the end of the evidence's chain is gone from the ledger; it goes on behind piece {seq}");
        let bytes = if listed.deleted {
            match self.shelf.versions(&listed.key).await?.last() {
                Some(oldest) => self.shelf.version(&listed.key, oldest).await?,
                None => None,
            }
        } else {
            self.shelf.get(&listed.key).await?
        };
        let bytes = bytes
            .ok_or_else(|| Trouble::lasting(format!("the last piece of evidence, {}, cannot be read", listed.key)))?;
        Ok((Head { seq, hash: hash(&bytes) }, 0))
    }

    /// The slots that are open, the oldest first, `limit` at most.
    pub async fn open(&self, limit: usize) -> Result<Vec<Slot>, Trouble> {
        self.store.query(PARTITION, SLOT, false, limit).await?.iter().map(form).collect()
    }

    /// Gives the record with this key its place in the chain, or says which one it has.
    pub async fn claim(&self, place: &Key, now: OffsetDateTime) -> Result<Claim, Trouble> {
        let mut last = Trouble::Conflict(0);
        let mut missing = 0;
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some(item) = self.store.get(place).await? else { return Ok(Claim::Gone) };
            if !is_settled(&item.body, now) {
                return Ok(Claim::TooEarly);
            }
            let of = hash_of(&item.body);
            if let Some(archived) = item.body.get("archived").and_then(|it| Archived::deserialize(it).ok())
                && archived.of == of
            {
                return Ok(Claim::Archived(archived));
            }
            // A slot that was not there twice was not closed at this moment, but taken away: the piece gets another one.
            if mark(&item.body, "archiving").as_ref() == Some(&of) && missing < 2 {
                let seq = item.body.pointer("/archiving/seq").and_then(Value::as_u64).unwrap_or_default();
                match self.slot(seq).await? {
                    Some((slot, _)) => return Ok(Claim::Open(Box::new(slot))),
                    None => missing += 1,
                }
                continue;
            }
            let (head, version) = self.head().await?;
            let slot = slot(&head, record_of(&item.body), of, Some(place), now);
            let archiving = json!({"seq": slot.seq, "of": slot.of});
            let record = Item { version: item.version + 1, body: marked(&item.body, "archiving", archiving), ..item };
            let mut writes = claiming(&slot, version)?;
            writes.push(Write::Put(record));
            match self.store.write(&writes).await {
                Ok(()) => return Ok(Claim::Open(Box::new(slot))),
                Err(trouble) if trouble.is_worth_a_retry() => last = trouble,
                Err(trouble) => return Err(trouble),
            }
        }
        Err(last)
    }

    /// Gives a record its place that was taken out of the ledger before it was archived. `body` is what it said. Twice the
    /// same gets one piece.
    pub async fn claim_lost(&self, body: &Value, now: OffsetDateTime) -> Result<Claim, Trouble> {
        let of = hash_of(body);
        let place = Key::new(PARTITION, format!("lost#{of}"));
        let mut last = Trouble::Conflict(0);
        for attempt in 0..TRIES {
            pause(attempt).await;
            if let Some(item) = self.store.get(&place).await? {
                let seq = item.body.get("seq").and_then(Value::as_u64).unwrap_or_default();
                let open = self.slot(seq).await?;
                return match open {
                    Some((slot, _)) => Ok(Claim::Open(Box::new(slot))),
                    None => form(&item).map(Claim::Archived),
                };
            }
            let (head, version) = self.head().await?;
            let slot = slot(&head, record_of(body), of.clone(), None, now);
            let mut writes = claiming(&slot, version)?;
            writes.push(Write::Put(plain(place.clone(), 1, to_json(&slot.archived())?, Some(now + KEPT))));
            match self.store.write(&writes).await {
                Ok(()) => return Ok(Claim::Open(Box::new(slot))),
                Err(trouble) if trouble.is_worth_a_retry() => last = trouble,
                Err(trouble) => return Err(trouble),
            }
        }
        Err(last)
    }

    /// Sees to it that the slot's object is on the shelf.
    ///
    /// # Errors
    /// Also if something else has its name, or the slot is not what was claimed: somebody meddled.
    pub async fn keep(&self, slot: &Slot) -> Result<(), Trouble> {
        let text = slot.text();
        if hash(text.as_bytes()) != slot.hash {
            let why =
                format!("the slot of evidence {} in the ledger is not what was put there; who changed it?", slot.seq);
            return Err(Trouble::lasting(why));
        }
        if self.shelf.put_new(&slot.key, &text).await? == Put::New {
            return Ok(());
        }
        match self.shelf.get(&slot.key).await? {
            Some(bytes) if bytes == text.as_bytes() => Ok(()),
            Some(_) => Err(Trouble::lasting(format!(
                "{} is there already and says something else: somebody wrote it, or the ledger was set back to before it \
                 (a restored backup?)",
                slot.key
            ))),
            None => Err(Trouble::passing(format!("{} was there and is not; it will be put again", slot.key))),
        }
    }

    /// Takes the slot away, whose object is on the shelf, and marks its record; `also` is written with it. Whether the slot
    /// was there: if not, somebody else closed it, and `also` was not written.
    pub async fn close(&self, slot: &Slot, also: &[Write], now: OffsetDateTime) -> Result<bool, Trouble> {
        let mut last = Trouble::Conflict(0);
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some((_, version)) = self.slot(slot.seq).await? else { return Ok(false) };
            let mut writes = vec![Write::Delete(slot.place(), version)];
            writes.extend(self.mark(slot, now).await?);
            writes.extend_from_slice(also);
            match self.store.write(&writes).await {
                Ok(()) => return Ok(true),
                Err(trouble) if trouble.is_worth_a_retry() => last = trouble,
                Err(trouble) => return Err(trouble),
            }
        }
        Err(last)
    }

    /// The write that marks the slot's record as archived; none if it is gone, or has got another result.
    async fn mark(&self, slot: &Slot, now: OffsetDateTime) -> Result<Option<Write>, Trouble> {
        let (Some(pk), Some(sk)) = (&slot.pk, &slot.sk) else { return Ok(None) };
        let item = self.store.get(&Key::new(pk, sk)).await?;
        let Some(item) = item.filter(|item| hash_of(&item.body) == slot.of) else { return Ok(None) };
        Ok(Some(Write::Put(Item {
            version: item.version + 1,
            body: marked(&item.body, "archived", to_json(&slot.archived())?),
            expires: Some((now + KEPT).unix_timestamp()),
            ..item
        })))
    }

    async fn slot(&self, seq: u64) -> Result<Option<(Slot, u64)>, Trouble> {
        let place = Key::new(PARTITION, format!("{SLOT}{seq:012}"));
        let item = self.store.get(&place).await?;
        item.map(|item| form(&item).map(|slot| (slot, item.version))).transpose()
    }
}

/// What the ledger knows of a chain: what [`crate::verify()`] holds a shelf against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its end.
    pub head: Head,
    /// The pieces that may not be on the shelf yet: their numbers, and the hashes of those before them.
    pub open: BTreeMap<u64, String>,
}

impl Known {
    /// What this ledger knows.
    pub async fn read(store: &dyn Store) -> Result<Self, Trouble> {
        let head = match store.get(&Key::new(PARTITION, HEAD)).await? {
            Some(item) => form(&item)?,
            None => Head::default(),
        };
        let open = store.query(PARTITION, SLOT, false, 10_000).await?;
        let open = open.iter().map(form::<Slot>).map(|slot| slot.map(|slot| (slot.seq, slot.previous)));
        Ok(Self { head, open: open.collect::<Result<_, _>>()? })
    }
}

fn slot(head: &Head, record: Value, of: String, place: Option<&Key>, now: OffsetDateTime) -> Slot {
    let seq = head.seq + 1;
    let hash = hash(document::text(seq, &head.hash, &record).as_bytes());
    let key = document::key(seq, &record, now);
    let (pk, sk) = (place.map(|place| place.pk.clone()), place.map(|place| place.sk.clone()));
    Slot { seq, previous: head.hash.clone(), hash, key, of, pk, sk, at: now, record }
}

/// The writes that make the slot the end of the chain whose end's item had this version.
fn claiming(slot: &Slot, version: u64) -> Result<Vec<Write>, Trouble> {
    let head = Head { seq: slot.seq, hash: slot.hash.clone() };
    Ok(vec![
        Write::Put(plain(Key::new(PARTITION, HEAD), version + 1, to_json(&head)?, None)),
        Write::Put(plain(slot.place(), 1, to_json(slot)?, None)),
    ])
}

fn plain(key: Key, version: u64, body: Value, expires: Option<OffsetDateTime>) -> Item {
    Item { key, version, body, id: None, day: None, expires: expires.map(OffsetDateTime::unix_timestamp) }
}

fn to_json(value: &impl Serialize) -> Result<Value, Trouble> {
    serde_json::to_value(value).map_err(|_| Trouble::lasting("a piece of evidence could not be put into words"))
}

fn form<T: serde::de::DeserializeOwned>(item: &Item) -> Result<T, Trouble> {
    T::deserialize(&item.body).map_err(|_| {
        let sk = triggers::ids::shown(&item.key.sk);
        Trouble::lasting(format!(
            "the ledger's item {PARTITION} {sk} is not in a form that this version knows; was it changed?"
        ))
    })
}

/// Waits before another try, longer each time and never in step with others.
async fn pause(attempt: u32) {
    if attempt > 0 {
        let most = 10_u64 << attempt.min(6);
        let chance = RandomState::new().build_hasher().finish() % most;
        tokio::time::sleep(Duration::from_millis(most / 2 + chance / 2)).await;
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
