//! The account, as the resource whose setting it is.

use remediation::{AccountId, shown};

/// The account that a text means: twelve digits, AWS Config's and Security Hub's `AWS::::Account:111122223333`, or the
/// ARN of the account's root. Otherwise why it means none.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html>
pub fn parse(text: &str) -> Result<AccountId, String> {
    let id = match text.split(':').collect::<Vec<_>>().as_slice() {
        ["AWS", "", "", "", "Account", id] | ["arn", _, "iam", "", id, "root"] => id,
        ["arn", ..] => return Err(format!("{} is the ARN of something else than an account", shown(text))),
        _ => text,
    };
    AccountId::parse(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_account() {
        for good in [
            "111122223333",
            "AWS::::Account:111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws-us-gov:iam::111122223333:root",
        ] {
            assert_eq!(parse(good).unwrap().as_str(), "111122223333", "{good}");
        }
    }

    #[test]
    fn nothing_else() {
        for bad in [
            "",
            "11112222333",
            "1111222233334",
            " 111122223333",
            "111122223333\n",
            "AWS::::Account:",
            "AWS::::Account:x11122223333",
            "AWS::::Account:111122223333:x",
            "AWS::EC2::Instance:111122223333",
            "aws::::account:111122223333",
            "arn:aws:iam::111122223333:user/root",
            "arn:aws:iam::111122223333:root:x",
            "arn:aws:iam:us-east-1:111122223333:root",
            "arn:aws:sts::111122223333:root",
            "{{{account_id}}}",
            "١١١١٢٢٢٢٣٣٣٣",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("AWS::::Account:{{{account_id}}}").unwrap_err().contains("never filled in"));
    }
}
