//! Requests that name what the ledger has: a record to undo, a plan to approve or to reject. And who asks.

use super::{Answer, Invocation};
use crate::control::{Control, Place};
use crate::event::{Decided, Order, Request};
use crate::fault::Fault;
use ledger::{Approval, Trouble};
use triggers::ids::shown;
use triggers::{Decision, Manual, Notice};

/// What a notice turned out to ask for.
pub(super) enum Recalled<C: Control> {
    /// Nothing that the ledger has; the notice says it all, by now.
    Nothing,
    /// This.
    Work(Box<Request<C>>),
    /// Something that is done.
    Done,
}

/// Why what a notice names could not be had.
pub(super) enum Missing {
    /// It may be had later.
    Retry(String),
    /// There is no such thing, or it is not this function's.
    Rejected(String),
}

/// Looks up what a manual request names by its id, and who sent it.
pub(super) async fn recall<C: Control, K>(
    invocation: &Invocation<'_, K>,
    notice: &mut Notice,
    answer: &mut Answer,
) -> Result<Recalled<C>, Missing> {
    let Some(manual) = notice.manual.as_mut() else { return Ok(Recalled::Nothing) };
    if let Some(proof) = manual.caller.take() {
        let purpose = manual.purpose();
        let caller = invocation.tools.callers.identify(&proof, &purpose).await;
        let unknown = |fault: Fault| {
            let why = format!("who sent the request could not be told: {fault}");
            if fault.is_worth_a_retry() { Missing::Retry(why) } else { Missing::Rejected(why) }
        };
        manual.asked_by = Some(caller.map_err(unknown)?);
    }
    if manual.recall.is_none() && manual.decision.is_none() {
        return Ok(Recalled::Nothing);
    }
    let Some(ledger) = &invocation.tools.ledger else {
        return Err(Missing::Rejected(
            "the request names something by its id, and there is no ledger to find it in".to_owned(),
        ));
    };
    let trouble = |trouble: Trouble| {
        let why = trouble.to_string();
        if trouble.is_worth_a_retry() { Missing::Retry(why) } else { Missing::Rejected(why) }
    };
    if let Some(id) = manual.recall.take() {
        // Its role could not look the record up either.
        if let Some(function) = &invocation.settings.undo_function {
            let why = format!("this function may not take anything back; send the request to the function {function}");
            return Err(Missing::Rejected(why));
        }
        let record = ledger.record(&id).await.map_err(trouble)?;
        let record = record.ok_or_else(|| {
            Missing::Rejected(format!(
                "the ledger has no record {}; suture history shows a resource's records",
                shown(&id)
            ))
        })?;
        manual.record = Some(record);
        return Ok(Recalled::Nothing);
    }
    let Some(decision) = manual.decision.clone() else { return Ok(Recalled::Nothing) };
    let (Decision::Approve(id) | Decision::Reject(id)) = &decision;
    let found = ledger.approval(id).await.map_err(trouble)?;
    let (approval, version) =
        found.ok_or_else(|| Missing::Rejected(format!("no plan {} waits for approval", shown(id))))?;
    if approval.control != C::ABOUT.id {
        let why = format!(
            "the plan {} is of control {}, and this function is {}",
            shown(id),
            shown(&approval.control),
            C::ABOUT.id
        );
        return Err(Missing::Rejected(why));
    }
    let by = manual.asked_by.clone().ok_or_else(|| {
        let why = "who decides on a plan has to be known: send it by suture approve or suture reject, which add the caller's proof";
        Missing::Rejected(why.to_owned())
    })?;
    if let Decision::Reject(id) = &decision {
        let rejected = ledger.reject(id, &by, time::OffsetDateTime::now_utc()).await.map_err(trouble)?;
        answer.decided.extend(rejected);
        return Ok(Recalled::Done);
    }
    request::<C>(manual, approval, version, by).map(Recalled::Work).map_err(Missing::Rejected)
}

fn request<C: Control>(
    manual: &Manual,
    approval: Approval,
    version: u64,
    by: String,
) -> Result<Box<Request<C>>, String> {
    Ok(Box::new(Request {
        named: approval.resource.clone(),
        place: Place {
            account: approval.account.clone(),
            region: approval.region.clone(),
            target: C::target(&approval.resource)?,
        },
        trigger: triggers::Trigger::Manual,
        cause: None,
        call: None,
        rule: None,
        announces_drift: false,
        reason: manual.reason.clone(),
        asked_by: Some(by.clone()),
        overrides: manual.overrides.clone(),
        order: Order::Approved(Box::new(Decided { approval, version, by })),
    }))
}
