//! The gates that need to know the ledger, in their order: kill switch, exemption, mode, flapping, the control's own guards,
//! approval. Whoever passes them may write; the budget is counted with the intent.

use super::aim::Aim;
use super::keep::{Session, unledgered, within};
use super::{At, End, end, guards, planned, value};
use crate::control::{Cloud, Control};
use crate::event::{Order, Request};
use crate::gate::{self, Refusal};
use crate::record::{Approved, Exempted, Outcome, Record};
use crate::settings::Mode;
use ledger::{Approval, ApprovalState, Covers, Exemption, Ledger, Look, TAG, Trouble, Write};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use triggers::ids::shown;

/// The reason of an exemption that an undo makes, where the request gave none.
const UNDONE: &str = "it was undone by hand";

impl Session {
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
        let mode = gate::mode(request, at.run.settings, look.as_ref().map(|look| &look.deployment.posture));
        if let Ok(mode) = mode {
            record.mode = mode;
        }
        if mode != Ok(Mode::Plan) {
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
        mode?;
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
        if look.standing.taken(at.run.clock()).is_some() {
            return Ok(Vec::new()); // the intent will meet it, and wait
        }
        let mut also = Vec::new();
        match &request.order {
            Order::Undo(_) => also.extend(leave_alone(at, request, aim, &look, record).await?),
            Order::Approved(decided) => {
                let Some(used) = approved(at, &look, decided, record)? else {
                    let asked = self.ask(at, &look, record).await;
                    let no = not_what_was_approved("its state or the writes are others by now");
                    let why = format!("{}; what would be written now {}", no.why, asked.why);
                    return Err(End { why, refused_by: Some(no.by), ..asked });
                };
                also.push(used);
            }
            Order::Fix(_) if record.mode == Mode::Approve => return Err(self.ask(at, &look, record).await),
            Order::Fix(_) => {}
        }
        Ok(also)
    }

    /// Stores the plan for a person to approve.
    async fn ask<C: Control, K: Cloud<C>>(&mut self, at: &At<'_, C, K>, look: &Look, record: &mut Record) -> End {
        let Some(ledger) = at.run.ledger else { return unledgered(&Trouble::lasting("there is none")) };
        let digest = Approval::digest_of(&look.spot, lasting::<C>(record).as_ref(), &record.changes);
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
        let expires = whole(now + at.run.settings.limits.approval);
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
}

pub(super) fn not_what_was_approved(what: &str) -> Refusal {
    let why = format!("what was approved is no longer what would be written: {what}; nothing was written");
    Refusal { by: "approval".to_owned(), why }
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

/// A time without the parts of a second that nobody reads.
fn whole(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

/// The state that was found, without what changes by itself.
pub(super) fn lasting<C: Control>(record: &Record) -> Option<Value> {
    let before = record.before.as_ref()?;
    Some(C::State::deserialize(before).map_or_else(|_| before.clone(), |state| value(&C::lasting(&state))))
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
    let expires = whole(now + past.leave_alone);
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
    if Approval::digest_of(&look.spot, lasting::<C>(record).as_ref(), &record.changes) != approval.digest {
        return Ok(None);
    }
    approval.state = ApprovalState::Approved;
    approval.by = Some(decided.by.clone());
    approval.decided_at = Some(now);
    Ok(Some(Ledger::approval_write(&approval, decided.version)))
}
