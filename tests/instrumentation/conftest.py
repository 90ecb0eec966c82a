"""What the wrapper's tests share: a sink for telemetry, functions under AWS's and Google's own clients, agents."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import faasight.agent
import pytest
from faasight.agent import Agent
from faasight.complain import complaints
from faasight.settings import Settings
from google_host import CLOUD, CODE, HOST, Framework, Serve, need
from lambda_sandbox import Sandbox
from otlp_sink import Sink
from polling import wait_until

WRAPPER = Path(faasight.__file__).with_name("faasight-exec")
# A busy machine may take a second for nothing: no run of a test takes long for that, and no flush is given up.
PATIENT = {"FAASIGHT_START_AFTER": "30", "FAASIGHT_FLUSH_TIMEOUT": "10"}


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.close()


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
            **PATIENT,
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
        defaults = {"FAASIGHT_STRICT": "1", "FAASIGHT_FALLBACK": "off", **PATIENT}
        made.append(Agent(Settings(defaults | environment)))
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
        own = {"FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_STRICT": "1", **PATIENT}
        framework = Framework(folder, code, target, CLOUD | own | environment)
        started.append(framework)
        if listening:
            wait_until(framework.listens, "the framework listens")
        return framework

    yield start
    for framework in started:
        framework.close()
