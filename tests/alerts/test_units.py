"""Quantities, as they are written and as they are read."""

import pytest
from faasight_alerts import units
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("30s", 30), ("5m", 300), ("2 h", 7200), (" 1d ", 86400)])
def test_durations(text: str, seconds: int) -> None:
    assert units.duration(text) == seconds


@given(st.integers(1, 10**6))
def test_a_duration_in_words_is_the_same_duration(seconds: int) -> None:
    assert units.duration(units.span(seconds).replace("min", "m")) == seconds


@pytest.mark.parametrize("text", ["", "5", "5x", "-5m", "1.5h", "m", "5m 3s"])
def test_what_is_no_duration_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="30s, 5m, 2h or 1d"):
        units.duration(text)


@pytest.mark.parametrize(
    ("value", "signal", "text"),
    [
        (0.1234, "error_rate", "12.3 %"),
        (0.0004, "error_rate", "0.04 %"),
        (0.95, "timeout_headroom", "95 %"),
        (1.0, "memory_used_ratio", "100 %"),
        (87.4, "duration_p95_ms", "87.4 ms"),
        (1734.0, "duration_p95_ms", "1.73 s"),
        (12345.0, "errors", "12,345"),
        (1.5, "cost_usd", "$1.50"),
    ],
)
def test_values_for_people(value: float, signal: str, text: str) -> None:
    assert units.shown(value, signal) == text
