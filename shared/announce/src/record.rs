//! What is said about a record.

use crate::words::{self, Lines, count, name, sentence};
use crate::{Context, FLAPPING, KILL_SWITCH, Message, TAMPERING, commands};
use ledger::Outcome;
use serde_json::Value;

/// How many writes a message lists, unless a person is to approve them.
const WRITES: usize = 20;
/// How many bytes of writes a message lists.
const ROOM: usize = 8 * 1024;
/// The same where a person is to approve them: all that fit beside the record.
const ROOM_TO_APPROVE: usize = 96 * 1024;
/// How many things that would break, and notes, a message lists.
const SENTENCES: usize = 10;
/// What a record says of a write that went as it should.
const SEEN: &str = "read back and seen";
/// What a record says that is still an intent.
const INTENT: &str = "about to write";

/// A record, read as far as a message needs it. Records are our own, but the next version's may be another's: what is
/// missing is left out.
pub(crate) struct Told<'a>(pub(crate) &'a Value);

impl<'a> Told<'a> {
    /// The text at this place of the record.
    pub(crate) fn text(&self, pointer: &str) -> Option<&'a str> {
        self.0.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(crate) fn list(&self, field: &str) -> &'a [Value] {
        self.0.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// How it ended; none in a form that this version does not know.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let given = self.text("/outcome")?;
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == given)
    }

    /// Whether the record never got its result: whoever wrote it died.
    pub(crate) fn unfinished(&self) -> bool {
        self.outcome() == Some(Outcome::Unverified) && self.text("/why") == Some(INTENT)
    }

    /// Whether the resource was not looked at, so that nobody knows whether there is drift.
    pub(crate) fn unseen(&self) -> bool {
        self.0.get("before").is_none_or(Value::is_null)
    }

    pub(crate) fn id(&self) -> &'a str {
        self.text("/id").unwrap_or_default()
    }

    pub(crate) fn control(&self) -> &'a str {
        self.text("/control").unwrap_or("a control")
    }

    pub(crate) fn resource(&self) -> &'a str {
        self.text("/resource/id").unwrap_or("a resource")
    }

    /// The sentences of a list of texts, or of things that would break.
    fn sentences(&self, field: &str) -> Vec<String> {
        let says = |each: &Value| each.as_str().or_else(|| each.get("says")?.as_str()).map(sentence);
        self.list(field).iter().filter_map(says).collect()
    }
}

/// What Suture did, for the subject and for titles, and the first line of a message; none where nothing is said.
pub(crate) fn head(told: &Told<'_>, outcome: Outcome) -> Option<(&'static str, &'static str)> {
    if told.text("/undoes").is_some() {
        return head_of_undo(told, outcome);
    }
    Some(match outcome {
        Outcome::Compliant | Outcome::Planned | Outcome::Exempt | Outcome::Gone => return None,
        Outcome::Fixed => ("fixed", "Fixed, read back and seen."),
        Outcome::Undone => ("undid its fix of", "Undone, read back and seen: it is as it was before the fix."),
        Outcome::PartlyFixed => ("fixed only part of", "Partly fixed: some of it is still to be done."),
        Outcome::AwaitingApproval => ("asks to fix", "A fix waits for your approval. Nothing was written yet."),
        Outcome::Refused if told.text("/refused_by") == Some(FLAPPING) => {
            ("gave up: somebody keeps undoing", "Refused: it was brought back again and again. Nothing was written.")
        }
        Outcome::Refused if told.text("/refused_by") == Some(TAMPERING) => {
            ("was tampered with:", "A part of Suture itself was changed. Nothing was put back: that is yours to do.")
        }
        Outcome::Refused if told.unseen() => ("refused to act on", "Refused. Nothing was written."),
        Outcome::Refused => ("refused to fix", "Refused. Nothing was written, and the drift is still there."),
        Outcome::BlockedByOrganization => {
            ("may not fix", "A policy of the organization forbids the fix. Nothing was written.")
        }
        Outcome::Unverified if told.unfinished() => {
            ("died while it fixed", "Suture was about to write, and never said how it ended. It may be written or not.")
        }
        Outcome::Unverified => {
            ("cannot confirm its fix of", "Written, or perhaps written: reading it back did not show it.")
        }
        Outcome::Failed if told.unseen() => {
            ("failed to look at", "Failed: nothing was written. Whether there is drift is not known.")
        }
        Outcome::Failed => ("failed to fix", "Failed: nothing was written, and the drift is still there."),
    })
}

/// The same for an undo.
fn head_of_undo(told: &Told<'_>, outcome: Outcome) -> Option<(&'static str, &'static str)> {
    Some(match outcome {
        Outcome::Undone if told.list("changes").is_empty() => return None,
        Outcome::Undone => ("undid its fix of", "Undone, read back and seen: it is as it was before."),
        Outcome::PartlyFixed => ("undid only part of its fix of", "Partly undone: some of it is still to be done."),
        Outcome::Refused => ("refused to undo its fix of", "An undo was refused. Nothing was written."),
        Outcome::BlockedByOrganization => {
            ("may not undo its fix of", "A policy of the organization forbids the undo. Nothing was written.")
        }
        Outcome::Unverified if told.unfinished() => (
            "died while it undid its fix of",
            "Suture was about to write, and never said how it ended. It may be written or not.",
        ),
        Outcome::Unverified => {
            ("cannot confirm its undo of", "Written, or perhaps written: reading it back did not show it.")
        }
        Outcome::Failed => ("failed to undo its fix of", "Failed: nothing was undone, and nothing was written."),
        _ => return None,
    })
}

/// The message about a record, if there is something to say.
pub(crate) fn message(record: &Value, context: &Context<'_>) -> Option<Message> {
    let told = Told(record);
    let outcome = told.outcome()?;
    // The same was said of it before, of another event.
    if record.get("again").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let (verb, first) = head(&told, outcome)?;
    let mut lines = Lines::default();
    lines.line(first);
    lines.labelled("What", Some(what(&told)));
    if outcome == Outcome::AwaitingApproval {
        to_approve(&told, &mut lines);
    }
    // The words of what went well say nothing that the first line does not.
    if told.text("/why") != Some(SEEN) && outcome != Outcome::AwaitingApproval && !told.unfinished() {
        let by = told.text("/refused_by").map(|by| format!(" ({})", name(by))).unwrap_or_default();
        lines.labelled(&format!("Why{by}"), told.text("/why").map(sentence));
    }
    caused(&told, &mut lines);
    writes(&told, outcome, &mut lines);
    for (label, field) in [(breaks(outcome), "breaks"), ("Note", "notes")] {
        let sentences = told.sentences(field);
        for says in sentences.iter().take(SENTENCES) {
            lines.line(&format!("{label}: {says}"));
        }
        if sentences.len() > SENTENCES {
            lines.line(&format!("  … and {} more, in the record", sentences.len() - SENTENCES));
        }
    }
    next(&told, outcome, &mut lines);
    lines.labelled("From", Some(words::deployment(context)));
    let subject = format!("Suture {verb} {} ({})", words::subject_name(told.resource()), told.control());
    Some(lines.message(&subject, record, &words::kept(Some(told.id()), context)))
}

pub(crate) fn what(told: &Told<'_>) -> String {
    let kind = told.text("/resource/type").map(|kind| format!(" ({})", name(kind))).unwrap_or_default();
    let account = told.text("/resource/account").map(name).unwrap_or_default();
    let region = told.text("/resource/region").map(name).unwrap_or_default();
    format!("{} on {}{kind}, account {account}, {region}", name(told.control()), name(told.resource()))
}

fn to_approve(told: &Told<'_>, lines: &mut Lines) {
    let id = told.text("/approval/id").unwrap_or_default();
    lines.labelled("To approve", commands::approve(id));
    lines.labelled("To say no", commands::reject(id));
    lines.labelled("Until", told.text("/approval/expires").map(name));
}

/// Who or what is behind it: of the drift, and of the request.
fn caused(told: &Told<'_>, lines: &mut Lines) {
    let cause = |field: &str| told.text(&format!("/cause/{field}")).map(name);
    let mut by = cause("actor").unwrap_or_default();
    if let Some(agent) = cause("agent") {
        by = if by.is_empty() { agent } else { format!("{by} ({agent})") };
    }
    let parts = [Some(by).filter(|by| !by.is_empty()), cause("call"), cause("at"), cause("source_ip")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    lines.labelled("Caused by", Some(parts.join(", ")));
    if parts.is_empty() {
        lines.labelled("Noticed by", told.text("/trigger").map(name));
    }
    lines.labelled("Undoes", told.text("/undoes").map(name));
    lines.labelled("Asked by", told.text("/asked_by").map(name));
    lines.labelled("Approved by", told.text("/approval/by").map(name));
    lines.labelled("Reason given", told.text("/reason").map(name));
    let overrides: Vec<String> = told.list("override").iter().filter_map(Value::as_str).map(name).collect();
    lines.labelled("Overridden", Some(overrides.join(", ")));
}

const fn breaks(outcome: Outcome) -> &'static str {
    if outcome.wrote() { "This may break" } else { "This would break" }
}

/// The writes, as they were made or would be.
fn writes(told: &Told<'_>, outcome: Outcome, lines: &mut Lines) {
    let changes = told.list("changes");
    let (most, room) = match outcome {
        Outcome::AwaitingApproval => (usize::MAX, ROOM_TO_APPROVE),
        _ => (WRITES, ROOM),
    };
    let writes = count(changes.len(), "write");
    let label = match outcome {
        Outcome::Fixed | Outcome::Undone => format!("{writes} made:"),
        Outcome::PartlyFixed => format!("{writes} wanted:"),
        Outcome::Unverified => format!("{writes} sent, or about to be:"),
        Outcome::AwaitingApproval => format!("It would make exactly {writes}:"),
        Outcome::Failed | Outcome::BlockedByOrganization => format!("{writes} wanted, not made:"),
        _ => format!("{writes} not made:"),
    };
    if !changes.is_empty() {
        lines.line(&label);
        lines.values(changes, most, room);
    }
    let remaining = told.list("remaining");
    // Where nothing was written, what remains is what was wanted.
    if outcome.wrote() && !remaining.is_empty() {
        lines.line(&format!("{} still to be made:", count(remaining.len(), "write")));
        lines.values(remaining, most, room);
    }
}

/// What a person can do now.
fn next(told: &Told<'_>, outcome: Outcome, lines: &mut Lines) {
    let account = told.text("/resource/account").unwrap_or_default();
    let exempt = || commands::exempt(told.control(), account, told.resource());
    let undo = || commands::undo(told.id()).filter(|_| !told.list("undo").is_empty());
    match outcome {
        Outcome::Fixed | Outcome::PartlyFixed if told.list("undo").is_empty() => {
            lines.line("This cannot be undone: the record has no writes that would.");
        }
        Outcome::Fixed | Outcome::PartlyFixed => lines.labelled("To undo it", undo()),
        Outcome::Undone => {
            if let Some(until) = told.text("/left_alone_until") {
                lines.line(&format!("The control leaves it alone until {}.", name(until)));
            } else {
                lines.line("The next event or sweep fixes it again, unless it is exempt.");
                lines.labelled("To leave it alone", exempt());
            }
        }
        Outcome::Unverified => {
            lines.line("Look at the resource. The next event or sweep looks at it again.");
            lines.labelled("To undo it", undo());
        }
        // Nothing that is set in Suture silences this.
        Outcome::Refused if told.text("/refused_by") == Some(TAMPERING) => {}
        Outcome::Refused if told.text("/refused_by") == Some(KILL_SWITCH) => {
            lines.labelled("To let Suture write again", Some(commands::RESUME.to_owned()));
        }
        Outcome::Refused | Outcome::Failed | Outcome::BlockedByOrganization if told.text("/undoes").is_some() => {
            lines.line("See to what the reason names, and ask again.");
        }
        // Before anything was looked at, an exemption would not have helped.
        Outcome::Refused if told.unseen() => {
            lines.line("See to what the reason names; the next event or sweep tries again.");
        }
        Outcome::Refused | Outcome::AwaitingApproval => lines.labelled("To leave it alone", exempt()),
        Outcome::BlockedByOrganization => {
            lines.line("Ask whoever manages the organization's policies; or close it there.");
            lines.labelled("To leave it alone", exempt());
        }
        Outcome::Failed => lines.line("Mend what the reason names; the next event or sweep tries again."),
        Outcome::Compliant | Outcome::Planned | Outcome::Exempt | Outcome::Gone => {}
    }
}
