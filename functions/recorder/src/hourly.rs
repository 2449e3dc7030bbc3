//! What the stream lost, once an hour.

use crate::recorder::Recorder;
use evidence::{ABANDONED, RECORD, is_due};
use ledger::{Index, Item, Ledger, Trouble};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use triggers::ids::{AccountId, shown};

/// How many days back records are looked for; the stream has what happened in the last one.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
const DAYS: i64 = 8;
/// For how long it is left to the stream, and to whoever works on it, to deal with something.
const LAG: Duration = Duration::minutes(10);
/// How many slots, and announcements, are taken at a time.
const PAGE: usize = 200;

/// What an hourly run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Slots that somebody left open, and that are closed now.
    pub closed: usize,
    /// Records that the stream lost.
    pub archived: usize,
    /// Exemptions whose time was over.
    pub ended: usize,
    /// Announcements that could not be made yet.
    pub untold: usize,
    /// What went wrong, in one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
}

impl Swept {
    fn note(&mut self, what: &str, trouble: &Trouble) {
        tracing::error!("{what}: {trouble}");
        if self.troubles.len() < 20 {
            self.troubles.push(format!("{what}: {trouble}"));
        }
    }
}

impl Recorder<'_> {
    /// Goes on with what was left half done, archives what the stream lost, ends exemptions, and tells what could not be
    /// told. Ends before the deadline; what is left then is for the next hour. One thing that goes wrong keeps no other
    /// from being done.
    pub async fn hourly(&self, accounts: &[AccountId], now: OffsetDateTime, deadline: Instant) -> Swept {
        let mut swept = Swept::default();
        let open = self.slots(&mut swept, now, deadline).await;
        for account in accounts {
            for back in 0..DAYS {
                self.day(account, now - Duration::days(back), &open, &mut swept, now, deadline).await;
            }
        }
        if let Err(trouble) = self.exemptions(&mut swept, now).await {
            swept.note("exemptions", &trouble);
        }
        match self.untold(PAGE).await {
            Ok(left) => swept.untold = left,
            Err(trouble) => swept.note("what is still to be told", &trouble),
        }
        if Instant::now() >= deadline {
            swept.note("an hourly run", &Trouble::passing("out of time; the next one goes on"));
        }
        swept
    }

    /// Goes on with slots that somebody left. The numbers of those that are open still, as far as they were seen.
    async fn slots(&self, swept: &mut Swept, now: OffsetDateTime, deadline: Instant) -> BTreeSet<u64> {
        let mut open = BTreeSet::new();
        loop {
            let slots = match self.chain().open(PAGE).await {
                Ok(slots) => slots,
                Err(trouble) => {
                    swept.note("what was left half done", &trouble);
                    return open;
                }
            };
            let (found, before) = (slots.len(), swept.closed);
            open.extend(slots.iter().map(|slot| slot.seq));
            for slot in slots.into_iter().filter(|slot| slot.at + LAG < now) {
                if Instant::now() >= deadline {
                    return open;
                }
                match self.go_on(&slot, now).await {
                    Ok(_) => {
                        open.remove(&slot.seq);
                        swept.closed += 1;
                    }
                    Err(trouble) => swept.note(&format!("evidence {}", slot.seq), &trouble),
                }
            }
            if found < PAGE || swept.closed == before {
                return open;
            }
        }
    }

    /// The records of one day.
    async fn day(
        &self,
        account: &AccountId,
        day: OffsetDateTime,
        open: &BTreeSet<u64>,
        swept: &mut Swept,
        now: OffsetDateTime,
        deadline: Instant,
    ) {
        let date = day.to_offset(time::UtcOffset::UTC).date();
        let date = format!("{account}#{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
        let mut items = match self.store.find(Index::Day, &date).await {
            Ok(items) => items,
            Err(trouble) => return swept.note(&date, &trouble),
        };
        items.retain(|item| item.key.sk.starts_with(RECORD) && is_left(item, open, now));
        items.sort_by(|a, b| a.key.sk.cmp(&b.key.sk));
        for item in items {
            if Instant::now() >= deadline {
                return;
            }
            match self.record(&item.key, now).await {
                Ok(crate::Recorded::Now(_)) => swept.archived += 1,
                Ok(_) => {}
                Err(trouble) => swept.note(&format!("record {}", shown(&item.key.sk)), &trouble),
            }
        }
    }

    /// Notes which exemptions are over; by the stream of that, people are told, once.
    async fn exemptions(&self, swept: &mut Swept, now: OffsetDateTime) -> Result<(), Trouble> {
        // Read item by item: one that cannot be read keeps no other from ending.
        let items = self.store.query("deployment", "exemption#", false, 10_000).await?;
        for item in items {
            let Ok(mut exemption) = serde_json::from_value::<ledger::Exemption>(item.body) else {
                swept.note(&shown(&item.key.sk), &Trouble::lasting("it cannot be read"));
                continue;
            };
            if exemption.ended || exemption.is_in_force(now) {
                continue;
            }
            exemption.ended = true;
            match self.store.write(&[Ledger::exemption_write(&exemption, item.version)]).await {
                Ok(()) => swept.ended += 1,
                // Somebody changes it at this moment: the next hour will see.
                Err(Trouble::Conflict(_)) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(())
    }
}

/// Whether nobody else will archive this record: the stream had its time for it, and it has no slot that is open.
fn is_left(item: &Item, open: &BTreeSet<u64>, now: OffsetDateTime) -> bool {
    if evidence::under_way(&item.body).is_some_and(|seq| open.contains(&seq)) {
        return false;
    }
    let began = item.body.get("began").and_then(Value::as_str);
    let began = began.and_then(|began| OffsetDateTime::parse(began, &Rfc3339).ok());
    let lag = if evidence::is_intent(&item.body) { ABANDONED } else { LAG };
    is_due(&item.body, now) && began.is_none_or(|began| began + lag < now)
}
