//! Reads a bucket and makes single writes to it. The only file here that knows the AWS SDK; it decides nothing.

use crate::{Block, Change, Exposure, Parameters, PublicBucket, PublicWebsites, State};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ObjectOwnership, PublicAccessBlockConfiguration};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use s3::{BucketName, Clients, fault, found, is_tagged};

/// S3, as this control needs it.
#[derive(Debug)]
pub struct S3 {
    clients: Clients,
    parameters: Parameters,
}

impl S3 {
    /// S3 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { clients: Clients::new(sdk), parameters }
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
            tokio::try_join!(is_tagged(client, place, &self.parameters.phi_tag), self.acls_apply(client, place))?
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
    async fn observe(&self, place: &Place<BucketName>, _: &Occasion) -> Result<Option<State>, Fault> {
        let client = self.clients.at(&place.region);
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
        let (client, bucket, owner) = (self.clients.at(&place.region), place.target.as_str(), place.account.as_str());
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

    async fn tags(&self, place: &Place<BucketName>) -> Result<Vec<(String, String)>, Fault> {
        self.clients.tags(place).await
    }

    async fn list(
        &self,
        account: &AccountId,
        region: &Region,
        _: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<BucketName>, Fault> {
        self.clients.list(account, region, after).await
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
