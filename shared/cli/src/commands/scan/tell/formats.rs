//! A scan's findings in the forms of other tools: SARIF, ASFF, OCSF.

use super::{By, Meaning};
use crate::commands::words::{list, text};
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

/// The longest of each text of an ASFF finding, in characters, and the most of each list.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html>
mod most {
    pub(super) const TITLE: usize = 256;
    pub(super) const DESCRIPTION: usize = 1024;
    pub(super) const RECOMMENDATION: usize = 512;
    pub(super) const FIELD: usize = 2048;
    pub(super) const REQUIREMENTS: usize = 32;
    pub(super) const REGION: usize = 16;
}

/// The kind of finding, in Security Hub's words.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-type-taxonomy.html>
const TYPE: &str = "Software and Configuration Checks/Industry and Regulatory Standards/HIPAA Controls (USA)";

/// The SARIF log as far as the first result.
pub(super) fn sarif_head() -> String {
    let rule = |about: &remediation::About| {
        json!({
            "id": about.id,
            "shortDescription": {"text": about.title},
            "properties": {"tags": about.citations},
        })
    };
    let rules: Vec<Value> = catalogue::all().iter().map(|entry| rule(entry.about)).collect();
    let driver = json!({"name": "Suture", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    format!(
        "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{{\"driver\":{driver}}},\"results\":[\n"
    )
}

/// The SARIF log after the last result.
pub(super) fn sarif_tail(whole: bool) -> String {
    format!("\n],\"invocations\":[{{\"executionSuccessful\":{whole}}}]}}]}}")
}

/// A SARIF result.
pub(super) fn sarif_result(record: &Value) -> Value {
    let field = |pointer: &str| text(record, pointer);
    let (control, resource) = (field("/control"), field("/resource/id"));
    let place =
        format!("{}/{}/{}/{resource}", field("/resource/account"), field("/resource/region"), field("/resource/type"));
    let outcome = field("/outcome");
    let mut result = json!({
        "ruleId": control,
        "level": if outcome == "exempt" { "note" } else { "error" },
        "message": {"text": format!("{resource}: {}", field("/why"))},
        "locations": [{"logicalLocations": [{"name": resource, "fullyQualifiedName": place, "kind": "resource"}]}],
        "partialFingerprints": {"suture/v1": format!("{control}/{place}")},
    });
    if let (true, Some(fields)) = (outcome == "exempt", result.as_object_mut()) {
        let why = field("/exemption/reason");
        fields.insert("suppressions".to_owned(), json!([{"kind": "external", "justification": why}]));
    }
    result
}

/// A finding in the AWS Security Finding Format, for `BatchImportFindings` in the caller's account and region. Its id is the one
/// that a deployment's recorder uses for the same resource under the same control: both speak of one finding.
pub(super) fn asff(record: &Value, by: &By) -> Value {
    let finding = Told::of(record);
    let (partition, account, region) = (by.partition(), by.account.as_str(), by.region.as_str());
    let (resource, kind) = announce::resource_of(record, partition);
    let mut of = json!({"Type": kind, "Id": resource, "Partition": partition});
    // A region's name of more characters is one that this version of the format cannot hold.
    if let (true, Some(fields)) = ((1..=most::REGION).contains(&finding.region.len()), of.as_object_mut()) {
        fields.insert("Region".to_owned(), json!(finding.region));
    }
    let severity = match (finding.is_exempt(), finding.exposes) {
        (true, _) => "INFORMATIONAL",
        (false, true) => "HIGH",
        (false, false) => "MEDIUM",
    };
    let mut fields = Map::new();
    for (name, value) in [
        ("suture/outcome", finding.outcome.clone()),
        ("suture/would-write", finding.writes()),
        ("suture/would-break", finding.breaks()),
        ("suture/exemption", text(record, "/exemption/id")),
    ] {
        if !value.is_empty() {
            fields.insert(name.to_owned(), json!(cut(&value, most::FIELD)));
        }
    }
    let ended = finding.ended.format(&Rfc3339).unwrap_or_default();
    json!({
        "SchemaVersion": "2018-10-08",
        "Id": announce::id_of(record),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "GeneratorId": format!("suture/{}", finding.control),
        "AwsAccountId": account,
        "Types": [TYPE],
        "CreatedAt": ended,
        "UpdatedAt": ended,
        "LastObservedAt": ended,
        "Severity": {"Label": severity},
        "Title": cut(&finding.title(), most::TITLE),
        "Description": cut(&finding.description(), most::DESCRIPTION),
        "Remediation": {"Recommendation": {"Text": cut(&finding.advice(), most::RECOMMENDATION)}},
        "ProductFields": fields,
        "Resources": [of],
        "Compliance": {
            "Status": if finding.is_exempt() { "WARNING" } else { "FAILED" },
            "RelatedRequirements": finding.citations.iter().take(most::REQUIREMENTS).collect::<Vec<_>>(),
        },
        "FindingProviderFields": {"Severity": {"Label": severity, "Original": finding.outcome}, "Types": [TYPE]},
        // What is exempt is settled, for as long as it is; as the recorder has it.
        "RecordState": if finding.is_exempt() { "ARCHIVED" } else { "ACTIVE" },
    })
}

/// An OCSF Compliance Finding, of the cloud profile.
/// <https://schema.ocsf.io/1.5.0/classes/compliance_finding?profiles=cloud>
pub(super) fn ocsf(record: &Value, by: &By) -> Value {
    let finding = Told::of(record);
    let (resource, _) = announce::resource_of(record, by.partition());
    let at = i64::try_from(finding.ended.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let (severity_id, severity) = match (finding.meaning, finding.exposes) {
        (Meaning::Drifted, true) => (4, "High"),
        (Meaning::Drifted, false) => (3, "Medium"),
        (Meaning::Unknown, _) => (2, "Low"),
        (Meaning::Sound | Meaning::Exempt, _) => (1, "Informational"),
    };
    let (status_id, status) = if finding.is_exempt() { (3, "Suppressed") } else { (1, "New") };
    let (compliance_id, compliance) = match finding.meaning {
        Meaning::Sound => (1, "Pass"),
        Meaning::Unknown => (2, "Warning"),
        Meaning::Drifted | Meaning::Exempt => (3, "Fail"),
    };
    json!({
        "category_uid": 2, "category_name": "Findings",
        "class_uid": 2003, "class_name": "Compliance Finding",
        "activity_id": 1, "activity_name": "Create",
        "type_uid": 200_301, "type_name": "Compliance Finding: Create",
        "time": at,
        "severity_id": severity_id, "severity": severity,
        "status_id": status_id, "status": status,
        "message": finding.description(),
        "metadata": {
            "version": "1.5.0",
            "product": {"name": "Suture", "vendor_name": "Suture", "uid": "suture", "version": env!("CARGO_PKG_VERSION")},
            "profiles": ["cloud"],
            "event_code": finding.control,
        },
        "cloud": {
            "provider": "AWS",
            "region": finding.region,
            "account": {"uid": finding.account, "type": "AWS Account", "type_id": 10},
        },
        "finding_info": {
            "uid": announce::id_of(record),
            "title": finding.title(),
            "desc": finding.description(),
            "types": [TYPE],
            "created_time": at,
            "last_seen_time": at,
        },
        "compliance": {
            "standards": ["HIPAA"],
            "requirements": finding.citations,
            "control": finding.control,
            "status_id": compliance_id, "status": compliance,
            "status_detail": text(record, "/why"),
        },
        "resources": [{
            "uid": resource,
            "name": finding.resource,
            "type": text(record, "/resource/type"),
            "region": finding.region,
            "cloud_partition": by.partition(),
        }],
        "remediation": {"desc": finding.advice()},
        "unmapped": {"suture": {
            "outcome": finding.outcome,
            "changes": list(record, "/changes"),
            "breaks": list(record, "/breaks"),
            "undo": list(record, "/undo"),
            "exemption": record.get("exemption"),
        }},
    })
}

/// What a finding is made of.
struct Told<'a> {
    record: &'a Value,
    control: String,
    about: &'static str,
    exposes: bool,
    resource: String,
    account: String,
    region: String,
    outcome: String,
    meaning: Meaning,
    citations: Vec<String>,
    ended: OffsetDateTime,
}

impl<'a> Told<'a> {
    fn of(record: &'a Value) -> Self {
        let field = |pointer: &str| text(record, pointer);
        let control = field("/control");
        let about = catalogue::find(&control).map(|entry| entry.about);
        let began = OffsetDateTime::parse(&field("/began"), &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let took = record.get("took_ms").and_then(Value::as_i64).unwrap_or_default();
        let ended = began.checked_add(Duration::milliseconds(took)).unwrap_or(began).to_offset(UtcOffset::UTC);
        let outcome = field("/outcome");
        let citations = list(record, "/citations").iter().filter_map(Value::as_str);
        Self {
            record,
            about: about.map(|about| about.title).unwrap_or_default(),
            exposes: about.is_some_and(|about| about.exposes),
            resource: field("/resource/id"),
            account: field("/resource/account"),
            region: field("/resource/region"),
            meaning: Meaning::of(&outcome),
            citations: citations.map(str::to_owned).collect(),
            ended: ended.replace_millisecond(ended.millisecond()).unwrap_or(ended),
            control,
            outcome,
        }
    }

    fn is_exempt(&self) -> bool {
        self.meaning == Meaning::Exempt
    }

    fn title(&self) -> String {
        let has = match self.meaning {
            Meaning::Sound => "is as it ought to be",
            Meaning::Drifted => "has drifted",
            Meaning::Exempt => "is exempt",
            Meaning::Unknown => "could not be looked at",
        };
        format!("{} {has} ({})", self.resource, self.control)
    }

    fn description(&self) -> String {
        let breaks = self.breaks();
        let broken = if breaks.is_empty() { String::new() } else { format!(" A fix would break: {breaks}.") };
        format!("{} {}: {}.{broken}", self.control, self.about, text(self.record, "/why"))
    }

    fn advice(&self) -> String {
        match self.meaning {
            Meaning::Unknown => "See to what the reason names, and scan again: suture permissions --scan.".to_owned(),
            Meaning::Exempt => "Nothing is to be done until the exemption ends: suture exemptions.".to_owned(),
            Meaning::Sound | Meaning::Drifted => format!(
                "suture plan {} {} --region {} shows the writes that would mend it; suture explain {} what they could break.",
                self.control, self.resource, self.region, self.control
            ),
        }
    }

    /// The names of the writes.
    fn writes(&self) -> String {
        super::people::writes(list(self.record, "/changes"))
    }

    /// What they would break.
    fn breaks(&self) -> String {
        list(self.record, "/breaks").iter().map(|risk| text(risk, "/says")).collect::<Vec<_>>().join("; ")
    }
}

/// A text of at most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
