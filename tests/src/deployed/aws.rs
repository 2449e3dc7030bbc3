//! The account's root user, who signs what it sends: MiniStack checks signatures, as AWS does.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderName, Method};
use lab::http::{ApiRequest, ApiResponse, Upstream};
use serde_json::Value;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::SystemTime;

/// The query services and the versions of their APIs.
const VERSIONS: [(&str, &str); 3] = [("cloudformation", "2010-05-15"), ("iam", "2010-05-08"), ("sns", "2010-03-31")];

/// The JSON services and what stands before the names of their operations.
const TARGETS: [(&str, &str); 3] = [("dynamodb", "DynamoDB_20120810"), ("events", "AWSEvents"), ("sqs", "AmazonSQS")];

/// The root user of the account that a MiniStack holds.
#[derive(Clone, Debug)]
pub struct Aws {
    upstream: Upstream,
    host: String,
}

impl Aws {
    /// Of the MiniStack that listens here without TLS.
    pub fn at(address: SocketAddr) -> Self {
        Self { upstream: Upstream::new(address), host: address.to_string() }
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Sends an S3 request as over TLS (MiniStack takes a proxy's word for that); the answer, whatever its status.
    pub async fn s3(&self, method: Method, target: &str, body: impl Into<Bytes>) -> ApiResponse {
        let request = ApiRequest::new(method, target).body(body).header("x-forwarded-proto", "https");
        self.send("s3", request).await
    }

    /// The same for a request that must succeed.
    pub async fn must_s3(&self, method: Method, target: &str, body: impl Into<Bytes>) -> ApiResponse {
        let what = format!("{method} {target}");
        succeeded(&what, self.s3(method, target, body).await)
    }

    /// Calls a query service, which must succeed.
    pub async fn query(&self, service: &str, operation: &str, parameters: &[(&str, &str)]) -> ApiResponse {
        let (_, version) = VERSIONS.iter().find(|(name, _)| *name == service).unwrap();
        let fields = [("Action", operation), ("Version", version)].into_iter().chain(parameters.iter().copied());
        let fields: Vec<_> = fields.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let request = ApiRequest::new(Method::POST, "/")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(fields.join("&"));
        succeeded(&format!("{service}:{operation} {parameters:?}"), self.send(service, request).await)
    }

    /// Calls a JSON service, which must succeed.
    pub async fn json(&self, service: &str, operation: &str, body: &Value) -> Value {
        let (_, target) = TARGETS.iter().find(|(name, _)| *name == service).unwrap();
        let request = ApiRequest::new(Method::POST, "/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", &format!("{target}.{operation}"))
            .body(body.to_string());
        let answer = succeeded(&format!("{service}:{operation} {body}"), self.send(service, request).await);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Sends a request, signed for this service.
    pub async fn send(&self, service: &str, mut request: ApiRequest) -> ApiResponse {
        let mut settings = SigningSettings::default();
        if service == "s3" {
            // As S3 wants it. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let identity = Credentials::new("test", "test", None, None, "root").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(crate::HOME)
            .name(service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{}{}", self.host, request.target);
        let sent = request.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let headers = [("host", self.host.as_str())].into_iter().chain(sent);
        // Zips are large, and this hashes slowly where it is not optimised.
        let body = if service == "s3" && request.body.len() > 1_000_000 {
            SignableBody::UnsignedPayload
        } else {
            SignableBody::Bytes(&request.body)
        };
        let signable = SignableRequest::new(request.method.as_str(), &uri, headers, body).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            request.headers.insert(HeaderName::from_static(header.name()), header.value().parse().unwrap());
        }
        self.upstream.send(request).await.unwrap()
    }
}

fn succeeded(what: &str, answer: ApiResponse) -> ApiResponse {
    assert!(answer.status.is_success(), "{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    answer
}

/// As a form and a query want it.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// The reverse of [`encoded`]: IAM answers policies so.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', Some(digits)) = (first, tail.get(..2)) {
            bytes.push(u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["", "a b", "100%", "{\"Resource\":\"arn:aws:s3:::*\"}", "é€", "%41"] {
            assert_eq!(decoded(&encoded(text)), text);
        }
        assert_eq!(encoded("a b/é"), "a%20b%2F%C3%A9");
        assert_eq!(decoded("%7b%7D~"), "{}~");
    }
}
