//! One piece of evidence: its form, its hash and its name.

use crate::canonical::{canonical, settled};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// The version of the form.
pub const SCHEMA: &str = "suture.evidence/1";
/// The folder of all evidence on a shelf.
pub const FOLDER: &str = "records/";
/// What the first piece says of the one before it.
pub const NONE_BEFORE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// What a record's item in the ledger says of its evidence; they are no part of the record.
pub(crate) const MARKS: [&str; 2] = ["archived", "archiving"];

/// The end of a chain: the number and the hash of the last piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last piece, from 1; 0 if there is none yet.
    pub seq: u64,
    /// The hash of its bytes: `sha256:` and 64 digits.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: NONE_BEFORE.to_owned() }
    }
}

/// The SHA-256 of bytes, as evidence has it: `sha256:` and 64 digits. The digits are what `sha256sum` prints.
pub fn hash(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The record alone: without what its item in the ledger says of its evidence.
pub fn record_of(body: &Value) -> Value {
    let mut record = settled(body);
    if let Value::Object(members) = &mut record {
        members.retain(|member, _| !MARKS.contains(&member.as_str()));
    }
    record
}

/// The text of the piece with this number: the very bytes of its object.
pub fn text(seq: u64, previous: &str, record: &Value) -> String {
    canonical(&json!({"schema": SCHEMA, "seq": seq, "previous": previous, "record": record}))
}

/// The name of the piece's object: `records/2026/01/15/000000000042-<id>.json`, by the day on which the record began; by
/// today if it does not say.
pub fn key(seq: u64, record: &Value, now: OffsetDateTime) -> String {
    let began = record.get("began").and_then(Value::as_str).and_then(|began| began.get(..10));
    let digits = |day: &&str| {
        day.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    let today = now.to_offset(time::UtcOffset::UTC).date();
    let today = || format!("{:04}/{:02}/{:02}", today.year(), u8::from(today.month()), today.day());
    let day = began.filter(digits).map_or_else(today, |day| day.replace('-', "/"));
    let id = record.get("id").and_then(Value::as_str).unwrap_or("record");
    let id: String = id.chars().take(80).map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("{FOLDER}{day}/{seq:012}-{id}.json")
}

/// Characters that need no escaping anywhere.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// The number in an object's name, if it is a name that [`key`] makes.
pub fn seq_of(key: &str) -> Option<u64> {
    let rest = key.strip_prefix(FOLDER)?;
    let (day, name) = rest.split_at_checked(11)?;
    let day_is_one = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 | 10 => byte == b'/',
        _ => byte.is_ascii_digit(),
    });
    let (seq, id) = name.strip_suffix(".json")?.split_once('-')?;
    let well_formed =
        day_is_one && seq.len() >= 12 && seq.bytes().all(|b| b.is_ascii_digit()) && id.chars().all(is_plain);
    if !well_formed || (seq.len() > 12 && seq.starts_with('0')) {
        return None;
    }
    seq.parse().ok().filter(|seq| *seq > 0)
}

/// What a piece of evidence says, as far as checking the chain needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) seq: u64,
    pub(crate) previous: String,
    /// The name that its object ought to have, but for the day.
    pub(crate) ending: String,
}

/// Reads a piece of evidence.
///
/// # Errors
/// What is wrong with it, after "it".
pub(crate) fn read(bytes: &[u8]) -> Result<Said, &'static str> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| "is not JSON")?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("schema") != Some(SCHEMA) {
        return Err("is not in the form suture.evidence/1");
    }
    let seq = value.get("seq").and_then(Value::as_u64);
    let (Some(seq), Some(previous), Some(record)) = (seq, text("previous"), value.get("record")) else {
        return Err("has no seq, no previous or no record");
    };
    if canonical(&value).as_bytes() != bytes {
        return Err("is not in the canonical form that it was written in");
    }
    let name = key(seq, record, OffsetDateTime::UNIX_EPOCH);
    let ending = name.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Said { seq, previous: previous.to_owned(), ending })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hash_is_what_sha256sum_prints() {
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc"), expected);
    }

    #[test]
    fn a_piece_is_its_four_members_in_order() {
        let record = json!({"id": "r-1", "began": "2026-01-15T10:45:31Z"});
        let text = text(1, NONE_BEFORE, &record);
        let expected = format!(
            "{{\"previous\":\"{NONE_BEFORE}\",\"record\":{{\"began\":\"2026-01-15T10:45:31Z\",\"id\":\"r-1\"}},\
             \"schema\":\"suture.evidence/1\",\"seq\":1}}"
        );
        assert_eq!(text, expected);
        let said = read(text.as_bytes()).unwrap();
        assert_eq!((said.seq, said.previous.as_str(), said.ending.as_str()), (1, NONE_BEFORE, "000000000001-r-1.json"));
    }

    #[test]
    fn names_have_the_day_the_number_and_the_id() {
        let now = OffsetDateTime::from_unix_timestamp(1_795_348_800).unwrap();
        let cases = [
            (json!({"id": "r-1", "began": "2026-01-15T10:45:31Z"}), "records/2026/01/15/000000000042-r-1.json"),
            (json!({"id": "../../x y", "began": "yesterday!!"}), "records/2026/11/22/000000000042-.._.._x_y.json"),
            (json!({}), "records/2026/11/22/000000000042-record.json"),
        ];
        for (record, expected) in cases {
            assert_eq!(key(42, &record, now), expected);
            assert_eq!(seq_of(expected), Some(42));
        }
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "records/2026/01/15/000000000000-r.json",
            "records/2026/01/15/42-r.json",
            "records/2026/01/15/0000000000042-r.json",
            "records/2026-01-15/000000000042-r.json",
            "records/2026/01/15/000000000042-r.json.bak",
            "records/2026/01/15/000000000042-a/b.json",
            "records/2026/01/15/x/000000000042-r.json",
            "other/2026/01/15/000000000042-r.json",
            "records/é",
            "",
        ] {
            assert_eq!(seq_of(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_evidence_is_said_to_be_none() {
        let good = text(1, NONE_BEFORE, &json!({"id": "r"}));
        for bad in ["", "[]", "{}", "\u{0}", &good.replace("suture.evidence/1", "x"), &good.replace(":1}", ": 1}")] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(good.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn every_name_that_is_made_is_read(seq in 1_u64.., id in any::<String>(), began in any::<String>()) {
            let name = key(seq, &json!({"id": id, "began": began}), OffsetDateTime::UNIX_EPOCH);
            prop_assert_eq!(seq_of(&name), Some(seq));
        }

        #[test]
        fn names_are_read_or_not_but_nothing_breaks(name in "(records/)?[0-9/é]{0,12}[0-9a-z.-]{0,20}(.json)?") {
            let _ = seq_of(&name);
        }
    }
}
