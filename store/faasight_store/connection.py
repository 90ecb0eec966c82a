"""The connection to ClickHouse: embedded (chDB) or a server, by one address."""

from collections.abc import Mapping, Sequence
from typing import Any


class Store:
    """Clients of one engine, safe to use from several threads.

    Reads take a client from a small pool; inserts have a client of their own, so that neither waits for the other.
    """

    @classmethod
    def open(cls, dsn: str) -> "Store":
        """Connect to `chdb:///path` or `clickhouse://user:password@host:port/database`.

        Raises DsnError, StoreLockedError or StoreUnavailableError.
        """
        raise NotImplementedError

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0
    ) -> Sequence[tuple[Any, ...]]:
        """Run a read with server-bound parameters (`{name:Type}`) under time and memory limits."""
        raise NotImplementedError

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing."""
        raise NotImplementedError

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows."""
        raise NotImplementedError

    def land(self, signal: str, segment: bytes, token: str) -> None:
        """Decode and store a journal segment exactly once for its token.

        `signal` is traces, logs, metrics or records (docs/design/wire.md); `segment` is length-delimited protobuf or lines of JSON.
        Raises StoreUnavailableError (try again with the same token) or BadDataError (split the segment).
        """
        raise NotImplementedError

    def migrate(self) -> list[str]:
        """Apply the migrations that are missing, and return their names; safe to call twice and by two processes."""
        raise NotImplementedError

    def close(self) -> None:
        """Close all clients; the embedded engine writes its state and releases its directory."""
        raise NotImplementedError
