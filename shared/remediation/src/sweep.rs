//! A look at every resource of an account and region: the net under events, which are delivered at best effort.
//!
//! Pages are read as they are needed and records are handed on as they are made, so memory does not grow with the account;
//! a bounded number of resources is worked on at a time, so AWS is not flooded; what was throttled comes round again.
//!
//! What is more than one page is too much for one invocation, if nobody waits for its answer: then the pages are handed to
//! other invocations by way of the control's own queue, and AWS spreads them.

use crate::control::{Cloud, Control, Occasion, Page};
use crate::driver::{self, Run};
use crate::event::Sweep;
use crate::fault::Fault;
use crate::gate;
use crate::queue::Queue;
use crate::record::Record;
use crate::settings::Mode;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use triggers::Part;

/// How many resources are worked on at a time, where nobody says otherwise. Each has a few reads beside each other; IAM and S3
/// Control throttle first.
pub const AT_ONCE: usize = 8;
/// How many resources can wait for another round. More trouble than that is no passing trouble.
const WAITING: usize = 2000;
/// Waits before what failed in passing is looked at again; also before a page is asked for again.
const ROUNDS: &[u64] = &[500, 1000, 2000, 4000, 8000];
/// What the last resources need of the invocation's time.
const ENOUGH: Duration = Duration::from_secs(5);
/// How many resources are handed over in a message: some seconds of work, little enough to do again if one of them fails.
const HANDED: usize = 100;

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// How many resources were looked at.
    pub looked_at: usize,
    /// How many ended how.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// How many were handed to other invocations, which look at them.
    #[serde(skip_serializing_if = "is_zero")]
    pub handed_over: usize,
    /// What kept it from being whole, if something did: a listing that was denied, time that ran out, resources that could
    /// not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
    /// Whether doing it again later may end better.
    #[serde(skip)]
    pub retry: bool,
    /// Whether the listing of what there is reached its end.
    #[serde(skip)]
    pub listed: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Looks at every resource, or at those of the part that was handed over, and hands every record to `each`, in the order in
/// which they end. Where there are `others`, what is more than one page is handed to them.
pub async fn sweep<C: Control>(
    cloud: &impl Cloud<C>,
    sweep: &Sweep,
    others: Option<&Queue>,
    run: &Run<'_>,
    each: impl FnMut(Record),
) -> Swept {
    abreast::<C>(cloud, sweep, others, run, AT_ONCE, each).await
}

/// The same with so many resources worked on at a time.
async fn abreast<C: Control>(
    cloud: &impl Cloud<C>,
    sweep: &Sweep,
    others: Option<&Queue>,
    run: &Run<'_>,
    at_once: usize,
    mut each: impl FnMut(Record),
) -> Swept {
    let mut swept = Swept::default();
    if let Err(refusal) = gate::listed::<C>(&sweep.account, &sweep.region, &sweep.overrides, run.settings) {
        swept.cut_short = Some(refusal.why);
        return swept;
    }
    let mut queue: VecDeque<C::Target> = VecDeque::new();
    let mut again: Vec<C::Target> = Vec::new();
    let part = sweep.part.clone().unwrap_or_default();
    let mut listing = if part.resources.is_empty() { Listing::Page(part.after.clone()) } else { Listing::Done };
    for name in &part.resources {
        match C::target(name) {
            Ok(target) => queue.push_back(target),
            Err(why) => {
                // Not that a retry mends it: the message is to end where a person finds it.
                swept.retry = true;
                swept.cut_short = Some(format!("not all that was handed over can be looked at: {why}"));
            }
        }
    }
    if let (Some(others), Listing::Page(after)) = (others, &listing) {
        match page(cloud, sweep, run, after.as_deref()).await {
            // What is no more than this is done here and now.
            Ok(Page { targets, next: None }) if after.is_none() => {
                queue.extend(targets);
                listing = Listing::Done;
                swept.listed = true;
            }
            first => return Box::pin(hand_over(cloud, sweep, others, run, first)).await,
        }
    }
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
                    swept.listed = next.is_none();
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
        while working.len() < at_once.max(1)
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

/// Hands everything to other invocations, from this page on; what there is no time to list, too.
async fn hand_over<C: Control>(
    cloud: &impl Cloud<C>,
    sweep: &Sweep,
    others: &Queue,
    run: &Run<'_>,
    mut listed: Result<Page<C::Target>, Fault>,
) -> Swept {
    let mut swept = Swept::default();
    let message = |part: Part| Part { control: C::ABOUT.id.to_owned(), ..part }.message(&sweep.account, &sweep.region);
    let broke_off = |swept: Swept, what: &str, fault: &Fault| Swept {
        retry: fault.is_worth_a_retry(),
        cut_short: Some(format!("{what}: {fault}")),
        ..swept
    };
    loop {
        let Page { targets, next } = match listed {
            Ok(page) => page,
            Err(fault) => return broke_off(swept, "the listing broke off", &fault),
        };
        let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let parts = names.chunks(HANDED).map(|some| message(Part { resources: some.to_vec(), ..Part::default() }));
        let mut parts: Vec<_> = parts.collect();
        let late = Instant::now() + ENOUGH > run.deadline;
        if late && let Some(after) = &next {
            parts.push(message(Part { after: Some(after.clone()), ..Part::default() }));
        }
        if let Err(fault) = others.send(&parts).await {
            return broke_off(swept, "not all could be handed over", &fault);
        }
        swept.handed_over += names.len();
        match next {
            Some(after) if !late => listed = page(cloud, sweep, run, Some(&after)).await,
            next => {
                swept.listed = next.is_none();
                return swept;
            }
        }
    }
}

/// From where on a place is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// From the beginning.
    #[default]
    Beginning,
    /// From the page after this token, which is still to be listed.
    After(String),
    /// From a page that is listed already.
    Listed(Listed),
}

/// A page that was listed while the one before it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The token that it comes after.
    pub after: String,
    /// The resources on it.
    resources: Vec<String>,
    /// The token that the page after it comes after; none if there is none.
    next: Option<String>,
}

impl From {
    /// The token that the page comes after; none for the first.
    pub fn after(&self) -> Option<&str> {
        match self {
            Self::Beginning => None,
            Self::After(token) | Self::Listed(Listed { after: token, .. }) => Some(token),
        }
    }
}

/// What a page of a place came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// What it came to.
    pub swept: Swept,
    /// Where the next page begins; none if this was the last.
    pub next: Option<From>,
}

/// One page of a place, looked at, so many resources at a time: nothing is written, and a ledger is only read. The page after
/// it is listed meanwhile. `listed` hears how many resources the page has as soon as that is known, and whether more follow.
pub async fn look<C: Control>(
    cloud: &impl Cloud<C>,
    place: &Sweep,
    from: From,
    at_once: usize,
    run: &Run<'_>,
    each: impl FnMut(Record),
    listed: impl FnOnce(usize, bool),
) -> Looked {
    let page = match gate::listed::<C>(&place.account, &place.region, &place.overrides, run.settings) {
        Ok(()) => {
            listing::<C>(cloud, place, from, run).await.map_err(|fault| (fault.is_worth_a_retry(), fault.to_string()))
        }
        Err(refusal) => Err((false, refusal.why)),
    };
    let (resources, next) = match page {
        Ok(page) => page,
        Err((retry, why)) => {
            let cut_short = Some(format!("the listing broke off: {why}"));
            return Looked { swept: Swept { cut_short, retry, ..Swept::default() }, next: None };
        }
    };
    listed(resources.len(), next.is_some());
    let here = async {
        if resources.is_empty() {
            return Swept::default();
        }
        let part = Some(Part { resources, ..Part::default() });
        let page = Sweep { part, mode: Some(Mode::Plan), ..place.clone() };
        Box::pin(abreast::<C>(cloud, &page, None, run, at_once, each)).await
    };
    let ahead = async {
        let after = next?;
        // What goes wrong now goes wrong again, or not, when the page is wanted: then it is told.
        Some(match Box::pin(listing::<C>(cloud, place, From::After(after.clone()), run)).await {
            Ok((resources, next)) => From::Listed(Listed { after, resources, next }),
            Err(_) => From::After(after),
        })
    };
    let (swept, next) = futures_util::future::join(here, ahead).await;
    Looked { swept: Swept { listed: next.is_none(), ..swept }, next }
}

/// The names on a page, and the token for the one after it.
async fn listing<C: Control>(
    cloud: &impl Cloud<C>,
    place: &Sweep,
    from: From,
    run: &Run<'_>,
) -> Result<(Vec<String>, Option<String>), Fault> {
    if let From::Listed(Listed { resources, next, .. }) = from {
        return Ok((resources, next));
    }
    let Page { targets, next } = page(cloud, place, run, from.after()).await?;
    Ok((targets.iter().map(ToString::to_string).collect(), next))
}

/// Hands whole places over: to each an invocation of its own that lists what is there.
pub async fn hand_over_places<C: Control>(places: &[Sweep], others: &Queue) -> Result<(), Fault> {
    let message = |place: &Sweep| {
        let part = Part { control: C::ABOUT.id.to_owned(), ..Part::default() };
        part.message(&place.account, &place.region)
    };
    others.send(&places.iter().map(message).collect::<Vec<_>>()).await
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
