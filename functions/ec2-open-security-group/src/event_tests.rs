//! Which calls must have left drift behind.

use super::*;
use serde_json::{Value, json};

fn call(name: &str, parameters: Value, response: Value) -> ApiCall {
    ApiCall { event_source: "ec2.amazonaws.com".to_owned(), event_name: name.to_owned(), parameters, response }
}

#[test]
fn a_call_that_opens_a_group_announces_drift() {
    let authorize = |rule: Value| {
        let response = json!({"requestId": "x", "_return": true, "securityGroupRuleSet": {"items": [rule]}});
        call("AuthorizeSecurityGroupIngress", json!({"groupId": GROUP, "ipPermissions": {}}), response)
    };
    let rule = |protocol: &str, port: i64, field: &str, cidr: &str| {
        authorize(
            json!({"groupId": GROUP, "isEgress": false, "ipProtocol": protocol, "fromPort": port, "toPort": port, field: cidr}),
        )
    };
    let modify = |rule: Value| {
        let request = json!({"GroupId": GROUP, "SecurityGroupRule": {"SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": rule, "tag": 1}});
        call("ModifySecurityGroupRules", json!({"ModifySecurityGroupRulesRequest": request}), Value::Null)
    };
    for (call, announces) in [
        (rule("tcp", 22, "cidrIpv4", "0.0.0.0/0"), true),
        (rule("tcp", 22, "cidrIpv6", "::/0"), true),
        (rule("-1", -1, "cidrIpv4", "0.0.0.0/0"), true),
        (rule("tcp", 22, "cidrIpv4", "203.0.113.0/24"), false),
        (rule("tcp", 443, "cidrIpv4", "0.0.0.0/0"), false),
        (rule("tcp", 22, "prefixListId", "pl-1"), false),
        (modify(json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "0.0.0.0/0"})), true),
        (modify(json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "203.0.113.7/32"})), false),
        (call("AuthorizeSecurityGroupIngress", Value::Null, Value::Null), false),
        (call("AuthorizeSecurityGroupIngress", json!({}), json!({"securityGroupRuleSet": "x"})), false),
        (call("ModifySecurityGroupRules", json!({"ModifySecurityGroupRulesRequest": []}), Value::Null), false),
        (call("RevokeSecurityGroupIngress", json!({"groupId": GROUP}), Value::Null), false),
    ] {
        assert_eq!(OpenSecurityGroup::announces_drift(&call), announces, "{call:?}");
    }
}

#[test]
fn the_example_of_an_undo_is_a_record_of_ours() {
    let request: Value =
        serde_json::from_str(include_str!("../../../events/ec2-open-security-group/manual-undo.json")).unwrap();
    let record = &request["record"];
    let state = |field: &str| serde_json::from_value::<State>(record[field].clone()).unwrap();
    let (before, after) = (state("before"), state("after"));
    assert_eq!(json!(before), record["before"], "written as we write it");
    assert_eq!(json!(after), record["after"]);
    assert_eq!(json!(OpenSecurityGroup::changes(&before, &OpenSecurityGroup::desired(&before))), record["changes"]);
    assert_eq!(json!(OpenSecurityGroup::changes(&after, &before)), record["undo"]);
    assert_eq!(json!(OpenSecurityGroup::risks(&before, &after)), record["breaks"]);
    assert_eq!(json!(OpenSecurityGroup::notes(&before)), record["notes"]);
    assert_eq!(before.policy, Parameters::default().policy(None).unwrap());
}

#[test]
fn the_examples_announce_what_they_bring() {
    for (event, announces) in [
        (include_str!("../../../events/ec2-open-security-group/authorize-security-group-ingress.json"), true),
        (include_str!("../../../events/ec2-open-security-group/authorize-security-group-ingress-ipv6.json"), true),
        (
            include_str!("../../../events/ec2-open-security-group/authorize-security-group-ingress-all-traffic.json"),
            true,
        ),
        (
            include_str!("../../../events/ec2-open-security-group/authorize-security-group-ingress-short-form.json"),
            true,
        ),
        (include_str!("../../../events/ec2-open-security-group/modify-security-group-rules.json"), true),
        // What a list holds is not in the event.
        (
            include_str!("../../../events/ec2-open-security-group/authorize-security-group-ingress-prefix-list.json"),
            false,
        ),
        (include_str!("../../../events/ec2-open-security-group/own-call.json"), false),
    ] {
        let event: Value = serde_json::from_str(event).unwrap();
        let detail = &event["detail"];
        let name = detail["eventName"].as_str().unwrap();
        let call = call(name, detail["requestParameters"].clone(), detail["responseElements"].clone());
        assert_eq!(OpenSecurityGroup::announces_drift(&call), announces, "{event}");
    }
}
