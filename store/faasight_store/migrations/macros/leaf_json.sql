multiIf(
    $1.value = 'string', toJSONString($1.string_value),
    $1.value = 'int', toString($1.int_value),
    $1.value = 'bool', toString($1.bool_value),
    $1.value = 'double', multiIf(
        isNaN($1.double_value), '{"doubleValue":"NaN"}',
        isInfinite($1.double_value), if($1.double_value > 0, '{"doubleValue":"Infinity"}', '{"doubleValue":"-Infinity"}'),
        match(toString($1.double_value), '[.e]'), toString($1.double_value),
        concat(toString($1.double_value), '.0')),
    $1.value = 'bytes', concat('{"bytesValue":"', base64Encode($1.bytes_value), '"}'),
    $1.value = 'array', concat('{"arrayValue":"', base64Encode($1.array_value), '"}'),
    $1.value = 'map', concat('{"kvlistValue":"', base64Encode($1.kvlist_value), '"}'),
    'null')
