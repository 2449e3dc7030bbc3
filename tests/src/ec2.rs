//! Security groups, and an account's EBS defaults, for the tests of their controls.

use crate::{HOME, event, fresh};
use lab::http::ApiResponse;
use lab::{Client, Lab};
use serde_json::Value;
use std::collections::BTreeMap;

/// The function that closes what a group opens to the world.
pub const OPEN: &str = "ec2-open-security-group";
/// The function that empties default groups.
pub const DEFAULT: &str = "ec2-default-security-group";
/// The function that encrypts new volumes.
pub const EBS: &str = "ebs-unencrypted-default";
/// The function that cuts off a group or an instance.
pub const QUARANTINE: &str = "ec2-quarantine-security-group";
/// The group of every example in `events/`.
const EXAMPLE: &str = "sg-0123456789abcdef0";

/// One `IpPermission`: protocol, ports, sources.
///
/// Ports are `22`, `0-65535`, or nothing for none. A source is a range, a prefix list or a group, with a description
/// behind a space: `203.0.113.0/24 the office`.
pub type Permission<'a> = (&'a str, &'a str, &'a [&'a str]);

/// SSH for the world, in the one call that most intruders and careless people make.
pub const SSH: Permission<'static> = ("tcp", "22", &["0.0.0.0/0"]);

/// A call that must succeed, with parameters as they are on the wire.
pub async fn call(client: &Client, operation: &str, parameters: &[(&str, &str)]) -> ApiResponse {
    client.must_query("ec2", operation, parameters).await.unwrap()
}

/// The first text of this element in an answer.
pub fn first(answer: &ApiResponse, element: &str) -> String {
    let text = || String::from_utf8_lossy(&answer.body).into_owned();
    answer.texts(element).first().cloned().unwrap_or_else(|| panic!("{element} in {}", text()))
}

/// A new VPC.
pub async fn vpc(client: &Client) -> String {
    first(&call(client, "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).await, "vpcId")
}

/// The default group of a VPC.
pub async fn default_group(client: &Client, vpc: &str) -> String {
    let filters = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", vpc),
        ("Filter.2.Name", "group-name"),
        ("Filter.2.Value.1", "default"),
    ];
    let answer = call(client, "DescribeSecurityGroups", &filters).await;
    answer.rows("securityGroupInfo", ["groupName", "groupId"])[0][1].split(',').next().unwrap().to_owned()
}

/// A new group that nobody saw made, in the default VPC, with these permissions for who comes in.
pub async fn group(lab: &Lab, permissions: &[Permission<'_>]) -> String {
    group_in(&lab.quiet_client(HOME), None, permissions).await
}

/// The same in another place.
pub async fn group_in(client: &Client, vpc: Option<&str>, permissions: &[Permission<'_>]) -> String {
    let name = fresh("clinic");
    let mut parameters = vec![("GroupName", name.as_str()), ("GroupDescription", "of the clinic")];
    parameters.extend(vpc.map(|vpc| ("VpcId", vpc)));
    let id = first(&call(client, "CreateSecurityGroup", &parameters).await, "groupId");
    authorize(client, "Ingress", &id, permissions, &[]).await;
    id
}

/// Adds rules, `Ingress` or `Egress`, all with these tags.
pub async fn authorize(client: &Client, way: &str, group: &str, permissions: &[Permission<'_>], tags: &[(&str, &str)]) {
    if permissions.is_empty() {
        return;
    }
    let mut all = vec![("GroupId".to_owned(), group.to_owned())];
    all.extend(wire(permissions));
    if !tags.is_empty() {
        all.push(("TagSpecification.1.ResourceType".to_owned(), "security-group-rule".to_owned()));
    }
    for (at, (key, value)) in tags.iter().enumerate() {
        all.push((format!("TagSpecification.1.Tag.{}.Key", at + 1), (*key).to_owned()));
        all.push((format!("TagSpecification.1.Tag.{}.Value", at + 1), (*value).to_owned()));
    }
    let parameters: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    call(client, &format!("AuthorizeSecurityGroup{way}"), &parameters).await;
}

/// Permissions as they are on the wire.
pub fn wire(permissions: &[Permission<'_>]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (at, (protocol, ports, sources)) in permissions.iter().enumerate() {
        let at = format!("IpPermissions.{}", at + 1);
        all.push((format!("{at}.IpProtocol"), (*protocol).to_owned()));
        if !ports.is_empty() {
            let (from, to) = ports.split_once('-').filter(|_| !ports.starts_with('-')).unwrap_or((ports, ports));
            all.push((format!("{at}.FromPort"), from.to_owned()));
            all.push((format!("{at}.ToPort"), to.to_owned()));
        }
        let mut numbers = BTreeMap::from([("IpRanges", 0), ("Ipv6Ranges", 0), ("PrefixListIds", 0), ("Groups", 0)]);
        for source in *sources {
            let (source, description) = source.split_once(' ').unwrap_or((source, ""));
            let (list, field) = match source {
                list if list.starts_with("pl-") => ("PrefixListIds", "PrefixListId"),
                group if group.starts_with("sg-") => ("Groups", "GroupId"),
                range if range.contains(':') => ("Ipv6Ranges", "CidrIpv6"),
                _ => ("IpRanges", "CidrIp"),
            };
            let number = numbers.get_mut(list).unwrap();
            *number += 1;
            let at = format!("{at}.{list}.{number}");
            all.push((format!("{at}.{field}"), source.to_owned()));
            if !description.is_empty() {
                all.push((format!("{at}.Description"), description.to_owned()));
            }
        }
    }
    all
}

/// One rule as it was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// `in tcp 22 from 203.0.113.0/24 (the office) owner=ward-7`; a group that names itself is `itself`.
    pub says: String,
    /// Its id.
    pub id: String,
}

/// The rules of a group, read independently of any function, in order.
pub async fn rules(client: &Client, group: &str) -> Vec<Rule> {
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
    let answer = call(client, "DescribeSecurityGroupRules", &filter).await;
    let fields = [
        "securityGroupRuleId",
        "isEgress",
        "ipProtocol",
        "fromPort",
        "toPort",
        "cidrIpv4",
        "cidrIpv6",
        "prefixListId",
        "groupId",
        "description",
        "key",
        "value",
    ];
    let rows = answer.rows("securityGroupRuleSet", fields);
    let mut rules: Vec<_> = rows.into_iter().map(|row| said(group, row)).collect();
    rules.sort();
    rules
}

fn said(group: &str, row: [String; 12]) -> Rule {
    let [id, egress, protocol, from, to, v4, v6, list, groups, description, keys, values] = row;
    let (way, preposition) = if egress == "true" { ("out", "to") } else { ("in", "from") };
    let ports = match (from.as_str(), to.as_str()) {
        ("-1", "-1") => String::new(),
        (from, to) if from == to => format!(" {from}"),
        (from, to) => format!(" {from}-{to}"),
    };
    let other = groups.split(',').nth(1).map(|other| if other == group { "itself" } else { other });
    let peer = [v4.as_str(), v6.as_str(), list.as_str(), other.unwrap_or_default()].concat();
    let description = if description.is_empty() { String::new() } else { format!(" ({description})") };
    let tags = keys.split(',').zip(values.split(',')).filter(|(key, _)| !key.is_empty());
    let tags: Vec<_> = tags.map(|(key, value)| format!(" {key}={value}")).collect();
    Rule { says: format!("{way} {protocol}{ports} {preposition} {peer}{description}{}", tags.concat()), id }
}

/// What the rules of a group say, without what goes out, which every group of one's own starts with.
pub async fn ingress(lab: &Lab, group: &str) -> Vec<String> {
    let rules = rules(&lab.quiet_client(HOME), group).await;
    rules.into_iter().map(|rule| rule.says).filter(|says| says.starts_with("in ")).collect()
}

/// What all the rules of a group say.
pub async fn everything(lab: &Lab, group: &str) -> Vec<String> {
    rules(&lab.quiet_client(HOME), group).await.into_iter().map(|rule| rule.says).collect()
}

/// A prefix list of these ranges.
pub async fn prefix_list(client: &Client, family: &str, ranges: &[&str]) -> String {
    let name = fresh("partners");
    let names: Vec<_> = (1..=ranges.len()).map(|at| format!("Entry.{at}.Cidr")).collect();
    let mut parameters = vec![("PrefixListName", name.as_str()), ("MaxEntries", "20"), ("AddressFamily", family)];
    parameters.extend(names.iter().map(String::as_str).zip(ranges.iter().copied()));
    first(&call(client, "CreateManagedPrefixList", &parameters).await, "prefixListId")
}

/// A network interface in this group, attached to nothing, in the group's VPC.
pub async fn interface(client: &Client, group: &str) -> String {
    let there = call(client, "DescribeSecurityGroups", &[("GroupId.1", group)]).await;
    let vpc = first(&there, "vpcId");
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let there = call(client, "DescribeSubnets", &filter).await;
    let subnet = if let Some(subnet) = there.texts("subnetId").first() {
        subnet.clone()
    } else {
        let new = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.1.0/24")];
        first(&call(client, "CreateSubnet", &new).await, "subnetId")
    };
    let parameters = [("SubnetId", subnet.as_str()), ("SecurityGroupId.1", group)];
    first(&call(client, "CreateNetworkInterface", &parameters).await, "networkInterfaceId")
}

/// A KMS key, by its ARN.
pub async fn key(client: &Client) -> String {
    let key = client.must_json("kms", "CreateKey", &serde_json::json!({})).await.unwrap();
    key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

/// Whether new volumes are encrypted by default, and the default key; read independently of any function.
pub async fn ebs(client: &Client) -> (bool, String) {
    let on = first(&call(client, "GetEbsEncryptionByDefault", &[]).await, "ebsEncryptionByDefault");
    (on == "true", first(&call(client, "GetEbsDefaultKmsKeyId", &[]).await, "kmsKeyId"))
}

/// Sets them.
pub async fn set_ebs(client: &Client, on: bool, key: Option<&str>) {
    match key {
        Some(key) => call(client, "ModifyEbsDefaultKmsKeyId", &[("KmsKeyId", key)]).await,
        None => call(client, "ResetEbsDefaultKmsKeyId", &[]).await,
    };
    let operation = if on { "EnableEbsEncryptionByDefault" } else { "DisableEbsEncryptionByDefault" };
    call(client, operation, &[]).await;
}

/// Gives a function these parameters from now on, as an update of its configuration would.
pub fn parameters(lab: &Lab, function: &str, parameters: &Value) {
    let there = lab.gateway.functions.config(function).unwrap().environment;
    let wanted = parameters.to_string();
    if there.get("SUTURE_PARAMETERS") != Some(&wanted) {
        lab.set(function, &[("SUTURE_PARAMETERS", &wanted)]).unwrap();
    }
}

/// An event of `events/` about this group instead.
pub fn about(function: &str, name: &str, group: &str) -> Value {
    let text = event(function, name).to_string();
    serde_json::from_str(&text.replace(EXAMPLE, group)).unwrap()
}

/// An instance in a VPC of its own, in a group of its own; its id, its interface's and the group's.
pub struct Machine {
    /// Its id.
    pub instance: String,
    /// Its interface.
    pub interface: String,
    /// The interface's group.
    pub group: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
}

/// A new instance that nobody saw started.
pub async fn machine(lab: &Lab) -> Machine {
    let client = lab.quiet_client(HOME);
    let vpc = vpc(&client).await;
    let group = group_in(&client, Some(&vpc), &[SSH]).await;
    let place = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.1.0/24")];
    let subnet = first(&call(&client, "CreateSubnet", &place).await, "subnetId");
    let parameters = [
        ("ImageId", "ami-12c6146b"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet.as_str()),
        ("SecurityGroupId.1", group.as_str()),
    ];
    let run = call(&client, "RunInstances", &parameters).await;
    let (instance, interface) = (first(&run, "instanceId"), first(&run, "networkInterfaceId"));
    Machine { instance, interface, group, vpc, subnet }
}

/// Moves an interface into these groups.
pub async fn set_groups(client: &Client, interface: &str, groups: &[&str]) {
    let names: Vec<_> = (1..=groups.len()).map(|at| format!("SecurityGroupId.{at}")).collect();
    let mut parameters = vec![("NetworkInterfaceId", interface)];
    parameters.extend(names.iter().map(String::as_str).zip(groups.iter().copied()));
    call(client, "ModifyNetworkInterfaceAttribute", &parameters).await;
}

/// The names of the groups that an interface is in and the keys of its tags, both in order; read independently.
pub async fn interface_is(client: &Client, interface: &str) -> (Vec<String>, Vec<String>) {
    let answer = call(client, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", interface)]).await;
    let [groups, keys] = answer.rows("networkInterfaceSet", ["groupName", "key"]).remove(0);
    let sorted = |text: String| {
        let mut all: Vec<_> = text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        all.sort();
        all.dedup();
        all
    };
    (sorted(groups), sorted(keys))
}

/// The groups of a VPC: their names and ids.
pub async fn groups_of(client: &Client, vpc: &str) -> BTreeMap<String, String> {
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc)];
    let answer = call(client, "DescribeSecurityGroups", &filter).await;
    let rows = answer.rows("securityGroupInfo", ["groupName", "groupId"]);
    let first = |text: &str| text.split(',').next().unwrap_or_default().to_owned();
    rows.iter().map(|[name, id]| (first(name), first(id))).collect()
}
