//! The ledger in a file, as several processes have it: killed at any moment, out of room, and all at once.
//!
//! The tests start themselves as their children: with [`LEDGER`] set, the test [`child`] writes until it is ended.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use futures_util::FutureExt;
use ledger::{Answer, File, Item, Key, Store, Trouble, Write};
use serde_json::json;
use std::io::{BufRead, BufReader, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The file that a child writes to. What it is called itself, and how many writes it makes, go with it.
const LEDGER: &str = "LEDGER_OF_CHILD";
const NAME: &str = "NAME_OF_CHILD";
const TIMES: &str = "TIMES_OF_CHILD";

/// What a file answers: it waits for nothing but its disk.
fn now<T>(answer: Answer<'_, T>) -> Result<T, Trouble> {
    answer.now_or_never().unwrap()
}

fn key(sk: &str) -> Key {
    Key::new("a", sk)
}

fn put(sk: &str, version: u64, body: serde_json::Value) -> Write {
    Write::Put(Item { key: key(sk), version, body, id: None, day: None, expires: None })
}

fn count(add: u64, limit: u64) -> Write {
    Write::Count { key: key("count"), add, limit, expires: 0 }
}

/// Writes one of ours: our own item, the sum that everybody changes, and a count. All or none. Tried until nobody else is
/// quicker.
fn write(file: &File, name: &str, number: u64) -> Result<(), Trouble> {
    loop {
        let sum = now(file.get(&key("sum")))?;
        let (version, value) = sum.map_or((0, 0), |item| (item.version, item.body.as_u64().unwrap()));
        let ours =
            put(&format!("own#{name}-{number:06}"), 1, json!("x".repeat(usize::try_from(number % 7).unwrap() * 700)));
        match now(file.write(&[put("sum", version + 1, json!(value + 1)), ours, count(1, u64::MAX)])) {
            Err(Trouble::Conflict(0)) => {}
            answer => return answer,
        }
    }
}

/// Not a test of its own: what the children of the others do.
#[test]
fn child() {
    let Ok(path) = std::env::var(LEDGER) else { return };
    let name = std::env::var(NAME).unwrap();
    let times: u64 = std::env::var(TIMES).unwrap().parse().unwrap();
    let file = File::open(path).unwrap();
    let mut out = std::io::stdout();
    for number in 0..times {
        let answer = write(&file, &name, number);
        // Straight to the pipe, in one piece: what was answered is what was said.
        let line = match &answer {
            Ok(()) => format!("\nanswered own#{name}-{number:06}\n"),
            Err(trouble) => format!("\ntrouble {trouble}\n"),
        };
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
        if answer.is_err() {
            return;
        }
    }
}

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("suture-ledger-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn command(program: impl AsRef<std::ffi::OsStr>, ledger: &Path, name: &str, times: u64) -> Command {
    let mut command = Command::new(program);
    command.env(LEDGER, ledger).env(NAME, name).env(TIMES, times.to_string()).stdout(Stdio::piped());
    command
}

fn start(ledger: &Path, name: &str, times: u64) -> Child {
    command(std::env::current_exe().unwrap(), ledger, name, times).args(["--exact", "child"]).spawn().unwrap()
}

/// Reads what a child says, until it has ended. `each` is called after each answered write with how many that is, and ends
/// the child by breaking.
fn answered(mut child: Child, mut each: impl FnMut(usize) -> ControlFlow<()>) -> (Vec<String>, Option<String>) {
    let mut answered = Vec::new();
    let mut trouble = None;
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(name) = line.strip_prefix("answered ") {
            answered.push(name.to_owned());
            if !killed && each(answered.len()).is_break() {
                killed = true;
                child.kill().unwrap(); // SIGKILL; what it had said by then is still in the pipe
            }
        }
        trouble = line.strip_prefix("trouble ").map(str::to_owned).or(trouble);
    }
    let ended = child.wait().unwrap();
    assert!(killed || ended.success(), "{ended}");
    (answered, trouble)
}

/// Opens the ledger anew: every answered write is there, none of them by half.
fn check(path: &Path, answered: &[String]) -> u64 {
    let file = File::open(path).unwrap();
    let own = now(file.query("a", "own#", false, usize::MAX)).unwrap();
    for name in answered {
        assert!(own.iter().any(|item| item.key.sk == *name), "{name} was answered and is not there");
    }
    let total = own.len() as u64;
    let sum = now(file.get(&key("sum"))).unwrap();
    assert_eq!(sum.map(|item| (item.version, item.body)), (total > 0).then(|| (total, json!(total))));
    assert_eq!(now(file.write(&[count(0, total)])), Ok(()));
    if total > 0 {
        assert_eq!(now(file.write(&[count(0, total - 1)])), Err(Trouble::Conflict(0)));
    }
    total
}

/// Numbers without order, the same in every run (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[test]
fn killed_at_any_moment_it_has_what_was_answered_and_nothing_by_half() {
    let folder = Folder::new("killed");
    let mut dice = Dice(0x5eed_0004);
    let mut all = Vec::new();
    for round in 0..40 {
        // Two at a time, so that one is killed while the other waits for the lock, or goes on.
        let children: Vec<_> = ["a", "b"]
            .map(|name| {
                let child = start(&folder.ledger(), &format!("{name}{round}"), 1_000_000);
                let (after, wait) = (1 + dice.below(6), Duration::from_micros(dice.below(3_000)));
                std::thread::spawn(move || {
                    answered(child, |writes| {
                        if (writes as u64) < after {
                            return ControlFlow::Continue(());
                        }
                        let since = Instant::now();
                        while since.elapsed() < wait {
                            std::hint::spin_loop();
                        }
                        ControlFlow::Break(())
                    })
                })
            })
            .into();
        for child in children {
            let (answered, trouble) = child.join().unwrap();
            assert_eq!(trouble, None);
            assert!(!answered.is_empty());
            all.extend(answered);
        }
        let total = check(&folder.ledger(), &all);
        // Each of the two can have been killed between its write and its word of it.
        let unanswered = total - all.len() as u64;
        assert!(unanswered <= 2 * (round + 1), "{total} are there, {} were answered", all.len());
    }
}

#[test]
fn nothing_is_lost_between_processes_that_write_at_once() {
    let folder = Folder::new("at-once");
    let children: Vec<_> = ["a", "b", "c", "d"].map(|name| start(&folder.ledger(), name, 40)).into();
    let mut all = Vec::new();
    for child in children {
        let (answered, trouble) = answered(child, |_| ControlFlow::Continue(()));
        assert_eq!((answered.len(), trouble), (40, None));
        all.extend(answered);
    }
    assert_eq!(check(&folder.ledger(), &all), 160);
}

#[test]
fn where_no_more_room_is_it_says_so_and_loses_nothing() {
    let folder = Folder::new("full");
    drop(File::open(folder.ledger()).unwrap());
    // A limit on the size of its files stands for a full disk: a write gets as far as there is room. Without the trap the
    // process would be ended by a signal.
    let limited = r#"trap "" XFSZ; ulimit -f 32; exec "$@""#;
    let mut command = command("sh", &folder.ledger(), "a", 1_000_000);
    command.args(["-c", limited, "sh"]).arg(std::env::current_exe().unwrap()).args(["--exact", "child"]);
    let (answered, trouble) = answered(command.spawn().unwrap(), |_| ControlFlow::Continue(()));
    let trouble = trouble.unwrap();
    assert!(trouble.contains("larger than it may be; make room or raise the limit"), "{trouble}");
    // What it could not finish it took away itself.
    assert!(std::fs::read(folder.ledger()).unwrap().ends_with(b"\n"));
    let total = check(&folder.ledger(), &answered);
    assert_eq!(total, answered.len() as u64);
    // Once there is room, it goes on.
    let file = File::open(folder.ledger()).unwrap();
    write(&file, "b", 6).unwrap();
    assert_eq!(check(&folder.ledger(), &answered), total + 1);
}
