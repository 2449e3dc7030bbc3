//! What a run has to do with the ledger: what it reads there before it decides, what it leaves there before and after it
//! writes, and what a death in between comes to.

use super::aim::Aim;
use super::{At, End, Run, end, guards, pause, planned, value};
use crate::control::{Cloud, Control, Scope};
use crate::event::{Order, Request};
use crate::fault::Fault;
use crate::gate::{self, Refusal};
use crate::log::EVIDENCE;
use crate::record::{Approved, Exempted, Outcome, Record};
use crate::settings::Mode;
use ledger::{
    Approval, ApprovalState, Budget, Covers, Exemption, Held, Ledger, Look, Noted, Spot, TAG, Trouble, Write,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::future::Future;
use tokio::time::timeout_at;
use triggers::Cause;
use triggers::ids::shown;

/// Waits for somebody else who is at work on the resource, in milliseconds. In sum longer than most fixes take, and shorter
/// than a lease: whoever died holding one is seen to by the next delivery of the event.
const OTHERS: &[u64] = &[100, 200, 400, 800, 1600, 3200, 6400];
/// Waits before a result is put into the ledger again.
const RESULT: &[u64] = &[100, 400, 1600, 6400];
/// The reason of an exemption that an undo makes, where the request gave none.
const UNDONE: &str = "it was undone by hand";

/// What a run knows of the ledger, and has in it.
#[derive(Default)]
pub(super) struct Session {
    look: Option<Result<Look, Trouble>>,
    held: Option<Held>,
    /// What is to be written with the note of how it ended.
    also: Vec<Write>,
    /// How many writes were counted against the budget.
    counted: usize,
}

/// Whether the resource is ours to write to.
pub(super) enum Holding {
    /// It is, and the intent is in the ledger.
    Held,
    /// Somebody else is at work on it, or was since we looked.
    Taken,
    /// It is not.
    Not(End),
}

pub(super) fn busy() -> End {
    let why = "another run is at work on it; the next delivery of the event looks again".to_owned();
    End { retry: true, ..Refusal { by: "busy".to_owned(), why }.into() }
}

pub(super) fn not_what_was_approved(what: &str) -> Refusal {
    let why = format!("what was approved is no longer what would be written: {what}; nothing was written");
    Refusal { by: "approval".to_owned(), why }
}

/// No record, no write.
fn unledgered(trouble: &Trouble) -> End {
    let why = format!("the ledger could not be used, and without a record nothing is written: {trouble}");
    End { retry: true, ..Refusal { by: "ledger".to_owned(), why }.into() }
}

fn spot<C: Control, K>(at: &At<'_, C, K>) -> Spot {
    let place = &at.place;
    Spot {
        control: C::ABOUT.id.to_owned(),
        account: place.account.clone(),
        region: (C::ABOUT.scope == Scope::Regional).then(|| place.region.clone()),
        resource_type: C::ABOUT.resource_type.to_owned(),
        resource: place.target.to_string(),
    }
}

async fn within<T>(run: &Run<'_>, call: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
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
        let (state, look) = tokio::join!(super::look(at, request, aim), within(at.run, ledger.look(&spot)));
        self.look = Some(look);
        state
    }

    /// What the ledger says; none without a ledger.
    async fn know<C: Control, K: Cloud<C>>(&mut self, at: &At<'_, C, K>) -> Result<Option<Look>, Trouble> {
        let Some(ledger) = at.run.ledger else { return Ok(None) };
        if self.look.is_none() {
            self.look = Some(within(at.run, ledger.look_again(&spot(at))).await);
        }
        self.look.clone().transpose()
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

    /// The gates that need to know the ledger, and the guards. Returns what is to be written into it with the intent.
    pub(super) async fn decide<C: Control, K: Cloud<C>>(
        &mut self,
        at: &At<'_, C, K>,
        request: &Request<C>,
        aim: &Aim<C>,
        before: &C::State,
        changes: &[C::Change],
        record: &mut Record,
    ) -> Result<Vec<Write>, End> {
        if self.look.is_none() {
            // One of many: the ledger was not asked yet, and what it has may be unfinished.
            let _ = self.know(at).await;
            self.recover(at, Some(before), record).await;
        }
        let look = match self.know(at).await {
            Ok(look) => look,
            Err(trouble) if matches!(request.order, Order::Fix(Some(Mode::Plan))) => {
                record.notes.push(format!("the ledger could not be read: {trouble}"));
                None
            }
            Err(trouble) => return Err(unledgered(&trouble)),
        };
        record.mode = gate::mode(request, at.run.settings, look.as_ref().map(|look| &look.deployment.posture))?;
        if record.mode != Mode::Plan {
            let Some(look) = &look else {
                return Err(unledgered(&Trouble::lasting(
                    "there is none; deploy it, and set SUTURE_LEDGER to its name",
                )));
            };
            gate::kill_switch(request, &look.deployment.posture)?;
        }
        let Some(look) = look else { return Err(plan(at, changes, record).await) };
        if !matches!(request.order, Order::Undo(_))
            && !gate::overridden(request, "exemption")
            && let Some(exemption) = exempted(at, &look, record).await?
        {
            record.after.clone_from(&record.before);
            let why = format!("{} answers for leaving it alone: {}", exemption.owner, exemption.reason);
            record.exemption = Some(exemption);
            return Err(end(Outcome::Exempt, why));
        }
        if record.mode == Mode::Plan {
            return Err(plan(at, changes, record).await);
        }
        if let Err(mut refusal) = gate::flapping(request, &look.standing, &at.run.settings.limits, at.run.clock()) {
            if let Some(owner) = at.tags().await.ok().and_then(|tags| managed_by(&tags)) {
                refusal.why = format!("{}; its tags say that it belongs to {owner}", refusal.why);
            }
            return Err(refusal.into());
        }
        guards(request, record)?;
        if look.standing.taken(at.run.clock(), &at.run.id).is_some() {
            return Ok(Vec::new()); // the intent will meet it, and wait
        }
        let mut also = Vec::new();
        match &request.order {
            Order::Undo(_) => also.extend(leave_alone(at, request, aim, &look, record).await?),
            Order::Approved(decided) => match approved(at, &look, decided, record)? {
                Some(used) => also.push(used),
                None => {
                    let asked = self.ask(at, &look, record).await;
                    let no = not_what_was_approved("its state or the writes are others by now");
                    let why = format!("{}; what would be written now {}", no.why, asked.why);
                    return Err(End { why, refused_by: Some(no.by), ..asked });
                }
            },
            Order::Fix(_) if record.mode == Mode::Approve => return Err(self.ask(at, &look, record).await),
            Order::Fix(_) => {}
        }
        Ok(also)
    }

    /// Stores the plan for a person to approve.
    async fn ask<C: Control, K: Cloud<C>>(&mut self, at: &At<'_, C, K>, look: &Look, record: &mut Record) -> End {
        let Some(ledger) = at.run.ledger else { return unledgered(&Trouble::lasting("there is none")) };
        let digest = Approval::digest_of(&look.spot, record.before.as_ref(), &record.changes);
        let id = Approval::id_of(&digest);
        let known = match within(at.run, ledger.approval(&id)).await {
            Ok(known) => known,
            Err(trouble) => return unledgered(&trouble),
        };
        let now = at.run.clock();
        let command = format!("suture approve {id}");
        if let Some((known, _)) = known.as_ref().filter(|(known, _)| known.expires > now) {
            let approval = Approved { id: id.clone(), by: known.by.clone(), expires: known.expires };
            match known.state {
                ApprovalState::Open => {
                    record.approval = Some(approval);
                    return end(Outcome::AwaitingApproval, format!("waits for approval: {command}"));
                }
                ApprovalState::Rejected => {
                    record.approval = Some(approval);
                    let by = known.by.as_deref().unwrap_or("somebody");
                    let why =
                        format!("{} rejected this very plan; until {} it is not asked again", shown(by), known.expires);
                    return Refusal { by: "rejected".to_owned(), why }.into();
                }
                // It came about again.
                ApprovalState::Approved => {}
            }
        }
        let expires = now + at.run.settings.limits.approval;
        record.approval = Some(Approved { id: id.clone(), by: None, expires });
        let asked = end(Outcome::AwaitingApproval, format!("waits for approval: {command}"));
        let mut shown = record.clone();
        shown.outcome = asked.outcome;
        shown.why.clone_from(&asked.why);
        let approval = Approval {
            id,
            digest,
            control: look.spot.control.clone(),
            resource: look.spot.resource.clone(),
            account: look.spot.account.clone(),
            region: at.place.region.clone(),
            record: value(&shown),
            function: at.run.settings.function.clone(),
            made_at: now,
            expires,
            state: ApprovalState::Open,
            by: None,
            decided_at: None,
        };
        self.also.push(Ledger::approval_write(&approval, known.map_or(0, |(_, version)| version)));
        asked
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
        if self.held.is_none() && look.standing.taken(now, &at.run.id).is_some() {
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

    /// Waits until nobody else is at work on the resource.
    pub(super) async fn wait<C: Control, K: Cloud<C>>(&mut self, at: &At<'_, C, K>) -> Result<(), End> {
        let Some(ledger) = at.run.ledger else { return Err(busy()) };
        for wait in OTHERS {
            if !pause(at.run, *wait).await {
                break;
            }
            let look = within(at.run, ledger.look_again(&spot(at))).await.map_err(|trouble| unledgered(&trouble))?;
            let taken = look.standing.taken(at.run.clock(), &at.run.id).is_some();
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
                    region: (C::ABOUT.scope == Scope::Regional).then(|| place.region.clone()),
                    resource_type: C::ABOUT.resource_type.to_owned(),
                    resource: place.target.to_string(),
                };
                match within(run, ledger.look_again(&spot)).await {
                    Ok(look) => look,
                    Err(trouble) => return missed(record, &trouble.to_string()),
                }
            }
        };
        let (noted, says) = (value(record), says(record));
        match within_refusal(run, ledger.note(&look, &noted, &says, self.also, run.clock())).await {
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
    let asked_for = matches!(request.order, Order::Fix(Some(Mode::Plan)));
    match record.outcome {
        Outcome::Planned => !asked_for,
        Outcome::AwaitingApproval | Outcome::Exempt | Outcome::Refused | Outcome::BlockedByOrganization => {
            !record.retry
        }
        Outcome::Failed => !record.retry,
        Outcome::PartlyFixed | Outcome::Unverified | Outcome::Fixed | Outcome::Undone => false,
        Outcome::Compliant | Outcome::Gone => false,
    }
}

/// What a record comes to, for telling whether it was said before. A gate that is shut is shut, whatever knocks.
fn says(record: &Record) -> Value {
    let by = record.refused_by.as_deref();
    if matches!(by, Some("kill-switch" | "flapping" | "budget" | "account" | "region")) {
        return json!([record.outcome, by]);
    }
    let event = record.cause.as_ref().and_then(|cause| cause.event_id.as_deref());
    let asked = record.approval.as_ref().map(|asked| (&asked.id, asked.expires.unix_timestamp()));
    json!([record.outcome, by, record.before, record.changes, asked, event])
}

/// Who or what undid the last fix, as far as the event tells.
fn undone_by(cause: &Cause) -> String {
    let actor = cause.actor.as_deref().unwrap_or("somebody");
    format!("{} ({})", shown(actor), shown(&cause.call))
}

/// What made the resource, by the tags that such tools leave.
fn managed_by(tags: &[(String, String)]) -> Option<String> {
    let tag = |wanted: &str| tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    if let Some(stack) = tag("aws:cloudformation:stack-name") {
        return Some(format!("the CloudFormation stack {}", shown(stack)));
    }
    let tool = ["managed-by", "managedby", "managed_by", "provisioner", "terraform", "pulumi:project"].iter();
    tool.into_iter().find_map(|key| tag(key).map(|value| format!("{} (tag {key})", shown(value))))
}

async fn plan<C: Control, K: Cloud<C>>(at: &At<'_, C, K>, changes: &[C::Change], record: &Record) -> End {
    let allowed = at.rehearse(changes).await;
    end(Outcome::Planned, planned(changes.len(), record, &allowed))
}

/// Whether the resource is tagged as holding health data.
fn is_phi<C: Control, K>(at: &At<'_, C, K>, tags: &[(String, String)]) -> bool {
    at.run.settings.phi_tag.as_ref().is_some_and(|phi| tags.contains(phi))
}

/// The exemption by which the resource is to be left alone, if there is one. What it depends on and cannot be read is a
/// refusal: neither to write nor to leave alone is ours to guess.
async fn exempted<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
    look: &Look,
    record: &mut Record,
) -> Result<Option<Exempted>, End> {
    let now = at.run.clock();
    let of = |exemption: &Exemption| exemption.covers(C::ABOUT.id, &look.spot.account, &look.spot.resource);
    let in_force =
        look.deployment.exemptions.iter().map(|(exemption, _)| exemption).filter(|each| each.is_in_force(now));
    let candidates: Vec<&Exemption> = in_force.filter(|each| of(each) != Covers::No).collect();
    let by_tag = look.deployment.posture.tags_exempt;
    if candidates.is_empty() && !by_tag {
        return Ok(None);
    }
    let depends = by_tag || C::ABOUT.exposes || !candidates.iter().any(|each| of(each) == Covers::Yes);
    let tags = if depends { at.tags().await } else { Ok(Vec::new()) };
    let tags = tags.map_err(|fault| {
        let why = format!("an exemption depends on its tags, and they could not be read: {fault}");
        End { retry: fault.is_worth_a_retry(), ..Refusal { by: "exemption".to_owned(), why }.into() }
    })?;
    let given = || tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let mut found = candidates.into_iter().find(|each| of(each) == Covers::Yes || each.wants(given())).cloned();
    if found.is_none()
        && by_tag
        && let Some((_, value)) = tags.iter().find(|(key, _)| key == TAG)
    {
        match Exemption::of_tag(value, &look.spot.account, &look.spot.resource) {
            Ok(own) if own.is_in_force(now) && of(&own) == Covers::Yes => found = Some(own),
            Ok(own) if own.is_in_force(now) => {}
            Ok(_) => record.notes.push(format!("the exemption of its tag {TAG} has ended")),
            Err(why) => record.notes.push(why),
        }
    }
    let Some(found) = found else { return Ok(None) };
    if C::ABOUT.exposes && is_phi(at, &tags) {
        record.notes.push(format!(
            "the exemption {} does not hold: the resource is tagged as holding health data, and nobody exempts that from \
             being closed",
            found.id
        ));
        return Ok(None);
    }
    Ok(Some(Exempted { id: found.id, owner: found.owner, reason: found.reason, expires: found.expires }))
}

/// What an undo leaves in the ledger besides its record: that the control is to leave the resource as it is now, for a while.
async fn leave_alone<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
    request: &Request<C>,
    aim: &Aim<C>,
    look: &Look,
    record: &mut Record,
) -> Result<Option<Write>, End> {
    let (Order::Undo(past), Aim::Undo { before, .. }) = (&request.order, aim) else { return Ok(None) };
    let undoes = |each: &&(Exemption, u64)| each.0.undo.as_deref() == Some(&past.id);
    if !aim.loosens(&C::restored(before)) {
        // It takes an undo back; then the control need not look away any longer.
        let end = |(exemption, version): &(Exemption, u64)| Ledger::unexempt_write(&exemption.id, *version);
        return Ok(look.deployment.exemptions.iter().find(undoes).map(end));
    }
    if C::ABOUT.exposes {
        let tags = at.tags().await.map_err(|fault| {
            let why = format!("whether it holds health data could not be read: {fault}");
            End { retry: fault.is_worth_a_retry(), ..Refusal { by: "phi".to_owned(), why }.into() }
        })?;
        if is_phi(at, &tags) {
            if !gate::overridden(request, "phi") {
                let why = "it is tagged as holding health data, and the undo would open it to the public; to do it all \
                           the same, add \"override\": [\"phi\"] to the request, and expect the next look to close it again"
                    .to_owned();
                return Err(Refusal { by: "phi".to_owned(), why }.into());
            }
            record
                .notes
                .push("it holds health data, so no exemption is made: the next look closes it again".to_owned());
            return Ok(None);
        }
    }
    if past.leave_alone.is_zero() {
        return Ok(None);
    }
    let now = at.run.clock();
    let expires = now + past.leave_alone;
    record.left_alone_until = Some(expires);
    let exemption = Exemption {
        id: format!("undo-{}", record.id),
        control: Some(look.spot.control.clone()),
        account: Some(look.spot.account.clone()),
        resource: Some(look.spot.resource.clone()),
        tag: None,
        owner: request.asked_by.clone().unwrap_or_else(|| "whoever undid it".to_owned()),
        reason: request.reason.clone().unwrap_or_else(|| UNDONE.to_owned()),
        expires,
        made_at: now,
        made_by: request.asked_by.clone(),
        undo: Some(record.id.clone()),
        ended: false,
    };
    Ok(Some(Ledger::exemption_write(&exemption, 0)))
}

/// What an approved plan leaves in the ledger with its intent: that it was used. It is used once. None if it is no longer the
/// plan.
fn approved<C: Control, K>(
    at: &At<'_, C, K>,
    look: &Look,
    decided: &crate::event::Decided,
    record: &mut Record,
) -> Result<Option<Write>, End> {
    let now = at.run.clock();
    let mut approval = decided.approval.clone();
    record.approval =
        Some(Approved { id: approval.id.clone(), by: Some(decided.by.clone()), expires: approval.expires });
    if !approval.is_open(now) {
        let what = if approval.expires <= now { "it has expired" } else { "it was decided already" };
        return Err(Refusal {
            by: "approval".to_owned(),
            why: format!("the plan {} cannot be approved: {what}", approval.id),
        }
        .into());
    }
    if Approval::digest_of(&look.spot, record.before.as_ref(), &record.changes) != approval.digest {
        return Ok(None);
    }
    approval.state = ApprovalState::Approved;
    approval.by = Some(decided.by.clone());
    approval.decided_at = Some(now);
    Ok(Some(Ledger::approval_write(&approval, decided.version)))
}

/// Says what became of a record whose writer died; the ledger as it is then. None if there is no such record.
async fn recover<C: Control>(
    ledger: &Ledger,
    look: &Look,
    run: &Run<'_>,
    now: Option<&C::State>,
    record: &mut Record,
) -> Result<Option<Look>, Trouble> {
    let Some(item) = within(run, ledger.unfinished(look, run.clock(), &run.id)).await? else { return Ok(None) };
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
            (Outcome::Failed, "whoever was to write it ended early, and nothing of it is to be seen")
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
    let look = within(run, ledger.close(look, &item, &body)).await?;
    let json = body.to_string();
    tracing::warn!(target: EVIDENCE, record = json.as_str(), "{}: {}: {why}", record.control, record.resource.id);
    Ok(Some(look))
}
