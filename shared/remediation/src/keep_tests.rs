//! The gates that read the ledger, and what is left in it. Time is tokio's, paused.

use super::*;
use crate::control::About;
use crate::event::{Decided, Past};
use crate::settings::Mode;
use crate::toy::{
    Door, Doors, House, Name, OPEN, OURS, SHUT, Step, Turn, a_run, account, doors, kept_as, manual, now, of, request,
    settings,
};
use ledger::{Act, Approval, ApprovalState, Call, Exemption, Faulty, Memory, Posture, Stop, Store, Trouble};
use serde_json::json;
use std::rc::Rc;

#[path = "approval_tests.rs"]
mod approvals;

/// A deployment: what it keeps, and what it is set to.
struct Clinic {
    store: Rc<Faulty<Memory>>,
    ledger: Ledger,
    settings: Settings,
}

impl Clinic {
    fn new() -> Self {
        Self::whose_ledger(|_, _| Act::Go)
    }

    fn whose_ledger(script: impl FnMut(usize, Call<'_>) -> Act + 'static) -> Self {
        let store = Rc::new(Faulty::new(Memory::default(), script));
        let ledger = Ledger::new(Rc::clone(&store) as Rc<dyn Store>);
        Self { store, ledger, settings: settings(Mode::Enforce) }
    }

    /// Carries a request out so many hours after the first.
    async fn at(&self, hours: i64, id: &str, house: &House, request: &Request<Doors>) -> Record {
        let now = now() + time::Duration::hours(hours);
        kept_as(id, now, house, request, &self.settings, &self.ledger, Duration::from_mins(1)).await
    }

    async fn posture(&self, change: impl Fn(&mut Posture)) {
        self.ledger.change("arn:aws:iam::111122223333:user/alice", now(), change).await.unwrap();
    }

    /// The records, in the order of their beginning.
    fn records(&self) -> Vec<Value> {
        let items = self.store.inner().items().into_iter();
        let mut records: Vec<_> = items.filter(|item| item.key.sk.starts_with("record#")).collect();
        records.sort_by(|a, b| a.key.sk.cmp(&b.key.sk));
        records.into_iter().map(|item| item.body).collect()
    }

    fn outcomes(&self) -> Vec<String> {
        self.records().iter().map(|record| record["outcome"].as_str().unwrap().to_owned()).collect()
    }
}

fn exemption() -> Exemption {
    Exemption {
        id: "e-1".to_owned(),
        control: Some("toy-open-door".to_owned()),
        account: Some(account(OURS)),
        resource: Some("fro*".to_owned()),
        tag: None,
        owner: "alice@clinic.example".to_owned(),
        reason: "CHG-7".to_owned(),
        expires: now() + time::Duration::hours(10),
        made_at: now(),
        made_by: None,
        undo: None,
        ended: false,
    }
}

fn event(id: &str) -> Request<Doors> {
    let mut request = request();
    if let Some(cause) = &mut request.cause {
        cause.event_id = Some(id.to_owned());
        cause.actor = Some("arn:aws:iam::111122223333:role/deployer".to_owned());
        cause.agent = Some("terraform".to_owned());
    }
    request
}

fn undo_of(record: &Record, hours: u64) -> Request<Doors> {
    let mut past: Past = serde_json::from_value(serde_json::to_value(record).unwrap()).unwrap();
    past.leave_alone = Duration::from_hours(hours);
    Request {
        asked_by: Some("arn:aws:iam::111122223333:user/alice".to_owned()),
        ..manual(Order::Undo(Box::new(past)), &[])
    }
}

fn refused_by(record: &Record) -> (Outcome, Option<&str>) {
    (record.outcome, record.refused_by.as_deref())
}

#[tokio::test(start_paused = true)]
async fn a_fix_is_in_the_ledger_with_all_that_it_says() {
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let record = clinic.at(0, "r-1", &house, &event("e-1")).await;
    assert_eq!(record.outcome, Outcome::Fixed);
    let [kept] = &clinic.records()[..] else { panic!("{:?}", clinic.records()) };
    assert_eq!(kept, &serde_json::to_value(&record).unwrap());
    // One read for the settings and one for the resource, beside the look at it; one write before, one after.
    assert_eq!(clinic.store.calls(), 4);
    // What is as it should be is no news.
    assert_eq!(clinic.at(1, "r-2", &house, &event("e-2")).await.outcome, Outcome::Compliant);
    assert_eq!(clinic.records().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_read_beside_the_resource() {
    let order = Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = Rc::clone(&order);
    let clinic = Clinic::whose_ledger(move |_, call| {
        seen.borrow_mut().push((format!("{call:?}").chars().take(5).collect::<String>(), Instant::now()));
        Act::Go
    });
    let house = House::new(OPEN, []);
    let began = Instant::now();
    clinic.at(0, "r-1", &house, &event("e-1")).await;
    let order = order.borrow();
    let reads: Vec<_> = order.iter().filter(|(call, _)| !call.starts_with("Write")).collect();
    assert!(
        reads.len() == 2 && reads.iter().all(|(_, at)| *at == began),
        "before the resource has answered: {order:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_stops_events_people_and_undos_until_it_is_lifted() {
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let fixed = clinic.at(0, "r-1", &house, &event("e-1")).await;
    let stop = || Stop { by: "alice".to_owned(), reason: "INC-1".to_owned(), at: now() };
    clinic.posture(|posture| posture.stop = Some(stop())).await;
    assert_eq!(
        refused_by(&clinic.at(1, "r-2", &house, &undo_of(&fixed, 1)).await),
        (Outcome::Refused, Some("kill-switch"))
    );
    let house = House::new(OPEN, []);
    for (id, request) in [("r-3", event("e-2")), ("r-4", manual(Order::Fix(Some(Mode::Enforce)), &["mode"]))] {
        let record = clinic.at(1, id, &house, &request).await;
        assert_eq!(refused_by(&record), (Outcome::Refused, Some("kill-switch")), "{id}");
    }
    // A plan writes nothing, and may be looked at; one write can be let through by name.
    assert_eq!(clinic.at(1, "r-5", &house, &manual(Order::Fix(Some(Mode::Plan)), &[])).await.outcome, Outcome::Planned);
    assert!(house.writes().is_empty());
    let named = manual(Order::Fix(Some(Mode::Enforce)), &["kill-switch"]);
    assert_eq!(clinic.at(1, "r-6", &house, &named).await.outcome, Outcome::Fixed);
    clinic.posture(|posture| posture.stop = None).await;
    let house = House::new(OPEN, []);
    assert_eq!(clinic.at(1, "r-7", &house, &event("e-3")).await.outcome, Outcome::Fixed);
}

#[tokio::test(start_paused = true)]
async fn an_exemption_holds_on_every_path_and_until_it_ends() {
    let clinic = Clinic::new();
    clinic.ledger.exempt(&exemption(), 0).await.unwrap();
    let house = House::new(OPEN, []);
    for (id, request) in [
        ("r-1", event("e-1")),
        ("r-2", Request { trigger: triggers::Trigger::SecurityHubAction, ..event("e-2") }),
        ("r-3", manual(Order::Fix(Some(Mode::Enforce)), &[])),
    ] {
        let record = clinic.at(0, id, &house, &request).await;
        let exempted = record.exemption.as_ref().unwrap();
        assert_eq!((record.outcome, exempted.id.as_str()), (Outcome::Exempt, "e-1"), "{id}");
        assert!(record.why.contains("alice@clinic.example") && record.why.contains("CHG-7"), "{}", record.why);
    }
    assert!(house.writes().is_empty());
    // Who only looks leaves nothing behind, whatever is seen.
    let kept = clinic.records().len();
    let look = clinic.at(0, "look", &house, &manual(Order::Fix(Some(Mode::Plan)), &[])).await;
    assert_eq!((look.outcome, clinic.records().len()), (Outcome::Exempt, kept));
    // A person can go on all the same, by name; and after its end it counts for nothing.
    let named = manual(Order::Fix(Some(Mode::Enforce)), &["exemption"]);
    assert_eq!(clinic.at(0, "r-4", &House::new(OPEN, []), &named).await.outcome, Outcome::Fixed);
    assert_eq!(clinic.at(10, "r-5", &house, &event("e-3")).await.outcome, Outcome::Fixed);
}

#[tokio::test(start_paused = true)]
async fn an_exemption_by_tag_needs_the_tag_and_a_look_at_it() {
    let clinic = Clinic::new();
    let by_tag = Exemption { resource: None, tag: Some("site=public".to_owned()), ..exemption() };
    clinic.ledger.exempt(&by_tag, 0).await.unwrap();
    let tagged = |value: &str| Ok(vec![("site".to_owned(), value.to_owned())]);
    let house = House::new(OPEN, []);
    *house.tags.borrow_mut() = tagged("public");
    assert_eq!(clinic.at(0, "r-1", &house, &event("e-1")).await.outcome, Outcome::Exempt);
    *house.tags.borrow_mut() = Err(crate::toy::denied(DeniedBy::OurRole));
    assert_eq!(refused_by(&clinic.at(0, "r-2", &house, &event("e-2")).await), (Outcome::Refused, Some("exemption")));
    assert!(house.writes().is_empty());
    *house.tags.borrow_mut() = tagged("private");
    assert_eq!(clinic.at(0, "r-3", &house, &event("e-3")).await.outcome, Outcome::Fixed);
}

#[tokio::test(start_paused = true)]
async fn a_resources_own_tag_exempts_only_where_that_is_allowed() {
    let clinic = Clinic::new();
    let own = |value: &str| Ok(vec![(ledger::TAG.to_owned(), value.to_owned())]);
    let house = || House::new(OPEN, []);
    let sound = own("toy-open-door until 2023-11-20 by bob: airing");
    let first = house();
    first.tags.borrow_mut().clone_from(&sound);
    assert_eq!(
        clinic.at(0, "r-1", &first, &event("e-1")).await.outcome,
        Outcome::Fixed,
        "whoever can tag cannot exempt"
    );
    clinic.posture(|posture| posture.tags_exempt = true).await;
    let second = house();
    second.tags.borrow_mut().clone_from(&sound);
    let exempt = clinic.at(1, "r-2", &second, &event("e-2")).await;
    assert_eq!((exempt.outcome, exempt.exemption.unwrap().owner.as_str()), (Outcome::Exempt, "bob"));
    for (id, wrong) in [("r-3", "yes please"), ("r-4", "toy-open-door until 2023-11-01 by bob: airing")] {
        let house = house();
        *house.tags.borrow_mut() = own(wrong);
        let record = clinic.at(30, id, &house, &event(id)).await;
        assert_eq!(record.outcome, Outcome::Fixed, "{wrong}");
        assert!(record.notes.iter().any(|note| note.contains(ledger::TAG)), "it is said: {:?}", record.notes);
    }
}

/// The same doors, but they lead to the street.
#[derive(Debug)]
struct StreetDoors;

doors!(
    StreetDoors,
    About { id: "toy-street-door", exposes: true, ..Doors::ABOUT },
    fn lasting(door: &Door) -> Door {
        Door { blocked: false, ..door.clone() } // people come and go
    }
);

struct Street(House);

impl Cloud<StreetDoors> for Street {
    async fn observe(&self, place: &Place<Name>, occasion: &Occasion) -> Result<Option<Door>, Fault> {
        Cloud::<Doors>::observe(&self.0, place, occasion).await
    }
    async fn apply(&self, place: &Place<Name>, turn: &Turn) -> Result<(), Fault> {
        Cloud::<Doors>::apply(&self.0, place, turn).await
    }
    async fn tags(&self, place: &Place<Name>) -> Result<Vec<(String, String)>, Fault> {
        Cloud::<Doors>::tags(&self.0, place).await
    }
    async fn list(
        &self,
        _: &triggers::ids::AccountId,
        _: &triggers::ids::Region,
        _: &Occasion,
        _: Option<&str>,
    ) -> Result<crate::control::Page<Name>, Fault> {
        Err(Fault::Gone)
    }
}

#[tokio::test(start_paused = true)]
async fn what_holds_health_data_is_never_exempt_from_being_closed() {
    let clinic = Clinic::new();
    clinic.ledger.exempt(&Exemption { control: None, ..exemption() }, 0).await.unwrap();
    let go = async |id: &str, house: &Street, request: Request<Doors>| {
        let minute = Duration::from_mins(1);
        kept_as(id, now(), house, &of(request), &clinic.settings, &clinic.ledger, minute).await
    };
    let house = || Street(House::new(OPEN, []));
    assert_eq!(go("r-1", &house(), event("e-1")).await.outcome, Outcome::Exempt, "no mark, no matter");
    let phi = house();
    *phi.0.tags.borrow_mut() = Ok(vec![("holds".to_owned(), "phi".to_owned())]);
    let fixed = go("r-2", &phi, event("e-2")).await;
    assert_eq!(fixed.outcome, Outcome::Fixed);
    assert!(fixed.notes.iter().any(|note| note.contains("health data")), "{:?}", fixed.notes);
    let unread = house();
    *unread.0.tags.borrow_mut() = Err(crate::toy::throttled());
    let refused = go("r-3", &unread, event("e-3")).await;
    assert_eq!((refused_by(&refused), refused.retry), ((Outcome::Refused, Some("exemption")), true));

    // Nor is it opened by an undo, unless by name; and then nothing keeps the next look from closing it.
    let undo = go("r-4", &phi, undo_of(&fixed, 8)).await;
    assert_eq!(refused_by(&undo), (Outcome::Refused, Some("phi")));
    let named = Request { overrides: vec!["phi".to_owned()], ..undo_of(&fixed, 8) };
    let undone = go("r-5", &phi, named).await;
    assert_eq!((undone.outcome, undone.left_alone_until), (Outcome::Undone, None), "{}", undone.why);
    assert_eq!(go("r-6", &phi, event("e-6")).await.outcome, Outcome::Fixed);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_again_and_again_is_left_and_said_once() {
    let clinic = Clinic::new();
    for hour in 0..3 {
        let record = clinic.at(hour, &format!("r-{hour}"), &House::new(OPEN, []), &event(&format!("e-{hour}"))).await;
        assert_eq!(record.outcome, Outcome::Fixed);
    }
    let house = House::new(OPEN, []);
    *house.tags.borrow_mut() = Ok(vec![("aws:cloudformation:stack-name".to_owned(), "front-desk".to_owned())]);
    for hour in 3..6 {
        let record = clinic.at(hour, &format!("r-{hour}"), &house, &event(&format!("e-{hour}"))).await;
        assert_eq!(refused_by(&record), (Outcome::Refused, Some("flapping")));
        for who in ["3 times", "role/deployer (PaintDoor by terraform)", "front-desk"] {
            assert!(record.why.contains(who), "{who}: {}", record.why);
        }
    }
    assert!(house.writes().is_empty());
    assert_eq!(clinic.outcomes(), ["fixed", "fixed", "fixed", "refused"]);
    assert_eq!(clinic.at(26, "r-26", &house, &event("e-26")).await.outcome, Outcome::Fixed, "the window has passed");
}

#[tokio::test(start_paused = true)]
async fn past_the_budget_there_are_plans_and_one_alarm() {
    let mut clinic = Clinic::new();
    clinic.settings.limits.per_hour = 3;
    let go = async |hour, id: &str| clinic.at(hour, id, &House::new(OPEN, []), &event(id)).await;
    assert_eq!(go(0, "r-1").await.outcome, Outcome::Fixed);
    for id in ["r-2", "r-3"] {
        assert_eq!(refused_by(&go(0, id).await), (Outcome::Planned, Some("budget")), "two more are not within three");
    }
    let reached = |item: &ledger::Item| item.key.sk.starts_with("reached#");
    assert_eq!(clinic.store.inner().items().iter().filter(|item| reached(item)).count(), 1);
    let named = manual(Order::Fix(Some(Mode::Enforce)), &["budget"]);
    assert_eq!(clinic.at(0, "r-4", &House::new(OPEN, []), &named).await.outcome, Outcome::Fixed);
    assert_eq!(go(1, "r-5").await.outcome, Outcome::Fixed, "another hour");
}

#[tokio::test(start_paused = true)]
async fn an_invocation_has_a_budget_too() {
    let clinic = Clinic::new();
    let mut settings = clinic.settings.clone();
    settings.limits.per_invocation = 3;
    let spent = Spent::default();
    let mut outcomes = Vec::new();
    for id in ["r-1", "r-2"] {
        let run = Run { one_of_many: true, ..a_run(id, &settings, Some(&clinic.ledger), &spent) };
        outcomes.push(super::run(&House::new(OPEN, []), &event(id), &run).await.outcome);
    }
    assert_eq!(outcomes, [Outcome::Fixed, Outcome::Planned]);
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_nothing_is_written() {
    let gone = || Trouble::lasting("the ledger table does not exist");
    let busy = || Trouble::passing("the ledger was throttled");
    for trouble in [gone(), busy()] {
        for fails in ["Query", "Get", "Write"] {
            let answer = trouble.clone();
            let fail = move |_, call: Call<'_>| {
                if format!("{call:?}").starts_with(fails) { Act::Fail(answer.clone()) } else { Act::Go }
            };
            let (clinic, house) = (Clinic::whose_ledger(fail), House::new(OPEN, []));
            let record = clinic.at(0, "r-1", &house, &event("e-1")).await;
            assert_eq!(refused_by(&record), (Outcome::Refused, Some("ledger")), "{fails}");
            assert!(record.retry && house.writes().is_empty() && record.why.contains("the ledger"), "{}", record.why);
        }
    }
    let house = House::new(OPEN, []);
    let (settings, spent) = (settings(Mode::Enforce), Spent::default());
    let run = a_run("r-1", &settings, None, &spent);
    assert_eq!(refused_by(&super::run(&house, &event("e-1"), &run).await), (Outcome::Refused, Some("ledger")));
    assert!(house.writes().is_empty());
    // A look does no harm.
    assert_eq!(super::run(&house, &manual(Order::Fix(Some(Mode::Plan)), &[]), &run).await.outcome, Outcome::Planned);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_ledger_misses_is_made_good_by_the_next_run() {
    let writes = Rc::new(Cell::new(0));
    let counted = Rc::clone(&writes);
    let clinic = Clinic::whose_ledger(move |_, call| {
        if let Call::Write(_) = call {
            counted.set(counted.get() + 1);
        }
        // The intent gets through, and then five tries to put the result in its place do not.
        let fails = matches!(call, Call::Write(_)) && (2..=6).contains(&counted.get());
        if fails { Act::Fail(Trouble::passing("the ledger was throttled")) } else { Act::Go }
    });
    let house = House::new(OPEN, []);
    let record = clinic.at(0, "r-1", &house, &event("e-1")).await;
    assert_eq!((record.outcome, record.retry), (Outcome::Fixed, true), "true, and to be looked at again");
    assert_eq!(clinic.outcomes(), ["unverified"]);
    // Lambda sends the same event again.
    let again = clinic.at(1, "r-1", &house, &event("e-1")).await;
    assert_eq!(again.outcome, Outcome::Compliant);
    let [kept] = &clinic.records()[..] else { panic!() };
    assert_eq!((&kept["outcome"], &kept["id"]), (&json!("fixed"), &json!("r-1")));
    assert!(kept["why"].as_str().unwrap().contains("next run"), "{}", kept["why"]);
}

/// A death at a write: whoever comes next says what became of it, and goes on.
#[tokio::test(start_paused = true)]
async fn whoever_dies_is_found_out() {
    // Before its first write, between the two, after both.
    for (writes, was, first, then) in [
        (0, OPEN, "unverified", Outcome::Fixed),
        (1, Door { shut: true, ..OPEN }, "unverified", Outcome::Fixed),
        (2, SHUT, "fixed", Outcome::Compliant),
    ] {
        let clinic = Clinic::new();
        let mut script = vec![Step::Fine; writes + 1];
        script.push(Step::Hangs);
        let house = House::new(OPEN, script);
        let cause = event("e-1");
        let dies = clinic.at(0, "r-1", &house, &cause);
        drop(timeout_at(Instant::now() + Duration::from_secs(1), Box::pin(dies)).await);
        assert_eq!(house.door(), Some(was));
        // Somebody else's event, while the dead one's lease is in force: it waits, and gives up.
        let other = House::new(house.door().unwrap(), []);
        let meanwhile = clinic.at(0, "r-2", &other, &event("e-2")).await;
        if writes < 2 {
            assert_eq!((refused_by(&meanwhile), meanwhile.retry), ((Outcome::Refused, Some("busy")), true));
            assert!(other.writes().is_empty(), "one writer at a time");
        }
        let next = clinic.at(1, "r-3", &other, &event("e-2")).await;
        assert_eq!(next.outcome, then, "{}", next.why);
        assert_eq!(clinic.outcomes()[0], first);
        assert_eq!(other.door(), Some(SHUT));
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_one_writes() {
    // Two events, or one that Lambda delivers twice.
    for second in ["r-2", "r-1"] {
        let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
        let cause = event("e-1");
        let (one, other) = tokio::join!(clinic.at(0, "r-1", &house, &cause), clinic.at(0, second, &house, &cause));
        let mut outcomes = [one.outcome, other.outcome];
        outcomes.sort();
        assert_eq!(outcomes, [Outcome::Compliant, Outcome::Fixed]);
        assert_eq!(house.writes().len(), 2);
        assert_eq!(clinic.outcomes(), ["fixed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_is_left_alone_for_as_long_as_was_asked() {
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let fixed = clinic.at(0, "r-1", &house, &event("e-1")).await;
    let undone = clinic.at(1, "r-2", &house, &undo_of(&fixed, 8)).await;
    assert_eq!((undone.outcome, house.door()), (Outcome::Undone, Some(OPEN)));
    let until = undone.left_alone_until.unwrap() - now();
    assert_eq!(until.whole_minutes(), 9 * 60);
    let left = clinic.at(2, "r-3", &house, &event("e-2")).await;
    assert_eq!((left.outcome, house.door()), (Outcome::Exempt, Some(OPEN)));
    assert!(left.why.contains("user/alice"), "{}", left.why);
    assert_eq!(clinic.at(9, "r-4", &house, &event("e-3")).await.outcome, Outcome::Fixed, "its time is over");

    // An undo of the undo ends it at once.
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let fixed = clinic.at(0, "r-1", &house, &event("e-1")).await;
    let undone = clinic.at(1, "r-2", &house, &undo_of(&fixed, 8)).await;
    let redone = clinic.at(2, "r-3", &house, &undo_of(&undone, 8)).await;
    assert_eq!((redone.outcome, house.door(), redone.left_alone_until), (Outcome::Undone, Some(SHUT), None));
    assert!(clinic.ledger.deployment().await.unwrap().exemptions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_function_that_may_not_undo_says_which_one_may() {
    let mut clinic = Clinic::new();
    let house = House::new(OPEN, []);
    let fixed = clinic.at(0, "r-1", &house, &event("e-1")).await;
    clinic.settings.undo_function = Some("suture-undo".to_owned());
    let refused = clinic.at(1, "r-2", &house, &undo_of(&fixed, 8)).await;
    assert_eq!(refused_by(&refused), (Outcome::Refused, Some("undo-function")));
    assert!(refused.why.contains("suture-undo"));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_does_not_say_the_same_every_day() {
    let clinic = Clinic::new();
    let door = Door { blocked: true, ..OPEN };
    let sweep = Request { trigger: triggers::Trigger::Schedule, cause: None, ..request() };
    for day in 0..7 {
        let record = clinic.at(day * 24, &format!("r-{day}"), &House::new(door.clone(), []), &sweep).await;
        assert_eq!(refused_by(&record), (Outcome::Refused, Some("blocked")));
    }
    assert_eq!(clinic.records().len(), 1);
    clinic.at(7 * 24, "r-7", &House::new(door.clone(), []), &sweep).await;
    assert_eq!(clinic.records().len(), 2, "once a week");
    clinic.at(7 * 24, "r-8", &House::new(Door { bolts: 1, ..door }, []), &sweep).await;
    assert_eq!(clinic.records().len(), 3, "and when it is another state");
}

#[tokio::test(start_paused = true)]
async fn what_needed_a_person_and_is_well_again_is_news_once() {
    let clinic = Clinic::new();
    let door = Door { blocked: true, ..OPEN };
    clinic.at(0, "r-1", &House::new(door, []), &event("e-1")).await;
    for (hour, id) in [(1, "r-2"), (2, "r-3")] {
        assert_eq!(clinic.at(hour, id, &House::new(SHUT, []), &event(id)).await.outcome, Outcome::Compliant);
    }
    assert_eq!(clinic.outcomes(), ["refused", "compliant"]);
}

#[tokio::test(start_paused = true)]
async fn one_of_many_asks_the_ledger_only_where_it_has_drifted() {
    let clinic = Clinic::new();
    let go = async |house: &House| {
        let spent = Spent::default();
        let run = Run { one_of_many: true, ..a_run("r-1", &clinic.settings, Some(&clinic.ledger), &spent) };
        super::run(house, &request(), &run).await.outcome
    };
    assert_eq!((go(&House::new(SHUT, [])).await, clinic.store.calls()), (Outcome::Compliant, 0));
    assert_eq!((go(&House::new(OPEN, [])).await, clinic.store.calls()), (Outcome::Fixed, 4));
}

#[tokio::test(start_paused = true)]
async fn the_same_refusal_of_another_event_is_recorded_and_not_told_again() {
    let clinic = Clinic::new();
    let door = Door { blocked: true, ..OPEN };
    for (hour, id) in [(0, "r-1"), (1, "r-2"), (24 * 8, "r-3")] {
        clinic.at(hour, id, &House::new(door.clone(), []), &event(id)).await;
    }
    let again: Vec<_> = clinic.records().iter().map(|record| record["again"].as_bool()).collect();
    assert_eq!(again, [None, Some(true), None]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_lasts_as_long_as_the_reading_back() {
    let clinic = Clinic::new();
    let slow = Ledger::new(Rc::clone(&clinic.store) as Rc<dyn Store>).with_lease(Duration::from_secs(8));
    // Reads lag until after the lease would have ended.
    let stale = std::iter::repeat_n(Step::Stale, 7);
    let house = House::new(OPEN, [Step::Fine, Step::Fine, Step::Fine].into_iter().chain(stale));
    let (first, second) = (event("e-1"), event("e-2"));
    let minute = Duration::from_mins(1);
    let one = kept_as("r-1", now(), &house, &first, &clinic.settings, &slow, minute);
    let other = async {
        sleep(Duration::from_secs(9)).await;
        let later = now() + Duration::from_secs(9);
        kept_as("r-2", later, &house, &second, &clinic.settings, &slow, minute).await
    };
    let (one, other) = tokio::join!(one, other);
    assert_eq!((one.outcome, other.outcome), (Outcome::Fixed, Outcome::Compliant), "{} / {}", one.why, other.why);
    assert_eq!(house.writes().len(), 2);
    assert_eq!(clinic.outcomes(), ["fixed"]);
}

#[tokio::test(start_paused = true)]
async fn the_gates_are_asked_in_their_order() {
    let clinic = Clinic::new();
    clinic.posture(|posture| posture.mode = Some(Mode::Plan)).await;
    let more = manual(Order::Fix(Some(Mode::Enforce)), &[]);
    let go = async |id: &str| clinic.at(0, id, &House::new(OPEN, []), &more).await;
    assert_eq!(refused_by(&go("r-1").await), (Outcome::Refused, Some("mode")));
    clinic.ledger.exempt(&exemption(), 0).await.unwrap();
    assert_eq!(go("r-2").await.outcome, Outcome::Exempt, "the exemption before the mode");
    let stop = || Stop { by: "alice".to_owned(), reason: "INC-1".to_owned(), at: now() };
    clinic.posture(|posture| posture.stop = Some(stop())).await;
    assert_eq!(refused_by(&go("r-3").await), (Outcome::Refused, Some("kill-switch")), "the kill switch before all");
}
