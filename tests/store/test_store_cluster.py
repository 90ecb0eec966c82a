"""A cluster: the engine parses all of its schema, and what one node can run of it is run."""

import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from faasight_store import Scope, Store, StoreError, backup, cluster, lifetime, migrate, rollup
from faasight_store.backup import Place
from faasight_store.lifetime import Lifetime
from faasight_store.queries import functions, ingest
from faasight_store.shape import Shape
from faasight_store.types import IngestStats
from otlp import Run, records

SHAPE = Shape("faasight", "c")
# Long enough ago that the hour can be settled, and a whole hour.
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)


def _statements() -> list[str]:
    return migrate.script(SHAPE)


@pytest.fixture(scope="module")
def spread_over(cluster_port: int) -> Iterator[Callable[[str], Store]]:
    """Return the database on the cluster of a name, which is made once."""
    with ExitStack() as stack:

        @cache
        def made(name: str) -> Store:
            address = f"clickhouse://127.0.0.1:{cluster_port}/spread_{secrets.token_hex(4)}"
            store = stack.enter_context(Store.open(address))
            store.migrate(name)
            return store

        yield made


@pytest.fixture
def spread(request: pytest.FixtureRequest, spread_over: Callable[[str], Store]) -> Store:
    """Return a database without rows on the cluster that the test names by `param`, or on `one`."""
    store = spread_over(getattr(request, "param", "one"))
    filled = "SELECT name FROM system.tables WHERE database = {data:String} AND total_rows > 0"
    for (name,) in store.query(f"{filled} AND name != 'schema_migrations'", {"data": store.shape.data}):
        store.command(f"TRUNCATE TABLE {store.shape.table(name)} SYNC")
    return store


def _land(store: Store, count: int, token: str = "") -> None:
    start = int(HOUR.timestamp()) * 10**9
    runs = [Run(start + n * 10**9, function="checkout") for n in range(count)]
    store.land("records", records(*(run.record("report") for run in runs)), token or secrets.token_hex(8))


def test_the_engine_parses_every_statement(embedded_engine: Store) -> None:
    statements = _statements()
    assert len(statements) > 75
    for statement in statements:
        assert embedded_engine.query(f"EXPLAIN AST {statement}"), statement


def test_every_statement_runs_on_every_node_and_names_its_database() -> None:
    known = "|".join(cluster.names([s for m in migrate.load() for s in m.statements()]))
    for statement in _statements():
        assert statement.count(" ON CLUSTER `c`") == 1, statement
        assert not re.search(rf"\b(FROM|TO) ({known})\b", statement), statement


def test_every_table_with_rows_is_replicated_and_remembers_tokens_for_as_long_as_one_server() -> None:
    tables = [s for s in _statements() if s.startswith("CREATE TABLE IF NOT EXISTS `faasight_data`.")]
    for statement in tables:
        if "ENGINE = Null" not in statement:
            assert "/clickhouse/tables/{shard}/{database}/{table}', '{replica}'" in statement, statement
            window = re.search(r" replicated_deduplication_window = (\d+)", statement)
            assert "schema_migrations" in statement or (window and window[1] == "10000"), statement
    assert not [s for s in tables if re.search(r"ENGINE = \w*(?<!Replicated)MergeTree\b", s) and "Replicated" not in s]


def test_an_engine_keeps_its_arguments() -> None:
    assert cluster.replicated("ReplacingMergeTree(version)").endswith("/{table}', '{replica}', version)")
    assert cluster.replicated("SummingMergeTree").startswith("ReplicatedSummingMergeTree('/clickhouse")


_MAKE = """
import os, sys, chdb
from faasight_store import migrate
from faasight_store.shape import Shape
from faasight_store.types import IngestStats
engine, shape = chdb.connect(sys.argv[1]), Shape("faasight", "one")
for _ in range(2):
    for statement in migrate.script(shape):
        engine.query(statement.replace(shape.on_cluster, ""))
print(engine.query("SELECT DISTINCT database, engine FROM system.tables WHERE database LIKE 'faasight%'", "TSV"))
print(engine.query("SELECT DISTINCT zookeeper_path FROM system.replicas WHERE table = 'spans'", "TSV"), flush=True)
os._exit(0)  # it would wait long for sessions of its keeper
"""


def test_replicated_tables_are_made_with_a_keeper_in_memory(tmp_path: Path) -> None:
    """Read-only ones: chDB opens no port for replicas. What they hold is tried with plain engines, below."""
    config = tmp_path / "keeper.xml"
    shown = (Path(__file__).parents[1] / "support" / "cluster.xml").read_text(encoding="utf-8")
    keeper = "<zookeeper><implementation>testkeeper</implementation></zookeeper>"
    config.write_text(shown.replace("</clickhouse>", f"{keeper}</clickhouse>"), encoding="utf-8")
    command = [sys.executable, "-c", _MAKE, f"{tmp_path / 'data'}?config-file={config}"]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180).stdout
    engines = {line.split("\t")[1] for line in made.splitlines() if line.startswith("faasight_data\t")}
    of_rows = {"ReplicatedMergeTree", "ReplicatedAggregatingMergeTree", "ReplicatedSummingMergeTree"}
    assert engines == of_rows | {"Null", "MaterializedView"}
    assert {line.split("\t")[1] for line in made.splitlines() if line.startswith("faasight\t")} == {"Distributed"}
    assert "/clickhouse/tables/01/faasight_data/spans" in made


def test_the_shape_is_kept_and_never_changed_in_place(spread: Store, server_dsn: str) -> None:
    assert spread.migrate() == []
    assert spread.shape.cluster == "one"
    with pytest.raises(StoreError, match="is on the cluster one already and cannot be moved to the cluster twice"):
        spread.migrate("twice")
    with Store.open(server_dsn) as store:
        store.migrate()
        with pytest.raises(StoreError, match="is on one server already"):
            store.migrate("one")


def test_a_node_that_is_new_gets_all_tables_when_the_cluster_is_named_again(spread: Store) -> None:
    """All migrations are recorded by then; the one node here stands for a new one that has nothing yet."""
    made = "SELECT name, engine_full FROM system.tables WHERE database = {data:String} ORDER BY name"
    before = spread.query(made, {"data": spread.shape.data})
    for name in ("span_stream_to_spans", "spans", "otlp_traces"):
        spread.command(f"DROP TABLE `{spread.shape.data}`.{name} SYNC")
    assert spread.migrate("one") == []
    assert spread.query(made, {"data": spread.shape.data}) == before
    assert "fsync_after_insert = 1" in dict(before)["spans"]


@pytest.mark.parametrize("spread", ["one", "twice"], indirect=True)
def test_a_segment_that_comes_again_is_stored_once(spread: Store) -> None:
    """Each goes to the shard of its token, whoever sends it."""
    for token in range(8):
        _land(spread, 5, f"segment-{token}")
    with Store.open(str(spread.dsn).replace("default@", "")) as other:
        for token in range(8):
            _land(other, 5, f"segment-{token}")
    assert spread.query(f"SELECT count() FROM `{spread.shape.data}`.invocation_facts") == [(40,)]


@pytest.mark.parametrize("spread", ["twice"], indirect=True)
def test_a_report_that_is_told_again_is_stored_once(spread: Store) -> None:
    now = datetime.now(UTC)
    rows = [IngestStats("a", now, signal, accepted=5) for signal in ("traces", "logs", "metrics", "records")]
    for _ in range(5):
        ingest.report(spread, rows)
    assert spread.query(f"SELECT sum(accepted) FROM `{spread.shape.data}`.ingest_stats") == [(20,)]


def test_segments_spread_evenly_and_always_alike() -> None:
    shards = [cluster.shard_of(f"17{n}-a-{n}", 4) for n in range(4000)]
    assert {shards.count(shard) // 100 for shard in (1, 2, 3, 4)} <= {9, 10}
    assert cluster.shard_of("1763-run-7", 3) == 2


@pytest.mark.parametrize("spread", ["one", "twice"], indirect=True)
def test_an_invocation_is_one_whatever_shards_its_witnesses_lie_on(spread: Store) -> None:
    """As two shards the node gives every fact twice: merged, they are the same invocations."""
    _land(spread, 30)
    scope = Scope(HOUR, HOUR + timedelta(hours=1))
    (row,) = functions.functions(spread, scope)
    assert (row.function, row.totals.invocations) == ("checkout", 30)
    (shards,) = spread.query("SELECT count() FROM invocation_facts")[0]
    assert shards == (30 if spread.shape.cluster == "one" else 60)


def test_an_hour_is_settled_anew_and_its_old_rows_are_deleted_where_they_are(spread: Store) -> None:
    _land(spread, 10)
    rollup.settle(spread)
    _land(spread, 12)
    assert rollup.settle(spread, now_ns=lambda: int((datetime.now(UTC) + timedelta(minutes=2)).timestamp() * 1e9)) > 0
    rollup.settle(spread, now_ns=lambda: int((datetime.now(UTC) + timedelta(minutes=4)).timestamp() * 1e9))
    count = f"SELECT count(DISTINCT version) FROM `{spread.shape.data}`.invocation_hours"
    assert spread.query(count) == [(1,)]
    assert functions.functions(spread, Scope(HOUR, HOUR + timedelta(hours=1)))[0].totals.invocations == 22


def test_days_are_dropped_on_every_shard(spread: Store) -> None:
    _land(spread, 10)
    keep = dict.fromkeys(lifetime.DEFAULT_DAYS, 3650) | {"invocations": 1}
    dropped = lifetime.enforce(spread, Lifetime(keep), HOUR + timedelta(days=3))
    assert {one.table: one.rows for one in dropped}["invocation_facts"] == 10
    assert spread.query("SELECT count() FROM invocation_facts") == [(0,)]
    assert len(lifetime.history(spread)) == len(dropped)


def test_a_back_up_holds_both_databases(spread: Store, tmp_path: Path) -> None:
    _land(spread, 10)
    backup.backup(spread, Place(str(tmp_path / "monday")))
    assert {path.name for path in (tmp_path / "monday" / "data").iterdir()} == {spread.shape.data}
    assert {path.name for path in (tmp_path / "monday" / "metadata").iterdir() if path.is_dir()} == {
        spread.dsn.database,
        spread.shape.data,
    }


def test_what_is_restored_is_read_on_all_nodes(spread: Store) -> None:
    """CHECK TABLE knows one node's parts; a block that was spoiled on any of them must not pass."""
    _land(spread, 10)
    backup._read_everywhere(spread, "invocation_facts")
    parts = "SELECT path FROM system.parts WHERE active AND database = {data:String} AND table = 'invocation_facts'"
    ((folder,),) = spread.query(parts, {"data": spread.shape.data})
    data = max(Path(folder).glob("*.bin"), key=lambda path: path.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    whole = data.read_bytes()
    data.write_bytes(content)
    with pytest.raises(StoreError, match=r"invocation_facts cannot be read on all nodes: .*[Cc]hecksum"):
        backup._read_everywhere(spread, "invocation_facts")
    data.write_bytes(whole)


def test_a_restore_empties_only_what_was_empty(spread: Store, tmp_path: Path) -> None:
    """The database in front was lost, and the one with the rows lives."""
    _land(spread, 10)
    place = Place(str(tmp_path / "monday"))
    backup.backup(spread, place)
    data = spread.shape.data
    for (name,) in spread.query("SELECT name FROM system.tables WHERE database = currentDatabase()"):
        spread.command(f"DROP TABLE {name} SYNC")
    spread.forget_shape()
    with pytest.raises(StoreError, match="a back-up of the cluster one: say --cluster"):
        backup.restore(spread, place)
    assert spread.query("SELECT count() FROM system.tables WHERE database = currentDatabase()") == [(0,)]
    with pytest.raises(StoreError, match=f"The database {data} has .* tables already"):
        backup.restore(spread, place, cluster="one")
    assert spread.query(f"SELECT count() FROM `{data}`.invocation_facts") == [(10,)]
    spread.migrate("one")
    assert spread.query("SELECT count() FROM invocation_facts") == [(10,)]
