//! What is left of a request afterwards: one outcome and one record, alike for every control.

use crate::control::{Control, Risk};
use crate::event::{Cause, Request, Trigger};
use crate::settings::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The resource is as it ought to be; nothing was written.
    Compliant,
    /// There is drift; the record says what would be written. Nothing was.
    Planned,
    /// Written, read back, and seen to be as it ought to be.
    Fixed,
    /// A fix was taken back, and that was read back and seen.
    Undone,
    /// Some of it was written; the record says what remains.
    PartlyFixed,
    /// A gate, or a guard of the control, said no. Nothing was written.
    Refused,
    /// A policy of the organization forbids the fix; the organization has to make it.
    BlockedByOrganization,
    /// The resource does not exist, or not any more.
    Gone,
    /// Written, but the reading-back has not shown it.
    Unverified,
    /// It could not be done.
    Failed,
}

impl Outcome {
    /// Its name in records and tables: `partly-fixed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::Planned => "planned",
            Self::Fixed => "fixed",
            Self::Undone => "undone",
            Self::PartlyFixed => "partly-fixed",
            Self::Refused => "refused",
            Self::BlockedByOrganization => "blocked-by-organization",
            Self::Gone => "gone",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
        }
    }

    /// Whether a person should look: drift is, or may be, still there.
    pub const fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::PartlyFixed | Self::Refused | Self::BlockedByOrganization | Self::Unverified | Self::Failed
        )
    }
}

/// The record of one request: what was found, decided and done, for a log, a ticket and an undo. It holds names and
/// settings, never contents, never a raw event, never an SDK's error text.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The version of this form: `suture.record/1`.
    pub schema: &'static str,
    /// The record's id: Lambda's request id, and the number of the request within it.
    pub id: String,
    /// The control.
    pub control: &'static str,
    /// The resource.
    pub resource: Resource,
    /// Where the request came from.
    pub trigger: Trigger,
    /// Who or what caused it.
    pub cause: Option<Cause>,
    /// The reason that a manual request gave.
    pub reason: Option<String>,
    /// Gates and guards that a manual request overrode, by name.
    #[serde(rename = "override", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// The record that was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The mode that it ran under.
    pub mode: Mode,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, in one line.
    pub why: String,
    /// The gate or guard that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<String>,
    /// The state that was found.
    pub before: Option<Value>,
    /// The writes that were made or, for a plan, would be.
    pub changes: Vec<Value>,
    /// The state that was read back or, where nothing was written, the state that the changes lead to.
    pub after: Option<Value>,
    /// What a person should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the changes would break.
    pub breaks: Vec<Risk>,
    /// The writes that would take it back.
    pub undo: Vec<Value>,
    /// What is still to be written, where not all of it was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remaining: Vec<Value>,
    /// The sections of 45 CFR that the control serves.
    pub citations: &'static [&'static str],
    /// When we began.
    #[serde(with = "time::serde::rfc3339")]
    pub began: OffsetDateTime,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether doing it again later may end better; then Lambda is told of an error, and retries.
    #[serde(skip)]
    pub retry: bool,
}

/// A record's resource.
#[derive(Clone, Debug, Serialize)]
pub struct Resource {
    /// Its CloudFormation type.
    pub r#type: &'static str,
    /// Its name.
    pub id: String,
    /// Its account.
    pub account: String,
    /// Its region, as the request has it.
    pub region: String,
}

impl Record {
    /// An open record for a request; it says `failed` until it is told otherwise.
    pub fn open<C: Control>(request: &Request<C>, id: String, mode: Mode, began: OffsetDateTime) -> Self {
        let place = &request.place;
        Self {
            schema: "suture.record/1",
            id,
            control: C::ABOUT.id,
            resource: Resource {
                r#type: C::ABOUT.resource_type,
                id: place.target.to_string(),
                account: place.account.to_string(),
                region: place.region.to_string(),
            },
            trigger: request.trigger,
            cause: request.cause.clone(),
            reason: request.reason.clone(),
            overrides: request.overrides.clone(),
            undoes: None,
            mode,
            outcome: Outcome::Failed,
            why: String::new(),
            refused_by: None,
            before: None,
            changes: Vec::new(),
            after: None,
            notes: Vec::new(),
            breaks: Vec::new(),
            undo: Vec::new(),
            remaining: Vec::new(),
            citations: C::ABOUT.citations,
            began,
            took_ms: 0,
            retry: false,
        }
    }

    /// The line for people: control, resource, outcome and why.
    pub fn line(&self) -> String {
        format!("{}: {} {}: {}", self.control, self.resource.id, self.outcome.name(), self.why)
    }
}
