"""Slots are fixed instants: whoever looks, and whenever, looks at the same windows."""

from datetime import UTC, datetime, timedelta

from faasight_alerts.rule import Condition, Rule
from faasight_alerts.slots import Progress, due, window
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
RULE = Rule("r", "warning", "errors", Condition(">", 0), window_s=60, every_s=60, delay_s=15)


def test_the_first_start_looks_at_the_newest_slot_alone() -> None:
    assert list(due(RULE, None, NOON + timedelta(seconds=42))) == [int(NOON.timestamp())]


def test_a_window_ends_its_delay_before_the_slot() -> None:
    start, end = window(RULE, int(NOON.timestamp()))
    assert (start, end) == (NOON - timedelta(seconds=75), NOON - timedelta(seconds=15))


def test_missed_slots_come_in_order_and_are_bounded() -> None:
    done = int(NOON.timestamp())
    assert list(due(RULE, Progress(0, done), NOON + timedelta(minutes=3))) == [done + 60, done + 120, done + 180]
    missed = due(RULE, Progress(0, done), NOON + timedelta(days=3))
    assert missed[-1] == int((NOON + timedelta(days=3)).timestamp())
    assert missed[-1] - missed[0] <= 3600


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=30), st.sampled_from([1, 7, 15, 60, 300]))
def test_however_the_clock_ticks_each_slot_is_due_once_and_in_order(steps: list[int], every_s: int) -> None:
    """Ticks may come late, twice or bunched; no slot within the bound is lost or doubled."""
    rule = Rule("r", "warning", "errors", Condition(">", 0), every_s=every_s)
    now, progress, seen = NOON, None, list[int]()
    for seconds in steps:
        now += timedelta(seconds=min(seconds, 3600))
        slots = list(due(rule, progress, now))
        seen += slots
        progress = Progress(0, slots[-1]) if slots else progress
    assert seen == list(range(seen[0], seen[-1] + 1, every_s))
    assert all(slot % every_s == 0 and slot <= now.timestamp() for slot in seen)
