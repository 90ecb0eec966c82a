"""Delivery through the official exporter: the same spans by HTTP and by gRPC, under the same limit."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from polling import wait_until

CODE = """
import faasight
def handler(event, context):
    with faasight.span("work", items=3):
        faasight.metric("orders", 2, currency="EUR")
    return event
"""


def test_by_http(function: Any, sink: Any) -> None:
    sandbox = function(
        CODE, FAASIGHT_EXPORTER="otlp", FAASIGHT_FLUSH_TIMEOUT="30", OTEL_EXPORTER_OTLP_HEADERS="x-key=abc"
    )
    assert sandbox.invoke({"a": 1}).body == {"a": 1}, sandbox.output()
    (root,) = sink.wait()
    work = sink.named("work")
    assert (work.parent_id, work.attributes) == (root.span_id, {"items": 3})
    assert root.resource["faas.name"] == "checkout"
    assert sink.named("INIT").parent_id == root.span_id
    assert {headers.get("x-key") for _, headers, _ in sink.requests} == {"abc"}
    (orders,) = wait_until(sink.metrics, "the metric is there")
    assert orders.sum.data_points[0].as_int == 2
    assert orders.sum.aggregation_temporality == 1


def test_by_grpc(function: Any) -> None:
    got: list[ExportTraceServiceRequest] = []
    arrived = threading.Event()

    class Service(TraceServiceServicer):
        def Export(self, request: Any, _: Any) -> ExportTraceServiceResponse:  # noqa: N802 - the name in the protocol
            got.append(request)
            arrived.set()
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for _ in range(5):  # the official exporter gives up after seconds, which a busy machine may take to connect
        sandbox = function(
            "def handler(event, context):\n    return event\n",
            FAASIGHT_EXPORTER="otlp",
            FAASIGHT_FLUSH_TIMEOUT="30",
            FAASIGHT_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            FAASIGHT_IMPORT_THRESHOLD_MS="60000",  # a busy machine takes its time to import the function
        )
        assert sandbox.invoke({"a": 1}).body == {"a": 1}, sandbox.output()
        if arrived.wait(20):
            break
    assert got, sandbox.output()
    server.stop(None).wait(180)
    names = {span.name for group in got[0].resource_spans for scope in group.scope_spans for span in scope.spans}
    assert names == {"invoke", "INIT"}


def test_the_limit_holds_for_a_collector_that_hangs(new_agent: Any) -> None:
    from faasight.spans import Span

    with socket.create_server(("127.0.0.1", 0)) as hanging:
        agent = new_agent(FAASIGHT_EXPORTER="otlp", FAASIGHT_ENDPOINT=f"http://127.0.0.1:{hanging.getsockname()[1]}")
        for _ in range(3):
            agent.delivery.add(Span("a", 1, "1" * 32))
            begun = time.monotonic()
            agent.delivery.flush(0.05)
            assert time.monotonic() - begun < 0.05 + 8.0, "its own limit is ten"
    assert type(agent.delivery).__name__ == "OfficialExporter"


def test_without_the_extra_the_builtin_one_serves(
    new_agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from faasight.complain import complaints

    monkeypatch.setattr(complaints, "_next", 0.0)
    monkeypatch.delitem(sys.modules, "faasight.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics.export", None)
    agent = new_agent(FAASIGHT_EXPORTER="otlp")
    assert type(agent.delivery).__name__ == "Exporter"
    assert "pip install faasight[otlp]" in capsys.readouterr().err
