//! The ledger in a DynamoDB table.
//!
//! Every write is a transaction, also a single one, so that there is one meaning to what a condition refuses. We try writes
//! again ourselves, not the SDK: only so it is known whether any of the attempts may have been carried out. An attempt whose
//! answer was lost is repeated with its own token, by which DynamoDB knows that it has carried it out already.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>

mod items;
mod troubles;

use crate::store::{Answer, Index, Item, Key, Store, Trouble, Write};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::{Client, Config};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use troubles::Met;

/// How long a write is tried again while others write to the same items: fifty functions may want the count of one hour.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first wait before another attempt, on average half of it; each is twice the one before, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(40);
/// The longest wait before another attempt.
const LONGEST: Duration = Duration::from_secs(1);
/// How many attempts a write has whose answers are lost, or that cannot be sent.
const LOST: u32 = 3;
/// The most writes of one transaction.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>
const TOGETHER: usize = 100;

/// A row as the SDK has it.
type Row = HashMap<String, AttributeValue>;

/// A ledger in DynamoDB.
#[derive(Clone, Debug)]
pub struct Dynamo {
    client: Client,
    table: String,
}

impl Dynamo {
    /// The ledger in the table with this name, in the account and the region of this configuration.
    pub fn new(sdk: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(sdk), table: table.into() }
    }

    async fn get_item(&self, key: &Key) -> Result<Option<Item>, Trouble> {
        let sent = self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(items::key(key)));
        match sent.send().await {
            Ok(answer) => answer.item.map_or(Ok(None), |row| self.item(&row)),
            Err(error) => Err(self.met(&["dynamodb:GetItem"], &error).of_a_read(&self.table)),
        }
    }

    /// What a query finds: `value` is that of the partition key (of the index, if there is one).
    async fn pages(&self, asked: Asked<'_>) -> Result<Vec<Item>, Trouble> {
        let (mut found, mut from): (Vec<Item>, Option<Row>) = (Vec::new(), None);
        while found.len() < asked.limit {
            let rest = i32::try_from(asked.limit - found.len()).ok();
            let mut query = self
                .client
                .query()
                .table_name(&self.table)
                .set_index_name(asked.index.map(|index| items::index(index).0.to_owned()))
                // Not allowed of an index, which lags the table.
                .set_consistent_read(asked.index.is_none().then_some(true))
                .scan_index_forward(!asked.newest_first)
                .expression_attribute_names("#by", asked.index.map_or("pk", |index| items::index(index).1))
                .expression_attribute_values(":by", AttributeValue::S(asked.value.to_owned()))
                .set_limit(rest)
                .set_exclusive_start_key(from);
            // DynamoDB refuses an empty text for a key.
            query = if asked.begins.is_empty() {
                query.key_condition_expression("#by = :by")
            } else {
                query
                    .key_condition_expression("#by = :by AND begins_with(#sk, :begins)")
                    .expression_attribute_names("#sk", "sk")
                    .expression_attribute_values(":begins", AttributeValue::S(asked.begins.to_owned()))
            };
            let answer = query.send().await;
            let answer = answer.map_err(|error| self.met(&["dynamodb:Query"], &error).of_a_read(&self.table))?;
            for row in answer.items.unwrap_or_default() {
                found.extend(match asked.index {
                    Some(Index::Id) => Some(self.found(&row)?),
                    Some(Index::Day) | None => self.item(&row)?,
                });
            }
            from = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), Trouble> {
        if writes.is_empty() {
            return Ok(());
        }
        if writes.len() > TOGETHER {
            return Err(Trouble::lasting(format!("{} writes are more than one transaction takes (100)", writes.len())));
        }
        items::fit(writes)?;
        let rows = writes.iter().map(|write| items::write(&self.table, write)).collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|_| Trouble::lasting("the ledger's writes could not be put into a request"))?;
        let (began, mut token, mut wait) = (Instant::now(), token(), FIRST);
        let (mut failed, mut perhaps) = (0, false);
        loop {
            let sent = self.client.transact_write_items().set_transact_items(Some(rows.clone()));
            let sent = sent.client_request_token(&token).customize();
            let sent = sent.config_override(Config::builder().retry_config(RetryConfig::disabled()));
            let Err(error) = sent.send().await else { return Ok(()) };
            let met = match self.cancelled(&error) {
                Some(met) => met,
                None => self.met(&items::actions(writes), &error),
            };
            let again = match &met {
                // Refused as a whole. A token of an attempt that may have been carried out is kept: it alone tells.
                Met::Busy(_) => {
                    if !perhaps {
                        token = self::token();
                    }
                    began.elapsed() + wait < PATIENCE
                }
                // An attempt before this one is still being carried out: its token will tell what came of it.
                Met::UnderWay => {
                    perhaps = true;
                    began.elapsed() + wait < PATIENCE
                }
                Met::Lost(_) => {
                    (failed, perhaps) = (failed + 1, true);
                    failed < LOST
                }
                Met::Unsent(_) => {
                    failed += 1;
                    failed < LOST
                }
                Met::Condition(_) | Met::Over(_) => false,
            };
            if !again {
                return Err(met.of_a_write(&self.table, perhaps));
            }
            sleep(wait.mul_f64(fraction())).await;
            wait = (wait * 2).min(LONGEST);
        }
    }
}

/// What a query is to find.
struct Asked<'a> {
    index: Option<Index>,
    value: &'a str,
    begins: &'a str,
    newest_first: bool,
    limit: usize,
}

impl Store for Dynamo {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>> {
        Box::pin(self.get_item(key))
    }

    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest_first: bool, limit: usize) -> Answer<'a, Vec<Item>> {
        Box::pin(self.pages(Asked { index: None, value: pk, begins, newest_first, limit }))
    }

    /// By [`Index::Id`] the items come without anything but their keys and the id: their version is 0, their body null.
    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
        let index = Some(index);
        Box::pin(self.pages(Asked { index, value, begins: "", newest_first: false, limit: usize::MAX }))
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
        Box::pin(self.transact(writes))
    }
}

/// 64 bits that nobody foresees.
fn bits() -> u64 {
    RandomState::new().hash_one(())
}

/// A number from 0 up to 1, but not 1: waits that differ keep those who met once from meeting again.
fn fraction() -> f64 {
    f64::from(u32::try_from(bits() >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

/// What DynamoDB knows a transaction by, for ten minutes; 36 characters at most.
fn token() -> String {
    format!("{:016x}{:016x}", bits(), bits())
}

#[cfg(test)]
#[path = "dynamo_tests.rs"]
mod tests;
