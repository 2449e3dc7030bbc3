//! Who plays in the demo, and where.

use super::step::Step;
use crate::account::{ALICE, BOB, Desk, HOME_REGION, PIPELINE};
use ::lab::gateway::Happening;
use ::lab::runtime::Report;
use ::lab::{Client, Lab};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long something may take that the story waits for. It never waits longer than it has to.
const PATIENCE: Duration = Duration::from_secs(40);

/// What plays have in common.
pub struct Stage<'a> {
    /// The local AWS.
    pub lab: &'a Lab,
    /// Whoever looks after the account, at a terminal.
    pub desk: Desk,
    /// A careless user.
    pub alice: Client,
    /// A helpful one.
    pub bob: Client,
    /// A pipeline that puts back what it has in its repository.
    pub pipeline: Client,
    /// Calls that nobody sees: how it is looked at independently.
    pub quiet: Client,
    /// Where the report goes.
    pub report: PathBuf,
    /// The id of the record of the first fix.
    pub fixed: String,
    /// The id of the record of what was approved.
    pub approved: String,
}

impl<'a> Stage<'a> {
    /// In this lab.
    ///
    /// # Errors
    /// There is no terminal to type at.
    pub fn new(lab: &'a Lab, report: PathBuf) -> Result<Self, String> {
        let client = |key: &str| lab.client(key, HOME_REGION);
        Ok(Self {
            lab,
            desk: Desk::of(lab)?,
            alice: client(ALICE),
            bob: client(BOB),
            pipeline: client(PIPELINE),
            quiet: lab.quiet_client(HOME_REGION),
            report,
            fixed: String::new(),
            approved: String::new(),
        })
    }

    /// Waits until whatever was done has come to its end: functions, the ledger's stream, the messages.
    pub async fn settled(&self) -> Result<(), String> {
        self.lab.settled(PATIENCE).await
    }

    /// Does something, and waits for the invocation that its event leads to; how long after the call that was over. What
    /// was done before has come to its end, so that it is not taken for this.
    pub async fn event_of<T>(
        &self,
        function: &str,
        doing: impl Future<Output = Result<T, String>>,
    ) -> Result<(Report, Duration), String> {
        self.settled().await?;
        let mut happenings = self.lab.listen();
        doing.await?;
        let done = Instant::now();
        let seen = async {
            loop {
                match happenings.recv().await {
                    Ok(Happening::Invocation(report)) if report.function == function => return Ok(*report),
                    Ok(_) => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
        };
        let late = |_| format!("no event reached the function {function} within {} seconds", PATIENCE.as_secs());
        let report = timeout(PATIENCE, seen).await.map_err(late)??;
        Ok((report, done.elapsed()))
    }

    /// Somebody takes the public access block off a bucket: the function's answer, as a step tells it.
    pub async fn opens(&self, who: &Client, bucket: &str, step: &mut Step) -> Result<(), String> {
        let target = format!("/{bucket}?publicAccessBlock");
        let doing = who.must(Method::DELETE, &target, Bytes::new());
        step.did_after(self.event_of(super::story::FUNCTION, doing).await?);
        Ok(())
    }

    /// How many of the four settings of a bucket's block are on, read past the function; none if it has no block.
    pub async fn block(&self, bucket: &str) -> Result<Option<usize>, String> {
        let answer = self.quiet.s3(Method::GET, &format!("/{bucket}?publicAccessBlock"), Bytes::new()).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(String::from_utf8_lossy(&answer.body).matches(">true<").count())),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(format!("the block of {bucket} could not be read: {status}")),
        }
    }

    /// The id of the one plan that waits for approval, as `suture status` has it.
    pub async fn waiting(&self) -> Result<String, String> {
        let status = self.desk.type_in(&["status", "--json"]).await?;
        let status: Value = serde_json::from_str(&status.said).unwrap_or_default();
        let id = status.pointer("/approvals/0/id").and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| "no plan waits for approval".to_owned())
    }
}
