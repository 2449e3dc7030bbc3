//! Functions: as many sandboxes as they need, up to their limit, kept for the next event.

use super::sandbox::{Sandbox, Watch, arn};
use super::{Config, FunctionError, LARGEST_EVENT, Report};
use crate::call::{ACCOUNT, Caller};
use crate::gateway::{Happened, Happening, Journal};
use crate::identities::Identities;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// The functions of a lab, and what they share. Cheap to clone.
#[derive(Clone)]
pub struct Functions {
    world: Arc<World>,
}

struct World {
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    /// Variables that every function gets: the region, the lab's endpoint.
    environment: BTreeMap<String, String>,
    region: String,
    identities: Arc<Identities>,
    journal: Journal,
    /// How long Lambda waits before it tries a failed asynchronous invocation again, the first and the second time.
    retry_after: [Duration; 2],
    numbers: AtomicU64,
}

/// One function.
pub struct Function {
    config: Mutex<(Config, u64)>,
    idle: Mutex<Vec<Sandbox>>,
    slots: Semaphore,
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
        let (functions, numbers) = (Mutex::default(), AtomicU64::new(1));
        let region = region.to_owned();
        Self { world: Arc::new(World { functions, environment, region, identities, journal, retry_after, numbers }) }
    }

    /// Adds a function, or gives one a new configuration: its sandboxes end when they are idle, as after a deployment.
    pub fn configure(&self, config: Config) {
        let mut functions = lock(&self.world.functions);
        if let Some(function) = functions.get(&config.name) {
            let mut current = lock(&function.config);
            *current = (config, current.1 + 1);
            lock(&function.idle).clear();
            return;
        }
        let slots = Semaphore::new(config.concurrency);
        let name = config.name.clone();
        let function = Function { config: Mutex::new((config, 0)), idle: Mutex::default(), slots };
        functions.insert(name, Arc::new(function));
    }

    /// A function's configuration; none if there is no such function.
    pub fn config(&self, name: &str) -> Option<Config> {
        self.find(name).map(|function| lock(&function.config).0.clone())
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        lock(&self.world.functions).keys().cloned().collect()
    }

    /// Ends all idle sandboxes, so that the next invocation starts cold.
    pub fn recycle(&self) {
        for function in lock(&self.world.functions).values() {
            lock(&function.idle).clear();
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Function>> {
        // A name, or an ARN that ends in it.
        lock(&self.world.functions).get(name.rsplit(':').next().unwrap_or(name)).map(Arc::clone)
    }

    /// Invokes a function and waits for its answer. Fails only if there is no such function or the event is too large.
    pub async fn invoke(&self, name: &str, payload: Bytes) -> Result<Report, String> {
        self.attempt(name, payload, None, 1, self.request_id()).await
    }

    /// Invokes a function as an EventBridge rule does: asynchronously, and again if it fails, with the delays between.
    pub fn invoke_async(&self, name: &str, rule: &str, payload: Bytes) {
        let (functions, name, rule) = (self.clone(), name.to_owned(), rule.to_owned());
        tokio::spawn(async move {
            let retries = functions.config(&name).map_or(0, |config| config.retries);
            let request_id = functions.request_id();
            for attempt in 1..=retries + 1 {
                let report = functions.attempt(&name, payload.clone(), Some(&rule), attempt, request_id.clone()).await;
                if !report.is_ok_and(|report| report.answer.is_err()) {
                    return;
                }
                let wait = functions.world.retry_after.get(attempt as usize - 1);
                sleep(wait.copied().unwrap_or_default()).await;
            }
        });
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
        let _slot = function.slots.acquire().await.map_err(|error| error.to_string())?;
        let (config, generation) = lock(&function.config).clone();
        let idle = lock(&function.idle).pop();
        let mut report = Report {
            function: config.name.clone(),
            request_id,
            attempt,
            rule: rule.map(str::to_owned),
            init: None,
            duration: Duration::ZERO,
            memory_kib: 0,
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
                let arn = arn(&config.name, &self.world.region);
                let ran = sandbox.invoke(&report.request_id, arn, payload, config.timeout).await;
                (report.init, report.duration, report.memory_kib) = (ran.init, ran.duration, ran.memory_kib);
                (report.answer, report.log) = (ran.answer, ran.log);
                report.calls = self.world.journal.calls(|call: &Happened| {
                    call.began >= ran.began && call.caller.access_key() == Some(&sandbox.access_key)
                });
                if ran.healthy && sandbox.generation == lock(&function.config).1 {
                    lock(&function.idle).push(sandbox);
                }
            }
        }
        self.world.journal.tell(Happening::Invocation(Box::new(report.clone())));
        Ok(report)
    }

    async fn start(&self, config: &Config, generation: u64) -> Result<Sandbox, String> {
        let number = self.world.numbers.fetch_add(1, Ordering::Relaxed);
        let access_key = format!("ASIALAB{number:013}");
        let caller = Caller::Role {
            account: ACCOUNT.to_owned(),
            role: config.role.clone(),
            session: config.name.clone(),
            access_key: access_key.clone(),
        };
        self.world.identities.add(&access_key, caller);
        let (journal, name) = (self.world.journal.clone(), config.name.clone());
        let watch: Watch = Arc::new(move |line: &str| {
            journal.tell(Happening::Log { function: name.clone(), line: line.to_owned() });
        });
        Sandbox::start(config, generation, access_key, &self.world.environment, watch).await
    }

    fn request_id(&self) -> String {
        let number = self.world.numbers.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-1ab0-4000-8000-{number:012x}", std::process::id())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
