"""Where AWS posts the sandbox's telemetry: a batch is taken if there is room for it, or AWS keeps it."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PORT = 4243
_SANDBOX = "sandbox.localdomain"  # the only name to which AWS posts


class Listener:
    """Hands each batch to `take`, which returns whether there was room. It listens from the start."""

    def __init__(self, take: Callable[[bytes], bool]) -> None:
        self.host = _host()
        port = PORT if self.host == _SANDBOX else 0  # elsewhere sandboxes share a machine, and its ports
        self.last = 0.0  # time.monotonic() of the last batch
        self._take = take
        self._server = _Server((self.host, port), _Handler)
        self._server.listener = self
        threading.Thread(target=self._server.serve_forever, name="faasight-listener", daemon=True).start()

    @property
    def uri(self) -> str:
        """What to tell AWS."""
        return f"http://{self.host}:{self._server.server_address[1]}"

    def came(self, batch: bytes) -> bool:
        """Take a batch; False if AWS must bring it again."""
        self.last = time.monotonic()
        return self._take(batch)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    listener: Listener

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as its base has it
        """Stay silent: what broke off is posted again."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        status = 411
        if length.isdigit():
            status = 200 if self.server.listener.came(self.rfile.read(int(length))) else 503
        self.close_connection = status == 411
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
        """Stay silent: our own lines would come back as telemetry."""


def _host() -> str:
    """Return the sandbox's own name, or loopback where it is unknown, as under an emulator."""
    try:
        socket.gethostbyname(_SANDBOX)
    except OSError:
        return "127.0.0.1"
    return _SANDBOX
