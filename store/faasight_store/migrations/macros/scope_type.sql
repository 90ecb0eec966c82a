Tuple(name String, version String, attributes {{attributes_type}}, dropped_attributes_count UInt32)
