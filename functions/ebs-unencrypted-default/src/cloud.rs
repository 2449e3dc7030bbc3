//! Reads an account's EBS defaults and makes single writes to them. The only file here that knows the AWS SDK; it
//! decides nothing.

use crate::{Change, KeyArn, Parameters, Seen, State, UnencryptedDefault, keys};
use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_kms::error::ProvideErrorMetadata;
use ec2::{Clients, dry_run, fault};
use remediation::fault::Attempt;
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use std::collections::BTreeMap;

/// EC2 and KMS, as this control needs them.
#[derive(Debug)]
pub struct Ebs {
    ec2: Clients,
    kms: kms::Clients,
    parameters: Parameters,
}

impl Ebs {
    /// EC2 and KMS as this configuration reaches them. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { ec2: Clients::new(sdk), kms: kms::Clients::new(sdk), parameters }
    }

    /// What KMS says of a key. <https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>
    async fn seen(&self, region: &Region, key: &str) -> Result<Seen, Fault> {
        let answer = match self.kms.at(region).describe_key().key_id(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NotFoundException") => return Ok(Seen::Missing),
            Err(error) => {
                let attempt =
                    Attempt { action: "kms:DescribeKey", resource: &format_args!("key {}", keys::short(key)) };
                return match attempt.fault(&error) {
                    // A key's own policy can hide it from us: that must not keep the account from being looked at.
                    Fault::Denied { .. } => Ok(Seen::Unreadable),
                    fault => Err(fault),
                };
            }
        };
        let Some(key) = answer.key_metadata else { return Ok(Seen::Unreadable) };
        Ok(Seen::Found {
            state: key.key_state.map(|state| state.as_str().to_owned()).unwrap_or_default(),
            usage: key.key_usage.map(|usage| usage.as_str().to_owned()).unwrap_or_default(),
            spec: key.key_spec.map(|spec| spec.as_str().to_owned()).unwrap_or_default(),
        })
    }

    async fn wanted(&self, region: &Region, wanted: Option<&KeyArn>) -> Result<Option<Seen>, Fault> {
        match wanted {
            None => Ok(None),
            Some(key) => self.seen(region, key.as_str()).await.map(Some),
        }
    }
}

async fn encrypted(client: &Client, account: &AccountId) -> Result<bool, Fault> {
    let sent = client.get_ebs_encryption_by_default().send().await;
    let resource = format_args!("account {account}");
    let answer = sent.map_err(|error| fault(&error, "ec2:GetEbsEncryptionByDefault", &resource))?;
    answer.ebs_encryption_by_default.ok_or_else(|| unsaid("ec2:GetEbsEncryptionByDefault", account))
}

async fn default_key(client: &Client, account: &AccountId) -> Result<String, Fault> {
    let sent = client.get_ebs_default_kms_key_id().send().await;
    let resource = format_args!("account {account}");
    let answer = sent.map_err(|error| fault(&error, "ec2:GetEbsDefaultKmsKeyId", &resource))?;
    answer.kms_key_id.filter(|key| !key.is_empty()).ok_or_else(|| unsaid("ec2:GetEbsDefaultKmsKeyId", account))
}

/// An answer without what was asked for: nothing is to be concluded from it, least of all what an undo goes back to.
fn unsaid(action: &str, account: &AccountId) -> Fault {
    Fault::Lost(format!("{action} on account {account}: the answer does not say"))
}

/// One call of the writes, real or rehearsed; true if EC2 says that it would make it.
async fn write(client: &Client, account: &AccountId, change: &Change, dry: bool) -> Result<bool, Fault> {
    let resource = format_args!("account {account}");
    let dry_flag = dry.then_some(true);
    macro_rules! call {
        ($action:literal, $call:expr) => {{
            let sent = $call.set_dry_run(dry_flag).send().await;
            if dry {
                dry_run(sent, $action, &resource)
            } else {
                sent.map(|_| false).map_err(|error| fault(&error, $action, &resource))
            }
        }};
    }
    match change {
        Change::Enable => call!("ec2:EnableEbsEncryptionByDefault", client.enable_ebs_encryption_by_default()),
        Change::Disable => call!("ec2:DisableEbsEncryptionByDefault", client.disable_ebs_encryption_by_default()),
        Change::SetKey { to, .. } => {
            call!("ec2:ModifyEbsDefaultKmsKeyId", client.modify_ebs_default_kms_key_id().kms_key_id(to))
        }
        Change::ResetKey { .. } => call!("ec2:ResetEbsDefaultKmsKeyId", client.reset_ebs_default_kms_key_id()),
    }
}

impl Cloud<UnencryptedDefault> for Ebs {
    async fn observe(&self, place: &Place<AccountId>, _: &Occasion) -> Result<Option<State>, Fault> {
        if place.target != place.account {
            let (target, account) = (&place.target, &place.account);
            return Err(Fault::GiveUp(format!(
                "the request is about account {target}, and names {account} as its account"
            )));
        }
        let (client, region) = (self.ec2.at(&place.region), &place.region);
        let wanted = self.parameters.ebs_keys.of(region).cloned();
        let (encrypted, key, seen) = tokio::try_join!(
            encrypted(&client, &place.account),
            default_key(&client, &place.account),
            self.wanted(region, wanted.as_ref())
        )?;
        let mut found = BTreeMap::new();
        if let (Some(wanted), Some(seen)) = (&wanted, seen) {
            found.insert(wanted.to_string(), seen);
        }
        let looked_at = found.keys().any(|name| keys::same(name, &key));
        if !keys::is_managed(&key) && !looked_at {
            let seen = self.seen(region, &key).await?;
            found.insert(key.clone(), seen);
        }
        Ok(Some(State { encrypted, key, wanted, keys: found }))
    }

    async fn apply(&self, place: &Place<AccountId>, change: &Change) -> Result<(), Fault> {
        let client = self.ec2.at(&place.region);
        if let Change::SetKey { from, .. } | Change::ResetKey { from } = change
            && !keys::same(&default_key(&client, &place.account).await?, from)
        {
            let why =
                format!("account {}: the default key was changed since we looked; nothing was written", place.account);
            return Err(Fault::Moved(why));
        }
        write(&client, &place.account, change, false).await.map(drop)
    }

    async fn rehearse(&self, place: &Place<AccountId>, change: &Change) -> Result<bool, Fault> {
        write(&self.ec2.at(&place.region), &place.account, change, true).await
    }

    /// None: no API gives an account's own settings tags.
    async fn tags(&self, _: &Place<AccountId>) -> Result<Vec<(String, String)>, Fault> {
        Ok(Vec::new())
    }

    async fn list(
        &self,
        account: &AccountId,
        _: &Region,
        _: &Occasion,
        _: Option<&str>,
    ) -> Result<Page<AccountId>, Fault> {
        Ok(Page { targets: vec![account.clone()], next: None })
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
