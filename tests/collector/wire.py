"""A client that says exactly what a test wants, right or wrong, and reads whole answers."""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Response:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A raw connection to `host:port`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=180)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def end(self) -> None:
        """Close our half: nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return bool(data)

    def read_head(self) -> bytes:
        """Read up to an empty line."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                raise EOFError(self._buffer)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def response(self) -> Response:
        """Read one answer."""
        first, *lines = self.read_head().decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            if not self._more():
                raise EOFError(self._buffer)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Response(int(first.split(" ")[1]), headers, body)

    def closed(self) -> bool:
        """Tell whether the server has closed, and sent nothing more before it did."""
        return not self._more() and not self._buffer


def post(path: str, body: bytes, **headers: str) -> bytes:
    """Return a POST request; header names have _ for -."""
    named = {"host": "test", "content_type": "application/x-protobuf", "content_length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items() if value)
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
