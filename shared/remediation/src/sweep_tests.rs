//! A sweep looks at everything once, however AWS behaves, and never at too much at a time.

use super::*;
use crate::control::Place;
use crate::driver::Spent;
use crate::event::Trigger;
use crate::settings::{Limits, Settings};
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
        if self.denied {
            return Err(crate::toy::denied(crate::fault::DeniedBy::OurRole));
        }
        let from: usize = after.map_or(0, |after| after.parse().unwrap());
        let to = (from + self.page).min(self.doors.borrow().len());
        let targets = (from..to).map(|n| <Doors as Control>::target(&name(n)).unwrap()).collect();
        Ok(Page { targets, next: (to < self.doors.borrow().len()).then(|| to.to_string()) })
    }
}

async fn over(street: &Street, mode: Mode, time: Duration) -> (Swept, Vec<Record>) {
    let settings = settings(mode);
    let (ledger, spent, started) = (crate::toy::ledger(), Spent::default(), Instant::now());
    let limits = Limits { per_hour: u64::MAX, per_invocation: u64::MAX, ..settings.limits };
    let settings = Settings { limits, ..settings };
    let run = Run { deadline: started + time, ..crate::toy::a_run("s", &settings, Some(&ledger), &spent) };
    let asked = Sweep {
        account: account(OURS),
        region: region("us-east-1"),
        mode: None,
        trigger: Trigger::Schedule,
        rule: None,
        reason: None,
        asked_by: None,
        overrides: Vec::new(),
    };
    let mut records = Vec::new();
    let swept = sweep::<Doors>(street, &asked, &run, |record| records.push(record)).await;
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
