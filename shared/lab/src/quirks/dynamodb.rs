//! DynamoDB's tables.

use super::{Act, Quirk};

pub(super) const TRANSACTIONS: Quirk = Quirk {
    id: "transactions",
    aws: "TransactWriteItems makes all of its writes or none, whatever others do meanwhile; every condition is asked of what \
          was there before it, and the reasons are in the order of the writes.",
    moto: "Lets calls in between, takes back others' writes with its own, and copies the whole table for each transaction.",
    source: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html",
    act: Act::Inside("dynamodb"),
};

pub(super) const REQUEST_TOKENS: Quirk = Quirk {
    id: "client-request-tokens",
    aws: "A transaction with the token of one that was carried out less than ten minutes ago is a success and changes \
          nothing; with other writes it is IdempotentParameterMismatchException.",
    moto: "Does not look at tokens.",
    source: "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html",
    act: Act::Inside("dynamodb"),
};

pub(super) const ITEM_SIZES: Quirk = Quirk {
    id: "item-sizes",
    aws: "An item may have 400 KB, which is 409,600 bytes.",
    moto: "Refuses one of 405,000.",
    source: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html",
    act: Act::Inside("dynamodb"),
};

pub(super) const MADE_BY_UPDATE: Quirk = Quirk {
    id: "made-by-update",
    aws: "An item that UpdateItem makes is one INSERT in the table's stream.",
    moto: "Tells two: first of its key alone, then of all of it.",
    source: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html",
    act: Act::Inside("dynamodb"),
};
