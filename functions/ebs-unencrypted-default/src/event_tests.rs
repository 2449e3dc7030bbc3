//! What of an event reaches the control.

use super::*;
use remediation::testing::requests;
use serde_json::{Value, json};

fn call(name: &str) -> Value {
    json!({
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": "111122223333",
        "region": "us-east-1",
        "time": "2026-01-15T10:45:23Z",
        "detail": {
            "eventSource": "ec2.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"},
            // Some other resource that the call may name is not ours to look at.
            "requestParameters": {format!("{name}Request"): {"KmsKeyId": "alias/phi"}},
        },
    })
}

#[test]
fn every_watched_call_means_the_account_that_it_was_made_in() {
    for name in UnencryptedDefault::ABOUT.watches.iter().flat_map(|watch| watch.events) {
        let requests = requests::<UnencryptedDefault>(&call(name)).unwrap();
        assert_eq!(requests.len(), 1, "{name}");
        assert_eq!(requests[0].place.target.as_str(), "111122223333", "{name}");
        assert_eq!(requests[0].place.region.as_str(), "us-east-1", "{name}");
        assert_eq!(requests[0].announces_drift, *name == "DisableEbsEncryptionByDefault", "{name}");
    }
}

#[test]
fn a_record_in_the_events_is_one_that_can_be_undone() {
    let event = include_str!("../../../events/ebs-unencrypted-default/manual-undo.json");
    let event: Value = serde_json::from_str(event).unwrap();
    let state = |field: &str| serde_json::from_value::<State>(event["record"][field].clone()).unwrap();
    let (before, after) = (state("before"), state("after"));
    assert_eq!(UnencryptedDefault::desired(&before), after);
    let json = |changes: Vec<Change>| serde_json::to_value(changes).unwrap();
    assert_eq!(json(UnencryptedDefault::changes(&before, &after)), event["record"]["changes"]);
    assert_eq!(json(UnencryptedDefault::changes(&after, &before)), event["record"]["undo"]);
    assert_eq!(json!(UnencryptedDefault::ABOUT.citations), event["record"]["citations"]);
    assert_eq!(requests::<UnencryptedDefault>(&event).unwrap().len(), 1);
}
