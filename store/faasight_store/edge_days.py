"""Days of edges: the hours of a day that is over, added up, and again when a call came late for one of them."""

import secrets

from faasight_store import versions
from faasight_store.connection import Store
from faasight_store.queries.edges import COUNTS, ENDS
from faasight_store.times import DAY, SECOND, moment

MOST_DAYS = 8  # in one call
_LOOKS_BACK = 70 * DAY  # calls come 30 days late at most; and a month is compared with the one before

_DUE = f"""
SELECT toUnixTimestamp(of_hours.day), of_hours.calls, of_day.newest FROM (
    SELECT toStartOfDay(minute) AS day, sum(calls) AS calls FROM edge_hours
    WHERE minute >= toStartOfDay({moment("first")}) AND minute < toStartOfDay({moment("over")}) GROUP BY day
) AS of_hours LEFT JOIN (
    SELECT hour AS day, max(version) AS newest, argMax(made_of, version) AS made_of
    FROM settled_edge_days GROUP BY hour
) AS of_day USING day
WHERE of_hours.calls != of_day.made_of
ORDER BY of_hours.day DESC LIMIT {{limit:UInt32}}"""


def settle(store: Store, over: int, now: int) -> int:
    """Add up the days that ended before `over` (ns) and have other calls than they had; return how many.

    The newest first, and no more than MOST_DAYS. Calls are counted before the hours are read, so that a call that comes
    meanwhile makes the day due again. Of two settlings at once, which differ by chance, either is right.
    """
    due = store.query(_DUE, {"first": over - _LOOKS_BACK, "over": over, "limit": MOST_DAYS})
    keys = ", ".join(["environment", *ENDS, "bucket", "wait_bucket"])
    sums = ", ".join(f"sum(edge.{name})" for name in COUNTS)
    for day_s, calls, newest in due:
        # The number of the day in it: queries ask for versions alone, so no two days may have one.
        version = versions.later(now, newest, secrets.randbits(16) << 16 | day_s * SECOND // DAY & 0xFFFF)
        parameters = {"day": day_s, "version": version, "made_of": calls}
        day = "toDateTime({day:Int64}, 'UTC')"
        store.command(
            f"INSERT INTO edge_days (hour, version, {keys}, {', '.join(COUNTS)})"
            f" SELECT {day}, {{version:UInt64}}, {keys}, {sums} FROM edge_hours AS edge"
            f" WHERE minute >= {day} AND minute < {day} + INTERVAL 1 DAY GROUP BY {keys}",
            parameters,
        )
        store.command(
            "INSERT INTO settled_edge_days (hour, version, made_of)"
            f" SELECT {day}, {{version:UInt64}}, {{made_of:UInt64}}",
            parameters,
        )
    return len(due)
