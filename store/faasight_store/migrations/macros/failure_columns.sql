environment LowCardinality(String),
    function LowCardinality(String),
    type LowCardinality(String),
    shape String CODEC(ZSTD(1)),  -- of the message; "" where frames tell the failures apart
    frames String CODEC(ZSTD(1)),
    function_version LowCardinality(String),
    failures UInt64 CODEC(T64, ZSTD(1)),
    first DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    last DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1))
