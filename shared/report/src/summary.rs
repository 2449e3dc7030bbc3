//! Figures: what the stretches of drift and the records of a period come to. Pure.

use crate::episodes::{Period, Stretch, within};
use crate::fact::{Fact, Key};
use crate::gather::{Found, day_of, written};
use crate::model::{ByActor, ByCitation, ByControl, End, Entry, Episode, Exempted, Exposure, Posture, Summary, Week};
use crate::safeguards;
use ledger::{Deployment, Exemption, Mode, Outcome};
use remediation::{About, Safety};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::{Duration, OffsetDateTime};

/// Everything that is made of stretches and records.
#[derive(Debug)]
pub struct Figures {
    /// The figures at the head.
    pub summary: Summary,
    /// By control.
    pub controls: Vec<ByControl>,
    /// By citation.
    pub citations: Vec<ByCitation>,
    /// By who caused it.
    pub actors: Vec<ByActor>,
    /// By week.
    pub weeks: Vec<Week>,
    /// Over time.
    pub exposure: Vec<Exposure>,
    /// The episodes, the latest first.
    pub episodes: Vec<Episode>,
    /// The records, the latest first.
    pub records: Vec<Entry>,
}

/// What the records come to.
pub fn figures(facts: &[Fact], records: BTreeMap<Key, Found>, period: &Period) -> Figures {
    let (stretches, lost) = within(crate::episodes::stretches(facts), period);
    let mut summary = heads(&stretches, period);
    summary.lost_sight_of = lost;
    of_records(&mut summary, facts, &records);
    let numbers: HashMap<&Key, usize> =
        stretches.iter().flat_map(|each| each.keys.iter().map(|key| (key, each.episode.number))).collect();
    let mut entries: Vec<Entry> = records
        .into_iter()
        .map(|(key, Found { record, evidence })| Entry { record, episode: numbers.get(&key).copied(), evidence })
        .collect();
    entries.reverse();
    Figures {
        summary,
        controls: controls(&stretches, period),
        citations: citations(&stretches, period),
        actors: actors(&stretches),
        weeks: weeks(&stretches, period),
        exposure: exposure(&stretches, period),
        episodes: stretches
            .into_iter()
            .rev()
            .map(|each| Episode { timed: is_timed(&each, period), ..each.episode })
            .collect(),
        records: entries,
    }
}

fn ends<'a>(stretches: impl Iterator<Item = &'a Stretch>) -> BTreeMap<&'static str, usize> {
    let mut ends: BTreeMap<&'static str, usize> = End::ALL.iter().map(|end| (end.name(), 0)).collect();
    for stretch in stretches {
        *ends.entry(stretch.episode.end.name()).or_default() += 1;
    }
    ends
}

/// Whether the control mended it in the period, its beginning is known, and nobody answered for it meanwhile.
fn is_timed(stretch: &Stretch, period: &Period) -> bool {
    let episode = &stretch.episode;
    let mended = episode.ended.is_some_and(|ended| ended >= period.from && ended < period.until);
    episode.end == End::Fixed && mended && episode.cause_known && !stretch.was_answered()
}

/// Seconds to the mending of each for which that counts: in order.
fn times<'a>(stretches: impl Iterator<Item = &'a Stretch>, period: &Period) -> Vec<f64> {
    let counts = |stretch: &&Stretch| is_timed(stretch, period);
    let seconds = |stretch: &Stretch| {
        stretch.episode.ended.map(|ended| (ended - stretch.episode.began).as_seconds_f64().max(0.0))
    };
    let mut times: Vec<f64> = stretches.filter(counts).filter_map(seconds).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The value below which this share (of 100) of them lies, by nearest rank; of an even number, the median is the mean of the
/// two in the middle.
pub(crate) fn percentile(sorted: &[f64], share: usize) -> Option<f64> {
    if share == 50 && sorted.len().is_multiple_of(2) {
        let upper = sorted.len() / 2;
        return Some(f64::midpoint(*sorted.get(upper.checked_sub(1)?)?, *sorted.get(upper)?));
    }
    let rank = (sorted.len() * share).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

fn is_unanswered(episode: &Episode, at: OffsetDateTime) -> bool {
    episode.answered_until.is_none_or(|until| until <= at)
}

fn heads(stretches: &[Stretch], period: &Period) -> Summary {
    let episodes = || stretches.iter().map(|each| &each.episode);
    let open = || episodes().filter(|episode| episode.end.is_open());
    let times = times(stretches.iter(), period);
    Summary {
        episodes: stretches.len(),
        began: episodes().filter(|episode| episode.began >= period.from).count(),
        ends: ends(stretches.iter()),
        open: open().count(),
        open_unanswered: open().filter(|episode| is_unanswered(episode, period.until)).count(),
        unseen: episodes().filter(|episode| episode.end == End::Unseen).count(),
        timed: times.len(),
        median_seconds_to_mend: percentile(&times, 50),
        p95_seconds_to_mend: percentile(&times, 95),
        longest_seconds_to_mend: times.last().copied(),
        ..Summary::default()
    }
}

fn of_records(summary: &mut Summary, facts: &[Fact], records: &BTreeMap<Key, Found>) {
    summary.records = records.len();
    summary.outcomes = Outcome::ALL.iter().map(|outcome| (outcome.name(), 0)).collect();
    for fact in facts.iter().filter(|fact| records.contains_key(&fact.key)) {
        *summary.outcomes.entry(fact.outcome.name()).or_default() += 1;
        summary.unlooked += usize::from(fact.saw_nothing());
        summary.writes += fact.writes();
    }
}

/// A safety class in one word.
const fn safety(class: Safety) -> &'static str {
    match class {
        Safety::Reversible => "reversible",
        Safety::Disruptive => "disruptive",
        Safety::Incident => "incident",
        Safety::Irreversible => "irreversible",
    }
}

fn abouts() -> impl Iterator<Item = &'static About> {
    catalogue::all().iter().map(|entry| entry.about)
}

fn controls(stretches: &[Stretch], period: &Period) -> Vec<ByControl> {
    let of = |about: &'static About| {
        let its = || stretches.iter().filter(|each| each.episode.control == about.id);
        ByControl {
            id: about.id,
            title: about.title,
            safety: safety(about.safety),
            citations: about.citations.to_vec(),
            episodes: its().count(),
            ends: ends(its()),
            median_seconds_to_mend: percentile(&times(its(), period), 50),
            // A sum of nothing is a negative zero.
            seconds_open: its().map(|each| each.episode.seconds_open).sum::<f64>() + 0.0,
        }
    };
    abouts().map(of).collect()
}

fn citations(stretches: &[Stretch], period: &Period) -> Vec<ByCitation> {
    let cited: BTreeSet<&'static str> = abouts().flat_map(|about| about.citations).copied().collect();
    let of = |citation: &'static str| {
        let controls: Vec<&'static str> =
            abouts().filter(|about| about.citations.contains(&citation)).map(|about| about.id).collect();
        let its = || stretches.iter().filter(|each| controls.contains(&each.episode.control.as_str()));
        ByCitation {
            citation,
            title: safeguards::find(citation).map_or("", |safeguard| safeguard.words),
            episodes: its().count(),
            ends: ends(its()),
            median_seconds_to_mend: percentile(&times(its(), period), 50),
            open: its().filter(|each| each.episode.end.is_open()).count(),
            controls: controls.clone(),
        }
    };
    cited.into_iter().map(of).collect()
}

/// Who caused drift. Of what an undo brought back, that is who took the fix back.
fn actors(stretches: &[Stretch]) -> Vec<ByActor> {
    let mut by: BTreeMap<Option<String>, ByActor> = BTreeMap::new();
    for episode in stretches.iter().map(|each| &each.episode) {
        let text = |name: &str| {
            let cause = episode.cause.as_ref().filter(|_| episode.cause_known);
            cause.and_then(|cause| cause.get(name)).and_then(|text| text.as_str()).map(str::to_owned)
        };
        let undone = episode.cause_known && episode.cause.is_none();
        let (actor, call) = if undone {
            (episode.person.clone(), Some("suture undo".to_owned()))
        } else {
            (text("actor"), text("call"))
        };
        let entry = by.entry(actor.clone()).or_insert_with(|| ByActor {
            actor,
            agents: Vec::new(),
            calls: Vec::new(),
            episodes: 0,
        });
        entry.episodes += 1;
        entry.agents.extend(text("agent"));
        entry.calls.extend(call);
    }
    let mut actors: Vec<ByActor> = by.into_values().collect();
    for actor in &mut actors {
        for list in [&mut actor.agents, &mut actor.calls] {
            list.sort_unstable();
            list.dedup();
        }
    }
    actors.sort_by(|a, b| b.episodes.cmp(&a.episodes).then_with(|| a.actor.cmp(&b.actor)));
    actors
}

fn weeks(stretches: &[Stretch], period: &Period) -> Vec<Week> {
    let monday = |at: OffsetDateTime| {
        let day = day_of(at);
        day - Duration::days(day.weekday().number_days_from_monday().into())
    };
    let last = monday(period.until - Duration::NANOSECOND);
    let mondays = std::iter::successors(Some(monday(period.from)), |day| day.checked_add(Duration::WEEK));
    let mut weeks: BTreeMap<_, BTreeMap<String, usize>> =
        mondays.take_while(|day| *day <= last).map(|day| (day, BTreeMap::new())).collect();
    for episode in stretches.iter().map(|each| &each.episode).filter(|episode| episode.began >= period.from) {
        if let Some(week) = weeks.get_mut(&monday(episode.began)) {
            *week.entry(episode.control.clone()).or_default() += 1;
        }
    }
    weeks.into_iter().map(|(monday, began)| Week { monday: written(monday), began }).collect()
}

/// How many were open over time, by whether somebody answered for them.
fn exposure(stretches: &[Stretch], period: &Period) -> Vec<Exposure> {
    // By how much the one and the other count change at a moment.
    let mut changes: BTreeMap<OffsetDateTime, (i64, i64)> = BTreeMap::from([(period.from, (0, 0))]);
    let mut span = |from: OffsetDateTime, until: OffsetDateTime, answered: bool| {
        let (from, until) = (from.max(period.from), until.min(period.until));
        if from >= until {
            return;
        }
        for (at, by) in [(from, 1), (until, -1)] {
            let change = changes.entry(at).or_default();
            *(if answered { &mut change.1 } else { &mut change.0 }) += by;
        }
    };
    for stretch in stretches {
        let end = stretch.known_until(period);
        let begins = stretch.answered.iter().map(|(at, _)| *at).skip(1).chain([end]);
        for ((from, answered), next) in stretch.answered.iter().zip(begins) {
            let (from, next) = ((*from).min(end), next.min(end));
            let until = answered.map_or(from, |until| until.clamp(from, next.max(from)));
            span(from, until, true);
            span(until, next, false);
        }
    }
    let (mut open, mut answered) = (0_i64, 0_i64);
    let mut points: Vec<Exposure> = Vec::with_capacity(changes.len());
    for (at, change) in changes {
        // What is open at the end of the period does not close there.
        if at >= period.until {
            break;
        }
        (open, answered) = (open + change.0, answered + change.1);
        let count = |count: i64| usize::try_from(count).unwrap_or_default();
        points.push(Exposure { at, open: count(open), answered: count(answered) });
    }
    points.dedup_by(|next, before| (next.open, next.answered) == (before.open, before.answered));
    points
}

/// The exemptions in force, and how many of these episodes each left open.
pub fn exemptions(deployment: &Deployment, episodes: &[Episode], now: OffsetDateTime) -> Vec<Exempted> {
    let in_force = deployment.exemptions.iter().map(|(each, _)| each).filter(|each| each.is_in_force(now));
    let of = |each: &Exemption| Exempted {
        id: each.id.clone(),
        of: covers(each),
        owner: each.owner.clone(),
        reason: each.reason.clone(),
        made_at: each.made_at,
        made_by: each.made_by.clone(),
        expires: each.expires,
        episodes: episodes.iter().filter(|episode| episode.exemption.as_ref() == Some(&each.id)).count(),
    };
    let mut exempted: Vec<Exempted> = in_force.map(of).collect();
    exempted.sort_by(|a, b| (a.expires, &a.id).cmp(&(b.expires, &b.id)));
    exempted
}

fn covers(exemption: &Exemption) -> String {
    let control = exemption.control.as_deref().unwrap_or("every control");
    let resource = exemption.resource.as_deref().unwrap_or("every resource");
    let tag = exemption.tag.as_deref().map(|tag| format!(" with the tag {tag}")).unwrap_or_default();
    let account = exemption.account.as_ref().map_or("every account".to_owned(), |account| format!("account {account}"));
    format!("{control} on {resource}{tag} in {account}")
}

/// How the deployment stands.
pub fn posture(deployment: &Deployment) -> Posture {
    let posture = &deployment.posture;
    let changed = posture.changed_by.as_ref().zip(posture.changed_at);
    Posture {
        stopped: posture.stop.as_ref().map(|stop| format!("by {} at {}: {}", stop.by, second(stop.at), stop.reason)),
        mode: posture.mode.map(Mode::name),
        modes: posture.modes.iter().map(|(control, mode)| (control.clone(), mode.name())).collect(),
        changed: changed.map(|(by, at)| format!("by {by} at {}", second(at))),
    }
}

/// A time to the second, UTC.
pub(crate) fn second(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
