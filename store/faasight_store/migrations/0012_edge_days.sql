-- Days of edges that are over, added up of their hours, for maps of weeks (0005_edges.sql has the minutes and hours).

-- `hour` is the day's first, `version` the settling: only the newest of a day counts (settled_edge_days).
CREATE TABLE IF NOT EXISTS edge_days (
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    {{edge_columns}}
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, environment, side, source_kind, source_name, target_kind, target_name, bucket, wait_bucket)
{{keep rollups}}
{{settings}};

-- Written after the rows of a day. It holds while its hours have as many calls as it was made of: calls only ever come.
CREATE TABLE IF NOT EXISTS settled_edge_days (
    hour DateTime('UTC'),
    version UInt64,
    made_of UInt64
) ENGINE = {{engine MergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, version)
{{keep rollups}}
{{settings}};
