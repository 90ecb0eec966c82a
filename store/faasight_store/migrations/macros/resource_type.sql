Tuple(attributes {{attributes_type}}, dropped_attributes_count UInt32)
