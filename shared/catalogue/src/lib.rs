//! All controls, by name: for what works with any of them, the undo function and the command line. A control's own function
//! links that control alone.

use remediation::event::{self, Own};
use remediation::lambda::{self, Here, Look, Response, Retry, Tools};
use remediation::sweep::Looked;
use remediation::{About, AccountId, Control, Region};
use serde_json::Value;
use std::fmt;
use std::pin::Pin;
use tokio::time::Instant;
use triggers::{Notice, Trigger};

/// What carrying out a request comes to.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, Retry>> + 'a>>;

/// One control.
pub struct Entry {
    /// The facts about it.
    pub about: &'static About,
    answers: fn(&Notice) -> bool,
    carry_out: for<'a> fn(Task<'a>) -> Answer<'a>,
    look: for<'a> fn(Glance<'a>) -> Seen<'a>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.about.id).finish_non_exhaustive()
    }
}

/// A request to carry out, and what with.
#[derive(Debug)]
pub struct Task<'a> {
    /// The request, as it would be sent to the control's own function.
    pub request: &'a Value,
    /// The control's parameters as JSON; its defaults if there are none.
    pub parameters: Option<Value>,
    /// The SDK's configuration, the ledger, and whoever is asked or answered.
    pub tools: &'a Tools,
    /// Where the process is, and what its deployment sets.
    pub here: &'a Here,
    /// What the ids of records begin with: the id of the invocation.
    pub id: &'a str,
    /// When to have finished.
    pub deadline: Instant,
}

/// What looking at a page of resources comes to: see [`lambda::look`].
pub type Seen<'a> = Pin<Box<dyn Future<Output = Result<Looked, String>> + 'a>>;

/// A look at a page of a control's resources, and what with.
pub struct Glance<'a> {
    /// Where, and who hears of it.
    pub look: Look<'a>,
    /// The control's parameters as JSON; its defaults if there are none.
    pub parameters: Option<Value>,
    /// The SDK's configuration, and the ledger.
    pub tools: &'a Tools,
    /// Where the process is, and what its deployment sets.
    pub here: &'a Here,
    /// When to have finished.
    pub deadline: Instant,
}

impl Entry {
    /// Whether the control would look at anything because of this notice. A person's request that names no account or region
    /// means those of the function that it is sent to, whatever they are; an event that names none means nothing.
    pub fn answers(&self, notice: &Notice) -> bool {
        (self.answers)(notice)
    }

    /// Does what the control's own function would do with this request.
    ///
    /// # Errors
    /// What a retry may mend, and parameters that are none of the control's.
    pub fn carry_out<'a>(&self, task: Task<'a>) -> Answer<'a> {
        (self.carry_out)(task)
    }

    /// Looks at a page of the control's resources, and writes nothing.
    ///
    /// # Errors
    /// Parameters that are none of the control's.
    pub fn look<'a>(&self, glance: Glance<'a>) -> Seen<'a> {
        (self.look)(glance)
    }
}

macro_rules! controls {
    ($($control:ty => $connect:expr),* $(,)?) => {
        static ALL: &[Entry] = &[$(Entry {
            about: &<$control as Control>::ABOUT,
            answers: answers::<$control>,
            carry_out: |Task { request, parameters, tools, here, id, deadline }| {
                Box::pin(lambda::carry_out::<$control, _>($connect, parameters, tools, here, id, deadline, request))
            },
            look: |Glance { look, parameters, tools, here, deadline }| {
                Box::pin(lambda::look::<$control, _>($connect, parameters, tools, here, deadline, look))
            },
        }),*];
    };
}

// Each control's type, and what makes its cloud half: as in the control's own main.rs.
controls! {
    ebs_unencrypted_default::UnencryptedDefault => ebs_unencrypted_default::Ebs::new,
    ec2_default_security_group::DefaultSecurityGroup => ec2_default_security_group::Ec2::new,
    ec2_open_security_group::OpenSecurityGroup => ec2_open_security_group::Ec2::new,
    ec2_quarantine_security_group::Quarantine => ec2_quarantine_security_group::Ec2::new,
    iam_exposed_access_key::ExposedAccessKey => |sdk, ()| iam_exposed_access_key::Keys::new(sdk),
    iam_stale_access_key::StaleAccessKey => iam_stale_access_key::Users::new,
    s3_public_account::PublicAccount => s3_public_account::S3::new,
    s3_public_acl::PublicAcl => s3_public_acl::S3::new,
    s3_public_bucket::PublicBucket => s3_public_bucket::S3::new,
    s3_public_policy::PublicPolicy => s3_public_policy::S3::new,
    s3_weak_encryption::WeakEncryption => s3_weak_encryption::Encryption::new,
    suture_tampering::Tampering => suture_tampering::Parts::new,
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
