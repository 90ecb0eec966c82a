"""Sums and percentiles over cells, and the rows that pages show of them."""

from collections.abc import Sequence
from typing import Any

from faasight_store import buckets
from faasight_store.types import Totals

# Eleven columns; `totals` reads them back.
TOTALS = f"""sum(invocations), sum(errors), sum(timeouts), sum(throttles), sum(cold_starts), sum(cost_usd),
    sumIf(invocations, bucket > {buckets.NONE}),
    quantilesExactWeightedIf(0.5, 0.9, 0.95, 0.99)(bucket, invocations, bucket > {buckets.NONE}),
    max(max_ms), max(memory_used_mb), sum(busy_ms)"""
WIDTH = 11


def percentiles(row: Sequence[Any]) -> tuple[float | None, ...]:
    """Return p50, p90, p95 and p99 in ms of a row of TOTALS."""
    known, quantiles, longest = row[6], row[7], row[8]
    if not known:
        return (None,) * 4
    return tuple(min(buckets.middle_ms(q), longest) for q in quantiles)


def totals(row: Sequence[Any]) -> Totals:
    """Return a row of TOTALS as Totals."""
    p50, p90, p95, p99 = percentiles(row)
    return Totals(
        invocations=row[0], errors=row[1], timeouts=row[2], throttles=row[3], cold_starts=row[4],
        p50_ms=p50, p90_ms=p90, p95_ms=p95, p99_ms=p99, cost_usd=row[5],
    )  # fmt: skip
