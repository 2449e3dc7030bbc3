//! How far a scan is: how many resources were looked at, how many a second, and the time that is left, as far as that can be
//! known. Lists are of unknown length until their last page is listed; but the buckets of a region are as many for one control
//! as for another.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How long the rate is measured over: what was looked at earlier, by another control, went at another rate.
const WINDOW: Duration = Duration::from_secs(10);

/// A line with a bar, where there is a terminal; quiet in a pipe.
pub struct Bar {
    line: ProgressBar,
    pace: RefCell<Pace>,
}

impl Bar {
    /// Shows it, for these lists: the control, the region, and the type of the resources.
    pub fn start<'a>(lists: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let line = ProgressBar::new(1);
        line.set_style(style("{spinner} {wide_msg} {elapsed}"));
        line.enable_steady_tick(Duration::from_millis(100));
        let lists = lists.map(|(control, region, kind)| List::new(control, region, kind));
        Self { line, pace: RefCell::new(Pace { lists: lists.collect(), ..Pace::default() }) }
    }

    /// A page of a list has so many resources, and more follow or not.
    pub fn listed(&self, control: &str, region: &str, count: usize, more: bool) {
        let mut pace = self.pace.borrow_mut();
        if let Some(list) = pace.list(control, region) {
            list.listed += count;
            list.whole = !more;
        }
    }

    /// So many resources of a list were looked at by a scan that was stopped.
    pub fn looked_before(&self, control: &str, region: &str, count: usize) {
        let mut pace = self.pace.borrow_mut();
        if let Some(list) = pace.list(control, region) {
            list.listed += count;
            list.looked += count;
        }
    }

    /// A resource was looked at.
    pub fn looked(&self, control: &str, region: &str) {
        let mut pace = self.pace.borrow_mut();
        pace.looked(control, region, Instant::now());
        self.line.set_message(pace.says(control, region));
        if let Some((done, of)) = pace.share() {
            if self.line.length() == Some(1) {
                self.line.set_style(style("{spinner} {wide_msg} [{bar:20}] {elapsed}"));
            }
            self.line.set_length(of.max(2) as u64);
            self.line.set_position(done as u64);
        }
    }

    /// A list is done.
    pub fn ended(&self, control: &str, region: &str) {
        if let Some(list) = self.pace.borrow_mut().list(control, region) {
            list.ended = true;
        }
    }

    /// Takes it away.
    pub fn end(self) {
        self.line.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// A control's list in a region.
#[derive(Debug, Default)]
struct List {
    control: String,
    region: String,
    kind: String,
    /// How many resources of it are known.
    listed: usize,
    /// Whether that is all of them.
    whole: bool,
    looked: usize,
    ended: bool,
}

impl List {
    fn new(control: &str, region: &str, kind: &str) -> Self {
        let [control, region, kind] = [control, region, kind].map(str::to_owned);
        Self { control, region, kind, ..Self::default() }
    }
}

/// How much was looked at, and how fast.
#[derive(Debug, Default)]
struct Pace {
    lists: Vec<List>,
    looked: usize,
    /// When the window began that the rate is measured over, what had been looked at then, and the same of the next window.
    windows: Option<[(Instant, usize); 2]>,
    rate: f64,
}

impl Pace {
    fn list(&mut self, control: &str, region: &str) -> Option<&mut List> {
        self.lists.iter_mut().find(|list| list.control == control && list.region == region)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn looked(&mut self, control: &str, region: &str, now: Instant) {
        self.looked += 1;
        if let Some(list) = self.list(control, region) {
            list.looked += 1;
        }
        let [first, next] = self.windows.get_or_insert([(now, 0); 2]);
        if now.duration_since(next.0) >= WINDOW / 2 {
            *first = std::mem::replace(next, (now, self.looked));
        }
        let time = now.duration_since(first.0).as_secs_f64();
        // The first moments say nothing.
        if time > 0.3 {
            self.rate = (self.looked - first.1) as f64 / time;
        }
    }

    /// How many resources are still to be looked at; none while that cannot be known.
    fn left(&self) -> Option<usize> {
        let length = |list: &List| {
            let like = |other: &&List| other.whole && other.kind == list.kind && other.region == list.region;
            let known = if list.whole { Some(list) } else { self.lists.iter().find(like) };
            // What a look at an account finds is one: the account.
            known.map(|known| known.listed).or((list.kind == "AWS::::Account").then_some(1))
        };
        let unended = self.lists.iter().filter(|list| !list.ended);
        unended.map(|list| length(list).map(|length| length.saturating_sub(list.looked))).sum()
    }

    /// How many were looked at, and of how many; none while that cannot be known.
    fn share(&self) -> Option<(usize, usize)> {
        let looked: usize = self.lists.iter().map(|list| list.looked).sum();
        self.left().map(|left| (looked, looked + left))
    }

    #[expect(clippy::cast_precision_loss, reason = "a time for people")]
    fn says(&self, control: &str, region: &str) -> String {
        let looked: usize = self.lists.iter().map(|list| list.looked).sum();
        let rate = if self.rate > 0.0 { format!(", {:.0} a second", self.rate) } else { String::new() };
        let left = match self.left() {
            Some(left) if self.rate > 0.0 => {
                format!(", about {} left", time(Duration::from_secs_f64(left as f64 / self.rate)))
            }
            Some(_) => String::new(),
            None => ", more to list".to_owned(),
        };
        let ended = self.lists.iter().filter(|list| list.ended).count();
        format!("{looked} looked at{rate}{left} ({ended} of {} lists; {control} in {region})", self.lists.len())
    }
}

/// A time that is a guess.
fn time(left: Duration) -> String {
    match left.as_secs_f64().ceil() {
        seconds if seconds < 100.0 => format!("{seconds:.0} s"),
        seconds if seconds < 100.0 * 60.0 => format!("{:.0} min", (seconds / 60.0).ceil()),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKETS: &str = "AWS::S3::Bucket";

    fn pace(lists: &[(&str, &str, &str)]) -> Pace {
        let lists = lists.iter().map(|(control, region, kind)| List::new(control, region, kind)).collect();
        Pace { lists, ..Pace::default() }
    }

    fn list<'a>(pace: &'a mut Pace, control: &str, region: &str) -> &'a mut List {
        pace.list(control, region).unwrap()
    }

    #[test]
    fn what_is_left_is_known_once_each_list_was_listed_once_by_anybody() {
        let mut pace = pace(&[("a", "here", BUCKETS), ("b", "here", BUCKETS), ("b", "there", BUCKETS)]);
        assert_eq!(pace.left(), None);
        *list(&mut pace, "a", "here") = List { listed: 30, whole: true, looked: 10, ..List::new("a", "here", BUCKETS) };
        assert_eq!(pace.left(), None, "of there nothing is known");
        *list(&mut pace, "b", "there") = List { listed: 500, looked: 500, ..List::new("b", "there", BUCKETS) };
        assert_eq!(pace.left(), None, "and not all");
        list(&mut pace, "b", "there").whole = true;
        assert_eq!(pace.left(), Some(20 + 30), "b has as many here as a has");
        assert_eq!(pace.share(), Some((510, 560)));
        list(&mut pace, "a", "here").ended = true;
        assert_eq!(pace.left(), Some(30), "what has ended has nothing left");
    }

    #[test]
    fn other_resources_tell_nothing() {
        let mut pace = pace(&[("a", "here", BUCKETS), ("c", "here", "AWS::EC2::SecurityGroup")]);
        list(&mut pace, "a", "here").whole = true;
        assert_eq!(pace.left(), None);
        let mut pace = self::pace(&[("a", "here", BUCKETS), ("d", "here", "AWS::::Account")]);
        list(&mut pace, "a", "here").whole = true;
        assert_eq!(pace.left(), Some(1), "an account is one");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut pace = pace(&[("a", "here", BUCKETS)]);
        let began = Instant::now();
        let mut at = began;
        assert!(
            pace.says("a", "here").starts_with("0 looked at, more to list (0 of 1 lists"),
            "{}",
            pace.says("a", "here")
        );
        for _ in 0..3000 {
            pace.looked("a", "here", at);
            at += Duration::from_millis(10);
        }
        assert!((95.0..105.0).contains(&pace.rate), "{}", pace.rate);
        for _ in 0..200 {
            pace.looked("a", "here", at);
            at += Duration::from_millis(100);
        }
        assert!((9.5..10.5).contains(&pace.rate), "the quick half minute is forgotten: {}", pace.rate);
        *list(&mut pace, "a", "here") =
            List { listed: 4200, looked: 3200, whole: true, ..List::new("a", "here", BUCKETS) };
        assert_eq!(pace.says("a", "here"), "3200 looked at, 10 a second, about 2 min left (0 of 1 lists; a in here)");
    }

    #[test]
    fn times_are_no_more_exact_than_a_guess() {
        let said = |seconds| time(Duration::from_secs_f64(seconds));
        assert_eq!([0.0, 0.2, 42.0, 130.0, 7200.0].map(said), ["0 s", "1 s", "42 s", "3 min", "2.0 h"]);
    }
}
