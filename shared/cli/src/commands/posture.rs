//! `suture mode`, `stop`, `resume` and `tags-exempt`: the live settings. In force within seconds, without deploying.

use super::exempt::known;
use super::session::{Place, Session, WhichAndWhere, user};
use super::words::{moment, plain, trouble};
use crate::show;
use crate::show::{eprintln, println};
use ledger::{Mode as Live, Posture};
use remediation::{Safety, shown};
use serde_json::json;
use time::OffsetDateTime;

/// Say, or change, what controls do about drift by themselves.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture mode                             what every control does now
  suture mode s3-public-bucket enforce    this one writes by itself
  suture mode all approve                 those without a mode of their own ask first
  suture mode s3-public-bucket default    back to the mode of all

plan: say what would be written. approve: ask a person first. enforce: write it. What cannot be taken
back asks even under enforce. docs/operating.md has the whole table.")]
pub struct Mode {
    /// A control, or all: those that have no mode of their own.
    #[arg(value_name = "CONTROL|all")]
    control: Option<String>,
    /// The mode; default takes the setting away.
    #[arg(value_name = "MODE", value_parser = ["plan", "approve", "enforce", "default"])]
    set: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// Say, or change, whether a resource's own tag can exempt it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture tags-exempt
  suture tags-exempt off

Off unless somebody turns it on: whoever can tag a resource could then exempt it. The tag is
suture:exempt, and its value such as
  s3-public-bucket until 2027-01-31 by alice@clinic.example: the open data page")]
pub struct TagsExempt {
    /// Whether they can.
    #[arg(value_parser = ["on", "off"])]
    can: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// Stop every write everywhere, within a minute.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  suture stop --reason 'INC-123: it fights with the migration'\n\n\
                        It does not ask. Drift is still found, and recorded as refused.")]
pub struct Stop {
    /// Why; whoever meets the stop is told.
    #[arg(long)]
    reason: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// Let Suture write again.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  suture resume")]
pub struct Resume {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// Says or changes modes.
pub async fn mode(arguments: Mode) -> Result<bool, String> {
    let control = arguments.control.as_deref();
    if let Some(mode) = control.filter(|control| Live::parse(control).is_some()) {
        return Err(format!("{mode} is a mode, not a control; write: suture mode all {mode}"));
    }
    let one = control.filter(|control| *control != "all");
    if let Some(one) = one {
        known(one)?;
    }
    let session = Session::open_at(&arguments.which).await?;
    let posture = match &arguments.set {
        None => session.ledger.deployment().await.map_err(trouble)?.posture.clone(),
        Some(mode) => {
            let mode = Live::parse(mode);
            let by = session.who().await?;
            let changed = session.ledger.change(&by, OffsetDateTime::now_utc(), |posture| match (one, mode) {
                (None, mode) => posture.mode = mode,
                (Some(control), Some(mode)) => {
                    posture.modes.insert(control.to_owned(), mode);
                }
                (Some(control), None) => {
                    posture.modes.remove(control);
                }
            });
            changed.await.map_err(trouble)?
        }
    };
    if arguments.json {
        print_json(&posture);
    } else {
        print_modes(&posture, one);
    }
    if arguments.set.is_some()
        && let Some(stop) = &posture.stop
    {
        eprintln!(
            "{}: everything is stopped ({}); suture resume lets it go on",
            show::mind("note"),
            plain(&stop.reason)
        );
    }
    Ok(true)
}

/// The live settings, for scripts.
fn print_json(posture: &Posture) {
    println!(
        "{}",
        json!({
            "schema": "suture.posture/1",
            "stop": posture.stop,
            "mode": posture.mode,
            "modes": posture.modes,
            "tags_exempt": posture.tags_exempt,
        })
    );
}

/// The mode that the settings say for a control: its own, or that of all; none if they say nothing.
pub fn mode_of(posture: &Posture, control: &str) -> Option<Live> {
    posture.modes.get(control).copied().or(posture.mode)
}

/// The modes of all controls, or of one.
pub fn print_modes(posture: &Posture, one: Option<&str>) {
    let mut table = show::table(["control", "safety", "mode", "set"].map(str::to_owned));
    for entry in catalogue::all().iter().filter(|entry| one.is_none_or(|one| one == entry.about.id)) {
        let (id, safety) = (entry.about.id, entry.about.safety);
        let (mode, set) = match (posture.modes.get(id), posture.mode) {
            (Some(mode), _) => (Some(*mode), "for it"),
            (None, Some(mode)) => (Some(mode), "for all"),
            (None, None) => (None, "nowhere here"),
        };
        let mode = match mode {
            None => "as deployed".to_owned(),
            Some(Live::Enforce) if safety == Safety::Irreversible => "enforce (asks)".to_owned(),
            Some(mode) => mode.name().to_owned(),
        };
        table.add_row([id.to_owned(), safety_name(safety).to_owned(), mode, set.to_owned()]);
    }
    println!("{table}");
    if one.is_none() && posture.mode.is_none() {
        println!(
            "{}",
            show::faint("as deployed: the template's parameter Mode, or SUTURE_MODE; plan unless somebody set it.")
        );
    }
}

/// A safety class, by its name.
pub fn safety_name(safety: Safety) -> &'static str {
    match safety {
        Safety::Reversible => "reversible",
        Safety::Disruptive => "disruptive",
        Safety::Incident => "incident",
        Safety::Irreversible => "irreversible",
    }
}

/// Says or changes whether tags exempt.
pub async fn tags_exempt(arguments: TagsExempt) -> Result<bool, String> {
    let session = Session::open_at(&arguments.which).await?;
    let posture = match &arguments.can {
        None => session.ledger.deployment().await.map_err(trouble)?.posture.clone(),
        Some(can) => {
            let (can, by) = (can == "on", session.who().await?);
            let changed = session.ledger.change(&by, OffsetDateTime::now_utc(), |posture| posture.tags_exempt = can);
            changed.await.map_err(trouble)?
        }
    };
    if arguments.json {
        print_json(&posture);
        return Ok(true);
    }
    println!(
        "{}",
        if posture.tags_exempt {
            "A resource's own tag can exempt it: whoever can tag can exempt."
        } else {
            "Tags exempt nothing."
        }
    );
    Ok(true)
}

/// Stops everything.
pub async fn stop(arguments: Stop) -> Result<bool, String> {
    let reason = arguments.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 256 || reason.chars().any(char::is_control) {
        return Err("a stop needs a reason, in 256 characters at most, on one line".to_owned());
    }
    let session = Session::open_at(&arguments.which).await?;
    // Who it is can wait; the stop cannot.
    let by = session.who().await.unwrap_or_else(|why| {
        eprintln!("{}: {why}; stopping all the same", show::mind("warning"));
        format!("{} (AWS did not say who)", user())
    });
    let now = OffsetDateTime::now_utc();
    let stop = ledger::Stop { by: by.clone(), reason, at: now };
    let changed = session.ledger.change(&by, now, |posture| posture.stop = Some(stop.clone())).await;
    let posture = changed.map_err(trouble)?;
    if arguments.json {
        print_json(&posture);
        return Ok(true);
    }
    println!("{} Nothing is written any more, {}.", show::bad("Stopped."), within(&session.place));
    println!("  Drift is still found and recorded. To go on: suture resume");
    Ok(true)
}

fn within(place: &Place) -> String {
    match place {
        Place::Table(name) => format!("by any function with the ledger {name}: within a minute, and mostly at once"),
        Place::File(path) => format!(
            "by commands with the ledger {}; a deployment has its own: name its table with --ledger",
            path.display()
        ),
    }
}

/// Lets it go on.
pub async fn resume(arguments: Resume) -> Result<bool, String> {
    let session = Session::open_at(&arguments.which).await?;
    let before = session.ledger.deployment().await.map_err(trouble)?.posture.clone();
    let Some(stop) = before.stop.clone() else {
        if arguments.json {
            print_json(&before);
        } else {
            println!("It is not stopped.");
        }
        return Ok(true);
    };
    let by = session.who().await?;
    let changed = session.ledger.change(&by, OffsetDateTime::now_utc(), |posture| posture.stop = None);
    let posture = changed.await.map_err(trouble)?;
    if arguments.json {
        print_json(&posture);
        return Ok(true);
    }
    let (who, at) = (plain(&stop.by), moment(stop.at));
    println!("{} It was stopped by {who} at {at} ({}).", show::good("Resumed."), shown(&stop.reason));
    print_modes(&posture, None);
    Ok(true)
}
