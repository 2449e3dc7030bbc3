//! A local AWS account and Lambda runtime, for Suture's demo, tests and benchmarks. It never ships.
//!
//! ```text
//!  aws CLI, SDKs ──▶ gateway (one loopback port) ──▶ moto (Python)
//!                      │  faults, quirks, journal
//!                      ▼
//!             CloudTrail event ──▶ bus (patterns from template.yaml) ──▶ runtime ──▶ the function's real binary
//!                                                                                          │ AWS_ENDPOINT_URL
//!                      ▲───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: everything listens on loopback only; whatever the lab starts ends with it, also if it is killed; state is
//! in moto alone; where moto differs from AWS, a named quirk says so ([`quirks::QUIRKS`]).

pub mod bus;
pub mod call;
pub mod faults;
pub mod gateway;
pub mod http;
pub mod identities;
pub mod moto;
pub mod programs;
pub mod python;
pub mod quirks;
pub mod runtime;
pub mod template;
pub mod trail;
pub mod understand;

use crate::bus::Bus;
use crate::faults::Fault;
use crate::gateway::{Gateway, Happened, Happening, Journal};
use crate::http::{ApiRequest, ApiResponse, Upstream};
use crate::identities::Identities;
use crate::moto::Moto;
use crate::runtime::{Config, Functions, Program, Report};
use crate::template::{Template, World};
use ::http::Method;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// How a lab is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where Python and moto's log go.
    pub home: PathBuf,
    /// The gateway's port; 0 for a free one.
    pub port: u16,
    /// The template that is "deployed".
    pub template: PathBuf,
    /// The functions' programs by the folder of their code. A function without one is not deployed.
    pub programs: BTreeMap<String, Program>,
    /// Values for the template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// Faults from the start.
    pub faults: Vec<Fault>,
    /// How long to wait before a failed asynchronous invocation is tried again, the first and the second time. Lambda
    /// waits one and two minutes.
    pub retry_after: [Duration; 2],
}

/// A running lab. It ends when dropped; [`Lab::stop`] also waits until it is gone.
#[derive(Debug)]
pub struct Lab {
    /// The gateway, with all that it works with.
    pub gateway: Arc<Gateway>,
    /// What the template deploys.
    pub template: Template,
    /// There until it is stopped.
    moto: Option<Moto>,
    log: PathBuf,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.abort();
        // Whoever still has the gateway keeps no process alive by it.
        self.gateway.functions.end();
        self.forget_log();
    }
}

impl Lab {
    /// Starts a lab, telling through `progress` what takes time. Each way to fail is one sentence with a way out.
    pub async fn start(options: Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(|error| {
            let port = options.port;
            format!("port {port} of 127.0.0.1 cannot be had ({error}); end what uses it, or choose another with --port")
        })?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let world = World { parameters: options.parameters, ..World::default() };
        let template = Template::read(&options.template, &world)?;

        let python = python::environment(&options.home, progress).await.map_err(|error| error.to_string())?;
        progress("starting a local AWS");
        let log = options.home.join(format!("moto-{}.log", address.port()));
        let moto = Moto::start(&python, &log).await.map_err(|error| error.to_string())?;

        let (identities, journal) = (Arc::new(Identities::default()), Journal::default());
        let environment = environment(&world.region, address);
        let functions =
            Functions::new(environment, &world.region, Arc::clone(&identities), journal.clone(), options.retry_after);
        let mut rules = Vec::new();
        for spec in &template.functions {
            let Some(program) = options.programs.get(&spec.code_dir) else { continue };
            let rules_of =
                spec.rules.iter().map(|rule| (rule.name.clone(), spec.code_dir.clone(), rule.pattern.clone()));
            rules.extend(rules_of);
            functions.configure(Config {
                name: spec.code_dir.clone(),
                program: program.clone(),
                role: spec.role_name.clone(),
                memory_mib: spec.memory_mb.into(),
                timeout: Duration::from_secs(spec.timeout.into()),
                environment: spec.environment.clone(),
                // Without a reservation, Lambda's own limit for a new account.
                concurrency: spec.reserved_concurrency.map_or(10, |reserved| reserved as usize),
                retries: spec.max_retries,
            });
        }
        let upstream = Upstream::new(moto.address());
        let (bus, faults) = (Bus::new(rules)?, faults::Faults::default());
        let gateway = Arc::new(Gateway { moto: upstream, identities, faults, journal, bus, functions });
        for fault in options.faults {
            gateway.faults.add(fault);
        }
        let server = Arc::clone(&gateway).serve(listener);
        Ok(Self { gateway, template, moto: Some(moto), log, address, server })
    }

    /// Where AWS is: `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The local AWS's process; none once it has ended.
    pub fn process(&self) -> Option<u32> {
        self.moto.as_ref().and_then(Moto::process)
    }

    /// Hears of what happens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Happening> {
        self.gateway.journal.listen()
    }

    /// The calls so far that fit.
    pub fn calls(&self, fits: impl Fn(&Happened) -> bool) -> Vec<Happened> {
        self.gateway.journal.calls(fits)
    }

    /// A client of the lab's AWS with this access key.
    pub fn client(&self, access_key: &str, region: &str) -> Client {
        let (access_key, region) = (access_key.to_owned(), region.to_owned());
        Client { way: Way::Gateway(Box::new(Upstream::new(self.address))), access_key, region }
    }

    /// A client whose calls nobody sees: no journal, no event. For what was there before.
    pub fn quiet_client(&self, region: &str) -> Client {
        let way = Way::Quiet(Arc::clone(&self.gateway));
        Client { way, access_key: "lab".to_owned(), region: region.to_owned() }
    }

    /// Invokes a function with JSON and waits for its report.
    pub async fn invoke(&self, function: &str, event: &serde_json::Value) -> Result<Report, String> {
        self.gateway.functions.invoke(function, Bytes::from(event.to_string())).await
    }

    /// Sets a function's environment variables, as an update of its configuration does: it starts anew.
    pub fn set(&self, function: &str, variables: &[(&str, &str)]) -> Result<(), String> {
        let functions = &self.gateway.functions;
        let mut config = functions.config(function).ok_or_else(|| format!("there is no function {function}"))?;
        for (name, value) in variables {
            config.environment.insert((*name).to_owned(), (*value).to_owned());
        }
        functions.configure(config);
        Ok(())
    }

    /// Waits until the local AWS dies, as it never should, and says so in a sentence.
    pub async fn died(&mut self) -> String {
        match &mut self.moto {
            Some(moto) => moto.exited().await,
            None => std::future::pending().await,
        }
    }

    /// The same sentence, if the local AWS has died already.
    pub async fn dead(&mut self) -> Option<String> {
        tokio::time::timeout(Duration::from_millis(50), self.died()).await.ok()
    }

    /// Ends everything and waits until it is gone: the port, the functions' processes, the local AWS.
    pub async fn stop(mut self) {
        self.server.abort();
        // An error is what an aborted task ends with.
        let _ = (&mut self.server).await;
        self.gateway.functions.stop().await;
        self.forget_log();
        if let Some(moto) = self.moto.take() {
            moto.stop().await;
        }
    }

    /// Removes the log, which is named for the port: left there, each run would add one. It stays if it tells why moto
    /// died.
    pub fn forget_log(&self) {
        if self.process().is_some() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}

/// What every function finds in its environment. Nothing of ours: the functions must not see the real AWS.
fn environment(region: &str, gateway: SocketAddr) -> BTreeMap<String, String> {
    let pairs = [
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://{gateway}")),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A bare client of the lab's AWS: it names an access key and signs nothing, which the lab does not look at.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
    access_key: String,
    region: String,
}

/// How a client's calls reach AWS.
#[derive(Clone, Debug)]
enum Way {
    Gateway(Box<Upstream>),
    Quiet(Arc<Gateway>),
}

impl Client {
    /// Sends an S3 request and returns the answer, whatever its status.
    pub async fn s3(&self, method: Method, target: &str, body: impl Into<Bytes>) -> Result<ApiResponse, String> {
        let scope = format!("{}/20260101/{}/s3/aws4_request", self.access_key, self.region);
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let request = ApiRequest::new(method, target).body(body).header("authorization", &signature);
        let request = request.header("user-agent", "lab");
        match &self.way {
            Way::Gateway(gateway) => gateway.send(request).await,
            Way::Quiet(gateway) => gateway.quietly(request).await,
        }
    }

    /// Sends an S3 request that must succeed.
    pub async fn must(&self, method: Method, target: &str, body: impl Into<Bytes>) -> Result<ApiResponse, String> {
        let what = format!("{method} {target}");
        let answer = self.s3(method, target, body).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(format!("{what} was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }
}
