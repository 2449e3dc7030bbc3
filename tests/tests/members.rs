//! Suture in a hub, and an account that lends it roles: the real binaries, woken by what member.yaml forwards.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use lab::call::Caller;
use lab::gateway::Happening;
use lab::runtime::Report;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use system_tests::ec2::{SSH, authorize, group_in, rules};
use system_tests::iam::STALE;
use system_tests::ledger::records_of;
use system_tests::members::{EXTERNAL_ID, MEMBER, hub, in_roles, is_closed, open, open_bucket, organization};
use system_tests::s3::FUNCTION;
use system_tests::{
    ACCOUNT, HOME, PATIENCE, block_on, calls, fire_everywhere, invoke, last_record, only, outcome, record, reported,
};

/// Everything that happened since somebody listened, once all has come to its end.
async fn all(lab: &Lab, happenings: &mut tokio::sync::broadcast::Receiver<Happening>) -> Vec<Happening> {
    lab.settled(PATIENCE).await.unwrap();
    let mut all = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        all.push(happening);
    }
    all
}

fn by_member(arn: &str) -> bool {
    arn.starts_with(&format!("arn:aws:sts::{MEMBER}:assumed-role/suture-member-"))
}

/// Somebody in the member account takes a bucket's block away; the first look's report.
async fn opened(lab: &Lab, region: &str) -> (String, Report) {
    let bucket = open_bucket(lab, MEMBER, region).await;
    let mut happenings = lab.listen();
    let target = format!("/{bucket}?publicAccessBlock");
    lab.client(MEMBER, region).must(Method::DELETE, &target, "").await.unwrap();
    let report = reported(&mut happenings, FUNCTION, &bucket).await;
    (bucket, report)
}

#[test]
fn a_bucket_that_is_opened_in_a_member_account_is_closed_through_its_role_and_can_be_opened_again() {
    block_on(async {
        let lab = &organization().await;
        let mut happenings = lab.listen();
        let (bucket, report) = opened(lab, "eu-west-1").await;
        let record = record(&report);
        assert_eq!(record["outcome"], "fixed", "{record}");
        let place = json!([record["resource"]["account"], record["resource"]["region"]]);
        assert_eq!(place, json!([MEMBER, "eu-west-1"]));
        assert!(is_closed(lab, MEMBER, "eu-west-1", &bucket).await);
        let roles: BTreeSet<_> = in_roles(&report).into_iter().collect();
        assert_eq!(roles, BTreeSet::from([format!("{MEMBER}:suture-member-{FUNCTION}")]));
        assert!(
            report.calls.iter().filter(|call| call.service == "s3").all(|call| call.caller.account() == Some(MEMBER))
        );

        // The fix is an event of the member's own, and wakes nobody.
        let all = all(lab, &mut happenings).await;
        let ours = all.iter().filter_map(|happening| match happening {
            Happening::Event { name, actor, rules, .. } if by_member(actor) => Some((name.as_str(), rules.as_slice())),
            _ => None,
        });
        assert_eq!(ours.collect::<Vec<_>>(), [("PutBucketPublicAccessBlock", &[][..])]);
        let of_bucket = all.iter().filter(|happening| {
            matches!(happening, Happening::Invocation(report)
                if report.function == FUNCTION && report.log.iter().any(|line| line.contains(&bucket)))
        });
        assert_eq!(of_bucket.count(), 1);
        // What Suture remembers is the hub's.
        assert_eq!(records_of(lab, &bucket).await.len(), 1);

        let undo = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record["id"], "override": ["phi"]})).await;
        assert_eq!(last_record(&undo)["outcome"], "undone", "{:?} {:#?}", undo.answer, undo.log);
        let roles: BTreeSet<_> = in_roles(&undo).into_iter().collect();
        assert_eq!(roles, BTreeSet::from([format!("{MEMBER}:suture-member-undo")]));
        assert!(!is_closed(lab, MEMBER, "eu-west-1", &bucket).await);
        // Nor does that: the function's own doing, even where it opens.
        lab.settled(PATIENCE).await.unwrap();
        assert!(!is_closed(lab, MEMBER, "eu-west-1", &bucket).await);
        assert!(lab.dead_letters().await.unwrap().is_empty() && lab.dropped().is_empty());
    });
}

#[test]
fn controls_of_other_services_work_there_too() {
    block_on(async {
        let lab = &organization().await;
        let quiet = lab.quiet_client_in(MEMBER, "eu-west-1");
        let group = group_in(&quiet, None, &[]).await;
        let mut happenings = lab.listen();
        authorize(&lab.client(MEMBER, "eu-west-1"), "Ingress", &group, &[SSH], &[]).await;
        let report = reported(&mut happenings, "ec2-open-security-group", &group).await;
        assert_eq!((outcome(&report), rules(&quiet, &group).await.len()), ("fixed".into(), 1), "what goes out is left");
        assert_eq!(record(&report)["resource"]["account"], MEMBER);
        assert!(in_roles(&report).iter().all(|role| role.ends_with(":suture-member-ec2-open-security-group")));

        // IAM is in one region; a key of the same age in each account, and one look at everything finds both.
        let mut keys = Vec::new();
        for account in [ACCOUNT, MEMBER] {
            let client = lab.quiet_client_in(account, HOME);
            client.must_query("iam", "CreateUser", &[("UserName", "bob")]).await.unwrap();
            let made = client.must_query("iam", "CreateAccessKey", &[("UserName", "bob")]).await.unwrap();
            let key = made.texts("AccessKeyId").remove(0);
            let wish = json!({"account": account, "accessKeyId": key, "created": "500 days ago", "lastUsed":
                {"date": "400 days ago", "service": "s3", "region": "us-east-1"}});
            lab.wish("iam/age-key", wish).await.unwrap();
            keys.push((account, key));
        }
        let reports = fire_everywhere(lab, STALE).await;
        for (account, key) in keys {
            let client = lab.quiet_client_in(account, HOME);
            let listed = client.must_query("iam", "ListAccessKeys", &[("UserName", "bob")]).await.unwrap();
            let log: Vec<_> = reports.iter().flat_map(|report| report.log.clone()).collect();
            assert_eq!(listed.texts("Status"), ["Inactive"], "{account} {key} {log:#?}");
        }
    });
}

#[test]
fn a_scheduled_sweep_reaches_every_account_and_region() {
    block_on(async {
        let lab = &organization().await;
        let mut buckets = Vec::new();
        for (account, region) in [(ACCOUNT, HOME), (ACCOUNT, "eu-west-1"), (MEMBER, HOME), (MEMBER, "eu-west-1")] {
            buckets.push((account, region, open_bucket(lab, account, region).await));
        }
        let reports = fire_everywhere(lab, FUNCTION).await;
        assert!(
            reports[0].calls.is_empty(),
            "the schedule's own invocation looks at nothing: {:?}",
            calls(&reports[0])
        );
        for (account, region, bucket) in &buckets {
            assert!(is_closed(lab, account, region, bucket).await, "{account} {region}");
            let [record] = records_of(lab, bucket).await.try_into().unwrap();
            let place = [&record["resource"]["account"], &record["resource"]["region"], &record["outcome"]];
            assert_eq!(place, [&json!(account), &json!(region), &json!("fixed")]);
        }
        assert!(lab.dead_letters().await.unwrap().is_empty());
    });
}

/// What AWS Config and Security Hub of the member account asked is answered there.
#[test]
fn who_waits_for_an_answer_gets_it_in_its_own_account() {
    block_on(async {
        let lab = &organization().await;
        only(lab, FUNCTION);
        let bucket = open_bucket(lab, MEMBER, HOME).await;
        let text = system_tests::event(FUNCTION, "security-hub").to_string();
        let finding = text.replace("clinic-scans", &bucket).replace(ACCOUNT, MEMBER);
        let finding: Value = serde_json::from_str(&finding).unwrap();
        let mut happenings = lab.listen();
        let matched = lab.put_event(&finding);
        assert_eq!(matched[0], "suture-member-security-hub-findings-imported", "{matched:?}");
        assert!(matched[1..].contains(&format!("suture-{FUNCTION}-findings")), "{matched:?}");
        let report = reported(&mut happenings, FUNCTION, &bucket).await;
        assert_eq!(outcome(&report), "fixed", "{}", record(&report));
        let told = |account: &str| lab.wish("securityhub/updates", json!({"account": account, "region": HOME}));
        let (here, there) = (told(ACCOUNT).await.unwrap(), told(MEMBER).await.unwrap());
        assert_eq!((here["calls"].as_array().unwrap().len(), there["calls"].as_array().unwrap().len()), (0, 1));
    });
}

/// What the first look at a bucket of the member's ends with, and what it says.
async fn said(lab: &Lab) -> (Value, String) {
    let (bucket, report) = opened(lab, HOME).await;
    assert!(!is_closed(lab, MEMBER, HOME, &bucket).await, "nothing was written");
    let record = last_record(&report);
    (record["outcome"].clone(), record["why"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn an_account_that_does_not_lend_its_role_is_told_so_and_left_as_it_is() {
    block_on(async {
        let lab = &organization().await;
        // Another external id than the member's.
        lab.set(FUNCTION, &[("SUTURE_EXTERNAL_ID", "another")]).unwrap();
        let (outcome, why) = said(lab).await;
        let role = format!("arn:aws:iam::{MEMBER}:role/suture-member-{FUNCTION}");
        assert!(outcome == "failed" && why.contains("sts:AssumeRole") && why.contains(&role), "{outcome}: {why}");
        assert!(why.contains("external id") && why.contains("member.yaml"), "{why}");
        lab.set(FUNCTION, &[("SUTURE_EXTERNAL_ID", EXTERNAL_ID)]).unwrap();

        // The account's own people take their trust back, then give it to somebody else.
        let client = lab.quiet_client_in(MEMBER, HOME);
        let role_name = format!("suture-member-{FUNCTION}");
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:role/suture-undo-{HOME}")}}]});
        let update = [("RoleName", role_name.as_str()), ("PolicyDocument", &trust.to_string())];
        client.must_query("iam", "UpdateAssumeRolePolicy", &update).await.unwrap();
        lab.gateway.functions.recycle();
        let (outcome, why) = said(lab).await;
        assert!(outcome == "failed" && why.contains("does not trust"), "{outcome}: {why}");

        // The hub has left the organization.
        let other = "ec2-open-security-group";
        lab.gateway.accounts.join(ACCOUNT, "o-zzzzzzzzzz");
        let group = group_in(&lab.quiet_client_in(MEMBER, HOME), None, &[SSH]).await;
        let asked = json!({"resource": group, "account": MEMBER, "mode": "enforce"});
        let report = invoke(lab, other, &asked).await;
        assert_eq!(last_record(&report)["outcome"], "failed", "{:#?}", report.log);
        assert!(last_record(&report)["why"].as_str().unwrap().contains("sts:AssumeRole"));
    });
}

#[test]
fn an_account_that_is_not_on_the_list_is_refused_before_anything_is_asked() {
    block_on(async {
        let lab = &hub(ACCOUNT, &[]).await;
        open(lab, MEMBER).await;
        let (bucket, report) = opened(lab, HOME).await;
        assert_eq!(record(&report)["refused_by"], "account", "{}", record(&report));
        assert!(report.calls.is_empty() && !is_closed(lab, MEMBER, HOME, &bucket).await);
        let assumed = lab.calls(|call| call.operation == "AssumeRole" || call.caller.account() == Some(MEMBER));
        let theirs = assumed.iter().filter(|call| matches!(call.caller, Caller::Role { .. }));
        assert_eq!(theirs.count(), 0, "nobody took on a role");
        // Nor does a sweep look there.
        let reports = fire_everywhere(lab, FUNCTION).await;
        assert!(reports.iter().all(|report| in_roles(report).is_empty()));
        assert!(!is_closed(lab, MEMBER, HOME, &bucket).await);
    });
}

/// An event from an account outside of the organization does not arrive; what could not be sent is in that account's queue.
#[test]
fn the_hubs_bus_is_for_the_organization() {
    block_on(async {
        let lab = &organization().await;
        lab.gateway.accounts.join(MEMBER, "o-zzzzzzzzzz");
        let bucket = open_bucket(lab, MEMBER, HOME).await;
        let mut happenings = lab.listen();
        let target = format!("/{bucket}?publicAccessBlock");
        lab.client(MEMBER, HOME).must(Method::DELETE, &target, "").await.unwrap();
        let woken = all(lab, &mut happenings).await;
        assert!(!woken.iter().any(|happening| matches!(happening, Happening::Invocation(_))), "nobody was woken");
        let [letter] = lab.letters(MEMBER, HOME).await.unwrap().try_into().unwrap();
        assert_eq!(letter.attributes["ERROR_CODE"], "NO_PERMISSIONS");
        assert!(letter.attributes["ERROR_MESSAGE"].contains("the policy of"), "{letter:?}");
        assert_eq!(letter.json()["detail"]["requestParameters"]["bucketName"], bucket.as_str());
    });
}
