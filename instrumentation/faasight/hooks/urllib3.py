"""Calls through urllib3, and so through requests: one client span a request, its retries counted within."""

from __future__ import annotations

from functools import wraps

from faasight.complain import complaints
from faasight.context import suppressed
from faasight.hooks import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.tracing import Active


def install(module: ModuleType, agent: Agent) -> None:
    """Patch `HTTPConnectionPool.urlopen`, which all ways through urllib3 lead to."""
    pool = module.HTTPConnectionPool
    original = pool.urlopen
    if hasattr(original, "__faasight__"):
        return

    @wraps(original)
    def urlopen(
        self: Any, method: str, url: str, body: Any = None, headers: Any = None, *more: Any, **named: Any
    ) -> Any:
        call = None if suppressed.get() else _begin(agent, self, method, url, headers)
        if call is None:
            return original(self, method, url, body, headers, *more, **named)
        active, headers = call
        token = suppressed.set(True)  # urlopen calls itself for a retry or a redirect
        try:
            response = original(self, method, url, body, headers, *more, **named)
        except BaseException as error:
            client.end(active, error=error)
            raise
        else:
            client.end(active, status=getattr(response, "status", 0), resends=_resends(response))
            return response
        finally:
            suppressed.reset(token)

    urlopen.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    pool.urlopen = urlopen


def _begin(agent: Agent, pool: Any, method: str, url: str, headers: Any) -> tuple[Active, Any] | None:
    try:
        target = url if url.startswith(("http://", "https://")) else f"{pool.scheme}://{_netloc(pool)}{url}"
        active = client.begin(
            agent, method, target, pool.host.strip("[]"), pool.port or (443 if pool.scheme == "https" else 80)
        )
        if active is None:
            return None
        given = pool.headers if headers is None else headers
        carried = given.copy()
        client.inject(agent, active, carried)
    except Exception as error:  # noqa: BLE001 - the call goes out unobserved
        complaints.failure("urllib3", error)
        return None
    return active, carried


def _netloc(pool: Any) -> str:
    return f"{pool.host}:{pool.port}" if pool.port else str(pool.host)


def _resends(response: Any) -> int:
    history = getattr(getattr(response, "retries", None), "history", None)
    return len(history) if history else 0
