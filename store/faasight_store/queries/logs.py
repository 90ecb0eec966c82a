"""Log lines: search, volume and live tail."""

from faasight_store.connection import Store
from faasight_store.types import LogRow, LogVolume, Scope


def search(store: Store, scope: Scope, query: str = "", limit: int = 200) -> list[LogRow]:
    """Return matching lines, newest first. Raises `QueryError` with the place of the fault in `query`."""
    raise NotImplementedError


def volume(store: Store, scope: Scope, query: str = "", buckets: int = 80) -> LogVolume:
    """Return how many lines match, by time and level."""
    raise NotImplementedError


def tail(store: Store, after_seq: int, query: str = "", limit: int = 200) -> list[LogRow]:
    """Return lines that arrived after `after_seq` (0: the newest `limit`), in order of arrival."""
    raise NotImplementedError
