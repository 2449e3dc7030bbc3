//! From the bytes that Lambda delivers to the answer that it gets.

use super::process::own_account;
use super::*;
use crate::testing::{Fake, answer as answered, ok};
use crate::toy::{
    Door, Doors, House, OPEN, OURS, SHUT, Step, THEIRS, account, ledger, notice, region, settings, throttled,
};
use crate::{Mode, Outcome};
use ::ledger::Ledger;
use serde_json::json;
use triggers::ConfigRule;

/// The bytes as `lambda_runtime` reads them.
fn payload(body: &[u8]) -> Payload {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))
        .unwrap_or_else(|error| panic!("Lambda would deliver this again and again: {error}"))
}

/// Nobody waits for an answer.
fn nobody() -> Fake {
    Fake::new(|sent| panic!("{sent:?}"))
}

struct Scene<'a> {
    house: &'a House,
    settings: Settings,
    aws: Fake,
    ledger: Ledger,
}

impl Scene<'_> {
    async fn with<T>(&self, act: impl AsyncFnOnce(&Invocation<'_, House>) -> T) -> T {
        self.with_tools(|tools| tools, act).await
    }

    async fn with_tools<T>(
        &self,
        tools: impl FnOnce(Tools) -> Tools,
        act: impl AsyncFnOnce(&Invocation<'_, House>) -> T,
    ) -> T {
        let (account, region) = (account(OURS), region("us-east-1"));
        let invocation = Invocation {
            cloud: self.house,
            tools: &tools(Tools::with(self.aws.sdk(), Some(self.ledger.clone()))),
            parameters: None,
            settings: &self.settings,
            own: Own { account: Some(&account), region: Some(&region) },
            request_id: "8c9e1f6a",
            deadline: deadline(SystemTime::now() + Duration::from_mins(1)),
            spent: Spent::default(),
            metrics: false,
        };
        act(&invocation).await
    }

    async fn respond(&self, notices: Vec<Notice>) -> Result<Response, Retry> {
        let reading = Reading { notices, rejected: Vec::new() };
        self.with(async |invocation| respond::<Doors, _>(invocation, reading).await).await
    }
}

fn whole(response: Response) -> Answer {
    match response {
        Response::Answer(answer) => *answer,
        Response::Batch(batch) => panic!("{batch:?}"),
    }
}

async fn invoke(house: &House, settings: &Settings, body: &[u8]) -> Result<Answer, Retry> {
    let scene = Scene { house, settings: settings.clone(), aws: nobody(), ledger: ledger() };
    scene.with(async |invocation| answer::<Doors, _>(invocation, payload(body)).await).await.map(whole)
}

async fn called(house: &House, settings: &Settings, notice: Notice) -> Result<Answer, Retry> {
    Scene { house, settings: settings.clone(), aws: nobody(), ledger: ledger() }.respond(vec![notice]).await.map(whole)
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
    refused(body.as_bytes()).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_object_is_a_plan_for_everything() {
    // What `sam local invoke` sends that is given no event.
    let house = House::new(OPEN, []);
    let answer = invoke(&house, &settings(Mode::Enforce), b"{}").await.unwrap();
    assert_eq!((answer.sweeps.len(), answer.records[0].outcome), (1, Outcome::Planned));
    assert_eq!(house.door(), Some(OPEN));
    assert!(refused(b"null").await.contains("null"));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_fix() {
    let house = House::new(OPEN, []);
    let answer = called(&house, &settings(Mode::Enforce), notice(&["front"])).await.unwrap();
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
    let answer = invoke(&house, &settings(Mode::Plan), b"[]").await.unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!((&json["control"], &json["records"]), (&json!("toy-open-door"), &json!([])));
    assert_eq!(json["unread"][0]["as"], "rejected");
    assert_eq!(json.as_object().unwrap().len(), 3, "nothing to say of the rest: {json}");
}

#[tokio::test(start_paused = true)]
async fn our_own_call_is_ignored() {
    let house = House::new(OPEN, []);
    let ours =
        Settings { role_arns: vec!["arn:aws:iam::111122223333:role/suture".to_owned()], ..settings(Mode::Enforce) };
    let answer = called(&house, &ours, notice(&["front", "back"])).await.unwrap();
    assert!(answer.records.is_empty() && house.calls().is_empty());
    let json = serde_json::to_value(&answer.unread).unwrap();
    let ignored = |door| json!({"as": "ignored", "why": format!("our own role changed \"{door}\"")});
    assert_eq!(json, json!([ignored("front"), ignored("back")]));
    // Somebody else's call, or a deployment that does not know its role, is not.
    let theirs = Settings { role_arns: vec!["arn:aws:iam::111122223333:role/suture-2".to_owned()], ..ours.clone() };
    for settings in [theirs, Settings { role_arns: Vec::new(), ..ours }] {
        let house = House::new(OPEN, []);
        let answer = called(&house, &settings, notice(&["front"])).await.unwrap();
        assert_eq!(answer.records[0].outcome, Outcome::Fixed);
    }
    // And nobody who has no role is us.
    let mut root = notice(&["front"]);
    root.cause.as_mut().unwrap().role = None;
    let house = House::new(OPEN, []);
    let nobody = Settings { role_arns: Vec::new(), ..settings(Mode::Enforce) };
    assert_eq!(called(&house, &nobody, root).await.unwrap().records.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_a_retry_may_mend_is_an_error() {
    let fault = |fault| House::new(OPEN, [Step::Fails(fault)]);
    let event = notice(&["front"]);
    let retry = called(&fault(throttled()), &settings(Mode::Enforce), event.clone()).await.unwrap_err();
    let diagnostic = Diagnostic::from(retry);
    assert_eq!(diagnostic.error_type, "Suture.Retry");
    assert_eq!(diagnostic.error_message, "toy-open-door: front failed: doors:Put on door front: throttled");

    let denied = crate::toy::denied(crate::fault::DeniedBy::OurRole);
    for (house, outcome) in [
        (fault(denied), Outcome::Failed),
        (fault(crate::Fault::GiveUp("no".to_owned())), Outcome::Failed),
        (House::new(Door { blocked: true, ..OPEN }, []), Outcome::Refused),
        (House::new(SHUT, []), Outcome::Compliant),
    ] {
        let answer = called(&house, &settings(Mode::Enforce), event.clone()).await.unwrap();
        assert_eq!(answer.records[0].outcome, outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn one_resource_in_trouble_does_not_keep_the_others_from_their_turn() {
    let house = House::new(OPEN, [Step::Fails(throttled())]);
    let retry = called(&house, &settings(Mode::Enforce), notice(&["front", "back"])).await.unwrap_err();
    assert!(Diagnostic::from(retry).error_message.contains("front failed"));
    assert_eq!(house.door(), Some(SHUT), "the second request had its turn");
}

#[tokio::test(start_paused = true)]
async fn another_account_is_refused_and_said_so() {
    let theirs = Notice { account: Some(account(THEIRS)), ..notice(&["front"]) };
    let house = House::new(OPEN, []);
    let answer = called(&house, &settings(Mode::Enforce), theirs).await.unwrap();
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
    let read = |json: Option<&str>| {
        raw_parameters(json.map(str::to_owned)).and_then(|json| parameters_of::<Doors>(json.as_ref()))
    };
    for nothing in [None, Some(""), Some("  "), Some("null")] {
        assert!(read(nothing).is_ok());
    }
    for bad in ["{", "5", r#"{"bolt": 3}"#] {
        assert!(read(Some(bad)).unwrap_err().starts_with("SUTURE_PARAMETERS: "), "{bad}");
    }
}

#[test]
fn whose_function_this_is() {
    let arn = "arn:aws:lambda:us-east-1:444455556666:function:suture";
    let of = |said: Option<&str>, arn: &str| own_account(|_| said.map(str::to_owned), arn);
    assert_eq!(of(Some(OURS), arn), Ok(Some(account(OURS))));
    for said in [None, Some(""), Some("  ")] {
        assert_eq!(of(said, arn), Ok(Some(account("444455556666"))));
        assert_eq!(of(said, "arn"), Ok(None));
    }
    assert!(of(Some("0123"), arn).unwrap_err().starts_with("SUTURE_ACCOUNT: "));
}

#[test]
fn the_deadline_keeps_time_back_for_the_answer() {
    let left = |time: SystemTime| deadline(time).saturating_duration_since(Instant::now());
    let in_a_minute = left(SystemTime::now() + Duration::from_mins(1));
    assert!(in_a_minute <= Duration::from_millis(59_250) && in_a_minute > Duration::from_secs(58), "{in_a_minute:?}");
    assert_eq!(left(SystemTime::UNIX_EPOCH), Duration::ZERO);
    assert_eq!(left(SystemTime::now() + RESERVE / 2), Duration::ZERO);
}

/// A message of a queue.
fn queued(id: &str, notice: Notice) -> Notice {
    Notice { message: Some(id.to_owned()), ..notice }
}

fn batch(response: Response) -> Value {
    assert!(matches!(response, Response::Batch(_)), "{response:?}");
    serde_json::to_value(response).unwrap()
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_only_what_a_retry_may_mend_comes_again() {
    let house = House::new(OPEN, [Step::Fails(throttled())]);
    let scene = Scene { house: &house, settings: settings(Mode::Enforce), aws: nobody(), ledger: ledger() };
    let messages = vec![queued("m-1", notice(&["front"])), queued("m-2", notice(&["front"]))];
    let json = batch(scene.respond(messages).await.unwrap());
    assert_eq!(json, json!({"batchItemFailures": [{"itemIdentifier": "m-1"}]}));
    assert_eq!(house.door(), Some(SHUT), "the second had its turn");
    // A message that holds several events comes again once.
    let house = House::new(OPEN, [Step::Fails(throttled()), Step::Fails(throttled())]);
    let scene = Scene { house: &house, settings: settings(Mode::Enforce), aws: nobody(), ledger: ledger() };
    let messages = vec![queued("m-1", notice(&["front"])), queued("m-1", notice(&["front"]))];
    let json = batch(scene.respond(messages).await.unwrap());
    assert_eq!(json, json!({"batchItemFailures": [{"itemIdentifier": "m-1"}]}));
    let scene =
        Scene { house: &House::new(SHUT, []), settings: settings(Mode::Enforce), aws: nobody(), ledger: ledger() };
    let json = batch(scene.respond(vec![queued("m-1", notice(&["front"]))]).await.unwrap());
    assert_eq!(json, json!({"batchItemFailures": []}));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_goes_where_its_queue_puts_such() {
    let house = House::new(SHUT, []);
    let scene = Scene { house: &house, settings: settings(Mode::Enforce), aws: nobody(), ledger: ledger() };
    let rejected = vec![Rejected { why: "no event of ours".to_owned(), message: Some("m-2".to_owned()) }];
    let reading = Reading { notices: vec![queued("m-1", notice(&["front"]))], rejected };
    let response = scene.with(async |invocation| respond::<Doors, _>(invocation, reading).await).await;
    assert_eq!(batch(response.unwrap()), json!({"batchItemFailures": [{"itemIdentifier": "m-2"}]}));
}

fn judged(doors: &[&str], token: &str, not_applicable: bool) -> Notice {
    let at = OffsetDateTime::from_unix_timestamp(1_768_473_920).unwrap();
    Notice {
        trigger: Trigger::ConfigRule,
        call: None,
        rule: Some(ConfigRule { name: "doors-shut".to_owned(), parameters: Some(serde_json::Map::new()) }),
        reply: Some(Reply::Evaluation { token: token.to_owned(), at, not_applicable }),
        act: if not_applicable { Act::Ignore } else { Act::Evaluate },
        ..notice(doors)
    }
}

/// What AWS Config was told.
async fn told(house: &House, mode: Mode, notice: Notice) -> Vec<Value> {
    let aws = Fake::new(|_| ok(r#"{"FailedEvaluations": []}"#));
    let scene = Scene { house, settings: settings(mode), aws: aws.clone(), ledger: ledger() };
    scene.respond(vec![notice]).await.unwrap();
    aws.sent().iter().map(|sent| serde_json::from_str(&sent.body).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn aws_config_is_told_what_the_rule_is_to_think() {
    for (house, mode, compliance) in [
        (House::new(SHUT, []), Mode::Plan, "COMPLIANT"),
        (House::new(OPEN, []), Mode::Enforce, "COMPLIANT"),
        (House::new(OPEN, []), Mode::Plan, "NON_COMPLIANT"),
        (House::new(Door { blocked: true, ..OPEN }, []), Mode::Enforce, "NON_COMPLIANT"),
        (House::with(None, []), Mode::Enforce, "NOT_APPLICABLE"),
    ] {
        let told = told(&house, mode, judged(&["front"], "token", false)).await;
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["ResultToken"], &told[0]["TestMode"]), (&json!("token"), &json!(false)));
        let [evaluation] = told[0]["Evaluations"].as_array().unwrap().as_slice() else { panic!("{told:?}") };
        assert_eq!(evaluation["ComplianceType"], compliance);
        assert_eq!(
            (&evaluation["ComplianceResourceType"], &evaluation["ComplianceResourceId"]),
            (&json!("Toy::House::Door"), &json!("front"))
        );
        assert_eq!(evaluation["OrderingTimestamp"], 1_768_473_920);
        let annotation = evaluation["Annotation"].as_str().unwrap();
        assert!(!annotation.is_empty() && annotation.chars().count() <= 256);
    }
    let tried = told(&House::new(SHUT, []), Mode::Plan, judged(&["front"], "TESTMODE", false)).await;
    assert_eq!(tried[0]["TestMode"], true);
}

#[tokio::test(start_paused = true)]
async fn what_left_the_rules_scope_is_not_looked_at() {
    let house = House::new(OPEN, []);
    let told = told(&house, Mode::Enforce, judged(&["front"], "token", true)).await;
    assert_eq!(told[0]["Evaluations"][0]["ComplianceType"], "NOT_APPLICABLE");
    assert!(house.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_asks_about_everything_is_told_about_everything() {
    let sweep = Notice { act: Act::Sweep, ..judged(&[], "token", false) };
    let told = told(&House::new(OPEN, []), Mode::Enforce, sweep).await;
    assert_eq!(told[0]["Evaluations"][0]["ComplianceResourceId"], "front");
}

fn finding(doors: &[&str]) -> Notice {
    Notice {
        trigger: Trigger::SecurityHub,
        call: None,
        control_ids: vec!["Doors.1".to_owned()],
        reply: Some(Reply::Finding { id: "f-1".to_owned(), product_arn: "p-1".to_owned() }),
        ..notice(doors)
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_is_resolved_when_the_fix_was_seen_and_never_for_a_plan() {
    for (house, mode, resolved) in [
        (House::new(OPEN, []), Mode::Enforce, true),
        (House::new(SHUT, []), Mode::Enforce, false),
        (House::new(OPEN, []), Mode::Plan, false),
        (House::new(Door { blocked: true, ..OPEN }, []), Mode::Enforce, false),
        (House::new(Door { holed: true, ..OPEN }, []), Mode::Enforce, false),
        (House::with(None, []), Mode::Enforce, false),
    ] {
        let told = told(&house, mode, finding(&["front"])).await;
        assert_eq!(told.len(), usize::from(resolved), "{house:?}");
        for told in told {
            assert_eq!(told["Workflow"]["Status"], "RESOLVED");
            assert_eq!(told["FindingIdentifiers"], json!([{"Id": "f-1", "ProductArn": "p-1"}]));
            let note = told["Note"]["Text"].as_str().unwrap();
            assert!(note.contains("toy-open-door: front") && note.contains("8c9e1f6a-1"), "{note}");
        }
    }
    // One of two is not all.
    let house = House::new(OPEN, [Step::Fails(crate::Fault::GiveUp("no".to_owned()))]);
    assert!(told(&house, Mode::Enforce, finding(&["front", "back"])).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_given_is_said_and_tried_again_if_that_may_help() {
    let give = async |status, body: &'static str| {
        let aws = Fake::new(move |_| answered(status, body));
        let house = House::new(OPEN, []);
        let scene = Scene { house: &house, settings: settings(Mode::Enforce), aws, ledger: ledger() };
        let done = scene.respond(vec![finding(&["front"])]).await;
        assert_eq!(house.door(), Some(SHUT), "the fix does not hang on the answer");
        done
    };
    let denied = whole(give(403, r#"{"__type": "AccessDeniedException", "Message": "secret"}"#).await.unwrap());
    assert!(denied.unanswered[0].contains("securityhub:BatchUpdateFindings"), "{:?}", denied.unanswered);
    assert!(!denied.unanswered[0].contains("secret"));
    assert!(give(429, r#"{"__type": "TooManyRequestsException"}"#).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_manual_request_for_everything_answers_with_a_count() {
    let house = House::new(OPEN, []);
    let all = json!({"resource": "*", "mode": "enforce"}).to_string();
    let answer = invoke(&house, &settings(Mode::Enforce), all.as_bytes()).await.unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["sweeps"], json!([{"looked_at": 1, "outcomes": {"fixed": 1}}]));
    assert_eq!(json["records"][0]["outcome"], "fixed");
}

/// The time has come to look at everything.
fn scheduled() -> Notice {
    Notice { trigger: Trigger::Schedule, act: Act::Sweep, call: None, ..notice(&[]) }
}

fn part(control: &str, resources: &[&str]) -> Notice {
    let resources = resources.iter().map(|name| (*name).to_owned()).collect();
    let part = triggers::Part { control: control.to_owned(), after: None, resources };
    queued("m-1", Notice { part: Some(part), ..scheduled() })
}

/// A hub with two accounts and two regions.
fn hub() -> Settings {
    let arn = "arn:aws:iam::{account}:role/suture-member-toy-open-door".to_owned();
    Settings {
        accounts: vec![account(OURS), account(THEIRS)],
        member_role: Some(crate::accounts::MemberRole { arn, external_id: None }),
        ..settings(Mode::Enforce)
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_means_every_place_and_each_is_handed_over() {
    let (house, sqs) = (House::new(OPEN, []), Fake::new(|_| ok("{}")));
    let scene = Scene { house: &house, settings: hub(), aws: sqs.clone(), ledger: ledger() };
    let queue = |tools: Tools| Tools { others: Some(crate::queue::Queue::new(&sqs.sdk(), "q".to_owned())), ..tools };
    let response = scene
        .with_tools(queue, async |invocation| {
            let reading = Reading { notices: vec![scheduled()], rejected: Vec::new() };
            respond::<Doors, _>(invocation, reading).await
        })
        .await;
    assert!(whole(response.unwrap()).sweeps.is_empty() && house.calls().is_empty());
    let sent = sqs.sent();
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    for id in [OURS, THEIRS] {
        for at in ["us-east-1", "eu-west-1"] {
            let place =
                format!(r#"\"account\":\"{id}\",\"after\":null,\"control\":\"toy-open-door\",\"region\":\"{at}\""#);
            assert!(sent.body.contains(&place), "{place} in {}", sent.body);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_with_nobody_to_hand_over_to_does_all_places_itself() {
    let house = House::new(OPEN, []);
    let scene = Scene { house: &house, settings: settings(Mode::Plan), aws: nobody(), ledger: ledger() };
    let answer = whole(scene.respond(vec![scheduled()]).await.unwrap());
    assert_eq!(answer.sweeps.len(), 2, "two regions");
    let ids: std::collections::BTreeSet<_> = answer.records.iter().map(|record| record.id.clone()).collect();
    assert_eq!(ids.len(), 2, "each record has an id of its own");
}

#[tokio::test(start_paused = true)]
async fn a_part_is_done_and_one_of_another_control_is_kept_for_a_person() {
    for (control, resources, failed, door) in [
        ("toy-open-door", &["front"][..], false, SHUT),
        ("toy-open-door", &["No Door"], true, OPEN),
        ("s3-public-bucket", &["front"], true, OPEN),
    ] {
        let house = House::new(OPEN, []);
        let scene = Scene { house: &house, settings: settings(Mode::Enforce), aws: nobody(), ledger: ledger() };
        let json = batch(scene.respond(vec![part(control, resources)]).await.unwrap());
        let failures = if failed { json!([{"itemIdentifier": "m-1"}]) } else { json!([]) };
        assert_eq!(json, json!({"batchItemFailures": failures}), "{control} {resources:?}");
        assert_eq!(house.door(), Some(door));
    }
}
