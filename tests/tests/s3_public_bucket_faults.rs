//! s3-public-bucket's real binary on bad days: denied, throttled, cut off, shown what is no longer so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use lab::runtime::Report;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use system_tests::s3::{FUNCTION, SETTINGS, about, bucket, open_bucket, quietly, settings, website};
use system_tests::{about_to_write, alice, alone, calls, faults, invoke, leads_to, outcome, record, reported, writes};

/// Every call that a fix of a website makes, and the IAM action that it needs.
const CALLS: [(&str, &str); 6] = [
    ("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("GetBucketPolicyStatus", "s3:GetBucketPolicyStatus"),
    ("GetBucketWebsite", "s3:GetBucketWebsite"),
    ("GetBucketTagging", "s3:GetBucketTagging"),
    ("GetBucketOwnershipControls", "s3:GetBucketOwnershipControls"),
    ("PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
];

/// A website with health data: all six calls are made, and it is closed.
async fn phi_website(lab: &Lab) -> String {
    let bucket = website(lab).await;
    let tags = "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag></TagSet></Tagging>";
    quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), tags).await;
    bucket
}

async fn told(lab: &Lab, bucket: &str) -> Report {
    invoke(lab, FUNCTION, &about("delete-public-access-block", bucket)).await
}

/// Gives the function so much time.
fn in_seconds(lab: &Lab, seconds: u64) {
    let mut config = lab.gateway.functions.config(FUNCTION).unwrap();
    config.timeout = Duration::from_secs(seconds);
    lab.gateway.functions.configure(config);
}

/// The last record in an invocation's log: what one that failed has to say.
fn logged(report: &Report) -> Value {
    let lines = report.log.iter().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["record"].clone()).find(Value::is_object).unwrap()
}

#[test]
fn what_the_organization_denies_is_its_to_mend() {
    alone(async |lab| {
        for (operation, action) in CALLS {
            let bucket = phi_website(lab).await;
            faults(lab, &[&format!("s3:{operation}=denied-by-organization")]);
            let report = told(lab, &bucket).await;
            let record = record(&report);
            assert_eq!(record["outcome"], "blocked-by-organization", "{operation}");
            assert!(record["why"].as_str().unwrap().contains(action), "{operation}: {record}");
            assert!(report.answer.is_ok() && settings(lab, &bucket).await.is_none(), "{operation}");
        }
    });
}

/// The write was made, and nobody said so. What the record says is what was read back.
#[test]
fn a_write_whose_answer_is_lost_is_seen_all_the_same() {
    alone(async |lab| {
        for times in [1, 4] {
            let bucket = open_bucket(lab, "scans").await;
            faults(lab, &[&format!("s3:PutPublicAccessBlock=drop-answer*{times}")]);
            let report = told(lab, &bucket).await;
            assert_eq!(outcome(&report), "fixed", "{times}");
            assert_eq!(record(&report)["undo"], json!(["delete-public-access-block"]), "{times}");
            assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS, "{times}");
        }
        // Somebody else's write at the same moment.
        let bucket = open_bucket(lab, "scans").await;
        faults(lab, &["s3:PutPublicAccessBlock=conflict*2"]);
        assert_eq!(outcome(&told(lab, &bucket).await), "fixed");
    });
}

#[test]
fn what_lasts_too_long_for_one_invocation_is_left_to_lambdas_retries() {
    alone(async |lab| {
        let bucket = bucket(lab, "scans").await;
        // Four tries of the SDK's in each of two invocations; alice's call is not meant.
        faults(lab, &["s3:GetPublicAccessBlock=throttle*8"]);
        let mut happenings = lab.listen();
        alice(lab).must(Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await.unwrap();
        for attempt in [1, 2] {
            let report = reported(&mut happenings, FUNCTION, &bucket).await;
            let error = report.answer.as_ref().unwrap_err();
            assert_eq!((report.attempt, error.error_type.as_str()), (attempt, "Suture.Retry"));
            assert!(error.error_message.contains("s3:GetBucketPublicAccessBlock"), "{}", error.error_message);
            assert_eq!(logged(&report)["outcome"], "failed");
            assert_eq!((report.calls.len(), writes(&report)), (4, 0));
        }
        let report = reported(&mut happenings, FUNCTION, &bucket).await;
        assert_eq!((report.attempt, outcome(&report)), (3, "fixed".to_owned()));

        // A write that never gets through is no fix, and nothing claims that it was.
        let bucket = open_bucket(lab, "scans").await;
        faults(lab, &["s3:PutPublicAccessBlock=error"]);
        let report = told(lab, &bucket).await;
        let error = report.answer.as_ref().unwrap_err();
        assert_eq!(error.error_type, "Suture.Retry");
        let said = logged(&report);
        assert!(["failed", "unverified"].contains(&said["outcome"].as_str().unwrap()), "{said}");
        assert_eq!(settings(lab, &bucket).await, None);

        // Nor is one that cannot be read back, as long as there is time.
        in_seconds(lab, 4);
        let bucket = open_bucket(lab, "scans").await;
        // The write takes its time, so that the next fault is there before the reading-back.
        faults(lab, &["s3:PutPublicAccessBlock=latency:500"]);
        let mut happenings = lab.listen();
        let (report, ()) = tokio::join!(told(lab, &bucket), async {
            about_to_write(&mut happenings).await;
            faults(lab, &["s3:GetPublicAccessBlock=denied"]);
        });
        assert_eq!(logged(&report)["outcome"], "unverified", "{:?}", report.log);
        assert!(report.answer.is_err(), "the retry looks again");
        assert_eq!(writes(&report), 1);
    });
}

#[test]
fn reads_that_lag_do_not_lead_astray() {
    alone(async |lab| {
        let bucket = bucket(lab, "scans").await;
        faults(lab, &["s3:GetPublicAccessBlock=stale*2"]);
        // What is then shown although it is no longer so.
        assert_eq!(outcome(&invoke(lab, FUNCTION, &json!({"resource": bucket})).await), "compliant");
        let report =
            leads_to(lab, FUNCTION, &alice(lab), Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
        assert_eq!(outcome(&report), "fixed");
        let names = calls(&report);
        let reads: Vec<_> = names.iter().map(|name| name == "s3:GetPublicAccessBlock").collect();
        assert_eq!(reads[..3], [true; 3], "two looks show the old block, the third the truth: {names:?}");
        let write = names.iter().position(|name| name == "s3:PutPublicAccessBlock").unwrap();
        let back = names[write..].iter().filter(|name| *name == "s3:GetPublicAccessBlock").count();
        assert_eq!((back, writes(&report)), (3, 1), "two readings-back show none, the third the new block: {names:?}");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
    });
}

#[test]
fn a_bucket_that_is_deleted_while_it_is_being_fixed() {
    alone(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        faults(lab, &["s3:PutPublicAccessBlock=latency:500"]);
        let mut happenings = lab.listen();
        let (report, ()) = tokio::join!(told(lab, &bucket), async {
            about_to_write(&mut happenings).await;
            quietly(lab, Method::DELETE, &format!("/{bucket}"), "").await;
        });
        assert_eq!(outcome(&report), "gone");
        assert_eq!(record(&report)["undo"], json!([]));
        assert!(report.answer.is_ok());
    });
}

/// AWS that does not answer at all must not cost the record: the function ends by itself before Lambda ends it.
#[test]
fn a_function_ends_in_time_though_aws_does_not_answer() {
    alone(async |lab| {
        in_seconds(lab, 3);
        let bucket = open_bucket(lab, "scans").await;
        for operation in ["GetPublicAccessBlock", "PutPublicAccessBlock"] {
            faults(lab, &[&format!("s3:{operation}=latency:60000")]);
            let begun = Instant::now();
            let report = told(lab, &bucket).await;
            assert!(begun.elapsed() < Duration::from_secs(10));
            assert_eq!(report.answer.as_ref().unwrap_err().error_type, "Suture.Retry", "{operation}");
            let said = logged(&report);
            assert!(["failed", "unverified"].contains(&said["outcome"].as_str().unwrap()), "{operation}: {said}");
        }
    });
}
