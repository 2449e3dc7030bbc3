//! What each control costs in AWS calls, measured, and held against `docs/calls.md`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may fail as tests do"
)]

use lab::Lab;
use lab::gateway::Happened;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;
use system_tests::scenarios::{Drift, Scenario, all};
use system_tests::{alone, controls, faults, folders, invoke, last_record, only, variant, workspace};

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

async fn row(lab: &Lab, scenario: &Scenario) -> String {
    only(lab, scenario.control);
    let Drift { event, mended } = (scenario.drift)(lab).await;
    variant(lab, scenario.control, "planning", &[("SUTURE_MODE", "plan")]);
    faults(lab, &[LATENCY]);
    let mut runs = Vec::new();
    for (function, outcome) in [("planning", "planned"), (scenario.control, "fixed"), (scenario.control, "compliant")] {
        let mut asked = event.clone();
        // A manual request for more than the deployment's mode is refused, and no plan.
        if let Some(mode) = asked.get_mut("mode").filter(|_| outcome == "planned") {
            *mode = "plan".into();
        }
        let report = invoke(lab, function, &asked).await;
        let record = last_record(&report);
        assert_eq!(record["outcome"], outcome, "{}: {}: {record}", scenario.control, scenario.name);
        runs.push(report.calls);
    }
    faults(lab, &[]);
    assert!(mended(lab).await);
    let [plan, fix, compliant] = &runs[..] else { panic!() };
    let mut text = format!("| [`{0}`](controls/{0}.md): {1} ", scenario.control, scenario.name);
    for calls in [compliant, plan, fix] {
        let _ = write!(text, "| {} calls, {} round trips: {} ", calls.len(), round_trips(calls), names(calls));
    }
    text.replace(" 1 calls", " 1 call").replace(" 1 round trips", " 1 round trip") + "|\n"
}

fn page() -> PathBuf {
    workspace().join("docs/calls.md")
}

#[test]
fn what_a_control_costs_is_what_the_docs_say() {
    let mut table = String::new();
    for control in folders() {
        // What mends nothing has no fix to measure.
        let Some(scenario) = all().into_iter().find(|scenario| scenario.control == control) else {
            assert!(controls().iter().any(|about| about.id == control && about.fixes_with.is_empty()), "{control}");
            continue;
        };
        // A lab for each: an account's block that was put back is in the way of the next bucket that is to be opened.
        alone(async |lab| table.push_str(&row(lab, &scenario).await));
    }
    let text = std::fs::read_to_string(page()).unwrap();
    let (head, rest) = text.split_once("|---|---|---|---|\n").unwrap();
    let tail = rest.find("\n\n").map_or("", |at| &rest[at..]);
    let ought = format!("{head}|---|---|---|---|\n{}{tail}", table.trim_end());
    let ought = if tail.is_empty() { format!("{ought}\n") } else { ought };
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(page(), &ought).unwrap();
    }
    assert!(
        text == ought || std::env::var_os("BLESS").is_some(),
        "docs/calls.md is not what was measured; run BLESS=1 cargo test -p system-tests --test calls\n{ought}"
    );
}
