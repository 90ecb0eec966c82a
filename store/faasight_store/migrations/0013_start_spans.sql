-- What cold starts are made of: inits, their imports, and the pings that avoid them, by function.

-- Spans lie in the order of arrival, so that to look for a function's in a week would read all of them.
CREATE TABLE IF NOT EXISTS start_spans (
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    environment LowCardinality(String),
    function LowCardinality(String),
    phase LowCardinality(String),  -- init, import, warm_up
    module LowCardinality(String),  -- that was imported
    span_id FixedString(8) CODEC(ZSTD(1)),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    self_ms Float64 CODEC(ZSTD(1)),  -- of an import, less those that it made
    overhead_ms Nullable(Float64) CODEC(ZSTD(1))  -- of an init: the wrapper's own
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (function, phase, ts)
{{keep traces}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_start_spans TO start_spans AS
SELECT
    ts,
    environment,
    function,
    if(kind IN (2, 5), 'warm_up', attributes['faasight.phase']) AS phase,
    attributes['faasight.import.module'] AS module,
    span_id,
    duration_ns,
    toFloat64OrZero(attributes['faasight.import.self_ms']) AS self_ms,
    toFloat64OrNull(attributes['faasight.overhead_ms']) AS overhead_ms
FROM span_stream
WHERE valid AND if(kind IN (2, 5), attributes['faasight.warm_up'] = 'true', attributes['faasight.phase'] IN ('init', 'import'));
