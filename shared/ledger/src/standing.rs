//! Where one resource stands with one control: who is working on it, and how often it came back.

use crate::store::Key;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use triggers::ids::{AccountId, Region};

/// A resource under a control: what a lock is on, and what a history is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The control's id.
    pub control: String,
    /// The account.
    pub account: AccountId,
    /// The region; none for what is in no region (IAM).
    pub region: Option<Region>,
    /// The CloudFormation type.
    pub resource_type: String,
    /// The resource's name.
    pub resource: String,
}

impl Spot {
    /// The partition of the resource's history, for all controls.
    pub fn partition(&self) -> String {
        let region = self.region.as_ref().map_or("global", Region::as_str);
        format!("resource#{}#{region}#{}#{}", self.account, self.resource_type, self.resource)
    }

    /// Where its standing is.
    pub fn standing(&self) -> Key {
        Key::new(self.partition(), format!("standing#{}", self.control))
    }
}

/// Where a resource stands with a control.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// Who is working on it.
    pub lease: Option<Lease>,
    /// The sort key of a record that was opened and has no result yet. With no lease in force, whoever opened it died.
    pub unfinished: Option<String>,
    /// When it was brought back, and what had undone it, the oldest first; no older than the window that counts.
    pub returns: Vec<Return>,
    /// Whether the last record needs a person: then it is news when all is well.
    pub attention: bool,
    /// What was last recorded that was no write: so that a daily sweep does not say the same every day.
    pub last: Option<Last>,
}

/// Who is working on a resource, and until when nobody else may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The id of the record that it is for.
    pub holder: String,
    /// When it ends by itself. The holder begins no write that could be under way then.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// One time that a resource was brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who or what had undone it, as far as the event told.
    pub by: Option<String>,
    /// The record.
    pub record: String,
}

/// What was last recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// What it came to: alike for two records that say the same.
    pub digest: String,
    /// When it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What it came to, whoever caused it.
    pub gist: String,
    /// Since when it has been coming to that.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

impl Standing {
    /// The lease in force at this time.
    pub fn taken(&self, now: OffsetDateTime) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.until > now)
    }

    /// The times that it was brought back since then.
    pub fn returns_since(&self, since: OffsetDateTime) -> impl Iterator<Item = &Return> {
        self.returns.iter().filter(move |each| each.at > since)
    }
}
