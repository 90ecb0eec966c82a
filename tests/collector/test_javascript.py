"""OpenTelemetry's SDK for JavaScript sends, the real engine stores: what its program says it sent is what is there."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import stored_otlp
from faasight_collector import Collector, Settings
from faasight_collector.segments import Record, scan
from faasight_store import Store, values
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from polling import wait_until

FOLDER = Path(__file__).parent / "js"
WAYS = ["json", "proto+gzip", "grpc", "json+gzip", "grpc+gzip"]


@dataclass(frozen=True)
class Sent:
    """What one run of the program sent: in its own words, and as the collector accepted it."""

    function: str
    told: dict[str, Any]
    accepted: dict[str, list[bytes]]
    store: Store


@pytest.fixture(scope="module")
def store(store_named: Callable[[str, str], Store]) -> Store:
    """Return an embedded store: the engine behind HTTP is the same."""
    return store_named("embedded", "shared")


@pytest.fixture(scope="module", params=WAYS)
def sent(request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """Run the program once for each way, to a collector that ships to the store."""
    if shutil.which("node") is None or not (FOLDER / "node_modules" / "@opentelemetry").is_dir():
        if os.environ.get("CI"):
            pytest.fail("the JavaScript SDK is not installed: sh tests/collector/js/install.sh")
        pytest.skip("needs Node.js: sh tests/collector/js/install.sh")
    own = Settings(journal_dir=tmp_path_factory.mktemp("journal"), http_port=0, grpc_port=0)
    collector = Collector(replace(own, segment_age_s=0.05, segment_age_max_s=0.2), store)
    collector.start()
    function = f"fn-{secrets.token_hex(6)}"
    address = collector.grpc_address if request.param.startswith("grpc") else collector.http_address
    try:
        command = ["node", "send.mjs", request.param, address, function]
        ran = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=180, check=False)
        assert ran.returncode == 0, ran.stderr
        accepted = {signal: _journaled(own.journal_dir / signal) for signal in ("traces", "logs", "metrics")}
        yield Sent(function, json.loads(ran.stdout), accepted, store)
    finally:
        collector.stop()


def _journaled(folder: Path) -> list[bytes]:
    """Return the requests in a journal, shipped or not (they are kept for minutes)."""
    items = [item for path in sorted(folder.iterdir()) for item in scan(path.read_bytes())]
    return [bytes(item.payload) for item in items if isinstance(item, Record)]


def _attributes(stored: dict[str, stored_otlp.Tagged], told: dict[str, list[str]]) -> dict[str, stored_otlp.Tagged]:
    """Return what was told in the form of what is stored, of the same attributes."""
    assert stored.keys() >= told.keys()
    return {key: stored_otlp.tagged(values.decode(text, kind)) for key, (kind, text) in told.items()}


def test_spans(sent: Sent) -> None:
    told = sent.told["traces"]
    (span,) = wait_until(lambda: stored_otlp.stored_spans(sent.store, sent.function), "the span is stored")
    assert span["attributes"] == _attributes(span["attributes"], told["attributes"])
    own = {key: told[key] for key in ("trace_id", "span_id", "parent", "trace_state", "name", "kind")}
    assert {key: span[key] for key in own} == own
    assert span["start"] == int(told["start"])
    assert (list(span["status"]), list(span["scope"])) == (told["status"], told["scope"])
    assert list(span["links"][0][:2]) == told["link"]
    assert span["links"][0][3] == {"n": ("int", 1)}
    assert span["events"][0][1:3] == (told["event"], {"n": ("int", 0), "ok": ("bool", False)})
    assert span["resource"]["process.pid"] == ("int", 7)
    requests = map(ExportTraceServiceRequest.FromString, sent.accepted["traces"])
    assert [span] == stored_otlp.sent_spans(*requests), "the store has all that was accepted"


def test_logs(sent: Sent) -> None:
    told = sent.told["logs"]
    number = len(told["bodies"])
    found = wait_until(
        lambda: (rows := stored_otlp.stored_logs(sent.store, sent.function)) and len(rows) >= number and rows,
        "all lines are stored",
        60,
    )
    assert len(found) == number
    for line in found:
        nested = line["attributes"].pop("nested")
        assert line["attributes"] == _attributes(line["attributes"], told["attributes"])
        assert nested[0] == "map"
        assert (list(line["severity"]), line["event"]) == (told["severity"], told["event"])
        assert (line["trace_id"], line["span_id"], line["flags"]) == (told["trace_id"], told["span_id"], 1)
    rows = sent.store.query(
        "SELECT toString(body_type), message, attributes['nested'] FROM logs WHERE function = {f:String}",
        {"f": sent.function},
    )
    assert {kind: values.shown(text, kind) for kind, text, _ in rows} == told["bodies"]
    assert {values.shown(nested, "map") for _, _, nested in rows} == {told["nested"]}
    requests = map(ExportLogsServiceRequest.FromString, sent.accepted["logs"])
    again = stored_otlp.stored_logs(sent.store, sent.function)
    assert again == stored_otlp.sent_logs(*requests), "the store has all that was accepted"


def test_metrics(sent: Sent) -> None:
    told = sent.told["metrics"]

    def points() -> dict[str, list[Any]]:
        stored = stored_otlp.stored_points(sent.store, sent.function)
        return {point["metric"][0]: [point["kind"][0], point["value"][1], point.get("count", 0)] for point in stored}

    wait_until(lambda: points().keys() >= told.keys(), "all points are stored")
    assert {name: [kind, float(value), count] for name, (kind, value, count) in points().items()} == told
    requests = list(map(ExportMetricsServiceRequest.FromString, sent.accepted["metrics"]))
    everything = stored_otlp.sent_points(*requests)
    wait_until(lambda: len(stored_otlp.stored_points(sent.store, sent.function)) >= len(everything), "all are there")
    assert stored_otlp.stored_points(sent.store, sent.function) == everything, "the store has all that was accepted"
