//! `suture plan` and `suture fix`: resources that a person names, looked at and mended by this very process, with the gates,
//! the ledger and the records of a function.

use super::controls::find;
use super::session::{Session, Which};
use super::words::{list, plain, text};
use super::{asking, carry, print};
use crate::show;
use anstream::println;
use catalogue::Entry;
use serde_json::{Value, json};

/// Say what a fix would write, and what that would break. Nothing is written.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture plan s3-public-bucket clinic-scans
  suture plan iam-stale-access-key alice bob --json
  suture plan ec2-open-security-group sg-0123456789abcdef0 --region eu-west-1

Ends with 0 if there is nothing to do, 1 if there is drift, 2 if something was wrong.")]
pub struct Plan {
    #[command(flatten)]
    asked: Asked,
}

/// Bring resources to their desired state. Asks once, showing the writes.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture fix s3-public-bucket clinic-scans --reason INC-123
  suture fix s3-public-bucket clinic-scans --override public-website --reason INC-123
  suture fix iam-exposed-access-key AKIAIOSFODNN7EXAMPLE --yes --reason INC-123

It works with your own permissions (suture permissions --fix prints what they have to be). The kill
switch, exemptions and guards hold; a gate that says no names itself, and --override opens it.
Ends with 0 if everything is as it ought to be, 1 if something was refused, 2 if something was wrong.")]
pub struct Fix {
    #[command(flatten)]
    asked: Asked,
    /// Why: a ticket number, as a rule. It is in the record.
    #[arg(long)]
    reason: Option<String>,
    /// A gate or guard to override, by its name; may be given several times. The record shows it.
    #[arg(long = "override", value_name = "NAME")]
    overrides: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args)]
struct Asked {
    /// The control.
    control: String,
    /// The resources: names, ids or ARNs.
    #[arg(required = true)]
    resources: Vec<String>,
    /// The region, if not the one that the profile sets.
    #[arg(long)]
    region: Option<String>,
    /// The control's settings as JSON, as the template hands them to its function; its defaults if not said.
    #[arg(long, value_name = "JSON", env = "SUTURE_PARAMETERS", value_parser = settings)]
    settings: Option<Value>,
    /// Print one JSON object, and nothing else.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// A control's settings, as somebody types them.
pub fn settings(json: &str) -> Result<Value, String> {
    let object = serde_json::from_str(json).ok().filter(Value::is_object);
    object.ok_or_else(|| "it is no JSON object, such as {\"public_websites\": \"close\"}".to_owned())
}

impl Asked {
    /// The request for one of the resources.
    fn request(&self, resource: &str, mode: &str) -> Value {
        let mut request = json!({"control": self.control, "resource": resource, "mode": mode});
        if let (Some(region), Some(fields)) = (&self.region, request.as_object_mut()) {
            fields.insert("region".to_owned(), json!(region));
        }
        request
    }

    /// Has every resource looked at, or mended, one after the other: a person reads along.
    async fn carry_out(&self, session: &Session, control: &Entry, requests: &[Value]) -> Result<Vec<Value>, String> {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(carry::here(session, control, request, self.settings.clone()).await?);
        }
        Ok(answers)
    }

    fn print(&self, answers: &[Value]) {
        if self.json {
            println!("{}", json!({"answers": answers}));
        } else {
            for answer in answers {
                print::answer(answer);
            }
        }
    }
}

/// The outcomes in answers.
fn outcomes(answers: &[Value]) -> impl Iterator<Item = String> {
    answers.iter().flat_map(|answer| list(answer, "/records")).map(|record| text(record, "/outcome"))
}

/// Whether there is nothing to do, as far as the answers say.
fn is_clean(answers: &[Value]) -> bool {
    outcomes(answers).all(|outcome| outcome == "compliant" || outcome == "gone")
        && answers.iter().all(|answer| list(answer, "/unread").is_empty() && !list(answer, "/records").is_empty())
}

/// Runs it; true if there is nothing to do.
pub async fn plan(arguments: Plan) -> Result<bool, String> {
    let asked = arguments.asked;
    let control = find(&asked.control)?;
    let session = Session::open(&asked.which).await?;
    let requests: Vec<Value> = asked.resources.iter().map(|one| asked.request(one, "plan")).collect();
    let answers = asked.carry_out(&session, control, &requests).await?;
    asked.print(&answers);
    Ok(is_clean(&answers))
}

/// Runs it; true if everything is as it ought to be.
pub async fn fix(arguments: Fix) -> Result<bool, String> {
    let Fix { asked, reason, overrides, yes } = arguments;
    let control = find(&asked.control)?;
    if asked.json && !yes {
        return Err("with --json nobody can be asked; add --yes".to_owned());
    }
    let session = Session::open(&asked.which).await?;
    let request = |resource: &String, mode: &str, overrides: &[String]| {
        let mut request = asked.request(resource, mode);
        if let Some(fields) = request.as_object_mut() {
            fields.insert("reason".to_owned(), json!(reason));
            fields.insert("override".to_owned(), json!(overrides));
        }
        request
    };
    if !yes {
        let plans: Vec<Value> = asked.resources.iter().map(|one| request(one, "plan", &overrides)).collect();
        let plans = asked.carry_out(&session, control, &plans).await?;
        asked.print(&plans);
        if is_clean(&plans) {
            return Ok(true);
        }
        if !outcomes(&plans).any(|outcome| outcome == "planned") {
            println!("{}: there is nothing that may be written", show::mind("refused"));
            return Ok(false);
        }
        if !asking::goes_on("Write this?", false)? {
            return Ok(false);
        }
    }
    // A person who was shown the writes and said yes is who a mode is there to wait for.
    let named = [overrides, vec!["mode".to_owned()]].concat();
    let caller = |resource: &String| format!("enforce {resource}");
    let mut fixes = Vec::new();
    for resource in &asked.resources {
        let mut fix = request(resource, "enforce", &named);
        // Who it was is in the record where AWS can tell.
        if let (Ok(proof), Some(fields)) = (session.proof(&caller(resource)).await, fix.as_object_mut()) {
            fields.insert("caller".to_owned(), json!(proof));
        }
        fixes.push(fix);
    }
    let answers = asked.carry_out(&session, control, &fixes).await?;
    asked.print(&answers);
    let done = |outcome: String| matches!(outcome.as_str(), "fixed" | "compliant" | "gone");
    let unread = answers.iter().any(|answer| !list(answer, "/unread").is_empty());
    if unread && !asked.json {
        println!("{}", show::faint(plain("suture explain shows what a control's resources are called.")));
    }
    Ok(!unread && outcomes(&answers).all(done))
}
