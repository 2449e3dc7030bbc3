//! What the control knows, without any AWS.

use super::*;
use proptest::prelude::*;
use remediation::laws;
use serde_json::json;

#[path = "event_tests.rs"]
mod events;

/// Every public access block that there can be, and none.
fn blocks() -> Vec<Option<Block>> {
    let block = |bits: u8| Block {
        block_public_acls: bits & 1 != 0,
        ignore_public_acls: bits & 2 != 0,
        block_public_policy: bits & 4 != 0,
        restrict_public_buckets: bits & 8 != 0,
    };
    std::iter::once(None).chain((0..16).map(|bits| Some(block(bits)))).collect()
}

/// Every exposure that there can be, and none.
fn exposures() -> Vec<Option<Exposure>> {
    let exposure = |bits: u8| Exposure {
        public_policy: bits & 1 != 0,
        website: bits & 2 != 0,
        acls_apply: bits & 4 != 0,
        phi: bits & 8 != 0,
        public_websites: if bits & 16 != 0 { PublicWebsites::Close } else { PublicWebsites::Refuse },
    };
    std::iter::once(None).chain((0..32).map(|bits| Some(exposure(bits)))).collect()
}

/// Every state that there can be.
fn states() -> impl Iterator<Item = State> {
    blocks().into_iter().flat_map(|block| exposures().into_iter().map(move |exposure| State { block, exposure }))
}

const CALM: Exposure = Exposure {
    public_policy: false,
    website: false,
    acls_apply: false,
    phi: false,
    public_websites: PublicWebsites::Refuse,
};

fn settings(block: Block) -> [bool; 4] {
    [block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets]
}

#[test]
fn the_laws_hold_for_every_state_there_is() {
    assert_eq!(states().inspect(laws::check::<PublicBucket>).count(), 17 * 33);
}

#[test]
fn every_bucket_ought_to_have_all_four_settings_on() {
    for state in states() {
        let desired = PublicBucket::desired(&state);
        assert_eq!(desired.block.map(settings), Some([true; 4]), "{state:?}");
        assert_eq!(desired.exposure, state.exposure, "what is exposed is not ours to wish away");
    }
}

#[test]
fn a_fix_is_one_write_that_switches_nothing_off() {
    for state in states() {
        let changes = PublicBucket::changes(&state, &PublicBucket::desired(&state));
        let drifted = state.block.map(settings) != Some([true; 4]);
        assert_eq!(changes.len(), usize::from(drifted), "{state:?}");
        for change in changes {
            let Change::PutPublicAccessBlock(written) = change else { panic!("{change:?} to fix {state:?}") };
            assert_eq!(settings(written), [true; 4], "never a false: {written:?} over {state:?}");
        }
    }
}

#[test]
fn every_step_between_two_states_is_the_very_write_that_makes_it() {
    for (from, to) in blocks().into_iter().flat_map(|from| blocks().into_iter().map(move |to| (from, to))) {
        let state = |block| State { block, exposure: None };
        let expected = match to {
            _ if from == to => vec![],
            None => vec![Change::DeletePublicAccessBlock],
            Some(block) => vec![Change::PutPublicAccessBlock(block)],
        };
        assert_eq!(PublicBucket::changes(&state(from), &state(to)), expected, "{from:?} to {to:?}");
    }
}

#[test]
fn what_was_looked_at_beside_the_block_is_no_drift() {
    for exposure in exposures() {
        let state = State { block: Some(Block::FULL), exposure };
        assert!(PublicBucket::changes(&state, &State { exposure: None, ..state.clone() }).is_empty());
    }
}

fn risks(block: Option<Block>, exposure: Option<Exposure>) -> Vec<(&'static str, bool)> {
    let state = State { block, exposure };
    let risks = PublicBucket::risks(&state, &PublicBucket::desired(&state));
    assert!(risks.iter().all(|risk| !risk.says.is_empty() && !risk.says.contains(char::is_control)));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

#[test]
fn what_closing_a_bucket_would_break() {
    let public = Exposure { public_policy: true, ..CALM };
    let site = Exposure { website: true, ..CALM };
    let site_by_policy = Exposure { website: true, public_policy: true, ..CALM };
    let site_by_acl = Exposure { website: true, acls_apply: true, ..CALM };
    let uploads = ("public-acl-uploads", false);
    let policy = ("public-policy", false);
    let guard = ("public-website", true);
    let warned = ("public-website", false);
    let table = [
        (CALM, vec![uploads]),
        (public, vec![policy, uploads]),
        // A website that nobody can see loses no visitor.
        (site, vec![uploads]),
        (site_by_policy, vec![guard, policy, uploads]),
        (site_by_acl, vec![guard, uploads]),
        (Exposure { acls_apply: true, ..site_by_policy }, vec![guard, policy, uploads]),
        // "No exceptions" for health data, and none where the operator said so; the plan still says what goes dark.
        (Exposure { phi: true, ..site_by_policy }, vec![warned, policy, uploads]),
        (Exposure { phi: true, ..site_by_acl }, vec![warned, uploads]),
        (Exposure { public_websites: PublicWebsites::Close, ..site_by_policy }, vec![warned, policy, uploads]),
        (Exposure { public_websites: PublicWebsites::Close, ..site_by_acl }, vec![warned, uploads]),
        (Exposure { phi: true, public_websites: PublicWebsites::Close, ..site_by_acl }, vec![warned, uploads]),
        (Exposure { phi: true, ..site }, vec![uploads]),
    ];
    for (exposure, expected) in table {
        assert_eq!(risks(None, Some(exposure)), expected, "{exposure:?}");
        let all_off = blocks().remove(1);
        assert_eq!(all_off.map(settings), Some([false; 4]));
        assert_eq!(risks(all_off, Some(exposure)), expected, "four settings off are the same as no block");
    }
}

#[test]
fn a_setting_that_is_on_already_breaks_nothing() {
    let open = Exposure { public_policy: true, website: true, acls_apply: true, ..CALM };
    let but = |off: fn(&mut Block)| {
        let mut block = Block::FULL;
        off(&mut block);
        risks(Some(block), Some(open))
    };
    assert_eq!(risks(Some(Block::FULL), Some(open)), []);
    assert_eq!(but(|block| block.block_public_acls = false), [("public-acl-uploads", false)]);
    assert_eq!(but(|block| block.ignore_public_acls = false), [("public-website", true)]);
    // This one refuses policies to come; it takes nothing from those that are there.
    assert_eq!(but(|block| block.block_public_policy = false), []);
    assert_eq!(
        but(|block| block.restrict_public_buckets = false),
        [("public-website", true), ("public-policy", false)]
    );
}

#[test]
fn the_guard_stands_for_every_visible_website_and_for_nothing_else() {
    for state in states() {
        let Some(exposure) = state.exposure else {
            assert_eq!(risks(state.block, None), []);
            continue;
        };
        let [_, ignore, _, restrict] = state.block.map_or([false; 4], settings);
        let visible = exposure.public_policy && !restrict || exposure.acls_apply && !ignore;
        let refused = risks(state.block, state.exposure).iter().any(|(_, refuses)| *refuses);
        let expected =
            exposure.website && visible && !exposure.phi && exposure.public_websites == PublicWebsites::Refuse;
        assert_eq!(refused, expected, "{state:?}");
    }
}

#[test]
fn parameters() {
    let read = |json: &str| serde_json::from_str::<Parameters>(json).map_err(|error| error.to_string());
    assert_eq!(read("{}").unwrap(), Parameters::default());
    let expected =
        Parameters { phi_tag: "data-classification=phi".to_owned(), public_websites: PublicWebsites::Refuse };
    assert_eq!(Parameters::default(), expected, "a fresh deployment refuses to close websites");
    let set = read(r#"{"phi_tag": "hipaa=yes", "public_websites": "close"}"#).unwrap();
    assert_eq!(set, Parameters { phi_tag: "hipaa=yes".to_owned(), public_websites: PublicWebsites::Close });
    for (bad, says) in [
        (r#"{"public_website": "close"}"#, "unknown field `public_website`"),
        (r#"{"public_websites": "Close"}"#, "unknown variant `Close`"),
        (r#"{"public_websites": true}"#, "expected value"),
        (r#"{"phi_tag": null}"#, "invalid type"),
    ] {
        let error = read(bad).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_json_of_states_and_changes_stays_what_old_records_hold() {
    let off_on = Block { block_public_acls: false, ..Block::FULL };
    let block = json!({
        "block_public_acls": false, "ignore_public_acls": true, "block_public_policy": true,
        "restrict_public_buckets": true,
    });
    let exposure = json!({
        "public_policy": false, "website": false, "acls_apply": false, "phi": false, "public_websites": "refuse",
    });
    let state = State { block: Some(off_on), exposure: Some(CALM) };
    assert_eq!(serde_json::to_value(&state).unwrap(), json!({"block": block, "exposure": exposure}));
    let put = serde_json::to_value(Change::PutPublicAccessBlock(off_on)).unwrap();
    assert_eq!(put, json!({"put-public-access-block": block}));
    let delete = serde_json::to_value(Change::DeletePublicAccessBlock).unwrap();
    assert_eq!(delete, json!("delete-public-access-block"));
    // A state with a setting missing is no state: an undo must not guess.
    let partial = json!({"block": {"block_public_acls": true}, "exposure": null});
    assert!(serde_json::from_value::<State>(partial).is_err());
}

#[test]
fn the_facts() {
    let about = PublicBucket::ABOUT;
    assert_eq!(about.id, env!("CARGO_PKG_NAME"));
    assert_eq!(about.safety, Safety::Reversible);
    let page = include_str!("lib.rs");
    for fact in about.config_rules.iter().chain(about.security_hub) {
        assert!(page.lines().any(|line| line.starts_with("//!") && line.contains(fact)), "the page leaves out {fact}");
    }
    for citation in about.citations {
        let section = citation.trim_start_matches("45 CFR ");
        assert!(page.lines().any(|line| line.starts_with("//!") && line.contains(section)), "the page: {citation}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever text comes, a name that is taken can do no harm in a path, a host name or a log line.
    #[test]
    fn a_name_that_is_taken_is_harmless(text in prop_oneof![".{0,80}", "[a-z0-9.:_{}/-]{1,70}", "arn:aws:s3:::.{0,70}"]) {
        match BucketName::parse(&text) {
            Ok(name) => {
                let name = name.as_str();
                prop_assert!((3..=63).contains(&name.len()) && text.ends_with(name));
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)), "{}", name);
                prop_assert!(!name.contains(".."));
                prop_assert!(BucketName::parse(name).is_ok_and(|again| again.as_str() == name));
            }
            Err(why) => prop_assert!(why.len() < 1000 && !why.contains(char::is_control), "{}", why),
        }
    }
}
