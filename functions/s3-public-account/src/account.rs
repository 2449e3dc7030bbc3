//! The account, as people and events name it.

use remediation::{AccountId, shown};
use std::fmt;

/// An AWS account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account(AccountId);

impl Account {
    /// Takes an account's twelve digits, alone, as Security Hub names an account (`AWS::::Account:111122223333`), or as
    /// the ARN of the account's root (`arn:aws:iam::111122223333:root`); otherwise says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let id = match text.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "iam", "", id, "root"] | ["AWS", "", "", "", "Account", id] => id,
            ["arn", ..] => return Err(format!("{} is the ARN of something else than an account's root", shown(text))),
            _ => text,
        };
        AccountId::parse(id).map(Self)
    }

    /// Its id.
    pub const fn id(&self) -> &AccountId {
        &self.0
    }
}

impl From<AccountId> for Account {
    fn from(id: AccountId) -> Self {
        Self(id)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in [
            "111122223333",
            "AWS::::Account:111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws-us-gov:iam::111122223333:root",
        ] {
            assert_eq!(Account::parse(good).unwrap().to_string(), "111122223333", "{good}");
        }
        for bad in [
            "",
            "*",
            "11112222333",
            "1111222233334",
            " 111122223333",
            "111122223333.evil.example",
            "111122223333/..",
            "AWS::::Account",
            "AWS::::Account:",
            "AWS::::Account:111122223333:x",
            "AWS::S3::Account:111122223333",
            "arn:aws:iam::111122223333:user/root",
            "arn:aws:iam::111122223333:root:x",
            "arn:aws:iam:us-east-1:111122223333:root",
            "arn:aws:s3:::clinic-scans",
            "{{{account_id}}}",
            "١١١١٢٢٢٢٣٣٣٣",
        ] {
            assert!(Account::parse(bad).is_err(), "{bad}");
        }
    }
}
