//! What the report rests on: the integrity of the evidence, how the deployment stands, and how to read the page.

use super::links::WHOLE;
use super::tables::{Table, column, figure};
use super::words;
use super::write::Html;
use crate::model::{Report, Verdict};

/// Whether the evidence is sound, and how that can be checked.
pub(super) fn integrity(html: &mut Html, report: &Report) {
    let integrity = &report.integrity;
    html.raw("<section aria-labelledby=integrity><h2 id=integrity>Integrity of the evidence</h2>");
    html.raw("<p>Every record becomes one locked object that holds the hash of the one before it, so what is missing or was changed \
        shows. ");
    html.raw(match integrity.verdict {
        Verdict::Sound if integrity.pieces == 0 => "There is none yet.",
        Verdict::Sound => "The chain was checked when this report was made: it is sound.",
        Verdict::NotSound => "The chain was checked when this report was made: <strong>it is not sound</strong>.",
        Verdict::NotChecked => "The chain was not checked for this report.",
    });
    html.raw("</p><dl class=facts>");
    let fact = |html: &mut Html, name: &'static str, what: String| {
        html.raw("<div><dt>").raw(name).raw("</dt><dd>").text(&what).raw("</dd></div>");
    };
    if integrity.verdict != Verdict::NotChecked {
        fact(html, "Pieces in the chain", words::pieces(integrity.pieces));
        fact(html, "As they were written", words::pieces(integrity.intact));
    }
    if let Some(head) = &integrity.head {
        fact(html, "Its end", head.clone());
    }
    fact(html, "Records of the period without evidence yet", words::count(integrity.without_evidence));
    fact(html, "Records that only the evidence still has", words::count(integrity.from_evidence_alone));
    html.raw("</dl>");
    if !integrity.differ.is_empty() {
        html.raw("<p>Ledger and evidence have these records differently:</p><ul>");
        for id in integrity.differ.iter().take(50) {
            html.raw("<li class=id>").text(id).raw("</li>");
        }
        html.raw("</ul>");
        if integrity.differ.len() > 50 {
            html.raw("<p>… and ").show(words::count(integrity.differ.len() - 50)).raw(" more.</p>");
        }
    }
    if !integrity.lines.is_empty() {
        html.raw("<h3>What <code>suture verify-evidence</code> says</h3><pre role=group tabindex=0 aria-label=\"What suture verify-evidence says\">");
        for line in integrity.lines.iter().take(400) {
            html.text(line).raw("\n");
        }
        html.raw("</pre>");
        if integrity.lines.len() > 400 {
            html.raw("<p>… and ")
                .show(words::many(integrity.lines.len() - 400, "line"))
                .raw(" more, in the JSON file.</p>");
        }
    }
    html.raw("<p>To check it yourself: <code>suture verify-evidence</code>, or without Suture: download the evidence bucket, and \
        compare <code>sha256sum</code> of each object with what the next one holds under <code>previous</code>. A record below names \
        its object and its hash. The end of the chain is worth keeping somewhere else: write it down.</p></section>\n");
}

/// How the deployment stands.
pub(super) fn posture(html: &mut Html, report: &Report) {
    let posture = &report.posture;
    html.raw("<section aria-labelledby=posture><h2 id=posture>How Suture is set</h2><p>When this report was made: ");
    match &posture.stopped {
        Some(stopped) => html.raw("<strong>stopped</strong>: <bdi>").text(stopped).raw("</bdi>. "),
        None => html.raw("not stopped. "),
    };
    match posture.mode {
        Some(mode) => html.raw("Every control without a mode of its own: <code>").text(mode).raw("</code>. "),
        None => html.raw("Every control without a mode of its own is in the one that it was deployed with. "),
    };
    if let Some(changed) = &posture.changed {
        html.raw("Last changed: <bdi>").text(changed).raw("</bdi>.");
    }
    html.raw("</p>");
    if !posture.modes.is_empty() {
        let columns = [column("Control"), column("Mode")];
        let mut table = Table::open(html, "modes", "Controls with a mode of their own", &columns);
        for (control, mode) in &posture.modes {
            table.row(|html| {
                html.text(control);
            });
            table.plain(mode);
        }
        table.close();
    }
    html.raw("</section>\n");
}

/// What each outcome means; from `docs/records.md`.
const OUTCOMES: [(&str, &str); 12] = [
    ("compliant", "it was as it ought to be; nothing was written"),
    ("planned", "there was drift; what would be written was written down, and nothing else"),
    ("awaiting-approval", "there was drift; the plan waited for a person"),
    ("exempt", "there was drift, and an exemption said to leave it"),
    ("fixed", "written, read back, and seen to be as it ought to be"),
    ("undone", "a fix was taken back; read back, and seen"),
    ("partly-fixed", "some of it was written; the record says what was not"),
    ("refused", "a gate or a guard said no; nothing was written"),
    ("blocked-by-organization", "a policy of the organization forbids the write"),
    ("gone", "the resource did not exist, or not any more"),
    ("unverified", "written, or perhaps written; the reading-back had not shown it"),
    ("failed", "it could not be done; the record says what was missing"),
];

/// Records by outcome, and what each means.
pub(super) fn outcomes(html: &mut Html, report: &Report) {
    let columns = [column("Outcome"), column("Means"), figure("Records")];
    let mut table = Table::open(html, "by-outcome", "Records of the period by outcome", &columns);
    for (outcome, means) in OUTCOMES {
        table.row(|html| {
            html.raw("<code>").raw(outcome).raw("</code>");
        });
        table.plain(means).number(report.summary.outcomes.get(outcome).copied().unwrap_or(0));
    }
    table.close();
}

/// How to read the page, and what it cannot know.
pub(super) fn notes(html: &mut Html, report: &Report) {
    html.raw("<section aria-labelledby=notes><h2 id=notes>How to read this</h2><ul class=notes>");
    html.raw("<li>An episode begins with the call that caused it. Where no call is known it begins with the look that found it, and \
        may be older: its time has a ≥.</li>");
    html.raw("<li>It ends when the resource was seen to be as it ought to be. What somebody mended without Suture leaves no record by \
        itself; drift that nobody has looked at for days is <em>not known</em> to be open, and is not counted as open.</li>");
    html.raw("<li>Times to mend are of what Suture mended in the period, where the beginning is known and nobody answered for it");
    if report.summary.timed > 0 {
        html.raw(": ").show(words::many(report.summary.timed, "episode"));
    }
    html.raw(".</li>");
    if report.summary.unlooked > 0 {
        html.raw("<li>").show(words::many(report.summary.unlooked, "record"));
        html.raw(" of the period saw nothing of the resource (refused before the look, or failed); they say nothing about drift.</li>");
    }
    if report.summary.lost_sight_of > 0 {
        html.raw("<li>Left out: ").show(words::many(report.summary.lost_sight_of, "episode"));
        html.raw(" that was last seen before the period, of which nobody knows when it ended.</li>");
    }
    html.raw("<li>Records were read from ").moment(report.sources.since);
    html.raw(" on, for drift that was open when the period began.</li>");
    html.raw("<li>What was looked at and found sound is counted elsewhere, and not kept; so no record is no proof that a setting was \
        right. For that there is AWS Config's history.</li>");
    html.raw("<li>Characters that cannot be seen, or that turn the text around them, are shown as ⟨U+202E⟩.</li>");
    html.raw("<li>At most ").show(words::count(WHOLE)).raw(
        " records are shown whole. The JSON file that is made with this page has all \
        of them (<code>suture.report/1</code>).</li>",
    );
    html.raw("<li>This page is one file. It loads nothing, sends nothing, and works without its script, which only sorts and filters.\
        </li></ul></section>\n");
}
