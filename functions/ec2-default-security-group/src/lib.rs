//! # ec2-default-security-group: a VPC's default security group is emptied
//!
//! ## What it looks for
//! The default security group of a VPC that has any rule, ingress or egress. A new VPC's has two or three: everything from
//! the group itself, and everything to everywhere. Other groups are none of its business: they are compliant, with a note.
//!
//! ## Why it matters
//! What is launched without naming a group gets this one. With its first rules such instances and functions reach each other
//! and the whole internet, though nobody decided that they should. An empty group makes a forgotten group show at once.
//!
//! ## What it does
//! One `RevokeSecurityGroupIngress` and one `RevokeSecurityGroupEgress` of all its rules by their ids. The group itself
//! stays: it cannot be deleted. A group costs two reads beside each other (`DescribeSecurityGroups`,
//! `DescribeSecurityGroupRules`), named by its VPC two one after the other; a default group with rules one more: who uses it
//! (`DescribeNetworkInterfaces`). A plan asks EC2 by `DryRun` whether we may. A sweep looks at no other groups.
//!
//! ## What could break
//! - Whatever uses the group is cut off, both ways: databases, file systems, Lambda functions, cluster nodes and instances
//!   often sit in it unnoticed. So it is refused (guard `in-use`) while any interface uses the group, attached or not, with
//!   their kinds in the reason, unless a manual request overrides the guard. Give them groups of their own first. What
//!   begins to use the group between the look and the write is cut off all the same: take it back by an undo then.
//! - Whatever is launched into it later has no network until it names a group: scripts and templates that never did will
//!   say so.
//! - CloudFormation cannot put the rules back, since it does not own the group; Terraform's `aws_default_security_group`
//!   does, if its configuration has rules. The record says so, as far as the group's tags tell.
//! - A group of another account (a shared VPC) is left alone and reported; so is a rule of a kind that could not be made
//!   again.
//!
//! ## Undo
//! Makes all its rules again, also that for the group itself, with their descriptions and tags. They have new rule ids. Tags
//! that only AWS can set are not given back. If a
//! group or prefix list that a rule names is gone by then, the undo of that direction fails and says so.
//!
//! ## References
//! - <https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html>
//! - AWS Config `VPC_DEFAULT_SECURITY_GROUP_CLOSED`; Security Hub EC2.2
//! - 45 CFR 164.312(e)(1)

mod cloud;
mod target;

pub use cloud::Ec2;
pub use target::Target;

use ec2::{Direction, Group, Keeper, Peer, Rule, SecurityGroupId, Traffic, Users};
use remediation::{About, ApiCall, Control, Hindrance, Resource, Risk, Safety, Scope, Watch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many rules one write is about. A group's quota is 60, at most 1000.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>
const AT_ONCE: usize = 100;

/// The control; see the crate's page.
#[derive(Debug)]
pub struct DefaultSecurityGroup;

/// What was read of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The group.
    pub group: Group,
    /// The account that it belongs to, if it is not the one that we look after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<String>,
    /// All its rules, in the order of their traffic; empty for a group that is no default group, whose rules do not matter.
    pub rules: Vec<Rule>,
    /// Who uses the group; read only if there is something to revoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
}

impl State {
    /// Whether the rules are ours to revoke.
    fn ours(&self) -> bool {
        self.group.is_default() && self.foreign.is_none()
    }

    fn has(&self, traffic: &Traffic) -> bool {
        self.rules.iter().any(|rule| rule.traffic == *traffic)
    }

    /// Whether there is something that we can revoke.
    fn drifted(&self) -> bool {
        self.ours() && self.rules.iter().any(restorable)
    }
}

/// Whether an undo could make the rule again.
fn restorable(rule: &Rule) -> bool {
    rule.traffic.peer != Peer::Unknown
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `RevokeSecurityGroupIngress` or `RevokeSecurityGroupEgress` of these rules, by their ids.
    Revoke(Batch),
    /// `AuthorizeSecurityGroupIngress` or `AuthorizeSecurityGroupEgress` of these rules: only ever as an undo.
    Authorize(Batch),
}

/// What one write is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// The group: its VPC may be all that the event named.
    pub group: SecurityGroupId,
    /// Which way all of the rules go.
    pub direction: Direction,
    /// The rules; those that are to be made have the same tags.
    pub rules: Vec<Rule>,
}

impl Control for DefaultSecurityGroup {
    const ABOUT: About = About {
        id: "ec2-default-security-group",
        title: "empties a VPC's default security group",
        never: "empty a group that something uses",
        resource_type: "AWS::EC2::SecurityGroup",
        also: &["AWS::EC2::VPC"],
        scope: Scope::Regional,
        names_account: false,
        safety: Safety::Disruptive,
        // The rules that a default group is born with let its own members in, and nobody else. One that lets the world in
        // where it must not is what ec2-open-security-group closes, and no exemption of this control keeps that one away.
        exposes: false,
        observes_with: &[
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
        ],
        tags_with: &["ec2:DescribeSecurityGroups"],
        lists_with: &["ec2:DescribeSecurityGroups"],
        fixes_with: &["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"],
        // To revoke, too: an undo can be taken back in its turn.
        undoes_with: &[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateTags",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
        allowed_on: &[
            // The rules themselves only where they are made with tags.
            ("ec2:AuthorizeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
            ("ec2:AuthorizeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group-rule/*"),
            ("ec2:CreateTags", "arn:${AWS::Partition}:ec2:*:*:security-group-rule/*"),
            ("ec2:RevokeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
        ],
        watches: &[Watch {
            source: "aws.ec2",
            event_source: "ec2.amazonaws.com",
            events: &["AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "CreateDefaultVpc", "CreateVpc"],
        }],
        incidents: &[],
        action: None,
        config_rules: &["VPC_DEFAULT_SECURITY_GROUP_CLOSED"],
        security_hub: &["EC2.2"],
        citations: &["45 CFR 164.312(e)(1)"],
        sweeps: Some("rate(1 day)"),
        settings: &[],
    };

    type Target = Target;
    type Parameters = ();
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<Target, String> {
        Target::parse(name)
    }

    fn target_of(resource: &Resource) -> Result<Target, String> {
        match (resource.r#type.as_str(), Target::parse(&resource.id)?) {
            ("AWS::EC2::SecurityGroup", target @ Target::Group(_))
            | ("AWS::EC2::VPC", target @ Target::DefaultOf(_)) => Ok(target),
            (_, target) => Err(format!("{target} is of another type than the event says")),
        }
    }

    fn announces_drift(call: &ApiCall) -> bool {
        // Every VPC is born with a default group that has rules.
        matches!(call.event_name.as_str(), "CreateDefaultVpc" | "CreateVpc")
    }

    fn desired(state: &State) -> State {
        if !state.drifted() {
            return state.clone();
        }
        State { rules: state.rules.iter().filter(|rule| !restorable(rule)).cloned().collect(), ..state.clone() }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        let mut changes = Vec::new();
        for direction in [Direction::Ingress, Direction::Egress] {
            let batch = |rules: &[Rule]| Batch { group: from.group.id.clone(), direction, rules: rules.to_vec() };
            let only = |here: &State, not_there: &State| -> Vec<Rule> {
                let rules = here.rules.iter().filter(|rule| rule.traffic.direction == direction);
                rules.filter(|rule| !not_there.has(&rule.traffic)).cloned().collect()
            };
            // One call gives all its rules the same tags.
            let mut by_tags: BTreeMap<BTreeMap<String, String>, Vec<Rule>> = BTreeMap::new();
            for rule in only(to, from) {
                by_tags.entry(rule.tags.clone()).or_default().push(rule);
            }
            let made = by_tags.values().flat_map(|rules| rules.chunks(AT_ONCE));
            changes.extend(made.map(|rules| Change::Authorize(batch(rules))));
            changes.extend(only(from, to).chunks(AT_ONCE).map(|rules| Change::Revoke(batch(rules))));
        }
        changes
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        let users = from.users.as_ref().filter(|users| users.total() > 0);
        let revokes = from.rules.iter().any(|rule| !to.has(&rule.traffic));
        let Some(users) = users.filter(|_| revokes) else { return vec![] };
        vec![Risk {
            id: "in-use",
            says: format!(
                "the group is in use by {users}, which would be cut off: give them groups of their own first"
            ),
            refuses: true,
        }]
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        if !state.group.is_default() || state.rules.is_empty() {
            return None;
        }
        if let Some(owner) = &state.foreign {
            return Some(Hindrance {
                id: "other-account",
                says: format!(
                    "the group has rules and belongs to account {} (a shared VPC): they are for that account to revoke",
                    remediation::shown(owner)
                ),
            });
        }
        let strange = state.rules.iter().filter(|rule| !restorable(rule)).count();
        (strange > 0).then(|| Hindrance {
            id: "not-understood",
            says: format!(
                "{strange} of its rules are of a kind that this program does not know and could not make again: look at \
                 them, and revoke them by hand"
            ),
        })
    }

    fn notes(state: &State) -> Vec<String> {
        if !state.group.is_default() {
            return vec!["it is no VPC's default group, and none of this control's business".to_owned()];
        }
        if !state.drifted() {
            return vec![];
        }
        let unused = state.users.as_ref().is_some_and(|users| users.total() == 0);
        let unused = unused.then(|| {
            "nothing uses the group at this moment; what names no group when it is launched will have no network"
                .to_owned()
        });
        unused.into_iter().chain(state.group.keepers.iter().map(Keeper::advice)).collect()
    }
}

#[cfg(test)]
mod tests;
