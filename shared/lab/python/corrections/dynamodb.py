"""Transactions, queries and streams as DynamoDB has them. What differs is told in src/quirks/dynamodb.rs."""

import copy
import hashlib
import json
import threading
import time

from moto.core.responses import ActionResult
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ERROR_TYPE_PREFIX,
    DynamodbException,
    ItemSizeTooLarge,
    MockValidationException,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict, bytesize
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

# --- one call at a time ----------------------------------------------------------------------------------------------

# Who reads tables past DynamoDB's own API takes it too.
LOCK = threading.RLock()
act = DynamoHandler.call_action


def alone(self):
    with LOCK:
        return act(self)


DynamoHandler.call_action = alone

# --- transactions ----------------------------------------------------------------------------------------------------

KINDS = ("ConditionCheck", "Put", "Delete", "Update")
FAILED = ("ConditionalCheckFailed", "The conditional request failed")


class Part:
    """One write of a transaction, and what is there before it."""

    def __init__(self, backend, item):
        if len(item) != 1:
            raise TransactWriteSingleOpException
        ((self.kind, self.write),) = item.items()
        if self.kind not in KINDS:
            raise MockValidationException("Unsupported transaction operation")
        self.backend, self.table = backend, backend.get_table(self.write["TableName"])
        there = self.write["Item"] if self.kind == "Put" else self.write["Key"]
        self.hash_key, self.range_key = backend.get_keys_value(self.table, there)
        self.before = copy.deepcopy(self.table.get_item(self.hash_key, self.range_key))
        self.names = self.write.get("ExpressionAttributeNames")
        self.values = self.write.get("ExpressionAttributeValues")

    def place(self):
        return (self.table.name, self.hash_key, self.range_key)

    def reason(self):
        """Why its condition does not hold: code, message and item, of which there is none if it does."""
        condition = self.write.get("ConditionExpression")
        if condition is None or get_filter_expression(condition, self.names, self.values).expr(self.before):
            return (None, None, None)
        shown = self.write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and self.before
        return (*FAILED, self.before.to_json()["Attributes"] if shown else None)

    def carry_out(self):
        name = self.table.name
        if self.kind == "Put":
            self.backend.put_item(name, self.write["Item"])
        elif self.kind == "Delete":
            self.backend.delete_item(name, self.write["Key"])
        elif self.kind == "Update":
            expression = self.write["UpdateExpression"]
            self.backend.update_item(name, self.write["Key"], expression, self.names or {}, self.values or {})

    def take_back(self):
        items = self.table.items
        place, key = (items[self.hash_key], self.range_key) if self.table.range_key_attr else (items, self.hash_key)
        if self.before is None:
            place.pop(key, None)
        else:
            place[key] = self.before


def transact(self, transact_items):
    """All writes or none; the reasons in the order of the writes."""
    if len(transact_items) > 100:
        raise TooManyTransactionsException
    parts = [Part(self, item) for item in transact_items]
    if len({part.place() for part in parts}) < len(parts):
        raise MultipleTransactionsException
    reasons = [part.reason() for part in parts]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    shards = {id(part.table): part.table.stream_shard for part in parts if part.table.stream_shard}
    told = {name: len(shard.items) for name, shard in shards.items()}
    for number, part in enumerate(parts):
        try:
            part.carry_out()
        except Exception as error:
            for other in parts:
                other.take_back()
            for name, shard in shards.items():
                del shard.items[told[name] :]
            # What an item turns out not to take is a reason; what the request itself is wrong in is an error.
            if part.kind == "Update" and isinstance(error, MockValidationException):
                reasons[number] = ("ValidationError", str(error.message), None)
                raise TransactionCanceledException(reasons) from error
            raise


DynamoDBBackend.transact_write_items = transact

# How long a token is known, in seconds.
KNOWN = 600
write_items = DynamoHandler.transact_write_items


def transact_once(self):
    """A transaction whose token is that of one that was carried out is not carried out again."""
    token = self.body.get("ClientRequestToken")
    if token is None:
        return write_items(self)
    if not 1 <= len(token) <= 36:
        raise MockValidationException(
            "1 validation error detected: Value at 'clientRequestToken' failed to satisfy constraint: Member must have "
            "length less than or equal to 36"
        )
    asked = json.dumps(self.body["TransactItems"], sort_keys=True, default=str).encode()
    digest, now = hashlib.sha256(asked).digest(), time.monotonic()
    known = self.dynamodb_backend.__dict__.setdefault("lab_tokens", {})
    if token in known and now - known[token][1] < KNOWN:
        if known[token][0] != digest:
            kind = f"{ERROR_TYPE_PREFIX}IdempotentParameterMismatchException"
            raise DynamodbException(kind, "The same token was used for another request")
        return ActionResult({"ConsumedCapacity": [], "ItemCollectionMetrics": {}})
    answer = write_items(self)
    known[token] = (digest, now)
    return answer


DynamoHandler.transact_write_items = transact_once

# --- items -----------------------------------------------------------------------------------------------------------

# Names and values, in bytes.
LARGEST = 400 * 1024


def weight(value):
    return value.size() if type(value) is DynamoType else bytesize(str(value))


def limited(self, key, value):
    if sum(map(weight, [*self.keys(), *self.values()])) + weight(key) + weight(value) > LARGEST:
        raise ItemSizeTooLarge
    dict.__setitem__(self, key, value)


LimitedSizeDict.__setitem__ = limited
update = DynamoDBBackend.update_item


def update_told_once(self, table_name, *args, **kwargs):
    """An update that makes an item is one insertion in the table's stream: not first its key, then the rest of it."""
    shard = self.get_table(table_name).stream_shard
    told = len(shard.items) if shard else 0
    item = update(self, table_name, *args, **kwargs)
    if shard and len(shard.items) == told + 2:
        del shard.items[told]
        shard.items[told].record["dynamodb"]["SequenceNumber"] = str(shard.starting_sequence_number + told)
    return item


DynamoDBBackend.update_item = update_told_once

# --- queries ---------------------------------------------------------------------------------------------------------

ask = Table.query


def query(self, hash_key, *args, **kwargs):
    """moto puts the whole table in order for every query; here only what the query is about."""
    index = kwargs.get("index_name") or (args[6] if len(args) > 6 else None)
    conditions = kwargs.get("hash_key_conditions")
    if not self.range_key_attr or (index and not conditions):
        return ask(self, hash_key, *args, **kwargs)
    if index:
        every = (item for items in self.items.values() for item in items.values())
        fits = lambda item: all(name in item.attrs and item.attrs[name] == value for name, value in conditions)  # noqa: E731
        found = list(filter(fits, every))
    else:
        found = list(self.items.get(hash_key, {}).values())
    self.all_items = lambda: found
    try:
        return ask(self, hash_key, *args, **kwargs)
    finally:
        del self.all_items


Table.query = query
