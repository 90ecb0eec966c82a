arrayMap(exemplar -> (exemplar.time_unix_nano, if(isNotNull(exemplar.as_int), toFloat64(assumeNotNull(exemplar.as_int)), ifNull(exemplar.as_double, 0)),
                      exemplar.as_int, exemplar.trace_id, exemplar.span_id, exemplar.filtered_attributes), point.exemplars)
