//! The made-up records.

use super::{Chance, cause};
use crate::model::{End, Resource};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// A control, as the sample needs it.
pub(super) struct Control {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) safety: &'static str,
    pub(super) kind: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) calls: &'static [&'static str],
    pub(super) citations: &'static [&'static str],
}

const BUCKETS: &[&str] =
    &["clinic-scans", "clinic-billing", "imaging-archive", "lab-results", "clinic-website", "terraform-state"];
const GROUPS: &[&str] = &["sg-0a1b2c3d4e5f607", "sg-0f00ba4c0ffee00", "sg-0d15ea5e0d15ea5"];
const PEOPLE: &[&str] = &["bob", "contractor", "ci-deploy", "radiology-import"];
const ACCESS: &[&str] = &[
    "45 CFR 164.308(a)(3)(i)",
    "45 CFR 164.308(a)(4)(ii)(A)",
    "45 CFR 164.308(a)(4)(ii)(C)",
    "45 CFR 164.312(a)(1)",
    "45 CFR 164.312(e)(1)",
];

const fn control(
    id: &'static str,
    title: &'static str,
    safety: &'static str,
    kind: &'static str,
    names: &'static [&'static str],
    calls: &'static [&'static str],
    citations: &'static [&'static str],
) -> Control {
    Control { id, title, safety, kind, names, calls, citations }
}

pub(super) const PUBLIC_BUCKET: Control = control(
    "s3-public-bucket",
    "puts a bucket's public access block back",
    "reversible",
    "AWS::S3::Bucket",
    BUCKETS,
    &["DeleteBucketPublicAccessBlock", "PutBucketPublicAccessBlock"],
    ACCESS,
);

pub(super) const CONTROLS: [Control; 12] = [
    control(
        "ebs-unencrypted-default",
        "encrypts new EBS volumes by default",
        "reversible",
        "AWS::::Account",
        &["111122223333"],
        &["DisableEbsEncryptionByDefault"],
        &[
            "45 CFR 164.308(a)(1)(ii)(B)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.312(a)(2)(iv)",
            "45 CFR 164.312(e)(2)(ii)",
        ],
    ),
    control(
        "ec2-default-security-group",
        "empties a VPC's default security group",
        "disruptive",
        "AWS::EC2::SecurityGroup",
        GROUPS,
        &["AuthorizeSecurityGroupIngress"],
        &["45 CFR 164.312(e)(1)"],
    ),
    control(
        "ec2-open-security-group",
        "closes what a security group opens to the world",
        "reversible",
        "AWS::EC2::SecurityGroup",
        GROUPS,
        &["AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"],
        &[
            "45 CFR 164.308(a)(1)(ii)(B)",
            "45 CFR 164.308(a)(3)(i)",
            "45 CFR 164.308(a)(3)(ii)(B)",
            "45 CFR 164.308(a)(4)(i)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.308(a)(4)(ii)(B)",
            "45 CFR 164.308(a)(4)(ii)(C)",
            "45 CFR 164.312(a)(1)",
            "45 CFR 164.312(e)(1)",
        ],
    ),
    control(
        "ec2-quarantine-security-group",
        "cuts a security group or an instance off from the network",
        "incident",
        "AWS::EC2::SecurityGroup",
        GROUPS,
        &["RunInstances"],
        &["45 CFR 164.308(a)(6)(ii)"],
    ),
    control(
        "iam-exposed-access-key",
        "deactivates an access key that was found in public",
        "incident",
        "AWS::IAM::AccessKey",
        &["AKIAIOSFODNN7EXAMPLE"],
        &["CreateAccessKey"],
        &["45 CFR 164.308(a)(6)(ii)"],
    ),
    control(
        "iam-stale-access-key",
        "deactivates access keys that nobody uses",
        "reversible",
        "AWS::IAM::User",
        PEOPLE,
        &["CreateAccessKey", "UpdateAccessKey"],
        &[
            "45 CFR 164.308(a)(3)(i)",
            "45 CFR 164.308(a)(3)(ii)(B)",
            "45 CFR 164.308(a)(3)(ii)(C)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.308(a)(4)(ii)(B)",
            "45 CFR 164.308(a)(4)(ii)(C)",
            "45 CFR 164.308(a)(5)(ii)(D)",
            "45 CFR 164.312(a)(1)",
        ],
    ),
    control(
        "s3-public-account",
        "puts an account's public access block for S3 back",
        "disruptive",
        "AWS::::Account",
        &["111122223333", "444455556666"],
        &["DeleteAccountPublicAccessBlock"],
        ACCESS,
    ),
    control(
        "s3-public-acl",
        "takes public grants out of a bucket's access control list",
        "reversible",
        "AWS::S3::Bucket",
        BUCKETS,
        &["PutBucketAcl"],
        ACCESS,
    ),
    PUBLIC_BUCKET,
    control(
        "s3-public-policy",
        "takes what lets everybody in out of a bucket's policy",
        "disruptive",
        "AWS::S3::Bucket",
        BUCKETS,
        &["PutBucketPolicy"],
        ACCESS,
    ),
    control(
        "s3-weak-encryption",
        "brings a bucket's default encryption up to its target",
        "disruptive",
        "AWS::S3::Bucket",
        BUCKETS,
        &["PutBucketEncryption", "DeleteBucketEncryption"],
        &[
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.312(a)(2)(iv)",
            "45 CFR 164.312(c)(1)",
            "45 CFR 164.312(c)(2)",
            "45 CFR 164.312(e)(2)(ii)",
        ],
    ),
    control(
        "suture-tampering",
        "tells at once who touches Suture itself",
        "reversible",
        "AWS::CloudFormation::Stack",
        &["suture"],
        &["DisableRule", "UpdateFunctionConfiguration20150331v2"],
        &["45 CFR 164.308(a)(1)(ii)(D)", "45 CFR 164.312(b)"],
    ),
];

/// How an episode goes.
pub(super) struct Story {
    pub(super) end: End,
    pub(super) seconds: i64,
    pub(super) why: String,
    pub(super) refused_by: Option<&'static str>,
    pub(super) person: Option<&'static str>,
}

/// How an episode goes, by chance.
pub(super) fn story(chance: &mut Chance, control: &Control, cause_known: bool, place: usize) -> Story {
    // Seconds for what an event tells of, hours for what a sweep or a person finds.
    let quick = chance.span(12, 90) * i64::from(chance.below(9) == 0) + chance.span(1, 9);
    let slow = chance.span(600, 9 * 3_600);
    let seconds = if cause_known && chance.below(8) > 0 { quick } else { slow };
    let tells_only = control.id == "suture-tampering";
    let (end, why, refused_by, person) = match (chance.below(100), place % 7) {
        (_, _) if tells_only && place > 12 => (End::MendedElsewhere, "found as it ought to be again", None, None),
        (0..=2, _) => (
            End::Refused,
            "the bucket is a public website; override public-website to close it all the same",
            Some("public-website"),
            None,
        ),
        (3..=4, _) => (
            End::Refused,
            "mended 4 times within a day, and somebody keeps undoing it: terraform",
            Some("flapping"),
            None,
        ),
        (5, _) => (End::Refused, "a policy of the organization forbids the write", Some("organization"), None),
        (6..=7, _) => (End::AwaitingApproval, "the plan waits for a person: suture approve a-31", None, None),
        (8, _) => (End::Planned, "the mode is plan", None, None),
        (9..=10, _) => (
            End::Exempt,
            "exempt until October: the public website; risk accepted in RA-2026-14",
            None,
            Some("web@clinic.example"),
        ),
        (11, _) => (
            End::TakenBack,
            "the fix was undone by hand",
            None,
            Some("arn:aws:sts::111122223333:assumed-role/responder/alice"),
        ),
        (12, _) => (
            End::Failed,
            "not allowed: kms:DescribeKey on the key of the target; grant it to the function's role",
            None,
            None,
        ),
        (13..=15, _) => (End::MendedElsewhere, "found as it ought to be", None, None),
        (16..=17, _) => (End::Gone, "the resource does not exist any more", None, None),
        (18..=19, _) => (End::Unseen, "planned, and not looked at since", None, None),
        (20..=27, _) => (
            End::Fixed,
            "approved; read back and seen",
            None,
            Some("arn:aws:sts::111122223333:assumed-role/security/carol@clinic.example"),
        ),
        _ => (End::Fixed, "read back and seen", None, None),
    };
    let why = if place == 31 { "A reason that somebody wrote at length. ".repeat(26) } else { why.to_owned() };
    Story { end, seconds: if person.is_some() { slow } else { seconds }, why, refused_by, person }
}

/// RFC 3339.
pub(super) fn exact(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// An episode's records, the earliest first.
#[expect(clippy::too_many_arguments, reason = "a made-up story has many parts")]
pub(super) fn of(
    chance: &mut Chance,
    control: &Control,
    resource: &Resource,
    began: OffsetDateTime,
    ended: Option<OffsetDateTime>,
    cause_known: bool,
    story: &Story,
    place: usize,
) -> Vec<Value> {
    let cause = if cause_known { cause(chance, control, began, place) } else { Value::Null };
    let mut record = |outcome: &str, why: &str, at: OffsetDateTime| {
        let (before, changes, after, undo) = states(control.id);
        let wrote = matches!(outcome, "fixed" | "undone");
        json!({
            "schema": "suture.record/1",
            "id": format!("8c9e1f6a-{:04x}-4000-8000-{:012x}-1", place & 0xffff, chance.below(1 << 31)),
            "control": control.id,
            "resource": resource,
            "trigger": if cause_known { "cloud-trail" } else { "schedule" },
            "cause": cause,
            "reason": if place == 33 { json!("</script><b>INC-\"31\"</b>") } else { Value::Null },
            "mode": if wrote { "enforce" } else { "approve" },
            "outcome": outcome,
            "why": why,
            "before": before,
            "changes": changes,
            "after": if matches!(outcome, "refused" | "failed" | "gone") { Value::Null } else { after },
            "breaks": [{"id": "public-acl-uploads", "says": "uploads and ACL changes that ask for public access would fail with AccessDenied", "refuses": false}],
            "undo": if wrote { undo } else { json!([]) },
            "citations": control.citations,
            "began": exact(at + Duration::milliseconds(204)),
            "took_ms": 20 + chance.below(400),
        })
    };
    let last = ended.unwrap_or(began + Duration::seconds(40));
    let mut records = Vec::new();
    let outcome = match story.end {
        End::Fixed => "fixed",
        End::MendedElsewhere => "compliant",
        End::Gone => "gone",
        End::Planned | End::Unseen => "planned",
        End::AwaitingApproval => "awaiting-approval",
        End::Refused if story.refused_by == Some("organization") => "blocked-by-organization",
        End::Refused => "refused",
        End::Exempt => "exempt",
        End::TakenBack => "undone",
        End::Failed => "failed",
    };
    let early = began + Duration::seconds(3).min((last - began) / 2);
    if story.person.is_some() && story.end == End::Fixed {
        records.push(record("awaiting-approval", "the plan waits for a person", early));
    }
    if story.end == End::TakenBack {
        records.push(record("fixed", "read back and seen", early));
    }
    if matches!(story.end, End::MendedElsewhere | End::Gone) {
        records.push(record("planned", "the mode is plan", early));
    }
    records.push(record(outcome, &story.why, last));
    if let Some(record) = records.last_mut().and_then(Value::as_object_mut) {
        record.extend(story.refused_by.map(|gate| ("refused_by".to_owned(), json!(gate))));
        match (story.end, story.person) {
            (End::Fixed, Some(person)) => {
                record.insert(
                    "approval".to_owned(),
                    json!({"id": "a-17", "by": person, "expires": exact(began + Duration::days(3))}),
                );
            }
            (End::TakenBack, Some(person)) => {
                record.insert("asked_by".to_owned(), json!(person));
                record.insert("undoes".to_owned(), json!("8c9e1f6a-0000-4000-8000-000000000000-1"));
                record.insert("left_alone_until".to_owned(), json!(exact(began + Duration::days(12))));
            }
            (End::Exempt, Some(owner)) => {
                let says = json!({"id": "e-7f2a", "owner": owner, "reason": "the public website", "expires": exact(began + Duration::days(90))});
                record.insert("exemption".to_owned(), says);
            }
            _ => {}
        }
    }
    records
}

/// State before, writes, state after, and the writes that take it back.
fn states(control: &str) -> (Value, Value, Value, Value) {
    let block = json!({"block_public_acls": true, "ignore_public_acls": true, "block_public_policy": true, "restrict_public_buckets": true});
    if control.starts_with("ec2") {
        let rule = json!({"id": "sgr-0a1b2c3d4e5f60718", "protocol": "tcp", "from": 22, "to": 22, "source": "0.0.0.0/0", "description": "temporary </pre><script>alert(1)</script>"});
        return (
            json!({"group": {"id": "sg-0a1b2c3d4e5f60718", "name": "clinic-web", "vpc": "vpc-0a1b"}, "rules": [rule]}),
            json!([{"revoke": [rule]}]),
            json!({"group": {"id": "sg-0a1b2c3d4e5f60718", "name": "clinic-web", "vpc": "vpc-0a1b"}, "rules": []}),
            json!([{"authorize": [rule]}]),
        );
    }
    if control == "s3-public-policy" {
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Sid":"everybody","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::clinic-scans/*"}]}"#;
        return (
            json!({"policy": policy, "look": {"public": true, "website": false}}),
            json!(["delete-bucket-policy"]),
            json!({"policy": null, "look": null}),
            json!([{"put-bucket-policy": {"policy": policy}}]),
        );
    }
    (
        json!({"block": null, "exposure": {"public_policy": false, "website": false, "acls_apply": false, "phi": false, "public_websites": "refuse"}}),
        json!([{"put-public-access-block": block}]),
        json!({"block": block, "exposure": null}),
        json!(["delete-public-access-block"]),
    )
}
