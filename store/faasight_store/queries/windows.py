"""Small helpers that several queries share: steps over a scope, ranges from the newest back, ids as text."""

import math
from collections.abc import Iterator

from faasight_store.queries.merged import Interval
from faasight_store.times import MINUTE, SECOND, to_ns
from faasight_store.types import Scope

FIRST_LOOK = 2 * MINUTE
WIDER = 4  # each look back is this much wider than the last


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


def newest_first(scope: Scope) -> Iterator[Interval]:
    """Yield ranges that cover the scope from its end back, each wider than the last: a short list then reads little."""
    start, end, width = to_ns(scope.start), to_ns(scope.end), FIRST_LOOK
    while end > start:
        low = max(start, end - width)
        yield low, end
        end, width = low, width * WIDER


def hex_id(text: str) -> str:
    """Return an id in hex, "" for one that is all zeros."""
    return text if text.strip("0") else ""
