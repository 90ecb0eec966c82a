Array(Tuple(trace_id String, span_id String, trace_state String, attributes Array(String), dropped_attributes_count UInt32, flags UInt32))
