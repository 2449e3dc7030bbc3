//! Reads a target's interfaces and our own groups, and makes single writes. The only file here that knows the AWS SDK,
//! with what is in its folder; it decides nothing.

mod reads;
mod writes;

use crate::state::{Change, Group, Groups, MARK, OPENING, Ours, QUARANTINE, State, Target, To};
use crate::{Parameters, Quarantine};
use aws_config::SdkConfig;
use ec2::{Clients, SecurityGroupId, VpcId};
use reads::{Named, described, existing, groups, instances, interfaces, of_ours};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use writes::At;

/// EC2, as this control needs it.
#[derive(Debug)]
pub struct Ec2 {
    clients: Clients,
    parameters: Parameters,
    /// The groups that we made and that nothing read since: a group's name leads to it only after a while.
    made: RefCell<HashMap<(VpcId, String), SecurityGroupId>>,
}

impl Ec2 {
    /// EC2 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { clients: Clients::new(sdk), parameters, made: RefCell::default() }
    }

    async fn look(&self, place: &Place<Target>) -> Result<Option<State>, Fault> {
        let (client, account) = (self.clients.at(&place.region), &place.account);
        let opening = place.target.opening();
        let any_opening = format!("{OPENING}*");
        let names = [QUARANTINE, &any_opening];
        let ours = groups(&client, account, &names, None);
        let (found, ours, known) = match &place.target {
            Target::Group(id) => {
                let marked = format!("{MARK}:{id}");
                let (mut using, marked, ours, group) = tokio::try_join!(
                    described(&client, "group-id", id.as_str()),
                    described(&client, "tag-key", &marked),
                    ours,
                    ec2::group(&client, id)
                )?;
                using.extend(marked);
                let vpc = group.as_ref().and_then(|group| VpcId::parse(group.vpc.as_deref()?).ok());
                (using, ours, group.map(|_| (vpc, BTreeMap::new())))
            }
            Target::Instance(id) => {
                let (using, ours, instances) = tokio::try_join!(
                    described(&client, "attachment.instance-id", id.as_str()),
                    ours,
                    instances(&client, std::slice::from_ref(id))
                )?;
                (using, ours, (!instances.is_empty()).then_some((None, instances)))
            }
        };
        let Parameters { forensics_cidr, established, most_interfaces } = &self.parameters;
        let mut state = State::empty(place.target.clone(), forensics_cidr, *established, *most_interfaces);
        state.interfaces = interfaces(&found, account, &ours);
        let Some((vpc, mut known)) = known.or_else(|| (!state.interfaces.is_empty()).then(Default::default)) else {
            return Ok(None);
        };
        let vpcs = state.interfaces.values().map(|interface| interface.vpc.clone()).chain(vpc).collect::<BTreeSet<_>>();
        let marks: BTreeSet<_> = state.interfaces.values().flat_map(|it| it.mark.iter().flatten().cloned()).collect();
        let unknown = state.interfaces.values().filter(|interface| !interface.is_isolated());
        let unknown = unknown.filter_map(|interface| interface.instance.clone()).collect::<BTreeSet<_>>();
        let unknown: Vec<_> = unknown.into_iter().filter(|id| !known.contains_key(id)).collect();
        let rules = async {
            let mut of = BTreeMap::new();
            for vpc in vpcs {
                let group = |name: &str| ours.iter().find(|group| group.name == name && group.vpc == vpc);
                let read = async |group: Option<&Named>| match group {
                    None => Ok(None),
                    Some(group) => {
                        let rules = of_ours(&client, &group.id).await?;
                        Ok(Some(Group { id: Some(group.id.clone()), rules }))
                    }
                };
                let (quarantine, opening) = tokio::try_join!(read(group(QUARANTINE)), read(group(&opening)))?;
                of.insert(vpc, Groups { quarantine, opening });
            }
            Ok(of)
        };
        let (vpcs, others, there) =
            tokio::try_join!(rules, instances(&client, &unknown), existing(&client, account, &marks))?;
        known.extend(others);
        state.vpcs = vpcs;
        state.instances = known;
        state.gone = marks.difference(&there).cloned().collect();
        Ok(Some(state))
    }
}

impl Cloud<Quarantine> for Ec2 {
    // On the heap: the futures of several SDK calls are large, and each layer above would keep a copy on its stack.
    async fn observe(&self, place: &Place<Target>, _: &Occasion) -> Result<Option<State>, Fault> {
        Box::pin(self.look(place)).await
    }

    async fn apply(&self, place: &Place<Target>, change: &Change) -> Result<(), Fault> {
        let at = At { ec2: self, client: self.clients.at(&place.region), account: &place.account };
        Box::pin(at.write(change, false)).await.map(drop)
    }

    /// Not for a write on a group that an earlier one makes: there is nothing yet to ask about.
    async fn rehearse(&self, place: &Place<Target>, change: &Change) -> Result<bool, Fault> {
        let there = |ours: &Ours| ours.id.is_some();
        let known = match change {
            Change::Revoke { group, .. } | Change::Authorize { group, .. } | Change::DeleteGroup { group } => {
                there(group)
            }
            Change::Open { through, into, .. } => there(through) && there(into),
            Change::Isolate { into, .. } => there(into),
            Change::SetGroups { to, .. } => to.iter().all(|group| !matches!(group, To::Ours(ours) if !there(ours))),
            Change::CreateGroup { .. } | Change::Mark { .. } | Change::Unmark { .. } => true,
        };
        if !known {
            return Ok(false);
        }
        let at = At { ec2: self, client: self.clients.at(&place.region), account: &place.account };
        Box::pin(at.write(change, true)).await
    }

    /// Those of what the request names: a group's are not those of the machines in it.
    async fn tags(&self, place: &Place<Target>) -> Result<Vec<(String, String)>, Fault> {
        let client = self.clients.at(&place.region);
        match &place.target {
            Target::Group(id) => Box::pin(ec2::group_tags(&client, id)).await,
            Target::Instance(id) => Box::pin(ec2::instance_tags(&client, id)).await,
        }
    }

    /// Nothing: what is to be cut off is named, one by one.
    async fn list(&self, _: &AccountId, _: &Region, _: &Occasion, _: Option<&str>) -> Result<Page<Target>, Fault> {
        Ok(Page { targets: Vec::new(), next: None })
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
