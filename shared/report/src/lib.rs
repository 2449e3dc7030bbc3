//! What happened to an estate in a period, from ledger and evidence: the report that an auditor is handed.
//!
//! [`gather()`] reads; [`episodes`] and [`summary`] are pure, and make of records what the page says. `docs/report.md` has the
//! meaning of each figure.

pub mod csv;
pub mod episodes;
pub mod fact;
pub mod gather;
pub mod html;
pub mod model;
pub mod safeguards;
#[cfg(any(test, feature = "testing"))]
pub mod sample;
pub mod summary;

pub use gather::{FURTHEST, Sources, Wanted, gather};

use episodes::Period;
use model::{Posture, Report, SCHEMA};
use serde_json::Value;
use std::collections::BTreeSet;

/// Makes a report.
///
/// # Errors
/// If nothing could be read: why, and the next step.
pub async fn make(
    sources: Sources<'_>,
    wanted: &Wanted,
    made_by: String,
    say: &dyn Fn(&str),
) -> Result<Report, String> {
    let gathered = Box::pin(gather(sources, wanted, say)).await?;
    let period = Period { from: wanted.from, until: wanted.to.min(wanted.now) };
    let figures = summary::figures(&gathered.facts, gathered.records, &period);
    let named = |pointer: &str| -> BTreeSet<String> {
        let records = figures.records.iter().filter_map(|entry| entry.record.pointer(pointer).and_then(Value::as_str));
        records.map(str::to_owned).collect()
    };
    let deployment = gathered.deployment.as_deref();
    Ok(Report {
        schema: SCHEMA,
        made: wanted.now,
        made_by,
        from: wanted.from,
        to: wanted.to,
        sources: model::Sources {
            ledger: sources.ledger.map_or("none".to_owned(), |(_, says)| says.to_owned()),
            evidence: sources.shelf.map(|(_, says)| says.to_owned()),
            accounts: named("/resource/account").into_iter().collect(),
            regions: named("/resource/region").into_iter().collect(),
            since: wanted.since(),
        },
        exemptions: deployment.map(|it| summary::exemptions(it, &figures.episodes, wanted.now)).unwrap_or_default(),
        posture: deployment.map_or_else(Posture::default, summary::posture),
        integrity: gathered.integrity,
        gaps: gathered.gaps,
        summary: figures.summary,
        controls: figures.controls,
        citations: figures.citations,
        actors: figures.actors,
        weeks: figures.weeks,
        exposure: figures.exposure,
        episodes: figures.episodes,
        records: figures.records,
    })
}
