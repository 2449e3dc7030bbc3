//! Evidence in an S3 bucket.
//!
//! How long nobody can delete it is the bucket's own default retention (Object Lock), which the deployment sets; whoever
//! puts an object needs no permission about retention for that.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>

use crate::shelf::{Listed, Put, Shelf};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use ledger::{Answer, Trouble};
use remediation::fault::Attempt;
use remediation::{AccountId, Fault, shown};
use std::fmt::Display;

/// A bucket of the account given: every call names the owner that it expects, since bucket names are global.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    owner: AccountId,
}

impl Bucket {
    /// The bucket of this name. No call is made yet.
    pub fn new(sdk: &SdkConfig, name: impl Into<String>, owner: AccountId) -> Self {
        let config = aws_sdk_s3::config::Builder::from(sdk).force_path_style(true);
        Self { client: Client::from_conf(config.build()), name: name.into(), owner }
    }

    fn trouble<E: ProvideErrorMetadata>(
        &self,
        error: &SdkError<E, HttpResponse>,
        action: &'static str,
        what: &dyn Display,
    ) -> Trouble {
        if error.code() == Some("NoSuchBucket") {
            let name = shown(&self.name);
            return Trouble::lasting(format!("the bucket {name} does not exist; set SUTURE_EVIDENCE or deploy it"));
        }
        let fault = Attempt { action, resource: &format_args!("{what} in bucket {}", shown(&self.name)) }.fault(error);
        let lost = matches!(fault, Fault::Lost(_));
        Trouble::Away { why: fault.to_string(), retry: fault.is_worth_a_retry(), perhaps: lost }
    }

    async fn put(&self, key: &str, text: &str) -> Result<Put, Trouble> {
        // A bucket with a default retention refuses a put without a checksum; this one is also the hash of the chain.
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        let call = self.client.put_object().bucket(&self.name).key(key).expected_bucket_owner(self.owner.as_str());
        let call = call.if_none_match("*").checksum_algorithm(ChecksumAlgorithm::Sha256);
        let call = call.content_type("application/json").body(ByteStream::from(text.as_bytes().to_vec()));
        match call.send().await {
            Ok(_) => Ok(Put::New),
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
            Err(error) if status(&error) == Some(412) => Ok(Put::Taken),
            Err(error) if status(&error) == Some(409) => {
                Err(Trouble::passing(format!("somebody else writes {key} at this moment; it will be put again")))
            }
            Err(error) => Err(self.trouble(&error, "s3:PutObject", &key)),
        }
    }

    async fn read(&self, key: &str, version: Option<&str>) -> Result<Option<Vec<u8>>, Trouble> {
        let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let call = self.client.get_object().bucket(&self.name).key(key).expected_bucket_owner(self.owner.as_str());
        let answer = match call.set_version_id(version.map(str::to_owned)).send().await {
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => return Ok(None),
            answer => answer.map_err(|error| self.trouble(&error, action, &shown(key)))?,
        };
        let broke = |_| Trouble::passing(format!("{action} on {}: the answer broke off", shown(key)));
        Ok(Some(answer.body.collect().await.map_err(broke)?.to_vec()))
    }

    /// Every version and delete marker whose name begins so, page by page.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
    async fn each_version(&self, begins: &str, mut take: impl FnMut(Entry)) -> Result<(), Trouble> {
        let (mut key, mut version) = (None, None);
        loop {
            let call = self.client.list_object_versions().bucket(&self.name).prefix(begins);
            let call =
                call.expected_bucket_owner(self.owner.as_str()).set_key_marker(key).set_version_id_marker(version);
            let answer = call.send().await;
            let answer = answer.map_err(|error| self.trouble(&error, "s3:ListBucketVersions", &"objects"))?;
            for each in answer.versions.unwrap_or_default() {
                let latest = each.is_latest.unwrap_or(false);
                if let Some(key) = each.key {
                    take(Entry { key, id: each.version_id, latest });
                }
            }
            for each in answer.delete_markers.unwrap_or_default() {
                if let Some(key) = each.key.filter(|_| each.is_latest.unwrap_or(false)) {
                    take(Entry { key, id: None, latest: false });
                }
            }
            if !answer.is_truncated.unwrap_or(false) {
                return Ok(());
            }
            (key, version) = (answer.next_key_marker, answer.next_version_id_marker);
            if key.is_none() {
                return Err(Trouble::passing("s3:ListBucketVersions: a page does not say where the next one begins"));
            }
        }
    }
}

/// A version; or, without an id, a mark that the object was deleted.
struct Entry {
    key: String,
    id: Option<String>,
    latest: bool,
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

impl Shelf for Bucket {
    fn put_new<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, Put> {
        Box::pin(self.put(key, text))
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(self.read(key, None))
    }

    fn list<'a>(&'a self, begins: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let mut listed = Vec::new();
            let take = |Entry { key, id, latest }| {
                if latest || id.is_none() {
                    listed.push(Listed { key, deleted: !latest });
                }
            };
            self.each_version(begins, take).await?;
            Ok(listed)
        })
    }

    fn versions<'a>(&'a self, key: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let mut ids = Vec::new();
            self.each_version(key, |entry| ids.extend(entry.id.filter(|_| entry.key == key))).await?;
            Ok(ids)
        })
    }

    fn version<'a>(&'a self, key: &'a str, id: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(self.read(key, Some(id)))
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
