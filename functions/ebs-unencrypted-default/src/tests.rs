//! What the control knows, without any AWS.

use super::*;
use proptest::prelude::*;
use remediation::laws;
use serde_json::json;

#[path = "event_tests.rs"]
mod events;

const WANTED: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:us-east-1:111122223333:key/0ea3fef3-80a7-4778-9d8c-1c0c60000000";
const MANAGED: &str = "alias/aws/ebs";

fn found(state: &str, spec: &str) -> Seen {
    Seen::Found { state: state.to_owned(), usage: "ENCRYPT_DECRYPT".to_owned(), spec: spec.to_owned() }
}

fn sound() -> Seen {
    found("Enabled", "SYMMETRIC_DEFAULT")
}

fn state(encrypted: bool, key: &str, wanted: Option<&str>, seen: &[(&str, Seen)]) -> State {
    State {
        encrypted,
        key: key.to_owned(),
        wanted: wanted.map(|key| KeyArn::parse(key).unwrap()),
        keys: seen.iter().map(|(key, seen)| ((*key).to_owned(), seen.clone())).collect(),
    }
}

fn fix(state: &State) -> Vec<Change> {
    UnencryptedDefault::changes(state, &UnencryptedDefault::desired(state))
}

fn set(from: &str, to: &str) -> Change {
    Change::SetKey { from: from.to_owned(), to: to.to_owned() }
}

#[test]
fn what_is_written() {
    let table = [
        ("all is well", state(true, MANAGED, None, &[]), vec![]),
        ("off", state(false, MANAGED, None, &[]), vec![Change::Enable]),
        ("a customer's key is left as it is", state(true, OTHER, None, &[(OTHER, sound())]), vec![]),
        ("off, with a customer's key", state(false, OTHER, None, &[(OTHER, sound())]), vec![Change::Enable]),
        ("the wanted key is there", state(true, WANTED, Some(WANTED), &[(WANTED, sound())]), vec![]),
        (
            "by its bare id",
            state(true, "1234abcd-12ab-34cd-56ef-1234567890ab", Some(WANTED), &[(WANTED, sound())]),
            vec![],
        ),
        ("another key", state(true, MANAGED, Some(WANTED), &[(WANTED, sound())]), vec![set(MANAGED, WANTED)]),
        (
            "both: on first, since volumes are to be encrypted even if the key's write fails",
            state(false, OTHER, Some(WANTED), &[(WANTED, sound()), (OTHER, sound())]),
            vec![Change::Enable, set(OTHER, WANTED)],
        ),
    ];
    for (what, state, expected) in table {
        assert_eq!(fix(&state), expected, "{what}");
    }
}

#[test]
fn a_key_that_cannot_encrypt_is_never_set() {
    for (seen, says) in [
        (found("Disabled", "SYMMETRIC_DEFAULT"), "\"Disabled\""),
        (found("PendingDeletion", "SYMMETRIC_DEFAULT"), "\"PendingDeletion\""),
        (found("Enabled", "RSA_2048"), "no symmetric key"),
        (Seen::Missing, "does not exist"),
        (Seen::Unreadable, "could not be looked at"),
    ] {
        for encrypted in [true, false] {
            let state = state(encrypted, MANAGED, Some(WANTED), &[(WANTED, seen.clone())]);
            let expected = if encrypted { vec![] } else { vec![Change::Enable] };
            assert_eq!(fix(&state), expected, "the default is switched on all the same: {seen:?}");
            let hindrance = UnencryptedDefault::hindrance(&state).unwrap();
            assert_eq!(hindrance.id, "key-unusable");
            assert!(hindrance.says.contains(says) && hindrance.says.contains(WANTED), "{}", hindrance.says);
        }
    }
    // Nobody looked: not at all, or at another key.
    for seen in [vec![], vec![(OTHER, sound())]] {
        let state = state(false, MANAGED, Some(WANTED), &seen);
        assert_eq!(fix(&state), [Change::Enable]);
        assert!(UnencryptedDefault::hindrance(&state).is_some());
    }
}

#[test]
fn a_default_key_that_went_bad_is_reported() {
    let disabled = found("Disabled", "SYMMETRIC_DEFAULT");
    let bad = state(true, OTHER, None, &[(OTHER, disabled.clone())]);
    assert_eq!(fix(&bad), [], "which key to take is not for us to guess");
    let hindrance = UnencryptedDefault::hindrance(&bad).unwrap();
    assert_eq!(hindrance.id, "default-key-unusable");
    assert!(
        hindrance.says.contains("Disabled") && hindrance.says.contains("0ea3fef3-80a7-4778-9d8c-1c0c60000000"),
        "{}",
        hindrance.says
    );
    // A wanted key takes its place.
    let mended = state(true, OTHER, Some(WANTED), &[(OTHER, disabled), (WANTED, sound())]);
    assert_eq!(UnencryptedDefault::hindrance(&mended), None);
    assert_eq!(fix(&mended), [set(OTHER, WANTED)]);
    for fine in [state(true, MANAGED, None, &[]), state(true, OTHER, None, &[(OTHER, Seen::Unreadable)])] {
        assert_eq!(UnencryptedDefault::hindrance(&fine), None);
    }
}

fn risks(state: &State) -> Vec<(&'static str, bool)> {
    let risks = UnencryptedDefault::risks(state, &UnencryptedDefault::desired(state));
    assert!(risks.iter().all(|risk| !risk.says.is_empty() && !risk.says.contains(char::is_control)));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

#[test]
fn what_switching_on_would_break() {
    let disabled = || found("Disabled", "SYMMETRIC_DEFAULT");
    let (refused, old) = (("launches-fail", true), ("old-instance-types", false));
    let (key_use, sharing) = (("key-use", false), ("sharing", false));
    for (state, expected) in [
        (state(true, MANAGED, None, &[]), vec![]),
        (state(false, MANAGED, None, &[]), vec![sharing, old]),
        (state(false, OTHER, None, &[(OTHER, sound())]), vec![key_use, old]),
        (state(false, OTHER, None, &[(OTHER, disabled())]), vec![refused, key_use, old]),
        (state(false, OTHER, None, &[(OTHER, Seen::Missing)]), vec![refused, key_use, old]),
        // A wanted key that works replaces the one that does not.
        (state(false, OTHER, Some(WANTED), &[(OTHER, disabled()), (WANTED, sound())]), vec![key_use, old]),
        // One that does not work leaves what is there.
        (state(false, OTHER, Some(WANTED), &[(OTHER, disabled()), (WANTED, disabled())]), vec![refused, key_use, old]),
        (state(true, MANAGED, Some(WANTED), &[(WANTED, sound())]), vec![key_use]),
    ] {
        assert_eq!(risks(&state), expected, "{state:?}");
    }
}

#[test]
fn what_a_person_should_know() {
    let notes = |state: &State| UnencryptedDefault::notes(state).join("\n");
    assert_eq!(notes(&state(true, MANAGED, None, &[])), "");
    assert!(notes(&state(false, MANAGED, None, &[])).contains("stay as they are"));
    let unread = notes(&state(true, OTHER, None, &[(OTHER, Seen::Unreadable)]));
    assert!(unread.contains("kms:DescribeKey") && unread.contains("0ea3fef3-80a7-4778-9d8c-1c0c60000000"), "{unread}");
}

#[test]
fn an_undo_puts_the_very_defaults_back() {
    let after = |key: &str| state(true, key, Some(WANTED), &[(WANTED, sound())]);
    let managed_by_arn = "arn:aws:kms:us-east-1:111122223333:alias/aws/ebs";
    for (now, before, expected) in [
        (after(MANAGED), state(false, MANAGED, None, &[]), vec![Change::Disable]),
        (after(WANTED), state(true, OTHER, None, &[]), vec![set(WANTED, OTHER)]),
        (
            after(WANTED),
            state(false, MANAGED, None, &[]),
            vec![Change::ResetKey { from: WANTED.to_owned() }, Change::Disable],
        ),
        (after(WANTED), state(true, managed_by_arn, None, &[]), vec![Change::ResetKey { from: WANTED.to_owned() }]),
        (after(managed_by_arn), state(true, MANAGED, None, &[]), vec![]),
    ] {
        assert_eq!(UnencryptedDefault::changes(&now, &UnencryptedDefault::restored(&before)), expected, "{before:?}");
    }
}

fn seen() -> impl Strategy<Value = Seen> {
    let texts = |texts: &'static [&'static str]| proptest::sample::select(texts).prop_map(str::to_owned);
    prop_oneof![
        Just(Seen::Missing),
        Just(Seen::Unreadable),
        Just(sound()),
        (
            texts(&["Enabled", "Disabled", "PendingDeletion", ""]),
            texts(&["ENCRYPT_DECRYPT", "SIGN_VERIFY"]),
            texts(&["SYMMETRIC_DEFAULT", "RSA_2048"])
        )
            .prop_map(|(state, usage, spec)| Seen::Found { state, usage, spec }),
    ]
}

fn states() -> impl Strategy<Value = State> {
    let names = [MANAGED, WANTED, OTHER, "alias/phi", "0ea3fef3-80a7-4778-9d8c-1c0c60000000"];
    let name = proptest::sample::select(names.to_vec()).prop_map(str::to_owned);
    let wanted = proptest::sample::select(vec![None, Some(WANTED), Some(OTHER)]);
    (any::<bool>(), name.clone(), wanted, proptest::collection::btree_map(name, seen(), 0..4)).prop_map(
        |(encrypted, key, wanted, keys)| State {
            encrypted,
            key,
            wanted: wanted.map(|key| KeyArn::parse(key).unwrap()),
            keys,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<UnencryptedDefault>(&state);
    }

    /// Whatever there is: a fix never switches off, never resets, and sets no key that was not seen to work.
    #[test]
    fn a_fix_never_loosens(state in states()) {
        for change in fix(&state) {
            match change {
                Change::Enable => prop_assert!(!state.encrypted),
                Change::SetKey { from, to } => {
                    prop_assert_eq!(&from, &state.key);
                    prop_assert_eq!(Some(to.as_str()), state.wanted.as_ref().map(KeyArn::as_str));
                    prop_assert_eq!(state.keys.get(&to).map(|seen| (seen.flaw(), seen == &Seen::Unreadable)), Some((None, false)));
                }
                Change::Disable | Change::ResetKey { .. } => prop_assert!(false, "{:?}", change),
            }
        }
    }
}

#[test]
fn parameters() {
    let read = |json: serde_json::Value| serde_json::from_value::<Parameters>(json).map_err(|error| error.to_string());
    assert_eq!(read(json!({})).unwrap(), Parameters::default());
    let [setting] = UnencryptedDefault::ABOUT.settings else { panic!() };
    assert_eq!(read(json!({setting.field: setting.default})).unwrap(), Parameters::default());
    let set = read(json!({"ebs_keys": format!("us-east-1={WANTED}")})).unwrap();
    let region = |text| remediation::Region::parse(text).unwrap();
    assert_eq!(set.ebs_keys.of(&region("us-east-1")).map(KeyArn::as_str), Some(WANTED));
    assert_eq!(set.ebs_keys.of(&region("us-west-2")), None);
    for (bad, says) in [
        (json!({"ebs_key": ""}), "unknown field `ebs_key`"),
        (json!({"ebs_keys": format!("us-west-2={WANTED}")}), "a key serves its own region alone"),
        (json!({"ebs_keys": ["x"]}), "invalid type"),
    ] {
        let error = read(bad).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_json_of_states_and_changes_stays_what_old_records_hold() {
    let state = state(false, MANAGED, Some(WANTED), &[(WANTED, sound()), (OTHER, Seen::Missing)]);
    let expected = json!({
        "encrypted": false,
        "key": "alias/aws/ebs",
        "wanted": WANTED,
        "keys": {
            WANTED: {"found": {"state": "Enabled", "usage": "ENCRYPT_DECRYPT", "spec": "SYMMETRIC_DEFAULT"}},
            OTHER: "missing",
        },
    });
    assert_eq!(serde_json::to_value(&state).unwrap(), expected);
    for (change, expected) in [
        (Change::Enable, json!("enable")),
        (Change::Disable, json!("disable")),
        (set(MANAGED, WANTED), json!({"set-key": {"from": MANAGED, "to": WANTED}})),
        (Change::ResetKey { from: WANTED.to_owned() }, json!({"reset-key": {"from": WANTED}})),
    ] {
        assert_eq!(serde_json::to_value(change).unwrap(), expected);
    }
    assert!(serde_json::from_value::<State>(json!({"encrypted": false})).is_err(), "an undo must not guess the key");
}

#[test]
fn the_facts() {
    let about = UnencryptedDefault::ABOUT;
    assert_eq!(about.id, env!("CARGO_PKG_NAME"));
    let page = include_str!("lib.rs");
    let facts = about.config_rules.iter().chain(about.security_hub).map(|fact| (*fact).to_owned());
    for fact in facts.chain(about.citations.iter().map(|citation| citation.trim_start_matches("45 CFR ").to_owned())) {
        assert!(page.lines().any(|line| line.starts_with("//!") && line.contains(&fact)), "the page leaves out {fact}");
    }
}
