-- What log lines look like: every line belongs to a pattern, its message without the words that hold a digit.

-- The template is not kept: the sample gives it (macros/log_pattern.sql).
CREATE TABLE IF NOT EXISTS log_patterns (
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment LowCardinality(String),
    function LowCardinality(String),
    level LowCardinality(String),
    pattern UInt64 CODEC(ZSTD(1)),
    lines SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    first SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    last SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    sample SimpleAggregateFunction(anyLast, String) CODEC(ZSTD(1))
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toDate(slot)
ORDER BY (slot, function, environment, level, pattern)
{{keep logs}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS logs_to_log_patterns TO log_patterns AS
SELECT toStartOfFiveMinutes(ts) AS slot, environment, function, level, pattern, count() AS lines, min(ts) AS first, max(ts) AS last,
    anyLast(substringUTF8(message, 1, 1000)) AS sample
FROM logs
GROUP BY slot, environment, function, level, pattern;
