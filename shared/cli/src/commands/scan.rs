//! `suture scan`: a look at a whole account, which writes nothing: what has drifted, what a fix would write, what that would
//! break, and what is exempt.

mod bar;
mod kept;
mod patience;
mod tell;
mod walk;
mod whose;

use super::aws::Where;
use super::controls::find;
use super::session::{Session, Which};
use super::words::plain;
use crate::End;
use crate::show;
use crate::show::eprintln;
use bar::Bar;
use catalogue::Entry;
use kept::Kept;
use remediation::lambda::{Here, Tools};
use remediation::{Region, Scope, Settings};
use serde_json::Value;
use std::cell::RefCell;
use tell::{By, Form, Teller};
use walk::{Place, Scan, Shared};
use whose::View;

/// Look at a whole account: what has drifted, and what a fix would write. Nothing is written.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(
    after_help = "\
Examples:
  suture scan
  suture scan --control s3-public-bucket --control s3-public-policy
  suture scan --all-regions --json > drift.jsonl
  suture scan --account 111122223333 --account 444455556666 --role Audit
  suture scan --control s3-public-bucket --names | suture plan s3-public-bucket -

It needs the right to look, and no other: suture permissions --scan.",
    after_long_help = "\
Examples:
  suture scan
  suture scan --control s3-public-bucket --control s3-public-policy
  suture scan --all-regions --json > drift.jsonl
  suture scan --account 111122223333 --account 444455556666 --role Audit
  suture scan --role arn:aws:iam::444455556666:role/Audit --external-id clinic-7
  suture scan --control s3-public-bucket --names | suture plan s3-public-bucket -
  suture scan --asff > findings.json      for Security Hub
  suture scan --ocsf >> findings.jsonl    for a data lake

It needs the right to look, and no other (suture permissions --scan). What may not be looked at is
said, with what is missing, and the rest is scanned. A scan that was stopped goes on where it was;
--fresh begins anew. docs/output.md has the form of each output.

Ends with 0 if nothing has drifted, 1 if something has, 2 if something was wrong, 3 if nothing was
found but not everything could be looked at."
)]
pub struct Arguments {
    /// Only this control; may be given several times.
    #[arg(long = "control", value_name = "CONTROL", help_heading = "What to look at")]
    controls: Vec<String>,
    /// This region; may be given several times. The one that is set, if not said.
    #[arg(long = "region", value_name = "REGION", conflicts_with = "all_regions", help_heading = "What to look at")]
    regions: Vec<String>,
    /// Every region that the account has switched on (needs ec2:DescribeRegions).
    #[arg(long, help_heading = "What to look at")]
    all_regions: bool,
    /// This account; may be given several times. Your own is looked at with your own credentials, any other by --role.
    #[arg(long = "account", value_name = "ACCOUNT", help_heading = "What to look at")]
    accounts: Vec<String>,
    /// The role by which to look: its name in each --account, or the ARN of one account's.
    #[arg(long, value_name = "NAME|ARN", help_heading = "What to look at")]
    role: Option<String>,
    /// The external id that the role wants to hear.
    #[arg(long, value_name = "ID", requires = "role", help_heading = "What to look at")]
    external_id: Option<String>,
    /// The control's settings as JSON, as the template hands them to its function; with one --control.
    #[arg(
        long,
        value_name = "JSON",
        requires = "controls",
        value_parser = super::fix::settings,
        help_heading = "What to look at"
    )]
    settings: Option<Value>,
    /// Do not go on where a scan was stopped.
    #[arg(long, help_heading = "What to look at")]
    fresh: bool,
    /// Print one JSON object a line as it is found, the last a summary (docs/output.md).
    #[arg(long, group = "form", help_heading = "Output")]
    json: bool,
    /// Print the names of what a fix would mend, one a line, for plan and fix; with one --control in one region.
    #[arg(long, group = "form", requires = "controls", help_heading = "Output")]
    names: bool,
    /// Print a SARIF 2.1.0 log, for tools that show findings.
    #[arg(long, group = "form", help_heading = "Output")]
    sarif: bool,
    /// Print findings in the AWS Security Finding Format, for Security Hub's BatchImportFindings.
    #[arg(long, group = "form", help_heading = "Output")]
    asff: bool,
    /// Print an OCSF Compliance Finding a line, for data lakes.
    #[arg(long, group = "form", help_heading = "Output")]
    ocsf: bool,
    #[command(flatten)]
    which: Which,
}

impl Arguments {
    fn form(&self) -> Form {
        match self {
            Self { json: true, .. } => Form::Lines,
            Self { names: true, .. } => Form::Names,
            Self { sarif: true, .. } => Form::Sarif,
            Self { asff: true, .. } => Form::Asff,
            Self { ocsf: true, .. } => Form::Ocsf,
            _ => Form::Table,
        }
    }
}

/// Looks at everything; says whether anything has drifted.
pub async fn run(arguments: Arguments) -> Result<End, String> {
    let controls = controls(&arguments)?;
    if arguments.settings.is_some() && controls.len() != 1 {
        return Err("--settings are one control's; name it with --control, and no other".to_owned());
    }
    if arguments.names && (controls.len() != 1 || arguments.all_regions || arguments.regions.len() > 1) {
        return Err(
            "--names are of one control in one region, as plan and fix take them; --json has the rest".to_owned()
        );
    }
    let session =
        Session::open_in(&arguments.which, Where::otherwise(arguments.regions.first().map(String::as_str))).await?;
    let here = session.here().await?;
    let own = here.account.clone().ok_or("AWS did not say whose credentials these are; sign in again")?;
    let by = By { account: own.clone(), region: session.region().await? };
    let views = whose::views(&arguments, &own, by.partition())?;
    let several = views.len() > 1;
    let mut teller = Teller::begin(arguments.form(), by.clone(), several);
    let mut kepts = Vec::new();
    let mut unseen = None;
    for view in &views {
        let eyes = match Box::pin(view.open(&arguments, &session, &here)).await {
            Ok(eyes) => eyes,
            Err(why) if several => {
                teller.unreached(&view.account, &why);
                unseen
                    .get_or_insert_with(|| format!("none of the accounts could be looked at; {}: {why}", view.account));
                continue;
            }
            Err(why) => return Err(why),
        };
        teller.account(&view.account);
        let places = places(&controls, &eyes.regions, &by.region);
        let kept = Kept::open(&identity(view, &arguments, &places), arguments.fresh);
        if let Some(since) = kept.goes_on_since() {
            let of = if several { format!("account {}: ", view.account) } else { String::new() };
            eprintln!("{}: {of}goes on where a scan of {since} was stopped; --fresh begins anew", show::mind("note"));
        }
        let lists = places.iter().map(|it| (it.control.about.id, it.region.as_str(), it.control.about.resource_type));
        let bar = Bar::start(lists);
        let scan = Scan {
            tools: &eyes.tools,
            here: &eyes.here,
            account: &view.account,
            parameters: arguments.settings.as_ref(),
            shared: RefCell::new(Shared { teller, bar, kept }),
        };
        scan.again();
        scan.all(places).await;
        let (bar, kept);
        Shared { teller, bar, kept } = scan.shared.into_inner();
        bar.end();
        teller.account_ended();
        kepts.push(kept);
    }
    if let (Some(why), true) = (unseen, kepts.is_empty()) {
        return Err(why);
    }
    // Not before all accounts are done: a scan that is stopped in the second goes on there.
    let goes_on = kepts.into_iter().map(Kept::finished).max() == Some(true);
    let end = teller.end();
    if goes_on {
        eprintln!(
            "{}: the same command again looks at what could not be read, and at nothing else",
            show::mind("note")
        );
    }
    Ok(end)
}

/// Each control in each region; what is in no region, in the one that is set.
fn places(controls: &[&'static Entry], regions: &[Region], home: &Region) -> Vec<Place> {
    let places = controls.iter().flat_map(|control| {
        let global = control.about.scope == Scope::Global;
        let regions = if global { vec![home.clone()] } else { regions.to_vec() };
        regions.into_iter().map(|region| Place { control, region })
    });
    places.collect()
}

/// What a scan is told from others by.
fn identity(view: &View, arguments: &Arguments, places: &[Place]) -> Vec<String> {
    let named = places.iter().map(|place| format!("{} {}", place.control.about.id, place.region));
    let settings = arguments.settings.as_ref().map(Value::to_string).unwrap_or_default();
    [view.account.to_string(), settings].into_iter().chain(named).collect()
}

/// The controls to scan with: those that are named, or all that sweep.
fn controls(arguments: &Arguments) -> Result<Vec<&'static Entry>, String> {
    if arguments.controls.is_empty() {
        let all = catalogue::all().iter();
        return Ok(all.filter(|it| it.about.sweeps.is_some() && it.about.scope != Scope::Deployment).collect());
    }
    let named = |id: &String| {
        let control = find(id)?;
        match control.about.sweeps {
            Some(_) => Ok(control),
            None => Err(format!(
                "{id} has nothing to scan: a person or an incident names what it is for; suture plan {id} RESOURCE"
            )),
        }
    };
    arguments.controls.iter().map(named).collect()
}

/// What could not be looked at, in one plain line.
fn said(why: &str) -> String {
    plain(why).chars().take(500).collect()
}
