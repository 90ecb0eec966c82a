multiIf(
        kind = 'string', text,
        kind = 'int', toString(int),
        kind = 'bool', toString(truth),
        kind = 'double', toString(double),
        kind = 'bytes', base64Encode(bytes),
        kind = 'none', '',
        {{members_json}})
