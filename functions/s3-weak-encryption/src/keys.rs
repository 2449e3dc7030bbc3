//! What a bucket's rule may name as its key, and whose keys are trusted.

use kms::KeyArn;
use remediation::{AccountId, Region};
use serde::Deserialize;

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
