"""Migrations: once, twice, by two at once, and never silently changed."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from faasight_store import Store, StoreError, migrate


def _tables(store: Store) -> list[tuple[str, str]]:
    rows = store.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase() ORDER BY name")
    return [(name, engine) for name, engine in rows]


def test_the_second_time_does_nothing(store: Store) -> None:
    before = _tables(store)
    assert store.migrate() == []
    assert _tables(store) == before
    assert [row[0] for row in store.query("SELECT name FROM schema_migrations ORDER BY name")] == [
        m.name for m in migrate.load()
    ]


def _record(store: Store, name: str, checksum: str) -> None:
    """Leave the record of a migration, as another version would, and nothing else: to make all tables takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "load", list)
        store.migrate()
    store.insert("schema_migrations", ["name", "checksum"], [[name, checksum]])


def test_a_migration_that_changed_after_it_was_applied_is_refused(bare_store: Store) -> None:
    _record(bare_store, "0001_traces", "other")
    with pytest.raises(StoreError, match="0001_traces was applied to this database in another form"):
        bare_store.migrate()


_MIGRATE = "import sys; from faasight_store import Store; Store.open(sys.argv[1]).migrate()"


def test_two_processes_at_once(server_dsn: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _MIGRATE, server_dsn], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        _, told = process.communicate(timeout=180)
        assert (process.returncode, told) == (0, "")
    with Store.open(server_dsn) as store:
        assert store.migrate() == []
        assert ("spans", "MergeTree") in _tables(store)


def test_two_threads_at_once(embedded_dsn: str) -> None:
    with Store.open(embedded_dsn) as store, ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: store.migrate(), range(2)))
        assert store.migrate() == []


def test_every_statement_may_run_twice() -> None:
    for migration in migrate.load():
        for statement in migration.statements():
            assert re.match(
                r"(CREATE (TABLE|MATERIALIZED VIEW) IF NOT EXISTS|ALTER TABLE \w+ ADD \w+ IF NOT EXISTS)\b", statement
            ), statement


def test_every_table_and_view_target_deduplicates_by_token(store: Store) -> None:
    rows = store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        " AND create_table_query NOT LIKE '%non_replicated_deduplication_window%'"
    )
    assert {row[0] for row in rows} <= {"schema_migrations"}


def test_a_migration_that_broke_off_is_finished_by_the_next(bare_store: Store) -> None:
    """Killed after any statement, even after the last and before its record."""
    statements = list(migrate.load()[0].statements())
    for count in (1, len(statements) // 2, len(statements)):
        for statement in statements[:count]:
            bare_store.command(statement)
    assert bare_store.migrate()[0] == migrate.load()[0].name
    assert bare_store.migrate() == []
    assert ("span_stream_to_spans", "MaterializedView") in _tables(bare_store)


def test_a_comment_is_no_change() -> None:
    assert (
        migrate.Migration("x", "-- one\nSELECT 1;\n").checksum
        == migrate.Migration("x", "-- two\nSELECT   1;\n").checksum
    )


def test_a_database_of_a_newer_version_is_refused(bare_store: Store) -> None:
    _record(bare_store, "9999_future", "0")
    with pytest.raises(StoreError, match="made by another version of FaaSight: it has the migration 9999_future"):
        bare_store.migrate()
    with pytest.raises(StoreError, match="9999_future"):
        bare_store.pending_migrations()
