"""Traces: lists, and one with all that is linked to it."""

from faasight_store.connection import Store
from faasight_store.types import Scope, Trace, TraceRow


def find(
    store: Store,
    scope: Scope,
    *,
    function: str = "",
    failed: bool = False,
    cold: bool = False,
    min_ms: float = 0,
    limit: int = 100,
) -> list[TraceRow]:
    """Return the newest traces first."""
    raise NotImplementedError


def trace(store: Store, trace_id: str, limit: int = 10_000) -> Trace | None:
    """Return a trace with those linked to it in either direction; None if it is unknown. `trace_id` is hex of any case; ValueError if it is not 32 digits."""
    raise NotImplementedError
