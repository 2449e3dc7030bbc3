//! What iam-stale-access-key's real binary tells AWS Config and Security Hub.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use serde_json::Value;
use system_tests::iam::{STALE, User, about, age, idle, key, quietly, switch};
use system_tests::{HOME, invoke, outcome, record, shared, variant};

/// An invocation by an AWS Config rule about this user.
fn by_rule(user: &User, token: &str) -> Value {
    let mut event = about(STALE, "rule-change", user, &[]);
    event["resultToken"] = token.into();
    event
}

#[test]
fn aws_config_is_told_what_was_found_about_the_user_as_it_knows_the_user() {
    shared(async |lab| {
        variant(lab, STALE, "planning", &[("SUTURE_MODE", "plan")]);
        let (user, key) = idle(lab).await;
        let told = async |function: &str, token: &str| {
            let report = invoke(lab, function, &by_rule(&user, token)).await;
            assert_eq!(report.json().get("unanswered"), None);
            let all = lab.evaluations(HOME).await.unwrap();
            let mut calls = all.into_iter().filter(|call| call["resultToken"] == token);
            let call = calls.next().unwrap();
            assert!(calls.next().is_none() && call["testMode"] == false, "{token}");
            let [evaluation] = &call["evaluations"].as_array().unwrap()[..] else { panic!("{call}") };
            assert_eq!(evaluation["ComplianceResourceType"], "AWS::IAM::User");
            assert_eq!(evaluation["ComplianceResourceId"], user.id);
            (outcome(&report), evaluation["ComplianceType"].as_str().unwrap().to_owned())
        };
        let both = |ours: &str, configs: &str| (ours.to_owned(), configs.to_owned());
        let token = |what: &str| format!("{what}-{}", user.id);
        assert_eq!(told("planning", &token("plan")).await, both("planned", "NON_COMPLIANT"));
        assert_eq!(told(STALE, &token("fix")).await, both("fixed", "COMPLIANT"));
        assert_eq!(told(STALE, &token("again")).await, both("compliant", "COMPLIANT"));
        // Old and in use: it is not ours to mend, and not as it ought to be.
        switch(lab, &user, &key, true).await;
        age(lab, &key, 500.0, Some(0.1)).await;
        assert_eq!(told(STALE, &token("old")).await, both("refused", "NON_COMPLIANT"));
        quietly(lab, "DeleteAccessKey", &[("UserName", &user.name), ("AccessKeyId", &key)]).await;
        quietly(lab, "DeleteUser", &[("UserName", &user.name)]).await;
        assert_eq!(told(STALE, &token("gone")).await, both("gone", "NOT_APPLICABLE"));
    });
}

/// The finding's id, with this user's own at its end.
fn finding(user: &User, name: &str) -> (Value, String) {
    let event = about(STALE, name, user, &[]).to_string();
    let id = "6e3a8f52-1d2c-4b7e-8a11-000000000021";
    let event = event.replace(id, &user.id).replace("8c0f6c3a1f9b4a63", &user.id);
    (serde_json::from_str(&event).unwrap(), user.id.clone())
}

#[test]
fn a_finding_is_resolved_by_a_fix_that_was_read_back_and_by_nothing_else() {
    shared(async |lab| {
        variant(lab, STALE, "planning", &[("SUTURE_MODE", "plan")]);
        let updates = async |id: &str| {
            let all = lab.findings(HOME).await.unwrap();
            all.into_iter().filter(|call| call.to_string().contains(id)).collect::<Vec<_>>()
        };
        for name in ["security-hub", "security-hub-action", "security-hub-v2"] {
            let (user, _) = idle(lab).await;
            let (event, id) = finding(&user, name);
            assert_eq!(outcome(&invoke(lab, "planning", &event).await), "planned");
            assert!(updates(&id).await.is_empty(), "{name}: a plan resolves nothing");
            let busy = key(lab, &user, 500.0, Some(0.1)).await;
            assert_eq!(outcome(&invoke(lab, STALE, &event).await), "partly-fixed");
            assert!(updates(&id).await.is_empty(), "{name}: nor does half a fix");
            switch(lab, &user, &busy, false).await;
            assert_eq!(outcome(&invoke(lab, STALE, &event).await), "compliant");
            assert!(updates(&id).await.is_empty(), "{name}: nor what somebody else did");

            let (user, _) = idle(lab).await;
            let (event, id) = finding(&user, name);
            let fixed = record(&invoke(lab, STALE, &event).await);
            assert_eq!(fixed["outcome"], "fixed");
            let told = updates(&id).await;
            assert_eq!(told.len(), 1, "{name}: {told:?}");
            let resolved = if name == "security-hub-v2" { "\"StatusId\":4" } else { "\"Status\":\"RESOLVED\"" };
            let told = told[0].to_string();
            assert!(told.contains(resolved) && told.contains(fixed["id"].as_str().unwrap()), "{told}");
        }
    });
}
