use super::*;
use proptest::prelude::*;
use remediation::laws;
use serde_json::{Value, json};

fn names(of: &[&str]) -> Names {
    let mut names = Names::default();
    for name in of {
        names.add(*name);
    }
    names
}

fn calm() -> Survey {
    Survey {
        buckets: 3,
        public_policies: Names::default(),
        public_acls: Names::default(),
        websites: Names::default(),
        phi_websites: Names::default(),
        unknown: Names::default(),
        public_websites: PublicWebsites::Refuse,
    }
}

fn state(block: Option<Block>, survey: Survey) -> State {
    State { block, survey: Some(survey) }
}

fn risks(state: &State) -> Vec<(&'static str, bool)> {
    let risks = PublicAccount::risks(state, &PublicAccount::desired(state));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

const UPLOADS: (&str, bool) = ("public-acl-uploads", false);

fn blocks() -> Vec<Option<Block>> {
    let on = |bit: u8, n: u8| bit & (1 << n) != 0;
    let block = |bits| Block {
        block_public_acls: on(bits, 0),
        ignore_public_acls: on(bits, 1),
        block_public_policy: on(bits, 2),
        restrict_public_buckets: on(bits, 3),
    };
    std::iter::once(None).chain((0..16).map(|bits| Some(block(bits)))).collect()
}

#[test]
fn every_block_becomes_full_in_one_write_and_comes_back() {
    for block in blocks() {
        let state = state(block, calm());
        laws::check::<PublicAccount>(&state);
        let fixed = PublicAccount::desired(&state);
        let expected =
            if block == Some(Block::FULL) { vec![] } else { vec![Change::PutPublicAccessBlock(Block::FULL)] };
        assert_eq!(PublicAccount::changes(&state, &fixed), expected);
        let back = match block {
            None => vec![Change::DeletePublicAccessBlock],
            Some(Block::FULL) => vec![],
            Some(block) => vec![Change::PutPublicAccessBlock(block)],
        };
        assert_eq!(PublicAccount::changes(&fixed, &PublicAccount::restored(&state)), back);
    }
}

#[test]
fn a_public_website_is_refused_unless_told_to_go_on() {
    let website = Survey { websites: names(&["clinic-site"]), public_policies: names(&["clinic-site"]), ..calm() };
    let refused = state(None, website.clone());
    assert_eq!(risks(&refused), [("public-website", true), ("public-policy", false), UPLOADS]);
    let told = state(None, Survey { public_websites: PublicWebsites::Close, ..website });
    assert_eq!(risks(&told), [("public-website", false), ("public-policy", false), UPLOADS]);
    let phi = state(None, Survey { phi_websites: names(&["scans-site"]), ..calm() });
    assert_eq!(risks(&phi), [("phi-website", false), UPLOADS], "no guard stands before health data");
    let says = PublicAccount::risks(&refused, &PublicAccount::desired(&refused)).remove(0).says;
    assert!(says.contains("1 (clinic-site)"), "{says}");
}

#[test]
fn buckets_that_could_not_be_looked_at_are_listed_and_refuse_only_together() {
    let one = Survey { unknown: names(&["locked"]), ..calm() };
    assert_eq!(risks(&state(None, one)), [("unknown-buckets", false), UPLOADS]);
    let all = Survey { unknown: names(&["a", "b", "c"]), ..calm() };
    assert_eq!(risks(&state(None, all.clone())), [("unknown-buckets", true), UPLOADS]);
    let told = Survey { public_websites: PublicWebsites::Close, ..all };
    assert_eq!(risks(&state(None, told)), [("unknown-buckets", false), UPLOADS]);
    assert_eq!(risks(&state(None, Survey { buckets: 0, ..calm() })), [UPLOADS], "an account without buckets");
}

#[test]
fn uploads_break_only_where_they_were_let_in() {
    let closed = Block { restrict_public_buckets: false, ..Block::FULL };
    assert_eq!(risks(&state(Some(closed), calm())), []);
    assert_eq!(risks(&State { block: Some(Block::FULL), survey: None }), []);
}

#[test]
fn a_record_of_ten_thousand_buckets_stays_small() {
    let mut survey = Survey { buckets: 10_000, ..calm() };
    for n in 0..10_000 {
        let name = format!("{n:05}-{}", "x".repeat(57));
        survey.public_policies.add(&name);
        survey.public_acls.add(&name);
        survey.websites.add(&name);
        survey.unknown.add(&name);
    }
    let state = state(None, survey);
    let risks = PublicAccount::risks(&state, &PublicAccount::desired(&state));
    assert!(serde_json::to_string(&state).unwrap().len() < 16_000);
    assert!(serde_json::to_string(&risks).unwrap().len() < 6_000);
    assert!(risks[0].says.contains("10000 (") && risks[0].says.contains("and 9990 more"), "{}", risks[0].says);
}

#[test]
fn the_record_of_the_example_is_one_of_this_control() {
    let request = include_str!("../../../events/s3-public-account/manual-undo.json");
    let record = serde_json::from_str::<serde_json::Value>(request).unwrap()["record"].take();
    let [before, after] = ["before", "after"].map(|at| serde_json::from_value::<State>(record[at].clone()).unwrap());
    let is = |at: &str, changes: &[Change]| assert_eq!(record[at], serde_json::to_value(changes).unwrap(), "{at}");
    is("changes", &PublicAccount::changes(&before, &PublicAccount::desired(&before)));
    is("undo", &PublicAccount::changes(&after, &PublicAccount::restored(&before)));
    let breaks = PublicAccount::risks(&before, &PublicAccount::desired(&before));
    assert_eq!(record["breaks"], serde_json::to_value(breaks).unwrap());
    assert_eq!(record["citations"], serde_json::to_value(PublicAccount::ABOUT.citations).unwrap());
}

fn announces(name: &str, parameters: Value) -> bool {
    PublicAccount::announces_drift(&ApiCall {
        event_source: "s3.amazonaws.com".to_owned(),
        event_name: name.to_owned(),
        parameters,
        response: Value::Null,
    })
}

#[test]
fn what_announces_drift() {
    let put =
        |block: &Value| announces("PutAccountPublicAccessBlock", json!({"PublicAccessBlockConfiguration": block}));
    let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    for on in [json!(true), json!("true")] {
        let full = json!({"BlockPublicAcls": on, "IgnorePublicAcls": on, "BlockPublicPolicy": on, "RestrictPublicBuckets": on});
        assert!(!put(&full));
        for name in names {
            for off in [json!(false), json!("false"), json!(null)] {
                let mut partial = full.clone();
                partial[name] = off;
                assert!(put(&partial), "{partial}");
            }
            let mut partial = full.clone();
            partial.as_object_mut().unwrap().remove(name);
            assert!(put(&partial), "one that is left out is off: {partial}");
        }
    }
    // A record that does not say what was written announces nothing: the live state will tell.
    assert!(!put(&json!(null)) && !put(&json!("")) && !announces("PutAccountPublicAccessBlock", json!(null)));
    assert!(announces(
        "DeleteAccountPublicAccessBlock",
        json!({"host": ["111122223333.s3-control.us-east-1.amazonaws.com"]})
    ));
    assert!(!announces("DeleteBucketPublicAccessBlock", json!({})));
}

#[test]
fn settings_are_the_parameters() {
    let settings = PublicAccount::ABOUT.settings;
    let defaults: serde_json::Map<String, Value> =
        settings.iter().map(|setting| (setting.field.to_owned(), setting.default.into())).collect();
    assert_eq!(serde_json::from_value::<WebsiteParameters>(defaults.into()).unwrap(), WebsiteParameters::default());
    assert_eq!(settings.len(), 2);
}

fn some_names() -> impl Strategy<Value = Names> {
    prop::collection::vec("[a-z]{3,8}", 0..4).prop_map(|all| {
        let mut names = Names::default();
        for name in all {
            names.add(name);
        }
        names
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(
        block in prop::sample::select(blocks()),
        survey in prop::option::of((0_usize..9, some_names(), some_names(), some_names(), some_names(), any::<bool>())),
    ) {
        let survey = survey.map(|(buckets, public_policies, public_acls, websites, unknown, close)| Survey {
            buckets,
            public_policies,
            public_acls,
            websites,
            unknown,
            public_websites: if close { PublicWebsites::Close } else { PublicWebsites::Refuse },
            ..calm()
        });
        let state = State { block, survey };
        laws::check::<PublicAccount>(&state);
        let guarded = state.survey.as_ref().is_some_and(|s| !s.websites.is_empty() && s.public_websites == PublicWebsites::Refuse);
        let refuses = risks(&state).into_iter().any(|(id, refuses)| id == "public-website" && refuses);
        prop_assert_eq!(refuses, guarded);
    }
}
