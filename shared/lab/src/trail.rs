//! Writes the record that CloudTrail makes of a call, as EventBridge delivers it.
//!
//! Only what EventBridge sees by default: management calls that succeeded and changed something.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>

mod elements;
mod parameters;
mod query;

use crate::call::{Call, Caller};
use crate::http::ApiResponse;
use crate::understand::s3;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use serde_json::{Value, json};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The event that a call leaves behind, as `AWS API Call via CloudTrail`; none if it changed nothing, failed, or is a data
/// event. Takes the call, AWS's answer to it and the moment of the call.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
pub fn record(call: &Call, answer: &ApiResponse, at: OffsetDateTime) -> Option<EventBridgeEvent<Value>> {
    let event = event_name(call).filter(|_| call.writes && answer.status.is_success())?;
    // S3 Control's calls are S3's to CloudTrail.
    let service = if call.service == "s3control" { "s3" } else { call.service.as_str() };
    let at = at.replace_nanosecond(0).unwrap_or(at).to_offset(time::UtcOffset::UTC).format(&Rfc3339).ok()?;
    let account = call.account.as_str();
    // IAM is in one place, wherever one calls it from.
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
    let region = if call.service == "iam" { "us-east-1" } else { call.region.as_str() };
    let id = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let agent = call.request.text("user-agent").unwrap_or("-");
    let from = call.request.text("x-forwarded-for").and_then(|from| from.split(',').next()).unwrap_or("127.0.0.1");
    let mut detail = json!({
        "eventVersion": "1.11",
        "userIdentity": identity(&call.caller, &at),
        "eventTime": at,
        "eventSource": format!("{service}.amazonaws.com"),
        "eventName": event,
        "awsRegion": region,
        "sourceIPAddress": from,
        // S3 writes the agent in brackets, the other services do not.
        "userAgent": if service == "s3" { format!("[{agent}]") } else { agent.to_owned() },
        "requestParameters": parameters::of(call),
        "responseElements": elements::of(call, answer),
        "requestID": id("x-amz-request-id").or_else(|| id("x-amzn-requestid")).unwrap_or_default(),
        "eventID": uuid(),
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
    });
    let bucket = call.resource.as_ref().filter(|_| call.service == "s3");
    if let (Some(bucket), Some(detail)) = (bucket, detail.as_object_mut()) {
        let arn = format!("arn:aws:s3:::{bucket}");
        detail.insert("resources".to_owned(), json!([{ "accountId": account, "type": "AWS::S3::Bucket", "ARN": arn }]));
        detail.insert(
            "additionalEventData".to_owned(),
            json!({ "SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader" }),
        );
    }
    // The type cannot be written out outside of its crate; its own deserializer also reads the time.
    serde_json::from_value(json!({
        "version": "0",
        "id": uuid(),
        "detail-type": "AWS API Call via CloudTrail",
        "source": format!("aws.{service}"),
        "account": account,
        "time": at,
        "region": region,
        "resources": [],
        "detail": detail,
    }))
    .ok()
}

/// What CloudTrail calls the operation; none for a data event, or if we do not know the operation.
fn event_name(call: &Call) -> Option<String> {
    let name = match call.service.as_str() {
        "s3" => s3::named(&call.operation).filter(|row| row.management())?.event,
        "s3control" => s3::ACCOUNT_BLOCK.iter().find(|(_, name, _)| *name == call.operation)?.2,
        _ if call.operation == "Unknown" => return None,
        // Data events.
        "lambda" if call.operation == "Invoke" => return None,
        "events" if call.operation == "PutEvents" => return None,
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/logging-using-cloudtrail.html
        "dynamodb" if call.operation.ends_with("Item") || call.operation.ends_with("Items") => return None,
        // https://docs.aws.amazon.com/sns/latest/dg/logging-using-cloudtrail.html
        "sns" if call.operation.starts_with("Publish") => return None,
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-logging-using-cloudtrail.html
        "sqs" if call.operation.contains("Message") => return None,
        _ => &call.operation,
    };
    Some(name.to_owned())
}

/// Who called, as CloudTrail writes it.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>
fn identity(caller: &Caller, at: &str) -> Value {
    let (arn, id) = (caller.arn(), caller.user_id());
    match caller {
        Caller::User { account, name, access_key } => json!({
            "type": "IAMUser",
            "principalId": id,
            "arn": arn,
            "accountId": account,
            "accessKeyId": access_key,
            "userName": name,
        }),
        Caller::Role { account, role, access_key, .. } => json!({
            "type": "AssumedRole",
            "principalId": id,
            "arn": arn,
            "accountId": account,
            "accessKeyId": access_key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": id.split(':').next(),
                    "arn": format!("arn:aws:iam::{account}:role/{role}"),
                    "accountId": account,
                    "userName": role,
                },
                "attributes": { "creationDate": at, "mfaAuthenticated": "false" },
            },
        }),
        Caller::Anonymous => json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" }),
    }
}

/// A random id in the form of a version 4 UUID. Random enough for events that live as long as the lab.
pub(crate) fn uuid() -> String {
    let bits = || RandomState::new().build_hasher().finish();
    let (high, low) = (bits(), bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0x0fff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ApiRequest;
    use crate::understand::understand;
    use http::{Method, StatusCode};

    fn user(_: &str) -> Caller {
        Caller::User {
            account: "111122223333".to_owned(),
            name: "alice".to_owned(),
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        }
    }

    fn role(_: &str) -> Caller {
        Caller::Role {
            account: "111122223333".to_owned(),
            role: "deploy".to_owned(),
            session: "ci".to_owned(),
            access_key: "ASIAIOSFODNN7EXAMPLE".to_owned(),
        }
    }

    fn call(method: Method, target: &str, body: &str) -> Call {
        let scope = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-west-2/s3/aws4_request, Signature=0";
        let request = ApiRequest::new(method, target)
            .header("authorization", scope)
            .header("user-agent", "aws-cli/2")
            .body(body.to_owned());
        understand(request, &user)
    }

    fn ok() -> ApiResponse {
        ApiResponse::new(StatusCode::OK, "").header("x-amz-request-id", "HAKZ6Z7PDPHET3TQ")
    }

    #[test]
    fn a_deleted_block_is_recorded_as_cloudtrail_writes_it() {
        let call = call(Method::DELETE, "/clinic-scans?publicAccessBlock", "");
        let event = record(&call, &ok(), OffsetDateTime::UNIX_EPOCH).unwrap();
        let event = serde_json::to_value(event).unwrap();
        assert_eq!(event["detail-type"], "AWS API Call via CloudTrail");
        assert_eq!((&event["source"], &event["account"]), (&json!("aws.s3"), &json!("111122223333")));
        assert_eq!((&event["time"], &event["region"]), (&json!("1970-01-01T00:00:00Z"), &json!("us-west-2")));
        let detail = &event["detail"];
        assert_eq!(detail["eventName"], "DeleteBucketPublicAccessBlock");
        assert_eq!((&detail["eventTime"], &detail["awsRegion"]), (&event["time"], &event["region"]));
        assert_eq!(detail["userIdentity"]["userName"], "alice");
        assert_eq!(detail["userIdentity"]["arn"], "arn:aws:iam::111122223333:user/alice");
        assert_eq!(detail["requestID"], "HAKZ6Z7PDPHET3TQ");
        assert_eq!(detail["userAgent"], "[aws-cli/2]");
        assert_eq!(detail["responseElements"], Value::Null);
        assert_eq!(
            detail["requestParameters"],
            json!({
                "bucketName": "clinic-scans",
                "Host": "clinic-scans.s3.us-west-2.amazonaws.com",
                "publicAccessBlock": "",
            })
        );
        assert_eq!(
            detail["resources"],
            json!([{ "accountId": "111122223333", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::clinic-scans" }])
        );
    }

    #[test]
    fn a_roles_session_names_its_issuer() {
        let mut call = call(Method::DELETE, "/clinic-scans?policy", "");
        call.caller = role("");
        let event = record(&call, &ok(), OffsetDateTime::UNIX_EPOCH).unwrap();
        let identity = &event.detail["userIdentity"];
        assert_eq!(identity["arn"], "arn:aws:sts::111122223333:assumed-role/deploy/ci");
        let issuer = &identity["sessionContext"]["sessionIssuer"];
        assert_eq!(issuer["arn"], "arn:aws:iam::111122223333:role/deploy");
        assert!(identity["principalId"].as_str().unwrap().starts_with(issuer["principalId"].as_str().unwrap()));
    }

    #[test]
    fn reads_failures_and_data_events_leave_nothing() {
        let denied = ApiResponse::new(StatusCode::FORBIDDEN, "");
        for (call, answer) in [
            (call(Method::GET, "/clinic-scans?acl", ""), ok()),
            (call(Method::PUT, "/clinic-scans/a", "x"), ok()),
            (call(Method::PUT, "/clinic-scans?metadataTable", "x"), ok()),
            (call(Method::DELETE, "/clinic-scans?policy", ""), denied),
        ] {
            assert!(record(&call, &answer, OffsetDateTime::UNIX_EPOCH).is_none(), "{}", call.request.target);
        }
    }

    #[test]
    fn account_settings_and_other_services_are_named_too() {
        let mut control = call(Method::DELETE, "/v20180820/configuration/publicAccessBlock", "");
        control.request = control.request.header("x-amz-account-id", "111122223333");
        let event = record(&control, &ok(), OffsetDateTime::UNIX_EPOCH).unwrap();
        assert_eq!(
            (event.source.as_str(), &event.detail["eventName"]),
            ("aws.s3", &json!("DeleteAccountPublicAccessBlock"))
        );
        let request = ApiRequest::new(Method::POST, "/")
            .header("authorization", "x Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/iam/aws4_request")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("Action=CreateAccessKey&UserName=bob&Version=2010-05-08");
        let event = record(&understand(request, &user), &ok(), OffsetDateTime::UNIX_EPOCH).unwrap();
        assert_eq!(event.detail["eventSource"], "iam.amazonaws.com");
        assert_eq!(event.detail["requestParameters"], json!({ "userName": "bob" }));
    }

    #[test]
    fn a_security_groups_rule_is_recorded_with_its_id() {
        let request = ApiRequest::new(Method::POST, "/")
            .header("authorization", "x Credential=AKIAIOSFODNN7EXAMPLE/20260101/eu-west-1/ec2/aws4_request")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("Action=AuthorizeSecurityGroupIngress&GroupId=sg-1&IpPermissions.1.IpProtocol=tcp");
        let answer = ApiResponse::new(
            StatusCode::OK,
            "<R><return>true</return><securityGroupRuleSet><item><securityGroupRuleId>sgr-1</securityGroupRuleId></item>\
             </securityGroupRuleSet></R>",
        );
        let event = record(&understand(request, &user), &answer, OffsetDateTime::UNIX_EPOCH).unwrap();
        assert_eq!((event.source.as_str(), event.detail["awsRegion"].as_str()), ("aws.ec2", Some("eu-west-1")));
        assert_eq!(event.detail["requestParameters"]["ipPermissions"]["items"][0]["ipProtocol"], "tcp");
        let rule = "/responseElements/securityGroupRuleSet/items/0/securityGroupRuleId";
        assert_eq!(event.detail.pointer(rule), Some(&json!("sgr-1")));
    }

    #[test]
    fn ids_are_uuids() {
        let id = uuid();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(id, uuid());
    }
}
