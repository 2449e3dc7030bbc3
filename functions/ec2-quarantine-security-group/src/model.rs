//! EC2 as far as the writes of this control go: what a state becomes by each of them.

use super::*;
use crate::parameters::all_traffic;
use ::ec2::Peer;

/// EC2, and the ids that it gives next.
pub struct Model {
    pub state: State,
    next: u32,
    /// New groups also let everything out over IPv6.
    dual: bool,
}

impl Model {
    pub fn new(state: State, dual: bool) -> Self {
        Self { state, next: 0xf000, dual }
    }

    fn ours(&mut self, ours: &Ours) -> &mut Option<Group> {
        let groups = self.state.vpcs.entry(ours.vpc.clone()).or_default();
        if ours.name == QUARANTINE { &mut groups.quarantine } else { &mut groups.opening }
    }

    fn there(&mut self, ours: &Ours) -> &mut Group {
        let group = self.ours(ours).as_mut().expect("a write on a group that is not there");
        assert!(ours.id.is_none() || ours.id == group.id, "a write on another group");
        group
    }

    fn put(&mut self, interface: &InterfaceId, groups: Vec<Member>) {
        self.state.interfaces.get_mut(interface).unwrap().groups = groups;
    }

    fn ids(&self, interface: &InterfaceId) -> Vec<SecurityGroupId> {
        let interface = &self.state.interfaces[interface];
        let id = |member: &Member| match member {
            Member::Quarantine => self.state.vpcs[&interface.vpc].quarantine.as_ref().unwrap().id.clone().unwrap(),
            Member::Opening(id) | Member::Group(id) => id.clone(),
        };
        interface.groups.iter().map(id).collect()
    }

    /// Makes one write; panics where EC2 would refuse it.
    pub fn write(&mut self, change: &Change) {
        match change {
            Change::CreateGroup { name, vpc } => {
                self.next += 1;
                let all = [Some("0.0.0.0/0"), None].into_iter().flatten().map(|cidr| Peer::CidrIpv4(cidr.to_owned()));
                let six = self.dual.then(|| Peer::CidrIpv6("::/0".to_owned()));
                let rules = all.chain(six).map(|peer| all_traffic(Direction::Egress, peer)).collect();
                let id = Some(sg(self.next));
                let ours = Ours { name: name.clone(), vpc: vpc.clone(), id: None };
                let group = self.ours(&ours);
                assert!(group.is_none(), "InvalidGroup.Duplicate");
                *group = Some(Group { id, rules });
            }
            Change::Revoke { group, direction, rules } => {
                let group = self.there(group);
                assert!(rules.iter().all(|rule| rule.traffic.direction == *direction));
                group.rules.retain(|have| !rules.iter().any(|rule| rule.traffic == have.traffic));
            }
            Change::Authorize { group, direction, rules } => {
                let group = self.there(group);
                for rule in rules {
                    assert_eq!(rule.traffic.direction, *direction);
                    if !group.rules.iter().any(|have| have.traffic == rule.traffic) {
                        group.rules.push(Rule { id: None, ..rule.clone() });
                    }
                }
                group.rules.sort_by(|a, b| a.traffic.cmp(&b.traffic));
            }
            Change::Mark { interface, groups } => {
                let mark = &mut self.state.interfaces.get_mut(interface).unwrap().mark;
                let marked = mark.get_or_insert_with(Vec::new);
                marked.extend(groups.iter().filter(|group| !marked.contains(group)).cloned().collect::<Vec<_>>());
                marked.sort();
            }
            Change::Unmark { interface, groups, whole } => {
                let mark = &mut self.state.interfaces.get_mut(interface).unwrap().mark;
                if let Some(mark) = mark {
                    mark.retain(|group| !groups.contains(group));
                }
                if *whole {
                    assert_eq!(mark.take(), Some(vec![]), "a mark is left");
                }
            }
            Change::Open { interface, from, through, .. } => {
                assert_eq!(self.ids(interface), *from, "the interface is in other groups");
                let group = self.there(through);
                for rule in open() {
                    assert!(group.rules.iter().any(|have| have.traffic == rule.traffic), "connections stay tracked");
                }
                let id = group.id.clone().unwrap();
                self.put(interface, vec![Member::Opening(id)]);
            }
            Change::Isolate { interface, into } => {
                let _ = self.there(into);
                self.put(interface, vec![Member::Quarantine]);
            }
            Change::SetGroups { interface, from, to } => {
                assert_eq!(self.ids(interface), *from, "the interface is in other groups");
                let member = |group: &To| match group {
                    To::Ours(_) => Member::Quarantine,
                    To::Group(id) => Member::Group(id.clone()),
                };
                self.put(interface, to.iter().map(member).collect());
            }
            Change::DeleteGroup { group } => {
                let id = self.there(group).id.clone().unwrap();
                let used = |it: &Interface| it.groups.contains(&Member::Opening(id.clone()));
                assert!(!self.state.interfaces.values().any(used), "DependencyViolation");
                assert_ne!(group.name, QUARANTINE);
                *self.ours(group) = None;
            }
        }
        let open = self.state.interfaces.values().filter(|interface| interface.is_open()).count();
        assert!(open <= 1 || matches!(change, Change::Isolate { .. }), "one interface at a time is open");
    }

    pub fn write_all(&mut self, changes: &[Change]) {
        for change in changes {
            self.write(change);
        }
    }
}
