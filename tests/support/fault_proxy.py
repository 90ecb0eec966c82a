"""A proxy before ClickHouse's HTTP interface that breaks inserts as networks and servers do, when it is told to.

It hands requests on one by one. An insert (a POST whose query begins with INSERT) meets the next ordered fault:

    away          the connection is reset before anything is handed on
    cut_request   half of the request is handed on, and both connections are reset
    error         the engine is not asked; the answer is 500 with a code of the engine
    gateway       the answer is a proxy's 502, without a code
    cut_answer    the insert is done; half of the answer comes, and a reset
    lost_answer   the insert is done; a reset comes in place of the answer
    late          the insert is done; no answer comes before the client has given up
    slow          the answer comes some time after the insert was done
"""

import contextlib
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote_plus

FAULTS = ("away", "cut_request", "error", "gateway", "cut_answer", "lost_answer", "late", "slow")
_ENGINE_ERROR = b"Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)\n"
_SLOW_S = 0.3
_GIVE_UP_S = 30.0


class FaultProxy:
    """Listens on `port`; `order` says what becomes of the next inserts, `met` counts what did."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._orders: deque[str] = deque()
        self._always = ""
        self.met: Counter[str] = Counter()
        threading.Thread(target=self._accept, daemon=True).start()

    def order(self, *faults: str) -> None:
        """Let the next inserts meet these, in this order."""
        self._orders.extend(faults)

    def always(self, fault: str) -> None:
        """Let every insert meet this one, until it is "" again."""
        self._always = fault

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client:
            while True:
                self._one(client)

    def _one(self, client: socket.socket) -> None:
        request = _message(client)
        fault = self._fault_for(request)
        if fault in {"away", "error", "gateway"}:
            _answer_without_asking(client, fault)
            return
        with socket.create_connection(("127.0.0.1", self._upstream), timeout=60) as upstream:
            if fault == "cut_request":
                upstream.sendall(request[: len(request) // 2])
                _reset(upstream)
                _reset(client)
                raise EOFError
            upstream.sendall(request)
            answer = _message(upstream)
        if fault == "slow":
            time.sleep(_SLOW_S)
        elif fault == "late":
            client.settimeout(_GIVE_UP_S)
            client.recv(1)  # it says nothing more: this returns when it has closed the connection
            raise EOFError
        elif fault:
            client.sendall(answer[: len(answer) // 2 if fault == "cut_answer" else 0])
            _reset(client)
            raise EOFError
        client.sendall(answer)

    def _fault_for(self, request: bytes) -> str:
        head, _, body = request.partition(b"\r\n\r\n")
        asked = unquote_plus(head.split(b"\r\n", 1)[0].decode("latin-1")).partition("query=")[2] or body[:20].decode(
            "latin-1"
        )
        if not asked.lstrip().lower().startswith("insert"):
            return ""
        fault = self._orders.popleft() if self._orders else self._always
        self.met[fault] += bool(fault)
        return fault


def _answer_without_asking(client: socket.socket, fault: str) -> None:
    if fault == "away":
        _reset(client)
        raise EOFError
    status = b"500 Internal Server Error" if fault == "error" else b"502 Bad Gateway"
    body = _ENGINE_ERROR if fault == "error" else b"<html>upstream is gone</html>"
    code = b"X-ClickHouse-Exception-Code: 241\r\n" if fault == "error" else b""
    client.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), code, body))


def _message(connection: socket.socket) -> bytes:
    """Read one HTTP message, request or answer, as it is on the wire. Raises EOFError."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    headers = head.lower()
    if b"transfer-encoding: chunked" in headers:
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(connection)
        return head + b"\r\n\r\n" + body
    length = next(
        (int(line.partition(b":")[2]) for line in headers.split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    parts, size = [body], len(body)
    while size < length:
        parts.append(_more(connection))
        size += len(parts[-1])
    return head + b"\r\n\r\n" + b"".join(parts)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        raise EOFError
    return data


def _reset(connection: socket.socket) -> None:
    # Linger 0: the peer gets a reset, not an orderly end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def running_proxy(upstream: int) -> Iterator[FaultProxy]:
    """Run a proxy before a port of this machine."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
