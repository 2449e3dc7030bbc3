//! From a raw event to requests. The rest of the program never sees a raw event.
//!
//! Events are hints from outside: late, repeated, forged, half filled in. They say where to look and who was there, never
//! what to write. Nothing here fails to Lambda: an event that makes no sense makes none the second time either, so it
//! becomes an [`Unread`] with one line that names what is wrong.
//!
//! Two forms are read: the EventBridge event `AWS API Call via CloudTrail`
//! (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>) and a manual request. The
//! types are our own, since the ready-made CloudTrail type drops `errorCode` (a denied call would read as a change).

use crate::control::{Control, Place};
use crate::ids::{AccountId, Region, shown};
use crate::settings::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The largest event that Lambda delivers, in bytes.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const LARGEST_EVENT: usize = 6 * 1024 * 1024;

/// Why an event became no request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "as", content = "why")]
pub enum Unread {
    /// A sound event that needs nothing done: a denied call, a call that only reads, our own call.
    Ignored(String),
    /// No event that this function can read; somebody should see why it was sent.
    Rejected(String),
}

/// One resource to look at, and why.
#[derive(Clone, Debug)]
pub struct Request<C: Control> {
    /// The resource.
    pub place: Place<C::Target>,
    /// What is asked for.
    pub order: Order,
    /// Where the request came from.
    pub trigger: Trigger,
    /// Who or what caused it; none for a manual request, whose caller Lambda does not name.
    pub cause: Option<Cause>,
    /// Whether the event announces drift (see [`Control::announces_drift`]).
    pub announces_drift: bool,
    /// What a manual request gives as its reason: a ticket number, as a rule.
    pub reason: Option<String>,
    /// Gates and guards that a manual request overrides by name.
    pub overrides: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Order {
    /// Bring the resource to its desired state. Under the deployment's mode if none is given.
    Fix(Option<Mode>),
    /// Take back what this record of ours says was done.
    Undo(Box<Past>),
}

/// What an undo needs of a record.
#[derive(Clone, Debug, Deserialize)]
pub struct Past {
    /// The record's id.
    pub id: String,
    /// The control that made it.
    pub control: String,
    /// The resource that it is about.
    pub resource: PastResource,
    /// How it ended.
    pub outcome: crate::Outcome,
    /// The resource's state before, as the control's `State`.
    pub before: Value,
    /// The resource's state after, as the control's `State`.
    pub after: Value,
}

/// A record's resource.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct PastResource {
    /// Its name.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// EventBridge's `AWS API Call via CloudTrail`.
    CloudTrail,
    /// A person or a script, with the documented request.
    Manual,
}

/// Who or what caused a request, as CloudTrail tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The call: `DeleteBucketPublicAccessBlock`.
    pub call: String,
    /// CloudTrail's id for the call.
    pub event_id: Option<String>,
    /// When the call was made.
    #[serde(serialize_with = "time::serde::rfc3339::option::serialize")]
    pub at: Option<OffsetDateTime>,
    /// The caller: its ARN, or the AWS service that called, or else the kind of identity.
    pub actor: Option<String>,
    /// The role behind the caller's session.
    pub role: Option<String>,
    /// The address that the call came from.
    pub source_ip: Option<String>,
}

/// An API call as CloudTrail recorded it: what we key on, and nothing required that real records leave out.
#[derive(Clone, Debug)]
pub struct ApiCall {
    /// `s3.amazonaws.com`.
    pub event_source: String,
    /// `DeleteBucketPublicAccessBlock`.
    pub event_name: String,
    /// `requestParameters`; null where the record has none.
    pub parameters: Value,
    /// `responseElements`; null where the record has none.
    pub response: Value,
    /// Who called, and when.
    pub cause: Cause,
    account: String,
    region: String,
    error_code: Option<String>,
    read_only: bool,
}

/// The plain request that a person sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manual {
    control: Option<String>,
    resource: Option<String>,
    account: Option<String>,
    region: Option<String>,
    mode: Option<ManualMode>,
    reason: Option<String>,
    #[serde(default, rename = "override")]
    overrides: Vec<String>,
    record: Option<Past>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum ManualMode {
    Plan,
    Enforce,
    Undo,
}

/// Reads an event for control `C`: one request for each resource that it concerns. `own` is the account and region to
/// assume where a manual request names none.
pub fn read<C: Control>(event: &Value, own: (Option<&AccountId>, Option<&Region>)) -> Result<Vec<Request<C>>, Unread> {
    let Some(fields) = event.as_object() else {
        return Err(Unread::Rejected(format!("the event is {}, not a JSON object", kind(event))));
    };
    if fields.is_empty() {
        return Err(Unread::Rejected("the event is an empty object: nothing says what to look at".to_owned()));
    }
    if fields.contains_key("detail-type") || fields.contains_key("detail") {
        return from_call::<C>(&api_call(event)?);
    }
    if fields.contains_key("resource") || fields.contains_key("record") {
        return from_manual::<C>(event, own).map(|request| vec![request]).map_err(Unread::Rejected);
    }
    let short = |name: &String| shown(&name.chars().take(24).collect::<String>());
    let names: Vec<String> = fields.keys().take(6).map(short).collect();
    Err(Unread::Rejected(format!(
        "neither an EventBridge event (no detail-type) nor a manual request (no resource); its fields are {}",
        names.join(", ")
    )))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// An account id as text; some producers write it as a number, which loses leading zeros.
fn account_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| format!("{number:012}")),
        _ => None,
    }
}

/// Texts that end up in records come from outside: no control characters, and not without end.
fn tame(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(512).collect()
}

fn api_call(event: &Value) -> Result<ApiCall, Unread> {
    let rejected = |why: String| Err(Unread::Rejected(why));
    match event.get("detail-type") {
        Some(Value::String(name)) if name == "AWS API Call via CloudTrail" => {}
        Some(Value::String(name)) => {
            return rejected(format!("detail-type {} is none that this function handles", shown(name)));
        }
        Some(other) => return rejected(format!("detail-type is {}, not a text", kind(other))),
        None => return rejected("the event has a detail but no detail-type".to_owned()),
    }
    let detail = event.get("detail").unwrap_or(&Value::Null);
    if !detail.is_object() {
        return rejected(format!("detail is {}, not a CloudTrail record", kind(detail)));
    }
    let required = |pointer: &str| {
        text(detail, pointer).map(str::to_owned).ok_or_else(|| {
            let what = detail.pointer(pointer).map_or("missing", kind);
            Unread::Rejected(format!("the CloudTrail record's {} is {what}", pointer.trim_start_matches('/')))
        })
    };
    // On a forwarding bus the envelope is the hub's; the record says whose event it is.
    let account = account_text(detail.get("recipientAccountId")).or_else(|| account_text(event.get("account")));
    let region = text(detail, "/awsRegion").or_else(|| text(event, "/region"));
    let identity = |field: &str| text(detail, &format!("/userIdentity/{field}")).map(tame);
    let times = [text(detail, "/eventTime"), text(event, "/time")];
    Ok(ApiCall {
        event_source: required("/eventSource")?,
        event_name: required("/eventName")?,
        parameters: detail.get("requestParameters").cloned().unwrap_or_default(),
        response: detail.get("responseElements").cloned().unwrap_or_default(),
        cause: Cause {
            call: text(detail, "/eventName").map(tame).unwrap_or_default(),
            event_id: text(detail, "/eventID").or_else(|| text(event, "/id")).map(tame),
            at: times.into_iter().flatten().find_map(|time| OffsetDateTime::parse(time, &Rfc3339).ok()),
            actor: identity("arn").or_else(|| identity("invokedBy")).or_else(|| identity("type")),
            role: identity("sessionContext/sessionIssuer/arn"),
            source_ip: text(detail, "/sourceIPAddress").map(tame),
        },
        account: account.unwrap_or_default(),
        region: region.unwrap_or_default().to_owned(),
        error_code: match detail.get("errorCode") {
            None | Some(Value::Null) => None,
            Some(Value::String(code)) if code.is_empty() => None,
            Some(code) => Some(code.as_str().map_or_else(|| kind(code).to_owned(), tame)),
        },
        read_only: detail.get("readOnly").is_some_and(|v| v == &Value::Bool(true) || v == "true"),
    })
}

fn from_call<C: Control>(call: &ApiCall) -> Result<Vec<Request<C>>, Unread> {
    let about = C::ABOUT;
    let name = shown(&call.event_name);
    let Some(watch) = about.watches.iter().find(|watch| watch.event_source == call.event_source) else {
        let from = shown(&call.event_source);
        return Err(Unread::Rejected(format!(
            "{name} of {from} is no concern of {}: another service's event",
            about.id
        )));
    };
    if let Some(code) = &call.error_code {
        return Err(Unread::Ignored(format!("{name} did not happen: it failed with {}", shown(code))));
    }
    if call.read_only {
        return Err(Unread::Ignored(format!("{name} only reads")));
    }
    if !watch.events.contains(&call.event_name.as_str()) {
        return Err(Unread::Ignored(format!("{name} cannot bring about what {} looks for", about.id)));
    }
    let account = AccountId::parse(&call.account).map_err(Unread::Rejected)?;
    let region = Region::parse(&call.region).map_err(Unread::Rejected)?;
    let names = C::touched(call);
    if names.is_empty() {
        return Err(Unread::Rejected(format!("{name} names no {}", about.resource_type)));
    }
    names
        .iter()
        .map(|resource| {
            Ok(Request {
                place: Place {
                    account: account.clone(),
                    region: region.clone(),
                    target: C::target(resource).map_err(Unread::Rejected)?,
                },
                order: Order::Fix(None),
                trigger: Trigger::CloudTrail,
                cause: Some(call.cause.clone()),
                announces_drift: C::announces_drift(call),
                reason: None,
                overrides: Vec::new(),
            })
        })
        .collect()
}

fn from_manual<C: Control>(event: &Value, own: (Option<&AccountId>, Option<&Region>)) -> Result<Request<C>, String> {
    let manual: Manual = serde_path_to_error::deserialize(event).map_err(|error| {
        // serde quotes what it met; that came from outside.
        let why: String = tame(&error.to_string()).chars().take(200).collect();
        format!("the manual request cannot be read: {why}")
    })?;
    let id = C::ABOUT.id;
    if let Some(control) = manual.control.as_deref().filter(|control| *control != id) {
        return Err(format!("the request is for control {}, and this function is {id}", shown(control)));
    }
    let undo = manual.mode == Some(ManualMode::Undo);
    let record = match (undo, manual.record) {
        (true, None) => {
            return Err("mode is undo, and there is no record to undo: pass the record as \"record\"".to_owned());
        }
        (false, Some(_)) => return Err("there is a record, and mode is not undo".to_owned()),
        (_, record) => record,
    };
    let record = record.map(|past| Past { id: tame(&past.id), ..past });
    if let Some(record) = record.as_ref().filter(|record| record.control != id) {
        return Err(format!("the record was made by control {}, and this function is {id}", shown(&record.control)));
    }
    let named = |given: Option<String>, past: Option<&str>, own: Option<&str>, what: &str| match (given, past) {
        (Some(given), Some(past)) if given != past => {
            Err(format!("the request says {what} {}, its record {}", shown(&given), shown(past)))
        }
        (Some(given), _) => Ok(given),
        (None, Some(past)) => Ok(past.to_owned()),
        (None, None) => own.map(str::to_owned).ok_or_else(|| format!("the request names no {what}")),
    };
    let past = record.as_ref().map(|record| &record.resource);
    let resource = named(manual.resource, past.map(|p| p.id.as_str()), None, "resource")?;
    let account = named(manual.account, past.map(|p| p.account.as_str()), own.0.map(AccountId::as_str), "account")?;
    let region = named(manual.region, past.map(|p| p.region.as_str()), own.1.map(Region::as_str), "region")?;
    Ok(Request {
        place: Place {
            account: AccountId::parse(&account)?,
            region: Region::parse(&region)?,
            target: C::target(&resource)?,
        },
        order: match (record, manual.mode) {
            (Some(record), _) => Order::Undo(Box::new(record)),
            (None, Some(ManualMode::Enforce)) => Order::Fix(Some(Mode::Enforce)),
            // Nothing is written for a person who did not ask for it.
            (None, _) => Order::Fix(Some(Mode::Plan)),
        },
        trigger: Trigger::Manual,
        cause: None,
        announces_drift: false,
        reason: manual.reason.as_deref().map(tame),
        // As many as there can be gates and guards, and then some: the record repeats them.
        overrides: manual.overrides.iter().take(16).map(|name| tame(name)).collect(),
    })
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
