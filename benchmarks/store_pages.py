"""How long each page's queries take: invocations made by the engine itself, spread over days, then settled.

python benchmarks/store_pages.py [--invocations 1000000] [--days 7]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from faasight_store import Scope, Store, settle
from faasight_store.queries import functions, invocations, logs, signals, traces
from faasight_store.queries import map as maps

# Each invocation: its span with one call out, and the platform's start, done and report. Half of them in the last day.
_WHEN = "toInt64({now:Int64} - {length:Int64} * pow(number / {count:Int64}, 2) * 1.0)"
_NAME = "concat('fn-', toString(number % 20))"
_ID = "lower(hex(MD5(toString(number))))"
_MS = "toFloat64(10 + number % 90 + if(number % 50 = 0, 900, 0))"
_RECORDS = f"""
INSERT INTO records (kind, ts, function, version, region, environment, request_id, status, duration_ms, billed_ms,
    memory_mb, memory_used_mb)
SELECT kind, {_WHEN} + if(kind = 'start', 0, toInt64({_MS} * 1e6)), {_NAME}, '7', 'eu-west-1', 'default', {_ID},
    multiIf(kind = 'start', '', number % 97 = 0, 'error', 'success'), if(kind = 'start', NULL, {_MS}),
    if(kind = 'report', {_MS}, NULL), if(kind = 'report', 512, NULL), if(kind = 'report', 100 + number % 200, NULL)
FROM numbers({{first:UInt64}}, {{size:UInt64}}) ARRAY JOIN ['start', 'done', 'report'] AS kind"""
_SPANS = f"""
INSERT INTO span_stream
SELECT true AS valid, fromUnixTimestamp64Nano({_WHEN}, 'UTC') AS ts, {_WHEN} AS start_ns,
    toUInt64({_MS} * 1e6) AS duration_ns, now64(9) AS received_at, substring(MD5(toString(number)), 1, 16) AS trace_id,
    substring(MD5(concat(toString(number), toString(k))), 1, 8) AS span_id,
    if(k = 0, '', substring(MD5(concat(toString(number), '0')), 1, 8)) AS parent_span_id, '' AS trace_state, 0 AS flags,
    'default' AS environment, {_NAME} AS service, service AS function, if(k = 0, 'invoke', 'send orders') AS name,
    if(k = 0, 2, 4) AS kind, if(number % 97 = 0, 2, 0) AS status, '' AS status_message,
    map('service.name', service, 'cloud.provider', 'aws', 'faas.max_memory', '536870912') AS resource,
    if(k = 0,
       map('faas.invocation_id', {_ID}, 'faas.coldstart', if(number % 100 = 0, 'true', 'false'),
           'faasight.source.kind', 'api', 'faasight.source.name', 'shop-api', 'faasight.timeout_ms', '3000',
           'error.type', if(number % 97 = 0, 'ValueError', '')),
       map('messaging.system', 'aws_sqs', 'messaging.destination.name', concat('queue-', toString(number % 5)))
    ) AS attributes,
    'faasight' AS scope_name, '' AS scope_version, [] AS events, [] AS links, 0 AS dropped_attributes,
    0 AS dropped_events, 0 AS dropped_links, NULL AS init_ms
FROM numbers({{first:UInt64}}, {{size:UInt64}}) ARRAY JOIN [0, 1] AS k"""
_LOGS = f"""
INSERT INTO records (kind, ts, function, environment, request_id, level, message)
SELECT 'log', {_WHEN}, {_NAME}, 'default', {_ID}, if(number % 97 = 0, 'ERROR', 'INFO'),
    concat('order ', toString(number), ' accepted by the shop')
FROM numbers({{first:UInt64}}, {{size:UInt64}})"""
BLOCK = 100_000


def fill(store: Store, count: int, days: float, now: datetime) -> None:
    """Make the invocations, the newest first."""
    fixed = {"now": int(now.timestamp()) * 10**9, "length": int(days * 86400 * 10**9), "count": count}
    for first in range(0, count, BLOCK):
        for statement in (_RECORDS, _SPANS, _LOGS):
            store.command(statement, {**fixed, "first": first, "size": min(BLOCK, count - first)})


def timed(name: str, call: Callable[[], object], repeats: int = 7) -> None:
    """Print the median and the slowest of some calls, the first left out."""
    call()
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1000)
    print(f"{name:34} {statistics.median(took):8.0f} ms  slowest {max(took):8.0f} ms")


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.1f} s"


def pages(store: Store, scope: Scope, label: str) -> None:
    """Time what each page asks for."""
    print(f"-- {label}")
    timed("totals", lambda: invocations.totals(store, scope))
    timed("series", lambda: invocations.series(store, scope))
    timed("heatmap", lambda: invocations.heatmap(store, scope))
    timed("series of one function", lambda: invocations.series(store, scope, "fn-3"))
    timed("functions", lambda: functions.functions(store, scope))
    timed("cold starts of one function", lambda: functions.cold_starts(store, scope, "fn-3"))
    timed("errors", lambda: invocations.errors(store, scope))
    timed("recent", lambda: invocations.recent(store, scope))
    timed("recent failed", lambda: invocations.recent(store, scope, failed=True))
    timed("map", lambda: maps.invocation_map(store, scope))
    timed("find traces", lambda: traces.find(store, scope))
    timed("logs: newest", lambda: logs.search(store, scope))
    timed("logs: word", lambda: logs.search(store, scope, "777777"))
    timed("logs: volume", lambda: logs.volume(store, scope))


def main() -> None:
    """Fill a store and time its queries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invocations", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=7)
    arguments = parser.parse_args()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder, Store.open(f"chdb://{folder}") as store:
        store.migrate()
        began = time.perf_counter()
        fill(store, arguments.invocations, arguments.days, now)
        print(f"{arguments.invocations} invocations over {arguments.days:g} days made in {_since(began)}")
        began, hours = time.perf_counter(), 0
        while some := settle(store):
            hours += some
        print(f"{hours} hours settled in {_since(began)}")
        for label, length in (
            ("15 minutes", 0.25),
            ("3 hours", 3),
            ("24 hours", 24),
            (f"{arguments.days:g} days", 24 * arguments.days),
        ):
            pages(store, Scope(now - timedelta(hours=length), now), label)
        timed("signal over 5 minutes", lambda: signals.measure(store, "error_rate", now - timedelta(minutes=5), now))
        trace_id = traces.find(store, Scope(now - timedelta(hours=1), now))[0].trace_id
        timed("open a trace", lambda: traces.trace(store, trace_id))
        timed("live tail", lambda: logs.tail(store, 0))
        for row in store.query(
            "SELECT table, sum(rows), formatReadableSize(sum(bytes_on_disk)) FROM system.parts"
            " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY sum(bytes_on_disk) DESC"
        ):
            print(f"{row[0]:34} {row[1]:>12} rows {row[2]:>12}")


if __name__ == "__main__":
    main()
