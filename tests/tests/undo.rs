//! Fixes are taken back by a function of its own, whose role may do what the roles of the controls may not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use system_tests::actions::{actions, of_the_engine};
use system_tests::ledger::rows;
use system_tests::scenarios::{Drift, all};
use system_tests::template::undo_actions;
use system_tests::{PATIENCE, alone, controls, invoke, last_record, only};
use tokio::time::timeout;

#[test]
fn every_fix_is_taken_back_by_the_id_of_its_record_and_by_the_undo_function_alone() {
    let declared: BTreeSet<String> = controls().iter().flat_map(undo_actions).cloned().collect();
    alone(async |lab| {
        let mut used = BTreeSet::new();
        for scenario in all() {
            let at = format!("{}: {}", scenario.control, scenario.name);
            only(lab, scenario.control);
            let Drift { event, mended } = (scenario.drift)(lab).await;
            let fixed = last_record(&invoke(lab, scenario.control, &event).await);
            assert_eq!(fixed["outcome"], "fixed", "{at}: {fixed}");
            // Not left alone: an account has but one of some things, and the next scenario wants it fixed. Some are tagged as
            // holding health data.
            let undo = json!({
                "mode": "undo", "record": fixed["id"], "reason": "T-1", "leave_alone_hours": 0, "override": ["phi"],
            });

            // The function that made the fix may not, and says which one may.
            let refused = timeout(PATIENCE, lab.invoke(scenario.control, &undo)).await.unwrap().unwrap();
            assert!(refused.json().to_string().contains("suture-undo"), "{at}: {}", refused.json());
            let wrote = |call: &&lab::gateway::Happened| call.writes && !of_the_engine(&call.name());
            assert_eq!(refused.calls.iter().filter(wrote).count(), 0, "{at}");
            assert!(mended(lab).await, "{at}: undone by the wrong function");

            let report = timeout(PATIENCE, lab.invoke("undo", &undo)).await.unwrap().unwrap();
            let record = last_record(&report);
            assert_eq!((&record["outcome"], &record["reason"]), (&json!("undone"), &json!("T-1")), "{at}: {record}");
            assert!(!mended(lab).await, "{at}: undone, and still mended");
            // What is asked for and denied, such as what an exposed key's user can do besides, an undo does without.
            let made = report.calls.iter().filter(|call| !of_the_engine(&call.name()) && call.status < 400);
            used.extend(made.flat_map(actions));
        }
        // The rest is what only some fixes' undoes need; nothing is used that the role does not have.
        assert!(used.is_subset(&declared), "{:?}", used.difference(&declared));
    });
}

#[test]
fn what_was_taken_back_is_left_alone_for_as_long_as_was_asked() {
    alone(async |lab| {
        let scenario = all().into_iter().find(|scenario| scenario.control == "s3-public-bucket").unwrap();
        for (hours, then) in [(json!(24), "exempt"), (json!(0), "fixed")] {
            only(lab, scenario.control);
            let Drift { event, mended } = (scenario.drift)(lab).await;
            let fixed = last_record(&invoke(lab, scenario.control, &event).await);
            let undo = json!({"mode": "undo", "record": fixed, "leave_alone_hours": hours});
            assert_eq!(last_record(&invoke(lab, "undo", &undo).await)["outcome"], "undone");
            let again = last_record(&invoke(lab, scenario.control, &event).await);
            assert_eq!((&again["outcome"], mended(lab).await), (&json!(then), then == "fixed"), "{hours}: {again}");
        }
    });
}

#[test]
fn an_undo_that_is_taken_back_ends_its_exemption() {
    alone(async |lab| {
        let scenario = all().into_iter().find(|scenario| scenario.control == "s3-public-bucket").unwrap();
        only(lab, scenario.control);
        let Drift { event, mended } = (scenario.drift)(lab).await;
        let mut before = last_record(&invoke(lab, scenario.control, &event).await);
        assert_eq!(before["outcome"], "fixed", "{before}");
        // Closed, opened and left alone, closed again: then nobody answers for leaving it open any longer.
        for (closed, exemptions) in [(false, 1), (true, 0)] {
            let undo = json!({"mode": "undo", "record": before["id"], "leave_alone_hours": 24});
            before = last_record(&invoke(lab, "undo", &undo).await);
            assert_eq!((&before["outcome"], mended(lab).await), (&json!("undone"), closed), "{before}");
            assert_eq!(before["left_alone_until"].is_null(), closed, "{before}");
            let there = rows(lab).await.into_iter().filter(|row| row.sk.starts_with("exemption#")).count();
            assert_eq!(there, exemptions, "{before}");
        }
    });
}

#[test]
fn what_is_no_undo_is_answered_with_what_to_do_instead() {
    alone(async |lab| {
        for (request, says) in [
            (json!({"mode": "undo", "record": "no-such-record"}), "has no record"),
            (json!({"mode": "enforce", "resource": "clinic-scans"}), "takes fixes back and does nothing else"),
            (json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}), "takes fixes back"),
            (
                json!({"mode": "undo", "record": {"control": "s3-no-such-control"}}),
                "this version of Suture does not have",
            ),
        ] {
            let report = timeout(PATIENCE, lab.invoke("undo", &request)).await.unwrap().unwrap();
            let answer = report.json();
            assert_eq!(answer["records"], Value::Array(Vec::new()), "{request}");
            assert!(answer["unread"].to_string().contains(says), "{request}: {answer}");
        }
    });
}
