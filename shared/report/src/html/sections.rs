//! By citation, by control, by who caused it; what was refused, what is exempt, what people decided.

use super::links::{self, Links};
use super::tables::{Table, column, figure};
use super::words;
use super::write::Html;
use crate::model::{End, Entry, Report};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rows of people's decisions at most; the JSON has all.
const DECISIONS: usize = 200;
/// Who caused drift: rows at most.
const ACTORS: usize = 50;

/// The ways to end and stand that a row has cells for.
fn ends(table: &mut Table<'_>, ends: &BTreeMap<&'static str, usize>) {
    let of = |which: &[End]| which.iter().filter_map(|end| ends.get(end.name())).sum();
    table.number(of(&[End::Fixed]));
    table.number(of(&[End::MendedElsewhere, End::Gone]));
    table.number(of(&[End::Planned, End::AwaitingApproval]));
    table.number(of(&[End::Refused]));
    table.number(of(&[End::Failed]));
    table.number(of(&[End::Exempt, End::TakenBack]));
    table.number(of(&[End::Unseen]));
}

/// Each section of the rule that a control serves.
pub(super) fn citations(html: &mut Html, report: &Report) {
    html.raw("<section aria-labelledby=citations><h2 id=citations>By section of the HIPAA Security Rule</h2>");
    html.raw("<p>What drifted under each section, and what became of it. A section that is named here is served by its controls, never \
        fulfilled by them alone. An episode counts under every section that its control serves.</p>\n");
    let columns = [
        column("45 CFR"),
        column("Asks for"),
        column("Served by"),
        figure("Episodes"),
        figure("Mended"),
        figure("Over otherwise"),
        figure("Refused"),
        figure("Answered for"),
        figure("Open at end"),
        figure("Median to mend"),
    ];
    let mut table = Table::open(html, "by-citation", "Episodes by section of 45 CFR Part 164", &columns);
    for row in &report.citations {
        table.row(|html| {
            let short = words::short_citation(row.citation);
            match words::section(row.citation) {
                Some(section) => {
                    html.raw("<a rel=noreferrer href=\"https://www.ecfr.gov/current/title-45/section-").text(section);
                    html.raw("\">").text(short).raw("</a>");
                }
                None => {
                    html.text(short);
                }
            }
        });
        table.plain(row.title);
        table.cell(|html| controls_of(html, &row.controls));
        table.number(row.episodes);
        let of = |which: &[End]| which.iter().filter_map(|end| row.ends.get(end.name())).sum();
        table.number(of(&[End::Fixed])).number(of(&[End::MendedElsewhere, End::Gone]));
        table.number(of(&[End::Refused])).number(of(&[End::Exempt, End::TakenBack]));
        table.number(row.open);
        table.cell(|html| {
            html.show(words::perhaps(row.median_seconds_to_mend));
        });
    }
    table.close();
    // On paper a link leads nowhere; so where the sections stand is written out, once each.
    html.raw("<p class=\"small paper\">The sections stand at");
    let sections: BTreeSet<&str> = report.citations.iter().filter_map(|row| words::section(row.citation)).collect();
    for (place, section) in sections.into_iter().enumerate() {
        html.raw(if place == 0 { " " } else { ", " })
            .raw("https://www.ecfr.gov/current/title-45/section-")
            .text(section);
    }
    html.raw(".</p></section>\n");
}

fn controls_of(html: &mut Html, controls: &[&'static str]) {
    for (place, control) in controls.iter().enumerate() {
        html.raw(if place == 0 { "" } else { ", " })
            .raw("<a href=\"#control-")
            .text(control)
            .raw("\">")
            .text(control)
            .raw("</a>");
    }
}

/// Each control.
pub(super) fn controls(html: &mut Html, report: &Report) {
    html.raw("<section aria-labelledby=controls><h2 id=controls>By control</h2>");
    html.raw("<p>Every control there is, also those that found nothing. <em>Waiting</em> is planned, or before a person who has to \
        approve it; <em>answered for</em> is exempt, or left alone because a person took the fix back.</p>\n");
    let columns = [
        column("Control"),
        column("Safety"),
        column("45 CFR"),
        figure("Episodes"),
        figure("Mended"),
        figure("Over otherwise"),
        figure("Waiting"),
        figure("Refused"),
        figure("Failed"),
        figure("Answered for"),
        figure("Not known"),
        figure("Median to mend"),
        figure("Open in all"),
    ];
    let mut table = Table::open(html, "by-control", "Episodes by control", &columns);
    for row in &report.controls {
        table.row(|html| {
            html.raw("<span id=\"control-").text(row.id).raw("\" class=mark>");
            if row.episodes > 0 {
                html.raw("<a href=\"#episodes\" data-control=\"").text(row.id).raw("\">").text(row.id).raw("</a>");
            } else {
                html.text(row.id);
            }
            html.raw("</span><small>").text(row.title).raw("</small>");
        });
        table.plain(row.safety);
        table.cell(|html| {
            for (place, citation) in row.citations.iter().enumerate() {
                html.raw(if place == 0 { "" } else { ", " }).raw("<span class=nb>");
                html.text(words::short_citation(citation)).raw("</span>");
            }
        });
        table.number(row.episodes);
        ends(&mut table, &row.ends);
        table.cell(|html| {
            html.show(words::perhaps(row.median_seconds_to_mend));
        });
        table.cell(|html| {
            html.show(words::perhaps(Some(row.seconds_open).filter(|_| row.episodes > 0)));
        });
    }
    table.close();
    html.raw("</section>\n");
}

/// Who caused it.
pub(super) fn actors(html: &mut Html, report: &Report) {
    html.raw("<section aria-labelledby=actors><h2 id=actors>Who caused it</h2>");
    if report.actors.is_empty() {
        html.raw("<p>Nothing drifted.</p></section>\n");
        return;
    }
    html.raw("<p>As CloudTrail names them. The tool is told by the user agent, which a caller can make up.</p>\n");
    let columns = [column("Who"), column("With"), column("By calling"), figure("Episodes")];
    let mut table = Table::open(html, "by-actor", "Episodes by who caused them", &columns);
    for row in report.actors.iter().take(ACTORS) {
        table.row(|html| {
            match &row.actor {
                Some(actor) => html.raw("<bdi>").text(actor).raw("</bdi>"),
                None => html.raw("not known: found by a look, no call was seen"),
            };
        });
        table.says(&row.agents.join(", ")).says(&row.calls.join(", ")).number(row.episodes);
    }
    table.close();
    if report.actors.len() > ACTORS {
        html.raw("<p class=small>… and ").show(words::count(report.actors.len() - ACTORS));
        html.raw(" more, with fewer episodes; the JSON file has them.</p>");
    }
    html.raw("</section>\n");
}

/// What one gate or guard refused.
#[derive(Default)]
struct Refusals<'a> {
    times: usize,
    controls: BTreeSet<&'a str>,
    resources: BTreeSet<&'a str>,
    latest: Option<&'a Entry>,
}

fn field<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.record.get(name).and_then(Value::as_str)
}

fn within<'a>(entry: &'a Entry, outer: &str, name: &str) -> Option<&'a str> {
    entry.record.get(outer)?.get(name)?.as_str()
}

/// What was refused, and why.
pub(super) fn refusals(html: &mut Html, report: &Report, links: &Links<'_>) {
    let mut gates: BTreeMap<&str, Refusals<'_>> = BTreeMap::new();
    for entry in &report.records {
        let gate = match field(entry, "outcome") {
            Some("refused") => field(entry, "refused_by").unwrap_or("the control itself"),
            Some("blocked-by-organization") => field(entry, "refused_by").unwrap_or("the organization"),
            _ => continue,
        };
        let gate = gates.entry(gate).or_default();
        gate.times += 1;
        gate.controls.extend(field(entry, "control"));
        gate.resources.extend(within(entry, "resource", "id"));
        gate.latest = gate.latest.or(Some(entry));
    }
    html.raw("<section aria-labelledby=refusals><h2 id=refusals>What was refused, and why</h2>");
    if gates.is_empty() {
        html.raw("<p>Nothing was refused.</p></section>\n");
        return;
    }
    html.raw("<p>Gates hold for all controls (mode, exemption, budget, flapping, the kill switch); guards are a control's own.</p>\n");
    let columns = [
        column("Gate or guard"),
        figure("Times"),
        figure("Resources"),
        column("Controls"),
        column("Why, the last time"),
        column("Record"),
    ];
    let mut table = Table::open(html, "by-gate", "Refusals by gate or guard", &columns);
    let mut rows: Vec<(&str, Refusals<'_>)> = gates.into_iter().collect();
    rows.sort_by(|(a, one), (b, other)| other.times.cmp(&one.times).then(a.cmp(b)));
    for (gate, row) in rows {
        table.row(|html| {
            html.raw("<code>").text(gate).raw("</code>");
        });
        table.number(row.times).number(row.resources.len());
        table.says(&row.controls.into_iter().collect::<Vec<_>>().join(", "));
        table.says(row.latest.and_then(|entry| field(entry, "why")).unwrap_or(""));
        table.cell(|html| record(html, links, row.latest.map_or("", links::id)));
    }
    table.close();
    html.raw("</section>\n");
}

/// A record's id, linked to where it is shown whole.
pub(super) fn record(html: &mut Html, links: &Links<'_>, id: &str) {
    match links.record(id) {
        Some((_, anchor)) => {
            html.raw("<a class=id href=\"#").text(anchor).raw("\">").text(id).raw("</a>");
        }
        None => {
            html.raw("<span class=id>").text(id).raw("</span>");
        }
    }
}

/// What people decided: approvals, undos, overrides, requests by hand.
pub(super) fn decisions(html: &mut Html, report: &Report, links: &Links<'_>) {
    let rows: Vec<(&Entry, Option<&str>, String)> = report.records.iter().filter_map(decision).collect();
    html.raw("<section aria-labelledby=decisions><h2 id=decisions>What people decided</h2>");
    if rows.is_empty() {
        html.raw("<p>Nobody approved, asked for, overrode or took back anything in the period.</p></section>\n");
        return;
    }
    html.raw("<p>Approvals, requests by hand, gates that were overridden, fixes that were taken back; the caller as AWS reports it.</p>\n");
    let columns = [column("When"), column("Who"), column("What"), column("Of"), column("Reason"), column("Record")];
    let mut table = Table::open(html, "by-person", "Decisions of people, the latest first", &columns);
    for (entry, who, what) in rows.iter().take(DECISIONS) {
        table.row(|html| moment(html, entry.record.get("began")));
        table.says(who.unwrap_or("nobody who gave a name")).says(what);
        table.cell(|html| {
            html.text(field(entry, "control").unwrap_or("")).raw(": <bdi>");
            html.text(within(entry, "resource", "id").unwrap_or("")).raw("</bdi>");
        });
        table.says(field(entry, "reason").unwrap_or(""));
        table.cell(|html| record(html, links, links::id(entry)));
    }
    table.close();
    if rows.len() > DECISIONS {
        html.raw("<p class=small>… and ")
            .show(words::count(rows.len() - DECISIONS))
            .raw(" earlier ones; the JSON file has them.</p>");
    }
    html.raw("</section>\n");
}

fn decision(entry: &Entry) -> Option<(&Entry, Option<&str>, String)> {
    let mut what = Vec::new();
    let outcome = field(entry, "outcome").unwrap_or("");
    let approved = within(entry, "approval", "by");
    if approved.is_some() {
        what.push("approved a fix".to_owned());
    }
    if let Some(undone) = field(entry, "undoes") {
        what.push(format!("took back {undone}"));
    }
    if let Some(gates) = entry.record.get("override").and_then(Value::as_array).filter(|gates| !gates.is_empty()) {
        what.push(format!("overrode {}", gates.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")));
    }
    let asked = field(entry, "asked_by");
    if what.is_empty() && (asked.is_some() || field(entry, "trigger") == Some("manual")) {
        what.push("asked by hand".to_owned());
    }
    (!what.is_empty()).then(|| (entry, approved.or(asked), format!("{} ({outcome})", what.join(", "))))
}

/// A moment as a record has it; what is none is shown as it is.
pub(super) fn moment(html: &mut Html, at: Option<&Value>) {
    let text = at.and_then(Value::as_str).unwrap_or("");
    match time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339) {
        Ok(at) => html.moment(at),
        Err(_) => html.text(text),
    };
}

/// Exemptions in force.
pub(super) fn exemptions(html: &mut Html, report: &Report) {
    html.raw("<section aria-labelledby=exemptions><h2 id=exemptions>Exemptions in force</h2>");
    if report.exemptions.is_empty() {
        html.raw("<p>There is none.</p></section>\n");
        return;
    }
    html.raw("<p>As they were when this report was made, the one that ends first before the others.</p>\n");
    let columns = [
        column("Ends"),
        column("Of"),
        column("Who answers for it"),
        column("Reason"),
        column("Made"),
        figure("Episodes left open"),
        column("Id"),
    ];
    let mut table = Table::open(html, "in-force", "Exemptions, with owner and end", &columns);
    for row in &report.exemptions {
        table.row(|html| {
            html.moment(row.expires);
        });
        table.says(&row.of).says(&row.owner).says(&row.reason);
        table.cell(|html| {
            html.moment(row.made_at);
            if let Some(by) = &row.made_by {
                html.raw(" by <bdi>").text(by).raw("</bdi>");
            }
        });
        table.number(row.episodes);
        table.cell(|html| {
            html.raw("<span class=id>").text(&row.id).raw("</span>");
        });
    }
    table.close();
    html.raw("</section>\n");
}
