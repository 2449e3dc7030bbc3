//! Plans that wait for a person: who may approve, what is approved, and that nothing else is written.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use ledger::Mode;
use serde_json::{Value, json};
use system_tests::ledger::{
    ALICE, announced, opened, posture, proof, records_of, rows, settled, story, subjects, writes_to,
};
use system_tests::s3::{FUNCTION, SETTINGS, block, open_bucket, quietly, settings};
use system_tests::{alone, invoke, last_record};

async fn is_closed(lab: &Lab, bucket: &str) -> bool {
    settings(lab, bucket).await == Some(SETTINGS.to_vec())
}

/// Sends drift's event, and returns the id of the plan that then waits.
async fn asked(lab: &Lab, bucket: &str, number: usize) -> String {
    let record = last_record(&invoke(lab, FUNCTION, &opened(bucket, number)).await);
    assert_eq!(record["outcome"], "awaiting-approval", "{record}");
    assert!(!is_closed(lab, bucket).await && writes_to(lab, Some(bucket)).is_empty());
    record["approval"]["id"].as_str().unwrap().to_owned()
}

/// A decision on a plan with a proof that is bound to this purpose.
async fn decided(lab: &Lab, mode: &str, id: &str, purpose: &str) -> Value {
    let request = json!({"mode": mode, "approval": id, "caller": proof(lab, purpose).await});
    lab.invoke(FUNCTION, &request).await.unwrap().json()
}

async fn approve(lab: &Lab, id: &str) -> Value {
    decided(lab, "approve", id, &format!("approve {id}")).await
}

async fn by_approval(lab: &Lab) {
    posture(lab, |posture| {
        posture.modes.insert(FUNCTION.to_owned(), Mode::Approve);
    })
    .await;
}

#[test]
fn a_plan_is_announced_approved_by_name_and_carried_out_once() {
    alone(async |lab| {
        by_approval(lab).await;
        let bucket = open_bucket(lab, "scans").await;
        let id = asked(lab, &bucket, 1).await;
        // Asked again it is the same plan, and no news.
        assert_eq!(asked(lab, &bucket, 2).await, id);
        settled(lab).await;
        let told = announced(lab, &bucket);
        let text = &told[0].message;
        for says in [
            &format!("suture approve {id}"),
            &format!("suture reject {id}"),
            "exactly 1 write",
            ALICE,
            "Nothing was written",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
        println!("{}\n\n{text}", told[0].subject.as_deref().unwrap());
        let change = records_of(lab, &bucket).await[0]["changes"][0].to_string();
        assert!(text.contains(&change), "the very write, {change}: {text}");

        let answer = approve(lab, &id).await;
        let record = &answer["records"][0];
        assert_eq!((&record["outcome"], &record["approval"]["by"]), (&json!("fixed"), &json!(ALICE)), "{answer}");
        assert_eq!((&record["asked_by"], is_closed(lab, &bucket).await), (&json!(ALICE), true));
        let kept = rows(lab).await.into_iter().find(|row| row.pk == "approvals" && row.sk == id).unwrap().body;
        assert_eq!((&kept["state"], &kept["by"]), (&json!("approved"), &json!(ALICE)));
        // Twice is once.
        let again = approve(lab, &id).await;
        assert_ne!(again["records"][0]["outcome"], "fixed", "{again}");
        assert_eq!(writes_to(lab, Some(&bucket)).len(), 1);
        // Opened again, it is not approved any more: it is asked again, and what was approved once does not do.
        quietly(lab, Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
        let used = approve(lab, &id).await;
        assert_eq!(
            (&used["records"][0]["outcome"], &used["records"][0]["refused_by"]),
            (&json!("refused"), &json!("approval")),
            "{used}"
        );
        let record = last_record(&invoke(lab, FUNCTION, &opened(&bucket, 3)).await);
        assert_eq!((&record["outcome"], writes_to(lab, Some(&bucket)).len()), (&json!("awaiting-approval"), 1));
        let next = record["approval"]["id"].as_str().unwrap();
        assert_eq!(approve(lab, next).await["records"][0]["outcome"], "fixed");
    });
}

#[test]
fn nobody_approves_without_being_known() {
    alone(async |lab| {
        by_approval(lab).await;
        let bucket = open_bucket(lab, "scans").await;
        let id = asked(lab, &bucket, 1).await;
        let nameless = lab.invoke(FUNCTION, &json!({"mode": "approve", "approval": id})).await.unwrap().json();
        let forged =
            json!({"mode": "approve", "approval": id, "caller": "Action=GetCallerIdentity&Version=2011-06-15"});
        let forged = lab.invoke(FUNCTION, &forged).await.unwrap().json();
        let named = json!({"mode": "approve", "approval": id, "asked_by": ALICE});
        let named = lab.invoke(FUNCTION, &named).await.unwrap().json();
        for (answer, says) in [(nameless, "has to be known"), (forged, "proof"), (named, "cannot be read")] {
            assert!(answer["unread"].to_string().contains(says) && answer["records"] == json!([]), "{says}: {answer}");
        }
        let unknown = approve(lab, "0123456789ab").await;
        assert!(unknown["unread"].to_string().contains("no plan"), "{unknown}");
        assert!(writes_to(lab, None).is_empty() && !is_closed(lab, &bucket).await);
    });
}

#[test]
fn a_plan_is_not_carried_out_after_the_world_moved_and_the_new_one_is_offered() {
    alone(async |lab| {
        by_approval(lab).await;
        let bucket = open_bucket(lab, "scans").await;
        let id = asked(lab, &bucket, 1).await;
        quietly(lab, Method::PUT, &format!("/{bucket}?publicAccessBlock"), &block(&["BlockPublicAcls"])).await;
        let answer = approve(lab, &id).await;
        let record = &answer["records"][0];
        println!("{record}");
        assert!(writes_to(lab, Some(&bucket)).is_empty(), "{record}");
        let next = record["approval"]["id"].as_str().unwrap();
        assert!(next != id && record["why"].as_str().unwrap().contains(&format!("suture approve {next}")), "{record}");
        assert_eq!(record["refused_by"], "approval", "{record}");
        // The old one does no more; the new one does, and no more than it says.
        let old = approve(lab, &id).await;
        assert_ne!(old["records"][0]["outcome"], "fixed");
        assert!(!is_closed(lab, &bucket).await);
        assert_eq!(approve(lab, next).await["records"][0]["outcome"], "fixed");
        assert!(is_closed(lab, &bucket).await);
        settled(lab).await;
        println!("{:?} {:?}", story(lab, &bucket).await, subjects(lab, &bucket));
    });
}

#[test]
fn a_plan_that_was_rejected_stays_rejected() {
    alone(async |lab| {
        by_approval(lab).await;
        let bucket = open_bucket(lab, "scans").await;
        let id = asked(lab, &bucket, 1).await;
        let rejected = decided(lab, "reject", &id, &format!("reject {id}")).await;
        assert_eq!(
            (&rejected["decided"][0]["state"], &rejected["decided"][0]["by"]),
            (&json!("rejected"), &json!(ALICE)),
            "{rejected}"
        );
        let approved = approve(lab, &id).await;
        assert_eq!(approved["records"][0]["refused_by"], "approval", "{approved}");
        let record = last_record(&invoke(lab, FUNCTION, &opened(&bucket, 2)).await);
        assert_eq!((&record["outcome"], &record["refused_by"]), (&json!("refused"), &json!("rejected")), "{record}");
        assert!(writes_to(lab, None).is_empty() && !is_closed(lab, &bucket).await);
        settled(lab).await;
        assert_eq!(subjects(lab, "was rejected").len(), 1, "{:?}", subjects(lab, ""));
    });
}

/// Fifty approve the same plan at the same time: one of them carries it out.
#[test]
fn a_plan_that_many_approve_at_once_is_carried_out_once() {
    alone(async |lab| {
        by_approval(lab).await;
        system_tests::ledger::at_once(lab, FUNCTION, 20);
        let bucket = open_bucket(lab, "scans").await;
        let id = asked(lab, &bucket, 1).await;
        let proof = proof(lab, &format!("approve {id}")).await;
        let request = json!({"mode": "approve", "approval": id, "caller": proof});
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (gateway, request) = (std::sync::Arc::clone(&lab.gateway), request.to_string());
            running.spawn(async move { gateway.functions.invoke(FUNCTION, request.into()).await.unwrap() });
        }
        let reports = running.join_all().await;
        let fixed = reports.iter().filter(|report| report.json()["records"][0]["outcome"] == "fixed").count();
        assert_eq!((fixed, writes_to(lab, Some(&bucket)).len()), (1, 1));
    });
}
