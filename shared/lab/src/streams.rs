//! Hands the records of tables' streams to functions, as Lambda's event source mappings do it: in order, one batch at a
//! time, again from the first record that failed, until it is given up.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html>
//!
//! Each table has one shard here. Nothing asks moto for records but after a write to the table.

use crate::bus::Bus;
use crate::call::ACCOUNT;
use crate::gateway::{Dropped, Happening, Journal};
use crate::http::{ApiRequest, Upstream};
use crate::idle::{Busy, Idle};
use crate::letters::Letters;
use crate::runtime::{Functions, Report};
use crate::template::MappingSpec;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How many bytes of records an event has at most: Lambda's limit for an event, less what is around them.
const LARGEST_BATCH: usize = 5 * 1024 * 1024;

/// How long the first wait before another try is, and the longest. Lambda does not say how long its own are.
const WAITS: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// The mappings of a lab. Their tasks end when this is dropped.
#[derive(Debug, Default)]
pub struct Streams(Vec<(Arc<Mapped>, JoinHandle<()>)>);

impl Drop for Streams {
    fn drop(&mut self) {
        for (_, task) in &self.0 {
            task.abort();
        }
    }
}

/// What a mapping's task and whoever wakes it share.
#[derive(Debug)]
struct Mapped {
    spec: MappingSpec,
    woken: Notify,
    /// There while records may wait that the task has not begun with.
    waiting: Mutex<Option<Busy>>,
    idle: Idle,
}

/// One mapping at work.
struct Worker {
    mapped: Arc<Mapped>,
    function: String,
    filter: Option<Bus>,
    moto: Upstream,
    functions: Functions,
    journal: Journal,
    /// The sequence number of the last record that it is done with.
    after: Option<String>,
}

impl Streams {
    /// Starts the mappings, each with the folder of its function's code. Fails if a filter is no pattern.
    pub fn start(
        mappings: impl IntoIterator<Item = (String, MappingSpec)>,
        moto: &Upstream,
        functions: &Functions,
        journal: &Journal,
    ) -> Result<Self, String> {
        let mut started = Vec::new();
        for (function, spec) in mappings {
            let rules = spec.filters.iter().map(|pattern| (spec.name.clone(), function.clone(), pattern.clone()));
            let filter = (!spec.filters.is_empty()).then(|| Bus::new(rules)).transpose()?;
            let mapped = Arc::new(Mapped {
                spec,
                woken: Notify::new(),
                waiting: Mutex::default(),
                idle: functions.idle().clone(),
            });
            let worker = Worker {
                mapped: Arc::clone(&mapped),
                function,
                filter,
                moto: moto.clone(),
                functions: functions.clone(),
                journal: journal.clone(),
                after: None,
            };
            started.push((mapped, tokio::spawn(worker.run())));
        }
        Ok(Self(started))
    }

    /// Something was written to a table: its mappings look for records.
    pub fn written(&self, table: &str) {
        // A table is named by its ARN too.
        let table = table.rsplit('/').next().unwrap_or(table);
        for (mapped, _) in self.0.iter().filter(|(mapped, _)| mapped.spec.table() == table) {
            let mut waiting = mapped.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.get_or_insert_with(|| mapped.idle.begin());
            mapped.woken.notify_one();
        }
    }
}

impl Worker {
    async fn run(mut self) {
        loop {
            self.mapped.woken.notified().await;
            let _busy = self.mapped.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            loop {
                let Some((records, shard)) = self.read().await else { return };
                if records.is_empty() {
                    break;
                }
                if self.work_off(records, &shard).await.is_none() {
                    return;
                }
            }
        }
    }

    /// The next records that the mapping takes, and their shard; none if the emulator is gone.
    async fn read(&mut self) -> Option<(Vec<Value>, String)> {
        let (limit, stream) = (self.mapped.spec.batch, &self.mapped.spec.stream);
        loop {
            let question = json!({
                "account": ACCOUNT, "stream": stream, "after": self.after, "limit": limit, "bytes": LARGEST_BATCH,
            });
            let request = ApiRequest::new(Method::POST, "/_lab/streams/read").body(question.to_string());
            let answer = self.moto.send(request).await.ok()?;
            let mut answer: Value = serde_json::from_slice(&answer.body).ok()?;
            self.after = answer.get("last").and_then(Value::as_str).map(str::to_owned);
            let shard = answer.get("shard").and_then(Value::as_str).unwrap_or_default().to_owned();
            let Some(Value::Array(mut records)) = answer.get_mut("records").map(Value::take) else { return None };
            let none = records.is_empty();
            if let Some(filter) = &self.filter {
                records.retain(|record| !filter.matching(record).is_empty());
            }
            // Behind a batch of which the mapping takes nothing there may be another.
            if none || !records.is_empty() {
                return Some((records, shard));
            }
        }
    }

    /// Hands over a batch until each record is done with or given up; none if the functions were stopped.
    async fn work_off(&self, records: Vec<Value>, shard: &str) -> Option<()> {
        let spec = &self.mapped.spec;
        // What is to be done first is last.
        let mut batches = vec![(records, 0)];
        while let Some((mut records, tries)) = batches.pop() {
            let payload = Bytes::from(json!({ "Records": records }).to_string());
            let report = self.functions.hand_over(&self.function, &spec.name, tries + 1, payload).await.ok()?;
            let Some(failed) = failed_from(&report, &records, spec.partial) else { continue };
            // With those before it the function is done, and the next try is the first with what is left.
            let rest = records.split_off(failed);
            let tries = if failed > 0 { 0 } else { tries };
            let halves = rest.len() / 2;
            if spec.bisect && report.answer.is_err() && halves > 0 {
                let (first, second) = rest.split_at(halves);
                batches.extend([(second.to_vec(), tries), (first.to_vec(), tries)]);
            } else if spec.retries.is_some_and(|most| tries >= most) {
                self.give_up(&rest, &report, (tries, "RetryAttemptsExhausted"), shard).await;
            } else if spec.longest.is_some_and(|longest| rest.first().is_some_and(|record| older(record, longest))) {
                // AWS's pages give no example of this one.
                self.give_up(&rest, &report, (tries, "RecordAgeExceeded"), shard).await;
            } else {
                let [shortest, longest] = WAITS;
                sleep(shortest.saturating_mul(1 << tries.min(10)).min(longest)).await;
                batches.push((rest, tries + 1));
            }
        }
        Some(())
    }

    /// Tells where the mapping says that these records were given up.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
    async fn give_up(&self, records: &[Value], report: &Report, (tries, condition): (u32, &str), shard: &str) {
        let spec = &self.mapped.spec;
        let number = |record: Option<&Value>| record.and_then(sequence_number).unwrap_or_default().to_owned();
        let arrived = |record: Option<&Value>| {
            record.and_then(made).and_then(|made| made.format(&Rfc3339).ok()).unwrap_or_default()
        };
        let region = spec.stream.split(':').nth(3).unwrap_or_default();
        let message = json!({
            "requestContext": {
                "requestId": report.request_id,
                "functionArn": format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{}", self.function),
                "condition": condition,
                "approximateInvokeCount": tries + 1,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": report.answer.is_err().then_some("Unhandled"),
            },
            "version": "1.0",
            "timestamp": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            "DDBStreamBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": number(records.first()),
                "endSequenceNumber": number(records.last()),
                "approximateArrivalOfFirstRecord": arrived(records.first()),
                "approximateArrivalOfLastRecord": arrived(records.last()),
                "batchSize": records.len(),
                "streamArn": spec.stream,
            },
        });
        if let Some(queue) = spec.on_failure.as_deref().filter(|arn| arn.contains(":sqs:")) {
            // A destination that is not there is told by what comes next, and nobody else could be told.
            let _ = Letters::new(&self.moto).send(queue, &message.to_string(), &[]).await;
        }
        let (function, destination) = (self.function.clone(), spec.on_failure.clone());
        self.journal.tell(Happening::Dropped(Box::new(Dropped { function, destination, message })));
    }
}

fn sequence_number(record: &Value) -> Option<&str> {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str)
}

/// When a record was made, to the second.
fn made(record: &Value) -> Option<OffsetDateTime> {
    let at = record.pointer("/dynamodb/ApproximateCreationDateTime")?.as_i64()?;
    OffsetDateTime::from_unix_timestamp(at).ok()
}

fn older(record: &Value, longest: Duration) -> bool {
    made(record).is_some_and(|made| OffsetDateTime::now_utc() - made > longest)
}

/// The first record that an invocation failed with; none if it did all. Where a mapping takes reports of records, what is
/// no such report, or names a record that was not there, fails the whole batch.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
fn failed_from(report: &Report, records: &[Value], partial: bool) -> Option<usize> {
    let Ok(answer) = &report.answer else { return Some(0) };
    if !partial {
        return None;
    }
    let answer: Value = match serde_json::from_slice(answer) {
        Ok(answer) => answer,
        // An empty answer is success, as null is.
        Err(_) => return (!answer.is_empty()).then_some(0),
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return None,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Some(0),
    };
    let places = failures.iter().map(|failure| {
        let named = failure.get("itemIdentifier").and_then(Value::as_str)?;
        records.iter().position(|record| sequence_number(record) == Some(named))
    });
    places.map(Option::unwrap_or_default).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::FunctionError;

    fn report(answer: Result<&str, &str>) -> Report {
        let error = |kind: &str| FunctionError { error_type: kind.to_owned(), error_message: String::new() };
        Report {
            function: "recorder".to_owned(),
            request_id: String::new(),
            attempt: 1,
            rule: None,
            init: None,
            duration: Duration::ZERO,
            memory_kib: 0,
            cpu: Duration::ZERO,
            answer: answer.map(|body| Bytes::from(body.to_owned())).map_err(error),
            calls: Vec::new(),
            log: Vec::new(),
        }
    }

    #[test]
    fn a_batch_goes_on_from_the_first_record_that_failed() {
        let records: Vec<_> =
            ["7", "8", "9"].iter().map(|number| json!({"dynamodb": {"SequenceNumber": number}})).collect();
        for (answer, partial, expected) in [
            (Err("Suture.Retry"), true, Some(0)),
            (Ok("null"), true, None),
            (Ok(""), true, None),
            (Ok("{}"), true, None),
            (Ok(r#"{"batchItemFailures": null}"#), true, None),
            (Ok(r#"{"batchItemFailures": []}"#), true, None),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": "9"}, {"itemIdentifier": "8"}]}"#), true, Some(1)),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": "8"}]}"#), false, None),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#), true, Some(0)),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": "9"}, {"item": "9"}]}"#), true, Some(0)),
            (Ok(r#"{"batchItemFailures": "8"}"#), true, Some(0)),
            (Ok("not json"), true, Some(0)),
        ] {
            assert_eq!(failed_from(&report(answer), &records, partial), expected, "{answer:?}");
        }
    }
}
