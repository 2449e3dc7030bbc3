//! iam-exposed-access-key's real binary in the lab.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::runtime::Report;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use system_tests::iam::{EXPOSED, IDLE, STALE, User, about, active, asked, key, quietly, switch, user};
use system_tests::{
    HOME, OTHER_ACCOUNT, PATIENCE, about_to_write, alice, alone, faults, invoke, last_record, only, outcome, record,
    reported, shared, variant, workspace, writes,
};
use tokio::time::timeout;

/// The calls of a fix.
const FIX: [&str; 7] = [
    "GetAccessKeyLastUsed",
    "ListAccessKeys",
    "GetLoginProfile",
    "ListAttachedUserPolicies",
    "UpdateAccessKey",
    "GetAccessKeyLastUsed",
    "ListAccessKeys",
];

/// A user with a key that was used today.
async fn busy(lab: &Lab) -> (User, String) {
    let user = user(lab).await;
    let key = key(lab, &user, 30.0, Some(0.1)).await;
    (user, key)
}

/// What an event on the bus leads to.
async fn put(lab: &Lab, event: &Value, key: &str) -> Report {
    let mut happenings = lab.listen();
    assert_eq!(lab.put_event(event), ["suture-iam-exposed-access-key-findings"], "{event}");
    reported(&mut happenings, EXPOSED, key).await
}

async fn enforced(lab: &Lab, resource: &str) -> Report {
    invoke(lab, EXPOSED, &json!({"resource": resource, "mode": "enforce"})).await
}

#[test]
fn whoever_finds_a_key_it_is_deactivated_at_once_though_it_is_in_use() {
    shared(async |lab| {
        for (name, trigger) in
            [("health", "health"), ("guardduty", "guard-duty"), ("security-hub-action", "security-hub-action")]
        {
            let (user, key) = busy(lab).await;
            let report = put(lab, &about(EXPOSED, name, &user, &[&key]), &key).await;
            let record = record(&report);
            assert_eq!((&record["outcome"], &record["mode"]), (&json!("fixed"), &json!("enforce")), "{name}: {record}");
            assert_eq!((asked(&report), record["trigger"].as_str()), (FIX.to_vec(), Some(trigger)), "{name}");
            assert!(active(lab, &user).await.is_empty(), "{name}");
            assert_eq!(record["undo"], json!([{"reactivate": {"user": user.name, "key": key}}]));
            assert_eq!(record["breaks"][0]["id"], "key-in-use");
            // The same once more, as AWS Health sends it from a second region.
            let again = put(lab, &about(EXPOSED, name, &user, &[&key]), &key).await;
            assert_eq!((outcome(&again), asked(&again)), ("compliant".into(), FIX[..2].to_vec()), "{name}");
        }
    });
}

#[test]
fn one_of_two_keys_goes_and_the_record_tells_of_the_rest() {
    shared(async |lab| {
        let (user, found) = busy(lab).await;
        let other = key(lab, &user, 500.0, IDLE).await;
        quietly(lab, "CreateLoginProfile", &[("UserName", &user.name), ("Password", "Correct-Horse-7")]).await;
        let name = system_tests::fresh("AWSCompromisedKeyQuarantineV3");
        let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}"#;
        let policy = quietly(lab, "CreatePolicy", &[("PolicyName", &name), ("PolicyDocument", document)]).await;
        let arn = policy.texts("Arn").remove(0);
        quietly(lab, "AttachUserPolicy", &[("UserName", &user.name), ("PolicyArn", &arn)]).await;
        let record = record(&enforced(lab, &found).await);
        assert_eq!((&record["outcome"], active(lab, &user).await), (&json!("fixed"), vec![other.clone()]));
        let notes = record["notes"].to_string();
        for told in [other.as_str(), "has a password for the console", &name, "aws:TokenIssueTime", "CloudTrail"] {
            assert!(notes.contains(told), "{told}: {notes}");
        }
        // AWS's quarantine is AWS's; the password and the other key are the responder's.
        let attached = quietly(lab, "ListAttachedUserPolicies", &[("UserName", &user.name)]).await;
        assert_eq!(attached.texts("PolicyArn"), [arn]);
        quietly(lab, "GetLoginProfile", &[("UserName", &user.name)]).await;
        assert!(!record.to_string().contains("Correct-Horse"));
    });
}

#[test]
fn plan_mode_writes_nothing_whatever_comes() {
    shared(async |lab| {
        variant(lab, EXPOSED, "planning", &[("SUTURE_MODE", "plan")]);
        let (user, key) = busy(lab).await;
        for name in ["health", "guardduty", "security-hub-action", "manual-plan"] {
            let report = invoke(lab, "planning", &about(EXPOSED, name, &user, &[&key])).await;
            assert_eq!((outcome(&report), asked(&report)), ("planned".into(), FIX[..4].to_vec()), "{name}");
            assert_eq!(record(&report)["changes"], json!([{"deactivate": {"user": user.name, "key": key}}]), "{name}");
        }
        let report = invoke(lab, "planning", &json!({"resource": key, "mode": "enforce"})).await;
        assert_eq!((record(&report)["refused_by"].clone(), writes(&report)), (json!("mode"), 0));
        assert_eq!(active(lab, &user).await, [key.as_str()]);
        let asked = json!({"resource": key, "mode": "enforce", "override": ["mode"], "reason": "INC-7"});
        assert_eq!(outcome(&invoke(lab, "planning", &asked).await), "fixed", "a responder's own word is enough");
    });
}

#[test]
fn what_cannot_be_deactivated_is_refused_with_what_to_do() {
    shared(async |lab| {
        let session = enforced(lab, "ASIAEXAMPLEEXAMPLE05").await;
        assert_eq!((record(&session)["refused_by"].clone(), session.calls.len()), (json!("session-key"), 0));
        assert!(record(&session)["why"].as_str().unwrap().contains("aws:TokenIssueTime"));
        let nobodys = enforced(lab, "AKIAEXAMPLEEXAMPLE06").await;
        assert_eq!(
            (record(&nobodys)["refused_by"].clone(), asked(&nobodys)),
            (json!("not-a-users-key"), FIX[..1].to_vec())
        );
        // Another account's key: IAM denies the question, and nothing is claimed.
        let theirs = lab.client(OTHER_ACCOUNT, HOME);
        let name = system_tests::fresh("eve");
        theirs.must_query("iam", "CreateUser", &[("UserName", &name)]).await.unwrap();
        let made = theirs.must_query("iam", "CreateAccessKey", &[("UserName", &name)]).await.unwrap();
        let report = enforced(lab, &made.texts("AccessKeyId")[0]).await;
        assert_eq!((outcome(&report), writes(&report)), ("failed".into(), 0));
        let why = record(&report)["why"].to_string();
        assert!(why.contains("iam:GetAccessKeyLastUsed") && why.contains("another account"), "{why}");
        let list = theirs.must_query("iam", "ListAccessKeys", &[("UserName", &name)]).await.unwrap();
        assert_eq!(list.texts("Status"), ["Active"]);
        // An event of another account's about a key that is also ours to name.
        let (user, key) = busy(lab).await;
        let event = about(EXPOSED, "health", &user, &[&key]).to_string().replace("111122223333", OTHER_ACCOUNT);
        let report = invoke(lab, EXPOSED, &serde_json::from_str(&event).unwrap()).await;
        assert_eq!((record(&report)["refused_by"].clone(), report.calls.len()), (json!("own-account"), 0));
        assert_eq!(active(lab, &user).await, [key]);
    });
}

#[test]
fn an_undo_gives_the_key_back_and_claims_none_that_was_deleted() {
    shared(async |lab| {
        let (user, found) = busy(lab).await;
        let other = key(lab, &user, 30.0, None).await;
        switch(lab, &user, &other, false).await;
        let fixed = record(&enforced(lab, &found).await);
        let undo = json!({"mode": "undo", "record": fixed, "reason": "INC-9"});
        let undone = invoke(lab, EXPOSED, &undo).await;
        assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 1));
        assert_eq!(active(lab, &user).await, [found.as_str()], "the other stays as it was");
        assert!(record(&undone)["notes"].to_string().contains("hands it back to whoever found it"));
        let again = invoke(lab, EXPOSED, &undo).await;
        assert_eq!((outcome(&again), writes(&again)), ("undone".into(), 0));
        let redo = invoke(lab, EXPOSED, &json!({"mode": "undo", "record": record(&undone)})).await;
        assert_eq!((outcome(&redo), active(lab, &user).await), ("undone".into(), vec![]));
        quietly(lab, "DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &found)]).await;
        let gone = invoke(lab, EXPOSED, &undo).await;
        assert_eq!((outcome(&gone), record(&gone)["undo"].clone()), ("gone".into(), json!([])));
    });
}

#[test]
fn each_example_event_ends_as_it_should() {
    let expected = BTreeMap::from([
        ("guardduty", "fixed"),
        ("health", "fixed"),
        ("hostile-key-id", "rejected"),
        ("manual-enforce", "fixed"),
        ("manual-plan", "planned"),
        ("manual-session-key", "refused"),
        ("manual-undo", "undone"),
        ("queue-sns-in-sqs", "fixed"),
        ("queue-sqs", "fixed"),
        ("security-hub-action", "fixed"),
        ("topic-sns", "fixed"),
        ("unrendered-template", "rejected"),
    ]);
    let folder = std::fs::read_dir(workspace().join("events").join(EXPOSED)).unwrap();
    assert_eq!(folder.count(), expected.len());
    shared(async |lab| {
        for (name, end) in expected {
            let (user, key) = busy(lab).await;
            if end == "undone" {
                switch(lab, &user, &key, false).await;
            }
            let report = invoke(lab, EXPOSED, &about(EXPOSED, name, &user, &[&key])).await;
            let answer = report.json();
            match end {
                "rejected" => assert_eq!((&answer["unread"][0]["as"], report.calls.len()), (&json!(end), 0), "{name}"),
                _ => assert_eq!(last_record(&report)["outcome"], end, "{name}: {answer}"),
            }
            assert_eq!(active(lab, &user).await.is_empty(), end == "fixed", "{name}");
        }
    });
}

#[test]
fn nothing_starts_it_but_who_is_meant_to() {
    shared(async |lab| {
        let (user, key) = busy(lab).await;
        let woken = |event: &Value| lab.put_event(event).iter().any(|rule| rule.contains(EXPOSED));
        for (name, field, value) in [
            ("health", "eventTypeCode", "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"),
            ("guardduty", "type", "Discovery:IAMUser/AnomalousBehavior"),
            ("security-hub-action", "actionName", "Quarantine"),
        ] {
            let mut event = about(EXPOSED, name, &user, &[&key]);
            event["detail"][field] = value.into();
            assert!(!woken(&event), "{name}");
        }
        assert!(lab.fire(EXPOSED).await.is_err(), "it has no schedule");
        let all = invoke(lab, EXPOSED, &json!({"resource": "*", "mode": "enforce"})).await;
        assert_eq!(writes(&all), 0, "nor can anybody ask for all keys: {}", all.json());
        // A sample of GuardDuty's names no real key.
        let mut sample = about(EXPOSED, "guardduty", &user, &["GeneratedFindingAccessKeyId"]);
        sample["detail"]["service"]["additionalInfo"]["sample"] = true.into();
        let report = invoke(lab, EXPOSED, &sample).await;
        assert!(report.json()["unread"][0]["as"].is_string() && report.calls.is_empty(), "{}", report.json());
        assert_eq!(active(lab, &user).await, [key]);
    });
}

#[test]
fn a_finding_of_guardduty_is_resolved_in_security_hub_by_a_fix_alone() {
    shared(async |lab| {
        let told = async |id: &str| {
            let all = lab.findings(HOME).await.unwrap();
            all.iter().filter(|call| call.to_string().contains(id)).count()
        };
        let (user, key) = busy(lab).await;
        let event = about(EXPOSED, "security-hub-action", &user, &[&key]).to_string();
        let event: Value =
            serde_json::from_str(&event.replace("finding/0a1b2c", &format!("finding/{}", user.id))).unwrap();
        variant(lab, EXPOSED, "planning", &[("SUTURE_MODE", "plan")]);
        assert_eq!((outcome(&invoke(lab, "planning", &event).await), told(&user.id).await), ("planned".into(), 0));
        assert_eq!((outcome(&invoke(lab, EXPOSED, &event).await), told(&user.id).await), ("fixed".into(), 1));
        assert_eq!((outcome(&invoke(lab, EXPOSED, &event).await), told(&user.id).await), ("compliant".into(), 1));
    });
}

/// Two controls look at one key: neither undoes the other's work, and neither wakes itself.
#[test]
fn a_key_that_was_cut_off_stays_off_until_somebody_says_otherwise() {
    shared(async |lab| {
        let (user, key) = busy(lab).await;
        let mut happenings = lab.listen();
        assert_eq!(outcome(&enforced(lab, &key).await), "fixed");
        let other = reported(&mut happenings, STALE, &user.name).await;
        assert_eq!(
            (outcome(&other), writes(&other)),
            ("compliant".into(), 0),
            "UpdateAccessKey wakes the other control"
        );
        // Whoever switches it on again has the last word: nobody says any more that it is exposed.
        let on = [("UserName", user.name.as_str()), ("AccessKeyId", &key), ("Status", "Active")];
        alice(lab).must_query("iam", "UpdateAccessKey", &on).await.unwrap();
        let other = reported(&mut happenings, STALE, &user.name).await;
        assert_eq!((outcome(&other), active(lab, &user).await), ("compliant".into(), vec![key]));
    });
}

#[test]
fn what_only_tells_people_something_does_not_hold_the_write_up() {
    alone(async |lab| {
        for call in ["ListAttachedUserPolicies", "GetLoginProfile"] {
            for (kind, seconds) in [("denied", 1), ("latency:30000", 3), ("error", 3)] {
                let (user, key) = busy(lab).await;
                faults(lab, &[&format!("iam:{call}={kind}")]);
                let begun = Instant::now();
                let report = enforced(lab, &key).await;
                faults(lab, &[]);
                assert_eq!(outcome(&report), "fixed", "{call} {kind}");
                assert!(begun.elapsed() < Duration::from_secs(seconds), "{call} {kind}: {:?}", begun.elapsed());
                assert!(record(&report)["notes"].to_string().contains(&format!("our role has iam:{call}")));
                assert!(active(lab, &user).await.is_empty());
            }
        }
    });
}

#[test]
fn a_key_that_somebody_switches_off_or_deletes_in_between() {
    alone(async |lab| {
        for deletes in [false, true] {
            let (user, key) = busy(lab).await;
            faults(lab, &["iam:UpdateAccessKey=latency:500"]);
            let mut happenings = lab.listen();
            let (report, ()) = tokio::join!(enforced(lab, &key), async {
                about_to_write(&mut happenings).await;
                if deletes {
                    quietly(lab, "DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &key)]).await;
                } else {
                    switch(lab, &user, &key, false).await;
                }
            });
            let record = record(&report);
            assert!(report.answer.is_ok() && active(lab, &user).await.is_empty(), "{record}");
            if deletes {
                assert_eq!((&record["outcome"], &record["undo"]), (&json!("compliant"), &json!([])), "{record}");
                assert!(record["why"].as_str().unwrap().contains("somebody else saw to that"), "{record}");
            } else {
                assert_eq!(record["outcome"], "fixed", "{record}");
            }
        }
    });
}

/// IAM's reads lag its writes.
#[test]
fn reads_that_lag_do_not_lead_astray() {
    alone(async |lab| {
        let (user, key) = busy(lab).await;
        // What the write wakes would read, too.
        only(lab, EXPOSED);
        faults(lab, &["iam:ListAccessKeys=stale*2"]);
        let report = enforced(lab, &key).await;
        assert_eq!((outcome(&report), writes(&report)), ("fixed".into(), 1), "{}", record(&report));
        let reads = asked(&report).iter().filter(|call| **call == "ListAccessKeys").count();
        assert_eq!(reads, 4, "one look, two readings-back that show the key active, and one that does not");
        assert!(active(lab, &user).await.is_empty());
    });
}

#[test]
fn what_the_organization_denies_is_its_to_mend() {
    alone(async |lab| {
        for call in ["GetAccessKeyLastUsed", "ListAccessKeys", "UpdateAccessKey"] {
            let (user, key) = busy(lab).await;
            faults(lab, &[&format!("iam:{call}=denied-by-organization")]);
            let report = timeout(PATIENCE, enforced(lab, &key)).await.unwrap();
            let record = record(&report);
            assert_eq!(record["outcome"], "blocked-by-organization", "{call}: {record}");
            assert!(record["why"].as_str().unwrap().contains(&format!("iam:{call}")), "{call}: {record}");
            assert!(report.answer.is_ok() && active(lab, &user).await == [key], "{call}");
        }
    });
}
