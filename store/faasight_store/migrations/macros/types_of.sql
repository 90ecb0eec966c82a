arrayStringConcat(arrayMap((kind, key) -> concat(toString(kind), ' ', key),
                           arrayFilter(kind -> kind != 'string', $1.value.value),
                           arrayFilter((key, kind) -> kind != 'string', $1.key, $1.value.value)), '\n')
