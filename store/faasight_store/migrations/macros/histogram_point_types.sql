histogram Array(Tuple(
        start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Nullable(Float64), bucket_counts Array(UInt64),
        explicit_bounds Array(Float64), exemplars Array({{exemplar_type}}), attributes {{attributes_type}}, flags UInt32,
        min Nullable(Float64), max Nullable(Float64))),
    exponential_histogram Array(Tuple(
        attributes {{attributes_type}}, start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Nullable(Float64),
        scale Int32, zero_count UInt64, positive Tuple(offset Int32, bucket_counts Array(UInt64)),
        negative Tuple(offset Int32, bucket_counts Array(UInt64)), flags UInt32, exemplars Array({{exemplar_type}}),
        min Nullable(Float64), max Nullable(Float64), zero_threshold Float64)),
    summary Array(Tuple(
        start_time_unix_nano UInt64, time_unix_nano UInt64, count UInt64, sum Float64,
        quantile_values Array(Tuple(quantile Float64, value Float64)), attributes {{attributes_type}}, flags UInt32))
