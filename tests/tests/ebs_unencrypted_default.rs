//! ebs-unencrypted-default's real binary in the lab. The setting is an account's in a region: each test has a lab of its
//! own, or a region.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::Lab;
use lab::runtime::Report;
use serde_json::{Value, json};
use system_tests::ec2::{EBS as FUNCTION, call, ebs, key, parameters, set_ebs};
use system_tests::{
    ACCOUNT, HOME, about_to_write, alice, alone, calls, event, faults, fire, invoke, outcome, record, reported,
    variant, writes,
};

const MANAGED: &str = "alias/aws/ebs";
const READS: [&str; 2] = ["ec2:GetEbsDefaultKmsKeyId", "ec2:GetEbsEncryptionByDefault"];

/// The names of a report's calls, the reads beside each other at its beginning in order.
fn sorted(report: &Report, reads: usize) -> Vec<String> {
    let mut names = calls(report);
    let reads = reads.min(names.len());
    names[..reads].sort();
    names
}

async fn disabled(lab: &Lab) -> Report {
    invoke(lab, FUNCTION, &event(FUNCTION, "disable-ebs-encryption-by-default")).await
}

/// The default key, set by whom nobody saw, and the default on or off.
async fn now(lab: &Lab, on: bool, key: Option<&str>) {
    set_ebs(&lab.quiet_client(HOME), on, key).await;
}

#[test]
fn what_is_switched_off_is_switched_on_again() {
    alone(async |lab| {
        now(lab, true, None).await;
        let mut happenings = lab.listen();
        call(&alice(lab), "DisableEbsEncryptionByDefault", &[]).await;
        let report = reported(&mut happenings, FUNCTION, ACCOUNT).await;
        let fixed = record(&report);
        assert_eq!((&fixed["outcome"], &fixed["why"]), (&json!("fixed"), &json!("read back and seen")), "{fixed}");
        assert_eq!(fixed["cause"]["call"], "DisableEbsEncryptionByDefault");
        let names = sorted(&report, 2);
        assert_eq!(
            (&names[..2], names[2].as_str(), names.len()),
            (&READS.map(str::to_owned)[..], "ec2:EnableEbsEncryptionByDefault", 5)
        );
        assert_eq!(ebs(&lab.quiet_client(HOME)).await, (true, MANAGED.to_owned()));
        // A duplicate of the event costs two reads.
        let again = disabled(lab).await;
        assert_eq!((outcome(&again), sorted(&again, 2)), ("compliant".into(), READS.map(str::to_owned).to_vec()));
        // An undo, twice, and an undo of that.
        let undo = json!({"mode": "undo", "record": fixed});
        let undone = invoke(lab, FUNCTION, &undo).await;
        assert_eq!((outcome(&undone), writes(&undone)), ("undone".into(), 1));
        assert_eq!(ebs(&lab.quiet_client(HOME)).await, (false, MANAGED.to_owned()));
        let again = invoke(lab, FUNCTION, &undo).await;
        assert_eq!((outcome(&again), writes(&again)), ("undone".into(), 0));
        let redo = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": record(&undone)})).await;
        assert_eq!((outcome(&redo), ebs(&lab.quiet_client(HOME)).await.0), ("undone".into(), true));
        // Each region has its own: what is done in one changes nothing in another.
        let ireland = lab.quiet_client("eu-west-1");
        assert!(!ebs(&ireland).await.0);
        let report =
            invoke(lab, FUNCTION, &json!({"resource": ACCOUNT, "region": "eu-west-1", "mode": "enforce"})).await;
        assert_eq!((outcome(&report), ebs(&ireland).await.0), ("fixed".into(), true));
        let report =
            invoke(lab, FUNCTION, &json!({"resource": ACCOUNT, "region": "ap-southeast-2", "mode": "enforce"})).await;
        assert_eq!((record(&report)["refused_by"].clone(), report.calls.len()), (json!("region"), 0));
    });
}

#[test]
fn a_plan_asks_whether_we_may_and_writes_nothing() {
    alone(async |lab| {
        let wanted = key(&lab.quiet_client(HOME)).await;
        parameters(lab, FUNCTION, &json!({"ebs_keys": format!("{HOME}={wanted}")}));
        variant(lab, FUNCTION, "planning", &[("SUTURE_MODE", "plan")]);
        let report = invoke(lab, "planning", &event(FUNCTION, "disable-ebs-encryption-by-default")).await;
        let plan = record(&report);
        assert_eq!((&plan["outcome"], &plan["changes"][0]), (&json!("planned"), &json!("enable")), "{plan}");
        assert_eq!(plan["changes"][1]["set-key"]["to"], json!(wanted));
        assert!(plan["why"].as_str().unwrap().ends_with("AWS says that we may"), "{plan}");
        let dry = report.calls.iter().filter(|call| call.status == 412).count();
        assert_eq!((dry, report.calls.len()), (2, 5), "{:?}", calls(&report));
        assert_eq!(ebs(&lab.quiet_client(HOME)).await, (false, MANAGED.to_owned()));
    });
}

#[test]
fn an_operators_key_is_set_while_the_default_is_on_and_taken_back_whole() {
    alone(async |lab| {
        let client = lab.quiet_client(HOME);
        let (wanted, other) = (key(&client).await, key(&client).await);
        parameters(lab, FUNCTION, &json!({"ebs_keys": format!("{HOME}={wanted}")}));
        for (on, before, undoing) in [
            (false, None, vec!["ec2:ResetEbsDefaultKmsKeyId", "ec2:DisableEbsEncryptionByDefault"]),
            (true, None, vec!["ec2:ResetEbsDefaultKmsKeyId"]),
            (true, Some(other.as_str()), vec!["ec2:ModifyEbsDefaultKmsKeyId"]),
            (false, Some(other.as_str()), vec!["ec2:ModifyEbsDefaultKmsKeyId", "ec2:DisableEbsEncryptionByDefault"]),
        ] {
            now(lab, on, before).await;
            let report = disabled(lab).await;
            let fixed = record(&report);
            assert_eq!((&fixed["outcome"], ebs(&client).await), (&json!("fixed"), (true, wanted.clone())), "{fixed}");
            let made: Vec<_> =
                report.calls.iter().filter(|call| call.writes).map(lab::gateway::Happened::name).collect();
            let expected = ["ec2:EnableEbsEncryptionByDefault", "ec2:ModifyEbsDefaultKmsKeyId"];
            assert_eq!(made, expected[usize::from(on)..], "in this order");
            let undone = invoke(lab, FUNCTION, &json!({"mode": "undo", "record": fixed})).await;
            let made: Vec<_> =
                undone.calls.iter().filter(|call| call.writes).map(lab::gateway::Happened::name).collect();
            assert_eq!((outcome(&undone), made), ("undone".into(), undoing.iter().map(|n| (*n).to_owned()).collect()));
            assert_eq!(ebs(&client).await, (on, before.unwrap_or(MANAGED).to_owned()));
        }
        // Somebody sets another key: alice's call is drift here, and the right key costs three reads.
        now(lab, true, Some(&wanted)).await;
        let report = disabled(lab).await;
        assert_eq!((outcome(&report), report.calls.len()), ("compliant".into(), 3));
        let mut happenings = lab.listen();
        call(&alice(lab), "ResetEbsDefaultKmsKeyId", &[]).await;
        let report = reported(&mut happenings, FUNCTION, ACCOUNT).await;
        assert_eq!((outcome(&report), ebs(&client).await), ("fixed".into(), (true, wanted.clone())));
        let mut happenings = lab.listen();
        call(&alice(lab), "ModifyEbsDefaultKmsKeyId", &[("KmsKeyId", &other)]).await;
        let report = reported(&mut happenings, FUNCTION, ACCOUNT).await;
        assert_eq!((outcome(&report), ebs(&client).await), ("fixed".into(), (true, wanted)));
    });
}

/// EC2 says yes to any key, and volumes that are encrypted with a bad one never start.
#[test]
fn a_key_that_cannot_encrypt_is_never_set() {
    alone(async |lab| {
        let client = lab.quiet_client(HOME);
        let asymmetric = json!({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"});
        let asymmetric = client.must_json("kms", "CreateKey", &asymmetric).await.unwrap();
        let asymmetric = asymmetric["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        let off = key(&client).await;
        client.json("kms", "DisableKey", &json!({"KeyId": off})).await.unwrap();
        let missing = off.replace(&off[off.len() - 12..], "000000000000");
        for (bad, says) in [(&asymmetric, "SIGN_VERIFY"), (&off, "Disabled"), (&missing, "does not exist")] {
            parameters(lab, FUNCTION, &json!({"ebs_keys": format!("{HOME}={bad}")}));
            now(lab, false, None).await;
            let report = disabled(lab).await;
            let record = record(&report);
            assert_eq!((&record["outcome"], writes(&report)), (&json!("partly-fixed"), 1), "{record}");
            assert!(record["why"].as_str().unwrap().contains(says), "{record}");
            assert_eq!(ebs(&client).await, (true, MANAGED.to_owned()), "on all the same");
            let report = disabled(lab).await;
            assert_eq!((outcome(&report), writes(&report)), ("refused".into(), 0));
        }
        // A default key that is off already: switching on would stop every launch.
        parameters(lab, FUNCTION, &json!({}));
        now(lab, false, Some(&off)).await;
        let report = disabled(lab).await;
        assert_eq!((record(&report)["refused_by"].clone(), writes(&report)), (json!("launches-fail"), 0));
        let asked = json!({"resource": ACCOUNT, "mode": "enforce", "override": ["launches-fail"]});
        let report = invoke(lab, FUNCTION, &asked).await;
        assert_eq!((outcome(&report), ebs(&client).await), ("partly-fixed".into(), (true, off)), "and it says so");
    });
}

#[test]
fn what_changes_between_the_look_and_the_write_is_looked_at_again() {
    alone(async |lab| {
        let client = lab.quiet_client(HOME);
        let (wanted, other, third) = (key(&client).await, key(&client).await, key(&client).await);
        parameters(lab, FUNCTION, &json!({"ebs_keys": format!("{HOME}={wanted}")}));
        now(lab, false, Some(&other)).await;
        faults(lab, &["ec2:EnableEbsEncryptionByDefault=latency:400"]);
        let mut happenings = lab.listen();
        let (report, ()) = tokio::join!(disabled(lab), async {
            about_to_write(&mut happenings).await;
            call(&client, "ModifyEbsDefaultKmsKeyId", &[("KmsKeyId", &third)]).await;
        });
        assert_eq!((outcome(&report), ebs(&client).await), ("fixed".into(), (true, wanted)), "{}", record(&report));
    });
}

#[test]
fn config_is_told_findings_are_resolved_by_a_fix_and_a_sweep_finds_what_no_event_told() {
    alone(async |lab| {
        let findings = async || lab.findings(HOME).await.unwrap().len();
        for name in ["security-hub", "security-hub-v2"] {
            now(lab, false, None).await;
            let before = findings().await;
            let report = invoke(lab, FUNCTION, &event(FUNCTION, name)).await;
            assert_eq!((outcome(&report), findings().await), ("fixed".into(), before + 1), "{name}");
            let report = invoke(lab, FUNCTION, &event(FUNCTION, name)).await;
            assert_eq!((outcome(&report), findings().await), ("compliant".into(), before + 1), "{name}");
        }
        now(lab, false, None).await;
        let report = invoke(lab, FUNCTION, &event(FUNCTION, "rule-scheduled")).await;
        assert!(report.answer.is_ok(), "{:?}", report.log);
        let told: Vec<Value> = lab.evaluations(HOME).await.unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        let evaluation = &told[0]["evaluations"][0];
        assert_eq!(
            (&evaluation["ComplianceType"], &evaluation["ComplianceResourceId"]),
            (&json!("COMPLIANT"), &json!(ACCOUNT))
        );
        now(lab, false, None).await;
        let reports = fire(lab, FUNCTION).await;
        assert_eq!((reports.len(), ebs(&lab.quiet_client(HOME)).await.0), (1, true));
        for (name, ends) in [("own-call", "ignored"), ("denied-call", "ignored"), ("hostile-account", "rejected")] {
            let report = invoke(lab, FUNCTION, &event(FUNCTION, name)).await;
            assert_eq!((&report.json()["unread"][0]["as"], report.calls.len()), (&json!(ends), 0), "{name}");
        }
    });
}
