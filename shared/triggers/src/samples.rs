//! One event of each shape, for the tests of this crate.
#![expect(clippy::needless_pass_by_value, reason = "tests build JSON in the call")]

use crate::{Act, Notice, Reading};
use serde_json::{Value, json};

pub(crate) const OURS: &str = "111122223333";
pub(crate) const THEIRS: &str = "444455556666";

/// EventBridge's envelope around a detail.
pub(crate) fn bus(detail_type: &str, source: &str, detail: Value) -> Value {
    json!({
        "version": "0",
        "id": "6e3a8f52-0000-4b7e-8a11-000000000001",
        "detail-type": detail_type,
        "source": source,
        "account": OURS,
        "time": "2026-03-01T08:00:05Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": detail,
    })
}

/// A bare CloudTrail record.
pub(crate) fn record(source: &str, name: &str, parameters: Value, response: Value) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/platform/anna",
            "accountId": OURS,
            "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/platform", "userName": "platform"}},
        },
        "eventTime": "2026-03-01T08:00:00Z",
        "eventSource": format!("{source}.amazonaws.com"),
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.10",
        "requestParameters": parameters,
        "responseElements": response,
        "eventID": "0b6f0c1e-0000-4c55-9a60-000000000001",
        "readOnly": false,
        "recipientAccountId": OURS,
    })
}

/// An API call by EventBridge.
pub(crate) fn call(source: &str, name: &str, parameters: Value, response: Value) -> Value {
    bus("AWS API Call via CloudTrail", &format!("aws.{source}"), record(source, name, parameters, response))
}

pub(crate) fn opened() -> Value {
    call(
        "s3",
        "DeleteBucketPublicAccessBlock",
        json!({"bucketName": "clinic-scans", "publicAccessBlock": ""}),
        json!(null),
    )
}

pub(crate) fn compliance() -> Value {
    bus(
        "Config Rules Compliance Change",
        "aws.config",
        json!({
            "resourceId": "clinic-scans",
            "resourceType": "AWS::S3::Bucket",
            "awsRegion": "eu-central-1",
            "awsAccountId": OURS,
            "configRuleName": "s3-bucket-public-read-prohibited-conformance-pack-abc",
            "messageType": "ComplianceChangeNotification",
            "newEvaluationResult": {
                "evaluationResultIdentifier": {"evaluationResultQualifier": {
                    "configRuleName": "s3-bucket-public-read-prohibited-conformance-pack-abc",
                    "resourceType": "AWS::S3::Bucket",
                    "resourceId": "clinic-scans",
                }},
                "complianceType": "NON_COMPLIANT",
                "resultRecordedTime": "2026-03-01T08:00:00.123Z",
            },
            "notificationCreationTime": "2026-03-01T08:00:01Z",
        }),
    )
}

/// A configuration item's notification, decoded.
pub(crate) fn item() -> Value {
    json!({
        "messageType": "ConfigurationItemChangeNotification",
        "notificationCreationTime": "2026-03-01T08:00:02Z",
        "configurationItem": {
            "configurationItemStatus": "OK",
            "configurationItemCaptureTime": "2026-03-01T08:00:00Z",
            "awsAccountId": OURS,
            "awsRegion": "global",
            "resourceType": "AWS::IAM::User",
            "resourceId": "AIDAEXAMPLEEXAMPLE123",
            "resourceName": "anna",
            "ARN": "arn:aws:iam::111122223333:user/ward/anna",
            "configuration": {"userName": "anna"},
        },
    })
}

/// A custom rule's invocation with a message.
pub(crate) fn invocation(message: &Value) -> Value {
    json!({
        "version": "1.0",
        "invokingEvent": message.to_string(),
        "ruleParameters": "{\"maxAccessKeyAge\": \"90\"}",
        "resultToken": "token",
        "eventLeftScope": false,
        "configRuleName": "access-keys-rotated",
        "accountId": OURS,
    })
}

pub(crate) fn scheduled_rule() -> Value {
    invocation(&json!({
        "messageType": "ScheduledNotification",
        "awsAccountId": OURS,
        "notificationCreationTime": "2026-03-01T08:00:02Z",
    }))
}

pub(crate) fn asff() -> Value {
    json!({
        "SchemaVersion": "2018-10-08",
        "Id": "arn:aws:securityhub:eu-central-1:111122223333:security-control/S3.2/finding/1",
        "ProductArn": "arn:aws:securityhub:eu-central-1::product/aws/securityhub",
        "GeneratorId": "security-control/S3.2",
        "AwsAccountId": OURS,
        "Region": "eu-central-1",
        "UpdatedAt": "2026-03-01T08:00:00Z",
        "Compliance": {"Status": "FAILED", "SecurityControlId": "S3.2"},
        "Workflow": {"Status": "NEW"},
        "RecordState": "ACTIVE",
        "Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::clinic-scans", "Region": "eu-central-1"}],
    })
}

pub(crate) fn hub(detail_type: &str, findings: &[Value]) -> Value {
    bus(detail_type, "aws.securityhub", json!({"actionName": "fix", "findings": findings}))
}

pub(crate) const IMPORTED: &str = "Security Hub Findings - Imported";
pub(crate) const ACTION: &str = "Security Hub Findings - Custom Action";

pub(crate) fn ocsf() -> Value {
    bus(
        "Findings Imported V2",
        "aws.securityhub",
        json!({"findings": [{
            "class_uid": 2003,
            "class_name": "Compliance Finding",
            "activity_id": 2,
            "status_id": 1,
            "cloud": {"account": {"uid": OURS}, "region": "eu-central-1"},
            "finding_info": {"uid": "f-1", "title": "public bucket", "modified_time_dt": "2026-03-01T08:00:00Z"},
            "metadata": {"uid": "m-1", "product": {"uid": "arn:aws:securityhub:eu-central-1::productv2/aws/securityhub"}},
            "compliance": {"control": "S3.2", "status": "Fail", "status_id": 3},
            "resources": [{
                "type": "AWS::S3::Bucket", "uid": "clinic-scans", "uid_alt": "arn:aws:s3:::clinic-scans",
                "region": "eu-central-1", "owner": {"account": {"uid": OURS}},
            }],
        }]}),
    )
}

pub(crate) fn guardduty(resource: Value) -> Value {
    bus(
        "GuardDuty Finding",
        "aws.guardduty",
        json!({
            "schemaVersion": "2.0",
            "accountId": OURS,
            "region": "eu-central-1",
            "id": "g-1",
            "type": "UnauthorizedAccess:IAMUser/TorIPCaller",
            "severity": 5,
            "resource": resource,
            "service": {"archived": false, "additionalInfo": {}, "eventLastSeen": "2026-03-01T08:00:00Z"},
        }),
    )
}

pub(crate) fn key() -> Value {
    json!({"resourceType": "AccessKey", "accessKeyDetails": {
        "accessKeyId": "AKIAEXAMPLEEXAMPLE00", "userName": "anna", "userType": "IAMUser",
    }})
}

pub(crate) fn instance() -> Value {
    json!({"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0123456789abcdef0"}})
}

pub(crate) fn analyzer() -> Value {
    bus(
        "Access Analyzer Finding",
        "aws.access-analyzer",
        json!({
            "id": "a-1", "status": "ACTIVE", "isPublic": true, "isDeleted": false, "accountId": OURS,
            "region": "eu-central-1", "resourceType": "AWS::S3::Bucket", "resource": "arn:aws:s3:::clinic-scans",
            "updatedAt": "2026-03-01T08:00:00Z",
        }),
    )
}

pub(crate) fn health() -> Value {
    bus(
        "AWS Health Event",
        "aws.health",
        json!({
            "eventArn": "arn:aws:health:us-east-1::event/RISK/AWS_RISK_CREDENTIALS_EXPOSED/x",
            "service": "RISK",
            "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED",
            "statusCode": "open",
            "affectedAccount": OURS,
            "eventMetadata": {"userName": "anna", "publicKey": "AKIAEXAMPLEEXAMPLE00"},
            "affectedEntities": [{"entityValue": "AKIAEXAMPLEEXAMPLE00"}],
        }),
    )
}

pub(crate) fn schedule() -> Value {
    bus("Scheduled Event", "aws.scheduler", json!("{}"))
}

pub(crate) fn sns(body: &str) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": notification(body)}]})
}

/// An SNS notification, as SQS delivers it in a body.
pub(crate) fn notification(body: &str) -> Value {
    json!({"Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:eu-central-1:111122223333:drift",
           "Message": body})
}

pub(crate) fn sqs(bodies: &[&str]) -> Value {
    let message =
        |(n, body): (usize, &&str)| json!({"messageId": format!("m-{n}"), "eventSource": "aws:sqs", "body": body});
    json!({"Records": bodies.iter().enumerate().map(message).collect::<Vec<_>>()})
}

/// One event of every shape, and a name for it.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let opened_text = opened().to_string();
    let nested = notification(&opened_text).to_string();
    let groups = json!({"ModifySecurityGroupRulesRequest": {"GroupId": "sg-0123456789abcdef0"}});
    let run = json!({"instancesSet": {"items": [{"instanceId": "i-0123456789abcdef0",
        "groupSet": {"items": [{"groupId": "sg-0123456789abcdef0"}]}}]}});
    let oversized = json!({
        "messageType": "OversizedConfigurationItemChangeNotification",
        "configurationItemSummary": {
            "changeType": "UPDATE", "configurationItemCaptureTime": "2026-03-01T08:00:00Z", "awsAccountId": OURS,
            "awsRegion": "eu-central-1", "configurationItemStatus": "OK", "resourceType": "AWS::EC2::SecurityGroup",
            "resourceId": "sg-0123456789abcdef0",
        },
    });
    vec![
        ("call", opened()),
        ("call of EC2", call("ec2", "ModifySecurityGroupRules", groups, json!(null))),
        ("instances", call("ec2", "RunInstances", json!({}), run)),
        ("account call", call("ec2", "DisableEbsEncryptionByDefault", json!(null), json!(null))),
        ("bare record", record("kms", "DisableKey", json!({"keyId": "1234abcd"}), json!(null))),
        (
            "trail file",
            json!({"Records": [record("iam", "CreateAccessKey", json!({"userName": "anna"}), json!(null))]}),
        ),
        ("compliance", compliance()),
        ("item", bus("Config Configuration Item Change", "aws.config", item())),
        ("delivery channel", compliance()["detail"].clone()),
        ("rule", invocation(&item())),
        ("oversized", invocation(&oversized)),
        ("scheduled rule", scheduled_rule()),
        ("imported", hub(IMPORTED, &[asff()])),
        ("action", hub(ACTION, &[asff(), asff()])),
        ("insight", bus("Security Hub Insight Results", "aws.securityhub", json!({"insightResults": [{"a": 1}]}))),
        ("ocsf", ocsf()),
        ("guardduty key", guardduty(key())),
        ("guardduty instance", guardduty(instance())),
        ("analyzer", analyzer()),
        ("health", health()),
        ("schedule", schedule()),
        ("sns", sns(&opened_text)),
        ("sqs", sqs(&[&opened_text, "not ours"])),
        ("sns in sqs", sqs(&[&nested])),
        ("manual", json!({"control": "s3-public-bucket", "resource": "clinic-scans", "mode": "plan"})),
        ("pasted", json!({"control": "s3-public-bucket", "finding": asff()})),
        ("empty", json!({})),
    ]
}

/// The event with the value at a JSON pointer replaced, or taken out.
pub(crate) fn with(mut event: Value, path: &str, value: impl Into<Option<Value>>) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap_or_default();
    if let Some(parent) = event.pointer_mut(parent) {
        match (parent, value.into()) {
            (Value::Object(fields), Some(value)) => drop(fields.insert(name.to_owned(), value)),
            (Value::Object(fields), None) => drop(fields.remove(name)),
            (Value::Array(list), Some(value)) => list[name.parse::<usize>().unwrap()] = value,
            (other, _) => panic!("{path} is in {other}"),
        }
    }
    event
}

/// The only notice of a reading without rejections.
pub(crate) fn only(reading: Reading) -> Notice {
    assert!(reading.rejected.is_empty(), "{:?}", reading.rejected);
    assert_eq!(reading.notices.len(), 1, "{:?}", reading.notices);
    reading.notices.into_iter().next().unwrap()
}

/// The only rejection of a reading without notices.
pub(crate) fn refused(reading: Reading) -> String {
    assert!(reading.notices.is_empty(), "{:?}", reading.notices);
    assert_eq!(reading.rejected.len(), 1, "{:?}", reading.rejected);
    reading.rejected.into_iter().next().unwrap().why
}

/// Why an event is ignored.
pub(crate) fn ignored(reading: Reading) -> String {
    let notice = only(reading);
    assert_eq!(notice.act, Act::Ignore, "{notice:?}");
    notice.why
}

/// The resources of a notice: types and ids, one after another.
pub(crate) fn named(notice: &Notice) -> Vec<(&str, &str)> {
    notice.resources.iter().map(|resource| (resource.r#type.as_str(), resource.id.as_str())).collect()
}
