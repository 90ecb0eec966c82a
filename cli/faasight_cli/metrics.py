"""`GET /metrics` of the dashboards and the alerts, which have no Prometheus port of their own: FAASIGHT_METRICS."""

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from faasight_collector.access.address import is_loopback
from faasight_collector.access.guard import Guard
from faasight_collector.access.tokens import METRICS
from faasight_collector.errors import Refusal
from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app

from faasight_cli.errors import SettingError
from faasight_cli.settings import Address, Settings

Wsgi = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

_TEXT = ("Content-Type", "text/plain; charset=utf-8")


class MetricsServer:
    """A part of the platform beside the others: it answers Prometheus, and nobody else."""

    def __init__(self, address: Address, settings: Settings, registries: Sequence[CollectorRegistry]) -> None:
        """Put the registries together. Raises SettingError or TokenFileError."""
        if not (is_loopback(address.host) or settings.allow_remote or settings.tokens):
            raise SettingError(
                f"FAASIGHT_METRICS is {str(address)!r}, where other machines could read it without being asked who they"
                " are: set FAASIGHT_TOKENS and make a token with `faasight tokens create NAME --for metrics`, or set"
                " FAASIGHT_ALLOW_REMOTE=yes if a network of your own guards it"
            )
        self.address = address  # with the port that was taken, once it has started
        together = CollectorRegistry()
        ProcessCollector(registry=together)
        for registry in registries:
            together.register(registry)
        guard = Guard(settings.tokens) if settings.tokens else None
        self._app = _application(make_wsgi_app(together), guard)
        self._server: WSGIServer | None = None

    def start(self) -> None:
        """Listen, and answer on threads. Raises SettingError."""
        host, port = self.address.host, self.address.port
        kind = _Six if ":" in host else _Server
        try:
            self._server = make_server(host, port, self._app, server_class=kind, handler_class=_Handler)
        except OSError as error:
            raise SettingError(
                f"FAASIGHT_METRICS is {str(self.address)!r}, and cannot be listened on: {error.strerror or error}."
                " Choose another address."
            ) from None
        self.address = Address(host, self._server.server_port)
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Close; safe to call twice."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, and ask no name server what this machine is called, as the base class does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # of an INET socket
        self.setup_environ()


class _Six(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10.0  # of a client that says nothing

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Stay silent: Prometheus asks every few seconds."""


def _application(metrics: Wsgi, guard: Guard | None) -> Wsgi:
    lock = threading.Lock()  # the guard has none

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            return _say(start, "404 Not Found", "metrics are at /metrics")
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _say(start, "405 Method Not Allowed", "metrics are read with GET", ("Allow", "GET, HEAD"))
        if guard is not None:
            try:
                with lock:
                    guard.refresh()
                    guard.admit({b"authorization": environ.get("HTTP_AUTHORIZATION", "").encode("latin-1")}, METRICS)
            except Refusal as refusal:
                return _say(start, _STATUS[refusal.http], str(refusal), *_ASKS.get(refusal.http, ()))
        return metrics(environ, start)

    return answer


_STATUS = {401: "401 Unauthorized", 403: "403 Forbidden", 429: "429 Too Many Requests"}
_ASKS = {401: (("WWW-Authenticate", "Bearer"),)}


def _say(start: StartResponse, status: str, text: str, *headers: tuple[str, str]) -> list[bytes]:
    body = f"{text}\n".encode()
    start(status, [_TEXT, ("Content-Length", str(len(body))), *headers])
    return [body]


def registry_of(part: Any) -> CollectorRegistry | None:  # noqa: ANN401  # whatever a part is
    """Return what a part tells of itself here; None for the collector, which has a page of its own."""
    found = getattr(part, "metrics", None)
    return found if isinstance(found, CollectorRegistry) else None
