{{settings}}, map_serialization_version = 'with_buckets', map_buckets_strategy = 'constant', max_buckets_in_map = 4, map_buckets_min_avg_size = 0
