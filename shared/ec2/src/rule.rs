//! Rules of security groups: one row for each source or destination, as DescribeSecurityGroupRules has them.
//!
//! DescribeSecurityGroups puts many CIDRs under one `IpPermission`; who revokes that revokes the office's range along with
//! the world's.

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, ReferencedSecurityGroup, SecurityGroupRule, UserIdGroupPair,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Which way a rule lets traffic through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the group's interfaces.
    Ingress,
    /// From the group's interfaces.
    Egress,
}

/// One rule: a row of DescribeSecurityGroupRules.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id, `sgr-…`; none for a rule that is yet to be made. A rule that is made again has a new one, so no comparison
    /// that an undo relies on may look at it: see [`Rule::traffic`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The traffic that it lets through.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// The traffic that a rule lets through: what makes two rules the same to EC2, which refuses the second as a duplicate
/// whatever its description and tags are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Traffic {
    /// Which way.
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub protocol: String,
    /// The first port; for ICMP the type. -1 or none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_port: Option<i32>,
    /// The last port; for ICMP the code. -1 or none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<i32>,
    /// Where from, or where to.
    pub peer: Peer,
}

/// The other end of a rule's traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// An IPv4 range in CIDR notation, as EC2 writes it.
    CidrIpv4(String),
    /// An IPv6 range in CIDR notation, as EC2 writes it.
    CidrIpv6(String),
    /// A prefix list: `pl-…`.
    PrefixList(String),
    /// A security group: the interfaces that it is attached to.
    Group(GroupReference),
    /// None of these: a kind of rule that is newer than this program.
    Unknown,
}

/// A security group that a rule names.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReferencedSecurityGroup.html>
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupReference {
    /// The group.
    pub id: String,
    /// Its account, where EC2 names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its VPC, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// The peering connection to that VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peering: Option<String>,
}

impl From<&SecurityGroupRule> for Rule {
    fn from(rule: &SecurityGroupRule) -> Self {
        let tag = |tag: &aws_sdk_ec2::types::Tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()));
        Self {
            id: rule.security_group_rule_id.clone(),
            traffic: Traffic {
                direction: if rule.is_egress == Some(true) { Direction::Egress } else { Direction::Ingress },
                protocol: rule.ip_protocol.clone().unwrap_or_else(|| "-1".to_owned()),
                from_port: rule.from_port,
                to_port: rule.to_port,
                peer: peer(rule),
            },
            description: rule.description.clone().filter(|text| !text.is_empty()),
            tags: rule.tags.iter().flatten().filter_map(tag).collect(),
        }
    }
}

fn peer(rule: &SecurityGroupRule) -> Peer {
    let group = |group: &ReferencedSecurityGroup| {
        Some(Peer::Group(GroupReference {
            id: group.group_id.clone()?,
            account: group.user_id.clone(),
            vpc: group.vpc_id.clone(),
            peering: group.vpc_peering_connection_id.clone(),
        }))
    };
    let v4 = rule.cidr_ipv4.clone().map(Peer::CidrIpv4);
    v4.or_else(|| rule.cidr_ipv6.clone().map(Peer::CidrIpv6))
        .or_else(|| rule.prefix_list_id.clone().map(Peer::PrefixList))
        .or_else(|| rule.referenced_group_info.as_ref().and_then(group))
        .unwrap_or(Peer::Unknown)
}

impl Rule {
    /// The permission that makes this rule again, description and all; its tags go beside it. None if the rule is of a
    /// kind that is newer than this program.
    pub(crate) fn permission(&self) -> Option<IpPermission> {
        let Traffic { protocol, from_port, to_port, peer, .. } = &self.traffic;
        let description = || self.description.clone();
        let permission = IpPermission::builder().ip_protocol(protocol).set_from_port(*from_port).set_to_port(*to_port);
        Some(match peer {
            Peer::CidrIpv4(cidr) => {
                let range = IpRange::builder().cidr_ip(cidr).set_description(description()).build();
                permission.ip_ranges(range).build()
            }
            Peer::CidrIpv6(cidr) => {
                let range = Ipv6Range::builder().cidr_ipv6(cidr).set_description(description()).build();
                permission.ipv6_ranges(range).build()
            }
            Peer::PrefixList(list) => {
                let list = PrefixListId::builder().prefix_list_id(list).set_description(description()).build();
                permission.prefix_list_ids(list).build()
            }
            Peer::Group(group) => {
                // The VPC and the peering follow from the group and its account; EC2 adds them again.
                let pair = UserIdGroupPair::builder()
                    .group_id(&group.id)
                    .set_user_id(group.account.clone())
                    .set_description(description())
                    .build();
                permission.user_id_group_pairs(pair).build()
            }
            Peer::Unknown => return None,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CidrIpv4(peer) | Self::CidrIpv6(peer) | Self::PrefixList(peer) => f.write_str(peer),
            Self::Group(group) => f.write_str(&group.id),
            Self::Unknown => f.write_str("an unknown peer"),
        }
    }
}

impl fmt::Display for Traffic {
    /// `tcp 22 from 0.0.0.0/0`, for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol.as_str() {
            "-1" => f.write_str("all traffic")?,
            protocol => f.write_str(protocol)?,
        }
        match (self.from_port, self.to_port) {
            _ if self.protocol == "-1" => {}
            (None | Some(-1), None | Some(-1)) => {}
            (Some(from), Some(to)) if from == to => write!(f, " {from}")?,
            (Some(from), Some(-1) | None) => write!(f, " {from}")?,
            (from, Some(to)) => write!(f, " {}-{to}", from.unwrap_or_default())?,
        }
        let way = match self.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        write!(f, " {way} {}", self.peer)
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
