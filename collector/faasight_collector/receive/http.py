"""The HTTP server: it listens, keeps the time for its connections, and ends them in order."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate

from faasight_collector.access.control import Access
from faasight_collector.receive import files
from faasight_collector.receive.accept import Acceptor, listening
from faasight_collector.receive.connection import Connection, Shared
from faasight_collector.receive.routes import Routes
from faasight_collector.settings import Settings

_SWEEP_S = 1.0


class HttpServer:
    """Listens, and holds what all its connections share."""

    def __init__(
        self, settings: Settings, routes: Routes, access: Access, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.ended: Counter[str] = Counter()  # connections that we ended early, by reason
        self._shared = Shared(settings, routes, self._count, settings.max_connections)
        self._access = access
        self._clock = clock
        self._acceptor: Acceptor | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> tuple[str, int]:
        """Begin to listen and return the address. Raises OSError."""
        loop, settings = asyncio.get_running_loop(), self._shared.settings
        listeners = await listening(settings.host, settings.http_port, share=settings.share_ports)
        self._shared.places = files.places(settings.max_connections)
        self._sweep(loop)
        self._acceptor = Acceptor(self._shared, lambda: Connection(self._shared, loop), self._context)
        self._acceptor.start(listeners)
        name = listeners[0].getsockname()
        return name[0], name[1]

    async def stop(self, timeout_s: float) -> None:
        """Stop accepting, let requests that have arrived be answered, then close every connection."""
        self._shared.stopping = True
        if self._acceptor is not None:
            self._acceptor.stop()
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

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._shared.connections)

    def _count(self, reason: str) -> None:
        self.ended[reason] += 1

    def _context(self) -> ssl.SSLContext | None:
        certificates = self._access.certificates
        return None if certificates is None else certificates.context

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Renew what changes every second, and close connections that are idle or too slow."""
        self._shared.now = loop.time()
        self._shared.renew(b"date: %s\r\n" % formatdate(self._clock(), usegmt=True).encode())
        self._access.refresh()
        for connection in list(self._shared.connections):
            connection.check_time(self._shared.now)
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep, loop)
