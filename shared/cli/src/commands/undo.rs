//! `suture undo`: what a record says was written is taken back.

use super::session::{Place, Session, WhichAndWhere};
use super::words::{self, hours, list, moment_of, plain, text, trouble};
use super::{asking, carry, print};
use crate::show;
use crate::show::println;
use ::undo::Unable;
use remediation::Outcome;
use remediation::lambda::variable;
use remediation::shown;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// Take back what a record says was written.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture undo 8c9e1f6a-1ab0-4000-8000-000000000007-1 --leave-alone 3d --reason INC-123
  suture undo record.json --yes
  suture undo 8c9e1f6a-1ab0-4000-8000-000000000007-1 --override moved-on

The resource is looked at first. If it was changed since, the undo is refused, unless moved-on is
overridden. With a deployment's ledger, the deployment's own function takes it back; otherwise this
process does, with your permissions.")]
pub struct Arguments {
    /// The record: its id, or a file that holds it (a record, a piece of evidence, or an answer with one record); - for
    /// standard input.
    record: String,
    /// For how long the control then leaves the resource alone: 24h, 3d; 0 for not at all. A day, if not said.
    #[arg(long, value_name = "24h|3d", value_parser = hours)]
    leave_alone: Option<u32>,
    /// Why: a ticket number, as a rule.
    #[arg(long)]
    reason: Option<String>,
    /// A gate or guard to override, by its name; may be given several times. The record shows it.
    #[arg(long = "override", value_name = "NAME")]
    overrides: Vec<String>,
    /// The function that takes it back, where the table's name does not tell (SUTURE_UNDO_FUNCTION).
    #[arg(long, conflicts_with = "here")]
    function: Option<String>,
    /// Take it back in this process, with your own permissions.
    #[arg(long)]
    here: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print the answer as JSON, and nothing else.
    #[arg(long, requires = "yes")]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// A record, as it was named.
enum Named {
    Id(String),
    Whole(Value),
}

/// Runs it; true if it was undone.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    let named = named(&arguments.record)?;
    let session = Session::open_at(&arguments.which).await?;
    let (record, sent) = match named {
        Named::Whole(record) => (record.clone(), record),
        Named::Id(id) => {
            let found = session.ledger.record(&id).await.map_err(trouble)?;
            let missing = || {
                format!(
                    "{} has no record {}; suture history RESOURCE lists a resource's, or pass the record itself as a file",
                    session.place.says(),
                    shown(&id)
                )
            };
            (found.ok_or_else(missing)?, Value::String(id))
        }
    };
    let outcome = record.get("outcome").and_then(|outcome| Outcome::deserialize(outcome).ok());
    let outcome = outcome.ok_or("what was given is no record: it has no outcome; pass a record, or its id")?;
    if !outcome.wrote() {
        println!("{}: the record says {}, and wrote nothing to take back", show::mind("refused"), outcome.name());
        return Ok(false);
    }
    let function = function(&arguments, &session.place);
    if !arguments.json {
        plan(&record, &arguments, function.as_deref());
    }
    if !asking::goes_on("Take it back?", arguments.yes)? {
        return Ok(false);
    }
    let id = record.get("id").and_then(Value::as_str).unwrap_or_default();
    let request = json!({
        "mode": "undo",
        "record": sent,
        "override": arguments.overrides,
        "reason": arguments.reason,
        "leave_alone_hours": arguments.leave_alone,
        "caller": session.proof(&format!("undo {id}")).await?,
    });
    let answer = if let Some(function) = function {
        carry::through(&session, &function, &request).await?
    } else {
        let task = ::undo::task(request, Some(&session.ledger)).await;
        let ::undo::Task { control, request, parameters } = task.map_err(|unable| match unable {
            Unable::Rejected(why) | Unable::Later(why) => why,
        })?;
        carry::here(&session, control, &request, parameters).await?
    };
    if arguments.json {
        println!("{answer}");
    }
    Ok(if arguments.json { print::is_done(&answer) } else { print::answer(&answer) })
}

/// The function that takes it back; none if this process does.
fn function(arguments: &Arguments, place: &Place) -> Option<String> {
    if arguments.here {
        return None;
    }
    let set = || variable("SUTURE_UNDO_FUNCTION").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let of_the_deployment = || match place {
        Place::Table(_) => set().or_else(|| place.undo_function()),
        Place::File(_) => None,
    };
    arguments.function.clone().or_else(of_the_deployment)
}

fn plan(record: &Value, arguments: &Arguments, function: Option<&str>) {
    println!("{} {}", show::head("To take back:"), print::of(record));
    let (outcome, why) = (text(record, "/outcome"), words::why(record, "/why"));
    print::labelled("record", &format!("{}, {}", text(record, "/id"), moment_of(&text(record, "/began"))));
    print::labelled("it ended", &format!("{outcome}: {why}"));
    print::values("it wrote", list(record, "/changes"));
    print::values("to be written now, if nobody changed it since", list(record, "/undo"));
    let alone = match arguments.leave_alone {
        Some(0) => "not at all: the next look may do it again".to_owned(),
        Some(hours) => format!("{hours} hours"),
        None => "24 hours".to_owned(),
    };
    print::labelled("left alone then", &alone);
    print::labelled("overridden", &plain(&arguments.overrides.join(", ")));
    let by = function
        .map_or("this process, with your own permissions".to_owned(), |name| format!("the function {}", plain(name)));
    print::labelled("by", &by);
}

/// The record that is meant. A file's name has a dot, a slash, or is there; an id has none of it.
fn named(given: &str) -> Result<Named, String> {
    let file = Path::new(given);
    let bytes = if given == "-" {
        read(std::io::stdin().lock())
    } else if given.contains(['.', '/']) || file.is_file() {
        std::fs::File::open(file).and_then(read)
    } else {
        return Ok(Named::Id(given.to_owned()));
    };
    let bytes = bytes.map_err(|error| format!("the record {} cannot be read: {}", shown(given), error.kind()))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|_| format!("{} is no JSON; pass a record as it was printed, or its id", shown(given)))?;
    whole(&value).map(Named::Whole)
}

fn read(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(triggers::LARGEST_EVENT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The record in a record, a piece of evidence, a line of a log or an answer.
fn whole(value: &Value) -> Result<Value, String> {
    let is_record = |value: &Value| value.get("control").is_some() && value.get("outcome").is_some();
    let mut inside = [value.get("record"), value.pointer("/records/0")].into_iter().flatten();
    let found = if is_record(value) { Some(value) } else { inside.find(|inside| is_record(inside)) };
    if list(value, "/records").len() > 1 {
        return Err("there are several records in it; pass one, or its id".to_owned());
    }
    found.cloned().ok_or_else(|| "there is no record in it; pass a record as it was printed, or its id".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_whatever_holds_it() {
        let record = json!({"id": "r-1", "control": "s3-public-bucket", "outcome": "fixed"});
        for holds in [
            record.clone(),
            json!({"schema": "suture.evidence/1", "seq": 1, "record": record}),
            json!({"control": "s3-public-bucket", "records": [record]}),
            json!({"level": "INFO", "message": "…", "record": record}),
        ] {
            assert_eq!(whole(&holds), Ok(record.clone()), "{holds}");
        }
        for wrong in [json!([]), json!({"records": [record, record]}), json!({"record": "r-1"}), json!("r-1")] {
            assert!(whole(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_looks_like_a_file_is_no_id() {
        assert!(matches!(named("8c9e1f6a-1ab0-4000-8000-000000000007-1"), Ok(Named::Id(_))));
        for missing in ["./8c9e1f6a", "record.json", "/nonexistent/record"] {
            assert!(named(missing).is_err_and(|why| why.contains("cannot be read")), "{missing}");
        }
    }
}
