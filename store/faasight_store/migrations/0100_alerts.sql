-- Alerts as events: what is so now is the newest change of each instance. A change and its message are one row.

CREATE TABLE IF NOT EXISTS alert_changes (
    id String,
    epoch UInt64,
    seq UInt32,
    recorded_at DateTime64(3, 'UTC'),
    slot DateTime64(3, 'UTC'),
    instance String,
    rule_id LowCardinality(String),
    rule LowCardinality(String),
    severity LowCardinality(String),
    labels Map(LowCardinality(String), String),
    state LowCardinality(String),
    since DateTime64(3, 'UTC'),
    value Float64,
    value_text String,
    condition String,
    summary String,
    reason String,
    link String,
    channels Array(LowCardinality(String)),
    memory String
) ENGINE = {{engine MergeTree}}
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (recorded_at, seq, instance)
{{keep alerts}}
{{settings}};

CREATE TABLE IF NOT EXISTS alert_deliveries (
    change_id String,
    channel LowCardinality(String),
    at DateTime64(3, 'UTC'),
    status LowCardinality(String),
    detail String
) ENGINE = {{engine MergeTree}}
PARTITION BY toYYYYMM(at)
ORDER BY (channel, change_id, at)
{{keep alerts}}
{{settings}};

-- The highest epoch holds. An evaluator renews its lease, with its checkpoint, at every tick.
CREATE TABLE IF NOT EXISTS alert_leases (
    epoch UInt64,
    holder String,
    at DateTime64(3, 'UTC'),
    expires_at DateTime64(3, 'UTC'),
    checkpoint String
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(at)
ORDER BY (epoch, holder, at)
TTL toDateTime(at) + INTERVAL 7 DAY
{{settings}};
