"""Ranges from the newest back cover a scope once, and stop when enough is found."""

import time
from datetime import timedelta

import pytest
from faasight_store import Scope
from faasight_store.queries.windows import WIDEST, newest_first
from faasight_store.times import DAY, HOUR, MINUTE, from_ns

NOW = time.time_ns() // 1000 * 1000


@pytest.mark.parametrize(
    ("ago", "until"),
    [
        (30 * DAY, 5 * HOUR),  # as charts end: with a whole step
        (MINUTE, 0),
        (9 * DAY, -8 * DAY),
        (-HOUR, 2 * HOUR),
        (0, 0),
    ],
)
@pytest.mark.parametrize("each", [0, 1, 7])
def test_ranges_cover_a_scope_without_gaps_until_enough_is_found(ago: int, until: int, each: int) -> None:
    start, end = NOW - ago, NOW + until
    found: list[int] = []
    seen = []
    for low, high in newest_first(Scope(from_ns(start), from_ns(end)), found, 20):
        assert low < high
        assert (high == end) if not seen else (high == seen[-1][0])
        seen.append((low, high))
        found += range(each)
    if each * len(seen) < 20 and start < end:
        assert seen[-1][0] == start
    assert len(seen) <= 20
    assert each == 0 or len(found) < 20 + each


def test_the_first_has_what_lies_ahead_of_now_and_all_that_is_in_memory() -> None:
    scope = Scope(from_ns(NOW - DAY), from_ns(NOW + 5 * HOUR))
    low, high = next(newest_first(scope, [], 20))
    assert (high, low >= NOW - 2 * MINUTE) == (NOW + 5 * HOUR, True)
    assert next(newest_first(scope, [], 20, NOW - 7 * MINUTE)) == (NOW - 7 * MINUTE, NOW + 5 * HOUR)
    before = Scope(scope.start, scope.end - timedelta(hours=9))
    assert next(newest_first(before, [], 20)) == (NOW - 4 * HOUR - 2 * MINUTE, NOW - 4 * HOUR)


def test_the_next_is_as_wide_as_what_was_found_lets_expect() -> None:
    def second(brought: int, widest: int = WIDEST) -> float:
        found: list[int] = []
        ranges = newest_first(Scope(from_ns(NOW - DAY), from_ns(NOW - HOUR)), found, 100, widest=widest)
        next(ranges)
        found += range(brought)
        low, high = next(ranges)
        return (high - low) / (2 * MINUTE)

    assert (second(0), second(1), second(99)) == (16, 16, 2)
    assert second(25) == pytest.approx(1.5 * 3)
    assert (second(0, 4), second(25, 4), second(99, 4)) == (4, 4, 2)
