//! The controls that the command line knows: one line each.

use remediation::event::{self, Own};
use remediation::{AccountId, Control, Region};
use triggers::{Notice, Trigger};

macro_rules! controls {
    ($($control:ty),* $(,)?) => {
        /// The controls that would look at something because of this notice, by their ids.
        pub fn answering(notice: &Notice) -> Vec<String> {
            let mut answering = Vec::new();
            $(if answers::<$control>(notice) {
                answering.push(<$control as Control>::ABOUT.id.to_owned());
            })*
            answering
        }
    };
}

controls! {
    ebs_unencrypted_default::UnencryptedDefault,
    ec2_default_security_group::DefaultSecurityGroup,
    ec2_open_security_group::OpenSecurityGroup,
    ec2_quarantine_security_group::Quarantine,
    iam_exposed_access_key::ExposedAccessKey,
    iam_stale_access_key::StaleAccessKey,
    s3_public_account::PublicAccount,
    s3_public_acl::PublicAcl,
    s3_public_bucket::PublicBucket,
    s3_public_policy::PublicPolicy,
    s3_weak_encryption::WeakEncryption,
}

/// Whether this control would look at anything. A person's request that names no account or region means those of the
/// function that it is sent to, whatever they are; an event that names none means nothing.
fn answers<C: Control>(notice: &Notice) -> bool {
    let somewhere = (AccountId::parse("111122223333").ok(), Region::parse("us-east-1").ok());
    let asked = matches!(notice.trigger, Trigger::Manual | Trigger::Schedule);
    let region = somewhere.1.as_ref();
    let own = Own { account: somewhere.0.as_ref().filter(|_| asked), region };
    !event::work::<C>(notice, own).0.is_empty()
}
