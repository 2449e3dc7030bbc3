//! # iam-exposed-access-key: an access key that was found in public is deactivated
//!
//! ## What it looks for
//! The access key that an incident names: AWS Health says that it is exposed or compromised, or suspects so
//! (`AWS_RISK_CREDENTIALS_…`), GuardDuty that AWS knows it to be compromised
//! (`CredentialAccess:IAMUser/CompromisedCredentials`) or that an instance's are used elsewhere
//! (`UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration`; those are a session's, and the record says what to do), a
//! responder starts the custom action `Suture deactivate` in Security Hub or passes the key's id by hand. Nothing else starts
//! it, no schedule does, and it never looks for keys by itself.
//!
//! GuardDuty's findings about odd behaviour or odd addresses do not start it: they say that somebody should look, not that
//! the key is known to strangers.
//!
//! ## Why it matters
//! Keys in public repositories are found by machines and used within minutes. AWS attaches a quarantine policy to the user
//! of a key that it finds (`AWSCompromisedKeyQuarantineV3`), but that forbids only what costs AWS most: reading health
//! records goes on.
//!
//! ## What it does
//! One `UpdateAccessKey` with status `Inactive`, at once and whatever the key's use. In mode `enforce` it runs
//! unattended: that is its purpose. It never deletes the key, which is evidence, and never touches the quarantine policy.
//!
//! There is no list of users whose keys it spares, not even of those for emergencies: their keys can do most, and to
//! strangers too. It refuses, with what to do instead,
//! - `own-key`: the key signs our own calls; after the write nobody would be there to see that it worked,
//! - `session-key`: the key is a session's (`ASIA…`), which cannot be deactivated,
//! - `not-a-users-key`: no user of the account has the key: it was deleted, it is root's, or another account's.
//!
//! The record also tells what else a responder has to look at: sessions that live on, whether AWS's quarantine is attached,
//! the user's other key and console password. Those reads may fail or be slow without holding the write up.
//!
//! ## What could break
//! Whatever uses the key stops, production included: `InvalidClientTokenId`, or `InvalidAccessKeyId` from S3. That is
//! meant: the key is not only yours any more. The plan says when and for what it was last used.
//!
//! Sessions that were made with the key (`GetSessionToken`, `AssumeRole`, `GetFederationToken`) do **not** stop: they last
//! until they end, 36 hours at most, and a session of a role that may assume itself or another can make the next one. To
//! end those of the user, attach a policy that denies everything where `aws:TokenIssueTime` is before now; for roles that it
//! could assume, "Revoke active sessions" in each.
//!
//! ## Undo
//! Reactivates the key. **That hands it back to whoever found it.** An undo is for a false alarm, a key that was never out;
//! for all others, make a new key. A key that was deleted since cannot come back: the undo ends as `gone`.
//!
//! ## References
//! - <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>
//! - <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-iam.html>
//! - <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html>
//! - <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html>
//! - 45 CFR 164.308(a)(6)(ii)

mod cloud;
mod says;

pub use cloud::Keys;

use iam::{AccessKeyId, Use, UserName};
use remediation::{About, Control, Hindrance, Risk, Safety, Scope};
use serde::{Deserialize, Serialize};

/// The control; see the crate's page.
#[derive(Debug)]
pub struct ExposedAccessKey;

/// What was read of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A user's key.
    User(Found),
    /// A session's key, which IAM knows nothing about.
    Session {
        /// The key.
        key: AccessKeyId,
    },
    /// No user of the account has it.
    Nobodys {
        /// The key.
        key: AccessKeyId,
    },
}

/// A user's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The key.
    pub key: AccessKeyId,
    /// Whose it is.
    pub user: UserName,
    /// Whether requests can be signed with it.
    pub active: bool,
    /// Whether it signs our own calls.
    pub ours: bool,
    /// Its last use; none if it was never used.
    pub last_used: Option<Use>,
    /// The user's other keys that are active.
    pub others: Vec<AccessKeyId>,
    /// What else the user has; looked up only while the key is active.
    pub besides: Option<Besides>,
}

/// What else a user has that a responder should know of. What could not be read in time is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Besides {
    /// The quarantine policies of AWS's that are attached to the user.
    pub quarantine: Option<Vec<String>>,
    /// Whether the user has a password for the console.
    pub password: Option<bool>,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `UpdateAccessKey` with status `Inactive`.
    Deactivate {
        /// Whose key it is.
        user: UserName,
        /// The key.
        key: AccessKeyId,
    },
    /// `UpdateAccessKey` with status `Active`: only ever as an undo.
    Reactivate {
        /// Whose key it is.
        user: UserName,
        /// The key.
        key: AccessKeyId,
    },
}

impl Control for ExposedAccessKey {
    const ABOUT: About = About {
        id: "iam-exposed-access-key",
        title: "deactivates an access key that was found in public",
        never: "delete a key or AWS's quarantine policy",
        resource_type: "AWS::IAM::AccessKey",
        also: &[],
        scope: Scope::Global,
        names_account: false,
        safety: Safety::Incident,
        exposes: false,
        observes_with: &[
            "iam:GetAccessKeyLastUsed",
            "iam:ListAccessKeys",
            "iam:ListAttachedUserPolicies",
            "iam:GetLoginProfile",
        ],
        tags_with: &["iam:GetAccessKeyLastUsed", "iam:ListUserTags"],
        lists_with: &[],
        fixes_with: &["iam:UpdateAccessKey"],
        undoes_with: &["iam:UpdateAccessKey"],
        allowed_on: &[
            ("iam:", "arn:${AWS::Partition}:iam::${AWS::AccountId}:user/*"),
            // A key that no user has is no user's resource.
            ("iam:GetAccessKeyLastUsed", "*"),
        ],
        watches: &[],
        incidents: &[
            "AWS_RISK_CREDENTIALS_COMPROMISED",
            "AWS_RISK_CREDENTIALS_COMPROMISE_SUSPECTED",
            "AWS_RISK_CREDENTIALS_EXPOSED",
            "AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED",
            "CredentialAccess:IAMUser/CompromisedCredentials",
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration",
        ],
        action: Some("Suture deactivate"),
        config_rules: &[],
        security_hub: &[],
        citations: &["45 CFR 164.308(a)(6)(ii)"],
        sweeps: None,
        settings: &[],
    };

    type Target = AccessKeyId;
    type Parameters = ();
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<AccessKeyId, String> {
        AccessKeyId::parse(name)
    }

    fn desired(state: &State) -> State {
        match state {
            State::User(found) if !found.ours => State::User(Found { active: false, ..found.clone() }),
            _ => state.clone(),
        }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        let State::User(to) = to else { return vec![] };
        let (user, key) = (to.user.clone(), to.key.clone());
        let from = match from {
            State::User(from) => from,
            // Deleted since it was switched off: the write fails, so that no undo claims to have given it back.
            State::Nobodys { key: from } if to.active && *from == key => return vec![Change::Reactivate { user, key }],
            _ => return vec![],
        };
        match (from.active, to.active) {
            _ if from.key != to.key => vec![],
            (true, false) => vec![Change::Deactivate { user, key }],
            (false, true) => vec![Change::Reactivate { user, key }],
            _ => vec![],
        }
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        let State::User(found) = from else { return vec![] };
        let deactivates = matches!(Self::changes(from, to).as_slice(), [Change::Deactivate { .. }]);
        if deactivates { vec![says::risk(found)] } else { vec![] }
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        says::hindrance(state)
    }

    fn notes(state: &State) -> Vec<String> {
        says::notes(state)
    }
}

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
