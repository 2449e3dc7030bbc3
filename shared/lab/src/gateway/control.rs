//! The lab's own controls, which no API of AWS has.

use super::Gateway;
use crate::call::ACCOUNT;
use crate::http::{ApiRequest, ApiResponse};
use crate::letters::Letter;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// What there is, as an unknown path is told.
const CONTROLS: &str = "the lab has /_lab/faults, /_lab/events, /_lab/schedules/<function>, /_lab/evaluations, \
                        /_lab/findings, /_lab/published, /_lab/letters and /_lab/<service>/<what>\n";

impl Gateway {
    /// Answers one of them:
    ///
    /// - `/_lab/faults`: GET lists, POST with one fault a line adds, DELETE clears;
    /// - `/_lab/events`: POST with an event puts it on the bus, whatever its source;
    /// - `/_lab/schedules/<function>`: POST fires the function's schedules;
    /// - `/_lab/evaluations`, `/_lab/findings`: GET lists what AWS Config and Security Hub were told;
    /// - `/_lab/published`: GET lists what was published to topics;
    /// - `/_lab/letters`: GET lists the messages of queues that no function takes them from: dead letters;
    /// - `/_lab/<service>/<what>`: POST with JSON, as [`Gateway::wish`] takes it.
    pub(super) async fn control(&self, request: &ApiRequest) -> ApiResponse {
        let text =
            |status: StatusCode, text: String| ApiResponse::new(status, text).header("content-type", "text/plain");
        let told = |answer: Result<Value, String>| match answer {
            Ok(answer) => {
                ApiResponse::new(StatusCode::OK, answer.to_string()).header("content-type", "application/json")
            }
            Err(why) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
        };
        let path: Vec<_> = request.path().trim_start_matches("/_lab/").split('/').collect();
        match (&request.method, path.as_slice()) {
            (&Method::GET, ["faults"]) => {
                let faults: Vec<_> = self.faults.list().iter().map(|fault| format!("{fault}\n")).collect();
                text(StatusCode::OK, faults.concat())
            }
            (&Method::DELETE, ["faults"]) => {
                self.faults.clear();
                text(StatusCode::OK, String::new())
            }
            (&Method::POST, ["faults"]) => match self.add_faults(&String::from_utf8_lossy(&request.body)) {
                Ok(()) => text(StatusCode::OK, String::new()),
                Err(why) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
            },
            (&Method::POST, ["events"]) => match serde_json::from_slice::<Value>(&request.body) {
                Ok(event) if event.is_object() => text(StatusCode::OK, lines(&self.put_event(&event))),
                _ => text(StatusCode::BAD_REQUEST, "an event is a JSON object\n".to_owned()),
            },
            (&Method::POST, ["schedules", function]) => match self.fire(function).as_slice() {
                [] => {
                    let there = self.scheduled().join(", ");
                    text(StatusCode::NOT_FOUND, format!("{function} has no schedule; there is one of {there}\n"))
                }
                fired => text(StatusCode::OK, lines(fired)),
            },
            (&Method::GET, ["evaluations"]) => told(self.wish("config/evaluations", ACCOUNT, Value::Null).await),
            (&Method::GET, ["findings"]) => told(self.wish("securityhub/updates", ACCOUNT, Value::Null).await),
            (&Method::GET, ["published"]) => {
                told(serde_json::to_value(self.journal.published()).map_err(|e| e.to_string()))
            }
            (&Method::GET, ["letters"]) => {
                told(self.dead_letters().await.and_then(|all| serde_json::to_value(all).map_err(|e| e.to_string())))
            }
            (&Method::POST, [service, what]) => {
                let body = serde_json::from_slice(&request.body).unwrap_or_default();
                told(self.wish(&format!("{service}/{what}"), ACCOUNT, body).await)
            }
            _ => text(StatusCode::NOT_FOUND, CONTROLS.to_owned()),
        }
    }

    /// The messages of all queues of an account and region, whoever has received them.
    pub async fn letters_in(&self, account: &str, region: &str) -> Result<Vec<Letter>, String> {
        let answer = self.wish("sqs/messages", account, json!({ "region": region })).await?;
        let messages = answer.get("messages").cloned().unwrap_or_default();
        serde_json::from_value(messages).map_err(|error| error.to_string())
    }

    /// The messages of the hub's queues that no function takes them from.
    pub async fn dead_letters(&self) -> Result<Vec<Letter>, String> {
        let mut letters = self.letters_in(ACCOUNT, &self.region).await?;
        let sources = self.queues.sources();
        letters.retain(|letter| !sources.iter().any(|source| source.rsplit(':').next() == Some(&letter.queue)));
        Ok(letters)
    }

    fn add_faults(&self, lines: &str) -> Result<(), String> {
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        for fault in lines.map(str::parse).collect::<Result<Vec<_>, _>>()? {
            self.faults.add(fault);
        }
        Ok(())
    }

    /// What no caller of AWS can have: an access key that is a year old, ten thousand buckets at once. Takes
    /// `<service>/<what>`, the account, and an object; returns an object. Nobody sees it: no journal, no event.
    ///
    /// - `iam/age-key` {accessKeyId, created?, lastUsed?: {date, service?, region?} or null}; a date can also be
    ///   `200 days ago`
    /// - `iam/age-user` {userName, created?, passwordLastUsed?}
    /// - `iam/report` {takes?, rootKeys?, hoursAgo?}: how long a credential report takes, and how old the one there is
    /// - `iam/fill` {count, prefix, keys?, created?, lastUsed?}
    /// - `ec2/fill` {count, prefix, region?, permissions?}, `ec2/interface` {networkInterfaceId, region?,
    ///   requester_managed?, interface_type?, requester_id?, description?, public_ip?}
    /// - `s3/fill` {count, prefix, region?, open?, policy?, acl?, ownership?}, `s3/buckets` {prefix?, region?}
    /// - `sqs/messages` {region?}: all messages of all queues
    /// - `config/evaluations`, `securityhub/updates`, `securityhub/imported` {region?}
    pub async fn wish(&self, what: &str, account: &str, mut body: Value) -> Result<Value, String> {
        if body.is_null() {
            body = Value::Object(serde_json::Map::new());
        }
        if let Some(fields) = body.as_object_mut() {
            fields.entry("account").or_insert_with(|| account.into());
        }
        let request = ApiRequest::new(Method::POST, format!("/_lab/{what}")).body(Bytes::from(body.to_string()));
        self.moto.forget("");
        let answer = self.moto.send(request).await?;
        self.moto.forget("");
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status.is_success() { Ok(said) } else { Err(format!("{what}: {said}")) }
    }
}

fn lines(names: &[String]) -> String {
    names.iter().fold(String::new(), |all, name| all + name + "\n")
}
