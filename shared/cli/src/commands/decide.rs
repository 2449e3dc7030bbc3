//! `suture approve` and `suture reject`: a person decides on a plan that waits.

use super::session::{Session, WhichAndWhere};
use super::words::{list, moment, plain, trouble};
use super::{asking, carry, print};
use crate::show;
use crate::show::println;
use ledger::{Approval, ApprovalState};
use remediation::shown;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Decide on a plan that waits for approval.
#[derive(clap::Args)]
pub struct Arguments {
    /// The plan's id, as the message about it and suture status have it.
    id: String,
    /// Why: a ticket number, as a rule.
    #[arg(long)]
    reason: Option<String>,
    /// A gate or guard to override, by its name; may be given several times. The record shows it.
    #[arg(long = "override", value_name = "NAME")]
    overrides: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print the answer as JSON, and nothing else.
    #[arg(long, requires = "yes")]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Carry it out.
    Approve,
    /// Do not.
    Reject,
}

/// Runs it; true if it was carried out, or rejected.
pub async fn run(arguments: Arguments, word: Word) -> Result<bool, String> {
    let session = Session::open_at(&arguments.which).await?;
    let found = session.ledger.approval(&arguments.id).await.map_err(trouble)?;
    let Some((approval, _)) = found else {
        return Err(format!(
            "{} has no plan {}; suture status lists those that wait",
            session.place.says(),
            shown(&arguments.id)
        ));
    };
    if !arguments.json {
        plan(&approval);
    }
    if let Some(why) = settled(&approval, OffsetDateTime::now_utc()) {
        println!("{}: the plan {} cannot be decided on: {why}", show::mind("refused"), plain(&approval.id));
        return Ok(false);
    }
    let (verb, question) = match word {
        Word::Approve => ("approve", "Write that?"),
        Word::Reject => ("reject", "Say no to that?"),
    };
    if !asking::goes_on(question, arguments.yes)? {
        return Ok(false);
    }
    let proof = session.proof(&format!("{verb} {}", approval.id)).await?;
    let request = json!({
        "mode": verb,
        "approval": approval.id,
        "caller": proof,
        "reason": arguments.reason,
        "override": arguments.overrides,
    });
    let answer = if let Some(function) = &approval.function {
        carry::through(&session, function, &request).await?
    } else {
        let control = catalogue::find(&approval.control).ok_or_else(|| {
            format!("the plan is of the control {}, which this version does not have", shown(&approval.control))
        })?;
        let parameters = approval.record.get("parameters").filter(|given| !given.is_null()).cloned();
        carry::here(&session, control, &request, parameters).await?
    };
    if arguments.json {
        println!("{answer}");
    }
    Ok(if arguments.json { print::is_done(&answer) } else { print::answer(&answer) })
}

/// Why there is nothing to decide, if so.
fn settled(approval: &Approval, now: OffsetDateTime) -> Option<String> {
    let by = || approval.by.as_deref().map_or("somebody".to_owned(), plain);
    match approval.state {
        ApprovalState::Approved => Some(format!("{} approved it already", by())),
        ApprovalState::Rejected => Some(format!("{} rejected it", by())),
        ApprovalState::Open if approval.expires <= now => Some(format!(
            "it expired at {}; if the drift is still there, it will be asked again",
            moment(approval.expires)
        )),
        ApprovalState::Open => None,
    }
}

fn plan(approval: &Approval) {
    let record: &Value = &approval.record;
    println!("{} {}", show::head(format!("Plan {}:", plain(&approval.id))), print::of(record));
    print::labelled("found", &moment(approval.made_at));
    print::labelled("caused by", &print::cause(record));
    print::values("to be written", list(record, "/changes"));
    print::values("could be taken back by", list(record, "/undo"));
    print::besides(record);
    print::labelled("can be approved until", &moment(approval.expires));
    let by = approval
        .function
        .as_deref()
        .map_or("this process, with your own permissions".to_owned(), |name| format!("the function {}", plain(name)));
    print::labelled("by", &by);
}
