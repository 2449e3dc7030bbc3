//! `suture scan`: a look at a whole account, which writes nothing: what has drifted, what a fix would write, what that would
//! break, and what is exempt.

mod kept;
mod tell;

use super::controls::find;
use super::session::{Session, Which, account_of};
use super::words::plain;
use crate::End;
use crate::show;
use anstream::eprintln;
use catalogue::{Entry, Glance};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::{ProgressBar, ProgressStyle};
use kept::{Kept, Step};
use remediation::accounts::{Accounts, MemberRole};
use remediation::lambda::{Here, Look, Tools};
use remediation::sweep::Swept;
use remediation::{AccountId, Outcome, Record, Region, Scope, Settings, shown};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;
use tell::{Form, Teller};
use tokio::time::Instant;

/// How long a page of resources may take: AWS that throttles for longer is told as trouble.
const PATIENCE: Duration = Duration::from_mins(10);
/// How many places, each a control's in a region, are looked at at once. Each has some calls under way at a time.
const AT_ONCE: usize = 4;

/// Look at a whole account: what has drifted, and what a fix would write. Nothing is written.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "\
Examples:
  suture scan
  suture scan --control s3-public-bucket --control s3-public-policy
  suture scan --all-regions --json > drift.jsonl
  suture scan --role arn:aws:iam::444455556666:role/Audit --external-id clinic-7
  suture scan --sarif > drift.sarif

It needs the right to look, and no other (suture permissions --scan). What may not be looked at is
said, and the rest is scanned. A scan that was stopped goes on where it was; --fresh begins anew.

Ends with 0 if nothing has drifted, 1 if something has, 2 if something was wrong, 3 if nothing was found
but not everything could be looked at.")]
pub struct Arguments {
    /// Only this control; may be given several times.
    #[arg(long = "control", value_name = "CONTROL")]
    controls: Vec<String>,
    /// This region; may be given several times. The profile's, if not said.
    #[arg(long = "region", value_name = "REGION", conflicts_with = "all_regions")]
    regions: Vec<String>,
    /// Every region that the account has switched on (needs ec2:DescribeRegions).
    #[arg(long)]
    all_regions: bool,
    /// Look at the account of this role, as that role.
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// The external id that the role wants to hear.
    #[arg(long, requires = "role")]
    external_id: Option<String>,
    /// The control's settings as JSON, as the template hands them to its function; with one --control.
    #[arg(long, value_name = "JSON", requires = "controls", value_parser = super::fix::settings)]
    settings: Option<Value>,
    /// Print one JSON object a line as it is found, the last a summary; docs/scan.md has their form.
    #[arg(long, group = "form")]
    json: bool,
    /// Print a SARIF 2.1.0 log, for tools that show findings.
    #[arg(long, group = "form")]
    sarif: bool,
    /// Do not go on where a scan was stopped.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    which: Which,
}

/// A control in a region.
struct Place {
    control: &'static Entry,
    region: Region,
}

/// Looks at everything; says whether anything has drifted.
pub async fn run(arguments: Arguments) -> Result<End, String> {
    let controls = controls(&arguments)?;
    if arguments.settings.is_some() && controls.len() != 1 {
        return Err("--settings are one control's; name it with --control, and no other".to_owned());
    }
    let session = Session::open(&arguments.which).await?;
    let (tools, here, account) = who(&arguments, &session).await?;
    let regions = regions(&arguments, &session).await?;
    let home = session.region().await?;
    let here = Here { settings: Settings { regions: regions.clone(), ..here.settings }, ..here };
    let places = controls.iter().flat_map(|control| {
        let global = control.about.scope == Scope::Global;
        let regions = if global { vec![home.clone()] } else { regions.clone() };
        regions.into_iter().map(|region| Place { control, region })
    });
    let places: Vec<Place> = places.collect();

    let form = if arguments.json {
        Form::Lines
    } else if arguments.sarif {
        Form::Sarif
    } else {
        Form::Table
    };
    let named = places.iter().map(|place| format!("{} {}", place.control.about.id, place.region));
    let identity: Vec<String> =
        [account.to_string(), arguments.settings.as_ref().map(Value::to_string).unwrap_or_default()]
            .into_iter()
            .chain(named)
            .collect();
    let kept = Kept::open(&identity, arguments.fresh);
    if let Some(since) = kept.goes_on_since() {
        eprintln!("{}: goes on where a scan of {since} was stopped; --fresh begins anew", show::mind("note"));
    }
    let scan = Scan {
        tools: &tools,
        here: &here,
        account: &account,
        parameters: arguments.settings.as_ref(),
        shared: RefCell::new(Shared { teller: Teller::begin(form), bar: bar(places.len()), kept }),
    };
    scan.again();
    scan.all(places).await;
    let Shared { teller, bar, kept } = scan.shared.into_inner();
    bar.finish_and_clear();
    kept.finished();
    Ok(teller.end(account.as_str()))
}

/// What all places of a scan share.
struct Shared {
    teller: Teller,
    bar: ProgressBar,
    kept: Kept,
}

struct Scan<'a> {
    tools: &'a Tools,
    here: &'a Here,
    account: &'a AccountId,
    parameters: Option<&'a Value>,
    shared: RefCell<Shared>,
}

impl Scan<'_> {
    /// Tells again what an earlier, stopped scan had found.
    fn again(&self) {
        let Shared { teller, kept, .. } = &mut *self.shared.borrow_mut();
        for step in kept.steps() {
            teller.counted(&step.control, &step.counts, step.cut_short.as_deref());
            for record in &step.records {
                teller.found(record);
            }
        }
    }

    async fn all(&self, places: Vec<Place>) {
        let mut waiting: VecDeque<Place> = places.into();
        let mut working = FuturesUnordered::new();
        loop {
            while working.len() < AT_ONCE
                && let Some(place) = waiting.pop_front()
            {
                working.push(Box::pin(self.place(place)));
            }
            if working.next().await.is_none() {
                return;
            }
        }
    }

    /// Looks at a place, page by page, and keeps each page that is done.
    async fn place(&self, place: Place) {
        let (id, region) = (place.control.about.id, &place.region);
        let mut after = match self.shared.borrow().kept.stand(id, region.as_str()) {
            kept::Stand::Begins => None,
            kept::Stand::GoesOn(after) => Some(after),
            kept::Stand::Ended => {
                self.shared.borrow().bar.inc(1);
                return;
            }
        };
        loop {
            let mut records = Vec::new();
            let (swept, next) = self.page(&place, after.as_deref(), &mut records).await;
            let Shared { teller, kept, .. } = &mut *self.shared.borrow_mut();
            let counts = swept.outcomes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
            let step = Step {
                control: id.to_owned(),
                region: region.to_string(),
                after: next.clone(),
                counts,
                cut_short: swept.cut_short,
                records,
            };
            teller.counted(id, &step.counts, step.cut_short.as_deref());
            kept.keep(&step);
            if next.is_none() {
                break;
            }
            after = next;
        }
        self.shared.borrow().bar.inc(1);
    }

    async fn page(&self, place: &Place, after: Option<&str>, records: &mut Vec<Value>) -> (Swept, Option<String>) {
        let mut looked = 0_u64;
        let mut each = |record: Record| {
            looked += 1;
            let mut shared = self.shared.borrow_mut();
            shared.bar.set_message(format!("{} in {}, {looked} looked at", place.control.about.id, place.region));
            if matches!(record.outcome, Outcome::Compliant | Outcome::Gone) {
                return;
            }
            let record = serde_json::to_value(&record).unwrap_or_default();
            shared.teller.found(&record);
            records.push(record);
        };
        let look = Look { account: self.account, region: &place.region, after, each: &mut each };
        let glance = Glance {
            look,
            parameters: self.parameters.cloned(),
            tools: self.tools,
            here: self.here,
            deadline: Instant::now() + PATIENCE,
        };
        place.control.look(glance).await.unwrap_or_else(|why| {
            let cut_short = Some(format!("{}: {why}", place.control.about.id));
            (Swept { cut_short, ..Swept::default() }, None)
        })
    }
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

/// With whose eyes: the caller's, or those of a role of another account.
async fn who(arguments: &Arguments, session: &Session) -> Result<(Tools, Here, AccountId), String> {
    let here = session.here().await?;
    let sdk = session.sdk().await.clone();
    let mut tools = Tools::with(sdk.clone(), Some(session.ledger.clone()));
    let own = here.account.clone().ok_or("AWS did not say whose credentials these are; sign in again")?;
    let Some(arn) = &arguments.role else {
        let settings = Settings { accounts: vec![own.clone()], ..here.settings };
        return Ok((tools, Here { settings, ..here }, own));
    };
    let is_role = arn.starts_with("arn:") && arn.contains(":role/");
    let account = account_of(arn).ok().filter(|_| is_role);
    let account = account.ok_or_else(|| format!("{} is no ARN of a role", shown(arn)))?;
    let role = MemberRole { arn: arn.clone(), external_id: arguments.external_id.clone() };
    // The caller's own account is seen with the role, too, if it is the role's.
    tools.accounts = Accounts::new(sdk, None, Some(role.clone()));
    let settings = Settings { accounts: vec![account.clone()], member_role: Some(role), ..here.settings };
    Ok((tools, Here { settings, ..here }, account))
}

/// The regions to look in.
async fn regions(arguments: &Arguments, session: &Session) -> Result<Vec<Region>, String> {
    if arguments.all_regions {
        return ec2::regions(session.sdk().await).await.map_err(|fault| fault.to_string());
    }
    if arguments.regions.is_empty() {
        return Ok(vec![session.region().await?]);
    }
    arguments.regions.iter().map(|region| Region::parse(region)).collect()
}

/// A bar of the places, where there is a terminal; quiet in a pipe.
fn bar(places: usize) -> ProgressBar {
    let bar = ProgressBar::new(places as u64);
    let style = "{spinner} {wide_msg} [{bar:20}] {pos} of {len} lists, {elapsed}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// What could not be looked at, in one plain line.
fn said(why: &str) -> String {
    plain(why).chars().take(500).collect()
}
