use super::*;
use remediation::testing::{Answer, Fake, SECRET, Sent, account, answer, ok};

fn bucket(respond: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Fake, Bucket) {
    let fake = Fake::new(respond);
    let bucket = Bucket::new(&fake.sdk(), "suture-evidence", account());
    (fake, bucket)
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"))
}

const KEY: &str = "records/2026/11/22/000000000001-r-1.json";

#[tokio::test]
async fn a_put_is_conditional_and_carries_the_checksum_that_is_the_hash() {
    let (fake, bucket) = bucket(|_| ok(""));
    assert_eq!(bucket.put_new(KEY, "abc").await, Ok(Put::New));
    let sent = fake.sent();
    let sent = sent.first().unwrap();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("PUT", format!("/suture-evidence/{KEY}").as_str()));
    assert_eq!(sent.header("if-none-match"), Some("*"));
    assert_eq!(sent.header("x-amz-expected-bucket-owner"), Some("111122223333"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    // base64 of the SHA-256 of "abc"; without a checksum a bucket with Object Lock refuses the put.
    assert_eq!(sent.header("x-amz-checksum-sha256"), Some("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="));
    assert_eq!(sent.body, "abc");
}

#[tokio::test]
async fn what_s3_says_of_a_put_is_told_apart() {
    let put = async |status, code: &'static str| {
        let (_, bucket) = bucket(move |_| error(status, code));
        bucket.put_new(KEY, "abc").await
    };
    assert_eq!(put(412, "PreconditionFailed").await, Ok(Put::Taken));
    for (status, code, passes, says) in [
        (409, "ConditionalRequestConflict", true, "put again"),
        (503, "SlowDown", true, "s3:PutObject on"),
        (403, "AccessDenied", false, "s3:PutObject on"),
        (404, "NoSuchBucket", false, "SUTURE_EVIDENCE"),
        (400, "InvalidRequest", false, "s3:PutObject on"),
    ] {
        let Err(Trouble::Away { why, retry, .. }) = put(status, code).await else { panic!("{code}") };
        assert_eq!(retry, passes, "{code}: {why}");
        assert!(why.contains(says) && !why.contains(SECRET), "{code}: {why}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let (_, empty) = bucket(|_| error(404, "NoSuchKey"));
    assert_eq!(empty.get(KEY).await, Ok(None));
    let (fake, full) = bucket(|_| ok("{}"));
    assert_eq!(full.version(KEY, "v 1").await, Ok(Some(b"{}".to_vec())));
    assert!(fake.sent().first().unwrap().query.contains("versionId=v%201"));
    let (_, denied) = bucket(|_| error(403, "AccessDenied"));
    assert!(denied.get(KEY).await.is_err());
}

#[tokio::test]
async fn a_listing_goes_through_all_pages_and_knows_what_was_deleted() {
    let (fake, bucket) = bucket(|sent| {
        let version = |key: &str, id: &str, latest: bool| {
            format!("<Version><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest></Version>")
        };
        let page = if sent.query.contains("key-marker=b") {
            version("c", "4", true)
        } else {
            let marker = "<DeleteMarker><Key>b</Key><VersionId>9</VersionId><IsLatest>true</IsLatest></DeleteMarker>";
            let next = "<NextKeyMarker>b</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker>";
            let truncated = "<IsTruncated>true</IsTruncated>";
            [&version("a", "3", true), &version("a", "1", false), &version("b", "2", false), marker, next, truncated]
                .concat()
        };
        ok(format!("<ListVersionsResult>{page}</ListVersionsResult>"))
    });
    let listed = bucket.list("records/").await.unwrap();
    let listed: Vec<_> = listed.iter().map(|listed| (listed.key.as_str(), listed.deleted)).collect();
    assert_eq!(listed, [("a", false), ("b", true), ("c", false)]);
    assert_eq!(bucket.versions("a").await.unwrap(), ["3", "1"]);
    assert!(fake.sent().iter().all(|sent| sent.header("x-amz-expected-bucket-owner") == Some("111122223333")));
}

#[tokio::test]
async fn a_listing_that_never_ends_does() {
    let (_, bucket) = bucket(|_| ok("<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>"));
    assert!(bucket.list("records/").await.is_err());
}
