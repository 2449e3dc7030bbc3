//! The template, the code and the events say the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::bus::Bus;
use lab::template::{FunctionSpec, Template, World, yaml};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use system_tests::template::{pascal_case, remade, resources};
use system_tests::{
    About, Kind, Setting, controls, event, folders, invoke_whole, of_the_control, own_folders, shared, workspace,
};

/// The names of a folder's entries.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Writes the made parts of the template before any test reads it, if `BLESS` is set.
static BLESSED: LazyLock<()> = LazyLock::new(|| {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(template_file(), remade(&text(), &controls())).unwrap();
    }
});

fn template_file() -> PathBuf {
    workspace().join("template.yaml")
}

fn text() -> String {
    std::fs::read_to_string(template_file()).unwrap()
}

fn ids() -> BTreeSet<String> {
    folders().into_iter().collect()
}

fn deployed() -> Vec<FunctionSpec> {
    LazyLock::force(&BLESSED);
    Template::read(&template_file(), &World::default()).unwrap().functions
}

fn spec(id: &str) -> FunctionSpec {
    deployed().into_iter().find(|spec| spec.code_dir == id).unwrap()
}

/// The template in long form, nothing resolved.
fn template() -> Value {
    LazyLock::force(&BLESSED);
    yaml::parse(&text()).unwrap()
}

#[test]
fn a_control_is_one_name_everywhere() {
    let root = workspace();
    let mut events = names(&root.join("events"));
    events.retain(|folder| !own_folders().contains(folder));
    assert_eq!(events, ids(), "events/");
    for id in ids() {
        let folder = root.join("functions").join(&id);
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.lines().any(|line| line == format!("name = \"{id}\"")), "{id}: the crate's name");
        assert!(!manifest.contains("[[bin]]"), "{id}: the binary has the crate's name");
        assert!(folder.join("src/main.rs").is_file(), "{id}");
    }
}

#[test]
fn each_function_is_deployed_once_and_nothing_else_is() {
    let functions = deployed();
    let dirs: BTreeSet<_> = functions.iter().map(|function| function.code_dir.clone()).collect();
    assert_eq!(dirs, ids().into_iter().chain(own_folders()).collect());
    assert_eq!(dirs.len(), functions.len(), "a folder is deployed twice");
    let (template, undo) = (template(), spec("undo"));
    let name = &template["Resources"]["Undo"]["Properties"]["FunctionName"];
    assert_eq!(*name, template["Globals"]["Function"]["Environment"]["Variables"]["SUTURE_UNDO_FUNCTION"]);
    for function in functions {
        let id = &function.code_dir;
        assert_eq!(function.logical_id, pascal_case(id));
        let resource = &template["Resources"][&function.logical_id];
        assert_eq!(resource["Properties"]["CodeUri"], format!("functions/{id}/"));
        assert_eq!(resource["Metadata"]["BuildMethod"], "rust-cargolambda");
        let role = format!("{}Role", function.logical_id);
        assert_eq!(resource["Properties"]["Role"], serde_json::json!({"Fn::GetAtt": [role, "Arn"]}), "{id}");
        let log = format!("{}Log", function.logical_id);
        assert_eq!(resource["Properties"]["LoggingConfig"]["LogGroup"], serde_json::json!({"Ref": log}), "{id}");
        let set = |name: &str| function.environment.get(name).map(String::as_str);
        assert_eq!(set("SUTURE_MODE"), Some("plan"), "{id}: nothing is changed on the first day");
        assert_eq!(set("SUTURE_LEDGER"), undo.environment.get("SUTURE_LEDGER").map(String::as_str), "{id}");
        assert!(set("SUTURE_LEDGER").is_some_and(|name| !name.is_empty()), "{id}");
        if id.contains('-') {
            // By these, it also knows its own calls and those of undoes.
            let both = format!("{},{}", function.role_arn, undo.role_arn);
            let lent = |lent: &str| format!(",arn:aws:iam::{{account}}:role/suture-member-{lent}");
            let at_home = system_tests::about(id)["scope"] == "deployment";
            let lent = if at_home { String::new() } else { lent(id) + &lent("undo") };
            assert_eq!(set("SUTURE_ROLE_ARN"), Some((both + &lent).as_str()), "{id}");
            assert_eq!(set("SUTURE_UNDO_FUNCTION"), Some("suture-undo"), "{id} must send undoes elsewhere");
            assert_eq!(function.name, format!("suture-{id}"));
        }
    }
    assert_eq!(undo.environment["SUTURE_UNDO_FUNCTION"], "");
    assert!(undo.rules.is_empty() && undo.schedules.is_empty(), "only a person takes a fix back");
    assert_eq!(template["Resources"]["Undo"]["Properties"].get("Events"), None);
}

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
#[test]
fn the_stack_is_within_cloudformations_limits() {
    let template = template();
    let section = |name: &str| template[name].as_object().unwrap();
    let count = resources(&template);
    assert!(count <= 500, "{count} resources");
    assert!(section("Parameters").len() <= 200 && section("Outputs").len() <= 200);
}

#[test]
fn the_template_is_what_the_code_says() {
    LazyLock::force(&BLESSED);
    let again = remade(&text(), &controls());
    for (line, (is, ought)) in text().lines().zip(again.lines()).enumerate() {
        assert_eq!(is, ought, "line {}; run BLESS=1 cargo test -p system-tests --test agree", line + 1);
    }
    assert_eq!(text(), again);
}

#[test]
fn a_settings_default_is_what_the_function_does_unasked() {
    for About { id, settings, .. } in controls() {
        let spec = spec(&id);
        let Some(json) = spec.environment.get("SUTURE_PARAMETERS") else {
            assert!(settings.is_empty(), "{id}");
            continue;
        };
        let json: Value = serde_json::from_str(json).unwrap();
        assert_eq!(json.as_object().unwrap().len(), settings.len(), "{id}");
        for Setting { field, kind, default, .. } in settings {
            let value = match kind {
                Kind::Number(least, most) => {
                    let number: i64 = default.parse().unwrap();
                    assert!((least..=most).contains(&number), "{id}: {field}");
                    number.into()
                }
                Kind::Choice(values) => {
                    assert!(values.contains(&default), "{id}: {field}");
                    default.into()
                }
                Kind::Text(_) => Value::from(default),
                Kind::Deployed => {
                    assert!(json[&field].as_str().is_some_and(|name| !name.is_empty()), "{id}: {field}");
                    continue;
                }
            };
            assert_eq!(json[&field], value, "{id}: {field}");
        }
    }
}

#[test]
fn the_recorder_is_woken_by_what_is_to_be_recorded_or_announced_and_not_by_itself() {
    let template = template();
    let stream = &template["Resources"]["Recorder"]["Properties"]["Events"]["Ledger"]["Properties"];
    assert_eq!(stream["FunctionResponseTypes"], serde_json::json!(["ReportBatchItemFailures"]));
    let patterns = stream["FilterCriteria"]["Filters"].as_array().unwrap().iter();
    let patterns = patterns.map(|filter| serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap());
    let bus = Bus::new(patterns.map(|pattern| (String::new(), String::new(), pattern))).unwrap();
    let wakes = |pk: &str, sk: &str| {
        let keys = serde_json::json!({"pk": {"S": pk}, "sk": {"S": sk}});
        !bus.matching(&serde_json::json!({"eventName": "MODIFY", "dynamodb": {"Keys": keys}})).is_empty()
    };
    let resource = "resource#111122223333#us-east-1#AWS::S3::Bucket#clinic-intake";
    for (pk, sk, ought) in [
        (resource, "record#2026-01-15T10:00:00Z#7c1f-1", true),
        (resource, "standing#s3-public-bucket", false),
        ("deployment", "settings", true),
        ("deployment", "exemption#ex-1", true),
        ("approvals", "ap-1", true),
        ("budget#s3-public-bucket", "hour#2026-01-15T10", false),
        ("budget#s3-public-bucket", "reached#2026-01-15T10", true),
        ("chain", "head", false),
        ("chain", "slot#000000000001", false),
    ] {
        assert_eq!(wakes(pk, sk), ought, "{pk} {sk}");
    }
}

#[test]
fn what_is_remembered_outlives_the_stack_and_is_closed() {
    let template = template();
    let resource = |name: &str| &template["Resources"][name];
    for name in ["LedgerTable", "EvidenceBucket", "EvidenceBucketPolicy"] {
        assert_eq!(resource(name)["DeletionPolicy"], "Retain", "{name}");
        assert_eq!(resource(name)["UpdateReplacePolicy"], "Retain", "{name}");
    }
    let bucket = &resource("EvidenceBucket")["Properties"];
    for setting in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
        assert_eq!(bucket["PublicAccessBlockConfiguration"][setting], true, "{setting}");
    }
    assert_eq!(bucket["ObjectLockEnabled"], true);
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    let retention = &bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"];
    assert_eq!(retention["Days"], serde_json::json!({"Ref": "EvidenceRetentionDays"}));
    assert_eq!(template["Parameters"]["EvidenceRetentionDays"]["Default"], 2192);
    assert!(bucket.get("LifecycleConfiguration").is_none(), "nothing deletes evidence");
    let key = serde_json::json!({"Fn::If": ["MakesKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "KeyArn"}]});
    let encryption = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"], key);
    let table = &resource("LedgerTable")["Properties"];
    assert_eq!(table["SSESpecification"]["KMSMasterKeyId"], key);
    assert_eq!(table["DeletionProtectionEnabled"], true);
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(resource("Announcements")["Properties"]["KmsMasterKeyId"], key);
}

fn bus(id: &str) -> Bus {
    let rules = spec(id).rules.into_iter().map(|rule| (rule.name, id.to_owned(), rule.pattern));
    Bus::new(rules).unwrap()
}

/// What the beginning of an event's file name says of it: whether a rule delivers it (if it says so), and whether the
/// function then looks at anything. CONTRIBUTING.md tells these beginnings.
fn expected(about: &About, file: &str) -> (Option<bool>, bool) {
    match file.split('-').next().unwrap() {
        // Who looks after the deployment alone hears of its own account alone.
        "other" if file == "other-account" => (Some(about.works_in_members()), true),
        // By Invoke, by AWS Config itself, from a queue or topic, by a schedule: no rule has a pattern for these.
        "manual" | "rule" | "queue" | "topic" | "schedule" => (Some(false), true),
        "denied" | "own" | "resolved" => (Some(false), false),
        // What makes no sense says nothing about where it makes none.
        "hostile" | "unrendered" => (None, false),
        _ => (Some(true), true),
    }
}

#[test]
fn every_event_is_delivered_and_looked_at_as_its_name_says() {
    for about in controls() {
        let (bus, id) = (bus(&about.id), about.id.clone());
        let mut matched = BTreeSet::new();
        for file in names(&workspace().join("events").join(&id)) {
            let name = file.strip_suffix(".json").unwrap();
            let event = event(&id, name);
            let delivered = !bus.matching(&event).is_empty();
            let mut looked = false;
            shared(async |lab| {
                let whole = invoke_whole(lab, &id, &event).await;
                // With more than one region to look at, a schedule's sweep is handed out by the queue.
                let handed_out = whole.calls.iter().any(|call| call.name().starts_with("sqs:SendMessage"));
                let report = of_the_control(whole);
                let answer = report.json();
                if name.starts_with("queue-") {
                    assert_eq!(answer, serde_json::json!({"batchItemFailures": []}), "{id}/{file}: {:#?}", report.log);
                    looked = !report.calls.is_empty();
                    return;
                }
                let records =
                    answer["records"].as_array().unwrap_or_else(|| panic!("{id}/{file}: {answer} {:#?}", report.log));
                looked = !records.is_empty() || answer.get("sweeps").is_some() || handed_out;
                for record in records {
                    let outcome = record["outcome"].as_str().unwrap();
                    assert!(!["failed", "unverified"].contains(&outcome), "{id}/{file}: {record}");
                }
                for sweep in answer["sweeps"].as_array().into_iter().flatten() {
                    assert_eq!(sweep.get("cut_short"), None, "{id}/{file}");
                }
                assert_ne!(looked, answer.get("unread").is_some(), "{id}/{file}: {answer}");
                assert_eq!(answer.get("unanswered"), None, "{id}/{file}");
            });
            let (ought, looks) = expected(&about, name);
            assert_eq!((delivered, looked), (ought.unwrap_or(delivered), looks), "{id}/{file}");
            if delivered && event["detail-type"] == "AWS API Call via CloudTrail" {
                matched.insert(event["detail"]["eventName"].as_str().unwrap().to_owned());
            }
        }
        let watched: BTreeSet<_> = about.watches.into_iter().flat_map(|watch| watch.events).collect();
        assert_eq!(matched, watched, "events/{id} needs one event for each call that the control watches");
    }
}

#[test]
fn every_watched_call_is_delivered_unless_it_failed_or_was_ours() {
    for about in controls() {
        let (bus, role, undo) = (bus(&about.id), spec(&about.id).role_arn, spec("undo").role_arn);
        let delivered = |event: &Value| !bus.matching(event).is_empty();
        for watch in about.watches {
            for name in watch.events {
                let call = |identity: Value| {
                    serde_json::json!({
                        "source": watch.source,
                        "account": system_tests::ACCOUNT,
                        "detail-type": "AWS API Call via CloudTrail",
                        "detail": {"eventSource": watch.event_source, "eventName": name, "userIdentity": identity},
                    })
                };
                let session = |role: &str| serde_json::json!({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": role}}});
                assert!(delivered(&call(serde_json::json!({"type": "IAMUser"}))), "{name} by a user");
                assert!(delivered(&call(serde_json::json!({"type": "Root"}))), "{name} by root");
                assert!(delivered(&call(session("arn:aws:iam::111122223333:role/deploy"))), "{name} by a role");
                assert!(!delivered(&call(session(&role))), "{name} by ourselves");
                assert!(!delivered(&call(session(&undo))), "{name} by an undo");
                let mut denied = call(serde_json::json!({"type": "IAMUser"}));
                denied["detail"]["errorCode"] = "AccessDenied".into();
                assert!(!delivered(&denied), "{name} that was denied");
            }
        }
    }
}

/// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
#[test]
fn no_pattern_is_longer_than_eventbridge_takes() {
    for rule in deployed().into_iter().flat_map(|spec| spec.rules) {
        let length = rule.pattern.to_string().len();
        assert!(length <= 2048, "{}: {length}", rule.name);
        assert!(rule.name.len() <= 64, "{}", rule.name);
    }
}
