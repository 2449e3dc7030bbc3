//! Which IAM actions calls need, as the lab weighs them: see [`lab::permissions::actions`].

use lab::gateway::Happened;
use lab::permissions::actions;

/// The calls that the engine makes for every control alike: to the ledger, to hand a sweep to others, to take on a member
/// account's role, and to learn who sent a request, for which it needs no permission.
const OF_THE_ENGINE: [&str; 6] = [
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:TransactWriteItems",
    "sqs:SendMessageBatch",
    "sts:AssumeRole",
    "sts:GetCallerIdentity",
];

/// Whether the engine makes this call, whatever the control.
pub fn of_the_engine(call: &str) -> bool {
    OF_THE_ENGINE.contains(&call)
}

/// The IAM actions that a call needs: its own, and the one for the tags that it gives.
pub fn actions(call: &Happened) -> Vec<String> {
    let tags = call.tags.then(|| "ec2:CreateTags".to_owned());
    tags.into_iter().chain([action(&call.name())]).collect()
}

/// The IAM action that a call needs, named as [`lab::gateway::Happened::name`] names it.
pub fn action(call: &str) -> String {
    actions::action(call).to_owned()
}
