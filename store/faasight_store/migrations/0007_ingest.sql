-- What the collectors say of themselves, and when anything last arrived.

CREATE TABLE IF NOT EXISTS ingest_stats (
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    collector LowCardinality(String),
    signal LowCardinality(String),
    accepted UInt64 CODEC(T64, ZSTD(1)),
    rejected UInt64 CODEC(T64, ZSTD(1)),
    bytes UInt64 CODEC(T64, ZSTD(1)),
    shipped UInt64 CODEC(T64, ZSTD(1)),
    dead_letters UInt64 CODEC(T64, ZSTD(1)),
    journal_bytes UInt64 CODEC(T64, ZSTD(1)),
    ship_lag_s Float64 CODEC(ZSTD(1)),
    reasons Map(LowCardinality(String), UInt64)
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (ts, collector, signal)
{{keep metrics}}
{{settings}};

CREATE TABLE IF NOT EXISTS arrivals (
    signal LowCardinality(String),
    received_at SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
) ENGINE = {{engine AggregatingMergeTree}}
ORDER BY signal
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS spans_to_arrivals TO arrivals AS
SELECT 'traces' AS signal, max(received_at) AS received_at FROM spans GROUP BY signal;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs_to_arrivals TO arrivals AS
SELECT 'logs' AS signal, max(fromUnixTimestamp64Nano(toInt64(seq), 'UTC')) AS received_at FROM logs GROUP BY signal;

-- Facts of spans came with their spans; this is for those of the platform.
CREATE MATERIALIZED VIEW IF NOT EXISTS records_to_arrivals TO arrivals AS
SELECT 'records' AS signal, now64(9, 'UTC') AS received_at FROM records GROUP BY signal;
