"""What the wrapper benchmark compares: one function, bare and in each wrapper, each in a throw-away environment.

An environment is made from PyPI with the versions of `benchmarks/constraints/`; ours has those of constraints.txt.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from _pairs import Difference, difference
from _sandbox import Command, Took

HERE = Path(__file__).parent
ROOT = HERE.parent
RUNTIME = ("awslambdaric", "boto3")
LAYER = ("opentelemetry-distro", "opentelemetry-exporter-otlp-proto-http", "opentelemetry-propagator-aws-xray")
INSTRUMENTATIONS = ("opentelemetry-instrumentation-aws-lambda", "opentelemetry-instrumentation-botocore")

FUNCTION = "import boto3\n\ndef handler(event, context):\n    return {'statusCode': 200}\n"
WITH_SDK = """
import boto3
from opentelemetry import trace

tracer = trace.get_tracer("shop")

def handler(event, context):
    with tracer.start_as_current_span("reserve"):
        return {'statusCode': 200}
"""
IN_CODE = f"""
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
POWERTOOLS = """
import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

logger, tracer, metrics = Logger(), Tracer(), Metrics()

@metrics.log_metrics(capture_cold_start_metric=True)
@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event, context):
    metrics.add_metric(name="orders", unit=MetricUnit.Count, value=1)
    return {'statusCode': 200}
"""


@dataclass
class Measure:
    """What was measured of a subject, and of bare right before it: pair by pair."""

    own: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def add(self, own: float, bare: float) -> None:
        """Keep a pair."""
        self.own.append(own)
        self.bare.append(bare)

    @property
    def added(self) -> Difference:
        """What the subject adds to bare."""
        return difference(self.own, self.bare)


@dataclass
class Subject:
    """One way to run the function, and what was measured of it (ms, KiB)."""

    name: str
    command: Command
    sends: bool = True  # telemetry goes over the network to the collector, and not to the log
    starts: int = 10  # pairs of cold starts
    init_cpu: Measure = field(default_factory=Measure)
    init_wall: Measure = field(default_factory=Measure)
    small_init: Measure = field(default_factory=Measure)  # wall, at the CPU share of 128 MB
    answer: Measure = field(default_factory=Measure)  # until the answer, as a caller sees it
    whole: Measure = field(default_factory=Measure)  # until it asks for the next event, as it is billed
    call_cpu: Measure = field(default_factory=Measure)
    rss: Measure = field(default_factory=Measure)
    pss: Measure = field(default_factory=Measure)
    dead: dict[str, list[Took]] = field(default_factory=dict)


def python_of(folder: Path, name: str) -> Path:
    """Return the interpreter of an environment."""
    return folder / name / "bin" / "python"


PACKAGES = {
    "faasight": ("opentelemetry-sdk", str(ROOT / "instrumentation")),
    "opentelemetry": (*LAYER, *INSTRUMENTATIONS),
    "powertools": ("aws-lambda-powertools[tracer]",),
    "datadog": ("datadog-lambda",),
}


def make_environments(folder: Path, names: Iterable[str] = tuple(PACKAGES)) -> None:
    """Make those that are not there yet; about a minute. Raises CalledProcessError where PyPI cannot be reached."""
    for name in names:
        constraints = ROOT / "constraints.txt" if name == "faasight" else HERE / f"constraints/{name}.txt"
        _make(folder / name, constraints, (*RUNTIME, *PACKAGES[name]))
        if name == "faasight":  # as it is now, where an environment was kept; compiled, as pip does
            _pip(folder / name, "--no-deps", "--force-reinstall", str(ROOT / "instrumentation"))


def _make(folder: Path, constraints: Path, packages: tuple[str, ...]) -> None:
    made = folder / ".made"
    if made.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    _pip(folder, "--constraint", str(constraints), *packages)
    made.touch()


def _pip(folder: Path, *what: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *what], check=True, timeout=300, stderr=subprocess.DEVNULL)


def subjects(folder: Path, environments: Path) -> list[Subject]:
    """Return bare first, then ours, then the peers; `folder` gets the functions' code."""
    for name, code in (("plain", FUNCTION), ("sdk", WITH_SDK), ("code", IN_CODE), ("powertools", POWERTOOLS)):
        (folder / name).mkdir()
        (folder / name / "app.py").write_text(code)
    pythons = {name: python_of(environments, name) for name in ("faasight", "opentelemetry", "powertools", "datadog")}
    bins = pythons["opentelemetry"].parent
    say = [pythons["faasight"], "-c", "import faasight; print(faasight.__path__[0])"]
    package = subprocess.run(say, check=True, capture_output=True, text=True, cwd=folder).stdout.strip()
    run = ["-m", "awslambdaric"]

    def subject(
        name: str, python: str, code: str, wrapper: str = "", handler: str = "app.handler", **env: str
    ) -> Subject:
        path = {"PYTHONPATH": str(folder / code), "PATH": f"{pythons[python].parent}{os.pathsep}{os.environ['PATH']}"}
        start = [wrapper] if wrapper else []
        command = Command([*start, str(pythons[python]), *run, handler], folder / code, {**path, **env})
        return Subject(name, command)

    traces_alone = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "otlp"}
    layer = {"_HANDLER": "app.handler", "OTEL_PROPAGATORS": "tracecontext,baggage,xray", **traces_alone}
    everyone = [
        subject("bare", "faasight", "plain"),
        subject("faasight", "faasight", "plain", f"{package}/faasight-exec"),
        subject("faasight, SDK joined", "faasight", "sdk", f"{package}/faasight-exec"),
        subject("OpenTelemetry layer", "opentelemetry", "plain", f"{bins}/opentelemetry-instrument", **layer),
        subject("OpenTelemetry in code", "opentelemetry", "code", _HANDLER="app.handler"),
        subject(
            "powertools", "powertools", "powertools",
            POWERTOOLS_SERVICE_NAME="f", POWERTOOLS_METRICS_NAMESPACE="shop",
        ),
        subject(
            "datadog-lambda", "datadog", "plain", handler="datadog_lambda.handler.handler",
            DD_LAMBDA_HANDLER="app.handler", DD_FLUSH_TO_LOG="true", DD_TRACE_ENABLED="true", DD_SITE="datadoghq.com",
        ),
    ]  # fmt: skip
    for talks_by_log in everyone[-2:]:
        talks_by_log.sends = False
    return everyone


def with_collector(command: Command, port: int) -> Command:
    """Return the command with the collector's address for whoever sends there."""
    address = f"http://127.0.0.1:{port}"
    more = {
        "FAASIGHT_ENDPOINT": address,
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    return Command(command.arguments, command.folder, {**command.environment, **more})
