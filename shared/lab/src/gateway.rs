//! The gateway: one loopback port that is AWS. It understands each call, lets faults and quirks at it, keeps a journal of
//! it, and sends the event that CloudTrail would.

mod control;
mod events;
mod lambda;
mod pages;
mod refusals;
mod sts;

use crate::accounts::Accounts;
use crate::bus::Bus;
use crate::call::{Call, Caller};
use crate::faults::{Fate, Faults, Kind};
pub(crate) use crate::gateway::refusals::denied;
use crate::gateway::refusals::faulty;
use crate::http::{ApiRequest, ApiResponse, Upstream};
use crate::identities::Identities;
use crate::letters::Letters;
use crate::permissions::Permissions;
use crate::queues::Queues;
use crate::quirks::{self, error::respond};
use crate::runtime::{Functions, Report};
use crate::streams::Streams;
use crate::template::{RuleSpec, ScheduleSpec};
use crate::trail;
use crate::understand::{self, form, to_path_style, understand};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
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

/// How many calls, and how many of each other thing, the journal keeps.
const KEPT: usize = 200_000;

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

/// A message that was published to a topic of SNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The topic's ARN.
    pub topic: String,
    /// The subject, if it has one.
    pub subject: Option<String>,
    /// The message.
    pub message: String,
    /// The values of its attributes, by name.
    pub attributes: BTreeMap<String, String>,
    /// Who published it.
    pub by: Caller,
}

/// What was given up: records of a stream, or an event that neither its rule's target nor the queue for its dead letters
/// would take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dropped {
    /// The function that failed with them, or the rule.
    pub function: String,
    /// The ARN of where it was told; none if the mapping names nothing.
    pub destination: Option<String>,
    /// What was told there.
    pub message: Value,
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
    /// A message was published to a topic.
    Published(Box<Published>),
    /// Records of a stream were given up: the function failed with them too often.
    Dropped(Box<Dropped>),
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
    published: Arc<Mutex<Vec<Published>>>,
    dropped: Arc<Mutex<Vec<Dropped>>>,
    happenings: broadcast::Sender<Happening>,
}

impl Default for Journal {
    fn default() -> Self {
        let happenings = broadcast::Sender::new(KEPT_HAPPENINGS);
        Self { calls: Arc::default(), published: Arc::default(), dropped: Arc::default(), happenings }
    }
}

impl Journal {
    /// Tells everybody who listens.
    pub fn tell(&self, happening: Happening) {
        match &happening {
            Happening::Call(call) => keep(&self.calls, call),
            Happening::Published(published) => keep(&self.published, published),
            Happening::Dropped(dropped) => keep(&self.dropped, dropped),
            Happening::Event { .. } | Happening::Invocation(_) | Happening::Log { .. } => {}
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

    /// The messages that were published to topics, in order.
    pub fn published(&self) -> Vec<Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The records of streams that were given up.
    pub fn dropped(&self) -> Vec<Dropped> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Puts one more behind what is kept; the older half goes when it is too much.
fn keep<T: Clone>(all: &Mutex<Vec<T>>, one: &T) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= KEPT {
        all.drain(..KEPT / 2);
    }
    all.push(one.clone());
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
    /// Its rules by their names.
    pub rules: BTreeMap<String, RuleSpec>,
    /// The accounts beside the lab's own.
    pub accounts: Accounts,
    /// Lambda.
    pub functions: Functions,
    /// What hands the records of tables' streams to functions.
    pub streams: Streams,
    /// What hands the messages of queues to functions.
    pub queues: Queues,
    /// What puts messages into queues for the lab itself.
    pub letters: Letters,
    /// What the functions' roles may do.
    pub permissions: Permissions,
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
        let call = understand(request, &|key| self.identities.whose(key));
        let answer = quirks::correct(&call, &self.moto).await?;
        // A stream has what is in the table, whoever put it there; so has a queue.
        self.wake(&call, &answer);
        Ok(answer)
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
                self.follow(call, &answer, at);
                Ok(answer)
            }
            Err(Broken::After(answer)) => {
                self.follow(call, &answer, at);
                Err("the fault drop-answer".to_owned())
            }
            Err(Broken::Before) => Err("the fault drop".to_owned()),
        }
    }

    async fn carry_out(&self, call: &Call) -> Result<ApiResponse, Broken> {
        if let Some(refusal) = self.permissions.refuse(call, &self.moto, &self.accounts).await {
            return Ok(refusal);
        }
        if call.service == "lambda"
            && let Some(answer) = self.lambda(&call.request).await
        {
            return Ok(answer);
        }
        let Fate { wait, kind, page } = self.faults.fate(call);
        sleep(wait).await;
        let smaller = page.and_then(|items| pages::smaller(call, items));
        let call = smaller.as_ref().unwrap_or(call);
        if let Some(answer) = kind.as_ref().and_then(|kind| faulty(call, kind)) {
            return answer;
        }
        if let Some(answer) = self.faults.stale(call) {
            return Ok(answer);
        }
        if call.service == "events" && call.operation == "PutEvents" {
            return Ok(self.put_events(call));
        }
        if call.service == "sts" && call.operation == "AssumeRole" {
            let answer = self.assume_role(call).await;
            return if kind == Some(Kind::DropAnswer) { Err(Broken::After(answer)) } else { Ok(answer) };
        }
        let answer = match quirks::correct(call, &self.moto).await {
            Ok(answer) => self.permissions.veil(call, answer),
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

    /// What comes of a call that was carried out.
    fn follow(&self, call: &Call, answer: &ApiResponse, at: OffsetDateTime) {
        if answer.status.is_success() && call.service == "sns" && call.operation == "Publish" {
            self.journal.tell(Happening::Published(Box::new(published(call))));
        }
        self.wake(call, answer);
        self.send_event(call, answer, at);
    }

    /// Wakes what waits for the records of the tables, or the messages of the queue, that a call wrote to.
    fn wake(&self, call: &Call, answer: &ApiResponse) {
        if !call.writes || !answer.status.is_success() {
            return;
        }
        let fills = call.operation.starts_with("SendMessage") || call.operation.starts_with("ChangeMessageVisibility");
        if let Some(queue) = call.resource.as_ref().filter(|_| call.service == "sqs" && fills) {
            self.queues.written(queue);
        }
        if call.service == "dynamodb" {
            let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
            for table in understand::tables(&body) {
                self.streams.written(&table);
            }
        }
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

/// What a call of SNS's Publish publishes.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
fn published(call: &Call) -> Published {
    let fields: BTreeMap<_, _> = form(&call.request).into_iter().collect();
    let text = |name: &str| fields.get(name).cloned();
    let entry = |number: u32| {
        let name = text(&format!("MessageAttributes.entry.{number}.Name"))?;
        let value = |kind: &str| text(&format!("MessageAttributes.entry.{number}.Value.{kind}"));
        Some((name, value("StringValue").or_else(|| value("BinaryValue")).unwrap_or_default()))
    };
    Published {
        topic: text("TopicArn").or_else(|| text("TargetArn")).unwrap_or_default(),
        subject: text("Subject"),
        message: text("Message").unwrap_or_default(),
        attributes: (1..).map_while(entry).collect(),
        by: call.caller.clone(),
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
