//! What a person should know: what a fix breaks, what it cannot mend, what else there is.

use crate::opening::{Source, is_everything, reaches};
use crate::{Ports, State, WideRanges};
use ec2::{Kind, Peer, Rule, Traffic, Users};
use remediation::{Hindrance, Risk};

/// The ports that the world is meant to come in by: what EC2.18 authorises unless it is told otherwise.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html#ec2-18>
const WEB: &[&str] = &["80", "443"];
/// Whether the traffic goes to a port that the world is meant to come in by.
pub fn is_web(traffic: &Traffic) -> bool {
    WEB.iter().any(|port| reaches(traffic, &ports(port)))
}

/// How many rules a text names; the record has them all.
const NAMED: usize = 5;

fn ports(text: &str) -> Ports {
    Ports::parse(text).unwrap_or_default()
}

/// `tcp 22 from 0.0.0.0/0, tcp 22 from ::/0 and 3 more`
fn named<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> String {
    let all: Vec<String> = rules.into_iter().map(|rule| rule.traffic.to_string()).collect();
    let first: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    let more = all.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", first.join(", "))
}

/// What the step from `from` to `to` would break.
pub fn risks(from: &State, to: &State) -> Vec<Risk> {
    let gone: Vec<&Rule> = from.rules.iter().filter(|rule| !to.has(&rule.traffic)).collect();
    if gone.is_empty() {
        return vec![];
    }
    let mut risks = Vec::new();
    let mut warn = |id, refuses, says: String| risks.push(Risk { id, says, refuses });
    let users = from.users.clone().unwrap_or_default();
    if users.total() > 0 {
        let rules = named(gone.iter().copied());
        warn("cut-off", false, format!("whoever comes in by {rules} is cut off from {users}"));
    }
    let whole = from.pieces().is_empty();
    let cut = |rule: &&Rule| from.policy.rest(rule, &from.lists).iter().any(|piece| !to.has(&piece.traffic));
    let wide: Vec<&Rule> = gone.iter().copied().filter(cut).collect();
    if !wide.is_empty() {
        let (goes, why) = match from.wide_ranges {
            WideRanges::Revoke => ("whole", "WideRanges=split would leave those open"),
            WideRanges::Split => ("further than it must", "to leave all of those open the group has no room"),
        };
        let says = format!("{} goes {goes}, with ports that may be open; {why}", named(wide.iter().copied()));
        warn("wide-range", false, says);
    }
    // Where the world is meant to come in, it is not cut off from behind a load balancer: that would take a site down to
    // close ports that the balancer does not listen on. Where others use the group too, those ports are theirs.
    let kept = |rule: &Rule, port: &Ports| {
        to.rules.iter().any(|other| other.traffic.peer == rule.traffic.peer && reaches(&other.traffic, port))
    };
    let loses = |rule: &&Rule, port: &Ports| reaches(&rule.traffic, port) && !kept(rule, port);
    let web: Vec<Ports> = WEB.iter().map(|port| ports(port)).collect();
    let web: Vec<&Rule> = gone.iter().copied().filter(|rule| web.iter().any(|port| loses(rule, port))).collect();
    if !web.is_empty() && balancers(&users) > 0 {
        let only = balancers(&users) == users.total() && !users.more;
        let says = format!(
            "load balancers use the group, and {} lets their clients in on 80 or 443: give those rules of their own, or set \
             WideRanges=split",
            named(web)
        );
        warn("load-balancer", only, says);
    }
    if !whole && gone.iter().any(|rule| is_everything(&rule.traffic)) {
        let says = "other protocols than TCP, UDP and ICMP (GRE, ESP) are cut off: no rule can say \"the others\"";
        warn("other-protocols", false, says.to_owned());
    }
    if gone.iter().any(|rule| matches!(rule.traffic.peer, Peer::PrefixList(_))) {
        let says = "a prefix list goes whole, with the narrow ranges that it holds besides the wide ones";
        warn("prefix-list", false, says.to_owned());
    }
    risks
}

fn balancers(users: &Users) -> usize {
    [Kind::LoadBalancer, Kind::NetworkLoadBalancer].iter().filter_map(|kind| users.kinds.get(kind)).sum()
}

/// The drift that is not ours to mend.
pub fn hindrance(state: &State) -> Option<Hindrance> {
    if let Some(owner) = &state.foreign {
        state.offending().next()?;
        return Some(Hindrance {
            id: "other-account",
            says: format!(
                "{} opens the group, which belongs to account {} (a shared VPC or a shared group): its rules are for that \
                 account to close",
                named(state.offending()),
                remediation::shown(owner)
            ),
        });
    }
    state.unclear().next()?;
    Some(Hindrance {
        id: "source-unknown",
        says: format!(
            "whom {} lets in cannot be told: the prefix list is gone or no longer shared with this account, or the source is \
             of a new kind; look at it and revoke it by hand",
            named(state.unclear())
        ),
    })
}

/// What there is to know besides.
pub fn notes(state: &State) -> Vec<String> {
    let mut notes = Vec::new();
    if state.drifted() {
        notes.extend(state.users.as_ref().map(exposure));
        notes.extend(state.group.keepers.iter().map(ec2::Keeper::advice));
        if state.group.is_default() {
            notes.push(
                "it is the default group of its VPC, which should have no rules at all: ec2-default-security-group sees to \
                 that"
                    .to_owned(),
            );
        }
    }
    let besides = WEB.iter().map(|port| ports(port)).fold(Ports::default(), |web, port| web.or(&port)).others();
    let left = |rule: &&Rule| {
        reaches(&rule.traffic, &besides)
            && !state.policy.forbids(&rule.traffic, &state.lists)
            && state.policy.source(&rule.traffic.peer, &state.lists) == Source::World
    };
    if state.rules.iter().any(|rule| left(&rule)) {
        notes.push(format!(
            "open to the world besides 80 and 443, which this deployment allows: {}; Security Hub's EC2.18 and EC2.19 may \
             not, and AuthorizedPorts closes what it does not name",
            named(state.rules.iter().filter(left))
        ));
    }
    notes
}

/// How real the exposure is.
fn exposure(users: &Users) -> String {
    if users.total() == 0 {
        return "nothing uses the group at this moment: the opening is latent".to_owned();
    }
    let public = match users.public {
        0 => "none of it has a public address, so the world gets in only by way of a load balancer, a peering or a VPN"
            .to_owned(),
        public => format!("{public} of it with a public address"),
    };
    format!("in use by {users}; {public}")
}
