{{settings}}, min_bytes_for_wide_part = 536870912
