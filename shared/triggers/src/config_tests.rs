use crate::samples::*;
use crate::{Act, Reply, Trigger, read};
use serde_json::{Value, json};

#[test]
fn a_rule_waits_for_an_answer() {
    let notice = only(read(&invocation(&item())));
    assert_eq!((notice.trigger, notice.event.as_deref()), (Trigger::ConfigRule, Some("access-keys-rotated")));
    assert_eq!((notice.region, notice.resources[0].name.as_deref()), (None, Some("anna")), "`global` is no region");
    let rule = notice.rule.unwrap();
    assert_eq!(Value::from(rule.parameters.unwrap()), json!({"maxAccessKeyAge": "90"}));
    let Some(Reply::Evaluation { token, at, not_applicable }) = notice.reply else { panic!() };
    assert_eq!((token.as_str(), at.unix_timestamp(), not_applicable), ("token", 1_772_352_000, false));
    let tested = only(read(&with(invocation(&item()), "/resultToken", json!("TESTMODE"))));
    assert!(matches!(tested.reply, Some(Reply::Evaluation { token, .. }) if token == "TESTMODE"));
    // Some tools send the invoking event alone.
    let bare = only(read(&json!({"invokingEvent": item().to_string()})));
    assert_eq!((bare.act, bare.reply, bare.rule), (Act::Evaluate, None, None));
    let swept = only(read(&scheduled_rule()));
    assert!(swept.act == Act::Sweep && swept.rule.is_some());
    assert!(matches!(swept.reply, Some(Reply::Evaluation { at, .. }) if at.unix_timestamp() == 1_772_352_002));
}

#[test]
fn what_is_out_of_reach_is_not_applicable() {
    let status = |status: &str| with(item(), "/configurationItem/configurationItemStatus", json!(status));
    let gone = [
        invocation(&status("ResourceDeleted")),
        invocation(&status("ResourceNotRecorded")),
        invocation(&status("ResourceDeletedNotRecorded")),
        with(invocation(&item()), "/eventLeftScope", json!(true)),
        with(invocation(&item()), "/eventLeftScope", json!("true")),
    ];
    for event in gone {
        let notice = only(read(&event));
        assert_eq!(notice.act, Act::Ignore);
        assert_eq!(notice.resources.len(), 1, "the answer is about it");
        assert!(matches!(notice.reply, Some(Reply::Evaluation { not_applicable: true, .. })));
    }
    for here in ["OK", "ResourceDiscovered"] {
        assert_eq!(only(read(&invocation(&status(here)))).act, Act::Evaluate);
    }
    let deleted = bus("Config Configuration Item Change", "aws.config", status("ResourceDeleted"));
    assert_eq!(only(read(&deleted)).act, Act::Ignore);
}

#[test]
fn invocations_that_cannot_be_read() {
    let unrendered = with(item(), "/configurationItem/awsAccountId", json!("{{{account_id}}}"));
    let table = [
        (with(invocation(&item()), "/invokingEvent", json!("{")), "invokingEvent is no JSON"),
        (with(invocation(&item()), "/invokingEvent", json!(item())), "invokingEvent is an object"),
        (
            with(invocation(&item()), "/invokingEvent", json!(json!(item().to_string()).to_string())),
            "is a text in a text",
        ),
        (with(invocation(&item()), "/ruleParameters", json!("no")), "ruleParameters is no JSON"),
        (with(invocation(&item()), "/ruleParameters", json!("[]")), "ruleParameters is no JSON object"),
        (with(invocation(&item()), "/ruleParameters", json!({})), "ruleParameters is an object"),
        (with(invocation(&item()), "/eventLeftScope", json!(1)), "eventLeftScope is a number"),
        (
            invocation(&with(item(), "/messageType", json!("ScheduledNxotification"))),
            "is none that a rule is invoked with",
        ),
        (invocation(&with(item(), "/messageType", None)), "messageType \"\""),
        (invocation(&with(item(), "/configurationItem", None)), "without a configuration item"),
        (invocation(&with(item(), "/configurationItem/resourceId", None)), "no resourceType or resourceId"),
        (invocation(&with(item(), "/configurationItem/resourceId", json!("AIDA*"))), "it is a pattern"),
        (invocation(&with(item(), "/configurationItem/awsRegion", json!("{{{region}}}"))), "never filled in"),
        (invocation(&unrendered), "never filled in"),
    ];
    for (event, says) in table {
        let why = refused(read(&event));
        assert!(why.contains(says), "{says}\n{why}");
    }
    for none in [json!(null), json!(""), json!(" ")] {
        let notice = only(read(&with(invocation(&item()), "/ruleParameters", none)));
        assert_eq!((notice.act, notice.rule.unwrap().parameters), (Act::Evaluate, None));
    }
    // On schedule no resource is named, so an account that is none does no harm.
    let scheduled = json!({"messageType": "ScheduledNotification", "awsAccountId": "{{{account_id}}}"});
    let notice = only(read(&invocation(&scheduled)));
    assert_eq!((notice.act, notice.reply), (Act::Sweep, None));
    assert_eq!(notice.account, None);
}

#[test]
fn compliance_changes() {
    let notice = only(read(&compliance()));
    let rule = "s3-bucket-public-read-prohibited-conformance-pack-abc";
    assert_eq!(
        (notice.event.as_deref(), notice.rule.as_ref().map(|rule| rule.name.as_str())),
        (Some(rule), Some(rule))
    );
    assert_eq!(notice.cause.unwrap().at.unwrap().unix_timestamp(), 1_772_352_000);
    for fine in ["COMPLIANT", "NOT_APPLICABLE", "INSUFFICIENT_DATA"] {
        let why = ignored(read(&with(compliance(), "/detail/newEvaluationResult/complianceType", json!(fine))));
        assert!(why.ends_with(fine), "{why}");
    }
    let old = json!({"complianceType": "NON_COMPLIANT"});
    let gone = with(with(compliance(), "/detail/newEvaluationResult", None), "/detail/oldEvaluationResult", old);
    assert!(ignored(read(&gone)).contains("no new result"));
    // Forwarded to a hub's bus: the detail says whose resource it is.
    let forwarded = with(compliance(), "/account", json!(THEIRS));
    assert_eq!(only(read(&forwarded)).account.unwrap().as_str(), OURS);
    let account = with(compliance(), "/detail/resourceType", json!("AWS::::Account"));
    assert_eq!(
        named(&only(read(&with(account.clone(), "/detail/resourceId", json!(OURS))))),
        [("AWS::::Account", OURS)]
    );
    let table = [
        (with(account, "/detail/resourceId", json!(THEIRS)), "not the one that the event is about"),
        (with(compliance(), "/detail/newEvaluationResult/complianceType", json!("PERHAPS")), "is no compliance"),
        (with(compliance(), "/detail/newEvaluationResult", None), "is no compliance"),
        (with(compliance(), "/detail/resourceId", json!("a/../b?acl&x=\u{0}")), "is no id of"),
        (with(compliance(), "/detail/resourceType", json!("<script>")), "is no type"),
        (with(compliance(), "/detail/awsAccountId", json!("12")), "is not twelve digits"),
    ];
    for (event, says) in table {
        let why = refused(read(&event));
        assert!(why.contains(says), "{says}\n{why}");
    }
    // What is missing is elsewhere in the message.
    let sparse = ["configRuleName", "resourceId", "resourceType", "awsAccountId", "awsRegion"];
    let sparse = sparse.iter().fold(compliance(), |event, field| with(event, &format!("/detail/{field}"), None));
    let notice = only(read(&sparse));
    assert_eq!((notice.act, named(&notice)), (Act::Evaluate, vec![("AWS::S3::Bucket", "clinic-scans")]));
}

#[test]
fn other_messages_of_config() {
    let message = json!({"messageType": "ConfigurationHistoryDeliveryCompleted", "s3Bucket": "b"});
    assert!(ignored(read(&message)).contains("says nothing about a resource"));
    let event = bus("Config Rules Re-evaluation Status", "aws.config", json!({"messageType": "x"}));
    assert!(ignored(read(&event)).contains("says nothing about drift"));
    assert!(refused(read(&json!({"messageType": 5}))).contains("messageType is a number"));
    // A decoded invoking event that somebody pasted.
    assert_eq!(only(read(&item())).trigger, Trigger::ConfigItem);
}
