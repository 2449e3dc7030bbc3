//! From one state to another, in single writes.

use crate::parameters::{Established, all_traffic};
use crate::state::{Change, Group, Groups, Interface, Member, Ours, QUARANTINE, State, To, less};
use ec2::{Direction, InterfaceId, Peer, Rule, SecurityGroupId, VpcId};

/// All addresses, of both kinds.
fn world() -> [Peer; 2] {
    [Peer::CidrIpv4("0.0.0.0/0".to_owned()), Peer::CidrIpv6("::/0".to_owned())]
}

/// The rules that let everything through, both ways: under them no connection is tracked.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html#untracked-connections>
pub fn open() -> Vec<Rule> {
    let ways = [Direction::Ingress, Direction::Egress];
    ways.into_iter().flat_map(|way| world().map(|peer| all_traffic(way, peer))).collect()
}

/// The rules that EC2 gives a new group: everything may go out, over IPv4 always, over IPv6 in some VPCs.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/creating-security-groups.html>
fn given() -> Vec<Rule> {
    world().map(|peer| all_traffic(Direction::Egress, peer)).into()
}

/// What an interface is to become.
struct Move<'a> {
    id: &'a InterfaceId,
    now: &'a Interface,
    then: &'a Interface,
}

impl Move<'_> {
    /// Whether the way leads through the open group: into quarantine, for an interface that does not stand open.
    fn opens(&self, from: &State) -> bool {
        from.established == Established::Cut && self.then.is_isolated() && self.now.groups != self.then.groups
    }
}

/// The writes that turn `from` into `to`, in order: the quarantine group is made ready, what stands open goes there;
/// the open group is made ready, the interfaces remember what they were in, each is moved; the marks that are no
/// longer true go, and so does the open group.
pub fn changes(from: &State, to: &State) -> Vec<Change> {
    let mut moves: Vec<Move> =
        from.interfaces.iter().filter_map(|(id, now)| Some(Move { id, now, then: to.interfaces.get(id)? })).collect();
    // Instances first. Last, what cannot be put back since its group is gone: it must not keep the others waiting.
    moves.sort_by_key(|step| {
        let lost = step.then.groups.iter().any(|member| matches!(member, Member::Group(id) if from.gone.contains(id)));
        (lost, step.now.instance.is_none())
    });
    // What stands open comes before everything but the group that it is to go into.
    let (urgent, calm): (Vec<&Move>, Vec<&Move>) = moves.iter().partition(|step| step.now.is_open());
    let none = Groups::default();
    let vpcs = || to.vpcs.iter().map(|(vpc, want)| (vpc, from.vpcs.get(vpc).unwrap_or(&none), want));
    let mut all = Vec::new();
    for (vpc, have, want) in vpcs() {
        let quarantine = |id| Ours { name: QUARANTINE.to_owned(), vpc: vpc.clone(), id };
        all.extend(ready(have.quarantine.as_ref(), want.quarantine.as_ref(), &quarantine));
    }
    all.extend(urgent.iter().flat_map(|step| moved(step, from)));
    let mut last = Vec::new();
    for (vpc, have, want) in vpcs() {
        let opening = |id| Ours { name: from.target.opening(), vpc: vpc.clone(), id };
        let have = have.opening.as_ref();
        let delete = Change::DeleteGroup { group: opening(have.and_then(|group| group.id.clone())) };
        if calm.iter().any(|step| step.now.vpc == *vpc && step.opens(from)) {
            // Whatever else it lets through: it is open.
            let rules = have.map(|group| &group.rules[..]).unwrap_or_default();
            let missing = open().into_iter().filter(|rule| !rules.iter().any(|have| have.traffic == rule.traffic));
            let want = Group { id: None, rules: rules.iter().cloned().chain(missing).collect() };
            all.extend(ready(have, Some(&want), &opening));
            last.push(delete);
        } else if have.is_some() && want.opening.is_none() {
            last.push(delete);
        } else {
            all.extend(ready(have, want.opening.as_ref(), &opening));
        }
    }
    all.extend(moves.iter().flat_map(remember));
    all.extend(calm.iter().flat_map(|step| moved(step, from)));
    all.extend(moves.iter().filter_map(forget));
    all.extend(last);
    all
}

/// The writes that bring one of our groups to the rules that it ought to have. It is never deleted here.
fn ready(have: Option<&Group>, want: Option<&Group>, ours: &dyn Fn(Option<SecurityGroupId>) -> Ours) -> Vec<Change> {
    let Some(want) = want else { return Vec::new() };
    let mut changes = Vec::new();
    let group = ours(have.and_then(|group| group.id.clone()));
    let given = given();
    let rules = if let Some(have) = have {
        &have.rules
    } else {
        changes.push(Change::CreateGroup { name: group.name.clone(), vpc: group.vpc.clone() });
        &given
    };
    for direction in [Direction::Ingress, Direction::Egress] {
        let revoked = less(rules, &want.rules, direction);
        if !revoked.is_empty() {
            changes.push(Change::Revoke { group: group.clone(), direction, rules: revoked });
        }
    }
    // A new group has the first of the given rules for certain, and the second perhaps: EC2 says so if it has.
    let certain = if have.is_some() { &rules[..] } else { given.get(..1).unwrap_or_default() };
    for direction in [Direction::Ingress, Direction::Egress] {
        let missing = want.less(certain, direction);
        if !missing.is_empty() {
            changes.push(Change::Authorize { group: group.clone(), direction, rules: missing });
        }
    }
    changes
}

/// The writes that make an interface remember its groups, and nothing that is not true any more.
fn remember(step: &Move<'_>) -> Vec<Change> {
    let (Some(then), now) = (&step.then.mark, &step.now.mark) else { return Vec::new() };
    if now.as_ref() == Some(then) {
        return Vec::new();
    }
    let interface = step.id.clone();
    let stale = now.iter().flatten().filter(|group| !then.contains(group));
    let stale: Vec<SecurityGroupId> = stale.cloned().collect();
    let unmark = Change::Unmark { interface: interface.clone(), groups: stale.clone(), whole: false };
    let mark = Change::Mark { interface, groups: then.clone() };
    (!stale.is_empty()).then_some(unmark).into_iter().chain([mark]).collect()
}

/// The write that takes an interface's whole mark away: after it was put back, not before.
fn forget(step: &Move<'_>) -> Option<Change> {
    match (&step.now.mark, &step.then.mark) {
        (Some(groups), None) => {
            Some(Change::Unmark { interface: step.id.clone(), groups: groups.clone(), whole: true })
        }
        _ => None,
    }
}

/// The writes that move an interface.
fn moved(step: &Move<'_>, from: &State) -> Vec<Change> {
    let (now, then) = (step.now, step.then);
    if now.groups == then.groups {
        return Vec::new();
    }
    let (interface, vpc) = (step.id.clone(), &now.vpc);
    let quarantine = ours(from, vpc, QUARANTINE, |groups| groups.quarantine.as_ref());
    if !then.is_isolated() || (from.established == Established::Leave && !now.is_open()) {
        let to = then.groups.iter().map(|member| match member {
            Member::Quarantine => To::Ours(quarantine.clone()),
            Member::Opening(id) | Member::Group(id) => To::Group(id.clone()),
        });
        return vec![Change::SetGroups { interface, from: ids(now, &quarantine), to: to.collect() }];
    }
    let isolate = Change::Isolate { interface: interface.clone(), into: quarantine.clone() };
    if now.is_open() {
        return vec![isolate];
    }
    let through = ours(from, vpc, &from.target.opening(), |groups| groups.opening.as_ref());
    let from = ids(now, &quarantine);
    vec![Change::Open { interface, from, through, into: quarantine }, isolate]
}

fn ours(from: &State, vpc: &VpcId, name: &str, which: fn(&Groups) -> Option<&Group>) -> Ours {
    let id = from.vpcs.get(vpc).and_then(which).and_then(|group| group.id.clone());
    Ours { name: name.to_owned(), vpc: vpc.clone(), id }
}

/// The ids of the groups that an interface is in.
fn ids(interface: &Interface, quarantine: &Ours) -> Vec<SecurityGroupId> {
    let id = |member: &Member| match member {
        Member::Quarantine => quarantine.id.clone(),
        Member::Opening(id) | Member::Group(id) => Some(id.clone()),
    };
    interface.groups.iter().filter_map(id).collect()
}
