//! Who sends a manual request. Lambda does not tell a function who invoked it, and what a request says of its sender anybody
//! could write there. So the sender signs a request to STS's `GetCallerIdentity` and puts it into the request; the function
//! has it answered, and what STS says is who it was. The signature is good for a few minutes (STS takes it for a quarter of an
//! hour, we do not) and for one purpose, which is signed with it; with it nobody can do anything but learn the sender's ARN.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use crate::fault::Fault;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::ConnectorBuilder;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use std::cell::OnceCell;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;
use triggers::ids::Region;

/// The header that binds a signature to a purpose.
const PURPOSE: &str = "x-suture-purpose";
/// For how long a signature is good.
const GOOD_FOR: Duration = Duration::from_mins(5);
/// How long STS may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The operation, as STS's query protocol spells it.
const OPERATION: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// What a proof consists of, besides the operation; nothing else may be in it.
const PARTS: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

/// Has proofs of callers answered by the STS of the function's own region.
pub struct Callers {
    region: Option<String>,
    /// Where STS is, if not where AWS has it.
    endpoint: Option<String>,
    connector: OnceCell<SharedHttpConnector>,
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Where the STS of a region is.
fn host(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("sts.{region}.{suffix}")
}

impl Callers {
    /// Those of the region that the SDK is set to.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            region: sdk.region().map(ToString::to_string),
            endpoint: sdk.endpoint_url().map(str::to_owned),
            connector: OnceCell::new(),
        }
    }

    /// The same, over this connector.
    #[cfg(test)]
    pub(crate) fn over(self, connector: impl HttpConnector + 'static) -> Self {
        Self { connector: OnceCell::from(SharedHttpConnector::new(connector)), ..self }
    }

    /// The ARN of whoever signed the proof, for this purpose.
    ///
    /// # Errors
    /// [`Fault::GiveUp`] if it is no such proof, or STS does not stand by it; [`Fault::Retry`] if STS did not answer.
    pub async fn identify(&self, proof: &str, purpose: &str) -> Result<String, Fault> {
        self.identify_at(proof, purpose, OffsetDateTime::now_utc()).await
    }

    async fn identify_at(&self, proof: &str, purpose: &str, now: OffsetDateTime) -> Result<String, Fault> {
        let no = |why: &str| Fault::GiveUp(format!("the proof of the caller {why}"));
        let region = self.region.as_deref().ok_or_else(|| no("cannot be checked: no region is set"))?;
        check(proof, region, now).map_err(no)?;
        let base = self.endpoint.clone().unwrap_or_else(|| format!("https://{}", host(region)));
        let mut request = HttpRequest::empty();
        let sound = request.set_method("GET").is_ok()
            && request.set_uri(format!("{}/?{proof}", base.trim_end_matches('/'))).is_ok()
            && request.headers_mut().try_insert("host", host(region)).is_ok()
            && request.headers_mut().try_insert(PURPOSE, purpose.to_owned()).is_ok();
        if !sound {
            return Err(no("cannot be put into a request"));
        }
        let connector = self.connector.get_or_init(|| {
            let connector = ConnectorBuilder::default()
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .proxy_config(ProxyConfig::from_env())
                .build();
            SharedHttpConnector::new(connector)
        });
        let passing = || Fault::Retry("sts:GetCallerIdentity: no answer; send the request again".to_owned());
        let answer = timeout(PATIENCE, connector.call(request)).await.map_err(|_| passing())?.map_err(|_| passing())?;
        let status = answer.status().as_u16();
        if status >= 500 || status == 429 {
            return Err(passing());
        }
        if status != 200 {
            return Err(no(
                "is not accepted by STS: it is too old, for something else, or not signed with valid credentials",
            ));
        }
        let body = answer.into_body();
        let bytes = timeout(PATIENCE, http_body_util::BodyExt::collect(body)).await.map_err(|_| passing())?;
        let bytes = bytes.map_err(|_| passing())?.to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let arn = text.split_once("<Arn>").and_then(|(_, rest)| rest.split_once("</Arn>")).map(|(arn, _)| arn.trim());
        match arn
            .filter(|arn| arn.starts_with("arn:") && arn.len() <= 2048 && arn.bytes().all(|b| b.is_ascii_graphic()))
        {
            Some(arn) => Ok(arn.to_owned()),
            None => Err(no("got an answer from STS that names nobody")),
        }
    }
}

/// Whether a proof is a signed `GetCallerIdentity` for this region's STS and nothing else.
fn check(proof: &str, region: &str, now: OffsetDateTime) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%=&".contains(&byte);
    if proof.len() > 8192 || !proof.bytes().all(plain) {
        return Err("is not a signed query");
    }
    let rest = proof.strip_prefix(OPERATION).ok_or("is for another operation")?;
    let mut seen = Vec::new();
    for part in rest.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or("is not a signed query")?;
        if !PARTS.contains(&name) || seen.contains(&name) {
            return Err("has something in it that no such proof has");
        }
        seen.push(name);
        let wrong = match name {
            "X-Amz-SignedHeaders" => value != format!("host%3B{PURPOSE}"),
            "X-Amz-Credential" => !value.ends_with(&format!("%2F{region}%2Fsts%2Faws4_request")),
            "X-Amz-Date" => match signed_at(value) {
                Some(at) if (now - at).unsigned_abs() <= GOOD_FOR => false,
                _ => return Err("is too old, or one of the two clocks is wrong; send the request again"),
            },
            "X-Amz-Expires" => value.parse().map_or(true, |seconds: u64| seconds > GOOD_FOR.as_secs()),
            _ => false,
        };
        if wrong {
            return Err("is for another region, good for too long, or not bound to its purpose");
        }
    }
    if PARTS.iter().take(6).any(|part| !seen.contains(part)) {
        return Err("is not whole");
    }
    Ok(())
}

/// `20260115T104523Z`.
fn signed_at(date: &str) -> Option<OffsetDateTime> {
    let part = |from: usize, to: usize| date.get(from..to);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(9, 11)?,
        part(11, 13)?,
        part(13, 15)?
    );
    OffsetDateTime::parse(&text, &Rfc3339).ok()
}

/// A proof that whoever has these credentials sends a request for this purpose ([`triggers::Manual::purpose`]) to a function
/// in this region, from now on for five minutes.
///
/// # Errors
/// No credentials, or ones that cannot sign.
pub async fn prove(sdk: &SdkConfig, region: &Region, purpose: &str, now: SystemTime) -> Result<String, String> {
    let provider = sdk.credentials_provider().ok_or("there are no AWS credentials; sign in, or set AWS_PROFILE")?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|_| "the AWS credentials could not be had; sign in again")?;
    signed(credentials, region, purpose, now).ok_or_else(|| "the AWS credentials cannot sign a request".to_owned())
}

fn signed(credentials: Credentials, region: &Region, purpose: &str, now: SystemTime) -> Option<String> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(GOOD_FOR);
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let host = host(region.as_str());
    let uri = format!("https://{host}/?{OPERATION}");
    let headers = [("host", host.as_str()), (PURPOSE, purpose)];
    let request = SignableRequest::new("GET", &uri, headers.into_iter(), SignableBody::Bytes(b"")).ok()?;
    let (instructions, _) = sign(request, &parameters).ok()?.into_parts();
    let (_, query) = instructions.into_parts();
    let mut proof = OPERATION.to_owned();
    for (name, value) in query {
        proof.push('&');
        proof.push_str(name);
        proof.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                proof.push(char::from(byte));
            } else {
                let _ = write!(proof, "%{byte:02X}");
            }
        }
    }
    Some(proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, answer, ok};

    const REGION: &str = "ap-south-1"; // the fake's
    const ARN: &str = "arn:aws:sts::111122223333:assumed-role/responder/alice";

    fn proof(purpose: &str) -> String {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("to+ken/=".to_owned()), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_801);
        signed(credentials, &Region::parse(REGION).unwrap(), purpose, now).unwrap()
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_348_801).unwrap()
    }

    #[tokio::test]
    async fn an_old_proof_is_none() {
        let fake = sts();
        for (minutes, accepted) in [(-6, false), (-4, true), (4, true), (6, false)] {
            let then = now() + time::Duration::minutes(minutes);
            let who = callers(&fake).identify_at(&proof("approve a"), "approve a", then).await;
            assert_eq!(who.is_ok(), accepted, "{minutes}");
        }
    }

    fn sts() -> Fake {
        Fake::new(|_| ok(format!("<GetCallerIdentityResult><Arn>{ARN}</Arn></GetCallerIdentityResult>")))
    }

    fn callers(fake: &Fake) -> Callers {
        Callers::new(&fake.sdk()).over(fake.clone())
    }

    #[tokio::test]
    async fn sts_is_asked_in_the_senders_words_and_its_answer_is_who_it_was() {
        let fake = sts();
        let proof = proof("approve a1b2");
        assert_eq!(callers(&fake).identify_at(&proof, "approve a1b2", now()).await, Ok(ARN.to_owned()));
        let [sent] = &fake.sent()[..] else { panic!("{:?}", fake.sent()) };
        assert_eq!((sent.method.as_str(), sent.host.as_str()), ("GET", "sts.ap-south-1.amazonaws.com"));
        assert_eq!(sent.query, proof);
        assert!(sent.headers.iter().any(|(name, value)| name == PURPOSE && value == "approve a1b2"));
        assert!(!proof.contains("secret"));
        for part in
            ["X-Amz-Expires=300", "X-Amz-SignedHeaders=host%3Bx-suture-purpose", "X-Amz-Security-Token=to%2Bken%2F%3D"]
        {
            assert!(proof.contains(part), "{proof}");
        }
    }

    #[tokio::test]
    async fn what_sts_does_not_stand_by_is_nobody() {
        for (status, retry) in [(403, false), (400, false), (500, true), (429, true)] {
            let fake = Fake::new(move |_| answer(status, "<Error><Message>secret</Message></Error>"));
            let fault = callers(&fake).identify_at(&proof("approve a"), "approve a", now()).await.unwrap_err();
            assert_eq!(fault.is_worth_a_retry(), retry, "{fault}");
            assert!(!fault.to_string().contains("secret"));
        }
        let silent = Fake::new(|_| ok("<GetCallerIdentityResult/>".to_owned()));
        assert!(callers(&silent).identify_at(&proof("approve a"), "approve a", now()).await.is_err());
    }

    #[tokio::test]
    async fn nothing_but_such_a_proof_is_sent_anywhere() {
        let sound = proof("approve a");
        for wrong in [
            String::new(),
            sound.replace("GetCallerIdentity", "GetSessionToken"),
            sound.replace("ap-south-1", "us-east-1"),
            sound.replace("Expires=300", "Expires=86400"),
            sound.replace("host%3Bx-suture-purpose", "host"),
            format!("{sound}&Action=GetSessionToken"),
            format!("{sound}&X-Amz-Date=20260101T000000Z"),
            format!("{sound}#@evil.example"),
            format!("{sound}\r\nhost: evil"),
            sound.replace("X-Amz-Signature", "X-Amz-Sig"),
        ] {
            let fake = sts();
            assert!(callers(&fake).identify_at(&wrong, "approve a", now()).await.is_err(), "{wrong}");
            assert!(fake.sent().is_empty(), "{wrong}");
        }
    }
}
