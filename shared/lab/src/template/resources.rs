//! What a template has beside functions and the lab deploys: tables, buckets, topics, queues, keys.

use super::resolve::Resolver;
use serde_json::Value;

/// The types that the lab deploys. Of all others it has no need: roles and rules are read where functions are.
const DEPLOYED: &[&str] = &[
    "AWS::DynamoDB::Table",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
];

/// One resource of the template, as CloudFormation would make it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceSpec {
    /// Its name in the template, such as `LedgerTable`.
    pub logical_id: String,
    /// Its type: `AWS::DynamoDB::Table`.
    pub kind: String,
    /// Its physical name; of a key the id.
    pub name: String,
    /// Its properties, every reference resolved.
    pub properties: Value,
}

/// The resources whose conditions hold, of the types that the lab deploys.
pub(super) fn read(resolver: &Resolver<'_>) -> Result<Vec<ResourceSpec>, String> {
    let mut found = Vec::new();
    for (logical_id, resource) in resolver.resources() {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
        if !DEPLOYED.contains(&kind) || !resolver.exists(logical_id)? {
            continue;
        }
        let properties = match resource.get("Properties") {
            Some(properties) => resolver.resolve(properties, logical_id)?.unwrap_or_default(),
            None => Value::Object(serde_json::Map::new()),
        };
        let name = resolver.name(logical_id, logical_id)?;
        found.push(ResourceSpec { logical_id: logical_id.to_owned(), kind: kind.to_owned(), name, properties });
    }
    Ok(found)
}
