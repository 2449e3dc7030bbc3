//! Security Hub's findings in ASFF, imported or sent by a person with a custom action.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-event-formats.html>

use crate::ids::shown;
use crate::read::{Found, blank, place, sent};
use crate::resource::{MOST_RESOURCES, resource, with_resources};
use crate::value::{first, kind, list, tame, text, time};
use crate::{Act, Cause, Notice, Reply, Resource, Trigger};
use serde_json::Value;

/// The most findings of one event. A custom action sends up to 20, an import one.
const MOST_FINDINGS: usize = 100;

/// Reads the findings of an event, each as a notice of its own. They are in OCSF if Security Hub's second version sent them.
pub(crate) fn findings(detail: &Value, envelope: &Value, trigger: Trigger) -> Found {
    let Some(findings) = detail.get("findings").and_then(Value::as_array) else {
        return vec![Err(format!("findings is {}, not a list", detail.get("findings").map_or("missing", kind)))];
    };
    if findings.is_empty() {
        return vec![Err("the event has no findings".to_owned())];
    }
    let mut found: Found = Vec::new();
    for one in findings.iter().take(MOST_FINDINGS) {
        if one.get("class_uid").is_some() {
            found.extend(crate::ocsf::finding(one, envelope));
            continue;
        }
        found.extend(finding(one, envelope, trigger).unwrap_or_else(|why| vec![Err(why)]));
    }
    if findings.len() > MOST_FINDINGS {
        found.push(Err(format!("the event has {} findings; only {MOST_FINDINGS} were read", findings.len())));
    }
    found
}

/// Whether a JSON object looks like a finding in ASFF.
pub(crate) fn is_finding(value: &Value) -> bool {
    value.get("AwsAccountId").is_some() && value.get("Resources").is_some()
}

/// Reads one finding.
pub(crate) fn finding(finding: &Value, envelope: &Value, trigger: Trigger) -> Result<Found, String> {
    if !finding.is_object() {
        return Err(format!("the finding is {}, not an object", kind(finding)));
    }
    let control_ids = control_ids(finding);
    let event = control_ids.first().cloned().or_else(|| first(finding, &["/Types/0", "/GeneratorId"]));
    let (act, why) = judge(finding, trigger);
    let mut notice = blank(trigger, act, why);
    let arn_region = first(finding, &["/Id"]).and_then(|id| id.split(':').nth(3).map(str::to_owned));
    let regions = [
        text(finding, "/Region"),
        text(finding, "/Resources/0/Region"),
        arn_region.as_deref().filter(|_| text(finding, "/Id").is_some_and(|id| id.starts_with("arn:"))),
        text(envelope, "/region"),
    ];
    place(&mut notice, &[finding.get("AwsAccountId"), envelope.get("account")], &regions)?;
    notice.event = event;
    notice.cause = Some(cause(finding, envelope, &notice));
    notice.control_ids = control_ids;
    let ids = text(finding, "/Id").zip(text(finding, "/ProductArn"));
    notice.reply = ids.map(|(id, product_arn)| Reply::Finding { id: tame(id), product_arn: tame(product_arn) });
    let resources = list(finding, "/Resources");
    if resources.is_empty() && notice.act != Act::Ignore {
        return Err("the finding names no resource".to_owned());
    }
    // One more than are kept, so that too many are noticed.
    let named = resources.iter().take(MOST_RESOURCES + 1).map(of_finding).collect();
    Ok(with_resources(notice, named))
}

fn cause(finding: &Value, envelope: &Value, notice: &Notice) -> Cause {
    Cause {
        call: notice.event.clone().unwrap_or_default(),
        event_id: first(finding, &["/Id"]),
        at: time(&[text(finding, "/UpdatedAt"), text(finding, "/CreatedAt")]).or_else(|| sent(envelope)),
        ..Cause::default()
    }
}

fn judge(finding: &Value, trigger: Trigger) -> (Act, String) {
    let ignore = |why: String| (Act::Ignore, why);
    // A pasted finding is somebody's own choice, whatever its status.
    if trigger == Trigger::Manual {
        return (Act::Evaluate, "a person asks, with a finding".to_owned());
    }
    let record = text(finding, "/RecordState").unwrap_or("ACTIVE");
    if record != "ACTIVE" {
        return ignore(format!("the finding's record is {}", shown(record)));
    }
    let workflow = text(finding, "/Workflow/Status").unwrap_or("NEW");
    if !matches!(workflow, "NEW" | "NOTIFIED") {
        return ignore(format!("the finding's workflow status is {}", shown(workflow)));
    }
    match text(finding, "/Compliance/Status") {
        Some("FAILED") if trigger == Trigger::SecurityHubAction => {
            (Act::Evaluate, "a person sent a finding that is FAILED".to_owned())
        }
        Some("FAILED") => (Act::Evaluate, "the finding is FAILED".to_owned()),
        Some(status) => ignore(format!("the finding's compliance is {}", shown(status))),
        // GuardDuty's and Inspector's findings have none. Who presses the button means the resource.
        None if trigger == Trigger::SecurityHubAction => (Act::Evaluate, "a person sent the finding".to_owned()),
        None => ignore("the finding is not about compliance; who found it reports it by itself".to_owned()),
    }
}

/// The ids of the control, consolidated (`S3.2`) and of the standard (`PCI.S3.2`); those of the CIS benchmark, which number
/// the same things differently in each version, also with the benchmark (`cis-aws-foundations-benchmark/v/1.2.0/4.1`).
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/asff-changes-consolidation.html>
fn control_ids(finding: &Value) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut push = |id: String| {
        if !id.is_empty() && id.len() <= 128 && !ids.contains(&id) {
            ids.push(id);
        }
    };
    for place in ["/Compliance/SecurityControlId", "/ProductFields/ControlId", "/ProductFields/RuleId"] {
        if let Some(id) = text(finding, place) {
            push(tame(id));
        }
    }
    if let Some(generator) = text(finding, "/GeneratorId").map(tame) {
        let standard = generator.contains("/v/") || generator.starts_with("security-control/");
        let Some(id) = generator.rsplit('/').next().filter(|_| standard) else { return ids };
        push(id.to_owned());
        let benchmark = generator.find("cis-aws-foundations-benchmark/").and_then(|at| generator.get(at..));
        if let Some(benchmark) = benchmark {
            push(benchmark.replace("/rule/", "/"));
        }
    }
    ids
}

fn of_finding(named: &Value) -> Result<Resource, String> {
    let (Some(r#type), Some(id)) = (text(named, "/Type"), text(named, "/Id")) else {
        return Err("a resource of the finding has no Type or no Id".to_owned());
    };
    let detail = |pointer: &str| text(named, &format!("/Details/{pointer}"));
    // Its details tell the name where the id has another.
    let name = match r#type {
        "AwsIamUser" => detail("AwsIamUser/UserName"),
        "AwsIamRole" => detail("AwsIamRole/RoleName"),
        "AwsIamAccessKey" => detail("AwsIamAccessKey/PrincipalName").or_else(|| detail("AwsIamAccessKey/UserName")),
        "AwsRdsDbInstance" => detail("AwsRdsDbInstance/DBInstanceIdentifier"),
        "AwsRdsDbCluster" => {
            detail("AwsRdsDbCluster/DbClusterIdentifier").or_else(|| detail("AwsRdsDbCluster/DBClusterIdentifier"))
        }
        "AwsRdsDbSnapshot" => detail("AwsRdsDbSnapshot/DbSnapshotIdentifier"),
        "AwsRdsDbClusterSnapshot" => detail("AwsRdsDbClusterSnapshot/DbClusterSnapshotIdentifier"),
        _ => None,
    };
    resource(r#type, id, name)
}

#[cfg(test)]
#[path = "security_hub_tests.rs"]
mod tests;
