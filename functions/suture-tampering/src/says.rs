//! What is told about a part that was touched or is not as it was deployed.

use crate::{Kind, State, Touch, Weakness};
use remediation::Hindrance;

/// The calls by which any CloudFormation stack can change a part of ours: what is attached to a role, a bucket or a topic is a
/// resource by itself. Everything else belongs to the one stack that made it.
const ATTACHED: &[&str] = &[
    "AttachRolePolicy",
    "DeleteBucketPolicy",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutBucketPolicy",
    "PutRolePolicy",
    "SetTopicAttributes",
];

/// Whether a call is CloudFormation's own work on a part that only our stack can have it do.
fn is_deployment(touch: &Touch) -> bool {
    touch.by_cloudformation && !ATTACHED.contains(&touch.call.as_str())
}

/// The alarm, if there is anything to raise one about.
pub(crate) fn alarm(state: &State) -> Option<Hindrance> {
    let touch = state.touched.as_ref().filter(|touch| !is_deployment(touch));
    if !state.ours || (touch.is_none() && state.weak.is_empty()) {
        return None;
    }
    let (kind, name) = (state.part.kind.word(), &state.part.name);
    let mut says = vec![match &state.touched {
        Some(touch) => format!("{} called {} on Suture's own {kind} {name}{}", touch.by, touch.call, from(touch)),
        None => format!("Suture's own {kind} {name} is not as it was deployed, and no event said who did it"),
    }];
    says.extend(state.weak.iter().map(|weakness| weakness.says().to_owned()));
    says.extend(state.unread.iter().map(|why| format!("what it is like now could not be read: {why}")));
    if state.touched.is_none() {
        let calls: Vec<_> = state.weak.iter().map(|weakness| weakness.call()).collect();
        says.push(format!("look in CloudTrail for {}", calls.join(", ")));
    }
    let next = match state.part.kind {
        Kind::Stack => {
            "if nobody of you deploys it at this moment, take that identity's access away first, and look at what else it did"
        }
        _ => {
            "unless one of you meant it, take that identity's access away first, look at what else it did, then deploy \
             Suture's template again; nothing of this is repaired by itself: who may change Suture could change the repair"
        }
    };
    says.push(next.to_owned());
    Some(Hindrance { id: "tampering", says: says.join("; ") })
}

fn from(touch: &Touch) -> String {
    match (&touch.from, &touch.with) {
        (Some(from), Some(with)) => format!(" from {from} ({with})"),
        (Some(one), None) | (None, Some(one)) => format!(" from {one}"),
        (None, None) => String::new(),
    }
}

/// What is worth knowing where there is no alarm.
pub(crate) fn notes(state: &State) -> Vec<String> {
    let mut notes = Vec::new();
    if !state.ours {
        notes.push("it is no part of this deployment of Suture".to_owned());
    }
    if let Some(touch) = state.touched.as_ref().filter(|touch| state.ours && is_deployment(touch)) {
        notes.push(format!("CloudFormation called {}, for {}: a deployment", touch.call, touch.by));
    }
    if state.unheard {
        notes.push("nobody is subscribed to the topic: what Suture announces, nobody hears".to_owned());
    }
    notes
}

impl Weakness {
    /// What is wrong, in a few words.
    pub fn says(self) -> &'static str {
        match self {
            Self::Gone => "it does not exist (any more)",
            Self::Disabled => "it is disabled",
            Self::NoTarget => "it has no target",
            Self::Stopped => "it may run 0 times at once: it is stopped",
            Self::MappingOff => "its mapping to the ledger's stream is disabled",
            Self::MappingGone => "it has no mapping to the ledger's stream",
            Self::StreamOff => "its stream is off: the recorder hears nothing of it",
            Self::RecoveryOff => "its point-in-time recovery is off",
            Self::Deletable => "its deletion protection is off",
            Self::TimeToLiveOff => "its time to live is off: what is over stays in it",
            Self::KeyDisabled => "its KMS key is disabled: nothing in it can be read or written",
            Self::KeyGoing => "its KMS key is to be deleted: then nothing in it can ever be read again",
            Self::KeyGone => "its KMS key does not exist any more: nothing in it can ever be read again",
            Self::VersioningOff => "its versioning is not on",
            Self::LockOff => "it has no object lock with a default retention",
            Self::Public => "its public access block is not whole",
        }
    }

    /// The call to look for in CloudTrail, where no event told of it.
    fn call(self) -> &'static str {
        match self {
            Self::Gone => "Delete…",
            Self::Disabled => "DisableRule, DisableKey or PutRule",
            Self::NoTarget => "RemoveTargets",
            Self::Stopped => "PutFunctionConcurrency",
            Self::MappingOff => "UpdateEventSourceMapping",
            Self::MappingGone => "DeleteEventSourceMapping",
            Self::StreamOff | Self::Deletable => "UpdateTable",
            Self::RecoveryOff => "UpdateContinuousBackups",
            Self::TimeToLiveOff => "UpdateTimeToLive",
            Self::KeyDisabled => "DisableKey",
            Self::KeyGoing | Self::KeyGone => "ScheduleKeyDeletion",
            Self::VersioningOff => "PutBucketVersioning",
            Self::LockOff => "PutBucketObjectLockConfiguration",
            Self::Public => "PutBucketPublicAccessBlock or DeleteBucketPublicAccessBlock",
        }
    }
}
