//! The files of a report: what they are called, and that none of them is there by half.

use super::super::words::plain;
use crate::show;
use crate::show::eprintln;
use report::model::Report;
use report::{Wanted, csv, html};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use time::Duration;

/// What can be made of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The page.
    Html,
    /// Two tables: stretches of drift, and records.
    Csv,
    /// All of it.
    Json,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the standard output, in this format.
    Printed(Format),
    /// To files that begin so, in these formats; the page's own name.
    Files(PathBuf, PathBuf, Vec<Format>),
}

/// The text of a report in a format; of its tables, the stretches of drift.
///
/// # Errors
/// It could not be put into words.
pub fn text(format: Format, report: &Report) -> Result<String, String> {
    Ok(match format {
        Format::Html => html::page(report),
        Format::Csv => csv::episodes(report),
        Format::Json => {
            let json = serde_json::to_string(report);
            json.map_err(|_| "the report could not be put into words".to_owned())? + "\n"
        }
    })
}

impl Target {
    /// Where it goes by what a person said.
    ///
    /// # Errors
    /// `-` for several formats, or a name that is none.
    pub fn of(out: Option<&Path>, formats: &[Format], wanted: &Wanted) -> Result<Self, String> {
        if out == Some(Path::new("-")) {
            return match formats {
                [] => Ok(Self::Printed(Format::Html)),
                [one] => Ok(Self::Printed(*one)),
                _ => Err("--out - prints one format; name one: --format html, csv or json".to_owned()),
            };
        }
        let all = [Format::Html, Format::Csv, Format::Json];
        let formats = if formats.is_empty() { &all } else { formats };
        let last = (wanted.to - Duration::NANOSECOND).date();
        let usual = format!("suture-report-{}-{last}.html", wanted.from.date());
        let page = match out {
            None => PathBuf::from(usual),
            Some(folder) if folder.is_dir() => folder.join(usual),
            Some(page) if page.file_name().is_none() => {
                return Err(format!(
                    "{} is no name of a file; write --out report.html",
                    plain(&page.to_string_lossy())
                ));
            }
            Some(page) => page.to_owned(),
        };
        let is_page = page.extension().is_some_and(|ending| ending == "html" || ending == "htm");
        // report.json, where nothing but JSON is wanted, is that very file.
        let only = matches!(formats, [Format::Json] if page.extension().is_some_and(|ending| ending == "json"))
            || matches!(formats, [Format::Csv] if page.extension().is_some_and(|ending| ending == "csv"));
        let stem = if is_page || only { page.with_extension("") } else { page.clone() };
        let page = if is_page { page } else { with(&stem, ".html") };
        Ok(Self::Files(stem, page, formats.to_vec()))
    }

    /// Whether it goes to the standard output.
    pub fn is_printed(&self) -> bool {
        matches!(self, Self::Printed(_))
    }

    /// What is printed.
    ///
    /// # Errors
    /// It could not be put into words.
    pub fn text(&self, report: &Report) -> Result<String, String> {
        match self {
            Self::Printed(format) => text(*format, report),
            Self::Files(..) => Ok(String::new()),
        }
    }

    /// The files that are to be.
    pub fn paths(&self) -> Vec<PathBuf> {
        let Self::Files(stem, page, formats) = self else { return Vec::new() };
        let mut paths = Vec::new();
        if formats.contains(&Format::Html) {
            paths.push(page.clone());
        }
        if formats.contains(&Format::Csv) {
            paths.extend([with(stem, ".csv"), with(stem, "-records.csv")]);
        }
        if formats.contains(&Format::Json) {
            paths.push(with(stem, ".json"));
        }
        paths
    }

    /// Whether nothing is there that would be written over.
    ///
    /// # Errors
    /// Something is, and it is not to be written over.
    pub fn is_free(&self, force: bool) -> Result<(), String> {
        match self.paths().into_iter().find(|path| !force && path.symlink_metadata().is_ok()) {
            None => Ok(()),
            Some(path) => Err(format!(
                "{} is there already; name another file with --out, or write over it with --force",
                plain(&path.to_string_lossy())
            )),
        }
    }

    /// Writes the files; their names.
    ///
    /// # Errors
    /// One of them could not be written: which, and why.
    pub fn write(&self, report: &Report) -> Result<Vec<PathBuf>, String> {
        let paths = self.paths();
        for path in &paths {
            let name = path.to_string_lossy();
            let text = if name.ends_with("-records.csv") {
                csv::records(report)
            } else if name.ends_with(".csv") {
                csv::episodes(report)
            } else if name.ends_with(".json") {
                text(Format::Json, report)?
            } else {
                html::page(report)
            };
            write(path, &text)?;
        }
        Ok(paths)
    }
}

fn with(stem: &Path, ending: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Writes a file that its owner alone may read: under another name first, so that it is there whole or not at all.
///
/// # Errors
/// It could not be written: why.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    let new = with(path, &format!(".{}.new", std::process::id()));
    let written = (|| {
        // What another process of this number left behind.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        let what = match error.kind() {
            ErrorKind::NotFound => "its folder does not exist".to_owned(),
            kind => kind.to_string(),
        };
        format!("{} cannot be written: {what}; name another file with --out", plain(&path.to_string_lossy()))
    })
}

/// Opens the page in whatever opens pages here.
pub fn open(written: &[PathBuf]) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let Some(page) =
        written.iter().find(|path| path.extension().is_some_and(|ending| ending != "csv" && ending != "json"))
    else {
        return eprintln!("{}: there is no page to open; make one with --format html", show::mind("warning"));
    };
    // A name that begins with a dash is no option.
    let page = fs::canonicalize(page).unwrap_or_else(|_| page.clone());
    let started =
        Command::new(opener).arg(&page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        eprintln!(
            "{}: there is no {opener} here; open {} yourself",
            show::mind("warning"),
            plain(&page.to_string_lossy())
        );
    }
}
