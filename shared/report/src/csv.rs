//! The report's tables as CSV (RFC 4180), for a spreadsheet.

use crate::model::{Episode, Report};
use crate::summary::second;
use serde_json::Value;

/// The columns of `report.csv`: one line for each episode.
pub const EPISODES: [&str; 23] = [
    "number",
    "control",
    "resource_type",
    "resource",
    "account",
    "region",
    "began",
    "cause_known",
    "ended",
    "end",
    "seconds_open",
    "last_seen",
    "answered_until",
    "exemption",
    "why",
    "refused_by",
    "person",
    "actor",
    "call",
    "agent",
    "source_ip",
    "event_id",
    "records",
];

/// The columns of `report-records.csv`: one line for each record.
pub const RECORDS: [&str; 26] = [
    "id",
    "episode",
    "began",
    "control",
    "resource_type",
    "resource",
    "account",
    "region",
    "outcome",
    "why",
    "refused_by",
    "mode",
    "trigger",
    "actor",
    "call",
    "agent",
    "event_id",
    "asked_by",
    "approved_by",
    "reason",
    "exemption",
    "undoes",
    "writes",
    "citations",
    "evidence_seq",
    "evidence_key",
];

/// The episodes, the latest first.
pub fn episodes(report: &Report) -> String {
    let mut table = line(&EPISODES);
    for episode in &report.episodes {
        table.push_str(&line(&of_episode(episode)));
    }
    table
}

/// The records, the latest first.
pub fn records(report: &Report) -> String {
    let mut table = line(&RECORDS);
    for entry in &report.records {
        let record = &entry.record;
        let text = |pointer: &str| text(record, pointer);
        let many = |pointer: &str| record.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
        let citations = record.pointer("/citations").and_then(Value::as_array).into_iter().flatten();
        let citations: Vec<&str> = citations.filter_map(Value::as_str).collect();
        let evidence = entry.evidence.as_ref();
        table.push_str(&line(&[
            text("/id"),
            entry.episode.map(|number| number.to_string()).unwrap_or_default(),
            text("/began"),
            text("/control"),
            text("/resource/type"),
            text("/resource/id"),
            text("/resource/account"),
            text("/resource/region"),
            text("/outcome"),
            text("/why"),
            text("/refused_by"),
            text("/mode"),
            text("/trigger"),
            text("/cause/actor"),
            text("/cause/call"),
            text("/cause/agent"),
            text("/cause/event_id"),
            text("/asked_by"),
            text("/approval/by"),
            text("/reason"),
            text("/exemption/id"),
            text("/undoes"),
            many("/changes").to_string(),
            citations.join("; "),
            evidence.map(|piece| piece.seq.to_string()).unwrap_or_default(),
            evidence.map(|piece| piece.key.clone()).unwrap_or_default(),
        ]));
    }
    table
}

fn of_episode(episode: &Episode) -> [String; 23] {
    let cause = |name: &str| episode.cause.as_ref().map(|cause| text(cause, &format!("/{name}"))).unwrap_or_default();
    let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        episode.number.to_string(),
        episode.control.clone(),
        episode.resource.r#type.clone(),
        episode.resource.id.clone(),
        episode.resource.account.clone(),
        episode.resource.region.clone(),
        second(episode.began),
        episode.cause_known.to_string(),
        episode.ended.map(second).unwrap_or_default(),
        episode.end.name().to_owned(),
        format!("{:.0}", episode.seconds_open),
        second(episode.last_seen),
        episode.answered_until.map(second).unwrap_or_default(),
        or_none(&episode.exemption),
        episode.why.clone(),
        or_none(&episode.refused_by),
        or_none(&episode.person),
        cause("actor"),
        cause("call"),
        cause("agent"),
        cause("source_ip"),
        cause("event_id"),
        episode.records.join(" "),
    ]
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A line, with the line break that RFC 4180 wants.
fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text.as_ref())).collect();
    cells.join(",") + "\r\n"
}

/// A cell. Names come from outside, and a spreadsheet takes what begins so for a formula; with an apostrophe before it, it is
/// text. <https://owasp.org/www-community/attacks/CSV_Injection>
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    // Some spreadsheets take semicolons or tabs for what is between cells.
    if text.contains([',', '"', '\r', '\n', ';', '\t', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
