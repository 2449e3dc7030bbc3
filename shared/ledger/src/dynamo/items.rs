//! What the ledger's items are in DynamoDB: attributes, conditions, and how large they may be.

use super::{Dynamo, Row};
use crate::store::{Index, Item, Key, Trouble, Write};
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use serde_json::Value;
use std::collections::HashMap;
use triggers::ids::shown;

/// The largest item, names and values together.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const LARGEST: usize = 400 * 1024;
/// What the marks of its evidence may add to a record.
const MARKS: usize = 4 * 1024;
/// The largest items of one transaction, together.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const LARGEST_TOGETHER: usize = 4 * 1024 * 1024;
/// The longest partition key, and the longest value of an index's partition key; a sort key has half of it.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const LONGEST_KEY: usize = 2048;
/// What the names and the numbers of an item take, at most.
const NAMES: usize = 100;

/// An index's name, and the attribute that it finds items by.
pub(super) const fn index(index: Index) -> (&'static str, &'static str) {
    match index {
        Index::Id => ("by-id", "id"),
        Index::Day => ("by-day", "day"),
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// A key's attributes.
pub(super) fn key(key: &Key) -> Row {
    HashMap::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

/// A write as a part of a transaction.
///
/// # Errors
/// Only if a part is missing, which none is.
pub(super) fn write(table: &str, write: &Write) -> Result<TransactWriteItem, BuildError> {
    let part = TransactWriteItem::builder();
    let part = match write {
        Write::Put(item) => part.put(put(table, item)?),
        Write::Delete(at, version) => {
            let delete = Delete::builder().table_name(table).set_key(Some(key(at)));
            let delete = delete.condition_expression("#version = :version");
            let delete = delete.expression_attribute_names("#version", "version");
            part.delete(delete.expression_attribute_values(":version", number(*version)).build()?)
        }
        Write::Count { key: at, add, limit, expires } => {
            // What is not there counts nothing, and holds the sum only if the limit does. Negative if it does not: no count
            // is that small.
            let room = i128::from(*limit) - i128::from(*add);
            let condition =
                if room < 0 { "#count <= :room" } else { "attribute_not_exists(#count) OR #count <= :room" };
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key(at)))
                .update_expression("SET #expires = :expires ADD #count :add")
                .condition_expression(condition)
                .expression_attribute_names("#count", "count")
                .expression_attribute_names("#expires", "expires")
                .expression_attribute_values(":add", number(*add))
                .expression_attribute_values(":room", number(room))
                .expression_attribute_values(":expires", number(*expires));
            part.update(update.build()?)
        }
    };
    Ok(part.build())
}

fn put(table: &str, item: &Item) -> Result<Put, BuildError> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(key(&item.key)))
        .item("version", number(item.version))
        .item("body", AttributeValue::S(item.body.to_string()));
    let put = item.id.as_deref().map(text).into_iter().fold(put, |put, id| put.item("id", id));
    let put = item.day.as_deref().map(text).into_iter().fold(put, |put, day| put.item("day", day));
    let put = item.expires.map(number).into_iter().fold(put, |put, expires| put.item("expires", expires));
    if item.version == 1 {
        return put.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", "pk").build();
    }
    put.condition_expression("#version = :before")
        .expression_attribute_names("#version", "version")
        .expression_attribute_values(":before", number(i128::from(item.version) - 1))
        .build()
}

/// The IAM actions that these writes need; a transaction has none of its own.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
pub(super) fn actions(writes: &[Write]) -> Vec<&'static str> {
    let mut actions: Vec<_> = writes
        .iter()
        .map(|write| match write {
            Write::Put(_) => "dynamodb:PutItem",
            Write::Delete(..) => "dynamodb:DeleteItem",
            Write::Count { .. } => "dynamodb:UpdateItem",
        })
        .collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

/// Whether DynamoDB would take items of this size; asked before, since its own refusal does not say which.
pub(super) fn fit(writes: &[Write]) -> Result<(), Trouble> {
    let mut together = 0;
    for write in writes {
        let at = write.key();
        let (mut size, mut values) = (at.pk.len() + at.sk.len() + NAMES, vec![(&at.pk, LONGEST_KEY)]);
        values.push((&at.sk, LONGEST_KEY / 2));
        if let Write::Put(item) = write {
            size += item.body.to_string().len();
            for value in item.id.iter().chain(&item.day) {
                size += value.len();
                values.push((value, LONGEST_KEY));
            }
        }
        if let Some((value, most)) = values.into_iter().find(|(value, most)| value.is_empty() || value.len() > *most) {
            return Err(Trouble::lasting(format!(
                "the ledger's key {} has {} bytes, and may have 1 to {most}; shorten the name that it is made of",
                shown(value),
                value.len()
            )));
        }
        // What the recorder adds to a record has to fit in as well.
        let most = if write.key().sk.starts_with("record#") { LARGEST - MARKS } else { LARGEST };
        if size > most {
            return Err(Trouble::lasting("the record is larger than the ledger can hold (400 KB)"));
        }
        together += size;
    }
    if together > LARGEST_TOGETHER {
        return Err(Trouble::lasting("the writes together are larger than the ledger takes at once (4 MB)"));
    }
    Ok(())
}

impl Dynamo {
    /// The item in a row; none if the row is a count.
    ///
    /// # Errors
    /// The row is not one of the ledger's.
    pub(super) fn item(&self, row: &Row) -> Result<Option<Item>, Trouble> {
        let number = |name: &str| row.get(name).and_then(|value| value.as_n().ok());
        if row.contains_key("count") && !row.contains_key("version") {
            return Ok(None);
        }
        let key = self.key_of(row)?;
        let unreadable = || {
            let (pk, sk) = (shown(&key.pk), shown(&key.sk));
            Trouble::lasting(format!(
                "the item {pk} {sk} of the ledger table {} cannot be read; restore it or delete it",
                self.table
            ))
        };
        let version = number("version").and_then(|version| version.parse().ok()).ok_or_else(unreadable)?;
        let body: Value =
            text_in(row, "body").and_then(|body| serde_json::from_str(body).ok()).ok_or_else(unreadable)?;
        let expires = number("expires").map(|expires| expires.parse().map_err(|_| unreadable())).transpose()?;
        let owned = |name: &str| text_in(row, name).map(str::to_owned);
        Ok(Some(Item { version, body, id: owned("id"), day: owned("day"), expires, key }))
    }

    /// What the index of ids has of an item: its keys and its id.
    pub(super) fn found(&self, row: &Row) -> Result<Item, Trouble> {
        let id = text_in(row, "id").map(str::to_owned);
        Ok(Item { key: self.key_of(row)?, version: 0, body: Value::Null, id, day: None, expires: None })
    }

    fn key_of(&self, row: &Row) -> Result<Key, Trouble> {
        match (text_in(row, "pk"), text_in(row, "sk")) {
            (Some(pk), Some(sk)) => Ok(Key::new(pk, sk)),
            _ => Err(Trouble::lasting(format!(
                "{} is no ledger table: its items have no pk and sk; set SUTURE_LEDGER to the one that was deployed",
                self.table
            ))),
        }
    }
}

fn text_in<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}
