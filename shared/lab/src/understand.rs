//! Reads an HTTP request as the AWS call that it is: service, operation, region, resource and caller.

pub mod s3;

use crate::call::{ACCOUNT, Call, Caller};
use crate::http::ApiRequest;
use http::{HeaderValue, Method};

/// The path that every S3 Control call starts with.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_GetPublicAccessBlock.html>
const CONTROL: &str = "/v20180820/";

/// The region of a call that was not signed.
const HOME: &str = "us-east-1";

/// How an operation's name starts if it only reads.
const READS: &[&str] = &[
    "Get",
    "List",
    "Head",
    "Describe",
    "Query",
    "Scan",
    "BatchGet",
    "Lookup",
    "Simulate",
    "Search",
    "Select",
    // Credentials change nothing in the account.
    "AssumeRole",
    "Decode",
    // IAM's own access level for it is Read: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    "GenerateCredentialReport",
];

/// What a signature says about the request it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    access_key: String,
    region: String,
    service: String,
}

/// Turns a request into the call that it makes. `identities` knows who an access key belongs to.
///
/// The signature is read, not verified. Expects the target in origin form and path style: see [`to_path_style`].
pub fn understand(request: ApiRequest, identities: &dyn Fn(&str) -> Caller) -> Call {
    let signature = signature(&request);
    let caller = signature.as_ref().map_or(Caller::Anonymous, |signature| identities(&signature.access_key));
    let account = caller.account().unwrap_or(ACCOUNT).to_owned();
    let region = signature.as_ref().map_or(HOME, |signature| &signature.region).to_owned();
    let service = service(&request, signature.as_ref());
    let (operation, writes, resource) = match service.as_str() {
        "s3" => {
            let (bucket, _) = s3::bucket_and_key(&request);
            match s3::operation(&request) {
                Some(row) => (row.name.to_owned(), row.writes(), bucket),
                None => ("Unknown".to_owned(), changes(&request), bucket),
            }
        }
        "s3control" => {
            let name = control_operation(&request);
            (name.unwrap_or("Unknown").to_owned(), changes(&request), control_account(&request))
        }
        "securityhub" => {
            let name = rest_operation(&request).unwrap_or("Unknown");
            (name.to_owned(), changes(&request) && name != "GetFindings", None)
        }
        "lambda" if invoked(&request).is_some() => ("Invoke".to_owned(), true, invoked(&request)),
        "lambda" => (lambda_operation(&request).unwrap_or("Unknown").to_owned(), changes(&request), None),
        _ => {
            let name = target_operation(&request).or_else(|| action(&request));
            let writes = match &name {
                Some(name) => !READS.iter().any(|prefix| name.starts_with(prefix)),
                None => changes(&request),
            };
            (name.unwrap_or_else(|| "Unknown".to_owned()), writes, named(&service, &request))
        }
    };
    Call { service, operation, region, account, resource, writes, caller, request }
}

/// Brings a request into the form in which the lab reads it: its target in origin form (a proxy's clients send it with
/// scheme and host), the bucket of an S3 call in the path (SDKs put it before the host), and the account of an S3 Control
/// call in its header (SDKs put it before the host as well). The `host` header keeps what the client sent.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
pub fn to_path_style(request: &mut ApiRequest) {
    let absolute = ["http://", "https://"].into_iter().find_map(|scheme| request.target.strip_prefix(scheme));
    if let Some(rest) = absolute {
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(at);
        let slash = if target.starts_with('/') { "" } else { "/" };
        if let Ok(host) = HeaderValue::from_str(authority) {
            request.headers.insert(http::header::HOST, host);
        }
        request.target = format!("{slash}{target}");
    }
    let host = request.text("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name).to_owned();
    if request.path().starts_with(CONTROL) {
        let account = name.split('.').next().filter(|label| is_account(label));
        if let Some(account) = account.and_then(|account| HeaderValue::from_str(account).ok()) {
            request.headers.entry("x-amz-account-id").or_insert(account);
        }
        return;
    }
    let ours = match signature(request) {
        Some(signature) => signature.service == "s3",
        None => !request.headers.contains_key("x-amz-target") && action(request).is_none(),
    };
    if let Some(bucket) = bucket_in_host(&name).filter(|_| ours) {
        request.target = format!("/{bucket}{}", request.target);
    }
}

/// The bucket in a virtual-hosted S3 host name; none if the host names no bucket.
fn bucket_in_host(host: &str) -> Option<&str> {
    let bucket = if host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") {
        // A bucket's name may have dots and even `.s3.` in it: the service's label is the last one.
        let at = host.rfind(".s3.").max(host.rfind(".s3-"))?;
        let (bucket, service) = host.split_at(at);
        let other = [".s3-control", ".s3-accesspoint", ".s3-website", ".s3-outposts", ".s3-object-lambda"];
        (!other.iter().any(|label| service.starts_with(label))).then_some(bucket)?
    } else {
        host.strip_suffix(".localhost").or_else(|| host.strip_suffix(".127.0.0.1"))?
    };
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    let valid = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    valid.then_some(bucket)
}

/// Whether a text is an AWS account id.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The signature's scope, from the header or from a presigned request's query. Signatures of version 2 name no region
/// and S3 takes them for no new bucket: they count as none.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>
fn signature(request: &ApiRequest) -> Option<Signature> {
    let header = request.text("authorization").and_then(|text| text.split_once("Credential="));
    let credential = match header {
        Some((_, rest)) => rest.split([',', ' ']).next().unwrap_or_default().to_owned(),
        None => request.query().into_iter().find(|(name, _)| name == "X-Amz-Credential")?.1,
    };
    // From the right: an access key id may hold a slash where a client makes up its own.
    let mut parts = credential.rsplitn(5, '/');
    let (_terminal, service, region, _date, key) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Signature { access_key: key.to_owned(), region: region.to_owned(), service: service.to_owned() })
}

fn service(request: &ApiRequest, signature: Option<&Signature>) -> String {
    let host = request.text("host").unwrap_or_default();
    let signed = signature.map(|signature| signature.service.as_str());
    let control = request.path().starts_with(CONTROL)
        || (request.headers.contains_key("x-amz-account-id") && matches!(signed, Some("s3") | None))
        || (signed == Some("s3") && host.split_once('.').is_some_and(|(label, _)| is_account(label)));
    if control {
        return "s3control".to_owned();
    }
    match signed {
        Some(service) => service.to_owned(),
        // Without a signature the name is in the target (`DynamoDB_20120810.ListTables`), or only STS's calls for
        // federated identities are left; whatever has neither is S3's.
        None => match request.text("x-amz-target").and_then(|target| target.split(['_', '.']).next()) {
            Some(name) => name.to_ascii_lowercase(),
            None if action(request).is_some() => "sts".to_owned(),
            None => "s3".to_owned(),
        },
    }
}

/// The account that an S3 Control call is about.
fn control_account(request: &ApiRequest) -> Option<String> {
    request.text("x-amz-account-id").map(str::to_owned)
}

fn control_operation(request: &ApiRequest) -> Option<&'static str> {
    let block = request.path() == "/v20180820/configuration/publicAccessBlock";
    let row = s3::ACCOUNT_BLOCK.iter().find(|(method, ..)| block && *method == request.method.as_str());
    row.map(|(_, name, _)| *name)
}

/// Security Hub's operations, which are only methods and paths.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_Operations.html>
fn rest_operation(request: &ApiRequest) -> Option<&'static str> {
    let row = match (request.method.as_str(), request.path().trim_end_matches('/')) {
        ("PATCH", "/findings/batchupdate") => "BatchUpdateFindings",
        ("PATCH", "/findingsv2/batchupdatev2") => "BatchUpdateFindingsV2",
        ("POST", "/findings") => "GetFindings",
        ("POST", "/findings/import") => "BatchImportFindings",
        ("GET", "/accounts") => "DescribeHub",
        ("POST", "/accounts") => "EnableSecurityHub",
        _ => return None,
    };
    Some(row)
}

/// Lambda's operations, as far as somebody calls them: only methods and paths, too.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html>
fn lambda_operation(request: &ApiRequest) -> Option<&'static str> {
    let path: Vec<_> = request.path().trim_matches('/').split('/').collect();
    let row = match (request.method.as_str(), path.as_slice()) {
        ("GET", ["2015-03-31", "functions"]) => "ListFunctions",
        ("GET", ["2019-09-30", "functions", _, "concurrency"]) => "GetFunctionConcurrency",
        ("GET", ["2015-03-31", "event-source-mappings"]) => "ListEventSourceMappings",
        _ => return None,
    };
    Some(row)
}

/// What a call of a query or JSON service is about, where that is one thing: a security group, an access key, a key.
fn named(service: &str, request: &ApiRequest) -> Option<String> {
    let names: &[&str] = match service {
        "ec2" => &["GroupId", "NetworkInterfaceId", "InstanceId", "GroupId.1", "NetworkInterfaceId.1", "InstanceId.1"],
        "iam" => &["AccessKeyId", "UserName"],
        "kms" => &["KeyId"],
        "dynamodb" => return table(request),
        "sns" => &["TopicArn", "TargetArn"],
        "sqs" => &["QueueUrl"],
        "sts" => &["RoleArn"],
        _ => return None,
    };
    if request.headers.contains_key("x-amz-target") {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        return names.iter().find_map(|name| body.get(*name)?.as_str().map(str::to_owned));
    }
    let fields = form(request);
    names.iter().find_map(|name| fields.iter().find(|(field, _)| field == name)).map(|(_, value)| value.clone())
}

/// The table that a call of DynamoDB names, if it is one: by its name, also where the call gives its ARN.
fn table(request: &ApiRequest) -> Option<String> {
    let all = tables(&serde_json::from_slice(&request.body).unwrap_or_default());
    let mut names: Vec<_> =
        all.iter().map(|table| table.rsplit_once(":table/").map_or(&**table, |(_, name)| name)).collect();
    names.dedup();
    match names.as_slice() {
        [name] => Some((*name).to_owned()),
        _ => None,
    }
}

/// The function that a call of Lambda's Invoke names.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
pub(crate) fn invoked(request: &ApiRequest) -> Option<String> {
    let name = request.path().strip_prefix("/2015-03-31/functions/")?.strip_suffix("/invocations")?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
    (request.method == Method::POST).then_some(name)
}

/// The operation of the JSON protocols: `X-Amz-Target: DynamoDB_20120810.PutItem`.
fn target_operation(request: &ApiRequest) -> Option<String> {
    request.text("x-amz-target").and_then(|target| target.rsplit_once('.')).map(|(_, name)| name.to_owned())
}

/// The operation of the query protocols: the form's, or the query's, `Action`.
fn action(request: &ApiRequest) -> Option<String> {
    let form_sent = request.text("content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded"));
    let named = |fields: Vec<(String, String)>| fields.into_iter().find(|(name, _)| name == "Action");
    let found = form_sent.then(|| named(form(request))).flatten().or_else(|| named(request.query()));
    found.map(|(_, value)| value)
}

/// The tables that a request to DynamoDB names, as it names them.
pub(crate) fn tables(body: &serde_json::Value) -> std::collections::BTreeSet<String> {
    let text = |value: &serde_json::Value| value.get("TableName").and_then(|name| name.as_str()).map(str::to_owned);
    let transaction = body.get("TransactItems").and_then(|items| items.as_array()).into_iter().flatten();
    let parts = transaction.filter_map(|item| item.as_object()).flat_map(|item| item.values());
    let batch = body.get("RequestItems").and_then(|items| items.as_object()).into_iter().flatten();
    parts.chain([body]).filter_map(text).chain(batch.map(|(table, _)| table.clone())).collect()
}

/// The names and values of a form body, decoded.
pub(crate) fn form(request: &ApiRequest) -> Vec<(String, String)> {
    // A form is a query that uses `+` for blanks.
    let text = String::from_utf8_lossy(&request.body).replace('+', "%20");
    ApiRequest::new(Method::POST, format!("/?{text}")).query()
}

fn changes(request: &ApiRequest) -> bool {
    !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(key: &str) -> Caller {
        Caller::User { account: "111122223333".to_owned(), name: "alice".to_owned(), access_key: key.to_owned() }
    }

    fn signed(method: Method, target: &str, service: &str, region: &str) -> ApiRequest {
        let header = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        ApiRequest::new(method, target).header("authorization", &header)
    }

    #[test]
    fn a_signed_call_names_service_region_and_caller() {
        let call = understand(signed(Method::PUT, "/clinic-scans?acl", "s3", "eu-west-1"), &known);
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("s3", "PutBucketAcl"));
        assert_eq!((call.region.as_str(), call.account.as_str()), ("eu-west-1", "111122223333"));
        assert_eq!(call.resource.as_deref(), Some("clinic-scans"));
        assert!(call.writes);
        assert_eq!(call.caller, known("AKIAIOSFODNN7EXAMPLE"));
    }

    #[test]
    fn a_presigned_and_an_unsigned_call_are_understood_too() {
        let target = "/clinic-scans/a?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260101%2Feu-west-1%2Fs3%2Faws4_request";
        let call = understand(ApiRequest::new(Method::GET, target), &known);
        assert_eq!((call.operation.as_str(), call.region.as_str()), ("GetObject", "eu-west-1"));
        let call = understand(ApiRequest::new(Method::GET, "/clinic-scans/a"), &known);
        assert_eq!((call.caller, call.account.as_str(), call.service.as_str()), (Caller::Anonymous, ACCOUNT, "s3"));
    }

    #[test]
    fn other_protocols_name_their_operation() {
        let iam = signed(Method::POST, "/", "iam", "us-east-1")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body("Version=2010-05-08&Action=UpdateAccessKey&UserName=bob+b");
        assert_eq!(form(&iam).last(), Some(&("UserName".to_owned(), "bob b".to_owned())));
        let call = understand(iam, &known);
        assert_eq!((call.service.as_str(), call.operation.as_str(), call.writes), ("iam", "UpdateAccessKey", true));
        let dynamo = signed(Method::POST, "/", "dynamodb", "us-east-1")
            .header("x-amz-target", "DynamoDB_20120810.DescribeTable");
        let call = understand(dynamo, &known);
        assert_eq!((call.operation.as_str(), call.writes), ("DescribeTable", false));
        let table = |body: &str| {
            let request = signed(Method::POST, "/", "dynamodb", "us-east-1");
            let request = request.header("x-amz-target", "DynamoDB_20120810.TransactWriteItems").body(body.to_owned());
            let call = understand(request, &known);
            assert!(call.writes);
            call.resource
        };
        let (put, delete) = (r#"{"Put":{"TableName":"ledger"}}"#, r#"{"Delete":{"TableName":"other"}}"#);
        assert_eq!(table(&format!(r#"{{"TransactItems":[{put},{put}]}}"#)).as_deref(), Some("ledger"));
        assert_eq!(table(&format!(r#"{{"TransactItems":[{put},{delete}]}}"#)), None);
        let arn = r#"{"TableName":"arn:aws:dynamodb:us-east-1:111122223333:table/ledger"}"#;
        assert_eq!(table(arn).as_deref(), Some("ledger"));
        let rest = signed(Method::POST, "/detector", "guardduty", "us-east-1");
        assert_eq!(understand(rest, &known).operation, "Unknown");
    }

    #[test]
    fn s3_control_is_known_by_path_header_or_host() {
        let path = "/v20180820/configuration/publicAccessBlock";
        let call = understand(
            signed(Method::DELETE, path, "s3", "us-east-1").header("x-amz-account-id", "111122223333"),
            &known,
        );
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("s3control", "DeletePublicAccessBlock"));
        assert_eq!(call.resource.as_deref(), Some("111122223333"));
        let call =
            understand(signed(Method::GET, "/other", "s3", "us-east-1").header("host", "111122223333.x"), &known);
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("s3control", "Unknown"));
    }

    #[test]
    fn buckets_move_from_host_to_path() {
        for (host, target, expected) in [
            ("clinic-scans.localhost:4566", "/?acl", "/clinic-scans/?acl"),
            ("clinic-scans.localhost:4566", "/a%20b", "/clinic-scans/a%20b"),
            ("clinic-scans.127.0.0.1:4566", "/a", "/clinic-scans/a"),
            ("127.0.0.1:4566", "/clinic-scans", "/clinic-scans"),
            ("localhost:4566", "/clinic-scans", "/clinic-scans"),
            ("clinic-scans.s3.amazonaws.com", "/a", "/clinic-scans/a"),
            ("clinic-scans.s3-us-west-2.amazonaws.com", "/a", "/clinic-scans/a"),
            ("my.s3.files.s3.us-west-2.amazonaws.com", "/a", "/my.s3.files/a"),
            ("s3.us-west-2.amazonaws.com", "/clinic-scans", "/clinic-scans"),
            ("scans.s3-accesspoint.us-west-2.amazonaws.com", "/a", "/a"),
            (
                "clinic-scans.s3.us-west-2.amazonaws.com",
                "http://clinic-scans.s3.us-west-2.amazonaws.com?acl",
                "/clinic-scans/?acl",
            ),
        ] {
            let mut request = signed(Method::GET, target, "s3", "us-east-1").header("host", host);
            to_path_style(&mut request);
            assert_eq!(request.target, expected, "{host}");
        }
        let mut iam = signed(Method::POST, "http://iam.amazonaws.com/", "iam", "us-east-1").header("host", "proxy");
        to_path_style(&mut iam);
        assert_eq!((iam.target.as_str(), iam.text("host")), ("/", Some("iam.amazonaws.com")));
        let mut other = signed(Method::POST, "/", "sqs", "us-east-1").header("host", "queues.localhost");
        to_path_style(&mut other);
        assert_eq!(other.target, "/");
    }

    #[test]
    fn s3_controls_account_moves_from_host_to_header() {
        let path = "/v20180820/configuration/publicAccessBlock";
        for target in [path.to_owned(), format!("http://111122223333.s3-control.us-east-1.amazonaws.com{path}")] {
            let mut request =
                signed(Method::GET, &target, "s3", "us-east-1").header("host", "111122223333.127.0.0.1:4566");
            to_path_style(&mut request);
            assert_eq!((request.target.as_str(), request.text("x-amz-account-id")), (path, Some("111122223333")));
        }
    }
}
