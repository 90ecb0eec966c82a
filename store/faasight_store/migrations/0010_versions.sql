-- Which versions of a function ran in each hour: deployments are read from it.

CREATE TABLE IF NOT EXISTS version_hours (
    hour DateTime('UTC'),
    environment LowCardinality(String),
    function LowCardinality(String),
    version LowCardinality(String),
    first SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(hour)
ORDER BY (hour, function, environment, version)
{{keep rollups}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS facts_to_version_hours TO version_hours AS
SELECT toStartOfHour(ts) AS hour, environment, function, version, min(ts) AS first, max(ts) AS last
FROM invocation_facts
WHERE version != ''
GROUP BY hour, environment, function, version;
