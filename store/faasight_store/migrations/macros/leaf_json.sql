multiIf(
    isNotNull($1.string_value), toJSONString($1.string_value),
    isNotNull($1.int_value), toString($1.int_value),
    isNotNull($1.double_value), toJSONString($1.double_value),
    isNotNull($1.bool_value), toJSONString($1.bool_value),
    isNotNull($1.bytes_value), toJSONString(base64Encode(assumeNotNull($1.bytes_value))),
    isNotNull($1.array_value), toJSONString(base64Encode(assumeNotNull($1.array_value))),
    isNotNull($1.kvlist_value), toJSONString(base64Encode(assumeNotNull($1.kvlist_value))),
    'null')
