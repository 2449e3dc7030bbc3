//! How much of the public internet a source of traffic is.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much of the public internet some CIDRs are together, of each protocol: as many public addresses as a prefix of this
/// length has, at least; 0 if all there are, none if not even one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Of IPv4.
    pub ipv4: Option<u8>,
    /// Of IPv6.
    pub ipv6: Option<u8>,
}

/// Addresses from the first to the last.
type Range = (u128, u128);

/// IPv4 that no packet from the internet comes from: private, shared, loopback, link-local, benchmarks, multicast and
/// reserved. <https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml>
const NOT_PUBLIC: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([224, 0, 0, 0], 3),
];

/// IPv6 that packets from the internet come from: global unicast, 2000::/3.
/// <https://www.iana.org/assignments/ipv6-address-space/ipv6-address-space.xhtml>
const PUBLIC_V6: Range = (0x2000_u128 << 112, (0x4000_u128 << 112) - 1);

impl Reach {
    /// Of one CIDR or several together; none if one of them cannot be read. Host bits do not matter, nor how a CIDR is
    /// spelled (`0::/0`).
    pub fn of<'a>(cidrs: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (mut v4, mut v6): (Vec<Range>, Vec<Range>) = (Vec::new(), Vec::new());
        for cidr in cidrs {
            match parse(cidr)? {
                (4, range) => v4.push(range),
                (_, range) => v6.push(range),
            }
        }
        let not_public: Vec<Range> =
            NOT_PUBLIC.iter().map(|(address, length)| range4(Ipv4Addr::from(*address), *length)).collect();
        let everything = size(&subtract(&[(0, u128::from(u32::MAX))], &not_public));
        let of_v4 = length(size(&subtract(&merge(v4), &not_public)), everything, 32);
        let inside = |range: Range| {
            let both = (range.0.max(PUBLIC_V6.0), range.1.min(PUBLIC_V6.1));
            (both.0 <= both.1).then_some(both)
        };
        let v6 = merge(v6.into_iter().filter_map(inside).collect());
        Some(Self { ipv4: of_v4, ipv6: length(size(&v6), size(&[PUBLIC_V6]), 128) })
    }

    /// Whether it is the world, or as good as: as many addresses as these prefixes have, or more.
    pub fn is_world(self, ipv4: u8, ipv6: u8) -> bool {
        self.ipv4.is_some_and(|length| length <= ipv4) || self.ipv6.is_some_and(|length| length <= ipv6)
    }
}

/// The IP version of a CIDR and its addresses.
fn parse(cidr: &str) -> Option<(u8, Range)> {
    let (address, length) = cidr.split_once('/')?;
    let length = length.bytes().all(|b| b.is_ascii_digit()).then(|| length.parse::<u8>().ok()).flatten()?;
    match address.parse().ok()? {
        IpAddr::V4(address) if length <= 32 => Some((4, range4(address, length))),
        IpAddr::V6(address) if length <= 128 => Some((6, range6(address, length))),
        _ => None,
    }
}

fn range4(address: Ipv4Addr, length: u8) -> Range {
    let host = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    let first = address.to_bits() & !host;
    (u128::from(first), u128::from(first | host))
}

fn range6(address: Ipv6Addr, length: u8) -> Range {
    let host = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    let first = address.to_bits() & !host;
    (first, first | host)
}

fn merge(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut merged: Vec<Range> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// `from` less `holes`; both in order and without overlaps.
fn subtract(from: &[Range], holes: &[Range]) -> Vec<Range> {
    let mut left = Vec::new();
    for (first, last) in from {
        let mut next = *first;
        for (begin, end) in holes.iter().filter(|hole| hole.1 >= *first && hole.0 <= *last) {
            if next < *begin {
                left.push((next, begin - 1));
            }
            next = next.max(end + 1);
        }
        if next <= *last {
            left.push((next, *last));
        }
    }
    left
}

/// How many addresses there are in ranges that do not overlap, less than all of IPv6.
fn size(ranges: &[Range]) -> u128 {
    ranges.iter().fold(0, |sum: u128, (first, last)| sum.saturating_add(last - first + 1))
}

/// The length of the longest prefix with at most that many addresses.
fn length(size: u128, everything: u128, bits: u8) -> Option<u8> {
    if size == everything {
        return Some(0);
    }
    let log = u8::try_from(size.checked_ilog2()?).ok()?;
    Some(bits.saturating_sub(log))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(cidrs: &[&str]) -> (Option<u8>, Option<u8>) {
        let reach = Reach::of(cidrs.iter().copied()).unwrap();
        (reach.ipv4, reach.ipv6)
    }

    #[test]
    fn the_world_in_every_spelling() {
        for world in ["0.0.0.0/0", "1.2.3.4/0", "0.0.0.0/00"] {
            assert_eq!(reach(&[world]), (Some(0), None), "{world}");
        }
        for world in ["::/0", "0::/0", "::0/0", "0:0:0:0:0:0:0:0/0", "2001:db8::1/0", "2000::/3"] {
            assert_eq!(reach(&[world]), (None, Some(0)), "{world}");
        }
    }

    #[test]
    fn parts_of_the_world() {
        for (cidrs, expected) in [
            (&["0.0.0.0/1"][..], (Some(2), None)),
            (&["128.0.0.0/1"], (Some(2), None)),
            (&["0.0.0.0/1", "128.0.0.0/1"], (Some(0), None)),
            (&["8.0.0.0/8"], (Some(8), None)),
            (&["8.0.0.0/7"], (Some(7), None)),
            (&["8.8.8.8/32"], (Some(32), None)),
            (&["198.51.100.24/32", "203.0.113.0/24"], (Some(24), None)),
            (&["10.0.0.0/7"], (Some(8), None)),
            (&["2600::/12"], (None, Some(12))),
            (&["2001:db8::/32"], (None, Some(32))),
            (&["2001:db8::1/128"], (None, Some(128))),
            (&["8000::/1"], (None, None)),
            (&["::/1"], (None, Some(0))),
            (&["8.0.0.0/9", "8.128.0.0/9", "8.1.0.0/16"], (Some(8), None)),
            (&["203.0.113.0/24", "2001:db8::/48"], (Some(24), Some(48))),
            (&[], (None, None)),
        ] {
            assert_eq!(reach(cidrs), expected, "{cidrs:?}");
        }
    }

    #[test]
    fn what_is_not_on_the_internet() {
        for private in [
            "10.0.0.0/8",
            "10.1.2.3/32",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "255.255.255.255/32",
            "fc00::/7",
            "fe80::/10",
            "::1/128",
        ] {
            assert_eq!(reach(&[private]), (None, None), "{private}");
        }
    }

    #[test]
    fn what_is_no_cidr() {
        for bad in [
            "",
            "0.0.0.0",
            "0.0.0.0/33",
            "::/129",
            "0.0.0.0/",
            "0.0.0.0/-1",
            "0.0.0.0/+0",
            "any/0",
            "256.0.0.0/8",
            "/0",
        ] {
            assert_eq!(Reach::of([bad]), None, "{bad:?}");
        }
        assert_eq!(Reach::of(["10.0.0.0/8", "x"]), None, "one is enough");
    }

    #[test]
    fn a_list_of_small_ranges_can_be_the_world() {
        let nines: Vec<String> = (0..=255).flat_map(|a| [format!("{a}.0.0.0/9"), format!("{a}.128.0.0/9")]).collect();
        assert_eq!(Reach::of(nines.iter().map(String::as_str)).unwrap().ipv4, Some(0));
        let few: Vec<String> = (1..=9).map(|a| format!("{a}.0.0.0/16")).collect();
        assert_eq!(Reach::of(few.iter().map(String::as_str)).unwrap().ipv4, Some(13));
    }

    #[test]
    fn how_wide_is_the_world() {
        let of = |cidr| Reach::of([cidr]).unwrap();
        assert!(of("0.0.0.0/0").is_world(0, 0) && of("::/0").is_world(0, 0));
        assert!(of("8.0.0.0/8").is_world(8, 16) && !of("8.0.0.0/9").is_world(8, 16));
        assert!(of("2600::/16").is_world(8, 16) && !of("2600::/17").is_world(8, 16));
        assert!(!of("10.0.0.0/8").is_world(32, 128));
        assert!(!of("0.0.0.0/1").is_world(0, 0));
    }
}
