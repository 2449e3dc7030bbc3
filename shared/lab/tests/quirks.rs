//! Each quirk against a real moto: what the lab answers is what AWS documents.

#![allow(clippy::expect_used, reason = "the helpers of tests may fail as tests do")]

use http::{Method, StatusCode};
use lab::call::Caller;
use lab::http::{ApiRequest, ApiResponse, Upstream};
use lab::moto::Moto;
use lab::python::{environment, home};
use lab::quirks::correct;
use lab::understand::understand;
use std::net::SocketAddr;
use std::sync::{LazyLock, mpsc};

const OWNER: &str = "111122223333";
const OTHER: &str = "444455556666";
const ALL: &str = "BlockPublicAcls IgnorePublicAcls BlockPublicPolicy RestrictPublicBuckets";

/// The server that the tests of this binary share. It has a thread and a runtime of its own, since a test's runtime ends
/// with the test, and ends with the process.
static MOTO: LazyLock<SocketAddr> = LazyLock::new(|| {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let python = environment(&home(), &|_| {}).await.expect("the lab's Python");
            let log =
                std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("quirks-{}.log", std::process::id()));
            let mut moto = Moto::start(&python, &log).await.expect("moto");
            let _ = std::fs::remove_file(log);
            tell.send(moto.address()).expect("somebody waits");
            moto.exited().await
        })
    });
    told.recv().expect("moto's address")
});

thread_local! {
    /// A test has its thread to itself, and its clients have one way to the server: what was asked before a write is
    /// forgotten on the way that the write takes.
    static WAY: std::cell::OnceCell<Upstream> = const { std::cell::OnceCell::new() };
}

/// The server, as this test reaches it.
async fn moto() -> Upstream {
    let address = tokio::task::spawn_blocking(|| *MOTO).await.expect("moto");
    WAY.with(|way| way.get_or_init(|| Upstream::new(address)).clone())
}

/// Somebody who calls AWS: from an account (none: unsigned), in a region.
struct Client {
    moto: Upstream,
    account: Option<&'static str>,
    region: &'static str,
}

impl Client {
    async fn of(account: &'static str) -> Self {
        Self { moto: moto().await, account: Some(account), region: "us-east-1" }
    }

    async fn nobody() -> Self {
        Self { moto: moto().await, account: None, region: "us-east-1" }
    }

    fn region(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }

    async fn send(&self, service: &str, mut request: ApiRequest) -> ApiResponse {
        if let Some(account) = self.account {
            let scope = format!("{account}/20260101/{}/{service}/aws4_request", self.region);
            request = request.header("authorization", &format!("AWS4-HMAC-SHA256 Credential={scope}, Signature=0"));
        }
        let identities = |key: &str| Caller::User {
            account: key.to_owned(),
            name: "alice".to_owned(),
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        };
        let answer = correct(&understand(request, &identities), &self.moto).await.expect("moto answers");
        assert!(answer.headers.contains_key("x-amz-request-id"), "no request id");
        answer
    }

    async fn s3(&self, method: Method, target: &str) -> ApiResponse {
        self.send("s3", ApiRequest::new(method, target)).await
    }

    async fn put(&self, target: &str, body: &str) -> ApiResponse {
        self.send("s3", ApiRequest::new(Method::PUT, target).body(body.to_owned())).await
    }

    async fn set(&self, target: &str, header: &'static str, value: &str) -> ApiResponse {
        self.send("s3", ApiRequest::new(Method::PUT, target).header(header, value)).await
    }

    /// A new bucket of this ownership, with all of Block Public Access off if `open`.
    async fn bucket(&self, ownership: &str, open: bool) -> String {
        let bucket = name("scans");
        let answer = self.set(&format!("/{bucket}"), "x-amz-object-ownership", ownership).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        if open {
            let answer = self.s3(Method::DELETE, &format!("/{bucket}?publicAccessBlock")).await;
            assert_eq!(answer.status, 204);
        }
        bucket
    }
}

/// A name that no other test has, nor an earlier run on the same server.
fn name(stem: &str) -> String {
    format!("{stem}-{}", lab::quirks::error::request_id().to_lowercase())
}

fn text(answer: &ApiResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn assert_error(answer: &ApiResponse, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", text(answer));
    assert!(text(answer).contains(&format!("<Code>{code}</Code>")), "{}", text(answer));
}

fn public_policy(bucket: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
    )
}

fn block(settings: &str) -> String {
    let settings: Vec<_> = settings.split_whitespace().map(|name| format!("<{name}>true</{name}>")).collect();
    format!("<PublicAccessBlockConfiguration>{}</PublicAccessBlockConfiguration>", settings.concat())
}

#[tokio::test]
async fn a_fresh_bucket_is_private_enforced_and_encrypted() {
    let client = Client::of(OWNER).await;
    let bucket = name("fresh");
    assert_eq!(client.s3(Method::PUT, &format!("/{bucket}")).await.status, 200);
    let answer = text(&client.s3(Method::GET, &format!("/{bucket}?publicAccessBlock")).await);
    for setting in ALL.split(' ') {
        assert!(answer.contains(&format!("<{setting}>true</{setting}>")), "{answer}");
    }
    let answer = text(&client.s3(Method::GET, &format!("/{bucket}?ownershipControls")).await);
    assert!(answer.contains("BucketOwnerEnforced"), "{answer}");
    let answer = client.s3(Method::GET, &format!("/{bucket}?encryption")).await;
    assert!(answer.status == 200 && text(&answer).contains("AES256"), "{}", text(&answer));

    // Created once more, as us-east-1 allows, it keeps what was changed since.
    client.s3(Method::DELETE, &format!("/{bucket}?publicAccessBlock")).await;
    assert_eq!(client.s3(Method::PUT, &format!("/{bucket}")).await.status, 200);
    let answer = client.s3(Method::GET, &format!("/{bucket}?publicAccessBlock")).await;
    assert_error(&answer, 404, "NoSuchPublicAccessBlockConfiguration");
}

#[tokio::test]
async fn ownership_can_be_asked_for() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("ObjectWriter", false).await;
    let answer = text(&client.s3(Method::GET, &format!("/{bucket}?ownershipControls")).await);
    assert!(answer.contains("ObjectWriter"), "{answer}");
}

#[tokio::test]
async fn encryption_set_and_deleted_falls_back_to_the_default() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("BucketOwnerEnforced", false).await;
    let rule = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms\
                </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    let target = format!("/{bucket}?encryption");
    assert_eq!(client.put(&target, rule).await.status, 200);
    assert!(text(&client.s3(Method::GET, &target).await).contains("aws:kms"));
    assert_eq!(client.s3(Method::DELETE, &target).await.status, 204);
    assert!(text(&client.s3(Method::GET, &target).await).contains("AES256"));
}

#[tokio::test]
async fn a_public_policy_is_refused_while_the_bucket_blocks_it() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("BucketOwnerEnforced", false).await;
    let target = format!("/{bucket}?policy");
    let answer = client.put(&target, &public_policy(&bucket)).await;
    assert_error(&answer, 403, "AccessDenied");
    assert!(text(&answer).contains("BlockPublicPolicy"), "{}", text(&answer));
    assert_error(&client.s3(Method::GET, &target).await, 404, "NoSuchBucketPolicy");

    client.s3(Method::DELETE, &format!("/{bucket}?publicAccessBlock")).await;
    let answer = client.put(&target, &public_policy(&bucket)).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(text(&client.s3(Method::GET, &target).await), public_policy(&bucket), "kept to the byte");
}

#[tokio::test]
async fn a_public_policy_is_refused_while_the_account_blocks_it() {
    // An account of its own, for the setting is the account's.
    let client = Client::of("777788889999").await;
    let bucket = client.bucket("BucketOwnerEnforced", true).await;
    let control = |method, body: &str| {
        let path = "/v20180820/configuration/publicAccessBlock";
        ApiRequest::new(method, path).header("x-amz-account-id", "777788889999").body(body.to_owned())
    };
    let answer = client.send("s3", control(Method::PUT, &block("BlockPublicPolicy"))).await;
    assert_eq!(answer.status, 201, "{}", text(&answer));
    let answer = client.send("s3", control(Method::GET, "")).await;
    assert!(text(&answer).contains("<BlockPublicPolicy>true</BlockPublicPolicy>"), "{}", text(&answer));
    assert!(text(&answer).contains("<BlockPublicAcls>false</BlockPublicAcls>"), "{}", text(&answer));
    assert_error(&client.put(&format!("/{bucket}?policy"), &public_policy(&bucket)).await, 403, "AccessDenied");
    assert_eq!(client.send("s3", control(Method::DELETE, "")).await.status, 204);
    let answer = client.send("s3", control(Method::GET, "")).await;
    assert_error(&answer, 404, "NoSuchPublicAccessBlockConfiguration");
    assert_eq!(client.put(&format!("/{bucket}?policy"), &public_policy(&bucket)).await.status, 204);
    // Another account's settings are nobody else's to read.
    let answer = Client::of(OTHER).await.send("s3", control(Method::GET, "")).await;
    assert_error(&answer, 403, "AccessDenied");
}

#[tokio::test]
async fn policy_status_weighs_conditions() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("BucketOwnerEnforced", true).await;
    let status = format!("/{bucket}?policyStatus");
    assert_error(&client.s3(Method::GET, &status).await, 404, "NoSuchBucketPolicy");
    let with = |condition: &str| {
        public_policy(&bucket).replace("\"Effect\"", &format!("\"Condition\":{condition},\"Effect\""))
    };
    for (policy, public) in [
        (public_policy(&bucket), true),
        (with(r#"{"Bool":{"aws:SecureTransport":"true"}}"#), true),
        (with(r#"{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}"#), false),
    ] {
        assert_eq!(client.put(&format!("/{bucket}?policy"), &policy).await.status, 204, "{policy}");
        let answer = text(&client.s3(Method::GET, &status).await);
        assert!(answer.contains(&format!("<IsPublic>{public}</IsPublic>")), "{policy}: {answer}");
    }
}

#[tokio::test]
async fn a_malformed_policy_is_refused() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("BucketOwnerEnforced", true).await;
    for policy in ["{bad", "", r#"{"Version":"2012-10-17"}"#, &public_policy("other-bucket")] {
        assert_error(&client.put(&format!("/{bucket}?policy"), policy).await, 400, "MalformedPolicy");
    }
    assert_error(&client.s3(Method::GET, &format!("/{bucket}?policy")).await, 404, "NoSuchBucketPolicy");
}

#[tokio::test]
async fn public_acls_are_refused_while_blocked() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("ObjectWriter", false).await;
    let (acl, object) = (format!("/{bucket}?acl"), format!("/{bucket}/a.txt"));
    for canned in ["public-read", "public-read-write", "authenticated-read"] {
        assert_error(&client.set(&acl, "x-amz-acl", canned).await, 403, "AccessDenied");
        assert_error(&client.set(&object, "x-amz-acl", canned).await, 403, "AccessDenied");
    }
    let group = r#"uri="http://acs.amazonaws.com/groups/global/AllUsers""#;
    assert_error(&client.set(&acl, "x-amz-grant-read", group).await, 403, "AccessDenied");
    assert_eq!(client.set(&acl, "x-amz-acl", "private").await.status, 200);
    assert_eq!(client.put(&object, "x").await.status, 200);
    assert_error(&client.set(&format!("{object}?acl"), "x-amz-acl", "public-read").await, 403, "AccessDenied");
    client.s3(Method::DELETE, &format!("/{bucket}?publicAccessBlock")).await;
    assert_eq!(client.set(&acl, "x-amz-acl", "public-read").await.status, 200);

    // The public grant alone can be taken out of the ACL that is there.
    let before = text(&client.s3(Method::GET, &acl).await);
    assert!(before.contains("AllUsers"), "{before}");
    let grants: Vec<_> = before.split_inclusive("</Grant>").collect();
    let after: String = grants.iter().filter(|grant| !grant.contains("AllUsers")).copied().collect();
    let answer = client.put(&acl, &after).await;
    assert_eq!(answer.status, 200, "{after}: {}", text(&answer));
    let after = text(&client.s3(Method::GET, &acl).await);
    assert!(!after.contains("AllUsers") && after.contains("FULL_CONTROL"), "{after}");
}

#[tokio::test]
async fn public_grants_are_not_shown_while_they_are_ignored() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("ObjectWriter", true).await;
    let (acl, block) = (format!("/{bucket}?acl"), format!("/{bucket}?publicAccessBlock"));
    assert_eq!(client.set(&acl, "x-amz-acl", "public-read").await.status, 200);
    for (setting, shown) in [("IgnorePublicAcls", false), ("RestrictPublicBuckets", true), ("IgnorePublicAcls", false)]
    {
        let body =
            format!("<PublicAccessBlockConfiguration><{setting}>true</{setting}></PublicAccessBlockConfiguration>");
        assert_eq!(client.put(&block, &body).await.status, 200);
        let seen = text(&client.s3(Method::GET, &acl).await);
        assert_eq!(seen.contains("AllUsers"), shown, "{setting}: {seen}");
        assert!(seen.contains("FULL_CONTROL"), "{seen}");
    }
    client.s3(Method::DELETE, &block).await;
    assert!(text(&client.s3(Method::GET, &acl).await).contains("AllUsers"), "they were there all the while");
}

#[tokio::test]
async fn owner_enforced_has_no_acls() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("BucketOwnerEnforced", true).await;
    let code = "AccessControlListNotSupported";
    assert_error(&client.set(&format!("/{bucket}?acl"), "x-amz-acl", "public-read").await, 400, code);
    assert_error(&client.set(&format!("/{bucket}?acl"), "x-amz-acl", "private").await, 400, code);
    let object = format!("/{bucket}/a.txt");
    assert_error(&client.set(&object, "x-amz-acl", "public-read").await, 400, code);
    assert_eq!(client.set(&object, "x-amz-acl", "bucket-owner-full-control").await.status, 200);
    let acl = text(&client.s3(Method::GET, &format!("/{bucket}?acl")).await);
    assert_eq!(acl.matches("<Grant>").count(), 1, "{acl}");
}

#[tokio::test]
async fn ownership_is_enforced_only_over_a_private_acl() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("ObjectWriter", true).await;
    let (acl, controls) = (format!("/{bucket}?acl"), format!("/{bucket}?ownershipControls"));
    let enforce =
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    assert_eq!(client.set(&acl, "x-amz-acl", "public-read").await.status, 200);
    assert_error(&client.put(&controls, enforce).await, 400, "InvalidBucketAclWithObjectOwnership");
    assert_eq!(client.set(&acl, "x-amz-acl", "private").await.status, 200);
    assert_eq!(client.put(&controls, enforce).await.status, 200);
}

#[tokio::test]
async fn a_bucket_is_not_created_with_an_acl_for_others() {
    let client = Client::of(OWNER).await;
    let bucket = format!("/{}", name("acl"));
    assert_error(&client.set(&bucket, "x-amz-acl", "public-read").await, 400, "InvalidBucketAclWithObjectOwnership");
    let create = ApiRequest::new(Method::PUT, &bucket)
        .header("x-amz-acl", "public-read")
        .header("x-amz-object-ownership", "BucketOwnerPreferred");
    assert_error(&client.send("s3", create).await, 403, "AccessDenied");
    assert_eq!(client.s3(Method::HEAD, &bucket).await.status, 404);
    assert_eq!(client.set(&bucket, "x-amz-acl", "private").await.status, 200);
}

#[tokio::test]
async fn the_expected_owner_must_own_the_bucket() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("BucketOwnerEnforced", false).await;
    let ask = |method: Method, target: &str, owner: &str| {
        ApiRequest::new(method, format!("/{bucket}{target}")).header("x-amz-expected-bucket-owner", owner)
    };
    for (method, target) in [
        (Method::GET, "?publicAccessBlock"),
        (Method::DELETE, "?publicAccessBlock"),
        (Method::GET, "?location"),
        (Method::GET, "/a.txt"),
    ] {
        assert_error(&client.send("s3", ask(method, target, OTHER)).await, 403, "AccessDenied");
    }
    let head = client.send("s3", ask(Method::HEAD, "", OTHER)).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::FORBIDDEN, 0));
    let wrong = client.send("s3", ask(Method::GET, "?acl", "me")).await;
    assert_error(&wrong, 400, "InvalidBucketOwnerAWSAccountID");
    assert_eq!(client.send("s3", ask(Method::GET, "?publicAccessBlock", OWNER)).await.status, 200);

    // The bucket is still there, untouched; to the other account it is closed, and its name is taken.
    let other = Client::of(OTHER).await;
    assert_error(&other.send("s3", ask(Method::GET, "?policyStatus", OTHER)).await, 403, "AccessDenied");
    assert_error(&other.s3(Method::DELETE, &format!("/{bucket}")).await, 403, "AccessDenied");
    assert_error(&other.s3(Method::PUT, &format!("/{bucket}")).await, 409, "BucketAlreadyExists");
    assert_eq!(other.s3(Method::HEAD, &format!("/{bucket}")).await.status, 403);
    let gone = format!("/{}?policy", name("gone"));
    assert_error(&client.s3(Method::GET, &gone).await, 404, "NoSuchBucket");
}

#[tokio::test]
async fn a_call_in_the_wrong_region_is_sent_on() {
    let west = Client::of(OWNER).await.region("eu-west-1");
    let bucket = name("west");
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert_eq!(west.put(&format!("/{bucket}"), place).await.status, 200);
    assert_eq!(west.s3(Method::GET, &format!("/{bucket}?publicAccessBlock")).await.status, 200);

    let east = Client::of(OWNER).await;
    for (method, target) in [(Method::GET, "?publicAccessBlock"), (Method::DELETE, "?policy"), (Method::GET, "/a")] {
        let answer = east.s3(method, &format!("/{bucket}{target}")).await;
        assert_error(&answer, 301, "PermanentRedirect");
        assert_eq!(answer.headers["x-amz-bucket-region"], "eu-west-1");
        let endpoint = format!("<Endpoint>{bucket}.s3.eu-west-1.amazonaws.com</Endpoint><Bucket>{bucket}</Bucket>");
        assert!(text(&answer).contains(&endpoint), "{}", text(&answer));
    }
    let head = east.s3(Method::HEAD, &format!("/{bucket}")).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (301, 0));
    assert_eq!(head.headers["x-amz-bucket-region"], "eu-west-1");
    let answer = text(&east.s3(Method::GET, &format!("/{bucket}?location")).await);
    assert!(answer.contains("eu-west-1"), "{answer}");
}

#[tokio::test]
async fn buckets_are_listed_page_by_page() {
    // An account of its own, so that the list is known.
    let client = Client::of("222233334444").await;
    let stem = name("page");
    for letter in ["c", "a", "b"] {
        assert_eq!(client.s3(Method::PUT, &format!("/{stem}-{letter}")).await.status, 200);
    }
    let west = Client::of("222233334444").await.region("eu-west-1");
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert_eq!(west.put(&format!("/{stem}-d"), place).await.status, 200);

    let list = format!("/?prefix={stem}&max-buckets=2");
    let first = text(&client.s3(Method::GET, &list).await);
    assert!(first.contains(&format!("<Name>{stem}-a</Name>")) && !first.contains(&format!("{stem}-c<")), "{first}");
    assert!(first.contains("<BucketRegion>us-east-1</BucketRegion>"), "{first}");
    let (_, token) = first.split_once("<ContinuationToken>").expect("a token");
    let (token, _) = token.split_once('<').expect("its end");
    let second = text(&client.s3(Method::GET, &format!("{list}&continuation-token={token}")).await);
    assert!(second.contains(&format!("<Name>{stem}-c</Name>")) && second.contains("eu-west-1"), "{second}");
    assert!(!second.contains("ContinuationToken") && !second.contains(&format!("{stem}-b<")), "{second}");
    let west = text(&client.s3(Method::GET, &format!("/?prefix={stem}&bucket-region=eu-west-1")).await);
    assert_eq!(west.matches("<Bucket>").count(), 1, "{west}");
    assert_error(&client.s3(Method::GET, "/?continuation-token=nope").await, 400, "InvalidArgument");
    assert_error(&client.s3(Method::GET, "/?max-buckets=0").await, 400, "InvalidArgument");
    let other = text(&Client::of("333344445555").await.s3(Method::GET, "/").await);
    assert!(!other.contains(&stem), "{other}");
}

#[tokio::test]
async fn a_sub_resource_that_moto_lacks_harms_nothing() {
    let client = Client::of(OWNER).await;
    let bucket = client.bucket("BucketOwnerEnforced", false).await;
    for target in ["?metrics&id=all", "?metadataTable"] {
        let answer = client.s3(Method::DELETE, &format!("/{bucket}{target}")).await;
        assert_error(&answer, 501, "NotImplemented");
    }
    let answer = client.s3(Method::PUT, &format!("/{}?analytics&id=x", name("none"))).await;
    assert_error(&answer, 501, "NotImplemented");
    assert_eq!(client.s3(Method::HEAD, &format!("/{bucket}")).await.status, 200);
}

#[tokio::test]
async fn nobody_gets_in_unless_the_bucket_is_open() {
    let (owner, nobody) = (Client::of(OWNER).await, Client::nobody().await);
    let bucket = owner.bucket("ObjectWriter", false).await;
    let object = format!("/{bucket}/scan.txt");
    assert_eq!(owner.put(&object, "a scan").await.status, 200);
    for (method, target) in [(Method::GET, &object), (Method::GET, &format!("/{bucket}")), (Method::PUT, &object)] {
        assert_error(&nobody.s3(method, target).await, 403, "AccessDenied");
    }
    assert_error(&nobody.s3(Method::DELETE, &format!("/{bucket}?publicAccessBlock")).await, 403, "AccessDenied");

    // By a policy, until RestrictPublicBuckets.
    owner.s3(Method::DELETE, &format!("/{bucket}?publicAccessBlock")).await;
    assert_eq!(owner.put(&format!("/{bucket}?policy"), &public_policy(&bucket)).await.status, 204);
    let answer = nobody.s3(Method::GET, &object).await;
    assert_eq!((answer.status, text(&answer).as_str()), (StatusCode::OK, "a scan"));
    assert_error(&nobody.s3(Method::GET, &format!("/{bucket}")).await, 403, "AccessDenied");
    owner.put(&format!("/{bucket}?publicAccessBlock"), &block("RestrictPublicBuckets")).await;
    assert_error(&nobody.s3(Method::GET, &object).await, 403, "AccessDenied");

    // By an ACL, until IgnorePublicAcls.
    owner.s3(Method::DELETE, &format!("/{bucket}?policy")).await;
    assert_eq!(owner.set(&format!("/{bucket}?acl"), "x-amz-acl", "public-read").await.status, 200);
    assert_eq!(owner.set(&format!("{object}?acl"), "x-amz-acl", "public-read").await.status, 200);
    assert_eq!(nobody.s3(Method::GET, &format!("/{bucket}?list-type=2")).await.status, 200);
    assert_eq!(text(&nobody.s3(Method::GET, &object).await), "a scan");
    owner.put(&format!("/{bucket}?publicAccessBlock"), &block("IgnorePublicAcls")).await;
    assert_error(&nobody.s3(Method::GET, &object).await, 403, "AccessDenied");
    assert_eq!(owner.s3(Method::GET, &object).await.status, 200);
}

#[tokio::test]
async fn the_caller_is_who_signed() {
    let request = ApiRequest::new(Method::POST, "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=GetCallerIdentity&Version=2011-06-15");
    let answer = text(&Client::of(OTHER).await.send("sts", request).await);
    assert!(answer.contains("<Arn>arn:aws:iam::444455556666:user/alice</Arn>"), "{answer}");
}

#[tokio::test]
async fn what_moto_lacks_is_an_error_that_no_sdk_retries() {
    let client = Client::of(OWNER).await;
    let form = |body: &str| {
        ApiRequest::new(Method::POST, "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned())
    };
    let iam = client.send("iam", form("Action=SimulatePrincipalPolicy&Version=2010-05-08")).await;
    assert_error(&iam, 501, "NotImplemented");
    let ec2 = client.send("ec2", form("Action=GetSnapshotBlockPublicAccessState&Version=2016-11-15")).await;
    assert_error(&ec2, 501, "NotImplemented");
    assert!(text(&ec2).contains("<Response><Errors>"), "{}", text(&ec2));
    let trail = ApiRequest::new(Method::POST, "/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents")
        .body("{}");
    let trail = client.send("cloudtrail", trail).await;
    assert_eq!(trail.status, 501, "{}", text(&trail));
    assert!(text(&trail).contains(r#""__type":"NotImplemented""#), "{}", text(&trail));
    let analyzer = client.send("access-analyzer", ApiRequest::new(Method::GET, "/analyzer")).await;
    assert_eq!(analyzer.status, 501, "{}", text(&analyzer));
    let users = client.send("iam", form("Action=ListUsers&Version=2010-05-08")).await;
    assert_eq!(users.status, 200, "{}", text(&users));
}
