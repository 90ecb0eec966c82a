"""The URL's range: relative ones move, absolute ones stay, nonsense is refused."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from faasight_dashboards.scope import PRESETS, ScopeError, view
from faasight_store.queries.windows import chart_step_s
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 21, 8, 40, 12, 345678, tzinfo=UTC)


def millis(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1000))


LENGTHS_S = {"m": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_keeps_its_length_and_ends_at_the_next_bucket(preset: str) -> None:
    scope = view({"from": preset, "to": "now"}, NOW).scope
    assert scope.seconds == int(preset[4:-1]) * LENGTHS_S[preset[-1]]
    assert NOW <= scope.end < NOW + timedelta(seconds=max(1.0, chart_step_s(scope.seconds)))


def test_refreshes_within_a_bucket_look_at_the_same_scope() -> None:
    """Charts would shiver else, and no answer could be shared."""
    first = view({"from": "now-3h"}, NOW).scope
    assert view({"from": "now-3h"}, NOW + timedelta(seconds=5)).scope == first
    assert view({"from": "now-3h"}, NOW + timedelta(seconds=90)).scope != first


def test_an_absolute_range_is_taken_as_it_is() -> None:
    start, end = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 20, 1, tzinfo=UTC)
    seen = view({"from": millis(start), "to": millis(end), "env": "prod", "zone": "Europe/Berlin"}, NOW)
    assert (seen.scope.start, seen.scope.end, seen.scope.environment) == (start, end, "prod")
    assert str(seen.zone) == "Europe/Berlin"


def test_a_range_upside_down_is_turned_and_an_empty_one_has_a_length() -> None:
    start, end = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 20, 1, tzinfo=UTC)
    assert view({"from": millis(end), "to": millis(start)}, NOW).scope.start == start
    assert view({"from": millis(end), "to": millis(end)}, NOW).scope.seconds == 1


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "now+3h",
        "now-3y",
        "now-",
        "nan",
        "inf",
        "1e300",
        "'; DROP TABLE spans",
        "253402300799000",  # the last moment of the year 9999
        "-1",
        "now-99999d",
    ],
)
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(ScopeError) as refused:
        view({"from": text}, NOW)
    assert text in str(refused.value)


@pytest.mark.parametrize("zone", ["", "Nowhere/City", "../../etc/passwd", None, "\x00"])
def test_an_unknown_zone_is_utc(zone: str | None) -> None:
    assert view({"from": "now-1h", "zone": zone}, NOW).zone is UTC


@given(st.integers(0, 7_258_118_400_000), st.integers(0, 7_258_118_400_000))  # to the year 2200
def test_any_range_has_a_positive_length_of_at_most_a_year(start: int, end: int) -> None:
    scope = view({"from": str(start), "to": str(end)}, NOW).scope
    assert 0 < scope.seconds <= 366 * 86400


def test_query_leads_back_to_the_view() -> None:
    seen = view({"from": "now-3h", "to": "now", "env": "prod & co"}, NOW)
    assert parse_qs(seen.query(q="a b")) == {"q": ["a b"], "from": ["now-3h"], "to": ["now"], "env": ["prod & co"]}
