//! Reads a user's keys and switches single ones on or off. The only file here that calls IAM; it decides nothing.

use crate::parameters::{OwnLimit, Parameters};
use crate::{Because, Change, Key, StaleAccessKey, State, Verdict, judge};
use aws_config::SdkConfig;
use iam::{AccessKeyId, Iam, Owner, RowKey, Use, User, UserName, Who};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use time::OffsetDateTime;

/// IAM's users, as this control needs them.
#[derive(Debug)]
pub struct Users {
    iam: Iam,
    parameters: Parameters,
}

impl Users {
    /// IAM as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { iam: Iam::new(sdk), parameters }
    }

    /// The name of the user that is meant; none if there is no such user.
    async fn named(&self, place: &Place<User>, now: OffsetDateTime) -> Result<Option<UserName>, Fault> {
        let (found, text) = match &place.target.who {
            Who::Root => return Ok(None),
            Who::Name(name) => return Ok(Some(name.clone())),
            Who::Id(id) => (self.iam.name_of(id, &place.account, now).await?, id.as_str()),
            Who::Key(key) => match self.iam.last_use(key).await {
                Err(Fault::Gone) => (None, key.as_str()),
                used => (used?.user, key.as_str()),
            },
        };
        // A user can be called like an id or a key.
        Ok(found.or_else(|| UserName::parse(text).ok()))
    }

    async fn user(&self, place: &Place<User>, name: UserName, now: OffsetDateTime) -> Result<State, Fault> {
        let (keys, profile) = tokio::try_join!(self.iam.keys(&name), self.iam.user(&name))?;
        // IAM's calls take no account: they reach our own, and there may be a user of the same name.
        if profile.account != place.account.as_str() {
            return Err(Fault::GiveUp(format!(
                "our credentials are of another account than {}: its users are out of reach from here",
                place.account
            )));
        }
        let active: Vec<AccessKeyId> = keys.iter().filter(|key| key.active).map(|key| key.id.clone()).collect();
        let own = if active.is_empty() { None } else { self.iam.own_key().await? };
        let mut answers = self.iam.last_uses(&active).await?.into_iter();
        let mut found = Vec::new();
        for key in keys {
            let last_used = match key.active.then(|| answers.next().flatten()) {
                None => None,
                // Deleted between the two calls.
                Some(None) => continue,
                Some(Some(answer)) => answer.last,
            };
            let ours = own.as_ref() == Some(&key.id);
            found.push(Key { id: Some(key.id), active: key.active, created: key.created, last_used, ours });
        }
        let own_limit = OwnLimit::read(&profile);
        Ok(State {
            at: now.truncate_to_second(),
            limits: self.parameters.limits(own_limit.as_ref()),
            own_limit,
            break_glass: self.parameters.break_glass(&name, &profile),
            owner: Owner::User(name),
            keys: found,
        })
    }

    /// Root's keys, as the credential report has them.
    async fn root(&self, now: OffsetDateTime) -> Result<State, Fault> {
        let Some(report) = self.iam.report(now).await? else {
            return Err(Fault::Retry(
                "IAM has no credential report ready, and root's keys are nowhere else".to_owned(),
            ));
        };
        let keys = report.rows.iter().filter(|row| row.owner == Owner::Root).flat_map(|row| &row.keys);
        let keys = keys.map(|key| Key {
            id: None,
            active: true,
            // A key whose date cannot be read is as old as can be.
            created: made(key).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            last_used: used(key),
            ours: false,
        });
        Ok(State {
            owner: Owner::Root,
            at: now.truncate_to_second(),
            limits: self.parameters.limits(None),
            own_limit: None,
            break_glass: None,
            keys: keys.collect(),
        })
    }

    /// Whether the report shows a key to be fine. It tells no tags; those only ever make a key better.
    fn is_fine(&self, key: &RowKey, now: OffsetDateTime) -> bool {
        let limits = self.parameters.limits(None);
        made(key).is_some_and(|made| judge::judge(made, used(key).as_ref(), &limits, now) == Verdict::Fine)
    }
}

/// When a key was made, as far as the report tells: its date moves when the key is switched on or off, its use does not.
fn made(key: &RowKey) -> Option<OffsetDateTime> {
    key.changed.map(|changed| key.used.map_or(changed, |used| used.min(changed)))
}

fn used(key: &RowKey) -> Option<Use> {
    let unsaid = || "unsaid".to_owned();
    key.used.map(|at| Use { at, service: unsaid(), region: unsaid() })
}

/// An ARN and the request that has it are to be of one account: IAM's calls take none.
fn of_its_account(place: &Place<User>) -> Result<(), Fault> {
    match place.target.account.as_ref().filter(|account| **account != place.account) {
        Some(account) => {
            Err(Fault::GiveUp(format!("the ARN is of account {account}, and the request about {}", place.account)))
        }
        None => Ok(()),
    }
}

impl Cloud<StaleAccessKey> for Users {
    async fn observe(&self, place: &Place<User>, occasion: &Occasion) -> Result<Option<State>, Fault> {
        of_its_account(place)?;
        if place.target.who == Who::Root {
            return self.root(occasion.now).await.map(Some);
        }
        let Some(user) = self.named(place, occasion.now).await? else { return Ok(None) };
        match self.user(place, user, occasion.now).await {
            Err(Fault::Gone) => Ok(None),
            state => state.map(Some),
        }
    }

    async fn apply(&self, _: &Place<User>, change: &Change) -> Result<(), Fault> {
        // A key that was deleted meanwhile is no reason to leave the user's other one.
        let moved =
            |key: &AccessKeyId| Fault::Moved(format!("access key {key} is not what it was when this was planned"));
        match change {
            Change::Deactivate { user, key, because } => {
                if let Because::Idle { last_used } = because {
                    let now = match self.iam.last_use(key).await {
                        Err(Fault::Gone) => return Err(moved(key)),
                        now => now?.last,
                    };
                    if now.map(|last| last.at) != last_used.as_ref().map(|last| last.at) {
                        return Err(moved(key));
                    }
                }
                match self.iam.switch(user, key, false).await {
                    Err(Fault::Gone) => Err(moved(key)),
                    done => done,
                }
            }
            Change::Reactivate { user, key } => self.iam.switch(user, key, true).await,
        }
    }

    async fn tags(&self, place: &Place<User>) -> Result<Vec<(String, String)>, Fault> {
        of_its_account(place)?;
        // No occasion comes with the question; the time says only whether the names that were listed are still good.
        match self.named(place, OffsetDateTime::now_utc()).await? {
            Some(user) => self.iam.tags(&user).await,
            None => Ok(Vec::new()),
        }
    }

    async fn list(
        &self,
        account: &AccountId,
        _: &Region,
        occasion: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<User>, Fault> {
        let named = |who: Who| User { who, account: None };
        // A page after the first is one of the users' list: the report comes whole.
        let report = if after.is_none() { self.iam.report(occasion.now).await? } else { None };
        if let Some(report) = report {
            let ill = report.rows.iter().filter(|row| row.keys.iter().any(|key| !self.is_fine(key, occasion.now)));
            let targets = ill.map(|row| named(row.owner.user().cloned().map_or(Who::Root, Who::Name)));
            return Ok(Page { targets: targets.collect(), next: None });
        }
        let page = self.iam.users(account, after).await?;
        Ok(Page {
            targets: page.targets.into_iter().map(|(_, name)| named(Who::Name(name))).collect(),
            next: page.next,
        })
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
