//! `suture bench --sweep`: what a look at everything costs, in accounts of several sizes in which one resource in ten has
//! drifted, while AWS throttles one call in twenty: once by a person, which is one invocation, and once by its schedule, which
//! hands out what is more than a page. It measures and prints; it asserts nothing.

use crate::account::HOME_REGION;
use crate::lab::of_the_ledger;
use crate::show::println;
use crate::show::{self, Progress};
use ::lab::gateway::{Happened, Happening};
use ::lab::runtime::{Program, Report};
use ::lab::{Lab, Options, programs, python};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::unbounded_channel;

/// How long a sweep may take by its schedule.
const PATIENCE: Duration = Duration::from_mins(20);

/// What is swept: the control, what its resources are, and how an account is filled with them.
struct Kind {
    control: &'static str,
    resources: &'static str,
    /// What the lab is asked to fill, and with what: what is as it ought to be, and what has drifted.
    fill: &'static str,
    sound: fn() -> Value,
    drifted: fn() -> Value,
}

const KINDS: [Kind; 3] = [
    Kind {
        control: "s3-public-bucket",
        resources: "buckets",
        fill: "s3/fill",
        sound: || json!({"prefix": "sound", "open": false}),
        drifted: || json!({"prefix": "open", "open": true}),
    },
    Kind {
        control: "iam-stale-access-key",
        resources: "users with two keys",
        fill: "iam/fill",
        sound: || json!({"prefix": "busy", "keys": 2}),
        drifted: || json!({"prefix": "idle", "keys": 2, "created": "2024-01-01T00:00:00Z"}),
    },
    Kind {
        control: "ec2-open-security-group",
        resources: "groups with ten rules",
        fill: "ec2/fill",
        sound: || json!({"prefix": "sound", "region": HOME_REGION, "permissions": rules("10.20.0.0/16")}),
        drifted: || json!({"prefix": "open", "region": HOME_REGION, "permissions": rules("0.0.0.0/0")}),
    },
];

/// Ten rules, of which the last lets this range to the port of SSH.
fn rules(last: &str) -> Value {
    let rule = |port: u16, cidr: &str| json!({"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]});
    let mut rules: Vec<Value> = (0..9).map(|number| rule(8000 + number, "10.20.0.0/16")).collect();
    rules.push(rule(22, last));
    Value::from(rules)
}

/// One sweep, measured.
struct Measured {
    resources: &'static str,
    count: usize,
    looked_at: u64,
    outcomes: Value,
    seconds: f64,
    calls: usize,
    ledger: usize,
    failed: usize,
    writes: usize,
    written_twice: usize,
    in_flight: usize,
    peak_memory_kib: u64,
}

/// A scheduled sweep, measured: one invocation lists, others do what it hands out.
struct Handed {
    resources: &'static str,
    count: usize,
    parts: u64,
    /// From the schedule's time to the last answer.
    seconds: f64,
    invocations: usize,
    /// All invocations' times together: what Lambda bills.
    billed_seconds: f64,
    calls: usize,
    written_twice: usize,
    peak_memory_kib: u64,
}

/// Measures and prints; true unless something could not be measured.
pub async fn run(sizes: &[usize], as_json: bool) -> Result<bool, String> {
    let progress = Progress::start();
    let workspace = programs::workspace()?;
    progress.say("building the functions for release, as sam build would (minutes, the first time)");
    let packages: Vec<String> = KINDS.iter().map(|kind| kind.control.to_owned()).collect();
    let built = programs::build(&workspace, &packages, true).await?;
    let (mut all, mut scheduled) = (Vec::new(), Vec::new());
    for kind in &KINDS {
        for &count in sizes {
            progress.say(&format!("sweeping {count} {}", kind.resources));
            all.push(one(kind, count, built.clone()).await?);
            progress.say(&format!("sweeping {count} {} by the schedule", kind.resources));
            scheduled.push(by_schedule(kind, count, built.clone()).await?);
        }
    }
    progress.end();
    if as_json {
        let sweeps: Vec<_> = all.iter().map(to_json).collect();
        println!("{}", json!({"sweeps": sweeps, "scheduled": scheduled.iter().map(handed_json).collect::<Vec<_>>()}));
    } else {
        print(&all);
        print_scheduled(&scheduled);
    }
    Ok(true)
}

/// An account with so many resources in it, in which AWS throttles one call in twenty.
async fn account(kind: &Kind, count: usize, programs: BTreeMap<String, Program>) -> Result<Lab, String> {
    let options = Options {
        home: python::home(),
        port: 0,
        template: programs::workspace()?.join("template.yaml"),
        programs,
        parameters: super::unbounded(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    let lab = Lab::start(options, &|_| {}).await?;
    let drifted = count / 10;
    for (mut body, count) in [((kind.sound)(), count - drifted), ((kind.drifted)(), drifted)] {
        if let Some(body) = body.as_object_mut() {
            body.insert("count".to_owned(), count.into());
        }
        lab.wish(kind.fill, body).await?;
    }
    lab.gateway.faults.add("*:*=throttle%20".parse()?);
    Ok(lab)
}

async fn by_schedule(kind: &Kind, count: usize, programs: BTreeMap<String, Program>) -> Result<Handed, String> {
    let lab = account(kind, count, programs).await?;
    let mut heard = lab.listen();
    // Somebody has to listen all the while: there are more calls than are kept for whoever comes late.
    let (ran, mut reported) = unbounded_channel();
    let listening = tokio::spawn(async move {
        loop {
            let said = match heard.recv().await {
                Ok(Happening::Invocation(report)) => ran.send(Ok(*report)),
                Ok(_) => Ok(()),
                Err(RecvError::Closed) => return,
                Err(RecvError::Lagged(_)) => ran.send(Err("more happened than could be counted")),
            };
            if said.is_err() {
                return;
            }
        }
    });
    let began = Instant::now();
    lab.fire(kind.control).await?;
    lab.settled(PATIENCE).await?;
    let seconds = began.elapsed().as_secs_f64();
    lab.stop().await;
    listening.abort();
    let mut reports: Vec<Report> = Vec::new();
    while let Ok(report) = reported.try_recv() {
        reports.push(report?);
    }
    let ours: Vec<_> = reports.iter().filter(|report| report.function == kind.control).collect();
    let first = ours.iter().find_map(|report| report.json().pointer("/sweeps/0").cloned()).unwrap_or_default();
    let calls: Vec<&Happened> = ours.iter().flat_map(|report| &report.calls).collect();
    let made = |call: &&&Happened| call.writes && !of_the_ledger(call) && call.service != "sqs";
    let named: Vec<_> = calls.iter().filter(made).filter(|call| (200..400).contains(&call.status)).collect();
    let distinct: BTreeSet<_> = named.iter().map(|call| (call.name(), call.resource.clone())).collect();
    Ok(Handed {
        resources: kind.resources,
        count,
        parts: first.get("handed_over").and_then(Value::as_u64).unwrap_or_default(),
        seconds,
        invocations: ours.len(),
        billed_seconds: ours.iter().map(|report| report.duration.as_secs_f64()).sum(),
        calls: calls.len(),
        written_twice: named.len() - distinct.len(),
        peak_memory_kib: ours.iter().map(|report| report.memory_kib).max().unwrap_or_default(),
    })
}

async fn one(kind: &Kind, count: usize, programs: BTreeMap<String, Program>) -> Result<Measured, String> {
    let lab = account(kind, count, programs).await?;
    let report = lab.invoke(kind.control, &json!({"resource": "*", "mode": "enforce"})).await?;
    lab.stop().await;
    measured(kind, count, &report)
}

fn measured(kind: &Kind, count: usize, report: &Report) -> Result<Measured, String> {
    if let Err(error) = &report.answer {
        return Err(format!("{} failed: {}: {}", kind.control, error.error_type, error.error_message));
    }
    let answer = report.json();
    let swept = answer.pointer("/sweeps/0").cloned().unwrap_or_default();
    if let Some(why) = swept.get("cut_short") {
        return Err(format!("{}: {why}", kind.control));
    }
    let made: Vec<&Happened> = report.calls.iter().filter(|call| (200..400).contains(&call.status)).collect();
    let writes: Vec<_> = made.iter().filter(|call| call.writes && !of_the_ledger(call)).collect();
    let named: Vec<_> = writes.iter().filter(|call| call.resource.is_some()).collect();
    let distinct: BTreeSet<_> = named.iter().map(|call| (call.name(), call.resource.clone())).collect();
    Ok(Measured {
        resources: kind.resources,
        count,
        looked_at: swept.get("looked_at").and_then(Value::as_u64).unwrap_or_default(),
        outcomes: swept.get("outcomes").cloned().unwrap_or_default(),
        seconds: report.duration.as_secs_f64(),
        calls: report.calls.len(),
        ledger: report.calls.iter().filter(|call| of_the_ledger(call)).count(),
        failed: report.calls.len() - made.len(),
        writes: writes.len(),
        written_twice: named.len() - distinct.len(),
        in_flight: in_flight(&report.calls),
        peak_memory_kib: report.memory_kib,
    })
}

/// How many calls were in flight at most.
pub(super) fn in_flight(calls: &[Happened]) -> usize {
    let began = calls.iter().map(|call| (call.began, 1_i64));
    let ended = calls.iter().map(|call| (call.began + call.duration, -1_i64));
    let mut moments: Vec<_> = began.chain(ended).collect();
    moments.sort();
    let (mut now, mut most) = (0, 0);
    for (_, step) in moments {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or_default()
}

fn handed_json(handed: &Handed) -> Value {
    json!({
        "resources": handed.resources,
        "count": handed.count,
        "handed_over": handed.parts,
        "seconds": handed.seconds,
        "invocations": handed.invocations,
        "billed_seconds": handed.billed_seconds,
        "calls": handed.calls,
        "written_twice": handed.written_twice,
        "peak_memory_kib": handed.peak_memory_kib,
    })
}

#[expect(clippy::cast_precision_loss, reason = "sizes and counts for people")]
fn print_scheduled(all: &[Handed]) {
    let headings = [
        "by the schedule",
        "in all",
        "handed out",
        "invocations",
        "time",
        "billed",
        "calls",
        "written twice",
        "memory",
    ];
    let mut table = show::table(headings.map(str::to_owned));
    for handed in all {
        table.add_row([
            handed.resources.to_owned(),
            handed.count.to_string(),
            handed.parts.to_string(),
            handed.invocations.to_string(),
            format!("{:.1} s", handed.seconds),
            format!("{:.1} s", handed.billed_seconds),
            handed.calls.to_string(),
            handed.written_twice.to_string(),
            format!("{:.1} MiB", handed.peak_memory_kib as f64 / 1024.0),
        ]);
    }
    println!("{table}");
}

fn to_json(measured: &Measured) -> Value {
    json!({
        "resources": measured.resources,
        "count": measured.count,
        "looked_at": measured.looked_at,
        "outcomes": measured.outcomes,
        "seconds": measured.seconds,
        "calls": measured.calls,
        "calls_to_the_ledger": measured.ledger,
        "calls_that_failed": measured.failed,
        "writes": measured.writes,
        "written_twice": measured.written_twice,
        "in_flight": measured.in_flight,
        "peak_memory_kib": measured.peak_memory_kib,
    })
}

#[expect(clippy::cast_precision_loss, reason = "sizes and counts for people")]
fn print(all: &[Measured]) {
    let headings =
        ["", "in all", "looked at", "outcomes", "time", "per 1,000", "calls", "in flight", "written twice", "memory"];
    let mut table = show::table(headings.map(str::to_owned));
    for measured in all {
        table.add_row([
            measured.resources.to_owned(),
            measured.count.to_string(),
            measured.looked_at.to_string(),
            measured.outcomes.to_string().replace(['{', '}', '"'], ""),
            format!("{:.1} s", measured.seconds),
            format!("{:.1} s", measured.seconds * 1000.0 / measured.count as f64),
            format!("{} ({} to the ledger, {} failed)", measured.calls, measured.ledger, measured.failed),
            measured.in_flight.to_string(),
            measured.written_twice.to_string(),
            format!("{:.1} MiB", measured.peak_memory_kib as f64 / 1024.0),
        ]);
    }
    println!("{table}");
    let note = "One resource in ten has drifted; one call in twenty is throttled. The local AWS answers some hundred calls \
                a second: the time is mostly its own, and only its growth says something. The aim for memory: under 64 MB.";
    println!("{}", show::faint(note));
}
