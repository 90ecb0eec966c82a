"""Kafka, of Amazon's or one's own, ActiveMQ and RabbitMQ."""

from __future__ import annotations

from faasight.context import MAX_HEADERS, extract
from faasight.spans import CONSUMER
from faasight.triggers.reading import MAX_RECORDS, from_bytes, mapping, milliseconds, number, rows, text
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from faasight.triggers.reading import Event

_MAX_PARTITIONS = 1_000


def kafka(event: Event) -> Trigger | None:
    """Recognise records of Kafka, grouped by topic and partition."""
    if event.get("eventSource") not in {"aws:kafka", "SelfManagedKafka", "aws:SelfManagedKafka"}:
        return None
    batch: list[dict[str, object]] = []
    for partition in list(event["records"].values())[:_MAX_PARTITIONS]:
        batch += rows(partition)[: MAX_RECORDS - len(batch)]
    return _kafka(batch) if batch else None


def piped_kafka(items: object) -> Trigger:
    """Read records of Kafka as EventBridge Pipes hands them over: a list."""
    return _kafka(rows(items))


def _kafka(batch: list[dict[str, object]]) -> Trigger:
    topic = text(batch[0].get("topic"))
    trigger = Trigger(f"process {topic}", CONSUMER, "pubsub", "topic", topic)
    trigger.messages(
        "kafka",
        [f"{text(item.get('topic'))}-{number(item.get('partition'))}:{number(item.get('offset'))}" for item in batch],
    )
    for item in batch:
        trigger.sent(milliseconds(item.get("timestamp")))
        headers = rows(item.get("headers"))[:MAX_HEADERS]
        named = {key: value for pair in headers if len(pair) == 1 for key, value in pair.items()}
        trigger.parent(extract(named, from_bytes))
    trigger.last_ns = milliseconds(batch[-1].get("timestamp"))
    return trigger


def active_mq(event: Event) -> Trigger | None:
    """Recognise messages of ActiveMQ."""
    if event.get("eventSource") not in {"aws:amq", "aws:mq"}:
        return None
    batch = rows(event["messages"])
    queue = text(mapping(batch[0].get("destination")).get("physicalName")) if batch else ""
    return _messages("activemq", queue, batch) if batch else None


def rabbit_mq(event: Event) -> Trigger | None:
    """Recognise messages of RabbitMQ, grouped by `queue::virtual host`."""
    queues = event["rmqMessagesByQueue"]
    if not isinstance(queues, dict) or not queues:
        return None
    batch: list[dict[str, object]] = []
    for messages in list(queues.values())[:_MAX_PARTITIONS]:
        batch += rows(messages)[: MAX_RECORDS - len(batch)]
    return _messages("rabbitmq", text(next(iter(queues))).partition("::")[0], batch) if batch else None


def piped_mq(items: object) -> Trigger:
    """Read messages of either broker as EventBridge Pipes hands them over: a list."""
    batch = rows(items)
    rabbit = batch[0].get("eventSource") == "aws:rmq"
    queue = batch[0].get("queue") if rabbit else mapping(batch[0].get("destination")).get("physicalName")
    return _messages("rabbitmq" if rabbit else "activemq", text(queue), batch)


def _messages(system: str, queue: str, batch: list[dict[str, object]]) -> Trigger:
    trigger = Trigger(f"process {queue}", CONSUMER, "pubsub", "queue", queue)
    trigger.messages(system, [text(item.get("messageID")) or _property(item, "messageId") for item in batch])
    for item in batch:
        trigger.sent(milliseconds(item.get("brokerInTime")) or milliseconds(item.get("timestamp")))
        if item.get("redelivered") is not None:  # it is no count: the second time or a later one
            trigger.attempt = max(trigger.attempt, 2 if item["redelivered"] is True else 1)
        headers: Mapping[str, object] = mapping(item.get("properties")) or mapping(
            mapping(item.get("basicProperties")).get("headers")
        )
        trigger.parent(extract(headers, _header))
    return trigger


def _property(item: Event, name: str) -> str:
    return text(mapping(item.get("basicProperties")).get(name))


def _header(value: object) -> object:
    return from_bytes(value.get("bytes")) if isinstance(value, dict) else value
