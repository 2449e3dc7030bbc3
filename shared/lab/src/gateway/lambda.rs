//! Lambda's Invoke.

use super::Gateway;
use crate::http::{ApiRequest, ApiResponse};
use crate::runtime::LARGEST_EVENT;
use crate::understand::invoked;
use bytes::Bytes;
use http::StatusCode;

impl Gateway {
    /// The answer to an Invoke; none if the call is another of Lambda's. <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
    pub(super) async fn lambda(&self, request: &ApiRequest) -> Option<ApiResponse> {
        let name = invoked(request)?;
        let refusal = |status: StatusCode, kind: &'static str, message: &str| {
            let body = serde_json::json!({"Type": "User", "Message": message}).to_string();
            ApiResponse::new(status, body).header("x-amzn-errortype", kind).header("content-type", "application/json")
        };
        if request.body.len() > LARGEST_EVENT {
            let message = format!(
                "{} byte payload is too large for the Invoke operation (limit {LARGEST_EVENT} bytes)",
                request.body.len()
            );
            return Some(refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message));
        }
        let payload = if request.body.is_empty() { Bytes::from_static(b"{}") } else { request.body.clone() };
        if serde_json::from_slice::<serde_json::Value>(&payload).is_err() {
            let message = "Could not parse request body into json";
            return Some(refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message));
        }
        if self.functions.config(&name).is_none() {
            let message = format!("Function not found: {name}");
            return Some(refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message));
        }
        match request.text("x-amz-invocation-type") {
            None | Some("RequestResponse") => {}
            Some("Event") => {
                self.functions.invoke_async(&name, "Invoke", payload);
                return Some(ApiResponse::new(StatusCode::ACCEPTED, Bytes::new()));
            }
            // Only asks whether it could be invoked.
            Some("DryRun") => return Some(ApiResponse::new(StatusCode::NO_CONTENT, Bytes::new())),
            Some(_) => {
                let message = "The invocation type is RequestResponse, Event or DryRun";
                return Some(refusal(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message));
            }
        }
        Some(match self.functions.invoke(&name, payload).await {
            Err(why) => refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &why),
            Ok(report) => {
                let answer =
                    |body: Bytes| ApiResponse::new(StatusCode::OK, body).header("x-amz-executed-version", "$LATEST");
                match report.answer {
                    Ok(body) => answer(body),
                    Err(error) => answer(serde_json::to_vec(&error).unwrap_or_default().into())
                        .header("x-amz-function-error", "Unhandled"),
                }
            }
        })
    }
}
