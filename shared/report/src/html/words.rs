//! Times, spans and counts as a reader wants them, and what the words of the model mean.

use crate::model::{End, Episode, Report};
use time::{Duration, Month, OffsetDateTime, Time, UtcOffset};

/// A number with a comma at every third digit.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut said = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// A number of pieces of evidence.
pub(super) fn pieces(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX))
}

/// So many of something: `1 episode`, `1,204 episodes`.
pub(super) fn many(number: usize, one: &str) -> String {
    let end = match (number, one.strip_suffix('y')) {
        (1, _) => return format!("1 {one}"),
        (_, Some(stem)) => return format!("{} {stem}ies", count(number)),
        _ => "s",
    };
    format!("{} {one}{end}", count(number))
}

/// A number as charts reckon with it.
pub(super) fn float(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}

/// A span in seconds, as precisely as a person cares: `0.4 s`, `12 s`, `3.5 min`, `5.2 h`, `12 days`.
pub(super) fn span(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 59.95 => (s, "s"),
        s if s < 3_597.0 => (s / 60.0, "min"),
        s if s < 2.0 * 86_400.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    let number = if number < 9.95 { format!("{number:.1}") } else { format!("{number:.0}") };
    // A no-break space: a number and its unit stay together.
    format!("{}\u{a0}{unit}", number.strip_suffix(".0").unwrap_or(&number))
}

/// A span that there may be none of.
pub(super) fn perhaps(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), span)
}

/// A moment as RFC 3339 has it, to the second.
pub(super) fn exact(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{}T{:02}:{:02}:{:02}Z", iso(at), at.hour(), at.minute(), at.second())
}

/// A moment to the minute: `2026-08-14 10:45`.
pub(super) fn stamp(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02}", iso(at), at.hour(), at.minute())
}

fn iso(at: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

/// A day in words: `14 August 2026`.
pub(super) fn day(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {} {}", at.day(), at.month(), at.year())
}

/// A day for an axis: `14 Aug`.
pub(super) fn short_day(at: OffsetDateTime) -> String {
    format!("{} {}", at.day(), short_month(at.month()))
}

/// A month for an axis.
pub(super) fn short_month(month: Month) -> &'static str {
    match month {
        Month::January => "Jan",
        Month::February => "Feb",
        Month::March => "Mar",
        Month::April => "Apr",
        Month::May => "May",
        Month::June => "Jun",
        Month::July => "Jul",
        Month::August => "Aug",
        Month::September => "Sep",
        Month::October => "Oct",
        Month::November => "Nov",
        Month::December => "Dec",
    }
}

/// A period. Whole days are told by their names, the last one included; anything else is told to the minute.
pub(super) fn period(from: OffsetDateTime, to: OffsetDateTime) -> String {
    let (from, to) = (from.to_offset(UtcOffset::UTC), to.to_offset(UtcOffset::UTC));
    if from.time() != Time::MIDNIGHT || to.time() != Time::MIDNIGHT || to <= from {
        let exactly = |at: OffsetDateTime| format!("{}, {:02}:{:02}", day(at), at.hour(), at.minute());
        return format!("{} to {} UTC", exactly(from), exactly(to));
    }
    let last = to - Duration::DAY;
    match (from.date() == last.date(), from.year() == last.year()) {
        (true, _) => day(from),
        (false, true) => format!("{} {} to {}", from.day(), from.month(), day(last)),
        (false, false) => format!("{} to {}", day(from), day(last)),
    }
}

/// How an episode ended or stands, in a few words.
pub(super) fn end(end: End) -> &'static str {
    match end {
        End::Fixed => "mended",
        End::MendedElsewhere => "mended elsewhere",
        End::Gone => "resource gone",
        End::Planned => "planned only",
        End::AwaitingApproval => "waits for approval",
        End::Refused => "refused",
        End::Exempt => "exempt",
        End::TakenBack => "fix taken back",
        End::Failed => "fix failed",
        End::Unseen => "not seen lately",
    }
}

/// Every way to end or stand, in the order of the page.
pub(super) const ENDS: [End; 10] = [
    End::Fixed,
    End::MendedElsewhere,
    End::Gone,
    End::Planned,
    End::AwaitingApproval,
    End::Refused,
    End::Failed,
    End::Exempt,
    End::TakenBack,
    End::Unseen,
];

/// When a report's figures stand: at its period's end, or when it was made if that was before.
pub(super) fn stands(report: &Report) -> OffsetDateTime {
    report.to.min(report.made)
}

/// How an episode stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It is over.
    Over,
    /// It is open, and somebody answers for it.
    Answered,
    /// It is open, and nobody answers for it.
    Open,
    /// Nobody knows whether it is open.
    Unknown,
}

impl Stand {
    /// The class by which it looks so.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Answered => "answered",
            Self::Open => "open",
            Self::Unknown => "unknown",
        }
    }
}

/// How an episode stands at a moment.
pub(super) fn stand(episode: &Episode, at: OffsetDateTime) -> Stand {
    match episode.end {
        _ if episode.ended.is_some() => Stand::Over,
        End::Unseen => Stand::Unknown,
        End::Exempt | End::TakenBack if episode.answered_until.is_none_or(|until| until > at) => Stand::Answered,
        _ => Stand::Open,
    }
}

/// Who it was, shortly: an ARN less what is alike in all of them; of a role's session, role and session.
pub(super) fn who(arn: &str) -> &str {
    let rest = arn.splitn(6, ':').nth(5).filter(|_| arn.starts_with("arn:")).filter(|rest| !rest.is_empty());
    rest.map_or(arn, |rest| rest.strip_prefix("assumed-role/").unwrap_or(rest))
}

/// The section that a citation is of, for a link: `164.312` of `45 CFR 164.312(a)(1)`.
pub(super) fn section(citation: &str) -> Option<&str> {
    let rest = citation.strip_prefix("45 CFR ")?;
    let section = rest.split('(').next()?;
    let plain = section.split_once('.').is_some_and(|(part, number)| {
        [part, number].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    });
    plain.then_some(section)
}

/// A citation without what all of them begin with.
pub(super) fn short_citation(citation: &str) -> &str {
    citation.strip_prefix("45 CFR ").unwrap_or(citation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    #[test]
    fn numbers_and_spans_read_well() {
        for (number, said) in [(0, "0"), (12, "12"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), said);
        }
        assert_eq!(
            [many(1, "entry"), many(2, "entry"), many(0, "record")].map(|said| said.clone()),
            ["1 entry", "2 entries", "0 records"]
        );
        for (seconds, said) in [
            (0.0, "0 s"),
            (0.44, "0.4 s"),
            (9.96, "10 s"),
            (59.96, "1 min"),
            (90.0, "1.5 min"),
            (3_599.0, "1 h"),
            (86_400.0, "24 h"),
            (172_800.0, "2 days"),
            (31_536_000.0, "365 days"),
        ] {
            assert_eq!(span(seconds), said.replace(' ', "\u{a0}"), "{seconds}");
        }
    }

    #[test]
    fn a_period_of_whole_days_names_its_last_day() {
        let day = 86_400;
        // 2026-07-01
        let july = 1_782_864_000;
        assert_eq!(period(at(july), at(july + 92 * day)), "1 July to 30 September 2026");
        assert_eq!(period(at(july), at(july + day)), "1 July 2026");
        assert_eq!(period(at(july - day), at(july + 200 * day)), "30 June 2026 to 16 January 2027");
        assert_eq!(period(at(july), at(july + 60)), "1 July 2026, 00:00 to 1 July 2026, 00:01 UTC");
        assert_eq!(period(at(july), at(july)), "1 July 2026, 00:00 to 1 July 2026, 00:00 UTC");
    }

    #[test]
    fn a_link_is_made_of_nothing_but_a_section() {
        assert_eq!(section("45 CFR 164.312(a)(1)"), Some("164.312"));
        for not in ["164.312", "45 CFR 164", "45 CFR ../x.y", "45 CFR 164.3\"12", "45 CFR .", ""] {
            assert_eq!(section(not), None, "{not}");
        }
        assert_eq!(who("arn:aws:iam::111122223333:user/alice"), "user/alice");
        assert_eq!(who("arn:aws:sts::111122223333:assumed-role/deploy/run-7"), "deploy/run-7");
        assert_eq!(who("root"), "root");
        assert_eq!(who("arn:aws"), "arn:aws");
    }
}
