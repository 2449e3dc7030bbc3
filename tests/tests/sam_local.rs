//! `sam local` finds what it needs: sam-local.json, the template, the events and tests/sam-local say the same.
//!
//! `sam local` reads parameters, and no more: a reference to a resource it gives as the resource's logical id, the account
//! as 123456789012, the stack as `local`. Whatever is made of those has to be told, for every function as the lab deploys it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::template::{FunctionSpec, Template, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use system_tests::workspace;

/// The address of Docker's bridge, unless somebody has set another: <https://docs.docker.com/engine/network/drivers/bridge/>
const BRIDGE: &str = "172.17.0.1";

/// What leads a function to the lab. The template has both, for AWS.
const LEADS: [(&str, &str); 2] =
    [("AWS_ENDPOINT_URL", "http://172.17.0.1:4566"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")];

type Variables = BTreeMap<String, String>;

/// sam-local.json: what every function gets that declares it, and what one function gets.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-invoke.html>
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    #[serde(rename = "Parameters")]
    all: Variables,
    #[serde(flatten)]
    each: BTreeMap<String, Variables>,
}

fn file() -> PathBuf {
    workspace().join("sam-local.json")
}

/// The functions as they would be deployed in a world.
fn functions(world: &World) -> Vec<FunctionSpec> {
    Template::read(&workspace().join("template.yaml"), world).unwrap().functions
}

/// What `sam local` has to be told of these functions, of which `elsewhere` are the same in a world where nothing is named
/// as it is here: a variable that differs there is made of more than parameters.
fn needed(here: &[FunctionSpec], elsewhere: &[FunctionSpec]) -> Told {
    let mut told = Told::default();
    let names: BTreeSet<_> = here.iter().flat_map(|function| function.environment.keys()).collect();
    for name in names {
        let differs = |(here, elsewhere): (&FunctionSpec, &FunctionSpec)| {
            assert_eq!(here.logical_id, elsewhere.logical_id);
            let value = here.environment.get(name)?;
            (elsewhere.environment.get(name) != Some(value)).then(|| (here.logical_id.clone(), value.clone()))
        };
        let differing: BTreeMap<_, _> = here.iter().zip(elsewhere).filter_map(differs).collect();
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        for value in differing.values() {
            *counts.entry(value).or_default() += 1;
        }
        let common = counts.into_iter().filter(|(_, count)| *count > 1).max_by_key(|(_, count)| *count);
        let common = common.map(|(value, _)| value.clone());
        if let Some(value) = &common {
            told.all.insert(name.clone(), value.clone());
        }
        for function in here {
            let id = &function.logical_id;
            if let Some(value) = function.environment.get(name)
                && common.as_ref() != Some(value)
                && (common.is_some() || differing.contains_key(id))
            {
                told.each.entry(id.clone()).or_default().insert(name.clone(), value.clone());
            }
        }
    }
    told
}

fn elsewhere() -> World {
    World {
        account: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        partition: "aws-us-gov".to_owned(),
        stack: "local".to_owned(),
        parameters: BTreeMap::new(),
    }
}

#[test]
fn sam_local_is_told_what_it_cannot_read_in_the_template() {
    let mut ought = needed(&functions(&World::default()), &functions(&elsewhere()));
    ought.all.extend(LEADS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file(), serde_json::to_string_pretty(&ought).unwrap() + "\n").unwrap();
    }
    let is: Told = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    assert_eq!(is, ought, "sam-local.json; run BLESS=1 cargo test -p system-tests --test sam_local");
}

/// "Only variables that the template declares reach the container" (docs of `--env-vars`): a name that none declares would be
/// dropped without a word.
#[test]
fn sam_local_is_told_nothing_that_the_template_does_not_declare() {
    let functions = functions(&World::default());
    let told: Told = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    for name in told.all.keys() {
        assert!(functions.iter().any(|function| function.environment.contains_key(name)), "{name}");
    }
    for (name, _) in LEADS {
        assert!(functions.iter().all(|function| function.environment.contains_key(name)), "{name}");
    }
    for (id, variables) in told.each {
        let function = functions.iter().find(|function| function.logical_id == id);
        let declared = &function.unwrap_or_else(|| panic!("no function {id}")).environment;
        for name in variables.keys() {
            assert!(declared.contains_key(name), "{id} does not declare {name}");
        }
    }
}

#[test]
fn what_differs_between_worlds_is_told_once_if_it_is_the_same_for_most() {
    let function = |id: &str, variables: &[(&str, &str)]| {
        let mut spec = functions(&World::default()).swap_remove(0);
        id.clone_into(&mut spec.logical_id);
        spec.environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        spec
    };
    let here = [
        function("A", &[("LEDGER", "suture-l"), ("ROLE", "suture-a"), ("UNDO", "suture-undo"), ("MODE", "plan")]),
        function("B", &[("LEDGER", "suture-l"), ("ROLE", "suture-b"), ("UNDO", "suture-undo")]),
        function("C", &[("LEDGER", "suture-l"), ("UNDO", "")]),
    ];
    let there = [
        function("A", &[("LEDGER", "local-l"), ("ROLE", "local-a"), ("UNDO", "local-undo"), ("MODE", "plan")]),
        function("B", &[("LEDGER", "local-l"), ("ROLE", "local-b"), ("UNDO", "local-undo")]),
        function("C", &[("LEDGER", "local-l"), ("UNDO", "")]),
    ];
    let ought = serde_json::json!({
        "Parameters": {"LEDGER": "suture-l", "UNDO": "suture-undo"},
        "A": {"ROLE": "suture-a"},
        "B": {"ROLE": "suture-b"},
        "C": {"UNDO": ""},
    });
    assert_eq!(serde_json::to_value(needed(&here, &there)).unwrap(), ought);
}

#[test]
fn every_function_has_events_that_sam_local_takes() {
    for function in functions(&World::default()) {
        let folder = workspace().join("events").join(&function.code_dir);
        let events = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for event in events {
            let path = event.unwrap().path();
            let event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert!(event.is_object(), "{}", path.display());
            count += 1;
        }
        assert!(count > 0, "{}", folder.display());
    }
}

/// The lines of tests/sam-local that say which function is sent which event: four words, of which the first is a function's
/// logical id and the second an event without its folder.
fn tried() -> Vec<(String, String)> {
    let script = std::fs::read_to_string(workspace().join("tests/sam-local")).unwrap();
    let (_, rest) = script.split_once("<<'CASES'\n").unwrap();
    let (cases, _) = rest.split_once("\nCASES\n").unwrap();
    let lines = cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.map(|words| (words[0].to_owned(), words[1].to_owned())).collect()
}

#[test]
fn every_function_is_tried_with_real_docker() {
    let functions = functions(&World::default());
    let tried = tried();
    for function in &functions {
        assert!(
            tried.iter().any(|(id, _)| *id == function.logical_id),
            "tests/sam-local lacks {}",
            function.logical_id
        );
    }
    for (id, event) in tried {
        let function = functions.iter().find(|function| function.logical_id == id);
        let folder = &function.unwrap_or_else(|| panic!("tests/sam-local: no function {id}")).code_dir;
        let path = workspace().join("events").join(folder).join(format!("{event}.json"));
        assert!(path.is_file(), "tests/sam-local: {}", path.display());
    }
}

/// What a reader is told to type is what sam-local.json holds.
#[test]
fn the_readmes_address_is_that_of_sam_local_json() {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    assert!(readme.contains(&format!("suture -- lab --also-at {BRIDGE}")));
    assert!(readme.contains("--env-vars sam-local.json"));
    assert!(LEADS.iter().any(|(_, value)| value.contains(BRIDGE)));
}
