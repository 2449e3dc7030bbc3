"""SQS with many hands at once, and what the lab has to know of its queues. What differs is told in src/quirks/queues.rs."""

import threading
import time

from moto.core.utils import unix_time_millis
from moto.sqs.models import Queue, SQSBackend, sqs_backends

LOCK = threading.RLock()


def one_at_a_time(owner, name):
    """A queue's messages are a list that deleting replaces: what is sent meanwhile would be in the old one."""
    whole = getattr(owner, name)

    def alone(self, *arguments, **named):
        with LOCK:
            return whole(self, *arguments, **named)

    setattr(owner, name, alone)


for method in (
    "send_message",
    "send_message_batch",
    "delete_message",
    "delete_message_batch",
    "change_message_visibility",
    "change_message_visibility_batch",
    "purge_queue",
):
    one_at_a_time(SQSBackend, method)

received_at_once = SQSBackend.receive_message


def receive_message(self, queue_name, count, wait_seconds_timeout, visibility_timeout, message_attribute_names=None):
    """Waits without holding up those who send."""
    until = time.monotonic() + wait_seconds_timeout
    while True:
        with LOCK:
            got = received_at_once(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
        left = until - time.monotonic()
        if got or left <= 0:
            return got
        self.get_queue(queue_name).wait_for_messages(min(left, 1))


SQSBackend.receive_message = receive_message


def queue(account, body) -> Queue:
    """The queue of an ARN."""
    region, name = body["queue"].split(":")[3], body["queue"].split(":")[5]
    return sqs_backends[account][region].get_queue(name)


def state(account, body):
    """In how many milliseconds the next message can be received; none if none is there."""
    with LOCK:
        there = queue(account, body)
        now = unix_time_millis()
        waits = [max(message.visible_at, message.delayed_until, now) - now for message in there._messages]
        return {"next": min(waits, default=None)}


def release(account, body):
    """Makes messages visible again in so many milliseconds, whatever their queue's time-out is."""
    with LOCK:
        there, handles = queue(account, body), set(body["receipts"])
        for message in there._messages:
            if handles.intersection(message.all_receipt_handles):
                message.visible_at = unix_time_millis() + body["after"]
    return {}


def told(name, message):
    attributes = {key: value.get("StringValue") for key, value in message.message_attributes.items()}
    received = message.approximate_receive_count
    return {"queue": name, "body": message.body, "attributes": attributes, "received": received}


def messages(account, body):
    """All messages of a region's queues, whoever has received them; nothing becomes of them by that."""
    with LOCK:
        there = sqs_backends[account][body.get("region", "us-east-1")].queues
        return {"messages": [told(name, message) for name, one in there.items() for message in one._messages]}


LAB = {"messages": messages, "release": release, "state": state}
