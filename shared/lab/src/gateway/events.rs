//! EventBridge: events that others than CloudTrail send, and schedules.

use super::{Dropped, Gateway, Happening};
use crate::accounts::Regional;
use crate::call::{ACCOUNT, Call};
use crate::http::ApiResponse;
use crate::letters::Undelivered;
use crate::quirks::error::respond;
use crate::runtime::Report;
use crate::template::ScheduleSpec;
use crate::trail::uuid;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

impl Gateway {
    /// Puts an event on the bus of its account and region. Returns the names of the rules that match it there, and of those
    /// of the hub if they send it on.
    ///
    /// What comes up in the lab's own account, but in another region than the hub's, reaches the hub by itself, as long as
    /// no template was deployed to that region: without one it would not, in AWS.
    pub fn deliver(&self, event: &Value) -> Vec<String> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let (account, region) = (text("account"), text("region"));
        match self.accounts.bus(account, region) {
            Some(bus) if (account, region) != (ACCOUNT, self.region.as_str()) => self.forward(event, account, &bus),
            _ if account == ACCOUNT => self.arrive(event),
            // Nobody has a rule there.
            _ => Vec::new(),
        }
    }

    /// What another account's rules, or the hub's own in another region, make of an event: it comes to the hub as it is.
    fn forward(&self, event: &Value, account: &str, bus: &Regional) -> Vec<String> {
        let hub = format!("arn:aws:events:{}:{ACCOUNT}:event-bus/default", self.region);
        let region = event.get("region").and_then(Value::as_str).unwrap_or_default();
        let mut rules = Vec::new();
        for rule in bus.matching(event) {
            rules.push(rule.name.clone());
            let may = |role: &str, action: &str, on: &str| self.permissions.allows(account, role, action, on);
            let arn = format!("arn:aws:events:{region}:{account}:rule/{}", rule.name);
            match self.accounts.takes((account, &arn), rule, &hub, may) {
                Ok(()) => rules.extend(self.arrive(event)),
                Err(refused) => {
                    self.undelivered(event, [&arn, &rule.bus], rule.dead_letters.clone(), refused.code, refused.why);
                }
            }
        }
        rules
    }

    /// An event on the hub's bus: the functions whose rules match it are invoked. Returns the names of those rules.
    fn arrive(&self, event: &Value) -> Vec<String> {
        let rules = self.bus.matching(event);
        for rule in &rules {
            match self.rules.get(&rule.name) {
                Some(spec) if !spec.permitted => {
                    let arn = format!("arn:aws:events:{}:{ACCOUNT}:rule/{}", self.region, rule.name);
                    let target = format!("arn:aws:lambda:{}:{ACCOUNT}:function:{}", self.region, rule.target);
                    let why = format!("{target} does not let the rule invoke it");
                    self.undelivered(event, [&arn, &target], spec.dead_letters.clone(), "NO_PERMISSIONS", why);
                }
                _ => self.functions.invoke_async(&rule.target, &rule.name, Bytes::from(event.to_string())),
            }
        }
        rules.into_iter().map(|rule| rule.name.clone()).collect()
    }

    /// An event that a rule could not hand to its target goes to the queue that the target names; if there is none, or it
    /// does not take it, it is lost.
    fn undelivered(
        &self,
        event: &Value,
        [rule, target]: [&str; 2],
        queue: Option<String>,
        code: &'static str,
        why: String,
    ) {
        let (letters, journal, busy) = (self.letters.clone(), self.journal.clone(), self.functions.idle().begin());
        let (event, rule, target) = (event.clone(), rule.to_owned(), target.to_owned());
        tokio::spawn(async move {
            let _busy = busy;
            let (rule, target, why) = (rule.as_str(), target.as_str(), why.as_str());
            let lost = match &queue {
                Some(queue) => {
                    let letter = Undelivered { queue, event: &event, rule, target, code, why };
                    letters.send_for_rule(&letter).await.is_err()
                }
                None => true,
            };
            if lost {
                let dropped = Dropped { function: rule.to_owned(), destination: queue, message: event };
                journal.tell(Happening::Dropped(Box::new(dropped)));
            }
        });
    }

    /// Puts an event that is no call on the bus of its account and region; one of an account that the lab does not have
    /// comes to the hub as if it were forwarded. It is told to whoever listens.
    pub fn put_event(&self, event: &Value) -> Vec<String> {
        let account = event.get("account").and_then(Value::as_str).unwrap_or_default();
        let known = account == ACCOUNT || self.accounts.is_open(account);
        let rules = if known { self.deliver(event) } else { self.arrive(event) };
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        self.journal.tell(Happening::Event {
            name: text("/detail-type").unwrap_or_default(),
            actor: text("/source").unwrap_or_default(),
            resource: text("/resources/0"),
            rules: rules.clone(),
        });
        rules
    }

    /// EventBridge's PutEvents. Events of AWS's own sources are AWS's to send.
    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
    pub(super) fn put_events(&self, call: &Call) -> ApiResponse {
        let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
        let entries = body.get("Entries").and_then(Value::as_array).filter(|entries| (1..=10).contains(&entries.len()));
        let Some(entries) = entries else {
            let message = "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have \
                           length between 1 and 10";
            return respond(call, StatusCode::BAD_REQUEST, "ValidationException", message, &[]);
        };
        let results: Vec<_> = entries.iter().map(|entry| self.put_entry(call, entry)).collect();
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        let answer = json!({ "FailedEntryCount": failed, "Entries": results }).to_string();
        ApiResponse::new(StatusCode::OK, answer).header("content-type", "application/x-amz-json-1.1")
    }

    fn put_entry(&self, call: &Call, entry: &Value) -> Value {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let refused = |code: &str, message: &str| json!({ "ErrorCode": code, "ErrorMessage": message });
        if text("Source").starts_with("aws.") {
            return refused("NotAuthorizedForSourceException", "Not authorized for the source.");
        }
        if text("Source").is_empty() || text("DetailType").is_empty() {
            return refused("InvalidArgument", "Parameters Source and DetailType are required.");
        }
        let Some(detail) = serde_json::from_str::<Value>(text("Detail")).ok().filter(Value::is_object) else {
            return refused("MalformedDetail", "Detail is malformed.");
        };
        let id = uuid();
        self.put_event(&json!({
            "version": "0",
            "id": id,
            "detail-type": text("DetailType"),
            "source": text("Source"),
            "account": call.account,
            "time": now(),
            "region": call.region,
            "resources": entry.get("Resources").cloned().unwrap_or_else(|| json!([])),
            "detail": detail,
        }));
        json!({ "EventId": id })
    }

    /// Fires a function's schedules as their time would: asynchronously. Returns their names; none if there is no schedule.
    pub(super) fn fire(&self, function: &str) -> Vec<String> {
        let due = self.schedules.iter().filter(|schedule| schedule.function == function);
        let fired = due.map(|schedule| {
            self.functions.invoke_async(function, &schedule.name, Bytes::from(self.event_of(schedule).to_string()));
            schedule.name.clone()
        });
        fired.collect()
    }

    /// The same, waiting for what each comes to.
    pub async fn fire_and_wait(&self, function: &str) -> Result<Vec<Report>, String> {
        let mut reports = Vec::new();
        for schedule in self.schedules.iter().filter(|schedule| schedule.function == function) {
            let event = Bytes::from(self.event_of(schedule).to_string());
            reports.push(self.functions.invoke(function, event).await?);
        }
        if reports.is_empty() {
            return Err(format!("{function} has no schedule; there is one of {}", self.scheduled().join(", ")));
        }
        Ok(reports)
    }

    /// The functions that have a schedule.
    pub(super) fn scheduled(&self) -> Vec<String> {
        let mut names: Vec<_> = self.schedules.iter().map(|schedule| schedule.function.clone()).collect();
        names.dedup();
        names
    }

    /// What a schedule sends: its own input, or else the event that its service makes. EventBridge Scheduler's holds its
    /// detail as a text. <https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html>
    fn event_of(&self, schedule: &ScheduleSpec) -> Value {
        if let Some(input) = &schedule.input {
            return input.clone();
        }
        let (source, kind, detail) = if schedule.scheduler {
            ("aws.scheduler", format!("scheduler:{}:{ACCOUNT}:schedule/default", self.region), json!("{}"))
        } else {
            ("aws.events", format!("events:{}:{ACCOUNT}:rule", self.region), json!({}))
        };
        json!({
            "version": "0",
            "id": uuid(),
            "detail-type": "Scheduled Event",
            "source": source,
            "account": ACCOUNT,
            "time": now(),
            "region": self.region,
            "resources": [format!("arn:aws:{kind}/{}", schedule.name)],
            "detail": detail,
        })
    }
}

fn now() -> String {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default()
}
