//! The one way from a request to a record: gates, observe, plan, intent, write, observe again, verify, result.
//!
//! Invariants: no write without the gates before it and an intent in the ledger; no outcome that says more than was read
//! back; one writer at a time for each resource.

mod aim;
mod decide;
mod keep;
mod verify;

use crate::control::{Cloud, Control, Occasion, Place};
use crate::event::{Order, Request, called};
use crate::fault::{DeniedBy, Fault};
use crate::gate::{self, Refusal};
use crate::record::{Outcome, Record};
use crate::settings::Settings;
use aim::Aim;
use keep::{Holding, Session};
use ledger::{Ledger, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::task::Poll;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout_at};
use triggers::ids::shown;
use verify::{Written, verify};

/// How long to wait between looks at a resource that may still show an old state. S3's and IAM's reads can lag a write
/// by seconds; the first look comes at once.
const READ_BACK: &[u64] = &[0, 100, 200, 400, 800, 1600, 3200, 6400, 12800];
/// The same for a resource that reads compliant though a fresh event announces drift.
const SECOND_LOOK: &[u64] = &[250, 500, 1000, 2000];
/// An event older than this has long settled: what is read then is so.
const SETTLED: Duration = Duration::from_secs(30);
/// What a write and its reading-back need of the invocation's time. With less left, no write is begun.
const ENOUGH: Duration = Duration::from_secs(1);
/// How many plans are made for a resource that somebody else keeps changing between our look and our write.
const PLANS: usize = 3;
/// How often a resource is looked at anew because another run was at work on it.
const TURNS: usize = 5;
/// Waits before a write is tried again that met somebody else's.
const CONFLICT: &[u64] = &[100, 200, 400, 800, 1600];
/// The part of a lease that is left when the last write is given up: one that is on its way then arrives before it ends.
const MARGIN: f64 = 0.25;

/// What a run knows besides the request.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The deployment's settings.
    pub settings: &'a Settings,
    /// The record's id.
    pub id: String,
    /// The time of day when it began.
    pub now: OffsetDateTime,
    /// The time of day of its looks, which all resources of a sweep have in common: by it a control knows that what it
    /// remembers is of this occasion.
    pub looks: OffsetDateTime,
    /// The same in the runtime's clock.
    pub started: Instant,
    /// When to have finished, the record written: some time before Lambda ends us.
    pub deadline: Instant,
    /// The ledger; without one nothing is written to any resource.
    pub ledger: Option<&'a Ledger>,
    /// How many writes this invocation has made.
    pub spent: &'a Spent,
    /// The control's parameters, for the record.
    pub parameters: Option<&'a Value>,
    /// Whether this is one resource of many: then the ledger is only asked about those that have drifted.
    pub one_of_many: bool,
}

impl Run<'_> {
    /// The time of day.
    pub fn clock(&self) -> OffsetDateTime {
        self.now + self.started.elapsed()
    }
}

/// How many writes an invocation has made, or is about to.
#[derive(Debug, Default)]
pub struct Spent(Cell<u64>);

impl Spent {
    /// Adds to it if the sum stays within the limit.
    fn add(&self, writes: u64, limit: u64) -> bool {
        let sum = self.0.get().saturating_add(writes);
        if sum <= limit {
            self.0.set(sum);
        }
        sum <= limit
    }
}

/// The end of a run that did not go all the way.
struct End {
    outcome: Outcome,
    why: String,
    refused_by: Option<String>,
    retry: bool,
}

fn end(outcome: Outcome, why: impl Into<String>) -> End {
    End { outcome, why: why.into(), refused_by: None, retry: false }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self { refused_by: Some(refusal.by), ..end(Outcome::Refused, refusal.why) }
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        let outcome = match fault {
            Fault::Gone => return end(Outcome::Gone, "there is no such resource (any more)"),
            Fault::Denied { by: DeniedBy::Organization, .. } => Outcome::BlockedByOrganization,
            _ => Outcome::Failed,
        };
        let retry = fault.is_worth_a_retry();
        Self { retry, ..end(outcome, fault.to_string()) }
    }
}

/// Carries out one request and returns its record. It does not fail: what goes wrong is an outcome.
pub async fn run<C: Control>(cloud: &impl Cloud<C>, request: &Request<C>, run: &Run<'_>) -> Record {
    let mut record = Record::open(request, run.id.clone(), run.settings.mode_of(C::ABOUT.id), run.now);
    record.parameters = run.parameters.cloned();
    let mut session = Session::default();
    let ended = drive(cloud, request, run, &mut record, &mut session).await.unwrap_or_else(|end| end);
    record.outcome = ended.outcome;
    record.why = ended.why;
    record.refused_by = ended.refused_by;
    record.retry = ended.retry;
    record.took_ms = u64::try_from(run.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    session.keep(request, run, &mut record).await;
    record
}

async fn drive<C: Control, K: Cloud<C>>(
    cloud: &K,
    request: &Request<C>,
    run: &Run<'_>,
    record: &mut Record,
    session: &mut Session,
) -> Result<End, End> {
    gate::place(request, &request.place, run.settings)?;
    let aim = Aim::<C>::of(request, run.settings, record)?;
    let (rule, cause, call) = (request.rule.clone(), request.cause.clone(), request.call.clone());
    let occasion = Occasion { now: run.looks, rule, cause, call };
    let until = Cell::new((run.deadline, SystemTime::now()));
    let mut at = At { cloud, place: request.place.clone(), occasion, run, until, control: PhantomData };
    let mut found = match session.see(&at, request, &aim).await {
        // An event forwarded from another region, or one about a global bus: the resource itself says where it is.
        Err(Fault::Elsewhere(region)) => {
            at.place.region = region;
            record.resource.region = at.place.region.to_string();
            gate::place(request, &at.place, run.settings)?;
            session.see(&at, request, &aim).await?
        }
        found => found?,
    };
    for _ in 0..TURNS {
        session.recover(&at, found.as_ref(), record).await;
        let Some(before) = found else { return Err(Fault::Gone.into()) };
        let changes = draft(request, &aim, &before, record)?;
        let also = session.decide(&at, request, &aim, &before, &changes, record).await?;
        match carry_out(&at, request, &aim, before, changes, also, record, session).await? {
            Some(end) => return Ok(end),
            // Somebody else is at work on it. What they leave is what counts.
            None => session.wait(&at).await?,
        }
        found = session.see(&at, request, &aim).await?;
    }
    Err(keep::busy())
}

/// Says what would be written, in the record. An end if there is nothing to write.
fn draft<C: Control>(
    request: &Request<C>,
    aim: &Aim<C>,
    before: &C::State,
    record: &mut Record,
) -> Result<Vec<C::Change>, End> {
    record.before = Some(value(before));
    record.notes = C::notes(before);
    let hindrance = if let Aim::Fix = aim { C::hindrance(before) } else { None };
    let to = aim.state(before);
    let changes = C::changes(before, &to);
    record.changes.clear();
    record.undo.clear();
    record.breaks.clear();
    if changes.is_empty() {
        record.after.clone_from(&record.before);
        return Err(match hindrance {
            Some(hindrance) => Refusal { by: hindrance.id.to_owned(), why: hindrance.says }.into(),
            None => aim.nothing_to_do(),
        });
    }
    record.notes.extend(hindrance.map(|hindrance| hindrance.says));
    aim.not_moved_on(request, before)?;
    record.changes = changes.iter().map(value).collect();
    record.undo = C::changes(&to, &C::restored(before)).iter().map(value).collect();
    record.after = Some(value(&to));
    if let Aim::Fix = aim {
        record.breaks = C::risks(before, &to);
    }
    Ok(changes)
}

/// The control's own guards: what a fix would break that ought not to be broken.
fn guards<C: Control>(request: &Request<C>, record: &Record) -> Result<(), Refusal> {
    match record.breaks.iter().find(|risk| risk.refuses && !gate::overridden(request, risk.id)) {
        None => Ok(()),
        Some(risk) => Err(Refusal {
            by: risk.id.to_owned(),
            why: format!(
                "{}; to do it all the same, add \"override\": [\"{}\"] to a manual request",
                risk.says, risk.id
            ),
        }),
    }
}

/// Writes, under an intent, and reads back. None if somebody else holds the resource.
#[expect(clippy::too_many_arguments, reason = "one step of drive, which has them all")]
async fn carry_out<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
    request: &Request<C>,
    aim: &Aim<C>,
    mut before: C::State,
    mut changes: Vec<C::Change>,
    mut also: Vec<Write>,
    record: &mut Record,
    session: &mut Session,
) -> Result<Option<End>, End> {
    let mut written = Vec::new();
    let mut fault = None;
    for _ in 0..PLANS {
        if Instant::now() + ENOUGH > at.run.deadline {
            let late = Fault::Retry("too little of the function's time was left: nothing more was written".to_owned());
            if written.is_empty() {
                return Err(late.into());
            }
            fault = Some(late);
            break;
        }
        at.lease();
        match session.hold(at, request, written.len(), changes.len(), std::mem::take(&mut also), record).await {
            Holding::Held => {}
            Holding::Taken => return Ok(None),
            Holding::Not(end) if written.is_empty() => return Err(end),
            Holding::Not(end) => {
                fault = Some(if end.retry { Fault::Retry(end.why) } else { Fault::GiveUp(end.why) });
                break;
            }
        }
        fault = write(at, &changes, &mut written).await.err();
        let Some(Fault::Moved(_)) = &fault else { break };
        // Somebody was quicker. What they left is what counts now, and what was planned for what was there before does not.
        match at.observe().await? {
            None => break,
            Some(now) if written.is_empty() => {
                if let Order::Approved(_) = request.order {
                    return Err(decide::not_what_was_approved("it was changed at the very moment of the write").into());
                }
                before = now;
                changes = draft(request, aim, &before, record)?;
                guards(request, record)?;
            }
            Some(now) => {
                changes = C::changes(&now, &aim.state(&now));
                record.changes = written.iter().chain(&changes).map(value).collect();
            }
        }
    }
    verify(at, record, &Written { aim, before: &before, made: written.len(), fault }, session).await.map(Some)
}

/// Makes the writes, one after another, until one fails.
async fn write<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
    changes: &[C::Change],
    written: &mut Vec<C::Change>,
) -> Result<(), Fault> {
    for change in changes {
        at.write(change).await?;
        written.push(change.clone());
    }
    Ok(())
}

/// A cloud, where in it the resource is, and until when.
struct At<'a, C: Control, K> {
    cloud: &'a K,
    place: Place<C::Target>,
    occasion: Occasion,
    run: &'a Run<'a>,
    /// When the last write is given up, by the runtime's clock and by the wall's: the lease is ours until somewhat later.
    until: Cell<(Instant, SystemTime)>,
    control: PhantomData<C>,
}

impl<C: Control, K: Cloud<C>> At<'_, C, K> {
    async fn observe(&self) -> Result<Option<C::State>, Fault> {
        within(self.run, self.cloud.observe(&self.place, &self.occasion)).await
    }

    async fn tags(&self) -> Result<Vec<(String, String)>, Fault> {
        within(self.run, self.cloud.tags(&self.place)).await
    }

    /// Whether AWS would let us make these writes: the first no, or a yes if it answered for every one.
    async fn rehearse(&self, changes: &[C::Change]) -> Result<bool, Fault> {
        let mut answered = true;
        for change in changes {
            answered &= within(self.run, self.cloud.rehearse(&self.place, change)).await?;
        }
        Ok(answered)
    }

    /// A write, for as long as the resource is ours. Whoever was put to sleep in the middle of it (a closed laptop, a frozen
    /// machine) finds on waking that it no longer is, before anything more is sent.
    async fn leased<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let (until, wall) = self.until.get();
        let mut call = std::pin::pin!(call);
        let awake = std::future::poll_fn(|context| {
            if Instant::now() >= until || SystemTime::now() >= wall {
                let late = "the time in which the resource was ours to write to is over".to_owned();
                return Poll::Ready(Err(Fault::Lost(late)));
            }
            call.as_mut().poll(context)
        });
        by(until, awake).await
    }

    /// Whether the resource is still ours for so many milliseconds, and then for a while.
    fn is_leased_for(&self, milliseconds: u64) -> bool {
        let ((until, wall), wait) = (self.until.get(), Duration::from_millis(milliseconds));
        // Writes end with the function's time, too; looks are ended by that alone.
        (Instant::now() + wait < until || until == self.run.deadline) && SystemTime::now() + wait < wall
    }

    /// The lease begins now.
    fn lease(&self) {
        let ours = self.run.ledger.map(Ledger::lease).unwrap_or_default().mul_f64(1.0 - MARGIN);
        self.until.set((self.run.deadline.min(Instant::now() + ours), SystemTime::now() + ours));
    }

    async fn write(&self, change: &C::Change) -> Result<(), Fault> {
        let mut waits = CONFLICT.iter();
        loop {
            match self.leased(self.cloud.apply(&self.place, change)).await {
                Err(Fault::Conflict(why)) => match waits.next() {
                    Some(wait) if pause(self.run, *wait).await => {}
                    _ => return Err(Fault::Conflict(why)),
                },
                done => return done,
            }
        }
    }
}

/// Observes, and looks again where a fresh event announces drift that the first look does not show.
async fn look<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
    request: &Request<C>,
    aim: &Aim<C>,
) -> Result<Option<C::State>, Fault> {
    let mut state = at.observe().await?;
    let fresh = called(request).is_some_and(|called| (at.run.now - called).unsigned_abs() < SETTLED);
    for wait in SECOND_LOOK {
        // A resource that was made or changed a moment ago may not be there yet for every reader.
        let doubtful = fresh && state.as_ref().is_none_or(|state| request.announces_drift && aim.reached(state));
        if !doubtful || !pause(at.run, *wait).await {
            break;
        }
        state = at.observe().await?;
    }
    Ok(state)
}

fn planned(writes: usize, record: &Record, allowed: &Result<bool, Fault>) -> String {
    let allowed = match allowed {
        Ok(true) => "; AWS says that we may".to_owned(),
        Ok(false) => String::new(),
        Err(fault) => format!("; it would not work: {fault}"),
    };
    let breaks = match record.breaks.len() {
        0 => String::new(),
        n => format!(", with {n} thing{} that would break", if n == 1 { "" } else { "s" }),
    };
    format!(
        "{writes} write{} to make{breaks}; nothing was written, the mode is plan{allowed}",
        if writes == 1 { "" } else { "s" }
    )
}

/// A call to AWS, ended by the run's deadline if by nothing else.
async fn within<T>(run: &Run<'_>, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    by(run.deadline, call).await
}

/// A call to AWS, ended at this time if by nothing else.
async fn by<T>(until: Instant, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let late = || Err(Fault::Lost("ran out of time while waiting for AWS".to_owned()));
    if Instant::now() >= until {
        return late(); // a time-out lets its call begin, whatever the hour
    }
    timeout_at(until, call).await.unwrap_or_else(|_| late())
}

/// Waits, if the deadline leaves room for it and for a call afterwards; false if not.
async fn pause(run: &Run<'_>, milliseconds: u64) -> bool {
    let wait = Duration::from_millis(milliseconds);
    if Instant::now() + wait + Duration::from_millis(250) > run.deadline {
        return false;
    }
    sleep(wait).await;
    true
}

fn value<T: Serialize>(state: &T) -> Value {
    serde_json::to_value(state).unwrap_or_default()
}

fn state<S: DeserializeOwned>(value: &Value, field: &str) -> Result<S, End> {
    S::deserialize(value).map_err(|error| {
        let why = format!("the record's {field} is no state of this control: {}", shown(&error.to_string()));
        Refusal { by: "record".to_owned(), why }.into()
    })
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "keep_tests.rs"]
mod keep_tests;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;
