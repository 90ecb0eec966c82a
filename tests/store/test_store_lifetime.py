"""Lifetime: whole days go when they are over, the oldest first, and nothing else does."""

import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from faasight_store import Scope, Store, lifetime, migrate, rollup
from faasight_store.lifetime import Dropped, Lifetime
from faasight_store.queries import invocations
from faasight_store.queries.cells import Grain, plan

# Noon: a test's days are whole, however long it takes.
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
FOREVER = dict.fromkeys(lifetime.DEFAULT_DAYS, 3650)


def _fill(store: Store, days: int, rows_a_day: int = 50) -> None:
    """Put spans and log lines into each of the last days, and a change of an alert into each."""
    numbers = {"now": int(NOW.timestamp()), "rows": days * rows_a_day, "each": rows_a_day}
    ts = "fromUnixTimestamp64Nano(({now:Int64} - intDiv(number, {each:UInt32}) * 86400) * 1000000000, 'UTC')"
    for sql in (
        f"INSERT INTO spans (ts, name) SELECT {ts}, toString(rand64())",
        f"INSERT INTO logs (ts, message) SELECT {ts}, toString(rand64())",
        f"INSERT INTO alert_changes (recorded_at, id) SELECT {ts}, toString(number)",
    ):
        store.command(f"{sql} FROM numbers({{rows:UInt64}})", numbers)


def _days(store: Store, table: str, column: str = "ts") -> list[int]:
    """Return how many days ago there are rows of."""
    rows = store.query(f"SELECT DISTINCT toDate({column}) AS day FROM {table} ORDER BY day DESC")
    return [(NOW.date() - row[0]).days for row in rows]


def _tables(dropped: Sequence[Dropped]) -> set[str]:
    return {one.table for one in dropped}


def test_each_signal_has_days_of_its_own(store: Store) -> None:
    _fill(store, 6)
    dropped = lifetime.enforce(store, Lifetime({**FOREVER, "traces": 2}), NOW)
    assert _tables(dropped) == {"spans"}
    assert {one.reason for one in dropped} == {"retention"}
    # Noon: the day before yesterday is not over for a whole two days.
    assert _days(store, "spans") == [0, 1, 2]
    assert _days(store, "logs") == [0, 1, 2, 3, 4, 5]


def test_a_month_goes_when_its_last_day_does(store: Store) -> None:
    first = NOW.replace(day=1)
    last_month = first - timedelta(days=1)
    for hour in (first, last_month):
        store.command("INSERT INTO edge_hours (minute, calls) VALUES ({at:DateTime('UTC')}, 1)", {"at": hour})
    keep = {**FOREVER, "rollups": 10}
    assert not lifetime.enforce(store, Lifetime(keep), first + timedelta(days=9))
    (dropped,) = lifetime.enforce(store, Lifetime(keep), first + timedelta(days=10))
    assert (dropped.table, dropped.partition) == ("edge_hours", last_month.strftime("%Y%m01"))
    assert store.query("SELECT toDate(minute) FROM edge_hours") == [(first.date(),)]


def test_every_table_that_keeps_months_drops_them(store: Store) -> None:
    """Among them the labels of metrics, which outlive the points: their hours need them."""
    monthly = {name for name, kept in migrate.kept_tables().items() if kept.keep == "rollups" and kept.monthly}
    assert {"metric_series", "metric_hours"} <= monthly
    monthly -= {"edge_hours"}  # a row of zeros is none there; it has a test above
    keys = store.query(
        """SELECT name, partition_key FROM system.tables
        WHERE database = {data:String} AND name IN {names:Array(String)}""",
        {"data": store.shape.data, "names": sorted(monthly)},
    )
    old = NOW.replace(day=1) - timedelta(days=100)
    for name, key in keys:
        column = re.fullmatch(r"\w+\((\w+)\)", key)
        assert column, key
        for moment in (old, NOW):
            store.command(
                f"INSERT INTO {name} ({column[1]}) SELECT toDateTime({{at:DateTime('UTC')}}, 'UTC')", {"at": moment}
            )
    dropped = lifetime.enforce(store, Lifetime({**FOREVER, "rollups": 60}), NOW)
    assert {one.table: one.partition[:6] for one in dropped} == dict.fromkeys(monthly, old.strftime("%Y%m"))
    for name in monthly - {"dropped_partitions"}:
        assert store.query(f"SELECT count() FROM {name}") == [(1,)], name


def test_a_longer_retention_counts_at_once(store: Store) -> None:
    """No part remembers an older, shorter one, as parts do with the engine's own TTL."""
    _fill(store, 40)
    assert not lifetime.enforce(store, Lifetime(FOREVER), NOW)
    assert len(_days(store, "spans")) == 40
    assert "TTL" not in store.query("SELECT any(create_table_query) FROM system.tables WHERE name = 'spans'")[0][0]


def test_over_the_budget_the_oldest_days_of_all_signals_go(store: Store) -> None:
    _fill(store, 10)
    before = lifetime.used_bytes(store)
    dropped = lifetime.enforce(store, Lifetime(FOREVER, budget_bytes=before * 7 // 10), NOW)
    assert {"spans", "logs"} <= _tables(dropped)
    assert {one.reason for one in dropped} == {"budget"}
    kept = _days(store, "spans")
    assert kept == list(range(len(kept)))
    assert kept == _days(store, "logs")
    assert 0 < len(kept) < 10
    # One day less would have been enough if the last were still there.
    last = sum(one.bytes for one in dropped if one.partition == max(d.partition for d in dropped))
    assert lifetime.used_bytes(store) <= before * 7 // 10 < lifetime.used_bytes(store) + last + 10_000
    assert lifetime.enforce(store, Lifetime(FOREVER, budget_bytes=before * 7 // 10), NOW) == []


def test_the_current_day_and_alerts_are_never_dropped_for_room(store: Store) -> None:
    _fill(store, 3)
    lifetime.enforce(store, Lifetime(FOREVER, budget_bytes=1), NOW)
    assert _days(store, "spans") == [0]
    assert _days(store, "logs") == [0]
    assert len(_days(store, "alert_changes", "recorded_at")) == 3


def test_what_was_dropped_is_written_down_exactly(store: Store) -> None:
    _fill(store, 4)
    held = {(p.table, p.id): (p.rows, p.bytes) for p in lifetime.partitions(store)}
    dropped = lifetime.enforce(store, Lifetime({**FOREVER, "logs": 1}), NOW)
    days = {key: value for key, value in held.items() if key[1] < f"{NOW - timedelta(days=1):%Y%m%d}"}
    assert {(d.table, d.partition): (d.rows, d.bytes) for d in dropped} == {
        key: value for key, value in days.items() if migrate.kept_tables()[key[0]].keep == "logs"
    }
    assert set(lifetime.history(store)) == set(dropped)
    assert sum(d.rows for d in dropped if d.table == "logs") == 4 * 50 - store.query("SELECT count() FROM logs")[0][0]


_ENFORCE = """
import sys
from datetime import datetime
from faasight_store import Store, lifetime
with Store.open(sys.argv[1]) as store:
    sys.stdin.readline()
    days = dict.fromkeys(lifetime.DEFAULT_DAYS, 3650)
    lifetime.enforce(store, lifetime.Lifetime(days, int(sys.argv[2])), datetime.fromisoformat(sys.argv[3]))
"""


def test_several_processes_at_once_drop_no_more_than_one(server_dsn: str) -> None:
    with Store.open(server_dsn) as store:
        store.migrate()
        _fill(store, 30, 20)
        budget = lifetime.used_bytes(store) // 2
        command = [sys.executable, "-c", _ENFORCE, server_dsn, str(budget), NOW.isoformat()]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            assert (process.communicate(timeout=180)[1], process.returncode) == ("", 0)
        kept = _days(store, "spans")
        assert kept == _days(store, "logs") == list(range(len(kept)))
        gone = lifetime.history(store, 1000)
        assert len(gone) == len({(d.table, d.partition) for d in gone})
        assert [d.table for d in gone].count("spans") == 30 - len(kept)
        # The last day that went was one too many: with it the store was over its budget.
        newest = max(d.partition for d in gone)
        assert lifetime.used_bytes(store) + sum(d.bytes for d in gone if d.partition == newest) > budget - 10_000


def test_an_hour_whose_facts_were_dropped_is_not_settled_anew_by_what_comes_late(store: Store) -> None:
    old = NOW - timedelta(days=20)
    fact = (
        "INSERT INTO invocation_facts (ts, received_at, function, request_id, witness, outcome, duration_ms)"
        " SELECT {ts:DateTime64(9, 'UTC')}, now64(9) - toIntervalHour(1), 'checkout', toString(number),"
        " 'function', 'ok', 5 FROM numbers({from:UInt64}, {count:UInt64})"
    )
    store.command(fact, {"ts": old, "from": 0, "count": 10})
    assert rollup.settle(store) == 2
    lifetime.enforce(store, Lifetime({**FOREVER, "invocations": 5}), NOW)
    assert store.query("SELECT count() FROM invocation_facts") == [(0,)]
    store.command(fact.replace("now64(9) - toIntervalHour(1)", "now64(9)"), {"ts": old, "from": 10, "count": 1})
    assert rollup.settle(store) == 0
    assert store.query("SELECT sum(invocations) FROM invocation_hours") == [(10,)]


def test_an_hour_that_lost_some_of_its_facts_is_settled_once_for_each_change(store: Store) -> None:
    """The hour after midnight counts facts of the dropped day before it: its numbers will never agree again."""
    midnight = NOW.replace(hour=0) - timedelta(days=19)
    fact = (
        "INSERT INTO invocation_facts (ts, received_at, function, request_id, witness, outcome, duration_ms)"
        " SELECT {ts:DateTime64(9, 'UTC')}, now64(9), 'checkout', toString(number), 'function', 'ok', 5"
        " FROM numbers({from:UInt64}, {count:UInt64})"
    )
    store.command(fact, {"ts": midnight - timedelta(minutes=10), "from": 0, "count": 10})
    store.command(fact, {"ts": midnight + timedelta(minutes=5), "from": 10, "count": 5})
    assert rollup.settle(store) == 2
    dropped = lifetime.enforce(store, Lifetime({**FOREVER, "invocations": 19}), NOW)
    assert "invocation_facts" in _tables(dropped)
    assert store.query("SELECT count() FROM invocation_facts") == [(5,)]
    assert rollup.settle(store) == 0  # what was settled holds
    scope = Scope(midnight, midnight + timedelta(hours=1))
    for late in (1, 2):
        store.command(fact, {"ts": midnight + timedelta(minutes=7), "from": 20 + late, "count": 1})
        assert plan(store, scope, Grain.HOURS).hours == {}
        assert invocations.totals(store, scope).invocations == 5 + late
        assert [rollup.settle(store) for _ in range(3)] == [1, 0, 0]
        assert len(plan(store, scope, Grain.HOURS).hours) == 1
        assert invocations.totals(store, scope).invocations == 5 + late


def test_facts_that_someone_deleted_do_not_settle_for_ever(store: Store) -> None:
    hour = NOW - timedelta(hours=20)
    fact = (
        "INSERT INTO invocation_facts (ts, received_at, function, request_id, witness, outcome, duration_ms)"
        " SELECT {ts:DateTime64(9, 'UTC')}, now64(9), 'checkout', toString(number), 'function', 'ok', 5"
        " FROM numbers({count:UInt64})"
    )
    store.command(fact, {"ts": hour + timedelta(minutes=30), "count": 10})
    store.command(f"DELETE FROM {store.shape.table('invocation_facts')} WHERE request_id = '3'")
    assert [rollup.settle(store) for _ in range(2)] == [1, 0]
    assert invocations.totals(store, Scope(hour, hour + timedelta(hours=1))).invocations == 9


def test_every_table_that_grows_has_a_lifetime() -> None:
    """A table with a partition for each day or month says `{{keep NAME}}` where a TTL would stand."""
    partitioned = {
        statement.split("IF NOT EXISTS ")[1].split()[0]
        for migration in migrate.load()
        for statement in migration.statements()
        if "PARTITION BY" in statement
    }
    # These are of minutes and hours, not of days: the engine's own TTL does for them.
    assert partitioned - set(migrate.kept_tables()) == {
        "alert_leases",
        "settled_invocations",
        "settled_minutes",
        "touched_minutes",
    }
    assert {kept.keep for kept in migrate.kept_tables().values()} == set(lifetime.DEFAULT_DAYS)


@pytest.mark.parametrize(
    ("table", "partition", "end"),
    [
        ("spans", "20261231", datetime(2027, 1, 1, tzinfo=UTC)),
        ("edge_hours", "20261201", datetime(2027, 1, 1, tzinfo=UTC)),
        ("edge_hours", "20240201", datetime(2024, 3, 1, tzinfo=UTC)),
        ("alert_changes", "202601", datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_partition_s_end_is_read_off_its_id(table: str, partition: str, end: datetime) -> None:
    assert migrate.kept_tables()[table].end(partition) == end
