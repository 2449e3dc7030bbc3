//! Records, shown whole: what was found, who caused it, what was decided and by what, what was written, where its evidence is.

use super::links::{self, Links};
use super::sections::{moment, record};
use super::trust;
use super::words;
use super::write::Html;
use crate::model::{Entry, Report};
use serde_json::Value;

/// The fields that have a place of their own on the page; whatever else a record has follows as it is.
const PLACED: [&str; 19] = [
    "schema",
    "id",
    "control",
    "resource",
    "trigger",
    "cause",
    "mode",
    "outcome",
    "why",
    "refused_by",
    "before",
    "changes",
    "after",
    "undo",
    "citations",
    "began",
    "took_ms",
    "undoes",
    "remaining",
];

/// More than these are laid out only as they are scrolled to.
const MANY: usize = 250;

/// All that are shown whole.
pub(super) fn all(html: &mut Html, report: &Report, links: &Links<'_>) {
    html.raw("<section aria-labelledby=records class=records><h2 id=records>Records</h2>");
    if report.records.is_empty() {
        html.raw("<p>There is none in the period.</p></section>\n");
        return;
    }
    trust::outcomes(html, report);
    html.raw("<p>");
    let (whole, all) = (links.whole.len(), report.records.len());
    if whole < all {
        html.raw("<strong>").show(words::count(whole)).raw(" of ").show(words::count(all));
        html.raw(
            " records are shown whole</strong>: those of drift that is not over, then the latest. \
            All of them are in the JSON file that was made with this page. ",
        );
    } else {
        html.raw("All of them, the latest first. ");
    }
    html.raw(
        "<label class=\"check screen\"><input id=print-records type=checkbox checked> Print them, too</label></p>\n",
    );
    html.raw(
        "<p class=\"paper unprinted\">The records are not printed; they are in the page's file.</p><div class=\"whole ",
    );
    html.raw(if links.whole.len() > MANY { "many\">\n" } else { "few\">\n" });
    for (place, (entry, anchor)) in links.whole.iter().enumerate() {
        article(html, place + 1, entry, anchor, links);
    }
    html.raw("</div></section>\n");
}

fn article(html: &mut Html, number: usize, entry: &Entry, anchor: &str, links: &Links<'_>) {
    let value = &entry.record;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    let resource = |name: &str| value.get("resource").and_then(|r| r.get(name)).and_then(Value::as_str).unwrap_or("");
    html.raw("<article class=record id=\"").text(anchor).raw("\"><h3>").show(number);
    html.raw(". <span class=outcome>").text(text("outcome"));
    html.raw("</span> ").text(text("control")).raw(" on <bdi>").text(resource("id")).raw("</bdi></h3><dl>");
    fact(html, "When", |html| {
        moment(html, value.get("began"));
        if let Some(took) = value.get("took_ms").and_then(Value::as_u64) {
            html.raw(", took ").show(took).raw(" ms");
        }
    });
    fact(html, "Why", |html| {
        html.raw("<bdi>").text(text("why")).raw("</bdi>");
        if let Some(gate) = value.get("refused_by").and_then(Value::as_str) {
            html.raw(" (refused by <code>").text(gate).raw("</code>)");
        }
    });
    fact(html, "Resource", |html| {
        html.text(resource("type")).raw(", account ").text(resource("account")).raw(", ").text(resource("region"));
    });
    fact(html, "Caused by", |html| match value.get("cause").filter(|cause| !cause.is_null()) {
        Some(cause) => pairs(html, cause),
        None => {
            html.raw("not known");
        }
    });
    fact(html, "Asked by", |html| {
        html.raw("trigger <code>").text(text("trigger")).raw("</code>, mode <code>").text(text("mode")).raw("</code>");
    });
    if let Some(undone) = value.get("undoes").and_then(Value::as_str) {
        fact(html, "Takes back", |html| record(html, links, undone));
    }
    let Some(fields) = value.as_object() else {
        states(html, value);
        html.raw("</dl></article>\n");
        return;
    };
    for (name, other) in fields.iter().filter(|(name, other)| !PLACED.contains(&name.as_str()) && !nothing(other)) {
        html.raw("<div><dt>").text(&title(name)).raw("</dt><dd>");
        pairs(html, other);
        html.raw("</dd></div>");
    }
    if let Some(citations) = value.get("citations").filter(|citations| !nothing(citations)) {
        fact(html, "Serves", |html| pairs(html, citations));
    }
    fact(html, "Record", |html| {
        html.raw("<span class=id>").text(links::id(entry)).raw("</span>");
        if let Some(number) = entry.episode {
            html.raw(", of ");
            if links.has_episode(number) {
                html.raw("<a href=\"#").text(&links::episode(number)).raw("\">episode ").show(number).raw("</a>");
            } else {
                html.raw("episode ").show(number);
            }
        }
    });
    fact(html, "Evidence", |html| match &entry.evidence {
        Some(piece) => {
            html.raw("piece ")
                .show(piece.seq)
                .raw(", <span class=id>")
                .text(&piece.key)
                .raw("</span>, <span class=id>");
            html.text(&piece.hash).raw("</span>");
        }
        None => {
            html.raw("none yet");
        }
    });
    html.raw("</dl>");
    states(html, value);
    html.raw("</article>\n");
}

/// Before, changes and after, beside each other where there is room.
fn states(html: &mut Html, value: &Value) {
    let parts = [
        ("Before", "before"),
        (
            if matches!(value.get("outcome").and_then(Value::as_str), Some("fixed" | "undone")) {
                "Written"
            } else {
                "Changes"
            },
            "changes",
        ),
        ("After", "after"),
        ("Still to be written", "remaining"),
        ("Takes it back", "undo"),
    ];
    if parts.iter().all(|(_, name)| value.get(name).is_none_or(nothing)) {
        return;
    }
    html.raw("<div class=states>");
    for (title, name) in parts {
        let Some(part) = value.get(name).filter(|part| !nothing(part)) else { continue };
        html.raw("<div><h4>").raw(title).raw("</h4><pre>");
        json(html, part);
        html.raw("</pre></div>");
    }
    html.raw("</div>");
}

fn fact(html: &mut Html, name: &'static str, write: impl FnOnce(&mut Html)) {
    html.raw("<div><dt>").raw(name).raw("</dt><dd>");
    write(html);
    html.raw("</dd></div>");
}

/// Whether a field says nothing.
fn nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A field's name as a label: `left_alone_until` as `Left alone until`.
fn title(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// A small value in a line: texts as they are, objects as pairs.
fn pairs(html: &mut Html, value: &Value) {
    match value {
        Value::String(text) => {
            html.raw("<bdi>").text(text).raw("</bdi>");
        }
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_object()) => {
            for (place, item) in items.iter().enumerate() {
                html.raw(if place == 0 { "" } else { "; " });
                pairs(html, item);
            }
        }
        Value::Object(fields) => {
            let said = fields.iter().filter(|(_, field)| !nothing(field));
            for (place, (name, field)) in said.enumerate() {
                html.raw(if place == 0 { "" } else { ", " }).raw("<i>").text(&name.replace('_', " ")).raw("</i> ");
                match field {
                    Value::String(text) => html.raw("<bdi>").text(text).raw("</bdi>"),
                    other => html.show(other),
                };
            }
        }
        other => {
            html.show(other);
        }
    }
}

/// A value as JSON that a person can read. A text that holds JSON itself (a bucket's policy) stays the text that it is.
fn json(html: &mut Html, value: &Value) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => html.text(&text),
        Err(_) => html.show(value),
    };
}
