//! What an operator can set.

use crate::opening::Policy;
use crate::{Ports, asked};
use remediation::{ConfigRule, Kind, Setting};
use serde::{Deserialize, Serialize};

/// Ways into a machine: FTP, SSH, Telnet (20-23), RPC and SMB (135, 139, 445), SNMP (161), RDP (3389), VNC (5900) and
/// WinRM (5985-5986).
const ADMIN: &str = "20-23,135,139,161,445,3389,5900,5985-5986";

/// Ways to data: databases, caches, queues, search, directories and file systems, by the numbers that they have unless
/// somebody changes them. Of Security Hub's EC2.19 list, what is left out is mail and what applications use (25, 110, 143,
/// 3000, 5000, 8080, 8088, 8888): `AuthorizedPorts` closes those. Neither is DNS (53) nor NTP (123) here.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html>
const DATABASE: &str = "88,389,636,1433-1434,1521,2049,2181,2484,3306,4333,5432,5439,5500,5601,6379,7000,8182,9042,9092,\
                        9200,9300,11211,27017-27019";

/// What an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Ports of administration, which are never the world's.
    pub admin_ports: Ports,
    /// Ports of databases and the like, which are never the world's.
    pub database_ports: Ports,
    /// The only ports that may be open to the world; empty for no such rule. Beside it the other two still hold.
    pub authorized_ports: Ports,
    /// An IPv4 source with as many public addresses as a prefix of this length counts as the world.
    pub world_prefix_ipv4: u8,
    /// The same of IPv6.
    pub world_prefix_ipv6: u8,
    /// What to do about a rule that covers more than what is forbidden.
    pub wide_ranges: WideRanges,
}

impl Default for Parameters {
    fn default() -> Self {
        // The texts are ours, and a test reads them.
        let ports = |text| Ports::parse(text).unwrap_or_default();
        Self {
            admin_ports: ports(ADMIN),
            database_ports: ports(DATABASE),
            authorized_ports: Ports::default(),
            // /8 is the widest that one network ever got of IPv4; registries get /12 of IPv6, and give out /19 at most.
            world_prefix_ipv4: 8,
            world_prefix_ipv6: 16,
            wide_ranges: WideRanges::Revoke,
        }
    }
}

/// What to do about a rule that covers more than what is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WideRanges {
    /// Revoke it whole.
    Revoke,
    /// Make rules for what may stay, then revoke it.
    Split,
}

impl Parameters {
    /// What no rule may open to whom, given the Config rule that fired. An error says what of that rule makes no sense.
    pub fn policy(&self, rule: Option<&ConfigRule>) -> Result<Policy, String> {
        let ours = self.admin_ports.or(&self.database_ports);
        let ours = if self.authorized_ports.is_empty() { ours } else { ours.or(&self.authorized_ports.others()) };
        let (tcp, udp) = rule.map(asked::closed).transpose()?.unwrap_or_default();
        Ok(Policy {
            tcp: ours.or(&tcp),
            udp: ours.or(&udp),
            world_ipv4: self.world_prefix_ipv4,
            world_ipv6: self.world_prefix_ipv6,
        })
    }
}

/// Ports and ranges of ports, or nothing.
const PORTS: &str = "^([0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*)?$";

/// The template's parameters.
pub const SETTINGS: &[Setting] = &[
    Setting {
        field: "admin_ports",
        parameter: "AdminPorts",
        description: "TCP and UDP ports of administration that no security group may open to the world: numbers and ranges.",
        kind: Kind::Text(PORTS),
        default: ADMIN,
    },
    Setting {
        field: "database_ports",
        parameter: "DatabasePorts",
        description: "TCP and UDP ports of databases and the like that no security group may open to the world.",
        kind: Kind::Text(PORTS),
        default: DATABASE,
    },
    Setting {
        field: "authorized_ports",
        parameter: "AuthorizedPorts",
        description: "If set, such as 80,443: the only ports that a security group may open to the world.",
        kind: Kind::Text(PORTS),
        default: "",
    },
    Setting {
        field: "world_prefix_ipv4",
        parameter: "WorldPrefixIpv4",
        description: "A source with as many public addresses as an IPv4 prefix of this length counts as the world.",
        kind: Kind::Number(0, 16),
        default: "8",
    },
    Setting {
        field: "world_prefix_ipv6",
        parameter: "WorldPrefixIpv6",
        description: "A source with as many public addresses as an IPv6 prefix of this length counts as the world.",
        kind: Kind::Number(0, 32),
        default: "16",
    },
    Setting {
        field: "wide_ranges",
        parameter: "WideRanges",
        description: "A rule that covers other ports too. revoke: it goes whole. split: the other ports stay open.",
        kind: Kind::Choice(&["revoke", "split"]),
        default: "revoke",
    },
];
