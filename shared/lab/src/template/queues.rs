//! What hands a function the messages of a queue, and where is told what a function failed with.

use super::Function;
use super::event_sources::EventSource;

/// One event source: a queue and how its messages are handed over.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html>
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSpec {
    /// What it is called: `suture-S3PublicBucketQueued`.
    pub name: String,
    /// The queue's ARN.
    pub queue: String,
    /// How many messages at most one event has. Lambda's default is 10.
    pub batch: usize,
    /// How many invocations at once it makes at most; none means as many as the function may have.
    pub concurrency: Option<usize>,
    /// Whether the function says which messages failed.
    pub partial: bool,
}

impl Function<'_> {
    /// The queues whose messages it takes.
    /// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-sqs.html>
    pub(super) fn queues(&self) -> Result<Vec<QueueSpec>, String> {
        self.event_sources("sqs", "SQS", "Queue")?.into_iter().map(queue).collect()
    }
}

fn queue(source: EventSource) -> Result<QueueSpec, String> {
    let at = &source.at;
    if source.properties.get("FilterCriteria").is_some() {
        return Err(format!("{at}.FilterCriteria: the lab hands over every message; leave it out"));
    }
    let batch = source.number("/BatchSize")?.unwrap_or(10_usize).max(1);
    if batch > 10 && source.number("/MaximumBatchingWindowInSeconds")?.unwrap_or(0_u32) == 0 {
        return Err(format!("{at}.BatchSize: more than 10 messages need a MaximumBatchingWindowInSeconds"));
    }
    let concurrency = source.number("/ScalingConfig/MaximumConcurrency")?;
    if concurrency.is_some_and(|most: usize| !(2..=1000).contains(&most)) {
        return Err(format!("{at}.ScalingConfig.MaximumConcurrency is not between 2 and 1000"));
    }
    let partial = source.is_partial();
    Ok(QueueSpec { name: source.name, queue: source.from, batch, concurrency, partial })
}
