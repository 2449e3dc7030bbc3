//! Whether a policy's statements allow something, as IAM weighs them; in doubt, not.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use crate::quirks::wildcard;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The condition keys that the lab fills in, in small letters. An Allow with a condition on any other key allows nothing,
/// and a Deny with one denies.
pub const KEYS: [&str; 5] =
    ["aws:requestedregion", "aws:resourceorgid", "aws:securetransport", "dynamodb:leadingkeys", "kms:viaservice"];

/// Something that a call needs to be allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// `dynamodb:PutItem`
    pub(super) action: String,
    /// The ARN of what it is needed for.
    pub(super) resource: String,
    /// What is known of the call, by condition key in small letters.
    pub(super) context: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Need {
    /// An action on a resource.
    pub(super) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// The same, with the values of a condition key.
    pub(super) fn with(mut self, key: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        self.context.entry(key).or_default().extend(values);
        self
    }
}

/// One action on one resource pattern that a role is allowed: what can be taken away from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// `s3:GetBucketAcl`, as the policy spells it.
    pub action: String,
    /// The pattern of the ARNs that it is allowed on.
    pub resource: String,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)
    }
}

/// What statements say about a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These grants allow it.
    Allowed(Vec<Grant>),
    /// Nothing allows it.
    NotAllowed,
    /// A Deny forbids it.
    Denied,
}

/// Weighs statements, without the grants that were taken away.
pub(super) fn weigh(statements: &[Value], need: &Need, withheld: &BTreeSet<Grant>) -> Verdict {
    let of = |effect: &'static str| {
        statements.iter().filter(move |one| one.get("Effect").and_then(Value::as_str) == Some(effect))
    };
    if of("Deny").any(|statement| denies(statement, need)) {
        return Verdict::Denied;
    }
    let allowing = of("Allow").filter(|statement| met(statement, need) == Some(true)).flat_map(|statement| {
        grants(statement).filter(|grant| {
            fits_action(&grant.action, need) && wildcard(&grant.resource, &need.resource) && !withheld.contains(grant)
        })
    });
    let allowing: Vec<_> = allowing.collect();
    if allowing.is_empty() { Verdict::NotAllowed } else { Verdict::Allowed(allowing) }
}

/// What a statement allows, pair by pair. Nothing, where it says what it is *not* about: the lab takes none of those.
pub(super) fn grants(statement: &Value) -> impl Iterator<Item = Grant> {
    let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
    let (actions, resources) = (texts(statement, "Action"), texts(statement, "Resource"));
    actions.into_iter().filter(move |_| allows).flat_map(move |action| {
        let pair = |resource: &&str| Grant { action: action.to_owned(), resource: (*resource).to_owned() };
        resources.iter().map(pair).collect::<Vec<_>>()
    })
}

/// Whether a Deny is about this. A condition that cannot be weighed counts as met.
fn denies(statement: &Value, need: &Need) -> bool {
    let about = |name: &str, fits: &dyn Fn(&str) -> bool| match statement.get(name) {
        Some(_) => texts(statement, name).into_iter().any(fits),
        None => !texts(statement, &format!("Not{name}")).into_iter().any(fits),
    };
    about("Action", &|pattern| fits_action(pattern, need))
        && about("Resource", &|pattern| wildcard(pattern, &need.resource))
        && met(statement, need) != Some(false)
}

fn fits_action(pattern: &str, need: &Need) -> bool {
    wildcard(&pattern.to_ascii_lowercase(), &need.action.to_ascii_lowercase())
}

/// A statement's values of this name, of which there may be one without a list around it.
fn texts<'a>(statement: &'a Value, name: &str) -> Vec<&'a str> {
    list(statement.get(name)).into_iter().filter_map(Value::as_str).collect()
}

fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(values)) => values.iter().collect(),
        one => one.into_iter().collect(),
    }
}

/// Whether a statement's condition is met; none if it has a key or an operator that the lab does not know.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html>
fn met(statement: &Value, need: &Need) -> Option<bool> {
    let mut all = true;
    for (operator, keys) in statement.get("Condition").and_then(Value::as_object).into_iter().flatten() {
        for (key, patterns) in keys.as_object()? {
            all &= holds(operator, key, patterns, need)?;
        }
    }
    Some(all)
}

/// Whether one condition holds. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
fn holds(operator: &str, key: &str, patterns: &Value, need: &Need) -> Option<bool> {
    let key = key.to_ascii_lowercase();
    if !KEYS.contains(&key.as_str()) {
        return None;
    }
    let (set, operator) = match operator.split_once(':') {
        Some((set, operator)) => (Some(set), operator),
        None => (None, operator),
    };
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let (operator, not) = match operator.strip_prefix("StringNot") {
        Some(rest) => (format!("String{rest}"), true),
        None => (operator.to_owned(), false),
    };
    let same: fn(&str, &str) -> bool = match operator.as_str() {
        "StringEquals" => |pattern, value| pattern == value,
        "StringEqualsIgnoreCase" | "Bool" => |pattern, value| pattern.eq_ignore_ascii_case(value),
        "StringLike" | "ArnLike" | "ArnEquals" => wildcard,
        _ => return None,
    };
    let patterns: Vec<String> = list(Some(patterns))
        .into_iter()
        .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
        .collect();
    let fits = |value: &String| patterns.iter().any(|pattern| same(pattern, value)) != not;
    let values = need.context.get(key.as_str()).filter(|values| !values.is_empty());
    Some(match (set, values) {
        // Every one of none.
        (Some("ForAllValues"), None) => true,
        (Some("ForAllValues") | None, Some(values)) => values.iter().all(fits),
        (Some("ForAnyValue"), None) => false,
        (Some("ForAnyValue"), Some(values)) => values.iter().any(fits),
        (Some(_), _) => return None,
        // What is not there is not equal to anything.
        (None, None) => if_exists || not,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(statements: &Value, need: &Need) -> Verdict {
        weigh(statements.as_array().unwrap(), need, &BTreeSet::new())
    }

    fn allows(statements: &Value, need: &Need) -> bool {
        matches!(verdict(statements, need), Verdict::Allowed(_))
    }

    #[test]
    fn statements_are_weighed_as_iam_does() {
        let table = "arn:aws:dynamodb:us-east-1:111122223333:table/ledger";
        let all = json!([
            {"Effect": "Allow", "Action": ["dynamodb:Get*", "dynamodb:PutItem"], "Resource": table},
            {"Effect": "Allow", "Action": "S3:PutObject", "Resource": ["arn:aws:s3:::evidence/*", "arn:aws:s3:::b?/x"]},
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "iam:GetUser", "NotResource": "x"},
            {"Effect": "Deny", "Action": "dynamodb:GetRecords", "Resource": "*"},
            {"Effect": "Deny", "NotAction": ["dynamodb:*", "s3:*"], "Resource": "arn:aws:kms:*"},
            {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]);
        for (action, resource, expected) in [
            ("dynamodb:GetItem", table, "Allowed"),
            ("dynamodb:getitem", table, "Allowed"),
            ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:111122223333:table/ledger/index/by-id", "NotAllowed"),
            ("dynamodb:DeleteItem", table, "NotAllowed"),
            ("dynamodb:GetRecords", table, "Denied"),
            ("s3:PutObject", "arn:aws:s3:::evidence/a/b", "Allowed"),
            ("s3:PutObject", "arn:aws:s3:::b1/x", "Allowed"),
            ("s3:PutObject", "arn:aws:s3:::other/a", "NotAllowed"),
            // What is said by what it is not about allows nothing here.
            ("sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:q", "NotAllowed"),
            ("iam:GetUser", "arn:aws:iam::111122223333:user/a", "NotAllowed"),
            ("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/1", "Denied"),
        ] {
            let need = Need::new(action, resource).with("aws:securetransport", ["true".to_owned()]);
            let is = format!("{:?}", verdict(&all, &need));
            assert!(is.starts_with(expected), "{action} {resource}: {is}");
        }
    }

    #[test]
    fn a_condition_that_nobody_knows_allows_nothing_and_denies() {
        let need = Need::new("s3:PutObject", "arn:aws:s3:::a/b").with("aws:requestedregion", ["eu-west-1".to_owned()]);
        for (condition, allows_it, denies_it) in [
            (json!({}), true, true),
            (json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), true, true),
            (json!({"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}), true, true),
            (json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}), false, false),
            (json!({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}), true, true),
            (json!({"StringLike": {"AWS:requestedregion": "eu-*"}}), true, true),
            (json!({"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}), false, false),
            (json!({"StringEqualsIfExists": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}), true, true),
            (json!({"StringNotEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}), true, true),
            // Not known: the key, the operator, the set.
            (json!({"StringEquals": {"aws:ResourceTag/owner": "ward-7"}}), false, true),
            (json!({"NumericLessThan": {"aws:RequestedRegion": 1}}), false, true),
            (json!({"ForNoValue:StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), false, true),
        ] {
            let statement = |effect: &str| json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition.clone()});
            assert_eq!(allows(&json!([statement("Allow")]), &need), allows_it, "{condition}");
            let both = json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}, statement("Deny")]);
            assert_eq!(!allows(&both, &need), denies_it, "{condition}");
        }
    }

    #[test]
    fn sets_of_values_are_held_each_or_any() {
        let need = |keys: &[&str]| {
            Need::new("dynamodb:PutItem", "t").with("dynamodb:leadingkeys", keys.iter().map(|key| (*key).to_owned()))
        };
        for (operator, keys, expected) in [
            ("ForAllValues:StringLike", &["resource#a", "approvals"][..], true),
            ("ForAllValues:StringLike", &["resource#a", "deployment"], false),
            ("ForAllValues:StringLike", &[], true),
            ("ForAllValues:StringEquals", &["resource#a"], false),
            ("ForAnyValue:StringLike", &["resource#a", "deployment"], true),
            ("ForAnyValue:StringLike", &["deployment"], false),
            ("ForAnyValue:StringLike", &[], false),
        ] {
            let condition = json!({operator: {"dynamodb:LeadingKeys": ["resource#*", "approvals"]}});
            let all = json!([{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "t", "Condition": condition}]);
            assert_eq!(allows(&all, &need(keys)), expected, "{operator} {keys:?}");
        }
    }

    #[test]
    fn what_was_taken_away_allows_no_more_and_the_rest_still_does() {
        let all = json!([{"Effect": "Allow", "Action": ["a:B", "a:C"], "Resource": ["x", "*"]}]);
        let grant = |action: &str, resource: &str| Grant { action: action.to_owned(), resource: resource.to_owned() };
        let need = Need::new("a:B", "x");
        let withheld = BTreeSet::from([grant("a:B", "*")]);
        let statements = all.as_array().unwrap();
        assert_eq!(weigh(statements, &need, &withheld), Verdict::Allowed(vec![grant("a:B", "x")]));
        assert_eq!(weigh(statements, &Need::new("a:B", "y"), &withheld), Verdict::NotAllowed);
        assert_eq!(grants(&statements[0]).count(), 4);
    }
}
