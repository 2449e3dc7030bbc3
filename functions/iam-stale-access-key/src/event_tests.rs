//! What names of users events may hold. What events look like is for the crate `triggers`.

use super::*;
use remediation::event::Unread;
use remediation::testing::requests;
use serde_json::{Value, json};

fn call(name: &str, parameters: &Value, response: &Value) -> Value {
    json!({
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam",
        "account": "111122223333",
        "region": "us-east-1",
        "time": "2026-01-15T10:45:23Z",
        "detail": {
            "eventSource": "iam.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"},
            "requestParameters": parameters,
            "responseElements": response,
        },
    })
}

fn target(event: &Value) -> String {
    let [request] = requests::<StaleAccessKey>(event).unwrap().try_into().unwrap();
    assert!(!request.announces_drift, "a key that was made or switched on may well be in use");
    request.place.target.to_string()
}

#[test]
fn every_watched_call_names_its_user() {
    for name in StaleAccessKey::ABOUT.watches.iter().flat_map(|watch| watch.events) {
        assert_eq!(target(&call(name, &json!({"userName": "bob"}), &json!(null))), "bob", "{name}");
    }
    // Whoever makes a key for themselves names nobody.
    let made = json!({"accessKey": {"userName": "alice", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "status": "Active"}});
    assert_eq!(target(&call("CreateAccessKey", &json!(null), &made)), "alice");
}

#[test]
fn a_user_whom_the_config_service_knows_by_unique_id() {
    let item = |name: Value| {
        json!({
            "detail-type": "Config Configuration Item Change",
            "source": "aws.config",
            "account": "111122223333",
            "region": "us-east-1",
            "time": "2026-01-15T10:45:23Z",
            "detail": {
                "messageType": "ConfigurationItemChangeNotification",
                "configurationItem": {
                    "resourceType": "AWS::IAM::User",
                    "resourceId": "AIDAEXAMPLEEXAMPLE000",
                    "resourceName": name,
                    "awsAccountId": "111122223333",
                    "awsRegion": "global",
                    "configurationItemStatus": "OK",
                },
            },
        })
    };
    assert_eq!(target(&item(json!("bob"))), "bob");
    assert_eq!(target(&item(json!(null))), "AIDAEXAMPLEEXAMPLE000");
}

#[test]
fn hostile_names_are_rejected_whoever_sends_them() {
    let long = "a".repeat(129);
    for bad in ["bob/../alice", &long, "bob\nalice", "{{{user}}}", "bob alice", "a\u{202e}b", "<script>"] {
        for event in [call("UpdateAccessKey", &json!({"userName": bad}), &json!(null)), json!({"resource": bad})] {
            match requests::<StaleAccessKey>(&event) {
                Err(Unread::Rejected(why)) => assert!(!why.contains(char::is_control), "{why:?}"),
                other => panic!("{other:?} of {bad:?}"),
            }
        }
    }
}
