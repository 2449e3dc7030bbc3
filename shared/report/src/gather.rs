//! Reads what happened in a period: from the ledger, from the evidence, or from both, which are then held against each other.
//!
//! The ledger is read by its index of days, account by account; the evidence by the months in its objects' names. Nothing that
//! could not be read is passed over: it is one of [`Gathered::gaps`].

mod merge;
mod shelf;

use crate::fact::{Fact, Key, moment};
use crate::model::{Integrity, Piece, Verdict};
use evidence::{RECORD, Shelf, audit, verify};
use futures_util::{StreamExt, stream};
use ledger::{Deployment, Ledger};
use merge::{Merged, Read, Told, earlier, merge, slim};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use time::{Date, Duration, OffsetDateTime, UtcOffset};

/// How many reads are under way at once.
const AT_ONCE: usize = 16;
/// How many gaps of one kind are told one by one.
const TOLD: usize = 20;
/// The furthest that a report looks back: for so long a record stays in the ledger once there is evidence of it.
pub const FURTHEST: Duration = evidence::KEPT;

/// What a report is made from.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// The ledger, and what it is in words.
    pub ledger: Option<(&'a Ledger, &'a str)>,
    /// The evidence, and what it is in words.
    pub shelf: Option<(&'a dyn Shelf, &'a str)>,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ledger, evidence) = (self.ledger.map(|(_, says)| says), self.shelf.map(|(_, says)| says));
        f.debug_struct("Sources").field("ledger", &ledger).field("shelf", &evidence).finish()
    }
}

/// What a report is to be of.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// From when.
    pub from: OffsetDateTime,
    /// Until when; this moment is not in it any more.
    pub to: OffsetDateTime,
    /// How far before that to look for the beginning of what was open then; [`FURTHEST`] at most.
    pub look_back: Duration,
    /// Records of these accounts alone; of every account that can be found if there are none.
    pub accounts: BTreeSet<String>,
    /// Accounts to look for in the ledger besides those that it and the evidence name: that of whoever asks.
    pub likely: BTreeSet<String>,
    /// Whether the chain of evidence is checked.
    pub check: bool,
    /// The present.
    pub now: OffsetDateTime,
}

impl Wanted {
    /// Since when records are read.
    pub fn since(&self) -> OffsetDateTime {
        self.from.checked_sub(self.look_back.clamp(Duration::ZERO, FURTHEST)).unwrap_or(self.from)
    }

    fn is_of(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }
}

/// A record of the period, and where its evidence is.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The record, whole, without what its item in the ledger says of its evidence.
    pub record: Value,
    /// Where its evidence is, if there is some of this result.
    pub evidence: Option<Piece>,
}

/// What was read.
#[derive(Debug)]
pub struct Gathered {
    /// What each record says, in the order in which they began; those of before the period too.
    pub facts: Vec<Fact>,
    /// The records of the period.
    pub records: BTreeMap<Key, Found>,
    /// What holds for the deployment now; none without a ledger.
    pub deployment: Option<Rc<Deployment>>,
    /// Whether the evidence is sound.
    pub integrity: Integrity,
    /// What could not be read.
    pub gaps: Vec<String>,
}

/// Gaps, of which those that are alike are counted after some.
#[derive(Debug, Default)]
struct Gaps {
    told: Vec<String>,
    of: BTreeMap<&'static str, usize>,
}

impl Gaps {
    fn one(&mut self, says: impl Into<String>) {
        self.told.push(says.into());
    }

    /// One of many of a kind.
    fn tell(&mut self, kind: &'static str, says: impl Into<String>) {
        let many = self.of.entry(kind).or_default();
        *many += 1;
        if *many <= TOLD {
            self.told.push(says.into());
        }
    }

    fn all(mut self) -> Vec<String> {
        let more = self.of.into_iter().filter(|(_, many)| *many > TOLD);
        self.told.extend(more.map(|(kind, many)| format!("{kind}: {} more like these", many - TOLD)));
        self.told
    }
}

/// Reads what happened.
///
/// # Errors
/// If nothing at all could be read: why.
pub async fn gather(sources: Sources<'_>, wanted: &Wanted, say: &dyn Fn(&str)) -> Result<Gathered, String> {
    let mut work = Work {
        sources,
        wanted,
        gaps: Gaps::default(),
        checked: None,
        names: Vec::new(),
        listed: false,
        read: HashMap::new(),
        accounts: Vec::new(),
        deployment: None,
    };
    if let Some((place, says)) = sources.shelf {
        if wanted.check {
            say("checking the evidence");
            work.check(place, says).await;
        }
        say("reading the evidence");
        work.evidence(place, says).await;
    }
    if let Some((ledger, says)) = sources.ledger {
        say("reading the ledger");
        work.ledger(ledger, says).await;
    }
    // What is left of the evidence: all that is from before the period, or of it what the ledger has not.
    let rest = std::mem::take(&mut work.names);
    work.pieces(rest).await;
    if !work.listed && !work.accounts.contains(&true) {
        let none = "there is nothing to make a report of: name a ledger or the evidence";
        return Err(work.gaps.all().into_iter().next().unwrap_or_else(|| none.to_owned()));
    }
    say("making the report");
    Ok(work.done())
}

/// A report's reading, as far as it has come.
struct Work<'a> {
    sources: Sources<'a>,
    wanted: &'a Wanted,
    gaps: Gaps,
    /// What came of checking the evidence.
    checked: Option<evidence::Report>,
    /// The pieces that have not been read.
    names: Vec<shelf::Name>,
    /// Whether the evidence could be listed.
    listed: bool,
    read: HashMap<Key, Read>,
    /// Of each account that was looked for in the ledger, whether all its days could be read.
    accounts: Vec<bool>,
    deployment: Option<Rc<Deployment>>,
}

impl Work<'_> {
    async fn check(&mut self, place: &dyn Shelf, says: &str) {
        let store = self.sources.ledger.map(|(ledger, _)| ledger.store());
        let mut report = match store {
            Some(store) => audit(store, place).await,
            None => verify(place, None).await,
        };
        if let (Err(trouble), true) = (&report, store.is_some()) {
            // Whichever of the two it is, the evidence may still be checked for itself.
            self.gaps.one(format!("the evidence in {says} could not be held against the ledger: {trouble}"));
            report = verify(place, None).await;
        }
        match report {
            Ok(report) => self.checked = Some(report),
            Err(trouble) => self.gaps.one(format!("the evidence in {says} could not be checked: {trouble}")),
        }
    }

    /// Reads the pieces of the period; the names of those from before it are kept.
    async fn evidence(&mut self, place: &dyn Shelf, says: &str) {
        match shelf::names(place, self.wanted).await {
            Ok(listed) => (self.names, self.listed) = (listed, true),
            Err(trouble) => self.gaps.one(format!("the evidence in {says} could not be listed: {trouble}")),
        }
        let first = day_of(self.wanted.from);
        let within = self.names.extract_if(.., |name| name.day >= first).collect();
        self.pieces(within).await;
    }

    async fn pieces(&mut self, names: Vec<shelf::Name>) {
        let Some((place, _)) = self.sources.shelf else { return };
        shelf::read(place, names, self.checked.as_ref(), self.wanted, &mut self.read, &mut self.gaps).await;
    }

    async fn ledger(&mut self, ledger: &Ledger, says: &str) {
        match ledger.deployment().await {
            Ok(now) => self.deployment = Some(now),
            Err(trouble) => {
                self.gaps.one(format!("the settings and exemptions in {says} could not be read: {trouble}"));
            }
        }
        let mut accounts = accounts(ledger, self.deployment.as_deref(), self.wanted, &mut self.gaps).await;
        let mut asked = BTreeSet::new();
        loop {
            accounts.extend(self.read.values().filter_map(|read| account_of(&read.piece.as_ref()?.1)));
            let new: Vec<String> = accounts.difference(&asked).filter(|id| self.wanted.is_of(id)).cloned().collect();
            if new.is_empty() {
                break;
            }
            for account in &new {
                let whole = days(ledger, says, account, self.wanted, &mut self.read, &mut self.gaps).await;
                self.accounts.push(whole);
            }
            asked.extend(new);
            // Of what was before the period, only what the ledger has not; it may be of yet another account.
            let known: BTreeSet<String> = self.read.values().filter_map(|read| key_in(read.ledger.as_ref()?)).collect();
            self.names.retain(|name| !known.contains(&name.key));
            let unknown = std::mem::take(&mut self.names);
            self.pieces(unknown).await;
        }
        if asked.is_empty() {
            let none = "no account is known whose records to look for";
            self.gaps.one(format!("{none} in {says}; name it: --account 111122223333"));
        }
    }

    /// What it all comes to.
    fn done(mut self) -> Gathered {
        let mut integrity = integrity(self.checked.as_ref());
        let sound = integrity.verdict == Verdict::Sound;
        let ledger_read = !self.accounts.is_empty() && !self.accounts.contains(&false);
        let (mut facts, mut records) = (Vec::with_capacity(self.read.len()), BTreeMap::new());
        for (key, read) in self.read {
            let of_the_period = key.began >= self.wanted.from;
            let Merged { found, told } = if of_the_period { merge(read, sound) } else { earlier(read) };
            match told {
                Told::ByLedger => integrity.without_evidence += 1,
                Told::ByEvidence if ledger_read => integrity.from_evidence_alone += 1,
                Told::Differently => integrity.differ.push(key.id.clone()),
                Told::ByBoth | Told::ByEvidence => {}
            }
            match Fact::of(&found.record) {
                Ok(fact) => facts.push(fact),
                Err(what) => {
                    self.gaps.tell("records", format!("the record {} is not understood: {what}", shown(&key.id)));
                }
            }
            if of_the_period {
                records.insert(key, found);
            }
        }
        facts.sort_by(|a, b| a.key.cmp(&b.key));
        integrity.differ.sort_unstable();
        Gathered { facts, records, deployment: self.deployment, integrity, gaps: self.gaps.all() }
    }
}

/// Where records of accounts can be in the ledger, as far as it says: in its plans and exemptions; and likely ones.
async fn accounts(
    ledger: &Ledger,
    deployment: Option<&Deployment>,
    wanted: &Wanted,
    gaps: &mut Gaps,
) -> BTreeSet<String> {
    if !wanted.accounts.is_empty() {
        return wanted.accounts.clone();
    }
    let mut accounts = wanted.likely.clone();
    match ledger.approvals().await {
        Ok(plans) => accounts.extend(plans.iter().map(|plan| plan.account.to_string())),
        Err(trouble) => gaps.one(format!("the plans that wait for approval could not be read: {trouble}")),
    }
    let exemptions = deployment.into_iter().flat_map(|deployment| &deployment.exemptions);
    accounts.extend(exemptions.filter_map(|(each, _)| each.account.as_ref()).map(ToString::to_string));
    accounts
}

/// Reads the records of an account from the ledger, day by day; whether all could be read.
async fn days(
    ledger: &Ledger,
    says: &str,
    account: &str,
    wanted: &Wanted,
    read: &mut HashMap<Key, Read>,
    gaps: &mut Gaps,
) -> bool {
    let (first, last) = (wanted.since().date(), wanted.to.min(wanted.now).date());
    let days = std::iter::successors(Some(first), |day| day.next_day()).take_while(|day| *day <= last);
    let ask = |day: Date| async move { (day, ledger.day(account, &written(day)).await) };
    let mut answers = stream::iter(days.map(ask)).buffered(AT_ONCE);
    let mut failed: BTreeMap<String, (Date, Date, usize)> = BTreeMap::new();
    while let Some((day, answer)) = answers.next().await {
        let items = match answer {
            Ok(items) => items,
            Err(trouble) => {
                let lasting = !trouble.is_worth_a_retry();
                failed
                    .entry(trouble.to_string())
                    .and_modify(|(_, to, many)| (*to, *many) = (day, *many + 1))
                    .or_insert((day, day, 1));
                // A permission that is missing is missing for every day.
                if lasting {
                    break;
                }
                continue;
            }
        };
        for mut item in items.into_iter().filter(|item| item.key.sk.starts_with(RECORD)) {
            match key_of(&item.body) {
                Some(key) if key.began >= wanted.since() && key.began < wanted.to => {
                    if key.began < wanted.from {
                        slim(&mut item.body);
                    }
                    read.entry(key).or_default().ledger = Some(item.body);
                }
                Some(_) => {}
                None => gaps.tell(
                    "items of the ledger",
                    format!(
                        "the ledger's item {} {} is not understood: it has no id or no beginning",
                        shown(&item.key.pk),
                        shown(&item.key.sk)
                    ),
                ),
            }
        }
    }
    for (why, (from, to, many)) in &failed {
        let of =
            if many > &1 { format!("{many} days from {from} to {to}") } else { format!("{from} (and what follows)") };
        gaps.one(format!("the records of account {account} of {of} could not be read in {says}: {why}"));
    }
    failed.is_empty()
}

fn key_in(body: &Value) -> Option<String> {
    body.pointer("/archived/key").and_then(Value::as_str).map(str::to_owned)
}

fn key_of(record: &Value) -> Option<Key> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    Some(Key { began: moment(text("began")?)?, id: text("id")?.to_owned() })
}

fn account_of(record: &Value) -> Option<String> {
    let account = record.pointer("/resource/account").and_then(Value::as_str)?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then(|| account.to_owned())
}

/// What came of checking the evidence.
fn integrity(checked: Option<&evidence::Report>) -> Integrity {
    let none = Integrity {
        verdict: Verdict::NotChecked,
        lines: Vec::new(),
        pieces: 0,
        intact: 0,
        head: None,
        without_evidence: 0,
        from_evidence_alone: 0,
        differ: Vec::new(),
    };
    let Some(checked) = checked else { return none };
    let head = checked.head.as_ref().or(checked.last.as_ref());
    Integrity {
        verdict: if checked.is_sound() { Verdict::Sound } else { Verdict::NotSound },
        lines: checked.lines(),
        pieces: checked.objects,
        intact: checked.intact,
        head: head.map(|head| format!("piece {}, {}", head.seq, head.hash)),
        ..none
    }
}

/// A day as the ledger's index and RFC 3339 write it.
pub(crate) fn written(day: Date) -> String {
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day())
}

/// A text from outside, as gaps have it.
fn shown(text: &str) -> String {
    remediation::shown(text)
}

/// The day of a time, UTC.
pub(crate) fn day_of(at: OffsetDateTime) -> Date {
    at.to_offset(UtcOffset::UTC).date()
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
