//! Looks at everything: for a schedule, for AWS Config, for a person, and for one who only looks around.

use super::{Answer, Handled, Here, Invocation, RECORDS, Tools, log, note, parameters_of, verdict};
use crate::accounts::Clouds;
use crate::control::{Cloud, Control};
use crate::driver::{Run, Spent};
use crate::event::{Sweep, Trigger, Unread};
use crate::metrics;
use crate::record::{Outcome, Record};
use crate::settings::Mode;
use crate::sweep::{self, From, Looked};
use aws_config::SdkConfig;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;
use triggers::ids::{AccountId, Region};

/// Where somebody looks around, and who hears of each resource.
pub struct Look<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The region.
    pub region: &'a Region,
    /// From where on.
    pub from: From,
    /// How many resources are looked at at a time.
    pub at_once: usize,
    /// What each resource came to. A record of what is compliant, too.
    pub each: &'a mut dyn FnMut(Record),
    /// How many resources the page has, as soon as that is known, and whether more follow.
    pub listed: &'a mut dyn FnMut(usize, bool),
}

/// Looks at one page of a control's resources: what a fix would write, and what that would break. Nothing is written,
/// neither there nor to the ledger. Says what the page came to, and where the next one begins, if there is one; that one has
/// been listed meanwhile.
///
/// # Errors
/// Parameters that are none of the control's.
pub async fn look<C: Control, K: Cloud<C>>(
    connect: impl Fn(&SdkConfig, C::Parameters) -> K,
    parameters: Option<Value>,
    tools: &Tools,
    here: &Here,
    deadline: Instant,
    look: Look<'_>,
) -> Result<Looked, String> {
    let read = parameters_of::<C>(parameters.as_ref())?;
    let cloud = Clouds::new(&tools.accounts, |sdk: &SdkConfig| connect(sdk, read.clone()));
    let (spent, now) = (Spent::default(), OffsetDateTime::now_utc());
    let run = Run {
        settings: &here.settings,
        id: "look".to_owned(),
        now,
        looks: now,
        started: Instant::now(),
        deadline,
        ledger: tools.ledger.as_ref(),
        spent: &spent,
        parameters: parameters.as_ref(),
        one_of_many: false,
    };
    let place = Sweep {
        account: look.account.clone(),
        region: look.region.clone(),
        mode: Some(Mode::Plan),
        // By hand: a plan that somebody asked for is shown, and not kept.
        trigger: Trigger::Manual,
        rule: None,
        reason: None,
        asked_by: None,
        overrides: Vec::new(),
        part: None,
    };
    Ok(Box::pin(sweep::look::<C>(&cloud, &place, look.from, look.at_once, &run, look.each, look.listed)).await)
}

/// Looks at every resource of every place: where there is more than one, each place is handed to an invocation of its own.
pub(super) async fn everywhere<C: Control, K: Cloud<C>>(
    invocation: &Invocation<'_, K>,
    asked: &Sweep,
    answer: &mut Answer,
    handled: &mut Handled,
) {
    let places = asked.places::<C>(invocation.settings);
    match (places.as_slice(), &invocation.tools.others) {
        ([], _) => note(answer, Unread::Ignored("no account or region is ours to look after".to_owned())),
        ([_, _, ..], Some(others)) => match sweep::hand_over_places::<C>(&places, others).await {
            Ok(()) => tracing::info!("{}: sweeps of {} places were handed over", C::ABOUT.id, places.len()),
            Err(fault) => {
                tracing::warn!("{}: sweeps could not be handed over: {fault}", C::ABOUT.id);
                handled.retry.get_or_insert(fault.to_string());
            }
        },
        (places, _) => {
            for place in places {
                all::<C, K>(invocation, place, answer, handled).await;
            }
        }
    }
}

/// Looks at every resource.
pub(super) async fn all<C: Control, K: Cloud<C>>(
    invocation: &Invocation<'_, K>,
    asked: &Sweep,
    answer: &mut Answer,
    handled: &mut Handled,
) {
    // Each sweep of an invocation counts its records for itself.
    let id = match answer.sweeps.len() {
        0 => invocation.request_id.to_owned(),
        n => format!("{}-s{}", invocation.request_id, n + 1),
    };
    let run = invocation.run(id);
    let judged = asked.trigger == Trigger::ConfigRule;
    // Somebody waits for the answer to any other.
    let others = invocation.tools.others.as_ref().filter(|_| asked.trigger == Trigger::Schedule);
    let swept = sweep::sweep::<C>(invocation.cloud, asked, others, &run, |record| {
        log(&record);
        if record.outcome != Outcome::Compliant {
            invocation.measure(|now| metrics::line(&record, now));
        }
        if judged {
            handled.verdicts.push(verdict(&record, record.resource.id.clone()));
        }
        if record.outcome != Outcome::Compliant && answer.records.len() < RECORDS {
            answer.records.push(record);
        }
    })
    .await;
    if let Some(compliant) = swept.outcomes.get(Outcome::Compliant.name()) {
        let count = u64::try_from(*compliant).unwrap_or(u64::MAX);
        invocation.measure(|now| metrics::counted(C::ABOUT.id, Outcome::Compliant, count, now));
    }
    if swept.listed && asked.trigger == Trigger::Schedule {
        invocation.measure(|now| metrics::swept(C::ABOUT.id, now));
    }
    handled.looked_at += swept.looked_at;
    let line = format!("{}: sweep of {} in {}", C::ABOUT.id, asked.account, asked.region);
    if let Some(why) = &swept.cut_short {
        tracing::warn!("{line}: {} looked at, but {why}", swept.looked_at);
    } else {
        let given = swept.handed_over;
        tracing::info!("{line}: {} looked at, {given} handed over: {:?}", swept.looked_at, swept.outcomes);
    }
    if swept.retry {
        handled
            .retry
            .get_or_insert(swept.cut_short.clone().unwrap_or_else(|| format!("{line}: not all could be done")));
    }
    answer.sweeps.push(swept);
}
