multiIf(
    $1.value = 'string', toJSONString($1.string_value),
    $1.value = 'int', $1.int_value,
    $1.value = 'bool', $1.bool_value,
    $1.value = 'double', replaceRegexpOne(replaceRegexpOne($1.double_value, '^-?[0-9]+$', '\\0.0'), '^-?(inf|nan)$', '{"doubleValue":"\\0"}'),
    $1.value = 'none', 'null',
    concat('{"', toString($1.value), 'Value":"', base64Encode(concat($1.bytes_value, $1.array_value, $1.kvlist_value)), '"}'))
