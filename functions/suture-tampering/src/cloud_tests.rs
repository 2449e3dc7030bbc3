//! `cloud.rs` against recorded answers: which requests it makes, and what it makes of the answers.

use super::*;
use remediation::Control;
use remediation::event::{ApiCall, Cause};
use remediation::testing::{self, Answer, Fake, SECRET, Sent, account, answer, occasion, ok, region};
use serde_json::json;

const TOPIC: &str = "arn:aws:sns:us-west-2:111122223333:suture-Announcements-1";
const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn deployment() -> Deployment {
    Deployment {
        stack: "suture".to_owned(),
        ledger: "suture-LedgerTable-1".to_owned(),
        evidence: "suture-evidencebucket-1".to_owned(),
        topic: TOPIC.to_owned(),
    }
}

/// What a request asks for: REST's by its path, S3's by its query.
fn asks(sent: &Sent) -> String {
    if let Some(operation) = sent.operation() {
        return operation;
    }
    let path = sent.path.trim_start_matches('/');
    match sent.host.split('.').next().unwrap() {
        "lambda" if path.ends_with("/concurrency") => "GetFunctionConcurrency".to_owned(),
        "lambda" if path.contains("event-source-mappings") => "ListEventSourceMappings".to_owned(),
        "lambda" => "ListFunctions".to_owned(),
        _ => sent.query.split(['&', '=']).next().unwrap_or_default().to_owned(),
    }
}

/// A deployment in which all is well.
fn sound(sent: &Sent) -> Answer {
    match asks(sent).as_str() {
        "DescribeRule" => ok(json!({"Name": "suture-x", "State": "ENABLED"}).to_string()),
        "ListTargetsByRule" => ok(json!({"Targets": [{"Id": "1", "Arn": "arn:aws:lambda:us-west-2:111122223333:function:suture-x"}]}).to_string()),
        "GetFunctionConcurrency" => ok(json!({"ReservedConcurrentExecutions": 5}).to_string()),
        "ListEventSourceMappings" => ok(json!({"EventSourceMappings": [{"State": "Enabled"}]}).to_string()),
        "DescribeTable" => ok(table(true, true).to_string()),
        "DescribeContinuousBackups" => ok(json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}}).to_string()),
        "DescribeTimeToLive" => ok(json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}}).to_string()),
        "DescribeKey" => ok(json!({"KeyMetadata": {"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "KeyState": "Enabled"}}).to_string()),
        "versioning" => ok("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        "object-lock" => ok("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>2192</Days></DefaultRetention></Rule></ObjectLockConfiguration>"),
        "publicAccessBlock" => ok("<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"),
        "GetTopicAttributes" => topic("1"),
        other => panic!("asked for {other}: {sent:?}"),
    }
}

fn table(streams: bool, protected: bool) -> serde_json::Value {
    json!({"Table": {
        "TableName": "suture-LedgerTable-1", "DeletionProtectionEnabled": protected,
        "StreamSpecification": {"StreamEnabled": streams}, "SSEDescription": {"Status": "ENABLED", "KMSMasterKeyArn": KEY},
    }})
}

fn topic(confirmed: &str) -> Answer {
    ok(format!(
        "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes><entry><key>SubscriptionsConfirmed</key>\
         <value>{confirmed}</value></entry></Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>"
    ))
}

fn refused(sent: &Sent, status: u16, code: &str) -> Answer {
    match sent.host.as_str() {
        host if host.starts_with("s3") => {
            answer(status, format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"))
        }
        host if host.starts_with("sns") => answer(
            status,
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></ErrorResponse>"),
        ),
        _ => Answer {
            headers: vec![("x-amzn-errortype", code.to_owned())],
            ..answer(status, json!({"__type": code, "message": SECRET}).to_string())
        },
    }
}

fn fake(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Parts, Fake) {
    let fake = Fake::new(answer);
    (Parts::new(&fake.sdk(), deployment()), fake)
}

async fn seen(parts: &Parts, name: &str) -> Result<State, Fault> {
    parts.observe(&testing::place::<Tampering>(name), &occasion()).await.map(Option::unwrap)
}

fn touched(name: &str, agent: Option<&str>) -> Occasion {
    let call = ApiCall {
        event_source: "events.amazonaws.com".to_owned(),
        event_name: name.to_owned(),
        parameters: serde_json::Value::Null,
        response: serde_json::Value::Null,
    };
    let cause = Cause {
        call: name.to_owned(),
        actor: Some("arn:aws:iam::111122223333:user/mallory\u{1b}[2J".to_owned()),
        source_ip: Some("198.51.100.24".to_owned()),
        agent: agent.map(str::to_owned),
        ..Cause::default()
    };
    Occasion { call: Some(call), cause: Some(cause), ..occasion() }
}

#[tokio::test]
async fn a_sound_deployment_costs_these_reads_and_is_sound() {
    let topic = format!("topic/{TOPIC}");
    for (name, reads) in [
        ("rule/suture-x", &["DescribeRule", "ListTargetsByRule"][..]),
        ("function/suture-Recorder-1", &["GetFunctionConcurrency", "ListEventSourceMappings"]),
        (
            "table/suture-LedgerTable-1",
            &["DescribeContinuousBackups", "DescribeKey", "DescribeTable", "DescribeTimeToLive"],
        ),
        ("bucket/suture-evidencebucket-1", &["object-lock", "publicAccessBlock", "versioning"]),
        (topic.as_str(), &["GetTopicAttributes"]),
        ("key/1234abcd-12ab-34cd-56ef-1234567890ab", &["DescribeKey", "DescribeTable"]),
        ("role/suture-x-us-west-2", &[]),
        ("log-group/suture-x", &[]),
        ("stack/suture", &[]),
    ] {
        let (parts, fake) = fake(sound);
        let state = seen(&parts, name).await.unwrap();
        assert!(state.ours && state.weak.is_empty() && !state.unheard, "{state:?}");
        assert_eq!(Tampering::hindrance(&state), None);
        let sent = fake.sent();
        let mut asked: Vec<_> = sent.iter().map(asks).collect();
        asked.sort();
        assert_eq!(asked, reads, "{name}");
        assert!(sent.iter().all(|sent| sent.host.contains("us-west-2")), "{name}: {sent:?}");
        let owned = |sent: &Sent| sent.header("x-amz-expected-bucket-owner") == Some(account().as_str());
        assert!(!name.starts_with("bucket") || sent.iter().all(owned), "{sent:?}");
    }
}

#[tokio::test]
async fn what_is_not_ours_costs_nothing() {
    for name in
        ["rule/clinic-nightly", "function/clinic-triage", "table/patients", "bucket/clinic-scans", "stack/clinic"]
    {
        let (parts, fake) = fake(sound);
        let state =
            parts.observe(&testing::place::<Tampering>(name), &touched("DisableRule", None)).await.unwrap().unwrap();
        assert!(!state.ours && Tampering::hindrance(&state).is_none() && fake.sent().is_empty(), "{name}");
    }
    let (parts, fake) = fake(sound);
    let place = testing::place::<Tampering>("key/00000000-12ab-34cd-56ef-1234567890ab");
    let state = parts.observe(&place, &touched("DisableKey", None)).await.unwrap().unwrap();
    assert!(!state.ours && Tampering::hindrance(&state).is_none());
    assert_eq!(fake.sent().iter().map(asks).collect::<Vec<_>>(), ["DescribeTable"], "whose key it is, the table says");
}

#[tokio::test]
async fn what_is_weakened_is_seen() {
    let topic_part = format!("topic/{TOPIC}");
    let key = "key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let (recorder, ledger, evidence) =
        ("function/suture-Recorder-1", "table/suture-LedgerTable-1", "bucket/suture-evidencebucket-1");
    let json_of = |value: serde_json::Value| ok(value.to_string());
    let key_in = |state: &str| ok(json!({"KeyMetadata": {"KeyId": "1", "KeyState": state}}).to_string());
    for (name, call, said, weak) in [
        ("rule/suture-x", "DescribeRule", json_of(json!({"State": "DISABLED"})), Weakness::Disabled),
        ("rule/suture-x", "ListTargetsByRule", json_of(json!({"Targets": []})), Weakness::NoTarget),
        (
            "function/suture-x",
            "GetFunctionConcurrency",
            json_of(json!({"ReservedConcurrentExecutions": 0})),
            Weakness::Stopped,
        ),
        (
            recorder,
            "ListEventSourceMappings",
            json_of(json!({"EventSourceMappings": [{"State": "Disabling"}]})),
            Weakness::MappingOff,
        ),
        (recorder, "ListEventSourceMappings", json_of(json!({"EventSourceMappings": []})), Weakness::MappingGone),
        (ledger, "DescribeTable", json_of(table(false, true)), Weakness::StreamOff),
        (ledger, "DescribeTable", json_of(table(true, false)), Weakness::Deletable),
        (ledger, "DescribeContinuousBackups", json_of(json!({})), Weakness::RecoveryOff),
        (
            ledger,
            "DescribeTimeToLive",
            json_of(json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLING"}})),
            Weakness::TimeToLiveOff,
        ),
        (ledger, "DescribeKey", key_in("Disabled"), Weakness::KeyDisabled),
        (ledger, "DescribeKey", key_in("PendingDeletion"), Weakness::KeyGoing),
        (key, "DescribeKey", key_in("Disabled"), Weakness::Disabled),
        (key, "DescribeKey", key_in("PendingDeletion"), Weakness::KeyGoing),
        (
            evidence,
            "versioning",
            ok("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"),
            Weakness::VersioningOff,
        ),
        (
            evidence,
            "object-lock",
            ok("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"),
            Weakness::LockOff,
        ),
        (
            evidence,
            "publicAccessBlock",
            ok(
                "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>",
            ),
            Weakness::Public,
        ),
    ] {
        let (parts, _) = fake(move |sent| if asks(sent) == call { said.clone() } else { sound(sent) });
        assert_eq!(seen(&parts, name).await.unwrap().weak, [weak], "{name}: {call}");
    }
    let (parts, _) = fake(|sent| if asks(sent) == "GetTopicAttributes" { topic("0") } else { sound(sent) });
    assert!(seen(&parts, &topic_part).await.unwrap().unheard);
}

#[tokio::test]
async fn what_does_not_exist_is_gone() {
    let topic = format!("topic/{TOPIC}");
    for (name, code) in [
        ("rule/suture-x", "ResourceNotFoundException"),
        ("function/suture-x", "ResourceNotFoundException"),
        ("table/suture-LedgerTable-1", "ResourceNotFoundException"),
        ("bucket/suture-evidencebucket-1", "NoSuchBucket"),
        (topic.as_str(), "NotFound"),
    ] {
        let (parts, _) = fake(move |sent| refused(sent, 404, code));
        assert_eq!(seen(&parts, name).await.unwrap().weak, [Weakness::Gone], "{name}");
    }
    // A bucket of which the lock was never set.
    let lock = "ObjectLockConfigurationNotFoundError";
    let (parts, _) = fake(move |sent| if asks(sent) == "object-lock" { refused(sent, 404, lock) } else { sound(sent) });
    assert_eq!(seen(&parts, "bucket/suture-evidencebucket-1").await.unwrap().weak, [Weakness::LockOff]);
}

#[tokio::test]
async fn who_touched_it_is_told_also_where_nothing_can_be_read() {
    for (status, code) in [(403, "AccessDeniedException"), (400, "ThrottlingException"), (500, "InternalFailure")] {
        let (parts, _) = fake(move |sent| refused(sent, status, code));
        let place = testing::place::<Tampering>("rule/suture-x");
        let state = parts.observe(&place, &touched("DisableRule", Some("cli"))).await.unwrap().unwrap();
        let said = Tampering::hindrance(&state).unwrap().says;
        assert!(said.starts_with("arn:aws:iam::111122223333:user/mallory?[2J called DisableRule"), "{said}");
        assert!(said.contains("could not be read") && !said.contains(SECRET), "{said}");
        // Nobody touched it, as far as we know: that it could not be read is all there is to say.
        assert!(seen(&parts, "rule/suture-x").await.is_err());
        // Whether the key is ours, nobody could say.
        let key = testing::place::<Tampering>("key/1234abcd-12ab-34cd-56ef-1234567890ab");
        assert!(parts.observe(&key, &touched("DisableKey", None)).await.is_err());
    }
}

#[tokio::test]
async fn what_cloudformation_does_aws_says_and_versions_are_no_part_of_a_calls_name() {
    let (parts, _) = fake(sound);
    for (name, plain) in [
        ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
        ("PutFunctionConcurrency20171031", "PutFunctionConcurrency"),
        ("DisableRule", "DisableRule"),
    ] {
        for (agent, by_cloudformation) in [(Some("cloudformation"), true), (Some("terraform"), false), (None, false)] {
            let place = testing::place::<Tampering>("function/suture-x");
            let state = parts.observe(&place, &touched(name, agent)).await.unwrap().unwrap();
            let touch = state.touched.unwrap();
            assert_eq!((touch.call.as_str(), touch.by_cloudformation), (plain, by_cloudformation), "{name} {agent:?}");
        }
    }
}

#[tokio::test]
async fn a_sweep_lists_what_is_known_by_name_the_rules_and_the_functions() {
    let (parts, fake) = fake(|sent| match asks(sent).as_str() {
        "ListRules" if sent.body.contains("\"NextToken\"") => ok(json!({"Rules": [{"Name": "suture-b"}]}).to_string()),
        "ListRules" => ok(json!({"Rules": [{"Name": "suture-a"}], "NextToken": "a b/+"}).to_string()),
        _ if sent.query.contains("Marker") => ok(json!({"Functions": [{"FunctionName": "suture-undo"}]}).to_string()),
        _ => ok(json!({
            "Functions": [{"FunctionName": "suture-Recorder-1"}, {"FunctionName": "clinic-triage"}], "NextMarker": "m n"
        })
        .to_string()),
    });
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = parts.list(&account(), &region(), &occasion(), after.as_deref()).await.unwrap();
        listed.extend(page.targets.iter().map(ToString::to_string));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let topic = format!("topic/{TOPIC}");
    let ought = [
        "rule/suture-a",
        "table/suture-LedgerTable-1",
        "bucket/suture-evidencebucket-1",
        topic.as_str(),
        "rule/suture-b",
        "function/suture-Recorder-1",
        "function/suture-undo",
    ];
    assert_eq!(listed, ought);
    let sent = fake.sent();
    assert_eq!(sent.len(), 4);
    assert!(sent[0].body.contains("\"NamePrefix\":\"suture-\"") && sent[1].body.contains("\"a b/+\""), "{sent:?}");
}

#[tokio::test]
async fn who_does_not_know_its_deployment_lists_nothing_and_says_so() {
    let fake = Fake::new(sound);
    let parts = Parts::new(&fake.sdk(), Deployment::default());
    let listed = parts.list(&account(), &region(), &occasion(), None).await;
    assert!(matches!(&listed, Err(Fault::GiveUp(why)) if why.contains("SUTURE_PARAMETERS")), "{listed:?}");
    assert!(fake.sent().is_empty());
}

#[tokio::test]
async fn a_denied_read_names_an_action_that_is_declared() {
    for name in [
        "rule/suture-x",
        "function/suture-x",
        "table/suture-LedgerTable-1",
        "bucket/suture-evidencebucket-1",
        &format!("topic/{TOPIC}"),
    ] {
        let (parts, _) = fake(|sent| refused(sent, 403, "AccessDenied"));
        let denied = seen(&parts, name).await;
        let Err(Fault::Denied { action, .. }) = &denied else { panic!("{name}: {denied:?}") };
        assert!(Tampering::ABOUT.observes_with.contains(action), "{action}");
    }
}
