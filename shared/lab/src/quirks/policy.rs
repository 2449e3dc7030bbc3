//! What S3 says about a bucket policy: is it one, and is it public.

use serde_json::{Map, Value};

/// Whether S3 calls a bucket policy public: some statement allows something to everybody, and nothing narrows "everybody"
/// down to fixed values. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>
pub fn is_public(policy: &Value) -> bool {
    statements(policy).into_iter().any(|statement| {
        let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        allows && reaches_everybody(statement) && !narrowed(statement)
    })
}

/// The policy's statements; one alone need not be in an array.
pub(super) fn statements(policy: &Value) -> Vec<&Value> {
    policy.get("Statement").map(list).unwrap_or_default()
}

/// Whether a statement's principal takes in everybody. `NotPrincipal` with Allow leaves everybody but some.
pub(super) fn reaches_everybody(statement: &Value) -> bool {
    let star = |value: &Value| list(value).into_iter().any(|one| one.as_str() == Some("*"));
    match statement.get("Principal") {
        Some(Value::Object(kinds)) => kinds.values().any(star),
        Some(principal) => star(principal),
        None => statement.get("NotPrincipal").is_some(),
    }
}

/// The condition keys that tie a statement to somebody, or somewhere, known; lower case.
const NARROWING: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:vpcsourceip",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
];

/// Whether some condition ties the statement to fixed values.
pub(super) fn narrowed(statement: &Value) -> bool {
    let empty = Map::new();
    let condition = statement.get("Condition").and_then(Value::as_object).unwrap_or(&empty);
    condition.iter().any(|(operator, keys)| {
        let keys = keys.as_object().unwrap_or(&empty);
        holds_to_values(operator)
            && keys.iter().any(|(key, values)| {
                let key = key.to_ascii_lowercase();
                let values = list(values);
                let fixed = values.iter().all(|value| value.as_str().is_some_and(|value| is_fixed(&key, value)));
                NARROWING.contains(&key.as_str()) && !values.is_empty() && fixed
            })
    })
}

/// Whether an operator demands one of its values. `…IfExists` lets a request without the key pass, `ForAllValues` one
/// without values; `…Not…` and `Null` exclude instead.
fn holds_to_values(operator: &str) -> bool {
    let operator = operator.strip_prefix("ForAnyValue:").unwrap_or(operator);
    ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"].contains(&operator)
}

/// Whether a value stands for somebody or somewhere in particular: no wildcard, no policy variable, no address range that
/// is as good as the whole internet (wider than /8, or /32 in IPv6).
fn is_fixed(key: &str, value: &str) -> bool {
    match key {
        "aws:sourceip" | "aws:vpcsourceip" => {
            let widest = if value.contains(':') { 32 } else { 8 };
            value.split_once('/').is_none_or(|(_, bits)| bits.parse::<u8>().is_ok_and(|bits| bits >= widest))
        }
        // `arn:aws:s3:us-west-2:111122223333:accesspoint/*` is fixed: only the account counts.
        "s3:dataaccesspointarn" => value.split(':').nth(4).is_some_and(|account| !account.contains(['*', '?', '$'])),
        _ => !value.is_empty() && !value.contains(['*', '?']) && !value.contains("${"),
    }
}

/// Why a text is not a policy that S3 takes for this bucket; none if it is one. S3's own words, which people search for.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList> (MalformedPolicy)
pub fn malformed(text: &[u8], bucket: &str) -> Option<&'static str> {
    let Ok(policy) = serde_json::from_slice::<Value>(text) else {
        return Some("This policy contains invalid Json");
    };
    let Some(fields) = policy.as_object() else {
        return Some("Policies must be valid JSON and the first byte must be '{'");
    };
    let version = fields.get("Version").is_none_or(|v| matches!(v.as_str(), Some("2012-10-17" | "2008-10-17")));
    if !version {
        return Some("The policy must contain a valid version string");
    }
    let statements = statements(&policy);
    if statements.is_empty() {
        return Some("Missing required field Statement");
    }
    statements.into_iter().find_map(|statement| {
        let has = |names: [&str; 2]| names.iter().any(|name| statement.get(name).is_some());
        let effect = matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny"));
        match () {
            () if !effect => Some("Missing required field Effect"),
            () if !has(["Principal", "NotPrincipal"]) => Some("Missing required field Principal"),
            () if !has(["Action", "NotAction"]) => Some("Missing required field Action"),
            () if !has(["Resource", "NotResource"]) => Some("Missing required field Resource"),
            () if !about(statement, bucket) => Some("Policy has invalid resource"),
            () => None,
        }
    })
}

/// Whether a statement's resources can be the bucket's or its objects'.
fn about(statement: &Value, bucket: &str) -> bool {
    let resources = ["Resource", "NotResource"].into_iter().filter_map(|name| statement.get(name)).flat_map(list);
    resources.into_iter().all(|resource| {
        let Some(resource) = resource.as_str() else { return false };
        let named = resource.split_once(":s3:::").map_or(resource, |(_, name)| name);
        let named = named.split_once('/').map_or(named, |(name, _)| name);
        named == bucket || named.contains(['*', '?', '$'])
    })
}

/// A value that may stand alone or in an array, as policies allow nearly everywhere.
pub(super) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn allow(principal: &Value, condition: &Value) -> Value {
        json!({ "Statement": { "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::clinic-scans/*", "Condition": condition } })
    }

    #[test]
    fn public_means_everybody() {
        let none = json!({});
        assert!(is_public(&allow(&json!("*"), &none)));
        assert!(is_public(&allow(&json!({ "AWS": "*" }), &none)));
        assert!(is_public(&allow(&json!({ "AWS": ["arn:aws:iam::111122223333:root", "*"] }), &none)));
        assert!(is_public(&json!({ "Statement": [{ "Effect": "Allow", "NotPrincipal": { "AWS": "x" } }] })));
        assert!(!is_public(&allow(&json!({ "AWS": "arn:aws:iam::111122223333:root" }), &none)));
        assert!(!is_public(&allow(&json!({ "Service": "cloudtrail.amazonaws.com" }), &none)));
        assert!(!is_public(&json!({ "Statement": [{ "Effect": "Deny", "Principal": "*" }] })));
        assert!(!is_public(&json!({})));
    }

    #[test]
    fn a_condition_narrows_only_with_fixed_values() {
        for (condition, public) in [
            (json!({ "StringEquals": { "aws:PrincipalOrgID": "o-a1b2c3" } }), false),
            (json!({ "StringEquals": { "AWS:SourceVpce": ["vpce-1", "vpce-2"] } }), false),
            (json!({ "StringLike": { "aws:SourceVpc": "vpc-*" } }), true),
            (json!({ "StringEquals": { "aws:SourceVpc": [] } }), true),
            (json!({ "StringEqualsIfExists": { "aws:SourceVpce": "vpce-1" } }), true),
            (json!({ "StringNotEquals": { "aws:SourceVpce": "vpce-1" } }), true),
            (json!({ "ForAllValues:StringEquals": { "aws:PrincipalOrgPaths": "o-a/r-b/" } }), true),
            (json!({ "ForAnyValue:StringEquals": { "aws:PrincipalOrgPaths": "o-a/r-b/" } }), false),
            (json!({ "StringEquals": { "aws:PrincipalArn": "${aws:PrincipalArn}" } }), true),
            (json!({ "StringEquals": { "aws:Referer": "https://example.com" } }), true),
            (json!({ "Bool": { "aws:SecureTransport": "true" } }), true),
            (json!({ "IpAddress": { "aws:SourceIp": "203.0.113.0/24" } }), false),
            (json!({ "IpAddress": { "aws:SourceIp": ["203.0.113.7", "0.0.0.0/1"] } }), true),
            (json!({ "IpAddress": { "aws:SourceIp": "2001:db8::/24" } }), true),
            (
                json!({ "ArnLike": { "s3:DataAccessPointArn": "arn:aws:s3:us-west-2:111122223333:accesspoint/*" } }),
                false,
            ),
        ] {
            assert_eq!(is_public(&allow(&json!("*"), &condition)), public, "{condition}");
        }
    }

    #[test]
    fn malformed_policies_are_told_apart() {
        let full = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": "*",
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::clinic-scans/*" }] });
        for (pointer, value, expected) in [
            ("/Version", json!("2012-10-17"), None),
            ("/Version", json!("2020-01-01"), Some("The policy must contain a valid version string")),
            ("/Statement", json!([]), Some("Missing required field Statement")),
            ("/Statement/0", json!({ "Effect": "Allow" }), Some("Missing required field Principal")),
            ("/Statement/0/Effect", json!("allow"), Some("Missing required field Effect")),
            ("/Statement/0/Resource", json!("arn:aws:s3:::other-bucket/*"), Some("Policy has invalid resource")),
            ("/Statement/0/Resource", json!(["arn:aws:s3:::clinic-scans", "arn:aws:s3:::clinic-*/*"]), None),
        ] {
            let mut policy = full.clone();
            *policy.pointer_mut(pointer).unwrap() = value;
            assert_eq!(malformed(policy.to_string().as_bytes(), "clinic-scans"), expected, "{policy}");
        }
        assert_eq!(malformed(b"{bad", "clinic-scans"), Some("This policy contains invalid Json"));
        assert!(malformed(b"[]", "clinic-scans").is_some());
    }
}
