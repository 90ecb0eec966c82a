"""OTLP requests as functions send them: one invocation's spans, log lines or measurements, each with ids of its own.

A trace is an invocation: its SERVER span and four calls out, ten attributes each, in the wrapper's conventions.
"""

import base64
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from gzip import compress
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

FUNCTIONS = 20
CALLS = 4  # of an invocation
# What stands for ids in the prepared bytes, as it is and in hex.
_IDS = re.compile(rb"T\d{15}|S\d{7}|54(?:3\d){15}|53(?:3\d){7}")


def _trace(n: int) -> bytes:
    return b"T%015d" % n


def _span(n: int) -> bytes:
    return b"S%07d" % n


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _resource(function: int) -> Resource:
    attributes = {
        "service.name": f"fn-{function}",
        "faas.name": f"fn-{function}",
        "cloud.provider": "aws",
        "cloud.region": "eu-west-1",
        "deployment.environment.name": "default",
    }
    return Resource(attributes=[_text(key, value) for key, value in attributes.items()])


def _common() -> list[KeyValue]:
    return [_text(f"key.{key}", secrets.token_hex(6)) for key in range(5)]


def _traces(function: int, items: int) -> Message:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add(resource=_resource(function))
    scope = resource.scope_spans.add()
    scope.scope.name = "faasight"
    now = time.time_ns()
    for n in range(items):
        invocation, call = divmod(n, 1 + CALLS)
        server = call == 0
        span = scope.spans.add(trace_id=_trace(invocation), span_id=_span(n), kind=2 if server else 3)
        span.start_time_unix_nano = now + n * 1000
        span.end_time_unix_nano = now + n * 1000 + 5_000_000
        span.attributes.extend(_common())
        if server:
            span.name = f"POST /route-{function}"
            span.attributes.append(_text("faas.invocation_id", _trace(invocation).decode()))
            span.attributes.append(KeyValue(key="faas.coldstart", value=AnyValue(bool_value=False)))
            span.attributes.append(_text("faas.trigger", "http"))
            span.attributes.append(_text("faasight.outcome", "ok"))
        else:
            span.parent_span_id = _span(n - call)
            span.name = f"DynamoDB.PutItem table-{n % 17}"
            span.attributes.append(_text("rpc.system", "aws-api"))
            span.attributes.append(_text("rpc.service", "DynamoDB"))
            span.attributes.append(_text("db.collection.name", f"table-{n % 17}"))
            span.attributes.append(KeyValue(key="http.response.status_code", value=AnyValue(int_value=200)))
        span.attributes.append(KeyValue(key="zero", value=AnyValue(int_value=0)))
    return request


def _logs(function: int, items: int) -> Message:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add(resource=_resource(function))
    scope = resource.scope_logs.add()
    now = time.time_ns()
    for n in range(items):
        line = scope.log_records.add(
            time_unix_nano=now + n * 1000, severity_number=9, trace_id=_trace(n // 5), span_id=_span(n)
        )
        line.body.string_value = f"order {n} of {secrets.token_hex(4)} stored in {n % 90} ms"
        line.attributes.extend(_common())
    return request


def _metrics(function: int, items: int) -> Message:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(resource=_resource(function))
    scope = resource.scope_metrics.add()
    now = time.time_ns()
    for n in range(items):
        point = scope.metrics.add(name=f"metric.{n % 50}", unit="ms").gauge.data_points.add()
        point.time_unix_nano = now + n * 1000
        point.as_double = n / 7
        point.attributes.extend([_text("route", f"r{n % 10}"), _text("span", _span(n).decode())])
    return request


MAKERS: dict[str, Callable[[int, int], Message]] = {"traces": _traces, "logs": _logs, "metrics": _metrics}


def _hex_ids(node: Any) -> Any:  # noqa: ANN401  # OTLP/JSON has ids in hex, where protobuf's JSON has base64
    if isinstance(node, dict):
        ids = {"traceId", "spanId", "parentSpanId"}
        return {key: base64.b64decode(value).hex() if key in ids else _hex_ids(value) for key, value in node.items()}
    return [_hex_ids(item) for item in node] if isinstance(node, list) else node


def bodies(signal: str, items: int, number: int, encoding: str = "protobuf") -> Iterator[bytes]:
    """Yield request bodies; `encoding` is protobuf, json or gzip (of protobuf)."""
    messages = [MAKERS[signal](function, items) for function in range(FUNCTIONS)]
    if encoding == "json":
        dicts = [_hex_ids(MessageToDict(message, use_integers_for_enums=True)) for message in messages]
        templates = [json.dumps(one).encode() for one in dicts]
    else:
        templates = [message.SerializeToString() for message in messages]
    for n in range(number):
        body = _filled(templates[n % FUNCTIONS])
        yield compress(body, 1) if encoding == "gzip" else body


def _filled(template: bytes) -> bytes:
    """Put in new ids, the same one wherever the same stands. They are printable, for some stand in texts too."""
    ids: dict[bytes, bytes] = {}

    def new(match: re.Match[bytes]) -> bytes:
        found = match[0]
        plain = found if len(found) in {8, 16} and found[:1] in b"TS" else bytes.fromhex(found.decode())
        if plain not in ids:
            ids[plain] = secrets.token_hex(len(plain) // 2).encode()
        return ids[plain] if plain is found else ids[plain].hex().encode()

    return _IDS.sub(new, template)
