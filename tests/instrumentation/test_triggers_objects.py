"""Google's and Azure's triggers, by the objects of their own libraries."""

import json
from datetime import UTC, datetime
from typing import Any

import azure.functions as azure
import pytest
from azure.functions import servicebus
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequest
from cloudevents.http import CloudEvent
from faasight.spans import CONSUMER, SERVER
from faasight.triggers import Trigger, recognise
from flask import Flask, Request

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
TIME = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
SENT = int(TIME.timestamp() * 1_000) * 1_000_000


def told(found: Trigger) -> tuple[Any, ...]:
    attributes = found.attributes
    source = attributes.get("faasight.source.kind"), attributes.get("faasight.source.name")
    return (found.name, found.kind, attributes["faas.trigger"], *source)


def flask_request(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with Flask("f").test_request_context("/orders?token=secret", method="POST", headers=named) as context:
        return context.request


def test_a_request_to_google(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "shop")
    found = recognise(flask_request(traceparent=PARENT, tracestate="faasight=f:web"))
    assert told(found) == ("POST", SERVER, "http", "url", "shop")
    assert found.attributes["url.path"] == "/orders"
    (parent,) = found.parents
    assert (parent.trace_id, parent.span_id, parent.caller) == (TRACE, SPAN, "web")


def test_google_s_own_header_names_the_trace() -> None:
    assert recognise(flask_request(X_Cloud_Trace_Context=f"{TRACE}/1;o=1")).trace_id == TRACE
    assert recognise(flask_request(X_Cloud_Trace_Context="no/trace")).trace_id == ""


def test_cloud_scheduler_and_cloud_tasks_call_by_http() -> None:
    tick = recognise(
        flask_request(X_CloudScheduler_JobName="nightly", X_CloudScheduler_ScheduleTime="2026-01-02T03:04:05.678Z")
    )
    assert told(tick) == ("schedule nightly", CONSUMER, "timer", "schedule", "nightly")
    assert tick.sent_ns == SENT
    task = recognise(
        flask_request(X_CloudTasks_QueueName="orders", X_CloudTasks_TaskName="t1", X_CloudTasks_TaskRetryCount="2")
    )
    assert told(task) == ("process orders", CONSUMER, "pubsub", "queue", "orders")
    assert (task.attempt, task.ids) == (3, ["t1"])


def cloud_event(kind: str, source: str, data: Any, **more: str) -> CloudEvent:
    attributes = {"id": "e1", "type": kind, "source": source, "time": "2026-01-02T03:04:05.678Z", **more}
    return CloudEvent(attributes, data)


def test_a_message_of_pub_sub() -> None:
    message = {
        "attributes": {"googclient_traceparent": PARENT},
        "data": "c2VjcmV0",
        "messageId": "m1",
        "publishTime": "2026-01-02T03:04:05.678Z",
    }
    found = recognise(
        cloud_event(
            "google.cloud.pubsub.topic.v1.messagePublished",
            "//pubsub.googleapis.com/projects/p/topics/orders",
            {"message": message, "subscription": "s", "deliveryAttempt": 3},
        )
    )
    assert told(found) == ("process orders", CONSUMER, "pubsub", "topic", "orders")
    assert (found.sent_ns, found.attempt, found.ids) == (SENT, 3, ["m1", "e1"])
    assert found.parents[0].span_id == SPAN
    assert found.attributes["messaging.system"] == "gcp_pubsub"


def test_an_object_of_storage() -> None:
    found = recognise(
        cloud_event(
            "google.cloud.storage.object.v1.finalized",
            "//storage.googleapis.com/projects/_/buckets/uploads",
            {"bucket": "uploads", "name": "a.jpg", "generation": "17", "updated": "2026-01-02T03:04:05.678Z"},
            subject="objects/a.jpg",
        )
    )
    assert told(found) == ("process uploads", CONSUMER, "datasource", "bucket", "uploads")
    assert (found.sent_ns, found.ids) == (SENT, ["uploads/a.jpg#17", "e1"])


def test_a_document_of_firestore() -> None:
    """Its data is protobuf, in bytes."""
    found = recognise(
        cloud_event(
            "google.cloud.firestore.document.v1.written",
            "//firestore.googleapis.com/projects/p/databases/(default)",
            b"\x0a\x01secret",
            subject="documents/users/gh3xZ",
            traceparent=PARENT,
        )
    )
    assert told(found) == ("process users", CONSUMER, "datasource", "table", "users")
    assert found.parents[0].trace_id == TRACE


def test_any_other_cloud_event() -> None:
    found = recognise(cloud_event("com.example.order", "/shop", {"a": 1}))
    assert told(found) == ("process com.example.order", CONSUMER, "pubsub", "bus", "shop")


def test_a_request_to_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_SITE_NAME", "shop")
    asked = azure.HttpRequest(
        "GET", "https://shop.azurewebsites.net/api/orders?code=secret", headers={"TraceParent": PARENT}, body=b"secret"
    )
    found = recognise(asked)
    assert told(found) == ("GET", SERVER, "http", "url", "shop")
    assert found.attributes["url.path"] == "/api/orders"
    assert found.parents[0].span_id == SPAN


def test_a_message_of_a_storage_queue() -> None:
    from azure.functions import queue

    message = queue.QueueMessage(id="m1", body=b"secret", dequeue_count=2, insertion_time=TIME)
    found = recognise(message)
    assert told(found) == ("process queue", CONSUMER, "pubsub", "queue", "")
    assert (found.ids, found.attempt, found.sent_ns) == (["m1"], 2, SENT)


def service_bus(number: int) -> servicebus.ServiceBusMessage:
    return servicebus.ServiceBusMessage(
        body=b"secret",
        message_id=f"m{number}",
        delivery_count=number,
        enqueued_time_utc=TIME,
        application_properties={"Diagnostic-Id": PARENT},
        user_properties={},
    )


def test_messages_of_service_bus() -> None:
    assert recognise(service_bus(1)).records == 1
    found = recognise([service_bus(1), service_bus(3)])
    assert told(found)[:4] == ("process servicebus", CONSUMER, "pubsub", "queue")
    assert (found.ids, found.attempt, found.sent_ns) == (["m1", "m3"], 3, SENT)
    assert [parent.span_id for parent in found.parents] == [SPAN, SPAN]


def test_a_batch_of_an_event_hub() -> None:
    """Its properties stand in metadata that all its events share."""
    metadata = {"PropertiesArray": Datum(json.dumps([{"Diagnostic-Id": PARENT}, {"a": 1}]), "json")}
    batch = [
        azure.EventHubEvent(body=b"secret", trigger_metadata=metadata, enqueued_time=TIME, sequence_number=number)
        for number in (7, 8)
    ]
    found = recognise(batch)
    assert told(found)[:4] == ("process eventhub", CONSUMER, "pubsub", "stream")
    assert (found.ids, found.sent_ns, found.last_ns) == (["7", "8"], SENT, SENT)
    assert [parent.span_id for parent in found.parents] == [SPAN]


def test_a_blob_a_timer_and_an_event_of_the_grid() -> None:
    from azure.functions import blob

    found = recognise(blob.InputStream(data=b"secret", name="uploads/a.jpg", uri="https://x/?sig=secret", length=6))
    assert told(found) == ("process uploads", CONSUMER, "datasource", "bucket", "uploads")
    assert found.attributes["azure.blob.name"] == "uploads/a.jpg"
    tick = recognise(TimerRequest(past_due=True, schedule={}, schedule_status={}))
    assert told(tick) == ("schedule", CONSUMER, "timer", "schedule", "")
    assert tick.attributes["azure.timer.past_due"] is True
    event = azure.EventGridEvent(
        id="e1", data={}, topic="/subscriptions/s/topics/orders", subject="s", event_type="Order.Placed",
        event_time=TIME, data_version="1",
    )  # fmt: skip
    assert told(recognise(event)) == ("process Order.Placed", CONSUMER, "pubsub", "bus", "orders")
    assert recognise(event).sent_ns == SENT


def test_a_class_that_no_reader_knows_is_a_plain_call() -> None:
    assert told(recognise(azure.HttpResponse("x")))[:3] == ("invoke", SERVER, "other")
    assert told(recognise(object()))[:3] == ("invoke", SERVER, "other")
