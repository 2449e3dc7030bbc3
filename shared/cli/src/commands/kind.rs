//! What kind of thing a name looks like: somebody who types a security group's id for a bucket control is told so, instead of
//! that there is no such bucket.

use catalogue::Entry;
use remediation::{Scope, shown};

/// A kind of resource: its CloudFormation type, and what people call it.
type Kind = (&'static str, &'static str);

const BUCKET: Kind = ("AWS::S3::Bucket", "a bucket");
const OBJECT: Kind = ("AWS::S3::Object", "an object in a bucket");
const GROUP: Kind = ("AWS::EC2::SecurityGroup", "a security group");
const INSTANCE: Kind = ("AWS::EC2::Instance", "an instance");
const VPC: Kind = ("AWS::EC2::VPC", "a VPC");
const USER: Kind = ("AWS::IAM::User", "an IAM user");
const ROLE: Kind = ("AWS::IAM::Role", "an IAM role");
const KEY: Kind = ("AWS::IAM::AccessKey", "an access key");
const ACCOUNT: Kind = ("AWS::::Account", "an account");

/// How ids begin, and what they are the ids of; the rest is 8 or 17 hexadecimal digits.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
const IDS: &[(&str, Kind)] = &[
    ("sg-", GROUP),
    ("i-", INSTANCE),
    ("vpc-", VPC),
    ("eni-", ("AWS::EC2::NetworkInterface", "a network interface")),
    ("vol-", ("AWS::EC2::Volume", "a volume")),
    ("snap-", ("AWS::EC2::Snapshot", "a snapshot")),
    ("subnet-", ("AWS::EC2::Subnet", "a subnet")),
];

/// Services and how the last part of their ARNs begins, and what it names.
const ARNS: &[(&str, &str, Kind)] = &[
    ("ec2", "security-group/", GROUP),
    ("ec2", "instance/", INSTANCE),
    ("ec2", "vpc/", VPC),
    ("iam", "user/", USER),
    ("iam", "role/", ROLE),
    ("sts", "assumed-role/", ROLE),
    ("iam", "root", ACCOUNT),
];

/// What a text looks like; none if it can be a name of anything.
fn looks_like(text: &str) -> Result<Option<Kind>, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(format!("{} is no name of a resource", shown(text)));
    }
    if let Some(bucket) = text.strip_prefix("s3://") {
        let bucket = bucket.split('/').next().unwrap_or_default();
        return Err(format!("{} is an address; write the bucket's name alone: {}", shown(text), shown(bucket)));
    }
    if text.starts_with("arn:") {
        return arn(text);
    }
    for (begins, kind) in IDS {
        let id = text.strip_prefix(begins);
        let is = |id: &str| {
            matches!(id.len(), 8 | 17) && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if id.is_some_and(is) {
            return Ok(Some(*kind));
        }
    }
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if text.len() == 20 && text.bytes().all(upper) && (text.starts_with("AKIA") || text.starts_with("ASIA")) {
        return Ok(Some(KEY));
    }
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(is_account.then_some(ACCOUNT))
}

fn arn(text: &str) -> Result<Option<Kind>, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [_, _, service, _, _, named] = parts.as_slice() else {
        return Err(format!(
            "{} is no whole ARN, such as arn:aws:s3:::clinic-scans; write it, or the name alone",
            shown(text)
        ));
    };
    if service.is_empty() || named.is_empty() {
        return Err(format!("{} is an ARN that names nothing; write it whole, or the name alone", shown(text)));
    }
    if *service == "s3" {
        return Ok(Some(if named.contains('/') { OBJECT } else { BUCKET }));
    }
    let of = ARNS.iter().find(|(of, begins, _)| of == service && named.starts_with(begins));
    Ok(of.map(|(.., kind)| *kind))
}

/// Whether a text is an account, for a control of those.
pub fn is_account(control: &Entry, text: &str) -> bool {
    control.about.resource_type == ACCOUNT.0 && looks_like(text) == Ok(Some(ACCOUNT))
}

/// What a control's resources are called.
fn wants(control: &Entry) -> String {
    let kinds = [BUCKET, GROUP, INSTANCE, VPC, USER, ROLE, KEY, ACCOUNT];
    let about = control.about;
    let of = |kind: &str| kinds.iter().find(|(of, _)| *of == kind).map(|(_, called)| (*called).to_owned());
    let wanted = [about.resource_type].into_iter().chain(about.also.iter().copied()).filter_map(of);
    let wanted: Vec<String> = wanted.collect();
    if wanted.is_empty() { about.resource_type.to_owned() } else { wanted.join(" or ") }
}

/// Whether a text can name a resource of a control, as far as it shows.
///
/// # Errors
/// It looks like something else; what, and which controls are for that.
pub fn fits(control: &Entry, text: &str) -> Result<(), String> {
    let Some((kind, called)) = looks_like(text)? else { return Ok(()) };
    let about = control.about;
    let is_of = |entry: &Entry| entry.about.resource_type == kind || entry.about.also.contains(&kind);
    if is_of(control) || about.scope == Scope::Deployment {
        return Ok(());
    }
    let others = catalogue::all().iter().filter(|entry| entry.about.scope != Scope::Deployment && is_of(entry));
    let others: Vec<&str> = others.map(|entry| entry.about.id).collect();
    let next = if others.is_empty() {
        "no control is for that".to_owned()
    } else {
        format!("for that there is {}", others.join(", "))
    };
    // A bucket or a user may really be called so; its ARN leaves no doubt.
    let doubt = match about.resource_type {
        "AWS::S3::Bucket" if !text.starts_with("arn:") => {
            "; if it is a bucket's name, write its ARN: arn:aws:s3:::NAME"
        }
        _ => "",
    };
    Err(format!("{} looks like {called}, and {} is for {}; {next}{doubt}", shown(text), about.id, wants(control)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_something_else_is_told_with_the_control_for_it() {
        let bucket = "s3-public-bucket";
        for (control, text, says) in [
            (bucket, "clinic-scans", ""),
            (bucket, "arn:aws:s3:::clinic-scans", ""),
            (bucket, "sg-is-a-name", ""),
            (
                bucket,
                "sg-0123456789abcdef0",
                "looks like a security group, and s3-public-bucket is for a bucket; for that there is ec2-",
            ),
            (bucket, "sg-0123456789abcdef0", "arn:aws:s3:::NAME"),
            (bucket, "arn:aws:s3:::sg-0123456789abcdef0", ""),
            (bucket, "111122223333", "looks like an account"),
            (bucket, "arn:aws:iam::111122223333:user/alice", "looks like an IAM user"),
            (bucket, "arn:aws:iam::111122223333:user/alice", "iam-stale-access-key"),
            (bucket, "arn:aws:s3:::clinic-scans/a.txt", "looks like an object in a bucket"),
            (bucket, "arn:aws:s3", "is no whole ARN"),
            (bucket, " ", "is no name"),
            (bucket, "a\u{1b}[2J", "is no name"),
            (bucket, "arn:aws:s3:::", "names nothing"),
            (bucket, "s3://clinic-scans/a", "\"clinic-scans\""),
            ("ec2-open-security-group", "arn:aws:s3:::clinic-scans", "looks like a bucket"),
            ("ec2-open-security-group", "i-0123456789abcdef0", "for that there is ec2-quarantine-security-group"),
            ("ec2-quarantine-security-group", "i-0123456789abcdef0", ""),
            ("ec2-default-security-group", "vpc-01234567", ""),
            ("ec2-open-security-group", "vol-01234567", "no control is for that"),
            ("iam-stale-access-key", "AKIAIOSFODNN7EXAMPLE", ""),
            ("iam-exposed-access-key", "arn:aws:iam::111122223333:user/alice", "is for an access key"),
            ("s3-public-account", "111122223333", ""),
        ] {
            let entry = catalogue::find(control).unwrap();
            match fits(entry, text) {
                Ok(()) => assert_eq!(says, "", "{control} {text}"),
                Err(why) => assert!(!says.is_empty() && why.contains(says), "{control} {text}: {why}"),
            }
        }
    }
}
