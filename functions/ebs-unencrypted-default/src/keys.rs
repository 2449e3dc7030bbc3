//! KMS keys: what an operator may set, what EC2 calls the default key, and whether a key can encrypt a volume.

use remediation::{Region, shown};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What EC2 calls the key that AWS manages for EBS.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
const MANAGED: &str = "alias/aws/ebs";

/// The full ARN of a KMS key: `arn:aws:kms:us-east-1:111122223333:key/…`.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyArn {
    text: String,
    region: Region,
}

impl KeyArn {
    /// Takes the full ARN of a key, in any partition; otherwise says what is wrong with the text. An alias is refused:
    /// it can be pointed at another key without anybody touching the default, and then the two would never compare
    /// alike.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{} is not the ARN of a KMS key: {why}", shown(text)));
        let [arn, partition, service, region, account, key] = text.split(':').collect::<Vec<_>>()[..] else {
            return wrong("it must be like arn:aws:kms:us-east-1:111122223333:key/…");
        };
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if arn != "arn" || service != "kms" || !partition.starts_with("aws") || !plain(partition) {
            return wrong("it must be like arn:aws:kms:us-east-1:111122223333:key/…");
        }
        let id = match key.split_once('/') {
            Some(("key", id)) => id,
            Some(("alias", _)) => return wrong("it is an alias; name the key itself"),
            _ => return wrong("it must end in key/ and the key's id"),
        };
        if !(1..=128).contains(&id.len()) || !plain(id) {
            return wrong("the key's id must consist of letters, digits and dashes");
        }
        remediation::AccountId::parse(account)?;
        Ok(Self { text: text.to_owned(), region: Region::parse(region)? })
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for KeyArn {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<KeyArn> for String {
    fn from(key: KeyArn) -> Self {
        key.text
    }
}

/// A key for each region: `us-east-1=arn:aws:kms:us-east-1:…:key/…,eu-west-1=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Keys(Vec<KeyArn>);

impl Keys {
    /// The key of a region, if one is set.
    pub fn of(&self, region: &Region) -> Option<&KeyArn> {
        self.0.iter().find(|key| key.region == *region)
    }
}

impl TryFrom<String> for Keys {
    type Error = String;
    /// What is wrong with a pair is said when the function starts: EC2 itself looks at a key only after it has said
    /// yes.
    fn try_from(text: String) -> Result<Self, String> {
        let mut keys = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((region, key)) = pair.split_once('=') else {
                return Err(format!("{} is not like us-east-1=arn:aws:kms:us-east-1:…:key/…", shown(pair)));
            };
            let (region, key) = (Region::parse(region.trim())?, KeyArn::parse(key.trim())?);
            if key.region != region {
                return Err(format!("the key for {region} is in {}: volumes need a key in their region", key.region));
            }
            if keys.of(&region).is_some() {
                return Err(format!("{region} has two keys"));
            }
            keys.0.push(key);
        }
        Ok(keys)
    }
}

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
    fn key_arns() {
        for good in [
            KEY,
            "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            "arn:aws-cn:kms:cn-north-1:111122223333:key/a",
        ] {
            assert_eq!(KeyArn::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/aws/ebs",
            "arn:aws:kms:us-east-1:111122223333:alias/phi",
            "arn:aws:kms:us-east-1:111122223333:key/",
            "arn:aws:kms:us-east-1:111122223333:key/a/b",
            "arn:aws:kms:us-east-1:111122223333:key/a b",
            "arn:aws:kms:us-east-1:1111:key/a",
            "arn:aws:kms::111122223333:key/a",
            "arn:aws:s3:us-east-1:111122223333:key/a",
            "arn:evil:kms:us-east-1:111122223333:key/a",
            "arn:aws:kms:us-east-1:111122223333:key/a:b",
            "{{key}}",
        ] {
            assert!(KeyArn::parse(bad).is_err(), "{bad}");
        }
        let alias = KeyArn::parse("arn:aws:kms:us-east-1:111122223333:alias/phi").unwrap_err();
        assert!(alias.contains("name the key itself"), "{alias}");
    }

    #[test]
    fn a_key_for_each_region() {
        let keys = |text: &str| Keys::try_from(text.to_owned());
        let region = |text| Region::parse(text).unwrap();
        let both = format!("us-east-1={KEY}, eu-west-1={},", KEY.replace("us-east-1", "eu-west-1"));
        let both = keys(&both).unwrap();
        assert_eq!(both.of(&region("us-east-1")).unwrap().as_str(), KEY);
        assert!(both.of(&region("eu-west-1")).is_some() && both.of(&region("eu-west-2")).is_none());
        assert_eq!(keys("").unwrap(), Keys::default());
        for (bad, says) in [
            (format!("eu-west-1={KEY}"), "a key in their region"),
            (format!("us-east-1={KEY},us-east-1={KEY}"), "two keys"),
            (KEY.to_owned(), "is not like us-east-1=arn"),
            ("us-east-1=alias/phi".to_owned(), "is not the ARN of a KMS key"),
            (format!("everywhere={KEY}"), "is not a region code"),
        ] {
            let error = keys(&bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

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
