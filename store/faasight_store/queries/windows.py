"""Small helpers that several queries share: steps over a scope, ranges from the newest back, ids as text."""

from collections.abc import Iterator

from faasight_store.queries.merged import Interval
from faasight_store.times import MINUTE, to_ns
from faasight_store.types import Scope

FIRST_LOOK = 2 * MINUTE
WIDER = 4  # each look back is this much wider than the last


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
