"""HTTP/1.1 over a bare socket: keep-alive, pipelined, and every step under a deadline.

`http.client` would load email and ssl (25 ms of a cold start), and knows no deadline for a whole exchange. TLS is
loaded for https alone.
Deadlines are `time.monotonic()` values.
"""

from __future__ import annotations

import _socket  # the C part of `socket`: the module around it loads selectors, which we have no use for
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Address = tuple[int, tuple[str, int]]

_BREAKS = frozenset("\r\n\0")
_MAX_HEAD = 16_384  # bytes of an answer's headers
_MAX_READ = 4_096  # bytes at once: the memory for them is taken before it is known how many come
_MAX_ANSWER = 262_144  # bytes of a whole answer: the collector's are about a hundred


class GarbageError(OSError):
    """What came back is no HTTP/1.1 answer."""


class Answer:
    """What the collector said to one request."""

    __slots__ = ("close", "retry_after", "size", "status")

    def __init__(self, status: int, size: int, close: bool, retry_after: float) -> None:
        self.status = status
        self.size = size  # bytes on the wire
        self.close = close  # the server will close the connection
        self.retry_after = retry_after  # seconds, 0 if it did not say


class Connection:
    """One connection to the collector; it is not thread-safe, its owner holds a lock."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], resolve: Callable[[str, int, float], list[Address]]
    ) -> None:
        scheme, _, rest = endpoint.partition("://")
        host_port, slash, prefix = rest.partition("/")
        self.tls = scheme == "https"
        self.prefix = slash + prefix.rstrip("/") if prefix else ""
        self.host, self.port = _split(host_port, 443 if self.tls else 80)
        # A setting must not be able to smuggle in lines of its own; what is left out, the collector will ask for.
        fit = {key: value for key, value in headers.items() if not _BREAKS.intersection(key + value)}
        extra = "".join(f"{key}: {value}\r\n" for key, value in fit.items())
        own = "User-Agent: faasight\r\nContent-Type: application/x-protobuf\r\n"
        self._head = f" HTTP/1.1\r\nHost: {host_port}\r\n{own}{extra}Content-Length: "
        self._heads: dict[str, bytes] = {}  # by path, encoded: there are two or three
        self._resolve = resolve
        self._socket: _socket.socket | None = None
        self._name: object = None  # our end's address, which no other socket has
        self._received = bytearray()
        self._usual = b""  # the latest answer: the next one is likely to be the same to the byte
        self._usual_answer = Answer(0, 0, False, 0.0)

    @property
    def is_open(self) -> bool:
        """Whether there is a socket; its other end may have gone."""
        return self._socket is not None

    def is_ours(self) -> bool:
        """Whether its descriptor is that socket still.

        A function may close all descriptors (daemons do), and what it opens next takes the number: what we wrote there,
        or closed, would be its own.
        """
        if self._socket is None:
            return False
        try:
            return bool(self._socket.getsockname() == self._name)  # a third of what `fstat` costs
        except OSError:
            return False

    def open(self, deadline: float) -> None:
        """Connect. Raises OSError (TimeoutError at the deadline)."""
        error: OSError = OSError(f"no address for {self.host}")
        for family, address in self._resolve(self.host, self.port, deadline):
            try:
                self._socket = self._connect(family, address, deadline)
                self._socket.settimeout(0.0)  # as it stays but for waiting: each change is a system call, and one more
                self._name = self._socket.getsockname()
                return
            except OSError as failed:
                error = failed
        raise error

    def _connect(self, family: int, address: tuple[str, int], deadline: float) -> _socket.socket:
        sock: _socket.socket = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(address)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            return _encrypted(sock, self.host, deadline) if self.tls else sock
        except BaseException:
            sock.close()
            raise

    def send(self, path: str, body: bytes, deadline: float) -> None:
        """Write one request. Raises OSError; then the connection is of no more use."""
        if self._socket is None:
            raise OSError("not connected")
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = f"POST {self.prefix}{path}{self._head}".encode("latin-1", "replace")
        rest = memoryview(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        while rest:  # not `sendall`: that of TLS would give each record the whole time
            left = _left(deadline)
            try:
                sent = self._socket.send(rest)
            except OSError as error:
                if not _would_wait(error):
                    raise
                self._socket.settimeout(left)
                sent = self._socket.send(rest)
                self._socket.settimeout(0.0)
            rest = rest[sent:]

    def read(self, deadline: float = 0.0) -> Answer | None:
        """Return the next answer; None if none is complete by the deadline (0: do not wait at all).

        Raises OSError when the connection ended or what came is no HTTP.
        """
        data = self._received
        while True:
            if data:
                if self._usual and data.startswith(self._usual):
                    del data[: len(self._usual)]
                    return self._usual_answer
                answer = parse_answer(data)
                if answer is not None:
                    if not answer.close:  # such a one has its length in itself, whatever follows it
                        self._usual, self._usual_answer = bytes(data[: answer.size]), answer
                    del data[: answer.size]
                    return answer
            if not self._receive(deadline):
                return None

    def _receive(self, deadline: float) -> bool:
        if self._socket is None:
            raise OSError("not connected")
        wait = max(deadline - time.monotonic(), 0.0) if deadline else 0.0
        try:
            if wait:
                self._socket.settimeout(wait)
            data = self._socket.recv(_MAX_READ)
        except OSError as error:
            if _would_wait(error) or isinstance(error, TimeoutError):
                return False
            raise
        finally:
            if wait:
                self._socket.settimeout(0.0)
        if not data:
            raise ConnectionResetError("the collector closed the connection")
        self._received += data
        if len(self._received) > _MAX_ANSWER:
            raise GarbageError("the answer is too long")
        return True

    def close(self) -> None:
        """Close the socket; a new `open` may follow."""
        if self._socket is not None:
            if self.is_ours():
                self._socket.close()
            else:
                self._socket.detach()
        self._socket = None
        self._received.clear()


def parse_answer(data: bytearray) -> Answer | None:
    """Parse the first HTTP/1.1 answer of `data`; None while it is incomplete. Raises GarbageError."""
    if not data.startswith(b"HTTP/1."[: len(data)]):
        raise GarbageError("the answer is not HTTP")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > _MAX_HEAD:
            raise GarbageError("the answer's headers are too long")
        return None
    head = bytes(data[:end]).lower()
    code = head[8:13]  # " 200" and what ends it, after "HTTP/1.x"
    if not (code[:1] == b" " and code[1:4].isdigit() and code[4:5] in {b"", b" ", b"\r"}):
        raise GarbageError("the answer has no status")
    status = int(code)
    if status < 200:  # 100 Continue and its like come before the answer proper
        del data[: end + 4]
        return parse_answer(data) if data else None
    size, delimited = _body_end(data, end + 4, status, head)
    if size is None:
        return None
    close = not delimited or _header(head, b"connection") == b"close" or head.startswith(b"http/1.0")
    retry_after = b"" if status < 400 else _header(head, b"retry-after")
    return Answer(status, size, close, float(retry_after) if retry_after.isdigit() else 0.0)


def _header(head: bytes, name: bytes) -> bytes:
    """Return a header's value in lower case, b"" if it is absent; cheaper than a dictionary of them all."""
    return head.partition(b"\r\n" + name + b":")[2].partition(b"\r\n")[0].strip()


def _body_end(data: bytearray, start: int, status: int, head: bytes) -> tuple[int | None, bool]:
    """Offset just after the body (None: incomplete), and whether its length was known."""
    if status in {204, 304}:
        return start, True
    length = _header(head, b"content-length")
    if length:
        if not length.isdigit():
            raise GarbageError("the answer has no valid length")
        end = start + int(length)
        return (end if end <= len(data) else None), True
    if _header(head, b"transfer-encoding") == b"chunked":
        return _chunks_end(data, start), True
    return len(data), False  # it ends with the connection; its text is of no interest


def _chunks_end(data: bytearray, start: int) -> int | None:
    while True:
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            return None
        try:
            size = int(bytes(data[start:line_end]).partition(b";")[0], 16)
        except ValueError:
            raise GarbageError("the answer's chunks are broken") from None
        if size == 0:
            end = data.find(b"\r\n\r\n", line_end)
            return end + 4 if end >= 0 else None
        start = line_end + 2 + size + 2
        if size < 0 or size > _MAX_ANSWER:
            raise GarbageError("the answer's chunks are broken")


class Resolver:
    """Host names to addresses under a deadline: getaddrinfo has none, so names go through a thread, once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], list[Address]] = {}

    def __call__(self, host: str, port: int, deadline: float) -> list[Address]:
        """Return the addresses of a host. Raises OSError or TimeoutError."""
        for family in (_socket.AF_INET, _socket.AF_INET6):
            try:
                _socket.inet_pton(family, host)
            except OSError:
                continue
            return [(family, (host, port))]
        if (host, port) not in self._known:
            self._look_up(host, port, deadline)
        return self._known[host, port]

    def forget(self) -> None:
        """Ask anew the next time: the collector may have moved."""
        self._known.clear()

    def _look_up(self, host: str, port: int, deadline: float) -> None:
        import threading

        errors: list[OSError] = []

        def ask() -> None:
            try:
                found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
            except OSError as error:
                errors.append(error)
            else:
                self._known[host, port] = [(int(item[0]), (str(item[4][0]), port)) for item in found]

        thread = threading.Thread(target=ask, name="faasight-resolve", daemon=True)
        thread.start()
        thread.join(_left(deadline))
        if errors:
            raise errors[0]
        if (host, port) not in self._known:
            raise TimeoutError(f"no address for {host} in time")


def _split(host_port: str, default: int) -> tuple[str, int]:
    if host_port.startswith("["):
        host, _, port = host_port[1:].partition("]")
        return host, int(port[1:] or default)
    host, _, port = host_port.partition(":")
    return host, int(port or default)


def _would_wait(error: OSError) -> bool:
    """Whether a socket has nothing to give or no room; TLS's two errors by name, for ssl is not loaded for http."""
    return isinstance(error, BlockingIOError) or type(error).__name__ in {"SSLWantReadError", "SSLWantWriteError"}


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time left")
    return left


def _encrypted(sock: _socket.socket, host: str, deadline: float) -> _socket.socket:
    import socket
    import ssl

    plain = socket.socket(fileno=sock.detach())
    try:
        plain.settimeout(_left(deadline))
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
