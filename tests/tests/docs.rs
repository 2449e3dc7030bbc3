//! The docs say what the code says.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::sync::LazyLock;
use system_tests::{About, controls, folders, workspace};

/// A control's page: the doc comment at the top of its lib.rs.
fn page(control: &str) -> String {
    let source = std::fs::read_to_string(workspace().join("functions").join(control).join("src/lib.rs")).unwrap();
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let page: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    format!("{}\n", page.join("\n"))
}

/// Writes the pages before any test reads one, if `BLESS` is set.
static BLESSED: LazyLock<()> = LazyLock::new(|| {
    if std::env::var_os("BLESS").is_some() {
        for control in folders() {
            std::fs::write(workspace().join("docs/controls").join(format!("{control}.md")), page(&control)).unwrap();
        }
    }
});

#[test]
fn every_control_has_its_page_in_docs() {
    LazyLock::force(&BLESSED);
    let folder = workspace().join("docs/controls");
    for control in folders() {
        let path = folder.join(format!("{control}.md"));
        let page = page(&control);
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page,
            "{} is not what the code says; run BLESS=1 cargo test -p system-tests --test docs",
            path.display()
        );
    }
    for page in std::fs::read_dir(&folder).unwrap() {
        let name = page.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(folders().contains(&name), "docs/controls/{name}.md is about no control");
    }
}

#[test]
fn every_page_has_the_fixed_headings() {
    let headings = ["What it looks for", "Why it matters", "What it does", "What could break", "Undo", "References"];
    for control in folders() {
        let page = page(&control);
        assert!(page.starts_with(&format!("# {control}: ")), "{control}: its page begins with its name");
        let found: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(found, headings, "{control}");
    }
}

#[test]
fn the_readme_names_every_control() {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    for About { id, title, never, .. } in controls() {
        let line = format!("| [`{id}`](docs/controls/{id}.md) | {title} | {never} |\n");
        assert!(readme.contains(&line), "README.md needs the line\n{line}");
    }
}

/// Links from one page to a file of the repository lead somewhere.
#[test]
fn no_link_is_broken() {
    LazyLock::force(&BLESSED);
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/records.md", "docs/calls.md"] {
        let path = workspace().join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.starts_with("http") {
                assert!(path.parent().unwrap().join(file).exists(), "{page} links to {link}");
            }
        }
    }
}
