"""A small HTTP/1.1 server on asyncio: what the Runtime API, the gateway and the Lambda API are spoken over."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote

import httptools

MAX_HEADERS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `raw_path` is as it was sent; header names are lower case, in order, repeats kept."""

    method: str
    raw_path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: str
    gone: Callable[[], bool] = field(default=lambda: False, compare=False)  # whether the client has hung up

    @property
    def path(self) -> str:
        """The path with its percent escapes decoded."""
        return unquote(self.raw_path)

    def header(self, name: str, default: str = "") -> str:
        """Return the first header of this (lower case) name."""
        return next((value for key, value in self.headers if key == name), default)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; Content-Length is added."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=(("content-type", "application/json"),))

    def encode(self, keep_alive: bool, head_only: bool) -> bytes:
        """Return the bytes on the wire."""
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{name}: {_one_line(value)}" for name, value in self.headers if name.lower() != "content-length"]
        lines += [f"content-length: {len(self.body)}", f"connection: {'keep-alive' if keep_alive else 'close'}", "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace") + (b"" if head_only else self.body)


Handler = Callable[[Request], Awaitable[Response]]


class HttpServer:
    """Serves one handler on one port; requests of one connection are answered one after the other.

    With `abandon`, the handler of a client that has gone is cancelled.
    """

    def __init__(self, handler: Handler, *, max_body: int, abandon: bool = False) -> None:
        self.handler = handler
        self.max_body = max_body
        self.abandon = abandon
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=listener)

    async def stop(self) -> None:
        """Close the port and all connections; the handlers still at work are cancelled."""
        if self._server is not None:
            self._server.close()
        workers = [connection.close() for connection in list(self.connections)]
        await asyncio.gather(*(worker for worker in workers if worker is not None), return_exceptions=True)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises OSError if the port is in use."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class _Connection(asyncio.Protocol):
    """One connection: bytes in, requests to the worker, answers out. asyncio sets TCP_NODELAY on it."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._worker: asyncio.Task[None] | None = None
        self._requests: asyncio.Queue[tuple[Request, bool]] = asyncio.Queue()
        self._peer = ""
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- for the type checker: TCP gives no other
        self._transport = transport
        self._peer = (transport.get_extra_info("peername") or ("",))[0]
        self._server.connections.add(self)
        self._worker = asyncio.get_running_loop().create_task(self._work())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- the name is asyncio's
        self._server.connections.discard(self)
        self._requests.put_nowait((_GONE, False))
        if self._worker is not None and self._server.abandon:
            self._worker.cancel()

    def close(self) -> asyncio.Task[None] | None:
        """Drop the connection and its work."""
        if self._transport is not None:
            self._transport.close()
        if self._worker is not None:
            self._worker.cancel()
        return self._worker

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except _RefusedError as error:
            self._refuse(error.status)
        except httptools.HttpParserUpgrade:
            self._refuse(501)
        except httptools.HttpParserError as error:
            # httptools wraps what its callbacks raise.
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, _RefusedError) else 400)

    def _refuse(self, status: int) -> None:
        if self._transport is not None:
            self._transport.write(Response(status).encode(keep_alive=False, head_only=False))
            self._transport.close()

    # -- what httptools calls

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADERS:
            raise _RefusedError(431)
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        length = next((value for name, value in self._headers if name == "content-length"), "0")
        if length.isdigit() and int(length) > self._server.max_body:
            raise _RefusedError(413)
        if ("expect", "100-continue") in self._headers and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._server.max_body:
            raise _RefusedError(413)

    def on_message_complete(self) -> None:
        url = httptools.parse_url(self._url)
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            raw_path=(url.path or b"/").decode("latin-1"),
            query=(url.query or b"").decode("latin-1"),
            headers=tuple(self._headers),
            body=bytes(self._body),
            peer=self._peer,
            gone=lambda: self not in self._server.connections,
        )
        self._requests.put_nowait((request, self._parser.should_keep_alive()))
        self._url, self._headers, self._header_bytes, self._body = b"", [], 0, bytearray()

    async def _work(self) -> None:
        keep_alive = True
        while keep_alive:
            request, keep_alive = await self._requests.get()
            if request is _GONE:
                return
            response = await self._answer(request)
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(response.encode(keep_alive, request.method == "HEAD"))
        if self._transport is not None:
            self._transport.close()

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._server.handler(request)
        except Exception as error:  # noqa: BLE001 -- a client without an answer would wait for ever
            what = {"message": f"{request.method} {request.raw_path} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)
            return Response(500)


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


_GONE = Request("", "", "", (), b"", "")


def _one_line(value: str) -> str:
    """Return a header's value without line ends: a function must not be able to add headers or a body of its own."""
    return value.replace("\r", " ").replace("\n", " ")
