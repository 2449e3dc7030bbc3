//! The table of episodes: a row for each, which the script can sort and filter.

use super::links::{self, Links};
use super::words::{self, Stand};
use super::write::Html;
use crate::model::{Episode, Report};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use time::OffsetDateTime;

/// Characters of a reason that a row shows; the record has it whole.
const REASON: usize = 160;
/// Records that a row links to.
const LINKED: usize = 8;

/// More rows than this are laid out only as they are scrolled to; then a link into them leads a little less exactly.
const MANY: usize = 500;

/// The columns: what they are called, how they are sorted, their cells' class.
const COLUMNS: [(&str, &str, &str); 8] = [
    ("No.", "n", "n"),
    ("Began", "n", ""),
    ("Control", "", ""),
    ("Resource", "", ""),
    ("Caused by", "", ""),
    ("Open for", "n", "n"),
    ("How it ended, or stands", "", ""),
    ("Records", "", ""),
];

/// The table, and what it is filtered by.
pub(super) fn all(html: &mut Html, report: &Report, links: &Links<'_>) {
    html.raw("<section aria-labelledby=episodes><h2 id=episodes>Episodes</h2>");
    if report.episodes.is_empty() {
        html.raw("<p>There is none.</p></section>\n");
        return;
    }
    html.raw("<p>Each stretch of drift that was open in the period, the latest first. A beginning that no call is known of is marked ≥: \
        it was seen first then.</p>\n");
    filters(html, report);
    html.raw("<table role=table id=episode-table class=");
    html.raw(if report.episodes.len() > MANY { "many" } else { "few" })
        .raw("><caption class=unseen>Episodes of drift</caption><thead role=rowgroup><tr role=row>");
    for (label, sort, class) in COLUMNS {
        html.raw("<th scope=col role=columnheader");
        if !class.is_empty() {
            html.raw(" class=").raw(class);
        }
        html.raw(" data-sort=\"").raw(sort).raw("\">").raw(label).raw("</th>");
    }
    html.raw("</tr></thead><tbody role=rowgroup>\n");
    let outcomes: HashMap<&str, &str> = report
        .records
        .iter()
        .map(|entry| (links::id(entry), entry.record.get("outcome").and_then(Value::as_str).unwrap_or("record")))
        .collect();
    let stands = words::stands(report);
    for episode in &report.episodes {
        row(html, episode, stands, links, &outcomes);
    }
    html.raw("</tbody></table></section>\n");
}

/// What the script filters by. Without it, all rows are there, and this is not.
fn filters(html: &mut Html, report: &Report) {
    let controls: BTreeSet<&str> = report.episodes.iter().map(|episode| episode.control.as_str()).collect();
    html.raw(
        "<div id=filters class=filters role=search aria-label=\"Filter the episodes\" hidden>\
        <label>Text <input id=f-text type=search autocomplete=off spellcheck=false></label>\
        <label>Control <select id=f-control><option value=\"\">all</option>",
    );
    for control in controls {
        html.raw("<option>").text(control).raw("</option>");
    }
    html.raw("</select></label><label>How it ended, or stands <select id=f-end><option value=\"\">any</option>");
    for end in words::ENDS {
        if report.episodes.iter().any(|episode| episode.end == end) {
            html.raw("<option value=").raw(end.name()).raw(">").raw(words::end(end)).raw("</option>");
        }
    }
    html.raw(
        "</select></label><label class=check><input id=f-open type=checkbox> Only open</label>\
        <label class=check><input id=f-unanswered type=checkbox> Only unanswered</label>\
        <button id=f-reset type=button>Show all</button><p id=f-status role=status></p></div>\n",
    );
}

fn row(html: &mut Html, episode: &Episode, stands: OffsetDateTime, links: &Links<'_>, outcomes: &HashMap<&str, &str>) {
    let stand = words::stand(episode, stands);
    html.raw("<tr role=row id=").text(&links::episode(episode.number)).raw(" data-s=").raw(stand.class());
    html.raw(" data-e=")
        .raw(episode.end.name())
        .raw("><th scope=row role=rowheader class=n data-v=")
        .show(episode.number)
        .raw(">");
    html.show(episode.number).raw("</th><td role=cell data-v=").show(episode.began.unix_timestamp()).raw(">");
    html.raw(if episode.cause_known { "" } else { "≥ " })
        .moment(episode.began)
        .raw("</td><td role=cell>")
        .text(&episode.control);
    html.raw("</td><td role=cell><bdi>").cut(&episode.resource.id, REASON).raw("</bdi><small>");
    html.text(&episode.resource.account)
        .raw(" <span class=nb>")
        .text(&episode.resource.region)
        .raw("</span></small></td><td role=cell>");
    cause(html, episode.cause.as_ref());
    let long = open_for(episode, stands);
    html.raw("</td><td role=cell class=n data-v=").show(long.round()).raw("><span class=nb>");
    html.raw(if episode.cause_known { "" } else { "≥ " })
        .show(words::span(long))
        .raw("</span></td><td role=cell><span class=\"end ");
    html.raw(stand.class()).raw("\">").raw(words::end(episode.end));
    html.raw(if episode.ended.is_none() && stand != Stand::Unknown { ", open" } else { "" }).raw("</span>");
    if let Some(gate) = &episode.refused_by {
        html.raw(" <code>").cut(gate, REASON).raw("</code>");
    }
    html.raw("<small><bdi>").cut(&episode.why, REASON).raw("</bdi>");
    if let Some(until) = episode.answered_until.filter(|_| stand == Stand::Answered) {
        html.raw(" Until ").moment(until).raw(".");
    }
    if let Some(person) = &episode.person {
        html.raw(" By <bdi>").cut(words::who(person), REASON).raw("</bdi>.");
    }
    html.raw("</small></td><td role=cell>");
    for (place, id) in episode.records.iter().take(LINKED).enumerate() {
        html.raw(if place == 0 { "" } else { ", " });
        match (links.record(id), outcomes.get(id.as_str())) {
            // By its number it is found on paper, too.
            (Some((number, anchor)), Some(outcome)) => {
                html.raw("<a href=\"#").text(anchor).raw("\">").text(outcome).raw("&nbsp;");
                html.show(number).raw("</a>");
            }
            _ => {
                html.raw("<span class=id>").text(id).raw("</span>");
            }
        }
    }
    if episode.records.len() > LINKED {
        html.raw(", … ").show(words::count(episode.records.len())).raw(" in all");
    }
    html.raw("</td></tr>\n");
}

/// How long it was open from its beginning on, also before the period; of what is not known to be open, until it was last seen.
fn open_for(episode: &Episode, stands: OffsetDateTime) -> f64 {
    let until = episode.ended.unwrap_or(match episode.end {
        crate::model::End::Unseen => episode.last_seen,
        _ => stands,
    });
    (until - episode.began).as_seconds_f64().max(0.0)
}

fn cause(html: &mut Html, cause: Option<&Value>) {
    let field = |name: &str| cause.and_then(|cause| cause.get(name)).and_then(Value::as_str);
    match (field("actor"), field("call")) {
        (None, None) => {
            html.raw("<span class=none>not known</span>");
        }
        (actor, call) => {
            if let Some(actor) = actor {
                html.raw("<bdi>").cut(words::who(actor), REASON).raw("</bdi>");
            }
            html.raw("<small>").cut(call.unwrap_or(""), REASON);
            if let Some(agent) = field("agent") {
                html.raw(" by ").cut(agent, REASON);
            }
            html.raw("</small>");
        }
    }
}
