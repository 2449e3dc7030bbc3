//! The ledger in memory: for tests, and what the file keeps of itself.

use crate::store::{Answer, Index, Item, Key, Store, Trouble, Write};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A table in memory. Gone with the process.
#[derive(Debug, Default)]
pub struct Memory {
    table: RefCell<Table>,
}

/// The items, and how writes change them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    items: BTreeMap<Key, Item>,
    counts: BTreeMap<Key, u64>,
}

impl Table {
    pub(crate) fn get(&self, key: &Key) -> Option<Item> {
        self.items.get(key).cloned()
    }

    pub(crate) fn query(&self, pk: &str, begins: &str, newest_first: bool, limit: usize) -> Vec<Item> {
        let from = Key::new(pk, begins);
        let found = self.items.range(from..).map(|(_, item)| item);
        let found = found.take_while(|item| item.key.pk == pk && item.key.sk.starts_with(begins)).cloned();
        if newest_first {
            let mut found: Vec<Item> = found.collect();
            found.reverse();
            found.truncate(limit);
            return found;
        }
        found.take(limit).collect()
    }

    pub(crate) fn find(&self, index: Index, value: &str) -> Vec<Item> {
        let by = |item: &&Item| match index {
            Index::Id => item.id.as_deref() == Some(value),
            Index::Day => item.day.as_deref() == Some(value),
        };
        self.items.values().filter(by).cloned().collect()
    }

    /// Whether all conditions hold; if not, which is the first that does not.
    pub(crate) fn check(&self, writes: &[Write]) -> Result<(), Trouble> {
        for (number, write) in writes.iter().enumerate() {
            let version = self.items.get(write.key()).map_or(0, |item| item.version);
            let holds = match write {
                Write::Put(item) => version + 1 == item.version,
                Write::Delete(_, expected) => version == *expected && version > 0,
                Write::Count { key, add, limit, .. } => {
                    self.counts.get(key).copied().unwrap_or_default().saturating_add(*add) <= *limit
                }
            };
            if !holds {
                return Err(Trouble::Conflict(number));
            }
        }
        Ok(())
    }

    /// Makes writes whose conditions hold.
    pub(crate) fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Put(item) => {
                    self.items.insert(item.key.clone(), item.clone());
                }
                Write::Delete(key, _) => {
                    self.items.remove(key);
                }
                Write::Count { key, add, .. } => *self.counts.entry(key.clone()).or_default() += add,
            }
        }
    }
}

impl Memory {
    /// One that begins with this.
    pub(crate) fn of(table: Table) -> Self {
        Self { table: RefCell::new(table) }
    }

    /// The count at this key.
    pub fn count(&self, key: &Key) -> u64 {
        self.table.borrow().counts.get(key).copied().unwrap_or_default()
    }

    /// Every item, in the order of the keys.
    pub fn items(&self) -> Vec<Item> {
        self.table.borrow().items.values().cloned().collect()
    }
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>> {
        Box::pin(async move { Ok(self.table.borrow().get(key)) })
    }

    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest_first: bool, limit: usize) -> Answer<'a, Vec<Item>> {
        Box::pin(async move { Ok(self.table.borrow().query(pk, begins, newest_first, limit)) })
    }

    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
        Box::pin(async move { Ok(self.table.borrow().find(index, value)) })
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut table = self.table.borrow_mut();
            table.check(writes)?;
            table.apply(writes);
            Ok(())
        })
    }
}
