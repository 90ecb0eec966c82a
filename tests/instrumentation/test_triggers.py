"""Events as AWS writes them, and as nobody should."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from faasight.spans import CONSUMER, SERVER
from faasight.triggers import recognise
from faasight.triggers.reading import when
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
SENT = 1_767_323_045_678  # 2026-01-02T03:04:05.678Z


def http_v2(**more: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "POST /orders/{id}",
        "rawPath": "/orders/7",
        "headers": {"traceparent": PARENT, "tracestate": "faasight=f:web"},
        "requestContext": {
            "apiId": "shop-api",
            "domainName": "shop-api.execute-api.eu-central-1.amazonaws.com",
            "http": {"method": "POST", "path": "/orders/7"},
        },
        **more,
    }


def sqs_record(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "body": "{}",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:order-queue",
        "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": str(SENT + number)},
        "messageAttributes": {"traceparent": {"stringValue": PARENT, "dataType": "String"}},
        **more,
    }


EVENTS: dict[str, tuple[Any, str, int, dict[str, Any]]] = {
    "http api": (
        http_v2(),
        "POST /orders/{id}",
        SERVER,
        {
            "faas.trigger": "http",
            "faasight.source.kind": "api",
            "faasight.source.name": "shop-api",
            "http.request.method": "POST",
            "http.route": "/orders/{id}",
            "url.path": "/orders/7",
        },
    ),
    "function url": (
        http_v2(
            routeKey="$default",
            requestContext={
                "apiId": "abc",
                "domainName": "abc.lambda-url.eu-central-1.on.aws",
                "http": {"method": "GET", "path": "/"},
            },
        ),
        "GET",
        SERVER,
        {"faasight.source.kind": "url", "http.request.method": "GET"},
    ),
    "rest api": (
        {
            "resource": "/orders/{id}",
            "path": "/orders/7",
            "httpMethod": "GET",
            "multiValueHeaders": {"traceparent": [PARENT]},
            "requestContext": {"apiId": "abc", "stage": "prod"},
        },
        "GET /orders/{id}",
        SERVER,
        {"faasight.source.kind": "api", "http.route": "/orders/{id}"},
    ),
    "load balancer": (
        {
            "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:r:1:targetgroup/shop-tg/49e9"}},
            "httpMethod": "GET",
            "path": "/",
            "headers": {"traceparent": PARENT},
        },
        "GET",
        SERVER,
        {"faasight.source.kind": "api", "faasight.source.name": "shop-tg"},
    ),
    "queue": (
        {"Records": [sqs_record()]},
        "process order-queue",
        CONSUMER,
        {
            "faas.trigger": "pubsub",
            "faasight.source.kind": "queue",
            "faasight.source.name": "order-queue",
            "messaging.system": "aws_sqs",
            "messaging.destination.name": "order-queue",
            "messaging.operation.type": "process",
            "messaging.batch.message_count": 1,
            "messaging.message.id": "m1",
        },
    ),
    "topic": (
        {
            "Records": [
                {
                    "EventSource": "aws:sns",
                    "Sns": {
                        "TopicArn": "arn:aws:sns:r:1:orders",
                        "MessageId": "m",
                        "Timestamp": "2026-01-02T03:04:05.678Z",
                        "MessageAttributes": {"traceparent": {"Type": "String", "Value": PARENT}},
                    },
                }
            ]
        },
        "process orders",
        CONSUMER,
        {"faasight.source.kind": "topic", "messaging.system": "aws_sns", "messaging.message.id": "m"},
    ),
    "bucket": (
        {
            "Records": [
                {
                    "eventSource": "aws:s3",
                    "eventTime": "2026-01-02T03:04:05.678Z",
                    "s3": {"bucket": {"name": "uploads"}, "object": {"key": "a.jpg"}},
                }
            ]
        },
        "process uploads",
        CONSUMER,
        {
            "faas.trigger": "datasource",
            "faasight.source.kind": "bucket",
            "aws.s3.bucket": "uploads",
            "aws.s3.key": "a.jpg",
        },
    ),
    "table": (
        {
            "Records": [
                {
                    "eventSource": "aws:dynamodb",
                    "eventID": "1",
                    "eventSourceARN": "arn:aws:dynamodb:r:1:table/stock/stream/2026-01-01T00:00:00.000",
                    "dynamodb": {"ApproximateCreationDateTime": SENT / 1000},
                }
            ]
        },
        "process stock",
        CONSUMER,
        {"faasight.source.kind": "table", "faasight.source.name": "stock", "messaging.system": "aws_dynamodb_streams"},
    ),
    "stream": (
        {
            "Records": [
                {
                    "eventSource": "aws:kinesis",
                    "eventSourceARN": "arn:aws:kinesis:r:1:stream/clicks",
                    "kinesis": {"sequenceNumber": "9", "approximateArrivalTimestamp": SENT / 1000},
                }
            ]
        },
        "process clicks",
        CONSUMER,
        {"faasight.source.kind": "stream", "messaging.system": "aws_kinesis", "messaging.message.id": "9"},
    ),
    "bus": (
        {
            "id": "e",
            "detail-type": "OrderPlaced",
            "source": "shop",
            "time": "2026-01-02T03:04:05Z",
            "detail": {"traceparent": PARENT},
        },
        "process OrderPlaced",
        CONSUMER,
        {"faas.trigger": "pubsub", "faasight.source.kind": "bus", "messaging.system": "aws_eventbridge"},
    ),
    "schedule": (
        {
            "id": "e",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "time": "2026-01-02T03:04:05Z",
            "resources": ["arn:aws:events:r:1:rule/nightly"],
            "detail": {},
        },
        "schedule nightly",
        CONSUMER,
        {"faas.trigger": "timer", "faasight.source.kind": "schedule", "faasight.source.name": "nightly"},
    ),
    "plain": ({"a": 1}, "invoke", SERVER, {"faas.trigger": "other"}),
    "no dictionary": ([1, 2], "invoke", SERVER, {"faas.trigger": "other"}),
}


@pytest.mark.parametrize(("event", "name", "kind", "attributes"), EVENTS.values(), ids=EVENTS)
def test_each_event_is_recognised(event: Any, name: str, kind: int, attributes: dict[str, Any]) -> None:
    trigger = recognise(event)
    assert (trigger.name, trigger.kind) == (name, kind)
    assert {key: trigger.attributes.get(key) for key in attributes} == attributes


@pytest.mark.parametrize("name", ["http api", "rest api", "load balancer", "queue", "topic", "bus"])
def test_the_context_is_found(name: str) -> None:
    (parent,) = recognise(EVENTS[name][0]).parents
    assert (parent.trace_id, parent.span_id) == (TRACE, SPAN)


@pytest.mark.parametrize("name", ["queue", "topic", "bucket", "table", "stream", "bus"])
def test_the_time_of_sending_is_found(name: str) -> None:
    assert abs(recognise(EVENTS[name][0]).sent_ns / 1e6 - SENT) < 1_000


def test_the_oldest_of_a_batch_counts() -> None:
    trigger = recognise({"Records": [sqs_record(9), sqs_record(3), sqs_record(5)]})
    assert trigger.sent_ns == (SENT + 3) * 1_000_000
    assert trigger.attempt == 2
    assert trigger.records == len(trigger.parents) == 3
    assert "messaging.message.id" not in trigger.attributes


def test_a_topic_in_a_queue_is_unwrapped() -> None:
    envelope = {"Type": "Notification", "MessageAttributes": {"traceparent": {"Type": "String", "Value": PARENT}}}
    record = sqs_record(messageAttributes={}, body=json.dumps(envelope))
    (parent,) = recognise({"Records": [record]}).parents
    assert parent.span_id == SPAN


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05.678Z",
        "2024-02-29T23:59:59Z",
        "2000-03-01T00:00:00Z",
        "1999-12-31T12:00:00Z",
        "2100-03-01T00:00:00.5Z",
    ],
)
def test_times_are_those_of_the_standard_library(text: str) -> None:
    expected = datetime.fromisoformat(text).astimezone(UTC).timestamp()
    assert when(text) == round(expected * 1_000) * 1_000_000


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Records",
                    "eventSource",
                    "eventSourceARN",
                    "requestContext",
                    "http",
                    "elb",
                    "httpMethod",
                    "headers",
                    "body",
                    "Sns",
                    "attributes",
                    "messageAttributes",
                    "detail-type",
                    "source",
                    "time",
                    "resources",
                    "detail",
                    "s3",
                    "dynamodb",
                    "kinesis",
                    "aws:sqs",
                ]
            ),
            inner | st.sampled_from(["aws:sqs", "aws:sns", "aws:s3", "aws:dynamodb", "aws:kinesis", "Scheduled Event"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@limits(max_examples=300, deadline=None, derandomize=True)
@given(JUNK)
def test_malformed_events_never_raise(event: Any) -> None:
    assert recognise(event).name


def test_an_event_that_no_reader_knows_is_an_invocation_all_the_same() -> None:
    assert recognise({"detail-type": ["a list"], "source": "shop"}).name == "invoke"


@pytest.mark.parametrize(
    "record",
    [
        {"eventSource": "aws:sqs", "attributes": {"SentTimestamp": "\u00b2"}},
        {"eventSource": "aws:kinesis", "kinesis": {"approximateArrivalTimestamp": float("nan")}},
        {"eventSource": "aws:kinesis", "kinesis": {"approximateArrivalTimestamp": float("inf")}},
        {"eventSource": "aws:kinesis", "kinesis": {"approximateArrivalTimestamp": -1}},
        {"eventSource": "aws:sqs", "attributes": {"SentTimestamp": "9" * 400}},
        {"eventSource": "aws:s3", "eventTime": "99999-01-01T00:00:00Z"},
    ],
)
def test_a_time_that_is_none_costs_the_time_alone(record: dict[str, Any]) -> None:
    trigger = recognise({"Records": [record]})
    assert trigger.name.startswith("process")
    assert trigger.sent_ns == trigger.last_ns == 0
