//! A bucket policy that denies something to callers of the bucket's own account: the classic lock-out.

use super::policy::{list, statements};
use super::{Act, Bucket, Quirk, wildcard};
use crate::call::Caller;
use crate::permissions::actions::action;
use http::StatusCode;
use serde_json::Value;

pub(super) const POLICY_DENY: Quirk = Quirk {
    id: "policy-deny",
    aws: "A Deny in the bucket's policy stops its own account's users and roles too; only the root user can still take \
          the policy away.",
    moto: "Does not look at the policy when somebody calls with a key.",
    source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let (Bucket::Own { .. }, Some(bucket)) = (&scene.bucket, scene.name()) else { return Ok(None) };
            if scene.call.caller == Caller::Anonymous {
                return Ok(None); // the quirk for unsigned calls weighs the whole policy
            }
            let action = action(&format!("s3:{}", scene.call.operation)).to_owned();
            let Some(policy) = scene.policy(bucket).await? else { return Ok(None) };
            if !denies(&policy, &scene.call.caller, &action, &format!("arn:aws:s3:::{bucket}")) {
                return Ok(None);
            }
            let message = format!(
                "User: {} is not authorized to perform: {action} on resource: \"arn:aws:s3:::{bucket}\" with an explicit \
                 deny in a resource-based policy",
                scene.call.caller.arn()
            );
            Ok(Some(scene.refuse(StatusCode::FORBIDDEN, "AccessDenied", &message)))
        })
    }),
};

/// Whether a statement denies this to this caller. A condition is taken as not met: the lab does not weigh them, and most
/// Denies with one (TLS only, from this network only) are about somebody else.
fn denies(policy: &Value, caller: &Caller, action: &str, bucket: &str) -> bool {
    statements(policy).into_iter().any(|statement| {
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            statement.get(name).is_some_and(|values| list(values).into_iter().filter_map(Value::as_str).any(fits))
        };
        let acts = |pattern: &str| wildcard(&pattern.to_lowercase(), &action.to_lowercase());
        let action_fits =
            if statement.get("NotAction").is_some() { !any("NotAction", &acts) } else { any("Action", &acts) };
        statement.get("Effect").and_then(Value::as_str) == Some("Deny")
            && statement.get("Condition").is_none()
            && action_fits
            && any("Resource", &|pattern| wildcard(pattern, bucket))
            && meant(statement, caller)
    })
}

/// Whether a statement's principal takes in this caller.
fn meant(statement: &Value, caller: &Caller) -> bool {
    let account = caller.account().unwrap_or_default();
    let mut names = vec!["*".to_owned(), account.to_owned(), format!("arn:aws:iam::{account}:root"), caller.arn()];
    if let Caller::Role { role, .. } = caller {
        names.push(format!("arn:aws:iam::{account}:role/{role}"));
    }
    let fits =
        |value: &Value| list(value).into_iter().filter_map(Value::as_str).any(|one| names.iter().any(|n| n == one));
    let includes = |principal: &Value| match principal {
        Value::Object(kinds) => kinds.get("AWS").is_some_and(fits),
        principal => fits(principal),
    };
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(principal), _) => includes(principal),
        (None, Some(spared)) => !includes(spared),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_denied_what() {
        let caller = Caller::Role {
            account: "111122223333".to_owned(),
            role: "suture".to_owned(),
            session: "s3-public-bucket".to_owned(),
            access_key: "ASIA".to_owned(),
        };
        let put = "s3:PutBucketPublicAccessBlock";
        let cases = [
            (json!({"Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::a"}), true),
            (
                json!({"Principal": {"AWS": "arn:aws:iam::111122223333:role/suture"}, "Action": [put], "Resource": ["*"]}),
                true,
            ),
            (
                json!({"Principal": {"AWS": "arn:aws:iam::111122223333:role/other"}, "Action": put, "Resource": "*"}),
                false,
            ),
            (
                json!({"NotPrincipal": {"AWS": "arn:aws:iam::111122223333:role/other"}, "Action": put, "Resource": "*"}),
                true,
            ),
            (json!({"Principal": "*", "Action": "s3:PutObject", "Resource": "*"}), false),
            (json!({"Principal": "*", "NotAction": "s3:GetObject", "Resource": "*"}), true),
            (json!({"Principal": "*", "Action": put, "Resource": "arn:aws:s3:::a/*"}), false),
            (
                json!({"Principal": "*", "Action": put, "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
                false,
            ),
        ];
        for (mut statement, expected) in cases {
            statement["Effect"] = json!("Deny");
            let policy = json!({"Statement": statement});
            assert_eq!(denies(&policy, &caller, put, "arn:aws:s3:::a"), expected, "{policy}");
        }
    }
}
