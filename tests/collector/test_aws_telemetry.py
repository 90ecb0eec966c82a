"""Batches of the Lambda Telemetry API become lines of `records`."""

import json
from pathlib import Path
from typing import Any

import pytest
from faasight_collector.errors import Refusal
from faasight_collector.inputs.aws_telemetry import to_parts
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_700_000_000_000_000_000
TIME, TIME_NS = "2022-10-12T00:01:15.123Z", 1665532875123000000
ID = "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa"
HEADERS = {
    b"x-faasight-function": b"checkout",
    b"x-faasight-version": b"$LATEST",
    b"x-faasight-account": b"123456789012",
    b"x-faasight-region": b"eu-west-1",
    b"x-faasight-environment": b"live",
    b"x-faasight-instance": b"2026/01/02/[$LATEST]abc",
    b"x-faasight-memory-mb": b"512",
}


def lines(*events: Any, headers: dict[bytes, bytes] | None = None) -> list[dict[str, Any]]:
    parts = to_parts(json.dumps(events).encode(), HEADERS if headers is None else headers, NOW)
    return [json.loads(line) for part in parts for line in part.payload.splitlines()]


def one(kind: str, record: Any) -> dict[str, Any]:
    (line,) = lines({"time": TIME, "type": kind, "record": record}, headers={})
    return line


def test_the_batch_belongs_to_whom_its_headers_name() -> None:
    (line,) = lines({"time": TIME, "type": "platform.start", "record": {"requestId": ID}})
    assert line == {
        "kind": "start",
        "ts": TIME_NS,
        "function": "checkout",
        "version": "$LATEST",
        "account": "123456789012",
        "region": "eu-west-1",
        "environment": "live",
        "instance": "2026/01/02/[$LATEST]abc",
        "memory_mb": 512,
        "request_id": ID,
    }


@pytest.mark.parametrize("size", [b"9" * 30, b"9" * 5000, b"-1", b"many"])
def test_a_memory_size_that_is_none_is_left_out(size: bytes) -> None:
    (line,) = lines({"time": TIME, "type": "function", "record": "x"}, headers={b"x-faasight-memory-mb": size})
    assert "memory_mb" not in line


def test_an_events_own_version_counts_more_than_the_headers() -> None:
    (line,) = lines({"time": TIME, "type": "platform.start", "record": {"requestId": ID, "version": "9"}})
    assert line["version"] == "9"


def test_report() -> None:
    metrics = {
        "durationMs": 101.51,
        "billedDurationMs": 300,
        "memorySizeMB": 512,
        "maxMemoryUsedMB": 33,
        "initDurationMs": 116.67,
    }
    tracing = {"spanId": "54565fb41ac79632", "type": "X-Amzn-Trace-Id", "value": "Root=1-62e900b2;Sampled=1"}
    found = one("platform.report", {"requestId": ID, "status": "success", "metrics": metrics, "tracing": tracing})
    assert found == {
        "kind": "report",
        "ts": TIME_NS,
        "request_id": ID,
        "status": "success",
        "duration_ms": 101.51,
        "billed_ms": 300,
        "memory_mb": 512,
        "memory_used_mb": 33,
        "init_ms": 116.67,
        "attributes": {"tracing": "Root=1-62e900b2;Sampled=1"},
    }


@pytest.mark.parametrize("status", ["timeout", "failure", "error"])
def test_runtime_done_of_a_failure(status: str) -> None:
    record = {"requestId": ID, "status": status, "errorType": "Runtime.ExitError", "metrics": {"durationMs": 3000.0}}
    found = one("platform.runtimeDone", record)
    assert (found["kind"], found["status"], found["error_type"], found["duration_ms"]) == (
        "done",
        status,
        "Runtime.ExitError",
        3000.0,
    )


def test_init_report_tells_the_init_duration_and_no_other() -> None:
    record = {
        "initializationType": "on-demand",
        "phase": "init",
        "status": "success",
        "metrics": {"durationMs": 125.33},
    }
    found = one("platform.initReport", record)
    assert (found["kind"], found["init_ms"], found["init_type"]) == ("init", 125.33, "on-demand")
    assert "duration_ms" not in found


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("platform.initStart", "init_start"),
        ("platform.initRuntimeDone", "init_runtime_done"),
        ("platform.extension", "extension"),
        ("platform.telemetrySubscription", "telemetry_subscription"),
        ("platform.somethingNew", "something_new"),
        ("platform.", "unknown"),
        ("", "unknown"),
    ],
)
def test_other_events_are_kept_by_their_name(kind: str, stored: str) -> None:
    assert one(kind, {"name": "x"})["kind"] == stored


def test_dropped_logs_say_how_many() -> None:
    record = {"reason": "Consumer seems to have fallen behind", "droppedRecords": 12, "droppedBytes": 1234}
    found, shown = lines({"time": TIME, "type": "platform.logsDropped", "record": record}, headers={})
    assert (shown["kind"], shown["level"]) == ("log", "WARN"), "lost telemetry is to be seen"
    assert "dropped 12 log records (1234 bytes): Consumer seems" in shown["message"]
    assert found["message"] == "Consumer seems to have fallen behind"
    assert found["attributes"] == {"droppedRecords": "12", "droppedBytes": "1234"}


def test_a_throttle() -> None:
    found = one("platform.throttle", {"requestId": ID, "reason": "ReservedFunctionConcurrentInvocationLimitExceeded"})
    assert (found["kind"], found["request_id"]) == ("throttle", ID)


def test_a_fault_is_a_text() -> None:
    found = one(
        "platform.fault", f"RequestId: {ID} Error: Runtime exited with error: signal: killed Runtime.ExitError\n"
    )
    assert (found["kind"], found["request_id"], found["severity"]) == ("fault", ID, 17)
    assert found["error_type"] == "Runtime.ExitError"
    assert found["message"].startswith(f"RequestId: {ID}")


# -- function logs ----------------------------------------------------------------------------------------------------


def test_a_line_of_json_is_parsed() -> None:
    line = json.dumps({"level": "ERROR", "message": "no money", "request_id": "r", "trace_id": "a" * 32, "cart": 3})
    found = one("function", line + "\n")
    assert (found["kind"], found["level"], found["message"], found["request_id"]) == ("log", "ERROR", "no money", "r")
    assert found["attributes"] == {"cart": "3"}
    assert found["ts"] == TIME_NS, "a line without a time has the event's"


def test_an_object_is_taken_as_it_is() -> None:
    """With the JSON log format, Lambda sends objects instead of texts."""
    found = one("function", {"timestamp": "2022-10-12T00:00:00Z", "level": "INFO", "message": "m", "requestId": ID})
    assert (found["message"], found["request_id"], found["ts"]) == ("m", ID, 1665532800000000000)


@pytest.mark.parametrize(
    ("text", "message", "level", "request_id"),
    [
        ("hello\n", "hello", "INFO", None),
        ("two\nlines\n", "two\nlines", "INFO", None),
        ("{ not json", "{ not json", "INFO", None),
        ("{}", "", "INFO", None),
        (f"[ERROR]\t2022-10-12T00:00:00.000Z\t{ID}\tbad\nthings\n", "bad\nthings", "ERROR", ID),
        (f"2022-10-12T00:00:00.000Z\t{ID}\tWARN\tnode says\n", "node says", "WARN", ID),
        (
            "[ERROR] KeyError: 'x'\nTraceback (most recent call last):\n",
            "[ERROR] KeyError: 'x'\nTraceback (most recent call last):",
            "ERROR",
            None,
        ),
    ],
)
def test_texts(text: str, message: str, level: str, request_id: str | None) -> None:
    found = one("function", text)
    assert (found.get("message", ""), found["level"], found.get("request_id")) == (message, level, request_id)


@pytest.mark.parametrize(
    "text",
    [f"START RequestId: {ID} Version: 1\n", f"END RequestId: {ID}\n", f"REPORT RequestId: {ID}\tDuration: 1 ms\n"],
)
def test_the_platforms_own_text_lines_are_left_to_its_events(text: str) -> None:
    assert lines({"time": TIME, "type": "function", "record": text}) == []


def test_an_extensions_log_is_marked() -> None:
    assert one("extension", "started")["attributes"] == {"aws.log.type": "extension"}


# -- the documentation's event types ----------------------------------------------------------------------------------


def test_every_event_type_is_told() -> None:
    events = json.loads((Path(__file__).parent / "samples" / "telemetry_platform.json").read_text())
    found = lines(*events)
    assert [line["kind"] for line in found] == [
        "init_start", "init_runtime_done", "init", "extension", "telemetry_subscription", "start",
        "log", "log", "log", "done", "report",
        "restore_start", "restore_runtime_done", "restore_report", "report", "logs_dropped", "log", "fault",
    ]  # fmt: skip
    assert all(line["ts"] // 10**9 in range(1795248000, 1795248064) for line in found)
    assert {line["function"] for line in found} == {"checkout"}


def test_snap_starts_restore_is_the_wait_of_a_cold_start() -> None:
    metrics = {"durationMs": 30.0, "billedDurationMs": 149, "restoreDurationMs": 515.19, "billedRestoreDurationMs": 119}
    found = one("platform.report", {"requestId": ID, "status": "success", "metrics": metrics})
    assert (found["init_ms"], found["init_type"], found["duration_ms"]) == (515.19, "snap-start", 30.0)
    assert found["attributes"] == {"restoreDurationMs": "515.19", "billedRestoreDurationMs": "119"}


def test_an_event_that_names_its_function_is_taken_at_its_word_when_nobody_else_does() -> None:
    record = {"functionName": "resize", "functionVersion": "3", "instanceMaxMemory": 256, "phase": "init"}
    found = one("platform.initStart", {**record, "initializationType": "on-demand"})
    assert (found["function"], found["version"], found["memory_mb"]) == ("resize", "3", 256)


def test_spans_are_kept() -> None:
    spans = [{"name": "responseLatency", "start": TIME, "durationMs": 23.02}]
    found = one("platform.runtimeDone", {"requestId": ID, "status": "success", "spans": spans})
    assert json.loads(found["attributes"]["spans"]) == spans


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"5", b"[5]", b'[{"time": "x"}]', b'[{"type": 5}]'])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        list(to_parts(body, {}, NOW))
    assert refused.value.http == 400


records = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["requestId", "metrics", "durationMs", "status", "tracing", "message"]), inner
        )
    ),
    max_leaves=6,
)
kinds = st.sampled_from(
    ["function", "extension", "platform.report", "platform.fault", "platform.initReport", "platform.new"]
)


@given(st.lists(st.fixed_dictionaries({"type": kinds, "time": records, "record": records}), max_size=4))
def test_odd_records_never_fail_the_batch(events: list[dict[str, Any]]) -> None:
    """A platform that changes its records costs us fields, not batches."""
    for line in lines(*events):
        assert isinstance(line["kind"], str)
        assert all(isinstance(line.get(key, 0.0), (int, float)) for key in ("duration_ms", "init_ms", "billed_ms"))
