//! Texts of the ledger, made fit for a terminal; times and spans, as people write and read them.

use ledger::Trouble;
use remediation::shown;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

/// Text on one line with nothing in it that a terminal obeys or that hides: what does not show is escaped.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => plain.push(character),
            other => plain.extend(other.escape_debug()),
        }
    }
    plain
}

/// The text at this place of a value, made plain; empty if there is none.
pub fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).map(plain).unwrap_or_default()
}

/// JSON on one line, made plain.
pub fn json(value: &Value) -> String {
    plain(&value.to_string())
}

/// The values of the list at this place; none if there is none.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A time, to the second, in UTC.
pub fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// A time in RFC 3339, as records have it, to the second; as it is if it is none.
pub fn moment_of(text: &str) -> String {
    OffsetDateTime::parse(text, &Rfc3339).map_or_else(|_| plain(text), moment)
}

/// A span of whole hours: `24h`, `3d`, or `0`.
pub fn hours(text: &str) -> Result<u32, String> {
    let wrong = || format!("{} is no span of time; write hours or days: 24h, 3d", shown(text));
    if text == "0" {
        return Ok(0);
    }
    let (number, hours) = match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 24),
        _ => return Err(wrong()),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    number.parse::<u32>().ok().and_then(|number| number.checked_mul(hours)).ok_or_else(wrong)
}

/// The end that a person gives: a day (until its end, UTC), a time in RFC 3339, or a span from now on.
pub fn until(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, String> {
    let wrong = || format!("{} is no end; write a day (2027-01-31), or a span from now on (30d, 12h)", shown(text));
    if let Ok(hours) = hours(text) {
        return now.checked_add(Duration::hours(hours.into())).ok_or_else(wrong);
    }
    if let Ok(midnight) = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339) {
        return midnight.checked_add(Duration::DAY).ok_or_else(wrong);
    }
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())
}

/// What is wrong with the ledger, and the next step.
pub fn trouble(trouble: Trouble) -> String {
    match trouble {
        Trouble::Conflict(_) => "somebody else changed it at this moment; look again (suture status)".to_owned(),
        Trouble::Away { why, perhaps: true, .. } => {
            format!("{why}; it may have been done all the same: look (suture status)")
        }
        Trouble::Away { why, .. } => why,
    }
}
