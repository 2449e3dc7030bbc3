//! The commands as messages print them, and the words that they understand.

use super::Command;
use super::print::is_done;
use super::session::Place;
use super::words::{hours, moment, plain, until};
use crate::Arguments;
use announce::{Change, Context, message};
use clap::{ArgMatches, CommandFactory, Subcommand};
use ledger::{Approval, ApprovalState, Exemption, Posture, Stop};
use proptest::prelude::*;
use remediation::{AccountId, Region};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use time::{Duration, OffsetDateTime};

fn account() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_768_473_931).unwrap() // 2026-01-15T10:45:31Z
}

/// The commands in the message about a change.
fn commands(change: &Change<'_>) -> Vec<String> {
    let (account, region) = (account(), Region::parse("us-east-1").unwrap());
    let context = Context { account: &account, region: &region, stack: None, ledger: None, evidence: None };
    let Some(message) = message(change, &context) else { return Vec::new() };
    let people = message.text.split("\n--\n").next().unwrap_or_default();
    people.lines().filter_map(|line| line.split_once(": suture ")).map(|(_, rest)| format!("suture {rest}")).collect()
}

/// A line's words, as a shell makes them of bare and of single-quoted ones.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => quoted = !quoted,
            '\\' if !quoted => word.extend(characters.next()),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words
}

/// A command as this program reads it: its name, and what it was given.
fn parsed(line: &str) -> (String, ArgMatches) {
    let mut matches =
        Arguments::command().try_get_matches_from(words(line)).unwrap_or_else(|why| panic!("{line}: {why}"));
    matches.remove_subcommand().unwrap()
}

fn record(outcome: &str) -> Value {
    json!({
        "schema": "suture.record/1", "id": "7c1f-1", "control": "s3-public-bucket", "trigger": "cloud-trail",
        "resource": {"type": "AWS::S3::Bucket", "id": "clinic-scans", "account": "111122223333", "region": "us-east-1"},
        "mode": "enforce", "outcome": outcome, "why": "…", "before": {}, "after": {}, "changes": ["write"],
        "undo": ["unwrite"], "breaks": [], "citations": [], "began": "2026-01-15T10:45:31Z", "took_ms": 31,
        "approval": {"id": "3f9a1c0d2e4b", "expires": "2026-01-18T10:45:31Z"},
    })
}

fn exemption() -> Exemption {
    Exemption {
        id: "e-1".to_owned(),
        control: None,
        account: None,
        resource: Some("clinic-website".to_owned()),
        tag: None,
        owner: "alice@clinic.example".to_owned(),
        reason: "CHG-1".to_owned(),
        expires: now() + Duration::DAY,
        made_at: now(),
        made_by: None,
        undo: None,
        ended: false,
    }
}

fn rejected(resource: &str) -> Approval {
    Approval {
        id: "3f9a1c0d2e4b".to_owned(),
        digest: String::new(),
        control: "s3-public-bucket".to_owned(),
        resource: resource.to_owned(),
        account: account(),
        region: Region::parse("us-east-1").unwrap(),
        record: record("awaiting-approval"),
        function: None,
        made_at: now(),
        expires: now() + Duration::DAY,
        state: ApprovalState::Rejected,
        by: None,
        decided_at: None,
    }
}

#[test]
fn every_command_that_a_message_prints_is_one() {
    let stopped = Posture {
        stop: Some(Stop { by: "alice".to_owned(), reason: "INC-1".to_owned(), at: now() }),
        ..Posture::default()
    };
    let wider = Posture { mode: Some(ledger::Mode::Enforce), ..Posture::default() };
    let none = Posture::default();
    let records: Vec<Value> =
        ["fixed", "undone", "refused", "failed", "unverified", "partly-fixed", "awaiting-approval"].map(record).into();
    let (exemption, rejected) = (exemption(), rejected("clinic-scans"));
    let mut changes: Vec<Change<'_>> = records.iter().map(Change::Record).collect();
    changes.extend([
        Change::Posture { before: &none, after: &stopped },
        Change::Posture { before: &none, after: &wider },
        Change::Exemption { before: None, after: Some(&exemption) },
        Change::BudgetReached { control: "s3-public-bucket", hour: "2026-01-15T10" },
        Change::Approval { before: None, after: Some(&rejected) },
    ]);
    let mut seen: Vec<String> = changes.iter().flat_map(commands).map(|line| parsed(&line).0).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["approve", "exempt", "reject", "resume", "stop", "undo", "unexempt"]);
}

proptest! {
    #[test]
    fn whatever_a_resource_is_called_its_command_names_it(resource in "\\PC{1,40}") {
        let rejected = rejected(&resource);
        for line in commands(&Change::Approval { before: None, after: Some(&rejected) }) {
            let (name, given) = parsed(&line);
            prop_assert_eq!(name.as_str(), "exempt");
            prop_assert_eq!(given.get_one::<String>("resource").unwrap(), &resource);
            prop_assert_eq!(given.get_one::<String>("account").unwrap(), "111122223333");
        }
    }
}

#[test]
fn every_command_says_how_it_is_used() {
    let mut suture = crate::command();
    suture.build();
    for command in suture.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let name = command.get_name().to_owned();
        for help in [command.render_help(), command.render_long_help()] {
            let help = help.to_string();
            assert!(help.contains("Example") && help.contains(&format!("suture {name}")), "{name}: {help}");
            let wide: Vec<&str> = help.lines().filter(|line| line.chars().count() > 120).collect();
            assert!(wide.is_empty(), "{name}: {wide:#?}");
        }
    }
    crate::command().debug_assert();
}

#[test]
fn options_that_mean_the_same_are_called_the_same() {
    let suture = crate::command();
    let mut helps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for command in suture.get_subcommands() {
        for option in command.get_arguments().filter_map(|it| it.get_long().map(|long| (long, it))) {
            let values = option.1.get_value_names().into_iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
            let takes = if option.1.get_action().takes_values() { values.join(" ") } else { String::new() };
            helps.entry(option.0.to_owned()).or_default().insert(takes);
        }
    }
    for name in ["control", "account", "region", "ledger", "profile", "reason", "json", "yes", "settings", "override"] {
        assert_eq!(helps[name].len(), 1, "--{name}: {:?}", helps[name]);
    }
}

#[test]
fn every_command_of_the_operators_page_is_one() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md")).unwrap();
    let page = page.replace("\\\n", " ");
    let mut seen = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("suture ")) {
        let line = line.split(" #").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        seen.insert(parsed(&line).0);
    }
    let all: BTreeSet<String> = Command::augment_subcommands(clap::Command::new("suture"))
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let missing: Vec<&String> = all.difference(&seen).collect();
    assert_eq!(missing, ["tags-exempt"], "it is in a sentence of the page");
}

#[test]
fn spans_and_ends() {
    for (text, expected) in [("24h", Some(24)), ("3d", Some(72)), ("0", Some(0)), ("0h", Some(0))] {
        assert_eq!(hours(text).ok(), expected, "{text}");
    }
    for wrong in ["", "h", "24", "-1h", "+1h", "1.5h", "3w", "99999999999d", "200000000d"] {
        assert!(hours(wrong).is_err(), "{wrong}");
    }
    for (text, expected) in [
        ("30d", "2026-02-14T10:45:31Z"),
        ("12h", "2026-01-15T22:45:31Z"),
        ("2027-01-31", "2027-02-01T00:00:00Z"),
        ("2027-01-31T08:00:00+01:00", "2027-01-31T07:00:00Z"),
    ] {
        assert_eq!(until(text, now()).map(moment).as_deref(), Ok(expected), "{text}");
    }
    for wrong in ["DATE", "", "2027-02-30", "31.01.2027", "2027-01-31 08:00", "4000000000h"] {
        assert!(until(wrong, now()).is_err(), "{wrong}");
    }
}

#[test]
fn nothing_from_outside_rules_the_terminal() {
    assert_eq!(plain("it's \"fine\": C:\\é – ☂"), "it's \"fine\": C:\\é – ☂");
    for hostile in ["\u{1b}[2Jgone", "a\nb", "a\rb", "\u{202e}txt", "a\u{200b}b", "\u{9b}31m"] {
        let shown = plain(hostile);
        assert!(shown.is_ascii() && !shown.contains(char::is_control), "{shown:?}");
    }
}

#[test]
fn which_ledger() {
    let home = |name: &str| (name == "HOME").then(|| "/home/alice".to_owned());
    let file = |path: &str| Ok(Place::File(PathBuf::from(path)));
    assert_eq!(Place::of(None, home), file("/home/alice/.local/share/suture/ledger"));
    assert_eq!(Place::of(Some(" "), home), file("/home/alice/.local/share/suture/ledger"));
    let data = |name: &str| (name == "XDG_DATA_HOME").then(|| "/data".to_owned());
    assert_eq!(Place::of(None, data), file("/data/suture/ledger"));
    // The specification: a path that is not absolute is to be ignored.
    let relative = |name: &str| Some(if name == "HOME" { "/home/alice" } else { "data" }.to_owned());
    assert_eq!(Place::of(None, relative), file("/home/alice/.local/share/suture/ledger"));
    assert_eq!(Place::of(Some("file:x"), home), file("x"));
    let table = Place::of(Some("suture-LedgerTable-1ABC"), home).unwrap();
    assert_eq!(table, Place::Table("suture-LedgerTable-1ABC".to_owned()));
    assert_eq!((table.undo_function().as_deref(), table.evidence()), (Some("suture-undo"), None));
    assert_eq!(Place::Table("ledger".to_owned()).undo_function(), None);
    assert_eq!(Place::File("a/b".into()).evidence(), Some("a/b.evidence".into()));
    assert!(Place::of(None, |_| None).is_err());
    for wrong in ["file:", "a/b", "x", "s3://bucket"] {
        assert!(Place::of(Some(wrong), home).is_err(), "{wrong}");
    }
}

#[test]
fn an_answer_is_done_only_if_all_of_it_is() {
    let with = |outcome: &str| json!({"records": [{"outcome": outcome}]});
    for (answer, done) in [
        (with("fixed"), true),
        (with("undone"), true),
        (with("refused"), false),
        (with("awaiting-approval"), false),
        (with("unverified"), false),
        (json!({"records": [{"outcome": "fixed"}, {"outcome": "failed"}]}), false),
        (json!({"records": [], "decided": [{"state": "rejected"}]}), true),
        (json!({"records": [], "decided": [{"state": "approved"}]}), false),
        (json!({"records": [], "unread": [{"as": "rejected", "why": "…"}]}), false),
        (json!({"records": [{"outcome": "fixed"}], "unread": [{"as": "rejected", "why": "…"}]}), false),
        (json!({"records": []}), false),
        (json!({}), false),
    ] {
        assert_eq!(is_done(&answer), done, "{answer}");
    }
}
