//! What the record tells a responder.

use crate::{Found, State};
use remediation::{Hindrance, Risk};

/// What stops when the key is deactivated.
pub(crate) fn risk(found: &Found) -> Risk {
    let says = match &found.last_used {
        Some(used) => format!(
            "whatever uses the key stops; it was last used on {} for {} in {}",
            used.at.date(),
            used.service,
            used.region
        ),
        None => "whatever uses the key stops; IAM knows of no use so far".to_owned(),
    };
    Risk { id: "key-in-use", says, refuses: false }
}

/// Keys that are not ours to deactivate, or that nobody can.
pub(crate) fn hindrance(state: &State) -> Option<Hindrance> {
    let (id, says) = match state {
        State::User(found) if found.ours && found.active => (
            "own-key",
            format!(
                "access key {} of user {} signs our own calls, so we leave it alone: have somebody else deactivate it, now: \
                 aws iam update-access-key --user-name {} --access-key-id {} --status Inactive",
                found.key, found.user, found.user, found.key
            ),
        ),
        State::User(_) => return None,
        State::Session { key } => (
            "session-key",
            format!(
                "access key {key} is a session's, which cannot be deactivated and lasts for 36 hours at most: look in \
                 CloudTrail for whose it is (userIdentity of a call that it signed); for a role, revoke its active sessions, \
                 for a user, deny everything where aws:TokenIssueTime is before now, and deactivate the key that made the \
                 session; for an instance's role, isolate the instance, too, or it hands out the next key"
            ),
        ),
        State::Nobodys { key } => (
            "not-a-users-key",
            format!(
                "no user of this account has access key {key}: it was deleted, it is root's (only root can delete it: sign in \
                 as root, now), or another account's (aws sts get-access-key-info --access-key-id {key} names it)"
            ),
        ),
    };
    Some(Hindrance { id, says })
}

/// What else there is to do.
pub(crate) fn notes(state: &State) -> Vec<String> {
    let State::User(found) = state else { return vec![] };
    let (user, key) = (&found.user, &found.key);
    let mut notes = vec![
        format!(
            "sessions that were made with access key {key} live on until they end, 36 hours at most, or without end where \
             roles may assume one another: attach a policy to user \
             {user} that denies everything where aws:TokenIssueTime is before now, and revoke the active sessions of every \
             role that it could assume"
        ),
        format!(
            "look in CloudTrail for what access key {key} did, in every region: users, keys, roles and functions that it made; \
             data that it read; then replace every secret that user {user} could read"
        ),
    ];
    if !found.active {
        notes.push(format!(
            "access key {key} is inactive; reactivating it, as an undo does, hands it back to whoever found it: only for a \
             false alarm"
        ));
    }
    if !found.others.is_empty() {
        let others: Vec<&str> = found.others.iter().map(iam::AccessKeyId::as_str).collect();
        notes.push(format!(
            "user {user} has another active key, which is left alone: {}; if both were kept in the same place, pass it to this \
             control, too",
            others.join(", ")
        ));
    }
    if let Some(besides) = &found.besides {
        notes.push(match besides.quarantine.as_deref() {
            None => format!(
                "whether AWS's quarantine policy is attached to user {user} could not be read: look yourself, and see that \
                 our role has iam:ListAttachedUserPolicies"
            ),
            Some([]) => format!("AWS's quarantine policy is not attached to user {user}: AWS may not know yet"),
            Some(policies) => format!(
                "{} is attached to user {user}: AWS knows; answer its support case before you detach it",
                policies.join(", ")
            ),
        });
        match besides.password {
            None => notes.push(format!(
                "whether user {user} has a password for the console could not be read: look yourself, and see that our role \
                 has iam:GetLoginProfile"
            )),
            Some(true) => {
                notes.push(format!(
                    "user {user} has a password for the console, which still works: change or remove it"
                ));
            }
            Some(false) => {}
        }
    }
    notes
}
