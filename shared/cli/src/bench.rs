//! `suture bench`: what the functions cost, beside the same fix written straight in boto3. It measures and prints; it
//! asserts nothing.

mod scan;
mod sweep;

use crate::account::HOME_REGION;
use crate::lab::of_the_ledger;
use crate::show::println;
use crate::show::{self, Progress};
use ::lab::call::ACCOUNT;
use ::lab::runtime::{Config, Program, Report};
use ::lab::{Lab, Options, programs, python};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// Measure the functions: cold and warm starts, memory, size, beside the same fix in boto3.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture bench
  suture bench --scan
  suture bench --scan 1000,10000 --alone --runs 3

Build it for release (cargo run --release -p suture -- bench), or it measures the lab rather than the
functions.")]
pub struct Arguments {
    /// How many rounds to measure: 30, or 5 of scans, if not said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    /// Measure sweeps of so many resources instead.
    #[arg(long, value_name = "COUNTS", num_args = 0.., value_delimiter = ',', default_missing_values = ["100", "1000", "10000"])]
    sweep: Option<Vec<usize>>,
    /// Measure scans of so many buckets instead, beside Prowler and Cloud Custodian, and how quickly the command line starts.
    #[arg(long, value_name = "COUNTS", num_args = 0.., value_delimiter = ',', default_missing_values = ["1000"], conflicts_with = "sweep")]
    scan: Option<Vec<usize>>,
    /// How many milliseconds longer each call of a scan takes.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20, requires = "scan")]
    latency: u64,
    /// Measure scans without Prowler and Cloud Custodian.
    #[arg(long, requires = "scan")]
    alone: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

const OURS: &str = "s3-public-bucket";
const THEIRS: &str = "boto3";
const BUCKET: &str = "bench-bucket";

/// What was measured of one function. Durations are in milliseconds, one for each run.
#[derive(Default)]
struct Measured {
    to_first_next: Vec<f64>,
    first_invoke: Vec<f64>,
    first_answer: Vec<f64>,
    /// What a cold start costs beyond a warm run of the same work.
    cold_overhead: Vec<f64>,
    warm_compliant: Vec<f64>,
    warm_fixing: Vec<f64>,
    own_compliant: Vec<f64>,
    own_fixing: Vec<f64>,
    own_first: Vec<f64>,
    cpu_first: Vec<f64>,
    cpu_compliant: Vec<f64>,
    cpu_fixing: Vec<f64>,
    calls_compliant: Counted,
    calls_fixing: Counted,
    peak_memory_kib: u64,
}

/// How many calls an invocation made: all of them, and of these those to the ledger, which boto3's handler has none of.
#[derive(Clone, Copy, Default)]
struct Counted {
    all: usize,
    ledger: usize,
}

impl Counted {
    fn of(report: &Report) -> Self {
        Self { all: report.calls.len(), ledger: report.calls.iter().filter(|call| of_the_ledger(call)).count() }
    }
}

/// Measures and prints; true unless something could not be measured.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    if let Some(sizes) = &arguments.sweep {
        return sweep::run(sizes, arguments.json).await;
    }
    if let Some(sizes) = arguments.scan {
        let latency = Duration::from_millis(arguments.latency);
        let plan = scan::Plan { sizes, rounds: arguments.runs.unwrap_or(5), latency, alone: arguments.alone };
        return Box::pin(scan::run(&plan, arguments.json)).await;
    }
    let runs = arguments.runs.unwrap_or(30);
    let progress = Progress::start();
    let workspace = programs::workspace()?;
    progress.say("building the function for release, as sam build would (minutes, the first time)");
    let built = programs::build(&workspace, &[OURS.to_owned()], true).await?;
    let binary = built.get(OURS).map(|program| program.path.clone()).unwrap_or_default();
    let options = Options {
        home: python::home(),
        port: 0,
        template: workspace.join("template.yaml"),
        programs: built,
        parameters: unbounded(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    let lab = Lab::start(options, &|what| progress.say(what)).await?;
    // The same bucket drifts again and again: more often than the template lets an operator put up with.
    lab.set(OURS, &[("SUTURE_FLAPS", "1000000")])?;
    let python = python::environment(&python::home(), &|_| ()).await.map_err(|error| error.to_string())?;
    lab.quiet_client(HOME_REGION).must(Method::PUT, &format!("/{BUCKET}"), Bytes::new()).await?;
    let baseline = Program {
        path: python.interpreter().to_path_buf(),
        arguments: ["-m", "awslambdaric", "boto3_handler.handler"].map(str::to_owned).to_vec(),
        directory: Some(workspace.join("shared/cli/bench")),
    };
    let ours = lab.gateway.functions.config(OURS).ok_or("template.yaml has no s3-public-bucket")?;
    // The same memory, time and role; only the program differs.
    let environment = BTreeMap::from([("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())]);
    lab.gateway.functions.configure(Config { name: THEIRS.to_owned(), program: baseline, environment, ..ours });

    let (mut suture, mut boto3) = (Measured::default(), Measured::default());
    for run in 1..=runs {
        progress.say(&format!("round {run} of {runs}"));
        round(&lab, OURS, &mut suture).await?;
        round(&lab, THEIRS, &mut boto3).await?;
    }
    let binary_size = std::fs::metadata(&binary).map_err(|error| error.to_string())?.len();
    let zip_size = zipped(python.interpreter(), &binary).await?;
    progress.end();
    lab.stop().await;
    if arguments.json {
        println!(
            "{}",
            json!({"runs": runs, "suture": to_json(&suture), "boto3": to_json(&boto3),
                   "binary_bytes": binary_size, "zip_bytes": zip_size})
        );
    } else {
        print(&suture, &boto3, binary_size, zip_size, runs);
    }
    Ok(true)
}

/// Mode enforce, and as much budget as can be, so that what is measured is never refused.
fn unbounded() -> BTreeMap<String, String> {
    let parameters = [("Mode", "enforce"), ("BudgetPerHour", "100000"), ("BudgetPerInvocation", "100000")];
    parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One round: a cold start that fixes, a warm run that finds nothing to do, a warm run that fixes. Rounds of both functions
/// take turns, so that what else the machine does meets both alike.
async fn round(lab: &Lab, function: &str, measured: &mut Measured) -> Result<(), String> {
    lab.gateway.functions.recycle();
    open(lab).await?;
    let cold = invoke(lab, function).await?;
    let init = cold.init.unwrap_or_default();
    measured.to_first_next.push(ms(init));
    measured.first_invoke.push(ms(cold.duration));
    measured.first_answer.push(ms(init + cold.duration));
    measured.own_first.push(ms(cold.own_time()));
    measured.cpu_first.push(ms(cold.cpu));

    let compliant = invoke(lab, function).await?;
    measured.warm_compliant.push(ms(compliant.duration));
    measured.own_compliant.push(ms(compliant.own_time()));
    measured.cpu_compliant.push(ms(compliant.cpu));
    measured.calls_compliant = Counted::of(&compliant);

    open(lab).await?;
    let fixing = invoke(lab, function).await?;
    measured.warm_fixing.push(ms(fixing.duration));
    measured.own_fixing.push(ms(fixing.own_time()));
    measured.cpu_fixing.push(ms(fixing.cpu));
    measured.calls_fixing = Counted::of(&fixing);
    measured.cold_overhead.push(ms(init + cold.duration) - ms(fixing.duration));
    measured.peak_memory_kib = measured.peak_memory_kib.max(fixing.memory_kib);
    Ok(())
}

/// Takes the bucket's block away, unseen.
async fn open(lab: &Lab) -> Result<(), String> {
    let target = format!("/{BUCKET}?publicAccessBlock");
    lab.quiet_client(HOME_REGION).must(Method::DELETE, &target, Bytes::new()).await.map(drop)
}

async fn invoke(lab: &Lab, function: &str) -> Result<Report, String> {
    let report = lab.invoke(function, &event()).await?;
    match &report.answer {
        Ok(_) => Ok(report),
        Err(error) => Err(format!("{function} failed: {}: {}", error.error_type, error.error_message)),
    }
}

/// An event that makes both look, and that says nothing about what they will find.
fn event() -> Value {
    json!({
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "account": ACCOUNT,
        "time": "2026-01-15T10:45:23Z",
        "region": HOME_REGION,
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::{ACCOUNT}:user/alice"), "accountId": ACCOUNT},
            "eventTime": "2026-01-15T10:45:23Z",
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutBucketPolicy",
            "awsRegion": HOME_REGION,
            "requestParameters": {"bucketName": BUCKET},
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": ACCOUNT,
        },
    })
}

/// The size of the binary as Lambda's `bootstrap` in a zip file.
async fn zipped(python: &Path, binary: &Path) -> Result<u64, String> {
    let script = "import sys, zipfile\n\
                  with zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as z:\n    \
                  z.write(sys.argv[1], 'bootstrap')";
    let zip = python::home().join("bootstrap.zip");
    let status = Command::new(python).arg("-c").arg(script).arg(binary).arg(&zip).status().await;
    if !status.is_ok_and(|status| status.success()) {
        return Err(format!("{} could not be zipped", binary.display()));
    }
    std::fs::metadata(&zip).map(|zip| zip.len()).map_err(|error| error.to_string())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn to_json(measured: &Measured) -> Value {
    json!({
        "to_first_next_ms": measured.to_first_next,
        "first_invoke_ms": measured.first_invoke,
        "first_answer_ms": measured.first_answer,
        "cold_overhead_ms": measured.cold_overhead,
        "warm_compliant_ms": measured.warm_compliant,
        "warm_fixing_ms": measured.warm_fixing,
        "own_compliant_ms": measured.own_compliant,
        "own_fixing_ms": measured.own_fixing,
        "own_first_ms": measured.own_first,
        "cpu_first_ms": measured.cpu_first,
        "cpu_compliant_ms": measured.cpu_compliant,
        "cpu_fixing_ms": measured.cpu_fixing,
        "calls_compliant": measured.calls_compliant.all,
        "calls_compliant_to_the_ledger": measured.calls_compliant.ledger,
        "calls_fixing": measured.calls_fixing.all,
        "calls_fixing_to_the_ledger": measured.calls_fixing.ledger,
        "peak_memory_kib": measured.peak_memory_kib,
    })
}

#[expect(clippy::cast_precision_loss, reason = "sizes and counts for people")]
fn print(suture: &Measured, boto3: &Measured, binary: u64, zip: u64, runs: u32) {
    let mut table = show::table(["", "suture", "boto3", "boto3 : suture", "aim"].map(str::to_owned));
    let mut row = |what: &str, ours: f64, theirs: f64, unit: &str, aim: &str| {
        let show = |value: f64| match unit {
            "" => format!("{value:.0}"),
            unit => format!("{value:.1} {unit}"),
        };
        let theirs_shown = if theirs.is_nan() { String::new() } else { show(theirs) };
        let ratio = if theirs.is_nan() { String::new() } else { format!("{:.1}", theirs / ours) };
        table.add_row([what.to_owned(), show(ours), theirs_shown, ratio, aim.to_owned()]);
    };
    let medians = |of: fn(&Measured) -> &Vec<f64>| (median(of(suture)), median(of(boto3)));
    let mut times = |what: &str, of: fn(&Measured) -> &Vec<f64>, aim: &str| {
        let (ours, theirs) = medians(of);
        row(what, ours, theirs, "ms", aim);
    };
    times("process start to first /next", |m| &m.to_first_next, "");
    times("first invoke (fixing)", |m| &m.first_invoke, "");
    times("first answer: both", |m| &m.first_answer, "");
    times("cold overhead (first answer - warm)", |m| &m.cold_overhead, "at most 20 ms, 20 : 1");
    times("warm invoke, compliant", |m| &m.warm_compliant, "");
    times("warm invoke, fixing", |m| &m.warm_fixing, "");
    times("  not waiting for AWS, first invoke", |m| &m.own_first, "");
    times("  not waiting for AWS, compliant", |m| &m.own_compliant, "under 2 ms");
    times("  not waiting for AWS, fixing", |m| &m.own_fixing, "under 2 ms");
    times("  CPU time, first invoke", |m| &m.cpu_first, "");
    times("  CPU time, compliant", |m| &m.cpu_compliant, "");
    times("  CPU time, fixing", |m| &m.cpu_fixing, "");
    let counts = [
        ("AWS calls, compliant", suture.calls_compliant, boto3.calls_compliant),
        ("AWS calls, fixing", suture.calls_fixing, boto3.calls_fixing),
    ];
    for (what, ours, theirs) in counts {
        row(what, ours.all as f64, theirs.all as f64, "", "");
        row("  of them to the ledger", ours.ledger as f64, f64::NAN, "", "");
    }
    let mib = |kib: u64| kib as f64 / 1024.0;
    row("peak memory", mib(suture.peak_memory_kib), mib(boto3.peak_memory_kib), "MiB", "under 12 MB");
    row("binary", binary as f64 / 1e6, f64::NAN, "MB", "");
    row("binary, zipped", zip as f64 / 1e6, f64::NAN, "MB", "under 4 MB");
    println!("{table}");
    println!("{}", show::faint(format!("Medians of {runs} rounds, both functions taking turns in the same lab.")));
}
