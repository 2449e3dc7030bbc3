//! Reads a bucket's policy and a key's policy side by side: who delivers logs to the bucket, and who uses the bucket
//! from outside its account without being let in to the key.
//!
//! It is a rule of thumb, made to warn before a write: it knows no conditions, no Deny, and nothing of the policies of
//! the roles themselves. Where it cannot tell, it says so.

use remediation::{AccountId, shown};
use s3::Names;
use serde_json::Value;

/// The policy of the key that would be written.
#[derive(Clone, Copy, Debug)]
pub enum KeyPolicy<'a> {
    /// The key that AWS manages for S3. Its policy lets in principals of its own account that come through S3, and
    /// nobody can edit it. <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-cmk>
    AwsManaged,
    /// It could not be read; why.
    Unread(&'a str),
    /// Its text.
    Text(&'a str),
    /// The bucket's new objects would need no key.
    NoKey,
}

/// What the policies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What kinds of logs are delivered to the bucket that can only be delivered to one with SSE-S3.
    pub logs: Names,
    /// AWS services that use the bucket and are not let in to the key.
    pub services: Names,
    /// Others that use the bucket from outside its account and are not let in to the key.
    pub outsiders: Names,
    /// Of whom or what it cannot be told.
    pub unclear: Names,
}

/// Services that deliver logs to buckets with SSE-S3 alone, and what they deliver.
/// - <https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html>
/// - <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html>
/// - <https://docs.aws.amazon.com/redshift/latest/mgmt/db-auditing.html>
const LOG_SERVICES: &[(&str, &str)] = &[
    ("logging.s3.amazonaws.com", ACCESS_LOGS),
    ("logdelivery.elasticloadbalancing.amazonaws.com", ELB_LOGS),
    ("logdelivery.elb.amazonaws.com", ELB_LOGS),
    ("redshift.amazonaws.com", REDSHIFT_LOGS),
];
const ACCESS_LOGS: &str = "S3 server access logs";
const ELB_LOGS: &str = "load balancer access logs";
const REDSHIFT_LOGS: &str = "Redshift audit logs";

/// The accounts of Elastic Load Balancing that write access logs, in regions from before August 2022.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/enable-access-logs.html#attach-bucket-policy>
const ELB_ACCOUNTS: &[&str] = &[
    "127311923021", // us-east-1
    "033677994240", // us-east-2
    "027434742980", // us-west-1
    "797873946194", // us-west-2
    "098369216593", // af-south-1
    "754344448648", // ap-east-1
    "589379963580", // ap-southeast-3
    "718504428378", // ap-south-1
    "383597477331", // ap-northeast-3
    "600734575887", // ap-northeast-2
    "114774131450", // ap-southeast-1
    "783225319266", // ap-southeast-2
    "582318560864", // ap-northeast-1
    "985666609251", // ca-central-1
    "054676820928", // eu-central-1
    "156460612806", // eu-west-1
    "652711504416", // eu-west-2
    "635631232127", // eu-south-1
    "009996457667", // eu-west-3
    "897822967062", // eu-north-1
    "076674570225", // me-south-1
    "507241528517", // sa-east-1
    "048591011584", // us-gov-west-1
    "190560391635", // us-gov-east-1
    "638102146993", // cn-north-1
    "037604701340", // cn-northwest-1
    "770363063475", // us-iso-east-1
    "121062877647", // us-iso-west-1
    "740734521339", // us-isob-east-1
];

/// The users of Redshift that wrote audit logs before it had a service principal: `arn:aws:iam::ACCOUNT:user/logs`.
/// <https://docs.aws.amazon.com/redshift/latest/mgmt/db-auditing.html#db-auditing-bucket-permissions>
const REDSHIFT_USER: &str = ":user/logs";

/// What a statement lets its principals do, as far as keys matter.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Need {
    /// Objects are read: `kms:Decrypt`.
    read: bool,
    /// Objects are written: `kms:GenerateDataKey`.
    write: bool,
}

/// Reads the policy of a bucket of this account beside that of the key. `log_grant` tells whether the bucket's ACL has
/// a grant for S3's log delivery group.
pub fn read(policy: Option<&str>, log_grant: bool, key: KeyPolicy<'_>, account: &AccountId) -> Reading {
    let mut reading = Reading::default();
    if log_grant {
        reading.logs.add_once(ACCESS_LOGS);
    }
    let letting = Letting::new(key);
    if let Some(why) = letting.unread {
        reading.unclear.add(why);
    }
    let Some(policy) = policy else { return reading };
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        reading.unclear.add("the bucket's policy, which is not JSON");
        return reading;
    };
    for statement in allows(&policy) {
        let need = need(statement);
        let principals = principals(statement);
        let deliverers_only =
            principals.iter().all(|(kind, name)| kind == "Service" && name.starts_with("delivery.logs."));
        if need.write && !deliverers_only && texts(statement.get("Resource")).iter().any(|to| elb_prefix(to)) {
            reading.logs.add_once(ELB_LOGS);
        }
        for (kind, name) in &principals {
            if let Some(logs) = logs_of(kind, name) {
                reading.logs.add_once(logs);
            } else if need.read || need.write {
                letting.judge(&mut reading, kind, name, need, statement.get("Condition").is_some(), account);
            }
        }
    }
    reading
}

fn elb_prefix(resource: &str) -> bool {
    resource.split_once("AWSLogs/").is_some_and(|(_, key)| key.split('/').any(|part| part == "elasticloadbalancing"))
}

/// What a principal delivers that needs SSE-S3.
fn logs_of(kind: &str, name: &str) -> Option<&'static str> {
    match kind {
        "Service" => {
            let name = name.strip_suffix(".cn").unwrap_or(name);
            let regional = || name.starts_with("redshift.").then_some(REDSHIFT_LOGS);
            LOG_SERVICES.iter().find(|(service, _)| *service == name).map(|(_, logs)| *logs).or_else(regional)
        }
        "AWS" => {
            let elb = account_of(name).is_some_and(|account| ELB_ACCOUNTS.contains(&account));
            let redshift = || name.ends_with(REDSHIFT_USER).then_some(REDSHIFT_LOGS);
            elb.then_some(ELB_LOGS).or_else(redshift)
        }
        _ => None,
    }
}

/// The key's policy, as a question of whom it lets in.
struct Letting<'a> {
    policy: Option<Value>,
    unread: Option<&'a str>,
    /// Whether new objects need a key at all.
    needed: bool,
}

impl<'a> Letting<'a> {
    fn new(key: KeyPolicy<'a>) -> Self {
        let (policy, unread, needed) = match key {
            KeyPolicy::AwsManaged => (Some(Value::Null), None, true),
            KeyPolicy::Unread(why) => (None, Some(why), true),
            KeyPolicy::NoKey => (None, None, false),
            KeyPolicy::Text(text) => match serde_json::from_str(text) {
                Ok(policy) => (Some(policy), None, true),
                Err(_) => (None, Some("the key's policy, which is not JSON"), true),
            },
        };
        Self { policy, unread, needed }
    }

    /// Whether a principal that uses the bucket is let in to the key, and where to note it if not.
    fn judge(&self, into: &mut Reading, kind: &str, name: &str, need: Need, conditional: bool, account: &AccountId) {
        if !self.needed {
            return;
        }
        match kind {
            "Service" => match self.answer(kind, name, need) {
                Answer::No => into.services.add_once(plain(name)),
                Answer::Unclear => into.unclear.add_once(plain(name)),
                Answer::Yes => {}
            },
            // KMS knows no anonymous caller: S3 cannot decrypt for one, whatever the key's policy says.
            "AWS" if name == "*" && !conditional => into.outsiders.add_once("everybody"),
            "AWS" if name == "*" => into.unclear.add_once("whom a statement for everybody with conditions lets in"),
            "AWS" if name.contains("CloudFront Origin Access Identity") => into.outsiders.add_once(plain(name)),
            "AWS" => match account_of(name) {
                Some(own) if own == account.as_str() => {}
                // The unique id of a principal that was deleted.
                None => {}
                Some(_) => match self.answer(kind, name, need) {
                    Answer::No => into.outsiders.add_once(plain(name)),
                    Answer::Unclear => into.unclear.add_once(plain(name)),
                    Answer::Yes => {}
                },
            },
            "CanonicalUser" => into.unclear.add_once("a canonical user (CloudFront's origin access identity, perhaps)"),
            _ => into.unclear.add_once(plain(name)),
        }
    }

    fn answer(&self, kind: &str, name: &str, need: Need) -> Answer {
        let Some(policy) = &self.policy else {
            // That it could not be read is said already, once.
            return Answer::Yes;
        };
        let one = |wanted: bool, action: &str| {
            if !wanted {
                return Answer::Yes;
            }
            let statements = allows(policy).into_iter().filter(|statement| covers(statement, action));
            statements.map(|statement| lets_in(statement, kind, name)).max().unwrap_or(Answer::No)
        };
        one(need.read, "kms:Decrypt").min(one(need.write, "kms:GenerateDataKey"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    No,
    Unclear,
    Yes,
}

/// Whether a statement of a key's policy lets a principal in.
fn lets_in(statement: &Value, kind: &str, name: &str) -> Answer {
    let conditional = statement.get("Condition").is_some();
    let one = |(of, other): &(String, String)| match (of.as_str(), other.as_str()) {
        ("AWS", "*") if conditional || kind == "Service" => Answer::Unclear,
        ("AWS", "*") => Answer::Yes,
        (of, other) if of == kind && other == name => Answer::Yes,
        ("AWS", other) if kind == "AWS" && account_of(other).is_some() && account_of(other) == account_of(name) => {
            // To let an account in is to let its administrators decide; to let in some of it may be to let in the right
            // ones.
            if is_whole_account(other) { Answer::Yes } else { Answer::Unclear }
        }
        _ => Answer::No,
    };
    principals(statement).iter().map(one).max().unwrap_or(Answer::No)
}

fn is_whole_account(principal: &str) -> bool {
    principal.ends_with(":root") || !principal.contains(':')
}

/// The account of a principal: twelve digits, or an ARN's fifth part.
fn account_of(principal: &str) -> Option<&str> {
    let account = if principal.starts_with("arn:") { principal.split(':').nth(4)? } else { principal };
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some(account)
}

fn allows(policy: &Value) -> Vec<&Value> {
    let statements: Vec<&Value> = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(statement) => vec![statement],
        None => vec![],
    };
    statements.into_iter().filter(|statement| statement.get("Effect").is_some_and(|effect| effect == "Allow")).collect()
}

/// One text or a list of them.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => vec![text],
        _ => vec![],
    }
}

/// The principals of a statement, each with its kind. Whom a `NotPrincipal` leaves in is everybody, near enough.
fn principals(statement: &Value) -> Vec<(String, String)> {
    match statement.get("Principal") {
        Some(Value::Object(kinds)) => kinds
            .iter()
            .flat_map(|(kind, names)| texts(Some(names)).into_iter().map(move |name| (kind.clone(), name.to_owned())))
            .collect(),
        Some(Value::String(all)) => vec![("AWS".to_owned(), all.clone())],
        _ if statement.get("NotPrincipal").is_some() => vec![("AWS".to_owned(), "*".to_owned())],
        _ => vec![],
    }
}

fn need(statement: &Value) -> Need {
    let any = |actions: &[&str]| actions.iter().any(|action| covers(statement, action));
    Need { read: any(&["s3:GetObject", "s3:GetObjectVersion"]), write: any(&["s3:PutObject", "s3:ReplicateObject"]) }
}

/// Whether a statement is about this action.
fn covers(statement: &Value, action: &str) -> bool {
    let matches = |field| texts(statement.get(field)).iter().any(|pattern| like(pattern, action));
    matches("Action") || (statement.get("NotAction").is_some() && !matches("NotAction"))
}

/// Whether a text fits a pattern with `*` and `?`, whatever the case of its letters.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase().into_bytes(), text.to_ascii_lowercase().into_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and how much of the text it has eaten.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, eaten)) = star else { return false };
                star = Some((at, eaten + 1));
                p = at + 1;
                t = eaten + 1;
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// A principal as a record may show it.
fn plain(name: &str) -> String {
    let sound = name.len() <= 160 && name.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if sound { name.to_owned() } else { shown(name) }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
