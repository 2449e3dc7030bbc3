//! What the policy of a resource says of somebody: a role's trust policy, a queue's, an event bus's.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>. An operator that is not known
//! here never lets anybody in: it fails an Allow and holds for a Deny.

use crate::quirks::wildcard;
use serde_json::Value;

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What the caller goes by in a policy: the ARNs of its session and of its role, its account's ARN and number. None if
    /// it is a service.
    pub principals: &'a [String],
    /// The service that calls: `events.amazonaws.com`.
    pub service: Option<&'a str>,
    /// `sts:AssumeRole`
    pub action: &'a str,
    /// The ARN of what is asked for. A trust policy has no resource of its own, so there it is not looked at.
    pub resource: &'a str,
    /// What is known of the request, by condition key.
    pub context: &'a [(&'a str, &'a str)],
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It allows.
    Allowed,
    /// It says no.
    Denied,
    /// It says nothing of the sort, which is no as well.
    Silent,
}

/// What these statements say.
pub fn judge(statements: &[Value], asked: &Asked<'_>) -> Verdict {
    let says = |effect: &str| statements.iter().any(|statement| covers(statement, effect, asked));
    match (says("Deny"), says("Allow")) {
        (true, _) => Verdict::Denied,
        (false, true) => Verdict::Allowed,
        (false, false) => Verdict::Silent,
    }
}

fn covers(statement: &Value, effect: &str, asked: &Asked<'_>) -> bool {
    let action = asked.action.to_ascii_lowercase();
    let condition = statement.get("Condition");
    statement.get("Effect").and_then(Value::as_str) == Some(effect)
        && any(statement.get("Action"), |pattern| wildcard(&pattern.to_ascii_lowercase(), &action))
        && statement.get("Resource").is_none_or(|all| any(Some(all), |pattern| wildcard(pattern, asked.resource)))
        && named(statement.get("Principal"), asked)
        && condition.is_none_or(|condition| met(condition, asked.context).unwrap_or(effect == "Deny"))
}

/// Whether a principal element names who asks.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
fn named(principal: Option<&Value>, asked: &Asked<'_>) -> bool {
    match principal {
        Some(Value::String(anybody)) => anybody == "*",
        Some(Value::Object(kinds)) => {
            let of_aws = |one: &str| {
                asked.service.is_none() && (one == "*" || asked.principals.iter().any(|principal| principal == one))
            };
            any(kinds.get("AWS"), of_aws) || any(kinds.get("Service"), |one| asked.service == Some(one))
        }
        _ => false,
    }
}

/// Whether a condition is met; none if it has an operator that is not known here.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
fn met(condition: &Value, context: &[(&str, &str)]) -> Option<bool> {
    let mut all = true;
    for (operator, keys) in condition.as_object()? {
        let (operator, if_exists) =
            operator.strip_suffix("IfExists").map_or((operator.as_str(), false), |operator| (operator, true));
        let (operator, negated) = match operator {
            "StringNotEquals" => ("StringEquals", true),
            "StringNotLike" => ("StringLike", true),
            "ArnNotEquals" | "ArnNotLike" => ("ArnLike", true),
            other => (other, false),
        };
        for (key, values) in keys.as_object()? {
            let found = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value);
            let one: fn(&str, &str) -> bool = match operator {
                "StringEquals" => |wanted, found| wanted == found,
                "StringEqualsIgnoreCase" => |wanted, found| wanted.eq_ignore_ascii_case(found),
                "StringLike" | "ArnLike" | "ArnEquals" => wildcard,
                "Bool" => |wanted, found| wanted.eq_ignore_ascii_case(found),
                "Null" => {
                    all &= any(Some(values), |wanted| wanted == if found.is_none() { "true" } else { "false" });
                    continue;
                }
                _ => return None,
            };
            all &= match found {
                // A key that the request does not have meets what is negated, and nothing else.
                None => if_exists || negated,
                Some(found) => any(Some(values), |wanted| one(wanted, found)) != negated,
            };
        }
    }
    Some(all)
}

/// Whether one of the values, which may stand alone or in an array, fits.
fn any(values: Option<&Value>, fits: impl Fn(&str) -> bool) -> bool {
    let fits = |value: &Value| match value {
        Value::String(text) => fits(text),
        Value::Bool(yes) => fits(if *yes { "true" } else { "false" }),
        _ => false,
    };
    match values {
        Some(Value::Array(values)) => values.iter().any(fits),
        Some(one) => fits(one),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HUB: &str = "arn:aws:iam::111122223333:role/suture-s3-public-bucket-us-east-1";
    const MEMBER: &str = "arn:aws:iam::444455556666:role/suture-member-s3-public-bucket";

    fn trust(condition: &Value) -> Vec<Value> {
        let principal = json!({ "AWS": HUB });
        vec![json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition})]
    }

    fn verdict(statements: &[Value], context: &[(&str, &str)]) -> Verdict {
        let principals = [HUB.to_owned(), "111122223333".to_owned(), "arn:aws:iam::111122223333:root".to_owned()];
        let (principals, service) = (principals.as_slice(), None);
        judge(statements, &Asked { principals, service, action: "sts:AssumeRole", resource: MEMBER, context })
    }

    #[test]
    fn conditions_are_met_as_iam_meets_them() {
        let (id, org) = (("sts:ExternalId", "clinic"), ("aws:PrincipalOrgID", "o-a1b2c3d4e5"));
        let both = json!({"StringEquals": {"sts:ExternalId": "clinic", "aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
        for (condition, context, allowed) in [
            (both.clone(), vec![id, org], true),
            (both.clone(), vec![("sts:ExternalId", "other"), org], false),
            (both.clone(), vec![id, ("aws:PrincipalOrgID", "o-zzzzzzzzzz")], false),
            (both.clone(), vec![id], false),
            (both, vec![org], false),
            (json!({"StringEquals": {"STS:externalid": ["no", "clinic"]}}), vec![id], true),
            (json!({"StringNotEquals": {"sts:ExternalId": "clinic"}}), vec![], true),
            (json!({"StringNotEquals": {"sts:ExternalId": ["clinic", "x"]}}), vec![id], false),
            (json!({"StringEqualsIfExists": {"sts:ExternalId": "clinic"}}), vec![], true),
            (json!({"StringLike": {"sts:ExternalId": "cli*"}}), vec![id], true),
            (json!({"Null": {"sts:ExternalId": "true"}}), vec![id], false),
            (json!({"Null": {"sts:ExternalId": true}}), vec![], true),
            (json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), vec![id], false),
            (json!({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}), vec![id], false),
        ] {
            let expected = if allowed { Verdict::Allowed } else { Verdict::Silent };
            assert_eq!(verdict(&trust(&condition), &context), expected, "{condition} {context:?}");
        }
    }

    #[test]
    fn principals_are_named_exactly_or_by_their_account() {
        for (principal, allowed) in [
            (json!("*"), true),
            (json!({"AWS": "*"}), true),
            (json!({"AWS": [HUB]}), true),
            (json!({"AWS": "111122223333"}), true),
            (json!({"AWS": "arn:aws:iam::111122223333:root"}), true),
            (json!({"AWS": "444455556666"}), false),
            (json!({"AWS": "arn:aws:iam::111122223333:role/suture-*"}), false),
            (json!({"Service": "lambda.amazonaws.com"}), false),
            (json!(HUB), false),
        ] {
            let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
            let expected = if allowed { Verdict::Allowed } else { Verdict::Silent };
            assert_eq!(verdict(&[statement], &[]), expected, "{principal}");
        }
        let service = |wanted: &str| {
            let statement =
                json!({"Effect": "Allow", "Principal": {"Service": wanted}, "Action": "sts:*", "Resource": "*"});
            let service = Some("events.amazonaws.com");
            judge(
                &[statement],
                &Asked { principals: &[], service, action: "sts:AssumeRole", resource: "", context: &[] },
            )
        };
        assert_eq!(service("events.amazonaws.com"), Verdict::Allowed);
        assert_eq!(service("lambda.amazonaws.com"), Verdict::Silent);
    }

    #[test]
    fn what_is_denied_is_denied() {
        let deny = |condition: Value| json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition});
        let mut all = trust(&json!({}));
        assert_eq!(verdict(&all, &[]), Verdict::Allowed);
        all.push(deny(json!({"Bool": {"aws:SecureTransport": "false"}})));
        assert_eq!(verdict(&all, &[("aws:SecureTransport", "true")]), Verdict::Allowed);
        assert_eq!(verdict(&all, &[("aws:SecureTransport", "false")]), Verdict::Denied);
        // What cannot be read keeps out.
        all.push(deny(json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})));
        assert_eq!(verdict(&all, &[("aws:SecureTransport", "true")]), Verdict::Denied);
    }
}
