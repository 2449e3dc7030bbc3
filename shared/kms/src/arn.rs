//! The ARNs of keys.

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
    /// it can be pointed at another key without anybody touching what names it, and S3 resolves one in the account of
    /// whoever writes an object, which may be another than the bucket's.
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
            "alias/aws/ebs",
            "arn:aws:kms:everywhere:111122223333:key/a",
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
    fn a_record_cannot_smuggle_in_another_text() {
        assert!(serde_json::from_str::<KeyArn>(&format!("{KEY:?}")).is_ok());
        assert!(serde_json::from_str::<KeyArn>(r#""alias/phi""#).is_err());
        assert_eq!(serde_json::to_value(KeyArn::parse(KEY).unwrap()).unwrap(), KEY);
    }
}
