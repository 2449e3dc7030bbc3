//! # iam-stale-access-key: access keys that nobody uses are deactivated
//!
//! ## What it looks for
//! Active access keys of IAM users, each judged alone, whatever other key its user has:
//!
//! | last used | made | what becomes of it |
//! |---|---|---|
//! | within `max_idle_days` (90) | within `max_age_days` (90) | nothing |
//! | longer ago | | deactivated |
//! | never | within `grace_days` (14) | nothing: it is still to be put to use |
//! | never | within `max_idle_days` | nothing yet; the record says when it will be deactivated |
//! | never | longer ago | deactivated |
//! | within `max_idle_days` | longer ago than `max_age_days` | reported (`rotation` is `soft`), or deactivated (`hard`) |
//!
//! For `warn_days` (14) before either, the record says what will be done and when. What IAM says about a key's use can be
//! four hours behind; a key gets that much more. A call that was denied counts as a use.
//!
//! ## Why it matters
//! A key that was forgotten is in a laptop, a repository or a mail relay, and works until somebody switches it off. Nobody
//! would notice a stranger who uses it, since nobody knows what it is for.
//!
//! ## What it does
//! `UpdateAccessKey` with status `Inactive`, for each such key, always with the name of its user. It never deletes a key or a
//! password, and never deactivates
//! - the key that signs its own calls (`own-key`),
//! - keys of root (`root-key`): only root can do that; a sweep reports them,
//! - keys of users for emergencies, who are listed by name, or marked by path or tag (`break-glass`),
//! - a key that is in use, for its age, unless `rotation` is `hard` (`key-in-use`).
//!
//! Such a key ends as `refused`, with the reason; no override helps. A user whose keys are seldom used gets a tag
//! `drift-key-max-idle-days` with a number of days. It counts if it is more than `max_idle_days`, up to
//! `highest_idle_days` (365); a smaller number changes nothing, since a sweep does not see tags.
//!
//! Right before each write the key's last use is read again; if it was used meanwhile, nothing is written and the plan is
//! made anew. A sweep reads the account's credential report and looks only at users with a key that the report shows to be
//! past a limit, or near it. Where IAM has no report ready within some seconds, it looks at every user. The report counts a
//! key that was never used from when it was last switched on, a look at the user from when it was made.
//!
//! AWS Config and Security Hub know a user by its unique id (`AIDA…`), which no call of IAM's takes: its name is looked up.
//!
//! ## What could break
//! - Whatever uses a key less often than the limit: a quarterly report, a medical device. It gets `InvalidClientTokenId`, or
//!   `InvalidAccessKeyId` from S3. Tag such users first.
//! - SMTP passwords of Amazon SES are made of an access key: a relay stops sending when it is deactivated.
//! - With `rotation` set to `hard`, whatever uses an old key, this very day.
//! - A key that somebody switches on again is looked at as soon as the event arrives, and is deactivated again if it is idle:
//!   IAM does not tell when it was switched on. Give its user the tag first.
//!
//! A deactivated key ends no sessions that were made with it.
//!
//! ## Undo
//! Reactivates the keys that were deactivated, and no others. A key that was deleted since cannot come back: the undo ends as
//! `gone`, or as `partly-fixed` if another came back. The next sweep deactivates what is still idle; give the user the tag
//! first.
//!
//! ## References
//! - <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>
//! - <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html>
//! - AWS Config `IAM_USER_UNUSED_CREDENTIALS_CHECK`, `ACCESS_KEYS_ROTATED`; Security Hub IAM.3 (90 days), IAM.8 (90 days),
//!   IAM.22 (45 days: set `max_idle_days` to 45 to serve it)
//! - 45 CFR 164.308(a)(3)(i), 164.308(a)(3)(ii)(B), 164.308(a)(3)(ii)(C), 164.308(a)(4)(ii)(A), 164.308(a)(4)(ii)(B),
//!   164.308(a)(4)(ii)(C), 164.308(a)(5)(ii)(D), 164.312(a)(1)

mod cloud;
mod judge;
mod parameters;
mod says;

pub use cloud::Users;
pub use judge::{Ill, Limits, Rotation, Verdict};
pub use parameters::{Mark, OwnLimit, Parameters, Path, Tag, UserNames};

use iam::{AccessKeyId, Owner, Use, User, UserName};
use remediation::{About, Control, Hindrance, Resource, Risk, Safety, Scope, Watch};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The control; see the crate's page.
#[derive(Debug)]
pub struct StaleAccessKey;

/// What was read of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whose keys they are.
    pub owner: Owner,
    /// When they were looked at.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What holds for them.
    pub limits: Limits,
    /// What the user's own tag asks for.
    pub own_limit: Option<OwnLimit>,
    /// What marks the user as one for emergencies.
    pub break_glass: Option<Mark>,
    /// The keys.
    pub keys: Vec<Key>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id; none for root's, whose ids the credential report does not tell.
    pub id: Option<AccessKeyId>,
    /// Whether requests can be signed with it.
    pub active: bool,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Its last use; none if it was never used. Looked up only for active keys.
    pub last_used: Option<Use>,
    /// Whether it signs our own calls.
    pub ours: bool,
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
        /// Why.
        because: Because,
    },
    /// `UpdateAccessKey` with status `Active`: only ever as an undo.
    Reactivate {
        /// Whose key it is.
        user: UserName,
        /// The key.
        key: AccessKeyId,
    },
}

/// Why a key is to be deactivated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// Nobody uses it: this is its last use. If it was used since, it is not to be deactivated.
    Idle {
        /// The last use that the decision rests on.
        last_used: Option<Use>,
    },
    /// It is too old, used or not.
    Old,
    /// It was inactive before an undo, which is taken back.
    Undone,
}

impl State {
    fn verdict(&self, key: &Key) -> Verdict {
        if key.active {
            judge::judge(key.created, key.last_used.as_ref(), &self.limits, self.at)
        } else {
            Verdict::Fine
        }
    }

    /// Why a key is none of ours to deactivate, by the name of the reason.
    fn spared(&self, key: &Key) -> Option<&'static str> {
        match (&self.owner, &key.id) {
            (Owner::Root, _) | (_, None) => Some("root-key"),
            _ if key.ours => Some("own-key"),
            _ if self.break_glass.is_some() => Some("break-glass"),
            _ => None,
        }
    }

    fn is_to_go(&self, key: &Key) -> bool {
        matches!(self.verdict(key), Verdict::Deactivate(_)) && self.spared(key).is_none()
    }
}

impl Control for StaleAccessKey {
    const ABOUT: About = About {
        id: "iam-stale-access-key",
        title: "deactivates access keys that nobody uses",
        never: "delete a key, or cut one in use unasked",
        resource_type: "AWS::IAM::User",
        also: &["AWS::IAM::AccessKey"],
        scope: Scope::Global,
        names_account: false,
        safety: Safety::Reversible,
        exposes: false,
        observes_with: &[
            "iam:ListAccessKeys",
            "iam:GetUser",
            "iam:GetAccessKeyLastUsed",
            "iam:ListUsers",
            "iam:GetCredentialReport",
            "iam:GenerateCredentialReport",
        ],
        tags_with: &["iam:GetAccessKeyLastUsed", "iam:ListUserTags", "iam:ListUsers"],
        lists_with: &["iam:GetCredentialReport", "iam:GenerateCredentialReport", "iam:ListUsers"],
        fixes_with: &["iam:GetAccessKeyLastUsed", "iam:UpdateAccessKey"],
        undoes_with: &["iam:UpdateAccessKey"],
        allowed_on: &[
            ("iam:", "arn:${AWS::Partition}:iam::${AWS::AccountId}:user/*"),
            // A key that no user has is no user's resource.
            ("iam:GetAccessKeyLastUsed", "*"),
            ("iam:ListUsers", "*"),
            ("iam:GetCredentialReport", "*"),
            ("iam:GenerateCredentialReport", "*"),
        ],
        watches: &[Watch {
            source: "aws.iam",
            event_source: "iam.amazonaws.com",
            events: &["CreateAccessKey", "UpdateAccessKey"],
        }],
        incidents: &[],
        action: None,
        config_rules: &["ACCESS_KEYS_ROTATED", "IAM_USER_UNUSED_CREDENTIALS_CHECK"],
        security_hub: &["IAM.3", "IAM.8", "IAM.22"],
        citations: &[
            "45 CFR 164.308(a)(3)(i)",
            "45 CFR 164.308(a)(3)(ii)(B)",
            "45 CFR 164.308(a)(3)(ii)(C)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.308(a)(4)(ii)(B)",
            "45 CFR 164.308(a)(4)(ii)(C)",
            "45 CFR 164.308(a)(5)(ii)(D)",
            "45 CFR 164.312(a)(1)",
        ],
        sweeps: Some("rate(1 day)"),
        settings: parameters::SETTINGS,
    };

    type Target = User;
    type Parameters = Parameters;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<User, String> {
        User::parse(name)
    }

    fn target_of(resource: &Resource) -> Result<User, String> {
        User::of(resource)
    }

    fn desired(state: &State) -> State {
        let keys = state.keys.iter().map(|key| Key { active: key.active && !state.is_to_go(key), ..key.clone() });
        State { keys: keys.collect(), ..state.clone() }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        let Some(user) = from.owner.user() else { return vec![] };
        let change = |now: &Key| {
            let key = now.id.clone()?;
            let then = to.keys.iter().find(|then| then.id.as_ref() == Some(&key))?;
            let user = user.clone();
            match (now.active, then.active) {
                (true, false) => {
                    let because = match from.verdict(now) {
                        Verdict::Deactivate(Ill::Idle) => Because::Idle { last_used: now.last_used.clone() },
                        Verdict::Deactivate(Ill::Old) => Because::Old,
                        _ => Because::Undone,
                    };
                    Some(Change::Deactivate { user, key, because })
                }
                (false, true) => Some(Change::Reactivate { user, key }),
                _ => None,
            }
        };
        // A key of a fix that was deleted since: the write fails, so that no undo claims to have given it back.
        let is_there = |then: &Key| from.keys.iter().any(|now| now.id == then.id);
        let lost = to.keys.iter().filter(|then| to.is_to_go(then) && !is_there(then));
        let lost = lost.filter_map(|then| Some(Change::Reactivate { user: user.clone(), key: then.id.clone()? }));
        from.keys.iter().filter_map(change).chain(lost).collect()
    }

    /// Only the keys that the fix deactivated: somebody may have switched off another one since, and for a reason.
    fn lasting(state: &State) -> State {
        State { at: OffsetDateTime::UNIX_EPOCH, ..state.clone() }
    }

    fn restored(before: &State) -> State {
        let gone: Vec<Key> = before.keys.iter().filter(|key| before.is_to_go(key)).cloned().collect();
        if gone.is_empty() { before.clone() } else { State { keys: gone, ..before.clone() } }
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        Self::changes(from, to).iter().filter_map(|change| says::risk(from, change)).collect()
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
