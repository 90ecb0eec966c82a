CAST(($1.key, arrayMap(
    (kind, text, truth, int, double, bytes, items, pairs) -> {{any_text}},
    $1.value.value, $1.value.string_value, $1.value.bool_value, $1.value.int_value, $1.value.double_value, $1.value.bytes_value,
    $1.value.array_value.values, $1.value.kvlist_value.values)), 'Map(LowCardinality(String), String)')
