//! Whether a call to EC2 must have opened a group, by what CloudTrail recorded of it.

use crate::opening::Lists;
use crate::parameters::Parameters;
use ec2::{Direction, Peer, Traffic};
use remediation::ApiCall;
use serde_json::Value;

/// Whether the call opened to the world what nobody leaves open, if it worked. By the default ports, since an event knows
/// no settings: the worst that follows is a second look.
pub fn drift(call: &ApiCall) -> bool {
    let Ok(policy) = Parameters::default().policy(None) else { return false };
    let forbids = |rule: &Value| traffic(rule).is_some_and(|traffic| policy.forbids(&traffic, &Lists::new()));
    match call.event_name.as_str() {
        // The answer has the rules one by one, whatever form the request had.
        "AuthorizeSecurityGroupIngress" => {
            each(call.response.pointer("/securityGroupRuleSet/items")).iter().any(|rule| forbids(rule))
        }
        "ModifySecurityGroupRules" => {
            let request = call.parameters.get("ModifySecurityGroupRulesRequest");
            let rules = each(request.and_then(|request| request.get("SecurityGroupRule")));
            rules.iter().filter_map(|rule| rule.get("SecurityGroupRule")).any(forbids)
        }
        _ => false,
    }
}

/// The elements of a list; CloudTrail writes a list of one as its element, in some calls.
fn each(list: Option<&Value>) -> Vec<&Value> {
    match list {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(item @ Value::Object(_)) => vec![item],
        _ => vec![],
    }
}

/// A rule's traffic. Answers have names in camelCase, newer requests in PascalCase.
fn traffic(rule: &Value) -> Option<Traffic> {
    let field = |camel: &str, pascal: &str| rule.get(camel).or_else(|| rule.get(pascal));
    let text = |camel: &str, pascal: &str| field(camel, pascal).and_then(Value::as_str).map(str::to_owned);
    let port = |camel: &str, pascal: &str| {
        field(camel, pascal).and_then(Value::as_i64).and_then(|port| i32::try_from(port).ok())
    };
    let v4 = text("cidrIpv4", "CidrIpv4").map(Peer::CidrIpv4);
    Some(Traffic {
        direction: if rule.get("isEgress") == Some(&Value::Bool(true)) {
            Direction::Egress
        } else {
            Direction::Ingress
        },
        protocol: text("ipProtocol", "IpProtocol")?,
        from_port: port("fromPort", "FromPort"),
        to_port: port("toPort", "ToPort"),
        peer: v4.or_else(|| text("cidrIpv6", "CidrIpv6").map(Peer::CidrIpv6))?,
    })
}
