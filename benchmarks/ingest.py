"""What does a span cost, from the socket to the table? CPU-seconds per million spans, ours and a peer's, in one run.

Ours is the collector with the embedded engine in one process: validated, written to the journal and synced to the disk
before the answer, decoded and stored with all rollups of the schema. The peer is Rotel (a Rust collector, from PyPI)
with its ClickHouse exporter into the same engine behind the tests' HTTP interface, into the OpenTelemetry exporter's
tables; it answers from memory. Both get the same requests from a load generator in another process, whose CPU is not
counted.

    python benchmarks/ingest.py
"""

import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import psutil

HERE = Path(__file__).parent
FIXTURE = HERE.parent / "tests" / "support" / "clickhouse_http.py"
DEADLINE_S = 60


@dataclass(frozen=True)
class Size:
    """A shape of load, and the ratio to the peer that is the goal."""

    name: str
    spans: int  # a request
    requests: int
    connections: int
    goal: float


SIZES = (
    Size("ingest_1000_spans_a_request", 1000, 200, 8, 0.5),
    Size("ingest_5_spans_a_request_64_connections", 5, 20_000, 64, 0.7),
)


@dataclass(frozen=True)
class Subject:
    """A running collector: where it listens, what it is made of, and how many spans it has stored."""

    address: str
    processes: tuple[psutil.Process, ...]
    stored: Callable[[], int]

    def cpu_s(self) -> float:
        """Return the CPU time of all its processes."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.processes))

    def peak_mib(self) -> float:
        """Return the sum of its processes' largest resident sizes."""
        return sum(_peak_kib(process.pid) for process in self.processes) / 1024


@dataclass(frozen=True)
class Figure:
    """What one subject needed for one size."""

    cpu_s_per_million: float
    peak_mib: float
    requests_a_second: float


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0])


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {DEADLINE_S} s")
        time.sleep(0.2)


@contextmanager
def _process(command: list[str], *, heard: bool = True) -> Iterator[subprocess.Popen[str]]:
    output = subprocess.PIPE if heard else subprocess.DEVNULL  # a pipe that nobody reads would stop it
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str], prefix: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(prefix):
            return line.removeprefix(prefix).strip()
    raise RuntimeError(f"{process.args} ended too early")


@contextmanager
def ours(directory: Path) -> Iterator[Subject]:
    """Run the collector with the embedded engine."""
    with _process([sys.executable, str(HERE / "_ingest_ours.py"), str(directory)]) as process:
        address = _line(process, "ready ")

        def stored() -> int:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return int(_line(process, "spans "))

        yield Subject(address, (psutil.Process(process.pid),), stored)


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
)


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
def peer(directory: Path) -> Iterator[Subject]:
    """Run Rotel before the engine's HTTP interface."""
    with ExitStack() as stack:
        engine = stack.enter_context(_process([sys.executable, str(FIXTURE), "--path", str(directory / "engine")]))
        engine_port = int(_line(engine, ""))
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
        rotel = stack.enter_context(_process([str(_rotel(directory)), "start", *arguments], heard=False))

        def listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        _until(listening, "Rotel did not listen")

        def stored() -> int:
            return int(client.query("SELECT count() FROM otel.otel_traces").result_rows[0][0])

        yield Subject(f"127.0.0.1:{port}", (psutil.Process(rotel.pid), psutil.Process(engine.pid)), stored)


def _send(subject: Subject, size: Size, requests: int) -> float:
    """Send requests, wait until all their spans are stored, and return the seconds that sending took."""
    before = subject.stored()
    command = [
        sys.executable,
        str(HERE / "_load.py"),
        subject.address,
        str(size.spans),
        str(requests),
        str(size.connections),
    ]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout.split()
    if int(answer[0]) != requests:
        raise RuntimeError(f"{answer[0]} of {requests} requests were accepted")
    _until(lambda: subject.stored() >= before + requests * size.spans, "not all spans were stored")
    return float(answer[1])


def measure(subject: Subject, size: Size) -> Figure:
    """Warm up, then measure one size."""
    _send(subject, size, max(size.connections, size.requests // 20))
    cpu_s = subject.cpu_s()
    seconds = _send(subject, size, size.requests)
    used = subject.cpu_s() - cpu_s
    return Figure(used / (size.requests * size.spans) * 1e6, subject.peak_mib(), size.requests / seconds)


def main() -> None:
    """Measure both, print the figures, and one JSON line for each size; the last is that of small requests."""
    lines = []
    for size in SIZES:
        found: dict[str, Figure] = {}
        for name, run in (("ours", ours), ("peer", peer)):
            with tempfile.TemporaryDirectory() as directory, run(Path(directory)) as subject:
                found[name] = figure = measure(subject, size)
            print(
                f"{size.name}: {name}: {figure.cpu_s_per_million:.1f} CPU-s per million spans, "
                f"peak {figure.peak_mib:.0f} MiB, {figure.requests_a_second:.0f} requests/s",
                flush=True,
            )
        mine, theirs = found["ours"].cpu_s_per_million, found["peer"].cpu_s_per_million
        ratio = mine / theirs
        lines.append(
            {
                "name": size.name,
                "ours": round(mine, 2),
                "peer": round(theirs, 2),
                "unit": "CPU-s per million spans, socket to table (peer: Rotel with ClickHouse exporter)",
                "ratio": round(ratio, 3),
                "goal": size.goal,
                "ok": ratio <= size.goal,
            }
        )
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
