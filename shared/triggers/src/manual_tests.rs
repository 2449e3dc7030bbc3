use crate::read;
use crate::samples::*;
use crate::{Act, Decision, Manual, ManualMode, Trigger};
use serde_json::json;

#[test]
fn requests() {
    let notice = only(read(&json!({
        "control": "s3-public-bucket", "resource": "clinic-scans", "account": THEIRS, "region": "eu-west-1",
        "mode": "enforce", "reason": "INC\n-1", "override": ["public-website"],
    })));
    assert_eq!((notice.trigger, notice.act), (Trigger::Manual, Act::Evaluate));
    assert_eq!((notice.account.unwrap().as_str(), notice.region.unwrap().as_str()), (THEIRS, "eu-west-1"));
    assert!(notice.cause.is_none() && notice.resources.is_empty(), "only the control knows what the resource is");
    assert_eq!(
        notice.manual,
        Some(Manual {
            control: Some("s3-public-bucket".to_owned()),
            resource: Some("clinic-scans".to_owned()),
            mode: Some(ManualMode::Enforce),
            reason: Some("INC-1".to_owned()),
            overrides: vec!["public-website".to_owned()],
            record: None,
            recall: None,
            decision: None,
            leave_alone: None,
            caller: None,
            asked_by: None,
        })
    );
    let notice = only(read(&json!({"resource": "clinic-scans"})));
    assert_eq!((notice.account, notice.region, notice.manual.unwrap().mode), (None, None, None));
    assert_eq!(only(read(&json!({"resource": "*"}))).act, Act::Sweep);
    let undo = only(read(&json!({"mode": "undo", "record": {"id": "r-1"}})));
    assert_eq!((undo.act, undo.manual.unwrap().record), (Act::Evaluate, Some(json!({"id": "r-1"}))));
}

#[test]
fn what_the_ledger_has_is_named_by_its_id() {
    let undo = only(read(&json!({"mode": "undo", "record": "8c9e-1", "leave_alone_hours": 72})));
    let manual = undo.manual.unwrap();
    assert_eq!((undo.act, manual.recall.as_deref(), manual.record.as_ref()), (Act::Evaluate, Some("8c9e-1"), None));
    assert_eq!(manual.leave_alone, Some(std::time::Duration::from_hours(72)));
    assert_eq!(manual.purpose(), "undo 8c9e-1");
    for (mode, decision) in
        [("approve", Decision::Approve("a1b2".to_owned())), ("reject", Decision::Reject("a1b2".to_owned()))]
    {
        let manual = only(read(&json!({"mode": mode, "approval": "a1b2", "caller": "proof"}))).manual.unwrap();
        assert_eq!(manual.decision, Some(decision));
        assert_eq!((manual.purpose(), manual.caller.as_deref()), (format!("{mode} a1b2"), Some("proof")));
        assert_eq!(manual.asked_by, None, "a proof is none until it was checked");
    }
}

#[test]
fn the_empty_request_plans() {
    let notice = only(read(&json!({})));
    assert_eq!((notice.trigger, notice.act), (Trigger::Manual, Act::Sweep));
    let manual = notice.manual.unwrap();
    assert_eq!((manual.mode, manual.resource.as_deref()), (Some(ManualMode::Plan), Some("*")), "and writes nothing");
}

#[test]
fn requests_that_cannot_be_read_name_the_field() {
    let table = [
        (json!({"resource": "a-b", "force": true}), "unknown field `force`"),
        (json!({"resource": 5}), "resource: invalid type: integer"),
        (json!({"resource": null, "mode": "plan"}), "names no resource"),
        (json!({"control": "s3-public-bucket"}), "names no resource"),
        (json!({"resource": ["a-b"]}), "resource: invalid type"),
        (json!({"resource": "a-b", "mode": "destroy"}), "mode: unknown variant `destroy`"),
        (json!({"resource": "a-b", "override": "x"}), "override: invalid type"),
        (json!({"resource": "a-b", "override": [5]}), "override[0]: invalid type"),
        (json!({"resource": "{{bucket}}"}), "never filled in"),
        (json!({"resource": "sg-*"}), "resource \"sg-*\" is none"),
        (json!({"resource": "a\u{0}b"}), "is none"),
        (json!({"resource": ""}), "is none"),
        (json!({"resource": "a-b", "account": "{{{account_id}}}"}), "never filled in"),
        (json!({"resource": "a-b", "account": 111_122_223_333_u64}), "account: invalid type"),
        (json!({"resource": "a-b", "region": "the moon"}), "region \"the moon\""),
        (json!({"resource": "a-b", "mode": "undo"}), "no record to undo"),
        (json!({"resource": "a-b", "record": {}}), "mode is not undo"),
        (json!({"mode": "undo", "record": 5}), "record is a number"),
        (json!({"mode": "undo", "record": "r 1"}), "is no id"),
        (json!({"mode": "undo", "record": ""}), "is no id"),
        (json!({"resource": "a-b", "leave_alone_hours": 5}), "is for an undo"),
        (json!({"mode": "undo", "record": {}, "leave_alone_hours": -5}), "leave_alone_hours: invalid value"),
        (json!({"mode": "approve"}), "takes both"),
        (json!({"approval": "a1b2"}), "takes both"),
        (json!({"mode": "enforce", "approval": "a1b2"}), "takes both"),
        (json!({"mode": "reject", "approval": "a1b2", "resource": "a-b"}), "says which resource"),
        (json!({"mode": "approve", "approval": "../x"}), "is no id"),
        (json!({"mode": "approve", "approval": "a", "asked_by": "arn:aws:iam::111122223333:root"}), "unknown field"),
        (json!({"mode": "approve", "approval": "a", "caller": "x".repeat(9000)}), "too long"),
        (json!({"mode": "undo", "record": {}, "resource": "*"}), "is of one resource"),
    ];
    for (event, says) in table {
        let why = refused(read(&event));
        assert!(why.contains(says), "{says}\n{why}");
    }
    let long = "\u{7f}\u{202e}\u{10fffd}é\n".repeat(100_000);
    for (field, value) in
        [("mode", json!(long)), (long.as_str(), json!(1)), ("resource", json!(long)), ("account", json!(long))]
    {
        let mut event = json!({"resource": "a-b"});
        event[field] = value;
        let why = refused(read(&event));
        assert!(why.len() < 2000 && !why.contains(char::is_control), "{why}");
    }
    let notice = only(read(&json!({"resource": "a-b", "reason": long, "override": vec![long.clone(); 100]})));
    let manual = notice.manual.unwrap();
    assert!(manual.reason.unwrap().chars().count() <= 512 && manual.overrides.len() <= 16);
}

#[test]
fn a_pasted_finding_needs_a_control() {
    // Whatever its status: a person asks.
    let passed = with(asff(), "/Compliance/Status", json!("PASSED"));
    let notice = only(read(&json!({"control": "s3-public-bucket", "finding": passed, "reason": "INC-1"})));
    assert_eq!((notice.trigger, notice.act), (Trigger::Manual, Act::Evaluate));
    assert_eq!(named(&notice), [("AWS::S3::Bucket", "arn:aws:s3:::clinic-scans")]);
    assert_eq!(notice.account.unwrap().as_str(), OURS);
    assert!(notice.reply.is_none(), "nobody waits for an answer");
    let manual = notice.manual.unwrap();
    assert_eq!((manual.control.as_deref(), manual.resource, manual.mode), (Some("s3-public-bucket"), None, None));
    let table = [
        (asff(), "say which control"),
        (json!({"finding": asff()}), "no control"),
        (json!({"control": "x", "finding": 5}), "the finding is a number"),
        (json!({"control": "x", "finding": asff(), "resource": "a-b"}), "leave out resource"),
        (json!({"control": "x", "finding": asff(), "mode": "undo"}), "nothing else"),
        (json!({"control": "x", "finding": asff(), "mode": "approve", "approval": "a"}), "nothing else"),
        (json!({"control": "x", "finding": with(asff(), "/Resources/0/Id", json!("*"))}), "is no id of"),
    ];
    for (event, says) in table {
        let why = refused(read(&event));
        assert!(why.contains(says), "{says}\n{why}");
    }
}
