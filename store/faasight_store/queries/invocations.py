"""Totals, series, heatmaps and lists of invocations."""

from datetime import datetime

from faasight_store.connection import Store
from faasight_store.types import ErrorGroup, Heatmap, Invocation, Scope, Series, Totals


def totals(store: Store, scope: Scope, function: str = "") -> Totals:
    """Return the sums of all functions, or of one."""
    raise NotImplementedError


def series(store: Store, scope: Scope, function: str = "", buckets: int = 120) -> Series:
    """Return the scope cut into `buckets` equal buckets."""
    raise NotImplementedError


def heatmap(store: Store, scope: Scope, function: str = "", buckets: int = 120) -> Heatmap:
    """Return counts by time and duration; rows are merged to at most 40."""
    raise NotImplementedError


def errors(store: Store, scope: Scope, function: str = "", limit: int = 20) -> list[ErrorGroup]:
    """Return failures grouped by type, most frequent first."""
    raise NotImplementedError


def recent(
    store: Store,
    scope: Scope,
    function: str = "",
    *,
    failed: bool = False,
    cold: bool = False,
    min_ms: float = 0,
    max_ms: float | None = None,
    limit: int = 50,
) -> list[Invocation]:
    """Return the newest invocations first."""
    raise NotImplementedError


def last_event(store: Store) -> datetime | None:
    """Return when anything was last stored, None before the first event."""
    raise NotImplementedError


def environments(store: Store) -> list[str]:
    """Return the names of all environments seen, sorted."""
    raise NotImplementedError
