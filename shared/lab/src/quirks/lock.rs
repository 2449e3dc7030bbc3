//! S3 Object Lock.

use super::error::respond;
use super::{Act, Quirk, code};
use http::StatusCode;

pub(super) const LOCKED_VERSIONS: Quirk = Quirk {
    id: "locked-versions",
    aws: "A version under COMPLIANCE can be deleted, or kept for less long, by nobody; one under GOVERNANCE by who asks to \
          bypass it; versioning stays on, and the default retention can be set for a bucket that has objects.",
    moto: "Lets anybody shorten a retention or suspend versioning, takes any word for the bypass, and wants an empty bucket.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html",
    act: Act::Inside("s3"),
};

pub(super) const LOCK_CHECKSUM: Quirk = Quirk {
    id: "lock-checksum",
    aws: "An upload to a bucket with a default retention must have a Content-MD5 or a checksum of any kind.",
    moto: "Wants Content-MD5 or the header that only names the algorithm, and refuses what an SDK sends with the checksum.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-put-object",
    act: Act::Request(|scene, request| {
        if !scene.is_s3(&["PutObject", "CopyObject"]) {
            return;
        }
        let trailer = request.text("x-amz-trailer").map(str::to_owned);
        let mut names = request.headers.keys().map(|name| name.as_str().to_owned()).chain(trailer);
        let algorithm = names.find_map(|name| name.strip_prefix("x-amz-checksum-").map(str::to_uppercase));
        if let Some(algorithm) = algorithm.and_then(|name| name.parse().ok()) {
            request.headers.entry("x-amz-sdk-checksum-algorithm").or_insert(algorithm);
        }
    }),
};

pub(super) const LOCK_CHECKSUM_ANSWER: Quirk = Quirk {
    id: "lock-checksum-answer",
    aws: "Refuses an upload without one with InvalidRequest.",
    moto: "Makes up a code of its own.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-put-object",
    act: Act::Answer(|scene, answer| {
        Box::pin(async move {
            if code(&answer).as_deref() != Some("MissingUploadObjectWithObjectLockHeaders") {
                return Ok(answer);
            }
            let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
            Ok(respond(scene.call, StatusCode::BAD_REQUEST, "InvalidRequest", message, &[]))
        })
    }),
};
