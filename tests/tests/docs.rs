//! The docs say what the code says: pages and tables that are made from it are current, links lead somewhere, and what a
//! reader is told to type is something that our commands and functions understand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do"
)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::LazyLock;
use system_tests::{About, controls, folders, workspace};

#[path = "docs/safeguards.rs"]
mod safeguards;
#[path = "docs/typed.rs"]
mod typed;

/// A control's page: the doc comment at the top of its lib.rs.
fn page(control: &str) -> String {
    let source = std::fs::read_to_string(workspace().join("functions").join(control).join("src/lib.rs")).unwrap();
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let page: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    format!("{}\n", page.join("\n"))
}

/// A page of the docs as it is written, by its path from the workspace's folder.
fn text(page: &str) -> String {
    std::fs::read_to_string(workspace().join(page)).unwrap_or_else(|why| panic!("{page}: {why}"))
}

/// Every page that a reader may open: those at the top, and docs.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(str::to_owned).to_vec();
    for folder in ["docs", "docs/controls"] {
        for entry in std::fs::read_dir(workspace().join(folder)).unwrap() {
            let name = PathBuf::from(entry.unwrap().file_name());
            let page = name.extension().is_some_and(|extension| extension == "md");
            pages.extend(page.then(|| format!("{folder}/{}", name.display())));
        }
    }
    pages.sort();
    pages
}

/// The part of a page between two marks, which the code makes: where it begins and ends.
fn made(page: &str, of: &str) -> (usize, usize) {
    let text = text(page);
    let mark = format!("<!-- made from the {of}: BLESS=1 cargo test -p system-tests --test docs -->\n");
    let begin = text.find(&mark).unwrap_or_else(|| panic!("{page} has no {mark}")) + mark.len();
    let end = text.find(&format!("<!-- end of what is made from the {of} -->"));
    (begin, end.unwrap_or_else(|| panic!("{page}: what is made from the {of} has no end")))
}

/// The tables that are made: the page, what they are made from, and what they have to be.
fn tables() -> [(&'static str, &'static str, String); 2] {
    [("docs/hipaa.md", "code", safeguards::table()), ("docs/operations.md", "template", kept())]
}

/// Writes what is made before any test reads it, if `BLESS` is set.
static BLESSED: LazyLock<()> = LazyLock::new(|| {
    if std::env::var_os("BLESS").is_some() {
        for control in folders() {
            std::fs::write(workspace().join("docs/controls").join(format!("{control}.md")), page(&control)).unwrap();
        }
        for (page, of, table) in tables() {
            let (begin, end) = made(page, of);
            let mut text = text(page);
            text.replace_range(begin..end, &table);
            std::fs::write(workspace().join(page), text).unwrap();
        }
    }
});

const HINT: &str = "is not what the code says; run BLESS=1 cargo test -p system-tests --test docs";

#[test]
fn every_control_has_its_page_in_docs() {
    LazyLock::force(&BLESSED);
    let folder = workspace().join("docs/controls");
    for control in folders() {
        let path = folder.join(format!("{control}.md"));
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page(&control), "{} {HINT}", path.display());
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
    let readme = text("README.md");
    for About { id, title, never, .. } in controls() {
        let line = format!("| [`{id}`](docs/controls/{id}.md) | {title} | {never} |\n");
        assert!(readme.contains(&line), "README.md needs the line\n{line}");
    }
}

#[test]
fn what_is_made_is_current() {
    LazyLock::force(&BLESSED);
    for (page, of, table) in tables() {
        let (begin, end) = made(page, of);
        assert!(text(page).get(begin..end) == Some(&table), "{page} {HINT}\n{table}");
    }
}

/// A resource of the template: its logical id, its type, and its lines.
fn resources() -> Vec<(String, String, Vec<String>)> {
    let template = text("template.yaml");
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    for line in template.lines().skip_while(|line| *line != "Resources:").take_while(|line| *line != "Outputs:") {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'));
        if let Some(name) = name.filter(|name| name.chars().all(char::is_alphanumeric)) {
            found.push((name.to_owned(), String::new(), Vec::new()));
        } else if let Some((_, kind, lines)) = found.last_mut() {
            if let Some(named) = line.strip_prefix("    Type: ") {
                named.split(' ').next().unwrap().clone_into(kind);
            }
            lines.push(line.to_owned());
        }
    }
    found
}

/// What stays when the stack is deleted.
fn kept() -> String {
    let words = |kind: &str| match kind {
        "AWS::KMS::Key" => "without it the rest is noise; there is none where `KeyArn` names one",
        "AWS::DynamoDB::Table" => "the ledger; protected against deletion, too",
        "AWS::S3::Bucket" => "the evidence; its objects are locked, too",
        "AWS::S3::BucketPolicy" => "that the evidence is read over TLS only",
        "AWS::Logs::LogGroup" => "the functions' logs, for `LogRetentionDays`",
        other => panic!("{other} outlives the stack: say here what for"),
    };
    let mut kinds: Vec<(String, String, Vec<String>)> = Vec::new();
    for (name, kind, lines) in resources() {
        let policy = lines.iter().find_map(|line| line.strip_prefix("    DeletionPolicy: "));
        let Some(policy) = policy.map(|rest| rest.split(' ').next().unwrap()).filter(|policy| *policy != "Delete")
        else {
            continue;
        };
        match kinds.iter_mut().find(|(of, with, _)| *of == kind && with == policy) {
            Some((_, _, names)) => names.push(format!("`{name}`")),
            None => kinds.push((kind, policy.to_owned(), vec![format!("`{name}`")])),
        }
    }
    assert!(kinds.len() > 3, "the template is not read as it is written: {kinds:?}");
    let mut table = "| type | resources | policy | what it is |\n|---|---|---|---|\n".to_owned();
    for (kind, policy, names) in kinds {
        writeln!(table, "| `{kind}` | {} | `{policy}` | {} |", names.join(", "), words(&kind)).unwrap();
    }
    table
}

/// docs/hipaa.md says that no health data reaches a control, since its role cannot read any.
#[test]
fn no_control_reads_contents() {
    let contents = [
        "s3:GetObject",
        "s3:ListBucket",
        "s3:SelectObject",
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:GetRecords",
        "logs:Get",
        "logs:FilterLogEvents",
        "logs:StartQuery",
        "kms:Decrypt",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "ec2:GetConsole",
        "ec2:GetPasswordData",
        "ebs:GetSnapshotBlock",
        "rds-data:",
        "sqs:ReceiveMessage",
        "kinesis:GetRecords",
        "lambda:GetFunction\0",
        "athena:",
        "*",
    ];
    for about in controls() {
        let lists = [&about.observes_with, &about.tags_with, &about.lists_with, &about.fixes_with, &about.undoes_with];
        for action in lists.into_iter().flatten() {
            let read = contents.iter().find(|what| format!("{action}\0").starts_with(**what) || action.contains('*'));
            assert!(read.is_none(), "{}: {action} reads contents", about.id);
        }
    }
}

/// The anchor that a heading has, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A page without its blocks of code, and each block: its language, and its lines.
fn apart(text: &str) -> (String, Vec<(String, String)>) {
    let (mut prose, mut blocks, mut inside) = (String::new(), Vec::new(), false);
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(language) if !inside => blocks.push((language.to_owned(), String::new())),
            Some(_) => {}
            None => {
                let part = if inside { &mut blocks.last_mut().unwrap().1 } else { &mut prose };
                writeln!(part, "{line}").unwrap();
            }
        }
        inside ^= line.trim_start().starts_with("```");
    }
    assert!(!inside, "a block of code has no end");
    (prose, blocks)
}

/// The anchors of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in apart(text).0.lines().filter(|line| line.starts_with('#')) {
        let plain = anchor(line.trim_start_matches('#').trim());
        let twice = (1..).map(|n| format!("{plain}-{n}"));
        let free = std::iter::once(plain.clone()).chain(twice).find(|name| !anchors.contains(name)).unwrap();
        anchors.insert(free);
    }
    anchors
}

#[test]
fn an_anchor_is_what_github_makes_of_a_heading() {
    for (heading, expected) in [
        ("What it costs", "what-it-costs"),
        ("UnhandledEventsAlarm", "unhandledeventsalarm"),
        ("1. Cut it off", "1-cut-it-off"),
        ("`suture`, by hand: now", "suture-by-hand-now"),
    ] {
        assert_eq!(anchor(heading), expected);
    }
    let found = anchors("# One\n```sh\n# not one\n```\n## Two\n## Two\n");
    assert_eq!(found, ["one", "two", "two-1"].map(str::to_owned).into());
}

/// Links from one page to another, or to a file of the repository, lead somewhere.
#[test]
fn no_link_is_broken() {
    LazyLock::force(&BLESSED);
    let mut seen = 0;
    for page in pages() {
        let path = workspace().join(&page);
        for link in apart(&text(&page)).0.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, fragment) = link.split_once('#').map_or((link, None), |(file, fragment)| (file, Some(fragment)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{page} links to {link}");
            if let Some(fragment) = fragment {
                let target = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&target).contains(fragment), "{page} links to {link}, and there is no such heading");
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} links were found");
}

/// An alarm says where it is explained, and whatever a template says that about is there.
#[test]
fn every_alarm_has_its_section() {
    let operations = text("docs/operations.md");
    let sections = anchors(&operations);
    let mut used = BTreeSet::new();
    for template in ["template.yaml", "member.yaml"] {
        let Ok(template_text) = std::fs::read_to_string(workspace().join(template)) else { continue };
        for place in template_text.split("docs/operations.md#").skip(1) {
            let name: String = place.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            assert!(sections.contains(&name), "{template} leads to docs/operations.md#{name}, which is not there");
            used.insert(name);
        }
    }
    for (name, kind, lines) in resources() {
        let says = lines.iter().any(|line| line.contains("docs/operations.md#"));
        assert!(kind != "AWS::CloudWatch::Alarm" || says, "{name} does not say where it is explained");
    }
    let about_alarms = operations.split("\n## When an alarm rings\n").nth(1).unwrap();
    for section in about_alarms.lines().filter_map(|line| line.strip_prefix("### ")) {
        assert!(used.contains(&anchor(section)), "docs/operations.md explains {section}, and no alarm leads there");
    }
}
