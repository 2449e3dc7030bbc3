//! Fifty at once: never more writes than the budget, never two writers on one resource, and nobody waits for ever.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use bytes::Bytes;
use http::Method;
use lab::Lab;
use lab::gateway::{Happened, Happening};
use lab::runtime::Report;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;
use system_tests::ledger::{announced, at_once, opened, records_of, rows, send, settled, story, subjects, writes_to};
use system_tests::s3::{FUNCTION, SETTINGS, open_bucket, quietly, settings};
use system_tests::{PATIENCE, deployed, last_record};
use tokio::task::JoinSet;
use tokio::time::timeout;

const MANY: usize = 50;

/// All may run at once, with leases as long as in AWS.
fn ready(lab: &Lab) {
    at_once(lab, FUNCTION, MANY);
    lab.set(FUNCTION, &[("SUTURE_LEASE_SECONDS", "60")]).unwrap();
}

/// How often DynamoDB refused a transaction of this lab's because it met another, or a condition did not hold.
fn refused_transactions(lab: &Lab) -> (usize, usize) {
    let all = lab.calls(|call| call.operation == "TransactWriteItems");
    (all.len(), all.iter().filter(|call| call.status == 400).count())
}

/// Invokes the function with all of these at the same time.
async fn all_at_once(lab: &Lab, events: impl Iterator<Item = Value>) -> Vec<Report> {
    let mut running = JoinSet::new();
    for event in events {
        let gateway = std::sync::Arc::clone(&lab.gateway);
        running.spawn(async move { gateway.functions.invoke(FUNCTION, Bytes::from(event.to_string())).await.unwrap() });
    }
    running.join_all().await
}

/// Whether no two of these calls were under way at the same time.
fn one_after_another(calls: &[Happened]) -> bool {
    let mut spans: Vec<_> = calls.iter().map(|call| (call.began, call.began + call.duration)).collect();
    spans.sort();
    spans.windows(2).all(|pair| pair[0].1 <= pair[1].0)
}

fn tally(outcomes: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for outcome in outcomes {
        *tally.entry(outcome).or_default() += 1;
    }
    tally
}

#[test]
fn fifty_events_at_once_never_write_more_than_the_budget() {
    system_tests::alone(async |_| {
        let lab = deployed(&[("BudgetPerHour", "20")]).await;
        ready(&lab);
        let mut buckets = Vec::new();
        for _ in 0..MANY {
            buckets.push(open_bucket(&lab, "scans").await);
        }
        let began = Instant::now();
        for (number, bucket) in buckets.iter().enumerate() {
            send(&lab, FUNCTION, &opened(bucket, number));
        }
        settled(&lab).await;
        let (transactions, refused) = refused_transactions(&lab);
        println!(
            "{MANY} events on {MANY} buckets: {:?}, {transactions} transactions, {refused} of them refused",
            began.elapsed()
        );

        let mut stories = Vec::new();
        for bucket in &buckets {
            let story = story(&lab, bucket).await;
            assert_eq!(story.len(), 1, "{bucket}: {story:?}");
            let closed = settings(&lab, bucket).await == Some(SETTINGS.to_vec());
            assert_eq!((story[0] == "fixed", writes_to(&lab, Some(bucket)).len()), (closed, usize::from(closed)));
            stories.extend(story);
        }
        let rows = rows(&lab).await;
        let of_budget = |begins: &str| {
            let ours = rows.iter().filter(|row| row.pk == format!("budget#{FUNCTION}") && row.sk.starts_with(begins));
            ours.cloned().collect::<Vec<_>>()
        };
        // One hour, or two if it began in between.
        let hours = of_budget("hour#");
        assert!(hours.len() <= 2 && hours.iter().all(|hour| hour.count.unwrap() <= 20), "{hours:?}");
        let counted: u64 = hours.iter().filter_map(|hour| hour.count).sum();
        let writes = writes_to(&lab, None).len();
        assert_eq!(
            (counted, hours.len() > 1 || counted == 20),
            (writes as u64, true),
            "as many as it may, and no more"
        );
        let tally = tally(stories.into_iter());
        assert_eq!((tally["fixed"], tally["planned by budget"]), (writes, MANY - writes), "{tally:?}");
        let reached = of_budget("reached#").len();
        assert!((1..=hours.len()).contains(&reached), "noted once in an hour: {reached}");
        assert_eq!(subjects(&lab, "spent the hour's budget").len(), reached);
        assert_eq!(subjects(&lab, "Suture fixed").len(), writes);
        assert_eq!(announced(&lab, "").len(), writes + reached, "nothing else was worth a message");
        lab.stop().await;
    });
}

#[test]
fn fifty_at_once_on_one_bucket_are_one_writer() {
    system_tests::alone(async |lab| {
        ready(lab);
        let bucket = open_bucket(lab, "scans").await;
        let began = Instant::now();
        let reports = all_at_once(lab, (0..MANY).map(|number| opened(&bucket, number))).await;
        let (transactions, refused) = refused_transactions(lab);
        let outcomes = tally(reports.iter().map(|report| {
            let record = last_record(report);
            let outcome = record["outcome"].as_str().unwrap();
            record["refused_by"].as_str().map_or_else(|| outcome.to_owned(), |by| format!("{outcome} by {by}"))
        }));
        println!(
            "{MANY} at once on one bucket: {:?}, {transactions} transactions, {refused} refused, {outcomes:?}",
            began.elapsed()
        );
        let busy = outcomes.get("refused by busy").copied().unwrap_or_default();
        assert_eq!(outcomes["fixed"], 1);
        assert_eq!(outcomes.get("compliant").copied().unwrap_or_default(), MANY - 1 - busy, "{outcomes:?}");
        for report in &reports {
            assert_eq!(report.answer.is_err(), last_record(report)["refused_by"] == "busy", "{:?}", report.answer);
        }
        assert_eq!(writes_to(lab, Some(&bucket)).len(), 1);
        assert_eq!(story(lab, &bucket).await, ["fixed"]);
        // Whoever was busy comes again, and finds it done.
        let again = all_at_once(lab, (0..busy).map(|number| opened(&bucket, number))).await;
        assert!(again.iter().all(|report| last_record(report)["outcome"] == "compliant"));
    });
}

/// While it is opened again and again, no two write to it at the same time, and every write is in a record.
#[test]
fn a_bucket_that_is_opened_again_and_again_has_one_writer_at_a_time() {
    system_tests::alone(async |lab| {
        ready(lab);
        let bucket = open_bucket(lab, "scans").await;
        let target = format!("/{bucket}?publicAccessBlock");
        let mut happenings = lab.listen();
        for number in 0..MANY {
            send(lab, FUNCTION, &opened(&bucket, number));
        }
        // Opened again as soon as it is closed, while the others are still at it.
        for number in 0..2 {
            let closed = async {
                loop {
                    match happenings.recv().await.unwrap() {
                        Happening::Call(call) if call.operation == "PutPublicAccessBlock" => return,
                        _ => {}
                    }
                }
            };
            timeout(PATIENCE, closed).await.unwrap();
            quietly(lab, Method::DELETE, &target, "").await;
            send(lab, FUNCTION, &opened(&bucket, MANY + number));
        }
        settled(lab).await;
        send(lab, FUNCTION, &opened(&bucket, 2 * MANY));
        settled(lab).await;
        assert_eq!(settings(lab, &bucket).await, Some(SETTINGS.to_vec()));
        let writes = writes_to(lab, Some(&bucket));
        println!("{} writes, {:?}", writes.len(), story(lab, &bucket).await);
        assert!(writes.len() >= 3 && one_after_another(&writes), "two writers at a time");
        let made = |record: &Value| record["changes"].as_array().unwrap().len();
        let records = records_of(lab, &bucket).await;
        let wrote = records.iter().filter(|record| record["outcome"] != "refused" && record["outcome"] != "failed");
        let said: usize = wrote.map(made).sum();
        assert!(said >= writes.len(), "{} writes, and {said} in records", writes.len());
        assert!(!records.iter().any(|record| record["why"] == "about to write"), "every intent has its result");
    });
}
