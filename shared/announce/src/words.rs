//! Texts from outside, made fit to be shown; and lines put together from them.

use crate::{Context, Message, SUBJECT, TEXT};
use serde_json::Value;
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most characters of a name, a caller, a reason: the longest of AWS's own names, and an exemption's longest reason.
const NAME: usize = 256;
/// The most characters of a sentence of a record: `why`, a note, what would break. They are ours, with names in them.
const SENTENCE: usize = 1200;
/// How many bytes are left for what stands in a record's place.
const LAST: usize = 4 * 1024;
/// The most characters of a resource's name in a subject.
const SUBJECT_NAME: usize = 40;

/// A name from outside.
pub(crate) fn name(text: &str) -> String {
    plain(text, NAME)
}

/// A sentence of a record.
pub(crate) fn sentence(text: &str) -> String {
    plain(text, SENTENCE)
}

/// Text on one line, of `most` characters at most, and nothing in it that does not show: what breaks lines or turns the
/// writing round is escaped.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    let mut left = most;
    for character in text.chars() {
        let shown = if hides(character) { character.escape_default().to_string() } else { character.to_string() };
        let length = shown.chars().count();
        if length > left {
            plain.push('…');
            break;
        }
        left -= length;
        plain.push_str(&shown);
    }
    plain
}

/// Whether a character breaks lines, shows nothing, or changes how its neighbours are shown.
/// <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>
fn hides(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A word of a command that somebody may paste into a shell; none if no quoting makes it safe to be pasted.
pub(crate) fn word(text: &str) -> Option<String> {
    if text.is_empty() || text.chars().count() > NAME || text.chars().any(hides) {
        return None;
    }
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._:/@=+,-".contains(c);
    if text.chars().all(harmless) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', r"'\''")))
}

/// A time, to the second, in UTC.
pub(crate) fn time(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// How many there are of something: `1 write`, `2 writes`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// A line. It has no line break of its own: whatever is put into it went through [`plain`].
    pub(crate) fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A line `label: text`, if there is a text.
    pub(crate) fn labelled(&mut self, label: &str, text: Option<String>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.line(&format!("{label}: {text}"));
        }
    }

    /// Values as JSON, one on a line, while they are no more than `most` and have room; otherwise how many more there are.
    pub(crate) fn values(&mut self, values: &[Value], most: usize, room: usize) {
        let mut left = room;
        for (number, value) in values.iter().enumerate() {
            let json = plain(&value.to_string(), usize::MAX);
            if number == most || json.len() > left {
                self.line(&format!("  … and {} more, in the record", values.len() - number));
                return;
            }
            left -= json.len();
            self.line(&format!("  {json}"));
        }
    }

    /// The message with these lines and, after them, the data for programs.
    pub(crate) fn message(self, subject: &str, data: &Value, kept: &str) -> Message {
        let mut text = self.0;
        // So many lines come only of a record that nobody would read to its end.
        if text.len() > TEXT - LAST {
            text.truncate(text.floor_char_boundary(TEXT - LAST));
            text.push_str("…\n");
        }
        text.push_str("\n--\n");
        let json = data.to_string();
        if text.len() + json.len() <= TEXT {
            text.push_str(&json);
        } else {
            let _ = write!(text, "The record is too long for a message ({} KB). {kept}", json.len() / 1024);
        }
        Message { subject: subject_of(subject), text }
    }
}

/// A resource's name in a subject.
pub(crate) fn subject_name(text: &str) -> String {
    plain(text, SUBJECT_NAME)
}

fn subject_of(text: &str) -> String {
    let ascii = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.replace('…', "...").chars().map(ascii).take(SUBJECT).collect::<String>().trim_end().to_owned()
}

/// Which deployment speaks.
pub(crate) fn deployment(context: &Context<'_>) -> String {
    let stack = context.stack.map(|stack| format!(" (stack {})", name(stack))).unwrap_or_default();
    format!("Suture in account {}, {}{stack}", context.account, context.region)
}

/// Where a record is that is too long for a message.
pub(crate) fn kept(record: Option<&str>, context: &Context<'_>) -> String {
    let under = record.map(|id| format!(" under the id {}", name(id))).unwrap_or_default();
    let ledger = context.ledger.map(|table| format!(" (table {})", name(table))).unwrap_or_default();
    let evidence =
        context.evidence.map(|bucket| format!(", and in the evidence bucket {}", name(bucket))).unwrap_or_default();
    format!("It is in the ledger{ledger}{under}{evidence}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_lines_there_are_the_message_can_be_sent() {
        let mut lines = Lines::default();
        for _ in 0..10_000 {
            lines.line(&"é".repeat(40));
        }
        let message = lines.message("Suture", &Value::Null, "");
        assert!(message.text.len() <= TEXT && message.text.ends_with("…\n\n--\nnull"), "{}", message.text.len());
    }

    #[test]
    fn what_hides_is_escaped_and_what_is_long_is_cut() {
        for (given, most, expected) in [
            ("clinic-scans", 64, "clinic-scans"),
            ("Praxis Müller", 64, "Praxis Müller"),
            ("a\nb\u{202e}c", 64, "a\\nb\\u{202e}c"),
            ("abcdef", 3, "abc…"),
            ("ab\n", 3, "ab…"),
            ("ab\n", 4, "ab\\n"),
        ] {
            assert_eq!(plain(given, most), expected);
        }
    }
}
