//! The ledger on bad days: away, slow, shut, or left in the middle of something. No record, no write; and whoever dies leaves
//! nothing that the next one cannot bring to its end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::gateway::Happening;
use serde_json::{Value, json};
use system_tests::ledger::{a_minute_passes, kill, opened, records_of, rows, send, settled, story, table, writes_to};
use system_tests::s3::{FUNCTION, SETTINGS, open_bucket, settings};
use system_tests::{HOME, PATIENCE, alone, faults, invoke, last_record};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

async fn is_closed(lab: &Lab, bucket: &str) -> bool {
    settings(lab, bucket).await == Some(SETTINGS.to_vec())
}

/// Waits for something that happens.
async fn happens(happenings: &mut Receiver<Happening>, fits: impl Fn(&Happening) -> bool) {
    let seen = async { while !fits(&happenings.recv().await.unwrap()) {} };
    timeout(PATIENCE, seen).await.unwrap();
}

fn says(happening: &Happening, what: &str) -> bool {
    matches!(happening, Happening::Log { function, line } if function == FUNCTION && line.contains(what))
}

/// Takes the table away; what it takes to make it again.
async fn remove_table(lab: &Lab) -> Value {
    let (client, table) = (lab.quiet_client(HOME), table(lab));
    let named = json!({"TableName": table});
    let mut described = client.must_json("dynamodb", "DescribeTable", &named).await.unwrap();
    let mut described = described["Table"].take();
    let mut made = json!({"BillingMode": "PAY_PER_REQUEST"});
    for field in ["TableName", "AttributeDefinitions", "KeySchema", "StreamSpecification"] {
        made[field] = described[field].take();
    }
    let indexes = described["GlobalSecondaryIndexes"].as_array().unwrap().iter();
    let index = |index: &Value| json!({"IndexName": index["IndexName"], "KeySchema": index["KeySchema"], "Projection": index["Projection"]});
    made["GlobalSecondaryIndexes"] = indexes.map(index).collect();
    let unprotected = json!({"TableName": table, "DeletionProtectionEnabled": false});
    client.must_json("dynamodb", "UpdateTable", &unprotected).await.unwrap();
    client.must_json("dynamodb", "DeleteTable", &named).await.unwrap();
    made
}

#[test]
fn with_the_table_gone_nothing_is_written_and_the_event_comes_again() {
    alone(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        let made = remove_table(lab).await;
        let mut happenings = lab.listen();
        send(lab, FUNCTION, &opened(&bucket, 1));
        let mut tries = 0;
        while tries < 3 {
            let Happening::Invocation(report) = timeout(PATIENCE, happenings.recv()).await.unwrap().unwrap() else {
                continue;
            };
            if report.function == FUNCTION {
                tries += 1;
                let record = last_record(&report);
                assert_eq!(
                    (&record["outcome"], &record["refused_by"]),
                    (&json!("refused"), &json!("ledger")),
                    "{record}"
                );
                assert!(record["why"].as_str().unwrap().contains(&table(lab)), "it is named: {record}");
                assert_eq!(report.answer.unwrap_err().error_type, "Suture.Retry");
            }
        }
        assert!(writes_to(lab, None).is_empty() && !is_closed(lab, &bucket).await);
        // It is back, and empty.
        lab.quiet_client(HOME).must_json("dynamodb", "CreateTable", &made).await.unwrap();
        let report = invoke(lab, FUNCTION, &opened(&bucket, 1)).await;
        assert_eq!(last_record(&report)["outcome"], "fixed");
        assert_eq!((story(lab, &bucket).await, is_closed(lab, &bucket).await), (vec!["fixed".to_owned()], true));
    });
}

#[test]
fn a_ledger_that_cannot_be_used_refuses_every_write_until_it_can() {
    alone(async |lab| {
        for call in ["*", "Query", "GetItem", "TransactWriteItems"] {
            for kind in ["throttle", "error", "drop", "denied", "denied-by-organization"] {
                let bucket = open_bucket(lab, "scans").await;
                faults(lab, &[&format!("dynamodb:{call}={kind}")]);
                let report = invoke(lab, FUNCTION, &opened(&bucket, 1)).await;
                faults(lab, &[]);
                let record = last_record(&report);
                let at = format!("{call} {kind}: {record}");
                assert_eq!((&record["outcome"], &record["refused_by"]), (&json!("refused"), &json!("ledger")), "{at}");
                assert!(report.answer.is_err(), "{at}: the event has to come again");
                assert!(writes_to(lab, Some(&bucket)).is_empty() && !is_closed(lab, &bucket).await, "{at}");
                // Whoever reads the refusal learns what is missing.
                if kind.starts_with("denied") {
                    assert!(record["why"].as_str().unwrap().contains("dynamodb:"), "{at}");
                }
                let report = invoke(lab, FUNCTION, &opened(&bucket, 1)).await;
                assert_eq!(last_record(&report)["outcome"], "fixed", "{at}");
                assert_eq!(
                    (story(lab, &bucket).await, is_closed(lab, &bucket).await),
                    (vec!["fixed".to_owned()], true),
                    "{at}"
                );
            }
        }
    });
}

/// A few calls that go wrong are no reason to refuse anything.
#[test]
fn a_ledger_that_stutters_is_asked_again() {
    alone(async |lab| {
        for call in ["Query", "GetItem", "TransactWriteItems"] {
            for kind in ["throttle", "error", "drop", "drop-answer"] {
                let bucket = open_bucket(lab, "scans").await;
                faults(lab, &[&format!("dynamodb:{call}={kind}*2")]);
                let report = invoke(lab, FUNCTION, &opened(&bucket, 1)).await;
                faults(lab, &[]);
                assert_eq!(last_record(&report)["outcome"], "fixed", "{call} {kind}");
                assert_eq!(story(lab, &bucket).await, ["fixed"], "{call} {kind}");
                assert_eq!(writes_to(lab, Some(&bucket)).len(), 1, "{call} {kind}");
            }
        }
    });
}

/// The intent may be there although its answer never came. Nothing is written on a guess; the next try of the event finds
/// the intent, says what came of it, and goes on.
#[test]
fn an_intent_whose_answer_is_lost_for_good_is_brought_to_its_end_by_the_retry() {
    alone(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        let mut happenings = lab.listen();
        // As often as one invocation tries it.
        faults(lab, &["dynamodb:TransactWriteItems=drop-answer*3"]);
        send(lab, FUNCTION, &opened(&bucket, 1));
        happens(&mut happenings, |happening| says(happening, "\"refused_by\":\"ledger\"")).await;
        assert!(writes_to(lab, Some(&bucket)).is_empty());
        settled(lab).await;
        faults(lab, &[]);
        let told = story(lab, &bucket).await;
        assert_eq!((is_closed(lab, &bucket).await, writes_to(lab, Some(&bucket)).len()), (true, 1), "{told:?}");
        assert_eq!(told, ["unverified", "fixed"], "{:#?}", records_of(lab, &bucket).await);
    });
}

/// The result cannot be put down: the write is there, its intent is there, and the next one says how it ended.
#[test]
fn a_result_that_cannot_be_put_down_is_put_down_by_the_next() {
    alone(async |lab| {
        lab.set(FUNCTION, &[("SUTURE_LEASE_SECONDS", "60")]).unwrap();
        let bucket = open_bucket(lab, "scans").await;
        let mut happenings = lab.listen();
        let event = opened(&bucket, 1);
        let (report, ()) = tokio::join!(invoke(lab, FUNCTION, &event), async {
            happens(
                &mut happenings,
                |happening| matches!(happening, Happening::Call(call) if call.name() == "s3:PutPublicAccessBlock"),
            )
            .await;
            faults(lab, &["dynamodb:TransactWriteItems=denied"]);
        });
        faults(lab, &[]);
        let record = last_record(&report);
        assert!(record["outcome"] == "fixed" && report.answer.is_err(), "{record}: the event has to come again");
        let before = records_of(lab, &bucket).await;
        assert_eq!((before.len(), &before[0]["why"]), (1, &json!("about to write")), "{before:#?}");
        a_minute_passes(lab, &bucket).await;
        let report = invoke(lab, FUNCTION, &opened(&bucket, 2)).await;
        assert_eq!(last_record(&report)["outcome"], "compliant");
        assert_eq!((story(lab, &bucket).await, writes_to(lab, Some(&bucket)).len()), (vec!["fixed".to_owned()], 1));
    });
}

/// The process dies at each point at which it waits for AWS, as the call is answered or as its answer is lost.
#[test]
fn whoever_is_killed_in_the_middle_leaves_what_the_next_brings_to_its_end() {
    alone(async |lab| {
        let calls =
            ["s3:GetPublicAccessBlock", "dynamodb:GetItem", "dynamodb:TransactWriteItems", "s3:PutPublicAccessBlock"];
        for (number, call) in calls.into_iter().enumerate() {
            for lost in [false, true] {
                let at = format!("{call}, its answer lost: {lost}");
                let bucket = open_bucket(lab, "scans").await;
                let mut happenings = lab.listen();
                // Slow enough to be killed before the next call is answered.
                let lose = format!("{call}=drop-answer*1");
                faults(lab, &[if lost { lose.as_str() } else { "*:*=latency:300" }]);
                send(lab, FUNCTION, &opened(&bucket, number));
                happens(&mut happenings, |h| matches!(h, Happening::Call(made) if made.name() == call)).await;
                assert!(kill(lab, FUNCTION).await, "{at}: nobody to kill");
                faults(lab, &[]);
                settled(lab).await;
                // The lab's retries come sooner than Lambda's: within the lease they find the bucket closed, and leave the rest.
                let left = records_of(lab, &bucket).await;
                if left.iter().any(|record| record["why"] == "about to write") {
                    a_minute_passes(lab, &bucket).await;
                    send(lab, FUNCTION, &opened(&bucket, number));
                    settled(lab).await;
                }
                let told = story(lab, &bucket).await;
                println!("{at}: {told:?}");
                // After its intent, its write may or may not have been on its way: then that was what closed the bucket.
                let died_between = call == "dynamodb:TransactWriteItems" && told == ["unverified", "fixed"];
                assert!(is_closed(lab, &bucket).await && (died_between || told == ["fixed"]), "{at}: {told:?}");
                assert!(!records_of(lab, &bucket).await.iter().any(|record| record["why"] == "about to write"), "{at}");
                let standings = rows(lab).await.into_iter().filter(|row| row.sk.starts_with("standing#"));
                let held = standings.filter(|row| row.pk.ends_with(&bucket) && !row.body["lease"].is_null()).count();
                assert_eq!(held, 0, "{at}: nobody holds it any more");
            }
        }
    });
}

/// Until its lease ends, what a dead one held is not written to by anybody else; then the next event says what became of it.
#[test]
fn nobody_writes_to_what_a_dead_one_holds_before_its_lease_ends() {
    alone(async |lab| {
        lab.set(FUNCTION, &[("SUTURE_LEASE_SECONDS", "60")]).unwrap();
        let bucket = open_bucket(lab, "scans").await;
        let mut happenings = lab.listen();
        // Its write comes to AWS, and it never hears of that; then somebody opens the bucket again.
        faults(lab, &["s3:PutPublicAccessBlock=drop-answer*1"]);
        let event = opened(&bucket, 1);
        let (report, ()) = tokio::join!(invoke(lab, FUNCTION, &event), async {
            happens(
                &mut happenings,
                |h| matches!(h, Happening::Call(made) if made.name() == "s3:PutPublicAccessBlock"),
            )
            .await;
            assert!(kill(lab, FUNCTION).await);
        });
        assert!(report.answer.is_err() && is_closed(lab, &bucket).await);
        system_tests::s3::quietly(lab, http::Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
        let open = records_of(lab, &bucket).await;
        assert_eq!((&open[0]["outcome"], &open[0]["why"]), (&json!("unverified"), &json!("about to write")));
        let other = invoke(lab, FUNCTION, &opened(&bucket, 2)).await;
        assert_eq!(last_record(&other)["refused_by"], "busy", "{}", last_record(&other));
        assert!(other.answer.is_err() && writes_to(lab, Some(&bucket)).len() <= 1);
        a_minute_passes(lab, &bucket).await;
        let other = invoke(lab, FUNCTION, &opened(&bucket, 2)).await;
        assert_eq!(last_record(&other)["outcome"], "fixed");
        let told = story(lab, &bucket).await;
        assert_eq!((told.len(), told[1].as_str(), is_closed(lab, &bucket).await), (2, "fixed", true), "{told:?}");
        assert_ne!(records_of(lab, &bucket).await[0]["why"], "about to write");
    });
}
