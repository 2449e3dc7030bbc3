//! The operator's commands: the real binary `suture` beside the real functions, and by itself with a ledger in a file.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

use http::Method;
use lab::Lab;
use lab::http::ApiRequest;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use system_tests::s3::{FUNCTION, PHI, SETTINGS, about, block, open_bucket, quietly, settings};
use system_tests::{HOME, PATIENCE, alone, fresh, invoke, last_record, only, suture, writes};
use tokio::process::Command;
use tokio::time::timeout;

/// Who the lab's STS says that the test's credentials are.
const ME: &str = "arn:aws:iam::111122223333:user/operator";

/// What a command came to.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// It ended so, and said this.
    #[track_caller]
    fn ends(&self, code: i32, says: &str) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.out.contains(says) || self.err.contains(says), "{says}: {self:?}");
        self
    }
}

/// Somebody at a terminal that nobody answers at: a home, an account, a ledger.
struct Operator {
    home: PathBuf,
    endpoint: Option<String>,
    ledger: Option<String>,
}

impl Operator {
    /// One with a home of their own, and no ledger but their own.
    fn new(lab: Option<&Lab>) -> Self {
        let home = std::env::temp_dir().join(fresh("suture-operator"));
        std::fs::create_dir_all(&home).unwrap();
        Self { home, endpoint: lab.map(Lab::endpoint), ledger: None }
    }

    /// One who looks after the lab's deployment.
    fn of(lab: &Lab) -> Self {
        let mut operator = Self::new(Some(lab));
        operator.ledger = Some(variable(lab, "SUTURE_LEDGER"));
        operator
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(suture().await);
        command.args(arguments).env_clear().env("HOME", &self.home).stdin(Stdio::null()).kill_on_drop(true);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.ledger.iter().map(|ledger| ("SUTURE_LEDGER", ledger)));
        if let Some(endpoint) = &self.endpoint {
            command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", HOME);
            command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        }
        let Output { status, stdout, stderr } = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// A variable of the recorder's: what the template deployed.
fn variable(lab: &Lab, name: &str) -> String {
    lab.gateway.functions.config("recorder").unwrap().environment[name].clone()
}

/// An event about a bucket that somebody opened, and what became of it.
async fn event(lab: &Lab, bucket: &str) -> (Value, usize) {
    let report = invoke(lab, FUNCTION, &about("delete-public-access-block", bucket)).await;
    (last_record(&report), writes(&report))
}

#[test]
fn stopped_resumed_and_planned_from_one_moment_to_the_next() {
    alone(async |lab| {
        let operator = Operator::of(lab);
        operator.run(&["stop", "--reason=INC-1"]).await.ends(0, "suture resume");
        let bucket = open_bucket(lab, "stopped").await;
        let (record, writes) = event(lab, &bucket).await;
        assert_eq!((&record["outcome"], &record["refused_by"], writes), (&json!("refused"), &json!("kill-switch"), 0));
        assert!(record["why"].as_str().unwrap().contains("INC-1"), "{record}");
        let status = operator.run(&["status", "--json"]).await.json();
        assert_eq!((&status["stop"]["reason"], &status["stop"]["by"]), (&json!("INC-1"), &json!(ME)));
        operator.run(&["status"]).await.ends(0, "INC-1");

        operator.run(&["mode", FUNCTION, "plan"]).await.ends(0, "everything is stopped");
        operator.run(&["resume"]).await.ends(0, "INC-1");
        operator.run(&["resume"]).await.ends(0, "not stopped");
        assert_eq!(event(lab, &bucket).await.0["outcome"], "planned");
        operator.run(&["mode", "all", "plan"]).await.ends(0, FUNCTION);
        operator.run(&["mode", FUNCTION, "enforce"]).await.ends(0, "for it");
        assert_eq!(event(lab, &bucket).await.0["outcome"], "fixed");
        let modes = operator.run(&["mode", FUNCTION, "default", "--json"]).await.json();
        assert_eq!((&modes["mode"], &modes["modes"]), (&json!("plan"), &json!({})));
        operator.run(&["mode", "s3-public-buckets", "plan"]).await.ends(2, "there is no control");
        operator.run(&["mode", "plan"]).await.ends(2, "suture mode all plan");
        operator.run(&["stop", "--reason="]).await.ends(2, "needs a reason");
    });
}

#[test]
fn a_plan_is_approved_once_and_only_as_it_was() {
    alone(async |lab| {
        let operator = Operator::of(lab);
        operator.run(&["mode", FUNCTION, "approve"]).await.ends(0, "approve");
        let bucket = open_bucket(lab, "approved").await;
        let (record, writes) = event(lab, &bucket).await;
        assert_eq!((&record["outcome"], writes), (&json!("awaiting-approval"), 0));
        let plan = record["approval"]["id"].as_str().unwrap();
        operator.run(&["status"]).await.ends(0, plan).ends(0, &bucket);

        // Nobody is asked where nobody can answer.
        let asked = operator.run(&["approve", plan]).await;
        asked.ends(1, "--yes").ends(1, "put-public-access-block").ends(1, &bucket);
        assert_eq!(settings(lab, &bucket).await, None);

        operator.run(&["approve", plan, "--yes", "--reason", "CHG-7"]).await.ends(0, "fixed");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
        operator.run(&["approve", plan, "--yes"]).await.ends(1, "approved it already");
        let history = operator.run(&["history", &bucket, "--json"]).await.json();
        let fixed = fixed_in(&history);
        assert_eq!(fixed["reason"], "CHG-7");
        assert_eq!((&fixed["approval"]["by"], &fixed["approval"]["id"]), (&json!(ME), &json!(plan)));

        // The world moved: what is approved is not what would be written.
        let bucket = open_bucket(lab, "moved").await;
        let plan = event(lab, &bucket).await.0["approval"]["id"].as_str().unwrap().to_owned();
        let half = block(&SETTINGS[..2]);
        quietly(lab, Method::PUT, &format!("/{bucket}?publicAccessBlock"), &half).await;
        operator.run(&["approve", &plan, "--yes"]).await.ends(1, "no longer what would be written");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS[..2]);
        operator.run(&["reject", &plan, "--yes"]).await.ends(0, "rejected");
        operator.run(&["approve", &plan, "--yes"]).await.ends(1, "rejected it");
        // A plan that no function made is carried out in the operator's own process.
        let bucket = open_bucket(lab, "own").await;
        let plan = event(lab, &bucket).await.0["approval"]["id"].as_str().unwrap().to_owned();
        without_function(lab, &plan).await;
        let says = operator.run(&["approve", &plan, "--yes"]).await;
        says.ends(0, "fixed").ends(0, "this process, with your own permissions");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
        let history = operator.run(&["history", &bucket, "--control", FUNCTION, "--json"]).await.json();
        let fixed = fixed_in(&history);
        assert_eq!((&fixed["approval"]["by"], &fixed["asked_by"]), (&json!(ME), &json!(ME)), "{fixed}");
        assert!(fixed["id"].as_str().unwrap().starts_with("cli-"), "{fixed}");
        operator.run(&["approve", "no-such-plan", "--yes"]).await.ends(2, "no plan");
    });
}

/// The record of a fix in a history. What was written by hand is an event, whose record can be newer.
fn fixed_in(history: &Value) -> &Value {
    let records = history["records"].as_array().unwrap();
    records.iter().find(|record| record["outcome"] == "fixed").unwrap_or_else(|| panic!("no fix: {history}"))
}

/// Has a plan in the ledger name no function, as one that a command line made would.
async fn without_function(lab: &Lab, plan: &str) {
    let (client, table) = (lab.quiet_client(HOME), variable(lab, "SUTURE_LEDGER"));
    let key = json!({"pk": {"S": "approvals"}, "sk": {"S": plan}});
    let found = client.must_json("dynamodb", "GetItem", &json!({"TableName": table, "Key": key})).await.unwrap();
    let mut item = found["Item"].clone();
    let mut body: Value = serde_json::from_str(item["body"]["S"].as_str().unwrap()).unwrap();
    assert!(body.as_object_mut().unwrap().remove("function").is_some(), "{body}");
    item["body"]["S"] = body.to_string().into();
    client.must_json("dynamodb", "PutItem", &json!({"TableName": table, "Item": item})).await.unwrap();
}

#[test]
fn a_fix_is_taken_back_by_its_id_and_an_auditor_reads_it_all() {
    alone(async |lab| {
        let operator = Operator::of(lab);
        let bucket = open_bucket(lab, "undone").await;
        let fixed = event(lab, &bucket).await.0;
        let id = fixed["id"].as_str().unwrap();
        operator.run(&["undo", id]).await.ends(1, "--yes").ends(1, "delete-public-access-block").ends(1, "suture-undo");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
        let undone = operator.run(&["undo", id, "--leave-alone=3d", "--reason=INC-2", "--yes"]).await;
        undone.ends(0, "undone").ends(0, "left alone until");
        assert_eq!(settings(lab, &bucket).await, None);
        let status = operator.run(&["status", "--json"]).await.json();
        assert_eq!(status["exemptions"][0]["resource"], json!(bucket));
        assert_eq!(status["hour"][FUNCTION], json!({"writes": 2, "spent": false}));
        let exemption = status["exemptions"][0]["id"].as_str().unwrap();
        assert_eq!(event(lab, &bucket).await.0["outcome"], "exempt");
        operator.run(&["unexempt", exemption]).await.ends(0, "no longer exempt");
        assert_eq!(event(lab, &bucket).await.0["outcome"], "fixed");
        operator.run(&["undo", "no-such-record", "--yes"]).await.ends(2, "no record");

        lab.settled(PATIENCE).await.unwrap();
        operator.run(&["record", id]).await.ends(0, &bucket).ends(0, "45 CFR").ends(0, "piece 1, records/");
        assert_eq!(operator.run(&["record", id, "--json"]).await.json()["outcome"], "fixed");
        operator.run(&["history", &bucket]).await.ends(0, "undone");

        let evidence = variable(lab, "SUTURE_EVIDENCE");
        let place = format!("s3://{evidence}");
        let check = ["verify-evidence", &place];
        operator.run(&check).await.ends(0, "sound: nothing is missing");
        let report = operator.run(&[&check[..], &["--json"]].concat()).await.json();
        assert_eq!((&report["objects"], &report["intact"]), (&json!(4), &json!(4)), "{report}");
        let record = operator.run(&["record", id, "--json"]).await.json();
        let key = record["archived"]["key"].as_str().unwrap();
        // Somebody writes over it. Object Lock keeps the version that was there.
        let edited = ApiRequest::new(Method::PUT, format!("/{evidence}/{key}"))
            .header("content-md5", "mZFLkyvTelC5g8XnyQrpOw==")
            .body("{}");
        assert_eq!(lab.quiet_client(HOME).send("s3", edited).await.unwrap().status, 200);
        let changed = operator.run(&check).await;
        changed.ends(1, "NOT SOUND").ends(1, "piece 1 ").ends(1, "intact");
    });
}

#[test]
fn what_is_exempt_is_left_alone_until_somebody_says_otherwise() {
    alone(async |lab| {
        let operator = Operator::of(lab);
        let bucket = open_bucket(lab, "exempt").await;
        let resource = format!("--resource={}*", &bucket[..bucket.len() - 3]);
        let who = ["--owner=web@clinic.example", "--reason=CHG-9"];
        let control = format!("--control={FUNCTION}");
        let exempt = |until: &'static str| [&["exempt", &control, &resource][..], &who, &[until]].concat();
        operator.run(&exempt("--until=DATE")).await.ends(2, "is no end");
        operator.run(&exempt("--until=2020-01-01")).await.ends(2, "still to come");
        operator.run(&[&["exempt"][..], &who, &["--until=30d"]].concat()).await.ends(2, "of everything");
        operator.run(&[&["exempt", &control][..], &who, &["--until=30d"]].concat()).await.ends(2, "of every resource");
        operator.run(&exempt("--until=30d")).await.ends(0, "health data");
        let (record, writes) = event(lab, &bucket).await;
        assert_eq!((&record["outcome"], writes), (&json!("exempt"), 0));
        let listed = operator.run(&["exemptions", "--json"]).await.json();
        let exemption = &listed["exemptions"][0];
        assert_eq!((&exemption["made_by"], &exemption["reason"]), (&json!(ME), &json!("CHG-9")));
        let id = exemption["id"].as_str().unwrap();
        operator.run(&["exemptions"]).await.ends(0, id);
        operator.run(&["unexempt", id]).await.ends(0, FUNCTION);
        operator.run(&["unexempt", id]).await.ends(2, "has no exemption");
        assert_eq!(event(lab, &bucket).await.0["outcome"], "fixed");

        // What holds health data is not exempt, whatever the ledger says.
        let phi = open_bucket(lab, "phi").await;
        quietly(lab, Method::PUT, &format!("/{phi}?tagging"), PHI).await;
        operator
            .run(&[&["exempt", "--resource", &phi][..], &who, &["--until=30d"]].concat())
            .await
            .ends(0, "does not hold");
        assert_eq!(event(lab, &phi).await.0["outcome"], "fixed");

        operator.run(&["tags-exempt", "on"]).await.ends(0, "whoever can tag");
        operator.run(&["tags-exempt"]).await.ends(0, "whoever can tag");
        operator.run(&["tags-exempt", "off"]).await.ends(0, "nothing");
    });
}

#[test]
fn without_a_deployment_a_file_is_the_ledger_and_a_folder_the_evidence() {
    alone(async |lab| {
        let operator = Operator::new(Some(lab));
        let bucket = open_bucket(lab, "local").await;
        let fixed = event(lab, &bucket).await.0;
        // What is written by hand is drift to a deployment that has another ledger.
        only(lab, "recorder");
        let file = operator.home.join("record.json");
        std::fs::write(&file, fixed.to_string()).unwrap();
        let file = file.to_str().unwrap();
        let says = operator.run(&["undo", file, "--yes"]).await;
        says.ends(0, "undone").ends(0, "this process, with your own permissions");
        assert_eq!(settings(lab, &bucket).await, None);

        let history = operator.run(&["history", &bucket, "--json"]).await.json();
        let undone = &history["records"][0];
        assert_eq!((&undone["outcome"], &undone["undoes"]), (&json!("undone"), &fixed["id"]));
        assert_eq!(undone["asked_by"], json!(ME));
        operator.run(&["exemptions"]).await.ends(0, &bucket);
        // An undo is undone by its own id; and refused where somebody was there in between.
        let id = undone["id"].as_str().unwrap();
        operator.run(&["undo", id, "--yes"]).await.ends(0, "undone");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
        let half = block(&SETTINGS[..2]);
        quietly(lab, Method::PUT, &format!("/{bucket}?publicAccessBlock"), &half).await;
        operator.run(&["undo", id, "--yes"]).await.ends(1, "moved-on");
        operator
            .run(&["undo", id, "--yes", "--override=moved-on", "--json"])
            .await
            .ends(0, "\"override\":[\"moved-on\"]");

        operator.run(&["verify-evidence"]).await.ends(0, "4 pieces of evidence, 4 of them intact");
        let evidence = operator.home.join(".local/share/suture/ledger.evidence");
        let named = evidence.to_str().unwrap();
        operator.run(&["verify-evidence", named]).await.ends(0, "the ledger's chain ends with piece 4");
        operator.run(&["verify-evidence", named, "--without-ledger"]).await.ends(0, "was not asked");
        let key = operator.run(&["record", id, "--json"]).await.json()["archived"]["key"].as_str().unwrap().to_owned();
        let piece = evidence.join(key);
        let text = std::fs::read_to_string(&piece).unwrap();
        std::fs::write(&piece, text.replace("undone", "fixed!")).unwrap();
        operator.run(&["verify-evidence"]).await.ends(1, "NOT SOUND");
        std::fs::remove_dir_all(&evidence).unwrap();
        operator.run(&["verify-evidence"]).await.ends(1, "missing");
        operator.run(&["verify-evidence", named]).await.ends(2, "there is no folder");
    });
}

#[tokio::test(flavor = "current_thread")]
async fn without_aws_what_needs_none_works_and_the_rest_says_what_is_missing() {
    let mut operator = Operator::new(None);
    operator.run(&["stop", "--reason=INC-3"]).await.ends(0, "Stopped.");
    operator.run(&["status"]).await.ends(0, "INC-3");
    operator.run(&["mode"]).await.ends(0, "as deployed");
    operator.run(&["exemptions"]).await.ends(0, "Nothing is exempt");
    operator.run(&["history", "clinic-scans"]).await.ends(2, "no AWS region is set");
    operator.run(&["verify-evidence", "s3://suture-evidence"]).await.ends(2, "no AWS region is set");
    operator.run(&["verify-evidence"]).await.ends(0, "0 pieces");
    operator.ledger = Some("suture-LedgerTable".to_owned());
    operator.run(&["status"]).await.ends(2, "no AWS region is set");
    operator.run(&["status", "--ledger", "a/b"]).await.ends(2, "file:PATH");
    let ledger = operator.home.join("not-a-ledger");
    std::fs::write(&ledger, "something else").unwrap();
    let named = format!("--ledger=file:{}", ledger.display());
    assert_eq!(operator.run(&["status", &named]).await.code, Some(2));
}

#[test]
fn a_fix_by_hand_is_planned_asked_for_written_and_recorded() {
    alone(async |lab| {
        let operator = Operator::new(Some(lab));
        let (bucket, other) = (open_bucket(lab, "by-hand").await, open_bucket(lab, "by-hand").await);
        operator.run(&["plan", FUNCTION, &bucket]).await.ends(1, "planned").ends(1, "would be written");
        assert_eq!(settings(lab, &bucket).await, None, "a plan writes nothing");
        // Nobody is asked where nobody can answer, and what would be written is shown all the same.
        operator.run(&["fix", FUNCTION, &bucket]).await.ends(1, "--yes").ends(1, "put-public-access-block");
        assert_eq!(settings(lab, &bucket).await, None);
        operator.run(&["fix", FUNCTION, &bucket, &other, "--yes", "--reason=INC-4"]).await.ends(0, "fixed");
        for bucket in [&bucket, &other] {
            assert_eq!(settings(lab, bucket).await.unwrap(), SETTINGS);
        }
        operator.run(&["plan", FUNCTION, &bucket]).await.ends(0, "compliant");
        let history = operator.run(&["history", &bucket, "--json"]).await.json();
        let fixed = fixed_in(&history);
        assert_eq!((&fixed["reason"], &fixed["asked_by"]), (&json!("INC-4"), &json!(ME)), "{fixed}");
        assert_eq!(fixed["override"], json!(["mode"]), "a person said yes in the place of a mode: {fixed}");
        // The stop holds for a person too, until they name it.
        operator.run(&["stop", "--reason=INC-5"]).await.ends(0, "Stopped.");
        let bucket = open_bucket(lab, "by-hand").await;
        operator.run(&["fix", FUNCTION, &bucket, "--yes"]).await.ends(1, "kill-switch");
        assert_eq!(settings(lab, &bucket).await, None);
        operator.run(&["fix", FUNCTION, &bucket, "--yes", "--override=kill-switch"]).await.ends(0, "fixed");
        operator.run(&["plan", "s3-public-buckets", &bucket]).await.ends(2, "Is it s3-public-bucket?");
        operator.run(&["plan", FUNCTION, "No/Bucket"]).await.ends(2, "is no bucket name");
        operator.run(&["plan", FUNCTION, "nowhere-to-be-found"]).await.ends(2, "there is no nowhere-to-be-found");
    });
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_controls_are_is_said_without_aws() {
    let operator = Operator::new(None);
    operator.run(&["controls"]).await.ends(0, FUNCTION).ends(0, "disruptive");
    let controls = operator.run(&["controls", "--json"]).await.json();
    assert_eq!(controls["controls"].as_array().unwrap().len(), system_tests::folders().len());
    operator.run(&["explain", FUNCTION]).await.ends(0, "## What could break");
    operator.run(&["explain", "nothing-like-it"]).await.ends(2, "suture controls");
    let policy = operator.run(&["permissions", "--scan", "--control", FUNCTION]).await.json();
    assert!(policy.to_string().contains("s3:GetBucketPublicAccessBlock"), "{policy}");
    operator.run(&["permissions"]).await.ends(2, "--scan");
}

#[test]
fn a_scan_finds_what_has_drifted_and_writes_nothing() {
    alone(async |lab| {
        let operator = Operator::new(Some(lab));
        let (open, sound) = (open_bucket(lab, "scan").await, open_bucket(lab, "scan").await);
        quietly(lab, Method::PUT, &format!("/{sound}?publicAccessBlock"), &block(&SETTINGS)).await;
        let written = lab.calls(|call| call.writes).len();
        let scan = ["scan", "--control", FUNCTION];
        operator.run(&scan).await.ends(1, &open).ends(1, "drifted");
        let lines = operator.run(&[&scan[..], &["--json"]].concat()).await;
        assert_eq!(lines.code, Some(1), "{lines:?}");
        let lines: Vec<Value> = lines.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (summary, found) = lines.split_last().unwrap();
        let of = |bucket: &str| found.iter().find(|record| record["resource"]["id"] == bucket);
        assert_eq!(of(&open).unwrap()["outcome"], "planned");
        assert!(of(&sound).is_none(), "what is sound is counted and not listed");
        assert_eq!((&summary["schema"], &summary["whole"]), (&json!("suture.scan/1"), &json!(true)));
        assert_eq!(summary["drifted"].as_u64().unwrap(), u64::try_from(found.len()).unwrap());
        let sarif = operator.run(&[&scan[..], &["--sarif"]].concat()).await.json();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), found.len());
        assert!(results.iter().all(|result| result["ruleId"] == FUNCTION && result["level"] == "error"));
        assert_eq!(lab.calls(|call| call.writes).len(), written, "a scan writes nothing");
        assert!(operator.run(&["history", &open, "--json"]).await.json()["records"].as_array().unwrap().is_empty());

        // What may not be looked at is said, with the action that is missing, and the rest is told.
        let deny = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*",
            "Action": "s3:GetBucketPublicAccessBlock", "Resource": format!("arn:aws:s3:::{sound}")}]});
        quietly(lab, Method::PUT, &format!("/{sound}?policy"), &deny.to_string()).await;
        let partly = operator.run(&[&scan[..], &["--json"]].concat()).await;
        assert!(
            partly.out.contains("s3:GetBucketPublicAccessBlock on bucket") && partly.out.contains(&open),
            "{partly:?}"
        );
        let summary: Value = serde_json::from_str(partly.out.lines().last().unwrap()).unwrap();
        assert_eq!(summary["whole"], false);
        operator.run(&["scan", "--control", "iam-exposed-access-key"]).await.ends(2, "suture plan");
        operator.run(&["scan", "--role", "auditor"]).await.ends(2, "in which account?");
        operator
            .run(&["scan", "--control", FUNCTION, "--settings", "{}", "--region", "nowhere"])
            .await
            .ends(2, "nowhere");
    });
}
