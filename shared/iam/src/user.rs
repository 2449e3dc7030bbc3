//! How events and people name a user.

use crate::ids::{AccessKeyId, UserId, UserName};
use remediation::{AccountId, Resource, shown};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the credential report calls the root user. No user can be called so.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>
pub const ROOT: &str = "<root_account>";

/// A user as an event or a person names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Which one.
    pub who: Who,
    /// The account, where an ARN names one.
    pub account: Option<AccountId>,
}

/// Which user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The one of this name.
    Name(UserName),
    /// The one with this unique id: so AWS Config knows users, and Security Hub where it has no details.
    Id(UserId),
    /// The one whose access key this is.
    Key(AccessKeyId),
    /// The account's root user.
    Root,
}

/// Whose keys they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Owner {
    /// An IAM user.
    User(UserName),
    /// The account's root user.
    Root,
}

impl User {
    /// Takes a user's name, unique id or ARN (`arn:aws:iam::111122223333:user/ward/alice`; also with the id in the place of
    /// the name, as Security Hub has it), the id of one of its keys, or `<root_account>`. Otherwise says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", _, "iam", "", account, "root"] => {
                Ok(Self { who: Who::Root, account: Some(AccountId::parse(account)?) })
            }
            ["arn", _, "iam", "", account, resource] => {
                let Some(("user", name)) = resource.split_once('/') else {
                    return Err(format!("{} is the ARN of something else than a user", shown(text)));
                };
                // A path is slashes and printable characters: https://docs.aws.amazon.com/IAM/latest/APIReference/API_User.html
                if !name.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(format!("{} is no ARN: no path has such characters", shown(text)));
                }
                let name = name.rsplit('/').next().unwrap_or_default();
                Ok(Self { who: Who::parse(name)?, account: Some(AccountId::parse(account)?) })
            }
            ["arn", ..] => Err(format!("{} is the ARN of something else than a user", shown(text))),
            _ => Ok(Self { who: Who::parse(text)?, account: None }),
        }
    }

    /// The user that an event's resource means: by its name, where the event tells it beside the id.
    pub fn of(resource: &Resource) -> Result<Self, String> {
        let by_id = Self::parse(&resource.id);
        if resource.r#type == "AWS::IAM::AccessKey" {
            return match by_id? {
                key @ Self { who: Who::Key(_), .. } => Ok(key),
                _ => Err(format!("{} is no access key id", shown(&resource.id))),
            };
        }
        match resource.name.as_deref().map(UserName::parse) {
            Some(Ok(name)) => Ok(Self { who: Who::Name(name), account: by_id.ok().and_then(|user| user.account) }),
            _ => by_id,
        }
    }
}

impl Who {
    fn parse(text: &str) -> Result<Self, String> {
        if text == ROOT {
            return Ok(Self::Root);
        }
        if let Ok(id) = UserId::parse(text) {
            return Ok(Self::Id(id));
        }
        match AccessKeyId::parse(text) {
            Ok(key) if key.is_temporary() => Err(format!(
                "{} is a session's key: it ends by itself and cannot be deactivated; name the user or role behind it",
                shown(text)
            )),
            Ok(key) => Ok(Self::Key(key)),
            Err(_) => UserName::parse(text).map(Self::Name),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Name(name) => name.fmt(f),
            Who::Id(id) => id.fmt(f),
            Who::Key(key) => key.fmt(f),
            Who::Root => f.write_str(ROOT),
        }
    }
}

impl Owner {
    /// The user; none if it is root.
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Self::User(user) => Some(user),
            Self::Root => None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user().map_or(ROOT, UserName::as_str))
    }
}

impl TryFrom<String> for Owner {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == ROOT { Ok(Self::Root) } else { UserName::parse(&text).map(Self::User) }
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
    const ID: &str = "AIDAEXAMPLEEXAMPLE000";

    fn name(text: &str) -> Who {
        Who::Name(UserName::parse(text).unwrap())
    }

    #[test]
    fn every_spelling_of_a_user() {
        let id = || Who::Id(UserId::parse(ID).unwrap());
        for (text, who, account) in [
            ("alice", name("alice"), None),
            ("root", name("root"), None),
            (ID, id(), None),
            (KEY, Who::Key(AccessKeyId::parse(KEY).unwrap()), None),
            ("<root_account>", Who::Root, None),
            ("arn:aws:iam::111122223333:root", Who::Root, Some("111122223333")),
            ("arn:aws:iam::111122223333:user/alice", name("alice"), Some("111122223333")),
            ("arn:aws-us-gov:iam::111122223333:user/ward/3,a/alice", name("alice"), Some("111122223333")),
            ("arn:aws:iam::111122223333:user/AIDAEXAMPLEEXAMPLE000", id(), Some("111122223333")),
            ("arn:aws:iam::111122223333:user/ward:3/alice", name("alice"), Some("111122223333")),
        ] {
            let user = User::parse(text).unwrap();
            assert_eq!(user.who, who, "{text}");
            assert_eq!(user.account.as_ref().map(AccountId::as_str), account, "{text}");
        }
    }

    #[test]
    fn what_is_no_user() {
        for bad in [
            "",
            "alice/bob",
            "../alice",
            "arn:aws:iam::111122223333:role/alice",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::111122223333:user",
            "arn:aws:iam::{{account}}:user/alice",
            "arn:aws:iam::111122223333:user/wa rd/alice",
            "arn:aws:s3:::alice",
            "arn:aws:sts::111122223333:assumed-role/alice/x",
            "arn:aws:iam",
            "ASIAIOSFODNN7EXAMPLE",
            "{{{user}}}",
        ] {
            assert!(User::parse(bad).is_err(), "{bad}");
        }
        assert!(User::parse("ASIAIOSFODNN7EXAMPLE").unwrap_err().contains("session"));
    }

    #[test]
    fn the_name_beside_an_id_is_worth_more_than_the_id() {
        let resource = |r#type: &str, id: &str, name: Option<&str>| Resource {
            r#type: r#type.to_owned(),
            id: id.to_owned(),
            name: name.map(str::to_owned),
        };
        let of = |id: &str, name: Option<&str>| User::of(&resource("AWS::IAM::User", id, name)).unwrap();
        assert_eq!(of(ID, Some("alice")).who, name("alice"));
        assert_eq!(of(ID, Some("no name!")).to_string(), ID);
        assert_eq!(of("arn:aws:iam::111122223333:user/AIDAEXAMPLEEXAMPLE000", Some("alice")).to_string(), "alice");
        assert!(of("arn:aws:iam::111122223333:user/x/alice", Some("alice")).account.is_some());
        // A user can be called like an id; then the name says who it is.
        assert_eq!(of(ID, Some(ID)).who, name(ID));
        let key = |id: &str| User::of(&resource("AWS::IAM::AccessKey", id, None));
        assert_eq!(key(KEY).unwrap().to_string(), KEY);
        assert!(key("alice").is_err());
        assert!(key("ASIAIOSFODNN7EXAMPLE").is_err());
    }

    #[test]
    fn what_a_user_is_shown_as_means_the_same_user() {
        for text in ["alice", ID, KEY, ROOT] {
            assert_eq!(User::parse(text).unwrap().to_string(), text);
        }
        for text in ["alice", ROOT] {
            assert_eq!(Owner::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        assert!(Owner::try_from("a b".to_owned()).is_err());
    }
}
