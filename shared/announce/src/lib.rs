//! What people are told: messages for a phone at night ([`message`]) and findings for Security Hub ([`finding`]).
//!
//! Pure: what happened goes in, a text or a finding comes out. Whoever sends them is somebody else's code.
//!
//! One message for each change, refusal and request for approval, and none for what was fine. The first lines are for a
//! person who was asleep: what happened, to what, who caused it, what was written, what it breaks, and the very command
//! that comes next. Then a line `--`, and the record as JSON, for programs.
//!
//! Names, reasons and callers come from outside. None of them can begin a new line, hide a character, or become a
//! second command where a command is shown.

mod commands;
mod deployment;
mod finding;
mod record;
mod words;

pub use finding::{Finding, Hub, finding, id_of, resource_of};

use ledger::{Approval, Exemption, Posture};
use serde_json::Value;
use triggers::ids::{AccountId, Region};

/// The gate's name in `refused_by` where the kill switch said no.
pub const KILL_SWITCH: &str = "kill-switch";
/// The gate's name in `refused_by` where the resource came back too often.
pub const FLAPPING: &str = "flapping";
/// The reason's name in `refused_by` where somebody touched Suture itself (`suture-tampering`).
pub const TAMPERING: &str = "tampering";

/// The most characters that a subject has. SNS wants fewer than 100, no line breaks and no control characters; ASCII is
/// safe with every receiver. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const SUBJECT: usize = 99;
/// The most bytes that a text has. SNS takes 262,144 for everything that is published at once, so some are left for the
/// subject and for attributes. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const TEXT: usize = 240 * 1024;

/// Something that a person may have to be told.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A record came to its end: as JSON, in the form `suture.record/1`. A record that is still an intent ("about to
    /// write") is one that ended so: pass it only once nobody can be working on it any more.
    Record(&'a Value),
    /// The live settings changed.
    Posture {
        /// What they were; the default where there were none.
        before: &'a Posture,
        /// What they are.
        after: &'a Posture,
    },
    /// An exemption was made, changed or removed.
    Exemption {
        /// What it was, if there was one.
        before: Option<&'a Exemption>,
        /// What it is, if there is one.
        after: Option<&'a Exemption>,
    },
    /// An exemption's time is over.
    ExemptionEnded(&'a Exemption),
    /// A control made as many writes as it may in an hour.
    BudgetReached {
        /// The control's id.
        control: &'a str,
        /// The hour, in UTC: `2026-01-15T10`.
        hour: &'a str,
    },
    /// A plan that waits for a person was stored, decided or forgotten. The request itself is announced by its record.
    Approval {
        /// What it was, if there was one.
        before: Option<&'a Approval>,
        /// What it is, if there is one.
        after: Option<&'a Approval>,
    },
}

/// Where the deployment is that speaks, and where it keeps things.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Its account.
    pub account: &'a AccountId,
    /// Its region.
    pub region: &'a Region,
    /// Its CloudFormation stack, where it has one.
    pub stack: Option<&'a str>,
    /// The ledger's table.
    pub ledger: Option<&'a str>,
    /// The bucket that holds the evidence.
    pub evidence: Option<&'a str>,
}

/// A message, as SNS takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line of ASCII, of [`SUBJECT`] characters at most; it begins with a letter.
    pub subject: String,
    /// Plain text, of [`TEXT`] bytes at most.
    pub text: String,
}

/// What to tell people about a change; nothing if there is nothing to say.
///
/// No message comes of a record that is `compliant`, `planned`, `exempt` or `gone`, nor of an undo that found nothing to
/// do; of an exemption that an undo made (the undo's own message says for how long); of an approval that was given (the
/// record of what was then written names who gave it).
pub fn message(change: &Change<'_>, context: &Context<'_>) -> Option<Message> {
    match change {
        Change::Record(record) => record::message(record, context),
        Change::Posture { before, after } => deployment::posture(before, after, context),
        Change::Exemption { before, after } => deployment::exemption(*before, *after, context),
        Change::ExemptionEnded(exemption) => Some(deployment::ended(exemption, context)),
        Change::BudgetReached { control, hour } => Some(deployment::budget(control, hour, context)),
        Change::Approval { before, after } => deployment::approval(*before, *after, context),
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
