//! What starts the control, and what does not.

use super::*;
use remediation::testing::requests;
use serde_json::{Value, json};

/// An event of ours, as it is in `events/`.
macro_rules! event {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            "../../../events/ec2-quarantine-security-group/",
            $name,
            ".json"
        )))
        .unwrap()
    };
}

#[test]
fn a_person_starts_it() {
    for (event, target) in [
        (event!("manual-enforce"), "sg-0123456789abcdef0"),
        (event!("manual-enforce-instance"), "i-0123456789abcdef0"),
        (event!("manual-plan"), "sg-0123456789abcdef0"),
        (event!("manual-undo"), "sg-0123456789abcdef0"),
    ] {
        let requests = requests::<Quarantine>(&event).unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].place.target.to_string(), target);
    }
    for event in [event!("hostile-instance-id"), event!("unrendered-template")] {
        assert!(requests::<Quarantine>(&event).is_err());
    }
}

#[test]
fn nothing_else_does() {
    let about = |detail_type: &str, source: &str, detail: Value| {
        json!({
            "detail-type": detail_type,
            "source": source,
            "account": "111122223333",
            "region": "us-east-1",
            "time": "2026-01-15T10:45:23Z",
            "detail": detail,
        })
    };
    let group = "sg-0123456789abcdef0";
    let opened = json!({
        "eventSource": "ec2.amazonaws.com",
        "eventName": "AuthorizeSecurityGroupIngress",
        "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333",
        "requestParameters": {"groupId": group},
    });
    let rule = json!({
        "resourceId": group,
        "resourceType": "AWS::EC2::SecurityGroup",
        "awsAccountId": "111122223333",
        "awsRegion": "us-east-1",
        "configRuleName": "restricted-ssh",
        "newEvaluationResult": {"complianceType": "NON_COMPLIANT"},
    });
    for event in [
        about("AWS API Call via CloudTrail", "aws.ec2", opened),
        about("Config Rules Compliance Change", "aws.config", rule),
        about("Scheduled Event", "aws.events", json!({})),
    ] {
        assert!(requests::<Quarantine>(&event).is_err(), "{event}");
    }
}

#[test]
fn a_record_in_the_events_is_one_that_can_be_undone() {
    let record = &event!("manual-undo")["record"];
    let state = |field: &str| serde_json::from_value::<State>(record[field].clone()).unwrap();
    let (before, after) = (state("before"), state("after"));
    assert_eq!(serde_json::to_value(fix(&before)).unwrap(), record["changes"]);
    assert_eq!(fix(&after), []);
    let undo = Quarantine::changes(&after, &Quarantine::restored(&before));
    assert_eq!(serde_json::to_value(undo).unwrap(), record["undo"]);
}
