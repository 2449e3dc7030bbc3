//! A security group, less its rules.

use aws_sdk_ec2::types::SecurityGroup;
use remediation::AccountId;
use serde::{Deserialize, Serialize};

/// The name that every VPC's own group has; no other group of a VPC can have it.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html>
const DEFAULT: &str = "default";

/// A security group, as far as controls must know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id, which a VPC's default group is not asked for by.
    pub id: crate::SecurityGroupId,
    /// Its name.
    pub name: String,
    /// Its VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// The account that it belongs to: not always ours, since groups can be shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who will put back what is changed here, as far as the group's tags tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keepers: Vec<Keeper>,
}

/// Something that manages a security group and may put back what was taken out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// The CloudFormation stack of this name.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>
    CloudFormation(String),
    /// A Kubernetes cluster's cloud controller; the cluster's name.
    Kubernetes(String),
    /// The AWS Load Balancer Controller of this cluster.
    /// <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/>
    LoadBalancerController(String),
    /// Terraform, by the tag that teams use to say so; its value.
    Terraform(String),
}

impl Keeper {
    /// Where to change it for good, for a person.
    pub fn advice(&self) -> String {
        let shown = |text: &str| remediation::shown(text);
        match self {
            Self::CloudFormation(stack) => format!(
                "the group belongs to the CloudFormation stack {}: change its template too, or the next update puts it back",
                shown(stack)
            ),
            Self::Kubernetes(cluster) => format!(
                "the group belongs to the Kubernetes cluster {}: its controller puts rules back from the Service that asks \
                 for them (loadBalancerSourceRanges); change that too",
                shown(cluster)
            ),
            Self::LoadBalancerController(cluster) => format!(
                "the group belongs to the AWS Load Balancer Controller of cluster {}: it puts rules back from the Ingress or \
                 Service that asks for them (inbound-cidrs); change that too",
                shown(cluster)
            ),
            Self::Terraform(value) => format!(
                "the group says that Terraform manages it ({}): change its configuration too, or the next apply puts it back",
                shown(value)
            ),
        }
    }

    fn read(key: &str, value: &str) -> Option<Self> {
        let value = || value.to_owned();
        match key {
            "aws:cloudformation:stack-name" => Some(Self::CloudFormation(value())),
            "elbv2.k8s.aws/cluster" => Some(Self::LoadBalancerController(value())),
            "aws:eks:cluster-name" => Some(Self::Kubernetes(value())),
            _ => {
                if let Some(cluster) = key.strip_prefix("kubernetes.io/cluster/") {
                    return Some(Self::Kubernetes(cluster.to_owned()));
                }
                let by = matches!(
                    key.to_ascii_lowercase().as_str(),
                    "managedby" | "managed-by" | "managed_by" | "provisioner" | "createdby" | "created-by" | "iac"
                ) && value().to_ascii_lowercase().contains("terraform");
                let named = key.eq_ignore_ascii_case("terraform") && !value().eq_ignore_ascii_case("false");
                (by || named).then(|| Self::Terraform(value()))
            }
        }
    }
}

impl Group {
    /// None if the group has no id, or none that EC2 gives.
    pub(crate) fn read(group: &SecurityGroup) -> Option<Self> {
        let keeper = |tag: &aws_sdk_ec2::types::Tag| Keeper::read(tag.key()?, tag.value().unwrap_or_default());
        Some(Self {
            id: crate::SecurityGroupId::parse(group.group_id.as_deref()?).ok()?,
            name: group.group_name.clone().unwrap_or_default(),
            vpc: group.vpc_id.clone(),
            owner: group.owner_id.clone(),
            keepers: group.tags.iter().flatten().filter_map(keeper).collect(),
        })
    }

    /// Whether it is its VPC's default group, which nobody can delete and which what names no group gets.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT
    }

    /// The account that it belongs to, if that is not this one.
    pub fn foreign_owner(&self, account: &AccountId) -> Option<&str> {
        self.owner.as_deref().filter(|owner| *owner != account.as_str())
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
