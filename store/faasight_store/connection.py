"""The connection to ClickHouse: embedded (chDB) or a server, by one address."""

from array import array
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from io import IOBase
from typing import Any, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError
from clickhouse_connect.driver.query import QueryResult
from urllib3.exceptions import HTTPError

from faasight_store import durability, failures, landing, migrate, shape
from faasight_store.ahead import Ahead
from faasight_store.cache import Cache
from faasight_store.clients import Pool, connector, first_client, quietly_close
from faasight_store.cluster import shard_of
from faasight_store.dsn import Dsn, EmbeddedDsn, ServerDsn, parse
from faasight_store.embedded import MEMORY_ASKED, Engine, Memory
from faasight_store.errors import StoreError, StoreUnavailableError
from faasight_store.kept import Kept
from faasight_store.shape import Shape

T = TypeVar("T")

READERS = 4
_REMEMBERED = 64  # answers; cells of a page take up to some MB
_KEPT_BYTES = 160 * 2**20  # of what is settled, in memory
QUERY_MEMORY_BYTES = 2_000_000_000
# Groups come in a few blocks: of two levels they would come in 256, which takes two thirds more time for 30,000 rows.
_IN_ONE = {"group_by_two_level_threshold": 0, "group_by_two_level_threshold_bytes": 0}


class Store:
    """Clients of one engine, safe to use from several threads.

    Reads take a client from a small pool; inserts have a client of their own, so that neither waits for the other.
    """

    def __init__(self, dsn: Dsn, engine: Engine | None, first: Client, remember_s: float = 0.0) -> None:
        self.dsn = dsn
        self._remember_s = remember_s
        self._known = Cache(capacity=_REMEMBERED)
        self._shared = Cache(capacity=_REMEMBERED)
        self.kept: Kept[Any] = Kept(_KEPT_BYTES if remember_s else 0)  # of what is settled: see queries/blocks.py
        self._ahead = Ahead(self._shared, remember_s)
        self._beside = ThreadPoolExecutor(READERS, thread_name_prefix="faasight-store")  # threads begin when needed
        self._engine = engine
        self._first = first
        connect = connector(dsn)
        self._memory_bytes = dsn.memory_bytes if isinstance(dsn, EmbeddedDsn) else 0
        self._readers = Pool(connect, READERS)
        self._writer = Pool(connect, 1)
        self._schemas = landing.keep_schemas(dsn.path.resolve() / "schemas") if isinstance(dsn, EmbeddedDsn) else None
        self._shape: Shape | None = None
        self._closed = False

    @classmethod
    def open(cls, dsn: str, *, memory_bytes: int = 0, remember_s: float = 0.0) -> Self:
        """Connect to `chdb:///path` or `clickhouse://user:password@host:port/database`.

        `?database=name` chooses another database than `faasight` of an embedded engine; one process may open several
        databases of one directory. `memory_bytes` (at least `LEAST_MEMORY_BYTES`; 0: no bound of ours) is what an
        embedded engine may take in all; a server has its own. For `remember_s` seconds queries share what they all ask
        first (what is settled, and what is not yet): answers are that much older at most.
        Raises DsnError, StoreLockedError or StoreUnavailableError.
        """
        address = parse(dsn)
        engine = None
        if isinstance(address, EmbeddedDsn):
            address = replace(address, memory_bytes=memory_bytes)
            engine = Engine.acquire(address.path, memory_bytes)
        try:
            first = first_client(address)
        except BaseException:
            if engine:
                engine.release()
            raise
        return cls(address, engine, first, remember_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0
    ) -> Sequence[tuple[Any, ...]]:
        """Run a read with server-bound parameters (`{name:Type}`) under time and memory limits.

        Raises StoreUnavailableError (also when a limit is reached), QueryError (a bad regular expression), StoreError.
        """
        with self._reading(timeout_s) as (client, limits):
            result = client.query(sql, parameters=dict(parameters or {}), settings=limits)
            return [tuple(row) for row in result.result_rows]

    def columns(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0
    ) -> dict[str, npt.NDArray[Any]]:
        """Run a read like `query`, and return its columns by name as arrays; without rows there may be none.

        Numbers come as they lie in the answer, which takes a fifth of the time of rows; what is no number, as objects.
        """
        with self._reading(timeout_s) as (client, limits):
            lent = client.query_column_block_stream(sql, parameters=dict(parameters or {}), settings=limits | _IN_ONE)
            with lent as stream:
                blocks = list(stream)
            names = cast(QueryResult, lent.source).column_names
        return {
            name: np.concatenate([_array(part) for part in parts])
            for name, parts in zip(names, zip(*blocks, strict=True), strict=False)
        }

    @contextmanager
    def _reading(self, timeout_s: float) -> Iterator[tuple[Client, dict[str, Any]]]:
        """Lend a client, with the limits of a read; what the driver raises meanwhile becomes a StoreError."""
        try:
            with self._readers.client() as client:
                yield client, {"max_execution_time": timeout_s, "max_memory_usage": self._query_bytes}
        except DriverError as error:
            raise failures.of_query(error, timeout_s) from None
        except HTTPError as error:  # the driver hands its connection's errors through where an answer comes in pieces
            raise StoreUnavailableError(f"The store's answer broke off; it may work later. {error}") from None

    @property
    def remembers(self) -> bool:
        """Whether answers are kept for a moment."""
        return self._remember_s > 0

    def remembered(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what `compute` answers, or answered a moment ago for the same key (see `remember_s` of `open`)."""
        return self._known.get(key, compute, self._remember_s) if self._remember_s else compute()

    def shared(self, key: Hashable, compute: Callable[[], T], renew: Callable[[T], T]) -> T:
        """Return as `remembered` what many queries must know first, and `renew` it in time while somebody looks."""
        if not self._remember_s:
            return compute()
        answer = self._shared.get(key, compute, self._remember_s)
        self._ahead.used(key, renew)
        return answer

    def expect(self, seconds: float) -> None:
        """Expect somebody to ask within so long: what all queries must know first is kept fresh, and not waited for."""
        if self._remember_s:
            self._ahead.expect(seconds)

    def beside(self, work: Callable[[], T]) -> Future[T]:
        """Run some of a query's work on a thread, beside the rest of it. The work must not do the same."""
        try:
            return self._beside.submit(work)
        except RuntimeError:  # no more work is taken
            raise StoreUnavailableError("The store is closed.") from None

    def forget(self, *, shared: bool = True, settled: bool = True) -> None:
        """Ask anew next time, whatever is remembered; what is `shared` by all queries, or `settled`, may stay."""
        self._known.clear()
        if shared:
            self._shared.clear()
        if settled:
            self.kept.clear()

    def memory(self) -> Memory | None:
        """Return what the embedded engine takes of this process's memory; None for a server. Raises StoreError."""
        return Memory.of(self.query(MEMORY_ASKED)) if isinstance(self.dsn, EmbeddedDsn) else None

    @property
    def _query_bytes(self) -> int:
        """What one read may take: at most half of the engine's, for inserts must go on."""
        return min(QUERY_MEMORY_BYTES, self._memory_bytes // 2) if self._memory_bytes else QUERY_MEMORY_BYTES

    @contextmanager
    def stream(self, sql: str, fmt: str, *, timeout_s: float) -> Iterator[IOBase]:
        """Lend the result of a read as bytes in one of ClickHouse's formats. Raises StoreError."""
        with (
            self._reading(timeout_s) as (client, limits),
            client.raw_stream(sql, settings=limits, fmt=fmt) as result,
        ):
            yield result

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None, *, token: str = "") -> None:
        """Run a statement that returns nothing; of INSERTs with one token into a table only the first one counts."""
        try:
            with self._writer.client() as client:
                settings = {"insert_deduplication_token": token, "max_insert_threads": 1} if token else None
                client.command(sql, parameters=dict(parameters or {}), settings=settings)
        except DriverError as error:
            raise failures.of_query(error, float("inf")) from None

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows."""
        if not rows:
            return
        try:
            with self._writer.client() as client:
                client.insert(table, rows, column_names=columns)
        except DriverError as error:
            raise failures.of_insert(error, f"{len(rows)} rows for {table}") from None

    def land(self, signal: str, segment: bytes | landing.Pieces, token: str) -> None:
        """Decode and store a journal segment exactly once for its token.

        `signal` is traces, logs, metrics or records (docs/design/wire.md); `segment` is lines of JSON, or
        what OTLP requests hold: ResourceSpans (ResourceLogs, ResourceMetrics), each after its length as a varint.
        The embedded engine reads it from a file, to which pieces go one by one; a server gets it in one piece.
        Raises StoreUnavailableError (try again with the same token) or BadDataError (split the segment).
        """
        target = landing.LANDINGS[signal]
        if not segment:
            return
        settings = landing.settings(target, token, self._schemas) | self._shard_settings(token)
        block = (piece for piece in segment) if self._engine and not isinstance(segment, bytes) else bytes(segment)
        try:
            with self._writer.client() as client:
                client.raw_insert(target.table, insert_block=block, fmt=target.format, settings=settings)
        except DriverError as error:
            raise failures.of_insert(error, f"segment {token} of {signal}") from None

    @property
    def shape(self) -> Shape:
        """Whether the tables are spread over a cluster; asked of the database until it has been migrated."""
        if isinstance(self.dsn, EmbeddedDsn):
            return Shape(self.dsn.database)
        if self._shape is None:
            engine = str(self.query(shape.ASK)[0][0])
            if not engine:
                return Shape(self.dsn.database)
            self._shape = Shape.of_engine(self.dsn.database, engine)
        return self._shape

    def forget_shape(self) -> None:
        """Ask anew next time: the tables were made or restored."""
        self._shape = None
        self.__dict__.pop("_shards", None)

    @cached_property
    def _shards(self) -> int:
        """How many shards the cluster has. A new one is seen by processes that start after it."""
        asked = "SELECT max(shard_num) FROM system.clusters WHERE cluster = {cluster:String}"
        found = int(self.query(asked, {"cluster": self.shape.cluster})[0][0])
        if not found:
            raise StoreError(f"The server no longer knows the cluster {self.shape.cluster}: see its remote_servers.")
        return found

    def _shard_settings(self, token: str) -> dict[str, str | int]:
        try:
            return {"insert_shard_id": shard_of(token, self._shards)} if self.shape.cluster else {}
        except StoreError as error:
            raise StoreUnavailableError(str(error)) from error

    def migrate(self, cluster: str = "") -> list[str]:
        """Apply the migrations that are missing, and return their names; safe to call twice and by two processes.

        `cluster` spreads a new database over the cluster of that name in the server's configuration; one that is
        spread stays so, and its nodes that have no tables yet get them. Raises StoreError.
        """
        if cluster and cluster != self.shape.cluster and migrate.is_migrated(self):
            where = f"on the cluster {self.shape.cluster}" if self.shape.cluster else "on one server"
            raise StoreError(
                f"The database {self.dsn.database} is {where} already and cannot be moved to the cluster {cluster}: "
                "choose a new one, and bring over what it should have (docs/cluster.md)."
            )
        shape = Shape(self.dsn.database, cluster or self.shape.cluster)
        applied = migrate.apply(self, shape, everything=bool(cluster))
        self.forget_shape()
        if isinstance(self.dsn, ServerDsn):
            durability.write_through(self, self.shape)
        return applied

    def pending_migrations(self) -> list[str]:
        """Return the names of the migrations that `migrate` would apply, and change nothing."""
        return migrate.pending(self)

    def close(self) -> None:
        """Close all clients; the embedded engine writes its state and releases its directory."""
        if self._closed:
            return
        self._closed = True
        self._ahead.close()
        self._beside.shutdown(wait=False)
        self._readers.close()
        self._writer.close()
        quietly_close(self._first)
        if self._engine:
            self._engine.release()


def _array(column: Sequence[Any]) -> npt.NDArray[Any]:
    """Return a column of a block as an array: the driver hands numbers out as `array.array`, all else as a list."""
    if isinstance(column, array):
        return np.asarray(column)
    found = np.empty(len(column), dtype=object)
    found[:] = column
    return found
