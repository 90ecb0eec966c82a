"""Fixtures for all rooms: an empty, migrated store on the real engine, embedded and behind HTTP."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from clickhouse_node import Node
from faasight_collector import Collector
from faasight_collector import Settings as CollectorSettings
from faasight_store import Store
from longest import longest_first
from ports import free_ports

# An example's time says nothing on a busy machine.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

# Nor does a query's: ten seconds are right for who waits for a page.
for read in (Store.query, Store.columns):
    assert read.__kwdefaults__
    read.__kwdefaults__["timeout_s"] = 120.0

_numbers = itertools.count()
# STORE_MODES=cluster runs the same tests through Distributed tables, on a cluster of one node.
# CLICKHOUSE=node puts ClickHouse's own HTTP interface in the place of clickhouse_http.py, which starts faster.
OWN_INTERFACE = os.environ.get("CLICKHOUSE") == "node"
MODES = os.environ.get("STORE_MODES", "embedded,server").split(",")

StoreNamed = Callable[[str, str], Store]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Let `-n auto` be a worker more than there are cores: a third of the time a worker waits for processes."""
    return min(4, (os.cpu_count() or 1) + 1)


@pytest.fixture(scope="session")
def embedded_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the one directory that this process opens: chDB allows one a process."""
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture(scope="session")
def clickhouse_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the HTTP interface before an engine of its own, for the whole session."""
    with _clickhouse(tmp_path_factory.mktemp("clickhouse")) as port:
        yield port


@pytest.fixture(scope="session")
def cluster_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run another one, on a node of the clusters in `support/cluster.xml`, for the whole session."""
    config = Path(__file__).parent / "support" / "cluster.xml"
    with _clickhouse(tmp_path_factory.mktemp("cluster"), "--config", str(config)) as port:
        yield port


@contextmanager
def _clickhouse(path: Path, *options: str) -> Iterator[int]:
    if OWN_INTERFACE and not options:
        http, native = free_ports(2)
        node = Node(path, ["127.0.0.1"], 1, http=http, native=native)
        node.start()
        yield node.port
        node.kill()
        return
    script = Path(__file__).parent / "support" / "clickhouse_http.py"
    command = [sys.executable, str(script), "--path", str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the ClickHouse HTTP interface did not start"
        yield int(port)
        process.terminate()


@pytest.fixture(scope="session")
def embedded_engine(embedded_directory: Path) -> Iterator[Store]:
    """Keep the engine open between tests, or each would start it anew."""
    with Store.open(f"chdb://{embedded_directory}?database=keep_open") as store:
        yield store


@pytest.fixture(scope="session")
def store_named(request: pytest.FixtureRequest, embedded_directory: Path) -> Iterator[StoreNamed]:
    """Return the migrated store of a name in a mode (embedded, server, cluster): the same one for the whole session.

    (pytest ends a session's fixture whenever the mode changes, which it does in every file.)
    """
    with ExitStack() as stack:

        @cache
        def named(mode: str, name: str) -> Store:
            if mode == "embedded":
                request.getfixturevalue("embedded_engine")
                dsn = f"chdb://{embedded_directory}?database={name}"
            else:
                port = request.getfixturevalue("cluster_port" if mode == "cluster" else "clickhouse_port")
                dsn = f"clickhouse://127.0.0.1:{port}/{name}"
            store = stack.enter_context(Store.open(dsn))
            store.migrate("one" if mode == "cluster" else "")
            return store

        yield named


@pytest.fixture
def collector_before(tmp_path: Path) -> Iterator[Callable[[Store], Collector]]:
    """Start a collector before a store: on free ports, with a journal of the test's own that it ships at once."""
    with ExitStack() as stack:

        def start(store: Store) -> Collector:
            settings = CollectorSettings(
                journal_dir=tmp_path / "journal", http_port=0, grpc_port=0, segment_age_s=0.05, segment_age_max_s=0.2
            )
            collector = Collector(settings, store)
            collector.start()
            stack.callback(collector.stop)
            return collector

        yield start


@pytest.fixture(scope="session")
def shared_server(store_named: StoreNamed, clickhouse_port: int) -> str:
    """Return the address of `shared_store` behind HTTP, for processes that tests start: to migrate takes seconds."""
    store_named("server", "shared")
    return f"clickhouse://127.0.0.1:{clickhouse_port}/shared"


@pytest.fixture(scope="session", params=MODES)
def shared_store(request: pytest.FixtureRequest, store_named: StoreNamed) -> Store:
    """Return a migrated store that many tests write to, each under names of its own, once in each mode."""
    return store_named(request.param, "shared")


@pytest.fixture
def embedded_dsn(embedded_engine: Store, embedded_directory: Path) -> Iterator[str]:
    """Return the address of a new database in this process, which is dropped at the end: its tables hold files open."""
    name = f"test_{next(_numbers)}"
    yield f"chdb://{embedded_directory}?database={name}"
    embedded_engine.command(f"DROP DATABASE IF EXISTS `{name}` SYNC")


@pytest.fixture
def server_dsn(clickhouse_port: int) -> str:
    """Return the address of a new database behind HTTP."""
    return f"clickhouse://127.0.0.1:{clickhouse_port}/test_{next(_numbers)}"


@pytest.fixture(params=["embedded", "server"])
def bare_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Return a store on a new database without any table, once embedded and once behind HTTP."""
    with Store.open(request.getfixturevalue(f"{request.param}_dsn")) as opened:
        yield opened
        opened.command(f"DROP DATABASE `{opened.dsn.database}` SYNC")


@pytest.fixture(params=MODES)
def store(request: pytest.FixtureRequest, store_named: StoreNamed) -> Store:
    """Return a migrated store without any row, once embedded and once behind HTTP.

    To migrate costs a second, to empty the tables of the last test nearly nothing; their tokens go with their rows.
    """
    store = store_named(request.param, "emptied")
    _empty(store)
    return store


def _empty(store: Store) -> None:
    tables = store.query(
        "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'"
        " AND name != 'schema_migrations' AND total_rows > 0",
        {"database": store.shape.data},
    )
    for (name,) in tables:
        store.command(f"TRUNCATE TABLE {store.shape.table(name)} SYNC")
