//! From the bytes that Lambda delivers to the answer that it gets.

use super::*;
use crate::toy::{Door, Doors, House, OPEN, OURS, SHUT, Step, THEIRS, account, region, settings, throttled};
use crate::{Mode, Outcome};
use serde_json::json;

/// The bytes as `lambda_runtime` reads them.
fn payload(body: &[u8]) -> Payload {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))
        .unwrap_or_else(|error| panic!("Lambda would deliver this again and again: {error}"))
}

async fn invoke(house: &House, settings: &Settings, body: &[u8]) -> Result<Answer, Retry> {
    let mut context = Context::default();
    context.request_id = "8c9e1f6a".to_owned();
    let deadline = SystemTime::now() + Duration::from_mins(1);
    context.deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().try_into().unwrap();
    let own = (account(OURS), region("us-east-1"));
    answer::<Doors>(house, settings, (Some(&own.0), Some(&own.1)), payload(body), &context).await
}

fn call(doors: &[&str]) -> Value {
    json!({
        "detail-type": "AWS API Call via CloudTrail",
        "account": OURS,
        "region": "us-east-1",
        "detail": {
            "eventSource": "doors.amazonaws.com",
            "eventName": "PaintDoor",
            "userIdentity": {"sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/suture"}}},
            "requestParameters": {"doors": doors},
        },
    })
}

/// What the function says of bytes that it cannot read.
async fn refused(body: &[u8]) -> String {
    let house = House::new(OPEN, []);
    let answer = invoke(&house, &settings(Mode::Enforce), body).await.unwrap();
    assert!(answer.records.is_empty() && house.calls().is_empty());
    let [Unread::Rejected(why)] = answer.unread.as_slice() else { panic!("{:?}", answer.unread) };
    assert!(!why.contains(char::is_control) && why.len() < 2000, "{why:?}");
    why.clone()
}

#[tokio::test(start_paused = true)]
async fn a_payload_is_read_as_it_came() {
    for json in [r#"{"a":[1,2.50,"\u00e9\n"],"a":{}}"#, "null", " 5 ", "[]", r#""text""#, "1e999"] {
        let Payload(raw) = payload(json.as_bytes());
        assert_eq!(raw.unwrap().get(), json.trim());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json_is_one_line_and_no_error() {
    for body in [
        &b""[..],
        b"   ",
        b"hello",
        b"{",
        b"{\"resource\": \"front",
        b"{\"resource\": \"front\",}",
        b"{'resource': 'front'}",
        b"\xff\xfe{\x00}",
        b"{\"resource\": \"\xc3\x28\"}",
        b"{\"resource\": \"\x01\"}",
        b"\x00",
        b"<xml/>",
        b"1e999",
        br#"{"resource": "\ud800"}"#,
    ] {
        let why = refused(body).await;
        assert!(why.starts_with("the event is not JSON: "), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_nesting_is_too_deep_to_survive() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [200, 10_000, 500_000] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let why = refused(body.as_bytes()).await;
            assert!(why.contains("recursion limit"), "{why}");
            refused(open.repeat(depth).as_bytes()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_event_is_one_line() {
    let body = format!(r#"{{"resource": "{}"}}"#, "x".repeat(7 * 1024 * 1024));
    let why = refused(body.as_bytes()).await;
    assert!(why.contains(&format!("{} bytes", body.len())) && why.contains("6291456"), "{why}");
    let body = format!(r#"{{"resource": "{}"}}"#, "x".repeat(5 * 1024 * 1024));
    assert!(refused(body.as_bytes()).await.contains("is no door"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_object_is_one_line() {
    assert!(refused(b"{}").await.contains("empty object"));
    assert!(refused(b"null").await.contains("null"));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_fix() {
    let house = House::new(OPEN, []);
    let answer = invoke(&house, &settings(Mode::Enforce), call(&["front"]).to_string().as_bytes()).await.unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["control"], "toy-open-door");
    assert_eq!(json["records"][0]["outcome"], "fixed");
    assert_eq!(json["records"][0]["id"], "8c9e1f6a-1");
    assert_eq!(json["records"][0]["after"], json!(SHUT));
    assert!(json.get("unread").is_none(), "nothing to say of it");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_what_became_no_request() {
    let house = House::new(OPEN, []);
    let answer = invoke(&house, &settings(Mode::Plan), b"{}").await.unwrap();
    assert_eq!(
        serde_json::to_value(&answer).unwrap(),
        json!({
            "control": "toy-open-door",
            "records": [],
            "unread": [{"as": "rejected", "why": "the event is an empty object: nothing says what to look at"}],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn our_own_call_is_ignored() {
    let house = House::new(OPEN, []);
    let ours =
        Settings { role_arn: Some("arn:aws:iam::111122223333:role/suture".to_owned()), ..settings(Mode::Enforce) };
    let answer = invoke(&house, &ours, call(&["front", "back"]).to_string().as_bytes()).await.unwrap();
    assert!(answer.records.is_empty() && house.calls().is_empty());
    let json = serde_json::to_value(&answer.unread).unwrap();
    let ignored = |door| json!({"as": "ignored", "why": format!("our own role changed \"{door}\"")});
    assert_eq!(json, json!([ignored("front"), ignored("back")]));
    // Somebody else's call, or a deployment that does not know its role, is not.
    let theirs = Settings { role_arn: Some("arn:aws:iam::111122223333:role/suture-2".to_owned()), ..ours.clone() };
    for settings in [theirs, Settings { role_arn: None, ..ours }] {
        let house = House::new(OPEN, []);
        let answer = invoke(&house, &settings, call(&["front"]).to_string().as_bytes()).await.unwrap();
        assert_eq!(answer.records[0].outcome, Outcome::Fixed);
    }
    // And nobody who has no role is us.
    let mut event = call(&["front"]);
    event["detail"]["userIdentity"] = json!({"type": "Root"});
    let house = House::new(OPEN, []);
    let nobody = Settings { role_arn: None, ..settings(Mode::Enforce) };
    assert_eq!(invoke(&house, &nobody, event.to_string().as_bytes()).await.unwrap().records.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_a_retry_may_mend_is_an_error() {
    let fault = |fault| House::new(OPEN, [Step::Fails(fault)]);
    let event = call(&["front"]).to_string();
    let retry = invoke(&fault(throttled()), &settings(Mode::Enforce), event.as_bytes()).await.unwrap_err();
    let diagnostic = Diagnostic::from(retry);
    assert_eq!(diagnostic.error_type, "Suture.Retry");
    assert_eq!(diagnostic.error_message, "toy-open-door: front failed: doors:Put on door front: throttled");

    let denied = crate::toy::denied(crate::fault::DeniedBy::OurRole);
    for (house, outcome) in [
        (fault(denied), Outcome::Failed),
        (fault(crate::Fault::GiveUp("no".to_owned())), Outcome::Failed),
        (House::with(None, []), Outcome::Gone),
        (House::new(Door { blocked: true, ..OPEN }, []), Outcome::Refused),
        (House::new(SHUT, []), Outcome::Compliant),
    ] {
        let answer = invoke(&house, &settings(Mode::Enforce), event.as_bytes()).await.unwrap();
        assert_eq!(answer.records[0].outcome, outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn one_resource_in_trouble_does_not_keep_the_others_from_their_turn() {
    let house = House::new(OPEN, [Step::Fails(throttled())]);
    let event = call(&["front", "back"]).to_string();
    let retry = invoke(&house, &settings(Mode::Enforce), event.as_bytes()).await.unwrap_err();
    assert!(Diagnostic::from(retry).error_message.contains("front failed"));
    assert_eq!(house.door(), Some(SHUT), "the second request had its turn");
}

#[tokio::test(start_paused = true)]
async fn another_account_is_refused_and_said_so() {
    let mut event = call(&["front"]);
    event["account"] = json!(THEIRS);
    let house = House::new(OPEN, []);
    let answer = invoke(&house, &settings(Mode::Enforce), event.to_string().as_bytes()).await.unwrap();
    let record = &answer.records[0];
    assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("account")));
    assert!(house.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_goes_from_the_answer_into_the_undo() {
    let house = House::new(OPEN, []);
    let manual = json!({"resource": "front", "mode": "enforce", "reason": "INC-1"}).to_string();
    let fixed = invoke(&house, &settings(Mode::Enforce), manual.as_bytes()).await.unwrap();
    let json = serde_json::to_value(&fixed).unwrap();
    let undo = json!({"mode": "undo", "record": json["records"][0]}).to_string();
    let undone = invoke(&house, &settings(Mode::Plan), undo.as_bytes()).await.unwrap();
    assert_eq!((undone.records[0].outcome, house.door()), (Outcome::Undone, Some(OPEN)));
    assert_eq!(undone.records[0].undoes.as_deref(), Some("8c9e1f6a-1"));
}

#[test]
fn parameters_are_defaults_json_or_a_named_error() {
    let read = |json: Option<&str>| parameters::<Doors>(json.map(str::to_owned));
    for nothing in [None, Some(""), Some("  "), Some("null")] {
        assert!(read(nothing).is_ok());
    }
    for bad in ["{", "5", r#"{"bolt": 3}"#] {
        assert!(read(Some(bad)).unwrap_err().starts_with("SUTURE_PARAMETERS: "), "{bad}");
    }
}

#[test]
fn the_deadline_keeps_time_back_for_the_answer() {
    let left = |time: SystemTime| deadline(time).saturating_duration_since(Instant::now());
    let in_a_minute = left(SystemTime::now() + Duration::from_mins(1));
    assert!(in_a_minute <= Duration::from_millis(59_250) && in_a_minute > Duration::from_secs(58), "{in_a_minute:?}");
    assert_eq!(left(SystemTime::UNIX_EPOCH), Duration::ZERO);
    assert_eq!(left(SystemTime::now() + RESERVE / 2), Duration::ZERO);
}
