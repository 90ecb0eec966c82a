"""EventBridge: events of a bus, ticks of a schedule, what its pipes hand over."""

from __future__ import annotations

from faasight.context import extract
from faasight.spans import CONSUMER
from faasight.triggers.reading import mapping, number, rows, tail, text, when
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.triggers.reading import Event


def event(event: Event) -> Trigger | None:
    """Recognise an event of a bus, or a schedule's tick: of a rule (aws.events) or of EventBridge Scheduler."""
    kind = text(event["detail-type"])
    if not kind or not isinstance(event.get("source"), str):
        return None
    if kind in {"Scheduled Event", "Scheduled Task"} and event["source"] in {"aws.events", "aws.scheduler"}:
        return _schedule(event)
    return _event([event], kind)


def piped(items: object) -> Trigger:
    """Read a batch of a bus's events."""
    batch = rows(items)
    return _event(batch, text(batch[0].get("detail-type")))


def _event(batch: list[Event] | list[dict[str, object]], kind: str) -> Trigger:
    sender = extract(mapping(batch[0].get("detail")))
    bus = text(batch[0].get("event-bus-name")) or (sender.bus if sender else "") or "default"
    trigger = Trigger(f"process {kind}", CONSUMER, "pubsub", "bus", bus)
    trigger.messages("aws_eventbridge", [text(item.get("id")) for item in batch])
    trigger.attributes["faasight.source.event"] = kind
    for item in batch:
        trigger.sent(when(item.get("time")))
        detail = mapping(item.get("detail"))
        trigger.parent(extract(detail))
        if item.get("source") == "aws.s3":
            _of_bucket(trigger, detail)
    return trigger


def _of_bucket(trigger: Trigger, detail: Event) -> None:
    """Note whose change this is: S3 tells EventBridge, too."""
    from faasight.triggers.streams import object_id

    bucket = text(mapping(detail.get("bucket")).get("name"))
    item = mapping(detail.get("object"))
    trigger.attributes["faasight.origin.kind"] = "bucket"
    trigger.attributes["faasight.origin.name"] = bucket
    trigger.attributes["aws.s3.bucket"] = bucket
    trigger.attributes["aws.s3.key"] = text(item.get("key"))
    if etag := text(item.get("etag")):
        trigger.attributes["faasight.s3.etag"] = etag
    trigger.known_by(object_id(bucket, text(item.get("key")), text(item.get("etag"))))


def _schedule(event: Event) -> Trigger:
    resources = event.get("resources")
    rule = tail(resources[0], "/") if isinstance(resources, list) and resources else ""
    trigger = Trigger(f"schedule {rule}".strip(), CONSUMER, "timer", "schedule", rule)
    trigger.sent(when(event.get("time")))
    trigger.attempt = number(event.get("attempt-number"))
    return trigger.known_by(text(event.get("id")))
