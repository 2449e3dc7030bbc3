//! # ec2-open-security-group: what a security group opens to the world is closed
//!
//! ## What it looks for
//! Ingress rules that let the world in where it has no business: to the ports of administration (`AdminPorts`) and of
//! databases, caches and directories (`DatabasePorts`), over TCP or UDP. If `AuthorizedPorts` is set, to any other port
//! than these. If an AWS Config rule fired that has ports among its parameters, to its ports as well.
//!
//! - The world is `0.0.0.0/0` and `::/0` in any spelling, and what is as good as that: a source with as many public
//!   addresses as an IPv4 /8 or an IPv6 /16 (`WorldPrefixIpv4`, `WorldPrefixIpv6`), such as one half of a pair of /1.
//!   Private ranges do not count, however wide.
//! - A prefix list is what its entries are together. No event names the groups that use a list, so what a change of a list
//!   opens, the sweep finds.
//! - Ranges of ports count if they overlap with a forbidden port; protocol `-1` is every port; `6` is TCP. What stands
//!   where ports do in an ICMP rule is a type and a code, and opens no port.
//! - Another group, or the group itself, is not the world.
//! - The default group of a VPC is looked at like any other; that it should be empty is the control
//!   ec2-default-security-group's business.
//!
//! ## Why it matters
//! An SSH or database port that is open to the world is found by scanners within minutes. What stands behind it then is one
//! password or one unpatched flaw away from every record it holds.
//!
//! ## What it does
//! One `RevokeSecurityGroupIngress` by rule ids: exactly the offending source goes, and the office's range in the same
//! permission stays. A rule that also covers ports that may be open (0-65535, all protocols) goes whole, unless
//! `WideRanges` is `split`: then rules for what may stay are made first, with its description and tags, and it is revoked
//! after that, so that nothing allowed is interrupted and nothing is more open at any time than before. Where
//! the rest would be more rules than a group has room for (60), as with all traffic and the default ports, only what lets
//! somebody in on 80 or 443 stays.
//!
//! A group without drift costs two reads beside each other (`DescribeSecurityGroups`, `DescribeSecurityGroupRules`); prefix
//! lists are read if a rule for forbidden ports names one; who uses the group is read if there is something to close.
//! A plan asks EC2 by `DryRun` whether we may. A sweep skips groups that the listing itself shows to be fine.
//!
//! ## What could break
//! - Whoever comes in by the rule is cut off: administrators without a VPN, a vendor's access. Established connections may
//!   live on for a while, since security groups track them. The plan says who uses the group and whether any of it has a
//!   public address.
//! - A load balancer's listeners on 80 and 443, if a rule for everything was what let their clients in. That is refused
//!   (guard `load-balancer`) where nothing but load balancers uses the group, unless `WideRanges` is `split` or a manual
//!   request overrides the guard. Where others use it too, it is closed.
//! - Splitting a rule for all protocols keeps TCP, UDP and ICMP; other protocols (GRE, ESP) are cut off. The plan says so.
//! - A rule by prefix list goes whole, with the narrow ranges that the list holds besides.
//! - What manages the group puts the rule back: CloudFormation, Terraform, a Kubernetes controller. The record says where
//!   to change it for good, as far as the group's tags tell.
//! - A group of another account (a shared VPC) is left alone and reported, and so is a rule for forbidden ports whose
//!   prefix list cannot be read.
//!
//! ## Undo
//! Makes the very rules again, with their descriptions and tags, and revokes what a split made. They have new rule ids.
//! Tags that only AWS can set are not given back. An undo opens the group again.
//!
//! ## References
//! - <https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html>
//! - <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>
//! - AWS Config `INCOMING_SSH_DISABLED`, `RESTRICTED_INCOMING_TRAFFIC`, `VPC_SG_OPEN_ONLY_TO_AUTHORIZED_PORTS`,
//!   `VPC_SG_PORT_RESTRICTION_CHECK`; Security Hub EC2.13, EC2.14, EC2.18, EC2.19, EC2.53, EC2.54
//! - 45 CFR 164.308(a)(1)(ii)(B), 164.308(a)(3)(i), 164.308(a)(3)(ii)(B), 164.308(a)(4)(i), 164.308(a)(4)(ii)(A),
//!   164.308(a)(4)(ii)(B), 164.308(a)(4)(ii)(C), 164.312(a)(1), 164.312(e)(1)

mod announced;
mod asked;
mod cloud;
mod opening;
mod parameters;
mod ports;
mod says;
mod world;

pub use cloud::Ec2;
pub use opening::{Lists, Policy, Source};
pub use parameters::{Parameters, WideRanges};
pub use ports::Ports;
pub use world::Reach;

use ec2::{Group, Peer, Rule, SecurityGroupId, Traffic, Users};
use remediation::{About, ApiCall, Control, Hindrance, Risk, Safety, Scope, Watch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many rules one write is about. A group's quota is 60, at most 1000.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>
const AT_ONCE: usize = 100;
/// How many rules of each address family a group may have for who comes in, unless its account was given more.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>
const QUOTA: usize = 60;

/// The control; see the crate's page.
#[derive(Debug)]
pub struct OpenSecurityGroup;

/// What was read of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The group.
    pub group: Group,
    /// The account that it belongs to, if it is not the one that we look after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<String>,
    /// Its ingress rules, less those for other groups, in the order of their traffic.
    pub rules: Vec<Rule>,
    /// What no rule may open to whom: the operator's choice, and the Config rule's that fired.
    pub policy: Policy,
    /// What to do about rules that cover more than what is forbidden: the operator's choice.
    pub wide_ranges: WideRanges,
    /// What the prefix lists hold that rules for forbidden ports name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: Lists,
    /// Who uses the group; read only if there is something to close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
}

impl State {
    /// The rules that open to the world what may not be open to it.
    fn offending(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| self.policy.forbids(&rule.traffic, &self.lists))
    }

    /// The rules for forbidden ports of which it cannot be told whom they let in.
    fn unclear(&self) -> impl Iterator<Item = &Rule> {
        let unclear = |rule: &&Rule| {
            self.policy.minds(&rule.traffic) && self.policy.source(&rule.traffic.peer, &self.lists) == Source::Unknown
        };
        self.rules.iter().filter(unclear)
    }

    /// The rules to make for what may stay of those that go; none if the operator wants them to go whole. Where the group
    /// has no room for all of them, those that let somebody in on 80 or 443: better closed too far than not at all.
    fn pieces(&self) -> Vec<Rule> {
        let mut pieces: Vec<Rule> = Vec::new();
        if self.wide_ranges == WideRanges::Revoke {
            return pieces;
        }
        for rule in self.offending().flat_map(|rule| self.policy.rest(rule, &self.lists)) {
            if !self.has(&rule.traffic) && !pieces.iter().any(|there| there.traffic == rule.traffic) {
                pieces.push(rule);
            }
        }
        if !self.has_room_for(&pieces) {
            pieces.retain(|rule| says::is_web(&rule.traffic));
        }
        if self.has_room_for(&pieces) { pieces } else { vec![] }
    }

    /// Whether these rules fit beside those that are there.
    fn has_room_for(&self, more: &[Rule]) -> bool {
        let all = || self.rules.iter().chain(more).map(|rule| &rule.traffic.peer);
        let v4 = all().filter(|peer| !matches!(peer, Peer::CidrIpv6(_))).count();
        let v6 = all().filter(|peer| !matches!(peer, Peer::CidrIpv4(_))).count();
        v4.max(v6) <= QUOTA
    }

    fn has(&self, traffic: &Traffic) -> bool {
        self.rules.iter().any(|rule| rule.traffic == *traffic)
    }

    /// Whether there is something that we can close.
    fn drifted(&self) -> bool {
        self.foreign.is_none() && self.offending().next().is_some()
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `RevokeSecurityGroupIngress` of these rules, by their ids.
    Revoke(Vec<Rule>),
    /// `AuthorizeSecurityGroupIngress` of these rules, which have the same tags.
    Authorize(Vec<Rule>),
}

impl Control for OpenSecurityGroup {
    const ABOUT: About = About {
        id: "ec2-open-security-group",
        title: "closes what a security group opens to the world",
        never: "touch a rule for anybody in particular",
        resource_type: "AWS::EC2::SecurityGroup",
        also: &[],
        scope: Scope::Regional,
        names_account: false,
        safety: Safety::Reversible,
        exposes: true,
        observes_with: &[
            "config:DescribeConfigRules",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
            "ec2:GetManagedPrefixListEntries",
        ],
        tags_with: &["ec2:DescribeSecurityGroups"],
        lists_with: &["ec2:DescribeSecurityGroups"],
        fixes_with: &["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:RevokeSecurityGroupIngress"],
        undoes_with: &["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:RevokeSecurityGroupIngress"],
        allowed_on: &[
            // The rules themselves only where they are made with tags.
            ("ec2:AuthorizeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
            ("ec2:AuthorizeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group-rule/*"),
            ("ec2:CreateTags", "arn:${AWS::Partition}:ec2:*:*:security-group-rule/*"),
            ("ec2:GetManagedPrefixListEntries", "arn:${AWS::Partition}:ec2:*:*:prefix-list/*"),
            ("ec2:RevokeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
        ],
        watches: &[Watch {
            source: "aws.ec2",
            event_source: "ec2.amazonaws.com",
            events: &["AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"],
        }],
        incidents: &[],
        action: None,
        config_rules: &[
            "INCOMING_SSH_DISABLED",
            "RESTRICTED_INCOMING_TRAFFIC",
            "VPC_SG_OPEN_ONLY_TO_AUTHORIZED_PORTS",
            "VPC_SG_PORT_RESTRICTION_CHECK",
        ],
        security_hub: &["EC2.13", "EC2.14", "EC2.18", "EC2.19", "EC2.53", "EC2.54"],
        citations: &[
            "45 CFR 164.308(a)(1)(ii)(B)",
            "45 CFR 164.308(a)(3)(i)",
            "45 CFR 164.308(a)(3)(ii)(B)",
            "45 CFR 164.308(a)(4)(i)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.308(a)(4)(ii)(B)",
            "45 CFR 164.308(a)(4)(ii)(C)",
            "45 CFR 164.312(a)(1)",
            "45 CFR 164.312(e)(1)",
        ],
        sweeps: Some("rate(1 day)"),
        settings: parameters::SETTINGS,
    };

    type Target = SecurityGroupId;
    type Parameters = Parameters;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<SecurityGroupId, String> {
        SecurityGroupId::parse(name)
    }

    fn announces_drift(call: &ApiCall) -> bool {
        announced::drift(call)
    }

    fn desired(state: &State) -> State {
        if !state.drifted() {
            return state.clone();
        }
        let forbidden = |rule: &Rule| state.policy.forbids(&rule.traffic, &state.lists);
        let mut rules: Vec<Rule> = state.rules.iter().filter(|rule| !forbidden(rule)).cloned().collect();
        let pieces = state.pieces();
        if !pieces.is_empty() {
            rules.extend(pieces);
            rules.sort_by(|a, b| a.traffic.cmp(&b.traffic));
        }
        State { rules, ..state.clone() }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        let missing = to.rules.iter().filter(|rule| !from.has(&rule.traffic)).cloned();
        let surplus: Vec<Rule> = from.rules.iter().filter(|rule| !to.has(&rule.traffic)).cloned().collect();
        // One call gives all its rules the same tags.
        let mut by_tags: BTreeMap<BTreeMap<String, String>, Vec<Rule>> = BTreeMap::new();
        for rule in missing {
            by_tags.entry(rule.tags.clone()).or_default().push(rule);
        }
        // First what is to be there, then away with what is not: what both let through is not interrupted.
        let made =
            by_tags.values().flat_map(|rules| rules.chunks(AT_ONCE)).map(|rules| Change::Authorize(rules.to_vec()));
        made.chain(surplus.chunks(AT_ONCE).map(|rules| Change::Revoke(rules.to_vec()))).collect()
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        says::risks(from, to)
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        says::hindrance(state)
    }

    fn notes(state: &State) -> Vec<String> {
        says::notes(state)
    }
}

#[cfg(test)]
mod tests;
