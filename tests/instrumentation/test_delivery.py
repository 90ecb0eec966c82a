"""Whatever the collector does: refuse, hang, be slow, reset, answer errors or garbage."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from faasight.complain import complaints
from faasight.delivery import Exporter
from faasight.send import Connection
from faasight.settings import Settings
from faasight.spans import INTERNAL, Span
from ports import free_ports

GENEROUS_S = 15.0  # over the flush limit: a busy machine may take its time, a missing limit takes for ever


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complaints, "strict", False)


@pytest.fixture
def exporter() -> Iterator[Callable[..., Exporter]]:
    made: list[Exporter] = []

    def make(endpoint: str, **environment: str) -> Exporter:
        kept = {"FAASIGHT_ENDPOINT": endpoint, "FAASIGHT_COOLDOWN": "0", "FAASIGHT_FALLBACK": "off"}
        settings = Settings({**kept, **environment})
        made.append(Exporter(settings, lambda: b"", "0.1.0"))
        return made[-1]

    yield make
    for delivery in made:
        delivery.close()


def finished(name: str) -> Span:
    span = Span(name, INTERNAL, "1" * 32)
    span.end_ns = span.start_ns + 1
    return span


def names(sink: Any) -> list[str]:
    return [span.name for span in sink.spans()]


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Start a server that treats each connection with a function of one's own."""
    listening: list[socket.socket] = []
    done = threading.Event()

    def start(treat: Callable[[socket.socket], None]) -> str:
        sock = socket.create_server(("127.0.0.1", 0))
        listening.append(sock)

        def serve() -> None:
            with suppress(OSError):
                while not done.is_set():
                    connection, _ = sock.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                treat(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{sock.getsockname()[1]}"

    yield start
    done.set()
    for sock in listening:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def hang(connection: socket.socket) -> None:
    while connection.recv(65_536):
        """Read, and never answer."""


def deaf(connection: socket.socket) -> None:
    """Never even read."""
    threading.Event().wait(5)


def reset(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def garbage(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    connection.recv(65_536)


def half(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    connection.recv(65_536)


@pytest.mark.parametrize("treat", [hang, deaf, reset, garbage, half])
@pytest.mark.parametrize("confirm", ["0", "1"])
def test_no_collector_can_keep_us_longer_than_the_limit(exporter: Any, server: Any, treat: Any, confirm: str) -> None:
    """Each flush ends near its limit, and what is kept stays within its bound."""
    delivery = exporter(server(treat), FAASIGHT_CONFIRM=confirm, FAASIGHT_BUFFER_BYTES="20000")
    for number in range(4):
        delivery.add(finished(f"span {number} " + "x" * 6_000))
        begun = time.monotonic()
        delivery.flush(0.05)
        assert time.monotonic() - begun < 0.05 + GENEROUS_S
    assert delivery._pending_bytes <= 20_000


def test_a_refused_connection_keeps_the_spans_until_the_collector_is_back(
    exporter: Any, sink: Any, server: Any
) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    delivery = exporter(endpoint)
    for name in ("a", "b"):
        delivery.add(finished(name))
        delivery.flush(1.0)
    delivery._connection.port = sink.port  # it comes back
    delivery.add(finished("c"))
    delivery.flush(5.0)
    sink_gets(sink, ["a", "b", "c"])
    assert len(sink.requests) == 1, "what was kept is joined into one request"


def sink_gets(sink: Any, expected: list[str], delivery: Exporter | None = None) -> None:
    """Wait for the spans; `delivery` goes on flushing meanwhile, as the next invocations would."""
    deadline = time.monotonic() + 10
    while sorted(names(sink)) != expected and time.monotonic() < deadline:
        if delivery:
            delivery.flush(1.0)
        time.sleep(0.005)
    assert sorted(names(sink)) == expected


def test_one_connection_carries_many_flushes(exporter: Any, sink: Any) -> None:
    delivery = exporter(sink.endpoint)
    for number in range(40):
        delivery.add(finished(f"{number:02d}"))
        delivery.flush(5.0)
    sink_gets(sink, [f"{number:02d}" for number in range(40)])
    assert delivery.dropped == 0


def test_the_breaker_spares_a_collector_that_is_down(exporter: Any, server: Any) -> None:
    attempts: list[int] = []

    def count(connection: socket.socket) -> None:
        attempts.append(1)
        garbage(connection)

    delivery = exporter(server(count), FAASIGHT_COOLDOWN="60", FAASIGHT_CONFIRM="1")
    for _ in range(5):
        delivery.add(finished("a"))
        delivery.flush(1.0)
    assert len(attempts) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_be_sent_again_is(exporter: Any, sink: Any, status: int) -> None:
    answers = iter([status])
    sink.answer = lambda _: (next(answers, 200), {}, b"")
    delivery = exporter(sink.endpoint, FAASIGHT_CONFIRM="1")
    for name in ("a", "b"):
        delivery.add(finished(name))
        delivery.flush(5.0)
    sink_gets(sink, ["a", "b"])


@pytest.mark.parametrize("status", [400, 413, 500])
def test_what_is_refused_for_good_is_dropped(
    exporter: Any, sink: Any, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(complaints, "_next", 0.0)
    answers = iter([status])
    sink.answer = lambda _: (next(answers, 200), {}, b"")
    delivery = exporter(sink.endpoint, FAASIGHT_CONFIRM="1")
    for name in ("a", "b"):
        delivery.add(finished(name))
        delivery.flush(5.0)
    sink_gets(sink, ["b"])
    assert delivery.dropped == 1
    assert f"/v1/traces answered {status}" in capsys.readouterr().err


def test_a_body_that_is_refused_again_and_again_goes(exporter: Any, sink: Any) -> None:
    sink.answer = lambda _: (503, {}, b"")
    delivery = exporter(sink.endpoint, FAASIGHT_CONFIRM="1")
    delivery.add(finished("a"))
    for _ in range(6):
        delivery.flush(5.0)
    assert delivery.dropped == 1
    assert delivery._pending_bytes == 0


def test_a_connection_closed_while_we_slept_is_made_anew(exporter: Any, sink: Any) -> None:
    """Keep-alive connections are closed by servers; the next flush notices before it writes."""
    sink.answer = lambda _: (200, {"Connection": "close"}, b"")
    delivery = exporter(sink.endpoint)
    for name in ("a", "b", "c"):
        delivery.add(finished(name))
        delivery.flush(5.0)
    sink_gets(sink, ["a", "b", "c"], delivery)


def test_an_unanswered_request_on_a_broken_connection_goes_again(exporter: Any, sink: Any, server: Any) -> None:
    connected = threading.Event()

    def swallow(connection: socket.socket) -> None:
        connection.recv(65_536)
        connected.set()

    delivery = exporter(server(swallow))
    delivery.add(finished("a"))
    delivery.flush(5.0)
    assert connected.wait(180)
    delivery._connection.port = sink.port
    sink_gets(sink, ["a"], delivery)


def test_an_idle_connection_is_not_trusted(exporter: Any, sink: Any) -> None:
    delivery = exporter(sink.endpoint, FAASIGHT_IDLE_LIMIT="0")
    for name in ("a", "b"):
        delivery.add(finished(name))
        delivery.flush(5.0)
    sink_gets(sink, ["a", "b"])


def test_headers_and_prefix_are_sent(exporter: Any, sink: Any) -> None:
    delivery = exporter(f"{sink.endpoint}/otlp", OTEL_EXPORTER_OTLP_HEADERS="x-key=abc")
    delivery.add(finished("a"))
    delivery.flush(5.0)
    deadline = time.monotonic() + 10
    while not sink.requests and time.monotonic() < deadline:
        time.sleep(0.005)
    path, headers, _ = sink.requests[0]
    assert path == "/otlp/v1/traces"
    assert headers["x-key"] == "abc"
    assert headers["Content-Type"] == "application/x-protobuf"


def test_flushes_of_many_threads_lose_and_double_nothing(exporter: Any, sink: Any) -> None:
    delivery = exporter(sink.endpoint)

    def work(thread: int) -> None:
        for number in range(20):
            delivery.add(finished(f"{thread}/{number}"))
            delivery.flush(5.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delivery.flush(5.0)
    sink_gets(sink, sorted(f"{thread}/{number}" for thread in range(8) for number in range(20)))


def test_a_body_larger_than_the_buffer_is_not_lost_as_a_whole(exporter: Any, sink: Any) -> None:
    delivery = exporter(sink.endpoint, FAASIGHT_BUFFER_BYTES="200000", FAASIGHT_CONFIRM="1")
    for number in range(2_000):
        span = finished(f"call {number}")
        span.attributes["url.full"] = "http://shop.example/orders/" + "7" * 100
        delivery.add(span)
    delivery.flush(5.0)
    assert "call 1999" in names(sink)  # the invocation's own span is the last, and worth most


def test_what_goes_again_goes_as_it_was(exporter: Any, sink: Any, server: Any) -> None:
    """The collector knows a body it has had by its bytes: joined with another one it would be stored twice."""
    lost: list[bytes] = []

    def swallow(connection: socket.socket) -> None:
        while len(lost) < 2:
            lost.append(connection.recv(65_536).partition(b"\r\n\r\n")[2])
        connection.close()

    delivery = exporter(server(swallow), FAASIGHT_FLUSH_TIMEOUT="5")
    for number in range(2):
        delivery.add(finished(f"span {number}"))
        delivery.flush(5.0)
        deadline = time.monotonic() + 10
        while len(lost) <= number and time.monotonic() < deadline:
            time.sleep(0.005)
    delivery._requeue()
    delivery._connection = Connection(sink.endpoint, {}, delivery._resolver)
    delivery._settings.confirm = True
    delivery.flush(5.0)
    assert [body for _, _, body in sink.requests] == lost


def test_a_process_that_ends_hears_that_its_last_requests_came(sink: Any) -> None:
    """A server that cannot answer the first of several requests on a connection may never read the others."""
    sink.answer = lambda _: time.sleep(0.02) or (200, {}, b"")
    code = "import faasight\nhandler = faasight.observe(lambda event, context: None)\n" + "handler({}, None)\n" * 5
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_FLUSH_TIMEOUT": "10"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (run.stdout, run.stderr) == ("", "")
    assert len(sink.wait(5)) == 5


def test_a_collector_that_hangs_does_not_keep_a_process_from_its_end(sink: Any) -> None:
    gate = threading.Event()
    sink.answer = lambda _: (gate.wait(180), (200, {}, b""))[1]
    code = "import faasight\nfaasight.observe(lambda event, context: None)({}, None)\n"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FAASIGHT_ENDPOINT": sink.endpoint},
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    gate.set()
    assert (run.stdout, run.stderr) == ("", ""), "what was written counts as sent"
