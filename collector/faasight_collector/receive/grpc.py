"""The gRPC server: OTLP's three Export methods, with raw bytes in and out (no message is built but to check it)."""

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from faasight_collector import admit
from faasight_collector.access.control import Access
from faasight_collector.access.guard import Guard
from faasight_collector.errors import Refusal
from faasight_collector.intake import Intake
from faasight_collector.receive.answers import status
from faasight_collector.receive.readers import Readers
from faasight_collector.settings import Settings

METHODS = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_MAX_STREAMS = 128  # calls at once on one connection
_READERS = 8  # messages that are read at once, each up to `max_grpc_bytes`
_KEPT = 6  # of them, large ones that wait for the disk; through the others small ones pass
_LARGE = 256 * 1024  # bytes of a message that keeps its place until it is safe: so few of them are in memory
_LOOKAHEAD = 64 * 1024  # bytes of a call that are taken before it is read
_MAX_METADATA = 16 * 1024  # bytes of a call's headers
_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcServer:
    """Listens for OTLP/gRPC on the running event loop."""

    def __init__(self, settings: Settings, intake: Intake, access: Access) -> None:
        self._settings = settings
        self._intake = intake
        self._access = access
        self._server: Any = None  # grpc.aio.Server; its stubs leave some of its methods untyped

    async def start(self) -> tuple[str, int]:
        """Begin to listen and return the address. Raises OSError."""
        settings = self._settings
        readers = Readers(_READERS, settings.request_timeout_s, kept=_KEPT)
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_grpc_bytes),
                # Off, or a second collector would get half of the calls, silently.
                ("grpc.so_reuseport", int(settings.share_ports)),
                ("grpc.max_concurrent_streams", _MAX_STREAMS),
                # What is not read yet stays with its sender; else windows grow until each call's message is in memory.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", _LOOKAHEAD),
                ("grpc.max_metadata_size", _MAX_METADATA),
                ("grpc.absolute_max_metadata_size", 2 * _MAX_METADATA),
                ("grpc.max_allowed_incoming_connections", settings.max_grpc_connections),
                ("grpc.max_connection_idle_ms", int(settings.idle_timeout_s * 1000)),
                ("grpc.server_handshake_timeout_ms", int(settings.handshake_timeout_s * 1000)),
                # A client that has vanished without a word is found out, and its place given back.
                ("grpc.keepalive_time_ms", int(settings.idle_timeout_s * 1000)),
                ("grpc.keepalive_timeout_ms", int(settings.handshake_timeout_s * 1000)),
            ],
        )
        self._server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    service, {"Export": grpc.stream_unary_rpc_method_handler(self._exporter(signal, readers).export)}
                )
                for service, signal in METHODS.items()
            )
        )
        host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
        address, certificates = f"{host}:{settings.grpc_port}", self._access.certificates
        try:
            if certificates is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, certificates.for_grpc())
        except RuntimeError as error:
            raise OSError(str(error)) from error
        await self._server.start()
        return settings.grpc_host, port

    def _exporter(self, signal: str, readers: Readers) -> "_Exporter":
        return _Exporter(signal, self._intake, self._access.guard, readers)

    async def stop(self, timeout_s: float) -> None:
        """Stop accepting and let running calls finish."""
        if self._server is not None:
            await self._server.stop(timeout_s)


class _Exporter:
    """One Export method: asks for a token, reads, checks, and answers when the message is safe."""

    def __init__(self, signal: str, intake: Intake, guard: Guard | None, readers: Readers) -> None:
        self._signal = signal
        self._intake = intake
        self._guard = guard
        self._readers = readers

    async def export(self, _: object, context: Context) -> bytes:
        """Return the empty Export*ServiceResponse, or end the call with a status.

        To grpcio it is a stream of one message: what is not a stream, it reads before it asks us.
        """
        try:
            grant = None if self._guard is None else self._guard.admit(_headers(context))
            message = await self._readers.read(context.read, _is_large)
            leave = self._readers.let_go if _is_large(message) else _nothing
            payload = self._checked(message, leave)
        except Refusal as refusal:
            self._intake.refused(self._signal, refusal)
            await _abort(context, refusal)
        if grant is not None:
            grant.spend(len(payload))
        answered: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()

        def done(refusal: Refusal | None) -> None:
            leave()
            if not answered.done():  # the caller may have gone
                answered.set_result(refusal)

        try:
            self._intake.accept(self._signal, payload, done)
        except BaseException:
            if not answered.done():
                leave()  # a fault of ours must not take the place along
            raise
        del message, payload  # the journal has it; there may be many that wait
        outcome = await answered
        if outcome is not None:
            await _abort(context, outcome)
        return b""

    def _checked(self, message: object, leave: Callable[[], None]) -> bytes:
        try:
            if not isinstance(message, bytes):  # grpc.aio.EOF
                raise Refusal("malformed_grpc", "the call has no message")
            return admit.protobuf(self._signal, message)
        except BaseException:
            leave()
            raise


def _is_large(message: object) -> bool:
    return isinstance(message, bytes) and len(message) > _LARGE


def _nothing() -> None:
    pass


def _headers(context: Context) -> dict[bytes, bytes]:
    return {
        name.encode(): value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        for name, value in context.invocation_metadata() or ()
    }


async def _abort(context: Context, refusal: Refusal) -> NoReturn:
    """End a call with a google.rpc.Status, and a RetryInfo if it may be tried again."""
    trailing = (("grpc-status-details-bin", status(refusal).SerializeToString()),)
    await context.abort(_CODES[refusal.code], str(refusal), trailing)
    raise AssertionError("abort always raises")
