multiIf(kind = 'histogram', arrayResize(arrayMap(bound -> reinterpretAsInt64(bound), arrayPushBack(bounds, inf)), length(bucket_counts), reinterpretAsInt64(inf)),
    kind = 'summary', arrayMap(bound -> reinterpretAsInt64(bound), bounds),
    arrayConcat(
        arrayMap((n, i) -> {{exponential_place positive_offset + i - 1}}, bucket_counts, arrayEnumerate(bucket_counts)),
        arrayMap((n, i) -> -{{exponential_place negative_offset + i - 1}}, negative_counts, arrayEnumerate(negative_counts)),
        [0]))
