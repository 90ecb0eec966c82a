"""Schedule expressions: when they fire next, and which are refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from faasight_emulator.cron import check_expression, next_time

MONDAY = datetime(2026, 3, 2, 10, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(1 minute)", "2026-03-02 10:31:20"),
        ("rate(5 minutes)", "2026-03-02 10:35:20"),
        ("rate(1 hour)", "2026-03-02 11:30:20"),
        ("rate(2 days)", "2026-03-04 10:30:20"),
        ("cron(* * * * ? *)", "2026-03-02 10:31:00"),
        ("cron(0/15 * * * ? *)", "2026-03-02 10:45:00"),
        ("cron(0 12 * * ? *)", "2026-03-02 12:00:00"),
        ("cron(0 9 * * ? *)", "2026-03-03 09:00:00"),
        ("cron(0 8 1 * ? *)", "2026-04-01 08:00:00"),
        ("cron(0 18 ? * MON-FRI *)", "2026-03-02 18:00:00"),
        ("cron(0 9 ? * SUN *)", "2026-03-08 09:00:00"),
        ("cron(0 9 ? * 1 *)", "2026-03-08 09:00:00"),
        ("cron(5,10 8-9 ? * TUE,THU *)", "2026-03-03 08:05:00"),
        ("cron(0 0 L * ? *)", "2026-03-31 00:00:00"),
        ("cron(0 0 1W * ? *)", "2026-04-01 00:00:00"),
        ("cron(0 0 15W * ? *)", "2026-03-16 00:00:00"),
        ("cron(0 0 ? * 6#3 *)", "2026-03-20 00:00:00"),
        ("cron(0 0 ? * 6L *)", "2026-03-27 00:00:00"),
        ("cron(0 0 29 FEB ? *)", "2028-02-29 00:00:00"),
        ("cron(0 0 31 * ? *)", "2026-03-31 00:00:00"),
        ("cron(0 0 1 1 ? 2030)", "2030-01-01 00:00:00"),
    ],
)
def test_next_time(expression: str, expected: str) -> None:
    """Each expression fires where EventBridge's documentation says."""
    assert next_time(expression, MONDAY) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_never_again() -> None:
    """An expression whose years are over fires no more."""
    assert next_time("cron(0 0 1 1 ? 2020)", MONDAY) is None


def test_other_time_zones_are_understood() -> None:
    """The time given may be in any zone; cron is UTC."""
    tokyo = MONDAY.astimezone(timezone(timedelta(hours=9)))
    assert next_time("cron(0 12 * * ? *)", tokyo) == datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "every minute",
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "cron(* * * *)",
        "cron(* * * * * *)",
        "cron(* * ? * ? *)",
        "cron(60 * * * ? *)",
        "cron(* 24 * * ? *)",
        "cron(* * 32 * ? *)",
        "cron(* * ? * 8 *)",
        "cron(* * ? * XYZ *)",
        "cron(*/0 * * * ? *)",
        "cron(5-1 * * * ? *)",
    ],
)
def test_refused(expression: str) -> None:
    """What EventBridge refuses is refused, with what would be right."""
    problem = check_expression(expression)
    assert problem is not None
    assert repr(expression)[1:-1] in problem
    assert "must" in problem or "needs" in problem or "is no value" in problem
