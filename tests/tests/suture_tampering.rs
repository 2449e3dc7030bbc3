//! Somebody touches Suture itself, in the lab: the real function, woken by the real rule, tells at once and writes nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use lab::bus::Bus;
use lab::gateway::Happening;
use lab::runtime::Report;
use lab::template::{Template, World};
use serde_json::{Value, json};
use system_tests::{
    ACCOUNT, HOME, PATIENCE, alice, alone, calls, event, fire, fresh, record, reported, workspace, writes,
};
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

const FUNCTION: &str = "suture-tampering";

/// A rule of the deployment, which EventBridge's API then knows: the lab's own rules are not in it.
async fn rule(lab: &Lab, stem: &str) -> String {
    let name = fresh(stem);
    let client = lab.quiet_client(HOME);
    let rule = json!({"Name": name, "EventPattern": "{\"source\":[\"aws.s3\"]}", "State": "ENABLED"});
    client.must_json("events", "PutRule", &rule).await.unwrap();
    let arn = format!("arn:aws:lambda:{HOME}:{ACCOUNT}:function:suture-x");
    let targets = json!({"Rule": name, "Targets": [{"Id": "1", "Arn": arn}]});
    client.must_json("events", "PutTargets", &targets).await.unwrap();
    name
}

async fn told(happenings: &mut Receiver<Happening>, part: &str) -> (Report, Value) {
    let report = reported(happenings, FUNCTION, part).await;
    let record = record(&report);
    assert_eq!((&record["outcome"], &record["refused_by"]), (&json!("refused"), &json!("tampering")), "{record}");
    assert_eq!(writes(&report), ledger_writes(&report), "nothing but the ledger is written: {:?}", calls(&report));
    (report, record)
}

fn ledger_writes(report: &Report) -> usize {
    report.calls.iter().filter(|call| call.writes && call.service == "dynamodb").count()
}

/// Waits until people were told of a part; the one message.
async fn announced(lab: &Lab, part: &str) -> String {
    let seen = async {
        loop {
            let published = lab.published();
            if let Some(message) = published.iter().find(|message| message.message.contains(part)) {
                return message.message.clone();
            }
            sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, seen).await.unwrap()
}

#[test]
fn a_rule_that_is_disabled_is_told_of_at_once() {
    alone(async |lab| {
        // One of its own: two rules deliver that.
        let name = rule(lab, "suture-suture-tampering").await;
        let mut happenings = lab.listen();
        alice(lab).must_json("events", "DisableRule", &json!({"Name": name})).await.unwrap();
        let (_, record) = told(&mut happenings, &name).await;
        let why = record["why"].as_str().unwrap();
        assert!(why.contains(" called DisableRule on Suture's own rule ") && why.contains("it is disabled"), "{why}");
        let message = announced(lab, &name).await;
        assert!(message.contains("called DisableRule on Suture's own rule"), "{message}");
        let again = reported(&mut happenings, FUNCTION, &name).await;
        assert_eq!(again.json()["records"][0]["refused_by"], "tampering");
        lab.settled(PATIENCE).await.unwrap();
        let about = lab.published().iter().filter(|message| message.message.contains(&name)).count();
        assert_eq!(about, 1, "one message");
    });
}

#[test]
fn a_rule_that_is_deleted_or_has_lost_its_targets_is_told_of() {
    alone(async |lab| {
        let name = rule(lab, "suture-rule").await;
        let mut happenings = lab.listen();
        let alice = alice(lab);
        alice.must_json("events", "RemoveTargets", &json!({"Rule": name, "Ids": ["1"]})).await.unwrap();
        let (_, record) = told(&mut happenings, &name).await;
        assert!(record["why"].as_str().unwrap().contains("it has no target"), "{record}");
        alice.must_json("events", "DeleteRule", &json!({"Name": name})).await.unwrap();
        let (_, record) = told(&mut happenings, &name).await;
        assert!(record["why"].as_str().unwrap().contains("does not exist"), "{record}");
    });
}

#[test]
fn the_ledger_and_the_evidence_are_watched() {
    alone(async |lab| {
        let config = lab.gateway.functions.config(FUNCTION).unwrap();
        let parts: Value = serde_json::from_str(&config.environment["SUTURE_PARAMETERS"]).unwrap();
        let (table, bucket) = (parts["ledger"].as_str().unwrap(), parts["evidence"].as_str().unwrap());
        let alice = alice(lab);
        let mut happenings = lab.listen();
        let off =
            json!({"TableName": table, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": false}});
        alice.must_json("dynamodb", "UpdateContinuousBackups", &off).await.unwrap();
        let (_, record) = told(&mut happenings, table).await;
        assert_eq!(record["before"]["weak"], json!(["recovery-off"]), "{record}");
        alice.must(Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await.unwrap();
        let (_, record) = told(&mut happenings, bucket).await;
        assert_eq!(record["before"]["weak"], json!(["public"]), "{record}");
    });
}

/// The records of what is not as it ought to be, by the logs: an answer to a queue has none.
fn drifted(reports: &[Report]) -> Vec<Value> {
    let lines =
        reports.iter().flat_map(|report| &report.log).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let records = lines.map(|line| line["record"].clone());
    records.filter(|record| record.is_object() && record["outcome"] != "compliant").collect()
}

#[test]
fn a_sweep_finds_what_no_event_told_of_and_a_sound_deployment_sound() {
    alone(async |lab| {
        let sound = fire(lab, FUNCTION).await;
        assert_eq!(drifted(&sound), Vec::<Value>::new());
        let handed = sound[0].json()["sweeps"][0]["handed_over"].as_u64().unwrap();
        assert!(handed >= 3, "table, bucket, topic: {}", sound[0].json());
        let name = rule(lab, "suture-rule").await;
        lab.quiet_client(HOME).must_json("events", "DisableRule", &json!({"Name": name})).await.unwrap();
        let [found] = drifted(&fire(lab, FUNCTION).await).try_into().unwrap();
        assert_eq!(found["resource"]["id"], format!("rule/{name}"), "{found}");
        assert!(found["why"].as_str().unwrap().contains("no event said who did it"), "{found}");
    });
}

/// A rule that is disabled delivers nothing, not even that.
#[test]
fn each_of_its_two_rules_for_calls_tells_of_the_others_end() {
    let template = Template::read(&workspace().join("template.yaml"), &World::default()).unwrap();
    let spec = template.functions.into_iter().find(|spec| spec.code_dir == FUNCTION).unwrap();
    let names: Vec<_> = spec
        .rules
        .iter()
        .map(|rule| rule.name.clone())
        .chain(spec.schedules.iter().map(|one| one.name.clone()))
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for (call, field) in
        [("DisableRule", "name"), ("DeleteRule", "name"), ("PutRule", "name"), ("RemoveTargets", "rule")]
    {
        for name in &names {
            let mut told = event(FUNCTION, "disable-rule");
            told["detail"]["eventName"] = call.into();
            told["detail"]["requestParameters"] = json!({field: name});
            for deaf in &names {
                let rules = spec.rules.iter().filter(|rule| rule.name != *deaf);
                let rules = rules.map(|rule| (rule.name.clone(), FUNCTION.to_owned(), rule.pattern.clone()));
                assert!(
                    !Bus::new(rules).unwrap().matching(&told).is_empty(),
                    "{call} on {name} while {deaf} is disabled"
                );
            }
        }
    }
}

#[test]
fn what_is_not_suture_is_nobodys_business() {
    alone(async |lab| {
        let name = fresh("clinic-nightly");
        let client = lab.quiet_client(HOME);
        let rule = json!({"Name": name, "ScheduleExpression": "rate(1 day)"});
        client.must_json("events", "PutRule", &rule).await.unwrap();
        let mut happenings = lab.listen();
        alice(lab).must_json("events", "DisableRule", &json!({"Name": name})).await.unwrap();
        let report = reported(&mut happenings, FUNCTION, &name).await;
        assert_eq!(record(&report)["outcome"], "compliant");
        assert!(calls(&report).iter().all(|call| call.starts_with("dynamodb:")), "{:?}", calls(&report));
    });
}
