//! What holds for a whole deployment and can be changed while it runs.

use crate::exemption::Exemption;
use crate::outcome::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// The partition of what holds for a whole deployment.
pub(crate) const PARTITION: &str = "deployment";
/// The sort key of the settings.
pub(crate) const SETTINGS: &str = "settings";
/// The sort key of the form that the ledger's items have, if it is not the first.
pub(crate) const FORMAT: &str = "format";
/// The form of the items that this version knows. A version that writes what this one could not read, or would lose in writing
/// it back, has the next number, and puts it into the ledger before it writes anything else.
pub(crate) const KNOWN: u64 = 1;
/// How the sort keys of exemptions begin.
pub(crate) const EXEMPTION: &str = "exemption#";

/// The live settings: what a deployment does by itself. Changed without deploying, and in force within seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Posture {
    /// The kill switch: while it is there, nothing is written anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The mode of every control that has none of its own. Until it is set, the template's parameter `Mode` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The modes of single controls, by their ids.
    pub modes: BTreeMap<String, Mode>,
    /// Whether a resource's own tag ([`crate::exemption::TAG`]) can exempt it. Off unless somebody turns it on: whoever can
    /// tag could then exempt.
    pub tags_exempt: bool,
    /// Who last changed this: the caller's ARN as AWS reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<OffsetDateTime>,
}

/// Who stopped everything, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Who did: the caller's ARN as AWS reports it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Posture {
    /// The mode of a control, if one was set here for it or for all.
    pub fn mode_of(&self, control: &str) -> Option<Mode> {
        self.modes.get(control).copied().or(self.mode)
    }
}

/// What holds for a whole deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    /// The live settings.
    pub posture: Posture,
    /// The version of their item; 0 if there is none.
    pub version: u64,
    /// The exemptions, each with its item's version; those that ended too.
    pub exemptions: Vec<(Exemption, u64)>,
}
