//! S3's operations as one table: S3 has no operation name on the wire, only a method, a path and a sub-resource.

use crate::http::ApiRequest;

/// What an S3 request is about, as its path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No bucket: the account's list of buckets.
    Account,
    /// A bucket and no key.
    Bucket,
    /// A key in a bucket.
    Object,
}

/// What an operation does, and which of CloudTrail's two kinds of event it is: management events are always recorded,
/// data events only where a trail asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A management event that only reads.
    Read,
    /// A management event that changes something.
    Write,
    /// A data event that only reads.
    DataRead,
    /// A data event that changes something.
    DataWrite,
}

/// One S3 operation: how a request for it looks, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The HTTP method.
    pub method: &'static str,
    /// What the path names.
    pub scope: Scope,
    /// What tells it from the others of its method and scope: a query parameter (`acl`), one with its value
    /// (`list-type=2`) or a header (`@x-amz-copy-source`). Empty for the operation that has no such mark.
    pub mark: &'static str,
    /// The name in the API and the SDKs.
    pub name: &'static str,
    /// The name in CloudTrail.
    pub event: &'static str,
    /// What it does.
    pub kind: Kind,
}

impl Operation {
    /// Whether the operation can change anything.
    pub fn writes(&self) -> bool {
        matches!(self.kind, Kind::Write | Kind::DataWrite)
    }

    /// Whether CloudTrail records it as a management event.
    pub fn management(&self) -> bool {
        matches!(self.kind, Kind::Read | Kind::Write)
    }

    fn fits(&self, method: &str, scope: Scope, request: &ApiRequest, query: &[(String, String)]) -> bool {
        self.method == method
            && self.scope == scope
            && match self.mark.split_once('=') {
                Some((name, value)) => query.iter().any(|(n, v)| n == name && v == value),
                // `PUT /bucket?something` is some sub-resource's operation, not CreateBucket.
                None if self.mark.is_empty() => !(self.scope == Bucket && self.writes() && has_sub_resource(query)),
                None => match self.mark.strip_prefix('@') {
                    Some(header) => request.headers.contains_key(header),
                    None => query.iter().any(|(n, _)| n == self.mark),
                },
            }
    }
}

/// Whether a query has more in it than what SDKs and presigned URLs add to any operation.
fn has_sub_resource(query: &[(String, String)]) -> bool {
    query.iter().any(|(name, _)| name != "x-id" && !name.to_ascii_lowercase().starts_with("x-amz-"))
}

/// The operation that a path-style S3 request asks for; none if it fits no row.
pub fn operation(request: &ApiRequest) -> Option<&'static Operation> {
    let (method, query) = (request.method.as_str(), request.query());
    let scope = match bucket_and_key(request) {
        (None, _) => Scope::Account,
        (Some(_), None) => Scope::Bucket,
        (Some(_), Some(_)) => Scope::Object,
    };
    OPERATIONS.iter().find(|row| row.fits(method, scope, request, &query))
}

/// The operation that S3 calls by this name; none if we do not know it.
pub fn named(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|row| row.name == name)
}

/// The bucket and the key in a path-style target, decoded.
pub fn bucket_and_key(request: &ApiRequest) -> (Option<String>, Option<String>) {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let path = request.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let some = |text: &str| (!text.is_empty()).then(|| decode(text));
    (some(bucket), some(key))
}

const fn row(
    method: &'static str,
    scope: Scope,
    mark: &'static str,
    name: &'static str,
    event: &'static str,
    kind: Kind,
) -> Operation {
    Operation { method, scope, mark, name, event, kind }
}

use Kind::{DataRead, DataWrite, Read, Write};
use Scope::{Account, Bucket, Object};

/// Every S3 operation that the lab knows. The first row that fits is the one; a row without a mark comes after the
/// marked ones of its method and scope. CloudTrail's names and kinds:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html>. The API's:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>.
#[rustfmt::skip]
pub static OPERATIONS: &[Operation] = &[
    row("GET",    Account, "",                    "ListBuckets",                             "ListBuckets",                             Read),

    row("GET",    Bucket,  "policyStatus",        "GetBucketPolicyStatus",                   "GetBucketPolicyStatus",                   Read),
    row("GET",    Bucket,  "policy",              "GetBucketPolicy",                         "GetBucketPolicy",                         Read),
    row("PUT",    Bucket,  "policy",              "PutBucketPolicy",                         "PutBucketPolicy",                         Write),
    row("DELETE", Bucket,  "policy",              "DeleteBucketPolicy",                      "DeleteBucketPolicy",                      Write),
    row("GET",    Bucket,  "publicAccessBlock",   "GetPublicAccessBlock",                    "GetBucketPublicAccessBlock",              Read),
    row("PUT",    Bucket,  "publicAccessBlock",   "PutPublicAccessBlock",                    "PutBucketPublicAccessBlock",              Write),
    row("DELETE", Bucket,  "publicAccessBlock",   "DeletePublicAccessBlock",                 "DeleteBucketPublicAccessBlock",           Write),
    row("GET",    Bucket,  "acl",                 "GetBucketAcl",                            "GetBucketAcl",                            Read),
    row("PUT",    Bucket,  "acl",                 "PutBucketAcl",                            "PutBucketAcl",                            Write),
    row("GET",    Bucket,  "ownershipControls",   "GetBucketOwnershipControls",              "GetBucketOwnershipControls",              Read),
    row("PUT",    Bucket,  "ownershipControls",   "PutBucketOwnershipControls",              "PutBucketOwnershipControls",              Write),
    row("DELETE", Bucket,  "ownershipControls",   "DeleteBucketOwnershipControls",           "DeleteBucketOwnershipControls",           Write),
    row("GET",    Bucket,  "encryption",          "GetBucketEncryption",                     "GetBucketEncryption",                     Read),
    row("PUT",    Bucket,  "encryption",          "PutBucketEncryption",                     "PutBucketEncryption",                     Write),
    row("DELETE", Bucket,  "encryption",          "DeleteBucketEncryption",                  "DeleteBucketEncryption",                  Write),
    row("GET",    Bucket,  "website",             "GetBucketWebsite",                        "GetBucketWebsite",                        Read),
    row("PUT",    Bucket,  "website",             "PutBucketWebsite",                        "PutBucketWebsite",                        Write),
    row("DELETE", Bucket,  "website",             "DeleteBucketWebsite",                     "DeleteBucketWebsite",                     Write),
    row("GET",    Bucket,  "tagging",             "GetBucketTagging",                        "GetBucketTagging",                        Read),
    row("PUT",    Bucket,  "tagging",             "PutBucketTagging",                        "PutBucketTagging",                        Write),
    row("DELETE", Bucket,  "tagging",             "DeleteBucketTagging",                     "DeleteBucketTagging",                     Write),
    row("GET",    Bucket,  "versioning",          "GetBucketVersioning",                     "GetBucketVersioning",                     Read),
    row("PUT",    Bucket,  "versioning",          "PutBucketVersioning",                     "PutBucketVersioning",                     Write),
    row("GET",    Bucket,  "logging",             "GetBucketLogging",                        "GetBucketLogging",                        Read),
    row("PUT",    Bucket,  "logging",             "PutBucketLogging",                        "PutBucketLogging",                        Write),
    row("GET",    Bucket,  "lifecycle",           "GetBucketLifecycleConfiguration",         "GetBucketLifecycle",                      Read),
    row("PUT",    Bucket,  "lifecycle",           "PutBucketLifecycleConfiguration",         "PutBucketLifecycle",                      Write),
    row("DELETE", Bucket,  "lifecycle",           "DeleteBucketLifecycle",                   "DeleteBucketLifecycle",                   Write),
    row("GET",    Bucket,  "cors",                "GetBucketCors",                           "GetBucketCors",                           Read),
    row("PUT",    Bucket,  "cors",                "PutBucketCors",                           "PutBucketCors",                           Write),
    row("DELETE", Bucket,  "cors",                "DeleteBucketCors",                        "DeleteBucketCors",                        Write),
    row("GET",    Bucket,  "replication",         "GetBucketReplication",                    "GetBucketReplication",                    Read),
    row("PUT",    Bucket,  "replication",         "PutBucketReplication",                    "PutBucketReplication",                    Write),
    row("DELETE", Bucket,  "replication",         "DeleteBucketReplication",                 "DeleteBucketReplication",                 Write),
    row("GET",    Bucket,  "notification",        "GetBucketNotificationConfiguration",      "GetBucketNotification",                   Read),
    row("PUT",    Bucket,  "notification",        "PutBucketNotificationConfiguration",      "PutBucketNotification",                   Write),
    row("GET",    Bucket,  "location",            "GetBucketLocation",                       "GetBucketLocation",                       Read),
    row("GET",    Bucket,  "requestPayment",      "GetBucketRequestPayment",                 "GetBucketRequestPayment",                 Read),
    row("PUT",    Bucket,  "requestPayment",      "PutBucketRequestPayment",                 "PutBucketRequestPayment",                 Write),
    row("GET",    Bucket,  "accelerate",          "GetBucketAccelerateConfiguration",        "GetAccelerateConfiguration",              Read),
    row("PUT",    Bucket,  "accelerate",          "PutBucketAccelerateConfiguration",        "PutAccelerateConfiguration",              Write),
    row("GET",    Bucket,  "object-lock",         "GetObjectLockConfiguration",              "GetBucketObjectLockConfiguration",        Read),
    row("PUT",    Bucket,  "object-lock",         "PutObjectLockConfiguration",              "PutBucketObjectLockConfiguration",        Write),
    // With an id one configuration, without all of them.
    row("GET",    Bucket,  "inventory",           "GetBucketInventoryConfiguration",         "GetBucketInventoryConfiguration",         Read),
    row("PUT",    Bucket,  "inventory",           "PutBucketInventoryConfiguration",         "PutBucketInventoryConfiguration",         Write),
    row("DELETE", Bucket,  "inventory",           "DeleteBucketInventoryConfiguration",      "DeleteBucketInventoryConfiguration",      Write),
    row("GET",    Bucket,  "analytics",           "GetBucketAnalyticsConfiguration",         "GetBucketAnalyticsConfiguration",         Read),
    row("PUT",    Bucket,  "analytics",           "PutBucketAnalyticsConfiguration",         "PutBucketAnalyticsConfiguration",         Write),
    row("DELETE", Bucket,  "analytics",           "DeleteBucketAnalyticsConfiguration",      "DeleteBucketAnalyticsConfiguration",      Write),
    row("GET",    Bucket,  "metrics",             "GetBucketMetricsConfiguration",           "GetBucketMetricsConfiguration",           Read),
    row("PUT",    Bucket,  "metrics",             "PutBucketMetricsConfiguration",           "PutBucketMetricsConfiguration",           Write),
    row("DELETE", Bucket,  "metrics",             "DeleteBucketMetricsConfiguration",        "DeleteBucketMetricsConfiguration",        Write),
    row("GET",    Bucket,  "intelligent-tiering", "GetBucketIntelligentTieringConfiguration",    "GetBucketIntelligentTieringConfiguration",    Read),
    row("PUT",    Bucket,  "intelligent-tiering", "PutBucketIntelligentTieringConfiguration",    "PutBucketIntelligentTieringConfiguration",    Write),
    row("DELETE", Bucket,  "intelligent-tiering", "DeleteBucketIntelligentTieringConfiguration", "DeleteBucketIntelligentTieringConfiguration", Write),
    row("GET",    Bucket,  "uploads",             "ListMultipartUploads",                    "ListMultipartUploads",                    DataRead),
    row("GET",    Bucket,  "versions",            "ListObjectVersions",                      "ListObjectVersions",                      DataRead),
    row("GET",    Bucket,  "list-type=2",         "ListObjectsV2",                           "ListObjects",                             DataRead),
    row("GET",    Bucket,  "",                    "ListObjects",                             "ListObjects",                             DataRead),
    row("HEAD",   Bucket,  "",                    "HeadBucket",                              "HeadBucket",                              DataRead),
    row("POST",   Bucket,  "delete",              "DeleteObjects",                           "DeleteObjects",                           DataWrite),
    row("PUT",    Bucket,  "",                    "CreateBucket",                            "CreateBucket",                            Write),
    row("DELETE", Bucket,  "",                    "DeleteBucket",                            "DeleteBucket",                            Write),

    row("GET",    Object,  "acl",                 "GetObjectAcl",                            "GetObjectAcl",                            DataRead),
    row("PUT",    Object,  "acl",                 "PutObjectAcl",                            "PutObjectAcl",                            DataWrite),
    row("GET",    Object,  "tagging",             "GetObjectTagging",                        "GetObjectTagging",                        DataRead),
    row("PUT",    Object,  "tagging",             "PutObjectTagging",                        "PutObjectTagging",                        DataWrite),
    row("DELETE", Object,  "tagging",             "DeleteObjectTagging",                     "DeleteObjectTagging",                     DataWrite),
    row("GET",    Object,  "attributes",          "GetObjectAttributes",                     "GetObjectAttributes",                     DataRead),
    row("GET",    Object,  "retention",           "GetObjectRetention",                      "GetObjectRetention",                      DataRead),
    row("PUT",    Object,  "retention",           "PutObjectRetention",                      "PutObjectRetention",                      DataWrite),
    row("GET",    Object,  "legal-hold",          "GetObjectLegalHold",                      "GetObjectLegalHold",                      DataRead),
    row("PUT",    Object,  "legal-hold",          "PutObjectLegalHold",                      "PutObjectLegalHold",                      DataWrite),
    row("POST",   Object,  "uploads",             "CreateMultipartUpload",                   "CreateMultipartUpload",                   DataWrite),
    row("PUT",    Object,  "partNumber",          "UploadPart",                              "UploadPart",                              DataWrite),
    row("GET",    Object,  "uploadId",            "ListParts",                               "ListParts",                               DataRead),
    row("POST",   Object,  "uploadId",            "CompleteMultipartUpload",                 "CompleteMultipartUpload",                 DataWrite),
    row("DELETE", Object,  "uploadId",            "AbortMultipartUpload",                    "AbortMultipartUpload",                    DataWrite),
    row("POST",   Object,  "restore",             "RestoreObject",                           "RestoreObject",                           DataWrite),
    row("POST",   Object,  "select",              "SelectObjectContent",                     "SelectObjectContent",                     DataRead),
    row("PUT",    Object,  "@x-amz-copy-source",  "CopyObject",                              "CopyObject",                              DataWrite),
    row("GET",    Object,  "",                    "GetObject",                               "GetObject",                               DataRead),
    row("HEAD",   Object,  "",                    "HeadObject",                              "HeadObject",                              DataRead),
    row("PUT",    Object,  "",                    "PutObject",                               "PutObject",                               DataWrite),
    row("DELETE", Object,  "",                    "DeleteObject",                            "DeleteObject",                            DataWrite),
];

/// S3 Control's operations on an account: the method, the API's name and CloudTrail's.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_AWS_S3_Control.html>
pub static ACCOUNT_BLOCK: &[(&str, &str, &str)] = &[
    ("GET", "GetPublicAccessBlock", "GetAccountPublicAccessBlock"),
    ("PUT", "PutPublicAccessBlock", "PutAccountPublicAccessBlock"),
    ("DELETE", "DeletePublicAccessBlock", "DeleteAccountPublicAccessBlock"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn a_request_is_told_by_method_path_and_sub_resource() {
        for (method, target, header, name, event) in [
            (Method::GET, "/", None, "ListBuckets", "ListBuckets"),
            (Method::GET, "/?max-buckets=2", None, "ListBuckets", "ListBuckets"),
            (Method::PUT, "/clinic-scans", None, "CreateBucket", "CreateBucket"),
            (Method::HEAD, "/clinic-scans/", None, "HeadBucket", "HeadBucket"),
            (Method::GET, "/clinic-scans?list-type=2&prefix=a", None, "ListObjectsV2", "ListObjects"),
            (Method::GET, "/clinic-scans?list-type=1", None, "ListObjects", "ListObjects"),
            (
                Method::DELETE,
                "/clinic-scans?publicAccessBlock",
                None,
                "DeletePublicAccessBlock",
                "DeleteBucketPublicAccessBlock",
            ),
            (Method::PUT, "/clinic-scans?lifecycle=", None, "PutBucketLifecycleConfiguration", "PutBucketLifecycle"),
            (Method::GET, "/clinic-scans?policyStatus", None, "GetBucketPolicyStatus", "GetBucketPolicyStatus"),
            (Method::PUT, "/clinic-scans/a/b?acl", None, "PutObjectAcl", "PutObjectAcl"),
            (Method::PUT, "/clinic-scans/a", Some("x-amz-copy-source"), "CopyObject", "CopyObject"),
            (Method::PUT, "/clinic-scans/a?partNumber=1&uploadId=x", None, "UploadPart", "UploadPart"),
        ] {
            let mut request = ApiRequest::new(method, target);
            if let Some(header) = header {
                request = request.header(header, "/clinic-scans/b");
            }
            let row = operation(&request).unwrap();
            assert_eq!((row.name, row.event), (name, event), "{target}");
        }
        for (method, target) in [(Method::PATCH, "/clinic-scans"), (Method::DELETE, "/clinic-scans?metadataTable")] {
            assert_eq!(operation(&ApiRequest::new(method, target)), None, "{target}");
        }
        let created = operation(&ApiRequest::new(Method::PUT, "/clinic-scans?x-id=CreateBucket")).unwrap();
        assert_eq!(created.name, "CreateBucket");
    }

    #[test]
    fn every_row_can_be_reached_and_every_name_is_there_once() {
        for (at, row) in OPERATIONS.iter().enumerate() {
            let hidden = OPERATIONS.iter().take(at).any(|earlier| {
                (earlier.method, earlier.scope) == (row.method, row.scope)
                    && (earlier.mark.is_empty() || earlier.mark == row.mark)
            });
            assert!(!hidden, "{} is never found", row.name);
            assert_eq!(named(row.name), Some(row));
        }
    }

    #[test]
    fn keys_are_decoded() {
        let request = ApiRequest::new(Method::GET, "/clinic-scans/2026/a%20b.dcm?acl");
        assert_eq!(bucket_and_key(&request), (Some("clinic-scans".to_owned()), Some("2026/a b.dcm".to_owned())));
    }
}
