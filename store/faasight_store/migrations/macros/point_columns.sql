metric, kind, temporality, source, cityHash64(source, mapSort(attributes)) AS series, {{text_map point.attributes}} AS attributes,
    point.time_unix_nano AS event_ns, {{clamped event_ns}} AS ts, point.start_time_unix_nano AS start_ns, point.flags AS flags
