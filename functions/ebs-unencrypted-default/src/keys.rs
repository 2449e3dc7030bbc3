//! KMS keys: what EC2 calls the default key, and whether a key can encrypt a volume.

use remediation::shown;
use serde::{Deserialize, Serialize};

/// What EC2 calls the key that AWS manages for EBS.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
const MANAGED: &str = "alias/aws/ebs";

/// Whether EC2's name for a default key means the one that AWS manages.
pub fn is_managed(key: &str) -> bool {
    key == MANAGED || (key.starts_with("arn:") && key.ends_with(":alias/aws/ebs"))
}

/// Whether two names mean the same key: EC2 takes a bare id as well as an ARN.
pub fn same(a: &str, b: &str) -> bool {
    let id = |key: &str| key.rsplit_once(":key/").map_or(key, |(_, id)| id).to_owned();
    let both_arns = a.starts_with("arn:") && b.starts_with("arn:");
    a == b || (is_managed(a) && is_managed(b)) || (!both_arns && id(a) == id(b))
}

/// A key as a message may show it: a whole ARN is longer than [`shown`] lets through.
pub fn short(key: &str) -> String {
    shown(key.rsplit_once(":key/").map_or(key, |(_, id)| id))
}

/// What KMS says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The key is there.
    Found {
        /// `Enabled`, `Disabled`, `PendingDeletion` …
        state: String,
        /// `ENCRYPT_DECRYPT`, `SIGN_VERIFY` …
        usage: String,
        /// `SYMMETRIC_DEFAULT`, `RSA_2048` …
        spec: String,
    },
    /// There is no such key.
    Missing,
    /// We may not look at it.
    Unreadable,
}

impl Seen {
    /// Why no volume can be encrypted with the key, if that is known.
    /// <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
    pub fn flaw(&self) -> Option<String> {
        match self {
            Self::Missing => Some("does not exist".to_owned()),
            Self::Found { state, .. } if state != "Enabled" => Some(format!("is in the state {}", shown(state))),
            Self::Found { usage, .. } if usage != "ENCRYPT_DECRYPT" => Some(format!("is for {}", shown(usage))),
            // EBS does not support asymmetric keys, and EC2 finds out only after it has said yes.
            Self::Found { spec, .. } if spec != "SYMMETRIC_DEFAULT" => {
                Some(format!("is no symmetric key ({})", shown(spec)))
            }
            Self::Found { .. } | Self::Unreadable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn names_of_the_same_key() {
        let id = KEY.rsplit('/').next().unwrap();
        let managed = "arn:aws:kms:us-east-1:111122223333:alias/aws/ebs";
        for (a, b, alike) in [
            (KEY, KEY, true),
            (KEY, id, true),
            (id, KEY, true),
            (MANAGED, managed, true),
            (KEY, &KEY.replace("1234abcd", "5678abcd"), false),
            // A multi-Region key has one id in all its regions, and another account can have a key of any id.
            (KEY, &KEY.replace("us-east-1", "eu-west-1"), false),
            (KEY, &KEY.replace("111122223333", "444455556666"), false),
            (KEY, MANAGED, false),
            (managed, "arn:aws:kms:us-east-1:111122223333:alias/aws/ebs2", false),
            ("alias/aws/ebs", "alias/phi", false),
        ] {
            assert_eq!(same(a, b), alike, "{a} {b}");
        }
        assert!(!is_managed("alias/not/aws/ebs") && !is_managed("x:alias/aws/ebs") && !is_managed(KEY));
    }

    #[test]
    fn what_keeps_a_key_from_encrypting() {
        let found = |state: &str, usage: &str, spec: &str| Seen::Found {
            state: state.to_owned(),
            usage: usage.to_owned(),
            spec: spec.to_owned(),
        };
        assert_eq!(found("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT").flaw(), None);
        for (seen, says) in [
            (found("Disabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"), "Disabled"),
            (found("PendingDeletion", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"), "PendingDeletion"),
            (found("Enabled", "SIGN_VERIFY", "RSA_2048"), "SIGN_VERIFY"),
            (found("Enabled", "ENCRYPT_DECRYPT", "RSA_2048"), "no symmetric key"),
            (found("Enabled", "GENERATE_VERIFY_MAC", "HMAC_256"), "GENERATE_VERIFY_MAC"),
            (found("", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"), "state"),
            (Seen::Missing, "does not exist"),
        ] {
            let flaw = seen.flaw().unwrap();
            assert!(flaw.contains(says), "{seen:?}: {flaw}");
        }
        assert_eq!(Seen::Unreadable.flaw(), None, "what was not seen is not known to be bad");
    }
}
