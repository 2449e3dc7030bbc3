//! The pieces of evidence of a period: found by their names, read a few at a time, the latest of each record kept.

use super::merge::{Read, slim};
use super::{AT_ONCE, Gaps, Wanted, account_of, day_of, key_of, shown};
use crate::fact::Key;
use crate::model::Piece;
use evidence::{FOLDER, Kind, Problem, Report, Shelf, hash, seq_of};
use futures_util::{StreamExt, stream};
use ledger::Trouble;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use time::{Date, Month};

/// An object, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) key: String,
    /// The day on which its record began.
    pub(super) day: Date,
    seq: u64,
    deleted: bool,
}

/// The names of the pieces since the beginning of what is wanted. What is no piece of evidence is told by whoever checks it.
pub(super) async fn names(shelf: &dyn Shelf, wanted: &Wanted) -> Result<Vec<Name>, Trouble> {
    let (first, last) = (day_of(wanted.since()), day_of(wanted.to.min(wanted.now)));
    let mut names = Vec::new();
    let mut lists = stream::iter(months(first, last)).map(|month| async move { shelf.list(&month).await }).buffered(4);
    while let Some(listed) = lists.next().await {
        let name = |listed: evidence::Listed| {
            let (seq, day) = (seq_of(&listed.key)?, day_in(&listed.key)?);
            Some(Name { key: listed.key, day, seq, deleted: listed.deleted })
        };
        names.extend(listed?.into_iter().filter_map(name).filter(|each| each.day >= first && each.day <= last));
    }
    Ok(names)
}

/// The folders of the months from one day to another: `records/2026/01/`.
fn months(first: Date, last: Date) -> Vec<String> {
    let (mut year, mut month) = (first.year(), first.month());
    let mut folders = Vec::new();
    while (year, u8::from(month)) <= (last.year(), u8::from(last.month())) {
        folders.push(format!("{FOLDER}{year:04}/{:02}/", u8::from(month)));
        (year, month) = if month == Month::December { (year + 1, Month::January) } else { (year, month.next()) };
    }
    folders
}

fn day_in(key: &str) -> Option<Date> {
    let mut parts = key.strip_prefix(FOLDER)?.split('/').map(str::parse::<u16>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()
}

/// What is to be made of an object, by what came of checking it.
enum Worth {
    /// It is as it was written, or nobody said otherwise.
    Reading,
    /// This version of it is as it was written.
    Version(String),
    /// It is nothing to believe: why.
    Nothing(&'static str),
}

fn worth(name: &Name, problem: Option<&Problem>) -> Worth {
    match problem.map(|problem| (problem.kind, problem.intact.clone())) {
        Some((Kind::Changed | Kind::Deleted, Some(version))) => Worth::Version(version),
        Some((Kind::Changed, None)) => Worth::Nothing("was changed, and no version of it is intact"),
        Some((Kind::Deleted, None)) => Worth::Nothing("was deleted, and no version of it is intact"),
        Some((Kind::Duplicate, _)) => Worth::Nothing("is not the one that the chain has"),
        Some((Kind::Beyond, _)) => Worth::Nothing("is behind the end of the chain"),
        Some((Kind::Misplaced, _)) => Worth::Nothing("holds another piece than its name says"),
        Some((Kind::Malformed, _)) => Worth::Nothing("is not in the form of evidence"),
        _ if name.deleted => Worth::Nothing("was deleted"),
        // Whatever is before a break is told as not proved, and is all that there is.
        _ => Worth::Reading,
    }
}

/// Reads these pieces, and keeps the latest of each record.
pub(super) async fn read(
    shelf: &dyn Shelf,
    names: Vec<Name>,
    checked: Option<&Report>,
    wanted: &Wanted,
    read: &mut HashMap<Key, Read>,
    gaps: &mut Gaps,
) {
    let problems: BTreeMap<&str, &Problem> = checked
        .into_iter()
        .flat_map(|report| report.problems.iter().rev())
        .filter_map(|problem| Some((problem.key.as_deref()?, problem)))
        .collect();
    let fetch = |name: Name| {
        let worth = worth(&name, problems.get(name.key.as_str()).copied());
        async move {
            let bytes = match worth {
                Worth::Reading => shelf.get(&name.key).await,
                Worth::Version(id) => shelf.version(&name.key, &id).await,
                Worth::Nothing(why) => return (name, Err(why.to_owned())),
            };
            let bytes = match bytes {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err("was there and is not".to_owned()),
                Err(trouble) => Err(format!("could not be read: {trouble}")),
            };
            (name, bytes)
        }
    };
    let mut pieces = stream::iter(names.into_iter().map(fetch)).buffered(AT_ONCE);
    while let Some((name, bytes)) = pieces.next().await {
        let understood = bytes.and_then(|bytes| understood(&name, &bytes));
        let (piece, mut record) = match understood {
            Ok(read) => read,
            Err(what) => {
                let says = format!("the record in the evidence {} is left out: it {what}", shown(&name.key));
                gaps.tell("pieces of evidence", says);
                continue;
            }
        };
        let Some(key) = key_of(&record) else {
            let says =
                format!("the record in the evidence {} is left out: it has no id or no beginning", shown(&name.key));
            gaps.tell("pieces of evidence", says);
            continue;
        };
        let account = account_of(&record).unwrap_or_default();
        if key.began < wanted.since() || key.began >= wanted.to || !wanted.is_of(&account) {
            continue;
        }
        if key.began < wanted.from {
            slim(&mut record);
        }
        let known = read.entry(key).or_default();
        if known.piece.as_ref().is_none_or(|(known, _)| known.seq < piece.seq) {
            known.piece = Some((piece, record));
        }
    }
}

fn understood(name: &Name, bytes: &[u8]) -> Result<(Piece, Value), String> {
    let mut said: Value = serde_json::from_slice(bytes).map_err(|_| "is not JSON".to_owned())?;
    let record = said.get_mut("record").map(Value::take).filter(Value::is_object);
    let record = record.ok_or_else(|| "holds no record".to_owned())?;
    Ok((Piece { seq: name.seq, key: name.key.clone(), hash: hash(bytes) }, record))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_months_of_a_span() {
        let date = |year, month, day| Date::from_calendar_date(year, month, day).unwrap();
        let today = date(2026, Month::November, 22);
        assert_eq!(months(today, today), ["records/2026/11/"]);
        let (first, last) = (date(2025, Month::December, 31), date(2026, Month::February, 1));
        let over = months(first, last);
        assert_eq!(over, ["records/2025/12/", "records/2026/01/", "records/2026/02/"]);
        assert!(months(last, first).is_empty());
    }

    #[test]
    fn the_day_in_a_name() {
        assert_eq!(
            day_in("records/2026/01/15/000000000042-r.json"),
            Date::from_calendar_date(2026, Month::January, 15).ok()
        );
        for wrong in ["records/2026/13/15/x", "records/2026/02/30/x", "records/x", "2026/01/15/x"] {
            assert_eq!(day_in(wrong), None, "{wrong}");
        }
    }
}
