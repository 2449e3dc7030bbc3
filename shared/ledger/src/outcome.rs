//! How a request can end, and what a control may do by itself.

use serde::{Deserialize, Serialize};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The resource is as it ought to be; nothing was written.
    Compliant,
    /// There is drift; the record says what would be written. Nothing was.
    Planned,
    /// There is drift; the plan was stored, and waits for a person to approve it. Nothing was written.
    AwaitingApproval,
    /// Written, read back, and seen to be as it ought to be.
    Fixed,
    /// A fix was taken back, and that was read back and seen.
    Undone,
    /// Some of it was written; the record says what remains.
    PartlyFixed,
    /// There is drift, and an exemption says to leave it. Nothing was written.
    Exempt,
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
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Compliant,
        Self::Planned,
        Self::AwaitingApproval,
        Self::Fixed,
        Self::Undone,
        Self::PartlyFixed,
        Self::Exempt,
        Self::Refused,
        Self::BlockedByOrganization,
        Self::Gone,
        Self::Unverified,
        Self::Failed,
    ];

    /// Its name in records and tables: `partly-fixed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::Planned => "planned",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Fixed => "fixed",
            Self::Undone => "undone",
            Self::PartlyFixed => "partly-fixed",
            Self::Exempt => "exempt",
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
            Self::AwaitingApproval
                | Self::PartlyFixed
                | Self::Refused
                | Self::BlockedByOrganization
                | Self::Unverified
                | Self::Failed
        )
    }

    /// Whether something was written, or may have been.
    pub const fn wrote(self) -> bool {
        matches!(self, Self::Fixed | Self::Undone | Self::PartlyFixed | Self::Unverified)
    }
}

/// What a control does about drift by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Say what would be written, and write nothing. What a fresh deployment does.
    #[default]
    Plan,
    /// Store the plan, and write it once a person has approved it.
    Approve,
    /// Write it.
    Enforce,
}

impl Mode {
    /// Its name in settings and records: `approve`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Approve => "approve",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plan, Self::Approve, Self::Enforce].into_iter().find(|mode| mode.name() == name)
    }
}
