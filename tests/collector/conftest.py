"""What the collector's tests share: settings for a temporary journal, requests, and waiting with a deadline."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faasight_collector import Settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Describe a collector on free ports with a journal of its own."""
    return Settings(journal_dir=tmp_path / "journal", http_port=0, grpc_port=0, segment_age_s=0.05)


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a condition holds; fail if it does not within 20 s."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail("it did not happen within 20 s")
            time.sleep(0.01)

    return wait


@pytest.fixture
def make_traces() -> MakeTraces:
    """Make an OTLP request with some spans; its span ids are random unless given."""

    def make(spans: int = 1, *, name: str = "work", ids: list[bytes] | None = None) -> bytes:
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="shop")))
        scope = resource.scope_spans.add()
        now = time.time_ns()
        for span_id in ids or [secrets.token_bytes(8) for _ in range(spans)]:
            scope.spans.add(
                trace_id=secrets.token_bytes(16),
                span_id=span_id,
                name=name,
                kind=1,
                start_time_unix_nano=now,
                end_time_unix_nano=now + 1_000_000,
            )
        return request.SerializeToString()

    return make
