"""Hours in which nothing ran are not looked into, and what comes for them late counts all the same."""

import itertools
import time

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import functions, invocations
from faasight_store.queries.hours import Hours, known_hours
from faasight_store.times import DAY, HOUR, MINUTE, from_ns

_tokens = (f"hour-token-{n}" for n in itertools.count())
_AT = 1000 * HOUR


def _land(store: Store, *runs: otlp.Run) -> None:
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), next(_tokens))


@pytest.mark.parametrize(
    ("touched", "newest", "covered", "gaps"),
    [
        ([], -1, [], [(-HOUR, 5 * HOUR)]),  # nothing is told of so late a time
        ([], 5, [], []),
        ([], 3, [], [(3 * HOUR, 5 * HOUR)]),
        ([1, 2], 5, [], [(HOUR, 3 * HOUR)]),
        ([1, 3], 4, [], [(HOUR, 2 * HOUR), (3 * HOUR, 5 * HOUR)]),
        ([-1], 5, [], [(-HOUR, 0)]),
        ([1, 2, 4], 5, [(HOUR, 2 * HOUR)], [(2 * HOUR, 3 * HOUR), (4 * HOUR, 5 * HOUR)]),
        ([1], 5, [(HOUR + MINUTE, 2 * HOUR - MINUTE)], [(HOUR, HOUR + MINUTE), (2 * HOUR - MINUTE, 2 * HOUR)]),
        ([], 5, [(-HOUR, 5 * HOUR)], []),
    ],
)
def test_gaps_are_hours_that_facts_bear_on(
    touched: list[int], newest: int, covered: list[tuple[int, int]], gaps: list[tuple[int, int]]
) -> None:
    known = Hours({}, frozenset(_AT + hour * HOUR for hour in touched), _AT + newest * HOUR)
    found = known.gaps(_AT - HOUR, _AT + 5 * HOUR, [(_AT + low, _AT + high) for low, high in covered])
    assert [(low - _AT, high - _AT) for low, high in found] == gaps


def test_of_many_gaps_all_of_the_time_is_asked_for() -> None:
    known = Hours({}, frozenset(range(_AT, _AT + 10 * DAY, 2 * HOUR)), _AT + 20 * DAY)
    assert known.gaps(_AT, _AT + 10 * DAY, []) == ((_AT, _AT + 10 * DAY),)
    assert len(known.gaps(_AT, _AT + DAY, [])) == 12


def test_what_comes_for_an_hour_in_which_nothing_ran_counts_at_once(store: Store) -> None:
    now = time.time_ns() // HOUR * HOUR
    _land(store, otlp.Run(now - 30 * MINUTE), otlp.Run(now - 50 * HOUR))
    settle(store, now_ns=lambda: now + 30 * MINUTE)
    month = Scope(from_ns(now - 29 * DAY), from_ns(now + HOUR))
    known = known_hours(store, now - 29 * DAY, now + HOUR)
    assert {now - HOUR, now - 50 * HOUR} <= known.touched
    assert len(known.touched) <= 6  # and the hours beside them
    assert invocations.totals(store, month).invocations == 2
    late = otlp.Run(now - 20 * DAY + 5 * MINUTE, outcome="error", error_type="Late", message="x")
    _land(store, late)
    for _ in range(2):
        assert invocations.totals(store, month).invocations == 3
        assert [group.count for group in invocations.errors(store, month)] == [1]
        assert [row.totals.invocations for row in functions.functions(store, month)] == [3]
        # A part of its hour, too: before it was settled, and after.
        begin = now - 20 * DAY + 5 * MINUTE - 7
        assert invocations.totals(store, Scope(from_ns(begin), from_ns(begin + DAY))).invocations == 1
        assert invocations.totals(store, Scope(from_ns(begin - DAY), from_ns(begin))).invocations == 0
        settle(store, now_ns=lambda: now + 31 * MINUTE)
