//! The template, the code and the events say the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::bus::Bus;
use lab::template::{FunctionSpec, Template, World, yaml};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use system_tests::{About, Watch, controls, event, folders, invoke, shared, workspace};

/// The names of a folder's entries.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn ids() -> BTreeSet<String> {
    folders().into_iter().collect()
}

fn deployed() -> Vec<FunctionSpec> {
    Template::read(&workspace().join("template.yaml"), &World::default()).unwrap().functions
}

fn spec(id: &str) -> FunctionSpec {
    deployed().into_iter().find(|spec| spec.code_dir == id).unwrap()
}

/// The template in long form, nothing resolved.
fn template() -> Value {
    yaml::parse(&std::fs::read_to_string(workspace().join("template.yaml")).unwrap()).unwrap()
}

/// `s3-public-bucket` as the template calls it: `S3PublicBucket`.
fn pascal_case(id: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    id.split('-').map(capital).collect()
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
fn the_role_may_do_what_the_control_declares_and_no_more() {
    for About { id, observes_with, fixes_with, undoes_with, .. } in controls() {
        let template = template();
        let role = &template["Resources"][format!("{}Role", pascal_case(&id))]["Properties"];
        assert!(role.get("ManagedPolicyArns").is_none(), "{id}");
        let policies = role["Policies"].as_array().unwrap();
        let named: Vec<_> = policies.iter().map(|policy| policy["PolicyName"].as_str().unwrap()).collect();
        assert_eq!(named, ["control", "runtime"], "{id}");
        let statements = |policy: &Value| policy["PolicyDocument"]["Statement"].as_array().unwrap().clone();
        let mut allowed = BTreeSet::new();
        for statement in statements(&policies[0]) {
            assert_eq!(statement["Effect"], "Allow", "{id}");
            for action in texts(&statement["Action"]) {
                assert!(allowed.insert(action.clone()), "{id}: {action} is there twice");
            }
        }
        // An undo runs in the same role; where it needs more than a fix, it needs a role of its own.
        let declared: BTreeSet<_> = observes_with.into_iter().chain(fixes_with).collect();
        assert_eq!(allowed, declared, "{id}");
        assert!(undoes_with.iter().all(|action| declared.contains(action)), "{id}");
        let runtime: Vec<_> = statements(&policies[1]).iter().flat_map(|s| texts(&s["Action"])).collect();
        assert_eq!(runtime, ["logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"], "{id}");
    }
}

#[test]
fn the_rules_ask_for_what_the_control_watches() {
    for about in controls() {
        let rules = spec(&about.id).rules;
        assert_eq!(rules.len(), about.watches.len(), "{}", about.id);
        for (rule, Watch { source, event_source, events }) in rules.iter().zip(&about.watches) {
            let pattern = &rule.pattern;
            assert_eq!(texts(&pattern["source"]), [source.as_str()], "{}", about.id);
            assert_eq!(texts(&pattern["detail"]["eventSource"]), [event_source.as_str()], "{}", about.id);
            let asked: BTreeSet<_> = texts(&pattern["detail"]["eventName"]).into_iter().collect();
            let watched: BTreeSet<_> = events.iter().cloned().collect();
            assert_eq!((asked.len(), &asked), (events.len(), &watched), "{}: each once", about.id);
        }
    }
}

#[test]
fn the_rule_takes_an_event_exactly_if_the_control_has_something_to_look_at() {
    for About { id, watches, .. } in controls() {
        let spec = spec(&id);
        let rules = spec.rules.iter().map(|rule| (rule.name.clone(), id.clone(), rule.pattern.clone()));
        let bus = Bus::new(rules).unwrap();
        let mut matched = BTreeSet::new();
        for file in names(&workspace().join("events").join(&id)) {
            let name = file.strip_suffix(".json").unwrap();
            let event = event(&id, name);
            let delivered = !bus.matching(&event).is_empty();
            let mut read = false;
            shared(async |lab| {
                let answer = invoke(lab, &id, &event).await.json();
                let records = answer["records"].as_array().unwrap();
                read = !records.is_empty();
                for record in records {
                    let outcome = record["outcome"].as_str().unwrap();
                    assert!(!["failed", "unverified"].contains(&outcome), "{id}/{file}: {record}");
                }
                assert_ne!(read, answer.get("unread").is_some(), "{id}/{file}: {answer}");
            });
            // A manual request comes by Invoke alone. What makes no sense inside a call that is watched reaches the
            // function, which says so.
            // CONTRIBUTING.md tells these beginnings.
            let expected = match name.split('-').next().unwrap() {
                "manual" => (false, true),
                "denied" | "own" => (false, false),
                "hostile" | "unrendered" => (true, false),
                _ => (true, true),
            };
            assert_eq!((delivered, read), expected, "{id}/{file}");
            if delivered {
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
        let spec = spec(&about.id);
        let rules = spec.rules.iter().map(|rule| (rule.name.clone(), about.id.clone(), rule.pattern.clone()));
        let bus = Bus::new(rules).unwrap();
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
                assert!(!delivered(&call(session(&spec.role_arn))), "{name} by ourselves");
                let mut denied = call(serde_json::json!({"type": "IAMUser"}));
                denied["detail"]["errorCode"] = "AccessDenied".into();
                assert!(!delivered(&denied), "{name} that was denied");
            }
        }
    }
}
