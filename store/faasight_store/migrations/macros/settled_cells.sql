hour DateTime('UTC'),
    version UInt64 CODEC(ZSTD(1)),
    slot DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment LowCardinality(String),
    $1
    bucket Int16 CODEC(ZSTD(1)),
    init_bucket Int16 CODEC(ZSTD(1)),
    init_type LowCardinality(String),
    {{cell_columns}}
