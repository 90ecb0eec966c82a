-- Which attributes spans and log lines have, for autocomplete: nothing of it is read from the big tables.

-- `some` are a few values of each key.
CREATE TABLE IF NOT EXISTS attribute_keys (
    day Date,
    signal Enum8('spans' = 1, 'logs' = 2),
    key String,
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    some SimpleAggregateFunction(groupUniqArrayArray(20), Array(String)) CODEC(ZSTD(1))
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(day)
ORDER BY (day, signal, key)
{{keep rollups}}
{{settings}};

-- Rows with the same keys are counted as one before their keys are taken apart: there are few such sets, and none is missed.
CREATE MATERIALIZED VIEW IF NOT EXISTS spans_to_attribute_keys TO attribute_keys AS
SELECT day, 'spans' AS signal, told.1 AS key, sumIf(rows, told.3) AS count, groupUniqArrayArray(20)([substringUTF8(told.2, 1, 100)]) AS some
FROM (
    SELECT toDate(ts) AS day, count() AS rows, [any(attributes), anyLast(attributes)] AS samples
    FROM spans GROUP BY day, cityHash64(mapKeys(attributes))
) ARRAY JOIN arrayConcat(arrayMap(pair -> (pair.1, pair.2, true), CAST(samples[1], 'Array(Tuple(String, String))')),
                         arrayMap(pair -> (pair.1, pair.2, false), CAST(samples[2], 'Array(Tuple(String, String))'))) AS told
GROUP BY day, key;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs_to_attribute_keys TO attribute_keys AS
SELECT day, 'logs' AS signal, told.1 AS key, sumIf(rows, told.3) AS count, groupUniqArrayArray(20)([substringUTF8(told.2, 1, 100)]) AS some
FROM (
    SELECT toDate(ts) AS day, count() AS rows, [any(attributes), anyLast(attributes)] AS samples
    FROM logs GROUP BY day, cityHash64(mapKeys(attributes))
) ARRAY JOIN arrayConcat(arrayMap(pair -> (pair.1, pair.2, true), CAST(samples[1], 'Array(Tuple(String, String))')),
                         arrayMap(pair -> (pair.1, pair.2, false), CAST(samples[2], 'Array(Tuple(String, String))'))) AS told
GROUP BY day, key;
