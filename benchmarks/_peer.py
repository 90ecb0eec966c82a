"""The peer of the query benchmark: tables shaped as the OpenTelemetry Collector's ClickHouse exporter makes them.

Written from the exporter's description: ids and kinds as text, all attributes in two maps with bloom filters on keys
and values, ordered by service, span name and second; a table and view that lead from a trace id to its times. The rows
are those of our own tables, converted.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from faasight_store import Scope, Store

_MAP = "Map(LowCardinality(String), String) CODEC(ZSTD(1))"


def _blooms(prefix: str, column: str) -> str:
    return ", ".join(
        f"INDEX {prefix}_{part.lower()} {part}({column}) TYPE bloom_filter(0.01) GRANULARITY 1"
        for part in ("mapKeys", "mapValues")
    )


_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS otel_traces (
        Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
        ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)),
        SpanName LowCardinality(String) CODEC(ZSTD(1)), SpanKind LowCardinality(String) CODEC(ZSTD(1)),
        ServiceName LowCardinality(String) CODEC(ZSTD(1)), ResourceAttributes {_MAP},
        ScopeName String CODEC(ZSTD(1)), ScopeVersion String CODEC(ZSTD(1)), SpanAttributes {_MAP},
        Duration UInt64 CODEC(ZSTD(1)), StatusCode LowCardinality(String) CODEC(ZSTD(1)),
        StatusMessage String CODEC(ZSTD(1)),
        INDEX trace TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
        {_blooms("resource", "ResourceAttributes")}, {_blooms("span", "SpanAttributes")},
        INDEX durations Duration TYPE minmax GRANULARITY 1
    ) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))""",
    """CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts (
        TraceId String CODEC(ZSTD(1)), Start DateTime CODEC(Delta, ZSTD(1)), End DateTime CODEC(Delta, ZSTD(1)),
        INDEX trace TraceId TYPE bloom_filter(0.01) GRANULARITY 1
    ) ENGINE = MergeTree PARTITION BY toDate(Start) ORDER BY (TraceId, Start)""",
    """CREATE MATERIALIZED VIEW IF NOT EXISTS otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts AS
    SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM otel_traces
    WHERE TraceId != '' GROUP BY TraceId""",
)
_COPY = """
INSERT INTO otel_traces SELECT ts, lower(hex(trace_id)), lower(hex(span_id)), lower(hex(parent_span_id)), trace_state,
    name, ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'][kind + 1], service, resource,
    scope_name, scope_version, attributes, duration_ns, ['Unset', 'Ok', 'Error'][status + 1], status_message
FROM {spans} WHERE ts >= fromUnixTimestamp64Nano({{start:Int64}}, 'UTC')
    AND ts < fromUnixTimestamp64Nano({{end:Int64}}, 'UTC')"""


def copy(store: Store, peer: Store, start: int, end: int) -> None:
    """Give the peer the spans of a time."""
    for statement in _TABLES:
        peer.command(statement)
    peer.command(_COPY.format(spans=f"`{store.dsn.database}`.spans"), {"start": start, "end": end})


_RUNS = "SpanKind IN ('Server', 'Consumer') AND Timestamp >= {start:DateTime64(9)} AND Timestamp < {end:DateTime64(9)}"
_FIGURES = """count(), countIf(StatusCode = 'Error'), countIf(SpanAttributes['faas.coldstart'] = 'true'),
    quantiles(0.5, 0.9, 0.95, 0.99)(Duration / 1e6)"""
# The questions of the overview, a function's page and the map, as one asks them of the exporter's tables.
QUESTIONS = {
    "totals": f"SELECT {_FIGURES} FROM otel_traces WHERE {_RUNS}",
    "series": f"SELECT toStartOfInterval(Timestamp, INTERVAL {{step:UInt32}} SECOND) AS t, {_FIGURES}"
    f" FROM otel_traces WHERE {_RUNS} GROUP BY t ORDER BY t",
    "functions": f"SELECT ServiceName, {_FIGURES}, max(Timestamp) FROM otel_traces WHERE {_RUNS}"
    " GROUP BY ServiceName ORDER BY ServiceName",
    "heatmap": "SELECT toStartOfInterval(Timestamp, INTERVAL {step:UInt32} SECOND) AS t,"
    f" floor(log(Duration / 1e6) / log(1.04)) AS bucket, count() FROM otel_traces WHERE {_RUNS} GROUP BY t, bucket",
    "errors": "SELECT ServiceName, SpanAttributes['error.type'] AS type, count(), min(Timestamp), max(Timestamp),"
    f" any(StatusMessage), any(TraceId) FROM otel_traces WHERE {_RUNS} AND StatusCode = 'Error'"
    " GROUP BY ServiceName, type ORDER BY 3 DESC LIMIT 20",
    "map": "SELECT ServiceName, SpanAttributes['messaging.destination.name'] AS queue,"
    " SpanAttributes['aws.dynamodb.table_names'] AS place, count(), countIf(StatusCode = 'Error'),"
    " quantile(0.95)(Duration / 1e6) FROM otel_traces WHERE SpanKind IN ('Client', 'Producer')"
    " AND Timestamp >= {start:DateTime64(9)} AND Timestamp < {end:DateTime64(9)} GROUP BY ServiceName, queue, place",
}


def questions(peer: Store, scope: Scope) -> Mapping[str, Callable[[], Any]]:
    """Return each question over a scope, ready to be asked."""
    parameters = {"start": _text(scope.start), "end": _text(scope.end), "step": max(1, int(scope.seconds / 120))}
    return {
        name: lambda sql=sql: peer.query(sql, parameters, timeout_s=300)  # type: ignore[misc]
        for name, sql in QUESTIONS.items()
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
