//! Texts of the ledger, made fit for a terminal; times and spans, as people write and read them.

use ledger::Trouble;
use remediation::shown;
use serde_json::Value;
use std::io::Read;
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

/// Why a record ended so, at this place of a value, with what a person types in the place of what a request says.
pub fn why(value: &Value, pointer: &str) -> String {
    let said = text(value, pointer);
    let Some((before, rest)) = said.split_once("\"override\": [\"") else { return said };
    let Some((name, rest)) = rest.split_once("\"]") else { return said };
    let ends = [" to a manual request", " in a manual request", " to the request"];
    let rest = ends.iter().find_map(|end| rest.strip_prefix(end)).unwrap_or(rest);
    format!("{before}--override {name}{rest}")
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

/// Names as they were given, where - stands for those on standard input, one a line.
///
/// # Errors
/// Standard input cannot be read.
pub fn named(given: &[String]) -> Result<Vec<String>, String> {
    names(given, || {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(triggers::LARGEST_EVENT as u64).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| format!("standard input cannot be read: {}", error.kind()))
    })
}

fn names(given: &[String], input: impl FnOnce() -> Result<String, String>) -> Result<Vec<String>, String> {
    if !given.iter().any(|name| name == "-") {
        return Ok(given.to_vec());
    }
    let piped = input()?;
    let piped = piped.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    let named = given.iter().filter(|name| *name != "-").cloned();
    Ok(named.chain(piped).collect())
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

#[cfg(test)]
mod tests {
    use super::{names, why};
    use serde_json::json;

    #[test]
    fn names_come_from_the_line_and_from_the_pipe() {
        let given = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let piped = || Ok("clinic-scans\n\n  clinic-billing \n".to_owned());
        assert_eq!(names(&given(&["a", "-"]), piped), Ok(given(&["a", "clinic-scans", "clinic-billing"])));
        assert_eq!(names(&given(&["a"]), || Err("nobody asks".to_owned())), Ok(given(&["a"])));
        assert_eq!(names(&given(&["-"]), || Ok(String::new())), Ok(Vec::new()), "a scan that found nothing");
    }

    #[test]
    fn a_person_is_told_what_to_type() {
        for (said, told) in [
            (
                "it is a website; to do it all the same, add \"override\": [\"public-website\"] to a manual request",
                "it is a website; to do it all the same, add --override public-website",
            ),
            (
                "stopped; suture resume lets it go on, and \"override\": [\"kill-switch\"] in a manual request this one write",
                "stopped; suture resume lets it go on, and --override kill-switch this one write",
            ),
            ("add \"override\": [\"phi\"] to the request, and expect it", "add --override phi, and expect it"),
            ("read back and seen", "read back and seen"),
            ("by \"override\": [\"", "by \"override\": [\""),
        ] {
            assert_eq!(why(&json!({"why": said}), "/why"), told);
        }
    }
}
