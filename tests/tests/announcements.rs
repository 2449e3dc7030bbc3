//! What people are told, and how often: once for a change, a refusal and a plan to approve, never for what was fine.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use ledger::Mode;
use serde_json::json;
use system_tests::ledger::{ALICE, announced, opened, posture, settled, subjects};
use system_tests::s3::{FUNCTION, bucket, open_bucket, website};
use system_tests::{HOME, alone, invoke, last_record};

/// The states of the findings about a bucket.
async fn findings(lab: &Lab, bucket: &str) -> Vec<String> {
    let found = lab.imported_findings(HOME).await.unwrap().into_iter();
    let about = found.filter(|finding| finding["Resources"].to_string().contains(bucket));
    about.map(|finding| finding["RecordState"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_change_is_one_message_and_what_was_fine_is_none() {
    alone(async |lab| {
        let fine = bucket(lab, "scans").await;
        let drifted = open_bucket(lab, "scans").await;
        let planned = open_bucket(lab, "scans").await;
        assert_eq!(last_record(&invoke(lab, FUNCTION, &opened(&fine, 1)).await)["outcome"], "compliant");
        assert_eq!(last_record(&invoke(lab, FUNCTION, &json!({"resource": planned})).await)["outcome"], "planned");
        for _ in 0..3 {
            invoke(lab, FUNCTION, &opened(&drifted, 2)).await;
        }
        settled(lab).await;
        assert_eq!(subjects(lab, ""), [format!("Suture fixed {drifted} (s3-public-bucket)")]);
        let told = announced(lab, &drifted).remove(0);
        for says in [ALICE, "1 write made", "put-public-access-block", "suture undo ", "--\n{"] {
            assert!(told.message.contains(says), "{says}: {}", told.message);
        }
        // In mode plan, drift is in the ledger, and no news.
        posture(lab, |posture| posture.mode = Some(Mode::Plan)).await;
        assert_eq!(last_record(&invoke(lab, FUNCTION, &opened(&planned, 3)).await)["outcome"], "planned");
        settled(lab).await;
        assert!(announced(lab, &planned).is_empty(), "{:?}", subjects(lab, ""));
        assert_eq!(subjects(lab, "modes were changed").len(), 1);
    });
}

#[test]
fn a_refusal_is_one_message_and_one_finding_that_closes_when_it_is_fixed() {
    alone(async |lab| {
        let site = website(lab).await;
        for number in 0..3 {
            let record = last_record(&invoke(lab, FUNCTION, &opened(&site, number)).await);
            assert_eq!(record["refused_by"], "public-website", "{record}");
        }
        settled(lab).await;
        assert_eq!(findings(lab, &site).await, ["ACTIVE"]);
        let first = subjects(lab, &site).len();
        // Asked again of the same event it is no news.
        invoke(lab, FUNCTION, &opened(&site, 2)).await;
        settled(lab).await;
        assert_eq!(subjects(lab, &site).len(), first);
        let named = json!({"resource": site, "mode": "enforce", "override": ["public-website"], "reason": "INC-3"});
        assert_eq!(last_record(&invoke(lab, FUNCTION, &named).await)["outcome"], "fixed");
        settled(lab).await;
        assert_eq!(findings(lab, &site).await, ["ARCHIVED"]);
        assert_eq!(subjects(lab, &format!("Suture fixed {site}")).len(), 1);
    });
}

/// What somebody else mended closes the finding too.
#[test]
fn a_finding_closes_when_somebody_else_has_mended_it() {
    alone(async |lab| {
        let site = website(lab).await;
        invoke(lab, FUNCTION, &opened(&site, 1)).await;
        settled(lab).await;
        assert_eq!(findings(lab, &site).await[0], "ACTIVE");
        let target = format!("/{site}?publicAccessBlock");
        system_tests::s3::quietly(
            lab,
            http::Method::PUT,
            &target,
            &system_tests::s3::block(&system_tests::s3::SETTINGS),
        )
        .await;
        assert_eq!(last_record(&invoke(lab, FUNCTION, &opened(&site, 2)).await)["outcome"], "compliant");
        settled(lab).await;
        assert_eq!(findings(lab, &site).await[0], "ARCHIVED");
    });
}

#[test]
fn a_failure_is_a_message_and_a_finding() {
    alone(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        system_tests::faults(lab, &["s3:PutPublicAccessBlock=denied-by-organization"]);
        let record = last_record(&invoke(lab, FUNCTION, &opened(&bucket, 1)).await);
        system_tests::faults(lab, &[]);
        assert_eq!(record["outcome"], "blocked-by-organization", "{record}");
        settled(lab).await;
        assert_eq!(subjects(lab, &bucket), [format!("Suture may not fix {bucket} (s3-public-bucket)")]);
        assert_eq!(findings(lab, &bucket).await, ["ACTIVE"]);
    });
}
