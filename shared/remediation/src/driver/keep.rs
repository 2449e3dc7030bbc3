//! What a run has to do with the ledger: what it reads there, what it leaves there before and after it writes, and what a
//! death in between comes to.

use super::aim::Aim;
use super::decide::{lasting, not_what_was_approved};
use super::{At, End, Run, end, pause, value};
use crate::control::{Cloud, Control, Scope};
use crate::event::{Order, Request};
use crate::fault::Fault;
use crate::gate::{self, Refusal};
use crate::log::EVIDENCE;
use crate::record::{Outcome, Record};
use crate::settings::Mode;
use ledger::{Budget, Held, Ledger, Look, Noted, Spot, Trouble, Write};
use serde::Deserialize;
use serde_json::{Value, json};
use std::future::Future;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};
use triggers::Cause;

/// Waits for somebody else who is at work on the resource, in milliseconds. In sum longer than most fixes take, and shorter
/// than a lease: whoever died holding one is seen to by the next delivery of the event.
const OTHERS: &[u64] = &[100, 200, 400, 800, 1600, 3200, 6400];
/// What was read is never too old before this: a look at the resource may take as long.
const FRESH: Duration = Duration::from_secs(5);
/// Waits before a result is put into the ledger again.
const RESULT: &[u64] = &[100, 400, 1600, 6400];

/// What a run knows of the ledger, and has in it.
#[derive(Default)]
pub(super) struct Session {
    pub(super) look: Option<Result<Look, Trouble>>,
    /// When that was asked, by the runtime's clock and by the wall's.
    asked: Option<(Instant, SystemTime)>,
    held: Option<Held>,
    /// What is to be written with the note of how it ended.
    pub(super) also: Vec<Write>,
    /// How many writes were counted against the budget.
    counted: usize,
}

/// Whether the resource is ours to write to.
pub(super) enum Holding {
    /// It is, and the intent is in the ledger.
    Held,
    /// Somebody else is at work on it, or was since we looked, or may have been: it was long ago.
    Taken,
    /// It is not.
    Not(End),
}

pub(super) fn busy() -> End {
    let why = "another run is at work on it; the next delivery of the event looks again".to_owned();
    End { retry: true, ..Refusal { by: "busy".to_owned(), why }.into() }
}

/// No record, no write.
pub(super) fn unledgered(trouble: &Trouble) -> End {
    let why = format!("the ledger could not be used, and without a record nothing is written: {trouble}");
    End { retry: true, ..Refusal { by: "ledger".to_owned(), why }.into() }
}

fn spot<C: Control, K>(at: &At<'_, C, K>) -> Spot {
    let place = &at.place;
    Spot {
        control: C::ABOUT.id.to_owned(),
        account: place.account.clone(),
        region: (C::ABOUT.scope != Scope::Global).then(|| place.region.clone()),
        resource_type: C::ABOUT.resource_type.to_owned(),
        resource: place.target.to_string(),
    }
}

pub(super) async fn within<T>(run: &Run<'_>, call: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout_at(run.deadline, call).await.unwrap_or_else(|_| {
        let why = "no answer in the function's time".to_owned();
        Err(Trouble::Away { why, retry: true, perhaps: true })
    })
}

impl Session {
    /// Observes the resource and reads the ledger beside it.
    pub(super) async fn see<C: Control, K: Cloud<C>>(
        &mut self,
        at: &At<'_, C, K>,
        request: &Request<C>,
        aim: &Aim<C>,
    ) -> Result<Option<C::State>, Fault> {
        self.look = None;
        let Some(ledger) = at.run.ledger.filter(|_| !at.run.one_of_many) else {
            return super::look(at, request, aim).await;
        };
        let spot = spot(at);
        self.asks();
        let (state, look) = tokio::join!(super::look(at, request, aim), within(at.run, ledger.look(&spot)));
        self.look = Some(look);
        state
    }

    /// What the ledger says; none without a ledger.
    pub(super) async fn know<C: Control, K: Cloud<C>>(&mut self, at: &At<'_, C, K>) -> Result<Option<Look>, Trouble> {
        let Some(ledger) = at.run.ledger else { return Ok(None) };
        if self.look.is_none() {
            self.asks();
            self.look = Some(within(at.run, ledger.look_again(&spot(at))).await);
        }
        self.look.clone().transpose()
    }

    fn asks(&mut self) {
        self.asked = Some((Instant::now(), SystemTime::now()));
    }

    /// Whether what was read is too old to begin writing by: whoever was put to sleep since (a closed laptop, a frozen machine)
    /// may have slept through a stop. As old as this and with a lease from then on, the last write begins within a lease.
    fn is_old(&self, lease: Duration) -> bool {
        let most = lease.mul_f64(super::MARGIN).max(FRESH);
        let young =
            |(at, wall): (Instant, SystemTime)| at.elapsed() <= most && wall.elapsed().is_ok_and(|age| age <= most);
        !self.asked.is_some_and(young)
    }

    /// Says what became of a record whose writer died, now that the resource was looked at.
    pub(super) async fn recover<C: Control, K: Cloud<C>>(
        &mut self,
        at: &At<'_, C, K>,
        now: Option<&C::State>,
        record: &mut Record,
    ) {
        let (Some(ledger), Some(Ok(look))) = (at.run.ledger, &self.look) else { return };
        let look = match recover::<C>(ledger, look, at.run, now, record).await {
            Ok(None) => return,
            Ok(Some(look)) => Ok(look),
            Err(Trouble::Conflict(_)) => within(at.run, ledger.look(&spot(at))).await,
            Err(trouble) => Err(trouble),
        };
        self.look = Some(look);
    }

    /// Puts the intent into the ledger: lease, record and budget, all or none.
    pub(super) async fn hold<C: Control, K: Cloud<C>>(
        &mut self,
        at: &At<'_, C, K>,
        request: &Request<C>,
        made: usize,
        to_make: usize,
        also: Vec<Write>,
        record: &mut Record,
    ) -> Holding {
        let (Some(ledger), Some(Ok(look))) = (at.run.ledger, &self.look) else {
            return Holding::Not(unledgered(&Trouble::lasting("it was not read")));
        };
        let now = at.run.clock();
        if self.held.is_none() && (look.standing.taken(now).is_some() || self.is_old(ledger.lease())) {
            return Holding::Taken;
        }
        let limits = &at.run.settings.limits;
        let more = (made + to_make).saturating_sub(self.counted);
        let unattended = matches!(request.order, Order::Fix(_)) && !gate::overridden(request, "budget");
        let add = u64::try_from(more).unwrap_or(u64::MAX);
        if unattended && add > 0 && !at.run.spent.add(add, limits.per_invocation) {
            let what = format!("the budget of {} writes for one invocation", limits.per_invocation);
            return Holding::Not(self.over(ledger, at, &what, to_make).await);
        }
        let budget = (unattended && add > 0).then_some(Budget { add, per_hour: limits.per_hour });
        record.outcome = Outcome::Unverified;
        INTENT.clone_into(&mut record.why);
        let intent = value(record);
        let held = match &self.held {
            None => within_refusal(at.run, ledger.intend(look, &intent, budget, also, now)).await,
            Some(held) => match within_refusal(at.run, ledger.intend_again(held, &intent, budget, now)).await {
                // We were too slow, and it is somebody else's by now; what was written under the lease is in the record.
                Err(ledger::Refusal::Taken) => return Holding::Not(busy()),
                held => held,
            },
        };
        match held {
            Ok(held) => {
                self.held = Some(held);
                self.counted += more;
                Holding::Held
            }
            Err(ledger::Refusal::Taken) => Holding::Taken,
            Err(ledger::Refusal::Spent) => {
                let what = format!("the budget of {} writes an hour", limits.per_hour);
                Holding::Not(self.over(ledger, at, &what, to_make).await)
            }
            Err(ledger::Refusal::Also) => {
                Holding::Not(not_what_was_approved("somebody else has decided or changed it meanwhile").into())
            }
            Err(ledger::Refusal::Trouble(trouble)) => Holding::Not(unledgered(&trouble)),
        }
    }

    async fn over<C: Control, K: Cloud<C>>(
        &self,
        ledger: &Ledger,
        at: &At<'_, C, K>,
        what: &str,
        writes: usize,
    ) -> End {
        if let Err(trouble) = within(at.run, ledger.reached(C::ABOUT.id, at.run.clock())).await {
            tracing::warn!("{}: the budget was reached, which the ledger could not be told: {trouble}", C::ABOUT.id);
        }
        let why = format!(
            "{what} for {} does not hold {writes} more: planned, not written; look at why there are so many, then add \
             \"override\": [\"budget\"] to a manual request",
            C::ABOUT.id
        );
        End { refused_by: Some("budget".to_owned()), ..end(Outcome::Planned, why) }
    }

    /// Makes the lease last longer, for a reading-back that takes long; false if it is no longer ours.
    pub(super) async fn renew<C: Control, K: Cloud<C>>(&mut self, at: &At<'_, C, K>, record: &Record) -> bool {
        let (Some(ledger), Some(held)) = (at.run.ledger, &self.held) else { return false };
        let intent = value(record);
        match within_refusal(at.run, ledger.intend_again(held, &intent, None, at.run.clock())).await {
            Ok(held) => {
                self.held = Some(held);
                at.lease();
                true
            }
            Err(_) => false,
        }
    }

    /// Waits until nobody else is at work on the resource.
    pub(super) async fn wait<C: Control, K: Cloud<C>>(&mut self, at: &At<'_, C, K>) -> Result<(), End> {
        let Some(ledger) = at.run.ledger else { return Err(busy()) };
        for wait in OTHERS {
            if !pause(at.run, *wait).await {
                break;
            }
            self.asks();
            let look = within(at.run, ledger.look_again(&spot(at))).await.map_err(|trouble| unledgered(&trouble))?;
            let taken = look.standing.taken(at.run.clock()).is_some();
            self.look = Some(Ok(look));
            if !taken {
                return Ok(());
            }
        }
        Err(busy())
    }

    /// Leaves in the ledger how it ended: the result in the place of the intent, or a note of what was no write.
    pub(super) async fn keep<C: Control>(mut self, request: &Request<C>, run: &Run<'_>, record: &mut Record) {
        let Some(ledger) = run.ledger else { return };
        if let Some(held) = self.held.take() {
            let brought_back = matches!(request.order, Order::Fix(_) | Order::Approved(_)) && record.outcome.wrote();
            let by = brought_back.then(|| request.cause.as_ref().map(undone_by));
            let window = run.settings.limits.flap_window;
            let mut waits = RESULT.iter();
            while let Err(trouble) =
                within(run, ledger.finish(held.clone(), &value(record), by.clone(), window, run.clock())).await
            {
                let again =
                    trouble.is_worth_a_retry() && trouble != Trouble::Conflict(0) && trouble != Trouble::Conflict(1);
                if let Some(wait) = waits.next().filter(|_| again)
                    && pause(run, *wait).await
                {
                    continue;
                }
                // The intent is there. The next run on the resource says what became of it.
                let line = format!("the ledger has the intent of this record, and not how it ended: {trouble}");
                tracing::warn!(target: EVIDENCE, "{}: {}: {line}", record.control, record.resource.id);
                record.notes.push(line);
                record.retry = true;
                return;
            }
            return;
        }
        let attention = self.look.as_ref().is_some_and(|look| look.as_ref().is_ok_and(|look| look.standing.attention));
        let over = attention && matches!(record.outcome, Outcome::Compliant | Outcome::Gone);
        if !over && !worth_noting(request, record) {
            return;
        }
        let look = match self.look {
            Some(Ok(look)) => look,
            Some(Err(_)) => return missed(record, "it could not be read"),
            None => {
                let place = &request.place;
                let spot = Spot {
                    control: C::ABOUT.id.to_owned(),
                    account: place.account.clone(),
                    region: (C::ABOUT.scope != Scope::Global).then(|| place.region.clone()),
                    resource_type: C::ABOUT.resource_type.to_owned(),
                    resource: place.target.to_string(),
                };
                match within(run, ledger.look_again(&spot)).await {
                    Ok(look) => look,
                    Err(trouble) => return missed(record, &trouble.to_string()),
                }
            }
        };
        let gist = gist::<C>(record);
        let event = record.cause.as_ref().and_then(|cause| cause.event_id.clone());
        let says = json!([gist, event.filter(|_| !is_shut(record))]);
        match within_refusal(run, ledger.note(&look, &value(record), &says, &gist, self.also, run.clock())).await {
            Ok(Noted::New | Noted::Known) | Err(ledger::Refusal::Also) => {}
            Err(ledger::Refusal::Trouble(trouble)) => missed(record, &trouble.to_string()),
            Err(ledger::Refusal::Taken | ledger::Refusal::Spent) => missed(record, "it was busy"),
        }
    }
}

/// What an intent says of how it ended.
pub(super) const INTENT: &str = "about to write";

async fn within_refusal<T>(
    run: &Run<'_>,
    call: impl Future<Output = Result<T, ledger::Refusal>>,
) -> Result<T, ledger::Refusal> {
    timeout_at(run.deadline, call).await.unwrap_or_else(|_| {
        let why = "no answer in the function's time".to_owned();
        Err(ledger::Refusal::Trouble(Trouble::Away { why, retry: true, perhaps: true }))
    })
}

/// A record that the ledger has not: somebody must hear of it, so the event is to come again.
fn missed(record: &mut Record, why: &str) {
    record.notes.push(format!("the ledger has no record of this: {why}"));
    record.retry = true;
}

/// Whether people will want to know that this was found, later. What is tried again is recorded when it ended.
fn worth_noting<C: Control>(request: &Request<C>, record: &Record) -> bool {
    // A plan that somebody asked for is shown and not kept, whatever came of it: a look leaves nothing behind.
    if matches!(request.order, Order::Fix(Some(Mode::Plan))) {
        return false;
    }
    match record.outcome {
        Outcome::Planned => true,
        Outcome::AwaitingApproval | Outcome::Exempt | Outcome::Refused | Outcome::BlockedByOrganization => {
            !record.retry
        }
        Outcome::Failed => !record.retry,
        // Either they have an intent, whose result is kept by itself, or nothing was to be done.
        Outcome::PartlyFixed
        | Outcome::Unverified
        | Outcome::Fixed
        | Outcome::Undone
        | Outcome::Compliant
        | Outcome::Gone => false,
    }
}

/// Whether it was a gate that is shut whatever knocks.
fn is_shut(record: &Record) -> bool {
    matches!(record.refused_by.as_deref(), Some("kill-switch" | "flapping" | "budget" | "account" | "region"))
}

/// What a record comes to, whoever caused it.
fn gist<C: Control>(record: &Record) -> Value {
    let by = record.refused_by.as_deref();
    if is_shut(record) {
        return json!([record.outcome, by]);
    }
    let asked = record.approval.as_ref().map(|asked| (&asked.id, asked.expires.unix_timestamp()));
    json!([record.outcome, by, lasting::<C>(record), record.changes, asked])
}

/// A text from outside as it can be kept: short, and without anything that is not to be seen.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Who or what undid the last fix, as far as the event tells.
fn undone_by(cause: &Cause) -> String {
    let actor = plain(cause.actor.as_deref().unwrap_or("somebody"));
    let by = cause.agent.as_deref().map(|agent| format!(" by {}", plain(agent))).unwrap_or_default();
    format!("{actor} ({}{by})", plain(&cause.call))
}

/// Says what became of a record whose writer died; the ledger as it is then. None if there is no such record.
async fn recover<C: Control>(
    ledger: &Ledger,
    look: &Look,
    run: &Run<'_>,
    now: Option<&C::State>,
    record: &mut Record,
) -> Result<Option<Look>, Trouble> {
    let Some(item) = within(run, ledger.unfinished(look, run.clock())).await? else { return Ok(None) };
    let mut body = item.body.clone();
    let state = |field: &str| body.get(field).and_then(|state| C::State::deserialize(state).ok());
    let same = |state: Option<C::State>| state.zip(now).is_some_and(|(state, now)| C::changes(now, &state).is_empty());
    let undo = body.get("undoes").is_some_and(|undoes| !undoes.is_null());
    let (outcome, why) = match now {
        None => (Outcome::Unverified, "whoever was to write it ended early, and the resource is gone"),
        Some(_) if same(state("after")) => {
            let done = if undo { Outcome::Undone } else { Outcome::Fixed };
            (done, "whoever wrote it ended early; read back and seen by the next run")
        }
        Some(_) if same(state("before")) => {
            // Written and undone again by somebody, or never written: nobody can tell.
            (Outcome::Unverified, "whoever was to write it ended early, and the resource is as it was before")
        }
        Some(_) => (Outcome::Unverified, "whoever was to write it ended early, and the resource is in another state"),
    };
    if let Some(fields) = body.as_object_mut() {
        fields.insert("outcome".to_owned(), value(&outcome));
        fields.insert("why".to_owned(), why.into());
        if let Some(now) = now {
            fields.insert("after".to_owned(), value(now));
        }
    }
    let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
    if id.starts_with(&record.id) {
        // An earlier try of this very request: the two are two records.
        record.id = format!("{id}-again");
    }
    let look = within(run, ledger.close(look, &item, &body, run.clock())).await?;
    let json = body.to_string();
    tracing::warn!(target: EVIDENCE, record = json.as_str(), "{}: {}: {why}", record.control, record.resource.id);
    Ok(Some(look))
}
