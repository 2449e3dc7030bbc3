//! Which requests go out, in which order, and what their answers mean; and whole requests, by the engine's own driver.

use super::*;
use crate::{Established, Member};
use ec2::InterfaceId;
use remediation::Control;
use remediation::event::{Order, Past, Request};
use remediation::testing::{self, Answer, Fake, REGION, SECRET, Sent, account, answer, occasion, ok, place, region};
use remediation::{Mode, Outcome, Record};
use std::sync::{Arc, Mutex};

#[path = "request_tests.rs"]
mod requests;
#[path = "world.rs"]
mod world;

use world::{Eni, Sg, World, serve};

const OWNER: &str = remediation::testing::ACCOUNT;
const VPC: &str = "vpc-00000000000000001";
const GROUP: &str = "sg-00000000000000001";
const OTHER: &str = "sg-00000000000000002";
const ENI: &str = "eni-00000000000000001";
const SECOND: &str = "eni-00000000000000002";
const MACHINE: &str = "i-00000000000000001";

fn error(code: &str) -> Answer {
    let status = match code {
        "InternalError" => 500,
        "DryRunOperation" => 412,
        _ => 400,
    };
    answer(
        status,
        format!("<Response><Errors><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></Errors></Response>"),
    )
}

fn eni(groups: &[&str]) -> Eni {
    Eni {
        vpc: VPC.to_owned(),
        owner: OWNER.to_owned(),
        groups: groups.iter().map(|id| (*id).to_owned()).collect(),
        instance: Some(MACHINE.to_owned()),
        tags: BTreeSet::new(),
        kind: "interface".to_owned(),
        managed: false,
    }
}

/// A machine with two interfaces, one of them in two groups.
fn clinic() -> World {
    let sg =
        |name: &str| Sg { name: name.to_owned(), vpc: VPC.to_owned(), owner: OWNER.to_owned(), rules: BTreeMap::new() };
    World {
        enis: BTreeMap::from([(ENI.to_owned(), eni(&[GROUP, OTHER])), (SECOND.to_owned(), eni(&[GROUP]))]),
        groups: BTreeMap::from([(GROUP.to_owned(), sg("web")), (OTHER.to_owned(), sg("db"))]),
        instances: BTreeMap::from([(
            MACHINE.to_owned(),
            ("running", vec![("aws:autoscaling:groupName", "web"), ("kubernetes.io/cluster/prod", "owned")]),
        )]),
        ..World::default()
    }
}

fn ec2(fake: &Fake) -> Ec2 {
    Ec2::new(&fake.sdk(), Parameters::default())
}

fn at(name: &str) -> Place<Target> {
    place::<Quarantine>(name)
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().filter_map(Sent::operation).collect()
}

async fn look(fake: &Fake, name: &str) -> Result<Option<State>, Fault> {
    ec2(fake).observe(&at(name), &occasion()).await
}

fn interface(id: &str) -> InterfaceId {
    InterfaceId::parse(id).unwrap()
}

fn sg(id: &str) -> SecurityGroupId {
    SecurityGroupId::parse(id).unwrap()
}

#[tokio::test]
async fn a_look_at_a_group() {
    let (fake, _) = serve(clinic());
    let state = look(&fake, GROUP).await.unwrap().unwrap();
    let expected = [
        "DescribeNetworkInterfaces",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSecurityGroups",
        "DescribeInstances",
    ];
    assert_eq!(asked(&fake), expected);
    assert!(fake.sent().iter().all(|sent| sent.host == format!("ec2.{REGION}.amazonaws.com")));
    let found = &state.interfaces[&interface(ENI)];
    assert_eq!(found.groups, [Member::Group(sg(GROUP)), Member::Group(sg(OTHER))]);
    assert_eq!((found.mark.as_ref(), found.held_by.as_ref()), (None, None));
    let machine = state.instances.values().next().unwrap();
    assert_eq!((machine.auto_scaling_group.as_deref(), machine.cluster.as_deref()), (Some("web"), Some("prod")));
    assert!(machine.spot);
    assert_eq!(state.vpcs.values().collect::<Vec<_>>(), [&Groups::default()]);
}

#[tokio::test]
async fn a_look_at_an_instance() {
    let (fake, _) = serve(clinic());
    let state = look(&fake, MACHINE).await.unwrap().unwrap();
    assert_eq!(asked(&fake), ["DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeInstances"]);
    assert_eq!(state.interfaces.len(), 2, "all of them, not the first");
    assert_eq!(state.instances.len(), 1);
}

#[tokio::test]
async fn who_holds_an_interface() {
    for (change, held_by) in [
        ((|_| {}) as fn(&mut Eni), None),
        (|eni| eni.managed = true, Some("instances")),
        (|eni| eni.kind = "lambda".to_owned(), Some("Lambda functions")),
        (|eni| eni.kind = "nat_gateway".to_owned(), Some("gateways")),
        (|eni| eni.kind = "something_new".to_owned(), Some("instances")),
        (|eni| eni.kind = "efa".to_owned(), None),
        (|eni| eni.owner = "444455556666".to_owned(), Some("account 444455556666")),
    ] {
        let mut world = clinic();
        change(world.enis.get_mut(ENI).unwrap());
        let (fake, _) = serve(world);
        let state = look(&fake, GROUP).await.unwrap().unwrap();
        assert_eq!(state.interfaces[&interface(ENI)].held_by.as_deref(), held_by);
    }
}

#[tokio::test]
async fn what_is_gone_and_what_is_not() {
    let (fake, _) = serve(World::default());
    assert_eq!(look(&fake, GROUP).await, Ok(None));
    assert_eq!(look(&fake, MACHINE).await, Ok(None));
    let mut ended = clinic();
    ended.enis.clear();
    ended.instances.get_mut(MACHINE).unwrap().0 = "terminated";
    let (fake, _) = serve(ended);
    assert_eq!(look(&fake, MACHINE).await, Ok(None));
    // A group that nothing uses is there; nothing is to be done.
    let state = look(&fake, GROUP).await.unwrap().unwrap();
    assert_eq!(Quarantine::desired(&state), state);
    // A group that was deleted while its interfaces were in quarantine: they are there, and can be put elsewhere.
    let mut marked = clinic();
    marked.groups.remove(GROUP);
    for eni in marked.enis.values_mut() {
        eni.groups = BTreeSet::from([OTHER.to_owned()]);
        eni.tags = BTreeSet::from(["suture-quarantine".to_owned(), format!("suture-quarantine:{GROUP}")]);
    }
    let (fake, _) = serve(marked);
    let state = look(&fake, GROUP).await.unwrap().unwrap();
    assert_eq!(state.gone, BTreeSet::from([sg(GROUP)]));
    assert_eq!(state.interfaces[&interface(ENI)].mark, Some(vec![sg(GROUP)]));
}

#[tokio::test]
async fn trouble_by_consequence() {
    for (code, expected) in [("RequestLimitExceeded", "Retry"), ("InternalError", "Lost"), ("AuthFailure", "GiveUp")] {
        let fake = Fake::new(move |_| error(code));
        for name in [GROUP, MACHINE] {
            let fault = format!("{:?}", look(&fake, name).await.unwrap_err());
            assert!(fault.starts_with(expected), "{code}: {fault}");
        }
    }
    for (denied, action) in [
        ("DescribeNetworkInterfaces", "ec2:DescribeNetworkInterfaces"),
        ("DescribeSecurityGroups", "ec2:DescribeSecurityGroups"),
        ("DescribeInstances", "ec2:DescribeInstances"),
        ("DescribeSecurityGroupRules", "ec2:DescribeSecurityGroupRules"),
    ] {
        let mut world = clinic();
        let quarantine = Sg { name: QUARANTINE.to_owned(), ..world.groups[GROUP].clone() };
        world.groups.insert("sg-000000000000000a1".to_owned(), quarantine);
        let world = Mutex::new(world);
        let fake = Fake::new(move |sent| {
            if sent.operation().as_deref() == Some(denied) {
                return error("UnauthorizedOperation");
            }
            world.lock().unwrap().answer(sent)
        });
        let fault = look(&fake, GROUP).await.unwrap_err();
        assert!(matches!(&fault, Fault::Denied { action: named, .. } if *named == action), "{fault:?}");
        assert!(Quarantine::ABOUT.observes_with.contains(&action));
    }
}

#[tokio::test]
async fn no_fault_repeats_what_aws_said() {
    for reply in [error("UnauthorizedOperation"), error(SECRET), answer(500, SECRET), ok(SECRET), answer(503, "")] {
        let fake = Fake::new(move |_| reply.clone());
        let group = Ours { name: QUARANTINE.to_owned(), vpc: VpcId::parse(VPC).unwrap(), id: Some(sg(OTHER)) };
        let mark = Change::Mark { interface: interface(ENI), groups: vec![sg(GROUP)] };
        let delete = Change::DeleteGroup { group };
        let faults = [
            look(&fake, GROUP).await.err(),
            ec2(&fake).apply(&at(GROUP), &mark).await.err(),
            ec2(&fake).apply(&at(GROUP), &delete).await.err(),
        ];
        for fault in faults.into_iter().flatten() {
            let text = format!("{fault} {fault:?}");
            assert!(!text.contains(SECRET) && !text.contains('<') && text.len() < 600, "{text}");
        }
    }
}

#[tokio::test]
async fn a_sweep_finds_nothing_to_cut_off() {
    let (fake, _) = serve(clinic());
    let page = ec2(&fake).list(&account(), &region(), &occasion(), None).await.unwrap();
    assert_eq!(page, Page { targets: vec![], next: None });
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test]
async fn tags_are_those_of_what_the_request_names() {
    let (fake, _) = serve(clinic());
    let tags = ec2(&fake).tags(&at(MACHINE)).await.unwrap();
    let keys: Vec<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["aws:autoscaling:groupName", "kubernetes.io/cluster/prod"]);
    assert_eq!(ec2(&fake).tags(&at(GROUP)).await, Ok(vec![]), "not those of the machines in it");
    assert_eq!(asked(&fake), ["DescribeInstances", "DescribeSecurityGroups"]);
    assert_eq!(fake.sent()[1].field("GroupId.1").as_deref(), Some(GROUP));
    let denied = Fake::new(|_| error("UnauthorizedOperation"));
    let mut needs = Vec::new();
    for name in [MACHINE, GROUP] {
        let Err(Fault::Denied { action, .. }) = ec2(&denied).tags(&at(name)).await else { panic!("{name}") };
        needs.push(action);
    }
    assert_eq!(Quarantine::ABOUT.tags_with, needs);
}
