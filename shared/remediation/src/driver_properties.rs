//! What the driver never does, whatever the cloud does.

use super::*;
use crate::control::Hindrance;
use crate::control::{About, Safety};
use crate::laws;
use crate::toy::{Name, doors};
use proptest::prelude::*;

fn doors() -> impl Strategy<Value = Door> {
    (any::<bool>(), 0..5_u8, any::<bool>()).prop_map(|(shut, bolts, blocked)| Door {
        shut,
        bolts,
        blocked,
        holed: false,
    })
}

fn steps(others: bool) -> impl Strategy<Value = Step> {
    let meanwhile = proptest::option::weighted(0.8, doors()).prop_map(Step::Meanwhile);
    let alone = prop_oneof![
        8 => Just(Step::Fine),
        1 => Just(Step::Fails(throttled())),
        1 => Just(Step::Fails(conflict())),
        1 => Just(Step::Fails(denied(DeniedBy::OurRole))),
        1 => Just(Step::Fails(denied(DeniedBy::Organization))),
        1 => Just(Step::Fails(Fault::GiveUp("refused".to_owned()))),
        1 => Just(Step::Fails(Fault::Gone)),
        1 => Just(Step::Fails(Fault::Elsewhere(region("eu-west-1")))),
        3 => Just(Step::Lost),
        1 => Just(Step::Hangs),
    ];
    // A stale reading that hides what somebody else just did cannot be told from the truth, so it is one or the other.
    let also = if others { meanwhile.boxed() } else { Just(Step::Stale).boxed() };
    prop_oneof![6 => alone, 1 => also]
}

fn drive_it(house: &House, request: &Request<Doors>, mode: Mode, time: Duration) -> Record {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(within(house, request, mode, time))
}

fn requests() -> impl Strategy<Value = Request<Doors>> {
    let by_hand = |mode| move |risk: bool| manual(Order::Fix(Some(mode)), if risk { &["blocked"] } else { &[] });
    prop_oneof![
        Just(request()),
        Just(announcing(Duration::ZERO)),
        any::<bool>().prop_map(by_hand(Mode::Enforce)),
        any::<bool>().prop_map(by_hand(Mode::Plan)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    /// Faults of every kind, nobody else about.
    #[test]
    fn the_outcome_is_the_truth(
        door in doors(),
        script in proptest::collection::vec(steps(false), 0..14),
        request in requests(),
        seconds in 0..40_u64,
    ) {
        let house = House::new(door.clone(), script);
        let record = drive_it(&house, &request, Mode::Enforce, Duration::from_secs(seconds));
        let now = house.door().unwrap();
        let desired = Doors::desired(&now) == now;
        match record.outcome {
            Outcome::Fixed => {
                prop_assert!(desired && now != door, "{record:?}");
                prop_assert_eq!(&record.after, &Some(value(&now)));
                prop_assert!(record.remaining.is_empty());
                prop_assert_eq!(&record.undo, &Doors::changes(&now, &door).iter().map(value).collect::<Vec<_>>());
            }
            Outcome::Compliant => prop_assert!(house.writes().is_empty() && desired, "{record:?}"),
            Outcome::Planned | Outcome::Refused => prop_assert!(house.writes().is_empty(), "{record:?}"),
            Outcome::PartlyFixed => prop_assert!(now != door && !record.undo.is_empty(), "{record:?}"),
            _ => {}
        }
        if now != door {
            let told = matches!(
                record.outcome,
                Outcome::Fixed | Outcome::PartlyFixed | Outcome::Unverified | Outcome::Gone
            );
            prop_assert!(told || record.retry, "a write is hidden: {record:?}");
        }
        if let Order::Fix(Some(Mode::Plan)) = request.order {
            prop_assert!(house.writes().is_empty());
        }
        if door.blocked && !door.shut && request.overrides.is_empty() {
            prop_assert!(house.writes().is_empty(), "the guard was passed: {record:?}");
        }
        // What could not be known is said only with a retry.
        if record.outcome == Outcome::Unverified {
            prop_assert!(record.retry);
        }
    }

    /// The same, with somebody else at the door.
    #[test]
    fn with_others_about(
        door in doors(),
        script in proptest::collection::vec(steps(true), 0..14),
        request in requests(),
    ) {
        let house = House::new(door, script);
        let record = drive_it(&house, &request, Mode::Enforce, Duration::from_mins(1));
        if matches!(record.outcome, Outcome::Compliant | Outcome::Planned | Outcome::Refused) {
            let refused = record.why.contains("our write was refused");
            prop_assert!(house.writes().is_empty() || refused, "{record:?}");
        }
        if matches!(record.outcome, Outcome::Fixed) {
            let after = house.door().unwrap();
            prop_assert_eq!(Doors::desired(&after), after);
        }
    }

    #[test]
    fn a_plan_deployment_never_writes_for_an_event(
        door in doors(),
        script in proptest::collection::vec(steps(true), 0..14),
        announces in any::<bool>(),
    ) {
        let house = House::with(Some(door), script);
        let request = if announces { announcing(Duration::ZERO) } else { request() };
        drive_it(&house, &request, Mode::Plan, Duration::from_mins(1));
        prop_assert!(house.writes().is_empty());
    }

    #[test]
    fn a_fix_is_undone_from_its_json(door in doors()) {
        // Nothing is done to a door that is shut, and where nothing was done nothing is undone.
        let door = Door { shut: false, ..door };
        let house = House::new(door.clone(), []);
        let fix = manual(Order::Fix(Some(Mode::Enforce)), &["blocked"]);
        let record = drive_it(&house, &fix, Mode::Enforce, Duration::from_mins(1));
        prop_assert_eq!(record.outcome, Outcome::Fixed);
        let undone = drive_it(&house, &manual(undo_of(&record), &[]), Mode::Plan, Duration::from_mins(1));
        prop_assert_eq!(undone.outcome, Outcome::Undone);
        prop_assert_eq!(house.door(), Some(door));
    }

    #[test]
    fn the_toy_keeps_the_laws(door in doors()) {
        laws::check::<Doors>(&door);
    }
}

/// What a broken control gets wrong.
#[derive(Clone, Copy)]
struct Broken<const LAW: u8>;

impl<const LAW: u8> Control for Broken<LAW> {
    const ABOUT: About = About { id: "broken", ..Doors::ABOUT };
    type Target = Name;
    type Parameters = ();
    type State = Door;
    type Change = Turn;
    fn target(name: &str) -> Result<Name, String> {
        Doors::target(name)
    }
    fn desired(door: &Door) -> Door {
        match LAW {
            1 => Door { bolts: door.bolts.saturating_add(1), ..Doors::desired(door) },
            _ => Doors::desired(door),
        }
    }
    fn changes(from: &Door, to: &Door) -> Vec<Turn> {
        let changes = Doors::changes(from, to);
        match LAW {
            2 if from == to => vec![Turn::Shut(to.shut)],
            // Forgets the bolts: drift without a change.
            3 => changes.into_iter().filter(|turn| matches!(turn, Turn::Shut(_))).collect(),
            4 if !to.shut => vec![],
            _ => changes,
        }
    }
    fn hindrance(door: &Door) -> Option<Hindrance> {
        // Shutting it mends the hole, which it said it would not.
        (LAW == 5 && !door.shut).then(|| Hindrance { id: "holed", says: String::new() })
    }
}

/// A control whose state loses something on its way through JSON: an undo would put back what never was.
struct Forgetful;

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Lossy {
    shut: bool,
    #[serde(skip)]
    bolts: u8,
}

impl Control for Forgetful {
    const ABOUT: About = About { id: "forgetful", ..Doors::ABOUT };
    type Target = Name;
    type Parameters = ();
    type State = Lossy;
    type Change = Turn;
    fn target(name: &str) -> Result<Name, String> {
        Doors::target(name)
    }
    fn desired(door: &Lossy) -> Lossy {
        Lossy { shut: true, ..door.clone() }
    }
    fn changes(from: &Lossy, to: &Lossy) -> Vec<Turn> {
        (from.shut != to.shut).then_some(Turn::Shut(to.shut)).into_iter().collect()
    }
}

#[test]
fn a_broken_control_is_found_out() {
    fn complaint<C: Control>(state: &C::State) -> String {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| laws::check::<C>(state)));
        let panic = caught.expect_err("the laws let it pass");
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    }
    let bolts_only = Door { shut: true, ..OPEN };
    for (complaint, says) in [
        (complaint::<Broken<1>>(&OPEN), "broken: fixing twice"),
        (complaint::<Broken<2>>(&SHUT), "broken: there is a change from a state to itself"),
        (complaint::<Broken<3>>(&bolts_only), "broken: drift without a change"),
        (complaint::<Broken<4>>(&OPEN), "broken: the fix cannot be undone"),
        (complaint::<Broken<5>>(&OPEN), "broken: a fix changes what it must not mend"),
        (complaint::<Forgetful>(&Lossy { shut: false, bolts: 3 }), "forgetful: the state does not survive"),
    ] {
        assert!(complaint.contains(says), "{complaint}");
    }
    laws::check::<Broken<0>>(&OPEN);
    laws::check::<Doors>(&Door { holed: true, ..OPEN });
}

/// A control whose writes are final.
struct Final;

doors!(Final, About { id: "final", safety: Safety::Irreversible, ..Doors::ABOUT });

#[test]
fn what_cannot_be_taken_back_never_runs_unattended() {
    let of = |order| crate::toy::of::<Final>(Request { order, ..request() });
    let settings = crate::toy::settings(Mode::Enforce);
    assert_eq!(gate::mode(&of(Order::Fix(None)), &settings, None), Ok(Mode::Approve));
    assert_eq!(gate::mode(&of(Order::Fix(Some(Mode::Enforce))), &settings, None), Ok(Mode::Enforce));
}
