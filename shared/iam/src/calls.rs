//! Calls to IAM, page by page where there are pages.

use crate::fault::fault;
use crate::ids::{AccessKeyId, UserId, UserName};
use crate::report::Report;
use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_iam::operation::generate_credential_report::GenerateCredentialReportError;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{ReportStateType, StatusType};
use futures_util::future::try_join_all;
use remediation::{AccountId, Fault, Page};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use time::{Duration, OffsetDateTime};
use tokio::sync::{Mutex, OnceCell};

/// How many users a page of a sweep holds. IAM's page size is at most 1000, and it may give fewer.
const PAGE: i32 = 200;
/// How many pages one listing can have before something is wrong: an account has 5000 users at most.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const MOST_PAGES: usize = 1000;
/// How long names that were listed are good for. One invocation can be about many users; a rename is rare.
const REMEMBERED: Duration = Duration::minutes(1);
/// How long a report that was read is good for without asking again.
const REREAD: Duration = Duration::minutes(5);
/// How old a report can be before IAM makes a new one.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>
const REPORT_LASTS: Duration = Duration::hours(4);
/// Waits between questions whether the report is ready, in milliseconds. It takes seconds, as a rule.
const REPORT_WAITS: &[u64] = &[0, 250, 500, 1000, 1500, 2000, 2000];

/// IAM, as access key controls need it.
#[derive(Debug)]
pub struct Iam {
    client: Client,
    credentials: Option<SharedCredentialsProvider>,
    own_key: OnceCell<Option<AccessKeyId>>,
    names: Mutex<Option<Names>>,
    report: RefCell<Option<(OffsetDateTime, Rc<Report>)>>,
}

#[derive(Debug)]
struct Names {
    listed: OffsetDateTime,
    by_id: HashMap<String, UserName>,
}

/// An access key of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: AccessKeyId,
    /// Whether requests can be signed with it.
    pub active: bool,
    /// When it was made.
    pub created: OffsetDateTime,
}

/// What IAM knows of a key's last use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// Whose key it is; none if IAM names nobody, or nobody who could be a user.
    pub user: Option<UserName>,
    /// Its last use; none if it was never used since April 2015, when IAM began to take note.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html>
    pub last: Option<Use>,
}

/// One use of a key. A call that was denied is a use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The service: `s3`.
    pub service: String,
    /// The region: `us-east-1`.
    pub region: String,
}

/// A user's own facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The unique id.
    pub id: String,
    /// The account that the user is in: that of our credentials.
    pub account: String,
    /// The path: `/`, `/break-glass/`.
    pub path: String,
    /// The tags.
    pub tags: Vec<(String, String)>,
}

impl Iam {
    /// IAM as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
            credentials: sdk.credentials_provider(),
            own_key: OnceCell::new(),
            names: Mutex::default(),
            report: RefCell::default(),
        }
    }

    /// The key that signs our own calls, if it is a user's; none in Lambda, whose credentials are a session's. No call.
    pub async fn own_key(&self) -> Result<Option<AccessKeyId>, Fault> {
        let read = async || {
            let Some(provider) = &self.credentials else { return Ok(None) };
            let credentials = provider.provide_credentials().await;
            let credentials = credentials
                .map_err(|_| Fault::Retry("our own credentials could not be read: nothing was written".to_owned()))?;
            Ok(AccessKeyId::parse(credentials.access_key_id()).ok().filter(|key| !key.is_temporary()))
        };
        self.own_key.get_or_try_init(read).await.cloned()
    }

    /// The user's keys, active or not. [`Fault::Gone`] if there is no such user. Needs `iam:ListAccessKeys`.
    pub async fn keys(&self, user: &UserName) -> Result<Vec<Key>, Fault> {
        let resource = format!("user {user}");
        let (mut keys, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.client.list_access_keys().user_name(user.as_str()).set_marker(marker);
            let answer = call.send().await.map_err(|error| fault(&error, "iam:ListAccessKeys", &resource))?;
            for key in answer.access_key_metadata {
                let id = key.access_key_id.as_deref().and_then(|id| AccessKeyId::parse(id).ok());
                let created = key.create_date.and_then(|date| moment(&date));
                let (Some(id), Some(status), Some(created)) = (id, key.status, created) else {
                    return Err(Fault::Lost(format!("iam:ListAccessKeys on {resource}: half of a key is missing")));
                };
                keys.push(Key { id, active: status == StatusType::Active, created });
            }
            marker = answer.marker.filter(|_| answer.is_truncated);
            if marker.is_none() {
                return Ok(keys);
            }
        }
        Err(endless("iam:ListAccessKeys"))
    }

    /// When a key was last used, and whose it is. [`Fault::Gone`] if there is no such key in the account. Needs
    /// `iam:GetAccessKeyLastUsed`.
    pub async fn last_use(&self, key: &AccessKeyId) -> Result<LastUse, Fault> {
        let sent = self.client.get_access_key_last_used().access_key_id(key.as_str()).send().await;
        let resource = format_args!("access key {key}").to_string();
        let answer = sent.map_err(|error| fault(&error, "iam:GetAccessKeyLastUsed", &resource))?;
        let used = answer.access_key_last_used;
        Ok(LastUse {
            user: answer.user_name.and_then(|name| UserName::parse(&name).ok()),
            last: used.and_then(|used| {
                let at = used.last_used_date.as_ref().and_then(moment)?;
                Some(Use { at, service: word(&used.service_name), region: word(&used.region) })
            }),
        })
    }

    /// The same for several keys, beside each other; a key that is gone by now has none.
    pub async fn last_uses(&self, keys: &[AccessKeyId]) -> Result<Vec<Option<LastUse>>, Fault> {
        try_join_all(keys.iter().map(async |key| match self.last_use(key).await {
            Err(Fault::Gone) => Ok(None),
            used => used.map(Some),
        }))
        .await
    }

    /// A user's path and tags. [`Fault::Gone`] if there is no such user. Needs `iam:GetUser`.
    pub async fn user(&self, user: &UserName) -> Result<Profile, Fault> {
        let sent = self.client.get_user().user_name(user.as_str()).send().await;
        let resource = format!("user {user}");
        let answer = sent.map_err(|error| fault(&error, "iam:GetUser", &resource))?;
        let Some(user) = answer.user else {
            return Err(Fault::Lost(format!("iam:GetUser on {resource}: there is no user in the answer")));
        };
        Ok(Profile {
            account: user.arn.split(':').nth(4).unwrap_or_default().to_owned(),
            id: user.user_id,
            path: user.path,
            tags: user.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
        })
    }

    /// A user's tags, keys and values; none if there is no such user. Needs `iam:ListUserTags`.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUserTags.html>
    pub async fn tags(&self, user: &UserName) -> Result<Vec<(String, String)>, Fault> {
        let resource = format!("user {user}");
        let (mut tags, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.client.list_user_tags().user_name(user.as_str()).set_marker(marker);
            let sent = call.send().await;
            let answer = match sent.map_err(|error| fault(&error, "iam:ListUserTags", &resource)) {
                Err(Fault::Gone) => return Ok(Vec::new()),
                answer => answer?,
            };
            tags.extend(answer.tags.into_iter().map(|tag| (tag.key, tag.value)));
            marker = answer.marker.filter(|_| answer.is_truncated);
            if marker.is_none() {
                return Ok(tags);
            }
        }
        Err(endless("iam:ListUserTags"))
    }

    /// One page of the account's users: unique ids and names. Needs `iam:ListUsers`.
    pub async fn users(&self, account: &AccountId, after: Option<&str>) -> Result<Page<(String, UserName)>, Fault> {
        let call = self.client.list_users().max_items(PAGE).set_marker(after.map(str::to_owned));
        let resource = format!("account {account}");
        let answer = call.send().await.map_err(|error| fault(&error, "iam:ListUsers", &resource))?;
        let users = answer.users.into_iter();
        // A name that does not parse cannot be addressed, and IAM gives none such.
        let targets = users.filter_map(|user| Some((user.user_id, UserName::parse(&user.user_name).ok()?)));
        Ok(Page { targets: targets.collect(), next: answer.marker.filter(|_| answer.is_truncated) })
    }

    /// The name of the user with a unique id; none if there is no such user. No call of IAM's takes the id, so the users
    /// are listed until it comes, and remembered for a minute; who asks meanwhile waits for that listing. Needs
    /// `iam:ListUsers`.
    pub async fn name_of(
        &self,
        id: &UserId,
        account: &AccountId,
        now: OffsetDateTime,
    ) -> Result<Option<UserName>, Fault> {
        let mut remembered = self.names.lock().await;
        if let Some(names) = &*remembered
            && (now - names.listed).abs() < REMEMBERED
            && let Some(name) = names.by_id.get(id.as_str())
        {
            return Ok(Some(name.clone()));
        }
        let (mut by_id, mut after) = (HashMap::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self.users(account, after.as_deref()).await?;
            by_id.extend(page.targets);
            after = page.next;
            let found = by_id.get(id.as_str()).cloned();
            if found.is_some() || after.is_none() {
                *remembered = Some(Names { listed: now, by_id });
                return Ok(found);
            }
        }
        Err(endless("iam:ListUsers"))
    }

    /// Switches a user's key on or off. The user is always named: without it, IAM takes the caller's own.
    /// [`Fault::Gone`] if the user has no such key. Needs `iam:UpdateAccessKey`.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html>
    pub async fn switch(&self, user: &UserName, key: &AccessKeyId, active: bool) -> Result<(), Fault> {
        let status = if active { StatusType::Active } else { StatusType::Inactive };
        let call = self.client.update_access_key().user_name(user.as_str()).access_key_id(key.as_str());
        let resource = format!("access key {key} of user {user}");
        call.status(status).send().await.map(drop).map_err(|error| fault(&error, "iam:UpdateAccessKey", &resource))
    }

    /// The names of the managed policies that are attached to a user itself. Needs `iam:ListAttachedUserPolicies`.
    pub async fn attached(&self, user: &UserName) -> Result<Vec<String>, Fault> {
        let resource = format!("user {user}");
        let (mut names, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.client.list_attached_user_policies().user_name(user.as_str()).set_marker(marker);
            let answer = call.send().await.map_err(|error| fault(&error, "iam:ListAttachedUserPolicies", &resource))?;
            let policies = answer.attached_policies.unwrap_or_default().into_iter();
            names.extend(policies.filter_map(|policy| policy.policy_name));
            marker = answer.marker.filter(|_| answer.is_truncated);
            if marker.is_none() {
                return Ok(names);
            }
        }
        Err(endless("iam:ListAttachedUserPolicies"))
    }

    /// Whether a user has a password for the console. Needs `iam:GetLoginProfile`.
    pub async fn has_password(&self, user: &UserName) -> Result<bool, Fault> {
        let sent = self.client.get_login_profile().user_name(user.as_str()).send().await;
        match sent.map_err(|error| fault(&error, "iam:GetLoginProfile", &format!("user {user}"))) {
            Ok(_) => Ok(true),
            Err(Fault::Gone) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// The credential report: the one that IAM has, if it is no older than IAM keeps it, or a new one. None if none is ready
    /// within some seconds, or it cannot be read. Needs `iam:GetCredentialReport` and `iam:GenerateCredentialReport`.
    pub async fn report(&self, now: OffsetDateTime) -> Result<Option<Rc<Report>>, Fault> {
        if let Some((read, report)) = &*self.report.borrow()
            && (now - *read).abs() < REREAD
        {
            return Ok(Some(Rc::clone(report)));
        }
        let mut found = self.last_report().await?.filter(|report| now - report.made < REPORT_LASTS);
        for wait in REPORT_WAITS {
            if found.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(*wait)).await;
            if self.ready().await? {
                found = self.last_report().await?;
            }
        }
        let found = found.map(Rc::new);
        self.report.replace(found.clone().map(|report| (now, report)));
        Ok(found)
    }

    /// Asks for a new report; whether it is there.
    async fn ready(&self) -> Result<bool, Fault> {
        match self.client.generate_credential_report().send().await {
            Ok(answer) => Ok(answer.state == Some(ReportStateType::Complete)),
            Err(error)
                if error.as_service_error().is_some_and(GenerateCredentialReportError::is_limit_exceeded_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(fault(&error, "iam:GenerateCredentialReport", &"the credential report")),
        }
    }

    async fn last_report(&self) -> Result<Option<Report>, Fault> {
        let answer = match self.client.get_credential_report().send().await {
            Ok(answer) => answer,
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_credential_report_not_present_exception()
                        || e.is_credential_report_expired_exception()
                        || e.is_credential_report_not_ready_exception()
                }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(fault(&error, "iam:GetCredentialReport", &"the credential report")),
        };
        let made = answer.generated_time.as_ref().and_then(moment);
        let text = answer.content.and_then(|blob| String::from_utf8(blob.into_inner()).ok());
        Ok(made.zip(text).and_then(|(made, text)| Report::read(&text, made)))
    }
}

fn moment(date: &DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(date.secs()).ok()
}

/// A service's or region's name as records may hold it: a word, and short.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-./_".contains(*c)).take(64).collect()
}

fn endless(action: &str) -> Fault {
    Fault::GiveUp(format!("{action}: the listing does not end"))
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
