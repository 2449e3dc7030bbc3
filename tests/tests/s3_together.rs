//! The S3 controls beside each other, and what they answer to those who wait: AWS Config and Security Hub.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::s3::{
    ALL_USERS, LOG_DELIVERY, PHI, SETTINGS, WEBSITE, account_block, account_settings, acl, anonymously, bucket,
    bucket_with_acls, encryption, event_about, fix, grants, open_bucket, owner, policy, policy_of, quietly, reads,
    settings, website,
};
use system_tests::{
    ACCOUNT, HOME, OTHER_ACCOUNT, alice, alone, event, fresh, invoke, last_record, only, outcome, record, reported,
    shared, workspace,
};

/// The controls that look at one bucket.
const OF_BUCKETS: [&str; 4] = ["s3-public-bucket", "s3-public-policy", "s3-public-acl", "s3-weak-encryption"];

/// A bucket that a control mends.
async fn drifted(lab: &Lab, control: &str) -> String {
    match control {
        "s3-public-bucket" => open_bucket(lab, "scans").await,
        "s3-public-policy" => {
            let bucket = open_bucket(lab, "scans").await;
            let text = policy_of(&[reads("Viewer", &json!("*"), &bucket)]);
            quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &text).await;
            bucket
        }
        "s3-public-acl" => granting(lab, "scans").await,
        _ => bucket(lab, "scans").await,
    }
}

async fn granting(lab: &Lab, stem: &str) -> String {
    let bucket = bucket_with_acls(lab, stem).await;
    let grants = acl(&owner(lab, &bucket).await, &[(ALL_USERS, "READ"), (LOG_DELIVERY, "WRITE")]);
    quietly(lab, Method::PUT, &format!("/{bucket}?acl"), &grants).await;
    bucket
}

/// A bucket that a control refuses to mend.
async fn guarded(lab: &Lab, control: &str) -> String {
    match control {
        "s3-public-acl" => {
            let bucket = granting(lab, "website").await;
            quietly(lab, Method::PUT, &format!("/{bucket}?website"), WEBSITE).await;
            bucket
        }
        "s3-weak-encryption" => {
            let bucket = bucket(lab, "shared").await;
            let partner = json!({"AWS": format!("arn:aws:iam::{OTHER_ACCOUNT}:root")});
            let policy = policy_of(&[reads("Partner", &partner, &bucket)]);
            quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &policy).await;
            bucket
        }
        _ => website(lab).await,
    }
}

#[test]
fn one_call_wakes_two_and_each_tells_the_truth() {
    shared(async |lab| {
        for round in 0..4 {
            let bucket = open_bucket(lab, "scans").await;
            quietly(lab, Method::PUT, &format!("/{bucket}/scan"), "x").await;
            let partner = json!({"AWS": format!("arn:aws:iam::{OTHER_ACCOUNT}:root")});
            let named = reads("Partner", &partner, &bucket);
            let text = policy_of(&[reads("Viewer", &json!("*"), &bucket), named.clone()]);
            let (mut one, mut other) = (lab.listen(), lab.listen());
            alice(lab).must(Method::PUT, &format!("/{bucket}?policy"), text).await.unwrap();
            let cut = record(&reported(&mut one, "s3-public-policy", &bucket).await);
            // Alice's call wakes it, and so does the cut: whichever of the two comes first closes the bucket, the other finds
            // it closed.
            let mut blocks = Vec::new();
            for _ in 0..2 {
                blocks.push(record(&reported(&mut other, "s3-public-bucket", &bucket).await));
            }
            blocks.sort_by_key(|block| block["outcome"] != "fixed");
            let [block, late] = &blocks[..] else { panic!("two") };

            assert_eq!(
                (&cut["outcome"], &block["outcome"], &late["outcome"]),
                (&json!("fixed"), &json!("fixed"), &json!("compliant")),
                "{round}: {cut} {block} {late}"
            );
            assert_eq!(policy(lab, &bucket).await.unwrap(), policy_of(&[named]));
            assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
            assert_eq!(anonymously(lab, &format!("/{bucket}/scan")).await, 403);
            for record in [&cut, block] {
                assert_eq!(
                    (&record["cause"]["call"], &record["why"]),
                    (&json!("PutBucketPolicy"), &json!("read back and seen"))
                );
            }
            // Whoever came first, the other saw the bucket as it then was.
            let before = (&cut["before"]["look"]["restricted"], &block["before"]["exposure"]["public_policy"]);
            assert!(
                [(&json!(false), &json!(true)), (&json!(true), &json!(true)), (&json!(false), &json!(false))]
                    .contains(&before)
            );
        }
    });
}

#[test]
fn an_acl_that_is_hidden_before_it_is_cut_is_no_drift_and_is_not_claimed() {
    shared(async |lab| {
        let bucket = granting(lab, "scans").await;
        let body = acl(&owner(lab, &bucket).await, &[(ALL_USERS, "WRITE"), (LOG_DELIVERY, "WRITE")]);
        let (mut one, mut other) = (lab.listen(), lab.listen());
        alice(lab).must(Method::PUT, &format!("/{bucket}?acl"), body).await.unwrap();
        let cut = record(&reported(&mut one, "s3-public-acl", &bucket).await);
        let block = record(&reported(&mut other, "s3-public-bucket", &bucket).await);
        assert_eq!((&block["outcome"], settings(lab, &bucket).await.unwrap()), (&json!("fixed"), SETTINGS.to_vec()));
        // The grants may have been out of sight before it looked, or between its look and its write.
        let (outcome, undo) = (cut["outcome"].as_str().unwrap(), &cut["undo"]);
        assert!(outcome == "fixed" || (outcome == "compliant" && *undo == json!([])), "{cut}");
        let left = vec![(LOG_DELIVERY.to_owned(), "WRITE".to_owned())];
        assert_eq!(grants(lab, &bucket).await, left);
        assert_eq!(anonymously(lab, &format!("/{bucket}")).await, 403);
    });
}

#[test]
fn a_new_bucket_is_looked_at_by_all_and_changed_by_who_has_to() {
    shared(async |lab| {
        let bucket = fresh("scans");
        let mut heard: Vec<_> =
            OF_BUCKETS.iter().filter(|name| **name != "s3-public-policy").map(|name| (*name, lab.listen())).collect();
        alice(lab).must(Method::PUT, &format!("/{bucket}"), "").await.unwrap();
        for (control, happenings) in &mut heard {
            let report = reported(happenings, control, &bucket).await;
            let end = if *control == "s3-weak-encryption" { "fixed" } else { "compliant" };
            assert_eq!(outcome(&report), end, "{control}: {}", record(&report));
        }
        assert!(encryption(lab, &bucket).await.unwrap().contains("aws:kms"));
    });
}

/// What AWS Config was told of a resource last.
async fn evaluation(lab: &Lab, resource: &str) -> Option<Value> {
    let told = lab.evaluations("us-east-1").await.unwrap();
    let all = told.iter().rev().flat_map(|call| call["evaluations"].as_array().unwrap().iter().rev());
    all.into_iter().find(|evaluation| evaluation["ComplianceResourceId"] == resource).cloned()
}

#[test]
fn aws_config_is_told_what_became_of_each_resource() {
    alone(async |lab| {
        for control in OF_BUCKETS {
            only(lab, control);
            let (drifted, guarded, gone) = (drifted(lab, control).await, guarded(lab, control).await, fresh("gone"));
            for (bucket, end, compliance) in [
                (&drifted, "fixed", "COMPLIANT"),
                (&drifted, "compliant", "COMPLIANT"),
                (&guarded, "refused", "NON_COMPLIANT"),
                (&gone, "gone", "NOT_APPLICABLE"),
            ] {
                let report = invoke(lab, control, &event_about(control, "rule-change", bucket)).await;
                assert_eq!(last_record(&report)["outcome"], end, "{control}: {}", last_record(&report));
                let told = evaluation(lab, bucket).await.unwrap();
                assert_eq!(told["ComplianceType"], compliance, "{control}: {told}");
                assert_eq!(told["ComplianceResourceType"], "AWS::S3::Bucket");
                let says = told["Annotation"].as_str().unwrap();
                assert!(says.chars().count() <= 256 && !says.is_empty(), "{says}");
            }
        }
        let control = "s3-public-account";
        only(lab, control);
        for (before, compliance) in [(None, "NON_COMPLIANT"), (Some(&SETTINGS[..]), "COMPLIANT")] {
            account_block(lab, before).await;
            // Public websites are there still, of the tests above.
            invoke(lab, control, &event(control, "rule-scheduled")).await;
            let told = evaluation(lab, ACCOUNT).await.unwrap();
            assert_eq!(
                (&told["ComplianceType"], &told["ComplianceResourceType"]),
                (&json!(compliance), &json!("AWS::::Account"))
            );
        }
    });
}

#[test]
fn a_finding_is_resolved_by_a_fix_and_by_nothing_else() {
    alone(async |lab| {
        let mut expected = BTreeMap::new();
        let all: Vec<_> = OF_BUCKETS.iter().copied().chain(["s3-public-account"]).collect();
        for control in &all {
            only(lab, control);
            let account = *control == "s3-public-account";
            for (name, resolved) in [("refused", false), ("fixed", true)] {
                let resource = match (account, resolved) {
                    (true, _) => ACCOUNT.to_owned(),
                    (false, true) => drifted(lab, control).await,
                    (false, false) => guarded(lab, control).await,
                };
                if account && resolved {
                    // The websites of the tests above are closed on purpose.
                    let there = lab.wish("s3/buckets", json!({"prefix": "website"})).await.unwrap();
                    for site in there["buckets"].as_array().unwrap() {
                        quietly(lab, Method::PUT, &format!("/{}?tagging", site[0].as_str().unwrap()), PHI).await;
                    }
                }
                let id = fresh(name);
                let text = event_about(control, "security-hub", &resource).to_string().replace("000000000021", &id);
                let mut happenings = lab.listen();
                let rules = lab.put_event(&serde_json::from_str(&text).unwrap());
                assert!(rules.contains(&format!("suture-{control}-findings")), "{control}: {rules:?}");
                let report = reported(&mut happenings, control, &resource).await;
                assert_eq!(last_record(&report)["outcome"], name, "{control}: {}", last_record(&report));
                expected.insert(id, resolved);
            }
        }
        assert_eq!(account_settings(lab).await.unwrap(), SETTINGS);
        let told = lab.findings("us-east-1").await.unwrap();
        for (id, resolved) in expected {
            let about: Vec<_> = told.iter().filter(|update| update.to_string().contains(&id)).collect();
            assert_eq!(about.len(), usize::from(resolved), "{id}: {about:?}");
            assert!(about.iter().all(|update| update.to_string().contains("RESOLVED")), "{id}: {about:?}");
        }
    });
}

/// What an example event ought to end as, by the beginning of its name.
fn end_of(name: &str) -> &'static str {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| name.starts_with(beginning));
    match name {
        "manual-plan" => "planned",
        "manual-undo" => "undo",
        "other-account" => "refused",
        _ if begins(&["denied-", "own-", "resolved-"]) => "ignored",
        _ if begins(&["hostile-", "unrendered-"]) => "rejected",
        _ => "fixed",
    }
}

#[test]
fn each_example_event_ends_as_its_name_says() {
    alone(async |lab| {
        quietly(lab, Method::PUT, "/clinic-scans", "").await;
        for control in OF_BUCKETS.iter().copied().chain(["s3-public-account"]) {
            only(lab, control);
            // One region: a schedule's look at several would be its queue's.
            lab.set(control, &[("SUTURE_REGIONS", HOME)]).unwrap();
            for file in std::fs::read_dir(workspace().join("events").join(control)).unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                let name = file.trim_end_matches(".json");
                for target in ["/clinic-scans?publicAccessBlock", "/clinic-scans?policy", "/clinic-scans?encryption"] {
                    quietly(lab, Method::DELETE, target, "").await;
                }
                account_block(lab, None).await;
                let controls = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>";
                quietly(lab, Method::PUT, "/clinic-scans?ownershipControls", controls).await;
                if control == "s3-public-policy" {
                    let text = policy_of(&[reads("Viewer", &json!("*"), "clinic-scans")]);
                    quietly(lab, Method::PUT, "/clinic-scans?policy", &text).await;
                }
                let open: &[_] = if control == "s3-public-acl" { &[(ALL_USERS, "READ")] } else { &[] };
                let body = acl(&owner(lab, "clinic-scans").await, open);
                quietly(lab, Method::PUT, "/clinic-scans?acl", &body).await;

                let report = invoke(lab, control, &event(control, name)).await;
                let answer = report.json();
                let mut ends = vec![answer["records"][0]["outcome"].clone(), answer["unread"][0]["as"].clone()];
                let swept = answer["sweeps"][0]["outcomes"].as_object();
                ends.extend(swept.into_iter().flat_map(|outcomes| outcomes.keys().map(|end| json!(end))));
                if report.answer.as_ref().is_ok_and(|said| said.starts_with(b"{\"batchItemFailures\"")) {
                    ends.push(last_record(&report)["outcome"].clone());
                }
                let writes = report.calls.iter().filter(|call| call.writes && call.service.starts_with("s3")).count();
                match end_of(name) {
                    // What it undoes is another run's, and may not be there.
                    "undo" => assert!(answer["records"][0]["undoes"].is_string(), "{control}: {name}: {answer}"),
                    end => {
                        assert!(ends.contains(&json!(end)), "{control}: {name}: {answer}");
                        assert_eq!(writes, usize::from(end == "fixed"), "{control}: {name}: {answer}");
                    }
                }
            }
        }
    });
}

/// Two resources in one process, one after the other: nothing of the first is in what is written to the second.
#[test]
fn what_was_read_of_one_bucket_is_not_written_to_another() {
    shared(async |lab| {
        let partner = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let first = granting(lab, "scans").await;
        let second = bucket_with_acls(lab, "scans").await;
        let given = acl(&owner(lab, &second).await, &[(ALL_USERS, "WRITE"), (partner, "READ")]);
        quietly(lab, Method::PUT, &format!("/{second}?acl"), &given).await;
        for bucket in [&first, &second] {
            assert_eq!(outcome(&invoke(lab, "s3-public-acl", &fix(bucket)).await), "fixed");
        }
        assert_eq!(grants(lab, &first).await, [(LOG_DELIVERY.to_owned(), "WRITE".to_owned())]);
        assert_eq!(grants(lab, &second).await, [(partner.to_owned(), "READ".to_owned())]);
    });
}
