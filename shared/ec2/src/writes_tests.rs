//! Writes whose first answer is lost.

use super::*;
use crate::{Clients, Traffic};
use aws_config::retry::RetryConfig;
use remediation::testing::{Answer, Fake, Sent, answer, ok, region};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A client that makes a call twice.
fn client(fake: &Fake) -> Client {
    let retries = RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1));
    Clients::new(&fake.sdk().into_builder().retry_config(retries).build()).at(&region())
}

fn rule() -> Rule {
    Rule {
        id: Some("sgr-00000001".to_owned()),
        traffic: Traffic {
            direction: Direction::Ingress,
            protocol: "tcp".to_owned(),
            from_port: Some(22),
            to_port: Some(22),
            peer: Peer::CidrIpv4("0.0.0.0/0".to_owned()),
        },
        description: None,
        tags: BTreeMap::new(),
    }
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>"))
}

/// EC2 that fails the first write with `status` and refuses the second with `code`; whether it then has the rule.
fn forgetful(status: u16, code: &'static str, there: bool) -> Fake {
    let writes = AtomicUsize::new(0);
    Fake::new(move |sent: &Sent| {
        if sent.operation().unwrap() == "DescribeSecurityGroupRules" {
            let row = "<item><securityGroupRuleId>sgr-00000001</securityGroupRuleId><isEgress>false</isEgress>\
                       <ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>\
                       <cidrIpv4>0.0.0.0/0</cidrIpv4></item>";
            let rows = if there { row } else { "" };
            return ok(format!(
                "<DescribeSecurityGroupRulesResponse><securityGroupRuleSet>{rows}</securityGroupRuleSet>\
                 </DescribeSecurityGroupRulesResponse>"
            ));
        }
        match writes.fetch_add(1, Ordering::Relaxed) {
            0 => error(status, if status == 503 { "RequestLimitExceeded" } else { "InternalError" }),
            _ => error(400, code),
        }
    })
}

#[tokio::test]
async fn what_a_lost_answer_said_is_looked_up() {
    let group = SecurityGroupId::parse("sg-903004f8").unwrap();
    let (gone, double) = ("InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.Duplicate");
    for (status, code, there, done, calls) in [
        // It was our own call that took it, or made it.
        (500, gone, false, true, 3),
        (500, double, true, true, 3),
        // It was not.
        (500, gone, true, false, 3),
        (500, double, false, false, 3),
        // The first call was clearly not carried out: somebody else was quicker.
        (503, gone, false, false, 2),
        (503, double, true, false, 2),
    ] {
        let fake = forgetful(status, code, there);
        let wrote = if code == gone {
            revoke_rules(&client(&fake), &group, Direction::Ingress, &[rule()], false).await
        } else {
            authorize(&client(&fake), &group, Direction::Ingress, &[rule()], false).await
        };
        let at = format!("{status} {code} {there}: {wrote:?}");
        assert_eq!((wrote.is_ok(), fake.sent().len()), (done, calls), "{at}");
        assert!(done || matches!(wrote, Err(Fault::Moved(_))), "{at}");
    }
}
