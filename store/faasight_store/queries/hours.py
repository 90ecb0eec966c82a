"""Which hours and days are settled, and which hours facts bear on."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from faasight_store.connection import Store
from faasight_store.queries.merged import Interval
from faasight_store.queries.settled import FACTS_BEGIN, FAR_AHEAD, MINUTES_FOR_NS
from faasight_store.times import DAY, HOUR, SECOND, moment

_MOST_GAPS = 24  # of more, conditions would be longer than what they leave out
_LOOKS_BACK = (9 * HOUR, 3 * DAY, 20 * DAY, 70 * DAY)


@dataclass(frozen=True, slots=True)
class Hours:
    """What is known of the hours of some time."""

    settled: Mapping[int, int]  # versions of those (ns) that were settled, and nothing came since
    touched: frozenset[int]  # all (ns) on which facts bear
    newest: int  # ns: from here on facts may come that nobody knows of yet

    def within(self, start: int, end: int) -> "Hours":
        """Return what is known of a part of the time."""
        return replace(self, settled={hour: of for hour, of in self.settled.items() if start - HOUR < hour < end})

    def gaps(self, start: int, end: int, covered: Sequence[Interval]) -> tuple[Interval, ...]:
        """Return what of the range the sorted parts leave out, but for hours in which nothing ran."""
        found: list[Interval] = []
        for low, high in complement(start, end, covered):
            newest = min(max(low, self.newest), high)
            hours = (hour for hour in range(low // HOUR * HOUR, newest, HOUR) if hour in self.touched)
            for begin, over in (*((max(hour, low), min(hour + HOUR, newest)) for hour in hours), (newest, high)):
                if found and found[-1][1] == begin:
                    found[-1] = (found[-1][0], over)
                elif begin < over:
                    found.append((begin, over))
        return tuple(found) if len(found) <= _MOST_GAPS else complement(start, end, covered)


def complement(start: int, end: int, covered: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return what of the range the sorted parts leave out."""
    gaps, at = [], start
    for low, high in covered:
        if low > at:
            gaps.append((at, low))
        at = max(at, high)
    if at < end:
        gaps.append((at, end))
    return tuple(gaps)


def known_hours(store: Store, start: int, end: int) -> Hours:
    """Return what is known of the hours of a range.

    How many facts are known is kept as long as the facts are; what was settled outlives both.
    """
    far = next((far for far in _LOOKS_BACK if start >= time.time_ns() - far), None)
    if far is None or not store.remembers:
        return _known_hours(store, start, end)

    def ask(_: object = None) -> Hours:
        return _known_hours(store, time.time_ns() - far - HOUR, FAR_AHEAD)

    # Pages of a like range, and what they compare it with, share one answer.
    return store.shared(("hours", far), ask, ask).within(start, end)


def _known_hours(store: Store, start: int, end: int) -> Hours:
    now = time.time_ns()
    hours = f"hour >= toStartOfHour({moment('start')}) AND hour < {moment('end')}"
    rows = store.query(
        f"""SELECT toUnixTimestamp(hour), known, newest,
            known = made_of OR known = 0 OR hour < {FACTS_BEGIN} OR (known = known_then AND hour = {FACTS_BEGIN})
        FROM (
            SELECT hour, max(version) AS newest, argMax(facts, version) AS made_of,
                argMax(settled_hours.known, version) AS known_then
            FROM settled_hours WHERE {hours} GROUP BY hour
        ) AS settled FULL JOIN (
            SELECT hour, sum(facts) AS known FROM touched_hours WHERE {hours} GROUP BY hour
        ) AS touched USING hour""",
        {"start": start, "end": end},
    )
    return Hours(
        settled={hour * SECOND: version for hour, _, version, holds in rows if version and holds},
        touched=frozenset(hour * SECOND for hour, facts, _, _ in rows if facts),
        newest=(now - MINUTES_FOR_NS) // HOUR * HOUR,
    )


def settled_days(store: Store, start: int, end: int, hours: Mapping[int, int]) -> dict[int, int]:
    """Return the version of each day that lies wholly in the range and was made of these very hours."""
    if -(-start // DAY) * DAY + DAY > end:
        return {}

    def ask(_: object = None) -> list[tuple[int, int, int]]:
        rows = store.query(
            "SELECT toUnixTimestamp(hour), max(version), argMax(made_of, version) FROM settled_days GROUP BY hour"
        )
        return [(day * SECOND, version, made_of) for day, version, made_of in rows]

    of_day: dict[int, int] = {}
    for hour, version in hours.items():
        of_day[hour // DAY * DAY] = of_day.get(hour // DAY * DAY, 0) + version
    return {
        day: version
        for day, version, made_of in store.shared("days", ask, ask)
        if day >= start and day + DAY <= end and day in of_day and of_day[day] % 2**64 == made_of
    }
