"""Statements through PyMySQL."""

from __future__ import annotations

from faasight.hooks import database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.tracing import Active


def install(module: ModuleType, agent: Agent) -> None:
    """Patch the cursor that all others are kinds of."""

    def start(cursor: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Active | None:  # noqa: ANN401 - untyped here
        connection, query = cursor.connection, args[0] if args else named.get("query")
        namespace = connection.db.decode() if isinstance(connection.db, bytes) else connection.db or ""
        return database.statement(agent, "mysql", query, namespace, connection.host or "", connection.port or 0)

    for method in ("execute", "executemany"):
        database.patch(module.Cursor, method, start, _code)


def _code(error: BaseException) -> int | None:
    """Return the server's error number, the first argument of MySQLError."""
    number = error.args[0] if error.args else None
    return number if type(number) is int else None
