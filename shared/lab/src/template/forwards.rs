//! The default bus of an account and region: the rules on it that send events on to another bus, and who may put events on
//! it.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html>

use super::resolve::Resolver;
use super::roles::statements;
use serde_json::{Map, Value, json};

/// One rule that sends what matches it to another event bus, as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardSpec {
    /// The rule's physical name.
    pub name: String,
    /// Its event pattern.
    pub pattern: Value,
    /// The ARN of the bus that it sends to.
    pub bus: String,
    /// The ARN of the role in which EventBridge does that; between accounts there must be one.
    pub role: Option<String>,
    /// The ARN of the queue for what cannot be sent.
    pub dead_letters: Option<String>,
}

/// The enabled rules that have an event bus for a target, once for each such target.
pub(super) fn read(resolver: &Resolver<'_>) -> Result<Vec<ForwardSpec>, String> {
    let mut found = Vec::new();
    for (logical_id, resource) in resolver.resources() {
        let is_rule = resource.get("Type").and_then(Value::as_str) == Some("AWS::Events::Rule");
        if !is_rule || !resolver.exists(logical_id)? {
            continue;
        }
        let property = |name: &str| match resource.pointer(&format!("/Properties/{name}")) {
            Some(value) => resolver.resolve(value, &format!("{logical_id}.{name}")),
            None => Ok(None),
        };
        let targets = resource.pointer("/Properties/Targets").and_then(Value::as_array).into_iter().flatten();
        for target in targets {
            let field = |pointer: &str| match target.pointer(pointer) {
                Some(value) => {
                    let value = resolver.resolve(value, &format!("{logical_id}.Targets"))?;
                    Ok::<_, String>(value.as_ref().and_then(Value::as_str).map(str::to_owned))
                }
                None => Ok(None),
            };
            let Some(bus) = field("/Arn")?.filter(|arn| arn.contains(":event-bus/")) else { continue };
            if property("State")? == Some("DISABLED".into()) {
                continue;
            }
            let pattern = property("EventPattern")?
                .ok_or_else(|| format!("{logical_id} has no EventPattern; events are forwarded by what they are"))?;
            let name = property("Name")?.as_ref().and_then(Value::as_str).map(str::to_owned);
            found.push(ForwardSpec {
                name: name.unwrap_or_else(|| format!("{}-{logical_id}", resolver.world.stack)),
                pattern,
                bus,
                role: field("/RoleArn")?,
                dead_letters: field("/DeadLetterConfig/Arn")?,
            });
        }
    }
    Ok(found)
}

/// The statements of the policies on the default bus. The older form of such a policy has its parts as properties.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-eventbuspolicy.html>
pub(super) fn bus_policy(resolver: &Resolver<'_>) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    for (logical_id, resource) in resolver.resources() {
        let is_policy = resource.get("Type").and_then(Value::as_str) == Some("AWS::Events::EventBusPolicy");
        if !is_policy || !resolver.exists(logical_id)? {
            continue;
        }
        let properties = resource.get("Properties").cloned().unwrap_or_default();
        let properties = resolver.resolve(&properties, logical_id)?.unwrap_or_default();
        let text = |name: &str| properties.get(name).and_then(Value::as_str);
        if text("EventBusName").is_some_and(|bus| bus != "default") {
            continue;
        }
        if properties.get("Statement").is_some() {
            found.extend(statements(&properties));
            continue;
        }
        let mut statement = Map::from_iter([
            ("Effect".to_owned(), json!("Allow")),
            ("Action".to_owned(), json!(text("Action").unwrap_or_default())),
            ("Resource".to_owned(), json!("*")),
        ]);
        let principal = text("Principal").unwrap_or_default();
        let principal = if principal == "*" { json!("*") } else { json!({ "AWS": principal }) };
        statement.insert("Principal".to_owned(), principal);
        if let Some(condition) = properties.get("Condition") {
            let part = |name: &str| condition.get(name).and_then(Value::as_str).unwrap_or_default();
            statement.insert("Condition".to_owned(), json!({ part("Type"): { part("Key"): part("Value") } }));
        }
        found.push(Value::Object(statement));
    }
    Ok(found)
}
