-- Settled invocations: hours that are over, merged once and kept as counts by duration (docs/design/store.md).

-- One row for each function, minute and duration bucket. `version` is the settling: only the newest of an hour counts (settled_hours).
CREATE TABLE IF NOT EXISTS invocation_minutes (
    hour DateTime('UTC'),
    version UInt64 CODEC(ZSTD(1)),
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment LowCardinality(String),
    function LowCardinality(String),
    bucket Int16 CODEC(ZSTD(1)),
    init_bucket Int16 CODEC(ZSTD(1)),
    {{cell_columns}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(hour)
ORDER BY (hour, function, environment, slot, bucket)
{{keep invocations}}
{{settings}};

CREATE TABLE IF NOT EXISTS invocation_hours (
    hour DateTime('UTC'),
    version UInt64 CODEC(ZSTD(1)),
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment LowCardinality(String),
    function LowCardinality(String),
    bucket Int16 CODEC(ZSTD(1)),
    init_bucket Int16 CODEC(ZSTD(1)),
    {{cell_columns}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, function, environment, bucket)
{{keep rollups}}
{{settings}};

-- The failures of settled hours, by type and frames, or by the shape of the message where there is no stack.
CREATE TABLE IF NOT EXISTS error_hours (
    hour DateTime('UTC'),
    version UInt64 CODEC(ZSTD(1)),
    environment LowCardinality(String),
    function LowCardinality(String),
    type LowCardinality(String),
    shape String CODEC(ZSTD(1)),  -- of the message; "" where frames tell the failures apart
    frames String CODEC(ZSTD(1)),
    function_version LowCardinality(String),
    failures UInt64 CODEC(T64, ZSTD(1)),
    first DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    last DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1))
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, function, environment, type, shape, frames)
{{keep rollups}}
{{settings}};

-- Written after the rows of a settling: an hour without its row here was not settled. `covers`: facts received up to then are in it.
CREATE TABLE IF NOT EXISTS settled_hours (
    hour DateTime('UTC'),
    version UInt64,
    covers DateTime64(9, 'UTC')
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, version)
{{keep rollups}}
{{settings}};
