"""What does a wrapper cost a function? Added init and added time of an invocation, ours and the peer's, in one run.

Each subject is a real `python -m awslambdaric` process on a Lambda Runtime API: bare, with our exec wrapper, and with
OpenTelemetry's aws-lambda instrumentor (SDK, OTLP/HTTP exporter, a flush at the end of each invocation), whose packages
are fetched from PyPI into a temporary folder. All send to a stand-in for the collector in another process. They take
turns, so that a busy machine is busy for all; CPU is the process's own: waiting for the machine does not count.

    python benchmarks/wrapper.py
"""

import compileall
import importlib.util
import json
import os
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STARTS = 15  # cold starts of each subject
ROUNDS, CALLS = 6, 50  # warm invocations of each subject: rounds times calls
PEER_PACKAGES = (
    "opentelemetry-instrumentation-aws-lambda",
    "opentelemetry-instrumentation",
    "opentelemetry-propagator-aws-xray",
    "wrapt",
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

FUNCTION = "def handler(event, context):\n    return {'statusCode': 200}\n"
PEER_FUNCTION = f"""
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor
{FUNCTION}
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
AwsLambdaInstrumentor().instrument()
"""


class RuntimeApi:
    """The Lambda Runtime API of one sandbox; `asked` holds the time of each request for an event."""

    def __init__(self) -> None:
        self.asked: queue.Queue[float] = queue.Queue()
        self.answered: queue.Queue[float] = queue.Queue()
        self.events: queue.Queue[bytes] = queue.Queue()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                api.asked.put(time.perf_counter())
                self.reply(200, api.events.get())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                api.answered.put(time.perf_counter())
                self.reply(202, b"")

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 30_000))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:r:123456789012:function:f")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as the base class has it
                """Stay silent."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
                """Stay silent: sandboxes are ended while they wait."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Subject:
    """One way to run a function, and what was measured of it (ms)."""

    name: str
    folder: Path
    wrapper: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    init_cpu: list[float] = field(default_factory=list)
    init_wall: list[float] = field(default_factory=list)
    call_cpu: list[float] = field(default_factory=list)
    call_wall: list[float] = field(default_factory=list)


class Sandbox:
    """A running subject."""

    def __init__(self, subject: Subject, collector: int) -> None:
        self.api = RuntimeApi()
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "FAASIGHT_", "PYTHON"))
        }
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [*subject.wrapper, sys.executable, "-m", "awslambdaric", "app.handler"],
            cwd=subject.folder,
            env={
                **inherited,
                "AWS_LAMBDA_RUNTIME_API": self.api.address,
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "PYTHONPATH": str(subject.folder),
                "FAASIGHT_ENDPOINT": f"http://127.0.0.1:{collector}",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
                **subject.environment,
            },
        )
        self.init_wall = (self.api.asked.get(timeout=30) - begun) * 1e3
        self.init_cpu = self.cpu_ms()

    def cpu_ms(self) -> float:
        """Return the time that all its threads were on a CPU: Linux counts it in ns."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6

    def call(self, timeout: float = 30) -> float:
        """Invoke once; return ms from handing out the event to the answer."""
        begun = time.perf_counter()
        self.api.events.put(b"{}")
        ended = self.api.answered.get(timeout=timeout)
        self.api.asked.get(timeout=timeout)
        return (ended - begun) * 1e3

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.api.close()


@contextmanager
def collector() -> Iterator[int]:
    """Run the stand-in in a process of its own: it reads a request and answers 200."""
    with subprocess.Popen([sys.executable, __file__, "--collector"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def serve_collector() -> None:
    """Answer each request on each connection, with as little CPU as can be."""

    def one(connection: socket.socket) -> None:
        data = b""
        while received := connection.recv(1 << 20):
            data += received
            while (end := data.find(b"\r\n\r\n")) >= 0:
                head = data[:end].lower()
                size = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                if len(data) < size:
                    break
                data = data[size:]
                connection.sendall(ANSWER)

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def subjects(folder: Path) -> list[Subject]:
    """Return bare, ours and the peer, ready to run; the peer is the plain SDK where PyPI cannot be reached."""
    for name, code in (("bare", FUNCTION), ("peer", PEER_FUNCTION)):
        (folder / name).mkdir()
        (folder / name / "app.py").write_text(code)
    package = Path(str(importlib.util.find_spec("faasight").origin)).parent  # type: ignore[union-attr]  # it is installed
    compileall.compile_dir(package, quiet=2)  # as a layer is built; the peer's packages are compiled by pip
    packages = folder / "packages"
    fetch = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(
        [*fetch, "--target", str(packages), *PEER_PACKAGES], check=True, timeout=60, stderr=subprocess.DEVNULL
    )
    path = f"{folder / 'peer'}{os.pathsep}{packages}"
    return [
        Subject("bare", folder / "bare"),
        Subject("faasight", folder / "bare", wrapper=[str(package / "faasight-exec")]),
        Subject("opentelemetry", folder / "peer", environment={"PYTHONPATH": path, "_HANDLER": "app.handler"}),
    ]


def measure_init(all_of: list[Subject], port: int) -> None:
    """Start each subject again and again, in turns; the first turn warms caches and is not counted."""
    for turn in range(STARTS + 1):
        for subject in all_of:
            sandbox = Sandbox(subject, port)
            if turn:
                subject.init_cpu.append(sandbox.init_cpu)
                subject.init_wall.append(sandbox.init_wall)
            sandbox.close()


def measure_calls(all_of: list[Subject], port: int) -> None:
    """Invoke warm sandboxes in rounds, in turns."""
    with ExitStack() as stack:
        running = [(subject, Sandbox(subject, port)) for subject in all_of]
        for _, sandbox in running:
            stack.callback(sandbox.close)
            for _ in range(20):
                sandbox.call()
        for _ in range(ROUNDS):
            for subject, sandbox in running:
                before = sandbox.cpu_ms()
                subject.call_wall += [sandbox.call() for _ in range(CALLS)]
                subject.call_cpu.append((sandbox.cpu_ms() - before) / CALLS)


def measure_without_collector(all_of: list[Subject]) -> dict[str, float]:
    """Return ms of the slowest of three invocations (the peer: of one) with nobody listening; 15 s at most."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    slowest = {}
    for subject in all_of:
        sandbox = Sandbox(subject, port)
        try:
            slowest[subject.name] = max(sandbox.call(15) for _ in range(3 if subject.name != "opentelemetry" else 1))
        except queue.Empty:
            slowest[subject.name] = 15_000.0
        sandbox.close()
    return slowest


def main() -> None:
    """Measure, print the table, then the two results as JSON, the more important one last."""
    with tempfile.TemporaryDirectory() as folder, collector() as port:
        bare, ours, peer = everyone = subjects(Path(folder))
        measure_init(everyone, port)
        measure_calls(everyone, port)
        away = measure_without_collector(everyone)
    print("medians (minimum)   init CPU ms   (min)  init ms  call CPU us  call us  collector away, ms")
    for s in everyone:
        init = f"{statistics.median(s.init_cpu):11.1f}{min(s.init_cpu):8.1f}{statistics.median(s.init_wall):9.1f}"
        call = f"{statistics.median(s.call_cpu) * 1e3:13.0f}{statistics.median(s.call_wall) * 1e3:9.0f}"
        print(f"{s.name:20}{init}{call}{away[s.name]:20.1f}")
    report("wrapper_added_cpu_of_an_invocation", "us", 1e3, bare.call_cpu, ours.call_cpu, peer.call_cpu, goal=0.25)
    report("wrapper_added_cpu_of_init", "ms", 1.0, bare.init_cpu, ours.init_cpu, peer.init_cpu, goal=0.1)


def report(
    name: str, unit: str, scale: float, bare: list[float], ours: list[float], peer: list[float], goal: float
) -> None:
    """Print what each adds to the bare runtime, medians, as one line of JSON."""
    base = statistics.median(bare)
    mine, theirs = ((statistics.median(values) - base) * scale for values in (ours, peer))
    ratio = mine / theirs
    result = {"name": name, "ours": round(mine, 2), "peer": round(theirs, 2), "unit": unit}
    print(json.dumps({**result, "ratio": round(ratio, 3), "goal": goal, "ok": ratio <= goal}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--collector"]:
        serve_collector()
    else:
        main()
