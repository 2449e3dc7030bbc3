//! Buckets' settings: what S3 says that they are.

use super::{Act, Quirk};
use bytes::Bytes;

/// The root elements that moto makes up, and S3's own.
const ROOTS: &[(&str, &str, &str)] = &[
    ("GetBucketVersioning", "GetBucketVersioningResponse", "VersioningConfiguration"),
    ("GetBucketNotificationConfiguration", "GetBucketNotificationResponse", "NotificationConfiguration"),
    ("GetBucketAccelerateConfiguration", "GetBucketAccelerateConfigurationResponse", "AccelerateConfiguration"),
    (
        "GetBucketInventoryConfiguration",
        "ListBucketInventoryConfigurationsResponse",
        "ListInventoryConfigurationsResult",
    ),
];

pub(super) const ROOT_ELEMENTS: Quirk = Quirk {
    id: "root-elements",
    aws: "GetBucketVersioning answers with a VersioningConfiguration, and so on: an SDK that does not find it fails.",
    moto: "Names the root after the operation, as query services do; the AWS CLI does not look at it.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html",
    act: Act::Answer(|scene, mut answer| {
        Box::pin(async move {
            let row = ROOTS.iter().find(|(operation, ..)| scene.is_s3(&[operation]));
            if let (Some((_, theirs, right)), Ok(text)) = (row, str::from_utf8(&answer.body))
                && answer.status.is_success()
            {
                answer.body = Bytes::from(text.replace(theirs, right));
                answer.headers.remove(http::header::CONTENT_LENGTH);
            }
            Ok(answer)
        })
    }),
};

pub(super) const ACL_GRANTS: Quirk = Quirk {
    id: "acl-grants",
    aws: "An ACL has one grant for each grantee and permission, whether it was set by a body, by headers or by a canned \
          name.",
    moto: "Shows the first of several: public-read-write as READ, log-delivery-write as READ_ACP, and one grantee of a \
           header's.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html",
    act: Act::Inside("s3"),
};

pub(super) const BLOCKED_ENCRYPTION_TYPES: Quirk = Quirk {
    id: "blocked-encryption-types",
    aws: "Default encryption keeps BlockedEncryptionTypes; a new bucket blocks SSE-C.",
    moto: "Drops them.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html",
    act: Act::Inside("s3"),
};

pub(super) const REPLICATION_RULES: Quirk = Quirk {
    id: "replication-rules",
    aws: "GetBucketReplication gives the rules as they were set, with SourceSelectionCriteria.",
    moto: "Drops it, and makes up the filter and the delete markers.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketReplication.html",
    act: Act::Inside("s3"),
};

pub(super) const EVENTBRIDGE_NOTIFICATION: Quirk = Quirk {
    id: "eventbridge-notification",
    aws: "A bucket that sends its events to EventBridge says so in its notification configuration.",
    moto: "Drops it.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html",
    act: Act::Inside("s3"),
};
