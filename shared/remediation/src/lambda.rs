//! The Lambda entry: one function serves one control.
//!
//! A panic ends the process (the release profile says `abort`): what a panicked control would do next is not to be
//! trusted with writes. Lambda then starts a new sandbox and delivers the event again, and the plan is made afresh from
//! the live state.

use crate::accounts::Clouds;
use crate::control::{Cloud, Control};
use crate::driver::{self, Run, Spent};
use crate::event::{self, LARGEST_EVENT, Own, Reply, Request, Resource, Trigger, Unread, Work};
use crate::fault::Fault;
use crate::gate;
use crate::log::EVIDENCE;
use crate::metrics;
use crate::record::{Outcome, Record};
use crate::replies::{self, Replies, Verdict};
use crate::settings::Settings;
use crate::sweep::Swept;
use aws_config::SdkConfig;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use ledger::Approval;
use recall::{Missing, Recalled};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use tokio::time::Instant;
use triggers::ids::shown;
use triggers::{Act, Notice, Reading, Rejected};

mod process;
mod recall;
mod sweeps;

pub use lambda_runtime::Error;
pub use process::{Here, Tools, sdk_config, sdk_loader, variable};
pub use sweeps::{Look, look};

use sweeps::{all, everywhere};

/// How many records of a sweep an answer holds; the log has them all. Lambda's answers end at 6 MB.
const RECORDS: usize = 100;
/// What is kept back of the invocation's time to write the record and answer.
const RESERVE: Duration = Duration::from_millis(750);

/// Serves control `C` until Lambda ends the process. `connect` makes the control's cloud half from an account's SDK
/// configuration and the control's parameters; it runs once for each account that is worked in.
///
/// With the argument `--about` the program prints the control's facts ([`crate::About`]) as JSON instead, and ends.
pub async fn serve<C: Control, K: Cloud<C>>(connect: impl Fn(&SdkConfig, C::Parameters) -> K) -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("--about") {
        return about::<C>();
    }
    crate::log::start(variable);
    // A deployment that cannot be understood must not run on defaults.
    let parameters = raw_parameters(variable("SUTURE_PARAMETERS"))?;
    let read = parameters_of::<C>(parameters.as_ref())?;
    Settings::read(variable, None, None)?;
    let tools = Tools::connect(variable).await?;
    let cloud = Clouds::new(&tools.accounts, |sdk: &SdkConfig| connect(sdk, read.clone()));
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Payload>| {
        let here = Here::read(variable, &event.context.invoked_function_arn).map_err(Retry)?;
        let invocation = Invocation {
            cloud: &cloud,
            tools: &tools,
            parameters: parameters.as_ref(),
            settings: &here.settings,
            own: here.own(),
            request_id: &event.context.request_id,
            deadline: deadline(event.context.deadline()),
            spent: Spent::default(),
            metrics: true,
        };
        answer::<C, _>(&invocation, event.payload).await
    }))
    .await
}

/// Carries out one request with a control that the caller has picked, as the control's own function would: what the undo
/// function and the command line do. `parameters` are the control's, as JSON; `deadline` is when to have finished.
///
/// # Errors
/// What a retry may mend, or parameters that are none.
pub async fn carry_out<C: Control, K: Cloud<C>>(
    connect: impl Fn(&SdkConfig, C::Parameters) -> K,
    parameters: Option<Value>,
    tools: &Tools,
    here: &Here,
    request_id: &str,
    deadline: Instant,
    request: &Value,
) -> Result<Response, Retry> {
    let read = parameters_of::<C>(parameters.as_ref()).map_err(Retry)?;
    let cloud = Clouds::new(&tools.accounts, |sdk: &SdkConfig| connect(sdk, read.clone()));
    let invocation = Invocation {
        cloud: &cloud,
        tools,
        parameters: parameters.as_ref(),
        settings: &here.settings,
        own: here.own(),
        request_id,
        deadline,
        spent: Spent::default(),
        metrics: false,
    };
    Box::pin(respond::<C, _>(&invocation, triggers::read(request))).await
}

/// What `--about` prints: the control's facts as JSON, so that the template, the docs and the tables can be held against
/// the very binary that is deployed.
fn about<C: Control>() -> Result<(), Error> {
    let mut json = serde_json::to_vec(&C::ABOUT)?;
    json.push(b'\n');
    Ok(std::io::stdout().lock().write_all(&json)?)
}

fn raw_parameters(json: Option<String>) -> Result<Option<Value>, String> {
    let json = json.filter(|json| !json.trim().is_empty());
    json.map(|json| serde_json::from_str(&json).map_err(|error| format!("SUTURE_PARAMETERS: {error}"))).transpose()
}

fn parameters_of<C: Control>(json: Option<&Value>) -> Result<C::Parameters, String> {
    json.map_or_else(
        || Ok(C::Parameters::default()),
        |json| C::Parameters::deserialize(json).map_err(|error| format!("SUTURE_PARAMETERS: {error}")),
    )
}

/// What an invocation answers: to a queue, which messages to deliver again; to everybody else, what was found and done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// To Lambda, for messages of a queue.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
    Batch(SqsBatchResponse),
    /// To whoever invoked the function.
    Answer(Box<Answer>),
}

/// What was found and done.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The control.
    pub control: &'static str,
    /// One record for each resource; of a sweep, those that were not compliant, up to a bound.
    pub records: Vec<Record>,
    /// What sweeps came to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sweeps: Vec<Swept>,
    /// Plans that a person decided on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decided: Vec<Approval>,
    /// What of the event became no request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// Answers that could not be given to AWS Config or Security Hub.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<String>,
}

/// An invocation's error: only ever for what a retry may mend.
#[derive(Debug)]
pub struct Retry(String);

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Retry> for Diagnostic {
    fn from(retry: Retry) -> Self {
        Self { error_type: "Suture.Retry".to_owned(), error_message: retry.0 }
    }
}

/// An event as it came: JSON of a bearable size, or why it is not. Reading it never fails, since a failure here would
/// make Lambda deliver again what will never be JSON.
struct Payload(Result<Box<RawValue>, String>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer).map_err(|error| error.to_string())))
    }
}

impl Payload {
    fn read(self) -> Result<Value, String> {
        let json = self.0.map_err(|error| format!("the event is not JSON: {error}"))?;
        if json.get().len() > LARGEST_EVENT {
            return Err(format!("the event has {} bytes, and Lambda's limit is {LARGEST_EVENT}", json.get().len()));
        }
        serde_json::from_str(json.get()).map_err(|error| format!("the event is not JSON: {error}"))
    }
}

/// What an invocation works with.
struct Invocation<'a, K> {
    cloud: &'a K,
    tools: &'a Tools,
    parameters: Option<&'a Value>,
    settings: &'a Settings,
    own: Own<'a>,
    request_id: &'a str,
    deadline: Instant,
    spent: Spent,
    /// Whether standard output is a log that CloudWatch reads metrics from.
    metrics: bool,
}

impl<K> Invocation<'_, K> {
    /// Who waits for answers where a notice is from: in a member account's own AWS Config and Security Hub, if it is one that
    /// we work in, and in the notice's region.
    async fn replies(&self, notice: &Notice) -> Result<Rc<Replies>, Fault> {
        let account = notice.account.as_ref().or(self.own.account);
        let region = notice.region.as_ref().or(self.own.region);
        match (account, region) {
            (Some(account), Some(region)) if self.settings.accounts.contains(account) => {
                // Boxed, as all that is rare and large is.
                Box::pin(self.tools.accounts.replies(account, region)).await
            }
            _ => Ok(Rc::clone(&self.tools.replies)),
        }
    }

    /// Writes a line of metrics, bare as CloudWatch wants it.
    fn measure(&self, line: impl FnOnce(OffsetDateTime) -> String) {
        if self.metrics {
            let line = line(OffsetDateTime::now_utc()) + "\n";
            // Nobody is left to tell if standard output is closed.
            let _ = std::io::stdout().lock().write_all(line.as_bytes());
        }
    }

    fn run(&self, id: String) -> Run<'_> {
        let now = OffsetDateTime::now_utc();
        Run {
            settings: self.settings,
            id,
            now,
            looks: now,
            started: Instant::now(),
            deadline: self.deadline,
            ledger: self.tools.ledger.as_ref(),
            spent: &self.spent,
            parameters: self.parameters,
            one_of_many: false,
        }
    }
}

/// What became of one notice.
#[derive(Default)]
struct Handled {
    /// Something that another try may mend.
    retry: Option<String>,
    verdicts: Vec<Verdict>,
    /// What to write under the finding, for each resource that was fixed, and seen to be.
    mended: Vec<String>,
    /// How many resources were looked at.
    looked_at: usize,
}

async fn answer<C: Control, K: Cloud<C>>(invocation: &Invocation<'_, K>, payload: Payload) -> Result<Response, Retry> {
    let reading = payload.read().map_or_else(
        |why| Reading { notices: Vec::new(), rejected: vec![Rejected { why, message: None }] },
        |event| triggers::read(&event),
    );
    respond::<C, K>(invocation, reading).await
}

async fn respond<C: Control, K: Cloud<C>>(invocation: &Invocation<'_, K>, reading: Reading) -> Result<Response, Retry> {
    let mut answer = Answer {
        control: C::ABOUT.id,
        records: Vec::new(),
        sweeps: Vec::new(),
        decided: Vec::new(),
        unread: Vec::new(),
        unanswered: Vec::new(),
    };
    let queued = reading.notices.iter().map(|notice| &notice.message);
    let queued = queued.chain(reading.rejected.iter().map(|rejected| &rejected.message)).any(Option::is_some);
    let mut batch = SqsBatchResponse::default();
    let mut retry = None;
    for Rejected { why, message } in reading.rejected {
        // A message that makes no sense makes none the second time either; its queue's own limit sets it aside.
        batch.batch_item_failures.extend(message.map(failure));
        note(&mut answer, Unread::Rejected(why));
    }
    for notice in reading.notices {
        let message = notice.message.clone();
        if let Some(why) = handle::<C, K>(invocation, notice, &mut answer).await {
            batch.batch_item_failures.extend(message.map(failure));
            retry.get_or_insert(why);
        }
    }
    if queued {
        batch.batch_item_failures.dedup_by(|a, b| a.item_identifier == b.item_identifier);
        return Ok(Response::Batch(batch));
    }
    match retry {
        Some(why) => Err(Retry(why)),
        None => Ok(Response::Answer(Box::new(answer))),
    }
}

fn failure(message: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message;
    failure
}

fn note(answer: &mut Answer, unread: Unread) {
    match &unread {
        Unread::Ignored(why) => tracing::info!("{}: ignored: {why}", answer.control),
        Unread::Rejected(why) => tracing::warn!("{}: rejected: {why}", answer.control),
    }
    answer.unread.push(unread);
}

/// Does what one notice asks for; the line of something that is worth another try, if there is any.
async fn handle<C: Control, K: Cloud<C>>(
    invocation: &Invocation<'_, K>,
    mut notice: Notice,
    answer: &mut Answer,
) -> Option<String> {
    if let Some(rule) = notice.rule.as_ref().filter(|rule| rule.parameters.is_none())
        && C::ABOUT.observes_with.contains(&"config:DescribeConfigRules")
        && notice.act != Act::Ignore
    {
        let name = rule.name.clone();
        let asked = async { invocation.replies(&notice).await?.rule_parameters(&name).await };
        match Box::pin(asked).await {
            Ok(parameters) => {
                if let Some(rule) = &mut notice.rule {
                    rule.parameters = parameters;
                }
            }
            Err(fault) if fault.is_worth_a_retry() => return Some(fault.to_string()),
            Err(fault) => {
                // Not knowing what the rule allows, we must not guess.
                note(answer, Unread::Rejected(fault.to_string()));
                return None;
            }
        }
    }
    let (work, unread) = match Box::pin(recall::recall::<C, K>(invocation, &mut notice, answer)).await {
        Ok(Recalled::Nothing) => event::work::<C>(&notice, invocation.own),
        Ok(Recalled::Work(request)) => (vec![Work::One(request)], Vec::new()),
        Ok(Recalled::Done) => return None,
        Err(Missing::Retry(why)) => return Some(why),
        Err(Missing::Rejected(why)) => (Vec::new(), vec![Unread::Rejected(why)]),
    };
    let mut handled = Handled::default();
    for unread in unread {
        // A part that is none of ours got into the wrong queue: it is kept, until somebody has seen it.
        if let (Unread::Rejected(why), true) = (&unread, notice.part.is_some()) {
            handled.retry.get_or_insert(why.clone());
        }
        note(answer, unread);
    }
    for work in work {
        match work {
            Work::One(request) => one(invocation, &request, answer, &mut handled).await,
            // A schedule means every place that we look after.
            Work::All(sweep) if sweep.trigger == Trigger::Schedule && sweep.part.is_none() => {
                Box::pin(everywhere::<C, K>(invocation, &sweep, answer, &mut handled)).await;
            }
            Work::All(sweep) => Box::pin(all::<C, K>(invocation, &sweep, answer, &mut handled)).await,
        }
    }
    Box::pin(reply::<C, K>(invocation, &notice, answer, &mut handled)).await;
    handled.retry
}

/// Answers whoever waits for an answer to the notice.
async fn reply<C: Control, K>(
    invocation: &Invocation<'_, K>,
    notice: &Notice,
    answer: &mut Answer,
    handled: &mut Handled,
) {
    let Some(reply) = &notice.reply else { return };
    let given = match reply {
        Reply::Evaluation { token, at, not_applicable } => {
            if *not_applicable || handled.looked_at == 0 {
                let verdict = |resource: &Resource| Verdict {
                    resource_type: resource.r#type.clone(),
                    resource: resource.id.clone(),
                    compliant: None,
                    says: notice.why.clone(),
                };
                handled.verdicts = notice.resources.iter().map(verdict).collect();
            }
            async { invocation.replies(notice).await?.evaluations(token, *at, &handled.verdicts).await }.await
        }
        // Only what was fixed and read back is resolved, and only if that is so of every resource of the finding.
        Reply::Finding { .. } | Reply::FindingV2 { .. }
            if handled.looked_at > 0 && handled.mended.len() == handled.looked_at =>
        {
            async { invocation.replies(notice).await?.resolve(reply, &handled.mended.join("; ")).await }.await
        }
        Reply::Finding { .. } | Reply::FindingV2 { .. } => Ok(()),
    };
    if let Err(fault) = given {
        tracing::warn!("{}: could not answer: {fault}", C::ABOUT.id);
        if fault.is_worth_a_retry() {
            handled.retry.get_or_insert(fault.to_string());
        }
        answer.unanswered.push(fault.to_string());
    }
}

/// Looks at one resource.
async fn one<C: Control, K: Cloud<C>>(
    invocation: &Invocation<'_, K>,
    request: &Request<C>,
    answer: &mut Answer,
    handled: &mut Handled,
) {
    if gate::own_doing(request, invocation.settings) {
        let target = request.place.target.to_string();
        note(answer, Unread::Ignored(format!("our own role changed {}", shown(&target))));
        return;
    }
    let run = invocation.run(format!("{}-{}", invocation.request_id, answer.records.len() + 1));
    // Boxed: the futures of SDK calls are deep and large, and a function's main would have to lay them all out.
    let record = Box::pin(driver::run(invocation.cloud, request, &run)).await;
    log(&record);
    invocation.measure(|now| metrics::line(&record, now));
    handled.looked_at += 1;
    handled.verdicts.push(verdict(&record, request.named.clone()));
    // Not `compliant`: the finding may be of a stricter check than ours, and Security Hub's own next look closes what is over.
    if record.outcome == Outcome::Fixed {
        handled.mended.push(format!("{} (record {})", record.line(), record.id));
    }
    if record.retry {
        handled.retry.get_or_insert(record.line());
    }
    answer.records.push(record);
}

fn verdict(record: &Record, resource: String) -> Verdict {
    Verdict {
        resource_type: record.resource.r#type.to_owned(),
        resource,
        compliant: replies::complies(record.outcome),
        says: format!("{}: {}", record.outcome.name(), record.why),
    }
}

fn log(record: &Record) {
    let json = serde_json::to_string(record).unwrap_or_default();
    if record.outcome.needs_a_person() {
        tracing::warn!(target: EVIDENCE, record = json.as_str(), "{}", record.line());
    } else if matches!(record.outcome, Outcome::Fixed | Outcome::Undone) {
        tracing::info!(target: EVIDENCE, record = json.as_str(), "{}", record.line());
    } else {
        tracing::info!(record = json.as_str(), "{}", record.line());
    }
}

/// The moment by which we must have finished, in the runtime's clock.
fn deadline(lambda: SystemTime) -> Instant {
    let left = lambda.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(RESERVE)
}

#[cfg(test)]
#[path = "lambda_tests.rs"]
mod tests;
