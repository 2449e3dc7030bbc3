//! The ledger in memory: what its conditions keep apart.

use super::*;
use crate::approval::{Approval, ApprovalState};
use crate::deployment::Posture;
use crate::deployment::Stop;
use crate::faulty::{Act, Call, Faulty, Turn};
use crate::memory::Memory;
use crate::outcome::Mode;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::json;
use triggers::ids::{AccountId, Region};

const HOUR: Duration = Duration::from_hours(1);

/// So many seconds after a beginning: 2026-01-15T10:00:00Z.
fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_768_471_200 + seconds).unwrap()
}

fn text(time: OffsetDateTime) -> String {
    time.format(&time::format_description::well_known::Rfc3339).unwrap()
}

fn spot() -> Spot {
    Spot {
        control: "s3-public-bucket".to_owned(),
        account: AccountId::parse("111122223333").unwrap(),
        region: Some(Region::parse("us-east-1").unwrap()),
        resource_type: "AWS::S3::Bucket".to_owned(),
        resource: "clinic-scans".to_owned(),
    }
}

fn record(id: &str, seconds: i64, outcome: &str) -> Value {
    json!({"id": id, "began": text(at(seconds)), "outcome": outcome})
}

fn both() -> (Rc<Memory>, Ledger) {
    let memory = Rc::new(Memory::default());
    (Rc::clone(&memory), Ledger::new(memory))
}

/// An answer over memory: it waits for nothing.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().unwrap()
}

fn look(ledger: &Ledger) -> Look {
    now(ledger.look(&spot())).unwrap()
}

fn intend(ledger: &Ledger, look: &Look, id: &str, seconds: i64) -> Result<Held, Refusal> {
    now(ledger.intend(look, &record(id, seconds, "unverified"), None, Vec::new(), at(seconds)))
}

fn finish(ledger: &Ledger, held: Held, id: &str, seconds: i64) -> Result<(), Trouble> {
    now(ledger.finish(held, &record(id, seconds, "fixed"), Some(Some("alice".to_owned())), HOUR, at(seconds)))
}

fn keys(memory: &Memory) -> Vec<String> {
    memory.items().into_iter().map(|item| format!("{}|{}|{}", item.key.pk, item.key.sk, item.version)).collect()
}

const RESOURCE: &str = "resource#111122223333#us-east-1#AWS::S3::Bucket#clinic-scans";

#[test]
fn an_intent_is_lease_and_record_in_one() {
    let (memory, ledger) = both();
    let held = intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    assert_eq!(held.until, at(60));
    assert_eq!(
        keys(&memory),
        [
            format!("{RESOURCE}|record#2026-01-15T10:00:00.000000Z#r-1|1"),
            format!("{RESOURCE}|standing#s3-public-bucket|1")
        ]
    );
    let standing = look(&ledger).standing;
    assert_eq!(standing.lease, Some(Lease { holder: "r-1".to_owned(), until: at(60) }));
    assert!(standing.taken(at(59)).is_some() && standing.taken(at(60)).is_none());
}

#[test]
fn of_two_intents_for_one_look_one_is_made() {
    let (memory, ledger) = both();
    let (first, second) = (look(&ledger), look(&ledger));
    intend(&ledger, &first, "r-1", 0).unwrap();
    let before = keys(&memory);
    assert_eq!(intend(&ledger, &second, "r-2", 0).unwrap_err(), Refusal::Taken);
    assert_eq!(keys(&memory), before);
}

#[test]
fn a_lease_in_force_is_not_taken_by_whoever_saw_it() {
    let (memory, ledger) = both();
    intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    let before = keys(&memory);
    let seen = look(&ledger);
    assert_eq!(intend(&ledger, &seen, "r-2", 59).unwrap_err(), Refusal::Taken);
    assert_eq!(keys(&memory), before);
    intend(&ledger, &seen, "r-2", 60).unwrap();
}

#[test]
fn an_intent_counts_and_none_is_made_past_the_budget() {
    let (memory, ledger) = both();
    let budget = |add| Some(Budget { add, per_hour: 5 });
    let hour = Key::new("budget#s3-public-bucket", "hour#2026-01-15T10");
    let open = |id, add, seconds| {
        let record = record(id, seconds, "unverified");
        let held = now(ledger.intend(&look(&ledger), &record, budget(add), Vec::new(), at(seconds)))?;
        now(ledger.finish(held, &record, None, HOUR, at(seconds))).unwrap();
        Ok(())
    };
    assert_eq!(open("r-1", 3, 0), Ok(()));
    assert_eq!(memory.count(&hour), 3);
    let before = keys(&memory);
    assert_eq!(open("r-2", 3, 1), Err(Refusal::Spent));
    assert_eq!((keys(&memory), memory.count(&hour)), (before, 3));
    assert_eq!(open("r-3", 2, 2), Ok(()));
    assert_eq!(open("r-4", 1, 3), Err(Refusal::Spent));
    assert_eq!(memory.count(&hour), 5);
    // The next hour has its own.
    assert_eq!(open("r-5", 5, 3_600), Ok(()));
    assert_eq!(memory.count(&Key::new("budget#s3-public-bucket", "hour#2026-01-15T11")), 5);
}

#[test]
fn of_an_intent_and_what_goes_with_it_all_or_none_is_written() {
    let (memory, ledger) = both();
    let approval = approval("a-1", 100);
    now(ledger.store().write(&[Ledger::approval_write(&approval, 0)])).unwrap();
    let before = keys(&memory);
    let budget = Some(Budget { add: 1, per_hour: 5 });
    let record = record("r-1", 0, "unverified");
    // Somebody else decided on it meanwhile: its version is another.
    let also = vec![Ledger::approval_write(&approval, 1)];
    now(ledger.reject("a-1", "bob", at(1))).unwrap();
    let seen = look(&ledger);
    assert_eq!(now(ledger.intend(&seen, &record, budget, also.clone(), at(2))).unwrap_err(), Refusal::Also);
    assert_eq!(now(ledger.intend(&seen, &record, None, also, at(2))).unwrap_err(), Refusal::Also);
    assert_eq!(memory.count(&Key::new("budget#s3-public-bucket", "hour#2026-01-15T10")), 0);
    assert_eq!(keys(&memory).len(), before.len());
    assert!(now(ledger.intend(&seen, &record, budget, vec![Ledger::approval_write(&approval, 2)], at(2))).is_ok());
}

#[test]
fn a_result_takes_the_place_of_the_intent_and_gives_the_lease_back() {
    let (memory, ledger) = both();
    let held = intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    finish(&ledger, held, "r-1", 0).unwrap();
    let after = look(&ledger);
    assert_eq!((after.standing.lease.clone(), after.standing.unfinished.clone(), after.version), (None, None, 2));
    assert_eq!(now(ledger.record("r-1")).unwrap().unwrap()["outcome"], "fixed");
    assert_eq!(keys(&memory).len(), 2);
    // Nobody has to wait for the lease's end.
    intend(&ledger, &after, "r-2", 1).unwrap();
}

#[test]
fn returns_are_kept_for_the_window_and_only_where_something_was_brought_back() {
    let (_, ledger) = both();
    for (id, seconds, by, expected) in [
        ("r-1", 0, Some(Some("alice")), "r-1"),
        ("r-2", 1_800, Some(None), "r-1 r-2"),
        ("r-3", 2_000, None, "r-1 r-2"),
        ("r-4", 3_600, Some(Some("bob")), "r-2 r-4"),
        ("r-5", 5_401, None, "r-4"),
    ] {
        let held = intend(&ledger, &look(&ledger), id, seconds).unwrap();
        let by = by.map(|by| by.map(str::to_owned));
        now(ledger.finish(held, &record(id, seconds, "fixed"), by, HOUR, at(seconds))).unwrap();
        let returns: Vec<String> = look(&ledger).standing.returns.into_iter().map(|each| each.record).collect();
        assert_eq!(returns.join(" "), expected, "after {id}");
    }
    let standing = look(&ledger).standing;
    assert_eq!(standing.returns[0].by.as_deref(), Some("bob"));
    assert_eq!((standing.returns_since(at(3_599)).count(), standing.returns_since(at(3_600)).count()), (1, 0));
}

#[test]
fn another_plan_under_the_same_lease() {
    let (memory, ledger) = both();
    let held = intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    let stale = held.clone();
    let budget = Some(Budget { add: 1, per_hour: 1 });
    let held = now(ledger.intend_again(&held, &record("r-1", 0, "unverified"), budget, at(30))).unwrap();
    assert_eq!((held.until, look(&ledger).standing.lease.unwrap().until), (at(90), at(90)));
    let before = keys(&memory);
    let again = now(ledger.intend_again(&held, &record("r-1", 0, "unverified"), budget, at(31)));
    assert_eq!(again.unwrap_err(), Refusal::Spent);
    assert!(matches!(finish(&ledger, stale, "r-1", 0), Err(Trouble::Conflict(_))));
    assert_eq!(keys(&memory), before);
    finish(&ledger, held, "r-1", 0).unwrap();
}

#[test]
fn what_a_dead_holder_left_is_found_once_its_lease_has_ended_and_closed_once() {
    let (_, ledger) = both();
    let held = intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    let seen = look(&ledger);
    assert_eq!(now(ledger.unfinished(&seen, at(59))).unwrap(), None);
    let left = now(ledger.unfinished(&seen, at(60))).unwrap().unwrap();
    assert_eq!((left.body["id"].as_str(), left.version), (Some("r-1"), 1));
    let after = now(ledger.close(&seen, &left, &record("r-1", 0, "unverified"), at(100))).unwrap();
    assert_eq!((after.version, &after.standing), (2, &look(&ledger).standing));
    assert_eq!((after.standing.lease.clone(), after.standing.unfinished.clone()), (None, None));
    assert_eq!(now(ledger.unfinished(&after, at(61))).unwrap(), None);
    // Neither a second one who saw the same nor the dead one, back to life, changes it again.
    assert_eq!(now(ledger.close(&seen, &left, &record("r-1", 0, "fixed"), at(100))).unwrap_err(), Trouble::Conflict(0));
    assert_eq!(finish(&ledger, held, "r-1", 0), Err(Trouble::Conflict(0)));
    assert_eq!(now(ledger.record("r-1")).unwrap().unwrap()["outcome"], "unverified");
    // What close gives is what the next intent goes by.
    intend(&ledger, &after, "r-2", 61).unwrap();
}

#[test]
fn whoever_lost_the_lease_takes_nothing_from_the_next() {
    let (_, ledger) = both();
    let dead = intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    intend(&ledger, &look(&ledger), "r-2", 60).unwrap();
    let before = look(&ledger);
    assert_eq!(finish(&ledger, dead.clone(), "r-1", 61), Err(Trouble::Conflict(0)));
    let again = now(ledger.intend_again(&dead, &record("r-1", 0, "unverified"), None, at(61)));
    assert_eq!(again.unwrap_err(), Refusal::Taken);
    let after = look(&ledger);
    assert_eq!((after.standing, after.version), (before.standing, before.version));
    assert_eq!(now(ledger.record("r-1")).unwrap().unwrap()["outcome"], "unverified");
}

#[test]
fn a_request_that_is_delivered_again_finds_what_its_first_try_left() {
    let (_, ledger) = both();
    intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    let seen = look(&ledger);
    // Lambda may deliver it twice at once: the same request, and not dead.
    assert_eq!(now(ledger.unfinished(&seen, at(59))).unwrap(), None);
    assert_eq!(intend(&ledger, &seen, "r-1", 59).unwrap_err(), Refusal::Taken);
    let left = now(ledger.unfinished(&seen, at(60))).unwrap().unwrap();
    let after = now(ledger.close(&seen, &left, &record("r-1", 0, "failed"), at(100))).unwrap();
    let held = intend(&ledger, &after, "r-1", 61).unwrap();
    assert_eq!(now(ledger.record("r-1")).unwrap().unwrap()["began"], text(at(61)));
    finish(&ledger, held, "r-1", 61).unwrap();
    // Of two records with one id, the one that wrote something.
    let noted = now(ledger.note(&look(&ledger), &record("r-1", 9, "refused"), &"a", &"a", Vec::new(), at(9)));
    assert_eq!(noted, Ok(Noted::New));
    assert_eq!(now(ledger.record("r-1")).unwrap().unwrap()["outcome"], "fixed");
}

#[test]
fn what_was_said_is_not_said_again_for_days() {
    let (memory, ledger) = both();
    let day = 24 * 3_600;
    let note = |id, seconds, says: &str| {
        now(ledger.note(&look(&ledger), &record(id, seconds, "planned"), &says, &says, Vec::new(), at(seconds)))
    };
    assert_eq!(note("r-1", 0, "a"), Ok(Noted::New));
    assert_eq!(note("r-2", 1, "a"), Ok(Noted::Known));
    assert_eq!(note("r-3", 7 * day - 1, "a"), Ok(Noted::Known));
    assert_eq!(keys(&memory).len(), 2);
    assert_eq!(note("r-4", 7 * day, "a"), Ok(Noted::New));
    assert_eq!(note("r-5", 7 * day + 1, "b"), Ok(Noted::New));
    assert_eq!(note("r-6", 7 * day + 2, "a"), Ok(Noted::New));
    // After a write, whatever is said is news.
    let held = intend(&ledger, &look(&ledger), "r-7", 7 * day + 3).unwrap();
    finish(&ledger, held, "r-7", 7 * day + 3).unwrap();
    assert_eq!(note("r-8", 7 * day + 4, "a"), Ok(Noted::New));
}

#[test]
fn a_note_keeps_the_lease_that_somebody_took_meanwhile() {
    let (memory, ledger) = both();
    let seen = look(&ledger);
    let held = intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    let lease = look(&ledger).standing.lease;
    let noted = now(ledger.note(&seen, &record("r-2", 1, "refused"), &"a", &"a", Vec::new(), at(1)));
    assert_eq!(noted, Ok(Noted::New));
    let after = look(&ledger).standing;
    assert_eq!((after.lease, after.unfinished.is_some(), after.last.is_some()), (lease, true, true));
    assert!(keys(&memory).iter().any(|key| key.contains("#r-2|")));
    // The holder's version has moved on, its lease has not.
    assert_eq!(finish(&ledger, held, "r-1", 2), Ok(()));
    let after = look(&ledger).standing;
    assert_eq!((after.lease, after.unfinished, after.last, after.returns.len()), (None, None, None, 1));
}

#[test]
fn two_who_say_the_same_at_once_say_it_once() {
    let (memory, ledger) = both();
    let (one, other) = (look(&ledger), look(&ledger));
    let note = |look, id| now(ledger.note(look, &record(id, 0, "refused"), &"a", &"a", Vec::new(), at(0)));
    assert_eq!(note(&one, "r-1"), Ok(Noted::New));
    assert_eq!(note(&other, "r-2"), Ok(Noted::Known));
    assert!(!keys(&memory).iter().any(|key| key.contains("#r-2|")));
}

#[test]
fn a_note_whose_answer_was_lost_is_not_made_twice() {
    let faulty = Rc::new(Faulty::new(Memory::default(), |number, _| if number == 2 { Act::Lose } else { Act::Go }));
    let ledger = Ledger::new(Rc::clone(&faulty) as Rc<dyn Store>);
    let seen = look(&ledger);
    let note = || now(ledger.note(&seen, &record("r-1", 0, "refused"), &"a", &"a", Vec::new(), at(0)));
    assert!(matches!(note(), Err(Refusal::Trouble(Trouble::Away { perhaps: true, .. }))));
    assert_eq!(note(), Ok(Noted::Known));
    assert_eq!(faulty.inner().items().len(), 2);
}

#[test]
fn a_budget_is_reached_once_an_hour() {
    let (_, ledger) = both();
    let reached = |control, seconds| now(ledger.reached(control, at(seconds)));
    assert_eq!(reached("a", 0), Ok(true));
    assert_eq!(reached("a", 3_599), Ok(false));
    assert_eq!(reached("b", 3_599), Ok(true));
    assert_eq!(reached("a", 3_600), Ok(true));
}

#[tokio::test]
async fn all_who_change_the_settings_at_once_have_their_change() {
    // Everybody reads before anybody writes.
    let faulty = Faulty::new(Memory::default(), |_, call| Turn {
        yields: usize::from(matches!(call, Call::Write(_))) * 3,
        act: Act::Go,
    });
    let ledger = Ledger::new(Rc::new(faulty));
    let changes = (0..8).map(|number| {
        let ledger = ledger.clone();
        async move {
            let control = format!("control-{number}");
            ledger
                .change("alice", at(number), |posture| {
                    posture.modes.insert(control.clone(), Mode::Enforce);
                })
                .await
        }
    });
    for changed in join_all(changes).await {
        changed.unwrap();
    }
    let deployment = ledger.deployment().await.unwrap();
    assert_eq!((deployment.posture.modes.len(), deployment.version), (8, 8));
}

#[tokio::test(start_paused = true)]
async fn settings_are_remembered_for_seconds_where_many_are_looked_at() {
    let memory = Rc::new(Memory::default());
    let (here, elsewhere) = (Ledger::new(Rc::clone(&memory) as Rc<dyn Store>), Ledger::new(memory));
    let stopped = async |ledger: &Ledger| ledger.look_again(&spot()).await.unwrap().deployment.posture.stop.is_some();
    let stop = |posture: &mut Posture| {
        posture.stop = Some(Stop { by: "alice".to_owned(), reason: "CHG-1".to_owned(), at: at(0) });
    };
    assert!(!stopped(&here).await);
    elsewhere.change("alice", at(0), stop).await.unwrap();
    tokio::time::advance(Duration::from_millis(4_999)).await;
    assert!(!stopped(&here).await);
    // What is decided about one resource never goes by what is remembered.
    assert!(here.look(&spot()).await.unwrap().deployment.posture.stop.is_some());
    here.change("alice", at(0), |posture| posture.stop = None).await.unwrap();
    assert!(!stopped(&here).await);
    elsewhere.change("alice", at(0), stop).await.unwrap();
    tokio::time::advance(REMEMBERED).await;
    assert!(stopped(&here).await);
}

#[tokio::test]
async fn what_was_exempted_here_is_known_here_at_once() {
    // A look is under way while the exemption is written.
    let faulty = Faulty::new(Memory::default(), |_, call| Turn {
        yields: usize::from(matches!(call, Call::Write(_))) * 3,
        act: Act::Go,
    });
    let ledger = Ledger::new(Rc::new(faulty));
    let exemption = exemption("e-1");
    let (exempted, _) = tokio::join!(ledger.exempt(&exemption, 0), ledger.recent_deployment());
    exempted.unwrap();
    assert_eq!(ledger.recent_deployment().await.unwrap().exemptions.len(), 1);
    let (unexempted, _) = tokio::join!(ledger.unexempt("e-1", 1), ledger.recent_deployment());
    unexempted.unwrap();
    assert_eq!(ledger.recent_deployment().await.unwrap().exemptions.len(), 0);
}

#[test]
fn settings_that_are_not_understood_are_trouble_and_no_defaults() {
    let good = json!({"modes": {"s3-public-bucket": "enforce"}, "tags_exempt": false});
    let exempt = serde_json::to_value(exemption("e-1")).unwrap();
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        value[name] = new;
        value
    };
    for (case, sk, body, sound) in [
        ("settings", SETTINGS, good.clone(), true),
        ("no field at all", SETTINGS, json!({}), true),
        ("an unknown field", SETTINGS, with(&good, "halt", json!(true)), false),
        ("an unknown mode", SETTINGS, with(&good, "mode", json!("yolo")), false),
        ("a stop without a reason", SETTINGS, with(&good, "stop", json!({"by": "alice", "at": text(at(0))})), false),
        (
            "a stop that says more",
            SETTINGS,
            with(&good, "stop", json!({"by": "a", "reason": "b", "at": text(at(0)), "of": "x"})),
            false,
        ),
        ("no settings", SETTINGS, json!("enforce"), false),
        ("null", SETTINGS, Value::Null, false),
        ("an exemption", "exemption#e-1", exempt.clone(), true),
        ("an exemption that says more", "exemption#e-1", with(&exempt, "until_state", json!("x")), false),
        ("an exemption without an end", "exemption#e-1", with(&exempt, "expires", json!("never")), false),
    ] {
        let (_, ledger) = both();
        let item = Item { key: Key::new("deployment", sk), version: 1, body, id: None, day: None, expires: None };
        now(ledger.store().write(&[Write::Put(item)])).unwrap();
        let answers = [
            now(ledger.look(&spot())).map(drop),
            now(ledger.look_again(&spot())).map(drop),
            now(ledger.change("alice", at(0), |_| ())).map(drop),
        ];
        for answer in answers {
            assert_eq!(answer.is_ok(), sound, "{case}: {answer:?}");
            let Err(trouble) = answer else { continue };
            assert!(
                trouble.to_string().contains("not in a form that this version knows") && !trouble.is_worth_a_retry()
            );
        }
    }
}

#[test]
fn a_ledger_of_a_newer_suture_is_read_and_not_written() {
    let (memory, ledger) = both();
    let record = record("r-1", 0, "unverified");
    intend(&ledger, &look(&ledger), "r-1", 0).unwrap();
    for (format, known) in [(json!({"format": 1}), true), (json!({"format": 2}), false), (json!("2"), false)] {
        let key = Key::new("deployment", FORMAT);
        let version = now(ledger.store().get(&key)).unwrap().map_or(1, |item| item.version + 1);
        let item = Item { key, version, body: format, id: None, day: None, expires: None };
        now(ledger.store().write(&[Write::Put(item)])).unwrap();
        let before = memory.items();
        let answers = [
            now(ledger.look(&spot())).map(drop),
            now(ledger.deployment()).map(drop),
            now(ledger.change("alice", at(0), |_| ())).map(drop),
            now(ledger.exempt(&exemption("e-1"), 0)),
            now(ledger.reject("3f9a1c0d2e4b", "alice", at(0))).map(drop),
        ];
        for answer in answers {
            assert_eq!(answer.is_ok(), known, "{answer:?}");
            let Err(trouble) = answer else { continue };
            assert!(trouble.to_string().contains("written by a newer suture") && !trouble.is_worth_a_retry());
        }
        if !known {
            assert_eq!(memory.items(), before);
            assert_eq!(now(ledger.history(&spot(), 9)).unwrap(), std::slice::from_ref(&record));
        }
    }
}

#[test]
fn a_standing_that_is_not_understood_is_trouble() {
    let (_, ledger) = both();
    let item = Item {
        key: spot().standing(),
        version: 1,
        body: json!({"lease": {"holder": 1}}),
        id: None,
        day: None,
        expires: None,
    };
    now(ledger.store().write(&[Write::Put(item)])).unwrap();
    assert!(!now(ledger.look(&spot())).unwrap_err().is_worth_a_retry());
}

#[test]
fn trouble_of_the_store_is_told_as_it_is() {
    for trouble in [Trouble::passing("slow down"), Trouble::lasting("no table")] {
        let told = trouble.clone();
        let faulty = Faulty::new(Memory::default(), move |number, _| match number {
            0 | 1 => Act::Go,
            _ => Act::Fail(told.clone()),
        });
        let ledger = Ledger::new(Rc::new(faulty));
        let seen = look(&ledger);
        assert_eq!(intend(&ledger, &seen, "r-1", 0).unwrap_err(), Refusal::Trouble(trouble.clone()));
        let note = now(ledger.note(&seen, &record("r-1", 0, "refused"), &"a", &"a", Vec::new(), at(0)));
        assert_eq!(note, Err(Refusal::Trouble(trouble.clone())));
        assert_eq!(now(ledger.look(&spot())).unwrap_err(), trouble);
        assert_eq!(now(ledger.reached("a", at(0))), Err(trouble.clone()));
        assert_eq!(now(ledger.change("alice", at(0), |_| ())), Err(trouble.clone()));
        assert_eq!(now(ledger.record("r-1")), Err(trouble));
    }
}

fn approval(id: &str, expires: i64) -> Approval {
    Approval {
        id: id.to_owned(),
        digest: "d".to_owned(),
        control: "s3-public-bucket".to_owned(),
        resource: "clinic-scans".to_owned(),
        account: spot().account,
        region: Region::parse("us-east-1").unwrap(),
        record: json!({}),
        function: None,
        made_at: at(0),
        expires: at(expires),
        state: ApprovalState::Open,
        by: None,
        decided_at: None,
    }
}

#[test]
fn a_plan_is_decided_once() {
    let (memory, ledger) = both();
    let waits = approval("a-1", 100);
    assert!(waits.is_open(at(99)) && !waits.is_open(at(100)));
    now(ledger.store().write(&[Ledger::approval_write(&waits, 0)])).unwrap();
    assert_eq!(now(ledger.approval("a-1")).unwrap(), Some((waits.clone(), 1)));
    let rejected = now(ledger.reject("a-1", "bob", at(5))).unwrap().unwrap();
    assert_eq!((rejected.state, rejected.by.as_deref()), (ApprovalState::Rejected, Some("bob")));
    assert_eq!(now(ledger.reject("a-1", "carol", at(6))).unwrap(), Some(rejected.clone()));
    assert_eq!(now(ledger.reject("a-2", "carol", at(6))).unwrap(), None);
    assert_eq!(now(ledger.approvals()).unwrap(), [rejected]);
    assert_eq!(memory.items()[0].version, 2);
    // Whoever saw it open cannot approve it any more.
    let approved = Approval { state: ApprovalState::Approved, ..waits };
    assert_eq!(now(ledger.store().write(&[Ledger::approval_write(&approved, 1)])), Err(Trouble::Conflict(0)));
}

#[test]
fn the_same_plan_has_the_same_id() {
    let digest = |before: Value, changes: &[Value]| Approval::digest_of(&spot(), Some(&before), changes);
    let same = digest(json!({"a": 1, "b": 2}), &[json!({"put": 1})]);
    assert_eq!(same, digest(json!({"b": 2, "a": 1}), &[json!({"put": 1})]));
    assert_eq!((same.len(), Approval::id_of(&same).len()), (64, 12));
    let elsewhere = Spot { account: AccountId::parse("444455556666").unwrap(), ..spot() };
    let other = Spot { control: "s3-public-acl".to_owned(), ..spot() };
    for different in [
        digest(json!({"a": 1, "b": 3}), &[json!({"put": 1})]),
        digest(json!({"a": 1, "b": 2}), &[json!({"put": 2})]),
        digest(json!({"a": 1, "b": 2}), &[]),
        Approval::digest_of(&elsewhere, Some(&json!({"a": 1, "b": 2})), &[json!({"put": 1})]),
        Approval::digest_of(&other, Some(&json!({"a": 1, "b": 2})), &[json!({"put": 1})]),
        Approval::digest_of(&spot(), None, &[json!({"put": 1})]),
    ] {
        assert_ne!(different, same);
    }
}

fn exemption(id: &str) -> Exemption {
    Exemption {
        id: id.to_owned(),
        control: None,
        account: None,
        resource: Some("clinic-*".to_owned()),
        tag: None,
        owner: "alice@clinic.example".to_owned(),
        reason: "CHG-1".to_owned(),
        expires: at(100),
        made_at: at(0),
        made_by: None,
        undo: None,
        ended: false,
    }
}

#[test]
fn exemptions_come_and_go() {
    let (_, ledger) = both();
    let all = || now(ledger.deployment()).unwrap().exemptions.clone();
    now(ledger.exempt(&exemption("e-2"), 0)).unwrap();
    now(ledger.exempt(&exemption("e-1"), 0)).unwrap();
    assert_eq!(all(), [(exemption("e-1"), 1), (exemption("e-2"), 1)]);
    assert_eq!(now(ledger.exempt(&exemption("e-1"), 0)), Err(Trouble::Conflict(0)));
    let ended = Exemption { ended: true, ..exemption("e-1") };
    now(ledger.exempt(&ended, 1)).unwrap();
    assert_eq!(now(ledger.unexempt("e-1", 1)), Err(Trouble::Conflict(0)));
    assert_eq!(all(), [(ended, 2), (exemption("e-2"), 1)]);
    now(ledger.unexempt("e-1", 2)).unwrap();
    assert_eq!(all(), [(exemption("e-2"), 1)]);
    assert_eq!(now(ledger.unexempt("e-1", 2)), Err(Trouble::Conflict(0)));
}

#[test]
fn a_history_a_record_and_a_day() {
    let (_, ledger) = both();
    let day = 24 * 3_600;
    for (id, seconds) in [("r-2", 10), ("r-1", 5), ("r-3", day)] {
        let held = intend(&ledger, &look(&ledger), id, seconds).unwrap();
        finish(&ledger, held, id, seconds).unwrap();
    }
    let elsewhere = Spot { resource: "clinic-scans-2".to_owned(), ..spot() };
    let seen = now(ledger.look(&elsewhere)).unwrap();
    now(ledger.note(&seen, &record("r-4", 7, "refused"), &"a", &"a", Vec::new(), at(7))).unwrap();
    let ids =
        |records: Vec<Value>| records.iter().map(|record| record["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ");
    assert_eq!(ids(now(ledger.history(&spot(), 10)).unwrap()), "r-3 r-2 r-1");
    assert_eq!(ids(now(ledger.history(&spot(), 2)).unwrap()), "r-3 r-2");
    let on = |account, day| {
        ids(now(ledger.day(account, day)).unwrap().into_iter().map(|item| item.body).collect::<Vec<_>>())
    };
    assert_eq!(on("111122223333", "2026-01-15"), "r-1 r-4 r-2");
    assert_eq!(on("111122223333", "2026-01-16"), "r-3");
    assert_eq!(on("444455556666", "2026-01-15"), "");
    assert_eq!(now(ledger.record("r-1")).unwrap().unwrap()["outcome"], "fixed");
    assert_eq!(now(ledger.record("r-9")).unwrap(), None);
}

#[test]
fn a_record_without_a_name_is_not_kept() {
    let (memory, ledger) = both();
    for record in [json!({"id": "r-1"}), json!({"began": text(at(0))}), json!(null)] {
        let refused = now(ledger.intend(&look(&ledger), &record, None, Vec::new(), at(0))).unwrap_err();
        assert!(matches!(refused, Refusal::Trouble(trouble) if !trouble.is_worth_a_retry()));
    }
    assert_eq!(keys(&memory), Vec::<String>::new());
}
