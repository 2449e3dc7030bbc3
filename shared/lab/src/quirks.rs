//! Where moto differs from AWS, and what the lab answers instead. One quirk is one item: what AWS does, what moto does,
//! where AWS says so, and the few lines that make up the difference. They are in the files below by subject.
//!
//! All the state stays in moto: a quirk reads what it must know from moto, anew after every write. What the answers alone
//! cannot make right (pages, what a call keeps, what a rule is equal to) is made right inside of moto, by the modules of
//! `python/corrections`; the item here says what, as the others do.

mod access;
mod anonymous;
mod buckets;
mod deny;
mod dynamodb;
mod ec2;
pub mod error;
mod iam;
mod kms;
mod lock;
pub mod policy;
mod queues;
mod records;
mod services;
mod settings;
mod streams;

use crate::call::{Call, Caller};
use crate::http::{ApiRequest, ApiResponse, Upstream};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use std::future::Future;
use std::pin::Pin;

/// What the environment of the moto server must be for the quirks to be right: another account's bucket is refused by
/// moto itself, which is also how the lab asks whose a bucket is.
/// <https://docs.getmoto.org/en/latest/docs/configuration/environment_variables.html>
pub const ENVIRONMENT: &[(&str, &str)] = &[("MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS", "false")];

/// The modules that make moto right from within, by the names under which Python finds them.
pub(crate) const CORRECTIONS: &[(&str, &str)] = &[
    ("lab_config", include_str!("../python/corrections/config.py")),
    ("lab_dynamodb", include_str!("../python/corrections/dynamodb.py")),
    ("lab_ebs", include_str!("../python/corrections/ebs.py")),
    ("lab_ec2", include_str!("../python/corrections/ec2.py")),
    ("lab_iam", include_str!("../python/corrections/iam.py")),
    ("lab_interfaces", include_str!("../python/corrections/interfaces.py")),
    ("lab_kms", include_str!("../python/corrections/kms.py")),
    ("lab_paging", include_str!("../python/corrections/paging.py")),
    ("lab_s3", include_str!("../python/corrections/s3.py")),
    ("lab_securityhub", include_str!("../python/corrections/securityhub.py")),
    ("lab_sqs", include_str!("../python/corrections/sqs.py")),
    ("lab_streams", include_str!("../python/corrections/streams.py")),
];

/// One difference between moto and AWS.
#[derive(Debug)]
pub struct Quirk {
    /// A short name, as in `suture lab --quirks`.
    pub id: &'static str,
    /// What AWS does, in one sentence.
    pub aws: &'static str,
    /// What moto does.
    pub moto: &'static str,
    /// The AWS page that says what AWS does.
    pub source: &'static str,
    /// How the lab makes it right.
    act: Act,
}

impl Quirk {
    /// The module of `python/corrections` that makes it right; none if the lab does it on the way to moto or back.
    pub fn module(&self) -> Option<&'static str> {
        match self.act {
            Act::Inside(name) => Some(name),
            _ => None,
        }
    }
}

/// How a quirk is made right.
#[derive(Debug)]
enum Act {
    /// Answers in moto's stead, or leaves the call to it.
    Instead(for<'a> fn(&'a Scene<'a>) -> Later<'a, Option<ApiResponse>>),
    /// Changes what moto is asked.
    Request(fn(&Scene<'_>, &mut ApiRequest)),
    /// Changes what moto answered.
    Answer(for<'a> fn(&'a Scene<'a>, ApiResponse) -> Later<'a, ApiResponse>),
    /// Is made right inside of moto, by `python/corrections/<name>.py`.
    Inside(&'static str),
    /// Is made right by the gateway, which knows whose a key is.
    Gateway,
}

/// What a quirk will have decided, once moto has told it what it must know.
type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Every quirk, in the order in which S3 makes these checks.
pub static QUIRKS: &[Quirk] = &[
    services::PRESIGNED,
    services::CALLER_IDENTITY,
    ec2::DRY_RUN,
    buckets::UNKNOWN_SUB_RESOURCE,
    buckets::LIST_BUCKETS,
    buckets::WRONG_REGION,
    buckets::EXPECTED_OWNER,
    anonymous::ANONYMOUS,
    buckets::TAKEN_NAME,
    deny::POLICY_DENY,
    access::MALFORMED_POLICY,
    access::ACL_ON_CREATE,
    access::ACL_UNDER_OWNER_ENFORCED,
    access::OWNER_ENFORCED_OVER_ACL,
    access::BLOCK_PUBLIC_ACLS,
    access::BLOCK_PUBLIC_POLICY,
    access::POLICY_STATUS,
    access::CONDITIONS,
    access::EFFECTIVE_ACL,
    buckets::FRESH_OWNERSHIP,
    buckets::FRESH_BLOCK,
    buckets::DEFAULT_ENCRYPTION,
    access::PUT_POLICY_ANSWER,
    lock::LOCKED_VERSIONS,
    lock::LOCK_CHECKSUM,
    lock::LOCK_CHECKSUM_ANSWER,
    settings::ROOT_ELEMENTS,
    settings::ACL_GRANTS,
    settings::BLOCKED_ENCRYPTION_TYPES,
    settings::REPLICATION_RULES,
    settings::EVENTBRIDGE_NOTIFICATION,
    services::ACCOUNT_BLOCK_ANSWER,
    ec2::PAGES,
    ec2::RULES_BY_THEMSELVES,
    ec2::REVOKE_ALL_OR_NOTHING,
    ec2::MODIFY_RULES,
    ec2::PREFIX_LIST_GONE,
    ec2::DEFAULT_GROUP,
    ec2::GROUPS_REPLACED,
    ec2::INSTANCE_GROUPS,
    ec2::EBS_DEFAULT_KEY,
    iam::PAGES,
    iam::USER_IDS,
    iam::ACCESS_KEYS,
    iam::DENIED,
    iam::CREDENTIAL_REPORT,
    kms::MANAGED_KEYS,
    kms::KEY_NAMES,
    kms::KEY_STATES,
    dynamodb::TRANSACTIONS,
    dynamodb::REQUEST_TOKENS,
    dynamodb::ITEM_SIZES,
    dynamodb::MADE_BY_UPDATE,
    records::EVALUATIONS,
    records::FINDINGS,
    records::IMPORTED,
    streams::RECORDS,
    queues::NOTHING_LOST,
    queues::REDELIVERY,
    queues::ROLES,
    services::NOT_IMPLEMENTED,
    services::REQUEST_ID,
];

/// Answers one call as AWS would: by the quirks and by moto. The call's target is in path style. Fails only if moto
/// cannot be reached.
pub async fn correct(call: &Call, moto: &Upstream) -> Result<ApiResponse, String> {
    let scene = Scene::new(call, moto).await?;
    let mut answer = None;
    for quirk in QUIRKS {
        if let (Act::Instead(instead), None) = (&quirk.act, &answer) {
            answer = instead(&scene).await?;
        }
    }
    let mut answer = match answer {
        Some(answer) => answer,
        None => scene.forward().await?,
    };
    for quirk in QUIRKS {
        if let Act::Answer(change) = quirk.act {
            answer = change(&scene, answer).await?;
        }
    }
    Ok(answer)
}

/// A bucket as moto has it, seen by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bucket {
    /// The call names none, or it is not S3's.
    None,
    /// There is no such bucket.
    Missing,
    /// It belongs to another account.
    Foreign,
    /// It belongs to the call's account.
    Own {
        /// Where it is.
        region: String,
    },
}

/// What moto's process tells of a bucket in one answer; all but the state is there only for a bucket of one's own.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Facts {
    /// `own`, `foreign` or `missing`.
    state: String,
    region: String,
    /// The policy's text.
    policy: Option<String>,
    /// The Block Public Access settings that are on for the bucket or for the account.
    block: Vec<String>,
    /// `BucketOwnerEnforced` …
    ownership: Option<String>,
}

/// One call and what is known about its bucket before moto sees it.
struct Scene<'a> {
    call: &'a Call,
    moto: &'a Upstream,
    bucket: Bucket,
}

impl<'a> Scene<'a> {
    async fn new(call: &'a Call, moto: &'a Upstream) -> Result<Self, String> {
        let mut scene = Self { call, moto, bucket: Bucket::None };
        if let Some(name) = scene.name() {
            scene.bucket = scene.look_up(name).await?;
        }
        Ok(scene)
    }

    /// The bucket that an S3 call names.
    fn name(&self) -> Option<&'a str> {
        self.call.resource.as_deref().filter(|_| self.call.service == "s3")
    }

    /// Whether the call is this operation of this service.
    fn is(&self, service: &str, operation: &str) -> bool {
        self.call.service == service && self.call.operation == operation
    }

    /// Whether the call is one of these operations of S3.
    fn is_s3(&self, operations: &[&str]) -> bool {
        self.call.service == "s3" && operations.contains(&self.call.operation.as_str())
    }

    async fn look_up(&self, bucket: &str) -> Result<Bucket, String> {
        let facts = self.facts(bucket).await?;
        Ok(match facts.state.as_str() {
            "own" => Bucket::Own { region: facts.region },
            "foreign" => Bucket::Foreign,
            _ => Bucket::Missing,
        })
    }

    /// What moto knows of a bucket, seen by the call's account.
    async fn facts(&self, bucket: &str) -> Result<Facts, String> {
        let wish = serde_json::json!({ "account": self.call.account, "name": bucket });
        let answer = self.wish(bucket, "s3/facts", &wish).await?;
        serde_json::from_slice(&answer.body).map_err(|error| format!("moto's facts of {bucket}: {error}"))
    }

    /// Asks moto something for the lab itself, as the call's account.
    async fn ask(&self, method: Method, target: &str) -> Result<ApiResponse, String> {
        let asked = format!("{} {} {method} {target}", self.call.account, self.call.region);
        self.moto.ask(bucket_in(target), asked, self.request(method, target, Bytes::new())).await
    }

    /// Asks moto's process something that no API of AWS has, about a bucket (empty: about none); it changes nothing.
    async fn wish(&self, about: &str, what: &str, body: &serde_json::Value) -> Result<ApiResponse, String> {
        let request = ApiRequest::new(Method::POST, format!("/_lab/{what}")).body(body.to_string());
        self.moto.ask(about, format!("{what} {body}"), request).await
    }

    /// Tells moto something for the lab itself, as the call's account.
    async fn tell(&self, method: Method, target: &str, body: impl Into<Bytes> + Send) -> Result<ApiResponse, String> {
        let about = bucket_in(target);
        self.moto.forget(about);
        let answer = self.moto.send(self.request(method, target, body)).await;
        self.moto.forget(about);
        answer
    }

    fn request(&self, method: Method, target: &str, body: impl Into<Bytes>) -> ApiRequest {
        let scope = format!("AKIDLAB/20260101/{}/s3/aws4_request", self.call.region);
        ApiRequest::new(method, target)
            .header("authorization", &format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"))
            .header("x-amz-account-id", &self.call.account)
            .header("x-moto-account-id", &self.call.account)
            .header("content-type", "application/xml")
            .body(body)
    }

    /// Sends the call itself to moto, which then acts in the call's account: it takes the account from this header rather
    /// than from an access key that it did not issue.
    async fn forward(&self) -> Result<ApiResponse, String> {
        let mut request = self.call.request.clone();
        if let Ok(account) = HeaderValue::from_str(&self.call.account) {
            request.headers.insert("x-moto-account-id", account);
        }
        for quirk in QUIRKS {
            if let Act::Request(change) = quirk.act {
                change(self, &mut request);
            }
        }
        if !self.call.writes {
            return self.moto.send(request).await;
        }
        // Nothing that the lab asks for itself depends on these.
        if ["ec2", "iam", "kms", "config", "securityhub", "dynamodb", "sns", "sqs", "sts"]
            .contains(&self.call.service.as_str())
        {
            return self.moto.send(request).await;
        }
        let about = self.name().filter(|_| !self.is_s3(&["CreateBucket", "DeleteBucket"])).unwrap_or_default();
        self.moto.forget(about);
        let answer = self.moto.send(request).await;
        self.moto.forget(about);
        answer
    }

    /// An S3 error: see [`error::respond`].
    fn refuse(&self, status: StatusCode, code: &str, message: &str) -> ApiResponse {
        error::respond(self.call, status, code, message, &[])
    }

    /// The refusal that S3 words for a caller whose rights end at a Block Public Access setting.
    fn denied(&self, because: &str) -> ApiResponse {
        let resource = self.name().unwrap_or_default();
        let who = match &self.call.caller {
            Caller::Anonymous => return self.refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"),
            caller => caller.arn(),
        };
        let message = format!(
            "User: {who} is not authorized to perform: s3:{} on resource: \"arn:aws:s3:::{resource}\" because {because}",
            self.call.operation
        );
        self.refuse(StatusCode::FORBIDDEN, "AccessDenied", &message)
    }
}

/// The bucket in the target of one of the lab's own questions; empty if it is about none.
fn bucket_in(target: &str) -> &str {
    let path = target.trim_start_matches('/');
    let name = path.split(['/', '?']).next().unwrap_or_default();
    // S3 Control's path.
    if name == "v20180820" { "" } else { name }
}

/// The text of the first element of this name in an XML body.
fn text_in(body: &[u8], element: &str) -> Option<String> {
    let text = str::from_utf8(body).ok()?;
    let document = roxmltree::Document::parse(text).ok()?;
    let node = document.descendants().find(|node| node.tag_name().name() == element)?;
    Some(node.text().unwrap_or_default().trim().to_owned())
}

/// Whether a text fits a pattern with `*` and `?`.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = pattern.get(1..).unwrap_or_default();
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| wildcard(rest, text.get(at..).unwrap_or_default()))
        }
        (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
            let (wanted, found) = (wanted.len_utf8(), found.len_utf8());
            wildcard(pattern.get(wanted..).unwrap_or_default(), text.get(found..).unwrap_or_default())
        }
        _ => false,
    }
}

/// The error code in an XML answer of S3's.
fn code(answer: &ApiResponse) -> Option<String> {
    (!answer.status.is_success()).then(|| text_in(&answer.body, "Code")).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_is_named_once_and_has_its_source() {
        let mut ids: Vec<_> = QUIRKS.iter().map(|quirk| quirk.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), QUIRKS.len());
        for quirk in QUIRKS {
            assert!(quirk.source.starts_with("https://docs.aws.amazon.com/"), "{}", quirk.id);
            assert!(quirk.aws.ends_with('.') && quirk.moto.ends_with('.'), "{}", quirk.id);
            if let Some(name) = quirk.module() {
                assert!(
                    CORRECTIONS.iter().any(|(module, _)| module.strip_prefix("lab_") == Some(name)),
                    "{}",
                    quirk.id
                );
            }
        }
    }

    #[test]
    fn xml_is_read_by_element() {
        assert_eq!(text_in(b"<a><Code> X </Code></a>", "Code").as_deref(), Some("X"));
        assert_eq!(text_in(b"True", "Code"), None);
    }
}
