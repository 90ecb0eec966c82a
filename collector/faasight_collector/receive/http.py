"""The HTTP server: it listens, keeps the time for its connections, and ends them in order."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate

from faasight_collector.receive.connection import Connection, Shared
from faasight_collector.receive.routes import Routes
from faasight_collector.settings import Settings

_SWEEP_S = 1.0


class HttpServer:
    """Listens, and holds what all its connections share."""

    def __init__(self, settings: Settings, routes: Routes, *, clock: Callable[[], float] = time.time) -> None:
        self._shared = Shared(settings, routes)
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> tuple[str, int]:
        """Begin to listen and return the address. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._sweep(loop)
        settings = self._shared.settings
        self._server = await loop.create_server(
            lambda: Connection(self._shared, loop), settings.host, settings.http_port, backlog=2048, reuse_port=False
        )
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def stop(self, timeout_s: float) -> None:
        """Stop accepting, let requests that have arrived be answered, then close every connection."""
        self._shared.stopping = True
        if self._server is not None:
            self._server.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        for connection in list(self._shared.connections):
            connection.close_if_idle()
        while self._shared.connections and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._shared.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Renew what changes every second, and close connections that are idle or too slow."""
        self._shared.now = loop.time()
        self._shared.date = b"date: %s\r\n" % formatdate(self._clock(), usegmt=True).encode()
        for connection in list(self._shared.connections):
            connection.check_time(self._shared.now)
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep, loop)
