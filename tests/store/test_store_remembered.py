"""Queries share for a moment what all ask first, and none of them loses or doubles an invocation by that."""

import itertools
import random
import time

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import functions, invocations
from faasight_store.rollup import settle_minutes
from faasight_store.times import HOUR, MINUTE, SECOND, from_ns
from statements import listen

_tokens = (f"remembered-token-{n}" for n in itertools.count())


def _land(store: Store, *runs: otlp.Run) -> None:
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), next(_tokens))


def _counted(store: Store, scope: Scope) -> tuple[int, ...]:
    """Return the same count by three ways that read different tables."""
    return (
        invocations.totals(store, scope).invocations,
        sum(row.totals.invocations for row in functions.functions(store, scope)),
        sum(map(sum, invocations.heatmap(store, scope, buckets=60).counts)),
    )


def test_queries_of_a_page_ask_once_what_is_settled(
    store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // MINUTE * MINUTE
    _land(store, *(otlp.Run(now - n * MINUTE, function=name) for n in range(1, 20) for name in ("a", "b")))
    settle(store, now_ns=lambda: now)
    scope = Scope(from_ns(now - HOUR), from_ns(now))
    expected = _counted(store, scope)
    assert expected == (38, 38, 38)
    asked = listen(monkeypatch)
    assert _counted(remembering, scope) == expected
    invocations.series(remembering, scope, buckets=60)
    invocations.recent(remembering, scope)
    for table in ("touched_hours", "touched_minutes"):
        assert sum(table in sql for sql in asked) == 1
    # The newest are merged once; what is listed is merged again, with all its columns.
    assert sum("FROM invocation_facts" in sql and "{chosen" not in sql for sql in asked) <= 2


def test_what_is_settled_meanwhile_is_neither_lost_nor_counted_twice(store: Store, remembering: Store) -> None:
    now = time.time_ns() // MINUTE * MINUTE
    _land(store, *(otlp.Run(now - n * MINUTE) for n in range(1, 20)))
    settle(store, now_ns=lambda: now - 6 * MINUTE)
    scope = Scope(from_ns(now - HOUR), from_ns(now))
    assert invocations.totals(remembering, scope).invocations == 19
    _land(store, otlp.Run(now - 12 * MINUTE))
    settle(store, now_ns=lambda: now)  # later minutes, and one of before anew
    counted = _counted(remembering, scope)
    assert set(counted) <= {19, 20}, counted
    assert _counted(store, scope) == (20, 20, 20)


def test_minutes_that_were_settled_under_a_clock_ahead_are_settled_anew_when_it_is_right(store: Store) -> None:
    now = time.time_ns() // MINUTE * MINUTE
    scope = Scope(from_ns(now - HOUR), from_ns(now))
    _land(store, *(otlp.Run(now - n * MINUTE) for n in range(1, 20)))
    assert settle_minutes(store, now + 30 * MINUTE)
    for n in range(3):
        _land(store, otlp.Run(now - (12 + n) * MINUTE))
        assert _counted(store, scope) == (20 + n,) * 3
        assert settle_minutes(store, now)
        assert _counted(store, scope) == (20 + n,) * 3
        assert settle_minutes(store, now) == 0  # and not for ever


def test_an_hour_that_is_settled_anew_can_be_read_as_it_was_for_a_while(store: Store, remembering: Store) -> None:
    now = time.time_ns() // SECOND * SECOND
    hour = now // HOUR * HOUR - 3 * HOUR
    _land(store, *(otlp.Run(hour + n * MINUTE, function="old") for n in range(30)))
    assert settle(store, now_ns=lambda: now) >= 1
    scope = Scope(from_ns(hour), from_ns(hour + HOUR))
    assert invocations.totals(remembering, scope).invocations == 30
    _land(store, otlp.Run(hour + 7 * MINUTE, function="old"))
    assert settle(store, now_ns=lambda: now + SECOND) >= 1
    assert _counted(remembering, scope) == (30, 30, 30)
    assert _counted(store, scope) == (31, 31, 31)
    remembering.forget()
    assert _counted(remembering, scope) == (31, 31, 31)


def test_busy_time_is_spread_alike_from_memory_and_from_the_tables(store: Store) -> None:
    now = time.time_ns() // (30 * SECOND) * 30 * SECOND
    rng = random.Random(3)
    runs = [otlp.Run(now - rng.randrange(1800) * SECOND, ms=rng.lognormvariate(8, 2)) for _ in range(80)]
    _land(store, *runs)
    scope = Scope(from_ns(now - HOUR), from_ns(now))

    def busy() -> list[float]:
        return [round(some or 0, 6) for some in invocations.series(store, scope, buckets=120).concurrency]

    before = busy()
    assert sum(some > 0 for some in before) > 20
    # Minutes alone: in an hour that is over, busy time counts where it began, and at some times of the hour one is.
    assert settle_minutes(store, now)
    assert busy() == before
