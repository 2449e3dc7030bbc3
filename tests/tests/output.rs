//! What docs/output.md says of the JSON of commands, held against what the real binary prints.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

use lab::Lab;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use system_tests::s3::{FUNCTION, open_bucket};
use system_tests::{HOME, PATIENCE, alone, fresh, suture, workspace};
use tokio::process::Command;
use tokio::time::timeout;

/// The examples of the page, by the command in the heading above each.
fn documented() -> BTreeMap<String, Vec<Value>> {
    let page = std::fs::read_to_string(workspace().join("docs/output.md")).unwrap();
    let (mut by_command, mut command, mut block) = (BTreeMap::<String, Vec<Value>>::new(), String::new(), None);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            heading.trim_matches('`').clone_into(&mut command);
        } else if line == "```json" {
            block = Some(String::new());
        } else if line == "```" {
            let example: String = block.take().unwrap();
            let example = serde_json::from_str(&example).unwrap_or_else(|why| panic!("{command}: {why}"));
            by_command.entry(command.clone()).or_default().push(example);
        } else if let Some(block) = &mut block {
            block.push_str(line);
        }
    }
    by_command
}

/// Holds what was printed against an example: the same fields of the same kinds. An object with a field `…` may have more; one
/// with a field in capitals has fields of any name, all like that one.
fn fits(example: &Value, printed: &Value, place: &str) {
    match (example, printed) {
        (Value::Object(example), Value::Object(printed)) => {
            if let Some((_, like)) = example.iter().find(|(name, _)| name.chars().all(|it| it.is_ascii_uppercase())) {
                assert!(!printed.is_empty(), "{place}: nothing shows what is in it");
                printed.iter().for_each(|(name, value)| fits(like, value, &format!("{place}/{name}")));
                return;
            }
            for (name, like) in example.iter().filter(|(name, _)| *name != "…") {
                let value = printed.get(name).unwrap_or_else(|| panic!("{place}/{name} is not printed: {printed:?}"));
                fits(like, value, &format!("{place}/{name}"));
            }
            if !example.contains_key("…") {
                let more: Vec<&String> = printed.keys().filter(|name| !example.contains_key(*name)).collect();
                assert!(more.is_empty(), "{place}: the page does not have {more:?}");
            }
            if let (Some(example), Some(printed)) = (example.get("schema"), printed.get("schema")) {
                assert_eq!(example, printed, "{place}");
            }
        }
        (Value::Array(examples), Value::Array(printed)) => {
            if let Some(like) = examples.first() {
                printed.iter().enumerate().for_each(|(number, value)| fits(like, value, &format!("{place}/{number}")));
            }
        }
        (_, Value::Null) | (Value::Null, _) => {}
        (example, printed) => assert_eq!(
            std::mem::discriminant(example),
            std::mem::discriminant(printed),
            "{place}: {printed} is no {example}"
        ),
    }
}

#[test]
fn an_example_with_a_field_too_many_or_too_few_does_not_fit() {
    let caught = |example: Value, printed: Value| std::panic::catch_unwind(|| fits(&example, &printed, "")).is_err();
    assert!(!caught(json!({"a": 1, "b": [{"c": "x"}]}), json!({"a": 2, "b": [{"c": "y"}, {"c": null}]})));
    assert!(!caught(json!({"a": 1, "…": "…"}), json!({"a": 2, "b": 3})));
    assert!(!caught(json!({"CONTROL": {"writes": 1}}), json!({"s3-public-bucket": {"writes": 2}})));
    assert!(caught(json!({"a": 1}), json!({"a": 1, "b": 2})), "the page lacks one");
    assert!(caught(json!({"a": 1, "b": 2}), json!({"a": 1})), "the page has one too many");
    assert!(caught(json!({"a": 1}), json!({"a": "1"})));
    assert!(caught(json!({"b": [{"c": 1}]}), json!({"b": [{"c": 1}, {"d": 1}]})));
    assert!(caught(json!({"schema": "suture.scan/1"}), json!({"schema": "suture.scan/2"})));
}

/// Somebody with a home of their own.
struct Operator<'a> {
    home: PathBuf,
    lab: &'a Lab,
}

impl Operator<'_> {
    /// What a command printed, line by line.
    async fn says(&self, arguments: &[&str]) -> Vec<Value> {
        let mut command = Command::new(suture().await);
        command.args(arguments).env_clear().env("HOME", &self.home).current_dir(workspace()).stdin(Stdio::null());
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", self.lab.endpoint());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env("AWS_REGION", HOME);
        let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let whole = serde_json::from_str(&text).map(|value| vec![value]);
        let lines =
            || text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{arguments:?}: {text}")));
        let said: Vec<Value> = whole.unwrap_or_else(|_| lines().collect());
        assert!(!said.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

#[test]
fn what_the_page_shows_is_what_commands_print() {
    alone(async |lab| {
        let operator = Operator { home: std::env::temp_dir().join(fresh("suture-output")), lab };
        std::fs::create_dir_all(&operator.home).unwrap();
        let mut documented = documented();
        let check = |heading: &str, number: usize, printed: &Value| {
            let examples = documented.get(heading).unwrap_or_else(|| panic!("the page has no {heading}"));
            fits(&examples[number], printed, heading);
        };
        let (open, other) = (open_bucket(lab, "output").await, open_bucket(lab, "output").await);
        let scan = ["scan", "--control", FUNCTION, "--json"];
        let one = operator.says(&scan).await;
        assert!(one.len() > 1, "records, and the summary");
        check("suture scan --json", 0, one.last().unwrap());
        let accounts = ["--account", "111122223333", "--account", "444455556666", "--role", "nobody"];
        let several = operator.says(&[&scan[..], &accounts].concat()).await;
        check("suture scan --json", 1, several.last().unwrap());
        let ours =
            several.iter().find(|it| it["account"] == "111122223333" && it["schema"] == "suture.scan/1").unwrap();
        check("suture scan --json", 0, ours);

        let plan = operator.says(&["plan", FUNCTION, &open, "--json"]).await;
        check("suture plan s3-public-bucket clinic-scans --json", 0, &plan[0]);
        check("suture controls --json", 0, &operator.says(&["controls", "--json"]).await[0]);
        let page = operator.says(&["explain", FUNCTION, "--json"]).await;
        check("suture explain s3-public-bucket --json", 0, &page[0]);
        check("suture permissions --scan", 0, &operator.says(&["permissions", "--scan"]).await[0]);
        let event = "events/s3-public-bucket/put-bucket-policy.json";
        let explained = operator.says(&["explain-event", event, "--json"]).await;
        check(&format!("suture explain-event {event} --json"), 0, &explained[0]);

        operator.says(&["mode", "all", "plan", "--json"]).await;
        operator.says(&["mode", FUNCTION, "enforce", "--json"]).await;
        let exempt = ["exempt", "--resource", &other, "--owner=a@clinic.example", "--reason=CHG-1", "--until=30d"];
        let made = operator.says(&[&exempt[..], &["--control", FUNCTION, "--json"]].concat()).await;
        check("suture exemptions --json", 1, &made[0]);
        let fixed = operator.says(&["fix", FUNCTION, &open, "--yes", "--reason=INC-1", "--json"]).await;
        check("suture plan s3-public-bucket clinic-scans --json", 0, &fixed[0]);
        let stopped = operator.says(&["stop", "--reason=INC-1", "--json"]).await;
        check("suture mode --json", 0, &stopped[0]);
        check("suture mode --json", 0, &operator.says(&["mode", "--json"]).await[0]);
        check("suture mode --json", 0, &operator.says(&["tags-exempt", "--json"]).await[0]);
        check("suture exemptions --json", 0, &operator.says(&["exemptions", "--json"]).await[0]);
        check("suture status --json", 0, &operator.says(&["status", "--json"]).await[0]);
        check("suture mode --json", 0, &operator.says(&["resume", "--json"]).await[0]);
        let id = made[0]["exemption"]["id"].as_str().unwrap();
        check("suture exemptions --json", 1, &operator.says(&["unexempt", id, "--json"]).await[0]);

        let history = operator.says(&["history", &open, "--json"]).await;
        assert!(!history[0]["records"].as_array().unwrap().is_empty());
        check("suture history clinic-scans --json", 0, &history[0]);
        check("suture verify-evidence --json", 0, &operator.says(&["verify-evidence", "--json"]).await[0]);
        check("suture version --json", 0, &operator.says(&["version", "--json"]).await[0]);
        for heading in [
            "suture scan --json",
            "suture plan s3-public-bucket clinic-scans --json",
            "suture controls --json",
            "suture explain s3-public-bucket --json",
            "suture permissions --scan",
            "suture mode --json",
            "suture exemptions --json",
            "suture status --json",
            "suture history clinic-scans --json",
            "suture verify-evidence --json",
            "suture version --json",
            &format!("suture explain-event {event} --json"),
        ] {
            documented.remove(heading);
        }
        assert!(documented.is_empty(), "not tried: {documented:?}");

        // What other tools are told, by the binary itself.
        let findings = operator.says(&["scan", "--control", FUNCTION, "--asff"]).await;
        let findings = findings[0].as_array().unwrap();
        assert!(findings.iter().all(|it| it["SchemaVersion"] == "2018-10-08") && !findings.is_empty());
        let events = operator.says(&["scan", "--control", FUNCTION, "--ocsf"]).await;
        assert_eq!(events.len(), findings.len());
        assert!(events.iter().all(|it| it["class_uid"] == 2003));
    });
}
