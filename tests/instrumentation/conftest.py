"""Real servers for the wrapper's tests: an OTLP sink that decodes officially, and the AWS Lambda Runtime API."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import faasight.agent
import pytest
from faasight.agent import Agent
from faasight.complain import complaints
from faasight.settings import Settings
from google_host import CLOUD, CODE, HOST, Framework, Serve, need
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from polling import wait_until

WRAPPER = Path(faasight.__file__).with_name("faasight-exec")


def until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Poll until `condition` is truthy and return its value; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {seconds} s: {condition}")


def plain(value: AnyValue) -> Any:
    """Return an OTLP value as Python's."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def pairs(attributes: Any) -> dict[str, Any]:
    """Return OTLP attributes as a dict."""
    items: list[KeyValue] = list(attributes)
    assert len({item.key for item in items}) == len(items), "a key is there twice"
    return {item.key: plain(item.value) for item in items}


@dataclass
class SeenSpan:
    """A span as it arrived."""

    raw: ProtoSpan
    resource: dict[str, Any]
    scope: str
    attributes: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.attributes = pairs(self.raw.attributes)

    @property
    def name(self) -> str:
        """Its name."""
        return self.raw.name

    @property
    def trace_id(self) -> str:
        """Hex."""
        return self.raw.trace_id.hex()

    @property
    def span_id(self) -> str:
        """Hex."""
        return self.raw.span_id.hex()

    @property
    def parent_id(self) -> str:
        """Hex, "" for a root."""
        return self.raw.parent_span_id.hex()


class Sink:
    """A collector that keeps what it gets; `answer` decides on each request's (status, headers, body)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[int], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"")
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, content = sink.answer(len(sink.requests))
                if 200 <= status < 300:
                    sink.requests.append((self.path, dict(self.headers), body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
                """Stay silent."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Stay silent: killed functions leave broken connections."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> list[SeenSpan]:
        """Return all spans that came."""
        seen = []
        for path, _, body in self.requests.copy():
            if path != "/v1/traces":
                continue
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = pairs(group.resource.attributes)
                for scope in group.scope_spans:
                    seen += [SeenSpan(span, resource, scope.scope.name) for span in scope.spans]
        return seen

    def metrics(self) -> list[Any]:
        """Return all metrics that came."""
        bodies = [body for path, _, body in self.requests.copy() if path == "/v1/metrics"]
        return [
            metric
            for body in bodies
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        ]

    def invocations(self) -> list[SeenSpan]:
        """Return the spans of invocations."""
        return [
            span
            for span in self.spans()
            if "faas.invocation_id" in span.attributes and span.attributes.get("faasight.phase") != "start"
        ]

    def started(self) -> list[SeenSpan]:
        """Return the records of invocations that take long."""
        return [span for span in self.spans() if span.attributes.get("faasight.phase") == "start"]

    def wait(self, count: int = 1) -> list[SeenSpan]:
        """Wait for so many invocations."""
        until(lambda: len(self.invocations()) >= count)
        return self.invocations()

    def named(self, name: str) -> SeenSpan:
        """Return the one span of that name."""
        found = [span for span in self.spans() if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans()]
        return found[0]


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.close()


@dataclass
class Outcome:
    """What the function answered."""

    kind: str  # response, error, init error, exit
    body: Any
    seconds: float = 0.0  # from handing the event out to the answer


class RuntimeApi:
    """The AWS Lambda Runtime API for one sandbox: hands out events and takes the answers."""

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        self.ready = threading.Event()
        self.before_snapshot, self.restore = threading.Event(), threading.Event()  # of SnapStart
        self.handed_out = 0.0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                if self.path.endswith("/restore/next"):
                    api.before_snapshot.set()
                    api.restore.wait(60)
                    self._reply(200, {}, b"")
                    return
                api.ready.set()
                headers, body = api._events.get()
                api.handed_out = time.monotonic()
                self._reply(200, headers, body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind = {"response": "response", "error": "error"}[self.path.rpartition("/")[2]]
                kind = "init error" if "/init/" in self.path else kind
                self._reply(202, {}, b"")
                api.outcomes.put(Outcome(kind, json.loads(body), time.monotonic() - api.handed_out))

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
                """Stay silent."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Stay silent: sandboxes are killed while they wait."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def put(self, event: Any, request_id: str, timeout_ms: int, headers: dict[str, str]) -> None:
        """Have an event for the next that asks."""
        self._events.put(
            (
                {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + timeout_ms),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:checkout",
                    "Content-Type": "application/json",
                    **headers,
                },
                json.dumps(event).encode(),
            )
        )

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class Sandbox:
    """One awslambdaric process with a function in it."""

    def __init__(self, folder: Path, environment: dict[str, str], command: list[str]) -> None:
        self.api = RuntimeApi()
        self._output = (folder / "output.txt").open("w+b")
        self._count = 0
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "AWS_LAMBDA_RUNTIME_API": self.api.address, **environment},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def invoke(self, event: Any = None, timeout_ms: int = 10_000, headers: dict[str, str] | None = None) -> Outcome:
        """Invoke and wait for the answer, or for the end of the process."""
        self.send(event, timeout_ms, headers)
        return self.outcome()

    def send(self, event: Any = None, timeout_ms: int = 10_000, headers: dict[str, str] | None = None) -> str:
        """Hand out an event once the function is ready; return the request id."""
        until(lambda: self.api.ready.is_set() or self.process.poll() is not None)
        self._count += 1
        request_id = f"00000000-0000-0000-0000-{self._count:012d}"
        self.api.put(event if event is not None else {}, request_id, timeout_ms, headers or {})
        return request_id

    def outcome(self, seconds: float = 20.0) -> Outcome:
        """Return the next answer."""

        def ended() -> Outcome | None:
            try:
                return self.api.outcomes.get(timeout=0.02)
            except queue.Empty:
                code = self.process.poll()
                return Outcome("exit", code) if code is not None and self.api.outcomes.empty() else None

        outcome: Outcome = until(ended, seconds)
        return outcome

    def output(self) -> str:
        """Return what the function has written so far."""
        self._output.flush()
        return Path(self._output.name).read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines among its output."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    def close(self) -> None:
        """Stop."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._output.close()
        self.api.close()


StartFunction = Callable[..., Sandbox]


@pytest.fixture
def function(sink: Sink, tmp_path: Path) -> Iterator[StartFunction]:
    """Start functions: `function("def handler(event, context): ...", FAASIGHT_X="...")`."""
    sandboxes: list[Sandbox] = []

    runtime = [sys.executable, "-m", "awslambdaric", "app.handler"]

    def start(code: str, *, wrapped: bool = True, command: list[str] | None = None, **environment: str) -> Sandbox:
        folder = tmp_path / f"sandbox{len(sandboxes)}"
        folder.mkdir()
        (folder / "app.py").write_text(code)
        defaults = {
            "FAASIGHT_ENDPOINT": sink.endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": "checkout",
            "AWS_LAMBDA_FUNCTION_VERSION": "7",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[7]abc",
            "AWS_REGION": "eu-central-1",
            "PYTHONPATH": str(folder),
            "TMPDIR": str(folder),  # what is found there of killed invocations is this sandbox's own
        }
        sandbox = Sandbox(folder, defaults | environment, command or ([str(WRAPPER)] if wrapped else []) + runtime)
        sandboxes.append(sandbox)
        return sandbox

    yield start
    for sandbox in sandboxes:
        sandbox.close()


@pytest.fixture
def new_agent() -> Iterator[Callable[..., Agent]]:
    """Make agents of this process with settings of one's own; they raise their own failures."""
    made: list[Agent] = []
    complaints._next = 0.0  # one a minute, and each test has its own

    def make(**environment: str) -> Agent:
        made.append(Agent(Settings({"FAASIGHT_STRICT": "1", "FAASIGHT_FALLBACK": "off", **environment})))
        faasight.agent.replace(made[-1])
        return made[-1]

    yield make
    faasight.agent.replace(None)
    for agent in made:
        agent.delivery.close()


@pytest.fixture
def agent(sink: Sink, new_agent: Callable[..., Agent]) -> Agent:
    """Make an agent that sends to the sink."""
    return new_agent(FAASIGHT_ENDPOINT=sink.endpoint)


@pytest.fixture
def serve(sink: Sink, tmp_path: Path) -> Iterator[Serve]:
    """Start functions: `serve(code, target="hello", LOG_EXECUTION_ID="true")`."""
    need(HOST)
    started: list[Framework] = []

    def start(code: str = CODE, target: str = "hello", *, listening: bool = True, **environment: str) -> Framework:
        folder = tmp_path / f"function{len(started)}"
        folder.mkdir()
        defaults = CLOUD | {"FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_STRICT": "1"}
        framework = Framework(folder, code, target, defaults | environment)
        started.append(framework)
        if listening:
            wait_until(framework.listens, "the framework listens")
        return framework

    yield start
    for framework in started:
        framework.close()
