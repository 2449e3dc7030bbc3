//! The template, the code and the events say the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::bus::Bus;
use lab::template::{FunctionSpec, Template, World, yaml};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use system_tests::template::{RUNTIME, actions, pascal_case, remade};
use system_tests::{About, Kind, Setting, controls, event, folders, invoke, shared, workspace};

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

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

#[test]
fn a_control_is_one_name_everywhere() {
    let root = workspace();
    assert_eq!(names(&root.join("events")), ids(), "events/");
    for id in ids() {
        let folder = root.join("functions").join(&id);
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.lines().any(|line| line == format!("name = \"{id}\"")), "{id}: the crate's name");
        assert!(!manifest.contains("[[bin]]"), "{id}: the binary has the crate's name");
        assert!(folder.join("src/main.rs").is_file(), "{id}");
    }
}

#[test]
fn each_control_is_deployed_once_and_nothing_else_is() {
    let functions = deployed();
    let dirs: Vec<_> = functions.iter().map(|function| function.code_dir.clone()).collect();
    assert_eq!(dirs, ids().into_iter().collect::<Vec<_>>());
    for function in functions {
        assert_eq!(function.logical_id, pascal_case(&function.code_dir));
        let template = template();
        let resource = &template["Resources"][&function.logical_id];
        assert_eq!(resource["Properties"]["CodeUri"], format!("functions/{}/", function.code_dir));
        assert_eq!(resource["Metadata"]["BuildMethod"], "rust-cargolambda");
        // A role of its own, by which the function also knows its own calls.
        let role = format!("{}Role", function.logical_id);
        assert_eq!(resource["Properties"]["Role"], serde_json::json!({"Fn::GetAtt": [role, "Arn"]}));
        assert_eq!(function.environment["SUTURE_ROLE_ARN"], function.role_arn);
        assert_eq!(function.environment["SUTURE_MODE"], "plan", "nothing is changed on the first day");
    }
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
            };
            assert_eq!(json[&field], value, "{id}: {field}");
        }
    }
}

#[test]
fn the_role_may_do_what_the_control_declares_and_no_more() {
    for about in controls() {
        let (id, template) = (&about.id, template());
        let role = &template["Resources"][format!("{}Role", pascal_case(id))]["Properties"];
        assert!(role.get("ManagedPolicyArns").is_none(), "{id}");
        let (control, undo) = actions(&about);
        let mut declared = vec![("control", control), ("undo", undo), ("runtime", RUNTIME.map(str::to_owned).to_vec())];
        declared.retain(|(_, actions)| !actions.is_empty());
        let policies = role["Policies"].as_array().unwrap();
        assert_eq!(policies.len(), declared.len(), "{id}");
        for (policy, (name, actions)) in policies.iter().zip(declared) {
            assert_eq!(policy["PolicyName"], name, "{id}");
            let mut allowed = BTreeSet::new();
            for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
                assert_eq!(statement["Effect"], "Allow", "{id}");
                for action in texts(&statement["Action"]) {
                    assert!(!action.contains('*'), "{id}: {action}");
                    assert!(allowed.insert(action.clone()), "{id}: {action} is there twice");
                }
            }
            assert_eq!(allowed, actions.into_iter().collect(), "{id}: {name}");
        }
    }
}

fn bus(id: &str) -> Bus {
    let rules = spec(id).rules.into_iter().map(|rule| (rule.name, id.to_owned(), rule.pattern));
    Bus::new(rules).unwrap()
}

/// What the beginning of an event's file name says of it: whether a rule delivers it (if it says so), and whether the
/// function then looks at anything. CONTRIBUTING.md tells these beginnings.
fn expected(file: &str) -> (Option<bool>, bool) {
    match file.split('-').next().unwrap() {
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
    for About { id, watches, .. } in controls() {
        let bus = bus(&id);
        let mut matched = BTreeSet::new();
        for file in names(&workspace().join("events").join(&id)) {
            let name = file.strip_suffix(".json").unwrap();
            let event = event(&id, name);
            let delivered = !bus.matching(&event).is_empty();
            let mut looked = false;
            shared(async |lab| {
                let report = invoke(lab, &id, &event).await;
                let answer = report.json();
                if name.starts_with("queue-") {
                    assert_eq!(answer, serde_json::json!({"batchItemFailures": []}), "{id}/{file}: {:#?}", report.log);
                    looked = !report.calls.is_empty();
                    return;
                }
                let records =
                    answer["records"].as_array().unwrap_or_else(|| panic!("{id}/{file}: {answer} {:#?}", report.log));
                looked = !records.is_empty() || answer.get("sweeps").is_some();
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
            let (ought, looks) = expected(name);
            assert_eq!((delivered, looked), (ought.unwrap_or(delivered), looks), "{id}/{file}");
            if delivered && event["detail-type"] == "AWS API Call via CloudTrail" {
                matched.insert(event["detail"]["eventName"].as_str().unwrap().to_owned());
            }
        }
        let watched: BTreeSet<_> = watches.into_iter().flat_map(|watch| watch.events).collect();
        assert_eq!(matched, watched, "events/{id} needs one event for each call that the control watches");
    }
}

#[test]
fn every_watched_call_is_delivered_unless_it_failed_or_was_ours() {
    for about in controls() {
        let (bus, role) = (bus(&about.id), spec(&about.id).role_arn);
        let delivered = |event: &Value| !bus.matching(event).is_empty();
        for watch in about.watches {
            for name in watch.events {
                let call = |identity: Value| {
                    serde_json::json!({
                        "source": watch.source,
                        "detail-type": "AWS API Call via CloudTrail",
                        "detail": {"eventSource": watch.event_source, "eventName": name, "userIdentity": identity},
                    })
                };
                let session = |role: &str| serde_json::json!({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": role}}});
                assert!(delivered(&call(serde_json::json!({"type": "IAMUser"}))), "{name} by a user");
                assert!(delivered(&call(serde_json::json!({"type": "Root"}))), "{name} by root");
                assert!(delivered(&call(session("arn:aws:iam::111122223333:role/deploy"))), "{name} by a role");
                assert!(!delivered(&call(session(&role))), "{name} by ourselves");
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
