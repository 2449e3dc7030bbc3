//! The looking itself: which lists are looked at beside each other, how many resources at a time, page by page.
//!
//! What AWS throttles is a service in a region. So there is one list at a time of a service in a region, and a number of its
//! resources beside each other; other services and other regions go on meanwhile. The page after the one that is looked at is
//! listed meanwhile, too.

use super::bar::Bar;
use super::kept::{self, Kept, Step};
use super::patience::in_flight;
use super::tell::Teller;
use catalogue::{Entry, Glance};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use remediation::lambda::{Here, Look, Tools};
use remediation::sweep::{From, Looked, Swept};
use remediation::{AccountId, Outcome, Record, Region};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// How long a page of resources may take: AWS that throttles for longer is told as trouble.
const PATIENCE: Duration = Duration::from_mins(10);

/// For how long AWS may say nothing that is of use: neither a list nor one resource. Throttled ever so much, it says something.
const STALLED: Duration = Duration::from_mins(1);
/// After how many places in a row that came to nothing the others of the same service and region are not tried.
const HOPELESS: usize = 2;

/// How many services, each in a region, are looked at at once: an account has some three of ours in each of some seventeen
/// regions, and each has its own limits.
const LANES: usize = 8;

/// Whose limits a control's calls count against, as far as it matters here: what its id begins with. EBS is a part of EC2's API.
fn service(id: &str) -> &str {
    match id.split('-').next() {
        Some("ebs") => "ec2",
        Some(service) => service,
        None => id,
    }
}

/// A control in a region.
pub struct Place {
    /// The control.
    pub control: &'static Entry,
    /// The region.
    pub region: Region,
}

/// What all places of a scan share.
pub struct Shared {
    /// Who is told what was found.
    pub teller: Teller,
    /// How far it is.
    pub bar: Bar,
    /// What is kept of it.
    pub kept: Kept,
}

/// A scan.
pub struct Scan<'a> {
    /// What it asks AWS with.
    pub tools: &'a Tools,
    /// Where it is.
    pub here: &'a Here,
    /// The account that is looked at.
    pub account: &'a AccountId,
    /// The control's settings, if any were given.
    pub parameters: Option<&'a Value>,
    /// What all places share.
    pub shared: RefCell<Shared>,
}

impl Scan<'_> {
    /// Tells again what an earlier, stopped scan had found.
    pub fn again(&self) {
        let Shared { teller, kept, bar } = &mut *self.shared.borrow_mut();
        kept.earlier(|step| {
            bar.looked_before(&step.control, &step.region, step.counts.values().sum());
            teller.counted(&step.control, &step.counts, step.cut_short.as_deref());
            for record in &step.records {
                teller.found(record);
            }
        });
    }

    /// Looks at all places.
    pub async fn all(&self, places: Vec<Place>) {
        let mut waiting: VecDeque<VecDeque<Place>> = VecDeque::new();
        for place in places {
            let same = |lane: &&mut VecDeque<Place>| lane.front().is_some_and(|first| beside(first, &place));
            match waiting.iter_mut().find(same) {
                Some(lane) => lane.push_back(place),
                None => waiting.push_back(VecDeque::from([place])),
            }
        }
        let lane = async |lane: VecDeque<Place>| {
            let mut in_vain = 0;
            for place in lane {
                if in_vain >= HOPELESS {
                    self.leave_out(&place);
                } else {
                    in_vain = if Box::pin(self.place(place)).await { 0 } else { in_vain + 1 };
                }
            }
        };
        let mut working = FuturesUnordered::new();
        loop {
            while working.len() < LANES
                && let Some(places) = waiting.pop_front()
            {
                working.push(lane(places));
            }
            if working.next().await.is_none() {
                return;
            }
        }
    }

    /// Says that a place was not looked at, since those before it came to nothing.
    fn leave_out(&self, place: &Place) {
        let (id, region) = (place.control.about.id, place.region.as_str());
        let Shared { teller, bar, kept } = &mut *self.shared.borrow_mut();
        kept.broke_off();
        let why = format!("not looked at: nothing could be read of {} in {region}; scan again later", service(id));
        teller.counted(id, &BTreeMap::new(), Some(&why));
        bar.listed(id, region, 0, false);
        bar.ended(id, region);
    }

    /// Looks at a place, page by page, and keeps each page that is done. Says whether anything came of it: of a network that is
    /// away, or a service that throttles everything, nothing does.
    async fn place(&self, place: Place) -> bool {
        let (id, region) = (place.control.about.id, place.region.as_str());
        let mut from = match self.shared.borrow().kept.stand(id, region) {
            kept::Stand::Begins => From::Beginning,
            kept::Stand::GoesOn(after) => From::After(after),
            kept::Stand::Ended => {
                self.shared.borrow().bar.listed(id, region, 0, false);
                self.shared.borrow().bar.ended(id, region);
                return true;
            }
        };
        loop {
            let mut records = Vec::new();
            let Looked { swept, next } = self.page(&place, from, &mut records).await;
            let nothing = swept.outcomes.keys().all(|outcome| *outcome == Outcome::Failed.name());
            let broke_off = swept.retry && (nothing || swept.cut_short.is_some());
            let Shared { teller, kept, bar } = &mut *self.shared.borrow_mut();
            let counts = swept.outcomes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
            let step = Step {
                control: id.to_owned(),
                region: region.to_owned(),
                after: next.as_ref().and_then(From::after).map(str::to_owned),
                counts,
                cut_short: swept.cut_short,
                records,
            };
            teller.counted(id, &step.counts, step.cut_short.as_deref());
            // What broke off is worth another look when the scan goes on.
            if broke_off {
                kept.broke_off();
                bar.ended(id, region);
                return !nothing;
            }
            kept.keep(&step);
            let Some(next) = next else {
                bar.ended(id, region);
                return true;
            };
            from = next;
        }
    }

    async fn page(&self, place: &Place, from: From, records: &mut Vec<Value>) -> Looked {
        let (id, region) = (place.control.about.id, place.region.as_str());
        let (heard, outcomes) = (Cell::new(Instant::now()), RefCell::new(BTreeMap::new()));
        let mut each = |record: Record| {
            heard.set(Instant::now());
            *outcomes.borrow_mut().entry(record.outcome.name()).or_default() += 1;
            let mut shared = self.shared.borrow_mut();
            shared.bar.looked(id, region);
            if matches!(record.outcome, Outcome::Compliant | Outcome::Gone) {
                return;
            }
            let record = serde_json::to_value(&record).unwrap_or_default();
            shared.teller.found(&record);
            records.push(record);
        };
        let mut listed = |count: usize, more: bool| {
            heard.set(Instant::now());
            self.shared.borrow().bar.listed(id, region, count, more);
        };
        let look = Look {
            account: self.account,
            region: &place.region,
            from,
            at_once: in_flight(service(id)),
            each: &mut each,
            listed: &mut listed,
        };
        let glance = Glance {
            look,
            parameters: self.parameters.cloned(),
            tools: self.tools,
            here: self.here,
            deadline: Instant::now() + PATIENCE,
        };
        let looked = tokio::select! {
            looked = place.control.look(glance) => Some(looked),
            () = stalled(&heard) => None,
        };
        match looked {
            Some(Ok(looked)) => looked,
            Some(Err(why)) => {
                let cut_short = Some(format!("{id}: {why}"));
                Looked { swept: Swept { cut_short, ..Swept::default() }, next: None }
            }
            None => {
                let cut_short = format!("AWS answered nothing of use in {region} for {STALLED:?}; scan again later");
                let outcomes = outcomes.take();
                Looked {
                    swept: Swept { outcomes, cut_short: Some(cut_short), retry: true, ..Swept::default() },
                    next: None,
                }
            }
        }
    }
}

/// Ends when nothing has been heard for long.
async fn stalled(heard: &Cell<Instant>) {
    while heard.get().elapsed() < STALLED {
        tokio::time::sleep_until(heard.get() + STALLED).await;
    }
}

/// Whether these are looked at one after the other.
fn beside(one: &Place, other: &Place) -> bool {
    service(one.control.about.id) == service(other.control.about.id) && one.region == other.region
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_without_a_word_is_a_stall_and_a_slow_answer_is_none() {
        let began = Instant::now();
        let heard = Cell::new(began);
        let speaks = async {
            for _ in 0..5 {
                tokio::time::sleep(STALLED / 2).await;
                heard.set(Instant::now());
            }
        };
        tokio::join!(stalled(&heard), speaks);
        assert_eq!(began.elapsed(), STALLED * 5 / 2 + STALLED);
    }

    #[test]
    fn what_shares_a_limit_is_looked_at_one_after_the_other() {
        let place =
            |id, region| Place { control: catalogue::find(id).unwrap(), region: Region::parse(region).unwrap() };
        let buckets = place("s3-public-bucket", "us-east-1");
        assert!(beside(&buckets, &place("s3-weak-encryption", "us-east-1")));
        assert!(!beside(&buckets, &place("s3-public-bucket", "eu-west-1")));
        assert!(!beside(&buckets, &place("iam-stale-access-key", "us-east-1")));
        let volumes = place("ebs-unencrypted-default", "us-east-1");
        assert!(beside(&volumes, &place("ec2-open-security-group", "us-east-1")));
    }
}
