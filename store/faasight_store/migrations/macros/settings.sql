SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
