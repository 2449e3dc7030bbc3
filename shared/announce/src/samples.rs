//! A record of each outcome, and each change of the deployment, for the tests.

use ledger::{Approval, ApprovalState, Exemption, Mode, Outcome, Posture, Stop};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use triggers::ids::{AccountId, Region};

pub(crate) fn ours() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

pub(crate) fn region() -> Region {
    Region::parse("us-east-1").unwrap()
}

pub(crate) fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

pub(crate) const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
pub(crate) const BOB: &str = "arn:aws:sts::111122223333:assumed-role/responders/bob";

/// A record with this outcome, as `s3-public-bucket` makes it.
pub(crate) fn record(outcome: Outcome) -> Value {
    let mut record = json!({
        "schema": "suture.record/1",
        "id": "8c9e1f6a-1ab0-4000-8000-000000000007-1",
        "control": "s3-public-bucket",
        "resource": {"type": "AWS::S3::Bucket", "id": "clinic-scans", "account": "111122223333", "region": "us-east-1"},
        "trigger": "cloud-trail",
        "cause": {
            "call": "DeleteBucketPublicAccessBlock",
            "event_id": "0b6a3f0e-5d55-4c7f-9f0a-1d6f9d3c7a21",
            "at": "2026-01-15T10:45:23Z",
            "actor": ALICE,
            "role": null,
            "source_ip": "192.0.2.10",
            "agent": "console",
        },
        "reason": null,
        "mode": "enforce",
        "outcome": outcome.name(),
        "why": "read back and seen",
        "before": {"block": null, "exposure": {"public_policy": false}},
        "changes": [{"put-public-access-block": {
            "block_public_acls": true, "ignore_public_acls": true,
            "block_public_policy": true, "restrict_public_buckets": true,
        }}],
        "after": {"block": {
            "block_public_acls": true, "ignore_public_acls": true,
            "block_public_policy": true, "restrict_public_buckets": true,
        }},
        "breaks": [{
            "id": "public-acl-uploads",
            "says": "uploads and ACL changes that ask for public access would fail with AccessDenied",
            "refuses": false,
        }],
        "undo": ["delete-public-access-block"],
        "citations": ["45 CFR 164.308(a)(3)(i)", "45 CFR 164.312(a)(1)"],
        "began": "2026-01-15T10:45:31.204Z",
        "took_ms": 31,
    });
    let more = match outcome {
        Outcome::AwaitingApproval => json!({
            "mode": "approve",
            "why": "1 write to make, with 1 thing that would break; it waits for a person",
            "approval": {"id": "4f2a9c01d7be", "expires": "2026-01-18T10:45:31Z"},
        }),
        Outcome::Undone => json!({
            "id": "8c9e1f6a-1ab0-4000-8000-000000000008-1", "trigger": "manual", "cause": null, "asked_by": BOB,
            "reason": "INC-123: the vendor still reads it", "undoes": "8c9e1f6a-1ab0-4000-8000-000000000007-1",
            "changes": ["delete-public-access-block"], "breaks": [], "left_alone_until": "2026-01-16T10:45:31Z",
        }),
        Outcome::PartlyFixed => json!({
            "why": "1 of 2 writes made; then: s3:PutBucketPolicy on bucket clinic-scans was denied: allow it in the role of this function",
            "changes": [{"first": true}, {"second": true}], "remaining": [{"second": true}],
        }),
        Outcome::Refused => json!({
            "refused_by": "public-website",
            "why": "the bucket is a public website, and closing it is an outage; to do it all the same, add \"override\": \
                    [\"public-website\"] to a manual request",
            "undo": [],
        }),
        Outcome::BlockedByOrganization => json!({
            "why": "s3:PutBucketPublicAccessBlock on bucket clinic-scans was denied by a policy of the organization",
            "remaining": [{"put-public-access-block": {}}], "undo": [],
        }),
        Outcome::Unverified => json!({"why": "written; but the reading-back still shows the old state"}),
        Outcome::Failed => json!({
            "why": "s3:PutBucketPublicAccessBlock on bucket clinic-scans was denied: allow it in the role of this function",
            "trigger": "schedule", "cause": null, "undo": [],
        }),
        _ => json!({}),
    };
    set(&mut record, more);
    record
}

/// The record with these fields instead.
pub(crate) fn set(record: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    record.as_object_mut().unwrap().extend(fields);
}

pub(crate) fn refused(by: &str, why: &str) -> Value {
    let mut refused = record(Outcome::Refused);
    set(&mut refused, json!({"refused_by": by, "why": why}));
    refused
}

pub(crate) fn exemption() -> Exemption {
    Exemption {
        id: "e-1".to_owned(),
        control: Some("s3-public-bucket".to_owned()),
        account: Some(ours()),
        resource: Some("clinic-open-data*".to_owned()),
        tag: None,
        owner: "alice@clinic.example".to_owned(),
        reason: "CHG-1: the open data page".to_owned(),
        expires: at("2026-07-01T00:00:00Z"),
        made_at: at("2026-01-15T10:00:00Z"),
        made_by: Some(BOB.to_owned()),
        undo: None,
        ended: false,
    }
}

pub(crate) fn approval(state: ApprovalState) -> Approval {
    Approval {
        id: "4f2a9c01d7be".to_owned(),
        digest: "4f2a9c01d7be00".to_owned(),
        control: "s3-public-bucket".to_owned(),
        resource: "clinic-scans".to_owned(),
        account: ours(),
        region: region(),
        record: record(Outcome::AwaitingApproval),
        function: None,
        made_at: at("2026-01-15T10:45:31Z"),
        expires: at("2026-01-18T10:45:31Z"),
        state,
        by: Some(BOB.to_owned()).filter(|_| state != ApprovalState::Open),
        decided_at: Some(at("2026-01-15T11:00:00Z")).filter(|_| state != ApprovalState::Open),
    }
}

/// Settings that somebody changed.
pub(crate) fn posture(mode: Option<Mode>, modes: &[(&str, Mode)], tags_exempt: bool, stopped: bool) -> Posture {
    Posture {
        stop: stopped.then(|| Stop {
            by: BOB.to_owned(),
            reason: "INC-123: nobody touches anything".to_owned(),
            at: at("2026-01-15T10:00:00Z"),
        }),
        mode,
        modes: modes.iter().map(|(control, mode)| ((*control).to_owned(), *mode)).collect(),
        tags_exempt,
        changed_by: Some(BOB.to_owned()),
        changed_at: Some(at("2026-01-15T10:00:00Z")),
    }
}
