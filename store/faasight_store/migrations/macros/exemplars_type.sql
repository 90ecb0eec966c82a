Array(Tuple(ns UInt64, value Float64, int_value Nullable(Int64), trace_id String, span_id String, attributes Array(String)))
