//! s3-public-policy's real binary in the lab. What every control does on bad days is in `faults.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::s3::{
    PHI, account_block, anonymously, block, bucket, cost, event_about, fix, open_bucket, policy, policy_of,
    public_policy, quietly, reads, settings, undo, website,
};
use system_tests::{
    HOME, OTHER_ACCOUNT, about_to_write, alice, alone, faults, fire, fresh, invoke, leads_to, only, outcome, record,
    shared, variant, writes,
};

const FUNCTION: &str = "s3-public-policy";

/// A policy as somebody wrote it by hand: a public statement, one for everybody and a partner, a Deny, and one for a partner.
const BY_HAND: &str = r#"{ "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Viewer", "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::BUCKET/*"},
    {"Sid":"Both","Effect":"Allow","Principal":{"AWS":["*","arn:aws:iam::444455556666:role/reader"]},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::BUCKET"},
    { "Sid" : "Tls" , "Effect" : "Deny" , "Principal" : "*" , "Action" : "s3:*" , "Resource" : "arn:aws:s3:::BUCKET/*",
      "Condition": {"Bool": {"aws:SecureTransport": "false"}} },
    {"Sid":"Partner","Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::BUCKET/in/*"}
  ]
}"#;

/// A bucket without a block and with this policy, in which BUCKET stands for its name.
async fn with_policy(lab: &Lab, text: &str) -> (String, String) {
    let bucket = open_bucket(lab, "scans").await;
    let text = text.replace("BUCKET", &bucket);
    quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &text).await;
    (bucket, text)
}

fn partner() -> Value {
    json!({"AWS": format!("arn:aws:iam::{OTHER_ACCOUNT}:root")})
}

/// A statement for everybody under a condition.
fn under(condition: &Value) -> String {
    let mut statement = reads("Conditional", &json!("*"), "BUCKET");
    statement["Condition"] = condition.clone();
    policy_of(&[statement])
}

/// A statement that this control does not understand, and that S3 calls public.
fn unclear() -> Value {
    let mut statement = reads("Roles", &json!("*"), "BUCKET");
    let roles = "arn:aws:iam::111122223333:role/*";
    statement["Condition"] = json!({"StringLike": {"aws:PrincipalArn": roles}});
    statement
}

#[test]
fn what_it_costs() {
    const LOOK: [&str; 4] =
        ["s3:GetBucketPolicy", "s3:GetBucketPolicyStatus", "s3:GetBucketWebsite", "s3:GetPublicAccessBlock"];
    alone(async |lab| {
        only(lab, FUNCTION);
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        let told = async |function: &str, bucket: &str| {
            cost(lab, function, &event_about(FUNCTION, "put-bucket-policy", bucket)).await
        };
        let expect = |outcome: &str, calls: &[&str], trips: usize| {
            let mut calls: Vec<_> = calls.iter().map(|name| (*name).to_owned()).collect();
            calls.sort();
            (outcome.to_owned(), calls, trips)
        };
        let none = bucket(lab, "scans").await;
        assert_eq!(told(FUNCTION, &none).await, expect("compliant", &LOOK[..1], 1));
        let (named, _) = with_policy(lab, &policy_of(&[reads("Partner", &partner(), "BUCKET")])).await;
        assert_eq!(told(FUNCTION, &named).await, expect("compliant", &LOOK[..1], 1));
        // Conditions are all that stands between it and everybody: S3 is asked too.
        let (tied, _) =
            with_policy(lab, &under(&json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}))).await;
        assert_eq!(told(FUNCTION, &tied).await, expect("compliant", &LOOK[..2], 2));

        let (open, _) = with_policy(lab, BY_HAND).await;
        assert_eq!(told("planning", &open).await, expect("planned", &LOOK, 2));
        let again = ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:GetBucketPolicy"];
        assert_eq!(told(FUNCTION, &open).await, expect("fixed", &[&LOOK[..], &again].concat(), 5));
        let website = website(lab).await;
        quietly(lab, Method::PUT, &format!("/{website}?tagging"), PHI).await;
        let again = ["s3:GetBucketTagging", "s3:GetBucketPolicy", "s3:DeleteBucketPolicy", "s3:GetBucketPolicy"];
        assert_eq!(told(FUNCTION, &website).await, expect("fixed", &[&LOOK[..], &again].concat(), 6));
    });
}

#[test]
fn a_public_statement_is_cut_out_and_the_rest_stays_letter_by_letter() {
    alone(async |lab| {
        // What this control writes wakes s3-public-bucket, under whose block nothing can be taken back.
        only(lab, FUNCTION);
        let (bucket, text) = with_policy(lab, BY_HAND).await;
        assert_eq!(anonymously(lab, &format!("/{bucket}")).await, 200, "everybody may list it");
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        let fixed = record(&report);
        assert_eq!((&fixed["outcome"], writes(&report)), (&json!("fixed"), 1), "{fixed}");
        let mut left = text.replace(
            r#"["*","arn:aws:iam::444455556666:role/reader"]"#,
            r#"["arn:aws:iam::444455556666:role/reader"]"#,
        );
        let viewer = left.find(r#"{"Sid": "Viewer""#).unwrap();
        let both = left.find(r#"{"Sid":"Both""#).unwrap();
        left.replace_range(viewer..both, "");
        assert_eq!(policy(lab, &bucket).await.unwrap(), left);
        assert_eq!(anonymously(lab, &format!("/{bucket}")).await, 403);

        // Back, byte for byte; twice is once; and forth again.
        let undone = invoke(lab, FUNCTION, &undo(&fixed)).await;
        assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 1), "{}", record(&undone));
        assert_eq!(policy(lab, &bucket).await.unwrap(), text);
        let twice = invoke(lab, FUNCTION, &undo(&fixed)).await;
        assert_eq!((outcome(&twice), writes(&twice)), ("undone".into(), 0));
        assert_eq!(outcome(&invoke(lab, FUNCTION, &undo(&record(&undone))).await), "undone");
        assert_eq!(policy(lab, &bucket).await.unwrap(), left);
    });
}

#[test]
fn a_policy_of_which_nothing_is_left_is_deleted_and_can_be_put_back() {
    alone(async |lab| {
        // What this control writes wakes s3-public-bucket, under whose block nothing can be taken back.
        only(lab, FUNCTION);
        let (bucket, text) = with_policy(lab, &public_policy("BUCKET")).await;
        let fixed = record(&invoke(lab, FUNCTION, &fix(&bucket)).await);
        assert_eq!((&fixed["outcome"], policy(lab, &bucket).await), (&json!("fixed"), None));
        let undone = invoke(lab, FUNCTION, &undo(&fixed)).await;
        assert_eq!((outcome(&undone), policy(lab, &bucket).await), ("undone".into(), Some(text)));
        let redone = invoke(lab, FUNCTION, &undo(&record(&undone))).await;
        assert_eq!((outcome(&redone), policy(lab, &bucket).await), ("undone".into(), None));
    });
}

#[test]
fn a_call_by_somebody_careless_is_mended_by_one_invocation() {
    shared(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        let text = policy_of(&[reads("Viewer", &json!("*"), &bucket), reads("Partner", &partner(), &bucket)]);
        let report = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &format!("/{bucket}?policy"), text).await;
        let record = record(&report);
        assert_eq!(record["outcome"], "fixed", "{record}");
        assert_eq!((&record["cause"]["call"], report.attempt), (&json!("PutBucketPolicy"), 1));
        assert_eq!(report.rule.as_deref(), Some("suture-s3-public-policy"));
        assert_eq!(policy(lab, &bucket).await.unwrap(), policy_of(&[reads("Partner", &partner(), &bucket)]));
        // Its own write woke it no second time: the next invocation is about somebody's next call.
        let text = policy_of(&[reads("Partner", &partner(), &bucket)]);
        let next = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &format!("/{bucket}?policy"), text).await;
        assert_eq!((outcome(&next), writes(&next)), ("compliant".into(), 0));
    });
}

#[test]
fn a_public_website_is_closed_only_on_purpose() {
    shared(async |lab| {
        let bucket = website(lab).await;
        let text = policy(lab, &bucket).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!((outcome(&report), writes(&report)), ("refused".into(), 0));
        assert_eq!((&record(&report)["refused_by"], policy(lab, &bucket).await), (&json!("public-website"), text));
        let mut asked = fix(&bucket);
        asked["override"] = json!(["public-website"]);
        let report = invoke(lab, FUNCTION, &asked).await;
        assert_eq!((outcome(&report), policy(lab, &bucket).await), ("fixed".into(), None));
        assert_eq!(record(&report)["override"], json!(["public-website"]));

        let health = website(lab).await;
        quietly(lab, Method::PUT, &format!("/{health}?tagging"), PHI).await;
        let fixed = record(&invoke(lab, FUNCTION, &fix(&health)).await);
        let breaks: Vec<_> = fixed["breaks"].as_array().unwrap().iter().map(|risk| risk["id"].as_str()).collect();
        assert_eq!((&fixed["outcome"], breaks), (&json!("fixed"), vec![Some("public-website"), Some("public-policy")]));

        let parameters = r#"{"phi_tag":"data-classification=phi","public_websites":"close"}"#;
        variant(lab, FUNCTION, "closing", &[("SUTURE_PARAMETERS", parameters)]);
        let bucket = website(lab).await;
        assert_eq!(outcome(&invoke(lab, "closing", &fix(&bucket)).await), "fixed");
    });
}

/// A rival deletes the policy, or the statement, by its principal alone.
#[test]
fn what_only_seems_public_is_left_alone() {
    shared(async |lab| {
        for condition in [
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
            json!({"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}),
            json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        ] {
            let (bucket, text) = with_policy(lab, &under(&condition)).await;
            let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
            assert_eq!((outcome(&report), writes(&report)), ("compliant".into(), 0), "{condition}");
            assert_eq!(policy(lab, &bucket).await.unwrap(), text);
        }
        // And what only seems tied is not.
        for condition in [
            json!({"Bool": {"aws:SecureTransport": "true"}}),
            json!({"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}),
            json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        ] {
            let (bucket, _) = with_policy(lab, &under(&condition)).await;
            assert_eq!(outcome(&invoke(lab, FUNCTION, &fix(&bucket)).await), "fixed", "{condition}");
            assert_eq!(policy(lab, &bucket).await, None, "{condition}");
        }
    });
}

#[test]
fn what_is_not_understood_is_reported_and_stays() {
    shared(async |lab| {
        let (bucket, text) = with_policy(lab, &policy_of(&[unclear()])).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!(
            (outcome(&report), record(&report)["refused_by"].clone()),
            ("refused".into(), json!("not-understood"))
        );
        assert_eq!((writes(&report), policy(lab, &bucket).await), (0, Some(text)));

        // Beside one that is plainly public, that one goes, and nobody claims that this is all.
        let both = policy_of(&[reads("Viewer", &json!("*"), "BUCKET"), unclear()]);
        let (bucket, _) = with_policy(lab, &both).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!((outcome(&report), writes(&report)), ("partly-fixed".into(), 1), "{}", record(&report));
        let left = policy_of(&[unclear()]).replace("BUCKET", &bucket);
        assert_eq!(policy(lab, &bucket).await.unwrap(), left);

        // S3 would not take what is left while the bucket refuses public policies: nothing is edited.
        let (bucket, text) = with_policy(lab, &both).await;
        quietly(lab, Method::PUT, &format!("/{bucket}?publicAccessBlock"), &block(&["BlockPublicPolicy"])).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!(record(&report)["refused_by"], "block-public-policy");
        assert_eq!((writes(&report), policy(lab, &bucket).await), (0, Some(text)));
    });
}

#[test]
fn with_the_account_refusing_public_policies_what_is_left_is_taken_and_an_undo_is_not() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let (bucket, _) = with_policy(lab, BY_HAND).await;
        account_block(lab, Some(&["BlockPublicPolicy"])).await;
        let fixed = record(&invoke(lab, FUNCTION, &fix(&bucket)).await);
        assert_eq!(fixed["outcome"], "fixed", "{fixed}");
        let left = policy(lab, &bucket).await;
        // The account's block is not the bucket's own: only S3's refusal tells.
        let report = invoke(lab, FUNCTION, &undo(&fixed)).await;
        let why = record(&report)["why"].as_str().unwrap().to_owned();
        assert_eq!(outcome(&report), "failed", "{why}");
        assert!(why.contains("BlockPublicPolicy") && why.contains("s3-public-account"), "{why}");
        assert_eq!(policy(lab, &bucket).await, left);
        // The bucket's own is seen before the write.
        account_block(lab, None).await;
        quietly(lab, Method::PUT, &format!("/{bucket}?publicAccessBlock"), &block(&["BlockPublicPolicy"])).await;
        let report = invoke(lab, FUNCTION, &undo(&fixed)).await;
        assert_eq!((outcome(&report), writes(&report)), ("failed".into(), 0));
        quietly(lab, Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
        assert_eq!(outcome(&invoke(lab, FUNCTION, &undo(&fixed)).await), "undone");
    });
}

#[test]
fn what_somebody_writes_between_look_and_write_is_not_lost() {
    alone(async |lab| {
        only(lab, FUNCTION);
        for (new, rest) in [
            (policy_of(&[reads("Other", &json!("*"), "BUCKET"), reads("New", &partner(), "BUCKET")]), true),
            (policy_of(&[reads("New", &partner(), "BUCKET")]), true),
            (String::new(), false),
        ] {
            let (bucket, _) = with_policy(lab, BY_HAND).await;
            let new = new.replace("BUCKET", &bucket);
            let method = if new.is_empty() { Method::DELETE } else { Method::PUT };
            faults(lab, &["s3:GetBucketPolicy=latency:400"]);
            let mut happenings = lab.listen();
            let (report, _) = tokio::join!(async { invoke(lab, FUNCTION, &fix(&bucket)).await }, async {
                about_to_write(&mut happenings).await;
                quietly(lab, method, &format!("/{bucket}?policy"), &new).await
            });
            let public = new.contains("Other");
            let expected = if public { ("fixed", 1) } else { ("compliant", 0) };
            assert_eq!((&*outcome(&report), writes(&report)), expected, "{}", record(&report));
            let left = rest.then(|| policy_of(&[reads("New", &partner(), &bucket)]));
            assert_eq!(policy(lab, &bucket).await, left);
            if public {
                let undone = invoke(lab, FUNCTION, &undo(&record(&report))).await;
                assert_eq!((outcome(&undone), policy(lab, &bucket).await), ("undone".into(), Some(new)));
            }
        }
    });
}

#[test]
fn a_bucket_that_goes_or_is_gone_or_is_somebody_elses() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let (bucket, _) = with_policy(lab, BY_HAND).await;
        faults(lab, &["s3:PutBucketPolicy=latency:400"]);
        let mut happenings = lab.listen();
        let (report, _) = tokio::join!(async { invoke(lab, FUNCTION, &fix(&bucket)).await }, async {
            about_to_write(&mut happenings).await;
            quietly(lab, Method::DELETE, &format!("/{bucket}"), "").await
        });
        faults(lab, &[]);
        assert_eq!((outcome(&report), record(&report)["undo"].clone()), ("gone".into(), json!([])));
        let report = invoke(lab, FUNCTION, &fix(&fresh("gone"))).await;
        assert_eq!((outcome(&report), report.calls.len()), ("gone".into(), 1));

        let theirs = fresh("partner");
        let client = lab.client(OTHER_ACCOUNT, HOME);
        client.must(Method::PUT, &format!("/{theirs}"), "").await.unwrap();
        client.must(Method::DELETE, &format!("/{theirs}?publicAccessBlock"), "").await.unwrap();
        client.must(Method::PUT, &format!("/{theirs}?policy"), public_policy(&theirs)).await.unwrap();
        let report = invoke(lab, FUNCTION, &fix(&theirs)).await;
        assert_eq!((outcome(&report), writes(&report)), ("failed".into(), 0));
        assert!(record(&report)["why"].as_str().unwrap().contains("belongs to another account"));
        let report = invoke(lab, FUNCTION, &event_about(FUNCTION, "other-account", &theirs)).await;
        assert_eq!((record(&report)["refused_by"].clone(), report.calls.len()), (json!("account"), 0));
    });
}

#[test]
fn a_sweep_finds_what_no_event_reported() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(with_policy(lab, BY_HAND).await.0);
        }
        let (site, kept) = (website(lab).await, bucket(lab, "scans").await);
        let reports = fire(lab, FUNCTION).await;
        let outcomes: BTreeMap<String, usize> =
            serde_json::from_value(reports[0].json()["sweeps"][0]["outcomes"].clone()).unwrap();
        // Compliant: the one without a policy, and Suture's own, of evidence.
        let expected = BTreeMap::from([("fixed".into(), 3), ("refused".into(), 1), ("compliant".into(), 2)]);
        assert_eq!(outcomes, expected, "{}", reports[0].json());
        for bucket in &open {
            assert!(!policy(lab, bucket).await.unwrap().contains("Viewer"));
        }
        assert!(policy(lab, &site).await.is_some() && policy(lab, &kept).await.is_none());
        assert_eq!(settings(lab, &kept).await.unwrap().len(), 4);
    });
}
