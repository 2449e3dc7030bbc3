//! What is said about the deployment itself: its settings, exemptions, budgets, approvals.

use crate::words::{self, Lines, name, time};
use crate::{Context, Message, commands};
use ledger::{Approval, ApprovalState, Exemption, Mode, Posture};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How many controls' modes a message lists.
const CONTROLS: usize = 60;

/// What changed in the live settings.
pub(crate) fn posture(before: &Posture, after: &Posture, context: &Context<'_>) -> Option<Message> {
    let mut lines = Lines::default();
    let mut subject = None;
    match (&before.stop, &after.stop) {
        (None, Some(_)) => {
            subject = Some("Suture was stopped: it writes nothing until it is resumed");
            lines.line("Stopped: Suture writes nothing, anywhere, until it is resumed. Drift stays where it is.");
        }
        (Some(_), None) => {
            subject = Some("Suture was resumed: it may write again");
            lines.line("Resumed: Suture may write again, each control as its mode says.");
        }
        _ => {}
    }
    if let Some(stop) = &after.stop
        && before.stop != after.stop
    {
        lines.labelled("Reason", Some(name(&stop.reason)));
        lines.labelled("Stopped by", Some(format!("{}, {}", name(&stop.by), time(stop.at))));
        lines.labelled("To let it write again", Some(commands::RESUME.to_owned()));
        subject = subject.or(Some("Suture is stopped, now for another reason"));
    }
    let modes = modes(before, after, &mut lines);
    if modes {
        subject = subject.or(Some("Suture: modes were changed"));
    }
    if before.tags_exempt != after.tags_exempt {
        lines.line(if after.tags_exempt {
            "Tags can exempt now: whoever can tag a resource can have it left alone."
        } else {
            "Tags cannot exempt any more: exemptions by tag no longer count."
        });
        subject = subject.or(Some("Suture: whether tags can exempt was changed"));
    }
    let subject = subject?;
    let wider = after.stop.is_none() && (modes || after.tags_exempt && !before.tags_exempt);
    let by = after.changed_by.as_deref().map_or("nobody who gave a name".to_owned(), name);
    let at = after.changed_at.map(|at| format!(", {}", time(at))).unwrap_or_default();
    lines.labelled("Changed by", Some(format!("{by}{at}")));
    lines.labelled("If that was a mistake, or nobody you know", Some(commands::STOP.to_owned()).filter(|_| wider));
    lines.labelled("From", Some(words::deployment(context)));
    let data = json!({"changed": "settings", "before": before, "after": after});
    Some(lines.message(subject, &data, &words::kept(None, context)))
}

/// Says which modes changed; whether any did.
fn modes(before: &Posture, after: &Posture, lines: &mut Lines) -> bool {
    let says = |mode: Option<Mode>| mode.map_or("as deployed", Mode::name);
    let mut changed = false;
    if before.mode != after.mode {
        changed = true;
        lines.line(&format!(
            "Mode of all controls without one of their own: {}, was {}.",
            says(after.mode),
            says(before.mode)
        ));
    }
    let controls: BTreeSet<&String> = before.modes.keys().chain(after.modes.keys()).collect();
    let of = |posture: &Posture, control: &String| posture.modes.get(control).copied();
    let others: Vec<&String> =
        controls.into_iter().filter(|control| of(before, control) != of(after, control)).collect();
    for control in others.iter().take(CONTROLS) {
        let says = |mode: Option<Mode>| mode.map_or("that of all", Mode::name);
        let (is, was) = (says(of(after, control)), says(of(before, control)));
        lines.line(&format!("Mode of {}: {is}, was {was}.", name(control)));
    }
    if others.len() > CONTROLS {
        lines.line(&format!("  … and {} more", others.len() - CONTROLS));
    }
    changed || !others.is_empty()
}

/// What became of an exemption.
pub(crate) fn exemption(
    before: Option<&Exemption>,
    after: Option<&Exemption>,
    context: &Context<'_>,
) -> Option<Message> {
    let (exemption, verb, first) = match (before, after) {
        // The message about the undo says it.
        (Some(gone), None) if gone.undo.is_some() => return None,
        (None, Some(made)) if made.undo.is_some() => return None,
        (None, Some(made)) => (made, "was made", "Exempt from now on: Suture leaves this alone, drift and all."),
        (Some(was), Some(is)) if same(was, is) => return None,
        (Some(_), Some(is)) => (is, "was changed", "An exemption was changed. As it is now:"),
        // Past its end it counted no more; that was said then.
        (Some(was), None) if was.ended => return None,
        (Some(was), None) => (was, "was removed", "An exemption was removed: what it covered counts as drift again."),
        (None, None) => return None,
    };
    let mut lines = Lines::default();
    lines.line(first);
    describe(exemption, &mut lines);
    if after.is_some() {
        lines.labelled("To end it", commands::unexempt(&exemption.id));
    }
    let data = json!({"changed": "exemption", "before": before, "after": after});
    Some(told(lines, exemption, verb, &data, context))
}

/// An exemption's time is over.
pub(crate) fn ended(exemption: &Exemption, context: &Context<'_>) -> Message {
    let mut lines = Lines::default();
    lines.line("An exemption has ended: what it covered counts as drift again, and is fixed or planned for.");
    describe(exemption, &mut lines);
    let data = json!({"changed": "exemption-ended", "exemption": exemption});
    told(lines, exemption, "has ended", &data, context)
}

fn told(mut lines: Lines, exemption: &Exemption, verb: &str, data: &Value, context: &Context<'_>) -> Message {
    lines.labelled("From", Some(words::deployment(context)));
    let of = exemption.resource.as_deref().or(exemption.tag.as_deref()).or(exemption.control.as_deref());
    let of = words::subject_name(of.unwrap_or(&exemption.id));
    lines.message(&format!("Suture: the exemption of {of} {verb}"), data, &words::kept(None, context))
}

/// Whether two versions of an exemption say the same to a person; that its end was announced is our own note.
fn same(was: &Exemption, is: &Exemption) -> bool {
    Exemption { ended: false, ..was.clone() } == Exemption { ended: false, ..is.clone() }
}

fn describe(exemption: &Exemption, lines: &mut Lines) {
    let control = exemption.control.as_deref().map_or("every control".to_owned(), name);
    let resource = exemption.resource.as_deref().map_or("every resource".to_owned(), name);
    let tag = exemption.tag.as_deref().map(|tag| format!(" with the tag {}", name(tag))).unwrap_or_default();
    let account = exemption.account.as_ref().map_or("every account".to_owned(), |account| format!("account {account}"));
    lines.labelled("What", Some(format!("{control} on {resource}{tag}, {account}")));
    lines.labelled("Owner", Some(name(&exemption.owner)));
    lines.labelled("Reason", Some(name(&exemption.reason)));
    lines.labelled("Until", Some(time(exemption.expires)));
    lines.labelled("Made by", exemption.made_by.as_deref().map(name));
    lines.labelled("Id", Some(name(&exemption.id)));
}

/// A control's writes of an hour are spent.
pub(crate) fn budget(control: &str, hour: &str, context: &Context<'_>) -> Message {
    let control = name(control);
    let mut lines = Lines::default();
    lines.line(&format!(
        "The budget is spent: {control} made as many writes as it may in the hour {} (UTC).",
        name(hour)
    ));
    lines.line("Until the next hour it only plans; the first event or sweep after that fixes what is left.");
    lines.line(
        "So much drift at once is a bad deployment, an attack, or a control that is wrong: look at the last records.",
    );
    lines.labelled("To stop all writes", Some(commands::STOP.to_owned()));
    lines.labelled("From", Some(words::deployment(context)));
    let data = json!({"changed": "budget-reached", "control": control, "hour": hour});
    lines.message(&format!("Suture spent the hour's budget of {control}"), &data, &words::kept(None, context))
}

/// What a person decided about a plan. That one waits is said by its record, and that it was approved by the record of
/// what was written then.
pub(crate) fn approval(before: Option<&Approval>, after: Option<&Approval>, context: &Context<'_>) -> Option<Message> {
    let after = after.filter(|after| after.state == ApprovalState::Rejected)?;
    if before.is_some_and(|before| before.state == after.state) {
        return None;
    }
    let mut lines = Lines::default();
    lines.line("A plan was rejected. Nothing was written, and the drift is still there.");
    let (control, resource) = (name(&after.control), name(&after.resource));
    lines.labelled("What", Some(format!("{control} on {resource}, account {}, {}", after.account, after.region)));
    let at = after.decided_at.map(|at| format!(", {}", time(at))).unwrap_or_default();
    let by = after.by.as_deref().map_or("nobody who gave a name".to_owned(), name);
    lines.labelled("Rejected by", Some(format!("{by}{at}")));
    lines.labelled("Id", Some(name(&after.id)));
    let exempt = commands::exempt(&after.control, after.account.as_str(), &after.resource);
    lines.labelled("To leave it alone for longer", exempt);
    lines.labelled("From", Some(words::deployment(context)));
    let subject = format!("Suture: the fix of {} was rejected ({control})", words::subject_name(&after.resource));
    let data = json!({"changed": "approval", "approval": after});
    Some(lines.message(&subject, &data, &words::kept(None, context)))
}
