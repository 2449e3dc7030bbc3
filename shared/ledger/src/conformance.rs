//! Whether a store does what [`Memory`] does. Behind the feature `testing`; never in a function.

#![allow(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "only tests use this, and it may fail as tests do"
)]

use crate::memory::Memory;
use crate::store::{Index, Item, Key, Store, Write};
use serde_json::{Value, json};

/// How many operations one run makes.
const STEPS: usize = 150;
/// The partitions; one begins like the other.
const PARTITIONS: [&str; 3] = ["resource#1", "resource#1#x", "budget#ü"];
/// The sort keys of items, in no order: some begin like others, and some are in another order by UTF-16 than by UTF-8.
const SORTS: [&str; 7] =
    ["record#2", "record#10", "record#", "standing#a", "record#\u{ffff}", "record#\u{1f512}", "Record#2"];
/// The sort keys of counts: no item has one.
const COUNTS: [&str; 2] = ["hour#1", "record#10-count"];
const IDS: [&str; 3] = ["id-1", "id-2", "id-3"];
const DAYS: [&str; 3] = ["111122223333#2026-01-15", "111122223333#2026-01-16", "444455556666#2026-01-15"];

/// Makes the same random operations on a store and on memory, both empty, and compares what they answer, the numbers of
/// conflicts included. The same seed makes the same operations. The store's indexes must not lag.
pub async fn conform(store: &dyn Store, reference: &Memory, seed: u64) {
    let mut random = Random(seed);
    for step in 0..STEPS {
        let writes = random.writes(reference);
        let (theirs, ours) = (store.write(&writes).await, reference.write(&writes).await);
        assert_eq!(theirs, ours, "step {step} of seed {seed}: {writes:#?}");
        for write in &writes {
            same(store, reference, write.key()).await;
        }
        let (pk, begins) = (random.of(&PARTITIONS), random.of(&["", "record#", "record#1", "standing#a", "none"]));
        let (newest_first, limit) = (random.below(2) == 0, random.of(&[0, 1, 2, 3, 10_000]));
        let theirs = store.query(pk, begins, newest_first, limit).await;
        let ours = reference.query(pk, begins, newest_first, limit).await;
        assert_eq!(theirs, ours, "step {step} of seed {seed}: {pk} {begins:?} {newest_first} {limit}");
        let day = random.of(&DAYS);
        let (theirs, ours) = (store.find(Index::Day, day).await, reference.find(Index::Day, day).await);
        assert_eq!(theirs.map(sorted), ours.map(sorted), "step {step} of seed {seed}: {day}");
        let id = random.of(&IDS);
        let (theirs, ours) = (store.find(Index::Id, id).await, reference.find(Index::Id, id).await);
        // This index has the keys alone.
        assert_eq!(theirs.map(keys), ours.map(keys), "step {step} of seed {seed}: {id}");
    }
    for pk in PARTITIONS {
        for sk in SORTS.iter().chain(&COUNTS) {
            same(store, reference, &Key::new(pk, *sk)).await;
        }
        for sk in COUNTS {
            let count = reference.count(&Key::new(pk, sk));
            for limit in [count.saturating_sub(1), count] {
                let probe = [Write::Count { key: Key::new(pk, sk), add: 0, limit, expires: 2_000_000_000 }];
                let (theirs, ours) = (store.write(&probe).await, reference.write(&probe).await);
                assert_eq!(theirs, ours, "the count {pk} {sk} of seed {seed} is {count}");
            }
        }
    }
}

async fn same(store: &dyn Store, reference: &Memory, key: &Key) {
    let (theirs, ours) = (store.get(key).await, reference.get(key).await);
    assert_eq!(theirs, ours, "{key:?}");
}

fn sorted(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by(|a, b| a.key.cmp(&b.key));
    items
}

fn keys(items: Vec<Item>) -> Vec<Key> {
    sorted(items).into_iter().map(|item| item.key).collect()
}

/// A random number generator: <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap_or_default()]
    }

    /// Up to four writes to different items; most of their conditions hold.
    fn writes(&mut self, reference: &Memory) -> Vec<Write> {
        let mut writes: Vec<Write> = Vec::new();
        for _ in 0..=self.below(4) {
            let write = self.write(reference);
            if !writes.iter().any(|other| other.key() == write.key()) {
                writes.push(write);
            }
        }
        writes
    }

    fn write(&mut self, reference: &Memory) -> Write {
        let pk = self.of(&PARTITIONS);
        if self.below(4) == 0 {
            let key = Key::new(pk, self.of(&COUNTS));
            let (add, limit) = (self.below(3), self.of(&[0, 1, 5, 20, u64::MAX]));
            return Write::Count { key, add, limit, expires: 2_000_000_000 };
        }
        let key = Key::new(pk, self.of(&SORTS));
        let there = reference.items().into_iter().find(|item| item.key == key).map_or(0, |item| item.version);
        // One in eight is of the wrong version, above or below.
        let version = match self.below(16) {
            0 => there + 1,
            1 => there.saturating_sub(1),
            _ => there,
        };
        if self.below(4) == 0 {
            return Write::Delete(key, version);
        }
        let (id, day) = (self.of(&IDS).to_owned(), self.of(&DAYS).to_owned());
        Write::Put(Item {
            key,
            version: version + 1,
            body: self.body(),
            id: (self.below(2) == 0).then_some(id),
            day: (self.below(2) == 0).then_some(day),
            expires: (self.below(3) == 0).then_some(2_000_000_000),
        })
    }

    fn body(&mut self) -> Value {
        let number = self.below(1_000_000);
        match self.below(6) {
            0 => Value::Null,
            1 => json!(number),
            2 => json!({"text": "line\nquote\" \u{1f512} \\u0000 é", "number": number}),
            3 => json!({"b": {"a": [1, -2.5, null, true, {}]}, "a": [], "": ""}),
            4 => json!({"large": "x".repeat(usize::try_from(number % 20_000).unwrap_or_default())}),
            _ => json!({"outcome": "fixed", "began": "2026-01-15T10:00:00Z"}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Answer, Trouble};

    #[tokio::test]
    async fn memory_is_like_itself() {
        for seed in 0..20 {
            conform(&Memory::default(), &Memory::default(), seed).await;
        }
    }

    /// A store that overlooks the conditions of deletions.
    #[derive(Default)]
    struct Careless(Memory);

    impl Store for Careless {
        fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>> {
            self.0.get(key)
        }

        fn query<'a>(
            &'a self,
            pk: &'a str,
            begins: &'a str,
            newest_first: bool,
            limit: usize,
        ) -> Answer<'a, Vec<Item>> {
            self.0.query(pk, begins, newest_first, limit)
        }

        fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
            self.0.find(index, value)
        }

        fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
            Box::pin(async move {
                match self.0.write(writes).await {
                    Err(Trouble::Conflict(number)) if matches!(writes[number], Write::Delete(..)) => Ok(()),
                    other => other,
                }
            })
        }
    }

    #[tokio::test]
    #[should_panic(expected = "of seed 1")]
    async fn what_is_unlike_is_found() {
        conform(&Careless::default(), &Memory::default(), 1).await;
    }
}
