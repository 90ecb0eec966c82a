-- Invocations: one immutable fact for each witness; queries merge them by (function, request_id).

-- The order of `witness` is the order of trust in its start time; the order of `outcome` is that of gravity: the gravest is kept.
CREATE TABLE IF NOT EXISTS invocation_facts (
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    received_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    function LowCardinality(String),
    request_id String CODEC(ZSTD(1)),
    invocation UInt64 MATERIALIZED cityHash64(function, request_id) CODEC(ZSTD(1)),
    witness Enum8('function' = 1, 'start' = 2, 'report' = 3, 'done' = 4, 'init' = 5, 'fault' = 6, 'throttle' = 7, 'caller' = 8),
    outcome Enum8('' = 0, 'ok' = 1, 'warm_up' = 2, 'error' = 3, 'init_error' = 4, 'out_of_memory' = 5, 'timeout' = 6),
    environment LowCardinality(String),
    version LowCardinality(String),
    region LowCardinality(String),
    account LowCardinality(String),
    provider LowCardinality(String),
    runtime LowCardinality(String),
    architecture LowCardinality(String),
    instance String CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    trigger LowCardinality(String),
    source_kind LowCardinality(String),
    source_name LowCardinality(String),
    caller LowCardinality(String),
    attempt UInt16 CODEC(T64, ZSTD(1)),
    queue_wait_ms Nullable(Float64) CODEC(ZSTD(1)),
    timeout_ms Nullable(Float64) CODEC(ZSTD(1)),
    duration_ms Nullable(Float64) CODEC(ZSTD(1)),
    init_ms Nullable(Float64) CODEC(ZSTD(1)),
    init_type LowCardinality(String),
    cold_start Bool,
    billed_ms Nullable(Float64) CODEC(ZSTD(1)),
    memory_mb Nullable(Float64) CODEC(ZSTD(1)),
    memory_used_mb Nullable(Float64) CODEC(ZSTD(1)),
    error_type LowCardinality(String),
    error_message String CODEC(ZSTD(1)),
    error_frames String CODEC(ZSTD(1)),  -- of the stack trace, without machine paths and line numbers
    vague Bool,  -- `ts` is the end, for nobody told how long it took
    INDEX vagueness vague TYPE minmax GRANULARITY 1,
    INDEX request_ids request_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX trace_ids trace_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (toStartOfFiveMinutes(ts), function, ts)
{{keep invocations}}
{{settings}};

-- The function itself: its SERVER or CONSUMER span, and before that the record that it runs, which knows no outcome yet.
CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_facts TO invocation_facts AS
WITH
    attributes['faasight.phase'] = 'start' AS began,
    arrayLast(event -> event.name = 'exception', events).attributes AS exception,
    if(outcome = 'ok', '', exception['exception.stacktrace']) AS stack
SELECT
    ts,
    received_at,
    function,
    attributes['faas.invocation_id'] AS request_id,
    'function' AS witness,
    multiIf(began, '',
            attributes['faasight.outcome'] IN ('error', 'timeout', 'out_of_memory', 'init_error'), attributes['faasight.outcome'],
            status = 2 AND attributes['faasight.outcome'] != 'ok', 'error',
            attributes['faasight.warm_up'] = 'true', 'warm_up',  -- a ping that only keeps the function warm
            'ok') AS outcome,
    environment,
    resource['faas.version'] AS version,
    resource['cloud.region'] AS region,
    resource['cloud.account.id'] AS account,
    resource['cloud.provider'] AS provider,
    if(resource['process.runtime.version'] = '', '',
       concat(if(resource['process.runtime.name'] IN ('cpython', ''), 'python', resource['process.runtime.name']),
              arrayStringConcat(arraySlice(splitByChar('.', resource['process.runtime.version']), 1, 2), '.'))) AS runtime,
    resource['host.arch'] AS architecture,
    resource['faas.instance'] AS instance,
    toFixedString(trace_id, 16) AS trace_id,
    attributes['faas.trigger'] AS trigger,
    attributes['faasight.source.kind'] AS source_kind,
    attributes['faasight.source.name'] AS source_name,
    attributes['faasight.caller'] AS caller,
    greatest(toUInt16OrZero(attributes['faasight.attempt']), 1) AS attempt,
    toFloat64OrNull(attributes['faasight.queue_wait_ms']) AS queue_wait_ms,
    toFloat64OrNull(attributes['faasight.timeout_ms']) AS timeout_ms,
    if(began OR attributes['faasight.killed'] = 'true', NULL, duration_ns / 1e6) AS duration_ms,  -- when it was killed nobody knows
    span_stream.init_ms AS init_ms,
    attributes['faasight.init_type'] AS init_type,
    attributes['faas.coldstart'] = 'true' AS cold_start,
    nullIf(toFloat64OrZero(resource['faas.max_memory']), 0) / 1048576 AS memory_mb,
    nullIf(toFloat64OrZero(attributes['faasight.memory_used']), 0) / 1048576 AS memory_used_mb,
    multiIf(outcome = 'ok', '', attributes['error.type'] != '', attributes['error.type'], exception['exception.type']) AS error_type,
    multiIf(outcome = 'ok', '', exception['exception.message'] != '', exception['exception.message'], status_message) AS error_message,
    if(stack = '', '', {{frames stack}}) AS error_frames
FROM span_stream
WHERE (kind IN (2, 5) OR attributes['faasight.phase'] = 'start') AND attributes['faas.invocation_id'] != '' AND valid;

-- The caller: only what never ran, for whoever runs has better witnesses.
CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_caller_facts TO invocation_facts AS
SELECT
    ts,
    received_at,
    {{function_name attributes['faas.invoked_name']}} AS function,
    if(attributes['aws.request_id'] = '', concat('span:', hex(span_id)), attributes['aws.request_id']) AS request_id,
    'caller' AS witness,
    environment,
    toFixedString(trace_id, 16) AS trace_id,
    'function' AS source_kind,
    span_stream.function AS source_name,
    span_stream.function AS caller,
    1 AS attempt
FROM span_stream
WHERE kind IN (3, 4) AND attributes['faas.invoked_name'] != '' AND attributes['faasight.throttled'] = 'true' AND valid;

-- The platform. Its events carry the time they were written, an end's being the end: the start is reckoned back.
CREATE MATERIALIZED VIEW IF NOT EXISTS records_to_facts TO invocation_facts AS
WITH if(kind IN ('report', 'done') AND records.duration_ms > 0,
        records.ts - toInt64(least(assumeNotNull(records.duration_ms), 86400000) * 1e6), records.ts) AS start_ns
SELECT
    {{clamped start_ns}} AS ts,
    now64(9, 'UTC') AS received_at,
    function,
    request_id,
    records.kind AS witness,
    multiIf(
        kind IN ('start', 'throttle') OR (kind = 'init' AND status IN ('', 'success')), '',
        status IN ('success', 'ok') OR (status = '' AND kind != 'fault' AND records.error_type = ''), 'ok',
        status = 'timeout' OR records.error_type = 'Sandbox.Timedout', 'timeout',
        -- SIGKILL within the time limit, or an end with all memory used: older runtimes have no type of their own for it.
        match(records.error_type, 'OutOfMemory') OR (records.error_type = 'Runtime.ExitError'
            AND (match(message, 'signal: killed') OR ifNull(records.memory_used_mb >= records.memory_mb, false))), 'out_of_memory',
        kind = 'init' OR match(records.error_type,
            '^(Init|Runtime\\.(Init|ImportModule|UserCodeSyntax|HandlerNotFound|MalformedHandler|InvalidEntrypoint)|Sandbox\\.Init)'), 'init_error',
        'error') AS outcome,
    records.environment AS environment,
    version,
    region,
    account,
    'aws' AS provider,
    instance,
    toFixedString(if(match(records.trace_id, '^[0-9a-fA-F]{32}$'), unhex(records.trace_id), ''), 16) AS trace_id,
    records.duration_ms AS duration_ms,
    records.init_ms AS init_ms,
    records.init_type AS init_type,
    records.billed_ms AS billed_ms,
    records.memory_mb AS memory_mb,
    records.memory_used_mb AS memory_used_mb,
    records.error_type AS error_type,
    kind IN ('report', 'done', 'init', 'fault') AND ifNull(records.duration_ms, 0) <= 0 AS vague,
    if(outcome IN ('', 'ok'), '', message) AS error_message
FROM records
WHERE kind IN ('start', 'report', 'done', 'init', 'fault', 'throttle') AND request_id != '' AND function != '';

-- How many facts there are that may bear on an hour: a fact may move its neighbours' starts, so it touches their hours too.
-- A settling notes how many it read; an hour is settled while the two agree, whatever came late, twice or slowly.
CREATE TABLE IF NOT EXISTS touched_hours (
    hour DateTime('UTC'),
    facts UInt64
) ENGINE = {{engine SummingMergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY hour
{{keep invocations}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS facts_to_touched_hours TO touched_hours AS
SELECT arrayJoin(arrayDistinct([toStartOfHour(minute - INTERVAL 16 MINUTE), toStartOfHour(minute + INTERVAL 16 MINUTE)])) AS hour,
       sum(fact_count) AS facts
FROM (SELECT toStartOfMinute(ts) AS minute, count() AS fact_count FROM invocation_facts GROUP BY minute)
GROUP BY hour;

-- The same by function and minute, for the minutes that no settled hour holds yet: `near` facts within 2 minutes, and
-- `far` ones within 16 that are vague.
CREATE TABLE IF NOT EXISTS touched_minutes (
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    function LowCardinality(String),
    near UInt64 CODEC(T64, ZSTD(1)),
    far UInt64 CODEC(T64, ZSTD(1))
) ENGINE = {{engine SummingMergeTree}}
PARTITION BY toDate(minute)
ORDER BY (minute, function)
TTL minute + INTERVAL 2 DAY
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS facts_to_touched_minutes TO touched_minutes AS
SELECT at + toIntervalMinute(d) AS minute, function, sum(if(abs(d) <= 2, facts, 0)) AS near, sum(vague_facts) AS far
FROM (
    SELECT toStartOfMinute(ts) AS at, function, count() AS facts, countIf(vague) AS vague_facts FROM invocation_facts GROUP BY at, function
)
ARRAY JOIN if(vague_facts > 0, range(-16, 17), range(-2, 3)) AS d
GROUP BY minute, function;

-- What is known of each version of a function, the newest value of each field, by hour; deployments are read from it too.
CREATE TABLE IF NOT EXISTS function_hours (
    hour DateTime('UTC'),
    environment LowCardinality(String),
    function LowCardinality(String),
    version LowCardinality(String),  -- '' where it was not told
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    runtime SimpleAggregateFunction(max, Tuple(DateTime64(9, 'UTC'), String)),
    architecture SimpleAggregateFunction(max, Tuple(DateTime64(9, 'UTC'), String)),
    region SimpleAggregateFunction(max, Tuple(DateTime64(9, 'UTC'), String)),
    account SimpleAggregateFunction(max, Tuple(DateTime64(9, 'UTC'), String)),
    provider SimpleAggregateFunction(max, Tuple(DateTime64(9, 'UTC'), String)),
    memory_mb SimpleAggregateFunction(max, Tuple(DateTime64(9, 'UTC'), Float64)),
    timeout_ms SimpleAggregateFunction(max, Tuple(DateTime64(9, 'UTC'), Float64))
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, function, environment, version)
{{keep rollups}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS facts_to_function_hours TO function_hours AS
SELECT
    toStartOfHour(ts) AS hour,
    fact.environment AS environment,
    function,
    fact.version AS version,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    max((if(fact.runtime = '', {{epoch}}, ts), toString(fact.runtime))) AS runtime,
    max((if(fact.architecture = '', {{epoch}}, ts), toString(fact.architecture))) AS architecture,
    max((if(fact.region = '', {{epoch}}, ts), toString(fact.region))) AS region,
    max((if(fact.account = '', {{epoch}}, ts), toString(fact.account))) AS account,
    max((if(fact.provider = '', {{epoch}}, ts), toString(fact.provider))) AS provider,
    max((if(fact.memory_mb IS NULL, {{epoch}}, ts), ifNull(fact.memory_mb, 0))) AS memory_mb,
    max((if(fact.timeout_ms IS NULL, {{epoch}}, ts), ifNull(fact.timeout_ms, 0))) AS timeout_ms
FROM invocation_facts AS fact
GROUP BY hour, environment, function, version;
