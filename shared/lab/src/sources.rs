//! What Lambda checks when an event source or a destination of a function is made.

use crate::permissions::Permissions;
use crate::template::{FunctionSpec, Template};
use serde_json::Value;

/// The time-out of a queue that says nothing, in seconds.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
const VISIBLE_AGAIN: u64 = 30;

/// Fails as Lambda does where a function's role may not read its stream or its queue, or not tell what failed, or where
/// messages would come back while the function still works on them.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html>,
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
pub(crate) fn check(spec: &FunctionSpec, template: &Template, permissions: &Permissions) -> Result<(), String> {
    let streams = spec.mappings.iter().map(|mapping| {
        let actions = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"];
        ("mapping", mapping.stream.as_str(), actions.to_vec())
    });
    let queues = spec.queues.iter().map(|source| {
        let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
        ("event source", source.queue.as_str(), actions.to_vec())
    });
    let failures = spec.on_failure.iter().filter(|arn| arn.contains(":sqs:"));
    let failures = failures.map(|queue| ("destination", queue.as_str(), vec!["sqs:SendMessage"]));
    for (what, arn, actions) in streams.chain(queues).chain(failures) {
        for action in actions {
            if !permissions.allow(&spec.role_name, action, arn) {
                let role = &spec.role_name;
                return Err(format!(
                    "{}: Lambda would refuse its {what} of {arn}: its role {role} may not {action}; allow it that",
                    spec.logical_id
                ));
            }
        }
    }
    for source in &spec.queues {
        let name = source.queue.rsplit(':').next().unwrap_or_default();
        let queue = template.resources.iter().find(|one| one.kind == "AWS::SQS::Queue" && one.name == name);
        let seconds = queue.and_then(|queue| queue.properties.get("VisibilityTimeout"));
        let seconds = seconds.map_or(Some(VISIBLE_AGAIN), |seconds| match seconds {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        if seconds.is_none_or(|seconds| seconds < u64::from(spec.timeout)) {
            return Err(format!(
                "{}: Lambda would refuse its event source of {}: the queue's visibility timeout is less than the function's \
                 {} seconds",
                spec.logical_id, source.queue, spec.timeout
            ));
        }
    }
    Ok(())
}
