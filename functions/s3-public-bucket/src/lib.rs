//! # s3-public-bucket: a bucket's public access block is put back
//!
//! ## What it looks for
//! A general purpose bucket whose own Block Public Access configuration is missing, or has any of its four settings off
//! (`BlockPublicAcls`, `IgnorePublicAcls`, `BlockPublicPolicy`, `RestrictPublicBuckets`). New buckets have all four on
//! since April 2023; somebody has to switch them off.
//!
//! ## Why it matters
//! The block is what stands between a careless policy or ACL and the whole internet. Without it, one `PutBucketPolicy`
//! publishes every record in the bucket.
//!
//! ## What it does
//! One `PutPublicAccessBlock` with all four settings on. It never writes a `false`. A bucket that is compliant costs one
//! read; one that is not costs two more reads beside each other (is its policy public, is it a website?) and for a website
//! another two (its tags, its object ownership), then the write and one reading-back.
//!
//! ## What could break
//! - A public policy stops working: anonymous readers get 403, and so does every cross-account reader whom a public policy
//!   names (`RestrictPublicBuckets` cuts those too). The plan says so.
//! - A public website goes dark. That is refused (guard `public-website`) unless the bucket is tagged as holding
//!   protected health information, the parameter `public_websites` is `close`, or a manual request overrides the guard.
//! - Uploads with a public ACL (`--acl public-read`) fail with `AccessDenied`: the most common surprise in a pipeline.
//! - CloudFront with origin access control or identity is not affected; CloudFront before a public website endpoint is.
//!
//! ## Undo
//! Puts the very settings back, or deletes the configuration if there was none. An undo opens the bucket again.
//!
//! ## References
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
//! - AWS Config `S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED`, `S3_BUCKET_PUBLIC_READ_PROHIBITED`,
//!   `S3_BUCKET_PUBLIC_WRITE_PROHIBITED`; Security Hub S3.2, S3.3, S3.8
//! - 45 CFR 164.308(a)(3)(i), 164.308(a)(4)(ii)(A), 164.308(a)(4)(ii)(C), 164.312(a)(1), 164.312(e)(1)

mod cloud;

pub use cloud::S3;
pub use s3::{Block, PublicWebsites, WebsiteParameters as Parameters};

use remediation::{About, ApiCall, Control, Risk, Safety, Scope, Watch};
use s3::{BucketName, PHI_TAG, PUBLIC_WEBSITES};
use serde::{Deserialize, Serialize};

/// The control; see the crate's page.
#[derive(Debug)]
pub struct PublicBucket;

/// What was read of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The bucket's own public access block; none if it has no configuration, which is the same as all four off.
    pub block: Option<Block>,
    /// What closing the bucket would touch; read only where the block has a gap.
    pub exposure: Option<Exposure>,
}

/// What closing a bucket would touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Exposure {
    /// S3 judges the bucket's policy to be public.
    pub public_policy: bool,
    /// The bucket is set up as a website.
    pub website: bool,
    /// ACLs have effect in the bucket (its object ownership is not `BucketOwnerEnforced`). Looked up only for websites.
    pub acls_apply: bool,
    /// The bucket is tagged as holding protected health information. Looked up only for websites.
    pub phi: bool,
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

impl Control for PublicBucket {
    const ABOUT: About = About {
        id: "s3-public-bucket",
        title: "puts a bucket's public access block back",
        never: "darken a public website unasked",
        resource_type: "AWS::S3::Bucket",
        also: &[],
        scope: Scope::Regional,
        names_account: true,
        safety: Safety::Reversible,
        exposes: true,
        observes_with: &[
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketWebsite",
            "s3:GetBucketTagging",
            "s3:GetBucketOwnershipControls",
        ],
        tags_with: &["s3:GetBucketTagging"],
        lists_with: &["s3:ListAllMyBuckets"],
        fixes_with: &["s3:PutBucketPublicAccessBlock"],
        undoes_with: &["s3:PutBucketPublicAccessBlock"],
        allowed_on: &[("s3:", "arn:${AWS::Partition}:s3:::*"), ("s3:ListAllMyBuckets", "*")],
        watches: &[Watch {
            source: "aws.s3",
            event_source: "s3.amazonaws.com",
            events: &[
                "CreateBucket",
                "DeleteBucketOwnershipControls",
                "DeleteBucketPublicAccessBlock",
                "PutBucketAcl",
                "PutBucketOwnershipControls",
                "PutBucketPolicy",
                "PutBucketPublicAccessBlock",
                "PutBucketWebsite",
            ],
        }],
        incidents: &["Access Analyzer Finding"],
        action: None,
        config_rules: &[
            "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED",
            "S3_BUCKET_PUBLIC_READ_PROHIBITED",
            "S3_BUCKET_PUBLIC_WRITE_PROHIBITED",
        ],
        security_hub: &["S3.2", "S3.3", "S3.8"],
        citations: &[
            "45 CFR 164.308(a)(3)(i)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.308(a)(4)(ii)(C)",
            "45 CFR 164.312(a)(1)",
            "45 CFR 164.312(e)(1)",
        ],
        sweeps: Some("rate(1 day)"),
        settings: &[PHI_TAG, PUBLIC_WEBSITES],
    };

    type Target = BucketName;
    type Parameters = Parameters;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<BucketName, String> {
        BucketName::parse(name)
    }

    fn announces_drift(call: &ApiCall) -> bool {
        match call.event_name.as_str() {
            "DeleteBucketPublicAccessBlock" => true,
            "PutBucketPublicAccessBlock" => {
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
        let mut risks = Vec::new();
        let gap = |of: fn(&Block) -> bool| to.block.is_some_and(|b| of(&b)) && !from.block.is_some_and(|b| of(&b));
        let Some(exposure) = &from.exposure else { return risks };
        // What serves a public policy today is RestrictPublicBuckets being off; the other settings look ahead.
        let public_now = exposure.public_policy && gap(|block| block.restrict_public_buckets);
        let by_acl = exposure.acls_apply && gap(|block| block.ignore_public_acls);
        if exposure.website && (public_now || by_acl) {
            risks.push(Risk {
                id: "public-website",
                says: "the bucket is set up as a website: its visitors would get 403".to_owned(),
                refuses: exposure.public_websites == PublicWebsites::Refuse && !exposure.phi,
            });
        }
        if public_now {
            risks.push(Risk {
                id: "public-policy",
                says: "the bucket's policy is public: anonymous readers would get 403, and so would the other accounts that \
                       it names"
                    .to_owned(),
                refuses: false,
            });
        }
        if gap(|block| block.block_public_acls) {
            risks.push(Risk {
                id: "public-acl-uploads",
                says: "uploads and ACL changes that ask for public access would fail with AccessDenied".to_owned(),
                refuses: false,
            });
        }
        risks
    }
}

#[cfg(test)]
mod tests;
