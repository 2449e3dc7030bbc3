//! Who may be left alone, by whose word, why, and until when.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use triggers::ids::{AccountId, shown};

/// What is to be left alone. Every condition that is set must hold; an exemption with none would be of everything, and is
/// none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// Its id.
    pub id: String,
    /// The control that leaves it alone; every control if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// The account; every account if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The resource's name, in which `*` stands for any characters; every resource if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// A tag that the resource must have: `key=value`, or `key` whatever its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
    /// Who made it: the caller's ARN, as far as AWS told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// The record of the undo that made it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// Whether it was announced that it ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// Whether an exemption is of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Covers {
    /// It is not.
    No,
    /// It is.
    Yes,
    /// It is, if the resource has the tag.
    IfTagged,
}

impl Exemption {
    /// Whether it is in force.
    pub fn is_in_force(&self, now: OffsetDateTime) -> bool {
        self.expires > now
    }

    /// Whether it is of this resource under this control.
    pub fn covers(&self, control: &str, account: &AccountId, resource: &str) -> Covers {
        let is = |wanted: Option<&str>, given: &str| wanted.is_none_or(|wanted| wanted == given);
        let of = is(self.control.as_deref(), control)
            && is(self.account.as_ref().map(AccountId::as_str), account.as_str())
            && self.resource.as_deref().is_none_or(|pattern| fits(pattern, resource));
        match (of, &self.tag) {
            (false, _) => Covers::No,
            (true, Some(_)) => Covers::IfTagged,
            (true, None) if self.control.is_none() && self.account.is_none() && self.resource.is_none() => Covers::No,
            (true, None) => Covers::Yes,
        }
    }

    /// Whether one of these tags is the one that it wants.
    pub fn wants<'a>(&self, mut tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        let Some(tag) = &self.tag else { return false };
        match tag.split_once('=') {
            Some((key, value)) => tags.any(|given| given == (key, value)),
            None => tags.any(|(key, _)| key == tag),
        }
    }

    /// What is wrong with it as a person would make it, if anything is.
    pub fn flaw(&self, now: OffsetDateTime) -> Option<String> {
        let blank = |text: &str| text.trim().is_empty() || text.len() > 256 || text.chars().any(char::is_control);
        if blank(&self.owner) {
            return Some("an exemption needs an owner, in 256 characters at most".to_owned());
        }
        if blank(&self.reason) {
            return Some("an exemption needs a reason, in 256 characters at most".to_owned());
        }
        if self.expires <= now {
            return Some("an exemption needs an end that is still to come".to_owned());
        }
        let everything = |pattern: &str| pattern.chars().all(|c| c == '*');
        if self.resource.as_deref().is_some_and(everything) || self.tag.as_deref().is_some_and(str::is_empty) {
            let given = self.resource.as_deref().unwrap_or_default();
            return Some(format!("{} names no resource; leave it out to mean every one", shown(given)));
        }
        let bounds = [self.control.is_some(), self.account.is_some(), self.resource.is_some(), self.tag.is_some()];
        if !bounds.contains(&true) {
            return Some(
                "an exemption of everything is none: name a control, an account, a resource or a tag, or set a \
                 control's mode to plan"
                    .to_owned(),
            );
        }
        None
    }

    /// An exemption that a resource's own tag asks for: the tag `suture:exempt` with the value
    /// `<control or all> until <date> by <owner>: <reason>`, such as
    /// `s3-public-bucket until 2027-01-31 by alice@clinic.example: the open data page`. Until the end of that day, UTC.
    /// Commas are not allowed in some services' tags and none are needed.
    pub fn of_tag(value: &str, account: &AccountId, resource: &str) -> Result<Self, String> {
        let form = "it should be: CONTROL (or all) until YYYY-MM-DD by OWNER: REASON";
        let wrong = || format!("the tag {TAG} says {}; {form}", shown(value));
        let (control, rest) = value.trim().split_once(" until ").ok_or_else(wrong)?;
        let (until, rest) = rest.split_once(" by ").ok_or_else(wrong)?;
        let (owner, reason) = rest.split_once(": ").ok_or_else(wrong)?;
        let midnight = OffsetDateTime::parse(
            &format!("{}T00:00:00Z", until.trim()),
            &time::format_description::well_known::Rfc3339,
        );
        let midnight = midnight.map_err(|_| wrong())?;
        let expires = midnight.checked_add(time::Duration::DAY).ok_or_else(wrong)?;
        if [control, owner, reason].iter().any(|part| part.trim().is_empty()) {
            return Err(wrong());
        }
        Ok(Self {
            id: format!("tag {TAG}"),
            control: Some(control.trim().to_owned()).filter(|control| control != "all"),
            account: Some(account.clone()),
            resource: Some(resource.to_owned()),
            tag: None,
            owner: owner.trim().to_owned(),
            reason: reason.trim().to_owned(),
            expires,
            made_at: OffsetDateTime::UNIX_EPOCH,
            made_by: None,
            undo: None,
            ended: false,
        })
    }
}

/// The tag by which a resource can ask to be left alone, where the deployment allows that.
pub const TAG: &str = "suture:exempt";

/// Whether a name fits a pattern in which `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ours() -> AccountId {
        AccountId::parse("111122223333").unwrap()
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn exemption() -> Exemption {
        Exemption {
            id: "e-1".to_owned(),
            control: None,
            account: None,
            resource: None,
            tag: None,
            owner: "alice@clinic.example".to_owned(),
            reason: "CHG-1".to_owned(),
            expires: at(2_000),
            made_at: at(0),
            made_by: None,
            undo: None,
            ended: false,
        }
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("clinic-scans", "clinic-scans", true),
            ("clinic-scans", "clinic-scans-2", false),
            ("clinic-*", "clinic-scans", true),
            ("clinic-*", "clinic-", true),
            ("clinic-*", "a-clinic-scans", false),
            ("*-scans", "clinic-scans", true),
            ("*-scans", "scans", false),
            ("c*-*s", "clinic-scans", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab*", "ab", false),
            ("*ab*ab*", "xabyabz", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_with_a_part_cut_out_fits(name in "[a-c]{0,8}", from in 0_usize..9, to in 0_usize..9) {
            let (from, to) = (from.min(to).min(name.len()), from.max(to).min(name.len()));
            let pattern = format!("{}*{}", &name[..from], &name[to..]);
            prop_assert!(fits(&pattern, &name), "{pattern}");
        }
    }

    #[test]
    fn every_condition_that_is_set_must_hold() {
        let theirs = AccountId::parse("444455556666").unwrap();
        let control = || Some("s3-public-bucket".to_owned());
        let cases = [
            (exemption(), Covers::No), // of everything: none
            (Exemption { control: control(), ..exemption() }, Covers::Yes),
            (Exemption { control: Some("other".to_owned()), ..exemption() }, Covers::No),
            (Exemption { account: Some(ours()), ..exemption() }, Covers::Yes),
            (Exemption { account: Some(theirs), control: control(), ..exemption() }, Covers::No),
            (Exemption { resource: Some("clinic-*".to_owned()), ..exemption() }, Covers::Yes),
            (Exemption { resource: Some("other-*".to_owned()), control: control(), ..exemption() }, Covers::No),
            (Exemption { tag: Some("site=public".to_owned()), ..exemption() }, Covers::IfTagged),
            (Exemption { tag: Some("site".to_owned()), resource: Some("x".to_owned()), ..exemption() }, Covers::No),
        ];
        for (exemption, expected) in cases {
            assert_eq!(exemption.covers("s3-public-bucket", &ours(), "clinic-scans"), expected, "{exemption:?}");
        }
    }

    #[test]
    fn tags_by_key_or_by_key_and_value() {
        let with = |tag: &str| Exemption { tag: Some(tag.to_owned()), ..exemption() };
        let tags = [("site", "public"), ("team", "web")];
        let wants = |tag: &str| with(tag).wants(tags.into_iter());
        assert!(wants("site=public") && wants("team"));
        assert!(!wants("site=private") && !wants("sit") && !wants("public"));
        assert!(!exemption().wants(tags.into_iter()));
    }

    #[test]
    fn what_a_person_leaves_out_is_named() {
        let now = at(1_000);
        let sound = Exemption { resource: Some("clinic-scans".to_owned()), ..exemption() };
        assert_eq!(sound.flaw(now), None);
        for (flawed, says) in [
            (exemption(), "of everything"),
            (Exemption { owner: " ".to_owned(), ..sound.clone() }, "owner"),
            (Exemption { reason: String::new(), ..sound.clone() }, "reason"),
            (Exemption { expires: now, ..sound.clone() }, "still to come"),
            (Exemption { resource: Some("**".to_owned()), ..sound.clone() }, "names no resource"),
        ] {
            let flaw = flawed.flaw(now).unwrap();
            assert!(flaw.contains(says), "{flaw}");
        }
    }

    #[test]
    fn a_resources_own_tag() {
        let value = "s3-public-bucket until 2027-01-31 by alice@clinic.example: the open data page: yes";
        let read = Exemption::of_tag(value, &ours(), "clinic-scans").unwrap();
        assert_eq!((read.owner.as_str(), read.reason.as_str()), ("alice@clinic.example", "the open data page: yes"));
        assert_eq!(read.covers("s3-public-bucket", &ours(), "clinic-scans"), Covers::Yes);
        assert_eq!(read.covers("s3-public-acl", &ours(), "clinic-scans"), Covers::No);
        assert_eq!(read.expires.unix_timestamp(), 1_801_440_000); // 2027-02-01T00:00:00Z
        let all = Exemption::of_tag("all until 2027-01-31 by a: b", &ours(), "clinic-scans").unwrap();
        assert_eq!(all.covers("s3-public-acl", &ours(), "clinic-scans"), Covers::Yes);
        for wrong in
            ["", "true", "all", "all until soon by a: b", "all until 2027-02-30 by a: b", "all until 2027-01-31 by : b"]
        {
            assert!(Exemption::of_tag(wrong, &ours(), "clinic-scans").is_err(), "{wrong}");
        }
    }
}
