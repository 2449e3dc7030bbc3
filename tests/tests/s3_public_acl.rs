//! s3-public-acl's real binary in the lab. What every control does on bad days is in `faults.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use lab::gateway::Happening;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::s3::{
    ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY, PHI, WEBSITE, account_block, acl, anonymously, block, bucket,
    bucket_with_acls, cost, event_about, fix, grants, owner, quietly, undo,
};
use system_tests::{
    HOME, OTHER_ACCOUNT, about_to_write, alice, alone, faults, fire, fresh, invoke, leads_to, only, outcome, record,
    shared, variant, writes,
};

const FUNCTION: &str = "s3-public-acl";
/// Somebody else's canonical id.
const PARTNER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A bucket, without a block, whose ACL grants this besides the owner's own.
async fn granting(lab: &Lab, given: &[(&str, &str)]) -> String {
    let bucket = bucket_with_acls(lab, "scans").await;
    grant(lab, &bucket, given).await;
    bucket
}

async fn grant(lab: &Lab, bucket: &str, given: &[(&str, &str)]) {
    let owner = owner(lab, bucket).await;
    quietly(lab, Method::PUT, &format!("/{bucket}?acl"), &acl(&owner, given)).await;
}

/// The same as a website.
async fn site(lab: &Lab, given: &[(&str, &str)]) -> String {
    let bucket = granting(lab, given).await;
    quietly(lab, Method::PUT, &format!("/{bucket}?website"), WEBSITE).await;
    bucket
}

fn sorted(given: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all: Vec<_> = given.iter().map(|(to, what)| ((*to).to_owned(), (*what).to_owned())).collect();
    all.sort();
    all
}

#[test]
fn what_it_costs() {
    const LOOK: [&str; 4] =
        ["s3:GetBucketAcl", "s3:GetBucketOwnershipControls", "s3:GetBucketWebsite", "s3:GetPublicAccessBlock"];
    alone(async |lab| {
        only(lab, FUNCTION);
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        let told = async |function: &str, bucket: &str| {
            cost(lab, function, &event_about(FUNCTION, "put-bucket-acl", bucket)).await
        };
        let expect = |outcome: &str, calls: &[&str], trips: usize| {
            let mut calls: Vec<_> = calls.iter().map(|name| (*name).to_owned()).collect();
            calls.sort();
            (outcome.to_owned(), calls, trips)
        };
        // The event is old, so one look settles it. New buckets have no ACLs; this one's names a partner.
        assert_eq!(told(FUNCTION, &bucket(lab, "scans").await).await, expect("compliant", &LOOK[..1], 1));
        let named = granting(lab, &[(PARTNER, "READ"), (LOG_DELIVERY, "WRITE")]).await;
        assert_eq!(told(FUNCTION, &named).await, expect("compliant", &LOOK[..1], 1));
        let open = granting(lab, &[(ALL_USERS, "READ")]).await;
        assert_eq!(told("planning", &open).await, expect("planned", &LOOK, 2));
        let again = ["s3:GetBucketAcl", "s3:PutBucketAcl", "s3:GetBucketAcl"];
        assert_eq!(told(FUNCTION, &open).await, expect("fixed", &[&LOOK[..], &again].concat(), 5));
        let site = site(lab, &[(ALL_USERS, "READ")]).await;
        quietly(lab, Method::PUT, &format!("/{site}?tagging"), PHI).await;
        let again = [&LOOK[..], &["s3:GetBucketTagging"], &again].concat();
        assert_eq!(told(FUNCTION, &site).await, expect("fixed", &again, 6));
    });
}

/// A rival writes the canned ACL `private`, and access logs end.
#[test]
fn public_grants_go_and_every_other_stays() {
    shared(async |lab| {
        let named = [(PARTNER, "READ"), (LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP"), (PARTNER, "WRITE_ACP")];
        for public in [
            &[(ALL_USERS, "READ")][..],
            &[(AUTHENTICATED_USERS, "READ")],
            &[(ALL_USERS, "WRITE"), (ALL_USERS, "READ"), (AUTHENTICATED_USERS, "READ_ACP"), (ALL_USERS, "WRITE_ACP")],
            &[(AUTHENTICATED_USERS, "FULL_CONTROL")],
        ] {
            let given = [&named[..2], public, &named[2..]].concat();
            let bucket = granting(lab, &given).await;
            let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
            let fixed = record(&report);
            assert_eq!((&fixed["outcome"], writes(&report)), (&json!("fixed"), 1), "{fixed}");
            assert_eq!(grants(lab, &bucket).await, sorted(&named));
            // The owner's own grant is there too.
            let answer = quietly(lab, Method::GET, &format!("/{bucket}?acl"), "").await;
            assert!(String::from_utf8_lossy(&answer.body).contains("FULL_CONTROL"));
        }
    });
}

#[test]
fn a_call_by_somebody_careless_is_mended_by_one_invocation_and_taken_back_by_its_record() {
    alone(async |lab| {
        // s3-public-bucket would close the bucket at the same time, and there would be nothing to take back.
        only(lab, FUNCTION);
        let bucket = granting(lab, &[(PARTNER, "READ")]).await;
        let public = sorted(&[(ALL_USERS, "READ"), (PARTNER, "READ")]);
        let body = acl(&owner(lab, &bucket).await, &[(ALL_USERS, "READ"), (PARTNER, "READ")]);
        let report = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &format!("/{bucket}?acl"), body).await;
        let fixed = record(&report);
        assert_eq!((&fixed["outcome"], &fixed["cause"]["call"]), (&json!("fixed"), &json!("PutBucketAcl")), "{fixed}");
        assert_eq!(grants(lab, &bucket).await, sorted(&[(PARTNER, "READ")]));
        assert_eq!(anonymously(lab, &format!("/{bucket}")).await, 403);

        let undone = invoke(lab, FUNCTION, &undo(&fixed)).await;
        assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 1), "{}", record(&undone));
        assert_eq!(grants(lab, &bucket).await, public);
        assert_eq!(anonymously(lab, &format!("/{bucket}")).await, 200);
        let twice = invoke(lab, FUNCTION, &undo(&fixed)).await;
        assert_eq!((outcome(&twice), writes(&twice)), ("undone".into(), 0));
        let redone = invoke(lab, FUNCTION, &undo(&record(&undone))).await;
        assert_eq!((outcome(&redone), grants(lab, &bucket).await), ("undone".into(), sorted(&[(PARTNER, "READ")])));
    });
}

#[test]
fn grants_that_are_ignored_are_seen_when_they_count_again() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let bucket = granting(lab, &[(ALL_USERS, "READ")]).await;
        let target = format!("/{bucket}?publicAccessBlock");
        quietly(lab, Method::PUT, &target, &block(&["IgnorePublicAcls"])).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!((outcome(&report), report.calls.len()), ("compliant".into(), 1), "S3 shows what has effect");
        let report = leads_to(lab, FUNCTION, &alice(lab), Method::DELETE, &target, "").await;
        assert_eq!((outcome(&report), grants(lab, &bucket).await), ("fixed".into(), vec![]));
        assert_eq!(record(&report)["cause"]["call"], "DeleteBucketPublicAccessBlock");
    });
}

#[test]
fn an_undo_under_a_block_fails_and_says_what_to_take_back_first() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let bucket = granting(lab, &[(ALL_USERS, "READ")]).await;
        let fixed = record(&invoke(lab, FUNCTION, &fix(&bucket)).await);
        assert_eq!(fixed["outcome"], "fixed");
        for own in [true, false] {
            for setting in ["BlockPublicAcls", "IgnorePublicAcls"] {
                // What the account's block only hides, S3 takes and does not show.
                if !own && setting == "IgnorePublicAcls" {
                    continue;
                }
                if own {
                    quietly(lab, Method::PUT, &format!("/{bucket}?publicAccessBlock"), &block(&[setting])).await;
                } else {
                    quietly(lab, Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
                    account_block(lab, Some(&[setting])).await;
                }
                let report = invoke(lab, FUNCTION, &undo(&fixed)).await;
                let why = record(&report)["why"].as_str().unwrap().to_owned();
                assert_eq!(outcome(&report), "failed", "{setting}: {why}");
                assert!(why.contains("s3-public-bucket (or s3-public-account)"), "{setting}: {why}");
                assert_eq!(grants(lab, &bucket).await, vec![], "{setting}");
            }
        }
        account_block(lab, None).await;
        assert_eq!(outcome(&invoke(lab, FUNCTION, &undo(&fixed)).await), "undone");
    });
}

#[test]
fn a_website_that_lists_its_objects_is_closed_only_on_purpose() {
    shared(async |lab| {
        let bucket = site(lab, &[(ALL_USERS, "READ")]).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!((record(&report)["refused_by"].clone(), writes(&report)), (json!("public-website"), 0));
        assert_eq!(grants(lab, &bucket).await, sorted(&[(ALL_USERS, "READ")]));
        let mut asked = fix(&bucket);
        asked["override"] = json!(["public-website"]);
        assert_eq!(outcome(&invoke(lab, FUNCTION, &asked).await), "fixed");
        // Nobody's page needs everybody to write.
        let bucket = site(lab, &[(ALL_USERS, "WRITE")]).await;
        assert_eq!(outcome(&invoke(lab, FUNCTION, &fix(&bucket)).await), "fixed");
        let health = site(lab, &[(ALL_USERS, "READ")]).await;
        quietly(lab, Method::PUT, &format!("/{health}?tagging"), PHI).await;
        assert_eq!(outcome(&invoke(lab, FUNCTION, &fix(&health)).await), "fixed");
        let parameters = r#"{"phi_tag":"data-classification=phi","public_websites":"close"}"#;
        variant(lab, FUNCTION, "closing", &[("SUTURE_PARAMETERS", parameters)]);
        let bucket = site(lab, &[(ALL_USERS, "READ")]).await;
        assert_eq!(outcome(&invoke(lab, "closing", &fix(&bucket)).await), "fixed");
    });
}

#[test]
fn a_group_that_is_not_known_stays_and_is_reported() {
    const ODD: &str = "http://acs.amazonaws.com/groups/global/Visitors";
    shared(async |lab| {
        let bucket = granting(lab, &[(ODD, "READ")]).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!((record(&report)["refused_by"].clone(), writes(&report)), (json!("not-understood"), 0));
        grant(lab, &bucket, &[(ODD, "READ"), (ALL_USERS, "READ")]).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!((outcome(&report), writes(&report)), ("partly-fixed".into(), 1), "{}", record(&report));
        assert_eq!(grants(lab, &bucket).await, sorted(&[(ODD, "READ")]));
    });
}

#[test]
fn what_somebody_grants_between_look_and_write_is_not_lost() {
    alone(async |lab| {
        only(lab, FUNCTION);
        for (new, expected) in [
            (&[(ALL_USERS, "READ"), (PARTNER, "READ"), (AUTHENTICATED_USERS, "WRITE")][..], ("fixed", 1)),
            (&[(PARTNER, "READ")], ("compliant", 0)),
        ] {
            let bucket = granting(lab, &[(ALL_USERS, "READ"), (LOG_DELIVERY, "WRITE")]).await;
            faults(lab, &["s3:GetBucketAcl=latency:400"]);
            let mut happenings = lab.listen();
            let (report, ()) = tokio::join!(async { invoke(lab, FUNCTION, &fix(&bucket)).await }, async {
                about_to_write(&mut happenings).await;
                grant(lab, &bucket, new).await;
            });
            assert_eq!((&*outcome(&report), writes(&report)), expected, "{}", record(&report));
            assert_eq!(grants(lab, &bucket).await, sorted(&[(PARTNER, "READ")]));
        }
    });
}

#[test]
fn a_bucket_that_goes_or_is_gone_or_is_somebody_elses() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let bucket = granting(lab, &[(ALL_USERS, "READ")]).await;
        faults(lab, &["s3:PutBucketAcl=latency:400"]);
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
        lab.client(OTHER_ACCOUNT, HOME).must(Method::PUT, &format!("/{theirs}"), "").await.unwrap();
        let report = invoke(lab, FUNCTION, &fix(&theirs)).await;
        assert_eq!((outcome(&report), writes(&report)), ("failed".into(), 0));
        assert!(record(&report)["why"].as_str().unwrap().contains("belongs to another account"));
        let report = invoke(lab, FUNCTION, &event_about(FUNCTION, "other-account", &theirs)).await;
        assert_eq!((record(&report)["refused_by"].clone(), report.calls.len()), (json!("account"), 0));
    });
}

#[test]
fn acls_that_are_switched_off_between_look_and_write() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let bucket = granting(lab, &[(ALL_USERS, "READ")]).await;
        faults(lab, &["s3:PutBucketAcl=latency:400"]);
        let mut happenings = lab.listen();
        let (report, ()) = tokio::join!(async { invoke(lab, FUNCTION, &fix(&bucket)).await }, async {
            about_to_write(&mut happenings).await;
            // It looks once more, and then its write takes its time.
            while !matches!(happenings.recv().await.unwrap(), Happening::Call(call) if call.operation == "GetBucketAcl")
            {
            }
            // Only a private ACL lets them be switched off.
            grant(lab, &bucket, &[]).await;
            let controls = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
            quietly(lab, Method::PUT, &format!("/{bucket}?ownershipControls"), controls).await;
        });
        assert_eq!(outcome(&report), "compliant", "{}", record(&report));
        assert_eq!(record(&report)["undo"], json!([]), "our write was refused: there is nothing to take back");
    });
}

#[test]
fn a_sweep_finds_what_no_event_reported() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let open =
            [granting(lab, &[(ALL_USERS, "READ")]).await, granting(lab, &[(AUTHENTICATED_USERS, "WRITE")]).await];
        let named = granting(lab, &[(PARTNER, "READ")]).await;
        let site = site(lab, &[(ALL_USERS, "READ")]).await;
        let reports = fire(lab, FUNCTION).await;
        let outcomes: BTreeMap<String, Value> =
            serde_json::from_value(reports[0].json()["sweeps"][0]["outcomes"].clone()).unwrap();
        // Compliant: that of the partner, and Suture's own, of evidence.
        let expected = [("fixed", 2), ("refused", 1), ("compliant", 2)].map(|(end, n)| (end.to_owned(), json!(n)));
        assert_eq!(outcomes, BTreeMap::from(expected), "{}", reports[0].json());
        for bucket in &open {
            assert_eq!(grants(lab, bucket).await, vec![]);
        }
        assert_eq!(grants(lab, &named).await, sorted(&[(PARTNER, "READ")]));
        assert_eq!(grants(lab, &site).await, sorted(&[(ALL_USERS, "READ")]));
    });
}
