"""The peer of the ingest benchmark: Rotel (a Rust collector, from PyPI) before the engine's HTTP interface.

It writes through its ClickHouse exporter into the OpenTelemetry exporter's tables, and answers from memory.
"""

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import clickhouse_connect
import psutil
from _subject import Subject, line_of, process, until  # beside this file

FIXTURE = Path(__file__).parent.parent / "tests" / "support" / "clickhouse_http.py"

# The columns, order and indexes of the OpenTelemetry collector's ClickHouse exporter, which the peer writes to.
_MAP = "Map(LowCardinality(String), String)"
PEER_TABLES = (
    f"""CREATE TABLE otel.otel_traces (
        Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
        ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)),
        SpanName LowCardinality(String) CODEC(ZSTD(1)),
        SpanKind LowCardinality(String) CODEC(ZSTD(1)), ServiceName LowCardinality(String) CODEC(ZSTD(1)),
        ResourceAttributes {_MAP} CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)), ScopeVersion String CODEC(ZSTD(1)),
        SpanAttributes {_MAP} CODEC(ZSTD(1)), Duration UInt64 CODEC(ZSTD(1)),
        StatusCode LowCardinality(String) CODEC(ZSTD(1)),
        StatusMessage String CODEC(ZSTD(1)),
        Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes {_MAP}) CODEC(ZSTD(1)),
        Links Nested (TraceId String, SpanId String, TraceState String, Attributes {_MAP}) CODEC(ZSTD(1)),
        INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
        INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_duration Duration TYPE minmax GRANULARITY 1
    ) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))""",
    """CREATE TABLE otel.otel_traces_trace_id_ts (
        TraceId String CODEC(ZSTD(1)), Start DateTime CODEC(Delta, ZSTD(1)), End DateTime CODEC(Delta, ZSTD(1)),
        INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
    ) ENGINE = MergeTree PARTITION BY toDate(Start) ORDER BY (TraceId, Start)""",
    """CREATE MATERIALIZED VIEW otel.otel_traces_trace_id_ts_mv TO otel.otel_traces_trace_id_ts AS
        SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End
        FROM otel.otel_traces WHERE TraceId != '' GROUP BY TraceId""",
    f"""CREATE TABLE otel.otel_logs (
        Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TimestampTime DateTime DEFAULT toDateTime(Timestamp),
        TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)), TraceFlags UInt8,
        SeverityText LowCardinality(String) CODEC(ZSTD(1)), SeverityNumber UInt8,
        ServiceName LowCardinality(String) CODEC(ZSTD(1)), Body String CODEC(ZSTD(1)),
        ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)), ResourceAttributes {_MAP} CODEC(ZSTD(1)),
        ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)),
        ScopeVersion LowCardinality(String) CODEC(ZSTD(1)), ScopeAttributes {_MAP} CODEC(ZSTD(1)),
        LogAttributes {_MAP} CODEC(ZSTD(1)),
        INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
        INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
    ) ENGINE = MergeTree PARTITION BY toDate(TimestampTime)
    PRIMARY KEY (ServiceName, TimestampTime) ORDER BY (ServiceName, TimestampTime, Timestamp)""",
)
TABLES = {"traces": "otel.otel_traces", "logs": "otel.otel_logs"}


def _rotel(directory: Path) -> Path:
    """Return Rotel's program: of this environment, or installed into a folder that is thrown away."""
    spec = importlib.util.find_spec("rotel")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "rotel-agent"
    target = directory / "rotel"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(target),
        "rotel",
    ]
    subprocess.run(pip, check=True)
    return target / "rotel" / "rotel-agent"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def run(directory: Path, signal: str) -> Iterator[Subject]:
    """Run Rotel and the engine."""
    with ExitStack() as stack:
        engine = stack.enter_context(process([sys.executable, str(FIXTURE), "--path", str(directory / "engine")]))
        engine_port = int(line_of(engine, ""))
        client = clickhouse_connect.get_client(host="127.0.0.1", port=engine_port)
        stack.callback(client.close)
        client.command("CREATE DATABASE otel")
        for statement in PEER_TABLES:
            client.command(statement)
        port, grpc_port = _free_port(), _free_port()
        options = {
            "otlp-http-endpoint": f"127.0.0.1:{port}",
            "otlp-grpc-endpoint": f"127.0.0.1:{grpc_port}",
            "exporter": "clickhouse",
            "clickhouse-exporter-endpoint": f"http://127.0.0.1:{engine_port}",
            "clickhouse-exporter-database": "otel",
            "clickhouse-exporter-compression": "none",
            "clickhouse-exporter-async-insert": "false",
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        rotel = stack.enter_context(process([str(_rotel(directory)), "start", *arguments], heard=False))

        def listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listening, "Rotel did not listen")

        def stored() -> int:
            return int(client.query(f"SELECT count() FROM {TABLES[signal]}").result_rows[0][0])

        yield Subject(
            f"127.0.0.1:{port}",
            f"127.0.0.1:{grpc_port}",
            (psutil.Process(rotel.pid), psutil.Process(engine.pid)),
            stored,
        )
