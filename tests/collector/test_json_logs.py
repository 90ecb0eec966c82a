"""JSON logs become lines of `records`."""

import json
from typing import Any

import pytest
from faasight_collector.errors import Refusal
from faasight_collector.inputs.json_logs import to_parts
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_700_000_000_000_000_000


def lines(body: bytes, headers: dict[bytes, bytes] | None = None) -> list[dict[str, Any]]:
    parts = to_parts(body, headers or {}, NOW)
    return [json.loads(line) for part in parts if part.signal == "records" for line in part.payload.splitlines()]


def test_the_wrappers_line() -> None:
    line = {
        "timestamp": "2026-01-02T03:04:05.678Z",
        "level": "WARN",
        "message": "slow",
        "logger": "pay",
        "function": "checkout",
        "version": "7",
        "request_id": "r-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "cold_start": True,
        "order": {"id": 5},
        "nothing": None,
    }
    assert lines(json.dumps(line).encode()) == [
        {
            "kind": "log",
            "ts": 1767323045678000000,
            "level": "WARN",
            "severity": 13,
            "function": "checkout",
            "version": "7",
            "request_id": "r-1",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": "b7ad6b7169203331",
            "message": "slow",
            "attributes": {"logger": "pay", "cold_start": "true", "order": '{"id":5}'},
        }
    ]


def test_an_exception() -> None:
    line = {"level": "ERROR", "error_type": "KeyError", "error_message": "'x'", "stack_trace": ["a", "b"]}
    (found,) = lines(json.dumps(line).encode())
    assert (found["error_type"], found["message"]) == ("KeyError", "'x'")
    assert found["attributes"] == {"error_message": "'x'", "stack_trace": '["a","b"]'}


def test_lambdas_own_json_format() -> None:
    line = {"timestamp": "2026-01-02T03:04:05Z", "level": "ERROR", "message": "m", "requestId": "r", "errorType": "E"}
    (found,) = lines(json.dumps(line | {"errorMessage": "boom", "stackTrace": "t"}).encode())
    assert (found["request_id"], found["error_type"]) == ("r", "E")
    assert found["attributes"] == {"error_message": "boom", "stack_trace": "t"}


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b'{"message":"a"}\n{"message":"b"}', ["a", "b"]),
        (b'{"message":"a"}\r\n\r\n  {"message":"b"}\n\n', ["a", "b"]),
        (b' [{"message":"a"},\n {"message":"b"}] ', ["a", "b"]),
        (b"", []),
        (b"[]", []),
    ],
)
def test_lines_and_arrays(body: bytes, messages: list[str]) -> None:
    assert [line["message"] for line in lines(body)] == messages


def test_the_function_may_stand_in_the_header() -> None:
    found = lines(b'{"message":"a"}\n{"message":"b","function":"own"}', {b"x-faasight-function": b"theirs"})
    assert [line["function"] for line in found] == ["theirs", "own"]


@pytest.mark.parametrize(
    ("timestamp", "ns"),
    [
        (None, NOW),
        ("yesterday", NOW),
        (True, NOW),
        (-5, NOW),
        (1_700_000_000, 1_700_000_000_000_000_000),
        (1_700_000_000_123, 1_700_000_000_123_000_000),
        (1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000_000_000),
        ("9999-12-31T23:59:59Z", NOW),
        ("0001-01-01T00:00:00+14:00", NOW),
    ],
)
def test_times(timestamp: object, ns: int) -> None:
    assert lines(json.dumps({"timestamp": timestamp, "message": "m"}).encode())[0]["ts"] == ns


@pytest.mark.parametrize(
    ("level", "stored"),
    [
        ("debug", ("DEBUG", 5)),
        ("WARNING", ("WARN", 13)),
        ("CRITICAL", ("FATAL", 21)),
        ("odd", ("INFO", 9)),
        (7, ("INFO", 9)),
    ],
)
def test_levels(level: object, stored: tuple[str, int]) -> None:
    (found,) = lines(json.dumps({"level": level, "message": "m"}).encode())
    assert (found["level"], found["severity"]) == stored


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"message":"a"}\n{"message":', "line 2 is not valid JSON"),
        (b"plain text", "line 1"),
        (b'[{"message":"a"}', "the array"),
        (b'[{"message":"a"}, 5]', "log record 2 is not a JSON object"),
        (b"null", "not a JSON object"),
    ],
)
def test_what_is_no_json_log_is_refused_whole(body: bytes, named: str) -> None:
    with pytest.raises(Refusal, match=named) as refused:
        lines(body)
    assert refused.value.http == 400


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.integers(-(1 << 63), (1 << 64) - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["timestamp", "level", "message", "function", "request_id", "error_type", "trace_id", "stackTrace", "own"]


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), json_values), max_size=4))
def test_any_object_becomes_a_line_of_the_right_types(documents: list[dict[str, Any]]) -> None:
    """Whatever users log, the store's columns get what they can hold."""
    body = "\n".join(json.dumps(document) for document in documents).encode("utf-8", "surrogatepass")
    try:
        found = lines(body)
    except Refusal:
        return  # a lone surrogate is not valid UTF-8
    for line in found:
        assert 0 <= line["ts"] < 1 << 63
        assert all(isinstance(line[key], str) for key in ("message", "request_id", "function") if key in line)
        assert all(isinstance(value, str) for value in line.get("attributes", {}).values())
