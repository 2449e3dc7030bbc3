//! What tools are told of a record, held against what their formats ask for.

use super::*;
use proptest::prelude::*;

fn by() -> By {
    By { account: AccountId::parse("111122223333").unwrap(), region: Region::parse("us-east-1").unwrap() }
}

fn record(outcome: &str) -> Value {
    json!({
        "schema": "suture.record/1", "id": "look-1", "control": "s3-public-bucket", "trigger": "manual", "mode": "plan",
        "resource": {"type": "AWS::S3::Bucket", "id": "clinic-scans", "account": "444455556666", "region": "eu-west-1"},
        "outcome": outcome, "why": "1 write to make", "before": {"block": null}, "after": null,
        "changes": [{"put-public-access-block": {}}, "tag", "tag"], "undo": ["delete-public-access-block"],
        "breaks": [{"id": "public-website", "says": "its visitors would get 403", "refuses": true}],
        "exemption": if outcome == "exempt" {
            json!({"id": "e-1", "owner": "web@clinic.example", "reason": "CHG-1", "expires": "2027-01-31T00:00:00Z"})
        } else {
            Value::Null
        },
        "citations": ["45 CFR 164.312(a)(1)"], "began": "2026-01-15T10:45:31.204Z", "took_ms": 31,
    })
}

/// What `BatchImportFindings` asks of a finding.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html>
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html>
fn is_asff(finding: &Value) {
    let text = |field: &str, most: usize| {
        let text = finding.pointer(field).and_then(Value::as_str).unwrap_or_else(|| panic!("{field}: {finding}"));
        assert!(!text.trim().is_empty() && text.chars().count() <= most, "{field}: {text}");
        text.to_owned()
    };
    for (field, most) in [
        ("/Id", 512),
        ("/GeneratorId", 512),
        ("/Title", 256),
        ("/Description", 1024),
        ("/Remediation/Recommendation/Text", 512),
        ("/Resources/0/Id", 2048),
        ("/Resources/0/Type", 256),
    ] {
        text(field, most);
    }
    assert_eq!(text("/SchemaVersion", 10), "2018-10-08");
    assert_eq!(text("/AwsAccountId", 12), "111122223333", "of the account that imports it");
    assert_eq!(text("/ProductArn", 512), "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default");
    for field in ["/CreatedAt", "/UpdatedAt", "/LastObservedAt"] {
        assert_eq!(text(field, 64), "2026-01-15T10:45:31.235Z");
    }
    for field in ["/Severity/Label", "/FindingProviderFields/Severity/Label"] {
        assert!(["INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"].contains(&text(field, 16).as_str()));
    }
    assert!(["PASSED", "WARNING", "FAILED", "NOT_AVAILABLE"].contains(&text("/Compliance/Status", 16).as_str()));
    assert!(["ACTIVE", "ARCHIVED"].contains(&text("/RecordState", 16).as_str()));
    assert!(finding["Types"].as_array().unwrap().iter().all(|kind| kind.as_str().unwrap().split('/').count() == 3));
    let fields = finding["ProductFields"].as_object().unwrap();
    assert!(
        fields.len() <= 50
            && fields.values().all(|value| (1..=2048).contains(&value.as_str().unwrap().chars().count()))
    );
    assert!(finding["Compliance"].get("SecurityControlId").is_none(), "it would wake our own rules");
    assert!(finding.get("Workflow").is_none(), "that is for people");
}

/// What OCSF 1.5.0 requires of a Compliance Finding of the cloud profile, and of the objects in it.
/// <https://schema.ocsf.io/1.5.0/classes/compliance_finding?profiles=cloud>
fn is_ocsf(finding: &Value) {
    for field in [
        "/activity_id",
        "/category_uid",
        "/class_uid",
        "/cloud/provider",
        "/compliance/standards",
        "/finding_info/uid",
        "/metadata/product",
        "/metadata/version",
        "/severity_id",
        "/time",
        "/type_uid",
    ] {
        assert!(finding.pointer(field).is_some_and(|value| !value.is_null()), "{field}: {finding}");
    }
    let number = |field: &str| finding.pointer(field).and_then(Value::as_i64).unwrap_or_else(|| panic!("{field}"));
    assert_eq!((number("/category_uid"), number("/class_uid")), (2, 2003));
    assert_eq!(number("/type_uid"), number("/class_uid") * 100 + number("/activity_id"));
    assert_eq!(number("/time"), 1_768_473_931_235, "milliseconds");
    assert!((0..=6).contains(&number("/severity_id")) && (0..=6).contains(&number("/status_id")));
    assert!((1..=3).contains(&number("/compliance/status_id")));
    // A product has a name or an id, a resource too.
    assert!(finding["metadata"]["product"]["vendor_name"].is_string());
    assert!(finding["resources"][0]["uid"].is_string() && finding["resources"][0]["name"].is_string());
}

#[test]
fn what_each_outcome_is_to_other_tools() {
    for (outcome, status, state, severity) in [
        ("planned", "FAILED", "ACTIVE", "HIGH"),
        ("refused", "FAILED", "ACTIVE", "HIGH"),
        ("blocked-by-organization", "FAILED", "ACTIVE", "HIGH"),
        ("exempt", "WARNING", "ARCHIVED", "INFORMATIONAL"),
    ] {
        let (record, by) = (record(outcome), by());
        let finding = formats::asff(&record, &by);
        is_asff(&finding);
        assert_eq!(finding["Compliance"]["Status"], status, "{outcome}");
        assert_eq!(
            (&finding["RecordState"], &finding["Severity"]["Label"]),
            (&json!(state), &json!(severity)),
            "{outcome}"
        );
        assert_eq!(finding["Id"], announce::id_of(&record), "a deployment speaks of the same finding");
        assert_eq!(finding["Resources"][0]["Region"], "eu-west-1");
        assert_eq!(finding["ProductFields"]["suture/would-break"], "its visitors would get 403");
    }
    for (outcome, compliance, status) in [("planned", 3, 1), ("refused", 3, 1), ("exempt", 3, 3), ("failed", 2, 1)] {
        let finding = formats::ocsf(&record(outcome), &by());
        is_ocsf(&finding);
        assert_eq!((&finding["compliance"]["status_id"], &finding["status_id"]), (&json!(compliance), &json!(status)));
        assert_eq!(finding["cloud"]["account"]["uid"], "444455556666");
    }
}

#[test]
fn a_partition_is_told_by_its_regions() {
    for (region, partition) in [("us-east-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")] {
        let by = By { region: Region::parse(region).unwrap(), ..by() };
        let finding = formats::asff(&record("planned"), &by);
        assert_eq!(finding["Resources"][0]["Id"], format!("arn:{partition}:s3:::clinic-scans"));
        assert!(finding["ProductArn"].as_str().unwrap().starts_with(&format!("arn:{partition}:securityhub:{region}:")));
    }
}

proptest! {
    #[test]
    fn whatever_is_in_a_record_a_finding_keeps_within_its_bounds(name in "\\PC{1,400}", why in "\\PC{0,3000}") {
        let mut record = record("planned");
        record["resource"]["id"] = json!(name);
        record["why"] = json!(why);
        record["breaks"][0]["says"] = json!(why);
        is_asff(&formats::asff(&record, &by()));
        is_ocsf(&formats::ocsf(&record, &by()));
    }
}

#[test]
fn one_account_has_one_summary_and_several_have_one_more() {
    let mut teller = Teller::begin(Form::Lines, by(), true);
    let [ours, theirs] = ["111122223333", "444455556666"].map(|id| AccountId::parse(id).unwrap());
    let outcomes = |pairs: &[(&str, usize)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    teller.account(&ours);
    teller.counted("s3-public-bucket", &outcomes(&[("compliant", 3), ("planned", 2), ("exempt", 1)]), None);
    let summary = teller.summary_of(&ours);
    assert_eq!((&summary["drifted"], &summary["whole"]), (&json!(2), &json!(true)));
    teller.account(&theirs);
    teller.counted("s3-public-bucket", &outcomes(&[("planned", 1)]), Some("the listing broke off"));
    assert_eq!(teller.summary_of(&ours)["controls"][0]["outcomes"]["planned"], 2, "the other account's are not in it");
    assert_eq!(teller.summary_of(&theirs)["whole"], false);
    let all = teller.summary();
    assert_eq!((&all["drifted"], &all["whole"]), (&json!(3), &json!(false)));
    assert_eq!(all["accounts"], json!(["111122223333", "444455556666"]));
    assert_eq!(teller.end(), End::Not);
}

#[test]
fn an_account_that_was_not_reached_keeps_a_scan_from_being_whole() {
    let mut teller = Teller::begin(Form::Names, by(), true);
    let account = AccountId::parse("111122223333").unwrap();
    teller.account(&account);
    teller.counted("s3-public-bucket", &[("compliant".to_owned(), 3)].into(), None);
    teller.unreached(&account, "the role was not lent");
    assert_eq!(teller.end(), End::Partly);
}
