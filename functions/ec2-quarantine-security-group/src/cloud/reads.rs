//! The reads, page by page, and what becomes of their answers.

use crate::state::{Instance, Interface, MARK, Member, OPENING, QUARANTINE};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, InstanceLifecycleType, InstanceStateName, NetworkInterface};
use ec2::{InstanceId, InterfaceId, Rule, SecurityGroupId, VpcId, fault};
use remediation::{AccountId, Fault};
use std::collections::{BTreeMap, BTreeSet};

/// The most that EC2 puts into a page of these listings.
const PAGE: i32 = 1000;
/// Pages after which a listing that never ends is given up.
const PAGES: usize = 100;
/// Interface types that a person makes; every other type is a service's, whatever else the interface says.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html>
const OUR_TYPES: &[&str] = &["interface", "efa", "efa-only", "trunk", "branch"];

fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    let values = values.into_iter().map(str::to_owned).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

fn endless(action: &str) -> Fault {
    Fault::GiveUp(format!("{action}: the listing did not end after {PAGES} pages"))
}

/// The interfaces that a filter finds. Needs `ec2:DescribeNetworkInterfaces`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>
pub async fn described(client: &Client, name: &str, value: &str) -> Result<Vec<NetworkInterface>, Fault> {
    let action = "ec2:DescribeNetworkInterfaces";
    let call = client.describe_network_interfaces().filters(filter(name, [value])).max_results(PAGE);
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..PAGES {
        let sent = call.clone().set_next_token(after).send().await;
        let page = sent.map_err(|error| fault(&error, action, &value))?;
        all.extend(page.network_interfaces.unwrap_or_default());
        after = page.next_token.filter(|token| !token.is_empty());
        if after.is_none() {
            return Ok(all);
        }
    }
    Err(endless(action))
}

/// A group, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: SecurityGroupId,
    /// Its name.
    pub name: String,
    /// Its VPC.
    pub vpc: VpcId,
}

/// The account's groups of these names (`*` stands for anything), in one VPC or all. Needs
/// `ec2:DescribeSecurityGroups`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
pub async fn groups(
    client: &Client,
    account: &AccountId,
    names: &[&str],
    vpc: Option<&VpcId>,
) -> Result<Vec<Named>, Fault> {
    let action = "ec2:DescribeSecurityGroups";
    let mut call = client.describe_security_groups().max_results(PAGE);
    call = call.filters(filter("owner-id", [account.as_str()])).filters(filter("group-name", names.iter().copied()));
    if let Some(vpc) = vpc {
        call = call.filters(filter("vpc-id", [vpc.as_str()]));
    }
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..PAGES {
        let sent = call.clone().set_next_token(after).send().await;
        let page = sent.map_err(|error| fault(&error, action, &format_args!("account {account}")))?;
        all.extend(page.security_groups.unwrap_or_default().into_iter().filter_map(|group| {
            Some(Named {
                id: SecurityGroupId::parse(group.group_id.as_deref()?).ok()?,
                name: group.group_name?,
                vpc: VpcId::parse(group.vpc_id.as_deref()?).ok()?,
            })
        }));
        after = page.next_token.filter(|token| !token.is_empty());
        if after.is_none() {
            return Ok(all);
        }
    }
    Err(endless(action))
}

/// Which of these groups exist; no call if there are none to ask about. Needs `ec2:DescribeSecurityGroups`.
pub async fn existing(
    client: &Client,
    account: &AccountId,
    ids: &BTreeSet<SecurityGroupId>,
) -> Result<BTreeSet<SecurityGroupId>, Fault> {
    let mut there = BTreeSet::new();
    let ids: Vec<&str> = ids.iter().map(SecurityGroupId::as_str).collect();
    // A filter, not the parameter: that one fails if a single group is gone. It takes 200 values.
    for ids in ids.chunks(200) {
        let call = client.describe_security_groups().filters(filter("group-id", ids.iter().copied()));
        let sent = call.max_results(PAGE).send().await;
        let resource = format_args!("account {account}");
        let page = sent.map_err(|error| fault(&error, "ec2:DescribeSecurityGroups", &resource))?;
        let found = page.security_groups.unwrap_or_default();
        there.extend(found.iter().filter_map(|group| SecurityGroupId::parse(group.group_id.as_deref()?).ok()));
    }
    Ok(there)
}

/// The rules of a group of ours, by their traffic in order. Rules for all traffic are without ports, however EC2
/// writes them.
pub async fn of_ours(client: &Client, id: &SecurityGroupId) -> Result<Vec<Rule>, Fault> {
    let mut rules = ec2::rules(client, id).await?;
    for rule in rules.iter_mut().filter(|rule| rule.traffic.protocol == "-1") {
        (rule.traffic.from_port, rule.traffic.to_port) = (None, None);
    }
    rules.sort_by(|a, b| a.traffic.cmp(&b.traffic));
    Ok(rules)
}

/// What a person should know of these instances; without those that are terminated or gone, and no call if there are
/// none to ask about. Needs `ec2:DescribeInstances`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
pub async fn instances(client: &Client, ids: &[InstanceId]) -> Result<BTreeMap<InstanceId, Instance>, Fault> {
    let action = "ec2:DescribeInstances";
    let mut all = BTreeMap::new();
    for ids in ids.chunks(100) {
        let names = ids.iter().map(InstanceId::as_str);
        let call = client.describe_instances().filters(filter("instance-id", names)).max_results(PAGE);
        let sent = call.send().await;
        let first = ids.first().map(InstanceId::as_str).unwrap_or_default();
        let page = sent.map_err(|error| fault(&error, action, &first))?;
        let found = page.reservations.unwrap_or_default().into_iter().flat_map(|it| it.instances.unwrap_or_default());
        for instance in found {
            let state = instance.state.as_ref().and_then(|state| state.name.clone());
            let Some(Ok(id)) = instance.instance_id.as_deref().map(InstanceId::parse) else { continue };
            if state == Some(InstanceStateName::Terminated) {
                continue;
            }
            let mut about = Instance {
                spot: instance.instance_lifecycle == Some(InstanceLifecycleType::Spot),
                ..Instance::default()
            };
            for tag in instance.tags.iter().flatten() {
                let (key, value) = (tag.key().unwrap_or_default(), tag.value().unwrap_or_default().to_owned());
                match key.strip_prefix("kubernetes.io/cluster/") {
                    Some(cluster) => about.cluster = Some(cluster.to_owned()),
                    None if key == "aws:eks:cluster-name" => about.cluster = Some(value),
                    None if key == "aws:autoscaling:groupName" => about.auto_scaling_group = Some(value),
                    None => {}
                }
            }
            all.insert(id, about);
        }
    }
    Ok(all)
}

/// Interfaces as the state has them.
pub fn interfaces(found: &[NetworkInterface], account: &AccountId, ours: &[Named]) -> BTreeMap<InterfaceId, Interface> {
    let mut all = BTreeMap::new();
    for raw in found {
        let Some(interface) = ec2::Interface::read(raw) else { continue };
        let Some(vpc) = interface.vpc else { continue };
        let member = |id: SecurityGroupId| match ours.iter().find(|group| group.id == id) {
            Some(group) if group.name == QUARANTINE => Member::Quarantine,
            Some(group) if group.name.starts_with(OPENING) => Member::Opening(id),
            _ => Member::Group(id),
        };
        let mut groups: Vec<Member> = interface.groups.into_iter().map(member).collect();
        groups.sort();
        let keys = || interface.tags.keys();
        let marked = keys().filter_map(|key| key.strip_prefix(MARK)?.strip_prefix(':'));
        let mut marked: Vec<SecurityGroupId> = marked.filter_map(|id| SecurityGroupId::parse(id).ok()).collect();
        marked.sort();
        let mark = (!marked.is_empty() || keys().any(|key| key == MARK)).then_some(marked);
        let kind = raw.interface_type.as_ref().map_or("interface", |kind| kind.as_str());
        let owner = raw.owner_id.as_deref().filter(|owner| *owner != account.as_str());
        let held_by = if interface.managed || !OUR_TYPES.contains(&kind) {
            Some(interface.kind.to_string())
        } else {
            owner.map(|owner| format!("account {owner}"))
        };
        let instance = interface.instance;
        all.insert(interface.id, Interface { vpc, groups, mark, instance, held_by });
    }
    all
}
