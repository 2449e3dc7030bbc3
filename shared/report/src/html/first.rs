//! The first screen: what the report is of, whether it can be trusted, the figures, and what somebody should see to.

use super::links;
use super::words::{self, Stand};
use super::write::Html;
use crate::model::{End, Episode, Report, Verdict};
use time::Duration;

/// How many of a kind the list of what needs attention names; the table has all.
const NAMED: usize = 6;
/// How much of a reason it has, in characters; the record has all of it.
const WORDS: usize = 200;
/// An exemption that ends within this is worth knowing of.
const SOON: Duration = Duration::days(21);

/// What the report is of, and from what it was made.
pub(super) fn header(html: &mut Html, report: &Report) {
    html.raw("<header class=top><h1><span class=kind>Suture · drift and remediation report</span> ");
    html.show(words::period(report.from, report.to)).raw("</h1><dl class=about><div><dt>");
    html.raw(if report.sources.accounts.len() == 1 { "Account" } else { "Accounts" }).raw("</dt><dd>");
    listed(html, &report.sources.accounts, 12);
    html.raw("</dd></div><div><dt>")
        .raw(if report.sources.regions.len() == 1 { "Region" } else { "Regions" })
        .raw("</dt><dd>");
    listed(html, &report.sources.regions, 12);
    html.raw("</dd></div><div><dt>Made</dt><dd>").moment(report.made).raw(" by ").text(&report.made_by);
    html.raw("</dd></div><div><dt>From</dt><dd>").text(&report.sources.ledger).raw("; ");
    html.text(report.sources.evidence.as_deref().unwrap_or("evidence was not read")).raw("</dd></div></dl>");
    html.raw("<p class=small>All times are UTC. An <em>episode</em> is a stretch of drift: a resource was not as a control wants it, \
        from one moment to another. What Suture has no record of is not in here: no call told of it, and no sweep found it; \
        <code>suture scan</code> looks at what is.</p></header>\n");
}

fn listed(html: &mut Html, names: &[String], most: usize) {
    if names.is_empty() {
        html.raw("none in the records");
    }
    for (place, name) in names.iter().take(most).enumerate() {
        html.raw(if place == 0 { "" } else { ", " }).text(name);
    }
    if names.len() > most {
        html.raw(" and ").show(words::count(names.len() - most)).raw(" more");
    }
}

/// Whether the report is whole and the evidence sound; the first thing that anybody has to know.
pub(super) fn verdict(html: &mut Html, report: &Report) {
    let integrity = &report.integrity;
    let class = match (integrity.verdict, report.gaps.is_empty()) {
        (Verdict::NotSound, _) => "bad",
        (Verdict::Sound, true) if integrity.pieces > 0 => "good",
        _ => "unsure",
    };
    html.raw("<section class=\"verdict ").raw(class).raw("\" aria-labelledby=verdict><h2 id=verdict>");
    html.raw(match integrity.verdict {
        Verdict::Sound if integrity.pieces == 0 => "There is no evidence yet",
        Verdict::Sound => "The evidence is sound",
        Verdict::NotSound => "The evidence is not sound",
        Verdict::NotChecked => "The evidence was not checked",
    });
    html.raw(match (report.gaps.is_empty(), integrity.verdict) {
        (true, _) => "</h2>",
        (false, Verdict::Sound) => ", but this report is not whole</h2>",
        (false, _) => ", and this report is not whole</h2>",
    });
    html.raw("<p>");
    match integrity.verdict {
        Verdict::Sound if integrity.pieces == 0 => {
            html.raw("None was found, and the ledger knows of none. ");
        }
        Verdict::Sound => {
            html.show(words::pieces(integrity.pieces)).raw(if integrity.pieces == 1 { " piece" } else { " pieces" });
            html.raw(" in one chain; nothing is missing, and nothing was changed. ");
        }
        Verdict::NotSound => {
            html.raw("Something is missing or was changed. ").show(words::pieces(integrity.intact)).raw(" of ");
            html.show(words::pieces(integrity.pieces)).raw(" pieces are as they were written. ");
        }
        Verdict::NotChecked => {
            html.raw(
                "What follows is what the ledger says; whether it agrees with the evidence nobody has looked at. ",
            );
        }
    }
    if !integrity.differ.is_empty() {
        html.show(words::many(integrity.differ.len(), "record")).raw(" in ledger and evidence differ. ");
    }
    if integrity.without_evidence > 0 {
        html.show(words::many(integrity.without_evidence, "record")).raw(" of the period ");
        html.raw(if integrity.without_evidence == 1 { "has" } else { "have" }).raw(" no evidence yet. ");
    }
    html.raw("<a href=\"#integrity\">What was checked, and how to check it yourself</a></p>");
    if !report.gaps.is_empty() {
        html.raw("<p>What could not be read, and is not in this report:</p><ul>");
        for gap in &report.gaps {
            html.raw("<li><bdi>").text(gap).raw("</bdi></li>");
        }
        html.raw("</ul>");
    }
    html.raw("</section>\n");
}

/// The period in two sentences, and the figures.
pub(super) fn figures(html: &mut Html, report: &Report) {
    let summary = &report.summary;
    let ends = |end: End| summary.ends.get(end.name()).copied().unwrap_or(0);
    html.raw("<section aria-labelledby=figures><h2 id=figures class=unseen>In short</h2><p class=lead>");
    if summary.episodes == 0 {
        html.raw("Nothing drifted in this period, as far as the records tell.");
        if summary.records > 0 {
            html.raw(" ").show(words::many(summary.records, "record")).raw(" of it are below.");
        }
    } else {
        html.show(words::many(summary.episodes, "episode")).raw(" of drift, ");
        match (summary.episodes, summary.began) {
            (1, 1) => html.raw("which began in the period"),
            (1, _) => html.raw("which began before the period"),
            (all, began) if all == began => html.raw("all of which began in the period"),
            (_, began) => html.raw("of which ").show(words::count(began)).raw(" began in the period"),
        };
        html.raw(". Suture mended ").show(words::count(ends(End::Fixed)));
        match summary.median_seconds_to_mend {
            Some(median) if summary.timed == 1 && ends(End::Fixed) == 1 => {
                html.raw(", within ").show(words::span(median))
            }
            Some(median) => html.raw(", half of those that can be timed within ").show(words::span(median)),
            None => html,
        };
        match summary.open {
            0 => html.raw(". None is open at the end"),
            1 => html.raw(". 1 is open at the end"),
            open => html.raw(". ").show(words::count(open)).raw(" are open at the end"),
        };
        let answered = summary.open.saturating_sub(summary.open_unanswered);
        if answered > 0 {
            html.raw("; for ").show(words::count(answered)).raw(" of them somebody answers");
        }
        html.raw(".");
    }
    html.raw("</p><dl class=figures>");
    let figure = |html: &mut Html, name: &'static str, figure: String, says: &str| {
        html.raw("<div><dt>")
            .raw(name)
            .raw("</dt><dd><b>")
            .text(&figure)
            .raw("</b><span>")
            .text(says)
            .raw("</span></dd></div>");
    };
    let unseen =
        if summary.unseen > 0 { format!("; {} not known", words::count(summary.unseen)) } else { String::new() };
    let says = format!("of {} open at the end{unseen}", words::count(summary.open));
    figure(html, "Open, unanswered", words::count(summary.open_unanswered), &says);
    let says = match (summary.p95_seconds_to_mend, summary.longest_seconds_to_mend) {
        (Some(most), Some(longest)) => {
            format!("95 of 100 within {}; at most {}", words::span(most), words::span(longest))
        }
        _ => "nothing was mended that could be timed".to_owned(),
    };
    figure(html, "Median time to mend", words::perhaps(summary.median_seconds_to_mend), &says);
    let says =
        format!("of {}; {} made", words::many(summary.episodes, "episode"), words::many(summary.writes, "write"));
    figure(html, "Mended by Suture", words::count(ends(End::Fixed)), &says);
    let waits = ends(End::AwaitingApproval);
    let says = format!(
        "by a gate or guard; {} for approval",
        if waits == 1 { "1 waits".to_owned() } else { format!("{} wait", words::count(waits)) }
    );
    figure(html, "Refused, still open", words::count(ends(End::Refused)), &says);
    let says = format!("{} in force", words::many(report.exemptions.len(), "exemption"));
    figure(html, "Exempt", words::count(ends(End::Exempt)), &says);
    html.raw("</dl></section>\n");
}

/// What somebody should see to, the worst first.
pub(super) fn attention(html: &mut Html, report: &Report) {
    let mut items = Html::default();
    if report.integrity.verdict == Verdict::NotSound {
        items.raw(
            "<li class=bad><strong>The evidence is not sound.</strong> Find out who could write to it and when; \
            <a href=\"#integrity\">what was found</a>.</li>",
        );
    }
    if !report.gaps.is_empty() {
        items.raw("<li class=bad><strong>This report is not whole:</strong> ");
        items.show(words::many(report.gaps.len(), "thing")).raw(" could not be read; see above.</li>");
    }
    if let Some(stopped) = &report.posture.stopped {
        items.raw("<li class=bad><strong>Suture is stopped</strong> and mends nothing: <bdi>").text(stopped);
        items.raw("</bdi>. <code>suture resume</code> lets it write again.</li>");
    }
    open(&mut items, report);
    let soon = report.made + SOON;
    for exemption in report.exemptions.iter().filter(|exemption| exemption.expires <= soon).take(NAMED) {
        items.raw("<li class=soon><strong>An exemption ends ").moment(exemption.expires).raw(":</strong> <bdi>");
        items.text(&exemption.of).raw("</bdi>, for which <bdi>").text(&exemption.owner).raw("</bdi> answers. ");
        items.raw("Then it counts as drift again. <a href=\"#exemptions\">All exemptions</a></li>");
    }
    if !report.integrity.differ.is_empty() {
        items.raw("<li class=bad><strong>").show(words::many(report.integrity.differ.len(), "record"));
        items.raw(" in ledger and evidence differ.</strong> <a href=\"#integrity\">Which</a></li>");
    }
    html.raw("<section aria-labelledby=attention><h2 id=attention>What needs attention</h2>");
    if items.is_empty() {
        html.raw("<p>Nothing: no drift is open that nobody answers for, and no exemption ends within ");
        html.show(SOON.whole_days()).raw(" days.</p></section>\n");
        return;
    }
    html.raw("<ul class=attention>").part(&items).raw("</ul></section>\n");
}

fn open(html: &mut Html, report: &Report) {
    let stands = words::stands(report);
    let mut open: Vec<&Episode> =
        report.episodes.iter().filter(|episode| words::stand(episode, stands) == Stand::Open).collect();
    open.sort_by_key(|episode| (episode.began, episode.number));
    for episode in open.iter().take(NAMED) {
        html.raw("<li class=open><strong><bdi>").cut(&episode.resource.id, 80).raw("</bdi></strong> (");
        html.text(&episode.control)
            .raw("), open for ")
            .show(words::span((stands - episode.began).as_seconds_f64().max(0.0)));
        html.raw(if episode.cause_known { "" } else { " or longer" }).raw("; ").raw(words::end(episode.end));
        if let Some(gate) = &episode.refused_by {
            html.raw(" by <code>").text(gate).raw("</code>");
        }
        // An ellipsis ends a sentence by itself.
        let ends = if episode.why.chars().nth(WORDS).is_some() { " " } else { ". " };
        html.raw(": <bdi>").cut(&episode.why, WORDS).raw("</bdi>").raw(ends);
        html.raw("<a href=\"#").text(&links::episode(episode.number));
        html.raw("\">Episode ").show(episode.number).raw("</a></li>");
    }
    if open.len() > NAMED {
        html.raw("<li class=open>… and ").show(words::many(open.len() - NAMED, "episode"));
        html.raw(" more, open and unanswered. <a href=\"#episodes\" data-stand=open>See them in the table</a></li>");
    }
}
