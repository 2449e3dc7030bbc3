//! `suture exempt`, `unexempt` and `exemptions`: what is left alone, by whose word, why, and until when.

use super::controls::find;
use super::session::{Session, WhichAndWhere};
use super::words::{moment, plain, trouble, until};
use crate::show;
use crate::show::{eprintln, println};
use ledger::{Exemption, Trouble};
use remediation::{AccountId, shown};
use serde_json::json;
use time::OffsetDateTime;

/// Have controls leave something alone, for a time.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture exempt --control s3-public-bucket --resource clinic-website --owner web@clinic.example \\
      --reason 'the public website, CHG-123' --until 2027-01-31
  suture exempt --control ec2-open-security-group --tag team=web --owner web@clinic.example --reason CHG-124 --until 30d

Every condition that is given must hold. What is tagged as holding health data is never exempt from a
control against public access, whatever is written here.")]
pub struct Arguments {
    /// The control that leaves it alone; every control, if not given.
    #[arg(long)]
    control: Option<String>,
    /// The account; every account, if not given.
    #[arg(long)]
    account: Option<String>,
    /// The resource's name, in which * stands for any characters; this or --tag is needed.
    #[arg(long)]
    resource: Option<String>,
    /// A tag that the resource must have: KEY=VALUE, or KEY whatever its value.
    #[arg(long)]
    tag: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    owner: String,
    /// Why.
    #[arg(long)]
    reason: String,
    /// When it ends: a day (until its end, UTC), or a span from now on.
    #[arg(long, value_name = "DATE|30d")]
    until: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// End an exemption.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  suture unexempt e-64f1c2a9b3d08")]
pub struct Ending {
    /// The exemption's id, as suture exemptions has it.
    id: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// List exemptions.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  suture exemptions\n  suture exemptions --all --json | jq '.exemptions[].owner'")]
pub struct Listing {
    /// Those that ended, too.
    #[arg(long)]
    all: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// Makes one.
pub async fn make(arguments: Arguments) -> Result<bool, String> {
    let now = OffsetDateTime::now_utc();
    let exemption = exemption(&arguments, now)?;
    if let Some(flaw) = exemption.flaw(now) {
        return Err(flaw);
    }
    let session = Session::open_at(&arguments.which).await?;
    let exemption = Exemption { made_by: Some(session.who().await?), ..exemption };
    session.ledger.exempt(&exemption, 0).await.map_err(trouble)?;
    if arguments.json {
        println!("{}", json!({"schema": "suture.exemption/1", "exemption": exemption}));
        return Ok(true);
    }
    println!("{} {}", show::good("exempt"), covers(&exemption));
    println!("  until {}; to end it: suture unexempt {}", moment(exemption.expires), exemption.id);
    let control = exemption.control.as_deref().and_then(catalogue::find);
    if control.is_none_or(|control| control.about.exposes) {
        let note =
            "it does not hold for what is tagged as holding health data, where the drift opens that to the public";
        println!("  {} {note}", show::mind("note"));
    }
    Ok(true)
}

fn exemption(arguments: &Arguments, now: OffsetDateTime) -> Result<Exemption, String> {
    if let Some(control) = &arguments.control {
        known(control)?;
    }
    // One without any condition is refused by itself.
    let some = arguments.control.is_some() || arguments.account.is_some();
    if some && arguments.resource.is_none() && arguments.tag.is_none() {
        return Err(
            "this would be of every resource; name one with --resource or --tag, or say so: --resource '*'".to_owned()
        );
    }
    let micros = now.unix_timestamp_nanos() / 1000;
    Ok(Exemption {
        id: format!("e-{micros:x}"),
        control: arguments.control.clone(),
        account: arguments.account.as_deref().map(AccountId::parse).transpose()?,
        resource: arguments.resource.clone(),
        tag: arguments.tag.clone(),
        owner: arguments.owner.trim().to_owned(),
        reason: arguments.reason.trim().to_owned(),
        expires: until(&arguments.until, now)?,
        made_at: now,
        made_by: None,
        undo: None,
        ended: false,
    })
}

/// Whether there is a control of this name.
pub fn known(control: &str) -> Result<(), String> {
    find(control).map(drop)
}

/// Ends one.
pub async fn end(arguments: Ending) -> Result<bool, String> {
    let session = Session::open_at(&arguments.which).await?;
    let deployment = session.ledger.deployment().await.map_err(trouble)?;
    let Some((exemption, version)) = deployment.exemptions.iter().find(|(each, _)| each.id == arguments.id) else {
        return Err(format!(
            "{} has no exemption {}; suture exemptions --all lists them",
            session.place.says(),
            shown(&arguments.id)
        ));
    };
    match session.ledger.unexempt(&exemption.id, *version).await {
        Ok(()) => {
            if arguments.json {
                let ended = Exemption { ended: true, ..exemption.clone() };
                println!("{}", json!({"schema": "suture.exemption/1", "exemption": ended}));
            } else {
                println!("{} {}", show::good("no longer exempt"), covers(exemption));
            }
            Ok(true)
        }
        Err(Trouble::Conflict(_)) => {
            eprintln!("{}: somebody changed it at this moment; look again: suture exemptions", show::mind("refused"));
            Ok(false)
        }
        Err(other) => Err(trouble(other)),
    }
}

/// Lists them.
pub async fn list(arguments: Listing) -> Result<bool, String> {
    let session = Session::open_at(&arguments.which).await?;
    let deployment = session.ledger.deployment().await.map_err(trouble)?;
    let now = OffsetDateTime::now_utc();
    let listed: Vec<&Exemption> = deployment
        .exemptions
        .iter()
        .map(|(each, _)| each)
        .filter(|each| arguments.all || each.is_in_force(now))
        .collect();
    if arguments.json {
        println!("{}", json!({"schema": "suture.exemptions/1", "exemptions": listed}));
    } else {
        print(&listed, now);
    }
    Ok(true)
}

/// A table of exemptions.
pub fn print(listed: &[&Exemption], now: OffsetDateTime) {
    if listed.is_empty() {
        println!("Nothing is exempt.");
        return;
    }
    let mut table = show::table(["id", "what", "owner", "reason", "until"].map(str::to_owned));
    for each in listed {
        let end = if each.is_in_force(now) { "" } else { " (ended)" };
        table.add_row([
            plain(&each.id),
            covers(each),
            plain(&each.owner),
            plain(&each.reason),
            format!("{}{end}", moment(each.expires)),
        ]);
    }
    println!("{table}");
}

/// What an exemption is of.
fn covers(exemption: &Exemption) -> String {
    let control = exemption.control.as_deref().map_or("every control".to_owned(), plain);
    let resource = exemption.resource.as_deref().map_or("every resource".to_owned(), plain);
    let tag = exemption.tag.as_deref().map(|tag| format!(" with the tag {}", plain(tag))).unwrap_or_default();
    let account = exemption.account.as_ref().map_or("every account".to_owned(), |account| format!("account {account}"));
    format!("{control} on {resource}{tag}, {account}")
}
