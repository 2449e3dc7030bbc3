//! From a raw event to notices: which shape it has, and what it is wrapped in.

use crate::ids::{AccountId, Region, shown};
use crate::value::{account, fields, kind, region, tame, text, time};
use crate::{Act, Notice, Reading, Rejected, Trigger};
use crate::{LARGEST_EVENT, cloudtrail, config, findings, manual, ocsf, part, security_hub};
use aws_lambda_events::sqs::SqsMessage;
use serde::Deserialize;
use serde_json::Value;

/// The most notices and rejections of one event, but for one that says that there were more. An SQS batch has at most 10,000 messages, a CloudTrail file rather fewer
/// records. <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
pub const MOST_RECORDS: usize = 10_000;

/// How many envelopes are opened, one in the other: SNS in SQS is two.
const DEEPEST: usize = 4;

/// What was found in one event: notices, and in a line each what of it could not be read.
pub(crate) type Found = Vec<Result<Notice, String>>;

/// Reads one event. Never fails: what makes no sense is in [`Reading::rejected`]. One of the two lists has something in it,
/// and together they have at most [`MOST_RECORDS`] entries, and one more that says so if there were more.
pub fn read(event: &Value) -> Reading {
    let mut reader = Reader::default();
    reader.open(event, 0, None);
    reader.reading
}

/// Reads one event as Lambda, a file or a terminal delivers it. What is no JSON, or larger than [`LARGEST_EVENT`], is
/// rejected as a whole.
pub fn read_bytes(event: &[u8]) -> Reading {
    let rejected = |why: String| Reading { rejected: vec![Rejected { why, message: None }], ..Reading::default() };
    if event.len() > LARGEST_EVENT {
        let (has, most) = (event.len(), LARGEST_EVENT);
        return rejected(format!("the event has {has} bytes; Lambda delivers no more than {most}"));
    }
    match serde_json::from_slice(event) {
        Ok(event) => read(&event),
        Err(error) => rejected(format!("the event is no JSON (line {}, column {})", error.line(), error.column())),
    }
}

#[derive(Default)]
struct Reader {
    reading: Reading,
    /// The bytes of the texts that were parsed as JSON: each envelope's at most once for each level.
    #[cfg(test)]
    parsed: usize,
}

impl Reader {
    /// Whether there is no room for one more. The first that there is no room for is said.
    fn full(&mut self, message: Option<&str>) -> bool {
        let entries = self.reading.notices.len() + self.reading.rejected.len();
        if entries == MOST_RECORDS {
            let why = format!("the event has more than {MOST_RECORDS} records or findings; the others were not read");
            self.reading.rejected.push(Rejected { why, message: message.map(str::to_owned) });
        }
        entries >= MOST_RECORDS
    }

    fn reject(&mut self, why: String, message: Option<&str>) {
        if !self.full(message) {
            self.reading.rejected.push(Rejected { why, message: message.map(str::to_owned) });
        }
    }

    fn take(&mut self, found: Found, message: Option<&str>) {
        for one in found {
            match one {
                Ok(_) if self.full(message) => return,
                Ok(notice) => {
                    self.reading.notices.push(Notice { message: message.map(str::to_owned), ..notice });
                }
                Err(why) => self.reject(why, message),
            }
        }
    }

    /// Reads what may be an envelope, `depth` envelopes deep.
    fn open(&mut self, event: &Value, depth: usize, message: Option<&str>) {
        let Some(object) = event.as_object() else {
            return self.reject(format!("the event is {}, not a JSON object", kind(event)), message);
        };
        let has = |name: &str| object.contains_key(name);
        if let Some(records) = object.get("Records") {
            let Some(records) = records.as_array() else {
                return self.reject(format!("Records is {}, not a list", kind(records)), message);
            };
            if records.is_empty() {
                return self.reject("Records is empty".to_owned(), message);
            }
            // One more than there is room for, so that it is said.
            for record in records.iter().take(MOST_RECORDS + 1) {
                self.record(record, depth, message);
            }
            return;
        }
        // An SNS notification as SQS delivers it.
        if has("TopicArn") && has("Message") {
            return self.sns(event, depth, message);
        }
        if has("detail-type") || has("detail") {
            return self.take(from_bus(event), message);
        }
        if has("invokingEvent") {
            return self.take(config::invocation(event), message);
        }
        if has("messageType") {
            return self.take(config::message(event), message);
        }
        if cloudtrail::is_record(event) {
            return self.take(cloudtrail::record(event, &Value::Null), message);
        }
        // Handed over by SQS alone: nobody invokes a function with a part of a sweep.
        if part::is_part(event) && message.is_some() {
            return self.take(vec![part::read(event)], message);
        }
        if depth > 0 {
            let why = if manual::is_request(event) {
                // Who may send to a queue or topic may not thereby override gates or undo: that takes the right to invoke.
                "a manual request in a message is not carried out: invoke the function with it".to_owned()
            } else {
                format!("the message is none of our events; its fields are {}", fields(event))
            };
            return self.reject(why, message);
        }
        self.take(vec![manual::request(event)], message);
    }

    fn record(&mut self, record: &Value, depth: usize, message: Option<&str>) {
        let source = text(record, "/eventSource").or_else(|| text(record, "/EventSource")).unwrap_or_default();
        if source == "aws:sqs" {
            let Ok(sqs) = SqsMessage::deserialize(record) else {
                // Its id is needed all the same: without it, the whole batch would have to be delivered again.
                let id = text(record, "/messageId").map(tame);
                return self.reject("the SQS record is not as SQS sends it".to_owned(), id.as_deref().or(message));
            };
            let id = sqs.message_id.as_deref().map(tame);
            let id = id.as_deref().or(message);
            return match sqs.body {
                Some(body) => self.parse(&body, depth, id),
                None => self.reject("the SQS message has no body".to_owned(), id),
            };
        }
        if let Some(sns) = record.get("Sns") {
            return self.sns(sns, depth, message);
        }
        if cloudtrail::is_record(record) {
            return self.take(cloudtrail::record(record, &Value::Null), message);
        }
        self.reject(format!("a record is of {}: none of SQS, SNS or CloudTrail", shown(source)), message);
    }

    /// Our own look at the SNS message, not the ready-made type: that refuses a message for want of a signature or of a
    /// sound timestamp, of which nothing here depends.
    fn sns(&mut self, sns: &Value, depth: usize, message: Option<&str>) {
        let what = text(sns, "/Type").unwrap_or("Notification");
        if what != "Notification" {
            return self.reject(format!("the SNS message is a {}, not a notification", shown(what)), message);
        }
        match sns.get("Message") {
            Some(Value::String(body)) => self.parse(body, depth, message),
            // Somebody who wraps by hand may leave it an object.
            Some(body @ Value::Object(_)) if depth < DEEPEST => self.open(body, depth + 1, message),
            other => {
                let what = other.map_or("missing", kind);
                self.reject(format!("the SNS message's Message is {what}, not a text"), message);
            }
        }
    }

    fn parse(&mut self, body: &str, depth: usize, message: Option<&str>) {
        if depth >= DEEPEST {
            return self.reject(format!("more than {DEEPEST} envelopes, one in the other"), message);
        }
        if body.len() > LARGEST_EVENT {
            return self.reject("the message is larger than an event can be".to_owned(), message);
        }
        #[cfg(test)]
        {
            self.parsed += body.len();
        }
        match serde_json::from_str::<Value>(body) {
            Ok(event) => self.open(&event, depth + 1, message),
            Err(_) => self.reject("the message is no JSON, so none of our events".to_owned(), message),
        }
    }
}

/// Reads an event of EventBridge's bus.
/// <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>
fn from_bus(event: &Value) -> Found {
    let detail_type = match event.get("detail-type") {
        // Some samples in circulation have stray blanks.
        Some(Value::String(name)) => name.split_whitespace().collect::<Vec<_>>().join(" "),
        Some(other) => return vec![Err(format!("detail-type is {}, not a text", kind(other)))],
        None => return vec![Err("the event has a detail but no detail-type".to_owned())],
    };
    // Only AWS can put events whose source begins so; anybody who may put events can put the others.
    // https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    if let Some(source) = text(event, "/source").filter(|source| !source.trim().starts_with("aws.")) {
        return vec![Err(format!("the event's source is {}, which is not AWS", shown(source)))];
    }
    let null = Value::Null;
    let detail = event.get("detail").unwrap_or(&null);
    if detail_type == "Scheduled Event" {
        return vec![Ok(on_schedule(event))];
    }
    if !detail.is_object() {
        return vec![Err(format!("the detail of {} is {}, not an object", shown(&detail_type), kind(detail)))];
    }
    match detail_type.as_str() {
        "Config Rules Compliance Change" => config::compliance(detail, event),
        "Config Configuration Item Change" => config::item_change(detail, event),
        "Security Hub Findings - Imported" => security_hub::findings(detail, event, Trigger::SecurityHub),
        "Security Hub Findings - Custom Action" => pressed(detail, event),
        "Security Hub Insight Results" => {
            let why = "an insight's results are counts of findings, not findings";
            vec![Ok(other(Trigger::SecurityHubAction, event, &detail_type, why))]
        }
        "Findings Imported V2" => ocsf::findings(detail, event),
        "GuardDuty Finding" => findings::guardduty(detail, event),
        "Access Analyzer Finding" => findings::access_analyzer(detail, event),
        "AWS Health Event" => findings::health(detail, event),
        name if name.ends_with("via CloudTrail") => cloudtrail::record(detail, event),
        name if name.contains("Access Finding") || name.starts_with("Access Preview") => {
            let why = "of Access Analyzer's events, only findings of external access say that something is open";
            vec![Ok(other(Trigger::AccessAnalyzer, event, &detail_type, why))]
        }
        name => {
            let why = format!("{} says nothing about drift", shown(name));
            vec![Ok(other(Trigger::Other, event, &detail_type, &why))]
        }
    }
}

/// A rule's schedule or EventBridge Scheduler's, whose detail is the text `{}`. It names no resource, so an account that is
/// none does no harm: then it is the function's own.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>
fn on_schedule(event: &Value) -> Notice {
    let mut notice = blank(Trigger::Schedule, Act::Sweep, "it is time to look at everything".to_owned());
    (notice.account, notice.region) = lenient(event);
    notice.event = crate::value::first(event, &["/resources/0"]);
    notice
}

/// An event of EventBridge's that needs nothing done.
fn other(trigger: Trigger, event: &Value, name: &str, why: &str) -> Notice {
    let mut notice = blank(trigger, Act::Ignore, why.to_owned());
    (notice.account, notice.region) = lenient(event);
    notice.event = Some(tame(name));
    notice
}

/// The envelope's account and region as far as they are such; for notices that lead to no resource.
fn lenient(event: &Value) -> (Option<AccountId>, Option<Region>) {
    (account(&[event.get("account")]).ok(), region(&[text(event, "/region")]).ok().flatten())
}

/// The findings that a person sent with a custom action, in whichever form; the action's name is on each.
fn pressed(detail: &Value, envelope: &Value) -> Found {
    let action = text(detail, "/actionName").map(tame);
    let name = |notice: Notice| Notice { trigger: Trigger::SecurityHubAction, action: action.clone(), ..notice };
    let found = security_hub::findings(detail, envelope, Trigger::SecurityHubAction);
    found.into_iter().map(|one| one.map(name)).collect()
}

/// A notice with nothing in it yet.
pub(crate) fn blank(trigger: Trigger, act: Act, why: String) -> Notice {
    Notice {
        trigger,
        account: None,
        region: None,
        event: None,
        action: None,
        control_ids: Vec::new(),
        act,
        resources: Vec::new(),
        cause: None,
        why,
        call: None,
        rule: None,
        reply: None,
        manual: None,
        part: None,
        message: None,
    }
}

/// Fills in where the notice is: of the given values the first that are there. What is asked for needs an account, and a
/// region that is one; a notice that asks for nothing does without.
pub(crate) fn place(notice: &mut Notice, accounts: &[Option<&Value>], regions: &[Option<&str>]) -> Result<(), String> {
    if notice.act == Act::Ignore {
        notice.account = account(accounts).ok();
        notice.region = region(regions).ok().flatten();
        return Ok(());
    }
    notice.account = Some(account(accounts)?);
    notice.region = region(regions)?;
    Ok(())
}

/// When an event of EventBridge's was sent, for want of a better time.
pub(crate) fn sent(event: &Value) -> Option<time::OffsetDateTime> {
    time(&[text(event, "/time")])
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
