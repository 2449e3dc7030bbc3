//! How a scan spares AWS: so many calls to a service in flight at a time, and fewer a second once AWS says that it is too many.
//!
//! What AWS limits is what an account asks of a service in a region, whoever asks: a scan that takes all of it takes it from
//! those who work there.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many calls to a service, in a region, are in flight at a time, and how many of its resources are looked at.
///
/// AWS publishes no limit for reads of buckets' settings; for objects it is 5,500 a second and prefix. Sixteen in flight are
/// 800 calls a second where each takes 20 ms, and 100 from far away, where each takes 150. EC2 gives 20 calls a second after the
/// first 100, and IAM, which publishes nothing, gives way as early: eight in flight are more than they sustain, and then the
/// SDK's pace counts.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
pub fn in_flight(service: &str) -> usize {
    if service == "s3" { 16 } else { 8 }
}

/// For how long nobody at a host may have answered before a call to it is tried once, and no longer eight times.
const AWAY: Duration = Duration::from_secs(10);
/// How long after such a try the next one may be.
const PROBE: Duration = Duration::from_secs(1);

/// The same configuration for somebody who has time and spares AWS: a bounded number of calls in flight; and once a service
/// throttles, the SDK measures how many calls a second it takes, sends no more, and tries again for longer. A function has no
/// time for that.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
pub fn patient(sdk: &SdkConfig) -> SdkConfig {
    let timeouts = sdk.timeout_config().map(TimeoutConfig::to_builder).unwrap_or_default();
    let retries = RetryConfig::adaptive().with_max_attempts(8).with_initial_backoff(Duration::from_millis(100));
    let mut patient = sdk
        .to_builder()
        .retry_config(retries)
        .timeout_config(timeouts.operation_timeout(Duration::from_secs(45)).build());
    if let Some(inner) = sdk.http_client() {
        patient = patient.http_client(Bounded { inner, doors: Arc::default() });
    }
    patient.build()
}

/// An HTTP client that lets so many requests of a service in a region through at a time.
#[derive(Debug)]
struct Bounded {
    inner: SharedHttpClient,
    doors: Arc<Doors>,
}

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { inner, doors: Arc::clone(&self.doors) })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    doors: Arc<Doors>,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let door = self.doors.of(scope(request.headers().get("authorization").unwrap_or_default()));
        let (inner, doors) = (self.inner.clone(), Arc::clone(&self.doors));
        let host = request.uri().split('/').nth(2).unwrap_or_default().to_owned();
        // In a task of its own: whoever asked may look at something else meanwhile, such as the next page of a listing, and
        // what is within would keep its place for good.
        let mut within = JoinSet::new();
        within.spawn(async move {
            let _place = door.acquire().await.map_err(|error| ConnectorError::other(error.into(), None))?;
            if !doors.may_try(&host) {
                return Err(away());
            }
            let answer = inner.call(request).await;
            let lost = answer.as_ref().is_err_and(|error| error.is_io() || error.is_timeout());
            // What the SDK is told here it does not try again.
            if doors.heard(host, !lost) { answer } else { Err(away()) }
        });
        HttpConnectorFuture::new(async move {
            match within.join_next().await {
                Some(Ok(answer)) => answer,
                Some(Err(error)) => Err(ConnectorError::other(error.into(), None)),
                None => Err(ConnectorError::other("the call was given up".into(), None)),
            }
        })
    }
}

fn away() -> ConnectorError {
    ConnectorError::other("nobody answers there".into(), None)
}

/// What requests of each region and service pass through, and which hosts do not answer.
#[derive(Debug, Default)]
struct Doors {
    doors: Mutex<HashMap<(String, String), Arc<Semaphore>>>,
    silent: Mutex<HashMap<String, Silence>>,
}

/// Since when nobody has answered, and when that was last tried.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    tried: Instant,
}

impl Doors {
    fn of(&self, (region, service): (&str, &str)) -> Arc<Semaphore> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let door = doors.entry((region.to_owned(), service.to_owned()));
        Arc::clone(door.or_insert_with(|| Arc::new(Semaphore::new(in_flight(service)))))
    }

    /// Whether a host is worth a call: one that has been silent for long is asked now and then.
    fn may_try(&self, host: &str) -> bool {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match silent.get_mut(host) {
            Some(silence) if silence.since.elapsed() >= AWAY && silence.tried.elapsed() < PROBE => false,
            Some(silence) => {
                silence.tried = Instant::now();
                true
            }
            None => true,
        }
    }

    /// Notes whether a host answered; whether what it said is worth another try.
    fn heard(&self, host: String, answered: bool) -> bool {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            silent.remove(&host);
            return true;
        }
        let now = Instant::now();
        silent.entry(host).or_insert(Silence { since: now, tried: now }).since.elapsed() < AWAY
    }
}

/// The region and the service that a request is signed for; nothing of one that is not signed.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html>
fn scope(authorization: &str) -> (&str, &str) {
    let credential = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    let credential = credential.split(',').next().unwrap_or_default();
    // The key id has no slash; date, region, service and aws4_request follow it.
    let mut parts = credential.split('/').skip(2);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use remediation::testing::Fake;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIA/20261122/eu-west-1/s3/aws4_request, SignedHeaders=host";

    #[test]
    fn a_request_says_what_it_is_signed_for() {
        assert_eq!(scope(SIGNED), ("eu-west-1", "s3"));
        for unsigned in ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=AKIA"] {
            assert_eq!(scope(unsigned), ("", ""), "{unsigned}");
        }
    }

    #[test]
    fn a_scan_has_time_to_be_throttled() {
        let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(2)).build();
        let patient = patient(&SdkConfig::builder().timeout_config(timeouts).build());
        assert_eq!(patient.retry_config().map(RetryConfig::max_attempts), Some(8));
        let timeouts = patient.timeout_config().unwrap();
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(45)));
        assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(2)), "the rest stays");
    }

    /// Takes a while for each request, and counts how many it has at a time.
    #[derive(Clone, Debug, Default)]
    struct Slow {
        now: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl HttpConnector for Slow {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let Self { now, most } = self.clone();
            HttpConnectorFuture::new(async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Err(ConnectorError::other("nobody is there".into(), None))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_of_a_service_are_in_flight_than_it_is_spared() {
        let slow = Slow::default();
        let bounded = BoundedConnector { inner: SharedHttpConnector::new(slow.clone()), doors: Arc::default() };
        let call = |authorization: String| {
            let mut request = HttpRequest::empty();
            request.headers_mut().insert("authorization", authorization);
            bounded.call(request)
        };
        let began = tokio::time::Instant::now();
        join_all((0..64).map(|_| call(SIGNED.to_owned()))).await;
        assert_eq!(slow.most.load(Ordering::SeqCst), 16);
        assert_eq!(began.elapsed(), Duration::from_millis(80), "and no fewer");
        // Other services and regions have limits of their own.
        let services = ["s3", "iam", "ec2"].map(|service| SIGNED.replace("s3", service));
        let calls = services.iter().flat_map(|signed| vec![signed.clone(); 64]);
        join_all(calls.map(call)).await;
        assert_eq!(slow.most.load(Ordering::SeqCst), 16 + 8 + 8);
    }

    #[tokio::test(start_paused = true)]
    async fn who_looks_elsewhere_meanwhile_keeps_nobody_waiting() {
        let bounded = BoundedConnector { inner: SharedHttpConnector::new(Slow::default()), doors: Arc::default() };
        let call = || {
            let mut request = HttpRequest::empty();
            request.headers_mut().insert("authorization", SIGNED);
            bounded.call(request)
        };
        let mut first: Vec<_> = (0..64).map(|_| call()).collect();
        for call in &mut first {
            assert!(call.now_or_never().is_none());
        }
        // Nobody asks after those that were begun; and this one comes after them.
        let after = tokio::time::timeout(Duration::from_secs(1), call()).await;
        assert!(after.is_ok());
        // Those that are given up make room.
        drop((0..64).map(|_| call()).collect::<Vec<_>>());
        let began = tokio::time::Instant::now();
        assert!(call().await.is_err());
        assert!(began.elapsed() <= Duration::from_millis(40), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_away_is_asked_now_and_then_and_once() {
        #[derive(Clone, Debug, Default)]
        struct Dead(Arc<AtomicUsize>);
        impl HttpConnector for Dead {
            fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
                self.0.fetch_add(1, Ordering::SeqCst);
                HttpConnectorFuture::ready(Err(ConnectorError::io("refused".into())))
            }
        }
        let dead = Dead::default();
        let bounded = BoundedConnector { inner: SharedHttpConnector::new(dead.clone()), doors: Arc::default() };
        let call = |host: &str| {
            let mut request = HttpRequest::empty();
            request.set_uri(format!("https://{host}/")).unwrap();
            bounded.call(request)
        };
        assert!(call("a.example").await.unwrap_err().is_io(), "worth another try");
        tokio::time::advance(AWAY).await;
        assert!(call("b.example").await.unwrap_err().is_io(), "another host is another's");
        let given_up = call("a.example").await.unwrap_err();
        assert!(!given_up.is_io() && given_up.is_other());
        let asked = dead.0.load(Ordering::SeqCst);
        assert!(call("a.example").await.is_err());
        assert_eq!(dead.0.load(Ordering::SeqCst), asked, "not so soon again");
        tokio::time::advance(PROBE).await;
        assert!(call("a.example").await.is_err());
        assert_eq!(dead.0.load(Ordering::SeqCst), asked + 1);
    }

    #[tokio::test]
    async fn a_patient_client_is_a_bounded_one() {
        let aws = Fake::new(|_| remediation::testing::ok("{}"));
        assert!(patient(&aws.sdk()).http_client().is_some_and(|client| format!("{client:?}").contains("Bounded")));
    }
}
