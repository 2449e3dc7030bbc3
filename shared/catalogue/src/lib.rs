//! All controls, by name: for what works with any of them, the undo function and the command line. A control's own function
//! links that control alone.

use remediation::event::{self, Own};
use remediation::{About, AccountId, Control, Region};
use triggers::{Notice, Trigger};

/// One control.
#[derive(Debug)]
pub struct Entry {
    /// The facts about it.
    pub about: &'static About,
    answers: fn(&Notice) -> bool,
}

impl Entry {
    /// Whether the control would look at anything because of this notice. A person's request that names no account or region
    /// means those of the function that it is sent to, whatever they are; an event that names none means nothing.
    pub fn answers(&self, notice: &Notice) -> bool {
        (self.answers)(notice)
    }
}

macro_rules! controls {
    ($($control:ty),* $(,)?) => {
        static ALL: &[Entry] = &[$(Entry { about: &<$control as Control>::ABOUT, answers: answers::<$control> }),*];
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

/// All controls, in the order of their ids.
pub fn all() -> &'static [Entry] {
    ALL
}

/// The control with this id.
pub fn find(id: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.about.id == id)
}

/// The controls that would look at something because of this notice, by their ids: see [`Entry::answers`].
pub fn answering(notice: &Notice) -> Vec<String> {
    ALL.iter().filter(|entry| entry.answers(notice)).map(|entry| entry.about.id.to_owned()).collect()
}

fn answers<C: Control>(notice: &Notice) -> bool {
    let somewhere = (AccountId::parse("111122223333").ok(), Region::parse("us-east-1").ok());
    let asked = matches!(notice.trigger, Trigger::Manual | Trigger::Schedule);
    let region = somewhere.1.as_ref();
    let own = Own { account: somewhere.0.as_ref().filter(|_| asked), region };
    !event::work::<C>(notice, own).0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_of_the_folder_functions_is_here_in_order() {
        let functions = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
        let names = std::fs::read_dir(functions).unwrap();
        let mut folders: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        folders.retain(|name| name.contains('-'));
        folders.sort();
        assert_eq!(all().iter().map(|entry| entry.about.id).collect::<Vec<_>>(), folders);
        assert!(folders.iter().all(|id| find(id).is_some_and(|entry| entry.about.id == id)));
    }
}
