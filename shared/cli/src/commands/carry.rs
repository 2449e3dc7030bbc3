//! Having a request carried out: by a function of the deployment, or by this very process.

use super::local;
use super::session::Session;
use super::words::plain;
use crate::show;
use crate::show::eprintln;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::primitives::Blob;
use catalogue::{Entry, Task};
use remediation::Fault;
use remediation::fault::Attempt;
use remediation::lambda::{Tools, variable};
use remediation::{Region, shown};
use serde_json::Value;
use std::pin::pin;
use std::time::{Duration, SystemTime};
use tokio::signal::ctrl_c;
use tokio::time::Instant;

/// How long a function, or this process, may take for one resource.
const PATIENCE: Duration = Duration::from_mins(2);

/// Has a function carry a request out. It is sent once: a second time it would be another request.
///
/// # Errors
/// The function could not be asked, or failed; in one sentence with the next step.
pub async fn through(session: &Session, function: &str, request: &Value) -> Result<Value, String> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(PATIENCE)
        .operation_timeout(PATIENCE)
        .build();
    let config = aws_sdk_lambda::config::Builder::from(session.sdk().await?)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    let call = Client::from_conf(config.build()).invoke().function_name(function);
    let answer = match call.payload(Blob::new(request.to_string())).send().await {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("ResourceNotFoundException") => {
            return Err(format!(
                "there is no function {} in this account and region; set AWS_REGION and the profile to the deployment's, or \
                 name the function",
                shown(function)
            ));
        }
        Err(error) => {
            let attempt =
                Attempt { action: "lambda:InvokeFunction", resource: &format_args!("function {}", shown(function)) };
            return Err(match attempt.fault(&error) {
                Fault::Denied { .. } => {
                    format!("you may not invoke the function {}; ask for lambda:InvokeFunction on it", shown(function))
                }
                fault @ Fault::Lost(_) => {
                    format!("{fault}; it may have been carried out all the same: suture history shows it")
                }
                fault => fault.to_string(),
            });
        }
    };
    let payload: Value = answer
        .payload
        .and_then(|payload| serde_json::from_slice(payload.as_ref()).ok())
        .ok_or_else(|| format!("the function {} gave no answer that can be read; its log says why", shown(function)))?;
    if answer.function_error.is_some() {
        // Ours by its type: a text of our own. Whatever else Lambda says there is not for a terminal.
        let ours = payload.pointer("/errorType").and_then(Value::as_str) == Some("Suture.Retry");
        let said = payload.pointer("/errorMessage").and_then(Value::as_str).filter(|_| ours);
        let said = said.map_or_else(|| "its log says why".to_owned(), |said| plain(said).chars().take(1000).collect());
        return Err(format!("the function {} failed: {said}", shown(function)));
    }
    Ok(payload)
}

/// Carries a request out in this process, with the permissions of whoever runs it.
///
/// # Errors
/// AWS is not at hand, or what a later try may mend.
pub async fn here(
    session: &Session,
    control: &Entry,
    request: &Value,
    parameters: Option<Value>,
) -> Result<Value, String> {
    let only_plans = request.get("mode").and_then(Value::as_str) == Some("plan");
    let ledger = session.to_carry_out(only_plans)?;
    let mut here = session.here().await?;
    // Where nobody set which regions may be changed, the one that a person names is.
    let named = request.get("region").and_then(Value::as_str).and_then(|region| Region::parse(region).ok());
    if variable("SUTURE_REGIONS").is_none_or(|regions| regions.trim().is_empty()) {
        here.settings.regions.extend(named);
    }
    let tools = Tools::with(session.sdk().await?.clone(), Some(ledger));
    let (id, deadline) = (id(), Instant::now() + PATIENCE);
    let task = Task { request, parameters, tools: &tools, here: &here, id: &id, deadline };
    let answer = to_its_end(session, control.carry_out(task)).await;
    // Whatever came of it: what was written before it failed has a record, too.
    if !session.is_shut() {
        local::record(session, &here).await;
    }
    let resource = request.get("resource").and_then(Value::as_str).map_or("RESOURCE".to_owned(), plain);
    let next = if only_plans {
        "run the command again in a minute".to_owned()
    } else {
        format!("suture history {resource} has what was done; run the command again in a minute")
    };
    let answer = answer.map_err(|retry| format!("{}; {next}", plain(&retry.to_string())))?;
    serde_json::to_value(answer)
        .map_err(|_| "the answer could not be put into words; suture history shows it".to_owned())
}

/// Does what is under way although somebody presses Ctrl-C: half of a fix is worse than all of it. Pressed again, it ends there,
/// and the ledger's intent says what was about to be written.
async fn to_its_end<T>(session: &Session, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        pressed = ctrl_c() => if pressed.is_err() { return work.await },
    }
    session.stop();
    eprintln!("{}: what is under way is brought to its end first; Ctrl-C again ends it there", show::mind("note"));
    tokio::select! {
        done = &mut work => done,
        _ = ctrl_c() => {
            eprintln!("{}: ended in the middle; suture history RESOURCE says what is known in a minute", show::bad("error"));
            std::process::exit(2)
        }
    }
}

/// What the ids of a run's records begin with: no other run's.
fn id() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("cli-{:x}-{:x}", since.as_micros(), std::process::id())
}

#[cfg(test)]
#[path = "carry_tests.rs"]
mod tests;
