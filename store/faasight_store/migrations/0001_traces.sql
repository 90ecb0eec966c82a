-- Spans: the landing table decodes OTLP, `span_stream` is one row a span, and every other table of traces is fed from there.

-- A row is a ResourceSpans, with a column for each field by its path in the message. One tuple for all would give every expression over a span
-- a type of kilobytes, and rows of whole requests one more level of arrays: to plan an insert took longer with either, however small it was.
CREATE TABLE IF NOT EXISTS otlp_traces (
    `resource.attributes` {{attributes_type}},
    `resource.dropped_attributes_count` UInt32,
    schema_url String,
    `scope_spans.scope.name` Array(String),
    `scope_spans.scope.version` Array(String),
    `scope_spans.scope.attributes` Array(Array(String)),
    `scope_spans.scope.dropped_attributes_count` Array(UInt32),
    `scope_spans.schema_url` Array(String),
    `scope_spans.spans.trace_id` Array(Array(String)),
    `scope_spans.spans.span_id` Array(Array(String)),
    `scope_spans.spans.trace_state` Array(Array(String)),
    `scope_spans.spans.parent_span_id` Array(Array(String)),
    `scope_spans.spans.name` Array(Array(String)),
    `scope_spans.spans.kind` Array(Array(Int32)),
    `scope_spans.spans.start_time_unix_nano` Array(Array(UInt64)),
    `scope_spans.spans.end_time_unix_nano` Array(Array(UInt64)),
    `scope_spans.spans.attributes` Array(Array({{attributes_type}})),
    `scope_spans.spans.dropped_attributes_count` Array(Array(UInt32)),
    `scope_spans.spans.events` Array(Array(Array(Tuple(time_unix_nano UInt64, name String, attributes {{attributes_type}}, dropped_attributes_count UInt32)))),
    `scope_spans.spans.dropped_events_count` Array(Array(UInt32)),
    `scope_spans.spans.links` Array(Array({{links_type}})),
    `scope_spans.spans.dropped_links_count` Array(Array(UInt32)),
    `scope_spans.spans.status.message` Array(Array(String)),
    `scope_spans.spans.status.code` Array(Array(Int32)),
    `scope_spans.spans.flags` Array(Array(UInt32))
) ENGINE = Null;

CREATE TABLE IF NOT EXISTS span_stream (
    valid Bool,  -- its ids have the right lengths
    ts DateTime64(9, 'UTC'),
    start_ns UInt64,
    duration_ns UInt64,
    received_at DateTime64(9, 'UTC'),
    trace_id String,
    span_id String,
    parent_span_id String,
    trace_state String,
    flags UInt32,
    environment LowCardinality(String),
    service LowCardinality(String),
    function LowCardinality(String),
    name LowCardinality(String),
    kind UInt8,
    status UInt8,
    status_message String,
    resource Map(LowCardinality(String), String),
    attributes Map(LowCardinality(String), String),
    types LowCardinality(String),
    origin LowCardinality(String),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    events {{events_type}},
    links {{links_type}},
    dropped_attributes UInt32,
    dropped_events UInt32,
    dropped_links UInt32,
    init_ms Nullable(Float64)
) ENGINE = Null;

-- The INIT span (RESTORE after a snapshot) is a sibling in the same message, so the invocation learns its length here, without a join.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_traces_to_span_stream TO span_stream AS
SELECT
    length(trace_id) = 16 AND length(span_id) = 8 AND length(parent_span_id) IN (0, 8) AS valid,
    {{clamped start_ns}} AS ts,
    start_ns,
    if(end_ns > start_ns, end_ns - start_ns, 0) AS duration_ns,
    now64(9, 'UTC') AS received_at,
    trace_id,
    span_id,
    parent_span_id,
    trace_state,
    flags,
    environment,
    service,
    function,
    name,
    if(any_kind BETWEEN 0 AND 5, any_kind, 0) AS kind,
    if(status_code BETWEEN 0 AND 2, status_code, 0) AS status,
    status_message,
    resource,
    {{text_map span_attributes}} AS attributes,
    {{types_of span_attributes}} AS types,
    origin,
    scope_name,
    scope_version,
    arrayMap(event -> (event.time_unix_nano, event.name, {{text_map event.attributes}}, {{types_of event.attributes}},
                       event.dropped_attributes_count), span_events) AS events,
    span_links AS links,
    dropped_attributes,
    dropped_events,
    dropped_links,
    -- or the start record below it, which may come long before; an INIT that nobody waited for has no parent
    arrayFirst(init -> init.1 != '' AND init.1 IN (span_id, parent_span_id), inits).2 AS init_ms
FROM (
    -- One step a level, each naming what it adds: an alias used twice in one SELECT is planned twice.
    SELECT
        resource,
        if(resource['deployment.environment.name'] = '', 'default', resource['deployment.environment.name']) AS environment,
        if(resource['service.name'] = '', resource['faas.name'], resource['service.name']) AS service,
        if(resource['faas.name'] = '', resource['service.name'], resource['faas.name']) AS function,
        scope_name,
        scope_version,
        {{origin_json concat(resource_origin, {{scope_origin}})}} AS origin,
        arrayMap(init -> (init.2, toNullable((toInt64(init.4) - toInt64(init.3)) / 1e6)),
                 arrayFilter(init -> init.1 IN ('INIT', 'RESTORE'), arrayZip(`scope_spans.spans.name`, `scope_spans.spans.parent_span_id`,
                             `scope_spans.spans.start_time_unix_nano`, `scope_spans.spans.end_time_unix_nano`))) AS inits,
        {{span_fields}}
    FROM (
        SELECT
            {{text_map `resource.attributes`}} AS resource,
            {{resource_origin}} AS resource_origin,
            `scope_spans.scope.name`,
            `scope_spans.scope.version`,
            `scope_spans.scope.attributes`,
            `scope_spans.scope.dropped_attributes_count`,
            `scope_spans.schema_url`,
            {{span_fields}}
        FROM (SELECT *, {{types_of `resource.attributes`}} AS resource_types FROM otlp_traces)
    )
    ARRAY JOIN
        `scope_spans.scope.name` AS scope_name,
        `scope_spans.scope.version` AS scope_version,
        `scope_spans.scope.attributes` AS scope_attributes,
        `scope_spans.scope.dropped_attributes_count` AS scope_dropped_attributes,
        `scope_spans.schema_url` AS scope_schema_url,
        {{span_fields}}
)
ARRAY JOIN
    `scope_spans.spans.trace_id` AS trace_id,
    `scope_spans.spans.span_id` AS span_id,
    `scope_spans.spans.trace_state` AS trace_state,
    `scope_spans.spans.parent_span_id` AS parent_span_id,
    `scope_spans.spans.name` AS name,
    `scope_spans.spans.kind` AS any_kind,
    `scope_spans.spans.start_time_unix_nano` AS start_ns,
    `scope_spans.spans.end_time_unix_nano` AS end_ns,
    `scope_spans.spans.attributes` AS span_attributes,
    `scope_spans.spans.dropped_attributes_count` AS dropped_attributes,
    `scope_spans.spans.events` AS span_events,
    `scope_spans.spans.dropped_events_count` AS dropped_events,
    `scope_spans.spans.links` AS span_links,
    `scope_spans.spans.dropped_links_count` AS dropped_links,
    `scope_spans.spans.status.message` AS status_message,
    `scope_spans.spans.status.code` AS status_code,
    `scope_spans.spans.flags` AS flags;

-- In the order of arrival: parts whose rows do not interleave are merged by moving whole blocks, and others row by row, at five times the cost.
-- A few rows go with those of the same five minutes, or they would not compress (docs/design/store.md).
CREATE TABLE IF NOT EXISTS spans (
    batch DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    start_ns UInt64 CODEC(Delta(8), ZSTD(1)),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    received_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    trace_state String CODEC(ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    environment LowCardinality(String),
    service LowCardinality(String),
    function LowCardinality(String),
    name LowCardinality(String),
    kind UInt8,
    status UInt8,
    status_message String CODEC(ZSTD(1)),
    resource Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    types LowCardinality(String),  -- of the attributes that are no strings: "int http.response.status_code", one a line
    origin LowCardinality(String),  -- what is rarely set of resource and scope, as JSON; '' for nothing (macros/resource_origin.sql)
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    events {{events_type}} CODEC(ZSTD(1)),
    links {{links_type}} CODEC(ZSTD(1)),
    dropped_attributes UInt32 CODEC(T64, ZSTD(1)),
    dropped_events UInt32 CODEC(T64, ZSTD(1)),
    dropped_links UInt32 CODEC(T64, ZSTD(1)),
    INDEX trace_ids trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX times ts TYPE minmax GRANULARITY 1,
    INDEX durations duration_ns TYPE minmax GRANULARITY 1
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (batch, service, name, ts)
{{keep traces}}
{{compact_settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_spans TO spans AS
SELECT * EXCEPT (valid, init_ms), if(blockSize() < 2000, toStartOfFiveMinutes(received_at), received_at) AS batch
FROM span_stream
WHERE valid;

-- A 15-byte trace id is valid protobuf: such rows are kept here, so that they neither fail a segment nor vanish.
CREATE TABLE IF NOT EXISTS quarantine (
    received_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    signal LowCardinality(String),
    reason LowCardinality(String),
    service LowCardinality(String),
    name String,
    trace_id String,
    span_id String,
    row String CODEC(ZSTD(3))
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(received_at)
ORDER BY (signal, received_at)
{{keep traces}}
{{settings}};

CREATE TABLE IF NOT EXISTS invalid_spans (
    received_at DateTime64(9, 'UTC'),
    service LowCardinality(String),
    name LowCardinality(String),
    trace_id String,
    span_id String,
    parent_span_id String,
    start_ns UInt64,
    duration_ns UInt64,
    attributes Map(LowCardinality(String), String)
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_invalid_spans TO invalid_spans AS
SELECT received_at, service, name, trace_id, span_id, parent_span_id, start_ns, duration_ns, attributes FROM span_stream WHERE NOT valid;

CREATE MATERIALIZED VIEW IF NOT EXISTS invalid_spans_to_quarantine TO quarantine AS
SELECT received_at, 'traces' AS signal, 'id of a wrong length' AS reason, service, name, hex(invalid.trace_id) AS trace_id, hex(invalid.span_id) AS span_id,
       toJSONString((start_ns, duration_ns, hex(parent_span_id), attributes)) AS row
FROM invalid_spans AS invalid;

-- One row a trace and five minutes, so that a list of traces and the opening of one read little.
CREATE TABLE IF NOT EXISTS trace_index (
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    first_ns SimpleAggregateFunction(min, UInt64),
    first SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    spans SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    cold_starts SimpleAggregateFunction(sum, UInt64),
    root SimpleAggregateFunction(min, Tuple(UInt8, DateTime64(9, 'UTC'), String, String)),
    services SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    environments SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    INDEX trace_ids trace_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toDate(slot)
ORDER BY (slot, trace_id)
{{keep traces}}
{{settings}};

-- The root is the first span without a parent, else the first one: by one number, for to compare tuples took as long as all the rest.
CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_trace_index TO trace_index AS
WITH toUnixTimestamp64Nano(ts) + if(parent_span_id = '', 0, 4611686018427387904) AS place
SELECT
    toStartOfFiveMinutes(ts) AS slot,
    trace_id,
    min(start_ns) AS first_ns,
    min(ts) AS first,
    max(ts + toIntervalNanosecond(least(duration_ns, 86400000000000))) AS last,
    countIf(attributes['faasight.phase'] != 'start') AS spans,  -- a start record stands for a span that is to come
    countIf(status = 2) AS errors,
    countIf(attributes['faas.coldstart'] = 'true' AND attributes['faasight.phase'] != 'start') AS cold_starts,
    (argMin(parent_span_id != '', place), argMin(ts, place), argMin(toString(service), place), argMin(toString(name), place)) AS root,
    groupUniqArray(toString(function)) AS services,
    groupUniqArray(toString(environment)) AS environments
FROM span_stream
WHERE valid
GROUP BY slot, trace_id;

-- Links in both directions, so that a trace finds what it points to and what points to it.
CREATE TABLE IF NOT EXISTS span_links (
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    linked_trace_id FixedString(16) CODEC(ZSTD(1)),
    forward Bool,
    by_id Bool  -- one of both is no trace but the hash of an id that sender and consumer have of a message
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (trace_id, ts)
{{keep traces}}
{{settings}};

-- Few spans have any: they go through a Null table, whose view is planned only when there are some.
CREATE TABLE IF NOT EXISTS linked_spans (
    ts DateTime64(9, 'UTC'),
    trace_id String,
    links {{links_type}},
    sent String,
    received String
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS span_stream_to_linked_spans TO linked_spans AS
SELECT ts, trace_id, links, attributes['faasight.sent.ids'] AS sent, attributes['faasight.source.ids'] AS received
FROM span_stream
WHERE valid AND (notEmpty(links) OR sent != '' OR received != '');

CREATE MATERIALIZED VIEW IF NOT EXISTS linked_spans_to_span_links TO span_links AS
SELECT DISTINCT
    ts,
    toFixedString(if(forward, own, other), 16) AS trace_id,
    toFixedString(if(forward, other, own), 16) AS linked_trace_id,
    forward,
    by_id
FROM (
    SELECT ts, trace_id AS own, target.1 AS other, target.2 AS by_id, arrayJoin([true, false]) AS forward
    FROM linked_spans
    ARRAY JOIN arrayConcat(
        arrayMap(link -> (link.trace_id, false), links),
        -- By hex, or a hash that ends in a NUL would lose it.
        arrayMap(id -> (unhex(hex(sipHash128(id))), true), arrayConcat(
            JSONExtract(sent, 'Array(String)'),
            JSONExtract(received, 'Array(String)')))) AS target
)
WHERE own != other AND length(other) = 16;
