"""What cannot be sent comes out on stdout, whole, and never at the price of the function."""

import base64
import json
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faasight.complain import complaints
from faasight.delivery import Exporter
from faasight.fallback import Stdout, _line
from faasight.settings import Settings
from faasight.spans import INTERNAL, Span
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from ports import free_ports


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complaints, "strict", False)


MakeExporter = Callable[..., Exporter]


@pytest.fixture
def exporter() -> Iterator[MakeExporter]:
    made: list[Exporter] = []

    def make(endpoint: str, **environment: str) -> Exporter:
        made.append(Exporter(Settings({"FAASIGHT_ENDPOINT": endpoint, **environment}), lambda: b"", "0.1.0"))
        return made[-1]

    yield make
    for delivery in made:
        delivery.close()


def finished(name: str, **attributes: Any) -> Span:
    span = Span(name, INTERNAL, "1" * 32, attributes=attributes)
    span.end_ns = span.start_ns + 1
    return span


def names(text: str) -> list[str]:
    """Return the names of the spans in lines of output, officially decoded."""
    found = []
    for line in text.splitlines():
        said = json.loads(line)
        assert said["faasight.otlp"] == "traces"
        request = ExportTraceServiceRequest.FromString(zlib.decompress(base64.b64decode(said["z"], validate=True)))
        found += [span.name for r in request.resource_spans for s in r.scope_spans for span in s.spans]
    return found


def test_each_flush_without_a_collector_leaves_nothing_behind(
    exporter: MakeExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    delivery = exporter(f"http://127.0.0.1:{free_ports(1)[0]}")
    for name in ("one", "two", "three"):
        delivery.add(finished(name))
        delivery.flush(0.2)
        assert names(capfd.readouterr().out) == [name], "also while the circuit breaker is open"
    assert delivery.dropped == 0


def test_a_collector_that_is_back_gets_the_rest(
    exporter: MakeExporter, sink: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    delivery = exporter(f"http://127.0.0.1:{port}", FAASIGHT_COOLDOWN="0", FAASIGHT_CONFIRM="1")
    delivery.add(finished("away"))
    delivery.flush(0.2)
    delivery._connection.port = int(sink.endpoint.rpartition(":")[2])
    delivery.add(finished("back"))
    delivery.flush(5.0)
    assert names(capfd.readouterr().out) == ["away"]
    assert [span.name for span in sink.spans()] == ["back"]


def test_what_hung_unanswered_comes_out_once(exporter: MakeExporter, capfd: pytest.CaptureFixture[str]) -> None:
    """The collector takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        delivery = exporter(f"http://127.0.0.1:{hanging.getsockname()[1]}", FAASIGHT_CONFIRM="1")
        delivery.add(finished("unanswered"))
        delivery.flush(0.05)
        delivery.flush(0.05)
        delivery.close()
    assert names(capfd.readouterr().out) == ["unanswered"]


@pytest.mark.parametrize(("status", "comes_out"), [(401, True), (404, True), (413, True), (400, False)])
def test_what_the_collector_will_not_take(
    exporter: MakeExporter, sink: Any, capfd: pytest.CaptureFixture[str], status: int, comes_out: bool
) -> None:
    """A wrong token or address says nothing against the data; 400 does."""
    sink.answer = lambda _: (status, {}, b"")
    delivery = exporter(sink.endpoint, FAASIGHT_CONFIRM="1")
    delivery.add(finished("refused"))
    delivery.flush(5.0)
    assert names(capfd.readouterr().out) == (["refused"] if comes_out else [])
    assert delivery.dropped == (0 if comes_out else 1)


def test_an_overloaded_collector_is_asked_again_first(
    exporter: MakeExporter, sink: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sink.answer = lambda _: (503, {}, b"")
    delivery = exporter(sink.endpoint, FAASIGHT_CONFIRM="1", FAASIGHT_COOLDOWN="0")
    delivery.add(finished("patient"))
    for attempt in range(3):
        assert names(capfd.readouterr().out) == [], attempt
        delivery.flush(5.0)
    delivery.flush(5.0)
    assert names(capfd.readouterr().out) == ["patient"]


def test_what_is_asked_for_later_waits_for_one_invocation_alone(
    exporter: MakeExporter, sink: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """The sandbox may never be used again: no more than the latest invocation's telemetry rests in memory."""
    sink.answer = lambda _: (503, {"Retry-After": "60"}, b"")
    delivery = exporter(sink.endpoint, FAASIGHT_CONFIRM="1")
    out = []
    for name in ("refused", "second", "third", "fourth"):
        delivery.add(finished(name))
        delivery.flush(60.0)
        out.append(names(capfd.readouterr().out))
    assert out == [[], ["refused"], ["second"], ["third"]]
    delivery.linger(0.0)
    assert names(capfd.readouterr().out) == ["fourth"], "nor beyond the process"
    delivery.linger(0.0)
    assert (names(capfd.readouterr().out), delivery.dropped) == ([], 0)


def test_what_is_asked_for_later_is_sent_with_the_next_invocation_if_the_pause_is_over(
    exporter: MakeExporter, sink: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sink.answer = lambda _: (200 if answered else 503, {}, b"")
    answered: list[bool] = []
    delivery = exporter(sink.endpoint, FAASIGHT_CONFIRM="1", FAASIGHT_COOLDOWN="0")
    delivery.add(finished("refused"))
    delivery.flush(60.0)
    answered.append(True)
    delivery.add(finished("next"))
    delivery.flush(60.0)
    assert names(capfd.readouterr().out) == []
    assert sorted(span.name for span in sink.spans()) == ["next", "refused"]


def test_what_has_no_room_in_the_buffer_comes_out(exporter: MakeExporter, capfd: pytest.CaptureFixture[str]) -> None:
    delivery = exporter(f"http://127.0.0.1:{free_ports(1)[0]}", FAASIGHT_BUFFER_BYTES="20000")
    for number in range(600):
        delivery.add(finished(f"span {number}"))
    delivery.flush(0.2)
    assert sorted(names(capfd.readouterr().out)) == sorted(f"span {number}" for number in range(600))
    assert delivery.dropped == 0


@pytest.mark.parametrize("closed", ["closed", "without a reader"])
def test_a_stdout_that_takes_nothing_costs_nothing(exporter: MakeExporter, closed: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    if closed == "closed":
        os.close(writer)
    delivery = exporter(f"http://127.0.0.1:{free_ports(1)[0]}")
    delivery._stdout = Stdout(writer)
    delivery.add(finished("kept"))
    delivery.flush(0.2)
    assert len(delivery._pending) == 1, "it stays in the buffer"
    if closed != "closed":
        os.close(writer)


def test_a_reader_that_stands_still_does_not_hold_up_the_function_and_gets_whole_lines_later() -> None:
    reader, writer = os.pipe()
    stdout = Stdout(writer)
    body = os.urandom(150_000)  # larger than a pipe's buffer
    assert not stdout.write("/v1/traces", body, time.monotonic() + 0.05)
    got = bytearray()
    everything = threading.Thread(target=_read_all, args=(reader, got.extend))
    everything.start()
    assert stdout.write("/v1/traces", body, time.monotonic() + 30)
    os.close(writer)
    everything.join(180)
    _, line = bytes(got).splitlines()
    assert zlib.decompress(base64.b64decode(json.loads(line)["z"])) == body


def _read_all(reader: int, take: Callable[[bytes], None]) -> None:
    with os.fdopen(reader, "rb") as stream:
        while piece := stream.read1(65_536):
            take(piece)


def test_a_line_that_no_log_would_keep_whole_is_counted_as_lost(
    exporter: MakeExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    delivery = exporter(f"http://127.0.0.1:{free_ports(1)[0]}", FAASIGHT_BUFFER_BYTES="100000")
    delivery.add(finished("huge", **{f"key {n}": os.urandom(8_000).hex() for n in range(40)}))
    delivery.flush(0.2)
    assert capfd.readouterr().out == ""
    assert delivery.dropped == 1


@pytest.mark.parametrize("size", [0, 1, 700, 4_096, 4_097, 100_000])
def test_a_body_of_any_size_comes_back(size: int) -> None:
    """The window is that of the body's size: a smaller one would be read wrongly, a larger one is dear."""
    for body in (bytes(size), os.urandom(size)):
        said = json.loads(_line("/v1/traces", body))
        assert zlib.decompress(base64.b64decode(said["z"], validate=True)) == body
