//! Public access blocks: a bucket's own and the account's.

use crate::{BucketName, found};
use aws_sdk_s3::Client;
use remediation::{Fault, Place};
use serde::{Deserialize, Serialize};

/// A public access block, a bucket's or an account's; all off is the same as none.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PublicAccessBlockConfiguration.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "four settings, as S3 has them")]
pub struct Block {
    /// New public ACLs are refused.
    pub block_public_acls: bool,
    /// Public ACLs that are there have no effect, and S3 does not show their public grants.
    pub ignore_public_acls: bool,
    /// New public policies are refused.
    pub block_public_policy: bool,
    /// A public policy that is there serves only the bucket's own account and AWS services.
    pub restrict_public_buckets: bool,
}

impl Block {
    /// All four on.
    pub const FULL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

/// The bucket's own public access block; all off if it has none. That of the account, which counts besides, is not in it.
/// One call. Needs `s3:GetBucketPublicAccessBlock`.
pub async fn own_block(client: &Client, place: &Place<BucketName>) -> Result<Block, Fault> {
    let call =
        client.get_public_access_block().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
    let found = found(call.send().await, "s3:GetBucketPublicAccessBlock", place)?;
    let block = found.and_then(|answer| answer.public_access_block_configuration);
    // A setting that is not there is off.
    Ok(block.map_or_else(Block::default, |block| Block {
        block_public_acls: block.block_public_acls.unwrap_or(false),
        ignore_public_acls: block.ignore_public_acls.unwrap_or(false),
        block_public_policy: block.block_public_policy.unwrap_or(false),
        restrict_public_buckets: block.restrict_public_buckets.unwrap_or(false),
    }))
}
