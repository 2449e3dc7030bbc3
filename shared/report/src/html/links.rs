//! Which record is shown whole, and where on the page each thing is.

use crate::model::{End, Entry, Report};
use std::collections::{HashMap, HashSet};

/// So many records are shown whole; of more, the file would be slow to open. The JSON file has them all.
pub(super) const WHOLE: usize = 1_000;

/// Where on the page things are.
#[derive(Debug)]
pub(super) struct Links<'a> {
    records: HashMap<&'a str, (usize, String)>,
    episodes: HashSet<usize>,
    /// The records that are shown whole, in the report's order, each with its anchor.
    pub(super) whole: Vec<(&'a Entry, String)>,
}

impl<'a> Links<'a> {
    /// Chooses what is shown whole: all, or else what is about drift that is not over, and then the latest.
    pub(super) fn new(report: &'a Report) -> Self {
        let pending: HashSet<usize> =
            report.episodes.iter().filter(|e| e.ended.is_none() && e.end != End::Unseen).map(|e| e.number).collect();
        let matters = |entry: &Entry| entry.episode.is_some_and(|number| pending.contains(&number));
        let mut order: Vec<(bool, usize, &Entry)> =
            report.records.iter().enumerate().map(|(place, entry)| (!matters(entry), place, entry)).collect();
        order.sort_by_key(|(other, place, _)| (*other, *place));
        order.truncate(WHOLE);
        order.sort_by_key(|(_, place, _)| *place);
        let mut whole = Vec::with_capacity(order.len());
        let mut records = HashMap::new();
        let mut taken = HashSet::new();
        for (_, _, entry) in order {
            let mut anchor = format!("record-{}", safe(id(entry)));
            // Ids are unique where they come from; should two be alike here, the second is still to be found.
            while !taken.insert(anchor.clone()) {
                anchor.push('_');
            }
            records.entry(id(entry)).or_insert_with(|| (whole.len() + 1, anchor.clone()));
            whole.push((entry, anchor));
        }
        Self { records, episodes: report.episodes.iter().map(|episode| episode.number).collect(), whole }
    }

    /// A record's number on the page, and its anchor; none if it is not shown whole.
    pub(super) fn record(&self, id: &str) -> Option<(usize, &str)> {
        self.records.get(id).map(|(number, anchor)| (*number, anchor.as_str()))
    }

    /// Whether there is such an episode on the page.
    pub(super) fn has_episode(&self, number: usize) -> bool {
        self.episodes.contains(&number)
    }
}

/// An episode's anchor.
pub(super) fn episode(number: usize) -> String {
    format!("episode-{number}")
}

/// A record's id.
pub(super) fn id(entry: &Entry) -> &str {
    entry.record.get("id").and_then(serde_json::Value::as_str).unwrap_or("")
}

/// An id as part of an anchor: what is not plain in an address becomes its number.
fn safe(id: &str) -> String {
    use std::fmt::Write;
    let mut safe = String::with_capacity(id.len());
    for c in id.chars().take(200) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') {
            safe.push(c);
        } else {
            let _ = write!(safe, "~{:x}", u32::from(c));
        }
    }
    safe
}
