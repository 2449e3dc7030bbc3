//! Faults on demand: what AWS does on a bad day, for a given operation.

use crate::call::Call;
use crate::http::ApiResponse;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The service's throttling error.
    Throttle,
    /// 500 `InternalError`.
    Error,
    /// 403 `AccessDenied`, as a policy of the organization would say it.
    DeniedByOrganization,
    /// 403 `AccessDenied`, as a missing permission would say it.
    Denied,
    /// The credentials have expired.
    Expired,
    /// The access key is none that AWS knows.
    UnknownKey,
    /// The request was signed at another time than AWS has.
    Skewed,
    /// 409 `OperationAborted`: somebody else is writing.
    Conflict,
    /// The connection breaks before the call is carried out.
    Drop,
    /// The call is carried out, and the connection breaks before its answer.
    DropAnswer,
    /// The answer comes this much later, in milliseconds.
    Latency(u64),
    /// A read still shows what it showed before the last write.
    Stale,
    /// A page of a listing has no more than this many items, which is no fault of AWS's and may be one of ours.
    Page(usize),
    /// Calls beyond so many a second get the throttling error, as by a token bucket that holds those of one second.
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
    Rate(u32),
}

impl Kind {
    fn word(&self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Error => "error",
            Self::DeniedByOrganization => "denied-by-organization",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::UnknownKey => "unknown-key",
            Self::Skewed => "skewed",
            Self::Conflict => "conflict",
            Self::Drop => "drop",
            Self::DropAnswer => "drop-answer",
            Self::Latency(_) => "latency",
            Self::Stale => "stale",
            Self::Page(_) => "page",
            Self::Rate(_) => "rate",
        }
    }
}

/// A fault for one operation: `s3:PutPublicAccessBlock=throttle*2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The service: `s3`, or `*` for every one.
    pub service: String,
    /// The operation as the API names it: `PutPublicAccessBlock`, or `*` for every one.
    pub operation: String,
    /// What goes wrong.
    pub kind: Kind,
    /// How many more times; none: always. For `stale`: how many reads after each write; none: one.
    pub times: Option<u32>,
    /// One call in so many, spread evenly: the fourth, the eighth, … A client that tries again at once gets through; none:
    /// every call.
    pub one_in: Option<u32>,
    /// How many calls it has met.
    #[serde(skip)]
    met: u32,
    /// For `rate`: when the calls that were let through would have come, at an even pace.
    #[serde(skip)]
    paced: Option<Instant>,
}

impl FromStr for Fault {
    type Err = String;

    /// Reads `service:Operation=kind`, with `*n` behind it for n times only, and with `%n` for one call in n only. Kinds are
    /// `throttle`, `error`, `denied`, `denied-by-organization`, `expired`, `unknown-key`, `skewed`, `conflict`, `drop`, `drop-answer`, `stale`,
    /// `latency:MILLISECONDS`, `page:ITEMS`, and `rate:CALLS`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no fault; write it like s3:PutPublicAccessBlock=throttle*2");
        let (call, kind) = text.split_once('=').ok_or_else(wrong)?;
        let (service, operation) =
            call.split_once(':').filter(|(s, o)| !s.is_empty() && !o.is_empty()).ok_or_else(wrong)?;
        let (kind, times) = match kind.split_once('*') {
            Some((kind, times)) => (kind, Some(times.parse().map_err(|_| wrong())?)),
            None => (kind, None),
        };
        let (kind, one_in) = match kind.split_once('%') {
            Some((kind, share)) => (kind, Some(share.parse().ok().filter(|share| *share > 0).ok_or_else(wrong)?)),
            None => (kind, None),
        };
        let kind = match kind.split_once(':').unwrap_or((kind, "")) {
            ("throttle", "") => Kind::Throttle,
            ("error", "") => Kind::Error,
            ("denied", "") => Kind::Denied,
            ("denied-by-organization", "") => Kind::DeniedByOrganization,
            ("expired", "") => Kind::Expired,
            ("unknown-key", "") => Kind::UnknownKey,
            ("skewed", "") => Kind::Skewed,
            ("conflict", "") => Kind::Conflict,
            ("drop", "") => Kind::Drop,
            ("drop-answer", "") => Kind::DropAnswer,
            ("stale", "") if one_in.is_none() => Kind::Stale,
            ("latency", ms) => Kind::Latency(ms.parse().map_err(|_| wrong())?),
            ("page", items) => Kind::Page(items.parse().ok().filter(|items| *items > 0).ok_or_else(wrong)?),
            ("rate", calls) if one_in.is_none() && times.is_none() => {
                Kind::Rate(calls.parse().ok().filter(|calls| *calls > 0).ok_or_else(wrong)?)
            }
            _ => return Err(wrong()),
        };
        Ok(Self {
            service: service.to_owned(),
            operation: operation.to_owned(),
            kind,
            times,
            one_in,
            met: 0,
            paced: None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}=", self.service, self.operation)?;
        f.write_str(self.kind.word())?;
        match &self.kind {
            Kind::Latency(ms) => write!(f, ":{ms}")?,
            Kind::Page(items) => write!(f, ":{items}")?,
            Kind::Rate(calls) => write!(f, ":{calls}")?,
            _ => {}
        }
        self.one_in.map_or(Ok(()), |share| write!(f, "%{share}"))?;
        self.times.map_or(Ok(()), |times| write!(f, "*{times}"))
    }
}

/// What becomes of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Wait this long first.
    pub wait: Duration,
    /// What happens instead of, or after, the call.
    pub kind: Option<Kind>,
    /// How many items a page has at most.
    pub page: Option<usize>,
}

/// The faults that are set, and the old answers that stale reads give.
#[derive(Debug, Default)]
pub struct Faults {
    set: Mutex<Vec<Fault>>,
    reads: Mutex<HashMap<String, Read>>,
}

/// The last answer to a read, and how often it is still to be given though the resource was written since.
#[derive(Debug)]
struct Read {
    service: String,
    resource: String,
    answer: ApiResponse,
    /// How often it is to be given after each write.
    times: u32,
    /// How often it is still to be given now.
    stale: u32,
}

impl Faults {
    /// Sets a fault, beside those that are set.
    pub fn add(&self, fault: Fault) {
        lock(&self.set).push(fault);
    }

    /// The faults that are set.
    pub fn list(&self) -> Vec<Fault> {
        lock(&self.set).clone()
    }

    /// Forgets all faults and old answers.
    pub fn clear(&self) {
        lock(&self.set).clear();
        lock(&self.reads).clear();
    }

    /// What is to become of this call; counts down the faults that it meets.
    pub fn fate(&self, call: &Call) -> Fate {
        let mut fate = Fate::default();
        let mut set = lock(&self.set);
        for fault in set.iter_mut().filter(|fault| fault.meets(call) && fault.kind != Kind::Stale) {
            fault.met = fault.met.wrapping_add(1);
            if fault.one_in.is_some_and(|share| fault.met % share != 0) {
                continue;
            }
            if let Kind::Rate(calls) = fault.kind {
                if !fault.lets_through(calls, Instant::now()) {
                    fate.kind = Some(Kind::Throttle);
                }
                continue;
            }
            match fault.kind {
                Kind::Latency(ms) => fate.wait += Duration::from_millis(ms),
                Kind::Page(items) => fate.page = Some(fate.page.map_or(items, |page| page.min(items))),
                _ if fate.kind.is_some() => continue,
                _ => fate.kind = Some(fault.kind.clone()),
            }
            if let Some(times) = &mut fault.times {
                *times = times.saturating_sub(1);
            }
        }
        set.retain(|fault| fault.times != Some(0) || fault.kind == Kind::Stale);
        fate
    }

    /// The old answer that this read still gets.
    pub fn stale(&self, call: &Call) -> Option<ApiResponse> {
        self.stale_times(call)?;
        let mut reads = lock(&self.reads);
        let read = reads.get_mut(&key(call))?;
        read.stale = read.stale.checked_sub(1)?;
        Some(read.answer.clone())
    }

    /// Remembers a read's answer; after a write, makes the reads of the same resource stale: in S3 those of the bucket, in
    /// other services, where a rule's id does not tell its group, all of the service's.
    pub fn saw(&self, call: &Call, answer: &ApiResponse) {
        let resource = call.resource.clone().unwrap_or_default();
        if call.writes {
            let s3 = call.service == "s3";
            let same = |read: &&mut Read| read.service == call.service && (!s3 || read.resource == resource);
            for read in lock(&self.reads).values_mut().filter(same) {
                read.stale = read.times;
            }
        } else if let Some(times) = self.stale_times(call) {
            let service = call.service.clone();
            let read = Read { service, resource, answer: answer.clone(), times, stale: 0 };
            lock(&self.reads).insert(key(call), read);
        }
    }

    fn stale_times(&self, call: &Call) -> Option<u32> {
        lock(&self.set)
            .iter()
            .find(|fault| fault.kind == Kind::Stale && fault.meets(call))
            .map(|f| f.times.unwrap_or(1))
    }
}

impl Fault {
    /// Whether one more call is within so many a second. The generic cell rate algorithm.
    fn lets_through(&mut self, calls: u32, now: Instant) -> bool {
        let paced = self.paced.unwrap_or(now).max(now) + Duration::from_secs(1) / calls;
        let within = paced <= now + Duration::from_secs(1);
        if within {
            self.paced = Some(paced);
        }
        within
    }

    fn meets(&self, call: &Call) -> bool {
        (self.service == call.service || self.service == "*")
            && (self.operation == call.operation || self.operation == "*")
            && self.times != Some(0)
    }
}

/// What is asked, and from which account; not in which client's spelling (some end a bucket's path with a slash, some name
/// the operation in the query).
fn key(call: &Call) -> String {
    let request = &call.request;
    let query = request.query().into_iter().filter(|(name, _)| name != "x-id");
    let query: Vec<_> = query.map(|(name, value)| format!("{name}={value}")).collect();
    let (account, path) = (call.caller.account().unwrap_or_default(), request.path().trim_end_matches('/'));
    format!(
        "{account} {} {} {path}?{} {}",
        call.service,
        call.operation,
        query.join("&"),
        String::from_utf8_lossy(&request.body)
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ACCOUNT, Caller};
    use crate::http::ApiRequest;
    use http::{Method, StatusCode};

    fn call(operation: &str, writes: bool) -> Call {
        Call {
            service: "s3".to_owned(),
            operation: operation.to_owned(),
            region: "us-east-1".to_owned(),
            account: ACCOUNT.to_owned(),
            resource: Some("clinic-scans".to_owned()),
            writes,
            caller: Caller::Anonymous,
            request: ApiRequest::new(if writes { Method::PUT } else { Method::GET }, "/clinic-scans?publicAccessBlock"),
        }
    }

    #[test]
    fn written_and_read() {
        for text in [
            "s3:PutPublicAccessBlock=throttle*2",
            "s3:*=latency:20",
            "iam:ListUsers=drop",
            "s3:GetX=stale*3",
            "*:*=throttle%5",
            "ec2:*=latency:7%3*2",
            "s3:ListBuckets=page:3",
            "iam:*=rate:20",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "s3",
            "s3:Put",
            "s3:=drop",
            "s3:Put=explode",
            "s3:Put=throttle*x",
            "s3:Put=latency:",
            "s3:Put=drop:1",
            "s3:Put=drop%0",
            "s3:Put=drop%",
            "s3:Get=stale%2",
            "s3:ListBuckets=page",
            "s3:ListBuckets=page:0",
            "iam:*=rate",
            "iam:*=rate:0",
            "iam:*=rate:20%2",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn they_run_out() {
        let faults = Faults::default();
        faults.add("s3:Get=throttle*2".parse().unwrap());
        faults.add("s3:*=latency:5".parse().unwrap());
        let kinds: Vec<_> = (0..3).map(|_| faults.fate(&call("Get", false)).kind).collect();
        assert_eq!(kinds, [Some(Kind::Throttle), Some(Kind::Throttle), None]);
        assert_eq!(faults.fate(&call("Other", false)), Fate { wait: Duration::from_millis(5), ..Fate::default() });
    }

    #[test]
    fn a_share_of_the_calls() {
        let faults = Faults::default();
        faults.add("*:*=throttle%3".parse().unwrap());
        let met: Vec<_> = (0..7).map(|_| faults.fate(&call("Get", false)).kind.is_some()).collect();
        assert_eq!(met, [false, false, true, false, false, true, false]);
        faults.clear();
        faults.add("s3:Get=error%2*1".parse().unwrap());
        let met: Vec<_> = (0..5).map(|_| faults.fate(&call("Get", false)).kind.is_some()).collect();
        assert_eq!(met, [false, true, false, false, false], "once only");
    }

    #[test]
    fn calls_beyond_a_rate_are_throttled() {
        let mut fault: Fault = "iam:*=rate:20".parse().unwrap();
        let began = Instant::now();
        let mut through = |ms: u64, calls: usize| {
            let at = began + Duration::from_millis(ms);
            (0..calls).filter(|_| fault.lets_through(20, at)).count()
        };
        assert_eq!(through(0, 100), 20, "a second's worth at once");
        assert_eq!(through(100, 100), 2);
        assert_eq!(through(149, 100), 0);
        assert_eq!(through(150, 100), 1);
        assert_eq!(through(10_000, 100), 20, "and no more after a rest");
    }

    #[test]
    fn reads_are_stale_n_times_after_a_write() {
        let faults = Faults::default();
        faults.add("s3:Get=stale*2".parse().unwrap());
        let answer = |text: &'static str| ApiResponse::new(StatusCode::OK, text);
        assert!(faults.stale(&call("Get", false)).is_none());
        faults.saw(&call("Get", false), &answer("old"));
        assert!(faults.stale(&call("Get", false)).is_none(), "nothing was written yet");
        faults.saw(&call("Put", true), &answer(""));
        let bodies: Vec<_> = (0..3).map(|_| faults.stale(&call("Get", false)).map(|a| a.body)).collect();
        assert_eq!(bodies, [Some("old".into()), Some("old".into()), None]);
    }

    #[test]
    fn without_a_number_one_read_is_stale() {
        let faults = Faults::default();
        faults.add("s3:Get=stale".parse().unwrap());
        // Another read's fault is that read's alone.
        faults.add("s3:Head=stale*5".parse().unwrap());
        faults.saw(&call("Get", false), &ApiResponse::new(StatusCode::OK, "old"));
        faults.saw(&call("Put", true), &ApiResponse::new(StatusCode::OK, ""));
        let stale: Vec<_> = (0..2).map(|_| faults.stale(&call("Get", false)).is_some()).collect();
        assert_eq!(stale, [true, false]);
    }
}
