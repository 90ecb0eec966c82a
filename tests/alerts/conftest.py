"""A stand-in for Slack: a real HTTP server that speaks the incoming-webhook protocol, and can be told to misbehave."""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from alert_world import World
from faasight_store import Store

SECRET = "T0SECRET/B0SECRET/notForAnyLog"


@dataclass(frozen=True)
class Reply:
    """What the stand-in answers once. `how` is answer, drop (resets the connection) or hang (until the test ends)."""

    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "answer"


class SlackServer(ThreadingHTTPServer):
    """Keeps what it was sent; answers `ok` once the replies it was given are used up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Webhook)
        self.replies: deque[Reply] = deque()
        self.received: list[dict[str, Any]] = []  # each body, whatever was answered
        self.accepted: list[dict[str, Any]] = []  # those that were answered with ok
        self.release = threading.Event()

    @property
    def url(self) -> str:
        """The webhook, with its secret."""
        return f"http://127.0.0.1:{self.server_port}/services/{SECRET}"

    def titles(self) -> list[str]:
        """Return the header of each accepted message."""
        return [body["blocks"][0]["text"]["text"] for body in self.accepted]

    def texts(self) -> str:
        """Return all accepted messages as one text to search."""
        return "\n".join(json.dumps(body, ensure_ascii=False) for body in self.accepted)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the test itself has cut."""


class _Webhook(BaseHTTPRequestHandler):
    server: SlackServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.received.append(body)
        reply = server.replies.popleft() if server.replies else Reply()
        if reply.how == "drop":
            # Linger 0: the peer gets a reset, not an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if reply.how == "hang":
            server.release.wait(30)
            return
        if reply.status == 200 and reply.body == "ok":
            server.accepted.append(body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body.encode())

    def log_message(self, *_args: object) -> None:
        """Keep the test's output readable."""


@pytest.fixture(scope="session", params=["embedded", "server"])
def migrated(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Open one store in each mode for all tests here: the schema takes longer than a test."""
    if request.param == "embedded":
        request.getfixturevalue("embedded_engine")
        dsn = f"chdb://{request.getfixturevalue('embedded_directory')}?database=alerts"
    else:
        dsn = f"clickhouse://127.0.0.1:{request.getfixturevalue('clickhouse_port')}/alerts"
    with Store.open(dsn) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def emptied(migrated: Store) -> Store:
    """Return a store without alerts and invocations."""
    for table in ("alert_changes", "alert_deliveries", "alert_leases", "invocation_facts"):
        migrated.command(f"TRUNCATE TABLE {table}")
    return migrated


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """Run a Slack that says ok unless told otherwise."""
    server = SlackServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def reply() -> Callable[..., Reply]:
    """Make an answer for `slack.replies`."""
    return Reply


@pytest.fixture
def world(emptied: Store, slack: Any, tmp_path: Path) -> World:
    """Give a fresh store and a Slack."""
    return World(emptied, slack.url, tmp_path)
