//! A sweep looks at everything once, however AWS behaves, and never at too much at a time.

use super::*;
use crate::control::Place;
use crate::driver::Spent;
use crate::event::Trigger;
use crate::settings::{Limits, Settings};
use crate::testing::{Fake, answer, ok};
use crate::toy::{Door, Doors, Name, OPEN, OURS, SHUT, Turn, account, region, settings, throttled};
use crate::{AccountId, Mode, Outcome, Region};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;

/// A street of houses; every n-th call is throttled.
struct Street {
    doors: RefCell<HashMap<String, Door>>,
    page: usize,
    throttles: usize,
    calls: Cell<usize>,
    busy: Cell<usize>,
    busiest: Cell<usize>,
    writes: RefCell<HashMap<String, usize>>,
    occasions: RefCell<HashSet<OffsetDateTime>>,
    denied: bool,
    /// How many listings of a page that is not the first are denied.
    torn: Cell<usize>,
}

fn name(number: usize) -> String {
    // Letters alone: what the toy takes for a door.
    format!("{number:05}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

fn street(open: usize, shut: usize, throttles: usize) -> Street {
    let doors = (0..open + shut).map(|n| (name(n), if n < open { OPEN } else { SHUT })).collect();
    Street {
        doors: RefCell::new(doors),
        page: 10,
        throttles,
        calls: Cell::new(0),
        busy: Cell::new(0),
        busiest: Cell::new(0),
        writes: RefCell::default(),
        occasions: RefCell::default(),
        denied: false,
        torn: Cell::new(0),
    }
}

impl Street {
    async fn call(&self) -> Result<(), Fault> {
        self.calls.set(self.calls.get() + 1);
        let turn = self.calls.get();
        self.busy.set(self.busy.get() + 1);
        self.busiest.set(self.busiest.get().max(self.busy.get()));
        sleep(Duration::from_millis(20)).await;
        self.busy.set(self.busy.get() - 1);
        if self.throttles > 0 && turn.is_multiple_of(self.throttles) { Err(throttled()) } else { Ok(()) }
    }
}

impl Cloud<Doors> for Street {
    async fn observe(&self, place: &Place<Name>, occasion: &Occasion) -> Result<Option<Door>, Fault> {
        self.occasions.borrow_mut().insert(occasion.now);
        self.call().await?;
        Ok(self.doors.borrow().get(&place.target.to_string()).cloned())
    }

    async fn apply(&self, place: &Place<Name>, turn: &Turn) -> Result<(), Fault> {
        self.call().await?;
        let key = place.target.to_string();
        *self.writes.borrow_mut().entry(format!("{key} {turn:?}")).or_default() += 1;
        let mut doors = self.doors.borrow_mut();
        let door = doors.get_mut(&key).ok_or(Fault::Gone)?;
        match turn {
            Turn::Shut(shut) => door.shut = *shut,
            Turn::Bolts(bolts) => door.bolts = *bolts,
        }
        Ok(())
    }

    async fn tags(&self, _: &Place<Name>) -> Result<Vec<(String, String)>, Fault> {
        Ok(Vec::new())
    }

    async fn list(&self, _: &AccountId, _: &Region, at: &Occasion, after: Option<&str>) -> Result<Page<Name>, Fault> {
        self.occasions.borrow_mut().insert(at.now);
        self.call().await?;
        let torn = after.is_some() && self.torn.get() > 0;
        self.torn.set(self.torn.get() - usize::from(torn));
        if self.denied || torn {
            return Err(crate::toy::denied(crate::fault::DeniedBy::OurRole));
        }
        let from: usize = after.map_or(0, |after| after.parse().unwrap());
        let to = (from + self.page).min(self.doors.borrow().len());
        let targets = (from..to).map(|n| <Doors as Control>::target(&name(n)).unwrap()).collect();
        Ok(Page { targets, next: (to < self.doors.borrow().len()).then(|| to.to_string()) })
    }
}

/// A scheduled sweep.
fn scheduled() -> Sweep {
    Sweep {
        account: account(OURS),
        region: region("us-east-1"),
        mode: None,
        trigger: Trigger::Schedule,
        rule: None,
        reason: None,
        asked_by: None,
        overrides: Vec::new(),
        part: None,
    }
}

async fn over(street: &Street, mode: Mode, time: Duration) -> (Swept, Vec<Record>) {
    part_of(street, mode, time, None, None).await
}

/// The same, of what was handed over, and with others to hand things to.
async fn part_of(
    street: &Street,
    mode: Mode,
    time: Duration,
    part: Option<Part>,
    others: Option<&Fake>,
) -> (Swept, Vec<Record>) {
    let others = others.map(|sqs| Queue::new(&sqs.sdk(), "https://sqs.us-east-1.amazonaws.com/1/q".to_owned()));
    let settings = settings(mode);
    let (ledger, spent, started) = (crate::toy::ledger(), Spent::default(), Instant::now());
    let limits = Limits { per_hour: u64::MAX, per_invocation: u64::MAX, ..settings.limits };
    let settings = Settings { limits, ..settings };
    let run = Run { deadline: started + time, ..crate::toy::a_run("s", &settings, Some(&ledger), &spent) };
    let asked = Sweep { part, ..scheduled() };
    let mut records = Vec::new();
    let swept = sweep::<Doors>(street, &asked, others.as_ref(), &run, |record| records.push(record)).await;
    (swept, records)
}

const LONG: Duration = Duration::from_mins(10);

/// By it a control knows that what it remembers (a key, a listing) is of this sweep.
#[tokio::test(start_paused = true)]
async fn a_sweep_is_one_occasion_and_its_records_begin_when_they_begin() {
    let street = street(20, 20, 0);
    let (_, records) = over(&street, Mode::Enforce, LONG).await;
    assert_eq!(street.occasions.borrow().len(), 1);
    assert!(records.iter().map(|record| record.began).collect::<HashSet<_>>().len() > 1);
}

#[tokio::test(start_paused = true)]
async fn every_resource_is_looked_at_once_a_bounded_number_at_a_time() {
    let street = street(7, 56, 0);
    let (swept, records) = over(&street, Mode::Enforce, LONG).await;
    assert_eq!((swept.looked_at, swept.cut_short, swept.retry), (63, None, false));
    assert_eq!(swept.outcomes, BTreeMap::from([("compliant", 56), ("fixed", 7)]));
    assert!(street.doors.borrow().values().all(|door| *door == SHUT));
    assert_eq!(street.busiest.get(), AT_ONCE);
    let mut ids: Vec<_> = records.iter().map(|record| record.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 63, "each record has an id of its own");
}

#[tokio::test(start_paused = true)]
async fn a_plan_writes_nothing() {
    let street = street(7, 3, 0);
    let (swept, records) = over(&street, Mode::Plan, LONG).await;
    assert_eq!(swept.outcomes, BTreeMap::from([("compliant", 3), ("planned", 7)]));
    assert!(street.writes.borrow().is_empty());
    assert!(records.iter().all(|record| record.trigger == Trigger::Schedule));
}

#[tokio::test(start_paused = true)]
async fn throttling_loses_nothing_and_does_nothing_twice() {
    // Worse than the one in twenty that AWS would: one in seven.
    let street = street(40, 60, 7);
    let (swept, _) = over(&street, Mode::Enforce, LONG).await;
    assert_eq!((swept.looked_at, swept.retry), (100, false), "{swept:?}");
    assert!(street.doors.borrow().values().all(|door| *door == SHUT));
    assert!(street.writes.borrow().values().all(|times| *times == 1), "{:?}", street.writes.borrow());
    assert!(swept.outcomes.keys().all(|outcome| ["compliant", "fixed"].contains(outcome)), "{:?}", swept.outcomes);
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_for_good_is_said() {
    let street = street(3, 3, 1);
    let (swept, records) = over(&street, Mode::Enforce, LONG).await;
    assert!(swept.retry && swept.cut_short.unwrap().contains("listing broke off"));
    assert!(records.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_denied_names_the_action() {
    let street = Street { denied: true, ..street(3, 3, 0) };
    let (swept, _) = over(&street, Mode::Enforce, LONG).await;
    assert!(!swept.retry, "no retry mends it");
    assert!(swept.cut_short.unwrap().contains("doors:Put on door front was denied"));
    assert_eq!(street.calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn time_that_runs_out_is_said_and_nothing_is_left_half_done() {
    let street = street(2000, 0, 0);
    let (swept, records) = over(&street, Mode::Enforce, Duration::from_secs(15)).await;
    assert!(swept.retry && swept.cut_short.as_deref().unwrap().contains("time ran out after"), "{swept:?}");
    assert!(swept.looked_at > 100 && swept.looked_at < 2000, "{}", swept.looked_at);
    assert!(records.iter().all(|record| record.outcome == Outcome::Fixed), "those that were begun were ended");
    let half = |door: &Door| *door != OPEN && *door != SHUT;
    assert!(!street.doors.borrow().values().any(half));
}

/// A queue that takes everything.
fn takes() -> Fake {
    Fake::new(|_| ok("{}"))
}

/// The parts that were sent to it: the account and region of all, and of each what it names.
fn parts(sqs: &Fake) -> Vec<Part> {
    let entries = sqs.sent().into_iter().flat_map(|sent| {
        let body: serde_json::Value = serde_json::from_str(&sent.body).unwrap();
        body["Entries"].as_array().unwrap().clone()
    });
    let part = |entry: serde_json::Value| {
        let message: serde_json::Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!((&message["schema"], &message["account"]), (&"suture.sweep/1".into(), &OURS.into()));
        assert_eq!((&message["control"], &message["region"]), (&"toy-open-door".into(), &"us-east-1".into()));
        serde_json::from_value(message).unwrap()
    };
    entries.map(part).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_more_than_a_page_is_handed_to_others_and_every_resource_once() {
    let (street, sqs) = (Street { page: 250, ..street(600, 11, 0) }, takes());
    let (swept, records) = part_of(&street, Mode::Enforce, LONG, None, Some(&sqs)).await;
    assert!(records.is_empty() && street.writes.borrow().is_empty(), "nothing is done here");
    assert_eq!((swept.looked_at, swept.handed_over, swept.listed, swept.cut_short.as_deref()), (0, 611, true, None));
    let parts = parts(&sqs);
    assert!(parts.iter().all(|part| part.after.is_none() && (1..=HANDED).contains(&part.resources.len())));
    let mut names: Vec<_> = parts.iter().flat_map(|part| part.resources.clone()).collect();
    names.sort();
    assert_eq!(names, (0..611).map(name).collect::<Vec<_>>());
    // And each of those who get them does its part.
    for part in parts {
        let (swept, _) = part_of(&street, Mode::Enforce, LONG, Some(part.clone()), Some(&sqs)).await;
        assert_eq!((swept.looked_at, swept.handed_over, swept.listed), (part.resources.len(), 0, false));
    }
    assert!(street.doors.borrow().values().all(|door| *door == SHUT));
    assert!(street.writes.borrow().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn one_page_is_done_here_and_now() {
    let (street, sqs) = (street(4, 6, 0), takes());
    let (swept, _) = part_of(&street, Mode::Enforce, LONG, None, Some(&sqs)).await;
    assert_eq!((swept.looked_at, swept.handed_over, swept.listed), (10, 0, true));
    assert!(sqs.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_time_to_list_is_handed_over_too() {
    let (street, sqs) = (street(2000, 0, 0), takes());
    let (swept, _) = part_of(&street, Mode::Enforce, ENOUGH + Duration::from_secs(1), None, Some(&sqs)).await;
    assert!(!swept.listed && !swept.retry && swept.cut_short.is_none(), "{swept:?}");
    let mut parts = parts(&sqs);
    let rest = parts.pop().unwrap();
    assert!(rest.resources.is_empty());
    let done: usize = parts.iter().map(|part| part.resources.len()).sum();
    assert_eq!((rest.after, swept.handed_over), (Some(done.to_string()), done));
    // Whoever gets the rest goes on from there, even if it is one page.
    let sqs = takes();
    let rest = Part { after: Some("1995".to_owned()), ..Part::default() };
    let (swept, _) = part_of(&street, Mode::Enforce, LONG, Some(rest), Some(&sqs)).await;
    assert_eq!((swept.handed_over, swept.listed), (5, true));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_handed_over_is_said_and_may_be_tried_again() {
    let street = street(30, 0, 0);
    for (status, code, retry) in [(503, "ServiceUnavailable", true), (403, "AccessDenied", false)] {
        let sqs = Fake::new(move |_| answer(status, format!(r#"{{"__type":"{code}"}}"#)));
        let (swept, records) = part_of(&street, Mode::Enforce, LONG, None, Some(&sqs)).await;
        assert!(records.is_empty() && !swept.listed);
        assert_eq!(swept.retry, retry);
        assert!(swept.cut_short.unwrap().contains("sqs:SendMessage"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_and_is_none_of_ours_is_said() {
    let street = street(3, 0, 0);
    let resources = vec![name(0), "No Door".to_owned(), name(1)];
    let part = Part { resources, ..Part::default() };
    let (swept, records) = part_of(&street, Mode::Enforce, LONG, Some(part), None).await;
    assert_eq!(records.len(), 2);
    assert!(swept.cut_short.unwrap().contains("is no door"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_listed_where_nothing_may_be_changed() {
    let street = street(3, 3, 0);
    let (mut asked, settings) = (scheduled(), settings(Mode::Enforce));
    for (account, region, gate) in
        [("999988887777", "us-east-1", "SUTURE_ACCOUNTS"), (OURS, "eu-west-9", "SUTURE_REGIONS")]
    {
        (asked.account, asked.region) = (crate::toy::account(account), crate::toy::region(region));
        let (ledger, spent) = (crate::toy::ledger(), Spent::default());
        let run = Run { deadline: Instant::now() + LONG, ..crate::toy::a_run("s", &settings, Some(&ledger), &spent) };
        let swept = sweep::<Doors>(&street, &asked, None, &run, |record| panic!("{record:?}")).await;
        assert!(!swept.retry && swept.cut_short.unwrap().contains(gate));
    }
    assert_eq!(street.calls.get(), 0);
}

/// One page, looked at; with what was said of its length.
async fn look_at(street: &Street, from: From, at_once: usize) -> (Looked, Vec<Record>, Vec<(usize, bool)>) {
    let settings = settings(Mode::Enforce);
    let (ledger, spent) = (crate::toy::ledger(), Spent::default());
    let run = Run { deadline: Instant::now() + LONG, ..crate::toy::a_run("l", &settings, Some(&ledger), &spent) };
    let (mut records, mut lengths) = (Vec::new(), Vec::new());
    let each = |record| records.push(record);
    let place = Sweep { trigger: Trigger::Manual, ..scheduled() };
    let listed = |count, more| lengths.push((count, more));
    let looked = look::<Doors>(street, &place, from, at_once, &run, each, listed).await;
    (looked, records, lengths)
}

/// All pages, one after the other; how many there were, and the names that were looked at.
async fn look_at_all(street: &Street, at_once: usize) -> (Vec<(usize, bool)>, Vec<String>) {
    let (mut from, mut lengths, mut names) = (Some(From::Beginning), Vec::new(), Vec::new());
    while let Some(page) = from {
        let (looked, records, length) = look_at(street, page, at_once).await;
        assert_eq!((looked.swept.looked_at, &looked.swept.cut_short), (records.len(), &None));
        names.extend(records.into_iter().map(|record| record.resource.id));
        lengths.extend(length);
        assert_eq!(looked.swept.listed, looked.next.is_none());
        from = looked.next;
    }
    names.sort();
    (lengths, names)
}

#[tokio::test(start_paused = true)]
async fn the_next_page_is_listed_while_this_one_is_looked_at() {
    let street = street(0, 95, 0);
    let began = Instant::now();
    let (lengths, names) = look_at_all(&street, 5).await;
    assert_eq!(names, (0..95).map(name).collect::<Vec<_>>(), "each once");
    assert_eq!(lengths, [vec![(10, true); 9], vec![(5, false)]].concat());
    assert_eq!(street.calls.get(), 95 + 10, "and each page is listed once");
    // The first listing, and then the looks alone: two times five beside each other on each page, and five on the last.
    assert_eq!(began.elapsed().as_millis(), 20 + 9 * 40 + 20);
    assert_eq!(street.busiest.get(), 5 + 1, "five at a time, and a listing");
    assert!(street.writes.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_could_not_be_listed_ahead_is_listed_when_it_is_wanted() {
    let street = Street { torn: Cell::new(1), ..street(0, 25, 0) };
    let (looked, _, _) = look_at(&street, From::Beginning, 8).await;
    assert_eq!((looked.swept.cut_short, &looked.next), (None, &Some(From::After("10".to_owned()))));
    let (looked, records, _) = look_at(&street, looked.next.unwrap(), 8).await;
    assert_eq!((records.len(), looked.next.as_ref().and_then(From::after)), (10, Some("20")));
    // What is denied for good is told of the page that it is about, and of no other.
    street.torn.set(usize::MAX);
    let (looked, records, _) = look_at(&street, From::After("10".to_owned()), 8).await;
    assert!(records.is_empty() && looked.next.is_none() && !looked.swept.listed);
    assert!(looked.swept.cut_short.unwrap().contains("the listing broke off"));
}
