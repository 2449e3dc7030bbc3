//! Reads a security group and makes single writes to it. The only file here that knows the AWS SDK; it decides nothing.

use crate::{Change, Lists, OpenSecurityGroup, Parameters, Policy, Reach, State};
use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{IpPermission, SecurityGroup};
use ec2::{Clients, Direction, Filter, Peer, Rule, SecurityGroupId, Traffic, Users};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use std::collections::BTreeSet;

/// How many interfaces are counted. It is for a person to read, and no decision hangs on the thousandth.
const ENOUGH: usize = 1000;

/// EC2, as this control needs it.
#[derive(Debug)]
pub struct Ec2 {
    clients: Clients,
    parameters: Parameters,
}

impl Ec2 {
    /// EC2 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { clients: Clients::new(sdk), parameters }
    }

    fn policy(&self, occasion: &Occasion) -> Result<Policy, Fault> {
        self.parameters.policy(occasion.rule.as_ref()).map_err(Fault::GiveUp)
    }
}

/// What the prefix lists hold that rules for forbidden ports name.
async fn lists(client: &Client, state: &State) -> Result<Lists, Fault> {
    let named = |rule: &Rule| match &rule.traffic.peer {
        Peer::PrefixList(list) if state.policy.minds(&rule.traffic) => Some(list.clone()),
        _ => None,
    };
    let named: BTreeSet<String> = state.rules.iter().filter_map(named).collect();
    let mut lists = Lists::new();
    for list in named {
        let entries = ec2::prefix_list(client, &list).await?;
        let reach = entries.and_then(|cidrs| Reach::of(cidrs.iter().map(String::as_str)));
        lists.insert(list, reach);
    }
    Ok(lists)
}

async fn users(client: &Client, group: &SecurityGroupId) -> Result<Users, Fault> {
    let interfaces = ec2::interfaces(client, Filter::Group(group), ENOUGH).await?;
    Ok(Users::count(&interfaces.items, interfaces.more))
}

/// The sources of a permission, as the listing has them.
fn traffic(permission: &IpPermission) -> impl Iterator<Item = Traffic> {
    let v4 = permission.ip_ranges().iter().filter_map(|range| range.cidr_ip.clone()).map(Peer::CidrIpv4);
    let v6 = permission.ipv6_ranges().iter().filter_map(|range| range.cidr_ipv6.clone()).map(Peer::CidrIpv6);
    let lists =
        permission.prefix_list_ids().iter().filter_map(|list| list.prefix_list_id.clone()).map(Peer::PrefixList);
    v4.chain(v6).chain(lists).map(|peer| Traffic {
        direction: Direction::Ingress,
        protocol: permission.ip_protocol.clone().unwrap_or_else(|| "-1".to_owned()),
        from_port: permission.from_port,
        to_port: permission.to_port,
        peer,
    })
}

impl Cloud<OpenSecurityGroup> for Ec2 {
    async fn observe(&self, place: &Place<SecurityGroupId>, occasion: &Occasion) -> Result<Option<State>, Fault> {
        let (client, id) = (self.clients.at(&place.region), &place.target);
        let policy = self.policy(occasion)?;
        let (group, mut rules) = tokio::try_join!(ec2::group(&client, id), ec2::rules(&client, id))?;
        let Some(group) = group else { return Ok(None) };
        rules.retain(|rule| {
            rule.traffic.direction == Direction::Ingress && !matches!(rule.traffic.peer, Peer::Group(_))
        });
        let mut state = State {
            foreign: group.foreign_owner(&place.account).map(str::to_owned),
            group,
            rules,
            policy,
            wide_ranges: self.parameters.wide_ranges,
            lists: Lists::new(),
            users: None,
        };
        let first = async { if state.drifted() { users(&client, id).await.map(Some) } else { Ok(None) } };
        let (lists, counted) = tokio::try_join!(lists(&client, &state), first)?;
        state.lists = lists;
        state.users = counted;
        if state.users.is_none() && state.drifted() {
            state.users = Some(users(&client, id).await?);
        }
        Ok(Some(state))
    }

    async fn apply(&self, place: &Place<SecurityGroupId>, change: &Change) -> Result<(), Fault> {
        self.write(place, change, false).await.map(drop)
    }

    async fn rehearse(&self, place: &Place<SecurityGroupId>, change: &Change) -> Result<bool, Fault> {
        self.write(place, change, true).await
    }

    async fn tags(&self, place: &Place<SecurityGroupId>) -> Result<Vec<(String, String)>, Fault> {
        ec2::group_tags(&self.clients.at(&place.region), &place.target).await
    }

    async fn list(
        &self,
        account: &AccountId,
        region: &Region,
        occasion: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<SecurityGroupId>, Fault> {
        let policy = self.policy(occasion)?;
        let none = Lists::new();
        // With no list read yet, a prefix list is unknown: worth a look.
        let minds = |group: &SecurityGroup| {
            let mut traffic = group.ip_permissions().iter().flat_map(traffic);
            traffic
                .any(|traffic| policy.minds(&traffic) && policy.source(&traffic.peer, &none) != crate::Source::Narrow)
        };
        ec2::list(&self.clients.at(region), account, None, after, minds).await
    }
}

impl Ec2 {
    /// Makes a write, or asks whether we may.
    async fn write(&self, place: &Place<SecurityGroupId>, change: &Change, dry: bool) -> Result<bool, Fault> {
        let (client, group) = (self.clients.at(&place.region), &place.target);
        match change {
            Change::Revoke(rules) => ec2::revoke_rules(&client, group, Direction::Ingress, rules, dry).await,
            Change::Authorize(rules) => ec2::authorize(&client, group, Direction::Ingress, rules, dry).await,
        }
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
