"""A collector in a test's own process: an HTTP server that decodes what it gets by the official messages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from polling import wait_until
from quiet_server import QuietHandler, QuietServer


def plain(value: AnyValue) -> Any:
    """Return an OTLP value as Python's."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def pairs(attributes: Any) -> dict[str, Any]:
    """Return OTLP attributes as a dict."""
    items: list[KeyValue] = list(attributes)
    assert len({item.key for item in items}) == len(items), "a key is there twice"
    return {item.key: plain(item.value) for item in items}


@dataclass
class SeenSpan:
    """A span as it arrived."""

    raw: ProtoSpan
    resource: dict[str, Any]
    scope: str
    attributes: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.attributes = pairs(self.raw.attributes)

    @property
    def name(self) -> str:
        """Its name."""
        return self.raw.name

    @property
    def trace_id(self) -> str:
        """Hex."""
        return self.raw.trace_id.hex()

    @property
    def span_id(self) -> str:
        """Hex."""
        return self.raw.span_id.hex()

    @property
    def parent_id(self) -> str:
        """Hex, "" for a root."""
        return self.raw.parent_span_id.hex()


class Sink:
    """A collector that keeps what it gets; `answer` decides on each request's (status, headers, body)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[int], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"")
        sink = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                body = self.body()
                status, headers, content = sink.answer(len(sink.requests))
                if 200 <= status < 300:
                    sink.requests.append((self.path, dict(self.headers), body))
                self.reply(status, headers, content)

        self._server = QuietServer(Handler)
        self.port: int = self._server.server_port
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop."""
        self._server.close()

    def spans(self) -> list[SeenSpan]:
        """Return all spans that came."""
        seen = []
        for path, _, body in self.requests.copy():
            if path != "/v1/traces":
                continue
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = pairs(group.resource.attributes)
                for scope in group.scope_spans:
                    seen += [SeenSpan(span, resource, scope.scope.name) for span in scope.spans]
        return seen

    def metrics(self) -> list[Any]:
        """Return all metrics that came."""
        bodies = [body for path, _, body in self.requests.copy() if path == "/v1/metrics"]
        return [
            metric
            for body in bodies
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        ]

    def invocations(self) -> list[SeenSpan]:
        """Return the spans of invocations."""
        return [
            span
            for span in self.spans()
            if "faas.invocation_id" in span.attributes and span.attributes.get("faasight.phase") != "start"
        ]

    def started(self) -> list[SeenSpan]:
        """Return the records of invocations that take long."""
        return [span for span in self.spans() if span.attributes.get("faasight.phase") == "start"]

    def wait(self, count: int = 1) -> list[SeenSpan]:
        """Wait for so many invocations."""
        wait_until(lambda: len(self.invocations()) >= count, f"{count} invocations came", every_s=0.005)
        return self.invocations()

    def named(self, name: str) -> SeenSpan:
        """Return the one span of that name."""
        found = [span for span in self.spans() if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans()]
        return found[0]
