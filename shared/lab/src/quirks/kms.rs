//! Keys.

use super::{Act, Quirk};

pub(super) const MANAGED_KEYS: Quirk = Quirk {
    id: "aws-managed-keys",
    aws: "alias/aws/s3, alias/aws/ebs and alias/aws/rds lead to keys whose manager is AWS, with a policy that lets the \
          account in through the service alone.",
    moto: "Lists fourteen such aliases with keys that are not there, and makes a customer's key when one is used.",
    source: "https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html",
    act: Act::Inside("kms"),
};

pub(super) const KEY_NAMES: Quirk = Quirk {
    id: "key-names",
    aws: "DescribeKey takes an id, an ARN, an alias or an alias' ARN of its own region; GetKeyPolicy takes no alias. What \
          is not there is NotFoundException, and another account's key that does not name ours is denied.",
    moto: "Looks for the id wherever the ARN points to, and gives every key no usage unless one was asked for.",
    source: "https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html",
    act: Act::Inside("kms"),
};

pub(super) const KEY_STATES: Quirk = Quirk {
    id: "key-states",
    aws: "A key is enabled, disabled, rotated and deleted by its id or ARN; one that is to be deleted refuses all of that \
          with KMSInvalidStateException.",
    moto: "Does some of it by id alone, and enables it.",
    source: "https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html",
    act: Act::Inside("kms"),
};
