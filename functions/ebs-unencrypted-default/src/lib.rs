//! # ebs-unencrypted-default: new EBS volumes are encrypted by default
//!
//! ## What it looks for
//! An account that does not encrypt new EBS volumes and snapshot copies by default in a region. AWS has the setting
//! off in every region of every account, and it is one for each region: whoever starts in a new region starts without.
//! If the parameter `EbsKeys` names a KMS key for the region, an account whose default key is another one.
//!
//! ## Why it matters
//! With the default on, nobody can forget `Encrypted=true`: no volume that is made from then on, and no snapshot of
//! it, leaves patient data readable on a disk, a shared snapshot or an AMI. There is no encrypting a volume in place
//! later.
//!
//! ## What it does
//! One `EnableEbsEncryptionByDefault`. With a key in `EbsKeys`, also one `ModifyEbsDefaultKmsKeyId`, while the default
//! is on, and after a look at the key: EC2 looks at a key only after it has said yes. A key that is disabled,
//! asymmetric, not for encrypting or not there is not set; the default is switched on all the same, with the default
//! key that there is. Without a key in `EbsKeys` the default key stays as it is. It never switches the default off.
//!
//! Compliant costs two reads beside each other; a third beside them where a key is set for the region, and one more
//! read where the default key is a customer's and another one than that.
//!
//! ## What could break
//! - Volumes and snapshots that exist stay as they are: encrypted or not, and attached.
//! - With a customer key: whoever launches instances needs the use of the key, above all Auto Scaling's service-linked
//!   role `AWSServiceRoleForAutoScaling`, which no key policy names by itself. Launches then fail with
//!   `Client.InternalError`.
//! - With the key that AWS manages: snapshots and AMIs made from now on cannot be shared with other accounts.
//! - Previous generation instance types that cannot use encrypted volumes no longer launch.
//! - With a default key that is disabled or deleted nothing that needs a new volume starts any more: switching on is
//!   refused then (guard `launches-fail`), and a key that goes bad later is reported (`default-key-unusable`).
//!
//! ## Undo
//! `DisableEbsEncryptionByDefault` if the default was off, and the default key that there was:
//! `ModifyEbsDefaultKmsKeyId`, or `ResetEbsDefaultKmsKeyId` if it was the one that AWS manages. Volumes that were
//! encrypted meanwhile stay so.
//!
//! ## References
//! - <https://docs.aws.amazon.com/ebs/latest/userguide/encryption-by-default.html>
//! - <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyEbsDefaultKmsKeyId.html>
//! - <https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html>
//! - AWS Config `EC2_EBS_ENCRYPTION_BY_DEFAULT`; Security Hub EC2.7
//! - 45 CFR 164.308(a)(1)(ii)(B), 164.308(a)(4)(ii)(A), 164.312(a)(2)(iv), 164.312(e)(2)(ii)

mod account;
mod cloud;
mod keys;

pub use cloud::Ebs;
pub use keys::Seen;
pub use kms::{KeyArn, Keys};

use remediation::{About, AccountId, ApiCall, Control, Hindrance, Kind, Risk, Safety, Scope, Setting, Watch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The control; see the crate's page.
#[derive(Debug)]
pub struct UnencryptedDefault;

/// What an operator can set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// The default key of each region, where it is to be a certain one.
    pub ebs_keys: Keys,
}

/// What was read of an account's defaults in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// New volumes are encrypted by default.
    pub encrypted: bool,
    /// The default key, as EC2 names it: `alias/aws/ebs`, which AWS manages, or a key's ARN.
    pub key: String,
    /// The key that the operator wants for the region, if any.
    pub wanted: Option<KeyArn>,
    /// What KMS says of the wanted key and of the default key, where they are a customer's; by name.
    pub keys: BTreeMap<String, Seen>,
}

impl State {
    /// The default key as it ought to be: the wanted one, if volumes can be encrypted with it.
    fn right_key(&self) -> &str {
        match &self.wanted {
            Some(wanted) if self.is_sound(wanted) && !keys::same(&self.key, wanted.as_str()) => wanted.as_str(),
            _ => &self.key,
        }
    }

    /// Whether a key was looked at and can encrypt volumes.
    fn is_sound(&self, key: &KeyArn) -> bool {
        self.keys.get(key.as_str()).is_some_and(|seen| seen.flaw().is_none() && *seen != Seen::Unreadable)
    }

    /// Why no volume can be encrypted with a default key, if that is known.
    fn flaw(&self, key: &str) -> Option<String> {
        let seen = self.keys.iter().find(|(name, _)| keys::same(name, key));
        seen.and_then(|(_, seen)| seen.flaw())
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// `EnableEbsEncryptionByDefault`.
    Enable,
    /// `DisableEbsEncryptionByDefault`: only ever as an undo.
    Disable,
    /// `ModifyEbsDefaultKmsKeyId`.
    SetKey {
        /// The default key that this was decided on.
        from: String,
        /// The new one.
        to: String,
    },
    /// `ResetEbsDefaultKmsKeyId`, to the key that AWS manages: only ever as an undo.
    ResetKey {
        /// The default key that this was decided on.
        from: String,
    },
}

impl Control for UnencryptedDefault {
    const ABOUT: About = About {
        id: "ebs-unencrypted-default",
        title: "encrypts new EBS volumes by default",
        never: "set a default key that cannot encrypt",
        resource_type: "AWS::::Account",
        also: &[],
        scope: Scope::Regional,
        names_account: false,
        safety: Safety::Reversible,
        exposes: false,
        observes_with: &["ec2:GetEbsEncryptionByDefault", "ec2:GetEbsDefaultKmsKeyId", "kms:DescribeKey"],
        tags_with: &[],
        lists_with: &[],
        fixes_with: &["ec2:EnableEbsEncryptionByDefault", "ec2:ModifyEbsDefaultKmsKeyId"],
        // An undo can be taken back in its turn.
        undoes_with: &[
            "ec2:DisableEbsEncryptionByDefault",
            "ec2:EnableEbsEncryptionByDefault",
            "ec2:ModifyEbsDefaultKmsKeyId",
            "ec2:ResetEbsDefaultKmsKeyId",
        ],
        // EC2's account settings are no resources: their actions take no narrower one.
        // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        allowed_on: &[("kms:DescribeKey", "arn:${AWS::Partition}:kms:*:*:key/*")],
        watches: &[Watch {
            source: "aws.ec2",
            event_source: "ec2.amazonaws.com",
            events: &["DisableEbsEncryptionByDefault", "ModifyEbsDefaultKmsKeyId", "ResetEbsDefaultKmsKeyId"],
        }],
        incidents: &[],
        action: None,
        config_rules: &["EC2_EBS_ENCRYPTION_BY_DEFAULT"],
        security_hub: &["EC2.7"],
        citations: &[
            "45 CFR 164.308(a)(1)(ii)(B)",
            "45 CFR 164.308(a)(4)(ii)(A)",
            "45 CFR 164.312(a)(2)(iv)",
            "45 CFR 164.312(e)(2)(ii)",
        ],
        sweeps: Some("rate(1 day)"),
        settings: &[Setting {
            field: "ebs_keys",
            parameter: "EbsKeys",
            description: "The default KMS key for EBS of each region: region=key ARN, by commas. A region without one \
                          keeps the default key that it has.",
            kind: Kind::Text("^[A-Za-z0-9=:/, -]{0,2000}$"),
            default: "",
        }],
    };

    type Target = AccountId;
    type Parameters = Parameters;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<AccountId, String> {
        account::parse(name)
    }

    fn announces_drift(call: &ApiCall) -> bool {
        // Another key is drift only for an operator who set one.
        call.event_name == "DisableEbsEncryptionByDefault"
    }

    fn desired(state: &State) -> State {
        State { encrypted: true, key: state.right_key().to_owned(), ..state.clone() }
    }

    fn changes(from: &State, to: &State) -> Vec<Change> {
        let toggle = match (from.encrypted, to.encrypted) {
            (false, true) => Some(Change::Enable),
            (true, false) => Some(Change::Disable),
            _ => None,
        };
        let was = from.key.clone();
        let key = if keys::same(&from.key, &to.key) {
            None
        } else if keys::is_managed(&to.key) {
            Some(Change::ResetKey { from: was })
        } else {
            Some(Change::SetKey { from: was, to: to.key.clone() })
        };
        // The key is changed while the default is on, as ModifyEbsDefaultKmsKeyId asks; and if the role lacks that
        // permission, volumes are encrypted all the same.
        if to.encrypted { toggle.into_iter().chain(key).collect() } else { key.into_iter().chain(toggle).collect() }
    }

    fn risks(from: &State, to: &State) -> Vec<Risk> {
        let mut risks = Vec::new();
        let mut risk = |id: &'static str, says: String, refuses: bool| risks.push(Risk { id, says, refuses });
        let switched_on = !from.encrypted && to.encrypted;
        let customers = !keys::is_managed(&to.key);
        if let Some(flaw) = from.flaw(&to.key).filter(|_| switched_on) {
            let says = format!(
                "the default key {} {flaw}: nothing that needs a new volume would start; set a key that works in \
                 EbsKeys, or reset the default key",
                keys::short(&to.key)
            );
            risk("launches-fail", says, true);
        }
        if customers && (switched_on || !keys::same(&from.key, &to.key)) {
            let says = "whoever launches instances or makes volumes needs the use of the default key: Auto Scaling's \
                        service-linked role gets it only by the key's policy or a grant"
                .to_owned();
            risk("key-use", says, false);
        }
        if switched_on {
            if !customers {
                let says =
                    "snapshots and AMIs made from now on are encrypted with the key that AWS manages, and cannot be \
                            shared with other accounts"
                        .to_owned();
                risk("sharing", says, false);
            }
            let says = "previous generation instance types that cannot use encrypted volumes would no longer launch"
                .to_owned();
            risk("old-instance-types", says, false);
        }
        risks
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        if let Some(wanted) = state.wanted.as_ref().filter(|wanted| !state.is_sound(wanted)) {
            let seen = state.keys.get(wanted.as_str());
            let flaw = seen.and_then(Seen::flaw).unwrap_or_else(|| "could not be looked at".to_owned());
            let says = format!(
                "EbsKeys names {wanted}, which {flaw}: the default key was left as it is; correct EbsKeys, the key, or \
                 who may call kms:DescribeKey on it"
            );
            return Some(Hindrance { id: "key-unusable", says });
        }
        let key = state.right_key();
        let flaw = state.flaw(key)?;
        let says = format!(
            "the default key {} {flaw}: nothing that needs a new volume starts; enable the key, set one that works in \
             EbsKeys, or reset the default key",
            keys::short(key)
        );
        Some(Hindrance { id: "default-key-unusable", says })
    }

    fn notes(state: &State) -> Vec<String> {
        let mut notes = Vec::new();
        if !state.encrypted {
            notes.push(
                "volumes and snapshots that exist stay as they are: to encrypt one, copy its snapshot with encryption \
                 and make a volume of the copy"
                    .to_owned(),
            );
        }
        let unread = state.keys.iter().filter(|(_, seen)| **seen == Seen::Unreadable);
        notes.extend(unread.map(|(key, _)| {
            format!(
                "key {} could not be looked at: kms:DescribeKey on it is denied, by our role or by the key's policy",
                keys::short(key)
            )
        }));
        notes
    }
}

#[cfg(test)]
mod tests;
