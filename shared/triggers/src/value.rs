//! Looking into JSON from outside: what is not there or not a text is simply not there.

use crate::ids::{AccountId, Region, shown};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most characters of an outside text that end up in a notice.
pub(crate) const LONGEST_TEXT: usize = 512;

/// What kind of JSON a value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The text at a JSON pointer; none if it is not there, not a text, or empty.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The elements of the list at a JSON pointer; nothing if it is no list.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether a value says yes; some producers write it as a text.
pub(crate) fn yes(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Whether a character can change how a line looks or hide in it: controls, and the invisible ones that turn text around.
pub(crate) fn unsightly(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Texts that end up in records come from outside: no control characters, and not without end.
pub(crate) fn tame(text: &str) -> String {
    text.chars().filter(|c| !unsightly(*c)).take(LONGEST_TEXT).collect()
}

/// The first of some texts that is there, tamed.
pub(crate) fn first(value: &Value, pointers: &[&str]) -> Option<String> {
    pointers.iter().find_map(|pointer| text(value, pointer)).map(tame).filter(|text| !text.is_empty())
}

/// The account id that the first of some values gives: the resource's own before that of a bus the event was forwarded
/// to. Some producers write it as a number, which loses leading zeros. Otherwise says what is wrong.
pub(crate) fn account(values: &[Option<&Value>]) -> Result<AccountId, String> {
    for value in values.iter().flatten() {
        match value {
            Value::String(text) if !text.is_empty() => return AccountId::parse(text),
            Value::Number(number) => {
                let Some(number) = number.as_u64() else { return AccountId::parse(&number.to_string()) };
                return AccountId::parse(&format!("{number:012}"));
            }
            _ => {}
        }
    }
    Err("the event names no account".to_owned())
}

/// The region that the first of some texts gives; none if there is none, or if it is Config's `global`. Otherwise says what
/// is wrong.
pub(crate) fn region(texts: &[Option<&str>]) -> Result<Option<Region>, String> {
    match texts.iter().flatten().find(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) if *text == "global" => Ok(None),
        Some(text) => Region::parse(text).map(Some),
    }
}

/// The first of some texts that is an RFC 3339 time.
pub(crate) fn time(texts: &[Option<&str>]) -> Option<OffsetDateTime> {
    texts.iter().flatten().find_map(|text| OffsetDateTime::parse(text.trim(), &Rfc3339).ok())
}

/// A few of an object's field names, for a message that says what came.
pub(crate) fn fields(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return kind(value).to_owned() };
    let short = |name: &String| shown(&name.chars().take(24).collect::<String>());
    let mut names: Vec<String> = fields.keys().take(6).map(short).collect();
    if fields.len() > names.len() {
        names.push("…".to_owned());
    }
    names.join(", ")
}
