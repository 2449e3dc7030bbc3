//! API calls, as CloudTrail records them.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use crate::calls::{self, Calls};
use crate::ids::shown;
use crate::read::{Found, blank, place};
use crate::resource::{ec2_type, resource, with_resources};
use crate::value::{first, kind, tame, text, time};
use crate::{Act, ApiCall, Cause, Resource, Trigger};
use serde_json::Value;

/// The most resources that one look at a call collects, before they are checked.
const MOST_FOUND: usize = 2 * crate::resource::MOST_RESOURCES;

/// How calls that only read begin, for records without `readOnly`, or with one that is wrong.
const READS: &[&str] = &["Get", "List", "Describe", "Head", "BatchGet", "Lookup", "Search", "Simulate", "Decode"];

/// Whether a JSON object is a bare CloudTrail record: not an S3 or SQS one, which also have an `eventSource`.
pub(crate) fn is_record(event: &Value) -> bool {
    text(event, "/eventSource").is_some_and(|source| source.ends_with(".amazonaws.com"))
        && event.get("eventName").is_some()
}

/// Reads a record, and the envelope that it came in (null if it came without).
pub(crate) fn record(record: &Value, envelope: &Value) -> Found {
    match try_record(record, envelope) {
        Ok(found) => found,
        Err(why) => vec![Err(why)],
    }
}

fn try_record(record: &Value, envelope: &Value) -> Result<Found, String> {
    let name = text(record, "/eventName").ok_or_else(|| {
        format!("the CloudTrail record's eventName is {}", record.get("eventName").map_or("missing", kind))
    })?;
    let source = text(record, "/eventSource").ok_or_else(|| {
        format!("the CloudTrail record's eventSource is {}", record.get("eventSource").map_or("missing", kind))
    })?;
    let calls = calls::find(source, base(name));
    let (act, why) = judge(record, name, source, calls);
    let mut notice = blank(Trigger::CloudTrail, act, why);
    // On a forwarding bus the envelope is the hub's; the record says whose event it is.
    let accounts =
        [record.get("recipientAccountId"), envelope.get("account"), record.pointer("/userIdentity/accountId")];
    place(&mut notice, &accounts, &[text(record, "/awsRegion"), text(envelope, "/region")])?;
    if notice.region.is_none() && act != Act::Ignore {
        return Err(format!("{} happened in no region: awsRegion is missing", shown(name)));
    }
    notice.event = Some(tame(name));
    notice.cause = Some(cause(record, envelope));
    let parameters = record.get("requestParameters").unwrap_or(&Value::Null);
    let response = record.get("responseElements").unwrap_or(&Value::Null);
    notice.call = Some(ApiCall {
        event_source: tame(source),
        event_name: tame(name),
        parameters: parameters.clone(),
        response: response.clone(),
    });
    let call = Call { record, name, parameters, response };
    let named = match calls {
        Some(calls) => call.named(calls),
        None => call.obvious(source),
    };
    if named.is_empty() && notice.act == Act::Evaluate {
        notice.act = Act::EvaluateAccount;
        notice.why = format!("{}, and the record does not say which resource it was", notice.why);
    }
    Ok(with_resources(notice, named))
}

fn judge(record: &Value, name: &str, source: &str, calls: Option<&Calls>) -> (Act, String) {
    let shown_name = shown(name);
    let failed = match record.get("errorCode") {
        None | Some(Value::Null) => None,
        Some(Value::String(code)) if code.is_empty() => None,
        Some(code) => Some(code.as_str().map_or_else(|| kind(code).to_owned(), tame)),
    };
    // Some services leave the code out where they give a message.
    let failed = failed.or_else(|| text(record, "/errorMessage").map(|_| "an error message".to_owned()));
    if let Some(code) = failed {
        return (Act::Ignore, format!("{shown_name} did not happen: it failed with {}", shown(&code)));
    }
    if crate::value::yes(record.get("readOnly")) || READS.iter().any(|begins| name.starts_with(begins)) {
        return (Act::Ignore, format!("{shown_name} only reads"));
    }
    match calls {
        None => (Act::Ignore, format!("{shown_name} of {} cannot bring about drift that we know", shown(source))),
        Some(calls) if calls.account => (Act::EvaluateAccount, format!("{shown_name} sets what holds for the account")),
        Some(_) => (Act::Evaluate, format!("{shown_name} can bring about drift")),
    }
}

fn cause(record: &Value, envelope: &Value) -> Cause {
    Cause {
        call: first(record, &["/eventName"]).unwrap_or_default(),
        event_id: first(record, &["/eventID"]).or_else(|| first(envelope, &["/id"])),
        at: time(&[text(record, "/eventTime"), text(envelope, "/time")]),
        actor: first(record, &["/userIdentity/arn", "/userIdentity/invokedBy", "/userIdentity/type"]),
        role: first(record, &["/userIdentity/sessionContext/sessionIssuer/arn"]),
        source_ip: first(record, &["/sourceIPAddress"]),
        agent: crate::agent::agent(record),
    }
}

/// A call's name without the date of the API's version, which Lambda's (`AddPermission20150331v2`) and CloudFront's
/// (`CreateDistribution2020_05_31`) carry.
fn base(name: &str) -> &str {
    let digits = |c: char| c.is_ascii_digit();
    let unversioned = match name.rsplit_once('v') {
        Some((before, version)) if !version.is_empty() && version.chars().all(digits) => before,
        _ => name,
    };
    let begins = unversioned.trim_end_matches(|c: char| digits(c) || c == '_');
    let date = unversioned.len() - begins.len();
    if (8..=10).contains(&date) { begins } else { name }
}

/// A call, where its resources are looked for.
struct Call<'a> {
    record: &'a Value,
    name: &'a str,
    parameters: &'a Value,
    response: &'a Value,
}

impl<'a> Call<'a> {
    /// The resources that a known call names: for each kind, at the first of its places that has any.
    fn named(&self, calls: &Calls) -> Vec<Result<Resource, String>> {
        let mut named = Vec::new();
        for (r#type, places) in calls.at {
            let ids = places.iter().map(|path| self.at(path)).find(|ids| !ids.is_empty()).unwrap_or_default();
            for id in ids.into_iter().take(MOST_FOUND) {
                named.push(resource(
                    if *r#type == "EC2" { ec2_type(id).unwrap_or_default() } else { r#type },
                    id,
                    None,
                ));
            }
        }
        let wants = |r#type: &str| calls.at.iter().any(|(wanted, _)| *wanted == r#type);
        if named.is_empty() && wants(crate::resource::USER) {
            named.extend(self.caller().map(|name| resource(crate::resource::USER, name, None)));
        }
        if named.is_empty() {
            for touched in crate::value::list(self.record, "/resources").iter().take(MOST_FOUND) {
                let (r#type, arn) = (text(touched, "/type"), text(touched, "/ARN").or_else(|| text(touched, "/arn")));
                if let (Some(r#type), Some(arn)) = (r#type.filter(|r#type| wants(r#type)), arn) {
                    named.push(resource(r#type, arn, None));
                }
            }
        }
        named
    }

    /// The user that calls without a user name act on: the caller. Not the root user, nor the role of a session.
    fn caller(&self) -> Option<&'a str> {
        let root = text(self.record, "/userIdentity/type") == Some("Root");
        text(self.record, "/userIdentity/userName").filter(|_| !root)
    }

    /// What of a call that is not in the table is plain to see; what is not sound is left out.
    fn obvious(&self, source: &str) -> Vec<Result<Resource, String>> {
        let sound = |(path, r#type): (&str, &str)| {
            self.at(path).into_iter().take(8).flat_map(move |id| resource(r#type, id, None)).collect::<Vec<_>>()
        };
        calls::obvious(source).flat_map(sound).map(Ok).collect()
    }

    /// The texts at a path. See [`Calls::at`].
    fn at(&self, path: &str) -> Vec<&'a str> {
        let (root, path, wrapper) = match path.strip_prefix('<') {
            Some(path) => (self.response, path, "Response"),
            None => (self.parameters, path, "Request"),
        };
        let inside = field(root, &format!("{}{wrapper}", base(self.name)));
        let mut at: Vec<&Value> = inside.into_iter().chain([root]).collect();
        for step in path.split('/') {
            at = at.into_iter().flat_map(|value| down(value, step)).take(MOST_FOUND).collect();
        }
        let mut texts: Vec<&str> = at.into_iter().flat_map(leaf).filter(|text| !text.is_empty()).collect();
        texts.truncate(MOST_FOUND);
        texts
    }
}

/// A field by name, whichever case the service writes it in (`dBInstanceIdentifier`, `DBInstanceIdentifier`).
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = value.as_object()?;
    fields.get(name).or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// One step down: into a field, or with `*` into each element of a list. EC2's lists are `{"items": […]}`; those of its
/// newer calls are an object instead if they have one element.
fn down<'a>(value: &'a Value, step: &str) -> Vec<&'a Value> {
    if step != "*" {
        return field(value, step).into_iter().collect();
    }
    match (value, value.get("items")) {
        (Value::Array(list), _) | (_, Some(Value::Array(list))) => list.iter().collect(),
        _ => vec![value],
    }
}

/// The texts of what a path leads to: a text, a list of texts, or `{"content": text}`.
fn leaf(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().filter_map(Value::as_str).take(MOST_FOUND).collect(),
        other => text(other, "/content").into_iter().collect(),
    }
}

#[cfg(test)]
#[path = "cloudtrail_tests.rs"]
mod tests;
