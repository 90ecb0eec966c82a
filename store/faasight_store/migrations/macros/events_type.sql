Array(Tuple(ns UInt64, name String, attributes Map(LowCardinality(String), String), types String, dropped_attributes UInt32))
