//! The Lambda entry.

use crate::people::Aws;
use crate::recorder::{Recorder, Voice};
use crate::settings::Settings;
use crate::stream::{Event, StreamRecord};
use crate::{ABOUT, Swept};
use evidence::Bucket;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use ledger::Dynamo;
use serde::Serialize;
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use tokio::time::Instant;
use triggers::ids::AccountId;

/// What is kept back of an invocation's time: for what is under way when it runs out.
const RESERVE: Duration = Duration::from_secs(5);
/// How many announcements of earlier runs are tried before a batch.
const UNTOLD: usize = 20;

/// What an invocation answers.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// To the stream: where to go on. Empty if all was done.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
    #[serde(rename_all = "camelCase")]
    Batch {
        /// The first that was not done.
        batch_item_failures: Vec<Failure>,
    },
    /// To a schedule.
    Swept(Swept),
}

/// A change that has to be handed to us again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Its sequence number.
    pub item_identifier: String,
}

/// An invocation's error: for what another try may mend, and for what somebody has to look at.
#[derive(Debug, PartialEq, Eq)]
pub struct Retry(pub String);

impl From<Retry> for Diagnostic {
    fn from(retry: Retry) -> Self {
        Self { error_type: "Suture.Retry".to_owned(), error_message: retry.0 }
    }
}

/// Serves the recorder until Lambda ends the process. With the argument `--about` it prints [`ABOUT`] as JSON instead.
pub async fn serve() -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("--about") {
        let mut json = serde_json::to_vec(&ABOUT)?;
        json.push(b'\n');
        return Ok(std::io::stdout().lock().write_all(&json)?);
    }
    let variable = |name: &str| std::env::var(name).ok();
    remediation::log::start(variable);
    let sdk = remediation::lambda::sdk_config().await;
    let (topic, hub) = (variable("SUTURE_TOPIC"), variable("SUTURE_SECURITY_HUB"));
    let topic = topic.filter(|topic| !topic.trim().is_empty());
    let people = Aws::new(&sdk, topic, hub.as_deref().map(str::trim) == Some("on"));
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let arn = &event.context.invoked_function_arn;
        let own = arn.split(':').nth(4).and_then(|id| AccountId::parse(id).ok());
        let settings = Settings::read(variable, own.as_ref()).map_err(Retry)?;
        let store = Dynamo::new(&sdk, &settings.ledger);
        let shelf = Bucket::new(&sdk, &settings.evidence, settings.account.clone());
        let voice = Voice {
            account: settings.account,
            region: settings.region,
            partition: arn.split(':').nth(1).filter(|part| !part.is_empty()).unwrap_or("aws").to_owned(),
            stack: settings.stack,
            ledger: Some(settings.ledger),
            evidence: Some(settings.evidence),
        };
        let recorder = Recorder::new(&store, &shelf, &people, &voice);
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let deadline = Instant::now() + left.saturating_sub(RESERVE);
        answer(&recorder, &event.payload, &settings.accounts, OffsetDateTime::now_utc(), deadline).await
    }))
    .await
}

/// Does what an event asks for.
///
/// # Errors
/// Where Lambda has to be told: a change that failed and cannot be named to the stream, or an hour in which something went
/// wrong.
pub async fn answer(
    recorder: &Recorder<'_>,
    event: &Value,
    accounts: &[AccountId],
    now: OffsetDateTime,
    deadline: Instant,
) -> Result<Response, Retry> {
    match Event::read(event) {
        Event::Stream(records) => batch(recorder, records, now, deadline).await,
        Event::Hourly => {
            let swept = recorder.hourly(accounts, now, deadline).await;
            match swept.troubles.first() {
                // An error, so that the alarm on the function's errors goes off: this is the last net.
                Some(first) => {
                    Err(Retry(format!("{} of this hour's work failed; the first: {first}", swept.troubles.len())))
                }
                None => Ok(Response::Swept(swept)),
            }
        }
        Event::Other(why) => {
            tracing::warn!("recorder: rejected: {why}");
            Ok(Response::Batch { batch_item_failures: Vec::new() })
        }
    }
}

/// Does what a batch of the stream asks for, in order, and says where to go on if something failed that may pass.
async fn batch(
    recorder: &Recorder<'_>,
    records: Vec<StreamRecord>,
    now: OffsetDateTime,
    deadline: Instant,
) -> Result<Response, Retry> {
    if let Err(trouble) = recorder.untold(UNTOLD).await {
        tracing::warn!("what is still to be told cannot be read: {trouble}");
    }
    for StreamRecord { sequence_number, changed } in records {
        let Some(changed) = changed else {
            tracing::warn!("recorder: rejected: a change that is not of the ledger's table");
            continue;
        };
        let done = if Instant::now() >= deadline {
            Err(ledger::Trouble::passing("out of time"))
        } else {
            recorder.change(&changed, now).await
        };
        match done {
            Ok(()) => {}
            Err(trouble) if trouble.is_worth_a_retry() => {
                tracing::warn!("{}: {trouble}; the stream will hand it over again", changed.id);
                let Some(item_identifier) = sequence_number else { return Err(Retry(trouble.to_string())) };
                return Ok(Response::Batch { batch_item_failures: vec![Failure { item_identifier }] });
            }
            // It must not keep what is behind it waiting: the record stays in the ledger, and every hourly run tries again.
            Err(trouble) => tracing::error!("{}: {trouble}; every hour it will be tried again", changed.id),
        }
    }
    Ok(Response::Batch { batch_item_failures: Vec::new() })
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
