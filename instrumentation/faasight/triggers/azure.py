"""Azure Functions: what its triggers bind, told by the class's name; a batch is a list of them."""

from __future__ import annotations

import os

from faasight.context import extract, parse
from faasight.spans import CONSUMER, SERVER
from faasight.triggers.reading import MAX_RECORDS, mapping, moment, number, rows, text
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def binding(event: Any) -> Trigger | None:  # noqa: ANN401 - a class of azure.functions, which is not imported here
    """Read one object, or a batch of them. Which queue or hub it is, Azure does not tell the function's parameter."""
    batch = event[:MAX_RECORDS] if type(event) is list else [event]
    reader = READERS.get(type(batch[0]).__name__)
    return reader(batch) if reader else None


def _http(batch: list[Any]) -> Trigger:
    asked = batch[0]
    method = text(asked.method)
    _, _, rest = text(asked.url).partition("://")
    path = "/" + rest.partition("/")[2].partition("?")[0]
    site = os.environ.get("WEBSITE_SITE_NAME", "")
    trigger = Trigger(method or "invoke", SERVER, "http", "url" if site else "", site)
    trigger.attributes["http.request.method"] = method
    trigger.attributes["url.path"] = path
    headers = asked.headers
    trigger.parent(parse(headers.get("traceparent"), headers.get("tracestate") or ""))
    return trigger


def _queue(batch: list[Any]) -> Trigger:
    trigger = Trigger("process queue", CONSUMER, "pubsub", "queue", "")
    trigger.messages("azure_queue_storage", [text(item.id) for item in batch])
    for item in batch:
        trigger.sent(moment(item.insertion_time))
        trigger.attempt = max(trigger.attempt, number(item.dequeue_count))
    return trigger


def _service_bus(batch: list[Any]) -> Trigger:
    trigger = Trigger("process servicebus", CONSUMER, "pubsub", "queue", "")
    trigger.messages("servicebus", [text(item.message_id) for item in batch])
    for item in batch:
        trigger.sent(moment(item.enqueued_time_utc))
        trigger.attempt = max(trigger.attempt, number(item.delivery_count))
        trigger.parent(_remote(mapping(item.application_properties)))
    return trigger


def _event_hub(batch: list[Any]) -> Trigger:
    trigger = Trigger("process eventhub", CONSUMER, "pubsub", "stream", "")
    trigger.messages("eventhubs", [str(number(item.sequence_number)) for item in batch])
    shared = mapping(batch[0].metadata)  # of the whole batch, and dear: each item would read all of it anew
    properties = shared.get("PropertiesArray") or [shared.get("Properties")]
    for item in batch:
        trigger.sent(moment(item.enqueued_time))
    for found in rows(properties)[: len(batch)]:
        trigger.parent(_remote(found))
    trigger.last_ns = moment(batch[-1].enqueued_time)
    return trigger


def _kafka(batch: list[Any]) -> Trigger:
    topic = text(batch[0].topic)
    trigger = Trigger(f"process {topic}".strip(), CONSUMER, "pubsub", "topic", topic)
    trigger.messages("kafka", [f"{text(i.topic)}-{number(i.partition)}:{number(i.offset)}" for i in batch])
    for item in batch:
        trigger.sent(moment(item.timestamp))
    trigger.last_ns = moment(batch[-1].timestamp)
    return trigger


def _blob(batch: list[Any]) -> Trigger:
    name = text(batch[0].name)  # container/path
    container = name.partition("/")[0]
    trigger = Trigger(f"process {container}", CONSUMER, "datasource", "bucket", container)
    trigger.attributes["azure.blob.name"] = name
    return trigger


def _timer(batch: list[Any]) -> Trigger:
    trigger = Trigger("schedule", CONSUMER, "timer", "schedule", "")
    trigger.attributes["azure.timer.past_due"] = batch[0].past_due is True
    return trigger


def _event_grid(batch: list[Any]) -> Trigger:
    topic = text(batch[0].topic).rpartition("/")[2]
    trigger = Trigger(f"process {text(batch[0].event_type)}", CONSUMER, "pubsub", "bus", topic)
    trigger.messages("eventgrid", [text(item.id) for item in batch])
    for item in batch:
        trigger.sent(moment(item.event_time))
    return trigger


def _documents(_batch: list[Any]) -> Trigger:
    return Trigger("process cosmosdb", CONSUMER, "datasource", "table", "")


def _remote(properties: dict[str, Any]) -> Any:  # noqa: ANN401 - Remote or None
    """Read a message's properties: W3C's names, or Diagnostic-Id, which Azure's libraries write a traceparent into."""
    return extract(properties) or parse(properties.get("Diagnostic-Id"))


READERS: dict[str, Callable[[list[Any]], Trigger]] = {
    "HttpRequest": _http,
    "QueueMessage": _queue,
    "ServiceBusMessage": _service_bus,
    "EventHubEvent": _event_hub,
    "KafkaEvent": _kafka,
    "InputStream": _blob,
    "TimerRequest": _timer,
    "EventGridEvent": _event_grid,
    "DocumentList": _documents,
}


# type of a binding -> faas.trigger, kind of source, and where the binding has its name
_BINDINGS = {
    "queueTrigger": ("pubsub", "queue", ("queue_name",)),
    "serviceBusTrigger": ("pubsub", "queue", ("queue_name", "topic_name")),
    "eventHubTrigger": ("pubsub", "stream", ("event_hub_name",)),
    "kafkaTrigger": ("pubsub", "topic", ("topic",)),
    "blobTrigger": ("datasource", "bucket", ("path",)),
    "cosmosDBTrigger": ("datasource", "table", ("container_name", "collection_name")),
    "sqlTrigger": ("datasource", "table", ("table_name",)),
    "eventGridTrigger": ("pubsub", "bus", ()),
    "timerTrigger": ("timer", "schedule", ()),
    "orchestrationTrigger": ("other", "workflow", ("orchestration",)),
    "activityTrigger": ("other", "workflow", ("activity",)),
    "entityTrigger": ("other", "workflow", ("entity_name",)),
}


def bound(trigger: Trigger, binding: Any, function: str) -> None:  # noqa: ANN401 - a trigger of the decorators
    """Add what a function's decorators declare: which queue it is, which route. The event may be a mere string."""
    kind = text(binding.type)
    if kind == "httpTrigger":
        _route(trigger, binding, function)
    if kind not in _BINDINGS:
        return
    faas, source, places = _BINDINGS[kind]
    name = next((found for found in (_setting(getattr(binding, place, None)) for place in places) if found), "")
    if kind == "blobTrigger":
        name = name.partition("/")[0]  # container/{path}
    if kind == "serviceBusTrigger" and getattr(binding, "topic_name", None):
        source = "topic"
    attributes = trigger.attributes
    attributes["faas.trigger"], attributes["faasight.source.kind"] = faas, source
    trigger.kind = SERVER if source == "workflow" else CONSUMER
    if not attributes.get("faasight.source.name"):
        attributes["faasight.source.name"] = name or (function if source == "schedule" else "")
    if name and source not in {"schedule", "workflow"}:
        trigger.name = f"process {name}"
        if "messaging.system" in attributes:
            attributes["messaging.destination.name"] = name
    elif trigger.name in {"invoke", "schedule"} and function:
        trigger.name = f"schedule {function}" if source == "schedule" else function


def _route(trigger: Trigger, binding: Any, function: str) -> None:  # noqa: ANN401 - see bound
    route = text(binding.route) or function
    path = text(trigger.attributes.get("url.path"))
    prefix = "/api/" if path.startswith("/api/") else "/"  # host.json's, which the function is not told
    trigger.attributes["http.route"] = prefix + route.lstrip("/")
    trigger.name = f"{trigger.name} {trigger.attributes['http.route']}"


def _setting(value: object) -> str:
    """Return a declared name; `%QUEUE%` stands for an application setting."""
    name = text(value)
    if len(name) > 2 and name[0] == name[-1] == "%":
        return text(os.environ.get(name[1:-1], "")) or name
    return name
