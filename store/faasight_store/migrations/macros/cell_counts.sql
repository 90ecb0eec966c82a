multiIf(kind = 'histogram', bucket_counts, kind = 'summary', arrayMap(value -> reinterpretAsUInt64(value), quantile_values),
    arrayConcat(bucket_counts, negative_counts, [zero_count]))
