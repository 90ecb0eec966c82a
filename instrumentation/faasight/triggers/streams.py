"""Changes in order: S3 notifications, DynamoDB and DocumentDB streams, Kinesis and Firehose."""

from __future__ import annotations

import json

from faasight.context import extract
from faasight.spans import CONSUMER
from faasight.triggers.reading import mapping, milliseconds, rows, seconds, tail, text, when
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from faasight.context import Remote
    from faasight.triggers.reading import Event

_MAX_DECODED = 524_288  # characters of one event's records that are decoded for a context: at most 1 ms without one


def s3(items: object) -> Trigger:
    """Read changes in a bucket; an upload is known on both sides by its key and etag."""
    batch = rows(items)
    changes = [mapping(item.get("s3")) for item in batch]
    bucket = text(mapping(changes[0].get("bucket")).get("name"))
    trigger = Trigger(f"process {bucket}", CONSUMER, "datasource", "bucket", bucket)
    trigger.attributes["aws.s3.bucket"] = bucket
    item = mapping(changes[0].get("object"))
    trigger.attributes["aws.s3.key"] = _decoded(text(item.get("key")))
    if etag := text(item.get("eTag")):
        trigger.attributes["faasight.s3.etag"] = etag
    trigger.attributes["faasight.source.event"] = text(batch[0].get("eventName"))
    for item, change in zip(batch, changes, strict=True):
        trigger.sent(when(item.get("eventTime")))
        item = mapping(change.get("object"))
        trigger.known_by(object_id(bucket, _decoded(text(item.get("key"))), text(item.get("eTag"))))
    return trigger


def object_id(bucket: str, key: str, etag: str) -> str:
    """Name one state of an object: `bucket/key#etag`, "" without an etag (a deletion has none)."""
    return f"{bucket}/{key}#{etag}" if etag else ""


def _decoded(key: str) -> str:
    """Return an object's key as its writer gave it: a notification has it as in a URL."""
    if "%" not in key and "+" not in key:
        return key
    from urllib.parse import unquote_plus

    return unquote_plus(key)


def dynamodb(items: object) -> Trigger:
    """Read changes in a table; their creation time is in whole seconds."""
    batch = rows(items)
    parts = text(batch[0].get("eventSourceARN")).split("/")
    table = parts[1] if len(parts) > 1 else ""
    trigger = Trigger(f"process {table}", CONSUMER, "datasource", "table", table)
    trigger.messages("aws_dynamodb_streams", [text(item.get("eventID")) for item in batch])
    return _aged(trigger, batch, lambda item: mapping(item.get("dynamodb")).get("ApproximateCreationDateTime"))


def kinesis(items: object) -> Trigger:
    """Read records of a stream; EventBridge Pipes writes what stands under "kinesis" into the record itself."""
    batch = rows(items)
    records = [mapping(item["kinesis"]) if "kinesis" in item else item for item in batch]
    stream = tail(batch[0].get("eventSourceARN"), "/")
    trigger = Trigger(f"process {stream}", CONSUMER, "pubsub", "stream", stream)
    trigger.messages("aws_kinesis", [text(record.get("sequenceNumber")) for record in records])
    shard = text(batch[0].get("eventID")).partition(":")[0]
    if shard:
        trigger.attributes["aws.kinesis.shard_id"] = shard  # a batch is of one shard
    left = _MAX_DECODED
    for record in records:
        data = record.get("data")
        if isinstance(data, str) and len(data) <= left:
            left -= len(data)
            trigger.parent(_in_data(data))
    return _aged(trigger, records, lambda record: record.get("approximateArrivalTimestamp"))


def _in_data(data: str) -> Remote | None:
    """Find the context in a record that is a JSON object, where a sender has put it there (`FAASIGHT_CARRY`)."""
    from binascii import a2b_base64

    try:
        body = a2b_base64(data)
        return extract(mapping(json.loads(body))) if b'"traceparent"' in body else None
    except (ValueError, RecursionError):
        return None


def _aged(trigger: Trigger, batch: list[dict[str, object]], arrival: Callable[[Event], object]) -> Trigger:
    """Note the oldest record's age, and that of the last one: AWS's IteratorAge."""
    for item in batch:
        trigger.sent(seconds(arrival(item)))
    trigger.last_ns = seconds(arrival(batch[-1]))
    return trigger


def brokers_or_firehose(event: Event) -> Trigger | None:
    """Recognise what has "records" in small letters: Kafka's are a dictionary, Firehose's a list."""
    if isinstance(event["records"], dict):
        from faasight.triggers.brokers import kafka

        return kafka(event)
    return firehose(event) if "deliveryStreamArn" in event else None


def firehose(event: Event) -> Trigger:
    """Read records that Firehose wants transformed."""
    batch = rows(event["records"])
    stream = tail(event["deliveryStreamArn"], "/")
    trigger = Trigger(f"transform {stream}", CONSUMER, "pubsub", "stream", stream)
    trigger.messages("aws_firehose", [text(item.get("recordId")) for item in batch])
    for item in batch:
        trigger.sent(milliseconds(item.get("approximateArrivalTimestamp")))
    if "sourceKinesisStreamArn" in event:
        trigger.attributes["faasight.origin.kind"] = "stream"
        trigger.attributes["faasight.origin.name"] = tail(event["sourceKinesisStreamArn"], "/")
    return trigger


def documents(event: Event) -> Trigger | None:
    """Recognise DocumentDB's change stream: each event holds an _id, a clusterTime in seconds and a name space."""
    if event.get("eventSource") != "aws:docdb":
        return None
    batch = [mapping(item.get("event")) for item in rows(event["events"])]
    space = mapping(batch[0].get("ns")) if batch else {}
    table = ".".join(filter(None, (text(space.get("db")), text(space.get("coll")))))
    trigger = Trigger(f"process {table}", CONSUMER, "datasource", "table", table)
    trigger.messages("aws_docdb", [text(mapping(item.get("_id")).get("_data")) for item in batch])
    times = [seconds(mapping(mapping(item.get("clusterTime")).get("$timestamp")).get("t")) for item in batch]
    for sent in times:
        trigger.sent(sent)
    trigger.last_ns = times[-1] if times else 0
    return trigger
