"""Small helpers that several queries share: steps over a scope, ranges from the newest back, ids as text."""

import math
import time
from collections.abc import Iterator, Sized

from faasight_store.queries.merged import Interval
from faasight_store.times import MINUTE, SECOND, to_ns
from faasight_store.types import Scope

FIRST_LOOK = 2 * MINUTE
_ROOM = 1.5  # times as many as are missing, or a look falls a few short
_WIDER, WIDEST = 2, 16  # each look back is so much wider than the last


BUCKETS = 120  # of a chart
_MOST_HOURS = 168  # a chart of a week shows hours


def chart_step_s(seconds: float) -> float:
    """Return the length of a chart's buckets: a 120th of the range, of days whole hours, which are settled as such."""
    if seconds < _MOST_HOURS * 3600 / 2:
        return seconds / BUCKETS
    return 3600.0 * math.ceil(seconds / 3600 / _MOST_HOURS)


def chart_buckets(scope: Scope) -> int:
    """Return into how many buckets a chart cuts a scope; what is wrong with an empty one `step_ns` tells."""
    seconds = (to_ns(scope.end) - to_ns(scope.start)) / SECOND
    if seconds <= 0:
        return BUCKETS
    return max(1, math.ceil(round(seconds / chart_step_s(seconds), 6)))


def step_ns(scope: Scope, buckets: int) -> int:
    """Return the length of one of `buckets` equal parts in whole ns; raises ValueError for an empty scope."""
    length = to_ns(scope.end) - to_ns(scope.start)
    if length <= 0 or buckets <= 0:
        raise ValueError(f"a scope must end after it starts and have a bucket at least: {scope}, {buckets} buckets")
    return -(-length // buckets)


def newest_first(
    scope: Scope, found: Sized, limit: int, first: int | None = None, widest: int = WIDEST
) -> Iterator[Interval]:
    """Yield ranges that cover the scope from its end back until so many are `found`: a short list then reads little.

    The first one has the last minutes (from the ns `first` on) and what lies ahead of now, for charts end with a whole
    step and clocks differ; each other is as much wider as what the last brought lets expect, `widest` times at most.
    """
    start, end = to_ns(scope.start), to_ns(scope.end)
    latest = min(end, time.time_ns())
    low = max(start, min(latest - FIRST_LOOK, latest if first is None else first))
    width = max(latest - low, SECOND)
    while end > start and len(found) < limit:
        before = len(found)
        yield low, end
        missing, news = limit - len(found), len(found) - before
        width = int(width * min(max(_ROOM * missing / max(news, 1), _WIDER), widest))
        low, end = max(start, low - width), low


def hex_id(text: str) -> str:
    """Return an id in hex, "" for one that is all zeros."""
    return text if text.strip("0") else ""
