"""The gRPC server: OTLP's three Export methods, with raw bytes in and out (no message is built but to check it)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from faasight_collector import admit
from faasight_collector.errors import Refusal
from faasight_collector.intake import Intake
from faasight_collector.settings import Settings

METHODS = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = grpc.aio.ServicerContext[bytes, bytes]
Export = Callable[[bytes, Context], Awaitable[bytes]]


class GrpcServer:
    """Listens for OTLP/gRPC on the running event loop."""

    def __init__(self, settings: Settings, intake: Intake) -> None:
        self._settings = settings
        self._intake = intake
        self._server: Any = None  # grpc.aio.Server; its stubs leave some of its methods untyped

    async def start(self) -> tuple[str, int]:
        """Begin to listen and return the address. Raises OSError."""
        settings = self._settings
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_grpc_bytes),
                ("grpc.so_reuseport", 0),  # else a second collector would get half of the calls, silently
                ("grpc.max_concurrent_streams", 1024),
            ]
        )
        self._server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    service, {"Export": grpc.unary_unary_rpc_method_handler(_exporter(signal, self._intake))}
                )
                for service, signal in METHODS.items()
            )
        )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            port = self._server.add_insecure_port(f"{host}:{settings.grpc_port}")
        except RuntimeError as error:
            raise OSError(str(error)) from error
        await self._server.start()
        return settings.host, port

    async def stop(self, timeout_s: float) -> None:
        """Stop accepting and let running calls finish."""
        if self._server is not None:
            await self._server.stop(timeout_s)


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
        intake.accept(signal, payload, done)
        outcome = await answered
        if outcome is not None:
            await _abort(context, outcome)
        return b""  # the empty Export*ServiceResponse

    return export


async def _abort(context: Context, refusal: Refusal) -> NoReturn:
    """End a call with a google.rpc.Status, and a RetryInfo if it may be tried again."""
    status = Status(code=refusal.code, message=str(refusal))
    if refusal.retry_after_s is not None:
        detail = AnyMessage()
        detail.Pack(RetryInfo(retry_delay=Duration(seconds=refusal.retry_after_s)))
        status.details.append(detail)
    trailing = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(_CODES[refusal.code], str(refusal), trailing)
    raise AssertionError("abort always raises")
