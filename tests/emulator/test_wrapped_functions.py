"""Functions that carry the faasight wrapper: their spans say what this platform's events say."""

import importlib.resources
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from faasight_emulator import Emulator
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from polling import wait_until

Start = Callable[..., Emulator]

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


def invocations(sink: Any) -> list[dict[str, Any]]:
    """Return the attributes of the invocation spans that have come, with their names."""
    found = []
    for request in (ExportTraceServiceRequest.FromString(body) for path, _, body in sink.posts if path == "/v1/traces"):
        scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
        for span in (span for scope in scopes for span in scope.spans):
            values = {pair.key: _value(pair.value) for pair in span.attributes}
            if "faas.invocation_id" in values and span.kind in (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER):
                found.append({"name": span.name, **values})
    return found


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def test_spans_and_reports_agree(start: Start, sink: Any) -> None:
    """The span has the request id of the report, tells cold from warm, and names the API as the template does."""
    wrapper = Path(str(importlib.resources.files("faasight"))) / "faasight-exec"
    emulator = start(SHOP, opt={"faasight": wrapper}, environment={"FAASIGHT_ENDPOINT": sink.url})
    for _ in range(2):
        assert httpx.get(f"{emulator.gateway_address}/orders/7").status_code == 200
    reports = sink.wait_for("web", "platform.report", 2)
    wait_until(lambda: len(invocations(sink)) == 2, "two spans came")
    spans = invocations(sink)
    assert [span["faas.invocation_id"] for span in spans] == [report["requestId"] for report in reports]
    assert [span["faas.coldstart"] for span in spans] == ["initDurationMs" in report["metrics"] for report in reports]
    assert {(span["faasight.source.kind"], span["faasight.source.name"]) for span in spans} == {("api", "shop-api")}
    assert {span["http.route"] for span in spans} == {"/orders/{id}"}
    assert {span["name"] for span in spans} == {"GET /orders/{id}"}
