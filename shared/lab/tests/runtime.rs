//! The Lambda runtime, with a small bootstrap in Python that does as its event says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use bytes::Bytes;
use lab::gateway::{Happening, Journal};
use lab::identities::Identities;
use lab::python::{environment, home};
use lab::runtime::{Config, Functions, LARGEST_EVENT, Program, Report};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

/// As long as a machine under load may take; a test that gets its condition never waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

const BOOTSTRAP: &str = r#"
import http.client, json, os, sys, time

def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()

start = sys.argv[1] if len(sys.argv) > 1 else ""
if start == "crash":
    print("no such library", file=sys.stderr, flush=True)
    sys.exit(3)
if start == "silent":
    print(os.getpid(), flush=True)
    time.sleep(600)
if start == "refuse":
    call("POST", "init/error", json.dumps({"errorType": "Suture.Settings", "errorMessage": "SUTURE_MODE is wrong"}))
    sys.exit(1)

invocations = 0
while True:
    try:
        request, event = call("GET", "invocation/next")
    except OSError:
        # The runtime is gone. Most programs end by this; not every one.
        time.sleep(600 if start == "cling" else 0)
        sys.exit(1)
    began, invocations, event = time.monotonic(), invocations + 1, json.loads(event)
    id = request.headers["Lambda-Runtime-Aws-Request-Id"]
    for line in event.get("print", []):
        print(line, flush=True)
    for line in event.get("warn", []):
        print(line, file=sys.stderr, flush=True)
    if "raw" in event:
        os.write(1, bytes(event["raw"]))
    if "pid" in event:
        print(os.getpid(), flush=True)
    if "meet" in event:
        open(os.path.join(event["meet"], id), "w").close()
        while len(os.listdir(event["meet"])) < 2:
            time.sleep(0.005)
    if "allocate" in event:
        memory = bytearray(event["allocate"] << 20)
        for at in range(0, len(memory), 4096):
            memory[at] = 1
        time.sleep(event.get("hold", 0))
    time.sleep(event.get("sleep", 0))
    if "crash" in event:
        os._exit(event["crash"])
    if invocations <= event.get("fail", 0):
        call("POST", f"invocation/{id}/error", json.dumps({"errorType": "Suture.Retry", "errorMessage": "later"}))
        continue
    if event.get("wrong id"):
        call("POST", "invocation/0/response", json.dumps("nobody's"))
    call("POST", f"invocation/{id}/response", json.dumps({
        "pid": os.getpid(), "invocations": invocations, "id": id, "event": event, "environment": dict(os.environ),
        "arn": request.headers["Lambda-Runtime-Invoked-Function-Arn"],
        "left": int(request.headers["Lambda-Runtime-Deadline-Ms"]) / 1000 - time.time(),
        "began": began, "ended": time.monotonic(),
    }))
    if "crash afterwards" in event:
        os._exit(event["crash afterwards"])
"#;

/// A runtime of the test's own, with one function `f`.
struct Bench {
    functions: Functions,
    journal: Journal,
    happenings: Receiver<Happening>,
}

impl Bench {
    async fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_init_limit(PATIENCE, change).await
    }

    async fn with_init_limit(limit: Duration, change: impl FnOnce(&mut Config)) -> Self {
        let journal = Journal::default();
        let world = BTreeMap::from([("AWS_REGION".to_owned(), "eu-west-1".to_owned())]);
        let identities = Arc::new(Identities::default());
        let retry_after = [Duration::from_millis(20), Duration::from_millis(30)];
        let functions = Functions::with_init_limit(world, "eu-west-1", identities, journal.clone(), retry_after, limit);
        let mut config = config().await;
        change(&mut config);
        functions.configure(config);
        let happenings = journal.listen();
        Self { functions, journal, happenings }
    }

    async fn invoke(&self, event: Value) -> Report {
        timeout(PATIENCE, self.functions.invoke("f", Bytes::from(event.to_string()))).await.unwrap().unwrap()
    }

    /// The next report of an invocation that nobody waits for.
    async fn reported(&mut self) -> Report {
        let seen = async {
            loop {
                if let Happening::Invocation(report) = self.happenings.recv().await.unwrap() {
                    return *report;
                }
            }
        };
        timeout(PATIENCE, seen).await.unwrap()
    }
}

async fn config() -> Config {
    let python = environment(&home(), &|_| {}).await.unwrap();
    Config {
        name: "f".to_owned(),
        program: Program {
            path: python.interpreter().to_path_buf(),
            arguments: ["-I", "-S", "-c", BOOTSTRAP].map(str::to_owned).to_vec(),
            directory: None,
        },
        role: "f-role".to_owned(),
        memory_mib: 256,
        timeout: PATIENCE,
        environment: BTreeMap::from([("SUTURE_MODE".to_owned(), "plan".to_owned())]),
        concurrency: 2,
        retries: 2,
        on_failure: None,
    }
}

fn start_with(how: &str) -> impl FnOnce(&mut Config) + use<'_> {
    |config| config.program.arguments.push(how.to_owned())
}

/// Whether a process is there, and not only as the entry that its parent has not read yet.
fn runs(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn ends(pid: u64) {
    let until = Instant::now() + PATIENCE;
    while runs(pid) {
        assert!(Instant::now() < until, "process {pid} still runs");
        sleep(Duration::from_millis(5)).await;
    }
}

fn pid(report: &Report) -> u64 {
    report.json()["pid"].as_u64().unwrap()
}

fn error(report: &Report) -> (&str, &str) {
    let error = report.answer.as_ref().unwrap_err();
    (&error.error_type, &error.error_message)
}

/// An empty folder of this test's own.
fn scratch(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime").join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn an_answer_and_a_warm_start() {
    let bench = Bench::new(|_| {}).await;
    let first = bench.invoke(json!({"a": [1, "ü"]})).await;
    let answer = first.json();
    assert_eq!(answer["event"], json!({"a": [1, "ü"]}));
    assert_eq!(answer["id"], first.request_id);
    assert_eq!(answer["arn"], "arn:aws:lambda:eu-west-1:111122223333:function:f");
    let left = answer["left"].as_f64().unwrap();
    assert!((1.0..=60.0).contains(&left), "{left}");
    assert!(first.init.is_some_and(|init| init > Duration::ZERO));
    assert!(first.memory_kib > 1024, "{}", first.memory_kib);
    assert_eq!((first.attempt, &first.rule, first.calls.len()), (1, &None, 0));

    let second = bench.invoke(json!({})).await;
    assert_eq!((second.init, second.json()["invocations"].as_u64()), (None, Some(2)), "not initialized again");
    assert_eq!(pid(&first), pid(&second));
    assert_ne!(first.request_id, second.request_id);
    bench.functions.recycle();
    ends(pid(&first)).await;
    let third = bench.invoke(json!({})).await;
    assert!(third.init.is_some() && third.json()["invocations"] == 1);
}

#[tokio::test]
async fn the_environment_is_lambdas_and_nothing_else() {
    let bench = Bench::new(|_| {}).await;
    let first = bench.invoke(json!({})).await.json();
    let environment = &first["environment"];
    for (name, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_REGION", "eu-west-1"),
        ("SUTURE_MODE", "plan"),
        ("TZ", ":UTC"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    for ours in ["HOME", "CARGO", "CARGO_MANIFEST_DIR", "USER"] {
        assert!(environment.get(ours).is_none(), "{ours} got through");
    }
    assert!(environment["AWS_ACCESS_KEY_ID"].as_str().unwrap().starts_with("ASIA"));
    bench.functions.recycle();
    let second = bench.invoke(json!({})).await.json();
    let key = |answer: &Value| answer["environment"]["AWS_ACCESS_KEY_ID"].clone();
    assert_ne!(key(&first), key(&second), "each process has a key, by which its calls are known");
}

#[tokio::test]
async fn an_error_of_the_handler_keeps_the_process() {
    let bench = Bench::new(|_| {}).await;
    let failed = bench.invoke(json!({"fail": 1, "pid": true})).await;
    assert_eq!(error(&failed), ("Suture.Retry", "later"));
    let next = bench.invoke(json!({})).await;
    assert_eq!((next.init, next.json()["invocations"].as_u64()), (None, Some(2)));
    assert_eq!(failed.log, [pid(&next).to_string()]);
}

#[tokio::test]
async fn a_crash_is_an_error_and_the_next_gets_a_new_process() {
    let bench = Bench::new(|_| {}).await;
    let crashed = bench.invoke(json!({"crash": 1, "print": ["the last words"]})).await;
    assert_eq!(error(&crashed), ("Runtime.ExitError", "the process ended: exit status: 1"));
    assert_eq!(crashed.log, ["the last words"]);
    let next = bench.invoke(json!({"crash afterwards": 1})).await;
    assert!(next.init.is_some() && next.answer.is_ok(), "an answer that was given stays: {next:?}");
    let third = bench.invoke(json!({})).await;
    assert!(third.init.is_some() && pid(&third) != pid(&next), "{third:?}");
}

#[tokio::test]
async fn a_process_that_dies_between_invocations_is_replaced() {
    let bench = Bench::new(|_| {}).await;
    let first = bench.invoke(json!({})).await;
    let killed = std::process::Command::new("kill").args(["-KILL", &pid(&first).to_string()]).status().unwrap();
    assert!(killed.success());
    ends(pid(&first)).await;
    assert!(bench.invoke(json!({})).await.init.is_some());
}

#[tokio::test]
async fn a_time_out_kills() {
    let bench = Bench::new(|config| config.timeout = Duration::from_millis(400)).await;
    let late = bench.invoke(json!({"sleep": 600, "pid": true})).await;
    assert_eq!(error(&late), ("Sandbox.Timedout", "Task timed out after 0.40 seconds"));
    assert!((Duration::from_millis(400)..Duration::from_secs(10)).contains(&late.duration), "{:?}", late.duration);
    ends(late.log[0].parse().unwrap()).await;
    let next = bench.invoke(json!({})).await;
    assert!(next.init.is_some() && next.answer.is_ok());
}

#[tokio::test]
async fn an_answer_to_another_invocation_is_none() {
    let bench = Bench::new(|_| {}).await;
    let report = bench.invoke(json!({"wrong id": true})).await;
    assert_eq!(report.json()["invocations"], 1);
}

#[tokio::test]
async fn a_start_that_fails_says_how() {
    let bench = Bench::new(start_with("crash")).await;
    let crashed = bench.invoke(json!({})).await;
    assert_eq!(error(&crashed), ("Runtime.ExitError", "the process ended: exit status: 3"));
    assert_eq!(crashed.log, ["no such library"]);

    let bench = Bench::new(start_with("refuse")).await;
    let refused = bench.invoke(json!({})).await;
    assert_eq!(error(&refused), ("Suture.Settings", "SUTURE_MODE is wrong"));

    let bench = Bench::with_init_limit(Duration::from_millis(500), start_with("silent")).await;
    let silent = bench.invoke(json!({})).await;
    assert_eq!(error(&silent), ("Sandbox.InitTimedout", "no event was asked for within 0.50 seconds"));
    ends(silent.log[0].parse().unwrap()).await;

    let bench = Bench::new(|config| config.program = Program::new("/no/such/bootstrap")).await;
    let absent = bench.invoke(json!({})).await;
    let (kind, said) = error(&absent);
    assert_eq!(kind, "Runtime.InvalidEntrypoint");
    assert!(said.starts_with("/no/such/bootstrap could not be started: No such file"), "{said}");
}

#[tokio::test]
async fn more_memory_than_allowed_kills() {
    let bench = Bench::new(|config| config.memory_mib = 64).await;
    let fine = bench.invoke(json!({"allocate": 20})).await;
    assert!(fine.answer.is_ok() && fine.memory_kib > 20 * 1024, "{fine:?}");
    let killed = bench.invoke(json!({"allocate": 100, "hold": 600, "pid": true})).await;
    assert_eq!(error(&killed), ("Runtime.ExitError", "memory limit of 64 MiB exceeded: signal: killed"));
    assert!(killed.memory_kib > 64 * 1024, "{}", killed.memory_kib);
    ends(killed.log[0].parse().unwrap()).await;
    assert!(bench.invoke(json!({})).await.answer.is_ok());
}

#[tokio::test]
async fn a_reservation_of_one_runs_one_after_the_other() {
    let bench = Bench::new(|config| config.concurrency = 1).await;
    let event = || json!({"sleep": 0.2});
    let (one, other) = tokio::join!(bench.invoke(event()), bench.invoke(event()));
    let span = |report: &Report| ["began", "ended"].map(|name| report.json()[name].as_f64().unwrap());
    let ([began, ended], [other_began, other_ended]) = (span(&one), span(&other));
    assert!(ended <= other_began || other_ended <= began, "{one:?} {other:?}");
    assert_eq!(pid(&one), pid(&other));
}

#[tokio::test]
async fn a_reservation_of_two_runs_two_at_once() {
    let bench = Bench::new(|config| config.concurrency = 1).await;
    bench.functions.configure(Config { concurrency: 2, ..config().await });
    // Neither answers before both are there.
    let event = json!({"meet": scratch("two_at_once")});
    let (one, other) = tokio::join!(bench.invoke(event.clone()), bench.invoke(event.clone()));
    assert_ne!(pid(&one), pid(&other));
}

#[tokio::test]
async fn a_failed_event_is_tried_again_until_it_works() {
    let mut bench = Bench::new(|_| {}).await;
    bench.functions.invoke_async("f", "a-rule", json!({"fail": 1}).to_string().into());
    let (first, second) = (bench.reported().await, bench.reported().await);
    assert_eq!(error(&first).0, "Suture.Retry");
    assert!(second.answer.is_ok(), "{second:?}");
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(first.request_id, second.request_id);
    assert_eq!((first.rule.as_deref(), second.rule.as_deref()), (Some("a-rule"), Some("a-rule")));
    // What worked is not done again: the next to report is the next event.
    sleep(Duration::from_millis(100)).await;
    let next = bench.invoke(json!({})).await;
    assert_eq!(bench.reported().await.request_id, next.request_id);
}

#[tokio::test]
async fn a_failing_event_is_given_up() {
    let mut bench = Bench::new(|_| {}).await;
    bench.functions.invoke_async("f", "a-rule", json!({"crash": 1}).to_string().into());
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let report = bench.reported().await;
        assert_eq!(error(&report).0, "Runtime.ExitError");
        attempts.push(report.attempt);
    }
    assert_eq!(attempts, [1, 2, 3]);
    sleep(Duration::from_millis(100)).await;
    let next = bench.invoke(json!({})).await;
    assert_eq!(bench.reported().await.request_id, next.request_id);
}

#[tokio::test]
async fn what_cannot_be_invoked_is_refused() {
    let bench = Bench::new(|_| {}).await;
    let said = bench.functions.invoke("g", Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(said, "there is no function g; there are f");
    let large = Bytes::from(vec![b' '; LARGEST_EVENT + 1]);
    let said = bench.functions.invoke("f", large).await.unwrap_err();
    assert_eq!(said, "the event has 6291457 bytes, and Lambda takes at most 6291456");
    let fits = format!("{{\"a\": \"{}\"}}", "x".repeat(LARGEST_EVENT - 9));
    assert_eq!(fits.len(), LARGEST_EVENT);
    let report = bench.functions.invoke("arn:aws:lambda:eu-west-1:111122223333:function:f", fits.into()).await.unwrap();
    assert!(report.answer.is_ok(), "{:?}", report.answer);
}

#[tokio::test]
async fn the_log_of_an_invocation_is_its_own_and_whole() {
    let bench = Bench::new(|_| {}).await;
    for round in 0..40 {
        let lines: Vec<String> = (0..20).map(|line| format!("{round}.{line} {}", "x".repeat(line * 20))).collect();
        let report = bench.invoke(json!({"print": lines, "warn": ["at last"]})).await;
        assert_eq!(report.log[..20], lines);
        assert_eq!(report.log[20..], ["at last"], "output and error keep their order");
    }
}

#[tokio::test]
async fn much_output_and_bytes_that_are_no_text_do_no_harm() {
    let mut bench = Bench::new(|_| {}).await;
    let long = "y".repeat(300_000);
    let report = bench.invoke(json!({"print": [long], "raw": [255, 254, 10]})).await;
    assert_eq!(report.log.iter().map(String::len).collect::<Vec<_>>(), [300_000, 6]);
    assert_eq!(bench.invoke(json!({"print": ["still heard"]})).await.log, ["still heard"]);
    // A line without an end is told with the invocation in which the process ends.
    assert_eq!(bench.invoke(json!({"raw": b"un"})).await.log, Vec::<String>::new());
    assert_eq!(bench.invoke(json!({"raw": b"finished", "crash": 1})).await.log, ["unfinished"]);
    let mut told = Vec::new();
    while let Ok(happening) = bench.happenings.try_recv() {
        if let Happening::Log { function, line } = happening {
            assert_eq!(function, "f");
            told.push(line.len());
        }
    }
    assert_eq!(told, [300_000, 6, 11, 10], "who listens hears of each line");
    assert!(bench.journal.calls(|_| true).is_empty());
}

#[tokio::test]
async fn a_new_configuration_ends_the_old_process() {
    let bench = Bench::new(|_| {}).await;
    let old = bench.invoke(json!({})).await;
    let mut config = bench.functions.config("f").unwrap();
    config.environment.insert("SUTURE_MODE".to_owned(), "enforce".to_owned());
    bench.functions.configure(config);
    ends(pid(&old)).await;
    let new = bench.invoke(json!({})).await;
    assert_eq!(new.json()["environment"]["SUTURE_MODE"], "enforce");

    // Also a process that was busy at that moment is not used again.
    let mut happenings = bench.journal.listen();
    let (busy, ()) = tokio::join!(bench.invoke(json!({"print": ["begun"], "sleep": 0.2})), async {
        while !matches!(happenings.recv().await.unwrap(), Happening::Log { .. }) {}
        let mut config = bench.functions.config("f").unwrap();
        config.environment.insert("SUTURE_MODE".to_owned(), "plan".to_owned());
        bench.functions.configure(config);
    });
    assert_eq!(busy.json()["environment"]["SUTURE_MODE"], "enforce");
    ends(pid(&busy)).await;
    assert_eq!(bench.invoke(json!({})).await.json()["environment"]["SUTURE_MODE"], "plan");
}

#[tokio::test]
async fn dropped_functions_leave_no_process() {
    let mut bench = Bench::new(start_with("cling")).await;
    let idle = pid(&bench.invoke(json!({})).await);
    // One under way, for whose answer nobody waits.
    bench.functions.recycle();
    ends(idle).await;
    bench.functions.invoke_async("f", "a-rule", json!({"pid": true, "sleep": 600}).to_string().into());
    let idle = pid(&bench.invoke(json!({})).await);
    let busy: u64 = loop {
        if let Happening::Log { line, .. } = timeout(PATIENCE, bench.happenings.recv()).await.unwrap().unwrap() {
            break line.parse().unwrap();
        }
    };
    assert!(runs(idle) && runs(busy) && idle != busy);
    let clone = bench.functions.clone();
    drop(bench);
    assert!(runs(idle) && runs(busy), "a clone keeps them");
    drop(clone);
    ends(idle).await;
    ends(busy).await;
}

#[tokio::test]
async fn stopped_functions_are_gone_at_once_and_start_nothing_more() {
    let mut bench = Bench::new(start_with("cling")).await;
    bench.functions.invoke_async("f", "a-rule", json!({"pid": true, "sleep": 600}).to_string().into());
    let idle = pid(&bench.invoke(json!({})).await);
    let busy: u64 = loop {
        if let Happening::Log { line, .. } = timeout(PATIENCE, bench.happenings.recv()).await.unwrap().unwrap() {
            break line.parse().unwrap();
        }
    };
    timeout(PATIENCE, bench.functions.stop()).await.unwrap();
    assert!(!runs(idle) && !runs(busy));
    let said = bench.functions.invoke("f", Bytes::from_static(b"{}")).await.unwrap_err();
    assert!(said.ends_with("the lab is ending"), "{said}");
}
