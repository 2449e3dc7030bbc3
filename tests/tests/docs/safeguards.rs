//! Which section of 45 CFR Part 164 is served by which control, as a table for docs/hipaa.md.

use std::collections::BTreeMap;
use std::fmt::Write;
use system_tests::{about, folders};

/// The sections that controls cite: required (R), addressable (A) or a standard (S), the words in short, what a record shows.
/// <https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-C/part-164/subpart-C/appendix-Appendix%20A%20to%20Subpart%20C%20of%20Part%20164>
const SAFEGUARDS: &[(&str, &str, &str, &str)] = &[
    (
        "164.308(a)(1)(ii)(B)",
        "R",
        "risk management: measures that reduce risks to a reasonable level",
        "the state that was found, and that it was put right",
    ),
    (
        "164.308(a)(1)(ii)(D)",
        "R",
        "information system activity review: logs and incidents are looked at regularly",
        "who touched what; that it was told",
    ),
    (
        "164.308(a)(3)(i)",
        "S",
        "workforce security: access for those who should have it, and for nobody else",
        "who had access, and since when not any more",
    ),
    (
        "164.308(a)(3)(ii)(B)",
        "A",
        "workforce clearance: that somebody's access is appropriate is determined",
        "access that nobody had decided on, and its end",
    ),
    (
        "164.308(a)(3)(ii)(C)",
        "A",
        "termination procedures: access ends when employment does",
        "the key that nobody used, and its end",
    ),
    (
        "164.308(a)(4)(i)",
        "S",
        "information access management: access is authorized",
        "access that nobody had authorized, and its end",
    ),
    (
        "164.308(a)(4)(ii)(A)",
        "R",
        "isolating clearinghouse functions from the larger organization",
        "as for 164.312(a)(1); see below",
    ),
    (
        "164.308(a)(4)(ii)(B)",
        "A",
        "access authorization: how access is granted",
        "access that was granted past the way that you have for it",
    ),
    (
        "164.308(a)(4)(ii)(C)",
        "A",
        "access establishment and modification: rights are documented, reviewed, changed",
        "the right as it was and as it is, and who changed it",
    ),
    (
        "164.308(a)(5)(ii)(D)",
        "A",
        "password management: how they are made, changed, safeguarded",
        "how old the key was, when it was last used, its end",
    ),
    (
        "164.308(a)(6)(ii)",
        "R",
        "response and reporting: incidents are answered, mitigated and documented",
        "what was done in the incident, by whom, when, and that it worked",
    ),
    (
        "164.312(a)(1)",
        "S",
        "access control: only those who were granted access",
        "the opening, who made it, when it was seen closed",
    ),
    (
        "164.312(a)(2)(iv)",
        "A",
        "encryption and decryption of health data",
        "the default as it was and as it is, and with which key",
    ),
    (
        "164.312(b)",
        "S",
        "audit controls: activity is recorded and can be examined",
        "who touched the recording itself; the chain of evidence",
    ),
    ("164.312(c)(1)", "S", "integrity: no improper alteration or destruction", "the default as it was and as it is"),
    (
        "164.312(c)(2)",
        "A",
        "a mechanism to corroborate that data was not altered",
        "the default as it was and as it is",
    ),
    (
        "164.312(e)(1)",
        "S",
        "transmission security: no unauthorized access over a network",
        "which way in was open, to whom, when it was seen closed",
    ),
    (
        "164.312(e)(2)(ii)",
        "A",
        "encryption in transmission, where appropriate",
        "the default as it was and as it is, and with which key",
    ),
];

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
    for (section, kind, words, shows) in SAFEGUARDS {
        let controls = served.remove(*section).unwrap_or_else(|| panic!("no control serves {section} any more"));
        let links: Vec<_> = controls.iter().map(|id| format!("[`{id}`](controls/{id}.md)")).collect();
        let page = section.split('(').next().unwrap();
        let url = format!("https://www.ecfr.gov/current/title-45/section-{page}");
        writeln!(table, "| [{section}]({url}) | {kind} | {words} | {} | {shows} |", links.join(", ")).unwrap();
    }
    assert!(served.is_empty(), "say in SAFEGUARDS what these are: {served:?}");
    table
}
