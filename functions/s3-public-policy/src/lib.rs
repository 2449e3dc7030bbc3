//! # s3-public-policy: what lets everybody in is taken out of a bucket's policy
//!
//! ## What it looks for
//! A bucket policy with a statement that lets everybody in: `Allow` for `"*"` (or `NotPrincipal`), and no condition that
//! ties the caller to fixed values of an account, an organization, a network or a resource. Conditions that any caller can
//! meet (`aws:Referer`, `aws:SecureTransport`), that exclude (`StringNotEquals`, `NotIpAddress`), that a request without the
//! key passes (`…IfExists`, `ForAllValues`, `Null`), wildcards, and address ranges wider than /8 (/32 in IPv6) tie nobody.
//!
//! Two must agree before anything is cut: this control, statement by statement, and S3's own judgement of the policy as a
//! whole (`GetBucketPolicyStatus`), which knows more than one statement at a time. What S3 does not call public is left alone
//! and noted; what S3 calls public and this control does not understand is refused (`not-understood`) and never edited.
//! Policy variables, unknown condition keys and operators, values that are fixed in part only (`role/*` of one account), web
//! identity providers and malformed statements are not understood.
//!
//! ## Why it matters
//! A public statement publishes every object that it covers, or lets anybody write. A public access block that hides it today
//! is one call away from not hiding it; the statement is the exposure itself.
//!
//! ## What it does
//! One `PutBucketPolicy` with the public statements cut out of the text; what stays is byte for byte what was there, every
//! `Deny` included. A statement that names others beside `"*"` loses only the `"*"`: the named keep what they were given by
//! name. If no statement is left, `DeleteBucketPolicy`. Right before the write the policy is read again; if it is not the one
//! that the plan was made for, the plan is made afresh.
//!
//! A compliant policy costs one read, or two if conditions are all that stands between it and everybody. A public one costs,
//! besides the first, three reads beside each other (S3's judgement, the bucket's public access block, is it a website?) and
//! for a website its tags, then a reading-again, the write and one reading-back.
//!
//! ## What could break
//! - Whoever came in as "everybody" gets 403: anonymous readers, and other accounts that relied on it. The plan names the
//!   statements and their actions.
//! - A public website goes dark. That is refused (guard `public-website`) unless the bucket is tagged as holding protected
//!   health information, the parameter `public_websites` is `close`, or a manual request overrides the guard. The guard holds
//!   the whole fix back, also what lets everybody write.
//! - With `RestrictPublicBuckets` on, S3 keeps other accounts out for as long as the policy is public. Without the public
//!   statement, the accounts that other statements name get in again (`access-returns`).
//! - With `BlockPublicPolicy` on, S3 takes no policy that is still public. If a statement that is not understood would stay,
//!   nothing is edited (`block-public-policy`). The blocks of the account and of the organization count too; they are not
//!   read, and only S3's refusal tells of them.
//! - CloudFront with origin access control or identity is not affected; CloudFront before a public website endpoint is.
//! - Terraform or CloudFormation puts the statement back with the next deployment, unless it is taken out there too.
//!
//! ## Undo
//! Puts the very policy back, byte for byte. While a public access block refuses public policies, the undo fails and says so:
//! first undo the record of `s3-public-bucket` (or `s3-public-account`), then this one.
//!
//! ## References
//! - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>
//! - AWS Config `S3_BUCKET_PUBLIC_READ_PROHIBITED`, `S3_BUCKET_PUBLIC_WRITE_PROHIBITED`; Security Hub S3.2, S3.3
//! - 45 CFR 164.308(a)(3)(i), 164.308(a)(4)(ii)(A), 164.308(a)(4)(ii)(C), 164.312(a)(1), 164.312(e)(1)

mod cloud;
mod condition;
mod policy;
mod statement;

pub use cloud::S3;

use policy::{Open, Policy, same};
use remediation::{About, ApiCall, Control, Hindrance, Risk, Safety, Scope, Watch};
use s3::{BucketName, PHI_TAG, PUBLIC_WEBSITES, Website, WebsiteParameters};
use serde::{Deserialize, Serialize};

/// The control; see the crate's page.
#[derive(Debug)]
pub struct PublicPolicy;

/// What an operator can set.
pub type Parameters = WebsiteParameters;

/// What was read of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The bucket's policy, letter by letter; none if it has none.
    pub policy: Option<String>,
    /// What else there is to know; read only where the policy lets everybody in, or may.
    pub look: Option<Look>,
}

/// What there is to know of a bucket whose policy lets everybody in, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// S3 judges the policy as a whole to be public.
    pub public: bool,
    /// The bucket's own block refuses public policies (`BlockPublicPolicy`).
    pub refuses_public: bool,
    /// The bucket's own block keeps out all but the bucket's account and AWS services while its policy is public
    /// (`RestrictPublicBuckets`).
    pub restricted: bool,
    /// The website that the bucket is set up as.
    pub website: Option<Website>,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `PutBucketPolicy`.
    PutBucketPolicy {
        /// The policy that this was decided on; the record has it as the state before.
        #[serde(skip)]
        was: Option<String>,
        /// The policy to write.
        policy: String,
    },
    /// `DeleteBucketPolicy`.
    DeleteBucketPolicy {
        /// The policy that this was decided on; the record has it as the state before.
        #[serde(skip)]
        was: Option<String>,
    },
}

/// How many statements a message names.
const NAMED: usize = 5;

impl Control for PublicPolicy {
    const ABOUT: About = About {
        id: "s3-public-policy",
        title: "takes what lets everybody in out of a bucket's policy",
        never: "touch a statement that it does not understand",
        resource_type: "AWS::S3::Bucket",
        also: &[],
        scope: Scope::Regional,
        names_account: true,
        safety: Safety::Disruptive,
        exposes: true,
        observes_with: &[
            "s3:GetBucketPolicy",
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketWebsite",
            "s3:GetBucketTagging",
        ],
        tags_with: &["s3:GetBucketTagging"],
        lists_with: &["s3:ListAllMyBuckets"],
        fixes_with: &["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"],
        // To delete, too: an undo can be taken back in its turn.
        undoes_with: &["s3:DeleteBucketPolicy", "s3:PutBucketPolicy"],
        allowed_on: &[("s3:", "arn:${AWS::Partition}:s3:::*"), ("s3:ListAllMyBuckets", "*")],
        watches: &[Watch { source: "aws.s3", event_source: "s3.amazonaws.com", events: &["PutBucketPolicy"] }],
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
        let policy = call.parameters.get("bucketPolicy").filter(|policy| policy.is_object());
        call.event_name == "PutBucketPolicy"
            && policy.is_some_and(|policy| !Policy::read(&policy.to_string()).public.is_empty())
    }

    fn desired(state: &State) -> State {
        match judged(state) {
            Some((policy, look)) if !policy.public.is_empty() && !cannot_write(&policy, look) => {
                // With nothing doubtful left, S3 will call it public no more.
                let look = Look { public: !policy.unclear.is_empty(), ..look };
                State { policy: policy.rest, look: Some(look) }
            }
            _ => state.clone(),
        }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        match (&from.policy, &to.policy) {
            (None, None) => vec![],
            (Some(was), Some(policy)) if same(was, policy) => vec![],
            (was, Some(policy)) => vec![Change::PutBucketPolicy { was: was.clone(), policy: policy.clone() }],
            (was, None) => vec![Change::DeleteBucketPolicy { was: was.clone() }],
        }
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        let mut risks = Vec::new();
        let Some((policy, look)) = judged(from) else { return risks };
        if policy.public.is_empty() || Self::changes(from, to).is_empty() {
            return risks;
        }
        let served = policy.public.iter().any(|open| open.reads) && !look.restricted;
        if let Some(website) = look.website.filter(|_| served) {
            risks.push(Risk {
                id: "public-website",
                says: "the bucket is set up as a website: its visitors would get 403".to_owned(),
                refuses: website.is_guarded(),
            });
        }
        if !look.restricted {
            let says = format!("whoever came in as \"everybody\" would get 403: {}", list(&policy.public, opens));
            risks.push(Risk { id: "public-policy", says, refuses: false });
        }
        if look.restricted && policy.shares {
            risks.push(Risk {
                id: "access-returns",
                says: "RestrictPublicBuckets keeps other accounts out only while the policy is public: those that its other \
                       statements let in would get in again"
                    .to_owned(),
                refuses: false,
            });
        }
        risks
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        let (policy, look) = judged(state)?;
        if !policy.public.is_empty() && cannot_write(&policy, look) {
            return Some(Hindrance {
                id: "block-public-policy",
                says: format!(
                    "{} lets everybody in, but {}; that one would stay, and the bucket's BlockPublicPolicy refuses a policy \
                     that may still be public: nothing was edited; rewrite the policy by hand",
                    list(&policy.public, |open| format!("statement {}", open.name)),
                    list(&policy.unclear, String::clone),
                ),
            });
        }
        if !policy.unclear.is_empty() {
            return Some(Hindrance {
                id: "not-understood",
                says: format!(
                    "S3 judges the policy to be public, and not all of it is understood: {}; it was left alone; look at it, \
                     and name in it whom it is for",
                    list(&policy.unclear, String::clone),
                ),
            });
        }
        (policy.public.is_empty() && look.public).then(|| Hindrance {
            id: "not-understood",
            says:
                "S3 judges the policy to be public, though every statement seems to be tied to somebody: it was left \
                   alone; look at the values of its conditions, which S3 wants fixed"
                    .to_owned(),
        })
    }

    fn notes(state: &State) -> Vec<String> {
        let (Some(text), Some(look)) = (&state.policy, state.look) else { return vec![] };
        let policy = Policy::read(text);
        let mut notes = Vec::new();
        if policy.public.is_empty() && policy.unclear.is_empty() {
            return notes;
        }
        if !look.public {
            let open: Vec<String> = policy.public.iter().map(opens).chain(policy.unclear.iter().cloned()).collect();
            notes.push(format!(
                "S3 does not judge the policy to be public (another statement may deny the rest), so it was left alone: {}",
                list(&open, String::clone)
            ));
        } else if look.restricted {
            notes.push(
                "the bucket's own public access block keeps the public out already (RestrictPublicBuckets), and other \
                 accounts too"
                    .to_owned(),
            );
        }
        let named: Vec<&Open> = policy.public.iter().filter(|open| open.names_others).collect();
        if look.public && !named.is_empty() {
            let named = list(&named, |open| format!("statement {}", open.name));
            notes.push(format!("others than \"everybody\" are named too, and stay: {named}"));
        }
        notes
    }
}

/// The policy and the look at the bucket, where S3 calls the policy public.
fn judged(state: &State) -> Option<(Policy, Look)> {
    let look = state.look.filter(|look| look.public)?;
    Some((Policy::read(state.policy.as_deref()?), look))
}

/// S3 would refuse what an edit leaves: it may still be public, and the bucket's block takes no public policy.
fn cannot_write(policy: &Policy, look: Look) -> bool {
    look.refuses_public && !policy.unclear.is_empty()
}

fn opens(open: &Open) -> String {
    format!("statement {} allows {}", open.name, open.allows)
}

/// The first few of a list, and how many more there are.
fn list<T>(items: &[T], says: impl Fn(&T) -> String) -> String {
    let first: Vec<String> = items.iter().take(NAMED).map(says).collect();
    match items.len().saturating_sub(NAMED) {
        0 => first.join("; "),
        more => format!("{}; and {more} more", first.join("; ")),
    }
}

#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
