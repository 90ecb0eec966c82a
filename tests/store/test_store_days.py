"""Days are added up of their hours, answer like them, and only while they are made of those that count."""

import random
import time
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import functions, invocations
from faasight_store.queries.cells import Grain, plan
from faasight_store.queries.map import invocation_map
from faasight_store.times import DAY, HOUR, MINUTE, SECOND, from_ns

TODAY = time.time_ns() // DAY * DAY
HOURS = [TODAY - 2 * DAY + 3 * HOUR, TODAY - 2 * DAY + 23 * HOUR, TODAY - DAY, TODAY - DAY + 11 * HOUR]
SCOPE = Scope(from_ns(TODAY - 3 * DAY), from_ns(TODAY))
PLACE = tuple[Store, list[otlp.Run]]


def _clock() -> int:
    """Return a time at which yesterday is over for good, whatever the hour of the day."""
    return time.time_ns() + 2 * HOUR


@pytest.fixture
def month(store: Store) -> PLACE:
    """Return a store with some hours of two days, not settled."""
    rng = random.Random(11)
    runs = [
        otlp.Run(
            rng.choice(HOURS) + rng.randrange(20 * MINUTE, 40 * MINUTE),  # far from other hours
            ms=rng.lognormvariate(4, 1),
            function=rng.choice("ab"),
            cold=rng.random() < 0.3,
            outcome=rng.choice(["ok", "ok", "error"]),
            environment=rng.choice(["default", "prod"]),
        )
        for _ in range(300)
    ]
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), "traces")
    store.land("records", otlp.records(*(run.record("report") for run in runs)), "records")
    return store, runs


def _answers(store: Store) -> list[Any]:
    rows = functions.functions(store, SCOPE)
    cold = functions.cold_starts(store, SCOPE, "a")
    return [
        [(row.function, row.totals.invocations, row.totals.errors, row.totals.p95_ms, row.max_ms) for row in rows],
        [(row.init_p95_ms, sum(row.spark), row.version, row.memory_mb) for row in rows],
        (cold.count, cold.p50_ms, cold.p95_ms, cold.by_init_type),
        invocations.totals(store, SCOPE, "a").cold_starts,
        functions.functions(store, Scope(SCOPE.start, SCOPE.end, "prod"))[0].totals.invocations,
        [(node.name, node.invocations) for node in invocation_map(store, SCOPE).nodes],
    ]


def _counted(store: Store) -> int:
    return sum(row.totals.invocations for row in functions.functions(store, SCOPE))


def test_days_answer_like_the_facts_of_their_hours(month: PLACE) -> None:
    store, runs = month
    before = _answers(store)
    assert _counted(store) == len(runs)
    assert settle(store, now_ns=_clock) == len(HOURS)
    used = plan(store, SCOPE, Grain.DAYS)
    assert (len(used.days), len(used.hours), len(used.slots)) == (2, 0, 0)
    assert _answers(store) == before
    half = Scope(from_ns(TODAY - 2 * DAY + 4 * HOUR), SCOPE.end)  # a day that is cut is read by its hours
    assert (len(plan(store, half).days), len(plan(store, half).hours)) == (1, 1)
    later = sum(run.start_ns >= TODAY - 2 * DAY + 4 * HOUR for run in runs)
    assert sum(row.totals.invocations for row in functions.functions(store, half)) == later


def test_what_comes_late_for_a_day_counts_at_once_and_the_day_is_added_up_again(month: PLACE) -> None:
    store, runs = month
    settle(store, now_ns=_clock)
    late = otlp.Run(HOURS[2] + 25 * MINUTE, function="b")
    store.land("traces", otlp.segment(late.traces()), "late")
    assert len(plan(store, SCOPE).days) == 1
    assert _counted(store) == len(runs) + 1
    assert settle(store, now_ns=_clock) == 1
    assert len(plan(store, SCOPE).days) == 2
    assert _counted(store) == len(runs) + 1
    versions = "SELECT max(n) FROM (SELECT uniqExact(version) AS n FROM invocation_days GROUP BY hour)"
    assert store.query(versions) == [(2,)]  # whoever learned of the old one a moment ago may still read it
    settle(store, now_ns=lambda: _clock() + 2 * MINUTE)
    assert store.query(versions) == [(1,)]
    assert store.query("SELECT max(n) FROM (SELECT count() AS n FROM settled_days GROUP BY hour)") == [(1,)]
    assert _counted(store) == len(runs) + 1


def test_a_day_that_broke_off_or_is_of_other_hours_is_not_counted(month: PLACE) -> None:
    store, runs = month
    settle(store, now_ns=_clock)
    store.command("INSERT INTO invocation_days SELECT * REPLACE (version + 1000 AS version) FROM invocation_days")
    assert _counted(store) == len(runs)
    store.command("INSERT INTO settled_days SELECT hour, version + 1000, made_of + 1 FROM settled_days")
    assert not plan(store, SCOPE).days
    assert _counted(store) == len(runs)


@pytest.mark.parametrize("jump", [0, -20 * MINUTE], ids=["stands still", "goes back"])
def test_whatever_the_clock_does_what_is_settled_anew_counts_once_and_no_two_share_a_version(
    month: PLACE, jump: int
) -> None:
    store, runs = month
    still = _clock()
    settle(store, now_ns=lambda: still)
    for n, hour in enumerate((HOURS[2], HOURS[0], HOURS[0])):
        store.land("traces", otlp.segment(otlp.Run(hour + (25 + n) * MINUTE, function="b").traces()), f"late-{n}")
        assert settle(store, now_ns=lambda: still + jump) == 1
        used = plan(store, SCOPE)
        assert (len(used.days), len(used.hours), len(used.slots)) == (2, 0, 0)
        assert _counted(store) == len(runs) + n + 1
    assert settle(store, now_ns=lambda: still + jump) == 0
    for table in ("settled_hours", "settled_days"):
        places = f"SELECT max(n) FROM (SELECT uniqExact(hour) AS n FROM {table} GROUP BY version)"
        assert store.query(places) == [(1,)]


def test_a_day_that_is_not_over_is_left_to_its_hours(store: Store) -> None:
    store.land("traces", otlp.segment(otlp.Run(HOURS[3] + 30 * MINUTE).traces()), "one")
    settle(store, now_ns=lambda: TODAY - MINUTE)
    assert store.query("SELECT count() FROM settled_hours WHERE version > 0")[0][0] == 1
    assert store.query("SELECT count() FROM settled_days") == [(0,)]


def test_failures_of_a_part_of_an_hour_are_the_same_once_it_is_settled(store: Store) -> None:
    runs = [
        otlp.Run(HOURS[3] + n * 40 * SECOND, function="a", outcome="error", error_type="ValueError", message=f"of {n}")
        for n in range(75)
    ]
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), "failures")
    part = Scope(from_ns(HOURS[3] + 10 * MINUTE), from_ns(HOURS[3] + 40 * MINUTE + 30 * SECOND))
    before = invocations.errors(store, part)
    assert [group.count for group in before] == [sum(600 <= n * 40 < 2430 for n in range(75))]
    settle(store, now_ns=_clock)
    assert store.query("SELECT sum(failures) FROM error_slots") == [(75,)]
    assert invocations.errors(store, part) == before
