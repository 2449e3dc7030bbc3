//! What every control of a process works with: the SDK's configuration, the ledger, the deployment's settings.

use crate::accounts::Accounts;
use crate::caller::Callers;
use crate::connection::OneConnector;
use crate::event::Own;
use crate::queue::Queue;
use crate::replies::Replies;
use crate::settings::Settings;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, SdkConfig};
use ledger::{Dynamo, LEASE, Ledger};
use std::rc::Rc;
use std::time::Duration;
use triggers::ids::{AccountId, Region};

/// An environment variable, as [`Settings::read`] and its kin look them up.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What every control of a process works with.
#[derive(Debug)]
pub struct Tools {
    /// The SDK's configuration.
    pub sdk: SdkConfig,
    /// Who waits for answers, in our own account and region.
    pub replies: Rc<Replies>,
    /// The SDK's configuration in each account that we work in.
    pub accounts: Accounts,
    /// By which a large sweep hands its parts to other invocations.
    pub(crate) others: Option<Queue>,
    /// Who can tell who sent a request.
    pub callers: Callers,
    /// The ledger, if there is one.
    pub ledger: Option<Ledger>,
}

impl Tools {
    /// What the environment says: the ledger is the DynamoDB table that `SUTURE_LEDGER` names, and its leases have
    /// `SUTURE_LEASE_SECONDS` (60 if nothing is said; shorter where Lambda's retries come sooner than in AWS). Large sweeps
    /// hand their parts over by the queue whose URL `SUTURE_SWEEP_QUEUE` is. Other accounts' roles and which account is our own
    /// are as [`Settings::read`] and [`Here::read`] have them.
    ///
    /// # Errors
    /// A variable that makes no sense, by its name.
    pub async fn connect(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let lease = match set("SUTURE_LEASE_SECONDS") {
            None => LEASE,
            Some(seconds) => match seconds.parse() {
                Ok(seconds @ 1..=900) => Duration::from_secs(seconds),
                _ => return Err("SUTURE_LEASE_SECONDS is no number of seconds from 1 to 900".to_owned()),
            },
        };
        let own = own_account(&variable, "")?;
        let settings = Settings::read(&variable, own.as_ref(), None)?;
        let sdk = sdk_config().await;
        let ledger = set("SUTURE_LEDGER").map(|table| Ledger::new(Rc::new(Dynamo::new(&sdk, table))).with_lease(lease));
        let accounts = Accounts::new(sdk.clone(), own, settings.member_role);
        let others = set("SUTURE_SWEEP_QUEUE").map(|url| Queue::new(&sdk, url));
        Ok(Self { accounts, others, ..Self::with(sdk, ledger) })
    }

    /// These, in our own account and with nobody to hand anything to.
    pub fn with(sdk: SdkConfig, ledger: Option<Ledger>) -> Self {
        Self {
            replies: Rc::new(Replies::new(&sdk)),
            accounts: Accounts::new(sdk.clone(), None, None),
            others: None,
            callers: Callers::new(&sdk),
            sdk,
            ledger,
        }
    }
}

/// Where the process is, and what its deployment sets.
#[derive(Clone, Debug)]
pub struct Here {
    /// The deployment's settings.
    pub settings: Settings,
    /// The account that our credentials are of, where it is known.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Option<Region>,
}

impl Here {
    /// What the environment and the function's ARN say.
    ///
    /// # Errors
    /// A variable that makes no sense, by its name.
    pub fn read(variable: impl Fn(&str) -> Option<String>, function_arn: &str) -> Result<Self, String> {
        let account = own_account(&variable, function_arn)?;
        let region = variable("AWS_REGION").and_then(|region| Region::parse(&region).ok());
        let settings = Settings::read(&variable, account.as_ref(), region.as_ref())?;
        Ok(Self { settings, account, region })
    }

    /// The same, as event reading wants it.
    pub fn own(&self) -> Own<'_> {
        Own { account: self.account.as_ref(), region: self.region.as_ref() }
    }
}

/// The account that our credentials are of: `SUTURE_ACCOUNT`, as the template sets it, or else the one in the function's ARN
/// (`sam local` makes one up).
pub(super) fn own_account(
    variable: impl Fn(&str) -> Option<String>,
    function_arn: &str,
) -> Result<Option<AccountId>, String> {
    match variable("SUTURE_ACCOUNT").filter(|id| !id.trim().is_empty()) {
        Some(id) => AccountId::parse(id.trim()).map(Some).map_err(|why| format!("SUTURE_ACCOUNT: {why}")),
        None => Ok(function_arn.split(':').nth(4).and_then(|id| AccountId::parse(id).ok())),
    }
}

/// One SDK configuration for every client, as [`sdk_loader`] has it and the environment says.
pub async fn sdk_config() -> SdkConfig {
    sdk_loader().load().await
}

/// What every SDK configuration of ours begins with. No emulator is named here: `AWS_ENDPOINT_URL` and its kin do that.
///
/// Times are short because the driver's deadline is the invocation's: the SDK must have tried again well before it.
/// <https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>
pub fn sdk_loader() -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(20))
        .build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_millis(100)))
        .timeout_config(timeouts)
        .http_client(OneConnector::default())
        // It watches for slow downloads; ours are a few hundred bytes.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    match AppName::new("suture") {
        Ok(name) => loader.app_name(name),
        Err(_) => loader,
    }
}
