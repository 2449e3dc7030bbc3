//! Whom one statement of a bucket policy lets in.

use crate::condition::{self, Reach};
use remediation::shown;
use serde_json::{Map, Value};

/// What one statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It denies.
    Denies,
    /// It lets in those whom it names; whether there are accounts among them, and not services only.
    Named {
        /// It names accounts, users or roles.
        accounts: bool,
    },
    /// It is for everybody, but its conditions tie it to somebody in particular.
    Tied,
    /// It lets everybody in.
    Public {
        /// What is to go.
        cut: Cut,
        /// The actions that it allows, as it spells them; `all but …` for a `NotAction`.
        actions: Vec<String>,
        /// Whether objects can be read.
        reads: bool,
    },
    /// It cannot be told; why.
    Unclear(String),
}

/// What is to go of a public statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it.
    Whole,
    /// `"AWS": "*"` of its principals; those of other kinds stay.
    Kind,
    /// Each `"*"` in the list of its AWS principals; those that are named stay.
    Members,
}

/// The elements that a statement can have.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>
const ELEMENTS: &[&str] =
    &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// Judges a statement by itself. What another one denies is not in it.
pub fn judge(statement: &Value) -> Verdict {
    let Some(statement) = statement.as_object() else { return unclear("it is not an object") };
    match statement.get("Effect").and_then(Value::as_str) {
        Some("Deny") => return Verdict::Denies,
        Some("Allow") => {}
        _ => return unclear("its Effect is neither Allow nor Deny"),
    }
    if let Some(element) = statement.keys().find(|key| !ELEMENTS.contains(&key.as_str())) {
        return unclear(format!("{} is no element of a statement", shown(element)));
    }
    let (Some(actions), Some(resources)) =
        (one_of(statement, "Action", "NotAction"), one_of(statement, "Resource", "NotResource"))
    else {
        return unclear("its actions or resources are missing or malformed");
    };
    let principals = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(principal), None) => Principals::read(principal),
        // Everybody but a few.
        (None, Some(_)) => Principals::Everybody(Cut::Whole),
        _ => Principals::Unclear("it has no principal, or two".to_owned()),
    };
    if let Principals::Named { accounts } = principals {
        return Verdict::Named { accounts };
    }
    let reach = condition::reach(statement.get("Condition"));
    let cut = match (reach, principals) {
        (Reach::Tied, _) => return Verdict::Tied,
        (_, Principals::Unclear(why)) | (Reach::Unclear(why), _) => return Verdict::Unclear(why),
        (Reach::Everybody, Principals::Everybody(cut)) => cut,
        (Reach::Everybody, Principals::Named { accounts }) => return Verdict::Named { accounts },
    };
    if let Some(resource) = resources.names.iter().find(|name| name.contains("${")) {
        return unclear(format!("its resource {} has a policy variable", shown(resource)));
    }
    let named = actions.names.iter().any(|pattern| glob(pattern, "s3:GetObject"));
    let spelled = |name: &&str| if actions.not { format!("all but {name}") } else { (*name).to_owned() };
    Verdict::Public { cut, reads: named != actions.not, actions: actions.names.iter().map(spelled).collect() }
}

fn unclear(why: impl Into<String>) -> Verdict {
    Verdict::Unclear(why.into())
}

/// The texts of `Action` or `NotAction`.
struct Texts<'a> {
    names: Vec<&'a str>,
    not: bool,
}

/// The texts of an element or of its opposite; none unless exactly one of them is there, with nothing but texts.
fn one_of<'a>(statement: &'a Map<String, Value>, element: &str, opposite: &str) -> Option<Texts<'a>> {
    let (value, not) = match (statement.get(element), statement.get(opposite)) {
        (Some(value), None) => (value, false),
        (None, Some(value)) => (value, true),
        _ => return None,
    };
    let names = texts(value)?;
    (!names.is_empty()).then_some(Texts { names, not })
}

/// One text or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Whom a statement names.
enum Principals {
    Named { accounts: bool },
    Everybody(Cut),
    Unclear(String),
}

impl Principals {
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
    fn read(principal: &Value) -> Self {
        let kinds = match principal {
            Value::String(text) if text == "*" => return Self::Everybody(Cut::Whole),
            Value::Object(kinds) if !kinds.is_empty() => kinds,
            _ => return Self::Unclear("its Principal is neither \"*\" nor an object".to_owned()),
        };
        let (mut stars, mut others, mut accounts) = (false, false, false);
        for (kind, value) in kinds {
            let Some(names) = texts(value).filter(|names| !names.is_empty()) else {
                return Self::Unclear(format!("its principals of kind {} are malformed", shown(kind)));
            };
            for name in names {
                match kind.as_str() {
                    "AWS" if name == "*" => stars = true,
                    "AWS" if is_aws(name) => {
                        others = true;
                        accounts = true;
                    }
                    "CanonicalUser" if is_canonical(name) => accounts = true,
                    "Service" if is_service(name) => {}
                    "Federated" if is_provider(name) => accounts = true,
                    "Federated" => {
                        let why = format!("its principal {} is an identity provider of everybody's", shown(name));
                        return Self::Unclear(why);
                    }
                    _ => return Self::Unclear(format!("its principal {} has no form that is known", shown(name))),
                }
            }
        }
        match (stars, others, kinds.len()) {
            (false, ..) => Self::Named { accounts },
            (true, true, _) => Self::Everybody(Cut::Members),
            (true, false, 1) => Self::Everybody(Cut::Whole),
            (true, false, _) => Self::Everybody(Cut::Kind),
        }
    }
}

/// An account, a user, a role, a session, or the unique id that is left of one that was deleted. No wildcards: S3 takes
/// none but a lone `*`.
fn is_aws(name: &str) -> bool {
    let digits = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let unique = |text: &str| {
        (16..=128).contains(&text.len())
            && text.starts_with('A')
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    if name.contains(['*', '?', '$']) {
        return false;
    }
    match name.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", "cloudfront", rest] if is_partition(partition) => {
            rest.starts_with("user/CloudFront Origin Access Identity ")
        }
        ["arn", partition, "iam", "", account, rest] if is_partition(partition) && digits(account) => {
            *rest == "root" || ["user/", "role/"].iter().any(|kind| rest.len() > kind.len() && rest.starts_with(kind))
        }
        ["arn", partition, "sts", "", account, rest] if is_partition(partition) && digits(account) => {
            ["assumed-role/", "federated-user/"].iter().any(|kind| rest.len() > kind.len() && rest.starts_with(kind))
        }
        [name] => digits(name) || unique(name),
        _ => false,
    }
}

/// `aws`, `aws-cn`, `aws-us-gov`, `aws-iso`, …
fn is_partition(text: &str) -> bool {
    text == "aws"
        || text.strip_prefix("aws-").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
}

/// The canonical id of an account (64 digits) or of an origin access identity (96).
fn is_canonical(name: &str) -> bool {
    (64..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A service of AWS's: `cloudtrail.amazonaws.com`.
fn is_service(name: &str) -> bool {
    let known = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"].iter().any(|end| name.ends_with(end));
    known && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b))
}

/// An identity provider that is set up in an account. Others (`graph.facebook.com`) are everybody's; S3 has called them
/// public.
fn is_provider(name: &str) -> bool {
    let account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    matches!(
        name.splitn(6, ':').collect::<Vec<_>>().as_slice(),
        ["arn", partition, "iam", "", id, rest]
            if is_partition(partition)
                && account(id)
                && !name.contains(['*', '?', '$'])
                && (rest.starts_with("saml-provider/") || rest.starts_with("oidc-provider/"))
    )
}

/// Whether a pattern with `*` and `?` fits a name, without regard to case.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase().into_bytes(), name.to_ascii_lowercase().into_bytes());
    let (mut p, mut n, mut back) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, from)) = back else { return false };
                back = Some((star, from + 1));
                p = star + 1;
                n = from + 1;
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}
