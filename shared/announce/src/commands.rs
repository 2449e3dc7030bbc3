//! The commands that a message ends in. They are written out whole, to be pasted at night; nothing that came from outside
//! can make a second command of one.

use crate::words::word;

/// Takes a record's writes back.
pub(crate) fn undo(record: &str) -> Option<String> {
    Some(format!("suture undo {}", id(record)?))
}

/// Carries out a plan that waits.
pub(crate) fn approve(approval: &str) -> Option<String> {
    Some(format!("suture approve {}", id(approval)?))
}

/// Says no to a plan that waits.
pub(crate) fn reject(approval: &str) -> Option<String> {
    Some(format!("suture reject {}", id(approval)?))
}

/// Leaves a resource alone, for a time.
pub(crate) fn exempt(control: &str, account: &str, resource: &str) -> Option<String> {
    let (control, account, resource) = (word(control)?, word(account)?, word(resource)?);
    Some(format!(
        "suture exempt --control={control} --account={account} --resource={resource} --owner=WHO --reason=WHY --until=DATE"
    ))
}

/// Ends an exemption.
pub(crate) fn unexempt(exemption: &str) -> Option<String> {
    Some(format!("suture unexempt {}", id(exemption)?))
}

/// Stops every write everywhere.
pub(crate) const STOP: &str = "suture stop --reason=WHY";
/// Lets Suture write again.
pub(crate) const RESUME: &str = "suture resume";

/// An id as the first word after a command: one that begins with a dash would be read as an option.
fn id(text: &str) -> Option<String> {
    word(text).filter(|word| !text.starts_with('-') && !word.is_empty())
}
