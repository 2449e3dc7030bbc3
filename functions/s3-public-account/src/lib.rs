//! # s3-public-account: an account's public access block is put back
//!
//! ## What it looks for
//! An account whose own Block Public Access configuration for S3 is missing, or has any of its four settings off
//! (`BlockPublicAcls`, `IgnorePublicAcls`, `BlockPublicPolicy`, `RestrictPublicBuckets`). No account has one until
//! somebody sets it. Where a policy of the organization sets it, S3 answers with what that policy says. CloudTrail
//! records these calls in the region whose endpoint was called; what is done through another region's is found by the
//! daily sweep.
//!
//! ## Why it matters
//! It holds for every bucket in every region, whatever the bucket's own block says, those that are made tomorrow
//! included, and for access points. With it, no single careless call can publish a bucket.
//!
//! ## What it does
//! One `PutPublicAccessBlock` for the account with all four settings on. It never writes a `false`. An account that is
//! compliant costs one read. Otherwise every bucket of the account is looked at first, 32 at a time, each in its own
//! region: is it public now, by its policy or its ACL, and is it a website? A bucket that its own block closes costs
//! one read, any other four to six. A bucket that cannot be looked at is listed as unknown and stops nobody else's
//! look. The record holds how many buckets there are of each kind, and the names of the first fifty.
//!
//! ## What could break
//! - Every public bucket closes at once, in every region: anonymous readers get 403, and so does every cross-account
//!   reader whom a public policy names (`RestrictPublicBuckets` cuts those too). The plan lists the buckets.
//! - Public websites go dark. That is refused (guard `public-website`) while there is one in a bucket that is not
//!   tagged as holding protected health information, unless the parameter `public_websites` is `close`, or a manual
//!   request overrides the guard. If no bucket at all could be looked at, it is refused too (guard `unknown-buckets`).
//! - Uploads with a public ACL (`--acl public-read`) fail with `AccessDenied`, in every bucket.
//! - Objects that are public by their own ACLs close as well; which those are, no look at a bucket shows.
//! - CloudFront with origin access control or identity is not affected; CloudFront before a public website endpoint is.
//!
//! ## Undo
//! Puts the very settings back, or deletes the configuration if there was none. An undo opens every bucket again that
//! nothing else closes. Where a policy of the organization has taken over, it cannot be undone here.
//!
//! ## References
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
//! - <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_PutPublicAccessBlock.html>
//! - <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_s3.html>
//! - AWS Config `S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS_PERIODIC`, `S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS`; Security Hub
//!   S3.1
//! - 45 CFR 164.308(a)(1)(ii)(B), 164.308(a)(3)(i), 164.308(a)(4)(ii)(A), 164.308(a)(4)(ii)(C), 164.312(a)(1),
//!   164.312(e)(1)

mod account;
mod cloud;

pub use account::Account;
pub use cloud::S3;

use remediation::{About, ApiCall, Control, Risk, Safety, Scope, Watch};
pub use s3::Block;
use s3::{Names, PHI_TAG, PUBLIC_WEBSITES, PublicWebsites, WebsiteParameters};
use serde::{Deserialize, Serialize};

/// The control; see the crate's page.
#[derive(Debug)]
pub struct PublicAccount;

/// What was read of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The account's public access block; none if it has no configuration, which is the same as all four off.
    pub block: Option<Block>,
    /// What closing the account would touch; read only where the block has a gap.
    pub survey: Option<Survey>,
}

/// What closing an account would touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// How many buckets the account has.
    pub buckets: usize,
    /// Buckets whose policy is public and has effect: neither the account's block nor the bucket's own restricts it.
    pub public_policies: Names,
    /// Buckets whose ACL has public grants that have effect.
    pub public_acls: Names,
    /// Websites that are, or may be, open: by a public policy, or because ACLs of objects have effect in the bucket.
    pub websites: Names,
    /// Such websites in buckets that are tagged as holding protected health information.
    pub phi_websites: Names,
    /// Buckets that could not be looked at, each with the action that was denied, if one was.
    pub unknown: Names,
    /// The operator's choice about public websites.
    pub public_websites: PublicWebsites,
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `PutPublicAccessBlock` with these settings.
    PutPublicAccessBlock(Block),
    /// `DeletePublicAccessBlock`: only ever as an undo.
    DeletePublicAccessBlock,
}

impl Control for PublicAccount {
    const ABOUT: About = About {
        id: "s3-public-account",
        title: "puts an account's public access block for S3 back",
        never: "darken public websites unasked",
        resource_type: "AWS::::Account",
        also: &[],
        scope: Scope::Global,
        names_account: true,
        safety: Safety::Disruptive,
        exposes: true,
        observes_with: &[
            "s3:GetAccountPublicAccessBlock",
            "s3:ListAllMyBuckets",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketAcl",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketWebsite",
            "s3:GetBucketTagging",
        ],
        tags_with: &[],
        lists_with: &[],
        fixes_with: &["s3:PutAccountPublicAccessBlock"],
        undoes_with: &["s3:PutAccountPublicAccessBlock"],
        // The two actions on the account know no resource to be allowed on.
        // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
        allowed_on: &[("s3:GetBucket", "arn:${AWS::Partition}:s3:::*")],
        watches: &[Watch {
            source: "aws.s3",
            event_source: "s3.amazonaws.com",
            events: &["DeleteAccountPublicAccessBlock", "PutAccountPublicAccessBlock"],
        }],
        incidents: &[],
        action: None,
        config_rules: &["S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS_PERIODIC", "S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS"],
        security_hub: &["S3.1"],
        citations: &[
            "45 CFR 164.308(a)(1)(ii)(B)",
            "45 CFR 164.308(a)(3)(i)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.308(a)(4)(ii)(C)",
            "45 CFR 164.312(a)(1)",
            "45 CFR 164.312(e)(1)",
        ],
        sweeps: Some("rate(1 day)"),
        settings: &[PHI_TAG, PUBLIC_WEBSITES],
    };

    type Target = Account;
    type Parameters = WebsiteParameters;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<Account, String> {
        Account::parse(name)
    }

    fn announces_drift(call: &ApiCall) -> bool {
        match call.event_name.as_str() {
            "DeleteAccountPublicAccessBlock" => true,
            "PutAccountPublicAccessBlock" => {
                let block = call.parameters.get("PublicAccessBlockConfiguration");
                // CloudTrail writes a setting as true or as "true"; one that is left out is off.
                ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"].iter().any(
                    |name| {
                        block.is_some_and(|b| {
                            b.is_object() && !b.get(name).is_some_and(|on| *on == true || on == "true")
                        })
                    },
                )
            }
            _ => false,
        }
    }

    fn desired(state: &State) -> State {
        State { block: Some(Block::FULL), ..state.clone() }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        match to.block {
            _ if from.block == to.block => vec![],
            Some(block) => vec![Change::PutPublicAccessBlock(block)],
            None => vec![Change::DeletePublicAccessBlock],
        }
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        let Some(survey) = &from.survey else { return vec![] };
        let gap = |of: fn(&Block) -> bool| to.block.is_some_and(|b| of(&b)) && !from.block.is_some_and(|b| of(&b));
        let guarded = survey.public_websites == PublicWebsites::Refuse;
        let mut risks = Vec::new();
        let mut risk = |of: &Names, id, refuses, says: &str| {
            if !of.is_empty() {
                risks.push(Risk { id, says: format!("{says}: {of}"), refuses });
            }
        };
        let websites = "public websites would go dark, their visitors would get 403";
        risk(&survey.websites, "public-website", guarded, websites);
        risk(&survey.phi_websites, "phi-website", false, "public websites in buckets with health data would go dark");
        let policies =
            "buckets whose policy is public would close to anonymous readers, and to the other accounts that it names";
        risk(&survey.public_policies, "public-policy", false, policies);
        risk(
            &survey.public_acls,
            "public-acl",
            false,
            "buckets whose ACL is public would close to everybody whom it names",
        );
        // With every bucket unknown, that there is no website is a guess.
        let blind = guarded && survey.unknown.count == survey.buckets;
        let unknown = "buckets that could not be looked at, and that may be public or websites";
        risk(&survey.unknown, "unknown-buckets", blind, unknown);
        if gap(|block| block.block_public_acls) {
            risks.push(Risk {
                id: "public-acl-uploads",
                says: "uploads and ACL changes that ask for public access would fail with AccessDenied in every bucket"
                    .to_owned(),
                refuses: false,
            });
        }
        risks
    }
}

#[cfg(test)]
mod tests;
