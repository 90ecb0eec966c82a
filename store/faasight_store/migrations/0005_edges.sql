-- Who called whom, without a join: the caller's span names the callee, and the invocation's span names its source.

-- `side` says who told: an edge that both saw is shown as the caller saw it (it knows of throttles), with the callee's queue wait.
-- A bucket is a duration's floor(log(ms) / log(1.04)); -32768 stands for "none".
CREATE TABLE IF NOT EXISTS edges (
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    {{edge_columns}}
) ENGINE = {{engine SummingMergeTree}}
PARTITION BY toDate(minute)
ORDER BY (minute, environment, side, source_kind, source_name, target_kind, target_name, bucket, wait_bucket)
{{keep invocations}}
{{settings}};

-- The caller's side: whom its CLIENT or PRODUCER span reached. The callee's side: its source, and behind a gateway the function named in the
-- propagated context. One view for both, each attribute named once: to plan two took twice as long, at every insert. Kinds and names are
-- columns of their own; arrays hold only what makes several edges of a span.
CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_edges TO edges AS
SELECT
    minute,
    environment,
    if(called, 'callee', 'caller') AS side,
    -- A call that names its source is that source's own: a state machine's.
    if(own_kind = '' OR (called AND edge = 'gateway'), 'function', own_kind) AS source_kind,
    multiIf(NOT called, if(own_kind = '', function, own_name), edge = 'gateway', caller, own_name != '', own_name, own_kind = 'function', caller, own_kind) AS source_name,
    multiIf(NOT called, peer_kind, edge = 'gateway', own_kind, 'function') AS target_kind,
    multiIf(NOT called, edge, edge = 'gateway', own_name, function) AS target_name,
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
        function,
        called,
        own_kind,
        own_name,
        caller,
        took_ms,
        toFloat64OrNull(if(called, queue_wait, '')) AS wait_ms,
        status = 2 OR (called AND outcome NOT IN ('', 'ok')) AS failed,
        NOT called AND is_throttled = 'true' AS throttled,
        if(called, toUInt64(toUInt64OrZero(attempt) > 1), toUInt64OrZero(resends)) AS again,
        multiIf(
            peer_service != '', 'external',
            invoked_name != '', 'function',
            tables != '', 'table',
            destination != '', multiIf(
                match(what, 'sns|pubsub|kafka'), 'topic', match(what, 'kinesis|eventhub|firehose'), 'stream', match(what, 'event'), 'bus', 'queue'),
            bucket_name != '', 'bucket',
            state_machine != '', 'workflow',
            collection != '' OR db_namespace != '', 'table',
            'external') AS peer_kind,
        multiIf(
            peer_service != '', peer_service,
            invoked_name != '', {{function_name invoked_name}},
            tables != '', tables,
            destination != '', destination,
            bucket_name != '', bucket_name,
            state_machine != '', splitByChar(':', state_machine)[-1],
            collection != '', collection,
            db_namespace != '', db_namespace,
            rpc_service != '', rpc_service,
            address != '', if(port IN ('', '80', '443'), address, concat(address, ':', port)),
            db_system != '', db_system,
            domain(url)) AS peer_name,
        arrayJoin(multiIf(
            called, if(own_kind IN ('api', 'url') AND own_name != '', ['source', 'gateway'], ['source']),
            -- One transaction may reach several tables.
            peer_service = '' AND invoked_name = '' AND startsWith(tables, '['), arrayDistinct(JSONExtract(tables, 'Array(String)')),
            [peer_name])) AS edge
    FROM (
        SELECT
            toStartOfMinute(ts) AS minute,
            environment,
            toString(span_stream.function) AS function,
            status,
            duration_ns / 1e6 AS took_ms,
            kind IN (2, 5) AS called,
            attributes['faasight.source.kind'] AS own_kind,
            attributes['faasight.source.name'] AS own_name,
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
WHERE source_name != '' AND (target_name != '' OR (called AND edge = 'source'))
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
