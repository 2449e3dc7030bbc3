//! What is told to AWS Config and Security Hub.

use crate::{assert_error, of, parsed, shared};
use http::Method;
use lab::call::ACCOUNT;
use lab::http::ApiRequest;
use serde_json::json;

#[test]
fn evaluations_are_taken_and_remembered() {
    shared(async |lab| {
        let client = of(lab, ACCOUNT);
        let one = json!({ "ComplianceResourceType": "AWS::S3::Bucket", "ComplianceResourceId": "clinic-scans",
            "ComplianceType": "COMPLIANT", "OrderingTimestamp": 1_767_225_600 });
        for (test_mode, token) in [(false, "token-1"), (true, "TESTMODE")] {
            let body = json!({ "Evaluations": [one], "ResultToken": token, "TestMode": test_mode });
            let answer = client.must_json("config", "PutEvaluations", &body).await.unwrap();
            assert_eq!(answer["FailedEvaluations"], json!([]));
        }
        let told = lab.evaluations("us-east-1").await.unwrap();
        assert_eq!(told.len(), 2);
        assert_eq!((&told[0]["resultToken"], &told[0]["testMode"]), (&json!("token-1"), &json!(false)));
        assert_eq!(told[1]["evaluations"][0]["ComplianceResourceId"], "clinic-scans");
        assert!(lab.evaluations("eu-west-1").await.unwrap().is_empty());

        let mut wrong = one.clone();
        wrong["ComplianceType"] = json!("INSUFFICIENT_DATA");
        let body = json!({ "Evaluations": [wrong], "ResultToken": "t" });
        let refused = client.json("config", "PutEvaluations", &body).await.unwrap();
        assert_error(&refused, 400, "InvalidParameterValueException");
        let many: Vec<_> = (0..101).map(|_| one.clone()).collect();
        let body = json!({ "Evaluations": many, "ResultToken": "t" });
        assert_error(&client.json("config", "PutEvaluations", &body).await.unwrap(), 400, "ValidationException");
    });
}

#[test]
fn rules_that_were_put_are_described() {
    shared(async |lab| {
        let client = of(lab, "100000000050");
        let recorder = json!({ "ConfigurationRecorder": { "name": "default",
            "roleARN": "arn:aws:iam::100000000050:role/config" } });
        client.must_json("config", "PutConfigurationRecorder", &recorder).await.unwrap();
        let rule = json!({ "ConfigRule": { "ConfigRuleName": "closed-buckets", "Source": { "Owner": "AWS",
            "SourceIdentifier": "S3_BUCKET_PUBLIC_READ_PROHIBITED" } } });
        client.must_json("config", "PutConfigRule", &rule).await.unwrap();
        let rules = client.must_json("config", "DescribeConfigRules", &json!({})).await.unwrap();
        assert_eq!(rules["ConfigRules"][0]["ConfigRuleName"], "closed-buckets");
    });
}

#[test]
fn findings_are_updated_and_remembered() {
    shared(async |lab| {
        let client = of(lab, ACCOUNT);
        let patch = async |path: &str, body: serde_json::Value| {
            let request = ApiRequest::new(Method::PATCH, path).header("content-type", "application/json");
            client.send("securityhub", request.body(body.to_string())).await.unwrap()
        };
        let product = "arn:aws:securityhub:us-east-1::product/aws/securityhub";
        let body = json!({
            "FindingIdentifiers": [{ "Id": "finding-1", "ProductArn": product }, { "Id": "finding-2", "ProductArn": "x" }],
            "Workflow": { "Status": "RESOLVED" }, "Note": { "Text": "closed", "UpdatedBy": "suture" },
        });
        let answer = patch("/findings/batchupdate", body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(parsed(&answer)["ProcessedFindings"][0]["Id"], "finding-1");
        assert_eq!(parsed(&answer)["UnprocessedFindings"][0]["FindingIdentifier"]["Id"], "finding-2");
        let body = json!({ "MetadataUids": ["uid-1"], "StatusId": 4, "Comment": "closed" });
        let answer = patch("/findingsv2/batchupdatev2", body).await;
        assert_eq!(parsed(&answer)["ProcessedFindings"][0]["MetadataUid"], "uid-1");
        let told = lab.findings("us-east-1").await.unwrap();
        let names: Vec<_> = told.iter().map(|call| call["operation"].as_str().unwrap()).collect();
        assert_eq!(names, ["BatchUpdateFindings", "BatchUpdateFindingsV2"]);
        assert_eq!(told[0]["processed"][0]["Id"], "finding-1");
        let wrong = json!({ "FindingIdentifiers": [{ "Id": "f", "ProductArn": product }],
            "Workflow": { "Status": "DONE" } });
        assert_error(&patch("/findings/batchupdate", wrong).await, 400, "InvalidInputException");
    });
}
