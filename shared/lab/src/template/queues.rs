//! What hands a function the messages of a queue, and where is told what a function failed with.

use super::{Function, resolve};
use serde_json::{Map, Value};

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
    /// The event sources that SAM makes of the function's events, and those that stand by themselves and name it.
    /// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-sqs.html>
    pub(super) fn queues(&self) -> Result<Vec<QueueSpec>, String> {
        let mut found = Vec::new();
        let none = Map::new();
        for (name, event) in self.properties.get("Events").and_then(Value::as_object).unwrap_or(&none) {
            if event.get("Type").and_then(Value::as_str) == Some("SQS") {
                let place = format!("{}.Events.{name}", self.logical_id);
                let named = format!("{}-{}{name}", self.resolver.world.stack, self.logical_id);
                found.extend(self.queue(event.get("Properties"), "Queue", named, &place)?);
            }
        }
        let own = [self.resolver.arn(self.logical_id, &self.place(""))?, self.resolver.name(self.logical_id, "")?];
        for (name, resource) in self.resolver.resources() {
            let kind = resource.get("Type").and_then(Value::as_str);
            if kind != Some("AWS::Lambda::EventSourceMapping") || !self.resolver.exists(name)? {
                continue;
            }
            let properties = resource.get("Properties");
            let Some(of) = properties.and_then(|properties| properties.get("FunctionName")) else { continue };
            let of = self.resolver.resolve(of, name)?;
            if of.as_ref().and_then(Value::as_str).is_some_and(|of| own.iter().any(|own| own == of)) {
                let named = format!("{}-{name}", self.resolver.world.stack);
                found.extend(self.queue(properties, "EventSourceArn", named, name)?);
            }
        }
        Ok(found)
    }

    /// None if the event source is switched off or its source is no queue.
    fn queue(
        &self,
        properties: Option<&Value>,
        source: &str,
        name: String,
        at: &str,
    ) -> Result<Option<QueueSpec>, String> {
        let properties = match properties {
            Some(properties) => self.resolver.resolve(properties, at)?.unwrap_or_default(),
            None => Value::Null,
        };
        let text = |key: &str| properties.pointer(key).map(|value| resolve::text(value, at)).transpose();
        let number = |key: &str| -> Result<Option<usize>, String> {
            let whole = |text: String| {
                text.parse().map_err(|_| format!("{at}{}: {text} is not a whole number", key.replace('/', ".")))
            };
            text(key)?.map(whole).transpose()
        };
        let queue = text(&format!("/{source}"))?.ok_or_else(|| format!("{at} has no {source}; give it one"))?;
        if text("/Enabled")?.as_deref() == Some("false") || !queue.contains(":sqs:") {
            return Ok(None);
        }
        if properties.get("FilterCriteria").is_some() {
            return Err(format!("{at}.FilterCriteria: the lab hands over every message; leave it out"));
        }
        let batch = number("/BatchSize")?.unwrap_or(10).max(1);
        if batch > 10 && number("/MaximumBatchingWindowInSeconds")?.unwrap_or(0) == 0 {
            return Err(format!("{at}.BatchSize: more than 10 messages need a MaximumBatchingWindowInSeconds"));
        }
        let concurrency = number("/ScalingConfig/MaximumConcurrency")?;
        if concurrency.is_some_and(|most| !(2..=1000).contains(&most)) {
            return Err(format!("{at}.ScalingConfig.MaximumConcurrency is not between 2 and 1000"));
        }
        let reports = properties.get("FunctionResponseTypes").and_then(Value::as_array);
        let partial = reports.is_some_and(|all| all.iter().any(|one| one.as_str() == Some("ReportBatchItemFailures")));
        Ok(Some(QueueSpec { name, queue, batch, concurrency, partial }))
    }
}
