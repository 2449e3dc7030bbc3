//! ec2-default-security-group's real binary in the lab.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use serde_json::{Value, json};
use system_tests::ec2::{
    DEFAULT as FUNCTION, about, authorize, call, default_group, everything, first, group, interface, prefix_list,
    rules, vpc,
};
use system_tests::{
    HOME, about_to_write, alice, alone, calls, event, faults, fire, invoke, outcome, record, reported, shared, variant,
    writes,
};

const FIRST: [&str; 2] = ["in -1 from itself", "out -1 to 0.0.0.0/0"];
const READS: [&str; 2] = ["ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups"];

/// A new VPC's default group, which nobody saw made.
async fn new(lab: &Lab) -> String {
    let client = lab.quiet_client(HOME);
    default_group(&client, &vpc(&client).await).await
}

fn enforce(group: &str) -> Value {
    json!({"resource": group, "mode": "enforce"})
}

#[test]
fn a_new_vpcs_default_group_is_emptied_though_the_call_names_no_group() {
    shared(async |lab| {
        let mut happenings = lab.listen();
        let vpc = first(&call(&alice(lab), "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).await, "vpcId");
        let report = reported(&mut happenings, FUNCTION, &vpc).await;
        assert_eq!(outcome(&report), "fixed", "{}", record(&report));
        let group = default_group(&lab.quiet_client(HOME), &vpc).await;
        assert_eq!(everything(lab, &group).await, Vec::<String>::new());
        let expected = [
            // Named by its VPC: the rules can only be asked for when the group is known.
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeNetworkInterfaces",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSecurityGroupRules",
        ];
        assert_eq!(calls(&report), expected);
        let record = record(&report);
        assert_eq!((&record["cause"]["call"], &record["before"]["group"]["id"]), (&json!("CreateVpc"), &json!(group)));

        // Alice opens it again, either way.
        for way in ["Ingress", "Egress"] {
            let mut happenings = lab.listen();
            authorize(&alice(lab), way, &group, &[("tcp", "22", &["203.0.113.0/24", "::/0"])], &[]).await;
            let report = reported(&mut happenings, FUNCTION, &group).await;
            assert_eq!((outcome(&report), writes(&report)), ("fixed".into(), 1), "{way}");
            assert_eq!(everything(lab, &group).await, Vec::<String>::new(), "{way}");
        }
        // An undo of what it did takes back all of it; our own calls wake nobody.
        let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record})).await;
        assert_eq!(
            (outcome(&undone), everything(lab, &group).await),
            ("undone".into(), FIRST.map(str::to_owned).to_vec())
        );
    });
}

#[test]
fn what_is_fine_costs_two_reads() {
    shared(async |lab| {
        let there = new(lab).await;
        assert_eq!(outcome(&invoke(lab, FUNCTION, &enforce(&there)).await), "fixed");
        let mut others = vec![there];
        // Any other group is none of its business, however open.
        others.push(group(lab, &[("-1", "", &["0.0.0.0/0"])]).await);
        for there in &others {
            for event in [enforce(there), about(FUNCTION, "authorize-security-group-ingress", there)] {
                let report = invoke(lab, FUNCTION, &event).await;
                let mut names = calls(&report);
                names.sort();
                assert_eq!((outcome(&report), names), ("compliant".into(), READS.map(str::to_owned).to_vec()));
            }
        }
        assert_eq!(everything(lab, &others[1]).await, ["in -1 from 0.0.0.0/0", "out -1 to 0.0.0.0/0"]);
        let gone = invoke(lab, FUNCTION, &enforce("sg-0123456789abcdef1")).await;
        assert_eq!((outcome(&gone), gone.answer.is_ok()), ("gone".into(), true));
        let gone = invoke(lab, FUNCTION, &enforce("vpc-0123456789abcdef1")).await;
        assert_eq!((outcome(&gone), calls(&gone)), ("gone".into(), vec!["ec2:DescribeSecurityGroups".to_owned()]));
    });
}

/// The rival empties it whoever uses it, and keeps no record.
#[test]
fn what_something_uses_is_emptied_only_on_purpose_and_taken_back_whole() {
    shared(async |lab| {
        let client = lab.quiet_client(HOME);
        let there = new(lab).await;
        let list = prefix_list(&client, "IPv4", &["198.51.100.0/24"]).await;
        let other = system_tests::ec2::group_in(&client, None, &[]).await;
        authorize(&client, "Ingress", &there, &[("tcp", "5432", &["10.0.0.0/8 the ward"])], &[("owner", "ward-7")])
            .await;
        authorize(&client, "Ingress", &there, &[("icmp", "-1", &["0.0.0.0/0"]), ("udp", "53-54", &["::/0"])], &[])
            .await;
        authorize(&client, "Egress", &there, &[("tcp", "443", &[&list]), ("-1", "", &[&other])], &[]).await;
        let before = everything(lab, &there).await;
        assert_eq!(before.len(), 7, "{before:?}");
        interface(&client, &there).await;

        let report = invoke(lab, FUNCTION, &about(FUNCTION, "authorize-security-group-ingress", &there)).await;
        let refused = record(&report);
        assert_eq!((&refused["refused_by"], writes(&report)), (&json!("in-use"), 0), "{refused}");
        assert!(refused["why"].as_str().unwrap().contains("unattached interfaces 1"), "{refused}");
        assert_eq!(everything(lab, &there).await, before);

        let asked = json!({"resource": there, "mode": "enforce", "override": ["in-use"], "reason": "INC-9"});
        let report = invoke(lab, FUNCTION, &asked).await;
        assert_eq!((outcome(&report), writes(&report), everything(lab, &there).await), ("fixed".into(), 2, vec![]));
        let undo = json!({"mode": "undo", "record": record(&report)});
        let undone = invoke(lab, FUNCTION, &undo).await;
        // Rules with tags and rules without are made by a call each.
        assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 3), "{}", record(&undone));
        assert_eq!(everything(lab, &there).await, before);
        let again = invoke(lab, FUNCTION, &undo).await;
        assert_eq!((outcome(&again), writes(&again)), ("undone".into(), 0));
    });
}

#[test]
fn a_plan_asks_whether_we_may_and_writes_nothing() {
    shared(async |lab| {
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        let there = new(lab).await;
        let report = invoke(lab, "planning", &about(FUNCTION, "authorize-security-group-egress", &there)).await;
        let plan = record(&report);
        assert_eq!((&plan["outcome"], plan["changes"].as_array().unwrap().len()), (&json!("planned"), 2), "{plan}");
        assert!(plan["why"].as_str().unwrap().ends_with("AWS says that we may"), "{plan}");
        assert_eq!(report.calls.iter().filter(|call| call.status == 412).count(), 2, "dry runs");
        assert_eq!((report.calls.len(), everything(lab, &there).await), (5, FIRST.map(str::to_owned).to_vec()));
    });
}

#[test]
fn config_is_told_and_a_finding_is_resolved_by_a_fix_alone() {
    shared(async |lab| {
        let (free, used) = (new(lab).await, new(lab).await);
        interface(&lab.quiet_client(HOME), &used).await;
        for (group, ends, resolved, complies) in
            [(&free, "fixed", 1, "COMPLIANT"), (&used, "refused", 0, "NON_COMPLIANT")]
        {
            let event = about(FUNCTION, "security-hub", group);
            let id = event["detail"]["findings"][0]["Id"].as_str().unwrap().to_owned();
            let mine = format!("finding-{group}");
            let event: Value = serde_json::from_str(&event.to_string().replace(&id, &mine)).unwrap();
            assert_eq!(outcome(&invoke(lab, FUNCTION, &event).await), ends);
            let all = lab.findings(HOME).await.unwrap();
            assert_eq!(all.iter().filter(|call| call.to_string().contains(&mine)).count(), resolved, "{ends}");
            invoke(lab, FUNCTION, &about(FUNCTION, "rule-change", group)).await;
            let all = lab.evaluations(HOME).await.unwrap();
            let told: Vec<_> = all.iter().filter(|call| call.to_string().contains(group.as_str())).collect();
            assert_eq!(told.len(), 1, "{all:?}");
            assert_eq!(told[0]["evaluations"][0]["ComplianceType"], complies);
        }
        let report = invoke(lab, FUNCTION, &event(FUNCTION, "own-call")).await;
        assert_eq!((&report.json()["unread"][0]["as"], report.calls.len()), (&json!("ignored"), 0));
    });
}

#[test]
fn what_changes_between_the_look_and_the_write_is_looked_at_again() {
    alone(async |lab| {
        system_tests::only(lab, FUNCTION);
        let client = lab.quiet_client(HOME);
        let there = new(lab).await;
        let revoke = "ec2:RevokeSecurityGroupIngress=latency:400";
        // Somebody takes one of the rules, and makes another: neither is in the way.
        faults(lab, &[revoke]);
        let mut happenings = lab.listen();
        let named = enforce(&there);
        let (report, ()) = tokio::join!(invoke(lab, FUNCTION, &named), async {
            about_to_write(&mut happenings).await;
            let all = rules(&client, &there).await;
            let own = all.iter().find(|rule| rule.says == FIRST[0]).unwrap();
            let parameters = [("GroupId", there.as_str()), ("SecurityGroupRuleId.1", own.id.as_str())];
            call(&client, "RevokeSecurityGroupIngress", &parameters).await;
            authorize(&client, "Ingress", &there, &[("tcp", "22", &["::/0"])], &[]).await;
        });
        assert_eq!((outcome(&report), everything(lab, &there).await), ("fixed".into(), vec![]), "{}", record(&report));
        // What somebody else took is theirs: an undo gives back what we took.
        faults(lab, &[]);
        let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record(&report)})).await;
        assert_eq!(outcome(&undone), "undone");
        assert_eq!(everything(lab, &there).await, ["in tcp 22 from ::/0", "out -1 to 0.0.0.0/0"]);

        // The VPC goes, and its group with it.
        let vpc = vpc(&client).await;
        let there = default_group(&client, &vpc).await;
        faults(lab, &[revoke]);
        let mut happenings = lab.listen();
        let named = enforce(&there);
        let (report, ()) = tokio::join!(invoke(lab, FUNCTION, &named), async {
            about_to_write(&mut happenings).await;
            call(&client, "DeleteVpc", &[("VpcId", &vpc)]).await;
        });
        assert_eq!((outcome(&report), report.answer.is_ok()), ("gone".into(), true), "{}", record(&report));
        assert_eq!(record(&report)["undo"], json!([]));
    });
}

#[test]
fn a_sweep_finds_what_no_event_told_and_leaves_other_groups_alone() {
    alone(async |lab| {
        let (free, used) = (new(lab).await, new(lab).await);
        interface(&lab.quiet_client(HOME), &used).await;
        let open = group(lab, &[("-1", "", &["0.0.0.0/0"])]).await;
        let reports = fire(lab, FUNCTION).await;
        let looked: Vec<_> = reports.iter().flat_map(calls).collect();
        assert_eq!(everything(lab, &free).await, Vec::<String>::new(), "{looked:?}");
        assert_eq!(everything(lab, &used).await, FIRST);
        assert_eq!(everything(lab, &open).await, ["in -1 from 0.0.0.0/0", "out -1 to 0.0.0.0/0"]);
        let again = fire(lab, FUNCTION).await;
        assert_eq!(again.iter().map(writes).sum::<usize>(), 0, "the one in use is refused again");
    });
}
