CAST(($1.key, arrayMap(any -> {{any_text any}}, $1.value)), 'Map(LowCardinality(String), String)')
