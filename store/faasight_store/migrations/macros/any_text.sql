coalesce(
    $1.string_value, toString($1.int_value), toString($1.double_value), toString($1.bool_value), base64Encode($1.bytes_value),
    if(notEmpty($1.array_value.values),
       concat('[', arrayStringConcat(arrayMap(leaf -> {{leaf_json leaf}}, $1.array_value.values), ','), ']'),
    if(notEmpty($1.kvlist_value.values),
       concat('{', arrayStringConcat(arrayMap(pair -> concat(toJSONString(pair.key), ':', {{leaf_json pair.value}}), $1.kvlist_value.values), ','), '}'),
       '')))
