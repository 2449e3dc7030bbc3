//! What an auditor gets: every record once, chained, in a bucket that nobody can change unseen; and the ledger's story, which is
//! the call log's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use evidence::{Kind, Report, audit};
use http::{Method, StatusCode};
use lab::Lab;
use lab::http::ApiRequest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::ledger::{
    a_minute_passes, an_hour_passes, evidence_bucket, kill, opened, records_of, rows, send, settled, shelf, store,
    story, subjects, writes_to,
};
use system_tests::s3::{FUNCTION, SETTINGS, open_bucket, quietly, settings};
use system_tests::{HOME, alone, faults, invoke, last_record};

/// The names of the pieces of evidence, in order.
async fn pieces(lab: &Lab) -> Vec<String> {
    let target = format!("/{}?list-type=2&prefix=records/", evidence_bucket(lab));
    let answer = quietly(lab, Method::GET, &target, "").await;
    answer.texts("Key")
}

async fn piece(lab: &Lab, key: &str) -> Vec<u8> {
    quietly(lab, Method::GET, &format!("/{}/{key}", evidence_bucket(lab)), "").await.body.to_vec()
}

async fn audited(lab: &Lab) -> Report {
    audit(&store(lab), &shelf(lab)).await.unwrap()
}

/// Fixes so many buckets, and waits until there is evidence of it.
async fn fixes(lab: &Lab, many: usize) -> Vec<String> {
    let mut buckets = Vec::new();
    for number in 0..many {
        let bucket = open_bucket(lab, "scans").await;
        assert_eq!(last_record(&invoke(lab, FUNCTION, &opened(&bucket, number)).await)["outcome"], "fixed");
        buckets.push(bucket);
    }
    settled(lab).await;
    buckets
}

/// The records in the table that no evidence was made of.
async fn unarchived(lab: &Lab) -> usize {
    let rows = rows(lab).await.into_iter();
    rows.filter(|row| row.sk.starts_with("record#") && row.body["archived"].is_null()).count()
}

#[test]
fn every_fix_is_one_piece_of_evidence_that_stands_by_itself() {
    alone(async |lab| {
        let buckets = fixes(lab, 3).await;
        let pieces = pieces(lab).await;
        assert_eq!(pieces.len(), 3, "{pieces:?}");
        let mut previous = evidence::NONE_BEFORE.to_owned();
        for (number, (key, bucket)) in pieces.iter().zip(&buckets).enumerate() {
            let bytes = piece(lab, key).await;
            let said: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                (&said["schema"], &said["seq"], &said["previous"]),
                (&json!("suture.evidence/1"), &json!(number + 1), &json!(previous))
            );
            previous = evidence::hash(&bytes);
            // What an auditor asks of one record: what, when, who, why, by what right, what was written, how it is known, how
            // it is taken back, and which rule it serves.
            let record = &said["record"];
            if number == 0 {
                println!("{key}\n{}", serde_json::to_string_pretty(record).unwrap());
            }
            assert_eq!(
                (&record["schema"], &record["resource"]["id"], &record["outcome"]),
                (&json!("suture.record/1"), &json!(bucket), &json!("fixed"))
            );
            assert_eq!((&record["why"], &record["mode"]), (&json!("read back and seen"), &json!("enforce")));
            assert_eq!(record["cause"]["actor"], system_tests::ledger::ALICE);
            assert_eq!(record["before"]["block"], Value::Null);
            assert!(
                SETTINGS.len() == 4 && record["after"]["block"].as_object().unwrap().values().all(|on| *on == true)
            );
            assert_eq!(
                (record["changes"].as_array().unwrap().len(), &record["undo"]),
                (1, &json!(["delete-public-access-block"]))
            );
            assert!(record["citations"].to_string().contains("45 CFR 164.312(a)(1)"));
            for known in ["began", "took_ms", "id", "control", "trigger"] {
                assert!(!record[known].is_null(), "{known}");
            }
            let kept = records_of(lab, bucket).await;
            assert_eq!(kept[0]["archived"]["seq"], json!(number + 1));
        }
        let report = audited(lab).await;
        assert!(report.is_sound() && report.intact == 3 && report.waiting == 0, "{:#?}", report.lines());
        assert_eq!(unarchived(lab).await, 0);
        // Nobody deletes it.
        let target = format!("/{}/{}", evidence_bucket(lab), pieces[0]);
        let versions =
            quietly(lab, Method::GET, &format!("/{}?versions&prefix={}", evidence_bucket(lab), pieces[0]), "").await;
        let id = versions.texts("VersionId")[0].clone();
        let gone = lab.quiet_client(HOME).s3(Method::DELETE, &format!("{target}?versionId={id}"), "").await.unwrap();
        assert_eq!(gone.status, StatusCode::FORBIDDEN);
    });
}

#[test]
fn what_is_done_to_evidence_is_seen_and_what_was_there_is_found() {
    alone(async |lab| {
        fixes(lab, 4).await;
        let pieces = pieces(lab).await;
        let (bucket, client) = (evidence_bucket(lab), lab.quiet_client(HOME));
        let put = async |key: &str, bytes: Vec<u8>| {
            let request = ApiRequest::new(Method::PUT, format!("/{bucket}/{key}")).body(bytes);
            let request = request.header("x-amz-checksum-algorithm", "SHA256");
            assert_eq!(client.send("s3", request).await.unwrap().status, 200);
        };
        // Somebody makes a fix into a nothing.
        let text = String::from_utf8(piece(lab, &pieces[1]).await).unwrap();
        let forged = text.replace("\"outcome\":\"fixed\"", "\"outcome\":\"exempt\"");
        assert_ne!(forged, text);
        put(&pieces[1], forged.into_bytes()).await;
        let report = audited(lab).await;
        let [problem] = &report.problems[..] else { panic!("{:#?}", report.lines()) };
        assert_eq!((problem.kind, problem.seq, problem.key.as_ref()), (Kind::Changed, Some(2), Some(&pieces[1])));
        let intact = problem.intact.clone().expect("the version that is as it was written");
        let older = quietly(lab, Method::GET, &format!("/{bucket}/{}?versionId={intact}", pieces[1]), "").await;
        assert_eq!(older.body, text.as_bytes());
        assert_eq!(report.intact, 3);
        // Another is deleted, as far as one can.
        client.must(Method::DELETE, &format!("/{bucket}/{}", pieces[2]), "").await.unwrap();
        // And a piece that there never was is put behind the end.
        let beyond = pieces[3].replace("000000000004-", "000000000005-");
        put(&beyond, piece(lab, &pieces[3]).await).await;
        let report = audited(lab).await;
        println!("{:#?}", report.lines());
        let kinds: Vec<_> = report.problems.iter().map(|problem| (problem.kind, problem.seq)).collect();
        for expected in [(Kind::Beyond, Some(5)), (Kind::Deleted, Some(3)), (Kind::Changed, Some(2))] {
            assert!(kinds.contains(&expected), "{expected:?}: {kinds:?}");
        }
        let ours = report.problems.iter().filter(|problem| problem.seq.is_some_and(|seq| seq < 5));
        assert!(ours.clone().count() == 2 && ours.into_iter().all(|problem| problem.intact.is_some()));
    });
}

/// The recorder dies, or AWS is away, at each of its calls: nothing is lost, and nothing is there twice.
#[test]
fn a_recorder_on_bad_days_loses_nothing_and_says_nothing_twice() {
    alone(async |lab| {
        let mut all = Vec::new();
        for (number, fault) in [
            "s3:PutObject=drop-answer*1",
            "s3:PutObject=throttle*6",
            "s3:PutObject=denied*2",
            "sns:Publish=error*8",
            "sns:Publish=denied*1",
            "dynamodb:*=throttle%3*24",
        ]
        .into_iter()
        .enumerate()
        {
            let bucket = open_bucket(lab, "scans").await;
            faults(lab, &[fault]);
            assert_eq!(last_record(&invoke(lab, FUNCTION, &opened(&bucket, number)).await)["outcome"], "fixed");
            settled(lab).await;
            faults(lab, &[]);
            an_hour_passes(lab).await;
            lab.fire("recorder").await.unwrap();
            settled(lab).await;
            all.push((fault, bucket));
        }
        // Killed in the middle.
        for call in ["s3:PutObject", "sns:Publish", "dynamodb:TransactWriteItems"] {
            let bucket = open_bucket(lab, "scans").await;
            let mut happenings = lab.listen();
            faults(lab, &["*:*=latency:300"]);
            assert_eq!(last_record(&invoke(lab, FUNCTION, &opened(&bucket, 99)).await)["outcome"], "fixed");
            let by_it = |made: &lab::gateway::Happened| made.name() == call && made.caller.arn().contains("recorder");
            let seen = async {
                while !matches!(happenings.recv().await.unwrap(), lab::gateway::Happening::Call(made) if by_it(&made)) {
                }
            };
            tokio::time::timeout(system_tests::PATIENCE, seen).await.unwrap();
            kill(lab, "recorder").await;
            faults(lab, &[]);
            settled(lab).await;
            lab.fire("recorder").await.unwrap();
            settled(lab).await;
            all.push((call, bucket));
        }
        let pieces = pieces(lab).await;
        let mut records: BTreeMap<String, usize> = BTreeMap::new();
        for key in &pieces {
            let said: Value = serde_json::from_slice(&piece(lab, key).await).unwrap();
            *records.entry(said["record"]["resource"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        for (fault, bucket) in &all {
            println!("{fault}: {:?} {}", records.get(bucket), subjects(lab, bucket).len());
        }
        for (fault, bucket) in &all {
            assert_eq!(records.get(bucket), Some(&1), "{fault}: evidence of {bucket}");
            // A recorder that dies after it told may tell it again; it is never not told.
            let told = subjects(lab, bucket).len();
            assert!(
                told == 1 || (told == 2 && fault.contains(':') && !fault.contains('=')),
                "{fault}: told {told} times"
            );
        }
        let report = audited(lab).await;
        assert!(report.is_sound() && report.waiting == 0, "{:#?}", report.lines());
        assert_eq!(unarchived(lab).await, 0);
        assert!(lab.dropped().is_empty(), "{:?}", lab.dropped());
    });
}

/// What the stream lost, the hourly run finds.
#[test]
fn what_no_stream_told_is_archived_by_the_hourly_run() {
    alone(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        let record = last_record(&invoke(lab, FUNCTION, &opened(&bucket, 1)).await);
        settled(lab).await;
        // As if it had been written twenty minutes ago, and never told.
        let row = rows(lab).await.into_iter().find(|row| row.sk.starts_with("record#")).unwrap();
        let mut body = record.clone();
        let began = time::OffsetDateTime::now_utc() - time::Duration::minutes(20);
        let stamp = began.format(&time::format_description::well_known::Rfc3339).unwrap();
        (body["began"], body["id"]) = (json!(stamp), json!("lost-1"));
        let item = json!({"pk": {"S": row.pk}, "sk": {"S": format!("record#{}Z#lost-1", &stamp[..19])}, "version": {"N": "1"},
            "id": {"S": "lost-1"}, "day": {"S": format!("111122223333#{}", &stamp[..10])}, "body": {"S": body.to_string()}});
        let put = json!({"TableName": system_tests::ledger::table(lab), "Item": item});
        // Past the stream: straight into moto, which tells nobody who listens.
        let request = ApiRequest::new(Method::POST, "/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "DynamoDB_20120810.PutItem")
            .header("x-moto-account-id", system_tests::ACCOUNT)
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=lab/20260101/us-east-1/dynamodb/aws4_request, Signature=0",
            )
            .body(put.to_string());
        let answer = lab.gateway.moto.send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let swept = lab.fire("recorder").await.unwrap().remove(0).json();
        println!("{swept}");
        settled(lab).await;
        assert_eq!(pieces(lab).await.len(), 2);
        assert!(audited(lab).await.is_sound());
        lab.fire("recorder").await.unwrap();
        assert_eq!(pieces(lab).await.len(), 2, "once");
    });
}

/// A small generator of numbers: the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A hundred events over ten buckets, on days that are bad for S3 and for the ledger, with deaths in between: each write of ours
/// that AWS answered is in a record, and no record says that what is not so is fixed.
#[test]
fn the_ledgers_story_is_the_call_logs() {
    alone(async |lab| {
        let mut dice = Dice(7);
        let mut buckets = Vec::new();
        for _ in 0..10 {
            buckets.push(open_bucket(lab, "scans").await);
        }
        let (mut killed, mut opened_again) = (0, 0);
        for number in 0..100 {
            let bucket = &buckets[usize::try_from(dice.roll(10)).unwrap()];
            if dice.roll(3) == 0 {
                quietly(lab, Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
                opened_again += 1;
            }
            match dice.roll(8) {
                0 => faults(lab, &["s3:PutPublicAccessBlock=drop-answer%2*2", "s3:Get*=throttle%3*3"]),
                1 => faults(lab, &["dynamodb:TransactWriteItems=drop-answer%2*2"]),
                2 => faults(lab, &["dynamodb:*=throttle%2*6", "s3:PutPublicAccessBlock=error*1"]),
                3 => faults(lab, &["*:*=drop%5*4"]),
                4 => faults(lab, &["*:*=latency:30"]),
                _ => faults(lab, &[]),
            }
            send(lab, FUNCTION, &opened(bucket, number));
            if dice.roll(4) == 0 {
                tokio::task::yield_now().await;
                killed += usize::from(kill(lab, FUNCTION).await);
            }
            if dice.roll(5) == 0 {
                settled(lab).await;
            }
        }
        settled(lab).await;
        faults(lab, &[]);
        // What the dead left is seen to by who comes next.
        for (number, bucket) in buckets.iter().enumerate() {
            let of = format!("#{bucket}");
            let held = rows(lab)
                .await
                .into_iter()
                .any(|row| row.pk.ends_with(&of) && row.sk.starts_with("standing#") && !row.body["lease"].is_null());
            if held {
                a_minute_passes(lab, bucket).await;
            }
            send(lab, FUNCTION, &opened(bucket, 200 + number));
            settled(lab).await;
        }
        let (mut said, mut made) = (0, 0);
        for bucket in &buckets {
            let (writes, records) = (writes_to(lab, Some(bucket)), records_of(lab, bucket).await);
            let told = story(lab, bucket).await;
            assert_eq!(settings(lab, bucket).await, Some(SETTINGS.to_vec()), "{bucket}: {told:?}");
            assert!(!records.iter().any(|record| record["why"] == "about to write"), "{bucket}: {told:?}");
            let covers = records.iter().filter(|record| !record["changes"].as_array().unwrap().is_empty());
            let covered = covers.filter(|record| record["outcome"] != "planned").count();
            assert!(covered >= writes.len(), "{bucket}: {} writes, {told:?}", writes.len());
            // A fix that is said to be one was seen: there were at least as many writes, answered or not.
            let tries =
                lab.calls(|call| call.name() == "s3:PutPublicAccessBlock" && call.resource.as_deref() == Some(bucket));
            let fixed = told.iter().filter(|outcome| *outcome == "fixed").count();
            assert!(fixed <= tries.len(), "{bucket}: {fixed} fixes of {} writes", tries.len());
            (said, made) = (said + covered, made + writes.len());
        }
        println!("{killed} killed, {opened_again} opened again: {made} writes answered, {said} records of writes");
        let report = audited(lab).await;
        assert!(report.is_sound(), "{:#?}", report.lines());
    });
}
