//! The report of a deployment in which things happened: its figures are what happened, whatever it is made from, and it says
//! what is not sound and what could not be read.

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
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use system_tests::ledger::{ALICE, evidence_bucket, opened, settled, table};
use system_tests::s3::{FUNCTION, open_bucket, quietly, website};
use system_tests::{HOME, PATIENCE, alone, faults, fresh, invoke, last_record, suture};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::process::Command;
use tokio::time::timeout;

/// Who the lab's STS says that the test's credentials are.
const ME: &str = "arn:aws:iam::111122223333:user/operator";
/// How long before its event Alice's call was made, in seconds.
const BEFORE: f64 = 40.0;

/// Somebody at a terminal.
struct Operator {
    suture: &'static Path,
    home: PathBuf,
    aws: Vec<(&'static str, String)>,
}

impl Operator {
    async fn of(lab: &Lab) -> Self {
        let home = std::env::temp_dir().join(fresh("suture-report"));
        std::fs::create_dir_all(&home).unwrap();
        let aws = vec![
            ("AWS_ENDPOINT_URL", lab.endpoint()),
            ("AWS_REGION", HOME.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("SUTURE_LEDGER", table(lab)),
            ("SUTURE_EVIDENCE", format!("s3://{}", evidence_bucket(lab))),
        ];
        Self { suture: suture().await, home, aws }
    }

    async fn run(&self, arguments: &[&str], aws: bool) -> (i32, String, String) {
        let mut command = Command::new(self.suture);
        command.args(arguments).env_clear().env("HOME", &self.home).current_dir(&self.home).stdin(Stdio::null());
        command.env("AWS_EC2_METADATA_DISABLED", "true").kill_on_drop(true);
        if aws {
            command.envs(self.aws.iter().map(|(name, value)| (name, value)));
        }
        let Output { status, stdout, stderr } = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    /// A report in JSON; it ends so.
    async fn report(&self, code: i32, more: &[&str], aws: bool) -> Value {
        let said = self.run(&[&["report", "--from=1h", "--json"][..], more].concat(), aws).await;
        assert_eq!(said.0, code, "{said:?}");
        serde_json::from_str(&said.1).unwrap_or_else(|_| panic!("no JSON: {said:?}"))
    }

    async fn done(&self, arguments: &[&str]) {
        let said = self.run(arguments, true).await;
        assert_eq!(said.0, 0, "{arguments:?}: {said:?}");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// What a control made of Alice's call, which was some seconds ago.
async fn event(lab: &Lab, bucket: &str, number: usize) -> Value {
    let mut event = opened(bucket, number);
    let called = OffsetDateTime::now_utc() - time::Duration::seconds_f64(BEFORE);
    let called = called.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap();
    event["time"] = called.as_str().into();
    event["detail"]["eventTime"] = called.into();
    last_record(&invoke(lab, FUNCTION, &event).await)
}

/// The buckets of what happened.
struct Happened {
    fixed: String,
    refused: String,
    exempt: String,
    undone: String,
    approved: String,
}

async fn things_happen(lab: &Lab, operator: &Operator) -> Happened {
    let happened = Happened {
        fixed: open_bucket(lab, "fixed").await,
        refused: website(lab).await,
        exempt: open_bucket(lab, "exempt").await,
        undone: open_bucket(lab, "undone").await,
        approved: open_bucket(lab, "approved").await,
    };
    assert_eq!(event(lab, &happened.fixed, 1).await["outcome"], "fixed");
    assert_eq!(event(lab, &happened.refused, 2).await["refused_by"], "public-website");
    let exempt = format!("--resource={}", happened.exempt);
    let who = ["--owner=web@clinic.example", "--reason==1+1", "--until=30d"];
    operator.done(&[&["exempt", "--control", FUNCTION, &exempt][..], &who].concat()).await;
    assert_eq!(event(lab, &happened.exempt, 3).await["outcome"], "exempt");
    let fixed = event(lab, &happened.undone, 4).await;
    let id = fixed["id"].as_str().unwrap().to_owned();
    operator.done(&["undo", &id, "--leave-alone=3d", "--reason=INC-2", "--yes"]).await;
    operator.done(&["mode", FUNCTION, "approve"]).await;
    let asked = event(lab, &happened.approved, 5).await;
    operator.done(&["approve", asked["approval"]["id"].as_str().unwrap(), "--yes"]).await;
    settled(lab).await;
    happened
}

/// The episodes of a resource, the earliest first.
fn of<'a>(report: &'a Value, resource: &str) -> Vec<&'a Value> {
    let its = report["episodes"].as_array().unwrap().iter().filter(|each| each["resource"]["id"] == resource);
    its.rev().collect()
}

fn ends(report: &Value, resource: &str) -> Vec<String> {
    of(report, resource).iter().map(|each| each["end"].as_str().unwrap().to_owned()).collect()
}

/// Downloads the evidence.
async fn download(lab: &Lab, folder: &Path) -> Vec<String> {
    let bucket = evidence_bucket(lab);
    let listed = quietly(lab, Method::GET, &format!("/{bucket}?list-type=2&prefix=records/"), "").await;
    let keys = listed.texts("Key");
    for key in &keys {
        let path = folder.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, quietly(lab, Method::GET, &format!("/{bucket}/{key}"), "").await.body).unwrap();
    }
    keys
}

#[test]
fn a_report_says_what_happened_and_whether_it_can_be_believed() {
    alone(async |lab| {
        let operator = Operator::of(lab).await;
        let happened = things_happen(lab, &operator).await;
        let report = operator.report(0, &[], true).await;
        println!("{}", serde_json::to_string_pretty(&report["summary"]).unwrap());
        assert_eq!(report["gaps"], json!([]));

        // Each story, as it went.
        assert_eq!(ends(&report, &happened.fixed), ["fixed"]);
        let fixed = of(&report, &happened.fixed)[0];
        assert_eq!((&fixed["cause"]["actor"], &fixed["cause_known"]), (&json!(ALICE), &json!(true)));
        let seconds = fixed["seconds_open"].as_f64().unwrap();
        assert!((BEFORE..BEFORE + 30.0).contains(&seconds), "{seconds}");
        let refused = of(&report, &happened.refused)[0];
        assert_eq!((&refused["end"], &refused["refused_by"]), (&json!("refused"), &json!("public-website")));
        let exempt = of(&report, &happened.exempt)[0];
        assert_eq!((&exempt["end"], &exempt["ended"]), (&json!("exempt"), &Value::Null));
        assert_eq!(exempt["exemption"], report["exemptions"][1]["id"], "the undo's ends sooner");
        assert_eq!(report["exemptions"][1]["episodes"], 1);
        assert_eq!(ends(&report, &happened.undone), ["fixed", "taken-back"]);
        let back = of(&report, &happened.undone)[1];
        assert_eq!((&back["person"], &back["exemption"]), (&json!(ME), &report["exemptions"][0]["id"]));
        let approved = of(&report, &happened.approved)[0];
        assert_eq!((&approved["end"], &approved["person"]), (&json!("fixed"), &json!(ME)));
        assert_eq!(approved["records"].as_array().unwrap().len(), 2);

        // And all of them together.
        let summary = &report["summary"];
        for (figure, expected) in [
            ("episodes", 6),
            ("began", 6),
            ("open", 3),
            ("open_unanswered", 1),
            ("unseen", 0),
            ("timed", 3),
            ("records", 7),
            ("writes", 4),
        ] {
            assert_eq!(summary[figure], expected, "{figure}: {summary}");
        }
        assert_eq!((&summary["ends"]["fixed"], &summary["outcomes"]["undone"]), (&json!(3), &json!(1)));
        assert_eq!(summary["outcomes"].as_object().unwrap().len(), 12);
        let last = report["exposure"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["open"], &last["answered"]), (&json!(1), &json!(2)));
        let control = report["controls"].as_array().unwrap().iter().find(|each| each["id"] == FUNCTION).unwrap();
        assert_eq!(control["episodes"], 6);
        assert_eq!(
            report["actors"][0],
            json!({"actor": ALICE, "agents": report["actors"][0]["agents"],
            "calls": ["DeleteBucketPublicAccessBlock"], "episodes": 5})
        );
        assert_eq!(report["actors"][1]["actor"], ME, "{}", report["actors"]);
        assert_eq!(report["posture"]["modes"], json!({FUNCTION: "approve"}));
        let integrity = &report["integrity"];
        assert_eq!(
            (&integrity["verdict"], &integrity["pieces"], &integrity["intact"]),
            (&json!("sound"), &json!(7), &json!(7))
        );
        assert_eq!((&integrity["without_evidence"], &integrity["differ"]), (&json!(0), &json!([])));
        assert!(report["records"].as_array().unwrap().iter().all(|entry| entry["evidence"]["hash"].is_string()));

        the_files(&operator, &happened).await;
        from_the_evidence_alone(lab, &operator, &report).await;
        what_could_not_be_read(lab, &operator, &report).await;
        tampered_with(lab, &operator, &report).await;
    });
}

/// Files beside each other, for their owner alone, and never written over unasked.
async fn the_files(operator: &Operator, happened: &Happened) {
    let said = operator.run(&["report", "--from=1h", "--out=r.html"], true).await;
    assert_eq!(said.0, 0, "{said:?}");
    assert!(
        said.1.contains("6 (6 new): 3 fixed, 3 open, 1 of them with nobody") && said.1.contains("sound, 7 pieces"),
        "{said:?}"
    );
    let read = |name: &str| std::fs::read_to_string(operator.home.join(name)).unwrap();
    for name in ["r.html", "r.csv", "r-records.csv", "r.json"] {
        let mode = std::fs::metadata(operator.home.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(read(name).contains(&happened.refused) && said.1.contains(name), "{name}");
    }
    assert_eq!((read("r.csv").lines().count(), read("r-records.csv").lines().count()), (7, 8));
    // The reason is somebody's own words, and no formula.
    assert!(read("r-records.csv").contains("=1+1") && !read("r-records.csv").contains(",=1+1"));
    let again = operator.run(&["report", "--from=1h", "--out=r.html"], true).await;
    assert!(again.0 == 2 && again.2.contains("r.html is there already") && again.2.contains("--force"), "{again:?}");
    operator.done(&["report", "--from=1h", "--out=r.html", "--force", "--format=html"]).await;
    let printed = operator.run(&["report", "--from=1h", "--out=-", "--format=csv"], true).await;
    assert!(printed.0 == 0 && printed.1.lines().count() == 7 && printed.1.starts_with("number,"), "{printed:?}");
    for (arguments, says) in [
        (&["--from=tomorrow"][..], "is no time"),
        (&["--from=1h", "--to=2h"], "turn them round"),
        (&["--account=1"], "account"),
        (&["--look-back=500d"], "400d"),
        (&["--evidence=./nowhere"], "there is no folder"),
        (&["--out=nowhere/r.html"], "its folder does not exist"),
    ] {
        let wrong = operator.run(&[&["report"][..], arguments].concat(), true).await;
        assert!(wrong.0 == 2 && wrong.2.contains(says), "{arguments:?}: {wrong:?}");
    }
    // Whoever does not say that they want none is told that there is none.
    let alone = operator.report(0, &["--without-evidence"], true).await;
    assert_eq!((&alone["integrity"]["verdict"], &alone["sources"]["evidence"]), (&json!("not-checked"), &Value::Null));
    assert_eq!(alone["summary"]["episodes"], 6);
}

/// A folder, and no AWS.
async fn from_the_evidence_alone(lab: &Lab, operator: &Operator, whole: &Value) {
    let folder = operator.home.join("downloaded");
    let keys = download(lab, &folder).await;
    assert_eq!(keys.len(), 7);
    let report = operator.report(0, &["--evidence=downloaded", "--without-ledger"], false).await;
    assert_eq!(report["records"], whole["records"]);
    assert_eq!(
        (&report["summary"]["ends"], &report["summary"]["timed"]),
        (&whole["summary"]["ends"], &whole["summary"]["timed"])
    );
    assert_eq!(report["integrity"]["verdict"], "sound");
    std::fs::remove_file(folder.join(&keys[2])).unwrap();
    let report = operator.report(1, &["--evidence=downloaded", "--without-ledger"], false).await;
    assert_eq!((&report["integrity"]["verdict"], &report["summary"]["records"]), (&json!("not-sound"), &json!(6)));
}

/// Whoever may not read the ledger gets what the evidence has, and is told.
async fn what_could_not_be_read(lab: &Lab, operator: &Operator, whole: &Value) {
    faults(lab, &["dynamodb:Query=denied"]);
    let report = operator.report(3, &[], true).await;
    faults(lab, &[]);
    assert_eq!(report["records"], whole["records"]);
    assert!(report["gaps"].to_string().contains("dynamodb:Query"), "{}", report["gaps"]);
}

/// Somebody writes over a piece, and another one's record in the ledger.
async fn tampered_with(lab: &Lab, operator: &Operator, whole: &Value) {
    let entry =
        whole["records"].as_array().unwrap().iter().find(|entry| entry["record"]["outcome"] == "refused").unwrap();
    let key = entry["evidence"]["key"].as_str().unwrap();
    let edited = ApiRequest::new(Method::PUT, format!("/{}/{key}", evidence_bucket(lab)))
        .header("content-md5", "mZFLkyvTelC5g8XnyQrpOw==")
        .body("{}");
    assert_eq!(lab.quiet_client(HOME).send("s3", edited).await.unwrap().status, 200);
    let report = operator.report(1, &[], true).await;
    let integrity = &report["integrity"];
    assert_eq!((&integrity["verdict"], &integrity["intact"]), (&json!("not-sound"), &json!(6)), "{integrity}");
    assert!(integrity["lines"].to_string().contains(key), "{integrity}");
    assert_eq!(report["summary"], whole["summary"], "the intact version is read");
    let page = operator.run(&["report", "--from=1h", "--out=bad.html"], true).await;
    assert!(page.0 == 1 && page.1.contains("NOT SOUND") && operator.home.join("bad.html").exists(), "{page:?}");
}
