//! A Lambda runtime: functions as child processes behind the Runtime API, with the environment and the limits that the
//! template gives them, started, frozen out, killed and tried again as Lambda does it.
//!
//! What it does not play: the CPU share that goes with a memory size, the freezing of idle sandboxes, layers and
//! extensions.

mod api;
mod function;
mod log;
mod sandbox;

pub use function::{Function, Functions};
pub use sandbox::Program;

use crate::gateway::Happened;
use bytes::Bytes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Lambda's limit for an event, in bytes: 6 MB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const LARGEST_EVENT: usize = 6 * 1024 * 1024;

/// How long a function may take to ask for its first event.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
pub const INIT_LIMIT: Duration = Duration::from_secs(10);

/// What a function runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The function's name.
    pub name: String,
    /// The program that is its `bootstrap`.
    pub program: Program,
    /// The name of its role.
    pub role: String,
    /// Memory, in MiB; a process that needs more is killed.
    pub memory_mib: u64,
    /// The longest that an invocation may take.
    pub timeout: Duration,
    /// The variables that the template sets.
    pub environment: BTreeMap<String, String>,
    /// How many invocations may run at once.
    pub concurrency: usize,
    /// How often a failed asynchronous invocation is tried again.
    pub retries: u32,
    /// The ARN of the queue that is told of an event when every try has failed.
    pub on_failure: Option<String>,
}

/// What an invocation came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The function.
    pub function: String,
    /// Lambda's request id.
    pub request_id: String,
    /// Which try of an asynchronous invocation it was, from 1.
    pub attempt: u32,
    /// What woke it, if nobody invoked it: an EventBridge rule, a schedule, a mapping of a stream.
    pub rule: Option<String>,
    /// From the start of the process to its first request for an event; none if the process was already there.
    #[serde(serialize_with = "milliseconds_option")]
    pub init: Option<Duration>,
    /// From handing over the event to the answer.
    #[serde(serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The most memory that the process has used so far, in KiB.
    pub memory_kib: u64,
    /// The CPU time that the process took from the event to its answer.
    #[serde(serialize_with = "milliseconds")]
    pub cpu: Duration,
    /// The answer, or how the invocation failed.
    #[serde(serialize_with = "answer")]
    pub answer: Result<Bytes, FunctionError>,
    /// The AWS calls that it made.
    pub calls: Vec<Happened>,
    /// What it logged.
    pub log: Vec<String>,
}

/// How an invocation failed, as Lambda tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    /// `Suture.Retry`, `Sandbox.Timedout`, `Runtime.ExitError` …
    pub error_type: String,
    /// The message.
    pub error_message: String,
}

impl FunctionError {
    fn new(error_type: &str, error_message: impl Into<String>) -> Self {
        Self { error_type: error_type.to_owned(), error_message: error_message.into() }
    }
}

impl Report {
    /// The answer as JSON; null if it failed or is none.
    pub fn json(&self) -> serde_json::Value {
        self.answer.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
    }

    /// How much of the duration was spent outside AWS calls, as the gateway saw them. Calls beside each other count once.
    pub fn own_time(&self) -> Duration {
        let mut spans: Vec<_> = self.calls.iter().map(|call| (call.began, call.began + call.duration)).collect();
        spans.sort();
        let (mut waited, mut until) = (Duration::ZERO, None);
        for (from, to) in spans {
            let from = until.map_or(from, |until| from.max(until));
            waited += to.saturating_duration_since(from);
            until = Some(until.map_or(to, |until| to.max(until)));
        }
        self.duration.saturating_sub(waited)
    }
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e5).round() / 100.0)
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn milliseconds_option<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => milliseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

fn answer<S: serde::Serializer>(answer: &Result<Bytes, FunctionError>, serializer: S) -> Result<S::Ok, S::Error> {
    match answer {
        Ok(body) => serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default().serialize(serializer),
        Err(error) => error.serialize(serializer),
    }
}
