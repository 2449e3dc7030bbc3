//! Calls that nobody signed: whether the bucket is in fact open. What the lab shows before and after a fix.

use super::access::grants_everybody;
use super::policy::{is_public, list, narrowed, reaches_everybody, statements};
use super::{Act, Bucket, Quirk, Scene, wildcard};
use crate::call::Caller;
use crate::understand::s3::bucket_and_key;
use http::{Method, StatusCode};
use serde_json::Value;

pub(super) const ANONYMOUS: Quirk = Quirk {
    id: "anonymous",
    aws: "An unsigned call is answered only if a policy or an ACL gives it to everybody and Block Public Access does not \
          overrule that.",
    moto: "Answers every unsigned call but reads of objects, and those by the object's ACL alone.",
    source: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let s3 = matches!(scene.call.service.as_str(), "s3" | "s3control");
            if !s3 || scene.call.caller != Caller::Anonymous || scene.call.request.method == Method::OPTIONS {
                return Ok(None);
            }
            // A missing bucket is a missing bucket to anybody; moto says so.
            if scene.bucket == Bucket::Missing && !scene.is_s3(&["CreateBucket"]) {
                return Ok(None);
            }
            if allowed(scene).await? {
                // In the bucket owner's name: moto's own idea of what is public ends at the object's ACL.
                let target = scene.call.request.target.clone();
                let body = scene.call.request.body.clone();
                return scene.tell(scene.call.request.method.clone(), &target, body).await.map(Some);
            }
            Ok(Some(scene.refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")))
        })
    }),
};

/// The permission that an operation asks for in a policy; in an ACL, whose it is and what it is called.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions>
const ASKS: &[(&str, &str, &str, &str)] = &[
    ("GetObject", "s3:GetObject", "object", "READ"),
    ("HeadObject", "s3:GetObject", "object", "READ"),
    ("GetObjectAcl", "s3:GetObjectAcl", "object", "READ_ACP"),
    ("ListObjects", "s3:ListBucket", "bucket", "READ"),
    ("ListObjectsV2", "s3:ListBucket", "bucket", "READ"),
    ("HeadBucket", "s3:ListBucket", "bucket", "READ"),
    ("GetBucketAcl", "s3:GetBucketAcl", "bucket", "READ_ACP"),
    ("PutObject", "s3:PutObject", "bucket", "WRITE"),
    ("DeleteObject", "s3:DeleteObject", "bucket", "WRITE"),
];

async fn allowed(scene: &Scene<'_>) -> Result<bool, String> {
    let (Bucket::Own { .. }, Some(bucket)) = (&scene.bucket, scene.name()) else { return Ok(false) };
    let Some((_, action, whose, permission)) = ASKS.iter().find(|(name, ..)| scene.is_s3(&[name])) else {
        return Ok(false);
    };
    let key = bucket_and_key(&scene.call.request).1;
    let resource = key.as_ref().map_or_else(|| bucket.to_owned(), |key| format!("{bucket}/{key}"));
    let resource = format!("arn:aws:s3:::{resource}");
    let block = scene.block(bucket).await?;
    if let Some(policy) = scene.policy(bucket).await? {
        match decides(&policy, action, &resource) {
            Some(false) => return Ok(false),
            Some(true) if !(block.has("RestrictPublicBuckets") && is_public(&policy)) => return Ok(true),
            Some(true) | None => {}
        }
    }
    if block.has("IgnorePublicAcls") || scene.owner_enforced(bucket).await? {
        return Ok(false);
    }
    let path = if *whose == "object" { scene.call.request.path() } else { &format!("/{bucket}") };
    let acl = scene.ask(Method::GET, &format!("{path}?acl")).await?;
    Ok(grants_everybody(&acl.body, permission))
}

/// What a policy says to everybody about an action on a resource: yes, no, or nothing. A statement that is narrowed is
/// not for everybody; conditions are not weighed beyond that, and one in a Deny is taken as met.
fn decides(policy: &Value, action: &str, resource: &str) -> Option<bool> {
    let about = |statement: &Value, name: &str, asked: &str, fold: bool| {
        statement.get(name).is_some_and(|patterns| {
            list(patterns).into_iter().filter_map(Value::as_str).any(|pattern| {
                if fold { wildcard(&pattern.to_lowercase(), &asked.to_lowercase()) } else { wildcard(pattern, asked) }
            })
        })
    };
    let speaking = statements(policy).into_iter().filter(|statement| {
        reaches_everybody(statement)
            && about(statement, "Action", action, true)
            && about(statement, "Resource", resource, false)
    });
    let mut said = None;
    for statement in speaking {
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") => return Some(false),
            Some("Allow") if !narrowed(statement) => said = Some(true),
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("s3:Get*", "s3:GetObject", true),
            ("a*c?e", "abbbcde", true),
            ("a*c", "ab", false),
            ("arn:aws:s3:::clinic-scans/*", "arn:aws:s3:::clinic-scans", false),
        ] {
            assert_eq!(wildcard(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_deny_wins_and_a_narrowed_allow_is_not_for_everybody() {
        let allow = json!({ "Effect": "Allow", "Principal": "*", "Action": ["s3:getobject"], "Resource": "*" });
        let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*" });
        let mut narrow = allow.clone();
        narrow["Condition"] = json!({ "StringEquals": { "aws:SourceVpce": "vpce-1" } });
        let decide = |list: &[&Value]| decides(&json!({ "Statement": list }), "s3:GetObject", "arn:aws:s3:::a/b");
        assert_eq!(decide(&[&allow]), Some(true));
        assert_eq!(decide(&[&allow, &deny]), Some(false));
        assert_eq!(decide(&[&narrow]), None);
    }
}
