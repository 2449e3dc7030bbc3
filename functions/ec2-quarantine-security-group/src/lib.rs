//! # ec2-quarantine-security-group: a security group or an instance is cut off from the network
//!
//! ## What it looks for
//! Nothing by itself: it is a control for incidents. A person names a security group, and every interface that uses it
//! is cut off; or an instance, and every interface of it is. It is started by hand or by the Security Hub custom
//! action `Suture quarantine`, never by a rule, a schedule or a finding.
//!
//! ## Why it matters
//! A machine that is somebody else's by now reads patient data for as long as it can talk. Taking it off the network
//! stops that in seconds and leaves memory, disks and processes for whoever has to find out what happened.
//!
//! ## What it does
//! Each interface is moved into a group without rules, `suture-quarantine`, of which each VPC gets one. The groups
//! that it was in stay as they are: their rules may serve others, and an interface in several groups is cut off only
//! if it is in none of them.
//!
//! Changing groups does not end the connections that are open: they are tracked, and a tracked connection lives until
//! it falls idle. Connections that a group allows to and from everywhere are not tracked, and end with the rule that
//! allows them. So each interface passes through a second group that is open both ways, `suture-opening-<target>`, for
//! the time between two calls; it is made for the request and deleted at its end. AWS's own runbook does the same. The
//! ways around that moment are worse: a network ACL cuts off the neighbours too, and stopping an instance loses its
//! memory. Where not even a moment is to be risked, set `EstablishedConnections` to `leave`: then nothing is opened,
//! and connections live on.
//!
//! Before an interface is moved, what it was in is written onto it, as tags; and before it is opened, EC2 is asked
//! (`DryRun`) whether we may go on into quarantine. Should a request die at any point, the next look at the same target
//! sees an interface that stands open, or an open group that was left behind, and finishes.
//!
//! A look is four reads beside each other for a group and three for an instance, then, beside each other, the rules of
//! our own groups and what else is to be known of instances and of groups that interfaces were in.
//!
//! In order, for an interface in a VPC where nothing was ever in quarantine: `CreateSecurityGroup`,
//! `RevokeSecurityGroupEgress`; `CreateSecurityGroup`, `AuthorizeSecurityGroupIngress`,
//! `AuthorizeSecurityGroupEgress`; `CreateTags`; twice `ModifyNetworkInterfaceAttribute`; `DeleteSecurityGroup`. The
//! first two only once for each VPC. Several interfaces of one instance are moved one by one: the call for the whole
//! instance works only where there is one.
//!
//! ## What could break
//! - What is cut off is cut off: that is the purpose. Auto Scaling replaces an instance that fails its health checks,
//!   and ends it, evidence and all; Kubernetes does so with nodes. Detach it, or suspend those processes, first.
//! - Interfaces of load balancers, databases, Lambda functions, endpoints and other services cannot be moved by
//!   anybody but the service: they are named, and remain. The outcome is then `partly-fixed`.
//! - More interfaces than `QuarantineLimit` are refused (guard `many-interfaces`): a default group can hold a whole
//!   VPC.
//! - Not cut off, whatever a security group says: the VPC's DNS resolver, the instance metadata and its credentials,
//!   DHCP and the time. What was stolen from the instance's role stays good elsewhere until it is revoked.
//! - Connections that AWS always tracks live until they fall idle: through NAT gateways, Network Load Balancers,
//!   interface endpoints, Lambda, egress-only internet gateways and the like, and ICMP.
//! - Scanners, and the control `ec2-open-security-group`, may report the open group while it is there.
//! - Session Manager is cut off too. `ForensicsCidr` names ranges that may reach what is in quarantine.
//!
//! ## Undo
//! Each interface goes back into the very groups that it was in, and its tags go. An interface that is gone meanwhile
//! is passed over. If one of its groups is gone, EC2 refuses, the interface stays in quarantine, and the outcome says
//! so. An open group is never gone back to: the undo of a request that finished another one's work puts what it found
//! open back to where its tags say; what it found in quarantine, the first one's record takes back. The quarantine
//! group stays: it is empty, costs nothing, and serves the next time.
//!
//! ## References
//! - <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>
//! - <https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-awssupport-containec2instance.html>
//! - <https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html>
//! - 45 CFR 164.308(a)(6)(ii)

mod cloud;
mod parameters;
mod plan;
mod state;

pub use cloud::Ec2;
pub use parameters::{Established, Forensics, Parameters};
pub use state::{Change, Group, Groups, Instance, Interface, Member, Ours, State, Target, To};

use ec2::InterfaceId;
use remediation::{About, Control, Hindrance, Kind, Risk, Safety, Scope, Setting, shown};
use std::collections::BTreeSet;
use std::fmt::Display;

/// How many names a message lists.
const LISTED: usize = 10;

/// The control; see the crate's page.
#[derive(Debug)]
pub struct Quarantine;

impl Control for Quarantine {
    const ABOUT: About = About {
        id: "ec2-quarantine-security-group",
        title: "cuts a security group or an instance off from the network",
        never: "start by itself, or leave an interface open",
        resource_type: "AWS::EC2::SecurityGroup",
        also: &["AWS::EC2::Instance"],
        scope: Scope::Regional,
        names_account: false,
        safety: Safety::Incident,
        exposes: false,
        observes_with: &[
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
        ],
        tags_with: &["ec2:DescribeInstances", "ec2:DescribeSecurityGroups"],
        lists_with: &[],
        fixes_with: &[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateSecurityGroup",
            "ec2:CreateTags",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteTags",
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
        // An undo can be taken back in its turn.
        undoes_with: &[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateSecurityGroup",
            "ec2:CreateTags",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteTags",
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
        allowed_on: &[
            ("ec2:AuthorizeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
            ("ec2:CreateSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
            ("ec2:CreateSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:vpc/*"),
            ("ec2:CreateTags", "arn:${AWS::Partition}:ec2:*:*:network-interface/*"),
            ("ec2:DeleteSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
            ("ec2:DeleteTags", "arn:${AWS::Partition}:ec2:*:*:network-interface/*"),
            ("ec2:ModifyNetworkInterfaceAttribute", "arn:${AWS::Partition}:ec2:*:*:network-interface/*"),
            ("ec2:ModifyNetworkInterfaceAttribute", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
            ("ec2:RevokeSecurityGroup", "arn:${AWS::Partition}:ec2:*:*:security-group/*"),
        ],
        watches: &[],
        incidents: &[],
        action: Some("Suture quarantine"),
        config_rules: &[],
        security_hub: &[],
        citations: &["45 CFR 164.308(a)(6)(ii)"],
        sweeps: None,
        settings: &[
            Setting {
                field: "forensics_cidr",
                parameter: "ForensicsCidr",
                description: "Ranges, by commas, that may reach what is in quarantine, such as those of forensic \
                              tools; /16 or narrower (IPv6: /48). Empty: nothing may.",
                kind: Kind::Text("^[0-9a-f.:/, ]{0,500}$"),
                default: "",
            },
            Setting {
                field: "established",
                parameter: "EstablishedConnections",
                description: "Connections that are open when an interface goes into quarantine. cut: by way of a group \
                              that is open for a moment. leave: until they fall idle; then nothing is opened.",
                kind: Kind::Choice(&["cut", "leave"]),
                default: "cut",
            },
            Setting {
                field: "most_interfaces",
                parameter: "QuarantineLimit",
                description: "How many interfaces one request may cut off unless it overrides the guard \
                              many-interfaces.",
                kind: Kind::Number(1, 1000),
                default: "20",
            },
        ],
    };

    type Target = Target;
    type Parameters = Parameters;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<Target, String> {
        Target::parse(name)
    }

    fn desired(state: &State) -> State {
        let mut to = state.clone();
        for interface in to.interfaces.values_mut().filter(|interface| interface.held_by.is_none()) {
            if !interface.is_isolated() {
                interface.mark = Some(interface.prior());
                interface.groups = vec![Member::Quarantine];
            }
            let quarantine = &mut to.vpcs.entry(interface.vpc.clone()).or_default().quarantine;
            let group = quarantine.get_or_insert_with(|| Group { id: None, rules: Vec::new() });
            let alike = group.rules.len() == state.forensics.len()
                && group.rules.iter().zip(&state.forensics).all(|(have, want)| have.traffic == want.traffic);
            if !alike {
                group.rules.clone_from(&state.forensics);
            }
        }
        for groups in to.vpcs.values_mut() {
            groups.opening = None;
        }
        to
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        plan::changes(from, to)
    }

    /// An undo is about interfaces. It gives our own groups their old rules back only if nothing else was changed:
    /// they are others' quarantine too. And nothing is ever put back into an open group.
    fn restored(before: &State) -> State {
        let fixed = Self::desired(before);
        if fixed.interfaces == before.interfaces {
            return before.clone();
        }
        let mut to = State { interfaces: before.interfaces.clone(), ..fixed };
        for interface in
            to.interfaces.values_mut().filter(|interface| interface.is_open() && interface.held_by.is_none())
        {
            let prior: Vec<Member> = interface.prior().into_iter().map(Member::Group).collect();
            interface.groups = if prior.is_empty() { vec![Member::Quarantine] } else { prior };
            interface.mark = None;
        }
        to
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        let cut: Vec<(&InterfaceId, &Interface)> = from
            .interfaces
            .iter()
            .filter(|(id, now)| !now.is_isolated() && to.interfaces.get(*id).is_some_and(Interface::is_isolated))
            .collect();
        if cut.is_empty() {
            return Vec::new();
        }
        let mut risks = Vec::new();
        let mut risk = |id: &'static str, says: String, refuses: bool| risks.push(Risk { id, says, refuses });
        let most = from.most_interfaces;
        if cut.len() > most {
            let says = format!("{} interfaces would be cut off, and QuarantineLimit allows {most}", cut.len());
            risk("many-interfaces", says, true);
        }
        let says = format!("all traffic ends to and from {}", list(cut.iter().map(|(id, now)| behind(id, now))));
        risk("cut-off", says, false);
        if from.established == Established::Cut && cut.iter().any(|(_, now)| !now.is_open()) {
            let says =
                "for the time between two calls each interface lets everything in and out: only so do the connections \
                        end that are open"
                    .to_owned();
            risk("open-for-a-moment", says, false);
        }
        let behind: BTreeSet<_> = cut.iter().filter_map(|(_, now)| now.instance.as_ref()).collect();
        let instances: Vec<_> = from.instances.iter().filter(|(id, _)| behind.contains(id)).collect();
        for (id, instance) in &instances {
            if let Some(group) = &instance.auto_scaling_group {
                let says = format!(
                    "Auto Scaling group {} will take {id} for broken and end it, evidence and all; detach it, or \
                     suspend ReplaceUnhealthy and Terminate",
                    shown(group)
                );
                risk("auto-scaling", says, false);
            }
            if let Some(cluster) = &instance.cluster {
                let says = format!(
                    "{id} is a node of Kubernetes cluster {}, which starts its pods elsewhere and may end the node; \
                     cordon it",
                    shown(cluster)
                );
                risk("kubernetes", says, false);
            }
        }
        risks
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        let held = state.interfaces.iter().filter(|(_, interface)| !interface.is_isolated());
        let held: Vec<String> = held
            .filter_map(|(id, interface)| Some(format!("{id} ({})", shown(interface.held_by.as_deref()?))))
            .collect();
        if held.is_empty() {
            return None;
        }
        let says = format!(
            "not cut off, since only the service or account that holds them can move them: {}; to cut them off, take \
             away the rules of the groups that they are in",
            list(held)
        );
        Some(Hindrance { id: "held-by-others", says })
    }

    fn notes(state: &State) -> Vec<String> {
        let mut notes = Vec::new();
        if state.interfaces.is_empty() {
            notes.push(format!("no interface uses {}", state.target));
            return notes;
        }
        if let Target::Group(group) = &state.target {
            notes.push(format!(
                "the rules of {group} stay as they are: what starts to use it later is not in quarantine"
            ));
        }
        notes.push(
            "no security group keeps anything from the VPC's DNS resolver or the instance metadata, and connections \
             through NAT gateways, Network Load Balancers and interface endpoints live until they fall idle: revoke \
             the sessions of the instance's role, and watch its DNS queries"
                .to_owned(),
        );
        for (id, _) in state.instances.iter().filter(|(_, instance)| instance.spot) {
            notes.push(format!(
                "{id} is a Spot Instance, which AWS can take at two minutes' notice: make snapshots soon"
            ));
        }
        for (id, interface) in &state.interfaces {
            let lost: Vec<_> = interface.mark.iter().flatten().filter(|group| state.gone.contains(group)).collect();
            if !lost.is_empty() {
                let lost = list(lost);
                notes
                    .push(format!("{id} was in {lost} before, which does not exist any more: it cannot go back there"));
            }
            if interface.is_open() && interface.prior().is_empty() {
                notes.push(format!(
                    "{id} stands open, and nothing says which groups it was in: an undo leaves it in quarantine"
                ));
            }
        }
        notes
    }
}

/// An interface, and what is behind it.
fn behind(id: &InterfaceId, interface: &Interface) -> String {
    interface.instance.as_ref().map_or_else(|| id.to_string(), |instance| format!("{id} of {instance}"))
}

/// Some names, by commas.
fn list<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let more = names.len().saturating_sub(LISTED);
    let shown = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests;
