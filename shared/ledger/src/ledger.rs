//! What the ledger is asked, in the words of those who ask.
//!
//! Whatever matters is decided by conditions of one write, never by a look before it: two who looked at the same time cannot
//! both write.

use crate::approval;
use crate::deployment::{self, Deployment, EXEMPTION, FORMAT, KNOWN, SETTINGS};
use crate::exemption::Exemption;
use crate::standing::{Last, Lease, Return, Spot, Standing};
use crate::store::{Index, Item, Key, Store, Trouble, Write, newer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use triggers::ids::shown;

/// How long nobody else may write to a resource after an intent, if nothing else is said. Whoever holds it begins no write that
/// could be under way when it ends. Lambda tries again a minute after a failure, and finds the lease of the dead ended. Nobody
/// takes over a lease in force, also not the same request come again: Lambda may deliver it twice at once.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
pub const LEASE: Duration = Duration::from_mins(1);
/// For how long the live settings and the exemptions may be remembered where many resources are looked at. With the lease
/// it is how long a write can follow the kill switch.
const REMEMBERED: Duration = Duration::from_secs(5);
/// For how long a sweep does not record again what it recorded of a resource.
const SAID: time::Duration = time::Duration::days(7);
/// The most items that are read of one partition.
pub(crate) const MANY: usize = 10_000;
/// For how long a count of an hour, and a decided approval, are kept, in seconds.
pub(crate) const KEPT: i64 = 90 * 24 * 3600;

/// What was read, and when.
type Remembered = (Instant, Rc<Deployment>);

/// For how long after the last record it is remembered where a resource stands, in seconds.
const FORGOTTEN: i64 = 400 * 24 * 3600;

/// The ledger.
#[derive(Clone)]
pub struct Ledger {
    store: Rc<dyn Store>,
    lease: Duration,
    remembered: Rc<RefCell<Option<Remembered>>>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

/// What was read of the ledger before a decision.
#[derive(Clone, Debug)]
pub struct Look {
    /// What holds for the deployment.
    pub deployment: Rc<Deployment>,
    /// The resource and the control.
    pub spot: Spot,
    /// Where the resource stands.
    pub standing: Standing,
    /// The version of the standing's item; 0 if there is none.
    pub version: u64,
}

/// How many writes an hour may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many are now to be added.
    pub add: u64,
    /// How many the control may make in an hour.
    pub per_hour: u64,
}

/// An intent that is in the ledger, and the lease that goes with it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The resource and the control.
    pub spot: Spot,
    /// When the lease ends.
    pub until: OffsetDateTime,
    standing: Standing,
    version: u64,
    record: Key,
    record_version: u64,
}

/// What became of a record of something that was no write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is in the ledger.
    New,
    /// The ledger has one that says the same.
    Known,
}

impl Ledger {
    /// The ledger that is held so.
    pub fn new(store: Rc<dyn Store>) -> Self {
        Self { store, lease: LEASE, remembered: Rc::default() }
    }

    /// The same with leases of this length.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How long its leases are.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// What holds it.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What holds for the deployment, as it is now. Whoever means to write asks for it first.
    ///
    /// # Errors
    /// The ledger cannot be read, or has a form that this version does not know.
    pub async fn deployment(&self) -> Result<Rc<Deployment>, Trouble> {
        let items = self.store.query(deployment::PARTITION, "", false, MANY).await?;
        // First of all: whatever else is there may read like something that it is not.
        if let Some(format) = items.iter().find(|item| item.key.sk == FORMAT)
            && format.body.get("format").and_then(Value::as_u64) != Some(KNOWN)
        {
            return Err(newer("the ledger"));
        }
        let mut read = Deployment::default();
        for item in items {
            if item.key.sk == SETTINGS {
                read.posture = body(&item)?;
                read.version = item.version;
            } else if item.key.sk.starts_with(EXEMPTION) {
                read.exemptions.push((body::<Exemption>(&item)?, item.version));
            }
        }
        let read = Rc::new(read);
        self.remembered.replace(Some((Instant::now(), Rc::clone(&read))));
        Ok(read)
    }

    /// What holds for the deployment, as it was a few seconds ago at most.
    pub async fn recent_deployment(&self) -> Result<Rc<Deployment>, Trouble> {
        let remembered = self.remembered.borrow().clone();
        match remembered {
            Some((at, deployment)) if at.elapsed() < REMEMBERED => Ok(deployment),
            _ => self.deployment().await,
        }
    }

    /// What a decision about a resource needs: read in one round trip, and as it is now.
    pub async fn look(&self, spot: &Spot) -> Result<Look, Trouble> {
        let (deployment, standing) = tokio::try_join!(self.deployment(), self.standing(spot))?;
        Ok(Look { deployment, spot: spot.clone(), standing: standing.0, version: standing.1 })
    }

    /// The same for one resource of many: the settings may be seconds old.
    pub async fn look_again(&self, spot: &Spot) -> Result<Look, Trouble> {
        let (deployment, standing) = tokio::try_join!(self.recent_deployment(), self.standing(spot))?;
        Ok(Look { deployment, spot: spot.clone(), standing: standing.0, version: standing.1 })
    }

    async fn standing(&self, spot: &Spot) -> Result<(Standing, u64), Trouble> {
        match self.store.get(&spot.standing()).await? {
            Some(item) => Ok((body(&item)?, item.version)),
            None => Ok((Standing::default(), 0)),
        }
    }

    /// Puts an intent into the ledger, takes the lease and counts the writes, all or none.
    ///
    /// `record` is the record as it stands, with its `id` and `began`. `also` is written with it.
    ///
    /// # Errors
    /// [`Refusal::Taken`] if somebody else was quicker; [`Refusal::Spent`] if the hour's budget does not hold the writes;
    /// [`Refusal::Also`] if a condition of `also` does not hold.
    pub async fn intend(
        &self,
        look: &Look,
        record: &Value,
        budget: Option<Budget>,
        also: Vec<Write>,
        now: OffsetDateTime,
    ) -> Result<Held, Refusal> {
        let (id, began) = named(record)?;
        // The version alone would let whoever saw the lease take it.
        if look.standing.taken(now).is_some() {
            return Err(Refusal::Taken);
        }
        let until = now + self.lease;
        let key = Key::new(look.spot.partition(), record_key(began, id));
        let mut standing = look.standing.clone();
        standing.lease = Some(Lease { holder: id.to_owned(), until });
        standing.unfinished = Some(key.sk.clone());
        let held = Held {
            spot: look.spot.clone(),
            until,
            standing,
            version: look.version + 1,
            record: key,
            record_version: 1,
        };
        self.hold(held, record, budget, also, now).await
    }

    /// Puts another intent in the place of one whose plan came to nothing, under the same lease.
    ///
    /// # Errors
    /// [`Refusal::Taken`] if the lease is no longer ours; otherwise as [`Ledger::intend`].
    pub async fn intend_again(
        &self,
        held: &Held,
        record: &Value,
        budget: Option<Budget>,
        now: OffsetDateTime,
    ) -> Result<Held, Refusal> {
        let until = now + self.lease;
        let mut held = Held { record_version: held.record_version + 1, until, ..held.clone() };
        for _ in 0..3 {
            held.version += 1;
            if let Some(lease) = &mut held.standing.lease {
                lease.until = until;
            }
            match self.hold(held.clone(), record, budget, Vec::new(), now).await {
                Err(Refusal::Taken) => {}
                answer => return answer,
            }
            // A note of somebody else's, if the lease is still ours.
            let ours = held.standing.lease.take();
            (held.standing, held.version) = self.standing(&held.spot).await.map_err(Refusal::Trouble)?;
            if held.standing.lease.as_ref().map(|lease| &lease.holder) != ours.as_ref().map(|lease| &lease.holder) {
                break;
            }
        }
        Err(Refusal::Taken)
    }

    async fn hold(
        &self,
        held: Held,
        record: &Value,
        budget: Option<Budget>,
        also: Vec<Write>,
        now: OffsetDateTime,
    ) -> Result<Held, Refusal> {
        let mut writes = vec![held.standing_item()?, held.record_item(record)];
        let count = budget.map(|budget| Write::Count {
            key: Key::new(budget_partition(&held.spot.control), format!("hour#{}", hour(now))),
            add: budget.add,
            limit: budget.per_hour,
            expires: now.unix_timestamp() + KEPT,
        });
        let spent = if count.is_some() { writes.len() } else { usize::MAX };
        writes.extend(count);
        writes.extend(also);
        match self.store.write(&writes).await {
            Ok(()) => Ok(held),
            Err(Trouble::Conflict(0 | 1)) => Err(Refusal::Taken),
            Err(Trouble::Conflict(number)) if number == spent => Err(Refusal::Spent),
            Err(Trouble::Conflict(_)) => Err(Refusal::Also),
            Err(trouble) => Err(Refusal::Trouble(trouble)),
        }
    }

    /// Puts the result in the place of the intent, and gives the lease back. `brought_back` is by whom the resource had
    /// been undone, where it was brought back; `window` is how far back returns count.
    pub async fn finish(
        &self,
        held: Held,
        record: &Value,
        brought_back: Option<Option<String>>,
        window: Duration,
        now: OffsetDateTime,
    ) -> Result<(), Trouble> {
        let mut held = Held { record_version: held.record_version + 1, ..held };
        let ours = held.standing.lease.take().map(|lease| lease.holder);
        let back = brought_back.map(|by| {
            let record = named(record).map(|(id, _)| id.to_owned()).unwrap_or_default();
            Return { at: now, by, record }
        });
        for _ in 0..3 {
            held.version += 1;
            held.standing.lease = None;
            held.standing.unfinished = None;
            held.standing.last = None;
            held.standing.attention = needs_a_person(record);
            held.standing.returns.retain(|each| each.at > now - window);
            held.standing.returns.extend(back.clone());
            let writes = [held.standing_item().map_err(Refusal::into_trouble)?, held.record_item(record)];
            match self.store.write(&writes).await {
                // A note of somebody else's, if the lease is still ours.
                Err(Trouble::Conflict(0)) => (held.standing, held.version) = self.standing(&held.spot).await?,
                answer => return answer,
            }
            if held.standing.lease.as_ref().map(|lease| &lease.holder) != ours.as_ref() {
                break;
            }
        }
        Err(Trouble::Conflict(0))
    }

    /// Puts the result of a record whose opener died in its place. `look` says which record that is; it is what
    /// [`Ledger::unfinished`] gave.
    pub async fn close(
        &self,
        look: &Look,
        unfinished: &Item,
        record: &Value,
        now: OffsetDateTime,
    ) -> Result<Look, Trouble> {
        let mut after = look.clone();
        after.standing.lease = None;
        after.standing.unfinished = None;
        after.version += 1;
        let held = Held {
            spot: look.spot.clone(),
            until: now,
            standing: after.standing.clone(),
            version: after.version,
            record: unfinished.key.clone(),
            record_version: unfinished.version + 1,
        };
        self.store.write(&[held.standing_item().map_err(Refusal::into_trouble)?, held.record_item(record)]).await?;
        Ok(after)
    }

    /// The record that was opened for this resource and has no result, if whoever opened it is dead: its lease has ended.
    pub async fn unfinished(&self, look: &Look, now: OffsetDateTime) -> Result<Option<Item>, Trouble> {
        let Some(sk) = &look.standing.unfinished else { return Ok(None) };
        if look.standing.taken(now).is_some() {
            return Ok(None);
        }
        self.store.get(&Key::new(look.spot.partition(), sk.as_str())).await
    }

    /// Puts a record of something that was no write into the ledger. If `says` is the same as that of the last one, and it
    /// is no more than days old, nothing is written. If only `gist` is, the record says so (`again`): people know. `also` is
    /// written with it.
    ///
    /// # Errors
    /// [`Refusal::Also`] if a condition of `also` does not hold.
    pub async fn note(
        &self,
        look: &Look,
        record: &Value,
        says: &impl Serialize,
        gist: &impl Serialize,
        also: Vec<Write>,
        now: OffsetDateTime,
    ) -> Result<Noted, Refusal> {
        let (digest, gist) = (digest(says), digest(gist));
        let (id, began) = named(record)?;
        let key = Key::new(look.spot.partition(), record_key(began, id));
        let (mut standing, mut version) = (look.standing.clone(), look.version);
        for _ in 0..3 {
            let last = standing.last.take().filter(|last| last.at > now - SAID);
            if last.as_ref().is_some_and(|last| last.digest == digest) {
                return Ok(Noted::Known);
            }
            let since = last.filter(|last| last.gist == gist && last.since > now - SAID).map(|last| last.since);
            let mut record = record.clone();
            if let (Some(_), Some(fields)) = (since, record.as_object_mut()) {
                fields.insert("again".to_owned(), true.into());
            }
            let (digest, gist, since) = (digest.clone(), gist.clone(), since.unwrap_or(now));
            standing.last = Some(Last { digest, at: now, gist, since });
            standing.attention = needs_a_person(&record);
            let (spot, record_key) = (look.spot.clone(), key.clone());
            let held = Held { spot, until: now, standing, version: version + 1, record: record_key, record_version: 1 };
            let mut writes = vec![held.standing_item()?, held.record_item(&record)];
            writes.extend(also.iter().cloned());
            match self.store.write(&writes).await {
                Ok(()) => return Ok(Noted::New),
                // Somebody works on it at this moment, and what they keep of it stays; or they said the same.
                Err(Trouble::Conflict(0)) => {
                    (standing, version) = self.standing(&look.spot).await.map_err(Refusal::Trouble)?;
                }
                Err(Trouble::Conflict(1)) => return Ok(Noted::Known),
                Err(Trouble::Conflict(_)) => return Err(Refusal::Also),
                Err(trouble) => return Err(Refusal::Trouble(trouble)),
            }
        }
        Err(Refusal::Taken)
    }

    /// Notes that the budget of this hour was reached; whether it was news.
    pub async fn reached(&self, control: &str, now: OffsetDateTime) -> Result<bool, Trouble> {
        let item = Item {
            key: Key::new(budget_partition(control), format!("reached#{}", hour(now))),
            version: 1,
            body: serde_json::json!({"control": control, "hour": hour(now)}),
            id: None,
            day: None,
            expires: Some(now.unix_timestamp() + KEPT),
        };
        match self.store.write(&[Write::Put(item)]).await {
            Ok(()) => Ok(true),
            Err(Trouble::Conflict(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// The history of a resource, the newest first.
    pub async fn history(&self, spot: &Spot, limit: usize) -> Result<Vec<Value>, Trouble> {
        let items = self.store.query(&spot.partition(), "record#", true, limit).await?;
        Ok(items.into_iter().map(|item| item.body).collect())
    }

    /// The record with this id. A request that was delivered twice has two; then it is the newest that wrote something.
    pub async fn record(&self, id: &str) -> Result<Option<Value>, Trouble> {
        let mut found = self.store.find(Index::Id, id).await?;
        found.sort_by(|a, b| b.key.sk.cmp(&a.key.sk));
        let mut newest = None;
        for item in found {
            // The index may lag; the table does not.
            let Some(Item { body, .. }) = self.store.get(&item.key).await? else { continue };
            let outcome = body.get("outcome").map(crate::Outcome::deserialize);
            if outcome.is_some_and(|outcome| outcome.is_ok_and(crate::Outcome::wrote)) {
                return Ok(Some(body));
            }
            newest.get_or_insert(body);
        }
        Ok(newest)
    }

    /// What happened in an account on a day (`2026-01-15`), in the order in which it began.
    pub async fn day(&self, account: &str, day: &str) -> Result<Vec<Item>, Trouble> {
        let mut items = self.store.find(Index::Day, &format!("{account}#{day}")).await?;
        items.sort_by(|a, b| a.key.sk.cmp(&b.key.sk));
        Ok(items)
    }

    pub(crate) fn forget(&self) {
        self.remembered.replace(None);
    }
}

/// Why an intent is not in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else works on the resource, or did since it was looked at.
    Taken,
    /// The hour's budget does not hold the writes.
    Spent,
    /// Something that was to be written with it has changed.
    Also,
    /// The ledger cannot be read or written.
    Trouble(Trouble),
}

impl Refusal {
    fn into_trouble(self) -> Trouble {
        match self {
            Self::Trouble(trouble) => trouble,
            _ => Trouble::Conflict(0),
        }
    }
}

impl Held {
    fn standing_item(&self) -> Result<Write, Refusal> {
        let body = serde_json::to_value(&self.standing)
            .map_err(|_| Refusal::Trouble(Trouble::lasting("where the resource stands could not be put into words")))?;
        Ok(Write::Put(Item {
            key: self.spot.standing(),
            version: self.version,
            body,
            id: None,
            day: None,
            expires: Some(self.until.unix_timestamp().max(0) + FORGOTTEN),
        }))
    }

    fn record_item(&self, record: &Value) -> Write {
        let day = self.record.sk.split('#').nth(1).and_then(|began| began.get(..10)).unwrap_or_default();
        Write::Put(Item {
            key: self.record.clone(),
            version: self.record_version,
            body: record.clone(),
            id: record.get("id").and_then(Value::as_str).map(str::to_owned),
            day: Some(format!("{}#{day}", self.spot.account)),
            expires: None,
        })
    }
}

fn named(record: &Value) -> Result<(&str, &str), Refusal> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    text("id")
        .zip(text("began"))
        .ok_or_else(|| Refusal::Trouble(Trouble::lasting("a record without id and beginning cannot be kept")))
}

fn needs_a_person(record: &Value) -> bool {
    let outcome = record.get("outcome").map(crate::Outcome::deserialize);
    outcome.is_some_and(|outcome| outcome.is_ok_and(crate::Outcome::needs_a_person))
}

fn digest(of: &impl Serialize) -> String {
    approval::hex(&Sha256::digest(serde_json::to_string(of).unwrap_or_default()))
}

/// Keys are in the order of time only if all have as many digits.
fn record_key(began: &str, id: &str) -> String {
    let (date, rest) = began.trim_end_matches('Z').split_once('.').unwrap_or((began.trim_end_matches('Z'), ""));
    let fraction: String = rest.chars().chain(std::iter::repeat('0')).take(6).collect();
    format!("record#{date}.{fraction}Z#{id}")
}

fn budget_partition(control: &str) -> String {
    format!("budget#{control}")
}

/// The hour: `2026-01-15T10`.
fn hour(now: OffsetDateTime) -> String {
    let date = now.to_offset(time::UtcOffset::UTC);
    format!("{:04}-{:02}-{:02}T{:02}", date.year(), u8::from(date.month()), date.day(), date.hour())
}

pub(crate) fn body<T: DeserializeOwned>(item: &Item) -> Result<T, Trouble> {
    T::deserialize(&item.body).map_err(|_| {
        let (pk, sk) = (shown(&item.key.pk), shown(&item.key.sk));
        newer(&format!(
            "the ledger's item {pk} {sk} is not in a form that this version knows: it was changed by hand, or"
        ))
    })
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
