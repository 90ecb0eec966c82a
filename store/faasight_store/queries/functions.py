"""The functions of a scope, each with its figures."""

from faasight_store.connection import Store
from faasight_store.types import ColdStarts, FunctionRow, Scope


def functions(store: Store, scope: Scope) -> list[FunctionRow]:
    """Return one row for each function seen in the scope, by name."""
    raise NotImplementedError


def function(store: Store, scope: Scope, name: str) -> FunctionRow | None:
    """Return one function, None if it was not seen in the scope."""
    raise NotImplementedError


def cold_starts(store: Store, scope: Scope, name: str) -> ColdStarts:
    """Return the anatomy of its cold starts."""
    raise NotImplementedError
