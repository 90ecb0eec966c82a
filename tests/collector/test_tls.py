"""TLS and mTLS at both doors, with clients that nobody here wrote: httpx, requests, grpcio and openssl."""

import socket
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from faasight_collector import Collector, TlsError, TlsFiles
from faasight_collector.access.tls import Certificates
from faasight_collector.receive import http
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.collector.keyring import Keyring, bearer
from tests.collector.wire import Wire, post
from tests.support.certificates import Authority, Pair

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TRACES = "/v1/traces"
StartCollector = Callable[..., Collector]
Journaled = Callable[[Collector, str], list[bytes]]
MakeTraces = Callable[..., bytes]
Eventually = Callable[[Callable[[], object]], None]
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what happens once a second happen more often."""
    monkeypatch.setattr(http, "_SWEEP_S", 0.1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("collector")


@pytest.fixture
def secure(start_collector: StartCollector, pair: Pair) -> Collector:
    """Start a collector with a certificate."""
    return start_collector(tls=TlsFiles(certificate=pair.certificate, key=pair.key))


@pytest.fixture
def mutual(start_collector: StartCollector, pair: Pair, authority: Authority) -> Collector:
    """Start a collector that asks clients for a certificate of the same CA."""
    return start_collector(tls=TlsFiles(certificate=pair.certificate, key=pair.key, client_ca=authority.ca))


def trusting(authority: Authority, client: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.ca))
    if client:
        context.load_cert_chain(client.certificate, client.key)
    return context


def grpc_call(collector: Collector, authority: Authority, body: bytes, client: Pair | None = None) -> bytes:
    pieces = (client.key.read_bytes(), client.certificate.read_bytes()) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes(), *pieces)
    with grpc.secure_channel(collector.grpc_address, credentials) as channel:
        answer: bytes = channel.unary_unary(EXPORT)(body, timeout=180)
        return answer


def shown(address: str) -> int:
    """Return the serial number of the certificate that a door shows."""
    host, port = address.split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port)), timeout=180) as plain, context.wrap_socket(plain) as wrapped:
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"").serial_number


def test_both_doors_over_tls(
    secure: Collector, authority: Authority, make_traces: MakeTraces, journaled: Journaled
) -> None:
    first, second = make_traces(3), make_traces(20_000)
    with httpx.Client(verify=trusting(authority), base_url=f"https://{secure.http_address}", timeout=60) as client:
        assert client.get("/healthz").text == "ok\n"
        for body in (first, second):
            assert client.post(TRACES, content=body, headers=PROTOBUF).status_code == 200
    assert grpc_call(secure, authority, third := make_traces()) == b""
    assert journaled(secure, "traces") == [first, second, third]


def test_the_official_exporter_over_tls(
    secure: Collector, authority: Authority, journaled: Journaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # of this machine: they would win
        monkeypatch.delenv(name, raising=False)
    provider = TracerProvider()
    exporter = OTLPSpanExporter(f"https://{secure.http_address}/v1/traces", certificate_file=str(authority.ca))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("t").start_span("secure").end()
    provider.shutdown()
    assert len(journaled(secure, "traces")) == 1


def test_plain_text_at_a_secure_door_gets_nothing_and_disturbs_nobody(
    secure: Collector, authority: Authority, make_traces: MakeTraces, journaled: Journaled
) -> None:
    with Wire(secure.http_address) as wire:
        wire.send(post(TRACES, make_traces()))
        with pytest.raises((EOFError, UnicodeDecodeError)):
            wire.response()
    assert grpc_call(secure, authority, b"") == b""
    assert journaled(secure, "traces") == []


def test_a_client_that_does_not_trust_us_stops(secure: Collector, authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://{secure.http_address}/healthz", verify=trusting(stranger), timeout=60)
    assert (
        httpx.get(f"https://{secure.http_address}/healthz", verify=trusting(authority), timeout=60).status_code == 200
    )


@pytest.mark.parametrize(
    ("option", "works"), [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
@pytest.mark.parametrize("door", ["http_address", "grpc_address"])
def test_protocols_before_1_2_are_refused(secure: Collector, door: str, option: str, works: bool) -> None:
    command = ["openssl", "s_client", option, "-connect", getattr(secure, door), "-alpn", "h2,http/1.1"]
    if not works:
        command += ["-cipher", "ALL:@SECLEVEL=0"]  # else the client itself would not try
    done = subprocess.run(command, input=b"", capture_output=True, timeout=180)
    assert (done.returncode == 0) is works, done.stderr
    if not works:
        assert b"unexpected eof" in done.stderr, "it is the server that ends it"


# -- clients' certificates -------------------------------------------------------------------------------------------


def test_a_client_with_a_certificate_of_the_ca_comes_in(
    mutual: Collector, authority: Authority, make_traces: MakeTraces, journaled: Journaled
) -> None:
    client = authority.issue("client")
    url = f"https://{mutual.http_address}{TRACES}"
    first, second = make_traces(), make_traces()
    assert (
        httpx.post(url, content=first, headers=PROTOBUF, verify=trusting(authority, client), timeout=60).status_code
        == 200
    )
    assert grpc_call(mutual, authority, second, client) == b""
    assert journaled(mutual, "traces") == [first, second]


def test_without_one_or_with_a_strangers_nobody_comes_in(
    mutual: Collector, authority: Authority, tmp_path: Path, make_traces: MakeTraces, journaled: Journaled
) -> None:
    strangers = Authority(tmp_path, "stranger").issue("client-of-stranger")
    expired = authority.issue("expired", days=-1)
    url = f"https://{mutual.http_address}{TRACES}"
    for client in (None, strangers, expired):
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            httpx.post(url, content=make_traces(), headers=PROTOBUF, verify=trusting(authority, client), timeout=60)
        with pytest.raises(grpc.RpcError) as refused:
            grpc_call(mutual, authority, make_traces(), client)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert journaled(mutual, "traces") == []


def test_a_clients_certificate_lets_it_listen_everywhere_and_a_token_may_be_asked_on_top(
    start_collector: StartCollector, pair: Pair, authority: Authority, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "tokens.json")
    secret = keyring.add("a")
    files = TlsFiles(certificate=pair.certificate, key=pair.key, client_ca=authority.ca)
    collector = start_collector(tls=files, tokens=keyring.path, host="0.0.0.0", grpc_port=None)
    url = f"https://127.0.0.1:{collector.http_address.rpartition(':')[2]}{TRACES}"
    with httpx.Client(verify=trusting(authority, authority.issue("client")), headers=PROTOBUF, timeout=60) as client:
        assert client.post(url, content=b"").status_code == 401
        assert client.post(url, content=b"", headers=bearer(secret)).status_code == 200


# -- renewal ---------------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_shown_without_a_restart(
    secure: Collector, authority: Authority, eventually: Eventually, make_traces: MakeTraces
) -> None:
    before = shown(secure.http_address)
    assert shown(secure.grpc_address) == before
    with httpx.Client(verify=trusting(authority), base_url=f"https://{secure.http_address}", timeout=60) as open_before:
        assert open_before.get("/healthz").status_code == 200
        authority.issue("collector")
        eventually(lambda: shown(secure.http_address) != before)
        eventually(lambda: shown(secure.grpc_address) != before)
        assert shown(secure.grpc_address) == shown(secure.http_address)
        assert open_before.post(TRACES, content=make_traces(), headers=PROTOBUF).status_code == 200
    assert grpc_call(secure, authority, b"") == b""


def test_half_a_renewal_changes_nothing_until_it_is_whole(authority: Authority, pair: Pair) -> None:
    certificates = Certificates(TlsFiles(certificate=pair.certificate, key=pair.key))
    before, old = certificates.context, pair.certificate.read_bytes()
    authority.issue("collector", days=60)
    new, key = pair.certificate.read_bytes(), pair.key.read_bytes()
    for damaged in (old, new[:-200], b""):
        pair.certificate.write_bytes(damaged)
        certificates.refresh()
        assert certificates.context is before
    pair.key.unlink()
    pair.certificate.write_bytes(new)
    certificates.refresh()
    assert certificates.context is before
    pair.key.write_bytes(key)
    certificates.refresh()
    assert certificates.context is not before
    assert (certificates.expires - datetime.now(UTC)).days == 59


def test_a_ca_that_is_taken_away_lets_its_clients_in_no_longer(
    mutual: Collector, authority: Authority, tmp_path: Path, eventually: Eventually
) -> None:
    client, next_authority = authority.issue("client"), Authority(tmp_path, "next")
    url = f"https://{mutual.http_address}/healthz"
    context = trusting(authority, client)
    assert httpx.get(url, verify=context, timeout=60).status_code == 200
    authority.ca.write_bytes(next_authority.ca.read_bytes())

    def is_refused() -> bool:
        try:
            return httpx.get(url, verify=context, timeout=60).status_code != 200
        except httpx.TransportError:
            return True

    eventually(is_refused)


# -- what is wrong with the files ------------------------------------------------------------------------------------


def test_files_that_do_not_fit_are_one_sentence(
    start_collector: StartCollector, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    other, locked = authority.issue("other"), authority.issue("locked", password=b"pw")
    nothing, empty = tmp_path / "nothing.pem", tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for certificate, key, client_ca, names in (
        (nothing, pair.key, None, nothing),
        (pair.certificate, nothing, None, nothing),
        (pair.certificate, other.key, None, other.key),
        (locked.certificate, locked.key, None, "password"),
        (empty, pair.key, None, empty),
        (pair.key, pair.certificate, None, pair.key),
        (pair.certificate, pair.key, empty, empty),
        (pair.certificate, pair.key, pair.key, pair.key),
        (pair.certificate, pair.key, nothing, nothing),
    ):
        with pytest.raises(TlsError) as caught:
            start_collector(tls=TlsFiles(certificate=certificate, key=key, client_ca=client_ca))
        assert str(names) in str(caught.value)
        assert "PRIVATE KEY" not in str(caught.value)
