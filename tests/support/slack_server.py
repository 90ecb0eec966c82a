"""A stand-in for Slack: a real HTTP server that speaks the incoming-webhook protocol, and can be told to misbehave."""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from quiet_server import QuietHandler, QuietServer

SECRET = "T0SECRET/B0SECRET/notForAnyLog"


@dataclass(frozen=True)
class Reply:
    """What the stand-in answers once. `how` is answer, drop (resets the connection) or hang (until the test ends)."""

    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "answer"


class SlackServer(QuietServer):
    """Keeps what it was sent; answers `ok` once the replies it was given are used up."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.received: list[dict[str, Any]] = []  # each body, whatever was answered
        self.accepted: list[dict[str, Any]] = []  # those that were answered with ok
        self.release = threading.Event()
        super().__init__(_Webhook)

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


class _Webhook(QuietHandler):
    server: SlackServer

    def answer(self) -> None:
        body = json.loads(self.body())
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
        self.reply(reply.status, reply.headers, reply.body.encode())


@contextmanager
def running_slack() -> Iterator[SlackServer]:
    """Run a Slack that says ok unless told otherwise."""
    server = SlackServer()
    try:
        yield server
    finally:
        server.release.set()
        server.close()
