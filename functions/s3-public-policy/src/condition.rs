//! What a statement's conditions make of "everybody".
//!
//! All conditions of a statement must hold, so one that ties the caller to fixed values is enough, whatever stands beside
//! it. Keys and operators are compared without regard to case, as IAM does.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>

use remediation::shown;
use serde_json::Value;
use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What conditions make of "everybody".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Somebody in particular: an account, an organization, a network, a resource.
    Tied,
    /// Still everybody: what the conditions ask for is in any caller's power.
    Everybody,
    /// It cannot be told; why.
    Unclear(String),
}

/// Keys whose value says whose request it is, or where from. A fixed value ties.
const TYING: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
];

/// Keys whose value is the caller's to choose, or the same for everybody's callers, or about the bucket: no value of
/// theirs keeps the public out. Names that end in `/` or `-` are beginnings.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>,
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys>
const IDLE: &[&str] = &[
    "aws:currenttime",
    "aws:epochtime",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principaltype",
    "aws:referer",
    "aws:requestedregion",
    "aws:requesttag/",
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:resourcetag/",
    "aws:securetransport",
    "aws:tagkeys",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:username",
    "aws:viaawsservice",
    "s3:authtype",
    "s3:delimiter",
    "s3:existingobjecttag/",
    "s3:locationconstraint",
    "s3:max-keys",
    "s3:object-lock-",
    "s3:prefix",
    "s3:requestobjecttag/",
    "s3:requestobjecttagkeys",
    "s3:resourceaccount",
    "s3:signatureage",
    "s3:signatureversion",
    "s3:tlsversion",
    "s3:versionid",
    "s3:x-amz-acl",
    "s3:x-amz-content-sha256",
    "s3:x-amz-copy-source",
    "s3:x-amz-grant-",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-storage-class",
    "s3:x-amz-website-redirect-location",
];

/// What the conditions of a statement for everybody make of it: the value of its `Condition`, if it has one.
pub fn reach(condition: Option<&Value>) -> Reach {
    let Some(condition) = condition else { return Reach::Everybody };
    let Some(operators) = condition.as_object() else { return unclear("its Condition is not an object") };
    let mut doubt = None;
    let mut seen = HashSet::new();
    for (operator, keys) in operators {
        let Some(keys) = keys.as_object() else { return unclear("a condition operator of it holds no keys") };
        for (key, values) in keys {
            let (operator, key) = (operator.to_ascii_lowercase(), key.to_ascii_lowercase());
            if !seen.insert((operator.clone(), key.clone())) {
                return unclear("it has the same condition twice, but for its case");
            }
            match test(&operator, &key, values) {
                Reach::Tied => return Reach::Tied,
                Reach::Everybody => {}
                Reach::Unclear(why) => doubt = doubt.or(Some(why)),
            }
        }
    }
    doubt.map_or(Reach::Everybody, Reach::Unclear)
}

fn unclear(why: impl Into<String>) -> Reach {
    Reach::Unclear(why.into())
}

/// One test of one key.
fn test(operator: &str, key: &str, values: &Value) -> Reach {
    let Some(kind) = Kind::read(operator) else {
        return unclear(format!("{} is no condition operator that this control knows", shown(operator)));
    };
    let Some(values) = texts(values) else {
        return unclear(format!("the values of its condition key {} are not texts", shown(key)));
    };
    let idle = |name: &&str| key == *name || name.ends_with(['/', '-']) && key.starts_with(name);
    if IDLE.iter().any(idle) {
        return match values.iter().find(|value| value.contains("${")) {
            Some(value) => unclear(format!("a condition of it has the policy variable {}", shown(value))),
            None => Reach::Everybody,
        };
    }
    if !TYING.contains(&key) {
        return unclear(format!("{} is no condition key that this control knows the effect of", shown(key)));
    }
    if values.is_empty() {
        return unclear(format!("its condition key {} has no value", shown(key)));
    }
    match kind {
        // Whoever is not named, or has no such key in the request, passes.
        Kind::Loose => Reach::Everybody,
        Kind::Addresses if key == "aws:sourceip" => addresses(&values),
        Kind::Texts if key != "aws:sourceip" => values_reach(key, &values),
        _ => unclear(format!("{} is an odd operator for {}", shown(operator), shown(key))),
    }
}

/// What an operator asks of a request.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// One of its texts.
    Texts,
    /// One of its address ranges.
    Addresses,
    /// Nothing that a request from anybody could not meet: it excludes, or looks only at what is there.
    Loose,
}

impl Kind {
    /// The kind of an operator in lower case; none if it is none.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
    fn read(operator: &str) -> Option<Self> {
        let (all, rest) = match operator.strip_prefix("forallvalues:") {
            Some(rest) => (true, rest),
            None => (false, operator.strip_prefix("foranyvalue:").unwrap_or(operator)),
        };
        let (optional, name) = match rest.strip_suffix("ifexists") {
            Some(name) => (true, name),
            None => (false, rest),
        };
        let kind = match name {
            "stringequals" | "stringequalsignorecase" | "stringlike" | "arnequals" | "arnlike" => Self::Texts,
            "ipaddress" => Self::Addresses,
            "stringnotequals"
            | "stringnotequalsignorecase"
            | "stringnotlike"
            | "arnnotequals"
            | "arnnotlike"
            | "notipaddress"
            | "null"
            | "bool"
            | "binaryequals"
            | "numericequals"
            | "numericnotequals"
            | "numericlessthan"
            | "numericlessthanequals"
            | "numericgreaterthan"
            | "numericgreaterthanequals"
            | "dateequals"
            | "datenotequals"
            | "datelessthan"
            | "datelessthanequals"
            | "dategreaterthan"
            | "dategreaterthanequals" => Self::Loose,
            _ => return None,
        };
        // ForAllValues and …IfExists are met by a request without the key.
        Some(if all || optional { Self::Loose } else { kind })
    }
}

/// One value or a list of them, as texts; none if there is anything else among them.
fn texts(values: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match values {
        Value::Array(values) => values.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

/// Any of the values is enough for a request, so the widest of them counts.
fn widest(reaches: impl Iterator<Item = Reach>) -> Reach {
    let mut widest = Reach::Tied;
    for reach in reaches {
        match reach {
            Reach::Everybody => return Reach::Everybody,
            Reach::Unclear(why) if widest == Reach::Tied => widest = Reach::Unclear(why),
            _ => {}
        }
    }
    widest
}

fn values_reach(key: &str, values: &[String]) -> Reach {
    widest(values.iter().map(|value| value_reach(key, value)))
}

fn value_reach(key: &str, value: &str) -> Reach {
    if value.is_empty() || value.contains("${") {
        return unclear(format!("{} is no fixed value for {}", shown(value), shown(key)));
    }
    let Some(wild) = value.find(['*', '?']) else { return Reach::Tied };
    let fixed = value.get(..wild).unwrap_or_default();
    let access_point = key == "s3:dataaccesspointarn" && of_account(fixed) && fixed.contains(":accesspoint/");
    if access_point {
        // S3 takes this as fixed: only the account counts.
        return Reach::Tied;
    }
    // Tied in effect, though S3 may not see it so: all roles of one account, all units of one organization, all sessions of
    // one role. S3's own judgement of the policy decides.
    let half = match key {
        "aws:principalarn" | "aws:sourcearn" | "s3:dataaccesspointarn" => of_account(fixed) || account_among(value),
        "aws:principalorgpaths" | "aws:sourceorgpaths" | "aws:vpceorgpaths" => {
            fixed.strip_prefix("o-").and_then(|rest| rest.split_once('/')).is_some_and(|(id, _)| id.len() >= 10)
        }
        "aws:userid" => fixed.strip_suffix(':').is_some_and(|id| id.len() >= 12 && !id.contains(':')),
        _ => false,
    };
    if half {
        return unclear(format!("{} for {} is fixed in part only", shown(value), shown(key)));
    }
    Reach::Everybody
}

/// Whether the beginning of an ARN, up to a wildcard, goes beyond a fixed account.
fn of_account(fixed: &str) -> bool {
    matches!(fixed.split(':').collect::<Vec<_>>().as_slice(), ["arn", _, _, _, account, _, ..] if is_account(account))
}

/// Whether an ARN has a fixed account, wherever its wildcards are.
fn account_among(arn: &str) -> bool {
    arn.split(':').nth(4).is_some_and(is_account)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Ranges wider than /8 (/32 in IPv6) are the public, says S3. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>
fn addresses(values: &[String]) -> Reach {
    let mut total: u64 = 0;
    let reach = widest(values.iter().map(|value| match range(value) {
        None => unclear(format!("{} is no address range", shown(value))),
        Some((bits, 32)) if bits < 8 => Reach::Everybody,
        Some((bits, 128)) if bits < 32 => Reach::Everybody,
        Some((bits, 32)) => {
            total = total.saturating_add(1_u64 << (32 - u32::from(bits)));
            Reach::Tied
        }
        Some(_) => Reach::Tied,
    }));
    // Sixteen times /8 is a wide net, however it is sliced.
    if reach == Reach::Tied && total > 1 << 28 {
        return unclear("its address ranges are very wide together");
    }
    reach
}

/// A range's fixed bits, and how many its kind of address has.
fn range(text: &str) -> Option<(u8, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) if bits.bytes().all(|b| b.is_ascii_digit()) => (address, Some(bits.parse::<u8>().ok()?)),
        Some(_) => return None,
        None => (text, None),
    };
    let all = if address.parse::<Ipv4Addr>().is_ok() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return None;
    };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some((bits, all))
}
