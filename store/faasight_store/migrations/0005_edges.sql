-- Who called whom, without a join: the caller's span names the callee, and the invocation's span names its source.

-- `side` says who told: an edge that both saw is shown as the caller saw it (it knows of throttles), with the callee's queue wait.
-- A bucket is a duration's floor(log(ms) / log(1.04)); -32768 stands for "none".
CREATE TABLE IF NOT EXISTS edges (
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment LowCardinality(String),
    side Enum8('caller' = 1, 'callee' = 2),
    source_kind LowCardinality(String),
    source_name LowCardinality(String),
    target_kind LowCardinality(String),
    target_name LowCardinality(String),
    bucket Int16,
    wait_bucket Int16,
    calls UInt64,
    errors UInt64,
    throttles UInt64,
    retries UInt64
) ENGINE = {{engine SummingMergeTree}}
PARTITION BY toDate(minute)
ORDER BY (minute, environment, side, source_kind, source_name, target_kind, target_name, bucket, wait_bucket)
{{keep invocations}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_caller_edges TO edges AS
SELECT
    toStartOfMinute(ts) AS minute,
    environment,
    'caller' AS side,
    'function' AS source_kind,
    function AS source_name,
    peer.1 AS target_kind,
    peer.2 AS target_name,
    {{bucket duration_ns / 1e6}} AS bucket,
    -32768 AS wait_bucket,
    count() AS calls,
    countIf(status = 2) AS errors,
    countIf(attributes['faasight.throttled'] = 'true') AS throttles,
    sum(toUInt64OrZero(attributes['http.request.resend_count'])) AS retries
FROM (
    SELECT *,
        lower(concat(attributes['rpc.service'], ' ', attributes['messaging.system'])) AS what,
        attributes['messaging.destination.name'] AS destination,
        attributes['aws.dynamodb.table_names'] AS tables,
        attributes['peer.service'] = '' AND attributes['faas.invoked_name'] = '' AND tables != '' AS to_tables,
        multiIf(
            attributes['peer.service'] != '', ('external', attributes['peer.service']),
            attributes['faas.invoked_name'] != '', ('function', {{function_name attributes['faas.invoked_name']}}),
            destination != '', (multiIf(
                match(what, 'sns|pubsub|kafka'), 'topic', match(what, 'kinesis|eventhub|firehose'), 'stream', match(what, 'event'), 'bus', 'queue'), destination),
            attributes['aws.s3.bucket'] != '', ('bucket', attributes['aws.s3.bucket']),
            attributes['aws.step_functions.state_machine.arn'] != '',
                ('workflow', splitByChar(':', attributes['aws.step_functions.state_machine.arn'])[-1]),
            attributes['db.collection.name'] != '', ('table', attributes['db.collection.name']),
            attributes['db.namespace'] != '', ('table', attributes['db.namespace']),
            attributes['rpc.service'] != '', ('external', attributes['rpc.service']),
            attributes['server.address'] != '', ('external', if(attributes['server.port'] IN ('', '80', '443'), attributes['server.address'],
                concat(attributes['server.address'], ':', attributes['server.port']))),
            attributes['db.system.name'] != '', ('external', attributes['db.system.name']),
            ('external', domain(attributes['url.full']))) AS other,
        -- One transaction may reach several tables.
        arrayJoin(if(to_tables,
            arrayMap(name -> ('table', name),
                     if(startsWith(tables, '['), arrayDistinct(JSONExtract(tables, 'Array(String)')), [tables])),
            [other])) AS peer
    FROM span_stream
    WHERE kind IN (3, 4) AND valid
)
WHERE peer.2 != '' AND function != ''
GROUP BY minute, environment, source_name, target_kind, target_name, bucket;

-- The callee's side: its source, and behind a gateway the function named in the propagated context.
CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_callee_edges TO edges AS
SELECT
    toStartOfMinute(ts) AS minute,
    environment,
    'callee' AS side,
    edge.1 AS source_kind,
    edge.2 AS source_name,
    edge.3 AS target_kind,
    edge.4 AS target_name,
    {{bucket duration_ns / 1e6}} AS bucket,
    {{bucket toFloat64OrNull(attributes['faasight.queue_wait_ms'])}} AS wait_bucket,
    count() AS calls,
    countIf(status = 2 OR attributes['faasight.outcome'] NOT IN ('', 'ok')) AS errors,
    0 AS throttles,
    countIf(toUInt64OrZero(attributes['faasight.attempt']) > 1) AS retries
FROM (
    SELECT *,
        attributes['faasight.source.kind'] AS kind_of_source,
        attributes['faasight.source.name'] AS name_of_source,
        attributes['faasight.caller'] AS caller,
        arrayJoin(arrayFilter(e -> e.2 != '', [
            (kind_of_source, multiIf(name_of_source != '', name_of_source, kind_of_source = 'function', caller, kind_of_source), 'function', toString(function)),
            if(kind_of_source IN ('api', 'url') AND name_of_source != '', ('function', caller, kind_of_source, name_of_source), ('', '', '', ''))])) AS edge
    FROM span_stream
    WHERE kind IN (2, 5) AND attributes['faasight.source.kind'] != '' AND attributes['faas.invocation_id'] != '' AND valid
)
GROUP BY minute, environment, source_kind, source_name, target_kind, target_name, bucket, wait_bucket;

-- The same by the hour, for long ranges.
CREATE TABLE IF NOT EXISTS edge_hours AS edges
ENGINE = {{engine SummingMergeTree}}
PARTITION BY toStartOfMonth(minute)
ORDER BY (minute, environment, side, source_kind, source_name, target_kind, target_name, bucket, wait_bucket)
{{keep rollups}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS edges_to_edge_hours TO edge_hours AS
SELECT toStartOfHour(edge.minute) AS minute, environment, side, source_kind, source_name, target_kind, target_name, bucket, wait_bucket,
       sum(edge.calls) AS calls, sum(edge.errors) AS errors, sum(edge.throttles) AS throttles, sum(edge.retries) AS retries
FROM edges AS edge
GROUP BY minute, environment, side, source_kind, source_name, target_kind, target_name, bucket, wait_bucket;
