"""Functions that carry the faasight wrapper: their spans say what this platform's events say."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx
from faasight_cli.local import wrapper
from faasight_collector.inputs import aws_telemetry
from faasight_emulator import Emulator
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from polling import wait_until
from ports import free_ports

Start = Callable[..., Emulator]

LAYER = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/faasight"}
SHOP = """
  ShopApi: {Type: AWS::Serverless::HttpApi}
  WorkQueue: {Type: AWS::SQS::Queue}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.http
      Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: /opt/faasight}}
      Events:
        Get: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: "/orders/{id}", Method: get}}
        Queue: {Type: SQS, Properties: {Queue: !GetAtt WorkQueue.Arn}}
"""


def invocations(bodies: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return the attributes of the invocation spans in OTLP requests, with their names."""
    found = []
    for request in map(ExportTraceServiceRequest.FromString, bodies):
        scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
        for span in (span for scope in scopes for span in scope.spans):
            values = {pair.key: _value(pair.value) for pair in span.attributes}
            if "faas.invocation_id" in values and span.kind in (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER):
                found.append({"name": span.name, **values})
    return found


def sent(sink: Any) -> list[dict[str, Any]]:
    """Return the invocation spans that came by the network."""
    return invocations(body for path, _, body in sink.posts if path == "/v1/traces")


def logged(sink: Any) -> list[dict[str, Any]]:
    """Return the invocation spans that the collector finds in the functions' logs."""
    posts = [body for path, _, body in sink.posts if path == "/v1/aws/telemetry"]
    parts = (part for body in posts for part in aws_telemetry.to_parts(body, {}, 1))
    return invocations(part.payload for part in parts if part.signal == "traces")


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def test_spans_and_reports_agree(start: Start, sink: Any) -> None:
    """The span has the request id of the report, tells cold from warm, and names the API as the template does."""
    emulator = start(SHOP, opt={"faasight": wrapper()}, environment={"FAASIGHT_ENDPOINT": sink.url})
    for _ in range(2):
        assert httpx.get(f"{emulator.gateway_address}/orders/7", timeout=60).status_code == 200
    reports = sink.wait_for("web", "platform.report", 2)
    wait_until(lambda: len(sent(sink)) == 2, "two spans came")
    spans = sent(sink)
    assert [span["faas.invocation_id"] for span in spans] == [report["requestId"] for report in reports]
    assert [span["faas.coldstart"] for span in spans] == ["initDurationMs" in report["metrics"] for report in reports]
    assert {(span["faasight.source.kind"], span["faasight.source.name"]) for span in spans} == {("api", "shop-api")}
    assert {span["http.route"] for span in spans} == {"/orders/{id}"}
    assert {span["name"] for span in spans} == {"GET /orders/{id}"}


def test_a_killed_invocation_is_told_by_the_next_one(start: Start, sink: Any) -> None:
    """The sandbox keeps its temporary folder, and with it the note of the invocation that did not come to its end."""
    keep = "  Keep: {Type: AWS::Serverless::Function, Properties: {Handler: app.keep}}\n"
    emulator = start(keep, opt={"faasight": wrapper()}, environment=LAYER | {"FAASIGHT_ENDPOINT": sink.url})
    killed = emulator.invoke("keep", {"code": 9})
    assert emulator.invoke("keep", {}).ok
    wait_until(lambda: [one for one in sent(sink) if one.get("faasight.killed")], "the killed one is told")
    told = next(one for one in sent(sink) if one.get("faasight.killed"))
    assert told["faas.invocation_id"] == killed.request_id


def test_without_a_collector_in_reach_the_log_brings_every_span(start: Start, sink: Any) -> None:
    """Functions in a network of their own: the platform's log is the only way out."""
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    emulator = start(SHOP, opt={"faasight": wrapper()}, environment={"FAASIGHT_ENDPOINT": nowhere})
    for _ in range(5):
        assert httpx.get(f"{emulator.gateway_address}/orders/7", timeout=60).status_code == 200
    reports = sink.wait_for("web", "platform.report", 5)
    wait_until(lambda: len(logged(sink)) >= 5, "five spans came")
    assert [span["faas.invocation_id"] for span in logged(sink)] == [report["requestId"] for report in reports]
    assert sent(sink) == []
