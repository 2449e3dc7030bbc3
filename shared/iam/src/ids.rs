//! Names and ids of users and access keys.

use remediation::shown;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of an IAM user: `alice`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Takes a user's name: letters, digits and `_+=,.@-`, as every IAM call takes it; otherwise says what is wrong. New
    /// names have at most 64 characters, but the calls take 128, and there may be old ones.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html>
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{} is no name of an IAM user: {why}", shown(text)));
        if text.contains("{{") {
            return wrong("a template that was never filled in?");
        }
        if !(1..=128).contains(&text.len()) {
            return wrong("it must have 1 to 128 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)) {
            return wrong("it must consist of letters, digits and _+=,.@-");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The unique id of an IAM user: `AIDAEXAMPLEEXAMPLE000`. It outlives a change of name, and no call takes it.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl UserId {
    /// Takes `AIDA`, then capitals and digits, 16 to 128 characters in all; otherwise says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if is_unique(text, "AIDA") {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{} is no unique id of an IAM user: AIDA, then capitals and digits", shown(text)))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of an access key: `AKIAIOSFODNN7EXAMPLE`, a user's, or `ASIA…`, one session's.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// Takes `AKIA` or `ASIA`, then capitals and digits, 16 to 128 characters in all, which is what IAM's calls take (AWS
    /// gives 20); otherwise says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if is_unique(text, "AKIA") || is_unique(text, "ASIA") {
            return Ok(Self(text.to_owned()));
        }
        let hint = if text.contains("{{") { " (a template that was never filled in?)" } else { "" };
        Err(format!("{} is no access key id: AKIA or ASIA, then capitals and digits{hint}", shown(text)))
    }

    /// Whether it is a session's: given out by STS, ending by itself within 36 hours, and nothing that IAM could
    /// deactivate.
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with("ASIA")
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_unique(text: &str, begins: &str) -> bool {
    (16..=128).contains(&text.len())
        && text.starts_with(begins)
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
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
text_id!(UserName);
text_id!(UserId);
text_id!(AccessKeyId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        let long = "a".repeat(128);
        for good in ["alice", "a", "svc+mail@clinic.example", "a=b,c", "A_b-c.d", "root", "AIDA", &long] {
            assert_eq!(UserName::parse(good).map(String::from), Ok(good.to_owned()), "{good}");
        }
        let long = "a".repeat(129);
        let bad = [
            "",
            " ",
            "alice bob",
            "alice/bob",
            "../alice",
            "alice\n",
            "älice",
            "a:b",
            "a*",
            "<root_account>",
            "{{user}}",
            "a;b",
            "a%2e",
            "a\u{202e}b",
            &long,
        ];
        for bad in bad {
            assert!(UserName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(UserName::parse("{{{user}}}").unwrap_err().contains("never filled in"));
    }

    #[test]
    fn unique_ids() {
        assert!(UserId::parse("AIDAEXAMPLEEXAMPLE000").is_ok());
        for bad in ["AIDA", "AIDAexampleexample000", "AROAEXAMPLEEXAMPLE000", "AIDAEXAMPLEEXAMPLE00/", "alice", ""] {
            assert!(UserId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn key_ids() {
        assert_eq!(AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").map(|key| key.is_temporary()), Ok(false));
        assert_eq!(AccessKeyId::parse("ASIAIOSFODNN7EXAMPLE").map(|key| key.is_temporary()), Ok(true));
        for bad in [
            "",
            "AKIA",
            "AKIAIOSFODNN7EXAMPL*",
            "akiaiosfodnn7example",
            "AKIA IOSFODNN7EXAMPLE",
            "ABIAIOSFODNN7EXAMPLE",
            "GeneratedFindingAccessKeyId",
            "AKIA{{key}}XXXXXXXXXX",
            "AKIAIOSFODNN7EXAMPLE\n",
        ] {
            assert!(AccessKeyId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn they_are_checked_on_their_way_back_from_a_record() {
        assert!(serde_json::from_str::<UserName>("\"alice/../bob\"").is_err());
        assert!(serde_json::from_str::<AccessKeyId>("\"AKIA\"").is_err());
        assert_eq!(serde_json::to_string(&UserName::parse("alice").unwrap()).unwrap(), "\"alice\"");
    }
}
