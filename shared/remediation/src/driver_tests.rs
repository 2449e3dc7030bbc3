//! The driver against a cloud that misbehaves. Time is tokio's, paused: no test waits for real.

use super::*;
use crate::settings::Mode;
use crate::toy::{
    Call, Door, Doors, House, OPEN, SHUT, Step, THEIRS, Turn, account, conflict, denied, manual, now, region, request,
    run, throttled, within,
};
use serde_json::json;
use triggers::Cause;

#[path = "driver_properties.rs"]
mod properties;

const WRITES: [Turn; 2] = [Turn::Shut(true), Turn::Bolts(2)];

async fn enforce(house: &House) -> Record {
    run(house, &request(), Mode::Enforce).await
}

fn scripted(script: impl IntoIterator<Item = Step>) -> House {
    House::new(OPEN, script)
}

fn repeat(step: &Step, times: usize) -> impl Iterator<Item = Step> + use<> {
    std::iter::repeat_n(step.clone(), times)
}

#[tokio::test(start_paused = true)]
async fn compliant_is_one_read() {
    let house = House::new(SHUT, []);
    let record = enforce(&house).await;
    assert_eq!(record.outcome, Outcome::Compliant);
    assert_eq!(house.calls(), [Call::Observe]);
    assert_eq!((&record.before, &record.after), (&Some(json!(SHUT)), &Some(json!(SHUT))));
    assert!(record.changes.is_empty() && record.undo.is_empty() && !record.retry);
}

#[tokio::test(start_paused = true)]
async fn a_plan_lists_the_writes_and_makes_none() {
    let house = scripted([]);
    let record = run(&house, &request(), Mode::Plan).await;
    assert_eq!((record.outcome, record.mode), (Outcome::Planned, Mode::Plan));
    assert_eq!(house.calls(), [Call::Observe]);
    assert_eq!(record.changes, [json!({"shut": true}), json!({"bolts": 2})]);
    assert_eq!(record.undo, [json!({"shut": false}), json!({"bolts": 0})]);
    assert_eq!((&record.before, &record.after), (&Some(json!(OPEN)), &Some(json!(SHUT))));
    assert_eq!(record.breaks.iter().map(|risk| risk.id).collect::<Vec<_>>(), ["no-draught"]);
    assert_eq!(record.why, "2 writes to make, with 1 thing that would break; nothing was written, the mode is plan");
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_a_guard_and_does_not_stop_at_it() {
    let house = House::new(Door { blocked: true, ..OPEN }, []);
    let record = run(&house, &request(), Mode::Plan).await;
    assert_eq!(record.outcome, Outcome::Planned);
    assert!(record.breaks.iter().any(|risk| risk.id == "blocked" && risk.refuses));
}

#[tokio::test(start_paused = true)]
async fn fixed_is_read_back_and_seen() {
    let house = scripted([]);
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.why.as_str()), (Outcome::Fixed, "read back and seen"));
    assert_eq!(
        house.calls(),
        [Call::Observe, Call::Apply(WRITES[0].clone()), Call::Apply(WRITES[1].clone()), Call::Observe]
    );
    assert_eq!(house.door(), Some(SHUT));
    assert_eq!(record.after, Some(json!(SHUT)));
    assert!(record.remaining.is_empty() && !record.retry);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_gone() {
    let house = House::with(None, []);
    let record = run(&house, &manual(Order::Fix(None), &[]), Mode::Enforce).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Gone, false));
    assert_eq!(house.calls(), [Call::Observe]);
}

#[tokio::test(start_paused = true)]
async fn account_and_region_are_refused_before_anything_is_read() {
    let mut other_account = request();
    other_account.place.account = account(THEIRS);
    let mut other_region = request();
    other_region.place.region = region("ap-south-1");
    for (request, gate) in [(other_account, "account"), (other_region, "region")] {
        let house = scripted([]);
        let record = run(&house, &request, Mode::Enforce).await;
        assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some(gate)));
        assert!(house.calls().is_empty() && !record.retry, "{gate}");
    }
}

#[tokio::test(start_paused = true)]
async fn enforcing_by_hand_where_only_plans_are_made_needs_an_override() {
    let house = scripted([]);
    let record = run(&house, &manual(Order::Fix(Some(Mode::Enforce)), &[]), Mode::Plan).await;
    assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("mode")));
    assert!(house.writes().is_empty());
    assert!(record.why.contains(r#""override": ["mode"]"#), "{}", record.why);

    let record = run(&house, &manual(Order::Fix(Some(Mode::Enforce)), &["mode"]), Mode::Plan).await;
    assert_eq!((record.outcome, record.mode), (Outcome::Fixed, Mode::Enforce));
    assert_eq!(record.overrides, ["mode"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_by_hand_writes_nothing_where_fixes_are_made() {
    let house = scripted([]);
    let record = run(&house, &manual(Order::Fix(Some(Mode::Plan)), &["mode"]), Mode::Enforce).await;
    assert_eq!((record.outcome, record.mode), (Outcome::Planned, Mode::Plan));
    assert!(house.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_guard_refuses_unless_it_is_named() {
    let door = Door { blocked: true, ..OPEN };
    for wrong in [request(), manual(Order::Fix(Some(Mode::Enforce)), &["mode", "no-draught"])] {
        let house = House::new(door.clone(), []);
        let record = run(&house, &wrong, Mode::Enforce).await;
        assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("blocked")));
        assert_eq!(house.door(), Some(door.clone()));
        assert!(house.writes().is_empty());
        assert!(record.why.contains(r#""override": ["blocked"]"#), "{}", record.why);
    }
    let house = House::new(door, []);
    let record = run(&house, &manual(Order::Fix(Some(Mode::Enforce)), &["blocked"]), Mode::Enforce).await;
    assert_eq!(record.outcome, Outcome::Fixed);
}

#[tokio::test(start_paused = true)]
async fn a_resource_elsewhere_is_followed_into_a_region_of_ours() {
    let house = scripted([]).in_region("eu-west-1");
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.resource.region.as_str()), (Outcome::Fixed, "eu-west-1"));
    assert_eq!((house.reads(), house.writes().len()), (3, 2));

    let house = scripted([]).in_region("ap-south-1");
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("region")));
    assert_eq!(record.resource.region, "ap-south-1");
    assert_eq!(house.calls(), [Call::Observe]);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_in_no_region_is_not_hunted() {
    let away = |to| Step::Fails(Fault::Elsewhere(region(to)));
    let house = scripted([away("us-east-1"), away("eu-west-1"), away("us-east-1")]);
    let record = enforce(&house).await;
    assert_eq!((record.outcome, house.reads()), (Outcome::Failed, 2));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_at_once_and_then_given_up() {
    let script = |times| std::iter::once(Step::Fine).chain(repeat(&Step::Fails(conflict()), times));
    let house = scripted(script(CONFLICT.len()));
    assert_eq!(enforce(&house).await.outcome, Outcome::Fixed);
    assert_eq!(house.writes().len(), CONFLICT.len() + 2);

    let house = scripted(script(CONFLICT.len() + 1));
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Failed, true));
    assert_eq!(house.writes(), vec![Turn::Shut(true); CONFLICT.len() + 1]);
    assert_eq!((house.door(), &record.after), (Some(OPEN), &Some(json!(OPEN))));
    assert!(record.undo.is_empty() && record.remaining.len() == 2);
}

#[tokio::test(start_paused = true)]
async fn throttled_at_each_call_in_turn() {
    let throttle = || Step::Fails(throttled());
    let cases = [
        // The first read.
        (0, Outcome::Failed, 0, OPEN),
        // The first write.
        (1, Outcome::Failed, 1, OPEN),
        // The second write: half of it is done.
        (2, Outcome::PartlyFixed, 2, Door { bolts: 0, ..SHUT }),
    ];
    for (at, outcome, writes, door) in cases {
        let house = scripted(repeat(&Step::Fine, at).chain([throttle()]));
        let record = enforce(&house).await;
        assert_eq!((record.outcome, record.retry), (outcome, true), "call {at}: {}", record.why);
        assert_eq!((house.writes().len(), house.door()), (writes, Some(door)), "call {at}");
        assert!(record.why.contains("throttled"), "{}", record.why);
    }
    // The reading-back: looked at again.
    let house = scripted(repeat(&Step::Fine, 3).chain([throttle()]));
    assert_eq!((enforce(&house).await.outcome, house.reads()), (Outcome::Fixed, 3));
    // The reading-back, for ever.
    let house = scripted(repeat(&Step::Fine, 3).chain(repeat(&throttle(), 99)));
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Unverified, true));
    assert_eq!((record.after, record.undo.len()), (Some(json!(SHUT)), 2), "what was meant, and the way back");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_seen_all_the_same() {
    let house = scripted([Step::Fine, Step::Fine, Step::Lost]);
    let record = enforce(&house).await;
    assert_eq!((record.outcome, house.door()), (Outcome::Fixed, Some(SHUT)));
    assert!(record.why.contains("no answer in time") && record.why.contains("read back and seen"), "{}", record.why);
}

/// Only the answer is gone; the old state that is read may be stale, so nobody can say that nothing was done.
#[tokio::test(start_paused = true)]
async fn a_lost_write_that_stays_unseen_is_unverified() {
    let house = scripted([Step::Fine, Step::Lost].into_iter().chain(repeat(&Step::Stale, READ_BACK.len())));
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Unverified, true));
    assert!(record.why.contains("no answer in time"), "{}", record.why);
    assert!(!record.undo.is_empty() && record.after == Some(json!(SHUT)), "it can be undone: {record:?}");
    // What AWS says it did not do was not done.
    let house = scripted([Step::Fine, Step::Fails(throttled())]);
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry, record.undo.len()), (Outcome::Failed, true, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stale_reading_back_is_waited_for() {
    for times in [1, 4, READ_BACK.len() - 1] {
        let house = scripted(repeat(&Step::Fine, 3).chain(repeat(&Step::Stale, times)));
        let record = enforce(&house).await;
        assert_eq!((record.outcome, house.reads()), (Outcome::Fixed, times + 2), "{times}");
        assert_eq!(record.after, Some(json!(SHUT)));
        assert_eq!(record.undo.len(), 2, "{times}: the way back");
        assert!(record.remaining.is_empty(), "{times}: nothing remains of what is fixed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reading_back_that_stays_stale_is_unverified_and_can_be_undone() {
    let house = scripted(repeat(&Step::Fine, 3).chain(repeat(&Step::Stale, READ_BACK.len())));
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Unverified, true));
    assert_eq!((&record.after, record.undo.len()), (&Some(json!(SHUT)), 2));
    // The write shows at last, and nobody else was there: an undo of this record is in order.
    let undone = run(&house, &manual(undo_of(&record), &[]), Mode::Plan).await;
    assert_eq!((undone.outcome, house.door()), (Outcome::Undone, Some(OPEN)), "{}", undone.why);
}

#[tokio::test(start_paused = true)]
async fn a_refused_second_write_behind_a_stale_reading_does_not_hide_the_first() {
    for fault in [denied(DeniedBy::OurRole), denied(DeniedBy::Organization), Fault::GiveUp("no".to_owned())] {
        let house = scripted([Step::Fine, Step::Fine, Step::Fails(fault)].into_iter().chain(repeat(&Step::Stale, 99)));
        let record = enforce(&house).await;
        assert_eq!((record.outcome, record.retry), (Outcome::Unverified, true), "{}", record.why);
        assert!(record.why.starts_with("1 of 2 writes made; then: "), "{}", record.why);
        // One stale reading is not the last word either.
        let house = scripted([Step::Fine, Step::Fine, Step::Fails(denied(DeniedBy::OurRole)), Step::Stale]);
        let record = enforce(&house).await;
        assert_eq!((record.outcome, record.retry), (Outcome::PartlyFixed, false), "{}", record.why);
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_else_changes_it_too() {
    let theirs = Door { shut: true, bolts: 1, ..OPEN };
    let house = scripted(repeat(&Step::Fine, 3).chain([Step::Meanwhile(Some(theirs.clone()))]));
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry), (Outcome::PartlyFixed, false));
    assert!(record.why.contains("somebody changes it too"), "{}", record.why);
    assert_eq!(record.after, Some(json!(theirs)));
    assert_eq!(record.remaining, [json!({"bolts": 2})]);
    assert_eq!(record.undo, [json!({"shut": false}), json!({"bolts": 0})]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_puts_right_is_not_called_our_fix() {
    let script = [Step::Fine, Step::Fails(denied(DeniedBy::OurRole)), Step::Meanwhile(Some(Door { bolts: 3, ..SHUT }))];
    let house = scripted(script);
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Compliant, false), "{}", record.why);
    assert!(record.changes.is_empty() && record.breaks.is_empty());
    assert!(record.undo.is_empty() && record.remaining.is_empty());
    assert!(record.why.contains("somebody else") && record.why.contains("doors:Put"), "{}", record.why);
}

#[tokio::test(start_paused = true)]
async fn a_denied_write_names_its_action_and_who_can_help() {
    for (by, outcome, hint) in [
        (DeniedBy::Organization, Outcome::BlockedByOrganization, "organization"),
        (DeniedBy::OurRole, Outcome::Failed, "add the action to the role"),
        (DeniedBy::ResourcePolicy, Outcome::Failed, "own policy"),
    ] {
        let house = scripted([Step::Fine, Step::Fails(denied(by))]);
        let record = enforce(&house).await;
        assert_eq!((record.outcome, record.retry), (outcome, false));
        assert!(record.why.contains("doors:Put on door front") && record.why.contains(hint), "{}", record.why);
        assert_eq!((house.writes().len(), house.reads(), &record.after), (1, 2, &Some(json!(OPEN))));
        assert!(record.undo.is_empty(), "nothing was done, so there is nothing to undo");
    }
    let house = scripted([Step::Fails(denied(DeniedBy::OurRole))]);
    assert_eq!((enforce(&house).await.outcome, house.calls().len()), (Outcome::Failed, 1));
}

#[tokio::test(start_paused = true)]
async fn deleted_half_way_is_gone() {
    for at in 1..=3 {
        let house = scripted(repeat(&Step::Fine, at).chain([Step::Meanwhile(None)]));
        let record = enforce(&house).await;
        assert_eq!((record.outcome, record.retry), (Outcome::Gone, false), "call {at}");
        assert_eq!((&record.after, record.undo.len()), (&None, 0), "call {at}: there is nothing left");
        assert_eq!(record.before, Some(json!(OPEN)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_write_fails() {
    let house = scripted([Step::Fine, Step::Fine, Step::Fails(denied(DeniedBy::Organization))]);
    let record = enforce(&house).await;
    assert_eq!((record.outcome, record.retry), (Outcome::PartlyFixed, false));
    assert!(record.why.starts_with("1 of 2 writes made; then: doors:Put"), "{}", record.why);
    assert_eq!((record.remaining, record.undo), (vec![json!({"bolts": 2})], vec![json!({"shut": false})]));
}

fn announcing(age: Duration) -> Request<Doors> {
    let mut request = request();
    request.announces_drift = true;
    if let Some(cause) = &mut request.cause {
        cause.at = Some(now() - age);
    }
    request
}

#[tokio::test(start_paused = true)]
async fn a_stale_first_look_after_a_fresh_announcement_is_not_believed() {
    for looks in 1..=SECOND_LOOK.len() {
        let house = House::new(SHUT, repeat(&Step::Fine, looks).chain([Step::Meanwhile(Some(OPEN))]));
        let record = run(&house, &announcing(Duration::from_secs(3)), Mode::Enforce).await;
        assert_eq!((record.outcome, house.door()), (Outcome::Fixed, Some(SHUT)), "{looks}");
    }
    // It stays so: then it is so.
    let house = House::new(SHUT, []);
    let record = run(&house, &announcing(Duration::from_secs(3)), Mode::Enforce).await;
    assert_eq!((record.outcome, house.reads()), (Outcome::Compliant, 1 + SECOND_LOOK.len()));
}

#[tokio::test(start_paused = true)]
async fn an_old_event_or_one_that_announces_nothing_costs_one_read() {
    let mut timeless = announcing(Duration::ZERO);
    timeless.cause.as_mut().unwrap().at = None;
    for request in [announcing(SETTLED), announcing(Duration::from_hours(24)), timeless, request()] {
        let house = House::new(SHUT, []);
        assert_eq!(run(&house, &request, Mode::Enforce).await.outcome, Outcome::Compliant);
        assert_eq!(house.reads(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_hangs_past_the_deadline() {
    let deadline = Duration::from_secs(10);
    for at in 0..4 {
        let house = scripted(repeat(&Step::Fine, at).chain(repeat(&Step::Hangs, 99)));
        let began = Instant::now();
        let record = within(&house, &request(), Mode::Enforce, deadline).await;
        assert!(began.elapsed() <= deadline + Duration::from_millis(10), "call {at}: {:?}", began.elapsed());
        let expected = if at < 2 { [Outcome::Failed, Outcome::Unverified] } else { [Outcome::Unverified; 2] };
        assert!(expected.contains(&record.outcome) && record.retry, "call {at}: {:?}", record.outcome);
    }
    // The announcement's second looks and the patience for a stale reading end there, too.
    let house = House::new(SHUT, []);
    let began = Instant::now();
    within(&house, &announcing(Duration::ZERO), Mode::Enforce, Duration::from_millis(900)).await;
    assert!(began.elapsed() <= Duration::from_millis(900));
    let house = scripted(repeat(&Step::Fine, 3).chain(repeat(&Step::Stale, 99)));
    let began = Instant::now();
    assert_eq!(within(&house, &request(), Mode::Enforce, deadline).await.outcome, Outcome::Unverified);
    assert!(began.elapsed() <= deadline);
}

#[tokio::test(start_paused = true)]
async fn no_write_is_begun_without_the_time_to_read_it_back() {
    for left in [0, 3, 300, 1000] {
        let house = scripted([]);
        let record = within(&house, &request(), Mode::Enforce, Duration::from_millis(left)).await;
        assert_eq!((record.outcome, record.retry), (Outcome::Failed, true), "{left} ms: {}", record.why);
        assert!(house.writes().is_empty() && house.reads() <= 1, "{left} ms");
    }
    let house = scripted([]);
    assert_eq!(within(&house, &request(), Mode::Enforce, Duration::ZERO).await.took_ms, 0);
    assert!(house.calls().is_empty());
}

/// The order to undo a record, by way of the JSON that a person has of it.
fn undo_of(record: &Record) -> Order {
    let json = serde_json::to_string(record).unwrap();
    Order::Undo(Box::new(serde_json::from_str(&json).unwrap()))
}

#[path = "undo_tests.rs"]
mod undo;

fn moved() -> Fault {
    Fault::Moved("the door is not as it was".to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_between_look_and_write_is_planned_for_afresh() {
    // The first write finds the door otherwise than it was read; by then somebody has shut it, with one bolt.
    let theirs = Door { shut: true, bolts: 1, ..OPEN };
    let house = House::new(OPEN, [Step::Fine, Step::Fails(moved()), Step::Meanwhile(Some(theirs.clone()))]);
    let record = run(&house, &request(), Mode::Enforce).await;
    assert_eq!((record.outcome, house.door()), (Outcome::Fixed, Some(SHUT)));
    assert_eq!(house.writes(), [Turn::Shut(true), Turn::Bolts(2)]);
    // The record speaks of the door that was changed, and an undo leads back to it.
    assert_eq!(record.before, Some(value(&theirs)));
    assert_eq!(record.changes, [value(&Turn::Bolts(2))]);
    assert_eq!(record.undo, [value(&Turn::Bolts(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_change_after_the_first_write_keeps_what_was_written_in_the_record() {
    let house = House::new(OPEN, [Step::Fine, Step::Fine, Step::Fails(moved())]);
    let record = run(&house, &request(), Mode::Enforce).await;
    assert_eq!((record.outcome, house.door()), (Outcome::Fixed, Some(SHUT)));
    assert_eq!(house.writes(), [Turn::Shut(true), Turn::Bolts(2), Turn::Bolts(2)]);
    assert_eq!((record.before, record.changes.len()), (Some(value(&OPEN)), 2));
}

#[tokio::test(start_paused = true)]
async fn somebody_who_mended_it_meanwhile_leaves_nothing_to_do() {
    let house = House::new(OPEN, [Step::Fine, Step::Fails(moved()), Step::Meanwhile(Some(SHUT))]);
    let record = run(&house, &request(), Mode::Enforce).await;
    assert_eq!((record.outcome, record.changes.len()), (Outcome::Compliant, 0));
    let house = House::new(OPEN, [Step::Fine, Step::Fails(moved()), Step::Meanwhile(None)]);
    assert_eq!(run(&house, &request(), Mode::Enforce).await.outcome, Outcome::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_never_stands_still_is_given_up_for_now() {
    let script = (0..20).flat_map(|_| [Step::Fine, Step::Fails(moved())]);
    let house = House::new(OPEN, script);
    let record = run(&house, &request(), Mode::Enforce).await;
    assert_eq!((record.outcome, record.retry, house.writes().len()), (Outcome::Failed, true, 3));
    assert_eq!(house.door(), Some(OPEN));
    assert!(record.undo.is_empty(), "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_mended_is_said_and_no_override_helps() {
    let holed = Door { holed: true, ..SHUT };
    for request in [request(), manual(Order::Fix(Some(Mode::Enforce)), &["holed"])] {
        let house = House::new(holed.clone(), []);
        let record = run(&house, &request, Mode::Enforce).await;
        assert_eq!((record.outcome, record.refused_by.as_deref()), (Outcome::Refused, Some("holed")));
        assert!(record.why.contains("joiner") && house.writes().is_empty());
    }
    // What can be mended is, and the rest is not forgotten.
    let house = House::new(Door { holed: true, ..OPEN }, []);
    let record = run(&house, &request(), Mode::Enforce).await;
    assert_eq!((record.outcome, house.door()), (Outcome::PartlyFixed, Some(holed.clone())));
    assert!(record.why.contains("joiner"), "{}", record.why);
    let plan = run(&House::new(Door { holed: true, ..OPEN }, []), &request(), Mode::Plan).await;
    assert_eq!((plan.outcome, plan.notes.len()), (Outcome::Planned, 1));
}

#[tokio::test(start_paused = true)]
async fn notes_are_there_whether_or_not_anything_is_written() {
    for (door, mode) in [(SHUT, Mode::Enforce), (OPEN, Mode::Plan)] {
        let house = House::new(Door { blocked: true, ..door }, []);
        assert_eq!(run(&house, &request(), mode).await.notes, ["somebody stands in it"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_whether_it_could_be_carried_out() {
    let rehearsed = |script: Vec<Step>| House::new(OPEN, script).that_rehearses();
    let house = rehearsed(vec![]);
    let record = run(&house, &request(), Mode::Plan).await;
    assert_eq!((record.outcome, house.writes().len(), house.calls().len()), (Outcome::Planned, 0, 3));
    assert!(record.why.contains("AWS says that we may"), "{}", record.why);
    let house = rehearsed(vec![Step::Fine, Step::Fails(denied(DeniedBy::OurRole))]);
    let record = run(&house, &request(), Mode::Plan).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Planned, false));
    assert!(record.why.contains("doors:Put on door front was denied"), "{}", record.why);
    // Where AWS cannot be asked, nothing is said.
    let record = run(&House::new(OPEN, []), &request(), Mode::Plan).await;
    assert!(!record.why.contains("AWS"), "{}", record.why);
    // A fix does not ask first: the write itself is the question.
    assert_eq!(rehearsed(vec![]).calls().len(), 0);
    let house = rehearsed(vec![]);
    assert_eq!(run(&house, &request(), Mode::Enforce).await.outcome, Outcome::Fixed);
    assert!(!house.calls().iter().any(|call| matches!(call, Call::Rehearse(_))));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_was_made_a_moment_ago_is_looked_for_again() {
    let house = House::with(None, [Step::Fine, Step::Fine, Step::Meanwhile(Some(OPEN))]);
    let record = run(&house, &request(), Mode::Enforce).await;
    assert_eq!((record.outcome, house.door()), (Outcome::Fixed, Some(SHUT)));
    // One that an old event speaks of, or a person, is gone.
    let old = Cause { at: Some(now() - time::Duration::minutes(5)), ..request().cause.unwrap() };
    for request in [Request { cause: Some(old), ..request() }, manual(Order::Fix(None), &[])] {
        let house = House::with(None, []);
        assert_eq!(run(&house, &request, Mode::Enforce).await.outcome, Outcome::Gone);
        assert_eq!(house.reads(), 1);
    }
}
