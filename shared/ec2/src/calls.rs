//! The reads that several controls make. Each is one API call, or the pages of one.

use crate::fault::fault;
use crate::{Group, InstanceId, Interface, Rule, SecurityGroupId, VpcId};
use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, SecurityGroup};
use remediation::{AccountId, Fault, Page, Region};
use std::cell::RefCell;
use std::collections::HashMap;

/// The most that DescribeSecurityGroups, DescribeSecurityGroupRules, DescribeNetworkInterfaces and DescribeInstances put
/// into a page.
pub(crate) const PAGE: i32 = 1000;
/// The most that GetManagedPrefixListEntries puts into a page.
const LIST_PAGE: i32 = 100;
/// Pages after which a listing that never ends is given up.
pub(crate) const PAGES: usize = 100;

/// EC2, one client for each region that was needed so far; they share connections.
#[derive(Debug)]
pub struct Clients {
    sdk: SdkConfig,
    clients: RefCell<HashMap<Region, Client>>,
}

impl Clients {
    /// EC2 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), clients: RefCell::default() }
    }

    /// The client for a region.
    pub fn at(&self, region: &Region) -> Client {
        let mut clients = self.clients.borrow_mut();
        let connect = || {
            let region = aws_sdk_ec2::config::Region::new(region.to_string());
            Client::from_conf(aws_sdk_ec2::config::Builder::from(&self.sdk).region(region).build())
        };
        clients.entry(region.clone()).or_insert_with(connect).clone()
    }
}

/// The regions that the account has switched on. Needs `ec2:DescribeRegions`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>
pub async fn regions(sdk: &SdkConfig) -> Result<Vec<Region>, Fault> {
    let answer = Client::new(sdk).describe_regions().send().await;
    let answer = answer.map_err(|error| fault(&error, "ec2:DescribeRegions", &"the account's regions"))?;
    let names = answer.regions.unwrap_or_default().into_iter().filter_map(|region| region.region_name);
    Ok(names.filter_map(|name| Region::parse(&name).ok()).collect())
}

/// A security group; none if there is no such group. Needs `ec2:DescribeSecurityGroups`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
pub async fn group(client: &Client, id: &SecurityGroupId) -> Result<Option<Group>, Fault> {
    let sent = client.describe_security_groups().group_ids(id.as_str()).send().await;
    match sent.map_err(|error| fault(&error, "ec2:DescribeSecurityGroups", &format_args!("security group {id}"))) {
        Ok(answer) => {
            Ok(answer.security_groups.unwrap_or_default().iter().filter_map(Group::read).find(|group| group.id == *id))
        }
        Err(Fault::Gone) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The default group of a VPC; none if there is no such VPC. Needs `ec2:DescribeSecurityGroups`.
pub async fn default_group(client: &Client, vpc: &VpcId) -> Result<Option<Group>, Fault> {
    let filter = |name: &str, value: &str| types::Filter::builder().name(name).values(value).build();
    let call = client.describe_security_groups().filters(filter("vpc-id", vpc.as_str()));
    let sent = call.filters(filter("group-name", "default")).send().await;
    match sent.map_err(|error| fault(&error, "ec2:DescribeSecurityGroups", &format_args!("vpc {vpc}"))) {
        Ok(answer) => {
            Ok(answer.security_groups.unwrap_or_default().iter().filter_map(Group::read).find(Group::is_default))
        }
        Err(Fault::Gone) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// All rules of a group, ingress and egress, by their traffic in order; none if there is no such group, which only
/// [`group`] tells from an empty one. Needs `ec2:DescribeSecurityGroupRules`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html>
pub async fn rules(client: &Client, group: &SecurityGroupId) -> Result<Vec<Rule>, Fault> {
    let action = "ec2:DescribeSecurityGroupRules";
    let filter = types::Filter::builder().name("group-id").values(group.as_str()).build();
    let call = client.describe_security_group_rules().filters(filter).max_results(PAGE);
    let (mut rules, mut after): (Vec<Rule>, Option<String>) = (Vec::new(), None);
    for _ in 0..PAGES {
        let sent = call.clone().set_next_token(after).send().await;
        let page = match sent.map_err(|error| fault(&error, action, &format_args!("security group {group}"))) {
            Err(Fault::Gone) => return Ok(Vec::new()),
            page => page?,
        };
        rules.extend(page.security_group_rules.iter().flatten().map(Rule::from));
        after = page.next_token.filter(|token| !token.is_empty());
        if after.is_none() {
            rules.sort_by(|a, b| a.traffic.cmp(&b.traffic).then_with(|| a.id.cmp(&b.id)));
            return Ok(rules);
        }
    }
    Err(endless(action, &format_args!("security group {group}")))
}

/// Which interfaces to read.
#[derive(Clone, Debug)]
pub enum Filter<'a> {
    /// Those that use a group.
    Group(&'a SecurityGroupId),
    /// Those that are attached to an instance.
    Instance(&'a InstanceId),
}

/// What was read of a list that can be long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// What was read.
    pub items: Vec<T>,
    /// There is more, which was not read.
    pub more: bool,
}

/// The interfaces of a group or an instance, also those that services manage and that the account's settings hide
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetManagedResourceVisibility.html>);
/// page by page, until there are at least `enough`. Needs `ec2:DescribeNetworkInterfaces`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>
pub async fn interfaces(client: &Client, of: Filter<'_>, enough: usize) -> Result<Listing<Interface>, Fault> {
    let action = "ec2:DescribeNetworkInterfaces";
    let (name, id) = match &of {
        Filter::Group(id) => ("group-id", id.as_str()),
        Filter::Instance(id) => ("attachment.instance-id", id.as_str()),
    };
    let filter = types::Filter::builder().name(name).values(id).build();
    let call = client.describe_network_interfaces().filters(filter).include_managed_resources(true).max_results(PAGE);
    let (mut items, mut after): (Vec<Interface>, Option<String>) = (Vec::new(), None);
    for _ in 0..PAGES {
        let sent = call.clone().set_next_token(after).send().await;
        let page = sent.map_err(|error| fault(&error, action, &id))?;
        items.extend(page.network_interfaces.iter().flatten().filter_map(Interface::read));
        after = page.next_token.filter(|token| !token.is_empty());
        if after.is_none() || items.len() >= enough {
            return Ok(Listing { items, more: after.is_some() });
        }
    }
    Err(endless(action, &id))
}

/// The CIDRs in a prefix list, as they stand in its newest version; none if the list does not exist or is not shared with
/// us (any more). Needs `ec2:GetManagedPrefixListEntries`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetManagedPrefixListEntries.html>
pub async fn prefix_list(client: &Client, id: &str) -> Result<Option<Vec<String>>, Fault> {
    let action = "ec2:GetManagedPrefixListEntries";
    let call = client.get_managed_prefix_list_entries().prefix_list_id(id).max_results(LIST_PAGE);
    let (mut cidrs, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    for _ in 0..PAGES {
        let sent = call.clone().set_next_token(after).send().await;
        let page = match sent.map_err(|error| fault(&error, action, &format_args!("prefix list {id}"))) {
            Err(Fault::Gone) => return Ok(None),
            page => page?,
        };
        cidrs.extend(page.entries.into_iter().flatten().filter_map(|entry| entry.cidr));
        after = page.next_token.filter(|token| !token.is_empty());
        if after.is_none() {
            return Ok(Some(cidrs));
        }
    }
    Err(endless(action, &format_args!("prefix list {id}")))
}

/// One page of the security groups of the account and region, for a sweep: those that `minds` of the listing itself does
/// not show to be fine. `named` asks only for groups of that name. Needs `ec2:DescribeSecurityGroups`.
pub async fn list(
    client: &Client,
    account: &AccountId,
    named: Option<&str>,
    after: Option<&str>,
    minds: impl Fn(&SecurityGroup) -> bool,
) -> Result<Page<SecurityGroupId>, Fault> {
    let filter = |name: &str, value: &str| types::Filter::builder().name(name).values(value).build();
    let mut call = client.describe_security_groups().max_results(PAGE).filters(filter("owner-id", account.as_str()));
    if let Some(name) = named {
        call = call.filters(filter("group-name", name));
    }
    let sent = call.set_next_token(after.map(str::to_owned)).send().await;
    let resource = format_args!("account {account}");
    let page = sent.map_err(|error| fault(&error, "ec2:DescribeSecurityGroups", &resource))?;
    let groups = page.security_groups.unwrap_or_default();
    let targets = groups.iter().filter(|group| minds(group)).filter_map(Group::read).map(|group| group.id);
    Ok(Page { targets: targets.collect(), next: page.next_token.filter(|token| !token.is_empty()) })
}

pub(crate) fn endless(action: &str, resource: &dyn std::fmt::Display) -> Fault {
    Fault::GiveUp(format!("{action} on {resource}: the listing did not end after {PAGES} pages"))
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
