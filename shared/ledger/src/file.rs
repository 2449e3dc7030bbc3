//! The ledger in a file: for a command line without a deployment.
//!
//! The file is a journal: a line of JSON for each transaction, appended and never changed. The whole of it is read once;
//! after that, before each answer, what others appended since.
//!
//! ```text
//! {"format":"suture.ledger/1"}
//! {"sum":"<SHA-256 of the rest of the line>","seq":1,"writes":[{"put":{"pk":"…","sk":"…","version":1,"body":{…}}}]}
//! ```
//!
//! A transaction is answered once its line is on the disk. Whoever is killed before that leaves the beginning of a line, which
//! the next one cuts off: nothing of it was answered. Any other line that is not as it was written is trouble, and nothing is
//! read past it: somebody changed it. Lines that somebody cut off at the end, whole, are not missed; whoever may write to
//! the file can do that.
//!
//! Writers exclude each other and readers by a lock on the file (`flock`), which ends with the process that has it. Nobody waits
//! for it for ever: somebody may have stopped a process that has it.
//!
//! Whoever may only read can look all the same ([`File::look`]).

use crate::approval::hex;
use crate::memory::{Memory, Table};
use crate::store::{Answer, Index, Item, Key, Store, Trouble, Write, newer};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::{RefCell, RefMut};
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use triggers::ids::shown;

/// The first line.
const HEADER: &str = "{\"format\":\"suture.ledger/1\"}\n";
/// How the first line begins, whatever the version.
const ANY_HEADER: &str = "{\"format\":\"suture.ledger/";
/// How every other line begins.
const SUM: &[u8] = b"{\"sum\":\"";
/// How many digits a checksum has.
const DIGITS: usize = 64;

/// How long the lock is waited for. Whoever has it has it for one read or one write, which is milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// The first wait for the lock; each is twice the one before, up to [`LONGEST`].
const FIRST: Duration = Duration::from_micros(200);
/// The longest wait between two tries for the lock.
const LONGEST: Duration = Duration::from_millis(20);

/// A ledger in a file. Several processes can have the same one open.
pub struct File {
    path: PathBuf,
    /// None if there is no file, and none can be made.
    disk: Option<fs::File>,
    /// Why it cannot be written.
    shut: Option<Trouble>,
    read: RefCell<Read>,
}

/// What has been read of the file.
#[derive(Default)]
struct Read {
    table: Table,
    /// How many bytes of it are whole lines.
    end: u64,
    /// How many transactions that is.
    lines: u64,
}

/// A line after the first.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "sum", default, skip_serializing)]
    _sum: IgnoredAny,
    seq: u64,
    writes: Vec<Entry>,
}

/// A write in a line. Limits are not kept: they held when it was written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Entry {
    Put {
        pk: String,
        sk: String,
        version: u64,
        body: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        day: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<i64>,
    },
    Delete {
        pk: String,
        sk: String,
        version: u64,
    },
    Count {
        pk: String,
        sk: String,
        add: u64,
        expires: i64,
    },
}

/// What there is of the first line.
enum First {
    /// All of it.
    Whole,
    /// The beginning, or nothing.
    Begun,
}

/// A lock on the file, until it is dropped.
struct Lock<'a>(&'a fs::File);

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // If this fails, the lock ends with the process.
        let _ = self.0.unlock();
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

impl File {
    /// Opens the ledger in this file, and makes it if there is none: the file for its owner alone (mode 0600), and the
    /// folders above it that are missing (mode 0700).
    ///
    /// # Errors
    /// [`Trouble::Away`] if the file cannot be read and written, others may write to it, it is no ledger or a newer
    /// version's, or a line of it was changed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Trouble> {
        let path = path.as_ref();
        let cannot = |error: io::Error| cannot(path, &error);
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(above).map_err(cannot)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(cannot)?;
        sound(path, &file)?;
        let opened = Self { path: path.to_owned(), disk: Some(file), shut: None, read: RefCell::default() };
        {
            let _lock = opened.lock(true)?;
            if opened.begin()? {
                // The file's name has to be on the disk too. Not every file system can do that for a folder.
                let _ = fs::File::open(above).and_then(|folder| folder.sync_all());
            }
            opened.read.borrow_mut().end = HEADER.len() as u64;
            opened.catch_up()?;
        }
        Ok(opened)
    }

    /// Opens the ledger in this file to look at it, where [`File::open`] met this trouble: each write meets it again. Where
    /// there is no file, nothing is in the ledger.
    ///
    /// # Errors
    /// The file cannot be read either, others may write to it, it is no ledger or a newer version's, or a line of it was
    /// changed.
    pub fn look(path: impl AsRef<Path>, shut: Trouble) -> Result<Self, Trouble> {
        let path = path.as_ref();
        let mut opened = Self { path: path.to_owned(), disk: None, shut: Some(shut), read: RefCell::default() };
        let file = match OpenOptions::new().read(true).open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(opened),
            Err(error) => return Err(cannot(path, &error)),
        };
        sound(path, &file)?;
        opened.disk = Some(file);
        let begun = {
            let _lock = opened.lock(false)?;
            opened.first()?
        };
        match begun {
            First::Whole => {
                opened.read.borrow_mut().end = HEADER.len() as u64;
                drop(opened.now()?);
            }
            First::Begun => opened.disk = None,
        }
        Ok(opened)
    }

    /// What is in it, as it is now, for whoever wants to try what nobody is to remember.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn copy(&self) -> Result<Memory, Trouble> {
        Ok(Memory::of(self.now()?.table.clone()))
    }

    /// Reads the first line.
    fn first(&self) -> Result<First, Trouble> {
        let mut first = [0; HEADER.len()];
        let length = self.read_at(&mut first, 0)?;
        let first = first.get(..length).unwrap_or_default();
        if first == HEADER.as_bytes() {
            return Ok(First::Whole);
        }
        // Nothing, or what is left of somebody who was killed here.
        if HEADER.as_bytes().starts_with(first) {
            return Ok(First::Begun);
        }
        if first.starts_with(ANY_HEADER.as_bytes()) {
            return Err(newer(&format!("the ledger {}", named(&self.path))));
        }
        Err(no_ledger(&self.path))
    }

    /// Reads the first line, or writes it; whether it did.
    fn begin(&self) -> Result<bool, Trouble> {
        let (First::Begun, Some(disk)) = (self.first()?, &self.disk) else { return Ok(false) };
        let written = disk.write_all_at(HEADER.as_bytes(), 0).and_then(|()| disk.sync_all());
        written.map_err(|error| cannot(&self.path, &error))?;
        Ok(true)
    }

    /// Fills the buffer from there on, as far as the file goes; how much that is.
    fn read_at(&self, buffer: &mut [u8], from: u64) -> Result<usize, Trouble> {
        let Some(disk) = &self.disk else { return Ok(0) };
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match disk.read_at(rest, from + length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot(&self.path, &error)),
            }
        }
        Ok(length)
    }

    /// Waits for the lock; there is none where there is no file.
    fn lock(&self, alone: bool) -> Result<Option<Lock<'_>>, Trouble> {
        let Some(disk) = &self.disk else { return Ok(None) };
        let (began, mut wait) = (Instant::now(), FIRST);
        loop {
            match if alone { disk.try_lock() } else { disk.try_lock_shared() } {
                Ok(()) => return Ok(Some(Lock(disk))),
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(cannot(&self.path, &error)),
                Err(TryLockError::WouldBlock) if began.elapsed() > PATIENCE => {
                    return Err(Trouble::passing(format!(
                        "another process has held the ledger {} for {} seconds; let it end, or end it (fuser names it), and \
                         try again",
                        named(&self.path),
                        PATIENCE.as_secs()
                    )));
                }
                Err(TryLockError::WouldBlock) => {
                    sleep(wait);
                    wait = (wait * 2).min(LONGEST);
                }
            }
        }
    }

    /// Reads what was appended since it was last read, under a lock.
    fn catch_up(&self) -> Result<RefMut<'_, Read>, Trouble> {
        let mut read = self.read.borrow_mut();
        let Some(disk) = &self.disk else { return Ok(read) };
        let about = disk.metadata().map_err(|error| cannot(&self.path, &error))?;
        // Somebody moved it away, or put another in its place: what is written here, nobody would find again.
        let same = fs::metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == (about.dev(), about.ino()));
        let length = about.len();
        if !same || length < read.end {
            return Err(Trouble::lasting(format!(
                "the ledger {} was moved, replaced or cut while it was in use; put it back and start again",
                named(&self.path)
            )));
        }
        let mut new = vec![0; usize::try_from(length - read.end).unwrap_or_default()];
        let got = self.read_at(&mut new, read.end)?;
        new.truncate(got);
        let mut rest = new.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at + 1);
            // What was under way when the power failed can have its end on the disk and not its middle, which then reads as
            // zeros. It was not answered.
            if line.contains(&0) && !after.contains(&b'\n') {
                break;
            }
            let writes = decode(line, read.lines + 1).filter(|writes| read.table.check(writes).is_ok());
            let Some(writes) = writes else {
                return Err(Trouble::lasting(format!(
                    "line {} of the ledger {} is not as it was written: it was changed, or lines before it are missing; \
                     bring the file back from a copy, or move it away to begin a new one",
                    read.lines + 2,
                    named(&self.path)
                )));
            };
            read.table.apply(&writes);
            read.lines += 1;
            read.end += line.len() as u64;
            rest = after;
        }
        Ok(read)
    }

    /// What is in the ledger now.
    fn now(&self) -> Result<RefMut<'_, Read>, Trouble> {
        let _lock = self.lock(false)?;
        self.catch_up()
    }

    fn append(&self, writes: &[Write]) -> Result<(), Trouble> {
        let (None, Some(disk)) = (&self.shut, &self.disk) else {
            return Err(self.shut.clone().unwrap_or_else(|| no_ledger(&self.path)));
        };
        let _lock = self.lock(true)?;
        let mut read = self.catch_up()?;
        read.table.check(writes)?;
        let seq = read.lines + 1;
        let line = encode(seq, writes);
        // What could not be read again must not get in: nobody could read past it.
        let Some((line, writes)) = line.and_then(|line| decode(&line, seq).map(|writes| (line, writes))) else {
            return Err(Trouble::lasting("what was to be written has no form that the ledger can keep"));
        };
        let end = read.end;
        // Also what somebody left who was killed.
        let cut = || disk.set_len(end);
        if let Err(error) = cut().and_then(|()| disk.write_all_at(&line, end)) {
            // Half a line at the most. If it cannot be cut off now, the next one does.
            let _ = cut();
            return Err(cannot(&self.path, &error));
        }
        if let Err(error) = disk.sync_data() {
            let _ = cut();
            return Err(match cannot(&self.path, &error) {
                Trouble::Away { why, retry, .. } => Trouble::Away { why, retry, perhaps: true },
                conflict @ Trouble::Conflict(_) => conflict,
            });
        }
        read.table.apply(&writes);
        read.lines = seq;
        read.end += line.len() as u64;
        Ok(())
    }
}

impl Store for File {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>> {
        Box::pin(async move { Ok(self.now()?.table.get(key)) })
    }

    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest_first: bool, limit: usize) -> Answer<'a, Vec<Item>> {
        Box::pin(async move { Ok(self.now()?.table.query(pk, begins, newest_first, limit)) })
    }

    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
        Box::pin(async move { Ok(self.now()?.table.find(index, value)) })
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
        Box::pin(async move { if writes.is_empty() { Ok(()) } else { self.append(writes) } })
    }
}

/// A line, with its newline.
fn encode(seq: u64, writes: &[Write]) -> Option<Vec<u8>> {
    let writes = writes.iter().cloned().map(Entry::from).collect();
    let line = serde_json::to_vec(&Line { _sum: IgnoredAny, seq, writes }).ok()?;
    let rest = line.strip_prefix(b"{")?;
    Some([SUM, hex(&Sha256::digest(rest)).as_bytes(), b"\",", rest, b"\n"].concat())
}

/// What is in a line, if it is as it was written and the one with this number.
fn decode(line: &[u8], seq: u64) -> Option<Vec<Write>> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, rest) = line.strip_prefix(SUM)?.split_at_checked(DIGITS)?;
    let rest = rest.strip_prefix(b"\",")?;
    if hex(&Sha256::digest(rest)).as_bytes() != sum {
        return None;
    }
    let read: Line = serde_json::from_slice(line).ok()?;
    (read.seq == seq).then(|| read.writes.into_iter().map(Write::from).collect())
}

impl From<Write> for Entry {
    fn from(write: Write) -> Self {
        match write {
            Write::Put(Item { key: Key { pk, sk }, version, body, id, day, expires }) => {
                Self::Put { pk, sk, version, body, id, day, expires }
            }
            Write::Delete(Key { pk, sk }, version) => Self::Delete { pk, sk, version },
            Write::Count { key: Key { pk, sk }, add, expires, limit: _ } => Self::Count { pk, sk, add, expires },
        }
    }
}

impl From<Entry> for Write {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Put { pk, sk, version, body, id, day, expires } => {
                Self::Put(Item { key: Key { pk, sk }, version, body, id, day, expires })
            }
            Entry::Delete { pk, sk, version } => Self::Delete(Key { pk, sk }, version),
            // Less than everything, so that a sum that is too large for the number is found.
            Entry::Count { pk, sk, add, expires } => {
                Self::Count { key: Key { pk, sk }, add, limit: u64::MAX - 1, expires }
            }
        }
    }
}

/// Whether it is a file that nobody else may write to.
fn sound(path: &Path, file: &fs::File) -> Result<(), Trouble> {
    let about = file.metadata().map_err(|error| cannot(path, &error))?;
    if !about.is_file() {
        return Err(no_ledger(path));
    }
    if about.mode() & 0o022 != 0 {
        return Err(Trouble::lasting(format!(
            "the ledger {} can be written by other users, who could exempt what they like; take that from them (chmod 600)",
            named(path)
        )));
    }
    Ok(())
}

/// The file, for a message.
fn named(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

fn no_ledger(path: &Path) -> Trouble {
    Trouble::lasting(format!("{} is no ledger of suture's; name another place for it", named(path)))
}

/// What it means that the file system said no.
fn cannot(path: &Path, error: &io::Error) -> Trouble {
    let (what, next) = match error.kind() {
        ErrorKind::PermissionDenied => ("may not be read and written by this user", "name a place of your own for it"),
        ErrorKind::ReadOnlyFilesystem => ("is where nothing can be written", "name another place for it"),
        ErrorKind::StorageFull => ("cannot be written: the disk is full", "make room, and try again"),
        ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            ("cannot be written: it would be larger than it may be", "make room or raise the limit, and try again")
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists | ErrorKind::InvalidFilename => {
            ("cannot be a file there", "name another place for it")
        }
        ErrorKind::Unsupported => {
            ("is on a file system that has no locks", "name a place for it on a disk of this machine")
        }
        _ => ("cannot be read and written", "look at its disk, or name another place for it"),
    };
    Trouble::lasting(format!("the ledger {} {what}; {next}", named(path)))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
