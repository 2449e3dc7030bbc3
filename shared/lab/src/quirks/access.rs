//! Who gets at a bucket: policies, ACLs, object ownership and Block Public Access.

use super::buckets::XMLNS;
use super::policy::{is_public, malformed};
use super::{Act, Bucket, Quirk, Scene, text_in};
use crate::http::{ApiRequest, ApiResponse};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;

/// The Block Public Access settings in force for a bucket: its account's and its own.
pub(super) struct Block(Vec<String>);

impl Block {
    /// Whether a setting (`BlockPublicAcls`) is on: S3 applies the stricter of the account's and the bucket's.
    pub(super) fn has(&self, setting: &str) -> bool {
        self.0.iter().any(|on| on == setting)
    }
}

impl Scene<'_> {
    /// What Block Public Access does to a bucket of the call's account.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
    pub(super) async fn block(&self, bucket: &str) -> Result<Block, String> {
        Ok(Block(self.facts(bucket).await?.block))
    }

    /// The bucket's policy; none if it has none, null if it is not JSON.
    pub(super) async fn policy(&self, bucket: &str) -> Result<Option<Value>, String> {
        let policy = self.facts(bucket).await?.policy;
        Ok(policy.map(|text| serde_json::from_str(&text).unwrap_or_default()))
    }

    /// Whether the bucket's owner has switched ACLs off.
    pub(super) async fn owner_enforced(&self, bucket: &str) -> Result<bool, String> {
        Ok(self.facts(bucket).await?.ownership.as_deref() == Some("BucketOwnerEnforced"))
    }

    /// The name of the call's bucket if the call is one of these and the bucket is the caller's own.
    fn own_bucket(&self, operations: &[&str]) -> Option<&str> {
        let own = matches!(self.bucket, Bucket::Own { .. }) && self.is_s3(operations);
        self.name().filter(|_| own)
    }
}

pub(super) const MALFORMED_POLICY: Quirk = Quirk {
    id: "malformed-policy",
    aws: "PutBucketPolicy refuses what is not a policy for the bucket with 400 MalformedPolicy.",
    moto: "Stores any bytes.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let Some(bucket) = scene.own_bucket(&["PutBucketPolicy"]) else { return Ok(None) };
            let why = malformed(&scene.call.request.body, bucket);
            Ok(why.map(|why| scene.refuse(StatusCode::BAD_REQUEST, "MalformedPolicy", why)))
        })
    }),
};

pub(super) const ACL_ON_CREATE: Quirk = Quirk {
    id: "acl-on-create",
    aws: "CreateBucket with an ACL for others is refused while the new bucket has BucketOwnerEnforced, and with a public \
          one in any case, because the new bucket blocks public ACLs.",
    moto: "Creates the bucket with the ACL.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let request = &scene.call.request;
            if !scene.is_s3(&["CreateBucket"]) || scene.bucket != Bucket::Missing || !has_acl(request, &["private"]) {
                return Ok(None);
            }
            let ownership = request.text("x-amz-object-ownership").unwrap_or("BucketOwnerEnforced");
            Ok(if ownership == "BucketOwnerEnforced" {
                Some(acl_over_enforced(scene))
            } else if is_public_acl(request) {
                Some(scene.denied(BLOCKED_ACLS))
            } else {
                None
            })
        })
    }),
};

pub(super) const ACL_UNDER_OWNER_ENFORCED: Quirk = Quirk {
    id: "acl-under-owner-enforced",
    aws: "A bucket with BucketOwnerEnforced refuses any ACL with 400 AccessControlListNotSupported; uploads may say \
          bucket-owner-full-control.",
    moto: "Stores the ACL.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let Some(bucket) = scene.own_bucket(WITH_ACL) else { return Ok(None) };
            let sets = scene.is_s3(&["PutBucketAcl", "PutObjectAcl"])
                || has_acl(&scene.call.request, &["bucket-owner-full-control"]);
            if !sets || !scene.owner_enforced(bucket).await? {
                return Ok(None);
            }
            let code = "AccessControlListNotSupported";
            Ok(Some(scene.refuse(StatusCode::BAD_REQUEST, code, "The bucket does not allow ACLs")))
        })
    }),
};

pub(super) const OWNER_ENFORCED_OVER_ACL: Quirk = Quirk {
    id: "owner-enforced-over-acl",
    aws: "BucketOwnerEnforced is refused with 400 InvalidBucketAclWithObjectOwnership while the bucket's ACL grants \
          anything to others.",
    moto: "Stores it and keeps the ACL.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-ownership-error-responses.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let Some(bucket) = scene.own_bucket(&["PutBucketOwnershipControls"]) else { return Ok(None) };
            let asked = text_in(&scene.call.request.body, "ObjectOwnership");
            if asked.as_deref() != Some("BucketOwnerEnforced") {
                return Ok(None);
            }
            let acl = scene.ask(Method::GET, &format!("/{bucket}?acl")).await?;
            Ok(grants_to_others(&acl.body).then(|| acl_over_enforced(scene)))
        })
    }),
};

pub(super) const BLOCK_PUBLIC_ACLS: Quirk = Quirk {
    id: "block-public-acls",
    aws: "With BlockPublicAcls on the bucket or the account, a call that sets a public ACL is refused with 403 \
          AccessDenied.",
    moto: "Stores the setting and the ACL.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let Some(bucket) = scene.own_bucket(WITH_ACL) else { return Ok(None) };
            if !is_public_acl(&scene.call.request) || !scene.block(bucket).await?.has("BlockPublicAcls") {
                return Ok(None);
            }
            Ok(Some(scene.denied(BLOCKED_ACLS)))
        })
    }),
};

pub(super) const BLOCK_PUBLIC_POLICY: Quirk =
    Quirk {
        id: "block-public-policy",
        aws: "With BlockPublicPolicy on the bucket or the account, PutBucketPolicy refuses a public policy with 403 \
          AccessDenied.",
        moto: "Stores the setting and the policy.",
        source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
        act: Act::Instead(|scene| {
            Box::pin(async move {
                let Some(bucket) = scene.own_bucket(&["PutBucketPolicy"]) else { return Ok(None) };
                let policy: Value = serde_json::from_slice(&scene.call.request.body).unwrap_or_default();
                if !is_public(&policy) || !scene.block(bucket).await?.has("BlockPublicPolicy") {
                    return Ok(None);
                }
                Ok(Some(scene.denied(
                    "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
                )))
            })
        }),
    };

pub(super) const POLICY_STATUS: Quirk = Quirk {
    id: "policy-status",
    aws: "GetBucketPolicyStatus weighs a policy's conditions: only fixed values narrow it; NotPrincipal is public.",
    moto: "Calls any policy with a condition not public, and does not know NotPrincipal.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let Some(bucket) = scene.own_bucket(&["GetBucketPolicyStatus"]) else { return Ok(None) };
            let Some(policy) = scene.policy(bucket).await? else { return Ok(None) };
            let body = format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
<PolicyStatus xmlns="{XMLNS}"><IsPublic>{}</IsPublic></PolicyStatus>"#,
                is_public(&policy)
            );
            Ok(Some(ApiResponse::new(StatusCode::OK, body).header("content-type", "application/xml")))
        })
    }),
};

pub(super) const CONDITIONS: Quirk = Quirk {
    id: "policy-conditions",
    aws: "A Deny whose condition is not met, such as one of calls without TLS, denies nothing.",
    moto: "Denies everybody the objects that such a statement is about, and those of an Allow with a condition.",
    source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html",
    act: Act::Inside("s3"),
};

pub(super) const EFFECTIVE_ACL: Quirk = Quirk {
    id: "effective-acl",
    aws: "GetBucketAcl and GetObjectAcl show the grants that have effect: none to everybody while IgnorePublicAcls is on \
          the bucket or the account, the owner's alone with BucketOwnerEnforced.",
    moto: "Shows what was set.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
    act: Act::Answer(|scene, mut answer| {
        Box::pin(async move {
            let Some(bucket) = scene.own_bucket(&["GetBucketAcl", "GetObjectAcl"]) else { return Ok(answer) };
            let (ignored, enforced) =
                (scene.block(bucket).await?.has("IgnorePublicAcls"), scene.owner_enforced(bucket).await?);
            if answer.status.is_success() && (ignored || enforced) {
                answer.body = Bytes::from(effective(&String::from_utf8_lossy(&answer.body), enforced));
                answer.headers.remove(http::header::CONTENT_LENGTH);
            }
            Ok(answer)
        })
    }),
};

pub(super) const PUT_POLICY_ANSWER: Quirk = Quirk {
    id: "put-policy-answer",
    aws: "PutBucketPolicy answers 204 without a body.",
    moto: "Answers 200 with the word True.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html",
    act: Act::Answer(|scene, mut answer| {
        Box::pin(async move {
            if scene.is_s3(&["PutBucketPolicy"]) && answer.status.is_success() {
                answer.status = StatusCode::NO_CONTENT;
                answer.body = Bytes::new();
                answer.headers.remove(http::header::CONTENT_LENGTH);
                answer.headers.remove(http::header::CONTENT_TYPE);
            }
            Ok(answer)
        })
    }),
};

const BLOCKED_ACLS: &str =
    "public access control lists (ACLs) are prevented by the BlockPublicAcls setting in S3 Block Public Access.";

/// The operations that can set an ACL.
const WITH_ACL: &[&str] = &["PutBucketAcl", "PutObjectAcl", "PutObject", "CopyObject", "CreateMultipartUpload"];

fn acl_over_enforced(scene: &Scene<'_>) -> ApiResponse {
    let message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    scene.refuse(StatusCode::BAD_REQUEST, "InvalidBucketAclWithObjectOwnership", message)
}

/// Whether a request's headers set an ACL other than these canned ones.
fn has_acl(request: &ApiRequest, harmless: &[&str]) -> bool {
    let canned = request.text("x-amz-acl").is_some_and(|acl| !harmless.contains(&acl));
    canned || request.headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"))
}

/// Whether a text names one of the two groups that S3 calls public: everybody, and everybody with an AWS account.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#specifying-grantee-predefined-groups>
fn names_public_group(text: &str) -> bool {
    ["AllUsers", "AuthenticatedUsers"].iter().any(|group| text.contains(&format!("/groups/global/{group}")))
}

/// Whether a request sets a public ACL: a canned one, a grant in a header or a grant in the body of an ACL call.
fn is_public_acl(request: &ApiRequest) -> bool {
    let canned = ["public-read", "public-read-write", "authenticated-read"];
    let granted = request
        .headers
        .iter()
        .any(|(name, value)| name.as_str().starts_with("x-amz-grant-") && value.to_str().is_ok_and(names_public_group));
    let acl_body = request.query().iter().any(|(name, _)| name == "acl");
    request.text("x-amz-acl").is_some_and(|acl| canned.contains(&acl))
        || granted
        || (acl_body && str::from_utf8(&request.body).is_ok_and(names_public_group))
}

/// Whether an ACL in XML grants anything to anybody but the owner.
fn grants_to_others(acl: &[u8]) -> bool {
    let owner = text_in(acl, "ID");
    let Ok(text) = str::from_utf8(acl) else { return false };
    let Ok(document) = roxmltree::Document::parse(text) else { return false };
    let id = |grantee: roxmltree::Node<'_, '_>| {
        grantee.children().find(|child| child.tag_name().name() == "ID").and_then(|id| id.text()).map(str::to_owned)
    };
    document.descendants().filter(|node| node.tag_name().name() == "Grantee").any(|grantee| id(grantee) != owner)
}

/// An ACL in XML without its public grants, or without all but its owner's.
fn effective(acl: &str, owner_only: bool) -> String {
    let owner = text_in(acl.as_bytes(), "ID").unwrap_or_default();
    let mut parts = acl.split("<Grant>");
    let head = parts.next().unwrap_or_default().to_owned();
    parts.fold(head, |shown, part| {
        let (grant, rest) = part.split_once("</Grant>").unwrap_or((part, ""));
        let goes = names_public_group(grant) || (owner_only && !grant.contains(&format!("<ID>{owner}</ID>")));
        if goes { shown + rest } else { format!("{shown}<Grant>{part}") }
    })
}

/// Whether an ACL in XML grants everybody this permission.
pub(super) fn grants_everybody(acl: &[u8], permission: &str) -> bool {
    let Ok(text) = str::from_utf8(acl) else { return false };
    let Ok(document) = roxmltree::Document::parse(text) else { return false };
    let text_of = |grant: roxmltree::Node<'_, '_>, name: &str| {
        grant.descendants().find(|node| node.tag_name().name() == name).and_then(|node| node.text()).map(str::to_owned)
    };
    document.descendants().filter(|node| node.tag_name().name() == "Grant").any(|grant| {
        let given = text_of(grant, "Permission");
        text_of(grant, "URI").is_some_and(|uri| uri.ends_with("/groups/global/AllUsers"))
            && given.is_some_and(|given| given == permission || given == "FULL_CONTROL")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

    fn acl(grantee: &str, permission: &str) -> String {
        format!(
            "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList><Grant><Grantee>{grantee}</Grantee>\
             <Permission>{permission}</Permission></Grant></AccessControlList></AccessControlPolicy>"
        )
    }

    #[test]
    fn a_public_acl_is_seen_in_each_form() {
        let put = |target: &str| ApiRequest::new(Method::PUT, target);
        assert!(is_public_acl(&put("/clinic-scans?acl").header("x-amz-acl", "public-read")));
        assert!(is_public_acl(&put("/clinic-scans/a").header("x-amz-grant-read", &format!("uri=\"{ALL}\""))));
        let body = acl(&format!("<URI>{ALL}</URI>"), "READ");
        assert!(is_public_acl(&put("/clinic-scans?acl").body(body.clone())));
        assert!(!is_public_acl(&put("/clinic-scans/a").body(body)), "an object's content is no ACL");
        assert!(!is_public_acl(&put("/clinic-scans?acl").header("x-amz-acl", "log-delivery-write")));
    }

    #[test]
    fn what_has_no_effect_is_not_shown() {
        let own = "<Grant><Grantee><ID>me</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>";
        let logs = "<Grant><Grantee><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee></Grant>";
        let public = format!("<Grant><Grantee><URI>{ALL}</URI></Grantee><Permission>READ</Permission></Grant>");
        let acl = |grants: &[&str]| {
            let all = grants.concat();
            format!("<A><Owner><ID>me</ID></Owner><AccessControlList>{all}</AccessControlList></A>")
        };
        let whole = acl(&[own, &public, logs, &public]);
        assert_eq!(effective(&whole, false), acl(&[own, logs]));
        assert_eq!(effective(&whole, true), acl(&[own]));
    }

    #[test]
    fn grants_are_told_apart() {
        let public = acl(&format!("<URI>{ALL}</URI>"), "READ");
        assert!(grants_to_others(public.as_bytes()) && grants_everybody(public.as_bytes(), "READ"));
        assert!(!grants_everybody(public.as_bytes(), "WRITE"));
        let own = acl("<ID>me</ID>", "FULL_CONTROL");
        assert!(!grants_to_others(own.as_bytes()) && !grants_everybody(own.as_bytes(), "READ"));
        assert!(grants_to_others(acl("<ID>you</ID>", "READ").as_bytes()));
    }
}
