-- Log lines: of OTLP, and of the JSON that functions write to stdout.

-- A row is a ResourceLogs.
CREATE TABLE IF NOT EXISTS otlp_logs (
    `resource.attributes` {{attributes_type}},
    `resource.dropped_attributes_count` UInt32,
    schema_url String,
    `scope_logs.scope.name` Array(String),
    `scope_logs.scope.version` Array(String),
    `scope_logs.scope.attributes` Array(Array(String)),
    `scope_logs.scope.dropped_attributes_count` Array(UInt32),
    `scope_logs.schema_url` Array(String),
    `scope_logs.log_records.time_unix_nano` Array(Array(UInt64)),
    `scope_logs.log_records.severity_number` Array(Array(Int32)),
    `scope_logs.log_records.severity_text` Array(Array(String)),
    `scope_logs.log_records.body` Array(Array({{any_type}})),
    `scope_logs.log_records.attributes` Array(Array({{attributes_type}})),
    `scope_logs.log_records.dropped_attributes_count` Array(Array(UInt32)),
    `scope_logs.log_records.flags` Array(Array(UInt32)),
    `scope_logs.log_records.trace_id` Array(Array(String)),
    `scope_logs.log_records.span_id` Array(Array(String)),
    `scope_logs.log_records.observed_time_unix_nano` Array(Array(UInt64)),
    `scope_logs.log_records.event_name` Array(Array(String))
) ENGINE = Null;

-- One line of a log, or one event of the platform (docs/design/wire.md, "Journal signals and landing tables").
CREATE TABLE IF NOT EXISTS records (
    kind LowCardinality(String),
    ts Int64,
    function String,
    version String,
    account String,
    region String,
    environment String,
    instance String,
    request_id String,
    trace_id String,
    span_id String,
    severity UInt8,
    level String,
    message String,
    attributes Map(String, String),
    status String,
    error_type String,
    duration_ms Nullable(Float64),
    billed_ms Nullable(Float64),
    memory_mb Nullable(Float64),
    memory_used_mb Nullable(Float64),
    init_ms Nullable(Float64),
    init_type String
) ENGINE = Null;

-- `seq` is the order of arrival in ns; rows of one block may share it, which the live tail allows for.
CREATE TABLE IF NOT EXISTS logs (
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    event_ns UInt64 CODEC(Delta(8), ZSTD(1)),
    seq UInt64 CODEC(Delta(8), ZSTD(1)),
    environment LowCardinality(String),
    function LowCardinality(String),
    version LowCardinality(String),
    instance String CODEC(ZSTD(1)),
    severity UInt8,
    level LowCardinality(String),
    message String CODEC(ZSTD(1)),
    logger LowCardinality(String),
    request_id String CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    types LowCardinality(String),  -- of the attributes that are no strings: "int order.items", one a line
    body_type {{value_kind}},  -- of `message`, in OTLP's terms
    origin LowCardinality(String),  -- resource and scope as JSON (macros/resource_origin.sql); '' for JSON logs
    pattern UInt64 MATERIALIZED cityHash64({{log_pattern message}}) CODEC(ZSTD(1)),
    severity_text LowCardinality(String),
    event_name LowCardinality(String),
    observed_ns UInt64 CODEC(Delta(8), ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    dropped_attributes UInt32 CODEC(T64, ZSTD(1)),
    INDEX trace_ids trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX request_ids request_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX arrivals seq TYPE minmax GRANULARITY 1
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (toStartOfFiveMinutes(ts), function, ts)
{{keep logs}}
{{compact_settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_logs_to_logs TO logs AS
SELECT
    event_ns,
    {{clamped event_ns}} AS ts,
    toUnixTimestamp64Nano(now64(9)) + rowNumberInBlock() AS seq,
    environment,
    function,
    version,
    instance,
    severity,
    if(severity = 0 AND upper(any_severity_text) IN ('DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'), upper(any_severity_text),
       {{severity_level severity}}) AS level,
    message,
    logger,
    request_id,
    toFixedString(if(length(any_trace_id) = 16, any_trace_id, ''), 16) AS trace_id,
    toFixedString(if(length(any_span_id) = 8, any_span_id, ''), 8) AS span_id,
    -- What stands in a column of its own is not kept twice.
    if(mapContains(every, 'logger') OR mapContains(every, 'faas.invocation_id') OR mapContains(every, 'request_id'),
       mapFilter((k, v) -> v = '' OR v != multiIf(k = 'logger', if(logger = scope_name, '', logger),
                                                  k IN ('faas.invocation_id', 'request_id'), request_id, ''), every),
       every) AS attributes,
    types,
    body_type,
    origin,
    any_severity_text AS severity_text,
    event_name,
    observed_ns,
    flags,
    dropped_attributes
FROM (
    SELECT
        environment,
        function,
        version,
        instance,
        scope_name,
        origin,
        if(time_ns > 0, time_ns, observed_ns) AS event_ns,
        if(severity_number BETWEEN 0 AND 24, severity_number, 0) AS severity,
        {{any_text}} AS message,
        kind AS body_type,
        every,
        {{types_of log_attributes}} AS types,
        if(every['logger'] = '', scope_name, every['logger']) AS logger,
        if(every['faas.invocation_id'] = '', every['request_id'], every['faas.invocation_id']) AS request_id,
        any_severity_text,
        any_trace_id,
        any_span_id,
        event_name,
        observed_ns,
        flags,
        dropped_attributes
    FROM (
        SELECT environment, function, version, instance, scope_name, origin, {{text_map log_attributes}} AS every, log_attributes, time_ns, observed_ns,
               severity_number, any_severity_text, body.value AS kind, body.string_value AS text, body.int_value AS int, body.bool_value AS truth, body.double_value AS double,
               body.bytes_value AS bytes, body.array_value.values AS items, body.kvlist_value.values AS pairs, event_name, flags, any_trace_id, any_span_id, dropped_attributes
        FROM (
            SELECT
                resource,
                if(resource['deployment.environment.name'] = '', 'default', resource['deployment.environment.name']) AS environment,
                if(resource['faas.name'] = '', resource['service.name'], resource['faas.name']) AS function,
                resource['faas.version'] AS version,
                resource['faas.instance'] AS instance,
                scope_name,
                {{origin_json concat(
                    if(empty(resource), '', concat(',"resource":', toJSONString(resource))),
                    resource_origin,
                    if(scope_name = '', '', concat(',"scope_name":', toJSONString(scope_name))),
                    if(scope_version = '', '', concat(',"scope_version":', toJSONString(scope_version))),
                    {{scope_origin}})}} AS origin,
                {{log_fields}}
            FROM (
                SELECT
                    {{text_map `resource.attributes`}} AS resource,
                    {{resource_origin}} AS resource_origin,
                    `scope_logs.scope.name`,
                    `scope_logs.scope.version`,
                    `scope_logs.scope.attributes`,
                    `scope_logs.scope.dropped_attributes_count`,
                    `scope_logs.schema_url`,
                    {{log_fields}}
                FROM (SELECT *, {{types_of `resource.attributes`}} AS resource_types FROM otlp_logs)
            )
            ARRAY JOIN
                `scope_logs.scope.name` AS scope_name,
                `scope_logs.scope.version` AS scope_version,
                `scope_logs.scope.attributes` AS scope_attributes,
                `scope_logs.scope.dropped_attributes_count` AS scope_dropped_attributes,
                `scope_logs.schema_url` AS scope_schema_url,
                {{log_fields}}
        )
        ARRAY JOIN
            `scope_logs.log_records.time_unix_nano` AS time_ns,
            `scope_logs.log_records.severity_number` AS severity_number,
            `scope_logs.log_records.severity_text` AS any_severity_text,
            `scope_logs.log_records.body` AS body,
            `scope_logs.log_records.attributes` AS log_attributes,
            `scope_logs.log_records.dropped_attributes_count` AS dropped_attributes,
            `scope_logs.log_records.flags` AS flags,
            `scope_logs.log_records.trace_id` AS any_trace_id,
            `scope_logs.log_records.span_id` AS any_span_id,
            `scope_logs.log_records.observed_time_unix_nano` AS observed_ns,
            `scope_logs.log_records.event_name` AS event_name
    )
);

CREATE MATERIALIZED VIEW IF NOT EXISTS records_to_logs TO logs AS
SELECT
    {{clamped records.ts}} AS ts,
    if(records.ts > 0, records.ts, 0) AS event_ns,
    toUnixTimestamp64Nano(now64(9)) + rowNumberInBlock() AS seq,
    if(records.environment = '', 'default', records.environment) AS environment,
    function,
    version,
    instance,
    records.severity AS severity,
    if(upper(records.level) IN ('DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'), upper(records.level), {{severity_level records.severity}}) AS level,
    message,
    records.attributes['logger'] AS logger,
    request_id,
    toFixedString(if(match(records.trace_id, '^[0-9a-fA-F]{32}$'), unhex(records.trace_id), ''), 16) AS trace_id,
    toFixedString(if(match(records.span_id, '^[0-9a-fA-F]{16}$'), unhex(records.span_id), ''), 8) AS span_id,
    CAST(mapUpdate(mapFilter((k, v) -> k != 'logger', records.attributes),
                   if(records.error_type = '', map(), map('error_type', records.error_type))), 'Map(LowCardinality(String), String)') AS attributes
FROM records
WHERE kind = 'log';
