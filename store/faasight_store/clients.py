"""Clients of the engine: opened for an address, lent out one query at a time, thrown away after a failure."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from faasight_store.dsn import Dsn, EmbeddedDsn, ServerDsn
from faasight_store.errors import StoreError, StoreUnavailableError

CONNECT_TIMEOUT_S = 5


class Pool:
    """At most `size` clients, made when they are needed.

    A client runs one query at a time. One that failed is closed and not lent again: chDB leaves a broken stream's rows to the next
    query of the same client.
    """

    def __init__(self, connect: Callable[[], Client], size: int) -> None:
        self._connect = connect
        self._slots = threading.Semaphore(size)
        self._idle: queue.LifoQueue[Client] = queue.LifoQueue()
        self._closed = False

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Lend a client."""
        with self._slots:
            if self._closed:
                raise StoreUnavailableError("The store is closed.")
            lent = self._take()
            try:
                yield lent
            except BaseException:
                _quietly_close(lent)
                raise
            if self._closed:
                _quietly_close(lent)
            else:
                self._idle.put(lent)

    def close(self) -> None:
        """Close the clients at rest; those at work close when they come back."""
        self._closed = True
        while True:
            try:
                _quietly_close(self._idle.get_nowait())
            except queue.Empty:
                return

    def _take(self) -> Client:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._connect()


def connector(dsn: Dsn) -> Callable[[], Client]:
    """Return what opens a client of the address's database. The database must exist."""
    if isinstance(dsn, EmbeddedDsn):
        return lambda: _embedded(dsn, dsn.database)
    return lambda: _server(dsn, dsn.database)


def create_database(dsn: Dsn) -> None:
    """Make the address's database if it is not there; raises StoreUnavailableError or StoreError."""
    client = _embedded(dsn, None) if isinstance(dsn, EmbeddedDsn) else _server(dsn, None)
    try:
        client.command(f"CREATE DATABASE IF NOT EXISTS `{dsn.database}`")
    except DriverError as error:
        raise StoreError(f"The database {dsn.database} cannot be made at {dsn}: {error}") from error
    finally:
        _quietly_close(client)


def _embedded(dsn: EmbeddedDsn, database: str | None) -> Client:
    path = str(dsn.path.resolve())
    with _host_signals():
        try:
            options: dict[str, Any] = {"interface": "chdb", "path": path}
            return clickhouse_connect.get_client(**options, **({"database": database} if database else {}))
        except DriverError as error:
            raise StoreError(f"The embedded engine cannot open {path}: {error}") from error


def _server(dsn: ServerDsn, database: str | None) -> Client:
    try:
        return clickhouse_connect.get_client(
            host=dsn.host,
            port=dsn.port,
            username=dsn.user,
            password=dsn.password,
            secure=dsn.secure,
            database=database or "default",
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=60,
            autogenerate_session_id=False,  # clients share nothing; a session would serialise them
            compress=True,
        )
    except DriverError as error:
        raise StoreUnavailableError(f"ClickHouse cannot be reached at {dsn}: {error}") from error


@contextmanager
def _host_signals() -> Iterator[None]:
    """Keep chDB's hands off the host's signals: it blocks SIGPIPE (which child processes inherit) and takes SIGTSTP (Ctrl+Z)."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    main = threading.current_thread() is threading.main_thread()
    stop = signal.getsignal(signal.SIGTSTP) if main else None
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if stop is not None:
            signal.signal(signal.SIGTSTP, stop)


def _quietly_close(client: Client) -> None:
    with contextlib.suppress(Exception):  # a client that is thrown away has nothing left to say
        client.close()
