//! Access control lists, as S3 has them. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use remediation::shown;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everybody, signed in or not.
const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
/// Everybody who has an AWS account.
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
/// S3's own writers of access logs.
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
/// Canned ACLs with a public grant. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>
const PUBLIC_CANNED: &[&str] = &["public-read", "public-read-write", "authenticated-read"];

/// A bucket's ACL. Display names are not in it: they say nothing that the ids do not, and S3 gives them no more since
/// November 2025.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The owner's canonical id; none if S3 did not say.
    pub owner: Option<String>,
    /// The grants, in S3's order.
    pub grants: Vec<Grant>,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub to: Grantee,
    /// `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP` or `FULL_CONTROL`.
    pub permission: String,
}

/// Somebody who was granted something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grantee {
    /// An account, by its canonical id.
    Account(String),
    /// A group, by its URI.
    Group(String),
    /// Anything else, by the name of its kind; what it holds beside that is not kept.
    Other(String),
}

impl Grant {
    /// Whether it is for everybody.
    pub fn is_public(&self) -> bool {
        matches!(&self.to, Grantee::Group(uri) if uri == ALL_USERS || uri == AUTHENTICATED_USERS)
    }

    /// Whether it lets list the bucket's objects.
    pub fn lets_list(&self) -> bool {
        matches!(self.permission.as_str(), "READ" | "FULL_CONTROL")
    }

    /// The group's URI, if it is none that is known.
    pub fn unknown_group(&self) -> Option<&str> {
        match &self.to {
            Grantee::Group(uri) if !self.is_public() && uri != LOG_DELIVERY => Some(uri),
            _ => None,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"].contains(&self.permission.as_str());
        let permission = if known { self.permission.clone() } else { shown(&self.permission) };
        match &self.to {
            Grantee::Group(uri) if uri == ALL_USERS => write!(f, "{permission} for everybody"),
            Grantee::Group(uri) if uri == AUTHENTICATED_USERS => write!(f, "{permission} for every AWS account"),
            Grantee::Group(name) | Grantee::Account(name) | Grantee::Other(name) => {
                write!(f, "{permission} for {}", shown(name))
            }
        }
    }
}

impl Acl {
    /// Whether two ACLs grant the same, in whatever order.
    pub fn is_like(&self, other: &Self) -> bool {
        let sorted = |acl: &Self| {
            let mut grants = acl.grants.clone();
            grants.sort();
            grants
        };
        self.owner == other.owner && sorted(self) == sorted(other)
    }

    /// Why S3 would not take this ACL, if there is a reason to fear so: `PutBucketAcl` replaces it whole, with its owner.
    pub fn cannot_be_written(&self) -> Option<String> {
        if self.owner.is_none() {
            return Some("its owner is not known".to_owned());
        }
        self.grants.iter().find_map(|grant| match &grant.to {
            // New grants by email address are answered with 405 since October 2025.
            // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html
            Grantee::Other(kind) => Some(format!("it has a grant to a grantee of the kind {}", shown(kind))),
            _ => None,
        })
    }
}

/// Whether the parameters of a call, as CloudTrail writes them, ask for a public ACL: a canned one, headers with grants, or
/// a whole list.
pub fn asks_for_public(parameters: &serde_json::Value) -> bool {
    let texts = |value: &serde_json::Value| -> Vec<String> {
        match value {
            serde_json::Value::String(text) => vec![text.clone()],
            serde_json::Value::Array(values) => {
                values.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
            }
            _ => vec![],
        }
    };
    let public_uri = |text: &String| text.contains("/global/AllUsers") || text.contains("/global/AuthenticatedUsers");
    let canned = parameters.get("x-amz-acl").map(texts).unwrap_or_default();
    let headers = ["read", "write", "read-acp", "write-acp", "full-control"].iter();
    let mut headers = headers.filter_map(|header| parameters.get(format!("x-amz-grant-{header}"))).flat_map(texts);
    let grants = parameters.pointer("/AccessControlPolicy/AccessControlList/Grant");
    let grants: Vec<&serde_json::Value> = match grants {
        Some(serde_json::Value::Array(grants)) => grants.iter().collect(),
        grants => grants.into_iter().collect(),
    };
    canned.iter().any(|canned| PUBLIC_CANNED.contains(&canned.as_str()))
        || headers.any(|header| public_uri(&header))
        || grants.iter().filter_map(|grant| grant.pointer("/Grantee/URI")).flat_map(texts).any(|uri| public_uri(&uri))
}
