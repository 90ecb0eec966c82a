Array(Tuple(trace_id String, span_id String, trace_state String, attributes Map(LowCardinality(String), String), types String,
                dropped_attributes UInt32, flags UInt32))
