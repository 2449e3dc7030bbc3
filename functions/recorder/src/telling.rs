//! What is told of a change, and what becomes of it if nobody can be reached.

use crate::recorder::Recorder;
use announce::{Change, Finding, Hub, Message};
use evidence::RECORD;
use ledger::{Approval, Exemption, Item, Key, Posture, Trouble, Write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use triggers::ids::shown;

/// The partition of what could not be told yet.
pub(crate) const UNTOLD: &str = "untold";
/// The partition of the findings that are open in Security Hub, as far as we opened them.
const FINDINGS: &str = "findings";
/// For how long it is tried to tell something.
const STALE: time::Duration = time::Duration::days(30);

/// Something to tell: an item of the ledger as it was and as it is, and who does not know yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Untold {
    /// The item's partition key.
    pub pk: String,
    /// Its sort key.
    pub sk: String,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Whether people are still to be told.
    pub message: bool,
    /// Whether Security Hub is.
    pub finding: bool,
}

/// What is left to tell, and why.
pub(crate) struct Left {
    pub(crate) untold: Untold,
    pub(crate) why: Trouble,
}

impl Untold {
    /// A change of an item that nobody was told of.
    pub fn new(key: &Key, before: Option<Value>, after: Option<Value>) -> Self {
        Self { pk: key.pk.clone(), sk: key.sk.clone(), before, after, message: true, finding: true }
    }

    fn record(&self) -> Option<&Value> {
        self.after.as_ref().filter(|_| self.sk.starts_with(RECORD))
    }

    /// The write that keeps it until somebody can be told; `name` tells it from others.
    pub(crate) fn kept(&self, name: &str, now: OffsetDateTime) -> Result<Write, Trouble> {
        let body =
            serde_json::to_value(self).map_err(|_| Trouble::lasting("an announcement cannot be put into words"))?;
        let expires = Some((now + STALE).unix_timestamp());
        Ok(Write::Put(Item { key: Key::new(UNTOLD, name), version: 1, body, id: None, day: None, expires }))
    }
}

impl Recorder<'_> {
    /// Tells whoever is to know and does not yet. What is left is none if all know.
    pub(crate) async fn tell(&self, mut untold: Untold) -> Option<Left> {
        let mut trouble = None;
        if untold.message {
            match self.send(&untold).await {
                Ok(()) => untold.message = false,
                Err(why) => trouble = Some(why),
            }
        }
        if untold.finding {
            match self.find(&untold).await {
                Ok(()) => untold.finding = false,
                Err(why) => trouble = trouble.or(Some(why)),
            }
        }
        trouble.map(|why| Left { untold, why })
    }

    async fn send(&self, untold: &Untold) -> Result<(), Trouble> {
        match self.message(untold) {
            Some(message) => self.people.message(&message).await.map(drop),
            None => Ok(()),
        }
    }

    fn message(&self, untold: &Untold) -> Option<Message> {
        let context = self.voice.context();
        let say = |change: Change<'_>| announce::message(&change, &context);
        if let Some(record) = untold.record() {
            return say(Change::Record(record));
        }
        let (before, after) = (untold.before.as_ref(), untold.after.as_ref());
        match (untold.pk.as_str(), untold.sk.as_str()) {
            ("deployment", "settings") => {
                let (before, after) = (read::<Posture>(before).ok()?, read::<Posture>(after).ok()?);
                say(Change::Posture { before: &before.unwrap_or_default(), after: &after.unwrap_or_default() })
            }
            ("deployment", _) => {
                let (before, after) = (read::<Exemption>(before).ok()?, read::<Exemption>(after).ok()?);
                match (&before, &after) {
                    // The hourly run notes that it is over; nothing else about it changed.
                    (Some(before), Some(after)) if after.ended && !before.ended => say(Change::ExemptionEnded(after)),
                    (before, after) => say(Change::Exemption { before: before.as_ref(), after: after.as_ref() }),
                }
            }
            ("approvals", _) => {
                let (before, after) = (read::<Approval>(before).ok()?, read::<Approval>(after).ok()?);
                say(Change::Approval { before: before.as_ref(), after: after.as_ref() })
            }
            _ => {
                let text = |name: &str| after.and_then(|after| after.get(name)).and_then(Value::as_str);
                say(Change::BudgetReached { control: text("control")?, hour: text("hour")? })
            }
        }
    }

    /// Opens a finding; or closes the one that is open, if we opened one.
    async fn find(&self, untold: &Untold) -> Result<(), Trouble> {
        let Some(record) = untold.record() else { return Ok(()) };
        let (account, region) = (&self.voice.account, &self.voice.region);
        let hub = Hub { partition: &self.voice.partition, account, region };
        let place = Key::new(FINDINGS, announce::id_of(record));
        match announce::finding(record, &hub) {
            None => Ok(()),
            Some(Finding::Open(finding)) => {
                // Noted first: a note without a finding costs one call later, a finding without a note would stay open.
                if self.store.get(&place).await?.is_none() {
                    let body = serde_json::json!({"record": record.get("id")});
                    let note = Item { key: place, version: 1, body, id: None, day: None, expires: None };
                    match self.store.write(&[Write::Put(note)]).await {
                        Ok(()) | Err(Trouble::Conflict(_)) => {}
                        Err(trouble) => return Err(trouble),
                    }
                }
                self.people.finding(&finding).await.map(drop)
            }
            Some(Finding::Over(finding)) => {
                let Some(note) = self.store.get(&place).await? else { return Ok(()) };
                self.people.finding(&finding).await?;
                match self.store.write(&[Write::Delete(place, note.version)]).await {
                    Ok(()) | Err(Trouble::Conflict(_)) => Ok(()),
                    Err(trouble) => Err(trouble),
                }
            }
        }
    }

    /// Tells what could not be told before, the oldest first, `limit` at most; ends where nobody can be reached. How much
    /// is left of it.
    pub async fn untold(&self, limit: usize) -> Result<usize, Trouble> {
        let items = self.store.query(UNTOLD, "", false, limit).await?;
        let mut left = items.len();
        for item in items {
            let Ok(untold) = Untold::deserialize(&item.body) else {
                tracing::error!("the ledger's item {UNTOLD} {} cannot be read; nobody was told", shown(&item.key.sk));
                continue;
            };
            let still = self.tell(untold.clone()).await;
            let write = match &still {
                None => Some(Write::Delete(item.key.clone(), item.version)),
                // What was told is not told again.
                Some(still) if still.untold != untold => {
                    let body = serde_json::to_value(&still.untold).unwrap_or_default();
                    Some(Write::Put(Item { version: item.version + 1, body, ..item.clone() }))
                }
                Some(_) => None,
            };
            if let Some(write) = write {
                match self.store.write(&[write]).await {
                    // Somebody else told it at the same time.
                    Ok(()) | Err(Trouble::Conflict(_)) => {}
                    Err(trouble) => return Err(trouble),
                }
            }
            match still {
                None => left -= 1,
                Some(Left { why, .. }) => {
                    tracing::error!("{} could not be told, and waits in the ledger: {why}", shown(&item.key.sk));
                    if why.is_worth_a_retry() {
                        break;
                    }
                }
            }
        }
        Ok(left)
    }
}

/// What an item says, if there is one.
fn read<T: DeserializeOwned>(body: Option<&Value>) -> Result<Option<T>, serde_json::Error> {
    let read = body.filter(|body| !body.is_null()).map(T::deserialize).transpose();
    read.inspect_err(|_| {
        tracing::error!("a change of the ledger is not in a form that this version knows; nobody was told of it");
    })
}
