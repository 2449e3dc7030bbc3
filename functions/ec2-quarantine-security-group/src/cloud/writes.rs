//! The writes, one call each, and the looks right before them.

use super::Ec2;
use super::reads::{described, groups, of_ours};
use crate::state::{Change, MARK, Ours, To};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::Tag;
use ec2::{Direction, InterfaceId, Rule, SecurityGroupId, VpcId, dry_run, fault};
use remediation::{AccountId, Fault};
use std::collections::BTreeSet;
use std::fmt::Display;

/// What a group of ours says of itself.
const DESCRIPTION: &str = "Made by Suture (ec2-quarantine-security-group)";

impl Ec2 {
    /// The id of a group of ours: as the change has it, as we made it, or as its name says.
    async fn id(&self, client: &Client, account: &AccountId, ours: &Ours) -> Result<SecurityGroupId, Fault> {
        if let Some(id) = &ours.id {
            return Ok(id.clone());
        }
        let made = self.made.borrow().get(&(ours.vpc.clone(), ours.name.clone())).cloned();
        if let Some(id) = made {
            return Ok(id);
        }
        let found = groups(client, account, &[&ours.name], Some(&ours.vpc)).await?;
        let id = found.into_iter().next().map(|group| group.id);
        // A group that was made a moment ago may not be there yet for every reader.
        id.ok_or_else(|| Fault::Conflict(format!("ec2:DescribeSecurityGroups on {ours}: there is no such group yet")))
    }

    async fn create(&self, client: &Client, name: &str, vpc: &VpcId, dry: bool) -> Result<bool, Fault> {
        let resource = format_args!("{vpc}");
        let call = client.create_security_group().group_name(name).vpc_id(vpc.as_str()).description(DESCRIPTION);
        let sent = call.set_dry_run(dry.then_some(true)).send().await;
        match sent {
            Ok(answer) => {
                let id = answer.group_id.as_deref().and_then(|id| SecurityGroupId::parse(id).ok());
                if let Some(id) = id.filter(|_| !dry) {
                    self.made.borrow_mut().insert((vpc.clone(), name.to_owned()), id);
                }
                Ok(false)
            }
            // There is one already: what was to be.
            Err(error) if error.code() == Some("InvalidGroup.Duplicate") => {
                self.made.borrow_mut().remove(&(vpc.clone(), name.to_owned()));
                Ok(false)
            }
            sent => done(sent, dry, "ec2:CreateSecurityGroup", &resource),
        }
    }

    async fn delete(&self, client: &Client, ours: &Ours, id: &SecurityGroupId, dry: bool) -> Result<bool, Fault> {
        let action = "ec2:DeleteSecurityGroup";
        let sent = client.delete_security_group().group_id(id.as_str()).set_dry_run(dry.then_some(true)).send().await;
        if let Err(error) = &sent
            && matches!(error.code(), Some("DependencyViolation" | "InvalidGroup.InUse"))
        {
            if dry {
                // The writes before this one take it out.
                return Ok(false);
            }
            // EC2 takes a moment to see that the last interface has left it.
            return Err(Fault::Conflict(format!("{action} on {ours}: an interface is still in it")));
        }
        let deleted = match done(sent, dry, action, ours) {
            Err(Fault::Gone) => Ok(false),
            deleted => deleted,
        };
        if !dry && deleted.is_ok() {
            self.made.borrow_mut().remove(&(ours.vpc.clone(), ours.name.clone()));
        }
        deleted
    }
}

/// What became of a write or of its rehearsal; true if EC2 says that it would make it.
fn done<T, E: ProvideErrorMetadata>(
    sent: Result<T, SdkError<E, HttpResponse>>,
    dry: bool,
    action: &'static str,
    resource: &dyn Display,
) -> Result<bool, Fault> {
    if dry {
        return dry_run(sent, action, resource);
    }
    sent.map(|_| false).map_err(|error| fault(&error, action, resource))
}

/// Takes rules of our own group away. Without ids they are those that EC2 gave a new group.
async fn revoke(
    client: &Client,
    id: &SecurityGroupId,
    direction: Direction,
    rules: &[Rule],
    dry: bool,
) -> Result<bool, Fault> {
    let known: Option<Vec<String>> = rules.iter().map(|rule| rule.id.clone()).collect();
    let ids = if let Some(ids) = known {
        ids
    } else {
        let there = of_ours(client, id).await?.into_iter();
        let there = there.filter(|rule| rules.iter().any(|wanted| wanted.traffic == rule.traffic));
        there.filter_map(|rule| rule.id).collect()
    };
    if ids.is_empty() {
        // A new group lets everything out; if it does not seem so, it is too new.
        return Err(Fault::Conflict(format!("ec2:DescribeSecurityGroupRules on {id}: its rules are not there yet")));
    }
    ec2::revoke(client, id, direction, &ids, dry).await
}

/// Makes rules of our own group. What is already so counts as done.
async fn authorize(
    client: &Client,
    id: &SecurityGroupId,
    direction: Direction,
    rules: &[Rule],
    dry: bool,
) -> Result<bool, Fault> {
    match ec2::authorize(client, id, direction, rules, dry).await {
        Err(Fault::Moved(why)) => {
            let there = of_ours(client, id).await?;
            let all = rules.iter().all(|rule| there.iter().any(|have| have.traffic == rule.traffic));
            if all { Ok(false) } else { Err(Fault::Moved(why)) }
        }
        sent => sent,
    }
}

/// A group of ours that is gone is no reason to call the target gone. A new one is not there yet for every reader;
/// another is made again.
fn group_moved(sent: Result<bool, Fault>, ours: &Ours) -> Result<bool, Fault> {
    match sent {
        Err(Fault::Gone) if ours.id.is_none() => Err(Fault::Conflict(format!("{ours} is not there yet"))),
        Err(Fault::Gone) => Err(Fault::Moved(format!("{ours} was deleted since we looked"))),
        sent => sent,
    }
}

/// The tags that remember groups.
fn marks(groups: &[SecurityGroupId], whole: bool) -> Vec<String> {
    let base = whole.then(|| MARK.to_owned());
    base.into_iter().chain(groups.iter().map(|group| format!("{MARK}:{group}"))).collect()
}

async fn mark(client: &Client, id: &InterfaceId, groups: &[SecurityGroupId], dry: bool) -> Result<bool, Fault> {
    let tag = |key: String| Tag::builder().key(key).value("").build();
    let tags: Vec<Tag> = marks(groups, true).into_iter().map(tag).collect();
    let call = client.create_tags().resources(id.as_str()).set_tags(Some(tags));
    let sent = call.set_dry_run(dry.then_some(true)).send().await;
    interface_moved(done(sent, dry, "ec2:CreateTags", id), id)
}

async fn unmark(
    client: &Client,
    id: &InterfaceId,
    groups: &[SecurityGroupId],
    whole: bool,
    dry: bool,
) -> Result<bool, Fault> {
    // Without a value, a tag goes whatever its value is.
    let tags: Vec<Tag> = marks(groups, whole).into_iter().map(|key| Tag::builder().key(key).build()).collect();
    let call = client.delete_tags().resources(id.as_str()).set_tags(Some(tags));
    let sent = call.set_dry_run(dry.then_some(true)).send().await;
    interface_moved(done(sent, dry, "ec2:DeleteTags", id), id)
}

/// An interface that is gone is no reason to call the target gone.
fn interface_moved(sent: Result<bool, Fault>, id: &InterfaceId) -> Result<bool, Fault> {
    match sent {
        Err(Fault::Gone) => Err(Fault::Moved(format!("interface {id} was deleted since we looked"))),
        sent => sent,
    }
}

/// Reads an interface's groups again, right before a write that replaces them.
async fn still(client: &Client, id: &InterfaceId, from: &[SecurityGroupId]) -> Result<(), Fault> {
    let now = described(client, "network-interface-id", id.as_str()).await?;
    let now = now.iter().find_map(ec2::Interface::read).map(|interface| interface.groups);
    let set = |groups: &[SecurityGroupId]| groups.iter().cloned().collect::<BTreeSet<_>>();
    if now.is_some_and(|now| set(&now) == set(from)) {
        return Ok(());
    }
    Err(Fault::Moved(format!("interface {id} is in other groups since we looked; nothing was written")))
}

/// While an interface stands open, or may, a call is worth another try at once, whatever went wrong; and a second look
/// tells where it stands.
fn at_once(sent: Result<bool, Fault>) -> Result<bool, Fault> {
    match sent {
        Err(Fault::Retry(why) | Fault::Lost(why)) => Err(Fault::Conflict(why)),
        sent => sent,
    }
}

/// The groups that an interface is to be in.
struct Goal {
    ids: Vec<SecurityGroupId>,
    /// All of them are ours.
    ours: bool,
    /// One of them was made a moment ago.
    new: bool,
}

/// Puts an interface into these groups and no others.
async fn set(client: &Client, id: &InterfaceId, goal: &Goal, dry: bool) -> Result<bool, Fault> {
    let action = "ec2:ModifyNetworkInterfaceAttribute";
    let groups = Some(goal.ids.iter().map(ToString::to_string).collect());
    let call = client.modify_network_interface_attribute().network_interface_id(id.as_str()).set_groups(groups);
    let sent = call.set_dry_run(dry.then_some(true)).send().await;
    let code = sent.as_ref().err().and_then(ProvideErrorMetadata::code);
    if !matches!(code, Some("InvalidGroup.NotFound" | "InvalidSecurityGroupID.NotFound")) {
        return interface_moved(done(sent, dry, action, id), id);
    }
    let said = |what: &str| format!("{action} on {id}: {what}");
    Err(match goal {
        Goal { ours: true, new: true, .. } => Fault::Conflict(said("our group is not there yet")),
        Goal { ours: true, .. } => Fault::Moved(said("our group was deleted since we looked; nothing was written")),
        // No new plan finds a group that is gone: a person has to say where the interface belongs.
        Goal { ids, .. } => {
            let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Fault::GiveUp(said(&format!("one of {ids} does not exist any more; put the interface into others by hand")))
        }
    })
}

/// EC2 in one account and region.
pub struct At<'a> {
    /// The control's EC2, which knows what it made.
    pub ec2: &'a Ec2,
    /// The region's client.
    pub client: Client,
    /// The account.
    pub account: &'a AccountId,
}

/// Writes, and rehearsals of them if `dry`: then true if EC2 says that it would make them.
impl At<'_> {
    /// Makes one write, or asks about it.
    pub async fn write(&self, change: &Change, dry: bool) -> Result<bool, Fault> {
        match change {
            Change::CreateGroup { name, vpc } => self.ec2.create(&self.client, name, vpc, dry).await,
            Change::Revoke { group, .. } | Change::Authorize { group, .. } | Change::DeleteGroup { group } => {
                group_moved(self.group(change, group, dry).await, group)
            }
            Change::Mark { interface, groups } => mark(&self.client, interface, groups, dry).await,
            Change::Unmark { interface, groups, whole } => unmark(&self.client, interface, groups, *whole, dry).await,
            Change::Open { interface, from, through, into } => self.open(interface, from, [through, into], dry).await,
            Change::Isolate { interface, into } => {
                at_once(set(&self.client, interface, &self.ours(into).await?, dry).await)
            }
            Change::SetGroups { interface, from, to } => self.set_groups(interface, from, to, dry).await,
        }
    }

    async fn id(&self, ours: &Ours) -> Result<SecurityGroupId, Fault> {
        self.ec2.id(&self.client, self.account, ours).await
    }

    async fn ours(&self, ours: &Ours) -> Result<Goal, Fault> {
        Ok(Goal { ids: vec![self.id(ours).await?], ours: true, new: ours.id.is_none() })
    }

    async fn group(&self, change: &Change, group: &Ours, dry: bool) -> Result<bool, Fault> {
        let id = self.id(group).await?;
        match change {
            Change::Revoke { direction, rules, .. } => revoke(&self.client, &id, *direction, rules, dry).await,
            Change::Authorize { direction, rules, .. } => authorize(&self.client, &id, *direction, rules, dry).await,
            _ => self.ec2.delete(&self.client, group, &id, dry).await,
        }
    }

    async fn open(
        &self,
        id: &InterfaceId,
        from: &[SecurityGroupId],
        [through, into]: [&Ours; 2],
        dry: bool,
    ) -> Result<bool, Fault> {
        let (through, into) = (self.ours(through).await?, self.ours(into).await?);
        // The way in is not taken before the way out is known to be free.
        let ((), free) = tokio::try_join!(still(&self.client, id, from), set(&self.client, id, &into, true))?;
        Ok(at_once(set(&self.client, id, &through, dry).await)? && free)
    }

    async fn set_groups(
        &self,
        id: &InterfaceId,
        from: &[SecurityGroupId],
        to: &[To],
        dry: bool,
    ) -> Result<bool, Fault> {
        let mut goal = Goal { ids: Vec::new(), ours: true, new: false };
        for group in to {
            match group {
                To::Group(id) => {
                    goal.ids.push(id.clone());
                    goal.ours = false;
                }
                To::Ours(ours) => {
                    goal.ids.push(self.id(ours).await?);
                    goal.new |= ours.id.is_none();
                }
            }
        }
        still(&self.client, id, from).await?;
        set(&self.client, id, &goal, dry).await
    }
}
