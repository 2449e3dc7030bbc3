//! `suture history` and `suture record`: what was done to a resource, and one record of it, whole.

use super::aws::Where;
use super::exempt::known;
use super::print::{self, labelled};
use super::session::{Session, Which, WhichAndWhere, account_of};
use super::words::{json, list, moment_of, plain, text, trouble};
use crate::show;
use crate::show::println;
use ledger::Spot;
use remediation::lambda::variable;
use remediation::{AccountId, Region, Scope, shown};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// List the records of a resource, the newest first.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture history clinic-scans
  suture history sg-0a1b2c3d --region eu-west-1 --json
  suture history arn:aws:s3:::clinic-scans --control s3-public-bucket --account 111122223333")]
pub struct Arguments {
    /// The resource's name, id or ARN, as records have it.
    resource: String,
    /// Records of this control alone.
    #[arg(long)]
    control: Option<String>,
    /// The account; that of your credentials, if not given.
    #[arg(long)]
    account: Option<String>,
    /// The region; the one that is set, and those of SUTURE_REGIONS, if not given.
    #[arg(long)]
    region: Option<String>,
    /// How many, at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Print one JSON object, with the records whole.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Show one record.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  suture record 8c9e1f6a-1ab0-4000-8000-000000000007-1\n  \
                        suture record 8c9e1f6a-1ab0-4000-8000-000000000007-1 --json > record.json")]
pub struct One {
    /// The record's id.
    id: String,
    /// Print it as JSON, whole.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// A resource as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Its account, if an ARN says it.
    pub account: Option<String>,
    /// Its region, if an ARN says it.
    pub region: Option<String>,
}

/// Runs it.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    if let Some(control) = &arguments.control {
        known(control)?;
    }
    let wanted = wanted(&arguments.resource);
    let region = arguments.region.as_deref().or(wanted.region.as_deref());
    let session = Session::open_in(&arguments.which, Where::otherwise(region)).await?;
    let account = match arguments.account.as_deref().or(wanted.account.as_deref()) {
        Some(id) => AccountId::parse(id)?,
        None => {
            account_of(&session.caller().await.map_err(|why| format!("{why} (or name the account with --account)"))?)?
        }
    };
    let regions = match region {
        Some(region) => BTreeSet::from([Region::parse(region)?.to_string()]),
        None => regions(&session).await,
    };
    let mut records = Vec::new();
    for spot in spots(&wanted.name, arguments.control.as_deref(), &account, &regions)? {
        records.extend(session.ledger.history(&spot, arguments.limit).await.map_err(trouble)?);
    }
    records.retain(|record| arguments.control.as_deref().is_none_or(|of| record.get("control") == Some(&json!(of))));
    records.sort_by_key(|record| std::cmp::Reverse(text(record, "/began")));
    records.truncate(arguments.limit);
    if arguments.json {
        println!("{}", json!({"schema": "suture.history/1", "records": records}));
    } else if records.is_empty() {
        println!("{} has no record of {} in account {account}.", session.place.says(), shown(&wanted.name));
    } else {
        let mut table = show::table(["began", "control", "outcome", "why", "record"].map(str::to_owned));
        for record in &records {
            let began = moment_of(&text(record, "/began"));
            let [control, outcome, why, id] =
                ["/control", "/outcome", "/why", "/id"].map(|pointer| text(record, pointer));
            table.add_row([began, control, outcome, why, id]);
        }
        println!("{table}\n{}", show::faint("suture record RECORD shows one whole."));
    }
    Ok(true)
}

/// The regions to look in: the one that is set, and those that may be changed.
async fn regions(session: &Session) -> BTreeSet<String> {
    let listed = variable("SUTURE_REGIONS").unwrap_or_default();
    let listed = listed.split(',').filter_map(|region| Region::parse(region.trim()).ok());
    let set = session.region().await.ok();
    listed.chain(set).map(|region| region.to_string()).collect()
}

/// A name, or the name, account and region in an ARN.
pub fn wanted(given: &str) -> Wanted {
    let mut parts = given.splitn(6, ':');
    if parts.next() != Some("arn") {
        return Wanted { name: given.to_owned(), account: None, region: None };
    }
    let mut parts = parts.skip(2).map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
    let (region, account) = (parts.next().flatten(), parts.next().flatten());
    let rest = parts.next().flatten().unwrap_or_default();
    let name = rest.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    Wanted { name, account, region }
}

/// Where records of a resource with this name can be: under every type that a control, or this control, looks at.
fn spots(
    name: &str,
    control: Option<&str>,
    account: &AccountId,
    regions: &BTreeSet<String>,
) -> Result<Vec<Spot>, String> {
    let mut seen = BTreeSet::new();
    let mut spots = Vec::new();
    for entry in catalogue::all().iter().filter(|entry| control.is_none_or(|control| control == entry.about.id)) {
        let places: Vec<Option<Region>> = match entry.about.scope {
            Scope::Global => vec![None],
            Scope::Regional | Scope::Deployment => {
                regions.iter().filter_map(|region| Region::parse(region).ok()).map(Some).collect()
            }
        };
        if places.is_empty() && control.is_some() {
            return Err("no AWS region is set; name one with --region".to_owned());
        }
        for region in places {
            let spot = Spot {
                control: entry.about.id.to_owned(),
                account: account.clone(),
                region,
                resource_type: entry.about.resource_type.to_owned(),
                resource: name.to_owned(),
            };
            if seen.insert(spot.partition()) {
                spots.push(spot);
            }
        }
    }
    Ok(spots)
}

/// Shows one record.
pub async fn one(arguments: One) -> Result<bool, String> {
    let session = Session::open_at(&arguments.which).await?;
    let record = session.ledger.record(&arguments.id).await.map_err(trouble)?;
    let Some(record) = record else {
        return Err(format!(
            "{} has no record {}; suture history RESOURCE lists a resource's",
            session.place.says(),
            shown(&arguments.id)
        ));
    };
    if arguments.json {
        println!("{record}");
    } else {
        show_one(&record);
    }
    Ok(true)
}

fn show_one(record: &Value) {
    let field = |pointer: &str| text(record, pointer);
    println!("{} {}", show::outcome(&field("/outcome")), print::of(record));
    labelled("why", &field("/why"));
    labelled("refused by", &field("/refused_by"));
    labelled("began", &moment_of(&field("/began")));
    labelled("caused by", &print::cause(record));
    labelled("event", &field("/cause/event_id"));
    labelled("asked by", &field("/asked_by"));
    labelled("reason", &field("/reason"));
    labelled("mode", &field("/mode"));
    labelled("approved by", &field("/approval/by"));
    labelled("approval", &field("/approval/id"));
    let exemption = ["/exemption/id", "/exemption/owner", "/exemption/reason"].map(field);
    labelled("exemption", &if exemption.concat().is_empty() { String::new() } else { exemption.join(", ") });
    labelled("takes back", &field("/undoes"));
    labelled("left alone until", &moment_of(&field("/left_alone_until")));
    let overridden: Vec<String> = list(record, "/override").iter().filter_map(Value::as_str).map(plain).collect();
    labelled("overridden", &overridden.join(", "));
    let state = |name: &str| record.get(name).filter(|state| !state.is_null()).map(json).unwrap_or_default();
    labelled("before", &state("before"));
    let wrote = matches!(field("/outcome").as_str(), "fixed" | "undone" | "partly-fixed" | "unverified");
    print::values(if wrote { "written" } else { "to be written, and not written" }, list(record, "/changes"));
    print::values("still to be written", list(record, "/remaining"));
    labelled("after", &state("after"));
    print::values("would be taken back by", list(record, "/undo"));
    print::besides(record);
    let citations: Vec<String> = list(record, "/citations").iter().filter_map(Value::as_str).map(plain).collect();
    labelled("serves", &citations.join(", "));
    if let Some(archived) = record.get("archived") {
        let number = archived.get("seq").map(Value::to_string).unwrap_or_default();
        labelled("evidence", &format!("piece {number}, {}, {}", text(archived, "/key"), text(archived, "/hash")));
    }
    labelled("record", &field("/id"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_name_account_and_region() {
        for (given, name, account, region) in [
            ("clinic-scans", "clinic-scans", None, None),
            ("arn:aws:s3:::clinic-scans", "clinic-scans", None, None),
            (
                "arn:aws:ec2:eu-west-1:111122223333:security-group/sg-0a1b",
                "sg-0a1b",
                Some("111122223333"),
                Some("eu-west-1"),
            ),
            ("arn:aws:iam::111122223333:user/staff/alice", "alice", Some("111122223333"), None),
        ] {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let expected = Wanted { name: name.to_owned(), account: owned(account), region: owned(region) };
            assert_eq!(wanted(given), expected, "{given}");
        }
    }

    #[test]
    fn a_name_is_looked_for_under_every_type_once() {
        let account = AccountId::parse("111122223333").unwrap();
        let regions = BTreeSet::from(["us-east-1".to_owned(), "eu-west-1".to_owned()]);
        let all = spots("clinic-scans", None, &account, &regions).unwrap();
        let partitions: BTreeSet<String> = all.iter().map(Spot::partition).collect();
        assert_eq!(partitions.len(), all.len());
        for expected in [
            "resource#111122223333#us-east-1#AWS::S3::Bucket#clinic-scans",
            "resource#111122223333#eu-west-1#AWS::S3::Bucket#clinic-scans",
            "resource#111122223333#global#AWS::IAM::User#clinic-scans",
        ] {
            assert!(partitions.contains(expected), "{expected} of {partitions:?}");
        }
        let one = spots("clinic-scans", Some("s3-public-bucket"), &account, &regions).unwrap();
        assert_eq!(one.len(), 2);
        assert!(spots("clinic-scans", Some("s3-public-bucket"), &account, &BTreeSet::new()).is_err());
    }
}
