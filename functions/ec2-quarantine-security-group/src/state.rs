//! What was read, and what may be written.

use crate::parameters::{Established, Forensics};
use ec2::{Direction, InstanceId, InterfaceId, Rule, SecurityGroupId, VpcId};
use remediation::shown;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The name of the group that lets nothing through: one in each VPC where something was in quarantine.
pub const QUARANTINE: &str = "suture-quarantine";
/// How the name of a group begins that lets everything through, for the moment between two writes; one for each target,
/// so that requests for several do not take it from under each other.
pub const OPENING: &str = "suture-opening-";
/// The tag on an interface that we moved. Beside it, one tag `suture-quarantine:sg-…` for each group that it was in.
pub const MARK: &str = "suture-quarantine";

/// What to cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Every interface that uses a security group.
    Group(SecurityGroupId),
    /// Every interface of an instance.
    Instance(InstanceId),
}

impl Target {
    /// Takes the id of a security group or of an instance, or its ARN; otherwise says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tail = text.rsplit('/').next().unwrap_or_default();
        if text.contains(":instance/") || tail.starts_with("i-") {
            return InstanceId::parse(text).map(Self::Instance);
        }
        SecurityGroupId::parse(text).map(Self::Group).map_err(|why| format!("{why}; and no instance's either"))
    }

    /// The name of the group that is open for a moment.
    pub fn opening(&self) -> String {
        format!("{OPENING}{self}")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(id) => id.fmt(f),
            Self::Instance(id) => id.fmt(f),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

/// What was read of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The target.
    pub target: Target,
    /// Its interfaces: an instance's are those attached to it; a group's those that use it, or did when we moved them.
    pub interfaces: BTreeMap<InterfaceId, Interface>,
    /// Our own groups in each VPC that the interfaces are in.
    pub vpcs: BTreeMap<VpcId, Groups>,
    /// What a person should know of the instances behind interfaces that are not in quarantine.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// Groups that interfaces were in before their quarantine and that are gone by now.
    pub gone: BTreeSet<SecurityGroupId>,
    /// The rules that the quarantine group ought to have: the operator's choice.
    pub forensics: Vec<Rule>,
    /// What to do about connections that are open already: the operator's choice.
    pub established: Established,
    /// How many interfaces one request may cut off: the operator's choice.
    pub most_interfaces: usize,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its VPC.
    pub vpc: VpcId,
    /// The groups that it is in, in order.
    pub groups: Vec<Member>,
    /// The groups that it was in before we moved it, as its tags tell; none if it has no such tags.
    pub mark: Option<Vec<SecurityGroupId>>,
    /// The instance that it is attached to.
    pub instance: Option<InstanceId>,
    /// Who alone can change it, where that is not us: an AWS service, another account.
    pub held_by: Option<String>,
}

/// A group that an interface is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    /// The quarantine group of the interface's VPC. By its name: it may not exist yet, and be another one later.
    Quarantine,
    /// A group that is open for a moment, this target's or another's.
    Opening(SecurityGroupId),
    /// Any other group.
    Group(SecurityGroupId),
}

impl Interface {
    /// Whether it is in quarantine, and in nothing else.
    pub fn is_isolated(&self) -> bool {
        self.groups == [Member::Quarantine]
    }

    /// Whether it stands open: a quarantine that broke off between two writes.
    pub fn is_open(&self) -> bool {
        self.groups.iter().any(|member| matches!(member, Member::Opening(_)))
    }

    /// The groups to remember and to go back to: those that are not ours; for an interface that stands open in nothing
    /// else, those that it is marked with.
    pub fn prior(&self) -> Vec<SecurityGroupId> {
        let others = self.groups.iter().filter_map(|member| match member {
            Member::Group(id) => Some(id.clone()),
            Member::Quarantine | Member::Opening(_) => None,
        });
        let others: Vec<SecurityGroupId> = others.collect();
        if others.is_empty() { self.mark.clone().unwrap_or_default() } else { others }
    }
}

/// Our own groups in a VPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// The quarantine group.
    pub quarantine: Option<Group>,
    /// The group that is open for a moment, if it was left behind.
    pub opening: Option<Group>,
}

/// One of our own groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id; none for one that is yet to be made.
    pub id: Option<SecurityGroupId>,
    /// Its rules, by their traffic in order.
    pub rules: Vec<Rule>,
}

impl Group {
    /// The rules of this group that the other has not, by the traffic that they let through.
    pub fn less(&self, other: &[Rule], direction: Direction) -> Vec<Rule> {
        less(&self.rules, other, direction)
    }
}

/// The rules that are among these and not among the others, by the traffic that they let through.
pub fn less(rules: &[Rule], others: &[Rule], direction: Direction) -> Vec<Rule> {
    let ours = rules.iter().filter(|rule| rule.traffic.direction == direction);
    ours.filter(|rule| !others.iter().any(|other| other.traffic == rule.traffic)).cloned().collect()
}

/// What a person should know of an instance that is cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its Auto Scaling group, which will take it for broken.
    pub auto_scaling_group: Option<String>,
    /// The Kubernetes cluster that it is a node of.
    pub cluster: Option<String>,
    /// It is a Spot Instance: AWS can take it, and the evidence on it, at two minutes' notice.
    pub spot: bool,
}

/// One of our own groups, for a write: by its id, or by its name in its VPC if it has none yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Ours {
    /// Its name, which is unique in its VPC.
    pub name: String,
    /// Its VPC.
    pub vpc: VpcId,
    /// Its id; none if an earlier write of the same plan makes it.
    pub id: Option<SecurityGroupId>,
}

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "security group {} in {}", shown(&self.name), self.vpc)
    }
}

/// A group that an interface is to be in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum To {
    /// One of our own.
    Ours(Ours),
    /// Any other.
    Group(SecurityGroupId),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `CreateSecurityGroup`. EC2 gives it a rule that lets everything out.
    CreateGroup {
        /// Its name.
        name: String,
        /// Its VPC.
        vpc: VpcId,
    },
    /// `RevokeSecurityGroupIngress` or `…Egress`. Rules without an id are those that EC2 gave a new group: as many of
    /// them as it has.
    Revoke {
        /// The group.
        group: Ours,
        /// Which of the two.
        direction: Direction,
        /// The rules.
        rules: Vec<Rule>,
    },
    /// `AuthorizeSecurityGroupIngress` or `…Egress`.
    Authorize {
        /// The group.
        group: Ours,
        /// Which of the two.
        direction: Direction,
        /// The rules.
        rules: Vec<Rule>,
    },
    /// `CreateTags`: remembers on the interface itself which groups it was in.
    Mark {
        /// The interface.
        interface: InterfaceId,
        /// The groups.
        groups: Vec<SecurityGroupId>,
    },
    /// `DeleteTags`.
    Unmark {
        /// The interface.
        interface: InterfaceId,
        /// The groups to forget.
        groups: Vec<SecurityGroupId>,
        /// Whether it was the whole mark.
        whole: bool,
    },
    /// `ModifyNetworkInterfaceAttribute` into the open group only, if EC2 says beforehand that we may go on from there.
    Open {
        /// The interface.
        interface: InterfaceId,
        /// The groups that this was decided on.
        from: Vec<SecurityGroupId>,
        /// The open group.
        through: Ours,
        /// The quarantine group.
        into: Ours,
    },
    /// `ModifyNetworkInterfaceAttribute` into the quarantine group only, whatever the interface is in: it stands open.
    Isolate {
        /// The interface.
        interface: InterfaceId,
        /// The quarantine group.
        into: Ours,
    },
    /// `ModifyNetworkInterfaceAttribute` into these groups.
    SetGroups {
        /// The interface.
        interface: InterfaceId,
        /// The groups that this was decided on.
        from: Vec<SecurityGroupId>,
        /// The groups.
        to: Vec<To>,
    },
    /// `DeleteSecurityGroup`: only ever the open one.
    DeleteGroup {
        /// The group.
        group: Ours,
    },
}

impl State {
    /// A state with no interfaces and no groups, for the target and the operator's choices.
    pub fn empty(target: Target, forensics: &Forensics, established: Established, most_interfaces: usize) -> Self {
        Self {
            target,
            interfaces: BTreeMap::new(),
            vpcs: BTreeMap::new(),
            instances: BTreeMap::new(),
            gone: BTreeSet::new(),
            forensics: forensics.rules(),
            established,
            most_interfaces,
        }
    }
}
