//! What every S3 control needs: bucket names, one client for each region, and what S3's errors mean.

mod block;
mod bucket;
mod names;
mod tags;
mod websites;

pub use block::{Block, own_block};
pub use bucket::BucketName;
pub use names::Names;
pub use tags::is_tagged;
pub use websites::{PHI_TAG, PUBLIC_WEBSITES, PublicWebsites, Website, WebsiteParameters, website};

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use remediation::fault::Attempt;
use remediation::{AccountId, Fault, Page, Place, Region};
use std::cell::RefCell;
use std::collections::HashMap;

/// What a 404 says is not there, though the bucket is: a configuration, a policy, a tag set.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const ABSENT: &[&str] = &[
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "NoSuchWebsiteConfiguration",
    "OwnershipControlsNotFoundError",
    "ReplicationConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
];

/// How many buckets a page of a sweep holds.
const PAGE: i32 = 500;

/// S3, one client for each region that was needed so far; they share connections.
///
/// A bucket is named in the path of a request and not in its host: a host for each bucket is a connection for each, kept for
/// a while after its use, and a function that sweeps thousands of buckets may have 1024 files open.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html#path-style-access>
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
#[derive(Debug)]
pub struct Clients {
    sdk: SdkConfig,
    by_region: RefCell<HashMap<Region, Client>>,
}

impl Clients {
    /// S3 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), by_region: RefCell::default() }
    }

    /// The client for a region.
    pub fn at(&self, region: &Region) -> Client {
        let mut clients = self.by_region.borrow_mut();
        let connect = || {
            let region = aws_sdk_s3::config::Region::new(region.to_string());
            let config = aws_sdk_s3::config::Builder::from(&self.sdk).region(region).force_path_style(true);
            Client::from_conf(config.build())
        };
        clients.entry(region.clone()).or_insert_with(connect).clone()
    }

    /// One page of the account's buckets in the region: those that a control can look at (no directory buckets, which
    /// ListBuckets does not list). Needs `s3:ListAllMyBuckets`.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>
    pub async fn list(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
    ) -> Result<Page<BucketName>, Fault> {
        let call = self.at(region).list_buckets().max_buckets(PAGE).bucket_region(region.as_str());
        let sent = call.set_continuation_token(after.map(str::to_owned)).send().await;
        let attempt = Attempt { action: "s3:ListAllMyBuckets", resource: &format_args!("account {account}") };
        let answer = sent.map_err(|error| attempt.fault(&error))?;
        let names = answer.buckets.unwrap_or_default().into_iter().filter_map(|bucket| bucket.name);
        // A name that does not parse cannot be addressed safely, and S3 lists none such.
        let targets = names.filter_map(|name| BucketName::parse(&name).ok()).collect();
        Ok(Page { targets, next: answer.continuation_token })
    }
}

/// The answer; none if S3 says that what was asked for is not set.
pub fn found<T, E: ProvideErrorMetadata>(
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

/// What an error of S3 means. S3's own codes first; the rest is for [`Attempt::fault`].
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
pub fn fault<E: ProvideErrorMetadata>(
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
