//! One rule of a bucket's default encryption, and what it ought to be.

use crate::keys::Named;
use crate::state::{Look, Seen, State, Wanted};
use crate::{Algorithm, AwsManagedKey};
use kms::KeyArn;
use remediation::{AccountId, Hindrance, shown};
use serde::{Deserialize, Serialize};

/// A rule, with everything that the API knows of it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionRule.html>
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `AES256`, `aws:kms`, …; none if the rule sets no default.
    pub algorithm: Option<String>,
    /// The key, as the rule names it.
    pub key: Option<String>,
    /// Whether S3 uses a bucket key; one that does not say does not.
    pub bucket_key: bool,
    /// The encryption types that writers may not use; none if the rule does not say.
    pub blocked: Option<Vec<String>>,
}

/// What is to become of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it ought to be.
    Fine,
    /// It ought to be this.
    Weak(Rule),
    /// It ought to be something else, and must be left as it is.
    Stuck(Hindrance),
}

/// How strong an algorithm is.
enum Strength {
    /// No default at all.
    None,
    /// One of ours.
    Of(Algorithm),
    /// What S3 says of buckets that other services keep (`aws:fsx`, `aws:backup`): theirs to choose.
    Theirs,
    /// One that is younger than this program.
    Unknown,
}

impl Algorithm {
    /// Its name in S3's API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::AwsKms => "aws:kms",
            Self::AwsKmsDsse => "aws:kms:dsse",
        }
    }
}

impl Rule {
    fn strength(&self) -> Strength {
        let ours = [Algorithm::Aes256, Algorithm::AwsKms, Algorithm::AwsKmsDsse];
        match self.algorithm.as_deref() {
            None => Strength::None,
            Some("aws:fsx" | "aws:backup") => Strength::Theirs,
            Some(name) => ours.into_iter().find(|a| a.name() == name).map_or(Strength::Unknown, Strength::Of),
        }
    }

    /// Whether what is written by default needs a KMS key.
    pub fn needs_a_key(&self) -> bool {
        matches!(self.strength(), Strength::Of(Algorithm::AwsKms | Algorithm::AwsKmsDsse))
    }

    /// The key that it names, if it needs one.
    pub fn named(&self) -> Option<Named> {
        self.needs_a_key().then(|| Named::of(self.key.as_deref()))
    }

    /// Whether another service than S3 chose its algorithm.
    pub fn is_theirs(&self) -> bool {
        matches!(self.strength(), Strength::Theirs)
    }

    /// What is to become of the rule in a bucket of this state.
    pub fn judge(&self, state: &State) -> Verdict {
        let wanted = &state.wanted;
        let takes_logs = state.surroundings.as_ref().is_some_and(|around| !around.logs.is_empty());
        let least = if takes_logs { Algorithm::Aes256 } else { wanted.algorithm };
        let (have, poor_key) = match self.strength() {
            Strength::Theirs => return Verdict::Fine,
            Strength::Unknown => return stuck("not-understood", self.unknown()),
            Strength::None => (None, None),
            Strength::Of(Algorithm::Aes256) => (Some(Algorithm::Aes256), None),
            Strength::Of(kms) => (Some(kms), poor(&self.meant(state), wanted)),
        };
        match (have, poor_key) {
            (Some(have), None) if have >= least => Verdict::Fine,
            // To put SSE-S3 in the place of KMS would be to loosen.
            (_, Some(Poor::Replaceable)) if least == Algorithm::Aes256 => Verdict::Fine,
            (_, Some(Poor::Foreign(account))) if least == Algorithm::Aes256 => stuck("foreign-key", foreign(&account)),
            (have, poor_key) => {
                let algorithm = have.map_or(least, |have| have.max(least));
                self.strengthened(algorithm, poor_key.is_some(), state)
            }
        }
    }

    /// The key that it means: one named loosely is the key that was seen under that name, and is judged as that key.
    fn meant(&self, state: &State) -> Named {
        let named = Named::of(self.key.as_deref());
        let Named::Loosely(name) = &named else { return named };
        let seen = state.keys.iter().find(|look| look.key == *name).and_then(Look::arn).cloned();
        seen.map_or(named, Named::Key)
    }

    /// The rule with this algorithm, and with the key of the region unless it has a good one of its own.
    fn strengthened(&self, algorithm: Algorithm, poor_key: bool, state: &State) -> Verdict {
        let name = Some(algorithm.name().to_owned());
        let rule = Self { algorithm: name, ..self.clone() };
        if algorithm == Algorithm::Aes256 {
            return Verdict::Weak(Self { key: None, ..rule });
        }
        let Some(around) = &state.surroundings else {
            return stuck("unread", "what KMS would break was not read; nothing is written blindly".to_owned());
        };
        // DSSE-KMS has no bucket keys. https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingDSSEncryption.html
        let rule = Self { bucket_key: algorithm == Algorithm::AwsKms, ..rule };
        if self.needs_a_key() && !poor_key {
            return match self.own_key(state) {
                Ok(key) => Verdict::Weak(Self { key, ..rule }),
                Err(hindrance) => Verdict::Stuck(hindrance),
            };
        }
        let wanted = &state.wanted;
        let Some(key) = &wanted.key else {
            if wanted.aws_managed_key == AwsManagedKey::Replace {
                let says = format!(
                    "no key is set for {}, and the one that AWS manages is not to be used; add the region to the \
                     setting keys",
                    wanted.region
                );
                return stuck("no-key", says);
            }
            return Verdict::Weak(Self { key: None, ..rule });
        };
        let trouble = if wanted.trusts(key.account()) {
            around.key.as_ref().map_or_else(|| Some("it was not looked at".to_owned()), Look::trouble)
        } else {
            Some(format!("account {} is not trusted with keys", key.account()))
        };
        match trouble {
            Some(trouble) => stuck("key-unusable", format!("the key {key} cannot be written: {trouble}")),
            None => Verdict::Weak(Self { key: Some(key.to_string()), ..rule }),
        }
    }

    /// The key that the rule has, named whole: an alias is not written again.
    fn own_key(&self, state: &State) -> Result<Option<String>, Hindrance> {
        match Named::of(self.key.as_deref()) {
            Named::AwsManaged => Ok(None),
            Named::Key(key) => Ok(Some(key.to_string())),
            Named::Loosely(name) => {
                let look = state.keys.iter().find(|look| look.key == name);
                let denied = look.is_some_and(|look| look.seen == Seen::Denied);
                let why = if denied { ": our role may not look at it (kms:DescribeKey)" } else { "" };
                let says = || {
                    let name = shown(&name);
                    format!("the default key is named as {name}, and which key that is could not be seen{why}")
                };
                let arn = look.and_then(Look::arn).ok_or_else(|| Hindrance { id: "key-unusable", says: says() })?;
                Ok(Some(arn.to_string()))
            }
        }
    }

    fn unknown(&self) -> String {
        let name = shown(self.algorithm.as_deref().unwrap_or_default());
        format!("the bucket's default encryption is {name}, which this control does not know; it was left alone")
    }
}

/// Why a key is not good enough.
enum Poor {
    /// There is a better one to put in its place.
    Replaceable,
    /// It belongs to an account that is not trusted.
    Foreign(AccountId),
}

fn poor(named: &Named, wanted: &Wanted) -> Option<Poor> {
    let listed = |key: &KeyArn| wanted.rule_keys.is_empty() || wanted.rule_keys.contains(key);
    // What the Config rule lists says which keys are poor; what is written is only ever the operator's own setting.
    let better = wanted.key.as_ref().is_some_and(listed);
    match named {
        _ if named.account().is_some_and(|account| !wanted.trusts(&account)) => named.account().map(Poor::Foreign),
        Named::AwsManaged if wanted.aws_managed_key == AwsManagedKey::Replace => Some(Poor::Replaceable),
        Named::AwsManaged if better && !wanted.rule_keys.is_empty() => Some(Poor::Replaceable),
        Named::Key(key) if better && !listed(key) => Some(Poor::Replaceable),
        _ => None,
    }
}

fn foreign(account: &AccountId) -> String {
    format!(
        "the bucket's default key belongs to account {account}, which is not trusted with keys; SSE-S3 would be \
         weaker, so set \
         a key yourself"
    )
}

fn stuck(id: &'static str, says: String) -> Verdict {
    Verdict::Stuck(Hindrance { id, says })
}
