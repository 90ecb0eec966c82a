-- What settled hours used and cost, by all that a bill is asked for: function, version, trigger, source, size.

-- `version` is the settling, as in the other rollups (0006_rollups.sql). `memory_bucket` counts memory used, in MB, as durations are counted in ms.
CREATE TABLE IF NOT EXISTS usage_hours (
    hour DateTime('UTC'),
    version UInt64 CODEC(ZSTD(1)),
    environment LowCardinality(String),
    function LowCardinality(String),
    function_version LowCardinality(String),
    trigger LowCardinality(String),
    source LowCardinality(String),
    provider LowCardinality(String),
    architecture LowCardinality(String),
    init_type LowCardinality(String),
    memory_mb UInt32 CODEC(ZSTD(1)),
    memory_bucket Int16 CODEC(ZSTD(1)),
    invocations UInt64 CODEC(T64, ZSTD(1)),
    gb_seconds Float64 CODEC(ZSTD(1)),
    cost_usd Float64 CODEC(ZSTD(1))
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, function, environment, function_version)
{{keep rollups}}
{{settings}};
