//! Every control on bad days, alike: denied, throttled, cut off. Whatever happens, nothing is lost, nothing is claimed that
//! is not so, and what is missing is named.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::gateway::{Happened, Happening};
use lab::runtime::Report;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use system_tests::actions::{actions, of_the_engine};
use system_tests::ledger::records_of;
use system_tests::scenarios::{Drift, Scenario, all, looks};
use system_tests::template::LEDGER;
use system_tests::{ACCOUNT, About, PATIENCE, alone, controls, delivered, faults, invoke, last_record, only};
use tokio::process::Command;
use tokio::time::timeout;

/// All controls; the one that the variable `CONTROL` names, if it names one.
fn wanted() -> Vec<About> {
    let only = std::env::var("CONTROL").ok();
    controls().into_iter().filter(|about| only.as_deref().is_none_or(|only| only == about.id)).collect()
}

/// A clean run of a scenario, and the calls that it made, in order.
async fn clean(lab: &Lab, scenario: &Scenario) -> Vec<Happened> {
    faults(lab, &[]);
    let Drift { event, mended } = (scenario.drift)(lab).await;
    assert!(!mended(lab).await, "{}: {}: there is no drift", scenario.control, scenario.name);
    lab.gateway.permissions.forget(ACCOUNT, &lab.gateway.functions.config(scenario.control).unwrap().role);
    let report = invoke(lab, scenario.control, &event).await;
    let record = last_record(&report);
    assert_eq!(record["outcome"], "fixed", "{}: {}: {record}", scenario.control, scenario.name);
    assert!(mended(lab).await, "{}: {}: said to be fixed, and is not", scenario.control, scenario.name);
    report.calls
}

/// The calls of a run, each once, and how often it made them.
fn distinct(calls: &[Happened]) -> BTreeMap<String, usize> {
    let mut distinct = BTreeMap::new();
    for call in calls {
        *distinct.entry(call.name()).or_default() += 1;
    }
    distinct
}

/// Runs a scenario with faults; what the function said at last, the report, and whether the drift is mended.
async fn with(lab: &Lab, scenario: &Scenario, kinds: &[&str]) -> (Value, Report, bool) {
    faults(lab, &[]);
    let Drift { event, mended } = (scenario.drift)(lab).await;
    faults(lab, kinds);
    let report = invoke(lab, scenario.control, &event).await;
    faults(lab, &[]);
    (last_record(&report), report, mended(lab).await)
}

/// Runs a test with each scenario in a lab of its own.
#[expect(clippy::needless_pass_by_value, reason = "a closure reads better as it is")]
fn each(test: impl AsyncFn(&Lab, &Scenario, &[Happened])) {
    alone(async |lab| {
        for scenario in all() {
            only(lab, scenario.control);
            let calls = clean(lab, &scenario).await;
            test(lab, &scenario, &calls).await;
        }
    });
}

#[test]
fn every_control_has_a_scenario() {
    let scenarios: BTreeSet<_> = all().iter().map(|scenario| scenario.control.to_owned()).collect();
    // What mends nothing has no drift to mend; what it looks at is among the looks.
    let mending = wanted().into_iter().filter(|about| !about.fixes_with.is_empty());
    assert_eq!(scenarios, mending.map(|about| about.id).collect());
}

#[test]
fn what_a_fix_and_its_undo_call_is_what_the_control_declares() {
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut undone: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    alone(async |lab| {
        for scenario in all() {
            only(lab, scenario.control);
            let Drift { event, mended } = (scenario.drift)(lab).await;
            let report = invoke(lab, scenario.control, &event).await;
            used.entry(scenario.control).or_default().extend(report.calls.iter().flat_map(actions));
            // What holds health data is opened again only by name.
            let undo = json!({"mode": "undo", "record": last_record(&report), "override": ["phi"]});
            let report = invoke(lab, scenario.control, &undo).await;
            let record = last_record(&report);
            assert_eq!(record["outcome"], "undone", "{}: {}: {record}", scenario.control, scenario.name);
            assert!(!mended(lab).await, "{}: {}: undone, and still mended", scenario.control, scenario.name);
            // And an undo can be taken back in its turn.
            let redo = json!({"mode": "undo", "record": record, "override": ["phi"]});
            let again = invoke(lab, scenario.control, &redo).await;
            let record = last_record(&again);
            assert_eq!(record["outcome"], "undone", "{}: {}: {record}", scenario.control, scenario.name);
            assert!(
                mended(lab).await,
                "{}: {}: its undo was undone, and it is not mended",
                scenario.control,
                scenario.name
            );
            let writes = report.calls.iter().chain(&again.calls).filter(|call| call.writes).flat_map(actions);
            undone.entry(scenario.control).or_default().extend(writes);
        }
        for look in looks() {
            only(lab, look.control);
            let event = (look.event)(lab).await;
            let report = invoke(lab, look.control, &event).await;
            let record = last_record(&report);
            let refused = (&record["outcome"], &record["refused_by"]);
            assert_eq!(refused, (&json!("refused"), &json!(look.refused_by)), "{}: {}", look.control, look.name);
            assert!(!report.calls.iter().any(|call| call.writes), "{}: {}", look.control, look.name);
            used.entry(look.control).or_default().extend(report.calls.iter().flat_map(actions));
        }
    });
    for about in wanted() {
        let id = about.id.as_str();
        // What AWS Config is asked about the rule that fired is the engine's to ask, and tested there.
        let declared = about.observes_with.iter().chain(&about.fixes_with).filter(|name| !name.starts_with("config:"));
        assert_eq!(used[id], declared.cloned().collect(), "{id}: what its scenarios call, and what it declares");
        let undone = undone.get(id).cloned().unwrap_or_default();
        assert_eq!(undone, about.undoes_with.iter().cloned().collect(), "{id}: the writes of its undoes");
    }
}

/// What the role is allowed and a clean run makes use of, all but the ledger's. The roles' own tests are in
/// `least_privilege.rs`: here each scenario shows what it claims without it.
#[test]
fn each_permission_that_is_taken_away_is_named_and_nothing_is_claimed() {
    each(async |lab, scenario, _| {
        let permissions = &lab.gateway.permissions;
        let role = lab.gateway.functions.config(scenario.control).unwrap().role;
        let of_the_ledger = |action: &str| LEDGER.contains(&action);
        for grant in permissions.used(ACCOUNT, &role).into_iter().filter(|grant| !of_the_ledger(&grant.action)) {
            let Drift { event, mended } = (scenario.drift)(lab).await;
            permissions.withhold(ACCOUNT, &role, [grant.clone()]);
            let report = invoke(lab, scenario.control, &event).await;
            permissions.withhold(ACCOUNT, &role, []);
            let (record, mended) = (last_record(&report), mended(lab).await);
            let at = format!("{}: {}: without {grant}: {record}", scenario.control, scenario.name);
            let outcome = record["outcome"].as_str().unwrap_or_default();
            // What a control can do without, it may; it then says so, and still tells the truth.
            if outcome == "fixed" {
                assert!(mended && record.to_string().contains(&grant.action), "{at}");
                continue;
            }
            assert!(record["why"].as_str().unwrap().contains(&grant.action), "{at}");
            // What was written before it was denied, and cannot be seen: a read-back that was denied, a group that nothing
            // uses yet.
            let wrote = report.calls.iter().any(|call| call.writes && call.status < 400);
            if outcome == "unverified" && wrote {
                assert!(!mended && report.answer.is_err() && record["undo"] != json!([]), "{at}");
                continue;
            }
            assert!(["failed", "refused", "partly-fixed"].contains(&outcome), "{at}");
            assert!(!mended && report.answer.is_ok(), "{at}");
            if outcome != "partly-fixed" {
                assert_eq!(record["undo"], json!([]), "{at}");
            }
        }
    });
}

#[test]
fn each_call_that_is_throttled_fails_or_is_cut_off_is_made_again() {
    each(async |lab, scenario, calls| {
        for (call, times) in distinct(calls) {
            for kind in ["throttle", "error", "drop"] {
                let (record, report, mended) = with(lab, scenario, &[&format!("{call}={kind}*2")]).await;
                let at = format!("{}: {}: {call} {kind}: {record}", scenario.control, scenario.name);
                assert!(record["outcome"] == "fixed" && mended, "{at}");
                let made = report.calls.iter().filter(|made| made.name() == call).count();
                assert_eq!(made, times + 2, "{at}");
            }
        }
    });
}

#[test]
fn a_write_whose_answer_is_lost_is_seen_all_the_same() {
    each(async |lab, scenario, calls| {
        let writes: BTreeSet<_> = calls.iter().filter(|call| call.writes).map(Happened::name).collect();
        assert!(!writes.is_empty(), "{}: {}", scenario.control, scenario.name);
        for call in writes {
            for times in [1, 4] {
                let (record, report, mended) = with(lab, scenario, &[&format!("{call}=drop-answer*{times}")]).await;
                let at = format!("{}: {}: {call}, {times} answers lost: {record}", scenario.control, scenario.name);
                match record["outcome"].as_str().unwrap() {
                    // A change is one write: none of ours is taken for somebody else's.
                    "fixed" => {
                        let made = calls.iter().filter(|call| call.writes && call.status < 400).count();
                        assert!(mended && record["undo"] != json!([]), "{at}");
                        assert_eq!(record["changes"].as_array().unwrap().len(), made, "{at}");
                    }
                    // Not all of it was made; Lambda's retry makes the rest.
                    "partly-fixed" | "unverified" => assert!(!mended && report.answer.is_err(), "{at}"),
                    _ => panic!("{at}"),
                }
            }
        }
    });
}

#[test]
fn a_write_that_never_gets_through_is_no_fix_and_is_left_to_lambdas_retries() {
    each(async |lab, scenario, calls| {
        let writes: BTreeSet<_> = calls.iter().filter(|call| call.writes).map(Happened::name).collect();
        for call in writes {
            for kind in ["throttle", "error", "drop"] {
                let (record, report, mended) = with(lab, scenario, &[&format!("{call}={kind}")]).await;
                let at = format!("{}: {}: {call} {kind} for good: {record}", scenario.control, scenario.name);
                assert!(!mended && report.answer.is_err(), "{at}");
                let outcome = record["outcome"].as_str().unwrap();
                assert!(["failed", "partly-fixed", "unverified"].contains(&outcome), "{at}");
                if outcome == "partly-fixed" {
                    assert_ne!(record["remaining"], json!([]), "{at}");
                }
            }
        }
    });
}

#[test]
fn a_plan_names_the_writes_that_a_fix_makes_and_makes_none() {
    each(async |lab, scenario, _| {
        let Drift { event, mended } = (scenario.drift)(lab).await;
        system_tests::variant(lab, scenario.control, "planning", &[("SUTURE_MODE", "plan")]);
        let mut asked = event.clone();
        // A manual request for more than the deployment's mode is refused, and no plan.
        if let Some(mode) = asked.get_mut("mode") {
            *mode = json!("plan");
        }
        let report = invoke(lab, "planning", &asked).await;
        let plan = last_record(&report);
        let at = format!("{}: {}: {plan}", scenario.control, scenario.name);
        assert_eq!(plan["outcome"], "planned", "{at}");
        let made = report.calls.iter().filter(|call| call.writes && call.status < 400).count();
        assert!(made == 0 && !mended(lab).await, "{at}");
        let fix = last_record(&invoke(lab, scenario.control, &event).await);
        assert_eq!((&fix["outcome"], &fix["changes"]), (&json!("fixed"), &plan["changes"]), "{at}");
    });
}

/// No record, no write: while the ledger is denied, throttled for good or cut off, whichever of its calls it is, nothing is
/// written to the resource, and the event comes again. One scenario of each control: the ledger is the engine's.
#[test]
fn nothing_is_written_while_the_ledger_is_out_of_reach() {
    let mut scenarios: Vec<Scenario> = all();
    scenarios.dedup_by_key(|scenario| scenario.control);
    alone(async |lab| {
        for scenario in scenarios {
            only(lab, scenario.control);
            for (call, kind) in [
                ("*", "denied"),
                ("*", "throttle"),
                ("*", "drop"),
                ("GetItem", "denied"),
                ("Query", "denied"),
                ("TransactWriteItems", "denied"),
                ("TransactWriteItems", "throttle"),
                ("TransactWriteItems", "drop"),
                // Then it may have been written that we are at work: the next try waits for that lease.
                ("TransactWriteItems", "drop-answer"),
            ] {
                let (record, report, mended) = with(lab, &scenario, &[&format!("dynamodb:{call}={kind}")]).await;
                let at = format!("{}: {}: {call} {kind}: {record}", scenario.control, scenario.name);
                assert_eq!((&record["outcome"], &record["refused_by"]), (&json!("refused"), &json!("ledger")), "{at}");
                assert!(!report.calls.iter().any(|call| call.writes && call.status < 400), "{at}");
                assert!(!mended && report.answer.is_err(), "{at}");
                assert!(record["why"].as_str().unwrap().contains("the ledger"), "{at}");
            }
            let Drift { event, mended } = (scenario.drift)(lab).await;
            let record = last_record(&invoke(lab, scenario.control, &event).await);
            assert!(record["outcome"] == "fixed" && mended(lab).await, "{}: and then: {record}", scenario.control);
        }
    });
}

/// The process that runs a function of this lab: other tests have labs of their own at the same time.
fn process(lab: &Lab, function: &str) -> Option<String> {
    let endpoint = format!("AWS_ENDPOINT_URL={}\0", lab.endpoint());
    std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).find_map(|entry| {
        let exe = std::fs::read_link(entry.path().join("exe")).ok()?;
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let of_lab = environment.windows(endpoint.len()).any(|part| part == endpoint.as_bytes());
        (exe.file_name()?.to_str()? == function && of_lab).then(|| entry.file_name().into_string().ok())?
    })
}

/// What was written stays written, and what was to be written is in the ledger: the next try says what became of it, and goes
/// on, and the dead one's record takes it back.
#[test]
fn a_function_that_dies_after_its_write_has_said_what_it_was_about_to_do() {
    each(async |lab, scenario, calls| {
        let ours = |call: &Happened| !of_the_engine(&call.name());
        let writes = calls.iter().filter(|call| call.writes && ours(call)).count();
        faults(lab, &[]);
        let Drift { event, mended } = (scenario.drift)(lab).await;
        // Slow enough to be killed before it has read back.
        faults(lab, &["*:*=latency:50"]);
        let mut happenings = lab.listen();
        let (reports, ()) = tokio::join!(delivered(lab, scenario.control, &event), async {
            let written = async {
                loop {
                    match happenings.recv().await.unwrap() {
                        Happening::Call(call) if call.writes && ours(&call) => return,
                        _ => {}
                    }
                }
            };
            timeout(PATIENCE, written).await.unwrap();
            let pid = process(lab, scenario.control).expect("the function's process");
            assert!(Command::new("kill").args(["-KILL", &pid]).status().await.unwrap().success());
            faults(lab, &[]);
        });
        let at = format!("{}: {}", scenario.control, scenario.name);
        let [dead, .., next] = &reports[..] else { panic!("{at}: {reports:#?}") };
        assert!(dead.answer.is_err(), "{at}: it lived on");
        let again = last_record(next);
        let outcome = again["outcome"].as_str().unwrap();
        assert!(["compliant", "fixed"].contains(&outcome) && mended(lab).await, "{at}: {again}");
        let resource = again["resource"]["id"].as_str().unwrap();
        // The lab's tries again come sooner than Lambda's minute. Where nothing is left to be written, one within the dead one's
        // lease leaves it alone; whoever looks after its end says what became of it.
        let told = async {
            loop {
                let mut records = records_of(lab, resource).await.into_iter();
                let of_the_dead = |record: &Value| {
                    record["id"].as_str().unwrap().starts_with(&dead.request_id)
                        && record["why"].as_str().unwrap().contains("ended early")
                };
                match records.find(of_the_dead) {
                    Some(left) => return left,
                    None => {
                        assert_eq!(last_record(&invoke(lab, scenario.control, &event).await)["outcome"], "compliant");
                    }
                }
            }
        };
        let left = timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("{at}: nobody says what became of it"));
        if writes == 1 {
            assert_eq!(left["outcome"], "fixed", "{at}: {left}");
            let undo = json!({"mode": "undo", "record": left["id"], "override": ["phi"]});
            let undone = last_record(&invoke(lab, scenario.control, &undo).await);
            assert!(undone["outcome"] == "undone" && !mended(lab).await, "{at}: {undone}");
        }
    });
}
