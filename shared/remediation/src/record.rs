//! What is left of a request afterwards: one outcome and one record, alike for every control.

use crate::control::{Control, Risk};
use crate::event::{Cause, Request, Trigger};
use crate::settings::Mode;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

pub use ledger::Outcome;

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
    /// Who asked, by hand: the caller's ARN as AWS reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// Gates and guards that a manual request overrode, by name.
    #[serde(rename = "override", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// The record that was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The mode that it ran under.
    pub mode: Mode,
    /// The control's parameters at the time: what an undo needs to see the resource as this run saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, in one line.
    pub why: String,
    /// The gate or guard that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<String>,
    /// The exemption by which it was left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exempted>,
    /// The approval that it waits for, or was made by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approved>,
    /// After an undo: until when the control leaves the resource as it is now.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub left_alone_until: Option<OffsetDateTime>,
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

/// By whose word a resource was left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exempted {
    /// The exemption's id.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
}

/// A plan's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approved {
    /// Its id.
    pub id: String,
    /// Who approved it: the caller's ARN as AWS reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Until when it can be approved.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
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
            asked_by: request.asked_by.clone(),
            overrides: request.overrides.clone(),
            undoes: None,
            mode,
            parameters: None,
            outcome: Outcome::Failed,
            why: String::new(),
            refused_by: None,
            exemption: None,
            approval: None,
            left_alone_until: None,
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
