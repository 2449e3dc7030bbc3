//! ec2-quarantine-security-group's real binary in the lab.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::runtime::Report;
use serde_json::{Value, json};
use system_tests::ec2::{
    Machine, QUARANTINE as FUNCTION, call, everything, first, group_in, groups_of, interface_is, machine, set_groups,
};
use system_tests::{HOME, alone, event, faults, invoke, outcome, record, shared, variant, writes};

fn enforce(target: &str) -> Value {
    json!({"resource": target, "mode": "enforce", "reason": "INC-1"})
}

/// The names of the groups that an interface is in, and how many tags it has.
async fn is_in(lab: &Lab, interface: &str) -> (Vec<String>, usize) {
    let (groups, tags) = interface_is(&lab.quiet_client(HOME), interface).await;
    (groups, tags.len())
}

fn isolated(tags: usize) -> (Vec<String>, usize) {
    (vec!["suture-quarantine".to_owned()], tags)
}

/// The operations of the writes that were carried out, in order.
fn made(report: &Report) -> Vec<&str> {
    report.calls.iter().filter(|call| call.writes && call.status < 400).map(|call| call.operation.as_str()).collect()
}

/// Another interface in the machine's subnet and group.
async fn another(lab: &Lab, machine: &Machine) -> String {
    let parameters = [("SubnetId", machine.subnet.as_str()), ("SecurityGroupId.1", machine.group.as_str())];
    first(&call(&lab.quiet_client(HOME), "CreateNetworkInterface", &parameters).await, "networkInterfaceId")
}

#[test]
fn an_instance_is_cut_off_by_the_two_steps_and_released_by_the_record() {
    shared(async |lab| {
        let machine = machine(lab).await;
        let client = lab.quiet_client(HOME);
        // Several interfaces, in several groups: all of them, each back into its own.
        let second = another(lab, &machine).await;
        let other = group_in(&client, Some(&machine.vpc), &[]).await;
        set_groups(&client, &second, &[&machine.group, &other]).await;
        let attach =
            [("NetworkInterfaceId", second.as_str()), ("InstanceId", machine.instance.as_str()), ("DeviceIndex", "1")];
        call(&client, "AttachNetworkInterface", &attach).await;
        let before = (is_in(lab, &machine.interface).await, is_in(lab, &second).await);
        let rules = everything(lab, &machine.group).await;

        let report = invoke(lab, FUNCTION, &enforce(&machine.instance)).await;
        let fixed = record(&report);
        assert_eq!((&fixed["outcome"], &fixed["why"]), (&json!("fixed"), &json!("read back and seen")), "{fixed}");
        let steps = [
            "CreateSecurityGroup",
            "RevokeSecurityGroupEgress",
            "CreateSecurityGroup",
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "CreateTags",
            "CreateTags",
            "ModifyNetworkInterfaceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "DeleteSecurityGroup",
        ];
        assert_eq!(made(&report), steps);
        // Each stands open for one call alone: its next is the one into quarantine.
        let moved = report.calls.iter().filter(|call| call.operation == "ModifyNetworkInterfaceAttribute");
        let moved: Vec<_> = moved.map(|call| (call.resource.clone(), call.status)).collect();
        assert_eq!(moved.len(), 6, "and is asked about before: {moved:?}");
        assert!(moved.chunks(3).all(|three| three[0].1 == 412 && three[1].0 == three[2].0), "{moved:?}");
        assert_eq!((is_in(lab, &machine.interface).await, is_in(lab, &second).await), (isolated(2), isolated(3)));
        let there = groups_of(&client, &machine.vpc).await;
        assert_eq!(everything(lab, &there["suture-quarantine"]).await, Vec::<String>::new());
        assert_eq!(everything(lab, &machine.group).await, rules, "its own group's rules may serve others");
        assert_eq!(there.len(), 4, "default, the two and the quarantine: {there:?}");

        let again = invoke(lab, FUNCTION, &enforce(&machine.instance)).await;
        assert_eq!((outcome(&again), writes(&again)), ("compliant".into(), 0));
        let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": fixed})).await;
        assert_eq!(outcome(&undone), "undone", "{}", record(&undone));
        assert_eq!((is_in(lab, &machine.interface).await, is_in(lab, &second).await), before);
        // The second time the quarantine group is there; and connections may be left alone, with nothing opened.
        variant(lab, FUNCTION, "leaving", &[("SUTURE_PARAMETERS", r#"{"established":"leave"}"#)]);
        let report = invoke(lab, "leaving", &enforce(&machine.instance)).await;
        let steps = ["CreateTags", "CreateTags", "ModifyNetworkInterfaceAttribute", "ModifyNetworkInterfaceAttribute"];
        assert_eq!((outcome(&report), made(&report)), ("fixed".into(), steps.to_vec()));
    });
}

#[test]
fn a_group_is_emptied_of_who_uses_it_as_far_as_we_may() {
    shared(async |lab| {
        let machine = machine(lab).await;
        let (free, held) = (another(lab, &machine).await, another(lab, &machine).await);
        let wish = json!({"networkInterfaceId": held, "requester_managed": true, "requester_id": "amazon-rds"});
        lab.wish("ec2/interface", wish).await.unwrap();
        // More than the operator allows at once.
        variant(lab, FUNCTION, "careful", &[("SUTURE_PARAMETERS", r#"{"most_interfaces":1}"#)]);
        let report = invoke(lab, "careful", &enforce(&machine.group)).await;
        assert_eq!((record(&report)["refused_by"].clone(), writes(&report)), (json!("many-interfaces"), 0));
        // A plan asks whether we may, and writes nothing.
        let report = invoke(lab, FUNCTION, &json!({"resource": machine.group})).await;
        assert_eq!((outcome(&report), made(&report)), ("planned".into(), vec![]), "{}", record(&report));
        assert_eq!(is_in(lab, &free).await.1, 0);

        let report = invoke(lab, FUNCTION, &enforce(&machine.group)).await;
        let partly = record(&report);
        assert_eq!(partly["outcome"], "partly-fixed", "{partly}");
        assert!(partly["why"].as_str().unwrap().contains(&held), "what remains is named: {partly}");
        assert_eq!((is_in(lab, &machine.interface).await, is_in(lab, &free).await), (isolated(2), isolated(2)));
        assert_ne!(is_in(lab, &held).await, isolated(2));
        // One is deleted meanwhile; the others are released all the same.
        call(&lab.quiet_client(HOME), "DeleteNetworkInterface", &[("NetworkInterfaceId", &free)]).await;
        let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": partly})).await;
        assert_eq!(outcome(&undone), "undone", "{}", record(&undone));
        assert_eq!(is_in(lab, &machine.interface).await.1, 0);
    });
}

#[test]
fn nothing_is_opened_that_could_not_be_closed_again() {
    alone(async |lab| {
        let machine = machine(lab).await;
        let before = is_in(lab, &machine.interface).await;
        faults(lab, &["ec2:ModifyNetworkInterfaceAttribute=denied"]);
        let report = invoke(lab, FUNCTION, &enforce(&machine.instance)).await;
        let said = record(&report);
        assert!(said["why"].as_str().unwrap().contains("ec2:ModifyNetworkInterfaceAttribute"), "{said}");
        assert_eq!(is_in(lab, &machine.interface).await.0, before.0, "as it was");
        // What was made ready is used by the next, and the open group does not stay.
        faults(lab, &[]);
        let report = invoke(lab, FUNCTION, &enforce(&machine.instance)).await;
        assert_eq!((outcome(&report), is_in(lab, &machine.interface).await), ("fixed".into(), isolated(2)));
        let there = groups_of(&lab.quiet_client(HOME), &machine.vpc).await;
        assert!(!there.keys().any(|name| name.starts_with("suture-opening")), "{there:?}");

        // A request that broke off after the first step: whoever looks next finishes.
        let client = lab.quiet_client(HOME);
        let name = format!("suture-opening-{}", machine.instance);
        let parameters = [("GroupName", name.as_str()), ("GroupDescription", "x"), ("VpcId", &machine.vpc)];
        let opening = first(&call(&client, "CreateSecurityGroup", &parameters).await, "groupId");
        set_groups(&client, &machine.interface, &[&opening]).await;
        let report = invoke(lab, FUNCTION, &enforce(&machine.instance)).await;
        assert_eq!((outcome(&report), is_in(lab, &machine.interface).await), ("fixed".into(), isolated(2)));
        assert_eq!(
            made(&report),
            ["ModifyNetworkInterfaceAttribute", "DeleteSecurityGroup"],
            "the first of all closes"
        );
        let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record(&report)})).await;
        assert_eq!((outcome(&undone), is_in(lab, &machine.interface).await), ("undone".into(), before));
    });
}

#[test]
fn nothing_but_a_person_starts_it() {
    shared(async |lab| {
        assert!(lab.fire(FUNCTION).await.is_err(), "it has no schedule");
        let report = invoke(lab, FUNCTION, &enforce("i-0123456789abcdef1")).await;
        assert_eq!((outcome(&report), writes(&report), report.answer.is_ok()), ("gone".into(), 0, true));
        // The custom action's button, and nothing that Security Hub imports by itself.
        let action = event(FUNCTION, "security-hub-action");
        assert!(!lab.gateway.bus.matching(&action).is_empty());
        let mut imported = action.clone();
        imported["detail-type"] = "Security Hub Findings - Imported".into();
        let woken = format!("{:?}", lab.gateway.bus.matching(&imported));
        assert!(!woken.contains(FUNCTION), "{woken}");
    });
}
