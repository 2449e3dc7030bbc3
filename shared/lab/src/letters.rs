//! What could not be done, and where it is told: the queues for dead letters.

use crate::http::{ApiRequest, Upstream};
use crate::policies::{Asked, Verdict, judge};
use crate::runtime::Report;
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A message in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The queue's name.
    pub queue: String,
    /// The message as it was sent.
    pub body: String,
    /// The values of its attributes, by name.
    pub attributes: BTreeMap<String, String>,
    /// How often somebody has received it.
    pub received: u32,
}

impl Letter {
    /// The message's JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Puts messages into the queues of the local AWS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Letters {
    moto: Upstream,
}

impl Letters {
    /// Into the queues of this emulator.
    pub fn new(moto: &Upstream) -> Self {
        Self { moto: moto.clone() }
    }

    /// Sends a message to a queue by its ARN. Fails with a sentence if there is no such queue.
    pub async fn send(&self, queue: &str, body: &str, attributes: &[(&str, String)]) -> Result<(), String> {
        let attributes: Map<_, _> = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({ "DataType": "String", "StringValue": value })))
            .collect();
        let message = json!({ "QueueUrl": url(queue), "MessageBody": body, "MessageAttributes": attributes });
        call(&self.moto, queue, "SendMessage", &message).await.map(|_| ())
    }

    /// The same as EventBridge does it for a rule, which the queue's own policy has to allow.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
    pub async fn send_for_rule(&self, letter: &Undelivered<'_>) -> Result<(), String> {
        let queue = letter.queue;
        let asked = json!({ "QueueUrl": url(queue), "AttributeNames": ["Policy"] });
        let answer = call(&self.moto, queue, "GetQueueAttributes", &asked).await?;
        let policy = answer.pointer("/Attributes/Policy").and_then(Value::as_str).unwrap_or_default();
        let policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let statements = policy.get("Statement").and_then(Value::as_array).cloned().unwrap_or_default();
        let account = letter.rule.split(':').nth(4).unwrap_or_default();
        let context = [("aws:SourceArn", letter.rule), ("aws:SourceAccount", account), ("aws:SecureTransport", "true")];
        let asked = Asked {
            principals: &[],
            service: Some("events.amazonaws.com"),
            action: "sqs:SendMessage",
            resource: queue,
            context: &context,
        };
        if judge(&statements, &asked) != Verdict::Allowed {
            return Err(format!("the policy of {queue} does not let the rule {} send to it", letter.rule));
        }
        let attributes = [
            ("RULE_ARN", letter.rule.to_owned()),
            ("TARGET_ARN", letter.target.to_owned()),
            ("ERROR_CODE", letter.code.to_owned()),
            ("ERROR_MESSAGE", letter.why.to_owned()),
            ("RETRY_ATTEMPTS", "0".to_owned()),
        ];
        self.send(queue, &letter.event.to_string(), &attributes).await
    }
}

/// An event that a rule could not hand to its target.
#[derive(Clone, Debug)]
pub struct Undelivered<'a> {
    /// The ARN of the queue that the target names for that.
    pub queue: &'a str,
    /// The event.
    pub event: &'a Value,
    /// The rule's ARN.
    pub rule: &'a str,
    /// The target's ARN.
    pub target: &'a str,
    /// EventBridge's word for what went wrong: `NO_PERMISSIONS`.
    pub code: &'a str,
    /// The same in a sentence.
    pub why: &'a str,
}

/// What Lambda tells about an event that a function has failed with for good.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
pub fn invocation_record(report: &Report, function_arn: &str, event: &Bytes) -> Value {
    let answer = report.answer.as_ref().err().and_then(|error| serde_json::to_value(error).ok()).unwrap_or_default();
    json!({
        "version": "1.0",
        "timestamp": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        "requestContext": {
            "requestId": report.request_id,
            "functionArn": format!("{function_arn}:$LATEST"),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": report.attempt,
        },
        "requestPayload": serde_json::from_slice::<Value>(event).unwrap_or_default(),
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": answer,
    })
}

/// The URL of a queue by its ARN.
pub(crate) fn url(queue: &str) -> String {
    let mut parts = queue.split(':').skip(3);
    let mut part = || parts.next().unwrap_or_default();
    let (region, account, name) = (part(), part(), part());
    format!("https://sqs.{region}.amazonaws.com/{account}/{name}")
}

/// Calls SQS past the gateway, in the account of a queue; returns its answer's JSON.
pub(crate) async fn call(moto: &Upstream, queue: &str, operation: &str, body: &Value) -> Result<Value, String> {
    let mut parts = queue.split(':').skip(3);
    let (region, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let scope = format!("AWS4-HMAC-SHA256 Credential=lab/20260101/{region}/sqs/aws4_request, Signature=0");
    let request = ApiRequest::new(Method::POST, "/")
        .header("authorization", &scope)
        .header("x-moto-account-id", account)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", &format!("AmazonSQS.{operation}"))
        .body(body.to_string());
    let answer = moto.send(request).await?;
    if !answer.status.is_success() {
        let said = String::from_utf8_lossy(&answer.body);
        return Err(format!("{operation} of {queue} was answered {}: {said}", answer.status));
    }
    Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
}
