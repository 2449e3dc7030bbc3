//! What the function is, as data: what `--about` prints, so that the template can be held against the binary.

use serde::Serialize;

/// The function.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct About {
    /// Its id: `recorder`.
    pub id: &'static str,
    /// What its role may do.
    pub permissions: Permissions,
    /// The sections of 45 CFR that it serves.
    pub citations: &'static [&'static str],
}

/// What the function's role may do, by what it may do it to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Permissions {
    /// On the ledger's table.
    pub table: &'static [&'static str],
    /// On the table's index `by-day`.
    pub index: &'static [&'static str],
    /// On the table's stream.
    pub stream: &'static [&'static str],
    /// On the evidence bucket.
    pub bucket: &'static [&'static str],
    /// On the bucket's objects.
    pub objects: &'static [&'static str],
    /// On the key of the bucket and the topic.
    pub key: &'static [&'static str],
    /// On the topic.
    pub topic: &'static [&'static str],
    /// On Security Hub's default product of the account.
    pub hub: &'static [&'static str],
}

/// The facts. A transaction needs the permissions of the writes in it:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
pub const ABOUT: About = About {
    id: "recorder",
    permissions: Permissions {
        table: &["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"],
        index: &["dynamodb:Query"],
        stream: &[
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        ],
        // Listing is only for a chain whose end is gone from the ledger, and reading for an object that is there already.
        bucket: &["s3:ListBucketVersions"],
        objects: &["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
        key: &["kms:Decrypt", "kms:GenerateDataKey"],
        topic: &["sns:Publish"],
        hub: &["securityhub:BatchImportFindings"],
    },
    citations: &["45 CFR 164.312(b)", "45 CFR 164.316(b)(1)", "45 CFR 164.316(b)(2)(i)"],
};
