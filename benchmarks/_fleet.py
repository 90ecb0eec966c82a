"""A fleet of functions for the query benchmark: invocations, spans and log lines, made by the engine itself.

Fifty functions, a few of which have most of the traffic; more by day than by night, and most of all now; durations
log-normal around each function's own; one invocation in a hundred fails, one in a hundred starts cold. Four facts an
invocation (the function's span, the platform's start, done and report). One invocation in ten also has the spans of
two calls, one to a queue and one to a table, and twelve log lines; a cold start those of its init and three imports.
"""

import math
from collections.abc import Iterator

from faasight_store import Store
from faasight_store.times import HOUR

FUNCTIONS = 50
SAMPLED = 10  # one in so many has calls and log lines
LOGS_EACH = 12


def _chance(k: int) -> str:
    """Return SQL for a number in [0, 1) that is fixed for the invocation and `k`."""
    return f"(cityHash64(id, {k}) / 18446744073709551616.0)"


_NUMBER = f"toUInt8({FUNCTIONS} * pow({_chance(1)}, 2.2))"
_NORMAL = f"sqrt(-2 * log({_chance(2)} + 1e-12)) * cos(6.283185307 * {_chance(3)})"
# Some functions take seconds, one in seventeen half a minute.
_TYPICAL_MS = "multiIf(f % 17 = 16, 30000, f % 10 = 9, 2000, 15 + 12 * (f % 10))"
_EACH = f"""
    SELECT {{first:UInt64}} + number AS id, {_NUMBER} AS f, concat('fn-', leftPad(toString(f), 2, '0')) AS name,
        {{from:Int64}} + toInt64({_chance(4)} * {{length:Int64}}) AS start_ns,
        fromUnixTimestamp64Nano(start_ns, 'UTC') AS start,
        round(least({_TYPICAL_MS} * exp(0.6 * {_NORMAL}), 890000), 2) AS ms,
        {_chance(5)} AS luck,
        multiIf(luck < 0.009, 'error', luck < 0.0095, 'timeout', luck < 0.01, 'out_of_memory', 'ok') AS how,
        multiIf(how = 'ok', '', how = 'error', arrayElement(['ValueError', 'KeyError', 'ConnectionError', 'Throttled'],
                1 + id % 4), how) AS wrong,
        if(how = 'ok', '', concat('order ', toString(id % 10000), ' cannot be taken')) AS said,
        {_chance(6)} < 0.01 AS cold, if(cold, 200 + 3000 * {_chance(7)}, NULL) AS init,
        lower(hex(MD5(toString(id)))) AS request, toFixedString(MD5(concat('t', toString(id))), 16) AS trace,
        arrayElement([128, 256, 512, 1024], 1 + f % 4) AS memory, memory * (0.3 + 0.5 * {_chance(8)}) AS used
    FROM numbers({{size:UInt64}})"""

_FACTS = f"""
INSERT INTO invocation_facts (ts, received_at, function, request_id, witness, outcome, environment, version, region,
    account, provider, architecture, duration_ms, init_ms, billed_ms, memory_mb, memory_used_mb, error_type)
SELECT start + toIntervalMicrosecond(700), now64(9), name, request, teller, if(teller = 'start', '', how), 'default',
    if(f % 5 = 0, '8', '7'), 'eu-west-1', '123456789012', 'aws', if(f % 3 = 0, 'arm64', 'amd64'),
    if(teller = 'start', NULL, ms), if(teller = 'report', init, NULL), if(teller = 'report', ceil(ms), NULL),
    if(teller = 'report', memory, NULL), if(teller = 'report', used, NULL), if(teller = 'start', '', wrong)
FROM ({_EACH}) ARRAY JOIN ['start', 'done', 'report'] AS teller"""

# Spans go the way that decoded spans go: all views of the schema see them, and the function's fact comes of its span.
_SPANS = f"""
INSERT INTO span_stream (valid, ts, start_ns, duration_ns, received_at, trace_id, span_id, parent_span_id, environment,
    service, function, name, kind, status, status_message, resource, attributes, scope_name, init_ms)
SELECT true, start + toIntervalMillisecond(k), start_ns + k * 1000000,
    if(k = 0, toUInt64(ms * 1e6), toUInt64(ms * 2e5)), now64(9), trace,
    substring(MD5(concat(toString(id), '-', toString(k))), 1, 8),
    if(k = 0, '', substring(MD5(concat(toString(id), '-0')), 1, 8)), 'default', name, name,
    arrayElement(['invoke', 'send order-queue', 'DynamoDB.PutItem orders'], k + 1), arrayElement([2, 4, 3], k + 1),
    if(how = 'ok' OR k > 0, 0, 2), if(k = 0, said, ''),
    map('service.name', name, 'faas.name', name, 'faas.version', if(f % 5 = 0, '8', '7'), 'faas.instance',
        concat('i-', toString(id % 997)), 'faas.max_memory', toString(memory * 1048576), 'cloud.provider', 'aws',
        'cloud.platform', 'aws_lambda', 'cloud.region', 'eu-west-1', 'cloud.account.id', '123456789012',
        'deployment.environment.name', 'default', 'process.runtime.name', 'cpython',
        'process.runtime.version', '3.12.1', 'host.arch', if(f % 3 = 0, 'arm64', 'amd64'),
        'telemetry.sdk.name', 'faasight'),
    multiIf(
        k = 0, map('faas.invocation_id', request, 'faas.coldstart', if(cold, 'true', 'false'), 'faas.trigger', 'http',
            'faasight.source.kind', if(f % 3 = 0, 'queue', 'api'), 'faasight.source.name',
            if(f % 3 = 0, concat('queue-', toString(f)), 'shop-api'), 'faasight.timeout_ms', '900000',
            'faasight.memory_used', toString(toUInt64(used * 1048576)), 'faasight.outcome', how, 'error.type', wrong,
            'http.request.method', 'POST', 'url.path', concat('/orders/', toString(id % 100000)),
            'http.response.status_code', if(how = 'ok', '200', '502')),
        k = 1, map('rpc.system', 'aws-api', 'rpc.service', 'SQS', 'rpc.method', 'SendMessage', 'messaging.system',
            'aws_sqs', 'messaging.destination.name', concat('queue-', toString((f + 3) % {FUNCTIONS})),
            'messaging.message.id', request, 'aws.request_id', substring(request, 3)),
        map('rpc.system', 'aws-api', 'rpc.service', 'DynamoDB', 'rpc.method', 'PutItem', 'aws.dynamodb.table_names',
            'orders', 'aws.request_id', substring(request, 5), 'db.system.name', 'aws.dynamodb')),
    'faasight', init
FROM ({_EACH}) ARRAY JOIN if(id % {SAMPLED} = 0, [0, 1, 2], [0]) AS k"""
# What a cold start spends its time on: its init, and a few imports.
_INITS = f"""
INSERT INTO span_stream (valid, ts, start_ns, duration_ns, received_at, trace_id, span_id, parent_span_id, environment,
    service, function, name, kind, attributes, scope_name)
SELECT true, start, start_ns, toUInt64(assumeNotNull(init) * 1e6 / (k + 1)), now64(9), trace,
    substring(MD5(concat(toString(id), '-init-', toString(k))), 1, 8), substring(MD5(concat(toString(id), '-0')), 1, 8),
    'default', name, name, arrayElement(['INIT', 'import boto3', 'import requests', 'import shop.prices'], k + 1), 1,
    if(k = 0, map('faasight.phase', 'init', 'faasight.init_type', 'on-demand', 'faasight.overhead_ms', '6.5'),
        map('faasight.phase', 'import', 'faasight.import.module', arrayElement(['boto3', 'requests', 'shop.prices'], k),
            'faasight.import.self_ms', toString(init / 10))), 'faasight'
FROM ({_EACH}) ARRAY JOIN range(4) AS k WHERE cold"""
_LOGS = f"""
INSERT INTO records (kind, ts, function, environment, request_id, trace_id, severity, level, message, attributes)
SELECT 'log', start_ns + k * 1000000, name, 'default', request, lower(hex(trace)), 9, if(how = 'ok', 'INFO', 'ERROR'),
    arrayElement([concat('order ', toString(id), ' received from customer ', toString(id % 7919)),
                  concat('payment of ', toString(id % 500), ' EUR ', if(how = 'ok', 'accepted', 'refused')),
                  concat('order ', toString(id), ' stored in ', toString(ms), ' ms')], k % 3 + 1),
    map('logger', 'shop', 'customer', toString(id % 7919), 'amount', toString(id % 500))
FROM ({_EACH}) ARRAY JOIN range({LOGS_EACH}) AS k WHERE id % {SAMPLED} = 0"""
_STATEMENTS = (_FACTS, _SPANS, _INITS, _LOGS)


def _weight(hours_ago: float) -> float:
    return 1 + 0.6 * math.cos(2 * math.pi * hours_ago / 24)


def parts(invocations: int, days: int, now: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start in ns, length in ns, invocations) of parts of the month, the newest first; the last ends now.

    A part is an hour, or some hours where there is little in them: each costs a few statements.
    """
    length = min(6, max(1, 100_000 * days * 24 // invocations))  # hours
    places = range(0, days * 24, length)
    total = sum(_weight(h + length / 2) for h in places)
    for h in places:
        yield now - (h + length) * HOUR, length * HOUR, round(invocations * _weight(h + length / 2) / total)


def fill(store: Store, start: int, length: int, count: int) -> None:
    """Make so many invocations in a time; twice the same makes the same."""
    parameters = {"from": start, "length": length, "first": start // 1000, "size": count}
    for statement in _STATEMENTS:
        store.command(statement, parameters)


# Tables of settled hours, of counts that only add up, and of single spans and lines: how a row is moved by some days.
_AGO = "- toIntervalDay({day:Int64})"
_NS = "{day:Int64} * 86400000000000"
_SETTLED = f"hour {_AGO} AS hour, version - {{day:Int64}} AS version"
_TRACE = (
    "toFixedString(concat(substring(trace_id, 1, 15), char(bitXor(ascii(substring(trace_id, 16)), {day:Int64}))), 16)"
)
_SPAN = "toFixedString(concat(substring(span_id, 1, 7), char(bitXor(ascii(substring(span_id, 8)), {day:Int64}))), 8)"
_SEEN = "".join(
    f", (tupleElement({name}, 1) {_AGO}, tupleElement({name}, 2)) AS {name}"
    for name in ("runtime", "architecture", "region", "account", "provider", "memory_mb", "timeout_ms")
)
_ROLLUPS = {
    **dict.fromkeys(
        ("invocation_slots", "invocation_hours", "fleet_slots", "fleet_hours"), f"{_SETTLED}, slot {_AGO} AS slot"
    ),
    "error_slots": f"{_SETTLED}, slot {_AGO} AS slot, first {_AGO} AS first, last {_AGO} AS last",
    "error_hours": f"{_SETTLED}, first {_AGO} AS first, last {_AGO} AS last",
    "usage_hours": _SETTLED,
    "settled_hours": f"{_SETTLED}, 0 AS facts, 0 AS known",
    "function_hours": f"hour {_AGO} AS hour, first_seen {_AGO} AS first_seen, last_seen {_AGO} AS last_seen{_SEEN}",
}
_EDGES = f"minute {_AGO} AS minute"
_MOVED = f"ts {_AGO} AS ts, {_TRACE} AS trace_id"
_TELEMETRY = {
    "edges": _EDGES,  # whose view fills the hours
    "spans": f"{_MOVED}, start_ns - {_NS} AS start_ns, received_at {_AGO} AS received_at, batch {_AGO} AS batch",
    "start_spans": f"ts {_AGO} AS ts, {_SPAN} AS span_id",
    "logs": f"{_MOVED}, event_ns - {_NS} AS event_ns, seq - {_NS} AS seq, observed_ns - {_NS} AS observed_ns",
    "trace_index": f"slot {_AGO} AS slot, {_TRACE} AS trace_id, first_ns - {_NS} AS first_ns, first {_AGO} AS first,"
    f" last {_AGO} AS last, (root.1, root.2 {_AGO}, root.3, root.4) AS root",
}
_TIME = {"edges": "minute", "edge_hours": "minute", "trace_index": "slot"} | dict.fromkeys(
    ("spans", "start_spans", "logs"), "ts"
)  # else hour


def repeat_days(store: Store, known: float, days: int, span_days: int, now: int) -> None:
    """Give older days what is known of the oldest whole day that was made, `known` days being made.

    All of them get the counts, the last `span_days` the spans and log lines too, as traces of their own.
    """
    first = now // HOUR * HOUR - int(known * 24) * HOUR + HOUR  # the oldest hour that is whole
    for day in range(1, days - int(known) + 1):
        with_spans = first - (day - 1) * 24 * HOUR > now - span_days * 24 * HOUR
        moves = {**_ROLLUPS, **(_TELEMETRY if with_spans else {"edge_hours": _EDGES})}
        for table, move in moves.items():
            time = _TIME.get(table, "hour")
            start = "toDateTime({first:Int64}, 'UTC')"
            store.command(
                f"INSERT INTO {table} SELECT * REPLACE ({move}) FROM (SELECT * FROM {table}"
                f" WHERE {time} >= {start} AND {time} < {start} + INTERVAL 1 DAY)",
                {"first": first // 10**9, "day": day},
            )
        print(f"day {day} of {days - int(known)}", flush=True)


def large_trace(store: Store, now: int, spans: int) -> str:
    """Make one trace of so many spans, and return its id in hex."""
    trace = f"{now:032x}"
    store.command(
        """INSERT INTO span_stream (valid, ts, start_ns, duration_ns, received_at, trace_id, span_id, parent_span_id,
            environment, service, function, name, kind, attributes)
        SELECT true, fromUnixTimestamp64Nano(start_ns, 'UTC'), {now:Int64} - 5000000000 + number * 100000 AS start_ns,
            90000, now64(9), unhex({trace:String}), substring(MD5(toString(number)), 1, 8),
            if(number = 0, '', substring(MD5(toString(intDiv(number, 10))), 1, 8)), 'default', service, service,
            concat('step ', toString(number % 50)), 1, map('index', toString(number), 'path', '/orders/stored')
        FROM (SELECT number, concat('fn-0', toString(number % 5)) AS service FROM numbers({spans:UInt64}))""",
        {"now": now, "trace": trace, "spans": spans},
    )
    return trace
