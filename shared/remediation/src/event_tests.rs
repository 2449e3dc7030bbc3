//! Every bad event becomes one line that names what is wrong; a good one, the requests that it means.

use super::*;
use crate::toy::{Doors, OURS, SHUT, THEIRS, account, region};
use proptest::prelude::*;
use serde_json::json;

fn read_toy(event: &Value) -> Result<Vec<Request<Doors>>, Unread> {
    read::<Doors>(event, (Some(&account(OURS)), Some(&region("us-east-1"))))
}

fn call() -> Value {
    json!({
        "version": "0",
        "id": "6e3a8f52-1d2c-4b7e-8a11-000000000001",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.doors",
        "account": OURS,
        "time": "2026-01-15T10:45:23Z",
        "region": "us-east-1",
        "detail": {
            "eventSource": "doors.amazonaws.com",
            "eventName": "OpenDoor",
            "eventTime": "2026-01-15T10:45:20Z",
            "eventID": "0b6a3f0e",
            "awsRegion": "us-east-1",
            "recipientAccountId": OURS,
            "sourceIPAddress": "192.0.2.10",
            "userIdentity": {
                "type": "AssumedRole",
                "arn": "arn:aws:sts::111122223333:assumed-role/platform/terraform",
                "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/platform"}},
            },
            "requestParameters": {"doors": ["front"]},
            "readOnly": false,
        },
    })
}

/// The event with one thing changed; what a path leads to is taken away if the value is none.
fn with(mut event: Value, path: &str, value: impl Into<Option<Value>>) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
    match value.into() {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    event
}

fn one(event: &Value) -> Request<Doors> {
    let mut requests = read_toy(event).unwrap();
    assert_eq!(requests.len(), 1, "{event}");
    requests.remove(0)
}

fn sound_line(why: &str) {
    assert!(!why.is_empty() && why.len() < 2000, "{} bytes: {why}", why.len());
    assert!(!why.contains(char::is_control), "{why:?}");
}

fn rejected(event: &Value) -> String {
    match read_toy(event) {
        Err(Unread::Rejected(why)) => {
            sound_line(&why);
            why
        }
        other => panic!("{other:?} of {event}"),
    }
}

fn ignored(event: &Value) -> String {
    match read_toy(event) {
        Err(Unread::Ignored(why)) => {
            sound_line(&why);
            why
        }
        other => panic!("{other:?} of {event}"),
    }
}

#[test]
fn a_call_becomes_a_request() {
    let request = one(&call());
    assert_eq!((request.place.account, request.place.region), (account(OURS), region("us-east-1")));
    assert_eq!(request.place.target.to_string(), "front");
    assert!(matches!(request.order, Order::Fix(None)) && request.announces_drift);
    assert_eq!(request.trigger, Trigger::CloudTrail);
    let cause = request.cause.unwrap();
    assert_eq!(cause.call, "OpenDoor");
    assert_eq!(cause.event_id.as_deref(), Some("0b6a3f0e"));
    assert_eq!(cause.at.map(time::OffsetDateTime::unix_timestamp), Some(1_768_473_920));
    assert_eq!(cause.actor.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/platform/terraform"));
    assert_eq!(cause.role.as_deref(), Some("arn:aws:iam::111122223333:role/platform"));
    assert_eq!(cause.source_ip.as_deref(), Some("192.0.2.10"));
}

#[test]
fn a_call_on_two_resources_becomes_two_requests() {
    let event = with(call(), "/detail/requestParameters/doors", json!(["front", "back"]));
    let names: Vec<String> = read_toy(&event).unwrap().iter().map(|r| r.place.target.to_string()).collect();
    assert_eq!(names, ["front", "back"]);
}

#[test]
fn what_real_records_leave_out_is_not_missed() {
    for path in [
        "/detail/eventTime",
        "/detail/eventID",
        "/detail/sourceIPAddress",
        "/detail/userIdentity",
        "/detail/userIdentity/arn",
        "/detail/userIdentity/sessionContext",
        "/detail/readOnly",
        "/detail/recipientAccountId",
        "/detail/awsRegion",
        "/id",
        "/time",
        "/account",
        "/region",
        "/source",
    ] {
        let request = one(&with(call(), path, None));
        assert_eq!(request.place.account, account(OURS), "{path}");
        for odd in [json!(null), json!(""), json!({}), json!([]), json!(true)] {
            // `readOnly: true` says something; nothing else of these does.
            if (path, &odd) != ("/detail/readOnly", &json!(true)) {
                one(&with(call(), path, odd));
            }
        }
    }
    let cause = one(&with(call(), "/detail/userIdentity", None)).cause.unwrap();
    assert_eq!((cause.actor, cause.role), (None, None));
    let service = json!({"type": "AWSService", "invokedBy": "backup.amazonaws.com"});
    let cause = one(&with(call(), "/detail/userIdentity", service)).cause.unwrap();
    assert_eq!(cause.actor.as_deref(), Some("backup.amazonaws.com"));
}

#[test]
fn the_time_of_a_call() {
    let at = |event: &Value| one(event).cause.unwrap().at.map(time::OffsetDateTime::unix_timestamp);
    for bad in [json!("2024-01-01 00:00:00.000"), json!(1_768_473_920), json!("yesterday"), json!(null)] {
        let event = with(call(), "/detail/eventTime", bad);
        assert_eq!(at(&event), Some(1_768_473_923), "the envelope's, then");
        assert_eq!(at(&with(event, "/time", json!("soon"))), None);
    }
}

#[test]
fn whose_event_it_is() {
    let of = |event: &Value| one(event).place.account.to_string();
    // On a forwarding bus the envelope may be the hub's. The record says whose resource it is; a gate then says whether
    // it may be touched.
    assert_eq!(of(&with(call(), "/account", json!(THEIRS))), OURS);
    assert_eq!(of(&with(call(), "/detail/recipientAccountId", json!(THEIRS))), THEIRS);
    assert_eq!(of(&with(call(), "/detail/recipientAccountId", json!(111_122_223_333_u64))), OURS);
    assert_eq!(of(&with(call(), "/detail/recipientAccountId", json!(12_345))), "000000012345");
    for bad in [json!("{{{account_id}}}"), json!("12345"), json!("111122223333 "), json!(1_111_222_233_334_u64)] {
        let why = rejected(&with(call(), "/detail/recipientAccountId", bad));
        assert!(why.starts_with("account id ") && why.contains("is not twelve digits"), "{why}");
    }
    assert!(
        rejected(&with(call(), "/detail/recipientAccountId", json!("{{{account_id}}}"))).contains("never filled in")
    );
    let nowhere = with(with(call(), "/detail/recipientAccountId", None), "/account", None);
    assert!(rejected(&nowhere).starts_with("account id"), "{nowhere}");
    for bad in [json!("{{{region}}}"), json!("everywhere"), json!("us-east-1/../x")] {
        assert!(rejected(&with(call(), "/detail/awsRegion", bad)).starts_with("region "));
    }
}

#[test]
fn events_that_need_nothing_done() {
    let table = [
        ("/detail/errorCode", json!("AccessDenied"), "OpenDoor\" did not happen: it failed with \"AccessDenied\""),
        ("/detail/errorCode", json!({"code": 5}), "did not happen"),
        ("/detail/readOnly", json!(true), "only reads"),
        ("/detail/readOnly", json!("true"), "only reads"),
        ("/detail/eventName", json!("DescribeDoor\n"), "\"DescribeDoor\\n\" cannot bring about what toy-open-door"),
    ];
    for (path, value, says) in table {
        let why = ignored(&with(call(), path, value));
        assert!(why.contains(says), "{why}");
    }
    // Nothing failed here.
    for none in [json!(null), json!("")] {
        one(&with(call(), "/detail/errorCode", none));
    }
}

#[test]
fn events_that_cannot_be_read() {
    let table = [
        (json!(null), "the event is null"),
        (json!([call()]), "the event is a list"),
        (json!("event"), "the event is a text"),
        (json!(5), "the event is a number"),
        (json!(true), "the event is true or false"),
        (json!({}), "empty object"),
        (json!({"Records": [{"eventSource": "aws:sqs"}]}), "its fields are \"Records\""),
        (json!({"control": "toy-open-door"}), "no resource"),
        (json!({"detail": call()["detail"]}), "no detail-type"),
        (json!({"detail-type": 5, "detail": {}}), "detail-type is a number"),
        (json!({"detail-type": null, "detail": {}}), "detail-type is null"),
        (json!({"detail-type": "Scheduled Event", "detail": {}}), "\"Scheduled Event\""),
        (with(call(), "/detail", None), "detail is null"),
        (with(call(), "/detail", json!("{}")), "detail is a text"),
        (with(call(), "/detail", json!([1])), "detail is a list"),
        (with(call(), "/detail/eventSource", None), "eventSource is missing"),
        (with(call(), "/detail/eventName", json!(7)), "eventName is a number"),
        (with(call(), "/detail/eventName", json!("")), "eventName is a text"),
        (with(call(), "/detail/eventSource", json!("ec2.amazonaws.com")), "ec2.amazonaws.com\" is no concern of toy"),
        (with(call(), "/detail/requestParameters", json!(null)), "names no Toy::House::Door"),
        (with(call(), "/detail/requestParameters", None), "names no Toy::House::Door"),
        (with(call(), "/detail/requestParameters", json!("doors")), "names no Toy::House::Door"),
        (with(call(), "/detail/requestParameters/doors", json!([])), "names no Toy::House::Door"),
        (with(call(), "/detail/requestParameters/doors", json!(["../\u{1b}[2J\n"])), "is no door"),
    ];
    for (event, says) in table {
        let why = rejected(&event);
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn no_line_is_long_however_long_the_event() {
    let long: String = "\u{7f}\u{202e}\u{10fffd}é\n".repeat(100_000);
    for path in [
        "/detail-type",
        "/detail/eventSource",
        "/detail/eventName",
        "/detail/errorCode",
        "/detail/recipientAccountId",
        "/detail/awsRegion",
    ] {
        match read_toy(&with(call(), path, json!(long))) {
            Err(Unread::Rejected(why) | Unread::Ignored(why)) => sound_line(&why),
            Ok(_) => panic!("{path}"),
        }
    }
    sound_line(&rejected(&with(call(), "/detail/requestParameters/doors", json!([long]))));
    let fields: Vec<(String, Value)> = (0..50).map(|n| (format!("{n}{long}"), json!(null))).collect();
    sound_line(&rejected(&Value::Object(fields.into_iter().collect())));
    for (field, value) in
        [("mode", json!(long)), (long.as_str(), json!(1)), ("control", json!(long)), ("account", json!(long))]
    {
        let mut event = json!({"resource": "front"});
        event[field] = value;
        sound_line(&rejected(&event));
    }
    // What goes into the record is tamed, too.
    let event = with(call(), "/detail/userIdentity/arn", json!(long));
    let actor = one(&event).cause.unwrap().actor.unwrap();
    assert!(actor.chars().count() <= 512 && !actor.contains(char::is_control));
    let request = one(&json!({"resource": "front", "reason": long, "override": vec![long.clone(); 100]}));
    assert!(request.reason.unwrap().chars().count() <= 512);
    assert!(request.overrides.len() <= 16 && request.overrides.iter().all(|name| name.chars().count() <= 512));
}

fn past() -> Value {
    json!({
        "schema": "suture.record/1",
        "id": "r-1",
        "control": "toy-open-door",
        "resource": {"type": "Toy::House::Door", "id": "front", "account": OURS, "region": "us-east-1"},
        "outcome": "fixed",
        "before": SHUT,
        "after": SHUT,
        "why": "read back and seen",
    })
}

#[test]
fn a_manual_request() {
    let request = one(&json!({"resource": "front"}));
    assert!(matches!(request.order, Order::Fix(Some(Mode::Plan))), "nothing is written for who did not ask for it");
    assert_eq!((request.place.account, request.place.region), (account(OURS), region("us-east-1")));
    assert!(request.cause.is_none() && request.overrides.is_empty() && request.trigger == Trigger::Manual);

    let request = one(&json!({
        "control": "toy-open-door", "resource": "front", "account": THEIRS, "region": "eu-west-1", "mode": "enforce",
        "reason": "INC\n-1", "override": ["blocked"],
    }));
    assert!(matches!(request.order, Order::Fix(Some(Mode::Enforce))));
    assert_eq!((request.place.account.as_str(), request.place.region.as_str()), (THEIRS, "eu-west-1"));
    assert_eq!((request.reason.as_deref(), request.overrides), (Some("INC-1"), vec!["blocked".to_owned()]));

    for extra in [json!({}), json!({"resource": "front", "account": OURS, "region": "us-east-1"})] {
        let mut event = json!({"mode": "undo", "record": past()});
        event.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let Order::Undo(past) = one(&event).order else { panic!("{event}") };
        assert_eq!((past.id.as_str(), past.before), ("r-1", json!(SHUT)));
    }
}

#[test]
fn a_manual_request_without_an_account_or_region_to_assume() {
    let Err(Unread::Rejected(why)) = read::<Doors>(&json!({"resource": "front"}), (None, None)) else { panic!() };
    assert_eq!(why, "the request names no account");
}

#[test]
fn bad_manual_requests_name_the_field() {
    let undo = |path: &str, value: Value| json!({"mode": "undo", "record": with(past(), path, value)});
    let table = [
        (json!({"resource": "front", "force": true}), "unknown field `force`"),
        (json!({"resource": 5}), "resource: invalid type: integer"),
        (json!({"resource": null}), "names no resource"),
        (json!({"resource": ["front"]}), "resource: invalid type"),
        (json!({"resource": "front", "mode": "destroy"}), "mode: unknown variant `destroy`"),
        (json!({"resource": "front", "override": "blocked"}), "override: invalid type"),
        (json!({"resource": "front", "override": [5]}), "override[0]: invalid type"),
        (json!({"resource": "Front Door"}), "\"Front Door\" is no door"),
        (json!({"resource": "front", "account": "{{{account_id}}}"}), "never filled in"),
        (json!({"resource": "front", "account": 111_122_223_333_u64}), "account: invalid type"),
        (json!({"resource": "front", "region": "the moon"}), "region \"the moon\""),
        (json!({"resource": "front", "control": "s3-public-bucket"}), "is for control \"s3-public-bucket\""),
        (json!({"resource": "front", "mode": "undo"}), "no record to undo"),
        (json!({"resource": "front", "record": past()}), "mode is not undo"),
        (json!({"resource": "front", "mode": "enforce", "record": past()}), "mode is not undo"),
        (json!({"resource": "back", "mode": "undo", "record": past()}), "resource \"back\", its record \"front\""),
        (json!({"account": THEIRS, "mode": "undo", "record": past()}), "account \"999988887777\""),
        (json!({"mode": "undo", "record": "r-1"}), "record: invalid type"),
        (undo("/control", json!("s3-public-bucket")), "made by control \"s3-public-bucket\""),
        (undo("/outcome", json!("triumph")), "record.outcome: unknown variant `triumph`"),
        (undo("/resource/account", json!("12")), "record.resource.account"),
        (undo("/resource/region", json!({})), "record.resource.region"),
        (undo("/resource/id", json!("../front")), "is no door"),
        (json!({"mode": "undo", "record": with(past(), "/before", None)}), "missing field `before`"),
        (json!({"mode": "undo", "record": {}}), "record: missing field"),
    ];
    for (event, says) in table {
        let why = rejected(&event);
        assert!(why.contains(says), "{says}\n{why}");
    }
}

/// Any JSON at all, a few levels deep.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![OURS, "front", "OpenDoor", "undo", "true", "us-east-1"]).prop_map(Value::from),
    ];
    let names = prop_oneof![
        ".{0,8}",
        prop::sample::select(vec!["detail", "detail-type", "resource", "record", "mode", "account"])
            .prop_map(String::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Every path of a JSON value.
fn paths(value: &Value, at: &str, into: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        for (name, field) in fields {
            let path = format!("{at}/{name}");
            paths(field, &path, into);
            into.push(path);
        }
    }
}

fn checked(event: &Value) -> Result<(), TestCaseError> {
    match read_toy(event) {
        Ok(requests) => {
            prop_assert!(!requests.is_empty());
            for request in requests {
                prop_assert!(Doors::target(&request.place.target.to_string()).is_ok());
            }
        }
        Err(Unread::Rejected(why) | Unread::Ignored(why)) => {
            prop_assert!(!why.is_empty() && why.len() < 2000 && !why.contains(char::is_control), "{why:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_read_or_named(event in anything()) {
        checked(&event)?;
    }

    #[test]
    fn an_event_with_anything_anywhere_is_read_or_named(
        base in prop::sample::select(vec![call(), json!({"mode": "undo", "record": past()})]),
        pick in any::<prop::sample::Index>(),
        value in prop::option::of(anything()),
    ) {
        let mut all = Vec::new();
        paths(&base, "", &mut all);
        let path = pick.get(&all).as_str();
        checked(&with(base, path, value))?;
    }
}
