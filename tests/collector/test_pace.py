"""Segments are small while the store is quick, and fewer where inserts take their time."""

from dataclasses import replace

import pytest
from faasight_collector import Settings
from faasight_collector.pace import Pace
from still_clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def pace(settings: Settings, clock: StillClock) -> Pace:
    return Pace(replace(settings, segment_age_s=1.0, segment_age_max_s=5.0), clock)


def test_what_is_stored_quickly_is_fresh(pace: Pace) -> None:
    assert pace.age_s() == 1
    pace.inserted("traces", 0.1)
    pace.inserted("records", 0.05)
    assert pace.age_s() == 1


def test_the_store_rests_four_times_as_long_as_the_inserts_of_all_signals_take(pace: Pace) -> None:
    pace.inserted("traces", 0.4)
    pace.inserted("logs", 0.2)
    assert pace.age_s() == pytest.approx(2.4)
    pace.inserted("traces", 0.1)
    assert pace.age_s() == pytest.approx(1.2)
    pace.inserted("traces", 60)
    assert pace.age_s() == 5


def test_a_signal_that_is_no_longer_sent_is_forgotten(pace: Pace, clock: StillClock) -> None:
    pace.inserted("metrics", 1)
    assert pace.age_s() == 4
    clock.now += 31
    assert pace.age_s() == 1


def test_the_age_that_was_asked_for_holds_where_it_is_above_the_limit(settings: Settings) -> None:
    pace = Pace(replace(settings, segment_age_s=3600, segment_age_max_s=5.0))
    pace.inserted("traces", 2)
    assert pace.age_s() == 3600
