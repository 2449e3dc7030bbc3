//! What the ledger asks of whatever holds it: little, so that a table, a file and a map in memory can all do it alike.

use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use std::fmt;

/// An answer of a store.
pub type Answer<'a, T> = LocalBoxFuture<'a, Result<T, Trouble>>;

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// A key.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it is.
    pub key: Key,
    /// How often it has been written: 1 the first time.
    pub version: u64,
    /// What it says.
    pub body: Value,
    /// What the index [`Index::Id`] finds it by.
    pub id: Option<String>,
    /// What the index [`Index::Day`] finds it by.
    pub day: Option<String>,
    /// From when on the store may drop it, in seconds since 1970; never if none.
    pub expires: Option<i64>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Writes the item, if what is there has the version before the item's; for version 1, if nothing is there.
    Put(Item),
    /// Deletes what is there, if it has this version.
    Delete(Key, u64),
    /// Adds to a count (an item whose body is none and whose number is `count`), if the sum stays within the limit. What is
    /// not there counts nothing.
    Count {
        /// Where the count is.
        key: Key,
        /// How much is added.
        add: u64,
        /// How large it may become.
        limit: u64,
        /// From when on the store may drop it, in seconds since 1970.
        expires: i64,
    },
}

impl Write {
    /// Where it writes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(item) => &item.key,
            Self::Delete(key, _) | Self::Count { key, .. } => key,
        }
    }
}

/// A way to find items other than by their key. An index may lag the table by a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// By a record's id.
    Id,
    /// By account and day: `111122223333#2026-01-15`.
    Day,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The condition of the write with this number (from 0) did not hold. Nothing was written.
    Conflict(usize),
    /// The store cannot be read or written.
    Away {
        /// What happened, in one line without any text of AWS's, and the next step.
        why: String,
        /// Whether it may go better later.
        retry: bool,
        /// Whether the writes may have been made all the same (an answer that was lost).
        perhaps: bool,
    },
}

impl Trouble {
    /// Trouble that no patience mends.
    pub fn lasting(why: impl Into<String>) -> Self {
        Self::Away { why: why.into(), retry: false, perhaps: false }
    }

    /// Trouble that may pass.
    pub fn passing(why: impl Into<String>) -> Self {
        Self::Away { why: why.into(), retry: true, perhaps: false }
    }

    /// Whether it may go better later.
    pub const fn is_worth_a_retry(&self) -> bool {
        !matches!(self, Self::Away { retry: false, .. })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(_) => f.write_str("the ledger was changed by somebody else at this moment"),
            Self::Away { why, .. } => f.write_str(why),
        }
    }
}

impl std::error::Error for Trouble {}

/// What it means that something of the ledger is in a form that this version does not know.
pub(crate) fn newer(what: &str) -> Trouble {
    let own = env!("CARGO_PKG_VERSION");
    Trouble::lasting(format!("{what} was written by a newer suture than this one ({own}); install that one"))
}

/// What holds the ledger. Reads by key and by partition see every write that was answered; reads by index may lag.
pub trait Store {
    /// The item with this key, if there is one.
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>>;

    /// The items of a partition whose sort key begins so, in the order of their sort keys; if `newest_first`, from the last
    /// on. No more than `limit`.
    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest_first: bool, limit: usize) -> Answer<'a, Vec<Item>>;

    /// The items that an index finds by this value.
    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>>;

    /// Makes all these writes or, if a condition does not hold, none of them. They are to different items, 100 at most.
    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()>;
}
