"""Functions of each signature of the functions-framework: events, typed, asynchronous, streams."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google_host import PARENT, SPAN, TRACE, Answer, Serve

EVENTS = """
import faasight.auto
import functions_framework


@functions_framework.cloud_event
def hello(event):
    assert event["id"] == "e1"
    if event["type"].endswith("poison"):
        raise ValueError("poison")
"""


def test_cloud_events(serve: Serve, sink: Any) -> None:
    """A message of Pub/Sub as Eventarc pushes it: the sender's trace, the wait, the execution id of its request."""
    framework = serve(EVENTS)
    message = {"messageId": "m1", "publishTime": "2026-11-21T10:00:00Z", "attributes": {"traceparent": PARENT}}
    source = "//pubsub.googleapis.com/projects/p/topics/orders"
    answer = framework.event(
        "google.cloud.pubsub.topic.v1.messagePublished", source, {"message": message, "subscription": "s"},
        **{"Function-Execution-Id": "exec-2"},
    )  # fmt: skip
    assert answer.status == 200, framework.output()
    other = framework.event(
        "com.example.poison", "/shop", {"a": "secret"}, **{"X-Cloud-Trace-Context": f"{'ab' * 16}/7;o=1"}
    )
    assert other.status == 500
    spans = {span.name: span for span in sink.wait(2)}
    topic, poison = spans["process orders"], spans["process com.example.poison"]
    assert (topic.trace_id, topic.parent_id) == (TRACE, SPAN)
    assert topic.attributes["faas.invocation_id"] == "exec-2"
    assert topic.attributes["faasight.source.ids"] == ["m1", "e1"]
    assert topic.attributes["faasight.queue_wait_ms"] > 0
    assert poison.trace_id == "ab" * 16
    assert poison.attributes["error.type"] == "ValueError"
    assert len(poison.attributes["faas.invocation_id"]) == 12, "the framework made one"


def test_background_functions_of_the_first_generation(serve: Serve, sink: Any) -> None:
    framework = serve(
        "import faasight.auto\ndef hello(data, context):\n    assert data['data']\n", FUNCTION_SIGNATURE_TYPE="event"
    )
    kind = "type.googleapis.com/google.pubsub.v1.PubsubMessage"
    topic = {"service": "pubsub.googleapis.com", "name": "projects/p/topics/orders", "type": kind}
    told = {"eventId": "e7", "timestamp": "2026-11-21T10:00:00Z", "eventType": "google.pubsub.topic.publish"}
    event = {"context": told | {"resource": topic}, "data": {"@type": kind, "data": "c2VjcmV0", "attributes": {}}}
    assert framework.call("/", json.dumps(event).encode(), {"Content-Type": "application/json"}).status == 200
    (span,) = sink.wait()
    assert (span.name, span.attributes["faasight.source.name"]) == ("process orders", "orders")
    assert span.attributes["faasight.source.ids"] == ["e7"]
    assert span.attributes["faasight.queue_wait_ms"] > 0


def test_typed_functions(serve: Serve, sink: Any) -> None:
    """They are given an object of the user's; the request around it tells what came."""
    code = """
import faasight.auto
import flask
import functions_framework


class Order:
    def __init__(self, id): self.id = id
    @staticmethod
    def from_dict(told): return Order(told["id"])
    def to_dict(self): return {"id": self.id}


@functions_framework.typed
def hello(order: Order):
    if not order.id:
        return None
    if order.id < 0:
        flask.abort(404)
    return Order(order.id * 2)
"""
    framework = serve(code)
    asked = {"Content-Type": "application/json", "Function-Execution-Id": "exec-3"}
    assert json.loads(framework.call("/", b'{"id": 21}', asked).body) == {"id": 42}
    went_out = [framework.call("/", body, asked).status for body in (b'{"id": 0}', b'{"id": -1}')]
    assert went_out == [200, 500], "an abort is a failure like any other here"
    span, nothing, aborted = sink.wait(3)
    assert (span.name, span.attributes["faas.trigger"]) == ("POST", "http")
    assert span.attributes["faas.invocation_id"] == "exec-3"
    assert (nothing.attributes["http.response.status_code"], nothing.attributes["faasight.outcome"]) == (200, "ok")
    assert aborted.attributes["faasight.outcome"] == "error"


ASYNC = """
import faasight.auto
import asyncio
import functions_framework.aio
from starlette.exceptions import HTTPException
from starlette.responses import Response


@functions_framework.aio.http
async def hello(request):
    with faasight.span(request.query_params["name"]):
        await asyncio.sleep(0.02)
    if request.url.path == "/teapot":
        raise HTTPException(418)
    if request.url.path == "/busy":
        return Response("busy", status_code=503)
    return "hello", 201


@functions_framework.aio.http
def plain(request):
    return "hello"


@functions_framework.aio.cloud_event
async def event(event):
    pass
"""


def test_asynchronous_functions(serve: Serve, sink: Any) -> None:
    """Under uvicorn's worker: many on one event loop, each with its own spans."""
    framework = serve(ASYNC)
    with ThreadPoolExecutor(8) as pool:
        headers = [{"Function-Execution-Id": f"n{n}"} for n in range(8)]
        paths = ["/?name=n0", "/teapot?name=n1", "/busy?name=n2", *(f"/?name=n{n}" for n in range(3, 8))]
        statuses = [answer.status for answer in pool.map(framework.call, paths, [None] * 8, headers)]
    assert statuses == [201, 418, 503, 201, 201, 201, 201, 201]
    spans = {span.attributes["faas.invocation_id"]: span for span in sink.wait(8)}
    assert [spans[f"n{n}"].attributes["http.response.status_code"] for n in range(8)] == statuses
    assert spans["n1"].attributes["faasight.outcome"] == "ok"
    assert spans["n2"].attributes["error.type"] == "503"
    children = {span.name: span for span in sink.spans() if span.name.startswith("n")}
    assert {name: child.parent_id for name, child in children.items()} == {n: s.span_id for n, s in spans.items()}


@pytest.mark.parametrize("target", ["plain", "event"])
def test_synchronous_functions_and_events_under_asgi(serve: Serve, sink: Any, target: str) -> None:
    framework = serve(ASYNC, target)
    told = {"Function-Execution-Id": "exec-4"}
    answer = (
        framework.event("com.example.order", "/shop", {}, **told)
        if target == "event"
        else framework.call("/", headers=told)
    )
    assert answer.status == 200, framework.output()
    (span,) = sink.wait()
    assert span.attributes["faas.invocation_id"] == "exec-4"
    assert span.name == ("process com.example.order" if target == "event" else "GET")


STREAMS = """
import faasight.auto
import flask
import functions_framework


def lines(name):
    for number in range(3):
        with faasight.span(f"{name}{number}"):
            yield f"{number}\\n"
        if name == "fails" and number:
            raise ValueError("half of it")


@functions_framework.http
def hello(request):
    name = request.path[1:]
    if name == "context":
        return flask.Response(flask.stream_with_context(lines(name)), status=206)
    return lines(name) if name == "bare" else flask.Response(lines(name), status=203)
"""

ASYNC_STREAMS = """
import faasight.auto
import functions_framework.aio
from starlette.responses import StreamingResponse


async def lines(name):
    for number in range(3):
        with faasight.span(f"{name}{number}"):
            yield f"{number}\\n"


@functions_framework.aio.http
async def hello(request):
    return StreamingResponse(lines(request.url.path[1:]), status_code=203)
"""


@pytest.mark.parametrize(
    ("code", "statuses"),
    [(STREAMS, {"response": 203, "context": 206, "bare": 200}), (ASYNC_STREAMS, {"response": 203})],
    ids=["flask", "starlette"],
)
def test_a_stream_is_measured_to_its_end(serve: Serve, sink: Any, code: str, statuses: dict[str, int]) -> None:
    """What its body does is within the invocation; the status is the one that went out before."""
    framework = serve(code)
    for name, status in statuses.items():
        assert framework.call(f"/{name}") == Answer(status, "0\n1\n2\n"), framework.output()
    spans = {span.attributes["url.path"][1:]: span for span in sink.wait(len(statuses))}
    assert {name: span.attributes["http.response.status_code"] for name, span in spans.items()} == statuses
    for name, span in spans.items():
        last = sink.named(f"{name}2")
        assert last.parent_id == span.span_id
        assert last.raw.end_time_unix_nano <= span.raw.end_time_unix_nano


def test_a_stream_that_breaks_is_a_failure(serve: Serve, sink: Any) -> None:
    framework = serve(STREAMS)
    with pytest.raises(http.client.IncompleteRead):
        framework.call("/fails")
    (span,) = sink.wait()
    assert (span.attributes["error.type"], span.attributes["faasight.outcome"]) == ("ValueError", "error")
    assert framework.call("/response").status == 203
