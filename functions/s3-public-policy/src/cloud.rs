//! Reads a bucket's policy and makes single writes to it. The only file here that knows the AWS SDK; it decides nothing.

use crate::policy::{Policy, same};
use crate::{Change, Look, Parameters, PublicPolicy, State};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use s3::{BucketName, Clients, fault, found, own_block, website};

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

    async fn policy(&self, client: &Client, place: &Place<BucketName>) -> Result<Option<String>, Fault> {
        // expected_bucket_owner on every call: bucket names are global, and a name can be somebody else's by now.
        let call =
            client.get_bucket_policy().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        Ok(found(call.send().await, "s3:GetBucketPolicy", place)?.and_then(|answer| answer.policy))
    }

    async fn judged_public(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client
            .get_bucket_policy_status()
            .bucket(place.target.as_str())
            .expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketPolicyStatus", place)?;
        Ok(found.and_then(|answer| answer.policy_status).and_then(|status| status.is_public).unwrap_or(false))
    }

    async fn look(&self, client: &Client, place: &Place<BucketName>, text: &str) -> Result<Option<Look>, Fault> {
        let policy = Policy::read(text);
        if !policy.is_doubtful() {
            return Ok(None);
        }
        // Nothing that lets everybody in for certain: S3's judgement settles that alone.
        let settled = policy.public.is_empty();
        if settled && !self.judged_public(client, place).await? {
            return Ok(None);
        }
        let (public, block, website) = tokio::try_join!(
            async { if settled { Ok(true) } else { self.judged_public(client, place).await } },
            own_block(client, place),
            website(client, place, &self.parameters)
        )?;
        let (refuses_public, restricted) = (block.block_public_policy, block.restrict_public_buckets);
        Ok(Some(Look { public, refuses_public, restricted, website }))
    }

    /// Whether the bucket's policy is still the one that a write was decided on; true if the write's outcome is there
    /// already.
    async fn is_made(
        &self,
        client: &Client,
        place: &Place<BucketName>,
        was: Option<&str>,
        to: Option<&str>,
    ) -> Result<bool, Fault> {
        let alike = |one: Option<&str>, other: Option<&str>| match (one, other) {
            (Some(one), Some(other)) => same(one, other),
            (one, other) => one == other,
        };
        let now = self.policy(client, place).await?;
        if alike(now.as_deref(), to) {
            return Ok(true);
        }
        if alike(now.as_deref(), was) {
            return Ok(false);
        }
        Err(Fault::Moved(format!("the policy of bucket {} was changed since we read it", place.target)))
    }

    async fn put(&self, client: &Client, place: &Place<BucketName>, policy: &str) -> Result<(), Fault> {
        // A policy that lets everybody in is only ever an undo's.
        let public = !Policy::read(policy).public.is_empty();
        if public && own_block(client, place).await?.block_public_policy {
            return Err(refused(place, public));
        }
        let call = client.put_bucket_policy().bucket(place.target.as_str());
        let sent = call.expected_bucket_owner(place.account.as_str()).policy(policy).send().await;
        sent.map(drop).map_err(|error| put_fault(&error, place, public))
    }
}

/// What it means that S3 refuses a policy as public.
fn refused(place: &Place<BucketName>, public: bool) -> Fault {
    let what = format!(
        "a public access block of bucket {} or of its account refuses public policies (BlockPublicPolicy)",
        place.target
    );
    Fault::GiveUp(if public {
        format!("{what}; to undo, take back the record of s3-public-bucket (or s3-public-account) first, then this one")
    } else {
        format!("{what}, and to S3 what was to be left of this one is public still; rewrite it by hand")
    })
}

fn put_fault<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    place: &Place<BucketName>,
    public: bool,
) -> Fault {
    match (error.code(), error.message()) {
        // "… because public policies are blocked by the BlockPublicPolicy block public access setting": the account's
        // block, which is not in the bucket's own, says so too.
        (Some("AccessDenied"), Some(message)) if message.contains("BlockPublicPolicy") => refused(place, public),
        (Some("MalformedPolicy"), _) => Fault::GiveUp(format!(
            "S3 does not take the policy of bucket {} (MalformedPolicy): a principal in it may have been deleted; it is in \
             the record, to be put by hand",
            place.target
        )),
        _ => fault(error, "s3:PutBucketPolicy", place),
    }
}

impl Cloud<PublicPolicy> for S3 {
    async fn observe(&self, place: &Place<BucketName>, _: &Occasion) -> Result<Option<State>, Fault> {
        let client = self.clients.at(&place.region);
        let policy = match self.policy(&client, place).await {
            Err(Fault::Gone) => return Ok(None),
            Ok(None) => return Ok(Some(State { policy: None, look: None })),
            Ok(Some(policy)) => policy,
            Err(fault) => return Err(fault),
        };
        match self.look(&client, place, &policy).await {
            Err(Fault::Gone) => Ok(None),
            look => Ok(Some(State { look: look?, policy: Some(policy) })),
        }
    }

    async fn apply(&self, place: &Place<BucketName>, change: &Change) -> Result<(), Fault> {
        let client = self.clients.at(&place.region);
        match change {
            Change::PutBucketPolicy { was, policy } => {
                if self.is_made(&client, place, was.as_deref(), Some(policy)).await? {
                    return Ok(());
                }
                self.put(&client, place, policy).await
            }
            Change::DeleteBucketPolicy { was } => {
                if self.is_made(&client, place, was.as_deref(), None).await? {
                    return Ok(());
                }
                let call = client.delete_bucket_policy().bucket(place.target.as_str());
                let sent = call.expected_bucket_owner(place.account.as_str()).send().await;
                sent.map(drop).map_err(|error| fault(&error, "s3:DeleteBucketPolicy", place))
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
