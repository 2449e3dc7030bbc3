//! Metrics by way of the log: lines in CloudWatch's embedded metric format, of which CloudWatch makes metrics by itself, so
//! that nobody has to be called.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Every set of dimension values is a metric of its own, and is paid for by the month. So nothing but controls and outcomes
//! is a dimension, never a resource or an account, and each metric has only the sets that somebody asks for:
//!
//! | metric | unit | dimensions | what it is |
//! |---|---|---|---|
//! | `Outcomes` | count | control and outcome; outcome | how requests ended |
//! | `Writes` | count | control | writes that were made, or may have been |
//! | `TookMs` | milliseconds | control | from the request to its record |
//! | `TimeToFixMs` | milliseconds | control | from the event that brought the drift to the fix, read back and seen |
//! | `BudgetReached` | count | control; none | refused or only planned, since the budget was spent |
//! | `KillSwitch` | count | control; none | refused, since everything is stopped |
//! | `Sweeps` | count | control; none | scheduled sweeps, of one account and region each, that saw all there was to look at |
//!
//! `BudgetReached` and `KillSwitch` are there only where they happened: an alarm on them treats missing data as not breaching.
//! CloudWatch may count a line twice, and does so rarely.

use crate::record::{Outcome, Record};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Suture";
/// The gate's name in `refused_by` where the budget was spent.
pub const BUDGET: &str = "budget";
/// The gate's name in `refused_by` where everything is stopped.
pub const KILL_SWITCH: &str = "kill-switch";

/// A set of dimensions, by their names.
type Dimensions = &'static [&'static str];

const CONTROL: &[Dimensions] = &[&["control"]];
const CONTROL_AND_OUTCOME: &[Dimensions] = &[&["control", "outcome"], &["outcome"]];
const CONTROL_AND_ALL: &[Dimensions] = &[&["control"], &[]];

/// One metric of a line.
struct Metric {
    name: &'static str,
    unit: &'static str,
    dimensions: &'static [Dimensions],
    value: u64,
}

/// The line for a record that came to its end; `now` is the time of day then. One JSON object without a line break, to be
/// written to standard output as it is, with nothing before or after it.
pub fn line(record: &Record, now: OffsetDateTime) -> String {
    let count = |name, dimensions, value| Metric { name, unit: "Count", dimensions, value };
    let span = |name, value| Metric { name, unit: "Milliseconds", dimensions: CONTROL, value };
    let mut metrics = vec![count("Outcomes", CONTROL_AND_OUTCOME, 1), span("TookMs", record.took_ms)];
    let writes = writes(record);
    if writes > 0 {
        metrics.push(count("Writes", CONTROL, writes));
    }
    metrics.extend(time_to_fix(record, now).map(|value| span("TimeToFixMs", value)));
    for (gate, name) in [(BUDGET, "BudgetReached"), (KILL_SWITCH, "KillSwitch")] {
        if record.refused_by.as_deref() == Some(gate) {
            metrics.push(count(name, CONTROL_AND_ALL, 1));
        }
    }
    // Not a dimension: it is what leads from a point of a graph to the record.
    let more = [("record_id", json!(record.id))];
    emf(record.control, Some(record.outcome), &metrics, more, now)
}

/// The line for many requests of a sweep that ended alike: what is compliant is counted, and not logged one by one.
pub fn counted(control: &str, outcome: Outcome, requests: u64, now: OffsetDateTime) -> String {
    let metric = Metric { name: "Outcomes", unit: "Count", dimensions: CONTROL_AND_OUTCOME, value: requests };
    emf(control, Some(outcome), &[metric], [], now)
}

/// The line for a scheduled sweep that saw all there was to look at.
pub fn swept(control: &str, now: OffsetDateTime) -> String {
    let metric = Metric { name: "Sweeps", unit: "Count", dimensions: CONTROL_AND_ALL, value: 1 };
    emf(control, None, &[metric], [], now)
}

/// How many writes were made, or may have been.
fn writes(record: &Record) -> u64 {
    let made = match record.outcome {
        Outcome::Fixed | Outcome::Undone | Outcome::Unverified => record.changes.len(),
        Outcome::PartlyFixed => record.changes.len().saturating_sub(record.remaining.len()),
        _ => 0,
    };
    u64::try_from(made).unwrap_or(u64::MAX)
}

/// Milliseconds from the event that brought the drift to now; none for what is not fixed, and where no event told when.
fn time_to_fix(record: &Record, now: OffsetDateTime) -> Option<u64> {
    let at = record.cause.as_ref()?.at.filter(|_| record.outcome == Outcome::Fixed)?;
    // AWS's clock and ours differ by milliseconds; a fix is never before its event.
    Some(u64::try_from((now - at).whole_milliseconds()).unwrap_or(0))
}

fn emf<const N: usize>(
    control: &str,
    outcome: Option<Outcome>,
    metrics: &[Metric],
    more: [(&str, Value); N],
    now: OffsetDateTime,
) -> String {
    let directive = |metric: &Metric| {
        json!({
            "Namespace": NAMESPACE,
            "Dimensions": metric.dimensions,
            "Metrics": [{"Name": metric.name, "Unit": metric.unit}],
        })
    };
    let directives: Vec<Value> = metrics.iter().map(directive).collect();
    let milliseconds = now.unix_timestamp_nanos() / 1_000_000;
    let mut root = Map::new();
    root.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": i64::try_from(milliseconds).unwrap_or_default(),
            "CloudWatchMetrics": directives,
        }),
    );
    root.insert("control".to_owned(), json!(control));
    root.extend(outcome.map(|outcome| ("outcome".to_owned(), json!(outcome.name()))));
    root.extend(metrics.iter().map(|metric| (metric.name.to_owned(), json!(metric.value))));
    root.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(root).to_string()
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
