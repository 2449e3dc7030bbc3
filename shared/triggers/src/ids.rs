//! Account ids and regions, checked at the border so that the rest of the program can trust them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Untrusted text as a message may show it: quoted, escaped, and at most 64 characters of it.
pub fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(64).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// A twelve-digit AWS account id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// Takes twelve ASCII digits; otherwise says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self(text.to_owned()));
        }
        let hint = if text.contains("{{") { " (a template that was never filled in?)" } else { "" };
        Err(format!("account id {} is not twelve digits{hint}", shown(text)))
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An AWS region code such as `eu-central-1` or `us-gov-west-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// Takes lower-case words joined by dashes that end in a number (`us-east-1`), the form of every region of every
    /// partition; otherwise says what is wrong with the text. It does not know which regions exist.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split('-').rev();
        let number = words.next().is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
        let words: Vec<&str> = words.collect();
        let named =
            words.len() >= 2 && words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()));
        if number && named && text.len() <= 32 {
            return Ok(Self(text.to_owned()));
        }
        let hint = if text.contains("{{") { " (a template that was never filled in?)" } else { "" };
        Err(format!("region {} is not a region code such as us-east-1{hint}", shown(text)))
    }

    /// The region code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_id {
    ($id:ty) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $id {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }
        impl From<$id> for String {
            fn from(id: $id) -> String {
                id.0
            }
        }
    };
}
text_id!(AccountId);
text_id!(Region);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids() {
        assert!(AccountId::parse("111122223333").is_ok());
        for bad in ["", "11112222333", "1111222233334", "11112222333x", "{{{account_id}}}", "١١١١٢٢٢٢٣٣٣٣"]
        {
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
        let message = AccountId::parse("{{{account_id}}}").unwrap_err();
        assert!(message.contains("never filled in"), "{message}");
    }

    #[test]
    fn regions() {
        for good in ["us-east-1", "eu-central-2", "us-gov-west-1", "us-iso-east-1", "cn-northwest-1", "mx-central-1"] {
            assert!(Region::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "global", "us-east", "us-east-1a", "US-EAST-1", "us--1", "us-east-1/../x", "-east-1", "us-east-"]
        {
            assert!(Region::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shown_is_short_and_escaped() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
        assert!(shown(&"x".repeat(10_000)).len() < 100);
    }
}
