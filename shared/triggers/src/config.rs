//! What AWS Config sends: a custom rule's invocation, and its notifications by EventBridge or by the delivery channel's SNS
//! topic.
//! <https://docs.aws.amazon.com/config/latest/developerguide/evaluate-config_develop-rules_example-events.html>
//!
//! Not the ready-made `ConfigEvent`: that refuses an invocation without `eventLeftScope`.

use crate::ids::shown;
use crate::read::{Found, blank, place, sent};
use crate::resource::{resource, with_resources};
use crate::value::{account, first, kind, tame, text, time, yes};
use crate::{Act, Cause, ConfigRule, Notice, Reply, Trigger};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// Reads the invocation of a custom rule.
pub(crate) fn invocation(event: &Value) -> Found {
    try_invocation(event).unwrap_or_else(|why| vec![Err(why)])
}

fn try_invocation(event: &Value) -> Result<Found, String> {
    let invoking = match event.get("invokingEvent") {
        Some(Value::String(text)) => {
            serde_json::from_str::<Value>(text).map_err(|_| "invokingEvent is no JSON".to_owned())?
        }
        other => return Err(format!("invokingEvent is {}, not a text", other.map_or("missing", kind))),
    };
    if !invoking.is_object() {
        return Err(format!("invokingEvent is {} in a text, not an object", kind(&invoking)));
    }
    let left = match event.get("eventLeftScope") {
        None | Some(Value::Null | Value::Bool(_) | Value::String(_)) => yes(event.get("eventLeftScope")),
        Some(other) => return Err(format!("eventLeftScope is {}, not true or false", kind(other))),
    };
    let rule = text(event, "/configRuleName").map(tame);
    let rule = match rule {
        Some(name) => Some(ConfigRule { name, parameters: parameters(event.get("ruleParameters"))? }),
        None => None,
    };
    let token = text(event, "/resultToken").map(str::to_owned);
    let found = item(&invoking, event, left, Trigger::ConfigRule)?;
    let fill = |Asked { mut notice, at, gone }: Asked| {
        notice.event = rule.as_ref().map(|rule| rule.name.clone()).or(notice.event);
        if let (Some(cause), Some(rule)) = (&mut notice.cause, &rule) {
            cause.call.clone_from(&rule.name);
        }
        notice.rule.clone_from(&rule);
        notice.reply = token.clone().zip(at).map(|(token, at)| Reply::Evaluation { token, at, not_applicable: gone });
        notice
    };
    Ok(found.into_found(fill))
}

/// The rule's input parameters. They say what the rule minds, so what cannot be read is not passed over.
fn parameters(given: Option<&Value>) -> Result<Option<Map<String, Value>>, String> {
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => {
            serde_json::from_str(text).map(Some).map_err(|_| "ruleParameters is no JSON object in a text".to_owned())
        }
        Some(other) => Err(format!("ruleParameters is {}, not a text", kind(other))),
    }
}

/// Reads a decoded notification: of the delivery channel, or an invoking event that somebody pasted.
pub(crate) fn message(event: &Value) -> Found {
    match text(event, "/messageType") {
        Some("ComplianceChangeNotification") => compliance(event, &Value::Null),
        Some(_) => item_change(event, &Value::Null),
        None => vec![Err(format!("messageType is {}, not a text", event.get("messageType").map_or("missing", kind)))],
    }
}

/// Reads EventBridge's `Config Configuration Item Change`, and the same message without the envelope.
pub(crate) fn item_change(detail: &Value, envelope: &Value) -> Found {
    match item(detail, envelope, false, Trigger::ConfigItem) {
        Ok(found) => found.into_found(|asked| asked.notice),
        Err(why) => vec![Err(why)],
    }
}

/// A notice about a configuration item, and what an answer needs besides.
struct Asked {
    notice: Notice,
    /// When the configuration was captured, or the notification made.
    at: Option<OffsetDateTime>,
    /// Whether the resource is out of reach: deleted, or not of the rule's scope.
    gone: bool,
}

/// A notice that still wants filling in, and what of its resources is wrong.
struct Item {
    asked: Option<Asked>,
    wrong: Vec<String>,
}

impl Item {
    fn into_found(self, fill: impl FnOnce(Asked) -> Notice) -> Found {
        self.asked.map(|asked| Ok(fill(asked))).into_iter().chain(self.wrong.into_iter().map(Err)).collect()
    }
}

fn item(message: &Value, envelope: &Value, left: bool, trigger: Trigger) -> Result<Item, String> {
    let kind_of = text(message, "/messageType").unwrap_or_default();
    let made = text(message, "/notificationCreationTime");
    let found = match kind_of {
        "ConfigurationItemChangeNotification" => message.get("configurationItem"),
        "OversizedConfigurationItemChangeNotification" => message.get("configurationItemSummary"),
        "ScheduledNotification" if trigger == Trigger::ConfigRule => {
            // It names no resource, so an account that is none does no harm: then it is the function's own.
            let accounts = [message.get("awsAccountId"), envelope.get("accountId")];
            let mut notice = blank(trigger, Act::Sweep, "the rule is evaluated on schedule".to_owned());
            notice.account = account(&accounts).ok();
            notice.event = Some(kind_of.to_owned());
            let asked = Asked { notice, at: time(&[made]), gone: false };
            return Ok(Item { asked: Some(asked), wrong: Vec::new() });
        }
        // Snapshots, histories, re-evaluations.
        other if trigger == Trigger::ConfigItem && !other.is_empty() => {
            let mut notice = blank(trigger, Act::Ignore, format!("{} says nothing about a resource", shown(other)));
            notice.event = Some(tame(other));
            place(&mut notice, &[message.get("awsAccountId"), envelope.get("account")], &[text(envelope, "/region")])?;
            return Ok(Item { asked: Some(Asked { notice, at: None, gone: false }), wrong: Vec::new() });
        }
        other => return Err(format!("messageType {} is none that a rule is invoked with", shown(other))),
    };
    let Some(item) = found.filter(|item| item.is_object()) else {
        return Err(format!("{kind_of} without a configuration item"));
    };
    let captured = text(item, "/configurationItemCaptureTime");
    let status = text(item, "/configurationItemStatus").unwrap_or("OK");
    let deleted = matches!(status, "ResourceDeleted" | "ResourceNotRecorded" | "ResourceDeletedNotRecorded")
        || text(item, "/changeType") == Some("DELETE");
    let (act, why) = match (deleted, left) {
        (true, _) => (Act::Ignore, format!("the resource's status is {}", shown(status))),
        (false, true) => (Act::Ignore, "the resource has left the rule's scope".to_owned()),
        (false, false) => (Act::Evaluate, "the resource's configuration has changed".to_owned()),
    };
    let mut notice = blank(trigger, act, why);
    let accounts = [item.get("awsAccountId"), envelope.get("accountId"), envelope.get("account")];
    place(&mut notice, &accounts, &[text(item, "/awsRegion"), text(envelope, "/region")])?;
    notice.event = Some(kind_of.to_owned());
    notice.cause = Some(Cause {
        call: kind_of.to_owned(),
        event_id: first(envelope, &["/id"]),
        at: time(&[captured, made]),
        ..Cause::default()
    });
    let named = match (text(item, "/resourceType"), text(item, "/resourceId")) {
        (Some(r#type), Some(id)) => resource(r#type, id, text(item, "/resourceName").or_else(|| arn_name(item))),
        _ => return Err("the configuration item has no resourceType or resourceId".to_owned()),
    };
    let (mut asked, mut wrong) = (None, Vec::new());
    for found in with_resources(notice, vec![named]) {
        match found {
            Ok(notice) => asked = Some(Asked { notice, at: time(&[captured, made]), gone: deleted || left }),
            Err(why) => wrong.push(why),
        }
    }
    Ok(Item { asked, wrong })
}

/// The name that an item's ARN tells, for items without `resourceName`.
fn arn_name(item: &Value) -> Option<&str> {
    let arn = crate::arn::parse(text(item, "/ARN").or_else(|| text(item, "/arn"))?)?;
    crate::arn::named(&arn)?.1
}

/// Reads EventBridge's `Config Rules Compliance Change`, and the same message without the envelope.
/// <https://docs.aws.amazon.com/config/latest/developerguide/monitor-config-with-cloudwatchevents.html>
pub(crate) fn compliance(detail: &Value, envelope: &Value) -> Found {
    const QUALIFIER: &str = "/newEvaluationResult/evaluationResultIdentifier/evaluationResultQualifier";
    let qualified = |field: &str| text(detail, &format!("{QUALIFIER}/{field}"));
    let rule = text(detail, "/configRuleName").or_else(|| text(detail, "/configRuleNames/0"));
    let Some(rule) = rule.or_else(|| qualified("configRuleName")).map(tame) else {
        return vec![Err("the compliance change names no rule".to_owned())];
    };
    let verdict = text(detail, "/newEvaluationResult/complianceType").unwrap_or_default();
    let (act, why) = match verdict {
        "NON_COMPLIANT" => (Act::Evaluate, format!("rule {} says NON_COMPLIANT", shown(&rule))),
        "COMPLIANT" | "NOT_APPLICABLE" | "INSUFFICIENT_DATA" => {
            (Act::Ignore, format!("rule {} says {verdict}", shown(&rule)))
        }
        // A resource that is deleted has an old result only.
        "" if detail.get("oldEvaluationResult").is_some_and(Value::is_object) => {
            (Act::Ignore, format!("rule {} has no new result", shown(&rule)))
        }
        other => return vec![Err(format!("rule {} says {}, which is no compliance", shown(&rule), shown(other)))],
    };
    let mut notice = blank(Trigger::ConfigCompliance, act, why);
    let accounts = [detail.get("awsAccountId"), envelope.get("account")];
    if let Err(why) = place(&mut notice, &accounts, &[text(detail, "/awsRegion"), text(envelope, "/region")]) {
        return vec![Err(why)];
    }
    notice.event = Some(rule.clone());
    let at = [text(detail, "/newEvaluationResult/resultRecordedTime"), text(detail, "/notificationCreationTime")];
    notice.cause = Some(Cause {
        call: rule.clone(),
        event_id: first(envelope, &["/id"]),
        at: time(&at).or_else(|| sent(envelope)),
        ..Cause::default()
    });
    notice.rule = Some(ConfigRule { name: rule, parameters: None });
    let (r#type, id) = (
        text(detail, "/resourceType").or_else(|| qualified("resourceType")),
        text(detail, "/resourceId").or_else(|| qualified("resourceId")),
    );
    let named = match (r#type, id) {
        (Some(r#type), Some(id)) => vec![resource(r#type, id, None)],
        _ if notice.act == Act::Ignore => Vec::new(),
        _ => return vec![Err("the compliance change names no resource".to_owned())],
    };
    with_resources(notice, named)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
