"""One HTTP client: a lean protocol on httptools, because functions send small requests and the cost of each decides.

An ASGI server was measured at 51 us a request here, a bare asyncio protocol at 16.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import httptools
import structlog

from faasight_collector.decompress import too_large
from faasight_collector.errors import INTERNAL, UNIMPLEMENTED, Refusal, overloaded
from faasight_collector.receive.answers import ACCEPTED, Answer
from faasight_collector.receive.heads import Head, Heads, head_of
from faasight_collector.receive.routes import Request, Routes
from faasight_collector.settings import Settings

log = structlog.get_logger()

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_MAX_HEADERS = 32 * 1024  # bytes of one request's target and headers
_MAX_WAITING = 64  # answers that one connection may be owed (pipelining) before it is read further
_UPGRADING = frozenset({b"upgrade", b"connection", b"http2-settings"})
_PIECE = 8 * 1024  # bytes that are parsed at once: hundreds of small requests in one read would hold up all others
_LINGER_S = 2.0
_LARGE = 256 * 1024  # bytes of a body; smaller ones find room in memory even when large ones have filled their share
_LARGE_SHARE = 0.75  # of the memory for bodies
_UNREAD = 64 * 1024  # bytes of a refused body that are read past; for more the connection is not worth keeping
_LEAST_RATE = 64 * 1024  # bytes a second; a body that comes at this rate may take its time
_NOTHING = memoryview(b"")


@dataclass(slots=True)
class Shared:
    """What all connections of a server share."""

    settings: Settings
    routes: Routes
    count: Callable[[str], None]  # of connections that did not end as their clients wished
    places: int  # for connections
    connections: "set[Connection]" = field(default_factory=set)
    buffered: int = 0  # bytes of bodies that are received, announced, or being handled
    stopping: bool = False
    date: bytes = b""  # the header line of this second
    now: float = 0.0  # of the loop's clock, a second exact: enough for time-outs
    heads: Heads = field(default_factory=Heads)
    common: dict[int, bytes] = field(default_factory=dict)  # by id: answers that nearly all get, in this second's bytes

    def renew(self, date: bytes) -> None:
        """Take over the date of a new second."""
        self.date = date
        self.common = {id(answer): answer.encode(date, close=False) for answer in ACCEPTED.values()}


class _Slot:
    """The place of one answer in a connection's order; `data` is None until it is known."""

    __slots__ = ("close", "data", "linger")

    def __init__(self, data: bytes | None = None, *, close: bool = False, linger: bool = False) -> None:
        self.data = data
        self.close = close
        self.linger = linger  # the client is still sending: closing at once would destroy the answer on its way


class _Reply(_Slot):
    """The place of the answer to a whole request; called once, with it."""

    __slots__ = ("_connection", "_request", "_size")

    def __init__(self, connection: "Connection", request: Request, size: int, *, close: bool) -> None:
        self.data = None
        self.close = close
        self.linger = False
        self._connection = connection
        self._request = request
        self._size = size  # bytes of memory that the request takes

    def __call__(self, answer: Answer) -> None:
        """Give the memory back, and send the answer when its turn has come."""
        connection, request = self._connection, self._request
        server = connection.server
        server.buffered -= self._size
        plain = not self.close and not request.extra and request.method == b"POST"
        self.data = (server.common.get(id(answer)) if plain else None) or answer.encode(
            server.date, close=self.close, head_only=request.method == b"HEAD", extra=request.extra
        )
        connection.flush()


class Connection(asyncio.Protocol):
    """One client: requests in, answers out in the same order."""

    def __init__(self, server: Shared, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._slots: deque[_Slot] = deque()
        self._request = Request()
        self._headers: dict[bytes, bytes] = {}  # of the request that the parser reads
        self._target = b""
        self._chunks: list[bytes] = []
        self._size = 0  # bytes received of the body
        self._limit = server.settings.max_body_bytes  # of the request that is being received
        self._held_bytes = 0  # bytes of memory that this request takes, or will
        self._answer: Answer | None = None  # known from the headers alone: the body is not kept
        self._header_bytes = 0
        self._began: float | None = None  # when the request that is being received began
        self.answered_at = server.now  # when a request was last served whole; before, when the connection was made
        self._deaf = False  # what still comes is not read: an error was answered, or the client has said all
        self._lingers_until: float | None = None
        self._paused = False  # not read for now: too many answers are owed, or the client takes none
        self._stuffed = False
        self._held = _NOTHING  # received and not parsed yet
        self._served = 0  # requests of the piece that is being parsed
        self._ended = False  # the client has closed its half
        self._head: Head | None = None  # of a request before
        self._raw_head = b""  # of the request that the parser reads, if it may be remembered
        self._missing = 0  # bytes of a body whose head is one of before: the parser does not see them

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the server's connections."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, but not the base class
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the base class has it
        """Leave them, and let go of what was half received."""
        self.server.connections.discard(self)
        self._drop_body()
        self._slots.clear()
        self._held = _NOTHING
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the on_... methods below."""
        if self._missing and not self._deaf:
            data = self._take_rest(data)
        if self._deaf or not data:
            return
        if self._held:
            self._held = memoryview(bytes(self._held) + data)
            return
        if self._began is None and not self._paused:
            if self._take_known(data):
                return
            self._raw_head = head_of(data)
        self._held = memoryview(data)
        self._feed_held()

    def _take_known(self, data: bytes) -> bool:
        """Take a request whose head is one of before, and that comes alone; False if the parser has to look."""
        head = self._head
        found = None if head is None else head.fit(data)
        if found is None:
            self._head = head = self.server.heads.find(data)
            found = None if head is None else head.fit(data)
        if head is None or found is None or len(data) - found[0] > found[1]:
            return False
        start, length = found
        self._request = request = Request(b"POST", head.path, head.headers)
        self._began = self.server.now
        self._enter(request, length)
        if not self._deaf:
            self._missing = length
            self._take_rest(data[start:])
        return True

    def _take_rest(self, data: bytes) -> bytes:
        """Take more of a body that the parser does not see, and return what follows it."""
        body = data if len(data) <= self._missing else data[: self._missing]
        self._missing -= len(body)
        self.on_body(body)
        if not self._missing and not self._deaf:
            self._complete(keep_alive=True)
        return data[len(body) :]

    def _feed_held(self) -> None:
        """Feed what was received by pieces; after a piece with many requests, let the other connections go first."""
        while self._held and not self._paused and not self._deaf:
            piece, self._held = self._held[:_PIECE], self._held[_PIECE:]
            self._served = 0
            self._feed(piece)
            if self._served > 1:
                self._loop.call_soon(self._feed_held)
                return
        if self._ended and not self._held and not self._deaf and not self.eof_received() and self._transport:
            self._transport.close()

    def _feed(self, data: memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            log.error("a request could not be read", exc_info=error.__context__)
            self._fail(Refusal("internal", "the collector failed on this request", http=500, code=INTERNAL))
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._fail(Refusal("malformed_http", f"this is no valid HTTP request: {error}"))

    def eof_received(self) -> bool:
        """Answer what has arrived even when the client has closed its half; True keeps ours open."""
        self._ended = True
        if self._held and not self._deaf:
            return True  # what was sent before is served first
        self._deaf = True
        if self._began is not None:
            self._drop_body()
            self._began = None
        if not self._slots:
            return False
        self._slots[-1].close = True
        return True

    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        self._stuffed = True
        self._pause()

    def resume_writing(self) -> None:
        """Go on reading."""
        self._stuffed = False
        self._resume()

    # -- httptools callbacks ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start a request."""
        self._headers = {}
        self._request = Request(headers=self._headers)
        self._target = b""
        self._header_bytes = 0
        self._began = self.server.now

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._headers[name.lower()] = value
        self._count_header(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Refuse what gets no further before its body is sent, and say 100 Continue to those who wait for it."""
        request = self._request
        request.method = self._parser.get_method()
        request.path = self._target.partition(b"?")[0]
        if self._parser.should_upgrade():
            return  # it is read again, as if it had not asked
        if self._deaf:
            return
        self._enter(request, int(request.headers.get(b"content-length", b"0")))  # the parser lets digits through alone

    def _enter(self, request: Request, length: int) -> None:
        self._answer = self.server.routes.enter(request)
        self._limit = self.server.routes.limit(request.door)
        if self._answer is not None:
            if length > _UNREAD or b"expect" in request.headers:
                self._close_with(self._answer)
        elif length > self._limit:
            self._fail(too_large(self._limit))
        elif length > _LARGE and not self._reserve(length):
            self._fail(_crowded())
        elif request.headers.get(b"expect", b"").lower() == b"100-continue":
            self._slots.append(_Slot(_CONTINUE))
            self.flush()

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        if self._deaf:
            return
        self._size += len(body)
        if self._answer is not None:
            if self._size > _UNREAD:
                self._close_with(self._answer)
        elif self._size > self._limit:
            self._fail(too_large(self._limit))
        elif self._size > self._held_bytes and not self._reserve(self._size - self._held_bytes):
            self._fail(_crowded())
        else:
            self._chunks.append(body)

    def _reserve(self, size: int) -> bool:
        """Take memory for so much more of the body; small ones find some where large ones do not."""
        server = self.server
        share = 1.0 if self._held_bytes + size <= _LARGE else _LARGE_SHARE
        others = server.buffered - self._held_bytes  # alone, a body of any size that its door allows is taken
        if others and server.buffered + size > share * server.settings.max_buffered_bytes:
            return False
        server.buffered += size
        self._held_bytes += size
        return True

    def on_message_complete(self) -> None:
        """Hand the request on; its answer takes the next place."""
        if self._deaf or self._parser.should_upgrade():
            return
        self._served += 1
        raw, self._raw_head = self._raw_head, b""
        keep_alive = self._parser.should_keep_alive()
        if raw and keep_alive and self._answer is None:
            self._head = self.server.heads.learn(raw, self._request.path, self._request.headers)
        self._complete(keep_alive=keep_alive)

    def _complete(self, *, keep_alive: bool) -> None:
        request, chunks = self._request, self._chunks
        request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._began = None
        size, self._held_bytes = self._held_bytes, 0
        self._size, self._chunks = 0, []
        answer, self._answer = self._answer, None
        self._deaf = close = self.server.stopping or not keep_alive
        reply = _Reply(self, request, size, close=close)
        self._slots.append(reply)
        if len(self._slots) > _MAX_WAITING:
            self._pause()
        if answer is None:
            self.server.routes.handle(request, reply)
        else:
            reply(answer)

    # -- answers ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send all answers that are known and whose turn it is."""
        transport, slots = self._transport, self._slots
        if transport is None:
            return
        while slots and (data := slots[0].data) is not None:
            slot = slots.popleft()
            transport.write(data)
            if slot.close:
                self._end(transport, linger=slot.linger)
                return
        self.answered_at = self.server.now
        if self._paused:
            self._resume()
        if self.server.stopping:
            self.close_if_idle()

    def _end(self, transport: asyncio.Transport, *, linger: bool) -> None:
        """Close after the last answer; if the client may still be sending, hear it out for a moment first."""
        self._slots.clear()
        self._deaf = True
        if linger and not self.server.stopping:
            if transport.can_write_eof():  # not over TLS: there the answer says that the connection ends
                transport.write_eof()
            self._lingers_until = self._loop.time() + _LINGER_S
        else:
            transport.close()

    def _fail(self, refusal: Refusal) -> None:
        """Answer a request that is not read to its end; the connection is of no use after it."""
        self._close_with(self.server.routes.refuse(self._request, refusal))

    def _close_with(self, answer: Answer) -> None:
        self._deaf = True
        self._drop_body()
        self._began = None
        data = answer.encode(self.server.date, close=True, extra=self._request.extra)
        self._slots.append(_Slot(data, close=True, linger=True))
        self.flush()

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADERS and not self._deaf:
            self._fail(Refusal("headers_too_large", f"the headers are larger than {_MAX_HEADERS} bytes", http=431))

    def _drop_body(self) -> None:
        self.server.buffered -= self._held_bytes
        self._size = self._held_bytes = self._missing = 0
        self._chunks = []
        self._answer = None

    def _ignore_upgrade(self, rest: memoryview) -> None:
        """Read a request that offers another protocol as if it did not (Java's client offers HTTP/2 with every POST).

        A server may decline by ignoring it, but the parser stops at the headers' end and would leave the body out.
        """
        request = self._request
        if request.method == b"CONNECT":
            self._fail(Refusal("method", "CONNECT is not allowed", http=405, code=UNIMPLEMENTED))
            return
        kept = {name: value for name, value in request.headers.items() if name not in _UPGRADING}
        lines = [b"%s %s HTTP/1.1\r\n" % (request.method, self._target)]
        lines += [b"%s: %s\r\n" % item for item in kept.items()]
        self._raw_head = b""
        self._parser = httptools.HttpRequestParser(self)
        self._held = memoryview(b"".join([*lines, b"\r\n", rest, self._held]))  # what called us goes on with it

    # -- time and end -------------------------------------------------------------------------------------------------

    def check_time(self, now: float) -> None:
        """Close a connection that has been idle, or has been sending one request, for too long."""
        settings = self.server.settings
        if self._lingers_until is not None:
            if now > self._lingers_until:
                self.abort()
        elif self._began is not None:
            if now - self._began > self._patience_s():
                self._fail(Refusal("slow_request", f"no whole request within {now - self._began:.0f} s", http=408))
        elif not self._slots and now - self.answered_at > settings.idle_timeout_s:
            self.abort()

    def _patience_s(self) -> float:
        """Return how long the request that is being received may take, by what has come of it."""
        settings = self.server.settings
        if not self._request.method:
            return settings.header_timeout_s
        return settings.request_timeout_s + self._size / _LEAST_RATE

    def may_give_way(self, before: float) -> bool:
        """Tell whether nothing is owed to the client, and it was last served before then."""
        return not self._slots and self.answered_at < before and self._transport is not None

    def close_if_idle(self) -> None:
        """Close now if no answer is owed."""
        if not self._slots and self._began is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def _pause(self) -> None:
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._stuffed or len(self._slots) > _MAX_WAITING:
            return
        self._paused = False
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # it is closing
                self._transport.resume_reading()
            if self._held:
                self._loop.call_soon(self._feed_held)


def _crowded() -> Refusal:
    return overloaded("memory_full", "too many large requests at once", retry_after_s=1)
