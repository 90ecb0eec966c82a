Tuple(value {{value_kind}}, string_value String, bool_value Bool, int_value Int64, double_value Float64, bytes_value String,
      array_value String, kvlist_value String)
