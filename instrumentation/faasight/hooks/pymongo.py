"""Commands through PyMongo, sync and async, by its own command monitoring."""

from __future__ import annotations

from faasight.complain import complaints
from faasight.hooks import database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.tracing import Active

_HANDSHAKE = frozenset({"hello", "ismaster", "isMaster", "saslStart", "saslContinue", "authenticate", "endSessions"})
# Commands whose first value is a collection's name (MongoDB manual, database commands); of others it may be anything.
_OF_COLLECTION = frozenset({
    "aggregate", "count", "create", "createIndexes", "delete", "distinct", "drop", "dropIndexes", "find",
    "findAndModify", "insert", "listIndexes", "mapReduce", "update",
})  # fmt: skip
_MAX_OPEN = 1_000  # commands whose end was never told


def install(module: ModuleType, _: Agent) -> None:
    """Register a listener for the clients that are made from now on."""

    class Listener(module.CommandListener):  # type: ignore[name-defined, misc]  # the module is the user's
        def __init__(self) -> None:
            self._open: dict[tuple[Any, ...], Active] = {}

        def started(self, event: Any) -> None:  # noqa: ANN401 - untyped
            try:
                active = _begin(event) if len(self._open) < _MAX_OPEN else None
                if active is not None:
                    self._open[_key(event)] = active
            except Exception as error:  # noqa: BLE001 - the command goes out unobserved
                complaints.failure("pymongo", error)

        def succeeded(self, event: Any) -> None:  # noqa: ANN401
            active = self._open.pop(_key(event), None)
            if active is not None:
                database.end(active)

        def failed(self, event: Any) -> None:  # noqa: ANN401
            active = self._open.pop(_key(event), None)
            if active is not None:
                failure = event.failure if isinstance(event.failure, dict) else {}
                code = failure.get("code")
                active.span.fail(str(failure.get("codeName") or failure.get("errtype") or "error"))
                database.end(active, code=code)

    module.register(Listener())


def _begin(event: Any) -> Active | None:  # noqa: ANN401 - untyped
    name = event.command_name
    if name in _HANDSHAKE:
        return None
    key = "collection" if name == "getMore" else name if name in _OF_COLLECTION else ""
    collection = event.command.get(key, "")
    host, port = event.connection_id
    collection = collection if isinstance(collection, str) else ""
    return database.begin("mongodb", name, collection, event.database_name, host, port or 0)


def _key(event: Any) -> tuple[Any, ...]:  # noqa: ANN401 - untyped
    return event.request_id, event.connection_id
