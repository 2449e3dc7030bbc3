//! What keeps Suture from writing, on every path and in the real functions: the kill switch, exemptions, flapping; and an undo
//! that is nobody's but a person's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use ledger::{Exemption, Stop};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use system_tests::ledger::{
    ALICE, announced, ledger, opened, posture, proof, records_of, rows, send, settled, story, subjects, variable,
    writes_to,
};
use system_tests::s3::{FUNCTION, PHI, SETTINGS, bucket, event_about, fix, open_bucket, quietly, settings};
use system_tests::{ACCOUNT, alone, deployed, invoke, last_record};
use time::OffsetDateTime;

async fn is_closed(lab: &Lab, bucket: &str) -> bool {
    settings(lab, bucket).await == Some(SETTINGS.to_vec())
}

async fn tag(lab: &Lab, bucket: &str, key: &str, value: &str) {
    let tags = format!("<Tagging><TagSet><Tag><Key>{key}</Key><Value>{value}</Value></Tag></TagSet></Tagging>");
    quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), &tags).await;
}

fn exemption(id: &str, hours: i64) -> Exemption {
    let now = OffsetDateTime::now_utc();
    Exemption {
        id: id.to_owned(),
        control: Some(FUNCTION.to_owned()),
        account: Some(remediation::AccountId::parse(ACCOUNT).unwrap()),
        resource: None,
        tag: None,
        owner: "bob@clinic.example".to_owned(),
        reason: "CHG-7".to_owned(),
        expires: now + time::Duration::hours(hours),
        made_at: now - time::Duration::hours(48),
        made_by: Some(ALICE.to_owned()),
        undo: None,
        ended: false,
    }
}

/// The outcome of an event, and who refused.
async fn comes_to(lab: &Lab, event: &Value) -> (String, Value) {
    let record = last_record(&invoke(lab, FUNCTION, event).await);
    (record["outcome"].as_str().unwrap().to_owned(), record)
}

#[test]
fn the_kill_switch_stops_every_function_within_a_second_and_until_it_is_lifted() {
    alone(async |lab| {
        let fixed = {
            let bucket = open_bucket(lab, "scans").await;
            last_record(&invoke(lab, FUNCTION, &opened(&bucket, 0)).await)
        };
        let stop = Stop { by: ALICE.to_owned(), reason: "INC-1".to_owned(), at: OffsetDateTime::now_utc() };
        posture(lab, |posture| posture.stop = Some(stop.clone())).await;
        let stopped = Instant::now();
        let mut closed = Vec::new();
        for number in 1..6 {
            let bucket = open_bucket(lab, "scans").await;
            let (outcome, record) = comes_to(lab, &opened(&bucket, number)).await;
            assert_eq!((outcome.as_str(), &record["refused_by"]), ("refused", &json!("kill-switch")), "{record}");
            assert!(record["why"].as_str().unwrap().contains("INC-1"), "{record}");
            closed.push(bucket);
        }
        for asked in [fix(&closed[0]), json!({"mode": "undo", "record": fixed["id"]})] {
            let (outcome, record) = comes_to(lab, &asked).await;
            assert_eq!((outcome.as_str(), &record["refused_by"]), ("refused", &json!("kill-switch")), "{record}");
        }
        // Nothing that began after it was answered.
        assert!(writes_to(lab, None).iter().all(|call| call.began < stopped));
        assert_eq!(writes_to(lab, None).len(), 1);
        posture(lab, |posture| posture.stop = None).await;
        for (number, bucket) in closed.iter().enumerate() {
            assert_eq!(comes_to(lab, &opened(bucket, 10 + number)).await.0, "fixed");
        }
        settled(lab).await;
        assert_eq!(subjects(lab, "Suture was stopped").len(), 1);
        assert_eq!(subjects(lab, "Suture was resumed").len(), 1);
        assert!(announced(lab, "Suture was stopped")[0].message.contains(ALICE));
    });
}

/// Also a sweep that is under way: it looks at the settings again at most a few seconds later.
#[test]
fn the_kill_switch_stops_a_sweep_that_is_under_way() {
    alone(async |lab| {
        system_tests::s3::no_buckets(lab).await;
        lab.wish("s3/fill", json!({"count": 200, "prefix": "clinic", "open": true})).await.unwrap();
        system_tests::faults(lab, &["s3:PutPublicAccessBlock=latency:300"]);
        send(lab, FUNCTION, &json!({"resource": "*", "mode": "enforce"}));
        let began = Instant::now();
        while writes_to(lab, None).is_empty() {
            assert!(began.elapsed() < Duration::from_secs(30), "the sweep never began");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stop = Stop { by: ALICE.to_owned(), reason: "INC-1".to_owned(), at: OffsetDateTime::now_utc() };
        posture(lab, |posture| posture.stop = Some(stop.clone())).await;
        let stopped = Instant::now();
        settled(lab).await;
        let writes = writes_to(lab, None);
        let late = writes.iter().map(|call| call.began.saturating_duration_since(stopped)).max().unwrap();
        println!("{} of 200 written, the last {late:?} after the stop", writes.len());
        assert!(late < Duration::from_secs(8) && writes.len() < 200);
    });
}

#[test]
fn an_exemption_holds_on_every_path_while_it_lasts() {
    alone(async |lab| {
        let ledger = ledger(lab);
        let named = open_bucket(lab, "website-a").await;
        ledger
            .exempt(&Exemption { resource: Some("website-a-*".to_owned()), ..exemption("e-1", 24) }, 0)
            .await
            .unwrap();
        let paths = [
            opened(&named, 1),
            event_about(FUNCTION, "security-hub-action", &named),
            event_about(FUNCTION, "config-compliance", &named),
            fix(&named),
        ];
        for event in &paths {
            let (outcome, record) = comes_to(lab, event).await;
            assert_eq!((outcome.as_str(), &record["exemption"]["id"]), ("exempt", &json!("e-1")), "{record}");
            assert!(record["why"].as_str().unwrap().contains("bob@clinic.example"), "{record}");
        }
        // A sweep too, and the command line's way through the queue.
        send(lab, FUNCTION, &event_about(FUNCTION, "queue-sqs", &named));
        settled(lab).await;
        assert!(writes_to(lab, Some(&named)).is_empty() && !is_closed(lab, &named).await);

        // By a tag, and only with the tag.
        ledger.exempt(&Exemption { tag: Some("site=public".to_owned()), ..exemption("e-2", 24) }, 0).await.unwrap();
        let tagged = open_bucket(lab, "scans").await;
        tag(lab, &tagged, "site", "public").await;
        assert_eq!(comes_to(lab, &opened(&tagged, 1)).await.0, "exempt");
        tag(lab, &tagged, "site", "private").await;
        assert_eq!(comes_to(lab, &opened(&tagged, 2)).await.0, "fixed");
        // Tags that cannot be read are no reason to guess.
        let unread = open_bucket(lab, "scans").await;
        system_tests::faults(lab, &["s3:GetBucketTagging=denied"]);
        let (outcome, record) = comes_to(lab, &opened(&unread, 1)).await;
        system_tests::faults(lab, &[]);
        assert_eq!((outcome.as_str(), &record["refused_by"]), ("refused", &json!("exemption")), "{record}");
        assert!(!is_closed(lab, &unread).await);

        // One that has ended counts for nothing, and that is said once.
        let (_, version) =
            ledger.deployment().await.unwrap().exemptions.iter().find(|(e, _)| e.id == "e-1").unwrap().clone();
        ledger
            .exempt(&Exemption { resource: Some("website-a-*".to_owned()), ..exemption("e-1", -1) }, version)
            .await
            .unwrap();
        assert_eq!(comes_to(lab, &opened(&named, 3)).await.0, "fixed");
        for _ in 0..2 {
            lab.fire("recorder").await.unwrap();
            settled(lab).await;
        }
        assert_eq!(subjects(lab, "website-a-* has ended").len(), 1, "{:?}", subjects(lab, ""));
    });
}

#[test]
fn a_bucket_that_holds_health_data_is_closed_whoever_exempted_it() {
    alone(async |lab| {
        let bucket = open_bucket(lab, "scans").await;
        quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), PHI).await;
        let ledger = ledger(lab);
        ledger.exempt(&Exemption { resource: Some(bucket.clone()), ..exemption("e-1", 24) }, 0).await.unwrap();
        ledger
            .exempt(&Exemption { control: None, resource: Some("scans-*".to_owned()), ..exemption("e-2", 24) }, 0)
            .await
            .unwrap();
        posture(lab, |posture| posture.tags_exempt = true).await;
        let (outcome, record) = comes_to(lab, &opened(&bucket, 1)).await;
        assert_eq!((outcome.as_str(), is_closed(lab, &bucket).await), ("fixed", true), "{record}");
        assert!(record["notes"].to_string().contains("health data"), "{record}");
        // Nor does its own tag help, beside the mark.
        let both = "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag><Tag><Key>suture:exempt</Key>\
                    <Value>all until 2030-01-01 by mallory: mine</Value></Tag></TagSet></Tagging>";
        quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), both).await;
        quietly(lab, Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
        let (outcome, record) = comes_to(lab, &opened(&bucket, 2)).await;
        assert_eq!((outcome.as_str(), is_closed(lab, &bucket).await), ("fixed", true), "{record}");
        // And an undo does not open it.
        let (outcome, record) = comes_to(lab, &json!({"mode": "undo", "record": record["id"]})).await;
        assert_eq!((outcome.as_str(), &record["refused_by"]), ("refused", &json!("phi")), "{record}");
        assert!(is_closed(lab, &bucket).await);
    });
}

#[test]
fn a_resources_own_tag_exempts_only_where_a_person_allowed_that() {
    alone(async |lab| {
        let value = format!("{FUNCTION} until 2030-01-01 by bob: the open data page");
        let make = async || {
            let bucket = open_bucket(lab, "scans").await;
            tag(lab, &bucket, "suture:exempt", &value).await;
            bucket
        };
        assert_eq!(comes_to(lab, &opened(&make().await, 1)).await.0, "fixed", "whoever can tag cannot exempt");
        posture(lab, |posture| posture.tags_exempt = true).await;
        let bucket = make().await;
        let (outcome, record) = comes_to(lab, &opened(&bucket, 2)).await;
        assert_eq!((outcome.as_str(), &record["exemption"]["owner"]), ("exempt", &json!("bob")), "{record}");
        settled(lab).await;
        assert_eq!(subjects(lab, "tags can exempt").len(), 1);
        assert!(announced(lab, &bucket).is_empty(), "an exempt resource is no news");
    });
}

#[test]
fn what_is_undone_again_and_again_is_left_and_who_does_it_is_said_once() {
    alone(async |_| {
        let lab = deployed(&[("Flaps", "3")]).await;
        let bucket = open_bucket(&lab, "scans").await;
        for number in 0..6 {
            let (outcome, record) = comes_to(&lab, &opened(&bucket, number)).await;
            if number < 3 {
                assert_eq!(outcome, "fixed", "{record}");
                quietly(&lab, Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
            } else {
                assert_eq!((outcome.as_str(), &record["refused_by"]), ("refused", &json!("flapping")), "{record}");
                assert!(record["why"].as_str().unwrap().contains("user/alice"), "{record}");
            }
        }
        settled(&lab).await;
        assert_eq!(writes_to(&lab, Some(&bucket)).len(), 3);
        assert_eq!(story(&lab, &bucket).await, ["fixed", "fixed", "fixed", "refused by flapping"]);
        let told = announced(&lab, "gave up: somebody keeps undoing");
        assert!(told.len() == 1 && told[0].message.contains("user/alice"), "{told:?}");
        // A person can have it fixed all the same.
        let named = json!({"resource": bucket, "mode": "enforce", "override": ["flapping"], "reason": "INC-2"});
        assert_eq!(comes_to(&lab, &named).await.0, "fixed");
        lab.stop().await;
    });
}

#[test]
fn an_undo_is_the_undo_functions_alone_and_what_it_opened_is_left_alone() {
    alone(async |lab| {
        let bucket = bucket(lab, "scans").await;
        let target = format!("/{bucket}?publicAccessBlock");
        let before = ["BlockPublicAcls", "IgnorePublicAcls"];
        quietly(lab, Method::PUT, &target, &system_tests::s3::block(&before)).await;
        let (outcome, fixed) = comes_to(lab, &opened(&bucket, 1)).await;
        assert_eq!(outcome, "fixed");
        let id = fixed["id"].as_str().unwrap();
        let mut undo = json!({"mode": "undo", "record": id, "leave_alone_hours": 24, "reason": "INC-9",
            "caller": proof(lab, &format!("undo {id}")).await});
        let refused = lab.invoke(FUNCTION, &undo).await.unwrap().json();
        assert!(refused["unread"].to_string().contains(&variable(lab, FUNCTION, "SUTURE_UNDO_FUNCTION")), "{refused}");
        assert!(is_closed(lab, &bucket).await);
        let undone = last_record(&invoke(lab, "undo", &undo).await);
        assert_eq!(
            (&undone["outcome"], &undone["asked_by"], &undone["undoes"]),
            (&json!("undone"), &json!(ALICE), &json!(id))
        );
        assert_eq!(settings(lab, &bucket).await, Some(before.to_vec()), "exactly as it was");
        let exemption = rows(lab).await.into_iter().find(|row| row.sk.starts_with("exemption#undo-")).unwrap().body;
        assert_eq!(
            (&exemption["resource"], &exemption["owner"], &exemption["reason"]),
            (&json!(bucket), &json!(ALICE), &json!("INC-9"))
        );
        let (outcome, record) = comes_to(lab, &opened(&bucket, 2)).await;
        assert_eq!((outcome.as_str(), &record["exemption"]["id"]), ("exempt", &exemption["id"]));
        // Taken back once more, it is closed, and the exemption has no more to say.
        undo["record"] = undone["id"].clone();
        undo["caller"] = proof(lab, &format!("undo {}", undone["id"].as_str().unwrap())).await.into();
        undo.as_object_mut().unwrap().remove("leave_alone_hours");
        let redone = last_record(&invoke(lab, "undo", &undo).await);
        assert_eq!((&redone["outcome"], is_closed(lab, &bucket).await), (&json!("undone"), true), "{redone}");
        assert!(!rows(lab).await.iter().any(|row| row.sk.starts_with("exemption#")));
        assert_eq!(records_of(lab, &bucket).await.len(), 4);
        settled(lab).await;
        // That an exemption was made is part of the undo's message; that it is over, of the other's.
        let told = subjects(lab, &bucket);
        for (says, times) in [("Suture fixed", 1), ("undid its fix", 2), ("the exemption of", 0)] {
            assert_eq!(told.iter().filter(|subject| subject.contains(says)).count(), times, "{says}: {told:?}");
        }
        assert_eq!(told.len(), 3, "{told:?}");
    });
}
