//! What the control knows, without any AWS.

use super::*;
use crate::plan::open;
use crate::state::QUARANTINE;
use ::ec2::{Direction, InstanceId, Rule, SecurityGroupId, VpcId};
use proptest::prelude::*;
use remediation::laws;
use serde_json::json;

#[path = "event_tests.rs"]
mod events;
#[path = "model.rs"]
mod model;
#[path = "quarantine_tests.rs"]
mod quarantine;

/// An id of 17 digits.
fn tail(number: u32) -> String {
    format!("{number:017x}")
}

fn sg(number: u32) -> SecurityGroupId {
    SecurityGroupId::parse(&format!("sg-{}", tail(number))).unwrap()
}

fn eni(number: u32) -> InterfaceId {
    InterfaceId::parse(&format!("eni-{}", tail(number))).unwrap()
}

fn instance(number: u32) -> InstanceId {
    InstanceId::parse(&format!("i-{}", tail(number))).unwrap()
}

fn vpc(number: u32) -> VpcId {
    VpcId::parse(&format!("vpc-{}", tail(number))).unwrap()
}

/// The quarantine group of the first VPC, and the open group there.
const QUARANTINED: u32 = 0xa1;
const OPENED: u32 = 0xb1;

fn within(groups: &[u32]) -> Vec<Member> {
    groups.iter().map(|id| Member::Group(sg(*id))).collect()
}

fn interface(groups: Vec<Member>) -> Interface {
    Interface { vpc: vpc(1), groups, mark: None, instance: Some(instance(1)), held_by: None }
}

fn group(id: u32, rules: Vec<Rule>) -> Group {
    Group { id: Some(sg(id)), rules }
}

/// A state of the target `sg-…1` in the first VPC.
fn state(
    interfaces: impl IntoIterator<Item = Interface>,
    quarantine: impl Into<Option<Group>>,
    opening: impl Into<Option<Group>>,
) -> State {
    let (quarantine, opening) = (quarantine.into(), opening.into());
    let parameters = Parameters::default();
    let mut state = State::empty(
        Target::Group(sg(1)),
        &parameters.forensics_cidr,
        parameters.established,
        parameters.most_interfaces,
    );
    state.interfaces = (1..).map(eni).zip(interfaces).collect();
    state.vpcs.insert(vpc(1), Groups { quarantine, opening });
    state
}

fn fix(state: &State) -> Vec<Change> {
    Quarantine::changes(state, &Quarantine::desired(state))
}

/// Changes as a person would write them down.
fn told(changes: &[Change]) -> Vec<String> {
    let short = |id: &str| id.rsplit('-').next().unwrap_or_default().trim_start_matches('0').to_owned();
    let ids = |ids: &[SecurityGroupId]| ids.iter().map(|id| short(id.as_str())).collect::<Vec<_>>().join(",");
    let rules = |rules: &[Rule]| rules.iter().map(|rule| rule.traffic.to_string()).collect::<Vec<_>>().join(", ");
    let ours = |ours: &Ours| ours.name.trim_start_matches("suture-").split("-sg").next().unwrap().to_owned();
    changes
        .iter()
        .map(|change| match change {
            Change::CreateGroup { name, .. } => {
                format!("create {}", name.trim_start_matches("suture-").split("-sg").next().unwrap())
            }
            Change::Revoke { group, rules: revoked, .. } => format!("revoke {}: {}", ours(group), rules(revoked)),
            Change::Authorize { group, rules: made, .. } => format!("authorize {}: {}", ours(group), rules(made)),
            Change::Mark { interface, groups } => format!("mark {}: {}", short(interface.as_str()), ids(groups)),
            Change::Unmark { interface, groups, whole } => {
                format!("unmark {}: {}{}", short(interface.as_str()), ids(groups), if *whole { " all" } else { "" })
            }
            Change::Open { interface, from, .. } => format!("open {} from {}", short(interface.as_str()), ids(from)),
            Change::Isolate { interface, .. } => format!("isolate {}", short(interface.as_str())),
            Change::SetGroups { interface, from, to } => {
                let to = to.iter().map(|group| match group {
                    To::Group(id) => short(id.as_str()),
                    To::Ours(group) => ours(group),
                });
                let to = to.collect::<Vec<_>>().join(",");
                format!("set {} from {} to {to}", short(interface.as_str()), ids(from))
            }
            Change::DeleteGroup { group } => format!("delete {}", ours(group)),
        })
        .collect()
}

#[test]
fn targets() {
    let group = "sg-0123456789abcdef0";
    let machine = "i-0123456789abcdef0";
    for (good, id) in [
        (group.to_owned(), group),
        (machine.to_owned(), machine),
        (format!("arn:aws:ec2:us-east-1:111122223333:security-group/{group}"), group),
        (format!("arn:aws:ec2:us-east-1:111122223333:instance/{machine}"), machine),
    ] {
        let target = Quarantine::target(&good).unwrap();
        assert_eq!(target.to_string(), id);
        assert_eq!(matches!(target, Target::Instance(_)), id == machine);
    }
    for bad in [
        "",
        "*",
        "eni-0123456789abcdef0",
        "vpc-0123456789abcdef0",
        "i-",
        "i-0123456789abcdef0\n",
        "i-99999999x",
        "sg-0123456789abcdef0 i-0123456789abcdef0",
        "suture-quarantine",
        "arn:aws:ec2:us-east-1:111122223333:instance/sg-0123456789abcdef0",
        "arn:aws:ec2:us-east-1:111122223333:security-group/i-0123456789abcdef0",
        "{{instance}}",
        "i-{{{instance}}}",
    ] {
        let why = Quarantine::target(bad).unwrap_err();
        assert!(why.len() < 400 && !why.contains('\n'), "{bad}: {why}");
    }
}

#[test]
fn parameters() {
    let read = |json: serde_json::Value| serde_json::from_value::<Parameters>(json).map_err(|error| error.to_string());
    assert_eq!(read(json!({})).unwrap(), Parameters::default());
    let defaults: serde_json::Map<String, serde_json::Value> = Quarantine::ABOUT
        .settings
        .iter()
        .map(|setting| {
            let value = match setting.kind {
                Kind::Number(..) => json!(setting.default.parse::<u32>().unwrap()),
                Kind::Text(_) | Kind::Choice(_) | Kind::Deployed => json!(setting.default),
            };
            (setting.field.to_owned(), value)
        })
        .collect();
    assert_eq!(defaults.len(), 3);
    assert_eq!(read(defaults.into()).unwrap(), Parameters::default());
    let set = read(json!({"forensics_cidr": "10.9.8.0/24", "established": "leave", "most_interfaces": 3})).unwrap();
    assert_eq!((set.established, set.most_interfaces, set.forensics_cidr.rules().len()), (Established::Leave, 3, 1));
    for (bad, says) in [
        (json!({"forensic_cidr": ""}), "unknown field `forensic_cidr`"),
        (json!({"forensics_cidr": "0.0.0.0/0"}), "nothing wider than /16"),
        (json!({"established": "drop"}), "unknown variant `drop`"),
        (json!({"most_interfaces": -1}), "invalid value"),
    ] {
        let error = read(bad).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_json_of_states_and_changes_stays_what_old_records_hold() {
    let mut state = state([interface(within(&[1]))], group(QUARANTINED, vec![]), None);
    state.forensics = Forensics::try_from("10.9.8.0/24".to_owned()).unwrap().rules();
    let expected = json!({
        "target": "sg-00000000000000001",
        "interfaces": {"eni-00000000000000001": {
            "vpc": "vpc-00000000000000001",
            "groups": [{"group": "sg-00000000000000001"}],
            "mark": null,
            "instance": "i-00000000000000001",
            "held_by": null,
        }},
        "vpcs": {"vpc-00000000000000001": {
            "quarantine": {"id": "sg-000000000000000a1", "rules": []},
            "opening": null,
        }},
        "instances": {},
        "gone": [],
        "forensics": [{
            "direction": "ingress", "protocol": "-1", "peer": {"cidr-ipv4": "10.9.8.0/24"}, "description": "forensics",
        }],
        "established": "cut",
        "most_interfaces": 20,
    });
    assert_eq!(serde_json::to_value(&state).unwrap(), expected);
    state.forensics.clear();
    let into = json!({"name": "suture-quarantine", "vpc": "vpc-00000000000000001", "id": "sg-000000000000000a1"});
    let through = json!({"name": "suture-opening-sg-00000000000000001", "vpc": "vpc-00000000000000001", "id": null});
    let changes = serde_json::to_value(fix(&state)).unwrap();
    let changes = changes.as_array().unwrap();
    assert_eq!(
        changes[0],
        json!({"create-group": {"name": "suture-opening-sg-00000000000000001", "vpc": "vpc-00000000000000001"}})
    );
    assert_eq!(
        changes[3..],
        [
            json!({"mark": {"interface": "eni-00000000000000001", "groups": ["sg-00000000000000001"]}}),
            json!({"open": {
                "interface": "eni-00000000000000001",
                "from": ["sg-00000000000000001"],
                "through": through,
                "into": into,
            }}),
            json!({"isolate": {"interface": "eni-00000000000000001", "into": into}}),
            json!({"delete-group": {"group": through}}),
        ]
    );
    let smuggled = expected.to_string().replace("eni-00000000000000001", "eni-1/../x");
    assert!(serde_json::from_str::<State>(&smuggled).is_err(), "a record cannot smuggle in another text");
}

#[test]
fn the_facts() {
    let about = Quarantine::ABOUT;
    assert_eq!(about.id, env!("CARGO_PKG_NAME"));
    assert_eq!(about.safety, Safety::Incident);
    // Nothing but a person starts it.
    assert!(about.watches.is_empty() && about.incidents.is_empty() && about.sweeps.is_none());
    assert!(about.config_rules.is_empty() && about.security_hub.is_empty());
    assert!(about.action.is_some_and(|name| name.len() <= 20));
    let page: String = include_str!("lib.rs").lines().filter(|line| line.starts_with("//!")).collect();
    for citation in about.citations {
        assert!(page.contains(citation.trim_start_matches("45 CFR ")), "the page: {citation}");
    }
    for setting in about.settings {
        assert!(page.contains(setting.parameter), "the page: {}", setting.parameter);
    }
    assert!(page.contains("many-interfaces"), "the page names the guard");
}
