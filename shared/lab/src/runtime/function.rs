//! Functions: as many sandboxes as they need, up to their limit, kept for the next event.

use super::log::Watch;
use super::sandbox::{Sandbox, arn};
use super::{Config, FunctionError, INIT_LIMIT, LARGEST_EVENT, Report};
use crate::call::{ACCOUNT, Caller};
use crate::gateway::{Happened, Happening, Journal};
use crate::identities::Identities;
use crate::idle::Idle;
use crate::letters::{Letters, invocation_record};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// The functions of a lab, and what they share. Cheap to clone; when the last clone is dropped, every process ends.
#[derive(Clone)]
pub struct Functions {
    world: Arc<World>,
    /// What is under way has the other end, and ends with this one.
    end: Arc<watch::Sender<()>>,
}

struct World {
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    /// Other names of functions.
    aliases: Mutex<BTreeMap<String, String>>,
    /// Variables that every function gets: the region, the lab's endpoint.
    environment: BTreeMap<String, String>,
    region: String,
    identities: Arc<Identities>,
    journal: Journal,
    /// How long Lambda waits before it tries a failed asynchronous invocation again, the first and the second time.
    retry_after: [Duration; 2],
    init_limit: Duration,
    numbers: AtomicU64,
    /// Whether invocations are under way.
    idle: Idle,
    /// How what failed for good is told.
    letters: OnceLock<Letters>,
    /// Changes, or closes, when all is to end.
    ended: watch::Receiver<()>,
}

/// One function.
pub struct Function {
    config: Mutex<(Config, u64)>,
    idle: Mutex<Vec<Sandbox>>,
    slots: Mutex<Arc<Semaphore>>,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Functions").field(&self.names()).finish()
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&lock(&self.config).0.name).finish()
    }
}

impl Functions {
    /// No functions yet. `environment` goes into every one.
    pub fn new(
        environment: BTreeMap<String, String>,
        region: &str,
        identities: Arc<Identities>,
        journal: Journal,
        retry_after: [Duration; 2],
    ) -> Self {
        Self::with_init_limit(environment, region, identities, journal, retry_after, INIT_LIMIT)
    }

    /// The same with another time than Lambda's until a function must have asked for its first event.
    pub fn with_init_limit(
        environment: BTreeMap<String, String>,
        region: &str,
        identities: Arc<Identities>,
        journal: Journal,
        retry_after: [Duration; 2],
        init_limit: Duration,
    ) -> Self {
        let (end, ended) = watch::channel(());
        let world = World {
            functions: Mutex::default(),
            aliases: Mutex::default(),
            environment,
            region: region.to_owned(),
            identities,
            journal,
            retry_after,
            init_limit,
            numbers: AtomicU64::new(1),
            idle: Idle::default(),
            letters: OnceLock::new(),
            ended,
        };
        Self { world: Arc::new(world), end: Arc::new(end) }
    }

    /// What failed for good is told from now on, where a function's configuration says so.
    pub fn tell_failures(&self, letters: Letters) {
        // A second time changes nothing.
        let _ = self.world.letters.set(letters);
    }

    /// Adds a function, or gives one a new configuration: its sandboxes end when they are idle, as after a deployment.
    pub fn configure(&self, config: Config) {
        let mut functions = lock(&self.world.functions);
        if let Some(function) = functions.get(&config.name) {
            let mut current = lock(&function.config);
            if current.0.concurrency != config.concurrency {
                *lock(&function.slots) = Arc::new(Semaphore::new(config.concurrency));
            }
            *current = (config, current.1 + 1);
            lock(&function.idle).clear();
            return;
        }
        let slots = Mutex::new(Arc::new(Semaphore::new(config.concurrency)));
        let name = config.name.clone();
        let function = Function { config: Mutex::new((config, 0)), idle: Mutex::default(), slots };
        functions.insert(name, Arc::new(function));
    }

    /// Makes a function known by another name too.
    pub fn alias(&self, name: &str, other: &str) {
        lock(&self.world.aliases).insert(other.to_owned(), name.to_owned());
    }

    /// A function's configuration; none if there is no such function.
    pub fn config(&self, name: &str) -> Option<Config> {
        self.world.find(name).map(|function| lock(&function.config).0.clone())
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.world.names()
    }

    /// Ends all idle sandboxes, so that the next invocation starts cold.
    pub fn recycle(&self) {
        for function in lock(&self.world.functions).values() {
            lock(&function.idle).clear();
        }
    }

    /// Ends everything, also what is under way. What is invoked afterwards fails.
    pub fn end(&self) {
        self.end.send_replace(());
        self.recycle();
    }

    /// Ends everything and waits until the processes are gone.
    pub async fn stop(&self) {
        self.end.send_replace(());
        let functions: Vec<_> = lock(&self.world.functions).values().map(Arc::clone).collect();
        for function in functions {
            let (slots, all) = (Arc::clone(&lock(&function.slots)), lock(&function.config).0.concurrency);
            // Whoever has a slot gives it back after its process.
            let _all = slots.acquire_many(u32::try_from(all).unwrap_or(u32::MAX)).await;
            let idle = std::mem::take(&mut *lock(&function.idle));
            for sandbox in idle {
                sandbox.end().await;
            }
        }
    }

    /// Invokes a function and waits for its answer. Fails only if there is no such function, the event is too large or
    /// the functions were stopped.
    pub async fn invoke(&self, name: &str, payload: Bytes) -> Result<Report, String> {
        let _busy = self.world.idle.begin();
        self.world.attempt(name, payload, None, 1, self.world.request_id()).await
    }

    /// The same for a try of what an event source mapping has for the function. Fails as [`Self::invoke`] does.
    pub async fn hand_over(&self, name: &str, mapping: &str, attempt: u32, payload: Bytes) -> Result<Report, String> {
        self.world.attempt(name, payload, Some(mapping), attempt, self.world.request_id()).await
    }

    /// Whether invocations are under way, or wait to be tried again.
    pub fn idle(&self) -> &Idle {
        &self.world.idle
    }

    /// Invokes a function as an EventBridge rule does: asynchronously, and again if it fails, with the delays between.
    pub fn invoke_async(&self, name: &str, rule: &str, payload: Bytes) {
        let (world, name, rule) = (Arc::clone(&self.world), name.to_owned(), rule.to_owned());
        let busy = world.idle.begin();
        tokio::spawn(async move {
            world.attempts(&name, payload, &rule).await;
            drop(busy);
        });
    }
}

impl World {
    fn names(&self) -> Vec<String> {
        lock(&self.functions).keys().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<Arc<Function>> {
        // A name, or an ARN that ends in it.
        let name = name.rsplit(':').next().unwrap_or(name);
        let alias = lock(&self.aliases).get(name).cloned();
        let functions = lock(&self.functions);
        functions.get(name).or_else(|| functions.get(&alias?)).map(Arc::clone)
    }

    async fn attempts(&self, name: &str, payload: Bytes, rule: &str) {
        let config = self.find(name).map(|function| lock(&function.config).0.clone());
        let retries = config.as_ref().map_or(0, |config| config.retries);
        let (request_id, mut ended) = (self.request_id(), self.ended.clone());
        for attempt in 1..=retries + 1 {
            let report = self.attempt(name, payload.clone(), Some(rule), attempt, request_id.clone()).await;
            let Some(report) = report.ok().filter(|report| report.answer.is_err()) else { return };
            if attempt > retries {
                let queue = config.and_then(|config| config.on_failure);
                if let (Some(queue), Some(letters)) = (queue, self.letters.get()) {
                    let record = invocation_record(&report, &arn(&report.function, &self.region), &payload);
                    // A queue that is not there is told by the letter that is missed, and nobody else could be told.
                    let _ = letters.send(&queue, &record.to_string(), &[]).await;
                }
                return;
            }
            let wait = self.retry_after.get(attempt as usize - 1).copied().unwrap_or_default();
            tokio::select! {
                biased;
                _ = ended.changed() => return,
                () = sleep(wait) => {}
            }
        }
    }

    async fn attempt(
        &self,
        name: &str,
        payload: Bytes,
        rule: Option<&str>,
        attempt: u32,
        request_id: String,
    ) -> Result<Report, String> {
        let function = self
            .find(name)
            .ok_or_else(|| format!("there is no function {name}; there are {}", self.names().join(", ")))?;
        if payload.len() > LARGEST_EVENT {
            return Err(format!("the event has {} bytes, and Lambda takes at most {LARGEST_EVENT}", payload.len()));
        }
        let stopped = || format!("{name} was not invoked, or not to its end: the lab is ending");
        let mut ended = self.ended.clone();
        let slots = Arc::clone(&lock(&function.slots));
        let _slot = tokio::select! {
            biased;
            _ = ended.changed() => return Err(stopped()),
            slot = slots.acquire() => slot.map_err(|error| error.to_string())?,
        };
        let (config, generation) = lock(&function.config).clone();
        let idle = function.idle(generation);
        let mut report = Report {
            function: config.name.clone(),
            request_id,
            attempt,
            rule: rule.map(str::to_owned),
            init: None,
            duration: Duration::ZERO,
            memory_kib: 0,
            cpu: Duration::ZERO,
            answer: Ok(Bytes::new()),
            calls: Vec::new(),
            log: Vec::new(),
        };
        let sandbox = match idle {
            Some(sandbox) => Ok(sandbox),
            None => self.start(&config, generation).await,
        };
        match sandbox {
            Err(error) => report.answer = Err(FunctionError::new("Runtime.InvalidEntrypoint", error)),
            Ok(mut sandbox) => {
                let arn = arn(&config.name, &self.region);
                let ran = tokio::select! {
                    biased;
                    _ = ended.changed() => {
                        sandbox.end().await;
                        return Err(stopped());
                    }
                    ran = sandbox.invoke(&report.request_id, arn, payload, config.timeout) => ran,
                };
                (report.init, report.duration, report.memory_kib) = (ran.init, ran.duration, ran.memory_kib);
                report.cpu = ran.cpu;
                (report.answer, report.log) = (ran.answer, ran.log);
                report.calls = self.journal.calls(|call: &Happened| {
                    let of = call.caller.access_key();
                    call.began >= ran.began
                        && of.is_some_and(|key| self.identities.comes_from(key, &sandbox.access_key))
                });
                if ran.healthy && sandbox.generation == lock(&function.config).1 {
                    lock(&function.idle).push(sandbox);
                }
            }
        }
        self.journal.tell(Happening::Invocation(Box::new(report.clone())));
        Ok(report)
    }

    async fn start(&self, config: &Config, generation: u64) -> Result<Sandbox, String> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let access_key = format!("ASIALAB{number:013}");
        let caller = Caller::Role {
            account: ACCOUNT.to_owned(),
            role: config.role.clone(),
            session: config.name.clone(),
            access_key: access_key.clone(),
        };
        self.identities.add(&access_key, caller);
        let (journal, name) = (self.journal.clone(), config.name.clone());
        let watch: Watch = Arc::new(move |line: &str| {
            journal.tell(Happening::Log { function: name.clone(), line: line.to_owned() });
        });
        Sandbox::start(config, generation, access_key, &self.environment, self.init_limit, watch).await
    }

    fn request_id(&self) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-1ab0-4000-8000-{number:012x}", std::process::id())
    }
}

impl Function {
    /// A process that waits for an event and has this configuration. Those that have an older one end.
    fn idle(&self, generation: u64) -> Option<Sandbox> {
        let mut idle = lock(&self.idle);
        idle.retain_mut(|sandbox| sandbox.generation == generation && sandbox.alive());
        idle.pop()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
