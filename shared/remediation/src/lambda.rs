//! The Lambda entry: one function serves one control.
//!
//! A panic ends the process (the release profile says `abort`): what a panicked control would do next is not to be
//! trusted with writes. Lambda then starts a new sandbox and delivers the event again, and the plan is made afresh from
//! the live state.

use crate::connection::OneConnector;
use crate::control::{Cloud, Control};
use crate::driver::{self, Run};
use crate::event::{self, LARGEST_EVENT, Request, Unread};
use crate::gate;
use crate::ids::{AccountId, Region, shown};
use crate::log::EVIDENCE;
use crate::record::{Outcome, Record};
use crate::settings::Settings;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Write;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use tokio::time::Instant;

pub use lambda_runtime::Error;

/// What is kept back of the invocation's time to write the record and answer.
const RESERVE: Duration = Duration::from_millis(750);

/// Serves control `C` until Lambda ends the process. `connect` makes the control's cloud half from the shared SDK
/// configuration and the control's parameters; it runs once.
///
/// With the argument `--about` the program prints the control's facts ([`crate::About`]) as JSON instead, and ends.
pub async fn serve<C: Control, K: Cloud<C>>(connect: impl FnOnce(&SdkConfig, C::Parameters) -> K) -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("--about") {
        return about::<C>();
    }
    let variable = |name: &str| std::env::var(name).ok();
    crate::log::start(variable);
    // A deployment that cannot be understood must not run on defaults.
    let parameters = parameters::<C>(variable("SUTURE_PARAMETERS"))?;
    Settings::read(variable, None, None)?;
    let cloud = connect(&sdk_config().await, parameters);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Payload>| {
        let own_account = event.context.invoked_function_arn.split(':').nth(4).and_then(|id| AccountId::parse(id).ok());
        let own_region = variable("AWS_REGION").and_then(|region| Region::parse(&region).ok());
        let settings = Settings::read(variable, own_account.as_ref(), own_region.as_ref()).map_err(Retry)?;
        let own = (own_account.as_ref(), own_region.as_ref());
        answer::<C>(&cloud, &settings, own, event.payload, &event.context).await
    }))
    .await
}

/// What `--about` prints: the control's facts as JSON, so that the template, the docs and the tables can be held against
/// the very binary that is deployed.
fn about<C: Control>() -> Result<(), Error> {
    let mut json = serde_json::to_vec(&C::ABOUT)?;
    json.push(b'\n');
    Ok(std::io::stdout().lock().write_all(&json)?)
}

fn parameters<C: Control>(json: Option<String>) -> Result<C::Parameters, String> {
    match json.filter(|json| !json.trim().is_empty()) {
        None => Ok(C::Parameters::default()),
        Some(json) => serde_json::from_str(&json).map_err(|error| format!("SUTURE_PARAMETERS: {error}")),
    }
}

/// One SDK configuration for every client. No emulator is named here: `AWS_ENDPOINT_URL` and its kin do that.
///
/// Times are short because the driver's deadline is the invocation's: the SDK must have tried again well before it.
/// <https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>
pub async fn sdk_config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(20))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_millis(100)))
        .timeout_config(timeouts)
        .http_client(OneConnector::default())
        // It watches for slow downloads; ours are a few hundred bytes.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Ok(name) = AppName::new("suture") {
        loader = loader.app_name(name);
    }
    loader.load().await
}

/// What an invocation answers.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The control.
    pub control: &'static str,
    /// One record for each resource.
    pub records: Vec<Record>,
    /// What of the event became no request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// An invocation's error: only ever for what a retry may mend.
#[derive(Debug)]
pub struct Retry(String);

impl From<Retry> for Diagnostic {
    fn from(retry: Retry) -> Self {
        Self { error_type: "Suture.Retry".to_owned(), error_message: retry.0 }
    }
}

/// An event as it came: JSON of a bearable size, or why it is not. Reading it never fails, since a failure here would
/// make Lambda deliver again what will never be JSON.
struct Payload(Result<Box<RawValue>, String>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer).map_err(|error| error.to_string())))
    }
}

impl Payload {
    fn read(self) -> Result<Value, String> {
        let json = self.0.map_err(|error| format!("the event is not JSON: {error}"))?;
        if json.get().len() > LARGEST_EVENT {
            return Err(format!("the event has {} bytes, and Lambda's limit is {LARGEST_EVENT}", json.get().len()));
        }
        serde_json::from_str(json.get()).map_err(|error| format!("the event is not JSON: {error}"))
    }
}

async fn answer<C: Control>(
    cloud: &impl Cloud<C>,
    settings: &Settings,
    own: (Option<&AccountId>, Option<&Region>),
    payload: Payload,
    context: &Context,
) -> Result<Answer, Retry> {
    let mut answer = Answer { control: C::ABOUT.id, records: Vec::new(), unread: Vec::new() };
    let requests = payload.read().map_err(Unread::Rejected).and_then(|event| event::read::<C>(&event, own));
    let requests = match requests {
        Ok(requests) => requests,
        Err(unread) => {
            unread_line(C::ABOUT.id, &unread);
            answer.unread.push(unread);
            return Ok(answer);
        }
    };
    let deadline = deadline(context.deadline());
    for (number, request) in requests.iter().enumerate() {
        if gate::own_doing(request, settings) {
            let unread = Unread::Ignored(format!("our own role changed {}", shown(&request.place.target.to_string())));
            unread_line(C::ABOUT.id, &unread);
            answer.unread.push(unread);
            continue;
        }
        let id = format!("{}-{}", context.request_id, number + 1);
        answer.records.push(one(cloud, request, &Run { settings, id, now: OffsetDateTime::now_utc(), deadline }).await);
    }
    match answer.records.iter().find(|record| record.retry) {
        Some(record) => Err(Retry(record.line())),
        None => Ok(answer),
    }
}

async fn one<C: Control>(cloud: &impl Cloud<C>, request: &Request<C>, run: &Run<'_>) -> Record {
    // Boxed: the futures of SDK calls are deep and large, and a function's main would have to lay them all out.
    let record = Box::pin(driver::run(cloud, request, run)).await;
    let json = serde_json::to_string(&record).unwrap_or_default();
    if record.outcome.needs_a_person() {
        tracing::warn!(target: EVIDENCE, record = json.as_str(), "{}", record.line());
    } else if matches!(record.outcome, Outcome::Fixed | Outcome::Undone) {
        tracing::info!(target: EVIDENCE, record = json.as_str(), "{}", record.line());
    } else {
        tracing::info!(record = json.as_str(), "{}", record.line());
    }
    record
}

fn unread_line(control: &str, unread: &Unread) {
    match unread {
        Unread::Ignored(why) => tracing::info!("{control}: ignored: {why}"),
        Unread::Rejected(why) => tracing::warn!("{control}: rejected: {why}"),
    }
}

/// The moment by which we must have finished, in the runtime's clock.
fn deadline(lambda: SystemTime) -> Instant {
    let left = lambda.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(RESERVE)
}

#[cfg(test)]
#[path = "lambda_tests.rs"]
mod tests;
