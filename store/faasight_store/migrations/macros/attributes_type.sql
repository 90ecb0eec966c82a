Array(Tuple(key String, value {{any_type}}))
