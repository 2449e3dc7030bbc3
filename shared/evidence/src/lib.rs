//! What an auditor gets: every finished record as an object of its own, which nobody changes or takes away unseen.
//!
//! An object is canonical JSON ([`canonical()`]): the record, a number, and the hash of the object before it. The numbers
//! have no gap. The ledger knows the last number and its hash, so a missing end shows, too. `docs/evidence.md` says how to
//! check all that with a shell.
//!
//! [`Chain`] makes evidence of records, on a [`Shelf`]; [`verify()`] checks a shelf. What is announced to whom is not
//! decided here.

mod bucket;
#[cfg(test)]
mod by_hand_tests;
mod canonical;
mod chain;
mod document;
mod folder;
mod shelf;
mod verify;

pub use bucket::Bucket;
pub use canonical::canonical;
pub use chain::{
    ABANDONED, Archived, Chain, Claim, KEPT, Known, PARTITION, RECORD, SLOT, Slot, is_due, is_intent, under_way,
};
pub use document::{FOLDER, Head, NONE_BEFORE, SCHEMA, hash, key, record_of, seq_of, text};
pub use folder::Folder;
pub use shelf::{Listed, MemoryShelf, Put, Shelf};
pub use verify::{Kind, Problem, Report, audit, verify};
