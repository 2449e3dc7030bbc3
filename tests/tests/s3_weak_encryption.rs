//! s3-weak-encryption's real binary in the lab. What every control does on bad days is in `faults.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::s3::{
    LOG_DELIVERY, acl, bucket, bucket_with_acls, cost, encryption, encryption_with, event_about, fix, key, owner,
    policy_of, quietly, reads, undo,
};
use system_tests::{
    HOME, OTHER_ACCOUNT, about_to_write, alice, alone, faults, fire, fresh, invoke, leads_to, only, outcome, record,
    shared, variant, writes,
};

const FUNCTION: &str = "s3-weak-encryption";

/// The function with these parameters, under another name.
fn with(lab: &Lab, name: &str, parameters: &Value) -> String {
    let name = format!("{name}-{}", fresh("encryption"));
    variant(lab, FUNCTION, &name, &[("SUTURE_PARAMETERS", &parameters.to_string())]);
    name
}

/// The function with this key for the region.
fn with_key(lab: &Lab, key: &str) -> String {
    with(lab, "key", &json!({"keys": format!("us-east-1={key}")}))
}

async fn encrypt(lab: &Lab, bucket: &str, algorithm: &str, key: Option<&str>) {
    quietly(lab, Method::PUT, &format!("/{bucket}?encryption"), &encryption_with(algorithm, key)).await;
}

/// A bucket's algorithm and key, as S3 shows them.
async fn shown(lab: &Lab, bucket: &str) -> (String, Option<String>) {
    let text = encryption(lab, bucket).await.unwrap_or_default();
    let between = |name: &str| {
        let rest = text.split(&format!("<{name}>")).nth(1)?;
        rest.split(&format!("</{name}>")).next().map(str::to_owned)
    };
    (between("SSEAlgorithm").unwrap_or_default(), between("KMSMasterKeyID"))
}

async fn kms(lab: &Lab, operation: &str, body: Value) {
    lab.quiet_client(HOME).must_json("kms", operation, &body).await.unwrap();
}

fn managed() -> (String, Option<String>) {
    ("aws:kms".to_owned(), None)
}

fn by(key: &str) -> (String, Option<String>) {
    ("aws:kms".to_owned(), Some(key.to_owned()))
}

fn plain() -> (String, Option<String>) {
    ("AES256".to_owned(), None)
}

#[test]
fn what_it_costs() {
    const LOOK: [&str; 4] =
        ["s3:GetBucketAcl", "s3:GetBucketEncryption", "s3:GetBucketPolicy", "s3:GetBucketReplication"];
    const KEY: [&str; 2] = ["kms:DescribeKey", "kms:GetKeyPolicy"];
    const AGAIN: [&str; 3] = ["s3:GetBucketEncryption", "s3:PutBucketEncryption", "s3:GetBucketEncryption"];
    alone(async |lab| {
        only(lab, FUNCTION);
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        let key = key(lab).await;
        let keyed = with_key(lab, &key);
        let told = async |function: &str, bucket: &str| {
            cost(lab, function, &event_about(FUNCTION, "put-bucket-encryption", bucket)).await
        };
        let expect = |outcome: &str, calls: &[&str], trips: usize| {
            let mut calls: Vec<_> = calls.iter().map(|name| (*name).to_owned()).collect();
            calls.sort();
            (outcome.to_owned(), calls, trips)
        };
        let weak = bucket(lab, "scans").await;
        assert_eq!(told("planning", &weak).await, expect("planned", &LOOK, 2));
        assert_eq!(told(FUNCTION, &weak).await, expect("fixed", &[&LOOK[..], &AGAIN].concat(), 5));
        assert_eq!(told(FUNCTION, &weak).await, expect("compliant", &LOOK[1..2], 1));
        // A key of one's own is looked at, once.
        let weak = bucket(lab, "scans").await;
        let all = [&LOOK[..], &KEY, &AGAIN].concat();
        assert_eq!(told(&keyed, &weak).await, expect("fixed", &all, 5));
        assert_eq!(told(&keyed, &weak).await, expect("compliant", &["s3:GetBucketEncryption", KEY[0]], 2));
    });
}

#[test]
fn calls_by_somebody_careless_are_mended_each_by_one_invocation() {
    shared(async |lab| {
        let bucket = fresh("scans");
        let made = leads_to(lab, FUNCTION, &alice(lab), Method::PUT, &format!("/{bucket}"), "").await;
        assert_eq!((outcome(&made), shown(lab, &bucket).await), ("fixed".into(), managed()), "a new bucket has SSE-S3");
        let target = format!("/{bucket}?encryption");
        for (method, body, end) in [
            (Method::DELETE, String::new(), "fixed"),
            (Method::PUT, encryption_with("AES256", None), "fixed"),
            (Method::PUT, encryption_with("aws:kms", None), "compliant"),
            (Method::PUT, encryption_with("aws:kms:dsse", None), "compliant"),
        ] {
            let report = leads_to(lab, FUNCTION, &alice(lab), method, &target, body.clone()).await;
            assert_eq!(outcome(&report), end, "{body}: {}", record(&report));
            let (algorithm, key) = shown(lab, &bucket).await;
            assert!(algorithm.starts_with("aws:kms") && key.is_none(), "{body}: {algorithm}");
        }
        assert_eq!(shown(lab, &bucket).await.0, "aws:kms:dsse", "stronger is left as it is");
    });
}

/// A rival writes the algorithm and the key, and what else was set is gone.
#[test]
fn what_else_is_set_is_kept_and_an_undo_gives_back_what_was_there() {
    shared(async |lab| {
        let key = key(lab).await;
        let function = with_key(lab, &key);
        let bucket = bucket(lab, "scans").await;
        let before = encryption(lab, &bucket).await.unwrap();
        assert!(before.contains("SSE-C"), "{before}");
        let fixed = record(&invoke(lab, &function, &fix(&bucket)).await);
        assert_eq!((&fixed["outcome"], shown(lab, &bucket).await), (&json!("fixed"), by(&key)), "{fixed}");
        let after = encryption(lab, &bucket).await.unwrap();
        assert!(after.contains("SSE-C") && after.contains("<BucketKeyEnabled>true</BucketKeyEnabled>"), "{after}");
        let undone = invoke(lab, &function, &undo(&fixed)).await;
        assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 1), "{}", record(&undone));
        assert_eq!(encryption(lab, &bucket).await.unwrap(), before);
        let twice = invoke(lab, &function, &undo(&fixed)).await;
        assert_eq!((outcome(&twice), writes(&twice)), ("undone".into(), 0));
        assert_eq!(outcome(&invoke(lab, &function, &undo(&record(&undone))).await), "undone");
        assert_eq!(encryption(lab, &bucket).await.unwrap(), after);
    });
}

/// A rival puts KMS on the bucket, and the logs end without a word.
#[test]
fn buckets_that_take_logs_stay_on_sse_s3() {
    shared(async |lab| {
        let by_acl = bucket_with_acls(lab, "logs").await;
        let grants = acl(&owner(lab, &by_acl).await, &[(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")]);
        quietly(lab, Method::PUT, &format!("/{by_acl}?acl"), &grants).await;
        let mut by_policy = vec![by_acl];
        for service in ["logging.s3.amazonaws.com", "logdelivery.elasticloadbalancing.amazonaws.com"] {
            let bucket = bucket(lab, "logs").await;
            let mut statement = reads("Logs", &json!({"Service": service}), &bucket);
            statement["Action"] = json!("s3:PutObject");
            quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &policy_of(&[statement])).await;
            by_policy.push(bucket);
        }
        for bucket in by_policy {
            let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
            let record = record(&report);
            assert_eq!((&record["outcome"], writes(&report)), (&json!("compliant"), 0), "{record}");
            assert!(record["notes"].to_string().contains("left on SSE-S3"), "{record}");
            assert_eq!(shown(lab, &bucket).await, plain());
        }
    });
}

#[test]
fn whoever_uses_the_bucket_from_outside_is_not_shut_out_unasked() {
    shared(async |lab| {
        let partner = json!({"AWS": format!("arn:aws:iam::{OTHER_ACCOUNT}:root")});
        let shares = async |principal: &Value| {
            let bucket = bucket(lab, "shared").await;
            let policy = policy_of(&[reads("Outside", principal, &bucket)]);
            quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &policy).await;
            bucket
        };
        let service = json!({"Service": "athena.amazonaws.com"});
        for (principal, guard) in [(&partner, "other-accounts"), (&service, "services")] {
            // No other account can ever use the key that AWS manages, nor a key whose policy does not say so.
            let closed = with_key(lab, &key(lab).await);
            for function in [FUNCTION, &closed] {
                let bucket = shares(principal).await;
                let report = invoke(lab, function, &fix(&bucket)).await;
                assert_eq!(
                    (&record(&report)["refused_by"], writes(&report)),
                    (&json!(guard), 0),
                    "{}",
                    record(&report)
                );
                assert_eq!(shown(lab, &bucket).await, plain());
                let mut asked = fix(&bucket);
                asked["override"] = json!([guard]);
                assert_eq!(outcome(&invoke(lab, function, &asked).await), "fixed");
            }
            // A key whose policy lets them in.
            let key = key(lab).await;
            let statement = |principal: &Value, action: &str| json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"});
            let own = json!({"AWS": "arn:aws:iam::111122223333:root"});
            let policy = policy_of(&[statement(&own, "kms:*"), statement(principal, "kms:Decrypt")]);
            kms(lab, "PutKeyPolicy", json!({"KeyId": key, "PolicyName": "default", "Policy": policy})).await;
            let bucket = shares(principal).await;
            let report = invoke(lab, &with_key(lab, &key), &fix(&bucket)).await;
            assert_eq!(
                (outcome(&report), shown(lab, &bucket).await),
                ("fixed".into(), by(&key)),
                "{}",
                record(&report)
            );
        }
    });
}

#[test]
fn replication_that_would_skip_new_objects_is_not_broken_unasked() {
    shared(async |lab| {
        for (selects, end) in [(false, "refused"), (true, "fixed")] {
            let (bucket, copy) = (bucket(lab, "scans").await, bucket(lab, "copy").await);
            for name in [&bucket, &copy] {
                let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
                quietly(lab, Method::PUT, &format!("/{name}?versioning"), on).await;
            }
            let criteria = if selects {
                "<SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>\
                 </SourceSelectionCriteria>"
            } else {
                ""
            };
            let rules = format!(
                "<ReplicationConfiguration><Role>arn:aws:iam::111122223333:role/copy</Role><Rule><ID>all</ID>\
                 <Priority>1</Priority><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>{criteria}\
                 <Destination><Bucket>arn:aws:s3:::{copy}</Bucket></Destination>\
                 <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>\
                 </ReplicationConfiguration>"
            );
            quietly(lab, Method::PUT, &format!("/{bucket}?replication"), &rules).await;
            let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
            assert_eq!(outcome(&report), end, "{}", record(&report));
            if !selects {
                assert_eq!(record(&report)["refused_by"], "replication");
                assert_eq!(shown(lab, &bucket).await, plain());
            }
        }
    });
}

/// S3 takes any key without looking, and every upload fails from then on.
#[test]
fn a_key_that_s3_could_not_use_is_never_written() {
    shared(async |lab| {
        let disabled = key(lab).await;
        kms(lab, "DisableKey", json!({"KeyId": disabled})).await;
        let going = key(lab).await;
        kms(lab, "ScheduleKeyDeletion", json!({"KeyId": going, "PendingWindowInDays": 7})).await;
        let signs = json!({"KeyUsage": "SIGN_VERIFY", "KeySpec": "RSA_2048"});
        let made = lab.quiet_client(HOME).must_json("kms", "CreateKey", &signs).await.unwrap();
        let signs = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        let missing = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000".to_owned();
        let theirs = lab.client(OTHER_ACCOUNT, HOME).must_json("kms", "CreateKey", &json!({})).await.unwrap();
        let theirs = theirs["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        for (key, says) in [
            (&disabled, "its state is Disabled"),
            (&going, "its state is PendingDeletion"),
            (&signs, "it is for SIGN_VERIFY"),
            (&missing, "there is no such key"),
            (&theirs, "our role may not look at it"),
        ] {
            let bucket = bucket(lab, "scans").await;
            let report = invoke(lab, &with_key(lab, key), &fix(&bucket)).await;
            let record = record(&report);
            assert_eq!((&record["refused_by"], writes(&report)), (&json!("key-unusable"), 0), "{says}: {record}");
            assert!(record["why"].as_str().unwrap().contains(says), "{says}: {record}");
            assert_eq!(shown(lab, &bucket).await, plain());
        }
    });
}

/// What a bucket has encrypted needs the key that it has.
#[test]
fn a_buckets_own_key_that_cannot_be_used_is_reported_and_stays() {
    shared(async |lab| {
        let (own, bucket) = (key(lab).await, bucket(lab, "scans").await);
        encrypt(lab, &bucket, "aws:kms", Some(&own)).await;
        assert_eq!(outcome(&invoke(lab, FUNCTION, &fix(&bucket)).await), "compliant");
        kms(lab, "DisableKey", json!({"KeyId": own})).await;
        let report = invoke(lab, FUNCTION, &fix(&bucket)).await;
        assert_eq!((&record(&report)["refused_by"], writes(&report)), (&json!("bucket-key-unusable"), 0));
        assert_eq!(shown(lab, &bucket).await, by(&own));
    });
}

#[test]
fn a_key_by_its_alias_is_written_whole_and_nothing_changes_for_its_users() {
    shared(async |lab| {
        let (own, bucket, alias) = (key(lab).await, bucket(lab, "shared").await, fresh("alias/phi"));
        kms(lab, "CreateAlias", json!({"AliasName": alias, "TargetKeyId": own})).await;
        encrypt(lab, &bucket, "aws:kms", Some(&alias)).await;
        let partner = json!({"AWS": format!("arn:aws:iam::{OTHER_ACCOUNT}:root")});
        let policy = policy_of(&[reads("Partner", &partner, &bucket)]);
        quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &policy).await;
        let layered = with(lab, "layered", &json!({"algorithm": "aws:kms:dsse"}));
        let report = invoke(lab, &layered, &fix(&bucket)).await;
        assert_eq!(outcome(&report), "fixed", "{}", record(&report));
        assert_eq!(shown(lab, &bucket).await, ("aws:kms:dsse".to_owned(), Some(own)));
    });
}

#[test]
fn the_keys_of_the_config_rule_that_fired_count_and_are_never_written() {
    shared(async |lab| {
        let (own, other) = (key(lab).await, key(lab).await);
        let function = with_key(lab, &own);
        let told = |bucket: &str, keys: &str| {
            let mut event = event_about(FUNCTION, "rule-change", bucket);
            event["ruleParameters"] = json!({"kmsKeyArns": keys}).to_string().into();
            event
        };
        let listed = bucket(lab, "scans").await;
        encrypt(lab, &listed, "aws:kms", Some(&other)).await;
        let report = invoke(lab, &function, &told(&listed, &own)).await;
        assert_eq!((outcome(&report), shown(lab, &listed).await), ("fixed".into(), by(&own)), "{}", record(&report));
        // The rule wants a key that the operator did not set.
        let bucket = bucket(lab, "scans").await;
        let report = invoke(lab, &function, &told(&bucket, &other)).await;
        assert_eq!(outcome(&report), "partly-fixed", "{}", record(&report));
        assert_eq!(shown(lab, &bucket).await, by(&own));
        let report = invoke(lab, &function, &told(&bucket, &other)).await;
        assert_eq!(record(&report)["refused_by"], "config-rule-keys");
        assert!(!report.calls.iter().any(|call| call.operation == "PutBucketEncryption"));
    });
}

#[test]
fn what_somebody_sets_between_look_and_write_is_not_lost() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let own = key(lab).await;
        for (algorithm, key, expected) in [("aws:kms", Some(&*own), ("compliant", 0)), ("AES256", None, ("fixed", 1))] {
            let bucket = bucket(lab, "scans").await;
            faults(lab, &["s3:GetBucketEncryption=latency:400"]);
            let mut happenings = lab.listen();
            let (report, ()) = tokio::join!(async { invoke(lab, FUNCTION, &fix(&bucket)).await }, async {
                about_to_write(&mut happenings).await;
                let all = encryption_with(algorithm, key).replace("SSE-C", "NONE");
                quietly(lab, Method::PUT, &format!("/{bucket}?encryption"), &all).await;
            });
            assert_eq!((&*outcome(&report), writes(&report)), expected, "{}", record(&report));
            let after = encryption(lab, &bucket).await.unwrap();
            assert!(after.contains("NONE") && !after.contains("SSE-C"), "{after}");
            assert_eq!(shown(lab, &bucket).await.1.as_deref(), key);
        }
    });
}

#[test]
fn a_bucket_that_goes_or_is_gone_or_is_somebody_elses() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let bucket = bucket(lab, "scans").await;
        faults(lab, &["s3:PutBucketEncryption=latency:400"]);
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
    });
}

#[test]
fn a_sweep_finds_what_no_event_reported_and_looks_at_a_key_once() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let own = key(lab).await;
        lab.set(FUNCTION, &[("SUTURE_PARAMETERS", &json!({"keys": format!("us-east-1={own}")}).to_string())]).unwrap();
        let filled = lab.wish("s3/fill", json!({"count": 12, "prefix": "clinic"})).await.unwrap();
        let kept = bucket(lab, "scans").await;
        encrypt(lab, &kept, "aws:kms", Some(&own)).await;
        let reports = fire(lab, FUNCTION).await;
        let outcomes: BTreeMap<String, Value> =
            serde_json::from_value(reports[0].json()["sweeps"][0]["outcomes"].clone()).unwrap();
        // Compliant: what has the key already, and Suture's own, of evidence, which has its own key.
        let expected = [("fixed", 12), ("compliant", 2)].map(|(end, n)| (end.to_owned(), json!(n)));
        assert_eq!(outcomes, BTreeMap::from(expected), "{}", reports[0].json());
        for name in filled["names"].as_array().unwrap() {
            assert_eq!(shown(lab, name.as_str().unwrap()).await, by(&own));
        }
        // Those that are looked at at the same moment may each ask before the first has its answer.
        let looks = reports[0].calls.iter().filter(|call| call.operation == "DescribeKey").count();
        // The evidence's own key is one more.
        assert!((2..=9).contains(&looks), "{looks} looks at two keys");
    });
}
