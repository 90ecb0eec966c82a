"""A stand-in for Slack: a real HTTP server that speaks the incoming-webhook protocol, and can be told to misbehave."""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
            server.release.wait(180)
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


@contextmanager
def running_slack() -> Iterator[SlackServer]:
    """Run a Slack that says ok unless told otherwise."""
    server = SlackServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join(180)
