//! Buckets: what a new one is like, where it is, whose it is, and which there are.

use super::error::{escape, respond};
use super::{Act, Bucket, Quirk, Scene, code};
use crate::call::Caller;
use crate::http::{ApiRequest, ApiResponse};
use crate::understand::is_account;
use http::{HeaderValue, Method, StatusCode};
use std::fmt::Write as _;

/// S3's namespace for the XML that it takes and gives.
pub(super) const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

pub(super) const UNKNOWN_SUB_RESOURCE: Quirk = Quirk {
    id: "unknown-sub-resource",
    aws: "A bucket's sub-resource is a thing of its own: deleting its metrics configuration deletes nothing else.",
    moto: "Ignores a sub-resource that it does not have: DELETE ?metrics deletes the bucket, PUT ?analytics creates it.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketMetricsConfiguration.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let lacking = ["RequestPayment", "AnalyticsConfiguration", "MetricsConfiguration", "IntelligentTiering"];
            let call = scene.call;
            let lacks = call.operation == "DeleteBucketInventoryConfiguration"
                || lacking.iter().any(|part| call.operation.contains(part))
                // What moto does with a form upload and with a browser's preflight request is right.
                || (call.operation == "Unknown" && !matches!(call.request.method, Method::POST | Method::OPTIONS));
            let message = "the lab does not have this part of S3";
            Ok((scene.name().is_some() && lacks)
                .then(|| scene.refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)))
        })
    }),
};

pub(super) const LIST_BUCKETS: Quirk = Quirk {
    id: "list-buckets-paging",
    aws: "ListBuckets gives max-buckets names in order and a token for the rest, and says each bucket's region if asked \
          with a parameter.",
    moto: "Cuts the list at max-buckets without a token, so the rest is lost; in order of creation; without regions.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            if !scene.is_s3(&["ListBuckets"]) || scene.call.caller == Caller::Anonymous {
                return Ok(None);
            }
            list_buckets(scene).await.map(Some)
        })
    }),
};

async fn list_buckets(scene: &Scene<'_>) -> Result<ApiResponse, String> {
    let query = scene.call.request.query();
    let given = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let refuse = |message: &str| Ok(scene.refuse(StatusCode::BAD_REQUEST, "InvalidArgument", message));
    let most = match given("max-buckets").map(str::parse::<usize>) {
        None => 10_000,
        Some(Ok(most @ 1..=10_000)) => most,
        Some(_) => return refuse("Argument max-buckets must be an integer between 1 and 10000"),
    };
    let after = match given("continuation-token").map(from_token) {
        None => String::new(),
        Some(Some(name)) => name,
        Some(None) => return refuse("The continuation token provided is incorrect"),
    };
    let wish = serde_json::json!({ "account": scene.call.account, "prefix": given("prefix"), "region": given("bucket-region") });
    let all = scene.wish("", "s3/buckets", &wish).await?;
    let all: Listed = serde_json::from_slice(&all.body).map_err(|error| format!("moto's list of buckets: {error}"))?;
    let mut buckets = all.buckets;
    buckets.sort_unstable();
    buckets.retain(|(name, ..)| *name > after);
    let more = buckets.len() > most;
    buckets.truncate(most);
    let regional = query.iter().any(|(name, _)| name != "x-id");
    let mut list = String::new();
    for (name, created, region) in &buckets {
        let region = if regional { format!("<BucketRegion>{region}</BucketRegion>") } else { String::new() };
        let _ = write!(list, "<Bucket><CreationDate>{created}</CreationDate>{region}<Name>{name}</Name></Bucket>");
    }
    let owner = format!("<Owner><ID>{}</ID></Owner>", canonical_id(&scene.call.account));
    let token = buckets.last().filter(|_| more).map(|(name, ..)| to_token(name));
    let token = token.map(|token| format!("<ContinuationToken>{token}</ContinuationToken>")).unwrap_or_default();
    let prefix = given("prefix").map(|prefix| format!("<Prefix>{}</Prefix>", escape(prefix))).unwrap_or_default();
    let body = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="{XMLNS}"><Buckets>{list}</Buckets>{owner}{token}{prefix}</ListAllMyBucketsResult>"#
    );
    Ok(ApiResponse::new(StatusCode::OK, body).header("content-type", "application/xml"))
}

/// The lab's own list of an account's buckets: name, creation date and region. To ask moto for the region of each would take
/// ten thousand calls where there are ten thousand buckets.
#[derive(serde::Deserialize)]
struct Listed {
    buckets: Vec<(String, String, String)>,
}

/// An account's canonical user id: 64 hexadecimal digits, made up from the account's.
fn canonical_id(account: &str) -> String {
    hex(account.bytes().cycle().take(32))
}

/// A continuation token: opaque to clients, as AWS asks them to take it.
fn to_token(name: &str) -> String {
    hex(name.bytes())
}

fn hex(bytes: impl Iterator<Item = u8>) -> String {
    bytes.fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_token(token: &str) -> Option<String> {
    let pairs: Option<Vec<u8>> = token
        .as_bytes()
        .chunks(2)
        .map(|pair| str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    pairs.filter(|name| !name.is_empty()).and_then(|name| String::from_utf8(name).ok())
}

pub(super) const WRONG_REGION: Quirk = Quirk {
    id: "wrong-region",
    aws: "A call signed for another region than the bucket's is sent on with 301 PermanentRedirect and the bucket's \
          region in x-amz-bucket-region.",
    moto: "Answers it as if the regions were one.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            // GetBucketLocation is how one finds out; CreateBucket has its own answer for a name that is taken.
            let anywhere = scene.is_s3(&["GetBucketLocation", "CreateBucket"]);
            let (Bucket::Own { region }, Some(bucket)) = (&scene.bucket, scene.name()) else { return Ok(None) };
            if *region == scene.call.region || anywhere || scene.call.caller == Caller::Anonymous {
                return Ok(None);
            }
            let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                           Please send all future requests to this endpoint.";
            let endpoint = format!("{bucket}.s3.{region}.amazonaws.com");
            let extra = [("Endpoint", endpoint.as_str()), ("Bucket", bucket)];
            let answer = respond(scene.call, StatusCode::MOVED_PERMANENTLY, "PermanentRedirect", message, &extra);
            Ok(Some(answer.header("x-amz-bucket-region", region)))
        })
    }),
};

pub(super) const EXPECTED_OWNER: Quirk = Quirk {
    id: "expected-bucket-owner",
    aws: "A call whose x-amz-expected-bucket-owner is not the bucket's owner is refused with 403 AccessDenied.",
    moto: "Ignores the header.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let Some(expected) = scene.call.request.text("x-amz-expected-bucket-owner") else { return Ok(None) };
            if scene.name().is_none() || scene.is_s3(&["CreateBucket"]) {
                return Ok(None);
            }
            if !is_account(expected) {
                let message = "The value of the expected bucket owner parameter must be an AWS Account ID";
                let code = "InvalidBucketOwnerAWSAccountID";
                return Ok(Some(scene.refuse(StatusCode::BAD_REQUEST, code, message)));
            }
            // Another account's bucket is refused by moto, whoever is expected.
            let mismatch = matches!(scene.bucket, Bucket::Own { .. }) && expected != scene.call.account;
            Ok(mismatch.then(|| scene.refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")))
        })
    }),
};

pub(super) const TAKEN_NAME: Quirk = Quirk {
    id: "taken-name",
    aws: "CreateBucket with a name that another account has is refused with 409 BucketAlreadyExists.",
    moto: "Says AccessDenied, once other accounts' buckets are closed to the caller as they are in AWS.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let taken = scene.is_s3(&["CreateBucket"]) && scene.bucket == Bucket::Foreign;
            let message = "The requested bucket name is not available. The bucket namespace is shared by all users of \
                           the system. Please select a different name and try again.";
            Ok(taken.then(|| scene.refuse(StatusCode::CONFLICT, "BucketAlreadyExists", message)))
        })
    }),
};

/// Whether the call is about to create, or has just created, a bucket that was not there.
fn is_fresh(scene: &Scene<'_>) -> bool {
    scene.is_s3(&["CreateBucket"]) && scene.bucket == Bucket::Missing
}

pub(super) const FRESH_OWNERSHIP: Quirk = Quirk {
    id: "fresh-bucket-ownership",
    aws: "A new bucket has BucketOwnerEnforced, which switches ACLs off, unless x-amz-object-ownership says otherwise.",
    moto: "A new bucket has no ownership controls.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html",
    act: Act::Request(|scene: &Scene<'_>, request: &mut ApiRequest| {
        if is_fresh(scene) {
            let enforced = HeaderValue::from_static("BucketOwnerEnforced");
            request.headers.entry("x-amz-object-ownership").or_insert(enforced);
        }
    }),
};

pub(super) const FRESH_BLOCK: Quirk = Quirk {
    id: "fresh-bucket-block-public-access",
    aws: "A new bucket has all four Block Public Access settings on.",
    moto: "A new bucket has none.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
    act: Act::Answer(|scene, answer| {
        Box::pin(async move {
            if let (true, true, Some(bucket)) = (is_fresh(scene), answer.status.is_success(), scene.name()) {
                let all = "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
                           <BlockPublicPolicy>true</BlockPublicPolicy>\
                           <RestrictPublicBuckets>true</RestrictPublicBuckets>";
                let element = "PublicAccessBlockConfiguration";
                let body = format!(r#"<{element} xmlns="{XMLNS}">{all}</{element}>"#);
                scene.tell(Method::PUT, &format!("/{bucket}?publicAccessBlock"), body).await?;
            }
            Ok(answer)
        })
    }),
};

pub(super) const DEFAULT_ENCRYPTION: Quirk = Quirk {
    id: "default-encryption",
    aws: "Every bucket has default encryption: SSE-S3 where nothing else was set, also after DeleteBucketEncryption.",
    moto: "Says ServerSideEncryptionConfigurationNotFoundError until something is set.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html",
    act: Act::Answer(|scene, answer| {
        Box::pin(async move {
            let unset = scene.is_s3(&["GetBucketEncryption"])
                && code(&answer).as_deref() == Some("ServerSideEncryptionConfigurationNotFoundError");
            if !unset {
                return Ok(answer);
            }
            let rule = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                        </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled>";
            let element = "ServerSideEncryptionConfiguration";
            let head = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
            let body = format!("{head}\n<{element} xmlns=\"{XMLNS}\"><Rule>{rule}</Rule></{element}>");
            Ok(ApiResponse::new(StatusCode::OK, body).header("content-type", "application/xml"))
        })
    }),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_names() {
        assert_eq!(from_token(&to_token("clinic-scans")).as_deref(), Some("clinic-scans"));
        for wrong in ["", "x", "zz", "é"] {
            assert_eq!(from_token(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn canonical_ids_are_64_hexadecimal_digits() {
        let id = canonical_id("111122223333");
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
