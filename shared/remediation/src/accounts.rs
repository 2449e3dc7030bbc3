//! One control, many accounts: its cloud half for each account, reached through the role that the account lends us.
//!
//! A function runs in one account, the hub's, with that account's credentials. A member account has a role for each control
//! (`member.yaml`) that trusts the control's own role in the hub and nobody else, asks for an external id, and allows what
//! the control's own role allows. Which accounts may be worked in is the gate's business ([`crate::gate`]); here nothing is
//! asked of STS before a control wants to look at something.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html>,
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use crate::control::{Cloud, Control, Occasion, Page, Place};
use crate::fault::{Attempt, DeniedBy, Fault};
use crate::replies::Replies;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts as sts;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use triggers::ids::{AccountId, Region};

/// What stands for the account in the name of a member's role.
pub const ACCOUNT: &str = "{account}";
/// The name of our sessions, as CloudTrail shows it in the member account.
const SESSION: &str = "suture";

/// The role that every member account lends to this function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRole {
    /// Its ARN, in which [`ACCOUNT`] stands for the account.
    pub arn: String,
    /// The external id that it asks for, if it asks for one.
    pub external_id: Option<String>,
}

impl MemberRole {
    /// The ARN of the role in this account.
    pub fn of(&self, account: &AccountId) -> String {
        self.arn.replace(ACCOUNT, account.as_str())
    }
}

/// The SDK's configuration for each account: our own credentials at home, the member's role elsewhere.
pub struct Accounts {
    home: SdkConfig,
    own: Option<AccountId>,
    member_role: Option<MemberRole>,
    members: RefCell<HashMap<AccountId, SdkConfig>>,
    replies: RefCell<HashMap<(AccountId, Region), Rc<Replies>>>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("own", &self.own)
            .field("member_role", &self.member_role)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// With the credentials of `home`, which are of the account `own` where that is known. Without a member role they are
    /// used for every account: what AWS then says is what is reported.
    pub fn new(home: SdkConfig, own: Option<AccountId>, member_role: Option<MemberRole>) -> Self {
        Self { home, own, member_role, members: RefCell::default(), replies: RefCell::default() }
    }

    /// Whether an account is worked in with our own credentials.
    fn is_home(&self, account: &AccountId) -> bool {
        self.member_role.is_none() || self.own.as_ref() == Some(account)
    }

    /// The configuration for an account. The first time that a member account is worked in, its role is assumed.
    ///
    /// # Errors
    /// What STS says, as any other call's fault.
    pub async fn sdk(&self, account: &AccountId) -> Result<SdkConfig, Fault> {
        let Some(role) = self.member_role.as_ref().filter(|_| !self.is_home(account)) else {
            return Ok(self.home.clone());
        };
        if let Some(sdk) = self.members.borrow().get(account) {
            return Ok(sdk.clone());
        }
        let session = Session::new(&self.home, role, account);
        // Asked for at once, so that a refusal is told as what it is and not as one of S3's or EC2's.
        let credentials = session.assume().await?;
        *session.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
        let sdk =
            self.home.clone().into_builder().credentials_provider(SharedCredentialsProvider::new(session)).build();
        // Whoever asked at the same time has one as good; the first that is kept serves all that come after.
        Ok(self.members.borrow_mut().entry(account.clone()).or_insert(sdk).clone())
    }

    /// Who waits for answers in an account and region.
    ///
    /// # Errors
    /// As [`Self::sdk`].
    pub async fn replies(&self, account: &AccountId, region: &Region) -> Result<Rc<Replies>, Fault> {
        let place = (account.clone(), region.clone());
        if let Some(replies) = self.replies.borrow().get(&place) {
            return Ok(Rc::clone(replies));
        }
        let sdk = self.sdk(account).await?;
        let sdk = sdk.into_builder().region(aws_config::Region::new(region.to_string())).build();
        let replies = Rc::new(Replies::new(&sdk));
        Ok(Rc::clone(self.replies.borrow_mut().entry(place).or_insert(replies)))
    }
}

/// A member account's credentials: those that are there already, then new ones from STS when the SDK asks for them, which it
/// does before they end.
struct Session {
    sts: sts::Client,
    role: String,
    external_id: Option<String>,
    account: AccountId,
    first: Mutex<Option<Credentials>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Session {
    fn new(home: &SdkConfig, role: &MemberRole, account: &AccountId) -> Self {
        Self {
            sts: sts::Client::new(home),
            role: role.of(account),
            external_id: role.external_id.clone(),
            account: account.clone(),
            first: Mutex::new(None),
        }
    }

    async fn assume(&self) -> Result<Credentials, Fault> {
        let call = self.sts.assume_role().role_arn(&self.role).role_session_name(SESSION);
        let sent = call.set_external_id(self.external_id.clone()).send().await;
        let resource = format!("the role {}", self.role);
        let answer = sent.map_err(|error| {
            let attempt = Attempt { action: "sts:AssumeRole", resource: &resource };
            match attempt.fault(&error) {
                // Both sides have a say, and AWS does not tell which of them said no.
                Fault::Denied { by: DeniedBy::Unsaid | DeniedBy::OurRole, .. } => Fault::GiveUp(format!(
                    "sts:AssumeRole on {resource} was denied: the account has no such role, the role does not trust this \
                     function or wants another external id, or our own role may not assume it; deploy member.yaml to \
                     account {} with this deployment's settings",
                    self.account
                )),
                fault => fault,
            }
        })?;
        let given = answer.credentials.ok_or_else(|| {
            Fault::Retry(format!("sts:AssumeRole on {resource}: the answer has no credentials; try again"))
        })?;
        let ends = SystemTime::try_from(given.expiration).ok();
        let token = Some(given.session_token);
        Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, ends, "member role"))
    }
}

impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async {
            let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
            match first {
                Some(credentials) => Ok(credentials),
                // In our words: the SDK's own would end up in its errors.
                None => self.assume().await.map_err(|fault| CredentialsError::provider_error(fault.to_string())),
            }
        })
    }
}

/// A control's cloud half in every account: each made when the account is worked in first.
pub(crate) struct Clouds<'a, K, F> {
    accounts: &'a Accounts,
    connect: F,
    by_account: RefCell<HashMap<AccountId, Rc<K>>>,
}

impl<'a, K, F: Fn(&SdkConfig) -> K> Clouds<'a, K, F> {
    /// Those that `connect` makes of an account's configuration.
    pub(crate) fn new(accounts: &'a Accounts, connect: F) -> Self {
        let clouds = Self { accounts, connect, by_account: RefCell::default() };
        // The one that nearly every event is about, before the first of them comes.
        if let Some(own) = &accounts.own {
            let cloud = Rc::new((clouds.connect)(&accounts.home));
            clouds.by_account.borrow_mut().insert(own.clone(), cloud);
        }
        clouds
    }

    async fn of(&self, account: &AccountId) -> Result<Rc<K>, Fault> {
        if let Some(cloud) = self.by_account.borrow().get(account) {
            return Ok(Rc::clone(cloud));
        }
        // Boxed: it is large, and hardly any call asks for it.
        let sdk = Box::pin(self.accounts.sdk(account)).await?;
        let cloud = || Rc::new((self.connect)(&sdk));
        Ok(Rc::clone(self.by_account.borrow_mut().entry(account.clone()).or_insert_with(cloud)))
    }
}

// Boxed: SDK calls' futures are deep, and one more around each is more than the compiler lays out.
impl<C: Control, K: Cloud<C>, F: Fn(&SdkConfig) -> K> Cloud<C> for Clouds<'_, K, F> {
    async fn observe(&self, place: &Place<C::Target>, occasion: &Occasion) -> Result<Option<C::State>, Fault> {
        let cloud = self.of(&place.account).await?;
        Box::pin(cloud.observe(place, occasion)).await
    }

    async fn apply(&self, place: &Place<C::Target>, change: &C::Change) -> Result<(), Fault> {
        let cloud = self.of(&place.account).await?;
        Box::pin(cloud.apply(place, change)).await
    }

    async fn rehearse(&self, place: &Place<C::Target>, change: &C::Change) -> Result<bool, Fault> {
        let cloud = self.of(&place.account).await?;
        Box::pin(cloud.rehearse(place, change)).await
    }

    async fn tags(&self, place: &Place<C::Target>) -> Result<Vec<(String, String)>, Fault> {
        let cloud = self.of(&place.account).await?;
        Box::pin(cloud.tags(place)).await
    }

    async fn list(
        &self,
        account: &AccountId,
        region: &Region,
        occasion: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<C::Target>, Fault> {
        let cloud = self.of(account).await?;
        Box::pin(cloud.list(account, region, occasion, after)).await
    }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
