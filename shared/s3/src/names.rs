//! Names of resources for a record: the first few, and how many there are.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Names, of which only the first [`Names::KEPT`] are kept, in alphabetical order: a record must stay small, whatever
/// the account holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// How many there are.
    pub count: usize,
    /// The first of them.
    pub first: Vec<String>,
}

impl Names {
    /// How many names are kept.
    pub const KEPT: usize = 50;

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one. The outcome does not depend on the order in which names are added.
    pub fn add(&mut self, name: impl Into<String>) {
        let name = name.into();
        self.count += 1;
        let at = self.first.partition_point(|kept| *kept < name);
        if at < Self::KEPT {
            self.first.insert(at, name);
            self.first.truncate(Self::KEPT);
        }
    }

    /// Adds one unless it is among those that are kept.
    pub fn add_once(&mut self, name: impl Into<String>) {
        let name = name.into();
        if !self.first.contains(&name) {
            self.add(name);
        }
    }
}

impl fmt::Display for Names {
    /// A handful of names and how many more there are: `3 (archive, clinic-scans, patient-forms)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TOLD: usize = 10;
        let told: Vec<&str> = self.first.iter().take(TOLD).map(String::as_str).collect();
        write!(f, "{} ({}", self.count, told.join(", "))?;
        match self.count.saturating_sub(told.len()) {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_whatever_the_order() {
        let all: Vec<String> = (0..200).map(|n| format!("b{n:03}")).collect();
        let (mut up, mut down) = (Names::default(), Names::default());
        for (next, last) in all.iter().zip(all.iter().rev()) {
            up.add(next);
            down.add(last);
        }
        assert_eq!(up, down);
        assert_eq!((up.count, up.first.len()), (200, Names::KEPT));
        assert_eq!(up.first.first().unwrap(), "b000");
        assert!(up.to_string().ends_with("b009 and 190 more)") && up.to_string().starts_with("200 (b000, "), "{up}");
    }

    #[test]
    fn a_few_are_told_whole_and_once() {
        let mut names = Names::default();
        for name in ["b", "a", "b"] {
            names.add_once(name);
        }
        assert_eq!(names.to_string(), "2 (a, b)");
    }
}
