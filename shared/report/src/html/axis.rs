//! Where the lines and labels of an axis go.

use super::words;
use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset};

/// Labels that a phone's width has room for.
const ROOM: usize = 6;

/// A place on an axis, from 0 to 100, and what stands there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Per cent of the axis.
    pub(super) at: f64,
    /// The label.
    pub(super) label: String,
}

/// Where a moment is on an axis of time, in per cent; what is outside is at its end.
pub(super) fn place(at: OffsetDateTime, from: OffsetDateTime, to: OffsetDateTime) -> f64 {
    let whole = (to - from).as_seconds_f64();
    if whole <= 0.0 { 0.0 } else { ((at - from).as_seconds_f64() / whole * 100.0).clamp(0.0, 100.0) }
}

/// The labels of an axis of time: hours, days or months, as many as have room.
pub(super) fn times(from: OffsetDateTime, to: OffsetDateTime) -> Vec<Tick> {
    let (from, to) = (from.to_offset(UtcOffset::UTC), to.to_offset(UtcOffset::UTC));
    let hours = [1, 2, 3, 6, 12].map(|n| (Duration::hours(n), false));
    let days = [1, 2, 7, 14].map(|n| (Duration::days(n), true));
    for (step, whole_days) in hours.into_iter().chain(days) {
        if (to - from).as_seconds_f64() / step.as_seconds_f64() <= words::float(ROOM) {
            return every(from, to, step, whole_days);
        }
    }
    [1, 2, 3, 6, 12, 24, 60]
        .into_iter()
        .map(|step| months(from, to, step))
        .find(|ticks| ticks.len() <= ROOM)
        .unwrap_or_default()
}

fn every(from: OffsetDateTime, to: OffsetDateTime, step: Duration, whole_days: bool) -> Vec<Tick> {
    let mut ticks = Vec::new();
    let mut at = from.replace_time(Time::MIDNIGHT);
    while at <= to {
        if at >= from {
            let label = if whole_days || at.time() == Time::MIDNIGHT {
                words::short_day(at)
            } else {
                format!("{:02}:{:02}", at.hour(), at.minute())
            };
            ticks.push(Tick { at: place(at, from, to), label });
        }
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    ticks
}

fn months(from: OffsetDateTime, to: OffsetDateTime, step: i32) -> Vec<Tick> {
    let mut ticks = Vec::new();
    let (mut year, mut month) = (from.year(), u8::from(from.month()));
    let mut since: i32 = 0;
    let mut last_year = None;
    // 60 years of months, should a period ever be so long.
    for _ in 0..720 {
        let first = Month::try_from(month).ok().and_then(|m| Date::from_calendar_date(year, m, 1).ok());
        let Some(at) = first.map(|date| date.midnight().assume_utc()) else { break };
        if at > to {
            break;
        }
        if at >= from {
            if since % step == 0 {
                let name = words::short_month(at.month());
                let label = if last_year == Some(year) { name.to_owned() } else { format!("{name} {year}") };
                last_year = Some(year);
                ticks.push(Tick { at: place(at, from, to), label });
            }
            since += 1;
        }
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
    ticks
}

/// The labels of an axis of counts: round numbers from 0, the last one at or above the highest count.
pub(super) fn counts(highest: usize) -> Vec<usize> {
    let mut step = 1;
    let mut growth = [2, 5, 10].into_iter().cycle();
    let mut base = 1;
    while highest.div_ceil(step) > 4 {
        let factor = growth.next().unwrap_or(10);
        step = base * factor;
        if factor == 10 {
            base = step;
        }
    }
    (0..=highest.div_ceil(step).max(1)).map(|n| n * step).collect()
}

/// The labels of a logarithmic axis of seconds.
const SPANS: [(f64, &str); 13] = [
    (0.01, "10 ms"),
    (0.1, "0.1 s"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3_600.0, "1 h"),
    (21_600.0, "6 h"),
    (86_400.0, "1 day"),
    (604_800.0, "1 week"),
    (2_592_000.0, "30 d"),
    (31_536_000.0, "1 year"),
    (315_360_000.0, "10 y"),
];

/// A logarithmic axis of time.
#[derive(Debug)]
pub(super) struct Spans {
    least: f64,
    most: f64,
    /// Its labels.
    pub(super) ticks: Vec<Tick>,
}

impl Spans {
    /// An axis that has room for spans from the shortest to the longest, in seconds.
    pub(super) fn new(shortest: f64, longest: f64) -> Self {
        let least = SPANS.iter().rev().map(|(at, _)| *at).find(|at| *at <= shortest).unwrap_or(0.01);
        let most =
            SPANS.iter().map(|(at, _)| *at).find(|at| *at >= longest && *at > least * 9.0).unwrap_or(315_360_000.0);
        let mut axis = Self { least, most, ticks: Vec::new() };
        let within: Vec<&(f64, &str)> = SPANS.iter().filter(|(at, _)| (least..=most).contains(at)).collect();
        let skip = within.len().div_ceil(ROOM + 1);
        axis.ticks = within
            .iter()
            .step_by(skip)
            .map(|(at, label)| Tick { at: axis.place(*at), label: (*label).to_owned() })
            .collect();
        axis
    }

    /// Where a span is on it, in per cent.
    pub(super) fn place(&self, seconds: f64) -> f64 {
        let (least, most) = (self.least.ln(), self.most.ln());
        ((seconds.max(self.least).ln() - least) / (most - least) * 100.0).clamp(0.0, 100.0)
    }

    /// The span at a place, in seconds.
    pub(super) fn seconds(&self, place: f64) -> f64 {
        let (least, most) = (self.least.ln(), self.most.ln());
        (least + (most - least) * place / 100.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    const JULY: i64 = 1_782_864_000;
    const DAY: i64 = 86_400;

    #[test]
    fn a_quarter_has_its_months_and_a_day_its_hours() {
        let labels = |days: i64| {
            times(at(JULY), at(JULY + days * DAY)).into_iter().map(|tick| tick.label).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(92), "Jul 2026 Aug Sep Oct");
        assert_eq!(labels(365), "Jul 2026 Oct Jan 2027 Apr Jul");
        assert_eq!(labels(30), "1 Jul 8 Jul 15 Jul 22 Jul 29 Jul");
        assert_eq!(labels(1), "1 Jul 06:00 12:00 18:00 2 Jul");
    }

    #[test]
    fn counts_have_round_labels() {
        for (highest, labels) in [
            (0, vec![0, 1]),
            (1, vec![0, 1]),
            (4, vec![0, 1, 2, 3, 4]),
            (7, vec![0, 2, 4, 6, 8]),
            (41, vec![0, 20, 40, 60]),
            (9_000, vec![0, 5_000, 10_000]),
        ] {
            assert_eq!(counts(highest), labels, "{highest}");
        }
    }

    proptest! {
        #[test]
        fn an_axis_never_has_more_labels_than_room_nor_any_outside(from in 0_i64..4_000_000_000, long in 0_i64..2_000_000_000) {
            let ticks = times(at(from), at(from + long));
            prop_assert!(ticks.len() <= ROOM + 1, "{ticks:?}");
            prop_assert!(ticks.iter().all(|tick| (0.0..=100.0).contains(&tick.at)));
        }

        #[test]
        fn a_span_is_where_its_place_is(shortest in 0.001_f64..1e6, factor in 1.0_f64..1e6, where_ in 0.0_f64..=100.0) {
            let axis = Spans::new(shortest, shortest * factor);
            prop_assert!((axis.place(axis.seconds(where_)) - where_).abs() < 0.001);
            prop_assert!(axis.ticks.len() <= ROOM + 2);
        }

        #[test]
        fn counts_reach_the_highest(highest in 0_usize..10_000_000) {
            let labels = counts(highest);
            prop_assert!(labels.last().unwrap() >= &highest && labels.len() <= 6);
        }
    }
}
