"""Connections that are many, slow, half-closed, silent or greedy: others are served meanwhile, and nothing grows."""

import contextlib
import gzip
import json
import resource
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from faasight_collector import Collector, TlsFiles
from faasight_collector.receive import accept, connection, files, http, readers

from tests.collector.wire import Response, Wire, post
from tests.support.certificates import Authority

TRACES = "/v1/traces"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
StartCollector = Callable[..., Collector]
MakeTraces = Callable[..., bytes]
Journaled = Callable[[Collector, str], list[bytes]]
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what happens once a second happen more often."""
    monkeypatch.setattr(http, "_SWEEP_S", 0.1)
    monkeypatch.setattr(accept, "_SETTLED_S", 0.3)
    monkeypatch.setattr(readers, "_SETTLED_S", 0.3)


def say(address: str, data: bytes) -> Response:
    with Wire(address) as wire:
        wire.send(data)
        return wire.response()


@contextlib.contextmanager
def crowd(address: str, number: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open so many connections, each with these first bytes."""
    host, _, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(number):
            one = stack.enter_context(socket.create_connection((host, int(port)), timeout=180))
            if first:
                one.sendall(first)
            found.append(one)
        yield found


def ended(connections: list[socket.socket]) -> int:
    """Count those that the server has closed."""
    number = 0
    for one in connections:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            try:
                number += one.recv(4096) == b""
            except ConnectionResetError:
                number += 1
    return number


# -- many ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"", b"POST /v1/traces HTTP/1.1\r\ncontent-le", post(TRACES, b"")[:-2]])
def test_when_all_places_are_taken_those_of_no_use_for_longest_give_way(
    start_collector: StartCollector, make_traces: MakeTraces, first: bytes
) -> None:
    """Idle ones and slow senders alike; whoever sends whole requests comes in and stays."""
    collector = start_collector(max_connections=50)
    with Wire(collector.http_address) as regular:
        regular.send(post(TRACES, make_traces()))
        assert regular.response().status == 200
        with crowd(collector.http_address, 60, first) as silent:
            for _ in range(5):
                assert say(collector.http_address, post(TRACES, make_traces())).status == 200
            assert 0 < ended(silent) < 40, "no more of them than were in the way"
    text = say(collector.http_address, b"GET /metrics HTTP/1.1\r\n\r\n").body.decode()
    assert 'faasight_collector_connections_ended_total{reason="no_place"}' in text


def test_a_client_that_is_owed_an_answer_does_not_give_way(
    start_collector: StartCollector, make_traces: MakeTraces
) -> None:
    collector = start_collector(max_connections=10, commit_window_s=1.5)
    with Wire(collector.http_address) as waiting:
        waiting.send(post(TRACES, make_traces()))
        with crowd(collector.http_address, 30):
            assert waiting.response().status == 200


def test_without_files_left_it_neither_spins_nor_stops(tmp_path: Path, make_traces: MakeTraces) -> None:
    """A process of its own with a low limit of open files (EMFILE), and more connections than that."""
    code = """
        import resource, sys
        resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))
        from pathlib import Path
        from faasight_collector import Collector, Settings
        from faasight_collector.receive import accept, connection, files, http, readers
        files.places = lambda wanted: wanted  # as if nothing had been kept back for others
        from tests.collector.conftest import StoreAway
        collector = Collector(Settings(journal_dir=Path(sys.argv[1]), http_port=0, grpc_port=None), StoreAway())
        collector.start()
        print("ready", collector.http_address, flush=True)
        sys.stdin.read()
        collector.stop()
    """
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "journal")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("ready"))
        threading.Thread(target=process.stdout.read, daemon=True).start()
        address = line.split()[1]
        try:
            with crowd(address, 300):
                for _ in range(3):
                    assert say(address, post(TRACES, make_traces())).status == 200
                before = psutil.Process(process.pid).cpu_times()
                with crowd(address, 100):
                    assert say(address, b"GET /healthz HTTP/1.1\r\n\r\n").status == 200
                after = psutil.Process(process.pid).cpu_times()
                assert after.user + after.system - before.user - before.system < 5, "it waits, and does not spin"
            assert say(address, post(TRACES, make_traces())).status == 200
        finally:
            process.stdin.close()
            process.wait(180)


def test_the_soft_limit_of_files_is_raised_and_the_hard_one_stays() -> None:
    code = """
        import resource
        from faasight_collector.receive import accept, connection, files, http, readers
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 2000))
        print(files.places(500), resource.getrlimit(resource.RLIMIT_NOFILE))
        print(files.places(10_000), resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    first, *_, last = [line for line in done.stdout.splitlines() if line[0].isdigit()]
    assert first == "500 (756, 2000)"
    assert last == "1600 (2000, 2000)"
    assert "raise the limit of open files" in done.stdout


def test_places_are_not_more_than_asked_for() -> None:
    assert files.places(10) == 10
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 10


# -- slow ------------------------------------------------------------------------------------------------------------


def test_headers_that_never_end_are_ended_and_whole_requests_are_not(
    start_collector: StartCollector, make_traces: MakeTraces
) -> None:
    collector = start_collector(header_timeout_s=2, request_timeout_s=60)
    body = make_traces(10)
    with Wire(collector.http_address) as slow_head, Wire(collector.http_address) as slow_body:
        slow_head.send(b"POST /v1/traces HTTP/1.1\r\n")
        slow_body.send(post(TRACES, body)[:-5])
        assert slow_head.response().status == 408
        assert slow_head.closed()
        slow_body.send(body[-5:])
        assert slow_body.response().status == 200


def test_a_body_that_does_not_come_is_given_up_and_one_that_comes_is_waited_for(
    start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually
) -> None:
    """Both are over the time at first; one of them has sent what takes a slow line that long."""
    collector = start_collector(request_timeout_s=0.1)
    body = make_traces(20_000)
    with Wire(collector.http_address) as slow, Wire(collector.http_address) as silent:
        slow.send(post(TRACES, body)[:-5])
        silent.send(post(TRACES, body)[: len(body) // 100])
        assert silent.response().status == 408
        slow.send(body[-5:])
        assert slow.response().status == 200


def test_drops_of_nothing_do_not_keep_a_connection(start_collector: StartCollector) -> None:
    """Empty lines before a request are allowed, and are no request."""
    collector = start_collector(idle_timeout_s=0.5)
    with Wire(collector.http_address) as wire:
        wire.socket.settimeout(0.05)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                wire.send(b"\r\n")
                with contextlib.suppress(TimeoutError):
                    if wire.socket.recv(1) == b"":
                        raise ConnectionResetError


def test_a_tls_handshake_that_never_ends_is_ended_and_others_come_in(
    start_collector: StartCollector, tmp_path: Path, make_traces: MakeTraces
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("collector")
    collector = start_collector(
        tls=TlsFiles(certificate=pair.certificate, key=pair.key), max_connections=20, handshake_timeout_s=60
    )
    context = ssl.create_default_context(cafile=str(authority.ca))
    host, port = collector.http_address.split(":")
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # the beginning of one
    with crowd(collector.http_address, 30, hello) as stuck:
        with (
            socket.create_connection((host, int(port)), timeout=180) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            wrapped.sendall(post(TRACES, make_traces()))
            assert wrapped.recv(100).startswith(b"HTTP/1.1 200")
        assert ended(stuck) > 0
    short = start_collector(
        journal_dir=tmp_path / "other",
        tls=TlsFiles(certificate=pair.certificate, key=pair.key),
        handshake_timeout_s=0.3,
    )
    for address in (short.http_address, short.grpc_address):
        with Wire(address) as wire:
            wire.send(hello)
            assert wire.closed()


def test_the_answer_to_a_body_that_is_too_large_arrives_over_tls_too(
    start_collector: StartCollector, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("collector")
    collector = start_collector(tls=TlsFiles(certificate=pair.certificate, key=pair.key))
    context = ssl.create_default_context(cafile=str(authority.ca))
    host, port = collector.http_address.split(":")
    with (
        socket.create_connection((host, int(port)), timeout=180) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        wrapped.sendall(post(TRACES, b"", content_length=str(64 << 20)))
        for _ in range(64):
            wrapped.sendall(bytes(1 << 16))
        assert wrapped.recv(100).startswith(b"HTTP/1.1 413")


# -- greedy ----------------------------------------------------------------------------------------------------------


def test_large_bodies_leave_room_for_small_ones(start_collector: StartCollector, make_traces: MakeTraces) -> None:
    """Those that were let in are taken to their end; the others hear at once when to come."""
    size = 1_000_000
    collector = start_collector(max_buffered_bytes=4 * size)
    announced = post(TRACES, b"", content_length=str(size))
    with crowd(collector.http_address, 3, announced + bytes(10)) as let_in:
        refused = say(collector.http_address, announced)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        for _ in range(10):
            assert say(collector.http_address, post(TRACES, make_traces())).status == 200
        for one in let_in:
            one.sendall(bytes(size - 10))
            assert one.recv(100).startswith(b"HTTP/1.1 400"), "read to its end; zeros are no protobuf"
    assert say(collector.http_address, post(TRACES, make_traces(5000))).status == 200


def test_a_refused_client_that_does_not_go_is_left(
    start_collector: StartCollector, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_LINGER_S", 0.1)
    collector = start_collector()
    with crowd(collector.http_address, 5, post(TRACES, b"", content_length=str(1 << 30))) as refused:
        assert all(one.recv(100).startswith(b"HTTP/1.1 413") for one in refused)
        eventually(lambda: "faasight_collector_connections 1.0" in _metrics(collector))


def test_many_of_the_largest_bodies_at_once(
    start_collector: StartCollector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    """Each is stored whole or refused with 503; memory does not follow their number."""
    collector = start_collector(max_buffered_bytes=64 << 20)
    body = make_traces(1, name="x" * (20 << 20))[: 20 << 20]
    bodies = [make_traces(1, name="x" * (19 << 20)) for _ in range(4)]
    statuses: list[int] = []

    def send(each: bytes) -> None:
        statuses.append(say(collector.http_address, post(TRACES, each)).status)

    threads = [threading.Thread(target=send, args=(each,)) for each in (*bodies, body, body)]
    for thread in threads:
        thread.start()
    assert say(collector.http_address, post(TRACES, make_traces())).status == 200
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 400, 503}
    stored = [payload for payload in journaled(collector, "traces") if len(payload) > 1000]
    assert len(stored) == statuses.count(200) >= 1
    assert set(stored) <= set(bodies)


def test_gzip_bombs_at_once(collector: Collector, make_traces: MakeTraces) -> None:
    bomb = post(TRACES, gzip.compress(bytes(200 << 20)), content_encoding="gzip")
    with crowd(collector.http_address, 5, bomb) as bombs:
        assert say(collector.http_address, post(TRACES, make_traces())).status == 200
        for one in bombs:
            assert one.recv(100).startswith(b"HTTP/1.1 413")


def test_a_gzip_bomb_over_grpc(collector: Collector) -> None:
    with grpc.insecure_channel(collector.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(EXPORT)(bytes(100 << 20), timeout=180, compression=grpc.Compression.Gzip)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in refused.value.details()


@pytest.mark.parametrize(
    ("path", "media", "body"),
    [
        (TRACES, "application/json", b'{"resourceSpans":' * 50_000),
        (TRACES, "application/json", b"[" * 200_000),
        ("/v1/json-logs", "application/json", b'[{"a":' + b"[" * 200_000),
        ("/v1/json-logs", "application/json", b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        ("/v1/aws/telemetry", "application/json", b"[" * 100_000 + b"]" * 100_000),
    ],
)
def test_deep_nesting_is_bad_data(
    collector: Collector, make_traces: MakeTraces, path: str, media: str, body: bytes
) -> None:
    answer = say(collector.http_address, post(path, body, content_type=media))
    assert answer.status in {400, 413}
    assert json.loads(answer.body)["code"] == 3
    assert say(collector.http_address, post(TRACES, make_traces())).status == 200


def test_deeply_nested_protobuf_is_bad_data(collector: Collector) -> None:
    """An attribute's value is a list in a list in a list."""
    value = b"\x0a\x01x"
    for _ in range(5000):
        inner = b"\x0a" + _varint(len(value)) + value
        value = b"\x2a" + _varint(len(inner)) + inner
    pair = b"\x0a\x01k\x12" + _varint(len(value)) + value
    resource_ = b"\x0a" + _varint(len(pair)) + pair
    spans = b"\x0a" + _varint(len(resource_)) + resource_
    body = b"\x0a" + _varint(len(spans)) + spans
    assert say(collector.http_address, post(TRACES, body)).status == 400
    with grpc.insecure_channel(collector.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(EXPORT)(body, timeout=180)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


# -- half-closed -----------------------------------------------------------------------------------------------------


def test_a_client_that_has_said_all_gets_its_answers(
    collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    bodies = [make_traces() for _ in range(3)]
    with Wire(collector.http_address) as wire:
        wire.send(b"".join(post(TRACES, body) for body in bodies))
        wire.end()
        assert [wire.response().status for _ in bodies] == [200] * 3
        assert wire.closed()
    assert journaled(collector, "traces") == bodies


def test_half_closed_connections_are_let_go(start_collector: StartCollector, eventually: Eventually) -> None:
    collector = start_collector(max_connections=100)
    with crowd(collector.http_address, 80, post(TRACES, b"xx")[:-1]) as half:
        for one in half:
            one.shutdown(socket.SHUT_WR)
        eventually(lambda: "faasight_collector_connections 1.0" in _metrics(collector))


def _metrics(collector: Collector) -> str:
    return say(collector.http_address, b"GET /metrics HTTP/1.1\r\n\r\n").body.decode()


# -- gRPC ------------------------------------------------------------------------------------------------------------


def test_grpc_connections_are_bounded_and_places_come_back(
    start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually
) -> None:
    collector = start_collector(max_grpc_connections=5)

    def works() -> bool:
        with grpc.insecure_channel(collector.grpc_address) as channel:
            try:
                return channel.unary_unary(EXPORT)(b"", timeout=20) == b""
            except grpc.RpcError:
                return False

    assert works()
    with crowd(collector.grpc_address, 20):
        assert say(collector.http_address, post(TRACES, make_traces())).status == 200
    eventually(works)
