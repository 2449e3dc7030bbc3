//! # s3-weak-encryption: a bucket's default encryption is brought up to its target
//!
//! ## What it looks for
//! A general purpose bucket whose default encryption is weaker than the deployment wants it: SSE-S3 (`AES256`) where
//! the target is SSE-KMS (`aws:kms`, the default) or DSSE-KMS (`aws:kms:dsse`). Every bucket has had SSE-S3 since
//! January 2023, so what is left to look for is who holds the key. Also, if asked for: the key that AWS manages for S3
//! where a key of your own is wanted (`aws_managed_key`), and a key of an account that is not trusted (`key_accounts`):
//! whoever owns a bucket's default key can take every new object away by taking the key away. Where the AWS Config rule
//! that fired lists the keys that it accepts (`kmsKeyArns`), any other is replaced by the region's key if that is
//! listed, and otherwise reported: what an event lists is never written.
//!
//! A bucket whose own default key is disabled, about to be deleted or gone is reported and left alone: what it has
//! encrypted needs that very key.
//!
//! ## Why it matters
//! With SSE-S3 whoever may read an object may read it in clear. With SSE-KMS they need a right to the key too, every
//! use of the key is in CloudTrail, and disabling it closes what it encrypted.
//!
//! ## What it does
//! One `PutBucketEncryption` that keeps the rule as it is (its blocked encryption types above all: the API replaces
//! everything) but for the algorithm, the key and the bucket key. The key is always written as a full ARN, since S3
//! checks none and resolves an alias in the account of whoever writes. Before that, the key is looked at: it must
//! exist, be enabled, symmetric, for encryption, and in the bucket's region and a trusted account. Stronger than the
//! target is fine; `aws:fsx` and `aws:backup` are left alone; a bucket key is switched on for SSE-KMS, and off for
//! DSSE-KMS, which has none.
//!
//! A compliant bucket costs one read, and a look at its key if that is a key of yours. Otherwise the bucket's policy,
//! ACL and replication are read, and the key and its policy, all beside each other; then the encryption again right
//! before the write.
//!
//! Buckets to which S3 server access logs, load balancer access logs or Redshift audit logs are delivered stay on
//! SSE-S3: these logs are delivered to no other, and would stop without a word. Such a bucket is told by its ACL (a
//! grant for S3's log delivery group) and its policy (the services, their older accounts,
//! `AWSLogs/…/elasticloadbalancing` in a resource). Objects that are there already stay as they are; S3 Batch
//! Operations can copy them over themselves.
//!
//! ## What could break
//! - Other accounts and AWS services that use the bucket fail with `AccessDenied` on new objects unless the key's
//!   policy lets them in, and the policy of `aws/s3` never does. That is refused (guards `other-accounts` and
//!   `services`) where the two policies show it, by a rule of thumb that knows no conditions; where it cannot tell, the
//!   plan says so.
//! - Replication skips SSE-KMS objects unless its rules select them: refused (guard `replication`).
//! - Anonymous readers and CloudFront's origin access identities cannot read SSE-KMS objects. Origin access control
//!   can.
//! - Roles of your own account need `kms:GenerateDataKey` and `kms:Decrypt` on a key of yours; that is not looked at.
//! - With a bucket key, KMS sees the bucket's ARN in the encryption context and no longer the object's: conditions on
//!   `kms:EncryptionContext:aws:s3:arn` stop matching, and CloudTrail shows fewer uses of the key.
//!
//! ## Undo
//! Puts the very rules back, and deletes the configuration only if there was none. What was written meanwhile stays
//! encrypted with the key.
//!
//! ## References
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html>
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html>
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html>
//! - AWS Config `S3_DEFAULT_ENCRYPTION_KMS`, `S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED`; Security Hub S3.17, S3.4
//! - 45 CFR 164.308(a)(4)(ii)(A), 164.312(a)(2)(iv), 164.312(c)(1), 164.312(c)(2), 164.312(e)(2)(ii)

mod cloud;
mod keys;
mod policy;
mod rules;
mod state;

pub use cloud::Encryption;
pub use keys::Accounts;
pub use kms::{KeyArn, Keys};
pub use rules::{Rule, Verdict};
pub use state::{Key, Look, State, Surroundings, Wanted};

use remediation::{About, ApiCall, Control, Hindrance, Kind, Risk, Safety, Scope, Setting, Watch};
use s3::BucketName;
use serde::{Deserialize, Serialize};

/// The control; see the crate's page.
#[derive(Debug)]
pub struct WeakEncryption;

/// What an operator can set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// What every bucket's default encryption should be at least.
    pub algorithm: Algorithm,
    /// The key for each region. Where none is set, SSE-KMS uses the key that AWS manages for S3.
    pub keys: Keys,
    /// What to do about a bucket that uses the key that AWS manages for S3.
    pub aws_managed_key: AwsManagedKey,
    /// The accounts besides the bucket's own whose keys are trusted; if there is none, every account's keys are.
    pub key_accounts: Accounts,
}

/// An algorithm of default encryption, in order of strength.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// SSE-S3: S3 holds the keys.
    #[serde(rename = "AES256")]
    Aes256,
    /// SSE-KMS.
    #[default]
    #[serde(rename = "aws:kms")]
    AwsKms,
    /// DSSE-KMS: two layers.
    #[serde(rename = "aws:kms:dsse")]
    AwsKmsDsse,
}

/// What to do about a bucket that uses the key that AWS manages for S3 (`aws/s3`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AwsManagedKey {
    /// It is good enough.
    #[default]
    Accept,
    /// Put the region's key in its place.
    Replace,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `PutBucketEncryption`, which replaces all rules.
    PutBucketEncryption {
        /// The rules that this was decided on.
        instead_of: Vec<Rule>,
        /// The rules.
        rules: Vec<Rule>,
    },
    /// `DeleteBucketEncryption`: only ever as an undo, and only where there was no configuration.
    DeleteBucketEncryption {
        /// The rules that this was decided on.
        instead_of: Vec<Rule>,
    },
}

impl Control for WeakEncryption {
    const ABOUT: About = About {
        id: "s3-weak-encryption",
        title: "brings a bucket's default encryption up to its target",
        never: "stop logs from being delivered",
        resource_type: "AWS::S3::Bucket",
        also: &[],
        scope: Scope::Regional,
        names_account: true,
        safety: Safety::Disruptive,
        exposes: false,
        observes_with: &[
            "s3:GetEncryptionConfiguration",
            "s3:GetBucketPolicy",
            "s3:GetBucketAcl",
            "s3:GetReplicationConfiguration",
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "config:DescribeConfigRules",
        ],
        tags_with: &["s3:GetBucketTagging"],
        lists_with: &["s3:ListAllMyBuckets"],
        fixes_with: &["s3:PutEncryptionConfiguration"],
        undoes_with: &["s3:PutEncryptionConfiguration"],
        allowed_on: &[
            ("s3:", "arn:${AWS::Partition}:s3:::*"),
            ("s3:ListAllMyBuckets", "*"),
            // Keys of other accounts and regions too: a bucket's key may be anybody's. An alias is authorised as its
            // key.
            ("kms:", "arn:${AWS::Partition}:kms:*:*:key/*"),
        ],
        watches: &[Watch {
            source: "aws.s3",
            event_source: "s3.amazonaws.com",
            events: &["CreateBucket", "DeleteBucketEncryption", "PutBucketEncryption"],
        }],
        incidents: &[],
        action: None,
        config_rules: &["S3_DEFAULT_ENCRYPTION_KMS", "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED"],
        security_hub: &["S3.17", "S3.4"],
        citations: &[
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.312(a)(2)(iv)",
            "45 CFR 164.312(c)(1)",
            "45 CFR 164.312(c)(2)",
            "45 CFR 164.312(e)(2)(ii)",
        ],
        sweeps: Some("rate(1 day)"),
        settings: &[
            Setting {
                field: "algorithm",
                parameter: "S3EncryptionAlgorithm",
                description: "What every bucket's default encryption should be at least. Stronger is left as it is.",
                kind: Kind::Choice(&["AES256", "aws:kms", "aws:kms:dsse"]),
                default: "aws:kms",
            },
            Setting {
                field: "keys",
                parameter: "S3EncryptionKeys",
                description: "The KMS key for each region (us-east-1=arn:aws:kms:us-east-1:111122223333:key/ID,eu-west-1=...). Where none is set, the key that AWS manages for S3, which no other account can ever use.",
                kind: Kind::Text(
                    "^([a-z0-9-]+=arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+(, *[a-z0-9-]+=arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)*)?$",
                ),
                default: "",
            },
            Setting {
                field: "aws_managed_key",
                parameter: "S3AwsManagedKey",
                description: "A bucket that uses the key that AWS manages for S3. accept: good enough. replace: put the region's key in its place.",
                kind: Kind::Choice(&["accept", "replace"]),
                default: "accept",
            },
            Setting {
                field: "key_accounts",
                parameter: "S3KeyAccounts",
                description: "Accounts besides the bucket's own whose keys are trusted (by commas). Empty: every account's keys are, and a foreign one is only reported.",
                kind: Kind::Text("^([0-9]{12}(, *[0-9]{12})*)?$"),
                default: "",
            },
        ],
    };

    type Target = BucketName;
    type Parameters = Parameters;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<BucketName, String> {
        BucketName::parse(name)
    }

    /// With a target of AES256 these calls leave no drift, and what is announced in vain costs a few more reads.
    fn announces_drift(call: &ApiCall) -> bool {
        match call.event_name.as_str() {
            "DeleteBucketEncryption" => true,
            "PutBucketEncryption" => {
                let rules = call.parameters.pointer("/ServerSideEncryptionConfiguration/Rule");
                // CloudTrail makes a list of what is there more than once.
                let rules =
                    rules.map_or_else(Vec::new, |rules| rules.as_array().map_or(vec![rules], |l| l.iter().collect()));
                let algorithm = "/ApplyServerSideEncryptionByDefault/SSEAlgorithm";
                rules.iter().any(|rule| rule.pointer(algorithm).is_some_and(|algorithm| algorithm == "AES256"))
            }
            _ => false,
        }
    }

    fn desired(state: &State) -> State {
        State { rules: state.settled(), ..state.clone() }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        let instead_of = from.rules.clone();
        if from.rules == to.rules {
            vec![]
        } else if to.rules.is_empty() {
            vec![Change::DeleteBucketEncryption { instead_of }]
        } else {
            vec![Change::PutBucketEncryption { instead_of, rules: to.rules.clone() }]
        }
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        state::risks(from, to)
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        state.hindrance()
    }

    fn notes(state: &State) -> Vec<String> {
        state.notes()
    }
}

#[cfg(test)]
mod tests;
