//! What the record tells people about a user's keys.

use crate::judge::{Ill, Verdict};
use crate::parameters::{Mark, OwnLimit, TAG};
use crate::{Because, Change, Key, State};
use iam::Use;
use remediation::{Hindrance, Risk};

/// An inactive key that is this many days older than the limit could as well be deleted.
const FORGOTTEN: i64 = 90;

/// A key as people name it.
fn name(key: &Key) -> String {
    key.id.as_ref().map_or_else(|| "an access key of root".to_owned(), |id| format!("access key {id}"))
}

fn last_use(used: Option<&Use>) -> String {
    match used {
        None => "was never used".to_owned(),
        Some(used) => format!("was last used on {} ({} in {})", used.at.date(), used.service, used.region),
    }
}

/// What is wrong with a key, and since when.
fn ailment(state: &State, key: &Key, ill: Ill) -> String {
    let days = match ill {
        Ill::Idle => state.limits.idle_days,
        Ill::Old => state.limits.age_days,
    };
    let what = match ill {
        Ill::Idle => "may lie idle for",
        Ill::Old => "may be used for",
    };
    format!(
        "{} was made on {} and {}; it {what} {days} days",
        name(key),
        key.created.date(),
        last_use(key.last_used.as_ref())
    )
}

/// What a deactivation may break.
pub(crate) fn risk(from: &State, change: &Change) -> Option<Risk> {
    let Change::Deactivate { key: id, because, .. } = change else { return None };
    let key = from.keys.iter().find(|key| key.id.as_ref() == Some(id))?;
    let what = last_use(key.last_used.as_ref());
    match because {
        Because::Idle { last_used: None } => None,
        Because::Idle { .. } => Some(Risk {
            id: "seldom-used-key",
            says: format!(
                "access key {id} {what}: what uses it less often than every {} days would get InvalidClientTokenId",
                from.limits.idle_days
            ),
            refuses: false,
        }),
        Because::Old | Because::Undone => Some(Risk {
            id: "key-in-use",
            says: format!("access key {id} {what}: whatever uses it would get InvalidClientTokenId from now on"),
            refuses: false,
        }),
    }
}

/// The keys that ought to go and are none of ours to deactivate, and those that their users have to replace.
pub(crate) fn hindrance(state: &State) -> Option<Hindrance> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for key in &state.keys {
        let told = match (state.verdict(key), state.spared(key)) {
            (Verdict::Deactivate(ill), Some(by)) => {
                (by, format!("{}; {}", ailment(state, key, ill), spared(state, by)))
            }
            (Verdict::Replace, by) => {
                let by = by.filter(|by| *by == "root-key").unwrap_or("key-in-use");
                (by, format!("{}; {}", ailment(state, key, Ill::Old), spared(state, by)))
            }
            _ => continue,
        };
        found.push(told);
    }
    let (id, _) = found.first()?;
    Some(Hindrance { id, says: found.iter().map(|(_, says)| says.as_str()).collect::<Vec<_>>().join("; and ") })
}

fn spared(state: &State, by: &str) -> String {
    let user = &state.owner;
    match by {
        "root-key" => {
            "only root can deactivate it: sign in as root and delete it, or have the organization's management \
                       account do so"
                .to_owned()
        }
        "own-key" => "it signs our own calls: replace it, then run this again with the new one".to_owned(),
        "break-glass" => {
            let mark = match state.break_glass {
                Some(Mark::Path) => "by path",
                Some(Mark::Tag) => "by tag",
                _ => "by name",
            };
            format!(
                "user {user} is for emergencies ({mark}), whose keys are left alone: decide by hand whether it is still needed"
            )
        }
        _ => format!(
            "it is in use, so it is left alone: give user {user} a second key, move what uses this one, then deactivate it"
        ),
    }
}

/// What will become of keys, what is wrong with the tag, what could be deleted.
pub(crate) fn notes(state: &State) -> Vec<String> {
    let mut notes = Vec::new();
    let user = &state.owner;
    match state.own_limit {
        Some(OwnLimit::Junk) => notes.push(format!(
            "the tag {TAG} of user {user} is no number of days and is ignored: keys may lie idle for {} days",
            state.limits.idle_days
        )),
        Some(OwnLimit::Days(days)) if days != state.limits.idle_days => notes.push(format!(
            "the tag {TAG} of user {user} asks for {days} days; what holds is {}, since it can only ask for more than others \
             have, up to the highest that is allowed",
            state.limits.idle_days
        )),
        _ => {}
    }
    for key in &state.keys {
        match state.verdict(key) {
            Verdict::Deactivate(ill) if state.spared(key).is_none() => notes.push(ailment(state, key, ill)),
            Verdict::Soon(on, ill) => notes.push(soon(state, key, ill, &on.to_string())),
            _ if key.active => {}
            _ if (state.at - key.created).whole_days() > i64::from(state.limits.idle_days) + FORGOTTEN => {
                notes.push(format!(
                    "{} is inactive and was made on {}: once nobody misses it, delete it; we never do",
                    name(key),
                    key.created.date()
                ));
            }
            _ => {}
        }
    }
    notes
}

fn soon(state: &State, key: &Key, ill: Ill, on: &str) -> String {
    let ailing = ailment(state, key, ill);
    match (state.spared(key), ill, state.limits.rotation) {
        (None, Ill::Idle, _) => format!("{ailing}, and will be deactivated on {on} unless it is used before"),
        (None, Ill::Old, crate::Rotation::Hard) => format!("{ailing}, and will be deactivated on {on}, used or not"),
        _ => format!("{ailing}, which ends on {on}; it will be reported then"),
    }
}
