//! Which IAM action an API operation needs: not always the one of its own name.

use lab::gateway::Happened;

/// Operations whose action has another name, by service.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
const OTHER_NAMES: &[(&str, &str)] = &[
    ("s3:GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("s3:PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("s3:DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("s3:GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("s3:PutBucketEncryption", "s3:PutEncryptionConfiguration"),
    ("s3:DeleteBucketEncryption", "s3:PutEncryptionConfiguration"),
    ("s3:GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"),
    ("s3:GetBucketReplication", "s3:GetReplicationConfiguration"),
    ("s3:ListBuckets", "s3:ListAllMyBuckets"),
    ("s3:HeadBucket", "s3:ListBucket"),
    ("s3control:GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
    ("s3control:PutPublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
    ("s3control:DeletePublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
];

/// The calls that the engine makes for every control alike: to the ledger, and to learn who sent a request. What its role needs
/// for them is in [`crate::template::LEDGER`]; the last needs nothing.
const OF_THE_ENGINE: [&str; 4] =
    ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:TransactWriteItems", "sts:GetCallerIdentity"];

/// Whether the engine makes this call, whatever the control.
pub fn of_the_engine(call: &str) -> bool {
    OF_THE_ENGINE.contains(&call)
}

/// The IAM actions that a call needs: its own, and the one for the tags that it gives.
pub fn actions(call: &Happened) -> Vec<String> {
    let tags = call.tags.then(|| "ec2:CreateTags".to_owned());
    tags.into_iter().chain([action(&call.name())]).collect()
}

/// The IAM action that a call needs, named as [`lab::gateway::Happened::name`] names it.
pub fn action(call: &str) -> String {
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == call);
    other.map_or_else(|| call.to_owned(), |(_, action)| (*action).to_owned())
}
