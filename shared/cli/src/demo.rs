//! `suture demo`: a bucket is opened, and Suture closes it, on a local AWS; then each of the other controls has its turn.

mod others;

use crate::account::{self, ALICE, Deployment, HOME_REGION, public_policy};
use crate::lab::{of_the_ledger, told};
use crate::show::{self, Progress};
use ::lab::gateway::Happening;
use ::lab::runtime::Report;
use ::lab::{Client, Lab};
use anstream::println;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Watch a bucket being opened and closed again, on a local AWS, in a few seconds.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

const FUNCTION: &str = "s3-public-bucket";
const BUCKET: &str = "clinic-scans";
/// The function that takes fixes back.
const UNDO: &str = "undo";

/// What was seen in one step.
struct Step {
    id: &'static str,
    title: &'static str,
    /// What was to be seen, and whether it was.
    checks: Vec<(String, bool)>,
    report: Option<Report>,
}

impl Step {
    fn new(id: &'static str, title: &'static str, report: Option<Report>) -> Self {
        Self { id, title, checks: Vec::new(), report }
    }

    fn see(&mut self, what: impl Into<String>, seen: bool) {
        self.checks.push((what.into(), seen));
    }

    fn ok(&self) -> bool {
        self.checks.iter().all(|(_, seen)| *seen)
    }

    fn record(&self) -> Value {
        let answer = self.report.as_ref().map(Report::json).unwrap_or_default();
        answer.pointer("/records/0").cloned().unwrap_or_default()
    }

    /// The record says this outcome.
    fn see_outcome(&mut self, outcome: &str) {
        let said = self.record().get("outcome").and_then(Value::as_str).unwrap_or("nothing").to_owned();
        self.see(format!("the function says {said}"), said == outcome);
    }

    /// The function made this many writes. What it writes to the ledger is counted apart.
    fn see_writes(&mut self, writes: usize) {
        let all = self.report.iter().flat_map(|report| &report.calls).filter(|call| call.writes);
        let (ledger, own): (Vec<_>, Vec<_>) = all.partition(|call| of_the_ledger(call));
        let (made, noted) = (own.len(), ledger.len());
        let and = if noted == 0 { String::new() } else { format!(", and {noted} to the ledger") };
        self.see(format!("it made {made} write{}{and}", if made == 1 { "" } else { "s" }), made == writes);
    }
}

/// Runs the demo; true if every step was seen to work.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    let progress = Progress::start();
    let deployment = Deployment { mode: "plan", parameters: Vec::new(), port: 0, faults: Vec::new() };
    let programs = account::build(&progress).await?;
    let begun = Instant::now();
    let started = account::start(programs, deployment, &progress).await;
    progress.end();
    let mut lab = started?;
    if !arguments.json {
        println!("{} at {}, account {}\n", show::head("A local AWS"), lab.endpoint(), ::lab::call::ACCOUNT);
    }
    let mut steps = Vec::new();
    for number in 0..STEPS + others::SCENES.len() {
        let step = play(&lab, number, &steps).await;
        // A step that failed because the local AWS died should say so, and not what it was waiting for.
        let step = match step {
            Err(why) => return Err(lab.dead().await.unwrap_or(why)),
            Ok(step) => step,
        };
        if !arguments.json {
            print(number + 1, &step);
        }
        steps.push(step);
    }
    let took = begun.elapsed();
    lab.stop().await;
    let ok = steps.iter().all(Step::ok);
    if arguments.json {
        let steps: Vec<Value> = steps.iter().map(to_json).collect();
        println!("{}", json!({"ok": ok, "milliseconds": took.as_millis(), "steps": steps}));
    } else if ok {
        println!("{} Every step was seen to work, in {}.", show::good("✔"), show::ms(took));
        println!("{}", show::faint("Next: suture lab, and open a bucket yourself with the AWS CLI."));
    } else {
        println!("{} Not every step was seen to work.", show::bad("✘"));
    }
    Ok(ok)
}

/// The steps with the bucket; the others follow.
const STEPS: usize = 6;

async fn play(lab: &Lab, number: usize, before: &[Step]) -> Result<Step, String> {
    let alice = lab.client(ALICE, HOME_REGION);
    match number {
        0 => plan(lab, &alice).await,
        1 => fix(lab, &alice).await,
        2 => own_call(lab).await,
        3 => again(lab).await,
        4 => website(lab, &alice).await,
        5 => undo(lab, before.get(1).map(Step::record).unwrap_or_default()).await,
        other => match others::SCENES.get(other - STEPS) {
            Some(scene) => others::play(lab, scene).await,
            None => Err(format!("there is no step {other}")),
        },
    }
}

async fn plan(lab: &Lab, alice: &Client) -> Result<Step, String> {
    let doing = alice.must(Method::DELETE, "/clinic-scans?publicAccessBlock", Bytes::new());
    let report = event_of(lab, FUNCTION, doing).await?;
    let mut step = Step::new(
        "plan",
        "alice takes the public access block off clinic-scans. The first day: plan only",
        Some(report),
    );
    step.see_outcome("planned");
    step.see_writes(0);
    step.see("the bucket is as alice left it: no block", block(lab, BUCKET).await?.is_none());
    Ok(step)
}

async fn fix(lab: &Lab, alice: &Client) -> Result<Step, String> {
    lab.set(FUNCTION, &[("SUTURE_MODE", "enforce")])?;
    let policy = public_policy(BUCKET);
    let report = event_of(lab, FUNCTION, alice.must(Method::PUT, "/clinic-scans?policy", policy)).await?;
    let mut step =
        Step::new("fix", "The mode is set to enforce, and alice lets everybody read clinic-scans", Some(report));
    step.see_outcome("fixed");
    step.see_writes(1);
    step.see("read independently: all four settings of the block are on", block(lab, BUCKET).await? == Some(4));
    let nobody = alice.s3(Method::PUT, "/clinic-scans?policy", public_policy(BUCKET)).await?;
    step.see("the public policy cannot be put again (403)", nobody.status == StatusCode::FORBIDDEN);
    Ok(step)
}

async fn own_call(lab: &Lab) -> Result<Step, String> {
    let event = json!({
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "account": ::lab::call::ACCOUNT,
        "region": HOME_REGION,
        "detail": {
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutBucketPublicAccessBlock",
            "awsRegion": HOME_REGION,
            "recipientAccountId": ::lab::call::ACCOUNT,
            "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": own_role(lab)}}},
            "requestParameters": {"bucketName": BUCKET},
        },
    });
    let rules = lab.gateway.bus.matching(&event).iter().filter(|rule| rule.target == FUNCTION).count();
    let report = lab.invoke(FUNCTION, &event).await?;
    let mut step = Step::new("loop", "Suture's own write is an event too. It must not set Suture off", Some(report));
    step.see("the rule leaves it out", rules == 0);
    let answer = step.report.as_ref().map(Report::json).unwrap_or_default();
    step.see(
        "the function, given it all the same, ignores it",
        answer.pointer("/unread/0/as") == Some(&json!("ignored")),
    );
    step.see_writes(0);
    Ok(step)
}

async fn again(lab: &Lab) -> Result<Step, String> {
    let report = lab.invoke(FUNCTION, &json!({"resource": BUCKET, "mode": "enforce", "reason": "a duplicate"})).await?;
    let mut step = Step::new("again", "Asked once more, by hand", Some(report));
    step.see_outcome("compliant");
    step.see_writes(0);
    Ok(step)
}

async fn website(lab: &Lab, alice: &Client) -> Result<Step, String> {
    let index =
        "<WebsiteConfiguration><IndexDocument><Suffix>home.html</Suffix></IndexDocument></WebsiteConfiguration>";
    let report = event_of(lab, FUNCTION, alice.must(Method::PUT, "/clinic-website?website", index)).await?;
    let title = "clinic-website is open because it is a website. A guard stands before what would break it";
    let mut step = Step::new("guard", title, Some(report));
    step.see_outcome("refused");
    step.see_writes(0);
    Ok(step)
}

async fn undo(lab: &Lab, record: Value) -> Result<Step, String> {
    let id = record.get("id").cloned().unwrap_or_default();
    let request = json!({"mode": "undo", "record": id, "reason": "the demo", "override": ["phi"]});
    let report = lab.invoke(UNDO, &request).await?;
    let title = "The fix of clinic-scans is taken back, by its record's id and by a function of its own; since it holds \
                 health data, only by name";
    let mut step = Step::new("undo", title, Some(report));
    step.see_outcome("undone");
    step.see_writes(1);
    step.see("read independently: no block, as it was", block(lab, BUCKET).await?.is_none());
    Ok(step)
}

fn own_role(lab: &Lab) -> String {
    let spec = lab.template.functions.iter().find(|spec| spec.code_dir == FUNCTION);
    spec.map(|spec| spec.role_arn.clone()).unwrap_or_default()
}

/// Does something, and waits for the invocation that its event leads to.
async fn event_of<T>(
    lab: &Lab,
    function: &str,
    doing: impl Future<Output = Result<T, String>>,
) -> Result<Report, String> {
    let mut happenings = lab.listen();
    doing.await?;
    let seen = async {
        loop {
            match happenings.recv().await {
                Ok(Happening::Invocation(report)) if report.function == function => return Ok(*report),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    let limit = Duration::from_secs(20);
    let late = |_| format!("no event reached the function {function} within {} seconds", limit.as_secs());
    timeout(limit, seen).await.map_err(late)?
}

/// How many of the four settings of a bucket's block are on, read past the function; none if it has no block.
async fn block(lab: &Lab, bucket: &str) -> Result<Option<usize>, String> {
    let answer =
        lab.quiet_client(HOME_REGION).s3(Method::GET, &format!("/{bucket}?publicAccessBlock"), Bytes::new()).await?;
    match answer.status {
        StatusCode::OK => Ok(Some(String::from_utf8_lossy(&answer.body).matches(">true<").count())),
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(format!("the block of {bucket} could not be read: {status}")),
    }
}

fn to_json(step: &Step) -> Value {
    let checks: Vec<Value> = step.checks.iter().map(|(what, seen)| json!({"what": what, "seen": seen})).collect();
    json!({"step": step.id, "title": step.title, "ok": step.ok(), "checks": checks, "invocation": step.report})
}

fn print(number: usize, step: &Step) {
    println!("{}", show::head(format!("{number}. {}", step.title)));
    if let Some(report) = &step.report {
        println!("{}", told(report));
    }
    let record = step.record();
    if record.get("changes").and_then(Value::as_array).is_some_and(|changes| !changes.is_empty()) {
        if record.pointer("/before/block").is_some() && record.get("control") == Some(&json!(FUNCTION)) {
            print_states(&record);
        }
        print_changes(&record);
    }
    for note in record.get("notes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        println!("  {} {note}", show::mind("note"));
    }
    for risk in record.get("breaks").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| risk.get(field).and_then(Value::as_str).unwrap_or_default();
        println!("  {} {}: {}", show::mind("would break"), text("id"), text("says"));
    }
    for (what, seen) in &step.checks {
        println!("  {} {what}", if *seen { show::good("✔") } else { show::bad("✘") });
    }
    println!();
}

fn print_states(record: &Value) {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let after = match text("/outcome").as_str() {
        "planned" => "planned",
        "refused" => "not done",
        _ => "after, read back",
    };
    let mut table = show::table([text("/resource/id"), "before".to_owned(), after.to_owned()]);
    for setting in ["block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets"] {
        let cell = |when: &str| match record.pointer(&format!("/{when}/block/{setting}")) {
            Some(Value::Bool(true)) => show::cell("on", true),
            Some(Value::Bool(false)) => show::cell("off", false),
            _ => show::cell("none", false),
        };
        table.add_row([setting.replace('_', " ").into(), cell("before"), cell("after")]);
    }
    println!("{table}");
}

fn print_changes(record: &Value) {
    for change in record.get("changes").and_then(Value::as_array).into_iter().flatten() {
        let name = change.as_object().and_then(|change| change.keys().next().map(String::as_str));
        println!("  write {}", show::head(name.or(change.as_str()).unwrap_or_default()));
    }
}
