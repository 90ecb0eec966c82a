"""When a schedule fires next: rate(...) and cron(...) expressions of EventBridge, in UTC."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from faasight_emulator.errors import EmulatorError

_RATE = re.compile(r"rate\(\s*(\d+)\s+(minute|minutes|hour|hours|day|days)\s*\)")
_CRON = re.compile(r"cron\((.+)\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
# EventBridge counts days of the week from Sunday = 1.
_WEEKDAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_YEARS = (1970, 2199)


class _ExpressionError(EmulatorError):
    """The expression is none that EventBridge takes."""


@dataclass(frozen=True, slots=True)
class _Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]


def check_expression(expression: str) -> str | None:
    """Return what is wrong with a schedule expression and what would be right, or None if it is good."""
    try:
        next_time(expression, datetime(2024, 1, 1, tzinfo=UTC))
    except _ExpressionError as error:
        return str(error)
    return None


def next_time(expression: str, after: datetime) -> datetime | None:
    """Return the first time later than `after` (aware) at which the expression fires; None if never again.

    A rate fires one period after `after`, as EventBridge does after a rule is made or has fired.

    Raises:
        EmulatorError: the expression is none that EventBridge takes.

    """
    rate = _RATE.fullmatch(expression.strip())
    if rate:
        return after + timedelta(seconds=_rate_seconds(int(rate.group(1)), rate.group(2), expression))
    cron = _CRON.fullmatch(expression.strip())
    if not cron:
        raise _ExpressionError(f"is '{expression}'; must be as rate(5 minutes) or cron(0 12 * * ? *).")
    return _next_cron(_parse(cron.group(1).split(), expression), after.astimezone(UTC))


def _rate_seconds(count: int, unit: str, expression: str) -> int:
    if count < 1 or unit.endswith("s") == (count == 1):
        raise _ExpressionError(f"is '{expression}'; must be as rate(1 minute) or rate(5 minutes).")
    return count * _UNITS[unit.removesuffix("s")]


def _parse(fields: list[str], expression: str) -> _Cron:
    if len(fields) != 6:
        raise _ExpressionError(
            f"is '{expression}'; cron needs six fields: minutes hours day-of-month month day-of-week year."
        )
    minutes, hours, days, months, weekdays, years = (text.upper() for text in fields)
    if (days == "?") == (weekdays == "?"):
        raise _ExpressionError(f"is '{expression}'; exactly one of day-of-month and day-of-week must be '?'.")
    cron = _Cron(
        frozenset(_values(minutes, 0, 59, {}, expression)),
        frozenset(_values(hours, 0, 23, {}, expression)),
        days,
        frozenset(_values(months, 1, 12, _MONTHS, expression)),
        weekdays,
        frozenset(_values(years, *_YEARS, {}, expression)),
    )
    _days_of(cron, 2024, 1, expression)  # a wrong day field is found now, not in the month that needs it
    return cron


def _next_cron(cron: _Cron, after: datetime) -> datetime | None:
    start = (after + timedelta(minutes=1)).replace(second=0, microsecond=0)
    for day in _matching_days(cron, start.date()):
        for hour in sorted(cron.hours):
            for minute in sorted(cron.minutes):
                moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if moment >= start:
                    return moment
    return None


def _matching_days(cron: _Cron, start: date) -> Iterator[date]:
    for year in sorted(year for year in cron.years if year >= start.year):
        for month in sorted(cron.months):
            for day in sorted(_days_of(cron, year, month, "")):
                if date(year, month, day) >= start:
                    yield date(year, month, day)


def _days_of(cron: _Cron, year: int, month: int, expression: str) -> set[int]:
    last = calendar.monthrange(year, month)[1]
    if cron.weekdays == "?":
        return _days_of_month(cron.days, year, month, last, expression)
    return _days_of_week(cron.weekdays, year, month, last, expression)


def _days_of_month(text: str, year: int, month: int, last: int, expression: str) -> set[int]:
    if text == "L":
        return {last}
    nearest = re.fullmatch(r"(\d+)W", text)
    if nearest:  # the weekday nearest to that day, within the month
        wanted = min(int(nearest.group(1)), last)
        working = [day for day in range(1, last + 1) if calendar.weekday(year, month, day) < 5]
        return {min(working, key=lambda day: (abs(day - wanted), day))}
    return {day for day in _values(text, 1, 31, {}, expression) if day <= last}


def _days_of_week(text: str, year: int, month: int, last: int, expression: str) -> set[int]:
    by_weekday: dict[int, list[int]] = {number: [] for number in range(1, 8)}
    for day in range(1, last + 1):
        by_weekday[(calendar.weekday(year, month, day) + 1) % 7 + 1].append(day)
    special = re.fullmatch(r"(\w+?)(?:#([1-5])|(L))", text)
    if special and special.group(1) in {*_WEEKDAYS, *map(str, range(1, 8))}:
        weekday = _WEEKDAYS.get(special.group(1)) or int(special.group(1))
        days = by_weekday[weekday]
        place = int(special.group(2)) - 1 if special.group(2) else len(days) - 1
        return set(days[place : place + 1])
    return {day for number in _values(text, 1, 7, _WEEKDAYS, expression) for day in by_weekday[number]}


def _values(text: str, low: int, high: int, names: dict[str, int], expression: str) -> Iterator[int]:
    """Yield the numbers that one field allows: *, lists, ranges, steps and names."""
    for part in text.split(","):
        span, _, step_text = part.partition("/")
        first_text, _, last_text = span.partition("-")
        try:
            step = int(step_text) if step_text else 1
            first = low if span == "*" else names.get(first_text) or int(first_text)
            last = names.get(last_text) or int(last_text) if last_text else high if span == "*" or step_text else first
        except ValueError as error:
            raise _ExpressionError(f"is '{expression}'; '{part}' is no value of a cron field.") from error
        if not (low <= first <= last <= high) or step < 1:
            raise _ExpressionError(f"is '{expression}'; '{part}' must lie from {low} to {high}.")
        yield from range(first, last + 1, step)
