//! The gateway: one loopback port that is AWS. It understands each call, lets faults and quirks at it, keeps a journal of
//! it, and sends the event that CloudTrail would.

use crate::bus::Bus;
use crate::call::{Call, Caller};
use crate::faults::{Fate, Faults, Kind};
use crate::http::{ApiRequest, ApiResponse, Upstream};
use crate::identities::Identities;
use crate::quirks::{self, error::respond};
use crate::runtime::{Functions, LARGEST_EVENT, Report};
use crate::trail;
use crate::understand::{invoked, to_path_style, understand};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// The largest body that the gateway reads: far more than the largest event, so that a larger one is refused by Lambda's
/// own rule.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// How many calls the journal keeps.
const KEPT_CALLS: usize = 50_000;

/// An AWS call that went through the gateway.
#[derive(Clone, Debug, Serialize)]
pub struct Happened {
    /// `s3`
    pub service: String,
    /// `PutPublicAccessBlock`
    pub operation: String,
    /// The resource that it names.
    pub resource: Option<String>,
    /// The region that it was signed for.
    pub region: String,
    /// Who called.
    pub caller: Caller,
    /// Whether it can change anything.
    pub writes: bool,
    /// The HTTP status of the answer; 0 if a fault broke the connection.
    pub status: u16,
    /// When it came in.
    #[serde(skip)]
    pub began: Instant,
    /// How long it took.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub duration: Duration,
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e5).round() / 100.0)
}

impl Happened {
    /// Its service and operation: `s3:PutPublicAccessBlock`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}

/// Something that happened in the lab.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An AWS call was answered.
    Call(Box<Happened>),
    /// An event was sent; `rules` matched it.
    Event {
        /// CloudTrail's name of the call.
        name: String,
        /// Who made it.
        actor: String,
        /// The resource.
        resource: Option<String>,
        /// The rules that matched.
        rules: Vec<String>,
    },
    /// A function was invoked.
    Invocation(Box<Report>),
    /// A function logged a line.
    Log {
        /// The function.
        function: String,
        /// The line.
        line: String,
    },
}

/// What happened so far, and a way to hear of what happens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    calls: Arc<Mutex<Vec<Happened>>>,
    happenings: broadcast::Sender<Happening>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { calls: Arc::default(), happenings: broadcast::Sender::new(4096) }
    }
}

impl Journal {
    /// Tells everybody who listens.
    pub fn tell(&self, happening: Happening) {
        if let Happening::Call(call) = &happening {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            if calls.len() >= KEPT_CALLS {
                calls.drain(..KEPT_CALLS / 2);
            }
            calls.push((**call).clone());
        }
        // An error means that nobody listens.
        let _ = self.happenings.send(happening);
    }

    /// Hears of what happens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Happening> {
        self.happenings.subscribe()
    }

    /// The calls that are kept and that fit.
    pub fn calls(&self, fits: impl Fn(&Happened) -> bool) -> Vec<Happened> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|call| fits(call)).cloned().collect()
    }
}

/// What the gateway works with.
#[derive(Debug)]
pub struct Gateway {
    /// The emulator behind it.
    pub moto: Upstream,
    /// Who has which access key.
    pub identities: Arc<Identities>,
    /// What goes wrong on demand.
    pub faults: Faults,
    /// What happened.
    pub journal: Journal,
    /// EventBridge.
    pub bus: Bus,
    /// Lambda.
    pub functions: Functions,
}

impl Gateway {
    /// Serves on this listener until the task is aborted.
    pub fn serve(self: Arc<Self>, listener: TcpListener) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else {
                            // Too many open files, as a rule: it passes, and until then it fails at once each time.
                            sleep(Duration::from_millis(10)).await;
                            continue;
                        };
                        stream
                    }
                    Some(_) = connections.join_next() => continue,
                };
                let _ = stream.set_nodelay(true);
                let gateway = Arc::clone(&self);
                connections.spawn(async move {
                    let service = service_fn(|request| gateway.answer(request));
                    // Clients hang up, and the fault `drop` hangs up on them: neither is an error here.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        })
    }

    /// Answers a call as AWS would, without faults, journal or event: how the account was before anybody watched it.
    pub async fn quietly(&self, mut request: ApiRequest) -> Result<ApiResponse, String> {
        to_path_style(&mut request);
        quirks::correct(&understand(request, &|key| self.identities.whose(key)), &self.moto).await
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, String> {
        let (began, at) = (Instant::now(), OffsetDateTime::now_utc());
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|error| error.to_string())?.to_bytes();
        let target = parts.uri.to_string();
        let mut request = ApiRequest { method: parts.method, target, headers: parts.headers, body };
        if request.path().starts_with("/_lab/") {
            return Ok(whole(self.control(&request)));
        }
        to_path_style(&mut request);
        let call = understand(request, &|key| self.identities.whose(key));
        // In a task of its own: AWS carries out a call that has reached it, also if the caller hangs up meanwhile.
        let gateway = Arc::clone(self);
        let answer = tokio::spawn(async move { gateway.take(&call, began, at).await }).await;
        answer.map_err(|error| error.to_string())?.map(whole)
    }

    async fn take(&self, call: &Call, began: Instant, at: OffsetDateTime) -> Result<ApiResponse, String> {
        let answer = self.carry_out(call).await;
        let happened = Happened {
            service: call.service.clone(),
            operation: call.operation.clone(),
            resource: call.resource.clone(),
            region: call.region.clone(),
            caller: call.caller.clone(),
            writes: call.writes,
            status: answer.as_ref().map_or(0, |answer| answer.status.as_u16()),
            began,
            duration: began.elapsed(),
        };
        self.journal.tell(Happening::Call(Box::new(happened)));
        match answer {
            Ok(answer) => {
                self.send_event(call, &answer, at);
                Ok(answer)
            }
            Err(Broken::After(answer)) => {
                self.send_event(call, &answer, at);
                Err("the fault drop-answer".to_owned())
            }
            Err(Broken::Before) => Err("the fault drop".to_owned()),
        }
    }

    async fn carry_out(&self, call: &Call) -> Result<ApiResponse, Broken> {
        if call.service == "lambda"
            && let Some(answer) = self.lambda(&call.request).await
        {
            return Ok(answer);
        }
        let Fate { wait, kind } = self.faults.fate(call);
        sleep(wait).await;
        if let Some(answer) = kind.as_ref().and_then(|kind| faulty(call, kind)) {
            return answer;
        }
        if let Some(answer) = self.faults.stale(call) {
            return Ok(answer);
        }
        let answer = match quirks::correct(call, &self.moto).await {
            Ok(answer) => answer,
            Err(why) => respond(call, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", &why, &[]),
        };
        if answer.status.is_success() || !call.writes {
            self.faults.saw(call, &answer);
        }
        self.identities.learn(call, &answer);
        if kind == Some(Kind::DropAnswer) {
            return Err(Broken::After(answer));
        }
        Ok(answer)
    }

    /// The `AWS API Call via CloudTrail` event of a change, to the functions whose rules match it.
    fn send_event(&self, call: &Call, answer: &ApiResponse, at: OffsetDateTime) {
        let Some(event) = trail::record(call, answer, at).and_then(|event| serde_json::to_value(event).ok()) else {
            return;
        };
        let rules = self.bus.matching(&event);
        self.journal.tell(Happening::Event {
            name: event.pointer("/detail/eventName").and_then(|name| name.as_str()).unwrap_or_default().to_owned(),
            actor: call.caller.arn(),
            resource: call.resource.clone(),
            rules: rules.iter().map(|rule| rule.name.clone()).collect(),
        });
        for rule in rules {
            self.functions.invoke_async(&rule.target, &rule.name, Bytes::from(event.to_string()));
        }
    }

    /// Lambda's Invoke. <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
    async fn lambda(&self, request: &ApiRequest) -> Option<ApiResponse> {
        let name = invoked(request)?;
        let refusal = |status: StatusCode, kind: &'static str, message: &str| {
            let body = serde_json::json!({"Type": "User", "Message": message}).to_string();
            ApiResponse::new(status, body).header("x-amzn-errortype", kind).header("content-type", "application/json")
        };
        if request.body.len() > LARGEST_EVENT {
            let message = format!(
                "{} byte payload is too large for the Invoke operation (limit {LARGEST_EVENT} bytes)",
                request.body.len()
            );
            return Some(refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message));
        }
        let payload = if request.body.is_empty() { Bytes::from_static(b"{}") } else { request.body.clone() };
        if serde_json::from_slice::<serde_json::Value>(&payload).is_err() {
            let message = "Could not parse request body into json";
            return Some(refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message));
        }
        if self.functions.config(&name).is_none() {
            let message = format!("Function not found: {name}");
            return Some(refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message));
        }
        match request.text("x-amz-invocation-type") {
            None | Some("RequestResponse") => {}
            Some("Event") => {
                self.functions.invoke_async(&name, "Invoke", payload);
                return Some(ApiResponse::new(StatusCode::ACCEPTED, Bytes::new()));
            }
            // Only asks whether it could be invoked.
            Some("DryRun") => return Some(ApiResponse::new(StatusCode::NO_CONTENT, Bytes::new())),
            Some(_) => {
                let message = "The invocation type is RequestResponse, Event or DryRun";
                return Some(refusal(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message));
            }
        }
        Some(match self.functions.invoke(&name, payload).await {
            Err(why) => refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &why),
            Ok(report) => {
                let answer =
                    |body: Bytes| ApiResponse::new(StatusCode::OK, body).header("x-amz-executed-version", "$LATEST");
                match report.answer {
                    Ok(body) => answer(body),
                    Err(error) => answer(serde_json::to_vec(&error).unwrap_or_default().into())
                        .header("x-amz-function-error", "Unhandled"),
                }
            }
        })
    }

    /// The lab's own controls: `/_lab/faults` (GET lists, POST with one fault a line adds, DELETE clears).
    fn control(&self, request: &ApiRequest) -> ApiResponse {
        let text =
            |status: StatusCode, text: String| ApiResponse::new(status, text).header("content-type", "text/plain");
        match (&request.method, request.path()) {
            (&Method::GET, "/_lab/faults") => {
                let faults: Vec<_> = self.faults.list().iter().map(|fault| format!("{fault}\n")).collect();
                text(StatusCode::OK, faults.concat())
            }
            (&Method::DELETE, "/_lab/faults") => {
                self.faults.clear();
                text(StatusCode::OK, String::new())
            }
            (&Method::POST, "/_lab/faults") => {
                let lines = String::from_utf8_lossy(&request.body);
                match lines
                    .lines()
                    .filter(|line| !line.trim().is_empty())
                    .map(|line| line.trim().parse())
                    .collect::<Result<Vec<_>, _>>()
                {
                    Err(why) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
                    Ok(faults) => {
                        for fault in faults {
                            self.faults.add(fault);
                        }
                        text(StatusCode::OK, String::new())
                    }
                }
            }
            _ => text(StatusCode::NOT_FOUND, "the lab has /_lab/faults\n".to_owned()),
        }
    }
}

/// A connection that a fault breaks.
enum Broken {
    /// Before the call was carried out.
    Before,
    /// After it, with the answer that nobody gets.
    After(ApiResponse),
}

/// The answer, or its absence, that a fault makes in AWS's stead; none if the call is carried out all the same.
fn faulty(call: &Call, kind: &Kind) -> Option<Result<ApiResponse, Broken>> {
    let (status, code, message) = match kind {
        Kind::Throttle if call.service == "s3" => (503, "SlowDown", "Please reduce your request rate."),
        Kind::Throttle if call.service == "ec2" => (503, "RequestLimitExceeded", "Request limit exceeded."),
        Kind::Throttle => (400, "Throttling", "Rate exceeded"),
        Kind::Error => (500, "InternalError", "We encountered an internal error. Please try again."),
        Kind::Conflict => (
            409,
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. Please try again.",
        ),
        Kind::Denied => (
            403,
            "AccessDenied",
            "User is not authorized to perform the action because no identity-based policy allows it",
        ),
        Kind::DeniedByOrganization => (
            403,
            "AccessDenied",
            "User is not authorized to perform the action with an explicit deny in a service control policy",
        ),
        Kind::Drop => return Some(Err(Broken::Before)),
        Kind::DropAnswer | Kind::Latency(_) | Kind::Stale => return None,
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(Ok(respond(call, status, code, message, &[])))
}

fn whole(answer: ApiResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    // The body is whole: hyper writes its framing.
    for header in [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING, http::header::CONNECTION] {
        response.headers_mut().remove(header);
    }
    response
}
