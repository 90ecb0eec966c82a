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

-- The caller's side: whom its CLIENT or PRODUCER span reached. The callee's side: its source, and behind a gateway the function named in the
-- propagated context. One view for both, each attribute named once: to plan two took twice as long, at every insert.
CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_edges TO edges AS
SELECT
    minute,
    environment,
    edge.1 AS side,
    edge.2 AS source_kind,
    edge.3 AS source_name,
    edge.4 AS target_kind,
    edge.5 AS target_name,
    {{bucket took_ms}} AS bucket,
    {{bucket wait_ms}} AS wait_bucket,
    count() AS calls,
    countIf(failed) AS errors,
    countIf(throttled) AS throttles,
    sum(again) AS retries
FROM (
    SELECT
        minute,
        environment,
        took_ms,
        toFloat64OrNull(if(called, queue_wait, '')) AS wait_ms,
        status = 2 OR (called AND outcome NOT IN ('', 'ok')) AS failed,
        NOT called AND is_throttled = 'true' AS throttled,
        if(called, toUInt64(toUInt64OrZero(attempt) > 1), toUInt64OrZero(resends)) AS again,
        arrayJoin(if(called,
            [('callee', source_kind, multiIf(source_name != '', source_name, source_kind = 'function', caller, source_kind), 'function', function),
             if(source_kind IN ('api', 'url') AND source_name != '', ('callee', 'function', caller, source_kind, source_name), ('', '', '', '', ''))],
            -- A call that names its source is that source's own: a state machine's.
            arrayMap(peer -> ('caller', if(source_kind = '', 'function', source_kind), if(source_kind = '', function, source_name), peer.1, peer.2), multiIf(
                peer_service != '', [('external', peer_service)],
                invoked_name != '', [('function', {{function_name invoked_name}})],
                -- One transaction may reach several tables.
                startsWith(tables, '['), arrayMap(name -> ('table', name), arrayDistinct(JSONExtract(tables, 'Array(String)'))),
                tables != '', [('table', tables)],
                destination != '', [(multiIf(
                    match(what, 'sns|pubsub|kafka'), 'topic', match(what, 'kinesis|eventhub|firehose'), 'stream', match(what, 'event'), 'bus', 'queue'), destination)],
                bucket_name != '', [('bucket', bucket_name)],
                state_machine != '', [('workflow', splitByChar(':', state_machine)[-1])],
                collection != '', [('table', collection)],
                db_namespace != '', [('table', db_namespace)],
                rpc_service != '', [('external', rpc_service)],
                address != '', [('external', if(port IN ('', '80', '443'), address, concat(address, ':', port)))],
                db_system != '', [('external', db_system)],
                [('external', domain(url))])))) AS edge
    FROM (
        SELECT
            toStartOfMinute(ts) AS minute,
            environment,
            toString(span_stream.function) AS function,
            status,
            duration_ns / 1e6 AS took_ms,
            kind IN (2, 5) AS called,
            attributes['faasight.source.kind'] AS source_kind,
            attributes['faasight.source.name'] AS source_name,
            attributes['faasight.caller'] AS caller,
            attributes['faasight.queue_wait_ms'] AS queue_wait,
            attributes['faasight.outcome'] AS outcome,
            attributes['faasight.attempt'] AS attempt,
            attributes['faasight.throttled'] AS is_throttled,
            attributes['http.request.resend_count'] AS resends,
            attributes['peer.service'] AS peer_service,
            attributes['faas.invoked_name'] AS invoked_name,
            attributes['aws.dynamodb.table_names'] AS tables,
            attributes['messaging.destination.name'] AS destination,
            attributes['aws.s3.bucket'] AS bucket_name,
            attributes['aws.step_functions.state_machine.arn'] AS state_machine,
            attributes['db.collection.name'] AS collection,
            attributes['db.namespace'] AS db_namespace,
            attributes['rpc.service'] AS rpc_service,
            lower(concat(rpc_service, ' ', attributes['messaging.system'])) AS what,
            attributes['server.address'] AS address,
            attributes['server.port'] AS port,
            attributes['db.system.name'] AS db_system,
            attributes['url.full'] AS url
        FROM span_stream
        WHERE valid AND (kind IN (3, 4) OR (kind IN (2, 5) AND attributes['faasight.source.kind'] != '' AND attributes['faas.invocation_id'] != ''))
    )
)
WHERE edge.3 != '' AND (edge.5 != '' OR edge.1 = 'callee')
GROUP BY minute, environment, side, source_kind, source_name, target_kind, target_name, bucket, wait_bucket;

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
