//! One step of the demo: what happened or was typed, what Suture did, and what was seen independently of what it says.

use super::page;
use crate::account::{Desk, Typed};
use crate::lab::of_the_ledger;
use ::lab::Lab;
use ::lab::runtime::Report;
use serde_json::{Value, json};
use std::time::Duration;

/// How much of what a command says is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    All,
    /// Nothing: what it does shows elsewhere.
    Nothing,
    /// The lines with any of these in them; all of it, should there be none.
    With(&'static [&'static str]),
}

/// What a step is told in, in order.
pub enum Line {
    /// What somebody did.
    Happened(String),
    /// What a function made of it, and how long after the call that had been answered.
    Did(Box<Report>, Option<Duration>),
    /// What was typed.
    Typed(Typed, Shown),
    /// The subject of a message that went out.
    Told(String),
    /// What was to be seen, whether it was, and whether it is worth a line if so.
    Seen(String, bool, bool),
}

/// One step.
pub struct Step {
    /// What it is called in the JSON.
    pub id: &'static str,
    /// What it is about, in a sentence.
    pub title: &'static str,
    /// What there is to tell.
    pub lines: Vec<Line>,
}

impl Step {
    /// One in which nothing has happened yet.
    pub fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, lines: Vec::new() }
    }

    /// Somebody did something.
    pub fn happened(&mut self, what: impl Into<String>) {
        self.lines.push(Line::Happened(what.into()));
    }

    /// A function did something.
    pub fn did(&mut self, report: Report) {
        self.lines.push(Line::Did(Box::new(report), None));
    }

    /// The same, so long after the call that led to it was answered.
    pub fn did_after(&mut self, (report, after): (Report, Duration)) {
        self.lines.push(Line::Did(Box::new(report), Some(after)));
    }

    /// Types a command that is to end so.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn types(&mut self, desk: &Desk, arguments: &[&str], shown: Shown, code: i32) -> Result<(), String> {
        let typed = desk.type_in(arguments).await?;
        let (command, ended) = (typed.command.clone(), typed.code);
        self.lines.push(Line::Typed(typed, shown));
        self.expect(format!("{command} ends with {ended}"), ended == code);
        Ok(())
    }

    /// A message with this in its subject went out: it is told, and that it went out is a check.
    pub fn tells(&mut self, lab: &Lab, subject: &str) {
        let told = lab.published().into_iter().filter_map(|message| message.subject);
        match told.into_iter().rfind(|said| said.contains(subject)) {
            Some(said) => self.lines.push(Line::Told(said)),
            None => self.see(format!("a message says: {subject}"), false),
        }
    }

    /// What was to be seen, and whether it was.
    pub fn see(&mut self, what: impl Into<String>, seen: bool) {
        self.lines.push(Line::Seen(what.into(), seen, true));
    }

    /// The same, for what the lines before it say already.
    pub fn expect(&mut self, what: impl Into<String>, seen: bool) {
        self.lines.push(Line::Seen(what.into(), seen, false));
    }

    /// Whether all was seen.
    pub fn ok(&self) -> bool {
        self.checks().all(|(_, seen)| seen)
    }

    fn checks(&self) -> impl Iterator<Item = (&str, bool)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Seen(what, seen, _) => Some((what.as_str(), *seen)),
            _ => None,
        })
    }

    /// What functions did, in order.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.lines.iter().filter_map(|line| match line {
            Line::Did(report, _) => Some(&**report),
            _ => None,
        })
    }

    /// The first record of the last that a function did; null if there is none.
    pub fn record(&self) -> Value {
        let answer = self.reports().last().map(Report::json).unwrap_or_default();
        answer.pointer("/records/0").cloned().unwrap_or_default()
    }

    /// A text of that record.
    pub fn field(&self, pointer: &str) -> String {
        self.record().pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The record of the last that a function did says this outcome, and it made this many writes. What it writes to the
    /// ledger is counted apart.
    pub fn expect_outcome(&mut self, outcome: &str, writes: usize) {
        let said = self.field("/outcome");
        self.expect(format!("the function says {said}"), said == outcome);
        self.expect_writes(writes);
    }

    /// What a function did last made this many writes.
    pub fn expect_writes(&mut self, writes: usize) {
        let all = self.reports().last().into_iter().flat_map(|report| &report.calls).filter(|call| call.writes);
        let (ledger, own): (Vec<_>, Vec<_>) = all.partition(|call| of_the_ledger(call));
        let (made, noted) = (own.len(), ledger.len());
        let and = if noted == 0 { String::new() } else { format!(", and {noted} to the ledger") };
        self.expect(format!("it made {}{and}", page::count(made, "write")), made == writes);
    }

    /// For machines: docs/tour.md has the form.
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = self.checks().map(|(what, seen)| json!({"what": what, "seen": seen})).collect();
        let typed = self.lines.iter().filter_map(|line| match line {
            Line::Typed(typed, _) => Some(json!({"command": typed.command, "code": typed.code, "said": typed.said})),
            _ => None,
        });
        let typed: Vec<Value> = typed.collect();
        let invocations: Vec<&Report> = self.reports().collect();
        json!({
            "step": self.id, "title": self.title, "ok": self.ok(), "checks": checks, "typed": typed,
            "invocation": invocations.first(), "invocations": invocations,
        })
    }
}
