"""The HTTP doors: which path leads where, and what becomes of a request's body."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from faasight_collector import admit
from faasight_collector.access.control import Access
from faasight_collector.access.guard import Grant
from faasight_collector.access.tokens import METRICS
from faasight_collector.admit import JSON, PROTOBUF
from faasight_collector.decompress import ENCODINGS, TOO_LARGE, decompress
from faasight_collector.errors import INTERNAL, NOT_FOUND, UNIMPLEMENTED, Refusal
from faasight_collector.intake import Intake
from faasight_collector.parts import Delivery, Part
from faasight_collector.receive.answers import ACCEPTED, TEXT, Answer, refused

log = structlog.get_logger()

Reply = Callable[[Answer], None]
Payload = bytes | Iterable[Part]  # what the journal keeps: of one signal, or of several
Adapter = Callable[[bytes, Mapping[bytes, bytes]], Payload]  # (body, headers); raises Refusal, as its parts may
Page = Callable[[], Answer]

OPEN_PAGES = frozenset({b"/healthz", b"/readyz"})  # whoever watches over a process need not know a token
_LARGE = 256 * 1024  # bytes of a body; unpacking and checking more would hold up all others on the event loop


@dataclass(slots=True)
class Request:
    """One HTTP request, header names in lower case."""

    method: bytes = b""
    path: bytes = b""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    door: "Door | None" = None  # where it goes; None: to a page
    grant: Grant | None = None  # whose token it carries, if tokens are asked for
    extra: bytes = b""  # header lines that its answer carries, whatever it says

    @property
    def media(self) -> str:
        """The content type without parameters."""
        return admit.media_of(self.headers.get(b"content-type", b""))


class Replies(Protocol):
    """How a door answers; OTLP's way unless its input asks for another."""

    def accepted(self, request: Request) -> Answer:
        """Return the answer to a request whose payload is safe."""

    def refused(self, request: Request, refusal: Refusal, headers: bytes = b"") -> Answer:
        """Return the answer to a request that is not accepted."""


class OtlpReplies:
    """An empty response, or a google.rpc.Status, in the encoding of the request."""

    def accepted(self, request: Request) -> Answer:
        """Return 200 and the empty message."""
        return ACCEPTED[PROTOBUF if request.media == PROTOBUF else JSON]

    def refused(self, request: Request, refusal: Refusal, headers: bytes = b"") -> Answer:
        """Return a google.rpc.Status."""
        return refused(refusal, request.media, headers)


_OTLP = OtlpReplies()


@dataclass(frozen=True, slots=True)
class Door:
    """Where a signal comes in, how its body becomes a journal payload, and how it is answered.

    One with `one_by_one` takes large bodies as a stream of parts: its requests wait for each other.
    """

    signal: str
    open: Adapter
    media: frozenset[str]
    replies: Replies = _OTLP
    max_body: int | None = None  # bytes, if not those of the settings
    one_by_one: bool = False


def otlp_door(signal: str) -> Door:
    """Return the door of an OTLP signal."""

    def unpack(body: bytes, headers: Mapping[bytes, bytes]) -> bytes:
        return admit.otlp(signal, admit.media_of(headers.get(b"content-type", b"")), body)

    return Door(signal, unpack, frozenset({PROTOBUF, JSON}))


class Routes:
    """Answers requests: bodies go through a door into the journal, pages are shown."""

    def __init__(
        self,
        doors: Mapping[bytes, Door],
        pages: Mapping[bytes, Page],
        intake: Intake,
        executor: Executor,
        one_by_one: Executor,
        *,
        max_body: int,
        access: Access,
    ) -> None:
        self._doors = doors
        self._pages = pages
        self._intake = intake
        self._executor = executor
        self._one_by_one = one_by_one
        self._max_body = max_body
        self._guard = access.guard
        self._origins = access.origins

    def enter(self, request: Request) -> Answer | None:
        """Look at a request whose headers are there: return the answer if it gets no further, else None.

        What is refused here costs no memory, however large its body is.
        """
        request.door = door = self._doors.get(request.path)
        signal = door.signal if door else "unknown"
        try:
            if door is None:
                self._enter_page(request)
            elif b"origin" in request.headers and self._is_preflight(request):
                return Answer(204, TEXT, b"", self._origins.preflight(request.headers))
            elif request.method != b"POST":
                raise _wrong_method(request, b"POST")
            elif self._guard is not None:
                request.grant = self._guard.admit(request.headers)
        except Refusal as refusal:
            self._intake.refused(signal, refusal)
            return (door.replies if door else _OTLP).refused(request, refusal, refusal.headers)
        return None

    def _enter_page(self, request: Request) -> None:
        if request.path not in self._pages:
            path = request.path[:100].decode("latin-1")
            raise Refusal("not_found", f"there is no {path}", http=404, code=NOT_FOUND)
        if request.method not in {b"GET", b"HEAD"}:
            raise _wrong_method(request, b"GET, HEAD")
        if self._guard is not None and request.path not in OPEN_PAGES:
            self._guard.admit(request.headers, METRICS)

    def _is_preflight(self, request: Request) -> bool:
        request.extra = self._origins.check(request.headers[b"origin"])
        return request.method == b"OPTIONS" and b"access-control-request-method" in request.headers

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer a request that got in; `reply` is called once, on the event loop, now or when the body is safe."""
        door = request.door
        if door is None:
            reply(self._page(request))
        elif len(request.body) <= _LARGE and not door.one_by_one:
            self._take(door, request, reply)
        else:
            self._take_aside(door, request, reply)

    def _page(self, request: Request) -> Answer:
        try:
            return self._pages[request.path]()
        except Exception as error:  # noqa: BLE001  # the connection would wait for its answer for ever
            return _OTLP.refused(request, self._fault(request, error))

    def limit(self, door: Door | None) -> int:
        """Return how many bytes a body may have that goes through a door."""
        return (door.max_body if door else None) or self._max_body

    def refuse(self, request: Request, refusal: Refusal) -> Answer:
        """Return the answer to a request that could not even be read to its end."""
        door = request.door
        self._intake.refused(door.signal if door else "unknown", refusal)
        return (door.replies if door else _OTLP).refused(request, refusal)

    def _take(self, door: Door, request: Request, reply: Reply) -> None:
        try:
            payload = self._payload(door, request, min(_LARGE, self._max_body))
            if not isinstance(payload, bytes):
                payload = list(payload)  # so that nothing is kept of what cannot be read to its end
        except Refusal as refusal:
            if refusal.reason == TOO_LARGE and self._max_body > _LARGE:
                self._take_aside(door, request, reply)  # it was small only while it was packed
            else:
                reply(self._refused(door, request, refusal))
        except Exception as error:  # noqa: BLE001  # a fault of ours must not take the other connections down
            reply(self._broken(door, request, error))
        else:
            self._accept(door, request, payload, reply)

    def _take_aside(self, door: Door, request: Request, reply: Reply) -> None:
        loop = asyncio.get_running_loop()

        def finished(future: "asyncio.Future[Payload | None]") -> None:
            error = future.exception()
            if isinstance(error, Refusal):
                reply(self._refused(door, request, error))
            elif error is not None:
                reply(self._broken(door, request, error))
            elif (payload := future.result()) is not None:
                self._accept(door, request, payload, reply)

        def later(answer: Answer) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the connection
                loop.call_soon_threadsafe(reply, answer)

        def unpack() -> Payload | None:
            payload = self._payload(door, request, self.limit(door))
            if isinstance(payload, bytes):
                return payload
            if not door.one_by_one:
                return list(payload)
            self._stream(door, request, payload, later)
            return None

        executor = self._one_by_one if door.one_by_one else self._executor
        loop.run_in_executor(executor, unpack).add_done_callback(finished)

    def _stream(self, door: Door, request: Request, parts: Iterable[Part], reply: Reply) -> None:
        """Hand parts on while they are read, so that one piece of a large body is in memory at a time."""
        delivery = Delivery(self._intake, _Done(door, request, reply), patient=True)
        failure: Refusal | None = None
        try:
            for part in parts:
                delivery.add(part)
        except Refusal as refusal:
            self._intake.refused(door.signal, refusal)
            failure = refusal
        except Exception as error:  # noqa: BLE001  # the answer must come
            failure = self._fault(request, error)
        delivery.close(failure)

    def _payload(self, door: Door, request: Request, limit: int) -> Payload:
        if request.media not in door.media:
            wanted = " or ".join(sorted(door.media))
            raise Refusal("content_type", f"content-type {request.media[:60]!r} is not supported: {wanted}", http=415)
        encoding = request.headers.get(b"content-encoding")
        body = decompress(encoding.decode("latin-1"), request.body, limit) if encoding else request.body
        if request.grant is not None:
            request.grant.spend(len(body))
        return door.open(body, request.headers)

    def _accept(self, door: Door, request: Request, payload: Payload, reply: Reply) -> None:
        done = _Done(door, request, reply)
        if isinstance(payload, bytes):
            try:
                self._intake.accept(door.signal, payload, done)
            except Exception as error:  # noqa: BLE001  # the answer must come
                done(self._fault(request, error))
            return
        delivery = Delivery(self._intake, done, patient=False)
        failure: Refusal | None = None
        try:
            for part in payload:
                delivery.add(part)
        except Refusal as refusal:  # of a part before, which has been counted
            failure = refusal
        except Exception as error:  # noqa: BLE001  # the answer must come
            failure = self._fault(request, error)
        delivery.close(failure)

    def _refused(self, door: Door, request: Request, refusal: Refusal) -> Answer:
        self._intake.refused(door.signal, refusal)
        extra = b"accept-encoding: %s\r\n" % ENCODINGS.encode() if refusal.reason == "content_encoding" else b""
        return door.replies.refused(request, refusal, extra)

    def _broken(self, door: Door, request: Request, error: BaseException) -> Answer:
        return door.replies.refused(request, self._fault(request, error))

    def _fault(self, request: Request, error: BaseException) -> Refusal:
        log.error("a request could not be handled", path=request.path.decode("latin-1"), exc_info=error)
        refusal = Refusal("internal", "the collector failed on this request; its log says how", http=500, code=INTERNAL)
        self._intake.refused("unknown", refusal)
        return refusal


class _Done:
    """Answers a request when it is told what became of it; an object, for each request has one until it is safe."""

    __slots__ = ("_door", "_reply", "_request")

    def __init__(self, door: Door, request: Request, reply: Reply) -> None:
        self._door = door
        self._request = request
        self._reply = reply

    def __call__(self, refusal: Refusal | None) -> None:
        """Answer."""
        replies, request = self._door.replies, self._request
        self._reply(replies.accepted(request) if refusal is None else replies.refused(request, refusal))


def _wrong_method(request: Request, allowed: bytes) -> Refusal:
    text = f"{request.method.decode('latin-1')} is not allowed here: {allowed.decode()}"
    headers = b"allow: %s\r\n" % allowed
    return Refusal("method", text, http=405, code=UNIMPLEMENTED, headers=headers)
