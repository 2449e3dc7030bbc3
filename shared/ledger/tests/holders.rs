//! Several who work on one resource, in any order: one at a time has it, and every intent has one result.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use futures_util::FutureExt;
use ledger::{Held, Ledger, Look, Memory, Refusal, Spot, Trouble};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use triggers::ids::{AccountId, Region};

/// So many seconds after a beginning.
fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_768_471_200 + seconds).unwrap()
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
    json!({"id": id, "began": at(seconds).format(&Rfc3339).unwrap(), "outcome": outcome})
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
    now(ledger.finish(held, &record(id, seconds, "fixed"), Some(None), Duration::from_hours(1), at(seconds)))
}

/// What one of several does to the same resource.
#[derive(Clone, Debug)]
enum Step {
    Look(usize),
    Intend(usize),
    IntendAgain(usize),
    Finish(usize),
    /// Its process dies: what it looked at and what it held are forgotten.
    Die(usize),
    /// It puts an end to what a dead one left.
    Close(usize),
    Note(usize),
    Pass(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..3_usize;
    prop_oneof![
        4 => who.clone().prop_map(Step::Look),
        4 => who.clone().prop_map(Step::Intend),
        1 => who.clone().prop_map(Step::IntendAgain),
        3 => who.clone().prop_map(Step::Finish),
        1 => who.clone().prop_map(Step::Die),
        2 => who.clone().prop_map(Step::Close),
        1 => who.prop_map(Step::Note),
        2 => (1..90_u8).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn a_resource_never_has_two_holders(steps in proptest::collection::vec(step(), 1..80)) {
        let ledger = Ledger::new(Rc::new(Memory::default()));
        let mut seconds = 0;
        let mut looks: [Option<Look>; 3] = [None, None, None];
        let mut helds: [Option<(Held, String)>; 3] = [None, None, None];
        // What each intent came to, by its id: none while it has no result.
        let mut story: BTreeMap<String, Option<&str>> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            let id = format!("r-{number:03}");
            match step {
                Step::Look(who) => looks[who] = Some(look(&ledger)),
                Step::Intend(who) => {
                    let Some(look) = &looks[who] else { continue };
                    // Nobody forgets what a dead one left; see `close`.
                    if now(ledger.unfinished(look, at(seconds))).unwrap().is_some() {
                        continue;
                    }
                    match intend(&ledger, look, &id, seconds) {
                        Ok(held) => {
                            helds[who] = Some((held, id.clone()));
                            story.insert(id, None);
                        }
                        Err(refusal) => prop_assert_eq!(refusal, Refusal::Taken),
                    }
                }
                Step::IntendAgain(who) => {
                    let Some((held, id)) = helds[who].take() else { continue };
                    let intent = record(&id, 0, "unverified");
                    let again = now(ledger.intend_again(&held, &intent, None, at(seconds)));
                    helds[who] = Some((again.unwrap_or(held), id));
                }
                Step::Finish(who) => {
                    let Some((held, id)) = helds[who].take() else { continue };
                    let in_force = held.until > at(seconds);
                    let finished = finish(&ledger, held, &id, seconds);
                    prop_assert!(finished.is_ok() || !in_force, "{finished:?}");
                    if finished.is_ok() {
                        prop_assert_eq!(story.insert(id, Some("fixed")), Some(None));
                    }
                }
                Step::Die(who) => (looks[who], helds[who]) = (None, None),
                Step::Close(who) => {
                    let Some(look) = looks[who].clone() else { continue };
                    let Some(left) = now(ledger.unfinished(&look, at(seconds))).unwrap() else { continue };
                    let id = left.body["id"].as_str().unwrap().to_owned();
                    if let Ok(after) = now(ledger.close(&look, &left, &record(&id, 0, "closed"), at(100))) {
                        looks[who] = Some(after);
                        prop_assert_eq!(story.insert(id, Some("closed")), Some(None));
                    }
                }
                Step::Note(who) => {
                    let Some(look) = &looks[who] else { continue };
                    let _ = now(ledger.note(look, &record(&id, seconds, "planned"), &id, &id, Vec::new(), at(seconds)));
                }
                Step::Pass(more) => seconds += i64::from(more),
            }
            let holders = helds.iter().flatten().filter(|(held, _)| held.until > at(seconds)).count();
            prop_assert!(holders <= 1, "{holders} hold it");
            // The story that the ledger tells is what happened; one intent at most has no result.
            let open = story.values().filter(|outcome| outcome.is_none()).count();
            prop_assert!(open <= 1, "{open} have no result");
            let standing = look(&ledger).standing;
            prop_assert_eq!(standing.unfinished.is_some(), open == 1);
        }
        for (id, outcome) in story {
            let record = now(ledger.record(&id)).unwrap().unwrap();
            prop_assert_eq!(record["outcome"].as_str(), Some(outcome.unwrap_or("unverified")), "{}", id);
        }
    }
}
