//! docs/tour.md, gone through line by line: the real command against the real lab, as a reader types it.
//!
//! The AWS CLI is played by the boto3 that the lab has anyway: the same operations and parameters, by the same models.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use system_tests::{PATIENCE, folders, fresh, own_folders, workspace};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// What a line is to end with, and some of what it is to say.
type Expected = (&'static str, i32, &'static [&'static str]);

/// Every line of the page that is typed in the second terminal, in order: how it begins, how it ends, what it says.
///
/// Where nobody answers, what asks refuses; it is typed a second time then, with `--yes`.
const LINES: &[Expected] = &[
    ("suture scan ", 1, &["clinic-intake", "clinic-website", "iam-stale-access-key", "clinic-open-data"]),
    ("suture scan --all-regions", 1, &[]),
    ("suture status", 0, &["clinic-open-data", "research@clinic.example"]),
    ("suture controls", 0, &["s3-public-bucket", "suture-tampering"]),
    ("suture explain s3-public-bucket", 0, &["## What could break"]),
    ("suture plan s3-public-bucket clinic-intake", 1, &["put-public-access-block", "would break"]),
    ("suture plan s3-public-bucket clinic-website", 1, &["public-website"]),
    ("suture plan ec2-open-security-group", 1, &["revoke"]),
    ("suture permissions --fix", 0, &["s3:PutBucketPublicAccessBlock"]),
    ("suture fix s3-public-bucket clinic-intake", 0, &["fixed"]),
    ("suture fix s3-public-bucket clinic-website", 1, &["refused", "public-website"]),
    ("suture fix ec2-open-security-group", 0, &["fixed"]),
    ("suture history sg-", 0, &["fixed"]),
    ("suture record ", 0, &["TOUR-3", "45 CFR"]),
    ("suture undo ", 0, &["undone", "left alone"]),
    ("suture mode s3-public-bucket enforce", 0, &["enforce"]),
    ("AWS_ACCESS_KEY_ID=AKIALABALICE00000001 aws s3api delete-public-access-block --bucket clinic-scans", 0, &[]),
    ("suture history clinic-scans", 0, &["fixed"]),
    ("curl -X POST", 0, &[]),
    ("suture scan --control s3-public-bucket", 1, &["clinic-website"]),
    ("suture mode s3-public-bucket approve", 0, &["approve"]),
    ("AWS_ACCESS_KEY_ID=AKIALABALICE00000001 aws s3api delete-public-access-block --bucket clinic-billing", 0, &[]),
    ("suture status", 0, &["clinic-billing"]),
    ("suture approve ", 0, &["fixed"]),
    ("suture exempt ", 0, &["clinic-website"]),
    ("suture exemptions", 0, &["clinic-website", "clinic-open-data"]),
    ("suture scan --control s3-public-bucket", 0, &["clinic-website"]),
    ("suture stop ", 0, &["Stopped"]),
    ("suture fix iam-stale-access-key ct-scanner", 1, &["kill-switch"]),
    ("suture resume", 0, &["Resumed"]),
    ("suture fix iam-stale-access-key ct-scanner", 0, &["fixed"]),
    ("suture explain-event", 0, &["s3-public-bucket"]),
    ("suture invoke suture-s3-public-bucket", 0, &["compliant"]),
    ("curl -d", 0, &[]),
    ("suture fix s3-weak-encryption clinic-billing", 0, &["fixed"]),
    ("curl -X DELETE", 0, &[]),
    ("suture verify-evidence", 0, &["sound"]),
    ("suture report --from 1d --out tour.html", 0, &["tour.html"]),
];

/// The AWS CLI, as far as the page has it: `aws SERVICE OPERATION --parameter value`.
const AWS: &str = r#"
import sys, boto3
from botocore import xform_name
service, operation, *rest = sys.argv[1:]
client = boto3.client({"s3api": "s3"}.get(service, service))
names = {xform_name(name, "-"): name for name in
         client.meta.service_model.operation_model("".join(word.title() for word in operation.split("-"))).input_shape.members}
values = dict(zip((names[flag.removeprefix("--")] for flag in rest[::2]), rest[1::2]))
getattr(client, operation.replace("-", "_"))(**values)
"#;

/// The lines of the page's shell blocks but those of the first terminal, whole, without what is said of them.
fn lines() -> Vec<String> {
    let page = std::fs::read_to_string(workspace().join("docs/tour.md")).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().replace("\\\n", " "));
    let lines = blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    let lines: Vec<String> = lines.map(|line| line.split("  # ").next().unwrap().trim().to_owned()).collect();
    let first: Vec<&str> = lines[..3].iter().map(String::as_str).collect();
    assert_eq!(
        first,
        ["cargo install --path shared/cli --locked", "suture lab --mode plan", "eval \"$(suture lab --env)\""]
    );
    lines[3..].to_vec()
}

/// Somebody in the second terminal.
struct Reader {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    port: String,
    lab: Child,
}

impl Reader {
    async fn new() -> Self {
        let built = lab::programs::build(&workspace(), &every_package(), false).await.unwrap();
        let suture = built["suture"].path.clone();
        let folder = std::env::temp_dir().join(fresh("suture-tour"));
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        symlink(&suture, folder.join("bin/suture")).unwrap();
        // What makes it a checkout.
        for name in ["events", "functions", "template.yaml"] {
            symlink(workspace().join(name), folder.join(name)).unwrap();
        }
        let python = lab::python::environment(&lab::python::home(), &|_| {}).await.unwrap();
        std::fs::write(folder.join("aws.py"), AWS).unwrap();
        let script =
            format!("#!/bin/sh\nexec {} {} \"$@\"\n", python.interpreter().display(), folder.join("aws.py").display());
        executable(&folder.join("bin/aws"), &script);
        let mut lab = Command::new(&suture)
            .args(["lab", "--mode", "plan", "--port", "0", "--json"])
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(lab.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE * 5, said.next_line()).await.unwrap().unwrap().unwrap();
        // It would stop at a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        let first: Value = serde_json::from_str(&first).unwrap();
        let port = first["lab"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let mut reader = Self { folder, environment: Vec::new(), port, lab };
        let exported = reader.types(&format!("suture lab --env --port {}", reader.port)).await;
        let exported = String::from_utf8(exported.stdout).unwrap();
        let pair = |line: &str| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        reader.environment = exported.lines().filter_map(pair).collect();
        assert!(reader.environment.len() > 5, "{exported}");
        reader
    }

    /// Types a line, with nobody there to answer a question.
    async fn types(&self, line: &str) -> Output {
        let path = format!("{}:{}", self.folder.join("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.args(["-c", line]).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true).env_clear();
        bash.env("PATH", path).env("HOME", &self.folder).envs(self.environment.iter().map(|(n, v)| (n, v)));
        timeout(PATIENCE, bash.output()).await.unwrap().unwrap()
    }

    async fn json(&self, line: &str) -> Value {
        let output = self.types(line).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}: {output:?}"))
    }

    /// The line with what the reader reads off the lines before it in the place of what stands for it.
    async fn filled(&self, line: &str) -> String {
        let mut line = line.replace("127.0.0.1:4566", &format!("127.0.0.1:{}", self.port));
        let has = |line: &str, word: &str| line.split(' ').any(|part| part == word);
        if has(&line, "GROUP") {
            let scan = self.types("suture scan --control ec2-open-security-group").await;
            let scan = String::from_utf8(scan.stdout).unwrap();
            let known = std::fs::read_to_string(self.folder.join("group")).ok();
            let found = || scan.split_whitespace().find(|word| word.starts_with("sg-")).map(str::to_owned);
            let group = known.or_else(found).unwrap_or_else(|| panic!("no group has drifted: {scan}"));
            std::fs::write(self.folder.join("group"), &group).unwrap();
            line = line.replace("GROUP", &group);
        }
        if has(&line, "RECORD") {
            let group = std::fs::read_to_string(self.folder.join("group")).unwrap();
            let history = self.json(&format!("suture history {group} --json")).await;
            let records = history["records"].as_array().unwrap();
            let fixed = records.iter().find(|record| record["outcome"] == "fixed").unwrap();
            line = line.replace("RECORD", fixed["id"].as_str().unwrap());
        }
        if has(&line, "PLAN") {
            let status = self.json("suture status --json").await;
            line = line.replace("PLAN", status["approvals"][0]["id"].as_str().unwrap());
        }
        line
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.lab.start_kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn executable(path: &Path, script: &str) {
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn every_package() -> Vec<String> {
    [folders(), own_folders(), vec!["suture".to_owned()]].concat()
}

/// What a line came to, once what it leads to has happened: an event is heard of a moment later.
async fn until(reader: &Reader, line: &str, code: i32, says: &[&str]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = reader.types(line).await;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // What asks has nobody to ask.
        if output.status.code() == Some(1) && said.contains("add --yes") {
            return Box::pin(self::until(reader, &format!("{line} --yes"), code, says)).await;
        }
        if output.status.code() == Some(code) && says.iter().all(|text| said.contains(text)) {
            return;
        }
        let looks = ["history", "status", "scan", "verify-evidence"]
            .iter()
            .any(|verb| line.contains(&format!("suture {verb}")));
        assert!(
            looks && Instant::now() < until,
            "{line}\nended with {:?}, not {code}, or does not say {says:?}:\n{said}",
            output.status.code()
        );
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn every_line_of_the_tour_does_what_it_says() {
    let lines = lines();
    let begins: Vec<&str> = LINES.iter().map(|(begins, ..)| *begins).collect();
    assert_eq!(lines.len(), LINES.len(), "the page has other lines than this test:\n{lines:#?}\n{begins:#?}");
    let reader = Reader::new().await;
    for (line, (begins, code, says)) in lines.iter().zip(LINES) {
        let line = reader.filled(line).await;
        assert!(format!("{line} ").starts_with(begins), "{line}: the test expects {begins}");
        println!("{line}");
        until(&reader, &line, *code, says).await;
    }
    let page = std::fs::read_to_string(reader.folder.join("tour.html")).unwrap();
    assert!(page.contains("clinic-intake") && page.contains("TOUR-5"));
    let drift = std::fs::read_to_string(reader.folder.join("drift.jsonl")).unwrap();
    assert!(drift.contains("eu-west-1") && drift.contains("clinic-archive"), "{drift}");
}
