//! Plans that wait for a person.

use crate::standing::Spot;
use crate::store::Key;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use triggers::ids::{AccountId, Region};

/// The partition of all of them.
pub(crate) const PARTITION: &str = "approvals";

/// A plan, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id: the beginning of its digest. The same plan for the same state has the same id.
    pub id: String,
    /// The SHA-256 of control, resource, the state that was found, and the writes.
    pub digest: String,
    /// The control.
    pub control: String,
    /// The resource's name.
    pub resource: String,
    /// Its account.
    pub account: AccountId,
    /// The region that the request was for.
    pub region: Region,
    /// The record of the plan, whole.
    pub record: Value,
    /// The Lambda function that made it, if one did: where to send the approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
    /// Until when it can be approved.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
    /// What became of it.
    pub state: ApprovalState,
    /// Who decided: the caller's ARN as AWS reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<OffsetDateTime>,
}

/// What became of a plan that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalState {
    /// It waits.
    Open,
    /// A person approved it, and it was carried out, as far as its record says.
    Approved,
    /// A person said no.
    Rejected,
}

impl Approval {
    /// Where the approval with this id is.
    pub fn key(id: &str) -> Key {
        Key::new(PARTITION, id)
    }

    /// The digest of a plan: the same if and only if control, resource, state and writes are the same.
    pub fn digest_of(spot: &Spot, before: Option<&Value>, changes: &[Value]) -> String {
        let plan = serde_json::json!([spot.control, spot.partition(), before, changes]);
        hex(&Sha256::digest(plan.to_string()))
    }

    /// The id that goes with a digest.
    pub fn id_of(digest: &str) -> String {
        digest.chars().take(12).collect()
    }

    /// Whether it still waits.
    pub fn is_open(&self, now: OffsetDateTime) -> bool {
        self.state == ApprovalState::Open && self.expires > now
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
        text
    })
}
