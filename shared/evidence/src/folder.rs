//! Evidence in a directory: a command line's own, or a bucket that an auditor downloaded.

use crate::shelf::{Listed, Put, Shelf};
use ledger::{Answer, Trouble};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A directory. It keeps no versions.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The shelf in this directory, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, key: &str) -> Result<PathBuf, Trouble> {
        let mut path = self.root.clone();
        for part in key.split('/') {
            if matches!(part, "" | "." | "..") || part.contains(['\\', '\0', ':']) {
                return Err(Trouble::lasting(format!("{key} is no name for a file")));
            }
            path.push(part);
        }
        Ok(path)
    }

    /// Written whole under another name first, then linked: an object is there whole or not at all, and a link, unlike a
    /// rename, never takes the place of what is there.
    fn put(&self, key: &str, text: &str) -> Result<Put, Trouble> {
        let path = self.path(key)?;
        let folder = path.parent().unwrap_or(&self.root);
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let written = (|| {
            fs::create_dir_all(folder)?;
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            let linked = fs::hard_link(&new, &path);
            fs::remove_file(&new)?;
            match linked {
                Ok(()) => {
                    File::open(folder)?.sync_all()?;
                    Ok(Put::New)
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Put::Taken),
                Err(error) => Err(error),
            }
        })();
        written.map_err(|error| trouble("written", &path, error.kind()))
    }

    fn walk(&self, folder: &Path, keys: &mut Vec<Listed>) -> Result<(), Trouble> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| trouble("listed", folder, error.kind()))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| trouble("listed", folder, error.kind()))?;
            let (path, kind) = (entry.path(), entry.file_type());
            let kind = kind.map_err(|error| trouble("listed", &path, error.kind()))?;
            if kind.is_dir() {
                self.walk(&path, keys)?;
            } else if path.extension().is_none_or(|ending| ending != "new") {
                let inside = path.strip_prefix(&self.root).unwrap_or(&path);
                let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
                keys.push(Listed { key: parts.join("/"), deleted: false });
            }
        }
        Ok(())
    }
}

fn trouble(done: &str, path: &Path, kind: ErrorKind) -> Trouble {
    Trouble::lasting(format!("{} cannot be {done}: {kind}", path.display()))
}

impl Shelf for Folder {
    fn put_new<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, Put> {
        Box::pin(async move { self.put(key, text) })
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let path = self.path(key)?;
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(trouble("read", &path, error.kind())),
            }
        })
    }

    fn list<'a>(&'a self, begins: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let mut keys = Vec::new();
            let folder = begins.rsplit_once('/').map_or("", |(folder, _)| folder);
            let from = if folder.is_empty() { self.root.clone() } else { self.path(folder)? };
            self.walk(&from, &mut keys)?;
            keys.retain(|listed| listed.key.starts_with(begins));
            Ok(keys)
        })
    }

    fn versions<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn version<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_object_is_put_once_and_read_back() {
        let root = std::env::temp_dir().join(format!("suture-evidence-{}", std::process::id()));
        let folder = Folder::new(&root);
        assert_eq!(folder.list("records/").await, Ok(vec![]));
        let key = "records/2026/01/15/000000000001-r.json";
        assert_eq!(folder.put_new(key, "{}").await, Ok(Put::New));
        assert_eq!(folder.put_new(key, "other").await, Ok(Put::Taken));
        assert_eq!(folder.get(key).await, Ok(Some(b"{}".to_vec())));
        assert_eq!(folder.get("records/none.json").await, Ok(None));
        fs::write(root.join("records/2026/01/15/half.9.new"), "{").unwrap();
        assert_eq!(folder.list("records/").await, Ok(vec![Listed { key: key.to_owned(), deleted: false }]));
        fs::remove_dir_all(&root).unwrap();
    }

    #[tokio::test]
    async fn no_name_leads_out_of_the_folder() {
        let folder = Folder::new("/nonexistent");
        for key in ["../x", "records/../../x", "/etc/passwd", "records//x", ""] {
            assert!(folder.get(key).await.is_err(), "{key}");
            assert!(folder.put_new(key, "{}").await.is_err(), "{key}");
        }
    }
}
