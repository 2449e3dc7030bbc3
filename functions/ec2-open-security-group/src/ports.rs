//! Sets of ports.

use remediation::shown;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of ports, as ranges in order that neither overlap nor touch. As text: `22,3389,27017-27019`; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ports(Vec<(u16, u16)>);

impl Ports {
    /// Takes ports and ranges of ports, separated by commas; spaces do not matter. Otherwise says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| format!("{} is no port and no range of ports, such as 22 or 27017-27019", shown(part));
        let port = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (port(first.trim()), port(last.trim())) {
                (Some(first), Some(last)) if first <= last => ranges.push((first, last)),
                _ => return Err(wrong(part)),
            }
        }
        Ok(Self::of(ranges))
    }

    /// Every port there is.
    pub fn all() -> Self {
        Self(vec![(0, u16::MAX)])
    }

    fn of(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if u32::from(first) <= u32::from(before.1) + 1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// What is in either set.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    /// All ports that are not in the set.
    #[must_use]
    pub fn others(&self) -> Self {
        Self(self.outside(0, u16::MAX))
    }

    /// The ranges from `first` to `last` that are not in the set, in order.
    pub fn outside(&self, first: u16, last: u16) -> Vec<(u16, u16)> {
        let mut outside = Vec::new();
        let mut next = Some(first);
        for (from, to) in self.0.iter().filter(|range| range.1 >= first && range.0 <= last) {
            if let Some(start) = next
                && start < *from
            {
                outside.push((start, from - 1));
            }
            next = to.checked_add(1);
        }
        if let Some(start) = next.filter(|start| *start <= last) {
            outside.push((start, last));
        }
        outside
    }

    /// Whether any port from `first` to `last` is in the set.
    pub fn overlaps(&self, first: u16, last: u16) -> bool {
        self.0.iter().any(|range| range.0 <= last && first <= range.1)
    }

    /// The set, as ranges in order.
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        self.0.clone()
    }

    /// Whether there is no port in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl TryFrom<String> for Ports {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> String {
        ports.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        for (text, ports) in [
            ("", ""),
            ("  ", ""),
            ("22", "22"),
            ("3389, 22", "22,3389"),
            ("20-21,22,23", "20-23"),
            ("1-10,5-7,11", "1-11"),
            ("443, 1020 - 1025", "443,1020-1025"),
            ("65535,0", "0,65535"),
            ("65534-65535,0-65534", "0-65535"),
        ] {
            assert_eq!(Ports::parse(text).unwrap().to_string(), ports, "{text:?}");
        }
        for bad in [
            "ssh",
            "22,",
            ",",
            "22,,23",
            "65536",
            "-1",
            "+22",
            "22-",
            "30-20",
            "22;23",
            "{{ports}}",
            "22\n23",
            "٢٢",
            "1-2-3",
        ] {
            assert!(Ports::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_range() {
        let closed = Ports::parse("22,3389").unwrap();
        for (first, last, outside) in [
            (0, 65535, vec![(0, 21), (23, 3388), (3390, 65535)]),
            (20, 8080, vec![(20, 21), (23, 3388), (3390, 8080)]),
            (22, 22, vec![]),
            (22, 23, vec![(23, 23)]),
            (443, 443, vec![(443, 443)]),
        ] {
            assert_eq!(closed.outside(first, last), outside, "{first}-{last}");
        }
        assert_eq!(Ports::parse("80,443").unwrap().others().to_string(), "0-79,81-442,444-65535");
        assert_eq!(Ports::all().others(), Ports::default());
        assert_eq!(Ports::default().others(), Ports::all());
        assert_eq!(Ports::parse("0,65535").unwrap().outside(0, 65535), [(1, 65534)]);
    }

    proptest! {
        #[test]
        fn every_port_is_in_the_set_or_outside_it(
            ranges in prop::collection::vec((0u16..200, 0u16..20), 0..6), first in 0u16..200, length in 0u16..100, port in 0u16..300,
        ) {
            let set = Ports::of(ranges.iter().map(|(from, length)| (*from, from + length)).collect());
            let last = first + length;
            let inside = ranges.iter().any(|(from, length)| (*from..=from + length).contains(&port));
            prop_assert_eq!(set.overlaps(port, port), inside);
            let outside = set.outside(first, last).iter().any(|(from, to)| (*from..=*to).contains(&port));
            prop_assert_eq!(outside, (first..=last).contains(&port) && !inside);
            prop_assert_eq!(Ports::parse(&set.to_string()).unwrap(), set.clone());
            prop_assert_eq!(set.others().others(), set.clone());
            prop_assert!(set.others().or(&set) == Ports::all());
        }
    }
}
