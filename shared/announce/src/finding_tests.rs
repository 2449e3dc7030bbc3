use super::*;
use crate::samples::{ours, record, refused, region, set};
use proptest::prelude::*;
use serde_json::json;

fn told(record: &Value) -> Option<Finding> {
    let (account, region) = (ours(), region());
    let finding = finding(record, &Hub { partition: "aws", account: &account, region: &region });
    if let Some(finding) = &finding {
        sound(&finding.clone().into_asff());
    }
    finding
}

/// What Security Hub asks of a finding.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html>
fn sound(finding: &AwsSecurityFinding) {
    let within = |text: Option<&str>, most: usize| {
        let text = text.expect("it is there");
        assert!(!text.trim().is_empty() && text.chars().count() <= most, "{} of {most}: {text}", text.chars().count());
        assert!(!text.chars().any(char::is_control), "{text:?}");
    };
    within(finding.id(), 512);
    within(finding.generator_id(), 512);
    within(finding.title(), 256);
    within(finding.description(), 1024);
    within(finding.remediation().and_then(|r| r.recommendation()).and_then(|r| r.text()), 512);
    within(finding.created_at(), 64);
    assert_eq!(finding.created_at(), finding.updated_at(), "a new finding has one time for both");
    assert_eq!(finding.schema_version(), Some("2018-10-08"));
    assert_eq!(finding.aws_account_id(), Some("111122223333"));
    assert_eq!(finding.product_arn(), Some("arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"));
    let [resource] = finding.resources() else { panic!("one resource") };
    within(resource.r#type(), 256);
    within(resource.id(), 2048);
    assert!(resource.region().is_none_or(|region| (1..=16).contains(&region.len())));
    let provider = finding.finding_provider_fields().expect("severity and types");
    assert!(provider.severity().and_then(|severity| severity.label()).is_some());
    within(provider.severity().and_then(|severity| severity.original()), 64);
    assert!(provider.types().iter().all(|kind| kind.split('/').count() == 3));
    let fields = finding.product_fields().expect("fields of ours");
    assert!(fields.len() <= 50);
    assert!(fields.iter().all(|(key, value)| key.len() <= 128 && (1..=2048).contains(&value.chars().count())));
    let compliance = finding.compliance().expect("a status");
    assert!(compliance.related_requirements().len() <= 32);
    assert_eq!(compliance.security_control_id(), None, "it would wake our own rules");
    assert_eq!(finding.workflow(), None, "that is for people");
}

#[test]
fn what_each_outcome_does_to_the_finding() {
    for (outcome, open, status, severity) in [
        (Outcome::Compliant, Some(false), "PASSED", "INFORMATIONAL"),
        (Outcome::Planned, None, "", ""),
        (Outcome::AwaitingApproval, None, "", ""),
        (Outcome::Fixed, Some(false), "PASSED", "INFORMATIONAL"),
        (Outcome::Undone, Some(false), "WARNING", "INFORMATIONAL"),
        (Outcome::PartlyFixed, Some(true), "FAILED", "HIGH"),
        (Outcome::Exempt, Some(false), "WARNING", "INFORMATIONAL"),
        (Outcome::Refused, Some(true), "FAILED", "MEDIUM"),
        (Outcome::BlockedByOrganization, Some(true), "FAILED", "MEDIUM"),
        (Outcome::Gone, Some(false), "NOT_AVAILABLE", "INFORMATIONAL"),
        (Outcome::Unverified, Some(true), "FAILED", "HIGH"),
        (Outcome::Failed, Some(true), "FAILED", "HIGH"),
    ] {
        let told = told(&record(outcome));
        assert_eq!(told.as_ref().map(|told| matches!(told, Finding::Open(_))), open, "{}", outcome.name());
        let Some(finding) = told.map(Finding::into_asff) else { continue };
        let state = if open == Some(true) { RecordState::Active } else { RecordState::Archived };
        assert_eq!(finding.record_state(), Some(&state), "{}", outcome.name());
        assert_eq!(finding.compliance().unwrap().status().unwrap().as_str(), status, "{}", outcome.name());
        let provider = finding.finding_provider_fields().unwrap();
        assert_eq!(provider.severity().unwrap().label().unwrap().as_str(), severity, "{}", outcome.name());
    }
}

#[test]
fn one_finding_for_a_resource_under_a_control_whatever_the_record() {
    let [refused, fixed] = [Outcome::Refused, Outcome::Fixed].map(record);
    let mut later = fixed.clone();
    set(&mut later, json!({"id": "another", "began": "2026-01-16T10:45:31Z", "took_ms": 5}));
    assert_eq!(id_of(&refused), "suture/s3-public-bucket/111122223333/us-east-1/AWS::S3::Bucket/clinic-scans");
    assert_eq!(id_of(&refused), id_of(&later));
    let updated = |record: &Value| told(record).unwrap().into_asff().updated_at().unwrap().to_owned();
    assert_eq!(updated(&fixed), "2026-01-15T10:45:31.235Z", "when it ended, not when it began");
    assert!(updated(&fixed) < updated(&later), "an update that is not newer is ignored");
    for (field, value) in [("control", json!("s3-public-acl")), ("resource", json!({"id": "other"}))] {
        let mut other = fixed.clone();
        other[field] = value;
        assert_ne!(id_of(&fixed), id_of(&other), "{field}");
    }
    let [mut long, mut longer] = [fixed.clone(), fixed.clone()];
    long["resource"]["id"] = json!("x".repeat(600));
    longer["resource"]["id"] = json!("x".repeat(601));
    assert_ne!(id_of(&long), id_of(&longer));
    assert!(id_of(&long).len() < 512);
}

#[test]
fn a_person_finds_the_way_from_it() {
    let refused = refused("public-website", "the bucket is a public website, and closing it is an outage");
    let finding = told(&refused).unwrap().into_asff();
    assert_eq!(finding.title(), Some("Suture refused to fix clinic-scans (s3-public-bucket)"));
    let description = finding.description().unwrap();
    for part in ["clinic-scans", "account 111122223333", "public website", "user/alice"] {
        assert!(description.contains(part), "{description}");
    }
    assert_eq!(finding.generator_id(), Some("suture/s3-public-bucket"));
    assert_eq!(finding.first_observed_at(), Some("2026-01-15T10:45:23Z"));
    assert_eq!(finding.compliance().unwrap().related_requirements().len(), 2);
    assert_eq!(finding.product_fields().unwrap()["suture/record"], "8c9e1f6a-1ab0-4000-8000-000000000007-1");
    assert_eq!(finding.product_fields().unwrap()["suture/refused-by"], "public-website");
    let partly = told(&record(Outcome::PartlyFixed)).unwrap().into_asff();
    let next = partly.remediation().unwrap().recommendation().unwrap().text().unwrap().to_owned();
    assert!(next.contains("suture undo 8c9e1f6a"), "{next}");
}

#[test]
fn resources_as_security_hub_names_them() {
    for (kind, id, named, r#type) in [
        ("AWS::S3::Bucket", "clinic-scans", "arn:aws:s3:::clinic-scans", "AwsS3Bucket"),
        (
            "AWS::EC2::SecurityGroup",
            "sg-0123456789abcdef0",
            "arn:aws:ec2:us-east-1:111122223333:security-group/sg-0123456789abcdef0",
            "AwsEc2SecurityGroup",
        ),
        ("AWS::::Account", "111122223333", "AWS::::Account:111122223333", "AwsAccount"),
        ("AWS::IAM::User", "alice", "AWS::IAM::User:alice", "AwsIamUser"),
        ("AWS::Neptune::DBCluster", "db", "AWS::Neptune::DBCluster:db", "Other"),
    ] {
        let mut refused = record(Outcome::Refused);
        refused["resource"]["type"] = json!(kind);
        refused["resource"]["id"] = json!(id);
        let finding = told(&refused).unwrap().into_asff();
        let [resource] = finding.resources() else { panic!("one resource") };
        assert_eq!((resource.id(), resource.r#type()), (Some(named), Some(r#type)), "{kind}");
    }
}

#[test]
fn what_nobody_looked_at_is_open_and_not_failed() {
    for outcome in [Outcome::Refused, Outcome::Failed] {
        let mut unseen = record(outcome);
        set(&mut unseen, json!({"before": null, "changes": []}));
        let told = told(&unseen).unwrap();
        assert!(matches!(told, Finding::Open(_)), "{told:?}");
        assert_eq!(told.into_asff().compliance().unwrap().status(), Some(&ComplianceStatus::Warning));
    }
}

#[test]
fn what_says_nothing_about_drift_is_no_finding() {
    let mut undo = refused("moved-on", "the resource was changed since");
    set(&mut undo, json!({"undoes": "r-1"}));
    for record in [undo, json!({}), json!({"outcome": "refused"}), json!({"outcome": "refused", "began": "yesterday"})]
    {
        assert_eq!(told(&record), None, "{record}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_record_makes_a_finding_that_is_not_taken(
        outcome in proptest::sample::select(Outcome::ALL.to_vec()),
        texts in proptest::collection::vec(prop_oneof![
            any::<String>(), Just("x".repeat(3_000)), Just("\u{202e}".repeat(900)), Just("🩺".repeat(2_000)), Just(" ".to_owned())
        ], 8),
        took in prop_oneof![any::<i64>(), 0..60_000_i64],
        many in 0_usize..100,
    ) {
        let mut hostile = record(outcome);
        let t = |n: usize| json!(texts[n]);
        set(&mut hostile, json!({
            "id": t(0), "control": t(1), "why": t(2), "refused_by": t(3), "took_ms": took,
            "resource": {"type": t(4), "id": t(5), "account": t(6), "region": t(7)},
            "cause": {"actor": t(0), "at": t(1)}, "citations": vec![t(2); many],
        }));
        let says = !matches!(outcome, Outcome::Planned | Outcome::AwaitingApproval);
        prop_assert_eq!(told(&hostile).is_some(), says);
    }
}
