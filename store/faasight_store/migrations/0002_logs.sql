-- Log lines: of OTLP, and of the JSON that functions write to stdout.

CREATE TABLE IF NOT EXISTS otlp_logs (
    resource_logs Array(Tuple(
        resource {{resource_type}},
        schema_url String,
        scope_logs Array(Tuple(
            scope {{scope_type}},
            schema_url String,
            log_records Array(Tuple(
                time_unix_nano UInt64,
                severity_number Int32,
                severity_text String,
                body {{any_type}},
                attributes {{attributes_type}},
                dropped_attributes_count UInt32,
                flags UInt32,
                trace_id String,
                span_id String,
                observed_time_unix_nano UInt64,
                event_name String))))))
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
{{map_settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_logs_to_logs TO logs AS
WITH {{text_map record.attributes}} AS every
SELECT
    if(record.time_unix_nano > 0, record.time_unix_nano, record.observed_time_unix_nano) AS event_ns,
    {{clamped event_ns}} AS ts,
    toUnixTimestamp64Nano(now64(9)) + rowNumberInBlock() AS seq,
    if(resource['deployment.environment.name'] = '', 'default', resource['deployment.environment.name']) AS environment,
    if(resource['faas.name'] = '', resource['service.name'], resource['faas.name']) AS function,
    resource['faas.version'] AS version,
    resource['faas.instance'] AS instance,
    if(record.severity_number BETWEEN 0 AND 24, record.severity_number, 0) AS severity,
    if(severity = 0 AND upper(record.severity_text) IN ('DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'), upper(record.severity_text),
       {{severity_level severity}}) AS level,
    {{any_text record.body}} AS message,
    if(every['logger'] = '', scope_name, every['logger']) AS logger,
    if(every['faas.invocation_id'] = '', every['request_id'], every['faas.invocation_id']) AS request_id,
    toFixedString(if(length(record.trace_id) = 16, record.trace_id, ''), 16) AS trace_id,
    toFixedString(if(length(record.span_id) = 8, record.span_id, ''), 8) AS span_id,
    -- What stands in a column of its own is not kept twice.
    mapFilter((k, v) -> v = '' OR v != multiIf(k = 'logger', if(logger = scope_name, '', logger),
                                               k IN ('faas.invocation_id', 'request_id'), request_id, ''), every) AS attributes,
    {{types_of record.attributes}} AS types,
    record.body.value AS body_type,
    origin,
    record.severity_text AS severity_text,
    record.event_name AS event_name,
    record.observed_time_unix_nano AS observed_ns,
    record.flags AS flags,
    record.dropped_attributes_count AS dropped_attributes
FROM (
    SELECT
        resource,
        scope.scope.name AS scope_name,
        concat(if(empty(resource), '', concat(',"resource":', toJSONString(resource))), resource_origin,
               if(scope_name = '', '', concat(',"scope_name":', toJSONString(scope_name))),
               if(scope.scope.version = '', '', concat(',"scope_version":', toJSONString(scope.scope.version))),
               {{scope_origin scope}}) AS more,
        {{origin_json more}} AS origin,
        scope.log_records AS log_records
    FROM (
        SELECT {{text_map resource_log.resource.attributes}} AS resource, {{resource_origin resource_log}} AS resource_origin,
               arrayJoin(resource_log.scope_logs) AS scope
        FROM (SELECT arrayJoin(resource_logs) AS resource_log FROM otlp_logs)
    )
)
ARRAY JOIN log_records AS record;

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
