"""Tokens, rate limits and web pages on the wire: both doors, with raw sockets and with the official exporters."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from faasight_collector import AddressError, Collector
from faasight_collector.receive import http
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.collector.keyring import Keyring, bearer
from tests.collector.wire import Response, Wire, post

TRACES = "/v1/traces"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
DOORS = ["/v1/traces", "/v1/logs", "/v1/metrics", "/v1/json-logs", "/v1/aws/telemetry", "/v1/aws/logs"]
PAGE = "https://app.example.com"
Journaled = Callable[[Collector, str], list[bytes]]
MakeTraces = Callable[..., bytes]
StartCollector = Callable[..., Collector]
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what happens once a second happen more often."""
    monkeypatch.setattr(http, "_SWEEP_S", 0.1)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "tokens.json")


@pytest.fixture
def guarded(start_collector: StartCollector, keyring: Keyring) -> Collector:
    """Start a collector that asks for tokens."""
    return start_collector(tokens=keyring.path, report_every_s=0.1)


def say(collector: Collector, data: bytes) -> Response:
    with Wire(collector.http_address) as wire:
        wire.send(data)
        return wire.response()


def get(collector: Collector, path: str, **headers: str) -> Response:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return say(collector, f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())


def accepts(collector: Collector, secret: str) -> bool:
    return say(collector, post(TRACES, b"", **bearer(secret))).status == 200


def call(collector: Collector, body: bytes, secret: str = "") -> bytes:
    metadata = tuple(bearer(secret).items()) if secret else ()
    with grpc.insecure_channel(collector.grpc_address) as channel:
        answer: bytes = channel.unary_unary(EXPORT)(body, timeout=180, metadata=metadata)
        return answer


def refused_call(collector: Collector, body: bytes, secret: str = "") -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        call(collector, body, secret)
    return refused.value


# -- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOORS)
def test_every_door_asks_for_a_token(guarded: Collector, path: str, journaled: Journaled) -> None:
    for headers in ({}, bearer("faasight_wrong"), {"authorization": "Basic eDp5"}):
        answer = say(guarded, post(path, b'[{"message": "hello"}]', content_type="application/json", **headers))
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="faasight"')
        assert json.loads(answer.body)["code"] == 16
    assert journaled(guarded, "records") == []


def test_firehose_shows_it_as_its_access_key_and_is_answered_as_it_wants(
    guarded: Collector, keyring: Keyring, eventually: Eventually
) -> None:
    secret = keyring.add("firehose")
    request_id = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"
    body = json.dumps({"requestId": request_id, "timestamp": 1578090901599, "records": []}).encode()
    headers = {
        "content_type": "application/json",
        "x_amz_firehose_protocol_version": "1.0",
        "x_amz_firehose_request_id": request_id,
    }

    def deliver(key: str) -> Response:
        return say(guarded, post("/v1/aws/firehose", body, x_amz_firehose_access_key=key, **headers))

    eventually(lambda: deliver(secret).status == 200)
    refused = deliver(secret[:-1])
    assert refused.status == 401
    said = json.loads(refused.body)
    assert said["requestId"] == request_id
    assert "not known" in said["errorMessage"]
    assert secret[:-1] not in said["errorMessage"]


def test_a_refusal_is_a_status_in_protobuf_too(guarded: Collector) -> None:
    answer = say(guarded, post(TRACES, b""))
    assert (answer.status, answer.headers["content-type"]) == (401, "application/x-protobuf")
    assert Status.FromString(answer.body).code == 16


def test_a_token_opens_both_doors(
    guarded: Collector, keyring: Keyring, make_traces: MakeTraces, journaled: Journaled, eventually: Eventually
) -> None:
    secret = keyring.add("checkout")
    eventually(lambda: accepts(guarded, secret))
    first, second = make_traces(), make_traces()
    assert say(guarded, post(TRACES, first, **bearer(secret))).status == 200
    assert call(guarded, second, secret) == b""
    assert journaled(guarded, "traces") == [first, second]


def test_grpc_without_a_token_is_unauthenticated(
    guarded: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    for secret in ("", "faasight_wrong"):
        refused = refused_call(guarded, make_traces(), secret)
        assert refused.code() == grpc.StatusCode.UNAUTHENTICATED
        assert Status.FromString(dict(refused.trailing_metadata())["grpc-status-details-bin"]).code == 16
    assert journaled(guarded, "traces") == []


def test_tokens_change_without_a_restart_on_open_connections(
    guarded: Collector, keyring: Keyring, eventually: Eventually, make_traces: MakeTraces
) -> None:
    old = keyring.add("old")
    eventually(lambda: accepts(guarded, old))
    with Wire(guarded.http_address) as wire, grpc.insecure_channel(guarded.grpc_address) as channel:
        export = channel.unary_unary(EXPORT)
        metadata = tuple(bearer(old).items())
        export(make_traces(), metadata=metadata, timeout=180)
        new = keyring.add("new")
        eventually(lambda: accepts(guarded, new))
        keyring.drop("old")
        eventually(lambda: not accepts(guarded, old))
        wire.send(post(TRACES, make_traces(), **bearer(old)))
        assert wire.response().status == 401
        wire.send(post(TRACES, make_traces(), **bearer(new)))
        assert wire.response().status == 200, "the connection goes on"
        with pytest.raises(grpc.RpcError) as refused:
            export(make_traces(), metadata=metadata, timeout=180)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_the_official_exporters_send_it_by_their_standard_variable(
    guarded: Collector,
    keyring: Keyring,
    journaled: Journaled,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    door: str,
) -> None:
    secret = keyring.add("sdk")
    eventually(lambda: accepts(guarded, secret))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{secret}")
    if door == "http":
        provider = TracerProvider()
        exporter: Any = HttpSpanExporter(endpoint=f"http://{guarded.http_address}/v1/traces")
    else:
        provider = TracerProvider()
        exporter = GrpcSpanExporter(endpoint=f"http://{guarded.grpc_address}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("t").start_span("with a token").end()
    provider.shutdown()
    assert len(journaled(guarded, "traces")) == 1


def test_an_unauthenticated_body_takes_no_memory(start_collector: StartCollector, keyring: Keyring) -> None:
    """Not even the body's end is awaited where it is large; a small one is read past, and the connection goes on."""
    collector = start_collector(tokens=keyring.path, max_buffered_bytes=1000)
    for head in (post(TRACES, b"", content_length="20000000"), post("/nowhere", b"", content_length="20000000")):
        with Wire(collector.http_address) as wire:
            wire.send(head)
            assert wire.response().status in {401, 404}
    with Wire(collector.http_address) as wire:
        for _ in range(3):
            wire.send(post(TRACES, bytes(50_000)))
            assert wire.response().status == 401
        wire.send(post(TRACES, b"", content_length="", transfer_encoding="chunked"))
        for _ in range(20):
            wire.send(b"%x\r\n%s\r\n" % (10_000, bytes(10_000)))
        assert wire.response().status == 401
        assert wire.closed()


def test_a_client_that_asks_before_it_sends_is_told_no(guarded: Collector) -> None:
    answer = say(guarded, post(TRACES, b"", content_length="100", expect="100-continue"))
    assert answer.status == 401


# -- pages -----------------------------------------------------------------------------------------------------------


def test_health_is_open_and_metrics_ask_for_a_token_of_their_own(
    guarded: Collector, keyring: Keyring, eventually: Eventually
) -> None:
    sends, reads = keyring.add("sends"), keyring.add("reads", use="metrics")
    eventually(lambda: accepts(guarded, sends))
    assert get(guarded, "/healthz").status == get(guarded, "/readyz").status == 200
    assert get(guarded, "/metrics").status == 401
    assert get(guarded, "/metrics", **bearer(sends)).status == 403
    text = get(guarded, "/metrics", **bearer(reads)).body.decode()
    assert 'faasight_collector_token_requests_total{token="sends"} 1.0' in text
    assert 'faasight_collector_token_last_used_timestamp_seconds{token="sends"}' in text
    assert 'reason="unauthenticated"' in text
    assert not any(secret in text for secret in (sends, reads))
    assert say(guarded, post(TRACES, b"", **bearer(reads))).status == 403


def test_without_tokens_metrics_are_open(collector: Collector) -> None:
    assert get(collector, "/metrics").status == 200


# -- how fast --------------------------------------------------------------------------------------------------------


def test_too_many_requests_over_http(guarded: Collector, keyring: Keyring, eventually: Eventually) -> None:
    secret, other = keyring.add("slow", requests_per_s=0.01), keyring.add("other")
    eventually(lambda: accepts(guarded, other))
    with Wire(guarded.http_address) as wire:
        for status in (200, 429, 429):
            wire.send(post(TRACES, b"", **bearer(secret)))
            answer = wire.response()
            assert answer.status == status, "the connection stays"
    assert 0 < int(answer.headers["retry-after"]) <= 100
    said = Status.FromString(answer.body)
    assert said.code == 8
    detail = RetryInfo()
    assert said.details[0].Unpack(detail)
    assert detail.retry_delay.seconds == int(answer.headers["retry-after"])
    in_json = say(guarded, post(TRACES, b"{}", content_type="application/json", **bearer(secret)))
    assert json.loads(in_json.body)["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{in_json.headers['retry-after']}s"}
    ]
    assert accepts(guarded, other)


def test_too_many_bytes_over_grpc(
    guarded: Collector, keyring: Keyring, eventually: Eventually, make_traces: MakeTraces
) -> None:
    secret, other = keyring.add("slow", bytes_per_s=100), keyring.add("other")
    eventually(lambda: accepts(guarded, other))
    assert call(guarded, make_traces(100), secret) == b""
    refused = refused_call(guarded, make_traces(), secret)
    assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    status = Status.FromString(dict(refused.trailing_metadata())["grpc-status-details-bin"])
    detail = RetryInfo()
    assert status.details[0].Unpack(detail)
    assert detail.retry_delay.seconds > 10
    assert call(guarded, make_traces(), other) == b""


def test_compressed_bytes_count_as_what_they_are(guarded: Collector, keyring: Keyring, eventually: Eventually) -> None:
    secret = keyring.add("a", bytes_per_s=1000)
    lines = b'{"message": "again and again"}\n' * 3000
    body = gzip.compress(lines)
    assert len(body) < 1000
    request = post("/v1/json-logs", body, content_type="", content_encoding="gzip", **bearer(secret))
    eventually(lambda: say(guarded, request).status == 200)
    assert say(guarded, request).status == 429


# -- web pages -------------------------------------------------------------------------------------------------------


def preflight(origin: str, **more: str) -> bytes:
    lines = {"origin": origin, "access-control-request-method": "POST", **more}
    return b"OPTIONS /v1/traces HTTP/1.1\r\n%s\r\n" % b"".join(f"{k}: {v}\r\n".encode() for k, v in lines.items())


def test_no_web_page_may_send_unless_it_is_named(
    collector: Collector, make_traces: MakeTraces, journaled: Journaled
) -> None:
    """Browsers send what a page's script posts, whatever the answer; so the answer must come before it is taken."""
    assert say(collector, preflight(PAGE)).status == 403
    for origin in (PAGE, "null", "http://localhost:3000", ""):
        answer = say(collector, post(TRACES, make_traces(), origin=origin) if origin else post(TRACES, b""))
        assert answer.status == (403 if origin else 200)
        assert "access-control-allow-origin" not in answer.headers
    text = post("/v1/json-logs", b'{"message": "forged"}', content_type="text/plain", origin="https://evil.example")
    assert say(collector, text).status == 403
    assert journaled(collector, "traces") == journaled(collector, "records") == []


def test_a_named_page_may(
    start_collector: StartCollector, keyring: Keyring, journaled: Journaled, make_traces: MakeTraces
) -> None:
    secret = keyring.add("web")
    collector = start_collector(tokens=keyring.path, cors_origins=frozenset({PAGE}))
    asked = say(collector, preflight(PAGE, **{"access-control-request-private-network": "true"}))
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert {"authorization", "content-type"} <= set(asked.headers["access-control-allow-headers"].split(", "))
    assert asked.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in asked.headers
    with Wire(collector.http_address) as wire:
        for headers, status in ((bearer(secret), 200), ({}, 401), (bearer(secret), 200)):
            wire.send(post(TRACES, make_traces(), origin=PAGE, **headers))
            answer = wire.response()
            assert answer.status == status
            assert answer.headers["access-control-allow-origin"] == PAGE, "a script may read the refusal too"
            assert answer.headers["vary"] == "origin"
    for other in ("https://app.example.com.evil.example", "http://app.example.com", "https://app.example.com:444", "*"):
        assert say(collector, preflight(other)).status == 403
    assert len(journaled(collector, "traces")) == 2


# -- where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["host", "grpc_host"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", ""])
def test_beyond_this_machine_it_does_not_start_without_a_token(
    start_collector: StartCollector, door: str, host: str
) -> None:
    with pytest.raises(AddressError, match=r"(?s)faasight tokens create NAME.*FAASIGHT_ALLOW_REMOTE=yes"):
        start_collector(**{door: host})


def test_with_a_token_it_starts_everywhere(start_collector: StartCollector, keyring: Keyring) -> None:
    secret = keyring.add("a")
    collector = start_collector(tokens=keyring.path, host="0.0.0.0", grpc_host="0.0.0.0")
    http, grpc_port = (address.rpartition(":")[2] for address in (collector.http_address, collector.grpc_address))
    with Wire(f"127.0.0.1:{http}") as wire:
        wire.send(post(TRACES, b"", **bearer(secret)))
        assert wire.response().status == 200
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(EXPORT)(b"", timeout=180)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_each_door_has_a_host_of_its_own(start_collector: StartCollector) -> None:
    collector = start_collector(host="127.0.0.2", grpc_host="127.0.0.3")
    assert collector.http_address.startswith("127.0.0.2:")
    assert collector.grpc_address.startswith("127.0.0.3:")
    assert say(collector, b"GET /healthz HTTP/1.1\r\n\r\n").status == 200
    assert call(collector, b"") == b""
