//! What hands a function the records of a table's stream, and what the function's role may do.

use super::{Function, resolve};
use serde_json::{Map, Value};
use std::time::Duration;

/// One event source mapping: a table's stream and how its records are handed over.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html>
#[derive(Clone, Debug, PartialEq)]
pub struct MappingSpec {
    /// What it is called: `suture-RecorderLedger`.
    pub name: String,
    /// The stream's ARN.
    pub stream: String,
    /// How many records at most one event has. Lambda's default is 100.
    pub batch: usize,
    /// The patterns of which a record must match one; none means that every record is handed over.
    pub filters: Vec<Value>,
    /// How often a batch is tried again; none means until its records expire.
    pub retries: Option<u32>,
    /// How old a record is handed over at most; none means until it expires.
    pub longest: Option<Duration>,
    /// Whether a batch that failed is cut in two.
    pub bisect: bool,
    /// Whether the function says which records failed.
    pub partial: bool,
    /// Where is told what was given up; none means nowhere.
    pub on_failure: Option<String>,
}

impl MappingSpec {
    /// The table's name.
    pub fn table(&self) -> &str {
        self.stream.split('/').nth(1).unwrap_or_default()
    }
}

impl Function<'_> {
    /// The mappings that SAM makes of the function's events, and those that stand by themselves and name it.
    /// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-dynamodb.html>
    pub(super) fn mappings(&self) -> Result<Vec<MappingSpec>, String> {
        let mut found = Vec::new();
        let none = Map::new();
        for (name, event) in self.properties.get("Events").and_then(Value::as_object).unwrap_or(&none) {
            if event.get("Type").and_then(Value::as_str) == Some("DynamoDB") {
                let place = format!("{}.Events.{name}", self.logical_id);
                let named = format!("{}-{}{name}", self.resolver.world.stack, self.logical_id);
                found.extend(self.mapping(event.get("Properties"), "Stream", named, &place)?);
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
                found.extend(self.mapping(properties, "EventSourceArn", named, name)?);
            }
        }
        Ok(found)
    }

    /// None if the mapping is switched off or its source is no table's stream.
    fn mapping(
        &self,
        properties: Option<&Value>,
        source: &str,
        name: String,
        at: &str,
    ) -> Result<Option<MappingSpec>, String> {
        let properties = match properties {
            Some(properties) => self.resolver.resolve(properties, at)?.unwrap_or_default(),
            None => Value::Null,
        };
        let text = |key: &str| properties.pointer(key).map(|value| resolve::text(value, at)).transpose();
        let number = |key: &str| -> Result<Option<i64>, String> {
            let whole = |text: String| {
                text.parse().map_err(|_| format!("{at}{}: {text} is not a number", key.replace('/', ".")))
            };
            text(key)?.map(whole).transpose()
        };
        let stream = text(&format!("/{source}"))?.ok_or_else(|| format!("{at} has no {source}; give it one"))?;
        if text("/Enabled")?.as_deref() == Some("false") || !stream.contains(":dynamodb:") {
            return Ok(None);
        }
        let mut filters = Vec::new();
        for filter in properties.pointer("/FilterCriteria/Filters").and_then(Value::as_array).into_iter().flatten() {
            let pattern = filter.get("Pattern").and_then(Value::as_str).unwrap_or_default();
            filters
                .push(serde_json::from_str(pattern).map_err(|error| format!("{at}: a filter is not JSON: {error}"))?);
        }
        let reports = properties.get("FunctionResponseTypes").and_then(Value::as_array);
        Ok(Some(MappingSpec {
            name,
            stream,
            batch: number("/BatchSize")?.and_then(|size| usize::try_from(size).ok()).unwrap_or(100).max(1),
            filters,
            // -1, which is the default too, means without end.
            retries: number("/MaximumRetryAttempts")?.and_then(|retries| u32::try_from(retries).ok()),
            longest: number("/MaximumRecordAgeInSeconds")?
                .and_then(|age| u64::try_from(age).ok())
                .map(Duration::from_secs),
            bisect: text("/BisectBatchOnFunctionError")?.as_deref() == Some("true"),
            partial: reports.is_some_and(|all| all.iter().any(|one| one.as_str() == Some("ReportBatchItemFailures"))),
            on_failure: text("/DestinationConfig/OnFailure/Destination")?,
        }))
    }

    /// The statements of the policies that the template spells out in the function's role. Those of a role from outside
    /// of the template are not known: none.
    pub(super) fn permissions(&self) -> Result<Vec<Value>, String> {
        let Some(role) = self.text("/Role")? else { return Ok(Vec::new()) };
        let mut statements = Vec::new();
        for (name, resource) in self.resolver.resources() {
            let is_role = resource.get("Type").and_then(Value::as_str) == Some("AWS::IAM::Role");
            if !is_role || !self.resolver.exists(name)? || self.resolver.arn(name, name)? != role {
                continue;
            }
            let Some(policies) = resource.pointer("/Properties/Policies") else { continue };
            let policies = self.resolver.resolve(policies, &format!("{name}.Policies"))?.unwrap_or_default();
            for policy in policies.as_array().into_iter().flatten() {
                match policy.pointer("/PolicyDocument/Statement") {
                    Some(Value::Array(several)) => statements.extend(several.iter().cloned()),
                    one => statements.extend(one.cloned()),
                }
            }
        }
        Ok(statements)
    }
}
