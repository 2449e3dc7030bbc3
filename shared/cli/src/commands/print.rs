//! Plans, records and answers, for people.

use super::words::{json, list, moment_of, text, why};
use crate::show;
use crate::show::println;
use serde_json::Value;

/// What a record is of, in one line.
pub fn of(record: &Value) -> String {
    let field = |pointer: &str| text(record, pointer);
    format!(
        "{} on {} ({}), account {}, {}",
        field("/control"),
        field("/resource/id"),
        field("/resource/type"),
        field("/resource/account"),
        field("/resource/region"),
    )
}

/// A line `label: text`, if there is a text.
pub fn labelled(label: &str, said: &str) {
    if !said.is_empty() {
        println!("  {} {said}", show::faint(format!("{label}:")));
    }
}

/// Values, one on a line, under a heading.
pub fn values(heading: &str, values: &[Value]) {
    if !values.is_empty() {
        println!("  {}", show::faint(format!("{heading}:")));
    }
    for value in values {
        println!("    {}", json(value));
    }
}

/// Who caused it, as far as the record says.
pub fn cause(record: &Value) -> String {
    let field = |pointer: &str| text(record, pointer);
    let parts = [
        field("/cause/actor"),
        field("/cause/call"),
        field("/cause/agent"),
        field("/cause/source_ip"),
        moment_of(&field("/cause/at")),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// What a person should know of a record's writes besides.
pub fn besides(record: &Value) {
    for risk in list(record, "/breaks") {
        let breaks = if is_written(&text(record, "/outcome")) { "breaks" } else { "would break" };
        println!("  {} {}: {}", show::mind(breaks), text(risk, "/id"), text(risk, "/says"));
    }
    for note in list(record, "/notes") {
        println!("  {} {}", show::mind("note"), note.as_str().map(super::words::plain).unwrap_or_default());
    }
}

/// Says what a function, or this process, answered; whether it was done.
pub fn answer(answer: &Value) -> bool {
    let mut said = false;
    for record in list(answer, "/records") {
        said = true;
        let outcome = text(record, "/outcome");
        println!("{} {}: {}", show::outcome(&outcome), text(record, "/resource/id"), why(record, "/why"));
        values("written", if is_written(&outcome) { list(record, "/changes") } else { &[] });
        values("would be written", if is_planned(&outcome) { list(record, "/changes") } else { &[] });
        values("still to be written", list(record, "/remaining"));
        besides(record);
        if text(record, "/refused_by") == "region" {
            labelled(
                "next",
                &format!("name the region, if it is meant: --region {}", text(record, "/resource/region")),
            );
        }
        labelled("left alone until", &moment_of(&text(record, "/left_alone_until")));
        // A plan that somebody asked for is not kept, so its id is of no use.
        if text(record, "/mode") != "plan" {
            labelled("record", &text(record, "/id"));
        }
    }
    for decided in list(answer, "/decided") {
        said = true;
        let (state, id, by) = (text(decided, "/state"), text(decided, "/id"), text(decided, "/by"));
        println!("{} {id}: by {by}", show::head(&state));
    }
    for unread in list(answer, "/unread") {
        said = true;
        println!("{}: {}", show::bad("refused"), why(unread, "/why"));
    }
    if !said {
        println!("{}: the answer has no record in it", show::bad("refused"));
    }
    is_done(answer)
}

/// Whether what was asked for was done: whether an answer names something, and nothing that was not.
pub fn is_done(answer: &Value) -> bool {
    let done = |record: &Value| matches!(text(record, "/outcome").as_str(), "fixed" | "undone" | "compliant" | "gone");
    let decided = |approval: &Value| text(approval, "/state") == "rejected";
    let (records, decisions) = (list(answer, "/records"), list(answer, "/decided"));
    records.iter().all(done)
        && decisions.iter().all(decided)
        && list(answer, "/unread").is_empty()
        && !(records.is_empty() && decisions.is_empty())
}

fn is_planned(outcome: &str) -> bool {
    matches!(outcome, "planned" | "awaiting-approval")
}

fn is_written(outcome: &str) -> bool {
    matches!(outcome, "fixed" | "undone" | "partly-fixed" | "unverified")
}
