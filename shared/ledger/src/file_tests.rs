//! The ledger in a file: what a crash leaves, what a change is told by, and that it answers as memory does.

use super::*;
use crate::memory::Memory;
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder for one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("suture-ledger-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    /// A ledger of these bytes.
    fn holding(&self, bytes: &[u8]) -> PathBuf {
        let path = self.ledger();
        let _ = fs::remove_file(&path);
        drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap());
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a store answers that does not wait for anything.
fn now<T>(answer: Answer<'_, T>) -> Result<T, Trouble> {
    answer.now_or_never().unwrap()
}

fn key(sk: &str) -> Key {
    Key::new("a", sk)
}

fn put(sk: &str, version: u64, body: Value) -> Write {
    Write::Put(Item { key: key(sk), version, body, id: Some(format!("id-{sk}")), day: None, expires: Some(7) })
}

fn all(store: &dyn Store) -> Vec<Item> {
    now(store.query("a", "", false, usize::MAX)).unwrap()
}

/// A ledger of three transactions, as bytes.
fn three() -> Vec<u8> {
    let folder = Folder::new();
    let file = File::open(folder.ledger()).unwrap();
    now(file.write(&[put("x", 1, json!({"name": "clinic-scans"})), put("y", 1, json!(["é\n\u{0}", 2]))])).unwrap();
    let count = Write::Count { key: key("c"), add: 2, limit: 2, expires: 9 };
    now(file.write(&[put("x", 2, json!({"name": "clinic-scans-2"})), count])).unwrap();
    now(file.write(&[put("z", 1, json!(null)), Write::Delete(key("y"), 1)])).unwrap();
    fs::read(folder.ledger()).unwrap()
}

fn names(items: &[Item]) -> String {
    let names: Vec<_> = items.iter().map(|item| format!("{}{}", item.key.sk, item.version)).collect();
    names.concat()
}

/// What three transactions look like after so many of them.
const AFTER: [&str; 4] = ["", "x1y1", "x2y1", "x2z1"];

#[test]
fn what_was_written_is_there_when_it_is_opened_again() {
    let folder = Folder::new();
    let file = File::open(folder.holding(&three())).unwrap();
    assert_eq!(names(&all(&file)), AFTER[3]);
    let item = now(file.get(&key("x"))).unwrap().unwrap();
    assert_eq!(
        item,
        Item {
            key: key("x"),
            version: 2,
            body: json!({"name": "clinic-scans-2"}),
            id: Some("id-x".into()),
            day: None,
            expires: Some(7)
        }
    );
    assert_eq!(now(file.find(Index::Id, "id-x")).unwrap(), [item]);
    // Also what the count came to.
    let add = |add, limit| Write::Count { key: key("c"), add, limit, expires: 9 };
    assert_eq!(now(file.write(&[add(1, 2)])), Err(Trouble::Conflict(0)));
    assert_eq!(now(file.write(&[add(1, 3)])), Ok(()));
}

#[test]
fn the_form_on_the_disk_is_the_one_that_is_promised() {
    let folder = Folder::new();
    let file = File::open(folder.ledger()).unwrap();
    let item = Item { key: key("x"), version: 1, body: json!({"b": 1}), id: None, day: None, expires: None };
    now(file.write(&[Write::Put(item)])).unwrap();
    // The sum is sha256sum's of the text after its comma.
    let expected = r#"{"format":"suture.ledger/1"}
{"sum":"SUM","seq":1,"writes":[{"put":{"pk":"a","sk":"x","version":1,"body":{"b":1}}}]}
"#
    .replace("SUM", "5542fd884301559cf74707658d3b9d025e845b4e48a982d0d6d7832e0bb88e8e");
    assert_eq!(fs::read_to_string(folder.ledger()).unwrap(), expected);
}

#[test]
fn cut_at_any_byte_it_has_every_whole_transaction_and_takes_new_ones() {
    let bytes = three();
    let folder = Folder::new();
    for cut in 0..=bytes.len() {
        let left = &bytes[..cut];
        let whole = left.split(|byte| *byte == b'\n').count().saturating_sub(2);
        let file = File::open(folder.holding(left)).unwrap();
        assert_eq!(names(&all(&file)), AFTER[whole], "cut at {cut}");
        now(file.write(&[put("new", 1, json!({}))])).unwrap();
        drop(file);
        let again = File::open(folder.ledger()).unwrap();
        assert!(names(&all(&again)).contains("new1"), "cut at {cut}");
        assert_eq!(all(&again).len(), AFTER[whole].len() / 2 + 1, "cut at {cut}");
    }
}

#[test]
fn a_power_cut_can_leave_zeros() {
    let bytes = three();
    let folder = Folder::new();
    let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for (from, to) in [(last, bytes.len()), (last, bytes.len() - 1), (last + 9, last + 10), (last, last + 50)] {
        let mut torn = bytes.clone();
        torn[from..to].fill(0);
        let file = File::open(folder.holding(&torn)).unwrap();
        assert_eq!(names(&all(&file)), AFTER[2], "{from} to {to}");
        now(file.write(&[put("z", 1, json!({}))])).unwrap();
        assert_eq!(names(&all(&File::open(folder.ledger()).unwrap())), "x2y1z1");
    }
}

#[test]
fn a_changed_byte_is_told_with_its_line() {
    let bytes = three();
    let folder = Folder::new();
    let mut line = 1;
    for at in 0..bytes.len() - 1 {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let trouble = File::open(folder.holding(&changed)).unwrap_err();
        let says = trouble.to_string();
        assert!(!trouble.is_worth_a_retry());
        match line {
            1 => assert!(says.contains("is no ledger") || says.contains("newer suture"), "{at}: {says}"),
            // Without its newline, a line and the next one are one.
            _ => assert!(says.starts_with(&format!("line {line} of the ledger ")), "{at}: {says}"),
        }
        // And nothing was lost of what somebody has to look at.
        assert_eq!(fs::read(folder.ledger()).unwrap(), changed, "{at}");
        line += usize::from(bytes[at] == b'\n');
    }
}

#[test]
fn a_line_that_is_missing_or_there_twice_is_told() {
    let bytes = three();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let folder = Folder::new();
    let unsound = |seq, write| encode(seq, &[write]).unwrap();
    let lost_update = unsound(4, put("x", 2, json!({})));
    let unknown = lines[3].strip_prefix(b"{").unwrap();
    let unknown = String::from_utf8(unknown.to_vec()).unwrap().replace("\"put\"", "\"pot\"");
    let unknown = unknown.split_once(',').unwrap().1.trim_end();
    let unknown = format!("{{\"sum\":\"{}\",{unknown}\n", hex(&Sha256::digest(unknown)));
    for (case, wrong, line) in [
        ("one is missing", [lines[0], lines[1], lines[3]].concat(), 3),
        ("the first is missing", [lines[0], lines[2], lines[3]].concat(), 2),
        ("one is there twice", [lines[0], lines[1], lines[1], lines[2]].concat(), 3),
        ("they changed places", [lines[0], lines[2], lines[1]].concat(), 2),
        ("the last was written over an older state", [&bytes, lost_update.as_slice()].concat(), 5),
        ("sound, but of no known kind", [lines[0], lines[1], lines[2], unknown.as_bytes()].concat(), 4),
        ("an empty line", [&bytes, b"\n".as_slice()].concat(), 5),
    ] {
        let says = File::open(folder.holding(&wrong)).unwrap_err().to_string();
        assert!(says.starts_with(&format!("line {line} of the ledger ")), "{case}: {says}");
    }
}

#[test]
fn what_is_no_ledger_is_left_as_it_is() {
    let folder = Folder::new();
    for (bytes, says) in [
        (b"shopping list".as_slice(), "is no ledger of suture's"),
        (b"a\nb\n", "is no ledger of suture's"),
        (b"{\"format\":\"suture.record/1\"}\n", "is no ledger of suture's"),
        (b"{\"format\":\"suture.ledger/2\"}\n", "newer suture than this one"),
        (b"{\"format\":\"suture.ledger/1.1\"}\n{}\n", "newer suture than this one"),
    ] {
        let trouble = File::open(folder.holding(bytes)).unwrap_err();
        assert!(trouble.to_string().contains(says), "{trouble}");
        assert!(!trouble.is_worth_a_retry());
        assert_eq!(fs::read(folder.ledger()).unwrap(), bytes);
    }
}

#[test]
fn it_is_its_owners_alone() {
    let folder = Folder::new();
    let path = folder.0.join("new/deep/ledger");
    drop(File::open(&path).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!((mode(&folder.0.join("new")), mode(&folder.0.join("new/deep"))), (0o700, 0o700));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(File::open(&path).is_ok());
    for open in [0o620, 0o602, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        assert!(File::open(&path).unwrap_err().to_string().contains("chmod 600"), "{open:o}");
    }
}

#[test]
fn where_there_can_be_no_file() {
    let folder = Folder::new();
    let file = folder.0.join("file");
    fs::write(&file, "").unwrap();
    for place in [folder.0.clone(), file.join("ledger"), PathBuf::from("/dev/null"), folder.0.join("x".repeat(300))] {
        let says = File::open(&place).unwrap_err().to_string();
        assert!(says.contains("name another place for it"), "{says}");
    }
}

#[test]
fn every_no_of_the_file_system_names_the_next_step() {
    for (kind, next) in [
        (ErrorKind::PermissionDenied, "name a place of your own for it"),
        (ErrorKind::ReadOnlyFilesystem, "name another place for it"),
        (ErrorKind::StorageFull, "the disk is full; make room"),
        (ErrorKind::QuotaExceeded, "make room or raise the limit"),
        (ErrorKind::Unsupported, "has no locks; name a place"),
        (ErrorKind::Other, "look at its disk"),
    ] {
        // What the system says of it is not repeated.
        let says = cannot(Path::new("/a\u{1b}b"), &io::Error::new(kind, "SECRET")).to_string();
        assert!(says.contains(next) && says.starts_with(r#"the ledger "/a\u{1b}b" "#), "{says}");
        assert!(!says.contains("SECRET"));
    }
}

#[test]
fn whoever_may_only_read_can_look_and_not_write() {
    let shut = Trouble::lasting("the disk is read-only");
    let folder = Folder::new();
    let look = File::look(folder.holding(&three()), shut.clone()).unwrap();
    assert_eq!(names(&all(&look)), "x2z1");
    assert_eq!(now(look.write(&[put("w", 1, json!({}))])), Err(shut.clone()));
    // A copy takes what nobody is to remember.
    let copy = look.copy().unwrap();
    now(copy.write(&[put("w", 1, json!({}))])).unwrap();
    assert_eq!((names(&all(&copy)).as_str(), names(&all(&look)).as_str()), ("w1x2z1", "x2z1"));
    // What others write meanwhile is seen.
    let other = File::open(folder.ledger()).unwrap();
    now(other.write(&[put("v", 1, json!({}))])).unwrap();
    assert_eq!(names(&all(&look)), "v1x2z1");
    // Nothing is made where there is nothing, nor where somebody was killed before the first line was whole.
    for (left, place) in [("", "none/ledger"), ("{\"for", "begun")] {
        let path = folder.0.join(place);
        if !left.is_empty() {
            drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap());
            fs::write(&path, left).unwrap();
        }
        let look = File::look(&path, shut.clone()).unwrap();
        assert_eq!((names(&all(&look)).as_str(), now(look.write(&[put("w", 1, json!({}))]))), ("", Err(shut.clone())));
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), left);
    }
    // What is no ledger is none for a look either.
    for (bytes, says) in [(&b"hello\n"[..], "no ledger"), (b"{\"format\":\"suture.ledger/2\"}\n", "newer suture")] {
        let trouble = File::look(folder.holding(bytes), shut.clone()).unwrap_err();
        assert!(trouble.to_string().contains(says), "{trouble}");
    }
}

#[test]
fn a_ledger_that_was_taken_away_under_it_is_neither_read_nor_written() {
    type Way = (&'static str, fn(&Path));
    let folder = Folder::new();
    let path = folder.holding(&three());
    let ways: [Way; 4] = [
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("moved", |path| fs::rename(path, path.with_extension("old")).unwrap()),
        ("replaced", |path| {
            fs::copy(path, path.with_extension("new")).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("cut", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(40).unwrap()),
    ];
    for (case, spoil) in ways {
        let file = File::open(folder.holding(&three())).unwrap();
        spoil(&path);
        let write = now(file.write(&[put("new", 1, json!({}))])).unwrap_err();
        let read = now(file.get(&key("x"))).unwrap_err();
        for trouble in [write, read] {
            assert!(trouble.to_string().contains("moved, replaced or cut"), "{case}: {trouble}");
            assert!(!trouble.is_worth_a_retry());
        }
    }
}

#[test]
fn two_who_have_it_open_see_each_others_writes() {
    let folder = Folder::new();
    let (one, other) = (File::open(folder.ledger()).unwrap(), File::open(folder.ledger()).unwrap());
    now(one.write(&[put("x", 1, json!(1))])).unwrap();
    assert_eq!(now(other.write(&[put("y", 1, json!(1)), put("x", 1, json!(2))])), Err(Trouble::Conflict(1)));
    now(other.write(&[put("x", 2, json!(2))])).unwrap();
    assert_eq!(names(&all(&one)), "x2");
    assert_eq!(all(&one), all(&other));
}

#[test]
fn what_could_not_be_read_again_does_not_get_in() {
    let folder = Folder::new();
    let file = File::open(folder.ledger()).unwrap();
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    assert!(!now(file.write(&[put("x", 1, deep)])).unwrap_err().is_worth_a_retry());
    now(file.write(&[put("x", 1, json!(1))])).unwrap();
    assert_eq!(names(&all(&File::open(folder.ledger()).unwrap())), "x1");
}

#[test]
fn it_conforms() {
    for seed in 0..4 {
        let folder = Folder::new();
        let file = File::open(folder.ledger()).unwrap();
        crate::conformance::conform(&file, &Memory::default(), seed).now_or_never().unwrap();
    }
}

fn body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), any::<i64>().prop_map(|n| json!(n)), ".*".prop_map(|text| json!(text))];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|list| json!(list)),
            proptest::collection::btree_map(".*", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn write() -> impl Strategy<Value = Write> {
    let sk = || proptest::sample::select(vec!["p", "pq", "r"]);
    prop_oneof![
        4 => (sk(), 1..5_u64, body(), proptest::option::of("[ab]"), proptest::option::of("[cd]")).prop_map(
            |(sk, version, body, id, day)| Write::Put(Item { key: key(sk), version, body, id, day, expires: None })
        ),
        1 => (sk(), 1..4_u64).prop_map(|(sk, version)| Write::Delete(key(sk), version)),
        1 => (0..4_u64, 0..8_u64).prop_map(|(add, limit)| Write::Count { key: key("c"), add, limit, expires: 5 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn it_answers_as_memory_does(transactions in proptest::collection::vec((proptest::collection::vec(write(), 1..4), 0..3_u8), 1..40)) {
        let folder = Folder::new();
        let memory = Memory::default();
        let mut files = [File::open(folder.ledger()).unwrap(), File::open(folder.ledger()).unwrap()];
        for (mut writes, who) in transactions {
            // No two to one item.
            let mut seen = Vec::new();
            writes.retain(|write| {
                let new = !seen.contains(write.key());
                seen.push(write.key().clone());
                new
            });
            if who == 2 {
                files[0] = File::open(folder.ledger()).unwrap();
            }
            let file = &files[usize::from(who) % 2];
            prop_assert_eq!(now(file.write(&writes)), now(memory.write(&writes)));
            let other = &files[(usize::from(who) + 1) % 2];
            prop_assert_eq!(all(other), all(&memory));
            for newest_first in [true, false] {
                let ask = |store: &dyn Store| now(store.query("a", "p", newest_first, 1)).unwrap();
                prop_assert_eq!(ask(other), ask(&memory));
            }
            for (index, value) in [(Index::Id, "a"), (Index::Day, "c")] {
                prop_assert_eq!(now(other.find(index, value)), now(memory.find(index, value)));
            }
        }
        prop_assert_eq!(all(&File::open(folder.ledger()).unwrap()), all(&memory));
    }
}
