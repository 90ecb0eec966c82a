-- Metric points of every OTLP kind in one table; what a kind lacks stays empty.

CREATE TABLE IF NOT EXISTS otlp_metrics (
    resource_metrics Array(Tuple(
        resource Tuple(attributes {{attributes_type}}),
        scope_metrics Array(Tuple(
            scope Tuple(name String, version String),
            metrics Array(Tuple(
                name String,
                unit String,
                gauge Tuple(data_points Array({{number_point_type}})),
                sum Tuple(data_points Array({{number_point_type}}), aggregation_temporality Int32, is_monotonic Bool),
                histogram Tuple(
                    data_points Array(Tuple(
                        start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Nullable(Float64), bucket_counts Array(UInt64),
                        explicit_bounds Array(Float64), attributes {{attributes_type}}, min Nullable(Float64), max Nullable(Float64))),
                    aggregation_temporality Int32),
                exponential_histogram Tuple(
                    data_points Array(Tuple(
                        attributes {{attributes_type}}, start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Nullable(Float64),
                        scale Int32, zero_count UInt64, positive Tuple(offset Int32, bucket_counts Array(UInt64)),
                        negative Tuple(offset Int32, bucket_counts Array(UInt64)), min Nullable(Float64), max Nullable(Float64))),
                    aggregation_temporality Int32),
                summary Tuple(
                    data_points Array(Tuple(
                        start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Float64,
                        quantile_values Array(Tuple(quantile Float64, value Float64)), attributes {{attributes_type}})))))))))
) ENGINE = Null;

-- One row a metric, with its resource; the views below take each the kind they know.
CREATE TABLE IF NOT EXISTS metric_stream (
    resource Map(LowCardinality(String), String),
    item Tuple(
        name String,
        unit String,
        gauge Tuple(data_points Array({{number_point_type}})),
        sum Tuple(data_points Array({{number_point_type}}), aggregation_temporality Int32, is_monotonic Bool),
        histogram Tuple(
            data_points Array(Tuple(
                start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Nullable(Float64), bucket_counts Array(UInt64),
                explicit_bounds Array(Float64), attributes {{attributes_type}}, min Nullable(Float64), max Nullable(Float64))),
            aggregation_temporality Int32),
        exponential_histogram Tuple(
            data_points Array(Tuple(
                attributes {{attributes_type}}, start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Nullable(Float64),
                scale Int32, zero_count UInt64, positive Tuple(offset Int32, bucket_counts Array(UInt64)),
                negative Tuple(offset Int32, bucket_counts Array(UInt64)), min Nullable(Float64), max Nullable(Float64))),
            aggregation_temporality Int32),
        summary Tuple(
            data_points Array(Tuple(
                start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Float64,
                quantile_values Array(Tuple(quantile Float64, value Float64)), attributes {{attributes_type}}))))
) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metric_stream TO metric_stream AS
SELECT resource, arrayJoin(scope.metrics) AS item
FROM (
    SELECT {{text_map resource_metric.resource.attributes}} AS resource, arrayJoin(resource_metric.scope_metrics) AS scope
    FROM (SELECT arrayJoin(resource_metrics) AS resource_metric FROM otlp_metrics)
);

CREATE TABLE IF NOT EXISTS metric_points (
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    start_ns UInt64 CODEC(Delta(8), ZSTD(1)),
    metric LowCardinality(String),
    kind Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exponential_histogram' = 4, 'summary' = 5),
    unit LowCardinality(String),
    temporality UInt8,
    monotonic Bool,
    environment LowCardinality(String),
    function LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    series UInt64 MATERIALIZED cityHash64(metric, environment, function, arraySort(mapKeys(attributes)), arraySort(mapValues(attributes))) CODEC(ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    count UInt64 CODEC(T64, ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),  -- of buckets; a summary's quantiles
    quantile_values Array(Float64) CODEC(ZSTD(1)),
    bucket_counts Array(UInt64) CODEC(ZSTD(1)),
    scale Int32,
    zero_count UInt64 CODEC(T64, ZSTD(1)),
    positive_offset Int32,
    negative_offset Int32,
    negative_counts Array(UInt64) CODEC(ZSTD(1))
) ENGINE = {{engine MergeTree}}
PARTITION BY toDate(ts)
ORDER BY (metric, function, series, ts)
{{keep metrics}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_gauges TO metric_points AS
SELECT {{metric_point_columns 'gauge'}}, ifNull(point.as_double, toFloat64(ifNull(point.as_int, 0))) AS value
FROM metric_stream ARRAY JOIN item.gauge.data_points AS point;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_sums TO metric_points AS
SELECT {{metric_point_columns 'sum'}}, item.sum.aggregation_temporality AS temporality, item.sum.is_monotonic AS monotonic,
       ifNull(point.as_double, toFloat64(ifNull(point.as_int, 0))) AS value
FROM metric_stream ARRAY JOIN item.sum.data_points AS point;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_histograms TO metric_points AS
SELECT {{metric_point_columns 'histogram'}}, item.histogram.aggregation_temporality AS temporality, ifNull(point.sum, 0) AS value,
       point.count AS count, point.min AS min, point.max AS max, point.explicit_bounds AS bounds, point.bucket_counts AS bucket_counts
FROM metric_stream ARRAY JOIN item.histogram.data_points AS point;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_exponential_histograms TO metric_points AS
SELECT {{metric_point_columns 'exponential_histogram'}}, item.exponential_histogram.aggregation_temporality AS temporality,
       ifNull(point.sum, 0) AS value, point.count AS count, point.min AS min, point.max AS max, point.scale AS scale,
       point.zero_count AS zero_count, point.positive.offset AS positive_offset, point.positive.bucket_counts AS bucket_counts,
       point.negative.offset AS negative_offset, point.negative.bucket_counts AS negative_counts
FROM metric_stream ARRAY JOIN item.exponential_histogram.data_points AS point;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stream_to_summaries TO metric_points AS
SELECT {{metric_point_columns 'summary'}}, point.sum AS value, point.count AS count, point.quantile_values.quantile AS bounds,
       point.quantile_values.value AS quantile_values
FROM metric_stream ARRAY JOIN item.summary.data_points AS point;
