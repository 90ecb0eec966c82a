"""Statements through psycopg 3, sync and async."""

from __future__ import annotations

from faasight.hooks import database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.tracing import Active


def install(module: ModuleType, agent: Agent) -> None:
    """Patch the cursors that all ways to execute lead to; those on the server have methods of their own."""

    def start(cursor: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Active | None:  # noqa: ANN401 - untyped here
        query: Any = args[0] if args else named.get("query")
        if hasattr(query, "as_string"):  # psycopg.sql; values in it are left out as those of any text
            query = query.as_string(cursor)
        if cursor.connection.closed:
            return None  # psycopg says so to the caller, and knows no host any more
        info = cursor.connection.info
        return database.statement(agent, "postgresql", query, info.dbname, info.host, info.port)

    for name in ("Cursor", "AsyncCursor", "ServerCursor", "AsyncServerCursor"):
        for method in ("execute", "executemany"):
            database.patch(getattr(module, name), method, start, lambda error: getattr(error, "sqlstate", None))
