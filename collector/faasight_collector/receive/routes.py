"""The HTTP doors: which path leads where, and what becomes of a request's body."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import structlog

from faasight_collector import admit
from faasight_collector.admit import JSON, PROTOBUF
from faasight_collector.decompress import ENCODINGS, TOO_LARGE, decompress
from faasight_collector.errors import INTERNAL, NOT_FOUND, UNIMPLEMENTED, Refusal
from faasight_collector.intake import Intake
from faasight_collector.receive.answers import ACCEPTED, Answer, refused

log = structlog.get_logger()

Reply = Callable[[Answer], None]
Adapter = Callable[[bytes, Mapping[bytes, bytes]], bytes]  # (body, headers) -> journal payload; raises Refusal
Page = Callable[[], Answer]

_LARGE = 256 * 1024  # bytes of a body; unpacking and checking more would hold up all others on the event loop


@dataclass(slots=True)
class Request:
    """One HTTP request, header names in lower case."""

    method: bytes = b""
    path: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media(self) -> str:
        """The content type without parameters."""
        return admit.media_type(self.headers.get(b"content-type", b"").decode("latin-1"))


@dataclass(frozen=True, slots=True)
class Door:
    """Where a signal comes in, and how its body becomes a journal payload."""

    signal: str
    open: Adapter
    media: frozenset[str]


def otlp_door(signal: str) -> Door:
    """Return the door of an OTLP signal."""

    def unpack(body: bytes, headers: Mapping[bytes, bytes]) -> bytes:
        return admit.otlp(signal, admit.media_type(headers.get(b"content-type", b"").decode("latin-1")), body)

    return Door(signal, unpack, frozenset({PROTOBUF, JSON}))


class Routes:
    """Answers requests: bodies go through a door into the journal, pages are shown."""

    def __init__(
        self,
        doors: Mapping[bytes, Door],
        pages: Mapping[bytes, Page],
        intake: Intake,
        executor: Executor,
        *,
        max_body: int,
    ) -> None:
        self._doors = doors
        self._pages = pages
        self._intake = intake
        self._executor = executor
        self._max_body = max_body

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer a request, now or after the commit that makes it safe; `reply` is called once, on the event loop."""
        door = self._doors.get(request.path)
        if door is None:
            reply(self._page(request))
        elif request.method != b"POST":
            reply(self._wrong_method(request, b"POST", door.signal))
        elif len(request.body) <= _LARGE:
            self._take(door, request, reply)
        else:
            self._take_aside(door, request, reply)

    def refuse(self, request: Request, refusal: Refusal) -> Answer:
        """Return the answer to a request that could not even be read to its end."""
        door = self._doors.get(request.path)
        self._intake.refused(door.signal if door else "unknown", refusal)
        return refused(refusal, request.media)

    def _take(self, door: Door, request: Request, reply: Reply) -> None:
        try:
            payload = self._payload(door, request, min(_LARGE, self._max_body))
        except Refusal as refusal:
            if refusal.reason == TOO_LARGE and self._max_body > _LARGE:
                self._take_aside(door, request, reply)  # it was small only while it was packed
            else:
                reply(self._refused(door, request, refusal))
        except Exception as error:  # noqa: BLE001  # a fault of ours must not take the other connections down
            reply(self._broken(request, error))
        else:
            self._accept(door, request, payload, reply)

    def _take_aside(self, door: Door, request: Request, reply: Reply) -> None:
        def finished(future: "asyncio.Future[bytes]") -> None:
            error = future.exception()
            if isinstance(error, Refusal):
                reply(self._refused(door, request, error))
            elif error is not None:
                reply(self._broken(request, error))
            else:
                self._accept(door, request, future.result(), reply)

        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._executor, self._payload, door, request, self._max_body).add_done_callback(finished)

    def _payload(self, door: Door, request: Request, limit: int) -> bytes:
        if request.media not in door.media:
            wanted = " or ".join(sorted(door.media))
            raise Refusal("content_type", f"content-type {request.media[:60]!r} is not supported: {wanted}", http=415)
        encoding = request.headers.get(b"content-encoding", b"").decode("latin-1")
        body = decompress(encoding, request.body, limit) if encoding else request.body
        return door.open(body, request.headers)

    def _accept(self, door: Door, request: Request, payload: bytes, reply: Reply) -> None:
        media = JSON if request.media != PROTOBUF else PROTOBUF

        def done(refusal: Refusal | None) -> None:
            reply(ACCEPTED[media] if refusal is None else refused(refusal, media))

        self._intake.accept(door.signal, payload, done)

    def _refused(self, door: Door, request: Request, refusal: Refusal) -> Answer:
        self._intake.refused(door.signal, refusal)
        extra = b"accept-encoding: %s\r\n" % ENCODINGS.encode() if refusal.reason == "content_encoding" else b""
        return refused(refusal, request.media, extra)

    def _broken(self, request: Request, error: BaseException) -> Answer:
        log.error("a request could not be handled", path=request.path.decode("latin-1"), exc_info=error)
        refusal = Refusal("internal", "the collector failed on this request; its log says how", http=500, code=INTERNAL)
        self._intake.refused("unknown", refusal)
        return refused(refusal, request.media)

    def _page(self, request: Request) -> Answer:
        page = self._pages.get(request.path)
        if page is None:
            path = request.path[:100].decode("latin-1")
            refusal = Refusal("not_found", f"there is no {path}", http=404, code=NOT_FOUND)
            self._intake.refused("unknown", refusal)
            return refused(refusal, request.media)
        if request.method not in {b"GET", b"HEAD"}:
            return self._wrong_method(request, b"GET, HEAD", "unknown")
        return page()

    def _wrong_method(self, request: Request, allowed: bytes, signal: str) -> Answer:
        text = f"{request.method.decode('latin-1')} is not allowed here: {allowed.decode()}"
        refusal = Refusal("method", text, http=405, code=UNIMPLEMENTED)
        self._intake.refused(signal, refusal)
        return refused(refusal, request.media, b"allow: %s\r\n" % allowed)
