Tuple(value {{value_kind}}, string_value String, bool_value String, int_value String, double_value String, bytes_value String,
      array_value String, kvlist_value String)
