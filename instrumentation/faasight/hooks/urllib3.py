"""Calls through urllib3, and so through requests: one client span a request, its retries counted within."""

from __future__ import annotations

from functools import wraps

from faasight.complain import complaints
from faasight.context import suppressed
from faasight.hooks import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from types import ModuleType

    from urllib3.connectionpool import HTTPConnectionPool

    from faasight.agent import Agent
    from faasight.tracing import Active

_PORTS = {"http": 80, "https": 443}


def install(module: ModuleType, agent: Agent) -> None:
    """Patch `HTTPConnectionPool.urlopen`, which all ways through urllib3 lead to."""
    pool = module.HTTPConnectionPool
    original = pool.urlopen
    if hasattr(original, "__faasight__"):
        return

    @wraps(original)
    def urlopen(
        self: HTTPConnectionPool,
        method: str,
        url: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *more: object,
        **named: object,
    ) -> object:
        call = None if suppressed.get() else _begin(agent, self, method, url, headers)
        if call is None:
            return original(self, method, url, body, headers, *more, **named)
        active, carried = call
        token = suppressed.set(True)  # urlopen calls itself for a retry or a redirect
        try:
            response: object = original(self, method, url, body, carried, *more, **named)
        except BaseException as error:
            client.end(active, error=_cause(error))
            raise
        else:
            client.end(active, status=getattr(response, "status", 0), resends=_resends(response))
            return response
        finally:
            suppressed.reset(token)

    urlopen.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    pool.urlopen = urlopen


def _begin(
    agent: Agent, pool: HTTPConnectionPool, method: str, url: str, headers: Mapping[str, str] | None
) -> tuple[Active, MutableMapping[str, str]] | None:
    try:
        host, port = pool.host.strip("[]"), pool.port or _PORTS.get(pool.scheme, 0)
        target = url if url.startswith(("http://", "https://")) else f"{pool.scheme}://{pool.host}:{port}{url}"
        active = client.begin(agent, method, target, host, port)
        if active is None:
            return None
        given = pool.headers if headers is None else headers
        # A copy of the same kind: urllib3's own dict may hold a header twice, that of requests knows no case.
        carried: MutableMapping[str, str] = given.copy() if hasattr(given, "copy") else dict(given)
        client.inject(agent, active, carried)
    except Exception as error:  # noqa: BLE001 - the call goes out unobserved
        complaints.failure("urllib3", error)
        return None
    return active, carried


def _cause(error: BaseException) -> BaseException:
    """Return what was wrong at the last attempt: "too many retries" says nothing."""
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, BaseException) else error


def _resends(response: object) -> int:
    history = getattr(getattr(response, "retries", None), "history", None)
    return len(history) if history else 0
