//! iam-stale-access-key's real binary in the lab, on good days. What AWS Config and Security Hub
//! are told is in `iam_stale_access_key_answers.rs`, bad days and sweeps in `iam_stale_access_key_faults.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::runtime::Report;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::iam::{
    IDLE, STALE, User, about, active, asked, idle, key, quietly, switch, switching, user, user_with,
};
use system_tests::{
    HOME, OTHER_ACCOUNT, alice, event, invoke, last_record, outcome, record, reported, shared, variant, workspace,
    writes,
};

/// The calls of a fix of one key.
const FIX: [&str; 7] = [
    "GetUser",
    "ListAccessKeys",
    "GetAccessKeyLastUsed",
    "GetAccessKeyLastUsed",
    "UpdateAccessKey",
    "GetUser",
    "ListAccessKeys",
];

/// What alice's call leads to.
async fn alices(lab: &Lab, operation: &str, parameters: &[(&str, &str)], user: &User) -> Report {
    let mut happenings = lab.listen();
    alice(lab).must_query("iam", operation, parameters).await.unwrap();
    reported(&mut happenings, STALE, &user.name).await
}

async fn enforced(lab: &Lab, function: &str, resource: &str) -> Report {
    invoke(lab, function, &json!({"resource": resource, "mode": "enforce"})).await
}

/// The same function with other parameters.
fn set(lab: &Lab, name: &str, parameters: &Value) {
    variant(lab, STALE, name, &[("SUTURE_PARAMETERS", &parameters.to_string())]);
}

#[test]
fn an_idle_key_that_is_switched_on_is_switched_off_by_one_invocation() {
    shared(async |lab| {
        let (user, key) = idle(lab).await;
        switch(lab, &user, &key, false).await;
        let report = alices(lab, "UpdateAccessKey", &switching(&user, &key, true), &user).await;
        let record = record(&report);
        assert_eq!((&record["outcome"], &record["why"]), (&json!("fixed"), &json!("read back and seen")));
        assert_eq!(asked(&report), FIX);
        assert_eq!((report.attempt, report.rule.as_deref()), (1, Some("suture-iam-stale-access-key")));
        assert!(active(lab, &user).await.is_empty());
        assert_eq!((&record["resource"]["id"], &record["resource"]["region"]), (&json!(user.name), &json!(HOME)));
        assert_eq!(record["cause"]["call"], "UpdateAccessKey");
        assert_eq!(record["undo"], json!([{"reactivate": {"user": user.name, "key": key}}]));
        assert_eq!(record["breaks"][0]["id"], "seldom-used-key");

        // Its own write is an event too, and wakes nobody: the next invocation about the user is for alice's next call.
        let next = alices(lab, "CreateAccessKey", &[("UserName", &user.name)], &user).await;
        assert_eq!(system_tests::record(&next)["cause"]["call"], "CreateAccessKey");
        assert_eq!(asked(&next), ["GetUser", "ListAccessKeys", "GetAccessKeyLastUsed"]);
        assert_eq!(outcome(&next), "compliant");
    });
}

#[test]
fn a_compliant_user_costs_two_calls_and_one_for_each_active_key() {
    shared(async |lab| {
        let user = user(lab).await;
        let keys = [key(lab, &user, 500.0, Some(0.1)).await, key(lab, &user, 20.0, Some(3.0)).await];
        set(lab, "any-age", &json!({"max_age_days": 0}));
        for left in [2, 1, 0] {
            let report = enforced(lab, "any-age", &user.name).await;
            assert_eq!(outcome(&report), "compliant", "{}", record(&report));
            assert_eq!(asked(&report), [&FIX[..2], &["GetAccessKeyLastUsed"; 2][..left]].concat());
            if left > 0 {
                switch(lab, &user, &keys[left - 1], false).await;
            }
        }
        // A duplicate of an event whose drift was fixed.
        let (user, key) = idle(lab).await;
        let event = about(STALE, "update-access-key", &user, &[&key]);
        assert_eq!(outcome(&invoke(lab, STALE, &event).await), "fixed");
        let again = invoke(lab, STALE, &event).await;
        assert_eq!((outcome(&again), asked(&again)), ("compliant".into(), FIX[..2].to_vec()));
    });
}

#[test]
fn each_of_two_keys_is_judged_alone() {
    // When it was made and last used, and whether it is left alone.
    let in_use = (60.0, Some(0.1), true);
    let idle = (500.0, IDLE, false);
    let never_used = (200.0, None, false);
    let new = (3.0, None, true);
    let forgotten_soon = (60.0, None, true);
    shared(async |lab| {
        for pair in [
            [in_use, idle],
            [idle, in_use],
            [never_used, in_use],
            [in_use, never_used],
            [idle, never_used],
            [new, idle],
            [forgotten_soon, idle],
            [idle, new],
        ] {
            let user = user(lab).await;
            let mut left = Vec::new();
            for (made, used, stays) in pair {
                let key = key(lab, &user, made, used).await;
                left.extend(stays.then_some(key));
            }
            left.sort();
            let report = enforced(lab, STALE, &user.name).await;
            assert_eq!(outcome(&report), "fixed", "{pair:?}: {}", record(&report));
            assert_eq!((active(lab, &user).await, writes(&report)), (left.clone(), 2 - left.len()), "{pair:?}");
        }
    });
}

#[test]
fn a_key_in_use_is_not_cut_for_its_age_unless_that_is_asked_for() {
    shared(async |lab| {
        let user = user(lab).await;
        let old = key(lab, &user, 500.0, Some(0.1)).await;
        let event = json!({"resource": user.name, "mode": "enforce", "override": ["key-in-use"]});
        let report = invoke(lab, STALE, &event).await;
        assert_eq!((outcome(&report), writes(&report)), ("refused".into(), 0));
        assert_eq!(record(&report)["refused_by"], "key-in-use", "no override helps");
        // The idle one beside it goes, and the record says that this is not all.
        let idle = key(lab, &user, 500.0, IDLE).await;
        let report = enforced(lab, STALE, &user.name).await;
        assert_eq!((outcome(&report), active(lab, &user).await), ("partly-fixed".into(), vec![old.clone()]));
        assert!(report.answer.is_ok(), "a retry would mend nothing");
        let why = record(&report)["why"].to_string();
        assert!(why.contains(&old) && !why.contains(&idle), "{why}");
        set(lab, "hard", &json!({"rotation": "hard"}));
        assert_eq!(outcome(&enforced(lab, "hard", &user.name).await), "fixed");
        assert!(active(lab, &user).await.is_empty());
    });
}

#[test]
fn users_for_emergencies_keep_their_keys_whoever_asks() {
    shared(async |lab| {
        let tag = [("Tags.member.1.Key", "break-glass"), ("Tags.member.1.Value", "true")];
        let (by_path, by_tag) = (user_with(lab, &[("Path", "/break-glass/")]).await, user_with(lab, &tag).await);
        let by_name = user(lab).await;
        set(lab, "listing", &json!({"break_glass_users": format!("someone, {}", by_name.name.to_uppercase())}));
        for (user, function, mark) in [(by_path, STALE, "path"), (by_tag, STALE, "tag"), (by_name, "listing", "name")] {
            let key = key(lab, &user, 500.0, IDLE).await;
            for event in [
                about(STALE, "update-access-key", &user, &[&key]),
                json!({"resource": key, "mode": "enforce", "override": ["break-glass"]}),
            ] {
                let report = invoke(lab, function, &event).await;
                assert_eq!((outcome(&report), writes(&report)), ("refused".into(), 0), "{mark}");
                assert_eq!(record(&report)["refused_by"], "break-glass");
                assert!(record(&report)["why"].as_str().unwrap().contains(&format!("(by {mark})")));
            }
            assert_eq!(active(lab, &user).await, [key]);
        }
    });
}

#[test]
fn a_users_own_tag_asks_for_more_time_and_gets_only_so_much() {
    shared(async |lab| {
        for (days, used, ends) in [
            ("120", 100.0, "compliant"),
            ("120", 130.0, "fixed"),
            ("9999", 300.0, "compliant"),
            ("9999", 370.0, "fixed"),
            ("30", 60.0, "compliant"),
            ("forever", 100.0, "fixed"),
        ] {
            let tag = [("Tags.member.1.Key", "drift-key-max-idle-days"), ("Tags.member.1.Value", days)];
            let user = user_with(lab, &tag).await;
            key(lab, &user, 500.0, Some(used)).await;
            set(lab, "any-age", &json!({"max_age_days": 0}));
            let report = enforced(lab, "any-age", &user.name).await;
            assert_eq!(outcome(&report), ends, "{days} {used}: {}", record(&report));
            let told = record(&report)["notes"].to_string().contains("drift-key-max-idle-days");
            assert_eq!(told, days != "120", "{days}: what the tag asks for is told where it is not what holds");
        }
    });
}

#[test]
fn plan_mode_writes_nothing_whatever_comes() {
    shared(async |lab| {
        variant(lab, STALE, "planning", &[("SUTURE_MODE", "plan")]);
        let (user, key) = idle(lab).await;
        for name in ["update-access-key", "config-compliance", "security-hub", "manual-plan"] {
            let report = invoke(lab, "planning", &about(STALE, name, &user, &[&key])).await;
            assert_eq!((outcome(&report), writes(&report)), ("planned".into(), 0), "{name}");
            assert!(asked(&report).ends_with(&FIX[..3]), "{name}: {:?}", asked(&report));
            let change = &record(&report)["changes"][0]["deactivate"];
            assert_eq!((&change["user"], &change["key"]), (&json!(user.name), &json!(key)));
        }
        let refused = enforced(lab, "planning", &user.name).await;
        assert_eq!((record(&refused)["refused_by"].clone(), writes(&refused)), (json!("mode"), 0));
        // A manual request that does not say so writes nothing, whatever the deployment's mode.
        assert_eq!(outcome(&invoke(lab, STALE, &json!({"resource": user.name})).await), "planned");
        assert_eq!(active(lab, &user).await, [key]);
    });
}

#[test]
fn a_user_goes_by_many_names() {
    shared(async |lab| {
        let user = user_with(lab, &[("Path", "/ward/3/")]).await;
        let key = key(lab, &user, 500.0, IDLE).await;
        let arn = |name: &str| format!("arn:aws:iam::111122223333:user/ward/3/{name}");
        for (name, first) in [
            (user.name.clone(), "GetUser"),
            (arn(&user.name), "GetUser"),
            (arn(&user.id), "ListUsers"),
            (user.id.clone(), "GetUser"),
            (key.clone(), "GetAccessKeyLastUsed"),
        ] {
            let report = enforced(lab, STALE, &name).await;
            assert_eq!(
                (outcome(&report), asked(&report)[0]),
                ("fixed".into(), first),
                "{name}: the list is remembered"
            );
            assert_eq!(record(&report)["changes"][0]["deactivate"]["user"], user.name, "{name}");
            let undo = json!({"mode": "undo", "record": record(&report)});
            assert_eq!(outcome(&invoke(lab, STALE, &undo).await), "undone", "{name}");
            assert_eq!(active(lab, &user).await, [key.as_str()]);
        }
    });
}

#[test]
fn who_is_gone_is_gone() {
    shared(async |lab| {
        let (user, key) = idle(lab).await;
        quietly(lab, "DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &key)]).await;
        let without = invoke(lab, STALE, &about(STALE, "update-access-key", &user, &[&key])).await;
        assert_eq!((outcome(&without), writes(&without)), ("compliant".into(), 0));
        quietly(lab, "DeleteUser", &[("UserName", &user.name)]).await;
        for name in [&user.name, &user.id, &key] {
            let report = enforced(lab, STALE, name).await;
            assert_eq!((outcome(&report), writes(&report)), ("gone".into(), 0), "{name}");
            assert!(report.answer.is_ok(), "no retry brings them back");
        }
    });
}

/// IAM's calls name no account: they reach our own, where there may be a user of the same name.
#[test]
fn another_accounts_user_is_not_touched() {
    shared(async |lab| {
        let (user, key) = idle(lab).await;
        variant(lab, STALE, "both", &[("SUTURE_ACCOUNTS", &format!("111122223333,{OTHER_ACCOUNT}"))]);
        for function in [STALE, "both"] {
            let report = invoke(lab, function, &about(STALE, "other-account", &user, &[&key])).await;
            assert_eq!((outcome(&report), report.calls.len()), ("refused".into(), 0), "{function}");
            assert_eq!(record(&report)["refused_by"], "own-account");
        }
        let report = enforced(lab, STALE, &format!("arn:aws:iam::{OTHER_ACCOUNT}:user/{}", user.name)).await;
        assert_eq!((outcome(&report), report.calls.len()), ("failed".into(), 0));
        assert_eq!(active(lab, &user).await, [key]);
    });
}

#[test]
fn an_undo_gives_back_the_very_keys_and_no_others() {
    shared(async |lab| {
        let (user, first) = idle(lab).await;
        let second = key(lab, &user, 200.0, None).await;
        let fixed = record(&enforced(lab, STALE, &user.name).await);
        assert_eq!((&fixed["outcome"], active(lab, &user).await), (&json!("fixed"), vec![]));
        let undo = json!({"mode": "undo", "record": fixed, "reason": "INC-9"});
        let undone = invoke(lab, STALE, &undo).await;
        let mut both = vec![first.clone(), second.clone()];
        both.sort();
        assert_eq!((outcome(&undone), writes(&undone), active(lab, &user).await), ("undone".into(), 2, both));
        assert_eq!((&record(&undone)["undoes"], &record(&undone)["reason"]), (&fixed["id"], &json!("INC-9")));
        // Twice is once; and the undo can be undone.
        let again = invoke(lab, STALE, &undo).await;
        assert_eq!((outcome(&again), writes(&again)), ("undone".into(), 0));
        let redo = invoke(lab, STALE, &json!({"mode": "undo", "record": record(&undone)})).await;
        assert_eq!((outcome(&redo), active(lab, &user).await), ("undone".into(), vec![]));

        // What was inactive before the fix stays so.
        switch(lab, &user, &first, true).await;
        let fixed = record(&enforced(lab, STALE, &user.name).await);
        let undone = invoke(lab, STALE, &json!({"mode": "undo", "record": fixed})).await;
        assert_eq!((outcome(&undone), active(lab, &user).await), ("undone".into(), vec![first]));
    });
}

#[test]
fn an_undo_gives_way_to_who_came_later_and_claims_no_key_that_was_deleted() {
    shared(async |lab| {
        let (user, first) = idle(lab).await;
        let busy = key(lab, &user, 30.0, Some(0.1)).await;
        let fixed = record(&enforced(lab, STALE, &user.name).await);
        switch(lab, &user, &busy, false).await;
        let mut undo = json!({"mode": "undo", "record": fixed});
        let refused = invoke(lab, STALE, &undo).await;
        assert_eq!((record(&refused)["refused_by"].clone(), writes(&refused)), (json!("moved-on"), 0));
        undo["override"] = json!(["moved-on"]);
        assert_eq!(outcome(&invoke(lab, STALE, &undo).await), "undone");
        assert_eq!(active(lab, &user).await, [first], "the other one was switched off by somebody else");

        let (user, first) = idle(lab).await;
        let second = key(lab, &user, 200.0, None).await;
        let undo = json!({"mode": "undo", "record": record(&enforced(lab, STALE, &user.name).await)});
        quietly(lab, "DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &first)]).await;
        let some = record(&invoke(lab, STALE, &undo).await);
        assert_eq!((&some["outcome"], active(lab, &user).await), (&json!("partly-fixed"), vec![second.clone()]));
        assert_eq!(some["remaining"], json!([{"reactivate": {"user": user.name, "key": first}}]));
        quietly(lab, "DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &second)]).await;
        let none = invoke(lab, STALE, &undo).await;
        assert_eq!((outcome(&none), active(lab, &user).await), ("gone".into(), vec![]));
        assert!(none.answer.is_ok());
    });
}

/// What becomes of an event of `events/`, and how the log's last record, if there is one, ends.
#[test]
fn each_example_event_ends_as_it_should() {
    let expected = BTreeMap::from([
        ("config-compliance", "fixed"),
        ("create-access-key", "fixed"),
        ("create-access-key-for-oneself", "gone"),
        ("denied-call", "ignored"),
        ("hostile-user-name", "rejected"),
        ("manual-enforce", "fixed"),
        ("manual-plan", "planned"),
        ("manual-undo", "undone"),
        ("other-account", "refused"),
        ("own-call", "ignored"),
        ("queue-sns-in-sqs", "fixed"),
        ("queue-sqs", "fixed"),
        ("resolved-config-compliance", "ignored"),
        ("resolved-rule-deleted", "ignored"),
        ("resolved-security-hub", "ignored"),
        ("rule-change", "fixed"),
        ("rule-oversized", "fixed"),
        ("security-hub", "fixed"),
        ("security-hub-action", "fixed"),
        ("security-hub-v2", "fixed"),
        ("topic-sns", "fixed"),
        ("unrendered-template", "rejected"),
        ("update-access-key", "fixed"),
        ("update-access-key-inactive", "fixed"),
    ]);
    let folder = std::fs::read_dir(workspace().join("events").join(STALE)).unwrap();
    let files = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
    // Sweeps touch other tests' users; they are tried where a lab is alone.
    let sweeps = ["rule-scheduled", "schedule", "schedule-scheduler"];
    let files: Vec<_> = files.filter(|file| !sweeps.contains(&file.trim_end_matches(".json"))).collect();
    assert_eq!(files.len(), expected.len(), "{files:?}");
    shared(async |lab| {
        for (name, end) in expected {
            let (user, key) = idle(lab).await;
            if end == "undone" {
                switch(lab, &user, &key, false).await;
            }
            let report = invoke(lab, STALE, &about(STALE, name, &user, &[&key])).await;
            let answer = report.json();
            match end {
                "ignored" | "rejected" => {
                    let looked = report.calls.iter().any(|call| call.service == "iam");
                    assert_eq!((&answer["unread"][0]["as"], looked), (&json!(end), false), "{name}: {answer}");
                }
                _ => assert_eq!(last_record(&report)["outcome"], end, "{name}: {answer}"),
            }
            assert_eq!(active(lab, &user).await.is_empty(), end == "fixed", "{name}");
        }
    });
}

#[test]
fn our_own_call_wakes_nobody() {
    shared(async |lab| {
        let (user, key) = idle(lab).await;
        for name in ["own-call", "denied-call"] {
            let event = about(STALE, name, &user, &[&key]);
            assert!(lab.gateway.bus.matching(&event).is_empty(), "{name}: the rule leaves it out");
        }
        assert_eq!(lab.gateway.bus.matching(&event(STALE, "create-access-key")).len(), 1);
    });
}
