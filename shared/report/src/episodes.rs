//! Stretches of drift, made of records. Pure.
//!
//! # The rules
//! A control and a resource have one stretch at a time. Records are taken in the order in which they began.
//!
//! - **It begins** with the first record that shows drift, at the time of the API call that caused it, if CloudTrail told of
//!   one; otherwise when the look began that found it. It never begins before the one before it has ended. A record that says
//!   `again` follows one that is out of sight: then its cause is not what began it.
//! - **It is fixed** when a run ends that wrote and read back (`fixed`), or by the look after a write that nobody had seen to
//!   work (`unverified`, then `compliant`).
//! - **It is mended elsewhere** when a look finds the resource sound (`compliant`): at the time of the call that woke the look,
//!   if there was one since drift was last seen, otherwise when the look began.
//! - **It is over** when the resource is gone (`gone`).
//! - **It goes on** with every other record that shows drift, and stands as that one says: planned, waiting, refused (also by an
//!   organization's policy), exempt, failed (also written in part, and unverified).
//! - **An undo** of a fix begins one: `taken-back`, when the undo ended. An undo of an undo ends it. An undo that was refused
//!   changes nothing; one that was written in part leaves it `failed`.
//! - **What saw nothing** (refused before the look, or a look that failed) belongs to the stretch that is open then, and changes
//!   nothing about it. It begins none: nobody knows whether there was drift.
//! - **What began before a stretch ended**, and shows drift without writing, saw that stretch: it waited while another run wrote.
//!
//! # What the ledger cannot know
//! A sound resource leaves a record only where the last one needed a person and the look was for this resource alone; a sweep
//! leaves none. So drift that somebody else mended may end unseen. But what a sweep still finds, it records once a week. Drift
//! that no record has shown for [`OUT_OF_SIGHT`] before the end of the period is [`End::Unseen`]: mended by somebody, or not
//! looked at. It counts as open only until it was last seen.

use crate::fact::{Fact, Key, Spot};
use crate::model::{End, Episode};
use ledger::Outcome;
use std::collections::{BTreeMap, HashMap};
use time::{Duration, OffsetDateTime};

/// For how long nobody may have seen drift that still counts as open: a sweep a day records again after seven days what it
/// still finds (`docs/records.md`), so at the latest on the eighth; and a day for a sweep that failed.
pub const OUT_OF_SIGHT: Duration = Duration::days(9);

/// From when until when. The end is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its beginning.
    pub from: OffsetDateTime,
    /// Its end, or the present if that comes before it.
    pub until: OffsetDateTime,
}

/// A stretch of drift, and what figures need of it besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// The stretch itself. Its number is 0, and nothing in it is cut to a period, before [`within`].
    pub episode: Episode,
    /// Its records.
    pub keys: Vec<Key>,
    /// From when on until when somebody answers for it, each time that changed; none if nobody.
    pub answered: Vec<(OffsetDateTime, Option<OffsetDateTime>)>,
    /// Whether the last that was written may have mended it, and nobody had seen that.
    unverified: bool,
}

impl Stretch {
    /// Until when it is known to have been open, at the end of a period.
    pub fn known_until(&self, period: &Period) -> OffsetDateTime {
        match (self.episode.ended, self.episode.end) {
            (Some(ended), _) => ended.min(period.until),
            (None, End::Unseen) => self.episode.last_seen.min(period.until),
            (None, _) => period.until,
        }
    }

    /// Whether somebody answered for it at any time.
    pub fn was_answered(&self) -> bool {
        self.answered.iter().any(|(_, until)| until.is_some())
    }

    fn open(fact: &Fact, began: OffsetDateTime, cause_known: bool) -> Self {
        Self {
            episode: Episode {
                number: 0,
                control: fact.control.clone(),
                resource: fact.resource.clone(),
                began,
                cause_known,
                cause: fact.cause.clone(),
                ended: None,
                end: End::Failed,
                last_seen: began,
                answered_until: None,
                exemption: None,
                seconds_open: 0.0,
                timed: false,
                why: String::new(),
                refused_by: None,
                person: None,
                records: Vec::new(),
            },
            keys: Vec::new(),
            answered: vec![(began, None)],
            unverified: false,
        }
    }

    fn add(&mut self, fact: &Fact) {
        self.keys.push(fact.key.clone());
        self.episode.records.push(fact.key.id.clone());
    }

    /// It stands as this record says.
    fn stand(&mut self, fact: &Fact, end: End, at: OffsetDateTime) {
        let (until, exemption) = match (&fact.exemption, fact.left_alone_until, end) {
            (Some((id, until)), _, End::Exempt) => (Some(*until), Some(id.clone())),
            // As the engine names the exemption that an undo makes.
            (_, Some(until), End::TakenBack) => (Some(until), Some(format!("undo-{}", fact.key.id))),
            _ => (None, None),
        };
        let episode = &mut self.episode;
        (episode.end, episode.answered_until, episode.exemption) = (end, until, exemption);
        episode.why.clone_from(&fact.why);
        episode.refused_by.clone_from(&fact.refused_by);
        episode.person = fact.person.clone().or_else(|| episode.person.take());
        episode.last_seen = episode.last_seen.max(at);
        self.unverified = fact.outcome == Outcome::Unverified && fact.undoes.is_none();
        if self.answered.last().is_none_or(|(_, before)| *before != until) {
            self.answered.push((at.max(episode.began), until));
        }
    }

    /// It is over since then, as this record says.
    fn close(&mut self, fact: &Fact, end: End, at: OffsetDateTime) {
        let episode = &mut self.episode;
        (episode.end, episode.answered_until, episode.exemption) = (end, None, None);
        episode.ended = Some(at.max(episode.began));
        episode.why.clone_from(&fact.why);
        episode.refused_by = None;
        episode.person = fact.person.clone().or_else(|| episode.person.take());
        // A run that mended it saw it first.
        if fact.outcome.wrote() {
            episode.last_seen = episode.last_seen.max(fact.key.began);
        }
    }
}

/// Which way a write went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Towards the desired state.
    Mended,
    /// Back to drift.
    TakenBack,
}

/// All stretches of drift in these records, the earliest first. The records are in the order in which they began, each once.
pub fn stretches(facts: &[Fact]) -> Vec<Stretch> {
    let mut done: Vec<Stretch> = Vec::new();
    // Where each spot's last stretch is.
    let mut last: BTreeMap<Spot, usize> = BTreeMap::new();
    let mut ways: HashMap<&str, Way> = HashMap::new();
    for fact in facts {
        let way = way(fact, &ways);
        if fact.outcome.wrote() {
            ways.insert(&fact.key.id, way);
        }
        let spot = fact.spot();
        let at = last.get(&spot).copied();
        let current = at.and_then(|at| done.get_mut(at));
        if let Some(new) = next(current, fact, way) {
            last.insert(spot, done.len());
            done.push(new);
        }
    }
    done.sort_by(|a, b| (a.episode.began, &a.keys).cmp(&(b.episode.began, &b.keys)));
    done
}

/// Which way a record's writes went.
fn way(fact: &Fact, ways: &HashMap<&str, Way>) -> Way {
    // What it takes back may be out of sight; then it was a fix, as almost always.
    match fact.undoes.as_deref().map(|undone| ways.get(undone).copied().unwrap_or(Way::Mended)) {
        None | Some(Way::TakenBack) => Way::Mended,
        Some(Way::Mended) => Way::TakenBack,
    }
}

/// Takes a record into the spot's last stretch; or the stretch that it begins.
fn next(last: Option<&mut Stretch>, fact: &Fact, way: Way) -> Option<Stretch> {
    let over = last.as_ref().and_then(|last| last.episode.ended);
    let current = match last {
        Some(last) if over.is_none() => last,
        Some(last) if fact.shows_drift() && !fact.outcome.wrote() && over.is_some_and(|over| fact.key.began < over) => {
            last.add(fact);
            return None;
        }
        _ => return begin(fact, way, over),
    };
    current.add(fact);
    let began = fact.key.began;
    match fact.outcome {
        Outcome::Gone => current.close(fact, End::Gone, began),
        Outcome::Compliant => {
            if current.unverified {
                current.close(fact, End::Fixed, began);
            } else {
                let called = fact.called.filter(|called| *called > current.episode.last_seen && *called <= began);
                current.close(fact, End::MendedElsewhere, called.unwrap_or(began));
            }
        }
        Outcome::Fixed => current.close(fact, End::Fixed, fact.ended),
        Outcome::Undone if fact.changes == 0 => {}
        Outcome::Undone if way == Way::Mended => current.close(fact, End::Fixed, fact.ended),
        Outcome::Undone => current.stand(fact, End::TakenBack, fact.ended),
        _ if fact.shows_drift() => current.stand(fact, stands(fact), began),
        _ => {}
    }
    None
}

/// The stretch that a record begins, if it does. `over` is when the one before it ended.
fn begin(fact: &Fact, way: Way, over: Option<OffsetDateTime>) -> Option<Stretch> {
    let not_before = |at: OffsetDateTime| over.map_or(at, |over| at.max(over));
    let undone = fact.outcome == Outcome::Undone && way == Way::TakenBack && fact.changes > 0;
    if !undone && !fact.shows_drift() {
        return None;
    }
    let looked = fact.key.began;
    // Of an undo, a person is the cause, and the end of the undo the beginning.
    let (began, known) = match fact.called.filter(|called| *called <= looked && fact.undoes.is_none() && !fact.again) {
        _ if undone => (not_before(fact.ended), true),
        Some(called) => (not_before(called), true),
        None => (not_before(looked), false),
    };
    let mut new = Stretch::open(fact, began, known);
    new.add(fact);
    if undone {
        new.stand(fact, End::TakenBack, fact.ended);
    } else if fact.outcome == Outcome::Fixed {
        new.close(fact, End::Fixed, fact.ended);
    } else {
        new.stand(fact, stands(fact), looked);
    }
    Some(new)
}

/// How a record says that drift stands.
const fn stands(fact: &Fact) -> End {
    match fact.outcome {
        Outcome::Planned => End::Planned,
        Outcome::AwaitingApproval => End::AwaitingApproval,
        Outcome::Refused | Outcome::BlockedByOrganization => End::Refused,
        Outcome::Exempt => End::Exempt,
        _ => End::Failed,
    }
}

/// The stretches that were open in a period, with their numbers and what of them lies within it; and how many that were seen
/// before it, and neither ended nor were seen again, are left out.
pub fn within(stretches: Vec<Stretch>, period: &Period) -> (Vec<Stretch>, usize) {
    let (mut found, mut lost) = (Vec::new(), 0);
    for mut stretch in stretches {
        let episode = &mut stretch.episode;
        if episode.began >= period.until || episode.ended.is_some_and(|ended| ended < period.from) {
            continue;
        }
        if episode.ended.is_none() && period.until - episode.last_seen > OUT_OF_SIGHT {
            if period.from - episode.last_seen > OUT_OF_SIGHT {
                lost += 1;
                continue;
            }
            episode.end = End::Unseen;
        }
        let until = stretch.known_until(period);
        let episode = &mut stretch.episode;
        episode.number = found.len() + 1;
        episode.seconds_open = (until - episode.began.max(period.from)).as_seconds_f64().max(0.0);
        found.push(stretch);
    }
    (found, lost)
}

#[cfg(test)]
#[path = "episodes_tests.rs"]
mod tests;
