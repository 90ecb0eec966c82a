metric, kind, temporality, source, cityHash64(source, mapSort(attributes), arraySort(splitByChar('\n', types))) AS series, {{text_map point.attributes}} AS attributes,
    {{types_of point.attributes}} AS types,
    point.time_unix_nano AS event_ns, {{clamped event_ns}} AS ts, point.start_time_unix_nano AS start_ns, point.flags AS flags
