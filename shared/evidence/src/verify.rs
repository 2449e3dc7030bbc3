//! Whether evidence is all there, and as it was written.
//!
//! From the end to the beginning: the ledger says what the last piece's hash is, and each piece what the one before it has.
//! So each is judged by something that was found to be intact before it, and one that was changed cannot accuse another.

use crate::chain::Known;
use crate::document::{self, FOLDER, Head, NONE_BEFORE, Said, hash};
use crate::shelf::{Listed, Shelf};
use futures_util::{StreamExt, TryStreamExt, stream};
use ledger::{Store, Trouble};
use serde::Serialize;
use std::collections::BTreeMap;
use triggers::ids::shown;

/// How many objects are read at a time.
const AHEAD: usize = 16;
/// How many problems are told one by one.
const TOLD: usize = 1000;
/// How many versions of an object are looked at.
const VERSIONS: usize = 100;

/// What is wrong with a piece of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is not there.
    Missing,
    /// It was deleted; the shelf says so, and may still have its bytes.
    Deleted,
    /// Its bytes are not those that the next piece, or the ledger, has the hash of.
    Changed,
    /// There is another object of its number.
    Duplicate,
    /// It holds another piece than its name says.
    Misplaced,
    /// It is not in the form of evidence.
    Malformed,
    /// It may be as it was written, but the piece that would show it is missing or was changed.
    Unconfirmed,
    /// It is behind the end that the ledger has.
    Beyond,
    /// It is no piece of evidence.
    Foreign,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub kind: Kind,
    /// The number of the piece; the first, if it is about several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The number of the last, if it is about several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// The name of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether the shelf has an older version that is as it was written: its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intact: Option<String>,
    /// The same in one line, for people.
    pub says: String,
}

/// What came of checking a shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many objects there are.
    pub objects: u64,
    /// How many of them are as they were written: the end of the chain proves it.
    pub intact: u64,
    /// How many agree with the piece after them, but lie before a break: whoever made the break could have made them, too.
    pub unproved: u64,
    /// The end of the chain as the ledger has it; none if it was not asked.
    pub head: Option<Head>,
    /// The last piece on the shelf.
    pub last: Option<Head>,
    /// How many pieces have their number, and are not on the shelf yet.
    pub waiting: u64,
    /// What is wrong, the newest piece first.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub more: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.more == 0
    }

    /// The report for people, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} pieces of evidence, {} of them intact", self.objects, self.intact)];
        lines.push(match (&self.head, &self.last) {
            (Some(head), _) => format!("the ledger's chain ends with piece {}, {}", head.seq, head.hash),
            (None, Some(last)) => format!(
                "the ledger was not asked: nothing shows whether there were pieces after {}, or whether {} itself is as it \
                 was written ({})",
                last.seq, last.seq, last.hash
            ),
            (None, None) => "the ledger was not asked: nothing shows whether there ever was any".to_owned(),
        });
        if self.unproved > 0 {
            lines.push(format!(
                "{} lie before a break in the chain: nothing proves that they were not changed",
                self.unproved
            ));
        }
        if self.waiting > 0 {
            lines.push(format!("{} more are in the ledger, to be written within the hour", self.waiting));
        }
        lines.extend(self.problems.iter().map(|problem| problem.says.clone()));
        if self.more > 0 {
            lines.push(format!("and {} problems more", self.more));
        }
        let verdict = if self.is_sound() { "sound: nothing is missing, and nothing was changed" } else { "NOT SOUND" };
        lines.push(verdict.to_owned());
        lines
    }

    fn tell(&mut self, kind: Kind, seq: Option<u64>, key: Option<&str>, intact: Option<String>, says: String) {
        if self.problems.len() < TOLD {
            self.problems.push(Problem { kind, seq, to: None, key: key.map(str::to_owned), intact, says });
        } else {
            self.more += 1;
        }
    }
}

/// Checks a shelf against the ledger, also while evidence is being written.
pub async fn audit(store: &dyn Store, shelf: &dyn Shelf) -> Result<Report, Trouble> {
    let known = Known::read(store).await?;
    let mut report = verify(shelf, Some(&known)).await?;
    if report.problems.iter().any(|problem| problem.kind == Kind::Beyond) {
        // What was written since the ledger was read is behind its end as it was then, not as it is now.
        let now = Known::read(store).await?.head;
        let forged = report.last.as_ref().is_some_and(|last| last.seq == now.seq && last.hash != now.hash);
        let written = |seq: Option<u64>| !forged && seq.is_some_and(|seq| seq > known.head.seq && seq <= now.seq);
        report.problems.retain(|problem| problem.kind != Kind::Beyond || !written(problem.seq));
        report.head = Some(now);
    }
    Ok(report)
}

/// Checks a shelf: against what the ledger knew before the shelf was listed or, with no ledger at hand, as far as the
/// pieces tell of each other. Of each object no more than its name is kept in memory.
pub async fn verify(shelf: &dyn Shelf, known: Option<&Known>) -> Result<Report, Trouble> {
    let mut walk = Walk { shelf, known, report: Report::default(), expects: Expects::Anything };
    walk.report.head = known.map(|known| known.head.clone());
    let mut pieces: BTreeMap<u64, Vec<Listed>> = BTreeMap::new();
    for listed in shelf.list(FOLDER).await? {
        if let Some(seq) = document::seq_of(&listed.key) {
            pieces.entry(seq).or_default().push(listed);
        } else {
            let says = format!("{}: it is no piece of evidence; who put it there?", shown(&listed.key));
            walk.report.tell(Kind::Foreign, None, Some(&listed.key), None, says);
        }
    }
    let end = known.map_or(0, |known| known.head.seq);
    let mut next = pieces.last_key_value().map_or(0, |(seq, _)| *seq).max(end) + 1;
    // Fetched ahead, judged in order.
    let mut fetched =
        stream::iter(pieces.into_iter().rev()).map(|(seq, listed)| fetch(shelf, seq, listed)).buffered(AHEAD);
    while let Some(piece) = fetched.try_next().await? {
        walk.gap(piece.seq + 1, next);
        if known.is_some_and(|known| known.head.seq == piece.seq) {
            walk.expect_head();
        }
        next = piece.seq;
        walk.piece(piece).await?;
    }
    walk.gap(1, next);
    Ok(walk.report)
}

/// The objects of one number, read.
struct Piece {
    seq: u64,
    /// The bytes of those that were not deleted.
    objects: Vec<(Listed, Option<Vec<u8>>)>,
}

async fn fetch(shelf: &dyn Shelf, seq: u64, listed: Vec<Listed>) -> Result<Piece, Trouble> {
    let mut objects = Vec::with_capacity(listed.len());
    for listed in listed {
        let bytes = if listed.deleted { None } else { shelf.get(&listed.key).await? };
        objects.push((listed, bytes));
    }
    Ok(Piece { seq, objects })
}

/// What the piece that comes next ought to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expects {
    /// It has this hash: something intact says so.
    Hash(String),
    /// It has this hash, by the word of something that itself is not proved.
    Hearsay(String),
    /// Nothing says, since what would is missing or cannot be read.
    Unknown,
    /// Nothing says, since it is the last, and the ledger was not asked.
    Anything,
}

struct Walk<'a> {
    shelf: &'a dyn Shelf,
    known: Option<&'a Known>,
    report: Report,
    expects: Expects,
}

impl Walk<'_> {
    fn expect_head(&mut self) {
        if let Some(known) = self.known {
            self.expects = Expects::Hash(known.head.hash.clone());
        }
    }

    /// The pieces from `from` on, and before `before`, are not there.
    fn gap(&mut self, from: u64, before: u64) {
        let mut to = before.saturating_sub(1);
        let open = self.known.into_iter().flat_map(|known| known.open.range(from..before.max(from)).rev());
        for (&seq, previous) in open {
            self.missing(seq + 1, to);
            self.report.waiting += 1;
            self.expects = Expects::Hash(previous.clone());
            to = seq - 1;
        }
        self.missing(from, to);
    }

    fn missing(&mut self, from: u64, to: u64) {
        if from > to || from == 0 {
            return;
        }
        self.expects = Expects::Unknown;
        let says = match (to - from, self.known) {
            (0, _) => format!("piece {from} is missing"),
            (_, Some(known)) if to == known.head.seq => {
                format!("pieces {from} to {to} are missing, the end of the chain")
            }
            _ => format!("pieces {from} to {to} are missing"),
        };
        self.report.tell(Kind::Missing, Some(from), None, None, says);
        if let Some(problem) = self.report.problems.last_mut().filter(|_| to > from) {
            problem.to = Some(to);
        }
    }

    async fn piece(&mut self, piece: Piece) -> Result<(), Trouble> {
        let Piece { seq, objects } = piece;
        self.report.objects += objects.iter().filter(|(_, bytes)| bytes.is_some()).count() as u64;
        let beyond = self.known.is_some_and(|known| seq > known.head.seq);
        if beyond && let Some((listed, _)) = objects.first() {
            let says = format!("piece {seq} ({}) is behind the end that the ledger has; who wrote it?", listed.key);
            self.report.tell(Kind::Beyond, Some(seq), Some(&listed.key), None, says);
        }
        let expected = match &self.expects {
            Expects::Hash(hash) | Expects::Hearsay(hash) => Some(hash.clone()),
            Expects::Unknown | Expects::Anything => None,
        };
        // Which of them is it? The one with the right hash; if none has it, or nobody knows it, the first.
        let right = |bytes: &Option<Vec<u8>>| match (bytes, &expected) {
            (Some(bytes), Some(expected)) => hash(bytes) == *expected,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let chosen = objects.iter().position(|(_, bytes)| right(bytes));
        let chosen = chosen.or_else(|| objects.iter().position(|(_, bytes)| bytes.is_some()));
        for (number, (listed, bytes)) in objects.iter().enumerate() {
            if bytes.is_some() && chosen.is_some_and(|chosen| chosen != number) {
                let says =
                    format!("piece {seq} is there more than once; {} is not the one that the chain has", listed.key);
                self.report.tell(Kind::Duplicate, Some(seq), Some(&listed.key), None, says);
            }
        }
        let Some((listed, bytes)) = chosen.and_then(|at| objects.get(at)).or_else(|| objects.first()) else {
            return Ok(());
        };
        if self.report.last.is_none()
            && let Some(bytes) = bytes
        {
            self.report.last = Some(Head { seq, hash: hash(bytes) });
        }
        if !right(bytes) {
            return self.wrong(seq, listed, bytes.as_deref(), expected.as_deref()).await;
        }
        let proved = matches!(self.expects, Expects::Hash(_) | Expects::Anything);
        if self.expects == Expects::Unknown {
            let says = format!("piece {seq} ({}) may be as it was written; what would show it is missing", listed.key);
            self.report.tell(Kind::Unconfirmed, Some(seq), Some(&listed.key), None, says);
        }
        match proved {
            true if beyond => {}
            true => self.report.intact += 1,
            false => self.report.unproved += 1,
        }
        self.follow(seq, &listed.key, bytes.as_deref().unwrap_or_default(), proved);
        Ok(())
    }

    /// The piece is not the expected one, or was deleted.
    async fn wrong(
        &mut self,
        seq: u64,
        listed: &Listed,
        bytes: Option<&[u8]>,
        expected: Option<&str>,
    ) -> Result<(), Trouble> {
        let key = &listed.key;
        let proved = matches!(self.expects, Expects::Hash(_) | Expects::Anything);
        let mut intact = None;
        let ids = self.shelf.versions(key).await?;
        // The oldest first: it is what was written, whatever came on top.
        for id in ids.into_iter().rev().take(VERSIONS) {
            let Some(version) = self.shelf.version(key, &id).await? else { continue };
            if expected.is_none_or(|expected| hash(&version) == expected) {
                intact = Some((id, version));
                break;
            }
        }
        let (kind, what) = match bytes {
            Some(_) if !proved && intact.is_none() => {
                (Kind::Unconfirmed, "and the piece after it do not agree: one of them was changed")
            }
            Some(_) => (Kind::Changed, "was changed: its bytes are not those that the chain has the hash of"),
            None => (Kind::Deleted, "was deleted"),
        };
        let rest = match (&intact, expected) {
            (Some((id, _)), Some(_)) => format!("; its version {} is intact", shown(id)),
            (Some((id, _)), None) => format!("; its version {} may be what was written", shown(id)),
            (None, _) if kind == Kind::Unconfirmed => String::new(),
            (None, _) => "; no version of it is intact".to_owned(),
        };
        let id = intact.as_ref().map(|(id, _)| id.clone());
        self.report.tell(kind, Some(seq), Some(key), id, format!("piece {seq} ({key}) {what}{rest}"));
        match (intact, bytes) {
            (Some((_, version)), _) => self.follow(seq, key, &version, proved && expected.is_some()),
            (None, Some(bytes)) => {
                let said = document::read(bytes);
                self.expects = said.map_or(Expects::Unknown, |said| Expects::Hearsay(said.previous));
            }
            (None, None) => self.expects = Expects::Unknown,
        }
        Ok(())
    }

    /// Goes on to the piece before the one with these bytes.
    fn follow(&mut self, seq: u64, key: &str, bytes: &[u8], proved: bool) {
        let Said { seq: says, previous, ending } = match document::read(bytes) {
            Ok(said) => said,
            Err(what) => {
                let says = format!("piece {seq} ({key}) {what}");
                self.report.tell(Kind::Malformed, Some(seq), Some(key), None, says);
                self.expects = Expects::Unknown;
                return;
            }
        };
        if says != seq || !key.ends_with(&format!("/{ending}")) {
            let line = format!("{key} holds piece {says}, whose name ends with {ending}: it was copied or renamed");
            self.report.tell(Kind::Misplaced, Some(seq), Some(key), None, line);
        }
        if seq == 1 && previous != NONE_BEFORE {
            let line = format!("piece 1 ({key}) says that there is one before it");
            self.report.tell(Kind::Malformed, Some(seq), Some(key), None, line);
        }
        self.expects = if proved { Expects::Hash(previous) } else { Expects::Hearsay(previous) };
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
pub(crate) mod tests;
