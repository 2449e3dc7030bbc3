//! Where a function's records and messages come from: the mappings that SAM makes of its events, and those that stand by
//! themselves and name it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html>

use super::{Function, resolve};
use serde_json::{Map, Value};
use std::str::FromStr;

/// One event source of a function, resolved.
pub(super) struct EventSource {
    /// What it is called: `suture-S3PublicBucketParts`.
    pub(super) name: String,
    /// The ARN of where it takes from.
    pub(super) from: String,
    /// Where it is in the template, for errors.
    pub(super) at: String,
    /// What it is set to.
    pub(super) properties: Value,
}

impl EventSource {
    /// The text at this place of its properties; none if there is none.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, String> {
        self.properties.pointer(key).map(|value| resolve::text(value, &self.at)).transpose()
    }

    /// The number at this place; none if there is none. Fails if it is no whole number of this kind.
    pub(super) fn number<N: FromStr>(&self, key: &str) -> Result<Option<N>, String> {
        let at = &self.at;
        let whole = |text: String| {
            text.parse().map_err(|_| format!("{at}{}: {text} is not a whole number", key.replace('/', ".")))
        };
        self.text(key)?.map(whole).transpose()
    }

    /// Whether the function says which of a batch failed.
    pub(super) fn is_partial(&self) -> bool {
        let reports = self.properties.get("FunctionResponseTypes").and_then(Value::as_array);
        reports.is_some_and(|all| all.iter().any(|one| one.as_str() == Some("ReportBatchItemFailures")))
    }
}

impl Function<'_> {
    /// Its event sources of a service (`sqs`): of SAM's events of this type, which name theirs under `key`, and of mappings
    /// that stand by themselves. Those that are switched off are left out.
    pub(super) fn event_sources(&self, service: &str, sam: &str, key: &str) -> Result<Vec<EventSource>, String> {
        let mut found = Vec::new();
        let none = Map::new();
        for (name, event) in self.properties.get("Events").and_then(Value::as_object).unwrap_or(&none) {
            if event.get("Type").and_then(Value::as_str) == Some(sam) {
                let place = format!("{}.Events.{name}", self.logical_id);
                let named = format!("{}-{}{name}", self.resolver.world.stack, self.logical_id);
                found.extend(self.event_source(service, event.get("Properties"), key, named, &place)?);
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
                found.extend(self.event_source(service, properties, "EventSourceArn", named, name)?);
            }
        }
        Ok(found)
    }

    /// None if it is switched off, or takes from another service.
    fn event_source(
        &self,
        service: &str,
        properties: Option<&Value>,
        key: &str,
        name: String,
        at: &str,
    ) -> Result<Option<EventSource>, String> {
        let properties = match properties {
            Some(properties) => self.resolver.resolve(properties, at)?.unwrap_or_default(),
            None => Value::Null,
        };
        let source = EventSource { name, from: String::new(), at: at.to_owned(), properties };
        let from = source.text(&format!("/{key}"))?.ok_or_else(|| format!("{at} has no {key}; give it one"))?;
        let off = source.text("/Enabled")?.as_deref() == Some("false");
        let ours = !off && from.split(':').nth(2) == Some(service);
        Ok(ours.then_some(EventSource { from, ..source }))
    }
}
