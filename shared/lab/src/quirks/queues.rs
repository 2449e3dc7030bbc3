//! SQS's queues, and STS's roles, which the gateway answers for.

use super::{Act, Quirk};

pub(super) const NOTHING_LOST: Quirk = Quirk {
    id: "queue-at-once",
    aws: "A message that is sent while others are deleted is in the queue.",
    moto: "Loses it: deleting replaces the list that it was put in.",
    source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html",
    act: Act::Inside("sqs"),
};

pub(super) const REDELIVERY: Quirk = Quirk {
    id: "queue-redelivery",
    aws: "Hands a queue's messages to functions; one that a function failed with comes back when the queue's visibility \
          time-out ends, which is an hour and a half with Suture's queues.",
    moto: "Hands messages to no process. In the lab, one that a function failed with comes back as soon as a failed \
           invocation is tried again.",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html",
    act: Act::Inside("sqs"),
};

pub(super) const ROLES: Quirk = Quirk {
    id: "assume-role",
    aws: "AssumeRole gives keys to whom the role's trust policy names, with the external id and from the organisation that \
          it asks for, for an hour at most if the caller is a role itself.",
    moto: "Gives keys of any role to anybody, whether there is such a role or not.",
    source: "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html",
    act: Act::Gateway,
};
