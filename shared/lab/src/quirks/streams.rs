//! The streams of DynamoDB's tables.

use super::{Act, Quirk};

pub(super) const RECORDS: Quirk = Quirk {
    id: "stream-records",
    aws: "A stream has a record of each write that changed something, with its region, the stream and the second.",
    moto: "Has one of writes that changed nothing too, always of us-east-1, and hands it to no process.",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html",
    act: Act::Inside("streams"),
};
