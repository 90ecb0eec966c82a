"""Calls through httpx, sync and async: one client span a request, at the transport, which sees redirects."""

from __future__ import annotations

from functools import wraps

from faasight.complain import complaints
from faasight.context import suppressed
from faasight.hooks import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from httpx import AsyncHTTPTransport, HTTPTransport, Request, Response

    from faasight.agent import Agent
    from faasight.tracing import Active

_PORTS = {"http": 80, "https": 443}


def install(module: ModuleType, agent: Agent) -> None:
    """Patch the two network transports; mock transports stay as they are."""
    if not hasattr(module.HTTPTransport.handle_request, "__faasight__"):
        _patch_sync(module.HTTPTransport, agent)
        _patch_async(module.AsyncHTTPTransport, agent)


def _patch_sync(transport: type[HTTPTransport], agent: Agent) -> None:
    original = transport.handle_request

    @wraps(original)
    def handle_request(self: HTTPTransport, request: Request) -> Response:
        active = _begin(agent, request)
        if active is None:
            return original(self, request)
        try:
            response = original(self, request)
        except BaseException as error:
            client.end(active, error=error)
            raise
        client.end(active, status=response.status_code)
        return response

    handle_request.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    transport.handle_request = handle_request  # type: ignore[method-assign]  # that is what patching is


def _patch_async(transport: type[AsyncHTTPTransport], agent: Agent) -> None:
    original = transport.handle_async_request

    @wraps(original)
    async def handle_async_request(self: AsyncHTTPTransport, request: Request) -> Response:
        active = _begin(agent, request)
        if active is None:
            return await original(self, request)
        try:
            response = await original(self, request)
        except BaseException as error:
            client.end(active, error=error)
            raise
        client.end(active, status=response.status_code)
        return response

    transport.handle_async_request = handle_async_request  # type: ignore[method-assign]  # that is what patching is


def _begin(agent: Agent, request: Request) -> Active | None:
    if suppressed.get():
        return None
    try:
        url = request.url
        port = url.port or _PORTS.get(url.scheme, 0)
        active = client.begin(agent, request.method, str(url), url.host, port)
        if active is not None:
            client.inject(agent, active, request.headers)
    except Exception as error:  # noqa: BLE001 - the call goes out unobserved
        complaints.failure("httpx", error)
        return None
    return active
