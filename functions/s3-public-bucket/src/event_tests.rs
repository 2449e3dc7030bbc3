//! What the events of `events/s3-public-bucket`, and worse ones, are read as.

use super::*;
use remediation::event::{self, Order, Request, Unread};
use remediation::{AccountId, Mode, Region};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/s3-public-bucket")
}

fn file(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn read(event: &Value) -> Result<Vec<Request<PublicBucket>>, Unread> {
    let own = (AccountId::parse("111122223333").unwrap(), Region::parse("us-east-1").unwrap());
    event::read::<PublicBucket>(event, (Some(&own.0), Some(&own.1)))
}

fn rejected(event: &Value) -> String {
    let Err(Unread::Rejected(why)) = read(event) else { panic!("{:?} of {event}", read(event)) };
    assert!(why.len() < 1000 && !why.contains(char::is_control), "{why:?}");
    why
}

/// A `DeleteBucketPublicAccessBlock` event with the call and its parameters exchanged.
fn call(name: &str, parameters: Value) -> Value {
    let mut event = file("delete-public-access-block.json");
    event["detail"]["eventName"] = json!(name);
    event["detail"]["requestParameters"] = parameters;
    event
}

fn announces_drift(name: &str, mut parameters: Value) -> bool {
    parameters["bucketName"] = json!("clinic-scans");
    read(&call(name, parameters)).unwrap()[0].announces_drift
}

#[test]
fn every_file_means_what_its_name_says() {
    // The file; the bucket, or part of the line that says why not; whether it announces drift.
    let table = [
        ("create-bucket.json", Ok("clinic-scans"), false),
        ("delete-bucket-ownership-controls.json", Ok("clinic-scans"), false),
        ("delete-public-access-block.json", Ok("clinic-scans"), true),
        ("denied-call.json", Err("did not happen: it failed with \"AccessDenied\""), false),
        ("hostile-bucket-name.json", Err("\"clinic-scans/../payroll\" is no bucket name"), false),
        ("manual-enforce.json", Ok("clinic-scans"), false),
        ("manual-plan.json", Ok("clinic-scans"), false),
        ("other-account.json", Ok("partner-exports"), true),
        ("own-call.json", Ok("clinic-scans"), false),
        ("put-bucket-acl.json", Ok("clinic-scans"), false),
        ("put-bucket-ownership-controls.json", Ok("clinic-scans"), false),
        ("put-bucket-policy.json", Ok("clinic-scans"), false),
        ("put-bucket-website.json", Ok("clinic-scans"), false),
        ("put-public-access-block-partial.json", Ok("clinic-scans"), true),
        ("unrendered-template.json", Err("account id \"{{{account_id}}}\""), false),
    ];
    for (name, expected, announces) in table {
        match (read(&file(name)), expected) {
            (Ok(requests), Ok(bucket)) => {
                assert_eq!(requests.len(), 1, "{name}");
                assert_eq!(requests[0].place.target.as_str(), bucket, "{name}");
                assert_eq!(requests[0].announces_drift, announces, "{name}");
            }
            (Err(Unread::Rejected(why) | Unread::Ignored(why)), Err(part)) => {
                assert!(why.contains(part), "{name}: {why}");
            }
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
    let files: BTreeSet<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, table.iter().map(|(name, ..)| (*name).to_owned()).collect(), "a file is not in the table");
}

#[test]
fn a_request_by_hand() {
    let order = |name| read(&file(name)).unwrap().remove(0).order;
    assert!(matches!(order("manual-plan.json"), Order::Fix(Some(Mode::Plan))));
    assert!(matches!(order("manual-enforce.json"), Order::Fix(Some(Mode::Enforce))));
    let by_arn = read(&json!({"resource": "arn:aws:s3:::clinic-scans"})).unwrap().remove(0);
    assert_eq!(by_arn.place.target.as_str(), "clinic-scans");
}

#[test]
fn every_watched_call_names_its_bucket() {
    for watch in PublicBucket::ABOUT.watches {
        for name in watch.events {
            let requests = read(&call(name, json!({"bucketName": "clinic-scans"}))).unwrap();
            assert_eq!(requests[0].place.target.as_str(), "clinic-scans", "{name}");
            // Records without parameters exist; they name nothing that could be looked at.
            for none in
                [json!(null), json!({}), json!("bucketName"), json!({"bucketName": 5}), json!({"bucketName": null})]
            {
                assert!(rejected(&call(name, none)).contains("names no AWS::S3::Bucket"), "{name}");
            }
        }
    }
}

#[test]
fn hostile_names_are_named() {
    let long = "a".repeat(64);
    for bad in
        ["clinic/scans", &long, "clinic\nscans", "{{{bucket}}}", "", "*", "clinic-scans?acl", "a\u{202e}b-c", ".."]
    {
        assert!(rejected(&call("PutBucketAcl", json!({"bucketName": bad}))).contains("is no bucket name"), "{bad:?}");
        assert!(rejected(&json!({"resource": bad})).contains("is no bucket name"), "{bad:?}");
    }
}

#[test]
fn calls_that_are_no_concern() {
    for (name, says) in [
        ("GetBucketPolicy", "cannot bring about"),
        ("PutAccountPublicAccessBlock", "cannot bring about"),
        ("PutObject", "cannot bring about"),
    ] {
        let Err(Unread::Ignored(why)) = read(&call(name, json!({"bucketName": "clinic-scans"}))) else {
            panic!("{name}")
        };
        assert!(why.contains(says), "{why}");
    }
    let mut other = file("delete-public-access-block.json");
    other["detail"]["eventSource"] = json!("s3express.amazonaws.com");
    assert!(rejected(&other).contains("another service's event"));
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

/// Every place in a JSON value.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), field)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect(),
        _ => vec![],
    };
    for (name, field) in inner {
        let path = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        places(field, &path, into);
        into.push(path);
    }
}

fn odd_values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
        "[a-z0-9./{}-]{0,70}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"bucketName": "clinic-scans"}])),
        Just(json!("AWS API Call via CloudTrail")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mangled_event_is_read_soundly_or_named(
        pick in any::<prop::sample::Index>(),
        mangles in prop::collection::vec((any::<prop::sample::Index>(), odd_values()), 1..4),
    ) {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let text = std::fs::read_to_string(pick.get(&files).as_path()).unwrap();
        let mut event: Value = serde_json::from_str(&text).unwrap();
        for (pick, odd) in mangles {
            let mut all = Vec::new();
            places(&event, "", &mut all);
            if let Some(place) = (!all.is_empty()).then(|| pick.get(&all).as_str()).and_then(|path| event.pointer_mut(path)) {
                *place = odd;
            }
        }
        match read(&event) {
            Ok(requests) => {
                for request in requests {
                    prop_assert!(BucketName::parse(request.place.target.as_str()).is_ok());
                }
            }
            Err(Unread::Rejected(why) | Unread::Ignored(why)) => {
                prop_assert!(!why.is_empty() && why.len() < 2000 && !why.contains(char::is_control), "{:?}", why);
            }
        }
    }
}
