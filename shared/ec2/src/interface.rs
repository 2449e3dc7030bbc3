//! Network interfaces: who is behind a security group.

use crate::ids::{InstanceId, InterfaceId, SecurityGroupId, VpcId};
use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A network interface, as far as a control must know it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its id.
    pub id: InterfaceId,
    /// What it belongs to.
    pub kind: Kind,
    /// Its VPC.
    pub vpc: Option<VpcId>,
    /// The instance that it is attached to.
    pub instance: Option<InstanceId>,
    /// Its security groups, in EC2's order.
    pub groups: Vec<SecurityGroupId>,
    /// An AWS service made it and manages it: nobody else can change it.
    pub managed: bool,
    /// It has a public IPv4 address, or any IPv6 address and no wall before it.
    pub public: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What an interface belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An EC2 instance.
    Instance,
    /// An Application or Classic Load Balancer.
    LoadBalancer,
    /// A Network Load Balancer.
    NetworkLoadBalancer,
    /// An RDS, Aurora, Redshift or other database.
    Database,
    /// An ElastiCache or MemoryDB cache.
    Cache,
    /// An EFS mount target or another file system.
    FileSystem,
    /// Lambda functions in a VPC.
    Lambda,
    /// An EKS control plane, or pods with interfaces of their own.
    Kubernetes,
    /// An ECS or Fargate task.
    Task,
    /// A VPC endpoint or an EC2 Instance Connect endpoint.
    Endpoint,
    /// A NAT, transit or Gateway Load Balancer gateway.
    Gateway,
    /// Attached to nothing.
    Unattached,
    /// Another AWS service's, or one that cannot be told.
    Other,
}

impl fmt::Display for Kind {
    /// In the plural, for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instance => "instances",
            Self::LoadBalancer => "load balancers",
            Self::NetworkLoadBalancer => "network load balancers",
            Self::Database => "databases",
            Self::Cache => "caches",
            Self::FileSystem => "file systems",
            Self::Lambda => "Lambda functions",
            Self::Kubernetes => "Kubernetes",
            Self::Task => "containers",
            Self::Endpoint => "endpoints",
            Self::Gateway => "gateways",
            Self::Unattached => "unattached interfaces",
            Self::Other => "other services",
        })
    }
}

impl Interface {
    /// The interface as EC2 describes it; none if it has no id, or none that EC2 gives.
    pub fn read(interface: &NetworkInterface) -> Option<Self> {
        let attachment = interface.attachment.as_ref();
        let tag = |tag: &aws_sdk_ec2::types::Tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()));
        let public =
            interface.association.as_ref().is_some_and(|association| association.public_ip.is_some())
                || interface.private_ip_addresses.iter().flatten().any(|address| {
                    address.association.as_ref().is_some_and(|association| association.public_ip.is_some())
                })
                || (interface.ipv6_addresses.as_ref().is_some_and(|addresses| !addresses.is_empty())
                    && interface.deny_all_igw_traffic != Some(true));
        Some(Self {
            id: InterfaceId::parse(interface.network_interface_id.as_deref()?).ok()?,
            kind: kind(interface),
            vpc: interface.vpc_id.as_deref().and_then(|id| VpcId::parse(id).ok()),
            instance: attachment
                .and_then(|attachment| attachment.instance_id.as_deref())
                .and_then(|id| InstanceId::parse(id).ok()),
            groups: interface
                .groups
                .iter()
                .flatten()
                .filter_map(|group| SecurityGroupId::parse(group.group_id.as_deref()?).ok())
                .collect(),
            managed: interface.requester_managed == Some(true)
                || interface.operator.as_ref().is_some_and(|operator| operator.managed == Some(true)),
            public,
            tags: interface.tag_set.iter().flatten().filter_map(tag).collect(),
        })
    }
}

/// What an interface belongs to, by its type, then by who asked for it and by the description that services give theirs.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/requester-managed-eni.html>
fn kind(interface: &NetworkInterface) -> Kind {
    let description = interface.description.as_deref().unwrap_or_default();
    let requester = interface.requester_id.as_deref().unwrap_or_default();
    let begins = |texts: &[&str]| texts.iter().any(|text| description.starts_with(text));
    // Types newer than the SDK come as their text.
    match interface.interface_type.as_ref().map(NetworkInterfaceType::as_str) {
        Some("lambda") => return Kind::Lambda,
        Some("efs") => return Kind::FileSystem,
        Some("load_balancer") => return Kind::LoadBalancer,
        Some("network_load_balancer") => return Kind::NetworkLoadBalancer,
        Some("branch" | "trunk") => return Kind::Kubernetes,
        Some("vpc_endpoint" | "ec2_instance_connect_endpoint" | "gateway_load_balancer_endpoint") => {
            return Kind::Endpoint;
        }
        Some("nat_gateway" | "natGateway" | "transit_gateway" | "gateway_load_balancer") => return Kind::Gateway,
        _ => {}
    }
    if begins(&["ELB net/"]) {
        Kind::NetworkLoadBalancer
    } else if requester == "amazon-elb" || begins(&["ELB "]) {
        Kind::LoadBalancer
    } else if begins(&["RDSNetworkInterface", "RedshiftNetworkInterface", "DMSNetworkInterface"])
        || matches!(requester, "amazon-rds" | "amazon-redshift")
    {
        Kind::Database
    } else if requester == "amazon-elasticache" || begins(&["ElastiCache"]) {
        Kind::Cache
    } else if begins(&["EFS mount target"]) {
        Kind::FileSystem
    } else if begins(&["AWS Lambda VPC ENI"]) {
        Kind::Lambda
    } else if begins(&["Amazon EKS", "aws-K8S-"]) {
        Kind::Kubernetes
    } else if begins(&["arn:aws:ecs:", "arn:aws-us-gov:ecs:", "arn:aws-cn:ecs:"]) {
        Kind::Task
    } else if begins(&["VPC Endpoint Interface"]) {
        Kind::Endpoint
    } else {
        match &interface.attachment {
            Some(attachment) if attachment.instance_id.is_some() => Kind::Instance,
            None if interface.requester_managed != Some(true) => Kind::Unattached,
            _ => Kind::Other,
        }
    }
}

/// Who uses a security group, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// How many interfaces of each kind.
    pub kinds: BTreeMap<Kind, usize>,
    /// How many interfaces can be reached from outside: they have a public address.
    pub public: usize,
    /// There are more than were counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Users {
    /// Counts interfaces; `more` if there are others besides.
    pub fn count(interfaces: &[Interface], more: bool) -> Self {
        let mut users = Self { more, ..Self::default() };
        for interface in interfaces {
            *users.kinds.entry(interface.kind).or_default() += 1;
            users.public += usize::from(interface.public);
        }
        users
    }

    /// How many interfaces there are, at least.
    pub fn total(&self) -> usize {
        self.kinds.values().sum()
    }
}

impl fmt::Display for Users {
    /// `3 interfaces (instances 2, databases 1)`, for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let least = if self.more { "more than " } else { "" };
        write!(f, "{least}{total} interface{}", if total == 1 && !self.more { "" } else { "s" })?;
        for (index, (kind, number)) in self.kinds.iter().enumerate() {
            write!(f, "{}{kind} {number}", if index == 0 { " (" } else { ", " })?;
        }
        if self.kinds.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

#[cfg(test)]
#[path = "interface_tests.rs"]
mod tests;
