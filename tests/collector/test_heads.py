"""Heads of before: what is not parsed again is read as the parser reads it, however it is cut."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from faasight_collector import Collector, Settings
from faasight_collector.access.control import Access
from faasight_collector.intake import Intake
from faasight_collector.receive.answers import ACCEPTED
from faasight_collector.receive.connection import Connection, Shared
from faasight_collector.receive.heads import Head, Heads, head_of
from faasight_collector.receive.routes import Reply, Request, Routes, otlp_door
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tests.collector.keyring import Keyring, bearer
from tests.collector.wire import Wire, post

MakeTraces = Callable[..., bytes]
Journaled = Callable[[Collector, str], list[bytes]]
StartCollector = Callable[..., Collector]

HEADERS = {b"host": b"test", b"content-type": b"application/x-protobuf", b"content-length": b"3"}


def learned(raw: bytes, headers: dict[bytes, bytes] | None = None) -> Head | None:
    return Heads().learn(raw, b"/v1/traces", HEADERS if headers is None else headers)


def test_a_head_fits_whatever_the_length() -> None:
    head = learned(head_of(post("/v1/traces", b"abc")))
    assert head is not None
    for size in (0, 1, 999_999_999):
        start, length = head.fit(post("/v1/traces", b"", content_length=str(size)) + b"rest") or (0, -1)
        assert (start, length) == (len(post("/v1/traces", b"", content_length=str(size))), size)


@pytest.mark.parametrize("length", ["", "+3", "-3", " 3 4", "0x3", "1_0", "3,3", "1234567890", "\u0663"])
def test_a_length_that_is_not_just_digits_is_the_parsers(length: str) -> None:
    head = learned(head_of(post("/v1/traces", b"abc")))
    assert head is not None
    data = post("/v1/traces", b"abc").replace(b"content-length: 3", b"content-length: " + length.encode())
    assert head.fit(data) is None


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_head_that_is_cut_is_the_parsers(cut: int) -> None:
    raw = head_of(post("/v1/traces", b"abc"))
    head = learned(raw)
    assert head is not None
    assert head.fit(raw[: min(cut, len(raw) - 1)]) is None


@pytest.mark.parametrize(
    "change",
    [
        (b"POST", b"PUT"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"content-length: 3\r\n", b"content-length: 3\r\ncontent-length: 3\r\n"),
        (b"content-length: 3\r\n", b""),
        (b"host: test", b"host: test\nx: y"),
        (b"host: test", b"host: content-length"),
    ],
)
def test_a_head_that_may_be_read_otherwise_is_not_remembered(change: tuple[bytes, bytes]) -> None:
    assert learned(head_of(post("/v1/traces", b"abc")).replace(*change)) is None


@pytest.mark.parametrize("name", [b"transfer-encoding", b"expect", b"origin", b"upgrade", b"trailer"])
def test_a_head_with_more_to_it_is_not_remembered(name: bytes) -> None:
    assert learned(head_of(post("/v1/traces", b"abc")), {**HEADERS, name: b"x"}) is None


def test_what_is_remembered_is_bounded() -> None:
    heads = Heads()
    raws = [head_of(post("/v1/traces", b"abc", x_n=str(n))) for n in range(200)]
    for raw in raws:
        assert heads.learn(raw, b"/v1/traces", HEADERS) is not None
    assert heads.find(raws[-1]) is not None
    assert sum(heads.find(raw) is not None for raw in raws) <= 64
    assert head_of(post("/v1/traces", b"abc", x_long="x" * 5000)) == b""


# -- a connection that remembers, beside one that does not ------------------------------------------------------------


class Forgetful(Heads):
    """Learns nothing, so that the parser reads everything."""

    def learn(self, *_: object) -> None:
        """Forget."""


class Told(Routes):
    """Routes that write down what they are given, and answer at once."""

    def __init__(self) -> None:
        with ThreadPoolExecutor(1) as never:
            doors = {b"/v1/traces": otlp_door("traces"), b"/v1/logs": otlp_door("logs")}
            access = Access.of(Settings(journal_dir=cast(None, None)))  # type: ignore[arg-type]  # it has no files
            super().__init__(doors, {}, cast(Intake, Uncounted()), never, never, max_body=50, access=access)
        self.told: list[object] = []

    def handle(self, request: Request, reply: Reply) -> None:
        """Write a request down, and accept it."""
        headers = {name: value for name, value in request.headers.items() if name != b"content-length"}
        self.told.append((request.method, request.path, headers, request.body, request.door and request.door.signal))
        reply(ACCEPTED["application/x-protobuf"])


class Uncounted:
    """An intake of which nothing is asked but to count."""

    def refused(self, *_: object) -> None:
        """Count nothing."""


class Line:
    """What a connection writes to."""

    def __init__(self) -> None:
        self.said = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        """Take an answer."""
        self.said += data

    def close(self) -> None:
        """End."""
        self.closed = True

    abort = write_eof = pause_reading = resume_reading = lambda _: None

    def can_write_eof(self) -> bool:
        """As TCP does."""
        return True


def hear(pieces: list[bytes], heads: Heads) -> tuple[list[object], bytes, bool, int, bool]:
    """Return what a connection made of what came in these pieces."""

    async def run() -> tuple[list[object], bytes, bool, int, bool]:
        told, line = Told(), Line()
        settings = Settings(journal_dir=cast(None, None), max_body_bytes=50)  # type: ignore[arg-type]  # not used
        shared = Shared(settings, told, lambda _: None, 1, heads=heads)
        shared.renew(b"date: now\r\n")
        connection = Connection(shared, asyncio.get_running_loop())
        connection.connection_made(cast(asyncio.Transport, line))
        for piece in pieces:
            if not line.closed:
                connection.data_received(piece)
            for _ in range(20):  # what is left of a read with several requests comes in later turns of the loop
                await asyncio.sleep(0)
        kept = shared.buffered
        connection.connection_lost(None)
        return told.told, line.said, line.closed, kept, shared.buffered == 0

    return asyncio.run(run())


def _requests() -> st.SearchStrategy[bytes]:
    bodies = st.sampled_from(
        [b"", b"a", b"12345", b"x" * 49, b"x" * 50, b"x" * 51, b"POST /v1/traces HTTP/1.1\r\n\r\n"]
    )
    paths = st.sampled_from(["/v1/traces", "/v1/traces", "/v1/traces?a=b", "/v1/logs", "/nowhere"])
    more = st.sampled_from(
        [{}, {}, {}, {"x_other": "1"}, {"connection": "close"}, {"expect": "100-continue"}, {"origin": "http://x"}]
        + [{"content_length": length} for length in ("7", "1x", "03", "99999999999")]
    )
    return st.builds(lambda path, body, more: post(path, body, **more), paths, bodies, more)


@effort(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(_requests(), min_size=1, max_size=6), st.lists(st.integers(1, 250), max_size=12), st.booleans())
def test_nothing_is_read_otherwise_than_by_the_parser(requests: list[bytes], cuts: list[int], whole: bool) -> None:
    heads = Heads()
    hear([post("/v1/traces", b"abc"), post("/v1/logs", b"abc")], heads)  # it knows some from the start
    assert heads.find(post("/v1/traces", b"")) is not None
    pieces = list(requests) if whole else list(_cut(b"".join(requests), cuts))
    assert hear(pieces, heads) == hear(pieces, Forgetful())


def _cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        if data:
            yield data[:size]
        data = data[size:]
    if data:
        yield data


# -- the real server --------------------------------------------------------------------------------------------------


def test_requests_with_one_head_arrive_whole_each(
    collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    bodies = [make_traces(number) for number in (1, 5, 300, 2, 9_000, 1)]
    assert len(bodies[4]) > 256 * 1024
    with Wire(collector.http_address) as one, Wire(collector.http_address) as other:
        for body in bodies:
            one.send(post("/v1/traces", body))
            assert one.response().status == 200
        again = [make_traces(1), make_traces(2)]
        for body in again:  # another connection of the same kind
            other.send(post("/v1/traces", body))
            assert other.response().status == 200
    assert journaled(collector, "traces") == bodies + again


def test_a_known_head_with_a_body_that_is_wrong_is_refused_and_the_connection_goes_on(
    collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    good = make_traces(2)
    with Wire(collector.http_address) as wire:
        statuses = []
        for body in (good, good[:-1], make_traces(1), b"\xff", make_traces(1)):
            wire.send(post("/v1/traces", body))
            statuses.append(wire.response().status)
    assert statuses == [200, 400, 200, 400, 200]
    assert len(journaled(collector, "traces")) == 3


def test_a_known_head_that_announces_too_much_is_refused_before_its_body(
    start_collector: StartCollector, make_traces: MakeTraces
) -> None:
    collector = start_collector(max_body_bytes=10_000)
    with Wire(collector.http_address) as wire:
        wire.send(post("/v1/traces", make_traces(1)))
        assert wire.response().status == 200
        wire.send(post("/v1/traces", b"", content_length="10001"))
        assert wire.response().status == 413
        assert wire.closed()


def test_a_known_head_with_a_token_that_was_revoked_is_refused(
    start_collector: StartCollector, make_traces: MakeTraces, settings: Settings, eventually: Callable[..., None]
) -> None:
    keyring = Keyring(settings.journal_dir.parent / "tokens.json")
    head = bearer(keyring.add("shop"))
    collector = start_collector(tokens=keyring.path)
    statuses: list[int] = []

    def send() -> int:
        wire.send(post("/v1/traces", make_traces(1), **head))
        statuses.append(wire.response().status)
        return statuses[-1]

    with Wire(collector.http_address) as wire:
        assert [send(), send(), send()] == [200, 200, 200]
        keyring.drop("shop")
        eventually(lambda: send() == 401)
    assert sorted(statuses) == statuses


def test_a_body_of_a_known_head_that_stops_half_way_is_ended(
    start_collector: StartCollector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    collector = start_collector(request_timeout_s=0.5)
    body = make_traces(50)
    with Wire(collector.http_address) as wire:
        wire.send(post("/v1/traces", body))
        assert wire.response().status == 200
        wire.send(post("/v1/traces", make_traces(50))[:-100])
        assert wire.response().status == 408
        assert wire.closed()
    with Wire(collector.http_address) as wire:
        wire.send(post("/v1/traces", body)[:-100])
    assert journaled(collector, "traces") == [body]
