//! What the system's tests share: what the binaries say of themselves, and a lab with Suture deployed in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "nothing but tests uses this, and it may fail as tests do"
)]

pub mod actions;
pub mod deployed;
pub mod ec2;
pub mod iam;
pub mod ledger;
pub mod members;
pub mod s3;
pub mod scenarios;
pub mod template;

use bytes::Bytes;
use http::Method;
use lab::call::Caller;
use lab::gateway::Happening;
use lab::runtime::{Program, Report};
use lab::{Client, Lab, Options, programs, python};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

/// As long as a machine under load may take; a test that gets its condition never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The account of the lab, of `events/` and of every control.
pub const ACCOUNT: &str = lab::call::ACCOUNT;

/// Somebody else's.
pub const OTHER_ACCOUNT: &str = "444455556666";

/// Where Suture is deployed.
pub const HOME: &str = "us-east-1";

/// What a function's binary says of itself with `--about`: see `remediation::About`.
#[derive(Clone, Debug, Deserialize)]
pub struct About {
    /// The control's id.
    pub id: String,
    /// What it does.
    pub title: String,
    /// What it never does.
    pub never: String,
    /// The CloudFormation type that it looks at.
    pub resource_type: String,
    /// Other types that it makes something of.
    pub also: Vec<String>,
    /// Where its resources are: `regional`, `global`, `deployment`.
    pub scope: String,
    /// How much harm it can do: `reversible`, `incident`.
    pub safety: String,
    /// The IAM actions that it reads with.
    pub observes_with: Vec<String>,
    /// The IAM actions that it reads tags with.
    pub tags_with: Vec<String>,
    /// The IAM actions that it lists with.
    pub lists_with: Vec<String>,
    /// The IAM actions that it fixes with.
    pub fixes_with: Vec<String>,
    /// The IAM actions that it takes fixes back with.
    pub undoes_with: Vec<String>,
    /// What actions are allowed on, by how they begin.
    pub allowed_on: Vec<(String, String)>,
    /// The API calls that it watches.
    pub watches: Vec<Watch>,
    /// Other events that it answers.
    pub incidents: Vec<String>,
    /// The Security Hub custom action that starts it.
    pub action: Option<String>,
    /// AWS Config managed rules that see the same.
    pub config_rules: Vec<String>,
    /// Security Hub controls that see the same.
    pub security_hub: Vec<String>,
    /// How often everything is looked at.
    pub sweeps: Option<String>,
    /// What an operator can set.
    pub settings: Vec<Setting>,
}

impl About {
    /// Whether it works in member accounts too.
    pub fn works_in_members(&self) -> bool {
        self.scope != "deployment"
    }

    /// Whether what AWS Config finds is something for it to do. What cuts off is started by nobody's rule.
    pub fn answers_config(&self) -> bool {
        self.safety != "incident" && !self.config_rules.is_empty()
    }
}

/// One setting: see `remediation::Setting`.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// The field of the control's parameters.
    pub field: String,
    /// The template's parameter.
    pub parameter: String,
    /// What it does.
    pub description: String,
    /// What it can be.
    pub kind: Kind,
    /// What it is unless somebody sets it.
    pub default: String,
}

/// What a setting can be: see `remediation::Kind`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A text that matches this.
    Text(String),
    /// One of these.
    Choice(Vec<String>),
    /// A number within these bounds.
    Number(i64, i64),
    /// What the stack itself made.
    Deployed,
}

/// API calls of one service.
#[derive(Clone, Debug, Deserialize)]
pub struct Watch {
    /// EventBridge's source.
    pub source: String,
    /// CloudTrail's event source.
    pub event_source: String,
    /// CloudTrail's event names.
    pub events: Vec<String>,
}

/// The folders of `functions/` that are controls, in order: those with a dash in their names.
pub fn folders() -> Vec<String> {
    every_folder().into_iter().filter(|folder| folder.contains('-')).collect()
}

/// The folders of `functions/` that are Suture's own, in order: single words.
pub fn own_folders() -> Vec<String> {
    every_folder().into_iter().filter(|folder| !folder.contains('-')).collect()
}

fn every_folder() -> Vec<String> {
    let entries = std::fs::read_dir(workspace().join("functions")).unwrap();
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    folders
}

/// What each control's binary says of itself, in the order of [`folders`].
pub fn controls() -> Vec<About> {
    folders().into_iter().map(|folder| serde_json::from_value(about(&folder)).unwrap()).collect()
}

/// What a function's binary says of itself.
pub fn about(folder: &str) -> Value {
    RUNTIME.block_on(async {
        let output = Command::new(&binaries().await[folder].path).arg("--about").output().await.unwrap();
        let about: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(about["id"], folder, "a function's id is its folder's name");
        about
    })
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    programs::workspace().unwrap()
}

/// The real command `suture`, built once.
pub async fn suture() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let built = programs::build(&workspace(), &["suture".to_owned()], false).await.unwrap();
        built["suture"].path.clone()
    };
    BUILT.get_or_init(build).await
}

/// A file of `events/`.
pub fn event(control: &str, name: &str) -> Value {
    let path = workspace().join("events").join(control).join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// One runtime for all tests of a binary, since what a lab has started ends with the runtime that it was started in.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// The lab that the tests of a binary share: no faults, mode enforce.
static SHARED: OnceCell<Lab> = OnceCell::const_new();

/// Runs a test with the shared lab. Its buckets are its own; see [`fresh`].
pub fn shared(test: impl AsyncFnOnce(&Lab)) {
    RUNTIME.block_on(async { test(SHARED.get_or_init(|| deployed(&[])).await).await });
}

/// Runs a test that starts what it needs. What it starts ends with it.
pub fn block_on(test: impl Future<Output = ()>) {
    RUNTIME.block_on(test);
}

/// Runs a test with a lab of its own, for faults and for what else would harm other tests.
pub fn alone(test: impl AsyncFnOnce(&Lab)) {
    RUNTIME.block_on(async {
        let lab = deployed(&[]).await;
        test(&lab).await;
        lab.stop().await;
    });
}

/// A lab with the template deployed in it, in mode enforce, with a second region allowed, with as much budget and patience as
/// can be, since tests bring the same drift about again and again, and with these parameters.
pub async fn deployed(parameters: &[(&str, &str)]) -> Lab {
    let mut all = BTreeMap::from([
        ("Mode", "enforce"),
        ("Regions", "us-east-1,eu-west-1"),
        ("BudgetPerHour", "100000"),
        ("BudgetPerInvocation", "100000"),
        ("Flaps", "100"),
    ]);
    all.extend(parameters.iter().copied());
    let parameters = all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let options = Options {
        home: python::home(),
        port: 0,
        template: workspace().join("template.yaml"),
        programs: binaries().await,
        parameters,
        faults: Vec::new(),
        retry_after: [Duration::from_millis(20); 2],
    };
    let lab = Lab::start(options, &|_| {}).await.unwrap();
    // The lab's retries come in milliseconds instead of a minute, so leases are as much shorter.
    for function in lab.gateway.functions.names() {
        lab.set(&function, &[("SUTURE_LEASE_SECONDS", "2")]).unwrap();
    }
    // The lab that the tests of a binary share is never stopped, which would do this.
    lab.forget_log();
    lab
}

/// The functions' binaries, built once for each process.
async fn binaries() -> BTreeMap<String, Program> {
    static BUILT: OnceCell<BTreeMap<String, Program>> = OnceCell::const_new();
    BUILT.get_or_init(|| async { programs::build(&workspace(), &every_folder(), false).await.unwrap() }).await.clone()
}

/// The same function once more, under another name, with other variables. Nothing but Invoke reaches it.
pub fn variant(lab: &Lab, function: &str, name: &str, variables: &[(&str, &str)]) {
    let mut config = lab.gateway.functions.config(function).unwrap();
    name.clone_into(&mut config.name);
    config.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    lab.gateway.functions.configure(config);
}

/// Leaves this function alone awake, and the one that takes fixes back, which no event wakes: what others are sent waits for
/// good, as with a reserved concurrency of 0. What one function writes is an event that wakes others, whose calls would meet
/// the faults, and which would write too.
pub fn only(lab: &Lab, function: &str) {
    for name in lab.gateway.functions.names() {
        let mut config = lab.gateway.functions.config(&name).unwrap();
        config.concurrency = if name == function || name == "undo" { 10 } else { 0 };
        lab.gateway.functions.configure(config);
    }
}

/// A bucket's name that no other test has.
pub fn fresh(stem: &str) -> String {
    format!("{stem}-{}", lab::quirks::error::request_id().to_lowercase())
}

/// Alice, who is careless.
pub fn alice(lab: &Lab) -> Client {
    lab.client("AKIALABALICE00000001", HOME)
}

/// Sets faults, in place of those that were.
pub fn faults(lab: &Lab, faults: &[&str]) {
    lab.gateway.faults.clear();
    for fault in faults {
        lab.gateway.faults.add(fault.parse().unwrap());
    }
}

/// Invokes a function, and waits. A request for an undo goes to the function that takes fixes back, where a control's own
/// function sends it; unless it says otherwise, what it opens again is not left alone, since tests want the same drift mended
/// more than once. The calls in the report are the control's; those of the engine for every control alike are left out.
pub async fn invoke(lab: &Lab, function: &str, event: &Value) -> Report {
    of_the_control(invoke_whole(lab, function, event).await)
}

/// The same, with the engine's own calls in the report.
pub async fn invoke_whole(lab: &Lab, function: &str, event: &Value) -> Report {
    let mut event = event.clone();
    let undo = event["mode"] == "undo";
    if undo && event.get("leave_alone_hours").is_none() {
        event["leave_alone_hours"] = 0.into();
    }
    let function = if undo { "undo" } else { function };
    timeout(PATIENCE, lab.invoke(function, &event)).await.unwrap().unwrap()
}

/// Invokes a function as its schedule does where Suture looks after this region alone, as it does here from then on, and
/// waits, as [`fire_everywhere`] does.
pub async fn fire(lab: &Lab, function: &str) -> Vec<Report> {
    let config = lab.gateway.functions.config(function).unwrap();
    // Not a second time: its process would be another, and would have to read again what it knows.
    if config.environment.get("SUTURE_REGIONS").is_some_and(|regions| regions != HOME) {
        lab.set(function, &[("SUTURE_REGIONS", HOME)]).unwrap();
    }
    fire_everywhere(lab, function).await
}

/// Invokes a function as its schedule does, and waits for it and for all that it hands to others of its kind: its own report
/// first. Without the engine's own calls.
pub async fn fire_everywhere(lab: &Lab, function: &str) -> Vec<Report> {
    let mut happenings = lab.listen();
    let mut reports = lab.fire(function).await.unwrap();
    lab.queues_settled(PATIENCE * 2).await.unwrap();
    reports.extend(queued(lab, &mut happenings, function));
    reports.into_iter().map(of_the_control).collect()
}

/// The invocations of a function so far that messages of its queue led to.
pub fn queued(lab: &Lab, happenings: &mut Receiver<Happening>, function: &str) -> Vec<Report> {
    let spec = lab.template.functions.iter().find(|spec| spec.code_dir == function).unwrap();
    let mut reports = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        if let Happening::Invocation(report) = happening
            && report.function == function
            && spec.queues.iter().any(|queue| report.rule.as_ref() == Some(&queue.name))
        {
            reports.push(*report);
        }
    }
    reports
}

/// Sends a function an event as EventBridge does, nobody waiting, and waits until it was handled, tries again and all; the
/// reports of all tries.
pub async fn delivered(lab: &Lab, function: &str, event: &Value) -> Vec<Report> {
    let mut happenings = lab.listen();
    lab.gateway.functions.invoke_async(function, "a-test", event.to_string().into());
    let mut reports = Vec::new();
    let seen = async {
        loop {
            if let Happening::Invocation(report) = happenings.recv().await.unwrap()
                && report.function == function
                && report.rule.as_deref() == Some("a-test")
            {
                let done = report.answer.is_ok() || reports.len() >= 2;
                reports.push(of_the_control(*report));
                if done {
                    return;
                }
            }
        }
    };
    timeout(PATIENCE, seen).await.expect("it was handled");
    reports
}

/// A report without the calls that the engine makes for every control: to the ledger, and to learn who asks.
pub fn of_the_control(mut report: Report) -> Report {
    report.calls.retain(|call| !actions::of_the_engine(&call.name()));
    report
}

/// The next invocation of this function by a rule that is about this resource, whatever it came to. One event can wake
/// several functions.
pub async fn reported(happenings: &mut Receiver<Happening>, function: &str, resource: &str) -> Report {
    let seen = async {
        loop {
            if let Happening::Invocation(report) = happenings.recv().await.unwrap()
                && report.function == function
                && report.rule.is_some()
                && report.log.iter().any(|line| line.contains(resource))
            {
                return of_the_control(*report);
            }
        }
    };
    timeout(PATIENCE, seen).await.expect("an invocation")
}

/// Waits until a control is about to write: its intent is in the ledger. What the recorder puts there is none.
pub async fn about_to_write(happenings: &mut Receiver<Happening>) {
    let seen = async {
        loop {
            match happenings.recv().await.unwrap() {
                Happening::Call(call)
                    if call.name() == "dynamodb:TransactWriteItems"
                        && call.status == 200
                        && !matches!(&call.caller, Caller::Role { session, .. } if session == "recorder") =>
                {
                    return;
                }
                _ => {}
            }
        }
    };
    timeout(PATIENCE, seen).await.unwrap();
}

/// Does something that must succeed, and waits for the invocation of this function that its event leads to.
pub async fn leads_to(
    lab: &Lab,
    function: &str,
    client: &Client,
    method: Method,
    target: &str,
    body: impl Into<Bytes>,
) -> Report {
    let resource = target.trim_start_matches('/').split(['?', '/']).next().unwrap_or_default().to_owned();
    let mut happenings = lab.listen();
    client.must(method, target, body).await.unwrap();
    reported(&mut happenings, function, &resource).await
}

/// The one record of an invocation's answer.
pub fn record(report: &Report) -> Value {
    let answer = report.json();
    match answer["records"].as_array().map(Vec::as_slice) {
        Some([record]) => record.clone(),
        _ => panic!("not one record: {answer} {:?} {:#?}", report.answer, report.log),
    }
}

/// The last record in an invocation's log: also what one that failed has to say.
pub fn last_record(report: &Report) -> Value {
    let lines = report.log.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = lines.map(|line| line["record"].clone()).find(Value::is_object);
    found.unwrap_or_else(|| panic!("no record: {:?} {:#?}", report.answer, report.log))
}

/// The outcome of an invocation's one record.
pub fn outcome(report: &Report) -> String {
    record(report)["outcome"].as_str().unwrap_or_default().to_owned()
}

/// The names of the calls that an invocation made, in order.
pub fn calls(report: &Report) -> Vec<String> {
    report.calls.iter().map(lab::gateway::Happened::name).collect()
}

/// How many calls of an invocation could change anything.
pub fn writes(report: &Report) -> usize {
    report.calls.iter().filter(|call| call.writes).count()
}
