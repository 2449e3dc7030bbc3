//! The tags of what controls are about. They come with the resource's own description, which a control may read anyway:
//! that asks for no further permission, and tells a resource that is gone from one without tags.

use crate::calls::{PAGE, PAGES, endless};
use crate::fault::fault;
use crate::{InstanceId, SecurityGroupId, VpcId};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, SecurityGroup, Tag};
use remediation::Fault;
use std::fmt::Display;

/// A security group's tags, keys and values; none if there is no such group. One call. Needs
/// `ec2:DescribeSecurityGroups`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
pub async fn group_tags(client: &Client, id: &SecurityGroupId) -> Result<Vec<(String, String)>, Fault> {
    let sent = client.describe_security_groups().group_ids(id.as_str()).send().await;
    let answer = sent.map_err(|error| fault(&error, ACTION, &format_args!("security group {id}")));
    let is_it = |group: &SecurityGroup| group.group_id() == Some(id.as_str());
    of_group(answer.map(|answer| answer.security_groups.unwrap_or_default()), is_it)
}

/// The tags of a VPC's default group, not of the VPC: the group is what a control works on, and a sweep names it by its own
/// id. None if there is no such VPC. One call. Needs `ec2:DescribeSecurityGroups`.
pub async fn default_group_tags(client: &Client, vpc: &VpcId) -> Result<Vec<(String, String)>, Fault> {
    let call = client.describe_security_groups().filters(filter("vpc-id", vpc.as_str()));
    let sent = call.filters(filter("group-name", "default")).send().await;
    let answer = sent.map_err(|error| fault(&error, ACTION, &format_args!("vpc {vpc}")));
    let is_it = |group: &SecurityGroup| group.group_name() == Some("default");
    of_group(answer.map(|answer| answer.security_groups.unwrap_or_default()), is_it)
}

/// An instance's tags; none if there is no such instance. One call, or more where EC2 gives an empty page first. Needs
/// `ec2:DescribeInstances`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
pub async fn instance_tags(client: &Client, id: &InstanceId) -> Result<Vec<(String, String)>, Fault> {
    let action = "ec2:DescribeInstances";
    let resource: &dyn Display = &format_args!("instance {id}");
    // A filter, not the parameter: that one fails if the instance is gone.
    let call = client.describe_instances().filters(filter("instance-id", id.as_str())).max_results(PAGE);
    let mut after = None;
    for _ in 0..PAGES {
        let sent = call.clone().set_next_token(after).send().await;
        let page = sent.map_err(|error| fault(&error, action, resource))?;
        let mut found = page.reservations.into_iter().flatten().flat_map(|it| it.instances.unwrap_or_default());
        if let Some(instance) = found.find(|instance| instance.instance_id() == Some(id.as_str())) {
            return Ok(pairs(instance.tags));
        }
        after = page.next_token.filter(|token| !token.is_empty());
        if after.is_none() {
            return Ok(Vec::new());
        }
    }
    Err(endless(action, resource))
}

const ACTION: &str = "ec2:DescribeSecurityGroups";

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn of_group(
    answer: Result<Vec<SecurityGroup>, Fault>,
    is_it: impl Fn(&SecurityGroup) -> bool,
) -> Result<Vec<(String, String)>, Fault> {
    match answer {
        Ok(groups) => Ok(groups.into_iter().find(is_it).map(|group| pairs(group.tags)).unwrap_or_default()),
        Err(Fault::Gone) => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

fn pairs(tags: Option<Vec<Tag>>) -> Vec<(String, String)> {
    tags.into_iter().flatten().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

#[cfg(test)]
#[path = "tags_tests.rs"]
mod tests;
