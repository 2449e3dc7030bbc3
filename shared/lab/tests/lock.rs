//! Object Lock as the evidence bucket relies on it, and who STS says that a caller is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::call::Caller;
use lab::http::{ApiRequest, ApiResponse, Upstream};
use lab::python::home;
use lab::{Client, Lab, Options};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

async fn lab() -> Lab {
    let options = Options {
        home: home(),
        port: 0,
        template: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/template/fixture.yaml"),
        programs: BTreeMap::new(),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    Lab::start(options, &|_| {}).await.unwrap()
}

fn code(answer: &ApiResponse) -> String {
    answer.texts("Code").into_iter().next().unwrap_or_default()
}

/// A bucket with Object Lock and this default retention.
async fn locked(client: &Client, bucket: &str, mode: &str) {
    let new = ApiRequest::new(Method::PUT, format!("/{bucket}")).header("x-amz-bucket-object-lock-enabled", "true");
    assert_eq!(client.send("s3", new).await.unwrap().status, 200);
    retain(client, bucket, mode, 30).await;
}

async fn retain(client: &Client, bucket: &str, mode: &str, days: u32) {
    let rule = format!(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
         <Mode>{mode}</Mode><Days>{days}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    );
    client.must(Method::PUT, &format!("/{bucket}?object-lock"), rule).await.unwrap();
}

/// An upload as SDKs send it, with the checksum of an empty body.
async fn upload(client: &Client, target: &str, header: Option<(&'static str, &str)>) -> ApiResponse {
    let mut request = ApiRequest::new(Method::PUT, target).header("x-amz-checksum-crc32", "AAAAAA==");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    client.send("s3", request).await.unwrap()
}

fn version(answer: &ApiResponse) -> String {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.headers["x-amz-version-id"].to_str().unwrap().to_owned()
}

async fn delete(client: &Client, target: &str, bypass: Option<&str>) -> ApiResponse {
    let mut request = ApiRequest::new(Method::DELETE, target);
    if let Some(bypass) = bypass {
        request = request.header("x-amz-bypass-governance-retention", bypass);
    }
    client.send("s3", request).await.unwrap()
}

#[tokio::test]
async fn a_new_object_is_kept_for_as_long_as_the_bucket_says() {
    let lab = lab().await;
    let client = lab.client("alice", "us-east-1");
    for mode in ["GOVERNANCE", "COMPLIANCE"] {
        let bucket = format!("evidence-{}", mode.to_lowercase());
        locked(&client, &bucket, mode).await;
        let target = format!("/{bucket}/a");
        let first = version(&upload(&client, &target, None).await);
        let head = client.s3(Method::HEAD, &target, "").await.unwrap();
        assert_eq!(head.headers["x-amz-object-lock-mode"], mode);
        let until = head.headers["x-amz-object-lock-retain-until-date"].to_str().unwrap();
        let days = (OffsetDateTime::parse(until, &Rfc3339).unwrap() - OffsetDateTime::now_utc()).whole_hours();
        assert!((29 * 24..=30 * 24).contains(&days), "{until}");
        // Another version beside it, and a marker that hides both, are no loss.
        let second = version(&upload(&client, &target, None).await);
        assert_ne!(first, second);
        assert_eq!(delete(&client, &target, None).await.status, 204);
        let there = client.s3(Method::GET, &format!("{target}?versionId={first}"), "").await.unwrap();
        assert_eq!(there.status, 200);
        // The versions themselves stay.
        let version = format!("{target}?versionId={first}");
        for bypass in [None, Some("false")] {
            let refused = delete(&client, &version, bypass).await;
            assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (403, "AccessDenied"), "{mode} {bypass:?}");
        }
        let status = delete(&client, &version, Some("true")).await.status.as_u16();
        assert_eq!(status, if mode == "GOVERNANCE" { 204 } else { 403 });
        // Versioning cannot be suspended; the default retention can be set though there are objects.
        let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
        let refused = client.s3(Method::PUT, &format!("/{bucket}?versioning"), suspended).await.unwrap();
        assert_eq!(code(&refused), "InvalidBucketState");
        retain(&client, &bucket, mode, 60).await;
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_retention_can_only_be_made_longer() {
    let lab = lab().await;
    let client = lab.client("alice", "us-east-1");
    for (mode, bypass, to, days, status) in [
        ("COMPLIANCE", "true", "COMPLIANCE", 1, 403),
        ("COMPLIANCE", "true", "GOVERNANCE", 90, 403),
        ("COMPLIANCE", "false", "COMPLIANCE", 90, 200),
        ("GOVERNANCE", "false", "GOVERNANCE", 1, 403),
        ("GOVERNANCE", "true", "GOVERNANCE", 1, 200),
        ("GOVERNANCE", "false", "COMPLIANCE", 90, 200),
    ] {
        let bucket = format!("kept-{}-{bypass}-{}-{days}", mode.to_lowercase(), to.to_lowercase());
        locked(&client, &bucket, mode).await;
        let version = version(&upload(&client, &format!("/{bucket}/a"), None).await);
        let until = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap() + time::Duration::days(days);
        let until = until.format(&Rfc3339).unwrap();
        let body = format!("<Retention><Mode>{to}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
        let target = format!("/{bucket}/a?retention&versionId={version}");
        let request = ApiRequest::new(Method::PUT, target)
            .header("x-amz-bypass-governance-retention", bypass)
            .header("x-amz-checksum-crc32", "AAAAAA==")
            .header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
            .body(body);
        let answer = client.send("s3", request).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{mode} {bypass} {to} {days}: {}", code(&answer));
    }
    lab.stop().await;
}

#[tokio::test]
async fn an_upload_to_a_locked_bucket_says_what_it_brings() {
    let lab = lab().await;
    let client = lab.client("alice", "us-east-1");
    locked(&client, "evidence", "GOVERNANCE").await;
    let refused = client.s3(Method::PUT, "/evidence/a", "").await.unwrap();
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (400, "InvalidRequest"));
    for header in [
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("x-amz-checksum-crc32", "AAAAAA=="),
    ] {
        let request = ApiRequest::new(Method::PUT, format!("/evidence/{}", header.0)).header(header.0, header.1);
        let answer = client.send("s3", request).await.unwrap();
        assert_eq!(answer.status, 200, "{header:?} {}", String::from_utf8_lossy(&answer.body));
    }
    // What is there is not written over by who says so.
    let once = Some(("if-none-match", "*"));
    assert_eq!(upload(&client, "/evidence/once", once).await.status, 200);
    let again = upload(&client, "/evidence/once", once).await;
    assert_eq!((again.status.as_u16(), code(&again).as_str()), (412, "PreconditionFailed"));
    // A marker is no object.
    delete(&client, "/evidence/once", None).await;
    assert_eq!(upload(&client, "/evidence/once", once).await.status, 200);
    // Where there is no lock, nothing is asked for.
    client.must(Method::PUT, "/plain", "").await.unwrap();
    client.must(Method::PUT, "/plain/a", "x").await.unwrap();
    lab.stop().await;
}

/// Sends a GetCallerIdentity whose signature is in its query.
async fn presigned(lab: &Lab, key: &str, date: &str, signature: &str) -> ApiResponse {
    let target = format!(
        "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential={key}%2F20260101%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date={date}&X-Amz-Expires=1\
         &X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    );
    let address: SocketAddr = lab.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    Upstream::new(address).send(ApiRequest::new(Method::GET, target)).await.unwrap()
}

#[tokio::test]
async fn sts_says_whose_key_it_is_by_a_link_too() {
    let lab = lab().await;
    let role = Caller::Role {
        account: "111122223333".to_owned(),
        role: "responder".to_owned(),
        session: "alice".to_owned(),
        access_key: "ASIARESPONDER".to_owned(),
    };
    lab.gateway.identities.add("ASIARESPONDER", role);
    let basic = |at: OffsetDateTime| {
        let text = at.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap();
        text.replace(['-', ':'], "")
    };
    let minutes = |minutes| OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
    let arn = "arn:aws:sts::111122223333:assumed-role/responder/alice";
    for (key, date, signature, status, said) in [
        ("ASIARESPONDER", basic(minutes(0)), "0", 200, arn),
        // STS does not look at X-Amz-Expires, which is a second here.
        ("ASIARESPONDER", basic(minutes(-14)), "0", 200, arn),
        ("ASIARESPONDER", basic(minutes(-16)), "0", 403, "SignatureDoesNotMatch"),
        ("ASIARESPONDER", basic(minutes(16)), "0", 403, "SignatureDoesNotMatch"),
        ("ASIARESPONDER", "yesterday".to_owned(), "0", 403, "IncompleteSignature"),
        ("ASIARESPONDER", basic(minutes(0)), "", 403, "IncompleteSignature"),
        ("ASIASOMEBODY", basic(minutes(0)), "0", 403, "InvalidClientTokenId"),
        ("test", basic(minutes(0)), "0", 200, "arn:aws:iam::111122223333:user/operator"),
    ] {
        let answer = presigned(&lab, key, &date, signature).await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status.as_u16() == status && body.contains(said), "{key} {date}: {} {body}", answer.status);
    }
    let signed = lab.client("ASIARESPONDER", "us-east-1").must_query("sts", "GetCallerIdentity", &[]).await.unwrap();
    assert_eq!(signed.texts("Arn"), [arn]);
    lab.stop().await;
}
