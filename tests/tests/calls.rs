//! What each control costs in AWS calls, measured, and held against `docs/calls.md`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may fail as tests do"
)]

use lab::Lab;
use lab::gateway::Happened;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;
use system_tests::actions::of_the_engine;
use system_tests::scenarios::{Drift, Scenario, all};
use system_tests::{alone, controls, faults, folders, invoke_whole, last_record, only, variant, workspace};

/// Every call takes at least so long, so that calls beside each other overlap, and calls after one another do not.
const LATENCY: &str = "*:*=latency:60";

/// The calls of a run, in order, those of the same name together: `GetBucketPolicy, PutBucketPolicy`.
fn names(calls: &[Happened]) -> String {
    let mut names: Vec<(String, usize)> = Vec::new();
    for call in calls {
        let name = &call.operation;
        match names.iter_mut().find(|(known, _)| known == name) {
            Some((_, times)) => *times += 1,
            None => names.push((name.clone(), 1)),
        }
    }
    // Calls beside each other come in any order.
    names.sort();
    let shown = |(name, times): &(String, usize)| match times {
        1 => format!("`{name}`"),
        times => format!("`{name}` ×{times}"),
    };
    names.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// How many calls had to wait for one another: the longest chain in which each began after the one before it had ended.
fn round_trips(calls: &[Happened]) -> usize {
    let mut spans: Vec<(Instant, Instant)> =
        calls.iter().map(|call| (call.began, call.began + call.duration)).collect();
    spans.sort_by_key(|(_, end)| *end);
    let (mut trips, mut until) = (0, None);
    for (began, end) in spans {
        if until.is_none_or(|until| began >= until) {
            trips += 1;
            until = Some(end);
        }
    }
    trips
}

/// What a run asks of the ledger, and how many round trips more it takes for it: `2 calls, no round trip more: ...`.
fn asked_of_the_ledger(calls: &[Happened]) -> String {
    let (ledger, own): (Vec<_>, Vec<_>) = calls.iter().cloned().partition(|call| of_the_engine(&call.name()));
    let more = round_trips(calls).saturating_sub(round_trips(&own));
    let more = match more {
        0 => "no round trip".to_owned(),
        1 => "1 round trip".to_owned(),
        more => format!("{more} round trips"),
    };
    match ledger.len() {
        0 => "none".to_owned(),
        1 => format!("1 call, {more} more: {}", names(&ledger)),
        count => format!("{count} calls, {more} more: {}", names(&ledger)),
    }
}

/// The row of a control in the table, and what each of its runs asked of the ledger.
async fn row(lab: &Lab, scenario: &Scenario) -> (String, Vec<(&'static str, String)>) {
    only(lab, scenario.control);
    let Drift { event, mended } = (scenario.drift)(lab).await;
    variant(lab, scenario.control, "planning", &[("SUTURE_MODE", "plan")]);
    faults(lab, &[LATENCY]);
    let (mut runs, mut ledger) = (Vec::new(), Vec::new());
    for (function, outcome) in [("planning", "planned"), (scenario.control, "fixed"), (scenario.control, "compliant")] {
        let mut asked = event.clone();
        // A manual request for more than the deployment's mode is refused, and no plan.
        if let Some(mode) = asked.get_mut("mode").filter(|_| outcome == "planned") {
            *mode = "plan".into();
        }
        let mut report = invoke_whole(lab, function, &asked).await;
        let record = last_record(&report);
        assert_eq!(record["outcome"], outcome, "{}: {}: {record}", scenario.control, scenario.name);
        // A plan that a person has asked for is answered, and not put down.
        let run = if outcome == "planned" && asked.get("mode").is_some() { "planned, by hand" } else { outcome };
        ledger.push((run, asked_of_the_ledger(&report.calls)));
        report.calls.retain(|call| !of_the_engine(&call.name()));
        runs.push(report.calls);
    }
    faults(lab, &[]);
    assert!(mended(lab).await);
    let [plan, fix, compliant] = &runs[..] else { panic!() };
    let mut text = format!("| [`{0}`](controls/{0}.md): {1} ", scenario.control, scenario.name);
    for calls in [compliant, plan, fix] {
        let _ = write!(text, "| {} calls, {} round trips: {} ", calls.len(), round_trips(calls), names(calls));
    }
    let text = text.replace(" 1 calls", " 1 call").replace(" 1 round trips", " 1 round trip") + "|\n";
    (text, ledger)
}

/// What a look at everything asks of the ledger for the resources that are as they ought to be.
async fn swept(lab: &Lab) -> String {
    let scenario = all().into_iter().find(|scenario| scenario.control == "s3-public-bucket").unwrap();
    only(lab, scenario.control);
    let everything = json!({"resource": "*", "mode": "enforce"});
    let report = invoke_whole(lab, scenario.control, &everything).await;
    let outcomes = &report.json()["sweeps"][0]["outcomes"];
    assert!(outcomes["compliant"].as_u64() > Some(0) && outcomes.as_object().unwrap().len() == 1, "{outcomes}");
    asked_of_the_ledger(&report.calls)
}

fn page() -> PathBuf {
    workspace().join("docs/calls.md")
}

/// The page with these rows in the table that has this line below its heading.
fn with_table(text: &str, below: &str, rows: &str) -> String {
    let below = format!("|\n{below}");
    let (head, rest) = text.split_once(&below).unwrap();
    let tail = rest.find("\n\n").map_or("\n", |at| &rest[at..]);
    format!("{head}{below}{rows}{tail}")
}

#[test]
fn what_a_control_costs_is_what_the_docs_say() {
    let (mut table, mut ledger) = (String::new(), BTreeMap::new());
    for control in folders() {
        // What mends nothing has no fix to measure.
        let Some(scenario) = all().into_iter().find(|scenario| scenario.control == control) else {
            assert!(controls().iter().any(|about| about.id == control && about.fixes_with.is_empty()), "{control}");
            continue;
        };
        // A lab for each: an account's block that was put back is in the way of the next bucket that is to be opened.
        alone(async |lab| {
            let (row, asked) = row(lab, &scenario).await;
            table.push_str(&row);
            // All controls ask the same of the ledger.
            for (run, asked) in asked {
                let known = ledger.entry(run).or_insert_with(|| asked.clone());
                assert_eq!(*known, asked, "{control}: {run}");
            }
        });
    }
    let mut sweep = String::new();
    alone(async |lab| sweep = swept(lab).await);
    ledger.insert("what is compliant, in a sweep", sweep);
    let ledger: Vec<_> = ledger.into_iter().map(|(run, asked)| format!("| {run} | {asked} |")).collect();
    let text = std::fs::read_to_string(page()).unwrap();
    let ought =
        with_table(&with_table(&text, "|---|---|---|---|\n", table.trim_end()), "|---|---|\n", &ledger.join("\n"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(page(), &ought).unwrap();
    }
    assert!(
        text == ought || std::env::var_os("BLESS").is_some(),
        "docs/calls.md is not what was measured; run BLESS=1 cargo test -p system-tests --test calls\n{ought}"
    );
}
