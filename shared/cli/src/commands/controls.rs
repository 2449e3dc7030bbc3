//! `suture controls`, `explain` and `permissions`: what the controls are, and what they need, as their own code says.

use super::pages::page;
use super::posture::{mode_of, safety_name};
use super::session::{Session, Which};
use super::words::trouble;
use crate::show;
use crate::show::println;
use catalogue::Entry;
use ledger::Posture;
use remediation::{About, Scope, shown};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use strsim::levenshtein;

/// List the controls.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture controls
  suture controls --ledger suture-LedgerTable-1ABC2DEF    with the modes of that deployment
  suture controls | grep disruptive
  suture controls --json | jq -r '.controls[] | select(.safety == \"disruptive\").id'")]
pub struct Listing {
    /// Print one JSON object: what each control says of itself, whole.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Show a control's page.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture explain s3-public-bucket
  suture explain s3-public-bucket | less
  suture explain s3-public-bucket --json | jq -r '.observes_with[]'")]
pub struct Explain {
    /// The control.
    control: String,
    /// Print one JSON object: what it says of itself, and its page in Markdown.
    #[arg(long)]
    json: bool,
}

/// Print the IAM policy that a task needs, and no more.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture permissions --scan                               to look, in every service
  suture permissions --fix --control s3-public-bucket     to look and to write
  suture permissions --undo > policy.json

It is for your own user or role, when you work from a terminal; the functions' roles are the template's.")]
#[command(group(clap::ArgGroup::new("task").required(true)))]
pub struct Permissions {
    /// To look: scan and plan.
    #[arg(long, group = "task")]
    scan: bool,
    /// To look, and to bring things to their desired state.
    #[arg(long, group = "task")]
    fix: bool,
    /// To look, and to take fixes back.
    #[arg(long, group = "task")]
    undo: bool,
    /// Only for this control; may be given several times.
    #[arg(long = "control", value_name = "CONTROL")]
    controls: Vec<String>,
    /// The partition in the policy's ARNs.
    #[arg(long, default_value = "aws", value_parser = ["aws", "aws-us-gov", "aws-cn"])]
    partition: String,
    /// The account in the policy's ARNs, for those that name one; any, if not said.
    #[arg(long, value_parser = account)]
    account: Option<String>,
}

fn account(id: &str) -> Result<String, String> {
    remediation::AccountId::parse(id).map(|id| id.to_string())
}

/// The control with this id.
///
/// # Errors
/// There is none; the nearest name is in the message.
pub fn find(id: &str) -> Result<&'static Entry, String> {
    catalogue::find(id).ok_or_else(|| {
        let ids = catalogue::all().iter().map(|entry| entry.about.id);
        let near = ids.map(|known| (levenshtein(id, known), known)).min().filter(|(far, _)| *far <= id.len() / 3);
        let near = near.map_or_else(String::new, |(_, known)| format!(" Is it {known}?"));
        format!("there is no control {}.{near} suture controls lists them", shown(id))
    })
}

/// Lists them.
pub async fn list(arguments: Listing) -> Result<bool, String> {
    // The modes are a ledger's. Nobody has to have one to read a list.
    let posture = if arguments.which.is_said() {
        Some(Session::open(&arguments.which).await?.ledger.deployment().await.map_err(trouble)?.posture.clone())
    } else {
        None
    };
    if arguments.json {
        let controls = catalogue::all().iter().map(|entry| facts(entry.about, posture.as_ref()));
        println!("{}", json!({"schema": "suture.controls/1", "controls": controls.collect::<Vec<_>>()}));
        return Ok(true);
    }
    let mode = |about: &About| {
        let mode = posture.as_ref().map(|posture| mode_of(posture, about.id));
        mode.map_or_else(|| "?".to_owned(), |mode| mode.map_or("as deployed", |mode| mode.name()).to_owned())
    };
    println!("{}", table(&mode));
    if posture.is_none() {
        println!("\n{}", show::faint("? The modes are a ledger's: name one with --ledger, or SUTURE_LEDGER."));
    }
    println!("{}", show::faint("suture explain CONTROL shows one's page; --json has all that each says of itself."));
    Ok(true)
}

/// What a control says of itself, and its mode, where a ledger says that.
fn facts(about: &About, posture: Option<&Posture>) -> Value {
    let mut facts = serde_json::to_value(about).unwrap_or_default();
    if let (Some(posture), Some(facts)) = (posture, facts.as_object_mut()) {
        facts.insert("mode".to_owned(), json!(mode_of(posture, about.id)));
    }
    facts
}

/// The controls. What they answer to is longer than a line: it is beneath each, one list a line.
fn table(mode: &dyn Fn(&About) -> String) -> show::Table {
    let mut table = show::table(["control", "what it does", "safety", "mode"].map(str::to_owned));
    for entry in catalogue::all() {
        let about = entry.about;
        table.add_row([about.id.to_owned(), about.title.to_owned(), safety_name(about.safety).to_owned(), mode(about)]);
        let citations = about.citations.iter().map(|citation| citation.trim_start_matches("45 CFR "));
        table.note("AWS Config", about.config_rules.join(", "));
        table.note("Security Hub", about.security_hub.join(", "));
        table.note("45 CFR", citations.collect::<Vec<_>>().join(", "));
    }
    table
}

/// Shows a control's page.
pub fn explain(arguments: &Explain) -> Result<bool, String> {
    let about = find(&arguments.control)?.about;
    let page = page(about.id).ok_or_else(|| format!("{} has no page", about.id))?.trim_end();
    if arguments.json {
        let mut facts = facts(about, None);
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("schema".to_owned(), json!("suture.control/1"));
            facts.insert("page".to_owned(), json!(page));
        }
        println!("{facts}");
        return Ok(true);
    }
    match show::width() {
        Some(width) => print_page(page, width),
        None => println!("{page}"),
    }
    Ok(true)
}

/// A page in Markdown for a terminal: its paragraphs are as wide as that, and what is no text is left as it is.
fn print_page(page: &str, width: usize) {
    let mut paragraph = String::new();
    let mut code = false;
    for line in page.lines().chain([""]) {
        let fence = line.starts_with("```");
        let is_text = !code && !fence && !line.is_empty() && !line.starts_with(['#', '|', '<', ' ']);
        let is_item = line.starts_with("- ");
        if !is_text || is_item {
            for line in show::wrap(&paragraph, Some(width)).iter().filter(|line| !line.is_empty()) {
                println!("{line}");
            }
            paragraph.clear();
        }
        if is_text {
            paragraph.push_str(if paragraph.is_empty() { "" } else { " " });
            paragraph.push_str(line);
        } else if !code && line.starts_with('#') {
            println!("{}", show::head(line));
        } else {
            println!("{line}");
        }
        code ^= fence;
    }
}

/// Prints a policy.
pub fn permissions(arguments: &Permissions) -> Result<bool, String> {
    let controls: Vec<&About> = match arguments.controls.as_slice() {
        [] => outside(),
        named => named.iter().map(|id| find(id).map(|entry| entry.about)).collect::<Result<_, _>>()?,
    };
    let policy = policy(&controls, arguments);
    println!("{}", serde_json::to_string_pretty(&policy).unwrap_or_default());
    Ok(true)
}

/// The controls that are about more than the deployment itself.
fn outside() -> Vec<&'static About> {
    let all = catalogue::all().iter().map(|entry| entry.about);
    all.filter(|about| about.scope != Scope::Deployment).collect()
}

/// What a control needs for a task.
fn actions<'a>(about: &'a About, arguments: &Permissions) -> Vec<&'a str> {
    let looks = [about.observes_with, about.tags_with];
    let more = match (arguments.fix, arguments.undo) {
        (true, _) => [about.lists_with, about.fixes_with],
        (_, true) => [about.undoes_with, &[]],
        _ => [about.lists_with, &[]],
    };
    looks.into_iter().chain(more).flatten().copied().collect()
}

fn policy(controls: &[&About], arguments: &Permissions) -> Value {
    let mut by_resource: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for about in controls {
        for action in actions(about, arguments) {
            for on in about.resources_of(action) {
                let on = on.replace("${AWS::Partition}", &arguments.partition);
                let on = on.replace("${AWS::AccountId}", arguments.account.as_deref().unwrap_or("*"));
                by_resource.entry(anything(&on)).or_default().insert(action);
            }
        }
    }
    // What one control needs on everything, another's narrower resource adds nothing to.
    let everywhere = by_resource.get("*").cloned().unwrap_or_default();
    let statement = |(on, actions): (String, BTreeSet<&str>)| {
        let actions: Vec<_> = actions.into_iter().filter(|action| on == "*" || !everywhere.contains(action)).collect();
        (!actions.is_empty()).then(|| json!({"Effect": "Allow", "Action": actions, "Resource": on}))
    };
    let statements: Vec<Value> = by_resource.into_iter().filter_map(statement).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A resource as the template has it, with whatever only a deployment knows left open.
fn anything(on: &str) -> String {
    let mut parts = on.split("${");
    let mut open = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        open.push('*');
        open.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        permissions: Permissions,
    }

    fn of(line: &str) -> Value {
        let Line { permissions } = Line::try_parse_from(format!("permissions {line}").split(' ')).unwrap();
        let controls: Vec<&About> = match permissions.controls.as_slice() {
            [] => outside(),
            named => named.iter().map(|id| find(id).unwrap().about).collect(),
        };
        policy(&controls, &permissions)
    }

    fn allowed(policy: &Value) -> BTreeSet<String> {
        let statements = policy["Statement"].as_array().unwrap().iter();
        statements
            .flat_map(|one| one["Action"].as_array().unwrap())
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn to_look_takes_no_right_to_write() {
        let (scan, fix) = (allowed(&of("--scan")), allowed(&of("--fix")));
        assert!(scan.is_subset(&fix) && scan.len() < fix.len());
        let reads = |action: &&String| {
            let (_, name) = action.split_once(':').unwrap();
            ["Get", "List", "Describe"].iter().any(|word| name.starts_with(word))
        };
        let others: Vec<_> = scan.iter().filter(|action| !reads(action)).collect();
        // What a plan rehearses with DryRun has to be allowed to be rehearsed; and a report has to be made to be read.
        for action in others {
            let about = catalogue::all().iter().map(|entry| entry.about);
            let mut about = about.filter(|about| about.observes_with.contains(&action.as_str()));
            assert!(about.next().is_some(), "{action}");
        }
    }

    #[test]
    fn a_policy_names_one_control_and_the_partition_and_account_that_are_said() {
        let policy = of("--fix --control iam-stale-access-key --partition aws-us-gov --account 111122223333");
        let text = policy.to_string();
        assert!(text.contains("arn:aws-us-gov:iam::111122223333:user/*") && !text.contains("${"), "{text}");
        assert!(allowed(&policy).contains("iam:UpdateAccessKey") && !text.contains("s3:"));
        assert!(!of("--fix").to_string().contains("${"));
        assert_eq!(
            anything("arn:aws:dynamodb:${AWS::Region}:1:table/${LedgerTable}/x"),
            "arn:aws:dynamodb:*:1:table/*/x"
        );
        assert!(!of("--scan --control suture-tampering").to_string().contains("${"));
        assert!(Line::try_parse_from(["permissions"]).is_err(), "for what?");
        assert!(Line::try_parse_from(["permissions", "--scan", "--fix"]).is_err());
    }

    #[test]
    fn what_loosens_is_in_the_policy_for_undoing_alone() {
        let opens = "ec2:AuthorizeSecurityGroupIngress";
        assert!(allowed(&of("--undo --control ec2-open-security-group")).contains(opens));
        for line in ["--scan --control ec2-open-security-group", "--fix --control ec2-default-security-group"] {
            assert!(!allowed(&of(line)).contains(opens), "{line}");
        }
    }

    #[test]
    fn a_slip_is_told_the_nearest_name() {
        for (slip, meant) in
            [("s3-public-buckets", "s3-public-bucket"), ("iam-stale-acess-key", "iam-stale-access-key")]
        {
            assert!(find(slip).err().unwrap().contains(&format!("Is it {meant}?")), "{slip}");
        }
        let far = find("rds-everything-at-all").err().unwrap();
        assert!(!far.contains("Is it") && far.contains("suture controls"), "{far}");
    }

    #[test]
    fn every_control_has_its_page() {
        for entry in catalogue::all() {
            assert!(page(entry.about.id).unwrap().starts_with(&format!("# {}", entry.about.id)), "{}", entry.about.id);
        }
    }
}
