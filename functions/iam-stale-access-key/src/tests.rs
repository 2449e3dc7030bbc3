//! What the control knows, without any AWS.

use super::*;
use proptest::prelude::*;
use remediation::laws;
use time::Duration;

#[path = "event_tests.rs"]
mod events;

/// 2026-11-22, noon UTC.
const NOW: i64 = 1_795_348_800;

fn ago(days: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap() - Duration::days(days)
}

#[expect(clippy::unnecessary_wraps, reason = "as a key has it")]
fn used(days: i64) -> Option<Use> {
    Some(Use { at: ago(days), service: "s3".to_owned(), region: "us-east-1".to_owned() })
}

fn id(number: u8) -> AccessKeyId {
    AccessKeyId::parse(&format!("AKIAIOSFODNN{number}EXAMPLE")).unwrap()
}

fn alice() -> UserName {
    UserName::parse("alice").unwrap()
}

fn key(number: u8, created: i64, last_used: Option<Use>) -> Key {
    Key { id: Some(id(number)), active: true, created: ago(created), last_used, ours: false }
}

fn state(keys: &[Key]) -> State {
    State {
        owner: Owner::User(alice()),
        at: ago(0),
        limits: Limits { idle_days: 90, grace_days: 14, warn_days: 14, age_days: 0, rotation: Rotation::Soft },
        own_limit: None,
        break_glass: None,
        keys: keys.to_vec(),
    }
}

fn plan(state: &State) -> Vec<Change> {
    StaleAccessKey::changes(state, &StaleAccessKey::desired(state))
}

fn deactivated(state: &State) -> Vec<AccessKeyId> {
    plan(state)
        .into_iter()
        .map(|change| match change {
            Change::Deactivate { user, key, .. } if user == alice() => key,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn hindered_by(state: &State) -> Option<&'static str> {
    StaleAccessKey::hindrance(state).map(|hindrance| hindrance.id)
}

fn states() -> impl Strategy<Value = State> {
    let moment = || (0i64..500).prop_map(ago);
    let last_used = || proptest::option::of(moment().prop_map(|at| Use { at, ..used(0).unwrap() }));
    let key = |number: u8| {
        (any::<bool>(), moment(), last_used(), any::<bool>(), any::<bool>()).prop_map(
            move |(active, created, last_used, ours, named)| Key {
                id: named.then(|| id(number)),
                active,
                created,
                last_used,
                ours,
            },
        )
    };
    let limits = (1u16..400, 0u16..60, 0u16..60, 0u16..400, any::<bool>()).prop_map(
        |(idle_days, grace_days, warn_days, age_days, hard)| Limits {
            idle_days,
            grace_days,
            warn_days,
            age_days,
            rotation: if hard { Rotation::Hard } else { Rotation::Soft },
        },
    );
    let own =
        prop_oneof![Just(None), Just(Some(OwnLimit::Junk)), (1u16..999).prop_map(|days| Some(OwnLimit::Days(days)))];
    let mark = prop_oneof![3 => Just(None), 1 => Just(Some(Mark::Tag)), 1 => Just(Some(Mark::Name))];
    let owner = prop_oneof![4 => Just(Owner::User(alice())), 1 => Just(Owner::Root)];
    (owner, limits, own, mark, key(1), key(2), 0usize..=2).prop_map(
        |(owner, limits, own_limit, break_glass, one, two, count)| {
            let keys = [one, two].into_iter().take(count).collect();
            State { owner, limits, own_limit, break_glass, keys, ..state(&[]) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<StaleAccessKey>(&state);
    }

    #[test]
    fn a_fix_only_ever_deactivates_and_never_what_is_to_be_spared(state in states()) {
        let fixed = StaleAccessKey::desired(&state);
        for (before, after) in state.keys.iter().zip(&fixed.keys) {
            prop_assert!(before.active || !after.active, "a fix never switches on");
            if before.active && !after.active {
                prop_assert!(!before.ours && state.break_glass.is_none() && state.owner != Owner::Root && before.id.is_some());
            }
        }
        let switches_on = plan(&state).iter().any(|change| matches!(change, Change::Reactivate { .. }));
        prop_assert!(!switches_on);
    }

    #[test]
    fn two_keys_of_a_user_are_judged_alone(state in states()) {
        for key in &state.keys {
            let alone = State { keys: vec![key.clone()], ..state.clone() };
            let fixed = StaleAccessKey::desired(&alone);
            prop_assert!(StaleAccessKey::desired(&state).keys.contains(&fixed.keys[0]));
        }
    }

    #[test]
    fn an_undo_gives_back_what_the_fix_took_and_nothing_else(state in states()) {
        let fixed = StaleAccessKey::desired(&state);
        let back = StaleAccessKey::changes(&fixed, &StaleAccessKey::restored(&state));
        let expected: Vec<Change> = plan(&state)
            .into_iter()
            .filter_map(|change| match change {
                Change::Deactivate { user, key, .. } => Some(Change::Reactivate { user, key }),
                Change::Reactivate { .. } => None,
            })
            .collect();
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn whatever_ought_to_go_goes_or_is_told(state in states()) {
        let ill = |key: &&Key| matches!(state.verdict(key), Verdict::Deactivate(_) | Verdict::Replace);
        let ill = state.keys.iter().filter(ill).count();
        let told = StaleAccessKey::hindrance(&state).map_or(0, |h| h.says.matches(" was made on ").count());
        prop_assert_eq!(plan(&state).len() + told, ill);
    }
}

#[test]
fn of_two_keys_the_idle_one_goes() {
    let both = state(&[key(1, 400, used(200)), key(2, 30, used(0))]);
    assert_eq!(deactivated(&both), [id(1)]);
    assert_eq!(hindered_by(&both), None);
}

#[test]
fn both_keys_can_go_each_by_a_write_of_its_own() {
    let both = state(&[key(1, 400, used(200)), key(2, 300, None)]);
    assert_eq!(
        plan(&both),
        [(1, used(200)), (2, None)].map(|(number, last_used)| Change::Deactivate {
            user: alice(),
            key: id(number),
            because: Because::Idle { last_used },
        })
    );
}

#[test]
fn never_used_is_not_used_now() {
    // The rival takes a missing LastUsedDate for the present moment.
    assert_eq!(deactivated(&state(&[key(1, 91, None)])), [id(1)]);
}

#[test]
fn a_new_key_that_was_not_used_yet_is_left_alone() {
    let new = state(&[key(1, 0, None)]);
    assert_eq!(plan(&new), []);
    assert_eq!(StaleAccessKey::notes(&new), [] as [String; 0]);
}

#[test]
fn a_key_used_today_is_not_cut_for_its_age() {
    // The rival's rotation deactivates keys in use.
    let limits = |rotation| Limits { age_days: 90, rotation, ..state(&[]).limits };
    let old = |rotation| State { limits: limits(rotation), ..state(&[key(1, 1000, used(0))]) };
    assert_eq!(plan(&old(Rotation::Soft)), []);
    assert_eq!(hindered_by(&old(Rotation::Soft)), Some("key-in-use"));
    assert_eq!(
        plan(&old(Rotation::Hard)),
        [Change::Deactivate { user: alice(), key: id(1), because: Because::Old }],
        "if somebody asked for it"
    );
    let risks = StaleAccessKey::risks(&old(Rotation::Hard), &StaleAccessKey::desired(&old(Rotation::Hard)));
    assert_eq!(risks.iter().map(|risk| (risk.id, risk.refuses)).collect::<Vec<_>>(), [("key-in-use", false)]);
    assert!(risks[0].says.contains("s3"), "{}", risks[0].says);
}

#[test]
fn age_alone_is_not_idleness() {
    // Another rival's rule for unused keys looked at when they were made.
    assert_eq!(plan(&state(&[key(1, 3000, used(1))])), []);
    assert_eq!(hindered_by(&state(&[key(1, 3000, used(1))])), None, "max_age_days is 0 here");
}

#[test]
fn who_is_spared_and_by_what_name() {
    let stale = || state(&[key(1, 400, used(200))]);
    let own = State { keys: vec![Key { ours: true, ..key(1, 400, used(200)) }], ..state(&[]) };
    let root = State { owner: Owner::Root, keys: vec![Key { id: None, ..key(1, 400, None) }], ..state(&[]) };
    for (what, state, by) in [
        ("the key that signs our own calls", own, "own-key"),
        ("root's", root, "root-key"),
        ("by name", State { break_glass: Some(Mark::Name), ..stale() }, "break-glass"),
        ("by path", State { break_glass: Some(Mark::Path), ..stale() }, "break-glass"),
        ("by tag", State { break_glass: Some(Mark::Tag), ..stale() }, "break-glass"),
    ] {
        assert_eq!(plan(&state), [], "{what}");
        assert_eq!(hindered_by(&state), Some(by), "{what}");
        let says = StaleAccessKey::hindrance(&state).unwrap().says;
        assert!(says.contains("2025-10-18"), "{what}: since when: {says}");
    }
    let calm = State { break_glass: Some(Mark::Name), ..state(&[key(1, 400, used(1))]) };
    assert_eq!(hindered_by(&calm), None, "nothing to spare it from");
}

#[test]
fn a_warning_says_what_and_when() {
    let near = state(&[key(1, 400, used(80))]);
    assert_eq!(plan(&near), [], "compliant so far");
    let notes = StaleAccessKey::notes(&near);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains(id(1).as_str()) && notes[0].contains("deactivated on 2026-12-02"), "{notes:?}");
    let unused = StaleAccessKey::notes(&state(&[key(1, 20, None)]));
    assert!(unused[0].contains("never used") && unused[0].contains("2027-01-31"), "{unused:?}");
    let limits = Limits { age_days: 90, ..state(&[]).limits };
    let old = StaleAccessKey::notes(&State { limits, ..state(&[key(1, 80, used(0))]) });
    assert!(old[0].contains("reported") && !old[0].contains("deactivated"), "soft never cuts: {old:?}");
}

#[test]
fn what_the_tag_asks_for_is_told_where_it_is_not_what_holds() {
    let with = |own_limit, idle_days| {
        let limits = Limits { idle_days, ..state(&[]).limits };
        StaleAccessKey::notes(&State { limits, own_limit, ..state(&[]) })
    };
    assert_eq!(with(None, 90), [] as [String; 0]);
    assert_eq!(with(Some(OwnLimit::Days(120)), 120), [] as [String; 0]);
    assert!(with(Some(OwnLimit::Days(999)), 365)[0].contains("365"));
    assert!(with(Some(OwnLimit::Days(30)), 90)[0].contains("30 days"));
    assert!(with(Some(OwnLimit::Junk), 90)[0].contains("ignored"));
}

#[test]
fn an_inactive_key_is_compliant_and_at_most_worth_a_note() {
    let off = |created| state(&[Key { active: false, ..key(1, created, None) }]);
    for (created, notes) in [(1, 0), (100, 0), (181, 1)] {
        assert_eq!(plan(&off(created)), []);
        assert_eq!(StaleAccessKey::notes(&off(created)).len(), notes, "{created}");
    }
    assert!(StaleAccessKey::notes(&off(400))[0].contains("delete"));
}

#[test]
fn an_undo_leaves_alone_what_somebody_else_switched_off_since() {
    let before = state(&[key(1, 400, used(200)), key(2, 30, used(0))]);
    // The second key was switched off by an incident response meanwhile; a third one is new.
    let off = |key: Key| Key { active: false, ..key };
    let now = state(&[off(key(1, 400, used(200))), off(key(2, 30, used(0))), key(3, 1, None)]);
    let undo = StaleAccessKey::changes(&now, &StaleAccessKey::restored(&before));
    assert_eq!(undo, [Change::Reactivate { user: alice(), key: id(1) }]);
    // A key that was deleted since is still to be given back, and cannot be.
    let deleted = state(&[key(2, 30, used(0))]);
    let undo = StaleAccessKey::changes(&deleted, &StaleAccessKey::restored(&before));
    assert_eq!(undo, [Change::Reactivate { user: alice(), key: id(1) }]);
}

#[test]
fn an_undo_can_be_undone() {
    let off = state(&[Key { active: false, ..key(1, 400, used(200)) }, key(2, 30, used(0))]);
    let on = state(&[key(1, 400, used(0)), key(2, 30, used(0))]);
    let again = StaleAccessKey::changes(&on, &StaleAccessKey::restored(&off));
    assert_eq!(again, [Change::Deactivate { user: alice(), key: id(1), because: Because::Undone }]);
}

#[test]
fn a_record_shows_dates_that_people_can_read() {
    let json = serde_json::to_value(state(&[key(1, 400, used(200))])).unwrap();
    assert_eq!(json["at"], "2026-11-22T12:00:00Z");
    assert_eq!(json["keys"][0]["last_used"]["at"], "2026-05-06T12:00:00Z");
    let change = serde_json::to_value(plan(&state(&[key(1, 400, used(200))]))).unwrap();
    assert_eq!(change[0]["deactivate"]["because"]["idle"]["last_used"]["at"], "2026-05-06T12:00:00Z");
}

#[test]
fn a_record_with_what_is_no_key_is_no_state() {
    let mut json = serde_json::to_value(state(&[key(1, 400, None)])).unwrap();
    json["keys"][0]["id"] = "AKIA../../x".into();
    assert!(serde_json::from_value::<State>(json).is_err());
}

#[test]
fn targets_are_users_by_any_of_their_names() {
    for good in ["alice", "AIDAEXAMPLEEXAMPLE000", "AKIAIOSFODNN7EXAMPLE", "arn:aws:iam::111122223333:user/a/alice"] {
        assert!(StaleAccessKey::target(good).is_ok(), "{good}");
    }
    for bad in ["", "alice/../bob", "ASIAIOSFODNN7EXAMPLE", "arn:aws:iam::111122223333:role/x", "*"] {
        assert!(StaleAccessKey::target(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_day_later_it_is_the_same_plan_and_with_another_key_it_is_not() {
    let (lasting, stale) = (StaleAccessKey::lasting, || state(&[key(1, 400, used(200))]));
    let later = State { at: stale().at + Duration::DAY, ..stale() };
    assert_ne!(later, stale());
    assert_eq!(lasting(&later), lasting(&stale()));
    let other = State { keys: vec![key(2, 400, used(200))], ..stale() };
    assert_ne!(lasting(&other), lasting(&stale()));
}
