//! Reads an account and its buckets, and makes single writes to the account. The only file here that knows the AWS SDK;
//! it decides nothing.

use crate::{Account, Block, Change, PublicAccount, State, Survey};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::ObjectOwnership;
use aws_sdk_s3control::Client as Control;
use aws_sdk_s3control::config::http::HttpResponse;
use aws_sdk_s3control::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3control::types::PublicAccessBlockConfiguration;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use remediation::fault::{Attempt, DeniedBy};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use s3::{BucketName, Clients, Names, WebsiteParameters, found, own_block, website};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

/// How many buckets are looked at at a time.
const AT_ONCE: usize = 32;
/// How many buckets a page of the listing holds.
const PAGE: i32 = 1000;
/// The groups whose grants are public: everybody, and everybody who has any AWS account.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>
const PUBLIC_GROUPS: [&str; 2] =
    ["http://acs.amazonaws.com/groups/global/AllUsers", "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"];

/// S3 and S3 Control, as this control needs them.
#[derive(Debug)]
pub struct S3 {
    sdk: SdkConfig,
    clients: Clients,
    control: RefCell<HashMap<Region, Control>>,
    last: RefCell<Option<Last>>,
    parameters: WebsiteParameters,
}

/// The last survey. The readings-back of one occasion that still show the old block do not look at every bucket again.
#[derive(Debug)]
struct Last {
    /// The occasion's time, in nanoseconds since 1970.
    at: i128,
    account: Account,
    block: Option<Block>,
    survey: Survey,
}

/// A bucket as the listing has it: its name, and its region if the listing tells.
type Bucket = (String, Option<Region>);

/// What was seen of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    public_policy: bool,
    public_acl: bool,
    /// An open website, and whether the bucket is tagged as holding protected health information.
    website: Option<bool>,
}

impl S3 {
    /// S3 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: WebsiteParameters) -> Self {
        let (control, last) = (RefCell::default(), RefCell::default());
        Self { sdk: sdk.clone(), clients: Clients::new(sdk), control, last, parameters }
    }

    fn control(&self, region: &Region) -> Control {
        let mut clients = self.control.borrow_mut();
        let connect = || {
            let region = aws_sdk_s3control::config::Region::new(region.to_string());
            Control::from_conf(aws_sdk_s3control::config::Builder::from(&self.sdk).region(region).build())
        };
        clients.entry(region.clone()).or_insert_with(connect).clone()
    }

    async fn block(&self, place: &Place<Account>) -> Result<Option<Block>, Fault> {
        let sent = self.control(&place.region).get_public_access_block().account_id(place.target.id().as_str()).send();
        match sent.await {
            Ok(answer) => Ok(answer.public_access_block_configuration.map(|block| Block {
                // A setting that is not there is off.
                block_public_acls: block.block_public_acls.unwrap_or(false),
                ignore_public_acls: block.ignore_public_acls.unwrap_or(false),
                block_public_policy: block.block_public_policy.unwrap_or(false),
                restrict_public_buckets: block.restrict_public_buckets.unwrap_or(false),
            })),
            Err(error) if error.code() == Some("NoSuchPublicAccessBlockConfiguration") => Ok(None),
            Err(error) => Err(fault(&error, "s3:GetAccountPublicAccessBlock", place)),
        }
    }

    /// One page of the account's buckets, of all regions, each with its region as far as the answer has it.
    async fn page(
        &self,
        place: &Place<Account>,
        after: Option<String>,
    ) -> Result<(Vec<Bucket>, Option<String>), Fault> {
        // S3 names regions only to those who ask for pages.
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_Bucket.html
        let call = self.clients.at(&place.region).list_buckets().max_buckets(PAGE).set_continuation_token(after);
        let attempt = Attempt { action: "s3:ListAllMyBuckets", resource: &format_args!("account {}", place.target) };
        let answer = call.send().await.map_err(|error| attempt.fault(&error))?;
        let buckets = answer.buckets.unwrap_or_default().into_iter().filter_map(|bucket| {
            Some((bucket.name?, bucket.bucket_region.and_then(|region| Region::parse(&region).ok())))
        });
        Ok((buckets.collect(), answer.continuation_token))
    }

    /// Looks at every bucket of the account, a bounded number at a time; pages are read as they are needed.
    async fn survey(&self, place: &Place<Account>, block: Option<Block>) -> Result<Survey, Fault> {
        let mut survey = Survey {
            buckets: 0,
            public_policies: Names::default(),
            public_acls: Names::default(),
            websites: Names::default(),
            phi_websites: Names::default(),
            unknown: Names::default(),
            public_websites: self.parameters.public_websites,
        };
        let (first, mut next) = self.page(place, None).await?;
        let mut queue = VecDeque::from(first);
        let mut looks = FuturesUnordered::new();
        // What failed in passing, for another look once the rest is done.
        let mut again: Option<Vec<Bucket>> = Some(Vec::new());
        loop {
            while looks.len() < AT_ONCE
                && let Some(bucket) = queue.pop_front()
            {
                looks.push(Box::pin(async move {
                    let seen = self.bucket(place, &bucket, block).await;
                    (bucket, seen)
                }));
            }
            if queue.is_empty()
                && let Some(after) = next.take()
            {
                let (buckets, more) = self.page(place, Some(after)).await?;
                queue.extend(buckets);
                next = more;
                continue;
            }
            match (looks.next().await, &mut again) {
                (Some((bucket, Err(fault))), Some(again)) if fault.is_worth_a_retry() => again.push(bucket),
                (Some(((name, _), seen)), _) => count(&mut survey, name, seen)?,
                (None, again) => match again.take() {
                    Some(failed) if !failed.is_empty() => queue.extend(failed),
                    _ => break,
                },
            }
        }
        Ok(survey)
    }

    /// One bucket, in its own region.
    async fn bucket(
        &self,
        account: &Place<Account>,
        (name, region): &Bucket,
        block: Option<Block>,
    ) -> Result<Seen, Fault> {
        // A name that does not parse cannot be addressed safely, and S3 lists none such.
        let target = BucketName::parse(name).map_err(Fault::GiveUp)?;
        let region = region.clone().unwrap_or_else(|| account.region.clone());
        let mut place = Place { account: account.account.clone(), region, target };
        match self.look(&place, block).await {
            Err(Fault::Elsewhere(region)) => {
                place.region = region;
                self.look(&place, block).await
            }
            seen => seen,
        }
    }

    async fn look(&self, place: &Place<BucketName>, block: Option<Block>) -> Result<Seen, Fault> {
        let client = self.clients.at(&place.region);
        let own = own_block(&client, place).await?;
        let restricted = own.restrict_public_buckets || block.is_some_and(|block| block.restrict_public_buckets);
        let ignored = own.ignore_public_acls || block.is_some_and(|block| block.ignore_public_acls);
        if restricted && ignored {
            return Ok(Seen::default());
        }
        let (public_policy, public_acl, website) = tokio::try_join!(
            self.public_policy(&client, place),
            self.public_acl(&client, place),
            website(&client, place, &self.parameters),
        )?;
        let mut seen =
            Seen { public_policy: public_policy && !restricted, public_acl: public_acl && !ignored, website: None };
        if let Some(website) = website {
            let open = seen.public_policy || seen.public_acl || (!ignored && self.acls_apply(&client, place).await?);
            seen.website = open.then_some(website.phi);
        }
        Ok(seen)
    }

    async fn public_policy(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client
            .get_bucket_policy_status()
            .bucket(place.target.as_str())
            .expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketPolicyStatus", place)?;
        Ok(found.and_then(|answer| answer.policy_status).and_then(|status| status.is_public).unwrap_or(false))
    }

    async fn public_acl(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client.get_bucket_acl().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        let grants = found(call.send().await, "s3:GetBucketAcl", place)?.and_then(|answer| answer.grants);
        let mut groups = grants.unwrap_or_default().into_iter().filter_map(|grant| grant.grantee?.uri);
        Ok(groups.any(|group| PUBLIC_GROUPS.contains(&group.as_str())))
    }

    async fn acls_apply(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client
            .get_bucket_ownership_controls()
            .bucket(place.target.as_str())
            .expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketOwnershipControls", place)?;
        let rules = found.and_then(|answer| answer.ownership_controls).map(|controls| controls.rules);
        let enforced = |rules: Vec<aws_sdk_s3::types::OwnershipControlsRule>| {
            rules.iter().any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced)
        };
        Ok(!rules.is_some_and(enforced))
    }

    async fn surveyed(
        &self,
        place: &Place<Account>,
        block: Option<Block>,
        occasion: &Occasion,
    ) -> Result<Survey, Fault> {
        let at = occasion.now.unix_timestamp_nanos();
        let same = |last: &&Last| last.at == at && last.account == place.target && last.block == block;
        if let Some(last) = self.last.borrow().as_ref().filter(same) {
            return Ok(last.survey.clone());
        }
        let survey = Box::pin(self.survey(place, block)).await?;
        *self.last.borrow_mut() = Some(Last { at, account: place.target.clone(), block, survey: survey.clone() });
        Ok(survey)
    }
}

/// Puts one bucket into the survey. A fault that says nothing of this one bucket ends it.
fn count(survey: &mut Survey, name: String, seen: Result<Seen, Fault>) -> Result<(), Fault> {
    let seen = match seen {
        Ok(seen) => seen,
        // Deleted since it was listed.
        Err(Fault::Gone) => return Ok(()),
        // Not one bucket that denies its reads, but a role that was given too little: every bucket would be unknown.
        Err(fault @ Fault::Denied { by: DeniedBy::OurRole, .. }) => return Err(fault),
        Err(fault) if fault.is_worth_a_retry() => return Err(fault),
        Err(fault) => {
            survey.buckets += 1;
            survey.unknown.add(match fault {
                Fault::Denied { action, .. } => format!("{name}: {action} denied"),
                _ => name,
            });
            return Ok(());
        }
    };
    survey.buckets += 1;
    if seen.public_policy {
        survey.public_policies.add(&name);
    }
    if seen.public_acl {
        survey.public_acls.add(&name);
    }
    match seen.website {
        Some(true) => survey.phi_websites.add(name),
        Some(false) => survey.websites.add(name),
        None => {}
    }
    Ok(())
}

/// What an error of S3 Control means. That a policy of the organization manages the setting is in the message of a 403.
fn fault<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    action: &'static str,
    place: &Place<Account>,
) -> Fault {
    Attempt { action, resource: &format_args!("account {}", place.target) }.fault(error)
}

/// An account is asked about as itself: another one's settings are not ours to read or write.
fn itself(place: &Place<Account>) -> Result<(), Fault> {
    if *place.target.id() == place.account {
        return Ok(());
    }
    Err(Fault::GiveUp(format!(
        "the request is for account {} and names account {} as its resource; name the same account twice",
        place.account, place.target
    )))
}

impl Cloud<PublicAccount> for S3 {
    async fn observe(&self, place: &Place<Account>, occasion: &Occasion) -> Result<Option<State>, Fault> {
        itself(place)?;
        let block = self.block(place).await?;
        if block == Some(Block::FULL) {
            return Ok(Some(State { block, survey: None }));
        }
        let survey = self.surveyed(place, block, occasion).await?;
        Ok(Some(State { block, survey: Some(survey) }))
    }

    async fn apply(&self, place: &Place<Account>, change: &Change) -> Result<(), Fault> {
        itself(place)?;
        let (client, id) = (self.control(&place.region), place.target.id().as_str());
        match change {
            Change::PutPublicAccessBlock(block) => {
                let configuration = PublicAccessBlockConfiguration::builder()
                    .block_public_acls(block.block_public_acls)
                    .ignore_public_acls(block.ignore_public_acls)
                    .block_public_policy(block.block_public_policy)
                    .restrict_public_buckets(block.restrict_public_buckets)
                    .build();
                let call = client.put_public_access_block().account_id(id);
                let sent = call.public_access_block_configuration(configuration).send().await;
                sent.map(drop).map_err(|error| fault(&error, "s3:PutAccountPublicAccessBlock", place))
            }
            Change::DeletePublicAccessBlock => {
                let sent = client.delete_public_access_block().account_id(id).send().await;
                sent.map(drop).map_err(|error| fault(&error, "s3:PutAccountPublicAccessBlock", place))
            }
        }
    }

    /// None: no API gives an account's own settings tags.
    async fn tags(&self, _: &Place<Account>) -> Result<Vec<(String, String)>, Fault> {
        Ok(Vec::new())
    }

    async fn list(
        &self,
        account: &AccountId,
        _: &Region,
        _: &Occasion,
        _: Option<&str>,
    ) -> Result<Page<Account>, Fault> {
        Ok(Page { targets: vec![account.clone().into()], next: None })
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
