"""Percentiles of OTLP histograms from their cells: counts by place, as the rollups keep them.

A place (migrations/macros/cell_places.sql) is the bits of a bucket's upper bound; of an exponential histogram scale
and index in one number, negative for negative values, 0 for the zero bucket. Cells of several series add up;
exponential ones of unlike scales are brought to the coarsest.
"""

import math
import struct
from collections.abc import Mapping, Sequence

_SCALE_BITS, _INDEX_OFFSET, _SCALE_OFFSET = 40, 1 << 39, 512
_LARGEST = 1023.0  # 2 to the power of more is no double

Cells = Mapping[int, int]
Bucket = tuple[float, float, int]  # from, to, count


def percentile(kind: str, cells: Cells, q: float, low: float | None = None, high: float | None = None) -> float | None:
    """Return the value below which a share `q` lies, None without counts; `low` and `high` are the extremes if known.

    In a bucket with explicit bounds values are taken to lie evenly, in an exponential one evenly by their logarithm, so
    that the error is less than the width of one bucket.
    """
    buckets = exponential(cells) if kind == "exponential_histogram" else explicit(cells)
    total = sum(count for _, _, count in buckets)
    if total <= 0:
        return None
    rank = q * total
    for lower, upper, count in buckets:
        if rank <= count:
            return _clamped(_inside(kind, lower, upper, rank / count), low, high)
        rank -= count
    return _clamped(buckets[-1][1], low, high)


def explicit(cells: Cells) -> list[Bucket]:
    """Return the buckets that hold something, by value; the open ends are closed at the bound next to them."""
    counts = sorted((bound(place), count) for place, count in cells.items())
    buckets: list[Bucket] = []
    before = -math.inf
    for upper, count in counts:
        if count > 0:
            lower = min(0.0, upper) if math.isinf(before) else before
            closed = upper if math.isfinite(upper) else (before if math.isfinite(before) else 0.0)
            buckets.append((lower, closed, count))
        before = upper
    return buckets


def exponential(cells: Cells) -> list[Bucket]:
    """Return the buckets that hold something, by value, all of the coarsest scale among them."""
    scale = min((_scale(place) for place in cells if place), default=0)
    merged: dict[tuple[int, int], int] = {}
    for place, count in cells.items():
        key = (0, 0)
        if place:
            key = (1 if place > 0 else -1, _index(place) >> min(_scale(place) - scale, 1 << 10))
        merged[key] = merged.get(key, 0) + count
    buckets = []
    for (sign, index), count in merged.items():
        if count > 0:
            near, far = (_power(index, scale), _power(index + 1, scale)) if sign else (0.0, 0.0)
            buckets.append((near, far, count) if sign >= 0 else (-far, -near, count))
    return sorted(buckets)


def bound(place: int) -> float:
    """Return the number whose bits a place is."""
    value: float = struct.unpack("<d", struct.pack("<q", place))[0]
    return value


def quantile_values(places: Sequence[int], values: Sequence[int]) -> dict[float, float]:
    """Return a summary's values by quantile."""
    decoded = (struct.unpack("<d", struct.pack("<Q", value))[0] for value in values)
    return {bound(place): value for place, value in zip(places, decoded, strict=True)}


def _inside(kind: str, lower: float, upper: float, share: float) -> float:
    if kind == "exponential_histogram" and lower * upper > 0:
        size = abs(lower) ** (1 - share) * abs(upper) ** share
        return math.copysign(size, lower)
    return lower + (upper - lower) * share


def _clamped(value: float, low: float | None, high: float | None) -> float:
    value = value if low is None else max(value, low)
    return value if high is None else min(value, high)


def _scale(place: int) -> int:
    return int(abs(place) >> _SCALE_BITS) - _SCALE_OFFSET


def _index(place: int) -> int:
    return (abs(place) & ((1 << _SCALE_BITS) - 1)) - _INDEX_OFFSET


def _power(index: int, scale: int) -> float:
    """Return base ** index, base being 2 ** (2 ** -scale)."""
    exponent = (
        math.ldexp(index, max(min(-scale, 900), -900)) if abs(index) < 1 << 53 else math.copysign(math.inf, index)
    )
    return float(2.0 ** max(min(exponent, _LARGEST), -1074.0))
