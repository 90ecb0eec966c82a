multiIf(
    isNotNull($1.string_value), assumeNotNull($1.string_value),
    isNotNull($1.int_value), toString(assumeNotNull($1.int_value)),
    isNotNull($1.bool_value), toString(assumeNotNull($1.bool_value)),
    isNotNull($1.double_value), toString(assumeNotNull($1.double_value)),
    notEmpty($1.array_value.values),
       concat('[', arrayStringConcat(arrayMap(leaf -> {{leaf_json leaf}}, $1.array_value.values), ','), ']'),
    notEmpty($1.kvlist_value.values),
       concat('{', arrayStringConcat(arrayMap(pair -> concat(toJSONString(pair.key), ':', {{leaf_json pair.value}}), $1.kvlist_value.values), ','), '}'),
    isNotNull($1.bytes_value), base64Encode(assumeNotNull($1.bytes_value)),
    '')
