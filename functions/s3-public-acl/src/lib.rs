//! # s3-public-acl: public grants are taken out of a bucket's access control list
//!
//! ## What it looks for
//! A bucket whose ACL grants anything (`READ`, `WRITE`, `READ_ACP`, `WRITE_ACP`, `FULL_CONTROL`) to the group `AllUsers` or to
//! the group `AuthenticatedUsers`, which is everybody who has any AWS account. A bucket whose ACLs are switched off
//! (`BucketOwnerEnforced`, as in every new bucket since April 2023) is compliant: S3 shows its owner alone.
//!
//! S3 shows the permissions in force. While `IgnorePublicAcls` is on, public grants have no effect, are not shown, and cannot
//! be seen from here; they count again the moment it is switched off, and then this control sees them.
//!
//! ## Why it matters
//! `READ` tells everybody the name of every object, `WRITE` lets everybody add and overwrite some, `WRITE_ACP` lets everybody
//! take the rest: an ACL is the oldest way to publish a bucket, and the least visible.
//!
//! ## What it does
//! One `PutBucketAcl` with the ACL that was read less its public grants: the owner, named accounts and the log delivery group
//! stay as they are. No canned ACL is ever used; `private` would end the delivery of access logs. Right before the write the
//! ACL is read again; if it is not the one that the plan was made for, the plan is made afresh.
//!
//! A compliant bucket costs one read. One with public grants costs three more beside each other (its public access block, its
//! object ownership, is it a website?) and for a website its tags, then a reading-again, the write and one reading-back.
//!
//! ## What could break
//! - Whoever listed, wrote or administered the bucket as "everybody" gets 403. The plan says which.
//! - A public website whose pages list the bucket's objects. That is refused (guard `public-website`) unless the bucket is
//!   tagged as holding protected health information, the parameter `public_websites` is `close`, or a manual request
//!   overrides the guard.
//! - Objects have ACLs of their own, which are not seen here and stay: a public object stays public. `IgnorePublicAcls`
//!   (`s3-public-bucket`) takes the effect from all of them at once.
//! - A grant to a grantee that S3 would not take back (an email address, a kind that this control does not know) leaves the
//!   ACL as it is (`cannot-be-written`); a grant to a group that this control does not know stays, and is reported
//!   (`not-understood`).
//!
//! ## Undo
//! Puts the very grants back. While the bucket's public access block refuses public ACLs or hides them, the undo fails and
//! says so: first undo the record of `s3-public-bucket` (or `s3-public-account`), then this one.
//!
//! ## References
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
//! - AWS Config `S3_BUCKET_PUBLIC_READ_PROHIBITED`, `S3_BUCKET_PUBLIC_WRITE_PROHIBITED`; Security Hub S3.2, S3.3
//! - 45 CFR 164.308(a)(3)(i), 164.308(a)(4)(ii)(A), 164.308(a)(4)(ii)(C), 164.312(a)(1), 164.312(e)(1)

mod acl;
mod cloud;

pub use acl::{Acl, Grant, Grantee};
pub use cloud::S3;

use remediation::{About, ApiCall, Control, Hindrance, Risk, Safety, Scope, Watch, shown};
use s3::{BucketName, PHI_TAG, PUBLIC_WEBSITES, Website, WebsiteParameters};
use serde::{Deserialize, Serialize};

/// The control; see the crate's page.
#[derive(Debug)]
pub struct PublicAcl;

/// What an operator can set.
pub type Parameters = WebsiteParameters;

/// What was read of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The bucket's ACL, as S3 enforces it.
    pub acl: Acl,
    /// What else there is to know; read only where a grant is public or not understood.
    pub look: Option<Look>,
}

/// What there is to know of a bucket with a public grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// ACLs are switched off (`BucketOwnerEnforced`): none has effect, and none can be written.
    pub disabled: bool,
    /// The bucket's own block takes the effect from public grants (`IgnorePublicAcls`).
    pub ignored: bool,
    /// The website that the bucket is set up as.
    pub website: Option<Website>,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `PutBucketAcl` with this owner and these grants.
    PutBucketAcl {
        /// The ACL that this was decided on; the record has it in the state before.
        #[serde(skip)]
        was: Acl,
        /// The ACL to write.
        acl: Acl,
    },
}

impl Control for PublicAcl {
    const ABOUT: About = About {
        id: "s3-public-acl",
        title: "takes public grants out of a bucket's access control list",
        never: "touch a grant to anybody who is named",
        resource_type: "AWS::S3::Bucket",
        also: &[],
        scope: Scope::Regional,
        names_account: true,
        safety: Safety::Reversible,
        exposes: true,
        observes_with: &[
            "s3:GetBucketAcl",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketWebsite",
            "s3:GetBucketTagging",
        ],
        tags_with: &["s3:GetBucketTagging"],
        lists_with: &["s3:ListAllMyBuckets"],
        fixes_with: &["s3:PutBucketAcl"],
        undoes_with: &["s3:PutBucketAcl"],
        allowed_on: &[("s3:", "arn:${AWS::Partition}:s3:::*"), ("s3:ListAllMyBuckets", "*")],
        watches: &[Watch {
            source: "aws.s3",
            event_source: "s3.amazonaws.com",
            events: &[
                "CreateBucket",
                // Switching ACLs on again, or ceasing to ignore public ones, gives old grants their effect back.
                "DeleteBucketOwnershipControls",
                "DeleteBucketPublicAccessBlock",
                "PutBucketAcl",
                "PutBucketOwnershipControls",
                "PutBucketPublicAccessBlock",
            ],
        }],
        incidents: &["Access Analyzer Finding"],
        action: None,
        config_rules: &["S3_BUCKET_PUBLIC_READ_PROHIBITED", "S3_BUCKET_PUBLIC_WRITE_PROHIBITED"],
        security_hub: &["S3.2", "S3.3"],
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
        call.event_name == "PutBucketAcl" && acl::asks_for_public(&call.parameters)
    }

    fn desired(state: &State) -> State {
        if state.look.is_some_and(|look| look.disabled) || state.acl.cannot_be_written().is_some() {
            return state.clone();
        }
        let grants = state.acl.grants.iter().filter(|grant| !grant.is_public()).cloned().collect();
        State { acl: Acl { grants, ..state.acl.clone() }, ..state.clone() }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        if from.acl.is_like(&to.acl) {
            return vec![];
        }
        vec![Change::PutBucketAcl { was: from.acl.clone(), acl: to.acl.clone() }]
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        let mut risks = Vec::new();
        let (Some(look), false) = (from.look, Self::changes(from, to).is_empty()) else { return risks };
        // What has no effect is missed by nobody.
        if look.ignored {
            return risks;
        }
        let lists = from.acl.grants.iter().any(|grant| grant.is_public() && grant.lets_list());
        if let Some(website) = look.website.filter(|_| lists) {
            risks.push(Risk {
                id: "public-website",
                says: "the bucket is set up as a website, and everybody may list its objects: pages that do so would get 403"
                    .to_owned(),
                refuses: website.is_guarded(),
            });
        }
        risks.push(Risk {
            id: "public-acl",
            says: format!("whoever came in by it would get 403: {}", public(&from.acl)),
            refuses: false,
        });
        risks
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        if state.look.is_some_and(|look| look.disabled) {
            return None;
        }
        let has_public = state.acl.grants.iter().any(Grant::is_public);
        if let Some(why) = state.acl.cannot_be_written().filter(|_| has_public) {
            return Some(Hindrance {
                id: "cannot-be-written",
                says: format!(
                    "the ACL has a public grant ({}), but {why}, so S3 would not take the rest of it back: it was left alone; \
                     rewrite it by hand, or switch ACLs off (BucketOwnerEnforced)",
                    public(&state.acl)
                ),
            });
        }
        let odd = state.acl.grants.iter().find_map(Grant::unknown_group)?;
        Some(Hindrance {
            id: "not-understood",
            says: format!(
                "the ACL has a grant to the group {}, which is not known: it was left alone; look at it",
                shown(odd)
            ),
        })
    }

    fn notes(state: &State) -> Vec<String> {
        let mut notes = Vec::new();
        let (Some(look), true) = (state.look, state.acl.grants.iter().any(Grant::is_public)) else { return notes };
        if look.disabled {
            notes.push(
                "ACLs are switched off in the bucket (BucketOwnerEnforced): its public grants have no effect"
                    .to_owned(),
            );
            return notes;
        }
        if look.ignored {
            notes.push(
                "the bucket's own public access block keeps the public grants from having effect already (IgnorePublicAcls)"
                    .to_owned(),
            );
        } else {
            notes.push(
                "the objects' own ACLs were not looked at, and a public object stays public; IgnorePublicAcls (s3-public-bucket) \
                 takes the effect from all of them"
                    .to_owned(),
            );
        }
        notes
    }
}

/// The public grants, for a message.
fn public(acl: &Acl) -> String {
    let mut says: Vec<String> = acl.grants.iter().filter(|grant| grant.is_public()).map(Grant::to_string).collect();
    says.sort();
    says.dedup();
    says.truncate(10);
    says.join(", ")
}

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
