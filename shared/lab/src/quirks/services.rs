//! What is not S3's alone.

use super::error::{request_id, respond};
use super::{Act, Quirk};
use crate::call::Caller;
use crate::http::ApiResponse;
use http::{HeaderValue, StatusCode};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// For how long STS takes a request after the time in its signature: it does not look at X-Amz-Expires.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const SIGNED_FOR: Duration = Duration::minutes(15);

pub(super) const PRESIGNED: Quirk = Quirk {
    id: "presigned-identity",
    aws: "STS answers a presigned GetCallerIdentity for a quarter of an hour, and to no temporary key that it did not \
          issue.",
    moto: "Answers to any key at any time.",
    source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let query = scene.call.request.query();
            let text = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            let (true, Some(credential)) = (scene.call.service == "sts", text("X-Amz-Credential")) else {
                return Ok(None);
            };
            let refuse = |code: &str, why: &str| Ok(Some(respond(scene.call, StatusCode::FORBIDDEN, code, why, &[])));
            let temporary = credential.starts_with("ASIA");
            if text("X-Amz-Signature").is_none_or(str::is_empty) {
                return refuse(
                    "IncompleteSignature",
                    "The request must contain a signature that conforms to AWS standards",
                );
            }
            // A key that nobody issued is a user's in the lab: see [`crate::identities::Identities`].
            if temporary && matches!(scene.call.caller, Caller::User { .. }) {
                return refuse("InvalidClientTokenId", "The security token included in the request is invalid");
            }
            let Some(signed) = text("X-Amz-Date").and_then(signed_at) else {
                return refuse("IncompleteSignature", "Date must be in ISO-8601 'basic format'");
            };
            let age = OffsetDateTime::now_utc() - signed;
            if age > SIGNED_FOR {
                return refuse("SignatureDoesNotMatch", "Signature expired: it is older than 15 minutes");
            }
            if age < -SIGNED_FOR {
                return refuse("SignatureDoesNotMatch", "Signature not yet current: it is of a time to come");
            }
            Ok(None)
        })
    }),
};

/// The time in a signature (`20260101T120000Z`).
fn signed_at(text: &str) -> Option<OffsetDateTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..8)?);
    let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..6)?);
    OffsetDateTime::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"), &Rfc3339).ok()
}

pub(super) const CALLER_IDENTITY: Quirk = Quirk {
    id: "caller-identity",
    aws: "GetCallerIdentity names the user or the role's session whose key signed the call.",
    moto: "Says user/moto to a key that it did not issue.",
    source: "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let (true, Some(account)) = (scene.is("sts", "GetCallerIdentity"), scene.call.caller.account()) else {
                return Ok(None);
            };
            let (arn, user) = (scene.call.caller.arn(), scene.call.caller.user_id());
            let body = format!(
                r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{user}</UserId><Account>{account}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#,
                request_id()
            );
            Ok(Some(ApiResponse::new(StatusCode::OK, body).header("content-type", "text/xml")))
        })
    }),
};

pub(super) const ACCOUNT_BLOCK_ANSWER: Quirk = Quirk {
    id: "account-block-answer",
    aws: "S3 Control answers 201 to an account's PutPublicAccessBlock and 204 to its DeletePublicAccessBlock.",
    moto: "Answers 200 to both.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_PutPublicAccessBlock.html",
    act: Act::Answer(|scene, mut answer| {
        Box::pin(async move {
            if answer.status.is_success() && scene.is("s3control", "PutPublicAccessBlock") {
                answer.status = StatusCode::CREATED;
            } else if answer.status.is_success() && scene.is("s3control", "DeletePublicAccessBlock") {
                answer.status = StatusCode::NO_CONTENT;
                // An answer without content must not say how long it is.
                answer.headers.remove(http::header::CONTENT_LENGTH);
            }
            Ok(answer)
        })
    }),
};

pub(super) const NOT_IMPLEMENTED: Quirk = Quirk {
    id: "not-implemented",
    aws: "Has the operation, and says its errors in the service's own format.",
    moto: "Answers what it does not have with a page or a line of text and status 500, which SDKs cannot read and retry.",
    source: "https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html",
    act: Act::Answer(|scene, answer| {
        Box::pin(async move {
            let kind = answer.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let text = String::from_utf8_lossy(&answer.body);
            let start = text.trim_start().get(..9).unwrap_or_default().to_ascii_lowercase();
            let page = answer.status.as_u16() >= 400 && (start.starts_with("<!doctype") || start.starts_with("<html"));
            // The server that the lab starts moto in says an exception as one line of text.
            let exception = answer.status.is_server_error() && kind.is_some_and(|kind| kind.starts_with("text/plain"));
            if !exception && !page {
                return Ok(answer);
            }
            let call = scene.call;
            let why = if exception { format!(": {text}") } else { String::new() };
            let message = format!("the lab's AWS does not have {}:{}{why}", call.service, call.operation);
            Ok(respond(call, StatusCode::NOT_IMPLEMENTED, "NotImplemented", &message, &[]))
        })
    }),
};

pub(super) const REQUEST_ID: Quirk = Quirk {
    id: "request-id",
    aws: "Every answer of S3's carries x-amz-request-id and x-amz-id-2.",
    moto: "Carries x-amzn-requestid only.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html",
    act: Act::Answer(|_, mut answer| {
        Box::pin(async move {
            let fresh = || HeaderValue::from_str(&request_id()).unwrap_or(HeaderValue::from_static("LAB"));
            let id = answer.headers.get("x-amzn-requestid").cloned().unwrap_or_else(fresh);
            for name in ["x-amz-request-id", "x-amzn-requestid", "x-amz-id-2"] {
                answer.headers.entry(name).or_insert_with(|| id.clone());
            }
            Ok(answer)
        })
    }),
};
