"""The wrapper's lines in a log become the very requests that it could not send."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from faasight.fallback import Stdout
from faasight_collector import Collector
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.output import add_output


def line_of(path: Path, signal: str, body: bytes) -> str:
    """Let the wrapper write a line."""
    with path.open("wb") as file:
        assert Stdout(file.fileno()).write(f"/v1/{signal}", body, time.monotonic() + 10)
    return path.read_text()


def parts_of(record: object) -> list[tuple[str, bytes]]:
    batch = Batch(key=b"a request of Firehose")
    add_output(batch, {"function": "checkout"}, record, 5)
    return [(part.signal, part.payload) for part in batch.rest()]


@pytest.mark.parametrize("form", ["text", "object"])
def test_a_line_is_the_request(tmp_path: Path, make_traces: Any, form: str) -> None:
    body = make_traces(3)
    line = line_of(tmp_path / "out", "traces", body)
    assert parts_of(line if form == "text" else json.loads(line)) == [("traces", body)]


@pytest.mark.parametrize(
    "change",
    [
        {"z": "no base64!"},
        {"z": "bm8gemxpYg=="},
        {"z": 7},
        {"faasight.otlp": "passwords"},
        {"faasight.otlp": ["traces"]},
        {"z": "eNpLTEpOSU0DAAgZAmQ="},  # zlib of what is no protobuf
    ],
)
def test_what_is_no_request_stays_a_log_line(tmp_path: Path, make_traces: Any, change: dict[str, Any]) -> None:
    line = json.loads(line_of(tmp_path / "out", "traces", make_traces())) | change
    ((signal, payload),) = parts_of(line)
    assert (signal, json.loads(payload)["kind"]) == ("records", "log")


def test_a_request_that_came_by_both_ways_is_kept_once(
    tmp_path: Path, collector: Collector, journaled: Any, make_traces: Any
) -> None:
    both, lost = make_traces(2), make_traces(2)
    address = f"http://{collector.http_address}"
    sent = httpx.post(
        f"{address}/v1/traces", content=both, headers={"Content-Type": "application/x-protobuf"}, timeout=60
    )
    log = line_of(tmp_path / "1", "traces", both) + line_of(tmp_path / "2", "traces", lost)
    logged = httpx.post(
        f"{address}/v1/json-logs", content=log, headers={"Content-Type": "application/x-ndjson"}, timeout=60
    )
    assert (sent.status_code, logged.status_code) == (200, 200)
    assert sorted(journaled(collector, "traces")) == sorted([both, lost])
    assert journaled(collector, "records") == []


def test_a_bomb_stays_a_log_line(tmp_path: Path) -> None:
    line = line_of(tmp_path / "out", "traces", bytes(30_000_000))
    ((signal, _),) = parts_of(line)
    assert signal == "records"
    assert (tmp_path / "out").stat().st_size < 200_000
