"""Times between Python (aware, in UTC) and the engine (ns since the epoch)."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def to_ns(moment: datetime) -> int:
    """Return ns since the epoch; exact, unlike `timestamp()`. Raises ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; give an aware time, such as datetime.now(UTC)")
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def from_ns(ns: int) -> datetime:
    """Return the time, rounded down to a microsecond."""
    return EPOCH + timedelta(microseconds=ns // 1000)


def day(moment: datetime) -> str:
    """Return the day in UTC, whatever the time's zone: tables are cut by it."""
    return str(from_ns(to_ns(moment)).date())


def moment(parameter: str) -> str:
    """Return SQL for the time of a parameter that holds ns."""
    return f"fromUnixTimestamp64Nano({{{parameter}:Int64}}, 'UTC')"


def within(column: str, start: str, end: str) -> str:
    """Return SQL for a column in `[start, end)`, both names of parameters that hold ns."""
    return f"({column} >= {moment(start)} AND {column} < {moment(end)})"
