//! What AWS says on a bad day, in each service's own words.

use super::Broken;
use crate::call::Call;
use crate::faults::Kind;
use crate::http::ApiResponse;
use crate::quirks::error::respond;
use http::StatusCode;
use serde_json::{Value, json};

/// How one service refuses: status and code when it is asked too often, when it fails, when the caller may not, and when
/// somebody else is writing.
struct Words {
    throttled: (u16, &'static str),
    failed: (u16, &'static str),
    denied: (u16, &'static str),
    busy: (u16, &'static str),
}

/// S3: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. EC2:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>. IAM and STS:
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>. KMS:
/// <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>; AWS Config and the other JSON services say the
/// same with fewer words of their own. SNS: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors>.
/// Security Hub, a REST service, uses HTTP's statuses:
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html>.
fn words(service: &str) -> Words {
    let words = |throttled, failed, denied, busy| Words { throttled, failed, denied, busy };
    match service {
        "s3" | "s3control" => {
            words((503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied"), (409, "OperationAborted"))
        }
        "ec2" => words(
            (503, "RequestLimitExceeded"),
            (500, "InternalError"),
            (403, "UnauthorizedOperation"),
            (400, "IncorrectState"),
        ),
        "iam" | "sts" => {
            words((400, "Throttling"), (500, "ServiceFailure"), (403, "AccessDenied"), (409, "ConcurrentModification"))
        }
        "sns" => {
            words((429, "Throttled"), (500, "InternalError"), (403, "AuthorizationError"), (409, "ConcurrentAccess"))
        }
        "securityhub" => words(
            (429, "TooManyRequestsException"),
            (500, "InternalException"),
            (403, "AccessDeniedException"),
            (409, "ResourceConflictException"),
        ),
        "kms" => words(
            (400, "ThrottlingException"),
            (500, "KMSInternalException"),
            (400, "AccessDeniedException"),
            (409, "KMSInvalidStateException"),
        ),
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
        "dynamodb" => words(
            (400, "ThrottlingException"),
            (500, "InternalServerError"),
            (400, "AccessDeniedException"),
            (400, "TransactionConflictException"),
        ),
        _ => words(
            (400, "ThrottlingException"),
            (500, "InternalFailure"),
            (400, "AccessDeniedException"),
            (409, "ConflictException"),
        ),
    }
}

/// How a service refuses credentials: its status and code, and what it says. Pages as above; DynamoDB:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>, Lambda:
/// <https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html>.
fn unsigned(service: &str, kind: &Kind) -> ((u16, &'static str), &'static str) {
    let status = if matches!(service, "dynamodb" | "kms" | "config" | "events" | "sqs") { 400 } else { 403 };
    let (expired, unknown) = (
        "The security token included in the request is expired",
        "The security token included in the request is invalid.",
    );
    let late = "Signature expired: 20260115T101500Z is now earlier than 20260115T103000Z";
    match (kind, service) {
        (Kind::Expired, "s3" | "s3control") => ((400, "ExpiredToken"), "The provided token has expired."),
        (Kind::Expired | Kind::Skewed, "ec2") => ((400, "RequestExpired"), "Request has expired."),
        (Kind::Expired, "iam" | "sts" | "sns") => ((403, "ExpiredToken"), expired),
        (Kind::Expired, _) => ((status, "ExpiredTokenException"), expired),
        (Kind::Skewed, "s3" | "s3control") => (
            (403, "RequestTimeTooSkewed"),
            "The difference between the request time and the current time is too large.",
        ),
        (Kind::Skewed, "iam" | "sts" | "sns") => ((403, "SignatureDoesNotMatch"), late),
        (Kind::Skewed, _) => ((status, "InvalidSignatureException"), late),
        (_, "s3" | "s3control") => {
            ((403, "InvalidAccessKeyId"), "The AWS Access Key Id you provided does not exist in our records.")
        }
        (_, "ec2") => ((401, "AuthFailure"), "AWS was not able to validate the provided access credentials"),
        (_, "iam" | "sts" | "sns") => ((403, "InvalidClientTokenId"), unknown),
        _ => ((status, "UnrecognizedClientException"), unknown),
    }
}

/// The status and the code with which a service says that its caller may not.
pub(crate) fn denied(service: &str) -> (StatusCode, &'static str) {
    let (status, code) = words(service).denied;
    (StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), code)
}

/// The answer, or its absence, that a fault makes in AWS's stead; none if the call is carried out all the same.
pub(super) fn faulty(call: &Call, kind: &Kind) -> Option<Result<ApiResponse, Broken>> {
    let words = words(&call.service);
    let prefix = if call.service == "ec2" { "You are not authorized to perform this operation. " } else { "" };
    let service = if call.service == "s3control" { "s3" } else { call.service.as_str() };
    let denied = |why: &str| {
        format!("{prefix}User: {} is not authorized to perform: {service}:{} {why}", call.caller.arn(), call.operation)
    };
    let ((status, code), message) = match kind {
        Kind::Throttle if service == "s3" => (words.throttled, "Please reduce your request rate.".to_owned()),
        Kind::Throttle if service == "ec2" => (words.throttled, "Request limit exceeded.".to_owned()),
        Kind::Throttle => (words.throttled, "Rate exceeded".to_owned()),
        Kind::Error => (words.failed, "We encountered an internal error. Please try again.".to_owned()),
        Kind::Conflict => {
            let message = "A conflicting conditional operation is currently in progress against this resource. Please try \
                           again.";
            (words.busy, message.to_owned())
        }
        Kind::Denied => (words.denied, denied("because no identity-based policy allows it")),
        Kind::DeniedByOrganization => (words.denied, denied("with an explicit deny in a service control policy")),
        Kind::Expired | Kind::UnknownKey | Kind::Skewed => {
            let (said, message) = unsigned(&call.service, kind);
            (said, message.to_owned())
        }
        Kind::Drop => return Some(Err(Broken::Before)),
        Kind::DropAnswer | Kind::Latency(_) | Kind::Stale | Kind::Page(_) | Kind::Rate(_) => return None,
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if *kind == Kind::Conflict && call.operation == "TransactWriteItems" {
        return Some(Ok(cancelled(call, status)));
    }
    Some(Ok(respond(call, status, code, &message, &[])))
}

/// The answer to a transaction of which every item is in somebody else's at this moment.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#API_TransactWriteItems_Errors>
fn cancelled(call: &Call, status: StatusCode) -> ApiResponse {
    let code = "TransactionCanceledException";
    let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
    let writes = body.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len);
    let reason = json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
    let codes = vec!["TransactionConflict"; writes].join(", ");
    let message = format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]");
    let mut answer = respond(call, status, code, &message, &[]);
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let body = json!({ "__type": kind, "Message": message, "CancellationReasons": vec![reason; writes] });
    answer.body = body.to_string().into();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Caller;
    use crate::http::ApiRequest;
    use crate::understand::understand;
    use http::Method;

    fn said(service: &str, header: (&'static str, &str), body: &str, kind: &Kind) -> (u16, String) {
        let scope = format!("x Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/{service}/aws4_request");
        let request = ApiRequest::new(Method::POST, "/").header("authorization", &scope).header(header.0, header.1);
        let call = understand(request.body(body.to_owned()), &|_| Caller::Anonymous);
        let Some(Ok(answer)) = faulty(&call, kind) else { panic!("no answer") };
        (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
    }

    #[test]
    fn each_service_refuses_in_its_own_words() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let json = |target| ("x-amz-target", target);
        for (service, header, body, kind, status, expected) in [
            ("ec2", form, "Action=DescribeVpcs", Kind::Throttle, 503, "<Code>RequestLimitExceeded</Code>"),
            (
                "ec2",
                form,
                "Action=DescribeVpcs",
                Kind::Denied,
                403,
                "<Response><Errors><Error><Code>UnauthorizedOperation",
            ),
            ("iam", form, "Action=ListUsers", Kind::Throttle, 400, "<Code>Throttling</Code>"),
            ("iam", form, "Action=ListUsers", Kind::Error, 500, "<Code>ServiceFailure</Code>"),
            ("kms", json("TrentService.DescribeKey"), "{}", Kind::Throttle, 400, r#""__type":"ThrottlingException""#),
            ("kms", json("TrentService.DescribeKey"), "{}", Kind::Denied, 400, r#""__type":"AccessDeniedException""#),
            ("config", json("StarlingDoveService.PutEvaluations"), "{}", Kind::Error, 500, "InternalFailure"),
            ("securityhub", ("accept", "*/*"), "{}", Kind::Throttle, 429, "TooManyRequestsException"),
            (
                "dynamodb",
                json("DynamoDB_20120810.GetItem"),
                "{}",
                Kind::Throttle,
                400,
                r#""__type":"ThrottlingException""#,
            ),
            ("dynamodb", json("DynamoDB_20120810.GetItem"), "{}", Kind::Error, 500, "InternalServerError"),
            ("dynamodb", json("DynamoDB_20120810.GetItem"), "{}", Kind::Denied, 400, "AccessDeniedException"),
            (
                "dynamodb",
                json("DynamoDB_20120810.TransactWriteItems"),
                r#"{"TransactItems":[{},{}]}"#,
                Kind::Conflict,
                400,
                "[TransactionConflict, TransactionConflict]",
            ),
        ] {
            let (met, said) = said(service, header, body, &kind);
            assert!(met == status && said.contains(expected), "{service} {kind:?}: {met} {said}");
        }
        let organization = said("ec2", form, "Action=CreateTags", &Kind::DeniedByOrganization).1;
        assert!(organization.contains("ec2:CreateTags with an explicit deny in a service control policy"));
    }
}
