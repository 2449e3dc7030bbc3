//! AWS as the AWS CLI would reach it: by which profile, in which region, with whose credentials. Where it cannot be reached, one
//! sentence says why, and what to do. No text of the SDK's gets into it.
//!
//! <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-quickstart.html#cli-configure-quickstart-precedence>

mod way;

use aws_config::identity::IdentityCache;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::{Region as SdkRegion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::Client;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use remediation::connection::OneConnector;
use remediation::lambda::{sdk_loader, variable};
use remediation::{Region, shown};
use std::error::Error;
use std::time::{Duration, SystemTime};
use strsim::levenshtein;
use tokio::sync::Mutex;
use way::Way;

/// How long credentials may take: whoever signs in by a browser or a device needs a while.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long before their end credentials are got anew.
const EARLY: Duration = Duration::from_mins(2);

/// Which region somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Where<'a> {
    /// The one that the environment or the profile sets.
    #[default]
    Set,
    /// This one.
    In(&'a str),
    /// This one, where none is set.
    Otherwise(&'a str),
}

impl<'a> Where<'a> {
    /// This one, or the one that is set.
    pub fn said(region: Option<&'a str>) -> Self {
        region.map_or(Self::Set, Self::In)
    }

    /// This one, where none is set.
    pub fn otherwise(region: Option<&'a str>) -> Self {
        region.map_or(Self::Set, Self::Otherwise)
    }
}

/// AWS, and how its credentials are come by.
#[derive(Debug)]
pub struct Aws {
    sdk: SdkConfig,
    way: Way,
}

/// Credentials that are got once, and again when they end: each client would ask for them by itself, and each proof.
#[derive(Debug)]
struct Held {
    from: SharedCredentialsProvider,
    got: Mutex<Option<Credentials>>,
}

impl Held {
    async fn credentials(&self) -> provider::Result {
        let mut got = self.got.lock().await;
        let lasts = |one: &Credentials| one.expiry().is_none_or(|end| end > SystemTime::now() + EARLY);
        if let Some(one) = got.as_ref().filter(|one| lasts(one)) {
            return Ok(one.clone());
        }
        let one = self.from.provide_credentials().await?;
        *got = Some(one.clone());
        Ok(one)
    }
}

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl Aws {
    /// AWS by this profile, or by that of the environment.
    ///
    /// # Errors
    /// There is no such profile, a file of the AWS CLI cannot be read, or what is set makes no sense.
    pub async fn reach(profile: Option<&str>, place: Where<'_>) -> Result<Self, String> {
        let profile = profile.map(str::trim).filter(|name| !name.is_empty());
        let profiles = profiles(profile).await?;
        let named = profile.map(str::to_owned).or_else(|| variable("AWS_PROFILE")).filter(|name| !name.is_empty());
        if let Some(name) = named.as_deref().filter(|name| profiles.get_profile(name).is_none()) {
            return Err(no_profile(name, &profiles));
        }
        let is_set = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().any(|name| variable(name).is_some())
            || profiles.get("region").is_some();
        let region = match place {
            Where::In(region) => Some(Region::parse(region)?),
            Where::Otherwise(region) if !is_set => Some(Region::parse(region)?),
            Where::Otherwise(_) | Where::Set => None,
        };
        let mut loader = sdk_loader().identity_cache(IdentityCache::lazy().load_timeout(PATIENCE).build());
        if let Some(region) = region {
            loader = loader.region(SdkRegion::new(region.to_string()));
        }
        if let Some(name) = profile {
            loader = loader.profile_name(name);
        }
        let sdk = Box::pin(loader.load()).await;
        // The SDK leaves out what it cannot read, and asks AWS itself.
        let said = said("AWS_ENDPOINT_URL").or_else(|| sdk.endpoint_url().map(str::to_owned));
        said.as_deref().map_or(Ok(()), is_url)?;
        let way = Way::find(profile.is_some(), &profiles, variable);
        // The SDK's chain begins with the environment; the AWS CLI's does not where a profile is named by an option.
        let from = match profile {
            Some(name) if variable("AWS_ACCESS_KEY_ID").is_some() => {
                let config = ProviderConfig::without_region()
                    .with_http_client(OneConnector::default())
                    .with_region(sdk.region().cloned());
                let provider = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name).build();
                Some(SharedCredentialsProvider::new(provider))
            }
            _ => sdk.credentials_provider(),
        };
        let held = from.map(|from| SharedCredentialsProvider::new(Held { from, got: Mutex::default() }));
        let sdk = sdk.into_builder();
        let sdk = match held {
            Some(held) => sdk.credentials_provider(held),
            None => sdk,
        };
        Ok(Self { sdk: sdk.build(), way })
    }

    /// AWS as this configuration has it.
    #[cfg(test)]
    pub fn with(sdk: SdkConfig) -> Self {
        Self { sdk, way: Way::Environment }
    }

    /// The SDK's configuration.
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The region that is set.
    ///
    /// # Errors
    /// None is, or what is set is none.
    pub fn region(&self) -> Result<Region, String> {
        let region = self.sdk.region().ok_or(
            "no AWS region is set; set AWS_REGION, or a region in the profile (aws configure set region us-east-1)",
        )?;
        Region::parse(region.as_ref())
    }

    /// Sees to it that there are credentials. Whether AWS takes them, it does not know.
    ///
    /// # Errors
    /// There are none, and why.
    pub async fn sign_in(&self) -> Result<(), String> {
        let provider = self.sdk.credentials_provider().ok_or_else(|| self.way.missing())?;
        match Box::pin(provider.provide_credentials()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.unsigned(&error)),
        }
    }

    fn unsigned(&self, error: &CredentialsError) -> String {
        // Looked at, and never shown.
        let why = format!("{error:?}");
        let has = |word: &str| why.contains(word);
        if matches!(error, CredentialsError::ProviderTimedOut(_)) || has("DispatchFailure") || has("TimeoutError") {
            return format!("{}: {}", self.way.unreached(), self.unreachable(&why, None));
        }
        if has("ForbiddenException") || has("AccessDenied") {
            return self.way.forbidden();
        }
        self.way.missing()
    }

    /// The ARN of whoever has these credentials, as AWS reports it.
    ///
    /// # Errors
    /// There are no credentials, AWS does not take them, or it could not be asked.
    pub async fn caller(&self) -> Result<String, String> {
        self.region()?;
        self.sign_in().await?;
        let asked = Box::pin(Client::new(&self.sdk).get_caller_identity().send()).await;
        let arn = asked.map_err(|error| self.refused(&error))?.arn;
        let sound =
            |arn: &String| arn.starts_with("arn:") && arn.len() <= 2048 && arn.bytes().all(|b| b.is_ascii_graphic());
        arn.filter(sound).ok_or_else(|| "AWS did not say whose credentials these are; sign in again".to_owned())
    }

    /// What it means that STS did not say who it is.
    fn refused<E: ProvideErrorMetadata + Error + 'static>(&self, error: &SdkError<E>) -> String {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let SdkError::ServiceError(said) = error else {
            return match (error, status) {
                (SdkError::ResponseError(_), _) => self.strange(),
                _ => self.unreachable(&format!("{error:?}"), self.endpoint()),
            };
        };
        let message = said.err().message().unwrap_or_default();
        let off_by_time = message.contains("Signature expired") || message.contains("not yet current");
        match (said.err().code().unwrap_or_default(), status) {
            ("ExpiredToken" | "ExpiredTokenException", _) => self.way.expired(),
            ("RequestTimeTooSkewed" | "RequestExpired", _) => CLOCK.to_owned(),
            ("SignatureDoesNotMatch" | "InvalidSignatureException", _) if off_by_time => CLOCK.to_owned(),
            (
                "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "InvalidAccessKeyId"
                | "InvalidToken"
                | "SignatureDoesNotMatch"
                | "InvalidSignatureException"
                | "IncompleteSignature",
                _,
            ) => self.way.unknown(),
            ("Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "SlowDown", _) | (_, Some(429)) => {
                "AWS throttles the requests of this account; wait a minute, and run the command again".to_owned()
            }
            ("RegionDisabledException", _) => {
                format!("the region {} is not switched on in this account; name another", self.place())
            }
            ("" | "UnknownError", Some(_)) if self.endpoint().is_some() => self.strange(),
            ("AccessDenied" | "AccessDeniedException", _) | (_, Some(403)) => {
                "AWS does not say whose credentials these are (sts:GetCallerIdentity was denied); ask who manages the \
                 organization's policies"
                    .to_owned()
            }
            (_, Some(500..=599)) => {
                "AWS had a fault, and did not say whose credentials these are; run the command again".to_owned()
            }
            _ => self.way.unknown(),
        }
    }

    /// What answers is not AWS.
    fn strange(&self) -> String {
        match self.endpoint() {
            Some((name, url)) => {
                format!("what answers at {url} is not AWS; {name} says that it is: correct it, or take it away")
            }
            None => "what answered is not AWS: is there a proxy that wants you to sign in (HTTPS_PROXY)?".to_owned(),
        }
    }

    /// AWS could not be reached where it is said to be; `why` is looked at and never shown.
    fn unreachable(&self, why: &str, said: Option<(&'static str, String)>) -> String {
        let has = |word: &str| why.contains(word);
        let what = if has("dns error") || has("failed to lookup address") {
            "its name cannot be found"
        } else if has("ConnectionRefused") {
            "nothing answers"
        } else if has("UnknownIssuer") || has("InvalidCertificate") || has("CertificateError") {
            "its certificate is not trusted"
        } else if has("TimeoutError") || has("TimedOut") || has("timed out") {
            "no answer in time"
        } else {
            "the connection broke"
        };
        match said {
            Some((name, url)) => {
                format!(
                    "AWS could not be reached at {url}: {what}; {name} says that it is there: correct it, or take it away"
                )
            }
            None if what == "its name cannot be found" => {
                format!("AWS could not be reached: {what}; check the network, and whether {} is a region", self.place())
            }
            None => format!(
                "AWS could not be reached: {what}; check the network, and the proxy if there is one (HTTPS_PROXY)"
            ),
        }
    }

    fn place(&self) -> String {
        self.sdk.region().map_or_else(|| "the one that is set".to_owned(), |region| shown(region.as_ref()))
    }

    /// Where AWS is said to be, and by what.
    fn endpoint(&self) -> Option<(&'static str, String)> {
        let mut by = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"].into_iter();
        let said = by.find_map(|name| said(name).map(|url| (name, url)));
        let said = said.or_else(|| self.sdk.endpoint_url().map(|url| ("endpoint_url of the profile", url.to_owned())));
        said.map(|(name, url)| (name, without_user(&url)))
    }
}

/// What a variable says of where AWS is, unless such variables are not to count.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
fn said(name: &str) -> Option<String> {
    let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|set| set.eq_ignore_ascii_case("true"));
    variable(name).filter(|url| !url.is_empty() && !ignored)
}

/// What to do about a clock.
const CLOCK: &str = "this machine's clock is minutes off, and AWS takes no signature of another time; set it, and run the \
                     command again";

/// A URL without a name and password that may be in it.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = host.rsplit('@').next().unwrap_or_default();
    let url = if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") };
    shown(&url)
}

/// Whether the SDK can take it for one; it would say nothing but that it could not send.
fn is_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let parsed = url.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some());
    match (rest, parsed) {
        (Some(_), Some(_)) => Ok(()),
        _ => Err(format!("AWS_ENDPOINT_URL is {}, which is no URL such as http://127.0.0.1:4566", without_user(url))),
    }
}

/// The profiles in the files of the AWS CLI, with the one that is selected.
#[expect(clippy::default_trait_access, reason = "two of the types have no name outside the SDK's own crates")]
async fn profiles(named: Option<&str>) -> Result<ProfileSet, String> {
    let (files, fs, env) = (Default::default(), Default::default(), Default::default());
    let loaded = aws_config::profile::load(&fs, &env, &files, named.map(|name| name.to_owned().into())).await;
    loaded.map_err(|error| {
        // Its text quotes the line, in which there may be a key.
        let first = error.source().map(ToString::to_string).unwrap_or_default();
        match first.lines().next().and_then(place_in) {
            Some(place) => format!("the AWS CLI's file {place} cannot be understood; correct that line"),
            None => "the AWS CLI's config or credentials file cannot be read (AWS_CONFIG_FILE, \
                     AWS_SHARED_CREDENTIALS_FILE, or in ~/.aws); let this user read it"
                .to_owned(),
        }
    })
}

/// `error parsing PATH on line N:` as `PATH, line N,`.
fn place_in(first: &str) -> Option<String> {
    let (path, line) = first.strip_prefix("error parsing ")?.rsplit_once(" on line ")?;
    let line: u32 = line.trim_end_matches(':').parse().ok()?;
    Some(format!("{}, line {line},", shown(path)))
}

fn no_profile(name: &str, profiles: &ProfileSet) -> String {
    let near = profiles.profiles().map(|known| (levenshtein(name, known), known)).min();
    let near = near.filter(|(far, _)| *far <= name.len() / 3).map(|(_, known)| format!(" Is it {}?", shown(known)));
    format!(
        "there is no profile {} in the AWS CLI's files.{} aws configure list-profiles lists them",
        shown(name),
        near.unwrap_or_default()
    )
}

#[cfg(test)]
#[path = "aws_tests.rs"]
mod tests;
