use super::*;
use crate::event::Cause;
use crate::settings::Mode;
use crate::toy::{Doors, request};
use time::Duration;

fn record(outcome: Outcome) -> Record {
    let mut record = Record::open::<Doors>(&request(), "r-1".to_owned(), Mode::Enforce, OffsetDateTime::UNIX_EPOCH);
    record.outcome = outcome;
    record.took_ms = 31;
    record.cause = None;
    record
}

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_768_473_931_235)
}

/// The line, held against the format's own schema.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn valid(line: &str) -> Value {
    assert!(!line.contains('\n') && line.len() < 256 * 1024, "{line}");
    let root: Value = serde_json::from_str(line).unwrap();
    let aws = root["_aws"].as_object().unwrap();
    assert_eq!(aws.keys().collect::<Vec<_>>(), ["CloudWatchMetrics", "Timestamp"]);
    assert!(aws["Timestamp"].is_i64(), "{line}");
    let directives = aws["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        let members: Vec<&String> = directive.as_object().unwrap().keys().collect();
        assert_eq!(members, ["Dimensions", "Metrics", "Namespace"], "no member besides");
        assert!((1..=255).contains(&directive["Namespace"].as_str().unwrap().len()));
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty());
        for set in sets {
            let set = set.as_array().unwrap();
            assert!(set.len() <= 30);
            assert!(set.iter().all(|name| root[name.as_str().unwrap()].is_string()), "a dimension is a text: {line}");
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert!(root[metric["Name"].as_str().unwrap()].is_number(), "a metric is a number: {line}");
            assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()));
        }
    }
    root
}

fn told(record: &Record) -> Value {
    valid(&line(record, now()))
}

#[test]
fn every_record_is_an_outcome_and_nothing_of_the_resource_is_a_dimension() {
    for outcome in [Outcome::Compliant, Outcome::Fixed, Outcome::Refused, Outcome::Failed, Outcome::Gone] {
        let record = record(outcome);
        let told = told(&record);
        assert_eq!(told["Outcomes"], 1);
        assert_eq!(told["TookMs"], 31);
        assert_eq!((&told["control"], &told["outcome"]), (&json!(record.control), &json!(outcome.name())));
        assert_eq!(told["record_id"], "r-1");
        assert_eq!(told["_aws"]["Timestamp"], 1_768_473_931_235_i64);
        let text = told.to_string();
        for private in [&record.resource.id, &record.resource.account] {
            assert!(!text.contains(&format!("\"{private}\"")), "{text}");
        }
    }
}

#[test]
fn writes_are_those_that_were_made() {
    for (outcome, changes, remaining, writes) in [
        (Outcome::Compliant, 0, 0, Value::Null),
        (Outcome::Planned, 3, 0, Value::Null),
        (Outcome::Refused, 3, 0, Value::Null),
        (Outcome::Failed, 3, 3, Value::Null),
        (Outcome::Fixed, 3, 0, json!(3)),
        (Outcome::Undone, 1, 0, json!(1)),
        (Outcome::Undone, 0, 0, Value::Null),
        (Outcome::PartlyFixed, 3, 2, json!(1)),
        (Outcome::PartlyFixed, 1, 2, Value::Null),
        (Outcome::Unverified, 2, 0, json!(2)),
    ] {
        let mut record = record(outcome);
        record.changes = vec![json!({}); changes];
        record.remaining = vec![json!({}); remaining];
        assert_eq!(told(&record)["Writes"], writes, "{} {changes} {remaining}", outcome.name());
    }
}

#[test]
fn the_time_to_a_fix_is_from_the_event_to_now() {
    for (outcome, before, expected) in [
        (Outcome::Fixed, Some(8_235), json!(8_235)),
        (Outcome::Fixed, Some(-40), json!(0)),
        (Outcome::Fixed, None, Value::Null),
        (Outcome::Undone, Some(8_235), Value::Null),
        (Outcome::PartlyFixed, Some(8_235), Value::Null),
        (Outcome::Compliant, Some(8_235), Value::Null),
    ] {
        let mut record = record(outcome);
        record.cause =
            Some(Cause { at: before.map(|before| now() - Duration::milliseconds(before)), ..Cause::default() });
        assert_eq!(told(&record)["TimeToFixMs"], expected, "{} {before:?}", outcome.name());
    }
}

#[test]
fn a_spent_budget_and_the_kill_switch_can_be_alarmed_on_for_all_controls_at_once() {
    for (gate, budget, stopped) in [
        (Some("budget"), json!(1), Value::Null),
        (Some("kill-switch"), Value::Null, json!(1)),
        (Some("mode"), Value::Null, Value::Null),
        (None, Value::Null, Value::Null),
    ] {
        let mut record = record(Outcome::Refused);
        record.refused_by = gate.map(str::to_owned);
        let told = told(&record);
        assert_eq!((&told["BudgetReached"], &told["KillSwitch"]), (&budget, &stopped), "{gate:?}");
        if budget == 1 {
            let directives = told["_aws"]["CloudWatchMetrics"].as_array().unwrap();
            let of_it = directives.iter().find(|one| one["Metrics"][0]["Name"] == "BudgetReached").unwrap();
            assert_eq!(of_it["Dimensions"], json!([["control"], []]));
        }
    }
}

#[test]
fn a_sweep_counts_what_is_alike() {
    let told = valid(&counted("s3-public-bucket", Outcome::Compliant, 9_000, now()));
    assert_eq!((&told["Outcomes"], &told["outcome"]), (&json!(9_000), &json!("compliant")));
    assert_eq!(told["TookMs"], Value::Null);
}
