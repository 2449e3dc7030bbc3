//! Reading back what was written, and saying what became of it.

use super::aim::Aim;
use super::keep::Session;
use super::{At, End, READ_BACK, end, pause, value};
use crate::control::{Cloud, Control};
use crate::fault::Fault;
use crate::record::{Outcome, Record};

/// What was to be written, and how far it got.
pub(super) struct Written<'a, C: Control> {
    pub(super) aim: &'a Aim<C>,
    pub(super) before: &'a C::State,
    pub(super) made: usize,
    pub(super) fault: Option<Fault>,
}

/// Reads the resource back until it shows what was written, and says what became of it. A write whose answer was lost
/// may have happened: only the reading-back tells.
pub(super) async fn verify<C: Control, K: Cloud<C>>(
    at: &At<'_, C, K>,
    record: &mut Record,
    done: &Written<'_, C>,
    session: &mut Session,
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
        // Nobody else is to work on it while we look.
        if !at.is_leased_for(*wait) && !session.renew(at, record).await {
            break;
        }
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
