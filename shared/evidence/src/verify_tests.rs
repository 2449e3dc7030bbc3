use super::*;
use crate::document::text;
use crate::shelf::MemoryShelf;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

/// A shelf with this many pieces, and their names.
pub(crate) fn shelf(pieces: u64) -> (MemoryShelf, Vec<String>, Known) {
    let shelf = MemoryShelf::default();
    let (mut head, mut keys) = (Head::default(), Vec::new());
    for seq in 1..=pieces {
        let record = json!({"id": format!("r-{seq}"), "began": format!("2026-01-{:02}T10:00:00Z", 1 + (seq * 7) % 28)});
        let text = text(seq, &head.hash, &record);
        let key = document::key(seq, &record, time::OffsetDateTime::UNIX_EPOCH);
        shelf.overwrite(&key, Some(text.as_bytes()));
        head = Head { seq, hash: hash(text.as_bytes()) };
        keys.push(key);
    }
    (shelf, keys, Known { head, open: BTreeMap::new() })
}

fn kinds(report: &Report) -> Vec<(Kind, Option<u64>)> {
    report.problems.iter().map(|problem| (problem.kind, problem.seq)).collect()
}

async fn bytes(shelf: &MemoryShelf, key: &str) -> Vec<u8> {
    shelf.get(key).await.unwrap().unwrap()
}

/// A piece with another text in its record, and otherwise well-formed.
async fn edited(shelf: &MemoryShelf, key: &str) -> Vec<u8> {
    String::from_utf8(bytes(shelf, key).await).unwrap().replace("T10:", "T11:").into_bytes()
}

#[tokio::test]
async fn nothing_is_wrong_with_what_nobody_touched() {
    for pieces in [0, 1, 2, 40] {
        let (shelf, _, known) = shelf(pieces);
        for known in [Some(&known), None] {
            let report = verify(&shelf, known).await.unwrap();
            assert!(report.is_sound(), "{report:?}");
            assert_eq!((report.objects, report.intact, report.unproved), (pieces, pieces, 0));
        }
    }
}

#[tokio::test]
async fn a_changed_piece_is_named_and_its_intact_version_found() {
    let (shelf, keys, known) = shelf(9);
    let changed = edited(&shelf, &keys[4]).await;
    shelf.overwrite(&keys[4], Some(&changed));
    for known in [Some(&known), None] {
        let report = verify(&shelf, known).await.unwrap();
        assert_eq!(kinds(&report), [(Kind::Changed, Some(5))], "{report:?}");
        assert_eq!(report.problems[0].intact.as_deref(), Some("0"));
        // The intact version vouches for those before it.
        assert_eq!((report.intact, report.unproved), (8, 0));
    }
}

#[tokio::test]
async fn a_piece_that_was_changed_for_good_leaves_those_before_it_unproved() {
    let (shelf, keys, known) = shelf(9);
    let changed = edited(&shelf, &keys[4]).await;
    shelf.purge(&keys[4]);
    shelf.overwrite(&keys[4], Some(&changed));
    let report = verify(&shelf, Some(&known)).await.unwrap();
    assert_eq!(kinds(&report), [(Kind::Changed, Some(5))]);
    assert_eq!((report.intact, report.unproved), (4, 4));
    assert!(report.lines().last().unwrap().contains("NOT SOUND"));
}

#[tokio::test]
async fn the_last_piece_is_judged_by_the_ledger_alone() {
    let (shelf, keys, known) = shelf(3);
    let changed = edited(&shelf, &keys[2]).await;
    shelf.overwrite(&keys[2], Some(&changed));
    assert_eq!(kinds(&verify(&shelf, Some(&known)).await.unwrap()), [(Kind::Changed, Some(3))]);
    let blind = verify(&shelf, None).await.unwrap();
    assert!(blind.is_sound());
    assert!(blind.lines().iter().any(|line| line.contains("the ledger was not asked")));
}

#[tokio::test]
async fn a_missing_piece_is_named() {
    let (shelf, keys, known) = shelf(9);
    shelf.purge(&keys[4]);
    for known in [Some(&known), None] {
        let report = verify(&shelf, known).await.unwrap();
        assert_eq!(kinds(&report), [(Kind::Missing, Some(5)), (Kind::Unconfirmed, Some(4))]);
    }
}

#[tokio::test]
async fn a_missing_end_and_a_missing_beginning_are_named() {
    let (end, keys, known) = shelf(9);
    for key in &keys[6..] {
        end.purge(key);
    }
    let report = verify(&end, Some(&known)).await.unwrap();
    assert_eq!(kinds(&report), [(Kind::Missing, Some(7)), (Kind::Unconfirmed, Some(6))]);
    assert_eq!(report.problems[0].to, Some(9));
    assert!(verify(&end, None).await.unwrap().is_sound(), "without the ledger nobody can know");

    let (beginning, keys, known) = shelf(9);
    for key in &keys[..3] {
        beginning.purge(key);
    }
    let report = verify(&beginning, Some(&known)).await.unwrap();
    assert_eq!(kinds(&report), [(Kind::Missing, Some(1))]);
    assert_eq!(report.problems[0].to, Some(3));

    let (all, keys, known) = shelf(9);
    for key in &keys {
        all.purge(key);
    }
    assert_eq!(kinds(&verify(&all, Some(&known)).await.unwrap()), [(Kind::Missing, Some(1))]);
}

#[tokio::test]
async fn a_deleted_piece_is_found_under_its_mark() {
    let (shelf, keys, known) = shelf(5);
    shelf.overwrite(&keys[2], None);
    let report = verify(&shelf, Some(&known)).await.unwrap();
    assert_eq!(kinds(&report), [(Kind::Deleted, Some(3))]);
    assert_eq!(report.problems[0].intact.as_deref(), Some("0"));
    assert_eq!((report.objects, report.intact), (4, 4));
}

#[tokio::test]
async fn swapped_pieces_are_named_both() {
    let (shelf, keys, known) = shelf(6);
    let (a, b) = (bytes(&shelf, &keys[1]).await, bytes(&shelf, &keys[3]).await);
    shelf.purge(&keys[1]);
    shelf.purge(&keys[3]);
    shelf.overwrite(&keys[1], Some(&b));
    shelf.overwrite(&keys[3], Some(&a));
    let found = kinds(&verify(&shelf, Some(&known)).await.unwrap());
    let named: BTreeSet<_> = found.iter().filter_map(|(_, seq)| *seq).collect();
    assert!(found.contains(&(Kind::Changed, Some(4))), "{found:?}");
    assert!(named.is_superset(&BTreeSet::from([2, 4])), "{found:?}");
}

#[tokio::test]
async fn a_renamed_piece_is_named() {
    let (shelf, keys, known) = shelf(4);
    let moved = keys[2].replace("-r-3", "-innocent");
    let was = bytes(&shelf, &keys[2]).await;
    shelf.purge(&keys[2]);
    shelf.overwrite(&moved, Some(&was));
    assert_eq!(kinds(&verify(&shelf, Some(&known)).await.unwrap()), [(Kind::Misplaced, Some(3))]);
}

#[tokio::test]
async fn a_second_object_of_a_number_is_named_whatever_its_name_sorts_before() {
    for other in ["-a", "-z"] {
        let (shelf, keys, known) = shelf(4);
        let double = keys[1].replace("-r-2", other);
        let changed = edited(&shelf, &keys[1]).await;
        shelf.overwrite(&double, Some(&changed));
        let report = verify(&shelf, Some(&known)).await.unwrap();
        assert_eq!(kinds(&report), [(Kind::Duplicate, Some(2))]);
        assert_eq!(report.problems[0].key.as_deref(), Some(double.as_str()));
        assert_eq!(report.intact, 4);
    }
}

#[tokio::test]
async fn foreign_objects_and_pieces_behind_the_end_are_named() {
    let (shelf, _, known) = shelf(2);
    shelf.overwrite("records/notes.txt", Some(b"hello"));
    let forged = text(3, &known.head.hash, &json!({"id": "f", "began": "2026-01-01T00:00:00Z"}));
    shelf.overwrite("records/2026/01/01/000000000003-f.json", Some(forged.as_bytes()));
    let found = kinds(&verify(&shelf, Some(&known)).await.unwrap());
    assert_eq!(found, [(Kind::Foreign, None), (Kind::Beyond, Some(3))]);
    // A name with a huge number costs no time.
    shelf.overwrite("records/2026/01/01/9999999999999999999-f.json", Some(b"{}"));
    let found = kinds(&verify(&shelf, Some(&known)).await.unwrap());
    assert!(found.contains(&(Kind::Beyond, Some(9_999_999_999_999_999_999))), "{found:?}");
}

#[tokio::test]
async fn what_is_not_canonical_is_named_even_if_the_chain_vouches_for_it() {
    let (shelf, keys, mut known) = shelf(1);
    let loose = String::from_utf8(bytes(&shelf, &keys[0]).await).unwrap().replace(":1}", ": 1}");
    shelf.overwrite(&keys[0], Some(loose.as_bytes()));
    known.head.hash = hash(loose.as_bytes());
    assert_eq!(kinds(&verify(&shelf, Some(&known)).await.unwrap()), [(Kind::Malformed, Some(1))]);
}

#[tokio::test]
async fn the_first_piece_has_none_before_it() {
    let shelf = MemoryShelf::default();
    let text = text(1, &hash(b"one that somebody took away"), &json!({"id": "r-1", "began": "2026-01-01T00:00:00Z"}));
    shelf.overwrite("records/2026/01/01/000000000001-r-1.json", Some(text.as_bytes()));
    let known = Known { head: Head { seq: 1, hash: hash(text.as_bytes()) }, open: BTreeMap::new() };
    assert_eq!(kinds(&verify(&shelf, Some(&known)).await.unwrap()), [(Kind::Malformed, Some(1))]);
}

#[tokio::test]
async fn what_is_about_to_be_written_is_not_missing() {
    let (shelf, keys, mut known) = shelf(5);
    for at in [2, 4] {
        let said = document::read(&bytes(&shelf, &keys[at]).await).unwrap();
        known.open.insert(said.seq, said.previous);
        shelf.purge(&keys[at]);
    }
    let report = verify(&shelf, Some(&known)).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.waiting, report.intact), (2, 3));
}

#[tokio::test]
async fn the_list_of_problems_has_an_end() {
    let (shelf, _, known) = shelf(0);
    for number in 0..TOLD + 5 {
        shelf.overwrite(&format!("records/{number}"), Some(b""));
    }
    let report = verify(&shelf, Some(&known)).await.unwrap();
    assert_eq!((report.problems.len(), report.more), (TOLD, 5));
    assert!(!report.is_sound());
}

/// Ways to meddle.
#[derive(Clone, Debug)]
enum Meddling {
    Flip(usize, usize),
    Purge(usize),
    Delete(usize),
    Copy(usize, usize),
    Truncate(usize),
}

fn meddling() -> impl Strategy<Value = Meddling> {
    let piece = 0..12_usize;
    prop_oneof![
        (piece.clone(), any::<usize>()).prop_map(|(piece, at)| Meddling::Flip(piece, at)),
        piece.clone().prop_map(Meddling::Purge),
        piece.clone().prop_map(Meddling::Delete),
        (piece.clone(), piece.clone()).prop_map(|(from, to)| Meddling::Copy(from, to)),
        (1..12_usize).prop_map(Meddling::Truncate),
    ]
}

proptest! {
    #[test]
    fn no_meddling_goes_unseen(what in meddling(), with_versions in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (shelf, keys, known) = shelf(12);
            let replace = |key: &str, bytes: &[u8]| {
                if !with_versions {
                    shelf.purge(key);
                }
                shelf.overwrite(key, Some(bytes));
            };
            let piece = match &what {
                Meddling::Flip(piece, at) => {
                    let mut bytes = bytes(&shelf, &keys[*piece]).await;
                    let at = at % bytes.len();
                    bytes[at] ^= 1;
                    replace(&keys[*piece], &bytes);
                    *piece
                }
                Meddling::Purge(piece) => { shelf.purge(&keys[*piece]); *piece }
                Meddling::Delete(piece) => { shelf.overwrite(&keys[*piece], None); *piece }
                Meddling::Copy(from, to) if from == to => return Ok(()),
                Meddling::Copy(from, to) => { replace(&keys[*to], &bytes(&shelf, &keys[*from]).await); *to }
                Meddling::Truncate(left) => { for key in &keys[*left..] {     shelf.purge(key); } *left }
            };
            let report = verify(&shelf, Some(&known)).await.unwrap();
            let number = piece as u64 + 1;
            let named = |problem: &Problem| problem.seq.is_some_and(|seq| (seq..=problem.to.unwrap_or(seq)).contains(&number));
            prop_assert!(report.problems.iter().any(named), "{:?}: {:?}", what, report);
            // And nobody else is accused: at most the one before it loses its proof.
            let accused = |problem: &&Problem| problem.kind != Kind::Unconfirmed && !named(problem);
            prop_assert_eq!(report.problems.iter().find(accused), None);
            prop_assert!(serde_json::to_string(&report).is_ok());
            Ok(())
        })?;
    }
}
