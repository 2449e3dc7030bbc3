//! What hands a function the records of a table's stream, and what the function's role may do.

use super::Function;
use super::event_sources::EventSource;
use serde_json::Value;
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
    /// The tables' streams whose records it takes.
    /// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-dynamodb.html>
    pub(super) fn mappings(&self) -> Result<Vec<MappingSpec>, String> {
        self.event_sources("dynamodb", "DynamoDB", "Stream")?.into_iter().map(mapping).collect()
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

fn mapping(source: EventSource) -> Result<MappingSpec, String> {
    let at = &source.at;
    let mut filters = Vec::new();
    for filter in source.properties.pointer("/FilterCriteria/Filters").and_then(Value::as_array).into_iter().flatten() {
        let pattern = filter.get("Pattern").and_then(Value::as_str).unwrap_or_default();
        filters.push(serde_json::from_str(pattern).map_err(|error| format!("{at}: a filter is not JSON: {error}"))?);
    }
    let partial = source.is_partial();
    Ok(MappingSpec {
        batch: source.number::<usize>("/BatchSize")?.unwrap_or(100).max(1),
        filters,
        // -1, which is the default too, means without end.
        retries: source.number::<i64>("/MaximumRetryAttempts")?.and_then(|retries| u32::try_from(retries).ok()),
        longest: source
            .number::<i64>("/MaximumRecordAgeInSeconds")?
            .and_then(|age| u64::try_from(age).ok())
            .map(Duration::from_secs),
        bisect: source.text("/BisectBatchOnFunctionError")?.as_deref() == Some("true"),
        partial,
        on_failure: source.text("/DestinationConfig/OnFailure/Destination")?,
        name: source.name,
        stream: source.from,
    })
}
