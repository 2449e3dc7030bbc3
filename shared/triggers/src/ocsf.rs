//! Findings of Security Hub's second version, in OCSF.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-v2-eventbridge.html>,
//! <https://schema.ocsf.io/1.6.0/classes/compliance_finding>

use crate::ids::shown;
use crate::read::{Found, blank, place, sent};
use crate::resource::{MOST_RESOURCES, resource, with_resources};
use crate::value::{first, kind, list, tame, text, time};
use crate::{Act, Cause, Reply, Resource, Trigger, security_hub};
use serde_json::Value;

/// OCSF's number for compliance findings.
const COMPLIANCE: u64 = 2003;

/// Reads the findings of an event, each as a notice of its own.
pub(crate) fn findings(detail: &Value, envelope: &Value) -> Found {
    security_hub::findings(detail, envelope, Trigger::SecurityHubV2)
}

/// Reads one finding.
pub(crate) fn finding(finding: &Value, envelope: &Value) -> Found {
    try_finding(finding, envelope).unwrap_or_else(|why| vec![Err(why)])
}

fn try_finding(finding: &Value, envelope: &Value) -> Result<Found, String> {
    let (act, why) = judge(finding);
    let mut notice = blank(Trigger::SecurityHubV2, act, why);
    let account = finding.pointer("/cloud/account/uid");
    let accounts = [finding.pointer("/resources/0/owner/account/uid"), account, envelope.get("account")];
    let regions = [text(finding, "/resources/0/region"), text(finding, "/cloud/region"), text(envelope, "/region")];
    place(&mut notice, &accounts, &regions)?;
    notice.control_ids = first(finding, &["/compliance/control"]).into_iter().collect();
    notice.event = notice.control_ids.first().cloned().or_else(|| first(finding, &["/finding_info/title"]));
    let times = [text(finding, "/finding_info/modified_time_dt"), text(finding, "/time_dt")];
    notice.cause = Some(Cause {
        call: notice.event.clone().unwrap_or_default(),
        event_id: first(finding, &["/finding_info/uid"]),
        at: time(&times).or_else(|| sent(envelope)),
        ..Cause::default()
    });
    let ids =
        (account.and_then(Value::as_str), text(finding, "/finding_info/uid"), text(finding, "/metadata/product/uid"));
    if let (Some(account), Some(id), Some(product)) = ids {
        notice.reply = Some(Reply::FindingV2 {
            metadata_uid: first(finding, &["/metadata/uid"]),
            account: tame(account),
            finding: tame(id),
            product: tame(product),
        });
    }
    let resources = list(finding, "/resources");
    if resources.is_empty() && act != Act::Ignore {
        return Err("the finding names no resource".to_owned());
    }
    let named = resources.iter().take(MOST_RESOURCES + 1).map(of_finding).collect();
    Ok(with_resources(notice, named))
}

fn judge(finding: &Value) -> (Act, String) {
    let number = |pointer: &str| finding.pointer(pointer).and_then(Value::as_u64);
    let ignore = |why: String| (Act::Ignore, why);
    if number("/class_uid") != Some(COMPLIANCE) {
        let class = first(finding, &["/class_name"]).unwrap_or_default();
        return ignore(format!("the finding is of class {}, not about compliance", shown(&class)));
    }
    if number("/activity_id") == Some(3) {
        return ignore("the finding was closed".to_owned());
    }
    match number("/status_id") {
        None | Some(0..=2) => {}
        Some(3) => return ignore("the finding is suppressed".to_owned()),
        Some(4) => return ignore("the finding is resolved".to_owned()),
        Some(5) => return ignore("the finding is archived".to_owned()),
        Some(other) => return ignore(format!("the finding's status is {other}")),
    }
    // `Fail` and `FAILED` are both about.
    let status = text(finding, "/compliance/status").unwrap_or_default();
    let failed = match number("/compliance/status_id") {
        Some(id) => id == 3,
        None => status.eq_ignore_ascii_case("fail") || status.eq_ignore_ascii_case("failed"),
    };
    if failed {
        (Act::Evaluate, "the finding's compliance is Fail".to_owned())
    } else {
        ignore(format!("the finding's compliance is {}", shown(status)))
    }
}

fn of_finding(named: &Value) -> Result<Resource, String> {
    let uid = text(named, "/uid").or_else(|| text(named, "/uid_alt"));
    let alt = text(named, "/uid_alt").filter(|alt| alt.starts_with("arn:"));
    let Some(id) = alt.or(uid) else {
        let what = named.get("uid").map_or("missing", kind);
        return Err(format!("the uid of a resource of the finding is {what}"));
    };
    resource(text(named, "/type").unwrap_or_default(), id, text(named, "/name"))
}
