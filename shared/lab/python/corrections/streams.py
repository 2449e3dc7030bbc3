"""The records of a table's stream as Lambda hands them over. What differs is told in src/quirks/streams.rs."""

import contextlib
import datetime
import json
import sys

from moto.dynamodb.models import dynamodb_backends


def settled():
    """DynamoDB's own lock, where its corrections have one: what a transaction takes back was never there."""
    corrections = sys.modules.get("lab_dynamodb")
    return getattr(corrections, "LOCK", None) or contextlib.nullcontext()


def label(account, body):
    """Gives a table's stream the label by which the template's other resources know it."""
    table = dynamodb_backends[account][body["region"]].get_table(body["table"])
    table.latest_stream_label = body["label"]
    return {}


def told(record, arn):
    """One record. moto has another version and place, and a date for the time."""
    inner = record["dynamodb"]
    made = inner["ApproximateCreationDateTime"].replace(tzinfo=datetime.timezone.utc).timestamp()
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": arn.split(":")[3],
        "dynamodb": {**inner, "ApproximateCreationDateTime": int(made)},
        "eventSourceARN": arn,
    }


def read(account, body):
    """The records after a sequence number (none: from the first), at most so many and so many bytes, and the number of
    the last that was looked at: DynamoDB makes no record of what changed nothing."""
    arn, after = body["stream"], body.get("after")
    with settled():
        table = dynamodb_backends[account][arn.split(":")[3]].tables.get(arn.split("/")[1])
        shard = table.stream_shard if table else None
        items = list(shard.items) if shard else []
        start = shard.starting_sequence_number if shard else 0
    found, size, last = [], 0, after
    for item in items[int(after) - start + 1 if after else 0 :]:
        inner = item.record["dynamodb"]
        if "OldImage" in inner and inner.get("OldImage") == inner.get("NewImage"):
            last = inner["SequenceNumber"]
            continue
        record = told(item.record, arn)
        size += len(json.dumps(record))
        if len(found) == body["limit"] or (found and size > body["bytes"]):
            break
        found.append(record)
        last = inner["SequenceNumber"]
    return {"records": found, "last": last, "shard": shard.id if shard else None}


LAB = {"label": label, "read": read}
