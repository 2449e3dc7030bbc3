//! Reads whose key it is and switches it on or off. The only file here that calls IAM; it decides nothing.

use crate::{Besides, Change, ExposedAccessKey, Found, State};
use aws_config::SdkConfig;
use iam::{AccessKeyId, Iam, LastUse, UserName};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use std::time::Duration;
use tokio::time::timeout;

/// How the names of AWS's quarantine policies begin.
/// <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html>
const QUARANTINE: &[&str] = &["AWSCompromisedKeyQuarantine", "AWSExposedCredentialPolicy"];
/// How long a read may take that only tells people something: the key works for strangers meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// IAM's access keys, as this control needs them.
#[derive(Debug)]
pub struct Keys {
    iam: Iam,
}

impl Keys {
    /// IAM as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { iam: Iam::new(sdk) }
    }

    /// What else a user has. What cannot be read in time is not worth waiting for.
    async fn besides(&self, user: &UserName) -> Besides {
        let (attached, password) =
            tokio::join!(timeout(PATIENCE, self.iam.attached(user)), timeout(PATIENCE, self.iam.has_password(user)));
        let quarantine = attached.ok().and_then(Result::ok).map(|mut names| {
            names.retain(|name| QUARANTINE.iter().any(|begins| name.starts_with(begins)));
            names
        });
        Besides { quarantine, password: password.ok().and_then(Result::ok) }
    }
}

impl Cloud<ExposedAccessKey> for Keys {
    async fn observe(&self, place: &Place<AccessKeyId>, _: &Occasion) -> Result<Option<State>, Fault> {
        let key = place.target.clone();
        if key.is_temporary() {
            return Ok(Some(State::Session { key }));
        }
        let answer = match self.iam.last_use(&key).await {
            Err(Fault::Gone) => return Ok(Some(State::Nobodys { key })),
            answer => answer?,
        };
        let Some(user) = answer.user else { return Ok(Some(State::Nobodys { key })) };
        let keys = match self.iam.keys(&user).await {
            Err(Fault::Gone) => return Ok(Some(State::Nobodys { key })),
            keys => keys?,
        };
        let Some(own) = keys.iter().find(|own| own.id == key) else { return Ok(Some(State::Nobodys { key })) };
        let active = own.active;
        let besides = if active { Some(self.besides(&user).await) } else { None };
        let ours = self.iam.own_key().await?.as_ref() == Some(&key);
        let others = keys.into_iter().filter(|other| other.active && other.id != key).map(|other| other.id).collect();
        Ok(Some(State::User(Found { key, user, active, ours, last_used: answer.last, others, besides })))
    }

    async fn apply(&self, _: &Place<AccessKeyId>, change: &Change) -> Result<(), Fault> {
        match change {
            Change::Deactivate { user, key } => self.iam.switch(user, key, false).await,
            Change::Reactivate { user, key } => self.iam.switch(user, key, true).await,
        }
    }

    /// Those of the user whose key it is: keys have none.
    async fn tags(&self, place: &Place<AccessKeyId>) -> Result<Vec<(String, String)>, Fault> {
        if place.target.is_temporary() {
            return Ok(Vec::new());
        }
        match self.iam.last_use(&place.target).await {
            Ok(LastUse { user: Some(user), .. }) => self.iam.tags(&user).await,
            Ok(LastUse { user: None, .. }) | Err(Fault::Gone) => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    async fn list(&self, _: &AccountId, _: &Region, _: &Occasion, _: Option<&str>) -> Result<Page<AccessKeyId>, Fault> {
        Err(Fault::GiveUp("this control is for one key at a time: name the key that was found".to_owned()))
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
