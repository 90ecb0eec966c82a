"""Messages of a CloudWatch Logs subscription become log lines and platform events."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from faasight_collector.errors import Refusal
from faasight_collector.inputs.cloudwatch_logs import to_parts

NOW = 1_700_000_000_000_000_000
SAMPLES = Path(__file__).parent / "samples"
ID = "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa"
STREAM = "2026/11/21/[$LATEST]0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / name).read_text())
    return found


def lines(body: bytes, **headers: str) -> list[dict[str, Any]]:
    named = {f"x-faasight-{name}".encode(): value.encode() for name, value in headers.items()}
    parts = to_parts(body, named, NOW)
    return [json.loads(line) for part in parts if part.signal == "records" for line in part.payload.splitlines()]


def message(*texts: str, **fields: Any) -> bytes:
    events = [{"id": str(n), "timestamp": 1795248000000 + n, "message": text} for n, text in enumerate(texts)]
    found = {"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/lambda/checkout", "logStream": STREAM}
    return json.dumps({**found, "subscriptionFilters": ["f"], "logEvents": events, **fields}).encode()


def test_a_stream_of_text_lines() -> None:
    found = lines(json.dumps(sample("cloudwatch_logs_text.json")).encode(), region="eu-west-1", environment="live")
    assert [line["kind"] for line in found] == [
        "init_start", "start", "log", "log", "report", "fault", "log", "report",
        "fault", "log", "report", "init", "restore_start", "restore_report", "report",
    ]  # fmt: skip
    for line in found:
        assert (line["function"], line["account"], line["region"]) == ("checkout", "123456789012", "eu-west-1")
        assert (line["instance"], line["environment"], line["version"]) == (STREAM, "live", "$LATEST")
    text, wrapped = found[2], found[3]
    assert (text["message"], text["level"], text["request_id"]) == ("paid 3 orders", "INFO", ID)
    assert (wrapped["message"], wrapped["trace_id"]) == ("no stock", "0af7651916cd43dd8448eb211c80319c")
    assert wrapped["attributes"] == {"logger": "shop", "cold_start": "true", "sku": "A-7"}


def test_a_stream_of_the_json_log_format_in_a_log_group_of_its_own() -> None:
    found = lines(json.dumps(sample("cloudwatch_logs_json.json")).encode())
    assert [line["kind"] for line in found] == ["init_start", "start", "log", "report"]
    assert {(line["function"], line["version"]) for line in found} == {("checkout", "7")}
    _, _, log, report = found
    assert (log["message"], log["request_id"]) == ("paid", ID)
    assert log["attributes"] == {"order": '{"id":7}', "aws.log.group.names": "shop-logs"}
    assert (report["duration_ms"], report["init_ms"], report["status"]) == (101.51, 116.67, "success")


def test_a_control_message_is_accepted_and_says_nothing() -> None:
    assert lines(json.dumps(sample("cloudwatch_logs_control.json")).encode()) == []


def packed(body: bytes) -> bytes:
    return json.dumps({"awslogs": {"data": base64.b64encode(gzip.compress(body)).decode()}}).encode()


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, packed], ids=["plain", "gzip", "event"])
def test_as_it_is_gzipped_and_as_a_function_gets_it(wrap: Any) -> None:
    (line,) = lines(wrap(message("hello")))
    assert (line["message"], line["ts"]) == ("hello", 1795248000000000000)


def test_the_same_message_is_the_same_bytes_for_it_is_known_by_them() -> None:
    body = message("hello", '{"a": 1}')
    assert [part.payload for part in to_parts(body, {}, 1)] == [part.payload for part in to_parts(body, {}, 2)]


@pytest.mark.parametrize(
    ("group", "stream", "function"),
    [
        ("/aws/lambda/checkout", STREAM, "checkout"),
        ("/aws/lambda/us-east-1.resize", "2026/11/21/[3]abc", "resize"),
        ("anything", "2026/11/21/checkout[3]abc", "checkout"),
        ("/ecs/web", "web/web/0123", "/ecs/web"),
    ],
)
def test_whose_lines_they_are(group: str, stream: str, function: str) -> None:
    (line,) = lines(message("x", logGroup=group, logStream=stream))
    assert line["function"] == function


@pytest.mark.parametrize("group", ["/aws/lambda/ship-logs", "/aws/lambda/faasight-forwarder", "/aws/kinesisfirehose/f"])
def test_what_tells_of_this_delivery_is_left_out(group: str) -> None:
    """Or each delivery would write lines that are delivered in turn, without end."""
    assert lines(message("delivered", logGroup=group), forwarder="ship-logs") == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"{}", b'{"awslogs": {"data": "!"}}', b'{"awslogs": {"data": "aGVsbG8="}}', b"\x1f\x8b\x00",
        gzip.compress(b"no json", mtime=0), gzip.compress(b"{}", mtime=0)[:-4],
        message("x", logEvents=5), message("x", logEvents=[5]),
        message("x", logEvents=[{"timestamp": 5}]), message("x", logGroup=None), b"[" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        lines(body)
    assert refused.value.http == 400


@pytest.mark.parametrize("bomb", [b" " * 30_000_000, b"[" + b"{}," * 3_000_000 + b"{}]"], ids=["large", "complex"])
def test_a_bomb_is_refused_for_good(bomb: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        lines(gzip.compress(bomb, 1))
    assert refused.value.http == 413


def test_a_large_message_is_given_on_in_pieces() -> None:
    parts = list(to_parts(message(*("x" * 10_000 for _ in range(300))), {}, NOW))
    assert len(parts) > 2
    assert max(len(part.payload) for part in parts) < 2_000_000
    assert sum(part.payload.count(b"\n") for part in parts) == 300


def test_equal_pieces_of_one_message_are_told_apart_and_known_again() -> None:
    """A thousand times the same line in the same millisecond is a thousand lines."""
    events = [{"id": "1", "timestamp": 1795248000000, "message": "x" * 1000}] * 5000
    body = message("", logEvents=events)
    parts, again = list(to_parts(body, {}, 1)), list(to_parts(body, {}, 2))
    assert len({part.payload for part in parts}) < len(parts), "some are equal"
    names = [part.key or part.payload for part in parts]
    assert len(set(names)) == len(parts)
    assert names == [part.key or part.payload for part in again]
