"""The platform's own spans and log lines: sent where OpenTelemetry's variables say, and only if they say so."""

import json
import logging
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import structlog
from faasight_cli import logs, own_telemetry
from faasight_cli.errors import SettingError
from faasight_collector import observe
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from polling import wait_until

ROOT = Path(__file__).parents[2]
# What the store holds of the platform itself, asked in a process of its own: an engine takes one folder.
OWN = """
import json, sys
from faasight_store import Store
with Store.open(sys.argv[1]) as store:
    mine = "resource['telemetry.distro.name'] = 'faasight-platform'"
    spans = store.query(f"SELECT service, name, count() FROM spans WHERE {mine} GROUP BY ALL")
    lines = store.query("SELECT function, message FROM logs WHERE origin LIKE '%faasight-platform%'")
    print(json.dumps([spans, lines]))
"""


def test_the_collector_knows_the_mark() -> None:
    assert own_telemetry.DISTRIBUTION == observe.DISTRIBUTION


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},  # of the functions that a shell starts
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_it_is_silent_unless_asked(environ: dict[str, str]) -> None:
    before = list(logging.getLogger().handlers)
    own_telemetry.start("faasight", environ)()
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; allowed is otlp or none"),
        ({"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "http/protobuf or grpc"),
    ],
)
def test_what_is_not_known_is_said_at_the_start(environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        own_telemetry.start("faasight", environ)


@pytest.fixture
def exported() -> Iterator[InMemoryLogRecordExporter]:
    """Log as the command does, and keep what is bridged."""
    root = logging.getLogger()
    handlers, level, configured = list(root.handlers), root.level, structlog.get_config()
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logs.configure("info", "json")
    bridge = own_telemetry.Bridge(provider)
    root.addHandler(bridge)
    yield exporter
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)


def test_lines_of_both_kinds_are_bridged(exported: InMemoryLogRecordExporter) -> None:
    structlog.get_logger("faasight").warning("the store is away", signal="traces", tries=3, where=Path("/x"))
    logging.getLogger("library").error("%s broke", "it")
    logging.getLogger("opentelemetry.exporter").error("a carrier's word")
    first, second = (item.log_record for item in exported.get_finished_logs())
    assert (first.body, first.severity_text, first.severity_number.value) == ("the store is away", "WARNING", 13)
    assert dict(first.attributes) == {"signal": "traces", "tries": 3, "where": "/x"}
    assert (second.body, second.severity_number.value) == ("it broke", 17)


def test_an_exception_comes_with_its_type(exported: InMemoryLogRecordExporter) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger("faasight").exception("it failed")
    (item,) = exported.get_finished_logs()
    attributes = item.log_record.attributes
    assert (attributes["exception.type"], attributes["exception.message"]) == ("ValueError", "odd")


def documented() -> list[tuple[str, str]]:
    """Return the variables of the example in the documentation."""
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "watching.md").read_text("utf-8"), re.DOTALL)
    return re.findall(r"(OTEL_\w+)=(\S+)", block)


def _counted(metrics: str, name: str, signal_name: str) -> float:
    wanted = f'faasight_collector_{name}{{signal="{signal_name}"}} '
    return next(float(line.removeprefix(wanted)) for line in metrics.splitlines() if line.startswith(wanted))


def test_a_platform_pointed_at_itself_tells_of_others_and_stays_bounded(
    faasight: Callable[..., Any], free_ports: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
    asked = {
        **free_ports,
        "FAASIGHT_COLLECTOR_HTTP": place,
        **{name: value.replace("127.0.0.1:4318", place) for name, value in documented()},
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
    up = faasight("up", folder=tmp_path, env=asked)
    up.wait_for("Ctrl+C stops it")
    line = json.dumps({"message": "one line", "function": "example"}).encode()
    request = Request(f"http://{place}/v1/json-logs", data=line, headers={"Content-Type": "application/x-ndjson"})
    with urlopen(request, timeout=10) as answer:
        assert answer.status == 200

    def shipped_of(name: str) -> float:
        with urlopen(f"http://{place}/metrics", timeout=10) as page:
            return _counted(page.read().decode(), "shipped_requests_total", name)

    wait_until(lambda: shipped_of("records") >= 1, "the line is stored", 60)
    traces = shipped_of("traces")
    wait_until(lambda: shipped_of("traces") > traces, "the span that tells of it is stored", 60)
    wait_until(lambda: shipped_of("traces") >= 2 and shipped_of("logs") >= 1, "its own spans and lines are stored", 60)
    up.process.send_signal(signal.SIGINT)
    assert up.ended(10) == 0, up.said()
    command = [sys.executable, "-c", OWN, f"chdb://{tmp_path / 'faasight-data'}"]
    spans, lines = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    shipped = {name: count for service, name, count in spans if service == "faasight" and name.startswith("ship")}
    assert shipped == {"ship records": 1}, "its own traces and lines, of which there were many, are not told of"
    assert ["faasight", "collector ready"] in lines
