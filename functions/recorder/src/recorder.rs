//! What is done about one change.

use crate::people::People;
use crate::stream::Changed;
use crate::telling::{Left, Untold};
use announce::Context;
use evidence::{Archived, Chain, Claim, RECORD, Shelf, Slot, is_due, is_intent, under_way};
use ledger::{Key, Store, Trouble, Write};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use time::OffsetDateTime;
use triggers::ids::{AccountId, Region, shown};

/// Who speaks: what messages and findings say of the deployment.
#[derive(Clone, Debug)]
pub struct Voice {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its partition: `aws`.
    pub partition: String,
    /// Its CloudFormation stack, where it has one.
    pub stack: Option<String>,
    /// The ledger's table, where it has one.
    pub ledger: Option<String>,
    /// The bucket of its evidence, where it has one.
    pub evidence: Option<String>,
}

impl Voice {
    pub(crate) fn context(&self) -> Context<'_> {
        let [stack, ledger, evidence] = [&self.stack, &self.ledger, &self.evidence].map(Option::as_deref);
        Context { account: &self.account, region: &self.region, stack, ledger, evidence }
    }
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recorded {
    /// It is on the shelf now.
    Now(Archived),
    /// It was on the shelf.
    Before(Archived),
    /// Its result may still come.
    TooEarly,
    /// It is not in the ledger.
    Gone,
}

/// Makes evidence of records, and tells people: over any ledger, any shelf and whoever is told.
#[derive(Clone, Copy)]
pub struct Recorder<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) shelf: &'a dyn Shelf,
    pub(crate) people: &'a dyn People,
    pub(crate) voice: &'a Voice,
}

impl fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("voice", self.voice).finish_non_exhaustive()
    }
}

impl<'a> Recorder<'a> {
    /// One that works so.
    pub fn new(store: &'a dyn Store, shelf: &'a dyn Shelf, people: &'a dyn People, voice: &'a Voice) -> Self {
        Self { store, shelf, people, voice }
    }

    pub(crate) fn chain(&self) -> Chain<'a> {
        Chain::new(self.store, self.shelf)
    }

    /// Makes evidence of the record with this key, tells people of it, and marks it. Asked again, it does nothing, or
    /// what is left to do.
    pub async fn record(&self, place: &Key, now: OffsetDateTime) -> Result<Recorded, Trouble> {
        match self.chain().claim(place, now).await? {
            Claim::Open(slot) => self.go_on(&slot, now).await.map(Recorded::Now),
            Claim::Archived(archived) => Ok(Recorded::Before(archived)),
            Claim::TooEarly => Ok(Recorded::TooEarly),
            Claim::Gone => Ok(Recorded::Gone),
        }
    }

    /// What is left to do for a slot: evidence first, then announcements, then the marks.
    pub(crate) async fn go_on(&self, slot: &Slot, now: OffsetDateTime) -> Result<Archived, Trouble> {
        let chain = self.chain();
        chain.keep(slot).await?;
        let place = slot.place_of_record().unwrap_or_else(|| Key::new("", RECORD));
        let left = self.tell(Untold::new(&place, None, Some(slot.record.clone()))).await;
        let mut also = Vec::new();
        if let Some(Left { untold, why }) = left {
            tracing::error!("evidence {} is on the shelf, but could not be told of: {why}", slot.seq);
            also.push(untold.kept(&format!("evidence#{:012}", slot.seq), now)?);
        }
        chain.close(slot, &also, now).await?;
        tracing::info!(target: "remediation::recorder", "evidence {} is on the shelf: {}", slot.seq, shown(&slot.key));
        Ok(slot.archived())
    }

    /// Does what a change of the ledger asks for.
    pub async fn change(&self, changed: &Changed, now: OffsetDateTime) -> Result<(), Trouble> {
        let (pk, sk) = (changed.key.pk.as_str(), changed.key.sk.as_str());
        let (before, after) = (changed.before.as_ref(), changed.after.as_ref());
        match (pk, after.map(|after| &after.body)) {
            _ if pk.starts_with("resource#") && sk.starts_with(RECORD) => match (after, before) {
                (Some(after), _) => self.changed_record(&changed.key, &after.body, now).await,
                (None, Some(before)) => self.lost_record(&changed.key, &before.body, now).await,
                (None, None) => Ok(()),
            },
            ("chain", None) if sk == "head" => {
                tracing::error!("somebody deleted the end of the evidence's chain from the ledger; check the evidence");
                Ok(())
            }
            ("deployment", _) if sk == "settings" || sk.starts_with("exemption#") => self.announce(changed, now).await,
            ("approvals", _) => self.announce(changed, now).await,
            (pk, Some(_)) if pk.starts_with("budget#") && sk.starts_with("reached#") && before.is_none() => {
                self.announce(changed, now).await
            }
            _ => Ok(()),
        }
    }

    async fn changed_record(&self, place: &Key, body: &Value, now: OffsetDateTime) -> Result<(), Trouble> {
        // A record's own marks come by the stream too; whoever made them goes on.
        if is_intent(body) || under_way(body).is_some() || !is_due(body, now) {
            return Ok(());
        }
        self.record(place, now).await.map(drop)
    }

    /// A record was taken out of the ledger. Time takes only those that are archived; of any other there is evidence yet to
    /// be made.
    async fn lost_record(&self, place: &Key, body: &Value, now: OffsetDateTime) -> Result<(), Trouble> {
        if under_way(body).is_some() || !(is_intent(body) || is_due(body, now)) {
            return Ok(());
        }
        tracing::error!(
            "somebody deleted the record {} {} from the ledger before it was archived; its evidence is made of the stream",
            shown(&place.pk),
            shown(&place.sk)
        );
        match self.chain().claim_lost(body, now).await? {
            Claim::Open(slot) => self.go_on(&slot, now).await.map(drop),
            Claim::Archived(_) | Claim::TooEarly | Claim::Gone => Ok(()),
        }
    }

    /// Tells of a change that is no record; keeps it in the ledger if nobody can be told.
    async fn announce(&self, changed: &Changed, now: OffsetDateTime) -> Result<(), Trouble> {
        let body = |item: &Option<ledger::Item>| item.as_ref().map(|item| item.body.clone());
        let untold = Untold::new(&changed.key, body(&changed.before), body(&changed.after));
        let Some(Left { untold, why }) = self.tell(untold).await else { return Ok(()) };
        tracing::error!("{} could not be told, and waits in the ledger: {why}", shown(&changed.key.sk));
        let kept: Write = untold.kept(&format!("change#{}", changed.id), now)?;
        match self.store.write(&[kept]).await {
            // It waits there already.
            Ok(()) | Err(Trouble::Conflict(_)) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
pub(crate) mod tests;
