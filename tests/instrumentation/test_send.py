"""Answers of collectors, parsed byte by byte; host names under a deadline."""

import _socket
import socket
import time

import pytest
from faasight.send import Answer, Connection, GarbageError, Resolver, parse_answer
from hypothesis import given, settings
from hypothesis import strategies as st

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("data", "status", "close"),
    [
        (OK, 200, False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, False),
        (b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 503, True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, True),
        (b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, True),
    ],
)
def test_a_complete_answer(data: bytes, status: int, close: bool) -> None:
    answer = parse_answer(bytearray(data))
    assert answer is not None
    assert (answer.status, answer.close, answer.size) == (status, close, len(data))


def test_of_two_answers_the_first_is_taken() -> None:
    answer = parse_answer(bytearray(OK + OK))
    assert answer is not None
    assert answer.size == len(OK)


def test_an_interim_answer_is_skipped() -> None:
    data = bytearray(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    answer = parse_answer(data)
    assert answer is not None
    assert (answer.status, data) == (200, OK)


@pytest.mark.parametrize(
    "data", [OK, b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"], ids=["length", "chunked"]
)
def test_each_part_of_an_answer_is_incomplete(data: bytes) -> None:
    assert [parse_answer(bytearray(data[:end])) for end in range(len(data))] == [None] * len(data)
    assert isinstance(parse_answer(bytearray(data)), Answer)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 xyz\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
    ],
)
def test_garbage_is_told_apart(data: bytes) -> None:
    with pytest.raises(GarbageError):
        parse_answer(bytearray(data))


def test_retry_after_is_read() -> None:
    answer = parse_answer(bytearray(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"))
    assert answer is not None
    assert answer.retry_after == 7.0


def test_numbers_need_no_look_up() -> None:
    resolve = Resolver()
    assert resolve("127.0.0.1", 80, 0.0) == [(_socket.AF_INET, ("127.0.0.1", 80))]
    assert resolve("::1", 80, 0.0) == [(_socket.AF_INET6, ("::1", 80))]


def test_a_name_is_looked_up_once() -> None:
    resolve = Resolver()
    found = resolve("localhost", 80, time.monotonic() + 10)
    assert {address for _, (address, _) in found} & {"127.0.0.1", "::1"}
    assert resolve("localhost", 80, 0.0) == found, "remembered: no time is needed"


def test_a_name_server_that_hangs_costs_no_more_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    release = threading.Event()
    monkeypatch.setattr(_socket, "getaddrinfo", lambda *_: release.wait(180) and [])
    with pytest.raises(TimeoutError):
        Resolver()("collector.internal", 4318, time.monotonic() + 0.05)
    release.set()


def test_a_header_cannot_be_smuggled_in_by_a_setting() -> None:
    connection = Connection("http://127.0.0.1:1", {"a": "b\r\nX-Evil: 1"}, Resolver())
    assert "Evil" not in connection._head


def test_a_body_has_one_deadline_however_many_writes_it_takes() -> None:
    """TLS writes record by record: a collector that takes each just in time must not get the limit for each."""

    class Slow:
        def __init__(self) -> None:
            self.timeouts: list[float] = []

        def settimeout(self, seconds: float) -> None:
            self.timeouts.append(seconds)

        def send(self, data: memoryview) -> int:
            time.sleep(0.02)
            return min(len(data), 16)

        def sendall(self, data: bytes) -> None:
            """Do as `ssl.SSLSocket.sendall` does."""
            view = memoryview(data)
            while view:
                view = view[self.send(view) :]

    connection = Connection("http://127.0.0.1:4318", {}, Resolver())
    connection._socket = slow = Slow()  # type: ignore[assignment]  # it stands for a socket
    with pytest.raises(TimeoutError):
        connection.send("/v1/traces", b"x" * 4_096, time.monotonic() + 0.1)
    assert slow.timeouts == sorted(slow.timeouts, reverse=True)


ANSWERS = [
    OK,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(ANSWERS), max_size=8), st.lists(st.integers(1, 60), max_size=12))
def test_answers_are_the_same_however_they_are_cut(answers: list[bytes], cuts: list[int]) -> None:
    """An answer like the one before is not parsed again: what comes out must not depend on that."""
    connection = Connection("http://127.0.0.1:4318", {}, Resolver())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection._socket = ours
        rest, got = b"".join(answers), []
        for cut in [*cuts, len(rest)]:
            theirs.sendall(rest[:cut])
            rest = rest[cut:]
            while (answer := connection.read()) is not None:
                got.append((answer.status, answer.retry_after))
        connection.close()
    assert got == [(a.status, a.retry_after) for a in (parse_answer(bytearray(data)) for data in answers) if a]
