//! The writes that several controls make. Each is one API call.

use crate::attempts::Attempts;
use crate::fault::{dry_run, fault};
use crate::{Direction, Peer, Rule, SecurityGroupId};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{IpPermission, ResourceType, RevokedSecurityGroupRule, Tag, TagSpecification};
use remediation::{Fault, shown};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Takes rules away by their ids, all or none; true if `dry` and EC2 would. Ids, because by their properties a whole set
/// of ranges would go, and in a default VPC a rule that is not there is no error. At most a few hundred at a time.
/// Needs `ec2:RevokeSecurityGroupIngress` or `…Egress`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>
pub async fn revoke(
    client: &Client,
    group: &SecurityGroupId,
    direction: Direction,
    ids: &[String],
    dry: bool,
) -> Result<bool, Fault> {
    send(client, group, direction, ids, dry).await.map(|(would, _)| would)
}

/// The same for rules as they were read, all of one direction. A rule can be changed in place and keeps its id: should
/// one have been something else by the time it went, then that is [`Fault::Lost`] with what it was, for a person to make
/// again. A rule without an id is [`Fault::Moved`] before any call.
pub async fn revoke_rules(
    client: &Client,
    group: &SecurityGroupId,
    direction: Direction,
    rules: &[Rule],
    dry: bool,
) -> Result<bool, Fault> {
    let Some(ids) = rules.iter().map(|rule| rule.id.clone()).collect::<Option<Vec<String>>>() else {
        return Err(Fault::Moved(format!("a rule of security group {group} has no id yet; nothing was written")));
    };
    let (would, revoked) = send(client, group, direction, &ids, dry).await?;
    let was =
        |rule: &Rule| revoked.iter().find(|row| row.security_group_rule_id == rule.id).filter(|row| other(rule, row));
    match rules.iter().find_map(was) {
        None => Ok(would),
        Some(row) => {
            let source = row.cidr_ipv4().or(row.cidr_ipv6()).or(row.prefix_list_id()).or(row.referenced_group_id());
            Err(Fault::Lost(format!(
                "rule {} of security group {group} was changed at this very moment and is gone as it was then: {} {} to {}, \
                 {}; make it again by hand if it should stay",
                shown(row.security_group_rule_id().unwrap_or_default()),
                shown(row.ip_protocol().unwrap_or_default()),
                row.from_port().unwrap_or(-1),
                row.to_port().unwrap_or(-1),
                shown(source.unwrap_or_default()),
            )))
        }
    }
}

/// Whether what was revoked is another rule than was meant. What either side leaves unsaid does not count.
fn other(rule: &Rule, row: &RevokedSecurityGroupRule) -> bool {
    let port = |ours: Option<i32>, theirs: Option<i32>| ours.is_some() && theirs.is_some() && ours != theirs;
    let ports = port(rule.traffic.from_port, row.from_port) || port(rule.traffic.to_port, row.to_port);
    let (meant, was) = match &rule.traffic.peer {
        Peer::CidrIpv4(cidr) => (Some(cidr.as_str()), row.cidr_ipv4()),
        Peer::CidrIpv6(cidr) => (Some(cidr.as_str()), row.cidr_ipv6()),
        Peer::PrefixList(list) => (Some(list.as_str()), row.prefix_list_id()),
        Peer::Group(group) => (Some(group.id.as_str()), row.referenced_group_id()),
        Peer::Unknown => (None, None),
    };
    let says = row.cidr_ipv4().or(row.cidr_ipv6()).or(row.prefix_list_id()).or(row.referenced_group_id()).is_some();
    ports || (says && meant.is_some() && meant != was)
}

/// Makes the call: whether EC2 would, if `dry`, and what it says it revoked.
async fn send(
    client: &Client,
    group: &SecurityGroupId,
    direction: Direction,
    ids: &[String],
    dry: bool,
) -> Result<(bool, Vec<RevokedSecurityGroupRule>), Fault> {
    let resource = format_args!("security group {group}");
    let attempts = Attempts::default();
    let (wanted, dry_run) = (Some(ids.to_vec()), dry.then_some(true));
    let (done, revoked) = match direction {
        Direction::Ingress => {
            let call = client.revoke_security_group_ingress().group_id(group.as_str()).set_dry_run(dry_run);
            let call = call.set_security_group_rule_ids(wanted).customize().interceptor(attempts.clone());
            let mut sent = call.send().await;
            let revoked = sent.as_mut().ok().and_then(|answer| answer.revoked_security_group_rules.take());
            (done(sent, dry, "ec2:RevokeSecurityGroupIngress", &resource), revoked)
        }
        Direction::Egress => {
            let call = client.revoke_security_group_egress().group_id(group.as_str()).set_dry_run(dry_run);
            let call = call.set_security_group_rule_ids(wanted).customize().interceptor(attempts.clone());
            let mut sent = call.send().await;
            let revoked = sent.as_mut().ok().and_then(|answer| answer.revoked_security_group_rules.take());
            (done(sent, dry, "ec2:RevokeSecurityGroupEgress", &resource), revoked)
        }
    };
    match done {
        Err(Fault::Moved(why)) if attempts.unclear() => {
            let there = crate::rules(client, group).await?;
            let left = there.iter().any(|rule| rule.id.as_ref().is_some_and(|id| ids.contains(id)));
            if left { Err(Fault::Moved(why)) } else { Ok((false, vec![])) }
        }
        done => Ok((done?, revoked.unwrap_or_default())),
    }
}

/// Makes rules, all or none, with their descriptions and with the tags of the first; true if `dry` and EC2 would. One call
/// gives all its rules the same tags: rules with other tags are for another call. Tags that only AWS may set are left out.
/// Needs `ec2:AuthorizeSecurityGroupIngress` or `…Egress`, and `ec2:CreateTags` where there are tags.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>
pub async fn authorize(
    client: &Client,
    group: &SecurityGroupId,
    direction: Direction,
    rules: &[Rule],
    dry: bool,
) -> Result<bool, Fault> {
    let resource = format_args!("security group {group}");
    let action = match direction {
        Direction::Ingress => "ec2:AuthorizeSecurityGroupIngress",
        Direction::Egress => "ec2:AuthorizeSecurityGroupEgress",
    };
    let Some(permissions) = rules.iter().map(Rule::permission).collect::<Option<Vec<IpPermission>>>() else {
        return Err(Fault::GiveUp(format!(
            "{action} on {resource}: a rule is of a kind that this program does not know"
        )));
    };
    let tags = rules.first().and_then(|rule| specification(&rule.tags)).map(|tags| vec![tags]);
    let dry_run = dry.then_some(true);
    let attempts = Attempts::default();
    let made = match direction {
        Direction::Ingress => {
            let call = client.authorize_security_group_ingress().group_id(group.as_str()).set_dry_run(dry_run);
            let call = call.set_ip_permissions(Some(permissions)).set_tag_specifications(tags);
            done(call.customize().interceptor(attempts.clone()).send().await, dry, action, &resource)
        }
        Direction::Egress => {
            let call = client.authorize_security_group_egress().group_id(group.as_str()).set_dry_run(dry_run);
            let call = call.set_ip_permissions(Some(permissions)).set_tag_specifications(tags);
            done(call.customize().interceptor(attempts.clone()).send().await, dry, action, &resource)
        }
    };
    // What is not there may well be what a rule names: the group itself was there a moment ago.
    let names_another = |rule: &Rule| matches!(rule.traffic.peer, Peer::Group(_) | Peer::PrefixList(_));
    match made {
        Err(Fault::Moved(why)) if attempts.unclear() => {
            let there = crate::rules(client, group).await?;
            let all = rules.iter().all(|rule| there.iter().any(|have| have.traffic == rule.traffic));
            if all { Ok(false) } else { Err(Fault::Moved(why)) }
        }
        Err(Fault::Gone) if rules.iter().any(names_another) => {
            let why = "a group or prefix list that a rule names does not exist any more; nothing was written";
            Err(Fault::GiveUp(format!("{action} on {resource}: {why}")))
        }
        made => made,
    }
}

/// The tags of rules that are made; none if there is nothing to set. Keys that begin with `aws:` are AWS's own.
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html>
fn specification(tags: &BTreeMap<String, String>) -> Option<TagSpecification> {
    let ours = tags.iter().filter(|(key, _)| !key.to_ascii_lowercase().starts_with("aws:"));
    let tags: Vec<Tag> = ours.map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let specification = TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule);
    (!tags.is_empty()).then(|| specification.set_tags(Some(tags)).build())
}

/// What became of a write or of its rehearsal.
fn done<T, E: ProvideErrorMetadata>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    dry: bool,
    action: &'static str,
    resource: &dyn Display,
) -> Result<bool, Fault> {
    if dry {
        return dry_run(answer, action, resource);
    }
    answer.map(|_| false).map_err(|error| fault(&error, action, resource))
}

#[cfg(test)]
#[path = "writes_tests.rs"]
mod tests;
