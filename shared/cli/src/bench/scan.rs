//! `suture bench --scan`: what a look at a whole account costs, beside Prowler and Cloud Custodian that are asked the same
//! question: which buckets lack a public access block. All take turns on the same local AWS, in which every call takes as much
//! longer as AWS is away. It measures and prints; it asserts nothing, but says whether all found the same.

mod rivals;
mod start;

use super::median;
use super::sweep::in_flight;
use crate::account::HOME_REGION;
use crate::show::println;
use crate::show::{self, Progress};
use ::lab::call::ACCOUNT;
use ::lab::gateway::{Happened, Happening};
use ::lab::python::Python;
use ::lab::{Lab, Options, programs, python};
use rivals::{Rivals, custodian_found, ours_found, prowler_found};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// What runs a program and tells what it cost: Python's `wait4`, since ours would be unsafe code.
const MEASURE: &str = include_str!("../../bench/measure.py");

/// The S3 controls, which a whole look at buckets is.
const ALL_OF_S3: [&str; 5] =
    ["s3-public-bucket", "s3-public-policy", "s3-public-acl", "s3-public-account", "s3-weak-encryption"];

/// What is measured, and how.
pub struct Plan {
    /// How many buckets.
    pub sizes: Vec<usize>,
    /// How often each.
    pub rounds: u32,
    /// How much longer each call takes.
    pub latency: Duration,
    /// Without the others.
    pub alone: bool,
}

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// `suture scan --control s3-public-bucket`.
    One,
    /// `suture scan` with every control of S3.
    All,
    /// The same, killed half-way and gone on with: what the second run took, and the calls of both.
    Resumed,
    Prowler,
    Custodian,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::One => "suture scan --control s3-public-bucket",
            Self::All => "suture scan, all five controls of S3",
            Self::Resumed => "the same, killed half-way: what is left",
            Self::Prowler => "prowler",
            Self::Custodian => "custodian",
        }
    }
}

/// One run, measured.
#[derive(Clone, Debug)]
struct Run {
    seconds: f64,
    cpu_seconds: f64,
    peak_kib: u64,
    calls: usize,
    /// Those that were throttled, failed or never answered.
    failed: usize,
    /// How many calls were in flight at most.
    most: usize,
    /// How many on average, while there were any.
    mean: f64,
    /// How many calls of each operation.
    operations: BTreeMap<String, usize>,
    /// The buckets that lack a block.
    found: BTreeSet<String>,
}

impl Run {
    /// How long the calls alone take, each the latency, with as many beside each other as there were on average.
    #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
    fn bound(&self, latency: Duration) -> f64 {
        self.calls as f64 * latency.as_secs_f64() / self.mean.max(1.0)
    }
}

/// Measures and prints; true if all found what there was to find.
pub async fn run(plan: &Plan, as_json: bool) -> Result<bool, String> {
    let progress = Progress::start();
    let rivals = if plan.alone { None } else { Some(Rivals::install(&|what| progress.say(what)).await?) };
    let python = python::environment(&python::home(), &|what| progress.say(what)).await.map_err(|e| e.to_string())?;
    let folder = python::home().join(format!("scan-{}", std::process::id()));
    let measured = all(plan, rivals.as_ref(), &python, &folder, &progress).await;
    // It is of no use to anybody.
    let _ = std::fs::remove_dir_all(&folder);
    let (sizes, starts) = measured?;
    progress.end();
    let mut same = true;
    for (count, runs) in &sizes {
        same &= runs.values().flatten().all(|run| run.found.len() == count / 10);
    }
    if as_json {
        let all: Vec<_> = sizes.iter().map(|(count, runs)| to_json(*count, runs, plan.latency)).collect();
        println!("{}", json!({"scans": all, "starts_ms": starts, "latency_ms": plan.latency.as_millis()}));
    } else {
        for (count, runs) in &sizes {
            print(*count, runs, plan);
        }
        start::print(&starts);
    }
    if !same {
        return Err("not all found the same buckets: nothing of this can be compared".to_owned());
    }
    Ok(true)
}

type Runs = BTreeMap<Who, Vec<Run>>;

async fn all(
    plan: &Plan,
    rivals: Option<&Rivals>,
    python: &Python,
    folder: &Path,
    progress: &Progress,
) -> Result<(Vec<(usize, Runs)>, BTreeMap<&'static str, Vec<f64>>), String> {
    progress.say("starting suture again and again");
    let starts = start::measure()?;
    let mut sizes = Vec::new();
    for &count in &plan.sizes {
        let lab = account(count, plan.latency).await?;
        let stage = Stage { lab, python, rivals, folder: folder.join(count.to_string()) };
        let mut runs = Runs::new();
        let theirs = [Who::Prowler, Who::Custodian].into_iter().filter(|_| rivals.is_some());
        let all: Vec<Who> = [Who::One, Who::All, Who::Resumed].into_iter().chain(theirs).collect();
        for round in 1..=plan.rounds {
            for &who in &all {
                progress.say(&format!("{count} buckets, round {round} of {}: {}", plan.rounds, who.name()));
                let whole = runs.get(&Who::All).and_then(|runs| runs.last()).map(|run| run.calls);
                runs.entry(who).or_default().push(stage.run(who, whole).await?);
            }
        }
        stage.lab.stop().await;
        sizes.push((count, runs));
    }
    Ok((sizes, starts))
}

/// A lab with so many buckets, one in ten without a block, in which each call takes longer.
async fn account(count: usize, latency: Duration) -> Result<Lab, String> {
    let options = Options {
        home: python::home(),
        port: 0,
        template: programs::workspace()?.join("template.yaml"),
        programs: BTreeMap::new(),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    let lab = Lab::start(options, &|_| {}).await?;
    // What the template has deployed is there already, sound.
    let open = count / 10;
    lab.wish("s3/fill", json!({"prefix": "sound", "count": count - open})).await?;
    lab.wish("s3/fill", json!({"prefix": "open", "count": open, "open": true})).await?;
    lab.gateway.faults.add(format!("*:*=latency:{}", latency.as_millis()).parse()?);
    Ok(lab)
}

/// Where runs take turns.
struct Stage<'a> {
    lab: Lab,
    python: &'a Python,
    rivals: Option<&'a Rivals>,
    folder: PathBuf,
}

impl Stage<'_> {
    /// One run; for one that is killed half-way, `whole` says how many calls all of it takes.
    async fn run(&self, who: Who, whole: Option<usize>) -> Result<Run, String> {
        // Each run has a home of its own: nobody finds what an earlier run has left.
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::create_dir_all(&self.folder).map_err(|error| error.to_string())?;
        let command = match (who, self.rivals) {
            (Who::One, _) => ours(&["s3-public-bucket"])?,
            (Who::All | Who::Resumed, _) => ours(&ALL_OF_S3)?,
            (Who::Prowler, Some(rivals)) => rivals.prowler(&self.folder, HOME_REGION),
            (Who::Custodian, Some(rivals)) => rivals.custodian(&self.folder, HOME_REGION)?,
            (_, None) => return Err("there is nobody to compare with".to_owned()),
        };
        let output = self.folder.join("output");
        let before = Instant::now();
        if let (Who::Resumed, Some(whole)) = (who, whole) {
            self.half(&command, whole / 2).await?;
        }
        let mut measure = self.command(self.python.interpreter());
        measure.args(["-I", "-S", "-c", MEASURE]).arg(&output).args(&command);
        let told = measure.output().await.map_err(|error| format!("Python does not run: {error}"))?;
        let told: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
        let number = |name: &str| told.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let said = std::fs::read(&output).unwrap_or_default();
        // They end with 0, or with what says that something was found: suture with 1, Prowler with 3.
        if ![0.0, 1.0, 3.0].contains(&number("status")) {
            let said: String = String::from_utf8_lossy(&said).chars().rev().take(2000).collect();
            return Err(format!("{} failed: {}", who.name(), said.chars().rev().collect::<String>()));
        }
        let found = match who {
            Who::One | Who::All | Who::Resumed => ours_found(&said),
            Who::Prowler => prowler_found(&read(&self.folder.join("prowler/out.ocsf.json"))?)?,
            Who::Custodian => custodian_found(&read(&self.folder.join("custodian/open-buckets/resources.json"))?)?,
        };
        let calls = self.lab.calls(|call| call.began >= before);
        let mut operations = BTreeMap::new();
        for call in &calls {
            *operations.entry(call.name()).or_insert(0) += 1;
        }
        Ok(Run {
            seconds: number("seconds"),
            cpu_seconds: number("cpu_seconds"),
            peak_kib: told.get("peak_kib").and_then(Value::as_u64).unwrap_or_default(),
            calls: calls.len(),
            failed: calls.iter().filter(|call| call.status == 0 || call.status == 429 || call.status >= 500).count(),
            most: in_flight(&calls),
            mean: mean_in_flight(&calls),
            operations,
            found,
        })
    }

    /// A program that knows of the lab's AWS and of nothing else.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.lab.environment())
            .env("HOME", &self.folder)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "lab")
            .current_dir(&self.folder)
            .kill_on_drop(true);
        command
    }

    /// Starts a scan, and kills it after so many calls.
    async fn half(&self, command: &[OsString], calls: usize) -> Result<(), String> {
        let mut heard = self.lab.listen();
        let (program, arguments) = command.split_first().ok_or("there is nothing to start")?;
        let mut scan = self.command(Path::new(program));
        let mut scan =
            scan.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
        let mut seen = 0;
        while seen < calls {
            if let Happening::Call(_) = heard.recv().await.map_err(|error| error.to_string())? {
                seen += 1;
            }
        }
        scan.kill().await.map_err(|error| error.to_string())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// This very program, asked to look with these controls.
fn ours(controls: &[&str]) -> Result<Vec<OsString>, String> {
    let suture = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command: Vec<OsString> = vec![suture.into(), "scan".into(), "--json".into()];
    command.extend(controls.iter().flat_map(|control| ["--control".into(), (*control).into()]));
    Ok(command)
}

/// How many calls were in flight on average while there were any.
fn mean_in_flight(calls: &[Happened]) -> f64 {
    let mut spans: Vec<(Instant, Instant)> = calls.iter().map(|it| (it.began, it.began + it.duration)).collect();
    spans.sort();
    let (mut busy, mut until) = (Duration::ZERO, None);
    for (began, ended) in &spans {
        let from = until.map_or(*began, |until: Instant| until.max(*began));
        busy += ended.saturating_duration_since(from);
        until = Some(until.map_or(*ended, |until: Instant| until.max(*ended)));
    }
    let all: Duration = calls.iter().map(|call| call.duration).sum();
    if busy.is_zero() { 0.0 } else { all.as_secs_f64() / busy.as_secs_f64() }
}

/// The median of something of all runs.
fn typical(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    median(&runs.iter().map(of).collect::<Vec<_>>())
}

fn to_json(count: usize, runs: &Runs, latency: Duration) -> Value {
    let one = |run: &Run| {
        json!({
            "seconds": run.seconds,
            "cpu_seconds": run.cpu_seconds,
            "peak_memory_kib": run.peak_kib,
            "calls": run.calls,
            "calls_that_failed": run.failed,
            "in_flight": run.most,
            "in_flight_mean": run.mean,
            "bound_seconds": run.bound(latency),
            "operations": run.operations,
            "found": run.found.len(),
        })
    };
    let all =
        runs.iter().map(|(who, runs)| json!({"who": who.name(), "runs": runs.iter().map(one).collect::<Vec<_>>()}));
    json!({"buckets": count, "by": all.collect::<Vec<_>>()})
}

#[expect(clippy::cast_precision_loss, reason = "sizes and counts for people")]
fn print(count: usize, runs: &Runs, plan: &Plan) {
    let headings = ["", "found", "calls", "in flight", "(mean)", "time", "time : bound", "CPU", "memory"];
    let mut table = show::table(headings.map(str::to_owned));
    for (who, runs) in runs {
        let of = |of: fn(&Run) -> f64| typical(runs, of);
        let bound = typical(runs, |run| run.seconds / run.bound(plan.latency));
        let failed: usize = runs.iter().map(|run| run.failed).sum();
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        table.add_row([
            who.name().to_owned(),
            format!("{:.0}", of(|run| run.found.len() as f64)),
            format!("{:.0}{failed}", of(|run| run.calls as f64)),
            format!("{:.0}", of(|run| run.most as f64)),
            format!("{:.1}", of(|run| run.mean)),
            format!("{:.1} s", of(|run| run.seconds)),
            if *who == Who::Resumed { String::new() } else { format!("{bound:.2}") },
            format!("{:.2} s", of(|run| run.cpu_seconds)),
            format!("{:.1} MiB", of(|run| run.peak_kib as f64 / 1024.0)),
        ]);
    }
    println!("{table}");
    let note = format!(
        "{count} buckets, one in ten without a public access block; each call takes {} ms more. Medians of {} rounds in turns. \
         The bound is calls x latency / calls in flight on average; the aim is 1.5 times of it.",
        plan.latency.as_millis(),
        plan.rounds
    );
    println!("{}", show::faint(note));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::lab::call::Caller;

    fn calls(spans: &[(u64, u64)]) -> Vec<Happened> {
        let zero = Instant::now();
        let call = |&(began, ended): &(u64, u64)| Happened {
            service: "s3".to_owned(),
            operation: "GetPublicAccessBlock".to_owned(),
            resource: None,
            region: HOME_REGION.to_owned(),
            caller: Caller::Anonymous,
            writes: false,
            tags: false,
            status: 200,
            began: zero + Duration::from_millis(began),
            duration: Duration::from_millis(ended - began),
        };
        spans.iter().map(call).collect()
    }

    #[test]
    fn the_mean_is_of_the_time_in_which_something_was_in_flight() {
        let mean = |spans: &[(u64, u64)]| format!("{:.2}", mean_in_flight(&calls(spans)));
        assert_eq!(mean(&[]), "0.00");
        assert_eq!(mean(&[(0, 20), (100, 120)]), "1.00", "the pause does not count");
        assert_eq!(mean(&[(0, 20), (0, 20), (20, 40)]), "1.50");
        assert_eq!(mean(&[(0, 100), (10, 20), (30, 40)]), "1.20", "one within another");
    }

    #[test]
    fn the_bound_is_what_the_calls_alone_take() {
        let run = Run {
            seconds: 1.0,
            cpu_seconds: 0.1,
            peak_kib: 0,
            calls: 1200,
            failed: 0,
            most: 32,
            mean: 16.0,
            operations: BTreeMap::new(),
            found: BTreeSet::new(),
        };
        assert!((run.bound(Duration::from_millis(20)) - 1.5).abs() < 1e-9);
    }
}
