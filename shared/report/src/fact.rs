//! What a record says about drift: the little that episodes and figures are made of.

use crate::model::Resource;
use ledger::Outcome;
use remediation::Scope;
use serde::Deserialize;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// What one record is known by. An id alone is not enough: a request that was delivered twice has two records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// When it began.
    pub began: OffsetDateTime,
    /// Its id.
    pub id: String,
}

/// A resource under a control.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The control's id.
    pub control: String,
    /// The resource; its region is empty where the control's resources are in none.
    pub resource: Resource,
}

/// What one record says.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What it is known by.
    pub key: Key,
    /// When it ended.
    pub ended: OffsetDateTime,
    /// The control.
    pub control: String,
    /// The resource, as the record has it.
    pub resource: Resource,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub why: String,
    /// The gate or guard that refused.
    pub refused_by: Option<String>,
    /// Who approved, or else asked.
    pub person: Option<String>,
    /// Who or what caused it, whole.
    pub cause: Option<Value>,
    /// When the API call was made that caused it; none where no call is known.
    pub called: Option<OffsetDateTime>,
    /// Whether the resource was seen.
    pub saw: bool,
    /// How many writes it has, made or to be made.
    pub changes: usize,
    /// How many of them were not made.
    pub remaining: usize,
    /// The record that it takes back, or was to.
    pub undoes: Option<String>,
    /// The exemption by which the resource was left alone: its id, and its end.
    pub exemption: Option<(String, OffsetDateTime)>,
    /// Until when the control leaves the resource alone, after an undo.
    pub left_alone_until: Option<OffsetDateTime>,
    /// Whether the same had been recorded a few days before.
    pub again: bool,
}

impl Fact {
    /// What a record says.
    ///
    /// # Errors
    /// What of it cannot be understood.
    pub fn of(record: &Value) -> Result<Self, &'static str> {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let time = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).and_then(moment);
        let many = |pointer: &str| record.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
        let there = |pointer: &str| record.pointer(pointer).is_some_and(|value| !value.is_null());
        let began = time("/began").ok_or("it does not say when it began")?;
        let outcome = record.get("outcome").map(Outcome::deserialize);
        let outcome = outcome.and_then(Result::ok).ok_or("its outcome is none that this version knows")?;
        let resource = Resource {
            r#type: text("/resource/type").unwrap_or_default(),
            id: text("/resource/id").ok_or("it names no resource")?,
            account: text("/resource/account").unwrap_or_default(),
            region: text("/resource/region").unwrap_or_default(),
        };
        let took = record.get("took_ms").and_then(Value::as_u64).and_then(|took| i64::try_from(took).ok());
        // A run takes minutes. What says more is not to be believed, and must not overflow a time.
        let took = Duration::milliseconds(took.unwrap_or_default().min(24 * 3600 * 1000));
        // Rules and findings are causes too, but nothing that a caller did at that time.
        let is_call = text("/trigger").as_deref() == Some("cloud-trail") || there("/cause/actor");
        Ok(Self {
            key: Key { began, id: text("/id").ok_or("it has no id")? },
            ended: began.checked_add(took).unwrap_or(began),
            control: text("/control").ok_or("it names no control")?,
            resource,
            outcome,
            why: text("/why").unwrap_or_default(),
            refused_by: text("/refused_by"),
            person: text("/approval/by").or_else(|| text("/asked_by")),
            cause: record.get("cause").filter(|cause| !cause.is_null()).cloned(),
            called: time("/cause/at").filter(|_| is_call),
            saw: there("/before"),
            changes: many("/changes"),
            remaining: many("/remaining"),
            undoes: text("/undoes"),
            exemption: text("/exemption/id").zip(time("/exemption/expires")),
            left_alone_until: time("/left_alone_until"),
            again: record.get("again").and_then(Value::as_bool).unwrap_or_default(),
        })
    }

    /// The resource under the control: what has one stretch of drift at a time.
    pub fn spot(&self) -> Spot {
        let mut resource = self.resource.clone();
        // As in the ledger: such a resource is one, whatever region its requests came from.
        if catalogue::find(&self.control).is_some_and(|entry| entry.about.scope == Scope::Global) {
            resource.region.clear();
        }
        Spot { control: self.control.clone(), resource }
    }

    /// Whether it says that the resource was not as the control wants it.
    pub fn shows_drift(&self) -> bool {
        match self.outcome {
            Outcome::Fixed
            | Outcome::PartlyFixed
            | Outcome::Unverified
            | Outcome::Planned
            | Outcome::AwaitingApproval
            | Outcome::Exempt
            | Outcome::BlockedByOrganization => self.undoes.is_none() || self.wrote_in_part(),
            // Refused before the look, or nothing could be read: nobody knows. An undo that was refused says nothing of drift.
            Outcome::Refused | Outcome::Failed => self.saw && self.undoes.is_none(),
            // Whether it leads back to drift depends on what it takes back.
            Outcome::Undone | Outcome::Compliant | Outcome::Gone => false,
        }
    }

    /// Whether something was written, or may have been, and it was not seen whole.
    pub fn wrote_in_part(&self) -> bool {
        matches!(self.outcome, Outcome::PartlyFixed | Outcome::Unverified)
    }

    /// Whether nothing of the resource was seen.
    pub fn saw_nothing(&self) -> bool {
        matches!(self.outcome, Outcome::Refused | Outcome::Failed) && !self.saw
    }

    /// How many writes were made; those of an unverified record may have been.
    pub fn writes(&self) -> usize {
        if self.outcome.wrote() { self.changes.saturating_sub(self.remaining) } else { 0 }
    }
}

/// A time in RFC 3339, in UTC.
pub(crate) fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| at.to_offset(time::UtcOffset::UTC))
}
