//! Which calls announce drift, and what names of buckets events may hold. What the files of `events/` mean is for the
//! system's tests, and what events look like for the crate `triggers`.

use super::*;
use remediation::event::Unread;
use remediation::testing::requests;
use serde_json::{Value, json};

/// A call on a bucket.
fn call(name: &str, mut parameters: Value, bucket: &str) -> Value {
    parameters["bucketName"] = json!(bucket);
    json!({
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "account": "111122223333",
        "region": "us-east-1",
        "time": "2026-01-15T10:45:23Z",
        "detail": {
            "eventSource": "s3.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"},
            "requestParameters": parameters,
        },
    })
}

fn announces_drift(name: &str, parameters: Value) -> bool {
    requests::<PublicBucket>(&call(name, parameters, "clinic-scans")).unwrap()[0].announces_drift
}

#[test]
fn every_watched_call_names_its_bucket() {
    for name in PublicBucket::ABOUT.watches.iter().flat_map(|watch| watch.events) {
        let requests = requests::<PublicBucket>(&call(name, json!({}), "clinic-scans")).unwrap();
        assert_eq!(requests[0].place.target.as_str(), "clinic-scans", "{name}");
    }
}

#[test]
fn hostile_names_are_rejected_whoever_sends_them() {
    let long = "a".repeat(64);
    for bad in ["clinic/scans", &long, "clinic\nscans", "{{{bucket}}}", "", "clinic-scans?acl", "a\u{202e}b-c", ".."] {
        for event in [call("PutBucketAcl", json!({}), bad), json!({"resource": bad})] {
            match requests::<PublicBucket>(&event) {
                Err(Unread::Rejected(why)) => assert!(!why.contains(char::is_control), "{why:?}"),
                other => panic!("{other:?} of {bad:?}"),
            }
        }
    }
}

#[test]
fn what_announces_drift() {
    let put =
        |block: Value| announces_drift("PutBucketPublicAccessBlock", json!({"PublicAccessBlockConfiguration": block}));
    let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    for on in [json!(true), json!("true")] {
        let full = json!({"xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", "BlockPublicAcls": on,
            "IgnorePublicAcls": on, "BlockPublicPolicy": on, "RestrictPublicBuckets": on});
        assert!(!put(full.clone()), "a full block is none");
        for name in names {
            for off in [json!(false), json!("false"), json!(null), json!(0)] {
                let mut partial = full.clone();
                partial[name] = off;
                assert!(put(partial.clone()), "{partial}");
                partial.as_object_mut().unwrap().remove(name);
                assert!(put(partial.clone()), "one that is left out is off: {partial}");
            }
        }
    }
    // A record that does not say what was written announces nothing: the live state will tell.
    assert!(!announces_drift("PutBucketPublicAccessBlock", json!({})));
    for nothing in [json!(null), json!(""), json!([]), json!(true)] {
        assert!(!put(nothing));
    }
    assert!(announces_drift("DeleteBucketPublicAccessBlock", json!({})));
    for name in ["CreateBucket", "PutBucketPolicy", "PutBucketAcl", "PutBucketWebsite"] {
        assert!(!announces_drift(name, json!({})), "{name}");
    }
}
