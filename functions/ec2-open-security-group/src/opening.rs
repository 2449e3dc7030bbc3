//! What a rule opens: the pure judgement of single rules.

use crate::ports::Ports;
use crate::world::Reach;
use ec2::{Direction, Peer, Rule, Traffic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What no rule may open to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// TCP ports that may not be open to the world.
    pub tcp: Ports,
    /// UDP ports that may not be open to the world.
    pub udp: Ports,
    /// A source with as many public IPv4 addresses as a prefix of this length is the world.
    pub world_ipv4: u8,
    /// The same of IPv6.
    pub world_ipv6: u8,
}

/// What prefix lists hold, by their ids; none for a list that cannot be read.
pub type Lists = BTreeMap<String, Option<Reach>>;

/// Whom a rule lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The world, or as good as.
    World,
    /// Somebody in particular.
    Narrow,
    /// It cannot be told.
    Unknown,
}

/// The ports of one protocol that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// TCP ports, the first and the last.
    Tcp(u16, u16),
    /// UDP ports, the first and the last.
    Udp(u16, u16),
    /// Every port of every protocol.
    Everything,
    /// A protocol without ports (ICMP, whose type and code stand where ports do; GRE, ESP, …).
    Portless,
}

fn span(traffic: &Traffic) -> Span {
    // EC2 says -1 or nothing for all; a range that is no range of ports is all of them, to be on the safe side.
    let (first, last) = match (traffic.from_port, traffic.to_port) {
        (None | Some(-1), _) => (0, u16::MAX),
        (Some(first), last) => {
            let last = last.filter(|last| *last != -1).unwrap_or(first);
            match (u16::try_from(first), u16::try_from(last)) {
                (Ok(first), Ok(last)) if first <= last => (first, last),
                _ => (0, u16::MAX),
            }
        }
    };
    match traffic.protocol.to_ascii_lowercase().as_str() {
        "tcp" | "6" => Span::Tcp(first, last),
        "udp" | "17" => Span::Udp(first, last),
        "-1" | "all" => Span::Everything,
        _ => Span::Portless,
    }
}

impl Policy {
    /// Whether the traffic goes to a port that may not be open, whoever it comes from.
    pub fn minds(&self, traffic: &Traffic) -> bool {
        traffic.direction == Direction::Ingress
            && match span(traffic) {
                Span::Tcp(first, last) => self.tcp.overlaps(first, last),
                Span::Udp(first, last) => self.udp.overlaps(first, last),
                Span::Everything => !self.tcp.is_empty() || !self.udp.is_empty(),
                Span::Portless => false,
            }
    }

    /// Whom a rule lets in.
    pub fn source(&self, peer: &Peer, lists: &Lists) -> Source {
        let reach = match peer {
            Peer::CidrIpv4(cidr) | Peer::CidrIpv6(cidr) => Reach::of([cidr.as_str()]),
            Peer::PrefixList(list) => lists.get(list).copied().flatten(),
            // A group's members are somebody in particular, in whatever account.
            Peer::Group(_) => return Source::Narrow,
            Peer::Unknown => None,
        };
        match reach {
            Some(reach) if reach.is_world(self.world_ipv4, self.world_ipv6) => Source::World,
            Some(_) => Source::Narrow,
            None => Source::Unknown,
        }
    }

    /// Whether the rule opens to the world what may not be open to it.
    pub fn forbids(&self, traffic: &Traffic, lists: &Lists) -> bool {
        self.minds(traffic) && self.source(&traffic.peer, lists) == Source::World
    }

    /// What of a rule may stay: rules for the same source with the same description and tags that together let through no
    /// more than it did. Of a rule for all protocols that is TCP, UDP and ICMP; there is no way to say "the others".
    pub fn rest(&self, rule: &Rule, lists: &Lists) -> Vec<Rule> {
        let with = |protocol: &str, first: i32, last: i32| Rule {
            id: None,
            traffic: Traffic {
                protocol: protocol.to_owned(),
                from_port: Some(first),
                to_port: Some(last),
                ..rule.traffic.clone()
            },
            ..rule.clone()
        };
        let ports = |protocol: &str, ranges: Vec<(u16, u16)>| -> Vec<Rule> {
            ranges.into_iter().map(|(first, last)| with(protocol, first.into(), last.into())).collect()
        };
        match span(&rule.traffic) {
            Span::Tcp(first, last) => ports("tcp", self.tcp.outside(first, last)),
            Span::Udp(first, last) => ports("udp", self.udp.outside(first, last)),
            Span::Everything => {
                let mut rest = ports("tcp", self.tcp.others().ranges());
                rest.extend(ports("udp", self.udp.others().ranges()));
                rest.push(with(if is_ipv6(&rule.traffic.peer, lists) { "icmpv6" } else { "icmp" }, -1, -1));
                rest
            }
            Span::Portless => vec![],
        }
    }
}

/// Whether the traffic goes to one of these ports, by TCP or UDP, if only as one of all.
pub fn reaches(traffic: &Traffic, ports: &Ports) -> bool {
    match span(traffic) {
        Span::Tcp(first, last) | Span::Udp(first, last) => ports.overlaps(first, last),
        Span::Everything => true,
        Span::Portless => false,
    }
}

/// Whether the traffic is of all protocols.
pub fn is_everything(traffic: &Traffic) -> bool {
    span(traffic) == Span::Everything
}

fn is_ipv6(peer: &Peer, lists: &Lists) -> bool {
    match peer {
        Peer::CidrIpv6(_) => true,
        // A prefix list is of one address family.
        Peer::PrefixList(list) => lists.get(list).copied().flatten().is_some_and(|reach| reach.ipv6.is_some()),
        _ => false,
    }
}
