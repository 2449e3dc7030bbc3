//! Reads a security group and makes single writes to it. The only file here that knows the AWS SDK; it decides nothing.

use crate::{Batch, Change, DefaultSecurityGroup, State, Target};
use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::SecurityGroup;
use ec2::{Clients, Filter, Group, Rule, Users};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};

/// How many interfaces are counted. One is enough for the guard; the rest is for a person to read.
const ENOUGH: usize = 1000;

/// EC2, as this control needs it.
#[derive(Debug)]
pub struct Ec2 {
    clients: Clients,
}

impl Ec2 {
    /// EC2 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, (): ()) -> Self {
        Self { clients: Clients::new(sdk) }
    }

    /// Makes a write, or asks whether we may.
    async fn write(&self, place: &Place<Target>, change: &Change, dry: bool) -> Result<bool, Fault> {
        let client = self.clients.at(&place.region);
        match change {
            Change::Revoke(Batch { group, direction, rules }) => {
                ec2::revoke_rules(&client, group, *direction, rules, dry).await
            }
            Change::Authorize(Batch { group, direction, rules }) => {
                ec2::authorize(&client, group, *direction, rules, dry).await
            }
        }
    }
}

/// The group and its rules; none if there is no such group.
async fn read(client: &Client, target: &Target) -> Result<Option<(Group, Vec<Rule>)>, Fault> {
    match target {
        Target::Group(id) => {
            let (group, rules) = tokio::try_join!(ec2::group(client, id), ec2::rules(client, id))?;
            Ok(group.map(|group| (group, rules)))
        }
        Target::DefaultOf(vpc) => match ec2::default_group(client, vpc).await? {
            Some(group) => {
                let rules = ec2::rules(client, &group.id).await?;
                Ok(Some((group, rules)))
            }
            None => Ok(None),
        },
    }
}

impl Cloud<DefaultSecurityGroup> for Ec2 {
    async fn observe(&self, place: &Place<Target>, _: &Occasion) -> Result<Option<State>, Fault> {
        let client = self.clients.at(&place.region);
        let Some((group, rules)) = read(&client, &place.target).await? else { return Ok(None) };
        let mut state = State {
            foreign: group.foreign_owner(&place.account).map(str::to_owned),
            rules: if group.is_default() { rules } else { vec![] },
            group,
            users: None,
        };
        if state.drifted() {
            let interfaces = ec2::interfaces(&client, Filter::Group(&state.group.id), ENOUGH).await?;
            state.users = Some(Users::count(&interfaces.items, interfaces.more));
        }
        Ok(Some(state))
    }

    async fn apply(&self, place: &Place<Target>, change: &Change) -> Result<(), Fault> {
        self.write(place, change, false).await.map(drop)
    }

    async fn rehearse(&self, place: &Place<Target>, change: &Change) -> Result<bool, Fault> {
        self.write(place, change, true).await
    }

    async fn tags(&self, place: &Place<Target>) -> Result<Vec<(String, String)>, Fault> {
        let client = self.clients.at(&place.region);
        match &place.target {
            Target::Group(id) => ec2::group_tags(&client, id).await,
            Target::DefaultOf(vpc) => ec2::default_group_tags(&client, vpc).await,
        }
    }

    async fn list(
        &self,
        account: &AccountId,
        region: &Region,
        _: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<Target>, Fault> {
        let has_rules =
            |group: &SecurityGroup| !group.ip_permissions().is_empty() || !group.ip_permissions_egress().is_empty();
        let page = ec2::list(&self.clients.at(region), account, Some("default"), after, has_rules).await?;
        Ok(Page { targets: page.targets.into_iter().map(Target::Group).collect(), next: page.next })
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
