//! A bucket policy as a text: what its statements do, and the same text without what lets everybody in. What stays is kept
//! byte for byte; the text is cut, never written anew.

use crate::statement::{Cut, Verdict, judge};
use remediation::shown;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// What was read of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The statements that let everybody in.
    pub public: Vec<Open>,
    /// What could not be understood of it: which statement, and why.
    pub unclear: Vec<String>,
    /// Some statement is for everybody but for its conditions.
    pub tied: bool,
    /// Some other statement lets in accounts that it names, or ties everybody to somebody.
    pub shares: bool,
    /// The policy without what lets everybody in; none if no statement is left then.
    pub rest: Option<String>,
}

/// A statement that lets everybody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its `Sid`, shown as messages show texts from outside; `without a Sid`.
    pub name: String,
    /// What it allows: the first few actions.
    pub allows: String,
    /// Whether objects can be read.
    pub reads: bool,
    /// Whether it names others besides, who stay.
    pub names_others: bool,
}

/// The elements that a policy can have.
const ELEMENTS: &[&str] = &["Version", "Id", "Statement"];
/// The versions of the language. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>
const VERSIONS: &[&str] = &["2012-10-17", "2008-10-17"];
/// How many actions a message names.
const ACTIONS: usize = 5;

impl Policy {
    /// Reads a policy. It does not fail: what makes no sense is unclear.
    pub fn read(text: &str) -> Self {
        read(text).unwrap_or_else(|why| Self {
            unclear: vec![format!("the policy as a whole: {why}")],
            rest: Some(text.to_owned()),
            ..Self::default()
        })
    }

    /// Whether the text alone does not show that nobody is let in whom it does not name.
    pub const fn is_doubtful(&self) -> bool {
        self.tied || !self.public.is_empty() || !self.unclear.is_empty()
    }
}

fn read(text: &str) -> Result<Policy, String> {
    if serde_json::from_str::<Unambiguous>(text).is_err() {
        return Err("it is no JSON, or has the same key twice".to_owned());
    }
    let policy: Members<'_> = serde_json::from_str(text).map_err(|_| "it is not an object".to_owned())?;
    if let Some((key, _)) = policy.0.iter().find(|(key, _)| !ELEMENTS.contains(&key.as_str())) {
        return Err(format!("{} is no element of a policy", shown(key)));
    }
    let version = policy.get("Version").map(|version| serde_json::from_str::<String>(version.get()));
    if version.is_some_and(|version| !version.is_ok_and(|version| VERSIONS.contains(&version.as_str()))) {
        return Err("its Version is none that is known".to_owned());
    }
    let statements = policy.get("Statement").ok_or("it has no Statement")?;
    let statements: Vec<&RawValue> = if statements.get().starts_with('[') {
        serde_json::from_str(statements.get()).map_err(|_| "its Statement cannot be read")?
    } else {
        vec![statements]
    };
    let mut read = Policy::default();
    let mut cuts = Vec::new();
    let mut whole = Vec::new();
    for statement in &statements {
        let value: Value = serde_json::from_str(statement.get()).map_err(|_| "it is nested too deeply")?;
        let mut goes = false;
        match judge(&value) {
            Verdict::Denies => {}
            Verdict::Named { accounts } => read.shares |= accounts,
            Verdict::Tied => {
                read.tied = true;
                read.shares = true;
            }
            Verdict::Unclear(why) => read.unclear.push(format!("statement {}: {why}", name(&value))),
            Verdict::Public { cut, actions, reads } => {
                let inner = match cut {
                    Cut::Whole => None,
                    Cut::Kind | Cut::Members => Some(principal_cuts(text, statement, cut).ok_or("it cannot be cut")?),
                };
                goes = inner.is_none();
                cuts.extend(inner.into_iter().flatten());
                read.shares |= !goes;
                read.public.push(Open { name: name(&value), allows: few(&actions), reads, names_others: !goes });
            }
        }
        whole.push(goes);
    }
    if whole.iter().all(|goes| *goes) && !whole.is_empty() {
        return Ok(read);
    }
    let spans: Vec<_> = statements.iter().filter_map(|statement| span(text, statement)).collect();
    cuts.extend(member_cuts(&spans, &whole));
    read.rest = Some(without(text, cuts).ok_or("it cannot be cut")?);
    Ok(read)
}

/// A statement's name for messages.
fn name(statement: &Value) -> String {
    statement.get("Sid").and_then(Value::as_str).map_or_else(|| "without a Sid".to_owned(), shown)
}

/// The first few of a list, and how many more there are.
fn few(actions: &[String]) -> String {
    let first: Vec<String> = actions.iter().take(ACTIONS).map(|action| short(action)).collect();
    match actions.len().saturating_sub(ACTIONS) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// An action's name as it is, if it looks like one.
fn short(action: &str) -> String {
    let plain = action.len() <= 64 && action.bytes().all(|b| b.is_ascii_alphanumeric() || b":*?- ".contains(&b));
    if plain { action.to_owned() } else { shown(action) }
}

/// What to cut so that the `"*"` among a statement's principals goes; none if the statement is not as it was judged.
fn principal_cuts(text: &str, statement: &RawValue, cut: Cut) -> Option<Vec<Range<usize>>> {
    let statement: Members<'_> = serde_json::from_str(statement.get()).ok()?;
    let principal = statement.get("Principal")?;
    let kinds: Members<'_> = serde_json::from_str(principal.get()).ok()?;
    if cut == Cut::Kind {
        // A member's span begins after the brace or comma before it and ends with its value: it takes its key along.
        let mut from = span(text, principal)?.start + 1;
        let mut spans = Vec::new();
        for (_, value) in &kinds.0 {
            let end = span(text, value)?.end;
            spans.push(from..end);
            from = text.get(end..)?.find(',').map_or(end, |comma| end + comma + 1);
        }
        let goes: Vec<bool> = kinds.0.iter().map(|(kind, _)| kind == "AWS").collect();
        return Some(member_cuts(&spans, &goes));
    }
    let names: Vec<&RawValue> = serde_json::from_str(kinds.get("AWS")?.get()).ok()?;
    let spans: Option<Vec<_>> = names.iter().map(|name| span(text, name)).collect();
    let star = |name: &&RawValue| serde_json::from_str::<String>(name.get()).is_ok_and(|name| name == "*");
    Some(member_cuts(&spans?, &names.iter().map(star).collect::<Vec<_>>()))
}

/// What to cut so that some members of a list go, each with one comma. At least one has to stay.
fn member_cuts(members: &[Range<usize>], goes: &[bool]) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let (mut last, mut stays) = (None, false);
    let mut rest = members.iter().zip(goes).peekable();
    while let Some((member, goes)) = rest.next() {
        match (goes, last, rest.peek()) {
            (true, Some(end), _) if stays => cuts.push(end..member.end),
            (true, _, Some((next, _))) => cuts.push(member.start..next.start),
            _ => stays = true,
        }
        last = Some(member.end);
    }
    cuts
}

/// The text without these parts of it; none if they overlap or do not fit.
fn without(text: &str, mut cuts: Vec<Range<usize>>) -> Option<String> {
    cuts.sort_by_key(|cut| cut.start);
    let mut rest = String::with_capacity(text.len());
    let mut from = 0;
    for cut in cuts {
        rest.push_str(text.get(from..cut.start)?);
        from = cut.end;
    }
    rest.push_str(text.get(from..)?);
    Some(rest)
}

/// Where in the text a value that was borrowed from it stands.
fn span(text: &str, value: &RawValue) -> Option<Range<usize>> {
    let start = value.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start + value.get().len();
    (text.get(start..end)? == value.get()).then_some(start..end)
}

/// An object's members in order, each value as it stands in the text.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(given, _)| given == key).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Reader).map(Members)
    }
}

/// Any JSON in which no object has the same key twice. Which of the two counts, readers disagree about.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Unambiguous;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON without a repeated key")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }

            fn visit_str<E>(self, _: &str) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }

            fn visit_unit<E>(self) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Unambiguous, S::Error> {
                while seq.next_element::<Unambiguous>()?.is_some() {}
                Ok(Unambiguous)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Unambiguous, M::Error> {
                let mut keys = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !keys.insert(key) {
                        return Err(serde::de::Error::custom("the same key twice"));
                    }
                    map.next_value::<Unambiguous>()?;
                }
                Ok(Unambiguous)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Whether two policies say the same, however they are spelled. S3 gives a policy back in its own spelling: a list of one
/// as a text, principals in another order. What is no JSON is the same only letter by letter.
pub fn same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).map(plain).ok();
    read(one).is_some_and(|one| read(other) == Some(one))
}

/// A value in one spelling: lists of one as what is in them, lists of texts in order, words for what they stand for.
fn plain(value: Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        Value::Array(values) => {
            let mut values: Vec<Value> = values.into_iter().map(plain).collect();
            if values.iter().all(Value::is_string) {
                values.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                values.dedup();
            }
            if values.len() == 1 { values.pop().unwrap_or_default() } else { Value::Array(values) }
        }
        value => value,
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
