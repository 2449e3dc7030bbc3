//! Errors in the form of the service that was called: SDKs read the code from a different place in each.

use crate::call::Call;
use crate::http::ApiResponse;
use http::{Method, StatusCode};
use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher};

/// An error answer to this call in its service's own form, with a fresh request id. `extra` adds elements to S3's XML
/// (`Endpoint`, `Bucket`). A HEAD request gets no body.
///
/// S3: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. EC2:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>. JSON and query services: the Smithy
/// protocols, <https://smithy.io/2.0/aws/protocols/index.html>.
pub fn respond(call: &Call, status: StatusCode, code: &str, message: &str, extra: &[(&str, &str)]) -> ApiResponse {
    let id = request_id();
    let (message_xml, json) = (escape(message), call.request.headers.contains_key("x-amz-target"));
    let form = call.request.text("content-type").is_some_and(|kind| kind.contains("form-urlencoded"));
    let head = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    let error = format!("<Code>{code}</Code><Message>{message_xml}</Message>");
    let (kind, body) = match call.service.as_str() {
        "s3" => {
            let extra = extra.iter().fold(String::new(), |mut all, (name, value)| {
                let _ = write!(all, "<{name}>{}</{name}>", escape(value));
                all
            });
            (
                "application/xml",
                format!("{head}\n<Error>{error}{extra}<RequestId>{id}</RequestId><HostId>{id}</HostId></Error>"),
            )
        }
        "ec2" => (
            "text/xml",
            format!("{head}\n<Response><Errors><Error>{error}</Error></Errors><RequestID>{id}</RequestID></Response>"),
        ),
        service if service == "s3control" || (form && !json) => (
            "text/xml",
            format!(
                "{head}\n<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>{id}</RequestId></ErrorResponse>"
            ),
        ),
        _ => (
            "application/x-amz-json-1.1",
            serde_json::json!({ "__type": code, "code": code, "message": message, "Message": message }).to_string(),
        ),
    };
    let body = if call.request.method == Method::HEAD { String::new() } else { body };
    ApiResponse::new(status, body)
        .header("content-type", kind)
        .header("x-amz-request-id", &id)
        .header("x-amzn-requestid", &id)
        .header("x-amzn-errortype", code)
}

/// A new request id as S3 makes them: 16 capitals and digits.
pub fn request_id() -> String {
    let bits = RandomState::new().build_hasher().finish();
    let alphabet = b"ABCDEFGHJKMNPQRSTVWXYZ0123456789";
    (0..16)
        .map(|at| {
            // 64 bits hold 12 characters of 5 bits; the last four see them again, shifted.
            let index = (bits.rotate_left(5 * at) & 31) as usize;
            alphabet.get(index).map_or('A', |byte| char::from(*byte))
        })
        .collect()
}

/// Text as XML content.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Caller;
    use crate::http::ApiRequest;

    fn call(service: &str, request: ApiRequest) -> Call {
        Call {
            service: service.to_owned(),
            operation: "Unknown".to_owned(),
            region: "us-east-1".to_owned(),
            account: "111122223333".to_owned(),
            resource: None,
            writes: false,
            caller: Caller::Anonymous,
            request,
        }
    }

    #[test]
    fn each_service_has_its_form() {
        let form = ApiRequest::new(Method::POST, "/").header("content-type", "application/x-www-form-urlencoded");
        let get = ApiRequest::new(Method::GET, "/a");
        for (service, request, expected) in [
            ("s3", get.clone(), "<Error><Code>Oops</Code><Message>a &lt; b</Message><Bucket>x</Bucket><RequestId>"),
            ("s3control", get.clone(), "<ErrorResponse><Error><Type>Sender</Type><Code>Oops</Code>"),
            ("ec2", form.clone(), "<Response><Errors><Error><Code>Oops</Code>"),
            ("iam", form, "<ErrorResponse><Error><Type>Sender</Type><Code>Oops</Code>"),
            ("guardduty", get, r#""__type":"Oops""#),
        ] {
            let answer = respond(&call(service, request), StatusCode::FORBIDDEN, "Oops", "a < b", &[("Bucket", "x")]);
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(body.contains(expected), "{service}: {body}");
            assert_eq!(answer.headers["x-amz-request-id"].len(), 16);
        }
        let head = respond(&call("s3", ApiRequest::new(Method::HEAD, "/a")), StatusCode::FORBIDDEN, "Oops", "", &[]);
        assert!(head.body.is_empty());
    }
}
