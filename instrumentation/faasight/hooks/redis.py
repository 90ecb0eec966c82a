"""Commands through redis-py, sync and async: the command's name, never its keys and values."""

from __future__ import annotations

from faasight.hooks import database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.tracing import Active


def install(module: ModuleType, _: Agent) -> None:
    """Patch what sends a command, and what sends a pipeline of them."""
    for family in (module, getattr(module, "asyncio", None)):
        if family is None:
            continue
        database.patch(family.Redis, "execute_command", _command)
        database.patch(family.client.Pipeline, "execute", _pipeline)
        if hasattr(family, "RedisCluster"):
            database.patch(family.RedisCluster, "execute_command", _command)


def _command(client: Any, args: tuple[Any, ...], _: dict[str, Any]) -> Active | None:  # noqa: ANN401 - untyped
    name = args[0].decode("utf-8", "replace") if isinstance(args[0], bytes) else str(args[0])
    return _begin(client, name.upper())


def _pipeline(pipeline: Any, _: tuple[Any, ...], __: dict[str, Any]) -> Active | None:  # noqa: ANN401 - untyped
    count = len(pipeline.command_stack)
    if not count:
        return None
    together = getattr(pipeline, "is_transaction", getattr(pipeline, "transaction", False))  # async, sync
    active = _begin(pipeline, "MULTI" if together or pipeline.explicit_transaction else "PIPELINE")
    if active is not None:
        active.span.attributes["db.operation.batch.size"] = count
    return active


def _begin(client: Any, operation: str) -> Active | None:  # noqa: ANN401 - untyped
    pool = getattr(client, "connection_pool", None)
    place = pool.connection_kwargs if pool is not None else {}  # a cluster has a pool a node
    host, port = place.get("host") or place.get("path") or "", place.get("port") or 0
    active = database.begin("redis", operation, "", str(place.get("db") or 0), str(host), int(port))
    if active is not None:
        active.span.name = operation
    return active
