//! Reads a bucket and makes single writes to it. The only file here that knows the AWS SDK; it decides nothing.

use crate::{Block, BucketName, Change, Exposure, Parameters, PublicBucket, PublicWebsites, State};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{ObjectOwnership, PublicAccessBlockConfiguration};
use remediation::fault::Attempt;
use remediation::{Cloud, Fault, Place, Region};
use std::cell::RefCell;
use std::collections::HashMap;

/// S3, one client for each region that was needed so far; they share connections.
#[derive(Debug)]
pub struct S3 {
    sdk: SdkConfig,
    clients: RefCell<HashMap<Region, Client>>,
    parameters: Parameters,
}

/// The configuration, or the tag set, or what else a 404 says is not there.
const ABSENT: &[&str] = &[
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchBucketPolicy",
    "NoSuchWebsiteConfiguration",
    "NoSuchTagSet",
    "OwnershipControlsNotFoundError",
];

impl S3 {
    /// S3 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { sdk: sdk.clone(), clients: RefCell::default(), parameters }
    }

    fn client(&self, region: &Region) -> Client {
        let mut clients = self.clients.borrow_mut();
        let connect = || {
            let region = aws_sdk_s3::config::Region::new(region.to_string());
            Client::from_conf(aws_sdk_s3::config::Builder::from(&self.sdk).region(region).build())
        };
        clients.entry(region.clone()).or_insert_with(connect).clone()
    }

    async fn block(&self, client: &Client, place: &Place<BucketName>) -> Result<Option<Block>, Fault> {
        // expected_bucket_owner on every call: bucket names are global, and a name can be somebody else's by now.
        let call = client
            .get_public_access_block()
            .bucket(place.target.as_str())
            .expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketPublicAccessBlock", place)?;
        Ok(found.and_then(|answer| answer.public_access_block_configuration).map(|block| Block {
            // A setting that is not there is off.
            block_public_acls: block.block_public_acls.unwrap_or(false),
            ignore_public_acls: block.ignore_public_acls.unwrap_or(false),
            block_public_policy: block.block_public_policy.unwrap_or(false),
            restrict_public_buckets: block.restrict_public_buckets.unwrap_or(false),
        }))
    }

    async fn public_policy(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client
            .get_bucket_policy_status()
            .bucket(place.target.as_str())
            .expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketPolicyStatus", place)?;
        Ok(found.and_then(|answer| answer.policy_status).and_then(|status| status.is_public).unwrap_or(false))
    }

    async fn website(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call =
            client.get_bucket_website().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        Ok(found(call.send().await, "s3:GetBucketWebsite", place)?.is_some())
    }

    async fn phi(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call =
            client.get_bucket_tagging().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketTagging", place)?;
        let (key, value) = self.parameters.phi_tag.split_once('=').unwrap_or((&self.parameters.phi_tag, ""));
        Ok(found.is_some_and(|answer| answer.tag_set.iter().any(|tag| tag.key == key && tag.value == value)))
    }

    async fn acls_apply(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client
            .get_bucket_ownership_controls()
            .bucket(place.target.as_str())
            .expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketOwnershipControls", place)?;
        let rules =
            found.and_then(|answer| answer.ownership_controls).map(|controls| controls.rules).unwrap_or_default();
        Ok(!rules.iter().any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced))
    }

    async fn exposure(&self, client: &Client, place: &Place<BucketName>) -> Result<Exposure, Fault> {
        let (public_policy, website) =
            tokio::try_join!(self.public_policy(client, place), self.website(client, place))?;
        let (phi, acls_apply) = if website {
            tokio::try_join!(self.phi(client, place), self.acls_apply(client, place))?
        } else {
            (false, false)
        };
        Ok(Exposure { public_policy, website, acls_apply, phi, public_websites: self.public_websites() })
    }

    fn public_websites(&self) -> PublicWebsites {
        self.parameters.public_websites
    }
}

impl Cloud<PublicBucket> for S3 {
    async fn observe(&self, place: &Place<BucketName>) -> Result<Option<State>, Fault> {
        let client = self.client(&place.region);
        let block = match self.block(&client, place).await {
            Err(Fault::Gone) => return Ok(None),
            block => block?,
        };
        if block == Some(Block::FULL) {
            return Ok(Some(State { block, exposure: None }));
        }
        match self.exposure(&client, place).await {
            Err(Fault::Gone) => Ok(None),
            exposure => Ok(Some(State { block, exposure: Some(exposure?) })),
        }
    }

    async fn apply(&self, place: &Place<BucketName>, change: &Change) -> Result<(), Fault> {
        let (client, bucket, owner) = (self.client(&place.region), place.target.as_str(), place.account.as_str());
        match change {
            Change::PutPublicAccessBlock(block) => {
                let configuration = PublicAccessBlockConfiguration::builder()
                    .block_public_acls(block.block_public_acls)
                    .ignore_public_acls(block.ignore_public_acls)
                    .block_public_policy(block.block_public_policy)
                    .restrict_public_buckets(block.restrict_public_buckets)
                    .build();
                let call = client.put_public_access_block().bucket(bucket).expected_bucket_owner(owner);
                let sent = call.public_access_block_configuration(configuration).send().await;
                sent.map(drop).map_err(|error| fault(&error, "s3:PutBucketPublicAccessBlock", place))
            }
            Change::DeletePublicAccessBlock => {
                let sent = client.delete_public_access_block().bucket(bucket).expected_bucket_owner(owner).send().await;
                sent.map(drop).map_err(|error| fault(&error, "s3:PutBucketPublicAccessBlock", place))
            }
        }
    }
}

/// The answer; none if S3 says that what was asked for is not set.
fn found<T, E: ProvideErrorMetadata>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    action: &'static str,
    place: &Place<BucketName>,
) -> Result<Option<T>, Fault> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code().is_some_and(|code| ABSENT.contains(&code)) => Ok(None),
        Err(error) => Err(fault(&error, action, place)),
    }
}

/// S3's own codes first. <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
fn fault<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    action: &'static str,
    place: &Place<BucketName>,
) -> Fault {
    let raw = error.raw_response();
    // A call to the wrong region is answered with the right one: 301 PermanentRedirect, 400 AuthorizationHeaderMalformed.
    let region =
        raw.and_then(|raw| raw.headers().get("x-amz-bucket-region")).and_then(|region| Region::parse(region).ok());
    let status = raw.map(|raw| raw.status().as_u16());
    match (error.code(), status, region) {
        (_, Some(301 | 307 | 400), Some(region)) if region != place.region => Fault::Elsewhere(region),
        (Some("NoSuchBucket"), ..) => Fault::Gone,
        _ => Attempt { action, resource: &format_args!("bucket {}", place.target) }.fault(error),
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
