"""The embedded engine's bound on memory: held, said, and nothing lost or doubled where it is met."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faasight_cli import settings
from faasight_cli.errors import SettingError
from faasight_collector.store_memory import StoreMemory, segment_bytes
from faasight_store import LEAST_MEMORY_BYTES, Store, StoreError
from faasight_store.embedded import QUIET
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_MIB = 1024 * 1024
_SPANS = 1000  # a request

# An engine takes its bound when it starts, and a process has one engine: so each is tried in one of its own.
_AT_THE_LIMIT = """
import sys
from pathlib import Path
from faasight_store import Store, StoreUnavailableError
folder, limit, segment = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_bytes()
with Store.open(f"chdb://{folder}", memory_bytes=limit) as store:
    store.migrate()
    if limit:
        assert store.memory().limit == limit, store.memory()
        assert 0 < store.memory().used < limit, store.memory()
        try:
            store.query("SELECT length(groupArray(rand64() + number)) FROM numbers(1000000000)", timeout_s=60)
            raise SystemExit("it went beyond the bound")
        except StoreUnavailableError as error:
            assert "memory" in str(error), error
    try:
        store.land("traces", segment, "token")
        store.land("traces", segment, "token")  # as after an answer that was lost
        print("stored", end=" ")
    except StoreUnavailableError as error:
        assert "memory limit exceeded" in str(error) and error.answered, error
        print("refused", end=" ")
    print(*(store.query(f"SELECT {what}")[0][0] for what in (
        "count() FROM spans", "sum(spans) FROM trace_index", "count() FROM invocation_facts")))
"""


# The allocator reads its options when the engine is loaded.
_KEPT_FREE = """
import os, re, sys
from faasight_store import Store
before = dict(os.environ)
with Store.open(f"chdb://{sys.argv[1]}", memory_bytes=int(sys.argv[2])) as store:
    assert dict(os.environ) == before, "child processes would have it too"
    print(re.search(r"opt.dirty_decay_ms: (\\d+)", store.query("SELECT * FROM system.jemalloc_stats")[0][0])[1])
"""


@pytest.mark.parametrize(
    ("limit", "told", "kept_ms"),
    [(0, None, 30_000), (0, "dirty_decay_ms:1234", 1234), (LEAST_MEMORY_BYTES, None, 5_000)],
)
def test_what_is_freed_is_kept_for_the_next_insert(tmp_path: Path, limit: int, told: str | None, kept_ms: int) -> None:
    """Half a minute; but not where memory is bounded, and not where somebody says otherwise."""
    environment = {name: value for name, value in os.environ.items() if name != "JE_MALLOC_CONF"}
    if told:
        environment["JE_MALLOC_CONF"] = told
    command = [sys.executable, "-c", _KEPT_FREE, str(tmp_path), str(limit)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=180, env=environment).stdout
    assert int(said) == kept_ms


def _land(folder: Path, limit: int, segment: Path) -> list[str]:
    command = [sys.executable, "-c", _AT_THE_LIMIT, str(folder), str(limit), str(segment)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=180).stdout.split()


def _segment(path: Path, request: bytes, size: int) -> int:
    """Write the same request over and over until the segment has `size` bytes; return how often."""
    times = size // len(request)
    path.write_bytes(request[1:] * times)  # without the tag it is a row
    return times


def _request() -> bytes:
    """Return a request of traces of five spans with ten attributes each, about 300 KiB."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="shop")))
    spans = resource.scope_spans.add().spans
    now = time.time_ns()
    for number in range(_SPANS):
        span = spans.add(trace_id=(number // 5).to_bytes(16), span_id=number.to_bytes(8), name="work", kind=2)
        span.start_time_unix_nano, span.end_time_unix_nano = now, now + 1_000_000
        for key in range(10):
            span.attributes.add(key=f"some.attribute.{key}").value.string_value = f"a value {number * key}"
    return request.SerializeToString()


def test_what_a_bounded_engine_is_sent_fits_it(tmp_path: Path) -> None:
    times = _segment(tmp_path / "segment", _request(), segment_bytes(LEAST_MEMORY_BYTES))
    answer = _land(tmp_path / "data", LEAST_MEMORY_BYTES, tmp_path / "segment")
    assert answer[0] == "stored"
    assert int(answer[1]) == times * _SPANS


def test_what_meets_the_bound_is_refused_and_stored_once_when_there_is_more(tmp_path: Path) -> None:
    times = _segment(tmp_path / "segment", _request(), 96 * _MIB)
    refused = _land(tmp_path / "data", LEAST_MEMORY_BYTES, tmp_path / "segment")
    assert refused[0] == "refused"
    stored = _land(tmp_path / "data", 0, tmp_path / "segment")
    assert stored[:3] == ["stored", str(times * _SPANS), str(times * _SPANS)]


def test_two_bounds_in_one_process_are_refused(embedded_dsn: str) -> None:
    with pytest.raises(StoreError, match="give both the same"):
        Store.open(embedded_dsn, memory_bytes=LEAST_MEMORY_BYTES)


def test_an_engine_is_told_to_rest(embedded_dsn: str) -> None:
    """Of its options this one can be asked for again; another name would be taken in silence, and do nothing."""
    asked = "SELECT value FROM system.server_settings WHERE name = 'memory_worker_period_ms'"
    with Store.open(embedded_dsn) as store:
        assert store.query(asked) == [(QUIET["memory_worker_period_ms"],)]


def test_segments_are_as_large_as_the_bound_allows() -> None:
    assert segment_bytes(0) == segment_bytes(64 * 1024 * _MIB) == 32 * _MIB
    assert segment_bytes(LEAST_MEMORY_BYTES) == 16 * _MIB


def test_metrics_say_what_the_embedded_engine_takes(bare_store: Store) -> None:
    memory = StoreMemory(bare_store)
    assert not list(memory.collect()), "nothing is known yet"
    memory.look()
    told = {family.name: family.samples[0].value for family in memory.collect()}
    if bare_store.memory() is None:
        assert told == {}, "a server's memory is not ours"
    else:
        used, limit = told["faasight_collector_store_memory_bytes"], told["faasight_collector_store_memory_limit_bytes"]
        assert 0 < used < limit


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("512", 512), ("4096", 4096)])
def test_a_bound_is_set_in_mebibytes(text: str, number: int) -> None:
    assert settings.load({"FAASIGHT_STORE_MEMORY_MB": text}).store_memory_mb == number


@pytest.mark.parametrize("text", ["1", "511", "-1", "1.5", "much"])
def test_a_bound_that_would_store_nothing_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="FAASIGHT_STORE_MEMORY_MB"):
        settings.load({"FAASIGHT_STORE_MEMORY_MB": text})
