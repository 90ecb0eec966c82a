"""The event loop's thread: both servers run on it, and commits wake it once for all their requests."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Sequence

from faasight_collector.errors import AddressError
from faasight_collector.journal import Outcome
from faasight_collector.receive.grpc import GrpcServer
from faasight_collector.receive.http import HttpServer
from faasight_collector.settings import Settings


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop()  # the other one has no add_reader
    import uvloop  # not made for Windows

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class Listener:
    """Runs the HTTP and the gRPC server in a thread of their own."""

    def __init__(self, settings: Settings, http: HttpServer, grpc: GrpcServer | None) -> None:
        self._settings = settings
        self._http = http
        self._grpc = grpc
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stop_timeout_s = 0.0
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="faasight-receive", daemon=True)
        self.http_address = ""
        self.grpc_address = ""

    def start(self) -> None:
        """Return when both ports are open. Raises AddressError."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self, timeout_s: float) -> None:
        """Take no more, answer what has arrived, and end the thread."""
        loop, stop = self._loop, self._stop
        if loop is None or stop is None or not self._thread.is_alive():
            return
        self._stop_timeout_s = timeout_s
        with contextlib.suppress(RuntimeError):  # it has ended already
            loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Tell requests what became of their records, on the loop; called by the journal's thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: so have its connections
                self._loop.call_soon_threadsafe(_call_all, outcomes)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # raised again by start()
            self._error = self._error or error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            self.http_address = await _opened("HTTP", self._settings.http_port, self._http)
            if self._grpc is not None:
                self.grpc_address = await _opened("gRPC", self._settings.grpc_port, self._grpc)
            self._ready.set()
            await self._stop.wait()
        finally:
            servers: list[HttpServer | GrpcServer] = [self._http]
            if self._grpc is not None:
                servers.append(self._grpc)
            await asyncio.gather(*(server.stop(self._stop_timeout_s) for server in servers))


async def _opened(name: str, port: int | None, server: HttpServer | GrpcServer) -> str:
    try:
        host, bound = await server.start()
    except OSError as error:
        message = (
            f"The collector cannot listen for OTLP/{name} on port {port}: {error.strerror or error}. "
            "Stop what uses that port, or choose another."
        )
        raise AddressError(message) from error
    return f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"


def _call_all(outcomes: Sequence[Outcome]) -> None:
    for done, refusal in outcomes:
        done(refusal)
