//! What an operator can set.

use ec2::{Direction, Peer, Rule, Traffic};
use remediation::shown;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The widest ranges that may reach what is in quarantine: whoever sets a wider one has not understood the setting.
const WIDEST: (u32, u32) = (16, 48);

/// What an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Where forensic tools may come from.
    pub forensics_cidr: Forensics,
    /// What to do about connections that are open already.
    pub established: Established,
    /// How many interfaces one request may cut off.
    pub most_interfaces: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { forensics_cidr: Forensics::default(), established: Established::Cut, most_interfaces: 20 }
    }
}

/// What to do about connections that are open already. Security groups track them, and a change of groups leaves them
/// be.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Established {
    /// Cut them: by way of a group that is open both ways, which ends their tracking.
    Cut,
    /// Leave them until they fall idle; then nothing is ever opened.
    Leave,
}

/// Ranges that may reach what is in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Forensics(Vec<Peer>);

impl Forensics {
    /// The rules of the quarantine group, by their traffic in order: none, unless ranges are set. Only ways in; what
    /// answers goes out along the connection that it answers.
    pub fn rules(&self) -> Vec<Rule> {
        let rule = |peer: &Peer| Rule {
            description: Some("forensics".to_owned()),
            ..all_traffic(Direction::Ingress, peer.clone())
        };
        let mut rules: Vec<Rule> = self.0.iter().map(rule).collect();
        rules.sort_by(|a, b| a.traffic.cmp(&b.traffic));
        rules
    }
}

impl TryFrom<String> for Forensics {
    type Error = String;
    /// CIDRs by commas. A range that is the world's, or nearly, is refused when the function starts.
    fn try_from(text: String) -> Result<Self, String> {
        let mut peers = Vec::new();
        for cidr in text.split(',').map(str::trim).filter(|cidr| !cidr.is_empty()) {
            let peer = peer(cidr)?;
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        Ok(Self(peers))
    }
}

fn peer(cidr: &str) -> Result<Peer, String> {
    let wrong = |why: &str| format!("{} is no range for forensics: {why}", shown(cidr));
    let shape = || wrong("it must be like 10.1.2.0/24");
    let (address, length) = cidr.split_once('/').ok_or_else(shape)?;
    let length: u32 = length.parse().map_err(|_| shape())?;
    // Written as EC2 writes them: what is read back is to compare alike.
    let (bits, rest, widest, peer) = if let Ok(address) = address.parse::<Ipv4Addr>() {
        (32, u128::from(address.to_bits()), WIDEST.0, Peer::CidrIpv4(format!("{address}/{length}")))
    } else {
        let address = address.parse::<Ipv6Addr>().map_err(|_| shape())?;
        (128, address.to_bits(), WIDEST.1, Peer::CidrIpv6(format!("{address}/{length}")))
    };
    if length > bits {
        return Err(shape());
    }
    if length < widest {
        return Err(wrong(&format!("nothing wider than /{widest} may reach what is in quarantine")));
    }
    let host = bits - length;
    if host > 0 && rest & (u128::MAX >> (128 - host)) != 0 {
        return Err(wrong("it has bits set beyond its length"));
    }
    Ok(peer)
}

/// A rule for all traffic, as it is once it was read: such rules have no ports.
pub fn all_traffic(direction: Direction, peer: Peer) -> Rule {
    let traffic = Traffic { direction, protocol: "-1".to_owned(), from_port: None, to_port: None, peer };
    Rule { id: None, traffic, description: None, tags: BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_for_forensics() {
        let rules = |text: &str| Forensics::try_from(text.to_owned()).map(|forensics| forensics.rules());
        assert_eq!(rules("").unwrap(), []);
        let set = rules(" 10.1.2.0/24,2001:0db8:1:0::/048, 10.1.2.0/24,").unwrap();
        let shown: Vec<String> = set.iter().map(|rule| rule.traffic.to_string()).collect();
        assert_eq!(shown, ["all traffic from 10.1.2.0/24", "all traffic from 2001:db8:1::/48"]);
        assert!(set.iter().all(|rule| rule.traffic.direction == Direction::Ingress));
        for (bad, says) in [
            ("0.0.0.0/0", "nothing wider than /16"),
            ("10.0.0.0/8", "nothing wider than /16"),
            ("::/0", "nothing wider than /48"),
            ("10.1.2.0/33", "it must be like"),
            ("10.1.2.0", "it must be like"),
            ("10.1.2.x/24", "it must be like"),
            ("10.1.2.1/24", "beyond its length"),
            ("2001:db8:1::1/64", "beyond its length"),
            ("sg-0123456789abcdef0", "it must be like"),
        ] {
            let error = rules(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
        assert!(rules("10.1.2.3/32").is_ok() && rules("2001:db8::1/128").is_ok());
    }
}
