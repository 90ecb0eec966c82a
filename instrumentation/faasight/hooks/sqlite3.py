"""Statements through sqlite3, whose classes are C and cannot be patched: `connect` makes a kind of them."""

from __future__ import annotations

from functools import wraps

from faasight.hooks import database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.tracing import Active


def install(module: ModuleType, agent: Agent) -> None:
    """Patch `connect`; a connection or a cursor of a class that the user gives stays as it is."""
    original = module.connect
    if hasattr(original, "__faasight__"):
        return
    observed = _connection_class(module, _cursor_class(module, agent))

    @wraps(original)
    def connect(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - sqlite3's own signature
        if len(args) < 6 and "factory" not in named:  # the sixth argument is the factory
            named["factory"] = observed
        return original(*args, **named)

    connect.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    module.connect = connect  # type: ignore[attr-defined]  # that is what patching is
    if hasattr(module, "dbapi2"):
        module.dbapi2.connect = connect


def _cursor_class(module: ModuleType, agent: Agent) -> type:
    def start(_: object, args: tuple[Any, ...], __: dict[str, Any]) -> Active | None:
        return database.statement(agent, "sqlite", args[0] if args else "")

    def code(error: BaseException) -> object:
        return getattr(error, "sqlite_errorname", None)  # Python 3.11 and up

    class Cursor(module.Cursor):  # type: ignore[name-defined, misc]  # the module is the user's
        def execute(self, *args: Any) -> Any:  # noqa: ANN401 - sqlite3's own signature
            return super().execute(*args)

        def executemany(self, *args: Any) -> Any:  # noqa: ANN401
            return super().executemany(*args)

        def executescript(self, *args: Any) -> Any:  # noqa: ANN401
            return super().executescript(*args)

    for method in ("execute", "executemany", "executescript"):
        database.patch(Cursor, method, start, code)
    Cursor.__module__, Cursor.__qualname__ = "sqlite3", "Cursor"
    return Cursor


def _connection_class(module: ModuleType, cursor_class: type) -> type:
    class Connection(module.Connection):  # type: ignore[name-defined, misc]
        def cursor(self, factory: Any = cursor_class) -> Any:  # noqa: ANN401
            return super().cursor(factory)

        # The documented meaning of the three: a new cursor's method of that name.
        def execute(self, *args: Any) -> Any:  # noqa: ANN401
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:  # noqa: ANN401
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:  # noqa: ANN401
            return self.cursor().executescript(*args)

    Connection.__module__, Connection.__qualname__ = "sqlite3", "Connection"
    return Connection
