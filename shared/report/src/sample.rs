//! Reports to look at and to test the page with: a clinic's quarter, a period in which nothing happened, one record, a report
//! with gaps and evidence that is not sound, and one of as many records as are wanted. Made up, and the same each time.

mod figures;
mod records;

use crate::model::{
    End, Entry, Episode, Exempted, Integrity, Piece, Posture, Report, Resource, SCHEMA, Sources, Summary, Verdict,
};
use records::{CONTROLS, Control};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// 2026-07-01T00:00:00Z.
const JULY: i64 = 1_782_864_000;
const DAY: i64 = 86_400;

/// Texts that somebody might put where a name belongs.
pub const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "</script><script>alert(1)</script>",
    "</style><style>body{display:none}",
    "clinic\u{202e}txt.exe\u{2066}",
    "javascript:alert(1)",
    "&lt;b&gt; ]]> <!-- -->",
    "{{7*7}}\u{0}\u{7f}\u{200b}\n\t",
];

/// Chance, the same each time.
struct Chance(u64);

impl Chance {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        // xorshift64*, https://doi.org/10.18637/jss.v008.i14
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end.max(1)
    }

    fn span(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from).unwrap_or(1))).unwrap_or(0)
    }

    fn of<'a, T: ?Sized>(&mut self, these: &[&'a T]) -> &'a T
    where
        &'a T: Default,
    {
        let place = usize::try_from(self.below(these.len() as u64)).unwrap_or(0);
        these.get(place).copied().unwrap_or_default()
    }
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A clinic's quarter: all controls, all ends, hostile names.
pub fn clinic() -> Report {
    quarter(154, 92, Verdict::Sound)
}

/// As many records as are wanted, or a few more, over a year.
pub fn crowd(records: usize) -> Report {
    quarter(records * 4 / 7, 365, Verdict::Sound)
}

/// A quarter of which not everything could be read, and whose evidence was tampered with.
pub fn broken() -> Report {
    let mut report = quarter(40, 92, Verdict::NotSound);
    report.gaps = vec![
        "account 444455556666: not allowed to read its records; grant dynamodb:Query on the index by-day".to_owned(),
        "evidence of 2026-08-12: the folder could not be listed; try again".to_owned(),
    ];
    report.posture.stopped = Some(
        "arn:aws:sts::111122223333:assumed-role/responder/alice, 2026-09-30 21:14: INC-204, contractor's key"
            .to_owned(),
    );
    report.integrity.lines = vec![
        "changed: records/2026/08/12/000000000031-8c9e1f6a-1.json; the version that was written is intact: Kf2x9"
            .to_owned(),
        "missing: piece 44".to_owned(),
    ];
    report.integrity.differ = report.records.iter().take(2).map(|entry| id(entry).to_owned()).collect();
    report
}

/// A quarter in which nothing happened.
pub fn empty() -> Report {
    let mut report = quarter(0, 92, Verdict::NotChecked);
    report.exemptions.clear();
    report.sources.accounts.clear();
    report.sources.regions.clear();
    report.sources.evidence = None;
    report.posture = Posture::default();
    report
}

/// A day with one record.
pub fn one() -> Report {
    let mut report = quarter(1, 1, Verdict::Sound);
    report.exemptions.clear();
    report
}

fn id(entry: &Entry) -> &str {
    entry.record.get("id").and_then(Value::as_str).unwrap_or("")
}

fn quarter(number: usize, days: i64, verdict: Verdict) -> Report {
    let (from, to) = (at(JULY), at(JULY + days * DAY));
    let mut chance = Chance(0x5EED_CAFE_F00D_0001);
    let mut begins: Vec<i64> = (0..number).map(|_| JULY + chance.span(-2 * DAY, days * DAY - 3_600)).collect();
    begins.sort_unstable();
    let mut episodes = Vec::with_capacity(number);
    let mut records = Vec::new();
    for (place, began) in begins.into_iter().enumerate() {
        let began = if number == 1 { JULY + 9 * 3_600 } else { began };
        let control = control(&mut chance, place);
        let (episode, its) = episode(&mut chance, place, control, at(began), to);
        records.extend(its.into_iter().map(|record| Entry { record, episode: Some(episode.number), evidence: None }));
        episodes.push(episode);
    }
    records.sort_by_key(|entry: &Entry| entry.record.get("began").and_then(Value::as_str).unwrap_or("").to_owned());
    for (entry, seq) in records.iter_mut().zip(2_041_u64..) {
        let day =
            entry.record.get("began").and_then(Value::as_str).unwrap_or("").get(..10).unwrap_or("").replace('-', "/");
        let key = format!("records/{day}/{seq:012}-{}.json", id(entry));
        entry.evidence = Some(Piece { seq, key, hash: format!("sha256:{:016x}{:048x}", chance.0, seq) });
    }
    records.reverse();
    if let Some(last) = records.first_mut().filter(|_| number > 1) {
        last.evidence = None;
    }
    episodes.reverse();
    let mut report = Report {
        schema: SCHEMA,
        made: to + Duration::hours(7) + Duration::minutes(12),
        made_by: "suture 0.1.0".to_owned(),
        from,
        to,
        sources: Sources {
            ledger: "the table suture-LedgerTable-1ABC2DEF".to_owned(),
            evidence: Some("the bucket suture-evidencebucket-4xk2".to_owned()),
            accounts: vec!["111122223333".to_owned(), "444455556666".to_owned()],
            regions: vec!["eu-central-1".to_owned(), "us-east-1".to_owned()],
            since: from - Duration::days(90),
        },
        summary: Summary::default(),
        controls: Vec::new(),
        citations: Vec::new(),
        actors: Vec::new(),
        weeks: Vec::new(),
        exposure: Vec::new(),
        exemptions: exemptions(to, &episodes),
        posture: Posture {
            stopped: None,
            mode: Some("approve"),
            modes: BTreeMap::from([
                ("s3-public-bucket".to_owned(), "enforce"),
                ("s3-weak-encryption".to_owned(), "plan"),
            ]),
            changed: Some("arn:aws:sts::111122223333:assumed-role/security/alice, 2026-08-03 09:20".to_owned()),
        },
        integrity: Integrity {
            verdict,
            lines: vec![
                format!("{} pieces, all as they were written", 2_040 + records.len()),
                "the chain ends where the ledger says that it does".to_owned(),
            ],
            pieces: 2_040 + records.len() as u64,
            intact: 2_040 + records.len() as u64 - u64::from(verdict == Verdict::NotSound),
            head: Some(format!("piece {}, sha256:{:064x}", 2_040 + records.len(), 0x00C0_FFEE_u64)),
            without_evidence: records.iter().filter(|entry| entry.evidence.is_none()).count(),
            from_evidence_alone: 0,
            differ: Vec::new(),
        },
        episodes,
        records,
        gaps: Vec::new(),
    };
    figures::fill(&mut report);
    report
}

/// Some controls see more than others.
fn control(chance: &mut Chance, place: usize) -> &'static Control {
    const OFTEN: [usize; 20] = [8, 8, 8, 2, 2, 2, 8, 9, 9, 10, 10, 7, 5, 5, 0, 1, 6, 11, 3, 4];
    let drawn = usize::try_from(chance.below(OFTEN.len() as u64)).unwrap_or(0);
    // Each is there at least once.
    let which = if place < CONTROLS.len() { place } else { OFTEN.get(drawn).copied().unwrap_or(0) };
    CONTROLS.get(which).unwrap_or(&records::PUBLIC_BUCKET)
}

/// An episode and its records.
fn episode(
    chance: &mut Chance,
    place: usize,
    control: &'static Control,
    began: OffsetDateTime,
    to: OffsetDateTime,
) -> (Episode, Vec<Value>) {
    let cause_known = chance.below(6) > 0;
    let name = match HOSTILE.get(place.wrapping_sub(20)) {
        Some(hostile) => (*hostile).to_owned(),
        None => match (chance.of(control.names), chance.below(40)) {
            (group, number) if group.starts_with("sg-") => format!("{group}{number:02x}"),
            (bucket, number) if control.kind == "AWS::S3::Bucket" => format!("{bucket}-{number}"),
            (name, _) => name.to_owned(),
        },
    };
    let resource = Resource {
        r#type: control.kind.to_owned(),
        id: name,
        account: chance.of(&["111122223333", "111122223333", "111122223333", "444455556666"]).to_owned(),
        region: chance.of(&["us-east-1", "us-east-1", "eu-central-1"]).to_owned(),
    };
    let mut story = records::story(chance, control, cause_known, place);
    if to - at(JULY) == Duration::DAY {
        (story.end, story.why, story.refused_by) = (End::Fixed, "read back and seen".to_owned(), None);
    }
    if began + Duration::seconds(story.seconds) >= to
        && matches!(story.end, End::Fixed | End::MendedElsewhere | End::Gone)
    {
        (story.end, story.why, story.refused_by) = (End::AwaitingApproval, "waits for approval a-31".to_owned(), None);
    }
    let over = story.end.is_over();
    let ended = over.then(|| began + Duration::seconds(story.seconds));
    let records = records::of(chance, control, &resource, began, ended, cause_known, &story, place);
    let number = place + 1;
    let cause = records.first().and_then(|record| record.get("cause")).filter(|cause| !cause.is_null()).cloned();
    let from = began.max(at(JULY));
    let episode = Episode {
        number,
        control: control.id.to_owned(),
        resource,
        began,
        cause_known,
        cause,
        ended,
        end: story.end,
        last_seen: ended.unwrap_or_else(|| (began + Duration::days(7)).min(to)),
        answered_until: matches!(story.end, End::Exempt | End::TakenBack).then(|| to + Duration::days(12)),
        exemption: (story.end == End::Exempt).then(|| "e-7f2a".to_owned()),
        seconds_open: (ended.unwrap_or(to) - from).as_seconds_f64().max(0.0),
        timed: story.end == End::Fixed && cause_known,
        why: story.why,
        refused_by: story.refused_by.map(str::to_owned),
        person: story.person.map(str::to_owned),
        records: records
            .iter()
            .filter_map(|record| record.get("id").and_then(Value::as_str))
            .map(str::to_owned)
            .collect(),
    };
    (episode, records)
}

fn exemptions(to: OffsetDateTime, episodes: &[Episode]) -> Vec<Exempted> {
    let of = |id: &str, of: &str, owner: &str, reason: &str, days: i64| Exempted {
        id: id.to_owned(),
        of: of.to_owned(),
        owner: owner.to_owned(),
        reason: reason.to_owned(),
        made_at: to - Duration::days(60),
        made_by: Some("arn:aws:sts::111122223333:assumed-role/security/alice".to_owned()),
        expires: to + Duration::days(days),
        episodes: episodes.iter().filter(|episode| episode.exemption.as_deref() == Some(id)).count(),
    };
    vec![
        of(
            "e-7f2a",
            "s3-public-bucket on clinic-website in account 111122223333",
            "web@clinic.example",
            "the public website; risk accepted in RA-2026-14",
            12,
        ),
        of(
            "e-19b0",
            "ec2-open-security-group on every resource with the tag suture-exempt",
            "network@clinic.example",
            &"port 443 of the patient portal, by design; reviewed each quarter. ".repeat(15),
            75,
        ),
        of(
            "e-c001",
            "iam-stale-access-key on <script>alert(1)</script> in account 444455556666",
            "مالك النظام",
            "a \"break-glass\" user",
            210,
        ),
    ]
}

/// What an event says of who did it.
fn cause(chance: &mut Chance, control: &Control, at: OffsetDateTime, place: usize) -> Value {
    let actor = match place {
        23 => "arn:aws:iam::111122223333:user/\"quoted\" & 'single' <b>",
        _ => chance.of(&[
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:sts::111122223333:assumed-role/deploy/terraform-cloud-run-8c1e",
            "arn:aws:sts::111122223333:assumed-role/deploy/terraform-cloud-run-8c1e",
            "arn:aws:sts::444455556666:assumed-role/Imaging-Admins/bob@clinic.example",
            "arn:aws:iam::111122223333:root",
        ]),
    };
    json!({
        "call": chance.of(control.calls),
        "event_id": format!("0b6a3f0e-5d55-4c7f-9f0a-{:012x}", chance.below(1 << 31)),
        "at": crate::sample::records::exact(at),
        "actor": actor,
        "role": null,
        "source_ip": chance.of(&["192.0.2.10", "198.51.100.7", "203.0.113.99"]),
        "agent": chance.of(&["cli", "terraform", "terraform", "console", "sdk"]),
    })
}
