//! The real command `suture`, as a person runs it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

use http::Method;
use lab::http::{ApiRequest, Upstream};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use system_tests::{PATIENCE, folders, fresh, own_folders, workspace};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// The command's binary, and beside it the functions, so that no test waits for a build but here.
async fn suture() -> PathBuf {
    let packages = [folders(), own_folders(), vec!["suture".to_owned()]].concat();
    let built = lab::programs::build(&workspace(), &packages, false).await.unwrap();
    built["suture"].path.clone()
}

async fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(suture().await);
    command.args(arguments).current_dir(workspace()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs it to its end: its exit code, and what it said on either stream.
async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    // The demo is a morning, and other labs run beside it.
    let output = timeout(PATIENCE * 4, command(arguments).await.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// `suture lab`, running.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
}

impl Running {
    async fn start(arguments: &[&str]) -> Self {
        let mut command = command(&["lab", "--port", "0", "--json"]).await;
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lab = Self { child, lines, address: String::new() };
        let first = lab.line().await;
        first["lab"].as_str().unwrap().strip_prefix("http://").unwrap().clone_into(&mut lab.address);
        lab
    }

    async fn line(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The next line that is an invocation of s3-public-bucket. One event can wake several functions.
    async fn invocation(&mut self) -> Value {
        loop {
            let mut line = self.line().await;
            if line["invocation"]["function"] == "s3-public-bucket" {
                return line["invocation"].take();
            }
        }
    }

    async fn call(&self, method: Method, target: &str) -> u16 {
        let request = ApiRequest::new(method, target).header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        );
        let gateway = Upstream::new(self.address.parse().unwrap());
        timeout(PATIENCE, gateway.send(request)).await.unwrap().unwrap().status.as_u16()
    }

    /// The processes that it has started.
    fn children(&self) -> BTreeSet<u32> {
        let parent = self.child.id().unwrap().to_string();
        let processes =
            std::fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
        processes.filter(|pid| stat(*pid).is_some_and(|fields| fields[1] == parent)).collect()
    }

    async fn signal(&mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }
}

/// A process's state, its parent and what follows; none if it is gone.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').map(str::to_owned).collect();
    (fields[0] != "Z").then_some(fields)
}

fn to_the_ledger(call: &Value) -> bool {
    call["service"] == "dynamodb"
}

/// A folder for a test's files.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(fresh("suture-demo"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn the_demo_works() {
    let folder = folder();
    let report = folder.join("morning.html");
    let (code, out, _) = run(&["demo", "--json", "--report", report.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{out}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["ok"], &told["report"]), (&json!(true), &json!(report)));
    let steps = told["steps"].as_array().unwrap();
    let ids: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        ids[..9],
        ["plan", "fix", "again", "guard", "exemption", "approval", "flap", "stop", "undo"],
        "the story of a few buckets"
    );
    assert_eq!(ids[ids.len() - 2..], ["evidence", "report"]);
    // In between, each of the other controls has its turn.
    let of = |step: &Value| step["invocation"]["function"].as_str().map(str::to_owned);
    let played: BTreeSet<_> = steps.iter().filter_map(of).collect();
    assert_eq!(played, folders().into_iter().collect());
    for step in steps {
        assert_eq!(step["ok"], true, "{step}");
        let checks = step["checks"].as_array().unwrap();
        assert!(!checks.is_empty() && checks.iter().all(|check| check["seen"] == true), "{step}");
    }
    let calls = steps[1]["invocation"]["calls"].as_array().unwrap();
    let writes = |of: fn(&Value) -> bool| calls.iter().filter(|call| call["writes"] == true && of(call)).count();
    assert_eq!(writes(to_the_ledger), 2, "what it is about to do, and what became of it: {calls:?}");
    assert_eq!(writes(|call| !to_the_ledger(call)), 1, "{calls:?}");
    assert!(steps[1]["checks"].to_string().contains("it made 1 write, and 2 to the ledger"), "{}", steps[1]);
    assert!(calls.iter().all(|call| call["caller"]["type"] == "role"), "{calls:?}");
    // What a person would type is among it, and all of it ended as it was to.
    let typed: Vec<_> = steps.iter().flat_map(|step| step["typed"].as_array().unwrap()).collect();
    let all = typed.iter().map(|typed| typed["command"].as_str().unwrap()).collect::<Vec<_>>().join("\n");
    for command in ["plan", "mode", "exempt", "approve", "stop", "resume", "fix", "undo", "verify-evidence", "report"] {
        assert!(all.lines().any(|line| line.split(' ').nth(1) == Some(command)), "{command}: {all}");
    }
    let page = std::fs::read_to_string(&report).unwrap();
    assert!(page.contains("clinic-scans") && page.contains("</html>"));
    std::fs::remove_dir_all(folder).unwrap();
}

/// For people: without colours in a pipe, in lines that can be read, and not too many of them.
#[tokio::test]
async fn the_demo_can_be_read_along() {
    let folder = folder();
    let report = folder.join("morning.html");
    let (code, out, _) = run(&["demo", "--step", "--report", report.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("Every step was seen to work") && !out.contains('\u{1b}'), "{out}");
    assert!(out.lines().count() < 150, "{} lines", out.lines().count());
    for control in folders() {
        assert!(out.contains(&control), "{control}: {out}");
    }
    // The last line says where the report is.
    assert!(out.trim_end().ends_with(report.to_str().unwrap()), "{out}");
    assert!(report.is_file());
    // Nothing of what was copied for it stays.
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter()
            .all(|name| name.to_str().unwrap().starts_with("morning") && !name.to_str().unwrap().contains("evidence")),
        "{left:?}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// What a terminal is told to export leads to the lab that runs.
#[tokio::test]
async fn the_labs_environment_reaches_it() {
    let mut lab = Running::start(&["--mode", "plan"]).await;
    let port = lab.address.rsplit(':').next().unwrap().to_owned();
    let (code, out, errors) = run(&["lab", "--env", "--port", &port]).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let program = suture().await;
    let script = format!("{out}\n{} status --json", program.display());
    let mut bash = Command::new("bash");
    bash.args(["-euc", &script]).env_clear().env("AWS_PROFILE", "somebody-elses").stdin(Stdio::null());
    let said = timeout(PATIENCE, bash.output()).await.unwrap().unwrap();
    let status: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    assert_eq!(status["exemptions"][0]["resource"], "clinic-open-data", "what the lab begins with: {status}");
    let (code, _, errors) = run(&["lab", "--env", "--port", "0"]).await;
    assert_eq!((code, errors.contains("--port 4566")), (Some(2), true), "{errors}");
    assert_eq!(lab.signal("-INT").await.code(), Some(0));
}

#[tokio::test]
async fn the_lab_fixes_what_is_opened_and_ends_when_told() {
    for signal in ["-INT", "-TERM"] {
        let mut lab = Running::start(&["--fault", "s3:PutPublicAccessBlock=throttle*1"]).await;
        assert_eq!(lab.call(Method::DELETE, "/clinic-scans?publicAccessBlock").await, 204);
        let invocation = lab.invocation().await;
        assert_eq!(invocation["answer"]["records"][0]["outcome"], "fixed", "{invocation}");
        let calls = invocation["calls"].as_array().unwrap();
        let ledger = calls.iter().filter(|call| to_the_ledger(call)).count();
        assert_eq!(calls.len() - ledger, 6, "one more than usual, for the fault: {invocation}");
        assert_eq!(ledger, 4, "two reads, the intent and the result: {invocation}");
        assert_eq!(lab.call(Method::GET, "/clinic-scans?publicAccessBlock").await, 200);
        let children = lab.children();
        assert!(children.len() >= 2, "moto and the functions that were woken");
        let status = lab.signal(signal).await;
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(children.iter().all(|pid| stat(*pid).is_none()), "{signal}");
    }
}

#[tokio::test]
async fn the_lab_in_mode_plan_only_says_so() {
    let mut lab = Running::start(&["--mode", "plan", "--parameter", "PublicWebsites=close"]).await;
    assert_eq!(lab.call(Method::DELETE, "/clinic-billing?publicAccessBlock").await, 204);
    assert_eq!(lab.invocation().await["answer"]["records"][0]["outcome"], "planned");
    assert_eq!(lab.call(Method::GET, "/clinic-billing?publicAccessBlock").await, 404);
    assert_eq!(lab.signal("-INT").await.code(), Some(0));
}

/// However it ends: not even a kill leaves a process behind.
#[tokio::test]
async fn a_killed_lab_leaves_nothing() {
    let mut lab = Running::start(&[]).await;
    assert_eq!(lab.call(Method::DELETE, "/clinic-scans?publicAccessBlock").await, 204);
    lab.invocation().await;
    let children = lab.children();
    assert!(children.len() >= 2, "moto and the functions that were woken");
    lab.signal("-KILL").await;
    let until = Instant::now() + PATIENCE;
    while children.iter().any(|pid| stat(*pid).is_some()) {
        assert!(Instant::now() < until, "{children:?} are still there");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_lab_that_loses_its_aws_says_so() {
    let mut lab = Running::start(&[]).await;
    let moto = lab.children().into_iter().next().unwrap().to_string();
    assert!(Command::new("kill").args(["-KILL", &moto]).status().await.unwrap().success());
    let status = timeout(PATIENCE, lab.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[tokio::test]
async fn the_quirks_are_listed() {
    let (code, out, _) = run(&["lab", "--quirks"]).await;
    assert_eq!(code, Some(0));
    for quirk in lab::quirks::QUIRKS {
        assert!(out.contains(quirk.id) && out.contains(quirk.source), "{}", quirk.id);
    }
    let (_, out, _) = run(&["lab", "--quirks", "--json"]).await;
    let listed: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = listed.iter().map(|quirk| quirk["id"].as_str().unwrap()).collect();
    assert_eq!(ids, lab::quirks::QUIRKS.iter().map(|quirk| quirk.id).collect::<Vec<_>>());
    assert!(listed.iter().all(|quirk| quirk["aws"] != json!(null) && quirk["moto"] != json!(null)));
}

#[tokio::test]
async fn what_cannot_be_started_is_told_in_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, expected) in [
        (vec!["lab", "--port", &port], "end what uses it, or choose another with --port"),
        (vec!["lab", "--port", "0", "--parameter", "Surprise=1"], "no parameter Surprise"),
        (vec!["lab", "--port", "0", "--parameter", "PublicWebsites=maybe"], "is not one of refuse, close"),
        (vec!["lab", "--fault", "s3:PutPublicAccessBlock=explode"], "is no fault; write it like"),
        (vec!["lab", "--parameter", "Mode"], "NAME=VALUE"),
        (vec!["lab", "--mode", "wild"], "possible values: plan, approve, enforce"),
    ] {
        let (code, out, errors) = run(&arguments).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {errors}");
        // A build that takes long says so first.
        let errors = match errors.split_once('\n') {
            Some((first, rest)) if first.starts_with("Building the functions") => rest.to_owned(),
            _ => errors,
        };
        assert!(errors.starts_with("error: ") && errors.contains(expected), "{arguments:?}: {errors}");
        if !errors.contains("--help") {
            assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
        }
    }
}
