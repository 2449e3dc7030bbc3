//! iam-stale-access-key's real binary on bad days, and its sweeps, which look at every user of a lab.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::runtime::Report;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use system_tests::iam::{IDLE, STALE, User, about, active, age, asked, idle, key, quietly, switch, user, user_with};
use system_tests::{
    HOME, about_to_write, alone, event, faults, fire, invoke, last_record, only, outcome, record, variant, writes,
};

async fn told(lab: &Lab, user: &User, key: &str) -> Report {
    invoke(lab, STALE, &about(STALE, "update-access-key", user, &[key])).await
}

async fn delete(lab: &Lab, user: &User, key: &str) {
    quietly(lab, "DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", key)]).await;
}

/// The report of a sweep by schedule, and what the sweep came to.
async fn swept(lab: &Lab) -> (Report, Value) {
    let report = fire(lab, STALE).await.remove(0);
    let sweep = report.json()["sweeps"][0].clone();
    (report, sweep)
}

/// How often an invocation made a call.
fn times(report: &Report, call: &str) -> usize {
    asked(report).iter().filter(|made| **made == call).count()
}

/// Makes the credential report too old, so that the next sweep asks for another; says how many questions that takes.
async fn another_report(lab: &Lab, takes: usize) {
    lab.wish("iam/report", json!({"hoursAgo": 5, "takes": takes})).await.unwrap();
}

#[test]
fn a_key_that_is_used_between_look_and_write_is_left_alone() {
    alone(async |lab| {
        let (user, key) = idle(lab).await;
        faults(lab, &["iam:GetAccessKeyLastUsed=latency:400"]);
        let mut happenings = lab.listen();
        let (report, ()) = tokio::join!(told(lab, &user, &key), async {
            about_to_write(&mut happenings).await;
            age(lab, &key, 20.0, Some(0.0)).await;
        });
        let record = record(&report);
        assert_eq!((&record["outcome"], writes(&report)), (&json!("compliant"), 0), "{record}");
        assert_eq!((&record["changes"], &record["undo"]), (&json!([]), &json!([])));
        assert_eq!(active(lab, &user).await, [key]);
    });
}

#[test]
fn what_is_deleted_half_way_is_not_claimed_and_does_not_keep_the_other_key() {
    alone(async |lab| {
        // What is deleted, how it ends, and how many keys it undoes.
        for (two, all, end, undoes) in
            [(false, false, "compliant", 0), (false, true, "gone", 0), (true, false, "fixed", 1)]
        {
            let (user, first) = idle(lab).await;
            let second = if two { Some(key(lab, &user, 200.0, None).await) } else { None };
            faults(lab, &["iam:UpdateAccessKey=latency:400*1"]);
            let mut happenings = lab.listen();
            let (report, ()) = tokio::join!(told(lab, &user, &first), async {
                about_to_write(&mut happenings).await;
                delete(lab, &user, &first).await;
                if all {
                    quietly(lab, "DeleteUser", &[("UserName", &user.name)]).await;
                }
            });
            let record = record(&report);
            assert_eq!(record["outcome"], end, "{record}");
            assert!(report.answer.is_ok() && record["undo"].as_array().unwrap().len() == undoes, "{record}");
            if let Some(second) = second {
                assert_eq!(record["changes"][0]["deactivate"]["key"], second);
                assert!(active(lab, &user).await.is_empty());
            }
        }
    });
}

#[test]
fn a_key_that_somebody_else_switches_off_meanwhile_is_as_it_ought_to_be() {
    alone(async |lab| {
        let (user, key) = idle(lab).await;
        faults(lab, &["iam:UpdateAccessKey=latency:400"]);
        let mut happenings = lab.listen();
        let (report, ()) = tokio::join!(told(lab, &user, &key), async {
            about_to_write(&mut happenings).await;
            switch(lab, &user, &key, false).await;
        });
        assert_eq!((outcome(&report), writes(&report)), ("fixed".into(), 1));
        assert!(active(lab, &user).await.is_empty());
    });
}

#[test]
fn reads_that_lag_do_not_lead_astray() {
    alone(async |lab| {
        only(lab, STALE);
        let (user, key) = idle(lab).await;
        faults(lab, &["iam:ListAccessKeys=stale*2"]);
        let report = told(lab, &user, &key).await;
        assert_eq!((outcome(&report), writes(&report)), ("fixed".into(), 1), "{}", record(&report));
        assert_eq!(
            times(&report, "ListAccessKeys"),
            4,
            "one look, two that still show it active, and one that does not"
        );
        assert!(active(lab, &user).await.is_empty());
    });
}

#[test]
fn what_the_organization_denies_is_its_to_mend() {
    alone(async |lab| {
        for call in ["ListAccessKeys", "GetUser", "GetAccessKeyLastUsed", "UpdateAccessKey"] {
            let (user, key) = idle(lab).await;
            faults(lab, &[&format!("iam:{call}=denied-by-organization")]);
            let report = told(lab, &user, &key).await;
            let record = record(&report);
            assert_eq!(record["outcome"], "blocked-by-organization", "{call}: {record}");
            assert!(record["why"].as_str().unwrap().contains(&format!("iam:{call}")), "{call}: {record}");
            assert!(report.answer.is_ok() && active(lab, &user).await == [key], "{call}");
        }
    });
}

#[test]
fn a_function_ends_in_time_though_iam_does_not_answer() {
    alone(async |lab| {
        let mut config = lab.gateway.functions.config(STALE).unwrap();
        config.timeout = Duration::from_secs(3);
        lab.gateway.functions.configure(config);
        let (user, key) = idle(lab).await;
        for (call, ends) in [("ListAccessKeys", "failed"), ("UpdateAccessKey", "unverified")] {
            faults(lab, &[&format!("iam:{call}=latency:60000")]);
            let begun = Instant::now();
            let report = told(lab, &user, &key).await;
            assert!(begun.elapsed() < Duration::from_secs(10));
            assert_eq!(report.answer.as_ref().unwrap_err().error_type, "Suture.Retry", "{call}");
            assert_eq!(last_record(&report)["outcome"], ends, "{call}");
        }
    });
}

#[test]
fn a_sweep_finds_what_no_event_reported_and_looks_at_nobody_else() {
    alone(async |lab| {
        let (idle_one, _) = idle(lab).await;
        let (never, busy, new, emergencies) =
            (user(lab).await, user(lab).await, user(lab).await, user_with(lab, &[("Path", "/break-glass/")]).await);
        key(lab, &never, 200.0, None).await;
        let kept = key(lab, &busy, 30.0, Some(0.1)).await;
        // The key that is not the older one: rows of the report tell no ids.
        key(lab, &busy, 10.0, None).await;
        key(lab, &new, 1.0, None).await;
        key(lab, &emergencies, 500.0, IDLE).await;
        let off = key(lab, &user(lab).await, 500.0, None).await;
        let owner = quietly(lab, "GetAccessKeyLastUsed", &[("AccessKeyId", &off)]).await.texts("UserName").remove(0);
        switch(lab, &User { name: owner, id: String::new() }, &off, false).await;
        lab.wish("iam/fill", json!({"count": 40, "prefix": "staff", "keys": 0})).await.unwrap();
        lab.wish("iam/report", json!({"rootKeys": true})).await.unwrap();

        let (report, sweep) = swept(lab).await;
        // The idle one, the one never used, the one for emergencies, and root.
        assert_eq!(sweep["looked_at"], 4, "{sweep}");
        assert_eq!(sweep["outcomes"], json!({"fixed": 2, "refused": 2}), "{sweep}");
        assert_eq!((times(&report, "ListUsers"), writes(&report)), (0, 2));
        assert_eq!((times(&report, "GetCredentialReport"), times(&report, "GenerateCredentialReport")), (2, 3));
        let mut refused: Vec<_> = report.json()["records"].as_array().unwrap().clone();
        refused.retain(|record| record["outcome"] == "refused");
        let mut by: Vec<_> = refused.iter().map(|record| record["refused_by"].as_str().unwrap()).collect();
        by.sort_unstable();
        assert_eq!(by, ["break-glass", "root-key"]);
        assert!(active(lab, &idle_one).await.is_empty() && active(lab, &never).await.is_empty());
        assert!(active(lab, &busy).await.contains(&kept) && active(lab, &new).await.len() == 1);
        assert_eq!(active(lab, &emergencies).await.len(), 1);

        // The same report once more: what was mended is compliant.
        let (again, sweep) = swept(lab).await;
        assert_eq!(sweep["outcomes"], json!({"compliant": 2, "refused": 2}));
        assert_eq!((writes(&again), times(&again, "GetCredentialReport")), (0, 0), "it was read moments ago");
    });
}

/// The report can be four hours old. It says where to look, and nothing more.
#[test]
fn a_report_that_is_out_of_date_cuts_nobody_off() {
    alone(async |lab| {
        let (user, key) = idle(lab).await;
        let (by_tag, tagged) = {
            let tag = [("Tags.member.1.Key", "drift-key-max-idle-days"), ("Tags.member.1.Value", "200")];
            let user = user_with(lab, &tag).await;
            let key = system_tests::iam::key(lab, &user, 500.0, Some(150.0)).await;
            (user, key)
        };
        lab.wish("iam/report", json!({"takes": 1})).await.unwrap();
        for _ in 0..2 {
            quietly(lab, "GenerateCredentialReport", &[]).await;
        }
        age(lab, &key, 30.0, Some(0.1)).await;
        let (report, sweep) = swept(lab).await;
        assert_eq!((sweep["looked_at"].as_u64(), writes(&report)), (Some(2), 0), "{sweep}");
        assert_eq!(times(&report, "GenerateCredentialReport"), 0, "the one there is will do");
        assert_eq!(active(lab, &user).await, [key]);
        assert_eq!(active(lab, &by_tag).await, [tagged], "tags are not in the report");
    });
}

#[test]
fn without_a_report_every_user_is_looked_at_page_by_page() {
    alone(async |lab| {
        lab.wish("iam/fill", json!({"count": 250, "prefix": "aide", "keys": 0})).await.unwrap();
        let (user, _) = idle(lab).await;
        lab.wish("iam/report", json!({"takes": 1000})).await.unwrap();
        // That is more than a page: it lists, and hands out.
        only(lab, STALE);
        let reports = fire(lab, STALE).await;
        let sweep = reports[0].json()["sweeps"][0].clone();
        assert_eq!((&sweep["handed_over"], &sweep["cut_short"]), (&json!(251), &Value::Null), "{sweep}");
        assert_eq!(times(&reports[0], "ListUsers"), 2);
        let looks: usize = reports.iter().map(|report| times(report, "ListAccessKeys")).sum();
        assert!(looks >= 251, "{looks}: each of them was looked at");
        assert!(active(lab, &user).await.is_empty());

        // A user of whom the unique id alone is known, on the second page.
        let (user, _) = idle(lab).await;
        let report = invoke(lab, STALE, &about(STALE, "config-compliance", &user, &[])).await;
        assert_eq!((outcome(&report), times(&report, "ListUsers")), ("fixed".into(), 2));
    });
}

#[test]
fn a_sweep_that_cannot_list_says_which_permission_is_missing() {
    alone(async |lab| {
        let (user, key) = idle(lab).await;
        for call in ["GetCredentialReport", "GenerateCredentialReport"] {
            faults(lab, &[&format!("iam:{call}=denied")]);
            let (report, sweep) = swept(lab).await;
            assert!(sweep["cut_short"].as_str().unwrap().contains(&format!("iam:{call}")), "{call}: {sweep}");
            assert!(report.answer.is_ok() && sweep["looked_at"] == 0, "{call}: no retry mends it");
        }
        assert_eq!(active(lab, &user).await, [key]);
    });
}

#[test]
fn a_sweep_gets_through_an_iam_that_throttles() {
    alone(async |lab| {
        only(lab, STALE);
        let fill = json!({"count": 40, "prefix": "forgotten", "keys": 2, "created": "500 days ago",
            "lastUsed": {"date": "400 days ago"}});
        lab.wish("iam/fill", fill).await.unwrap();
        faults(lab, &["iam:*=throttle%4"]);
        let (report, sweep) = swept(lab).await;
        faults(lab, &[]);
        assert_eq!((&sweep["outcomes"], &sweep["cut_short"]), (&json!({"fixed": 40}), &Value::Null), "{sweep}");
        let made = report.calls.iter().filter(|call| call.writes && call.status == 200).count();
        assert_eq!(made, 80, "each key was switched off once");
    });
}

#[test]
fn a_sweep_in_plan_mode_writes_nothing() {
    alone(async |lab| {
        let (user, key) = idle(lab).await;
        lab.set(STALE, &[("SUTURE_MODE", "plan")]).unwrap();
        let (report, sweep) = swept(lab).await;
        assert_eq!((&sweep["outcomes"], writes(&report)), (&json!({"planned": 1}), 0));
        assert_eq!(active(lab, &user).await, [key]);
    });
}

#[test]
fn each_example_event_that_means_all_users_looks_at_all_of_them() {
    alone(async |lab| {
        for (number, name) in ["schedule", "schedule-scheduler", "rule-scheduled"].into_iter().enumerate() {
            let (user, _) = idle(lab).await;
            if number > 0 {
                another_report(lab, 1).await;
            }
            // One function after another, as each remembers the report that it read.
            variant(lab, STALE, name, &[]);
            let report = invoke(lab, name, &event(STALE, name)).await;
            let sweep = &report.json()["sweeps"][0];
            // Those of the events before are no longer in the report.
            assert_eq!(sweep["outcomes"], json!({"fixed": 1}), "{name}: {sweep}");
            assert!(active(lab, &user).await.is_empty(), "{name}");
        }
        let told = lab.evaluations(HOME).await.unwrap();
        assert_eq!((told.len(), &told[0]["testMode"]), (1, &json!(true)));
        assert_eq!(told[0]["evaluations"][0]["ComplianceType"], "COMPLIANT");
    });
}
