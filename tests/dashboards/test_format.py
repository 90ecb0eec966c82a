"""Words for numbers: the right unit, enough digits, never a made-up value for none."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from faasight_dashboards import format as fmt

NOON = datetime(2026, 11, 21, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (0.125, "0.125"),
        (950, "950"),
        (1234, "1.23k"),
        (10_100_000, "10.1M"),
        (2.5e9, "2.5B"),
        (None, fmt.NONE),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert fmt.number(value) == text


@pytest.mark.parametrize(
    ("count", "seconds", "text"),
    [
        (0, 60, "0/s"),
        (5000, 10, "500/s"),
        (30, 60, "30/min"),
        (5, 3600, "5/h"),
        (2, 10 * 86400, "0.2/d"),
        (5, 0, "0/s"),
    ],
)
def test_rate(count: float, seconds: float, text: str) -> None:
    assert fmt.rate(count, seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, fmt.NONE),
        (0, "0 ms"),
        (0.64, "640 µs"),
        (9.5, "9.5 ms"),
        (320, "320 ms"),
        (999.6, "1.00 s"),
        (1450, "1.45 s"),
        (150_000, "2.5 min"),
        (7_200_000, "2.0 h"),
    ],
)
def test_ms(value: float | None, text: str) -> None:
    assert fmt.ms(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(None, fmt.NONE), (0, "0.0%"), (0.0739, "7.39%"), (0.236, "23.6%"), (1, "100.0%")]
)
def test_percent(share: float | None, text: str) -> None:
    assert fmt.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, fmt.NONE),
        (0, "$0"),
        (23.631, "$23.63"),
        (1234.5, "$1,234"),
        (0.0123, "$0.0123"),
        (0.00042, "$0.00042"),
        (0.0000012, "$0.0000012"),
    ],
)
def test_usd(value: float | None, text: str) -> None:
    assert fmt.usd(value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, fmt.NONE), (512, "512 B"), (1500, "1.5 kB"), (20_000_000, "20 MB"), (3e12, "3 TB")]
)
def test_size(count: float | None, text: str) -> None:
    assert fmt.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (45, "45s"),
        (14 * 60, "14m"),
        (7800, "2h 10m"),
        (7200, "2h"),
        (11 * 3600 + 60, "11h"),
        (3 * 86400, "3d"),
    ],
)
def test_span(seconds: float, text: str) -> None:
    assert fmt.span(seconds) == text


def test_age_of_now_and_of_the_past() -> None:
    assert fmt.age(NOON, NOON) == "just now"
    assert fmt.age(NOON - timedelta(minutes=5), NOON) == "5m ago"


def test_clock_is_in_the_viewers_zone_and_utc_says_so() -> None:
    assert fmt.clock(NOON, timezone(timedelta(hours=2))) == "2026-11-21 14:00:00"
    assert fmt.clock(NOON, date=False, millis=True) == "12:00:00.123"
    assert fmt.utc(NOON) == "2026-11-21 12:00:00.123 UTC"
