//! Takes fixes back: which record is meant, and which control's it is. The rest is the control's and the engine's own.
//!
//! Every control is linked here, and the function's role may do for each of them what taking a fix back needs. The roles of
//! the controls' own functions, which run unattended, may not. Nothing but a person wakes this one.

use catalogue::Entry;
use ledger::{Ledger, Trouble};
use remediation::shown;
use serde_json::Value;

/// What a record says of itself, that must be so in the ledger too.
const SAME: [&str; 3] = ["control", "resource", "before"];

/// What is to be done.
#[derive(Debug)]
pub struct Task {
    /// The control whose fix is taken back.
    pub control: &'static Entry,
    /// The request, with the record in it.
    pub request: Value,
    /// The parameters that the control had when it wrote; none if the record has none.
    pub parameters: Option<Value>,
}

/// Why nothing is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unable {
    /// The request cannot be carried out, now or later; what is wrong with it.
    Rejected(String),
    /// The ledger could not be read, and may be another time.
    Later(String),
}

/// Finds out what a request is about.
///
/// It is `{"mode": "undo", "record": …}` with a record or its id. Where the ledger has a record with that id, that is the one that
/// is taken back: one that was passed and says something else was tampered with. Where the ledger has none, what was passed
/// counts, since it may be of a command line's own ledger, or older than what the table keeps.
pub async fn task(mut request: Value, ledger: Option<&Ledger>) -> Result<Task, Unable> {
    let rejected = |why: &str| Err(Unable::Rejected(why.to_owned()));
    if request.get("mode").and_then(Value::as_str) != Some("undo") {
        return rejected(
            "this function takes fixes back and does nothing else: send {\"mode\": \"undo\", \"record\": …} with a record or its \
             id, and everything else to the control's own function",
        );
    }
    let passed = request.get("record").cloned().unwrap_or_default();
    let id = match &passed {
        Value::String(id) => Some(id.as_str()),
        Value::Object(record) => record.get("id").and_then(Value::as_str),
        _ => return rejected("there is no record to undo: pass the record, or its id, as \"record\""),
    };
    let kept = match id {
        Some(id) => kept(id, passed.is_object(), ledger).await?,
        None => None,
    };
    let record = match (kept, passed) {
        (Some(kept), Value::Object(passed)) => {
            if let Some(name) = SAME.iter().find(|name| passed.get(**name) != kept.get(**name)) {
                return Err(Unable::Rejected(format!(
                    "the record {} has another {name} in the ledger than in the request: send its id alone",
                    shown(id_of(&kept))
                )));
            }
            kept
        }
        (Some(kept), _) => kept,
        (None, Value::String(id)) => {
            return Err(Unable::Rejected(format!(
                "the ledger has no record {}: see that the id is whole, or pass the record itself, from the evidence or the log",
                shown(&id)
            )));
        }
        (None, passed) => passed,
    };
    let named = record.get("control").and_then(Value::as_str).unwrap_or_default();
    let Some(control) = catalogue::find(named) else {
        return Err(Unable::Rejected(format!(
            "the record is of the control {}, which this version of Suture does not have",
            shown(named)
        )));
    };
    let parameters = record.get("parameters").filter(|parameters| !parameters.is_null()).cloned();
    if let Some(fields) = request.as_object_mut() {
        fields.insert("record".to_owned(), record);
    }
    Ok(Task { control, request, parameters })
}

/// The ledger's record with this id. If the ledger cannot be read and the record was `passed`, none: what comes next asks the
/// ledger again and, if it is still away, refuses to write.
async fn kept(id: &str, passed: bool, ledger: Option<&Ledger>) -> Result<Option<Value>, Unable> {
    let Some(ledger) = ledger else {
        let why = "there is no ledger to find the record in (SUTURE_LEDGER is not set): pass the record itself";
        return if passed { Ok(None) } else { Err(Unable::Rejected(why.to_owned())) };
    };
    match ledger.record(id).await {
        Ok(kept) => Ok(kept),
        Err(_) if passed => Ok(None),
        Err(trouble @ Trouble::Away { retry: true, .. }) => Err(Unable::Later(trouble.to_string())),
        Err(trouble) => Err(Unable::Rejected(trouble.to_string())),
    }
}

fn id_of(record: &Value) -> &str {
    record.get("id").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
