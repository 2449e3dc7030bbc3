//! The Lambda function that takes fixes back, when a person asks for it.

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use remediation::event::Unread;
use remediation::lambda::{Answer, Error, Here, Response, Tools, variable};
use remediation::{Settings, log};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use undo::{Task, Unable, task};

/// What is kept back of the invocation's time to write the record and answer.
const RESERVE: Duration = Duration::from_millis(750);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("--about") {
        let mut json = serde_json::to_vec(&json!({"id": "undo"}))?;
        json.push(b'\n');
        return Ok(std::io::stdout().lock().write_all(&json)?);
    }
    log::start(variable);
    // A deployment that cannot be understood must not run on defaults.
    Settings::read(variable, None, None)?;
    let tools = Tools::connect(variable).await?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| undo(event, &tools).await)).await
}

/// Carries out one request; what cannot be carried out is answered as the controls' functions answer it, with the reason.
async fn undo(event: LambdaEvent<Value>, tools: &Tools) -> Result<Response, Diagnostic> {
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let deadline = Instant::now() + left.saturating_sub(RESERVE);
    let here = Here::read(variable, &event.context.invoked_function_arn).map_err(retry)?;
    match task(event.payload, tools.ledger.as_ref()).await {
        Ok(Task { control, request, parameters }) => {
            let id = &event.context.request_id;
            let carried_out = catalogue::Task { request: &request, parameters, tools, here: &here, id, deadline };
            control.carry_out(carried_out).await.map_err(Into::into)
        }
        Err(Unable::Later(why)) => Err(retry(why)),
        Err(Unable::Rejected(why)) => {
            tracing::warn!("undo: rejected: {why}");
            Ok(Response::Answer(Box::new(Answer {
                control: "undo",
                records: Vec::new(),
                sweeps: Vec::new(),
                decided: Vec::new(),
                unread: vec![Unread::Rejected(why)],
                unanswered: Vec::new(),
            })))
        }
    }
}

fn retry(why: String) -> Diagnostic {
    Diagnostic { error_type: "Suture.Retry".to_owned(), error_message: why }
}
