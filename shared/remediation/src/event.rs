//! From what an event says ([`triggers::Notice`]) to what a control has to do about it.
//!
//! Whether a control minds an event is decided here, by the data in its [`About`](crate::About), once for all controls.

use crate::control::{Control, Place, Safety, Scope};
use crate::settings::{Mode, Settings};
use ledger::Approval;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use time::OffsetDateTime;
use triggers::ids::{AccountId, Region, shown};
use triggers::{Act, ManualMode, Notice};

pub use triggers::{ApiCall, Cause, ConfigRule, LARGEST_EVENT, Manual, Part, Reply, Resource, Trigger};

/// The resource of a manual request that means all of them.
const EVERYTHING: &str = "*";

/// The Security Hub custom action that controls answer which have none of their own.
pub const ACTION: &str = "Suture";

/// Why an event, or something in it, became no work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "as", content = "why")]
pub enum Unread {
    /// A sound event that needs nothing done: a denied call, a call that only reads, our own call.
    Ignored(String),
    /// Nothing that this function can read; somebody should see why it was sent.
    Rejected(String),
}

/// What a control has to do about a notice.
#[derive(Clone, Debug)]
pub enum Work<C: Control> {
    /// Look at one resource.
    One(Box<Request<C>>),
    /// Look at all of them.
    All(Box<Sweep>),
}

/// One resource to look at, and why.
#[derive(Clone, Debug)]
pub struct Request<C: Control> {
    /// The resource.
    pub place: Place<C::Target>,
    /// The resource as the event spells it: what an answer to the event has to name.
    pub named: String,
    /// What is asked for.
    pub order: Order,
    /// Where the request came from.
    pub trigger: Trigger,
    /// Who or what caused it; none for a manual request, whose caller Lambda does not name.
    pub cause: Option<Cause>,
    /// The API call behind it, if it was one.
    pub call: Option<ApiCall>,
    /// The AWS Config rule that fired, if one did.
    pub rule: Option<ConfigRule>,
    /// Whether the event announces drift (see [`Control::announces_drift`]).
    pub announces_drift: bool,
    /// What a manual request gives as its reason: a ticket number, as a rule.
    pub reason: Option<String>,
    /// Who asks, by hand: the caller's ARN as AWS reports it.
    pub asked_by: Option<String>,
    /// Gates and guards that a manual request overrides by name.
    pub overrides: Vec<String>,
}

/// A look at every resource of an account and region.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The mode that is asked for, if any is.
    pub mode: Option<Mode>,
    /// Where it came from.
    pub trigger: Trigger,
    /// The AWS Config rule that asks, if one does.
    pub rule: Option<ConfigRule>,
    /// What a manual request gives as its reason.
    pub reason: Option<String>,
    /// Who asks, by hand: the caller's ARN as AWS reports it.
    pub asked_by: Option<String>,
    /// Gates and guards that a manual request overrides by name.
    pub overrides: Vec<String>,
    /// The part of it that is meant, where another invocation handed one over.
    pub part: Option<Part>,
}

impl Sweep {
    /// The same sweep of each place that a deployment looks after: its accounts, those of other accounts only if they lend us a
    /// role, and in each its regions, if the control's resources are in regions.
    pub fn places<C: Control>(&self, settings: &Settings) -> Vec<Self> {
        let regions = match C::ABOUT.scope {
            Scope::Deployment => return vec![self.clone()],
            Scope::Regional => settings.regions.as_slice(),
            Scope::Global => std::slice::from_ref(&self.region),
        };
        let ours = |account: &&AccountId| settings.member_role.is_some() || **account == self.account;
        let accounts = settings.accounts.iter().filter(ours);
        let at = |account: &AccountId, region: &Region| Self {
            account: account.clone(),
            region: region.clone(),
            ..self.clone()
        };
        accounts.flat_map(|account| regions.iter().map(move |region| at(account, region))).collect()
    }

    /// The request for one of its resources.
    pub fn request<C: Control>(&self, target: C::Target) -> Request<C> {
        Request {
            named: target.to_string(),
            place: Place { account: self.account.clone(), region: self.region.clone(), target },
            order: Order::Fix(self.mode),
            trigger: self.trigger,
            cause: None,
            call: None,
            rule: self.rule.clone(),
            announces_drift: false,
            reason: self.reason.clone(),
            asked_by: self.asked_by.clone(),
            overrides: self.overrides.clone(),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Order {
    /// Bring the resource to its desired state. Under the deployment's mode if none is given.
    Fix(Option<Mode>),
    /// Carry out the plan that a person approved.
    Approved(Box<Decided>),
    /// Take back what this record of ours says was done.
    Undo(Box<Past>),
}

/// A plan that a person approved.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The plan.
    pub approval: Approval,
    /// The version of its item in the ledger.
    pub version: u64,
    /// Who approved it: the caller's ARN as AWS reports it.
    pub by: String,
}

/// What an undo needs of a record.
#[derive(Clone, Debug, Deserialize)]
pub struct Past {
    /// The record's id.
    pub id: String,
    /// The control that made it.
    pub control: String,
    /// The resource that it is about.
    pub resource: PastResource,
    /// How it ended.
    pub outcome: crate::Outcome,
    /// The resource's state before, as the control's `State`.
    pub before: Value,
    /// The resource's state after, as the control's `State`.
    pub after: Value,
    /// For how long the control is to leave the resource alone after the undo.
    #[serde(skip, default = "leave_alone")]
    pub leave_alone: Duration,
}

/// Long enough to find out why it had to be undone.
fn leave_alone() -> Duration {
    Duration::from_hours(24)
}

/// A record's resource.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct PastResource {
    /// Its name.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
}

/// The account and region that the function itself is in: what a manual request means that names none.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The account.
    pub account: Option<&'a AccountId>,
    /// The region.
    pub region: Option<&'a Region>,
}

/// What control `C` has to do about a notice, and what of the notice it cannot use. Each is empty or the other is, unless
/// some of several resources are no such.
pub fn work<C: Control>(notice: &Notice, own: Own<'_>) -> (Vec<Work<C>>, Vec<Unread>) {
    match try_work(notice, own) {
        Ok(both) => both,
        Err(unread) => (Vec::new(), vec![unread]),
    }
}

fn try_work<C: Control>(notice: &Notice, own: Own<'_>) -> Result<(Vec<Work<C>>, Vec<Unread>), Unread> {
    if notice.act == Act::Ignore {
        return Err(Unread::Ignored(notice.why.clone()));
    }
    minds::<C>(notice)?;
    let rejected = |what: &str| Unread::Rejected(format!("nothing says which {what} it is about"));
    if let Some(record) = notice.manual.as_ref().and_then(|manual| manual.record.as_ref()) {
        return undo::<C>(notice, record).map(|work| (vec![work], Vec::new())).map_err(Unread::Rejected);
    }
    if notice.manual.as_ref().is_some_and(|manual| manual.mode == Some(ManualMode::Undo)) {
        let why = "mode is undo, and there is no record to undo: pass the record, or its id, as \"record\"";
        return Err(Unread::Rejected(why.to_owned()));
    }
    // What is asked of this very function, and names no place, means the function's own. An event that names none is not
    // whole, and must not lead us to look at home for what happened elsewhere.
    let asked = matches!(notice.trigger, Trigger::Manual | Trigger::Schedule | Trigger::ConfigRule);
    let account = notice.account.as_ref().or(own.account.filter(|_| asked)).ok_or_else(|| rejected("account"))?.clone();
    let region = match C::ABOUT.scope {
        Scope::Global => own.region.or(notice.region.as_ref()),
        Scope::Regional | Scope::Deployment => notice.region.as_ref().or(own.region.filter(|_| asked)),
    };
    let region = region.ok_or_else(|| rejected("region"))?.clone();
    let manual = notice.manual.as_ref();
    let mode = match manual.map(|manual| manual.mode) {
        None => None,
        Some(Some(ManualMode::Enforce)) => Some(Mode::Enforce),
        // Nothing is written for a person who did not ask for it.
        Some(_) => Some(Mode::Plan),
    };
    let reason = manual.and_then(|manual| manual.reason.clone());
    let asked_by = manual.and_then(|manual| manual.asked_by.clone());
    let overrides = manual.map(|manual| manual.overrides.clone()).unwrap_or_default();
    let everything = manual.and_then(|manual| manual.resource.as_deref()) == Some(EVERYTHING);
    if notice.act == Act::Sweep || everything {
        let (trigger, rule) = (notice.trigger, notice.rule.clone());
        let part = notice.part.clone();
        let sweep = Sweep { account, region, mode, trigger, rule, reason, asked_by, overrides, part };
        return Ok((vec![Work::All(Box::new(sweep))], Vec::new()));
    }
    let (mut work, mut unread) = (Vec::new(), Vec::new());
    let targets = match manual.and_then(|manual| manual.resource.as_deref()) {
        Some(resource) => vec![C::target(resource).map(|target| (resource.to_owned(), target))],
        None => targets::<C>(notice, &account),
    };
    for target in targets {
        match target {
            Ok((named, target)) => work.push(Work::One(Box::new(Request {
                named,
                place: Place { account: account.clone(), region: region.clone(), target },
                order: Order::Fix(mode),
                trigger: notice.trigger,
                cause: notice.cause.clone(),
                call: notice.call.clone(),
                rule: notice.rule.clone(),
                announces_drift: notice.call.as_ref().is_some_and(C::announces_drift),
                reason: reason.clone(),
                asked_by: asked_by.clone(),
                overrides: overrides.clone(),
            }))),
            Err(why) => unread.push(Unread::Rejected(why)),
        }
    }
    if work.is_empty() && unread.is_empty() {
        let what = notice.event.as_deref().unwrap_or("the event");
        let why = format!("{} names no {} to look at", shown(what), C::ABOUT.resource_type);
        // A call that we asked for and that names nothing is not as it should be; a rule about something else is.
        return Err(if notice.call.is_some() { Unread::Rejected(why) } else { Unread::Ignored(why) });
    }
    Ok((work, unread))
}

/// The notice's resources that are of the control's kind. For a control of the account's own settings, that is the account
/// whatever the event names.
fn targets<C: Control>(notice: &Notice, account: &AccountId) -> Vec<Result<(String, C::Target), String>> {
    let about = C::ABOUT;
    let ours =
        |resource: &&Resource| resource.r#type == about.resource_type || about.also.contains(&resource.r#type.as_str());
    let named = |resource: &Resource| C::target_of(resource).map(|target| (resource.id.clone(), target));
    let named: Vec<_> = notice.resources.iter().filter(ours).map(named).collect();
    if named.is_empty() && about.resource_type == ACCOUNT && notice.act == Act::EvaluateAccount {
        return vec![C::target(account.as_str()).map(|target| (account.to_string(), target))];
    }
    named
}

/// The type of an account, in AWS Config's words.
const ACCOUNT: &str = "AWS::::Account";

/// Whether a control minds an event of this kind; if not, why.
pub fn minds<C: Control>(notice: &Notice) -> Result<(), Unread> {
    let about = C::ABOUT;
    let event = notice.event.as_deref().unwrap_or_default();
    let no_concern =
        |what: &str| Err(Unread::Ignored(format!("{what} {} is no concern of {}", shown(event), about.id)));
    match notice.trigger {
        Trigger::CloudTrail => {
            let Some(call) = &notice.call else { return no_concern("the call") };
            let watch = about.watches.iter().find(|watch| watch.event_source == call.event_source);
            match watch {
                None => Err(Unread::Rejected(format!(
                    "{} of {} is no concern of {}: another service's event",
                    shown(event),
                    shown(&call.event_source),
                    about.id
                ))),
                Some(watch) if !watch.events.contains(&call.event_name.as_str()) => {
                    Err(Unread::Ignored(format!("{} cannot bring about what {} looks for", shown(event), about.id)))
                }
                Some(_) => Ok(()),
            }
        }
        // Whoever presses a button on a finding means what the button says, and nothing else.
        Trigger::SecurityHubAction if notice.action.as_deref() != Some(about.action.unwrap_or(ACTION)) => {
            let action = notice.action.as_deref().unwrap_or_default();
            Err(Unread::Ignored(format!("the custom action {} is no concern of {}", shown(action), about.id)))
        }
        Trigger::SecurityHubAction if about.action.is_some() => Ok(()),
        Trigger::SecurityHub | Trigger::SecurityHubV2 | Trigger::SecurityHubAction => {
            let ours = notice.control_ids.iter().any(|id| about.security_hub.contains(&id.as_str()));
            if ours { Ok(()) } else { no_concern("the finding") }
        }
        Trigger::GuardDuty | Trigger::Health | Trigger::AccessAnalyzer => {
            if about.incidents.iter().any(|incident| event.starts_with(incident)) {
                Ok(())
            } else {
                no_concern("the event")
            }
        }
        Trigger::Schedule if notice.part.as_ref().is_some_and(|part| part.control != about.id) => {
            let other = notice.part.as_ref().map(|part| shown(&part.control)).unwrap_or_default();
            Err(Unread::Rejected(format!("the part is of a sweep of {other}, and this function is {}", about.id)))
        }
        Trigger::Schedule if about.sweeps.is_none() => no_concern("the schedule"),
        Trigger::Manual => {
            let asked = notice.manual.as_ref().and_then(|manual| manual.control.as_deref());
            match asked.filter(|control| *control != about.id) {
                None => Ok(()),
                Some(other) => Err(Unread::Rejected(format!(
                    "the request is for control {}, and this function is {}",
                    shown(other),
                    about.id
                ))),
            }
        }
        Trigger::Other => no_concern("the event"),
        // A control for incidents does nothing because a rule fired.
        Trigger::ConfigRule | Trigger::ConfigCompliance | Trigger::ConfigItem if about.safety == Safety::Incident => {
            no_concern("the rule")
        }
        // A rule about the resource fired: the resource's type decides. A rule's name does not, since conformance packs
        // and Security Hub change it.
        Trigger::ConfigRule | Trigger::ConfigCompliance | Trigger::ConfigItem | Trigger::Schedule => Ok(()),
    }
}

fn undo<C: Control>(notice: &Notice, record: &Value) -> Result<Work<C>, String> {
    let Some(manual) = &notice.manual else { return Err("only a manual request can bring a record".to_owned()) };
    if manual.mode != Some(ManualMode::Undo) {
        return Err("there is a record, and mode is not undo".to_owned());
    }
    let past = Past::deserialize(record)
        .map_err(|error| format!("the record cannot be read: {}", shown(&error.to_string())))?;
    let past = Past {
        id: past.id.chars().filter(|c| !c.is_control()).take(512).collect(),
        leave_alone: manual.leave_alone.unwrap_or(past.leave_alone),
        ..past
    };
    let id = C::ABOUT.id;
    if past.control != id {
        return Err(format!("the record was made by control {}, and this function is {id}", shown(&past.control)));
    }
    let same = |given: Option<&str>, past: &str, what: &str| match given {
        Some(given) if given != past => {
            Err(format!("the request says {what} {}, its record {}", shown(given), shown(past)))
        }
        _ => Ok(()),
    };
    same(manual.resource.as_deref(), &past.resource.id, "resource")?;
    same(notice.account.as_ref().map(AccountId::as_str), past.resource.account.as_str(), "account")?;
    same(notice.region.as_ref().map(Region::as_str), past.resource.region.as_str(), "region")?;
    Ok(Work::One(Box::new(Request {
        named: past.resource.id.clone(),
        place: Place {
            account: past.resource.account.clone(),
            region: past.resource.region.clone(),
            target: C::target(&past.resource.id)?,
        },
        order: Order::Undo(Box::new(past)),
        trigger: notice.trigger,
        cause: None,
        call: None,
        rule: None,
        announces_drift: false,
        reason: manual.reason.clone(),
        asked_by: manual.asked_by.clone(),
        overrides: manual.overrides.clone(),
    })))
}

/// When the call behind a request was made, if it was one.
pub fn called<C: Control>(request: &Request<C>) -> Option<OffsetDateTime> {
    request.cause.as_ref().filter(|_| request.trigger == Trigger::CloudTrail).and_then(|cause| cause.at)
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
