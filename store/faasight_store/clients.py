"""Clients of the engine: opened for an address, lent out one query at a time, thrown away after a failure."""

import contextlib
import queue
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from faasight_store.dsn import Dsn, EmbeddedDsn, ServerDsn
from faasight_store.embedded import QUIET, keeping_freed_memory, memory_options
from faasight_store.errors import StoreError, StoreUnavailableError

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 60  # of a server; an insert that it does after that is known by its token when it is sent again
CLOSE_WAIT_S = 3
# What one server ignores. An insert is stored when it is answered; IN and JOIN see all shards; everybody reads and
# writes the first replica that is alive, so that what was written is seen.
_ON_A_CLUSTER = {
    "distributed_foreground_insert": 1,
    "distributed_product_mode": "global",
    "load_balancing": "in_order",
    "prefer_localhost_replica": 0,
}


class Pool:
    """At most `size` clients, made when they are needed.

    A client runs one query at a time. One that failed is closed and not lent again: chDB leaves a broken stream's rows
    to the next query of the same client.
    """

    def __init__(self, connect: Callable[[], Client], size: int) -> None:
        self._connect = connect
        self._size = size
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
                quietly_close(lent)
                raise
            if self._closed:
                quietly_close(lent)
            else:
                self._idle.put(lent)

    def close(self) -> None:
        """Close all clients, waiting a little for those at work; what is late closes when it comes back."""
        self._closed = True
        deadline = time.monotonic() + CLOSE_WAIT_S
        held = 0
        while held < self._size and self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            held += 1
        with contextlib.suppress(queue.Empty):
            while True:
                quietly_close(self._idle.get_nowait())
        if held:
            self._slots.release(held)  # whoever waits, or comes later, is told that the store is closed

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


def first_client(dsn: Dsn) -> Client:
    """Make the address's database if it is not there, and return a client to be kept until the store is closed.

    The embedded engine stops with its last client, which must not be one that a failed query threw away.
    Raises StoreUnavailableError or StoreError.
    """
    client = _embedded(dsn, None) if isinstance(dsn, EmbeddedDsn) else _server(dsn, None)
    try:
        client.command(f"CREATE DATABASE IF NOT EXISTS `{dsn.database}`")
    except DriverError as error:
        quietly_close(client)
        raise StoreError(f"The database {dsn.database} cannot be made at {dsn}: {error}") from error
    return client


def _embedded(dsn: EmbeddedDsn, database: str | None) -> Client:
    path = str(dsn.path.resolve())
    with _host_signals(), keeping_freed_memory(dsn.memory_bytes):
        try:
            # BACKUP writes where the process may write; every client of the engine must say the same.
            own = {"backups.allowed_path": "/"} | QUIET | memory_options(dsn.memory_bytes)
            options: dict[str, Any] = {"interface": "chdb", "path": path, "chdb_options": own}
            if database:
                options["database"] = database
            return clickhouse_connect.get_client(**options)
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
            send_receive_timeout=ANSWER_TIMEOUT_S,
            autogenerate_session_id=False,  # clients share nothing; a session would serialise them
            compress=True,
            settings=_ON_A_CLUSTER,
        )
    except DriverError as error:
        raise StoreUnavailableError(
            f"ClickHouse cannot be reached at {dsn}: {_reason(error)}. Start it, or correct FAASIGHT_STORE."
        ) from error


def _reason(error: DriverError) -> str:
    """Return what the network said, out of the driver's long account of it."""
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(timed out)", str(error))
    return (found[1] or found[2]).lower() if found else str(error).splitlines()[0][:200]


@contextmanager
def _host_signals() -> Iterator[None]:
    """Keep chDB's hands off the host's signals.

    It blocks SIGPIPE, which child processes inherit, and takes SIGTSTP (Ctrl+Z). SIGINT and SIGTERM it leaves alone.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    main = threading.current_thread() is threading.main_thread()
    stop = signal.getsignal(signal.SIGTSTP) if main else None
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if stop is not None:
            signal.signal(signal.SIGTSTP, stop)


def quietly_close(client: Client) -> None:
    """Close a client that has nothing left to say."""
    with contextlib.suppress(Exception):
        client.close()
