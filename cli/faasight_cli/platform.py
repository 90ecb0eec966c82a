"""The platform in one process: a store with the collector, the dashboards and the alerts over it."""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import structlog
from faasight_store import Store

from faasight_cli import services
from faasight_cli.late import late_store
from faasight_cli.settings import Settings

log = structlog.get_logger("faasight")

STOP_S = 4.5  # of the five seconds that are promised
_CLOSE_S = 1.0  # of them, for the store


class Service(Protocol):
    """The door that every part has."""

    def start(self) -> None:
        """Return when it is ready; raise one clear error if it cannot be."""

    def stop(self) -> None:
        """Stop in order, within five seconds, losing nothing."""


class Platform:
    """Starts parts by name, in the order given, and stops them together."""

    def __init__(self, settings: Settings, parts: Sequence[str] = services.PARTS, *, worker: int = 0) -> None:
        self._settings = settings
        self._worker = worker  # the number of this collector among several
        self._parts = parts
        self._store: Store | None = None
        self._running: list[tuple[str, Service]] = []

    @property
    def store(self) -> Store:
        """The open store. RuntimeError before the start."""
        if self._store is None:
            raise RuntimeError("the platform has not been started")
        return self._store

    def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Open the store, bring its schema up to date and start the parts; what did start is stopped if one fails."""
        try:
            say(f"opening the store {services.shown(self._settings.store)}")
            self._store = self._open()
            # All are built before one is started: a bad rule file is told before anybody can connect.
            built = [(part, services.build(part, self._settings, self._store, self._worker)) for part in self._parts]
            built += self._metrics([service for _, service in built])
            for part, service in built:
                if part in self._parts:
                    say(f"starting the {part}")
                service.start()
                self._running.append((part, service))
        except BaseException:
            self.stop()
            raise

    def _metrics(self, parts: Sequence[Service]) -> list[tuple[str, Service]]:
        """Return the port for Prometheus, if it is wanted and one of the parts has something to say there."""
        if self._settings.metrics is None or tuple(self._parts) == ("collector",):
            return []
        from faasight_cli.metrics import MetricsServer, registry_of

        registries = [registry for registry in map(registry_of, parts) if registry is not None]
        return [("metrics", MetricsServer(self._settings.metrics, self._settings, registries))]

    def _open(self) -> Store:
        """Open the store and bring its schema up to date. A collector alone need not wait for it: it has a journal."""
        if tuple(self._parts) == ("collector",) and services.data_dir(self._settings) is None:
            return late_store(partial(services.opened, self._settings))
        return services.opened(self._settings)

    def stop(self, within_s: float = STOP_S) -> None:
        """Stop all parts side by side, then close the store; one that fails or hangs does not hinder the others."""
        end = time.monotonic() + within_s
        _together([partial(self._stop_one, *running) for running in self._running], end - _CLOSE_S)
        self._running.clear()
        if self._store is not None:
            _together([self._store.close], end)
            self._store = None

    @staticmethod
    def leave(status: int) -> int:
        """Return the exit status; end the process at once if a thread did not come back from the engine in time.

        The engine's destructors crash under a thread that still runs a query. What was acknowledged is in the journal.
        """
        left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        if left:
            log.debug("ending without waiting for threads", threads=left)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        return status

    @staticmethod
    def _stop_one(part: str, service: Service) -> None:
        try:
            service.stop()
        except Exception:
            log.exception("a part did not stop in order", part=part)


def _together(actions: Sequence[Callable[[], None]], end: float) -> None:
    """Run all at the same time, and wait for them until `end` (monotonic) at most."""
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
