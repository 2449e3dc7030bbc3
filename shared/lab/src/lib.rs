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

pub mod accounts;
pub mod bus;
pub mod call;
pub mod client;
pub mod deploy;
pub mod faults;
pub mod gateway;
pub mod http;
pub mod identities;
pub mod idle;
pub mod letters;
pub mod moto;
pub mod permissions;
pub mod policies;
pub mod programs;
pub mod python;
pub mod queues;
pub mod quirks;
pub mod runtime;
mod sources;
pub mod streams;
pub mod template;
pub mod trail;
pub mod understand;

pub use crate::client::Client;

use crate::accounts::Accounts;
pub use crate::accounts::Member;
use crate::bus::Bus;
use crate::faults::Fault;
use crate::gateway::{Dropped, Gateway, Happened, Happening, Journal, Published};
use crate::http::Upstream;
use crate::identities::Identities;
use crate::letters::{Letter, Letters};
use crate::moto::Moto;
use crate::permissions::Permissions;
use crate::queues::Queues;
use crate::runtime::{Config, Functions, Program, Report};
use crate::streams::Streams;
use crate::template::{Template, World};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
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
        let ours: Vec<_> = environment.keys().cloned().collect();
        let functions =
            Functions::new(environment, &world.region, Arc::clone(&identities), journal.clone(), options.retry_after);
        let mut rules = Vec::new();
        for spec in &template.functions {
            let Some(program) = options.programs.get(&spec.code_dir) else { continue };
            let rules_of =
                spec.rules.iter().map(|rule| (rule.name.clone(), spec.code_dir.clone(), rule.pattern.clone()));
            rules.extend(rules_of);
            functions.alias(&spec.code_dir, &spec.name);
            functions.configure(Config {
                name: spec.code_dir.clone(),
                program: program.clone(),
                role: spec.role_name.clone(),
                memory_mib: spec.memory_mb.into(),
                timeout: Duration::from_secs(spec.timeout.into()),
                // What the template says of endpoints is for AWS; here it is the lab's to say, as with sam's --env-vars.
                environment: spec.environment.clone().into_iter().filter(|(name, _)| !ours.contains(name)).collect(),
                // Without a reservation, Lambda's own limit for a new account.
                concurrency: spec.reserved_concurrency.map_or(10, |reserved| reserved as usize),
                retries: spec.max_retries,
                on_failure: spec.on_failure.clone().filter(|arn| arn.contains(":sqs:")),
            });
        }
        let upstream = Upstream::new(moto.address());
        let (bus, faults) = (Bus::new(rules)?, faults::Faults::default());
        let deployed = || template.functions.iter().filter(|spec| options.programs.contains_key(&spec.code_dir));
        let schedules = deployed().flat_map(|spec| spec.schedules.clone()).collect();
        let permissions = Permissions::of(&template);
        let (mut mappings, mut sources, mut rules) = (Vec::new(), Vec::new(), BTreeMap::new());
        for spec in deployed() {
            sources::check(spec, &template, &permissions)?;
            mappings.extend(spec.mappings.iter().map(|mapping| (spec.code_dir.clone(), mapping.clone())));
            sources.extend(spec.queues.iter().map(|queue| (spec.code_dir.clone(), queue.clone())));
            rules.extend(spec.rules.iter().map(|rule| (rule.name.clone(), rule.clone())));
        }
        let streams = Streams::start(mappings, &upstream, &functions, &journal)?;
        let [again, _] = options.retry_after;
        let queues = Queues::start(sources, &upstream, &functions, again);
        let letters = Letters::new(&upstream);
        functions.tell_failures(letters.clone());
        let organization = world.parameters.get("OrganizationId").filter(|id| !id.is_empty());
        let accounts = Accounts::hub(organization.map(String::as_str), &template);
        let region = world.region.clone();
        let gateway = Arc::new(Gateway {
            moto: upstream,
            identities,
            faults,
            journal,
            bus,
            rules,
            accounts,
            functions,
            streams,
            queues,
            letters,
            permissions,
            schedules,
            region,
        });
        deploy::deploy(&gateway, &template, &world.account, &world.region).await?;
        for fault in options.faults {
            gateway.faults.add(fault);
        }
        let server = Arc::clone(&gateway).serve(listener);
        Ok(Self { gateway, template, moto: Some(moto), log, address, server })
    }

    /// Opens another account of the lab, or other regions of the lab's own, and deploys a stack set's template there: its
    /// roles, its rules that forward events to the hub, its queues. Calls in it are signed with its number as access key
    /// ([`Lab::client`]). The lab's own account is in the organization that the parameter `OrganizationId` names.
    ///
    /// ```text
    /// lab.open_account(&Member { account: "444455556666".to_owned(), organization: "o-a1b2c3d4e5".to_owned(), ... }).await?;
    /// let alice = lab.client("444455556666", "eu-west-1");
    /// ```
    pub async fn open_account(&self, member: &Member) -> Result<(), String> {
        let (gateway, account) = (&self.gateway, member.account.as_str());
        gateway.accounts.join(account, &member.organization);
        for region in &member.regions {
            let world = World {
                account: account.to_owned(),
                region: region.clone(),
                stack: "StackSet-suture-member".to_owned(),
                parameters: member.parameters.clone(),
                ..World::default()
            };
            let template = Template::read(&member.template, &world)?;
            gateway.permissions.add(&template);
            gateway.accounts.deployed(account, region, &template)?;
            deploy::roles(gateway, &template, account).await?;
            deploy::deploy(gateway, &template, account, region).await?;
        }
        Ok(())
    }

    /// Makes AWS reachable at another address of this machine too, on the same port: that of Docker's bridge, for the
    /// containers of `sam local`. Who can reach the address can do anything in the lab.
    pub async fn listen_at(&self, address: IpAddr) -> Result<(), String> {
        let listener = TcpListener::bind((address, self.address.port()))
            .await
            .map_err(|error| format!("{address} cannot be listened at ({error}); is it an address of this machine?"))?;
        Arc::clone(&self.gateway).serve(listener);
        Ok(())
    }

    /// Where AWS is: `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a process finds the lab's AWS by: environment variables, without credentials.
    pub fn environment(&self) -> BTreeMap<String, String> {
        environment(&self.gateway.region, self.address)
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

    /// The messages that were published to topics so far, in order.
    pub fn published(&self) -> Vec<Published> {
        self.gateway.journal.published()
    }

    /// What was given up of the records of tables' streams.
    pub fn dropped(&self) -> Vec<Dropped> {
        self.gateway.journal.dropped()
    }

    /// Waits until no function runs or is to run again, no record waits in a stream, and no message in a queue that a
    /// function takes it from: whatever was done before has come to its end. Fails if that takes longer than `patience`.
    pub async fn settled(&self, patience: Duration) -> Result<(), String> {
        let idle = self.gateway.functions.idle();
        let told = |_| format!("after {patience:?} {} things are still under way", idle.busy());
        tokio::time::timeout(patience, idle.settled()).await.map_err(told)
    }

    /// Waits until no message waits in a queue that a function takes it from, or is in its hands, whatever else is under
    /// way. Fails if that takes longer than `patience`.
    pub async fn queues_settled(&self, patience: Duration) -> Result<(), String> {
        let idle = self.gateway.queues.idle();
        let told = |_| format!("after {patience:?} {} things are still under way in the queues", idle.busy());
        tokio::time::timeout(patience, idle.settled()).await.map_err(told)
    }

    /// A client of the lab's AWS with this access key.
    pub fn client(&self, access_key: &str, region: &str) -> Client {
        Client::of_gateway(self.address, access_key, region)
    }

    /// A client whose calls nobody sees: no journal, no event. For what was there before.
    pub fn quiet_client(&self, region: &str) -> Client {
        Client::past(Arc::clone(&self.gateway), region)
    }

    /// The same for somebody of another account.
    pub fn quiet_client_in(&self, account: &str, region: &str) -> Client {
        Client::past_in(Arc::clone(&self.gateway), account, region)
    }

    /// Invokes a function with JSON and waits for its report.
    pub async fn invoke(&self, function: &str, event: &serde_json::Value) -> Result<Report, String> {
        self.gateway.functions.invoke(function, Bytes::from(event.to_string())).await
    }

    /// Fires a function's schedules, as their time would, and waits for what each comes to. Fails if it has none.
    pub async fn fire(&self, function: &str) -> Result<Vec<Report>, String> {
        self.gateway.fire_and_wait(function).await
    }

    /// Puts an event on the bus as it is, whatever its source (AWS Config, Security Hub, GuardDuty, Health): the functions
    /// whose rules match it are invoked. Returns the names of those rules; [`Lab::listen`] tells what the functions made
    /// of it.
    pub fn put_event(&self, event: &serde_json::Value) -> Vec<String> {
        self.gateway.put_event(event)
    }

    /// What no caller of AWS can have, in the lab's account: see [`Gateway::wish`].
    ///
    /// ```text
    /// lab.wish("iam/age-key", json!({"accessKeyId": key, "created": "2025-01-01T00:00:00Z", "lastUsed": null})).await?;
    /// lab.wish("s3/fill", json!({"count": 10_000, "prefix": "clinic", "open": true})).await?;
    /// ```
    pub async fn wish(&self, what: &str, body: serde_json::Value) -> Result<serde_json::Value, String> {
        self.gateway.wish(what, call::ACCOUNT, body).await
    }

    /// The calls of PutEvaluations in this region so far: `{resultToken, testMode, evaluations}` each.
    pub async fn evaluations(&self, region: &str) -> Result<Vec<serde_json::Value>, String> {
        self.remembered("config/evaluations", region).await
    }

    /// The calls of BatchUpdateFindings and BatchUpdateFindingsV2 in this region so far: the request's fields,
    /// `operation` and `processed` each.
    pub async fn findings(&self, region: &str) -> Result<Vec<serde_json::Value>, String> {
        self.remembered("securityhub/updates", region).await
    }

    /// The findings that BatchImportFindings has brought to this region, each as it is by now.
    pub async fn imported_findings(&self, region: &str) -> Result<Vec<serde_json::Value>, String> {
        let answer = self.wish("securityhub/imported", serde_json::json!({ "region": region })).await?;
        Ok(answer.get("findings").and_then(serde_json::Value::as_array).cloned().unwrap_or_default())
    }

    /// The messages of the hub's queues that no function takes them from: dead letters. Reading them leaves them there.
    pub async fn dead_letters(&self) -> Result<Vec<Letter>, String> {
        self.gateway.dead_letters().await
    }

    /// All messages of all queues of an account and region. Reading them leaves them there.
    pub async fn letters(&self, account: &str, region: &str) -> Result<Vec<Letter>, String> {
        self.gateway.letters_in(account, region).await
    }

    async fn remembered(&self, what: &str, region: &str) -> Result<Vec<serde_json::Value>, String> {
        let answer = self.wish(what, serde_json::json!({ "region": region })).await?;
        Ok(answer.get("calls").and_then(serde_json::Value::as_array).cloned().unwrap_or_default())
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
///
/// S3 Control's SDK puts the account before the endpoint's host, which for an address of the loopback resolves nowhere. So
/// that service alone has a name for its endpoint, and the gateway as the proxy through which names are reached.
fn environment(region: &str, gateway: SocketAddr) -> BTreeMap<String, String> {
    let pairs = [
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://{gateway}")),
        ("AWS_ENDPOINT_URL_S3_CONTROL", "http://s3-control.lab".to_owned()),
        ("HTTP_PROXY", format!("http://{gateway}")),
        ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
