//! What every security group control needs: ids, rules and interfaces, reading them page by page, one client for each
//! region, and what EC2's errors mean.

mod attempts;
mod calls;
mod fault;
mod group;
mod ids;
mod interface;
mod rule;
mod tags;
mod writes;

pub use calls::{Clients, Filter, Listing, default_group, group, interfaces, list, prefix_list, regions, rules};
pub use fault::{dry_run, fault};
pub use group::{Group, Keeper};
pub use ids::{InstanceId, InterfaceId, SecurityGroupId, VpcId};
pub use interface::{Interface, Kind, Users};
pub use rule::{Direction, GroupReference, Peer, Rule, Traffic};
pub use tags::{default_group_tags, group_tags, instance_tags};
pub use writes::{authorize, revoke, revoke_rules};
