//! The figures of a made-up report, added up from its episodes and records.

use super::records::CONTROLS;
use crate::model::{ByActor, ByCitation, ByControl, End, Episode, Exposure, Report, Summary, Week};
use crate::safeguards;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use time::{Date, Duration, OffsetDateTime};

/// Fills in all of them.
pub(super) fn fill(report: &mut Report) {
    let all: Vec<&Episode> = report.episodes.iter().collect();
    let (median, p95, longest) = times(&all);
    let open = |episode: &&&Episode| episode.end.is_open();
    let outcomes = [
        "compliant",
        "planned",
        "awaiting-approval",
        "exempt",
        "fixed",
        "undone",
        "partly-fixed",
        "refused",
        "blocked-by-organization",
        "gone",
        "unverified",
        "failed",
    ];
    let of = |entry: &crate::model::Entry| entry.record.get("outcome").and_then(Value::as_str).unwrap_or("").to_owned();
    let writes = report.records.iter().filter(|entry| matches!(of(entry).as_str(), "fixed" | "undone")).count();
    let summary = Summary {
        episodes: all.len(),
        began: all.iter().filter(|episode| episode.began >= report.from).count(),
        ends: ends(&all),
        open: all.iter().filter(open).count(),
        open_unanswered: all.iter().filter(open).filter(|it| !matches!(it.end, End::Exempt | End::TakenBack)).count(),
        unseen: all.iter().filter(|episode| episode.end == End::Unseen).count(),
        timed: all.iter().filter(|episode| episode.timed).count(),
        median_seconds_to_mend: median,
        p95_seconds_to_mend: p95,
        longest_seconds_to_mend: longest,
        records: report.records.len(),
        outcomes: outcomes.map(|it| (it, report.records.iter().filter(|entry| of(entry) == it).count())).into(),
        lost_sight_of: 0,
        unlooked: report.records.len() / 40,
        writes,
    };
    let controls = CONTROLS.iter().map(|control| {
        let its: Vec<&Episode> = all.iter().filter(|episode| episode.control == control.id).copied().collect();
        ByControl {
            id: control.id,
            title: control.title,
            safety: control.safety,
            citations: control.citations.to_vec(),
            episodes: its.len(),
            ends: ends(&its),
            median_seconds_to_mend: times(&its).0,
            seconds_open: its.iter().map(|episode| episode.seconds_open).sum(),
        }
    });
    let controls: Vec<ByControl> = controls.collect();
    let cited: BTreeSet<&str> = CONTROLS.iter().flat_map(|control| control.citations).copied().collect();
    let citations = cited.into_iter().map(|citation| {
        let serve: Vec<&'static str> =
            CONTROLS.iter().filter(|control| control.citations.contains(&citation)).map(|control| control.id).collect();
        let its: Vec<&Episode> =
            all.iter().filter(|episode| serve.contains(&episode.control.as_str())).copied().collect();
        ByCitation {
            citation,
            title: safeguards::ALL.iter().find(|it| citation.ends_with(it.section)).map_or("", |it| it.words),
            controls: serve,
            episodes: its.len(),
            ends: ends(&its),
            median_seconds_to_mend: times(&its).0,
            open: its.iter().filter(open).count(),
        }
    });
    let citations: Vec<ByCitation> = citations.collect();
    let (actors, weeks, exposure) = (actors(&all), weeks(report), exposure(report));
    (report.summary, report.controls, report.citations) = (summary, controls, citations);
    (report.actors, report.weeks, report.exposure) = (actors, weeks, exposure);
}

fn ends(episodes: &[&Episode]) -> BTreeMap<&'static str, usize> {
    End::ALL.map(|end| (end.name(), episodes.iter().filter(|episode| episode.end == end).count())).into()
}

fn times(episodes: &[&Episode]) -> (Option<f64>, Option<f64>, Option<f64>) {
    let mut spans: Vec<f64> = episodes
        .iter()
        .filter(|episode| episode.timed)
        .filter_map(|episode| Some((episode.ended? - episode.began).as_seconds_f64()))
        .collect();
    spans.sort_by(f64::total_cmp);
    let share = |share: usize| spans.get(spans.len() * share / 100).copied();
    (share(50), share(95), spans.last().copied())
}

fn actors(episodes: &[&Episode]) -> Vec<ByActor> {
    let mut actors: BTreeMap<Option<String>, (BTreeSet<String>, BTreeSet<String>, usize)> = BTreeMap::new();
    for episode in episodes {
        let field = |name: &str| Some(episode.cause.as_ref()?.get(name)?.as_str()?.to_owned());
        let actor = actors.entry(field("actor")).or_default();
        actor.0.extend(field("agent"));
        actor.1.extend(field("call"));
        actor.2 += 1;
    }
    let mut actors: Vec<ByActor> = actors
        .into_iter()
        .map(|(actor, (agents, calls, episodes))| ByActor {
            actor,
            agents: agents.into_iter().collect(),
            calls: calls.into_iter().collect(),
            episodes,
        })
        .collect();
    actors.sort_by_key(|actor| std::cmp::Reverse(actor.episodes));
    actors
}

fn monday(at: OffsetDateTime) -> Date {
    at.date() - Duration::days(i64::from(at.weekday().number_days_from_monday()))
}

fn weeks(report: &Report) -> Vec<Week> {
    let mut weeks = Vec::new();
    let mut start = monday(report.from);
    while start.midnight().assume_utc() < report.to {
        let mut began = BTreeMap::new();
        for episode in report.episodes.iter().filter(|it| it.began >= report.from && monday(it.began) == start) {
            *began.entry(episode.control.clone()).or_default() += 1;
        }
        weeks.push(Week { monday: start.to_string(), began });
        start += Duration::WEEK;
    }
    weeks
}

fn exposure(report: &Report) -> Vec<Exposure> {
    let mut moves: BTreeMap<OffsetDateTime, (i32, i32)> = BTreeMap::from([(report.from, (0, 0))]);
    for episode in &report.episodes {
        let answered = matches!(episode.end, End::Exempt | End::TakenBack);
        let until = if episode.end == End::Unseen { Some(episode.last_seen) } else { episode.ended };
        for (at, by) in [(Some(episode.began.max(report.from)), 1), (until, -1)] {
            let Some(at) = at.filter(|at| *at < report.to) else { continue };
            let step = moves.entry(at).or_default();
            *(if answered { &mut step.1 } else { &mut step.0 }) += by;
        }
    }
    let (mut open, mut answered) = (0, 0);
    let points = moves.into_iter().map(|(at, (more, others))| {
        (open, answered) = (open + more, answered + others);
        Exposure { at, open: usize::try_from(open).unwrap_or(0), answered: usize::try_from(answered).unwrap_or(0) }
    });
    points.collect()
}
