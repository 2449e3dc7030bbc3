//! ec2-open-security-group's real binary on bad days: somebody else writes too, groups go, nobody told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use serde_json::json;
use std::time::Duration;
use system_tests::ec2::{OPEN as FUNCTION, SSH, about, authorize, call, group, ingress, interface, rules};
use system_tests::{
    HOME, about_to_write, alice, alone, calls, faults, fire, invoke, only, outcome, record, reported, writes,
};

/// What is done to a group between the look and the write, while the write is under way.
async fn meanwhile(lab: &Lab, group: &str, act: impl AsyncFnOnce()) -> lab::runtime::Report {
    faults(lab, &["ec2:RevokeSecurityGroupIngress=latency:400"]);
    let mut happenings = lab.listen();
    let event = about(FUNCTION, "authorize-security-group-ingress", group);
    let (report, ()) = tokio::join!(invoke(lab, FUNCTION, &event), async {
        about_to_write(&mut happenings).await;
        act().await;
    });
    faults(lab, &[]);
    report
}

#[test]
fn what_somebody_else_does_at_the_same_moment() {
    alone(async |lab| {
        only(lab, FUNCTION);
        // What is not reached is read back as long as there is time.
        let mut config = lab.gateway.functions.config(FUNCTION).unwrap();
        config.timeout = Duration::from_secs(5);
        lab.gateway.functions.configure(config);
        let client = lab.quiet_client(HOME);
        let take = async |group: &str, says: &str| {
            let all = rules(&client, group).await;
            let id = &all.iter().find(|rule| rule.says == says).unwrap().id;
            let parameters = [("GroupId", group), ("SecurityGroupRuleId.1", id.as_str())];
            call(&client, "RevokeSecurityGroupIngress", &parameters).await;
        };
        // One of two rules is taken: EC2 then does none of ours, and what is left is planned anew.
        let there = group(lab, &[SSH, ("tcp", "3389", &["::/0"])]).await;
        let report = meanwhile(lab, &there, async || take(&there, "in tcp 22 from 0.0.0.0/0").await).await;
        assert_eq!((outcome(&report), writes(&report), ingress(lab, &there).await), ("fixed".into(), 2, vec![]));
        let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record(&report)})).await;
        assert_eq!(
            (outcome(&undone), ingress(lab, &there).await),
            ("undone".into(), vec!["in tcp 3389 from ::/0".to_owned()])
        );

        // All of them are: nothing is claimed.
        let there = group(lab, &[SSH]).await;
        let report = meanwhile(lab, &there, async || take(&there, "in tcp 22 from 0.0.0.0/0").await).await;
        assert_eq!((outcome(&report), record(&report)["undo"].clone()), ("compliant".into(), json!([])));

        // Another one is made: the reading-back sees it, and it is not left.
        let there = group(lab, &[SSH]).await;
        let more = [("tcp", "23", &["0.0.0.0/0"][..])];
        let report = meanwhile(lab, &there, async || authorize(&client, "Ingress", &there, &more, &[]).await).await;
        let ends = record(&report);
        assert_eq!(
            (&ends["outcome"], &ends["remaining"][0]["revoke"][0]["from_port"]),
            (&json!("partly-fixed"), &json!(23)),
            "{ends}"
        );

        // Somebody makes the office's rule of it: by its id the rule is another one than we meant.
        let there = group(lab, &[SSH]).await;
        let id = rules(&client, &there).await[0].id.clone();
        let office = [
            ("GroupId", there.as_str()),
            ("SecurityGroupRule.1.SecurityGroupRuleId", &id),
            ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
            ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "22"),
            ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "22"),
            ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "203.0.113.0/24"),
        ];
        let report =
            meanwhile(lab, &there, async || drop(call(&client, "ModifySecurityGroupRules", &office).await)).await;
        assert!(
            record(&report)["why"].as_str().unwrap().contains("203.0.113.0/24"),
            "for a person: {}",
            record(&report)
        );

        // The group goes.
        let there = group(lab, &[SSH]).await;
        let gone = async || drop(call(&client, "DeleteSecurityGroup", &[("GroupId", &there)]).await);
        let report = meanwhile(lab, &there, gone).await;
        assert_eq!((outcome(&report), report.answer.is_ok()), ("gone".into(), true), "{}", record(&report));
        assert_eq!(record(&report)["undo"], json!([]));
    });
}

#[test]
fn an_event_that_is_quicker_than_the_reads_is_looked_at_again() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let there = group(lab, &[]).await;
        faults(lab, &["ec2:DescribeSecurityGroupRules=stale*2"]);
        // What is then shown although it is no longer so.
        assert_eq!(outcome(&invoke(lab, FUNCTION, &json!({"resource": there})).await), "compliant");
        let mut happenings = lab.listen();
        authorize(&alice(lab), "Ingress", &there, &[SSH], &[]).await;
        let report = reported(&mut happenings, FUNCTION, &there).await;
        assert_eq!((outcome(&report), ingress(lab, &there).await), ("fixed".into(), vec![]), "{:?}", calls(&report));
        assert_eq!(writes(&report), 1);
    });
}

#[test]
fn a_lost_answer_of_the_last_try_is_read_back() {
    alone(async |lab| {
        let there = group(lab, &[SSH]).await;
        faults(lab, &["ec2:RevokeSecurityGroupIngress=drop-answer*4"]);
        let report = invoke(lab, FUNCTION, &about(FUNCTION, "authorize-security-group-ingress", &there)).await;
        assert_eq!((outcome(&report), ingress(lab, &there).await), ("fixed".into(), vec![]), "{}", record(&report));
        faults(lab, &[]);
        let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record(&report)})).await;
        assert_eq!(
            (outcome(&undone), ingress(lab, &there).await),
            ("undone".into(), vec!["in tcp 22 from 0.0.0.0/0".to_owned()])
        );
    });
}

#[test]
fn a_sweep_finds_what_no_event_told_and_looks_at_nothing_else() {
    alone(async |lab| {
        let fine =
            json!([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
        lab.wish("ec2/fill", json!({"count": 1200, "prefix": "ward", "permissions": fine})).await.unwrap();
        let open = [group(lab, &[SSH]).await, group(lab, &[("-1", "", &["::/0"])]).await];
        interface(&lab.quiet_client(HOME), &open[1]).await;
        let reports = fire(lab, FUNCTION).await;
        for group in &open {
            assert_eq!(ingress(lab, group).await, Vec::<String>::new(), "{:?}", reports[0].log);
        }
        // Two pages, which are handed to others, and six calls for each of the two groups.
        let calls: Vec<_> = reports.iter().flat_map(calls).collect();
        assert_eq!((reports[0].calls.len(), calls.len()), (2, 2 + 2 * 6), "{calls:?}");
        assert_eq!(reports.iter().map(writes).sum::<usize>(), 2, "{calls:?}");
    });
}
