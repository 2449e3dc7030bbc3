//! A look at every resource of an account and region: the net under events, which are delivered at best effort.
//!
//! Pages are read as they are needed and records are handed on as they are made, so memory does not grow with the account;
//! a bounded number of resources is worked on at a time, so AWS is not flooded; what was throttled comes round again.

use crate::control::{Cloud, Control, Occasion, Page};
use crate::driver::{self, Run};
use crate::event::Sweep;
use crate::fault::Fault;
use crate::record::Record;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How many resources are worked on at a time. Each has a few reads beside each other; IAM and S3 Control throttle first.
pub const AT_ONCE: usize = 8;
/// How many resources can wait for another round. More trouble than that is no passing trouble.
const WAITING: usize = 2000;
/// Waits before what failed in passing is looked at again; also before a page is asked for again.
const ROUNDS: &[u64] = &[500, 1000, 2000, 4000, 8000];
/// What the last resources need of the invocation's time.
const ENOUGH: Duration = Duration::from_secs(5);

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// How many resources were looked at.
    pub looked_at: usize,
    /// How many ended how.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// What kept it from being whole, if something did: a listing that was denied, time that ran out, resources that could
    /// not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
    /// Whether doing it again later may end better.
    #[serde(skip)]
    pub retry: bool,
}

/// Looks at every resource, and hands every record to `each`, in the order in which they end. `id` makes the id of the
/// record with this number.
pub async fn sweep<C: Control>(
    cloud: &impl Cloud<C>,
    sweep: &Sweep,
    run: &Run<'_>,
    mut each: impl FnMut(Record),
) -> Swept {
    let mut swept = Swept::default();
    let mut queue: VecDeque<C::Target> = VecDeque::new();
    let mut again: Vec<C::Target> = Vec::new();
    let mut listing = Listing::Page(None);
    let mut rounds = ROUNDS.iter();
    let mut number = 0;
    let mut working = FuturesUnordered::new();
    loop {
        let late = Instant::now() + ENOUGH > run.deadline;
        if queue.is_empty()
            && !late
            && let Listing::Page(after) = &listing
        {
            match page(cloud, sweep, run, after.as_deref()).await {
                Ok(Page { targets, next }) => {
                    queue.extend(targets);
                    listing = next.map_or(Listing::Done, |next| Listing::Page(Some(next)));
                }
                Err(fault) => {
                    swept.retry |= fault.is_worth_a_retry();
                    swept.cut_short = Some(format!("the listing broke off: {fault}"));
                    listing = Listing::Done;
                }
            }
            continue;
        }
        while working.len() < AT_ONCE
            && !late
            && let Some(target) = queue.pop_front()
        {
            number += 1;
            working.push(one(cloud, sweep, run, number, target));
        }
        if let Some((target, record)) = working.next().await {
            if record.retry && again.len() < WAITING && !rounds.as_slice().is_empty() {
                again.push(target);
                continue;
            }
            swept.looked_at += 1;
            swept.retry |= record.retry;
            *swept.outcomes.entry(record.outcome.name()).or_default() += 1;
            each(record);
            continue;
        }
        // Nothing is being worked on.
        if late {
            let left = queue.len() + again.len();
            if left > 0 || matches!(listing, Listing::Page(_)) {
                swept.retry = true;
                swept.cut_short = Some(format!(
                    "the function's time ran out after {} resources; the next sweep starts from the beginning",
                    swept.looked_at
                ));
            }
            return swept;
        }
        match (again.is_empty(), rounds.next()) {
            (false, Some(wait)) => {
                sleep(Duration::from_millis(*wait).min(run.deadline.saturating_duration_since(Instant::now()))).await;
                queue.extend(again.drain(..));
            }
            _ if matches!(listing, Listing::Done) => return swept,
            _ => {}
        }
    }
}

enum Listing {
    /// The page after this is still to be read.
    Page(Option<String>),
    /// There is no more.
    Done,
}

async fn one<C: Control>(
    cloud: &impl Cloud<C>,
    sweep: &Sweep,
    run: &Run<'_>,
    number: usize,
    target: C::Target,
) -> (C::Target, Record) {
    let (now, started) = (run.clock(), Instant::now());
    let run = Run { id: format!("{}-{number}", run.id), now, started, one_of_many: true, ..run.clone() };
    let request = sweep.request::<C>(target.clone());
    // Boxed: these futures are large, and there are many.
    (target, Box::pin(driver::run(cloud, &request, &run)).await)
}

/// One page, asked for until it comes or it is clear that it will not.
async fn page<C: Control>(
    cloud: &impl Cloud<C>,
    sweep: &Sweep,
    run: &Run<'_>,
    after: Option<&str>,
) -> Result<Page<C::Target>, Fault> {
    let occasion = Occasion { now: run.looks, rule: sweep.rule.clone(), cause: None, call: None };
    let mut waits = ROUNDS.iter();
    loop {
        match cloud.list(&sweep.account, &sweep.region, &occasion, after).await {
            Err(fault) if fault.is_worth_a_retry() => match waits.next().map(|wait| Duration::from_millis(*wait)) {
                Some(wait) if Instant::now() + wait + ENOUGH < run.deadline => sleep(wait).await,
                _ => return Err(fault),
            },
            page => return page,
        }
    }
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
