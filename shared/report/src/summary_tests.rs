//! Figures of small stories, reckoned by hand.

use super::*;
use crate::fact::moment;
use serde_json::{Value, json};
use std::rc::Rc;

fn at(text: &str) -> OffsetDateTime {
    moment(text).unwrap()
}

/// October, whose last day is a Saturday.
fn october() -> Period {
    Period { from: at("2026-10-01T00:00:00Z"), until: at("2026-11-01T00:00:00Z") }
}

fn record(id: &str, control: &str, resource: &str, began: &str, outcome: &str, more: Value) -> Value {
    let mut record = json!({
        "id": id, "control": control, "outcome": outcome, "why": outcome, "took_ms": 0, "trigger": "schedule", "cause": null,
        "resource": {"type": "AWS::S3::Bucket", "id": resource, "account": "111122223333", "region": "us-east-1"},
        "before": {}, "changes": ["write", "write"], "began": began,
    });
    let Value::Object(more) = more else { panic!("not an object") };
    record.as_object_mut().unwrap().extend(more);
    record
}

fn by(actor: &str, agent: &str, at: &str) -> Value {
    json!({"trigger": "cloud-trail", "cause": {"call": "PutBucketPolicy", "actor": actor, "agent": agent, "at": at}})
}

const BUCKET: &str = "s3-public-bucket";
const POLICY: &str = "s3-public-policy";

fn story() -> Vec<Value> {
    let left = json!({"undoes": "a2", "asked_by": "arn:bob", "left_alone_until": "2026-10-30T00:00:00Z"});
    let exempt = json!({"exemption": {"id": "e-1", "expires": "2026-12-01T00:00:00Z"}});
    vec![
        // Open when the month began, and mended in it: 2 hours of the month, 26 altogether.
        record(
            "a1",
            BUCKET,
            "scans",
            "2026-09-29T23:30:00Z",
            "planned",
            by("arn:alice", "cli", "2026-09-30T00:00:00Z"),
        ),
        record(
            "a0",
            BUCKET,
            "scans",
            "2026-09-30T00:30:00Z",
            "planned",
            by("arn:alice", "cli", "2026-09-30T00:00:00Z"),
        ),
        record("a2", BUCKET, "scans", "2026-10-01T02:00:00Z", "fixed", json!({})),
        // Taken back, and nobody answers for it any more.
        record("a3", BUCKET, "scans", "2026-10-29T00:00:00Z", "undone", left),
        // Ten seconds, and a hundred.
        record(
            "b1",
            POLICY,
            "scans",
            "2026-10-12T10:00:10Z",
            "fixed",
            by("arn:alice", "terraform", "2026-10-12T10:00:00Z"),
        ),
        record("c1", POLICY, "site", "2026-10-18T23:59:40Z", "fixed", by("arn:carol", "cli", "2026-10-18T23:58:00Z")),
        // Of a sweep: when it began nobody knows.
        record("d1", BUCKET, "logs", "2026-10-20T00:00:00Z", "fixed", json!({})),
        // Exempt, and seen again of late.
        record("e1", BUCKET, "site", "2026-10-19T00:00:00Z", "exempt", exempt.clone()),
        record("e2", BUCKET, "site", "2026-10-27T00:00:00Z", "exempt", exempt),
        // Nobody saw it since.
        record("f1", BUCKET, "old", "2026-10-05T00:00:00Z", "planned", json!({})),
        // Nothing was seen.
        record(
            "g1",
            BUCKET,
            "far",
            "2026-10-06T00:00:00Z",
            "refused",
            json!({"before": null, "refused_by": "account"}),
        ),
        record("h1", BUCKET, "part", "2026-10-31T12:00:00Z", "partly-fixed", json!({"remaining": ["write"]})),
    ]
}

fn figures_of(records: Vec<Value>) -> Figures {
    let mut facts: Vec<Fact> = records.iter().map(|record| Fact::of(record).unwrap()).collect();
    facts.sort_by(|a, b| a.key.cmp(&b.key));
    let found = |record: Value| (Fact::of(&record).unwrap().key, Found { record, evidence: None });
    let records = records.into_iter().map(found).filter(|(key, _)| key.began >= october().from).collect();
    figures(&facts, records, &october())
}

#[test]
fn a_month() {
    let figures = figures_of(story());
    let summary = &figures.summary;
    assert_eq!((summary.episodes, summary.began, summary.records), (8, 7, 10));
    let some = |ends: &BTreeMap<&'static str, usize>| {
        ends.iter()
            .filter(|(_, many)| **many > 0)
            .map(|(end, many)| format!("{end} {many}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(some(&summary.ends), "exempt 1, failed 1, fixed 4, taken-back 1, unseen 1");
    assert_eq!((summary.ends.len(), summary.outcomes.len()), (End::ALL.len(), Outcome::ALL.len()));
    assert_eq!((summary.open, summary.open_unanswered, summary.unseen), (3, 2, 1));
    // Ten seconds, a hundred, and 26 hours and more. `a1` was there half an hour before the call that `a0` tells of.
    assert_eq!((summary.timed, summary.median_seconds_to_mend), (2, Some(55.0)));
    assert_eq!((summary.p95_seconds_to_mend, summary.longest_seconds_to_mend), (Some(100.0), Some(100.0)));
    assert_eq!((summary.unlooked, summary.outcomes["refused"]), (1, 1));
    // Four fixes, an undo, and a half.
    assert_eq!(summary.writes, 2 * 5 + 1);

    let weeks: Vec<_> =
        figures.weeks.iter().map(|week| (week.monday.as_str(), week.began.values().sum::<usize>())).collect();
    let expected = [("2026-09-28", 0), ("2026-10-05", 1), ("2026-10-12", 2), ("2026-10-19", 2), ("2026-10-26", 2)];
    assert_eq!(weeks, expected);

    let actors: Vec<_> = figures.actors.iter().map(|actor| (actor.actor.as_deref(), actor.episodes)).collect();
    assert_eq!(actors, [(None, 5), (Some("arn:alice"), 1), (Some("arn:bob"), 1), (Some("arn:carol"), 1)]);
    assert_eq!(
        (&figures.actors[2].calls[..], &figures.actors[1].agents[..]),
        (&["suture undo".to_owned()][..], &["terraform".to_owned()][..])
    );

    let bucket = figures.controls.iter().find(|control| control.id == BUCKET).unwrap();
    assert_eq!(
        (bucket.episodes, some(&bucket.ends)),
        (6, "exempt 1, failed 1, fixed 2, taken-back 1, unseen 1".to_owned())
    );
    let hours = bucket.seconds_open / 3600.0;
    // scans 2 and 72, logs 0, site 13 days, old 0, part 12.
    assert!((hours - (2.0 + 72.0 + 13.0 * 24.0 + 12.0)).abs() < 1e-6, "{hours}");
    assert_eq!((figures.controls.len(), figures.citations.len()), (catalogue::all().len(), safeguards::ALL.len()));
    let access = figures.citations.iter().find(|each| each.citation == "45 CFR 164.312(a)(1)").unwrap();
    assert_eq!((access.episodes, access.open, access.median_seconds_to_mend), (8, 3, Some(55.0)));
    assert!(access.title.contains("access control") && access.controls.contains(&POLICY));

    // The latest first; each record knows its episode.
    assert_eq!(figures.episodes[0].records, ["h1"]);
    let episode = |id: &str| figures.records.iter().find(|entry| entry.record["id"] == id).unwrap().episode;
    assert_eq!((episode("a2"), episode("g1"), episode("e1") == episode("e2")), (Some(1), None, true));
    assert_eq!(figures.records[0].record["id"], "h1");
}

#[test]
fn how_many_were_open_when() {
    let points: Vec<_> = figures_of(story())
        .exposure
        .iter()
        .map(|point| (second(point.at), point.open, point.answered))
        .map(|(at, open, answered)| format!("{} {open} {answered}", at.replace(":00Z", "").replace("2026-", "")))
        .collect();
    let expected = [
        "10-01T00:00 1 0",
        "10-01T02:00 0 0",
        "10-12T10:00 1 0",
        "10-12T10:00:10Z 0 0",
        "10-18T23:58 1 0",
        "10-18T23:59:40Z 0 0",
        "10-19T00:00 0 1",
        "10-29T00:00 0 2",
        "10-30T00:00 1 1",
        "10-31T12:00 2 1",
    ];
    assert_eq!(points, expected);
}

#[test]
fn what_somebody_answered_for_is_no_slow_fix() {
    let exempt = json!({"exemption": {"id": "e-1", "expires": "2026-10-20T00:00:00Z"}});
    let called = by("arn:alice", "cli", "2026-10-12T09:00:00Z");
    let seen = record("a1", BUCKET, "scans", "2026-10-12T10:00:00Z", "planned", called);
    let left = record("a2", BUCKET, "scans", "2026-10-12T11:00:00Z", "exempt", exempt);
    let fixed = record("a3", BUCKET, "scans", "2026-10-20T01:00:00Z", "fixed", json!({}));
    let summary = |records: Vec<Value>| figures_of(records).summary;
    let timed = summary(vec![seen.clone(), fixed.clone()]);
    assert_eq!(
        (timed.ends["fixed"], timed.timed, timed.median_seconds_to_mend),
        (1, 1, Some(8.0 * 86_400.0 - 8.0 * 3600.0))
    );
    let answered = summary(vec![seen, left, fixed]);
    assert_eq!((answered.ends["fixed"], answered.timed, answered.median_seconds_to_mend), (1, 0, None));
}

#[test]
fn nothing_at_all() {
    let figures = figures_of(Vec::new());
    assert_eq!((figures.summary.episodes, figures.summary.median_seconds_to_mend, figures.weeks.len()), (0, None, 5));
    assert_eq!(figures.exposure, [Exposure { at: october().from, open: 0, answered: 0 }]);
    assert!(figures.records.is_empty() && figures.actors.is_empty());
}

#[test]
fn in_the_middle_and_near_the_end() {
    let values = |many: u32| (1..=many).map(f64::from).collect::<Vec<f64>>();
    for (many, median, p95) in [
        (0, None, None),
        (1, Some(1.0), Some(1.0)),
        (2, Some(1.5), Some(2.0)),
        (3, Some(2.0), Some(3.0)),
        (20, Some(10.5), Some(19.0)),
        (100, Some(50.5), Some(95.0)),
    ] {
        assert_eq!((percentile(&values(many), 50), percentile(&values(many), 95)), (median, p95), "{many}");
    }
}

#[test]
fn exemptions_in_force_and_how_the_deployment_stands() {
    let exempt = |id: &str, expires: &str| Exemption {
        id: id.to_owned(),
        control: Some(BUCKET.to_owned()),
        account: None,
        resource: Some("site*".to_owned()),
        tag: None,
        owner: "web".to_owned(),
        reason: "CHG-1".to_owned(),
        expires: at(expires),
        made_at: at("2026-10-01T00:00:00Z"),
        made_by: None,
        undo: None,
        ended: false,
    };
    let mut deployment = Deployment::default();
    for (id, expires) in
        [("e-2", "2027-01-01T00:00:00Z"), ("e-1", "2026-12-01T00:00:00Z"), ("e-0", "2026-10-02T00:00:00Z")]
    {
        deployment.exemptions.push((exempt(id, expires), 1));
    }
    deployment.posture.modes.insert(BUCKET.to_owned(), Mode::Approve);
    let now = at("2026-11-02T00:00:00Z");
    let stop = ledger::Stop { by: "arn:bob".to_owned(), reason: "INC-1".to_owned(), at: now };
    deployment.posture.stop = Some(stop);
    let deployment = Rc::new(deployment);
    let exempted = exemptions(&deployment, &figures_of(story()).episodes, now);
    let told: Vec<_> = exempted.iter().map(|each| (each.id.as_str(), each.episodes)).collect();
    assert_eq!(told, [("e-1", 1), ("e-2", 0)]);
    assert_eq!(exempted[0].of, "s3-public-bucket on site* in every account");
    let posture = posture(&deployment);
    assert_eq!(posture.stopped.as_deref(), Some("by arn:bob at 2026-11-02T00:00:00Z: INC-1"));
    assert_eq!((posture.mode, posture.modes[BUCKET]), (None, "approve"));
}
