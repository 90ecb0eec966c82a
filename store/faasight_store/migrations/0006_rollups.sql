-- Settled invocations: hours that are over, merged once and kept as counts by duration (docs/design/store.md).

-- One row for each function, half minute and duration bucket; a cold start's `init_bucket` and `init_type` stand in rows
-- of their own that count nothing else, for there are few pairs of durations that come twice.
-- `version` is the settling: only the newest of an hour counts (settled_hours).
-- By function first, in small granules: a function's rows of an hour are a hundred among thousands, so that a page of one
-- would read those of all; and a third of the bytes, where a day's like rows stand together.
CREATE TABLE IF NOT EXISTS invocation_slots (
    {{settled_cells function LowCardinality(String),}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(hour)
ORDER BY (function, environment, slot, bucket)
{{keep invocations}}
{{settings}}, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS invocation_hours (
    {{settled_cells function LowCardinality(String),}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (function, environment, hour, bucket)
{{keep rollups}}
{{settings}}, index_granularity = 512;

-- Days that are over, for ranges of many: `hour` is the day's first, `version` the settling of the day (settled_days).
CREATE TABLE IF NOT EXISTS invocation_days (
    {{settled_cells function LowCardinality(String),}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (function, environment, hour, bucket)
{{keep rollups}}
{{settings}}, index_granularity = 512;

-- The same of all functions together, for pages of the whole fleet.
CREATE TABLE IF NOT EXISTS fleet_slots (
    {{settled_cells}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(hour)
ORDER BY (hour, environment, slot, bucket)
{{keep invocations}}
{{settings}};

CREATE TABLE IF NOT EXISTS fleet_hours (
    {{settled_cells}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, environment, bucket)
{{keep rollups}}
{{settings}};

-- The failures of settled hours, by type and frames, or by the shape of the message where there is no stack.
CREATE TABLE IF NOT EXISTS error_hours (
    hour DateTime('UTC'),
    version UInt64 CODEC(ZSTD(1)),
    {{failure_columns}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, function, environment, type, shape, frames)
{{keep invocations}}
{{settings}};

-- The same by the half minute, for ranges that begin or end within an hour.
CREATE TABLE IF NOT EXISTS error_slots (
    hour DateTime('UTC'),
    version UInt64 CODEC(ZSTD(1)),
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    {{failure_columns}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(hour)
ORDER BY (hour, slot, function, environment, type)
{{keep invocations}}
{{settings}};

-- Written after the rows of a settling: an hour without its row here was not settled. `facts` is how many it was made of,
-- `known` how many touched_hours told of then: more, where some were deleted.
CREATE TABLE IF NOT EXISTS settled_hours (
    hour DateTime('UTC'),
    version UInt64,
    facts UInt64,
    known UInt64
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, version)
{{keep rollups}}
{{settings}};

-- Written after the rows of a day. It holds while the hours that it was made of are those that count: `made_of` is the sum
-- of their versions.
CREATE TABLE IF NOT EXISTS settled_days (
    hour DateTime('UTC'),
    version UInt64,
    made_of UInt64
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, version)
{{keep rollups}}
{{settings}};

-- Invocations of the last hours, merged some minutes after they began, by function and minute; settled hours follow them.
-- Those that still run are kept too, so that it is known which minutes to look at again.
CREATE TABLE IF NOT EXISTS settled_invocations (
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    settling UInt64 CODEC(ZSTD(1)),
    function LowCardinality(String),
    invocation UInt64 CODEC(ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    never_ran Bool,
    start DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    outcome LowCardinality(String),
    environment LowCardinality(String),
    version LowCardinality(String),
    region LowCardinality(String),
    architecture LowCardinality(String),
    provider LowCardinality(String),
    instrumented Bool,
    trace_id FixedString(16) CODEC(ZSTD(1)),
    trigger LowCardinality(String),
    source_kind LowCardinality(String),
    source_name LowCardinality(String),
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
    error_frames String CODEC(ZSTD(1)),
    throttles UInt64 CODEC(T64, ZSTD(1)),
    cost_usd Float64 CODEC(ZSTD(1))
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfHour(minute)
ORDER BY (minute, function, start)
TTL minute + INTERVAL 4 HOUR
{{settings}};

-- Written after its rows: of each function's minute the newest settling counts, while the facts around it are as many as it was made of.
CREATE TABLE IF NOT EXISTS settled_minutes (
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    function LowCardinality(String),
    settling UInt64 CODEC(ZSTD(1)),
    near UInt64 CODEC(T64, ZSTD(1)),    -- facts within 2 minutes of it
    far UInt64 CODEC(T64, ZSTD(1)),     -- vague facts within 16 minutes of it
    lost_at UInt64 CODEC(ZSTD(1))       -- ns: when the first of those that ran then counts as lost, 0: none did
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfHour(minute)
ORDER BY (minute, function, settling)
TTL minute + INTERVAL 4 HOUR
{{settings}};
