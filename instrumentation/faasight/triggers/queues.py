"""SQS and SNS, and what is wrapped in their messages: SNS in SQS, EventBridge or S3 in either."""

from __future__ import annotations

import json

from faasight.context import extract, xray_trace_id
from faasight.spans import CONSUMER
from faasight.triggers.reading import attribute, mapping, milliseconds, number, rows, tail, text, when
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from faasight.context import Remote

_MAX_PARSED = 524_288  # characters of bodies in one event that are parsed for what is wrapped in them: at most 5 ms
_string, _value = attribute("stringValue"), attribute("Value")


def sqs(items: object) -> Trigger:
    """Read a batch of a queue. A FIFO queue's name ends in .fifo, and its group tells what waits behind what."""
    batch = rows(items)
    queue = tail(batch[0].get("eventSourceARN"))
    trigger = Trigger(f"process {queue}", CONSUMER, "pubsub", "queue", queue)
    trigger.messages("aws_sqs", [text(item.get("messageId")) for item in batch])
    roots = set()
    left = _MAX_PARSED
    for item in batch:
        values = mapping(item.get("attributes"))
        trigger.sent(milliseconds(values.get("SentTimestamp")))
        trigger.attempt = max(trigger.attempt, number(values.get("ApproximateReceiveCount")))
        roots.add(xray_trace_id(values.get("AWSTraceHeader")))
        own = extract(mapping(item.get("messageAttributes")), _string)
        body = item.get("body")
        if own is None or len(batch) == 1:
            inner = _wrapped(body, left)
            if inner is not None:
                left -= len(body)  # type: ignore[arg-type]  # it was a text
                trigger.origin(inner)
                own = own or (inner.parents[0] if inner.parents else None)
        trigger.parent(own)
    if len(roots) == 1:
        trigger.trace_id = roots.pop()
    dead = mapping(batch[0].get("attributes")).get("DeadLetterQueueSourceArn")
    if dead:  # this is a dead-letter queue
        trigger.attributes["faasight.origin.kind"] = "queue"
        trigger.attributes["faasight.origin.name"] = tail(dead)
    group = text(mapping(batch[0].get("attributes")).get("MessageGroupId"))
    if group and all(mapping(item.get("attributes")).get("MessageGroupId") == group for item in batch):
        trigger.attributes["aws.sqs.message_group_id"] = group
    return trigger


def sns(items: object) -> Trigger:
    """Read a topic's notification."""
    messages = [mapping(item.get("Sns")) for item in rows(items)]
    topic = tail(messages[0].get("TopicArn"))
    trigger = Trigger(f"process {topic}", CONSUMER, "pubsub", "topic", topic)
    trigger.messages("aws_sns", [text(message.get("MessageId")) for message in messages])
    _notifications(trigger, messages)
    return trigger


def _notifications(trigger: Trigger, messages: Iterable[dict[str, object]]) -> None:
    left = _MAX_PARSED
    for message in messages:
        trigger.sent(when(message.get("Timestamp")))
        own: Remote | None = extract(mapping(message.get("MessageAttributes")), _value)
        body = message.get("Message")
        inner = _wrapped(body, left)
        if inner is not None:
            left -= len(body)  # type: ignore[arg-type]  # it was a text
            trigger.origin(inner)
            own = own or (inner.parents[0] if inner.parents else None)
        trigger.parent(own)


def _wrapped(body: object, left: int) -> Trigger | None:
    """Read the event that a message's text is; None if it is the user's own, or more than may be parsed."""
    if not isinstance(body, str) or len(body) > left or not body.startswith("{"):
        return None
    # Within a message's own text these names stand escaped. Most bodies have none of them, and need not be parsed.
    if '"Notification"' not in body and '"detail-type"' not in body and '"aws:s3"' not in body:
        return None
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if message.get("Type") == "Notification":
        trigger = Trigger("", CONSUMER, "pubsub", "topic", tail(message.get("TopicArn")))
        trigger.known_by(text(message.get("MessageId")))
        _notifications(trigger, [message])
        return trigger
    from faasight.triggers.recognise import recognise

    inner = recognise(message)  # an S3 event or one of a bus: neither wraps a text again
    return inner if "faasight.source.kind" in inner.attributes else None
