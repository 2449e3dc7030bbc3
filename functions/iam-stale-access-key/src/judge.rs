//! What becomes of one key: by its own age and use, whatever other keys its user has.

use iam::Use;
use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime};

/// How far IAM's memory of a key's last use can lag behind: AWS says that recent activity usually shows within four hours.
/// A key gets that much more before it counts as idle.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed.html>
const LAG: Duration = Duration::hours(4);

/// What holds for a user's keys, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// A key that was not used for longer is idle.
    pub idle_days: u16,
    /// A key that was never used is left alone for so long.
    pub grace_days: u16,
    /// So long before, there is a warning.
    pub warn_days: u16,
    /// A key older than this is too old; 0 if age does not matter.
    pub age_days: u16,
    /// What to do about a key that is too old, but not idle.
    pub rotation: Rotation,
}

/// What to do about a key that is in use and too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Leave it alone and report it.
    Soft,
    /// Deactivate it.
    Hard,
}

/// What ought to become of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// Nothing yet; on this day it will be the other, if nothing changes.
    Soon(Date, Ill),
    /// It is to be deactivated.
    Deactivate(Ill),
    /// It is in use, and too old: whoever uses it has to replace it.
    Replace,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ill {
    /// Nobody uses it.
    Idle,
    /// It is too old.
    Old,
}

/// Judges an active key by when it was made and last used.
pub fn judge(created: OffsetDateTime, last_used: Option<&Use>, limits: &Limits, now: OffsetDateTime) -> Verdict {
    let days = |days: u16| Duration::days(i64::from(days));
    let (idle_on, warn_on) = match last_used {
        Some(used) => {
            let idle_on = after(used.at.max(created), days(limits.idle_days) + LAG);
            (idle_on, before(idle_on, days(limits.warn_days)))
        }
        // Never used: a new key that is still to be put to use, or one that was forgotten.
        None => {
            (after(created, days(limits.idle_days.max(limits.grace_days))), after(created, days(limits.grace_days)))
        }
    };
    if now > idle_on {
        return Verdict::Deactivate(Ill::Idle);
    }
    let old_on = (limits.age_days > 0).then(|| after(created, days(limits.age_days)));
    match (old_on, limits.rotation) {
        (Some(old_on), Rotation::Hard) if now > old_on => return Verdict::Deactivate(Ill::Old),
        (Some(old_on), Rotation::Soft) if now > old_on => return Verdict::Replace,
        _ => {}
    }
    let idle = (now > warn_on).then_some((idle_on, Ill::Idle));
    let old = old_on.filter(|on| now > before(*on, days(limits.warn_days))).map(|on| (on, Ill::Old));
    match idle.into_iter().chain(old).min_by_key(|(on, _)| *on) {
        Some((on, ill)) => Verdict::Soon(on.date(), ill),
        None => Verdict::Fine,
    }
}

/// The moment so much later, or the last one there is.
fn after(moment: OffsetDateTime, later: Duration) -> OffsetDateTime {
    moment.checked_add(later).unwrap_or(Date::MAX.midnight().assume_utc())
}

fn before(moment: OffsetDateTime, earlier: Duration) -> OffsetDateTime {
    moment.checked_sub(earlier).unwrap_or(Date::MIN.midnight().assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Rotation::{Hard, Soft};
    use Verdict::{Deactivate, Fine, Replace};
    use proptest::prelude::*;

    const NOW: i64 = 1_795_348_800;

    fn ago(days: f64) -> OffsetDateTime {
        #[expect(clippy::cast_possible_truncation, reason = "days of a table")]
        OffsetDateTime::from_unix_timestamp(NOW - (days * 86_400.0) as i64).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a key has it")]
    fn used(days: f64) -> Option<Use> {
        Some(Use { at: ago(days), service: "s3".to_owned(), region: "us-east-1".to_owned() })
    }

    fn limits(age_days: u16, rotation: Rotation) -> Limits {
        Limits { idle_days: 90, grace_days: 14, warn_days: 14, age_days, rotation }
    }

    /// A warning for this many days from now.
    fn soon(days: f64, ill: Ill) -> Verdict {
        Verdict::Soon(ago(-days).date(), ill)
    }

    #[test]
    fn the_table() {
        let any = limits(0, Soft);
        for (what, created, last_used, limits, expected) in [
            // Used.
            ("in daily use", 30.0, used(0.1), any, Fine),
            ("in daily use, ten years old", 3650.0, used(0.1), any, Fine),
            ("used within the limit", 200.0, used(70.0), any, Fine),
            ("near the limit", 200.0, used(80.0), any, soon(10.2, Ill::Idle)),
            ("at the limit, to the hour", 200.0, used(90.0), any, soon(0.2, Ill::Idle)),
            ("within what IAM's memory can lag", 200.0, used(90.1), any, soon(0.1, Ill::Idle)),
            ("past the limit", 200.0, used(90.3), any, Deactivate(Ill::Idle)),
            ("used before it was made, says a clock", 30.0, used(200.0), any, Fine),
            ("used in the future, says a clock", 200.0, used(-3.0), any, Fine),
            // Never used.
            ("made just now", 0.0, None, any, Fine),
            ("made in the future, says a clock", -1.0, None, any, Fine),
            ("within the grace", 14.0, None, any, Fine),
            ("past the grace", 14.1, None, any, soon(75.9, Ill::Idle)),
            ("never used, near the limit", 89.0, None, any, soon(1.0, Ill::Idle)),
            ("never used, at the limit to the second", 90.0, None, any, soon(0.0, Ill::Idle)),
            ("never used, past the limit", 90.1, None, any, Deactivate(Ill::Idle)),
            // Its age.
            ("young", 70.0, used(0.1), limits(90, Hard), Fine),
            ("soon too old", 80.0, used(0.1), limits(90, Hard), soon(10.0, Ill::Old)),
            ("soon too old, softly", 80.0, used(0.1), limits(90, Soft), soon(10.0, Ill::Old)),
            ("too old and used today, softly", 91.0, used(0.1), limits(90, Soft), Replace),
            ("too old and used today, hard", 91.0, used(0.1), limits(90, Hard), Deactivate(Ill::Old)),
            ("too old and idle, softly", 200.0, used(91.0), limits(90, Soft), Deactivate(Ill::Idle)),
            ("too old and idle, hard", 200.0, used(91.0), limits(90, Hard), Deactivate(Ill::Idle)),
            ("too old, never used, not yet idle", 50.0, None, limits(45, Soft), Replace),
            ("whichever comes first", 89.0, used(85.0), limits(90, Hard), soon(1.0, Ill::Old)),
        ] {
            assert_eq!(judge(ago(created), last_used.as_ref(), &limits, ago(0.0)), expected, "{what}");
        }
    }

    #[test]
    fn a_grace_longer_than_the_limit_holds() {
        let limits = Limits { idle_days: 7, grace_days: 14, ..limits(0, Soft) };
        assert_eq!(judge(ago(10.0), None, &limits, ago(0.0)), Fine);
        assert_eq!(judge(ago(14.1), None, &limits, ago(0.0)), Deactivate(Ill::Idle));
    }

    proptest! {
        #[test]
        fn a_key_used_today_is_never_cut_for_its_age_unless_that_is_asked_for(
            created in 0.0..8000.0, idle_days in 1u16.., grace_days: u16, warn_days: u16, age_days: u16,
        ) {
            let limits = Limits { idle_days, grace_days, warn_days, age_days, rotation: Soft };
            let verdict = judge(ago(created), used(0.0).as_ref(), &limits, ago(0.0));
            prop_assert!(!matches!(verdict, Deactivate(_)), "{verdict:?}");
        }

        #[test]
        fn a_later_use_never_makes_it_worse(
            created in 0.0..800.0, early in 0.0..400.0, late in 0.0..400.0, age_days in 0u16..400, hard: bool,
        ) {
            let limits = limits(age_days, if hard { Hard } else { Soft });
            let (late, early) = if late < early { (late, early) } else { (early, late) };
            let idle = |days| judge(ago(created), used(days).as_ref(), &limits, ago(0.0)) == Deactivate(Ill::Idle);
            prop_assert!(idle(early) || !idle(late));
        }

        #[test]
        fn no_date_is_too_far(created in -377_705_116_800_i64..=253_402_300_799, at in -377_705_116_800_i64..=253_402_300_799) {
            let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let limits = Limits { idle_days: u16::MAX, grace_days: u16::MAX, warn_days: u16::MAX, age_days: u16::MAX, rotation: Hard };
            judge(moment(created), None, &limits, moment(at));
            judge(moment(created), Some(&Use { at: moment(at), ..used(0.0).unwrap() }), &limits, ago(0.0));
        }
    }
}
