-- What housekeeping dropped, and why: written before the drop, so that nothing goes without a row here.

CREATE TABLE IF NOT EXISTS dropped_partitions (
    at DateTime64(3, 'UTC'),
    table LowCardinality(String),
    partition String,
    ends DateTime('UTC'),
    rows UInt64,
    bytes UInt64,
    reason Enum8('retention' = 1, 'budget' = 2)
) ENGINE = {{engine MergeTree}}
PARTITION BY toYYYYMM(at)
ORDER BY (at, table, partition)
{{keep rollups}}
{{settings}};
