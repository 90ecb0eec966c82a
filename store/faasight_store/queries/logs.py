"""Log lines: search, volume and live tail."""

from collections.abc import Sequence
from typing import Any

from faasight_store import values
from faasight_store.connection import Store
from faasight_store.queries import log_query
from faasight_store.queries.merged import Sql
from faasight_store.queries.windows import hex_id, newest_first, step_ns
from faasight_store.times import from_ns, to_ns, within
from faasight_store.types import LogRow, LogVolume, Scope

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
# An insert that began earlier may become visible later: the tail leaves room for it, or it would step over its lines.
TAIL_ROOM_MS = 500
COLUMNS = (
    "toUnixTimestamp64Nano(ts), event_ns, level, function, message, request_id, lower(hex(trace_id)),"
    " lower(hex(span_id)), if(logger = '', attributes, mapUpdate(attributes, CAST(map('logger', toString(logger)),"
    " 'Map(LowCardinality(String), String)'))), seq, toString(body_type), types"
)
_RANGE = within("ts", "start", "end")
_WIDEST = 4  # each look back is so much wider than the last: lines are read whole, and a look too far costs seconds


def search(store: Store, scope: Scope, query: str = "", limit: int = 200) -> list[LogRow]:
    """Return matching lines, newest first. Raises `QueryError` with the place of the fault in `query`."""
    condition = log_query.to_sql(query)
    found: list[LogRow] = []
    for start, end in newest_first(scope, found, limit, widest=_WIDEST):
        rows = store.query(
            f"SELECT {COLUMNS} FROM logs WHERE {_RANGE} AND {_ENVIRONMENT} AND ({condition.text})"
            " ORDER BY ts DESC, seq DESC LIMIT {limit:UInt32}",
            {
                **condition.parameters,
                "start": start,
                "end": end,
                "environment": scope.environment,
                "limit": limit - len(found),
            },
        )
        found += [row(r) for r in rows]
    return found


def volume(store: Store, scope: Scope, query: str = "", buckets: int = 80) -> LogVolume:
    """Return how many lines match, by time and level."""
    condition = log_query.to_sql(query)
    start, step = to_ns(scope.start), step_ns(scope, buckets)
    rows = store.query(
        f"""SELECT intDiv(toUnixTimestamp64Nano(ts) - {{start:Int64}}, {{step:Int64}}) AS i,
            if(level = 'FATAL', 'ERROR', level) AS shown, count()
        FROM logs WHERE {_RANGE} AND {_ENVIRONMENT} AND ({condition.text}) GROUP BY i, shown""",
        {
            **condition.parameters,
            "start": start,
            "end": to_ns(scope.end),
            "environment": scope.environment,
            "step": step,
        },
    )
    levels = {level: [0] * buckets for level in LEVELS}
    for i, level, count in rows:
        levels[level][i] += count
    return LogVolume([from_ns(start + i * step) for i in range(buckets)], step / 1e9, levels, sum(r[2] for r in rows))


def tail(store: Store, after_seq: int, query: str = "", limit: int = 200) -> list[LogRow]:
    """Return lines that arrived after `after_seq` (0: the newest `limit`), in order of arrival.

    With `after_seq`, lines that arrived together come together, so there may be some more than
    `limit`; lines show up half a second after they arrived, so that none is stepped over.
    """
    condition = log_query.to_sql(query)
    if after_seq == 0:
        return _newest_arrivals(store, condition, limit)
    return _arrivals(
        store,
        condition,
        "seq > {after:UInt64} AND seq <= toUnixTimestamp64Nano(now64(9)) - {room:Int64} * 1000000",
        "seq LIMIT {limit:UInt32} WITH TIES",
        {"after": after_seq, "limit": limit, "room": TAIL_ROOM_MS},
    )


def _newest_arrivals(store: Store, condition: Sql, limit: int) -> list[LogRow]:
    """Look at the last minutes first: all lines that ever came are many."""
    found: list[LogRow] = []
    for seconds in (60, 3600, 86400, 0):
        found = _arrivals(
            store,
            condition,
            "({seconds:Int64} = 0 OR seq > toUnixTimestamp64Nano(now64(9)) - {seconds:Int64} * 1000000000)",
            "seq DESC, ts DESC LIMIT {limit:UInt32}",  # of a whole segment that arrived at once, its newest
            {"seconds": seconds, "limit": limit},
        )
        if len(found) >= limit:
            break
    return found


def _arrivals(store: Store, condition: Sql, window: str, order: str, parameters: dict[str, int]) -> list[LogRow]:
    rows = store.query(
        f"SELECT {COLUMNS} FROM logs WHERE {window} AND ({condition.text}) ORDER BY {order}",
        {**condition.parameters, **parameters},
    )
    return sorted((row(r) for r in rows), key=lambda line: (line.seq, line.ts_ns))


_ENVIRONMENT = "({environment:String} = '' OR environment = {environment:String})"


def row(found: Sequence[Any]) -> LogRow:
    """Return a row of COLUMNS."""
    ts, event_ns, level, function, message, request_id, trace_id, span_id, attributes, seq, kind, types = found
    return LogRow(
        from_ns(ts),
        event_ns,
        level,
        function,
        values.shown(message, kind),
        request_id,
        hex_id(trace_id),
        hex_id(span_id),
        values.all_shown(attributes, types),
        seq,
    )
