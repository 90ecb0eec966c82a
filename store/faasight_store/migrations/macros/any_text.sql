multiIf(
    $1.value = 'string', $1.string_value,
    $1.value = 'int', toString($1.int_value),
    $1.value = 'bool', toString($1.bool_value),
    $1.value = 'double', toString($1.double_value),
    $1.value = 'array',
       concat('[', arrayStringConcat(arrayMap(leaf -> {{leaf_json leaf}}, $1.array_value.values), ','), ']'),
    $1.value = 'map',
       concat('{', arrayStringConcat(arrayMap(pair -> concat(toJSONString(pair.key), ':', {{leaf_json pair.value}}), $1.kvlist_value.values), ','), '}'),
    $1.value = 'bytes', base64Encode($1.bytes_value),
    '')
