//! What the watchers say: GuardDuty, IAM Access Analyzer and AWS Health.

use crate::ids::shown;
use crate::read::{Found, blank, place, sent};
use crate::resource::{ACCESS_KEY, BUCKET, INSTANCE, MOST_RESOURCES, ROLE, USER, is_key, resource, with_resources};
use crate::value::{first, kind, list, tame, text, time, yes};
use crate::{Act, Cause, Resource, Trigger};
use serde_json::Value;

/// How the ids of GuardDuty's sample findings begin.
const SAMPLE: &str = "GeneratedFinding";

/// Reads a finding of GuardDuty.
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html>
pub(crate) fn guardduty(detail: &Value, envelope: &Value) -> Found {
    let Some(event) = text(detail, "/type").map(tame) else {
        return vec![Err(format!("the finding's type is {}", detail.get("type").map_or("missing", kind)))];
    };
    let key = text(detail, "/resource/accessKeyDetails/accessKeyId").unwrap_or_default();
    let (act, why) = if is_sample(detail) {
        (Act::Ignore, format!("{} is a sample finding", shown(&event)))
    } else if yes(detail.pointer("/service/archived")) {
        (Act::Ignore, format!("{} is archived", shown(&event)))
    } else if key.starts_with("ASIA") {
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
        let why = "the key is of a session, which cannot be deactivated: its role's sessions can be revoked";
        (Act::Incident, format!("GuardDuty found {}; {why}", shown(&event)))
    } else {
        (Act::Incident, format!("GuardDuty found {}", shown(&event)))
    };
    let mut notice = blank(Trigger::GuardDuty, act, why);
    let accounts = [detail.get("accountId"), envelope.get("account")];
    if let Err(why) = place(&mut notice, &accounts, &[text(detail, "/region"), text(envelope, "/region")]) {
        return vec![Err(why)];
    }
    let at = [text(detail, "/service/eventLastSeen"), text(detail, "/updatedAt")];
    notice.cause = Some(Cause {
        call: event.clone(),
        event_id: first(detail, &["/id"]),
        at: time(&at).or_else(|| sent(envelope)),
        source_ip: first(detail, &["/service/action/awsApiCallAction/remoteIpDetails/ipAddressV4"]),
        ..Cause::default()
    });
    notice.event = Some(event);
    with_resources(notice, of_guardduty(detail))
}

/// <https://docs.aws.amazon.com/guardduty/latest/ug/sample_findings.html>
fn is_sample(detail: &Value) -> bool {
    let more = detail.pointer("/service/additionalInfo");
    let told = |more: &Value| yes(more.get("sample"));
    let in_text = |more: &Value| {
        let value = text(more, "/value").filter(|value| value.len() <= 64 * 1024)?;
        serde_json::from_str::<Value>(value).ok()
    };
    let ids = [
        "/resource/accessKeyDetails/accessKeyId",
        "/resource/accessKeyDetails/principalId",
        "/resource/accessKeyDetails/userName",
        "/resource/s3BucketDetails/0/name",
        "/resource/eksClusterDetails/name",
        "/resource/rdsDbInstanceDetails/dbInstanceIdentifier",
        "/resource/lambdaDetails/functionName",
    ];
    more.is_some_and(|more| told(more) || in_text(more).is_some_and(|more| told(&more)))
        || ids.iter().any(|id| text(detail, id).is_some_and(|id| id.starts_with(SAMPLE)))
        || text(detail, "/resource/instanceDetails/instanceId") == Some("i-99999999")
}

fn of_guardduty(detail: &Value) -> Vec<Result<Resource, String>> {
    let at = |pointer: &str| text(detail, &format!("/resource/{pointer}"));
    let mut named = Vec::new();
    let principal = at("accessKeyDetails/userName");
    let user = at("accessKeyDetails/userType") == Some("IAMUser");
    if let Some(key) = at("accessKeyDetails/accessKeyId") {
        named.push(resource(ACCESS_KEY, key, principal.filter(|_| user)));
    }
    match (at("accessKeyDetails/userType"), principal) {
        (Some("IAMUser"), Some(name)) => named.push(resource(USER, name, None)),
        (Some("Role" | "AssumedRole"), Some(name)) => named.push(resource(ROLE, name, None)),
        _ => {}
    }
    for bucket in list(detail, "/resource/s3BucketDetails").iter().take(MOST_RESOURCES) {
        if let Some(id) = text(bucket, "/name").or_else(|| text(bucket, "/arn")) {
            named.push(resource(BUCKET, id, None));
        }
    }
    let table = [
        ("instanceDetails/instanceId", INSTANCE),
        ("eksClusterDetails/name", "AWS::EKS::Cluster"),
        ("ecsClusterDetails/arn", "AWS::ECS::Cluster"),
        ("rdsDbInstanceDetails/dbInstanceIdentifier", "AWS::RDS::DBInstance"),
        ("lambdaDetails/functionName", "AWS::Lambda::Function"),
    ];
    named.extend(table.iter().filter_map(|(place, r#type)| at(place).map(|id| resource(r#type, id, None))));
    if named.is_empty() {
        let affected = detail.pointer("/service/action/awsApiCallAction/affectedResources").and_then(Value::as_object);
        let ids = affected.into_iter().flatten().take(MOST_RESOURCES);
        named.extend(ids.filter_map(|(r#type, id)| id.as_str().map(|id| resource(r#type, id, None))));
    }
    named
}

/// Reads a finding of external access.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-eventbridge.html>
pub(crate) fn access_analyzer(detail: &Value, envelope: &Value) -> Found {
    let status = text(detail, "/status").unwrap_or_default();
    let public = detail.get("isPublic");
    let (act, why) = if status != "ACTIVE" {
        (Act::Ignore, format!("the finding's status is {}", shown(status)))
    } else if let Some(error) = text(detail, "/error") {
        (Act::Ignore, format!("the analyzer could not look at the resource: {}", shown(error)))
    } else if yes(detail.get("isDeleted")) {
        (Act::Ignore, "the resource is deleted".to_owned())
    } else if yes(public) {
        (Act::Evaluate, "the analyzer found public access".to_owned())
    } else {
        (Act::Ignore, "the access that the analyzer found is not public".to_owned())
    };
    let mut notice = blank(Trigger::AccessAnalyzer, act, why);
    let accounts = [detail.get("resourceOwnerAccount"), detail.get("accountId"), envelope.get("account")];
    if let Err(why) = place(&mut notice, &accounts, &[text(detail, "/region"), text(envelope, "/region")]) {
        return vec![Err(why)];
    }
    notice.event = Some("Access Analyzer Finding".to_owned());
    notice.cause = Some(Cause {
        call: "Access Analyzer Finding".to_owned(),
        event_id: first(detail, &["/id"]),
        at: time(&[text(detail, "/updatedAt"), text(detail, "/analyzedAt")]).or_else(|| sent(envelope)),
        ..Cause::default()
    });
    match text(detail, "/resource") {
        Some(id) => with_resources(notice, vec![resource(text(detail, "/resourceType").unwrap_or_default(), id, None)]),
        None if notice.act == Act::Ignore => vec![Ok(notice)],
        None => vec![Err("the finding names no resource".to_owned())],
    }
}

/// Reads an event of AWS Health. Those about exposed credentials are incidents; their entities are the keys, alone or as
/// `IAM_USER/name/AKIA…`.
/// <https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html>
pub(crate) fn health(detail: &Value, envelope: &Value) -> Found {
    let Some(code) = text(detail, "/eventTypeCode").map(tame) else {
        return vec![Err(format!("the eventTypeCode is {}", detail.get("eventTypeCode").map_or("missing", kind)))];
    };
    let exposed = code.starts_with("AWS_RISK_CREDENTIALS_");
    let closed = text(detail, "/statusCode") == Some("closed");
    let (act, why) = match (exposed, closed) {
        (true, false) => (Act::Incident, format!("AWS says {}", shown(&code))),
        (true, true) => (Act::Ignore, format!("{} is closed", shown(&code))),
        (false, _) => (Act::Ignore, format!("{} says nothing about drift", shown(&code))),
    };
    let mut notice = blank(Trigger::Health, act, why);
    let accounts = [detail.get("affectedAccount"), detail.pointer("/eventMetadata/accountId"), envelope.get("account")];
    if let Err(why) = place(&mut notice, &accounts, &[text(detail, "/eventRegion"), text(envelope, "/region")]) {
        return vec![Err(why)];
    }
    notice.cause = Some(Cause {
        call: code.clone(),
        event_id: first(detail, &["/eventArn"]),
        at: sent(envelope),
        ..Cause::default()
    });
    notice.event = Some(code);
    if !exposed {
        return vec![Ok(notice)];
    }
    let named = exposed_keys(detail, envelope);
    if named.is_empty() && notice.act != Act::Ignore {
        return vec![Err("AWS says that credentials are exposed, and names no access key: see its event".to_owned())];
    }
    with_resources(notice, named)
}

fn exposed_keys(detail: &Value, envelope: &Value) -> Vec<Result<Resource, String>> {
    let user = text(detail, "/eventMetadata/userName");
    let entities = list(detail, "/affectedEntities").iter().take(MOST_RESOURCES);
    let entities = entities.filter_map(|entity| text(entity, "/entityValue"));
    let keys = list(envelope, "/resources").iter().take(MOST_RESOURCES).filter_map(Value::as_str);
    let more = text(detail, "/eventMetadata/publicKey");
    let told: Vec<&str> = entities.chain(keys).chain(more).filter(|told| !told.is_empty()).collect();
    let mut named: Vec<Result<Resource, String>> = Vec::new();
    for told in told {
        let mut parts = told.rsplit('/');
        let key = parts.next().unwrap_or_default();
        let owner = parts.next().filter(|_| told.starts_with("IAM_USER/"));
        // Entities may also be users and instances; what looks like a key and is none should be seen.
        if is_key(key) || key.starts_with("AKIA") {
            named.push(resource(ACCESS_KEY, key, owner.or(user)));
        }
    }
    if named.is_empty() {
        named.extend(more.map(|key| resource(ACCESS_KEY, key, user)));
    }
    named
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
