"""Serves the dashboards: a threaded WSGI server that starts ready and stops in order."""

import errno
import ipaddress
import socket
import threading

from faasight_store import Store
from waitress.server import create_server

from faasight_dashboards.app import create_app
from faasight_dashboards.settings import Settings

_STOP_WITHIN_S = 4.0


class ServeError(RuntimeError):
    """The dashboards cannot start; its text says why and what to do."""


class Dashboards:
    """The dashboards over a store; `start()` returns when they answer."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._server: object | None = None
        self._thread: threading.Thread | None = None
