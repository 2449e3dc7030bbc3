//! What an operator can set, checked when the function starts.

use crate::judge::{Limits, Rotation};
use iam::{Profile, UserName};
use remediation::{Kind, Setting, shown};
use serde::{Deserialize, Deserializer, Serialize};

/// The tag of a user whose keys may lie idle for longer, in days: quarterly jobs, medical devices.
pub const TAG: &str = "drift-key-max-idle-days";

/// What an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// A key that was not used for more than this many days is deactivated.
    #[serde(deserialize_with = "some_days")]
    pub max_idle_days: u16,
    /// A key that was never used is left alone for this many days after it was made.
    pub grace_days: u16,
    /// So many days before a key is deactivated, or too old, the record says so.
    pub warn_days: u16,
    /// A key older than this many days is to be replaced, used or not; 0 if a key's age does not matter.
    pub max_age_days: u16,
    /// What to do about a key that is in use and older than that.
    pub rotation: Rotation,
    /// The most days that a user's own tag can ask for.
    pub highest_idle_days: u16,
    /// Users whose keys are never touched: for emergencies.
    pub break_glass_users: UserNames,
    /// The beginning of the path of such users; none if no path means that.
    pub break_glass_path: Path,
    /// The tag of such users; none if no tag means that.
    pub break_glass_tag: Tag,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            max_idle_days: 90,
            grace_days: 14,
            warn_days: 14,
            max_age_days: 90,
            rotation: Rotation::Soft,
            highest_idle_days: 365,
            break_glass_users: UserNames(Vec::new()),
            break_glass_path: Path(Some("/break-glass/".to_owned())),
            break_glass_tag: Tag(Some(("break-glass".to_owned(), "true".to_owned()))),
        }
    }
}

/// The settings, as the template has them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        field: "max_idle_days",
        parameter: "KeyMaxIdleDays",
        description: "An access key that was not used for more than this many days is deactivated.",
        kind: Kind::Number(1, 3650),
        default: "90",
    },
    Setting {
        field: "grace_days",
        parameter: "KeyGraceDays",
        description: "An access key that was never used is left alone for this many days after it was made.",
        kind: Kind::Number(0, 3650),
        default: "14",
    },
    Setting {
        field: "warn_days",
        parameter: "KeyWarnDays",
        description: "So many days before an access key is deactivated, or too old, the record says so.",
        kind: Kind::Number(0, 3650),
        default: "14",
    },
    Setting {
        field: "max_age_days",
        parameter: "KeyMaxAgeDays",
        description: "An access key older than this many days is to be replaced, used or not. 0: its age does not matter.",
        kind: Kind::Number(0, 3650),
        default: "90",
    },
    Setting {
        field: "rotation",
        parameter: "KeyRotation",
        description: "An access key that is too old and in use. soft: leave it alone and report it. hard: deactivate it.",
        kind: Kind::Choice(&["soft", "hard"]),
        default: "soft",
    },
    Setting {
        field: "highest_idle_days",
        parameter: "KeyHighestIdleDays",
        description: "The most days that a user's tag drift-key-max-idle-days can ask for.",
        kind: Kind::Number(0, 3650),
        default: "365",
    },
    Setting {
        field: "break_glass_users",
        parameter: "BreakGlassUsers",
        description: "Users for emergencies, by name, separated by commas. Their access keys are never deactivated for being idle.",
        kind: Kind::Text("^[A-Za-z0-9_+=.@-]{0,128}(, ?[A-Za-z0-9_+=.@-]{1,128})*$"),
        default: "",
    },
    Setting {
        field: "break_glass_path",
        parameter: "BreakGlassPath",
        description: "Users whose path begins so are for emergencies, too. Empty: no path means that.",
        kind: Kind::Text("^(/([A-Za-z0-9_+=,.@-]{1,128}/)+)?$"),
        default: "/break-glass/",
    },
    Setting {
        field: "break_glass_tag",
        parameter: "BreakGlassTag",
        description: "Users with this tag (key=value) are for emergencies, too. Empty: no tag means that.",
        kind: Kind::Text("^([A-Za-z0-9 _.:/+@-]{1,128}=[A-Za-z0-9 _.:/+@=-]{0,256})?$"),
        default: "break-glass=true",
    },
];

impl Parameters {
    /// What holds for a user, and what the user's own tag asks for.
    pub(crate) fn limits(&self, own: Option<&OwnLimit>) -> Limits {
        let most = self.highest_idle_days.max(self.max_idle_days);
        let idle_days = match own {
            Some(OwnLimit::Days(days)) => (*days).clamp(self.max_idle_days, most),
            _ => self.max_idle_days,
        };
        Limits {
            idle_days,
            grace_days: self.grace_days,
            warn_days: self.warn_days,
            age_days: self.max_age_days,
            rotation: self.rotation,
        }
    }

    /// What marks a user as one for emergencies, if anything does.
    pub(crate) fn break_glass(&self, user: &UserName, profile: &Profile) -> Option<Mark> {
        // No two users' names differ by case alone: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
        let listed = self.break_glass_users.0.iter().any(|name| name.as_str().eq_ignore_ascii_case(user.as_str()));
        let path = self.break_glass_path.0.as_deref().is_some_and(|path| profile.path.starts_with(path));
        let tag = self.break_glass_tag.0.as_ref().is_some_and(|tag| profile.tags.contains(tag));
        match (listed, path, tag) {
            (true, _, _) => Some(Mark::Name),
            (_, true, _) => Some(Mark::Path),
            (_, _, true) => Some(Mark::Tag),
            _ => None,
        }
    }
}

/// What a user's tag asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnLimit {
    /// This many idle days.
    Days(u16),
    /// Its value is no number of days.
    Junk,
}

impl OwnLimit {
    /// What the user's tag asks for, if there is one.
    pub(crate) fn read(profile: &Profile) -> Option<Self> {
        let (_, value) = profile.tags.iter().find(|(key, _)| key == TAG)?;
        // Digits alone: parse would take a plus.
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        Some(value.parse().ok().filter(|days| digits && *days > 0).map_or(Self::Junk, Self::Days))
    }
}

/// What marks a user as one for emergencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The parameter lists the name.
    Name,
    /// The path.
    Path,
    /// The tag.
    Tag,
}

/// Users' names, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UserNames(Vec<UserName>);

impl TryFrom<String> for UserNames {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        names.map(UserName::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// The beginning of users' paths: `/break-glass/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Path(Option<String>);

impl TryFrom<String> for Path {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.trim() {
            "" => Ok(Self(None)),
            // It would mean every user.
            "/" => Err("break_glass_path is \"/\", which is every user's; leave it empty for none".to_owned()),
            path if path.starts_with('/') && path.ends_with('/') => Ok(Self(Some(path.to_owned()))),
            path => Err(format!("break_glass_path is {}; a path begins and ends with a slash", shown(path))),
        }
    }
}

/// A tag, as `key=value`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Tag(Option<(String, String)>);

impl TryFrom<String> for Tag {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self(Some((key.to_owned(), value.to_owned())))),
            _ => Err(format!("break_glass_tag is {}; a tag is key=value", shown(&text))),
        }
    }
}

/// No limit at all would mean every key.
fn some_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        0 => {
            Err(serde::de::Error::custom("max_idle_days is 0, which would deactivate every key; it must be 1 or more"))
        }
        days => Ok(days),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn profile(path: &str, tags: &[(&str, &str)]) -> Profile {
        Profile {
            id: "AIDAEXAMPLEEXAMPLE000".to_owned(),
            account: "111122223333".to_owned(),
            path: path.to_owned(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn the_defaults_are_the_settings() {
        let value = |setting: &Setting| match setting.kind {
            Kind::Number(least, most) => {
                let number: i64 = setting.default.parse().unwrap();
                assert!((least..=most).contains(&number) && most <= i64::from(u16::MAX), "{}", setting.field);
                json!(number)
            }
            _ => json!(setting.default),
        };
        let all: serde_json::Map<_, _> = SETTINGS.iter().map(|s| (s.field.to_owned(), value(s))).collect();
        assert_eq!(all.len(), 9);
        assert_eq!(from_value::<Parameters>(json!(all)).unwrap(), Parameters::default());
        assert_eq!(from_value::<Parameters>(json!({})).unwrap(), Parameters::default());
    }

    #[test]
    fn slips_stop_the_function() {
        for (slip, says) in [
            (json!({"max_idle_days": 0}), "every key"),
            (json!({"max_idle_days": -1}), "u16"),
            (json!({"max_idle_day": 90}), "unknown field"),
            (json!({"rotation": "Hard"}), "unknown variant"),
            (json!({"break_glass_users": "alice,,bob"}), "no name of an IAM user"),
            (json!({"break_glass_users": "alice bob"}), "no name of an IAM user"),
            (json!({"break_glass_path": "/"}), "every user"),
            (json!({"break_glass_path": "break-glass"}), "slash"),
            (json!({"break_glass_tag": "break-glass"}), "key=value"),
            (json!({"break_glass_tag": "=true"}), "key=value"),
        ] {
            let error = from_value::<Parameters>(slip.clone()).unwrap_err().to_string();
            assert!(error.contains(says), "{slip}: {error}");
        }
    }

    #[test]
    fn who_is_for_emergencies() {
        let with = |json| from_value::<Parameters>(json).unwrap();
        let listed = with(json!({"break_glass_users": "Breaker, other"}));
        let none = with(json!({"break_glass_path": "", "break_glass_tag": " "}));
        let default = Parameters::default();
        for (parameters, name, path, tags, mark) in [
            (&listed, "breaker", "/", &[][..], Some(Mark::Name)),
            (&listed, "breaker2", "/", &[], None),
            (&default, "alice", "/break-glass/", &[], Some(Mark::Path)),
            (&default, "alice", "/break-glass/night/", &[], Some(Mark::Path)),
            (&default, "alice", "/ward/break-glass/", &[], None),
            (&default, "alice", "/break-glassy/", &[], None),
            (&default, "alice", "/", &[("break-glass", "true")], Some(Mark::Tag)),
            (&default, "alice", "/", &[("break-glass", "false")], None),
            (&none, "alice", "/break-glass/", &[("break-glass", "true")], None),
        ] {
            let user = UserName::parse(name).unwrap();
            assert_eq!(parameters.break_glass(&user, &profile(path, tags)), mark, "{name} {path} {tags:?}");
        }
    }

    #[test]
    fn a_users_own_limit_only_loosens_and_only_so_far() {
        let parameters = Parameters::default();
        for (value, own, days) in [
            (None, None, 90),
            (Some("120"), Some(OwnLimit::Days(120)), 120),
            (Some("365"), Some(OwnLimit::Days(365)), 365),
            (Some("366"), Some(OwnLimit::Days(366)), 365),
            (Some("30"), Some(OwnLimit::Days(30)), 90),
            (Some("0"), Some(OwnLimit::Junk), 90),
            (Some("-1"), Some(OwnLimit::Junk), 90),
            (Some("+120"), Some(OwnLimit::Junk), 90),
            (Some("forever"), Some(OwnLimit::Junk), 90),
            (Some(""), Some(OwnLimit::Junk), 90),
            (Some("99999999999"), Some(OwnLimit::Junk), 90),
        ] {
            let tags: Vec<_> = value.map(|value| (TAG, value)).into_iter().collect();
            assert_eq!(OwnLimit::read(&profile("/", &tags)), own, "{value:?}");
            assert_eq!(parameters.limits(own.as_ref()).idle_days, days, "{value:?}");
        }
        // A limit above the highest is the operator's own word.
        let parameters = Parameters { max_idle_days: 400, ..parameters };
        assert_eq!(parameters.limits(Some(&OwnLimit::Days(365))).idle_days, 400);
    }
}
