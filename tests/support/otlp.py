"""Telemetry for tests, built with the official protobuf messages: segments as the collector's journal makes them."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

MS = 1_000_000  # ns


def any_value(value: Any) -> AnyValue:
    """Return a Python value as AnyValue; bool before int, for a bool is an int."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=attributes(value)))
    if isinstance(value, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[any_value(v) for v in value]))
    return AnyValue(string_value=value)


def attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    """Return attributes in their order."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def varint(number: int) -> bytes:
    """Return protobuf's variable-length form of a number."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def segment(*messages: Message) -> bytes:
    """Return the resources of requests one after the other, each after its length."""
    return b"".join(
        varint(len(body)) + body
        for message in messages
        for _, resources in message.ListFields()
        for body in (resource.SerializeToString() for resource in resources)
    )


def resource(function: str = "checkout", **more: Any) -> dict[str, Any]:
    """Return the resource attributes of a function, as the wrapper sends them."""
    return {
        "service.name": function,
        "faas.name": function,
        "faas.version": "7",
        "faas.instance": "i-1",
        "faas.max_memory": 512 * 1048576,
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": "eu-west-1",
        "cloud.account.id": "123456789012",
        "deployment.environment.name": "default",
        "process.runtime.name": "cpython",
        "process.runtime.version": "3.11.7",
        "host.arch": "amd64",
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def span(name: str, start_ns: int, ms: float, kind: int = Span.SPAN_KIND_INTERNAL, **more: Any) -> Span:
    """Return a span; `attributes` is a mapping, ids are bytes, `error` its status message."""
    error = more.pop("error", None)
    values = more.pop("attributes", {})
    out = Span(
        trace_id=more.pop("trace_id", None) or secrets.token_bytes(16),
        span_id=more.pop("span_id", None) or secrets.token_bytes(8),
        name=name,
        kind=kind,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + int(ms * MS),
        attributes=attributes(values),
        **more,
    )
    if error is not None:
        out.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=error))
    return out


def traces(spans: Sequence[Span], of: Mapping[str, Any] | None = None) -> ExportTraceServiceRequest:
    """Return one export request with the spans of one resource."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(attributes(resource() if of is None else of))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "faasight"
    scope_spans.spans.extend(spans)
    return request


def logs(lines: Sequence[Mapping[str, Any]], of: Mapping[str, Any] | None = None) -> ExportLogsServiceRequest:
    """Return one export request with log records: ts, severity, body, attributes, trace_id, span_id."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.extend(attributes(resource() if of is None else of))
    scope_logs = resource_logs.scope_logs.add()
    for line in lines:
        record = scope_logs.log_records.add()
        record.time_unix_nano = line["ts"]
        record.severity_number = line.get("severity", 9)
        record.body.CopyFrom(any_value(line["body"]))
        record.attributes.extend(attributes(line.get("attributes", {})))
        record.trace_id = line.get("trace_id", b"")
        record.span_id = line.get("span_id", b"")
    return request


def records(*lines: Mapping[str, Any]) -> bytes:
    """Return lines of the landing table `records`."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Run:
    """An invocation as its function and its platform tell of it."""

    start_ns: int
    ms: float = 100.0
    function: str = "checkout"
    request_id: str = field(default_factory=lambda: secrets.token_hex(16))
    trace_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    span_id: bytes = field(default_factory=lambda: secrets.token_bytes(8))
    parent_span_id: bytes = b""
    outcome: str = "ok"
    cold: bool = False
    init_ms: float = 250.0
    environment: str = "default"
    error_type: str = ""
    message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    memory_mb: int = 512
    memory_used_mb: int = 128

    def spans(self) -> list[Span]:
        """Return the invocation span, and INIT before it if it was cold."""
        failed = self.outcome != "ok"
        values = {
            "faas.invocation_id": self.request_id,
            "faas.coldstart": self.cold,
            "faas.trigger": "http",
            "faasight.init_type": "on-demand",
            "faasight.source.kind": "api",
            "faasight.source.name": "shop-api",
            "faasight.attempt": 1,
            "faasight.timeout_ms": 3000,
            "faasight.memory_used": self.memory_used_mb * 1048576,
            "faasight.outcome": self.outcome,
            **({"error.type": self.error_type} if self.error_type else {}),
            **self.attributes,
        }
        more: dict[str, Any] = {"error": self.message} if failed else {}
        main = span(
            "invoke",
            self.start_ns,
            self.ms,
            Span.SPAN_KIND_SERVER,
            attributes=values,
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent_span_id,
            **more,
        )
        if self.error_type:
            event = main.events.add(name="exception", time_unix_nano=self.start_ns)
            event.attributes.extend(attributes({"exception.type": self.error_type, "exception.message": self.message}))
        init = span(
            "INIT",
            self.start_ns - int(self.init_ms * MS),
            self.init_ms,
            attributes={"faasight.phase": "init", "faasight.overhead_ms": 12.5},
            trace_id=self.trace_id,
            parent_span_id=self.span_id,
        )
        return [main, init] if self.cold else [main]

    def started(self, *more: Span) -> ExportTraceServiceRequest:
        """Return what the function exports while it takes long."""
        values = {"faas.invocation_id": self.request_id, "faas.coldstart": self.cold, "faasight.phase": "start"}
        values |= self.attributes
        if self.parent_span_id:
            values["faasight.start.parent_id"] = self.parent_span_id.hex()
        record = span(
            "invoke (started)",
            self.start_ns,
            0,
            attributes=values,
            trace_id=self.trace_id,
            parent_span_id=self.span_id,
        )
        return traces([record, *more], resource(self.function, deployment__environment__name=self.environment))

    def traces(self, *more: Span) -> ExportTraceServiceRequest:
        """Return what the function exports."""
        of = resource(
            self.function, deployment__environment__name=self.environment, faas__max_memory=self.memory_mb * 1048576
        )
        return traces([*self.spans(), *more], of)

    def record(self, kind: str, **more: Any) -> dict[str, Any]:
        """Return what the platform says: kind start, done or report."""
        line = {
            "kind": kind,
            "ts": self.start_ns,
            "function": self.function,
            "version": "7",
            "account": "123456789012",
            "region": "eu-west-1",
            "environment": self.environment,
            "instance": "i-1",
            "request_id": self.request_id,
        }
        if kind in ("done", "report"):
            status = {"ok": "success", "timeout": "timeout", "out_of_memory": "failure"}.get(self.outcome, "error")
            line |= {"ts": self.start_ns + int(self.ms * MS), "status": status, "duration_ms": self.ms}
            if self.outcome == "out_of_memory":
                line["error_type"] = "Runtime.OutOfMemory"
            elif self.outcome == "init_error":
                line["error_type"] = "Runtime.ImportModuleError"
            elif status == "error":
                line["error_type"] = self.error_type or "Runtime.Unknown"
        if kind == "report":
            line |= {
                "billed_ms": float(-(-self.ms // 1)),
                "memory_mb": float(self.memory_mb),
                "memory_used_mb": float(self.memory_used_mb),
                **({"init_ms": self.init_ms} if self.cold else {}),
            }
        return line | more
