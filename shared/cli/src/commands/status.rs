//! `suture status`: what holds now.

use super::exempt;
use super::posture::print_modes;
use super::session::{Session, WhichAndWhere, account_of};
use super::words::{list, moment, plain, text, trouble};
use crate::show;
use crate::show::println;
use ledger::{Approval, Exemption, Key, Outcome, Trouble};
use remediation::AccountId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Say what holds now.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  suture status\n  suture status --ledger suture-LedgerTable-1ABC2DEF --json | jq .stop"
)]
pub struct Arguments {
    /// The account whose writes of this hour are counted; that of your credentials, if not given.
    #[arg(long)]
    account: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// What a control did in this hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hour {
    writes: usize,
    reached: bool,
}

/// Runs it.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    let session = Session::open_at(&arguments.which).await?;
    let now = OffsetDateTime::now_utc();
    let (deployment, approvals) =
        tokio::try_join!(session.ledger.deployment(), session.ledger.approvals()).map_err(trouble)?;
    let open: Vec<&Approval> = approvals.iter().filter(|approval| approval.is_open(now)).collect();
    let exemptions = deployment.exemptions.iter().map(|(each, _)| each);
    let exemptions: Vec<&Exemption> = exemptions.filter(|each| each.is_in_force(now)).collect();
    let account = match &arguments.account {
        Some(id) => Some(AccountId::parse(id)?),
        None => session.caller().await.and_then(|caller| account_of(&caller)).ok(),
    };
    let hour = hour(&session, account.as_ref(), now).await.map_err(trouble)?;
    let posture = &deployment.posture;
    if arguments.json {
        let hour: BTreeMap<&str, Value> = hour
            .iter()
            .map(|(control, hour)| (control.as_str(), json!({"writes": hour.writes, "spent": hour.reached})))
            .collect();
        let whole = json!({
            "schema": "suture.status/1", "stop": posture.stop, "mode": posture.mode, "modes": posture.modes, "tags_exempt": posture.tags_exempt,
            "approvals": open, "exemptions": exemptions, "hour": hour,
        });
        println!("{whole}");
        return Ok(true);
    }
    println!("{} {}", show::head("Ledger:"), plain(&session.place.says()));
    match &posture.stop {
        Some(stop) => println!(
            "{} by {} at {}: {}. To go on: suture resume",
            show::bad("Stopped"),
            plain(&stop.by),
            moment(stop.at),
            plain(&stop.reason)
        ),
        None => println!("{}", show::good("Not stopped.")),
    }
    if posture.tags_exempt {
        println!("{} a resource's own tag can exempt it", show::mind("Tags exempt:"));
    }
    print_modes(posture, None);
    print_open(&open);
    exempt::print(&exemptions, now);
    print_hour(&hour, account.as_ref());
    Ok(true)
}

fn print_open(open: &[&Approval]) {
    if open.is_empty() {
        println!("Nothing waits for approval.");
        return;
    }
    let mut table = show::table(["plan", "control", "resource", "writes", "until"].map(str::to_owned));
    for approval in open {
        table.add_row([
            plain(&approval.id),
            plain(&approval.control),
            format!("{}, account {}, {}", plain(&approval.resource), approval.account, approval.region),
            list(&approval.record, "/changes").len().to_string(),
            moment(approval.expires),
        ]);
    }
    println!("{table}\n{}", show::faint("suture approve PLAN shows one whole, and asks."));
}

fn print_hour(hour: &BTreeMap<String, Hour>, account: Option<&AccountId>) {
    let written: Vec<String> = hour
        .iter()
        .map(|(control, hour)| {
            let spent = if hour.reached { ", budget spent: it only plans until the next hour" } else { "" };
            format!("{} {}{spent}", plain(control), hour.writes)
        })
        .collect();
    let of = account.map_or("account unknown".to_owned(), |account| format!("account {account}"));
    let none = "nothing".to_owned();
    println!("Written this hour ({of}): {}", if written.is_empty() { none } else { written.join("; ") });
}

/// What each control wrote in this hour, by its records; and whether its budget is spent. The count that the budget is held
/// against is the ledger's own, and can be a little larger: it counts before it writes.
async fn hour(
    session: &Session,
    account: Option<&AccountId>,
    now: OffsetDateTime,
) -> Result<BTreeMap<String, Hour>, Trouble> {
    let now = moment(now);
    let (day, this) = (now.get(..10).unwrap_or_default(), now.get(..13).unwrap_or_default());
    let items = match account {
        Some(account) => session.ledger.day(account.as_str(), day).await?,
        None => Vec::new(),
    };
    let mut hour = written(items.iter().map(|item| &item.body), this);
    for entry in catalogue::all() {
        let key = Key::new(format!("budget#{}", entry.about.id), format!("reached#{this}"));
        if session.ledger.store().get(&key).await?.is_some() {
            hour.entry(entry.about.id.to_owned()).or_default().reached = true;
        }
    }
    Ok(hour)
}

/// How many writes each control made in this hour (`2026-01-15T10`), by these records.
fn written<'a>(records: impl Iterator<Item = &'a Value>, hour: &str) -> BTreeMap<String, Hour> {
    let mut by = BTreeMap::<String, Hour>::new();
    for record in records {
        let wrote =
            record.get("outcome").is_some_and(|outcome| Outcome::deserialize(outcome).is_ok_and(Outcome::wrote));
        if wrote && text(record, "/began").starts_with(hour) {
            by.entry(text(record, "/control")).or_default().writes += list(record, "/changes").len();
        }
    }
    by.retain(|_, hour| hour.writes > 0);
    by
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_this_hour_is_counted_by_control() {
        let record = |control: &str, outcome: &str, began: &str, writes: usize| json!({"control": control, "outcome": outcome, "began": began, "changes": vec!["write"; writes]});
        let records = [
            record("a", "fixed", "2026-01-15T10:45:31.204Z", 2),
            record("a", "unverified", "2026-01-15T10:00:00Z", 1),
            record("a", "fixed", "2026-01-15T09:59:59.9Z", 4),
            record("a", "planned", "2026-01-15T10:45:31Z", 8),
            record("b", "undone", "2026-01-15T10:45:31Z", 0),
        ];
        let expected = BTreeMap::from([("a".to_owned(), Hour { writes: 3, reached: false })]);
        assert_eq!(written(records.iter(), "2026-01-15T10"), expected);
    }
}
