//! The sections of 45 CFR Part 164 that controls cite.

/// A section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safeguard {
    /// The section, without its title and part: `164.312(a)(1)`.
    pub section: &'static str,
    /// Required (`R`), addressable (`A`), or a standard (`S`).
    pub kind: &'static str,
    /// What it asks for, in short.
    pub words: &'static str,
    /// What a record shows for it.
    pub shows: &'static str,
}

/// All that a control cites, in order. In short, after the rule's own appendix:
/// <https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-C/part-164/subpart-C/appendix-Appendix%20A%20to%20Subpart%20C%20of%20Part%20164>
pub const ALL: &[Safeguard] = &[
    Safeguard {
        section: "164.308(a)(1)(ii)(B)",
        kind: "R",
        words: "risk management: measures that reduce risks to a reasonable level",
        shows: "the state that was found, and that it was put right",
    },
    Safeguard {
        section: "164.308(a)(1)(ii)(D)",
        kind: "R",
        words: "information system activity review: logs and incidents are looked at regularly",
        shows: "who touched what; that it was told",
    },
    Safeguard {
        section: "164.308(a)(3)(i)",
        kind: "S",
        words: "workforce security: access for those who should have it, and for nobody else",
        shows: "who had access, and since when not any more",
    },
    Safeguard {
        section: "164.308(a)(3)(ii)(B)",
        kind: "A",
        words: "workforce clearance: that somebody's access is appropriate is determined",
        shows: "access that nobody had decided on, and its end",
    },
    Safeguard {
        section: "164.308(a)(3)(ii)(C)",
        kind: "A",
        words: "termination procedures: access ends when employment does",
        shows: "the key that nobody used, and its end",
    },
    Safeguard {
        section: "164.308(a)(4)(i)",
        kind: "S",
        words: "information access management: access is authorized",
        shows: "access that nobody had authorized, and its end",
    },
    Safeguard {
        section: "164.308(a)(4)(ii)(A)",
        kind: "R",
        words: "isolating clearinghouse functions from the larger organization",
        shows: "as for 164.312(a)(1); see below",
    },
    Safeguard {
        section: "164.308(a)(4)(ii)(B)",
        kind: "A",
        words: "access authorization: how access is granted",
        shows: "access that was granted past the way that you have for it",
    },
    Safeguard {
        section: "164.308(a)(4)(ii)(C)",
        kind: "A",
        words: "access establishment and modification: rights are documented, reviewed, changed",
        shows: "the right as it was and as it is, and who changed it",
    },
    Safeguard {
        section: "164.308(a)(5)(ii)(D)",
        kind: "A",
        words: "password management: how they are made, changed, safeguarded",
        shows: "how old the key was, when it was last used, its end",
    },
    Safeguard {
        section: "164.308(a)(6)(ii)",
        kind: "R",
        words: "response and reporting: incidents are answered, mitigated and documented",
        shows: "what was done in the incident, by whom, when, and that it worked",
    },
    Safeguard {
        section: "164.312(a)(1)",
        kind: "S",
        words: "access control: only those who were granted access",
        shows: "the opening, who made it, when it was seen closed",
    },
    Safeguard {
        section: "164.312(a)(2)(iv)",
        kind: "A",
        words: "encryption and decryption of health data",
        shows: "the default as it was and as it is, and with which key",
    },
    Safeguard {
        section: "164.312(b)",
        kind: "S",
        words: "audit controls: activity is recorded and can be examined",
        shows: "who touched the recording itself; the chain of evidence",
    },
    Safeguard {
        section: "164.312(c)(1)",
        kind: "S",
        words: "integrity: no improper alteration or destruction",
        shows: "the default as it was and as it is",
    },
    Safeguard {
        section: "164.312(c)(2)",
        kind: "A",
        words: "a mechanism to corroborate that data was not altered",
        shows: "the default as it was and as it is",
    },
    Safeguard {
        section: "164.312(e)(1)",
        kind: "S",
        words: "transmission security: no unauthorized access over a network",
        shows: "which way in was open, to whom, when it was seen closed",
    },
    Safeguard {
        section: "164.312(e)(2)(ii)",
        kind: "A",
        words: "encryption in transmission, where appropriate",
        shows: "the default as it was and as it is, and with which key",
    },
];

/// The section of a citation: `45 CFR 164.312(a)(1)`.
pub fn find(citation: &str) -> Option<&'static Safeguard> {
    let section = citation.strip_prefix("45 CFR ")?;
    ALL.iter().find(|safeguard| safeguard.section == section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_citation_of_a_control_has_its_words() {
        let cited: BTreeSet<&str> = catalogue::all().iter().flat_map(|entry| entry.about.citations).copied().collect();
        for citation in &cited {
            assert!(find(citation).is_some(), "say in shared/report/src/safeguards.rs what {citation} is");
        }
        assert_eq!(ALL.len(), cited.len());
        assert!(ALL.is_sorted_by_key(|safeguard| safeguard.section));
        assert!(find("164.312(a)(1)").is_none() && find("45 CFR 164.999").is_none());
    }
}
