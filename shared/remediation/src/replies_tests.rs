//! What AWS Config and Security Hub are sent, and what their answers mean.

use super::*;
use crate::testing::{Fake, SECRET, Sent, answer, ok};
use serde_json::json;

fn verdicts(number: usize) -> Vec<Verdict> {
    let verdict = |n: usize| Verdict {
        resource_type: "AWS::S3::Bucket".to_owned(),
        resource: format!("bucket-{n}"),
        compliant: Some(true),
        says: "é".repeat(300),
    };
    (0..number).map(verdict).collect()
}

fn bodies(fake: &Fake) -> Vec<Value> {
    fake.sent().iter().map(|sent: &Sent| serde_json::from_str(&sent.body).unwrap()).collect()
}

#[tokio::test]
async fn evaluations_go_a_hundred_at_a_time_with_short_annotations() {
    let fake = Fake::new(|_| ok("{}"));
    let at = OffsetDateTime::from_unix_timestamp(1_768_473_920).unwrap();
    Replies::new(&fake.sdk()).evaluations("token", at, &verdicts(201)).await.unwrap();
    let sizes: Vec<_> = bodies(&fake).iter().map(|body| body["Evaluations"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [100, 100, 1]);
    let annotation = bodies(&fake)[0]["Evaluations"][0]["Annotation"].as_str().unwrap().to_owned();
    assert_eq!((annotation.chars().count(), annotation.ends_with('…')), (256, true));
    // Nothing to say is not said.
    let fake = Fake::new(|_| ok("{}"));
    Replies::new(&fake.sdk()).evaluations("token", at, &[]).await.unwrap();
    assert!(fake.sent().is_empty());
}

#[tokio::test]
async fn evaluations_that_were_not_taken_are_worth_another_try() {
    let fake = Fake::new(|_| {
        ok(
            r#"{"FailedEvaluations": [{"ComplianceResourceType": "AWS::S3::Bucket", "ComplianceResourceId": "b", "ComplianceType": "COMPLIANT", "OrderingTimestamp": 1}]}"#,
        )
    });
    let fault = Replies::new(&fake.sdk()).evaluations("t", OffsetDateTime::UNIX_EPOCH, &verdicts(2)).await.unwrap_err();
    assert_eq!(fault, Fault::Retry("AWS Config did not take 1 of 2 evaluations".to_owned()));
}

#[tokio::test]
async fn a_rules_parameters() {
    let read = async |status, body: &str| {
        let body = body.to_owned();
        let fake = Fake::new(move |_| answer(status, body.clone()));
        let read = Replies::new(&fake.sdk()).rule_parameters("restricted-ports-x1").await;
        assert_eq!(bodies(&fake)[0], json!({"ConfigRuleNames": ["restricted-ports-x1"]}));
        read
    };
    let rule = |parameters: &str| {
        let source = json!({"Owner": "AWS", "SourceIdentifier": "X"});
        json!({"ConfigRules": [{"ConfigRuleName": "r", "Source": source, "InputParameters": parameters}]}).to_string()
    };
    let parameters = read(200, &rule(r#"{"blockedPort1":"20"}"#)).await.unwrap().unwrap();
    assert_eq!(Value::Object(parameters), json!({"blockedPort1": "20"}));
    assert_eq!(read(200, &rule("no json")).await, Ok(None));
    assert_eq!(read(200, r#"{"ConfigRules": []}"#).await, Ok(None));
    assert_eq!(read(400, r#"{"__type": "NoSuchConfigRuleException"}"#).await, Ok(None));
    let denied =
        read(400, &format!(r#"{{"__type": "AccessDeniedException", "message": "{SECRET}"}}"#)).await.unwrap_err();
    assert!(
        matches!(denied, Fault::Denied { action: "config:DescribeConfigRules", .. })
            && !denied.to_string().contains(SECRET)
    );
}

#[tokio::test]
async fn a_finding_of_the_second_version_is_resolved_by_whichever_id_it_has() {
    let of = |metadata_uid: Option<&str>| Reply::FindingV2 {
        metadata_uid: metadata_uid.map(str::to_owned),
        account: "111122223333".to_owned(),
        finding: "f-1".to_owned(),
        product: "arn:aws:securityhub:us-east-1::productv2/aws/securityhub".to_owned(),
    };
    for (reply, field) in [(of(Some("m-1")), "MetadataUids"), (of(None), "FindingIdentifiers")] {
        let fake = Fake::new(|_| ok(r#"{"ProcessedFindings": [], "UnprocessedFindings": []}"#));
        Replies::new(&fake.sdk()).resolve(&reply, "fixed").await.unwrap();
        let body = &bodies(&fake)[0];
        assert_eq!((&body["StatusId"], &body["Comment"]), (&json!(4), &json!("fixed")));
        assert_eq!(body[field].as_array().unwrap().len(), 1, "{body}");
        assert_eq!(body.as_object().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_note_that_was_not_taken_is_said() {
    let finding = Reply::Finding { id: "f-1".to_owned(), product_arn: "p-1".to_owned() };
    let body = json!({"ProcessedFindings": [], "UnprocessedFindings": [{
        "FindingIdentifier": {"Id": "f-1", "ProductArn": "p-1"}, "ErrorCode": "X", "ErrorMessage": SECRET,
    }]});
    let fake = Fake::new(move |_| ok(body.to_string()));
    let fault = Replies::new(&fake.sdk()).resolve(&finding, &"x".repeat(1000)).await.unwrap_err();
    assert_eq!(fault, Fault::GiveUp("Security Hub did not take the note".to_owned()));
    assert_eq!(bodies(&fake)[0]["Note"]["Text"].as_str().unwrap().chars().count(), 512);
}
