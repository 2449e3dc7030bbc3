//! The page that an auditor is handed: one HTML file that loads nothing, sends nothing, and is whole without its script.
//!
//! What a record says comes from outside: names, reasons, policies. `write.rs` lets none of it in unescaped, there is no JSON
//! within a script, and a Content Security Policy allows no script and no style but ours, by their hashes.

mod axis;
mod charts;
mod episodes;
mod first;
mod links;
mod records;
mod sections;
mod tables;
#[cfg(test)]
mod tests;
mod trust;
mod words;
mod write;

use crate::model::Report;
use links::Links;
use sha2::{Digest, Sha256};
use write::Html;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The contents: anchors, and what they are called.
const CONTENTS: [(&str, &str); 12] = [
    ("attention", "What needs attention"),
    ("charts", "Over time"),
    ("citations", "By section of the rule"),
    ("controls", "By control"),
    ("actors", "Who caused it"),
    ("refusals", "Refused, and why"),
    ("decisions", "What people decided"),
    ("exemptions", "Exemptions"),
    ("integrity", "Integrity"),
    ("episodes", "Episodes"),
    ("records", "Records"),
    ("notes", "How to read this"),
];

/// The report as one HTML file. It holds all episodes, and at most a thousand records whole; the JSON has all of them.
pub fn page(report: &Report) -> String {
    let links = Links::new(report);
    let mut html = Html::default();
    html.raw("<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n");
    html.raw("<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-")
        .text(&hash(STYLE));
    html.raw("'; script-src 'sha256-").text(&hash(SCRIPT)).raw("'; base-uri 'none'; form-action 'none'\">\n");
    html.raw("<meta name=viewport content=\"width=device-width, initial-scale=1\">\n<meta name=color-scheme content=\"light dark\">\n");
    html.raw(
        "<meta name=referrer content=no-referrer>\n<meta name=robots content=noindex>\n<title>Drift and remediation, ",
    );
    html.show(words::period(report.from, report.to))
        .raw("</title>\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
    html.raw("<a class=skip href=\"#main\">Skip to the report</a>\n");
    first::header(&mut html, report);
    html.raw("<main id=main>\n");
    first::verdict(&mut html, report);
    first::figures(&mut html, report);
    first::attention(&mut html, report);
    html.raw("<nav aria-label=Contents><ul>");
    for (anchor, name) in CONTENTS {
        html.raw("<li><a href=\"#").raw(anchor).raw("\">").raw(name).raw("</a></li>");
    }
    html.raw("</ul></nav>\n<section aria-labelledby=charts><h2 id=charts>Over time</h2>\n");
    charts::all(&mut html, report);
    html.raw("</section>\n");
    sections::citations(&mut html, report);
    sections::controls(&mut html, report);
    sections::actors(&mut html, report);
    sections::refusals(&mut html, report, &links);
    sections::decisions(&mut html, report, &links);
    sections::exemptions(&mut html, report);
    trust::integrity(&mut html, report);
    trust::posture(&mut html, report);
    episodes::all(&mut html, report, &links);
    records::all(&mut html, report, &links);
    trust::notes(&mut html, report);
    html.raw("</main>\n<footer><p>Made ").moment(report.made).raw(" UTC by ").text(&report.made_by);
    html.raw(". <code>")
        .raw(report.schema)
        .raw("</code></p></footer>\n<script>")
        .raw(SCRIPT)
        .raw("</script>\n</body>\n</html>\n");
    html.into_string()
}

/// The hash of a style or script, as a Content Security Policy wants it. <https://www.w3.org/TR/CSP3/#grammardef-hash-source>
fn hash(of: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut said = String::with_capacity(44);
    for three in Sha256::digest(of.as_bytes()).chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).ok().and_then(|digit| DIGITS.get(digit));
            said.push(digit.filter(|_| place <= three.len()).map_or('=', |digit| char::from(*digit)));
        }
    }
    said
}
