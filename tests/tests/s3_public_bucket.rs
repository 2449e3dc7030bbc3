//! s3-public-bucket's real binary in the lab, on good days. Bad days are in `s3_public_bucket_faults.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use bytes::Bytes;
use http::Method;
use lab::http::{ApiRequest, Upstream};
use serde_json::{Value, json};
use system_tests::s3::{FUNCTION, SETTINGS, WEBSITE, about, block, bucket, open_bucket, quietly, settings, website};
use system_tests::{
    ACCOUNT, HOME, OTHER_ACCOUNT, PATIENCE, alice, calls, deployed, fresh, invoke, leads_to, outcome, record, reported,
    shared, variant, writes,
};
use tokio::time::timeout;

const FIX: [&str; 5] = [
    "s3:GetPublicAccessBlock",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketWebsite",
    "s3:PutPublicAccessBlock",
    "s3:GetPublicAccessBlock",
];

fn sorted(mut names: Vec<String>) -> Vec<String> {
    // Reads beside each other come in any order.
    names.get_mut(1..3).unwrap_or_default().sort();
    names
}

#[test]
fn a_deleted_block_is_put_back_by_one_invocation() {
    shared(async |lab| {
        let bucket = bucket(lab, "scans").await;
        let mut happenings = lab.listen();
        alice(lab).must(Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await.unwrap();
        let report = reported(&mut happenings, FUNCTION, &bucket).await;
        let record = record(&report);
        assert_eq!((&record["outcome"], &record["why"]), (&json!("fixed"), &json!("read back and seen")));
        assert_eq!(sorted(calls(&report)), FIX);
        assert_eq!((report.attempt, report.rule.as_deref()), (1, Some("suture-s3-public-bucket")));
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
        assert_eq!(record["cause"]["call"], "DeleteBucketPublicAccessBlock");
        assert_eq!(record["cause"]["actor"], "arn:aws:iam::111122223333:user/operator");
        assert_eq!((&record["mode"], &record["undo"]), (&json!("enforce"), &json!(["delete-public-access-block"])));
        assert_eq!(record["id"], format!("{}-1", report.request_id));
        assert_eq!(record["before"]["block"], Value::Null);

        // Its own write is an event too, and wakes nobody: the next invocation about the bucket is somebody's next call.
        let next = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &format!("/{bucket}?website"), WEBSITE).await;
        assert_eq!(record_call(&next), "PutBucketWebsite");
        let own = lab.calls(|call| call.resource.as_deref() == Some(&bucket) && call.writes);
        assert_eq!(own.iter().filter(|call| call.operation == "PutPublicAccessBlock").count(), 1);
    });
}

fn record_call(report: &lab::runtime::Report) -> String {
    record(report)["cause"]["call"].as_str().unwrap().to_owned()
}

#[test]
fn a_compliant_bucket_costs_one_read() {
    shared(async |lab| {
        let bucket = bucket(lab, "scans").await;
        let report = invoke(lab, FUNCTION, &about("delete-public-access-block", &bucket)).await;
        assert_eq!(
            (outcome(&report), calls(&report)),
            ("compliant".into(), vec!["s3:GetPublicAccessBlock".to_owned()])
        );
        // A duplicate of an event whose drift was fixed.
        let open = open_bucket(lab, "scans").await;
        let event = about("delete-public-access-block", &open);
        assert_eq!(outcome(&invoke(lab, FUNCTION, &event).await), "fixed");
        let again = invoke(lab, FUNCTION, &event).await;
        assert_eq!((outcome(&again), writes(&again), again.calls.len()), ("compliant".into(), 0, 1));
    });
}

#[test]
fn a_partial_block_is_filled_and_what_was_on_is_never_off() {
    shared(async |lab| {
        for missing in 0..SETTINGS.len() {
            let bucket = bucket(lab, "scans").await;
            let on: Vec<_> = SETTINGS.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, s)| *s).collect();
            let target = format!("/{bucket}?publicAccessBlock");
            let report = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &target, block(&on)).await;
            assert_eq!((outcome(&report), sorted(calls(&report))), ("fixed".into(), FIX.map(str::to_owned).to_vec()));
            assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
            let change = &record(&report)["changes"][0]["put-public-access-block"];
            assert!(change.as_object().unwrap().values().all(|on| *on == true), "{change}");
        }
    });
}

#[test]
fn plan_mode_writes_nothing_whatever_comes() {
    shared(async |lab| {
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        for serves in [false, true] {
            let bucket = if serves { website(lab).await } else { open_bucket(lab, "scans").await };
            let report = invoke(lab, "planning", &about("delete-public-access-block", &bucket)).await;
            assert_eq!((outcome(&report), writes(&report)), ("planned".into(), 0));
            assert_eq!(record(&report)["changes"].as_array().unwrap().len(), 1);
            let asked = json!({"resource": bucket, "mode": "enforce"});
            let report = invoke(lab, "planning", &asked).await;
            assert_eq!((outcome(&report), writes(&report)), ("refused".into(), 0));
            assert_eq!(record(&report)["refused_by"], "mode");
            assert_eq!(settings(lab, &bucket).await, None);
        }
        // A manual request that does not say so writes nothing either, whatever the deployment's mode.
        let bucket = open_bucket(lab, "scans").await;
        let report = invoke(lab, FUNCTION, &json!({"resource": bucket})).await;
        assert_eq!((outcome(&report), writes(&report)), ("planned".into(), 0));
        let asked = json!({"resource": bucket, "mode": "enforce", "override": ["mode"], "reason": "INC-7"});
        let report = invoke(lab, "planning", &asked).await;
        assert_eq!((outcome(&report), record(&report)["override"].clone()), ("fixed".into(), json!(["mode"])));
    });
}

/// The regions of buckets and of events about them need not be the same.
#[test]
fn a_bucket_in_another_region() {
    shared(async |lab| {
        let make = async |region: &str| {
            let (name, client) = (fresh("scans"), lab.client("alice", region));
            let place = format!(
                "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            );
            let quiet = lab.quiet_client(region);
            quiet.must(Method::PUT, &format!("/{name}"), place).await.unwrap();
            (name, client)
        };
        let (bucket, client) = make("eu-west-1").await;
        let target = format!("/{bucket}?publicAccessBlock");
        let report = leads_to(lab, FUNCTION, &client, Method::DELETE, &target, "").await;
        assert_eq!((outcome(&report), &record(&report)["resource"]["region"]), ("fixed".into(), &json!("eu-west-1")));

        // An event that names the wrong region is followed to where the bucket is.
        lab.quiet_client("eu-west-1").must(Method::DELETE, &target, "").await.unwrap();
        let report = invoke(lab, FUNCTION, &about("delete-public-access-block", &bucket)).await;
        assert_eq!((outcome(&report), &record(&report)["resource"]["region"]), ("fixed".into(), &json!("eu-west-1")));
        assert_eq!(writes(&report), 1);
        // So is CreateBucket's, which is us-east-1's wherever the bucket is made.
        let created = fresh("scans");
        let place =
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        let report = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &format!("/{created}"), place).await;
        assert_eq!((outcome(&report), record_call(&report)), ("compliant".into(), "CreateBucket".into()));

        let (bucket, client) = make("ap-southeast-2").await;
        let report =
            leads_to(lab, FUNCTION, &client, Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
        assert_eq!((outcome(&report), record(&report)["refused_by"].clone()), ("refused".into(), json!("region")));
        assert!(report.calls.is_empty());
        let report = invoke(lab, FUNCTION, &about("delete-public-access-block", &bucket)).await;
        assert_eq!((outcome(&report), writes(&report)), ("refused".into(), 0), "found there, and refused");
        assert_eq!(record(&report)["resource"]["region"], "ap-southeast-2");
    });
}

#[test]
fn another_accounts_bucket_is_not_touched() {
    shared(async |lab| {
        let theirs = fresh("partner");
        let client = lab.client(OTHER_ACCOUNT, HOME);
        client.must(Method::PUT, &format!("/{theirs}"), "").await.unwrap();
        client.must(Method::DELETE, &format!("/{theirs}?publicAccessBlock"), "").await.unwrap();
        let theirs_is_open = async || {
            let read = client.s3(Method::GET, &format!("/{theirs}?publicAccessBlock"), "").await.unwrap();
            assert_eq!(read.status, 404);
        };
        // An event of their account's.
        let report = invoke(lab, FUNCTION, &about("other-account", &theirs)).await;
        assert_eq!((outcome(&report), report.calls.len()), ("refused".into(), 0));
        assert_eq!(record(&report)["refused_by"], "account");
        // An event of ours that names their bucket, as an old or a forged one may.
        let report = invoke(lab, FUNCTION, &about("delete-public-access-block", &theirs)).await;
        assert_eq!((outcome(&report), writes(&report)), ("failed".into(), 0));
        assert!(record(&report)["why"].as_str().unwrap().contains("belongs to another account by now"));
        theirs_is_open().await;
        // An event of an account that is ours to change too, about a bucket that is now another's: every call names the
        // owner whom the event means, so S3 refuses, although our credentials would do.
        variant(lab, FUNCTION, "both", &[("SUTURE_ACCOUNTS", &format!("{ACCOUNT},{OTHER_ACCOUNT}"))]);
        for ours in [bucket(lab, "scans").await, open_bucket(lab, "scans").await] {
            let before = settings(lab, &ours).await;
            let report = invoke(lab, "both", &about("other-account", &ours)).await;
            assert_eq!((outcome(&report), report.calls.len()), ("failed".into(), 1), "{}", record(&report));
            assert_eq!(settings(lab, &ours).await, before);
        }
    });
}

#[test]
fn a_bucket_that_is_gone() {
    shared(async |lab| {
        let report = invoke(lab, FUNCTION, &about("delete-public-access-block", &fresh("gone"))).await;
        assert_eq!((outcome(&report), calls(&report)), ("gone".into(), vec!["s3:GetPublicAccessBlock".to_owned()]));
        assert!(report.answer.is_ok(), "no retry brings it back");
    });
}

#[test]
fn a_public_website_is_closed_only_on_purpose() {
    shared(async |lab| {
        let target = |bucket: &str| format!("/{bucket}?website");
        // Refused by the guard, with all that it read to know.
        let bucket = website(lab).await;
        let report = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &target(&bucket), WEBSITE).await;
        let refused = record(&report);
        assert_eq!((&refused["outcome"], &refused["refused_by"]), (&json!("refused"), &json!("public-website")));
        assert_eq!((writes(&report), report.calls.len()), (0, 5));
        assert_eq!(settings(lab, &bucket).await, None);
        // By a person who names it.
        let asked = json!({"resource": bucket, "mode": "enforce", "override": ["public-website"], "reason": "INC-8"});
        let report = invoke(lab, FUNCTION, &asked).await;
        assert_eq!((outcome(&report), record(&report)["reason"].clone()), ("fixed".into(), json!("INC-8")));
        // Because it holds health data.
        let bucket = website(lab).await;
        let tags = "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag></TagSet></Tagging>";
        quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), tags).await;
        let report = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &target(&bucket), WEBSITE).await;
        assert_eq!((outcome(&report), settings(lab, &bucket).await), ("fixed".into(), Some(SETTINGS.to_vec())));
        let breaks: Vec<_> = record(&report)["breaks"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect();
        assert_eq!(breaks, ["public-website", "public-policy", "public-acl-uploads"], "it says what went dark");
        // Because the operator said so.
        let parameters = r#"{"phi_tag":"data-classification=phi","public_websites":"close"}"#;
        variant(lab, FUNCTION, "closing", &[("SUTURE_PARAMETERS", parameters)]);
        let bucket = website(lab).await;
        assert_eq!(outcome(&invoke(lab, "closing", &about("delete-public-access-block", &bucket)).await), "fixed");
    });
}

#[test]
fn the_templates_parameters_reach_the_function() {
    system_tests::alone(async |_| {
        let parameters =
            [("PublicWebsites", "close"), ("PhiTag", "a b=c/d"), ("Regions", ""), ("Accounts", OTHER_ACCOUNT)];
        let lab = deployed(&parameters).await;
        let variables = lab.gateway.functions.config(FUNCTION).unwrap().environment;
        assert_eq!(variables["SUTURE_PARAMETERS"], r#"{"phi_tag":"a b=c/d","public_websites":"close"}"#);
        assert_eq!((variables["SUTURE_REGIONS"].as_str(), &*variables["SUTURE_ACCOUNTS"]), (HOME, OTHER_ACCOUNT));
        let report = invoke(&lab, FUNCTION, &about("delete-public-access-block", "clinic-scans")).await;
        assert_eq!(record(&report)["refused_by"], "account");
        lab.stop().await;
    });
}

#[test]
fn our_own_call_is_ignored_if_it_comes_all_the_same() {
    shared(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        let event = about("own-call", &bucket);
        let woken = lab.gateway.bus.matching(&event);
        assert!(woken.iter().all(|rule| rule.target != FUNCTION), "the rule leaves it out");
        let report = invoke(lab, FUNCTION, &event).await;
        assert_eq!((&report.json()["unread"][0]["as"], report.calls.len()), (&json!("ignored"), 0));
    });
}

#[test]
fn a_fix_is_taken_back_by_its_record() {
    shared(async |lab| {
        for before in [None, Some(vec!["BlockPublicAcls", "BlockPublicPolicy"])] {
            let bucket = bucket(lab, "scans").await;
            let target = format!("/{bucket}?publicAccessBlock");
            let fixed = match &before {
                None => leads_to(lab, FUNCTION, &alice(lab), Method::DELETE, &target, "").await,
                Some(on) => leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &target, block(on)).await,
            };
            let undo = json!({"mode": "undo", "record": record(&fixed), "reason": "INC-9"});
            let undone = invoke(lab, FUNCTION, &undo).await;
            assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 1), "{}", record(&undone));
            assert_eq!(settings(lab, &bucket).await, before);
            assert_eq!(record(&undone)["undoes"], record(&fixed)["id"]);
            // Twice is once; and the undo can be undone.
            let again = invoke(lab, FUNCTION, &undo).await;
            assert_eq!((outcome(&again), writes(&again)), ("undone".into(), 0));
            let redo = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record(&undone)})).await;
            assert_eq!((outcome(&redo), settings(lab, &bucket).await), ("undone".into(), Some(SETTINGS.to_vec())));
        }
    });
}

#[test]
fn an_undo_gives_way_to_who_came_later() {
    shared(async |lab| {
        let bucket = bucket(lab, "scans").await;
        let target = format!("/{bucket}?publicAccessBlock");
        let fixed = record(&leads_to(lab, FUNCTION, &alice(lab), Method::DELETE, &target, "").await);
        quietly(lab, Method::PUT, &target, &block(&["BlockPublicPolicy"])).await;
        let undo = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": fixed})).await;
        assert_eq!((outcome(&undo), record(&undo)["refused_by"].clone()), ("refused".into(), json!("moved-on")));
        assert_eq!((writes(&undo), settings(lab, &bucket).await), (0, Some(vec!["BlockPublicPolicy"])));
        let named = json!({"mode": "undo", "record": fixed, "override": ["moved-on"]});
        assert_eq!(outcome(&invoke(lab, FUNCTION, &named).await), "undone");
        assert_eq!(settings(lab, &bucket).await, None);
        // Nothing was done, so nothing is to be undone.
        let planned = record(&invoke(lab, FUNCTION, &json!({"resource": bucket})).await);
        let undo = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": planned})).await;
        assert_eq!(record(&undo)["refused_by"], "nothing-done");
    });
}

#[test]
fn the_log_is_one_json_object_a_line_and_tells_no_secrets() {
    shared(async |lab| {
        let bucket = website(lab).await;
        let mut event = about("delete-public-access-block", &bucket);
        event["detail"]["userAgent"] = "TheMarkOfTheEvent".into();
        event["detail"]["requestParameters"]["more"] = "TheMarkOfTheEvent".into();
        let asked = json!({"resource": bucket, "mode": "enforce", "override": ["public-website"]});
        let broken = json!({"resource": bucket, "surprise": "TheMarkOfTheEvent"});
        for (event, least) in [(event, 1), (asked, 2), (broken, 1), (json!(["TheMarkOfTheEvent"]), 1)] {
            let report = invoke(lab, FUNCTION, &event).await;
            assert!(report.log.len() >= least, "{:#?}", report.log);
            for line in &report.log {
                let line: Value = serde_json::from_str(line).unwrap();
                assert!(
                    !line.to_string().contains(&bucket) || line["_aws"].is_null(),
                    "no metric is a resource's: {line}"
                );
                if line["_aws"].is_object() {
                    continue;
                }
                assert_eq!(line["requestId"], report.request_id, "{line}");
                for field in ["timestamp", "level", "message"] {
                    assert!(line[field].is_string(), "{line}");
                }
                let text = line.to_string();
                assert!(!text.contains("TheMarkOf"), "{text}");
                assert!(!text.contains("ASIALAB"), "a key: {text}");
            }
        }
        // One line of a fix for people, and one for CloudWatch's metrics.
        let bucket = open_bucket(lab, "scans").await;
        let report = invoke(lab, FUNCTION, &about("delete-public-access-block", &bucket)).await;
        let lines: Vec<Value> = report.log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [end, metrics] = &lines[..] else { panic!("{lines:#?}") };
        assert_eq!(end["record"], record(&report));
        assert_eq!((&metrics["outcome"], &metrics["Writes"]), (&json!("fixed"), &json!(1)));
    });
}

#[test]
fn what_is_no_event_is_rejected_in_a_line() {
    shared(async |lab| {
        let address = lab.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
        let send = async |payload: Bytes| {
            let target = format!("/2015-03-31/functions/{FUNCTION}/invocations");
            let request = ApiRequest::new(Method::POST, target).body(payload).header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lambda/aws4_request, Signature=0",
            );
            timeout(PATIENCE, Upstream::new(address).send(request)).await.unwrap().unwrap()
        };
        assert_eq!(send(vec![b' '; 7 << 20].into()).await.status, 413);
        assert_eq!(send("{\"resource\": ".into()).await.status, 400);
        let deep = "[".repeat(100) + &"]".repeat(100);
        let long = "x".repeat(6_000_000);
        let object = json!({"detail-type": "AWS API Call via CloudTrail", "detail": {"eventSource": 7}}).to_string();
        for payload in [
            "null".to_owned(),
            "[]".to_owned(),
            "\"hello\"".to_owned(),
            "17".to_owned(),
            "{\"Records\": []}".to_owned(),
            "{\"resource\": {\"a\": 1}}".to_owned(),
            "{\"resource\": \"a/../b\"}".to_owned(),
            "{\"resource\": \"\\u0000\\u001b[31m\"}".to_owned(),
            "{\"resource\": \"x-y-z\", \"account\": 1}".to_owned(),
            format!("{{\"resource\": \"{long}\"}}"),
            format!("{{\"{long}\": 1}}"),
            format!("{{\"resource\": \"x-y-z\", \"reason\": {deep}}}"),
            object,
        ] {
            let shown: String = payload.chars().take(60).collect();
            let answer = send(payload.into()).await;
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                (answer.status.as_u16(), &body["unread"][0]["as"]),
                (200, &json!("rejected")),
                "{shown}: {body}"
            );
            assert!(answer.body.len() < 1000, "{shown}: an answer of {} bytes", answer.body.len());
        }
        // Deeper than the parser goes. The lab's own front refuses it as Lambda would, or the function rejects it.
        let deeper = format!("{{\"a\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
        let answer = send(deeper.into()).await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{}", answer.status);
        // It is all right afterwards.
        let bucket = bucket(lab, "scans").await;
        let report = invoke(lab, FUNCTION, &json!({"resource": bucket, "account": ACCOUNT})).await;
        assert_eq!(outcome(&report), "compliant");
    });
}
