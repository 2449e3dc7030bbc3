//! What the control knows, without any AWS.

use super::*;
use ec2::{GroupReference, Kind};
use proptest::prelude::*;
use remediation::laws;
use serde_json::{Value, json};

pub(crate) const GROUP: &str = "sg-0123456789abcdef0";

pub(crate) fn rule(id: usize, direction: Direction, protocol: &str, peer: Peer) -> Rule {
    let traffic = Traffic { direction, protocol: protocol.to_owned(), from_port: Some(-1), to_port: Some(-1), peer };
    Rule { id: Some(format!("sgr-{id}")), traffic, description: None, tags: BTreeMap::new() }
}

pub(crate) fn itself() -> Peer {
    Peer::Group(GroupReference {
        id: GROUP.to_owned(),
        account: Some("111122223333".to_owned()),
        vpc: None,
        peering: None,
    })
}

fn v4(cidr: &str) -> Peer {
    Peer::CidrIpv4(cidr.to_owned())
}

/// A group with what a new VPC's default group has.
fn fresh() -> State {
    State {
        group: Group {
            id: SecurityGroupId::parse(GROUP).unwrap(),
            name: "default".to_owned(),
            vpc: Some("vpc-0123456789abcdef0".to_owned()),
            owner: Some("111122223333".to_owned()),
            keepers: vec![],
        },
        foreign: None,
        rules: vec![
            rule(1, Direction::Ingress, "-1", itself()),
            rule(2, Direction::Egress, "-1", v4("0.0.0.0/0")),
            rule(3, Direction::Egress, "-1", Peer::CidrIpv6("::/0".to_owned())),
        ],
        users: Some(Users::default()),
    }
}

fn named(name: &str, state: State) -> State {
    State { group: Group { name: name.to_owned(), ..state.group }, ..state }
}

fn fix(state: &State) -> Vec<Change> {
    DefaultSecurityGroup::changes(state, &DefaultSecurityGroup::desired(state))
}

#[test]
fn a_default_group_is_emptied_both_ways() {
    let state = fresh();
    let [Change::Revoke(ingress), Change::Revoke(egress)] = <[Change; 2]>::try_from(fix(&state)).unwrap() else {
        panic!("two calls")
    };
    assert_eq!((ingress.direction, ingress.rules.as_slice()), (Direction::Ingress, &state.rules[..1]));
    assert_eq!((egress.direction, egress.rules.as_slice()), (Direction::Egress, &state.rules[1..]));
    assert!([ingress, egress].iter().all(|batch| batch.group == state.group.id));
    assert_eq!(DefaultSecurityGroup::desired(&state).rules, []);
    let empty = State { rules: vec![], ..fresh() };
    assert_eq!(fix(&empty), []);
}

#[test]
fn other_groups_are_none_of_its_business() {
    for name in ["web", "", "Default", "default ", "default-2"] {
        let other = named(name, fresh());
        assert_eq!(fix(&other), [], "{name:?}");
        assert!(DefaultSecurityGroup::hindrance(&other).is_none());
        assert_eq!(DefaultSecurityGroup::notes(&other).len(), 1);
    }
}

#[test]
fn a_group_that_something_uses_is_left_alone() {
    // ASR empties it without a look: databases, mount targets and functions in it lose their network.
    for kind in [
        Kind::Database,
        Kind::FileSystem,
        Kind::Lambda,
        Kind::Kubernetes,
        Kind::Instance,
        Kind::Unattached,
        Kind::Other,
    ] {
        let users = Users { kinds: [(kind, 2)].into(), public: 0, more: false };
        let used = State { users: Some(users), ..fresh() };
        let risks = DefaultSecurityGroup::risks(&used, &DefaultSecurityGroup::desired(&used));
        let [risk] = risks.as_slice() else { panic!("{risks:?}") };
        assert!(
            risk.refuses && risk.id == "in-use" && risk.says.contains(&format!("2 interfaces ({kind} 2)")),
            "{risk:?}"
        );
        let empty = State { rules: vec![], ..used };
        assert_eq!(DefaultSecurityGroup::risks(&empty, &empty), [], "an empty group cuts nobody off");
    }
    let unused = fresh();
    assert_eq!(DefaultSecurityGroup::risks(&unused, &DefaultSecurityGroup::desired(&unused)), []);
    assert!(DefaultSecurityGroup::notes(&unused)[0].contains("nothing uses the group"));
}

#[test]
fn a_group_of_another_account_is_left_alone() {
    let shared = State { foreign: Some("444455556666".to_owned()), ..fresh() };
    assert_eq!(fix(&shared), []);
    let hindrance = DefaultSecurityGroup::hindrance(&shared).unwrap();
    assert!(hindrance.id == "other-account" && hindrance.says.contains("444455556666"), "{hindrance:?}");
    assert!(DefaultSecurityGroup::hindrance(&State { rules: vec![], ..shared }).is_none());
}

#[test]
fn what_could_not_be_made_again_is_not_revoked() {
    let mut strange = fresh();
    strange.rules.push(rule(4, Direction::Egress, "-1", Peer::Unknown));
    let revoked: usize = fix(&strange)
        .iter()
        .map(|change| match change {
            Change::Revoke(batch) | Change::Authorize(batch) => batch.rules.len(),
        })
        .sum();
    assert_eq!(revoked, 3);
    assert_eq!(DefaultSecurityGroup::hindrance(&strange).map(|hindrance| hindrance.id), Some("not-understood"));
}

#[test]
fn an_undo_makes_the_very_rules_again_with_the_one_for_itself() {
    let mut before = fresh();
    before.rules[1].description = Some("first".to_owned());
    before.rules[1].tags.insert("ticket".to_owned(), "7".to_owned());
    let after = DefaultSecurityGroup::desired(&before);
    let undo = DefaultSecurityGroup::changes(&after, &DefaultSecurityGroup::restored(&before));
    let mut made = Vec::new();
    for change in undo {
        let Change::Authorize(batch) = change else { panic!("{change:?}") };
        assert!(
            batch
                .rules
                .iter()
                .all(|rule| rule.traffic.direction == batch.direction && rule.tags == batch.rules[0].tags)
        );
        made.extend(batch.rules);
    }
    made.sort_by(|a, b| a.traffic.cmp(&b.traffic));
    let mut expected = before.rules.clone();
    expected.sort_by(|a, b| a.traffic.cmp(&b.traffic));
    assert_eq!(made, expected, "description, tags and all");
    let mut again = before.clone();
    for rule in &mut again.rules {
        rule.id = Some("sgr-new".to_owned());
    }
    assert_eq!(DefaultSecurityGroup::changes(&again, &before), [], "another id is no other rule");
}

#[test]
fn many_rules_are_several_calls() {
    let many = (0..250).map(|n| rule(n, Direction::Ingress, "-1", v4(&format!("10.0.{n}.0/24")))).collect();
    let sizes: Vec<usize> = fix(&State { rules: many, ..fresh() })
        .iter()
        .map(|change| match change {
            Change::Revoke(batch) | Change::Authorize(batch) => batch.rules.len(),
        })
        .collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[test]
fn targets() {
    let shown = |text: &str| DefaultSecurityGroup::target(text).map(|target| target.to_string());
    for (text, target) in [
        (GROUP, GROUP),
        ("arn:aws:ec2:us-east-1:111122223333:security-group/sg-903004f8", "sg-903004f8"),
        ("vpc-0123456789abcdef0", "vpc-0123456789abcdef0"),
        ("arn:aws:ec2:us-east-1:111122223333:vpc/vpc-903004f8", "vpc-903004f8"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(target), "{text}");
    }
    for bad in ["", "default", "eni-0123456789abcdef0", "vpc-1/../x", "{{vpc}}", "*"] {
        assert!(shown(bad).is_err(), "{bad}");
    }
    assert!(shown("{{vpc}}").unwrap_err().contains("never filled in"));
    let of = |r#type: &str, id: &str| {
        let resource = Resource { r#type: r#type.to_owned(), id: id.to_owned(), name: None };
        DefaultSecurityGroup::target_of(&resource).is_ok()
    };
    assert!(of("AWS::EC2::SecurityGroup", GROUP) && of("AWS::EC2::VPC", "vpc-903004f8"));
    assert!(
        !of("AWS::EC2::SecurityGroup", "vpc-903004f8") && !of("AWS::EC2::VPC", GROUP) && !of("AWS::EC2::Subnet", GROUP)
    );
}

#[test]
fn only_a_new_vpc_announces_drift() {
    for (name, announces) in [("CreateVpc", true), ("CreateDefaultVpc", true), ("AuthorizeSecurityGroupIngress", false)]
    {
        let call = ApiCall {
            event_source: "ec2.amazonaws.com".to_owned(),
            event_name: name.to_owned(),
            parameters: Value::Null,
            response: Value::Null,
        };
        assert_eq!(DefaultSecurityGroup::announces_drift(&call), announces, "{name}");
    }
}

#[test]
fn the_example_of_an_undo_is_a_record_of_ours() {
    let request: Value =
        serde_json::from_str(include_str!("../../../events/ec2-default-security-group/manual-undo.json")).unwrap();
    let record = &request["record"];
    let state = |field: &str| serde_json::from_value::<State>(record[field].clone()).unwrap();
    let (before, after) = (state("before"), state("after"));
    assert_eq!(json!(before), record["before"], "written as we write it");
    assert_eq!(json!(after), record["after"]);
    assert_eq!(
        json!(DefaultSecurityGroup::changes(&before, &DefaultSecurityGroup::desired(&before))),
        record["changes"]
    );
    assert_eq!(json!(DefaultSecurityGroup::changes(&after, &before)), record["undo"]);
    assert_eq!(json!(DefaultSecurityGroup::risks(&before, &after)), record["breaks"]);
    assert_eq!(json!(DefaultSecurityGroup::notes(&before)), record["notes"]);
}

prop_compose! {
    fn states()(
        rules in prop::collection::btree_set((
            any::<bool>(),
            prop::sample::select(vec!["tcp", "-1"]),
            prop::sample::select(vec!["0.0.0.0/0", "10.0.0.0/8", "itself", "pl-1", "?"]),
        ), 0..8),
        name in prop::sample::select(vec!["default", "web"]),
        foreign in prop::bool::weighted(0.2),
        used in prop::option::of(0usize..3),
    ) -> State {
        let rules = rules.into_iter().enumerate().map(|(id, (egress, protocol, source))| {
            let peer = match source {
                "itself" => itself(),
                "pl-1" => Peer::PrefixList(source.to_owned()),
                "?" => Peer::Unknown,
                cidr => v4(cidr),
            };
            let mut rule = rule(id, if egress { Direction::Egress } else { Direction::Ingress }, protocol, peer);
            if id % 3 == 0 {
                rule.tags.insert("ticket".to_owned(), id.to_string());
            }
            rule
        });
        let users = used.map(|used| Users { kinds: [(Kind::Instance, used)].into(), public: 0, more: false });
        let foreign = foreign.then(|| "444455556666".to_owned());
        named(name, State { rules: rules.collect(), foreign, users, ..fresh() })
    }
}

proptest! {
    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<DefaultSecurityGroup>(&state);
        for change in fix(&state) {
            prop_assert!(matches!(change, Change::Revoke(_)), "a fix only takes away: {change:?}");
        }
    }
}
