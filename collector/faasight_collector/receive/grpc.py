"""The gRPC server: OTLP's three Export methods, with raw bytes in and out (no message is built but to check it)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, NoReturn

import grpc
import grpc.aio

from faasight_collector import admit
from faasight_collector.access.control import Access
from faasight_collector.access.guard import Grant, Guard
from faasight_collector.errors import Refusal
from faasight_collector.intake import Intake
from faasight_collector.receive.answers import status
from faasight_collector.settings import Settings

METHODS = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_MAX_STREAMS = 128  # calls at once on one connection; each may hold a message
_MAX_METADATA = 16 * 1024  # bytes of a call's headers
_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = grpc.aio.ServicerContext[bytes, bytes]
Export = Callable[[bytes, Context], Awaitable[bytes]]
_GRANT: ContextVar[Grant | None] = ContextVar("grant", default=None)  # whose token the call carries


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
        self._server = grpc.aio.server(
            interceptors=[_Entrance(self._access.guard, self._intake)] if self._access.guard else [],
            options=[
                ("grpc.max_receive_message_length", settings.max_grpc_bytes),
                # Off, or a second collector would get half of the calls, silently.
                ("grpc.so_reuseport", int(settings.share_ports)),
                ("grpc.max_concurrent_streams", _MAX_STREAMS),
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
                    service, {"Export": grpc.unary_unary_rpc_method_handler(_exporter(signal, self._intake))}
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

    async def stop(self, timeout_s: float) -> None:
        """Stop accepting and let running calls finish."""
        if self._server is not None:
            await self._server.stop(timeout_s)


class _Entrance(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Asks for a token before a call's message is read."""

    def __init__(self, guard: Guard, intake: Intake) -> None:
        self._guard = guard
        self._intake = intake

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401  # grpc's handlers have no type
        """Let the call go on, or end it with a status."""
        headers = {
            name.encode(): value if isinstance(value, bytes) else value.encode("latin-1", "replace")
            for name, value in handler_call_details.invocation_metadata
        }
        try:
            _GRANT.set(self._guard.admit(headers))
        except Refusal as refusal:
            service = handler_call_details.method.strip("/").partition("/")[0]
            self._intake.refused(METHODS.get(service, "unknown"), refusal)
            return _refusing(refusal)
        return await continuation(handler_call_details)


def _refusing(refusal: Refusal) -> "grpc.RpcMethodHandler[bytes, bytes]":
    async def refuse(_: bytes, context: Context) -> bytes:
        await _abort(context, refusal)

    return grpc.unary_unary_rpc_method_handler(refuse)


def _exporter(signal: str, intake: Intake) -> Export:
    """Return the handler of one Export method."""

    async def export(request: bytes, context: Context) -> bytes:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Refusal | None] = loop.create_future()

        def done(refusal: Refusal | None) -> None:
            if not answered.done():  # the caller may have gone
                answered.set_result(refusal)

        try:
            payload = admit.protobuf(signal, request)
        except Refusal as refusal:
            intake.refused(signal, refusal)
            await _abort(context, refusal)
        grant = _GRANT.get()
        if grant is not None:
            grant.spend(len(payload))
        intake.accept(signal, payload, done)
        outcome = await answered
        if outcome is not None:
            await _abort(context, outcome)
        return b""  # the empty Export*ServiceResponse

    return export


async def _abort(context: Context, refusal: Refusal) -> NoReturn:
    """End a call with a google.rpc.Status, and a RetryInfo if it may be tried again."""
    trailing = (("grpc-status-details-bin", status(refusal).SerializeToString()),)
    await context.abort(_CODES[refusal.code], str(refusal), trailing)
    raise AssertionError("abort always raises")
