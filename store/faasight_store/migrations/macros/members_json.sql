concat(
            if(kind = 'array', '[', '{'),
            arrayStringConcat(arrayMap((name, leaf) -> concat(name, {{leaf_json leaf}}),
                arrayConcat(arrayMap(item -> '', items), arrayMap(name -> concat(toJSONString(name), ':'), pairs.key)),
                arrayConcat(items, pairs.value)), ','),
            if(kind = 'array', ']', '}'))
