"""Access from a user's chair: `faasight up` with tokens and TLS, the wrapper and other senders, and nothing told."""

import os
import socket
import ssl
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest
from faasight_collector.access import tokens, usage

from tests.support.certificates import Authority

FUNCTION = """
import faasight
@faasight.observe
def handler(event, context):
    return "done"
class Context:
    function_name = "checkout"
    aws_request_id = "8f507cfc-example-4697-b07a-ac58fc914c95"
handler({}, Context())
"""


def faasight_says(*arguments: str, env: dict[str, str]) -> str:
    """Run a command to its end, and return its stdout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FAASIGHT_")}
    command = [sys.executable, "-m", "faasight_cli", *arguments]
    return subprocess.run(command, env={**clean, **env}, capture_output=True, text=True, check=True, timeout=180).stdout


def status(request: Request, context: ssl.SSLContext) -> int:
    try:
        with urlopen(request, timeout=180, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_from_a_new_token_to_a_span_over_tls_and_the_secret_is_told_nowhere(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    """What docs/security.md has one do; then every file, output, argument and page of the run is searched."""
    authority = Authority(tmp_path)
    pair = authority.issue("collector")
    env = {
        "FAASIGHT_TOKENS": str(tmp_path / "tokens.json"),
        "FAASIGHT_TLS_CERTIFICATE": str(pair.certificate),
        "FAASIGHT_TLS_KEY": str(pair.key),
        "FAASIGHT_LOG_LEVEL": "debug",
        "FAASIGHT_STORE": f"chdb://{tmp_path / 'data'}",
        "SSL_CERT_FILE": str(authority.ca),
    }
    secret = faasight_says("tokens", "create", "checkout", env=env).strip()
    reader = faasight_says("tokens", "create", "prometheus", "--for", "metrics", env=env).strip()
    run = tmp_path / "run"
    run.mkdir()
    up = faasight("up", folder=run, env={**any_ports, **env})
    up.wait_for("Ctrl+C stops it")
    url, context = up.url("collector"), ssl.create_default_context(cafile=str(authority.ca))
    assert url.startswith("https://127.0.0.1:")

    wrapper = {"FAASIGHT_ENDPOINT": url, "FAASIGHT_CONFIRM": "1", "FAASIGHT_FLUSH_TIMEOUT": "10"}
    function = subprocess.run(
        [sys.executable, "-c", FUNCTION],
        env={**os.environ, **env, **wrapper, "FAASIGHT_TOKEN": secret},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert function.returncode == 0, function.stderr
    without = subprocess.run(
        [sys.executable, "-c", FUNCTION],
        env={**os.environ, **env, **wrapper},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert "401" in without.stdout + without.stderr, "the wrapper says why nothing arrives"

    wrong = f"{secret[:-1]}!"
    sent = {"authorization": f"Bearer {wrong}"}
    assert status(Request(f"{url}/v1/traces", data=b"\xff", headers=sent), context) == 401
    sent = {"authorization": f"Bearer {secret}", "content-type": "application/x-protobuf"}
    assert status(Request(f"{url}/v1/traces", data=b"\xff", headers=sent), context) == 400
    assert status(Request(f"{url}/{secret}", headers=sent), context) == 404
    host, port = url.removeprefix("https://").split(":")
    with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host) as raw:
        raw.sendall(f"NONSENSE {secret}\r\nauthorization: {secret}\r\n\r\n".encode())
        raw.recv(1000)

    request = Request(f"{url}/metrics", headers={"authorization": f"Bearer {reader}"})
    with urlopen(request, timeout=180, context=context) as page:
        metrics = page.read().decode()
    assert 'faasight_collector_accepted_requests_total{signal="traces"} 1.0' in metrics
    arguments = " ".join(psutil.Process(up.process.pid).cmdline())
    up.process.terminate()
    assert up.ended() == 0
    listed = faasight_says("tokens", "list", env=env)
    (token, _) = tokens.read(tmp_path / "tokens.json")
    assert usage.last_used(tmp_path / "data" / "journal", "checkout", token.digest) is not None

    told = {"output": up.said(), "function": function.stdout + function.stderr, "metrics": metrics, "list": listed}
    told |= {"arguments": arguments, "refused function": without.stdout + without.stderr}
    for what, text in told.items():
        for hidden in (secret, reader, wrong, secret.removeprefix(tokens.PREFIX)):
            assert hidden not in text, what
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_beyond_this_machine_it_says_what_to_type(faasight: Callable[..., Any], any_ports: dict[str, str]) -> None:
    up = faasight("up", env={**any_ports, "FAASIGHT_COLLECTOR_HTTP": "0.0.0.0:0"})
    assert up.ended() == 1
    said = up.said()
    assert "faasight tokens create NAME" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"FAASIGHT_TOKENS": "nowhere.json"}, "There is no token file nowhere.json"),
        ({"FAASIGHT_TLS_CERTIFICATE": "no.pem", "FAASIGHT_TLS_KEY": "no.key"}, "no.pem cannot be read"),
    ],
)
def test_a_missing_file_is_one_sentence(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path, env: dict[str, str], words: str
) -> None:
    up = faasight("up", folder=tmp_path, env={**any_ports, **env})
    assert up.ended() == 1
    assert not (tmp_path / "faasight-data").exists(), "nothing was begun"
    assert words in up.said()
    assert "Traceback" not in up.said()
