CAST(($1.key, arrayMap(
    (kind, text, truth, int, double, bytes, items, pairs) -> multiIf(
        kind = 'string', text,
        kind = 'int', toString(int),
        kind = 'bool', toString(truth),
        kind = 'double', toString(double),
        kind = 'array', concat('[', arrayStringConcat(arrayMap(leaf -> {{leaf_json leaf}}, items), ','), ']'),
        kind = 'map', concat('{', arrayStringConcat(arrayMap(pair -> concat(toJSONString(pair.key), ':', {{leaf_json pair.value}}), pairs), ','), '}'),
        kind = 'bytes', base64Encode(bytes),
        ''),
    $1.value.value, $1.value.string_value, $1.value.bool_value, $1.value.int_value, $1.value.double_value, $1.value.bytes_value,
    $1.value.array_value.values, $1.value.kvlist_value.values)), 'Map(LowCardinality(String), String)')
