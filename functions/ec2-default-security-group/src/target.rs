//! Which group is meant.

use ec2::{SecurityGroupId, VpcId};
use remediation::shown;
use std::fmt;

/// A group by its own id, or the default group of a VPC: who makes a VPC names no group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This group.
    Group(SecurityGroupId),
    /// The default group of this VPC.
    DefaultOf(VpcId),
}

impl Target {
    /// Takes the id or the ARN of a security group or of a VPC; otherwise says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let group = SecurityGroupId::parse(text).map(Self::Group);
        group.or_else(|_| VpcId::parse(text).map(Self::DefaultOf)).map_err(|_| {
            let hint = if text.contains("{{") { " (a template that was never filled in?)" } else { "" };
            format!(
                "{} is neither the id of a security group, such as sg-0123456789abcdef0, nor that of a VPC{hint}",
                shown(text)
            )
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => group.fmt(f),
            Self::DefaultOf(vpc) => vpc.fmt(f),
        }
    }
}
