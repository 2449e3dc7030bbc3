//! The page, taken apart: it is well-formed, it refers to nothing but itself, and whatever is in a record stays text.

use super::{SCRIPT, STYLE, hash, page};
use crate::model::{Entry, Report};
use crate::sample;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Elements that have no end.
const VOID: [&str; 3] = ["meta", "input", "link"];
/// Every element that the page may have.
const KNOWN: &str = "a article b bdi body button caption code dd details div dl dt em figcaption figure footer h1 h2 h3 h4 head header \
    html i input label li line main meta nav option p path pre rect script section select small span strong style summary svg table \
    tbody td text th thead time title tr ul";
/// Where links may lead out to.
const OUT: &str = "https://www.ecfr.gov/current/title-45/section-";

/// An element's start, taken apart.
#[derive(Debug)]
struct Start {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// Takes a page apart as a browser does (<https://html.spec.whatwg.org/multipage/parsing.html>), but with no leniency: what it
/// would mend in silence is a panic. Answers the elements and the text, entities as they are.
fn parse(page: &str) -> (Vec<Start>, String) {
    let (mut starts, mut text, mut open) = (Vec::new(), String::new(), Vec::<String>::new());
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(end) = rest.strip_prefix('/') {
            let (name, after) = end.split_once('>').expect("an end that ends");
            assert_eq!(open.pop().as_deref(), Some(name), "it ends what was begun last");
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).expect("a name that ends");
        let name = rest[..end].to_owned();
        assert!(KNOWN.split_whitespace().any(|known| known == name), "<{name}> is no element of ours: {}", &rest[..40]);
        rest = &rest[end..];
        let mut attributes = BTreeMap::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                rest = after;
                assert!(open.iter().any(|name| name == "svg"), "only SVG has empty elements");
                break;
            }
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                if !VOID.contains(&name.as_str()) {
                    open.push(name.clone());
                }
                break;
            }
            let end = rest.find(['=', ' ', '>', '\n']).expect("an attribute that ends");
            let key = rest[..end].to_owned();
            assert!(
                key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !key.is_empty(),
                "attribute {key:?}"
            );
            assert!(!key.starts_with("on") && key != "style" && key != "src", "attribute {key}");
            rest = &rest[end..];
            let mut value = "";
            if let Some(after) = rest.strip_prefix("=\"") {
                (value, rest) = after.split_once('"').expect("a value that ends");
            } else if let Some(after) = rest.strip_prefix('=') {
                let end = after.find([' ', '>', '\n']).expect("a value that ends");
                (value, rest) = after.split_at(end);
                assert!(!value.is_empty() && !value.contains(['"', '\'', '`', '=', '<']), "unquoted {key}={value}");
            }
            assert!(attributes.insert(key.clone(), value.to_owned()).is_none(), "{key} twice");
        }
        if name == "style" || name == "script" {
            let (content, after) = rest.split_once(&format!("</{name}>")).expect("its end");
            assert_eq!(content, if name == "style" { STYLE } else { SCRIPT }, "no {name} but ours");
            open.pop();
            rest = after;
        }
        starts.push(Start { name, attributes });
    }
    text.push_str(rest);
    assert!(open.is_empty(), "{open:?} does not end");
    (starts, text)
}

/// What must hold of every page; its text.
fn check(page: &str) -> String {
    let (starts, text) = parse(page);
    let mut ids = BTreeSet::new();
    for start in &starts {
        if let Some(id) = start.attributes.get("id") {
            assert!(!id.contains(char::is_whitespace) && !id.is_empty(), "{id:?}");
            assert!(ids.insert(id.clone()), "two have the id {id}");
        }
    }
    let mut headings = Vec::new();
    for start in &starts {
        for (key, value) in &start.attributes {
            match key.as_str() {
                "href" => match value.strip_prefix('#') {
                    Some(id) => assert!(ids.contains(id), "nothing is at #{id}"),
                    None => assert!(value.strip_prefix(OUT).is_some_and(|rest| rest.len() < 10), "a link to {value}"),
                },
                "aria-labelledby" => assert!(ids.contains(value), "nothing is called by {value}"),
                _ => assert!(!value.contains("://"), "{key}={value}"),
            }
        }
        if let Some(level) = start.name.strip_prefix('h').and_then(|level| level.parse::<u8>().ok()) {
            let before = headings.last().copied().unwrap_or(0);
            assert!(level <= before + 1, "h{level} after h{before}");
            headings.push(level);
        }
    }
    assert_eq!(headings.iter().filter(|level| **level == 1).collect::<Vec<_>>().len(), 1);
    let policy = starts.iter().find(|start| start.name == "meta" && start.attributes.contains_key("http-equiv"));
    let policy = &policy.expect("a policy").attributes["content"];
    let wanted = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    assert_eq!(policy.replace("&#39;", "'"), wanted);
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !SCRIPT.contains("innerHTML"));
    for c in page.chars() {
        let unseen = c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        assert!(!unseen, "U+{:04X} is on the page", u32::from(c));
    }
    text
}

#[test]
fn each_sample_is_well_formed() {
    for (name, report) in [
        ("clinic", sample::clinic()),
        ("empty", sample::empty()),
        ("one", sample::one()),
        ("broken", sample::broken()),
        ("crowd", sample::crowd(3_000)),
    ] {
        let text = check(&page(&report));
        assert!(text.len() > 2_000, "{name}");
    }
}

#[test]
fn the_hash_is_as_the_standard_says() {
    // https://www.w3.org/TR/CSP3/#external-hash has none to copy: printf '' | openssl dgst -sha256 -binary | base64
    assert_eq!(hash(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(hash("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

#[test]
fn what_is_wrong_is_said_first() {
    let broken = page(&sample::broken());
    let place = |words: &str| broken.find(words).unwrap_or_else(|| panic!("nothing about {words}"));
    let first = place("class=figures");
    assert!(place("The evidence is not sound, and this report is not whole") < first);
    assert!(place("account 444455556666: not allowed to read its records") < first);
    assert!(place("Suture is stopped") < place("id=chart-open"));
    let clinic = page(&sample::clinic());
    assert!(clinic.contains("The evidence is sound</h2>") && !clinic.contains("not whole"));
    assert!(page(&sample::empty()).contains("The evidence was not checked</h2>"));
    let mut gaps = sample::clinic();
    gaps.gaps = vec!["one thing".to_owned()];
    assert!(page(&gaps).contains("class=\"verdict unsure\""), "sound evidence of half a period is not good");
    assert!(page(&gaps).contains("The evidence is sound, but this report is not whole"));
    let mut none = sample::one();
    (none.integrity.pieces, none.integrity.intact) = (0, 0);
    assert!(page(&none).contains("There is no evidence yet</h2>"), "nothing is not sound evidence");
}

#[test]
fn the_future_is_not_drawn() {
    let mut report = sample::clinic();
    report.made = report.from + time::Duration::days(46);
    report.exposure.retain(|point| point.at < report.made);
    let page = page(&report);
    let (_, area) = page.split_once("<path class=s-open d=\"").unwrap();
    let (area, _) = area.split_once('"').unwrap();
    assert!(area.contains("H500") && !area.contains("H1000"), "{area}");
    assert!(!page.contains(
        "<th scope=row role=rowheader data-l=\"Week of\">2026-08-24</th><td role=cell class=n data-l=\"Most"
    ));
    let timed = report.episodes.iter().filter(|episode| episode.timed).count();
    assert_eq!(timed, report.summary.timed, "the chart's episodes are those of the figure");
}

#[test]
fn every_episode_and_its_records_are_there_and_refer_to_each_other() {
    let report = sample::clinic();
    let page = page(&report);
    for episode in &report.episodes {
        assert!(page.contains(&format!("<tr role=row id=episode-{} ", episode.number)));
        for id in &episode.records {
            assert!(page.contains(&format!("<article class=record id=\"record-{id}\">")), "{id}");
            assert!(page.contains(&format!("href=\"#record-{id}\"")), "{id}");
        }
    }
    let piece = report.records.iter().rev().find_map(|entry| entry.evidence.as_ref()).unwrap();
    assert!(page.contains(&piece.key) && page.contains(&piece.hash));
}

#[test]
fn of_many_records_those_that_are_pending_are_whole_and_the_page_says_how_many_are_not() {
    let report = sample::crowd(6_000);
    let page = page(&report);
    assert!(report.records.len() > 3_000);
    assert_eq!(page.matches("<article class=record").count(), super::links::WHOLE);
    assert!(page.contains(&format!("1,000 of {} records are shown whole", super::words::count(report.records.len()))));
    let oldest = report.episodes.iter().rev().find(|episode| episode.ended.is_none() && episode.end.is_open()).unwrap();
    let shown = oldest.records.iter().all(|id| page.contains(&format!("<article class=record id=\"record-{id}\"")));
    assert!(shown, "what is still open is whole, however old");
}

#[test]
fn records_that_are_alike_or_none_at_all_keep_their_own_places() {
    let mut report = sample::one();
    let entry = report.records[0].clone();
    report.records = vec![entry.clone(), entry, Entry { record: json!("no object"), episode: Some(7), evidence: None }];
    report.episodes[0].records = vec!["gone-from-the-ledger".to_owned()];
    let text = check(&page(&report));
    assert!(text.contains("gone-from-the-ledger"));
}

/// Puts a text wherever a report has one from outside.
fn hostile(text: &str) -> Report {
    fn put(value: &mut Value, text: &str) {
        match value {
            Value::String(was) => *was = text.to_owned(),
            Value::Array(items) => items.iter_mut().for_each(|item| put(item, text)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| put(field, text));
                fields.insert(text.to_owned(), json!({text: [text]}));
            }
            _ => {}
        }
    }
    let mut report = sample::broken();
    report.episodes.truncate(4);
    report.records.truncate(4);
    let all = || text.to_owned();
    (report.made_by, report.sources.ledger, report.sources.evidence) = (all(), all(), Some(all()));
    (report.sources.accounts, report.sources.regions) = (vec![all()], vec![all()]);
    (report.gaps, report.integrity.lines, report.integrity.differ) = (vec![all()], vec![all()], vec![all()]);
    (report.integrity.head, report.posture.stopped, report.posture.changed) = (Some(all()), Some(all()), Some(all()));
    report.posture.modes = BTreeMap::from([(all(), "plan")]);
    for actor in &mut report.actors {
        (actor.actor, actor.agents, actor.calls) = (Some(all()), vec![all()], vec![all()]);
    }
    for week in &mut report.weeks {
        (week.monday, week.began) = (all(), BTreeMap::from([(all(), 3)]));
    }
    for exemption in &mut report.exemptions {
        (exemption.id, exemption.of, exemption.owner) = (all(), all(), all());
        (exemption.reason, exemption.made_by) = (all(), Some(all()));
    }
    for episode in &mut report.episodes {
        (episode.control, episode.why, episode.person, episode.refused_by) = (all(), all(), Some(all()), Some(all()));
        (episode.resource.id, episode.resource.account, episode.resource.region) = (all(), all(), all());
        (episode.ended, episode.records) = (None, vec![all()]);
        episode.cause.iter_mut().for_each(|cause| put(cause, text));
    }
    for entry in &mut report.records {
        put(&mut entry.record, text);
        entry.evidence.iter_mut().for_each(|piece| (piece.key, piece.hash) = (all(), all()));
        // Refusals, decisions and times are read from it.
        if let Some(fields) = entry.record.as_object_mut() {
            fields.insert("outcome".to_owned(), json!("refused"));
            fields.insert("trigger".to_owned(), json!("manual"));
        }
    }
    report
}

#[test]
fn hostile_texts_stay_texts() {
    for text in sample::HOSTILE {
        check(&page(&hostile(text)));
    }
    let page = page(&hostile("<script>alert(1)</script>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_text_stays_text(text in "(<|>|\"|'|&|/|`|=| |script|style|--|!|\\]|#|;|\u{202e}|\u{0}|\r|\n|é|[a-z]|\\PC){0,24}") {
        check(&page(&hostile(&text)));
    }
}
