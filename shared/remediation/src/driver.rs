//! The one way from a request to a record: gates, observe, plan, write, observe again, verify.
//!
//! Invariants: no write without the gates before it and a logged intent; no outcome that says more than was read back.

use crate::control::{Cloud, Control, Occasion, Place};
use crate::event::{Order, Past, Request, called};
use crate::fault::{DeniedBy, Fault};
use crate::gate::{self, Refusal};
use crate::log::EVIDENCE;
use crate::record::{Outcome, Record};
use crate::settings::{Mode, Settings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout_at};
use triggers::ids::shown;

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
/// Waits before a write is tried again that met somebody else's.
const CONFLICT: &[u64] = &[100, 200, 400, 800, 1600];

/// What a run knows besides the request.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The deployment's settings.
    pub settings: &'a Settings,
    /// The record's id.
    pub id: String,
    /// The time of day.
    pub now: OffsetDateTime,
    /// When to have finished, the record written: some time before Lambda ends us.
    pub deadline: Instant,
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
    let started = Instant::now();
    let mut record = Record::open(request, run.id.clone(), run.settings.mode, run.now);
    let ended = drive(cloud, request, run, &mut record).await.unwrap_or_else(|end| end);
    record.outcome = ended.outcome;
    record.why = ended.why;
    record.refused_by = ended.refused_by;
    record.retry = ended.retry;
    record.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    record
}

async fn drive<C: Control, K: Cloud<C>>(
    cloud: &K,
    request: &Request<C>,
    run: &Run<'_>,
    record: &mut Record,
) -> Result<End, End> {
    gate::place(request, &request.place, run.settings)?;
    record.mode = gate::mode(request, run.settings)?;
    let aim = Aim::<C>::of(request, record)?;

    let occasion = Occasion { now: run.now, rule: request.rule.clone() };
    let mut at = At { cloud, place: request.place.clone(), occasion, run, control: PhantomData };
    let found = match look(&at, request, &aim).await {
        // An event forwarded from another region, or one about a global bus: the resource itself says where it is.
        Err(Fault::Elsewhere(region)) => {
            at.place.region = region;
            record.resource.region = at.place.region.to_string();
            gate::place(request, &at.place, run.settings)?;
            look(&at, request, &aim).await?
        }
        found => found?,
    };
    let Some(mut before) = found else { return Err(Fault::Gone.into()) };
    let mut changes = plan(&at, request, &aim, &before, record).await?;
    let mut written = Vec::new();
    let mut fault = None;
    for _ in 0..PLANS {
        if Instant::now() + ENOUGH > run.deadline {
            let late = Fault::Retry("too little of the function's time was left: nothing more was written".to_owned());
            if written.is_empty() {
                return Err(late.into());
            }
            fault = Some(late);
            break;
        }
        intend(record)?;
        fault = write(&at, &changes, &mut written).await.err();
        let Some(Fault::Moved(_)) = &fault else { break };
        // Somebody was quicker. What they left is what counts now, and what was planned for what was there before does not.
        match at.observe().await? {
            None => break,
            Some(now) if written.is_empty() => {
                before = now;
                changes = plan(&at, request, &aim, &before, record).await?;
            }
            Some(now) => {
                changes = C::changes(&now, &aim.state(&now));
                record.changes = written.iter().chain(&changes).map(value).collect();
            }
        }
    }
    verify(&at, record, &Written { aim: &aim, before: &before, made: written.len(), fault }).await
}

/// Decides what to write, and puts it into the record. An end if there is nothing to write, or nothing may be.
async fn plan<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
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
    if changes.is_empty() {
        record.after.clone_from(&record.before);
        record.changes.clear();
        record.undo.clear();
        record.breaks.clear();
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
    if record.mode == Mode::Plan {
        let allowed = at.rehearse(&changes).await;
        return Err(end(Outcome::Planned, planned(changes.len(), record, &allowed)));
    }
    if let Some(risk) = record.breaks.iter().find(|risk| risk.refuses && !gate::overridden(request, risk.id)) {
        let why =
            format!("{}; to do it all the same, add \"override\": [\"{}\"] to a manual request", risk.says, risk.id);
        return Err(Refusal { by: risk.id.to_owned(), why }.into());
    }
    Ok(changes)
}

/// No record, no write. Should this line be the last of the run, it says what is known then, and an undo takes it.
fn intend(record: &mut Record) -> Result<(), End> {
    record.outcome = Outcome::Unverified;
    "about to write".clone_into(&mut record.why);
    let intent = serde_json::to_string(record)
        .map_err(|_| end(Outcome::Failed, "a record of the write could not be made: nothing was written"))?;
    tracing::info!(target: EVIDENCE, record = intent.as_str(), "{}: {}: about to write", record.control, record.resource.id);
    Ok(())
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

/// Where a request wants the resource to be.
enum Aim<C: Control> {
    /// At its desired state.
    Fix,
    /// Back where it was before a fix.
    Undo { before: C::State, after: C::State },
}

impl<C: Control> Aim<C> {
    fn of(request: &Request<C>, record: &mut Record) -> Result<Self, End> {
        let Order::Undo(past) = &request.order else { return Ok(Self::Fix) };
        record.undoes = Some(past.id.clone());
        if !matches!(past.outcome, Outcome::Fixed | Outcome::PartlyFixed | Outcome::Unverified | Outcome::Undone) {
            let why =
                format!("the record says {}: nothing was written, so there is nothing to undo", past.outcome.name());
            return Err(Refusal { by: "nothing-done".to_owned(), why }.into());
        }
        let Past { before, after, .. } = &**past;
        Ok(Self::Undo { before: state(before, "before")?, after: state(after, "after")? })
    }

    fn state(&self, now: &C::State) -> C::State {
        match self {
            Self::Fix => C::desired(now),
            Self::Undo { before, .. } => C::restored(before),
        }
    }

    fn reached(&self, now: &C::State) -> bool {
        C::changes(now, &self.state(now)).is_empty()
    }

    fn remaining(&self, now: &C::State) -> Vec<Value> {
        C::changes(now, &self.state(now)).iter().map(value).collect()
    }

    fn nothing_to_do(&self) -> End {
        match self {
            Self::Fix => end(Outcome::Compliant, "it is as it ought to be"),
            // Not `compliant`: what an undo leads to may well be open.
            Self::Undo { .. } => end(Outcome::Undone, "it is already as it was before; nothing was written"),
        }
    }

    /// An undo is for the state that the fix left. If somebody changed the resource since, theirs is the last word.
    fn not_moved_on(&self, request: &Request<C>, now: &C::State) -> Result<(), Refusal> {
        let Self::Undo { after, .. } = self else { return Ok(()) };
        if C::changes(now, after).is_empty() || gate::overridden(request, "moved-on") {
            return Ok(());
        }
        let why = "the resource was changed since the record was made; look at it, and to undo all the same, add \
                   \"override\": [\"moved-on\"] to the request";
        Err(Refusal { by: "moved-on".to_owned(), why: why.to_owned() })
    }
}

/// A cloud, where in it the resource is, and until when.
struct At<'a, C: Control, K> {
    cloud: &'a K,
    place: Place<C::Target>,
    occasion: Occasion,
    run: &'a Run<'a>,
    control: PhantomData<C>,
}

impl<C: Control, K: Cloud<C>> At<'_, C, K> {
    async fn observe(&self) -> Result<Option<C::State>, Fault> {
        within(self.run, self.cloud.observe(&self.place, &self.occasion)).await
    }

    /// Whether AWS would let us make these writes: the first no, or a yes if it answered for every one.
    async fn rehearse(&self, changes: &[C::Change]) -> Result<bool, Fault> {
        let mut answered = true;
        for change in changes {
            answered &= within(self.run, self.cloud.rehearse(&self.place, change)).await?;
        }
        Ok(answered)
    }

    async fn write(&self, change: &C::Change) -> Result<(), Fault> {
        let mut waits = CONFLICT.iter();
        loop {
            match within(self.run, self.cloud.apply(&self.place, change)).await {
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

/// What was to be written, and how far it got.
struct Written<'a, C: Control> {
    aim: &'a Aim<C>,
    before: &'a C::State,
    made: usize,
    fault: Option<Fault>,
}

/// Reads the resource back until it shows what was written, and says what became of it. A write whose answer was lost
/// may have happened: only the reading-back tells.
async fn verify<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
    record: &mut Record,
    done: &Written<'_, C>,
) -> Result<End, End> {
    // Such answers mean that the write was not made, and no patience makes it.
    let refused =
        matches!(done.fault, Some(Fault::Denied { .. } | Fault::GiveUp(_) | Fault::Gone | Fault::Elsewhere(_)));
    let looks = match &done.fault {
        None => READ_BACK,
        Some(_) if refused && done.made == 0 => READ_BACK.get(..1).unwrap_or_default(),
        Some(_) => READ_BACK.get(..3).unwrap_or_default(),
    };
    let mut last = None;
    let mut unread = None;
    for wait in looks {
        if *wait > 0 && !pause(at.run, *wait).await {
            break;
        }
        match at.observe().await {
            Ok(Some(now)) => {
                let reached = done.aim.reached(&now);
                last = Some(now);
                if reached {
                    break;
                }
            }
            Ok(None) => {
                record.after = None;
                record.undo.clear();
                return Err(end(Outcome::Gone, "the resource was deleted while we worked on it"));
            }
            Err(fault) => unread = Some(fault),
        }
    }
    match &done.fault {
        Some(fault) if refused && done.made == 0 => unwritten(record, done, last.as_ref(), fault),
        fault => written(record, done, last.as_ref(), fault.as_ref(), unread),
    }
}

/// The end of a run whose first write was refused.
fn unwritten<C: Control>(
    record: &mut Record,
    done: &Written<'_, C>,
    now: Option<&C::State>,
    fault: &Fault,
) -> Result<End, End> {
    let now = now.unwrap_or(done.before);
    record.after = Some(value(now));
    record.undo.clear();
    if done.aim.reached(now) {
        record.changes.clear();
        record.breaks.clear();
        let aim = done.aim.nothing_to_do();
        let why = format!("{}; somebody else saw to that, since our write was refused: {fault}", aim.why);
        return Ok(End { why, ..aim });
    }
    record.remaining = done.aim.remaining(now);
    Err(fault.clone().into())
}

/// The end of a run that wrote, or may have.
fn written<C: Control>(
    record: &mut Record,
    done: &Written<'_, C>,
    now: Option<&C::State>,
    fault: Option<&Fault>,
    unread: Option<Fault>,
) -> Result<End, End> {
    let retry = fault.is_some_and(Fault::is_worth_a_retry);
    let wrote = match fault {
        None => "written".to_owned(),
        Some(fault) => format!("{} of {} writes made; then: {fault}", done.made, record.changes.len()),
    };
    // An undo needs the state that was meant, and a stale reading is not it: `after` and `undo` stay as planned.
    let unverified = |what: &str| Err(End { retry: true, ..end(Outcome::Unverified, format!("{wrote}; but {what}")) });
    let Some(now) = now else {
        let why = unread.map_or("there was no time".to_owned(), |fault| fault.to_string());
        return unverified(&format!("it could not be read back: {why}"));
    };
    let moved = !C::changes(now, done.before).is_empty();
    if done.aim.reached(now) || moved {
        record.after = Some(value(now));
        record.undo = C::changes(now, &C::restored(done.before)).iter().map(value).collect();
    }
    if done.aim.reached(now) {
        let why =
            fault.map_or("read back and seen".to_owned(), |_| format!("{wrote}; all the same, read back and seen"));
        let Aim::Fix = done.aim else { return Ok(end(Outcome::Undone, why)) };
        if let Some(hindrance) = C::hindrance(now) {
            return Err(end(Outcome::PartlyFixed, format!("{why}, but that is not all: {}", hindrance.says)));
        }
        return Ok(end(Outcome::Fixed, why));
    }
    match fault {
        _ if moved => {
            record.remaining = done.aim.remaining(now);
            let what = if fault.is_some() { wrote } else { format!("{wrote}, but somebody changes it too") };
            Err(End { retry, ..end(Outcome::PartlyFixed, what) })
        }
        // Nothing was seen to change, and AWS said that it did nothing.
        Some(fault) if done.made == 0 && !matches!(fault, Fault::Lost(_)) => {
            record.after.clone_from(&record.before);
            record.undo.clear();
            record.remaining = done.aim.remaining(now);
            Err(fault.clone().into())
        }
        _ => unverified("the reading-back still shows the old state"),
    }
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
    let late = || Err(Fault::Lost("ran out of the function's time while waiting for AWS".to_owned()));
    if Instant::now() >= run.deadline {
        return late(); // a time-out lets its call begin, whatever the hour
    }
    timeout_at(run.deadline, call).await.unwrap_or_else(|_| late())
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
