"""What called the function: recognises an event by its shape and takes from it source, waiting time and trace context.

`recognise` goes through DETECTORS, a visible list; each detector answers None for an event that is not its own. A new
trigger is one function more.
"""

from __future__ import annotations

import json

from faasight.complain import complaints
from faasight.context import extract
from faasight.spans import CONSUMER, SERVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from faasight.context import Remote

    Event = Mapping[str, Any]

_DAYS_IN_MONTHS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


class Trigger:
    """How an invocation came about."""

    __slots__ = ("attempt", "attributes", "kind", "name", "parents", "records", "sent_ns")

    def __init__(self, name: str, kind: int, trigger: str, source: str = "", source_name: str = "") -> None:
        self.name = name  # the span's
        self.kind = kind  # SERVER or CONSUMER
        self.attributes: dict[str, Any] = {"faas.trigger": trigger}
        if source:
            self.attributes["faasight.source.kind"] = source
            self.attributes["faasight.source.name"] = source_name
        self.parents: list[Remote] = []  # contexts found in the event, one a record at most
        self.records = 0  # of a batch; 0 for a trigger that has none
        self.sent_ns = 0  # when the oldest message was sent, ns since the epoch; 0 if unknown
        self.attempt = 0  # from 1; 0 if unknown

    def messages(self, system: str, ids: list[str], operation: str = "process") -> Trigger:
        """Add the messaging conventions."""
        self.records = len(ids)
        self.attributes["messaging.system"] = system
        self.attributes["messaging.destination.name"] = self.attributes.get("faasight.source.name", "")
        self.attributes["messaging.operation.type"] = operation
        self.attributes["messaging.batch.message_count"] = len(ids)
        if len(ids) == 1:
            self.attributes["messaging.message.id"] = ids[0]
        return self


def recognise(event: object) -> Trigger:
    """Tell what called; an unknown shape is a plain invoke."""
    if isinstance(event, dict):
        for detect in DETECTORS:
            try:
                trigger = detect(event)
            except Exception as error:  # noqa: BLE001 - an event of any shape may come; its invocation is to be seen
                complaints.say(f"{detect.__name__} cannot read the event: {type(error).__name__}")
                continue
            if trigger is not None:
                return trigger
    return Trigger("invoke", SERVER, "other")


# --- HTTP ---------------------------------------------------------------------------------------------------


def http_api(event: Event) -> Trigger | None:
    """Recognise API Gateway's HTTP API and function URLs: payload format 2.0."""
    request = event.get("requestContext")
    http = request.get("http") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(http, dict):
        return None
    method, path = _str(http.get("method")), _str(http.get("path")) or _str(event.get("rawPath"))
    url = ".lambda-url." in _str(request.get("domainName"))
    _, _, route = _str(event.get("routeKey")).rpartition(" ")
    return _http(
        event, method, path, "" if route == "$default" else route, "url" if url else "api", _str(request.get("apiId"))
    )


def rest_api(event: Event) -> Trigger | None:
    """Recognise API Gateway's REST API: payload format 1.0."""
    request = event.get("requestContext")
    if not isinstance(request, dict) or "httpMethod" not in event or "elb" in request:
        return None
    name = _str(request.get("apiId"))
    return _http(event, _str(event["httpMethod"]), _str(event.get("path")), _str(event.get("resource")), "api", name)


def load_balancer(event: Event) -> Trigger | None:
    """Recognise an Application Load Balancer: its requests name the target group."""
    request = event.get("requestContext")
    elb = request.get("elb") if isinstance(request, dict) else None
    if not isinstance(elb, dict):
        return None
    group = _str(elb.get("targetGroupArn")).partition("targetgroup/")[2].partition("/")[0]
    return _http(event, _str(event.get("httpMethod")), _str(event.get("path")), "", "api", group)


def _http(event: Event, method: str, path: str, route: str, source: str, name: str) -> Trigger:
    trigger = Trigger(f"{method} {route}".strip() or "invoke", SERVER, "http", source, name)
    trigger.attributes["http.request.method"] = method
    trigger.attributes["url.path"] = path
    if route:
        trigger.attributes["http.route"] = route
    headers = event.get("headers") or event.get("multiValueHeaders")
    if isinstance(headers, dict):
        _add_parent(trigger, extract(headers, _first))
    return trigger


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


# --- Batches of records -------------------------------------------------------------------------------------


def records(event: Event) -> Trigger | None:
    """Recognise SQS, SNS, S3, DynamoDB streams, Kinesis: a list of records, told apart by their source."""
    items = event.get("Records")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        return None
    read = RECORD_SOURCES.get(_str(items[0].get("eventSource") or items[0].get("EventSource")))
    return read(items) if read else None


def sqs(items: list[Event]) -> Trigger:
    """Read a batch of a queue; SNS notifications within are unwrapped for their context."""
    queue = _tail(items[0].get("eventSourceARN"))
    trigger = Trigger(f"process {queue}", CONSUMER, "pubsub", "queue", queue)
    trigger.messages("aws_sqs", [_str(item.get("messageId")) for item in items])
    for item in items:
        own = extract(_dict(item.get("messageAttributes")), _attribute("stringValue"))
        _add_parent(trigger, own or _enveloped(item.get("body")))
        values = _dict(item.get("attributes"))
        _sent(trigger, _int(values.get("SentTimestamp")) * 1_000_000)
        trigger.attempt = max(trigger.attempt, _int(values.get("ApproximateReceiveCount")))
    return trigger


def _enveloped(body: object) -> Remote | None:
    """Context of an SNS notification that a queue subscribes to without raw delivery."""
    if not isinstance(body, str) or "traceparent" not in body or '"Notification"' not in body:
        return None  # most bodies need not be parsed
    try:
        message = json.loads(body)
    except ValueError:
        return None
    return extract(_dict(_dict(message).get("MessageAttributes")), _attribute("Value"))


def sns(items: list[Event]) -> Trigger:
    """Read a topic's notification."""
    messages = [_dict(item.get("Sns")) for item in items]
    topic = _tail(messages[0].get("TopicArn"))
    trigger = Trigger(f"process {topic}", CONSUMER, "pubsub", "topic", topic)
    trigger.messages("aws_sns", [_str(message.get("MessageId")) for message in messages])
    for message in messages:
        _add_parent(trigger, extract(_dict(message.get("MessageAttributes")), _attribute("Value")))
        _sent(trigger, _time(message.get("Timestamp")))
    return trigger


def s3(items: list[Event]) -> Trigger:
    """Read changes in a bucket."""
    bucket = _str(_dict(_dict(items[0].get("s3")).get("bucket")).get("name"))
    trigger = Trigger(f"process {bucket}", CONSUMER, "datasource", "bucket", bucket)
    trigger.attributes["aws.s3.bucket"] = bucket
    trigger.attributes["aws.s3.key"] = _str(_dict(_dict(items[0].get("s3")).get("object")).get("key"))
    for item in items:
        _sent(trigger, _time(item.get("eventTime")))
    return trigger


def dynamodb(items: list[Event]) -> Trigger:
    """Read changes in a table; their creation time is in whole seconds."""
    parts = _str(items[0].get("eventSourceARN")).split("/")
    table = parts[1] if len(parts) > 1 else ""
    trigger = Trigger(f"process {table}", CONSUMER, "datasource", "table", table)
    trigger.messages("aws_dynamodb_streams", [_str(item.get("eventID")) for item in items])
    for item in items:
        _sent(trigger, int(_float(_dict(item.get("dynamodb")).get("ApproximateCreationDateTime")) * 1e9))
    return trigger


def kinesis(items: list[Event]) -> Trigger:
    """Read records of a stream."""
    stream = _str(items[0].get("eventSourceARN")).rpartition("/")[2]
    trigger = Trigger(f"process {stream}", CONSUMER, "pubsub", "stream", stream)
    trigger.messages("aws_kinesis", [_str(_dict(item.get("kinesis")).get("sequenceNumber")) for item in items])
    for item in items:
        _sent(trigger, int(_float(_dict(item.get("kinesis")).get("approximateArrivalTimestamp")) * 1e9))
    return trigger


RECORD_SOURCES: dict[str, Callable[[list[Event]], Trigger]] = {
    "aws:sqs": sqs,
    "aws:sns": sns,
    "aws:s3": s3,
    "aws:dynamodb": dynamodb,
    "aws:kinesis": kinesis,
}


# --- Buses and schedules ------------------------------------------------------------------------------------


def event_bridge(event: Event) -> Trigger | None:
    """Recognise EventBridge: an event of a bus, or a schedule's tick."""
    if "detail-type" not in event or not isinstance(event.get("source"), str):
        return None
    if event["detail-type"] in {"Scheduled Event", "Scheduled Task"}:
        resources = event.get("resources")
        rule = _str(resources[0]).rpartition("/")[2] if isinstance(resources, list) and resources else ""
        trigger = Trigger(f"schedule {rule}".strip(), CONSUMER, "timer", "schedule", rule)
    else:
        bus = _str(event.get("event-bus-name")) or "default"
        trigger = Trigger(f"process {event['detail-type']}", CONSUMER, "pubsub", "bus", bus)
        trigger.messages("aws_eventbridge", [_str(event.get("id"))])
        _add_parent(trigger, extract(_dict(event.get("detail"))))
    _sent(trigger, _time(event.get("time")))
    return trigger


DETECTORS: tuple[Callable[[Event], Trigger | None], ...] = (records, http_api, rest_api, load_balancer, event_bridge)


# --- Reading what anyone may have written -------------------------------------------------------------------


def _add_parent(trigger: Trigger, parent: Remote | None) -> None:
    if parent is not None:
        trigger.parents.append(parent)


def _sent(trigger: Trigger, sent_ns: int) -> None:
    if sent_ns > 0:
        trigger.sent_ns = min(trigger.sent_ns or sent_ns, sent_ns)


def _attribute(key: str) -> Callable[[Any], object]:
    return lambda item: item.get(key) if isinstance(item, dict) else None


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tail(arn: object) -> str:
    return _str(arn).rpartition(":")[2]


def _int(value: object) -> int:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _time(value: object) -> int:
    """Return ns since the epoch of `2026-01-02T03:04:05.678Z`, 0 if it is none; `strptime` would be an import more."""
    try:
        day, _, clock = _str(value).rstrip("Z").partition("T")
        year, month, date = (int(part) for part in day.split("-"))
        hour, minute, second = clock.split(":")
        leaps = (year - 1) // 4 - (year - 1) // 100 + (year - 1) // 400 - 477
        leap_day = month > 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        days = (year - 1970) * 365 + leaps + _DAYS_IN_MONTHS[month - 1] + date - 1 + leap_day
        return int((days * 86_400 + int(hour) * 3_600 + int(minute) * 60 + float(second)) * 1_000) * 1_000_000
    except (ValueError, IndexError):
        return 0
