"""Serves the dashboards: a threaded WSGI server that starts ready and stops in order."""

import contextlib
import errno
import ipaddress
import logging
import socket
import threading
from typing import Any

from faasight_store import Store
from flask import Flask
from prometheus_client import CollectorRegistry
from waitress.server import create_server

from faasight_dashboards.ahead import ReadAhead
from faasight_dashboards.app import create_app
from faasight_dashboards.meters import Meters
from faasight_dashboards.settings import Settings

_STOP_WITHIN_S = 4.0


class ServeError(RuntimeError):
    """The dashboards cannot start; its text says what happened, where, and what to do."""


class Dashboards:
    """The dashboards over a store, on a thread."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._meters = Meters()
        self._ahead: ReadAhead | None = None
        self._server: Any = None
        self._channels: dict[int, Any] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._port = settings.port

    @property
    def metrics(self) -> CollectorRegistry:
        """What it tells Prometheus of itself."""
        return self._meters.registry

    @property
    def url(self) -> str:
        """Where to point a browser."""
        host = self._settings.host
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104  # compared, not bound
        return f"http://[{shown}]:{self._port}" if ":" in shown else f"http://{shown}:{self._port}"

    def start(self) -> None:
        """Listen, and return when pages are answered. Raises ServeError."""
        refuse_remote(self._settings)
        listener = _listen(self._settings)
        self._port = listener.getsockname()[1]
        self._ahead = ReadAhead(self._store, self._settings.default_range)
        app = create_app(self._store, self._settings, self._meters, self._ahead)
        _warm_up(app.server)
        _quieten()
        self._stopping.clear()
        self._server = create_server(
            app.server,
            map=self._channels,
            sockets=[listener],
            threads=self._settings.threads,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
        self._thread = threading.Thread(target=self._run, name="dashboards", daemon=True)
        self._thread.start()
        self._ahead.start()

    def stop(self) -> None:
        """Finish the requests under way and close; safe to call twice."""
        if self._thread is None:
            return
        self._stopping.set()
        if self._ahead:
            self._ahead.stop()
        self._server.pull_trigger()
        self._thread.join(_STOP_WITHIN_S)
        self._thread = None
        if self._ahead:
            self._ahead.join()

    def _run(self) -> None:
        loop = self._server.asyncore
        while not self._stopping.is_set():
            # select() ends at descriptor 1,023, and an embedded engine alone may hold as many.
            loop.loop(timeout=1.0, use_poll=True, map=self._channels, count=1)
        self._server.task_dispatcher.shutdown(timeout=_STOP_WITHIN_S / 2)
        loop.close_all(self._channels, ignore_all=True)


def refuse_remote(settings: Settings) -> None:
    """Raise ServeError for an address beyond this machine, unless that is allowed: the pages have no sign-in yet."""
    if settings.allow_remote or settings.host == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(settings.host).is_loopback:
            return
    raise ServeError(
        f"The dashboards have no sign-in yet and would be open to everyone who reaches {settings.host}. "
        "Listen on 127.0.0.1, or allow remote access if a proxy in front asks who is there."
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    place = f"{settings.host}:{settings.port}"
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"Port {settings.port} on {settings.host} is in use by another program: "
                "stop it, or choose another port for the dashboards."
            ) from None
        raise ServeError(
            f"The dashboards cannot listen on {place}: {error.strerror or error}. Choose another address."
        ) from None


def _warm_up(server: Flask) -> None:
    # Dash finishes its set-up in the first request: two at once would answer 500.
    client = server.test_client()
    for path in ("/", "/_dash-layout", "/_dash-dependencies"):
        answer = client.get(path, headers={"Host": "127.0.0.1"})
        if answer.status_code != 200:
            raise ServeError(
                f"The dashboards cannot build {path} (HTTP {answer.status_code}): a fault of ours, please report it."
            )


def _quieten() -> None:
    # Waitress warns of each request that waits for a thread; a page sends a dozen at once.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
