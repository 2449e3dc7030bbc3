//! KMS keys: what an operator may set, and what a bucket's rule may name.

use remediation::{AccountId, Region, shown};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The full ARN of a KMS key: `arn:aws:kms:us-east-1:111122223333:key/…`.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyArn {
    text: String,
    region: Region,
    account: AccountId,
}

impl KeyArn {
    /// Takes the full ARN of a key, in any partition; otherwise says what is wrong with the text. An alias is refused:
    /// S3 resolves one in the account of whoever writes an object, which may be another account than the bucket's.
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
        Ok(Self { text: text.to_owned(), region: Region::parse(region)?, account: AccountId::parse(account)? })
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key's region.
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The account that the key belongs to.
    pub const fn account(&self) -> &AccountId {
        &self.account
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
        self.0.iter().find(|key| key.region() == region)
    }
}

impl TryFrom<String> for Keys {
    type Error = String;
    /// What is wrong with a pair is said when the function starts: a key that does not fit its region never would.
    fn try_from(text: String) -> Result<Self, String> {
        let mut keys = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((region, key)) = pair.split_once('=') else {
                return Err(format!("{} is not like us-east-1=arn:aws:kms:us-east-1:…:key/…", shown(pair)));
            };
            let (region, key) = (Region::parse(region.trim())?, KeyArn::parse(key.trim())?);
            if key.region() != &region {
                return Err(format!(
                    "the key for {region} is in {}: a bucket's key must be in its region",
                    key.region()
                ));
            }
            if keys.of(&region).is_some() {
                return Err(format!("{region} has two keys"));
            }
            keys.0.push(key);
        }
        Ok(keys)
    }
}

/// Accounts, by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Accounts(pub Vec<AccountId>);

impl TryFrom<String> for Accounts {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(AccountId::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// The key that a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// None, or the alias of the key that AWS manages for S3: `aws/s3`.
    AwsManaged,
    /// A key, by its full ARN.
    Key(KeyArn),
    /// A key by its bare id or an alias, which KMS resolves in the account of whoever writes an object.
    Loosely(String),
}

impl Named {
    /// What a rule's key id means.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html>
    pub fn of(key: Option<&str>) -> Self {
        let Some(text) = key.filter(|text| !text.is_empty()) else { return Self::AwsManaged };
        if text == "alias/aws/s3" || (text.starts_with("arn:") && text.ends_with(":alias/aws/s3")) {
            return Self::AwsManaged;
        }
        KeyArn::parse(text).map_or_else(|_| Self::Loosely(text.to_owned()), Self::Key)
    }

    /// The account that the key belongs to, as far as the name tells.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Key(key) => Some(key.account().clone()),
            Self::Loosely(text) if text.starts_with("arn:") => {
                text.split(':').nth(4).and_then(|account| AccountId::parse(account).ok())
            }
            Self::AwsManaged | Self::Loosely(_) => None,
        }
    }

    /// What to call `kms:DescribeKey` with, if the text is one that KMS could know: an ARN as it is; an alias or a bare
    /// id made whole for the bucket's own account and region.
    pub fn address(&self, account: &AccountId, region: &Region) -> Option<String> {
        match self {
            Self::AwsManaged => None,
            Self::Key(key) => Some(key.to_string()),
            Self::Loosely(text) => {
                let sound = text.len() <= 512
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b':'));
                let whole = match text.as_str() {
                    arn if arn.starts_with("arn:") => arn.to_owned(),
                    alias if alias.starts_with("alias/") => {
                        format!("arn:{}:kms:{region}:{account}:{alias}", partition(region))
                    }
                    id => format!("arn:{}:kms:{region}:{account}:key/{id}", partition(region)),
                };
                sound.then_some(whole)
            }
        }
    }
}

/// The partition of a region.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
fn partition(region: &Region) -> &'static str {
    const BY_BEGINNING: [(&str, &str); 5] = [
        ("us-gov-", "aws-us-gov"),
        ("cn-", "aws-cn"),
        ("us-isob-", "aws-iso-b"),
        ("us-iso-", "aws-iso"),
        ("eusc-", "aws-eusc"),
    ];
    let known = BY_BEGINNING.iter().find(|(beginning, _)| region.as_str().starts_with(beginning));
    known.map_or("aws", |(_, partition)| partition)
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
            let key = KeyArn::parse(good).unwrap();
            assert_eq!((key.as_str(), key.account().as_str()), (good, "111122223333"));
        }
        for bad in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/phi",
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
            (format!("eu-west-1={KEY}"), "must be in its region"),
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
    fn accounts_by_commas() {
        let accounts = |text: &str| Accounts::try_from(text.to_owned());
        assert_eq!(accounts("111122223333, 444455556666").unwrap().0.len(), 2);
        assert_eq!(accounts("").unwrap().0.len(), 0);
        assert!(accounts("111122223333,x").is_err());
    }

    #[test]
    fn what_a_rule_names() {
        let region = Region::parse("us-gov-west-1").unwrap();
        let account = AccountId::parse("111122223333").unwrap();
        for managed in [None, Some(""), Some("alias/aws/s3"), Some("arn:aws:kms:us-east-1:111122223333:alias/aws/s3")] {
            assert_eq!(Named::of(managed), Named::AwsManaged, "{managed:?}");
        }
        assert_eq!(Named::of(Some(KEY)), Named::Key(KeyArn::parse(KEY).unwrap()));
        for (text, address) in [
            ("alias/phi", Some("arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/phi")),
            ("1234abcd", Some("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd")),
            ("arn:aws:kms:us-east-1:111122223333:alias/phi", Some("arn:aws:kms:us-east-1:111122223333:alias/phi")),
            ("a b", None),
            ("a\nb", None),
        ] {
            let named = Named::of(Some(text));
            assert_eq!(named, Named::Loosely(text.to_owned()));
            assert_eq!(named.address(&account, &region).as_deref(), address, "{text}");
        }
    }
}
