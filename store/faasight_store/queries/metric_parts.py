"""Where a metric's figures are read from: points, minutes or hours, each part of a range from the cheapest table.

Where figures only add up, rows of a rollup are added up by bucket first. All parts have the same columns, so that
figures are computed one way: series, slot_ns, start_ns, and for numbers points, total, low, high, first (ns, value),
last (ns, value); for histograms points, count, total, low, high, cells, first (ns, count, total), last (ns, count,
total, places, counts).

A cumulative series tells in `start_ns` when it began: a part holds one row for each of its lives. A sender that goes
back to 0 without saying so shows in a row whose first and last value are not its lowest and highest: there, points
are read.
"""

from dataclasses import dataclass

from faasight_store.migrate import macro
from faasight_store.times import HOUR, MINUTE, within

_NUMBER = {
    "points": """SELECT series, toUnixTimestamp64Nano(ts) AS slot_ns, if({{cumulative:Bool}}, start_ns, 0) AS start_ns,
        1 AS points, assumeNotNull(value) AS total, total AS low, total AS high,
        (toUInt64(toUnixTimestamp64Nano(ts)), total) AS first, first AS last
    FROM metric_points WHERE metric = {{metric:String}} AND kind = {{kind:String}} AND {range}
      AND isFinite(ifNull(value, nan)) AND NOT bitTest(flags, 0)""",
    "rollup": """SELECT series, toInt64(toUnixTimestamp(min(slot))) * 1000000000 AS slot_ns, part.start_ns AS start_ns,
        sum(part.points) AS points, sum(part.total) AS total, min(part.low) AS low, max(part.high) AS high,
        (min(part.first.1), argMin(part.first.2, part.first.1)) AS first,
        (max(part.last.1), argMax(part.last.2, part.last.1)) AS last
    FROM {table} AS part WHERE metric = {{metric:String}} AND {range}
    GROUP BY series, {place} AS place, start_ns""",
    "clean": "low = first.2 AND high = last.2",
}
_HISTOGRAM = {
    "points": """SELECT series, toUnixTimestamp64Nano(ts) AS slot_ns, if({{cumulative:Bool}}, start_ns, 0) AS start_ns,
        1 AS points, point.count AS count, if(isFinite(ifNull(value, nan)), assumeNotNull(value), 0) AS total,
        point.low AS low, point.high AS high, CAST((places, counts), 'Map(Int64, UInt64)') AS cells,
        (toUInt64(toUnixTimestamp64Nano(ts)), point.count, total) AS first,
        (toUInt64(toUnixTimestamp64Nano(ts)), point.count, total, places, counts) AS last
    FROM (SELECT *, {places} AS places, {counts} AS counts FROM metric_points
          WHERE metric = {{metric:String}} AND kind = {{kind:String}} AND {range}
            AND NOT bitTest(flags, 0)) AS point""",
    "rollup": """SELECT series, toInt64(toUnixTimestamp(min(slot))) * 1000000000 AS slot_ns, part.start_ns AS start_ns,
        sum(part.points) AS points, sum(part.count) AS count, sum(part.total) AS total, min(part.low) AS low,
        max(part.high) AS high, sumMap(part.cells) AS cells, argMin(part.first, part.first.1) AS first,
        argMax(part.last, part.last.1) AS last,
        min(part.least) AS least, max(part.most) AS most
    FROM {table} AS part WHERE metric = {{metric:String}} AND {range}
    GROUP BY series, {place} AS place, start_ns""",
    "clean": "least = first.2 AND most = last.2",
}
_COLUMNS = {
    True: "series, slot_ns, start_ns, points, total, low, high, first, last",
    False: "series, slot_ns, start_ns, points, count, total, low, high, cells, first, last",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a range, of one grain."""

    grain: int  # ns; 0 is the points themselves
    start: int
    end: int


def parts(start: int, end: int, grain: int) -> list[Part]:
    """Cut a range (ns) into whole hours and minutes as far as `grain` allows, and points for what is left over."""
    finer = {HOUR: MINUTE, MINUTE: 0}
    if start >= end:
        return []
    if grain == 0:
        return [Part(0, start, end)]
    first, last = -(-start // grain) * grain, end // grain * grain
    if first >= last:
        return parts(start, end, finer[grain])
    return [*parts(start, first, finer[grain]), Part(grain, first, last), *parts(last, end, finer[grain])]


def source(pieces: list[Part], *, numbers: bool, cumulative: bool) -> tuple[str, dict[str, int]]:
    """Return a select of all pieces, and the parameters of their ranges."""
    texts = _NUMBER if numbers else _HISTOGRAM
    parameters: dict[str, int] = {}
    selects = []
    # Falls are looked for slot by slot: over a bucket a counter may fall and rise again unseen.
    place = _ns if cumulative else _bucket
    for i, piece in enumerate(pieces):
        low, high = f"part_from_{i}", f"part_to_{i}"
        parameters |= {low: piece.start, high: piece.end}
        if not piece.grain:
            selects.append(f"SELECT {_COLUMNS[numbers]} FROM ({_points(texts, within('ts', low, high))})")
            continue
        name = "hours" if piece.grain == HOUR else "minutes"
        table = f"{'metric' if numbers else 'histogram'}_{name}"
        slot = "toStartOfHour(ts)" if piece.grain == HOUR else "toStartOfMinute(ts)"
        rollup = texts["rollup"].format(table=table, range=within("slot", low, high), place=place("slot"))
        if not cumulative:
            selects.append(f"SELECT {_COLUMNS[numbers]} FROM ({rollup})")
            continue
        went_back = f"SELECT series, slot_ns, start_ns FROM ({rollup}) WHERE NOT ({texts['clean']})"
        there = f"{within('ts', low, high)} AND (series, {_ns(slot)}, start_ns) IN ({went_back})"
        selects.append(f"SELECT {_COLUMNS[numbers]} FROM ({rollup}) WHERE {texts['clean']}")
        selects.append(f"SELECT {_COLUMNS[numbers]} FROM ({_points(texts, there)})")
    return " UNION ALL ".join(selects), parameters


def bucket(ns: str) -> str:
    """Return SQL for the number of the bucket that a time (ns) lies in, negative before the range."""
    return f"intDiv({ns} - {{start:Int64}} - if({ns} < {{start:Int64}}, {{step:Int64}} - 1, 0), {{step:Int64}})"


def _bucket(slot: str) -> str:
    return bucket(_ns(slot))


def _ns(slot: str) -> str:
    return f"toInt64(toUnixTimestamp({slot})) * 1000000000"


def _points(texts: dict[str, str], condition: str) -> str:
    return texts["points"].format(range=condition, places=macro("cell_places"), counts=macro("cell_counts"))
