-- Metric points of every OTLP kind in one table, their labels in a daily table of series, and rollups by minute and hour.

-- A row is a ResourceMetrics.
CREATE TABLE IF NOT EXISTS otlp_metrics (
    `resource.attributes` {{attributes_type}},
    `resource.dropped_attributes_count` UInt32,
    schema_url String,
    `scope_metrics.scope.name` Array(String),
    `scope_metrics.scope.version` Array(String),
    `scope_metrics.scope.attributes` Array(Array(String)),
    `scope_metrics.scope.dropped_attributes_count` Array(UInt32),
    `scope_metrics.schema_url` Array(String),
    `scope_metrics.metrics.name` Array(Array(String)),
    `scope_metrics.metrics.description` Array(Array(String)),
    `scope_metrics.metrics.unit` Array(Array(String)),
    `scope_metrics.metrics.gauge.data_points` Array(Array(Array({{number_point_type}}))),
    `scope_metrics.metrics.sum.data_points` Array(Array(Array({{number_point_type}}))),
    `scope_metrics.metrics.sum.aggregation_temporality` Array(Array(Int32)),
    `scope_metrics.metrics.sum.is_monotonic` Array(Array(Bool)),
    `scope_metrics.metrics.histogram.data_points` Array(Array({{histogram_point_type}})),
    `scope_metrics.metrics.histogram.aggregation_temporality` Array(Array(Int32)),
    `scope_metrics.metrics.exponential_histogram.data_points` Array(Array({{exponential_point_type}})),
    `scope_metrics.metrics.exponential_histogram.aggregation_temporality` Array(Array(Int32)),
    `scope_metrics.metrics.summary.data_points` Array(Array({{summary_point_type}}))
) ENGINE = Null;

-- One row a metric, with its resource. `source` stands for all that its series share, so that this is told once and not with each point.
CREATE TABLE IF NOT EXISTS metric_stream (
    environment LowCardinality(String),
    function LowCardinality(String),
    resource Map(LowCardinality(String), String),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    origin LowCardinality(String),
    metric LowCardinality(String),
    description String,
    unit LowCardinality(String),
    kind {{metric_kind}},
    temporality UInt8,
    monotonic Bool,
    source UInt64,
    numbers Array({{number_point_type}}),
    histogram {{histogram_point_type}},
    exponential_histogram {{exponential_point_type}},
    summary {{summary_point_type}}
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metric_stream TO metric_stream AS
SELECT
    environment,
    function,
    resource,
    scope_name,
    scope_version,
    origin,
    metric,
    description,
    unit,
    multiIf(notEmpty(gauge), 'gauge', notEmpty(sum), 'sum', notEmpty(histogram), 'histogram', notEmpty(exponential_histogram), 'exponential_histogram',
            'summary') AS kind,
    multiIf(kind = 'sum', sum_temporality, kind = 'histogram', histogram_temporality, kind = 'exponential_histogram', exponential_temporality, 0) AS temporality,
    kind = 'sum' AND sum_monotonic AS monotonic,
    cityHash64(metric, unit, kind, temporality, monotonic, owner) AS source,
    arrayConcat(gauge, sum) AS numbers,
    histogram,
    exponential_histogram,
    summary
FROM (
    SELECT * , cityHash64(mapSort(resource), scope_name, scope_version, origin) AS owner
    FROM (
        SELECT
            resource,
            if(resource['deployment.environment.name'] = '', 'default', resource['deployment.environment.name']) AS environment,
            if(resource['faas.name'] = '', resource['service.name'], resource['faas.name']) AS function,
            scope_name,
            scope_version,
            {{origin_json concat(resource_origin, {{scope_origin}})}} AS origin,
            {{metric_fields}}
        FROM (
            SELECT
                {{text_map `resource.attributes`}} AS resource,
                {{resource_origin}} AS resource_origin,
                `scope_metrics.scope.name`,
                `scope_metrics.scope.version`,
                `scope_metrics.scope.attributes`,
                `scope_metrics.scope.dropped_attributes_count`,
                `scope_metrics.schema_url`,
                {{metric_fields}}
            FROM (SELECT *, {{types_of `resource.attributes`}} AS resource_types FROM otlp_metrics)
        )
        ARRAY JOIN
            `scope_metrics.scope.name` AS scope_name,
            `scope_metrics.scope.version` AS scope_version,
            `scope_metrics.scope.attributes` AS scope_attributes,
            `scope_metrics.scope.dropped_attributes_count` AS scope_dropped_attributes,
            `scope_metrics.schema_url` AS scope_schema_url,
            {{metric_fields}}
    )
)
ARRAY JOIN
    `scope_metrics.metrics.name` AS metric,
    `scope_metrics.metrics.description` AS description,
    `scope_metrics.metrics.unit` AS unit,
    `scope_metrics.metrics.gauge.data_points` AS gauge,
    `scope_metrics.metrics.sum.data_points` AS sum,
    `scope_metrics.metrics.sum.aggregation_temporality` AS sum_temporality,
    `scope_metrics.metrics.sum.is_monotonic` AS sum_monotonic,
    `scope_metrics.metrics.histogram.data_points` AS histogram,
    `scope_metrics.metrics.histogram.aggregation_temporality` AS histogram_temporality,
    `scope_metrics.metrics.exponential_histogram.data_points` AS exponential_histogram,
    `scope_metrics.metrics.exponential_histogram.aggregation_temporality` AS exponential_temporality,
    `scope_metrics.metrics.summary.data_points` AS summary;

-- What a metric is and who sends it, by day.
CREATE TABLE IF NOT EXISTS metric_sources (
    day Date,
    metric LowCardinality(String),
    source UInt64,
    kind SimpleAggregateFunction(anyLast, {{metric_kind}}),
    unit SimpleAggregateFunction(anyLast, LowCardinality(String)),
    description SimpleAggregateFunction(anyLast, String),
    temporality SimpleAggregateFunction(anyLast, UInt8),
    monotonic SimpleAggregateFunction(anyLast, Bool),
    environment SimpleAggregateFunction(anyLast, LowCardinality(String)),
    function SimpleAggregateFunction(anyLast, LowCardinality(String)),
    resource SimpleAggregateFunction(anyLast, Map(String, String)),
    scope_name SimpleAggregateFunction(anyLast, LowCardinality(String)),
    scope_version SimpleAggregateFunction(anyLast, LowCardinality(String)),
    origin SimpleAggregateFunction(anyLast, LowCardinality(String))  -- what is rarely set of resource and scope, as JSON
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(day)
ORDER BY (day, metric, source)
{{keep rollups}}
{{settings}};

-- A source may have points of several days in one message: it is written for each.
CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_metric_sources TO metric_sources AS
SELECT day, metric, source, anyLast(item.kind) AS kind, anyLast(item.unit) AS unit, anyLast(item.description) AS description,
    anyLast(item.temporality) AS temporality, anyLast(item.monotonic) AS monotonic, anyLast(item.environment) AS environment,
    anyLast(item.function) AS function, anyLast(item.resource) AS resource, anyLast(item.scope_name) AS scope_name,
    anyLast(item.scope_version) AS scope_version, anyLast(item.origin) AS origin
FROM (
    SELECT * EXCEPT (numbers, histogram, exponential_histogram, summary), arrayJoin(arrayDistinct(arrayMap(ns -> toDate({{clamped ns}}), arrayConcat(
        numbers.time_unix_nano, histogram.time_unix_nano, exponential_histogram.time_unix_nano, summary.time_unix_nano)))) AS day
    FROM metric_stream) AS item
GROUP BY day, metric, source;

-- One row a point of a gauge or sum.
CREATE TABLE IF NOT EXISTS number_stream (
    metric LowCardinality(String),
    kind {{metric_kind}},
    temporality UInt8,
    source UInt64,
    series UInt64,
    attributes Map(LowCardinality(String), String),
    types LowCardinality(String),
    ts DateTime64(9, 'UTC'),
    event_ns UInt64,
    start_ns UInt64,
    flags UInt32,
    value Nullable(Float64),
    int_value Nullable(Int64),
    exemplars {{exemplars_type}}
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_number_stream TO number_stream AS
SELECT {{point_columns}}, if(isNotNull(point.as_int), toFloat64(point.as_int), point.as_double) AS value, point.as_int AS int_value, {{exemplars}} AS exemplars
FROM metric_stream ARRAY JOIN numbers AS point;

-- One row a point of a histogram or summary. A summary's quantiles are `bounds` and `quantile_values`.
CREATE TABLE IF NOT EXISTS histogram_stream (
    metric LowCardinality(String),
    kind {{metric_kind}},
    temporality UInt8,
    source UInt64,
    series UInt64,
    attributes Map(LowCardinality(String), String),
    types LowCardinality(String),
    ts DateTime64(9, 'UTC'),
    event_ns UInt64,
    start_ns UInt64,
    flags UInt32,
    value Nullable(Float64),
    count UInt64,
    low Nullable(Float64),
    high Nullable(Float64),
    bounds Array(Float64),
    bucket_counts Array(UInt64),
    quantile_values Array(Float64),
    scale Int32,
    zero_count UInt64,
    zero_threshold Float64,
    positive_offset Int32,
    negative_offset Int32,
    negative_counts Array(UInt64),
    exemplars {{exemplars_type}}
) ENGINE = Null;

-- What is seldom sent goes by tables of its own: a view that no row reaches is not planned, and these three would be a third of an insert's price.
CREATE TABLE IF NOT EXISTS histogram_metrics (metric LowCardinality(String), kind {{metric_kind}}, temporality UInt8, source UInt64, histogram {{histogram_point_type}}) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_histogram_metrics TO histogram_metrics AS
SELECT metric, kind, temporality, source, histogram FROM metric_stream WHERE notEmpty(histogram);

CREATE TABLE IF NOT EXISTS exponential_histogram_metrics (metric LowCardinality(String), kind {{metric_kind}}, temporality UInt8, source UInt64, exponential_histogram {{exponential_point_type}}) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_exponential_histogram_metrics TO exponential_histogram_metrics AS
SELECT metric, kind, temporality, source, exponential_histogram FROM metric_stream WHERE notEmpty(exponential_histogram);

CREATE TABLE IF NOT EXISTS summary_metrics (metric LowCardinality(String), kind {{metric_kind}}, temporality UInt8, source UInt64, summary {{summary_point_type}}) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_summary_metrics TO summary_metrics AS
SELECT metric, kind, temporality, source, summary FROM metric_stream WHERE notEmpty(summary);

CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_metrics_to_stream TO histogram_stream AS
SELECT {{point_columns}}, point.sum AS value, point.count AS count, point.min AS low, point.max AS high, point.explicit_bounds AS bounds,
       point.bucket_counts AS bucket_counts, {{exemplars}} AS exemplars
FROM histogram_metrics ARRAY JOIN histogram AS point;

CREATE MATERIALIZED VIEW IF NOT EXISTS exponential_histogram_metrics_to_stream TO histogram_stream AS
SELECT {{point_columns}}, point.sum AS value, point.count AS count, point.min AS low, point.max AS high, point.scale AS scale,
       point.zero_count AS zero_count, point.zero_threshold AS zero_threshold, point.positive.offset AS positive_offset,
       point.positive.bucket_counts AS bucket_counts, point.negative.offset AS negative_offset, point.negative.bucket_counts AS negative_counts,
       {{exemplars}} AS exemplars
FROM exponential_histogram_metrics ARRAY JOIN exponential_histogram AS point;

CREATE MATERIALIZED VIEW IF NOT EXISTS summary_metrics_to_stream TO histogram_stream AS
SELECT {{point_columns}}, point.sum AS value, point.count AS count, point.quantile_values.quantile AS bounds,
       point.quantile_values.value AS quantile_values
FROM summary_metrics ARRAY JOIN summary AS point;

-- Every point as it was sent; `int_value` beside `value` where it was an integer, for a double holds 53 bits only.
CREATE TABLE IF NOT EXISTS metric_points (
    metric LowCardinality(String),
    series UInt64 CODEC(ZSTD(1)),
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    event_ns UInt64 CODEC(Delta(8), ZSTD(1)),
    start_ns UInt64 CODEC(Delta(8), ZSTD(1)),
    kind {{metric_kind}},
    flags UInt32 CODEC(T64, ZSTD(1)),
    value Nullable(Float64) CODEC(ZSTD(1)),
    int_value Nullable(Int64) CODEC(ZSTD(1)),
    count UInt64 CODEC(T64, ZSTD(1)),
    low Nullable(Float64) CODEC(ZSTD(1)),
    high Nullable(Float64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    bucket_counts Array(UInt64) CODEC(ZSTD(1)),
    quantile_values Array(Float64) CODEC(ZSTD(1)),
    scale Int32 CODEC(ZSTD(1)),
    zero_count UInt64 CODEC(T64, ZSTD(1)),
    zero_threshold Float64 CODEC(ZSTD(1)),
    positive_offset Int32 CODEC(ZSTD(1)),
    negative_offset Int32 CODEC(ZSTD(1)),
    negative_counts Array(UInt64) CODEC(ZSTD(1)),
    exemplars {{exemplars_type}} CODEC(ZSTD(1))
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (metric, series, ts)
{{keep metrics}}
{{compact_settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS number_stream_to_metric_points TO metric_points AS
SELECT metric, series, ts, event_ns, start_ns, kind, flags, value, int_value, exemplars FROM number_stream;

CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_stream_to_metric_points TO metric_points AS
SELECT * EXCEPT (temporality, source, attributes, types) FROM histogram_stream;

-- What a series is, by day: points carry its hash alone.
CREATE TABLE IF NOT EXISTS metric_series (
    day Date,
    metric LowCardinality(String),
    series UInt64,
    source SimpleAggregateFunction(anyLast, UInt64),
    attributes SimpleAggregateFunction(anyLast, Map(String, String)),
    types SimpleAggregateFunction(anyLast, LowCardinality(String)),  -- of the attributes that are no strings
    first SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    points SimpleAggregateFunction(sum, UInt64)
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(day)
ORDER BY (metric, day, series)
{{keep rollups}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS number_stream_to_metric_series TO metric_series AS
SELECT toDate(ts) AS day, metric, series, anyLast(point.source) AS source, anyLast(point.attributes) AS attributes, anyLast(point.types) AS types, min(ts) AS first, max(ts) AS last,
    count() AS points
FROM number_stream AS point
GROUP BY day, metric, series;

CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_stream_to_metric_series TO metric_series AS
SELECT toDate(ts) AS day, metric, series, anyLast(point.source) AS source, anyLast(point.attributes) AS attributes, anyLast(point.types) AS types, min(ts) AS first, max(ts) AS last,
    count() AS points
FROM histogram_stream AS point
GROUP BY day, metric, series;

-- Numbers by minute and hour. A cumulative series keeps a row for each `start_ns`, so that within a row it never goes back: its increase is exact
-- whatever the order of arrival. NaN and infinities are in the points alone: one of them would spoil every figure of its slot.
CREATE TABLE IF NOT EXISTS metric_minutes (
    metric LowCardinality(String),
    series UInt64,
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    start_ns UInt64 CODEC(ZSTD(1)),
    points SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    total SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    low SimpleAggregateFunction(min, Float64) CODEC(ZSTD(1)),
    high SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)),
    first SimpleAggregateFunction(min, Tuple(ns UInt64, value Float64)) CODEC(ZSTD(1)),
    last SimpleAggregateFunction(max, Tuple(ns UInt64, value Float64)) CODEC(ZSTD(1))
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toDate(slot)
ORDER BY (metric, series, slot, start_ns)
{{keep metrics}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS number_stream_to_metric_minutes TO metric_minutes AS
SELECT metric, series, toStartOfMinute(ts) AS slot, if(temporality = 2, point.start_ns, 0) AS start_ns, count() AS points, sum(number) AS total,
    min(number) AS low, max(number) AS high, min((ns, number)) AS first, max((ns, number)) AS last
FROM (SELECT metric, series, ts, start_ns, temporality, toUInt64(toUnixTimestamp64Nano(ts)) AS ns, assumeNotNull(value) AS number
      FROM number_stream WHERE isFinite(ifNull(value, nan)) AND NOT bitTest(flags, 0)) AS point
GROUP BY metric, series, slot, start_ns;

CREATE TABLE IF NOT EXISTS metric_hours AS metric_minutes
ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(slot)
ORDER BY (metric, series, slot, start_ns)
{{keep rollups}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_minutes_to_metric_hours TO metric_hours AS
SELECT metric, series, toStartOfHour(minute.slot) AS slot, start_ns, sum(minute.points) AS points, sum(minute.total) AS total, min(minute.low) AS low,
    max(minute.high) AS high, min(minute.first) AS first, max(minute.last) AS last
FROM metric_minutes AS minute
GROUP BY metric, series, slot, start_ns;

-- Histograms and summaries likewise. `cells` are counts by place, in one number each (macro cell_places); those of delta points add up,
-- of cumulative ones `last` is kept. A summary's are the bits of quantile and value.
CREATE TABLE IF NOT EXISTS histogram_minutes (
    metric LowCardinality(String),
    series UInt64,
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    start_ns UInt64 CODEC(ZSTD(1)),
    points SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    total SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    low SimpleAggregateFunction(min, Nullable(Float64)) CODEC(ZSTD(1)),
    high SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD(1)),
    cells SimpleAggregateFunction(sumMap, Map(Int64, UInt64)) CODEC(ZSTD(1)),
    least SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),  -- of the counts
    most SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1)),
    first SimpleAggregateFunction(min, Tuple(ns UInt64, count UInt64, total Float64)) CODEC(ZSTD(1)),
    last SimpleAggregateFunction(max, Tuple(ns UInt64, count UInt64, total Float64, places Array(Int64), counts Array(UInt64))) CODEC(ZSTD(1))
) ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toDate(slot)
ORDER BY (metric, series, slot, start_ns)
{{keep metrics}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_stream_to_histogram_minutes TO histogram_minutes AS
SELECT metric, series, toStartOfMinute(ts) AS slot, if(cumulative, point.start_ns, 0) AS start_ns, count() AS points,
    sum(if(cumulative, 0, number)) AS count, sum(if(cumulative, 0, number_total)) AS total,
    min(if(cumulative, NULL, point.low)) AS low, max(if(cumulative, NULL, point.high)) AS high,
    sumMap(CAST(if(cumulative, ([], []), (places, counts)), 'Map(Int64, UInt64)')) AS cells, min(number) AS least, max(number) AS most,
    min((ns, number, number_total)) AS first,
    max(if(cumulative, (ns, number, number_total, places, counts), (0, 0, 0., [], []))) AS last
FROM (SELECT metric, series, ts, start_ns, temporality = 2 OR kind = 'summary' AS cumulative, toUInt64(toUnixTimestamp64Nano(ts)) AS ns,
          count AS number, if(isFinite(ifNull(value, nan)), assumeNotNull(value), 0) AS number_total, low, high, {{cell_places}} AS places, {{cell_counts}} AS counts
      FROM histogram_stream WHERE NOT bitTest(flags, 0)) AS point
GROUP BY metric, series, slot, start_ns;

CREATE TABLE IF NOT EXISTS histogram_hours AS histogram_minutes
ENGINE = {{engine AggregatingMergeTree}}
PARTITION BY toStartOfMonth(slot)
ORDER BY (metric, series, slot, start_ns)
{{keep rollups}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_minutes_to_histogram_hours TO histogram_hours AS
SELECT metric, series, toStartOfHour(minute.slot) AS slot, start_ns, sum(minute.points) AS points, sum(minute.count) AS count, sum(minute.total) AS total,
    min(minute.low) AS low, max(minute.high) AS high, sumMap(minute.cells) AS cells, min(minute.least) AS least, max(minute.most) AS most,
    min(minute.first) AS first, max(minute.last) AS last
FROM histogram_minutes AS minute
GROUP BY metric, series, slot, start_ns;
