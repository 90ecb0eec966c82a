"""Any OTLP message, through the real door into the real store: stored is what was sent, each value and its type."""

import os
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import stored_otlp
from faasight_collector import Collector
from faasight_store import Store
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from otlp_strategies import log_requests, metric_requests, trace_requests

StartCollector = Callable[..., Collector]
Eventually = Callable[[Callable[[], object]], None]
FUNCTION = "stands for the function"

# Each example is an insert through all views: few, with many messages each; `make fuzz` looks at more.
EXAMPLES = int(os.environ.get("ROUND_TRIPS", "4"))
few = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
in_one_store = pytest.mark.parametrize("shared_store", ["embedded"], indirect=True)  # the engine is the same in both


def post(collector: Collector, path: str, message: Message) -> None:
    answer = requests.post(
        f"http://{collector.http_address}{path}",
        message.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=180,
    )
    assert (answer.status_code, answer.content) == (200, b"")


def named(message: Message) -> str:
    """Give all resources of a request a function that no other example has; return its name."""
    function = f"fn-{secrets.token_hex(6)}"
    for resource in stored_otlp.resources(message):  # type: ignore[arg-type]  # one of the two requests
        for pair in resource.attributes:
            if pair.key == "faas.name":
                pair.value.string_value = function
    return function


@in_one_store
@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_any_message(shared_store: Store, start_collector: StartCollector, eventually: Eventually, signal: str) -> None:
    collector = start_collector(shared_store)
    made, sent, stored = {
        "traces": (trace_requests, stored_otlp.sent_spans, stored_otlp.stored_spans),
        "logs": (log_requests, stored_otlp.sent_logs, stored_otlp.stored_logs),
        "metrics": (metric_requests, stored_otlp.sent_points, stored_otlp.stored_points),
    }[signal]

    @few
    @given(st.lists(made(FUNCTION), min_size=3, max_size=6))
    def stored_as_sent(parts: list[Any]) -> None:
        message = type(parts[0])()
        for part in parts:
            message.MergeFrom(part)  # joins the lists of resources
        function = named(message)
        expected = sent(message)
        post(collector, f"/v1/{signal}", message)
        eventually(lambda: len(stored(shared_store, function)) == len(expected))
        assert stored(shared_store, function) == expected

    stored_as_sent()


@in_one_store
def test_what_has_a_column_of_its_own(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually
) -> None:
    """A log's logger and request id are kept once, and can be told from a scope's name and from each other."""
    message = ExportLogsServiceRequest()
    top = message.resource_logs.add()
    top.resource.attributes.append(KeyValue(key="faas.name", value=AnyValue(string_value="")))
    given: list[dict[str, str]] = [
        {},
        {"logger": "of the line"},
        {"logger": "of the scope"},
        {"logger": ""},
        {"request_id": "r"},
        {"faas.invocation_id": "i", "request_id": "r"},
        {"request_id": ""},
    ]
    scoped = top.scope_logs.add()
    scoped.scope.name = "of the scope"
    for attributes in given:
        record = scoped.log_records.add(time_unix_nano=time.time_ns())
        record.attributes.extend(KeyValue(key=key, value=AnyValue(string_value=v)) for key, v in attributes.items())
    function = named(message)
    post(start_collector(shared_store), "/v1/logs", message)
    columns = "SELECT logger, request_id, attributes FROM logs WHERE function = {function:String} ORDER BY event_ns"
    eventually(lambda: len(shared_store.query(columns, {"function": function})) == len(given))
    assert list(shared_store.query(columns, {"function": function})) == [
        ("of the scope", "", {}),
        ("of the line", "", {}),
        ("of the scope", "", {"logger": "of the scope"}),
        ("of the scope", "", {"logger": ""}),
        ("of the scope", "r", {}),
        ("of the scope", "i", {"request_id": "r"}),
        ("of the scope", "", {"request_id": ""}),
    ]
