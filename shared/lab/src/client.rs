//! A bare client of the lab's AWS, for tests and the command line.

use crate::gateway::Gateway;
use crate::http::{ApiRequest, ApiResponse, Upstream};
use bytes::Bytes;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// A bare client of the lab's AWS: it names an access key and signs nothing, which the lab does not look at.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
    access_key: String,
    region: String,
}

/// How a client's calls reach AWS.
#[derive(Clone, Debug)]
enum Way {
    Gateway(Box<Upstream>),
    Quiet(Arc<Gateway>),
}

/// The query services and the versions of their APIs.
const VERSIONS: &[(&str, &str)] = &[
    ("ec2", "2016-11-15"),
    ("iam", "2010-05-08"),
    ("sns", "2010-03-31"),
    ("sqs", "2012-11-05"),
    ("sts", "2011-06-15"),
];

/// The JSON services and the names before their operations.
const TARGETS: &[(&str, &str)] = &[
    ("kms", "TrentService"),
    ("config", "StarlingDoveService"),
    ("events", "AWSEvents"),
    ("dynamodb", "DynamoDB_20120810"),
    ("sqs", "AmazonSQS"),
];

impl Client {
    pub(crate) fn of_gateway(gateway: SocketAddr, access_key: &str, region: &str) -> Self {
        let way = Way::Gateway(Box::new(Upstream::new(gateway)));
        Self { way, access_key: access_key.to_owned(), region: region.to_owned() }
    }

    pub(crate) fn past(gateway: Arc<Gateway>, region: &str) -> Self {
        Self::past_in(gateway, "lab", region)
    }

    /// The same with this access key: an account's number is somebody of the account.
    pub(crate) fn past_in(gateway: Arc<Gateway>, access_key: &str, region: &str) -> Self {
        Self { way: Way::Quiet(gateway), access_key: access_key.to_owned(), region: region.to_owned() }
    }

    /// Sends an S3 request and returns the answer, whatever its status.
    pub async fn s3(&self, method: Method, target: &str, body: impl Into<Bytes>) -> Result<ApiResponse, String> {
        self.send("s3", ApiRequest::new(method, target).body(body)).await
    }

    /// Sends an S3 request that must succeed.
    pub async fn must(&self, method: Method, target: &str, body: impl Into<Bytes>) -> Result<ApiResponse, String> {
        let what = format!("{method} {target}");
        succeeded(&what, self.s3(method, target, body).await?)
    }

    /// Calls a query service (EC2, IAM, SNS, SQS, STS) with an operation's parameters as they are on the wire
    /// (`IpPermissions.1.IpRanges.1.CidrIp`, `SecurityGroupRuleId.1`, `Tags.member.1.Key`); returns the answer, whatever
    /// its status. Fails if the service is none of those.
    pub async fn query(
        &self,
        service: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<ApiResponse, String> {
        let (_, version) = VERSIONS
            .iter()
            .find(|(name, _)| *name == service)
            .ok_or_else(|| format!("{service} is no query service that the lab's client knows"))?;
        let fields = [("Action", operation), ("Version", version)].into_iter().chain(parameters.iter().copied());
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let body: Vec<_> = fields.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let request = ApiRequest::new(Method::POST, "/")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(body.join("&"));
        self.send(service, request).await
    }

    /// The same for a call that must succeed.
    pub async fn must_query(
        &self,
        service: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<ApiResponse, String> {
        let what = format!("{service}:{operation} {parameters:?}");
        succeeded(&what, self.query(service, operation, parameters).await?)
    }

    /// Calls a JSON service (KMS, AWS Config, EventBridge, DynamoDB, SQS); returns the answer, whatever its status. Fails if the
    /// service is none of those.
    pub async fn json(&self, service: &str, operation: &str, body: &Value) -> Result<ApiResponse, String> {
        let (_, target) = TARGETS
            .iter()
            .find(|(name, _)| *name == service)
            .ok_or_else(|| format!("{service} is no JSON service that the lab's client knows"))?;
        let request = ApiRequest::new(Method::POST, "/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", &format!("{target}.{operation}"))
            .body(body.to_string());
        self.send(service, request).await
    }

    /// The same for a call that must succeed; returns its answer's JSON.
    pub async fn must_json(&self, service: &str, operation: &str, body: &Value) -> Result<Value, String> {
        let answer = succeeded(&format!("{service}:{operation} {body}"), self.json(service, operation, body).await?)?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Calls S3 Control for an account's public access block; returns the answer, whatever its status.
    pub async fn account_block(&self, method: Method, account: &str, body: &str) -> Result<ApiResponse, String> {
        let request = ApiRequest::new(method, "/v20180820/configuration/publicAccessBlock");
        self.send("s3", request.header("x-amz-account-id", account).body(body.to_owned())).await
    }

    /// Sends a request to a service in this client's name.
    pub async fn send(&self, service: &str, request: ApiRequest) -> Result<ApiResponse, String> {
        let scope = format!("{}/20260101/{}/{service}/aws4_request", self.access_key, self.region);
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let request = request.header("authorization", &signature).header("user-agent", "lab");
        match &self.way {
            Way::Gateway(gateway) => gateway.send(request).await,
            Way::Quiet(gateway) => gateway.quietly(request).await,
        }
    }
}

fn succeeded(what: &str, answer: ApiResponse) -> Result<ApiResponse, String> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(format!("{what} was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
}
