//! Which section of 45 CFR Part 164 is served by which control, as a table for docs/hipaa.md.

use report::safeguards::{self, Safeguard};
use std::collections::BTreeMap;
use std::fmt::Write;
use system_tests::{about, folders};

/// Which section is served by which control.
pub fn table() -> String {
    let mut served: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for control in folders() {
        for citation in about(&control)["citations"].as_array().unwrap() {
            let section = citation.as_str().unwrap().strip_prefix("45 CFR ").unwrap().to_owned();
            served.entry(section).or_default().push(control.clone());
        }
    }
    let mut table = "| 45 CFR | | in short | served by | what a record shows |\n|---|---|---|---|---|\n".to_owned();
    for Safeguard { section, kind, words, shows } in safeguards::ALL {
        let controls = served.remove(*section).unwrap_or_else(|| panic!("no control serves {section} any more"));
        let links: Vec<_> = controls.iter().map(|id| format!("[`{id}`](controls/{id}.md)")).collect();
        let page = section.split('(').next().unwrap();
        let url = format!("https://www.ecfr.gov/current/title-45/section-{page}");
        writeln!(table, "| [{section}]({url}) | {kind} | {words} | {} | {shows} |", links.join(", ")).unwrap();
    }
    assert!(served.is_empty(), "say in shared/report/src/safeguards.rs what these are: {served:?}");
    table
}
