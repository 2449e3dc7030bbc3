//! Where evidence is kept: little is asked of it, so that a bucket, a folder and a map in memory can all do it alike.

use ledger::{Answer, Trouble};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What became of an object that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    New,
    /// Something of that name was there; it was not touched.
    Taken,
}

/// An object as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: String,
    /// Whether it was deleted, and only older versions are left.
    pub deleted: bool,
}

/// What holds evidence.
pub trait Shelf {
    /// Puts an object where there is none of that name.
    fn put_new<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, Put>;

    /// The bytes of an object; none if there is none.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>>;

    /// The objects whose names begin so, in any order.
    fn list<'a>(&'a self, begins: &'a str) -> Answer<'a, Vec<Listed>>;

    /// The ids of an object's versions, the newest first, where the shelf keeps versions.
    fn versions<'a>(&'a self, key: &'a str) -> Answer<'a, Vec<String>>;

    /// The bytes of one version; none if there is none.
    fn version<'a>(&'a self, key: &'a str, id: &'a str) -> Answer<'a, Option<Vec<u8>>>;
}

/// A shelf in memory, which keeps versions as a bucket does. Gone with the process.
#[derive(Debug, Default)]
pub struct MemoryShelf {
    objects: RefCell<BTreeMap<String, Vec<Option<Vec<u8>>>>>,
}

impl MemoryShelf {
    /// Puts an object whatever is there, as somebody with the permission could; none deletes.
    pub fn overwrite(&self, key: &str, bytes: Option<&[u8]>) {
        self.objects.borrow_mut().entry(key.to_owned()).or_default().push(bytes.map(<[u8]>::to_vec));
    }

    /// Takes an object away with all its versions, as nobody could while Object Lock holds.
    pub fn purge(&self, key: &str) {
        self.objects.borrow_mut().remove(key);
    }

    fn newest(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.borrow().get(key).and_then(|versions| versions.last().cloned()).flatten()
    }
}

impl Shelf for MemoryShelf {
    fn put_new<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, Put> {
        Box::pin(async move {
            if self.newest(key).is_some() {
                return Ok(Put::Taken);
            }
            self.overwrite(key, Some(text.as_bytes()));
            Ok(Put::New)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move { Ok(self.newest(key)) })
    }

    fn list<'a>(&'a self, begins: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let objects = self.objects.borrow();
            let deleted = |versions: &[Option<Vec<u8>>]| !matches!(versions.last(), Some(Some(_)));
            let listed = objects.iter().map(|(key, versions)| Listed { key: key.clone(), deleted: deleted(versions) });
            Ok(listed.filter(|listed| listed.key.starts_with(begins)).collect())
        })
    }

    fn versions<'a>(&'a self, key: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let objects = self.objects.borrow();
            let versions = objects.get(key).map(Vec::as_slice).unwrap_or_default().iter().enumerate();
            Ok(versions.rev().filter(|(_, bytes)| bytes.is_some()).map(|(number, _)| number.to_string()).collect())
        })
    }

    fn version<'a>(&'a self, key: &'a str, id: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let number: usize = id.parse().map_err(|_| Trouble::lasting("no version has that id"))?;
            let objects = self.objects.borrow();
            Ok(objects.get(key).and_then(|versions| versions.get(number).cloned()).flatten())
        })
    }
}
