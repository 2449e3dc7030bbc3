//! For tests: a toy control of two writes, and a cloud in memory that misbehaves as it is told.

use crate::control::{About, Cloud, Control, Hindrance, Occasion, Page, Place, Risk, Safety, Scope, Watch};
use crate::driver::{self, Run, Spent};
use crate::event::{ApiCall, Cause, Order, Request, Trigger};
use crate::fault::{DeniedBy, Fault};
use crate::record::Record;
use crate::settings::{Limits, Mode, Settings};
use ledger::Ledger;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use triggers::ids::{AccountId, Region};
use triggers::{Act, Notice, Resource};

pub const OURS: &str = "111122223333";
pub const THEIRS: &str = "999988887777";

/// Doors ought to be shut, with at least two bolts.
#[derive(Clone, Debug)]
pub struct Doors;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    pub shut: bool,
    pub bolts: u8,
    /// Somebody stands in it; to shut it needs an override.
    pub blocked: bool,
    /// There is a hole in it, which shutting does not mend.
    pub holed: bool,
}

pub const OPEN: Door = Door { shut: false, bolts: 0, blocked: false, holed: false };
pub const SHUT: Door = Door { shut: true, bolts: 2, blocked: false, holed: false };

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    Shut(bool),
    Bolts(u8),
}

impl Control for Doors {
    const ABOUT: About = About {
        id: "toy-open-door",
        title: "shuts doors",
        never: "brick one up",
        resource_type: "Toy::House::Door",
        also: &["Toy::House::Gate"],
        scope: Scope::Regional,
        names_account: true,
        safety: Safety::Reversible,
        exposes: false,
        observes_with: &["doors:Get"],
        tags_with: &[],
        lists_with: &["doors:List"],
        fixes_with: &["doors:Put"],
        undoes_with: &["doors:Put"],
        allowed_on: &[],
        watches: &[Watch {
            source: "aws.doors",
            event_source: "doors.amazonaws.com",
            events: &["OpenDoor", "PaintDoor"],
        }],
        incidents: &["AWS_DOORS_KEY_EXPOSED"],
        action: None,
        config_rules: &["DOOR_CLOSED"],
        security_hub: &["Doors.1"],
        citations: &["45 CFR 164.310(a)(1)"],
        sweeps: Some("rate(1 day)"),
        settings: &[],
    };
    type Target = Name;
    type Parameters = ();
    type State = Door;
    type Change = Turn;

    fn target(name: &str) -> Result<Name, String> {
        let sound = (1..=20).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        if sound { Ok(Name(name.to_owned())) } else { Err(format!("{} is no door", triggers::ids::shown(name))) }
    }

    fn announces_drift(call: &ApiCall) -> bool {
        call.event_name == "OpenDoor"
    }

    fn desired(door: &Door) -> Door {
        Door { shut: true, bolts: door.bolts.max(2), ..door.clone() }
    }

    fn changes(from: &Door, to: &Door) -> Vec<Turn> {
        let shut = (from.shut != to.shut).then_some(Turn::Shut(to.shut));
        let bolts = (from.bolts != to.bolts).then_some(Turn::Bolts(to.bolts));
        shut.into_iter().chain(bolts).collect()
    }

    fn risks(from: &Door, to: &Door) -> Vec<Risk> {
        let risk = |id, refuses| Risk { id, says: format!("the door has a reason: {id}"), refuses };
        let blocked = (from.blocked && to.shut && !from.shut).then(|| risk("blocked", true));
        let draught = (to.shut && !from.shut).then(|| risk("no-draught", false));
        blocked.into_iter().chain(draught).collect()
    }

    fn hindrance(door: &Door) -> Option<Hindrance> {
        door.holed.then(|| Hindrance { id: "holed", says: "there is a hole in it; call a joiner".to_owned() })
    }

    fn notes(door: &Door) -> Vec<String> {
        door.blocked.then(|| "somebody stands in it".to_owned()).into_iter().collect()
    }
}

/// A control of the same doors that differs in what is said here.
macro_rules! doors {
    ($name:ident, $about:expr $(, $more:item)*) => {
        impl Control for $name {
            const ABOUT: About = $about;
            type Target = Name;
            type Parameters = ();
            type State = Door;
            type Change = Turn;
            fn target(name: &str) -> Result<Name, String> {
                Doors::target(name)
            }
            fn desired(door: &Door) -> Door {
                Doors::desired(door)
            }
            fn changes(from: &Door, to: &Door) -> Vec<Turn> {
                Doors::changes(from, to)
            }
            $($more)*
        }
    };
}
pub(crate) use doors;

/// The same request, of another control of doors.
pub fn of<C: Control<Target = Name>>(request: Request<Doors>) -> Request<C> {
    let Request { place, named, order, trigger, cause, call, rule, announces_drift, reason, asked_by, overrides } =
        request;
    Request { place, named, order, trigger, cause, call, rule, announces_drift, reason, asked_by, overrides }
}

/// What happens to one call.
#[derive(Clone, Debug)]
pub enum Step {
    /// It works.
    Fine,
    /// It fails, and nothing is done.
    Fails(Fault),
    /// It is carried out, and its answer is lost.
    Lost,
    /// A read shows what the first read showed.
    Stale,
    /// It works, but just before it somebody else does this: another state, or no door any more.
    Meanwhile(Option<Door>),
    /// It never answers.
    Hangs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Observe,
    Apply(Turn),
    Rehearse(Turn),
}

/// A house with one door.
#[derive(Debug)]
pub struct House {
    door: RefCell<Option<Door>>,
    first: std::cell::OnceCell<Option<Door>>,
    region: Region,
    rehearses: std::cell::Cell<bool>,
    script: RefCell<VecDeque<Step>>,
    calls: RefCell<Vec<Call>>,
    /// What a question about the door's tags is answered with; it is none of the calls of the script.
    pub tags: RefCell<Result<Vec<(String, String)>, Fault>>,
}

impl House {
    pub fn new(door: Door, script: impl IntoIterator<Item = Step>) -> Self {
        Self::with(Some(door), script)
    }

    pub fn with(door: Option<Door>, script: impl IntoIterator<Item = Step>) -> Self {
        Self {
            door: RefCell::new(door),
            first: std::cell::OnceCell::new(),
            region: region("us-east-1"),
            rehearses: std::cell::Cell::new(false),
            script: RefCell::new(script.into_iter().collect()),
            calls: RefCell::default(),
            tags: RefCell::new(Ok(Vec::new())),
        }
    }

    pub fn in_region(self, name: &str) -> Self {
        Self { region: region(name), ..self }
    }

    /// A house whose owner says beforehand what he would allow.
    pub fn that_rehearses(self) -> Self {
        self.rehearses.set(true);
        self
    }

    /// The truth.
    pub fn door(&self) -> Option<Door> {
        self.door.borrow().clone()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.borrow().clone()
    }

    pub fn reads(&self) -> usize {
        self.calls.borrow().iter().filter(|call| **call == Call::Observe).count()
    }

    pub fn writes(&self) -> Vec<Turn> {
        let turn = |call: Call| if let Call::Apply(turn) = call { Some(turn) } else { None };
        self.calls().into_iter().filter_map(turn).collect()
    }

    async fn call(&self, place: &Place<Name>, call: Call) -> Result<Step, Fault> {
        tracing::trace!("{call:?}");
        self.calls.borrow_mut().push(call);
        // A call takes a while, so that a deadline can pass in the middle of one.
        tokio::time::sleep(Duration::from_millis(5)).await;
        if place.region != self.region {
            return Err(Fault::Elsewhere(self.region.clone()));
        }
        let step = self.script.borrow_mut().pop_front().unwrap_or(Step::Fine);
        match &step {
            Step::Fails(fault) => return Err(fault.clone()),
            Step::Meanwhile(door) => self.door.borrow_mut().clone_from(door),
            Step::Hangs => std::future::pending().await,
            Step::Fine | Step::Lost | Step::Stale => {}
        }
        Ok(step)
    }
}

impl Cloud<Doors> for House {
    async fn observe(&self, place: &Place<Name>, _: &Occasion) -> Result<Option<Door>, Fault> {
        match self.call(place, Call::Observe).await? {
            Step::Stale => Ok(self.first.get_or_init(|| self.door()).clone()),
            Step::Lost => Err(throttled()),
            _ => {
                self.first.get_or_init(|| self.door());
                Ok(self.door())
            }
        }
    }

    async fn apply(&self, place: &Place<Name>, turn: &Turn) -> Result<(), Fault> {
        let step = self.call(place, Call::Apply(turn.clone())).await?;
        let mut door = self.door.borrow_mut();
        let door = door.as_mut().ok_or(Fault::Gone)?;
        match turn {
            Turn::Shut(shut) => door.shut = *shut,
            Turn::Bolts(bolts) => door.bolts = *bolts,
        }
        if let Step::Lost = step { Err(Fault::Lost("no answer in time".to_owned())) } else { Ok(()) }
    }

    async fn rehearse(&self, place: &Place<Name>, turn: &Turn) -> Result<bool, Fault> {
        if !self.rehearses.get() {
            return Ok(false);
        }
        self.call(place, Call::Rehearse(turn.clone())).await.map(|_| true)
    }

    async fn tags(&self, _: &Place<Name>) -> Result<Vec<(String, String)>, Fault> {
        self.tags.borrow().clone()
    }

    async fn list(&self, _: &AccountId, _: &Region, _: &Occasion, _: Option<&str>) -> Result<Page<Name>, Fault> {
        Ok(Page { targets: vec![Name("front".to_owned())], next: None })
    }
}

pub fn throttled() -> Fault {
    Fault::Retry("doors:Put on door front: throttled".to_owned())
}

pub fn conflict() -> Fault {
    Fault::Conflict("somebody else is changing it at this moment".to_owned())
}

pub fn denied(by: DeniedBy) -> Fault {
    Fault::Denied { action: "doors:Put", resource: "door front".to_owned(), by }
}

pub fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

pub fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

pub fn settings(mode: Mode) -> Settings {
    let regions = vec![region("us-east-1"), region("eu-west-1")];
    Settings {
        mode,
        modes: std::collections::BTreeMap::new(),
        accounts: vec![account(OURS)],
        regions,
        role_arns: Vec::new(),
        own_account: Some(account(OURS)),
        member_role: None,
        limits: Limits::default(),
        phi_tag: Some(("holds".to_owned(), "phi".to_owned())),
        undo_function: None,
        function: None,
    }
}

pub fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

/// What an event says of the door called `front`.
pub fn request() -> Request<Doors> {
    Request {
        place: Place { account: account(OURS), region: region("us-east-1"), target: Name("front".to_owned()) },
        named: "front".to_owned(),
        order: Order::Fix(None),
        trigger: Trigger::CloudTrail,
        cause: Some(Cause { call: "PaintDoor".to_owned(), at: Some(now()), ..Cause::default() }),
        call: None,
        rule: None,
        announces_drift: false,
        reason: None,
        asked_by: None,
        overrides: Vec::new(),
    }
}

/// What CloudTrail says of somebody's painting these doors.
pub fn notice(doors: &[&str]) -> Notice {
    let door = |id: &&str| Resource { r#type: "Toy::House::Door".to_owned(), id: (*id).to_owned(), name: None };
    Notice {
        trigger: Trigger::CloudTrail,
        account: Some(account(OURS)),
        region: Some(region("us-east-1")),
        event: Some("PaintDoor".to_owned()),
        action: None,
        control_ids: Vec::new(),
        act: Act::Evaluate,
        resources: doors.iter().map(door).collect(),
        cause: Some(Cause {
            call: "PaintDoor".to_owned(),
            at: Some(now()),
            role: Some("arn:aws:iam::111122223333:role/suture".to_owned()),
            ..Cause::default()
        }),
        why: "PaintDoor may leave a door open".to_owned(),
        call: Some(ApiCall {
            event_source: "doors.amazonaws.com".to_owned(),
            event_name: "PaintDoor".to_owned(),
            parameters: serde_json::Value::Null,
            response: serde_json::Value::Null,
        }),
        rule: None,
        reply: None,
        manual: None,
        part: None,
        message: None,
    }
}

/// The same, by hand.
pub fn manual(order: Order, overrides: &[&str]) -> Request<Doors> {
    let overrides = overrides.iter().map(|&name| name.to_owned()).collect();
    Request { order, trigger: Trigger::Manual, cause: None, overrides, ..request() }
}

/// Carries a request out with a minute to do it in.
pub async fn run(house: &House, request: &Request<Doors>, mode: Mode) -> Record {
    within(house, request, mode, Duration::from_mins(1)).await
}

pub async fn within(house: &House, request: &Request<Doors>, mode: Mode, time: Duration) -> Record {
    kept(house, request, &settings(mode), &ledger(), time).await
}

/// An empty ledger.
pub fn ledger() -> Ledger {
    Ledger::new(Rc::new(ledger::Memory::default()))
}

/// Carries a request out with this ledger.
pub async fn kept(
    house: &House,
    request: &Request<Doors>,
    settings: &Settings,
    ledger: &Ledger,
    time: Duration,
) -> Record {
    kept_as("r-1", now(), house, request, settings, ledger, time).await
}

/// The same, with the record's id and the time of day.
pub async fn kept_as<C: Control>(
    id: &str,
    at: OffsetDateTime,
    house: &impl Cloud<C>,
    request: &Request<C>,
    settings: &Settings,
    ledger: &Ledger,
    time: Duration,
) -> Record {
    let spent = Spent::default();
    let deadline = Instant::now() + time;
    driver::run(house, request, &Run { now: at, looks: at, deadline, ..a_run(id, settings, Some(ledger), &spent) })
        .await
}

/// A run that begins now and has a minute.
pub fn a_run<'a>(id: &str, settings: &'a Settings, ledger: Option<&'a Ledger>, spent: &'a Spent) -> Run<'a> {
    let started = Instant::now();
    Run {
        settings,
        id: id.to_owned(),
        now: now(),
        looks: now(),
        started,
        deadline: started + Duration::from_mins(1),
        ledger,
        spent,
        parameters: None,
        one_of_many: false,
    }
}
