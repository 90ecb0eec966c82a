"""TLS to the collector: loaded for https alone, verified, and under the same limit."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from polling import wait_until

CODE = "import sys\ndef handler(event, context):\n    return 'ssl' in sys.modules\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "collector.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


@pytest.fixture
def secure(sink: Any, certificate: Path) -> str:
    """Turn the sink into an https server, and return its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = sink._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return f"https://127.0.0.1:{sink.port}"


def test_spans_arrive_over_tls(function: Any, sink: Any, secure: str, certificate: Path) -> None:
    sandbox = function(
        CODE,
        FAASIGHT_ENDPOINT=secure,
        SSL_CERT_FILE=str(certificate),
        FAASIGHT_FLUSH_TIMEOUT="10",
        FAASIGHT_CONFIRM="1",
    )
    for _ in range(3):
        assert sandbox.invoke().kind == "response", sandbox.output()
    assert len(sink.wait(3)) == 3
    assert sandbox.output() == ""


def test_a_certificate_that_nobody_vouches_for_is_refused(function: Any, sink: Any, secure: str) -> None:
    sandbox = function(CODE, FAASIGHT_ENDPOINT=secure, FAASIGHT_FLUSH_TIMEOUT="10")
    assert sandbox.invoke().kind == "response"
    wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in sandbox.output(), "the refusal is said")
    assert sink.requests == []
