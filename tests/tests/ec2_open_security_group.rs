//! ec2-open-security-group's real binary in the lab, on good days. Bad days are in `ec2_open_security_group_faults.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::runtime::Report;
use serde_json::{Value, json};
use system_tests::ec2::{
    OPEN as FUNCTION, Permission, SSH, about, authorize, call, group, group_in, ingress, interface, prefix_list, rules,
};
use system_tests::{
    HOME, OTHER_ACCOUNT, alice, calls, fresh, invoke, outcome, record, reported, shared, variant, writes,
};

const READS: [&str; 2] = ["ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups"];
const FIX: [&str; 6] = [
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeNetworkInterfaces",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
];

/// The calls of a report; reads beside each other come in any order.
fn sorted(report: &Report) -> Vec<String> {
    let mut names = calls(report);
    let written = names.iter().position(|name| name.starts_with("ec2:Revoke")).unwrap_or(names.len());
    names[..written.min(2)].sort();
    if let Some(back) = names.get_mut(written + 1..) {
        back.sort();
    }
    names
}

async fn asked(lab: &Lab, group: &str, more: &Value) -> Report {
    let mut event = json!({"resource": group, "mode": "enforce"});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    invoke(lab, FUNCTION, &event).await
}

/// Alice does it, and the function is woken by its rule.
async fn woken(lab: &Lab, group: &str, permissions: &[Permission<'_>]) -> Report {
    let mut happenings = lab.listen();
    authorize(&alice(lab), "Ingress", group, permissions, &[]).await;
    reported(&mut happenings, FUNCTION, group).await
}

#[test]
fn what_a_call_opens_is_closed_by_one_invocation_and_the_rest_stays() {
    shared(async |lab| {
        let office = "in tcp 22 from 203.0.113.0/24 (the office)";
        let cases: [(&[Permission<'_>], &[&str]); 10] = [
            (&[SSH], &[]),
            (&[("tcp", "22", &["::/0"])], &[]),
            (&[("-1", "", &["0.0.0.0/0"])], &[]),
            (&[("6", "22", &["0.0.0.0/0"])], &[]),
            (&[("udp", "161", &["0.0.0.0/0"])], &[]),
            (&[("tcp", "0-65535", &["0.0.0.0/0"])], &[]),
            (&[("tcp", "20-30", &["0.0.0.0/1", "128.0.0.0/1"])], &[]),
            // The office and the world under one permission, and the world's other half in another.
            (&[("tcp", "22", &["203.0.113.0/24 the office", "0.0.0.0/0", "::/0"])], &[office]),
            (
                &[
                    ("tcp", "22-23", &["::/0"]),
                    ("tcp", "443", &["0.0.0.0/0"]),
                    ("tcp", "5432", &["10.0.0.0/8", "0.0.0.0/0"]),
                ],
                &["in tcp 443 from 0.0.0.0/0", "in tcp 5432 from 10.0.0.0/8"],
            ),
            // A type and a code, which are no ports, and a range that is private however wide.
            (
                &[("icmp", "22-22", &["0.0.0.0/0"]), ("tcp", "22", &["10.0.0.0/7", "0.0.0.0/0"])],
                &["in icmp 22 from 0.0.0.0/0"],
            ),
        ];
        for (opened, left) in cases {
            let group = group(lab, &[]).await;
            let report = woken(lab, &group, opened).await;
            let record = record(&report);
            let at = format!("{opened:?}: {record}");
            assert_eq!((&record["outcome"], &record["why"]), (&json!("fixed"), &json!("read back and seen")), "{at}");
            assert_eq!(sorted(&report), FIX, "{at}");
            let left: Vec<_> = left.iter().map(|rule| (*rule).to_owned()).collect();
            let seen: Vec<_> =
                ingress(lab, &group).await.into_iter().filter(|rule| !rule.contains("10.0.0.0/7")).collect();
            assert_eq!(seen, left, "{at}");
            assert_eq!(record["cause"]["call"], "AuthorizeSecurityGroupIngress");
            assert_eq!(record["cause"]["actor"], "arn:aws:iam::111122223333:user/operator");
        }
    });
}

#[test]
fn every_way_to_open_a_group_wakes_it() {
    shared(async |lab| {
        // The short form, without permissions.
        let there = group(lab, &[]).await;
        let mut happenings = lab.listen();
        let short = [("IpProtocol", "tcp"), ("FromPort", "22"), ("ToPort", "22"), ("CidrIp", "0.0.0.0/0")];
        let short: Vec<_> = [("GroupId", there.as_str())].into_iter().chain(short).collect();
        call(&alice(lab), "AuthorizeSecurityGroupIngress", &short).await;
        let report = reported(&mut happenings, FUNCTION, &there).await;
        assert_eq!((outcome(&report), ingress(lab, &there).await), ("fixed".to_owned(), vec![]));

        // A rule for the office is made into one for the world, in place.
        let there = group(lab, &[("tcp", "22", &["203.0.113.0/24 the office"])]).await;
        let id = rules(&lab.quiet_client(HOME), &there).await[0].id.clone();
        let mut happenings = lab.listen();
        let change = [
            ("GroupId", there.as_str()),
            ("SecurityGroupRule.1.SecurityGroupRuleId", &id),
            ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
            ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "22"),
            ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "22"),
            ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "0.0.0.0/0"),
        ];
        call(&alice(lab), "ModifySecurityGroupRules", &change).await;
        let report = reported(&mut happenings, FUNCTION, &there).await;
        assert_eq!((outcome(&report), ingress(lab, &there).await), ("fixed".to_owned(), vec![]));
        assert_eq!(record(&report)["cause"]["call"], "ModifySecurityGroupRules");

        // A prefix list that holds the world costs one read more; one of partners is left alone.
        let client = lab.quiet_client(HOME);
        let world = prefix_list(&client, "IPv4", &["203.0.113.0/24", "0.0.0.0/0"]).await;
        let partners = prefix_list(&client, "IPv4", &["203.0.113.0/24"]).await;
        let there = group(lab, &[]).await;
        let report = woken(lab, &there, &[("tcp", "22", &[&world, &partners])]).await;
        assert_eq!(outcome(&report), "fixed");
        assert_eq!(ingress(lab, &there).await, [format!("in tcp 22 from {partners}")]);
        assert_eq!(calls(&report).iter().filter(|name| *name == "ec2:GetManagedPrefixListEntries").count(), 3);
        // A group of the VPC's, or itself, is not the world.
        let report = woken(lab, &there, &[("-1", "", &[&there])]).await;
        assert_eq!(outcome(&report), "compliant");
    });
}

#[test]
fn a_compliant_group_costs_two_reads_beside_each_other() {
    shared(async |lab| {
        let there = group(lab, &[("tcp", "443", &["0.0.0.0/0"]), ("tcp", "22", &["203.0.113.0/24"])]).await;
        let event = about(FUNCTION, "authorize-security-group-ingress", &there);
        let report = invoke(lab, FUNCTION, &event).await;
        assert_eq!((outcome(&report), sorted(&report)), ("compliant".into(), READS.map(str::to_owned).to_vec()));
        // A duplicate of an event whose drift was fixed.
        authorize(&lab.quiet_client(HOME), "Ingress", &there, &[SSH], &[]).await;
        assert_eq!(outcome(&invoke(lab, FUNCTION, &event).await), "fixed");
        let again = invoke(lab, FUNCTION, &event).await;
        assert_eq!((outcome(&again), writes(&again), again.calls.len()), ("compliant".into(), 0, 2));
        // What is gone costs the same and is no failure.
        call(&lab.quiet_client(HOME), "DeleteSecurityGroup", &[("GroupId", &there)]).await;
        let gone = invoke(lab, FUNCTION, &event).await;
        assert_eq!((outcome(&gone), sorted(&gone)), ("gone".into(), READS.map(str::to_owned).to_vec()));
        assert!(gone.answer.is_ok());
    });
}

#[test]
fn a_plan_asks_whether_we_may_and_writes_nothing() {
    shared(async |lab| {
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        let there = group(lab, &[SSH, ("-1", "", &["::/0"])]).await;
        let before = ingress(lab, &there).await;
        let event = about(FUNCTION, "authorize-security-group-ingress", &there);
        let report = invoke(lab, "planning", &event).await;
        let plan = record(&report);
        assert_eq!(
            (&plan["outcome"], sorted(&report)),
            (&json!("planned"), FIX[..4].iter().map(|n| (*n).to_owned()).collect())
        );
        assert!(plan["why"].as_str().unwrap().ends_with("AWS says that we may"), "{plan}");
        assert_eq!(report.calls.last().unwrap().status, 412, "a dry run");
        assert_eq!((plan["changes"][0]["revoke"].as_array().unwrap().len(), ingress(lab, &there).await), (2, before));
    });
}

#[test]
fn an_undo_makes_the_very_rules_again() {
    shared(async |lab| {
        let there = group(lab, &[("tcp", "443", &["0.0.0.0/0"])]).await;
        let client = lab.quiet_client(HOME);
        authorize(&client, "Ingress", &there, &[("tcp", "22", &["0.0.0.0/0 vendor"])], &[("owner", "ward-7")]).await;
        authorize(&client, "Ingress", &there, &[("-1", "", &["::/0"])], &[]).await;
        let before = ingress(lab, &there).await;
        let fixed = record(&asked(lab, &there, &json!({})).await);
        assert_eq!((&fixed["outcome"], ingress(lab, &there).await.len()), (&json!("fixed"), 1));
        let undo = json!({"mode": "undo", "record": fixed});
        let undone = invoke(lab, FUNCTION, &undo).await;
        // One call for each set of tags.
        assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 2), "{}", record(&undone));
        assert_eq!(ingress(lab, &there).await, before, "descriptions and tags and all");
        let again = invoke(lab, FUNCTION, &undo).await;
        assert_eq!((outcome(&again), writes(&again)), ("undone".into(), 0));
        // Its own call is an event, and wakes nobody.
        assert_eq!(ingress(lab, &there).await, before);
        // Who came later has the last word.
        let fixed = record(&asked(lab, &there, &json!({})).await);
        authorize(&client, "Ingress", &there, &[("tcp", "8443", &["203.0.113.0/24"])], &[]).await;
        let undo = json!({"mode": "undo", "record": fixed});
        let refused = invoke(lab, FUNCTION, &undo).await;
        assert_eq!((record(&refused)["refused_by"].clone(), writes(&refused)), (json!("moved-on"), 0));
    });
}

#[test]
fn a_load_balancers_clients_are_not_cut_off_by_accident() {
    shared(async |lab| {
        let client = lab.quiet_client(HOME);
        let there = group(lab, &[("-1", "", &["0.0.0.0/0"])]).await;
        let balancer = interface(&client, &there).await;
        let wish = json!({"networkInterfaceId": balancer, "interface_type": "network_load_balancer", "requester_managed": true});
        lab.wish("ec2/interface", wish).await.unwrap();
        let event = about(FUNCTION, "authorize-security-group-ingress", &there);
        let report = invoke(lab, FUNCTION, &event).await;
        assert_eq!((record(&report)["refused_by"].clone(), writes(&report)), (json!("load-balancer"), 0));
        assert_eq!(ingress(lab, &there).await.len(), 1);
        // A rule that no client comes in by is closed.
        authorize(&client, "Ingress", &there, &[("tcp", "443", &["0.0.0.0/0"])], &[]).await;
        // Splitting keeps 80 and 443 open.
        variant(lab, FUNCTION, "splitting", &[("SUTURE_PARAMETERS", r#"{"wide_ranges":"split"}"#)]);
        let split = invoke(lab, "splitting", &event).await;
        assert_eq!((outcome(&split), writes(&split)), ("fixed".into(), 2), "{}", record(&split));
        // With the default ports, all that may stay is more than a group has room for: what stays is where the site is.
        let web = ["tcp 24-87", "tcp 390-444", "tcp 443", "udp 24-87", "udp 390-444"];
        assert_eq!(ingress(lab, &there).await, web.map(|ports| format!("in {ports} from 0.0.0.0/0")));
        let undone = invoke(lab, "splitting", &json!({"mode": "undo", "record": record(&split)})).await;
        assert_eq!(outcome(&undone), "undone", "{}", record(&undone));
        assert_eq!(ingress(lab, &there).await, ["in -1 from 0.0.0.0/0", "in tcp 443 from 0.0.0.0/0"]);
        // On purpose.
        let report = asked(lab, &there, &json!({"override": ["load-balancer"], "reason": "INC-8"})).await;
        assert_eq!(
            (outcome(&report), ingress(lab, &there).await),
            ("fixed".into(), vec!["in tcp 443 from 0.0.0.0/0".into()])
        );
    });
}

#[test]
fn a_source_that_cannot_be_told_is_reported_and_the_rest_is_closed() {
    shared(async |lab| {
        // A list of another account, which does not share it any more.
        let list = "pl-0a1b2c3d4e5f60718";
        let there = group(lab, &[("tcp", "22", &[list, "::/0"])]).await;
        let first = asked(lab, &there, &json!({})).await;
        assert_eq!((outcome(&first), writes(&first)), ("partly-fixed".into(), 1), "{}", record(&first));
        assert!(record(&first)["why"].as_str().unwrap().contains(list));
        let second = asked(lab, &there, &json!({})).await;
        assert_eq!((record(&second)["refused_by"].clone(), writes(&second)), (json!("source-unknown"), 0));
        assert_eq!(ingress(lab, &there).await, [format!("in tcp 22 from {list}")]);
    });
}

#[test]
fn other_places() {
    shared(async |lab| {
        let (ireland, sydney) = (lab.quiet_client("eu-west-1"), lab.quiet_client("ap-southeast-2"));
        let there = group_in(&ireland, None, &[]).await;
        let mut happenings = lab.listen();
        authorize(&lab.client("AKIALABALICE00000001", "eu-west-1"), "Ingress", &there, &[SSH], &[]).await;
        let report = reported(&mut happenings, FUNCTION, &there).await;
        assert_eq!((outcome(&report), &record(&report)["resource"]["region"]), ("fixed".into(), &json!("eu-west-1")));
        assert_eq!(rules(&ireland, &there).await.len(), 1, "what goes out");
        let there = group_in(&sydney, None, &[SSH]).await;
        let report = asked(lab, &there, &json!({"region": "ap-southeast-2"})).await;
        assert_eq!((record(&report)["refused_by"].clone(), report.calls.len()), (json!("region"), 0));
        let there = group(lab, &[SSH]).await;
        let report = asked(lab, &there, &json!({"account": OTHER_ACCOUNT})).await;
        assert_eq!((outcome(&report), report.calls.len()), ("refused".into(), 0));
    });
}

/// An event of `events/` with this rule's name and about this group.
fn of_rule(rule: &str, group: &str) -> Value {
    let text = about(FUNCTION, "config-compliance", group).to_string();
    serde_json::from_str(&text.replace("incoming-ssh-disabled-conformance-pack-a1b2c3d4e", rule)).unwrap()
}

#[test]
fn what_a_config_rule_forbids_is_closed_as_well() {
    shared(async |lab| {
        let client = lab.quiet_client(HOME);
        let recorder =
            json!({"ConfigurationRecorder": {"name": "default", "roleARN": "arn:aws:iam::111122223333:role/config"}});
        client.must_json("config", "PutConfigurationRecorder", &recorder).await.unwrap();
        let name = fresh("clinic-ports");
        let rule = json!({"ConfigRule": {"ConfigRuleName": name, "InputParameters": r#"{"blockedPort1":"8443"}"#,
            "Source": {"Owner": "AWS", "SourceIdentifier": "RESTRICTED_INCOMING_TRAFFIC"}}});
        client.must_json("config", "PutConfigRule", &rule).await.unwrap();
        let there = group(lab, &[("tcp", "8443", &["0.0.0.0/0"]), ("tcp", "8080", &["0.0.0.0/0"])]).await;
        let mut happenings = lab.listen();
        assert!(lab.put_event(&of_rule(&name, &there)).contains(&format!("suture-{FUNCTION}-findings")));
        let report = reported(&mut happenings, FUNCTION, &there).await;
        assert_eq!(outcome(&report), "fixed", "{}", record(&report));
        assert_eq!(calls(&report)[0], "config:DescribeConfigRules", "once, before the look");
        assert_eq!(
            (report.calls.len(), ingress(lab, &there).await),
            (7, vec!["in tcp 8080 from 0.0.0.0/0".to_owned()])
        );
        // A rule that is no more has no parameters; what everybody forbids is closed all the same.
        let there = group(lab, &[("tcp", "8443", &["0.0.0.0/0"]), SSH]).await;
        let report = invoke(lab, FUNCTION, &of_rule("no-such-rule", &there)).await;
        assert_eq!(
            (outcome(&report), ingress(lab, &there).await),
            ("fixed".into(), vec!["in tcp 8443 from 0.0.0.0/0".into()])
        );
    });
}

#[test]
fn config_is_told_and_findings_are_resolved_only_by_a_fix() {
    shared(async |lab| {
        let told = async |group: &str| -> Vec<Value> {
            let all = lab.evaluations(HOME).await.unwrap().into_iter();
            let all = all.flat_map(|call| call["evaluations"].as_array().cloned().unwrap_or_default());
            all.filter(|evaluation| evaluation.to_string().contains(group)).collect()
        };
        let (mended, stuck) = (group(lab, &[SSH]).await, group(lab, &[("-1", "", &["0.0.0.0/0"])]).await);
        let balancer = interface(&lab.quiet_client(HOME), &stuck).await;
        let wish = json!({"networkInterfaceId": balancer, "interface_type": "network_load_balancer"});
        lab.wish("ec2/interface", wish).await.unwrap();
        let resolved = async |group: &str| {
            let event = about(FUNCTION, "security-hub", group);
            let id = format!("finding-{group}");
            let old = event["detail"]["findings"][0]["Id"].as_str().unwrap().to_owned();
            let event: Value = serde_json::from_str(&event.to_string().replace(&old, &id)).unwrap();
            let report = invoke(lab, FUNCTION, &event).await;
            let all = lab.findings(HOME).await.unwrap();
            (outcome(&report), all.iter().filter(|call| call.to_string().contains(&id)).count())
        };
        assert_eq!(resolved(&stuck).await, ("refused".into(), 0));
        assert_eq!(resolved(&mended).await, ("fixed".into(), 1));
        assert_eq!(resolved(&mended).await, ("compliant".into(), 1), "Security Hub sees to that itself");
        for (group, complies) in [(&mended, "COMPLIANT"), (&stuck, "NON_COMPLIANT")] {
            invoke(lab, FUNCTION, &about(FUNCTION, "rule-change", group)).await;
            let told = told(group).await;
            assert_eq!((told.len(), &told[0]["ComplianceType"]), (1, &json!(complies)), "{told:?}");
        }
    });
}
