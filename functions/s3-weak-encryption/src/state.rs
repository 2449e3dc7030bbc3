//! What was read of a bucket, and what follows from it.

use crate::keys::Named;
use crate::rules::{Rule, Verdict};
use crate::{Algorithm, AwsManagedKey};
use kms::KeyArn;
use remediation::{AccountId, Hindrance, Region, Risk};
use s3::Names;
use serde::{Deserialize, Serialize};

/// What was read of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The rules; none if the bucket has no configuration, which S3 has not let happen since January 2023.
    pub rules: Vec<Rule>,
    /// Names of elements in S3's answer that this program does not know: a write would lose them.
    pub unknown: Vec<String>,
    /// The keys that the rules name, in their order, without the one that AWS manages.
    pub keys: Vec<Look>,
    /// What the bucket ought to have.
    pub wanted: Wanted,
    /// What a change would touch; read only where the rules fall short.
    pub surroundings: Option<Surroundings>,
}

/// What a bucket ought to have: the parameters, as far as they are about its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The bucket's account.
    pub account: AccountId,
    /// The bucket's region.
    pub region: Region,
    /// The least algorithm.
    pub algorithm: Algorithm,
    /// The region's key; none is the key that AWS manages for S3.
    pub key: Option<KeyArn>,
    /// Whether a bucket may keep the key that AWS manages for S3.
    pub aws_managed_key: AwsManagedKey,
    /// The accounts besides the bucket's own whose keys are trusted; if there is none, every account's keys are.
    pub key_accounts: Vec<AccountId>,
    /// The keys that the AWS Config rule which fired accepts; if there is none, it accepts all, or no rule fired.
    pub rule_keys: Vec<KeyArn>,
}

impl Wanted {
    /// Whether keys of an account are good enough.
    pub fn trusts(&self, account: &AccountId) -> bool {
        self.key_accounts.is_empty() || *account == self.account || self.key_accounts.contains(account)
    }
}

/// A look at a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The key, as the rule or the setting names it.
    pub key: String,
    /// What was seen.
    pub seen: Seen,
}

/// What a look at a key showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The key.
    Key(Key),
    /// There is no such key.
    Missing,
    /// We may not look at it.
    Denied,
}

/// A key's facts, in KMS's own words.
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its full ARN, whatever name it was asked for by.
    pub arn: Option<KeyArn>,
    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub state: String,
    /// `ENCRYPT_DECRYPT`, `SIGN_VERIFY`, …
    pub usage: String,
    /// `SYMMETRIC_DEFAULT`, `RSA_2048`, …
    pub spec: String,
    /// It is one that AWS manages.
    pub aws_managed: bool,
    /// It has, or can have, replicas in other regions.
    pub multi_region: bool,
}

impl Look {
    /// The key's full ARN, as far as it was seen.
    pub const fn arn(&self) -> Option<&KeyArn> {
        match &self.seen {
            Seen::Key(key) => key.arn.as_ref(),
            Seen::Missing | Seen::Denied => None,
        }
    }

    /// Why S3 could not encrypt with the key, if it could not.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>
    pub fn trouble(&self) -> Option<String> {
        match &self.seen {
            Seen::Denied => Some("our role may not look at it (kms:DescribeKey)".to_owned()),
            Seen::Missing => Some("there is no such key".to_owned()),
            Seen::Key(key) if key.state != "Enabled" => Some(format!("its state is {}", key.state)),
            Seen::Key(key) if key.usage != "ENCRYPT_DECRYPT" => Some(format!("it is for {}", key.usage)),
            Seen::Key(key) if key.spec != "SYMMETRIC_DEFAULT" => {
                Some(format!("it is of the kind {}, and S3 needs a symmetric one", key.spec))
            }
            Seen::Key(_) => None,
        }
    }
}

/// What a change would touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Kinds of logs that are delivered to the bucket, and only to one with SSE-S3.
    pub logs: Names,
    /// The key that would be written; none is the one that AWS manages.
    pub key: Option<Look>,
    /// AWS services that use the bucket and that the key's policy does not let in.
    pub services: Names,
    /// Others that use the bucket from outside the account, likewise.
    pub outsiders: Names,
    /// Of whom or what that could not be told.
    pub unclear: Names,
    /// Some replication rule of the bucket skips objects that are encrypted with KMS.
    pub replication_skips_kms: bool,
}

impl State {
    /// Whether the rules alone show that nothing is to be done.
    pub fn is_fine(&self) -> bool {
        self.judged().iter().all(|(_, verdict)| *verdict == Verdict::Fine)
    }

    /// Each rule and what is to become of it. Where there is none, one is wanted that sets a default.
    fn judged(&self) -> Vec<(Rule, Verdict)> {
        let absent = [Rule::default()];
        let rules = if self.rules.is_empty() { &absent } else { self.rules.as_slice() };
        rules.iter().map(|rule| (rule.clone(), rule.judge(self))).collect()
    }

    /// The rules as they ought to be; as they are, where they must be left alone.
    pub fn settled(&self) -> Vec<Rule> {
        let judged = self.judged();
        let stuck = judged.iter().any(|(_, verdict)| matches!(verdict, Verdict::Stuck(_)));
        if self.is_fine() || stuck || !self.unknown.is_empty() {
            return self.rules.clone();
        }
        let settled = judged.into_iter().map(|(rule, verdict)| match verdict {
            Verdict::Weak(stronger) => stronger,
            _ => rule,
        });
        settled.collect()
    }

    /// What stands in the way.
    pub fn hindrance(&self) -> Option<Hindrance> {
        let judged = self.judged();
        if !self.is_fine() && !self.unknown.is_empty() {
            let says = format!(
                "the bucket's default encryption is weak, but has settings that this control does not know ({}) and \
                 would lose; \
                 set it yourself",
                self.unknown.join(", ")
            );
            return Some(Hindrance { id: "not-understood", says });
        }
        let stuck = judged.into_iter().find_map(|(_, verdict)| match verdict {
            Verdict::Stuck(hindrance) => Some(hindrance),
            _ => None,
        });
        stuck.or_else(|| self.broken_key()).or_else(|| self.unlisted_key())
    }

    /// A key that the Config rule does not accept, and that there is no better one for.
    fn unlisted_key(&self) -> Option<Hindrance> {
        let listed = |key: &KeyArn| self.wanted.rule_keys.contains(key);
        let resolved = |name: &String| self.keys.iter().find(|look| look.key == *name).and_then(Look::arn);
        let unlisted = |named: &Named| match named {
            Named::AwsManaged => true,
            Named::Key(key) => !listed(key),
            Named::Loosely(name) => !resolved(name).is_some_and(listed),
        };
        if self.wanted.rule_keys.is_empty()
            || !self.settled().iter().filter_map(Rule::named).any(|named| unlisted(&named))
        {
            return None;
        }
        let says = format!(
            "the AWS Config rule accepts only keys that it lists, and the bucket's is none of them; set one of them \
             for {} in the \
             setting keys",
            self.wanted.region
        );
        Some(Hindrance { id: "config-rule-keys", says })
    }

    /// A key that the rules keep and that S3 cannot use: every upload that names no encryption of its own fails.
    fn broken_key(&self) -> Option<Hindrance> {
        let kept = self.settled();
        let broken =
            self.keys.iter().filter(|look| kept.iter().any(|rule| rule.key.as_deref() == Some(look.key.as_str())));
        broken.filter(|look| look.seen != Seen::Denied).find_map(|look| {
            let says = format!(
                "uploads to the bucket fail: its default key {} cannot be used ({}); enable it or cancel its deletion, \
                 or set \
                 another, but keep it for what it has encrypted",
                text(&look.key),
                look.trouble()?
            );
            Some(Hindrance { id: "bucket-key-unusable", says })
        })
    }

    /// What a person should know.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(around) = self.surroundings.as_ref().filter(|around| !around.logs.is_empty()) {
            let logs = &around.logs;
            notes.push(if self.rules.iter().any(Rule::needs_a_key) {
                format!(
                    "logs of kinds that are delivered to no bucket with KMS are sent to it, and may be lost: {logs}"
                )
            } else {
                format!(
                    "left on SSE-S3 because logs are delivered to it that are delivered to no bucket with KMS: {logs}"
                )
            });
        }
        if self.settled() != self.rules {
            notes.push(
                "objects that are there already stay as they are; S3 Batch Operations can copy them over themselves"
                    .into(),
            );
        }
        if self.rules.iter().any(Rule::is_theirs) {
            notes.push("another AWS service chose the bucket's default encryption, which was left alone".into());
        }
        for named in self.rules.iter().filter_map(Rule::named) {
            if let Named::Loosely(name) = &named {
                notes.push(format!(
                    "the default key is named as {}, which KMS resolves in the account of whoever writes; the full ARN \
                     would not be",
                    text(name)
                ));
            }
            if let Some(account) = named.account().filter(|account| *account != self.wanted.account) {
                notes.push(format!(
                    "the default key belongs to account {account}: its owner can take every new object away"
                ));
            }
        }
        for look in self.keys.iter().filter(|look| look.seen == Seen::Denied) {
            notes.push(format!(
                "whether the default key {} can be used is unknown: our role may not look at it (kms:DescribeKey)",
                text(&look.key)
            ));
        }
        let key = self.surroundings.as_ref().and_then(|around| around.key.as_ref());
        if let Some(Look { key: name, seen: Seen::Key(Key { multi_region: true, .. }) }) = key {
            notes.push(format!("the key {} is a multi-Region key: its replicas decrypt what it encrypts", text(name)));
        }
        notes
    }
}

/// What the step from one state to another would break.
pub fn risks(from: &State, to: &State) -> Vec<Risk> {
    let mut old: Vec<Named> = from.rules.iter().filter_map(Rule::named).collect();
    // A key that was named by an alias and is now named whole is the same key.
    old.extend(from.keys.iter().filter_map(Look::arn).cloned().map(Named::Key));
    let new: Vec<Named> = to.rules.iter().filter_map(Rule::named).filter(|named| !old.contains(named)).collect();
    let (Some(around), false) = (&from.surroundings, new.is_empty()) else { return vec![] };
    let mut risks = Vec::new();
    let mut risk = |there: bool, id, refuses, says: String| {
        if there {
            risks.push(Risk { id, says, refuses });
        }
    };
    risk(
        !around.services.is_empty(),
        "services",
        true,
        format!(
            "the key's policy does not let in AWS services that use the bucket; what they deliver or serve may stop: \
             {}",
            around.services
        ),
    );
    risk(
        !around.outsiders.is_empty(),
        "other-accounts",
        true,
        format!(
            "the key does not let in whoever uses the bucket from outside the account; new objects would be closed to: \
             {}",
            around.outsiders
        ),
    );
    risk(
        around.replication_skips_kms && old.is_empty(),
        "replication",
        true,
        "replication rules of the bucket skip objects encrypted with KMS (SourceSelectionCriteria has no \
         SseKmsEncryptedObjects): \
         new objects would not be replicated"
            .to_owned(),
    );
    risk(
        !around.unclear.is_empty(),
        "unclear",
        false,
        format!("whether the key lets in whoever uses the bucket could not be told for: {}", around.unclear),
    );
    if new.contains(&Named::AwsManaged) {
        risk(
            true,
            "aws-managed-key",
            false,
            "the key that AWS manages for S3 works for this account alone: no other account could ever read what is \
             written with it"
                .to_owned(),
        );
    } else {
        risk(
            true,
            "own-roles",
            false,
            "roles of the account that write or read need kms:GenerateDataKey and kms:Decrypt on the key; that was not \
             looked at"
                .to_owned(),
        );
    }
    risks
}

/// A key's name as a message may show it: an ARN whole, anything odd cut short and escaped.
fn text(key: &str) -> String {
    KeyArn::parse(key).map_or_else(|_| remediation::shown(key), |key| key.to_string())
}
