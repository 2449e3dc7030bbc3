//! The gateway: one loopback port that is AWS. It understands each call, lets faults and quirks at it, keeps a journal of
//! it, and sends the event that CloudTrail would.

mod control;
mod events;
mod lambda;
mod refusals;

use crate::bus::Bus;
use crate::call::{Call, Caller};
use crate::faults::{Fate, Faults, Kind};
use crate::gateway::refusals::faulty;
use crate::http::{ApiRequest, ApiResponse, Upstream};
use crate::identities::Identities;
use crate::quirks::{self, error::respond};
use crate::runtime::{Functions, Report};
use crate::template::ScheduleSpec;
use crate::trail;
use crate::understand::{form, to_path_style, understand};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
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

/// How many happenings somebody who listens may lag behind: a sweep of ten thousand buckets makes fifty thousand.
const KEPT_HAPPENINGS: usize = 65_536;

/// How many calls the journal keeps.
const KEPT_CALLS: usize = 200_000;

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
    /// Whether it gives tags to what it makes, for which EC2 wants an action of its own besides.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html>
    pub tags: bool,
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
        Self { calls: Arc::default(), happenings: broadcast::Sender::new(KEPT_HAPPENINGS) }
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
    /// The functions' schedules, which wait for somebody to fire them: the lab has no clock.
    pub schedules: Vec<ScheduleSpec>,
    /// Where the template is deployed.
    pub region: String,
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
            return Ok(whole(self.control(&request).await));
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
            tags: call.service == "ec2"
                && form(&call.request).iter().any(|(name, _)| name.starts_with("TagSpecification")),
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
        if call.service == "events" && call.operation == "PutEvents" {
            return Ok(self.put_events(call));
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
        let rules = self.deliver(&event);
        self.journal.tell(Happening::Event {
            name: event.pointer("/detail/eventName").and_then(|name| name.as_str()).unwrap_or_default().to_owned(),
            actor: call.caller.arn(),
            resource: call.resource.clone(),
            rules,
        });
    }
}

/// A connection that a fault breaks.
enum Broken {
    /// Before the call was carried out.
    Before,
    /// After it, with the answer that nobody gets.
    After(ApiResponse),
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
