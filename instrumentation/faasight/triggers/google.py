"""Google Cloud Functions: requests (flask, starlette), CloudEvents, and the events of the first generation."""

from __future__ import annotations

import os

from faasight.context import extract, parse
from faasight.spans import CONSUMER, SERVER
from faasight.triggers.reading import google_trace_id, mapping, moment, number, tail, text, when
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from faasight.triggers.reading import Event


def request(asked: Any) -> Trigger | None:  # noqa: ANN401 - flask's or starlette's, neither of which is imported here
    """Read a request; Cloud Scheduler and Cloud Tasks call by HTTP and say so in its headers."""
    headers = asked.headers
    method, path = text(asked.method), text(getattr(asked, "path", None) or getattr(asked.url, "path", ""))
    service = os.environ.get("K_SERVICE", "")
    job, queue = headers.get("X-CloudScheduler-JobName"), headers.get("X-CloudTasks-QueueName")
    if job is not None:
        trigger = Trigger(f"schedule {text(job)}", CONSUMER, "timer", "schedule", text(job))
        trigger.sent(when(headers.get("X-CloudScheduler-ScheduleTime")))
    elif queue is not None:
        trigger = Trigger(f"process {text(queue)}", CONSUMER, "pubsub", "queue", text(queue))
        trigger.messages("gcp_cloud_tasks", [text(headers.get("X-CloudTasks-TaskName"))])
        trigger.attempt = number(headers.get("X-CloudTasks-TaskRetryCount")) + 1
    else:
        trigger = Trigger(method or "invoke", SERVER, "http", "url" if service else "", service)
        trigger.attributes["url.path"] = path
    trigger.attributes["http.request.method"] = method
    trigger.parent(parse(headers.get("traceparent"), headers.get("tracestate") or ""))
    if not trigger.parents:
        trigger.trace_id = google_trace_id(headers.get("X-Cloud-Trace-Context"))
    return trigger


def cloud_event(event: Any) -> Trigger:  # noqa: ANN401 - cloudevents' class, which is not imported here
    """Read a CloudEvent: its attributes by name, and of its data the names alone."""
    attributes = event.get_attributes() if hasattr(event, "get_attributes") else {}
    kind, source = text(attributes.get("type")), text(attributes.get("source"))
    data = mapping(event.get_data() if hasattr(event, "get_data") else event.data)  # Firestore's is protobuf, in bytes
    trigger = _of_kind(kind, source, text(attributes.get("subject")), data)
    trigger.sent(moment(attributes.get("time")))
    if not trigger.parents:
        trigger.parent(parse(attributes.get("traceparent"), attributes.get("tracestate") or ""))
    trigger.attributes["faasight.source.event"] = kind
    return trigger.known_by(text(attributes.get("id")))


def _of_kind(kind: str, source: str, subject: str, data: Event) -> Trigger:
    if kind.startswith("google.cloud.pubsub."):
        return _pub_sub(tail(source, "/"), mapping(data.get("message")), data.get("deliveryAttempt"))
    if kind.startswith("google.cloud.storage."):
        bucket = text(data.get("bucket")) or tail(source, "/")
        return _storage(bucket, text(data.get("name")) or subject.partition("/")[2], data)
    if kind.startswith("google.cloud.firestore."):
        collection = subject.partition("/")[2].partition("/")[0]  # documents/users/7: the key is no name of anything
        return Trigger(f"process {collection}", CONSUMER, "datasource", "table", collection)
    name = tail(source, "/") or source
    return Trigger(f"process {kind or 'event'}", CONSUMER, "pubsub", "bus", name)


def _pub_sub(topic: str, message: Event, attempt: object) -> Trigger:
    trigger = Trigger(f"process {topic}", CONSUMER, "pubsub", "topic", topic)
    trigger.messages("gcp_pubsub", [text(message.get("messageId")) or text(message.get("message_id"))])
    trigger.sent(when(message.get("publishTime") or message.get("publish_time")))
    trigger.attempt = number(attempt)
    attributes = mapping(message.get("attributes"))
    # OpenTelemetry's instrumentations of Pub/Sub put a prefix before the names.
    trigger.parent(
        extract(attributes)
        or parse(attributes.get("googclient_traceparent"), attributes.get("googclient_tracestate") or "")
    )
    return trigger


def _storage(bucket: str, name: str, item: Event) -> Trigger:
    trigger = Trigger(f"process {bucket}", CONSUMER, "datasource", "bucket", bucket)
    trigger.attributes["gcp.storage.bucket"] = bucket
    trigger.attributes["gcp.storage.object"] = name
    generation = text(item.get("generation"))
    return trigger.known_by(f"{bucket}/{name}#{generation}" if generation else "")


def background(event: Event) -> Trigger | None:
    """Recognise the events of the first generation: a message of Pub/Sub, an object of Storage."""
    if text(event.get("@type")).endswith("google.pubsub.v1.PubsubMessage"):
        return _pub_sub("", event, None)  # its topic, id and time stand in the context
    if event.get("kind") == "storage#object":
        trigger = _storage(text(event.get("bucket")), text(event.get("name")), event)
        trigger.sent(when(event.get("updated")))
        return trigger
    return None
