//! What the control knows, without any AWS.

use super::*;
use proptest::prelude::*;
use remediation::laws;

fn key(number: u8) -> AccessKeyId {
    AccessKeyId::parse(&format!("AKIAIOSFODNN{number}EXAMPLE")).unwrap()
}

fn found() -> Found {
    Found {
        key: key(7),
        user: UserName::parse("alice").unwrap(),
        active: true,
        ours: false,
        last_used: serde_json::from_str(r#"{"at": "2026-11-22T11:00:00Z", "service": "s3", "region": "us-east-1"}"#)
            .unwrap(),
        others: vec![],
        besides: Some(Besides { quarantine: Some(vec![]), password: Some(false) }),
    }
}

fn session() -> State {
    State::Session { key: AccessKeyId::parse("ASIAIOSFODNN7EXAMPLE").unwrap() }
}

fn states() -> impl Strategy<Value = State> {
    let besides = (proptest::option::of(any::<bool>()), proptest::option::of(any::<bool>())).prop_map(
        |(quarantine, password)| Besides {
            quarantine: quarantine
                .map(|there| if there { vec!["AWSCompromisedKeyQuarantineV3".to_owned()] } else { vec![] }),
            password,
        },
    );
    let user = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(besides)).prop_map(
        |(active, ours, used, other, besides)| {
            let last_used = found().last_used.filter(|_| used);
            let others = if other { vec![key(8)] } else { vec![] };
            State::User(Found { active, ours, last_used, others, besides, ..found() })
        },
    );
    prop_oneof![8 => user, 1 => Just(session()), 1 => Just(State::Nobodys { key: key(7) })]
}

proptest! {
    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<ExposedAccessKey>(&state);
    }

    #[test]
    fn whatever_its_use_an_active_key_goes_unless_it_is_our_own(state in states()) {
        let changes = ExposedAccessKey::changes(&state, &ExposedAccessKey::desired(&state));
        let goes = matches!(&state, State::User(found) if found.active && !found.ours);
        let write = Change::Deactivate { user: found().user, key: key(7) };
        prop_assert_eq!(changes, if goes { vec![write] } else { vec![] });
        let risks = ExposedAccessKey::risks(&state, &ExposedAccessKey::desired(&state));
        prop_assert!(risks.iter().all(|risk| !risk.refuses), "nothing stands in the way of an incident");
        prop_assert_eq!(risks.len(), usize::from(goes));
    }

    #[test]
    fn what_does_not_go_is_inactive_or_refused_with_what_to_do(state in states()) {
        let inactive = matches!(&state, State::User(found) if !found.active);
        let goes = ExposedAccessKey::desired(&state) != state;
        prop_assert_eq!(ExposedAccessKey::hindrance(&state).is_some(), !inactive && !goes);
    }
}

#[test]
fn the_refusals_say_what_to_do_instead() {
    for (state, id, says) in [
        (State::User(Found { ours: true, ..found() }), "own-key", "aws iam update-access-key --user-name alice"),
        (session(), "session-key", "aws:TokenIssueTime"),
        (State::Nobodys { key: key(7) }, "not-a-users-key", "get-access-key-info"),
    ] {
        let hindrance = ExposedAccessKey::hindrance(&state).unwrap();
        assert_eq!(hindrance.id, id);
        assert!(hindrance.says.contains(says), "{}", hindrance.says);
    }
}

#[test]
fn a_responder_is_told_what_else_to_do() {
    let notes = |found: Found| ExposedAccessKey::notes(&State::User(found)).join("\n");
    let calm = notes(found());
    for says in ["aws:TokenIssueTime", "CloudTrail", "quarantine policy is not attached"] {
        assert!(calm.contains(says), "{calm}");
    }
    for (found, says) in [
        (Found { others: vec![key(8)], ..found() }, key(8).to_string()),
        (Found { active: false, ..found() }, "hands it back to whoever found it".to_owned()),
        (
            with(Some(vec!["AWSCompromisedKeyQuarantineV3".to_owned()]), None),
            "AWSCompromisedKeyQuarantineV3 is attached".to_owned(),
        ),
        (
            with(None, None),
            "could not be read: look yourself, and see that our role has iam:ListAttachedUserPolicies".to_owned(),
        ),
        (
            with(None, None),
            "could not be read: look yourself, and see that our role has iam:GetLoginProfile".to_owned(),
        ),
        (with(None, Some(true)), "which still works".to_owned()),
    ] {
        assert!(!calm.contains(&says), "{says}");
        assert!(notes(found).contains(&says), "{says}");
    }
}

fn with(quarantine: Option<Vec<String>>, password: Option<bool>) -> Found {
    Found { besides: Some(Besides { quarantine, password }), ..found() }
}

#[test]
fn an_undo_reactivates_that_key_and_no_other() {
    let off = |key| State::User(Found { key, active: false, besides: None, ..found() });
    let before = State::User(found());
    let back = Change::Reactivate { user: found().user, key: key(7) };
    assert_eq!(
        ExposedAccessKey::changes(&off(key(7)), &ExposedAccessKey::restored(&before)),
        std::slice::from_ref(&back)
    );
    assert_eq!(ExposedAccessKey::changes(&off(key(8)), &ExposedAccessKey::restored(&before)), []);
    // Deleted since: it is still to be given back, and cannot be.
    let gone = State::Nobodys { key: key(7) };
    assert_eq!(ExposedAccessKey::changes(&gone, &before), [back]);
    assert_eq!(ExposedAccessKey::changes(&gone, &off(key(7))), []);
    assert_eq!(ExposedAccessKey::changes(&State::Nobodys { key: key(8) }, &before), []);
}

#[test]
fn targets_are_key_ids_and_nothing_else() {
    for good in ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"] {
        assert!(ExposedAccessKey::target(good).is_ok(), "{good}");
    }
    for bad in
        ["", "*", "alice", "AIDAEXAMPLEEXAMPLE000", "GeneratedFindingAccessKeyId", "AKIA****************", "{{key}}"]
    {
        assert!(ExposedAccessKey::target(bad).is_err(), "{bad}");
    }
}

#[test]
fn no_schedule_starts_it_and_nothing_is_listed() {
    assert_eq!(ExposedAccessKey::ABOUT.sweeps, None);
    assert_eq!(ExposedAccessKey::ABOUT.lists_with, [] as [&str; 0]);
    assert_eq!(ExposedAccessKey::ABOUT.safety, Safety::Incident);
}
