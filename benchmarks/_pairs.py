"""Differences of what was measured in turns: of one thing and of another right after it, so that noise weighs on both.

Means of what a busy machine does tell of the machine. A difference is the median of its pairs' differences, with the
interval in which the median of all such pairs lies with 95 % confidence, by order statistics: whatever the noise looks
like (Conover, Practical Nonparametric Statistics, 3.2).
"""

import math
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

_Z = 1.96  # of 95 %


class Difference(NamedTuple):
    """By how much one measure is above the other: the median, and between what it lies."""

    median: float
    low: float
    high: float

    def __format__(self, digits: str) -> str:
        """Return `5.2 (4.8 to 5.9)`."""
        return f"{self.median:{digits}} ({self.low:{digits}} to {self.high:{digits}})"


def difference(own: Sequence[float], base: Sequence[float]) -> Difference:
    """Return by how much `own` is above `base`, pair by pair; nan where nothing was measured."""
    pairs = sorted(mine - its for mine, its in zip(own, base, strict=True))
    if not pairs:
        return Difference(math.nan, math.nan, math.nan)
    reach = _Z * math.sqrt(len(pairs)) / 2
    low = max(math.floor(len(pairs) / 2 - reach), 0)
    high = min(math.ceil(len(pairs) / 2 + reach), len(pairs) - 1)
    return Difference(statistics.median(pairs), pairs[low], pairs[high])


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and the quarters around it: (25 %, 50 %, 75 %)."""
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def cores() -> tuple[int, int] | None:
    """Return a core for who measures and one for what is measured; None where there are not two."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (usable[0], usable[-1]) if len(usable) > 1 else None


@contextmanager
def started_on(core: int | None) -> Iterator[None]:
    """Have the processes that are started within run on this core; None leaves them where they like."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
