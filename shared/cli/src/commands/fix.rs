//! `suture plan` and `suture fix`: resources that a person names, looked at and mended by this very process, with the gates,
//! the ledger and the records of a function.

use super::aws::Where;
use super::controls::find;
use super::history::wanted;
use super::session::{Session, Which};
use super::words::{list, named, plain, text};
use super::{asking, carry, kind, print};
use crate::show;
use crate::show::println;
use catalogue::Entry;
use remediation::{AccountId, Region, shown};
use serde_json::{Value, json};

/// Say what a fix would write, and what that would break. Nothing is written.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture plan s3-public-bucket clinic-scans
  suture plan iam-stale-access-key alice bob --json
  suture plan ec2-open-security-group sg-0123456789abcdef0 --region eu-west-1
  suture scan --control s3-public-bucket --names | suture plan s3-public-bucket -

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
  suture scan --control s3-public-acl --names | suture fix s3-public-acl - --yes --reason CHG-7

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
    /// The resources: names, ids or ARNs; - for those on standard input, one a line.
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
    /// The control, if the resources can be of its kind.
    fn control(&self) -> Result<&'static Entry, String> {
        let control = find(&self.control)?;
        self.resources.iter().try_for_each(|resource| kind::fits(control, resource))?;
        Ok(control)
    }

    /// With the names that are piped in.
    fn with_names(mut self) -> Result<Self, String> {
        self.resources = named(&self.resources)?;
        Ok(self)
    }

    /// The region that is meant, where none is set: the one that is named, or that an ARN names.
    fn region(&self) -> Option<String> {
        self.region.clone().or_else(|| self.resources.iter().find_map(|resource| wanted(resource).region))
    }

    /// Whether the resources can be where they are looked for.
    ///
    /// # Errors
    /// One is in another account or another region, as its ARN says.
    async fn places(&self, session: &Session, control: &Entry) -> Result<(), String> {
        if let Some(region) = &self.region {
            Region::parse(region)?;
        }
        let here = session.here().await?;
        for resource in &self.resources {
            let of = wanted(resource);
            if let (Some(named), Some(own)) = (&self.region, &of.region)
                && named != own
            {
                return Err(format!("{} is in {own}, and --region says {named}; leave --region out", shown(resource)));
            }
            let account = of.account.or_else(|| kind::is_account(control, resource).then(|| resource.clone()));
            let own = here.account.as_ref().map(AccountId::as_str).unwrap_or_default();
            if let Some(account) = account.filter(|account| account != own && here.settings.member_role.is_none()) {
                return Err(format!(
                    "{} is in account {}, and your credentials are of {own}; use a profile of that account (--profile)",
                    shown(resource),
                    plain(&account)
                ));
            }
        }
        Ok(())
    }

    /// The request for one of the resources.
    fn request(&self, resource: &str, mode: &str) -> Value {
        let mut request = json!({"control": self.control, "resource": resource, "mode": mode});
        let region = self.region.clone().or_else(|| wanted(resource).region);
        if let (Some(region), Some(fields)) = (region, request.as_object_mut()) {
            fields.insert("region".to_owned(), json!(region));
        }
        request
    }

    /// Has every resource looked at, or mended, one after the other: a person reads along. What was answered is there also if
    /// it then went wrong.
    async fn carry_out(
        &self,
        session: &Session,
        control: &Entry,
        request: impl AsyncFn(&str) -> Value,
    ) -> (Vec<Value>, Result<(), String>) {
        let mut answers = Vec::new();
        for resource in &self.resources {
            match carry::here(session, control, &request(resource).await, self.settings.clone()).await {
                Ok(answer) => answers.push(answer),
                Err(why) => return (answers, Err(self.rest(resource, why))),
            }
            if session.is_stopped() {
                return (answers, Err(self.rest(resource, "stopped".to_owned())));
            }
        }
        (answers, Ok(()))
    }

    /// Why it went no further than this resource.
    fn rest(&self, resource: &str, why: String) -> String {
        let done = self.resources.iter().position(|one| one == resource).map_or(0, |at| at + 1);
        match self.resources.len() - done {
            0 => why,
            left => format!("{why}; {left} more {} not looked at", if left == 1 { "was" } else { "were" }),
        }
    }

    fn print(&self, answers: &[Value]) {
        if self.json {
            println!("{}", json!({"schema": "suture.answers/1", "answers": answers}));
            return;
        }
        // What was wrong is told in the end, as one sentence.
        for answer in answers.iter().filter(|answer| flaw(answer).is_none()) {
            print::answer(answer);
        }
    }

    /// Whether what was named is there, and could be looked at.
    fn sound(&self, answers: &[Value]) -> Result<(), String> {
        let mut flaws = answers.iter().filter_map(flaw);
        let Some(first) = flaws.next() else { return Ok(()) };
        let first = match first {
            Flaw::Unread(why) => format!("{why}; suture explain {} says what its resources are", plain(&self.control)),
            Flaw::Wrong(why) => why,
        };
        Err(match flaws.count() {
            0 => first,
            more => format!("{first}; and something was wrong with {more} more (--json has it)"),
        })
    }
}

/// What was wrong with a resource that somebody named.
enum Flaw {
    /// It is no name of one.
    Unread(String),
    /// It is not there, or could not be looked at.
    Wrong(String),
}

fn flaw(answer: &Value) -> Option<Flaw> {
    if let Some(unread) = list(answer, "/unread").first() {
        return Some(Flaw::Unread(text(unread, "/why")));
    }
    list(answer, "/records").iter().find_map(|record| {
        let field = |pointer: &str| text(record, pointer);
        match field("/outcome").as_str() {
            "gone" => Some(Flaw::Wrong(format!(
                "there is no {} in account {} and {}; look at its name, and at --region and --profile",
                field("/resource/id"),
                field("/resource/account"),
                field("/resource/region")
            ))),
            "failed" => Some(Flaw::Wrong(format!("{} (record {})", field("/why"), field("/id")))),
            _ => None,
        }
    })
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
    let asked = arguments.asked.with_names()?;
    let control = asked.control()?;
    let session = Session::open_in(&asked.which, Where::otherwise(asked.region().as_deref())).await?;
    asked.places(&session, control).await?;
    let (answers, went) = asked.carry_out(&session, control, async |one| asked.request(one, "plan")).await;
    asked.print(&answers);
    went?;
    asked.sound(&answers)?;
    Ok(is_clean(&answers))
}

/// Runs it; true if everything is as it ought to be.
pub async fn fix(arguments: Fix) -> Result<bool, String> {
    let Fix { asked, reason, overrides, yes } = arguments;
    let asked = asked.with_names()?;
    let control = asked.control()?;
    if asked.json && !yes {
        return Err("with --json nobody can be asked; add --yes".to_owned());
    }
    let session = Session::open_in(&asked.which, Where::otherwise(asked.region().as_deref())).await?;
    session.to_carry_out(false)?;
    asked.places(&session, control).await?;
    let request = |resource: &str, mode: &str, overrides: &[String]| {
        let mut request = asked.request(resource, mode);
        if let Some(fields) = request.as_object_mut() {
            fields.insert("reason".to_owned(), json!(reason));
            fields.insert("override".to_owned(), json!(overrides));
        }
        request
    };
    if !yes {
        let (plans, went) = asked.carry_out(&session, control, async |one| request(one, "plan", &overrides)).await;
        asked.print(&plans);
        went?;
        if is_clean(&plans) {
            asked.sound(&plans)?;
            return Ok(true);
        }
        if !outcomes(&plans).any(|outcome| outcome == "planned") {
            asked.sound(&plans)?;
            println!("{}: there is nothing that may be written", show::mind("refused"));
            return Ok(false);
        }
        if !asking::goes_on("Write this?", false)? {
            return Ok(false);
        }
    }
    // A person who was shown the writes and said yes is who a mode is there to wait for.
    let named = [overrides, vec!["mode".to_owned()]].concat();
    let fixing = async |resource: &str| {
        let mut fix = request(resource, "enforce", &named);
        // Who it was is in the record where AWS can tell. The proof is good for minutes: it is made for each when it is sent.
        let proof = session.proof(&format!("enforce {resource}")).await;
        if let (Ok(proof), Some(fields)) = (proof, fix.as_object_mut()) {
            fields.insert("caller".to_owned(), json!(proof));
        }
        fix
    };
    let (answers, went) = asked.carry_out(&session, control, fixing).await;
    asked.print(&answers);
    went?;
    asked.sound(&answers)?;
    let done = |outcome: String| matches!(outcome.as_str(), "fixed" | "compliant");
    Ok(outcomes(&answers).all(done))
}
