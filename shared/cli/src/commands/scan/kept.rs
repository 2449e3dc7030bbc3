//! What a scan has done so far, kept in a file so that one that was stopped goes on where it was.

use crate::commands::words::plain;
use crate::show;
use crate::show::eprintln;
use remediation::lambda::variable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;

/// For how long what was seen is worth going on from.
const GOOD_FOR: Duration = Duration::from_hours(12);

/// A page that is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The control.
    pub control: String,
    /// The region.
    pub region: String,
    /// Where the next page begins; none if this was the last.
    pub after: Option<String>,
    /// How many resources ended how.
    pub counts: BTreeMap<String, usize>,
    /// What kept the page from being whole.
    pub cut_short: Option<String>,
    /// The records of what is not as it ought to be.
    pub records: Vec<Value>,
}

/// How far a place is.
#[derive(Debug, PartialEq, Eq)]
pub enum Stand {
    /// Nothing of it is done.
    Begins,
    /// What comes after this is to be done.
    GoesOn(String),
    /// All of it is done.
    Ended,
}

/// What is kept of a scan.
#[derive(Debug)]
pub struct Kept {
    path: Option<PathBuf>,
    file: Option<File>,
    since: Option<SystemTime>,
    /// How many bytes of the file are an earlier scan's pages.
    earlier: u64,
    stands: BTreeMap<(String, String), Option<String>>,
    broke_off: bool,
}

impl Kept {
    /// Finds what was kept of a scan of just these things, unless it is to begin anew.
    pub fn open(identity: &[String], fresh: bool) -> Self {
        match folder() {
            Some(folder) => Self::open_in(&folder, identity, fresh),
            None => Self::nowhere(),
        }
    }

    fn nowhere() -> Self {
        Self { path: None, file: None, since: None, earlier: 0, stands: BTreeMap::new(), broke_off: false }
    }

    fn open_in(folder: &Path, identity: &[String], fresh: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        (env!("CARGO_PKG_VERSION"), identity).hash(&mut hasher);
        let path = folder.join(format!("scan-{:016x}.jsonl", hasher.finish()));
        let opened = std::fs::create_dir_all(folder).and_then(|()| {
            // Names of resources are in it: nobody else's to read.
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)
        });
        let locked = opened.map_err(|error| error.kind()).and_then(|file| match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(ErrorKind::ResourceBusy),
            Err(TryLockError::Error(error)) => Err(error.kind()),
        });
        let file = match locked {
            Ok(file) => file,
            Err(kind) => {
                let why = match kind {
                    ErrorKind::ResourceBusy => "another scan of the same is under way".to_owned(),
                    kind => format!("{} cannot be written ({kind})", plain(&path.to_string_lossy())),
                };
                eprintln!("{}: should this scan be stopped, it cannot go on later: {why}", show::mind("note"));
                return Self::nowhere();
            }
        };
        let young = |at: &SystemTime| at.elapsed().is_ok_and(|age| age < GOOD_FOR);
        let since = file.metadata().and_then(|about| about.modified()).ok().filter(|at| !fresh && young(at));
        let mut stands = BTreeMap::new();
        let earlier = if since.is_some() {
            read(&path, u64::MAX, |step| {
                stands.insert((step.control, step.region), step.after);
            })
        } else {
            0
        };
        // What was not written whole would spoil the line that comes after it.
        let file = file.set_len(earlier).is_ok().then_some(file);
        let since = since.filter(|_| earlier > 0);
        Self { stands, path: Some(path), file, since, earlier, broke_off: false }
    }

    /// When the scan was last at work that this one goes on from; none if this is a new one.
    pub fn goes_on_since(&self) -> Option<String> {
        self.since.map(|at| super::super::words::moment(OffsetDateTime::from(at)))
    }

    /// Tells what was done before, a page at a time: all of them may be more than fits into memory.
    pub fn earlier(&self, each: impl FnMut(Step)) {
        if let Some(path) = &self.path {
            read(path, self.earlier, each);
        }
    }

    /// How far a place is.
    pub fn stand(&self, control: &str, region: &str) -> Stand {
        match self.stands.get(&(control.to_owned(), region.to_owned())) {
            None => Stand::Begins,
            Some(Some(after)) => Stand::GoesOn(after.clone()),
            Some(None) => Stand::Ended,
        }
    }

    /// Keeps a page that is done.
    pub fn keep(&mut self, step: &Step) {
        let Some(file) = &mut self.file else { return };
        let mut line = serde_json::to_vec(step).unwrap_or_default();
        line.push(b'\n');
        // A disk that is full costs the going on, and not the scan.
        if file.write_all(&line).is_err() {
            self.file = None;
        }
    }

    /// Something of it could not be read that can be later: what was read is kept for then.
    pub fn broke_off(&mut self) {
        self.broke_off = true;
    }

    /// The scan came to its end: there is nothing to go on from, unless something broke off. Says whether there is.
    pub fn finished(self) -> bool {
        match (self.path, self.broke_off) {
            (Some(path), false) => {
                // Left behind it is old by tomorrow.
                let _ = std::fs::remove_file(path);
                false
            }
            (path, _) => path.is_some() && self.file.is_some(),
        }
    }
}

/// Where the XDG base directory specification has state.
fn folder() -> Option<PathBuf> {
    let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").and_then(absolute);
    let home = || variable("HOME").and_then(absolute).map(|home| home.join(".local/state"));
    state.or_else(home).map(|state| state.join("suture"))
}

/// Tells the pages that were done, of no more than so many bytes, and says how many bytes they are; a last line that was not
/// written whole is none.
fn read(path: &Path, most: u64, mut each: impl FnMut(Step)) -> u64 {
    let (mut whole, mut line) = (0, Vec::new());
    let Ok(file) = File::open(path) else { return whole };
    let mut file = BufReader::new(file).take(most);
    while let Ok(length @ 1..) = file.read_until(b'\n', &mut line) {
        match serde_json::from_slice(&line) {
            Ok(step) if line.ends_with(b"\n") => each(step),
            _ => break,
        }
        whole += length as u64;
        line.clear();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder() -> PathBuf {
        let name = format!("suture-kept-{}-{:?}", std::process::id(), std::thread::current().id());
        std::env::temp_dir().join(name.replace(['(', ')'], ""))
    }

    fn earlier(kept: &Kept) -> Vec<Step> {
        let mut steps = Vec::new();
        kept.earlier(|step| steps.push(step));
        steps
    }

    fn step(region: &str, after: Option<&str>) -> Step {
        Step {
            control: "s3-public-bucket".to_owned(),
            region: region.to_owned(),
            after: after.map(str::to_owned),
            counts: [("planned".to_owned(), 1)].into(),
            cut_short: None,
            records: vec![json!({"resource": {"id": "clinic-scans"}})],
        }
    }

    #[test]
    fn a_scan_that_was_stopped_goes_on_where_it_was() {
        let (folder, identity) = (folder(), vec!["111122223333".to_owned()]);
        let open = |fresh| Kept::open_in(&folder, &identity, fresh);
        let mut first = open(false);
        assert_eq!((first.goes_on_since(), earlier(&first)), (None, Vec::new()));
        first.keep(&step("us-east-1", Some("t1")));
        first.keep(&step("eu-west-1", None));
        drop(first);
        // Killed in the middle of a line.
        let path = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"control\":").unwrap();
        let mut again = open(false);
        assert!(again.goes_on_since().is_some());
        assert_eq!(earlier(&again), [step("us-east-1", Some("t1")), step("eu-west-1", None)]);
        let stand = |region: &str| again.stand("s3-public-bucket", region);
        let stands = ["us-east-1", "eu-west-1", "us-west-2"].map(stand);
        assert_eq!(stands, [Stand::GoesOn("t1".to_owned()), Stand::Ended, Stand::Begins]);
        // It goes on after the last whole line, and nobody else does at the same time.
        again.keep(&step("us-west-2", None));
        let beside = open(false);
        assert_eq!((beside.goes_on_since(), beside.stand("s3-public-bucket", "eu-west-1")), (None, Stand::Begins));
        assert!(!beside.finished());
        assert!(path.exists());
        drop(again);
        let again = open(false);
        assert_eq!(earlier(&again).len(), 3);
        // Of something else, nothing is known; and a fresh one forgets.
        let other = Kept::open_in(&folder, &["444455556666".to_owned()], false);
        assert_eq!(other.stand("s3-public-bucket", "eu-west-1"), Stand::Begins);
        drop(again);
        assert_eq!(open(true).stand("s3-public-bucket", "eu-west-1"), Stand::Begins);
        // What broke off keeps what was read for the next time.
        let mut broken = open(false);
        broken.keep(&step("us-east-1", None));
        broken.broke_off();
        assert!(broken.finished() && path.exists());
        assert_eq!(open(false).stand("s3-public-bucket", "us-east-1"), Stand::Ended);
        assert!(!open(false).finished());
        assert!(!path.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn where_nothing_can_be_kept_the_scan_goes_its_way() {
        let mut kept = Kept::open_in(Path::new("/proc/nowhere"), &["a".to_owned()], false);
        kept.keep(&step("us-east-1", None));
        assert_eq!(kept.stand("s3-public-bucket", "us-east-1"), Stand::Begins);
        kept.broke_off();
        assert!(!kept.finished());
    }
}
