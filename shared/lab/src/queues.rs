//! Hands the messages of queues to functions, as Lambda's event sources do it: in batches, as many at once as the template
//! allows, again what failed, until the queue's own limit sets it aside.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
//!
//! Nothing asks moto for messages but after one was sent, or when one is to come back.

use crate::http::{ApiRequest, Upstream};
use crate::idle::{Busy, Idle};
use crate::letters::{call, url};
use crate::runtime::{Functions, Report};
use crate::template::QueueSpec;
use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How many messages one ReceiveMessage or DeleteMessageBatch takes.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const AT_ONCE: usize = 10;

/// How many invocations at once an event source makes that the template does not limit.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
const UNLIMITED: usize = 1000;

/// Messages that come back sooner than this are waited for as something that is under way.
const SOON: Duration = Duration::from_secs(2);

/// The event sources of a lab. Their tasks end when this is dropped.
#[derive(Debug, Default)]
pub struct Queues {
    sources: Vec<(Arc<Source>, JoinHandle<()>)>,
    idle: Idle,
}

impl Drop for Queues {
    fn drop(&mut self) {
        for (_, task) in &self.sources {
            task.abort();
        }
    }
}

/// What an event source's task and whoever wakes it share.
#[derive(Debug)]
struct Source {
    spec: QueueSpec,
    woken: Notify,
    /// There while messages may wait that the task has not begun with.
    waiting: Mutex<Option<[Busy; 2]>>,
    /// What is under way of the lab's, and of the queues' alone.
    idle: [Idle; 2],
}

impl Source {
    fn begin(&self) -> [Busy; 2] {
        self.idle.each_ref().map(Idle::begin)
    }

    fn wake(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get_or_insert_with(|| self.begin());
        self.woken.notify_one();
    }
}

/// One event source at work.
struct Worker {
    source: Arc<Source>,
    function: String,
    moto: Upstream,
    functions: Functions,
    /// When what failed comes back, in place of the queue's visibility time-out.
    again: Duration,
}

impl Queues {
    /// Starts the event sources, each with the folder of its function's code. What a function failed with comes back after
    /// `again`.
    pub fn start(
        sources: impl IntoIterator<Item = (String, QueueSpec)>,
        moto: &Upstream,
        functions: &Functions,
        again: Duration,
    ) -> Self {
        let all = Idle::default();
        let start = |(function, spec): (String, QueueSpec)| {
            let idle = [functions.idle().clone(), all.clone()];
            let source = Arc::new(Source { spec, woken: Notify::new(), waiting: Mutex::default(), idle });
            let worker = Worker {
                source: Arc::clone(&source),
                function,
                moto: moto.clone(),
                functions: functions.clone(),
                again,
            };
            (source, tokio::spawn(Arc::new(worker).run()))
        };
        let sources = sources.into_iter().map(start).collect();
        Self { sources, idle: all }
    }

    /// Whether messages wait for a function, or are in its hands.
    pub fn idle(&self) -> &Idle {
        &self.idle
    }

    /// Something was sent to a queue, by its URL or ARN, or made visible in it: whoever takes its messages looks.
    pub fn written(&self, queue: &str) {
        let name = queue.rsplit(['/', ':']).next().unwrap_or(queue);
        for (source, _) in self.sources.iter().filter(|(source, _)| source.spec.queue.rsplit(':').next() == Some(name))
        {
            source.wake();
        }
    }

    /// The ARNs of the queues whose messages functions take.
    pub fn sources(&self) -> Vec<&str> {
        self.sources.iter().map(|(source, _)| source.spec.queue.as_str()).collect()
    }
}

impl Worker {
    async fn run(self: Arc<Self>) {
        let slots = Arc::new(Semaphore::new(self.source.spec.concurrency.unwrap_or(UNLIMITED)));
        let mut next = None;
        loop {
            match next {
                Some(wait) => drop(timeout(wait, self.source.woken.notified()).await),
                None => self.source.woken.notified().await,
            }
            let busy = self.source.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            loop {
                // A message that is received and has to wait would be counted as tried.
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                let Ok(messages) = self.receive().await else { return };
                if messages.is_empty() {
                    break;
                }
                let (worker, busy) = (Arc::clone(&self), self.source.begin());
                tokio::spawn(async move {
                    worker.hand_over(messages).await;
                    drop((slot, busy));
                });
            }
            // What others have received, or sent with a delay, comes in its time.
            next = match self.next().await {
                Ok(next) => next,
                Err(_) => return,
            };
            if let Some(wait) = next.filter(|wait| *wait <= SOON) {
                sleep(wait).await;
                self.source.wake();
            }
            drop(busy);
        }
    }

    /// The next messages, as many as a batch has; none if none can be received. Fails if the emulator is gone.
    async fn receive(&self) -> Result<Vec<Value>, String> {
        let spec = &self.source.spec;
        let mut messages = Vec::new();
        while messages.len() < spec.batch {
            let asked = json!({
                "QueueUrl": url(&spec.queue),
                "MaxNumberOfMessages": AT_ONCE.min(spec.batch - messages.len()),
                "MessageAttributeNames": ["All"],
                "MessageSystemAttributeNames": ["All"],
            });
            let mut answer = call(&self.moto, &spec.queue, "ReceiveMessage", &asked).await?;
            let Some(Value::Array(more)) = answer.get_mut("Messages").map(Value::take) else { break };
            messages.extend(more);
        }
        Ok(messages)
    }

    /// In how long the next message can be received; none if none is there.
    async fn next(&self) -> Result<Option<Duration>, String> {
        let state = self.ask("state", json!({})).await?;
        let next = state.get("next").and_then(Value::as_f64);
        // Not at that moment, but after it.
        Ok(next.map(|milliseconds| Duration::from_secs_f64(milliseconds / 1000.0) + Duration::from_millis(1)))
    }

    /// Invokes the function with a batch, deletes what it is done with, and has the rest come back.
    async fn hand_over(&self, messages: Vec<Value>) {
        let (spec, function) = (&self.source.spec, &self.function);
        let records: Vec<_> = messages.iter().map(|message| record(message, &spec.queue)).collect();
        let tries = messages.iter().map(receive_count).max().unwrap_or(1);
        let payload = Bytes::from(json!({ "Records": records }).to_string());
        // An error means that the lab is ending.
        let Ok(report) = self.functions.hand_over(function, &spec.name, tries, payload).await else { return };
        let ids = messages.iter().filter_map(|message| text(message, "MessageId"));
        let failed = failed(&report, &ids.collect(), spec.partial);
        let (back, done): (Vec<_>, Vec<_>) =
            messages.iter().partition(|message| text(message, "MessageId").is_some_and(|id| failed.contains(id)));
        for done in done.chunks(AT_ONCE) {
            let entry = |(n, message): (usize, &&Value)| json!({ "Id": n.to_string(), "ReceiptHandle": text(message, "ReceiptHandle") });
            let entries: Vec<_> = done.iter().enumerate().map(entry).collect();
            let body = json!({ "QueueUrl": url(&spec.queue), "Entries": entries });
            // The emulator is gone if this fails, and with it the messages.
            let _ = call(&self.moto, &spec.queue, "DeleteMessageBatch", &body).await;
        }
        if !back.is_empty() {
            let receipts: Vec<_> = back.iter().filter_map(|message| text(message, "ReceiptHandle")).collect();
            let after = u64::try_from(self.again.as_millis()).unwrap_or(u64::MAX);
            let _ = self.ask("release", json!({ "receipts": receipts, "after": after })).await;
            self.source.wake();
        }
    }

    /// Asks, or tells, moto what no API of SQS has.
    async fn ask(&self, what: &str, mut body: Value) -> Result<Value, String> {
        let queue = &self.source.spec.queue;
        if let Some(body) = body.as_object_mut() {
            body.insert("queue".to_owned(), json!(queue));
            body.insert("account".to_owned(), json!(queue.split(':').nth(4)));
        }
        let request = ApiRequest::new(Method::POST, format!("/_lab/sqs/{what}")).body(body.to_string());
        let answer = self.moto.send(request).await?;
        serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
    }
}

fn text<'a>(message: &'a Value, field: &str) -> Option<&'a str> {
    message.get(field).and_then(Value::as_str)
}

fn receive_count(message: &Value) -> u32 {
    let count = message.pointer("/Attributes/ApproximateReceiveCount").and_then(Value::as_str);
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// A message as Lambda hands it over. <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event>
fn record(message: &Value, queue: &str) -> Value {
    let attributes = message.get("MessageAttributes").and_then(Value::as_object).into_iter().flatten();
    let attributes: Map<_, _> = attributes
        .map(|(name, value)| {
            let mut told = Map::new();
            for (theirs, ours) in
                [("StringValue", "stringValue"), ("BinaryValue", "binaryValue"), ("DataType", "dataType")]
            {
                told.extend(value.get(theirs).map(|value| (ours.to_owned(), value.clone())));
            }
            told.insert("stringListValues".to_owned(), json!([]));
            told.insert("binaryListValues".to_owned(), json!([]));
            (name.clone(), Value::Object(told))
        })
        .collect();
    json!({
        "messageId": text(message, "MessageId"),
        "receiptHandle": text(message, "ReceiptHandle"),
        "body": text(message, "Body"),
        "attributes": message.get("Attributes").cloned().unwrap_or_else(|| json!({})),
        "messageAttributes": attributes,
        "md5OfBody": text(message, "MD5OfBody"),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue,
        "awsRegion": queue.split(':').nth(3),
    })
}

/// The ids of the messages that an invocation failed with. Where the event source takes reports, what is no such report, or
/// names a message that was not there, fails the whole batch.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting>
fn failed<'a>(report: &Report, ids: &BTreeSet<&'a str>, partial: bool) -> BTreeSet<&'a str> {
    let Ok(answer) = &report.answer else { return ids.clone() };
    if !partial || answer.is_empty() {
        return BTreeSet::new();
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return ids.clone() };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return BTreeSet::new(),
        Some(Value::Array(failures)) => failures,
        Some(_) => return ids.clone(),
    };
    let named = failures.iter().map(|failure| ids.get(text(failure, "itemIdentifier")?).copied());
    named.collect::<Option<_>>().unwrap_or_else(|| ids.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::FunctionError;

    fn report(answer: Result<&str, &str>) -> Report {
        let error = |kind: &str| FunctionError { error_type: kind.to_owned(), error_message: String::new() };
        Report {
            function: "sweeper".to_owned(),
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
    fn what_failed_comes_back_and_in_doubt_all() {
        let all = BTreeSet::from(["a", "b", "c"]);
        let none = BTreeSet::new();
        for (answer, partial, expected) in [
            (Err("Suture.Retry"), true, &all),
            (Err("Sandbox.Timedout"), false, &all),
            (Ok("null"), true, &none),
            (Ok(""), true, &none),
            (Ok("{}"), true, &none),
            (Ok(r#"{"batchItemFailures": null}"#), true, &none),
            (Ok(r#"{"batchItemFailures": []}"#), true, &none),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": "c"}]}"#), true, &BTreeSet::from(["c"])),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": "c"}]}"#), false, &none),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#), true, &all),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#), true, &all),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": "c"}, {"id": "a"}]}"#), true, &all),
            (Ok(r#"{"batchItemFailures": [{"itemIdentifier": "x"}]}"#), true, &all),
            (Ok(r#"{"batchItemFailures": "c"}"#), true, &all),
            (Ok("not json"), true, &all),
        ] {
            assert_eq!(&failed(&report(answer), &all, partial), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_message_is_handed_over_in_lambdas_words() {
        let message = json!({
            "MessageId": "059f36b4", "ReceiptHandle": "AQEB", "MD5OfBody": "e4e6", "Body": "Test message.",
            "Attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1545082649183"},
            "MessageAttributes": {"ward": {"StringValue": "7", "DataType": "String"}},
        });
        assert_eq!(receive_count(&message), 3);
        assert_eq!(
            record(&message, "arn:aws:sqs:us-east-2:111122223333:my-queue"),
            json!({
                "messageId": "059f36b4",
                "receiptHandle": "AQEB",
                "body": "Test message.",
                "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1545082649183"},
                "messageAttributes": {"ward": {
                    "stringValue": "7", "dataType": "String", "stringListValues": [], "binaryListValues": [],
                }},
                "md5OfBody": "e4e6",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-2:111122223333:my-queue",
                "awsRegion": "us-east-2",
            })
        );
    }
}
