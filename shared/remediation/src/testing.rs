//! For the tests of controls: AWS as a function of requests. Behind the feature `testing`; never in a function.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "only tests use this, and it may fail as tests do")]

use crate::control::{Cloud, Control, Occasion, Place};
use crate::driver::{self, Run, Spent};
use crate::event::{self, Order, Own, Request, Unread, Work};
use crate::record::Record;
use crate::settings::{Mode, Settings};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_config::config::{Credentials, Region as SdkRegion, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use ledger::Ledger;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use triggers::ids::{AccountId, Region};

/// The account of every example.
pub const ACCOUNT: &str = "111122223333";
/// The region of [`place`]; the fake's own is another one, so that a client that forgets to set it shows.
pub const REGION: &str = "us-west-2";
/// A text that is in the fake's credentials; put it into error messages too. No log may show it.
pub const SECRET: &str = "SECRET-that-no-log-may-show";

/// A request as it went out.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `GET`.
    pub method: String,
    /// `clinic-scans.s3.us-west-2.amazonaws.com`.
    pub host: String,
    /// `/`.
    pub path: String,
    /// `publicAccessBlock&x-id=…`.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
}

impl Sent {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The operation of a request in the query protocol (`Action=…`, EC2 and IAM) or in JSON (`X-Amz-Target`).
    pub fn operation(&self) -> Option<String> {
        if let Some(target) = self.header("x-amz-target") {
            return target.rsplit('.').next().map(str::to_owned);
        }
        self.field("Action")
    }

    /// A field of a form in the body, decoded.
    pub fn field(&self, name: &str) -> Option<String> {
        let pair = self.body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let mut bytes = Vec::new();
        let mut rest = pair.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let hex: Vec<u8> = rest.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).ok()
    }
}

/// An answer to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// An answer with status 200.
pub fn ok(body: impl Into<String>) -> Answer {
    answer(200, body)
}

/// An answer.
pub fn answer(status: u16, body: impl Into<String>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

type Answering = dyn Fn(&Sent) -> Answer + Send + Sync;

/// AWS as a function of requests; remembers what it was asked.
#[derive(Clone)]
pub struct Fake {
    answer: Arc<Answering>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake").finish_non_exhaustive()
    }
}

impl Fake {
    /// AWS that answers so.
    pub fn new(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), sent: Arc::default() }
    }

    /// The configuration that leads SDK clients here. They do not retry.
    pub fn sdk(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test");
        SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(SdkRegion::new("ap-south-1"))
            .retry_config(RetryConfig::disabled())
            .http_client(self.clone())
            .build()
    }

    /// What it was asked so far, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

impl HttpClient for Fake {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri();
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let (host, target) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let sent = Sent {
            method: request.method().to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned(),
        };
        let answer = (self.answer)(&sent);
        self.sent.lock().unwrap().push(sent);
        let mut response = HttpResponse::new(StatusCode::try_from(answer.status).unwrap(), SdkBody::from(answer.body));
        for (name, value) in answer.headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// A place in the account and region of the examples.
pub fn place<C: Control>(name: &str) -> Place<C::Target> {
    Place { account: account(), region: region(), target: C::target(name).unwrap() }
}

/// The account of every example.
pub fn account() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

/// The region of [`place`].
pub fn region() -> Region {
    Region::parse(REGION).unwrap()
}

/// The occasion of a look on 2026-11-22 at noon UTC, with no rule.
pub fn occasion() -> Occasion {
    let now = OffsetDateTime::from_unix_timestamp(1_795_348_800).unwrap();
    Occasion { now, rule: None, cause: None, call: None }
}

/// A person's request about this resource, with a reason.
pub fn asks<C: Control>(place: Place<C::Target>, order: Order, overrides: &[&str]) -> Request<C> {
    Request {
        named: place.target.to_string(),
        place,
        order,
        trigger: triggers::Trigger::Manual,
        cause: None,
        call: None,
        rule: None,
        announces_drift: false,
        reason: Some("INC-123".to_owned()),
        asked_by: None,
        overrides: overrides.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Carries a request out as a deployment in this mode would, in the account of the examples, with an empty ledger, and with
/// a minute to do it in; the time of day is that of [`occasion`].
pub async fn run<C: Control>(cloud: &impl Cloud<C>, request: &Request<C>, mode: Mode) -> Record {
    let variable = |name: &str| (name == "SUTURE_MODE").then(|| mode.name().to_owned());
    let settings = Settings::read(variable, Some(&account()), Some(&region())).unwrap();
    let (ledger, spent, started) = (Ledger::new(Rc::new(ledger::Memory::default())), Spent::default(), Instant::now());
    let run = Run {
        settings: &settings,
        id: "1".to_owned(),
        now: occasion().now,
        looks: occasion().now,
        started,
        deadline: started + Duration::from_mins(1),
        ledger: Some(&ledger),
        spent: &spent,
        parameters: None,
        one_of_many: false,
    };
    Box::pin(driver::run(cloud, request, &run)).await
}

/// What a function in the account of the examples, in us-east-1, makes of an event.
pub fn work<C: Control>(event: &serde_json::Value) -> (Vec<Work<C>>, Vec<Unread>) {
    let (account, region) = (account(), Region::parse("us-east-1").unwrap());
    let reading = triggers::read(event);
    let (mut work, mut unread) = (Vec::new(), Vec::new());
    unread.extend(reading.rejected.into_iter().map(|rejected| Unread::Rejected(rejected.why)));
    for notice in &reading.notices {
        let own = Own { account: Some(&account), region: Some(&region) };
        let (more, other) = event::work::<C>(notice, own);
        work.extend(more);
        unread.extend(other);
    }
    (work, unread)
}

/// The same, for an event that means requests and nothing else.
///
/// # Errors
/// What of the event became no request.
pub fn requests<C: Control>(event: &serde_json::Value) -> Result<Vec<Request<C>>, Unread> {
    let (work, mut unread) = work::<C>(event);
    if let Some(unread) = unread.pop() {
        return Err(unread);
    }
    let request = |work| match work {
        Work::One(request) => Ok(*request),
        Work::All(sweep) => Err(Unread::Rejected(format!("{sweep:?}"))),
    };
    work.into_iter().map(request).collect()
}
