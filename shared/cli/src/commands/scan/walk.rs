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
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How long a page of resources may take: AWS that throttles for longer is told as trouble.
const PATIENCE: Duration = Duration::from_mins(10);

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
            for place in lane {
                Box::pin(self.place(place)).await;
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

    /// Looks at a place, page by page, and keeps each page that is done.
    async fn place(&self, place: Place) {
        let (id, region) = (place.control.about.id, place.region.as_str());
        let mut from = match self.shared.borrow().kept.stand(id, region) {
            kept::Stand::Begins => From::Beginning,
            kept::Stand::GoesOn(after) => From::After(after),
            kept::Stand::Ended => {
                self.shared.borrow().bar.listed(id, region, 0, false);
                self.shared.borrow().bar.ended(id, region);
                return;
            }
        };
        loop {
            let mut records = Vec::new();
            let Looked { swept, next } = self.page(&place, from, &mut records).await;
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
            kept.keep(&step);
            let Some(next) = next else {
                bar.ended(id, region);
                return;
            };
            from = next;
        }
    }

    async fn page(&self, place: &Place, from: From, records: &mut Vec<Value>) -> Looked {
        let (id, region) = (place.control.about.id, place.region.as_str());
        let mut each = |record: Record| {
            let mut shared = self.shared.borrow_mut();
            shared.bar.looked(id, region);
            if matches!(record.outcome, Outcome::Compliant | Outcome::Gone) {
                return;
            }
            let record = serde_json::to_value(&record).unwrap_or_default();
            shared.teller.found(&record);
            records.push(record);
        };
        let mut listed = |count: usize, more: bool| self.shared.borrow().bar.listed(id, region, count, more);
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
        place.control.look(glance).await.unwrap_or_else(|why| {
            let cut_short = Some(format!("{id}: {why}"));
            Looked { swept: Swept { cut_short, ..Swept::default() }, next: None }
        })
    }
}

/// Whether these are looked at one after the other.
fn beside(one: &Place, other: &Place) -> bool {
    service(one.control.about.id) == service(other.control.about.id) && one.region == other.region
}

#[cfg(test)]
mod tests {
    use super::*;

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
