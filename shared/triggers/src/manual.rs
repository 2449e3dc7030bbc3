//! The plain request that a person or a script sends.

use crate::ids::{AccountId, Region, shown};
use crate::read::blank;
use crate::value::{fields, kind, tame};
use crate::{Act, Decision, Manual, ManualMode, Notice, Trigger, security_hub};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The resource that means all of them.
const EVERYTHING: &str = "*";
/// As many as there can be gates and guards, and then some: the record repeats them.
const MOST_OVERRIDES: usize = 16;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    control: Option<String>,
    resource: Option<String>,
    account: Option<String>,
    region: Option<String>,
    mode: Option<ManualMode>,
    reason: Option<String>,
    #[serde(default, rename = "override")]
    overrides: Vec<String>,
    record: Option<Value>,
    finding: Option<Value>,
    approval: Option<String>,
    leave_alone_hours: Option<u32>,
    caller: Option<String>,
}

/// Whether a JSON object is meant as a request.
pub(crate) fn is_request(event: &Value) -> bool {
    ["resource", "record", "finding", "control", "mode", "approval"].iter().any(|name| event.get(name).is_some())
}

/// Reads a request. The empty one is what `sam local invoke` sends by itself: a plan for everything, which writes nothing.
pub(crate) fn request(event: &Value) -> Result<Notice, String> {
    if event.as_object().is_some_and(serde_json::Map::is_empty) {
        let form = Form { resource: Some(EVERYTHING.to_owned()), mode: Some(ManualMode::Plan), ..Form::default() };
        return Ok(Notice { why: "an empty request: a plan for everything".to_owned(), ..notice(form)? });
    }
    if security_hub::is_finding(event) {
        return Err(
            "a finding by itself is no request: say which control, as {\"control\": …, \"finding\": …}".to_owned()
        );
    }
    if !is_request(event) {
        return Err(format!(
            "none of the events that we know (no detail-type, no invokingEvent, no Records), nor a manual request (no \
             resource); its fields are {}",
            fields(event)
        ));
    }
    let form: Form = serde_path_to_error::deserialize(event).map_err(|error| {
        // serde quotes what it met; that came from outside.
        let why: String = tame(&error.to_string()).chars().take(200).collect();
        format!("the manual request cannot be read: {why}")
    })?;
    if form.finding.is_some() {
        return with_finding(form);
    }
    notice(form)
}

fn notice(form: Form) -> Result<Notice, String> {
    if let Some(record) = form.record.as_ref().filter(|record| !record.is_object() && !record.is_string()) {
        return Err(format!("the request's record is {}, neither an object nor an id", kind(record)));
    }
    if form.mode == Some(ManualMode::Undo) && form.record.is_none() {
        return Err(
            "mode is undo, and there is no record to undo: pass the record, or its id, as \"record\"".to_owned()
        );
    }
    if form.mode != Some(ManualMode::Undo) && form.record.is_some() {
        return Err("there is a record, and mode is not undo".to_owned());
    }
    if form.mode != Some(ManualMode::Undo) && form.leave_alone_hours.is_some() {
        return Err("leave_alone_hours is for an undo, and mode is not undo".to_owned());
    }
    let decides = matches!(form.mode, Some(ManualMode::Approve | ManualMode::Reject));
    if decides != form.approval.is_some() {
        return Err("to decide on a plan takes both: \"mode\": \"approve\" or \"reject\", and its id as \"approval\""
            .to_owned());
    }
    if decides && (form.resource.is_some() || form.account.is_some() || form.region.is_some()) {
        return Err("the plan says which resource it is: leave out resource, account and region".to_owned());
    }
    for id in form.approval.iter().chain(form.record.as_ref().and_then(Value::as_str).map(str::to_owned).as_ref()) {
        if id.is_empty()
            || id.len() > 128
            || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(format!("{} is no id of a record or a plan", shown(id)));
        }
    }
    if form.caller.as_ref().is_some_and(|caller| caller.len() > 8192) {
        return Err("the proof of the caller is too long to be one".to_owned());
    }
    let act = match form.resource.as_deref() {
        Some(EVERYTHING) if form.record.is_some() => {
            return Err("a record is of one resource, and the request is for all".to_owned());
        }
        Some(EVERYTHING) => Act::Sweep,
        Some(resource) => {
            sound(resource)?;
            Act::Evaluate
        }
        None if form.record.is_some() || form.approval.is_some() => Act::Evaluate,
        None => return Err("the request names no resource".to_owned()),
    };
    let mut notice = blank(Trigger::Manual, act, "a person asks".to_owned());
    notice.account = form.account.as_deref().map(AccountId::parse).transpose()?;
    notice.region = form.region.as_deref().map(Region::parse).transpose()?;
    notice.manual = Some(manual(form));
    Ok(notice)
}

/// What no control takes for a resource, so that it is said early and alike everywhere.
fn sound(resource: &str) -> Result<(), String> {
    let hint = if resource.contains("{{") { " (a template that was never filled in?)" } else { "" };
    let short = (1..=2048).contains(&resource.len());
    if !short || !hint.is_empty() || resource.contains('*') || resource.chars().any(crate::value::unsightly) {
        return Err(format!("resource {} is none{hint}", shown(resource)));
    }
    Ok(())
}

fn manual(form: Form) -> Manual {
    let id = form.approval.unwrap_or_default();
    let (recall, record) = match form.record {
        Some(Value::String(id)) => (Some(id), None),
        record => (None, record),
    };
    Manual {
        recall,
        decision: match form.mode {
            Some(ManualMode::Approve) => Some(Decision::Approve(id)),
            Some(ManualMode::Reject) => Some(Decision::Reject(id)),
            _ => None,
        },
        leave_alone: form.leave_alone_hours.map(|hours| Duration::from_hours(hours.into())),
        caller: form.caller,
        asked_by: None,
        control: form.control.as_deref().map(tame),
        resource: form.resource,
        mode: form.mode,
        reason: form.reason.as_deref().map(tame),
        overrides: form.overrides.iter().take(MOST_OVERRIDES).map(|name| tame(name)).collect(),
        record,
    }
}

/// A finding in ASFF that somebody pasted, with the control that is to see to it: its resources, whatever its status.
fn with_finding(mut form: Form) -> Result<Notice, String> {
    let finding = form.finding.take().unwrap_or_default();
    if form.control.is_none() {
        return Err("the request has a finding and no control: say which control is to see to it".to_owned());
    }
    if form.resource.is_some() || form.record.is_some() || form.account.is_some() || form.region.is_some() {
        return Err("the finding says which resource it is: leave out resource, record, account and region".to_owned());
    }
    if !matches!(form.mode, None | Some(ManualMode::Plan | ManualMode::Enforce)) {
        return Err("a finding can be planned for or enforced, nothing else".to_owned());
    }
    let found = security_hub::finding(&finding, &Value::Null, Trigger::Manual)?;
    let mut only = Err("the finding names no resource".to_owned());
    for one in found {
        match one {
            Ok(notice) => only = Ok(notice),
            // For a person, one that is wrong is reason to stop and say so.
            Err(why) => return Err(why),
        }
    }
    only.map(|notice| Notice { manual: Some(manual(form)), reply: None, cause: None, ..notice })
}

#[cfg(test)]
#[path = "manual_tests.rs"]
mod tests;
