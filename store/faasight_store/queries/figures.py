"""Sums and percentiles of cells by a key, and the rows that pages show of them."""

from dataclasses import dataclass

import numpy as np

from faasight_store import buckets
from faasight_store.queries.cells import MAXIMA, SUMS, Array, Cells
from faasight_store.types import Totals

LEVELS = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Figures:
    """The measures of each of some keys: arrays of one length, counts being whole numbers."""

    invocations: Array
    errors: Array
    timeouts: Array
    throttles: Array
    cold_starts: Array
    cost_usd: Array
    busy_ms: Array
    max_ms: Array  # below 0: unknown
    memory_used_mb: Array  # the same
    quantiles: Array  # of durations, in ms, one row a key and one column for each of LEVELS; NaN: unknown

    def totals(self, key: int) -> Totals:
        """Return the measures of a key."""
        p50, p90, p95, p99 = self.percentiles(key)
        return Totals(
            invocations=int(self.invocations[key]), errors=int(self.errors[key]), timeouts=int(self.timeouts[key]),
            throttles=int(self.throttles[key]), cold_starts=int(self.cold_starts[key]),
            p50_ms=p50, p90_ms=p90, p95_ms=p95, p99_ms=p99, cost_usd=float(self.cost_usd[key]),
        )  # fmt: skip

    def percentiles(self, key: int) -> tuple[float | None, ...]:
        """Return p50, p90, p95 and p99 of a key in ms, None where no duration is known."""
        return tuple(None if np.isnan(q) else float(q) for q in self.quantiles[key])


def figures(cells: Cells, key: Array, keys: int) -> Figures:
    """Sum cells by a key from 0 on; there are `keys` of them, and cells with others count nowhere."""
    inside = (key >= 0) & (key < keys)
    if not inside.all():
        cells, key = cells.where(inside), key[inside]
    sums = {name: np.bincount(key, cells[name], keys) for name in SUMS}
    counts = {name: np.rint(sums[name]).astype(np.int64) for name in SUMS if name not in {"cost_usd", "busy_ms"}}
    most = {name: np.full(keys, -1.0) for name in MAXIMA}
    for name in MAXIMA:
        np.maximum.at(most[name], key, cells[name])
    quantiles = quantiles_ms(key, keys, cells["bucket"], cells["invocations"])
    longest = np.where(most["max_ms"] < 0, np.inf, most["max_ms"])[:, None]
    return Figures(**(sums | counts | most), quantiles=np.minimum(quantiles, longest))


def quantiles_ms(key: Array, keys: int, bucket: Array, count: Array) -> Array:
    """Return the quantiles of durations by key, a column for each of LEVELS; NaN where none is known.

    As the engine's quantileExactWeighted: the first bucket up to which the share lies.
    """
    known = (bucket > buckets.NONE) & (count > 0)
    found = np.full((keys, len(LEVELS)), np.nan)
    if not known.any():
        return found
    key, bucket, count = key[known], bucket[known], count[known]
    low = int(bucket.min())
    width = int(bucket.max()) - low + 1
    reached = np.bincount(key * width + bucket - low, count, keys * width).reshape(keys, width).cumsum(axis=1)
    some = reached[:, -1] > 0
    for column, level in enumerate(LEVELS):
        place = (reached >= np.ceil(reached[:, -1:] * level)).argmax(axis=1)
        found[:, column] = np.where(some, buckets.RATIO ** (place + low + 0.5), np.nan)
    return found


def factorized(texts: Array) -> tuple[list[str], Array]:
    """Return the sorted names of a column of texts, and the place of each row's: to sort all rows takes far longer."""
    names = sorted(set(texts.tolist()))
    places = {name: place for place, name in enumerate(names)}
    return names, np.fromiter(map(places.__getitem__, texts.tolist()), np.int64, len(texts))


def known(value: float) -> float | None:
    """Return a maximum, None if it is unknown."""
    return float(value) if value >= 0 else None
