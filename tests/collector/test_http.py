"""OTLP/HTTP on the wire: what the specification asks for, said by raw sockets, right and wrong."""

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator

import pytest
from backports import zstd
from faasight_collector import Collector, admit
from faasight_collector.exposition import Exposition
from google.rpc.status_pb2 import Status

from tests.collector.wire import Response, Wire, post

PROTOBUF, JSON = "application/x-protobuf", "application/json"
Journaled = Callable[[Collector, str], list[bytes]]
MakeTraces = Callable[..., bytes]
StartCollector = Callable[..., Collector]
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def wire(collector: Collector) -> Iterator[Wire]:
    """Connect to a collector."""
    with Wire(collector.http_address) as connection:
        yield connection


def say(collector: Collector, data: bytes) -> Response:
    with Wire(collector.http_address) as connection:
        connection.send(data)
        return connection.response()


def test_accepted_is_an_empty_protobuf_answer_and_the_record_is_on_disk(
    collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    body = make_traces(3)
    answer = say(collector, post("/v1/traces", body))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, PROTOBUF, b"")
    assert journaled(collector, "traces") == [body]


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
def test_json_is_answered_in_json(collector: Collector, path: str) -> None:
    answer = say(collector, post(path, b"{}", content_type="Application/JSON; charset=utf-8"))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, JSON, b"{}")


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
def test_an_empty_request_succeeds(collector: Collector, path: str, journaled: Journaled) -> None:
    assert say(collector, post(path, b"")).status == 200
    assert journaled(collector, path.removeprefix("/v1/")) == []


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstd.compress), ("identity", bytes)],
)
def test_every_compression(
    collector: Collector, make_traces: MakeTraces, journaled: Journaled, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = make_traces(50)
    assert say(collector, post("/v1/traces", pack(body), content_encoding=encoding)).status == 200
    assert journaled(collector, "traces") == [body]


def test_a_large_body_takes_the_way_aside_and_arrives_whole(
    collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    body = make_traces(20_000)
    assert len(body) > 1_000_000
    assert say(collector, post("/v1/traces", body)).status == 200
    assert journaled(collector, "traces") == [body]
    damaged = say(collector, post("/v1/traces", body[:-1]))
    assert damaged.status == 400


def test_a_body_that_is_large_only_when_unpacked_takes_the_way_aside(
    collector: Collector, journaled: Journaled, make_traces: MakeTraces, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    check = admit.otlp

    def watched(signal: str, media: str, body: bytes) -> bytes:
        threads.append(threading.current_thread().name)
        return check(signal, media, body)

    monkeypatch.setattr(admit, "otlp", watched)
    body = make_traces(1, name="x" * 1_000_000)
    packed = gzip.compress(body)
    assert len(packed) < 10_000
    assert say(collector, post("/v1/traces", packed, content_encoding="gzip")).status == 200
    assert journaled(collector, "traces") == [body]
    assert [name.startswith("faasight-unpack") for name in threads] == [True]


def test_chunked_bodies_are_put_together(
    wire: Wire, collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    body = make_traces(3)
    wire.send(post("/v1/traces", b"", content_length="", transfer_encoding="chunked"))
    for start in range(0, len(body), 7):
        piece = body[start : start + 7]
        wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    wire.send(b"0\r\n\r\n")
    assert wire.response().status == 200
    assert journaled(collector, "traces") == [body]


def test_one_byte_at_a_time(wire: Wire, collector: Collector, make_traces: MakeTraces, journaled: Journaled) -> None:
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = make_traces(1)
    for byte in post("/v1/traces", body):
        wire.send(bytes([byte]))
    assert wire.response().status == 200
    assert journaled(collector, "traces") == [body]


def test_a_connection_serves_many_requests(wire: Wire, make_traces: MakeTraces) -> None:
    for _ in range(20):
        wire.send(post("/v1/traces", make_traces()))
        assert wire.response().status == 200


def test_pipelined_requests_are_answered_in_order(wire: Wire, make_traces: MakeTraces) -> None:
    """An answer that must wait for the disk is not overtaken by one that need not."""
    asked = [
        post("/v1/traces", make_traces()),
        b"GET /healthz HTTP/1.1\r\n\r\n",
        post("/nowhere", b"{}"),
        post("/v1/logs", b""),
    ]
    wire.send(b"".join(asked * 40))
    assert [wire.response().status for _ in range(160)] == [200, 200, 404, 200] * 40


def test_connection_close_is_honoured(wire: Wire, make_traces: MakeTraces) -> None:
    wire.send(post("/v1/traces", make_traces(), connection="close"))
    answer = wire.response()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert wire.closed()


def test_http_1_0_is_answered_and_closed(wire: Wire, make_traces: MakeTraces) -> None:
    wire.send(post("/v1/traces", make_traces()).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    assert wire.response().status == 200
    assert wire.closed()


def test_a_half_closed_client_gets_its_answer(wire: Wire, make_traces: MakeTraces) -> None:
    wire.send(post("/v1/traces", make_traces()))
    wire.end()
    assert wire.response().status == 200
    assert wire.closed()


def test_a_client_that_goes_in_the_middle_disturbs_nobody(
    collector: Collector, make_traces: MakeTraces, eventually: Eventually, journaled: Journaled
) -> None:
    request = post("/v1/traces", make_traces(10))
    for cut in (1, 30, len(request) // 2, len(request) - 1):
        with Wire(collector.http_address) as gone:
            gone.send(request[:cut])
        with Wire(collector.http_address) as half:
            half.send(request[:cut])
            half.end()
            assert half.closed()
    assert say(collector, request).status == 200
    assert len(journaled(collector, "traces")) == 1


def test_expect_100_continue(wire: Wire, make_traces: MakeTraces) -> None:
    body = make_traces(5)
    head, _, rest = post("/v1/traces", body, expect="100-continue").partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.read_head() == b"HTTP/1.1 100 Continue"
    wire.send(rest)
    assert wire.response().status == 200


def test_expect_100_continue_is_refused_before_a_body_that_is_too_large(wire: Wire) -> None:
    wire.send(post("/v1/traces", b"", content_length="99999999", expect="100-continue"))
    assert wire.response().status == 413


def test_an_offer_of_http_2_is_ignored(
    wire: Wire, collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    """Java's client offers it with every first request; it goes on with HTTP/1.1."""
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAAQAAP__"}
    bodies = [make_traces(), make_traces(500), make_traces(), make_traces(300)]
    wire.send(b"".join(post("/v1/traces", body, **offer) for body in bodies))
    assert [wire.response().status for _ in bodies] == [200] * 4
    assert journaled(collector, "traces") == bodies
    wire.send(b"CONNECT elsewhere:80 HTTP/1.1\r\n\r\n")
    assert wire.response().status == 405


# -- refusals ---------------------------------------------------------------------------------------------------------

TRACES = "/v1/traces"
REFUSALS = [
    ("no protobuf", post(TRACES, b"\xff\xff\xff"), 400, 3),
    ("truncated gzip", post(TRACES, gzip.compress(b"x" * 99)[:-4], content_encoding="gzip"), 400, 3),
    ("not gzip at all", post(TRACES, b"plain", content_encoding="gzip"), 400, 3),
    ("unknown compression", post(TRACES, b"", content_encoding="br"), 415, 3),
    ("a gzip bomb", post(TRACES, gzip.compress(bytes(30 << 20)), content_encoding="gzip"), 413, 3),
    ("a zstd bomb", post(TRACES, zstd.compress(bytes(300 << 20)), content_encoding="zstd"), 413, 3),
    ("too large, said before", post(TRACES, b"", content_length=str(21 << 20)), 413, 3),
    ("unknown path", post("/v1/profiles", b""), 404, 5),
    ("wrong method", post(TRACES, b"").replace(b"POST", b"GET", 1), 405, 12),
    ("wrong method, no body", b"DELETE /v1/logs HTTP/1.1\r\ncontent-type: application/x-protobuf\r\n\r\n", 405, 12),
]


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_a_refusal_is_a_status_in_the_encoding_of_the_request(
    collector: Collector, request_bytes: bytes, status: int, code: int, journaled: Journaled
) -> None:
    answer = say(collector, request_bytes)
    assert (answer.status, answer.headers["content-type"]) == (status, PROTOBUF)
    said = Status.FromString(answer.body)
    assert said.code == code
    assert said.message
    assert "retry-after" not in answer.headers
    in_json = say(collector, request_bytes.replace(PROTOBUF.encode(), JSON.encode(), 1))
    assert (in_json.status, in_json.headers["content-type"]) == (status, JSON)
    assert json.loads(in_json.body)["code"] == code
    assert journaled(collector, "traces") == []


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "", "application/grpc", "json"])
def test_other_content_types_are_unsupported(collector: Collector, media: str) -> None:
    answer = say(collector, post(TRACES, b"{}", content_type=media))
    assert answer.status == 415
    assert "application/x-protobuf" in json.loads(answer.body)["message"]


def test_allowed_methods_and_encodings_are_named(collector: Collector) -> None:
    assert say(collector, b"PUT /v1/traces HTTP/1.1\r\n\r\n").headers["allow"] == "POST"
    assert say(collector, b"POST /metrics HTTP/1.1\r\n\r\n").headers["allow"] == "GET, HEAD"
    assert "zstd" in say(collector, post(TRACES, b"", content_encoding="br")).headers["accept-encoding"]


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),  # a TLS hello
    ],
)
def test_what_is_no_http_is_a_bad_request_and_closed(wire: Wire, data: bytes) -> None:
    wire.send(data)
    assert wire.response().status == 400
    assert wire.closed()


def test_endless_headers_are_refused(wire: Wire) -> None:
    wire.send(b"POST /v1/traces HTTP/1.1\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(40)))
    assert wire.response().status == 431


def test_a_chunked_body_beyond_the_limit_is_refused_while_it_is_sent(start_collector: StartCollector) -> None:
    collector = start_collector(max_body_bytes=100_000)
    with Wire(collector.http_address) as wire:
        wire.send(post(TRACES, b"", content_length="", transfer_encoding="chunked"))
        for _ in range(20):
            wire.send(b"%x\r\n%s\r\n" % (10_000, b"x" * 10_000))
        assert wire.response().status == 413


def test_the_answer_to_a_body_that_is_too_large_arrives_while_the_client_still_sends(collector: Collector) -> None:
    """Closing at once would reset the connection, and the client would see a network error instead of 413."""
    with Wire(collector.http_address) as wire:
        wire.send(post(TRACES, b"", content_length=str(64 << 20)))
        for _ in range(64):
            wire.send(bytes(1 << 16))
        assert wire.response().status == 413


def test_bodies_in_memory_are_bounded_over_all_connections(
    start_collector: StartCollector, make_traces: MakeTraces
) -> None:
    collector = start_collector(max_buffered_bytes=300_000)
    held = [Wire(collector.http_address) for _ in range(3)]
    answers = []
    for wire in held:
        wire.send(post(TRACES, b"", content_length="200000") + bytes(150_000))
    with Wire(collector.http_address) as wire:
        wire.send(post(TRACES, b"", content_length="200000") + bytes(150_000))
        answers.append(wire.response())
    assert answers[0].status == 503
    assert int(answers[0].headers["retry-after"]) >= 1
    for wire in held:
        wire.socket.close()


def test_memory_is_given_back_when_connections_end(
    start_collector: StartCollector, eventually: Eventually, make_traces: MakeTraces
) -> None:
    collector = start_collector(max_buffered_bytes=300_000)
    for _ in range(10):
        with Wire(collector.http_address) as wire:
            wire.send(post(TRACES, b"", content_length="200000") + bytes(150_000))
        eventually(lambda: say(collector, post(TRACES, make_traces(1000))).status == 200)


def test_a_full_journal_answers_503_with_retry_after(start_collector: StartCollector, make_traces: MakeTraces) -> None:
    collector = start_collector(journal_budget_bytes=200_000)
    answers = [say(collector, post(TRACES, make_traces(300))) for _ in range(20)]
    assert [answer.status for answer in answers] == sorted(answer.status for answer in answers)
    assert answers[-1].status == 503
    assert int(answers[-1].headers["retry-after"]) > 0
    assert Status.FromString(answers[-1].body).code == 14
    ready = say(collector, b"GET /readyz HTTP/1.1\r\n\r\n")
    assert (ready.status, json.loads(ready.body)["ready"]) == (503, False)
    assert say(collector, b"GET /healthz HTTP/1.1\r\n\r\n").status == 200


def test_a_slow_request_is_ended_and_others_are_not(start_collector: StartCollector, make_traces: MakeTraces) -> None:
    collector = start_collector(request_timeout_s=0.5)
    with Wire(collector.http_address) as slow:
        slow.send(post(TRACES, make_traces())[:-5])
        assert say(collector, post(TRACES, make_traces())).status == 200
        assert slow.response().status == 408
        assert slow.closed()


def test_an_idle_connection_is_closed(start_collector: StartCollector) -> None:
    collector = start_collector(idle_timeout_s=0.2)
    with Wire(collector.http_address) as idle:
        assert idle.closed()


def test_hundreds_of_silent_connections_disturb_nobody(collector: Collector, make_traces: MakeTraces) -> None:
    silent = [Wire(collector.http_address) for _ in range(300)]
    for wire in silent[::2]:
        wire.send(b"POST /v1/traces HTTP/1.1\r\ncontent-le")
    assert say(collector, post(TRACES, make_traces())).status == 200
    for wire in silent:
        wire.socket.close()


def test_a_client_that_reads_no_answers_is_not_read_further(collector: Collector, make_traces: MakeTraces) -> None:
    """Its answers wait in a bounded place; others go on."""
    with Wire(collector.http_address) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100 << 20:
                sent += deaf.socket.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 500)
        assert say(collector, post(TRACES, make_traces())).status == 200


# -- pages ------------------------------------------------------------------------------------------------------------


def test_pages(collector: Collector, make_traces: MakeTraces) -> None:
    say(collector, post(TRACES, make_traces()))
    say(collector, post(TRACES, b"\xff"))
    assert say(collector, b"GET /healthz?x=1 HTTP/1.1\r\n\r\n").body == b"ok\n"
    assert json.loads(say(collector, b"GET /readyz HTTP/1.1\r\n\r\n").body)["ready"] is True
    text = say(collector, b"GET /metrics HTTP/1.1\r\n\r\n").body.decode()
    assert 'faasight_collector_accepted_requests_total{signal="traces"} 1.0' in text
    assert 'faasight_collector_rejected_requests_total{reason="corrupt_protobuf",signal="traces"} 1.0' in text


def test_a_page_that_fails_is_answered_and_the_connection_goes_on(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Exposition, "text", lambda _: [][0])
        wire.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert wire.response().status == 500
    wire.send(b"GET /metrics HTTP/1.1\r\n\r\n")
    answer = wire.response()
    assert (answer.status, b'reason="internal"' in answer.body) == (200, True)


def test_head_has_no_body(wire: Wire) -> None:
    for _ in range(2):
        wire.send(b"HEAD /healthz HTTP/1.1\r\n\r\n")
        assert wire.read_head().startswith(b"HTTP/1.1 200 OK")
