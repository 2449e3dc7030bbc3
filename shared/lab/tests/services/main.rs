//! The services beside S3's buckets against a real moto, through the gateway: what the lab answers is what AWS documents.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers may fail as tests do"
)]

mod account;
mod ec2;
mod iam;
mod interfaces;
mod kms;
mod records;
mod s3;

use lab::gateway::Happening;
use lab::http::ApiResponse;
use lab::python::home;
use lab::{Client, Lab, Options};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// One runtime for all tests, since what a lab has started ends with the runtime that it was started in.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
static LAB: OnceCell<Lab> = OnceCell::const_new();

/// Runs a test with the lab that all of them share: each has an account of its own.
fn shared(test: impl AsyncFnOnce(&Lab)) {
    RUNTIME.block_on(async { test(LAB.get_or_init(lab).await).await });
}

async fn lab() -> Lab {
    let options = Options {
        home: home(),
        port: 0,
        template: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml"),
        programs: BTreeMap::new(),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    let lab = Lab::start(options, &|_| {}).await.unwrap();
    lab.forget_log();
    lab
}

/// Somebody of an account of this test's own; a key of twelve digits is a user of the account with that id.
fn of(lab: &Lab, account: &str) -> Client {
    lab.client(account, "us-east-1")
}

fn text(answer: &ApiResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// The one text of this element in an answer.
fn one(answer: &ApiResponse, element: &str) -> String {
    let texts = answer.texts(element);
    assert_eq!(texts.len(), 1, "{element} in {}", text(answer));
    texts[0].clone()
}

fn assert_error(answer: &ApiResponse, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", text(answer));
    let said = text(answer);
    let xml = said.contains(&format!("<Code>{code}</Code>"));
    assert!(xml || said.contains(&format!("\"{code}\"")), "{said}");
}

/// Waits for an event of this name about this resource.
async fn event(happenings: &mut Receiver<Happening>, wanted: &str, about: &str) {
    let seen = async {
        loop {
            if let Happening::Event { name, resource, .. } = happenings.recv().await.unwrap()
                && name == wanted
                && resource.as_deref() == Some(about)
            {
                return;
            }
        }
    };
    timeout(PATIENCE, seen).await.expect("an event");
}

/// The answer's JSON.
fn parsed(answer: &ApiResponse) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}
