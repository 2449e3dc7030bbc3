//! A sweep that is more than one page, by way of the control's queue: the real binary, Lambda's event source, moto's queue.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::gateway::{Happened, Happening};
use lab::runtime::Report;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use system_tests::ledger::{a_minute_passes, kill, records_of, story};
use system_tests::members::is_closed;
use system_tests::s3::{FUNCTION, open_bucket};
use system_tests::{ACCOUNT, HOME, PATIENCE, alone, faults, fire, invoke, only, queued};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

/// Open buckets that nobody saw made.
async fn open(lab: &Lab, count: usize) -> Vec<String> {
    let wish = json!({"count": count, "prefix": system_tests::fresh("ward"), "open": true});
    let filled = lab.wish("s3/fill", wish).await.unwrap();
    serde_json::from_value(filled["names"].clone()).unwrap()
}

async fn all_closed(lab: &Lab, buckets: &[String]) {
    for bucket in buckets {
        assert!(is_closed(lab, ACCOUNT, HOME, bucket).await, "{bucket}");
    }
}

/// How often something was done to each bucket.
fn by_bucket(lab: &Lab, fits: impl Fn(&Happened) -> bool) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for call in lab.calls(|call| call.service == "s3" && fits(call)) {
        *all.entry(call.resource.unwrap_or_default()).or_default() += 1;
    }
    all
}

/// The invocations that messages led to.
fn of_queue(reports: &[Report]) -> Vec<&Report> {
    reports.iter().filter(|report| report.rule.is_some()).collect()
}

/// Sends a message to the control's queue, as anybody with the permission may.
async fn send(lab: &Lab, bodies: &[Value]) {
    let queue = &lab.gateway.functions.config(FUNCTION).unwrap().environment["SUTURE_SWEEP_QUEUE"];
    let entry = |(id, body): (usize, &Value)| json!({"Id": id.to_string(), "MessageBody": body.to_string()});
    let entries: Vec<_> = bodies.iter().enumerate().map(entry).collect();
    let batch = json!({"QueueUrl": queue, "Entries": entries});
    lab.quiet_client(HOME).must_json("sqs", "SendMessageBatch", &batch).await.unwrap();
}

fn part(buckets: &[&str]) -> Value {
    json!({"schema": "suture.sweep/1", "control": FUNCTION, "account": ACCOUNT, "region": HOME, "resources": buckets})
}

async fn done(lab: &Lab, happenings: &mut Receiver<Happening>) -> Vec<Report> {
    lab.queues_settled(PATIENCE * 2).await.unwrap();
    queued(lab, happenings, FUNCTION)
}

#[test]
fn more_than_a_page_is_handed_out_and_each_bucket_is_looked_at_once() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let buckets = open(lab, 25).await;
        faults(lab, &["s3:ListBuckets=page:4"]);
        let reports = fire(lab, FUNCTION).await;
        let own = reports[0].json();
        let listings = reports[0].calls.iter().filter(|call| call.operation == "ListBuckets").count();
        // Suture's own bucket, of evidence, is one more.
        assert_eq!((&own["sweeps"][0]["handed_over"], listings), (&json!(26), 7), "{own}");
        assert_eq!((&own["sweeps"][0]["looked_at"], own["records"].as_array().unwrap().len()), (&json!(0), 0));
        assert!(!of_queue(&reports).is_empty() && of_queue(&reports).iter().all(|report| report.answer.is_ok()));
        all_closed(lab, &buckets).await;
        let names: BTreeSet<_> = buckets.iter().cloned().collect();
        let ours = |all: BTreeMap<String, usize>| -> BTreeMap<String, usize> {
            all.into_iter().filter(|(name, _)| names.contains(name)).collect()
        };
        let writes = ours(by_bucket(lab, |call| call.writes));
        assert!(writes.len() == 25 && writes.values().all(|times| *times == 1), "{writes:?}");
        // Looked at, and read back.
        let looks = ours(by_bucket(lab, |call| call.operation == "GetPublicAccessBlock"));
        assert!(looks.len() == 25 && looks.values().all(|times| *times == 2), "{looks:?}");
        for bucket in &buckets {
            assert_eq!(story(lab, bucket).await, ["fixed"]);
        }
        assert!(lab.dead_letters().await.unwrap().is_empty());
        assert!(lab.letters(ACCOUNT, HOME).await.unwrap().is_empty(), "what is done is deleted");

        // The next finds nothing to do, by the same way.
        let again = fire(lab, FUNCTION).await;
        assert_eq!(
            (&again[0].json()["sweeps"][0]["handed_over"], again.iter().map(system_tests::writes).sum::<usize>()),
            (&json!(26), 0)
        );
    });
}

#[test]
fn no_more_than_a_page_is_done_at_once() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let buckets = open(lab, 5).await;
        let reports = fire(lab, FUNCTION).await;
        assert_eq!((reports.len(), &reports[0].json()["sweeps"][0]["looked_at"]), (1, &json!(6)));
        assert!(lab.calls(|call| call.service == "sqs").is_empty());
        all_closed(lab, &buckets).await;
    });
}

/// What makes no sense fails alone, comes back alone, and ends where a person finds it; beside it everything is done.
#[test]
fn a_message_that_fails_comes_back_alone_and_ends_in_the_dead_letters() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let buckets = open(lab, 3).await;
        let names: Vec<_> = buckets.iter().map(String::as_str).collect();
        let mut other = part(&[]);
        other["control"] = "s3-public-acl".into();
        let mut happenings = lab.listen();
        send(lab, &[part(&names[..1]), other.clone(), part(&names[1..])]).await;
        let reports = done(lab, &mut happenings).await;
        all_closed(lab, &buckets).await;
        let failures: Vec<_> =
            reports.iter().map(|report| report.json()["batchItemFailures"].as_array().unwrap().len()).collect();
        // Five times in all, as the queue says; the others were done the first time and did not come back.
        assert_eq!(failures, [1; 5], "{:#?}", reports.iter().map(|report| &report.log).collect::<Vec<_>>());
        let last = &reports[4];
        assert!((last.attempt, last.calls.len()) == (5, 0) && system_tests::writes(&reports[0]) > 0);
        let [letter] = lab.dead_letters().await.unwrap().try_into().unwrap();
        assert_eq!(letter.json(), other);
        for bucket in &buckets {
            assert_eq!(records_of(lab, bucket).await.len(), 1);
        }
    });
}

/// The time-out comes when half is done: the message comes back, and what was done is found done.
#[test]
fn a_part_that_takes_too_long_is_finished_by_the_next_try() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let buckets = open(lab, 20).await;
        let mut config = lab.gateway.functions.config(FUNCTION).unwrap();
        // Five seconds before the end nothing new is begun: there is time for two rounds of eight buckets at the most.
        config.timeout = Duration::from_secs(8);
        lab.gateway.functions.configure(config);
        faults(lab, &["s3:*=latency:300"]);
        let names: Vec<_> = buckets.iter().map(String::as_str).collect();
        let mut happenings = lab.listen();
        send(lab, &[part(&names)]).await;
        let reports = done(lab, &mut happenings).await;
        assert!(reports.len() > 1, "it was too much for one");
        assert_eq!(reports.last().unwrap().json(), json!({"batchItemFailures": []}));
        all_closed(lab, &buckets).await;
        let writes = by_bucket(lab, |call| call.writes);
        assert!(writes.values().all(|times| *times == 1), "{writes:?}");
        assert!(lab.dead_letters().await.unwrap().is_empty());
    });
}

/// The process dies in the middle of its batch: all of its messages come back, and nothing is done twice.
#[test]
fn a_part_whose_process_dies_comes_back() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let bucket = open_bucket(lab, "scans").await;
        let mut happenings = lab.listen();
        // Its write comes to AWS, and it never hears of that.
        faults(lab, &["s3:PutPublicAccessBlock=drop-answer*1"]);
        send(lab, &[part(&[&bucket])]).await;
        loop {
            if let Happening::Call(call) = timeout(PATIENCE, happenings.recv()).await.unwrap().unwrap()
                && call.name() == "s3:PutPublicAccessBlock"
            {
                break;
            }
        }
        assert!(kill(lab, FUNCTION).await);
        let reports = done(lab, &mut happenings).await;
        let errors = reports.iter().filter(|report| report.answer.is_err()).count();
        assert_eq!(errors, 1, "{reports:#?}");
        assert!(is_closed(lab, ACCOUNT, HOME, &bucket).await);
        // A sweep asks the ledger about nothing that is as it ought to be: what the dead one had begun is brought to its end by
        // whoever asks next.
        let [record] = records_of(lab, &bucket).await.try_into().unwrap();
        assert_eq!((&record["outcome"], &record["why"]), (&json!("unverified"), &json!("about to write")));
        a_minute_passes(lab, &bucket).await;
        invoke(lab, FUNCTION, &json!({"resource": bucket, "mode": "enforce"})).await;
        assert_eq!(story(lab, &bucket).await, ["fixed"]);
        let [record] = records_of(lab, &bucket).await.try_into().unwrap();
        assert_ne!(record["why"], "about to write");
        assert_eq!(by_bucket(lab, |call| call.writes)[&bucket], 1);
        assert!(lab.dead_letters().await.unwrap().is_empty());
    });
}
