-- Which attributes spans and log lines have, for autocomplete: nothing of it is read from the big tables.

-- `some` are a few values of each key; so they stay no longer than what they are values of, but for the rest of its month.
CREATE TABLE IF NOT EXISTS attribute_keys (
    day Date,
    signal Enum8('spans' = 1, 'logs' = 2),
    key String,
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    some SimpleAggregateFunction(groupUniqArrayArray(20), Array(String)) CODEC(ZSTD(1))
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(day)
ORDER BY (day, signal, key)
{{keep traces}}
{{settings}};

-- Rows with the same keys are counted as one before their keys are taken apart: there are few such sets, and none is missed.
CREATE MATERIALIZED VIEW IF NOT EXISTS spans_to_attribute_keys TO attribute_keys AS
SELECT day, 'spans' AS signal, key, sum(rows) AS count, groupUniqArray(20)(substringUTF8(value, 1, 100)) AS some
FROM (SELECT toDate(ts) AS day, count() AS rows, any(attributes) AS sample FROM spans GROUP BY day, cityHash64(mapKeys(attributes)))
ARRAY JOIN mapKeys(sample) AS key, mapValues(sample) AS value
GROUP BY day, key;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs_to_attribute_keys TO attribute_keys AS
SELECT day, 'logs' AS signal, key, sum(rows) AS count, groupUniqArray(20)(substringUTF8(value, 1, 100)) AS some
FROM (SELECT toDate(ts) AS day, count() AS rows, any(attributes) AS sample FROM logs GROUP BY day, cityHash64(mapKeys(attributes)))
ARRAY JOIN mapKeys(sample) AS key, mapValues(sample) AS value
GROUP BY day, key;
