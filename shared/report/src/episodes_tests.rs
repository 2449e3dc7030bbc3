//! Stories of records, and the stretches that they make; and what holds for any.

use super::*;
use crate::fact::moment;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A time of the story: so many minutes after its beginning.
fn at(minutes: i64) -> OffsetDateTime {
    moment("2026-10-01T00:00:00Z").unwrap() + Duration::minutes(minutes)
}

fn text(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// A record of a bucket, that began so many minutes after the beginning of the story; with what else it says.
fn record(minutes: i64, outcome: &str, more: Value) -> Value {
    let mut record = json!({
        "id": format!("r{minutes}"), "control": "s3-public-bucket", "outcome": outcome, "why": outcome, "took_ms": 30_000,
        "resource": {"type": "AWS::S3::Bucket", "id": "scans", "account": "111122223333", "region": "us-east-1"},
        "trigger": "schedule", "cause": null, "before": {}, "changes": ["write"], "began": text(at(minutes)),
    });
    let Value::Object(more) = more else { panic!("not an object") };
    record.as_object_mut().unwrap().extend(more);
    record
}

/// What a call at this time causes.
fn called(minutes: i64) -> Value {
    json!({"trigger": "cloud-trail", "cause": {"call": "DeletePublicAccessBlock", "actor": "alice", "at": text(at(minutes))}})
}

fn facts(records: &[Value]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = records.iter().map(|record| Fact::of(record).unwrap()).collect();
    facts.sort_by(|a, b| a.key.cmp(&b.key));
    facts
}

fn month() -> Period {
    Period { from: at(0), until: at(30 * 24 * 60) }
}

/// Each stretch of a story: when it began and ended, in minutes, how it ended or stands, and its records.
fn told(records: &[Value]) -> Vec<(f64, Option<f64>, End, String)> {
    let minutes = |time: OffsetDateTime| (time - at(0)).as_seconds_f64() / 60.0;
    let tell = |stretch: Stretch| {
        let episode = stretch.episode;
        let records = episode.records.join(" ");
        (minutes(episode.began), episode.ended.map(minutes), episode.end, records)
    };
    stretches(&facts(records)).into_iter().map(tell).collect()
}

fn and(one: Value, other: &Value) -> Value {
    let mut both = one;
    both.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    both
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn stories() {
    let none = || json!({});
    let undoes = |id: &str| json!({"undoes": id});
    let exempt = |until: i64| json!({"exemption": {"id": "e-1", "expires": text(at(until))}});
    let one = |began: f64, ended: Option<f64>, end: End, records: &str| vec![(began, ended, end, records.to_owned())];
    for (story, records, expected) in [
        ("a fix", vec![record(10, "fixed", called(8))], one(8.0, Some(10.5), End::Fixed, "r10")),
        ("a fix of nobody's drift", vec![record(10, "fixed", none())], one(10.0, Some(10.5), End::Fixed, "r10")),
        ("planned, and that is all", vec![record(10, "planned", called(8))], one(8.0, None, End::Planned, "r10")),
        (
            "a rule's time is no call's",
            vec![record(
                10,
                "planned",
                json!({"trigger": "config-rule", "cause": {"call": "a-rule", "at": text(at(2))}}),
            )],
            one(10.0, None, End::Planned, "r10"),
        ),
        (
            "a call after the look did not cause it",
            vec![record(10, "planned", called(12))],
            one(10.0, None, End::Planned, "r10"),
        ),
        (
            "seen again and again",
            vec![record(10, "planned", called(8)), record(20, "planned", called(18)), record(30, "fixed", none())],
            one(8.0, Some(30.5), End::Fixed, "r10 r20 r30"),
        ),
        (
            "again, of one that is out of sight",
            vec![record(10, "planned", and(called(8), &json!({"again": true})))],
            one(10.0, None, End::Planned, "r10"),
        ),
        (
            "approved",
            vec![record(10, "awaiting-approval", called(8)), record(50, "fixed", json!({"approval": {"by": "bob"}}))],
            one(8.0, Some(50.5), End::Fixed, "r10 r50"),
        ),
        (
            "rejected, and asked no more",
            vec![record(10, "awaiting-approval", called(8)), record(50, "refused", json!({"refused_by": "rejected"}))],
            one(8.0, None, End::Refused, "r10 r50"),
        ),
        (
            "an organization's policy forbids",
            vec![record(10, "blocked-by-organization", called(8))],
            one(8.0, None, End::Refused, "r10"),
        ),
        (
            "refused, then exempt, then fixed",
            vec![record(10, "refused", none()), record(20, "exempt", exempt(60)), record(70, "fixed", none())],
            one(10.0, Some(70.5), End::Fixed, "r10 r20 r70"),
        ),
        (
            "refused before the look: nobody knows",
            vec![record(10, "refused", json!({"before": null})), record(20, "failed", json!({"before": null}))],
            vec![],
        ),
        (
            "a look that fails changes nothing",
            vec![record(10, "planned", none()), record(20, "failed", json!({"before": null}))],
            one(10.0, None, End::Planned, "r10 r20"),
        ),
        ("failed after the look", vec![record(10, "failed", none())], one(10.0, None, End::Failed, "r10")),
        (
            "written, and seen by the next look",
            vec![record(10, "unverified", called(8)), record(20, "compliant", none())],
            one(8.0, Some(20.0), End::Fixed, "r10 r20"),
        ),
        (
            "written in part, the rest by somebody else",
            vec![record(10, "partly-fixed", called(8)), record(20, "compliant", none())],
            one(8.0, Some(20.0), End::MendedElsewhere, "r10 r20"),
        ),
        (
            "mended by somebody, as a call tells",
            vec![record(10, "refused", called(8)), record(20, "compliant", called(18))],
            one(8.0, Some(18.0), End::MendedElsewhere, "r10 r20"),
        ),
        (
            "mended by somebody at some time",
            vec![record(10, "refused", called(8)), record(20, "compliant", called(9))],
            one(8.0, Some(20.0), End::MendedElsewhere, "r10 r20"),
        ),
        (
            "gone",
            vec![record(10, "refused", none()), record(20, "gone", none())],
            one(10.0, Some(20.0), End::Gone, "r10 r20"),
        ),
        ("sound all the time", vec![record(10, "compliant", none()), record(20, "gone", none())], vec![]),
        (
            "twice",
            vec![record(10, "fixed", called(8)), record(20, "fixed", called(18))],
            [one(8.0, Some(10.5), End::Fixed, "r10"), one(18.0, Some(20.5), End::Fixed, "r20")].concat(),
        ),
        (
            "twice, the second told of late",
            vec![record(10, "fixed", called(8)), record(20, "fixed", called(9))],
            [one(8.0, Some(10.5), End::Fixed, "r10"), one(10.5, Some(20.5), End::Fixed, "r20")].concat(),
        ),
        (
            "taken back",
            vec![record(10, "fixed", called(8)), record(20, "undone", undoes("r10"))],
            [one(8.0, Some(10.5), End::Fixed, "r10"), one(20.5, None, End::TakenBack, "r20")].concat(),
        ),
        (
            "taken back, and that taken back",
            vec![record(10, "fixed", none()), record(20, "undone", undoes("r10")), record(30, "undone", undoes("r20"))],
            [one(10.0, Some(10.5), End::Fixed, "r10"), one(20.5, Some(30.5), End::Fixed, "r20 r30")].concat(),
        ),
        (
            "taken back, and taken back once more: nothing was written",
            vec![record(10, "fixed", none()), record(20, "undone", and(undoes("r10"), &json!({"changes": []})))],
            one(10.0, Some(10.5), End::Fixed, "r10"),
        ),
        (
            "what is taken back is out of sight",
            vec![record(20, "undone", undoes("r1")), record(30, "exempt", exempt(60)), record(90, "fixed", none())],
            one(20.5, Some(90.5), End::Fixed, "r20 r30 r90"),
        ),
        (
            "an undo that is refused",
            vec![record(10, "fixed", none()), record(20, "refused", undoes("r10"))],
            one(10.0, Some(10.5), End::Fixed, "r10"),
        ),
        (
            "an undo of which nobody knows",
            vec![record(10, "fixed", none()), record(20, "unverified", undoes("r10"))],
            [one(10.0, Some(10.5), End::Fixed, "r10"), one(20.0, None, End::Failed, "r20")].concat(),
        ),
        (
            "one that waited while another wrote",
            vec![
                record(10, "fixed", json!({"took_ms": 120_000})),
                record(11, "refused", json!({"refused_by": "flapping"})),
            ],
            one(10.0, Some(12.0), End::Fixed, "r10 r11"),
        ),
        (
            "two that wrote",
            vec![record(10, "fixed", json!({"took_ms": 120_000})), record(11, "fixed", none())],
            [one(10.0, Some(12.0), End::Fixed, "r10"), one(12.0, Some(12.0), End::Fixed, "r11")].concat(),
        ),
        (
            "an undo of what somebody had opened already",
            vec![
                record(10, "fixed", none()),
                record(15, "planned", none()),
                record(20, "undone", and(undoes("r10"), &json!({"changes": []}))),
            ],
            [one(10.0, Some(10.5), End::Fixed, "r10"), one(15.0, None, End::Planned, "r15 r20")].concat(),
        ),
        (
            "an undo that was only planned",
            vec![record(10, "fixed", none()), record(20, "planned", undoes("r10"))],
            one(10.0, Some(10.5), End::Fixed, "r10"),
        ),
        (
            "a plan that a person asked for",
            vec![record(10, "planned", json!({"trigger": "manual", "asked_by": "bob"}))],
            one(10.0, None, End::Planned, "r10"),
        ),
    ] {
        assert_eq!(told(&records), expected, "{story}");
    }
}

#[test]
fn controls_and_resources_have_their_own() {
    let other = json!({"control": "s3-public-policy"});
    let elsewhere = json!({"resource": {"type": "AWS::S3::Bucket", "id": "scans", "account": "444455556666", "region": "us-east-1"}});
    let records = [
        record(10, "planned", json!({})),
        record(11, "planned", other.clone()),
        record(12, "planned", elsewhere),
        record(20, "fixed", other),
    ];
    let told = told(&records);
    let of = |number: usize| (told[number].2, told[number].3.as_str());
    assert_eq!((of(0), of(1), of(2)), ((End::Planned, "r10"), (End::Fixed, "r11 r20"), (End::Planned, "r12")));
    // A user is in no region, whatever region was asked.
    let user = |region: &str| json!({"control": "iam-stale-access-key", "resource": {"type": "AWS::IAM::User", "id": "alice", "account": "111122223333", "region": region}});
    let told = self::told(&[record(10, "planned", user("us-east-1")), record(20, "fixed", user("eu-west-1"))]);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn who_and_why_and_until_when() {
    let records = [
        record(10, "awaiting-approval", called(8)),
        record(20, "exempt", json!({"exemption": {"id": "e-1", "expires": text(at(60))}, "why": "web answers"})),
        record(70, "refused", json!({"refused_by": "public-website", "why": "it is a website"})),
    ];
    let exempt = stretches(&facts(&records[..2])).remove(0).episode;
    assert_eq!((exempt.answered_until, exempt.exemption.as_deref()), (Some(at(60)), Some("e-1")));
    assert_eq!((exempt.cause_known, &exempt.cause.unwrap()["actor"]), (true, &json!("alice")));
    let stretch = stretches(&facts(&records)).remove(0);
    assert_eq!(stretch.answered, [(at(8), None), (at(20), Some(at(60))), (at(70), None)]);
    let refused = stretch.episode;
    assert_eq!((refused.refused_by.as_deref(), refused.why.as_str()), (Some("public-website"), "it is a website"));
    assert_eq!((refused.answered_until, refused.exemption, refused.last_seen), (None, None, at(70)));

    let undone = json!({"undoes": "r10", "asked_by": "bob", "left_alone_until": text(at(1460))});
    let back = stretches(&facts(&[record(20, "undone", undone)])).remove(0).episode;
    assert_eq!((back.person.as_deref(), back.exemption.as_deref()), (Some("bob"), Some("undo-r20")));
    assert_eq!((back.answered_until, back.cause_known), (Some(at(1460)), true));
}

#[test]
fn what_nobody_saw_for_days_is_not_known_to_be_open() {
    let day = 24 * 60;
    let seen =
        |days: i64| within(stretches(&facts(&[record(days * day, "planned", called(days * day - 5))])), &month());
    let (stretch, lost) = seen(29);
    assert_eq!((stretch[0].episode.end, stretch[0].episode.ended, lost), (End::Planned, None, 0));
    assert!((stretch[0].episode.seconds_open - (24.0 * 3600.0 + 300.0)).abs() < 1e-6);
    let (stretch, _) = seen(20);
    assert_eq!((stretch[0].episode.end, stretch[0].episode.ended), (End::Unseen, None));
    assert!((stretch[0].episode.seconds_open - 300.0).abs() < 1e-6, "no longer than it was seen");
    let (stretch, _) = seen(-8);
    assert_eq!((stretch[0].episode.end, stretch[0].episode.seconds_open.to_string()), (End::Unseen, "0".to_owned()));
    let (stretch, lost) = seen(-10);
    assert_eq!((stretch.len(), lost), (0, 1));
    let mended = [record(-5 * day, "planned", json!({})), record(-4 * day, "fixed", json!({}))];
    assert_eq!(within(stretches(&facts(&mended)), &month()), (vec![], 0));
    let over_it = [record(-5 * day, "planned", json!({})), record(day, "fixed", json!({}))];
    let (stretch, _) = within(stretches(&facts(&over_it)), &month());
    assert!((stretch[0].episode.seconds_open - (24.0 * 3600.0 + 30.0)).abs() < 1e-6, "within the period");
    assert_eq!(stretch[0].episode.began, at(-5 * day), "the whole of it");
}

/// Any record of one of two controls and two resources, in a month.
fn any_record() -> impl Strategy<Value = Value> {
    let outcome = proptest::sample::select(&Outcome::ALL[..]);
    let control = proptest::sample::select(vec!["s3-public-bucket", "s3-public-policy"]);
    let resource = proptest::sample::select(vec!["scans", "site"]);
    let cause = proptest::option::of(-600_i64..50_000);
    let undoes = proptest::option::weighted(0.3, 0_i64..40_000);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0_i64..40_000, outcome, control, resource, cause, undoes, 0_u64..600_000, flags).prop_map(
        |(minutes, outcome, control, resource, cause, undoes, took, (saw, changes, again))| {
            let mut record = record(minutes, outcome.name(), cause.map_or(json!({}), called));
            record["control"] = control.into();
            record["resource"]["id"] = resource.into();
            record["took_ms"] = took.into();
            record["undoes"] = undoes.map_or(Value::Null, |of| format!("r{of}").into());
            record["again"] = again.into();
            if !saw {
                record["before"] = Value::Null;
            }
            if !changes {
                record["changes"] = json!([]);
            }
            if outcome == Outcome::Exempt {
                record["exemption"] = json!({"id": "e-1", "expires": text(at(minutes + 300))});
            }
            record
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happened(records in proptest::collection::vec(any_record(), 0..40), from in 0_i64..40_000, long in 1_i64..40_000) {
        let mut facts = facts(&records);
        facts.dedup_by(|a, b| a.key == b.key);
        let stretches = stretches(&facts);
        // Every record that shows drift is of one stretch; no record is of two.
        let mut seen: Vec<&Key> = stretches.iter().flat_map(|stretch| &stretch.keys).collect();
        let many = seen.len();
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len(), many);
        for fact in facts.iter().filter(|fact| fact.shows_drift()) {
            prop_assert!(seen.binary_search(&&fact.key).is_ok(), "{:?}", fact);
        }
        // A spot has one at a time, and none is over before it begins.
        let mut until: BTreeMap<(String, String), Option<OffsetDateTime>> = BTreeMap::new();
        for Stretch { episode, keys, .. } in &stretches {
            prop_assert!(episode.ended.is_none_or(|ended| ended >= episode.began));
            prop_assert_eq!(episode.ended.is_some(), episode.end.is_over());
            prop_assert!(episode.last_seen >= episode.began && !keys.is_empty());
            let spot = (episode.control.clone(), episode.resource.id.clone());
            if let Some(before) = until.insert(spot, episode.ended) {
                prop_assert!(before.is_some_and(|before| before <= episode.began), "{:?}", episode);
            }
        }
        // A period cuts only how long it was open.
        let period = Period { from: at(from), until: at(from + long) };
        let (cut, lost) = within(stretches.clone(), &period);
        prop_assert!(cut.len() + lost <= stretches.len());
        for (number, Stretch { episode, .. }) in cut.iter().enumerate() {
            prop_assert_eq!(episode.number, number + 1);
            prop_assert!(episode.seconds_open >= 0.0);
            #[expect(clippy::cast_precision_loss, reason = "minutes of a month")]
            let most = long as f64 * 60.0;
            prop_assert!(episode.seconds_open <= most);
            prop_assert!(episode.began < period.until);
            prop_assert!(episode.end == End::Unseen || episode.end.is_over() == episode.ended.is_some());
        }
    }
}
