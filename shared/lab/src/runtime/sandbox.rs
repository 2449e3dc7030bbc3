//! One sandbox: a child process and the Runtime API that it talks to.

use super::api::{Delivery, RuntimeApi, Said};
use super::log::{Log, Watch};
use super::{Config, FunctionError};
use crate::call::ACCOUNT;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tokio::process::{Child, Command};
use tokio::time::{interval, sleep_until};

/// A program that speaks to the Runtime API: a `bootstrap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub directory: Option<PathBuf>,
}

impl Program {
    /// An executable without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new(), directory: None }
    }
}

/// A function's process.
pub(super) struct Sandbox {
    child: Child,
    api: RuntimeApi,
    spawned: Instant,
    init: Option<Duration>,
    init_limit: Duration,
    ready: bool,
    log: Log,
    memory_kib: u64,
    memory_limit_kib: u64,
    /// The access key that the process signs with; by it the gateway knows its calls.
    pub access_key: String,
    /// Which configuration of the function it was started with.
    pub generation: u64,
}

/// What one invocation of a sandbox came to.
pub(super) struct Ran {
    pub answer: Result<Bytes, FunctionError>,
    pub init: Option<Duration>,
    pub began: Instant,
    pub duration: Duration,
    pub memory_kib: u64,
    pub cpu: Duration,
    pub log: Vec<String>,
    /// Whether the process can take another event.
    pub healthy: bool,
}

/// Why waiting for the function ended.
enum Ended {
    Said(Option<Said>),
    Exited(std::io::Result<ExitStatus>),
    TimedOut,
    OutOfMemory,
}

impl Sandbox {
    /// Starts the process; it is not waited for.
    pub async fn start(
        config: &Config,
        generation: u64,
        access_key: String,
        world: &BTreeMap<String, String>,
        init_limit: Duration,
        watch: Watch,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{} could not be started: {error}", config.program.path.display());
        let api = RuntimeApi::start().await.map_err(failed)?;
        let (log, output) = Log::open(watch).map_err(failed)?;
        let mut command = Command::new(&config.program.path);
        command
            .args(&config.program.arguments)
            .env_clear()
            .envs(world)
            .envs(environment(config, &access_key))
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .envs(&config.environment)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .kill_on_drop(true);
        if let Some(directory) = &config.program.directory {
            command.current_dir(directory);
        }
        let spawned = Instant::now();
        let child = command.spawn().map_err(failed)?;
        Ok(Self {
            child,
            api,
            spawned,
            init: None,
            init_limit,
            ready: false,
            log,
            memory_kib: 0,
            memory_limit_kib: config.memory_mib * 1024,
            access_key,
            generation,
        })
    }

    /// Hands over one event and waits for its answer.
    pub async fn invoke(&mut self, request_id: &str, arn: String, payload: Bytes, timeout: Duration) -> Ran {
        let cold = self.init.is_none();
        let until = self.spawned + self.init_limit;
        if let Err(error) = self.wait_until_ready(until).await {
            let (began, init) = (Instant::now(), self.init.filter(|_| cold));
            self.measure();
            let _ = self.child.kill().await;
            let log = self.log.take(true);
            return Ran {
                answer: Err(error),
                init,
                began,
                duration: Duration::ZERO,
                memory_kib: self.memory_kib,
                cpu: Duration::ZERO,
                log,
                healthy: false,
            };
        }
        self.ready = false;
        let deadline = SystemTime::now() + timeout;
        let (began, cpu) = (Instant::now(), self.cpu());
        // The receiving end lives as long as the server, and that as long as the sandbox.
        let _ = self.api.deliver.send(Delivery { request_id: request_id.to_owned(), arn, deadline, payload });
        let until = began + timeout;
        let answer = self.answer(request_id, timeout, until).await;
        let duration = began.elapsed();
        let cpu = self.cpu().saturating_sub(cpu);
        self.measure();
        let mut healthy = !matches!(&answer, Err(error) if error.error_type.starts_with("Sandbox.") || error.error_type == "Runtime.ExitError");
        if healthy {
            // Lambda too counts an invocation as over when the function asks for the next event.
            healthy = self.wait_until_ready(until).await.is_ok();
        }
        if !healthy {
            let _ = self.child.kill().await;
        }
        let (init, log) = (self.init.filter(|_| cold), self.log.take(!healthy));
        Ran { answer, init, began, duration, memory_kib: self.memory_kib, cpu, log, healthy }
    }

    /// Whether the process is still there.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process and waits until it is gone.
    pub async fn end(mut self) {
        // A child that cannot be killed is already gone.
        let _ = self.child.kill().await;
    }

    async fn answer(&mut self, request_id: &str, timeout: Duration, until: Instant) -> Result<Bytes, FunctionError> {
        loop {
            match self.next(until).await {
                Ended::Said(Some(Said::Response(id, body))) if id == request_id => return Ok(body),
                Ended::Said(Some(Said::Error(id, body))) if id == request_id => return Err(error(&body)),
                Ended::Said(Some(_)) => {}
                Ended::TimedOut => {
                    let message = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
                    return Err(FunctionError::new("Sandbox.Timedout", message));
                }
                ended => return Err(self.died(ended)),
            }
        }
    }

    async fn wait_until_ready(&mut self, until: Instant) -> Result<(), FunctionError> {
        while !self.ready {
            match self.next(until).await {
                Ended::Said(Some(Said::Next)) => {
                    self.ready = true;
                    self.init.get_or_insert_with(|| self.spawned.elapsed());
                }
                Ended::Said(Some(Said::InitError(body))) => return Err(error(&body)),
                Ended::Said(Some(_)) => {}
                Ended::TimedOut => {
                    let message = format!("no event was asked for within {:.2} seconds", self.init_limit.as_secs_f64());
                    return Err(FunctionError::new("Sandbox.InitTimedout", message));
                }
                ended => return Err(self.died(ended)),
            }
        }
        Ok(())
    }

    /// The next thing that happens until a moment.
    async fn next(&mut self, until: Instant) -> Ended {
        let (pid, memory_limit) = (self.child.id(), self.memory_limit_kib);
        let too_big = async {
            let mut ticks = interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                if pid.and_then(high_water_mark_kib).is_some_and(|used| used > memory_limit) {
                    return;
                }
            }
        };
        // What the function said counts before its end does.
        tokio::select! {
            biased;
            said = self.api.said.recv() => Ended::Said(said),
            exited = self.child.wait() => Ended::Exited(exited),
            () = too_big => Ended::OutOfMemory,
            () = sleep_until(until.into()) => Ended::TimedOut,
        }
    }

    fn died(&self, ended: Ended) -> FunctionError {
        let why = match ended {
            Ended::OutOfMemory => {
                let message = format!("memory limit of {} MiB exceeded: signal: killed", self.memory_limit_kib / 1024);
                return FunctionError::new("Runtime.ExitError", message);
            }
            Ended::Exited(Ok(status)) => status.to_string(),
            Ended::Exited(Err(error)) => error.to_string(),
            Ended::Said(_) | Ended::TimedOut => "the Runtime API is gone".to_owned(),
        };
        FunctionError::new("Runtime.ExitError", format!("the process ended: {why}"))
    }

    /// The CPU time of the process so far.
    fn cpu(&self) -> Duration {
        self.child.id().and_then(cpu_time).unwrap_or_default()
    }

    fn measure(&mut self) {
        self.memory_kib = self.child.id().and_then(high_water_mark_kib).unwrap_or(0).max(self.memory_kib);
    }
}

/// The variables that Lambda sets.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn environment(config: &Config, access_key: &str) -> Vec<(&'static str, String)> {
    vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", config.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory_mib.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", config.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "lab".to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "lab".to_owned()),
        ("AWS_SESSION_TOKEN", "lab".to_owned()),
    ]
}

/// The function's ARN.
pub(super) fn arn(function: &str, region: &str) -> String {
    format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{function}")
}

/// The most memory that a process has had resident (`VmHWM`), in KiB; none if it is gone.
fn high_water_mark_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The time that a process's threads have been on a CPU, by the scheduler's own count; none if it is gone.
/// <https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat>
fn cpu_time(pid: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(nanoseconds.sum()))
}

fn error(body: &[u8]) -> FunctionError {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| json.get(field).and_then(|value| value.as_str()).unwrap_or("Unknown");
    FunctionError::new(text("errorType"), text("errorMessage"))
}
