//! One record of what the ledger and the evidence say of it.

use super::Found;
use crate::model::Piece;
use evidence::record_of;
use ledger::Outcome;
use serde::Deserialize;
use serde_json::Value;

/// A record in what was read of it.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// As the ledger has it, with its marks.
    pub(super) ledger: Option<Value>,
    /// As the last piece of evidence has it.
    pub(super) piece: Option<(Piece, Value)>,
}

/// Who tells of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Ledger and evidence, and they say the same; or only one of them was asked.
    ByBoth,
    /// The ledger; there is no evidence yet, or none of this result.
    ByLedger,
    /// The evidence.
    ByEvidence,
    /// Both, and they do not say the same.
    Differently,
}

/// A record, and who tells of it.
pub(super) struct Merged {
    pub(super) found: Found,
    pub(super) told: Told,
}

/// One record of what the ledger and the evidence say. `sound` is whether the chain proves the evidence.
pub(super) fn merge(read: Read, sound: bool) -> Merged {
    let merged =
        |record: Value, evidence: Option<Piece>, told: Told| Merged { found: Found { record, evidence }, told };
    match (read.ledger, read.piece) {
        (None, None) => merged(Value::Null, None, Told::ByBoth),
        (None, Some((piece, record))) => merged(record, Some(piece), Told::ByEvidence),
        (Some(body), None) => {
            let marked = piece_in(&body);
            let told = if marked.is_some() { Told::ByBoth } else { Told::ByLedger };
            merged(record_of(&body), marked, told)
        }
        (Some(body), Some((piece, said))) => {
            let record = record_of(&body);
            if record == said {
                return merged(record, Some(piece), Told::ByBoth);
            }
            let marked = piece_in(&body);
            // A result that came after the evidence of what was known before: the recorder makes another piece of it.
            if marked.is_none() && is_unverified(&said) && !is_unverified(&record) {
                return merged(record, None, Told::ByLedger);
            }
            // Which of them was changed? Not the piece, if the chain or the ledger's own mark has its hash.
            let hash = body.pointer("/archived/hash").and_then(Value::as_str);
            if sound || hash == Some(&piece.hash) {
                merged(said, Some(piece), Told::Differently)
            } else {
                merged(record, Some(piece), Told::Differently)
            }
        }
    }
}

/// One record from before the period, of which no more than what it says of drift is wanted.
pub(super) fn earlier(read: Read) -> Merged {
    let record = read.ledger.or(read.piece.map(|(_, record)| record)).unwrap_or_default();
    Merged { found: Found { record, evidence: None }, told: Told::ByBoth }
}

/// Takes out of a record from before the period what is large and says nothing about drift, but for how much there was of it.
pub(super) fn slim(record: &mut Value) {
    let Some(fields) = record.as_object_mut() else { return };
    for name in ["after", "undo", "breaks", "parameters", "notes", "citations"] {
        fields.remove(name);
    }
    if let Some(before) = fields.get_mut("before").filter(|before| !before.is_null()) {
        *before = Value::Bool(true);
    }
    for name in ["changes", "remaining"] {
        if let Some(Value::Array(writes)) = fields.get_mut(name) {
            for write in writes {
                *write = Value::Null;
            }
        }
    }
}

fn is_unverified(record: &Value) -> bool {
    record
        .get("outcome")
        .is_some_and(|outcome| Outcome::deserialize(outcome).is_ok_and(|outcome| outcome == Outcome::Unverified))
}

/// What the ledger says of a record's evidence, if it is of this result.
fn piece_in(body: &Value) -> Option<Piece> {
    let archived = evidence::Archived::deserialize(body.get("archived")?).ok()?;
    let of = evidence::hash(evidence::canonical(&record_of(body)).as_bytes());
    (archived.of == of).then_some(Piece { seq: archived.seq, key: archived.key, hash: archived.hash })
}
