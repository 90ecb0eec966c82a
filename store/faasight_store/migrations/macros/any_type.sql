Tuple(value {{value_kind}}, string_value String, bool_value Bool, int_value Int64, double_value Float64, bytes_value String,
      array_value Tuple(values Array({{leaf_type}})), kvlist_value Tuple(values Array(Tuple(key String, value {{leaf_type}}))))
