"""The platform's own spans and log lines: sent where OpenTelemetry's variables say, and only if they say so."""

import json
import logging
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import structlog
from faasight_cli import logs, own_telemetry
from faasight_cli.errors import SettingError
from faasight_collector import observe
from faasight_store import Store
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from polling import wait_until
from ports import free_ports

ROOT = Path(__file__).parents[2]


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
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "watching.md").read_text("utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "OTEL_" in block)
    return re.findall(r"(OTEL_\w+)=(\S+)", block)


def _stored(store: Store) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return what the store holds of the platform itself: (service, name, count) of spans, (function, line) of logs."""
    mine = "resource['telemetry.distro.name'] = 'faasight-platform'"
    spans = store.query(f"SELECT service, name, count() FROM spans WHERE {mine} GROUP BY ALL")
    return spans, store.query("SELECT function, message FROM logs WHERE origin LIKE '%faasight-platform%'")


def test_a_platform_pointed_at_itself_tells_of_others_and_stays_bounded(
    faasight: Callable[..., Any], any_ports: dict[str, str], server_dsn: str
) -> None:
    place = f"127.0.0.1:{free_ports(1)[0]}"
    asked = {
        **any_ports,
        "FAASIGHT_STORE": server_dsn,
        "FAASIGHT_COLLECTOR_HTTP": place,
        **{name: value.replace("127.0.0.1:4318", place) for name, value in documented()},
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
    up = faasight("up", env=asked)
    up.wait_for("Ctrl+C stops it")
    line = json.dumps({"message": "one line", "function": "example"}).encode()
    request = Request(f"http://{place}/v1/json-logs", data=line, headers={"Content-Type": "application/x-ndjson"})
    with urlopen(request, timeout=180) as answer:
        assert answer.status == 200
    with Store.open(server_dsn) as store:
        wait_until(lambda: ("faasight", "ship records", 1) in _stored(store)[0], "the span that tells of it is stored")
        wait_until(lambda: ("faasight", "collector ready") in _stored(store)[1], "its own lines are stored")
        up.process.send_signal(signal.SIGINT)
        assert up.ended() == 0, up.said()
        shipped = [row for row in _stored(store)[0] if row[1].startswith("ship")]
        assert shipped == [("faasight", "ship records", 1)], "its own traces and lines are stored, not told of"
