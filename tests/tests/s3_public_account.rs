//! s3-public-account's real binary in the lab. It looks at every bucket of the account and closes all of it, so each test has
//! a lab of its own. What every control does on bad days is in `faults.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use serde_json::{Value, json};
use system_tests::ledger::evidence_bucket;
use system_tests::s3::{
    PHI, SETTINGS, WEBSITE, account_block, account_settings, anonymously, bucket, cost, fix, open_bucket, policy_of,
    public_policy, quietly, undo, website,
};
use system_tests::{
    ACCOUNT, HOME, OTHER_ACCOUNT, alice, alone, event, faults, fire, invoke, only, outcome, record, reported, variant,
    writes,
};

const FUNCTION: &str = "s3-public-account";

/// Runs a test in a lab in which nobody else closes or opens anything.
fn by_itself(test: impl AsyncFnOnce(&Lab)) {
    alone(async |lab| {
        only(lab, FUNCTION);
        test(lab).await;
    });
}

fn survey(record: &Value) -> &Value {
    &record["before"]["survey"]
}

/// How many buckets of every account are Suture's own: that of the evidence, which is closed.
const OWN: usize = 1;

/// The ids of what a record says would break.
fn breaks(record: &Value) -> Vec<&str> {
    record["breaks"].as_array().unwrap().iter().map(|risk| risk["id"].as_str().unwrap()).collect()
}

#[test]
fn what_it_costs() {
    by_itself(async |lab| {
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        let told = event(FUNCTION, "delete-account-public-access-block");
        let expect = |outcome: &str, calls: &[&str], trips: usize| {
            let mut calls: Vec<_> = calls.iter().map(|name| (*name).to_owned()).collect();
            calls.sort();
            (outcome.to_owned(), calls, trips)
        };
        // An account without buckets but Suture's own, of evidence: its block, the listing, and that bucket's block.
        let none = ["s3control:GetPublicAccessBlock", "s3:ListBuckets", "s3:GetPublicAccessBlock"];
        assert_eq!(cost(lab, "planning", &told).await, expect("planned", &none, 3));
        // A bucket that its own block closes costs one read more, an open one four, a website six.
        bucket(lab, "closed").await;
        let closed = [&none[..], &["s3:GetPublicAccessBlock"]].concat();
        assert_eq!(cost(lab, "planning", &told).await, expect("planned", &closed, 3));
        open_bucket(lab, "open").await;
        let four = ["s3:GetPublicAccessBlock", "s3:GetBucketPolicyStatus", "s3:GetBucketAcl", "s3:GetBucketWebsite"];
        let open = [&closed[..], &four].concat();
        assert_eq!(cost(lab, "planning", &told).await, expect("planned", &open, 4));
        let site = open_bucket(lab, "website").await;
        quietly(lab, Method::PUT, &format!("/{site}?website"), WEBSITE).await;
        quietly(lab, Method::PUT, &format!("/{site}?tagging"), PHI).await;
        let site = [&open[..], &four, &["s3:GetBucketTagging", "s3:GetBucketOwnershipControls"]].concat();
        assert_eq!(cost(lab, "planning", &told).await, expect("planned", &site, 6));
        // The reading-back shows a whole block, and asks no more.
        let written = ["s3control:PutPublicAccessBlock", "s3control:GetPublicAccessBlock"];
        assert_eq!(cost(lab, FUNCTION, &told).await, expect("fixed", &[&site[..], &written].concat(), 8));
        assert_eq!(cost(lab, FUNCTION, &told).await, expect("compliant", &none[..1], 1));
    });
}

#[test]
fn a_deleted_block_is_put_back_by_one_invocation_and_every_bucket_closes() {
    by_itself(async |lab| {
        account_block(lab, Some(&SETTINGS)).await;
        let open = open_bucket(lab, "open").await;
        let deleted = async || {
            let mut happenings = lab.listen();
            let answer = alice(lab).account_block(Method::DELETE, ACCOUNT, "").await.unwrap();
            assert_eq!(answer.status, 204);
            reported(&mut happenings, FUNCTION, ACCOUNT).await
        };
        let report = deleted().await;
        let fixed = record(&report);
        assert_eq!((&fixed["outcome"], report.attempt), (&json!("fixed"), 1), "{fixed}");
        assert_eq!(fixed["cause"]["call"], "DeleteAccountPublicAccessBlock");
        assert_eq!(account_settings(lab).await.unwrap(), SETTINGS);
        assert_eq!((&fixed["before"]["block"], writes(&report)), (&Value::Null, 1));
        assert_eq!(survey(&fixed)["buckets"], 1 + OWN);

        account_block(lab, None).await;
        quietly(lab, Method::PUT, &format!("/{open}?policy"), &public_policy(&open)).await;
        quietly(lab, Method::PUT, &format!("/{open}/scan"), "x").await;
        assert_eq!(anonymously(lab, &format!("/{open}/scan")).await, 200);
        let fixed = record(&invoke(lab, FUNCTION, &fix(ACCOUNT)).await);
        assert_eq!((&fixed["outcome"], breaks(&fixed)), (&json!("fixed"), vec!["public-policy", "public-acl-uploads"]));
        assert_eq!(survey(&fixed)["public_policies"], json!({"count": 1, "first": [open]}));
        assert_eq!(anonymously(lab, &format!("/{open}/scan")).await, 403);
    });
}

#[test]
fn a_partial_block_is_filled_and_given_back_as_it_was() {
    by_itself(async |lab| {
        for before in [None, Some(&["BlockPublicAcls", "IgnorePublicAcls"][..]), Some(&["RestrictPublicBuckets"])] {
            account_block(lab, before).await;
            let fixed = record(&invoke(lab, FUNCTION, &fix(ACCOUNT)).await);
            assert_eq!((&fixed["outcome"], account_settings(lab).await), (&json!("fixed"), Some(SETTINGS.to_vec())));
            let undone = invoke(lab, FUNCTION, &undo(&fixed)).await;
            assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 1), "{}", record(&undone));
            assert_eq!(account_settings(lab).await, before.map(<[&str]>::to_vec));
            let twice = invoke(lab, FUNCTION, &undo(&fixed)).await;
            assert_eq!((outcome(&twice), writes(&twice)), ("undone".into(), 0));
            let redone = invoke(lab, FUNCTION, &undo(&record(&undone))).await;
            assert_eq!((outcome(&redone), account_settings(lab).await), ("undone".into(), Some(SETTINGS.to_vec())));
        }
    });
}

#[test]
fn a_public_website_anywhere_in_the_account_is_darkened_only_on_purpose() {
    by_itself(async |lab| {
        let home = website(lab).await;
        // Another region's counts too: the account's block holds everywhere.
        let (quiet, far) = (lab.quiet_client("eu-west-1"), system_tests::fresh("website-far"));
        let place =
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        for (method, target, body) in [
            (Method::PUT, format!("/{far}"), place),
            (Method::DELETE, format!("/{far}?publicAccessBlock"), ""),
            (Method::PUT, format!("/{far}?website"), WEBSITE),
            (Method::PUT, format!("/{far}?policy"), &public_policy(&far)),
        ] {
            quiet.must(method, &target, body.to_owned()).await.unwrap();
        }
        let report = invoke(lab, FUNCTION, &fix(ACCOUNT)).await;
        let refused = record(&report);
        assert_eq!((&refused["refused_by"], writes(&report)), (&json!("public-website"), 0), "{refused}");
        let why = refused["why"].as_str().unwrap();
        assert!(why.contains(&home) && why.contains(&far), "{why}");
        assert_eq!(account_settings(lab).await, None);
        // Where no website is open by itself any more, nothing is darkened.
        quiet.must(Method::PUT, &format!("/{far}?tagging"), PHI).await.unwrap();
        quietly(lab, Method::PUT, &format!("/{home}?tagging"), PHI).await;
        let fixed = record(&invoke(lab, FUNCTION, &fix(ACCOUNT)).await);
        assert_eq!(fixed["outcome"], "fixed", "{fixed}");
        assert!(breaks(&fixed).contains(&"phi-website") && !breaks(&fixed).contains(&"public-website"));

        quietly(lab, Method::DELETE, &format!("/{home}?tagging"), "").await;
        account_block(lab, None).await;
        let mut asked = fix(ACCOUNT);
        asked["override"] = json!(["public-website"]);
        assert_eq!(outcome(&invoke(lab, FUNCTION, &asked).await), "fixed");
        account_block(lab, None).await;
        let parameters = r#"{"phi_tag":"data-classification=phi","public_websites":"close"}"#;
        variant(lab, FUNCTION, "closing", &[("SUTURE_PARAMETERS", parameters)]);
        assert_eq!(outcome(&invoke(lab, "closing", &fix(ACCOUNT)).await), "fixed");
    });
}

/// A rival reports success though it saw nothing.
#[test]
fn buckets_that_nobody_may_look_at_are_named_and_stop_a_fix_only_if_they_are_all() {
    by_itself(async |lab| {
        let (dark, own) = (open_bucket(lab, "dark").await, evidence_bucket(lab));
        for bucket in [&dark, &own] {
            let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:GetBucketPublicAccessBlock",
                "Resource": format!("arn:aws:s3:::{bucket}")});
            quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &policy_of(&[deny])).await;
        }
        let report = invoke(lab, FUNCTION, &fix(ACCOUNT)).await;
        assert_eq!((record(&report)["refused_by"].clone(), writes(&report)), (json!("unknown-buckets"), 0));
        quietly(lab, Method::DELETE, &format!("/{own}?policy"), "").await;
        let fixed = record(&invoke(lab, FUNCTION, &fix(ACCOUNT)).await);
        assert_eq!(fixed["outcome"], "fixed", "{fixed}");
        let unknown = format!("{dark}: s3:GetBucketPublicAccessBlock denied");
        assert_eq!(survey(&fixed)["unknown"], json!({"count": 1, "first": [unknown]}));
        assert!(breaks(&fixed).contains(&"unknown-buckets"));
    });
}

#[test]
fn a_bucket_that_is_deleted_while_all_are_looked_at_stops_nothing() {
    by_itself(async |lab| {
        let (goes, stays) = (open_bucket(lab, "goes").await, open_bucket(lab, "stays").await);
        faults(lab, &["s3:GetBucketPolicyStatus=latency:400"]);
        let mut happenings = lab.listen();
        let (report, ()) = tokio::join!(async { invoke(lab, FUNCTION, &fix(ACCOUNT)).await }, async {
            // Its block has been read, and what is read next takes its time.
            loop {
                if let lab::gateway::Happening::Call(call) = happenings.recv().await.unwrap()
                    && call.operation == "GetPublicAccessBlock"
                    && call.resource.as_deref() == Some(&goes)
                {
                    break;
                }
            }
            quietly(lab, Method::DELETE, &format!("/{goes}"), "").await;
        });
        let fixed = record(&report);
        let seen = (&fixed["outcome"], &survey(&fixed)["buckets"]);
        assert_eq!(seen, (&json!("fixed"), &json!(1 + OWN)), "{stays}: {fixed}");
        assert_eq!(survey(&fixed)["unknown"]["count"], 0);
    });
}

#[test]
fn what_the_organization_sets_is_its_to_mend() {
    by_itself(async |lab| {
        faults(lab, &["s3control:PutPublicAccessBlock=denied-by-organization"]);
        let report = invoke(lab, FUNCTION, &fix(ACCOUNT)).await;
        let record = record(&report);
        assert_eq!(record["outcome"], "blocked-by-organization", "{record}");
        assert!(record["why"].as_str().unwrap().contains("s3:PutAccountPublicAccessBlock"), "{record}");
        assert_eq!((account_settings(lab).await, &record["undo"]), (None, &json!([])));
    });
}

#[test]
fn another_accounts_block_is_not_touched() {
    by_itself(async |lab| {
        let report = invoke(lab, FUNCTION, &event(FUNCTION, "other-account")).await;
        assert_eq!((record(&report)["refused_by"].clone(), report.calls.len()), (json!("account"), 0));
        let asked = json!({"resource": OTHER_ACCOUNT, "account": ACCOUNT, "mode": "enforce"});
        let report = invoke(lab, FUNCTION, &asked).await;
        assert_eq!((outcome(&report), report.calls.len()), ("failed".into(), 0), "{}", record(&report));
        let theirs = lab.client(OTHER_ACCOUNT, HOME).account_block(Method::GET, OTHER_ACCOUNT, "").await.unwrap();
        assert_eq!(theirs.status, 404);
    });
}

#[test]
fn a_large_account_is_looked_at_whole_and_its_record_stays_small() {
    by_itself(async |lab| {
        let policy = public_policy("BUCKET");
        let open = json!({"count": 120, "prefix": "clinic", "open": true, "policy": policy});
        lab.wish("s3/fill", open).await.unwrap();
        lab.wish("s3/fill", json!({"count": 180, "prefix": "ward"})).await.unwrap();
        let report = invoke(lab, FUNCTION, &fix(ACCOUNT)).await;
        let fixed = record(&report);
        assert_eq!(fixed["outcome"], "fixed", "{}", fixed["why"]);
        assert_eq!(
            (&survey(&fixed)["buckets"], &survey(&fixed)["public_policies"]["count"]),
            (&json!(300 + OWN), &json!(120))
        );
        assert_eq!(survey(&fixed)["public_policies"]["first"].as_array().unwrap().len(), 50);
        assert!(fixed.to_string().len() < 10_000, "{} bytes", fixed.to_string().len());
        // One block, one page, each closed bucket once, each open one four times; the block written and read back.
        assert_eq!(report.calls.len(), 2 + 180 + OWN + 4 * 120 + 2);
    });
}

#[test]
fn a_sweep_finds_what_no_event_reported() {
    by_itself(async |lab| {
        account_block(lab, Some(&["BlockPublicAcls"])).await;
        let reports = fire(lab, FUNCTION).await;
        let swept: Vec<_> = reports.iter().map(|report| report.json()["sweeps"][0]["outcomes"].clone()).collect();
        assert!(swept.contains(&json!({"fixed": 1})), "{swept:?}");
        assert_eq!(account_settings(lab).await.unwrap(), SETTINGS);
    });
}
