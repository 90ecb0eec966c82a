"""What the collector's tests share: settings for a temporary journal, requests, and waiting with a deadline."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from faasight_collector import Collector, Settings
from faasight_collector.receive import connection
from faasight_collector.segments import Record, scan
from faasight_store import Store, StoreUnavailableError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]
StartCollector = Callable[..., Collector]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a refused client's connection kept open for as long as a busy machine may take to send what is refused."""
    monkeypatch.setattr(connection, "_LINGER_S", 180.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Describe a collector on free ports with a journal of its own."""
    return Settings(
        journal_dir=tmp_path / "journal", http_port=0, grpc_port=0, segment_age_s=0.05, segment_age_max_s=0.2
    )


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a condition holds; fail if it does not in three minutes (it takes far less, but machines are busy)."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 180
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail("it did not happen within 180 s")
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


class StoreAway:
    """A store that cannot be reached: what is received stays in the journal, where tests read it."""

    def land(self, *_: object, **__: object) -> None:
        """Refuse, as a store that is away does."""
        raise StoreUnavailableError("the store is away")

    insert = command = query = land


@pytest.fixture
def start_collector(settings: Settings) -> Iterator[StartCollector]:
    """Start collectors with settings of their own, and stop them at the end."""
    started: list[Collector] = []

    def start(store: object = None, **changes: Any) -> Collector:
        collector = Collector(replace(settings, **changes), cast(Store, store or StoreAway()))
        collector.start()
        started.append(collector)
        return collector

    yield start
    for collector in started:
        collector.stop()


@pytest.fixture
def collector(start_collector: StartCollector) -> Collector:
    """Start a collector whose store is away."""
    return start_collector()


@pytest.fixture
def journaled() -> Callable[[Collector, str], list[bytes]]:
    """Read what a collector has accepted of a signal, from its journal's files."""

    def read(collector: Collector, signal: str) -> list[bytes]:
        found: list[bytes] = []
        try:
            for path in sorted((collector.settings.journal_dir / signal).iterdir()):
                found += [bytes(item.payload) for item in scan(path.read_bytes()) if isinstance(item, Record)]
        except FileNotFoundError:  # a segment was sealed meanwhile, and has another name now
            return read(collector, signal)
        return found

    return read


@pytest.fixture
def unique() -> str:
    """Return a name that no other test uses."""
    return f"fn-{secrets.token_hex(6)}"
