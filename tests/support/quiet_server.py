"""An HTTP server on a thread of a test's own process, which says nothing of what it serves."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open. Write `answer`, whatever the method, with `body` and `reply`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        """Answer one request."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer."""
        self.answer()

    do_POST = do_PUT = do_GET  # noqa: N815 - the names that the base class calls

    def body(self) -> bytes:
        """Return the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Stay silent."""


class QuietServer(ThreadingHTTPServer):
    """Serves from its making until `close`, on any port of this machine."""

    daemon_threads = True
    request_queue_size = 128  # five, as it is elsewhere, would refuse some where many come at once

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients are killed while they wait."""
