"""Calls through aiohttp's client, by its own tracing: one client span a request, redirects within."""

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
    """Give each new session our trace config, beside those that it has."""
    session = module.ClientSession
    original = session.__init__
    if hasattr(original, "__faasight__"):
        return
    ours = _config(module, agent)

    @wraps(original)
    def __init__(self: Any, *args: Any, **named: Any) -> None:  # noqa: ANN401, N807 - aiohttp's own signature
        named["trace_configs"] = [*(named.get("trace_configs") or ()), ours]
        original(self, *args, **named)

    __init__.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    session.__init__ = __init__


def _config(module: ModuleType, agent: Agent) -> Any:  # noqa: ANN401 - the module is the user's
    async def start(_: Any, context: Any, told: Any) -> None:  # noqa: ANN401 - untyped here
        context.active = None if suppressed.get() else _begin(agent, told)

    async def end(_: Any, context: Any, told: Any) -> None:  # noqa: ANN401
        if context.active is not None:
            client.end(context.active, status=told.response.status)

    async def failed(_: Any, context: Any, told: Any) -> None:  # noqa: ANN401
        if context.active is not None:
            client.end(context.active, error=told.exception)

    config = module.TraceConfig()
    config.on_request_start.append(start)
    config.on_request_end.append(end)
    config.on_request_exception.append(failed)
    return config


def _begin(agent: Agent, told: Any) -> Active | None:  # noqa: ANN401 - untyped here
    try:
        active = client.begin(agent, told.method, str(told.url), told.url.host or "", told.url.port or 0)
        if active is not None:
            client.inject(agent, active, told.headers)
    except Exception as error:  # noqa: BLE001 - the call goes out unobserved
        complaints.failure("aiohttp", error)
        return None
    return active
