//! Whether a control minds an event, and what it then has to do.

use super::*;
use crate::About;
use crate::toy::{Door, Name, Turn};
use crate::toy::{Doors, OURS, SHUT, THEIRS, account, doors, notice, region};
use serde_json::json;

fn of(notice: &Notice) -> (Vec<Work<Doors>>, Vec<Unread>) {
    let (account, region) = (account(OURS), region("us-east-1"));
    work::<Doors>(notice, Own { account: Some(&account), region: Some(&region) })
}

fn requests(notice: &Notice) -> Vec<Request<Doors>> {
    let (work, unread) = of(notice);
    assert_eq!(unread, [], "{notice:?}");
    let request = |work| match work {
        Work::One(request) => *request,
        Work::All(sweep) => panic!("{sweep:?}"),
    };
    work.into_iter().map(request).collect()
}

fn sweep(notice: &Notice) -> Sweep {
    match of(notice) {
        (mut work, unread) if unread.is_empty() && work.len() == 1 => match work.remove(0) {
            Work::All(sweep) => *sweep,
            Work::One(request) => panic!("{request:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn refused(notice: &Notice) -> Unread {
    match of(notice) {
        (work, mut unread) if work.is_empty() && unread.len() == 1 => unread.remove(0),
        other => panic!("{other:?}"),
    }
}

fn ignored(notice: &Notice) -> String {
    match refused(notice) {
        Unread::Ignored(why) => why,
        Unread::Rejected(why) => panic!("rejected: {why}"),
    }
}

fn rejected(notice: &Notice) -> String {
    match refused(notice) {
        Unread::Rejected(why) => why,
        Unread::Ignored(why) => panic!("ignored: {why}"),
    }
}

fn from(trigger: Trigger, event: &str) -> Notice {
    Notice { trigger, event: Some(event.to_owned()), call: None, ..notice(&["front"]) }
}

fn manual(manual: Manual) -> Notice {
    Notice {
        trigger: Trigger::Manual,
        account: None,
        region: None,
        event: None,
        resources: Vec::new(),
        cause: None,
        call: None,
        manual: Some(manual),
        ..notice(&[])
    }
}

fn asks(resource: &str) -> Manual {
    Manual {
        control: None,
        resource: Some(resource.to_owned()),
        mode: None,
        reason: None,
        overrides: Vec::new(),
        record: None,
        recall: None,
        decision: None,
        leave_alone: None,
        caller: None,
        asked_by: None,
    }
}

fn past() -> Value {
    json!({
        "id": "r-1",
        "control": "toy-open-door",
        "resource": {"id": "front", "account": OURS, "region": "eu-west-1"},
        "outcome": "fixed",
        "before": SHUT,
        "after": SHUT,
    })
}

#[test]
fn a_call_on_two_resources_is_two_requests_and_a_bad_name_is_no_harm_to_the_good() {
    let names = |doors: &[&str]| {
        let (work, unread) = of(&notice(doors));
        (work.len(), unread.len())
    };
    assert_eq!(names(&["front", "back"]), (2, 0));
    assert_eq!(names(&["front", "../back"]), (1, 1));
    assert_eq!(names(&["*", "../back"]), (0, 2));
    let requests = requests(&notice(&["front", "back"]));
    assert_eq!(requests.iter().map(|r| r.place.target.to_string()).collect::<Vec<_>>(), ["front", "back"]);
    let request = &requests[0];
    assert_eq!((&request.place.account, &request.place.region), (&account(OURS), &region("us-east-1")));
    assert_eq!((request.named.as_str(), request.trigger), ("front", Trigger::CloudTrail));
    assert!(matches!(request.order, Order::Fix(None)) && !request.announces_drift);
}

#[test]
fn the_account_and_region_are_those_of_the_event() {
    let theirs = Notice { account: Some(account(THEIRS)), region: Some(region("eu-west-1")), ..notice(&["front"]) };
    let place = &requests(&theirs)[0].place;
    assert_eq!((&place.account, &place.region), (&account(THEIRS), &region("eu-west-1")));
    // An event that does not say is not taken for one about ourselves; a request of this function is.
    assert!(rejected(&Notice { account: None, ..notice(&["front"]) }).contains("which account"));
    assert!(rejected(&Notice { region: None, ..notice(&["front"]) }).contains("which region"));
    let nowhere = work::<Doors>(&manual(asks("front")), Own { account: None, region: None });
    assert!(nowhere.0.is_empty());
    assert_eq!(nowhere.1, [Unread::Rejected("nothing says which account it is about".to_owned())]);
}

#[test]
fn calls_that_are_no_concern_of_ours() {
    let call = |source: &str, name: &str| {
        let call = ApiCall {
            event_source: source.to_owned(),
            event_name: name.to_owned(),
            parameters: Value::Null,
            response: Value::Null,
        };
        Notice { event: Some(name.to_owned()), call: Some(call), ..notice(&["front"]) }
    };
    assert!(ignored(&call("doors.amazonaws.com", "KnockAtDoor")).contains("cannot bring about"));
    assert!(rejected(&call("windows.amazonaws.com", "OpenDoor")).contains("another service"));
    assert_eq!(requests(&call("doors.amazonaws.com", "OpenDoor")).len(), 1);
    assert!(requests(&call("doors.amazonaws.com", "OpenDoor"))[0].announces_drift);
    assert!(rejected(&notice(&[])).contains("names no Toy::House::Door"));
    let nothing = Notice { act: Act::Ignore, why: "it did not happen".to_owned(), ..notice(&["front"]) };
    assert_eq!(ignored(&nothing), "it did not happen");
}

#[test]
fn findings_are_told_by_their_control_and_rules_by_their_resource() {
    let finding = |trigger, ids: &[&str]| Notice {
        action: (trigger == Trigger::SecurityHubAction).then(|| ACTION.to_owned()),
        control_ids: ids.iter().map(|&id| id.to_owned()).collect(),
        ..from(trigger, ids.first().copied().unwrap_or_default())
    };
    for trigger in [Trigger::SecurityHub, Trigger::SecurityHubV2, Trigger::SecurityHubAction] {
        assert_eq!(requests(&finding(trigger, &["Doors.1"])).len(), 1);
        assert_eq!(requests(&finding(trigger, &["CIS.4.2", "Doors.1"])).len(), 1);
        assert!(ignored(&finding(trigger, &["Doors.2"])).contains("no concern"));
        assert!(ignored(&finding(trigger, &[])).contains("no concern"));
    }
    // A button says what is meant.
    let pressed = finding(Trigger::SecurityHubAction, &["Doors.1"]);
    for other in [None, Some("Quarantine".to_owned()), Some("suture".to_owned())] {
        assert!(ignored(&Notice { action: other, ..pressed.clone() }).contains("custom action"));
    }
    // A rule has whatever name a conformance pack gave it.
    for trigger in [Trigger::ConfigCompliance, Trigger::ConfigItem, Trigger::ConfigRule] {
        assert_eq!(requests(&from(trigger, "door-closed-conformance-pack-x1y2z3")).len(), 1);
        let mut other = from(trigger, "door-closed");
        other.resources[0].r#type = "Toy::House::Window".to_owned();
        assert!(ignored(&other).contains("names no Toy::House::Door"));
        other.resources[0].r#type = "Toy::House::Gate".to_owned();
        assert_eq!(requests(&other).len(), 1);
    }
}

#[test]
fn incidents_are_told_by_how_their_names_begin() {
    for (event, minded) in [
        ("AWS_DOORS_KEY_EXPOSED", true),
        ("AWS_DOORS_KEY_EXPOSED_AGAIN", true),
        ("AWS_DOORS_PAINT_PEELS", false),
        ("", false),
    ] {
        for trigger in [Trigger::Health, Trigger::GuardDuty] {
            let notice = Notice { act: Act::Incident, ..from(trigger, event) };
            assert_eq!(of(&notice).0.len(), usize::from(minded), "{event}");
        }
    }
    assert!(ignored(&from(Trigger::Other, "Paint Dried")).contains("no concern"));
}

#[test]
fn schedules_and_stars_are_sweeps() {
    let schedule = Notice { act: Act::Sweep, resources: vec![], cause: None, ..from(Trigger::Schedule, "nightly") };
    let all = sweep(&schedule);
    assert_eq!((all.mode, all.trigger, all.account), (None, Trigger::Schedule, account(OURS)));
    let all = sweep(&manual(asks("*")));
    assert_eq!(
        (all.mode, all.region.as_str()),
        (Some(Mode::Plan), "us-east-1"),
        "a person who did not say so gets a plan"
    );
    let all = sweep(&manual(Manual { mode: Some(ManualMode::Enforce), ..asks("*") }));
    assert_eq!(all.mode, Some(Mode::Enforce));
}

/// Doors of the whole house, in whatever region.
struct House;
doors!(House, About { id: "house", scope: Scope::Global, ..Doors::ABOUT });
/// Our own doors.
struct OurOwn;
doors!(OurOwn, About { id: "own", scope: Scope::Deployment, ..Doors::ABOUT });

#[test]
fn a_schedule_means_the_places_that_we_look_after() {
    let alone = crate::toy::settings(Mode::Plan);
    let both = Settings { accounts: vec![account(OURS), account(THEIRS)], ..alone.clone() };
    let arn = "arn:aws:iam::{account}:role/suture-member-a".to_owned();
    let member_role = Some(crate::accounts::MemberRole { arn, external_id: None });
    let hub = Settings { member_role, ..both.clone() };
    let asked = sweep(&Notice { act: Act::Sweep, ..from(Trigger::Schedule, "nightly") });
    let of = |places: Vec<Sweep>| -> Vec<String> {
        places.iter().map(|place| format!("{} {}", place.account, place.region)).collect()
    };
    let (ours, theirs) = (|at: &str| format!("{OURS} {at}"), |at: &str| format!("{THEIRS} {at}"));
    let at_home = vec![ours("us-east-1"), ours("eu-west-1")];
    assert_eq!(of(asked.places::<Doors>(&alone)), at_home);
    assert_eq!(of(asked.places::<Doors>(&both)), at_home, "nobody else lends us a role");
    let everywhere = [at_home, vec![theirs("us-east-1"), theirs("eu-west-1")]].concat();
    assert_eq!(of(asked.places::<Doors>(&hub)), everywhere);
    let here = asked.region.as_str();
    assert_eq!(of(asked.places::<House>(&hub)), [ours(here), theirs(here)]);
    assert_eq!(of(asked.places::<OurOwn>(&hub)), [ours(here)]);
    let elsewhere = Settings { accounts: vec![account(THEIRS)], ..hub };
    assert_eq!(of(asked.places::<House>(&elsewhere)), [theirs(here)]);
    assert_eq!(of(asked.places::<OurOwn>(&elsewhere)), [ours(here)], "it looks after itself all the same");
}

#[test]
fn a_part_is_of_the_control_that_it_names_and_of_no_other() {
    let part = |control: &str| {
        let part = triggers::Part { control: control.to_owned(), after: None, resources: vec!["front".to_owned()] };
        Notice { act: Act::Sweep, part: Some(part), ..from(Trigger::Schedule, "nightly") }
    };
    assert_eq!(sweep(&part("toy-open-door")).part.unwrap().resources, ["front"]);
    assert!(rejected(&part("s3-public-bucket")).contains("s3-public-bucket"));
}

#[test]
fn a_manual_request() {
    let request = requests(&manual(asks("front"))).remove(0);
    assert!(matches!(request.order, Order::Fix(Some(Mode::Plan))));
    assert_eq!((request.place.account, request.trigger, request.cause), (account(OURS), Trigger::Manual, None));
    let asked = Manual {
        control: Some("toy-open-door".to_owned()),
        mode: Some(ManualMode::Enforce),
        reason: Some("INC-1".to_owned()),
        overrides: vec!["blocked".to_owned()],
        ..asks("front")
    };
    let request = requests(&manual(asked.clone())).remove(0);
    assert!(matches!(request.order, Order::Fix(Some(Mode::Enforce))));
    assert_eq!((request.reason.as_deref(), request.overrides), (Some("INC-1"), vec!["blocked".to_owned()]));
    assert!(
        rejected(&manual(Manual { control: Some("s3-x".to_owned()), ..asked }))
            .contains("this function is toy-open-door")
    );
    assert!(rejected(&manual(asks("../etc"))).contains("is no door"));
    assert!(rejected(&manual(Manual { mode: Some(ManualMode::Undo), ..asks("front") })).contains("no record to undo"));
}

#[test]
fn an_undo_is_of_our_own_record_and_of_the_resource_that_it_names() {
    let undo = Manual { mode: Some(ManualMode::Undo), resource: None, record: Some(past()), ..asks("") };
    let request = requests(&manual(undo.clone())).remove(0);
    assert!(matches!(&request.order, Order::Undo(past) if past.id == "r-1"));
    assert_eq!(request.place.region, region("eu-west-1"), "the record's region, not ours");
    assert!(rejected(&manual(Manual { mode: None, ..undo.clone() })).contains("mode is not undo"));
    assert!(rejected(&manual(Manual { resource: Some("back".to_owned()), ..undo.clone() })).contains("its record"));
    let elsewhere = Notice { region: Some(region("us-east-1")), ..manual(undo.clone()) };
    assert!(rejected(&elsewhere).contains("region"));
    for (field, value, says) in [
        ("control", json!("s3-public-bucket"), "made by control"),
        ("outcome", json!("perfect"), "cannot be read"),
        ("resource", json!({"id": "front", "account": "1", "region": "eu-west-1"}), "cannot be read"),
        ("resource", json!({"id": "../x", "account": OURS, "region": "eu-west-1"}), "is no door"),
    ] {
        let mut record = past();
        record[field] = value;
        assert!(rejected(&manual(Manual { record: Some(record), ..undo.clone() })).contains(says), "{field}");
    }
}
