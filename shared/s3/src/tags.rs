//! The tags of buckets.

use crate::{BucketName, Clients, found};
use aws_sdk_s3::Client;
use remediation::{Fault, Place};

impl Clients {
    /// A bucket's tags, keys and values; none if it has none, and none if there is no such bucket. One call, since all of
    /// them (at most 50) come at once. Needs `s3:GetBucketTagging`.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html>
    pub async fn tags(&self, place: &Place<BucketName>) -> Result<Vec<(String, String)>, Fault> {
        match read(&self.at(&place.region), place).await {
            Err(Fault::Gone) => Ok(Vec::new()),
            tags => tags,
        }
    }
}

/// Whether the bucket has a tag, given as `key=value`. [`Fault::Gone`] if there is no such bucket. One call. Needs
/// `s3:GetBucketTagging`.
pub async fn is_tagged(client: &Client, place: &Place<BucketName>, tag: &str) -> Result<bool, Fault> {
    let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
    Ok(read(client, place).await?.iter().any(|(k, v)| k == key && v == value))
}

async fn read(client: &Client, place: &Place<BucketName>) -> Result<Vec<(String, String)>, Fault> {
    // The expected owner on this call too: a mark of somebody else's bucket must not stand for one of ours.
    let call = client.get_bucket_tagging().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
    let tags = found(call.send().await, "s3:GetBucketTagging", place)?.map(|answer| answer.tag_set);
    Ok(tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect())
}

#[cfg(test)]
#[path = "tags_tests.rs"]
mod tests;
