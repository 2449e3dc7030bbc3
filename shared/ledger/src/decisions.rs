//! What people decide: plans approved or rejected, what is exempt, and the live settings.

use crate::approval::{self, Approval, ApprovalState};
use crate::deployment::{self, EXEMPTION, Posture, SETTINGS};
use crate::exemption::Exemption;
use crate::ledger::{KEPT, Ledger, MANY, body};
use crate::store::{Item, Key, Trouble, Write};
use time::OffsetDateTime;

impl Ledger {
    /// The plan with this id, with its item's version.
    pub async fn approval(&self, id: &str) -> Result<Option<(Approval, u64)>, Trouble> {
        let item = self.store().get(&Approval::key(id)).await?;
        item.map(|item| body(&item).map(|approval| (approval, item.version))).transpose()
    }

    /// The plans, the undecided and the decided.
    pub async fn approvals(&self) -> Result<Vec<Approval>, Trouble> {
        let items = self.store().query(approval::PARTITION, "", false, MANY).await?;
        items.iter().map(body).collect()
    }

    /// The write that puts a plan where the one with `version` is (0 for none).
    pub fn approval_write(approval: &Approval, version: u64) -> Write {
        Write::Put(Item {
            key: Approval::key(&approval.id),
            version: version + 1,
            body: serde_json::to_value(approval).unwrap_or_default(),
            id: None,
            day: None,
            expires: Some(approval.expires.unix_timestamp() + KEPT),
        })
    }

    /// Decides that a plan is not to be carried out. Nothing if it was decided already.
    pub async fn reject(&self, id: &str, by: &str, now: OffsetDateTime) -> Result<Option<Approval>, Trouble> {
        self.deployment().await?;
        let Some((mut approval, version)) = self.approval(id).await? else { return Ok(None) };
        if approval.state == ApprovalState::Open {
            approval.state = ApprovalState::Rejected;
            approval.by = Some(by.to_owned());
            approval.decided_at = Some(now);
            self.store().write(&[Self::approval_write(&approval, version)]).await?;
        }
        Ok(Some(approval))
    }

    /// The write that puts an exemption where the one with `version` is (0 for none).
    pub fn exemption_write(exemption: &Exemption, version: u64) -> Write {
        Write::Put(Item {
            key: Key::new(deployment::PARTITION, format!("{EXEMPTION}{}", exemption.id)),
            version: version + 1,
            body: serde_json::to_value(exemption).unwrap_or_default(),
            id: None,
            day: None,
            expires: None,
        })
    }

    /// Puts an exemption in, or one that was changed in its place.
    pub async fn exempt(&self, exemption: &Exemption, version: u64) -> Result<(), Trouble> {
        self.deployment().await?;
        let written = self.store().write(&[Self::exemption_write(exemption, version)]).await;
        self.forget();
        written
    }

    /// The write that takes an exemption out.
    pub fn unexempt_write(id: &str, version: u64) -> Write {
        Write::Delete(Key::new(deployment::PARTITION, format!("{EXEMPTION}{id}")), version)
    }

    /// Takes an exemption out.
    pub async fn unexempt(&self, id: &str, version: u64) -> Result<(), Trouble> {
        let written = self.store().write(&[Self::unexempt_write(id, version)]).await;
        self.forget();
        written
    }

    /// Changes the live settings. Tried again while others change them.
    pub async fn change(
        &self,
        by: &str,
        now: OffsetDateTime,
        change: impl Fn(&mut Posture),
    ) -> Result<Posture, Trouble> {
        let mut last = Trouble::Conflict(0);
        for _ in 0..10 {
            let deployment = self.deployment().await?;
            let mut posture = deployment.posture.clone();
            change(&mut posture);
            posture.changed_by = Some(by.to_owned());
            posture.changed_at = Some(now);
            let item = Item {
                key: Key::new(deployment::PARTITION, SETTINGS),
                version: deployment.version + 1,
                body: serde_json::to_value(&posture).unwrap_or_default(),
                id: None,
                day: None,
                expires: None,
            };
            match self.store().write(&[Write::Put(item)]).await {
                Ok(()) => {
                    self.forget();
                    return Ok(posture);
                }
                Err(conflict @ Trouble::Conflict(_)) => last = conflict,
                Err(trouble) => return Err(trouble),
            }
        }
        Err(last)
    }
}
