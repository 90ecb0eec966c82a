"""The figures of a metric by bucket and group of labels: what they mean, and how increases are found.

The increase of a cumulative series is the sum of its steps. A life of the series (its `start_ns`) that began in the
range counts from 0; of one that began before, the last value before the range is the base. A value below the one before
it is a reset that the sender did not announce: it counts from 0 again. Rates are increases by the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faasight_store import percentiles
from faasight_store.connection import Store
from faasight_store.queries.merged import Sql
from faasight_store.queries.metric_parts import bucket, parts, source
from faasight_store.times import HOUR, MINUTE, to_ns
from faasight_store.types import Scope

CUMULATIVE = 2  # as OTLP numbers it
LOOK_BACK_NS = 10 * MINUTE  # where the value before the range is looked for; exporters send every minute
_HOURS_FROM = 6 * HOUR  # an hour then lies in one bucket, or nearly
_QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}

# What may be asked of a kind; the first is what a chart shows unasked.
AGGREGATIONS: Mapping[str, Sequence[str]] = {
    "level": ("avg", "min", "max", "sum", "last", "count"),
    "counter": ("rate", "increase", "count"),
    "histogram": ("p95", "p50", "p75", "p90", "p99", "p999", "avg", "min", "max", "count", "sum", "rate"),
    "summary": ("p95", "p50", "p75", "p90", "p99", "p999", "avg", "count", "sum", "rate"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What kind of metric it is."""

    metric: str
    kind: str
    temporality: int  # 1 delta, 2 cumulative
    monotonic: bool
    unit: str

    @property
    def family(self) -> str:
        """What its figures mean: a level that goes up and down, a counter, a histogram or a summary."""
        if self.kind in {"gauge", "sum"}:
            return "counter" if self.kind == "sum" and (self.monotonic or self.temporality == 1) else "level"
        return "summary" if self.kind == "summary" else "histogram"

    @property
    def cumulative(self) -> bool:
        """Whether its points tell what happened since its start."""
        return self.kind == "summary" or (self.temporality == CUMULATIVE and self.family != "level")


@dataclass(slots=True)
class Cell:
    """The sums of one bucket of one group."""

    points: int = 0
    count: int = 0
    total: float = 0.0
    low: float | None = None
    high: float | None = None
    last: float = 0.0  # of a level: the last values of its series, added up
    cells: dict[int, int] = field(default_factory=dict)
    quantiles: dict[float, float] = field(default_factory=dict)


Group = dict[int, Cell]  # by bucket


def groups(store: Store, scope: Scope, shape: Shape, labelled: Sql, step: int) -> dict[tuple[str, ...], Group]:
    """Return the sums of each group of labels in each bucket of `step` ns."""
    start, end = to_ns(scope.start), to_ns(scope.end)
    grain = HOUR if step >= _HOURS_FROM else MINUTE if step >= MINUTE else 0
    back = max(LOOK_BACK_NS, 2 * grain) if shape.cumulative else 0
    numbers = shape.family in {"level", "counter"}
    text, ranges = source(
        [*parts(start - back, start, min(grain, MINUTE)), *parts(start, end, grain)],
        numbers=numbers,
        cumulative=shape.cumulative,
    )
    select = {"level": _LEVEL, "counter": _STEPS if shape.cumulative else _DELTAS}.get(
        shape.family, _HISTOGRAM_STEPS if shape.cumulative else _HISTOGRAM_DELTAS
    )
    rows = store.query(
        f"""SELECT labels, i, {_SUMS[numbers]} FROM ({select.format(source=text)}) AS found
        INNER JOIN ({labelled.text}) AS asked ON found.series = asked.series
        WHERE i >= 0 GROUP BY labels, i""",
        {**labelled.parameters, **ranges, "start": start, "step": step, "read_from": start - back,
         "cumulative": shape.cumulative},
    )  # fmt: skip
    return _collected(rows, shape)


_I = f"{bucket('slot_ns')} AS i".replace("{", "{{").replace("}", "}}")
_SUMS = {
    True: "sum(points), sum(count), sum(total), min(low), max(high), sum(last)",
    False: "sum(points), sum(count), sum(total), min(low), max(high), sumMap(cells), groupArray(quantiles)",
}
# Of a level each series counts with its last value of the bucket.
_LEVEL = f"""SELECT series, {_I}, sum(part.points) AS points, points AS count, sum(part.total) AS total,
    min(part.low) AS low, max(part.high) AS high, max(part.last).2 AS last
FROM ({{source}}) AS part GROUP BY series, i"""
_DELTAS = f"""SELECT series, {_I}, sum(part.points) AS points, points AS count, sum(part.total) AS total,
    min(part.low) AS low, max(part.high) AS high, 0. AS last
FROM ({{source}}) AS part GROUP BY series, i"""
_LIFE = """life AS (PARTITION BY series, start_ns ORDER BY first.1, last.1
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"""
# What a row adds to the row before it in the same life of the series.
_STEPS = f"""SELECT series, {_I}, sum(part.points) AS points, points AS count, sum(step) AS total, 0. AS low,
    0. AS high, 0. AS last
FROM (
    SELECT series, slot_ns, points, multiIf(
        n = 1, if(start_ns >= {{{{read_from:Int64}}}} AND start_ns > 0, last.2, last.2 - first.2),
        first.2 >= before.2, last.2 - before.2,
        last.2) AS step
    FROM (SELECT *, row_number() OVER life AS n, lagInFrame(last) OVER life AS before FROM ({{source}})
          WINDOW {_LIFE})
) AS part GROUP BY series, i"""
_HISTOGRAM_DELTAS = f"""SELECT series, {_I}, sum(part.points) AS points, sum(part.count) AS count,
    sum(part.total) AS total, min(part.low) AS low, max(part.high) AS high,
    CAST(sumMap(part.cells), 'Map(Int64, Int64)') AS cells,
    CAST(([], []), 'Tuple(Array(Int64), Array(UInt64))') AS quantiles
FROM ({{source}}) AS part GROUP BY series, i"""
# Maps, for sumMap of arrays drops what adds up to 0: an empty bucket is the lower bound of the next.
# Cells of the row before count negative, so that bounds or a scale that changed in between take nothing wrong away.
_HISTOGRAM_STEPS = f"""SELECT series, {_I}, sum(part.points) AS points, sum(step.1) AS count, sum(step.2) AS total,
    CAST(NULL, 'Nullable(Float64)') AS low, CAST(NULL, 'Nullable(Float64)') AS high,
    sumMap(CAST((step.3, step.4), 'Map(Int64, Int64)')) AS cells,
    argMax((part.last.4, part.last.5), part.last.1) AS quantiles
FROM (
    SELECT series, slot_ns, points, last, CAST(last.5, 'Array(Int64)') AS now,
        CAST(multiIf(
            n = 1, if(start_ns >= {{{{read_from:Int64}}}} AND start_ns > 0,
                      (toInt64(last.2), last.3, last.4, now), (0, 0., [], [])),
            first.2 >= before.2, (toInt64(last.2) - toInt64(before.2), last.3 - before.3,
                                  arrayConcat(last.4, before.4),
                                  arrayConcat(now, arrayMap(count -> -toInt64(count), before.5))),
            (toInt64(last.2), last.3, last.4, now)), 'Tuple(Int64, Float64, Array(Int64), Array(Int64))') AS step
    FROM (SELECT *, row_number() OVER life AS n, lagInFrame(last) OVER life AS before FROM ({{source}})
          WINDOW {_LIFE})
) AS part GROUP BY series, i"""


def _collected(rows: Sequence[tuple[Any, ...]], shape: Shape) -> dict[tuple[str, ...], Group]:
    found: dict[tuple[str, ...], Group] = {}
    for labels, i, points, count, total, low, high, *rest in rows:
        cell = Cell(points, count, total, low, high)
        if len(rest) == 1:
            cell.last = rest[0]
        elif shape.kind == "summary":
            for places, bits in rest[1]:
                for q, value in percentiles.quantile_values(places, bits).items():
                    cell.quantiles[q] = max(value, cell.quantiles.get(q, value))
        else:
            cell.cells = rest[0]
        found.setdefault(tuple(labels), {})[i] = cell
    return found


def values(shape: Shape, group: Group, aggregation: str, buckets: int, step: int) -> list[float | None]:
    """Return a group's figure in each bucket; None where no point was sent."""
    return [
        None if (cell := group.get(i)) is None or not cell.points else _value(shape, cell, aggregation, step / 1e9)
        for i in range(buckets)
    ]


def unit(shape: Shape, aggregation: str) -> str:
    """Return the unit of a figure: counts have none, a rate is by the second."""
    base = "" if aggregation == "count" or (aggregation == "rate" and shape.family != "counter") else shape.unit
    return f"{base or '1'}/s" if aggregation == "rate" else base


def _value(shape: Shape, cell: Cell, aggregation: str, seconds: float) -> float | None:
    counted = shape.family in {"histogram", "summary"}
    if aggregation in _QUANTILES:
        return _quantile(shape, cell, _QUANTILES[aggregation])
    figures: dict[str, float | None] = {
        "count": float(cell.count),
        "min": cell.low,
        "max": cell.high,
        "avg": cell.total / cell.count if cell.count else None,
        "sum": cell.total if counted else cell.last,
        "last": cell.last,
        "increase": cell.total,
        "rate": (cell.count if counted else cell.total) / seconds,
    }
    return figures[aggregation]


def _quantile(shape: Shape, cell: Cell, q: float) -> float | None:
    if shape.kind != "summary":
        return percentiles.percentile(shape.kind, cell.cells, q, cell.low, cell.high)
    # A summary's quantiles were reckoned by its sender: only those can be told, of several senders the largest.
    return cell.quantiles.get(q)
